//! Saved plans: exactly what was saved is applied, or nothing.

use std::fs::File;
use std::io::{self, BufReader, BufWriter, Read, Write};
use std::path::{Path, PathBuf};

use jiff::Timestamp;

use super::{Engine, Error, NotApplied, Planned, Scope};
use crate::id::AutomationName;
use crate::plan::Action;
use crate::plan::saved::{self, Basis, LARGEST, SavedError, SavedPlan, Stale};
use crate::report::{self, FileKind};

impl Planned {
    /// Saves it.
    ///
    /// # Errors
    /// Why it cannot be.
    pub async fn save(&self, path: &Path) -> Result<(), Error> {
        let saved = SavedPlan {
            id: uuid::Uuid::new_v4().to_string(),
            rollcall: env!("CARGO_PKG_VERSION").to_owned(),
            // The guard's day is reckoned from it when the plan is made again.
            saved_at: self.scope.clock,
            now: self.scope.now,
            config_digest: self.config.digest.to_string(),
            roster_digest: self.roster.digest().to_string(),
            record: self.record.id().map(|id| id.to_string()),
            record_serial: self.record_serial,
            problems: self.record.problems.clone(),
            filter: self.scope.filter.clone(),
        };
        let written = report::write_whole(path, FileKind::SavedPlan, |mut out| {
            report::saved_json(&mut out, self.view(), &saved)
        });
        written.map_err(|error| Error::NotSaved(path.to_owned(), error))
    }
}

/// A saved plan that is to be applied.
#[derive(Debug)]
pub struct Saved {
    path: PathBuf,
    pub(super) plan: SavedPlan,
}

impl Saved {
    /// Reads it.
    ///
    /// # Errors
    /// That it is none.
    pub fn read(path: &Path) -> Result<Self, Error> {
        let read = || Ok::<_, NotApplied>(saved::parse(open(path)?)?);
        let plan = read().map_err(|why| Error::NotApplied(path.to_owned(), Box::new(why)))?;
        let path = path.to_owned();
        Ok(Self { path, plan })
    }

    /// How long ago it was saved, in minutes.
    pub fn age_in_minutes(&self, now: Timestamp) -> u64 {
        let age = now.duration_since(self.plan.saved_at);
        u64::try_from(age.as_mins()).unwrap_or(0)
    }

    /// What it is of: that of which it was made.
    fn scope(&self, allow_shrink: &[String]) -> Scope {
        Scope {
            filter: self.plan.filter.clone(),
            allow_shrink: allow_shrink.to_vec(),
            now: self.plan.now,
            // Nothing was recorded since, so that no less is counted.
            clock: self.plan.saved_at,
        }
    }

    fn refuse(&self, why: impl Into<NotApplied>) -> Error {
        Error::NotApplied(self.path.clone(), Box::new(why.into()))
    }

    /// Checks that configuration and record are those that it was made from.
    pub(super) async fn check(&self, engine: &Engine) -> Result<(), Error> {
        let standing = engine.record().standing(&self.plan.id).await;
        let standing = standing.map_err(|error| self.refuse(error))?;
        let id = standing.identity.map(|id| id.to_string());
        let basis = Basis {
            config_digest: engine.config().digest.to_string(),
            record: id.as_deref(),
            record_serial: standing.serial,
            applied_at: standing.applied_at,
        };
        self.plan.check(&basis).map_err(|why| self.refuse(why))
    }

    /// Checks that the plan that was made just now is the saved one, to the byte.
    pub(super) fn check_same(&self, planned: &Planned) -> Result<(), Error> {
        if planned.roster.digest().to_string() != self.plan.roster_digest {
            return Err(self.refuse(Stale::Roster));
        }
        let compare = || {
            let mut compare = BufWriter::new(Compare {
                with: open(&self.path)?,
                is_same: true,
            });
            report::saved_json(&mut compare, planned.view(), &self.plan)?;
            let compare = compare.into_inner().map_err(|error| error.into_error())?;
            Ok(compare.ends_the_same()?)
        };
        let is_same = compare().map_err(|error: SavedError| self.refuse(error))?;
        if is_same {
            return Ok(());
        }
        Err(self.refuse(Stale::Differs {
            saved: self.plan.rollcall.clone(),
            this: env!("CARGO_PKG_VERSION"),
        }))
    }

