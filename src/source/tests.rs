//! What a source refuses and how it says so.

use std::fs;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use proptest::prelude::*;

use super::*;
use crate::config::{Limit, Place, Quoting, Source, SourceKind};

struct Export {
    folder: tempfile::TempDir,
    source: Source,
}

fn export(content: impl AsRef<[u8]>) -> Export {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("crm.csv");
    fs::write(&path, content).unwrap();
    let source = Source {
        name: "crm".to_owned(),
        kind: SourceKind::Csv {
            path,
            shown: "exports/crm.csv".to_owned(),
            encoding: None,
            delimiter: None,
            quoting: Quoting::default(),
        },
        contact: Some("id".to_owned()),
        notation: Default::default(),
        min_rows: None,
        max_age: None,
        max_shrink: None,
        place: Place {
            file: Arc::from("rollcall.toml"),
            line: 1,
            span: (0, 0),
        },
    };
    Export { folder, source }
}

fn limit<T>(value: T) -> Option<Limit<T>> {
    let place = None;
    Some(Limit { value, place })
}

impl Export {
    fn path(&self) -> &Path {
        let SourceKind::Csv { path, .. } = &self.source.kind else {
            unreachable!()
        };
        path
    }

    fn table(&self) -> Table {
        Table::open(&self.source, &Inputs::NONE).unwrap()
    }

    /// Every row's cells joined by `|`, or what is wrong with it.
    fn read(&self) -> Vec<String> {
        match Table::open(&self.source, &Inputs::NONE) {
            Err(error) => vec![error.to_string()],
            Ok(table) => read(&table),
        }
    }
}

fn read(table: &Table) -> Vec<String> {
    let mut rows = table.rows();
    let mut found = Vec::new();
    while let Some(row) = rows.read() {
        found.push(match row {
            Ok(row) => row.cells.iter().collect::<Vec<_>>().join("|"),
            Err(error) => error.to_string(),
        });
    }
    found
}

#[test]
fn rows_are_read_whatever_the_separator_line_end_and_byte_order_mark() {
    let wanted = ["a|x", "b|y"];
    for text in [
        "id,name\na,x\nb,y\n",
        "id;name\r\na;x\r\nb;y\r\n",
        "id\tname\na\tx\nb\ty",
        "\u{feff}id,name\n\n\na,x\n\nb,y\n\n",
        "\u{feff}id;name\r\n\r\na;x\r\nb;y",
        "\"id\",\"name\"\n\"a\",\"x\"\nb,\"y\"\n",
    ] {
        assert_eq!(export(text).read(), wanted, "{text:?}");
    }
}

#[test]
fn quotes_hold_separators_line_breaks_and_doubled_quotes() {
    let text = "id,name\na,\"x, \"\"y\"\"\nz\"\nb,De \"Vries\"\n";
    assert_eq!(export(text).read(), ["a|x, \"y\"\nz", "b|De \"Vries\""]);
}

#[test]
fn the_separator_is_the_one_that_shows_the_contact_column() {
    let text = "id;name, first, last;x\na;b;c\n";
    assert_eq!(
        export(text).table().columns(),
        ["id", "name, first, last", "x"]
    );
    assert_eq!(export("id\na\n").read(), ["a"]);
}

#[test]
fn a_separator_that_is_given_is_not_guessed() {
    let mut export = export("id|a,b\n1|2\n");
    let SourceKind::Csv { delimiter, .. } = &mut export.source.kind else {
        unreachable!()
    };
    *delimiter = Some(b'|');
    assert_eq!(export.table().columns(), ["id", "a,b"]);
}

#[test]
fn a_header_that_cannot_be_used_is_refused() {
    let long = format!("id,{}\n", "x".repeat(1 << 20));
    for (text, says) in [
        (
            &b""[..],
            "is empty: it has no header row with the names of the columns",
        ),
        (
            b"\xef\xbb\xbf\n\n",
            "is empty: it has no header row with the names of the columns",
        ),
        (
            b"id,a,b,id\n",
            "has two columns named \"id\", numbers 1 and 4, and one of them should hold the contacts",
        ),
        (
            b"id,,b\n",
            "has \"\" as the name of column number 2, and it is empty",
        ),
        (
            b"id, a\n",
            "has \" a\" as the name of column number 2, and it has white space at its start or end",
        ),
        (b"id,\xff\n", "is not UTF-8 in row 1, column number 2"),
        (
            b"ids,a\n",
            "has no column \"id\", which should hold the contacts",
        ),
        (long.as_bytes(), "has a header row of more than 1024 KiB"),
    ] {
        assert_eq!(
            export(text).read(),
            [format!("source crm: exports/crm.csv {says}")]
        );
    }
}

