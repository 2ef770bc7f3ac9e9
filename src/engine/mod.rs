//! The verbs as a library without a terminal: validate, plan, apply, adopt, resolve, forget.
//!
//! An [`Engine`] takes a configuration, a clock and the credentials. Its verbs return values, and what happens on the way is
//! emitted as [`Event`]s. Nothing here prints, asks, or knows an exit code: what a person has to be asked lies between two
//! calls. So [`Engine::plan`] returns a plan to look at, [`Engine::begin`] takes the lock of the record, [`Applying::plan_again`]
//! makes the plan anew under the lock and says whether it is another one, and [`Applying::send`] carries it out.
//!
//! On a tokio runtime of several threads, what takes its time is done beside the rest. On one of a single thread all is done on
//! that thread: nothing in it depends on the system then but the files that are read.

mod adopt;
mod against;
mod apply;
mod error;
mod explain;
mod forget;
mod git;
mod identity;
mod line;
mod lock;
mod names;
mod plan;
mod recorded;
mod resolve;
mod saved;
mod sources;
mod trial;

pub use adopt::Adoption;
pub use against::{Change, Comparison};
pub use apply::{ApplyOptions, Applying};
pub use error::{Error, NotApplied};
pub use explain::Explained;
pub use forget::Remembered;
pub use git::GitError;
pub use identity::{Beginning, Checked};
pub use line::sandbox_triggers;
pub use plan::{Planned, Scope};
pub use resolve::Uncertain;
pub use saved::Saved;
pub use trial::{Exports, TrialOptions, trial};

pub use crate::clock::Clock;

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, LazyLock};

use jiff::Timestamp;

use crate::apply::Caller;
use crate::config::{self, Config};
use crate::id::RecordId;
use crate::record::{LeftOpen, Record};
use crate::spotler::{Credentials, CredentialsError};

/// What is worth telling while a verb is at work.
#[derive(Debug)]
pub enum Event<'a> {
    /// There was no record, and this one was begun.
    Begun(RecordId),
    /// An earlier run ended early while these calls were under way; they are in doubt.
    LeftOpen(&'a [LeftOpen]),
}

type Found = Result<Credentials, CredentialsError>;

/// The verbs on one configuration and its record.
pub struct Engine {
    config: &'static Config,
    record: Record,
    /// Stands in for Spotler, where something does.
    spotler: Option<Arc<dyn Caller>>,
    /// Whether it only tries what would be: who asks why, and which revision it was, asks elsewhere.
    is_trial: bool,
    clock: Clock,
    /// Looked for once, and only where they are needed: what a file descriptor gives cannot be read again.
    credentials: LazyLock<Found, Box<dyn FnOnce() -> Found + Send>>,
    tell: Box<dyn Fn(Event<'_>) + Send + Sync>,
    has_recovered: AtomicBool,
}

impl Engine {
    /// The configuration lives as long as the process: rosters, plans and the tasks that apply them point into it. `tell` gets
    /// what happens on the way.
    pub fn new(
        config: &'static Config,
        clock: Clock,
        credentials: impl FnOnce() -> Result<Credentials, CredentialsError> + Send + 'static,
        tell: impl Fn(Event<'_>) + Send + Sync + 'static,
    ) -> Self {
        Self {
            config,
            record: Record::of(&config.record.at).by(clock.clone()),
            spotler: None,
            is_trial: false,
            clock,
            credentials: LazyLock::new(Box::new(credentials)),
            tell: Box::new(tell),
            has_recovered: AtomicBool::new(false),
        }
    }

    /// The same with another record and another Spotler than the configuration names.
    #[must_use]
    pub fn with(self, record: Record, spotler: Arc<dyn Caller>) -> Self {
        Self {
            record,
            spotler: Some(spotler),
            ..self
        }
    }

    /// The configuration.
    pub fn config(&self) -> &'static Config {
        self.config
    }

    /// The record that the configuration names.
    pub fn record(&self) -> &Record {
        &self.record
    }

    /// The time to reckon with.
    pub fn now(&self) -> Timestamp {
        self.clock.pinned.unwrap_or_else(|| (self.clock.real)())
    }

    /// The real time.
    pub fn real_time(&self) -> Timestamp {
        (self.clock.real)()
    }

    /// Whether calls were found that an earlier run left open.
    pub fn has_recovered(&self) -> bool {
        self.has_recovered.load(Ordering::Relaxed)
    }

    fn emit(&self, event: Event<'_>) {
        if let Event::LeftOpen(_) = event {
            self.has_recovered.store(true, Ordering::Relaxed);
        }
        (self.tell)(event);
    }

    /// Checks that names which were asked for are configured. An automation that is on record and gone from the configuration
    /// has no name to plan by.
    ///
    /// # Errors
    /// The first that is not.
    pub fn check_names<'a>(
        &self,
        kind: &'static str,
        names: impl IntoIterator<Item = &'a str>,
    ) -> Result<(), Error> {
        let config = self.config;
        let known: Vec<&str> = match kind {
            "source" => config.sources.iter().map(|s| s.name.as_str()).collect(),
            _ => config.automations.iter().map(|a| a.name.as_str()).collect(),
        };
        let unknown = names.into_iter().find(|name| !known.contains(name));
        unknown.map_or(Ok(()), |name| {
            let near = config::nearest(known, name).map(str::to_owned);
            Err(Error::Unknown(kind, name.to_owned(), near))
        })
    }
}
