//! `rollcall record move`: carries the record to another place, and closes the old one for good.

use anyhow::anyhow;

use crate::cli::args::RecordMoveArgs;
use crate::cli::signals::Signals;
use crate::cli::{CommandError, Common, Exit, Session};
use crate::location::Location;
use crate::report::plural;

pub(crate) async fn moving(
    args: &RecordMoveArgs,
    common: &Common,
    signals: &Signals,
) -> Result<Exit, CommandError> {
    let Session { engine, output } = &Session::begin(common)?;
    let config = engine.config();
    let to = Location::typed(&args.url, &config.record.schema, &config.root).map_err(|error| {
        anyhow!("The record cannot be moved there: {error}. Nothing was changed.")
    })?;
    if to == config.record.at {
        return Err(anyhow!("The record is there already. Nothing was changed.").into());
    }
    let (from, shown) = (config.record_shown(), to.shown());
    let shown = shown.strip_prefix(&config.root).unwrap_or(&shown).display();
    // One that was closed by a move that was cut short cannot be looked at any more.
    if let Ok(checked) = engine.check().await {
        checked.refuse("Nothing was moved.")?;
    }
    output.result(|out| {
        writeln!(
            out,
            "To move the record from {from} to {shown}: everything is copied and compared, and then the old record is closed \
             for good. First end the runs that use it. Afterwards correct `[record] url`, everywhere at once."
        )
    })?;
    output.ask("Move it?", args.yes).await?;
    signals.begin()?;
    let carried = engine.carry(&to).await?;
    output.result(|out| {
        writeln!(
            out,
            "Moved the record {}: {}, the same in both (digest {}). Now correct `[record] url`; {from} is closed.",
            carried.id,
            plural(carried.rows, "row"),
            carried.digest
        )
    })?;
    Ok(Exit::Fine)
}
