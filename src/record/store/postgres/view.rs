//! What can be asked of a record in PostgreSQL.

use std::collections::BTreeMap;
use std::sync::Arc;

use async_trait::async_trait;
use futures_util::StreamExt;
use jiff::Timestamp;
use sqlx::Row as _;
use sqlx::postgres::{PgConnection, PgRow};
use tokio::sync::mpsc;

use super::columns::{self, HEADER, Row, Rows, columns};
use super::error::sql;
use super::link::Link;
use super::statement::Statement;
use super::{lock, open, report};
use crate::digest::Digest;
use crate::id::{AutomationName, ContactId};
use crate::record::batch::{count, time};
use crate::record::call::CallId;
use crate::record::error::{Holder, RecordError, corrupt};
use crate::record::guarded::AppliedSource;
use crate::record::identity::{DatabaseId, FileId, Found};
use crate::record::overview::Overview;
use crate::record::participation::{Key, State};
use crate::record::read::{Call, Listed};
use crate::record::recovery::OpenCall;
use crate::record::store::names::{Names, OwnNames};
use crate::record::store::rows::{self, OpenCallRow, read_digest};
use crate::record::store::{Applied, Page, View};

/// So many bytes of participations are on a page, or a few more: a contact is on one page.
const PAGE: usize = 256 << 10;

/// So many pages are read ahead of who passes them on.
const AHEAD: usize = 4;

const PLAN: &str = concat!(
    "COPY (SELECT ",
    columns!(),
    " FROM ~participation ORDER BY contact COLLATE \"C\", automation, occurrence) TO STDOUT (FORMAT binary)"
);
const WHOLE: &str = concat!(
    "COPY (SELECT ",
    columns!(),
    ", changed_at, ids FROM ~participation ORDER BY contact COLLATE \"C\", automation, occurrence) TO STDOUT (FORMAT binary)"
);
const OF_CONTACTS: &str = concat!(
    "SELECT ",
    columns!(),
    ", changed_at, ids FROM ~participation WHERE contact = ANY ($1::text[]) ORDER BY contact, automation, occurrence"
);
const OF_KEY: &str = concat!(
    "SELECT ",
    columns!(),
    ", changed_at, ids FROM ~participation WHERE contact = ($1::text[])[1] AND occurrence = ($1::text[])[3]
     AND automation = (SELECT id FROM ~automation WHERE name = ($1::text[])[2])"
);
const WITH_IDS: &str = concat!(
    "SELECT ",
    columns!(),
    ", changed_at, ids FROM ~participation WHERE ids = ANY ($1::text[])"
);

const ABOUT: &str = "\
SELECT identity, serial, service, account, system, timeline, database, tables, moved_to,
    EXISTS (SELECT FROM ~participation WHERE state NOT IN ('failed', 'failed-for-good', 'waiting', 'withheld'))
        OR EXISTS (SELECT FROM ~call WHERE outcome IS NULL) AS is_bound,
    (SELECT started_at FROM ~run ORDER BY id DESC LIMIT 1) AS last_run
FROM ~meta";

const OPEN_CALLS: &str = "\
SELECT id, kind, contact, automation, occurrence, trigger_code, fields, sent_at FROM ~call WHERE outcome IS NULL ORDER BY id";

/// Triggers of some contacts since a time, carried out or in doubt.
const TRIGGERS: &str = "\
SELECT c.contact, a.name, c.sent_at FROM ~call AS c JOIN ~automation AS a ON a.id = c.automation
WHERE c.contact = ANY ($2::text[]) AND c.kind = 'trigger' AND c.sent_at > $1
  AND (c.outcome IS NULL OR c.outcome IN ('active', 'uncertain'))";

/// Calls are numbered as they are made, so that older ones need not be read: a day more than asked for is, in case the
/// clock was set back.
const SENT: &str = "\
SELECT a.name, count(*) FROM ~call AS c JOIN ~automation AS a ON a.id = c.automation
WHERE c.id > coalesce((SELECT max(id) FROM ~call WHERE sent_at < $1 - 86400000), 0)
  AND c.kind = 'trigger' AND c.sent_at >= $1 AND c.sent_at < $2
  AND (c.outcome IS NULL OR c.outcome IN ('active', 'uncertain'))
