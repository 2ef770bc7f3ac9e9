//! A file is read as it is written, or it is refused: nobody is taken for somebody else, and no row is lost.

mod common;

use common::{Done, Repo, Spotler};

const AUTOMATION: &str = "[automation.welcome]\ntrigger_code = \"0b8f9a52-6d0c-4f1c-8f53-2d6c9c0a7f11\"\n\
                          fields.company = \"{{ name }}\"\n";
const ENROL: &str =
    "[[enrol]]\nautomation = \"welcome\"\nsource = \"crm\"\nwhere.status = \"customer\"\n";

/// A repository that enrols every customer of `crm.csv`, with further settings of its source.
fn repo(settings: &str, export: impl AsRef<[u8]>) -> Repo {
    let source = format!("[source.crm]\ncsv = \"crm.csv\"\ncontact = \"id\"\n{settings}\n");
    let repo = Repo::with(&format!("{AUTOMATION}{source}{ENROL}"));
    repo.write("crm.csv", export);
    repo
}

/// What was said, on one line and without the frame of a terminal's.
fn plain(done: &Done) -> String {
    let text = done.stderr.replace(['│', '×'], " ");
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}

#[test]
fn what_a_file_cannot_mean_is_refused_by_every_command_and_no_cell_is_shown() {
    let files: [(&str, &str, &[u8], &str, &str); 15] = [
        (
            "names that begin with an apostrophe made a quote",
            "c1",
            b"id,name,status\nc1,x,customer\nc2,\"t Hof,customer\nc3,x,customer\nc4,\"t Veld,customer\n",
            "has text behind the closing quote of a cell in row 3, column name; that quote is on line 5",
            "quote = \"none\"",
        ),
        (
            "quotes that are not doubled",
            "c1",
            b"id,name,status\nc1,\"Bakkerij \"De Hush\"\",customer\n",
            "has text behind the closing quote of a cell in row 2, column name",
            "escape = \"\\\\\"",
        ),
        (
            "text behind an id",
            "c1",
            b"id,name,status\n\"crm-6\"0,hush,customer\n",
            "has text behind the closing quote of a cell in row 2, column id",
            "quote = \"none\"",
        ),
        (
            "quotes as MySQL writes them",
            "c1",
            b"id,name,status\nc1,\"De \\\"Hush\\\"\",customer\n",
            "has text behind the closing quote of a cell in row 2, column name",
            "escape = \"\\\\\"",
        ),
        (
            "a quote that is never closed",
            "c1",
            b"id,name,status\nc1,x,customer\nc2,\"hush,customer\nc3,x,customer\n",
            "ends inside a quoted cell that opens in row 3, column name",
            "a cell that begins with a quote must end with one",
        ),
        (
            "a NUL",
            "c1",
            b"id,name,status\nc1,hu\0sh,customer\n",
            "holds a NUL byte in row 2, column name",
            "UTF-8",
        ),
        (
            "a row that is too short",
            "c2",
            b"id,name,status\nc1,hush,customer\nc2,hush\n",
            "has another number of cells in row 3 than its header: 2 instead of 3",
            "delimiter",
        ),
        (
            "a row that is too long",
            "c1",
            b"id,name,status\nc1,hush,x,customer\n",
            "has another number of cells in row 2 than its header: 4 instead of 3",
            "delimiter",
        ),
        (
            "two exports, one behind the other",
            "id",
            b"id,name,status\nc1,x,customer\nid,name,status\nc2,x,customer\n",
            "repeats its header in row 3",
            "two exports in one file",
        ),
        (
            "a row of another contact that is too long",
            "c2",
            b"id,name,status\nc1,hush,customer\nc2,hush,x,customer\nc3,hush,customer\n",
            "has another number of cells in row 3 than its header: 4 instead of 3",
            "delimiter",
        ),
        (
            "two exports, where the contact is in the first",
            "c1",
            b"id,name,status\nc1,x,customer\nid,name,status\nc2,x,customer\n",
            "repeats its header in row 3",
            "two exports in one file",
        ),
        (
            "two exports, one with its header in other letters",
            "c1",
            b"id,name,status\nc1,x,customer\nID,Name,Status\nc2,x,customer\n",
            "repeats its header in row 3",
            "two exports in one file",
        ),
        (
            "a NUL in a row of another contact",
            "c2",
            b"id,name,status\nc1,hu\0sh,customer\nc2,x,customer\n",
            "holds a NUL byte in row 2, column name",
            "UTF-8",
        ),
        (
            "a column that a condition asks for, twice",
            "c1",
            b"id,name,status,status\nc1,x,customer,prospect\n",
            "`status` is a column of source crm twice, as number 3 and as number 4",
            "its own name",
        ),
        (
            "a column that a field asks for, twice",
            "c1",
            b"id,name,name,status\nc1,x,hush,customer\n",
            "`name`, which is a column of source crm twice, as number 2 and as number 3",
            "its own name",
        ),
    ];
    for (what, contact, bytes, says, helps) in files {
        let repo = repo("", bytes);
        for args in [
            &["validate"][..],
            &["plan"],
            &["apply", "--yes"],
            &["explain", contact],
            &["adopt", "--yes"],
        ] {
            let done = repo.run(args).exits(1);
            let said = plain(&done);
            assert!(said.contains(says), "{what}, {args:?}: {said}");
            assert!(said.contains(helps), "{what}, {args:?}: {said}");
            assert!(!said.contains("ush"), "{what}, {args:?}: {said}");
            assert_eq!(done.stdout, "");
        }
        assert!(!repo.has_state(), "{what}");
    }
}

