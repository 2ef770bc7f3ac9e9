//! The proof under crashes: the real binary is killed, again and again, and the sandbox's ledger is the truth.
//!
//! A short run is part of the tests. The long one:
//! `ROLLCALL_KILLS=2000 ROLLCALL_SEED=1 cargo test --release --test crash -- --nocapture`

mod common;

use std::collections::{BTreeMap, BTreeSet};
use std::time::Instant;

#[cfg(unix)]
use common::postgres::{self, Server};
use common::{Done, Repo, Spotler};
use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};
use serde_json::{Value, json};

/// Where the binary can be made to die while it works, and how often it comes there.
const AT_WORK: [(&str, usize); 6] = [
    ("intent:before", 12),
    ("intent:after", 12),
    ("send:before", 80),
    ("send:after", 80),
    ("outcome:before", 12),
    ("outcome:after", 12),
];

/// Where it can be made to die when it notes that it applies a saved plan.
const AT_CLAIM: [(&str, usize); 2] = [("claim:before", 1), ("claim:after", 1)];

/// Where it can be made to die when it finds what a killed run left.
const AFTER_A_KILL: [(&str, usize); 3] =
    [("takeover", 1), ("recover:before", 1), ("recover:after", 1)];

/// Where it can be made to die when it makes the record.
const AT_FIRST: [(&str, usize); 2] = [("migrate:before", 1), ("migrate:after", 1)];

/// So many contacts are declared in each round, each in up to five participations.
const CONTACTS: usize = 50;

/// The codes of the automations: one that is plain and gets another name, one that repeats and gets another code, and one
/// that lets go.
const PLAIN: &str = "plain-code";
const REPEATED: [&str; 2] = ["repeated-code", "other-code"];
const KEPT: &str = "kept-code";
const CODES: [&str; 4] = [PLAIN, REPEATED[0], REPEATED[1], KEPT];

/// What is declared for a part of a round.
struct Stage {
    orders: &'static [&'static str],
    /// The code of the automation that repeats.
    code: &'static str,
    /// Whether its contacts are in the automation that lets go.
    keeps: bool,
    /// Whether some contacts are suppressed.
    suppresses: bool,
    /// Whether the plain automation has its new name.
    is_renamed: bool,
    /// How many participations a contact has had by then, by code, and how many of them are to go on.
    had: [usize; 4],
    go_on: [usize; 4],
}

/// One order is left behind the code that was, of which others do not know; then it leaves with one of those.
const STAGES: [Stage; 5] = [
    Stage {
        orders: &["o-1"],
        code: REPEATED[0],
        keeps: true,
        suppresses: false,
        is_renamed: false,
        had: [1, 1, 0, 1],
        go_on: [1, 1, 0, 1],
    },
    Stage {
        orders: &["o-1", "o-2", "o-3"],
        code: REPEATED[1],
        keeps: false,
        suppresses: false,
        is_renamed: false,
        had: [1, 1, 2, 1],
        go_on: [1, 1, 2, 0],
    },
    Stage {
        orders: &["o-2"],
        code: REPEATED[1],
        keeps: false,
        suppresses: true,
        is_renamed: true,
        had: [1, 1, 2, 1],
        go_on: [1, 0, 1, 0],
    },
    Stage {
        orders: &["o-2"],
        code: REPEATED[1],
        keeps: false,
        suppresses: false,
        is_renamed: true,
        had: [1, 1, 2, 1],
        go_on: [1, 0, 1, 0],
    },
    Stage {
        orders: &[],
        code: REPEATED[1],
        keeps: false,
        suppresses: false,
        is_renamed: true,
        had: [1, 1, 2, 1],
        go_on: [0, 0, 0, 0],
    },
];

/// Whether a contact is one of those that are suppressed for a time.
fn is_suppressed(contact: &str) -> bool {
    contact.ends_with('0')
}

/// Whether a contact is one of those whom Spotler does not know at first.
fn is_late(contact: &str) -> bool {
    contact.ends_with('1')
}

