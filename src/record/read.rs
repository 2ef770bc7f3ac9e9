//! Reading: a consistent snapshot for a plan, and lists for people.

use std::collections::{BTreeMap, HashMap};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use jiff::Timestamp;
use rusqlite::{Connection, OpenFlags, Row, ToSql};

use super::error::{Holder, RecordError};
use super::file_id;
use super::guarded::{self, AppliedWith};
use super::lock;
use super::names::Names;
use super::open::sql;
use super::participation::{Key, Participation, State};
use super::stream::{self, Numbered, Participations};
use crate::digest::Digest;
use crate::id::{AutomationName, ContactId, Occurrence, ParticipationId, TriggerCode};

/// The record, to read. A file that does not exist is an empty record and is not made.
#[derive(Debug, Clone)]
pub struct Record {
    path: PathBuf,
}

/// The record as it was at one moment, for a plan.
pub struct Snapshot {
    /// Grows with every change of a participation.
    pub serial: u64,
    /// Whether there is no record at all yet.
    pub is_new: bool,
    /// From when on the guard counts; `None` is from a day before now.
    pub counted_from: Option<Timestamp>,
    /// What each automation was last applied with.
    pub applied: BTreeMap<AutomationName, AppliedWith>,
    /// The `[[moved]]` blocks that were last applied: from and to.
    pub moved: Vec<(AutomationName, AutomationName)>,
    /// All participations, sorted by contact (bytewise).
    pub participations: Participations,
}

/// What part of the record is wanted.
#[derive(Debug, Clone, Default)]
pub struct Selection {
    /// Only this contact.
    pub contact: Option<ContactId>,
    /// Only this automation.
    pub automation: Option<AutomationName>,
    /// Only this state.
    pub state: Option<State>,
}

/// A participation with all that is on record of it.
#[derive(Debug, Clone)]
pub struct Listed {
    /// As a plan sees it.
    pub participation: Participation,
    /// When its state last changed.
    pub changed_at: Timestamp,
    /// The ids that Spotler gave.
    pub ids: Vec<ParticipationId>,
}

/// Participations that are about to be read, one by one.
pub struct Listing {
    reader: Option<Reader>,
    selection: Selection,
}

impl Listing {
    /// Passes each to `each`, sorted by contact, automation and occurrence, until that has an error. Blocks the thread;
    /// it must be one of a runtime of several.
    ///
    /// # Errors
    /// Those of `each`, and why the record cannot be read.
    pub fn each<E: From<RecordError>>(
        self,
        mut each: impl FnMut(Listed) -> Result<(), E>,
    ) -> Result<(), E> {
        let Some(reader) = self.reader else {
            return Ok(());
        };
        tokio::task::block_in_place(|| reader.list(&self.selection, &mut each))
    }
}

/// A call on record.
#[derive(Debug, Clone)]
pub struct Call {
    /// When it was sent.
    pub sent_at: Timestamp,
    /// `trigger` or `stop`.
    pub kind: String,
    /// The automation.
    pub automation: String,
    /// The contact.
    pub contact: String,
    /// The occurrence; `None` where it stops all.
    pub occurrence: Option<String>,
    /// The one participation that it stops, where it is for one.
    pub participation: Option<String>,
    /// What came of it; `None` while it is under way.
    pub outcome: Option<String>,
    /// The HTTP status, if there was an answer.
    pub http_status: Option<i64>,
    /// Why, in the words of the wire.
    pub detail: Option<String>,
    /// What each published automation answered, as a JSON array.
    pub entries: Option<String>,
    /// The command that made it.
    pub command: String,
    /// The digest of the configuration by which it was made.
    pub config_digest: Option<String>,
    /// The Git revision of that configuration.
    pub git_revision: Option<String>,
}

impl Record {
    /// A record by its file, or by a symbolic link to it. Nothing is opened yet.
    pub fn at(path: &Path) -> Self {
        Self {
            path: file_id::resolved(path),
        }
    }

