//! Of one contact, for every automation, whether it is in or out and why, what the record says, and what a plan would do.

use std::collections::{BTreeMap, BTreeSet};
use std::io::{self, Write};

use serde::Serialize;
use unicode_width::UnicodeWidthStr;

use super::record::{ParticipationJson, of_state, participation_json, time};
use super::rows::PlanView;
use super::style::{ADDED, ATTENTION, DIMMED, REMOVED, STRONG, SafeText, pad};
use crate::config::Suppression;
use crate::field::{FieldContent, FieldValue};
use crate::id::{AutomationName, ContactId, Occurrence};
use crate::participation::Participation;
use crate::record::Listed;
use crate::roster::{BlockVerdict, Class, FieldError, Roster};

/// All there is to say of a contact.
#[derive(Serialize)]
pub struct Explanation<'a> {
    contact: &'a ContactId,
    /// The ids of the person, where it has several: first the one that it keeps.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    merged: Vec<String>,
    now: String,
    suppressed: Option<Suppressed>,
    /// Whether anything at all is known of the contact; an id that was mistyped is not.
    known: bool,
    automations: Vec<Of<'a>>,
    /// Which rows a plan asks of databases, where that is not all of them.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    asked_of_databases: Vec<AskedOf<'a>>,
}

#[derive(Serialize)]
struct AskedOf<'a> {
    source: &'a str,
    condition: &'a str,
}

#[derive(Serialize)]
struct Suppressed {
    /// `suppress` or `require`.
    by: &'static str,
    reason: Option<String>,
    at: String,
}

impl Suppressed {
    fn new(of: &Suppression) -> Self {
        Self {
            by: of.word(),
            reason: of.why(),
            at: of.place.to_string(),
        }
    }
}

/// All there is to say of it in one automation.
#[derive(Serialize)]
struct Of<'a> {
    automation: &'a AutomationName,
    /// Whether the automation is in the configuration; what is on record of it may outlive it there.
    configured: bool,
    #[serde(rename = "in")]
    is_in: bool,
    /// Which automation goes first, where that keeps the contact out.
    #[serde(skip_serializing_if = "Option::is_none")]
    displaced: Option<String>,
    /// By what its triggers wait, where a freeze holds.
    #[serde(skip_serializing_if = "Option::is_none")]
    frozen: Option<String>,
    /// What keeps it out of this automation, where it is not kept out of all.
    #[serde(skip_serializing_if = "Option::is_none")]
    suppressed: Option<Suppressed>,
    blocks: Vec<Verdict<'a>>,
    record: Vec<Recorded<'a>>,
    plan: Vec<Planned>,
    /// What its enrolments would send, where somebody asked for that.
    #[serde(skip_serializing_if = "Option::is_none")]
    fields: Option<Vec<Sent<'a>>>,
}

/// The fields of one enrolment.
#[derive(Serialize)]
struct Sent<'a> {
    occurrence: Option<&'a str>,
    values: Vec<Field>,
}

/// A field with its value.
#[derive(Serialize)]
struct Field {
    name: String,
    #[serde(rename = "type")]
    kind: String,
    value: Content,
}

#[derive(Serialize)]
#[serde(untagged)]
enum Content {
    Text(String),
    Products(Vec<String>),
}

/// What one block says of one of its rows.
#[derive(Serialize)]
struct Verdict<'a> {
    at: String,
    source: Option<&'a str>,
    row: Option<u64>,
    occurrence: Option<String>,
    /// What a query over sources gave in the columns that the block reads; `null` is an absent cell.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    gave: BTreeMap<String, Option<String>>,
    #[serde(rename = "in")]
    is_in: bool,
    /// Since when it is in and by what it stays, where it would not come in.
    #[serde(skip_serializing_if = "Option::is_none")]
    stays: Option<String>,
    reasons: Vec<String>,
}

#[derive(Serialize)]
struct Recorded<'a> {
    #[serde(flatten)]
    participation: ParticipationJson<'a>,
    /// Whether the fields are others now than those that were sent; `null` where it is not declared any more.
    fields_changed: Option<bool>,
    #[serde(skip)]
    listed: &'a Listed,
}

/// What a plan would do about it.
#[derive(Serialize)]
struct Planned {
    action: &'static str,
    occurrence: Option<String>,
    reason: String,
}

/// What is known of a contact of whom nothing is planned.
pub const UNKNOWN: &str = "no source has it, no file declares or names it, and nothing is on record for it: is the id right?";

