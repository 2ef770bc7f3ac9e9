//! `rollcall record list` and `rollcall record export`: participations.

use std::io;

use crate::cli::args::{ExportFormat, Format, RecordExportArgs, RecordListArgs};
use crate::cli::{CommandError, Common, Exit, Session};
use crate::record::{Listing, Selection};
use crate::report::{
    PARTICIPATION_COLUMNS, participation_cells, participation_json, participation_line,
};

pub(crate) async fn list(args: &RecordListArgs, common: &Common) -> Result<Exit, CommandError> {
    let session = Session::begin(common)?;
    let selection = Selection {
        contact: args.part.contact.clone(),
        automation: args.part.automation.clone(),
        state: args.state,
    };
    session.check_shown().await?;
    let mut listing = session.engine.record().listing(selection).await?;
    match args.format {
        Format::Text => session.output.lines(|out| {
            listing.try_for_each(|item| writeln!(out, "{}", participation_line(&item?)))
        }),
        Format::Json => document(&session, listing),
    }?;
    Ok(Exit::Fine)
}

pub(crate) async fn export(args: &RecordExportArgs, common: &Common) -> Result<Exit, CommandError> {
    let session = Session::begin(common)?;
    session.check_shown().await?;
    let record = session.engine.record();
    let mut listing = record.listing(Selection::default()).await?;
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

fn document(session: &Session, listing: Listing) -> Result<(), CommandError> {
    let json = |item| Ok(serde_json::to_string_pretty(&participation_json(&item?))?);
    session
        .output
        .json_list("participations", listing.map(json))
}