struct Proof {
    repo: Repo,
    spotler: Spotler,
    random: StdRng,
    kills: usize,
    runs: usize,
    /// How often the record was refused without its log.
    refused: usize,
    /// Where the record is in a database: the server, its URL, and how often its sessions and it were killed.
    #[cfg(unix)]
    database: Option<(Server, String)>,
    sessions: usize,
    servers: usize,
    /// Of the rounds that are over.
    calls: u64,
    carried_out: usize,
}

fn number(name: &str, default: usize) -> usize {
    std::env::var(name)
        .ok()
        .and_then(|text| text.parse().ok())
        .unwrap_or(default)
}

impl Proof {
    fn new(seed: u64) -> Self {
        let spotler = Spotler::open();
        Self {
            repo: Repo::new(),
            spotler,
            random: StdRng::seed_from_u64(seed),
            kills: 0,
            runs: 0,
            refused: 0,
            #[cfg(unix)]
            database: None,
            sessions: 0,
            servers: 0,
            calls: 0,
            carried_out: 0,
        }
    }

    /// The same with the record in a database.
    #[cfg(unix)]
    fn on(server: Server, seed: u64) -> Self {
        let url = server.database();
        let mut proof = Self::new(seed);
        proof.repo = Repo::new().env("ROLLCALL_RECORD_URL", &url);
        proof.database = Some((server, url));
        proof
    }

    /// Whether there is a record.
    fn has_record(&self) -> bool {
        #[cfg(unix)]
        if let Some((_, url)) = &self.database {
            return postgres::has_record(url);
        }
        self.repo.file("state/rollcall.db").exists()
    }

    fn is_in_database(&self) -> bool {
        #[cfg(unix)]
        return self.database.is_some();
        #[cfg(not(unix))]
        false
    }

    /// Takes the record away.
    fn lose_record(&self) {
        #[cfg(unix)]
        if let Some((_, url)) = &self.database {
            postgres::run(url, "DROP SCHEMA rollcall CASCADE");
            return;
        }
        std::fs::remove_dir_all(self.repo.file("state")).unwrap();
    }

    /// Kills what the record lies in, where it lies in a database and it is its turn. Says whether it did.
    fn kill_database(&mut self) -> bool {
        #[cfg(unix)]
        if let Some((server, url)) = &self.database {
            let turn = self.random.random_range(0..16);
            if turn == 0 {
                server.kill();
                self.servers += 1;
                return true;
            }
            if turn < 8 {
                self.sessions += postgres::end_sessions(server.url(), url);
                return true;
            }
        }
        false
    }

    fn declare(&self, contacts: &[String], stage: &Stage) {
        // One who is nowhere: an export without any row would be refused.
        let mut csv = "id,order,keeps\nnobody,none,false\n".to_owned();
        for contact in contacts {
            for order in stage.orders {
                csv.push_str(&format!("{contact},{order},{}\n", stage.keeps));
            }
        }
        self.repo.write("crm.csv", csv);
        let plain = if stage.is_renamed { "renamed" } else { "plain" };
        let mut toml = format!(
            "[spotler]\nbase_url = {:?}\nrate = \"100000/s\"\nconcurrency = 8\ntimeout = \"5s\"\n\
             [guard]\nmax_triggers = 1000000\nmax_stops = 1000000\nmax_released = 1000000\n\
             [automation.{plain}]\ntrigger_code = \"{PLAIN}\"\n\
             [automation.repeated]\ntrigger_code = \"{}\"\nrepeat_by = \"order\"\n\
             [automation.kept]\ntrigger_code = \"{KEPT}\"\non_leave = \"keep\"\n\
             [source.crm]\ncsv = \"crm.csv\"\ncontact = \"id\"\n\
             [[enrol]]\nautomation = [\"{plain}\", \"repeated\"]\nsource = \"crm\"\nwhere.order = {{ not = \"none\" }}\n\
             [[enrol]]\nautomation = \"kept\"\nsource = \"crm\"\nwhere.keeps = true\n",
            self.spotler.url(),
            stage.code
        );
        if stage.is_renamed {
            toml.push_str("[[moved]]\nfrom = \"plain\"\nto = \"renamed\"\n");
        }
        let suppressed: Vec<_> = contacts.iter().filter(|c| is_suppressed(c)).collect();
        if stage.suppresses && !suppressed.is_empty() {
            toml.push_str(&format!("[[suppress]]\ncontacts = {suppressed:?}\n"));
        }
        #[cfg(unix)]
        if self.database.is_some() {
            toml.push_str("[record]\nurl = \"$ROLLCALL_RECORD_URL\"\n");
        }
        self.repo.write("rollcall.toml", toml);
    }

