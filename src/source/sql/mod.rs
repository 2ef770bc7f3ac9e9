//! Queries: of a database on a server, of a SQLite file, or over other sources in a SQLite in memory.
//!
//! A query is prepared first, which shows its columns. Its rows are read once, in one snapshot that is only read, into a
//! spool in memory; a thread of its own does that while others look at the rows that are there already.

mod column;
mod error;
mod mysql;
mod narrow;
mod over;
mod postgres;
mod spool;
mod sqlite;

use std::fmt;
use std::future::Future;
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::{Builder, scope};
use std::time::{Duration, Instant};

use async_trait::async_trait;
use sqlx::database::HasStatementCache;
use sqlx::{AssertSqlSafe, Database, Executor, FromRow, IntoArguments};
use tokio::runtime::Runtime;

use super::RowBuffer;
use super::error::SourceProblem;
use crate::id::{self, IdError};
use crate::location::Location;
use crate::text::quoted;
use column::Column;
use narrow::Dialect;
pub use narrow::{Literal, Wanted};
pub(super) use over::Asked;
pub(super) use spool::{Fault, Reader};
use spool::{Spool, Writer};

/// How long to wait for a connection, where the source has more time.
const CONNECTS_IN: Duration = Duration::from_secs(15);

/// As long as nobody waits.
const FOREVER: Duration = Duration::from_secs(365 * 86_400);

/// The statement around a query. That the query stands in parentheses sees to it that it only reads.
fn around(query: &str, list: &str, narrowed: Option<&str>) -> String {
    let condition = narrowed.map(|condition| format!(" WHERE {condition}"));
    let condition = condition.unwrap_or_default();
    format!("SELECT {list} FROM (\n{query}\n) AS q{condition}")
}

/// Counts the rows of a query.
async fn count<'c, D>(
    query: &str,
    connection: impl Executor<'c, Database = D>,
) -> Result<u64, SourceProblem>
where
    D: Database + HasStatementCache,
    D::Arguments: IntoArguments<D>,
    (i64,): for<'r> FromRow<'r, D::Row>,
{
    let count = AssertSqlSafe(around(query, "count(*)", None));
    let count = sqlx::query_scalar(count).persistent(false);
    let count: i64 = count.fetch_one(connection).await?;
    Ok(u64::try_from(count).unwrap_or(0))
}

/// A query without the semicolon at its end.
fn trimmed(query: &str) -> &str {
    query.trim_end_matches(|c: char| c == ';' || c.is_whitespace())
}

/// A query in its snapshot.
#[async_trait]
trait Server: Send {
    /// The columns of the query. It is not run for that.
    async fn columns(&mut self) -> Result<Vec<Column>, SourceProblem>;

    /// Adds rows to a table that the query asks, where that is made here.
    async fn insert(
        &mut self,
        _table: &Asked,
        _cells: Vec<Option<String>>,
    ) -> Result<(), SourceProblem> {
        Ok(())
    }

    /// How many rows it has in all.
    async fn count(&mut self, until: Instant) -> Result<u64, SourceProblem>;

    /// Adds its rows, or those that meet a condition. One that nobody else can end gives up at this time.
    async fn read(
        &mut self,
        columns: &[Column],
        narrowed: Option<&str>,
        until: Instant,
        rows: &mut Writer,
    ) -> Result<(), SourceProblem>;
}

/// The way to a query.
struct Link {
    runtime: Runtime,
    server: Box<dyn Server>,
    timeout: Duration,
    until: Instant,
}

impl Link {
    /// Waits for something of the server, for as long as the source has time.
    fn wait<T>(
        &mut self,
        ask: impl AsyncFnOnce(&mut dyn Server) -> Result<T, SourceProblem>,
    ) -> Result<T, SourceProblem> {
        let (timeout, left) = (
            self.timeout,
            self.until.saturating_duration_since(Instant::now()),
        );
        let asked = ask(self.server.as_mut());
        match self.runtime.block_on(within(left, asked)) {
            // The database has the same time, and may be first to say that it is over.
            Some(Err(SourceProblem::Interrupted)) if Instant::now() >= self.until => {
                Err(SourceProblem::TimedOut(timeout))
            }
            Some(done) => done,
            None => Err(SourceProblem::TimedOut(timeout)),
        }
    }
}

