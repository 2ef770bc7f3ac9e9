//! `rollcall completions`: what a shell completes.

use clap::CommandFactory;

use super::args::CompletionsArgs;
use super::output::Output;
use super::{Cli, CommandError, Common, Exit};

pub(super) fn run(args: &CompletionsArgs, common: &Common) -> Result<Exit, CommandError> {
    // Into memory first: the generator panics where it cannot write.
    let mut script = Vec::new();
    clap_complete::generate(args.shell, &mut Cli::command(), "rollcall", &mut script);
    Output::new(common).result(|out| out.write_all(&script))?;
    Ok(Exit::Fine)
}