impl<'a> Explanation<'a> {
    /// Of what each block says of a contact, of what is on record of it, and of a plan of its own. `known` is whether anything at
    /// all is known of it.
    pub fn new(
        contact: &'a ContactId,
        view: PlanView<'a>,
        verdicts: &[BlockVerdict],
        listed: &'a [Listed],
        known: bool,
    ) -> Self {
        let suppression = view.roster.suppression(contact.as_str(), None);
        let ids = view.roster.people().ids(contact.as_str());
        let ids: Vec<String> = ids.map(str::to_owned).collect();
        Self {
            contact,
            merged: if ids.len() > 1 { ids } else { Vec::new() },
            now: time(view.now),
            suppressed: suppression.map(Suppressed::new),
            known,
            automations: automations(view, contact, verdicts, listed),
            asked_of_databases: (view.roster.conditions())
                .map(|(source, condition)| AskedOf { source, condition })
                .collect(),
        }
    }

    /// Adds the values of the fields, as a trigger would send them now. They are personal data, and shown here alone.
    ///
    /// # Errors
    /// That a source cannot be read again.
    pub fn show_fields(&mut self, view: PlanView<'a>) -> Result<(), FieldError> {
        let roster = view.roster;
        for of in &mut self.automations {
            let enrolments = roster.enrolments().filter(|enrolment| {
                view.config.automations[enrolment.automation].name == *of.automation
            });
            let sent = enrolments.map(|enrolment| {
                Ok(Sent {
                    occurrence: enrolment.occurrence,
                    values: roster.fields(&enrolment)?.into_iter().map(field).collect(),
                })
            });
            of.fields = Some(sent.collect::<Result<_, _>>()?);
        }
        Ok(())
    }

    /// Writes it for people.
    ///
    /// # Errors
    /// What the writer says.
    pub fn text(&self, out: &mut dyn Write) -> io::Result<()> {
        text(out, self)
    }
}

/// Every configured automation, and those on record that are configured no more.
fn automations<'a>(
    view: PlanView<'a>,
    contact: &ContactId,
    verdicts: &[BlockVerdict],
    all: &'a [Listed],
) -> Vec<Of<'a>> {
    let config = view.config;
    let configured = config.automations.iter().map(|automation| &automation.name);
    let on_record = all.iter().map(|of| &of.participation.key.automation);
    let names: BTreeSet<&AutomationName> = configured.clone().chain(on_record).collect();
    // All occurrences of an automation stand together.
    let is_in = all.iter().filter(|of| of.participation.is_in());
    let mut is_in: Vec<&AutomationName> =
        is_in.map(|of| &of.participation.key.automation).collect();
    is_in.dedup();
    let places = 0..view.roster.len();
    let declared = places.filter(|place| view.plan.declares(*place, view.roster));
    let declared = declared.map(|place| view.roster.get(place));
    let declared = declared.map(|of| (of.automation, of.occurrence));
    let declared: BTreeSet<(usize, Option<&str>)> = declared.collect();
    let of = |name: &'a AutomationName| {
        let index = configured.clone().position(|configured| configured == name);
        let verdicts = verdicts.iter();
        let verdicts = verdicts.filter(|verdict| Some(verdict.automation) == index);
        let listed = || {
            let listed = all.iter();
            listed.filter(|of| of.participation.key.automation == *name)
        };
        let mut displaced = view.plan.displaced.iter();
        let displaced =
            displaced.find(|of| Some(view.roster.get(of.enrolment as usize).automation) == index);
        let displaced = displaced.map(|of| of.reason(config));
        let mut by_occurrence: BTreeMap<Option<&str>, Vec<&Listed>> = BTreeMap::new();
        for of in listed() {
            let occurrence = of.participation.key.occurrence.as_ref();
            let of_it = by_occurrence.entry(occurrence.map(|o| o.as_str()));
            of_it.or_default().push(of);
        }
        let everywhere = view.roster.suppression(contact.as_str(), None);
        let suppression = view.roster.suppression(contact.as_str(), index);
        let blocks: Vec<Verdict> = verdicts
            .map(|verdict| {
                let enrol = &config.enrols[verdict.block];
                let same = by_occurrence.get(&verdict.occurrence.as_deref());
                let mut same = same.into_iter().flatten();
                let stays = same.find_map(|of| stays(of, verdict));
                // What displaces or suppresses it is said by itself.
                let other = match (&displaced, suppression) {
                    (None, None) => in_other_part(view, &is_in, &declared, verdict),
                    _ => None,
                };
                Verdict {
                    at: enrol.place.to_string(),
                    source: enrol.source.map(|s| config.sources[s].name.as_str()),
                    row: verdict.row.map(|at| at.row),
                    occurrence: verdict.occurrence.clone(),
                    gave: verdict.gave.iter().cloned().collect(),
                    is_in: verdict.out.is_empty() && other.is_none() || stays.is_some(),
                    reasons: match stays {
                        Some(_) => Vec::new(),
                        None => verdict.out.iter().cloned().chain(other).collect(),
                    },
                    stays,
                }
            })
            .collect();
        Of {
            automation: name,
            configured: index.is_some(),
            is_in: suppression.is_none()
                && displaced.is_none()
                && blocks.iter().any(|verdict| verdict.is_in),
            displaced,
            frozen: (config.frozen(index, false, view.now))
                .map(|frozen| frozen.freeze.why(&config.zone)),
            suppressed: match everywhere {
                None => suppression.map(Suppressed::new),
                Some(_) => None,
            },
            blocks,
            record: listed()
                .map(|listed| Recorded {
                    participation: participation_json(listed),
                    fields_changed: fields_changed(view.roster, index, &listed.participation),
                    listed,
                })
                .collect(),
            plan: planned(view, name),
            fields: None,
        }
    };
    names.into_iter().map(of).collect()
}

