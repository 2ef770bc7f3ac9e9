//! A plan in parts: what becomes of a contact depends on no other one, until limits and ramps, so that parts are planned side by
//! side.

use std::collections::BTreeMap;
use std::iter::Peekable;
use std::ops::Range;
use std::sync::{Mutex, MutexGuard, PoisonError};

use super::{Given, Planner, elsewhere};
use crate::id::ContactId;
use crate::participation::Participation;
use crate::plan::{Action, Figures, Plan};
use crate::record::Merges;
use crate::roster::Roster;
use crate::threads;

/// Contacts that sort behind one another, and all that is to be planned of them.
pub(super) struct Part<R> {
    /// The places of their enrolments in the roster.
    pub(super) enrolments: Range<usize>,
    /// The places of their enrolments among those that are withheld.
    pub(super) withheld: Range<usize>,
    /// What is on record of them.
    pub(super) recorded: Option<R>,
    /// What is on record of them under ids that are not kept.
    pub(super) waiting: BTreeMap<ContactId, Vec<Participation>>,
}

/// What is still to be cut into parts.
struct Rest<'a, I: Iterator> {
    roster: &'a Roster<'a>,
    recorded: Peekable<I>,
    waiting: BTreeMap<ContactId, Vec<Participation>>,
    /// How many enrolments are in parts already, and how many of those that are withheld.
    begun: (usize, usize),
    parts: usize,
    /// Whether there is nothing left to cut.
    is_over: bool,
}

/// A part, and its place among all.
type Placed<R, E> = (usize, Result<Part<R>, E>);

impl<I, R, E> Rest<'_, I>
where
    I: Iterator<Item = Result<(ContactId, R), E>>,
{
    /// The next part.
    fn next(&mut self) -> Option<Placed<R, E>> {
        if self.is_over {
            return None;
        }
        let part = self.cut();
        self.parts += 1;
        Some((self.parts - 1, part))
    }

    /// Cuts off what goes from where the part before ends to where the next one begins on record.
    fn cut(&mut self) -> Result<Part<R>, E> {
        let recorded = self.recorded.next();
        let to = match self.recorded.peek() {
            Some(Ok((from, _))) => Some(from),
            _ => None,
        };
        self.is_over = to.is_none();
        let behind = to.map(|to| self.waiting.split_off(to)).unwrap_or_default();
        let end = match to {
            Some(to) => self.roster.before(to.as_str()),
            None => (self.roster.len(), self.roster.withheld().len()),
        };
        // Where parts are out of their order, their rows say so.
        let end = (end.0.max(self.begun.0), end.1.max(self.begun.1));
        let start = std::mem::replace(&mut self.begun, end);
        let recorded = recorded.transpose()?;
        if let Some(behind) = self.recorded.next_if(Result::is_err) {
            behind?;
        }
        Ok(Part {
            enrolments: start.0..end.0,
            withheld: start.1..end.1,
            recorded: recorded.map(|(_, recorded)| recorded),
            waiting: std::mem::replace(&mut self.waiting, behind),
        })
    }
}

/// What came of the parts.
struct Done<E> {
    whole: Whole,
    /// How many parts are in it.
    parts: usize,
    /// What comes behind a part that is still under way.
    early: BTreeMap<usize, Whole>,
    /// The first error of all, by the places of parts.
    error: Option<(usize, E)>,
}

/// A part of a plan, or all of it.
#[derive(Default)]
pub(super) struct Whole {
    pub(super) plan: Plan,
    /// What is stopped under an id that is not kept.
    pub(super) twice: Vec<Action>,
}

