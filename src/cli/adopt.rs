//! `rollcall adopt`: takes enrolments into the record as active without triggering them.

use std::collections::HashSet;

use anyhow::anyhow;

use super::args::AdoptArgs;
use super::output::Output;
use super::prepare::{self, Noting, Prepared};
use super::signals::Signals;
use super::which::{self, Beginning};
use super::{CommandError, Common, Exit};
use crate::id::{ContactId, Occurrence};
use crate::participation::{Key, Move};
use crate::plan::{Action, Filter, WhyTrigger};
use crate::record::{Change, Purpose, Record};
use crate::report::{SafeText, plural};
use crate::roster::Enrolment;

pub(super) async fn run(
    args: &AdoptArgs,
    common: &Common,
    signals: &Signals,
) -> Result<Exit, CommandError> {
    let output = Output::new(common);
    let config = prepare::config(common, &output)?;
    if let Some(name) = &args.automation {
        prepare::check_automation(config, name)?;
    }
    let now = prepare::now(common);
    let record = Record::at(&config.record.path);
    let roster = prepare::roster(config, now).await?;
    prepare::expected(config, &roster).await?;
    let filter = || Filter {
        automation: args.automation.clone(),
        contact: args.contact.clone(),
    };
    let plan = || prepare::plan_undeferred(config, roster.clone(), &record, filter(), now);
    let prepared = plan().await?;
    let shown = changes(&prepared)?;
    let would = plural(shown.len() as u64, "enrolment");
    let would = format!("It would have adopted {would}.");
    let asked = ("adopt", args.new_record, !args.yes && Output::can_ask());
    let beginning = Beginning::check(&prepared.record, &record, asked, &would).await?;
    prepared.record.warn(&output);
    if shown.is_empty() {
        let is_meant = |enrolment: Enrolment<'_>| {
            let automation = &config.automations[enrolment.automation].name;
            filter().lets_through(enrolment.contact, automation.as_str())
        };
        if !roster.enrolments().any(is_meant) {
            return Err(match &args.contact {
                Some(contact) => {
 let shown = SafeText(contact.as_str());
 anyhow!(
                    "{shown} is not enrolled there, so that there is nothing to adopt. Is the id right? \
                     `rollcall explain {shown}` says why.")
}

                None => anyhow!("Nobody is enrolled there, so that there is nothing to adopt."),
            }
            .into());
        }
        output.result(|out| writeln!(out, "Nothing to adopt: all is on record."))?;
        return Ok(Exit::Fine);
    }
    let count = shown.len() as u64;
    output.result(|out| {
        for change in &shown {
            writeln!(out, "adopt  {}", SafeText(&change.key.to_string()))?;
        }
        writeln!(
            out,
            "{} to take into the record as active. Nothing is triggered: nobody gets a mail by this.",
            plural(count, "enrolment")
        )
    })?;
    beginning.ask(&output).await?;
    output.ask("Adopt this?", args.yes).await?;
    let timeout = args.lock_timeout;
    let begin = beginning.is_meant();
    let writing = prepare::write(config, "adopt", timeout, Purpose::Act, begin).await?;
    which::tell_begun(config, writing.begun(), &output);
    prepare::tell_left_open(&output, &writing);
    // Another run may have triggered some of them meanwhile.
    let adopting = signals.guard(async {
        let mut changes = changes(&plan().await?)?;
        let shown: HashSet<Key> = shown.into_iter().map(|change| change.key).collect();
        changes.retain(|change| shown.contains(&change.key));
        let count = changes.len() as u64;
        let known = prepare::applied_sources(&record).await?;
        let notes = prepare::notes(roster.sources(), &known, Noting::Adopted);
        signals.begin()?;
        let journal = writing.journal();
        let mut written = journal.change(changes).await;
        // From here on an export that runs dry is known to have had rows.
        if written.is_ok() {
            written = journal.sources(notes).await;
        }
        if written.is_ok() {
            // What was adopted was not triggered, and is meant.
            written = journal.count_anew().await;
        }
        written.map_err(anyhow::Error::from)?;
        Ok(count)
    });
    let adopted = adopting.await;
    let ended = writing.end().await;
    let count = adopted?;
    ended.map_err(anyhow::Error::from)?;
    output.result(|out| writeln!(out, "{} adopted.", plural(count, "enrolment")))?;
    Ok(Exit::Fine)
}

/// What a plan would trigger, as adoptions. What is in doubt is for `resolve` to settle.
fn changes(prepared: &Prepared) -> Result<Vec<Change>, CommandError> {
    let mut changes = Vec::new();
    for action in &prepared.plan.actions {
        let Action::Trigger(trigger) = action else {
            continue;
        };
        if matches!(trigger.why, WhyTrigger::Harmless | WhyTrigger::AfterStop(_)) {
            continue;
        }
        let enrolment = prepared.roster.get(trigger.enrolment as usize);
        let automation = &prepared.config.automations[enrolment.automation];
        let occurrence = enrolment.occurrence.map(Occurrence::new).transpose();
        changes.push(Change {
            key: Key {
                contact: ContactId::new(enrolment.contact).map_err(anyhow::Error::from)?,
                automation: automation.name.clone(),
                occurrence: occurrence.map_err(anyhow::Error::from)?,
            },
            before: trigger.before,
            mv: Move::Adopt,
            trigger_code: automation.trigger_code.clone(),
            fields: enrolment.fields,
        });
    }
    Ok(changes)
}
