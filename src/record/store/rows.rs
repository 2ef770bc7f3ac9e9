//! What the rows of a record mean, in every store that keeps rows: a value that cannot be read is an error, and never nothing.

use std::collections::BTreeMap;
use std::path::Path;

use super::Applied;
use super::names::{Names, OwnNames};
use crate::digest::Digest;
use crate::id::{AutomationName, ContactId, Occurrence, ParticipationId};
use crate::record::batch::{count, time};
use crate::record::call::{CallId, CallKind};
use crate::record::error::{RecordError, corrupt};
use crate::record::guarded::AppliedWith;
use crate::record::overview::RecordedRun;
use crate::record::participation::{Key, Participation, State};
use crate::record::read::Listed;
use crate::record::recovery::OpenCall;

/// What few participations have, as a JSON array has it: occurrence, state, detail, `left_at`, tries, `gone_at`, `released_at`,
/// `triggered_as`.
pub(super) type Rest = (
    String,
    String,
    Option<String>,
    Option<i64>,
    u32,
    Option<i64>,
    Option<i64>,
    Option<String>,
);

/// A row of `participation`.
pub(super) struct ParticipationRow<'r> {
    pub contact: ContactId,
    pub automation: i64,
    pub code: i64,
    pub fields: Option<Digest>,
    pub has_ids: bool,
    pub triggered_at: Option<i64>,
    /// `None` where it is active, and nothing else is to be said of it.
    pub rest: Option<Rest>,
    /// Only where it was asked for.
    pub changed_at: Option<i64>,
    /// As a JSON array; only where it was asked for.
    pub ids: Option<&'r str>,
}

impl ParticipationRow<'_> {
    /// What it says.
    pub(super) fn listed(self, names: &mut OwnNames) -> Result<Listed, String> {
        let (occurrence, state, detail, left_at, tries, gone_at, released_at, triggered_as) =
            match self.rest {
                None => (None, State::Active, None, None, 0, None, None, None),
                Some((
                    occurrence,
                    state,
                    detail,
                    left_at,
                    tries,
                    gone_at,
                    released_at,
                    triggered_as,
                )) => {
                    let (occurrence, state) = (read_occurrence(&occurrence)?, read_state(&state)?);
                    (
                        occurrence,
                        state,
                        detail,
                        left_at,
                        tries,
                        gone_at,
                        released_at,
                        triggered_as,
                    )
                }
            };
        Ok(Listed {
            participation: Participation {
                key: Key {
                    contact: self.contact,
                    automation: names.automation(self.automation)?,
                    occurrence,
                },
                state,
                trigger_code: names.code(self.code)?,
                fields: self.fields,
                has_ids: self.has_ids,
                detail,
                triggered_at: self.triggered_at.map(time),
                left_at: left_at.map(time),
                tries,
                gone_at: gone_at.map(time),
                released_at: released_at.map(time),
                triggered_as: triggered_as.as_deref().map(read_contact).transpose()?,
            },
            changed_at: self.changed_at.map(time).unwrap_or_default(),
            ids: self.ids.map(read_ids).transpose()?.unwrap_or_default(),
        })
    }
}

/// A row of `call` that has no outcome.
pub(super) struct OpenCallRow {
    pub id: i64,
    pub kind: String,
    pub contact: String,
    pub automation: i64,
    pub occurrence: Option<String>,
    pub code: i64,
    pub fields: Option<Digest>,
    pub sent_at: i64,
}

impl OpenCallRow {
    /// What it says.
    pub(super) fn call(self, names: &Names) -> Result<OpenCall, String> {
        Ok(OpenCall {
            id: CallId(self.id),
            kind: match self.kind.as_str() {
                "trigger" => CallKind::Trigger,
                "stop" => CallKind::Stop,
                _ => return Err("a call that is neither a trigger nor a stop".to_owned()),
            },
            key: Key {
                contact: read_contact(&self.contact)?,
                automation: names.automation(self.automation)?,
                occurrence: read_occurrence(self.occurrence.as_deref().unwrap_or_default())?,
            },
            all: self.occurrence.is_none(),
            trigger_code: names.code(self.code)?,
            fields: self.fields,
            sent_at: time(self.sent_at),
        })
    }
}

pub(super) fn read_contact(text: &str) -> Result<ContactId, String> {
    ContactId::recorded(text).map_err(|error| format!("a contact id: {error}"))
}

/// Reads the digest of fields.
pub(super) fn read_digest(bytes: &[u8]) -> Result<Digest, String> {
    let bytes = bytes.try_into();
    bytes
        .map(Digest::from_bytes)
        .map_err(|_| "something that is not a digest of fields".to_owned())
}

