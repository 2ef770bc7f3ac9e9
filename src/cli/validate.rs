//! `rollcall validate`: reads everything; no network and no record.

use super::notices::count;
use super::{CommandError, Common, Exit, Session};
use crate::report::thousands;

pub(super) async fn run(common: &Common) -> Result<Exit, CommandError> {
    let Session { engine, output } = &Session::begin(common)?;
    let (config, roster) = (engine.config(), engine.validate().await?);
    output.warnings(roster.warnings(), &config.files);
    output.result(|out| {
        writeln!(
            out,
            "The configuration is right: {}, {}, {}, {} in all.",
            count(config.automations.len(), "automation"),
            count(config.sources.len(), "source"),
            count(config.enrols.len(), "[[enrol]] block"),
            count(roster.len(), "enrolment"),
        )?;
        let names = config.automations.iter().map(|of| of.name.as_str());
        let width = names.clone().map(str::len).max().unwrap_or(0);
        for (name, size) in names.zip(roster.sizes()) {
            writeln!(out, "  {name:<width$}  {}", thousands(*size as u64))?;
        }
        Ok(())
    })?;
    Ok(Exit::Fine)
}
