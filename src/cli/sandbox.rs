//! `rollcall sandbox`: the stand-in for Spotler as a server on loopback.

use super::output::Output;
use super::{CommandError, Common, Exit, prepare, signals};
use crate::config;
use crate::sandbox::{self, SandboxArgs};

pub(super) async fn run(args: &SandboxArgs, common: &Common) -> Result<Exit, CommandError> {
    let output = Output::new(common);
    let here = std::env::current_dir()?;
    // A configuration is welcome, and needed only where it is named.
    let is_there = common.config.is_some() || config::find(None, &here).is_ok();
    let triggers = if is_there && !args.any_trigger {
        prepare::triggers(prepare::config(common, &output)?)
    } else {
        Vec::new()
    };
    sandbox::serve(args, triggers, signals::any())
        .await
        .map_err(anyhow::Error::from)?;
    Ok(Exit::Fine)
}
