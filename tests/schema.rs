//! The JSON Schema says of every configuration what the reader says of it, as far as a schema can.

mod common;

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

use common::Repo;
use jsonschema::Validator;
use rollcall::config::{self, Config, Problems, SourceKind};
use serde_json::Value;

/// The tables of a configuration: the schema's name for each, how one begins, and what it needs.
const TABLES: [(&str, &str, &[&str]); 28] = [
    ("", "", &[]),
    ("Spotler", "[spotler]", &[]),
    ("Paths", "[spotler.paths]", &[]),
    ("Record", "[record]", &[]),
    ("Guard", "[guard]", &[]),
    ("Window", "[window]", &["triggers = \"08:00-18:00\""]),
    ("Limits", "[limit]", &["per_contact = \"2/7d\""]),
    ("Notify", "[notify]", &["url = \"$ROLLCALL_WEBHOOK\""]),
    ("Time", "[time]", &[]),
    ("Automation", "[automation.x]", &["trigger_code = \"x\""]),
    (
        "TextField",
        "[automation.x]\ntrigger_code = \"x\"\n[automation.x.fields.f]",
        &["value = \"v\""],
    ),
    (
        "ProductsField",
        "[automation.x]\ntrigger_code = \"x\"\n[automation.x.fields.f]",
        &["type = \"productlist\"", "values = \"v\""],
    ),
    (
        "Source",
        "[source.x]",
        &["csv = \"x.csv\"", "contact = \"id\""],
    ),
    (
        "DatabaseSource",
        "[source.x]",
        &[
            "database = \"$SHOP_DATABASE_URL\"",
            "query = \"select 1\"",
            "contact = \"id\"",
        ],
    ),
    (
        "QuerySource",
        "[source.x]",
        &[
            "from = [\"crm\"]",
            "query = \"select 1\"",
            "contact = \"id\"",
        ],
    ),
    (
        "Booleans",
        "[source.x]\ncsv = \"x.csv\"\ncontact = \"id\"\n[source.x.booleans]",
        &["true = \"ja\""],
    ),
    (
        "Enrol",
        "[[enrol]]",
        &["automation = \"winback\"", "source = \"crm\""],
    ),
    (
        "Lot",
        "[[enrol]]\nautomation = \"winback\"\nsource = \"crm\"\n[enrol.lot]",
        &["name = \"x\"", "from = \"0%\"", "to = \"10%\""],
    ),
    (
        "Tests",
        "[[enrol]]\nautomation = \"winback\"\nsource = \"crm\"\n[enrol.where.column]",
        &["exists = true"],
    ),
    ("Suppress", "[[suppress]]", &["contacts = [\"crm-1\"]"]),
    (
        "SuppressList",
        "[source.objections]\ncsv = \"x.csv\"\ncontact = \"id\"\n[[suppress]]",
        &["source = \"objections\""],
    ),
    (
        "Require",
        "[source.consents]\ncsv = \"x.csv\"\ncontact = \"id\"\n[[require]]",
        &["source = \"consents\""],
    ),
    (
        "Exclusive",
        "[[exclusive]]",
        &["automations = [\"winback\", \"vip-care\"]"],
    ),
    ("Freeze", "[[freeze]]", &[]),
    (
        "Merged",
        "[[merged]]",
        &["from = [\"crm-1\"]", "to = \"crm-2\""],
    ),
    (
        "Moved",
        "[[moved]]",
        &["from = \"welcome\"", "to = \"winback\""],
    ),
    (
        "Expect",
        "[[expect]]",
        &["contact = \"crm-1\"", "in = [\"winback\"]"],
    ),
    (
        "Size",
        "[[expect]]\nautomation = \"winback\"\n[expect.size]",
        &["min = 1"],
    ),
];

/// What the examples refer to.
const CONTEXT: &str = "
[automation.winback]
trigger_code = \"a\"
[automation.vip-care]
trigger_code = \"b\"
[automation.customer-lifecycle]
trigger_code = \"c\"
[source.crm]
csv = \"crm.csv\"
contact = \"id\"
min_rows = 1
";

