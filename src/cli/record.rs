//! `rollcall record`: reads the record.

use std::borrow::Cow;
use std::collections::BTreeSet;
use std::io::{self, Write};
use std::time::Duration;

use anyhow::anyhow;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::args::{
    ExportFormat, Format, RecordAcceptArgs, RecordExportArgs, RecordForgetArgs, RecordListArgs,
    RecordShowArgs, RecordUnlockArgs,
};
use super::output::Output;
use super::signals::Signals;
use super::which::{self, Checked};
use super::{CommandError, Common, Exit, prepare};
use crate::config::Config;
use crate::id::{AutomationName, ContactId, Occurrence, ParticipationId, TriggerCode};
use crate::participation::Participation;
use crate::record::{Call, Doubt, Listed, Listing, Purpose, Record, RecordError, Selection};
use crate::report::{SafeText, plural};

#[derive(Serialize)]
pub(super) struct ParticipationJson<'a> {
    contact: &'a ContactId,
    automation: &'a AutomationName,
    occurrence: Option<&'a Occurrence>,
    state: &'a str,
    detail: Option<&'a str>,
    trigger_code: &'a TriggerCode,
    automation_contact_ids: &'a [ParticipationId],
    triggered_at: Option<String>,
    changed_at: String,
}

#[derive(Serialize)]
pub(super) struct CallJson<'a> {
    sent_at: String,
    call: &'a str,
    contact: &'a str,
    automation: &'a str,
    occurrence: Option<&'a str>,
    automation_contact_id: Option<&'a str>,
    outcome: Option<&'a str>,
    http_status: Option<i64>,
    detail: Option<&'a str>,
    entries: Option<serde_json::Value>,
    command: &'a str,
    config_digest: Option<&'a str>,
    git_revision: Option<&'a str>,
}

/// What one published automation answered, as the record keeps it.
#[derive(Deserialize)]
struct Entry<'a> {
    #[serde(rename = "automationId", borrow)]
    automation_id: Option<Cow<'a, str>>,
    #[serde(rename = "automationContactId", borrow)]
    participation: Option<Cow<'a, str>>,
    #[serde(borrow)]
    result: Cow<'a, str>,
}

pub(super) fn time(at: Timestamp) -> String {
    at.strftime("%Y-%m-%dT%H:%M:%SZ").to_string()
}

pub(super) fn json(listed: &Listed) -> ParticipationJson<'_> {
    let participation = &listed.participation;
    ParticipationJson {
        contact: &participation.key.contact,
        automation: &participation.key.automation,
        occurrence: participation.key.occurrence.as_ref(),
        state: participation.state.as_str(),
        detail: participation.detail.as_deref(),
        trigger_code: &participation.trigger_code,
        automation_contact_ids: &listed.ids,
        triggered_at: participation.triggered_at.map(time),
        changed_at: time(listed.changed_at),
    }
}

fn line(listed: &Listed) -> String {
    let participation = &listed.participation;
    let ids: Vec<&str> = listed.ids.iter().map(|id| id.as_str()).collect();
    let mut line = format!(
        "{:<15}  {}  {}",
        participation.state,
        time(listed.changed_at),
        SafeText(&participation.key.to_string())
    );
    if !ids.is_empty() {
        line.push_str(&format!("  [{}]", ids.join(", ")));
    }
    if let Some(detail) = &participation.detail {
        line.push_str(&format!("  {}", SafeText(detail)));
    }
    line
}

pub(super) fn call_json(call: &Call) -> CallJson<'_> {
    CallJson {
        sent_at: time(call.sent_at),
        call: &call.kind,
        contact: &call.contact,
        automation: &call.automation,
        occurrence: call.occurrence.as_deref(),
        automation_contact_id: call.participation.as_deref(),
        outcome: call.outcome.as_deref(),
        http_status: call.http_status,
        detail: call.detail.as_deref(),
        entries: call
            .entries
            .as_deref()
            .and_then(|text| serde_json::from_str(text).ok()),
        command: &call.command,
        config_digest: call.config_digest.as_deref(),
        git_revision: call.git_revision.as_deref(),
    }
}

