//! What the parser makes of a file that is not all TOML: what is wrong, and which parts can be read all the same.

use std::collections::BTreeSet;
use std::ops::Range;
use std::sync::Arc;

use toml::Spanned;
use toml::de::{DeTable, DeValue, Error};

use super::diagnostic::{Diagnostic, Place, SHOWN_OF_ONE_FILE};
use super::reader::{Doc, Item, Sink};
use super::slips;

/// One file, parsed.
pub(super) struct Parsed<'a> {
    pub doc: Doc,
    pub text: &'a Arc<str>,
    pub tree: Spanned<DeTable<'a>>,
    /// Where it is no TOML.
    faults: Vec<usize>,
}

impl Parsed<'_> {
    /// Whether all of it could be read.
    pub(super) fn is_whole(&self) -> bool {
        self.faults.is_empty()
    }

    /// Whether a setting, from its key to the end of its line, could be read.
    pub(super) fn is_sound(&self, item: &Item<'_>) -> bool {
        let end = line_end(self.text, item.value.span().end);
        let whole = item.key_span.start..=end;
        !self.faults.iter().any(|fault| whole.contains(fault))
    }
}

/// Parses a file and reports what is no TOML.
///
/// From then on, nothing else is reported of a table in which something is no TOML: what the parser makes of the rest of
/// it is a guess. The other tables are as good as ever.
pub(super) fn parse<'a>(file: &Arc<str>, text: &'a Arc<str>, sink: &Sink) -> Parsed<'a> {
    let doc = Doc::new(file.clone(), text);
    let (tree, errors) = DeTable::parse_recoverable(text);
    let (again, mut faults): (Vec<&Error>, Vec<&Error>) = errors
        .iter()
        .partition(|error| error.message() == "duplicate key");
    let span = |error: &&Error| error.span().unwrap_or(0..0);
    faults.sort_by_key(|error| span(error).start);
    let mut long = Vec::new();
    if !faults.is_empty() {
        several_lines(tree.get_ref(), text, &mut long);
        long.sort_by_key(|value| value.span.start);
    }
    for error in faults.iter().filter(|error| is_about_an_end(error)) {
        let at = span(error).start;
        let before = long.partition_point(|value| value.span.start < at);
        if let Some(value) = long[..before].last_mut() {
            value.span.end = value.span.end.max(at);
            value.has_no_end = Some(error.message());
        }
    }

    let mut guesses: Vec<Range<usize>> = Vec::new();
    let (mut line, mut shown_until) = (0, None);
    for error in &faults {
        let span = span(error);
        let place = doc.place(span.clone());
        // What follows on the same line, or in what has no end, is a consequence.
        if place.line == line || shown_until.is_some_and(|end| span.start <= end) {
            continue;
        }
        line = place.line;
        let before = long.partition_point(|value| value.span.start < span.start);
        let around = long[..before].last();
        let Some(long) = around.filter(|long| span.start <= long.span.end) else {
            sink.push(not_toml(place, error.message(), text));
            let is_known = |part: &Range<usize>| part.contains(&span.start);
            if !guesses.last().is_some_and(is_known) {
                guesses.push(section(text, span.start));
            }
            continue;
        };
        let value = doc.place(long.span.clone());
        sink.push(match long.has_no_end {
            Some(message) => not_toml(value, message, text),
            None => not_toml(place, error.message(), text).related(value, "in what begins here"),
        });
        let part = section(text, long.span.start).start..section(text, long.span.end).end;
        match guesses.last_mut() {
            Some(last) if part.start < last.end => last.end = part.end,
            _ => guesses.push(part),
        }
        shown_until = Some(long.span.end);
    }
    let again: Vec<Range<usize>> = again.iter().map(span).collect();
    for problem in defined_again(&doc, text, &again) {
        sink.push(problem);
    }
    sink.pass_over(file, guesses);
    Parsed {
        text,
        faults: faults.iter().map(|error| span(error).start).collect(),
        doc,
        tree,
    }
}

fn not_toml(place: Place, message: &str, text: &str) -> Diagnostic {
    // The parser puts advice on lines of its own.
    let mut lines = message.lines();
    let message = lines.next().unwrap_or("this is not TOML").to_owned();
    let help: Vec<&str> = lines
        .map(str::trim)
        .filter(|line| !line.is_empty())
        .collect();
    let slip = slips::advice(text, place.span.0);
    let diagnostic = Diagnostic::at(place, message);
    if let Some(slip) = slip {
        return diagnostic.help(slip);
    }
    match help.is_empty() {
        true => diagnostic
            .help("put text in quotes, and close each quote and bracket; see https://toml.io"),
        false => diagnostic.help(help.join("; ")),
    }
}