    /// Lets things go wrong, some of them now and then.
    fn faults(&mut self) {
        let share =
            |fault: &str, probability: f64| json!({ "fault": fault, "probability": probability });
        let rules = json!([
            { "fault": "limit", "retry_after": "0", "probability": 0.03 },
            { "fault": "unavailable", "retry_after": "0", "probability": 0.02 },
            share("unavailable-after", 0.01),
            share("error-before", 0.01),
            share("error-after", 0.01),
            share("reset-before", 0.01),
            share("reset-after", 0.01),
            share("cut", 0.005),
            share("html", 0.005),
            share("truncated", 0.005),
            share("unknown-result", 0.005),
            share("number-id", 0.1),
            { "fault": "slow", "ms": 3, "probability": 0.1 },
        ]);
        let seed: u64 = self.random.random();
        self.spotler
            .put("faults", &json!({ "seed": seed, "rules": rules }));
    }

    /// Starts an apply and kills it: at a named point, or at some moment. Returns whether it died.
    fn kill_once(&mut self, was_killed: bool) -> bool {
        self.runs += 1;
        let mut args = vec!["apply", "--yes", "--quiet"];
        let is_saved = self.random.random_bool(0.2);
        if is_saved {
            self.repo.run(&["plan", "--out", "plan.json"]).exits(0);
            args.push("plan.json");
        }
        let mut command = self.repo.command(&args);
        let at_point = self
            .random
            .random_bool(if self.is_in_database() { 0.5 } else { 0.7 });
        if at_point {
            let points: &[(&str, usize)] = if !self.has_record() {
                &AT_FIRST
            } else if is_saved && self.random.random_bool(0.3) {
                &AT_CLAIM
            } else if was_killed && self.random.random_bool(0.3) {
                &AFTER_A_KILL
            } else {
                &AT_WORK
            };
            let (point, most) = points[self.random.random_range(0..points.len())];
            let time = self.random.random_range(1..=most);
            command.env("ROLLCALL_FAILPOINT", format!("{point}:{time}"));
        }
        command
            .stdout(std::process::Stdio::null())
            .stderr(std::process::Stdio::null());
        let before = self.spotler.calls_ever();
        let after = self.random.random_range(0..120);
        let mut child = self.spotler.start_run(command);
        let is_its_turn = !at_point && self.spotler.calls_or(before + after, child.wait());
        if is_its_turn && !self.kill_database() {
            child.start_kill().unwrap();
        }
        // One that was killed, or died by its own hand, has no exit code.
        let died = self.spotler.end_of(&mut child).code().is_none();
        self.kills += usize::from(died);
        died
    }

    /// Kills applies one after the other, for as long as they die.
    fn kill(&mut self, most: usize) {
        let mut was_killed = false;
        for _ in 0..most {
            was_killed = self.kill_once(was_killed);
            if was_killed && self.random.random_bool(0.15) {
                self.lose_log();
            }
            if !was_killed && self.repo.plan().actions().is_empty() {
                return;
            }
        }
    }

