//! The record as queries over sources ask it.

use std::collections::HashMap;

use jiff::Timestamp;

use super::{Checked, Engine, Error};
use crate::config::Config;
use crate::participation::{Key, State};
use crate::record::{Call, Listed, Participations, Snapshot};
use crate::source::{RecordRow, Recorded};

/// The record as the roster is given it; `None` where there is none.
pub(super) fn as_recorded(rows: Option<&[RecordRow]>) -> Recorded<'_> {
    rows.map_or(Recorded::Empty("there is none yet"), Recorded::Rows)
}

/// The last calls of a participation.
#[derive(Debug, Default, Clone, Copy)]
struct Last {
    carried_out: Option<Timestamp>,
    in_doubt: Option<Timestamp>,
    stopped: Option<Timestamp>,
}

impl Last {
    fn see(&mut self, call: &Call) {
        match (call.kind.as_str(), call.outcome.as_deref()) {
            ("trigger", Some("active")) => self.carried_out = Some(call.sent_at),
            ("trigger", None | Some("uncertain")) => self.in_doubt = Some(call.sent_at),
            ("stop", Some("stopped")) => self.stopped = Some(call.sent_at),
            _ => {}
        }
    }
}

impl Last {
    fn with(self, other: Self) -> Self {
        Self {
            carried_out: self.carried_out.max(other.carried_out),
            in_doubt: self.in_doubt.max(other.in_doubt),
            stopped: self.stopped.max(other.stopped),
        }
    }
}

/// The last calls of each participation: by contact, automation and occurrence.
type Calls = HashMap<(String, String, String), Last>;

impl Engine {
    /// The record at one moment, where a query over sources asks it, and what the query is given; `None` where nobody asks. It
    /// goes through all calls ever made.
    ///
    /// # Errors
    /// That it cannot be read, or that an apply would refuse it.
    pub(super) async fn recorded(
        &self,
    ) -> Result<Option<((Checked, Snapshot), Option<Vec<RecordRow>>)>, Error> {
        if !self.config.asks_record() {
            return Ok(None);
        }
        let would =
            "A query over sources asks it, and would take who is not on it for somebody new.";
        let checked = self.check().await.map_err(Error::NotPlanned)?;
        checked.refuse(would).map_err(Error::NotPlanned)?;
        self.refuse_lost(&checked, would)?;
        let mut calls = Calls::new();
        let snapshot = self.record.snapshot_and_calls(|call| {
            let key = (
                call.contact.clone(),
                call.automation.clone(),
                call.occurrence.clone().unwrap_or_default(),
            );
            calls.entry(key).or_default().see(&call);
        });
        let mut snapshot = snapshot.await.map_err(Error::NotPlanned)?;
        if checked.is_missing() {
            return Ok(Some(((checked, snapshot), None)));
        }
        let kept: HashMap<&str, &str> = (snapshot.merged.iter())
            .map(|(from, to)| (from.as_str(), to.as_str()))
            .collect();
        if !kept.is_empty() {
            // Calls keep the id by which they were made.
            for ((contact, automation, occurrence), last) in std::mem::take(&mut calls) {
                let contact = kept
                    .get(contact.as_str())
                    .map_or(contact.clone(), |to| (*to).to_owned());
                let of = calls.entry((contact, automation, occurrence)).or_default();
                *of = of.with(last);
            }
        }
        let (config, now) = (self.config, self.now());
        let (participations, rows) = super::plan::apart("record", move || {
            let listed = snapshot.participations.listed()?;
            let rows = listed.iter().map(|of| row_of(of, &calls, config, now));
            let rows: Vec<RecordRow> = rows.collect();
            Ok((Participations::of(listed), rows))
        })
        .await?
        .map_err(Error::NotPlanned)?;
        snapshot.participations = participations;
        Ok(Some(((checked, snapshot), Some(rows))))
    }
}

/// A participation as a query sees it: by the clock and under the name that it has with the next apply, as the plan sees it.
fn row_of(listed: &Listed, calls: &Calls, config: &Config, now: Timestamp) -> RecordRow {
    let of = &listed.participation;
    let (contact, name) = (of.key.contact.as_str(), &of.key.automation);
    let last = |occurrence: &str| {
        let key = (
            contact.to_owned(),
            name.as_str().to_owned(),
            occurrence.to_owned(),
        );
        calls.get(&key).copied().unwrap_or_default()
    };
    let occurrence = of.key.occurrence.as_ref().map(|of| of.as_str());
    // A stop without an occurrence stops all.
    let (own, all) = (last(occurrence.unwrap_or_default()), last(""));
    let runs_for = config.runs_for(name);
    let ends_at = of.ends_at(runs_for);
    let (state, ended) = match of.state {
        State::Ended if of.runs_again(runs_for, now) => (State::Active, None),
        State::Ended => (of.state, Some(ends_at.unwrap_or(listed.changed_at))),
        state => match ends_at.filter(|at| *at <= now) {
            Some(at) => (State::Ended, Some(at)),
            None => (state, None),
        },
    };
    let stopped = all.stopped.max(own.stopped);
    let mut row = row(&of.key, state, own, stopped, listed.changed_at, ended);
    let is_configured = config.automations.iter().any(|of| of.name == *name);
    if let (false, Some(to)) = (is_configured, config.moved_to(name)) {
        row.automation = to.as_str().to_owned();
    }
    row
}

fn row(
    key: &Key,
    state: State,
    own: Last,
    stopped: Option<Timestamp>,
    changed: Timestamp,
    ended: Option<Timestamp>,
) -> RecordRow {
    // A doubt that was settled as not sent leaves a participation that failed.
    let was_not_sent = matches!(
        state,
        State::Failed | State::FailedForGood | State::Waiting | State::Withheld
    );
    let triggered = match was_not_sent {
        true => own.carried_out,
        false => own.carried_out.max(own.in_doubt),
    };
    let stopped = (state == State::Stopped).then(|| stopped.unwrap_or(changed));
    let text = |at: Timestamp| at.strftime("%Y-%m-%dT%H:%M:%SZ").to_string();
    RecordRow {
        contact: key.contact.as_str().to_owned(),
        automation: key.automation.as_str().to_owned(),
        occurrence: key.occurrence.as_ref().map(|of| of.as_str().to_owned()),
        state: state.as_str(),
        triggered_at: triggered.map(text),
        stopped_at: stopped.map(text),
        ended_at: ended.map(text),
    }
}
