//! All rows of a record in SQLite, to carry them.

use sqlx::SqliteConnection;

use super::write::json;
use crate::record::store::carry::{self, Kind, META, ROWS, Row, TABLES, Table};

/// The rows of a table behind one, in the order of its key.
pub(super) async fn rows(
    connection: &mut SqliteConnection,
    table: &Table,
    behind: Option<&Row>,
) -> Result<Vec<Row>, sqlx::Error> {
    let columns = table.list(|_, name, kind| match kind {
        Kind::Bytes => format!("CASE WHEN {name} IS NOT NULL THEN lower(hex({name})) END"),
        _ => name.to_owned(),
    });
    let name = table.name;
    let mut statement = format!("SELECT json_array({columns}) FROM {name}");
    if behind.is_some() {
        let (key, last) = (
            table.key(|_, name, _| name.to_owned()),
            table.key(|at, _, _| format!("?1 ->> {at}")),
        );
        statement += &format!(" WHERE ({key}) > ({last})");
    }
    if table.keys > 0 {
        let key = table.key(|_, name, _| name.to_owned());
        statement += &format!(" ORDER BY {key} LIMIT {ROWS}");
    }
    let query =
        sqlx::query_scalar(sqlx::AssertSqlSafe(statement)).bind(behind.map(json).transpose()?);
    let rows: Vec<String> = query.fetch_all(connection).await?;
    let rows = rows
        .iter()
        .map(|row| carry::read(row))
        .collect::<Result<_, _>>();
    rows.map_err(|error| sqlx::Error::Decode(Box::new(error)))
}

/// Writes rows into a table that does not have them.
pub(super) async fn fill(
    tx: &mut SqliteConnection,
    table: &Table,
    rows: &[Row],
) -> Result<(), sqlx::Error> {
    let value = |at: usize, kind: Kind| match kind {
        Kind::Bytes => format!("unhex(value ->> {at})"),
        _ => format!("value ->> {at}"),
    };
    let name = table.name;
    let statement = match table.name == META.name {
        true => {
            let set = table.list(|at, name, kind| format!("{name} = {}", value(at, kind)));
            format!("UPDATE meta SET {set} FROM json_each(?1)")
        }
        false => {
            let (names, values) = (table.names(), table.list(|at, _, kind| value(at, kind)));
            format!("INSERT INTO {name} ({names}) SELECT {values} FROM json_each(?1)")
        }
    };
    let fill = sqlx::query(sqlx::AssertSqlSafe(statement)).bind(json(rows)?);
    fill.execute(tx).await?;
    Ok(())
}

/// Takes all rows away.
pub(super) async fn empty(tx: &mut SqliteConnection) -> Result<(), sqlx::Error> {
    for table in TABLES.iter().rev() {
        let statement = format!("DELETE FROM {}", table.name);
        sqlx::query(sqlx::AssertSqlSafe(statement))
            .execute(&mut *tx)
            .await?;
    }
    Ok(())
}
