//! All participations for a plan, in batches of a few dozen bytes a row, so that a thread can read far ahead of the plan.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::mpsc;

use rusqlite::Row;
use rusqlite::types::ValueRef;

use super::error::RecordError;
use super::participation::{Key, Participation, State};
use super::read::{corrupt, failed, occurrence_of, read_digest, time};
use crate::digest::Digest;
use crate::id::{AutomationName, ContactId, TriggerCode};

/// What a plan needs of each. Every column of a million costs, so what most rows have fits in one number, and what few
/// have is an array beside those who have it.
pub(super) const COLUMNS: &str = "contact, triggered_at, fields, \
     CASE WHEN state = 'active' AND occurrence = '' AND left_at IS NULL AND gone_at IS NULL \
     THEN automation | (trigger_code << 31) | ((ids IS NOT NULL) << 62) \
     ELSE json_array(automation, trigger_code, ids IS NOT NULL, occurrence, state, detail, left_at, tries, gone_at) END";

/// How many bits of that number an automation has, and as many a trigger code. Numbers on record are counted from 1.
const BITS: u32 = 31;

/// That array.
type Array = (
    i64,
    i64,
    i64,
    String,
    String,
    Option<String>,
    Option<i64>,
    u32,
    Option<i64>,
);

/// So many participations pass from the record to a plan at once: few enough that their memory is used again, and not
/// asked of the system for each batch.
const BATCH: usize = 1024;

/// So many such batches wait for a plan at the most, while the roster is still being made: 16 million participations, of
/// some 24 bytes each. Where the record had to wait for a roster of millions, one of two processors would be idle first,
/// and the other one later.
const BATCHES_AHEAD: usize = 16 << 10;

/// Names and codes by their numbers on record.
#[derive(Debug, Default)]
pub(super) struct Numbered {
    pub(super) automations: Vec<Option<AutomationName>>,
    pub(super) codes: Vec<Option<TriggerCode>>,
}

impl Numbered {
    fn automation(&self, path: &Path, number: u16) -> Result<AutomationName, RecordError> {
        let name = self.automations.get(usize::from(number)).cloned().flatten();
        name.ok_or_else(|| corrupt(path, format!("an automation with the number {number}")))
    }

    fn code(&self, path: &Path, number: u16) -> Result<TriggerCode, RecordError> {
        let code = self.codes.get(usize::from(number)).cloned().flatten();
        code.ok_or_else(|| corrupt(path, format!("a trigger code with the number {number}")))
    }
}

/// Both ends of a stream.
pub(super) fn channel(path: &Path, numbered: Arc<Numbered>) -> (Sender, Participations) {
    let (sender, receiver) = mpsc::sync_channel(BATCHES_AHEAD);
    let participations = Participations {
        path: path.to_owned(),
        batches: receiver,
        unpacked: Unpacked::new(Batch::default(), numbered),
    };
    let sender = Sender {
        path: path.to_owned(),
        batches: sender,
        batch: Batch::default(),
        last: None,
    };
    (sender, participations)
}

/// Participations as they pass from thread to thread.
#[derive(Default)]
struct Batch {
    /// The contacts, one behind the other.
    contacts: String,
    rows: Vec<Packed>,
    /// What those rows have that have anything of the kind, in their order.
    few: Vec<Few>,
    /// Those that a call under way changes, in their order.
    whole: Vec<Participation>,
}

/// A participation.
#[derive(Clone, Copy)]
struct Packed {
    /// [`NEVER`] where that is not known.
    triggered_at: i64,
    /// How long its contact's id is; 0 where it is that of the row before.
    contact: u16,
    automation: u16,
    code: u16,
    state: State,
    flags: u8,
}

/// Stands for no time.
const NEVER: i64 = i64::MIN;

/// Spotler gave an id.
const HAS_IDS: u8 = 1;
/// The next one of [`Batch::few`] belongs to it.
const HAS_MORE: u8 = 2;
/// It is the next one of [`Batch::whole`], and nothing else.
const IS_WHOLE: u8 = 4;

/// What few rows have.
#[derive(Default)]
struct Few {
    occurrence: Option<Box<str>>,
    fields: Option<Digest>,
    detail: Option<Box<str>>,
    left_at: Option<i64>,
    tries: u32,
    gone_at: Option<i64>,
}

