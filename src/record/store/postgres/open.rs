//! What is in a schema: nothing, a record of some age, or something else; and how a record is made and brought up to date.

use sqlx::migrate::Migrator;
use sqlx::postgres::PgConnection;
use sqlx::{AssertSqlSafe, Row};

use super::link::Place;
use crate::id::RecordId;
use crate::record::carry::NOT_WHOLE;
use crate::record::error::RecordError;
use crate::record::identity::DatabaseId;
use crate::record::writing::{LockRequest, Purpose};

static MIGRATOR: Migrator = sqlx::migrate!("state/migrations/postgres");

/// What is in a schema.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    /// Nothing yet; whether the schema itself is there.
    Empty { has_schema: bool },
    /// A record with this schema.
    Record(i64),
}

/// Catalogs can be read by everybody, whatever the role may do.
const LOOK: &str = "\
SELECT pg_encoding_to_char(encoding) AS encoding,
    EXISTS (SELECT FROM pg_namespace WHERE nspname = $1) AS has_schema,
    (SELECT count(*) FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
        WHERE n.nspname = $1 AND c.relkind IN ('r', 'p', 'v', 'm', 'f')) AS tables,
    EXISTS (SELECT FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
        WHERE n.nspname = $1 AND c.relname = 'meta' AND obj_description(c.oid, 'pg_class') = 'Rollcall') AS is_ours
FROM pg_database WHERE datname = current_database()";

const AGE: &str = "SELECT coalesce(max(version), 0) FROM ~migration";

/// Where it is, as the server knows it. What the role may not ask is not known.
const MAY_ASK: &str = "\
SELECT has_function_privilege('pg_control_system()', 'EXECUTE'), has_function_privilege('pg_control_checkpoint()', 'EXECUTE')";
const WHERE: &str = "\
SELECT (SELECT oid::bigint FROM pg_database WHERE datname = current_database()) AS database,
    (SELECT string_agg(c.oid::text, ' ' ORDER BY c.relname) FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
        WHERE n.nspname = $1 AND c.relname IN ('meta', 'participation', 'call', 'run')) AS tables,
    pg_is_in_recovery() AS is_replica";
const SYSTEM: &str = "SELECT system_identifier::text FROM pg_control_system()";
/// A server that was promoted a moment ago writes on its new timeline before its control file says so.
const TIMELINE: &str = "\
SELECT ('x' || substr(pg_walfile_name(pg_current_wal_lsn()), 1, 8))::bit(32)::bigint";
const TIMELINE_OF_REPLICA: &str = "SELECT timeline_id::bigint FROM pg_control_checkpoint()";

const META: &str = "\
INSERT INTO ~meta (one, identity, serial, counted_from, moved_to)
VALUES (1, $1, 0, (extract(epoch FROM now()) * 1000)::bigint, $2)";

/// Why a record cannot be opened, before it is said where it is.
pub(super) enum Problem {
    Sql(sqlx::Error),
    Record(RecordError),
}

impl From<sqlx::Error> for Problem {
    fn from(error: sqlx::Error) -> Self {
        Problem::Sql(error)
    }
}

impl From<RecordError> for Problem {
    fn from(error: RecordError) -> Self {
        Problem::Record(error)
    }
}

pub(super) fn newest() -> i64 {
    MIGRATOR.iter().map(|m| m.version).max().unwrap_or(0)
}

