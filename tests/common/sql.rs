//! A SQLite file and SQL: a database to read contacts from, and what `broken` needs.

use std::cell::RefCell;
use std::path::Path;

/// A SQLite file.
pub struct Sql {
    runtime: tokio::runtime::Runtime,
    connection: RefCell<Option<sqlx::SqliteConnection>>,
}

impl Sql {
    pub fn open(path: &Path) -> Self {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .unwrap();
        let options = sqlx::sqlite::SqliteConnectOptions::new()
            .filename(path)
            .create_if_missing(true);
        let connection = runtime.block_on(sqlx::ConnectOptions::connect(&options));
        Self {
            runtime,
            connection: RefCell::new(Some(connection.unwrap())),
        }
    }

    /// Runs statements.
    pub fn run(&self, script: &str) {
        let mut connection = self.connection.borrow_mut();
        let script = sqlx::raw_sql(sqlx::AssertSqlSafe(script.to_owned()));
        let run = script.execute(connection.as_mut().unwrap());
        self.runtime.block_on(run).unwrap();
    }

    /// The first column of a query.
    pub fn texts(&self, query: &str) -> Vec<String> {
        let mut connection = self.connection.borrow_mut();
        let query = sqlx::query_scalar(sqlx::AssertSqlSafe(query.to_owned()));
        let texts = query.fetch_all(connection.as_mut().unwrap());
        self.runtime.block_on(texts).unwrap()
    }
}

impl Drop for Sql {
    fn drop(&mut self) {
        if let Some(connection) = self.connection.take() {
            let _ = self.runtime.block_on(sqlx::Connection::close(connection));
        }
    }
}
