//! What the last plan was made from that had nothing to do, so that the next one need not be made where all of that is
//! the same.
//!
//! A plan follows from the program, the configuration, the content of its sources, the record and the time alone. The
//! memo is a small file beside the record with a digest of each of these and the sums that are shown. It is believed only
//! where every one of them is the same, and it is of no use to a plan that holds, defers, notes or does anything at all:
//! what such a plan shows is made anew each time. Of people it holds nothing. Without it, everything is as it was and
//! takes longer.

use std::collections::BTreeMap;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::config::{Config, Source, Span, Test};
use crate::id::AutomationName;
use crate::plan::Plan;
use crate::record::{Record, RecordState};
use crate::roster::{self, Roster, SourceRead};
use crate::source::{SourceError, Table};

/// The version of the file.
const FORMAT: u32 = 1;

/// The largest file that is read, in bytes: room for thousands of automations.
const LARGEST: u64 = 1 << 20;

/// A file that was written to so shortly before it was read may be written to again without its time telling.
const SETTLED: Duration = Duration::from_secs(2);

/// All that a plan is made from, besides its sources.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Circumstances {
    program: String,
    config: String,
    /// Of the record.
    pub record: RecordState,
    time: String,
}

/// What is remembered.
#[derive(Debug, Serialize, Deserialize)]
struct Memo {
    format: u32,
    made_from: Circumstances,
    /// In the order of the configuration.
    sources: Vec<SourceMemo>,
    unchanged: u64,
    running: BTreeMap<String, u64>,
}

#[derive(Debug, PartialEq, Eq, Serialize, Deserialize)]
struct SourceMemo {
    /// Told apart before its content is.
    bytes: u64,
    digest: String,
    rows: u64,
}

/// A plan that has nothing to do, and the sources that it would be made from.
#[derive(Debug)]
pub struct Remembered<'c> {
    /// The plan.
    pub plan: Plan,
    /// The sources.
    pub sources: Vec<SourceRead<'c>>,
}

impl Circumstances {
    /// How things are now. `None` where nothing can be remembered of them: there is no record yet, a call is under way or
    /// in doubt, or the plan depends on the very second.
    pub async fn now(config: &Config, record: &Record, now: Timestamp) -> Option<Self> {
        Some(Self {
            program: program()?,
            config: config.digest.to_string(),
            time: day(config, now)?,
            record: record.state().await.ok()??,
        })
    }
}

/// This program, told from every other build of it.
fn program() -> Option<String> {
    let meta = std::env::current_exe().ok()?.metadata().ok()?;
    let written = meta.modified().ok()?;
    let written = written.duration_since(SystemTime::UNIX_EPOCH).ok()?;
    Some(format!(
        "{} {} {}",
        env!("CARGO_PKG_VERSION"),
        meta.len(),
        written.as_nanos()
    ))
}

/// The day, of which `within = "30d"` is reckoned; `None` where hours and minutes count too.
fn day(config: &Config, now: Timestamp) -> Option<String> {
    let conditions = config.enrols.iter().flat_map(|enrol| &enrol.conditions);
    let mut tests = conditions.flat_map(|condition| &condition.tests);
    let is_exact = tests.any(|test| {
        matches!(
            test,
            Test::Within(Span::Elapsed(_)) | Test::OlderThan(Span::Elapsed(_))
        )
    });
    (!is_exact).then(|| config.zone.to_datetime(now).date().to_string())
}

fn path(record: &Path) -> PathBuf {
    let mut name = record.as_os_str().to_owned();
    name.push(".memo.json");
    PathBuf::from(name)
}

/// The plan, where it is certain that it has nothing to do. Takes its time where sources are large.
///
/// # Errors
/// That a source cannot be used now, or is too old.
pub fn recall<'c>(
    config: &'c Config,
    record: &Record,
    circumstances: &Circumstances,
    now: Timestamp,
) -> Result<Option<Remembered<'c>>, SourceError> {
    let Some(memo) = read(record) else {
        return Ok(None);
    };
    if memo.format != FORMAT || memo.made_from != *circumstances {
        return Ok(None);
    }
    let used: Vec<&Source> = roster::used_sources(config).collect();
    if used.len() != memo.sources.len() {
        return Ok(None);
    }
    let mut tables = Vec::with_capacity(used.len());
    for (source, remembered) in used.iter().zip(&memo.sources) {
        let table = Table::open(source)?;
        table.check_age(now)?;
        if table.bytes() != remembered.bytes {
            return Ok(None);
        }
        tables.push(table);
    }
    for (table, remembered) in tables.iter().zip(&memo.sources) {
        if table.digest()?.to_string() != remembered.digest {
            return Ok(None);
        }
    }
    let running = memo.running.iter().map(|(name, count)| {
        let name = AutomationName::new(name).ok()?;
        Some((name, *count))
    });
    let Some(running) = running.collect() else {
        return Ok(None);
    };
    let plan = Plan::of_nothing(memo.unchanged, running);
    let sources = used.iter().zip(&tables).zip(&memo.sources);
    let sources = sources.map(|((source, table), memo)| SourceRead {
        source,
        rows: memo.rows,
        written: table.written(),
    });
    Ok(Some(Remembered {
        plan,
        sources: sources.collect(),
    }))
}

/// Remembers a plan that has nothing to do. The circumstances are those before it was made, and hold still.
///
/// Where it cannot be written, the next plan is made anew.
pub fn remember(record: &Record, circumstances: Circumstances, roster: &Roster<'_>, plan: &Plan) {
    if !plan.is_nothing() {
        return;
    }
    let mut sources = Vec::new();
    for (table, rows) in roster.tables() {
        let sealed = || {
            table.is_settled(SETTLED).then_some(())?;
            let digest = table.digest().ok()?.to_string();
            table.check_unchanged().ok()?;
            Some(SourceMemo {
                bytes: table.bytes(),
                digest,
                rows,
            })
        };
        let Some(source) = sealed() else { return };
        sources.push(source);
    }
    let running = plan.running.iter();
    let memo = Memo {
        format: FORMAT,
        made_from: circumstances,
        sources,
        unchanged: plan.unchanged,
        running: running
            .map(|(name, count)| (name.to_string(), *count))
            .collect(),
    };
    if let Err(error) = write(record, &memo) {
        tracing::debug!("what the plan was made from is not remembered: {error}");
    }
}

fn read(record: &Record) -> Option<Memo> {
    let path = path(record.path());
    // Whatever else has come there is not waited for, and not read.
    let about = std::fs::metadata(&path).ok()?;
    (about.is_file() && about.len() <= LARGEST).then_some(())?;
    serde_json::from_slice(&std::fs::read(&path).ok()?).ok()
}

fn write(record: &Record, memo: &Memo) -> std::io::Result<()> {
    let path = path(record.path());
    let folder = path.parent().unwrap_or(Path::new("."));
    let mut file = tempfile::NamedTempFile::new_in(folder)?;
    file.write_all(&serde_json::to_vec(memo)?)?;
    file.persist(path)?;
    Ok(())
}