    /// Takes away what SQLite has not moved into the record's file yet, as `cp` does. A run refuses the record then; or
    /// else it goes on without, since nothing was sent of which only that knew.
    fn lose_log(&mut self) {
        let file = |name: &str| self.repo.file("state").join(name);
        let (log, aside) = (file("rollcall.db-wal"), file("aside"));
        if !std::fs::metadata(&log).is_ok_and(|meta| meta.len() > 0) {
            return;
        }
        std::fs::rename(&log, &aside).unwrap();
        let forget = |path| _ = std::fs::remove_file(path);
        forget(file("rollcall.db-shm"));
        let calls = self.spotler.calls();
        let done = self.repo.run(&["apply", "--yes", "--quiet"]);
        self.runs += 1;
        if done.code != Some(1) {
            return;
        }
        assert_eq!(self.spotler.calls(), calls, "{}", done.stderr);
        assert!(done.stderr.contains("It is older than"), "{}", done.stderr);
        forget(file("rollcall.db-shm"));
        std::fs::rename(&aside, &log).unwrap();
        self.refused += 1;
    }

    /// A run at a time when nobody waits any more for Spotler to know a contact.
    fn later(&self, args: &[&str]) -> Done {
        let later = jiff::Timestamp::now() + jiff::SignedDuration::from_hours(48);
        self.repo
            .run(&[args, &["--now", &later.to_string()]].concat())
    }

    /// Runs until nothing is left to do but what only a person can settle.
    fn settle(&mut self) {
        for _ in 0..200 {
            self.runs += 1;
            let done = self.later(&["apply", "--yes", "--quiet"]);
            assert!(matches!(done.code, Some(0 | 3)), "{}", done.stderr);
            let plan = self.later(&["plan", "--format", "json"]).exits(0);
            if plan.actions().is_empty() {
                return;
            }
        }
        panic!("it does not settle: {:?}", self.repo.plan().actions());
    }

    /// How often each contact was triggered in each automation, by the ledger from a line on.
    fn triggered(&self, from: usize) -> BTreeMap<(String, String), usize> {
        let mut counts = BTreeMap::new();
        for line in self.spotler.ledger().iter().skip(from) {
            let mut words = line.split(' ');
            if words.next() == Some("trigger") {
                let code = words.next().unwrap().to_owned();
                let contact = words.next().unwrap().to_owned();
                *counts.entry((contact, code)).or_insert(0) += 1;
            }
        }
        counts
    }

    /// The states on record of some contacts, by contact and code.
    fn states(&self, contacts: &BTreeSet<&str>) -> BTreeMap<(String, String), Vec<String>> {
        let json = self
            .repo
            .run(&["record", "list", "--format", "json"])
            .exits(0)
            .json();
        let mut states: BTreeMap<_, Vec<String>> = BTreeMap::new();
        for item in json["participations"].as_array().unwrap() {
            let text = |key: &str| item[key].as_str().unwrap().to_owned();
            if contacts.contains(text("contact").as_str()) {
                let key = (text("contact"), text("trigger_code"));
                states.entry(key).or_default().push(text("state"));
            }
        }
        states
    }

    /// One round: new contacts are declared and then taken out again, with kills all along.
    fn round(&mut self, round: usize, kills: usize) {
        let contacts: Vec<String> = (0..CONTACTS).map(|n| format!("r{round}-{n}")).collect();
        let from = self.spotler.ledger().len();
        let late: Vec<_> = contacts.iter().filter(|contact| is_late(contact)).collect();
        for stage in &STAGES {
            self.declare(&contacts, stage);
            self.faults();
            let is_first = stage.had[2] == 0;
            self.spotler
                .put("unknown", &if is_first { json!(late) } else { json!([]) });
            self.kill(kills);
            self.spotler.put("unknown", &json!([]));
            self.settle();
            self.holds(from, &contacts, stage);
        }
        // The record of a round is of no use to the next one, and would only make it slow.
        self.calls += self.spotler.calls();
        self.carried_out += self.spotler.ledger().len();
        self.spotler.put("reset", &Value::Null);
        if self.random.random_bool(0.5) {
            self.lose_record();
        }
    }