    /// The file.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// The record as it is now. It stays so for who reads it, whatever is written meanwhile.
    ///
    /// # Errors
    /// Why it cannot be opened or read.
    pub async fn snapshot(&self) -> Result<Snapshot, RecordError> {
        let Some(reader) = self.reader().await? else {
            let (_, participations) = stream::channel(&self.path, Arc::default());
            return Ok(Snapshot {
                serial: 0,
                is_new: true,
                counted_from: None,
                applied: BTreeMap::new(),
                moved: Vec::new(),
                participations,
            });
        };
        let serial = reader.serial()?;
        let counted_from = guarded::counted_from(&reader.connection).map_err(failed(&self.path))?;
        let applied = guarded::applied(&reader.connection).map_err(failed(&self.path))?;
        let moved = guarded::moved(&reader.connection).map_err(failed(&self.path))?;
        let (mut sender, participations) = stream::channel(&self.path, reader.numbered());
        std::thread::Builder::new()
            .name("record".to_owned())
            .spawn(move || {
                let result = reader.stream(&mut sender);
                sender.end(result);
            })
            .map_err(|error| RecordError::Io {
                path: self.path.clone(),
                error,
            })?;
        Ok(Snapshot {
            serial,
            is_new: false,
            counted_from,
            applied,
            moved,
            participations,
        })
    }

    /// The `[[moved]]` blocks that were last applied: from and to.
    ///
    /// # Errors
    /// Why the record cannot be opened or read.
    pub async fn moved(&self) -> Result<Vec<(AutomationName, AutomationName)>, RecordError> {
        match self.reader().await? {
            Some(reader) => guarded::moved(&reader.connection).map_err(failed(&self.path)),
            None => Ok(Vec::new()),
        }
    }

    /// Opens it; `None` where there is nothing yet. What it is, and whether it is to be migrated first, is looked at on
    /// the way.
    async fn reader(&self) -> Result<Option<Reader>, RecordError> {
        match lock::reader(&self.path).await? {
            None => Ok(None),
            Some(_) => tokio::task::block_in_place(|| Reader::begin(&self.path)).map(Some),
        }
    }

    /// Passes the selected participations to `each`, sorted by contact, automation and occurrence.
    ///
    /// # Errors
    /// Why the record cannot be read.
    pub async fn list(
        &self,
        selection: &Selection,
        mut each: impl FnMut(Listed),
    ) -> Result<(), RecordError> {
        let listing = self.listing(selection.clone()).await?;
        listing.each(|listed| {
            each(listed);
            Ok(())
        })
    }

    /// The selected participations as they are now, of which there may be millions.
    ///
    /// # Errors
    /// Why the record cannot be opened.
    pub async fn listing(&self, selection: Selection) -> Result<Listing, RecordError> {
        let reader = self.reader().await?;
        Ok(Listing { reader, selection })
    }

    /// Every call that was made for a contact, or for all, the oldest first.
    ///
    /// # Errors
    /// Why the record cannot be read.
    pub async fn calls(
        &self,
        contact: Option<&ContactId>,
        mut each: impl FnMut(Call),
    ) -> Result<(), RecordError> {
        let Some(reader) = self.reader().await? else {
            return Ok(());
        };
        tokio::task::block_in_place(|| reader.calls(contact, &mut each))
    }

    /// Whether there is nothing on record yet, or no record at all.
    ///
    /// # Errors
    /// Why the record cannot be read.
    pub async fn is_blank(&self) -> Result<bool, RecordError> {
        match lock::reader(&self.path).await? {
            Some(mut connection) => lock::is_blank(&self.path, &mut connection).await,
            None => Ok(true),
        }
    }

    /// Whether a call is under way, or was left so by a run that is gone.
    ///
    /// # Errors
    /// Why the record cannot be read.
    pub async fn has_open_calls(&self) -> Result<bool, RecordError> {
        let Some(mut connection) = lock::reader(&self.path).await? else {
            return Ok(false);
        };
        let (found,): (bool,) =
            sqlx::query_as("SELECT EXISTS (SELECT * FROM call WHERE outcome IS NULL)")
                .fetch_one(&mut connection)
                .await
                .map_err(sql(&self.path, "read"))?;
        Ok(found)
    }

