//! A look at the file that leaves no trace, for what a shell offers while somebody types.

use std::path::Path;

use sqlx::sqlite::SqliteConnectOptions;
use sqlx::{ConnectOptions, Connection};

use crate::participation::State;

/// So many participations are looked at.
const LOOKED_AT: u32 = 50_000;

const LIKE: &str = "SELECT DISTINCT contact FROM \
     (SELECT contact, state FROM participation WHERE contact >= ?1 AND contact < ?1 || char(1114111) LIMIT ?4) \
     WHERE ?2 IS NULL OR state = ?2 ORDER BY contact LIMIT ?3";

/// Contacts on record that begin with a text, of a state if one is asked for. The file is taken as it is: no lock, no journal,
/// no migration. What cannot be read so is nothing.
pub(crate) async fn contacts_like(
    path: &Path,
    begin: &str,
    state: Option<State>,
    most: u32,
) -> Vec<String> {
    // Even an empty name of a file would be opened.
    if !path.is_file() {
        return Vec::new();
    }
    let options = SqliteConnectOptions::new()
        .filename(path)
        .read_only(true)
        .immutable(true)
        .pragma("temp_store", "memory")
        .disable_statement_logging();
    let Ok(mut connection) = options.connect().await else {
        return Vec::new();
    };
    let query = sqlx::query_scalar(LIKE)
        .bind(begin)
        .bind(state.map(State::as_str))
        .bind(most)
        .bind(LOOKED_AT);
    let found = query.fetch_all(&mut connection).await;
    // It was only read: how it is closed changes nothing.
    let _ = connection.close().await;
    found.unwrap_or_default()
}