fn read_state(word: &str) -> Result<State, String> {
    word.parse().map_err(|error| format!("a state: {error}"))
}

fn read_occurrence(text: &str) -> Result<Option<Occurrence>, String> {
    match text {
        "" => Ok(None),
        text => Occurrence::recorded(text)
            .map(Some)
            .map_err(|error| format!("an occurrence: {error}")),
    }
}

fn read_ids(json: &str) -> Result<Vec<ParticipationId>, String> {
    let texts: Vec<String> = serde_json::from_str(json).map_err(|error| error.to_string())?;
    let ids = texts.iter().map(ParticipationId::new);
    let ids = ids.collect::<Result<_, _>>();
    ids.map_err(|error| format!("an automationContactId: {error}"))
}

/// With what the record was last applied: rows of `applied`, and the rest of `meta`. What is no name of an automation can be
/// none of the configuration's.
pub(super) fn applied(
    path: &Path,
    rows: Vec<(String, String, Option<String>)>,
    (counted_from, moved): (Option<i64>, Option<String>),
    merged: Vec<(String, String)>,
) -> Result<Applied, RecordError> {
    let name = |name: &str| AutomationName::recorded(name).ok();
    let unreadable = |error: serde_json::Error| corrupt(path, format!("what was applied, {error}"));
    let mut with = BTreeMap::new();
    for (automation, sources, repeat_by) in rows {
        let sources = serde_json::from_str(&sources).map_err(unreadable)?;
        if let Some(name) = name(&automation) {
            with.insert(name, AppliedWith { sources, repeat_by });
        }
    }
    let moved: Option<Vec<(String, String)>> = moved
        .map(|text| serde_json::from_str(&text))
        .transpose()
        .map_err(unreadable)?;
    let moved = moved.unwrap_or_default();
    let moved = moved
        .iter()
        .filter_map(|(from, to)| Some((name(from)?, name(to)?)));
    let id = |text: &str| read_contact(text).map_err(|what| corrupt(path, what));
    let merged = merged
        .iter()
        .map(|(from, to)| Ok((id(from)?, id(to)?)))
        .collect::<Result<_, RecordError>>()?;
    Ok(Applied {
        merged,
        counted_from: counted_from.map(time),
        with,
        moved: moved.collect(),
    })
}

/// How many participations there are by automation and state.
pub(super) fn states(
    path: &Path,
    rows: Vec<(String, String, i64)>,
) -> Result<BTreeMap<(AutomationName, State), u64>, RecordError> {
    let mut states = BTreeMap::new();
    for (name, state, number) in rows {
        let state = read_state(&state).map_err(|what| corrupt(path, what))?;
        if let Ok(name) = AutomationName::recorded(&name) {
            states.insert((name, state), count(number));
        }
    }
    Ok(states)
}

/// Triggers, each with its contact, its automation and its time.
pub(super) fn triggers(
    path: &Path,
    rows: Vec<(String, String, i64)>,
) -> Result<Vec<(String, AutomationName, jiff::Timestamp)>, RecordError> {
    let rows = rows.into_iter().map(|(contact, name, at)| {
        // Not to count one would be to send one more.
        let name = AutomationName::recorded(&name);
        let name =
            name.map_err(|_| corrupt(path, "a call has a name of an automation that is none"))?;
        Ok((contact, name, time(at)))
    });
    rows.collect()
}

/// How many there are by automation.
pub(super) fn counts(rows: Vec<(String, i64)>) -> BTreeMap<AutomationName, u64> {
    let counts = rows
        .iter()
        .filter_map(|(name, number)| Some((AutomationName::recorded(name).ok()?, count(*number))));
    counts.collect()
}

/// A row of `run`: its id, the command, when it began and ended, and the Git revision.
pub(super) type RunRow = (i64, String, i64, Option<i64>, Option<String>);

/// Runs, with what came of their calls: the run, the outcome, how many.
pub(super) fn runs(rows: Vec<RunRow>, calls: &[(i64, String, i64)]) -> Vec<RecordedRun> {
    let runs = rows
        .into_iter()
        .map(|(id, command, started, ended, revision)| RecordedRun {
            command,
            started_at: time(started),
            ended_at: ended.map(time),
            git_revision: revision,
            calls: calls
                .iter()
                .filter(|(run, _, _)| *run == id)
                .map(|(_, outcome, count)| (outcome.clone(), *count))
                .collect(),
        });
    runs.collect()
}