    /// Who holds the lock, if anybody.
    ///
    /// # Errors
    /// Why the record cannot be read.
    pub async fn holder(&self) -> Result<Option<Holder>, RecordError> {
        match lock::reader(&self.path).await? {
            Some(mut connection) => lock::read_row(&self.path, &mut connection).await,
            None => Ok(None),
        }
    }
}

macro_rules! calls {
    ($rest:literal) => {
        concat!(
            "SELECT call.sent_at, call.kind, automation.name, call.contact, nullif(call.occurrence, ''), \
             call.participation_id, call.outcome, call.http_status, call.detail, call.entries, run.command, \
             run.config_digest, run.git_revision FROM call JOIN run ON run.id = call.run \
             JOIN automation ON automation.id = call.automation ",
            $rest
        )
    };
}
const CALLS_OF_ONE: &str = calls!("WHERE call.contact = ? ORDER BY call.id");
const CALLS_OF_ALL: &str = calls!("ORDER BY call.id");

fn call(row: &Row<'_>) -> rusqlite::Result<Call> {
    Ok(Call {
        sent_at: time(row.get(0)?),
        kind: row.get(1)?,
        automation: row.get(2)?,
        contact: row.get(3)?,
        occurrence: row.get(4)?,
        participation: row.get(5)?,
        outcome: row.get(6)?,
        http_status: row.get(7)?,
        detail: row.get(8)?,
        entries: row.get(9)?,
        command: row.get(10)?,
        config_digest: row.get(11)?,
        git_revision: row.get(12)?,
    })
}

pub(super) fn time(ms: i64) -> Timestamp {
    Timestamp::from_millisecond(ms).unwrap_or(Timestamp::UNIX_EPOCH)
}

/// A call under way, or left so by a run that is gone: for a reader both are a doubt.
struct Open {
    is_trigger: bool,
    automation: i64,
    /// `None` is all of the contact's participations behind the trigger code.
    occurrence: Option<String>,
    trigger_code: i64,
    fields: Option<Vec<u8>>,
    sent_at: i64,
    /// Whether somebody waits for its answer.
    detail: Arc<str>,
}

/// Reads the record as it is at one moment.
struct Reader {
    path: PathBuf,
    connection: Connection,
    automations: HashMap<i64, AutomationName>,
    codes: HashMap<i64, TriggerCode>,
    open: BTreeMap<String, Vec<Open>>,
}

/// Makes an error of what SQLite says while the record is being read.
pub(super) fn failed(path: &Path) -> impl Fn(rusqlite::Error) -> RecordError {
    |error| RecordError::native(path, "read", error)
}

impl Reader {
    fn begin(path: &Path) -> Result<Self, RecordError> {
        let failed = failed(path);
        let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX;
        let open = || {
            let connection = Connection::open_with_flags(path, flags)?;
            connection.busy_timeout(super::open::BUSY)?;
            connection.execute_batch("PRAGMA temp_store = memory; BEGIN")?;
            Ok(connection)
        };
        let connection = open().map_err(&failed)?;
        let names = Names::read(path, &connection)?;
        let open = open_calls(&connection).map_err(&failed)?;
        Ok(Self {
            automations: names.automations_by_id(),
            codes: names.codes_by_id(),
            path: path.to_owned(),
            connection,
            open,
        })
    }

    fn serial(&self) -> Result<u64, RecordError> {
        let serial: i64 = self
            .connection
            .query_row("SELECT serial FROM meta", [], |row| row.get(0))
            .map_err(failed(&self.path))?;
        Ok(u64::try_from(serial).unwrap_or(0))
    }

    /// Names and codes by number, for a stream.
    fn numbered(&self) -> Arc<Numbered> {
        fn list<T: Clone>(map: &HashMap<i64, T>) -> Vec<Option<T>> {
            let most = map
                .keys()
                .copied()
                .filter_map(|number| u16::try_from(number).ok());
            let len = most.max().map_or(0, |most| usize::from(most) + 1);
            (0..len)
                .map(|number| map.get(&(number as i64)).cloned())
                .collect()
        }
        Arc::new(Numbered {
            automations: list(&self.automations),
            codes: list(&self.codes),
        })
    }

