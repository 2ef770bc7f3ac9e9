//! The values of personalisation fields go to Spotler and nowhere else: a run of everything, with a marker in each, and
//! a search for it in every output and every file.

mod common;

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::LazyLock;

use common::{Done, Repo, Spotler};
use rollcall::sandbox::{Options, Publication, Setting, Trigger};
use serde_json::json;

/// What no output and no file holds, in whatever letters or encoding.
const MARKER: &str = "Zq7GeheimWx";

const CODE: &str = "0b8f9a52-6d0c-4f1c-8f53-2d6c9c0a7f11";

/// Base64 of what surely is in it, wherever in a longer text it begins.
fn base64(bytes: &[u8], offset: usize) -> String {
    const DIGITS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let whole = &bytes[offset..];
    let groups = whole.chunks_exact(3).flat_map(|group| {
        let bits = u32::from(group[0]) << 16 | u32::from(group[1]) << 8 | u32::from(group[2]);
        [18, 12, 6, 0].map(|shift| char::from(DIGITS[(bits >> shift) as usize & 63]))
    });
    groups.collect()
}

/// The marker in all encodings, in lower case as they are searched for.
fn encodings() -> Vec<String> {
    let hex = |before: &str| -> String {
        let digits = MARKER.bytes().map(|byte| format!("{before}{byte:02x}"));
        digits.collect()
    };
    let mut all = vec![
        MARKER.to_owned(),
        MARKER.chars().rev().collect(),
        // UTF-16, whichever of two bytes comes first.
        MARKER
            .chars()
            .map(String::from)
            .collect::<Vec<_>>()
            .join("\0"),
        hex(""),
        hex("%"),
        hex("\\u00"),
    ];
    all.extend((0..3).map(|offset| base64(MARKER.as_bytes(), offset)));
    for encoding in &mut all {
        encoding.make_ascii_lowercase();
    }
    all
}

fn is_marked(bytes: &[u8]) -> bool {
    static ENCODINGS: LazyLock<Vec<String>> = LazyLock::new(encodings);
    // Bytes that are no text stay apart from those that are.
    let text = String::from_utf8_lossy(bytes).to_ascii_lowercase();
    ENCODINGS.iter().any(|wanted| text.contains(wanted))
}

/// A repository and what was made sure of in it.
struct Trial {
    repo: Repo,
    /// What the configuration holds, where the marker may be.
    own: Vec<PathBuf>,
}

impl Trial {
    fn new() -> Self {
        let repo = Repo::new();
        fs::create_dir(repo.file("tmp")).unwrap();
        let tmp = repo.file("tmp").to_str().unwrap().to_owned();
        Self {
            repo: repo.env("TMPDIR", &tmp),
            own: Vec::new(),
        }
    }

    fn write(&mut self, name: &str, text: impl AsRef<[u8]>) {
        self.repo.write(name, text);
        self.own.push(self.repo.file(name));
    }

    /// Runs a command in the most talkative way there is, in both forms of the log, and searches.
    #[track_caller]
    fn run(&self, args: &[&str]) -> Done {
        self.run_with(args, "json");
        self.run_with(args, "text")
    }

    #[track_caller]
    fn run_with(&self, args: &[&str], log: &str) -> Done {
        let mut all = args.to_vec();
        all.extend(["-vv", "--log-format", log]);
        let done = self.repo.run(&all);
        assert!(
            !is_marked(done.stdout.as_bytes()),
            "{args:?}\n{}",
            done.stdout
        );
        assert!(
            !is_marked(done.stderr.as_bytes()),
            "{args:?}\n{}",
            done.stderr
        );
        self.search(self.repo.path());
        done
    }

    #[track_caller]
    fn search(&self, folder: &Path) -> usize {
        let mut files = 0;
        for entry in fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                files += self.search(&path);
            } else if !self.own.contains(&path) {
                assert!(!is_marked(&fs::read(&path).unwrap()), "{}", path.display());
                files += 1;
            }
        }
        files
    }
}

