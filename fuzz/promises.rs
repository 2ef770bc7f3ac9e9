//! What must hold of any input whatever. The fuzz targets search for bytes that break it; `tests/corpus.rs` holds it
//! against every file of the corpus in `cargo test`.
//!
//! Each function takes the bytes of one input and panics where a promise is broken.

use std::fs;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use rollcall::config::{
    self, Diagnostic, FILE_NAME, Files, Place, Problems, Quoting, Source, SourceKind,
};
use rollcall::plan::saved::{self, Basis};
use rollcall::source::{Inputs, RowBuffer, RowId, Table};
use rollcall::spotler::{CallError, Complaint, Entry, Head, StopAnswer, TriggerAnswer};
use rollcall::spotler::{read_list, read_stop, read_trigger};
use tempfile::TempDir;
use toml::de::DeTable;
use unicode_width::UnicodeWidthStr;

/// In an input of [`config`], what follows this line is the file that may be included as `more.toml`.
const NEXT_FILE: &str = "#### more.toml\n";

/// The columns of the terminals that problems are rendered for. A narrower one than the first has no room.
const WIDTHS: [usize; 3] = [60, 100, 200];

thread_local! {
    static FOLDER: TempDir = {
        // In memory where there is such a place: a disk would be the slowest part by far.
        let memory = Path::new("/dev/shm");
        let folder = match memory.is_dir() {
            true => TempDir::new_in(memory),
            false => TempDir::new(),
        };
        folder.expect("a temporary folder can be made")
    };
}

fn write(folder: &Path, name: &str, bytes: &[u8]) {
    fs::write(folder.join(name), bytes).expect("a temporary file can be written");
}

/// The whole reading of a configuration: it ends, it points into its files, and what it says cannot steer a terminal.
pub fn config(bytes: &[u8]) {
    FOLDER.with(|folder| config_in(folder.path(), bytes));
}

fn config_in(folder: &Path, bytes: &[u8]) {
    let text = String::from_utf8_lossy(bytes);
    if reaches_out(&text) {
        return;
    }
    let at = bytes
        .windows(NEXT_FILE.len())
        .position(|window| window == NEXT_FILE.as_bytes());
    let (first, second) = match at {
        Some(at) => (&bytes[..at], &bytes[at + NEXT_FILE.len()..]),
        None => (bytes, &b""[..]),
    };
    write(folder, FILE_NAME, first);
    write(folder, "more.toml", second);
    let (list, files) = match config::load(&folder.join(FILE_NAME)) {
        Ok(config) => (config.warnings, config.files),
        Err(Problems { list, files }) => {
            assert!(!list.is_empty(), "refused for no reason");
            (list, files)
        }
    };
    for problem in &list {
        let places = problem
            .at
            .iter()
            .chain(problem.related.iter().map(|(place, _)| place));
        for place in places {
            place_is_in_its_file(place, &files, problem);
        }
    }
    for width in WIDTHS {
        for text in config::rendered(&list, &files, false, width) {
            text_is_harmless(&text, width);
        }
    }
}

/// Whether a configuration includes by an absolute path, which is allowed and would read files of this machine.
fn reaches_out(text: &str) -> bool {
    let mut files = text.split(NEXT_FILE);
    files.any(|text| {
        let (tree, _) = DeTable::parse_recoverable(text);
        let Some(include) = tree.get_ref().get("include") else {
            return false;
        };
        let is_absolute = |text: Option<&str>| text.is_some_and(|text| text.starts_with('/'));
        let include = include.get_ref();
        is_absolute(include.as_str())
            || include.as_array().is_some_and(|items| {
                items
                    .iter()
                    .any(|item| is_absolute(item.get_ref().as_str()))
            })
    })
}

fn place_is_in_its_file(place: &Place, files: &Files, problem: &Diagnostic) {
    let text = files.0.get(&place.file);
    let text = text.unwrap_or_else(|| panic!("{problem:?} is in a file that was not read"));
    let meant = text.get(place.range());
    assert!(meant.is_some(), "{problem:?} is not within {}", place.file);
    let line = 1 + text[..place.span.0].matches('\n').count();
    assert_eq!(place.line, line, "{problem:?}");
}

