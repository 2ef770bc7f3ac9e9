//! What can be asked of a record in SQLite.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use async_trait::async_trait;
use jiff::Timestamp;
use sqlx::sqlite::SqliteRow;
use sqlx::{Row as _, SqliteConnection};

use super::columns::{Columns, Row, columns, read_hex, whole};
use super::error::sql;
use super::names;
use super::write::{json, occurrence};
use super::{files, lock, report};
use crate::digest::Digest;
use crate::id::{AutomationName, ContactId};
use crate::record::batch::{count, time};
use crate::record::call::CallId;
use crate::record::error::{Holder, RecordError, corrupt};
use crate::record::guarded::AppliedSource;
use crate::record::identity::{FileId, Found};
use crate::record::overview::Overview;
use crate::record::participation::{Key, State};
use crate::record::read::{Call, Listed};
use crate::record::recovery::OpenCall;
use crate::record::store::names::Names;
use crate::record::store::rows::{self, OpenCallRow};
use crate::record::store::{Applied, Page, View};

/// So many participations are on a page, and as many calls.
const PAGE: i64 = 2000;

const PLAN_PAGE: &str =
    columns!("NULL, NULL FROM participation WHERE contact > ?1 AND contact <= ?2");
const PLAN_REST: &str = columns!("NULL, NULL FROM participation WHERE contact > ?1");
const WHOLE_PAGE: &str = whole!("WHERE contact > ?1 AND contact <= ?2");
const WHOLE_REST: &str = whole!("WHERE contact > ?1");
const OF_CONTACTS: &str = whole!("WHERE contact IN (SELECT value FROM json_each(?1))");
const OF_KEY: &str = whole!(
    "WHERE contact = ?1 AND automation = (SELECT id FROM automation WHERE name = ?2) AND occurrence = ?3"
);
const WITH_IDS: &str = whole!("WHERE ids IN (SELECT value FROM json_each(?1))");

/// Where the next page ends: with a contact, so that each is on one page.
const END_OF_PAGE: &str =
    "SELECT contact FROM participation WHERE contact > ? ORDER BY contact LIMIT 1 OFFSET ?";

const ABOUT: &str = "\
SELECT identity, serial, file_inode, file_birth, service, account,
  EXISTS (SELECT * FROM participation WHERE state NOT IN ('failed', 'failed-for-good', 'waiting', 'withheld'))
    OR EXISTS (SELECT * FROM call WHERE outcome IS NULL),
  (SELECT started_at FROM run ORDER BY id DESC LIMIT 1), moved_to
FROM meta";

const OPEN_CALLS: &str = "\
SELECT id, kind, contact, automation, occurrence, trigger_code, hex(fields), sent_at FROM call WHERE outcome IS NULL ORDER BY id";

/// Triggers of some contacts since a time, carried out or in doubt.
const TRIGGERS: &str = "\
SELECT call.contact, automation.name, call.sent_at FROM call JOIN automation ON automation.id = call.automation
WHERE call.contact IN (SELECT value FROM json_each(?1)) AND call.kind = 'trigger' AND call.sent_at > ?2
  AND (call.outcome IS NULL OR call.outcome IN ('active', 'uncertain'))";

const SENT: &str = "\
SELECT automation.name, count(*) FROM call JOIN automation ON automation.id = call.automation
WHERE call.kind = 'trigger' AND call.sent_at >= ?1 AND call.sent_at < ?2
  AND (call.outcome IS NULL OR call.outcome IN ('active', 'uncertain'))
GROUP BY automation.name";

macro_rules! calls {
    ($where:literal, $most:literal) => {
        concat!(
            "SELECT call.id, call.sent_at, call.kind, automation.name AS automation, call.contact, \
             nullif(call.occurrence, '') AS occurrence, call.participation_id, call.outcome, call.http_status, call.detail, \
             call.entries, run.command, run.config_digest, run.git_revision FROM call JOIN run ON run.id = call.run \
             JOIN automation ON automation.id = call.automation WHERE ",
            $where,
            " ORDER BY call.id LIMIT ",
            $most
        )
    };
}
const CALLS_OF_ONE: &str = calls!(
    "call.id > ? AND call.contact IN (SELECT value FROM json_each(?))",
    -1
);
const CALLS_OF_ALL: &str = calls!("call.id > ?", 2000);