async fn within<T>(time: Duration, done: impl Future<Output = T>) -> Option<T> {
    tokio::time::timeout(time, done).await.ok()
}

/// An open query.
pub(super) struct Sql {
    names: Vec<String>,
    columns: Arc<Vec<Column>>,
    spool: Arc<Spool>,
    link: Arc<Mutex<Option<Link>>>,
    /// How long reading may take, where that is not part of the time of all.
    timeout: Option<Duration>,
    dialect: Dialect,
    /// The condition on the rows that are read.
    narrowed: Option<String>,
}

impl fmt::Debug for Sql {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Sql")
            .field("columns", &self.columns)
            .finish_non_exhaustive()
    }
}

impl Sql {
    /// Connects to a database and prepares a query.
    pub(super) fn open(
        at: &Location,
        query: &str,
        timeout: Duration,
    ) -> Result<Self, SourceProblem> {
        let dialect = match at {
            Location::Database(database) if database.is_mysql() => Dialect::MySql,
            Location::Database(_) => Dialect::Postgres,
            Location::File(_) | Location::Unset(_) => Dialect::Sqlite,
        };
        Self::prepared(dialect, timeout, async |connects_in| {
            let server: Box<dyn Server> = match at {
                Location::Unset(name) => return Err(SourceProblem::Unset(name.clone())),
                Location::File(path) => Box::new(sqlite::Sqlite::file(path, query, timeout).await?),
                Location::Database(database) => {
                    let connected = within(connects_in, async {
                        Ok::<Box<dyn Server>, SourceProblem>(match database.is_mysql() {
                            true => {
                                Box::new(mysql::MySql::connect(database, query, timeout).await?)
                            }
                            false => Box::new(
                                postgres::Postgres::connect(database, query, timeout).await?,
                            ),
                        })
                    });
                    let late = || Err(SourceProblem::Unreachable("it does not answer".to_owned()));
                    connected.await.unwrap_or_else(late)?
                }
            };
            Ok(server)
        })
    }

    /// Prepares a query over tables, which are to be filled before it is run.
    pub(super) fn over(
        tables: &[Asked],
        query: &str,
        values: &[(&str, &str)],
        timeout: Duration,
    ) -> Result<Self, SourceProblem> {
        let prepared = Self::prepared(Dialect::Sqlite, FOREVER, async |_| {
            let server: Box<dyn Server> =
                Box::new(sqlite::Sqlite::over(tables, query, values).await?);
            Ok(server)
        });
        // Its time begins when what it asks is there.
        prepared.map(|sql| Self {
            timeout: Some(timeout),
            ..sql
        })
    }

    /// Fills a table of a query with rows: of each, as many cells as it has columns, `None` where there is nothing.
    pub(super) fn fill(
        &self,
        table: &Asked,
        mut rows: impl FnMut(&mut Vec<Option<String>>) -> Result<bool, SourceProblem> + Send,
    ) -> Result<(), SourceProblem> {
        let most = sqlite::Sqlite::batch(table.columns.len()) * table.columns.len();
        apart(|| {
            let mut link = self.link.lock().unwrap_or_else(PoisonError::into_inner);
            let link = link.as_mut().ok_or(SourceProblem::CutShort)?;
            let mut goes_on = true;
            while goes_on {
                let mut cells = Vec::with_capacity(most);
                while goes_on && cells.len() < most {
                    goes_on = rows(&mut cells)?;
                }
                if !cells.is_empty() {
                    link.wait(async |server| server.insert(table, cells).await)?;
                }
            }
            Ok(())
        })
    }

