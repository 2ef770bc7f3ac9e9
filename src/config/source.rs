//! `[source.*]`.

use std::path::Path;

use encoding_rs::Encoding;

use super::files::within;
use super::model::{Limit, Quoting, Source, SourceKind};
use super::notation::notation;
use super::reader::{Item, Table};
use super::value::{duration, percent};

pub(super) fn source(item: &Item<'_>, root: &Path) -> Option<Source> {
    let table = item.table(format!("[source.{}]", item.key))?;
    if let Err(error) = crate::id::check(item.key) {
        item.ctx.problem(
            item.key_span.clone(),
            format!("{:?} is no name for a source: {error}", item.key),
            "write a name such as crm",
        );
    }
    let csv = table.get("csv");
    let (database, query) = (table.get("database"), table.get("query"));
    if let Some(item) = database.or(query) {
        item.wrong(
            "sources in databases are not supported yet",
            "export the query's result to a CSV file and name that with `csv`",
        );
        // What else a database source lacks would only distract.
        for key in [
            "contact",
            "min_rows",
            "max_age",
            "max_shrink",
            "delimiter",
            "encoding",
            "quote",
            "escape",
            "decimal",
            "dates",
            "booleans",
            "null",
        ] {
            table.get(key);
        }
        table.finish();
        return None;
    }
    let delimiter = table.get("delimiter").and_then(|item| {
        let example = "one character, such as \";\" or \"\\t\"";
        let text = item.text(example)?;
        match text.as_bytes() {
            [byte]
                if byte.is_ascii()
                    && !byte.is_ascii_alphanumeric()
                    && !b"\"\r\n".contains(byte) =>
            {
                Some(*byte)
            }
            _ => {
                item.wrong(
                    format!("`delimiter` cannot be {text:?}"),
                    format!("write {example}"),
                );
                None
            }
        }
    });
    let encoding = table.get("encoding").and_then(|item| encoding(&item));
    let quoting = Quoting {
        quotes: !only(
            &table,
            "quote",
            "none",
            "\"none\" where the export puts no quotes around cells, or take it out",
        ),
        escapes: only(
            &table,
            "escape",
            "\\",
            "\"\\\\\" where a backslash stands before quotes, or take it out",
        ),
    };
    if quoting.escapes
        && delimiter == Some(b'\\')
        && let Some(item) = table.get("delimiter")
    {
        item.wrong(
            "a backslash cannot both separate and escape",
            "take one of the two out",
        );
    }
    if csv.is_none() {
        item.ctx.problem(
            table.span.clone(),
            format!("{} has no `csv`", table.name),
            "add csv = \"exports/crm.csv\"",
        );
    }
    let kind = csv.and_then(|item| {
        let shown = item.text("the path of a CSV file, such as \"exports/crm.csv\"")?;
        if shown.is_empty() {
            item.wrong("`csv` is empty", "write the path of a CSV file");
            return None;
        }
        if let Some(end) = workbook(shown) {
            item.wrong(
                format!("`csv` names a workbook (.{end})"),
                "in Excel, save it as \"CSV UTF-8 (Comma delimited)\" and name that file",
            );
            return None;
        }
        let path = within(root, shown, &item)?;
        Some(SourceKind::Csv {
            path,
            shown: shown.to_owned(),
            encoding,
            delimiter,
            quoting,
        })
    });
    let contact = table
        .require(
            "contact",
            "add contact = \"…\", the column with the externalContactId",
        )
        .and_then(|item| item.column("the name of a column, such as \"customer_no\""))
        .map(str::to_owned);
    let min_rows = table.get("min_rows").and_then(|item| {
        Some(Limit {
            value: item.count("a number, such as 100")?,
            place: Some(item.place()),
        })
    });
    let max_age = table.get("max_age").and_then(|item| {
        let max_age = duration(&item, "\"36h\"")?;
        if max_age.is_zero() {
            item.wrong("`max_age` is zero, which no file can keep", "write \"36h\"");
        }
        Some(Limit {
            value: max_age,
            place: Some(item.place()),
        })
    });
    let max_shrink = table.get("max_shrink").and_then(|item| {
        let text = item.text("\"30%\"")?;
        let value = percent(text);
        if value.is_none() {
            item.wrong(
                format!("`max_shrink` is no percentage: {text:?}"),
                "write \"30%\"",
            );
        }
        Some(Limit {
            value: value?,
            place: Some(item.place()),
        })
    });
    let notation = notation(&table);
    let place = item.ctx.doc.place(item.key_span.clone());
    table.finish();
    Some(Source {
        name: item.key.to_owned(),
        kind: kind?,
        contact: contact?,
        notation,
        min_rows,
        max_age,
        max_shrink,
        place,
    })
}

/// How the path of a spreadsheet's own file ends.
fn workbook(path: &str) -> Option<&str> {
    let end = path.rsplit_once('.')?.1;
    let is_one = |known: &&str| end.eq_ignore_ascii_case(known);
    let known = ["xlsx", "xlsm", "xlsb", "xls", "ods"];
    known.iter().any(is_one).then_some(end)
}

/// An encoding, by a name that the WHATWG's standard has for it.
fn encoding(item: &Item<'_>) -> Option<&'static Encoding> {
    let example =
        "\"windows-1252\" (Excel in Western Europe), \"iso-8859-15\", \"utf-16le\" or \"utf-8\"";
    let text = item.text(example)?;
    let known = Encoding::for_label_no_replacement(text.as_bytes());
    // Its meaning depends on what stood on the lines before.
    let known = known.filter(|known| *known != encoding_rs::ISO_2022_JP);
    if known.is_none() {
        item.wrong(
            format!("there is no encoding {text:?}"),
            format!("write one such as {example}, or let the export write UTF-8"),
        );
    }
    known
}

/// Whether a setting is there that can have but one value.
fn only(table: &Table<'_>, key: &'static str, value: &str, advice: &str) -> bool {
    let Some(item) = table.get(key) else {
        return false;
    };
    let text = item.text(advice);
    if let Some(text) = text
        && text != value
    {
        item.wrong(
            format!("`{key}` cannot be {text:?}"),
            format!("write {advice}"),
        );
    }
    text.is_some()
}