/// A connection to a record.
pub(super) struct Db {
    pub(super) path: PathBuf,
    pub(super) connection: SqliteConnection,
    pub(super) names: Arc<Names>,
    /// The last contact of the page before; `None` where there is no page any more.
    pub(super) behind: Option<String>,
}

impl Db {
    pub(super) async fn new(
        path: &Path,
        mut connection: SqliteConnection,
    ) -> Result<Self, RecordError> {
        Ok(Self {
            path: path.to_owned(),
            names: Arc::new(
                names::read(&mut connection)
                    .await
                    .map_err(sql(path, "read"))?,
            ),
            connection,
            behind: Some(String::new()),
        })
    }

    /// Makes an error of what SQLite says while the record is being read.
    fn failed(&self) -> impl Fn(sqlx::Error) -> RecordError + use<> {
        sql(&self.path, "read")
    }

    fn corrupt(&self) -> impl Fn(String) -> RecordError {
        |what| corrupt(&self.path, what)
    }

    async fn page(
        &mut self,
        statement: &'static str,
        values: &[&str],
    ) -> Result<Columns, RecordError> {
        let failed = self.failed();
        let mut query = sqlx::query_as(statement);
        for value in values {
            query = query.bind(*value);
        }
        let row: Row = query
            .fetch_one(&mut self.connection)
            .await
            .map_err(failed)?;
        Ok(Columns::new(self.path.clone(), self.names.clone(), row))
    }
}

#[async_trait]
impl View for Db {
    async fn about(&mut self) -> Result<Found, RecordError> {
        type Row = (
            String,
            i64,
            Option<i64>,
            Option<i64>,
            Option<String>,
            Option<Vec<u8>>,
            bool,
            Option<i64>,
            Option<String>,
        );
        let row = sqlx::query_as(ABOUT).fetch_one(&mut self.connection).await;
        let (identity, serial, inode, birth, host, account, is_bound, last_run, moved_to): Row =
            row.map_err(self.failed())?;
        let meta = std::fs::metadata(&self.path).map_err(files::io(&self.path))?;
        let account = account.map(|bytes| <[u8; 16]>::try_from(bytes).map(Digest::from_bytes));
        let account = account
            .transpose()
            .map_err(|_| corrupt(&self.path, "the digest of a key"))?;
        let noted_file = FileId { inode, birth };
        Ok(Found {
            id: (identity.parse()).map_err(|_| corrupt(&self.path, "its id"))?,
            serial: count(serial),
            last_run: last_run.map(time),
            running: 0,
            file: files::id_of(&meta),
            names: files::names(&meta),
            is_exposed: files::is_exposed(&meta),
            noted_file: (noted_file != FileId::default()).then_some(noted_file),
            database: None,
            noted_database: None,
            moved_to,
            noted_host: host,
            noted_account: account,
            is_bound,
            witness: None,
        })
    }

    async fn standing(&mut self) -> Result<Applied, RecordError> {
        let failed = self.failed();
        let meta = "SELECT counted_from, moved FROM meta";
        let meta = sqlx::query_as(meta).fetch_one(&mut self.connection).await;
        let meta = meta.map_err(&failed)?;
        let rows = "SELECT automation, sources, repeat_by FROM applied";
        let rows = sqlx::query_as(rows).fetch_all(&mut self.connection).await;
        let merged = "SELECT contact, becomes FROM merged ORDER BY contact";
        let merged = sqlx::query_as(merged).fetch_all(&mut self.connection).await;
        let merged = merged.map_err(&failed)?;
        rows::applied(&self.path, rows.map_err(&failed)?, meta, merged)
    }