    /// Sends all participations, sorted by contact, to who listens.
    fn stream(mut self, sender: &mut stream::Sender) -> Result<(), RecordError> {
        let failed = failed(&self.path);
        let mut open = std::mem::take(&mut self.open);
        let (automations, codes, path) = (&self.automations, &self.codes, &self.path);
        let columns = stream::COLUMNS;
        let statement =
            format!("SELECT {columns} FROM participation ORDER BY contact, automation, occurrence");
        let mut statement = self.connection.prepare(&statement).map_err(&failed)?;
        let mut rows = statement.query([]).map_err(&failed)?;
        let mut under_way = String::new();
        while let Some(row) = rows.next().map_err(&failed)? {
            let contact = text(row, 0).map_err(&failed)?;
            while let Some(first) = open.first_entry() {
                if first.key().as_str() >= contact {
                    break;
                }
                let (contact, calls) = first.remove_entry();
                for call in &calls {
                    if let Some(item) = started(path, automations, codes, &contact, call)?
                        && sender.whole(item).is_err()
                    {
                        return Ok(());
                    }
                }
            }
            let sent = match open.get_mut(contact) {
                None => sender.row(contact, row)?,
                // All of its rows were sent with the first one.
                Some(_) if under_way == contact => Ok(()),
                Some(calls) => {
                    contact.clone_into(&mut under_way);
                    self.overlaid(contact, calls, sender)?
                }
            };
            if sent.is_err() {
                return Ok(());
            }
        }
        for (contact, calls) in open {
            for call in &calls {
                if let Some(item) = started(path, automations, codes, &contact, call)?
                    && sender.whole(item).is_err()
                {
                    return Ok(());
                }
            }
        }
        Ok(())
    }

    /// Sends the participations of a contact with calls under way, and takes away the calls that are for one of them.
    ///
    /// What is open and not on record yet comes behind them: a plan needs what belongs to one contact together, and sorts it
    /// itself.
    fn overlaid(
        &self,
        contact: &str,
        calls: &mut Vec<Open>,
        sender: &mut stream::Sender,
    ) -> Result<Result<(), stream::Gone>, RecordError> {
        let failed = failed(&self.path);
        let statement = format!("SELECT {COLUMNS} FROM participation WHERE contact = ?");
        let mut statement = self
            .connection
            .prepare_cached(&statement)
            .map_err(&failed)?;
        let mut rows = statement.query([contact]).map_err(&failed)?;
        while let Some(row) = rows.next().map_err(&failed)? {
            let mut item = participation(&self.path, &self.automations, &self.codes, row)?;
            let automation: i64 = row.get(1).map_err(&failed)?;
            calls.retain(|call| !overlay(&self.path, &self.codes, automation, call, &mut item));
            if let Err(gone) = sender.whole(item) {
                return Ok(Err(gone));
            }
        }
        Ok(Ok(()))
    }

