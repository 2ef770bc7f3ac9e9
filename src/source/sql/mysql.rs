//! A query of MySQL or MariaDB, as one prepared statement in a snapshot that is only read.

use std::time::{Duration, Instant};

use async_trait::async_trait;
use futures_util::TryStreamExt;
use sqlx::mysql::MySqlConnection;
use sqlx::{
    AssertSqlSafe, Column as _, ConnectOptions, Executor, Row, SqlSafeStr, Statement, TypeInfo,
    ValueRef,
};

use super::column::{Column, Kind, float, put};
use super::spool::Writer;
use super::{Server, around, trimmed};
use crate::location::Database;
use crate::source::error::SourceProblem;

pub(super) struct MySql {
    connection: MySqlConnection,
    query: String,
}

impl MySql {
    pub(super) async fn connect(
        database: &Database,
        query: &str,
        timeout: Duration,
    ) -> Result<Self, SourceProblem> {
        let mut connection = database.mysql_options()?.connect().await?;
        // The two call it by different names, and each refuses the other's.
        let mariadb = format!("SET SESSION max_statement_time = {}", timeout.as_secs_f64());
        let mysql = format!("SET SESSION max_execution_time = {}", timeout.as_millis());
        if connection.execute(AssertSqlSafe(mariadb)).await.is_err() {
            connection.execute(AssertSqlSafe(mysql)).await?;
        }
        for statement in [
            "SET TRANSACTION ISOLATION LEVEL REPEATABLE READ",
            "START TRANSACTION WITH CONSISTENT SNAPSHOT, READ ONLY",
        ] {
            sqlx::raw_sql(statement).execute(&mut connection).await?;
        }
        Ok(Self {
            connection,
            query: trimmed(query).to_owned(),
        })
    }
}

/// A name as this server quotes it.
pub(super) fn name(name: &str) -> String {
    format!("`{}`", name.replace('`', "``"))
}

/// What a column is selected as: as text, where that says all there is.
fn selected(column: &Column) -> String {
    let name = name(&column.name);
    match column.kind {
        Kind::Single | Kind::Double | Kind::Bytes | Kind::Text | Kind::Other => name,
        _ => format!("CAST({name} AS CHAR) AS {name}"),
    }
}

fn kind(name: &str) -> Kind {
    match name {
        "BOOLEAN" => Kind::Boolean,
        "DECIMAL" => Kind::Decimal,
        "FLOAT" => Kind::Single,
        "DOUBLE" => Kind::Double,
        "DATE" => Kind::Date,
        "DATETIME" => Kind::Local,
        "TIMESTAMP" => Kind::Moment,
        "CHAR" | "VARCHAR" | "TINYTEXT" | "TEXT" | "MEDIUMTEXT" | "LONGTEXT" => Kind::Text,
        "BINARY" | "VARBINARY" | "TINYBLOB" | "BLOB" | "MEDIUMBLOB" | "LONGBLOB" => Kind::Bytes,
        "YEAR" | "TIME" | "BIT" => Kind::Each,
        _ if name.contains("INT") => Kind::Integer,
        _ => Kind::Other,
    }
}

#[async_trait]
impl Server for MySql {
    async fn columns(&mut self) -> Result<Vec<Column>, SourceProblem> {
        // To prepare it is to see that it is one statement; nothing is done by it.
        let sql = AssertSqlSafe(self.query.clone()).into_sql_str();
        let statement = (&mut self.connection).prepare(sql).await?;
        let columns = statement.columns().iter().map(|column| Column {
            name: column.name().to_owned(),
            kind: kind(column.type_info().name()),
        });
        Ok(columns.collect())
    }

    async fn count(&mut self, _until: Instant) -> Result<u64, SourceProblem> {
        super::count(&self.query, &mut self.connection).await
    }

    async fn read(
        &mut self,
        columns: &[Column],
        narrowed: Option<&str>,
        _until: Instant,
        rows: &mut Writer,
    ) -> Result<(), SourceProblem> {
        let list: Vec<String> = columns.iter().map(selected).collect();
        let sql = around(&self.query, &list.join(", "), narrowed);
        let query = sqlx::query(AssertSqlSafe(sql)).persistent(false);
        let mut found = query.fetch(&mut self.connection);
        while let Some(row) = found.try_next().await? {
            for (place, column) in columns.iter().enumerate() {
                match column.kind {
                    _ if row.try_get_raw(place)?.is_null() => rows.cell(b""),
                    Kind::Single => float(row.try_get_unchecked::<f32, _>(place)?, rows),
                    Kind::Double => float(row.try_get_unchecked::<f64, _>(place)?, rows),
                    Kind::Bytes => rows.cell(row.try_get_unchecked::<&[u8], _>(place)?),
                    kind => put(kind, row.try_get_unchecked::<&[u8], _>(place)?, rows),
                }
            }
            rows.end_row();
        }
        Ok(())
    }
}
