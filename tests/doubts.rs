//! What can hardly be meant is a warning of `validate`, and an error with `--strict`.

mod common;

use common::{Done, Repo};

const AUTOMATION: &str =
    "[automation.welcome]\ntrigger_code = \"0b8f9a52-6d0c-4f1c-8f53-2d6c9c0a7f11\"\n";
const BLOCK: &str = "[[enrol]]\nautomation = \"welcome\"\nsource = \"crm\"\n";

/// A repository with one source, further settings of it, and further lines of the block that draws on it.
fn repo(settings: &str, lines: &str, export: &str) -> Repo {
    let source = format!("[source.crm]\ncsv = \"crm.csv\"\ncontact = \"id\"\n{settings}\n");
    let repo = Repo::with(&format!("{AUTOMATION}{source}{BLOCK}{lines}\n"));
    repo.write("crm.csv", export);
    repo
}

/// What was said, on one line and without the frame of a terminal's.
fn plain(done: &Done) -> String {
    let text = done.stderr.replace(['│', '×', '⚠'], " ");
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}

/// What `validate` warns of.
fn warned(repo: &Repo) -> String {
    let warned = plain(&repo.run(&["validate"]).exits(0));
    let strict = repo.run(&["validate", "--strict"]);
    let code = if warned.is_empty() { 0 } else { 1 };
    assert_eq!(strict.code, Some(code), "{warned}\n{}", strict.stderr);
    assert_eq!(strict.stdout.is_empty(), code == 1);
    warned
}

#[test]
fn ids_that_a_program_wrote_anew_are_shown_by_validate_and_counted_by_plan() {
    for (ids, says, helps) in [
        (
            &["1042.0", "1043.0", "1044.0", "1045.0"][..],
            "source crm: crm.csv has 4 ids with a fraction of zeros: \"1042.0\" in row 2, \"1043.0\" in row 3, \"1044.0\" in \
             row 4, …",
            "a program took the ids for numbers",
        ),
        (
            &["1.0E+05"],
            "has 1 id written with an exponent: \"1.0E+05\" in row 2",
            "several may have become one",
        ),
        (
            &["\"=\"\"00123\"\"\""],
            "has 1 id written as a formula: \"=\\\"00123\\\"\" in row 2",
            "without = and quotes",
        ),
        (
            &["#N/A", "NULL"],
            "has 2 ids that stand for nothing: \"#N/A\" in row 2, \"NULL\" in row 3",
            "leave such rows out",
        ),
        (
            &["----------", "c1", "(2 rows affected)"],
            "has 1 id that a database client wrote around its rows: \"(2 rows affected)\" in row 4",
            "let it write the rows alone",
        ),
    ] {
        let repo = repo("", "", &format!("id\n{}\n", ids.join("\n")));
        let said = warned(&repo);
        assert!(said.contains(says), "{said}");
        assert!(said.contains(helps), "{said}");
        let odd = ids.iter().filter(|id| **id != "c1").count();
        let s = if odd == 1 { "" } else { "s" };
        let says = format!(
            "source crm: crm.csv has {odd} id{s} that a program seems to have written anew help: `rollcall validate` shows which"
        );
        let said = plain(&repo.run(&["plan"]).exits(0));
        assert!(said.contains(&says), "{said}");
    }
}

#[test]
fn ids_that_are_as_they_were_meant_are_not_warned_of() {
    let ids = [
        "crm-1042",
        "1042",
        "12E5",
        "a.0",
        "-1",
        "#12",
        "1042.5",
        "+31612345678",
    ];
    assert_eq!(
        warned(&repo("", "", &format!("id\n{}\n", ids.join("\n")))),
        ""
    );
}