impl Few {
    fn has_any(&self) -> bool {
        let Self {
            occurrence,
            fields,
            detail,
            left_at,
            tries,
            gone_at,
        } = self;
        occurrence.is_some()
            || fields.is_some()
            || detail.is_some()
            || left_at.is_some()
            || *tries > 0
            || gone_at.is_some()
    }
}

/// Where participations go to.
pub(super) struct Sender {
    path: PathBuf,
    batches: mpsc::SyncSender<Result<Batch, RecordError>>,
    batch: Batch,
    /// Where the contact of the row before starts, where that is in the same batch.
    last: Option<usize>,
}

/// That nobody listens any more.
pub(super) struct Gone;

impl Sender {
    /// Adds a row of [`COLUMNS`], of which the contact is read already.
    pub(super) fn row(
        &mut self,
        contact: &str,
        row: &Row<'_>,
    ) -> Result<Result<(), Gone>, RecordError> {
        let packed = self.pack(contact, row)?;
        self.batch.rows.push(packed);
        Ok(self.sent_if_full())
    }

    /// Adds a participation that no row alone tells.
    pub(super) fn whole(&mut self, participation: Participation) -> Result<(), Gone> {
        self.batch.rows.push(Packed {
            triggered_at: NEVER,
            contact: 0,
            automation: 0,
            code: 0,
            state: participation.state,
            flags: IS_WHOLE,
        });
        self.batch.whole.push(participation);
        self.last = None;
        self.sent_if_full()
    }

    /// Sends what is left, or why there is no more.
    pub(super) fn end(self, result: Result<(), RecordError>) {
        // Who no longer listens needs neither.
        let _ = self.batches.send(Ok(self.batch));
        if let Err(error) = result {
            let _ = self.batches.send(Err(error));
        }
    }

    fn sent_if_full(&mut self) -> Result<(), Gone> {
        if self.batch.rows.len() < BATCH {
            return Ok(());
        }
        let fresh = Batch {
            contacts: String::with_capacity(self.batch.contacts.len()),
            rows: Vec::with_capacity(BATCH),
            ..Batch::default()
        };
        let full = std::mem::replace(&mut self.batch, fresh);
        self.last = None;
        self.batches.send(Ok(full)).map_err(|_| Gone)
    }

    fn pack(&mut self, contact: &str, row: &Row<'_>) -> Result<Packed, RecordError> {
        let failed = failed(&self.path);
        let batch = &mut self.batch;
        let is_same = self
            .last
            .is_some_and(|last| batch.contacts.get(last..) == Some(contact));
        // Most contacts are in several automations.
        let len = match is_same {
            true => 0,
            false => match u16::try_from(contact.len()) {
                Ok(len @ 1..) => {
                    self.last = Some(batch.contacts.len());
                    batch.contacts.push_str(contact);
                    len
                }
                _ => {
                    let what = "a contact id without or with very many letters";
                    return Err(corrupt(&self.path, what.to_owned()));
                }
            },
        };
        let fields = row.get_ref(2).map_err(&failed)?;
        let fields = fields.as_blob_or_null().map_err(|e| failed(e.into()))?;
        let mut few = Few {
            fields: read_digest(fields),
            ..Few::default()
        };
        let mut state = State::Active;
        let (automation, code, has_ids) = match row.get_ref(3).map_err(&failed)? {
            ValueRef::Integer(number) => {
                let low = |number: i64| number & ((1 << BITS) - 1);
                (low(number), low(number >> BITS), number >> (2 * BITS) != 0)
            }
            array => {
                let array = array.as_str().map_err(|e| failed(e.into()))?;
                let (automation, code, has_ids, occurrence, word, detail, left_at, tries, gone_at): Array =
                    serde_json::from_str(array)
                        .map_err(|error| corrupt(&self.path, error.to_string()))?;
                state = word
                    .parse()
                    .map_err(|error| corrupt(&self.path, format!("a state of which {error}")))?;
                few.occurrence = (!occurrence.is_empty()).then(|| occurrence.into());
                // Nobody asks why something is active.
                few.detail = detail.filter(|_| state != State::Active).map(Into::into);
                few.left_at = left_at;
                few.tries = tries;
                few.gone_at = gone_at;
                (automation, code, has_ids != 0)
            }
        };
        let number = |number: i64, what: &str| {
            u16::try_from(number)
                .map_err(|_| corrupt(&self.path, format!("{what} with the number {number}")))
        };
        let mut flags = if has_ids { HAS_IDS } else { 0 };
        if few.has_any() {
            flags |= HAS_MORE;
            batch.few.push(few);
        }
        let triggered_at: Option<i64> = row.get(1).map_err(&failed)?;
        Ok(Packed {
            triggered_at: triggered_at.unwrap_or(NEVER),
            contact: len,
            automation: number(automation, "an automation")?,
            code: number(code, "a trigger code")?,
            state,
            flags,
        })
    }
}