#[test]
fn the_settings_that_a_message_names_read_the_file() {
    let enrolled = |settings: &str, export: &str, name: &str| {
        let repo = repo(settings, export);
        let text = std::fs::read_to_string(repo.file("rollcall.toml")).unwrap();
        repo.write("rollcall.toml", format!("{text}where.name = '{name}'\n"));
        repo.plan().actions()
    };
    let export = "id\tname\tstatus\nc1\t\"Jan\" de Boer\tcustomer\nc2\t\"t Hof\tcustomer\n";
    for (name, who) in [("\"Jan\" de Boer", "c1"), ("\"t Hof", "c2")] {
        let trigger = format!("trigger welcome {who}");
        assert_eq!(enrolled("quote = \"none\"", export, name), [trigger]);
    }
    let export =
        "id,name,status\nc1,\"De \\\"Molen\\\"\",customer\nc2,x\\\\y,customer\nc3,\\N,customer\n";
    for (name, who) in [("De \"Molen\"", "c1"), ("x\\y", "c2")] {
        let trigger = format!("trigger welcome {who}");
        assert_eq!(enrolled("escape = \"\\\\\"", export, name), [trigger]);
    }
}

/// Who is triggered of a file with these settings where a column is so, or what was said.
fn matching(
    settings: &str,
    condition: &str,
    export: impl AsRef<[u8]>,
) -> Result<Vec<String>, String> {
    let source = format!("[source.crm]\ncsv = \"crm.csv\"\ncontact = \"id\"\n{settings}\n");
    let automation = AUTOMATION.replace("fields.company = \"{{ name }}\"\n", "");
    let block =
        format!("[[enrol]]\nautomation = \"welcome\"\nsource = \"crm\"\nwhere.{condition}\n");
    let repo = Repo::with(&format!("{source}{automation}{block}"));
    repo.write("crm.csv", export);
    let done = repo.run(&["plan", "--format", "json", "--now", "2026-11-23"]);
    match done.code {
        Some(0) => {
            let who = done.actions().into_iter();
            Ok(who
                .map(|action| action.replace("trigger welcome ", ""))
                .collect())
        }
        _ => Err(plain(&done)),
    }
}

#[test]
fn a_source_says_how_it_writes_its_values() {
    let matching = |settings: &str, condition: &str, cells: &[&str]| {
        let rows = (1..)
            .zip(cells)
            .map(|(number, cell)| format!("c{number};{cell}\n"));
        let who = matching(
            settings,
            condition,
            format!("id;v\n{}", rows.collect::<String>()),
        );
        who.unwrap_or_else(|said| panic!("{said}")).join(" ")
    };
    let dutch = "dates = \"%d-%m-%Y\"";
    let both = "dates = [\"%d-%m-%Y\", \"%d-%m-%Y %H:%M\"]";
    let booleans = "booleans = { true = [\"ja\"], false = [\"nee\"] }";
    let null = "null = [\"NULL\", \"\\\\N\"]";
    for (settings, condition, cells, who) in [
        (
            "",
            "v = 2026-03-01",
            &["2026-03-01", "2026-01-03"][..],
            "c1",
        ),
        (
            dutch,
            "v = 2026-03-01",
            &["01-03-2026", "1-3-2026", "03-01-2026"],
            "c1 c2",
        ),
        (
            both,
            "v = { within = \"7d\" }",
            &["22-11-2026 23:00", "23-11-2026", "1-11-2026"],
            "c1 c2",
        ),
        (
            "",
            "v = { min = 1250.75 }",
            &["1250.75", "1,250.75", "1250.74"],
            "c1 c2",
        ),
        (
            "decimal = \",\"",
            "v = { min = 1250.75 }",
            &["1250,75", "1.250,75", "1.250", "1.251"],
            "c1 c2 c4",
        ),
        (
            "decimal = \".\"",
            "v = { min = 1250 }",
            &["1,250", "1.250"],
            "c1",
        ),
        (
            booleans,
            "v = true",
            &["ja", "Ja", "nee", "true"],
            "c1 c2 c4",
        ),
        (
            null,
            "v = { exists = false }",
            &["NULL", "\\N", "", "  ", "null", "x"],
            "c1 c2 c3 c4",
        ),
        (null, "v = { not = \"x\" }", &["NULL", "x", "y"], "c1 c3"),
        (null, "v = { min = 1 }", &["NULL", "1"], "c2"),
        (
            "null = \"0000-00-00\"",
            "v = { older_than = \"1d\" }",
            &["0000-00-00", "2026-01-01"],
            "c2",
        ),
        (
            "",
            "v = { after = 2026-01-01 }",
            &["9999-12-31 23:59:59", ""],
            "c1",
        ),
    ] {
        assert_eq!(
            matching(settings, condition, cells),
            who,
            "{settings} {condition}"
        );
    }
}

/// A text in UTF-16, with a byte order mark.
fn utf_16(text: &str, bytes: fn(u16) -> [u8; 2]) -> Vec<u8> {
    format!("\u{feff}{text}")
        .encode_utf16()
        .flat_map(bytes)
        .collect()
}

#[test]
fn a_file_is_read_whatever_it_is_written_in() {
    let text = "id;v\nc1;Zo\u{eb}\nc2;Zoe\n";
    let latin = text.replace('\u{eb}', "?").into_bytes();
    let latin: Vec<u8> = latin
        .iter()
        .map(|byte| if *byte == b'?' { 0xeb } else { *byte })
        .collect();
    let little = utf_16(text, u16::to_le_bytes);
    for (what, settings, bytes) in [
        ("UTF-8", "", text.as_bytes()),
        ("UTF-8, said so", "encoding = \"utf-8\"", text.as_bytes()),
        (
            "UTF-8 with a mark",
            "",
            format!("\u{feff}{text}").as_bytes(),
        ),
        (
            "a line that names the separator",
            "",
            format!("sep=;\r\n{text}").as_bytes(),
        ),
        (
            "the same behind a mark",
            "",
            format!("\u{feff}\"SEP=;\"\n\n{text}").as_bytes(),
        ),
        (
            "a separator that is seldom",
            "",
            format!("sep=|\n{}", text.replace(';', "|")).as_bytes(),
        ),
        (
            "a tab",
            "",
            format!("sep=\t\n{}", text.replace(';', "\t")).as_bytes(),
        ),
        ("windows-1252", "encoding = \"windows-1252\"", &latin),
        ("latin1", "encoding = \"latin1\"", &latin),
        ("UTF-16 of Windows", "", &little),
        ("UTF-16 of others", "", &utf_16(text, u16::to_be_bytes)),
        ("UTF-16, said so", "encoding = \"utf-16\"", &little),
        (
            "UTF-16 without a mark",
            "encoding = \"utf-16le\"",
            &little[2..],
        ),
        (
            "UTF-16 as Excel names the separator",
            "",
            &utf_16(&format!("sep=;\n{text}"), u16::to_le_bytes),
        ),
    ] {
        let who = matching(settings, "v = \"Zo\u{eb}\"", bytes);
        assert_eq!(who, Ok(vec!["c1".to_owned()]), "{what}");
    }
}

