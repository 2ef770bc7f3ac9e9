//! All participations as one stream of rows in PostgreSQL's binary form: what a row costs beyond its bytes is what counts where
//! there are millions.
//!
//! <https://www.postgresql.org/docs/current/sql-copy.html#id-1.9.55.9.4>

use std::cmp::Ordering;
use std::path::PathBuf;
use std::sync::Arc;

use jiff::Timestamp;

use crate::digest::Digest;
use crate::id::{ContactId, Occurrence, ParticipationId};
use crate::record::batch::time;
use crate::record::error::{RecordError, corrupt};
use crate::record::participation::{Key, Participation, State};
use crate::record::read::Listed;
use crate::record::store::names::{BITS, Names};

const HAS_IDS: i64 = 1;

/// What most rows have fits in one number: whether there are ids, the number of the automation, that of the code. What few have
/// is a JSON array.
macro_rules! columns {
    () => {
        "contact, (automation << 1) | (trigger_code << 25) | (ids IS NOT NULL)::integer AS kind, triggered_at, fields, \
         CASE WHEN state = 'active' AND occurrence = '' AND detail IS NULL AND left_at IS NULL AND gone_at IS NULL \
         AND released_at IS NULL THEN NULL \
         ELSE json_build_array(occurrence, state, detail, left_at, tries, gone_at, released_at)::text END AS rest"
    };
}
pub(super) use columns;

/// What few rows have.
type Rest = (
    String,
    String,
    Option<String>,
    Option<i64>,
    u32,
    Option<i64>,
    Option<i64>,
);

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
        names: &Names,
        contact: Option<ContactId>,
    ) -> Result<Listed, String> {
        let contact = match contact {
            Some(contact) => contact,
            None => ContactId::recorded(self.contact)
                .map_err(|error| format!("a contact id of which {error}"))?,
        };
        let low = |number: i64| number & ((1 << BITS) - 1);
        let (automation, code) = (low(self.kind >> 1), self.kind >> (1 + BITS));
        let rest = self.rest.map(rest).transpose()?;
        let (occurrence, state, detail, left_at, tries, gone_at, released_at) =
            rest.unwrap_or((None, State::Active, None, None, 0, None, None));
        let digest = |bytes: &[u8]| {
            let bytes = bytes
                .try_into()
                .map_err(|_| "a digest of fields that is none")?;
            Ok::<_, String>(Digest::from_bytes(bytes))
        };
        Ok(Listed {
            participation: Participation {
                key: Key {
                    contact,
                    automation: names.automation(automation)?,
                    occurrence,
                },
                state,
                trigger_code: names.code(code)?,
                fields: self.fields.map(digest).transpose()?,
                has_ids: self.kind & HAS_IDS != 0,
                detail,
                triggered_at: self.triggered_at.map(time),
                left_at,
                tries,
                gone_at,
                released_at,
            },
            changed_at: self.changed_at.map(time).unwrap_or_default(),
            ids: self.ids.map(read_ids).transpose()?.unwrap_or_default(),
        })
    }
}

type Few = (
    Option<Occurrence>,
    State,
    Option<String>,
    Option<Timestamp>,
    u32,
    Option<Timestamp>,
    Option<Timestamp>,
);

fn rest(json: &str) -> Result<Few, String> {
    let rest: Rest = serde_json::from_str(json).map_err(|error| error.to_string())?;
    let (occurrence, state, detail, left_at, tries, gone_at, released_at) = rest;
    let state = state
        .parse()
        .map_err(|error| format!("a state of which {error}"))?;
    Ok((
        read_occurrence(&occurrence)?,
        state,
        detail,
        left_at.map(time),
        tries,
        gone_at.map(time),
        released_at.map(time),
    ))
}

pub(super) fn read_occurrence(text: &str) -> Result<Option<Occurrence>, String> {
    match text {
        "" => Ok(None),
        text => Occurrence::recorded(text)
            .map(Some)
            .map_err(|error| format!("an occurrence of which {error}")),
    }
}

fn read_ids(json: &str) -> Result<Vec<ParticipationId>, String> {
    let texts: Vec<String> = serde_json::from_str(json).map_err(|error| error.to_string())?;
    let ids = texts.iter().map(ParticipationId::new);
    let ids = ids.collect::<Result<_, _>>();
    ids.map_err(|error| format!("an automationContactId of which {error}"))
}

/// A part of the stream, of which one row after the other is taken: whole rows, each as PostgreSQL sends it.
pub(super) struct Rows {
    pub path: PathBuf,
    pub names: Arc<Names>,
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
        let listed = row.listed(&self.names, contact)?;
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
