//! `rollcall record accept`: a person says that this is the record to go on with.

use std::time::Duration;

use anyhow::anyhow;

use crate::cli::args::RecordAcceptArgs;
use crate::cli::signals::Signals;
use crate::cli::{CommandError, Common, Exit, Session};
use crate::record::{Doubt, Purpose};
use crate::report::SafeText;

pub(crate) async fn accept(
    args: &RecordAcceptArgs,
    common: &Common,
    signals: &Signals,
) -> Result<Exit, CommandError> {
    let Session { engine, output } = &Session::begin(common)?;
    let checked = engine.check().await?;
    let (path, doubts) = (engine.config().record_shown(), checked.doubts());
    let Some(id) = checked.id() else {
        return Err(anyhow!(
            "There is no record at {path}, so there is nothing to accept. Put it back, or correct `[record] url`. On the \
             first day, begin a new record: rollcall apply --new-record"
        )
        .into());
    };
    if doubts.is_empty() {
        output.result(|out| writeln!(out, "Nothing speaks against the record {id}."))?;
        return Ok(Exit::Fine);
    }
    if !doubts.iter().all(Doubt::can_be_accepted) {
        checked.refuse("Nothing was accepted.")?;
    }
    output.result(|out| {
        writeln!(out, "The record {path} ({id}):")?;
        for doubt in doubts {
            writeln!(out, "- {}", SafeText(&doubt.to_string()))?;
        }
        if doubts.iter().any(Doubt::may_miss_people) {
            writeln!(
                out,
                "In the logs of the runs or in Spotler, find out who was triggered since, and adopt each of them before the \
                 next apply: rollcall adopt --contact ID"
            )?;
        }
        writeln!(out, "If you accept it, the next apply uses this record.")
    })?;
    output.ask("Accept this record?", args.yes).await?;
    signals.begin()?;
    let purpose = Purpose::Accept(doubts.to_vec());
    let writing = engine.write("record accept", Duration::ZERO, purpose, false);
    writing.await?.end().await?;
    output.result(|out| {
        writeln!(
            out,
            "Accepted. Look at `rollcall plan` before the next apply."
        )
    })?;
    Ok(Exit::Fine)
}