    /// Holds the record against the ledger: so often each contact was declared behind each code, and so often it is settled
    /// or in doubt, and carried out no more often. What goes on is what runs at Spotler.
    fn holds(&self, from: usize, contacts: &[String], stage: &Stage) {
        let names: BTreeSet<&str> = contacts.iter().map(String::as_str).collect();
        let triggered = self.triggered(from);
        let states = self.states(&names);
        let mut running = BTreeMap::new();
        for key in self.spotler.running() {
            *running.entry(key).or_insert(0) += 1;
        }
        for contact in contacts {
            for (place, code) in CODES.into_iter().enumerate() {
                let key = (contact.clone(), code.to_owned());
                let carried_out = triggered.get(&key).copied().unwrap_or(0);
                let running = running.get(&key).copied().unwrap_or(0);
                let states = states.get(&key).cloned().unwrap_or_default();
                let count = |words: &[&str]| {
                    states
                        .iter()
                        .filter(|state| words.contains(&&***state))
                        .count()
                };
                let (active, uncertain) = (count(&["active"]), count(&["uncertain"]));
                let ended = count(&["stopped", "stop-uncertain", "let-go"]);
                let may_run =
                    active + uncertain + count(&["stop-uncertain", "stop-failed", "let-go"]);
                let story = || {
                    let history = self.repo.run(&["history", contact]).stdout;
                    format!(
                        "{key:?}: carried out {carried_out}, running {running}, on record {states:?}\n{history}"
                    )
                };
                let (mut had, mut go_on) = (stage.had[place], stage.go_on[place]);
                if is_suppressed(contact) && stage.suppresses {
                    assert_eq!(running, 0, "suppressed and running: {}", story());
                    go_on = 0;
                } else if is_suppressed(contact) && stage.is_renamed {
                    // What is declared when the suppression goes is triggered again.
                    had = [2, 1, 3, 1][place];
                } else {
                    assert_eq!(active + uncertain + ended, had, "not settled: {}", story());
                }
                assert!(carried_out <= had, "carried out twice: {}", story());
                assert!(active <= running, "active and not running: {}", story());
                assert!(running <= may_run, "lost: {}", story());
                assert!(
                    (active..=active + uncertain).contains(&go_on),
                    "not as declared: {}",
                    story()
                );
            }
        }
    }
}

#[test]
fn every_point_at_which_it_can_be_made_to_die_is_passed() {
    let proof = Proof::new(0);
    proof.declare(&["c-1".to_owned()], &STAGES[1]);
    let dies_at = |point: &str| {
        let mut command = proof.repo.command(&["apply", "--yes", "--quiet"]);
        let output = command.env("ROLLCALL_FAILPOINT", point).output().unwrap();
        assert_eq!(output.status.code(), None, "it does not die at {point}");
    };
    // Each leaves the next one its work: a record to make, a run to recover from, a call to make.
    for (point, _) in AT_FIRST {
        dies_at(point);
        std::fs::remove_dir_all(proof.repo.file("state")).unwrap();
    }
    for (point, _) in AT_WORK {
        dies_at(point);
        for (point, _) in AFTER_A_KILL {
            // Where nothing was left open, there is nothing to recover.
            if point == "takeover" {
                dies_at(point);
            }
        }
        std::fs::remove_dir_all(proof.repo.file("state")).unwrap();
    }
    dies_at("send:after");
    dies_at("recover:before");
    dies_at("recover:after");
    proof.declare(&["c-2".to_owned()], &STAGES[1]);
    for (point, _) in AT_CLAIM {
        proof.repo.run(&["plan", "--out", "plan.json"]).exits(0);
        let mut command = proof.repo.command(&["apply", "plan.json", "--yes"]);
        let output = command.env("ROLLCALL_FAILPOINT", point).output().unwrap();
        assert_eq!(output.status.code(), None, "it does not die at {point}");
    }
}

