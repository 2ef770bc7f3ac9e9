//! All participations for a plan, in batches of a few dozen bytes a row, so that a thread can read far ahead of the plan.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::mpsc;

use rusqlite::Row;
use rusqlite::types::ValueRef;

use super::error::RecordError;
use super::read::{corrupt, failed, occurrence_of, read_digest, time};
use crate::digest::Digest;
use crate::id::{AutomationName, ContactId, TriggerCode};
use crate::participation::{Key, Participation, State};

/// What a plan needs of each. Every column of a million costs, so what most rows have fits in one number, and what few
/// have is an array beside those who have it.
pub(super) const COLUMNS: &str = "contact, triggered_at, fields, \
     CASE WHEN state = 'active' AND occurrence = '' AND left_at IS NULL \
     THEN automation | (trigger_code << 31) | ((ids IS NOT NULL) << 62) \
     ELSE json_array(automation, trigger_code, ids IS NOT NULL, occurrence, state, detail, left_at) END";

/// How many bits of that number an automation has, and as many a trigger code. Numbers on record are counted from 1.
const BITS: u32 = 31;

/// That array.
type Array = (i64, i64, i64, String, String, Option<String>, Option<i64>);

/// So many participations pass from the record to a plan at once: few enough that their memory is used again, and not
/// asked of the system for each batch.
const BATCH: usize = 1024;

/// So many such batches wait for a plan at the most, while the roster is still being made: some 40 MB.
const BATCHES_AHEAD: usize = 1024;

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
    };
    (sender, participations)
}

/// Participations as they pass from thread to thread.
#[derive(Default)]
struct Batch {
    contacts: String,
    rows: Vec<Packed>,
    rare: Vec<Few>,
    whole: Vec<Participation>,
}

/// A participation.
#[derive(Clone, Copy)]
enum Packed {
    /// As it is on record.
    Row {
        triggered_at: Option<i64>,
        contact: (u32, u16),
        automation: u16,
        code: u16,
        /// The place in [`Batch::rare`], where it has anything of the kind.
        rare: Option<u16>,
        state: State,
        has_ids: bool,
    },
    /// One that a call under way changes: its place in [`Batch::whole`].
    Whole(u16),
}

/// What few rows have.
#[derive(Default)]
struct Few {
    occurrence: Option<Box<str>>,
    fields: Option<Digest>,
    detail: Option<Box<str>>,
    left_at: Option<i64>,
}

impl Few {
    fn has_any(&self) -> bool {
        let Self {
            occurrence,
            fields,
            detail,
            left_at,
        } = self;
        occurrence.is_some() || fields.is_some() || detail.is_some() || left_at.is_some()
    }
}

/// Where participations go to.
pub(super) struct Sender {
    path: PathBuf,
    batches: mpsc::SyncSender<Result<Batch, RecordError>>,
    batch: Batch,
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
        // A batch is sent long before it holds as many as that.
        let place = self.batch.whole.len() as u16;
        self.batch.whole.push(participation);
        self.batch.rows.push(Packed::Whole(place));
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
        self.batches.send(Ok(full)).map_err(|_| Gone)
    }

    fn pack(&mut self, contact: &str, row: &Row<'_>) -> Result<Packed, RecordError> {
        let failed = failed(&self.path);
        let batch = &mut self.batch;
        let contact = match batch.rows.last() {
            // Most contacts are in several automations.
            Some(Packed::Row {
                contact: (at, len), ..
            }) if batch.contacts[*at as usize..][..usize::from(*len)] == *contact => (*at, *len),
            _ => {
                let len = u16::try_from(contact.len())
                    .map_err(|_| corrupt(&self.path, "a very long contact id".to_owned()))?;
                // Batches are far too small for their text to outgrow this.
                let at = batch.contacts.len() as u32;
                batch.contacts.push_str(contact);
                (at, len)
            }
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
                let (automation, code, has_ids, occurrence, word, detail, left_at): Array =
                    serde_json::from_str(array)
                        .map_err(|error| corrupt(&self.path, error.to_string()))?;
                state = word
                    .parse()
                    .map_err(|error| corrupt(&self.path, format!("a state of which {error}")))?;
                few.occurrence = (!occurrence.is_empty()).then(|| occurrence.into());
                // Nobody asks why something is active.
                few.detail = detail.filter(|_| state != State::Active).map(Into::into);
                few.left_at = left_at;
                (automation, code, has_ids != 0)
            }
        };
        let rare = few.has_any().then(|| {
            batch.rare.push(few);
            (batch.rare.len() - 1) as u16
        });
        let number = |number: i64, what: &str| {
            u16::try_from(number)
                .map_err(|_| corrupt(&self.path, format!("{what} with the number {number}")))
        };
        Ok(Packed::Row {
            triggered_at: row.get(1).map_err(&failed)?,
            contact,
            automation: number(automation, "an automation")?,
            code: number(code, "a trigger code")?,
            rare,
            state,
            has_ids,
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
    batch: Batch,
    next: usize,
    numbered: Arc<Numbered>,
    contact: Option<ContactId>,
}

impl Unpacked {
    fn new(batch: Batch, numbered: Arc<Numbered>) -> Self {
        Self {
            batch,
            next: 0,
            numbered,
            contact: None,
        }
    }

    fn begin(&mut self, batch: Batch) {
        self.batch = batch;
        self.next = 0;
    }

    fn next(&mut self, path: &Path) -> Option<Result<Participation, RecordError>> {
        let packed = *self.batch.rows.get(self.next)?;
        self.next += 1;
        Some(self.unpack(path, packed))
    }

    fn unpack(&mut self, path: &Path, packed: Packed) -> Result<Participation, RecordError> {
        let (triggered_at, (at, len), automation, code, rare, state, has_ids) = match packed {
            Packed::Whole(place) => return Ok(self.batch.whole[usize::from(place)].clone()),
            Packed::Row {
                triggered_at,
                contact,
                automation,
                code,
                rare,
                state,
                has_ids,
            } => (
                triggered_at,
                contact,
                automation,
                code,
                rare,
                state,
                has_ids,
            ),
        };
        let text = &self.batch.contacts[at as usize..][..usize::from(len)];
        let contact = match &self.contact {
            Some(before) if before.as_str() == text => before.clone(),
            _ => {
                let contact = ContactId::new(text)
                    .map_err(|error| corrupt(path, format!("a contact id of which {error}")))?;
                self.contact = Some(contact.clone());
                contact
            }
        };
        let rare = rare.map(|place| &self.batch.rare[usize::from(place)]);
        let occurrence = rare.and_then(|rare| rare.occurrence.as_deref());
        Ok(Participation {
            key: Key {
                contact,
                automation: self.numbered.automation(path, automation)?,
                occurrence: occurrence_of(path, occurrence.unwrap_or_default())?,
            },
            state,
            trigger_code: self.numbered.code(path, code)?,
            fields: rare.and_then(|rare| rare.fields),
            has_ids,
            detail: rare.and_then(|rare| rare.detail.as_deref().map(str::to_owned)),
            triggered_at: triggered_at.map(time),
            left_at: rare.and_then(|rare| rare.left_at).map(time),
        })
    }
}
