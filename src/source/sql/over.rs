//! A query over other sources: they lie in tables of a SQLite in memory, all cells as text.

use sqlx::sqlite::SqliteConnectOptions;
use sqlx::{AssertSqlSafe, ConnectOptions, Executor};

use super::sqlite::{ROW_BUFFER, Sqlite};
use crate::config::{nearest, query};
use crate::source::error::SourceProblem;

/// Large pages take less memory beside the rows.
const PAGE: u32 = 32 << 10;

/// So many values go into one statement.
const VALUES: usize = 30_000;

/// A table that a query may ask, and its columns.
#[derive(Debug, Clone)]
pub(in crate::source) struct Asked {
    pub(in crate::source) name: String,
    pub(in crate::source) columns: Vec<String>,
}

/// A name as SQLite quotes it.
fn name(name: &str) -> String {
    format!("\"{}\"", name.replace('"', "\"\""))
}

impl Sqlite {
    /// Makes the tables, which are empty still.
    pub(super) async fn over(
        tables: &[Asked],
        text: &str,
        values: &[(&str, &str)],
    ) -> Result<Self, SourceProblem> {
        let select = query::select(text, values).map_err(SourceProblem::NotOneQuery)?;
        check_names(tables, &select)?;
        let options = SqliteConnectOptions::new()
            .in_memory(true)
            .page_size(PAGE)
            .pragma("temp_store", "memory")
            .pragma("journal_mode", "off")
            .pragma("synchronous", "off")
            .row_buffer_size(ROW_BUFFER)
            .disable_statement_logging();
        let mut connection = options.connect().await?;
        for table in tables {
            let columns: Vec<String> = (table.columns.iter())
                .map(|column| format!("{} TEXT", name(column)))
                .collect();
            let sql = format!(
                "CREATE TABLE {} ({})",
                name(&table.name),
                columns.join(", ")
            );
            (&mut connection).execute(AssertSqlSafe(sql)).await?;
        }
        (&mut connection).execute("BEGIN").await?;
        Ok(Self::new(connection, select, tables.to_vec()))
    }

    /// How many rows of a table are added at once.
    pub(super) fn batch(columns: usize) -> usize {
        (VALUES / columns.max(1)).clamp(1, 1000)
    }

    /// Adds rows to a table, of which these are the cells.
    pub(super) async fn insert(
        &mut self,
        table: &Asked,
        cells: Vec<Option<String>>,
    ) -> Result<(), SourceProblem> {
        let width = table.columns.len().max(1);
        let row = format!("({})", vec!["?"; width].join(","));
        let rows = vec![row; cells.len() / width].join(",");
        let sql = format!("INSERT INTO {} VALUES {rows}", name(&table.name));
        let mut insert = sqlx::query(AssertSqlSafe(sql));
        for cell in cells {
            insert = insert.bind(cell);
        }
        insert.execute(self.connection()).await?;
        Ok(())
    }
}

/// Checks that no two columns of a table have one name to SQLite, and that what stands in double quotes is a name that there
/// is: SQLite takes any other for a text.
pub(super) fn check_names(tables: &[Asked], select: &str) -> Result<(), SourceProblem> {
    for table in tables {
        for (place, column) in table.columns.iter().enumerate() {
            let is_same = |other: &&String| other.eq_ignore_ascii_case(column);
            if let Some(first) = table.columns[..place].iter().find(is_same) {
                return Err(SourceProblem::AlikeColumns {
                    table: table.name.clone(),
                    first: first.clone(),
                    second: column.clone(),
                });
            }
        }
    }
    let names = || {
        tables
            .iter()
            .flat_map(|table| table.columns.iter().chain([&table.name]))
    };
    // What SQLite itself calls so.
    const GIVEN: [&str; 3] = ["rowid", "oid", "_rowid_"];
    for quoted in query::quoted_names(select) {
        let mut all = names().map(String::as_str).chain(GIVEN);
        if !all.any(|name| name.eq_ignore_ascii_case(&quoted)) {
            return Err(unknown(tables, &quoted));
        }
    }
    Ok(())
}

/// A column that there is not, with those that there are.
pub(super) fn unknown(tables: &[Asked], column: &str) -> SourceProblem {
    let (of, bare) = match column.rsplit_once('.') {
        Some((of, bare)) => (Some(of), bare),
        None => (None, column),
    };
    let all = || {
        tables
            .iter()
            .flat_map(|table| table.columns.iter().map(String::as_str))
    };
    let near = nearest(all(), bare).map(str::to_owned);
    let of = of.filter(|of| {
        tables
            .iter()
            .any(|table| table.name.eq_ignore_ascii_case(of))
    });
    let shown = tables
        .iter()
        .filter(|table| of.is_none_or(|of| table.name.eq_ignore_ascii_case(of)));
    let known: Vec<String> = shown
        .map(|table| format!("{} has {}", table.name, listed(&table.columns)))
        .collect();
    SourceProblem::NoColumn {
        column: column.to_owned(),
        near,
        known: known.join("; "),
    }
}

/// So many names are listed; the others are counted.
const FEW: usize = 30;

fn listed(names: &[String]) -> String {
    match names.len().checked_sub(FEW) {
        Some(more @ 1..) => format!("{} and {more} more", names[..FEW].join(", ")),
        _ => names.join(", "),
    }
}
