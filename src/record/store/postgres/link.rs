//! The connection to a record: it is made, made again where it was lost, and begins each transaction.

use std::path::PathBuf;
use std::str::FromStr;
use std::time::Duration;

use sqlx::postgres::{PgConnectOptions, PgConnection, PgRow};
use sqlx::{AssertSqlSafe, ConnectOptions, Connection, Transaction};
use tokio::time::timeout;

use super::error::is_lost;
use super::open::place;
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

const ANOTHER: &str = "the record is in another place than when this run began: the server went over to a replica, or a backup \
                       was restored";

/// A whole read sees one moment, however long it takes.
const READ: &str = "\
BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY; SET LOCAL statement_timeout = 0; \
SET LOCAL idle_in_transaction_session_timeout = 0";

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

/// A statement with its values.
pub(super) type Query<'q> = sqlx::query::Query<'q, sqlx::Postgres, sqlx::postgres::PgArguments>;

/// The way to a database.
#[derive(Debug)]
pub(super) struct Link {
    database: Database,
    pub place: Place,
    connection: Option<PgConnection>,
    /// Until when a lost connection is made again, since this machine was started. `None` where what was read with it would
    /// not be of one moment any more.
    pub until: Option<Duration>,
    /// Where the record is; a connection to anywhere else is none to it.
    pub home: Option<DatabaseId>,
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
            until: None,
            home: None,
        }
    }

    /// Forgets the connection: it is broken, or belongs to another runtime.
    pub(super) fn drop_connection(&mut self) {
        self.connection = None;
    }

    /// The connection, made where there is none.
    pub(super) async fn connection(&mut self) -> Result<&mut PgConnection, sqlx::Error> {
        let connection = match self.connection.take() {
            Some(connection) => connection,
            None => {
                let mut made = within(CONNECTS_IN, options(&self.database)?.connect()).await?;
                if let Some(home) = &self.home
                    && within(ANSWERS_IN, place(&self.place, &mut made)).await? != *home
                {
                    return Err(sqlx::Error::Configuration(ANOTHER.into()));
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
        Ok(connection)
    }

    /// Begins to write.
    pub(super) async fn write(&mut self) -> Result<Transaction<'_, sqlx::Postgres>, sqlx::Error> {
        let connection = self.connection().await?;
        within(ANSWERS_IN, connection.begin_with(WRITE)).await
    }

    /// All rows of a statement.
    pub(super) async fn rows<'q>(
        &mut self,
        text: &str,
        bind: impl Fn(Query<'q>) -> Query<'q>,
    ) -> Result<Vec<PgRow>, sqlx::Error> {
        loop {
            let sql = self.place.sql(text);
            let result = match self.connection().await {
                Ok(connection) => {
                    let query = bind(sqlx::query(sql)).persistent(false);
                    // A report of a long history takes its time.
                    within(ANSWERS_IN * 30, query.fetch_all(connection)).await
                }
                Err(error) => Err(error),
            };
            match result {
                Err(error) if self.tries_again(&error).await => {}
                result => return result,
            }
        }
    }

    /// Whether it is worth trying again after an error, with a new connection; waits a little first.
    pub(super) async fn tries_again(&mut self, error: &sqlx::Error) -> bool {
        if !is_lost(error) {
            return false;
        }
        self.connection = None;
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

    /// Takes the connection away, for what needs it alone.
    pub(super) fn take(&mut self) -> Option<PgConnection> {
        self.connection.take()
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

fn options(database: &Database) -> Result<PgConnectOptions, sqlx::Error> {
    let mut options = PgConnectOptions::from_str(database.url().as_str())?
        // A pool between transactions knows no statement by its name.
        .statement_cache_capacity(0)
        // It is of no use here, and a pool refuses what it does not know.
        .extra_float_digits(None)
        // Statements may hold ids; they are nothing for a log.
        .disable_statement_logging();
    if options.get_application_name().is_none() {
        options = options.application_name("rollcall");
    }
    if let Some(file) = database.file("sslrootcert") {
        options = options.ssl_root_cert(file);
    }
    if let Some(file) = database.file("sslcert") {
        options = options.ssl_client_cert(file);
    }
    if let Some(file) = database.file("sslkey") {
        options = options.ssl_client_key(file);
    }
    Ok(options)
}