#[test]
fn what_no_row_has_is_warned_of() {
    let export = "id,status,score\nc1,customer,1\nc2,Prospect,2\nc3,,3\n";
    for (lines, says) in [
        (
            "where.status = \"klant\"",
            "no row of source crm: crm.csv has \"klant\" in column status",
        ),
        (
            "where.status = { not = \"klant\" }",
            "help: it leaves nobody out today; correct it",
        ),
        (
            "where.status = [\"customer\", \"a\", \"b\", \"c\", \"d\"]",
            "no row of source crm: crm.csv has \"a\" or \"b\" or \"c\", … in column status",
        ),
        (
            "where.status = { not = \"prospect\" }",
            "no row of source crm: crm.csv has \"prospect\" in column status, and row 3 has \"Prospect\"",
        ),
        (
            "where.status = \"customer \"",
            "no row of source crm: crm.csv has \"customer \" in column status, and row 2 has \"customer\"",
        ),
        (
            "contacts = [\"c1\", \"c4\"]",
            "source crm: crm.csv has no contact c4",
        ),
        (
            "contacts = [\"C1\"]",
            "source crm: crm.csv has no contact C1 (row 2 has c1)",
        ),
        (
            "contacts = [\"c4\", \"c5\", \"c6\", \"c7\"]",
            "source crm: crm.csv has none of 4 contacts: c4, c5, c6, …",
        ),
        ("where.status = [\"customer\", \"Prospect\"]", ""),
        ("where.score = 4", ""),
        ("contacts = [\"c1\", \"c2\"]", ""),
    ] {
        let said = warned(&repo("", lines, export));
        match says.is_empty() {
            true => assert_eq!(said, "", "{lines}"),
            false => assert!(said.contains(says), "{lines}: {said}"),
        }
    }
    // A source without rows has nothing to match.
    assert_eq!(warned(&repo("", "where.status = \"x\"", "id,status\n")), "");
}

#[test]
fn cells_that_may_mean_something_else_are_warned_of() {
    let nulls = "id,v\nc1,NULL\nc2,x\nc3,NULL\n";
    let fractions = "id,v\nc1,1.250\nc2,10\nc3,12.500\n";
    let exists = "where.v = { exists = true }";
    let number = "where.v = { min = 5 }";
    for (settings, lines, export, says) in [
        (
            "",
            exists,
            nulls,
            "`exists` reads column v, and there 2 cells stand for nothing: \"NULL\" in row 2, \"NULL\" in row 4",
        ),
        ("null = \"NULL\"", exists, nulls, ""),
        ("", "where.v = { not = \"x\" }", nulls, ""),
        (
            "",
            number,
            fractions,
            "every fraction in column v has three digits, as 1.250 in source crm: crm.csv, row 2",
        ),
        ("decimal = \".\"", number, fractions, ""),
        ("decimal = \",\"", number, fractions, ""),
        ("", number, "id,v\nc1,1.250\nc2,1.5\n", ""),
        ("", number, "id,v\nc1,1\n", ""),
    ] {
        let said = warned(&repo(settings, lines, export));
        match says.is_empty() {
            true => assert_eq!(said, "", "{settings} {lines}"),
            false => assert!(said.contains(says), "{settings} {lines}: {said}"),
        }
    }
}

#[test]
fn rules_are_checked_without_sources() {
    let right = "where.status = \"customer\"";
    let repo_with =
        |lines: &str| repo("max_age = \"1s\"\nmin_rows = 10", lines, "id,status\nc1,\n");
    let check = |repo: &Repo| repo.run(&["validate", "--no-sources", "--now", "2030-01-01"]);
    let done = check(&repo_with(right)).exits(0);
    let says = "The configuration is valid: 1 automation, 1 source, 1 [[enrol]] block. The rows of its sources were not read.\n";
    assert_eq!(done.stdout, says);
    // A column is checked where it can be known.
    let wrong = repo_with("where.statsu = \"customer\"");
    let said = plain(&check(&wrong).exits(1));
    assert!(
        said.contains("`statsu` is not a column of source crm"),
        "{said}"
    );
    let export = wrong.file("crm.csv");
    std::fs::write(&export, "ids,statsu\n").unwrap();
    let said = plain(&check(&wrong).exits(1));
    assert!(said.contains("has no column \"id\""), "{said}");
    for other in [&b""[..], b"PK\x03\x04"] {
        std::fs::write(&export, other).unwrap();
        check(&wrong).exits(0);
    }
    std::fs::remove_file(&export).unwrap();
    check(&wrong).exits(0);
    wrong.run(&["validate"]).exits(1);
    // What needs no row is found all the same.
    let said = plain(&check(&repo_with("fields.a = \"{{ status | shout }}\"")).exits(1));
    assert!(said.contains("shout"), "{said}");
}

