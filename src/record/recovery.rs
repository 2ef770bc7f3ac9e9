//! What an open call means: it may have been carried out, and nobody knows.

use std::collections::{BTreeMap, HashMap, VecDeque};

use jiff::Timestamp;

use super::batch::{Batch, StateChange, Whole};
use super::call::{CallId, CallKind, CallOutcome, Settlement};
use super::error::{DEAD_AFTER, Holder, RecordError};
use super::host;
use super::participation::{Key, State, StopOutcome, TriggerOutcome, UNDER_WAY};
use super::read::Listed;
use crate::clock::Clock;
use crate::digest::Digest;
use crate::failpoint::{Planted, is_planted};
use crate::id::{ContactId, TriggerCode};

/// The detail of a call that was left open.
pub(super) const LEFT_OPEN: &str = "the run ended before an answer was recorded";

/// A call that is under way, or was left so by a run that is gone.
#[derive(Debug, Clone)]
pub(super) struct OpenCall {
    pub id: CallId,
    pub kind: CallKind,
    /// What it is for.
    pub key: Key,
    /// Whether it is for all of the contact's participations behind the trigger code, whatever their occurrence.
    pub all: bool,
    pub trigger_code: TriggerCode,
    pub fields: Option<Digest>,
    pub sent_at: Timestamp,
}

/// A call that an earlier run left open.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct LeftOpen {
    /// Its number.
    pub id: CallId,
    /// `trigger` or `stop`.
    pub kind: String,
    /// The contact.
    pub contact: String,
    /// The automation.
    pub automation: String,
    /// The occurrence, where it is of one.
    pub occurrence: Option<String>,
}

impl OpenCall {
    fn left(&self) -> LeftOpen {
        let occurrence = self.key.occurrence.as_ref();
        LeftOpen {
            id: self.id,
            kind: self.kind.as_str().to_owned(),
            contact: self.key.contact.to_string(),
            automation: self.key.automation.to_string(),
            occurrence: occurrence.map(ToString::to_string),
        }
    }
}

/// Lays the open calls of a contact over what is on record of it, and adds to a batch what changes by that.
fn lay_over(calls: &[OpenCall], detail: &str, on_record: &mut Vec<Listed>, batch: &mut Batch) {
    let is_trigger = |call: &&OpenCall| call.kind == CallKind::Trigger;
    let keys = on_record.iter().map(|of| of.participation.key.clone());
    let mut by_key: HashMap<Key, usize> = keys.zip(0..).collect();
    // What a trigger may have started, a stop may have ended.
    for call in calls.iter().filter(is_trigger) {
        let whole = Whole {
            key: call.key.clone(),
            state: State::Uncertain,
            trigger_code: call.trigger_code.clone(),
            ids: Vec::new(),
            fields: call.fields,
            detail: Some(detail.to_owned()),
            triggered_at: Some(call.sent_at),
        };
        match by_key.get(&call.key) {
            Some(place) => {
                let listed = &mut on_record[*place];
                *listed = whole.over(call.sent_at, Some(listed));
            }
            None => {
                by_key.insert(call.key.clone(), on_record.len());
                on_record.push(whole.over(call.sent_at, None));
            }
        }
        batch.participations.push(whole);
    }
    // The call that stops all goes by trigger code, and reaches other automations with the same code.
    let mut by_code: HashMap<(ContactId, TriggerCode), Vec<usize>> = HashMap::new();
    for (place, listed) in on_record.iter().enumerate() {
        let of = &listed.participation;
        let of_code = by_code.entry((of.key.contact.clone(), of.trigger_code.clone()));
        of_code.or_default().push(place);
    }
    for call in calls.iter().filter(|call| !is_trigger(call)) {
        let places = match call.all {
            true => by_code.get(&(call.key.contact.clone(), call.trigger_code.clone())),
            false => None,
        };
        let one = by_key.get(&call.key).filter(|_| !call.all);
        for place in places.into_iter().flatten().chain(one) {
            let listed = &mut on_record[*place];
            let of = &listed.participation;
            if of.state.may_be_stopped() {
                let (key, before) = (of.key.clone(), Some(of.state));
                let detail = Some(detail.to_owned());
                let change = StateChange::new(key, before, State::StopUncertain, detail);
                change.write_over(call.sent_at, listed);
                batch.states.push(change);
            }
        }
    }
}

/// The calls that have no outcome on record, by contact, and what is reported about them.
#[derive(Debug, Default)]
pub(super) struct OpenCalls {
    by_contact: BTreeMap<ContactId, Vec<OpenCall>>,
    detail: String,
}

impl OpenCalls {
    /// Calls, and who holds the lock.
    pub fn new(calls: Vec<OpenCall>, holder: Option<&Holder>, clock: &Clock) -> Self {
        let mut by_contact: BTreeMap<ContactId, Vec<OpenCall>> = BTreeMap::new();
        for call in calls {
            let contact = call.key.contact.clone();
            by_contact.entry(contact).or_default().push(call);
        }
        let detail = open_detail(holder, clock);
        Self { by_contact, detail }
    }

