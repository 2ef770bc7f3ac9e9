//! The `rollcall` command: arguments, logging, one command, exit code.

use std::io::Write;
use std::process::ExitCode;

use clap::FromArgMatches;
use clap::error::ErrorKind;
use rollcall::cli::{self, Cli, Exit};
use rollcall::text::SafeText;
use rollcall::{hardening, threads};
use tokio::runtime::{Builder, Runtime};

fn main() -> ExitCode {
    hardening::forbid_core_dumps();
    cli::complete();
    let parsed = cli::command_line().try_get_matches();
    let cli = match parsed.and_then(|matches| Cli::from_arg_matches(&matches)) {
        Ok(cli) => cli,
        Err(error) => {
            let exit = if error.use_stderr() {
                Exit::Error
            } else {
                Exit::Fine
            };
            // Where it cannot be printed, the exit code says it.
            let _ = print(&error);
            return exit.into();
        }
    };
    cli::log(&cli.common);
    let runtime = match runtime() {
        Ok(runtime) => runtime,
        Err(error) => {
            let _ = writeln!(
                std::io::stderr(),
                "error: The system does not give enough threads: {error}. Nothing was done. `ulimit -u` and the \
                 limits of the container set how many there may be."
            );
            return Exit::Error.into();
        }
    };
    let exit = runtime.block_on(cli::run(cli));
    // What a command gave up is not waited for.
    runtime.shutdown_background();
    exit.into()
}

/// Prints what clap says. An error repeats what was typed, which may hold anything.
fn print(error: &clap::Error) -> std::io::Result<()> {
    let is_help = error.kind() == ErrorKind::DisplayHelpOnMissingArgumentOrSubcommand;
    if !error.use_stderr() || is_help {
        return error.print();
    }
    let said = error.render().to_string();
    let lines = said.split('\n').map(|line| SafeText(line).to_string());
    let lines: Vec<String> = lines.collect();
    std::io::stderr().write_all(lines.join("\n").as_bytes())
}

fn runtime() -> std::io::Result<Runtime> {
    threads::check()?;
    Builder::new_multi_thread()
        .worker_threads(threads::workers())
        .enable_all()
        .build()
}