    fn list<E: From<RecordError>>(
        mut self,
        selection: &Selection,
        each: &mut impl FnMut(Listed) -> Result<(), E>,
    ) -> Result<(), E> {
        let failed = failed(&self.path);
        let automation = match &selection.automation {
            None => None,
            Some(name) => match self.automations.iter().find(|(_, n)| *n == name) {
                Some((id, _)) => Some(*id),
                None => return Ok(()),
            },
        };
        let mut query = format!("SELECT {COLUMNS}, changed_at, ids FROM participation");
        let mut values: Vec<&dyn ToSql> = Vec::new();
        let contact = selection.contact.as_ref().map(|contact| contact.as_str());
        if let Some(contact) = &contact {
            query.push_str(" WHERE contact = ?");
            values.push(contact);
        }
        if let Some(automation) = &automation {
            let word = if contact.is_some() { "AND" } else { "WHERE" };
            query.push_str(&format!(" {word} automation = ?"));
            values.push(automation);
        }
        query.push_str(" ORDER BY contact, automation, occurrence");
        let mut open = std::mem::take(&mut self.open);
        let (automations, codes, path) = (&self.automations, &self.codes, &self.path);
        let mut group = Group::new(selection, each);
        let mut statement = self.connection.prepare(&query).map_err(&failed)?;
        let mut rows = statement.query(values.as_slice()).map_err(&failed)?;
        while let Some(row) = rows.next().map_err(&failed)? {
            let mut item = participation(path, automations, codes, row)?;
            // What is open and not on record yet has its place among the contacts too.
            while let Some(first) = open.first_entry() {
                if first.key().as_str() >= item.key.contact.as_str() {
                    break;
                }
                let (contact, calls) = first.remove_entry();
                group.started(path, automations, codes, &contact, &calls)?;
            }
            let automation: i64 = row.get(1).map_err(&failed)?;
            if let Some(calls) = open.get_mut(item.key.contact.as_str()) {
                calls.retain(|call| !overlay(path, codes, automation, call, &mut item));
            }
            let ids = optional_text(row, 13).map_err(&failed)?;
            group.push(Listed {
                participation: item,
                changed_at: time(row.get(12).map_err(&failed)?),
                ids: read_ids(ids),
            })?;
        }
        for (contact, calls) in open {
            group.started(path, automations, codes, &contact, &calls)?;
        }
        group.flush()
    }

    fn calls(
        &self,
        contact: Option<&ContactId>,
        each: &mut impl FnMut(Call),
    ) -> Result<(), RecordError> {
        let failed = failed(&self.path);
        let contact = contact.map(|contact| contact.as_str());
        let statement = if contact.is_some() {
            CALLS_OF_ONE
        } else {
            CALLS_OF_ALL
        };
        let mut statement = self.connection.prepare(statement).map_err(&failed)?;
        let mut rows = statement
            .query(rusqlite::params_from_iter(contact))
            .map_err(&failed)?;
        while let Some(row) = rows.next().map_err(&failed)? {
            let mut call = call(row).map_err(&failed)?;
            if call.outcome.is_none() {
                call.detail = Some(lock::told_of_open_calls(&self.connection).map_err(&failed)?);
            }
            each(call);
        }
        Ok(())
    }
}

/// The calls under way, by contact.
fn open_calls(connection: &Connection) -> rusqlite::Result<BTreeMap<String, Vec<Open>>> {
    let mut statement = connection.prepare(
        "SELECT contact, kind, automation, occurrence, trigger_code, fields, sent_at FROM call \
         WHERE outcome IS NULL ORDER BY id",
    )?;
    let mut rows = statement.query([])?;
    let mut open: BTreeMap<String, Vec<Open>> = BTreeMap::new();
    let mut detail: Option<Arc<str>> = None;
    while let Some(row) = rows.next()? {
        let detail = match &detail {
            Some(detail) => detail.clone(),
            None => detail
                .insert(lock::told_of_open_calls(connection)?.into())
                .clone(),
        };
        open.entry(row.get(0)?).or_default().push(Open {
            is_trigger: text(row, 1)? == "trigger",
            automation: row.get(2)?,
            occurrence: row.get(3)?,
            trigger_code: row.get(4)?,
            fields: row.get(5)?,
            sent_at: row.get(6)?,
            detail,
        });
    }
    Ok(open)
}

/// A column of text, where it lies.
pub(super) fn text<'r>(row: &'r Row<'_>, column: usize) -> rusqlite::Result<&'r str> {
    row.get_ref(column)?.as_str().map_err(Into::into)
}

pub(super) fn optional_text<'r>(
    row: &'r Row<'_>,
    column: usize,
) -> rusqlite::Result<Option<&'r str>> {
    row.get_ref(column)?.as_str_or_null().map_err(Into::into)
}

fn read_ids(json: Option<&str>) -> Vec<ParticipationId> {
    let texts: Vec<String> = json
        .and_then(|json| serde_json::from_str(json).ok())
        .unwrap_or_default();
    texts
        .iter()
        .filter_map(|text| ParticipationId::new(text).ok())
        .collect()
}