#[test]
fn a_large_file_of_another_encoding_gives_the_fields_that_its_rows_have() {
    let rows = (0..3000).map(|row| format!("c{row};Caf\u{e9} \u{4e2d} nr {row};customer\r\n"));
    let text = format!("id;name;status\r\n{}", rows.collect::<String>());
    let sent = |export: &[u8]| {
        let spotler = Spotler::open();
        let repo = repo("", export);
        let toml = std::fs::read_to_string(repo.file("rollcall.toml")).unwrap();
        let named = "contacts = [\"c0\", \"c1777\", \"c2999\"]\nwhere.status";
        let toml = toml.replace("where.status", named);
        let base = format!("[spotler]\nbase_url = {:?}\n", spotler.url());
        repo.write("rollcall.toml", base + &toml);
        repo.apply().exits(0);
        let ledger = spotler.get("ledger");
        let mut sent: Vec<(String, String)> = ledger
            .lines()
            .map(|line| {
                let deed: serde_json::Value = serde_json::from_str(line).unwrap();
                let text = |key: &str| deed[key].as_str().unwrap().to_owned();
                (text("contact"), text("digest"))
            })
            .collect();
        sent.sort();
        sent
    };
    let plain = sent(text.as_bytes());
    assert_eq!(plain.len(), 3);
    assert_eq!(sent(&utf_16(&text, u16::to_le_bytes)), plain);
}

#[test]
fn what_is_no_table_is_told_with_the_way_on() {
    let files: [(&str, &str, &[u8], &str, &str); 17] = [
        (
            "a workbook",
            "",
            b"PK\x03\x04rest",
            "is an Excel workbook (.xlsx), or another packed file",
            "CSV UTF-8",
        ),
        (
            "an old workbook",
            "",
            b"\xd0\xcf\x11\xe0rest",
            "is an Excel workbook (.xls)",
            "CSV UTF-8",
        ),
        (
            "a packed file",
            "",
            b"\x1f\x8brest",
            "is a file that gzip packed",
            "write CSV",
        ),
        (
            "bytes of Windows",
            "",
            b"id;v\nc1;x\nc2;Zo\xeb\n",
            "is not UTF-8 in row 3, column v",
            "encoding = \"windows-1252\"",
        ),
        (
            "UTF-8 that is said to be another encoding",
            "encoding = \"windows-1252\"",
            b"\xef\xbb\xbfid;v\n",
            "begins with the mark of UTF-8, and its `encoding` is windows-1252",
            "take `encoding` out",
        ),
        (
            "half a character",
            "encoding = \"shift_jis\"",
            b"id;v\nc1;\x82\n",
            "is not Shift_JIS in row 2, column v",
            "correct `encoding`",
        ),
        (
            "UTF-16 without a mark",
            "",
            b"i\0d\0;\0v\0\n\0",
            "holds a NUL byte in row 1",
            "encoding = \"utf-16le\"",
        ),
        (
            "bars",
            "",
            b"id|v\nc1|x\n",
            "has no column \"id\", which should hold the contacts: its header is one column alone",
            "delimiter = \"|\"",
        ),
        (
            "semicolons, where commas are said",
            "delimiter = \",\"",
            b"id;v\nc1;x\n",
            "its header is one column alone",
            "delimiter = \";\"",
        ),
        (
            "quoted bars",
            "",
            b"\"id\"|\"v\"\nc1|x\n",
            "has text behind the closing quote of a cell in row 1",
            "delimiter",
        ),
        (
            "a comment",
            "",
            b"# export of today, by x\nid,v\nc1,x\n",
            "begins with a comment, and not with the names of its columns: the columns found are \"# export of today\", \" by \
             x\"; line 2 has a column \"id\"",
            "write nothing before its header",
        ),
        (
            "a title",
            "",
            b"Customers of today\n\nid;v\nc1;x\n",
            "begins with something else, and not with the names of its columns: the columns found are \"Customers of \
             today\"; line 3 has a column \"id\"",
            "write nothing before its header",
        ),
        (
            "a page to log in",
            "",
            b"<!DOCTYPE html>\n<html>\n",
            "begins with HTML or XML, and not with the names of its columns: the columns found are \"<!DOCTYPE html>\"",
            "a page that says why there is no export",
        ),
        (
            "JSON",
            "",
            b"[{\"id\": 1}]\n",
            "begins with JSON",
            "let the export write CSV",
        ),
        (
            "a character that cannot be seen",
            "",
            b"id,v\xe2\x80\x8b\nc1,x\n",
            "has \"v\\u{200b}\" as the name of column number 2, and it holds U+200B, which cannot be seen",
            "take the character out of the name",
        ),
        (
            "a separator at the end of the header",
            "",
            b"id,v,\nc1,x,\n",
            "has \"\" as the name of column number 3, and it is empty",
            "a separator at the end of the header",
        ),
        (
            "another column",
            "",
            b"ids,v\nc1,x\n",
            "has no column \"id\", which should hold the contacts",
            "did you mean \"ids\"?",
        ),
    ];
    for (what, settings, bytes, says, helps) in files {
        let said = matching(settings, "v = \"x\"", bytes).unwrap_err();
        assert!(said.contains(says), "{what}: {said}");
        assert!(said.contains(helps), "{what}: {said}");
    }
}

