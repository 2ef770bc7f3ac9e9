//! `rollcall explain`: of one contact, for every automation, whether it is in or out and why, and what the record says.

use std::collections::BTreeMap;
use std::convert::Infallible;
use std::io::{self, Write};

use serde::Serialize;

use super::args::{ExplainArgs, Format};
use super::output::Output;
use super::prepare::Prepared;
use super::{CommandError, Common, Exit, prepare, record, which};
use crate::config::Config;
use crate::id::{AutomationName, ContactId};
use crate::participation::Participation;
use crate::plan::{Action, Filter, Guard, Plan};
use crate::record::{Listed, Record, Selection};
use crate::report::{PlanView, SafeText};
use crate::roster::{BlockVerdict, Roster};

/// All there is to say of a contact.
#[derive(Serialize)]
struct Explanation<'a> {
    contact: &'a ContactId,
    now: String,
    suppressed: Option<Suppressed<'a>>,
    /// Whether anything at all is known of the contact; an id that was mistyped is not.
    known: bool,
    automations: Vec<Explained<'a>>,
}

#[derive(Serialize)]
struct Suppressed<'a> {
    reason: Option<&'a str>,
    at: String,
}

/// All there is to say of it in one automation.
#[derive(Serialize)]
struct Explained<'a> {
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
    participation: record::ParticipationJson<'a>,
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
    let output = Output::new(common);
    let config = prepare::config(common, &output)?;
    let now = prepare::now(common);
    let contact = &args.contact;
    let roster = prepare::roster_of(config, contact, now).await?;
    let selection = Selection {
        contact: Some(contact.clone()),
        ..Selection::default()
    };
    let record = Record::at(&config.record.path);
    which::warn(config, &record, &output)
        .await
        .map_err(anyhow::Error::from)?;
    let mut listed = record::listed(&record, &selection).await?;
    let participations = listed.iter().map(|listed| &listed.participation);
    let done = record.moved().await.map_err(anyhow::Error::from)?;
    let moves = config.steps_of_moves(&done);
    let mut plan = plan(config, &roster, participations, (contact, moves), now)?;
    // What is about to be moved is told under its new name.
    for listed in &mut listed {
        let name = &mut listed.participation.key.automation;
        if let Some((_, to)) = plan.moved.keys().find(|(from, _)| from == name) {
            *name = to.clone();
        }
    }
    if waits_for_others(config, &roster, &plan) {
        let all = prepare::roster(config, now).await?;
        let whole = prepare::plan(
            config,
            all,
            &record,
            Filter::default(),
            (now, prepare::clock()),
        )
        .await?;
        plan.defer_as_in((&whole.plan, &whole.roster), config, &roster);
    } else {
        plan.defer(config, &roster, &BTreeMap::new(), now);
    }
    let view = PlanView {
        plan: &plan,
        guard: &Guard::default(),
        config,
        roster: &roster,
        record_serial: 0,
        now,
        is_first: false,
        record_id: None,
        problems: &[],
    };
    let verdicts = roster
        .explain(contact.as_str())
        .map_err(anyhow::Error::from)?;
    let explanation = Explanation {
        contact,
        now: record::time(now),
        suppressed: config.suppression(contact.as_str()).map(|of| Suppressed {
            reason: of.reason.as_deref(),
            at: of.place.to_string(),
        }),
        known: is_known(config, contact, &verdicts, &listed),
        automations: automations(view, contact, &verdicts, &listed),
    };
    output.lines(args.format == Format::Text, |out| match args.format {
        Format::Json => {
            serde_json::to_writer_pretty(&mut *out, &explanation)?;
            writeln!(out)
        }
        Format::Text => text(out, &explanation),
    })?;
    Ok(Exit::Fine)
}

/// Whether anything at all is known of a contact.
fn is_known(
    config: &Config,
    contact: &ContactId,
    verdicts: &[BlockVerdict],
    listed: &[Listed],
) -> bool {
    !listed.is_empty()
        || config.contacts.contains_key(contact)
        || config.suppression(contact.as_str()).is_some()
        || verdicts
            .iter()
            .any(|verdict| verdict.row.is_some() || verdict.out.is_empty())
}

/// What is known of a contact of whom nothing is planned.
const UNKNOWN: &str = "no source holds it, no file declares or names it, and nothing is on record of it: is the id right?";

/// Says of a contact for whom a plan was asked that nothing is known of it, where that is so.
pub(super) async fn tell_unknown(
    prepared: &Prepared,
    contact: &ContactId,
    record: &Record,
    output: &Output,
) -> Result<(), CommandError> {
    let selection = Selection {
        contact: Some(contact.clone()),
        ..Selection::default()
    };
    let listed = record::listed(record, &selection).await?;
    let verdicts = prepared.roster.explain(contact.as_str());
    let verdicts = verdicts.map_err(anyhow::Error::from)?;
    if !is_known(prepared.config, contact, &verdicts, &listed) {
        output.notice(|out| writeln!(out, "{}: {UNKNOWN}", SafeText(contact.as_str())));
    }
    Ok(())
}

