//! Bad input of every kind is refused with exit 1, file and line, and nothing is sent or written. Each message is a
//! snapshot, for a person to read.

mod common;

use common::Repo;

const BASE: &str = r#"[spotler]
base_url = "sandbox"

[automation.welcome]
trigger_code = "0b8f9a52-6d0c-4f1c-8f53-2d6c9c0a7f11"

[source.crm]
csv = "crm.csv"
contact = "id"

[contact.c-1]
status = "customer"
since = 2025-03-01
visits = 3

"#;

const CRM: &str =
    "id,status,since,visits,company\nc-1,customer,2025-03-01,3,Voorbeeld\nc-2,prospect,,,\n";

/// What is said to each of these, one behind the other.
fn said(cases: &[(&str, &str)]) -> String {
    let mut all = String::new();
    for (name, toml) in cases {
        let repo = Repo::with(toml);
        repo.write("crm.csv", CRM);
        all.push_str(&refused(name, &repo));
    }
    all
}

/// What is said to the same configuration with more behind it.
fn said_to_more(cases: &[(&str, &str)]) -> String {
    let whole: Vec<(&str, String)> = cases
        .iter()
        .map(|(name, more)| (*name, format!("{BASE}{more}\n")))
        .collect();
    let cases: Vec<(&str, &str)> = whole
        .iter()
        .map(|(name, toml)| (*name, toml.as_str()))
        .collect();
    said(&cases)
}

fn refused(name: &str, repo: &Repo) -> String {
    // A plan and an apply say the same, and neither leaves anything behind.
    let done = repo.run(&["validate"]).exits(1);
    assert_eq!(done.stdout, "", "{name}");
    for args in [&["plan"][..], &["apply", "--yes"]] {
        let other = repo.run(args).exits(1);
        assert_eq!(other.stderr, done.stderr, "{name}");
        assert_eq!(other.stdout, "", "{name}");
    }
    assert!(!repo.has_state(), "{name}: something was written");
    assert!(!done.stderr.contains('\u{1b}'), "{name}: {:?}", done.stderr);
    assert!(!done.stderr.contains("hush"), "{name}: {:?}", done.stderr);
    format!("## {name}\n{}\n", done.stderr)
}

/// Compares with what was approved under the test's name.
fn snapshot(text: &str) {
    let thread = std::thread::current();
    let name = thread.name().unwrap().to_owned();
    insta::with_settings!({ omit_expression => true }, { insta::assert_snapshot!(name, text) });
}

#[test]
fn unknown_keys_and_names() {
    snapshot(&said_to_more(&[
        (
            "a table that there is not",
            "[automations.x]\ntrigger_code = \"a\"",
        ),
        (
            "a setting of an automation",
            "[automation.x]\ntriger_code = \"0b8f9a52-6d0c-4f1c-8f53-2d6c9c0a7f11\"",
        ),
        ("a setting of the guard", "[guard]\nmax_trigger = 5"),
        ("files below a table", "[time]\ninclude = [\"more.toml\"]"),
        (
            "a setting of a source",
            "[source.x]\ncsv = \"crm.csv\"\ncontact = \"id\"\nseparator = \";\"",
        ),
        (
            "a setting of a block",
            "[[enrol]]\nautomation = \"welcome\"\nsource = \"crm\"\nwhen.status = \"customer\"",
        ),
        (
            "an automation",
            "[[enrol]]\nautomation = \"welcom\"\nsource = \"crm\"",
        ),
        (
            "a source",
            "[[enrol]]\nautomation = \"welcome\"\nsource = \"crmm\"",
        ),
        (
            "an attribute",
            "[[enrol]]\nautomation = \"welcome\"\nwhere.statsu = \"customer\"",
        ),
        (
            "a column in where",
            "[[enrol]]\nautomation = \"welcome\"\nsource = \"crm\"\nwhere.statsu = \"customer\"",
        ),
        (
            "a test of a condition",
            "[[enrol]]\nautomation = \"welcome\"\nsource = \"crm\"\nwhere.since = { olderthan = \"30d\" }",
        ),
    ]));
}