#[test]
fn every_bad_row_is_named_and_the_others_are_still_read() {
    let text =
        b"id,name\r\n\r\na,x\r\nb\r\nc,y,z\r\n,x\r\n d,x\r\ne,\xff\r\n\"f\r\n\",x\r\ng,x\r\n";
    let prefix = "source crm: exports/crm.csv";
    assert_eq!(
        export(text).read(),
        [
            "a|x".to_owned(),
            format!(
                "{prefix} has another number of cells in row 3 (line 4) than its header: 1 instead of 2"
            ),
            format!(
                "{prefix} has another number of cells in row 4 (line 5) than its header: 3 instead of 2"
            ),
            format!("{prefix} names no contact in row 5 (line 6): column id is empty"),
            format!(
                "{prefix} has \" d\" as the contact in row 6 (line 7), column id, and it has white space at its start or end"
            ),
            format!("{prefix} is not UTF-8 in row 7 (line 8), column name"),
            format!(
                "{prefix} has \"f\\r\\n\" as the contact in row 8 (line 9), column id, and it holds the control character U+000D"
            ),
            "g|x".to_owned(),
        ]
    );
}

#[test]
fn a_file_that_ends_in_a_quoted_cell_is_refused() {
    for (text, place) in [
        ("id,name\na,x\nb,\"De Vr", "row 3, column name"),
        ("id,name\n\na,x\nb,\"De Vr\n", "row 3 (line 4), column name"),
        ("id,name\na,\"\"\"De\nb,x\n", "row 2, column name"),
        ("id,\"name\na,x\n", "row 1, column number 2"),
    ] {
        let says = format!(
            "source crm: exports/crm.csv ends inside a quoted cell that opens in {place}: it was cut short, or a closing quote is missing"
        );
        assert_eq!(export(text).read().last(), Some(&says), "{text:?}");
    }
    assert_eq!(export("id,name\na,\"x\"").read(), ["a|x"]);
    assert_eq!(export("id,name\na,\"x\"\"\"").read(), ["a|x\""]);
    assert_eq!(export("id,name\n").read(), [""; 0]);
    assert_eq!(export("id,name").read(), [""; 0]);
}

#[test]
fn text_behind_a_closing_quote_is_refused_and_nothing_behind_it_is_read() {
    for (text, place) in [
        (
            "id,name\na,x\nb,\"De \"Molen\"\"\nc,\n",
            "row 3, column name",
        ),
        ("id,name\n\"a\"0,x\n", "row 2, column id"),
        ("id,name\na,\"x\" \n", "row 2, column name"),
        (
            "id,name\nb,\"t Hof\nc,x\nd,\"t Veld\ne,x\n",
            "row 2, column name; that quote is on line 4",
        ),
        ("\"id\"x,name\n", "row 1, column number 1"),
    ] {
        let says = format!(
            "source crm: exports/crm.csv has text behind the closing quote of a cell in {place}"
        );
        assert_eq!(export(text).read().last(), Some(&says), "{text:?}");
    }
}

#[test]
fn a_quote_that_begins_no_cell_is_text() {
    let text = "id\tname\na\tJan \"de\" B\nb\t x\"\nc\t \"y\"\n";
    assert_eq!(
        export(text).read(),
        ["a|Jan \"de\" B", "b| x\"", "c| \"y\""]
    );
}