    fn prepared(
        dialect: Dialect,
        timeout: Duration,
        open: impl AsyncFnOnce(Duration) -> Result<Box<dyn Server>, SourceProblem> + Send,
    ) -> Result<Self, SourceProblem> {
        apart(|| {
            let runtime = tokio::runtime::Builder::new_current_thread()
                .enable_all()
                .build()?;
            let until = Instant::now() + timeout;
            let server = runtime.block_on(open(CONNECTS_IN.min(timeout)))?;
            let mut link = Link {
                runtime,
                server,
                timeout,
                until,
            };
            let columns = link.wait(async |server| server.columns().await)?;
            if columns.is_empty() {
                let what = "it is not one that gives rows";
                return Err(SourceProblem::Refused(what.to_owned()));
            }
            let names = names(&columns)?;
            Ok(Self {
                names,
                columns: Arc::new(columns),
                spool: Arc::default(),
                link: Arc::new(Mutex::new(Some(link))),
                timeout: None,
                dialect,
                narrowed: None,
            })
        })
    }

    /// The names of its columns.
    pub(super) fn columns(&self) -> &[String] {
        &self.names
    }

    /// The condition that the database can decide on the rows that these blocks want; `None` where it is to send all.
    pub(super) fn condition(&self, contact: usize, blocks: &[Vec<Wanted<'_>>]) -> Option<String> {
        self.dialect.condition(&self.columns, contact, blocks)
    }

    /// Reads only rows that meet a condition.
    pub(super) fn narrow(&mut self, condition: String) {
        self.narrowed = Some(condition);
    }

    /// Begins to read its rows, on a thread of its own.
    pub(super) fn begin(&self) -> Result<(), SourceProblem> {
        let (columns, links) = (self.columns.clone(), self.link.clone());
        let mut rows = Writer::new(&self.spool, columns.len());
        let (timeout, narrowed) = (self.timeout, self.narrowed.clone());
        let read = move || {
            let link = links.lock().unwrap_or_else(PoisonError::into_inner).take();
            let Some(mut link) = link else { return };
            if let Some(timeout) = timeout {
                (link.timeout, link.until) = (timeout, Instant::now() + timeout);
            }
            let until = link.until;
            let read = link.wait(async |server| {
                let narrowed = narrowed.as_deref();
                let total = match narrowed {
                    Some(_) => Some(server.count(until).await?),
                    None => None,
                };
                server.read(&columns, narrowed, until, &mut rows).await?;
                Ok(total)
            });
            rows.end(read);
        };
        Builder::new().name("query".to_owned()).spawn(read)?;
        Ok(())
    }

    /// Its rows, from the first. Waits for those that are on their way.
    pub(super) fn rows(&self) -> Reader<'_> {
        Reader::new(&self.spool)
    }

    /// Reads a row again. `false` where there is no such row.
    pub(super) fn row(&self, number: u64, buffer: &mut RowBuffer) -> bool {
        self.spool.row(number, buffer)
    }

    /// How many rows it has in all, once they were read.
    pub(super) fn total(&self) -> u64 {
        self.spool.total()
    }
}

/// Does something on a thread on which no other runtime is at work.
fn apart<T: Send>(
    work: impl FnOnce() -> Result<T, SourceProblem> + Send,
) -> Result<T, SourceProblem> {
    scope(|scope| {
        let thread = Builder::new().spawn_scoped(scope, work)?;
        thread
            .join()
            .unwrap_or_else(|panic| std::panic::resume_unwind(panic))
    })
}

/// The names of columns, which follow the rules for names, and each of which is there once.
fn names(columns: &[Column]) -> Result<Vec<String>, SourceProblem> {
    for (place, column) in columns.iter().enumerate() {
        if let Err(why) = id::check(&column.name) {
            return Err(SourceProblem::BadColumn {
                number: place + 1,
                shown: match why {
                    IdError::Empty => "\"\"".to_owned(),
                    _ => quoted(&column.name),
                },
                why,
            });
        }
        if columns[..place]
            .iter()
            .any(|other| other.name == column.name)
        {
            return Err(SourceProblem::TwoColumns(column.name.clone()));
        }
    }
    Ok(columns.iter().map(|column| column.name.clone()).collect())
}
