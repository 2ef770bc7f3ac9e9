//! A query of a SQLite file, which is opened to be read alone.

use std::path::Path;
use std::time::{Duration, Instant};

use async_trait::async_trait;
use futures_util::TryStreamExt;
use sqlx::sqlite::{SqliteConnectOptions, SqliteConnection, SqliteRow};
use sqlx::{
    AssertSqlSafe, Column as _, ConnectOptions, Executor, Row, SqlSafeStr, Statement, TypeInfo,
    ValueRef,
};

use super::column::{Column, Kind, float};
use super::over::{Asked, check_names, unknown};
use super::spool::Writer;
use super::{Server, around};
use crate::config::query;
use crate::source::error::SourceProblem;

/// How long another program may keep the file busy.
const BUSY: Duration = Duration::from_secs(30);

/// So many steps of a query lie between two looks at the clock.
const STEPS: i32 = 100_000;

/// A file, or tables in memory.
pub(super) struct Sqlite {
    connection: SqliteConnection,
    select: String,
    /// What it may ask.
    tables: Vec<Asked>,
    /// Whether these lie in a file.
    is_file: bool,
}

impl Sqlite {
    pub(super) fn new(connection: SqliteConnection, select: String, tables: Vec<Asked>) -> Self {
        Self {
            connection,
            select,
            tables,
            is_file: false,
        }
    }

    pub(super) fn connection(&mut self) -> &mut SqliteConnection {
        &mut self.connection
    }

    /// Opens a file.
    pub(super) async fn file(
        path: &Path,
        text: &str,
        timeout: Duration,
    ) -> Result<Self, SourceProblem> {
        // SQLite takes an empty file for a database without tables.
        match std::fs::metadata(path) {
            Ok(meta) if !meta.is_file() => return Err(SourceProblem::NotAFile),
            Ok(meta) if meta.len() == 0 => return Err(SourceProblem::NoDatabase),
            Ok(_) => {}
            Err(error) => return Err(error.into()),
        }
        let select = query::select(text, &[]).map_err(SourceProblem::NotOneQuery)?;
        let options = SqliteConnectOptions::new()
            .filename(path)
            .read_only(true)
            .busy_timeout(BUSY.min(timeout))
            .pragma("temp_store", "memory")
            .pragma("query_only", "on")
            .row_buffer_size(ROW_BUFFER)
            .disable_statement_logging();
        let mut connection = options.connect().await?;
        connection.execute("BEGIN").await?;
        let tables = tables(&mut connection).await?;
        check_names(&tables, &select)?;
        Ok(Self {
            is_file: true,
            ..Self::new(connection, select, tables)
        })
    }
}

impl Sqlite {
    /// Lets nothing take longer than until then.
    async fn give_up_at(&mut self, until: Instant) -> Result<(), SourceProblem> {
        let mut handle = self.connection.lock_handle().await?;
        handle.set_progress_handler(STEPS, move || Instant::now() < until);
        Ok(())
    }

    /// What is wrong with a query, with what there is.
    fn problem(&self, error: sqlx::Error) -> SourceProblem {
        let problem = SourceProblem::from(error);
        let SourceProblem::Refused(what) = &problem else {
            return problem;
        };
        if let Some(column) = what.strip_prefix("no such column: ") {
            return unknown(&self.tables, column);
        }
        match what.strip_prefix("no such table: ") {
            Some(table) if !self.is_file => SourceProblem::NoTable {
                table: table.to_owned(),
                known: self
                    .tables
                    .iter()
                    .map(|of| of.name.as_str())
                    .collect::<Vec<_>>()
                    .join(", "),
            },
            _ => problem,
        }
    }
}

/// The tables and views of a file, with their columns.
async fn tables(connection: &mut SqliteConnection) -> Result<Vec<Asked>, SourceProblem> {
    let names = "SELECT name FROM sqlite_schema WHERE type IN ('table', 'view') ORDER BY name";
    let names: Vec<String> = sqlx::query_scalar(names)
        .fetch_all(&mut *connection)
        .await?;
    let mut tables = Vec::with_capacity(names.len());
    for name in names {
        let columns = sqlx::query_scalar("SELECT name FROM pragma_table_xinfo(?)").bind(&name);
        // A view may ask what is gone.
        let columns = columns.fetch_all(&mut *connection).await;
        tables.push(Asked {
            columns: columns.unwrap_or_default(),
            name,
        });
    }
    Ok(tables)
}

/// So many rows are on their way at once.
pub(super) const ROW_BUFFER: usize = 1000;

/// Adds a row whose cells each have a type of their own.
fn add(row: &SqliteRow, columns: &[Column], rows: &mut Writer) -> Result<(), sqlx::Error> {
    for (place, column) in columns.iter().enumerate() {
        let value = row.try_get_raw(place)?;
        if value.is_null() {
            rows.cell(b"");
            continue;
        }
        match value.type_info().name() {
            "REAL" => float(row.try_get_unchecked::<f64, _>(place)?, rows),
            "BLOB" => rows.cell(row.try_get_unchecked::<&[u8], _>(place)?),
            "INTEGER" | "BOOLEAN" if column.kind == Kind::Boolean => {
                match row.try_get_unchecked::<i64, _>(place)? {
                    0 => rows.cell(b"false"),
                    1 => rows.cell(b"true"),
                    other => rows.cell(other.to_string().as_bytes()),
                }
            }
            // SQLite gives a whole number as text, too.
            _ => rows.cell(row.try_get_unchecked::<&[u8], _>(place)?),
        }
    }
    rows.end_row();
    Ok(())
}

#[async_trait]
impl Server for Sqlite {
    async fn columns(&mut self) -> Result<Vec<Column>, SourceProblem> {
        let sql = AssertSqlSafe(self.select.clone()).into_sql_str();
        let prepared = (&mut self.connection).prepare(sql).await;
        let statement = prepared.map_err(|error| self.problem(error))?;
        let columns = statement.columns().iter().map(|column| Column {
            name: column.name().to_owned(),
            kind: match column.type_info().name() {
                "BOOLEAN" => Kind::Boolean,
                _ => Kind::Each,
            },
        });
        Ok(columns.collect())
    }

    async fn insert(
        &mut self,
        table: &Asked,
        cells: Vec<Option<String>>,
    ) -> Result<(), SourceProblem> {
        Sqlite::insert(self, table, cells).await
    }

    async fn count(&mut self, until: Instant) -> Result<u64, SourceProblem> {
        self.give_up_at(until).await?;
        super::count(&self.select, &mut self.connection).await
    }

    async fn read(
        &mut self,
        columns: &[Column],
        narrowed: Option<&str>,
        until: Instant,
        rows: &mut Writer,
    ) -> Result<(), SourceProblem> {
        self.give_up_at(until).await?;
        let sql = around(&self.select, "*", narrowed);
        let query = sqlx::query(AssertSqlSafe(sql)).persistent(false);
        let mut found = query.fetch(&mut self.connection);
        while let Some(row) = found.try_next().await? {
            add(&row, columns, rows)?;
        }
        Ok(())
    }
}
