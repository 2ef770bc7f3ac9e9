//! Participations and calls on record, as JSON and as lines.

use std::borrow::Cow;

use anstyle::Style;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::columns::{Cell, Row, Yield};
use super::rows::subject;
use super::style::{ADDED, ATTENTION, DIMMED, REMOVED};
use crate::id::{AutomationName, ContactId, Occurrence, ParticipationId, TriggerCode};
use crate::participation::State;
use crate::record::{Call, Listed};
use crate::text::SafeText;

/// A participation for programs.
#[derive(Serialize)]
pub struct ParticipationJson<'a> {
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

/// A call for programs.
#[derive(Serialize)]
pub struct CallJson<'a> {
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

/// A time, to the second.
pub fn time(at: Timestamp) -> String {
    at.strftime("%Y-%m-%dT%H:%M:%SZ").to_string()
}

/// A participation for programs.
pub fn participation_json(listed: &Listed) -> ParticipationJson<'_> {
    let participation = &listed.participation;
    ParticipationJson {
        contact: &participation.key.contact,
        automation: &participation.key.automation,
        occurrence: participation.key.occurrence.as_ref(),
        state: participation.state.as_str(),
        detail: participation.shown_detail(),
        trigger_code: &participation.trigger_code,
        automation_contact_ids: &listed.ids,
        triggered_at: participation.triggered_at.map(time),
        changed_at: time(listed.changed_at),
    }
}

/// The columns in which people read participations.
pub const PARTICIPATION_TITLES: [&str; 6] = [
    "state",
    "since",
    "contact",
    "automation",
    "ids at Spotler",
    "detail",
];

/// How these columns yield on a narrow terminal.
pub const PARTICIPATIONS_YIELD: &[Yield] = &[
    Yield::Date(1),
    Yield::Below(5),
    Yield::Below(4),
    Yield::Below(3),
];

/// A participation for people, in these columns.
pub fn participation_row(listed: &Listed) -> Row<6> {
    let participation = &listed.participation;
    let key = &participation.key;
    let occurrence = key.occurrence.as_ref().map(|o| o.as_str());
    let ids: Vec<&str> = listed.ids.iter().map(|id| id.as_str()).collect();
    let state = participation.state;
    let cells = [
        Cell(state.to_string(), of_state(state)),
        time(listed.changed_at).into(),
        subject(key.contact.as_str(), occurrence)
            .into_owned()
            .into(),
        safe(key.automation.as_str()).into(),
        ids.join(", ").into(),
        safe(participation.shown_detail().unwrap_or_default()).into(),
    ];
    let notes = Vec::new();
    Row { cells, notes }
}

/// How a state looks: what runs, what is in doubt, what failed, and what is over.
pub(super) fn of_state(state: State) -> Style {
    match state {
        State::Active => ADDED,
        State::Failed | State::FailedForGood | State::Refused | State::StopFailed => REMOVED,
        _ if state.is_doubtful_trigger() || state.is_doubtful_stop() => ATTENTION,
        State::Waiting => ATTENTION,
        _ => DIMMED,
    }
}

fn safe(text: &str) -> String {
    SafeText(text).to_string()
}

/// A call for programs.
pub fn call_json(call: &Call) -> CallJson<'_> {
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

/// The columns in which people read calls.
pub const CALL_TITLES: [&str; 9] = [
    "sent",
    "call",
    "contact",
    "automation",
    "outcome",
    "by",
    "config",
    "revision",
    "detail",
];

/// How these columns yield on a narrow terminal.
pub const CALLS_YIELD: &[Yield] = &[
    Yield::Drop(7),
    Yield::Drop(6),
    Yield::Drop(5),
    Yield::Date(0),
    Yield::Below(8),
    Yield::Below(3),
];

/// A call for people, in these columns.
pub fn call_row(call: &Call) -> Row<9> {
    let short = |text: &Option<String>| format!("{:.8}", text.as_deref().unwrap_or("-"));
    // Where there is none, the detail says whether anybody waits for it.
    let outcome = call.outcome.as_deref().unwrap_or("-");
    let state = call.outcome_word().parse();
    let colour = state.map_or(Style::new(), of_state);
    let cells = [
        time(call.sent_at).into(),
        call.kind.clone().into(),
        subject(&call.contact, call.occurrence.as_deref())
            .into_owned()
            .into(),
        safe(&call.automation).into(),
        Cell(safe(outcome), colour),
        safe(&call.command).into(),
        short(&call.config_digest).into(),
        short(&call.git_revision).into(),
        safe(call.detail.as_deref().unwrap_or_default()).into(),
    ];
    let notes = entry_lines(call);
    Row { cells, notes }
}

/// What each published automation answered, where a trigger code starts several: a line each.
fn entry_lines(call: &Call) -> Vec<String> {
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

/// The columns of an export.
pub const PARTICIPATION_COLUMNS: [&str; 9] = [
    "contact",
    "automation",
    "occurrence",
    "state",
    "detail",
    "trigger_code",
    "automation_contact_ids",
    "triggered_at",
    "changed_at",
];

/// A participation for spreadsheets, by these columns.
pub fn participation_cells(listed: &Listed) -> [String; 9] {
    let row = participation_json(listed);
    let ids: Vec<&str> = listed.ids.iter().map(|id| id.as_str()).collect();
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
    cells.map(|text| cell(text).into_owned())
}

/// A text that a spreadsheet takes as text: what would begin a formula is preceded by an apostrophe.
pub(super) fn cell(text: &str) -> Cow<'_, str> {
    match text.starts_with(['=', '+', '-', '@', '＝', '＋', '－', '＠', '\t', '\r']) {
        true => Cow::Owned(format!("'{text}")),
        false => Cow::Borrowed(text),
    }
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
