//! `rollcall explain`: of one contact, for every automation, whether it is in or out and why, and what the record says.

use std::collections::BTreeSet;
use std::io::{self, Write};

use serde::Serialize;

use super::args::{ExplainArgs, Format};
use super::record::{ParticipationJson, json, time};
use super::{CommandError, Common, Exit, Session};
use crate::config::Config;
use crate::engine::Explained;
use crate::id::{AutomationName, ContactId, Occurrence};
use crate::participation::Participation;
use crate::plan::Guard;
use crate::record::Listed;
use crate::report::{PlanView, SafeText};
use crate::roster::Roster;

/// All there is to say of a contact.
#[derive(Serialize)]
struct Explanation<'a> {
    contact: &'a ContactId,
    now: String,
    suppressed: Option<Suppressed<'a>>,
    /// Whether anything at all is known of the contact; an id that was mistyped is not.
    known: bool,
    automations: Vec<Of<'a>>,
}

#[derive(Serialize)]
struct Suppressed<'a> {
    reason: Option<&'a str>,
    at: String,
}

/// All there is to say of it in one automation.
#[derive(Serialize)]
struct Of<'a> {
    automation: &'a AutomationName,
    /// Whether the automation is in the configuration; what is on record of it may outlive it there.
    configured: bool,
    #[serde(rename = "in")]
    is_in: bool,
    blocks: Vec<Verdict<'a>>,
    record: Vec<Recorded<'a>>,
    plan: Vec<Planned>,
}

/// What one block says of one of its rows.
#[derive(Serialize)]
struct Verdict<'a> {
    at: String,
    source: Option<&'a str>,
    row: Option<u64>,
    occurrence: Option<String>,
    #[serde(rename = "in")]
    is_in: bool,
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

pub(super) async fn run(args: &ExplainArgs, common: &Common) -> Result<Exit, CommandError> {
    let session = Session::begin(common)?;
    let (engine, contact) = (&session.engine, &args.contact);
    session.check_shown().await?;
    let explained = engine.explain(contact).await?;
    let suppression = engine.config().suppression(contact.as_str());
    let explanation = Explanation {
        contact,
        now: time(explained.now),
        suppressed: suppression.map(|of| Suppressed {
            reason: of.reason.as_deref(),
            at: of.place.to_string(),
        }),
        known: engine.knows(contact, &explained.verdicts, &explained.listed),
        automations: automations(engine.config(), &explained, suppression.is_some()),
    };
    match args.format {
        Format::Json => session.output.json(&explanation),
        Format::Text => session.output.lines(|out| text(out, &explanation)),
    }?;
    Ok(Exit::Fine)
}

/// What is known of a contact of whom nothing is planned.
pub(super) const UNKNOWN: &str = "no source holds it, no file declares or names it, and nothing is on record of it: is the id right?";

/// Every configured automation, and those on record that are configured no more.
fn automations<'a>(
    config: &'a Config,
    explained: &'a Explained,
    is_suppressed: bool,
) -> Vec<Of<'a>> {
    let configured = config.automations.iter().map(|automation| &automation.name);
    let on_record = explained
        .listed
        .iter()
        .map(|of| &of.participation.key.automation);
    let names: BTreeSet<&AutomationName> = configured.clone().chain(on_record).collect();
    let of = |name: &'a AutomationName| {
        let index = configured.clone().position(|configured| configured == name);
        let verdicts = explained.verdicts.iter();
        let verdicts = verdicts.filter(|verdict| Some(verdict.automation) == index);
        let blocks: Vec<Verdict> = verdicts
            .map(|verdict| {
                let enrol = &config.enrols[verdict.block];
                Verdict {
                    at: enrol.place.to_string(),
                    source: enrol.source.map(|s| config.sources[s].name.as_str()),
                    row: verdict.row.map(|at| at.row),
                    occurrence: verdict.occurrence.clone(),
                    is_in: verdict.out.is_empty(),
                    reasons: verdict.out.clone(),
                }
            })
            .collect();
        let listed = explained.listed.iter();
        let listed = listed.filter(|of| of.participation.key.automation == *name);
        Of {
            automation: name,
            configured: index.is_some(),
            is_in: !is_suppressed && blocks.iter().any(|verdict| verdict.is_in),
            blocks,
            record: listed
                .map(|listed| Recorded {
                    participation: json(listed),
                    fields_changed: fields_changed(&explained.roster, index, &listed.participation),
                    listed,
                })
                .collect(),
            plan: planned(config, explained, name),
        }
    };
    names.into_iter().map(of).collect()
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
    Some(enrolment.fields != participation.fields)
}

