//! The `rollcall` command: arguments, logging, one command, exit code.

use std::process::ExitCode;

use clap::Parser;
use rollcall::cli::{self, Cli, Exit};

fn main() -> ExitCode {
    let cli = match Cli::try_parse() {
        Ok(cli) => cli,
        Err(error) => {
            let exit = if error.use_stderr() {
                Exit::Error
            } else {
                Exit::Fine
            };
            // Where it cannot be printed, the exit code says it.
            let _ = error.print();
            return exit.into();
        }
    };
    cli::log(&cli.common);
    let runtime = match tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
    {
        Ok(runtime) => runtime,
        Err(error) => {
            eprintln!("error: the system gives no threads to work with: {error}");
            return Exit::Error.into();
        }
    };
    runtime.block_on(cli::run(cli)).into()
}
