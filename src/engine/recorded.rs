//! The record as queries over sources ask it.

use std::collections::HashMap;

use jiff::Timestamp;

use super::{Engine, Error};
use crate::participation::{Key, State};
use crate::record::Selection;
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

impl Engine {
    /// What is on record, where a query over sources asks that; `None` where there is no record, or nobody asks. It goes through
    /// all calls ever made.
    ///
    /// # Errors
    /// That it cannot be read, or that an apply would refuse it.
    pub(super) async fn recorded(&self) -> Result<Option<Vec<RecordRow>>, Error> {
        let (config, now) = (self.config, self.now());
        if !config.asks_record() {
            return Ok(None);
        }
        let would =
            "A query over sources asks it, and would take who is not on it for somebody new.";
        let checked = self.check().await.map_err(Error::NotPlanned)?;
        checked.refuse(would).map_err(Error::NotPlanned)?;
        self.refuse_lost(&checked, would)?;
        if checked.is_missing() {
            return Ok(None);
        }
        let rows = async {
            let mut listing = self.record.listing(Selection::default()).await?;
            let mut calls = self.record.calls(None).await?;
            super::plan::apart("record", move || {
                let mut last: HashMap<(String, String, String), Last> = HashMap::new();
                for call in &mut calls {
                    let call = call?;
                    let outcome = call.outcome.as_deref();
                    let key = (
                        call.contact,
                        call.automation,
                        call.occurrence.unwrap_or_default(),
                    );
                    let last = last.entry(key).or_default();
                    match (call.kind.as_str(), outcome) {
                        ("trigger", Some("active")) => last.carried_out = Some(call.sent_at),
                        ("trigger", None | Some("uncertain")) => last.in_doubt = Some(call.sent_at),
                        ("stop", Some("stopped")) => last.stopped = Some(call.sent_at),
                        _ => {}
                    }
                }
                let rows = (&mut listing).map(|listed| {
                    let listed = listed?;
                    let of = listed.participation;
                    let last = |occurrence: &str| {
                        let key = (
                            of.key.contact.as_str().to_owned(),
                            of.key.automation.as_str().to_owned(),
                            occurrence.to_owned(),
                        );
                        last.get(&key).copied().unwrap_or_default()
                    };
                    let occurrence = of.key.occurrence.as_ref().map(|of| of.as_str());
                    // A stop without an occurrence stops all.
                    let (own, all) = (last(occurrence.unwrap_or_default()), last(""));
                    let ends_at = of.ends_at(config.runs_for(&of.key.automation));
                    // By the clock, as the plan sees it, also where no apply has noted it yet.
                    let (state, ended) = match of.state {
                        State::Ended => (of.state, Some(ends_at.unwrap_or(listed.changed_at))),
                        state => match ends_at.filter(|at| *at <= now) {
                            Some(at) => (State::Ended, Some(at)),
                            None => (state, None),
                        },
                    };
                    Ok(row(
                        &of.key,
                        state,
                        own,
                        all.stopped.max(own.stopped),
                        listed.changed_at,
                        ended,
                    ))
                });
                rows.collect::<Result<Vec<RecordRow>, crate::record::RecordError>>()
            })
            .await
        };
        let mut rows = rows.await?.map_err(Error::NotPlanned)?;
        for row in &mut rows {
            // Under the name that it takes with the next apply, as plans show it already.
            let names = config.automations.iter().map(|of| of.name.as_str());
            let is_configured = names.into_iter().any(|name| name == row.automation);
            let name = crate::id::AutomationName::new(&row.automation).ok();
            if let (false, Some(to)) = (
                is_configured,
                name.and_then(|name| config.moved_to(&name).cloned()),
            ) {
                row.automation = to.as_str().to_owned();
            }
        }
        Ok(Some(rows))
    }
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