    /// Settles all of them as in doubt, given what is on record of their contacts. Only for the holder of the lock: no other
    /// run can have them under way.
    pub fn settle(self, mut on_record: Vec<Listed>, clock: &Clock) -> (Batch, Vec<LeftOpen>) {
        let mut batch = Batch::now(clock);
        let mut calls: Vec<OpenCall> = self.by_contact.into_values().flatten().collect();
        calls.sort_by_key(|call| call.id);
        if !is_planted(Planted::OpenForgotten) {
            lay_over(&calls, LEFT_OPEN, &mut on_record, &mut batch);
        }
        let settled = calls.iter().map(|call| {
            let outcome = match call.kind {
                CallKind::Trigger => CallOutcome::Trigger(TriggerOutcome::Uncertain),
                CallKind::Stop => CallOutcome::Stop(StopOutcome::Uncertain),
            };
            let settlement = Settlement {
                outcome,
                http_status: None,
                detail: Some(LEFT_OPEN.to_owned()),
                entries: None,
                ids: Vec::new(),
            };
            (call.id, settlement)
        });
        batch.settled = settled.collect();
        let left = calls.iter().map(OpenCall::left).collect();
        (batch, left)
    }

    pub fn is_empty(&self) -> bool {
        self.by_contact.is_empty()
    }

    /// Takes out those of some contacts.
    pub fn of_contacts(&mut self, contacts: &[ContactId]) -> Self {
        let by_contact = contacts.iter();
        let by_contact = by_contact.filter_map(|of| self.by_contact.remove_entry(of));
        Self {
            by_contact: by_contact.collect(),
            detail: self.detail.clone(),
        }
    }

    /// Takes out those of contacts that sort before this one, or of all.
    pub fn before(&mut self, contact: Option<&ContactId>) -> Self {
        let behind = contact.map(|contact| self.by_contact.split_off(contact));
        Self {
            by_contact: std::mem::replace(&mut self.by_contact, behind.unwrap_or_default()),
            detail: self.detail.clone(),
        }
    }

    /// Whose come first.
    pub fn first(&self) -> Option<&ContactId> {
        self.by_contact
            .first_key_value()
            .map(|(contact, _)| contact)
    }

    /// Whose they are.
    pub fn contacts(&self) -> Vec<ContactId> {
        self.by_contact.keys().cloned().collect()
    }

    /// Lays them over what is on record, which is sorted by contact.
    pub fn over<I: Iterator<Item = Result<Listed, RecordError>>>(self, rows: I) -> Overlaid<I> {
        Overlaid {
            open: self,
            rows: rows.peekable(),
            ready: VecDeque::new(),
        }
    }

    fn of(&self, calls: &[OpenCall], mut on_record: Vec<Listed>) -> VecDeque<Listed> {
        let mut batch = Batch::default();
        lay_over(calls, &self.detail, &mut on_record, &mut batch);
        on_record.into()
    }
}

/// What is on record, with open calls laid over it.
///
/// What is open and not on record yet comes behind the rest of its contact: a plan needs what belongs to one contact
/// together, and sorts it itself.
pub(super) struct Overlaid<I: Iterator> {
    open: OpenCalls,
    rows: std::iter::Peekable<I>,
    ready: VecDeque<Listed>,
}

impl<I: Iterator<Item = Result<Listed, RecordError>>> Iterator for Overlaid<I> {
    type Item = I::Item;

    fn next(&mut self) -> Option<I::Item> {
        if self.open.is_empty() && self.ready.is_empty() {
            return self.rows.next();
        }
        loop {
            if let Some(listed) = self.ready.pop_front() {
                return Some(Ok(listed));
            }
            let open = self.open.by_contact.first_key_value();
            let open = open.map(|(contact, _)| contact.clone());
            let next = match self.rows.peek() {
                Some(Err(_)) => return self.rows.next(),
                Some(Ok(listed)) => Some(&listed.participation.key.contact),
                None => None,
            };
            let contact = match (open, next) {
                (None, _) => return self.rows.next(),
                (Some(open), Some(next)) if *next < open => return self.rows.next(),
                (Some(open), _) => open,
            };
            let mut on_record = Vec::new();
            let is_its =
                |row: &I::Item| matches!(row, Ok(of) if of.participation.key.contact == contact);
            while let Some(Ok(listed)) = self.rows.next_if(is_its) {
                on_record.push(listed);
            }
            let calls = self.open.by_contact.remove(&contact).unwrap_or_default();
            self.ready = self.open.of(&calls, on_record);
        }
    }
}