    async fn next_page(&mut self, is_whole: bool) -> Result<Option<Page>, RecordError> {
        let Some(behind) = self.behind.take() else {
            return Ok(None);
        };
        let end = sqlx::query_as(END_OF_PAGE).bind(&behind).bind(PAGE - 1);
        let end: Option<(String,)> = end
            .fetch_optional(&mut self.connection)
            .await
            .map_err(self.failed())?;
        let page = match &end {
            Some((end,)) => {
                let statement = if is_whole { WHOLE_PAGE } else { PLAN_PAGE };
                self.page(statement, &[&behind, end]).await?
            }
            None => {
                let statement = if is_whole { WHOLE_REST } else { PLAN_REST };
                self.page(statement, &[&behind]).await?
            }
        };
        self.behind = end.map(|(end,)| end);
        Ok(Some(Box::new(page)))
    }

    async fn of_contacts(&mut self, contacts: &[ContactId]) -> Result<Page, RecordError> {
        let contacts: Vec<&str> = contacts.iter().map(ContactId::as_str).collect();
        let contacts = json(contacts).map_err(self.failed())?;
        let page = self.page(OF_CONTACTS, &[&contacts]).await?;
        Ok(Box::new(page.in_any_order()))
    }

    async fn of_key(&mut self, key: &Key) -> Result<Option<Listed>, RecordError> {
        let (contact, automation) = (key.contact.as_str(), key.automation.as_str());
        let key = [contact, automation, occurrence(key)];
        self.page(OF_KEY, &key).await?.next().transpose()
    }

    async fn with_ids(&mut self, ids: &[String]) -> Result<Page, RecordError> {
        let ids = json(ids).map_err(self.failed())?;
        let page = self.page(WITH_IDS, &[&ids]).await?;
        Ok(Box::new(page.in_any_order()))
    }

    async fn doubted_ids(&mut self) -> Result<Vec<String>, RecordError> {
        let ids = sqlx::query_scalar("SELECT ids FROM doubted_ids");
        ids.fetch_all(&mut self.connection)
            .await
            .map_err(self.failed())
    }

    async fn open_calls(&mut self) -> Result<Vec<OpenCall>, RecordError> {
        type Row = (
            i64,
            String,
            String,
            i64,
            Option<String>,
            i64,
            Option<String>,
            i64,
        );
        let rows = sqlx::query_as(OPEN_CALLS)
            .fetch_all(&mut self.connection)
            .await;
        let rows: Vec<Row> = rows.map_err(self.failed())?;
        let read = |row: Row| {
            let (id, kind, contact, automation, occurrence, code, fields, sent_at) = row;
            let row = OpenCallRow {
                id,
                kind,
                contact,
                automation,
                occurrence,
                code,
                // `hex` makes nothing of NULL.
                fields: match fields.as_deref() {
                    None | Some("") => None,
                    Some(hex) => Some(read_hex(hex)?),
                },
                sent_at,
            };
            row.call(&self.names)
        };
        let calls = rows.into_iter().map(read).collect::<Result<_, String>>();
        calls.map_err(self.corrupt())
    }

    async fn calls(
        &mut self,
        contacts: Option<&[ContactId]>,
        behind: CallId,
    ) -> Result<Vec<(CallId, Call)>, RecordError> {
        let contacts =
            contacts.map(|list| json(list.iter().map(ContactId::as_str).collect::<Vec<_>>()));
        let query = match contacts.transpose().map_err(self.failed())? {
            Some(contacts) => sqlx::query(CALLS_OF_ONE).bind(behind.0).bind(contacts),
            None => sqlx::query(CALLS_OF_ALL).bind(behind.0),
        };
        let rows = query.fetch_all(&mut self.connection).await;
        let calls = rows.and_then(|rows| rows.iter().map(call).collect());
        calls.map_err(self.failed())
    }