/// That a contact who would come in is in already under another part of the lot.
fn in_other_part(
    view: PlanView<'_>,
    is_in: &[&AutomationName],
    declared: &BTreeSet<(usize, Option<&str>)>,
    verdict: &BlockVerdict,
) -> Option<String> {
    let config = view.config;
    let lot = config.enrols[verdict.block].lot.as_ref()?;
    let of = (verdict.automation, verdict.occurrence.as_deref());
    if !verdict.out.is_empty() || declared.contains(&of) {
        return None;
    }
    let has_lot = |name: &AutomationName| {
        let mut parts = config.enrols.iter().filter(|enrol| {
            let of_it = enrol.lot.as_ref().filter(|of| of.name == lot.name);
            of_it.is_some_and(|of| of.part != lot.part)
        });
        parts.any(|enrol| {
            let mut names = enrol.automations.iter();
            names.any(|of| config.automations[*of].name == *name)
        })
    };
    let (other, name) = (is_in.iter().find(|name| has_lot(name))?, &lot.name);
    Some(format!(
        "in {other} under another part of lot {name}, and so in no other part"
    ))
}

/// Since when a contact is in and by what it stays, where a block lets it stay that would not let it in.
fn stays(of: &Listed, verdict: &BlockVerdict) -> Option<String> {
    let participation = &of.participation;
    let occurrence = participation.key.occurrence.as_ref().map(|o| o.as_str());
    let is_it = participation.is_in() && occurrence == verdict.occurrence.as_deref();
    let columns = verdict.stays_by.as_ref();
    let columns = columns.filter(|_| is_it && !verdict.out.is_empty())?;
    let columns: Vec<String> = columns.iter().map(|column| format!("`{column}`")).collect();
    let since = time(participation.triggered_at.unwrap_or(of.changed_at));
    Some(match columns.is_empty() {
        true => format!("in since {since}, stays: it is not asked for its lot again"),
        false => format!("in since {since}, stays by {}", columns.join(" and ")),
    })
}

impl Verdict<'_> {
    /// What stands before the reasons: the block, the row, and the occurrence.
    fn parts(&self) -> [String; 3] {
        let row = match (self.source, self.row) {
            (Some(source), Some(row)) => format!("source {source}, row {row}"),
            _ => String::new(),
        };
        let occurrence = self.occurrence.as_deref();
        let occurrence = occurrence.map(|text| format!("occurrence {}", SafeText(text)));
        [self.at.clone(), row, occurrence.unwrap_or_default()]
    }
}

fn field(field: FieldValue) -> Field {
    let kind = field.content.type_name().to_lowercase();
    let value = match field.content {
        FieldContent::String(text) | FieldContent::Url(text) => Content::Text(text),
        FieldContent::Products(ids) => Content::Products(ids),
    };
    Field {
        name: field.name,
        kind,
        value,
    }
}