#[test]
fn a_name_that_is_nowhere_is_told_beside_the_problems_of_what_is_there() {
    let repo = Repo::with(
        "[automation.welcome]\ntriger_code = \"w\"\n[source.crm]\ncsv = \"crm.csv\"\n\
         [[enrol]]\nautomation = \"welcome\"\nsource = \"crm\"\n\
         [[enrol]]\nautomation = \"winback\"\nsource = \"crmm\"\n\
         [[moved]]\nfrom = \"older\"\nto = \"newer\"\n",
    );
    let problems = refused("a broken automation and names that are nowhere", &repo);
    for problem in ["`triger_code`", "\"winback\"", "\"crmm\"", "\"newer\""] {
        assert!(problems.contains(problem), "{problem} in {problems}");
    }
    for known in [
        "there is no automation \"welcome\"",
        "there is no source \"crm\"",
    ] {
        assert!(!problems.contains(known), "{known} in {problems}");
    }
}

#[test]
fn wrong_types_and_values() {
    snapshot(&said(&[
        (
            "text where a number is wanted",
            "[spotler]\nbase_url = \"sandbox\"\nconcurrency = \"8\"",
        ),
        ("a number out of range", "[spotler]\nconcurrency = 0"),
        (
            "a secret in a file",
            "[spotler]\nconsumer_secret = \"hush\"\nconsumer_key = \"hush\"\ntimeot = \"30s\"",
        ),
        ("no rate", "[spotler]\nrate = \"20 per second\""),
        (
            "plain http",
            "[spotler]\nbase_url = \"http://restapi.mailplus.nl/x\"",
        ),
        (
            "a password in the URL",
            "[spotler]\nbase_url = \"https://me:hush@restapi.mailplus.nl/x\"",
        ),
        ("no URL", "[spotler]\nbase_url = \"restapi.mailplus.nl\""),
        (
            "a path without its placeholder",
            "[spotler.paths]\nstop = \"automation/stop\"",
        ),
        (
            "another database",
            "[record]\nurl = \"mysql://localhost/x\"",
        ),
        (
            "a password in a file",
            "[record]\nurl = \"postgres://me:hush@localhost/x\"",
        ),
        (
            "an unknown parameter",
            "[record]\nurl = \"postgres://localhost/x?channel_binding=require\"",
        ),
        ("no database", "[record]\nurl = \"postgres://localhost\""),
        ("no variable", "[record]\nurl = \"$9\""),
        (
            "a schema that needs quotes",
            "[record]\nurl = \"postgres://localhost/x\"\nschema = \"My Schema\"",
        ),
        ("a record outside", "[record]\nurl = \"sqlite:../x.db\""),
        ("no percentage", "[guard]\nmax_stops = \"a few\""),
        ("a negative limit", "[guard]\nmax_triggers = -1"),
        ("no time zone", "[time]\nzone = \"Europe/Amsterdm\""),
        (
            "no window",
            "[window]\ntriggers = [\"Mon-Fri\", \"Mon 8:00-18:00\", \"08:00-18:00 Europe/Amsterdm\"]",
        ),
        ("an empty window", "[window]"),
        (
            "a ramp that is no number",
            "[automation.x]\ntrigger_code = \"0b8f9a52-6d0c-4f1c-8f53-2d6c9c0a7f11\"\nmax_per_day = \"500\"\nmax_stops = \"half\"",
        ),
        (
            "no trigger code",
            "[automation.x]\nparticipation = \"once\"",
        ),
        (
            "a trigger code that leaves its path",
            "[automation.x]\ntrigger_code = \"../x\"",
        ),
        (
            "a participation that there is not",
            "[automation.x]\ntrigger_code = \"0b8f9a52-6d0c-4f1c-8f53-2d6c9c0a7f11\"\nparticipation = \"onse\"",
        ),
        (
            "no span",
            "[automation.x]\ntrigger_code = \"0b8f9a52-6d0c-4f1c-8f53-2d6c9c0a7f11\"\ncooldown = \"30 days\"",
        ),
        (
            "a database",
            "[source.x]\ndatabase = \"oracle://me:hush@db.example/shop\"\nquery = \"select 1\"\ncontact = \"id\"",
        ),
        (
            "no column of the contacts",
            "[source.x]\ncsv = \"crm.csv\"\ncontact = \"\"",
        ),
        (
            "an address in place of a file",
            "[source.x]\ncsv = \"https://me:hush@x/crm.csv?sig=hush\"\ncontact = \"id\"",
        ),
        (
            "an age that no file keeps",
            "[source.x]\ncsv = \"crm.csv\"\ncontact = \"id\"\nmax_age = \"0s\"",
        ),
        (
            "a block about nobody",
            "[automation.x]\ntrigger_code = \"0b8f9a52-6d0c-4f1c-8f53-2d6c9c0a7f11\"\n[[enrol]]\nautomation = \"x\"\nwhere.status = \"customer\"",
        ),
        (
            "no share to shrink by",
            "[source.x]\ncsv = \"crm.csv\"\ncontact = \"id\"\nmax_shrink = 30",
        ),
        (
            "a long delimiter",
            "[source.x]\ncsv = \"crm.csv\"\ncontact = \"id\"\ndelimiter = \"::\"",
        ),
        ("one bracket for two", "[enrol]\nautomation = \"x\""),
        (
            "several things at once",
            "[spotler]\nconcurrency = 0\nrate = 5\n[guard]\nmax_stops = \"200%\"",
        ),
        (
            "what is no TOML, twice",
            "[spotler\nrate = \"20/s\"\n[guard]\nmax_triggers = = 5\n",
        ),
    ]));
}