#[test]
fn what_cannot_be_read_is_told_once_with_the_setting_that_reads_it() {
    let dates = "v = { older_than = \"30d\" }";
    let number = "v = { min = 1000 }";
    for (condition, cells, says, helps) in [
        (
            dates,
            &["31-12-2025", "", "01-03-2026", "2-3-2026", "15-3-2026"][..],
            "column v holds what is not a date in 4 rows, as rollcall.toml:10 wants it: \"31-12-2025\" in row 2, \
             \"01-03-2026\" in row 4, \"2-3-2026\" in row 5, …",
            "write dates = \"%d-%m-%Y\" in [source.crm]",
        ),
        (
            dates,
            &["03/01/2026"],
            "row 2: column v holds \"03/01/2026\", which is not a date, as rollcall.toml:10 wants it",
            "write dates = \"%d/%m/%Y\" in [source.crm]; \"%m/%d/%Y\" would read these cells as other days: look which is right",
        ),
        (
            dates,
            &["31-12-25"],
            "\"31-12-25\", which is not a date",
            "write dates = \"%d-%m-%y\" in [source.crm]",
        ),
        (
            dates,
            &["45717"],
            "\"45717\", which is not a date",
            "45717 is most likely a spreadsheet's own number for 2025-03-01",
        ),
        (
            dates,
            &["0000-00-00", "0000-00-00"],
            "holds what is not a date in 2 rows",
            "write null = \"0000-00-00\" in [source.crm]",
        ),
        (
            dates,
            &["NULL"],
            "\"NULL\", which is not a date",
            "write null = \"NULL\" in [source.crm]",
        ),
        (
            number,
            &["1.250,75", "12,50"],
            "holds what is not a number in 2 rows",
            "write decimal = \",\" in [source.crm]",
        ),
        (
            number,
            &["1,250"],
            "\"1,250\", which is not a number",
            "write decimal = \",\" if 1,250 has a fraction, or decimal = \".\" if its thousands are apart",
        ),
        (
            number,
            &["€ 12"],
            "\"€ 12\", which is not a number",
            "write numbers as 1250 or 1250.75",
        ),
        (
            "v = true",
            &["Ja", "Nee", "Ja"],
            "holds what is not true or false in 3 rows",
            "write booleans = { true = [\"ja\"], false = [\"nee\"] } in [source.crm]",
        ),
    ] {
        let rows = (1..)
            .zip(cells)
            .map(|(number, cell)| format!("c{number};{cell}\n"));
        let export = format!("id;v\n{}", rows.collect::<String>());
        let said = matching("", condition, &export).unwrap_err();
        assert!(said.contains(says), "{cells:?}: {said}");
        assert!(said.contains(helps), "{cells:?}: {said}");
        // What it says to write reads the file.
        if let Some(setting) = helps
            .strip_prefix("write ")
            .and_then(|help| help.split(" in [source").next())
            && setting.contains('=')
            && !setting.contains(" if ")
        {
            matching(setting, condition, &export).unwrap();
        }
    }
}

#[test]
fn a_separator_at_the_end_of_each_row_is_told_once() {
    let said = matching("", "v = \"x\"", "id,v\nc1,x,\nc2,x,\nc3,x,\nc4,x,\n").unwrap_err();
    let says = "has one cell more in row 2 than columns in its header, an empty one; all 4 rows are so: row 2, row 3, row 4, …";
    assert!(said.contains(says), "{said}");
    assert!(
        said.contains("a separator stands at the end of the row"),
        "{said}"
    );
}

#[test]
fn what_stands_for_nothing_is_no_id() {
    let repo = repo("null = [\"NULL\"]", "id,name,status\nNULL,x,customer\n");
    let done = repo.run(&["plan"]).exits(1);
    let says = "names no contact in row 2: column id is empty";
    assert!(plain(&done).contains(says), "{}", done.stderr);
}

#[test]
fn a_setting_has_the_values_that_it_says() {
    for (setting, says) in [
        ("quote = \"'\"", "`quote` cannot be \"'\""),
        ("escape = \"^\"", "`escape` cannot be \"^\""),
        ("encoding = \"cp850\"", "there is no encoding \"cp850\""),
        (
            "encoding = \"iso-2022-jp\"",
            "there is no encoding \"iso-2022-jp\"",
        ),
        ("decimal = \";\"", "`decimal` cannot be \";\""),
        (
            "dates = \"dd-mm-jjjj\"",
            "`dates` cannot be \"dd-mm-jjjj\": it has none of %Y, %m and %d in it",
        ),
        (
            "dates = \"%d-%m\"",
            "`dates` cannot be \"%d-%m\": it gives no day",
        ),
        ("dates = []", "`dates` is empty"),
        ("booleans = {}", "`booleans` is empty"),
        ("booleans = [\"ja\", \"nee\"]", "`booleans` must be a table"),
        (
            "booleans = { true = \"ja\", false = \"JA\" }",
            "\"ja\" stands for true and for false",
        ),
        (
            "booleans = { true = \"false\" }",
            "\"false\" cannot stand for true",
        ),
        (
            "booleans = { yes = \"ja\" }",
            "`booleans` has no setting `yes`",
        ),
        ("null = 0", "`null` must be text"),
        (
            "escape = \"\\\\\"\ndelimiter = \"\\\\\"",
            "cannot both separate and escape",
        ),
    ] {
        let done = repo(setting, "id,name,status\n")
            .run(&["validate"])
            .exits(1);
        assert!(plain(&done).contains(says), "{}", done.stderr);
    }
}