fn text_is_harmless(text: &str, width: usize) {
    let steers = |c: char| {
        (c.is_control() && c != '\n')
            || matches!(c, '\u{ad}' | '\u{61c}' | '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{206f}'
                | '\u{2800}' | '\u{3164}' | '\u{fe00}'..='\u{fe0f}' | '\u{feff}' | '\u{e0000}'..='\u{e0fff}')
    };
    assert!(!text.contains(steers), "{text:?}");
    for line in text.lines() {
        assert!(
            line.width() <= width,
            "{} columns of {width}:\n{text}",
            line.width()
        );
    }
}

/// A table of contacts: it is read as a slow reader of RFC 4180 reads it, every row that is read can be read again, and
/// what is wrong with it is said harmlessly.
///
/// The first byte says which separator is configured, if any, or how it is quoted.
pub fn table(bytes: &[u8]) {
    FOLDER.with(|folder| table_in(folder.path(), bytes));
}

fn table_in(folder: &Path, bytes: &[u8]) {
    let Some((&first, content)) = bytes.split_first() else {
        return;
    };
    write(folder, "crm.csv", content);
    let delimiter = b",;\t|".contains(&first).then_some(first);
    let quoting = Quoting {
        quotes: !b"nb".contains(&first),
        escapes: b"eb".contains(&first),
    };
    let source = Source {
        name: "crm".to_owned(),
        kind: SourceKind::Csv {
            path: folder.join("crm.csv"),
            shown: "crm.csv".to_owned(),
            encoding: None,
            delimiter,
            quoting,
        },
        contact: Some("id".to_owned()),
        notation: Default::default(),
        min_rows: None,
        max_age: None,
        max_shrink: None,
        place: Place {
            file: Arc::from(FILE_NAME),
            line: 1,
            span: (0, 0),
        },
    };
    let said = |error: rollcall::source::SourceError| {
        let text = format!("{error}; {}", error.help());
        assert!(!text.contains(char::is_control), "{text:?}");
    };
    let table = match Table::open(&source, &Inputs::NONE) {
        Ok(table) => table,
        Err(error) => return said(error),
    };
    let columns = table.columns();
    let contact = columns.iter().position(|name| name == "id");
    let contact = contact.expect("the contacts' column is there");

    let candidates = match delimiter {
        Some(given) => vec![given],
        None => b",;\t".to_vec(),
    };
    let (delimiter, mut slowly) = candidates
        .into_iter()
        .map(|delimiter| (delimiter, slowly(content, delimiter, quoting)))
        .find(|(_, rows)| rows.first() == Some(&Some(columns.to_vec())))
        .expect("a slow reader finds the same header");
    slowly.remove(0);
    // What is a row, and no good one for other reasons.
    for row in &mut slowly {
        let is_good = |row: &Vec<String>| {
            row.len() == columns.len()
                && row.join(",").to_lowercase() != columns.join(",").to_lowercase()
                && rollcall::id::check(&row[contact]).is_ok()
        };
        *row = row.take().filter(is_good);
    }

    let mut quickly = Vec::new();
    let mut read: Vec<(RowId, Vec<String>)> = Vec::new();
    let mut rows = table.rows();
    while let Some(row) = rows.read() {
        match row {
            Err(error) => {
                said(error);
                quickly.push(None);
            }
            Ok(row) => {
                assert_eq!(row.cells.get(contact), Some(row.contact));
                let cells: Vec<String> = row.cells.iter().map(str::to_owned).collect();
                quickly.push(Some(cells.clone()));
                read.push((row.id, cells));
            }
        }
        let at = rows.at();
        assert!(at.row >= 1 && at.line >= 1);
    }
    assert!(rows.read().is_none(), "there is a row after the last");
    assert_eq!(quickly, slowly, "separated by {:?}", char::from(delimiter));
    assert!(
        read.is_sorted_by(|(a, _), (b, _)| a < b),
        "two rows have one id"
    );
    let mut buffer = RowBuffer::default();
    for (id, cells) in read.iter().rev() {
        let row = table.row(*id, &mut buffer).expect("the row is still there");
        assert!(row.cells.iter().eq(cells), "another row was read at {id:?}");
    }
}