pub(super) fn call_line(call: &Call) -> String {
    let mut line = format!(
        "{}  {:<7}  {}",
        time(call.sent_at),
        call.kind,
        SafeText(&call.automation)
    );
    if let Some(occurrence) = &call.occurrence {
        line.push_str(&format!(" / {}", SafeText(occurrence)));
    }
    // Where there is none, the detail says whether anybody waits for it.
    if let Some(outcome) = &call.outcome {
        line.push_str(&format!("  {outcome}"));
    }
    if let Some(detail) = &call.detail {
        line.push_str(&format!("  {}", SafeText(detail)));
    }
    line
}

/// What each published automation answered, where a trigger code starts several: a line each.
pub(super) fn entry_lines(call: &Call) -> Vec<String> {
    let entries = call.entries.as_deref().unwrap_or_default();
    let entries: Vec<Entry<'_>> = serde_json::from_str(entries).unwrap_or_default();
    if entries.len() < 2 {
        return Vec::new();
    }
    let line = |entry: &Entry<'_>| {
        let automation = entry.automation_id.as_deref().unwrap_or("a publication");
        let mut line = format!("{}: {}", SafeText(automation), SafeText(&entry.result));
        if let Some(id) = &entry.participation {
            line.push_str(&format!("  [{}]", SafeText(id)));
        }
        line
    };
    entries.iter().map(line).collect()
}

/// The selected participations of one contact, sorted by automation and occurrence.
pub(super) async fn listed(
    record: &Record,
    selection: &Selection,
) -> Result<Vec<Listed>, CommandError> {
    let mut items = Vec::new();
    record
        .list(selection, |listed| items.push(listed))
        .await
        .map_err(anyhow::Error::from)?;
    Ok(items)
}

/// Passes each of a listing to what writes it. What is wrong with the record is told as what is wrong with writing.
fn each(listing: Listing, mut write: impl FnMut(&Listed) -> io::Result<()>) -> io::Result<()> {
    enum Either {
        Record(RecordError),
        Write(io::Error),
    }
    impl From<RecordError> for Either {
        fn from(error: RecordError) -> Self {
            Either::Record(error)
        }
    }
    let result = listing.each(|listed| write(&listed).map_err(Either::Write));
    result.map_err(|error| match error {
        Either::Record(error) => io::Error::other(error),
        Either::Write(error) => error,
    })
}

/// Writes participations as one JSON document.
fn document(out: &mut dyn Write, listing: Listing) -> io::Result<()> {
    write!(out, "{{\n  \"participations\": [")?;
    let mut separator = "\n    ";
    each(listing, |listed| {
        let text = serde_json::to_string_pretty(&json(listed))?;
        // Texts in it hold no line ends of their own: they are escaped.
        write!(out, "{separator}{}", text.replace('\n', "\n    "))?;
        separator = ",\n    ";
        Ok(())
    })?;
    let end = match separator {
        ",\n    " => "\n  ]",
        _ => "]",
    };
    writeln!(out, "{end}\n}}")
}

/// The selected participations, to be written while they are read.
async fn listing(
    config: &'static Config,
    selection: Selection,
    output: &Output,
) -> Result<Listing, CommandError> {
    let record = Record::at(&config.record.path);
    which::warn(config, &record, output)
        .await
        .map_err(anyhow::Error::from)?;
    let listing = record.listing(selection).await;
    Ok(listing.map_err(anyhow::Error::from)?)
}

pub(super) async fn list(args: &RecordListArgs, common: &Common) -> Result<Exit, CommandError> {
    let output = Output::new(common);
    let config = prepare::config(common, &output)?;
    let selection = Selection {
        contact: args.contact.clone(),
        automation: args.automation.clone(),
        state: args.state,
    };
    let listing = listing(config, selection, &output).await?;
    output.lines(args.format == Format::Text, |out| match args.format {
        Format::Text => each(listing, |item| writeln!(out, "{}", line(item))),
        Format::Json => document(out, listing),
    })?;
    Ok(Exit::Fine)
}

