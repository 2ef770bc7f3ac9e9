//! `rollcall record show`: which record it is, or all that is on record of one contact.

use crate::cli::args::{Format, RecordShowArgs};
use crate::cli::next::{self, After};
use crate::cli::{CommandError, Common, Exit, Session};
use crate::engine::Checked;
use crate::id::ContactId;
use crate::record::Call;
use crate::report::{
    CALL_TITLES, CALLS_YIELD, Columns, PARTICIPATION_TITLES, PARTICIPATIONS_YIELD, SafeText,
    call_json, call_row, participation_json, participation_row, plural, time,
};

pub(crate) async fn show(args: &RecordShowArgs, common: &Common) -> Result<Exit, CommandError> {
    let session = Session::begin(common)?;
    let checked = session.check_shown().await?;
    match &args.contact {
        Some(contact) => of_contact(contact, args.format, &session, &checked, common).await,
        None => of_record(args.format, &session, &checked).await,
    }?;
    Ok(Exit::Fine)
}

async fn of_contact(
    contact: &ContactId,
    format: Format,
    session: &Session,
    checked: &Checked,
    common: &Common,
) -> Result<(), CommandError> {
    let items = session.engine.participations(contact).await?;
    let calls = session.engine.record().calls(Some(contact)).await?;
    let calls: Vec<Call> = calls.collect::<Result<_, _>>()?;
    if format == Format::Json {
        return session.output.json(&serde_json::json!({
            "record": record_json(checked),
            "contact": contact,
            "participations": items.iter().map(participation_json).collect::<Vec<_>>(),
            "calls": calls.iter().map(call_json).collect::<Vec<_>>(),
        }));
    }
    let shown = SafeText(contact.as_str());
    session.output.lines(|out| {
        if items.is_empty() && calls.is_empty() {
            return writeln!(out, "Nothing is on record for {shown}.");
        }
        writeln!(out, "Participations of {shown}:")?;
        let columns = Columns::new(out, PARTICIPATION_TITLES);
        let mut columns = columns.within(session.output.width(), PARTICIPATIONS_YIELD);
        let mut rows = items.iter().map(participation_row);
        rows.try_for_each(|row| columns.row(row))?;
        columns.end()?;
        writeln!(out, "\nCalls:")?;
        let columns = Columns::new(out, CALL_TITLES);
        let mut columns = columns.within(session.output.width(), CALLS_YIELD);
        let mut rows = calls.iter().map(call_row);
        rows.try_for_each(|row| columns.row(row))?;
        columns.end()?;
        match checked.id() {
            Some(id) => writeln!(out, "\nThis is what the record {id} has."),
            None => Ok(()),
        }
    })?;
    if !items.is_empty() {
        let after = After::Shown(Some(contact), next::in_doubt(&items));
        session.output.next(common, after);
    }
    Ok(())
}

fn record_json(checked: &Checked) -> serde_json::Value {
    serde_json::json!({
        "id": checked.id().map(|id| id.to_string()),
        "problems": checked.problems,
    })
}

/// Shows which record it is.
async fn of_record(
    format: Format,
    session: &Session,
    checked: &Checked,
) -> Result<(), CommandError> {
    let path = session.engine.config().record_shown();
    let found = checked.examined.found.as_ref();
    let states = session.engine.record().states().await?;
    let running = states.iter().filter(|((_, state), _)| state.is_running());
    let running: u64 = running.map(|(_, count)| count).sum();
    let last_run = found.and_then(|found| found.last_run).map(time);
    if format == Format::Json {
        let mut record = record_json(checked);
        record["file"] = path.to_string().into();
        record["serial"] = found.map(|found| found.serial).into();
        record["running"] = running.into();
        record["last_run"] = last_run.into();
        return session
            .output
            .json(&serde_json::json!({ "record": record }));
    }
    session.output.lines(|out| {
        let Some(found) = found else {
            return writeln!(out, "There is no record at {path}.");
        };
        writeln!(out, "id        {}", found.id)?;
        writeln!(out, "file      {path}")?;
        writeln!(out, "serial    {}", found.serial)?;
        writeln!(out, "running   {}", plural(running, "participation"))?;
        match &last_run {
            Some(at) => writeln!(out, "last run  {at}"),
            None => Ok(()),
        }
    })
}
