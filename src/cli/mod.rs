//! What a person types: one file per command. Each calls and prints; none decides.

mod adopt;
mod apply;
mod args;
mod automations;
mod completions;
mod explain;
mod history;
mod init;
mod log;
mod man;
mod metrics;
mod output;
mod plan;
mod prepare;
mod record;
mod report;
mod resolve;
mod sandbox;
mod saved;
mod schema;
mod signals;
mod validate;
mod which;

pub use args::{Cli, Command, Common};
pub use log::log;

use std::process::ExitCode;

use args::RecordCommand;
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
    #[error("the configuration is not right")]
    Problems(Box<crate::config::Problems>),
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

impl From<crate::config::Problems> for CommandError {
    fn from(problems: crate::config::Problems) -> Self {
        CommandError::Problems(Box::new(problems))
    }
}

impl From<std::io::Error> for CommandError {
    fn from(error: std::io::Error) -> Self {
        CommandError::Other(error.into())
    }
}

/// Runs a command that writes, which a signal gives up as long as nothing has begun.
async fn writing(
    command: impl AsyncFnOnce(&Signals) -> Result<Exit, CommandError>,
) -> Result<Exit, CommandError> {
    let signals = Signals::listen()?;
    signals.guard(command(&signals)).await
}

/// Runs the command that was typed.
pub async fn run(cli: Cli) -> Exit {
    let common = &cli.common;
    let result = match &cli.command {
        Command::Init(args) => init::run(args, common).await,
        Command::Validate => validate::run(common).await,
        Command::Plan(args) => plan::run(args, common).await,
        Command::Apply(args) => match Signals::listen() {
            Ok(signals) => apply::run(args, common, &signals).await,
            Err(error) => Err(error),
        },
        Command::Explain(args) => explain::run(args, common).await,
        Command::Adopt(args) => {
            writing(async |signals| adopt::run(args, common, signals).await).await
        }
        Command::Resolve(args) => {
            writing(async |signals| resolve::run(args, common, signals).await).await
        }
        Command::History(args) => history::run(args, common).await,
        Command::Automations(args) => automations::run(args, common).await,
        Command::Report(args) => report::run(args, common).await,
        Command::Record(RecordCommand::List(args)) => record::list(args, common).await,
        Command::Record(RecordCommand::Show(args)) => record::show(args, common).await,
        Command::Record(RecordCommand::Export(args)) => record::export(args, common).await,
        Command::Record(RecordCommand::Forget(args)) => {
            writing(async |signals| record::forget(args, common, signals).await).await
        }
        Command::Record(RecordCommand::Accept(args)) => {
            writing(async |signals| record::accept(args, common, signals).await).await
        }
        Command::Record(RecordCommand::Unlock(args)) => {
            writing(async |signals| record::unlock(args, common, signals).await).await
        }
        Command::Sandbox(args) => sandbox::run(args, common).await,
        Command::Schema => schema::run(common),
        Command::Completions(args) => completions::run(args, common),
        Command::Man(args) => man::run(args, common),
    };
    result.unwrap_or_else(|error| {
        Output::new(common).error(&error);
        Exit::Error
    })
}