#[test]
fn slips() {
    let source = |path: &str| format!("[source.x]\ncontact = \"id\"\ncsv = {path}");
    let cases = [
        ("a percentage", "[guard]\nmax_stops = 15%".to_owned()),
        (
            "a date of a Dutch spreadsheet",
            "[[enrol]]\nautomation = \"welcome\"\nwhere.since = { before = 01-01-2026 }".to_owned(),
        ),
        (
            "a date that may be two",
            "[[enrol]]\nautomation = \"welcome\"\nwhere.since = 01-03-2026".to_owned(),
        ),
        (
            "a fraction with a comma",
            "[[enrol]]\nautomation = \"welcome\"\nwhere.visits = { min = 25,50 }".to_owned(),
        ),
        (
            "a value of somebody",
            "[contact.x]\nbirth = 31-12-1970\nname = hush".to_owned(),
        ),
        ("a path of Windows", source("\"C:\\exports\\crm.csv\"")),
        ("another one", source("\"C:\\temp\\new.csv\"")),
        ("a home", source("\"~/exports/crm.csv\"")),
        ("a variable", source("\"${EXPORTS}/crm.csv\"")),
        ("a pattern", source("\"exports/crm-*.csv\"")),
        ("a workbook", source("\"exports/crm.xlsx\"")),
        ("text without quotes", source("exports/crm.csv")),
        ("a city", "[time]\nzone = \"Amsterdam\"".to_owned()),
        (
            "a zone in a window",
            "[window]\ntriggers = \"08:00-18:00 Europe/Amsterdm\"".to_owned(),
        ),
        (
            "one bracket and two",
            "[[suppress]]\ncontacts = \"c-1\"\n[suppress]\ncontacts = \"c-2\"".to_owned(),
        ),
        (
            "two brackets for one",
            "[[automation.x]]\ntrigger_code = \"x\"".to_owned(),
        ),
        (
            "a table without a name",
            "[automation]\ntrigger_code = \"x\"".to_owned(),
        ),
        ("an included home", "include = [\"~/x.toml\"]".to_owned()),
    ];
    let cases: Vec<(&str, &str)> = cases
        .iter()
        .map(|(name, toml)| (*name, toml.as_str()))
        .collect();
    let (included, cases) = cases.split_last().unwrap();
    let cases: Vec<(&str, &str)> = cases.to_vec();
    snapshot(&(said_to_more(&cases) + &said(&[*included])));
}