/// A configuration with the marker in every column but the id and the status, and in every declared contact.
fn config(base_url: &str, customers: &str) -> String {
    let fields = "\
        company = \"{{ company }}\"\nwhole = \"{{ contact }}: {{ company | upper }}\"\n\
        link = { type = \"url\", value = \"https://shop.example/{{ token }}?{{ token }}\" }\n\
        productlist = { type = \"productlist\", values = \"{{ products }}\" }\n\
        others = { type = \"productlist\", values = [\"{{ token }}\", \"sku-1\"] }\n";
    format!(
        "[spotler]\nbase_url = {base_url:?}\nrate = \"100000/s\"\ntimeout = \"1s\"\nconcurrency = 2\n\
         [guard]\nmax_stops = \"100%\"\n\
         [automation.rows]\ntrigger_code = \"{CODE}\"\nparticipation = \"once-while-running\"\n\
         [automation.rows.fields]\n{fields}\
         [automation.orders]\ntrigger_code = \"orders\"\nrepeat_by = \"order\"\n[automation.orders.fields]\n{fields}\
         [automation.declared]\ntrigger_code = \"declared\"\n[automation.declared.fields]\n{fields}\
         [source.crm]\ncsv = \"crm.csv\"\ncontact = \"id\"\n\
         [[enrol]]\nautomation = [\"rows\", \"orders\"]\nsource = \"crm\"\nwhere.status = {customers:?}\n\
         [[enrol]]\nautomation = \"declared\"\nwhere.status = \"customer\"\n\
         [contact.toml-1]\nstatus = \"customer\"\ncompany = \"{MARKER} BV\"\ntoken = \"t-{MARKER}\"\n\
         products = \"{MARKER},a{MARKER}\"\n\
         [contact.toml-2]\nstatus = \"customer\"\ncompany = \"B {MARKER}\"\ntoken = \"{MARKER}\"\nproducts = \"{MARKER}\"\n"
    )
}

fn crm(contacts: u32, token: &str) -> String {
    let mut csv = "id,status,order,company,token,products\n".to_owned();
    for n in 0..contacts {
        csv.push_str(&format!(
            "c-{n},customer,o-{n},\"{MARKER}, {n}\",{token}{n}-{MARKER},\"{MARKER}-{n}, x{MARKER}\"\n"
        ));
    }
    csv
}

/// Every command that reads.
fn look(trial: &Trial) {
    trial.run(&["validate"]).exits(0);
    for format in ["text", "json"] {
        trial.run(&["plan", "--format", format]).exits(0);
        trial.run(&["history", "--format", format]).exits(0);
        trial.run(&["history", "c-1", "--format", format]).exits(0);
        trial.run(&["record", "list", "--format", format]).exits(0);
        for contact in ["c-1", "toml-1"] {
            trial
                .run(&["record", "show", contact, "--format", format])
                .exits(0);
            trial
                .run(&["explain", contact, "--format", format])
                .exits(0);
        }
    }
    for format in ["csv", "json"] {
        trial
            .run(&["record", "export", "--format", format])
            .exits(0);
    }
    for format in ["text", "csv", "json"] {
        trial.run(&["roster", "--format", format]).exits(0);
    }
    trial.run(&["automations"]);
    // What these write is searched like every other file.
    for format in ["markdown", "html"] {
        trial.run(&["plan", "--format", format]).exits(0);
    }
    trial.run(&["plan", "--diff"]).exits(0);
    trial.run(&["plan", "--out", "plan.json"]).exits(0);
    trial.run(&["report", "--html", "report.html"]).exits(0);
}

#[test]
fn no_value_of_a_field_is_in_any_output_or_file() {
    let code = |name: &str, setting| Trigger {
        publications: vec![
            Publication {
                setting,
                ..Publication::default()
            },
            Publication {
                active: name != "rows",
                ..Publication::default()
            },
        ],
        ..Trigger::new(name, if name == "rows" { CODE } else { name }, setting)
    };
    let spotler = Spotler::start(Options {
        triggers: vec![
            code("rows", Setting::OnceWhileRunning),
            code("orders", Setting::Unlimited),
            code("declared", Setting::Unlimited),
        ],
        unknown_contacts: vec!["c-0".to_owned()],
        ..Options::default()
    });
    let mut trial = Trial::new();
    trial.write("crm.csv", crm(30, "tok"));
    trial.write("rollcall.toml", config(&spotler.url(), "customer"));

    // A run that dies leaves its log of writes behind.
    let mut dying = trial.repo.command(&["apply", "--yes", "-vv"]);
    let died = dying
        .env("ROLLCALL_FAILPOINT", "send:after:5")
        .output()
        .unwrap();
    assert_eq!(died.status.code(), None);
    assert!(!is_marked(&died.stdout) && !is_marked(&died.stderr));
    assert!(
        trial.search(trial.repo.path()) >= 2,
        "there is a log of writes"
    );

    for faults in [
        json!([{ "fault": "echo", "probability": 0.5 }]),
        json!([
            { "fault": "echo", "probability": 0.1 },
            { "fault": "reset-after", "probability": 0.1 },
            { "fault": "limit", "retry_after": "0", "probability": 0.1 },
            { "fault": "truncated", "probability": 0.1 },
            { "fault": "wrong-types", "probability": 0.1 },
        ]),
        json!([{ "fault": "error-before", "times": 1 }]),
    ] {
        spotler.fault(faults);
        for _ in 0..3 {
            trial.run_with(&["apply", "--yes", "--format", "json"], "json");
            trial.run_with(&["apply", "--yes"], "text");
        }
        look(&trial);
        // Other values, so that what failed for good is sent again.
        trial.write("crm.csv", crm(30, "other"));
    }
    spotler.fault(json!([]));
    assert!(spotler.ledger().len() > 30, "values were sent");
    let history = trial.run(&["history", "--format", "json"]).exits(0).stdout;
    for word in [
        "\"failed-for-good\"",
        "\"UNKNOWN, HTTP 400\"",
        "AUTOMATION_INACTIVE",
    ] {
        assert!(history.contains(word), "{word} did not come about");
    }
    trial.run(&["resolve", "--as", "active", "--yes"]);

    // All leave, and one is erased.
    trial.write("rollcall.toml", config(&spotler.url(), "nobody"));
    look(&trial);
    spotler.fault(json!([{ "fault": "echo", "kind": "stop", "times": 3 }]));
    trial.run(&["apply", "--yes"]);
    trial.run(&["record", "forget", "c-1", "--yes"]).exits(0);
    look(&trial);
}