#[test]
fn a_header_alone_is_a_source_without_rows_however_it_ends() {
    for header in [
        "customer_no",
        "customer_no\n",
        "\u{feff}customer_no\r\n",
        "customer_no\r",
    ] {
        let source = "[source.crm]\ncsv = \"crm.csv\"\ncontact = \"customer_no\"\n";
        let all = "[[enrol]]\nautomation = \"welcome\"\nsource = \"crm\"\n";
        let automation = AUTOMATION.replace("fields.company = \"{{ name }}\"\n", "");
        let repo = Repo::with(&format!("{automation}{source}{all}"));
        repo.write("crm.csv", header);
        assert_eq!(repo.plan().actions(), [""; 0], "{header:?}");
        let said = repo.run(&["explain", "o"]).exits(0).stdout;
        assert!(said.contains("not in source crm"), "{header:?}: {said}");
        repo.write(
            "rollcall.toml",
            format!("{automation}{source}min_rows = 1\n{all}"),
        );
        let done = repo.run(&["plan"]).exits(1);
        assert!(
            plain(&done).contains("fewer rows than min_rows = 1: 0"),
            "{}",
            done.stderr
        );
    }
}

/// Everybody whose status is customer, as a CSV file.
fn customers(ids: &[&str]) -> String {
    let rows = ids.iter().map(|id| format!("{id},x,customer\n"));
    format!("id,name,status\n{}", rows.collect::<String>())
}

/// A repository on a sandbox, where three customers were triggered, with further settings of the automation.
fn applied(spotler: &Spotler, settings: &str) -> Repo {
    let repo = repo("", customers(&["crm-1041", "crm-1042", "crm-1043"]));
    let text = std::fs::read_to_string(repo.file("rollcall.toml")).unwrap();
    let text = text.replace("fields.company = \"{{ name }}\"", settings);
    let base = format!(
        "[spotler]\nbase_url = {:?}\nrate = \"1000/s\"\n",
        spotler.url()
    );
    repo.write("rollcall.toml", base + &text);
    repo.run(&["apply", "--yes", "--new-record"]).exits(0);
    repo
}

#[test]
fn a_source_that_ran_dry_stops_nobody_however_few_they_are() {
    for settings in ["", "on_leave = \"keep\"", "leave_after = \"48h\""] {
        for dry in [
            "id,name,status",
            "id,name,status\n",
            "id,name,status\r\n\r\n",
        ] {
            let what = format!("{settings} {dry:?}");
            let spotler = Spotler::open();
            let repo = applied(&spotler, settings);
            repo.write("crm.csv", dry);
            let says = "source crm has no rows, and had 3 at the last apply";
            let plan = repo.run(&["plan"]).exits(0);
            assert!(plan.stdout.contains(says), "{what}: {}", plan.stdout);
            let refused = repo.run(&["apply", "--yes"]).exits(4);
            assert!(refused.stderr.contains(says), "{what}: {}", refused.stderr);
            let says = "3 stopped or let go";
            assert!(refused.stderr.contains(says), "{what}: {}", refused.stderr);
            assert_eq!(spotler.calls(), 3, "{what}");
            // It is whole again: nothing happened.
            repo.write("crm.csv", customers(&["crm-1041", "crm-1042", "crm-1043"]));
            repo.run(&["apply", "--yes"]).exits(0);
            assert_eq!(spotler.calls(), 3, "{what}");
        }
    }
}

#[test]
fn a_source_that_is_meant_to_be_empty_is_applied_once_that_is_allowed() {
    let spotler = Spotler::open();
    let repo = applied(&spotler, "");
    repo.write("crm.csv", "id,name,status\n");
    repo.run(&["apply", "--yes", "--allow-large"]).exits(0);
    assert!(spotler.running().is_empty());
    // From here on it is known to be empty, and then not to be.
    repo.run(&["apply", "--yes"]).exits(0);
    repo.write("crm.csv", customers(&["crm-1044"]));
    repo.run(&["apply", "--yes"]).exits(0);
    repo.write("crm.csv", "id,name,status\n");
    repo.run(&["apply", "--yes"]).exits(4);
}

#[test]
fn an_export_that_ran_dry_after_people_were_adopted_is_seen_too() {
    for part in [&[][..], &["--automation", "welcome"]] {
        let spotler = Spotler::open();
        let repo = applied(&spotler, "");
        std::fs::remove_dir_all(repo.file("state")).unwrap();
        let adopt = [&["adopt", "--yes", "--new-record"], part].concat();
        repo.run(&adopt).exits(0);
        repo.write("crm.csv", "id,name,status\n");
        repo.run(&["apply", "--yes"]).exits(4);
        assert_eq!(spotler.calls(), 3);
    }
}

#[test]
fn a_file_that_was_cut_in_its_last_row_makes_nobody_of_somebody_else() {
    let spotler = Spotler::open();
    let all = "name,status,id\nx,customer,crm-1041\nx,customer,crm-1042\nx,customer,crm-1043\n";
    let repo = applied(&spotler, "");
    repo.write("crm.csv", all);
    repo.run(&["apply", "--yes"]).exits(0);
    repo.write("crm.csv", &all[..all.len() - 2]);
    let says =
        "source crm ends in the middle of a line, and ended with a line end at the last apply";
    for args in [&["plan"][..], &["plan", "--contact", "crm-104"]] {
        let done = repo.run(args).exits(0);
        assert!(done.stdout.contains(says), "{args:?}: {}", done.stdout);
    }
    let refused = repo.run(&["apply", "--yes"]).exits(4);
    assert!(refused.stderr.contains(says), "{}", refused.stderr);
    let says = "1 would be triggered and 1 stopped or let go";
    assert!(refused.stderr.contains(says), "{}", refused.stderr);
    assert_eq!(spotler.calls(), 3);
    // Where nothing would be done because of it, it may end as it likes; but that does not make it known to.
    repo.write("crm.csv", &all[..all.len() - 1]);
    repo.run(&["apply", "--yes"]).exits(0);
    repo.write("crm.csv", &all[..all.len() - 2]);
    repo.run(&["apply", "--yes"]).exits(4);
    repo.write("crm.csv", format!("{all}x,customer,crm-1044"));
    repo.run(&["apply", "--yes"]).exits(4);
    assert_eq!(spotler.calls(), 3);
    // It is known to from the first apply on that is allowed.
    repo.run(&["apply", "--yes", "--allow-large"]).exits(0);
    repo.write("crm.csv", format!("{all}x,customer,crm-1045"));
    repo.run(&["apply", "--yes"]).exits(0);
    assert_eq!(spotler.calls(), 6);
}