#[test]
fn conditions() {
    let block = "[[enrol]]\nautomation = \"welcome\"\nsource = \"crm\"\n";
    let cases = [
        ("an empty array", "where.status = []"),
        ("mixed types", "where.status = [\"a\", 1]"),
        ("an empty table", "where.status = {}"),
        (
            "bounds the wrong way round",
            "where.visits = { min = 5, max = 3 }",
        ),
        (
            "bounds of two types",
            "where.since = { min = 5, max = 2025-01-01 }",
        ),
        (
            "text where a date is wanted",
            "where.since = { before = \"2025-01-01\" }",
        ),
        (
            "a span that is none",
            "where.since = { within = \"a month\" }",
        ),
        ("a time without a date", "where.since = 12:00:00"),
        ("no number", "where.visits = nan"),
        ("empty text", "where.status = \"\""),
        ("empty text among others", "where.status = [\"x\", \"\"]"),
        ("anything but empty text", "where.status = { not = \"\" }"),
        (
            "absent and with a value",
            "where.visits = { exists = false, min = 3 }",
        ),
        (
            "text and a number at once",
            "where.visits = { not = \"a\", min = 3 }",
        ),
        (
            "a date and a number at once",
            "where.since = { within = \"30d\", min = 3 }",
        ),
        (
            "an age that there is not",
            "where.since = { within = \"30d\", older_than = \"4w\", not = 2025-01-01 }\nwhere.visits = 1\n[[enrol]]\nautomation = \"welcome\"\nwhere.since = { older_than = \"30d\", within = \"30d\" }",
        ),
        (
            "a day before itself",
            "where.since = { min = 2025-01-01, before = 2025-01-01 }",
        ),
        (
            "a day after itself",
            "where.since = { after = 2025-01-01, max = 2025-01-01 }",
        ),
        ("a cell that is no number", "where.status = { min = 3 }"),
        (
            "a cell that is no date",
            "where.status = { older_than = \"30d\" }",
        ),
    ];
    let whole: Vec<(&str, String)> = cases
        .iter()
        .map(|(name, line)| (*name, format!("{block}{line}")))
        .collect();
    let cases: Vec<(&str, &str)> = whole
        .iter()
        .map(|(name, toml)| (*name, toml.as_str()))
        .collect();
    snapshot(&said_to_more(&cases));
}

#[test]
fn contacts_and_blocks() {
    snapshot(&said_to_more(&[
        (
            "a control character",
            "[[enrol]]\nautomation = \"welcome\"\ncontacts = [\"a\\u001b[31mb\"]",
        ),
        (
            "an attribute with what cannot be seen",
            "[contact.c-7]\n\"sta\u{200b}tus\" = \"hush\"",
        ),
        (
            "an attribute without a name",
            "[contact.c-7]\n\"\" = \"hush\"",
        ),
        (
            "contacts by another name",
            "[contacts.c-1]\ncompany = \"hush\"",
        ),
        ("a padded id", "[[suppress]]\ncontacts = [\" c-1\"]"),
        (
            "a contact twice",
            "[[enrol]]\nautomation = \"welcome\"\ncontacts = [\"c-1\", \"c-2\", \"c-1\"]",
        ),
        (
            "an automation twice",
            "[[enrol]]\nautomation = [\"welcome\", \"welcome\"]\ncontacts = [\"c-1\"]",
        ),
        ("no automation", "[[enrol]]\nsource = \"crm\""),
        (
            "no column to repeat by",
            "[automation.r]\ntrigger_code = \"5f0e8b1c-8a53-4a0e-9d55-0f5b7c1f9d10\"\nrepeat_by = \"\"",
        ),
        (
            "an attribute of another type",
            "[[enrol]]\nautomation = \"welcome\"\nwhere.since = \"2025-03-01\"",
        ),
        (
            "repeating without an occurrence",
            "[automation.r]\ntrigger_code = \"5f0e8b1c-8a53-4a0e-9d55-0f5b7c1f9d10\"\nrepeat_by = \"order\"\n[[enrol]]\nautomation = \"r\"\ncontacts = [\"c-1\"]",
        ),
    ]));
}