GROUP BY a.name";

const CALLS: &str = "\
SELECT c.id, c.sent_at, c.kind, a.name, c.contact, nullif(c.occurrence, ''), c.participation_id, c.outcome, c.http_status,
    c.detail, c.entries, r.command, r.config_digest, r.git_revision
FROM ~call AS c JOIN ~run AS r ON r.id = c.run JOIN ~automation AS a ON a.id = c.automation
WHERE c.id > $1 AND ($2::text[] IS NULL OR c.contact = ANY ($2::text[])) ORDER BY c.id LIMIT 2000";

const STATES: &str = "\
SELECT a.name, p.state, count(*) FROM ~participation AS p JOIN ~automation AS a ON a.id = p.automation GROUP BY 1, 2";

/// A record that is read: as it was at one moment, or, by who has its lease, as it is.
pub(super) struct Db {
    pub link: Link,
    pub names: Arc<Names>,
    pages: Pages,
}

/// The pages of all participations.
enum Pages {
    /// Nobody asked for them yet.
    NotAsked,
    /// They come from a task that has the connection.
    Coming(mpsc::Receiver<Result<Option<Vec<u8>>, sqlx::Error>>),
    /// That was all.
    Ended,
}

impl Db {
    /// One with a connection that is about to be used, or in a transaction that reads.
    pub(super) async fn new(mut link: Link) -> Result<Self, RecordError> {
        let failed = sql(&link.place.path, "read");
        let place = link.place.clone();
        let names = match link.look().await {
            Ok(connection) => super::names::read(&place, connection).await,
            Err(error) => Err(error),
        };
        let names = link.looked(names).await.map_err(&failed)?;
        Ok(Self {
            names: Arc::new(names),
            link,
            pages: Pages::NotAsked,
        })
    }

    /// Makes an error of what PostgreSQL says while the record is being read.
    fn failed(&self) -> impl Fn(sqlx::Error) -> RecordError + use<> {
        sql(&self.link.place.path, "read")
    }

    async fn rows(
        &mut self,
        text: &str,
        bind: impl Fn(Statement) -> Statement + Send,
    ) -> Result<Vec<PgRow>, RecordError> {
        let failed = self.failed();
        self.link.rows(text, bind).await.map_err(failed)
    }

    /// The one row of a statement.
    async fn row(&mut self, text: &str) -> Result<PgRow, RecordError> {
        let row = self.rows(text, |query| query).await?.pop();
        row.ok_or_else(|| corrupt(&self.link.place.path, "no row where there is always one"))
    }

    async fn page(&mut self, statement: &str, values: &[&str]) -> Result<Page, RecordError> {
        let rows = self
            .rows(statement, |query| query.bind(values.to_vec()))
            .await?;
        let path = self.link.place.path.clone();
        let mut names = OwnNames::new(self.names.clone());
        let listed = rows
            .into_iter()
            .map(move |row| match listed(&row, &mut names) {
                Ok(listed) => listed.map_err(|what| corrupt(&path, what)),
                Err(error) => Err(sql(&path, "read")(error)),
            });
        Ok(Box::new(listed))
    }
}

/// Reads a row of the statements for a few participations.
fn listed(row: &PgRow, names: &mut OwnNames) -> Result<Result<Listed, String>, sqlx::Error> {
    let fields: Option<Vec<u8>> = row.try_get(3)?;
    let row = Row {
        contact: row.try_get(0)?,
        kind: row.try_get(1)?,
        triggered_at: row.try_get(2)?,
        fields: fields.as_deref(),
        rest: row.try_get(4)?,
        changed_at: row.try_get(5)?,
        ids: row.try_get(6)?,
    };
    Ok(row.listed(names, None))
}

fn short() -> sqlx::Error {
    sqlx::Error::Protocol("the participations were cut short".to_owned())
}