#[test]
fn an_old_row_that_matches_beside_a_newer_one_is_warned_of() {
    let export = "id,last_order,status\nc1,2020-01-01,a\nc2,2020-01-01,b\nc1,2026-11-01,b\n";
    let says = "has several rows of one contact (row 2 and row 4), and this matches an old one of somebody who has a newer";
    for lines in [
        "where.last_order = { older_than = \"365d\" }",
        "where.status = { not = \"a\" }",
    ] {
        let said = warned(&repo("", lines, export));
        assert!(
            said.contains(says) && said.contains("from` and a query"),
            "{said}"
        );
        assert_eq!(
            warned(&repo("", lines, &export.replace("c1,2026", "c3,2026"))),
            ""
        );
        let repeating = repo("", lines, export);
        let toml = std::fs::read_to_string(repeating.file("rollcall.toml")).unwrap();
        let toml = toml.replace(
            "[automation.welcome]",
            "[automation.welcome]\nrepeat_by = \"last_order\"",
        );
        repeating.write("rollcall.toml", toml);
        assert_eq!(warned(&repeating), "");
    }
    assert_eq!(warned(&repo("", "where.status = \"b\"", export)), "");
}

#[test]
fn an_automation_in_which_somebody_may_be_twice_at_once_is_warned_of() {
    let with = |more: &str| {
        let repo = repo("", "", "id\nc1\n");
        let toml = std::fs::read_to_string(repo.file("rollcall.toml")).unwrap();
        let more = format!("[automation.welcome]\non_leave = \"keep\"\n{more}");
        repo.write("rollcall.toml", toml.replace("[automation.welcome]", &more));
        warned(&repo)
    };
    let said = with("");
    assert!(
        said.contains("who leaves and comes back is in two at once"),
        "{said}"
    );
    for more in [
        "cooldown = \"30d\"",
        "runs_for = \"30d\"",
        "participation = \"once\"",
        "participation = \"once-while-running\"",
    ] {
        assert_eq!(with(more), "");
    }
}

#[test]
fn a_warning_of_the_configuration_is_an_error_where_that_is_wanted() {
    let repo = Repo::with("[automation.welcome]\ntrigger_code = \"a\"\n");
    for args in [&["validate"][..], &["validate", "--no-sources"]] {
        let done = repo.run(args).exits(0);
        assert!(
            plain(&done).contains("warning: the trigger code of welcome is not a UUID"),
            "{}",
            done.stderr
        );
        let done = repo.run(&[args, &["--strict"]].concat()).exits(1);
        let said = plain(&done);
        assert!(
            said.contains("the trigger code of welcome is not a UUID"),
            "{said}"
        );
        assert!(!said.contains("warning:"), "{said}");
        assert_eq!(done.stdout, "");
    }
}

#[test]
fn warnings_are_shown_beside_what_is_wrong() {
    let expected = "[[expect]]\ncontact = \"crm-1\"\nin = [\"welcome\"]\n";
    let unmet = "contact crm-1 is expected in welcome, and is not in it";
    let nearly = "CRM-1 is (source crm: crm.csv, row 2), which is written almost like it";
    let uuid = "the trigger code of welcome is not a UUID";
    let code = "[automation.welcome]\ntrigger_code = \"a\"\n";
    let source = "[source.crm]\ncsv = \"crm.csv\"\ncontact = \"id\"\n";
    let repo = Repo::with(&format!("{code}{source}{BLOCK}{expected}"));
    for (export, wanted) in [
        ("id\nCRM-1\n", &[unmet, nearly, uuid][..]),
        ("id\nCRM-1,x\n", &["another number of cells", uuid]),
    ] {
        repo.write("crm.csv", export);
        for args in [&["validate"][..], &["validate", "--strict"]] {
            let said = plain(&repo.run(args).exits(1));
            for wanted in wanted {
                assert!(said.contains(wanted), "{args:?} {wanted}: {said}");
            }
            assert_eq!(said.contains("warning:"), args.len() == 1, "{said}");
        }
    }
}