#[test]
fn expectations() {
    let block = "[automation.vip]\ntrigger_code = \"5f0e8b1c-8a53-4a0e-9d55-0f5b7c1f9d10\"\n[[enrol]]\nautomation = \"welcome\"\nsource = \"crm\"\nwhere.status = \"customer\"\n[[enrol]]\nautomation = \"vip\"\ncontacts = [\"c-1\"]\n[[suppress]]\ncontacts = [\"c-9\"]\nreason = \"objected\"\n";
    let cases = [
        (
            "all that is not as expected at once",
            "[[expect]]\ncontact = \"c-2\"\nin = [\"welcome\", \"vip\"]\n[[expect]]\ncontact = \"c-1\"\nin = \"welcome\"\nnot_in = [\"vip\"]\n[[expect]]\ncontact = \"c-8\"\nin = \"welcome\"\n[[expect]]\ncontact = \"c-9\"\nin = \"welcome\"\n[[expect]]\nautomation = \"welcome\"\nsize = { min = 2 }\n[[expect]]\nautomation = \"vip\"\nsize = { max = 0 }",
        ),
        ("nothing expected", "[[expect]]\ncontact = \"c-1\""),
        (
            "two things in one",
            "[[expect]]\ncontact = \"c-1\"\nin = \"vip\"\nautomation = \"vip\"\nsize = { min = 1 }",
        ),
        (
            "automations that there are not",
            "[[expect]]\ncontact = \"c-1\"\nin = \"vipp\"\n[[expect]]\nautomation = \"welcom\"\nsize = { min = 1 }",
        ),
        (
            "no size",
            "[[expect]]\nautomation = \"vip\"\nsize = {}\n[[expect]]\nautomation = \"vip\"\nsize = { min = 3, max = 2 }\n[[expect]]\nautomation = \"vip\"\nsize = 3",
        ),
    ];
    let whole: Vec<(&str, String)> = cases
        .iter()
        .map(|(name, more)| (*name, format!("{block}{more}")))
        .collect();
    let cases: Vec<(&str, &str)> = whole
        .iter()
        .map(|(name, toml)| (*name, toml.as_str()))
        .collect();
    snapshot(&said_to_more(&cases));
}

#[test]
fn expectations_that_hold_are_in_nobodys_way() {
    let repo = Repo::with(&format!(
        "{BASE}[[enrol]]\nautomation = \"welcome\"\nsource = \"crm\"\nwhere.status = \"customer\"\n\
         [[expect]]\ncontact = \"c-1\"\nin = \"welcome\"\n[[expect]]\ncontact = \"c-2\"\nnot_in = \"welcome\"\n\
         [[expect]]\nautomation = \"welcome\"\nsize = {{ min = 1, max = 1 }}\n"
    ));
    repo.write("crm.csv", CRM);
    repo.run(&["validate"]).exits(0);
    assert_eq!(repo.plan().actions(), ["trigger welcome c-1"]);
    // A contact is explained even where the roster is not as expected.
    repo.write("crm.csv", CRM.replace("c-2,prospect", "c-2,customer"));
    repo.run(&["plan"]).exits(1);
    repo.run(&["explain", "c-2"]).exits(0);
}