/// What is in the schema now.
pub(super) async fn recognise(at: &Place, connection: &mut PgConnection) -> Result<Kind, Problem> {
    let foreign = |what: &str| RecordError::Foreign {
        path: at.path.clone(),
        what: what.to_owned(),
    };
    let look = sqlx::query(LOOK).bind(&at.schema).persistent(false);
    let row = look.fetch_one(&mut *connection).await?;
    let encoding: String = row.try_get("encoding")?;
    if encoding != "UTF8" {
        let what = format!("the database holds texts in {encoding}; a record needs one in UTF8");
        return Err(foreign(&what).into());
    }
    let (has_schema, tables): (bool, i64) = (row.try_get("has_schema")?, row.try_get("tables")?);
    match row.try_get("is_ours")? {
        false if tables == 0 => return Ok(Kind::Empty { has_schema }),
        false => return Err(foreign("the schema has tables of another program").into()),
        true => {}
    }
    let age = sqlx::query_scalar(at.sql(AGE)).persistent(false);
    let found: i64 = age.fetch_one(&mut *connection).await?;
    let known = newest();
    if found > known {
        let path = at.path.clone();
        return Err(RecordError::Newer { path, found, known }.into());
    }
    Ok(Kind::Record(found))
}

/// Where it is, as the server knows it.
pub(super) async fn place(
    at: &Place,
    connection: &mut PgConnection,
) -> Result<DatabaseId, sqlx::Error> {
    let row = sqlx::query(WHERE).bind(&at.schema).persistent(false);
    let row = row.fetch_one(&mut *connection).await?;
    let may = sqlx::query_as(MAY_ASK).persistent(false);
    let (system, checkpoint): (bool, bool) = may.fetch_one(&mut *connection).await?;
    let is_replica: bool = row.try_get("is_replica")?;
    let system = match system {
        true => {
            let system = sqlx::query_scalar(SYSTEM).persistent(false);
            Some(system.fetch_one(&mut *connection).await?)
        }
        false => None,
    };
    let timeline = match (is_replica, checkpoint) {
        (false, _) => Some(TIMELINE),
        (true, true) => Some(TIMELINE_OF_REPLICA),
        (true, false) => None,
    };
    let timeline = match timeline {
        Some(statement) => {
            let timeline = sqlx::query_scalar(statement).persistent(false);
            Some(timeline.fetch_one(&mut *connection).await?)
        }
        None => None,
    };
    Ok(DatabaseId {
        system,
        timeline,
        database: row.try_get("database")?,
        tables: row.try_get("tables")?,
    })
}

/// Makes a record where there is none, in a transaction of the caller. It gets this id, or a new one.
pub(super) async fn make(
    at: &Place,
    connection: &mut PgConnection,
    has_schema: bool,
    request: &LockRequest,
) -> Result<(), sqlx::Error> {
    // A role that may fill a schema need not be one that may make it.
    if !has_schema {
        let make = format!("CREATE SCHEMA \"{}\"", at.schema);
        sqlx::raw_sql(AssertSqlSafe(make))
            .execute(&mut *connection)
            .await?;
    }
    migrate(at, connection, 0).await?;
    let id = request.expected.id.unwrap_or_else(RecordId::new);
    let moved_to = (request.purpose == Purpose::Carry).then_some(NOT_WHOLE);
    let meta = sqlx::query(at.sql(META))
        .bind(id.to_string())
        .bind(moved_to);
    let meta = meta.persistent(false);
    meta.execute(&mut *connection).await?;
    Ok(())
}

/// Brings a record of this schema to the newest one, in a transaction of the caller, who has the lease. sqlx's own way takes a
/// lock of the session, and names statements in it; a pool gives both to others.
pub(super) async fn migrate(
    at: &Place,
    connection: &mut PgConnection,
    found: i64,
) -> Result<(), sqlx::Error> {
    // Until the end of the transaction: migrations name no schema.
    let path = format!("SET LOCAL search_path TO \"{}\", pg_temp", at.schema);
    sqlx::raw_sql(AssertSqlSafe(path))
        .execute(&mut *connection)
        .await?;
    for migration in MIGRATOR
        .iter()
        .filter(|migration| migration.version > found)
    {
        sqlx::raw_sql(migration.sql.clone())
            .execute(&mut *connection)
            .await?;
        let note =
            sqlx::query("INSERT INTO migration (version) VALUES ($1)").bind(migration.version);
        note.persistent(false).execute(&mut *connection).await?;
    }
    Ok(())
}
