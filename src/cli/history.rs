//! `rollcall history`: every call ever made.

use super::args::{Format, HistoryArgs};
use super::{CommandError, Common, Exit, Session};
use crate::report::{SafeText, call_json, call_line, entry_lines};

pub(super) async fn run(args: &HistoryArgs, common: &Common) -> Result<Exit, CommandError> {
    let session = Session::begin(common)?;
    session.check_shown().await?;
    let record = session.engine.record();
    let calls = record.calls(args.contact.as_ref()).await?;
    match args.format {
        Format::Text => session.output.lines(|out| {
            for call in calls {
                let call = call?;
                write!(out, "{}", call_line(&call))?;
                // The contact stands where one was not asked for.
                if args.contact.is_none() {
                    write!(out, "  {}", SafeText(&call.contact))?;
                }
                let digest = call.config_digest.as_deref().unwrap_or("-");
                write!(out, "  by {} (configuration {digest:.8}", call.command)?;
                match &call.git_revision {
                    Some(revision) => writeln!(out, ", revision {revision:.8})")?,
                    None => writeln!(out, ")")?,
                }
                for line in entry_lines(&call) {
                    writeln!(out, "  {line}")?;
                }
            }
            Ok(())
        }),
        Format::Json => {
            let json = calls.map(|call| Ok(serde_json::to_string_pretty(&call_json(&call?))?));
            session.output.json_list("calls", json)
        }
    }?;
    Ok(Exit::Fine)
}