pub(super) async fn show(args: &RecordShowArgs, common: &Common) -> Result<Exit, CommandError> {
    let output = Output::new(common);
    let config = prepare::config(common, &output)?;
    let record = Record::at(&config.record.path);
    let checked = which::warn(config, &record, &output)
        .await
        .map_err(anyhow::Error::from)?;
    let Some(contact) = &args.contact else {
        return show_record(args, config, &checked, &output).await;
    };
    let selection = Selection {
        contact: Some(contact.clone()),
        ..Selection::default()
    };
    let items = listed(&record, &selection).await?;
    let mut calls = Vec::new();
    record
        .calls(Some(contact), |call| calls.push(call))
        .await
        .map_err(anyhow::Error::from)?;
    output.lines(args.format == Format::Text, |out| match args.format {
        Format::Text if items.is_empty() && calls.is_empty() => {
            writeln!(
                out,
                "Nothing is on record of {}.",
                SafeText(contact.as_str())
            )
        }
        Format::Text => {
            writeln!(out, "Participations of {}:", SafeText(contact.as_str()))?;
            items
                .iter()
                .try_for_each(|item| writeln!(out, "  {}", line(item)))?;
            writeln!(out, "\nCalls:")?;
            for call in &calls {
                writeln!(out, "  {}", call_line(call))?;
                for line in entry_lines(call) {
                    writeln!(out, "    {line}")?;
                }
            }
            match checked.id() {
                Some(id) => writeln!(out, "\nThis is what the record {id} has."),
                None => Ok(()),
            }
        }
        Format::Json => {
            let document = serde_json::json!({
                "record": record_json(&checked),
                "contact": contact,
                "participations": items.iter().map(json).collect::<Vec<_>>(),
                "calls": calls.iter().map(call_json).collect::<Vec<_>>(),
            });
            serde_json::to_writer_pretty(&mut *out, &document)?;
            writeln!(out)
        }
    })?;
    Ok(Exit::Fine)
}

fn record_json(checked: &Checked) -> serde_json::Value {
    serde_json::json!({
        "id": checked.id().map(|id| id.to_string()),
        "problems": checked.problems(),
    })
}

/// Shows which record it is.
async fn show_record(
    args: &RecordShowArgs,
    config: &Config,
    checked: &Checked,
    output: &Output,
) -> Result<Exit, CommandError> {
    let path = config.record_shown();
    let found = checked.examined().found.as_ref();
    let states = Record::at(&config.record.path).states().await;
    let states = states.map_err(anyhow::Error::from)?;
    let running = states.iter().filter(|((_, state), _)| state.is_running());
    let running: u64 = running.map(|(_, count)| count).sum();
    let last_run = found.and_then(|found| found.last_run).map(time);
    output.lines(args.format == Format::Text, |out| {
        match (args.format, found) {
            (Format::Text, None) => writeln!(out, "There is no record at {path}."),
            (Format::Text, Some(found)) => {
                writeln!(out, "id        {}", found.id)?;
                writeln!(out, "file      {path}")?;
                writeln!(out, "serial    {}", found.serial)?;
                writeln!(out, "running   {}", plural(running, "participation"))?;
                match &last_run {
                    Some(at) => writeln!(out, "last run  {at}"),
                    None => Ok(()),
                }
            }
            (Format::Json, _) => {
                let mut record = record_json(checked);
                record["file"] = path.to_string().into();
                record["serial"] = found.map(|found| found.serial).into();
                record["running"] = running.into();
                record["last_run"] = last_run.clone().into();
                serde_json::to_writer_pretty(&mut *out, &serde_json::json!({ "record": record }))?;
                writeln!(out)
            }
        }
    })?;
    Ok(Exit::Fine)
}

pub(super) async fn accept(
    args: &RecordAcceptArgs,
    common: &Common,
    signals: &Signals,
) -> Result<Exit, CommandError> {
    let output = Output::new(common);
    let config = prepare::config(common, &output)?;
    let record = Record::at(&config.record.path);
    let checked = which::check(config, &record).await;
    let checked = checked.map_err(anyhow::Error::from)?;
    let path = config.record_shown();
    let doubts = &checked.examined().doubts;
    let Some(found) = &checked.examined().found else {
        return Err(anyhow!(
            "There is no record at {path}, so that there is none to accept. Put it back, or correct `[record] url`. On the \
             first day, begin one: rollcall apply --new-record"
        )
        .into());
    };
    if doubts.is_empty() {
        output.result(|out| writeln!(out, "Nothing speaks against the record {}.", found.id))?;
        return Ok(Exit::Fine);
    }
    if !doubts.iter().all(Doubt::can_be_accepted) {
        checked.refuse("Nothing was accepted.")?;
    }
    output.result(|out| {
        writeln!(out, "The record {path} ({}):", found.id)?;
        for doubt in doubts {
            writeln!(out, "- {}", SafeText(&doubt.to_string()))?;
        }
        if doubts.iter().any(Doubt::may_miss_people) {
            writeln!(
                out,
                "Find out who was triggered since, from the logs of the runs or in Spotler, and take each of them in before \
                 the next apply: rollcall adopt --contact ID"
            )?;
        }
        writeln!(out, "To accept it makes it the record by which the next apply goes.")
    })?;
    output.ask("Go on with this record?", args.yes).await?;
    signals.begin()?;
    let purpose = Purpose::Accept(doubts.clone());
    let writing = prepare::write(config, "record accept", Duration::ZERO, purpose, false).await?;
    writing.end().await.map_err(anyhow::Error::from)?;
    output.result(|out| {
        writeln!(
            out,
            "Accepted. Look at `rollcall plan` before the next apply."
        )
    })?;
    Ok(Exit::Fine)
}