/// Passes on all rows of a copy, many at once, and that there is none any more, or an error.
async fn copy(
    mut connection: PgConnection,
    statement: String,
    pages: mpsc::Sender<Result<Option<Vec<u8>>, sqlx::Error>>,
) {
    /// What comes after the last row.
    const END: &[u8] = &[0xff, 0xff];
    let mut read = async || {
        let mut rows = connection.copy_out_raw(&statement).await?;
        let mut page = Vec::with_capacity(PAGE + 1024);
        // Where the last row begins.
        let mut last = 0;
        let mut is_first = true;
        while let Some(row) = rows.next().await {
            let row = row?;
            let mut row = row.as_ref();
            if std::mem::take(&mut is_first) {
                row = row.strip_prefix(HEADER).ok_or_else(short)?;
            }
            if row == END {
                let _ = pages.send(Ok(Some(std::mem::take(&mut page)))).await;
                let _ = pages.send(Ok(None)).await;
                return Ok(());
            }
            // A contact is on one page.
            if page.len() >= PAGE && columns::contact(&page[last..]) != columns::contact(row) {
                let full = std::mem::replace(&mut page, Vec::with_capacity(PAGE + 1024));
                // Who no longer listens needs no more.
                if pages.send(Ok(Some(full))).await.is_err() {
                    return Ok(());
                }
            }
            last = page.len();
            page.extend_from_slice(row);
        }
        Err(short())
    };
    if let Err(error) = read().await {
        let _ = pages.send(Err(error)).await;
    }
}

#[async_trait]
impl View for Db {
    async fn about(&mut self) -> Result<Found, RecordError> {
        let failed = self.failed();
        let row = self.row(ABOUT).await?;
        let place = self.link.place.clone();
        let database = match self.link.look().await {
            Ok(connection) => open::place(&place, connection).await,
            Err(error) => Err(error),
        };
        let database = self.link.looked(database).await.map_err(&failed)?;
        let read = || {
            let noted: Option<i64> = row.try_get("database")?;
            let noted = noted.map(|noted| {
                Ok::<_, sqlx::Error>(DatabaseId {
                    system: row.try_get("system")?,
                    timeline: row.try_get("timeline")?,
                    database: noted,
                    tables: row
                        .try_get::<Option<String>, _>("tables")?
                        .unwrap_or_default(),
                })
            });
            let identity: String = row.try_get("identity")?;
            let account: Option<Vec<u8>> = row.try_get("account")?;
            let last_run: Option<i64> = row.try_get("last_run")?;
            let serial = count(row.try_get("serial")?);
            let (host, is_bound) = (row.try_get("service")?, row.try_get("is_bound")?);
            let moved_to: Option<String> = row.try_get("moved_to")?;
            Ok((
                identity,
                account,
                last_run,
                serial,
                host,
                is_bound,
                noted.transpose()?,
                moved_to,
            ))
        };
        let (identity, account, last_run, serial, noted_host, is_bound, noted_database, moved_to) =
            read().map_err(failed)?;
        let corrupt = |what: &str| corrupt(&place.path, what);
        let account = account.map(|bytes| <[u8; 16]>::try_from(bytes).map(Digest::from_bytes));
        let account = account
            .transpose()
            .map_err(|_| corrupt("the digest of a key"))?;
        Ok(Found {
            id: identity.parse().map_err(|_| corrupt("its id"))?,
            serial,
            last_run: last_run.map(time),
            running: 0,
            file: FileId::default(),
            names: 1,
            is_exposed: false,
            noted_file: None,
            database: Some(database),
            noted_database,
            moved_to,
            noted_host,
            noted_account: account,
            is_bound,
            witness: None,
        })
    }