#[test]
fn fields() {
    let field = |line: &str| {
        format!(
            "[automation.f]\ntrigger_code = \"5f0e8b1c-8a53-4a0e-9d55-0f5b7c1f9d10\"\n[automation.f.fields]\n{line}\n[[enrol]]\nautomation = \"f\"\nsource = \"crm\"\n"
        )
    };
    let cases = [
        ("a name with a space", field("\"my field\" = \"x\"")),
        (
            "a name with another space",
            field("\"my\u{a0}field\" = \"x\""),
        ),
        (
            "a name with what cannot be seen",
            field("\"my\u{200b}field\" = \"x\""),
        ),
        ("no name", field("\"\" = \"x\"")),
        ("a name twice", field("a = \"x\"\nb = \"y\"\na = \"z\"")),
        (
            "a type that there is not",
            field("a = { type = \"image\", value = \"x\" }"),
        ),
        ("no value", field("a = { type = \"url\" }")),
        ("no template", field("a = \"{{ company\"")),
        ("a column that there is not", field("a = \"{{ compny }}\"")),
        ("a column in other case", field("a = \"{{ Company }}\"")),
        (
            "no URL for anybody",
            field("a = { type = \"url\", value = \"shop.example/cart\" }"),
        ),
        (
            "an empty URL",
            field("a = { type = \"url\", value = \"\" }"),
        ),
        (
            "no products",
            field("a = { type = \"productlist\", values = [] }"),
        ),
        (
            "an empty product id for everybody",
            field("a = { type = \"productlist\", values = [\"sku-1\", \"\"] }"),
        ),
        (
            "an empty product id behind a comma",
            field("a = { type = \"productlist\", values = \"sku-1,\" }"),
        ),
        (
            "products under the wrong key",
            field("a = { type = \"productlist\", value = \"sku-1\" }"),
        ),
        (
            "no URL, which is not shown",
            field("a = { type = \"url\", value = \"{{ company }}\" }"),
        ),
        (
            "no products",
            field("a = { type = \"productlist\", values = [] }"),
        ),
        (
            "an empty product id",
            field("a = { type = \"productlist\", values = \"x,{{ visits }}\" }"),
        ),
    ];
    let cases: Vec<(&str, &str)> = cases
        .iter()
        .map(|(name, toml)| (*name, toml.as_str()))
        .collect();
    let said = said_to_more(&cases);
    assert!(!said.contains("Voorbeeld"), "a field's value is shown");
    snapshot(&said);
}

#[test]
fn fields_whose_names_differ_in_case_alone_are_warned_of() {
    let repo = Repo::with(&format!(
        "{BASE}[automation.f]\ntrigger_code = \"5f0e8b1c-8a53-4a0e-9d55-0f5b7c1f9d10\"\n\
         fields.company = \"a\"\nfields.Company = \"b\"\nfields.city = \"c\"\n\
         [[enrol]]\nautomation = \"f\"\nsource = \"crm\"\nfields.City = \"d\"\n\
         [[enrol]]\nautomation = \"f\"\ncontacts = [\"c-9\"]\nfields.city = \"e\"\n"
    ));
    repo.write("crm.csv", CRM);
    snapshot(&repo.run(&["validate"]).exits(0).stderr);
}

