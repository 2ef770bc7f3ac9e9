//! `rollcall record list` and `rollcall record export`: participations.

use std::io::{self, IsTerminal};

use crate::cli::args::{ExportFormat, Format, RecordExportArgs, RecordListArgs, Which};
use crate::cli::next::{self, After};
use crate::cli::{CommandError, Common, Exit, Session};
use crate::engine;
use crate::id::{AutomationName, ContactId};
use crate::record::{Listed, Listing, RecordError, Selection};
use crate::report::{
    Columns, PARTICIPATION_COLUMNS, PARTICIPATION_TITLES, PARTICIPATIONS_YIELD,
    participation_cells, participation_json, participation_row,
};

pub(crate) async fn list(args: &RecordListArgs, common: &Common) -> Result<Exit, CommandError> {
    let session = Session::begin(common)?;
    let mut listing = select(&args.which, &session, args.format == Format::Json).await?;
    let limit = args.which.limit.unwrap_or(usize::MAX);
    match args.format {
        Format::Text => {
            let (mut count, mut in_doubt) = (0, false);
            session.output.lines(|out| {
                let columns = Columns::new(out, PARTICIPATION_TITLES);
                let mut columns = columns.within(session.output.width(), PARTICIPATIONS_YIELD);
                for listed in listing.by_ref().take(limit) {
                    let listed = listed?;
                    in_doubt |= next::in_doubt([&listed]);
                    columns.row(participation_row(&listed))?;
                    count += 1;
                }
                columns.end()
            })?;
            let has_more = listing.next().is_some();
            ended_shown(&session, "participation", count, has_more);
            if count > 0 {
                let contact = args.which.part.contact.as_ref();
                session.output.next(common, After::Shown(contact, in_doubt));
            }
        }
        Format::Json => document(&session, listing.take(limit))?,
    }
    Ok(Exit::Fine)
}

pub(crate) async fn export(args: &RecordExportArgs, common: &Common) -> Result<Exit, CommandError> {
    let session = Session::begin(common)?;
    let is_json = args.format == ExportFormat::Json;
    let listing = select(&args.which, &session, is_json).await?;
    let mut listing = listing.take(args.which.limit.unwrap_or(usize::MAX));
    match args.format {
        ExportFormat::Json => document(&session, listing),
        ExportFormat::Csv => session.output.result(|out| {
            let mut writer = csv::Writer::from_writer(out);
            writer.write_record(PARTICIPATION_COLUMNS)?;
            listing.try_for_each(|item| {
                Ok::<_, io::Error>(writer.write_record(participation_cells(&item?))?)
            })?;
            writer.flush()
        }),
    }?;
    Ok(Exit::Fine)
}

/// What was asked for, or why nobody can have meant that.
async fn select(which: &Which, session: &Session, is_json: bool) -> Result<Listing, CommandError> {
    session.check_shown().await?;
    let (part, engine) = (&which.part, &session.engine);
    check_asked(session, &part.automation, &part.contact, is_json).await?;
    let selection = Selection {
        contact: which.part.contact.clone(),
        automation: which.part.automation.clone(),
        state: which.state,
        since: which.since.map(|since| since.before(engine.now())),
    };
    Ok(engine.record().listing(selection).await?)
}

fn document(
    session: &Session,
    listing: impl Iterator<Item = Result<Listed, RecordError>>,
) -> Result<(), CommandError> {
    let json = |item| Ok(serde_json::to_string_pretty(&participation_json(&item?))?);
    session
        .output
        .json_list("participations", listing.map(json))
}

/// Checks that somebody has the names that were asked for. A program that asks for JSON gets an empty document, as ever, and
/// its person a warning.
pub(crate) async fn check_asked(
    session: &Session,
    automation: &Option<AutomationName>,
    contact: &Option<ContactId>,
    is_json: bool,
) -> Result<(), CommandError> {
    let check = async || {
        if let Some(name) = automation {
            session.engine.check_automation(name).await?;
        }
        if let Some(contact) = contact {
            session.engine.check_contact(contact).await?;
        }
        Ok(())
    };
    match check().await {
        Err(error @ (engine::Error::NoAutomation(..) | engine::Error::Nobody(..))) if is_json => {
            session.output.warn(|out| writeln!(out, "warning: {error}"));
            Ok(())
        }
        checked => Ok(checked?),
    }
}

/// Says that nothing was found, to a person alone: the mail of a cron job stays empty then; and that there is more.
pub(crate) fn ended_shown(session: &Session, what: &str, count: usize, has_more: bool) {
    if has_more {
        session.output.notice(|out| {
            writeln!(
                out,
                "There are more: raise --limit, or leave it out to see all."
            )
        });
    } else if count == 0 && io::stdout().is_terminal() {
        session
            .output
            .notice(|out| writeln!(out, "No {what} on record matches."));
    }
}
