//! The tables of names and codes.

use sqlx::SqliteConnection;

use crate::record::batch::Batch;
use crate::record::store::names::Names;

const NEW_AUTOMATIONS: &str = "\
INSERT INTO automation (name) SELECT value FROM json_each(?) WHERE true ON CONFLICT DO NOTHING";
const NEW_CODES: &str = "\
INSERT INTO trigger_code (code) SELECT value FROM json_each(?) WHERE true ON CONFLICT DO NOTHING";

/// Reads all.
pub(super) async fn read(connection: &mut SqliteConnection) -> Result<Names, sqlx::Error> {
    let automations = pairs(connection, "SELECT id, name FROM automation").await?;
    let codes = pairs(connection, "SELECT id, code FROM trigger_code").await?;
    Names::new(automations, codes).map_err(|what| sqlx::Error::Decode(what.into()))
}

async fn pairs(
    connection: &mut SqliteConnection,
    query: &'static str,
) -> Result<Vec<(i64, String)>, sqlx::Error> {
    sqlx::query_as(query).fetch_all(connection).await
}

/// Writes the names and codes of a batch that are new. Returns whether there are any, so that all are to be read anew.
pub(super) async fn write_new(
    names: &Names,
    tx: &mut SqliteConnection,
    batch: &Batch,
) -> Result<bool, sqlx::Error> {
    let (automations, codes) = names.new_in(batch);
    if automations.is_empty() && codes.is_empty() {
        return Ok(false);
    }
    for (statement, new) in [(NEW_AUTOMATIONS, automations), (NEW_CODES, codes)] {
        sqlx::query(statement)
            .bind(super::write::json(&new)?)
            .execute(&mut *tx)
            .await?;
    }
    Ok(true)
}
