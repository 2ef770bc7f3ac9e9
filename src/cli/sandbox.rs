//! `rollcall sandbox`: the stand-in for Spotler as a server on loopback.

use super::{CommandError, Common, Exit, Session, signals};
use crate::config;
use crate::engine::sandbox_triggers;
use crate::sandbox::{self, SandboxArgs};

pub(super) async fn run(args: &SandboxArgs, common: &Common) -> Result<Exit, CommandError> {
    let here = std::env::current_dir().map_err(anyhow::Error::from)?;
    // A configuration is welcome, and needed only where it is named.
    let is_there = common.config.is_some() || config::find(None, &here).is_ok();
    let triggers = match is_there && !args.any_trigger {
        true => sandbox_triggers(Session::begin(common)?.engine.config()),
        false => Vec::new(),
    };
    let served = sandbox::serve(args, triggers, signals::any()).await;
    served.map_err(anyhow::Error::from)?;
    Ok(Exit::Fine)
}