fn schema() -> Value {
    serde_json::from_str(&config::schema::schema()).unwrap()
}

fn validator(schema: &Value) -> Validator {
    jsonschema::draft7::new(schema).unwrap()
}

/// The schema of a table.
fn table<'a>(schema: &'a Value, name: &str) -> &'a Value {
    match name {
        "" => schema,
        name => &schema["definitions"][name],
    }
}

fn properties<'a>(schema: &'a Value, name: &str) -> BTreeMap<&'a str, &'a Value> {
    let properties = table(schema, name)["properties"].as_object().unwrap();
    properties
        .iter()
        .map(|(key, value)| (key.as_str(), value))
        .collect()
}

/// A document as a validator sees it: dates are text.
fn as_json(text: &str) -> Option<Value> {
    fn plain(value: toml::Value) -> Value {
        match value {
            toml::Value::Datetime(at) => Value::String(at.to_string()),
            toml::Value::Array(list) => list.into_iter().map(plain).collect(),
            toml::Value::Table(table) => {
                let entries = table.into_iter();
                Value::Object(entries.map(|(key, value)| (key, plain(value))).collect())
            }
            other => serde_json::to_value(other).unwrap(),
        }
    }
    text.parse::<toml::Table>()
        .ok()
        .map(|table| plain(toml::Value::Table(table)))
}

fn load(repo: &Repo, text: &str) -> Result<Config, Problems> {
    repo.write("lifecycle/some.toml", "# None yet.\n");
    repo.write("rollcall.toml", text);
    config::load(&repo.file("rollcall.toml"))
}

/// A document with a table, and what it refers to.
fn document(header: &str, lines: &[String]) -> String {
    format!("{header}\n{}\n{CONTEXT}", lines.join("\n"))
}

fn inline(value: &Value) -> String {
    toml::Value::try_from(value).unwrap().to_string()
}

#[test]
fn every_table_takes_the_settings_that_the_reader_takes() {
    let schema = schema();
    let repo = Repo::new();
    for (name, header, needs) in TABLES {
        let lines = needs.iter().map(|line| (*line).to_owned());
        let lines: Vec<String> = lines.chain(["zzzzzzzzzzzz = 1".to_owned()]).collect();
        let problems = load(&repo, &document(header, &lines)).unwrap_err();
        let helps = problems.list.iter().filter_map(|problem| {
            let help = problem.help.as_deref()?;
            help.split_once(" takes ").map(|(_, list)| list)
        });
        let list: Vec<&str> = helps.collect();
        let [list] = list.as_slice() else {
            panic!("{name}: {problems:?}");
        };
        let taken: BTreeSet<&str> = list.split('`').skip(1).step_by(2).collect();
        let told: BTreeSet<&str> = properties(&schema, name).into_keys().collect();
        assert_eq!(told, taken, "{name}");
        assert_eq!(
            table(&schema, name)["additionalProperties"],
            false,
            "{name}"
        );
    }
    let definitions = schema["definitions"].as_object().unwrap();
    let tables = definitions
        .values()
        .filter(|one| one["properties"].is_object());
    assert_eq!(tables.count() + 1, TABLES.len());
}

#[test]
fn every_setting_is_described() {
    let schema = schema();
    for (name, ..) in TABLES {
        assert!(table(&schema, name)["description"].is_string(), "{name}");
        for (key, setting) in properties(&schema, name) {
            let text = setting["description"].as_str().unwrap_or_default();
            assert!(text.ends_with('.'), "{name} {key}: {text:?}");
        }
    }
}

