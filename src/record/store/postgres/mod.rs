//! A record in a schema of PostgreSQL.
//!
//! Nothing lives in a session: each transaction says for itself what it needs, so that a pool such as PgBouncer may stand in
//! between.

mod carry;
mod columns;
mod error;
mod link;
mod lock;
mod names;
mod open;
mod report;
mod statement;
mod view;
mod write;

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use sqlx::Row as _;
use sqlx::postgres::PgConnection;

use super::carry::{Row, Table};
use super::names::Names;
use super::{Acquired, Lease, Store, View};
use crate::clock::uptime;
use crate::location::Database;
use crate::record::batch::{Batch, RunStep};
use crate::record::error::{DEAD_AFTER, Holder, JournalError, LockError, RecordError};
use crate::record::host;
use crate::record::identity::{DatabaseId, Expected, Witness};
use crate::record::writing::{LockRequest, Purpose};
use error::{explain, has_code, sql};
use link::{Link, Place, patience, within};
use lock::Locked;
use open::{Kind, Problem};
use view::Db;
use write::Fence;

const RUN: &str = "\
INSERT INTO ~run (command, started_at, host, pid, version, config_digest, git_revision)
VALUES ($1, $2, $3, $4, $5, $6, $7) RETURNING id";

/// An account without its key stays as it is noted, as long as the host does.
const MARK: &str = "\
UPDATE ~meta SET service = $1, account = CASE WHEN $2::bytea IS NULL AND service = $1 THEN account ELSE $2 END,
    system = $3, timeline = $4, database = $5, tables = $6";

const SIGN_OF_LIFE: &str = "UPDATE ~lock SET heartbeat_at = clock_timestamp() WHERE holder = $1";

const LAST_RUN: &str = "SELECT coalesce(max(id), 0) FROM ~run";

/// Where the record is, or is to be.
#[derive(Debug)]
pub(in crate::record) struct Postgres {
    database: Database,
    path: PathBuf,
}

impl Postgres {
    pub(in crate::record) fn at(database: Database) -> Self {
        Self {
            path: PathBuf::from(database.to_string()),
            database,
        }
    }

    /// The record as it is at this moment. `None` where there is none; one of an older schema is an error.
    async fn snapshot(&self) -> Result<Option<Db>, RecordError> {
        let mut link = Link::to(&self.database);
        let place = link.place.clone();
        let connection = link.read().await.map_err(sql(&self.path, "opened"))?;
        let known = open::newest();
        match open::recognise(&place, connection).await {
            Ok(Kind::Empty { .. }) => Ok(None),
            Ok(Kind::Record(found)) if found < known => Err(RecordError::Older {
                path: self.path.clone(),
                found,
                known,
            }),
            Ok(Kind::Record(_)) => Ok(Some(Db::new(link).await?)),
            Err(Problem::Sql(error)) => Err(sql(&self.path, "read")(error)),
            Err(Problem::Record(error)) => Err(error),
        }
    }
}

#[async_trait]
impl Store for Postgres {
    fn path(&self) -> &Path {
        &self.path
    }

    fn witness(&self) -> Option<Witness> {
        None
    }

    async fn read(&self) -> Result<Option<Box<dyn View>>, RecordError> {
        let db = match self.snapshot().await {
            Err(RecordError::Older { .. }) => {
                let request = LockRequest {
                    command: "record".to_owned(),
                    // A run that has only just made the record brings it up to date itself.
                    timeout: Duration::from_secs(1),
                    config_digest: None,
                    git_revision: None,
                    expected: Expected::default(),
                    purpose: Purpose::Erase,
                    may_begin: false,
                };
                match lock::acquire(&self.database, &request).await {
                    Ok(mut locked) => {
                        let _ = lock::give_back(&mut locked.link, &locked.holder).await;
                    }
                    Err(LockError::Record(error)) => return Err(error),
                    // Where it is older still, the reader says so.
                    Err(LockError::Held(_) | LockError::Lost) => {}
                }
                self.snapshot().await?
            }
            result => result?,
        };
        Ok(match db {
            Some(db) => Some(Box::new(db)),
            None => None,
        })
    }

    async fn acquire(&self, request: &LockRequest) -> Result<Acquired, LockError> {
        let Locked {
            link,
            holder,
            is_made,
            home,
        } = lock::acquire(&self.database, request).await?;
        let lease = Box::new(Held {
            db: Db::new(link).await?,
            holder,
            home,
            batch: 0,
            tried: 0,
            run: 0,
        });
        Ok(Acquired { lease, is_made })
    }

    async fn unlock(&self, holder: &Holder) -> Result<(), LockError> {
        let mut link = Link::to(&self.database);
        let unlocked = lock::give_back(&mut link, &holder.holder).await;
        unlocked.map_err(sql(&self.path, "unlocked"))?;
        link.close().await;
        Ok(())
    }
}

