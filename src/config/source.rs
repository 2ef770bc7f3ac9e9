//! `[source.*]`.

use std::path::Path;
use std::time::Duration;

use encoding_rs::Encoding;

use super::diagnostic::Diagnostic;
use super::files::within;
use super::location::{SOURCE, location};
use super::model::{Input, Limit, Quoting, Source, SourceKind};
use super::notation::{Notation, notation};
use super::query::{QueryError, select, uses};
use super::reader::{Item, Sink, Table};
use super::suggest::nearest;
use super::value::{duration, percent};
use crate::location::Location;

/// One that `[[merged]]` reads needs no column of contacts.
pub(super) fn source(item: &Item<'_>, root: &Path, is_of_merges: bool) -> Option<Source> {
    let table = item.table(format!("[source.{}]", item.key))?;
    if let Err(error) = crate::id::check(item.key) {
        item.ctx.problem(
            item.key_span.clone(),
            format!("{:?} is not a name for a source: {error}", item.key),
            "write a name such as crm",
        );
    }
    if item.key.eq_ignore_ascii_case(RECORD_TABLE) {
        item.ctx.problem(
            item.key_span.clone(),
            "a source cannot be called record: queries know the record of participations by that name",
            "write a name such as crm",
        );
    }
    let kinds = ["csv", "database", "from"].map(|key| table.has(key));
    let kind =
        match kinds {
            [false, true, false] => database(&table, root),
            [false, false, true] => over_others(&table),
            [_, false, false] => file(&table, root),
            _ => {
                item.ctx.problem(
                table.span.clone(),
                format!("{} has more than one of `csv`, `database` and `from`", table.name),
                "keep the one that says where its rows are, and define another source for the rest",
            );
                return None;
            }
        };
    let notation = match kinds {
        [_, false, false] => notation(&table),
        _ => Notation::default(),
    };
    let contact = match is_of_merges {
        true => table.get("contact"),
        false => table.require("contact", CONTACT),
    };
    let needs_none = is_of_merges && contact.is_none();
    let contact = contact
        .and_then(|item| item.column("the name of a column, such as \"customer_no\""))
        .map(str::to_owned);
    let min_rows = table.get("min_rows").and_then(|item| {
        Some(Limit {
            value: item.count("a number, such as 100")?,
            place: Some(item.place()),
        })
    });
    let max_age = of_file(&table, "max_age").and_then(|item| {
        let max_age = duration(&item, "\"36h\"")?;
        if max_age.is_zero() {
            item.wrong("`max_age` is zero, which no file can meet", "write \"36h\"");
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
                format!("`max_shrink` is not a percentage: {text:?}"),
                "write \"30%\"",
            );
        }
        Some(Limit {
            value: value?,
            place: Some(item.place()),
        })
    });
    let place = item.ctx.doc.place(item.key_span.clone());
    table.finish();
    Some(Source {
        name: item.key.to_owned(),
        kind: kind?,
        contact: match needs_none {
            true => None,
            false => Some(contact?),
        },
        notation,
        min_rows,
        max_age,
        max_shrink,
        place,
    })
}

/// What to do about a source without a column of contacts.
pub(super) const CONTACT: &str = "add contact = \"…\", the column with the externalContactId";

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

