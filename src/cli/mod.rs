//! What a person types: one file per command. Each calls the engine, asks, prints, and decides nothing.

mod adopt;
mod against;
mod apply;
mod args;
mod automations;
mod complete;
mod completions;
mod discreet;
mod explain;
mod help;
mod history;
mod init;
mod log;
mod man;
mod metrics;
mod next;
mod notices;
mod notify;
mod output;
mod plan;
mod record;
mod report;
mod reported;
mod resolve;
mod roster;
mod sandbox;
mod schema;
mod signals;
mod simulate;
mod validate;

pub use args::{Cli, Command, Common};
pub use complete::complete;
pub use help::command as command_line;
pub use log::log;

use std::path::Path;
use std::process::ExitCode;

use anyhow::Context;

use crate::config::{self, Config, Problems};
use crate::engine::{self, Clock, Engine, Event};
use crate::record::Writing;
use crate::spotler::Credentials;
use args::RecordCommand;
use next::After;
use output::Output;
use signals::Signals;

/// The exit codes of `product.md`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Exit {
    /// Fine.
    Fine = 0,
    /// An error; nothing was done.
    Error = 1,
    /// Changes are pending (`plan --detailed-exitcode`).
    Pending = 2,
    /// `apply` ran, and some actions failed or are uncertain, or a call of an earlier run is in doubt.
    Incomplete = 3,
    /// `apply` was refused by a guard; nothing was done.
    Refused = 4,
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> Self {
        ExitCode::from(exit as u8)
    }
}

/// What a command says when it cannot do its work.
#[derive(Debug, thiserror::Error)]
pub enum CommandError {
    /// The configuration or its sources are not right.
    #[error("the configuration is not valid")]
    Problems(Box<Problems>),
    /// Anything else, as whole sentences.
    #[error("{0:#}")]
    Other(#[from] anyhow::Error),
}

impl CommandError {
    /// The same, of a run that has written already what it found of an earlier one.
    fn after_recovery(self) -> Self {
        match self {
            CommandError::Other(error) => {
                let text = format!("{error:#}");
                let text = text.replace("nothing was written", "nothing more was written");
                CommandError::Other(anyhow::Error::msg(text))
            }
            problems => problems,
        }
    }
}

impl<E> From<E> for CommandError
where
    engine::Error: From<E>,
{
    fn from(error: E) -> Self {
        match engine::Error::from(error) {
            engine::Error::Problems(problems) => CommandError::Problems(problems),
            error => CommandError::Other(error.into()),
        }
    }
}

/// What most commands begin with.
struct Session {
    output: Output,
    engine: Engine,
}

impl Session {
    /// Finds, reads and checks the configuration, and shows its warnings.
    fn begin(common: &Common) -> Result<Self, CommandError> {
        let session = Self::find(common)?;
        let config = session.engine.config();
        session.output.warnings(&config.warnings, &config.files);
        Ok(session)
    }

    /// The same, without its warnings.
    fn find(common: &Common) -> Result<Self, CommandError> {
        let here = std::env::current_dir().context("The current folder cannot be found")?;
        let file = config::find(common.config.as_deref(), &here).map_err(anyhow::Error::from)?;
        Self::of(&file, common)
    }

    /// Reads and checks a configuration. It lives as long as the process, which reads one and ends.
    fn of(file: &Path, common: &Common) -> Result<Self, CommandError> {
        let output = Output::new(common);
        let config: &'static Config = Box::leak(Box::new(config::load(file)?));
        let clock = Clock {
            pinned: common.now,
            ..Clock::system()
        };
        let credentials = || Credentials::from_env(|name| std::env::var(name).ok());
        let tell = move |event: Event<'_>| notices::event(&event, config, output);
        let engine = Engine::new(config, clock, credentials, tell);
        Ok(Self { output, engine })
    }
}

/// Does something under the lock of the record that is not given up in the middle, and gives the lock back.
async fn under_lock<T>(
    writing: Writing,
    signals: &Signals,
    work: impl AsyncFnOnce(&Writing) -> Result<T, engine::Error>,
) -> Result<T, CommandError> {
    let done = match signals.begin() {
        Ok(()) => work(&writing).await.map_err(CommandError::from),
        Err(error) => Err(error),
    };
    let ended = writing.end().await;
    let done = done?;
    ended?;
    Ok(done)
}

/// Runs the command that was typed.
pub async fn run(cli: Cli) -> Exit {
    let output = Output::new(&cli.common);
    let result = command(&cli.command, &cli.common).await;
    result.map_or_else(
        |error| {
            output.error(&error);
            output.next(&cli.common, After::Error(&error));
            Exit::Error
        },
        |exit| {
            output.next(&cli.common, After::Command(&cli.command, exit));
            exit
        },
    )
}

async fn command(command: &Command, common: &Common) -> Result<Exit, CommandError> {
    match command {
        Command::Init(args) => init::run(args, common).await,
        Command::Validate(args) => validate::run(args, common).await,
        Command::Plan(args) => plan::run(args, common).await,
        Command::Apply(args) => apply::run(args, common, &Signals::listen()?).await,
        Command::Explain(args) => explain::run(args, common).await,
        Command::Roster(args) => roster::run(args, common).await,
        Command::Simulate(args) => simulate::run(args, common).await,
        Command::Adopt(args) => {
            guarded(async |signals| adopt::run(args, common, signals).await).await
        }
        Command::Resolve(args) => {
            guarded(async |signals| resolve::run(args, common, signals).await).await
        }
        Command::History(args) => history::run(args, common).await,
        Command::Automations(args) => automations::run(args, common).await,
        Command::Report(args) => report::run(args, common).await,
        Command::Record(RecordCommand::List(args)) => record::list(args, common).await,
        Command::Record(RecordCommand::Show(args)) => record::show(args, common).await,
        Command::Record(RecordCommand::Export(args)) => record::export(args, common).await,
        Command::Record(RecordCommand::Forget(args)) => {
            guarded(async |signals| record::forget(args, common, signals).await).await
        }
        Command::Record(RecordCommand::Accept(args)) => {
            guarded(async |signals| record::accept(args, common, signals).await).await
        }
        Command::Record(RecordCommand::Move(args)) => {
            guarded(async |signals| record::moving(args, common, signals).await).await
        }
        Command::Record(RecordCommand::Unlock(args)) => {
            guarded(async |signals| record::unlock(args, common, signals).await).await
        }
        Command::Sandbox(args) => sandbox::run(args, common).await,
        Command::Schema => schema::run(common),
        Command::Completions(args) => completions::run(args, common),
        Command::Man(args) => man::run(args, common),
    }
}

/// Runs a command that writes, which a signal gives up as long as nothing has begun.
async fn guarded(
    command: impl AsyncFnOnce(&Signals) -> Result<Exit, CommandError>,
) -> Result<Exit, CommandError> {
    let signals = Signals::listen()?;
    signals.guard(command(&signals)).await
}