/// A record that is locked.
struct Held {
    db: Db,
    /// The token of the lease.
    holder: String,
    /// Where the record is, as the server knew it when the lease was taken.
    home: DatabaseId,
    /// The number of the last batch that is known to be committed.
    batch: i64,
    /// The number of the last batch that was tried. One that failed may be committed yet, by a connection that was lost.
    tried: i64,
    /// The number of the run; 0 before it begins.
    run: i64,
}

/// What came of a batch.
enum Tried {
    /// It is committed.
    Written,
    /// It was committed before, by a connection that was lost before it could say so.
    Was,
    /// Somebody else has the lease.
    Lost,
    /// The record lacks what was committed before.
    Behind,
}

#[async_trait]
impl Lease for Held {
    fn moves(&mut self) {
        // A connection belongs to the runtime that made it.
        self.db.link.drop_connection();
    }

    fn view(&mut self) -> &mut dyn View {
        &mut self.db
    }

    async fn commit(&mut self, batch: &Batch) -> Result<(), JournalError> {
        let begun = uptime();
        self.tried += 1;
        let tried = loop {
            match self.try_commit(batch).await {
                Err(error) if self.db.link.tries_again(&error).await => {}
                Err(error) => return Err(JournalError::Store(explain(&error))),
                Ok(tried) => break tried,
            }
        };
        match tried {
            Tried::Written | Tried::Was => {
                self.batch = self.tried;
                self.db.link.until = Some(begun + DEAD_AFTER);
                Ok(())
            }
            Tried::Lost => Err(JournalError::LockLost),
            Tried::Behind => Err(JournalError::RecordLost(self.db.link.place.path.clone())),
        }
    }

    async fn wipe(&mut self) -> Result<bool, JournalError> {
        // Rows that were deleted are emptied once nobody can see them any more.
        for table in ["participation", "call"] {
            let wiped = match self.may_vacuum(table).await {
                // The server itself says so in a notice alone.
                Ok(false) => Err("the role does not own the table".to_owned()),
                Ok(true) => {
                    let statement = self.db.link.place.sql(&format!("VACUUM ~{table}"));
                    let wiped = self.db.link.alone(statement, 1_000_000).await;
                    wiped.map_err(|error| explain(&error))
                }
                Err(error) => Err(explain(&error)),
            };
            if let Err(why) = wiped {
                tracing::warn!(
                    event = "not-vacuumed",
                    "what was erased is no longer on record, but its bytes stay in the files of the server until it vacuums \
                     them by itself, or you do: VACUUM {}.{table} failed: {why}",
                    self.db.link.place.schema
                );
            }
        }
        Ok(true)
    }

    async fn rows(
        &mut self,
        table: &Table,
        behind: Option<&Row>,
    ) -> Result<Vec<Row>, JournalError> {
        let rows = carry::rows(&mut self.db.link, table, behind).await;
        rows.map_err(|error| JournalError::Store(explain(&error)))
    }

    async fn fill(&mut self, table: &Table, rows: &[Row]) -> Result<(), JournalError> {
        let at = self.db.link.place.clone();
        self.fenced(async |tx| carry::fill(&at, tx, table, rows).await)
            .await
    }

    async fn empty(&mut self) -> Result<(), JournalError> {
        let at = self.db.link.place.clone();
        self.fenced(async |tx| carry::empty(&at, tx).await).await
    }

    async fn close(&mut self, moved_to: Option<&str>) -> Result<(), JournalError> {
        let close = self.db.link.place.sql("UPDATE ~meta SET moved_to = $1");
        self.fenced(async |tx| {
            let close = sqlx::query(close).bind(moved_to).persistent(false);
            close.execute(tx).await.map(drop)
        })
        .await
    }

    async fn release(mut self: Box<Self>) -> Result<(), JournalError> {
        // Where that fails, the next run takes it over.
        let _ = lock::give_back(&mut self.db.link, &self.holder).await;
        self.db.link.close().await;
        Ok(())
    }
}

impl Held {
    /// Whether the role may vacuum a table.
    async fn may_vacuum(&mut self, table: &str) -> Result<bool, sqlx::Error> {
        let owns = format!(
            "SELECT 1 FROM pg_catalog.pg_class WHERE oid = '~{table}'::regclass AND pg_has_role(relowner, 'USAGE')"
        );
        let rows = self.db.link.rows(&owns, |of| of).await?;
        Ok(!rows.is_empty())
    }