    /// That the record has changed while the plan was being looked at.
    pub(super) fn outrun(&self, serial: u64) -> Error {
        self.refuse(Stale::Record {
            then: self.plan.record_serial,
            now: serial,
        })
    }

    /// Checks that no freeze holds of what it does now.
    fn check_freezes(&self, planned: &Planned, now: Timestamp) -> Result<(), Error> {
        let config = planned.config;
        if config.freezes_at(now).next().is_none() {
            return Ok(());
        }
        let place = |name: &AutomationName| {
            let mut automations = config.automations.iter();
            automations.position(|automation| automation.name == *name)
        };
        let actions = planned.plan.actions.iter();
        let actions = actions.filter(|action| !action.is_of_suppressed());
        let of_actions = actions.map(|action| match action {
            Action::Trigger(trigger) => {
                let enrolment = planned.roster.get(trigger.enrolment as usize);
                (Some(enrolment.automation), false)
            }
            Action::Stop(stop) => (place(&stop.participation.key.automation), true),
        });
        let let_go = planned.plan.let_go.iter();
        let let_go = let_go.map(|of| (place(&of.participation.key.automation), true));
        let mut all = of_actions.chain(let_go);
        match all.find_map(|(automation, stops)| config.frozen(automation, stops, now)) {
            None => Ok(()),
            Some(frozen) => Err(self.refuse(NotApplied::Frozen(frozen.freeze.why(&config.zone)))),
        }
    }

    /// Checks that what it triggers may be triggered now.
    fn check_window(&self, planned: &Planned, now: Timestamp) -> Result<(), Error> {
        let window = planned.config.window.as_ref();
        let closed = window.filter(|window| window.closes_at(now).is_none());
        let keeps_to_it = |action: &Action| match action {
            Action::Trigger(trigger) => !trigger.is_of_service(planned.config, &planned.roster),
            Action::Stop(_) => false,
        };
        match closed.filter(|_| planned.plan.actions.iter().any(keeps_to_it)) {
            None => Ok(()),
            Some(window) => Err(self.refuse(NotApplied::WindowClosed(window.opens_at(now)))),
        }
    }
}

impl Engine {
    /// Makes the plan of a saved one again, and checks that it comes out the same, and that all of it would be done now too.
    ///
    /// # Errors
    /// Why the saved plan is not applied.
    pub async fn plan_again(
        &self,
        saved: &Saved,
        allow_shrink: &[String],
    ) -> Result<Planned, Error> {
        saved.check(self).await?;
        let planned = self.plan(saved.scope(allow_shrink)).await?;
        saved.check_same(&planned)?;
        // Reading the sources once more also tells whether they have become too old meanwhile.
        let scope = self.scope(saved.plan.filter.clone(), allow_shrink);
        saved.check_window(&planned, scope.now)?;
        saved.check_freezes(&planned, scope.now)?;
        let current = self.plan(scope).await?;
        let is_same_roster = planned.roster.digest() == current.roster.digest();
        let (now, then) = (&current.plan, &planned.plan);
        let does_the_same =
            now.covers(then) && now.ends_the_same(then) && now.merges == then.merges;
        if !is_same_roster || !does_the_same {
            return Err(saved.refuse(Stale::Time {
                then: planned.scope.now,
                now: current.scope.now,
            }));
        }
        Ok(planned)
    }
}

fn open(path: &Path) -> Result<BufReader<File>, SavedError> {
    let file = File::open(path)?;
    let about = file.metadata()?;
    // It is read twice, which a pipe cannot be.
    if !about.is_file() {
        return Err(io::Error::other("it is not a regular file").into());
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