#[test]
fn the_built_in_sandbox_remembers_no_value_either() {
    let mut trial = Trial::new();
    trial.write("crm.csv", crm(3, "tok"));
    trial.write("rollcall.toml", config("sandbox", "customer"));
    trial.run(&["adopt", "--automation", "rows", "--contact", "c-0", "--yes"]);
    trial.run(&["apply", "--yes"]).exits(0);
    look(&trial);
    assert!(trial.repo.file("state/rollcall.db.sandbox.jsonl").exists());
}

#[test]
fn a_value_that_cannot_be_used_is_not_shown() {
    let good = crm(2, "tok");
    let config = config("sandbox", "customer");
    let row = |from: &str, to: &str| (good.replacen(from, to, 1), config.clone());
    let field = |from: &str, to: &str| {
        assert!(config.contains(from), "{from}");
        (good.clone(), config.replacen(from, to, 1))
    };
    for (name, (crm, toml), said) in [
        ("a link with a space", row("tok0-", "tok 0-"), "URL"),
        (
            "no link",
            field("https://shop.example/{{ token }}?", ""),
            "URL",
        ),
        ("an empty product", row(", x", ",,x"), "product id"),
        (
            "an empty product of several",
            row("tok0-Zq7GeheimWx", ""),
            "product id",
        ),
        (
            "a filter that fails",
            field("{{ company | upper }}", "{{ company | number }}"),
            "template failed",
        ),
        (
            "a sum that fails",
            field("{{ company | upper }}", "{{ (company | number) + 1 }}"),
            "template failed",
        ),
        (
            "a date that is none",
            field(
                "{{ company | upper }}",
                "{{ company | date | format('%Y') }}",
            ),
            "template failed",
        ),
        (
            "a declared contact without a value",
            field("products = \"Zq7GeheimWx\"\n", ""),
            "toml-2",
        ),
        (
            "a declared contact with a bad link",
            field("token = \"Zq7GeheimWx\"", "token = \"a Zq7GeheimWx\""),
            "URL",
        ),
        (
            "a declared contact of another type",
            field(
                "[contact.toml-2]\nstatus = \"customer\"",
                "[contact.toml-2]\nstatus = 3",
            ),
            "toml-2",
        ),
        (
            "two rows of one contact that differ",
            row("c-1,customer,o-1", "c-0,customer,o-0"),
            "differ",
        ),
        (
            "a row that is too long",
            row("tok0-", "tok0-Zq7GeheimWx,"),
            "row",
        ),
        (
            "a quote that does not end",
            row("\"Zq7GeheimWx, 0\"", "\"Zq7GeheimWx, 0"),
            "row",
        ),
        ("an empty occurrence", row("o-0", ""), "order"),
    ] {
        let mut trial = Trial::new();
        trial.write("crm.csv", crm);
        trial.write("rollcall.toml", toml);
        for args in [
            &["validate"][..],
            &["plan"],
            &["plan", "--format", "json"],
            &["apply", "--yes"],
        ] {
            let done = trial.run(args).exits(1);
            assert!(done.stderr.contains(said), "{name}: {}", done.stderr);
        }
        assert!(!trial.repo.has_state(), "{name}");
    }
}

#[test]
fn the_search_finds_the_marker_in_every_encoding() {
    let utf16: Vec<u8> = MARKER.encode_utf16().flat_map(u16::to_be_bytes).collect();
    let hex: String = MARKER.bytes().map(|byte| format!("{byte:02X}")).collect();
    assert!(is_marked(&utf16) && is_marked(hex.as_bytes()));
    for before in ["", "x", "xy", "xyz"] {
        use base64::Engine;
        let text = format!("{before}{MARKER} and more");
        let encoded = base64::engine::general_purpose::STANDARD.encode(&text);
        assert!(is_marked(encoded.as_bytes()), "{encoded}");
        assert!(is_marked(text.as_bytes()));
    }
    assert!(!is_marked(b"Zq7Geheim"));
}
