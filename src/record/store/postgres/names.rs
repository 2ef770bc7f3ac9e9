//! The tables of names and codes.

use sqlx::postgres::PgConnection;

use super::link::Place;
use crate::record::store::names::Names;

const NEW_AUTOMATIONS: &str = "\
INSERT INTO ~automation (name) SELECT DISTINCT unnest($1::text[]) ON CONFLICT DO NOTHING";
const NEW_CODES: &str = "\
INSERT INTO ~trigger_code (code) SELECT DISTINCT ON (lower(code)) code FROM unnest($1::text[]) AS new (code)
ON CONFLICT DO NOTHING";

/// Reads all.
pub(super) async fn read(at: &Place, connection: &mut PgConnection) -> Result<Names, sqlx::Error> {
    let automations = pairs(at, connection, "SELECT id, name FROM ~automation").await?;
    let codes = pairs(at, connection, "SELECT id, code FROM ~trigger_code").await?;
    Names::new(automations, codes).map_err(|what| sqlx::Error::Decode(what.into()))
}

async fn pairs(
    at: &Place,
    connection: &mut PgConnection,
    query: &str,
) -> Result<Vec<(i64, String)>, sqlx::Error> {
    let query = sqlx::query_as(at.sql(query)).persistent(false);
    query.fetch_all(connection).await
}

/// Writes names and codes that are new.
pub(super) async fn write(
    at: &Place,
    tx: &mut PgConnection,
    automations: &[&str],
    codes: &[&str],
) -> Result<(), sqlx::Error> {
    for (statement, new) in [(NEW_AUTOMATIONS, automations), (NEW_CODES, codes)] {
        if !new.is_empty() {
            let write = sqlx::query(at.sql(statement)).bind(new).persistent(false);
            write.execute(&mut *tx).await?;
        }
    }
    Ok(())
}
