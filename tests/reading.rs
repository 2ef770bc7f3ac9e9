//! A file is read as it is written, or it is refused: nobody is taken for somebody else, and no row is lost.

mod common;

use common::{Done, Repo};

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
    let files: [(&str, &str, &[u8], &str, &str); 11] = [
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
            "has not as many cells in row 3 as columns in its header: 2 instead of 3",
            "delimiter",
        ),
        (
            "a row that is too long",
            "c1",
            b"id,name,status\nc1,hush,x,customer\n",
            "has not as many cells in row 2 as columns in its header: 4 instead of 3",
            "delimiter",
        ),
        (
            "two exports, one behind the other",
            "id",
            b"id,name,status\nc1,x,customer\nid,name,status\nc2,x,customer\n",
            "repeats its header in row 3",
            "one behind the other",
        ),
        (
            "a column that a condition asks for, twice",
            "c1",
            b"id,name,status,status\nc1,x,customer,prospect\n",
            "`status` is a column of source crm twice, as number 3 and as number 4",
            "a name of its own",
        ),
        (
            "a column that a field asks for, twice",
            "c1",
            b"id,name,name,status\nc1,x,hush,customer\n",
            "`name`, which is a column of source crm twice, as number 2 and as number 3",
            "a name of its own",
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

#[test]
fn a_setting_has_the_values_that_it_says() {
    for (setting, says) in [
        ("quote = \"'\"", "`quote` cannot be \"'\""),
        ("escape = \"^\"", "`escape` cannot be \"^\""),
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