#[test]
fn what_a_setting_gives_as_its_examples_can_be_written() {
    let schema = schema();
    let validator = validator(&schema);
    let repo = Repo::new();
    let mut count = 0;
    for (name, header, needs) in TABLES {
        for (key, setting) in properties(&schema, name) {
            for example in setting["examples"].as_array().into_iter().flatten() {
                let needs: &[&str] = match key {
                    "in" | "not_in" if name == "Expect" => &["contact = \"crm-1\""],
                    "automation" | "size" if name == "Expect" => {
                        &["automation = \"winback\"", "size = { min = 1 }"]
                    }
                    _ => needs,
                };
                let others = needs
                    .iter()
                    .filter(|line| line.split(' ').next() != Some(key));
                let mut lines: Vec<String> = others.map(|line| (*line).to_owned()).collect();
                lines.push(format!("{key} = {}", inline(example)));
                let text = document(header, &lines);
                let read = load(&repo, &text);
                assert!(read.is_ok(), "{text}\n{:?}", read.unwrap_err());
                let json = as_json(&text).unwrap();
                let valid = validator.validate(&json);
                assert!(valid.is_ok(), "{text}\n{}", valid.unwrap_err());
                count += 1;
            }
        }
    }
    assert!(count > 30, "{count}");
}

#[test]
fn what_a_setting_gives_as_its_default_is_what_it_is_without() {
    let schema = schema();
    let repo = Repo::new();
    let asked = "[source.crm]\ncsv = \"crm.csv\"\ncontact = \"id\"\nmin_rows = 1\n";
    let [mut without, mut with] = [asked.to_owned(), asked.to_owned()];
    let mut count = 0;
    for (name, header, needs) in TABLES {
        // Two fields of one automation, and three sources: each table begins once.
        let header = match name {
            "TextField" => "[automation.x.fields.t]",
            "ProductsField" => "[automation.x.fields.p]",
            "DatabaseSource" => "[source.y]",
            "QuerySource" => "[source.z]",
            _ => header,
        };
        let settings = properties(&schema, name).into_iter();
        let defaults: Vec<String> = settings
            .filter_map(|(key, setting)| {
                Some(format!("{key} = {}", inline(setting.get("default")?)))
            })
            .collect();
        if defaults.is_empty() {
            continue;
        }
        count += defaults.len();
        for (text, more) in [(&mut without, false), (&mut with, true)] {
            let lines = needs.iter().map(|line| (*line).to_owned());
            let more = defaults.iter().filter(|_| more).cloned();
            let lines: Vec<String> = lines.chain(more).collect();
            *text += &format!("{header}\n{}\n", lines.join("\n"));
        }
    }
    let seen = |text: &str| {
        let config = load(&repo, text).unwrap();
        let automation = &config.automations[0];
        let fields: Vec<_> = automation
            .fields
            .iter()
            .map(|field| &field.template)
            .collect();
        let timeouts: Vec<_> = (config.sources.iter())
            .map(|source| match &source.kind {
                SourceKind::Database { timeout, .. } | SourceKind::Query { timeout, .. } => {
                    Some(*timeout)
                }
                SourceKind::Csv { .. } => None,
            })
            .collect();
        format!(
            "{:?}",
            (
                timeouts,
                (&config.spotler, &config.record.at, &config.zone),
                (
                    &config.guard.max_triggers.value,
                    &config.guard.max_stops.value,
                    &config.guard.max_released.value
                ),
                (
                    automation.participation,
                    automation.on_leave,
                    automation.on_change
                ),
                fields
            )
        )
    };
    assert_eq!(seen(&without), seen(&with));
    assert_eq!(
        count,
        config::schema::schema().matches("\"default\":").count()
    );
}

/// The TOML files of a folder, and of the folders in it.
fn files(folder: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        match path.is_dir() {
            true => found.extend(files(&path)),
            false => found.push(path),
        }
    }
    found
}