/// What is reported about calls that have no outcome yet: whether a run waits for their answers.
pub(super) fn open_detail(holder: Option<&Holder>, clock: &Clock) -> String {
    let is_at_work = |holder: &Holder| match &holder.process {
        Some(process) if holder.host == host::name() => host::is_alive(holder.pid, process),
        // By clocks that may differ, which only words depend on.
        _ => {
            let age = (clock.real)()
                .duration_since(holder.heartbeat_at)
                .unsigned_abs();
            age < DEAD_AFTER
        }
    };
    match holder {
        Some(holder) if is_at_work(holder) => {
            format!("{UNDER_WAY} (process {} on {})", holder.pid, holder.host)
        }
        _ => LEFT_OPEN.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::id::AutomationName;
    use crate::participation::Participation;

    fn key(contact: &str, automation: &str) -> Key {
        Key {
            contact: ContactId::new(contact).unwrap(),
            automation: AutomationName::new(automation).unwrap(),
            occurrence: None,
        }
    }

    fn code() -> TriggerCode {
        TriggerCode::new("code").unwrap()
    }

    fn listed(contact: &str, automation: &str, state: State) -> Listed {
        Listed {
            participation: Participation {
                key: key(contact, automation),
                state,
                trigger_code: code(),
                fields: None,
                has_ids: true,
                detail: None,
                triggered_at: None,
                left_at: None,
                tries: 0,
                gone_at: None,
                released_at: None,
                triggered_as: None,
            },
            changed_at: Timestamp::UNIX_EPOCH,
            ids: Vec::new(),
        }
    }

    fn open(id: i64, kind: CallKind, contact: &str, all: bool) -> OpenCall {
        OpenCall {
            id: CallId(id),
            kind,
            key: key(contact, "welcome"),
            all,
            trigger_code: code(),
            fields: None,
            sent_at: Timestamp::UNIX_EPOCH,
        }
    }

    /// What a reader sees of a record, with calls that are open: `c-1 / welcome uncertain`.
    fn seen(calls: Vec<OpenCall>, on_record: Vec<Listed>) -> Vec<String> {
        let open = OpenCalls::new(calls, None, &Clock::system());
        let rows = on_record.into_iter().map(Ok::<_, RecordError>);
        let seen = open.over(rows).map(|row| {
            let of = row.unwrap().participation;
            format!("{} {}", of.key, of.state)
        });
        seen.collect()
    }

    #[test]
    fn an_open_trigger_is_a_doubt_also_where_nothing_is_on_record_yet() {
        let calls = vec![
            open(1, CallKind::Trigger, "c-1", false),
            open(2, CallKind::Trigger, "c-3", false),
        ];
        let on_record = vec![
            listed("c-1", "welcome", State::Stopped),
            listed("c-2", "welcome", State::Active),
        ];
        assert_eq!(
            seen(calls, on_record),
            [
                "c-1 / welcome uncertain",
                "c-2 / welcome active",
                "c-3 / welcome uncertain"
            ]
        );
    }

    #[test]
    fn an_open_stop_of_all_is_a_doubt_about_all_behind_its_code() {
        let on_record = || {
            vec![
                listed("c-1", "welcome", State::Active),
                listed("c-1", "winback", State::Active),
                listed("c-2", "welcome", State::Active),
            ]
        };
        assert_eq!(
            seen(vec![open(1, CallKind::Stop, "c-1", true)], on_record()),
            [
                "c-1 / welcome stop-uncertain",
                "c-1 / winback stop-uncertain",
                "c-2 / welcome active"
            ]
        );
        let of_one = seen(vec![open(1, CallKind::Stop, "c-1", false)], on_record());
        assert_eq!(of_one[1], "c-1 / winback active");
    }

    #[test]
    fn what_a_trigger_may_have_started_an_open_stop_may_have_ended() {
        let calls = vec![
            open(2, CallKind::Stop, "c-1", true),
            open(1, CallKind::Trigger, "c-1", false),
        ];
        assert_eq!(seen(calls, Vec::new()), ["c-1 / welcome stop-uncertain"]);
    }

    #[test]
    fn the_next_run_closes_each_call_as_uncertain_and_names_it() {
        let calls = vec![
            open(2, CallKind::Stop, "c-2", false),
            open(1, CallKind::Trigger, "c-1", false),
        ];
        let on_record = vec![listed("c-2", "welcome", State::Active)];
        let open = OpenCalls::new(calls, None, &Clock::system());
        let (batch, left) = open.settle(on_record, &Clock::system());
        let closed: Vec<_> = batch
            .settled
            .iter()
            .map(|(id, of)| (id.0, of.outcome))
            .collect();
        let trigger = CallOutcome::Trigger(TriggerOutcome::Uncertain);
        let stop = CallOutcome::Stop(StopOutcome::Uncertain);
        assert_eq!(closed, [(1, trigger), (2, stop)]);
        let named = left.iter().map(|of| format!("{} {}", of.kind, of.contact));
        assert_eq!(named.collect::<Vec<_>>(), ["trigger c-1", "stop c-2"]);
    }
}
