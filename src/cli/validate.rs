//! `rollcall validate`: reads everything; no network and no record.

use super::args::ValidateArgs;
use super::notices::count;
use super::{CommandError, Common, Exit, Session};
use crate::config::Problems;
use crate::report::thousands;

pub(super) async fn run(args: &ValidateArgs, common: &Common) -> Result<Exit, CommandError> {
    let Session { engine, output } = &Session::find(common)?;
    let config = engine.config();
    if !args.strict {
        output.warnings(&config.warnings, &config.files);
    }
    let roster = match args.no_sources {
        true => {
            engine.validate_rules().await?;
            None
        }
        false => Some(engine.validate().await?),
    };
    let found = roster.as_ref().map_or(&[][..], |roster| roster.warnings());
    match args.strict {
        false => output.warnings(found, &config.files),
        true if config.warnings.is_empty() && found.is_empty() => {}
        true => {
            return Err(CommandError::Problems(Box::new(Problems {
                list: [&config.warnings[..], found].concat(),
                files: config.files.clone(),
            })));
        }
    }
    output.result(|out| {
        let what = [
            count(config.automations.len(), "automation"),
            count(config.sources.len(), "source"),
            count(config.enrols.len(), "[[enrol]] block"),
        ];
        let what = what.join(", ");
        let Some(roster) = &roster else {
            return writeln!(
                out,
                "The configuration is valid: {what}. The rows of its sources were not read."
            );
        };
        let all = count(roster.sizes().iter().sum(), "enrolment");
        writeln!(out, "The configuration is valid: {what}, {all} in all.")?;
        let names = config.automations.iter().map(|of| of.name.as_str());
        let width = names.clone().map(str::len).max().unwrap_or(0);
        for (name, size) in names.zip(roster.sizes()) {
            writeln!(out, "  {name:<width$}  {}", thousands(*size as u64))?;
        }
        Ok(())
    })?;
    Ok(Exit::Fine)
}
