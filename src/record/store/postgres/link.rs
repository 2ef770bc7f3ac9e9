//! The connection to a record: it is made, made again where it was lost, and begins each transaction.

use std::path::PathBuf;
use std::time::Duration;

use sqlx::postgres::{PgConnection, PgRow};
use sqlx::{AssertSqlSafe, ConnectOptions, Connection, Transaction};
use tokio::time::timeout;

use super::error::is_lost;
use super::open::place;
use super::statement::Statement;
use crate::clock::uptime;
use crate::location::Database;
use crate::record::identity::DatabaseId;

/// How long to wait for a connection.
const CONNECTS_IN: Duration = Duration::from_secs(15);

/// How long a statement may take, and one of many rows by each of them: longer than that, the way to the server is broken.
const ANSWERS_IN: Duration = Duration::from_secs(20);
const FOR_EACH_ROW: Duration = Duration::from_millis(1);

/// How long to wait before the next try to connect.
const TRIES_AGAIN: Duration = Duration::from_millis(100);

const ANOTHER: &str = "the record is in another place than when this run began: the server switched to a replica, or a backup \
                       was restored";

const READ_BEFORE: &str = "parts of it were read at different moments";

/// A whole read sees one moment, however long it takes.
const READ: &str = "\
BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY; SET LOCAL statement_timeout = 0; \
SET LOCAL idle_in_transaction_session_timeout = 0";

/// A few questions that belong together. Nothing of it is to be kept, so that its end is never in doubt.
const LOOK: &str =
    "BEGIN ISOLATION LEVEL READ COMMITTED READ ONLY; SET LOCAL statement_timeout = 0";
const LOOKED: &str = "ROLLBACK";

/// What is committed is on the disk, whatever the server does by itself. Where this process or its machine is gone, the server
/// ends the transaction, so that nobody waits for it. All of it ends with the transaction: nothing lives in the session, which
/// a pool may give to others.
const WRITE: &str = "\
BEGIN ISOLATION LEVEL READ COMMITTED READ WRITE; SET LOCAL synchronous_commit = on; SET LOCAL statement_timeout = 0; \
SET LOCAL lock_timeout = '10s'; SET LOCAL idle_in_transaction_session_timeout = '30s'";

/// What statements and messages are made with.
#[derive(Debug, Clone)]
pub(super) struct Place {
    /// For messages.
    pub path: PathBuf,
    pub schema: String,
}

impl Place {
    /// A statement of which the tables are written as `~table`, with the schema before each.
    pub(super) fn sql(&self, text: &str) -> AssertSqlSafe<String> {
        // The configuration sees to it that the name of a schema holds no quotes.
        AssertSqlSafe(text.replace('~', &format!("\"{}\".", self.schema)))
    }
}

/// The way to a database.
///
/// Each statement is part of a transaction. One that is not is two messages for two sessions of a pool, where another client may
/// have put a statement of its own meanwhile: that one would be carried out.
#[derive(Debug)]
pub(super) struct Link {
    database: Database,
    pub place: Place,
    connection: Option<PgConnection>,
    transaction: InTransaction,
    /// Until when a lost connection is made again, since this machine was started. `None` where what was read with it would
    /// not be of one moment any more.
    pub until: Option<Duration>,
    /// Where the record is; a connection to anywhere else is none to it.
    pub home: Option<DatabaseId>,
}

/// What transaction the connection is in, between two calls.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum InTransaction {
    No,
    /// One that was left before its end.
    Left,
    /// One that is read in to the end.
    Whole,
}

impl Link {
    pub(super) fn to(database: &Database) -> Self {
        Self {
            place: Place {
                path: PathBuf::from(database.to_string()),
                schema: database.schema().to_owned(),
            },
            database: database.clone(),
            connection: None,
            transaction: InTransaction::No,
            until: None,
            home: None,
        }
    }

    /// Forgets the connection: it is broken, or belongs to another runtime.
    pub(super) fn drop_connection(&mut self) {
        self.connection = None;
        if self.transaction == InTransaction::Left {
            self.transaction = InTransaction::No;
        }
    }

