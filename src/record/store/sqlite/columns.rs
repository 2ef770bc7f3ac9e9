//! Participations, a page at a time, each column as one text: every row that passes from SQLite's thread alone costs more than
//! what is in it.

use std::cmp::Ordering;
use std::path::PathBuf;
use std::sync::Arc;

use memchr::memchr;

use crate::digest::Digest;
use crate::id::ContactId;
use crate::record::error::{RecordError, corrupt};
use crate::record::read::Listed;
use crate::record::store::names::{BITS, Names, OwnNames};
use crate::record::store::rows::{ParticipationRow, Rest, read_contact};

/// Stands between the values of a column. No id can hold it, and JSON never does.
const SEPARATOR: u8 = 0x1f;

/// What most rows have fits in one number: two flags less than 3 bits, the number of the automation, that of the code.
const FLAGS: u32 = 3;
const HAS_IDS: i64 = 4;
const HAS_FIELDS: i64 = 2;
const HAS_TRIGGER: i64 = 1;

/// What few rows have is a JSON array.
type Kind = (i64, i64, i64, Rest);

/// Selects columns for a plan. Rows come in the order of the primary key, since that is what they are read by.
macro_rules! columns {
    ($($rest:literal),*) => {
        concat!(
            "SELECT count(*), group_concat(contact, '\x1f'), group_concat(\
             CASE WHEN state = 'active' AND occurrence = '' AND detail IS NULL AND left_at IS NULL AND gone_at IS NULL \
                 AND released_at IS NULL AND triggered_as IS NULL \
             THEN (automation << 3) | (trigger_code << 27) \
                 | ((ids IS NOT NULL) << 2) | ((fields IS NOT NULL) << 1) | (triggered_at IS NOT NULL) \
             ELSE json_array(automation, trigger_code, \
                 ((ids IS NOT NULL) << 2) | ((fields IS NOT NULL) << 1) | (triggered_at IS NOT NULL), \
                 json_array(occurrence, state, detail, left_at, tries, gone_at, released_at, triggered_as)) END, '\x1f'), \
             group_concat(triggered_at, '\x1f'), \
             group_concat(CASE WHEN fields IS NOT NULL THEN hex(fields) END, '\x1f'), ",
            $($rest),*
        )
    };
}
pub(super) use columns;

/// The same with what only lists show.
macro_rules! whole {
    ($rest:literal) => {
        columns!(
            "group_concat(changed_at, '\x1f'), group_concat(ids, '\x1f') FROM participation ",
            $rest
        )
    };
}
pub(super) use whole;

/// A row of these statements.
pub(super) type Row = (
    i64,
    Option<String>,
    Option<String>,
    Option<String>,
    Option<String>,
    Option<String>,
    Option<String>,
);

/// The values of a column that are still to be taken.
struct Column {
    text: String,
    at: usize,
}

impl Column {
    fn of(text: Option<String>) -> Self {
        // Where no row has a value, there is no text at all.
        let at = usize::from(text.is_none());
        Self {
            text: text.unwrap_or_default(),
            at,
        }
    }

    fn take(&mut self) -> Option<&str> {
        let rest = self.text.get(self.at..)?;
        let len = memchr(SEPARATOR, rest.as_bytes()).unwrap_or(rest.len());
        self.at += len + 1;
        rest.get(..len)
    }

    fn take_number(&mut self) -> Option<i64> {
        self.take()?.parse().ok()
    }
}

/// A page, of which one row after the other is put together.
pub(super) struct Columns {
    path: PathBuf,
    names: OwnNames,
    rows: i64,
    contacts: Column,
    kinds: Column,
    triggered: Column,
    fields: Column,
    changed: Column,
    ids: Column,
    contact: Option<ContactId>,
    is_sorted: bool,
}

impl Columns {
    pub(super) fn new(path: PathBuf, names: Arc<Names>, row: Row) -> Self {
        let (rows, contacts, kinds, triggered, fields, changed, ids) = row;
        Self {
            path,
            names: OwnNames::new(names),
            rows,
            contacts: Column::of(contacts),
            kinds: Column::of(kinds),
            triggered: Column::of(triggered),
            fields: Column::of(fields),
            changed: Column::of(changed),
            ids: Column::of(ids),
            contact: None,
            is_sorted: true,
        }
    }

    /// The same of rows that are not sorted by contact.
    pub(super) fn in_any_order(self) -> Self {
        Self {
            is_sorted: false,
            ..self
        }
    }

    fn row(&mut self) -> Result<Listed, String> {
        let short = || "a column with too few values".to_owned();
        let contact = self.contacts.take().ok_or_else(short)?;
        let before = self.contact.take();
        let order = before.as_ref().map(|before| before.as_str().cmp(contact));
        let contact = match (before, order) {
            (Some(before), Some(Ordering::Equal)) => before,
            (_, Some(Ordering::Greater)) if self.is_sorted => {
                return Err("contacts out of their order".to_owned());
            }
            _ => read_contact(contact)?,
        };
        self.contact = Some(contact.clone());
        let kind = self.kinds.take().ok_or_else(short)?;
        let (automation, code, flags, rest) = match kind.parse::<i64>() {
            Ok(number) => {
                let low = |number: i64, bits: u32| number & ((1 << bits) - 1);
                let (automation, code) = (low(number >> FLAGS, BITS), number >> (FLAGS + BITS));
                (automation, code, low(number, FLAGS), None)
            }
            Err(_) => {
                let kind: Kind = serde_json::from_str(kind).map_err(|error| error.to_string())?;
                let (automation, code, flags, rest) = kind;
                (automation, code, flags, Some(rest))
            }
        };
        let has = |flag: i64| flags & flag != 0;
        let row = ParticipationRow {
            contact,
            automation,
            code,
            fields: match has(HAS_FIELDS) {
                true => Some(read_hex(self.fields.take().ok_or_else(short)?)?),
                false => None,
            },
            has_ids: has(HAS_IDS),
            triggered_at: match has(HAS_TRIGGER) {
                true => Some(self.triggered.take_number().ok_or_else(short)?),
                false => None,
            },
            rest,
            changed_at: self.changed.take_number(),
            // A plan only asks whether there are any.
            ids: if has(HAS_IDS) { self.ids.take() } else { None },
        };
        row.listed(&mut self.names)
    }
}

impl Iterator for Columns {
    type Item = Result<Listed, RecordError>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.rows == 0 {
            // A value that holds the separator would be two.
            let is_left = self.contacts.take().is_some() || self.kinds.take().is_some();
            return is_left.then(|| Err(corrupt(&self.path, "a column with too many values")));
        }
        self.rows -= 1;
        Some(self.row().map_err(|what| corrupt(&self.path, what)))
    }
}

/// Reads a digest as SQLite's `hex` writes it.
pub(super) fn read_hex(hex: &str) -> Result<Digest, String> {
    match (hex.len(), u128::from_str_radix(hex, 16)) {
        (32, Ok(number)) => Ok(Digest::from_bytes(number.to_be_bytes())),
        _ => Err("something that is not a digest of fields".to_owned()),
    }
}
