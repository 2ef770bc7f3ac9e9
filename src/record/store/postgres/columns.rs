//! All participations as one stream of rows in PostgreSQL's binary form: what a row costs beyond its bytes is what counts where
//! there are millions.
//!
//! <https://www.postgresql.org/docs/current/sql-copy.html#id-1.9.55.9.4>

use std::cmp::Ordering;
use std::path::PathBuf;

use crate::id::ContactId;
use crate::record::error::{RecordError, corrupt};
use crate::record::read::Listed;
use crate::record::store::names::{BITS, OwnNames};
use crate::record::store::rows::{ParticipationRow, read_contact, read_digest};

const HAS_IDS: i64 = 1;

/// What most rows have fits in one number: whether there are ids, the number of the automation, that of the code. What few have
/// is a JSON array.
macro_rules! columns {
    () => {
        "contact, (automation << 1) | (trigger_code << 25) | (ids IS NOT NULL)::integer AS kind, triggered_at, fields, \
         CASE WHEN state = 'active' AND occurrence = '' AND detail IS NULL AND left_at IS NULL AND gone_at IS NULL \
         AND released_at IS NULL AND triggered_as IS NULL THEN NULL \
         ELSE json_build_array(occurrence, state, detail, left_at, tries, gone_at, released_at, triggered_as)::text END AS rest"
    };
}
pub(super) use columns;

/// The start of a stream.
pub(super) const HEADER: &[u8] = b"PGCOPY\n\xff\r\n\0\0\0\0\0\0\0\0\0";

/// The values of a row.
pub(super) struct Row<'r> {
    pub contact: &'r str,
    pub kind: i64,
    pub triggered_at: Option<i64>,
    pub fields: Option<&'r [u8]>,
    pub rest: Option<&'r str>,
    pub changed_at: Option<i64>,
    pub ids: Option<&'r str>,
}

impl Row<'_> {
    /// What it says, where the contact is not the one of the row before.
    pub(super) fn listed(
        &self,
        names: &mut OwnNames,
        contact: Option<ContactId>,
    ) -> Result<Listed, String> {
        let contact = match contact {
            Some(contact) => contact,
            None => read_contact(self.contact)?,
        };
        let low = |number: i64| number & ((1 << BITS) - 1);
        let rest = self.rest.map(serde_json::from_str).transpose();
        let row = ParticipationRow {
            contact,
            automation: low(self.kind >> 1),
            code: self.kind >> (1 + BITS),
            fields: self.fields.map(read_digest).transpose()?,
            has_ids: self.kind & HAS_IDS != 0,
            triggered_at: self.triggered_at,
            rest: rest.map_err(|error| error.to_string())?,
            changed_at: self.changed_at,
            ids: self.ids,
        };
        row.listed(names)
    }
}

/// A part of the stream, of which one row after the other is taken: whole rows, each as PostgreSQL sends it.
pub(super) struct Rows {
    pub path: PathBuf,
    pub names: OwnNames,
    pub bytes: Vec<u8>,
    pub at: usize,
    pub contact: Option<ContactId>,
}

impl Rows {
    fn row(&mut self) -> Result<Listed, String> {
        let mut reader = Reader {
            rest: self.bytes.get(self.at..).unwrap_or_default(),
        };
        let row = reader.row().ok_or("a row that is cut short")?;
        let left = reader.rest.len();
        let before = self.contact.take();
        let contact = match before
            .as_ref()
            .map(|before| before.as_str().cmp(row.contact))
        {
            Some(Ordering::Equal) => before,
            Some(Ordering::Greater) => return Err("contacts out of their order".to_owned()),
            _ => None,
        };
        let listed = row.listed(&mut self.names, contact)?;
        self.contact = Some(listed.participation.key.contact.clone());
        self.at = self.bytes.len() - left;
        Ok(listed)
    }
}

impl Iterator for Rows {
    type Item = Result<Listed, RecordError>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.at >= self.bytes.len() {
            return None;
        }
        let row = self.row();
        Some(row.map_err(|what| {
            self.at = self.bytes.len();
            corrupt(&self.path, what)
        }))
    }
}

/// The contact of a row as PostgreSQL sends it: its first value, behind how many there are.
pub(super) fn contact(row: &[u8]) -> Option<&[u8]> {
    let mut reader = Reader {
        rest: row.get(2..)?,
    };
    reader.value().flatten()
}

/// The values of rows as PostgreSQL sends them: each with its length before it, or -1 where there is none.
struct Reader<'b> {
    rest: &'b [u8],
}

impl<'b> Reader<'b> {
    fn take(&mut self, len: usize) -> Option<&'b [u8]> {
        let (taken, rest) = self.rest.split_at_checked(len)?;
        self.rest = rest;
        Some(taken)
    }

    /// A value, or that there is none; `None` where the row is cut short.
    fn value(&mut self) -> Option<Option<&'b [u8]>> {
        let len = i32::from_be_bytes(self.take(4)?.try_into().ok()?);
        match len {
            -1 => Some(None),
            len => Some(Some(self.take(usize::try_from(len).ok()?)?)),
        }
    }

    fn number(&mut self) -> Option<Option<i64>> {
        match self.value()? {
            None => Some(None),
            Some(bytes) => Some(Some(i64::from_be_bytes(bytes.try_into().ok()?))),
        }
    }

    fn text(&mut self) -> Option<Option<&'b str>> {
        match self.value()? {
            None => Some(None),
            Some(bytes) => Some(Some(std::str::from_utf8(bytes).ok()?)),
        }
    }

    fn row(&mut self) -> Option<Row<'b>> {
        let count = i16::from_be_bytes(self.take(2)?.try_into().ok()?);
        let is_whole = count == 7;
        if !is_whole && count != 5 {
            return None;
        }
        Some(Row {
            contact: self.text()??,
            kind: self.number()??,
            triggered_at: self.number()?,
            fields: self.value()?,
            rest: self.text()?,
            changed_at: if is_whole { self.number()? } else { None },
            ids: if is_whole { self.text()? } else { None },
        })
    }
}
