//! A query of PostgreSQL, by COPY, which sends rows as fast as `psql` gets them.

use async_trait::async_trait;
use futures_util::TryStreamExt;
use memchr::memchr;
use sqlx::postgres::{PgConnection, PgTypeInfo, PgTypeKind};
use sqlx::{AssertSqlSafe, Column as _, ConnectOptions, Executor, SqlSafeStr, Statement, TypeInfo};

use super::column::{Column, Kind, put};
use super::spool::Writer;
use super::{Server, around, trimmed};
use crate::location::Database;
use crate::source::error::SourceProblem;

/// One moment, and nothing is written.
const BEGIN: &str = "BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY";

pub(super) struct Postgres {
    connection: PgConnection,
    query: String,
}

impl Postgres {
    pub(super) async fn connect(
        database: &Database,
        query: &str,
        timeout: std::time::Duration,
    ) -> Result<Self, SourceProblem> {
        let mut connection = database.postgres_options()?.connect().await?;
        let begin = format!(
            "{BEGIN}; SET LOCAL statement_timeout = {}",
            timeout.as_millis()
        );
        sqlx::raw_sql(AssertSqlSafe(begin))
            .execute(&mut connection)
            .await?;
        Ok(Self {
            connection,
            query: trimmed(query).to_owned(),
        })
    }

    /// Copies the rows of a statement.
    async fn copy(
        &mut self,
        statement: &str,
        columns: &[Column],
        rows: &mut Writer,
    ) -> Result<(), SourceProblem> {
        let copy = format!("COPY (\n{statement}\n) TO STDOUT (FORMAT csv, HEADER, FORCE_QUOTE *)");
        let mut pieces = self.connection.copy_out_raw(&copy).await?;
        let mut rest: Vec<u8> = Vec::new();
        let mut is_header = true;
        let mut cell = Vec::new();
        while let Some(piece) = pieces.try_next().await? {
            // The server sends a row at a time; that is not promised.
            let bytes: &[u8] = match rest.is_empty() {
                true => &piece,
                false => {
                    rest.extend_from_slice(&piece);
                    &rest
                }
            };
            let mut at = 0;
            while let Some(len) = row(&bytes[at..]) {
                let line = &bytes[at..at + len];
                at += len;
                if std::mem::take(&mut is_header) {
                    continue;
                }
                split(line, columns, &mut cell, |kind, cell| put(kind, cell, rows))?;
                rows.end_row();
            }
            rest = bytes[at..].to_vec();
        }
        match rest.is_empty() {
            true => Ok(()),
            false => Err(SourceProblem::CutShort),
        }
    }
}

/// How long the first row is, with its line end, if it is there as a whole.
fn row(bytes: &[u8]) -> Option<usize> {
    let mut at = 0;
    loop {
        if bytes.get(at)? == &b'"' {
            at += 1;
            loop {
                at += memchr(b'"', &bytes[at..])? + 1;
                if bytes.get(at)? != &b'"' {
                    break;
                }
                at += 1;
            }
        }
        // A name of a column in the header may stand without quotes.
        let end = bytes[at..]
            .iter()
            .position(|byte| matches!(byte, b',' | b'\n'))?;
        at += end + 1;
        if bytes[at - 1] == b'\n' {
            return Some(at);
        }
    }
}

/// Gives each cell of a row. What is absent has no quotes, and is empty.
fn split(
    mut line: &[u8],
    columns: &[Column],
    room: &mut Vec<u8>,
    mut each: impl FnMut(Kind, &[u8]),
) -> Result<(), SourceProblem> {
    for column in columns {
        match line {
            [b'"', rest @ ..] => {
                let mut end = memchr(b'"', rest).ok_or(SourceProblem::CutShort)?;
                if rest.get(end + 1) != Some(&b'"') {
                    each(column.kind, &rest[..end]);
                } else {
                    room.clear();
                    let mut start = 0;
                    while rest.get(end + 1) == Some(&b'"') {
                        room.extend_from_slice(&rest[start..=end]);
                        start = end + 2;
                        let next = memchr(b'"', &rest[start..]).ok_or(SourceProblem::CutShort)?;
                        end = start + next;
                    }
                    room.extend_from_slice(&rest[start..end]);
                    each(column.kind, room);
                }
                line = rest.get(end + 2..).unwrap_or_default();
            }
            [b',' | b'\n', rest @ ..] => {
                each(column.kind, b"");
                line = rest;
            }
            _ => return Err(SourceProblem::CutShort),
        }
    }
    match line.is_empty() {
        true => Ok(()),
        false => Err(SourceProblem::CutShort),
    }
}

fn kind(of: &PgTypeInfo) -> Kind {
    if let PgTypeKind::Domain(inner) = of.kind() {
        return kind(inner);
    }
    match of.name() {
        "TEXT" | "VARCHAR" => Kind::Text,
        "CHAR" => Kind::Padded,
        "INT2" | "INT4" | "INT8" => Kind::Integer,
        "NUMERIC" => Kind::Decimal,
        "FLOAT4" => Kind::Single,
        "FLOAT8" => Kind::Double,
        "BOOL" => Kind::Boolean,
        "DATE" => Kind::Date,
        "TIMESTAMP" => Kind::Local,
        "TIMESTAMPTZ" => Kind::Moment,
        "BYTEA" => Kind::Bytes,
        _ => Kind::Other,
    }
}

#[async_trait]
impl Server for Postgres {
    async fn columns(&mut self) -> Result<Vec<Column>, SourceProblem> {
        // To prepare it is to see that it is one statement; nothing is done by it.
        let sql = AssertSqlSafe(self.query.clone()).into_sql_str();
        let statement = (&mut self.connection).prepare(sql).await?;
        let columns = statement.columns().iter().map(|column| Column {
            name: column.name().to_owned(),
            kind: kind(column.type_info()),
        });
        Ok(columns.collect())
    }

    async fn read(
        &mut self,
        columns: &[Column],
        narrowed: Option<&str>,
        _until: std::time::Instant,
        rows: &mut Writer,
    ) -> Result<(), SourceProblem> {
        let statement = around(&self.query, "*", narrowed);
        self.copy(&statement, columns, rows).await
    }

    async fn count(&mut self, _until: std::time::Instant) -> Result<u64, SourceProblem> {
        super::count(&self.query, &mut self.connection).await
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_row_of_copy_is_split_into_its_cells() {
        let columns = ["a", "b", "c"].map(|name| Column {
            name: name.to_owned(),
            kind: Kind::Text,
        });
        let text = b"\"x, \"\"y\"\"\n\",,\"\"\nrest";
        assert_eq!(row(text), Some(text.len() - 4));
        assert_eq!(row(&text[..8]), None);
        assert_eq!(row(b"a,\"b\"\"\n\",c\n"), Some(11));
        let mut cells = Vec::new();
        let each = |_, cell: &[u8]| cells.push(String::from_utf8(cell.to_vec()).unwrap());
        let line = &text[..text.len() - 4];
        split(line, &columns, &mut Vec::new(), each).unwrap();
        assert_eq!(cells, ["x, \"y\"\n", "", ""]);
        for bad in ["\"x\n", "\"x\",\"y\"\n", "\"a\",\"b\",\"c\",\"d\"\n"] {
            let split = split(bad.as_bytes(), &columns, &mut Vec::new(), |_, _| {});
            assert!(split.is_err(), "{bad}");
        }
    }
}