/// A text that a spreadsheet takes as text: what would begin a formula is preceded by an apostrophe.
fn cell(text: &str) -> Cow<'_, str> {
    match text.starts_with(['=', '+', '-', '@', '＝', '＋', '－', '＠', '\t', '\r']) {
        true => Cow::Owned(format!("'{text}")),
        false => Cow::Borrowed(text),
    }
}

pub(super) async fn export(args: &RecordExportArgs, common: &Common) -> Result<Exit, CommandError> {
    let output = Output::new(common);
    let config = prepare::config(common, &output)?;
    let listing = listing(config, Selection::default(), &output).await?;
    output.result(|out| match args.format {
        ExportFormat::Json => document(out, listing),
        ExportFormat::Csv => {
            let mut writer = csv::Writer::from_writer(out);
            writer.write_record([
                "contact",
                "automation",
                "occurrence",
                "state",
                "detail",
                "trigger_code",
                "automation_contact_ids",
                "triggered_at",
                "changed_at",
            ])?;
            each(listing, |item| {
                let row = json(item);
                let ids: Vec<&str> = item.ids.iter().map(|id| id.as_str()).collect();
                let cells = [
                    row.contact.as_str(),
                    row.automation.as_str(),
                    row.occurrence.map_or("", |o| o.as_str()),
                    row.state,
                    row.detail.unwrap_or_default(),
                    row.trigger_code.as_str(),
                    &ids.join(" "),
                    row.triggered_at.as_deref().unwrap_or_default(),
                    &row.changed_at,
                ];
                writer.write_record(cells.map(|text| cell(text).into_owned()))?;
                Ok(())
            })?;
            writer.flush()
        }
    })?;
    Ok(Exit::Fine)
}

/// Checks that the next apply would not trigger somebody again who is forgotten.
async fn check_undeclared(
    contact: &ContactId,
    config: &'static Config,
    common: &Common,
    output: &Output,
) -> Result<(), CommandError> {
    let shown = SafeText(contact.as_str());
    let roster = prepare::roster_of(config, contact, prepare::now(common)).await;
    let roster = roster.map_err(|error| {
        output.error(&error);
        anyhow!(
            "Whether {shown} is still declared cannot be known, so that nothing was erased: if it is, the next apply would \
             trigger it as new. Mend what is told above; or add the contact to [[suppress]], and forget it at once."
        )
    })?;
    let declared: BTreeSet<&str> = roster
        .enrolments()
        .map(|enrolment| config.automations[enrolment.automation].name.as_str())
        .collect();
    if declared.is_empty() {
        return Ok(());
    }
    let declared: Vec<&str> = declared.into_iter().collect();
    Err(anyhow!(
        "{shown} is still declared in {}, so that nothing was erased: the next apply would trigger it as new. First take the \
         contact out of the source or the rule and apply, so that it is stopped; or add it to [[suppress]].",
        SafeText(&declared.join(", "))
    )
    .into())
}