#[test]
fn what_the_reader_takes_is_valid_in_every_spelling() {
    let validator = validator(&schema());
    let repo = Repo::new();
    let taken = [
        "[spotler]\nbase_url = \"HTTPS://spotler.example/\"\nrate = \"1.5 / minute\"\ntimeout = \"90min\"",
        "[spotler]\nbase_url = \"http://127.0.0.1:8080\"",
        "[spotler]\nbase_url = \"http://[::1]:8080/\"",
        "[spotler.paths]\nstop_one = \"p/{participation}/of/{trigger_code}?x=y\"",
        "[guard]\nmax_triggers = 0\nmax_stops = 0",
        "[guard]\nmax_triggers = 0x10\nmax_stops = \"0.5 %\"",
        "[guard]\nmax_stops = \"100.0%\"",
        "[window]\ntriggers = \"mon,Wed 08:00-12:00,13:00-17:00, Sat 10:00-12:00 UTC\"",
        "[automation.\"a b\"]\ntrigger_code = \"a.b_c-1\"\nleave_after = \"2w\"",
        "[automation.a]\ntrigger_code = \"a\"\nfields = {}",
        "[automation.a]\ntrigger_code = \"a\"\nfields.f = { value = \"\" }",
        "[automation.a]\ntrigger_code = \"a\"\nfields.f = { type = \"productlist\", values = \"a\\nb\", separator = \"\\n\", each_row = true }",
        "[source.s]\ncsv = \"s.csv\"\ncontact = \"é\"\ndelimiter = \"\\t\"\nmin_rows = 0",
        "[source.s]\ndatabase = \"mysql://db.example/shop\"\nquery = \"select 1\"\ncontact = \"id\"\ntimeout = \"90s\"",
        "[source.s]\nfrom = []\nquery = \"select contact from record\"\ncontact = \"contact\"",
        "[source.s]\nfrom = \"crm\"\nquery = \"select id from crm\"\ncontact = \"id\"",
        "[contact.c]\nday = 2026-03-01\nat = 2026-03-01 12:00:00\nnumber = 1.5\nflag = true\ntext = \"\"",
        "[contact.c]",
        "[[enrol]]\nautomation = \"winback\"\nsource = \"crm\"\nwhere.a = { min = 1, max = 2.5 }",
        "[[enrol]]\nautomation = \"winback\"\nsource = \"crm\"\nwhere.a = { after = 2026-03-01, before = 2026-03-01T12:00:00Z }",
        "[[enrol]]\nautomation = \"winback\"\nsource = \"crm\"\nwhere.a = [1, 2]\nwhere.b = false\nwhere.c = 2026-03-01",
        "[[enrol]]\nautomation = [\"winback\"]\ncontacts = \"crm 1\"",
        "[[suppress]]\ncontacts = \"crm-1\"",
        "[[expect]]\ncontact = \"crm-1\"\nin = \"winback\"\nnot_in = \"vip-care\"",
    ];
    for text in taken {
        let text = document(text, &[]);
        let read = load(&repo, &text);
        assert!(read.is_ok(), "{text}\n{:?}", read.unwrap_err());
        let json = as_json(&text).unwrap();
        let valid = validator.validate(&json).map_err(|error| error.to_string());
        assert_eq!(valid, Ok(()), "{text}");
    }
}

#[test]
fn every_example_and_what_init_writes_is_valid() {
    let validator = validator(&schema());
    let repo = Repo::new();
    repo.run(&["init", "new"]).exits(0);
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut all = files(&root.join("examples"));
    all.extend(files(&repo.file("new")));
    all.retain(|path| path.extension().is_some_and(|end| end == "toml"));
    assert!(all.len() > 8, "{all:?}");
    for path in all {
        let json = as_json(&fs::read_to_string(&path).unwrap()).unwrap();
        let valid = validator.validate(&json).map_err(|error| error.to_string());
        assert_eq!(valid, Ok(()), "{}", path.display());
    }
}