    async fn standing(&mut self) -> Result<Applied, RecordError> {
        let failed = self.failed();
        let path = self.link.place.path.clone();
        let meta = self.row("SELECT counted_from, moved FROM ~meta").await?;
        let meta = (
            meta.try_get(0).map_err(&failed)?,
            meta.try_get(1).map_err(&failed)?,
        );
        let applied = "SELECT automation, sources, repeat_by FROM ~applied";
        let rows = self.rows(applied, |query| query).await?;
        let rows = rows
            .iter()
            .map(|row| Ok((row.try_get(0)?, row.try_get(1)?, row.try_get(2)?)));
        let rows = rows.collect::<Result<_, _>>().map_err(&failed)?;
        let merged = "SELECT contact, becomes FROM ~merged ORDER BY contact";
        let merged = self.rows(merged, |query| query).await?;
        let merged = merged
            .iter()
            .map(|row| Ok((row.try_get(0)?, row.try_get(1)?)));
        let merged = merged.collect::<Result<_, _>>().map_err(self.failed())?;
        rows::applied(&path, rows, meta, merged)
    }

    async fn next_page(&mut self, is_whole: bool) -> Result<Option<Page>, RecordError> {
        let failed = self.failed();
        if let Pages::NotAsked = self.pages {
            let statement = self.link.place.sql(if is_whole { WHOLE } else { PLAN }).0;
            let (sender, pages) = mpsc::channel(AHEAD);
            let connection = self.link.take().await.map_err(&failed)?;
            tokio::spawn(copy(connection, statement, sender));
            self.pages = Pages::Coming(pages);
        }
        let Pages::Coming(pages) = &mut self.pages else {
            return Ok(None);
        };
        // Whoever reads may be gone before it said that this is all.
        let page = pages.recv().await.unwrap_or_else(|| Err(short()));
        let Some(page) = page.map_err(&failed)? else {
            self.pages = Pages::Ended;
            return Ok(None);
        };
        Ok(Some(Box::new(Rows {
            path: self.link.place.path.clone(),
            names: OwnNames::new(self.names.clone()),
            bytes: page,
            at: 0,
            contact: None,
        })))
    }

    async fn of_contacts(&mut self, contacts: &[ContactId]) -> Result<Page, RecordError> {
        let contacts: Vec<&str> = contacts.iter().map(ContactId::as_str).collect();
        self.page(OF_CONTACTS, &contacts).await
    }

    async fn of_key(&mut self, key: &Key) -> Result<Option<Listed>, RecordError> {
        let occurrence = key.occurrence.as_ref().map_or("", |o| o.as_str());
        let key = [key.contact.as_str(), key.automation.as_str(), occurrence];
        self.page(OF_KEY, &key).await?.next().transpose()
    }

    async fn with_ids(&mut self, ids: &[String]) -> Result<Page, RecordError> {
        let ids: Vec<&str> = ids.iter().map(String::as_str).collect();
        self.page(WITH_IDS, &ids).await
    }

    async fn doubted_ids(&mut self) -> Result<Vec<String>, RecordError> {
        let rows = self
            .rows("SELECT ids FROM ~doubted_ids", |query| query)
            .await?;
        let ids = rows
            .iter()
            .map(|row| row.try_get(0))
            .collect::<Result<_, _>>();
        ids.map_err(self.failed())
    }

    async fn open_calls(&mut self) -> Result<Vec<OpenCall>, RecordError> {
        let rows = self.rows(OPEN_CALLS, |query| query).await?;
        let path = self.link.place.path.clone();
        let calls = rows.iter().map(|row| match open_call(row, &self.names) {
            Ok(call) => call.map_err(|what| corrupt(&path, what)),
            Err(error) => Err(sql(&path, "read")(error)),
        });
        calls.collect()
    }

    async fn calls(
        &mut self,
        contacts: Option<&[ContactId]>,
        behind: CallId,
    ) -> Result<Vec<(CallId, Call)>, RecordError> {
        let contacts = contacts.map(|list| list.iter().map(ContactId::as_str).collect::<Vec<_>>());
        let rows = self
            .rows(CALLS, |query| query.bind(behind.0).bind(&contacts))
            .await?;
        let calls = rows.iter().map(call).collect::<Result<_, _>>();
        calls.map_err(self.failed())
    }

    async fn last_call(&mut self) -> Result<CallId, RecordError> {
        let row = self.row("SELECT coalesce(max(id), 0) FROM ~call").await?;
        row.try_get(0).map(CallId).map_err(self.failed())
    }