#[test]
fn a_file_without_quotes_and_one_with_backslashes_are_read_as_they_are_written() {
    let read = |text: &str, quotes: bool, escapes: bool| {
        let mut export = export(text);
        let SourceKind::Csv { quoting, .. } = &mut export.source.kind else {
            unreachable!()
        };
        *quoting = Quoting { quotes, escapes };
        export.read()
    };
    let text = "id\tname\na\t\"Jan\" de Boer\nb\t\"t Hof\nc\t'\n";
    assert_eq!(
        read(text, false, false),
        ["a|\"Jan\" de Boer", "b|\"t Hof", "c|'"]
    );
    let text = r#"id,name
a,"De \"Molen\""
b,\N
c,"x\\"
"d",a\,b\n\
c
e,"\N""#;
    let wanted = [
        "a|De \"Molen\"",
        "b|",
        "c|x\\",
        "d|a,b\n\nc",
        "source crm: exports/crm.csv has a backslash in row 6 (line 7), column name, before something that it does not escape",
    ];
    assert_eq!(read(text, true, true), wanted);
    assert_eq!(read("id\na\\", true, true).len(), 1);
    assert!(read("id\na\\", true, true)[0].contains("row 2, column id"));
    assert_eq!(
        read("id\tx\na\t\\N\nb\tx\\ty\n", false, true),
        ["a|", "b|x\ty"]
    );
}

#[test]
fn a_nul_and_a_header_that_comes_again_are_refused() {
    let prefix = "source crm: exports/crm.csv";
    assert_eq!(
        export("id,name\na,x\0y\n\0,z\nid,name\nb,\"z\"\n").read(),
        [
            format!("{prefix} holds a NUL byte in row 2, column name"),
            format!("{prefix} holds a NUL byte in row 3, column id"),
            format!("{prefix} repeats its header in row 4"),
            "b|z".to_owned(),
        ]
    );
}

#[test]
fn a_column_that_nobody_asks_for_may_be_there_twice() {
    assert_eq!(export("id,a,b,a\n1,2,3,4\n").read(), ["1|2|3|4"]);
}

#[test]
fn a_missing_file_and_a_folder_are_refused() {
    let mut missing = export("");
    let SourceKind::Csv { path, .. } = &mut missing.source.kind else {
        unreachable!()
    };
    path.set_file_name("other.csv");
    assert_eq!(
        missing.read(),
        ["source crm: exports/crm.csv does not exist"]
    );
    let mut folder = export("");
    let SourceKind::Csv { path, .. } = &mut folder.source.kind else {
        unreachable!()
    };
    path.pop();
    assert_eq!(folder.read(), ["source crm: exports/crm.csv is not a file"]);
}

#[test]
fn too_few_rows_are_refused_at_the_end() {
    let mut export = export("id\na\nb\n");
    export.source.min_rows = limit(2);
    assert_eq!(export.read(), ["a", "b"]);
    export.source.min_rows = limit(3);
    assert_eq!(
        export.read(),
        [
            "a",
            "b",
            "source crm: exports/crm.csv has fewer rows than min_rows = 3: 2"
        ]
    );
}

#[test]
fn an_old_file_is_refused_and_one_from_the_future_is_not() {
    let mut export = export("id\n");
    let written: Timestamp = "2026-11-20T08:00:00Z".parse().unwrap();
    let file = fs::File::options().write(true).open(export.path()).unwrap();
    file.set_modified(written.try_into().unwrap()).unwrap();
    export.source.max_age = limit(Duration::from_secs(36 * 3600));
    let table = export.table();
    for fine in ["2026-11-21T20:00:00Z", "2026-01-01T00:00:00Z"] {
        assert!(table.check_age(fine.parse().unwrap()).is_ok());
    }
    let error = table.check_age("2026-11-23T09:00:00Z".parse().unwrap());
    assert_eq!(
        error.unwrap_err().to_string(),
        "source crm: exports/crm.csv was last written 2026-11-20T08:00:00Z, 3 days 1 hour ago, which is more than \
         max_age = 36 hours allows"
    );
}

