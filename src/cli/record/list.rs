//! `rollcall record list` and `rollcall record export`: participations.

use std::borrow::Cow;
use std::io::{self, Write};

use super::{json, line};
use crate::cli::args::{ExportFormat, Format, RecordExportArgs, RecordListArgs};
use crate::cli::{CommandError, Common, Exit, Session};
use crate::record::{Listed, Listing, RecordError, Selection};

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
        Format::Text => session
            .output
            .lines(|out| each(listing, |item| writeln!(out, "{}", line(item)))),
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
        let text = serde_json::to_string_pretty(&json(listed))?;
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
    writer.write_record([
        "contact",
        "automation",
        "occurrence",
        "state",
        "detail",
        "trigger_code",
        "automation_contact_ids",
        "triggered_at",
        "changed_at",
    ])?;
    each(listing, |item| {
        let row = json(item);
        let ids: Vec<&str> = item.ids.iter().map(|id| id.as_str()).collect();
        let cells = [
            row.contact.as_str(),
            row.automation.as_str(),
            row.occurrence.map_or("", |o| o.as_str()),
            row.state,
            row.detail.unwrap_or_default(),
            row.trigger_code.as_str(),
            &ids.join(" "),
            row.triggered_at.as_deref().unwrap_or_default(),
            &row.changed_at,
        ];
        writer.write_record(cells.map(|text| cell(text).into_owned()))?;
        Ok(())
    })?;
    writer.flush()
}

/// A text that a spreadsheet takes as text: what would begin a formula is preceded by an apostrophe.
fn cell(text: &str) -> Cow<'_, str> {
    match text.starts_with(['=', '+', '-', '@', '＝', '＋', '－', '＠', '\t', '\r']) {
        true => Cow::Owned(format!("'{text}")),
        false => Cow::Borrowed(text),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_formula_is_text_in_a_spreadsheet() {
        for formula in ["=1+1", "+1", "-1", "@SUM(A1)", "＝1+1"] {
            assert_eq!(cell(formula), format!("'{formula}"));
        }
        assert_eq!(cell("crm-1"), "crm-1");
    }
}
