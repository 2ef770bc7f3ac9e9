//! One writer at a time: a row with a token, which every writing transaction checks, and the server's own time.
//!
//! There is no lock of the operating system beside it, and none of a session: the row is what everybody sees.

use std::time::Duration;

use sqlx::Row;
use sqlx::postgres::{PgConnection, PgRow};
use tokio::time::Instant;

use super::error::{is_busy, is_race, sql};
use super::link::{Link, Place, patience, within};
use super::open::{self, Kind, Problem};
use crate::clock::uptime;
use crate::failpoint::fail_point;
use crate::location::Database;
use crate::record::batch::time;
use crate::record::error::{DEAD_AFTER, Holder, LockError, RecordError};
use crate::record::host;
use crate::record::identity::DatabaseId;
use crate::record::writing::LockRequest;

/// How often a waiting run looks again.
const LOOK_AGAIN: Duration = Duration::from_millis(500);

/// How often it is tried again what others did at the same moment.
const RACES: usize = 5;

/// Who holds it, and how long ago, by the server's clock, the last sign of life was.
pub(super) const ROW: &str = "\
SELECT holder, host, pid, process, command, batch, (extract(epoch FROM acquired_at) * 1000)::bigint AS acquired_at,
    (extract(epoch FROM heartbeat_at) * 1000)::bigint AS heartbeat_at,
    extract(epoch FROM clock_timestamp() - heartbeat_at)::double precision AS age
FROM ~lock";

/// Takes it over from nobody but the one that was seen, $6: two who see nobody at the same moment both come here.
const TAKE: &str = "\
INSERT INTO ~lock AS lock (one, holder, host, pid, process, command, acquired_at, heartbeat_at, batch)
VALUES (1, $1, $2, $3, $4, $5, clock_timestamp(), clock_timestamp(), 0)
ON CONFLICT (one) DO UPDATE SET holder = excluded.holder, host = excluded.host, pid = excluded.pid,
    process = excluded.process, command = excluded.command, acquired_at = excluded.acquired_at,
    heartbeat_at = excluded.heartbeat_at, batch = 0
WHERE lock.holder IN ($1, $6)";

const GIVE_BACK: &str = "DELETE FROM ~lock WHERE holder = $1";

/// A record that is locked.
pub(super) struct Locked {
    pub link: Link,
    /// The token.
    pub holder: String,
    /// Whether it was made just now.
    pub is_made: bool,
    /// Where it is, as the server knows it.
    pub home: DatabaseId,
}

/// What came of a try.
enum Tried {
    Taken {
        is_made: bool,
        home: DatabaseId,
    },
    Held(Holder),
    /// Somebody had it a moment ago, and has released it.
    Released,
}

/// Takes the lease, makes the record where there is none, and migrates it where it is older than this Rollcall: all in one
/// transaction.
pub(super) async fn acquire(
    database: &Database,
    request: &LockRequest,
) -> Result<Locked, LockError> {
    let mut link = Link::to(database);
    let holder = uuid::Uuid::new_v4().to_string();
    let until = Instant::now() + request.timeout;
    let failed = sql(&link.place.path, "locked");
    let (mut races, mut last) = (0, None);
    loop {
        let begun = uptime();
        match attempt(&mut link, request, &holder).await {
            Ok(Tried::Taken { is_made, home }) => {
                link.until = Some(begun + DEAD_AFTER);
                link.home = Some(home.clone());
                return Ok(Locked {
                    link,
                    holder,
                    is_made,
                    home,
                });
            }
            Ok(Tried::Held(other)) if Instant::now() >= until => {
                return Err(LockError::Held(other));
            }
            Ok(Tried::Held(other)) => last = Some(other),
            Ok(Tried::Released) => {}
            Err(Problem::Record(error)) => return Err(error.into()),
            // Another run works at the row; where it is dead, the server ends its transaction.
            Err(Problem::Sql(error)) if is_busy(&error) => match last.take() {
                Some(other) if Instant::now() >= until => return Err(LockError::Held(other)),
                None if Instant::now() >= until => return Err(failed(error).into()),
                other => last = other,
            },
            Err(Problem::Sql(error)) if is_race(&error) && races < RACES => races += 1,
            Err(Problem::Sql(error)) => return Err(failed(error).into()),
        }
        tokio::time::sleep(LOOK_AGAIN).await;
    }
}

