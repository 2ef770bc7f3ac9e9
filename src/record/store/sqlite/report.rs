//! The record over time, summed up by SQL.

use sqlx::SqliteConnection;

use crate::record::batch::time;
use crate::record::overview::{Overview, RecordedRun};
use crate::record::store::rows::{self, RunRow};

/// How fine times are reported, in milliseconds: the days of every zone begin at one of these.
const SLOT: i64 = 15 * 60 * 1000;

/// The most kinds of failure that are reported.
const MOST_REASONS: i64 = 50;

/// The most runs that are reported.
const MOST_RUNS: i64 = 20;

/// When the next call that stopped or triggered the same was made, for one of two kinds of calls: those for the occurrence
/// alone, and those for all of the contact's.
macro_rules! next_call {
    ($occurrence:literal) => {
        concat!(
            "coalesce((SELECT CASE s.kind WHEN 'stop' THEN s.settled_at ELSE s.sent_at END FROM call s \
             WHERE s.contact = c.contact AND s.automation = c.automation AND s.occurrence ",
            $occurrence,
            " AND s.id > c.id AND s.outcome IN ('stopped', 'active', 'uncertain') ORDER BY s.id LIMIT 1), p.triggered_at)"
        )
    };
}

/// When participations began and ended to run. The last time that each one ran is in its own row; those before it are in
/// the calls, and end with the next call that stopped or triggered the same. They are looked for only where the last one
/// began in the time asked for: else all of them had ended before, and add up to nothing.
const STEPS: &str = concat!(
    "WITH past AS (
    SELECT c.automation AS automation, c.sent_at AS began, min(p.triggered_at, ",
    next_call!("= c.occurrence"),
    ", ",
    next_call!("IS NULL"),
    ") AS ended
    FROM participation p CROSS JOIN call c
      ON c.contact = p.contact AND c.automation = p.automation AND c.occurrence = p.occurrence
    WHERE p.triggered_at >= ?1 AND c.kind = 'trigger' AND c.outcome IN ('active', 'uncertain') AND c.sent_at < p.triggered_at
), step AS (
    SELECT automation, began AS at, 1 AS delta FROM past
    UNION ALL SELECT automation, ended, -1 FROM past
    UNION ALL SELECT automation, triggered_at, 1 FROM participation WHERE triggered_at IS NOT NULL
      AND state IN ('active', 'uncertain', 'stop-failed', 'stop-uncertain', 'stopped', 'let-go', 'ended')
    UNION ALL SELECT automation, changed_at, -1 FROM participation WHERE triggered_at IS NOT NULL
      AND state IN ('stopped', 'let-go', 'ended')
)
SELECT automation.name AS automation, max(step.at, ?1) / ?2 * ?2 AS at, sum(step.delta) AS \"by\"
FROM step JOIN automation ON automation.id = step.automation
WHERE step.at < ?3 GROUP BY 1, 2 ORDER BY 1, 2"
);

const CALLS: &str = "\
SELECT automation.name AS automation, at, kind, outcome, count FROM (
    SELECT automation, sent_at / ?2 * ?2 AS at, kind, outcome, count(*) AS count FROM call
    WHERE sent_at >= ?1 AND sent_at < ?3 GROUP BY 1, 2, 3, 4
) AS calls JOIN automation ON automation.id = calls.automation ORDER BY 1, 2, 3, 4";

const TROUBLES: &str = "\
SELECT automation.name AS automation, state, detail, count(*) AS count FROM (
    SELECT automation, state, detail FROM participation
    WHERE state IN ('refused', 'failed', 'failed-for-good', 'uncertain', 'stop-failed', 'stop-uncertain')
    UNION ALL SELECT automation, CASE kind WHEN 'trigger' THEN 'uncertain' ELSE 'stop-uncertain' END, ?2
    FROM call WHERE outcome IS NULL
) AS trouble JOIN automation ON automation.id = trouble.automation
GROUP BY 1, 2, 3 ORDER BY 4 DESC, 1, 2, 3 LIMIT ?1";

const FAILURES: &str = "\
SELECT automation.name AS automation, kind, outcome, detail, count(*) AS count, max(sent_at) AS last
FROM call JOIN automation ON automation.id = call.automation
WHERE sent_at >= ?1 AND sent_at < ?2
  AND outcome IN ('refused', 'failed', 'failed-for-good', 'uncertain', 'stop-failed', 'stop-uncertain')
GROUP BY 1, 2, 3, 4 ORDER BY 5 DESC, 1, 2, 3, 4 LIMIT ?3";

const BEGAN: &str = "SELECT started_at FROM run ORDER BY id LIMIT 1";

const RUNS: &str = "\
SELECT id, command, started_at, ended_at, git_revision FROM run WHERE started_at < ?1 ORDER BY id DESC LIMIT ?2";

const CALLS_OF_RUNS: &str = "\
SELECT run, coalesce(outcome, 'under way'), count(*) FROM call WHERE sent_at >= ?1 AND run >= ?2 GROUP BY 1, 2 ORDER BY 1, 2";

/// Sums up what is on record from a time on to another one, in milliseconds since 1970.
pub(super) async fn overview(
    db: &mut SqliteConnection,
    from: i64,
    to: i64,
) -> Result<Overview, sqlx::Error> {
    let steps = sqlx::query_as(STEPS).bind(from).bind(SLOT).bind(to);
    let calls = sqlx::query_as(CALLS).bind(from).bind(SLOT).bind(to);
    let failures = sqlx::query_as(FAILURES).bind(from).bind(to);
    // A history is read in leaps: as pages of memory, which is twice as fast.
    sqlx::query("PRAGMA mmap_size = 2147418112")
        .execute(&mut *db)
        .await?;
    let began: Option<(i64,)> = sqlx::query_as(BEGAN).fetch_optional(&mut *db).await?;
    Ok(Overview {
        began: began.map(|(at,)| time(at)),
        steps: steps.fetch_all(&mut *db).await?,
        calls: calls.fetch_all(&mut *db).await?,
        troubles: sqlx::query_as(TROUBLES)
            .bind(MOST_REASONS)
            .bind("no answer is on record yet, or its run ended early")
            .fetch_all(&mut *db)
            .await?,
        failures: failures.bind(MOST_REASONS).fetch_all(&mut *db).await?,
        runs: runs(db, to).await?,
    })
}

async fn runs(db: &mut SqliteConnection, to: i64) -> Result<Vec<RecordedRun>, sqlx::Error> {
    let rows: Vec<RunRow> = sqlx::query_as(RUNS)
        .bind(to)
        .bind(MOST_RUNS)
        .fetch_all(&mut *db)
        .await?;
    let (first, began) = rows.last().map_or((0, 0), |row| (row.0, row.2));
    let calls: Vec<(i64, String, i64)> = sqlx::query_as(CALLS_OF_RUNS)
        .bind(began)
        .bind(first)
        .fetch_all(&mut *db)
        .await?;
    Ok(rows::runs(rows, &calls))
}
