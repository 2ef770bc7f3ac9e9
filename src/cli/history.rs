//! `rollcall history`: every call ever made.

use super::args::{Format, HistoryArgs};
use super::output::Output;
use super::record::{call_json, call_line, entry_lines};
use super::{CommandError, Common, Exit, prepare, which};
use crate::record::Record;
use crate::report::SafeText;

pub(super) async fn run(args: &HistoryArgs, common: &Common) -> Result<Exit, CommandError> {
    let output = Output::new(common);
    let config = prepare::config(common, &output)?;
    let record = Record::at(&config.record.path);
    which::warn(config, &record, &output)
        .await
        .map_err(anyhow::Error::from)?;
    let mut calls = Vec::new();
    record
        .calls(args.contact.as_ref(), |call| calls.push(call))
        .await
        .map_err(anyhow::Error::from)?;
    output.lines(args.format == Format::Text, |out| match args.format {
        Format::Text => {
            for call in &calls {
                // The contact stands where one was not asked for.
                match args.contact {
                    Some(_) => write!(out, "{}", call_line(call))?,
                    None => write!(out, "{}  {}", call_line(call), SafeText(&call.contact))?,
                }
                let digest = call.config_digest.as_deref().unwrap_or("-");
                write!(out, "  by {} (configuration {:.8}", call.command, digest)?;
                match &call.git_revision {
                    Some(revision) => writeln!(out, ", revision {revision:.8})")?,
                    None => writeln!(out, ")")?,
                }
                for line in entry_lines(call) {
                    writeln!(out, "  {line}")?;
                }
            }
            Ok(())
        }
        Format::Json => {
            let list: Vec<_> = calls.iter().map(call_json).collect();
            serde_json::to_writer_pretty(&mut *out, &serde_json::json!({ "calls": list }))?;
            writeln!(out)
        }
    })?;
    Ok(Exit::Fine)
}
