//! `rollcall record list` and `rollcall record export`: participations.

use std::io::{self, Write};

use crate::cli::args::{ExportFormat, Format, RecordExportArgs, RecordListArgs};
use crate::cli::{CommandError, Common, Exit, Session};
use crate::record::{Listed, Listing, RecordError, Selection};
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
    let listing = session.engine.record().listing(selection).await?;
    match args.format {
        Format::Text => session.output.lines(|out| {
            each(listing, |item| {
                writeln!(out, "{}", participation_line(item))
            })
        }),
        Format::Json => session.output.document(|out| document(out, listing)),
    }?;
    Ok(Exit::Fine)
}

pub(crate) async fn export(args: &RecordExportArgs, common: &Common) -> Result<Exit, CommandError> {
    let session = Session::begin(common)?;
    session.check_shown().await?;
    let listing = session
        .engine
        .record()
        .listing(Selection::default())
        .await?;
    match args.format {
        ExportFormat::Json => session.output.document(|out| document(out, listing)),
        ExportFormat::Csv => session.output.result(|out| table(out, listing)),
    }?;
    Ok(Exit::Fine)
}

/// Passes each of a listing to what writes it. What is wrong with the record is told as what is wrong with writing.
fn each(listing: Listing, mut write: impl FnMut(&Listed) -> io::Result<()>) -> io::Result<()> {
    enum Either {
        Record(RecordError),
        Write(io::Error),
    }
    impl From<RecordError> for Either {
        fn from(error: RecordError) -> Self {
            Either::Record(error)
        }
    }
    let result = listing.each(|listed| write(&listed).map_err(Either::Write));
    result.map_err(|error| match error {
        Either::Record(error) => io::Error::other(error),
        Either::Write(error) => error,
    })
}

/// Writes participations as one JSON document.
fn document(out: &mut dyn Write, listing: Listing) -> io::Result<()> {
    write!(out, "{{\n  \"participations\": [")?;
    let mut separator = "\n    ";
    each(listing, |listed| {
        let text = serde_json::to_string_pretty(&participation_json(listed))?;
        // Texts in it hold no line ends of their own: they are escaped.
        write!(out, "{separator}{}", text.replace('\n', "\n    "))?;
        separator = ",\n    ";
        Ok(())
    })?;
    let end = match separator {
        ",\n    " => "\n  ]",
        _ => "]",
    };
    writeln!(out, "{end}\n}}")
}

/// Writes participations as CSV.
fn table(out: &mut dyn Write, listing: Listing) -> io::Result<()> {
    let mut writer = csv::Writer::from_writer(out);
    writer.write_record(PARTICIPATION_COLUMNS)?;
    each(listing, |item| {
        Ok(writer.write_record(participation_cells(item))?)
    })?;
    writer.flush()
}