/// A repository on a sandbox that enrols in one automation from several lists of ids, and by name.
fn listed(spotler: &Spotler, sources: &[&str], named: &[&str]) -> Repo {
    let repo = Repo::new();
    list(&repo, spotler, sources, named);
    repo
}

fn list(repo: &Repo, spotler: &Spotler, sources: &[&str], named: &[&str]) {
    let mut toml = format!(
        "[spotler]\nbase_url = {:?}\n[automation.care]\ntrigger_code = \"code-c\"\n",
        spotler.url()
    );
    for source in sources {
        toml += &format!(
            "[source.{source}]\ncsv = \"{source}.csv\"\ncontact = \"id\"\n\
             [[enrol]]\nautomation = \"care\"\nsource = \"{source}\"\n"
        );
    }
    if !named.is_empty() {
        toml += &format!("[[enrol]]\nautomation = \"care\"\ncontacts = {named:?}\n");
    }
    repo.write("rollcall.toml", toml);
}

#[test]
fn an_adopt_does_not_make_a_source_known_to_be_dry_or_cut() {
    for broken in ["id\n", "id\na1\na2\na"] {
        for part in [&[][..], &["--automation", "care"], &["--contact", "k2"]] {
            let spotler = Spotler::open();
            let repo = listed(&spotler, &["crm"], &["k1"]);
            repo.write("crm.csv", "id\na1\na2\na3\n");
            repo.apply().exits(0);
            repo.write("crm.csv", broken);
            repo.run(&["apply", "--yes"]).exits(4);
            list(&repo, &spotler, &["crm"], &["k1", "k2"]);
            repo.run(&[&["adopt", "--yes"], part].concat()).exits(0);
            repo.run(&["apply", "--yes"]).exits(4);
            assert_eq!(spotler.calls(), 4, "{broken:?} {part:?}");
        }
    }
}

#[test]
fn people_who_were_adopted_from_a_source_that_had_none_are_safe_from_then_on() {
    let spotler = Spotler::open();
    let repo = listed(&spotler, &["crm"], &["k1"]);
    repo.write("crm.csv", "id");
    repo.apply().exits(0);
    repo.write("crm.csv", "id\na1\n");
    repo.run(&["adopt", "--yes", "--contact", "a1"]).exits(0);
    repo.write("crm.csv", "id\n");
    repo.run(&["apply", "--yes"]).exits(4);
    repo.write("crm.csv", "id\na");
    repo.run(&["apply", "--yes"]).exits(4);
    assert_eq!(spotler.calls(), 1);
}

#[test]
fn a_source_that_ran_dry_is_remembered_whatever_else_is_applied() {
    let spotler = Spotler::open();
    let repo = listed(&spotler, &["crm", "vip"], &["k1"]);
    repo.write("crm.csv", "id\na1\na2\n");
    repo.write("vip.csv", "id\na1\n");
    repo.apply().exits(0);
    // Nobody goes because of it, and who comes does not come from it.
    repo.write("vip.csv", "id\n");
    repo.write("crm.csv", "id\na1\na2\na3\n");
    repo.run(&["apply", "--yes"]).exits(0);
    assert_eq!(spotler.calls(), 4);
    // Somebody may.
    repo.write("crm.csv", "id\na2\na3\n");
    let says = "source vip has no rows, and had 1 at the last apply; in the automations that use it, 0 would be \
                triggered and 1 stopped";
    let refused = repo.run(&["apply", "--yes"]).exits(4);
    assert!(plain(&refused).contains(says), "{}", refused.stderr);
    // Allowed once, it is known to be empty.
    repo.run(&["apply", "--yes", "--allow-large"]).exits(0);
    repo.write("crm.csv", "id\na2\n");
    repo.run(&["apply", "--yes"]).exits(0);
}

#[test]
fn a_header_is_known_again_in_other_letters() {
    let spotler = Spotler::open();
    let repo = listed(&spotler, &["crm"], &[]);
    repo.write("crm.csv", "id,Größe\nc1,x\nID,GRÖßE\nc2,x\n");
    let done = repo.run(&["plan"]).exits(1);
    let says = "repeats its header in row 3";
    assert!(plain(&done).contains(says), "{}", done.stderr);
    // A row that has but the name in common is a row.
    repo.write("crm.csv", "id,Größe\nc1,x\nID,x\n");
    repo.plan().exits(0);
}

#[test]
fn what_is_typed_is_repeated_without_what_cannot_be_seen() {
    let spotler = Spotler::open();
    let repo = listed(&spotler, &[], &["c1"]);
    for args in [
        &["explain", "c1\u{202e}"][..],
        &["adopt", "--contact", "c1\u{202e}"],
    ] {
        let done = repo.run(args);
        let said = done.stdout + &done.stderr;
        assert!(said.contains("c1\\u{202e}"), "{said}");
        assert!(!said.contains('\u{202e}'), "{said:?}");
    }
    for args in [
        &["foo\u{202e}"][..],
        &["plan", "--format", "\u{202e}\u{1b}[31m\u{200f}"],
        &["plan", "--\u{202e}"],
    ] {
        let done = repo.run(args).exits(1);
        assert!(
            done.stderr.contains("\\u{202e}"),
            "{args:?}: {}",
            done.stderr
        );
        assert!(done.stderr.lines().count() > 2, "{}", done.stderr);
        let is_odd = |c: char| matches!(c, '\u{202e}' | '\u{1b}' | '\u{200f}');
        assert!(!done.stderr.contains(is_odd), "{args:?}: {:?}", done.stderr);
    }
}