/// Plans all parts, and puts them together in their order.
pub(super) fn plan<I, R, E>(
    given: &Given<'_>,
    recorded: I,
    waiting: BTreeMap<ContactId, Vec<Participation>>,
) -> Result<Plan, E>
where
    I: Iterator<Item = Result<(ContactId, R), E>> + Send,
    R: Iterator<Item = Result<Participation, E>> + Send,
    E: Send,
{
    let mut rest = Rest {
        roster: given.roster,
        recorded: recorded.peekable(),
        waiting,
        begun: (0, 0),
        parts: 0,
        is_over: false,
    };
    let first = rest.next();
    let workers = match rest.is_over || threads::is_alone() {
        true => 1,
        false => threads::workers(),
    };
    let rest = Mutex::new((first, rest));
    let done = Mutex::new(Done {
        whole: Whole::default(),
        parts: 0,
        early: BTreeMap::new(),
        error: None,
    });
    // Whoever wants the next part waits until the record was read so far.
    let next = || {
        let (first, rest) = &mut *lock(&rest);
        first.take().or_else(|| rest.next())
    };
    threads::side_by_side(&vec![(); workers], |()| {
        while let Some((place, part)) = next() {
            let planned = part.and_then(|part| Planner::new(given, &part).plan(part));
            if planned.is_err() {
                // All parts before this one are planned, or under way.
                lock(&rest).1.is_over = true;
            }
            lock(&done).add(place, planned);
        }
    });
    let done = done.into_inner().unwrap_or_else(PoisonError::into_inner);
    match done.error {
        Some((_, error)) => Err(error),
        None => Ok(done.whole.finish(given.roster)),
    }
}

/// A panic of one thread is passed on once all are through.
fn lock<T>(of: &Mutex<T>) -> MutexGuard<'_, T> {
    of.lock().unwrap_or_else(PoisonError::into_inner)
}

impl<E> Done<E> {
    fn add(&mut self, place: usize, planned: Result<Whole, E>) {
        match planned {
            Ok(planned) => _ = self.early.insert(place, planned),
            Err(error) if self.error.as_ref().is_none_or(|(first, _)| place < *first) => {
                self.error = Some((place, error));
            }
            Err(_) => {}
        }
        while let Some(next) = self.early.remove(&self.parts) {
            self.whole.append(next);
            self.parts += 1;
        }
    }
}

impl Whole {
    /// Adds what comes behind it.
    fn append(&mut self, next: Whole) {
        self.plan.append(next.plan);
        self.twice.extend(next.twice);
    }

    fn finish(self, roster: &Roster<'_>) -> Plan {
        let mut plan = self.plan;
        if !self.twice.is_empty() {
            elsewhere::put_in(&mut plan.actions, self.twice, roster);
        }
        plan
    }
}

/// Adds numbers to those of the same.
fn add<K: Ord>(to: &mut BTreeMap<K, u64>, more: BTreeMap<K, u64>) {
    for (of, count) in more {
        *to.entry(of).or_default() += count;
    }
}

impl Plan {
    /// Adds the plan of contacts that sort behind its own.
    fn append(&mut self, next: Plan) {
        // None is forgotten that is yet to come.
        let Plan {
            actions,
            deferred,
            let_go,
            held,
            withheld,
            unlisted,
            turns,
            marks,
            by_record,
            displaced,
            unchanged,
            running,
            figures,
            moved,
            moves: _,
            merged,
            merges: Merges { ids, rows },
            counted_since: _,
            gone,
            released,
            released_by,
            reshaped,
            tried,
        } = next;
        self.actions.extend(actions);
        self.deferred.extend(deferred);
        self.let_go.extend(let_go);
        self.held.extend(held);
        self.withheld.extend(withheld);
        self.unlisted.extend(unlisted);
        self.turns.extend(turns);
        self.marks.extend(marks);
        self.by_record.extend(by_record);
        self.displaced.extend(displaced);
        self.unchanged += unchanged;
        add(&mut self.running, running);
        for (of, more) in figures {
            self.figures.entry(of).or_default().add(more);
        }
        add(&mut self.moved, moved);
        add(&mut self.merged, merged);
        self.merges.ids.extend(ids);
        self.merges.rows.extend(rows);
        self.gone.append(gone);
        self.released.extend(released);
        self.released_by.extend(released_by);
        add(&mut self.reshaped, reshaped);
        self.tried.extend(tried);
    }
}

impl Figures {
    fn add(&mut self, more: Figures) {
        let Figures {
            running,
            triggered,
            gone,
            gone_suppressed,
            over,
            leaving,
            returning,
            ended,
            ended_gone,
        } = more;
        self.running += running;
        self.triggered += triggered;
        self.gone += gone;
        self.gone_suppressed += gone_suppressed;
        self.over += over;
        self.leaving += leaving;
        self.returning += returning;
        self.ended += ended;
        self.ended_gone += ended_gone;
    }
}