#[test]
fn several_files() {
    let mut all = String::new();
    let mut case = |name: &str, root: &str, files: &[(&str, &str)]| {
        let repo = Repo::with(root);
        repo.write("crm.csv", CRM);
        for (file, text) in files {
            repo.write(file, text);
        }
        all.push_str(&refused(name, &repo));
    };
    let include = format!("include = [\"more/*.toml\"]\n{BASE}");
    case("an include that names nothing", &include, &[]);
    case(
        "an include that leaves the repository",
        "include = [\"../*.toml\"]",
        &[],
    );
    case(
        "an include in an included file",
        &include,
        &[("more/a.toml", "include = [\"b.toml\"]\n")],
    );
    case(
        "an automation defined twice",
        &include,
        &[(
            "more/a.toml",
            "[automation.welcome]\ntrigger_code = \"5f0e8b1c-8a53-4a0e-9d55-0f5b7c1f9d10\"\n",
        )],
    );
    case(
        "a setting set twice",
        &include,
        &[("more/a.toml", "[spotler]\nbase_url = \"sandbox\"\n")],
    );
    case(
        "a source that leaves the repository",
        "[source.x]\ncsv = \"../x.csv\"\ncontact = \"id\"",
        &[],
    );
    let repo = Repo::with(&include);
    repo.write("crm.csv", CRM);
    repo.write("more/a.toml", b"# one\n# \xff\n");
    all.push_str(&refused("a file that is not UTF-8", &repo));
    snapshot(&all);
}

#[test]
fn tables_of_contacts() {
    let mut all = String::new();
    let enrol = "[[enrol]]\nautomation = \"welcome\"\nsource = \"crm\"\n";
    let mut case = |name: &str, more: &str, csv: Option<&[u8]>| {
        let repo = Repo::with(&format!("{BASE}{more}\n"));
        if let Some(csv) = csv {
            repo.write("crm.csv", csv);
        }
        all.push_str(&refused(name, &repo));
    };
    case("a file that is not there", enrol, None);
    case("an empty file", enrol, Some(b""));
    case("no column of that name", enrol, Some(b"ID,status\nc-1,x\n"));
    case(
        "a column twice that a condition asks for",
        &format!("{enrol}where.status = \"x\"\n"),
        Some(b"id,status,status\nc-1,x,y\n"),
    );
    case(
        "text behind a closing quote",
        enrol,
        Some(b"id,status\nc-1,\"t Hof\nc-2,\"t Veld\n"),
    );
    case("a NUL byte", enrol, Some(b"id,status\nc-1,x\0\n"));
    case("a header again", enrol, Some(b"id,status\nid,status\n"));
    case(
        "a ragged row",
        enrol,
        Some(b"id,status\nc-1,x\nc-2\nc-3,x,y\n"),
    );
    case("an empty id", enrol, Some(b"id,status\n,x\n"));
    case("a padded id", enrol, Some(b"id,status\n c-1,x\n"));
    case(
        "a control character in an id",
        enrol,
        Some(b"id,status\nc\x1b[31m,x\n"),
    );
    case("not UTF-8", enrol, Some(b"id,status\nc-1,caf\xe9\n"));
    case(
        "a quote that is not closed",
        enrol,
        Some(b"id,status\nc-1,\"x\nc-2,y\n"),
    );
    let few = "[source.few]\ncsv = \"crm.csv\"\ncontact = \"id\"\nmin_rows = 100\n[[enrol]]\nautomation = \"welcome\"\nsource = \"few\"";
    case("too few rows", few, Some(b"id,status\nc-1,x\n"));
    let repeated = "[automation.r]\ntrigger_code = \"5f0e8b1c-8a53-4a0e-9d55-0f5b7c1f9d10\"\nrepeat_by = \"order\"\n[[enrol]]\nautomation = \"r\"\nsource = \"crm\"";
    case(
        "an occurrence that is empty",
        repeated,
        Some(b"id,order\nc-1,o-1\nc-1,\n"),
    );
    case(
        "no column to repeat by",
        repeated,
        Some(b"id,ordr\nc-1,o-1\n"),
    );
    let differ = "[automation.f]\ntrigger_code = \"5f0e8b1c-8a53-4a0e-9d55-0f5b7c1f9d10\"\nfields.city = \"{{ city }}\"\n[[enrol]]\nautomation = \"f\"\nsource = \"crm\"";
    case(
        "fields that differ",
        differ,
        Some(b"id,city\nc-1,Utrecht\nc-1,Gent\n"),
    );
    assert!(
        !all.contains("Utrecht") && !all.contains("Gent"),
        "a field's value is shown"
    );
    snapshot(&all);
}