fn fields_changed(
    roster: &Roster<'_>,
    automation: Option<usize>,
    participation: &Participation,
) -> Option<bool> {
    let key = &participation.key;
    let enrolment = roster.find(
        key.contact.as_str(),
        automation?,
        key.occurrence.as_ref().map(|o| o.as_str()),
    )?;
    // Who only stays has fields where a change of them matters.
    let is_known = enrolment.class == Class::ComesIn || enrolment.fields.is_some();
    is_known.then(|| enrolment.fields != participation.fields)
}

/// What a plan would do about a contact in one automation.
fn planned(view: PlanView<'_>, name: &AutomationName) -> Vec<Planned> {
    let plan = view.plan;
    let planned = |action, occurrence: Option<&str>, reason: &str| Planned {
        action,
        occurrence: occurrence.map(str::to_owned),
        reason: reason.to_owned(),
    };
    let text = |occurrence: &'_ Option<Occurrence>| occurrence.as_ref().map(|o| o.to_string());
    let name = name.as_str();
    let rows = plan
        .actions
        .iter()
        .filter(|action| view.automation(action) == name);
    let actions = rows.map(|action| view.row(action));
    let actions = actions.map(|row| planned(row.action, row.occurrence, &row.reason));
    let deferred = view.deferred().filter(|row| row.automation == name);
    let deferred = deferred.map(|row| planned("deferred", row.occurrence, &row.reason));
    let let_go = plan
        .let_go
        .iter()
        .map(|of| ("let go", &of.participation.key, &*of.reason));
    let held = plan
        .held
        .iter()
        .map(|of| ("held", &of.key, of.reason.as_str()));
    let withheld = plan
        .withheld
        .iter()
        .map(|of| ("withheld", &of.key, of.reason.as_str()));
    let turns = plan.turns.iter().filter_map(|turn| {
        let (_, automation, occurrence) = turn.of(view.config, view.roster);
        let occurrence = occurrence.map(|occurrence| SafeText(occurrence).to_string());
        let is_of_it = automation.as_str() == name;
        is_of_it.then(|| planned(turn.kind(), occurrence.as_deref(), turn.reason()))
    });
    let others = let_go.chain(held).chain(withheld);
    let others = others.filter(|(_, key, _)| key.automation.as_str() == name);
    let others = others
        .map(|(action, key, reason)| planned(action, text(&key.occurrence).as_deref(), reason));
    actions.chain(deferred).chain(others).chain(turns).collect()
}

fn text(out: &mut dyn Write, explanation: &Explanation<'_>) -> io::Result<()> {
    let contact = SafeText(explanation.contact.as_str());
    writeln!(out, "{STRONG}{contact}{STRONG:#}")?;
    if let Some(kept) = explanation.merged.first() {
        let others = explanation.merged.iter();
        let others = others.filter(|id| *id != explanation.contact.as_str());
        let others: Vec<String> = others.map(|id| SafeText(id).to_string()).collect();
        let (others, kept) = (others.join(" and "), SafeText(kept));
        writeln!(
            out,
            "one person with {others} ([[merged]]), who keeps the id {kept}"
        )?;
    }
    if let Some(suppressed) = &explanation.suppressed {
        let reason = suppressed.reason.as_deref().map(SafeText);
        match (suppressed.by, reason) {
            ("require", Some(reason)) => write!(out, "{reason} ")?,
            (_, Some(reason)) => write!(out, "suppressed: {reason} ")?,
            (_, None) => write!(out, "suppressed ")?,
        }
        let at = &suppressed.at;
        writeln!(
            out,
            "({at}); it is in no automation, whatever the blocks below say"
        )?;
    }
    if !explanation.known {
        writeln!(out, "{ATTENTION}{UNKNOWN}{ATTENTION:#}")?;
    }
    for explained in &explanation.automations {
        automation(out, explanation, explained)?;
    }
    for AskedOf { source, condition } in &explanation.asked_of_databases {
        writeln!(
            out,
            "\na plan asks the database of source {source} for the rows where {}",
            SafeText(condition)
        )?;
    }
    Ok(())
}

