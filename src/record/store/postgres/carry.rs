//! All rows of a record in PostgreSQL, to carry them.

use sqlx::Row as _;
use sqlx::postgres::PgConnection;

use super::link::{Link, Place};
use crate::record::store::carry::{self, Kind, META, ROWS, Row, TABLES, Table};

/// A value of a JSON array as what a column holds.
fn value(of: &str, at: usize, kind: Kind) -> String {
    match kind {
        Kind::Number => format!("({of} ->> {at})::bigint"),
        Kind::Text => format!("{of} ->> {at}"),
        Kind::Bytes => format!("decode({of} ->> {at}, 'hex')"),
        Kind::Flag => format!("({of} ->> {at})::integer::boolean"),
    }
}

fn json<T: serde::Serialize + ?Sized>(value: &T) -> Result<String, sqlx::Error> {
    serde_json::to_string(value).map_err(|error| sqlx::Error::Encode(Box::new(error)))
}

/// The rows of a table behind one, in the order of its key.
pub(super) async fn rows(
    link: &mut Link,
    table: &Table,
    behind: Option<&Row>,
) -> Result<Vec<Row>, sqlx::Error> {
    let columns = table.list(|_, name, kind| match kind {
        Kind::Bytes => format!("encode({name}, 'hex')"),
        Kind::Flag => format!("{name}::integer"),
        _ => name.to_owned(),
    });
    let name = table.name;
    let mut statement = format!("SELECT json_build_array({columns})::text FROM ~{name}");
    if behind.is_some() {
        let key = table.key(|_, name, _| name.to_owned());
        let last = table.key(|at, _, kind| value("$1::json", at, kind));
        statement += &format!(" WHERE ({key}) > ({last})");
    } else {
        statement += " WHERE $1::text IS NULL";
    }
    if table.keys > 0 {
        let key = table.key(|_, name, _| name.to_owned());
        statement += &format!(" ORDER BY {key} LIMIT {ROWS}");
    }
    let behind = behind.map(json).transpose()?;
    let rows = link
        .rows(&statement, |query| query.bind(behind.clone()))
        .await?;
    let texts: Vec<String> = rows
        .iter()
        .map(|row| row.try_get(0))
        .collect::<Result<_, _>>()?;
    let rows = texts
        .iter()
        .map(|row| carry::read(row))
        .collect::<Result<_, _>>();
    rows.map_err(|error| sqlx::Error::Decode(Box::new(error)))
}

/// Writes rows into a table that does not have them.
pub(super) async fn fill(
    at: &Place,
    tx: &mut PgConnection,
    table: &Table,
    rows: &[Row],
) -> Result<(), sqlx::Error> {
    let name = table.name;
    let of = |at: usize, kind: Kind| value("value", at, kind);
    let statement = match name == META.name {
        true => {
            let set = table.list(|at, name, kind| format!("{name} = {}", of(at, kind)));
            format!("UPDATE ~meta SET {set} FROM json_array_elements($1::json) AS new (value)")
        }
        false => {
            let (names, values) = (table.names(), table.list(|at, _, kind| of(at, kind)));
            format!(
                "INSERT INTO ~{name} ({names}) OVERRIDING SYSTEM VALUE SELECT {values} \
                 FROM json_array_elements($1::json) AS new (value)"
            )
        }
    };
    let fill = sqlx::query(at.sql(&statement))
        .bind(json(rows)?)
        .persistent(false);
    fill.execute(&mut *tx).await?;
    if ["automation", "trigger_code", "run"].contains(&name) {
        // What is numbered later is numbered behind these.
        let schema = &at.schema;
        let count = format!(
            "SELECT setval(pg_get_serial_sequence('\"{schema}\".{name}', 'id'), max(id)) FROM ~{name} HAVING max(id) IS NOT NULL"
        );
        sqlx::query(at.sql(&count))
            .persistent(false)
            .execute(tx)
            .await?;
    }
    Ok(())
}

/// Takes all rows away.
pub(super) async fn empty(at: &Place, tx: &mut PgConnection) -> Result<(), sqlx::Error> {
    for table in TABLES.iter().rev() {
        let statement = format!("DELETE FROM ~{}", table.name);
        sqlx::query(at.sql(&statement))
            .persistent(false)
            .execute(&mut *tx)
            .await?;
    }
    Ok(())
}
