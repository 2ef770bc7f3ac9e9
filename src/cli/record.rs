//! `rollcall record`: reads the record.

use jiff::Timestamp;
use serde::Serialize;

use super::args::{Format, RecordListArgs, RecordShowArgs};
use super::output::Output;
use super::{CommandError, Common, Exit, prepare};
use crate::id::{AutomationName, ContactId, Occurrence, ParticipationId, TriggerCode};
use crate::record::{Call, Listed, Record, Selection};
use crate::report::SafeText;

#[derive(Serialize)]
struct ParticipationJson<'a> {
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
struct CallJson<'a> {
    sent_at: String,
    call: &'a str,
    automation: &'a str,
    occurrence: Option<&'a str>,
    automation_contact_id: Option<&'a str>,
    outcome: Option<&'a str>,
    http_status: Option<i64>,
    detail: Option<&'a str>,
    entries: Option<serde_json::Value>,
}

fn time(at: Timestamp) -> String {
    at.strftime("%Y-%m-%dT%H:%M:%SZ").to_string()
}

fn json(listed: &Listed) -> ParticipationJson<'_> {
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
        changed_at: time(participation.changed_at),
    }
}

fn line(listed: &Listed) -> String {
    let participation = &listed.participation;
    let ids: Vec<&str> = listed.ids.iter().map(|id| id.as_str()).collect();
    let mut line = format!(
        "{:<15}  {}  {}",
        participation.state,
        time(participation.changed_at),
        participation.key
    );
    if !ids.is_empty() {
        line.push_str(&format!("  [{}]", ids.join(", ")));
    }
    if let Some(detail) = &participation.detail {
        line.push_str(&format!("  {}", SafeText(detail)));
    }
    line
}

fn call_json(call: &Call) -> CallJson<'_> {
    CallJson {
        sent_at: time(call.sent_at),
        call: &call.kind,
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
    }
}

fn call_line(call: &Call) -> String {
    let outcome = call.outcome.as_deref().unwrap_or("under way");
    let mut line = format!(
        "{}  {:<7}  {}",
        time(call.sent_at),
        call.kind,
        call.automation
    );
    if let Some(occurrence) = &call.occurrence {
        line.push_str(&format!(" / {occurrence}"));
    }
    line.push_str(&format!("  {outcome}"));
    if let Some(detail) = &call.detail {
        line.push_str(&format!("  {}", SafeText(detail)));
    }
    line
}

pub(super) async fn list(args: &RecordListArgs, common: &Common) -> Result<Exit, CommandError> {
    let output = Output::new(common);
    let config = prepare::config(common, &output)?;
    let selection = Selection {
        contact: args.contact.clone(),
        automation: args.automation.clone(),
        state: args.state,
    };
    let mut items = Vec::new();
    Record::at(&config.record.path)
        .list(&selection, |listed| items.push(listed))
        .await
        .map_err(anyhow::Error::from)?;
    output.result(|out| match args.format {
        Format::Text => items
            .iter()
            .try_for_each(|item| writeln!(out, "{}", line(item))),
        Format::Json => {
            let list: Vec<_> = items.iter().map(json).collect();
            serde_json::to_writer_pretty(
                &mut *out,
                &serde_json::json!({ "participations": list }),
            )?;
            writeln!(out)
        }
    })?;
    Ok(Exit::Fine)
}

pub(super) async fn show(args: &RecordShowArgs, common: &Common) -> Result<Exit, CommandError> {
    let output = Output::new(common);
    let config = prepare::config(common, &output)?;
    let record = Record::at(&config.record.path);
    let selection = Selection {
        contact: Some(args.contact.clone()),
        ..Selection::default()
    };
    let (mut items, mut calls) = (Vec::new(), Vec::new());
    record
        .list(&selection, |listed| items.push(listed))
        .await
        .map_err(anyhow::Error::from)?;
    record
        .calls(Some(&args.contact), |call| calls.push(call))
        .await
        .map_err(anyhow::Error::from)?;
    output.result(|out| match args.format {
        Format::Text if items.is_empty() && calls.is_empty() => {
            writeln!(out, "Nothing is on record of {}.", args.contact)
        }
        Format::Text => {
            writeln!(out, "Participations of {}:", args.contact)?;
            items
                .iter()
                .try_for_each(|item| writeln!(out, "  {}", line(item)))?;
            writeln!(out, "\nCalls:")?;
            calls
                .iter()
                .try_for_each(|call| writeln!(out, "  {}", call_line(call)))
        }
        Format::Json => {
            let document = serde_json::json!({
                "contact": args.contact,
                "participations": items.iter().map(json).collect::<Vec<_>>(),
                "calls": calls.iter().map(call_json).collect::<Vec<_>>(),
            });
            serde_json::to_writer_pretty(&mut *out, &document)?;
            writeln!(out)
        }
    })?;
    Ok(Exit::Fine)
}