/// The contact's own part of the plan.
fn plan<'p>(
    config: &Config,
    roster: &Roster<'_>,
    participations: impl Iterator<Item = &'p Participation>,
    (contact, moves): (&ContactId, Vec<(AutomationName, AutomationName)>),
    now: jiff::Timestamp,
) -> Result<Plan, CommandError> {
    let filter = Filter {
        contact: Some(contact.clone()),
        automation: None,
    };
    let recorded = participations.cloned().map(Ok::<_, Infallible>);
    let Ok(mut plan) = Plan::build(
        config,
        roster,
        recorded,
        &filter,
        now,
        jiff::Timestamp::MAX,
        moves,
    );
    prepare::give_reasons(config, roster, &mut plan)?;
    Ok(plan)
}

/// Whether it triggers in an automation with a ramp, where it depends on all others when a contact has its turn.
fn waits_for_others(config: &Config, roster: &Roster<'_>, plan: &Plan) -> bool {
    plan.actions.iter().any(|action| match action {
        Action::Trigger(trigger) => {
            let enrolment = roster.get(trigger.enrolment as usize);
            let automation = &config.automations[enrolment.automation];
            automation.max_per_run.is_some() || automation.max_per_day.is_some()
        }
        Action::Stop(_) => false,
    })
}

/// Every configured automation, and those on record that are configured no more.
fn automations<'a>(
    view: PlanView<'a>,
    contact: &ContactId,
    verdicts: &[BlockVerdict],
    listed: &'a [Listed],
) -> Vec<Explained<'a>> {
    let config = view.config;
    let is_suppressed = config.suppression(contact.as_str()).is_some();
    let configured = config.automations.iter().map(|automation| &automation.name);
    let on_record = listed
        .iter()
        .map(|listed| &listed.participation.key.automation);
    let mut names: Vec<&AutomationName> = configured.chain(on_record).collect();
    names.sort();
    names.dedup();
    let explained = names.into_iter().map(|name| {
        let index = config
            .automations
            .iter()
            .position(|automation| automation.name == *name);
        let blocks: Vec<Verdict> = verdicts
            .iter()
            .filter(|verdict| Some(verdict.automation) == index)
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
        Explained {
            automation: name,
            configured: index.is_some(),
            is_in: !is_suppressed && blocks.iter().any(|verdict| verdict.is_in),
            blocks,
            record: listed
                .iter()
                .filter(|listed| listed.participation.key.automation == *name)
                .map(|listed| Recorded {
                    participation: record::json(listed),
                    fields_changed: fields_changed(view.roster, index, &listed.participation),
                    listed,
                })
                .collect(),
            plan: planned(view, name),
        }
    });
    explained.collect()
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

fn planned(view: PlanView<'_>, name: &AutomationName) -> Vec<Planned> {
    let mut planned = Vec::new();
    let of = |action: &&Action| view.automation(action) == name.as_str();
    for action in view.plan.actions.iter().filter(of) {
        let row = view.row(action);
        planned.push(Planned {
            action: row.action,
            occurrence: row.occurrence.map(str::to_owned),
            reason: row.reason,
        });
    }
    let deferred = view
        .deferred()
        .filter(|row| row.automation == name.as_str());
    planned.extend(deferred.map(|row| Planned {
        action: "deferred",
        occurrence: row.occurrence.map(str::to_owned),
        reason: row.reason,
    }));
    let text = |occurrence: &Option<crate::id::Occurrence>| {
        occurrence.as_ref().map(|o| o.as_str().to_owned())
    };
    for let_go in &view.plan.let_go {
        let key = &let_go.participation.key;
        if key.automation == *name {
            planned.push(Planned {
                action: "let go",
                occurrence: text(&key.occurrence),
                reason: let_go.reason.to_string(),
            });
        }
    }
    for held in view
        .plan
        .held
        .iter()
        .filter(|held| held.key.automation == *name)
    {
        planned.push(Planned {
            action: "held",
            occurrence: text(&held.key.occurrence),
            reason: held.reason.clone(),
        });
    }
    let withheld = view.plan.withheld.iter();
    let withheld = withheld.filter(|withheld| withheld.key.automation == *name);
    planned.extend(withheld.map(|withheld| Planned {
        action: "withheld",
        occurrence: text(&withheld.key.occurrence),
        reason: withheld.reason.clone(),
    }));
    planned
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

fn automation(out: &mut dyn Write, explained: &Explained<'_>) -> io::Result<()> {
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
        write!(out, "  since {}", record::time(recorded.listed.changed_at))?;
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