/// The rows of a file, read byte by byte; `None` for one that cannot be read. Behind one whose end is not known there is no
/// other.
fn slowly(bytes: &[u8], delimiter: u8, quoting: Quoting) -> Vec<Option<Vec<String>>> {
    let bytes = bytes.strip_prefix(b"\xef\xbb\xbf").unwrap_or(bytes);
    let (mut rows, mut row, mut at) = (Vec::new(), Vec::new(), 0);
    while at < bytes.len() {
        if row.is_empty() && (bytes[at] == b'\n' || bytes[at] == b'\r') {
            at += 1;
            continue;
        }
        let Some((cell, end)) = cell(bytes, at, delimiter, quoting) else {
            rows.push(None);
            return rows;
        };
        row.push(cell);
        at = end;
        let mut is_end = at == bytes.len();
        if !is_end && bytes[at] == delimiter {
            at += 1;
            if at < bytes.len() {
                continue;
            }
            // Behind the last separator is an empty cell.
            row.push(Vec::new());
            is_end = true;
        }
        if !is_end {
            at += match bytes[at..].starts_with(b"\r\n") {
                true => 2,
                false => 1,
            };
        }
        let cells = row.drain(..).map(|cell| String::from_utf8(cell).ok());
        let cells: Option<Vec<String>> = cells.collect();
        rows.push(cells.filter(|cells| cells.iter().all(|cell| !cell.contains('\0'))));
    }
    rows
}

/// The cell that begins at a byte, and where it ends; `None` where that cannot be said.
fn cell(bytes: &[u8], start: usize, delimiter: u8, quoting: Quoting) -> Option<(Vec<u8>, usize)> {
    let ends = |at: usize| match bytes.get(at) {
        None => true,
        Some(byte) => [delimiter, b'\n', b'\r'].contains(byte),
    };
    let mut cell = Vec::new();
    let mut at = start;
    let is_quoted = quoting.quotes && bytes[start..].starts_with(b"\"");
    if is_quoted {
        at += 1;
    } else if quoting.escapes && bytes[start..].starts_with(b"\\N") && ends(start + 2) {
        return Some((cell, start + 2));
    }
    loop {
        if !is_quoted && ends(at) {
            return Some((cell, at));
        }
        let byte = *bytes.get(at)?;
        let next = bytes.get(at + 1).copied();
        if quoting.escapes && byte == b'\\' {
            let meant = match next? {
                b'n' => b'\n',
                b'r' => b'\r',
                b't' => b'\t',
                byte @ (b' ' | b'\t' | b'\n' | b'\x0c' | b'\r') => byte,
                byte if byte.is_ascii_punctuation() => byte,
                _ => return None,
            };
            cell.push(meant);
            at += 2;
            // A line end of two bytes is escaped as one.
            if next == Some(b'\r') && bytes.get(at) == Some(&b'\n') {
                cell.push(b'\n');
                at += 1;
            }
        } else if is_quoted && byte == b'"' && next == Some(b'"') {
            cell.push(b'"');
            at += 2;
        } else if is_quoted && byte == b'"' {
            return ends(at + 1).then_some((cell, at + 1));
        } else {
            cell.push(byte);
            at += 1;
        }
    }
}

/// Answers of the API: nothing counts as done unless the answer says so, and what is kept of it is short and harmless.
///
/// The input's first line is the status, the second `Retry-After` (none where it is empty), the rest the body.
pub fn answer(bytes: &[u8]) {
    let mut lines = bytes.splitn(3, |byte| *byte == b'\n');
    let mut line = || String::from_utf8_lossy(lines.next().unwrap_or_default());
    let Ok(status) = line().trim().parse::<u16>() else {
        return;
    };
    let retry_after = Some(line().into_owned()).filter(|text| !text.is_empty());
    let body = lines.next().unwrap_or_default();
    let head = Head {
        status,
        retry_after,
    };
    let now = SystemTime::UNIX_EPOCH + Duration::from_secs(1_800_000_000);

    let trigger = read_trigger(&head, body, now);
    match &trigger {
        Ok(TriggerAnswer::Started(entries)) => {
            assert!((200..300).contains(&status));
            assert!(entries.is_empty() || entries.iter().any(Entry::is_ok));
            entries_are_harmless(entries);
        }
        Ok(TriggerAnswer::LimitReached(entries) | TriggerAnswer::Inactive(entries)) => {
            assert!(!entries.iter().any(Entry::is_ok));
            entries_are_harmless(entries);
        }
        Ok(
            TriggerAnswer::NotTriggered(complaint)
            | TriggerAnswer::UnknownTrigger(complaint)
            | TriggerAnswer::UnknownContact(complaint)
            | TriggerAnswer::Rejected(complaint),
        ) => complaint_is_harmless(complaint),
        Err(error) => is_told_by_status(error, &head),
    }

    let stop = read_stop(&head, body, now);
    match &stop {
        Ok(StopAnswer::Stopped { already }) => {
            assert!((200..300).contains(&status) || already.is_some());
            already.iter().for_each(|word| is_harmless(word));
        }
        Ok(StopAnswer::UnknownTrigger(complaint) | StopAnswer::UnknownContact(complaint)) => {
            complaint_is_harmless(complaint);
        }
        Ok(StopAnswer::Rejected(complaint)) => {
            assert!((400..500).contains(&status) || status >= 600);
            complaint_is_harmless(complaint);
        }
        Err(error) => is_told_by_status(error, &head),
    }

    match read_list(&head, body, now) {
        Ok(list) => {
            assert_eq!(status, 200);
            for automation in &list {
                let words = automation
                    .triggers
                    .iter()
                    .flat_map(|t| t.code.iter().chain(&t.name));
                let words = words.chain(automation.id.iter().chain(&automation.name));
                words.for_each(|word| is_harmless(word));
            }
        }
        Err(error) => is_told_by_status(&error, &head),
    }
}