#[test]
fn a_stop_of_all_that_was_cut_short_is_a_doubt_about_all_behind_its_code() {
    let proof = Proof::new(0);
    let declare = |enrol: &str| {
        let url = proof.spotler.url();
        let toml = format!(
            "[spotler]\nbase_url = {url:?}\n[automation.one]\ntrigger_code = \"code\"\n\
             [automation.two]\ntrigger_code = \"CODE\"\n{enrol}"
        );
        proof.repo.write("rollcall.toml", toml);
    };
    let both = "[[enrol]]\nautomation = [\"one\", \"two\"]\ncontacts = [\"c-1\"]\n";
    declare(both);
    proof.repo.apply().exits(0);
    declare("");
    let mut command = proof.repo.command(&["apply", "--yes", "--quiet"]);
    let output = command.env("ROLLCALL_FAILPOINT", "send:after").output();
    assert_eq!(output.unwrap().status.code(), None);
    assert_eq!(proof.spotler.running(), [], "one call has stopped both");
    let doubts = ["one c-1 stop-uncertain", "two c-1 stop-uncertain"];
    assert_eq!(proof.repo.recorded(), doubts);
    // The same once the next run has settled what was open: neither runs, so both are triggered again.
    declare(both);
    proof.repo.apply();
    assert_eq!(proof.spotler.running().len(), 2);
    assert_eq!(proof.repo.recorded(), ["one c-1 active", "two c-1 active"]);
}

#[test]
fn nothing_is_carried_out_twice_or_lost_whenever_the_process_is_killed() {
    let kills = number("ROLLCALL_KILLS", 36);
    let seed = number("ROLLCALL_SEED", 1);
    let start = Instant::now();
    let mut proof = Proof::new(seed as u64);
    let mut round = 0;
    while proof.kills < kills {
        round += 1;
        proof.round(round, 6);
    }
    println!(
        "seed {seed}: {} kills in {} runs and {round} rounds, {} times refused without its log, {} calls received, \
         {} carried out, in {:.0} s: 0 carried out twice, 0 lost",
        proof.kills,
        proof.runs,
        proof.refused,
        proof.calls,
        proof.carried_out,
        start.elapsed().as_secs_f64()
    );
}

#[cfg(unix)]
#[test]
fn nothing_is_carried_out_twice_or_lost_whenever_a_process_a_session_or_the_server_is_killed() {
    let Some(server) = Server::start() else {
        println!("skipped: there is no PostgreSQL here");
        return;
    };
    let kills = number("ROLLCALL_KILLS", 12);
    let seed = number("ROLLCALL_SEED", 1);
    let start = Instant::now();
    let mut proof = Proof::on(server, seed as u64);
    let mut round = 0;
    while proof.kills < kills {
        round += 1;
        proof.round(round, 6);
    }
    println!(
        "seed {seed}, PostgreSQL: {} kills, {} sessions and {} servers killed, in {} runs and {round} rounds, {} calls \
         received, {} carried out, in {:.0} s: 0 carried out twice, 0 lost",
        proof.kills,
        proof.sessions,
        proof.servers,
        proof.runs,
        proof.calls,
        proof.carried_out,
        start.elapsed().as_secs_f64()
    );
}

/// A repository of which an apply was killed with a call under way.
fn killed(contacts: &[&str]) -> (Spotler, Repo) {
    let spotler = Spotler::open();
    let repo = Repo::with(&format!(
        "[spotler]\nbase_url = {:?}\n[automation.welcome]\ntrigger_code = \"w\"\n[[enrol]]\n\
         automation = \"welcome\"\ncontacts = {contacts:?}\n",
        spotler.url()
    ));
    let mut command = repo.command(&["apply", "--yes", "--new-record"]);
    let output = command.env("ROLLCALL_FAILPOINT", "send:after").output();
    assert_eq!(output.unwrap().status.code(), None);
    (spotler, repo)
}

