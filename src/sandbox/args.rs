//! The command `rollcall sandbox`.

use std::io::Write;
use std::net::SocketAddr;
use std::path::PathBuf;

use clap::Args;

use super::fault::{Rule, from_short};
use super::server::{Options, start};
use super::world::Trigger;
use super::{SANDBOX_KEY, SANDBOX_SECRET};

/// The options of `rollcall sandbox`.
#[derive(Debug, Args)]
pub struct SandboxArgs {
    /// Where to listen; on loopback only
    #[arg(long, value_name = "ADDRESS", default_value = "127.0.0.1:8025")]
    pub listen: SocketAddr,
    /// Remember in this file what was carried out [default: forget at the end]
    #[arg(long, value_name = "FILE")]
    pub memory: Option<PathBuf>,
    /// Do something wrong, such as slow=200, limit=2:5%, unavailable, error-before, error-after, reset-before,
    /// reset-after:1%, cut, html, truncated, wrong-types, unknown-result, number-id, enormous, hang-before, hang-after,
    /// revoked
    #[arg(long = "fault", value_name = "FAULT[:SHARE]", value_parser = parse_fault)]
    pub faults: Vec<Rule>,
    /// What decides when something goes wrong
    #[arg(long, value_name = "NUMBER", default_value_t = 0)]
    pub seed: u64,
    /// A contact that is not known; all others are
    #[arg(long, value_name = "ID")]
    pub unknown_contact: Vec<String>,
    /// A trigger code whose automation is inactive
    #[arg(long, value_name = "CODE")]
    pub inactive: Vec<String>,
    /// Take any trigger code, whatever the configuration says
    #[arg(long)]
    pub any_trigger: bool,
}

fn parse_fault(text: &str) -> Result<Rule, String> {
    from_short(text).ok_or_else(|| "write it as html, slow=200 or reset-after:5%".to_owned())
}

/// Why the sandbox does not run.
#[derive(Debug, thiserror::Error)]
pub enum SandboxError {
    /// It cannot listen, or not remember.
    #[error("The sandbox cannot start on {listen}: {error}.")]
    Start {
        /// Where.
        listen: SocketAddr,
        /// What the system says.
        error: std::io::Error,
    },
    /// Standard output is gone.
    #[error("The sandbox cannot say where it listens: {0}.")]
    Output(#[from] std::io::Error),
}

/// Runs a sandbox until Ctrl-C or SIGTERM. `triggers` are those of the configuration, if there is one.
///
/// # Errors
/// Why it does not run.
pub async fn serve(
    args: &SandboxArgs,
    mut triggers: Vec<Trigger>,
    interrupted: impl Future<Output = ()>,
) -> Result<(), SandboxError> {
    for trigger in &mut triggers {
        if args.inactive.contains(&trigger.code) {
            for publication in &mut trigger.publications {
                publication.active = false;
            }
        }
    }
    if args.any_trigger {
        triggers.clear();
    }
    let env =
        |name: &str, default: &str| std::env::var(name).unwrap_or_else(|_| default.to_owned());
    let is_built_in = std::env::var_os("SPOTLER_CONSUMER_KEY").is_none();
    let count = triggers.len();
    let options = Options {
        listen: args.listen,
        triggers,
        key: env("SPOTLER_CONSUMER_KEY", SANDBOX_KEY),
        secret: env("SPOTLER_CONSUMER_SECRET", SANDBOX_SECRET),
        memory: args.memory.clone(),
        faults: args.faults.clone(),
        seed: args.seed,
        unknown_contacts: args.unknown_contact.clone(),
    };
    let running = start(options).await.map_err(|error| SandboxError::Start {
        listen: args.listen,
        error,
    })?;
    {
        let mut out = std::io::stdout().lock();
        writeln!(out, "base_url = \"{}\"", running.base_url())?;
        match count {
            0 => writeln!(out, "any trigger code is an active automation")?,
            count => writeln!(out, "{count} automations, as configured")?,
        }
        if is_built_in {
            writeln!(
                out,
                "SPOTLER_CONSUMER_KEY={SANDBOX_KEY} SPOTLER_CONSUMER_SECRET={SANDBOX_SECRET}"
            )?;
        }
        writeln!(out, "ledger: http://{}/_sandbox/ledger", running.address())?;
        out.flush()?;
    }
    interrupted.await;
    running.shutdown().await;
    Ok(())
}
