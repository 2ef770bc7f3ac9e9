//! `rollcall resolve`: a person settles uncertain triggers.

use std::collections::HashSet;

use anyhow::anyhow;

use super::args::{ResolveArgs, SettleAs};
use super::output::Output;
use super::signals::Signals;
use super::{CommandError, Common, Exit, prepare, which};
use crate::config::Config;
use crate::participation::{Key, Move, Participation, State};
use crate::record::{Change, Purpose, Record, Selection};
use crate::report::{SafeText, plural};

pub(super) async fn run(
    args: &ResolveArgs,
    common: &Common,
    signals: &Signals,
) -> Result<Exit, CommandError> {
    let output = Output::new(common);
    let config = prepare::config(common, &output)?;
    let record = Record::at(&config.record.path);
    let checked = which::check(config, &record)
        .await
        .map_err(anyhow::Error::from)?;
    checked.refuse("Nothing was settled.")?;
    if checked.is_missing() && !checked.is_exempt() {
        return Err(anyhow!(
            "There is no record at {}, so that nothing in it can be settled. Put it back, or correct `[record] url`.",
            config.record_shown()
        )
        .into());
    }
    let shown = uncertain(&record, args).await?;
    check_names(args, config, &shown)?;
    if shown.is_empty() {
        output.result(|out| writeln!(out, "Nothing is uncertain."))?;
        return Ok(Exit::Fine);
    }
    let (word, mv, then) = match args.settle_as {
        SettleAs::Active => ("active", Move::ResolveActive, "Spotler carried it out"),
        SettleAs::NotSent => (
            "not sent",
            Move::ResolveNotSent,
            "the next apply triggers it where it is declared",
        ),
    };
    output.result(|out| {
        for participation in &shown {
            writeln!(
                out,
                "uncertain -> {word}  {}",
                SafeText(&participation.key.to_string())
            )?;
        }
        let count = shown.len() as u64;
        writeln!(
            out,
            "{} to settle as {word}: {then}.",
            plural(count, "trigger")
        )
    })?;
    output.ask("Settle so?", args.yes).await?;
    let writing = prepare::write(config, "resolve", args.lock_timeout, Purpose::Act, false).await?;
    prepare::tell_left_open(&output, &writing);
    // Only what was shown, and only as far as it is still so.
    let settling = signals.guard(async {
        let mut now = uncertain(&record, args).await?;
        let shown: HashSet<Key> = shown.into_iter().map(|of| of.key).collect();
        now.retain(|participation| shown.contains(&participation.key));
        let count = now.len() as u64;
        let changes = now.into_iter().map(|participation| Change {
            before: Some(participation.state),
            mv,
            trigger_code: participation.trigger_code,
            fields: participation.fields,
            key: participation.key,
        });
        signals.begin()?;
        let written = writing.journal().change(changes.collect()).await;
        written.map_err(anyhow::Error::from)?;
        Ok(count)
    });
    let settled = settling.await;
    let ended = writing.end().await;
    let count = settled?;
    ended.map_err(anyhow::Error::from)?;
    output.result(|out| writeln!(out, "{} settled.", plural(count, "trigger")))?;
    Ok(Exit::Fine)
}

/// Whether there is something to settle of each that was named.
///
/// # Errors
/// That there is not: the name may be wrong, and then somebody else stays in doubt.
fn check_names(
    args: &ResolveArgs,
    config: &Config,
    shown: &[Participation],
) -> Result<(), CommandError> {
    let mut named = args.contacts.iter().chain(&args.contact);
    let nobody = named.find(|contact| shown.iter().all(|of| of.key.contact != **contact));
    if let Some(contact) = nobody {
        return Err(anyhow!(
            "{} has no uncertain trigger there; nothing was settled. Is the id right? `rollcall record list --state \
             uncertain` shows who has one.",
            SafeText(contact.as_str())
        )
        .into());
    }
    match &args.automation {
        // One that is gone from the configuration may still be on record.
        Some(name) if shown.is_empty() => prepare::check_automation(config, name),
        _ => Ok(()),
    }
}

async fn uncertain(
    record: &Record,
    args: &ResolveArgs,
) -> Result<Vec<Participation>, CommandError> {
    let selection = Selection {
        contact: None,
        automation: args.automation.clone(),
        state: Some(State::Uncertain),
    };
    let named: Vec<_> = args.contacts.iter().chain(&args.contact).collect();
    let mut found = Vec::new();
    record
        .list(&selection, |listed| {
            let participation = listed.participation;
            if named.is_empty() || named.contains(&&participation.key.contact) {
                found.push(participation);
            }
        })
        .await
        .map_err(anyhow::Error::from)?;
    Ok(found)
}