#[test]
fn what_the_reader_refuses_for_its_shape_is_not_valid() {
    let validator = validator(&schema());
    let repo = Repo::new();
    let wrong = [
        "[spotler]\nbase_url = \"http://spotler.example/\"",
        "[spotler]\nconcurrency = 0",
        "[spotler]\nrate = \"20\"",
        "[spotler]\nrate = 20",
        "[spotler]\ntimeout = \"half a minute\"",
        "[spotler]\nconsumer_secret = \"s\"",
        "[spotler.paths]\nstop = \"automation/stop\"",
        "[spotler.paths]\nstop_one = \"automation/stop/{trigger_code}\"",
        "[record]\nurl = \"mysql://x/y\"",
        "[record]\nurl = \"$9\"",
        "[record]\nschema = \"My Schema\"",
        "[guard]\nmax_stops = \"101%\"",
        "[guard]\nmax_triggers = -1",
        "[guard]\nmax_triggers = 1.5",
        "[window]",
        "[window]\ntriggers = \"Mon-Fri\"",
        "[window]\ntriggers = []",
        "[automation.a]",
        "[automation.a]\ntrigger_code = \"a/b\"",
        "[automation.\" a\"]\ntrigger_code = \"a\"",
        "[automation.a]\ntrigger_code = \"a\"\nparticipation = \"twice\"",
        "[automation.a]\ntrigger_code = \"a\"\ncooldown = \"30 days\"",
        "[automation.a]\ntrigger_code = \"a\"\nfields.f = 1",
        "[automation.a]\ntrigger_code = \"a\"\nfields.\"f g\" = \"x\"",
        "[automation.a]\ntrigger_code = \"a\"\nfields.f = { type = \"html\", value = \"x\" }",
        "[automation.a]\ntrigger_code = \"a\"\nfields.f = { type = \"url\", values = [\"x\"] }",
        "[automation.a]\ntrigger_code = \"a\"\nfields.f = { type = \"productlist\", value = \"x\" }",
        "[source.s]\ncontact = \"id\"",
        "[source.s]\ncontact = \"id\"\ndatabase = \"$DB\"",
        "[source.s]\ncontact = \"id\"\ndatabase = \"oracle:x\"\nquery = \"select 1\"",
        "[source.s]\ncontact = \"id\"\ndatabase = \"$DB\"\nquery = \"select 1\"\nmax_age = \"1d\"",
        "[source.s]\ncontact = \"id\"\nfrom = [\"crm\"]",
        "[source.s]\ncontact = \"id\"\nfrom = [\"crm\"]\nquery = \"select 1\"\nmax_age = \"1d\"",
        "[source.s]\ncontact = \"id\"\nfrom = [\"crm\"]\nquery = \"select 1\"\ncsv = \"x.csv\"",
        "[source.s]\ncsv = \"s.csv\"\ncontact = \"id\"\ndelimiter = \";;\"",
        "[source.s]\ncsv = \"s.csv\"\ncontact = \"id\"\nmax_age = \"a day\"",
        "[contact.c]\nattribute = []",
        "[enrol]\nautomation = \"winback\"\nsource = \"crm\"",
        "[[enrol]]\nsource = \"crm\"",
        "[[enrol]]\nautomation = []\nsource = \"crm\"",
        "[[enrol]]\nautomation = \"winback\"\nsource = \"crm\"\nwhere = {}",
        "[[enrol]]\nautomation = \"winback\"\nsource = \"crm\"\nwhere.a = []",
        "[[enrol]]\nautomation = \"winback\"\nsource = \"crm\"\nwhere.a = {}",
        "[[enrol]]\nautomation = \"winback\"\nsource = \"crm\"\nwhere.a = { within = 30 }",
        "[[enrol]]\nautomation = \"winback\"\nsource = \"crm\"\nwhere.a = { before = \"soon\" }",
        "[[suppress]]\nreason = \"x\"",
        "[[expect]]\ncontact = \"c\"",
        "[[expect]]\nautomation = \"winback\"",
        "[[expect]]\nin = [\"winback\"]",
        "[[expect]]\ncontact = \"c\"\nautomation = \"winback\"\nsize = { min = 1 }",
        "[[expect]]\nautomation = \"winback\"\nsize = {}",
    ];
    for text in wrong {
        let text = document(text, &[]);
        assert!(load(&repo, &text).is_err(), "the reader takes {text}");
        let json = as_json(&text).unwrap_or_else(|| panic!("no TOML: {text}"));
        assert!(!validator.is_valid(&json), "valid: {text}");
    }
}