#[test]
fn what_is_no_toml() {
    let mut all = String::new();
    let mut case = |name: &str, root: &str, more: &str| {
        let repo = Repo::with(root);
        repo.write("more.toml", more);
        repo.write("crm.csv", CRM);
        all.push_str(&refused(name, &repo));
    };
    let broken = |line: &str| {
        format!(
            "include = [\"more.toml\"]\n\n{BASE}[automation.x]\n{line}\n\n[guard]\nmax_trigger = 5\n"
        )
    };
    let more = "[[enrol]]\nautomation = \"x\"\nsource = \"crm\"\nwhere.status = \"\"\n";
    for (name, line) in [
        ("a value without quotes", "trigger_code = 0b8f9a52-6d0c"),
        (
            "a key without a value",
            "trigger_code\nparticipation = \"once\"",
        ),
        (
            "a string without an end",
            "trigger_code = \"0b8f9a52\nrepeat_by = \"order",
        ),
        ("an array without an end", "contacts = [\"c-1\",\n"),
        ("a table without an end", "fields = { a = \"x\",\n"),
        (
            "many quotes without an end",
            "trigger_code = \"\"\"0b8f9a52\n",
        ),
        (
            "a header without an end",
            "[automation.y\ntrigger_code = \"..\"",
        ),
    ] {
        case(name, &broken(line), more);
    }
    case(
        "a broken include",
        &format!("include = [\"more.toml\"\n{BASE}"),
        more,
    );
    case(
        "a broken file beside a good one",
        &format!("include = [\"more.toml\"]\n{BASE}[guard]\nmax_trigger = 5\n"),
        "[automation.y]\ntrigger_code = \"..\"\n\n[[enrol]]\nautomation = y\nsource = 5\n",
    );
    case(
        "defined twice in one file",
        &format!(
            "{BASE}[automation.welcome]\ntrigger_code = \"x\"\n\n[guard]\nmax_triggers = 5\nmax_trigger = 6\nmax_triggers = 7\n\n[[enrol]]\nautomation = \"welcom\"\nsource = \"crm\"\nwhere.status = \"a\"\nwhere.status = \"b\"\n"
        ),
        "",
    );
    case(
        "defined twice in other ways",
        &format!(
            "{BASE}[enrol]\nautomation = \"welcome\"\n[[enrol]]\nsource = \"crm\"\nwhere = {{ a = 1, a = 2 }}\n[spotler.paths]\nlist = \"a\"\n[spotler]\npaths.stop = \"x\"\n"
        ),
        "",
    );
    snapshot(&all);
}

#[test]
fn lines_that_are_hard_to_show() {
    let ids: Vec<String> = (1..=3000).map(|number| format!("\"c-{number}\"")).collect();
    let first = ids.join(", ");
    let last = first.replace("c-", "d-");
    let said = said_to_more(&[
        (
            "one of very many, in one line",
            &format!("[[suppress]]\ncontacts = [{first}, \" c\", {last}]"),
        ),
        (
            "two of very many, in one line",
            &format!("[[suppress]]\ncontacts = [{first}, \"c-7\"]"),
        ),
        (
            "tabs, wide characters and control characters",
            "[automation.x]\n\ttrigger_code = \"a\"\tsize = 3\n# \u{1b}[31m 名前 \u{202e}",
        ),
        (
            "a secret of several lines",
            "[automation.x]\nsecret = \"\"\"\nhush\n\"\"\"\ntrigger_code = \"..\"",
        ),
    ]);
    for line in said.lines() {
        assert!(unicode_width::UnicodeWidthStr::width(line) <= 100, "{line}");
    }
    snapshot(&said);
}