fn automation(
    out: &mut dyn Write,
    explanation: &Explanation<'_>,
    explained: &Of<'_>,
) -> io::Result<()> {
    let (word, style) = match explained.is_in {
        true => ("in", ADDED),
        false => ("out", DIMMED),
    };
    let name = SafeText(explained.automation.as_str());
    writeln!(out, "\n{STRONG}{name}{STRONG:#}: {style}{word}{style:#}")?;
    if !explained.configured {
        writeln!(out, "  the automation is gone from the configuration")?;
    } else if explained.blocks.is_empty() {
        writeln!(out, "  no [[enrol]] block names this automation")?;
    }
    let parts: Vec<[String; 3]> = explained.blocks.iter().map(Verdict::parts).collect();
    let widths: [usize; 3] = std::array::from_fn(|part| {
        let widths = parts.iter().map(|parts| parts[part].width());
        widths.max().unwrap_or(0)
    });
    for (verdict, parts) in explained.blocks.iter().zip(&parts) {
        let (sign, style) = match verdict.is_in {
            true => ('+', ADDED),
            false => ('-', REMOVED),
        };
        let mut line = String::new();
        for (part, width) in parts.iter().zip(widths).filter(|(_, width)| *width > 0) {
            line.push_str(&pad(part, width));
            line.push_str("  ");
        }
        match &verdict.stays {
            Some(stays) => line.push_str(&SafeText(stays).to_string()),
            None => line.push_str(&SafeText(&verdict.reasons.join("; ")).to_string()),
        }
        writeln!(out, "  {style}{sign}{style:#} {}", line.trim_end())?;
        if !verdict.gave.is_empty() {
            let cells = verdict.gave.iter();
            let cells = cells.map(|(column, cell)| {
                format!("{column} = {}", cell.as_deref().unwrap_or("absent"))
            });
            let cells: Vec<String> = cells.collect();
            writeln!(out, "    the query gave {}", SafeText(&cells.join(", ")))?;
        }
    }
    // What follows decides on what the blocks leave, in this order.
    if let Some(Suppressed { by, reason, at }) = &explained.suppressed {
        let reason = reason.as_deref().map(SafeText);
        match (*by, reason) {
            ("require", Some(reason)) => write!(out, "  {reason} ({at})")?,
            (_, Some(reason)) => write!(out, "  suppressed by {at}: {reason}")?,
            (_, None) => write!(out, "  suppressed by {at}")?,
        }
        writeln!(out, ", whatever the blocks above say")?;
    }
    if let Some(displaced) = &explained.displaced {
        writeln!(
            out,
            "  left out: {displaced}, whatever the blocks above say"
        )?;
    }
    if let Some(frozen) = &explained.frozen {
        writeln!(out, "  {frozen}")?;
    }
    if explained.record.is_empty() {
        writeln!(out, "  record: nothing")?;
    }
    for recorded in &explained.record {
        let participation = &recorded.listed.participation;
        let style = of_state(participation.state);
        write!(out, "  record: {style}{}{style:#}", participation.state)?;
        if !explanation.merged.is_empty() {
            write!(out, "  as {}", SafeText(participation.key.contact.as_str()))?;
        }
        if let Some(occurrence) = &participation.key.occurrence {
            write!(out, "  occurrence {occurrence}")?;
        }
        write!(out, "  since {}", time(recorded.listed.changed_at))?;
        if let Some(detail) = participation.shown_detail() {
            write!(out, "  {}", SafeText(detail))?;
        }
        match recorded.fields_changed {
            Some(true) => writeln!(out, "  its fields have changed since")?,
            _ => writeln!(out)?,
        }
    }
    if explained.plan.is_empty() {
        writeln!(out, "  plan: nothing to do")?;
    }
    for planned in &explained.plan {
        let style = match planned.action {
            "trigger" => ADDED,
            "stop" => REMOVED,
            _ => ATTENTION,
        };
        write!(out, "  plan: {style}{}{style:#}", planned.action)?;
        if let Some(occurrence) = &planned.occurrence {
            write!(out, "  occurrence {}", SafeText(occurrence))?;
        }
        writeln!(out, "  {}", SafeText(&planned.reason))?;
    }
    let names = explained
        .fields
        .iter()
        .flatten()
        .flat_map(|sent| &sent.values);
    let widest = names.map(|field| field.name.width()).max().unwrap_or(0);
    for sent in explained.fields.iter().flatten() {
        for field in &sent.values {
            write!(out, "  field {}", pad(&field.name, widest))?;
            if let Some(occurrence) = sent.occurrence {
                write!(out, "  occurrence {}", SafeText(occurrence))?;
            }
            let value = match &field.value {
                Content::Text(text) => text.clone(),
                Content::Products(ids) => ids.join(", "),
            };
            writeln!(out, "  {}", SafeText(&value))?;
        }
    }
    Ok(())
}
