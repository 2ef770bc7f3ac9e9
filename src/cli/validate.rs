//! `rollcall validate`: reads everything; no network and no record.

use super::output::Output;
use super::{CommandError, Common, Exit, prepare};
use crate::report::{plural, thousands};

pub(super) async fn run(common: &Common) -> Result<Exit, CommandError> {
    let output = Output::new(common);
    let config = prepare::config(common, &output)?;
    let now = prepare::now(common);
    let roster = prepare::check(config, now).await?;
    output.warnings(roster.warnings(), &config.files);
    output.result(|out| {
        writeln!(
            out,
            "The configuration is right: {}, {}, {}, {} in all.",
            plural(config.automations.len() as u64, "automation"),
            plural(config.sources.len() as u64, "source"),
            plural(config.enrols.len() as u64, "[[enrol]] block"),
            plural(roster.len() as u64, "enrolment"),
        )?;
        let sizes = roster.sizes();
        let width = config
            .automations
            .iter()
            .map(|automation| automation.name.as_str().len())
            .max()
            .unwrap_or(0);
        for (automation, size) in config.automations.iter().zip(sizes) {
            writeln!(
                out,
                "  {:<width$}  {}",
                automation.name,
                thousands(*size as u64)
            )?;
        }
        Ok(())
    })?;
    Ok(Exit::Fine)
}