    async fn holder(&mut self) -> Result<Option<Holder>, RecordError> {
        let rows = self.rows(lock::ROW, |query| query).await?;
        let row = rows.first().map(lock::holder).transpose();
        row.map_err(self.failed())
    }

    async fn states(&mut self) -> Result<BTreeMap<(AutomationName, State), u64>, RecordError> {
        let rows = self.rows(STATES, |query| query).await?;
        let read = |row: &PgRow| Ok((row.try_get(0)?, row.try_get(1)?, row.try_get(2)?));
        let rows = rows.iter().map(read).collect::<Result<_, _>>();
        rows::states(&self.link.place.path, rows.map_err(self.failed())?)
    }

    async fn sent(
        &mut self,
        from: Timestamp,
        to: Timestamp,
    ) -> Result<BTreeMap<AutomationName, u64>, RecordError> {
        let (from, to) = (from.as_millisecond(), to.as_millisecond());
        let rows = self.rows(SENT, |query| query.bind(from).bind(to)).await?;
        let read = |row: &PgRow| Ok((row.try_get(0)?, row.try_get(1)?));
        let rows = rows.iter().map(read).collect::<Result<_, _>>();
        Ok(rows::counts(rows.map_err(self.failed())?))
    }

    async fn triggers(
        &mut self,
        contacts: &[ContactId],
        since: Timestamp,
    ) -> Result<Vec<(String, AutomationName, Timestamp)>, RecordError> {
        let since = since.as_millisecond();
        let contacts: Vec<&str> = contacts.iter().map(ContactId::as_str).collect();
        let bind = |query: Statement| query.bind(since).bind(contacts.clone());
        let rows = self.rows(TRIGGERS, bind).await?;
        let read = |row: &PgRow| Ok((row.try_get(0)?, row.try_get(1)?, row.try_get(2)?));
        let rows = rows.iter().map(read).collect::<Result<_, _>>();
        rows::triggers(&self.link.place.path, rows.map_err(self.failed())?)
    }

    async fn sources(&mut self) -> Result<BTreeMap<String, AppliedSource>, RecordError> {
        let sources = "SELECT name, rows, applied_at, ends_with_line_end FROM ~source";
        let rows = self.rows(sources, |query| query).await?;
        let sources = rows.iter().map(|row| {
            let source = AppliedSource {
                rows: count(row.try_get(1)?),
                ends_with_line_end: row.try_get(3)?,
                at: time(row.try_get(2)?),
            };
            Ok((row.try_get(0)?, source))
        });
        sources.collect::<Result<_, _>>().map_err(self.failed())
    }

    async fn applied_at(&mut self, plan: &str) -> Result<Option<Timestamp>, RecordError> {
        let at = "SELECT started_at FROM ~run WHERE plan = $1";
        let rows = self.rows(at, |query| query.bind(plan)).await?;
        let at = rows.first().map(|row| row.try_get(0)).transpose();
        Ok(at.map_err(self.failed())?.map(time))
    }

    async fn overview(&mut self, from: Timestamp, to: Timestamp) -> Result<Overview, RecordError> {
        let (from, to) = (from.as_millisecond(), to.as_millisecond());
        let overview = report::overview(&mut self.link, from, to).await;
        overview.map_err(self.failed())
    }
}

fn open_call(row: &PgRow, names: &Names) -> Result<Result<OpenCall, String>, sqlx::Error> {
    let fields: Option<Vec<u8>> = row.try_get(6)?;
    let fields = fields.map(|bytes| read_digest(&bytes)).transpose();
    let row = OpenCallRow {
        id: row.try_get(0)?,
        kind: row.try_get(1)?,
        contact: row.try_get(2)?,
        automation: row.try_get(3)?,
        occurrence: row.try_get(4)?,
        code: row.try_get(5)?,
        fields: None,
        sent_at: row.try_get(7)?,
    };
    Ok(fields.and_then(|fields| OpenCallRow { fields, ..row }.call(names)))
}

fn call(row: &PgRow) -> Result<(CallId, Call), sqlx::Error> {
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
