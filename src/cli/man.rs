//! `rollcall man`: the manual pages.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use anyhow::Context;
use clap::CommandFactory;
use clap_mangen::Man;

use super::args::ManArgs;
use super::output::Output;
use super::{Cli, CommandError, Common, Exit};

pub(super) fn run(args: &ManArgs, common: &Common) -> Result<Exit, CommandError> {
    let output = Output::new(common);
    let mut command = Cli::command().disable_help_subcommand(true);
    command.build();
    let Some(dir) = &args.dir else {
        output.result(|mut out| page(&command).render(&mut out))?;
        return Ok(Exit::Fine);
    };
    let mut written = Vec::new();
    fs::create_dir_all(dir)
        .and_then(|()| pages(&command, dir, &mut written))
        .with_context(|| format!("The manual pages cannot be written to {}.", dir.display()))?;
    output.result(|out| {
        written
            .iter()
            .try_for_each(|path| writeln!(out, "wrote {}", path.display()))
    })?;
    Ok(Exit::Fine)
}

fn page(command: &clap::Command) -> Man {
    Man::new(command.clone())
        // Without a date, what follows it would be taken for one.
        .date(" ")
        .source(concat!("rollcall ", env!("CARGO_PKG_VERSION")))
        .manual("Rollcall")
}

/// Writes the page of a command, and those of the commands below it.
fn pages(command: &clap::Command, dir: &Path, written: &mut Vec<PathBuf>) -> io::Result<()> {
    written.push(page(command).generate_to(dir)?);
    command
        .get_subcommands()
        .try_for_each(|command| pages(command, dir, written))
}
