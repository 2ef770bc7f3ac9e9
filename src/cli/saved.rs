//! `plan --out FILE` and `apply FILE`: exactly what was saved, or nothing.

use std::fs::File;
use std::io::{self, BufReader, BufWriter, Read, Write};
use std::path::{Path, PathBuf};

use anyhow::{Context, anyhow};
use jiff::Timestamp;

use super::CommandError;
use super::prepare::Prepared;
use crate::config::Config;
use crate::plan::Filter;
use crate::plan::saved::{self, Basis, LARGEST, SavedError, SavedPlan, Stale};
use crate::record::Record;
use crate::report::{self, FileKind};

/// Checks that a plan can be saved, before it is made.
pub(super) fn check_writable(path: &Path) -> Result<(), CommandError> {
    let checked = report::check_writable(path, FileKind::SavedPlan);
    checked.with_context(|| not_saved(path))?;
    Ok(())
}

fn not_saved(path: &Path) -> String {
    format!("The plan cannot be saved to {}", path.display())
}

/// Saves a plan.
pub(super) async fn save(
    path: &Path,
    prepared: &Prepared,
    filter: Filter,
) -> Result<(), CommandError> {
    let id = uuid::Uuid::new_v4().to_string();
    let record = Record::at(&prepared.config.record.path);
    let standing = record.standing(&id).await;
    let standing = standing.context("The plan was not saved")?;
    let saved = SavedPlan {
        id,
        rollcall: env!("CARGO_PKG_VERSION").to_owned(),
        // The guard's day is reckoned from it when the plan is made again.
        saved_at: prepared.clock,
        now: prepared.now,
        config_digest: prepared.config.digest.to_string(),
        roster_digest: prepared.roster.digest().to_string(),
        record: standing.identity.map(|id| id.to_string()),
        record_serial: prepared.record_serial,
        problems: prepared.problems.to_vec(),
        filter,
    };
    let written = report::write_whole(path, FileKind::SavedPlan, |mut out| {
        report::saved_json(&mut out, prepared.view(), &saved)
    });
    written.with_context(|| not_saved(path))?;
    Ok(())
}

/// A saved plan that is to be applied.
pub(super) struct Saved {
    path: PathBuf,
    pub plan: SavedPlan,
}

impl Saved {
    /// Reads it.
    pub(super) fn read(path: &Path) -> Result<Self, CommandError> {
        let plan = open(path).and_then(saved::parse);
        let plan = plan.with_context(|| refused(path))?;
        Ok(Self {
            path: path.to_owned(),
            plan,
        })
    }

    /// Checks that configuration and record are those that it was made from.
    pub(super) async fn check(&self, config: &Config, record: &Record) -> Result<(), CommandError> {
        let standing = record.standing(&self.plan.id).await;
        let standing = standing.with_context(|| refused(&self.path))?;
        let id = standing.identity.map(|id| id.to_string());
        let basis = Basis {
            config_digest: config.digest.to_string(),
            record: id.as_deref(),
            record_serial: standing.serial,
            applied_at: standing.applied_at,
        };
        Ok(self
            .plan
            .check(&basis)
            .with_context(|| refused(&self.path))?)
    }

    /// Checks that the plan that was made just now is the saved one, to the byte.
    pub(super) fn check_same(&self, prepared: &Prepared) -> Result<(), CommandError> {
        if prepared.roster.digest().to_string() != self.plan.roster_digest {
            return Err(self.stale(Stale::Roster));
        }
        let file = open(&self.path).with_context(|| refused(&self.path))?;
        let mut compare = BufWriter::new(Compare {
            with: file,
            is_same: true,
        });
        report::saved_json(&mut compare, prepared.view(), &self.plan)?;
        let compare = compare.into_inner().map_err(|error| error.into_error())?;
        if compare.ends_the_same()? {
            return Ok(());
        }
        Err(self.stale(Stale::Differs {
            saved: self.plan.rollcall.clone(),
            this: env!("CARGO_PKG_VERSION"),
        }))
    }

    /// That the record has changed while the plan was being looked at.
    pub(super) fn outrun(&self, serial: u64) -> CommandError {
        self.stale(Stale::Record {
            then: self.plan.record_serial,
            now: serial,
        })
    }

    fn stale(&self, why: Stale) -> CommandError {
        anyhow::Error::from(why).context(refused(&self.path)).into()
    }

    /// Checks that all of it would be done at this time too, by a plan that is made for now of the same part.
    pub(super) fn check_time(
        &self,
        prepared: &Prepared,
        current: &Prepared,
    ) -> Result<(), CommandError> {
        let is_same_roster = prepared.roster.digest() == current.roster.digest();
        if is_same_roster && current.plan.covers(&prepared.plan) {
            return Ok(());
        }
        Err(self.stale(Stale::Time {
            then: prepared.now,
            now: current.now,
        }))
    }

    /// Checks that what it triggers may be triggered at this time.
    pub(super) fn check_window(
        &self,
        prepared: &Prepared,
        now: Timestamp,
    ) -> Result<(), CommandError> {
        let Some(window) = &prepared.config.window else {
            return Ok(());
        };
        if prepared.plan.triggers() == 0 || window.closes_at(now).is_some() {
            return Ok(());
        }
        let opens = match window.opens_at(now) {
            Some(at) => format!("Apply it from {} on", at.strftime("%Y-%m-%dT%H:%M:%SZ")),
            None => "Apply it when the window opens".to_owned(),
        };
        Err(anyhow!(
            "It triggers, and the window for triggers is closed. {opens}, or plan again to do now what may be done now."
        )
        .context(refused(&self.path))
        .into())
    }

    /// How long ago it was saved, in words.
    pub(super) fn age(&self, now: Timestamp) -> String {
        let minutes = now.duration_since(self.plan.saved_at).as_mins();
        match minutes {
            ..1 => "less than a minute".to_owned(),
            1..120 => report::plural(minutes.unsigned_abs(), "minute"),
            120..2880 => report::plural(minutes.unsigned_abs() / 60, "hour"),
            _ => report::plural(minutes.unsigned_abs() / 1440, "day"),
        }
    }
}

fn refused(path: &Path) -> String {
    format!(
        "The saved plan {} is not applied, and nothing was sent",
        path.display()
    )
}

fn open(path: &Path) -> Result<BufReader<File>, SavedError> {
    let file = File::open(path).map_err(SavedError::Io)?;
    let about = file.metadata().map_err(SavedError::Io)?;
    // It is read twice, which a pipe cannot be.
    if !about.is_file() {
        let why = io::Error::other("it is not a regular file");
        return Err(SavedError::Io(why));
    }
    if about.len() > LARGEST {
        return Err(SavedError::TooLarge);
    }
    Ok(BufReader::with_capacity(1 << 16, file))
}

/// A writer that keeps nothing and compares what is written with what can be read.
struct Compare<R> {
    with: R,
    is_same: bool,
}

impl<R: Read> Compare<R> {
    /// Whether all that was written is all that there is to read.
    fn ends_the_same(mut self) -> io::Result<bool> {
        Ok(self.is_same && self.with.read(&mut [0])? == 0)
    }
}

impl<R: Read> Write for Compare<R> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let mut found = [0; 8192];
        for part in bytes.chunks(found.len()) {
            if !self.is_same {
                break;
            }
            let found = &mut found[..part.len()];
            self.is_same = match self.with.read_exact(found) {
                Ok(()) => found == part,
                Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => false,
                Err(error) => return Err(error),
            };
        }
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