    /// Does something in one transaction, while the lease is held.
    async fn fenced(
        &mut self,
        work: impl AsyncFnOnce(&mut PgConnection) -> Result<(), sqlx::Error>,
    ) -> Result<(), JournalError> {
        let at = self.db.link.place.clone();
        let done = async {
            let mut tx = self.db.link.write().await?;
            let sign = sqlx::query(at.sql(SIGN_OF_LIFE))
                .bind(&self.holder)
                .persistent(false);
            if sign.execute(&mut *tx).await?.rows_affected() == 0 {
                return Ok(false);
            }
            work(&mut tx).await?;
            within(patience(100_000), tx.commit()).await?;
            Ok(true)
        };
        match done.await {
            Ok(true) => Ok(()),
            Ok(false) => Err(JournalError::LockLost),
            Err(error) => {
                let error: sqlx::Error = error;
                Err(JournalError::Store(explain(&error)))
            }
        }
    }

    async fn try_commit(&mut self, batch: &Batch) -> Result<Tried, sqlx::Error> {
        let at = &self.db.link.place.clone();
        let known = self.db.names.clone();
        let number = self.tried;
        let mut new = None;
        let mut run = self.run;
        let rows = batch.participations.len() + batch.states.len() + batch.marks.len();
        // What the server numbers, it is asked for before.
        let (automations, codes) = known.new_in(batch);
        let has_new = !automations.is_empty() || !codes.is_empty();
        let is_begun = batch.run.is_some() || has_new;
        if is_begun {
            let tx = self.db.link.begin().await?;
            let begun = within(patience(rows), async {
                if has_new {
                    names::write(at, tx, &automations, &codes).await?;
                    new = Some(Arc::new(names::read(at, tx).await?));
                }
                if let Some(step) = &batch.run {
                    run = write_run(at, tx, step, batch, run, &self.home).await?;
                }
                Ok(())
            });
            begun.await?;
        }
        let fence = Fence {
            holder: &self.holder,
            batch: number,
            behind: self.batch,
        };
        let names = new.as_deref().unwrap_or(&known);
        let script = write::script(at, names, run, batch, fence)?;
        match self.db.link.commit(&script, is_begun, rows).await {
            Ok(()) => {
                self.run = run;
                if let Some(new) = new {
                    self.db.names = new;
                }
                return Ok(Tried::Written);
            }
            // Nothing of it is kept. A lost connection's transaction has ended: whoever holds the row kept this one waiting.
            Err(error) if has_code(&error, write::NOT_HELD) => {}
            Err(error) => return Err(error),
        }
        let found = match self.db.link.look().await {
            Ok(connection) => committed(at, connection, &self.holder).await,
            Err(error) => Err(error),
        };
        let Some((found, names, last_run)) = self.db.link.looked(found).await? else {
            return Ok(Tried::Lost);
        };
        if found != number {
            return Ok(Tried::Behind);
        }
        if batch.run.is_some() {
            self.run = last_run;
        }
        self.db.names = Arc::new(names);
        Ok(Tried::Was)
    }
}

/// What a holder has committed: its last batch, the names, and its run. `None` where another one holds the lease.
async fn committed(
    at: &Place,
    connection: &mut PgConnection,
    holder: &str,
) -> Result<Option<(i64, Names, i64)>, sqlx::Error> {
    let row = sqlx::query(at.sql(lock::ROW)).persistent(false);
    let Some(row) = row.fetch_optional(&mut *connection).await? else {
        return Ok(None);
    };
    let (found, batch): (String, i64) = (row.try_get("holder")?, row.try_get("batch")?);
    if found != holder {
        return Ok(None);
    }
    let names = names::read(at, &mut *connection).await?;
    let run = sqlx::query_scalar(at.sql(LAST_RUN)).persistent(false);
    Ok(Some((batch, names, run.fetch_one(connection).await?)))
}

/// Notes that a run begins or ends. Returns its number.
async fn write_run(
    at: &Place,
    tx: &mut PgConnection,
    step: &RunStep,
    batch: &Batch,
    run: i64,
    home: &DatabaseId,
) -> Result<i64, sqlx::Error> {
    let now = batch.at.as_millisecond();
    let RunStep::Begin {
        command,
        config_digest,
        git_revision,
        mark,
    } = step
    else {
        let end = sqlx::query(at.sql("UPDATE ~run SET ended_at = $1 WHERE id = $2"));
        end.bind(now)
            .bind(run)
            .persistent(false)
            .execute(tx)
            .await?;
        return Ok(run);
    };
    if let Some((host, account)) = mark {
        let account = account
            .as_ref()
            .map(|account| account.as_bytes().as_slice());
        let mark = sqlx::query(at.sql(MARK))
            .bind(host)
            .bind(account)
            .bind(&home.system)
            .bind(home.timeline)
            .bind(home.database)
            .bind(&home.tables);
        mark.persistent(false).execute(&mut *tx).await?;
    }
    let begin = sqlx::query_scalar(at.sql(RUN))
        .bind(command)
        .bind(now)
        .bind(host::name())
        .bind(i64::from(std::process::id()))
        .bind(env!("CARGO_PKG_VERSION"))
        .bind(config_digest)
        .bind(git_revision);
    begin.persistent(false).fetch_one(tx).await
}