fn is_told_by_status(error: &CallError, head: &Head) {
    match error {
        CallError::NotSent(_) => panic!("an answer came, so it was sent"),
        CallError::Limited { retry_after, .. } => {
            assert_eq!(head.status, 429);
            assert!(retry_after.is_none_or(|wait| wait <= Duration::from_secs(86_400)));
        }
        CallError::Unavailable { retry_after, .. } => {
            assert!(head.status == 503 || (head.status >= 500 && head.retry_after.is_some()));
            assert!(retry_after.is_none_or(|wait| wait <= Duration::from_secs(86_400)));
        }
        CallError::Unauthorized { .. } => assert!(matches!(head.status, 401 | 403)),
        CallError::Doubtful(why) => {
            assert!(!matches!(head.status, 401 | 403 | 429));
            is_harmless(why);
        }
    }
}

/// A word that was taken from the wire to be shown.
fn is_harmless(word: &str) {
    assert!(
        !word.contains(char::is_control) && word.chars().count() <= 100,
        "{word:?}"
    );
}

fn complaint_is_harmless(complaint: &Complaint) {
    complaint
        .error_type
        .iter()
        .for_each(|word| is_harmless(word));
}

fn entries_are_harmless(entries: &[Entry]) {
    for entry in entries {
        is_harmless(&entry.result);
        entry.automation_id.iter().for_each(|id| is_harmless(id));
    }
}

/// A saved plan: one that is read holds nothing but ids, digests and times, is refused against any other record, and
/// what is wrong with another one is said in a sentence that repeats nothing of it.
pub fn saved(bytes: &[u8]) {
    let plan = match saved::parse(bytes) {
        Ok(plan) => plan,
        Err(error) => {
            let text = error.to_string();
            assert!(
                !text.contains(char::is_control) && text.len() < 400,
                "{text:?}"
            );
            return;
        }
    };
    let hex = |text: &str| {
        (1..=64).contains(&text.len()) && text.bytes().all(|b| b.is_ascii_hexdigit() || b == b'-')
    };
    let digests = [&plan.id, &plan.config_digest, &plan.roster_digest];
    assert!(
        digests
            .into_iter()
            .chain(&plan.record)
            .all(|text| hex(text))
    );
    assert!(rollcall::id::check(&plan.rollcall).is_ok());
    let now = Basis {
        config_digest: plan.config_digest.clone(),
        record: plan.record.as_deref(),
        record_serial: plan.record_serial,
        applied_at: None,
    };
    assert_eq!(plan.check(&now), Ok(()));
    let changed = [
        Basis {
            config_digest: format!("{}0", plan.config_digest),
            ..now.clone()
        },
        Basis {
            record: Some("another"),
            record_serial: 1,
            ..now.clone()
        },
        Basis {
            record_serial: plan.record_serial.wrapping_add(1),
            ..now.clone()
        },
        Basis {
            applied_at: Some(plan.now),
            ..now.clone()
        },
    ];
    for basis in changed {
        let why = plan.check(&basis).expect_err("it is stale");
        assert!(!why.to_string().contains(char::is_control), "{why:?}");
    }
    // What is read once is read again, however it is cut on the way.
    let again = saved::parse(std::io::BufReader::with_capacity(128, bytes));
    assert_eq!(again.expect("it was read before").id, plan.id);
}