#[test]
fn who_is_suppressed_does_not_go_because_a_source_ran_dry() {
    let spotler = Spotler::open();
    let repo = applied(&spotler, "");
    let text = std::fs::read_to_string(repo.file("rollcall.toml")).unwrap();
    let suppress = "[[suppress]]\ncontacts = [\"crm-1041\", \"crm-1042\", \"crm-1043\"]\n";
    repo.write("rollcall.toml", text + suppress);
    repo.write("crm.csv", "id,name,status\n");
    repo.run(&["apply", "--yes"]).exits(0);
    assert!(spotler.running().is_empty());
}

#[test]
fn an_id_holds_nothing_that_cannot_be_seen() {
    for (id, code) in [
        ("00302\u{200b}", "U+200B"),
        ("crm\u{a0}1", "U+00A0"),
        ("crm-1\u{202e}2", "U+202E"),
        ("crm-1\u{200f}2", "U+200F"),
        ("crm-1\u{61c}2", "U+061C"),
        ("crm-1\u{e0041}", "U+E0041"),
        ("crm-1\u{fe0f}", "U+FE0F"),
        ("crm-1\u{2800}2", "U+2800"),
        ("crm-1\u{3164}2", "U+3164"),
        ("crm-1\u{ad}2", "U+00AD"),
    ] {
        let done = repo("", customers(&["crm-1", id])).run(&["plan"]).exits(1);
        let says = format!(
            "as the contact in row 3, column id, and it holds {code}, which cannot be seen"
        );
        assert!(plain(&done).contains(&says), "{id:?}: {}", done.stderr);
        assert!(!done.stderr.contains(id), "{id:?} is shown as it is");
        let declared = format!("{AUTOMATION}[[suppress]]\ncontacts = [\"{id}\"]\n");
        let done = Repo::with(&declared.replace("fields.company = \"{{ name }}\"\n", ""));
        let done = done.run(&["validate"]).exits(1);
        assert!(plain(&done).contains(code), "{id:?}: {}", done.stderr);
        assert!(!done.stderr.contains(id), "{id:?} is shown as it is");
    }
    repo(
        "",
        customers(&["klant 12", "Ólafur/ß", "名前", "cafe\u{301}", "👩"]),
    )
    .plan();
}

#[test]
fn what_cannot_be_seen_in_a_cell_is_shown_as_an_escape() {
    let spotler = Spotler::open();
    let repo = applied(&spotler, "");
    let status = "cust\u{200f}\u{202e}om\u{e0041}\u{3164}er";
    let export = customers(&["crm-1041", "crm-1042", "crm-1043"]);
    repo.write(
        "crm.csv",
        export.replace("crm-1041,x,customer", &format!("crm-1041,x,{status}")),
    );
    let shown = r"cust\u{200f}\u{202e}om\u{e0041}\u{3164}er";
    for args in [
        &["plan"][..],
        &["plan", "--format", "markdown"],
        &["plan", "--format", "html"],
        &["explain", "crm-1041"],
    ] {
        let said = repo.run(args).exits(0).stdout;
        assert!(said.contains(shown), "{args:?}: {said}");
        let is_odd = |c: char| matches!(c, '\u{200f}' | '\u{202e}' | '\u{e0041}' | '\u{3164}');
        assert!(!said.contains(is_odd), "{args:?}: {said:?}");
    }
}

#[test]
fn a_saved_plan_holds_no_cell() {
    let spotler = Spotler::open();
    for settings in ["", "on_leave = \"keep\"", "leave_after = \"48h\""] {
        let repo = applied(&spotler, settings);
        let export = customers(&["crm-1041", "crm-1042", "crm-1043"]);
        repo.write(
            "crm.csv",
            export.replace("crm-1041,x,customer", "crm-1041,x,hush"),
        );
        let shown = repo
            .run(&["plan", "--out", "plan.json", "--format", "json"])
            .exits(0);
        assert!(shown.stdout.contains("hush"), "{}", shown.stdout);
        let saved = std::fs::read_to_string(repo.file("plan.json")).unwrap();
        assert!(!saved.contains("hush"), "{saved}");
        assert!(saved.contains("no longer declared"), "{saved}");
        let applied = repo.run(&["apply", "plan.json", "--yes"]).exits(0);
        assert!(applied.stdout.contains("hush"), "{}", applied.stdout);
    }
}

#[test]
fn only_files_that_may_be_configuration_are_read_and_shown() {
    let repo = Repo::with("include = [\"more/*\"]\n");
    repo.write("more/environ", "HUSH=hush\n");
    let secret = repo.file("more/environ");
    let linked = repo.file("linked.toml");
    #[cfg(unix)]
    std::os::unix::fs::symlink(&secret, &linked).unwrap();
    for (include, says) in [
        ("more/*".to_owned(), "which is not called *.toml"),
        (secret.display().to_string(), "which is not called *.toml"),
        (linked.display().to_string(), "which is not called *.toml"),
        (
            "/proc/self/environ".to_owned(),
            "which is not called *.toml",
        ),
    ] {
        repo.write("rollcall.toml", format!("include = [{include:?}]\n"));
        let done = repo.run(&["validate"]).exits(1);
        assert!(plain(&done).contains(says), "{include}: {}", done.stderr);
        assert!(!done.stderr.contains("hush"), "{include}: {}", done.stderr);
        assert!(!done.stderr.contains("SPOTLER_CONSUMER"), "{include}");
    }
    // Nor is what is named on the command line shown where it cannot be one.
    let done = repo
        .run(&["validate", "--config", "/proc/self/environ"])
        .exits(1);
    assert!(plain(&done).contains("holds a NUL byte"), "{}", done.stderr);
    assert!(!done.stderr.contains("PATH"), "{}", done.stderr);
}