    async fn last_call(&mut self) -> Result<CallId, RecordError> {
        let last = sqlx::query_scalar("SELECT coalesce(max(id), 0) FROM call");
        let last = last.fetch_one(&mut self.connection).await;
        last.map(CallId).map_err(self.failed())
    }

    async fn holder(&mut self) -> Result<Option<Holder>, RecordError> {
        lock::read_row(&self.path, &mut self.connection).await
    }

    async fn states(&mut self) -> Result<BTreeMap<(AutomationName, State), u64>, RecordError> {
        // SQLite sorts what it groups: by numbers faster than by names.
        let states = "SELECT name, state, number FROM \
                      (SELECT automation, state, count(*) AS number FROM participation GROUP BY 1, 2) \
                      JOIN automation ON automation.id = automation";
        let rows = sqlx::query_as(states).fetch_all(&mut self.connection).await;
        rows::states(&self.path, rows.map_err(self.failed())?)
    }

    async fn sent(
        &mut self,
        from: Timestamp,
        to: Timestamp,
    ) -> Result<BTreeMap<AutomationName, u64>, RecordError> {
        let sent = sqlx::query_as(SENT)
            .bind(from.as_millisecond())
            .bind(to.as_millisecond());
        let rows = sent.fetch_all(&mut self.connection).await;
        Ok(rows::counts(rows.map_err(self.failed())?))
    }

    async fn triggers(
        &mut self,
        contacts: &[ContactId],
        since: Timestamp,
    ) -> Result<Vec<(String, AutomationName, Timestamp)>, RecordError> {
        let contacts: Vec<&str> = contacts.iter().map(ContactId::as_str).collect();
        let contacts = json(contacts).map_err(self.failed())?;
        let triggers = sqlx::query_as(TRIGGERS).bind(contacts);
        let triggers = triggers.bind(since.as_millisecond());
        let rows = triggers.fetch_all(&mut self.connection).await;
        rows::triggers(&self.path, rows.map_err(self.failed())?)
    }

    async fn sources(&mut self) -> Result<BTreeMap<String, AppliedSource>, RecordError> {
        let sources = "SELECT name, rows, applied_at, ends_with_line_end FROM source";
        let rows = sqlx::query_as(sources)
            .fetch_all(&mut self.connection)
            .await;
        let rows: Vec<(String, i64, i64, Option<bool>)> = rows.map_err(self.failed())?;
        let sources = rows
            .into_iter()
            .map(|(name, rows, at, ends_with_line_end)| {
                let source = AppliedSource {
                    rows: count(rows),
                    ends_with_line_end,
                    at: time(at),
                };
                (name, source)
            });
        Ok(sources.collect())
    }

    async fn applied_at(&mut self, plan: &str) -> Result<Option<Timestamp>, RecordError> {
        let at = sqlx::query_scalar("SELECT started_at FROM run WHERE plan = ?").bind(plan);
        let at = at.fetch_optional(&mut self.connection).await;
        Ok(at.map_err(self.failed())?.map(time))
    }

    async fn overview(&mut self, from: Timestamp, to: Timestamp) -> Result<Overview, RecordError> {
        let (from, to) = (from.as_millisecond(), to.as_millisecond());
        let overview = report::overview(&mut self.connection, from, to).await;
        overview.map_err(self.failed())
    }
}

fn call(row: &SqliteRow) -> Result<(CallId, Call), sqlx::Error> {
    let call = Call {
        sent_at: time(row.try_get(1)?),
        kind: row.try_get(2)?,
        automation: row.try_get(3)?,
        contact: row.try_get(4)?,
        occurrence: row.try_get(5)?,
        participation: row.try_get(6)?,
        outcome: row.try_get(7)?,
        http_status: row.try_get(8)?,
        detail: row.try_get(9)?,
        entries: row.try_get(10)?,
        command: row.try_get(11)?,
        config_digest: row.try_get(12)?,
        git_revision: row.try_get(13)?,
    };
    Ok((CallId(row.try_get(0)?), call))
}
