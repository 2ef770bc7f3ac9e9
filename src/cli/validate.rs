//! `rollcall validate`: reads everything; no network and no record.

use comfy_table::{CellAlignment, Table};

use super::args::ValidateArgs;
use super::notices::count;
use super::{CommandError, Common, Exit, Session};
use crate::config::Problems;
use crate::engine;
use crate::report::{ADDED, PLAIN_TABLE, SafeText, thousands};

pub(super) async fn run(args: &ValidateArgs, common: &Common) -> Result<Exit, CommandError> {
    let Session { engine, output } = &Session::find(common)?;
    let config = engine.config();
    let strict = |problems: Vec<_>| if args.strict { problems } else { Vec::new() };
    if !args.strict {
        output.warnings(&config.warnings, &config.files);
    }
    let read = async {
        if args.no_sources {
            engine.validate_rules().await?;
            return Ok((None, Vec::new()));
        }
        let roster = engine.validate().await?;
        let unmet = engine.unmet(&roster).await?;
        Ok((Some(roster), unmet))
    };
    let (roster, unmet) = match read.await {
        Err(engine::Error::Problems(mut problems)) => {
            problems.list.splice(..0, strict(config.warnings.clone()));
            return Err(CommandError::Problems(problems));
        }
        read => read?,
    };
    let found = roster.as_ref().map_or(&[][..], |roster| roster.warnings());
    if !args.strict {
        output.warnings(found, &config.files);
    }
    let list = [strict([&config.warnings, found].concat()), unmet].concat();
    if !list.is_empty() {
        return Err(CommandError::Problems(Box::new(Problems {
            list,
            files: config.files.clone(),
        })));
    }
    output.lines(|out| {
        let what = [
            count(config.automations.len(), "automation"),
            count(config.sources.len(), "source"),
            count(config.enrols.len(), "[[enrol]] block"),
        ];
        let what = what.join(", ");
        let Some(roster) = &roster else {
            return writeln!(
                out,
                "{ADDED}The configuration is valid:{ADDED:#} {what}. The rows of its sources were not read."
            );
        };
        let all = count(roster.sizes().iter().sum(), "enrolment");
        writeln!(out, "{ADDED}The configuration is valid:{ADDED:#} {what}, {all} in all.")?;
        let names = config.automations.iter().map(|of| of.name.as_str());
        let mut table = Table::new();
        table.load_style(PLAIN_TABLE);
        table.set_header(["automation", "enrolments"]);
        for (name, size) in names.zip(roster.sizes()) {
            table.add_row([SafeText(name).to_string(), thousands(*size as u64)]);
        }
        if let Some(sizes) = table.column_mut(1) {
            sizes.set_cell_alignment(CellAlignment::Right);
        }
        writeln!(out)?;
        let mut lines = table.lines();
        lines.try_for_each(|line| writeln!(out, "{}", line.trim_end()))
    })?;
    Ok(Exit::Fine)
}
