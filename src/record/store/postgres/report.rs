//! The record over time, summed up by SQL: what the statements mean is said where they are for SQLite.

use sqlx::postgres::PgRow;
use sqlx::{FromRow, Row};

use super::link::Link;
use super::statement::Statement;
use crate::record::batch::time;
use crate::record::overview::{Overview, RecordedRun};
use crate::record::store::rows::{self, RunRow};

/// How fine times are reported, in milliseconds: the days of every zone begin at one of these.
const SLOT: i64 = 15 * 60 * 1000;

/// The most kinds of failure that are reported.
const MOST_REASONS: i64 = 50;

/// The most runs that are reported.
const MOST_RUNS: i64 = 20;

const STEPS: &str = "\
WITH past AS (
    SELECT c.automation AS automation, c.sent_at AS began, least(p.triggered_at, coalesce((
        SELECT min(CASE s.kind WHEN 'stop' THEN s.settled_at ELSE s.sent_at END) FROM ~call s
        WHERE s.contact = c.contact AND s.automation = c.automation AND s.id > c.id
          AND (s.occurrence IS NULL OR s.occurrence = c.occurrence)
          AND s.outcome IN ('stopped', 'active', 'uncertain')), p.triggered_at)) AS ended
    FROM ~participation p JOIN ~call c
      ON c.contact = p.contact AND c.automation = p.automation AND c.occurrence = p.occurrence
    WHERE p.triggered_at >= $1 AND c.kind = 'trigger' AND c.outcome IN ('active', 'uncertain') AND c.sent_at < p.triggered_at
), step AS (
    SELECT automation, began AS at, 1 AS delta FROM past
    UNION ALL SELECT automation, ended, -1 FROM past
    UNION ALL SELECT automation, triggered_at, 1 FROM ~participation WHERE triggered_at IS NOT NULL
      AND state IN ('active', 'uncertain', 'stop-failed', 'stop-uncertain', 'stopped', 'let-go', 'ended')
    UNION ALL SELECT automation, changed_at, -1 FROM ~participation WHERE triggered_at IS NOT NULL
      AND state IN ('stopped', 'let-go', 'ended')
)
SELECT a.name AS automation, greatest(step.at, $1) / $2 * $2 AS at, sum(step.delta)::bigint AS \"by\"
FROM step JOIN ~automation a ON a.id = step.automation
WHERE step.at < $3 GROUP BY 1, 2 ORDER BY 1, 2";

const CALLS: &str = "\
SELECT a.name AS automation, at, kind, outcome, count FROM (
    SELECT automation, sent_at / $2 * $2 AS at, kind, outcome, count(*) AS count FROM ~call
    WHERE sent_at >= $1 AND sent_at < $3 GROUP BY 1, 2, 3, 4
) AS calls JOIN ~automation a ON a.id = calls.automation ORDER BY 1, 2, 3, outcome NULLS FIRST";

const TROUBLES: &str = "\
SELECT a.name AS automation, state COLLATE \"C\" AS state, detail, count(*) AS count FROM (
    SELECT automation, state, detail FROM ~participation
    WHERE state IN ('refused', 'failed', 'failed-for-good', 'uncertain', 'stop-failed', 'stop-uncertain')
    UNION ALL SELECT automation, CASE kind WHEN 'trigger' THEN 'uncertain' ELSE 'stop-uncertain' END, $2
    FROM ~call WHERE outcome IS NULL
) AS trouble JOIN ~automation a ON a.id = trouble.automation
GROUP BY 1, 2, 3 ORDER BY 4 DESC, 1, 2, detail COLLATE \"C\" NULLS FIRST LIMIT $1";

const FAILURES: &str = "\
SELECT a.name AS automation, kind, outcome, detail, count(*) AS count, max(sent_at) AS last
FROM ~call AS c JOIN ~automation a ON a.id = c.automation
WHERE sent_at >= $1 AND sent_at < $2
  AND outcome IN ('refused', 'failed', 'failed-for-good', 'uncertain', 'stop-failed', 'stop-uncertain')
GROUP BY 1, 2, 3, 4 ORDER BY 5 DESC, 1, 2, 3, detail NULLS FIRST LIMIT $3";

const BEGAN: &str = "SELECT started_at FROM ~run ORDER BY id LIMIT 1";

const RUNS: &str = "\
SELECT id, command, started_at, ended_at, git_revision FROM ~run WHERE started_at < $1 ORDER BY id DESC LIMIT $2";

const CALLS_OF_RUNS: &str = "\
SELECT run, coalesce(outcome, 'under way'), count(*) FROM ~call WHERE run >= $1 GROUP BY 1, 2 ORDER BY 1, 2";

/// All rows of a statement, each as what it is.
async fn all<T: for<'r> FromRow<'r, PgRow>>(
    link: &mut Link,
    text: &str,
    bind: impl Fn(Statement) -> Statement + Send,
) -> Result<Vec<T>, sqlx::Error> {
    let rows = link.rows(text, bind).await?;
    rows.iter().map(T::from_row).collect()
}

/// Sums up what is on record from a time on to another one, in milliseconds since 1970.
pub(super) async fn overview(link: &mut Link, from: i64, to: i64) -> Result<Overview, sqlx::Error> {
    let began = link.rows(BEGAN, |query| query).await?;
    let began = began.first().map(|row| row.try_get(0)).transpose()?;
    Ok(Overview {
        began: began.map(time),
        steps: all(link, STEPS, |query| query.bind(from).bind(SLOT).bind(to)).await?,
        calls: all(link, CALLS, |query| query.bind(from).bind(SLOT).bind(to)).await?,
        troubles: all(link, TROUBLES, |query| {
            let detail = "no answer is on record yet, or its run ended early";
            query.bind(MOST_REASONS).bind(detail)
        })
        .await?,
        failures: all(link, FAILURES, |query| {
            query.bind(from).bind(to).bind(MOST_REASONS)
        })
        .await?,
        runs: runs(link, to).await?,
    })
}

async fn runs(link: &mut Link, to: i64) -> Result<Vec<RecordedRun>, sqlx::Error> {
    let rows: Vec<RunRow> = all(link, RUNS, |query| query.bind(to).bind(MOST_RUNS)).await?;
    let first = rows.last().map_or(0, |row| row.0);
    let calls: Vec<(i64, String, i64)> =
        all(link, CALLS_OF_RUNS, |query| query.bind(first)).await?;
    Ok(rows::runs(rows, &calls))
}