#[test]
fn a_configuration_file_that_was_emptied_stops_nobody() {
    let spotler = Spotler::open();
    let repo = applied(&spotler, "");
    let whole = std::fs::read_to_string(repo.file("rollcall.toml")).unwrap();
    let (rest, enrol) = whole.split_once("[[enrol]]").unwrap();
    let included = format!("include = [\"rules/*.toml\"]\n{rest}");
    repo.write("rollcall.toml", &included);
    repo.write("rules/welcome.toml", format!("[[enrol]]{enrol}"));
    repo.run(&["apply", "--yes"]).exits(0);
    for empty in ["", "\n\n", "\u{feff} \r\n"] {
        repo.write("rules/welcome.toml", empty);
        let done = repo.run(&["apply", "--yes"]).exits(1);
        assert!(
            plain(&done).contains("rules/welcome.toml is empty"),
            "{}",
            done.stderr
        );
        assert!(plain(&done).contains("no longer wanted"));
        repo.write("rollcall.toml", empty);
        let done = repo.run(&["apply", "--yes"]).exits(1);
        assert!(
            plain(&done).contains("rollcall.toml is empty"),
            "{}",
            done.stderr
        );
        assert!(!plain(&done).contains("no longer wanted"));
        repo.write("rollcall.toml", &included);
    }
    assert_eq!(spotler.calls(), 3);
}

#[test]
fn two_ids_that_only_their_normal_form_tells_apart_are_an_error() {
    let (one, other) = ("caf\u{e9}-1", "cafe\u{301}-1");
    let says = [
        "these ids differ only in Unicode's normal form",
        r"caf\u{e9}-1 (",
        r"cafe\u{301}-1 (",
    ];
    let check = |repo: &Repo, places: [&str; 2]| {
        for args in [&["validate"][..], &["plan"], &["apply", "--yes"]] {
            let said = plain(&repo.run(args).exits(1));
            for says in says.iter().chain(&places) {
                assert!(said.contains(says), "{args:?} {says}: {said}");
            }
        }
    };
    let both = repo("", customers(&[one, "crm-2", other]));
    check(&both, ["crm.csv, row 2", "crm.csv, row 4"]);
    for (suppressed, enrolled) in [(one, other), (other, one)] {
        let repo = repo("", customers(&["crm-1", enrolled]));
        let text = std::fs::read_to_string(repo.file("rollcall.toml")).unwrap();
        let suppress = format!("[[suppress]]\ncontacts = [{suppressed:?}]\n");
        let suppress = suppress.replace("\\u{301}", "\u{301}");
        repo.write("rollcall.toml", text + &suppress);
        check(&repo, ["crm.csv, row 3", "rollcall.toml:"]);
    }
    // Either alone is fine.
    for id in [one, other] {
        repo("", customers(&[id, id])).plan();
    }
}

#[test]
fn who_is_suppressed_or_expected_under_another_writing_is_told() {
    for (named, written) in [
        ("00302", "302"),
        ("302", "00302"),
        ("CRM-302", "crm-302"),
        ("302", "302.0"),
        ("302", "３０２"),
    ] {
        let blocks = [
            (
                "suppressed",
                format!("[[suppress]]\ncontacts = [{named:?}]\n"),
            ),
            (
                "expected",
                format!("[[expect]]\ncontact = {named:?}\nnot_in = [\"welcome\"]\n"),
            ),
        ];
        for (what, block) in blocks {
            let repo = repo("", customers(&["crm-1", written]));
            let text = std::fs::read_to_string(repo.file("rollcall.toml")).unwrap();
            repo.write("rollcall.toml", format!("{text}{block}"));
            for command in ["validate", "plan"] {
                let done = repo.run(&[command]).exits(0);
                let says = format!(
                    "warning: no source has the {what} contact {named}, and {written} is (source crm: crm.csv, row 3), which \
                     is written almost like it"
                );
                assert!(plain(&done).contains(&says), "{command}: {}", done.stderr);
            }
            // Where it is there as it is written, or nothing like it is, nothing is said.
            for ids in [["crm-1", named], ["crm-1", "crm-2"]] {
                let export = customers(&ids).replace("customer\n", "prospect\n");
                repo.write("crm.csv", export);
                let done = repo.run(&["plan"]).exits(0);
                assert!(!done.stderr.contains("nearly"), "{}", done.stderr);
            }
        }
    }
}

#[test]
fn two_writings_of_one_id_in_a_source_are_reported_by_validate() {
    let export = customers(&["crm-7", "CRM-7", "crm-8", "crm-8", "0099", "99", "crm-9"]);
    let done = repo("", export).run(&["validate"]).exits(0);
    let said = plain(&done);
    for says in [
        "source crm: crm.csv has two ids that differ in case alone: crm-7 in row 2, and CRM-7 in row 3",
        "source crm: crm.csv has two ids that differ only in how they are written: 0099 in row 6, and 99 in row 7",
    ] {
        assert!(said.contains(says), "{said}");
    }
    assert_eq!(said.matches("warning:").count(), 2, "{said}");
}

#[test]
fn a_number_with_more_digits_than_are_compared_is_no_condition() {
    let export = "id,name,status,share\nc1,x,customer,0.1000000000000000055511151231257827021181583404541015625\n";
    let repo = repo("", export);
    let with = |share: &str| {
        let toml = repo.file("rollcall.toml");
        let toml = std::fs::read_to_string(toml).unwrap();
        let before = toml.split("where.share").next().unwrap();
        repo.write("rollcall.toml", format!("{before}where.share = {share}\n"));
        repo.run(&["roster", "--format", "csv"])
    };
    let done = with("0.10000000000000000000000000000000000009").exits(1);
    assert!(
        plain(&done).contains("`share` has more digits than are compared"),
        "{done:?}"
    );
    // A cell may have as many as it likes, and is compared exactly.
    assert!(!with("0.1").exits(0).stdout.contains("c1"));
    assert!(with("{ min = 0.1 }").exits(0).stdout.contains("c1"));
}