/// The ids that Spotler gave to a participation.
pub(super) fn read_ids_of(
    connection: &Connection,
    key: &Key,
) -> rusqlite::Result<Vec<ParticipationId>> {
    let mut statement = connection.prepare_cached(
        "SELECT ids FROM participation JOIN automation ON automation.id = participation.automation \
         WHERE contact = ? AND name = ? AND occurrence = ?",
    )?;
    let occurrence = key.occurrence.as_ref().map_or("", |o| o.as_str());
    let mut rows = statement.query([key.contact.as_str(), key.automation.as_str(), occurrence])?;
    Ok(match rows.next()? {
        Some(row) => read_ids(optional_text(row, 0)?),
        None => Vec::new(),
    })
}

pub(super) fn read_digest(bytes: Option<&[u8]>) -> Option<Digest> {
    bytes
        .and_then(|bytes| <[u8; 16]>::try_from(bytes).ok())
        .map(Digest::from_bytes)
}

pub(super) fn corrupt(path: &Path, what: String) -> RecordError {
    RecordError::Corrupt {
        path: path.to_owned(),
        what,
    }
}

fn name_of(
    path: &Path,
    automations: &HashMap<i64, AutomationName>,
    id: i64,
) -> Result<AutomationName, RecordError> {
    let missing = || corrupt(path, format!("an automation with the number {id}"));
    automations.get(&id).cloned().ok_or_else(missing)
}

fn code_of(
    path: &Path,
    codes: &HashMap<i64, TriggerCode>,
    id: i64,
) -> Result<TriggerCode, RecordError> {
    let missing = || corrupt(path, format!("a trigger code with the number {id}"));
    codes.get(&id).cloned().ok_or_else(missing)
}

pub(super) fn occurrence_of(path: &Path, text: &str) -> Result<Option<Occurrence>, RecordError> {
    if text.is_empty() {
        return Ok(None);
    }
    Occurrence::recorded(text)
        .map(Some)
        .map_err(|error| corrupt(path, format!("an occurrence of which {error}")))
}

/// What a participation is made from.
const COLUMNS: &str = "contact, automation, occurrence, state, trigger_code, fields, detail, triggered_at, left_at, \
                       ids IS NOT NULL, tries, gone_at";

/// A row that begins with [`COLUMNS`] as a participation.
fn participation(
    path: &Path,
    automations: &HashMap<i64, AutomationName>,
    codes: &HashMap<i64, TriggerCode>,
    row: &Row<'_>,
) -> Result<Participation, RecordError> {
    let failed = failed(path);
    let contact = text(row, 0).map_err(&failed)?;
    let occurrence = text(row, 2).map_err(&failed)?;
    let fields = row.get_ref(5).map_err(&failed)?;
    let fields = fields.as_blob_or_null().map_err(|e| failed(e.into()))?;
    let triggered_at: Option<i64> = row.get(7).map_err(&failed)?;
    let left_at: Option<i64> = row.get(8).map_err(&failed)?;
    let gone_at: Option<i64> = row.get(11).map_err(&failed)?;
    Ok(Participation {
        key: Key {
            contact: ContactId::recorded(contact)
                .map_err(|error| corrupt(path, format!("a contact id of which {error}")))?,
            automation: name_of(path, automations, row.get(1).map_err(&failed)?)?,
            occurrence: occurrence_of(path, occurrence)?,
        },
        state: text(row, 3)
            .map_err(&failed)?
            .parse()
            .map_err(|error| corrupt(path, format!("a state of which {error}")))?,
        trigger_code: code_of(path, codes, row.get(4).map_err(&failed)?)?,
        fields: read_digest(fields),
        has_ids: row.get(9).map_err(&failed)?,
        detail: row.get(6).map_err(&failed)?,
        triggered_at: triggered_at.map(time),
        left_at: left_at.map(time),
        tries: row.get(10).map_err(&failed)?,
        gone_at: gone_at.map(time),
    })
}