async fn attempt(link: &mut Link, request: &LockRequest, holder: &str) -> Result<Tried, Problem> {
    let at = &link.place.clone();
    let mut tx = link.write().await?;
    let kind = open::recognise(at, &mut tx).await?;
    let (mut is_made, mut over) = (false, None);
    match kind {
        Kind::Empty { .. } if !request.may_begin => {
            let path = at.path.clone();
            return Err(RecordError::Missing { path }.into());
        }
        Kind::Empty { has_schema } => {
            open::make(at, &mut tx, has_schema, request).await?;
            is_made = true;
        }
        Kind::Record(_) => {
            // Whoever waits keeps the row from its holder as little as it can: it is locked only where it is to be taken over.
            for lock in ["", " FOR UPDATE"] {
                let row = sqlx::query(at.sql(&format!("{ROW}{lock}"))).persistent(false);
                let row = row.fetch_optional(&mut *tx).await?;
                let other =
                    row.map(|row| Ok::<_, sqlx::Error>((self::holder(&row)?, row.try_get("age")?)));
                // It may be this one's own, of a commit that gave no answer.
                let other = other
                    .transpose()?
                    .filter(|(other, _): &(Holder, f64)| other.holder != holder);
                if let Some((other, _)) = other.as_ref().filter(|(other, age)| keeps(other, *age)) {
                    let other = other.clone();
                    within(patience(0), tx.rollback()).await?;
                    return Ok(Tried::Held(other));
                }
                over = other.map(|(other, _)| other);
            }
            if let Some(other) = &over {
                tracing::warn!(
                    event = "lock-taken-over",
                    host = other.host,
                    pid = other.pid,
                    "taking over the lock of a run that is gone"
                );
                fail_point("takeover");
            }
        }
    }
    let over = over.map(|other| other.holder);
    if !take(at, &mut tx, request, holder, over.as_deref()).await? {
        // Whoever was faster has committed by now.
        let row = sqlx::query(at.sql(ROW)).persistent(false);
        let row = row.fetch_optional(&mut *tx).await?;
        // A transaction that is only let go of ends when its connection is used again.
        within(patience(0), tx.rollback()).await?;
        return Ok(match row {
            Some(row) => Tried::Held(self::holder(&row)?),
            None => Tried::Released,
        });
    }
    if let Kind::Record(found) = kind
        && found < open::newest()
    {
        fail_point("migrate:before");
        open::migrate(at, &mut tx, found).await?;
    }
    let home = open::place(at, &mut tx).await?;
    fail_point("make:before");
    within(patience(0), tx.commit()).await?;
    fail_point("make:after");
    Ok(Tried::Taken { is_made, home })
}

/// Writes the row. Returns whether it is this one's now.
async fn take(
    at: &Place,
    tx: &mut PgConnection,
    request: &LockRequest,
    holder: &str,
    over: Option<&str>,
) -> Result<bool, sqlx::Error> {
    let take = sqlx::query(at.sql(TAKE))
        .bind(holder)
        .bind(host::name())
        .bind(i64::from(std::process::id()))
        .bind(host::this_process())
        .bind(&request.command)
        .bind(over);
    Ok(take.persistent(false).execute(tx).await?.rows_affected() > 0)
}

/// Whether a holder keeps its lease, of whom the last sign of life came so many seconds ago by the server's clock.
///
/// A process of this host is dead when it is gone, and alive as long as it is there. Of any other the age says it: a holder that
/// lives gives a sign every few seconds. One from the future is none of a holder that lives: the server's clock was set back.
fn keeps(other: &Holder, age: f64) -> bool {
    if let Some(process) = &other.process {
        if host::is_gone(other.pid, process) {
            return false;
        }
        if host::is_alive(other.pid, process) {
            return true;
        }
    }
    age.abs() < DEAD_AFTER.as_secs_f64()
}

/// Who holds the lease, as a row says it.
pub(super) fn holder(row: &PgRow) -> Result<Holder, sqlx::Error> {
    Ok(Holder {
        holder: row.try_get("holder")?,
        host: row.try_get("host")?,
        pid: u32::try_from(row.try_get::<i64, _>("pid")?).unwrap_or(0),
        process: row.try_get("process")?,
        command: row.try_get("command")?,
        acquired_at: time(row.try_get("acquired_at")?),
        heartbeat_at: time(row.try_get("heartbeat_at")?),
    })
}

/// Takes the lease away from a holder: from then on it writes nothing, so that it announces no call either.
pub(super) async fn give_back(link: &mut Link, holder: &str) -> Result<(), sqlx::Error> {
    let at = link.place.clone();
    let mut tx = link.write().await?;
    let give_back = sqlx::query(at.sql(GIVE_BACK))
        .bind(holder)
        .persistent(false);
    give_back.execute(&mut *tx).await?;
    within(patience(0), tx.commit()).await
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_holder_keeps_its_lease_while_it_lives_and_for_a_minute_after_its_last_sign() {
        let far = Holder {
            holder: "x".to_owned(),
            host: host::name(),
            pid: 7,
            process: Some("another boot, another world 1".to_owned()),
            command: "apply".to_owned(),
            acquired_at: jiff::Timestamp::UNIX_EPOCH,
            heartbeat_at: jiff::Timestamp::UNIX_EPOCH,
        };
        for (age, kept) in [(0.0, true), (59.0, true), (61.0, false), (-3600.0, false)] {
            assert_eq!(keeps(&far, age), kept, "{age}");
        }
        #[cfg(target_os = "linux")]
        {
            let here = Holder {
                pid: std::process::id(),
                process: host::this_process(),
                ..far
            };
            assert!(keeps(&here, 86_400.0));
            let noted = here.process.clone().unwrap();
            let (world, _) = noted.rsplit_once(' ').unwrap();
            let gone = Holder {
                process: Some(format!("{world} 1")),
                ..here
            };
            assert!(!keeps(&gone, 0.0));
        }
    }
}
