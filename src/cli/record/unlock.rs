//! `rollcall record unlock`: takes the lock away from a holder that is gone without a trace, or that hangs.

use crate::cli::args::RecordUnlockArgs;
use crate::cli::signals::Signals;
use crate::cli::{CommandError, Common, Exit, Session};

pub(crate) async fn unlock(
    args: &RecordUnlockArgs,
    common: &Common,
    signals: &Signals,
) -> Result<Exit, CommandError> {
    let Session { engine, output } = &Session::begin(common)?;
    let Some(holder) = engine.record().holder().await? else {
        output.result(|out| writeln!(out, "The record is not locked."))?;
        return Ok(Exit::Fine);
    };
    let pid = holder.pid;
    output.result(|out| {
        writeln!(
            out,
            "{holder}\nIf that run is still alive, it notices before its next call and stops; its calls under way become \
             uncertain."
        )?;
        match holder.is_here() {
            true => writeln!(
                out,
                "It is a process of this host, and may still send its next calls. End it first if you can; then the next \
                 run takes over by itself: kill {pid}"
            ),
            false => Ok(()),
        }
    })?;
    output.ask("Remove the lock?", args.yes).await?;
    signals.begin()?;
    engine.record().unlock(&holder).await?;
    output.result(|out| match holder.is_here() {
        true => writeln!(
            out,
            "Unlocked. Process {pid} still exists, but writes nothing more; end it when you can: kill -9 {pid}"
        ),
        false => writeln!(out, "Unlocked."),
    })?;
    Ok(Exit::Fine)
}