#[test]
fn rows_can_be_read_again_by_their_ids_even_after_the_file_was_replaced() {
    let export = export("\u{feff}id,name\r\n\r\na,x\r\nb,\"y\r\ny\"\r\nc,z");
    let table = export.table();
    let mut rows = table.rows();
    let mut ids = Vec::new();
    while let Some(row) = rows.read() {
        ids.push(row.unwrap().id);
    }
    let other = export.folder.path().join("new.csv");
    fs::write(&other, "id\nz\n").unwrap();
    fs::rename(&other, export.path()).unwrap();
    let mut buffer = RowBuffer::default();
    for place in [2, 0, 1, 1, 0, 2] {
        let row = table.row(ids[place], &mut buffer).unwrap();
        assert_eq!(row.contact, ["a", "b", "c"][place]);
        assert_eq!(row.cells.get(1), Some(["x", "y\r\ny", "z"][place]));
    }
}

#[test]
fn a_file_that_is_written_over_in_place_is_refused() {
    let export = export("id,name\na,x\n");
    let table = export.table();
    let mut rows = table.rows();
    let id = rows.read().unwrap().unwrap().id;
    fs::write(export.path(), "id\na\nb\nc\nd\n").unwrap();
    let changed = "source crm: exports/crm.csv was changed in place after it was opened";
    let last = std::iter::from_fn(|| rows.read().map(|row| row.map(drop))).last();
    assert_eq!(last.unwrap().unwrap_err().to_string(), changed);
    let again = table.row(id, &mut RowBuffer::default()).map(drop);
    assert_eq!(again.unwrap_err().to_string(), changed);
}

#[test]
fn a_byte_order_mark_in_front_of_a_row_counts_whatever_comes_behind() {
    let plain = export("id,name\n\u{feff}crm-1,x\ncrm-2,y\n").read();
    let quoted = export("id,name\n\u{feff}crm-1,x\ncrm-2,\"y\"\n").read();
    assert_eq!(plain, quoted);
    assert!(plain[0].contains("row 2"), "{plain:?}");
    // What stands behind a mark is no quote, also in the last row.
    assert_eq!(export("id\tx\n\u{feff}\"a").read().len(), 1);
}

#[test]
fn a_quote_behind_many_plain_lines_is_read_as_one() {
    let mut text = "id,name\n".to_owned();
    for row in 0..20_000 {
        text += &format!("crm-{row},a name of some length\r\n");
    }
    text += "crm-a,\"x\ny\"\n\ncrm-b,\"\"\ncrm-c,z";
    let export = export(&text);
    let table = export.table();
    let rows = read(&table);
    assert_eq!(rows.len(), 20_003);
    assert_eq!(
        rows[19_999..],
        [
            "crm-19999|a name of some length",
            "crm-a|x\ny",
            "crm-b|",
            "crm-c|z"
        ]
    );
}

#[test]
fn a_file_that_is_emptied_in_place_is_refused() {
    let export = export("id,name\na,x\n");
    let table = export.table();
    fs::write(export.path(), "").unwrap();
    let changed = "source crm: exports/crm.csv was changed in place after it was opened";
    assert_eq!(read(&table), [changed]);
}

proptest! {
    #[test]
    fn whatever_a_file_holds_every_row_read_is_sound_and_reads_the_same_again(
        bytes in prop_oneof![
            prop::collection::vec(any::<u8>(), 0..200),
            "id[,;\t]x\r?\n(\u{feff}?[a-c \"é,;\t]{0,6}[,;\t]?[\"a]{0,3}\r?\n?){0,12}".prop_map(String::into_bytes),
        ],
    ) {
        let export = export(&bytes);
        let Ok(table) = Table::open(&export.source, &Inputs::NONE) else {
            return Ok(());
        };
        let mut rows = table.rows();
        let mut buffer = RowBuffer::default();
        while let Some(row) = rows.read() {
            if let Ok(row) = row {
                prop_assert!(crate::id::check(row.contact).is_ok());
                prop_assert_eq!(row.cells.len(), table.columns().len());
                let again = table.row(row.id, &mut buffer).unwrap();
                prop_assert_eq!(again.cells, row.cells);
                let at = rows.at();
                prop_assert!(at.line >= 1 && at.row >= 2);
            }
        }
    }
}

#[test]
fn a_file_that_is_no_table_is_not_repeated() {
    let said = export("HOME=/root\0SPOTLER_CONSUMER_SECRET=hush\0").read();
    assert_eq!(said.len(), 1);
    assert!(!said[0].contains("hush"), "{said:?}");
    assert!(said[0].contains("NUL byte"), "{said:?}");
}
