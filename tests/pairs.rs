//! The table of pairs in `docs/reference/rules.md`: what it says of two rules is so, and nothing of it goes untried.

mod common;

use std::collections::BTreeSet;

use common::{Repo, Spotler};
use jiff::{SignedDuration, Timestamp};
use serde_json::{Value, json};

/// The first cell of a row, and what shows the second one.
type Pair = (&'static str, fn(&mut Case));

const PAIRS: [Pair; 37] = [
    ("`[[merged]]` and `where`", merged_and_where),
    ("`[[merged]]` and `stay`", merged_and_stay),
    ("`[[merged]]` and lot", merged_and_lot),
    ("`[[merged]]` and `[[suppress]]`", merged_and_suppress),
    ("`[[merged]]` and `[[exclusive]]`", merged_and_exclusive),
    (
        "`[[merged]]` and cooldown, `again_after`, `[limit]`",
        merged_and_what_was_sent,
    ),
    ("`[[merged]]` and `runs_for`", merged_and_ends),
    ("`[[merged]]` and the guard", merged_and_the_guard),
    ("`where` and `stay`", where_and_stay),
    (
        "`stay` and `stay` of another block of the automation",
        stay_and_stay,
    ),
    ("`stay` and lot", stay_and_lot),
    ("lot and lot, two parts of one name", two_parts),
    ("lot and lot, two names", two_lots),
    ("`stay` and `[[suppress]]`", stay_and_suppress),
    ("lot and `[[suppress]]`", lot_and_suppress),
    ("`stay` and `[[require]]`", stay_and_require),
    ("`[[suppress]]` and `[[require]]`", suppress_and_require),
    ("two `[[require]]`", two_requirements),
    (
        "`kind = \"service\"` and a block of the other kind",
        service_and_blocks,
    ),
    ("`stay` and `[[exclusive]]`", stay_and_exclusive),
    ("lot and `[[exclusive]]`", lot_and_exclusive),
    ("`[[suppress]]` and `[[exclusive]]`", suppress_and_exclusive),
    (
        "`[[exclusive]]` and `leave_after`, `on_leave`",
        exclusive_and_leaving,
    ),
    (
        "`[[exclusive]]` and cooldown, ramps, window, freeze, or a failed trigger",
        exclusive_and_waiting,
    ),
    (
        "`[[suppress]]` and `leave_after`, `on_leave`",
        suppress_and_leaving,
    ),
    ("`stay` and `leave_after`", stay_and_leaving),
    ("`stay` and cooldown", stay_and_cooldown),
    ("`stay` and `runs_for`", stay_and_ends),
    ("`[[suppress]]` and `runs_for`", suppress_and_ends),
    ("`[limit]` and ramp", limit_and_ramp),
    (
        "`kind = \"service\"` and window, `[limit]`",
        service_and_limits,
    ),
    (
        "`kind = \"service\"` and `[[exclusive]]`",
        service_and_exclusive,
    ),
    (
        "cooldown, ramp, window and freeze",
        cooldown_ramp_window_and_freeze,
    ),
    ("`[[freeze]]` and `[limit]`, ramp", freeze_and_limits),
    ("`[[freeze]]` and `kind = \"service\"`", freeze_and_service),
    (
        "`[[freeze]]` with `all` and `[[suppress]]`",
        freeze_and_suppress,
    ),
    ("any and the guard", any_and_the_guard),
];

#[test]
fn what_the_table_says_of_two_rules_is_so_and_each_pair_is_tried() {
    let page = concat!(env!("CARGO_MANIFEST_DIR"), "/docs/reference/rules.md");
    let page = std::fs::read_to_string(page).unwrap();
    let (_, table) = page
        .split_once("| these two | then |\n|---|---|\n")
        .unwrap();
    let rows = table.lines().map_while(|line| line.strip_prefix("| "));
    let rows: BTreeSet<&str> = rows.filter_map(|row| row.split(" | ").next()).collect();
    let tried = PAIRS.iter().map(|(row, _)| *row).collect();
    assert_eq!(rows, tried, "the table, and what is tried");
    for (row, scenario) in PAIRS {
        println!("{row}");
        scenario(&mut Case::new());
    }
}

/// A repository with automations a and b, and an export of contacts: id, kind, status.
struct Case {
    spotler: Spotler,
    repo: Repo,
    /// The settings of a and of b.
    settings: [&'static str; 2],
    rows: String,
    rest: String,
    days: i64,
    hour: i64,
}

/// What a plan says, in short.
#[derive(Debug, PartialEq, Default)]
struct Seen {
    actions: Vec<String>,
    held: Vec<String>,
    deferred: Vec<String>,
    let_go: Vec<String>,
}

impl Seen {
    fn of(document: &Value) -> Self {
        let lines = |list: &str, words: [&str; 3]| {
            let items = document[list].as_array().into_iter().flatten();
            let line =
                |item: &Value| words.map(|word| item[word].as_str().unwrap_or("").to_owned());
            let lines = items.map(|item| line(item).join(" ").trim().to_owned());
            lines.collect::<Vec<_>>()
        };
        Self {
            actions: lines("actions", ["action", "automation", "contact"]),
            held: lines("held", ["state", "automation", "contact"]),
            deferred: lines("deferred", ["automation", "contact", ""]),
            let_go: lines("let_go", ["automation", "contact", ""]),
        }
    }
}

fn does(actions: &[&str]) -> Seen {
    Seen {
        actions: actions.iter().map(ToString::to_string).collect(),
        ..Seen::default()
    }
}

fn holds(held: &[&str]) -> Seen {
    Seen {
        held: held.iter().map(ToString::to_string).collect(),
        ..Seen::default()
    }
}

fn defers(deferred: &[&str]) -> Seen {
    Seen {
        deferred: deferred.iter().map(ToString::to_string).collect(),
        ..Seen::default()
    }
}

impl Case {
    fn new() -> Self {
        Self {
            spotler: Spotler::open(),
            repo: Repo::new(),
            settings: ["", ""],
            rows: String::new(),
            rest: String::new(),
            days: 0,
            hour: 12,
        }
    }

    /// The export, a contact in a line.
    fn rows(&mut self, rows: &[&str]) -> &mut Self {
        self.rows = rows.iter().map(|row| format!("{row}\n")).collect();
        self
    }

    /// So many contacts, all of kind x and status ok.
    fn many(&mut self, count: usize) -> &mut Self {
        self.rows = (0..count).map(|n| format!("c-{n},x,ok\n")).collect();
        self
    }

    /// The blocks.
    fn blocks(&mut self, rest: &str) -> &mut Self {
        self.rest = rest.to_owned();
        self
    }

    fn settings(&mut self, a: &'static str, b: &'static str) -> &mut Self {
        self.settings = [a, b];
        self
    }

    fn at(&mut self, days: i64, hour: i64) -> &mut Self {
        (self.days, self.hour) = (days, hour);
        self
    }

    fn write(&self) {
        let [a, b] = self.settings;
        let url = self.spotler.url();
        let toml = format!(
            "[spotler]\nbase_url = {url:?}\nrate = \"100000/s\"\n\
             [source.crm]\ncsv = \"crm.csv\"\ncontact = \"id\"\n\
             [automation.a]\ntrigger_code = \"code-a\"\n{a}\n[automation.b]\ntrigger_code = \"code-b\"\n{b}\n{}",
            self.rest
        );
        self.repo.write("rollcall.toml", toml);
        // Somebody is always there, of no kind that is asked for.
        self.repo.write(
            "crm.csv",
            format!("id,kind,status\n{}z-1,none,none\n", self.rows),
        );
    }

    fn run(&self, args: &[&str]) -> common::Done {
        self.write();
        let today = Timestamp::now().strftime("%Y-%m-%dT00:00:00Z").to_string();
        let today: Timestamp = today.parse().unwrap();
        let now = today + SignedDuration::from_hours(24 * self.days + self.hour);
        self.repo
            .run(&[args, &["--now", &now.to_string()]].concat())
    }

    fn document(&self) -> Value {
        self.run(&["plan", "--format", "json"]).exits(0).json()
    }

    fn plan(&self) -> Seen {
        Seen::of(&self.document())
    }

    fn unchanged(&self) -> Value {
        self.document()["summary"]["unchanged"].clone()
    }

    fn apply(&mut self) -> &mut Self {
        self.run(&["apply", "--yes", "--allow-large"]).exits(0);
        self
    }
}

/// A block of an automation, with more in it.
fn enrol(automation: &str, more: &str) -> String {
    format!("[[enrol]]\nautomation = {automation:?}\nsource = \"crm\"\n{more}\n")
}

/// Whoever is of kind x comes in, and stays while the status is ok.
fn comes_and_stays(automation: &str) -> String {
    enrol(automation, "where.kind = \"x\"\nstay.status = \"ok\"")
}

/// A lot of this name, from so much to so much.
fn lot(name: &str, from: &str, to: &str) -> String {
    format!("lot = {{ name = {name:?}, from = \"{from}%\", to = \"{to}%\" }}")
}

const SUPPRESSED: &str = "[[suppress]]\ncontacts = [\"c-1\"]\n";
const MERGED: &str = "[[merged]]\nfrom = [\"c-1\"]\nto = \"c-9\"\n";
const A_FROZEN: &str = "[[freeze]]\nautomation = \"a\"\n";
const A_FIRST: &str = "[[exclusive]]\nautomations = [\"a\", \"b\"]\n";
/// Nobody of these tests draws so little.
const NOBODY: (&str, &str) = ("0", "0.0001");

fn merged_and_where(case: &mut Case) {
    case.blocks(&(enrol("a", "where.kind = \"x\"") + MERGED));
    assert_eq!(case.rows(&["c-1,x,ok"]).plan(), does(&["trigger a c-9"]));
    assert_eq!(case.rows(&["c-1,x,ok", "c-9,y,ok"]).plan(), does(&[]));
}

fn merged_and_stay(case: &mut Case) {
    case.blocks(&comes_and_stays("a"))
        .rows(&["c-1,x,ok"])
        .apply();
    case.blocks(&(comes_and_stays("a") + MERGED))
        .rows(&["c-9,y,ok"]);
    assert_eq!((case.plan(), case.unchanged()), (does(&[]), 1.into()));
}

fn merged_and_lot(case: &mut Case) {
    let halves = enrol("a", &lot("test", "0", "50")) + &enrol("b", &lot("test", "50", "100"));
    let drawn = case.blocks(&halves).rows(&["c-9,x,ok"]).plan();
    case.blocks(&(halves + MERGED)).rows(&["c-1,x,ok"]);
    assert_eq!(case.plan(), drawn);
    let block = |(from, to)| enrol("a", "where.kind = \"x\"\n") + &lot("test", from, to) + "\n";
    case.blocks(&block(("0", "100"))).apply();
    case.blocks(&(block(NOBODY) + MERGED)).rows(&["c-9,x,ok"]);
    assert_eq!((case.plan(), case.unchanged()), (does(&[]), 1.into()));
}

fn merged_and_suppress(case: &mut Case) {
    let block = enrol("a", "where.kind = \"x\"") + MERGED + SUPPRESSED;
    case.blocks(&block).rows(&["c-9,x,ok"]);
    assert_eq!(case.plan(), holds(&["withheld a c-9"]));
    case.blocks(&block.replace(SUPPRESSED, &SUPPRESSED.replace("c-1", "c-9")));
    case.rows(&["c-1,x,ok"]);
    assert_eq!(case.plan(), holds(&["withheld a c-9"]));
}

fn merged_and_exclusive(case: &mut Case) {
    let blocks = enrol("a", "where.status = \"ok\"") + &enrol("b", "where.kind = \"x\"") + A_FIRST;
    case.blocks(&blocks).rows(&["c-1,x,no"]).apply();
    case.blocks(&(blocks + MERGED)).rows(&["c-9,x,ok"]);
    assert_eq!(case.plan(), does(&["stop b c-9", "trigger a c-9"]));
}

fn merged_and_what_was_sent(case: &mut Case) {
    let block = enrol("a", "where.kind = \"x\"");
    case.settings("runs_for = \"21d\"\nagain_after = \"90d\"", "");
    case.blocks(&block).rows(&["c-1,x,ok"]).apply();
    case.blocks(&(block.clone() + MERGED)).rows(&["c-9,x,ok"]);
    assert_eq!(case.at(23, 12).plan(), does(&[]));
    assert_eq!(case.at(92, 12).plan(), does(&["trigger a c-9"]));
    case.at(0, 12).settings("", "");
    case.blocks(&both(&format!("[limit]\nper_contact = \"1/7d\"\n{MERGED}")));
    assert_eq!(case.plan(), defers(&["b c-9"]));
    case.settings("cooldown = \"30d\"", "").blocks(&block);
    case.rows(&[]).apply();
    case.blocks(&(block + MERGED)).rows(&["c-9,x,ok"]);
    assert_eq!(case.plan(), holds(&["cooling a c-9"]));
}

fn merged_and_ends(case: &mut Case) {
    let block = enrol("a", "where.kind = \"x\"");
    case.settings("runs_for = \"21d\"", "").blocks(&block);
    case.rows(&["c-1,x,ok"]).apply().at(23, 12).apply();
    case.rows(&["c-9,x,ok"]).at(0, 12).apply();
    case.blocks(&(block + MERGED));
    assert_eq!((case.plan(), case.unchanged()), (does(&[]), 1.into()));
    case.apply().at(23, 12);
    assert_eq!(case.plan(), does(&[]));
    case.settings("runs_for = \"21d\"\nagain_after = \"22d\"", "");
    assert_eq!(case.plan(), does(&["trigger a c-9"]));
}

fn merged_and_the_guard(case: &mut Case) {
    let block = enrol("a", "where.kind = \"x\"");
    case.blocks(&block).rows(&["c-1,x,ok"]).apply();
    case.blocks(&(block + MERGED)).rows(&["c-9,x,ok"]);
    assert_eq!(case.document()["guard"]["refused"], false);
    assert_eq!(case.plan(), does(&[]));
    case.rest.push_str("[guard]\nmax_merges = 0\n");
    let guard = case.document()["guard"].to_string();
    assert!(
        guard.contains("too many merges: what is on record of 1 id"),
        "{guard}"
    );
}

fn where_and_stay(case: &mut Case) {
    case.blocks(&comes_and_stays("a"));
    case.rows(&["c-1,x,ok", "c-2,x,no", "c-3,y,ok"]);
    assert_eq!(case.plan(), does(&["trigger a c-1"]));
    case.apply().rows(&["c-1,y,ok"]);
    assert_eq!(case.plan(), does(&[]));
    case.rows(&["c-1,x,no"]);
    assert_eq!(case.plan(), does(&["stop a c-1"]));
}

fn stay_and_stay(case: &mut Case) {
    let other = enrol("a", "where.kind = \"z\"\nstay.kind = [\"y\", \"z\"]");
    case.blocks(&(comes_and_stays("a") + &other));
    case.rows(&["c-1,x,ok"]).apply().rows(&["c-1,y,no"]);
    assert_eq!(case.plan(), does(&[]));
    assert_eq!(case.unchanged(), 1);
}

fn stay_and_lot(case: &mut Case) {
    let block = |from, to| comes_and_stays("a") + &lot("test", from, to);
    case.blocks(&block("0", "100")).rows(&["c-1,x,ok"]).apply();
    case.blocks(&block(NOBODY.0, NOBODY.1))
        .rows(&["c-1,y,ok", "c-2,x,ok"]);
    assert_eq!(case.plan(), does(&[]));
    assert_eq!(case.unchanged(), 1);
}

fn two_parts(case: &mut Case) {
    let blocks = |bound: &str| {
        enrol("a", &lot("test", "0", bound)) + &enrol("b", &lot("test", bound, "100"))
    };
    case.blocks(&blocks("99.9999")).many(9).apply();
    case.blocks(&blocks("1"));
    assert_eq!(case.plan(), does(&[]));
}

fn two_lots(case: &mut Case) {
    let blocks = enrol("a", &lot("one", "0", "50")) + &enrol("b", &lot("two", "0", "50"));
    let actions = case.blocks(&blocks).many(60).plan().actions;
    let of = |automation: &str| -> BTreeSet<String> {
        let theirs = actions
            .iter()
            .filter_map(|line| line.strip_prefix(automation));
        theirs.map(str::to_owned).collect()
    };
    let (a, b) = (of("trigger a "), of("trigger b "));
    assert!(a.intersection(&b).count() > 5, "{actions:?}");
    assert!(a.difference(&b).count() > 5 && b.difference(&a).count() > 5);
}

fn stay_and_suppress(case: &mut Case) {
    case.blocks(&comes_and_stays("a"))
        .rows(&["c-1,x,ok"])
        .apply();
    case.blocks(&(comes_and_stays("a") + SUPPRESSED))
        .rows(&["c-1,y,ok"]);
    assert_eq!(case.plan(), does(&["stop a c-1"]));
    case.apply();
    assert_eq!(case.plan(), does(&[]));
}

/// Whoever is on this list alone.
fn required(list: &str) -> String {
    format!(
        "[source.{list}]\ncsv = \"{list}.csv\"\ncontact = \"id\"\n[[require]]\nsource = {list:?}\n"
    )
}

fn stay_and_require(case: &mut Case) {
    case.blocks(&(comes_and_stays("a") + &required("list")));
    case.repo.write("list.csv", "id\nc-1\n");
    case.rows(&["c-1,x,ok"]).apply();
    case.repo.write("list.csv", "id\nc-2\n");
    case.rows(&["c-1,y,ok"]);
    assert_eq!(case.plan(), does(&["stop a c-1"]));
}

fn suppress_and_require(case: &mut Case) {
    case.blocks(&(enrol("a", "where.kind = \"x\"") + &required("list") + SUPPRESSED));
    case.repo.write("list.csv", "id\nc-1\nc-2\n");
    let seen = case.rows(&["c-1,x,ok", "c-2,x,ok"]).plan();
    assert_eq!(seen.actions, ["trigger a c-2"]);
    assert_eq!(seen.held, ["withheld a c-1"]);
}

fn two_requirements(case: &mut Case) {
    let block = enrol("a", "where.kind = \"x\"");
    case.blocks(&(block + &required("list") + &required("other")));
    case.repo.write("list.csv", "id\nc-1\nc-2\n");
    case.repo.write("other.csv", "id\nc-2\nc-3\n");
    let seen = case.rows(&["c-1,x,ok", "c-2,x,ok", "c-3,x,ok"]).plan();
    assert_eq!(seen.actions, ["trigger a c-2"]);
    assert_eq!(seen.held, ["withheld a c-1", "withheld a c-3"]);
}

fn service_and_blocks(case: &mut Case) {
    let of_marketing = format!("{SUPPRESSED}kind = \"marketing\"\n");
    case.blocks(&(enrol("a", "where.kind = \"x\"") + &of_marketing));
    assert_eq!(case.rows(&["c-1,x,ok"]).plan(), holds(&["withheld a c-1"]));
    case.apply().settings("kind = \"service\"", "");
    assert_eq!(case.plan(), does(&["trigger a c-1"]));
    case.rest.push_str("[guard]\nmax_released = 0\n");
    assert_eq!(case.document()["guard"]["refused"], true);
}

fn lot_and_suppress(case: &mut Case) {
    let blocks = |(from, to)| enrol("a", &lot("test", from, to)) + SUPPRESSED;
    case.rows(&["c-1,x,ok"]);
    assert_eq!(case.blocks(&blocks(NOBODY)).plan(), holds(&[]));
    let taken = case.blocks(&blocks(("0", "100"))).plan();
    assert_eq!(taken.held[0], "withheld a c-1");
}

fn stay_and_exclusive(case: &mut Case) {
    let blocks = comes_and_stays("a") + &enrol("b", "where.status = \"ok\"") + A_FIRST;
    case.blocks(&blocks).rows(&["c-1,x,ok"]).apply();
    case.rows(&["c-1,y,ok", "c-2,y,ok"]);
    assert_eq!(case.plan(), does(&["trigger b c-2"]));
}

fn lot_and_exclusive(case: &mut Case) {
    let first = enrol("a", &lot("test", NOBODY.0, NOBODY.1));
    let blocks = first + &enrol("b", "where.kind = \"x\"") + A_FIRST;
    case.blocks(&blocks).rows(&["c-1,x,ok"]);
    assert_eq!(case.plan(), does(&["trigger b c-1"]));
}

fn both(more: &str) -> String {
    let of = |automation| enrol(automation, "where.kind = \"x\"");
    of("a") + &of("b") + more
}

fn suppress_and_exclusive(case: &mut Case) {
    case.blocks(&both(A_FIRST)).rows(&["c-1,x,ok"]);
    assert_eq!(case.plan(), does(&["trigger a c-1"]));
    case.blocks(&both(&format!("{A_FIRST}{SUPPRESSED}")));
    assert_eq!(case.plan(), holds(&["withheld a c-1", "withheld b c-1"]));
}

fn exclusive_and_leaving(_: &mut Case) {
    for settings in ["leave_after = \"48h\"", "on_leave = \"keep\""] {
        let mut case = Case::new();
        case.settings("", settings);
        let blocks = enrol("a", "where.status = \"ok\"") + &enrol("b", "where.kind = \"x\"");
        case.blocks(&(blocks + A_FIRST)).rows(&["c-1,x,no"]).apply();
        let seen = case.rows(&["c-1,x,ok"]).plan();
        assert_eq!(seen.actions, ["trigger a c-1"]);
        match settings.starts_with("leave") {
            true => assert_eq!(seen.held, ["leaving b c-1"]),
            false => assert_eq!(seen.let_go, ["b c-1"]),
        }
    }
}

fn exclusive_and_waiting(case: &mut Case) {
    let closed = "[window]\ntriggers = \"08:00-18:00\"\n";
    case.blocks(&both(&format!("{A_FIRST}{closed}")))
        .rows(&["c-1,x,ok"]);
    assert_eq!(case.at(1, 3).plan(), defers(&["a c-1"]));
    case.at(0, 12)
        .blocks(&both(&format!("{A_FIRST}{A_FROZEN}")));
    assert_eq!(case.plan(), defers(&["a c-1"]));
    case.blocks(&both(A_FIRST));
    case.settings("max_per_run = 0", "");
    assert_eq!(case.plan(), defers(&["a c-1"]));
    case.settings("cooldown = \"30d\"", "").apply();
    case.rows(&[]).apply().rows(&["c-1,x,ok"]);
    assert_eq!(case.plan(), holds(&["cooling a c-1"]));
    case.spotler
        .fault(json!([{ "kind": "trigger", "contact": "c-2", "fault": "echo" }]));
    case.rows(&["c-2,x,ok"]).run(&["apply", "--yes"]).exits(3);
    assert_eq!(case.plan(), holds(&["failed-for-good a c-2"]));
}

fn suppress_and_leaving(case: &mut Case) {
    case.settings("leave_after = \"48h\"\non_leave = \"keep\"", "");
    let block = enrol("a", "where.kind = \"x\"");
    case.blocks(&block).rows(&["c-1,x,ok"]).apply();
    case.rows(&[]);
    assert_eq!(case.plan(), holds(&["leaving a c-1"]));
    case.blocks(&(block + SUPPRESSED));
    assert_eq!(case.plan(), does(&["stop a c-1"]));
}

fn stay_and_leaving(case: &mut Case) {
    case.settings("leave_after = \"48h\"", "");
    case.blocks(&comes_and_stays("a"))
        .rows(&["c-1,x,ok"])
        .apply();
    case.rows(&["c-1,y,no"]).apply();
    assert_eq!(case.plan(), holds(&["leaving a c-1"]));
    case.rows(&["c-1,y,ok"]);
    assert_eq!((case.plan(), case.unchanged()), (does(&[]), 1.into()));
    case.apply().rows(&["c-1,y,no"]).at(3, 12);
    assert_eq!(case.plan(), holds(&["leaving a c-1"]));
}

fn stay_and_cooldown(case: &mut Case) {
    case.settings("cooldown = \"30d\"", "");
    case.blocks(&comes_and_stays("a"))
        .rows(&["c-1,x,ok"])
        .apply();
    case.rows(&["c-1,y,ok"]);
    assert_eq!((case.plan(), case.unchanged()), (does(&[]), 1.into()));
}

fn stay_and_ends(case: &mut Case) {
    case.settings("runs_for = \"21d\"\nagain_after = \"90d\"", "");
    case.blocks(&comes_and_stays("a"))
        .rows(&["c-1,x,ok"])
        .apply();
    case.rows(&["c-1,y,ok"]);
    assert_eq!(case.at(23, 12).plan(), does(&[]));
    assert_eq!(case.at(92, 12).plan(), does(&["trigger a c-1"]));
    // Once it is over, `stay` alone is not enough.
    case.rows(&["c-1,y,no"])
        .at(23, 12)
        .apply()
        .rows(&["c-1,y,ok"]);
    assert_eq!(case.at(92, 12).plan(), does(&[]));
}

fn suppress_and_ends(case: &mut Case) {
    case.settings("runs_for = \"21d\"", "");
    let block = enrol("a", "where.kind = \"x\"");
    case.blocks(&block).rows(&["c-1,x,ok"]).apply();
    case.blocks(&(block.clone() + SUPPRESSED));
    assert_eq!(case.plan(), does(&["stop a c-1"]));
    assert_eq!(case.at(23, 12).plan(), does(&[]));
    case.apply()
        .blocks(&(block + "[guard]\nmax_released = 0\n"));
    assert_eq!(case.plan(), does(&["trigger a c-1"]));
    assert_eq!(case.document()["guard"]["refused"], true);
}

fn limit_and_ramp(case: &mut Case) {
    let limit = "[limit]\nper_contact = \"1/7d\"\n";
    let blocks = enrol("a", "where.kind = \"x\"") + &enrol("b", "where.status = \"ok\"") + limit;
    case.settings("max_per_run = 1", "").blocks(&blocks);
    case.rows(&["c-1,y,ok"]).apply();
    case.rows(&["c-1,x,ok", "c-2,x,no"]);
    let seen = case.plan();
    assert_eq!(seen.actions, ["trigger a c-2"]);
    assert_eq!(seen.deferred, ["a c-1"]);
}

fn service_and_limits(case: &mut Case) {
    let limits = "[limit]\nper_contact = \"1/7d\"\n[window]\ntriggers = \"08:00-18:00\"\n";
    case.settings("kind = \"service\"", "");
    case.blocks(&both(limits)).rows(&["c-1,x,ok"]).at(1, 3);
    let seen = case.plan();
    assert_eq!(seen.actions, ["trigger a c-1"]);
    assert_eq!(seen.deferred, ["b c-1"]);
    let open = case.at(1, 12).plan();
    assert_eq!(open, does(&["trigger a c-1", "trigger b c-1"]));
}

fn service_and_exclusive(case: &mut Case) {
    case.settings("kind = \"service\"", "")
        .blocks(&both(A_FIRST));
    let said = case.run(&["validate"]).exits(1).stderr;
    assert!(said.contains("a is service mail"), "{said}");
}

fn cooldown_ramp_window_and_freeze(case: &mut Case) {
    let window = "[window]\ntriggers = \"08:00-18:00\"\n";
    let block = enrol("a", "where.kind = \"x\"");
    case.blocks(&block).rows(&["c-1,x,ok"]).apply();
    case.rows(&[]).apply().rows(&["c-1,x,ok"]);
    case.settings("cooldown = \"30d\"", "")
        .blocks(&format!("{block}{window}{A_FROZEN}"));
    assert_eq!(case.at(20, 12).plan(), holds(&["cooling a c-1"]));
    assert_eq!(case.at(40, 12).plan(), defers(&["a c-1"]));
    case.blocks(&(block + window));
    assert_eq!(case.at(20, 12).plan(), holds(&["cooling a c-1"]));
    assert_eq!(case.at(40, 3).plan(), defers(&["a c-1"]));
    case.settings("cooldown = \"30d\"\nmax_per_run = 0", "");
    assert_eq!(case.at(40, 12).plan(), defers(&["a c-1"]));
    case.settings("cooldown = \"30d\"\nmax_per_run = 1", "");
    assert_eq!(case.plan(), does(&["trigger a c-1"]));
}

fn freeze_and_limits(case: &mut Case) {
    let limit = "[limit]\nper_contact = \"1/7d\"\n";
    case.settings("max_per_run = 1", "max_per_run = 1");
    case.rows(&["c-1,x,ok"]);
    case.blocks(&both(limit));
    assert_eq!(case.plan().actions, ["trigger a c-1"]);
    case.blocks(&both(&format!("{limit}{A_FROZEN}")));
    let seen = case.plan();
    assert_eq!(seen.actions, ["trigger b c-1"]);
    assert_eq!(seen.deferred, ["a c-1"]);
}

fn freeze_and_service(case: &mut Case) {
    case.settings("kind = \"service\"", "");
    case.blocks(&(enrol("a", "where.kind = \"x\"") + A_FROZEN));
    assert_eq!(case.rows(&["c-1,x,ok"]).plan(), defers(&["a c-1"]));
}

fn freeze_and_suppress(case: &mut Case) {
    let block = enrol("a", "where.kind = \"x\"");
    case.blocks(&block).rows(&["c-1,x,ok", "c-2,x,ok"]).apply();
    case.blocks(&format!("{block}{SUPPRESSED}[[freeze]]\nall = true\n"));
    let seen = case.rows(&["c-1,x,ok"]).plan();
    assert_eq!(seen.actions, ["stop a c-1"]);
    assert_eq!(seen.held, ["frozen a c-2"]);
}

fn any_and_the_guard(case: &mut Case) {
    let guard = "[guard]\nmax_triggers = 1\nmax_stops = 0\n";
    case.blocks(&(comes_and_stays("a") + guard));
    case.rows(&["c-1,x,ok", "c-2,x,ok"]);
    assert_eq!(case.document()["guard"]["refused"], true);
    case.apply().rows(&["c-1,y,ok", "c-2,y,ok"]);
    assert_eq!(case.document()["guard"]["refused"], false);
    case.rows(&["c-1,y,no", "c-2,y,ok"]);
    assert_eq!(case.document()["guard"]["refused"], true);
}