#[test]
fn a_run_with_nothing_else_to_do_tells_once_of_a_call_that_was_left_open() {
    let (spotler, repo) = killed(&["c-1"]);
    let args = ["apply", "--yes", "--quiet", "--metrics", "rollcall.prom"];
    let found = repo.run(&args).exits(3);
    for part in [
        "trigger  c-1 / welcome",
        "rollcall resolve --as active CONTACT",
    ] {
        assert!(found.stderr.contains(part), "{}", found.stderr);
    }
    let metrics = std::fs::read_to_string(repo.file("rollcall.prom")).unwrap();
    let uncertain = "{automation=\"welcome\",state=\"uncertain\"} 1\n";
    assert!(metrics.contains(uncertain), "{metrics}");
    assert!(
        metrics.contains("rollcall_last_run_exit_code 3\n"),
        "{metrics}"
    );
    let again = repo.run(&args).exits(0);
    assert_eq!((again.stdout.as_str(), again.stderr.as_str()), ("", ""));
    assert_eq!(spotler.ledger().len(), 1, "nobody twice");
}

#[test]
fn a_doubt_is_reported_by_the_exit_code_once_though_the_run_that_found_it_fails() {
    let told = "trigger  c-1 / welcome";
    let (_spotler, repo) = killed(&["c-1"]);
    let toml = std::fs::read_to_string(repo.file("rollcall.toml")).unwrap();
    let export = "[source.crm]\ncsv = \"crm.csv\"\ncontact = \"id\"\n[[enrol]]\nautomation = \"welcome\"\nsource = \"crm\"\n";
    repo.write("rollcall.toml", format!("{toml}{export}"));
    let args = ["apply", "--yes", "--quiet", "--metrics", "rollcall.prom"];
    let failed = repo.run(&args).exits(3);
    assert!(
        failed.stderr.contains(told) && failed.stderr.contains("crm.csv"),
        "{}",
        failed.stderr
    );
    let metrics = std::fs::read_to_string(repo.file("rollcall.prom")).unwrap();
    let uncertain = "rollcall_participations{automation=\"welcome\",state=\"uncertain\"} 1\n";
    assert!(metrics.contains(uncertain), "{metrics}");
    repo.run(&args).exits(1);
    repo.write("crm.csv", "id\nc-1\n");
    repo.run(&args).exits(0);
    // What was written is not said to be nothing.
    let (_spotler, repo) = killed(&["c-1"]);
    let failed = repo.run(&["apply", "--yes", "--new-record"]).exits(3);
    let said = failed.stderr;
    assert!(
        said.contains(told) && said.contains("Run it without --new-record"),
        "{said}"
    );
    assert!(!said.contains("nothing was written"), "{said}");
}

#[test]
fn whatever_ends_a_run_it_tells_first_of_a_call_that_was_left_open() {
    let told = "trigger  c-1 / welcome";
    let (_spotler, repo) = killed(&["c-1"]);
    let toml = std::fs::read_to_string(repo.file("rollcall.toml")).unwrap();
    let more = toml.replace("[\"c-1\"]", "[\"c-1\", \"c-2\"]");
    repo.write(
        "rollcall.toml",
        format!("[guard]\nmax_triggers = 0\n{more}"),
    );
    let refused = repo.run(&["apply", "--yes"]).exits(4);
    assert!(refused.stderr.contains(told), "{}", refused.stderr);
    let (_spotler, repo) = killed(&["c-1"]);
    let toml = std::fs::read_to_string(repo.file("rollcall.toml")).unwrap();
    repo.write(
        "rollcall.toml",
        toml.replace("[\"c-1\"]", "[\"c-1\", \"c-2\"]"),
    );
    for args in [
        &["adopt", "--yes"][..],
        &["resolve", "--as", "active", "--yes"],
        &["record", "forget", "c-1", "--yes"],
    ] {
        let is_first = args[0] == "adopt";
        if args[0] == "record" {
            repo.write("rollcall.toml", toml.replace("\"c-1\"", "\"c-2\""));
        }
        let done = repo.run(args).exits(0);
        assert_eq!(done.stderr.contains(told), is_first, "{}", done.stderr);
    }
}