pub(super) async fn forget(
    args: &RecordForgetArgs,
    common: &Common,
    signals: &Signals,
) -> Result<Exit, CommandError> {
    let output = Output::new(common);
    let config = prepare::config(common, &output)?;
    let record = Record::at(&config.record.path);
    which::warn(config, &record, &output)
        .await
        .map_err(anyhow::Error::from)?;
    let selection = Selection {
        contact: Some(args.contact.clone()),
        ..Selection::default()
    };
    let items = listed(&record, &selection).await?;
    let mut calls = 0_u64;
    record
        .calls(Some(&args.contact), |_| calls += 1)
        .await
        .map_err(anyhow::Error::from)?;
    if items.is_empty() && calls == 0 {
        output.result(|out| {
            writeln!(
                out,
                "Nothing is on record of {}.",
                SafeText(args.contact.as_str())
            )
        })?;
        return Ok(Exit::Fine);
    }
    if config.suppression(args.contact.as_str()).is_none() {
        check_undeclared(&args.contact, config, common, &output).await?;
    }
    let running: Vec<&Listed> = items
        .iter()
        .filter(|item| item.participation.state.may_run_at_spotler())
        .collect();
    output.result(|out| {
        writeln!(
            out,
            "To erase of {}: {} and {}.",
            SafeText(args.contact.as_str()),
            plural(items.len() as u64, "participation"),
            plural(calls, "call")
        )?;
        if !running.is_empty() {
            writeln!(
                out,
                "Spotler goes on with these, and Rollcall can no longer stop them. To have them stopped, add the contact to \
                 [[suppress]] and apply first:"
            )?;
            for item in &running {
                let Participation { key, state, .. } = &item.participation;
                let occurrence = key.occurrence.as_ref().map(|o| format!(" / {o}"));
                let of = format!("{}{}", key.automation, occurrence.unwrap_or_default());
                writeln!(out, "  {} ({state})", SafeText(&of))?;
            }
        }
        match config.suppression(args.contact.as_str()) {
            None => writeln!(out, "If the contact is ever declared again, it is triggered as new."),
            Some(suppression) => writeln!(
                out,
                "The contact is {suppression}. While it is declared too, the next apply takes it into the record again, as \
                 withheld."
            ),
        }
    })?;
    output.ask("Erase this?", args.yes).await?;
    let writing = prepare::write(
        config,
        "record forget",
        Duration::ZERO,
        Purpose::Erase,
        false,
    )
    .await?;
    prepare::tell_left_open(&output, &writing);
    let erasing = async {
        signals.begin()?;
        let journal = writing.journal();
        let erased = match journal.forget(args.contact.clone()).await {
            Ok(()) => journal.wipe().await,
            Err(error) => Err(error),
        };
        Ok::<_, CommandError>(erased.map_err(anyhow::Error::from)?)
    };
    let erased = erasing.await;
    let ended = writing.end().await;
    let is_wiped = erased?;
    ended.map_err(anyhow::Error::from)?;
    if is_wiped {
        output.result(|out| writeln!(out, "Erased."))?;
        return Ok(Exit::Fine);
    }
    output.always(|out| {
        writeln!(
            out,
            "Erased from the record; but another program reads it, so that {}-wal beside it still holds what was erased. \
             That goes when the next command that writes to the record has it to itself: end the other program, and \
             apply.",
            record.path().display()
        )
    });
    Ok(Exit::Incomplete)
}

pub(super) async fn unlock(
    args: &RecordUnlockArgs,
    common: &Common,
    signals: &Signals,
) -> Result<Exit, CommandError> {
    let output = Output::new(common);
    let config = prepare::config(common, &output)?;
    let record = Record::at(&config.record.path);
    let Some(holder) = record.holder().await.map_err(anyhow::Error::from)? else {
        output.result(|out| writeln!(out, "The record is not locked."))?;
        return Ok(Exit::Fine);
    };
    output.result(|out| {
        writeln!(
            out,
            "{holder}\nWhere that run is still alive, it notices before its next call and stops; what it had under way \
             becomes uncertain."
        )?;
        match holder.is_here() {
            true => writeln!(
                out,
                "It is a process of this host, and may still send what it was about to send. End it first if you can, and \
                 the next run takes over by itself: kill {}",
                holder.pid
            ),
            false => Ok(()),
        }
    })?;
    output.ask("Take the lock away?", args.yes).await?;
    signals.begin()?;
    let unlocked = crate::record::unlock(record.path(), &holder).await;
    unlocked.map_err(anyhow::Error::from)?;
    output.result(|out| match holder.is_here() {
        true => writeln!(
            out,
            "Unlocked. Process {0} is still there, and writes nothing more; end it when you can: kill -9 {0}",
            holder.pid
        ),
        false => writeln!(out, "Unlocked."),
    })?;
    Ok(Exit::Fine)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_formula_is_text_in_a_spreadsheet() {
        for formula in ["=1+1", "+1", "-1", "@SUM(A1)", "＝1+1"] {
            assert_eq!(cell(formula), format!("'{formula}"));
        }
        assert_eq!(cell("crm-1"), "crm-1");
    }
}