/// Lays an open call over a participation that it is for. Returns whether the call is for it alone.
fn overlay(
    path: &Path,
    codes: &HashMap<i64, TriggerCode>,
    automation: i64,
    call: &Open,
    item: &mut Participation,
) -> bool {
    let occurrence = item.key.occurrence.as_ref().map_or("", |o| o.as_str());
    let is_for_it = call.automation == automation && call.occurrence.as_deref() == Some(occurrence);
    // The call that stops all goes by trigger code, and reaches other automations with the same code.
    let is_for_all = call.occurrence.is_none()
        && code_of(path, codes, call.trigger_code).is_ok_and(|code| code == item.trigger_code);
    if call.is_trigger && is_for_it {
        item.state = State::Uncertain;
        item.fields = read_digest(call.fields.as_deref());
        item.triggered_at = Some(time(call.sent_at));
        if let Ok(code) = code_of(path, codes, call.trigger_code) {
            item.trigger_code = code;
        }
    } else if !call.is_trigger && (is_for_it || is_for_all) {
        if item.state.may_be_stopped() {
            if item.state.reached_nobody() {
                item.triggered_at = None;
            }
            item.state = State::StopUncertain;
        }
    } else {
        return false;
    }
    item.detail = Some(call.detail.to_string());
    is_for_it
}

/// The selected participations of one contact, until all are there and can be sorted: the record sorts automations by the
/// order in which it came to know them.
struct Group<'s, F> {
    selection: &'s Selection,
    items: Vec<Listed>,
    each: &'s mut F,
}

impl<'s, E: From<RecordError>, F: FnMut(Listed) -> Result<(), E>> Group<'s, F> {
    fn new(selection: &'s Selection, each: &'s mut F) -> Self {
        let items = Vec::new();
        Self {
            selection,
            items,
            each,
        }
    }

    fn push(&mut self, item: Listed) -> Result<(), E> {
        let Selection {
            contact,
            automation,
            state,
        } = self.selection;
        let of = &item.participation;
        let is_wanted = state.is_none_or(|state| state == of.state)
            && contact.as_ref().is_none_or(|c| *c == of.key.contact)
            && automation.as_ref().is_none_or(|a| *a == of.key.automation);
        if !is_wanted {
            return Ok(());
        }
        let first = self.items.first();
        if first.is_some_and(|first| first.participation.key.contact != of.key.contact) {
            self.flush()?;
        }
        self.items.push(item);
        Ok(())
    }

    /// Adds what open triggers of a contact may have started.
    fn started(
        &mut self,
        path: &Path,
        automations: &HashMap<i64, AutomationName>,
        codes: &HashMap<i64, TriggerCode>,
        contact: &str,
        calls: &[Open],
    ) -> Result<(), E> {
        for call in calls {
            if let Some(participation) = started(path, automations, codes, contact, call)? {
                self.push(Listed {
                    participation,
                    changed_at: time(call.sent_at),
                    ids: Vec::new(),
                })?;
            }
        }
        Ok(())
    }

    fn flush(&mut self) -> Result<(), E> {
        self.items
            .sort_by(|a, b| a.participation.key.cmp(&b.participation.key));
        self.items.drain(..).try_for_each(&mut *self.each)
    }
}

/// The participation that an open trigger may have started, where none is on record yet.
fn started(
    path: &Path,
    automations: &HashMap<i64, AutomationName>,
    codes: &HashMap<i64, TriggerCode>,
    contact: &str,
    call: &Open,
) -> Result<Option<Participation>, RecordError> {
    let (true, Some(occurrence)) = (call.is_trigger, &call.occurrence) else {
        return Ok(None);
    };
    Ok(Some(Participation {
        key: Key {
            contact: ContactId::recorded(contact)
                .map_err(|error| corrupt(path, format!("a contact id of which {error}")))?,
            automation: name_of(path, automations, call.automation)?,
            occurrence: occurrence_of(path, occurrence)?,
        },
        state: State::Uncertain,
        trigger_code: code_of(path, codes, call.trigger_code)?,
        fields: read_digest(call.fields.as_deref()),
        has_ids: false,
        detail: Some(call.detail.to_string()),
        triggered_at: Some(time(call.sent_at)),
        left_at: None,
        tries: 0,
        gone_at: None,
    }))
}