/// All participations of a snapshot, one by one, for a thread that may wait.
pub struct Participations {
    path: PathBuf,
    batches: mpsc::Receiver<Result<Batch, RecordError>>,
    unpacked: Unpacked,
}

impl Iterator for Participations {
    type Item = Result<Participation, RecordError>;

    fn next(&mut self) -> Option<Self::Item> {
        loop {
            if let Some(participation) = self.unpacked.next(&self.path) {
                return Some(participation);
            }
            match self.batches.recv().ok()? {
                Ok(batch) => self.unpacked.begin(batch),
                Err(error) => return Some(Err(error)),
            }
        }
    }
}

/// A batch that is being unpacked.
struct Unpacked {
    rows: std::vec::IntoIter<Packed>,
    few: std::vec::IntoIter<Few>,
    whole: std::vec::IntoIter<Participation>,
    contacts: String,
    /// How many bytes of them have been taken.
    taken: usize,
    contact: Option<ContactId>,
    numbered: Arc<Numbered>,
}

impl Unpacked {
    fn new(batch: Batch, numbered: Arc<Numbered>) -> Self {
        Self {
            rows: batch.rows.into_iter(),
            few: batch.few.into_iter(),
            whole: batch.whole.into_iter(),
            contacts: batch.contacts,
            taken: 0,
            contact: None,
            numbered,
        }
    }

    fn begin(&mut self, batch: Batch) {
        let contact = self.contact.take();
        *self = Self::new(batch, self.numbered.clone());
        self.contact = contact;
    }

    fn next(&mut self, path: &Path) -> Option<Result<Participation, RecordError>> {
        let packed = self.rows.next()?;
        if packed.flags & IS_WHOLE != 0 {
            return self.whole.next().map(Ok);
        }
        Some(self.unpack(path, packed))
    }

    fn unpack(&mut self, path: &Path, packed: Packed) -> Result<Participation, RecordError> {
        let start = self.taken;
        self.taken += usize::from(packed.contact);
        let text = self.contacts.get(start..self.taken).unwrap_or_default();
        // Taken out, so that after an id that is none no row is taken for the contact before.
        let contact = match self.contact.take() {
            // The last one of a batch may be the first one of the next.
            Some(before) if packed.contact == 0 || before.as_str() == text => before,
            _ => ContactId::recorded(text)
                .map_err(|error| corrupt(path, format!("a contact id of which {error}")))?,
        };
        self.contact = Some(contact.clone());
        let few = match packed.flags & HAS_MORE {
            0 => Few::default(),
            _ => self.few.next().unwrap_or_default(),
        };
        let triggered_at = Some(packed.triggered_at).filter(|at| *at != NEVER);
        Ok(Participation {
            key: Key {
                contact,
                automation: self.numbered.automation(path, packed.automation)?,
                occurrence: occurrence_of(path, few.occurrence.as_deref().unwrap_or_default())?,
            },
            state: packed.state,
            trigger_code: self.numbered.code(path, packed.code)?,
            fields: few.fields,
            has_ids: packed.flags & HAS_IDS != 0,
            detail: few.detail.map(String::from),
            triggered_at: triggered_at.map(time),
            left_at: few.left_at.map(time),
            tries: few.tries,
            gone_at: few.gone_at.map(time),
        })
    }
}