    /// The connection, made where there is none.
    async fn connection(&mut self) -> Result<&mut PgConnection, sqlx::Error> {
        if self.transaction == InTransaction::Left {
            self.drop_connection();
        }
        let connection = match self.connection.take() {
            Some(connection) => connection,
            None if self.transaction == InTransaction::Whole => {
                return Err(sqlx::Error::Protocol(READ_BEFORE.to_owned()));
            }
            None => {
                let mut made =
                    within(CONNECTS_IN, self.database.postgres_options()?.connect()).await?;
                if let Some(home) = &self.home {
                    within(ANSWERS_IN, sqlx::raw_sql(LOOK).execute(&mut made)).await?;
                    if within(ANSWERS_IN, place(&self.place, &mut made)).await? != *home {
                        return Err(sqlx::Error::Configuration(ANOTHER.into()));
                    }
                    within(ANSWERS_IN, sqlx::raw_sql(LOOKED).execute(&mut made)).await?;
                }
                made
            }
        };
        Ok(self.connection.insert(connection))
    }

    /// Begins to read what is there at this moment.
    pub(super) async fn read(&mut self) -> Result<&mut PgConnection, sqlx::Error> {
        let connection = self.connection().await?;
        within(ANSWERS_IN, sqlx::raw_sql(READ).execute(&mut *connection)).await?;
        self.transaction = InTransaction::Whole;
        self.connection().await
    }