/// What a plan would do about a contact in one automation.
fn planned(config: &Config, explained: &Explained, name: &AutomationName) -> Vec<Planned> {
    let plan = &explained.plan;
    let view = PlanView {
        plan,
        guard: &Guard::default(),
        config,
        roster: &explained.roster,
        record_serial: 0,
        now: explained.now,
        is_first: false,
        record_id: None,
        problems: &[],
    };
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
    let others = let_go.chain(held).chain(withheld);
    let others = others.filter(|(_, key, _)| key.automation.as_str() == name);
    let others = others
        .map(|(action, key, reason)| planned(action, text(&key.occurrence).as_deref(), reason));
    actions.chain(deferred).chain(others).collect()
}

fn text(out: &mut dyn Write, explanation: &Explanation<'_>) -> io::Result<()> {
    writeln!(out, "{}", SafeText(explanation.contact.as_str()))?;
    if let Some(suppressed) = &explanation.suppressed {
        let reason = match suppressed.reason {
            Some(reason) => format!("{} ", SafeText(reason)),
            None => String::new(),
        };
        writeln!(
            out,
            "suppressed: {reason}({}); it is in no automation, whatever the blocks below say",
            suppressed.at
        )?;
    }
    if !explanation.known {
        writeln!(out, "{UNKNOWN}")?;
    }
    for explained in &explanation.automations {
        automation(out, explained)?;
    }
    Ok(())
}

fn automation(out: &mut dyn Write, explained: &Of<'_>) -> io::Result<()> {
    let word = if explained.is_in { "in" } else { "out" };
    writeln!(out, "\n{}: {word}", explained.automation)?;
    if !explained.configured {
        writeln!(out, "  the automation is gone from the configuration")?;
    } else if explained.blocks.is_empty() {
        writeln!(out, "  no [[enrol]] block names this automation")?;
    }
    for verdict in &explained.blocks {
        let sign = if verdict.is_in { '+' } else { '-' };
        write!(out, "  {sign} {}", verdict.at)?;
        if let (Some(source), Some(row)) = (verdict.source, verdict.row) {
            write!(out, "  source {source}, row {row}")?;
        }
        if let Some(occurrence) = &verdict.occurrence {
            write!(out, "  occurrence {}", SafeText(occurrence))?;
        }
        match verdict.reasons.is_empty() {
            true => writeln!(out)?,
            false => writeln!(out, "  {}", SafeText(&verdict.reasons.join("; ")))?,
        }
    }
    if explained.record.is_empty() {
        writeln!(out, "  record: nothing")?;
    }
    for recorded in &explained.record {
        let participation = &recorded.listed.participation;
        write!(out, "  record: {}", participation.state)?;
        if let Some(occurrence) = &participation.key.occurrence {
            write!(out, "  occurrence {occurrence}")?;
        }
        write!(out, "  since {}", time(recorded.listed.changed_at))?;
        if let Some(detail) = &participation.detail {
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
        write!(out, "  plan: {}", planned.action)?;
        if let Some(occurrence) = &planned.occurrence {
            write!(out, "  occurrence {}", SafeText(occurrence))?;
        }
        writeln!(out, "  {}", SafeText(&planned.reason))?;
    }
    Ok(())
}
