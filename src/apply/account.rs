//! What the answers of a run say of the account that was asked: whether it is the one that these contacts are in.

use std::sync::Mutex;

use super::gate::Return;
use super::lock;
use super::meaning::{Meaning, Sign};
use crate::record::CallKind;

/// Where so many calls of a kind are answered and all of their contacts are unknown, it is probably another account.
const ENOUGH: usize = 10;

/// What was seen of the account so far.
#[derive(Default)]
pub(super) struct Account(Mutex<Seen>);

#[derive(Default)]
struct Seen {
    /// Triggers whose contact is not known.
    triggers: usize,
    /// Stops whose contact is not known.
    stops: usize,
    /// Whether a trigger was answered otherwise.
    other_trigger: bool,
    /// Whether any call came to something else.
    other: bool,
    /// Whether a contact was found to be known.
    knows_any: bool,
    /// Whether a contact that is not known was not known to be so before.
    is_news: bool,
}

impl Seen {
    fn refuses(&self, kind: CallKind) -> bool {
        match kind {
            CallKind::Trigger => self.triggers >= ENOUGH && !self.other_trigger,
            CallKind::Stop => self.stops >= ENOUGH && !self.knows_any,
        }
    }
}

impl Account {
    /// Takes note of what a call came to. Returns whether no more calls of its kind are to be made because of it.
    pub(super) fn note(&self, kind: CallKind, meaning: &Meaning, was_waiting: bool) -> bool {
        let mut seen = lock(&self.0);
        let before = seen.refuses(kind);
        let is_answered = meaning.returned == Return::Answered;
        match (meaning.sign, kind) {
            (Sign::NotCarriedOut, _) => {}
            (Sign::Unknown, CallKind::Trigger) => seen.triggers += 1,
            (Sign::Unknown, CallKind::Stop) => seen.stops += 1,
            (Sign::Known | Sign::Nothing, _) => {
                seen.other = true;
                seen.other_trigger |= is_answered && kind == CallKind::Trigger;
            }
        }
        seen.knows_any |= meaning.sign == Sign::Known;
        seen.is_news |= meaning.sign == Sign::Unknown && !was_waiting;
        !before && seen.refuses(kind)
    }

    /// Whether it knows any contact at all.
    pub(super) fn knows_any(&self) -> bool {
        lock(&self.0).knows_any
    }

    /// Whether no more calls of a kind are to be made.
    pub(super) fn refuses(&self, kind: CallKind) -> bool {
        lock(&self.0).refuses(kind)
    }

    /// How many contacts were asked for and are all unknown, where one of them was not known to be so before. Who only
    /// tries those again that wait has said so the first time.
    pub(super) fn strangers(&self) -> Option<usize> {
        let seen = lock(&self.0);
        let count = seen.triggers + seen.stops;
        (count > 0 && !seen.other && seen.is_news).then_some(count)
    }
}

/// Why a call is not made.
pub(super) fn refusal(kind: CallKind) -> String {
    format!(
        "not sent, because Spotler knew none of the contacts of the first {ENOUGH} {}s of this run",
        kind.as_str()
    )
}