    /// Begins to write.
    pub(super) async fn write(&mut self) -> Result<Transaction<'_, sqlx::Postgres>, sqlx::Error> {
        let connection = self.connection().await?;
        within(ANSWERS_IN, connection.begin_with(WRITE)).await
    }

    /// Begins to ask something, which [`Self::looked`] ends.
    pub(super) async fn look(&mut self) -> Result<&mut PgConnection, sqlx::Error> {
        if self.transaction == InTransaction::Whole {
            return self.connection().await;
        }
        self.connection().await?;
        // Whoever asks may be gone at any moment from now on.
        self.transaction = InTransaction::Left;
        let connection = self.current()?;
        within(ANSWERS_IN, sqlx::raw_sql(LOOK).execute(&mut *connection)).await?;
        Ok(connection)
    }

    /// Ends to ask, given what came of it.
    pub(super) async fn looked<T>(
        &mut self,
        result: Result<T, sqlx::Error>,
    ) -> Result<T, sqlx::Error> {
        if self.transaction == InTransaction::Whole {
            return result;
        }
        let result = match (result, self.connection.as_mut()) {
            (Ok(value), Some(connection)) => {
                let end = sqlx::raw_sql(LOOKED).execute(connection);
                within(ANSWERS_IN, end).await.map(|_| value)
            }
            (result, _) => result,
        };
        match &result {
            Ok(_) => self.transaction = InTransaction::No,
            // It ends with its connection.
            Err(_) => self.drop_connection(),
        }
        result
    }

    /// Does something that cannot be part of a transaction, and takes no values.
    pub(super) async fn alone(
        &mut self,
        statement: AssertSqlSafe<String>,
        rows: usize,
    ) -> Result<(), sqlx::Error> {
        let connection = self.connection().await?;
        let done = sqlx::raw_sql(statement).execute(connection);
        within(patience(rows), done).await.map(drop)
    }

    /// All rows of a statement.
    pub(super) async fn rows(
        &mut self,
        text: &str,
        bind: impl Fn(Statement) -> Statement,
    ) -> Result<Vec<PgRow>, sqlx::Error> {
        let sql = bind(Statement::new(&self.place, text)).sql();
        loop {
            match self.ask(&sql).await {
                Err(error) if self.tries_again(&error).await => {}
                result => return result,
            }
        }
    }

    /// The same, once: a transaction of its own is one message with it.
    async fn ask(&mut self, sql: &str) -> Result<Vec<PgRow>, sqlx::Error> {
        // A report of a long history takes its time.
        const ANSWERS_IN: Duration = Duration::from_secs(600);
        if self.transaction == InTransaction::Whole {
            let asked = sqlx::raw_sql(AssertSqlSafe(sql)).fetch_all(self.connection().await?);
            return within(ANSWERS_IN, asked).await;
        }
        self.connection().await?;
        let message = format!("{LOOK};\n{sql};\n{LOOKED}");
        self.at_once(message, ANSWERS_IN).await
    }

    /// Begins to write what [`Self::commit`] goes on with.
    pub(super) async fn begin(&mut self) -> Result<&mut PgConnection, sqlx::Error> {
        self.connection().await?;
        self.transaction = InTransaction::Left;
        let connection = self.current()?;
        within(ANSWERS_IN, sqlx::raw_sql(WRITE).execute(&mut *connection)).await?;
        Ok(connection)
    }

    /// Writes: one message, with a transaction of its own around it, unless one is begun. An error ends it without a commit,
    /// unless that is lost on its way.
    pub(super) async fn commit(
        &mut self,
        script: &str,
        is_begun: bool,
        rows: usize,
    ) -> Result<(), sqlx::Error> {
        let message = match is_begun {
            true => format!("{script}COMMIT"),
            false => {
                self.connection().await?;
                format!("{WRITE};\n{script}COMMIT")
            }
        };
        self.at_once(message, patience(rows)).await.map(drop)
    }

    /// Sends a message that ends its transaction.
    async fn at_once(
        &mut self,
        message: String,
        patience: Duration,
    ) -> Result<Vec<PgRow>, sqlx::Error> {
        // Until it has: whoever asks may be gone at any moment, and the server may refuse it.
        self.transaction = InTransaction::Left;
        let done = sqlx::raw_sql(AssertSqlSafe(message)).fetch_all(self.current()?);
        let rows = within(patience, done).await?;
        self.transaction = InTransaction::No;
        Ok(rows)
    }

    /// The connection that is there.
    fn current(&mut self) -> Result<&mut PgConnection, sqlx::Error> {
        let connection = self.connection.as_mut();
        connection.ok_or_else(|| sqlx::Error::Protocol(READ_BEFORE.to_owned()))
    }

    /// Whether it is worth trying again after an error, with a new connection; waits a little first.
    pub(super) async fn tries_again(&mut self, error: &sqlx::Error) -> bool {
        if !is_lost(error) {
            return false;
        }
        self.drop_connection();
        let is_in_time = self.until.is_some_and(|until| uptime() < until);
        if is_in_time {
            tracing::warn!(
                event = "reconnect",
                "the connection to the record was lost: {error}"
            );
            tokio::time::sleep(TRIES_AGAIN).await;
        }
        is_in_time
    }

    /// Takes the connection away, with the transaction that it is in, for what needs it alone.
    pub(super) async fn take(&mut self) -> Result<PgConnection, sqlx::Error> {
        self.connection().await?;
        let connection = self.connection.take();
        connection.ok_or_else(|| sqlx::Error::Protocol(READ_BEFORE.to_owned()))
    }

    /// Ends it in peace.
    pub(super) async fn close(mut self) {
        if let Some(connection) = self.connection.take() {
            let _ = within(ANSWERS_IN, connection.close()).await;
        }
    }
}

/// For how long a statement on so many rows is waited for.
pub(super) fn patience(rows: usize) -> Duration {
    ANSWERS_IN + FOR_EACH_ROW * u32::try_from(rows).unwrap_or(u32::MAX)
}

/// Waits for something of the server, but not for ever.
pub(super) async fn within<T>(
    time: Duration,
    done: impl Future<Output = Result<T, sqlx::Error>>,
) -> Result<T, sqlx::Error> {
    let late = || std::io::Error::from(std::io::ErrorKind::TimedOut);
    timeout(time, done)
        .await
        .unwrap_or_else(|_| Err(sqlx::Error::Io(late())))
}