/// A value that goes over several lines: one without an end goes on to the end of the file.
struct Long<'e> {
    span: Range<usize>,
    /// What the parser says, where it has none.
    has_no_end: Option<&'e str>,
}

/// Whether the parser misses the end of a value that may go over several lines.
fn is_about_an_end(error: &Error) -> bool {
    ["unclosed array", "unclosed inline", "invalid multi-line"]
        .iter()
        .any(|start| error.message().starts_with(start))
}

/// The outermost values that go over several lines.
fn several_lines(table: &DeTable<'_>, text: &str, found: &mut Vec<Long<'_>>) {
    for value in table.values() {
        several_lines_of(value, text, found);
    }
}

fn several_lines_of(value: &Spanned<DeValue<'_>>, text: &str, found: &mut Vec<Long<'_>>) {
    let span = value.span();
    let written = text.get(span.clone()).unwrap_or_default();
    match value.get_ref() {
        // Made by headers or dotted keys: what it holds is elsewhere.
        DeValue::Table(table) if !written.starts_with('{') => several_lines(table, text, found),
        DeValue::Array(items) if is_header(&text[line_start(text, span.start)..]) => items
            .iter()
            .for_each(|item| several_lines_of(item, text, found)),
        _ if written.contains('\n') => found.push(Long {
            span,
            has_no_end: None,
        }),
        _ => {}
    }
}

fn line_end(text: &str, at: usize) -> usize {
    let at = text.floor_char_boundary(at.min(text.len()));
    text[at..].find('\n').map_or(text.len(), |end| at + end)
}

fn line_start(text: &str, at: usize) -> usize {
    text[..at].rfind('\n').map_or(0, |end| end + 1)
}

fn is_header(line: &str) -> bool {
    line.trim_start().starts_with('[')
}

/// The lines around a place from one table's header to the next.
fn section(text: &str, at: usize) -> Range<usize> {
    let at = text.floor_char_boundary(at.min(text.len()));
    let mut start = line_start(text, at);
    let mut end = start;
    while start > 0 && !is_header(&text[start..]) {
        start = line_start(text, start - 1);
    }
    loop {
        match text[end..].find('\n') {
            // The end of the file is a place too.
            None => return start..text.len() + 1,
            Some(length) => end += length + 1,
        }
        if is_header(&text[end..]) {
            return start..end;
        }
    }
}

/// What is defined twice in one file. The parser says only where it is defined again.
fn defined_again(doc: &Doc, text: &str, again: &[Range<usize>]) -> Vec<Diagnostic> {
    let lines: BTreeSet<usize> = again
        .iter()
        .map(|span| line_start(text, span.start))
        .collect();
    let mut problems = Vec::new();
    let mut part = 0..0;
    for span in again {
        let line = line_start(text, span.start);
        if !part.contains(&span.start) {
            part = section(text, span.start);
        }
        let table = part.start;
        if table < line && lines.contains(&table) {
            // That the table is there twice says it all.
            continue;
        }
        // Beyond these, problems of the file are only counted.
        let first = (problems.len() < SHOWN_OF_ONE_FILE)
            .then(|| first_definition(text, table, span))
            .flatten();
        let key = &text[span.clone()];
        let (what, help) = match &first {
            Some(_) if table == line && is_header(&text[line..]) => (
                text[line..]
                    .split_inclusive(']')
                    .next()
                    .unwrap_or(key)
                    .trim_start()
                    .to_owned(),
                "keep one of the two, or give one another name",
            ),
            _ => (format!("`{key}`"), "keep one of the two"),
        };
        let problem = Diagnostic::at(doc.place(span.clone()), format!("{what} is defined twice"))
            .label("defined again here");
        let is_list = ["enrol", "suppress", "require", "expect", "moved"].contains(&key);
        let problem = match is_list && is_header(&text[line..]) {
            true => problem.help(format!("write each as [[{key}]], with two brackets")),
            false => problem.help(help),
        };
        problems.push(match first {
            Some(first) => problem.related(doc.place(first), "first defined here"),
            None => problem,
        });
    }
    problems
}

/// Where a key was first defined: on an earlier line that begins in the same way, in the same table; for a table's
/// header anywhere. What is written differently is not found.
fn first_definition(text: &str, table: usize, again: &Range<usize>) -> Option<Range<usize>> {
    let line = line_start(text, again.start);
    let from = if is_header(&text[line..]) { 0 } else { table };
    let wanted = text[line..again.end].trim_start();
    text[from..line].match_indices(wanted).find_map(|(at, _)| {
        let start = from + at;
        let end = start + wanted.len();
        let begins_line = text[line_start(text, start)..start].trim_start().is_empty();
        let goes_on = text[end..].trim_start().starts_with(['=', '.', ']']);
        (begins_line && goes_on).then(|| end - again.len()..end)
    })
}
