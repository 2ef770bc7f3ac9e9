//! `rollcall man`: the manual pages.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use anyhow::Context;
use clap_mangen::Man;

use super::args::ManArgs;
use super::help;
use super::output::Output;
use super::{CommandError, Common, Exit};

pub(super) fn run(args: &ManArgs, common: &Common) -> Result<Exit, CommandError> {
    let output = Output::new(common);
    let mut command = help::command().disable_help_subcommand(true);
    command.build();
    let Some(dir) = &args.dir else {
        output.result(|out| out.write_all(&page(&command)?))?;
        return Ok(Exit::Fine);
    };
    let mut written = Vec::new();
    fs::create_dir_all(dir)
        .and_then(|()| pages(&command, dir, &mut written))
        .with_context(|| format!("The manual pages cannot be written to {}", dir.display()))?;
    output.result(|out| {
        written
            .iter()
            .try_for_each(|path| writeln!(out, "wrote {}", path.display()))
    })?;
    Ok(Exit::Fine)
}

fn page(command: &clap::Command) -> io::Result<Vec<u8>> {
    let mut page = Vec::new();
    man(command).render(&mut page)?;
    let path = command.get_bin_name().unwrap_or_default();
    let path = path.strip_prefix("rollcall").unwrap_or(path).trim_start();
    let Some(examples) = help::examples(path) else {
        return Ok(page);
    };
    let examples = examples.replace('\\', "\\e").replace('-', "\\-");
    let examples = format!("\n.SH EXAMPLES\n.nf\n{examples}.fi\n.SH OPTIONS\n");
    let page = String::from_utf8_lossy(&page);
    Ok(page.replacen("\n.SH OPTIONS\n", &examples, 1).into_bytes())
}

fn man(command: &clap::Command) -> Man {
    Man::new(command.clone())
        // Without a date, what follows it would be taken for one.
        .date(" ")
        .source(concat!("rollcall ", env!("CARGO_PKG_VERSION")))
        .manual("Rollcall")
}

/// Writes the page of a command, and those of the commands below it.
fn pages(command: &clap::Command, dir: &Path, written: &mut Vec<PathBuf>) -> io::Result<()> {
    let path = dir.join(man(command).get_filename());
    fs::write(&path, page(command)?)?;
    written.push(path);
    command
        .get_subcommands()
        .try_for_each(|command| pages(command, dir, written))
}