/// A CSV file.
fn file(table: &Table<'_>, root: &Path) -> Option<SourceKind> {
    let csv = table.get("csv");
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
            table,
            "quote",
            "none",
            "\"none\" if the export puts no quotes around cells, or remove it",
        ),
        escapes: only(
            table,
            "escape",
            "\\",
            "\"\\\\\" if the export writes a backslash before quotes, or remove it",
        ),
    };
    if quoting.escapes
        && delimiter == Some(b'\\')
        && let Some(item) = table.get("delimiter")
    {
        item.wrong(
            "a backslash cannot both separate and escape",
            "remove one of the two",
        );
    }
    if csv.is_none() {
        let query = table.has("query");
        table.ctx.problem(
            table.span.clone(),
            match query {
                true => format!("{} has a `query`, and neither `database` nor `from`", table.name),
                false => format!("{} has no `csv`", table.name),
            },
            match query {
                true => "add database = \"$SHOP_DATABASE_URL\", or from = [\"crm\"] with the sources that it asks",
                false => "add csv = \"exports/crm.csv\"",
            },
        );
    }
    if !(csv.is_none() && table.has("query")) {
        table.refuse(
            "query",
            "`query` does not go with `csv`: it asks a database, or other sources",
            "take it out, or define a source with from = [\"…\"] that asks this one",
        );
    }
    let item = csv?;
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
    // It may hold a password, so it is not shown.
    if shown.contains("://") {
        item.wrong(
            "`csv` is an address, and Rollcall fetches no files",
            "let another program write the file, and write its path here",
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
}

/// What is said of files alone.
const OF_FILES: [&str; 10] = [
    "delimiter",
    "encoding",
    "quote",
    "escape",
    "decimal",
    "dates",
    "booleans",
    "null",
    "max_age",
    "csv",
];

fn refuse_what_is_of_files(table: &Table<'_>) {
    for key in OF_FILES {
        table.refuse(
            key,
            &format!("`{key}` is for files"),
            match key {
                "max_age" => "take it out: a query gives what there is at the moment; `min_rows` and `max_shrink` go with it",
                _ => "take it out, and let the query give each column the type that it has",
            },
        );
    }
}

/// A query of a database.
fn database(table: &Table<'_>, root: &Path) -> Option<SourceKind> {
    refuse_what_is_of_files(table);
    let at = table.get("database").and_then(|item| {
        let shown = item.text("\"$SHOP_DATABASE_URL\"")?;
        let at = location(&item, &SOURCE, root)?;
        let shown = match (&at, shown.starts_with('$')) {
            (Location::Database(database), false) => database.server(),
            _ => shown.to_owned(),
        };
        Some((at, shown, item.place()))
    });
    let query = table
        .require("query", "add query = \"select …\"")
        .and_then(|item| query(&item));
    let timeout = timeout(table);
    let (at, shown, place) = at?;
    Some(SourceKind::Database {
        at,
        shown,
        place,
        query: query?,
        timeout: timeout?,
    })
}

/// How long a query may take, where nothing else is said.
const TIMEOUT: Duration = Duration::from_secs(300);

fn timeout(table: &Table<'_>) -> Option<Duration> {
    let Some(item) = table.get("timeout") else {
        return Some(TIMEOUT);
    };
    duration(&item, "\"5m\"").filter(|time| {
        if time.is_zero() {
            item.wrong("`timeout` is zero", "write \"5m\"");
        }
        !time.is_zero()
    })
}

/// A query over other sources.
fn over_others(table: &Table<'_>) -> Option<SourceKind> {
    refuse_what_is_of_files(table);
    let timeout = timeout(table);
    let advice = "the names of sources, such as [\"crm\", \"orders\"], or [] where the query asks the record alone";
    let names = table.get("from")?;
    let mut from: Vec<Input> = Vec::new();
    let is_none = names.array().is_some_and(|items| items.is_empty());
    let inputs = if is_none {
        Vec::new()
    } else {
        names.texts(advice)
    };
    for (name, item) in inputs {
        if from
            .iter()
            .any(|known| known.name.eq_ignore_ascii_case(name))
        {
            item.wrong(format!("{name:?} is named twice"), "remove one of the two");
        } else {
            from.push(Input {
                name: name.to_owned(),
                place: item.place(),
            });
        }
    }
    let item = table.require("query", "add query = \"select …\"");
    let (query, place) = item.and_then(|item| {
        let text = query(&item)?;
        if let Err(error) = select(&text, &[(":today", ""), (":now", "")]) {
            let help = match error {
                QueryError::Parameter(_) => "a query gets :today and :now",
                _ => "write one `select`",
            };
            item.wrong(format!("`query` {error}"), help);
            return None;
        }
        Some((text, item.place()))
    })?;
    let asks_record = uses(&query, RECORD_TABLE);
    if from.iter().all(|input| input.name == RECORD_TABLE) && !asks_record {
        names.wrong(
            "`from` names no source, and the query does not ask the record",
            format!("write {advice}"),
        );
    }
    from.retain(|input| input.name != RECORD_TABLE);
    Some(SourceKind::Query {
        from,
        query,
        asks_record,
        timeout: timeout?,
        place,
    })
}

/// The name by which queries over sources know the record.
pub const RECORD_TABLE: &str = "record";

fn query(item: &Item<'_>) -> Option<String> {
    let text = item.text("a query, such as \"select customer_no, status from customers\"")?;
    if text.trim().is_empty() {
        item.wrong("`query` is empty", "write a `select`");
        return None;
    }
    Some(text.to_owned())
}

/// Checks what queries over sources need of these, once all are known: that each is there and has `min_rows`, and that
/// none asks itself in the end.
pub(super) fn check_inputs(sources: &[Source], sink: &Sink) {
    let find = |name: &str| sources.iter().position(|source| source.name == name);
    for source in sources {
        let SourceKind::Query { from, .. } = &source.kind else {
            continue;
        };
        for input in from {
            let Some(index) = find(&input.name) else {
                let names = sources.iter().map(|source| source.name.as_str());
                let help = match nearest(names, &input.name) {
                    Some(near) => format!("did you mean {near:?}?"),
                    None => format!("define it as [source.{}]", input.name),
                };
                let message = format!("there is no source {:?}", input.name);
                sink.push(Diagnostic::at(input.place.clone(), message).help(help));
                continue;
            };
            if sources[index].min_rows.is_none() {
                let message = format!(
                    "source {} is asked by source {}, and has no `min_rows`",
                    input.name, source.name
                );
                let diagnostic = Diagnostic::at(sources[index].place.clone(), message)
                    .related(input.place.clone(), "asked here")
                    .help("add min_rows = 100: an input that ran dry can make people declared, not only gone");
                sink.push(diagnostic);
            }
        }
    }
    // Each circle is told where its first source by name names the next one.
    for (index, source) in sources.iter().enumerate() {
        if let Some(circle) = circle(sources, index) {
            let SourceKind::Query { from, .. } = &source.kind else {
                continue;
            };
            let place = from
                .iter()
                .find(|input| Some(input.name.as_str()) == circle.get(1).copied());
            let place = place.map_or(&source.place, |input| &input.place);
            let message = format!("source {} asks itself: {}", source.name, circle.join(" → "));
            sink.push(
                Diagnostic::at(place.clone(), message).help("take one of them out of a `from`"),
            );
        }
    }
}

/// The way from a source back to itself, if there is one and the source is the first by name on it.
fn circle(sources: &[Source], start: usize) -> Option<Vec<&str>> {
    let mut seen = vec![false; sources.len()];
    let mut ways = vec![vec![start]];
    while let Some(way) = ways.pop() {
        let last = *way.last()?;
        let SourceKind::Query { from, .. } = &sources[last].kind else {
            continue;
        };
        for input in from {
            let Some(next) = sources.iter().position(|source| source.name == input.name) else {
                continue;
            };
            if next == start {
                let names = way.iter().chain([&start]);
                return Some(names.map(|of| sources[*of].name.as_str()).collect());
            }
            if next > start && !std::mem::replace(&mut seen[next], true) {
                ways.push([way.as_slice(), &[next]].concat());
            }
        }
    }
    None
}

/// A setting of files, where the source is one.
fn of_file<'a>(table: &Table<'a>, key: &'static str) -> Option<Item<'a>> {
    match table.has("database") || table.has("from") {
        true => None,
        false => table.get(key),
    }
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
