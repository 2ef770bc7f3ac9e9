//! The work that is measured: an export of contacts, five automations over it, and a record of what ran yesterday.
#![allow(dead_code, reason = "each bench uses a part of it")]

use std::fmt::Write as _;
use std::fs;
use std::path::Path;
use std::time::Duration;

use futures_util::future::join_all;
use jiff::Timestamp;
use rollcall::config::{self, Config};
use rollcall::id::{AutomationName, ContactId, ParticipationId, TriggerCode};
use rollcall::participation::{Key, Move, TriggerOutcome};
use rollcall::plan::{Filter, Merged, Plan};
use rollcall::record::{
    CallKind, CallOutcome, Change, Expected, Intent, LockRequest, Purpose, Record, Settlement,
    Writing,
};
use rollcall::roster::{self, Roster};
use rollcall::source::{Inputs, Recorded, Table};
use rollcall::spotler::Signer;
use secrecy::SecretString;
use tokio::runtime::Runtime;
use url::Url;

const CONFIG: &str = r#"
[source.crm]
csv = "crm.csv"
contact = "id"
[automation.customer]
trigger_code = "0b8f9a52-6d0c-4f1c-8f53-2d6c9c0a7f11"
[automation.prospect]
trigger_code = "0b8f9a52-6d0c-4f1c-8f53-2d6c9c0a7f12"
[automation.ex-customer]
trigger_code = "0b8f9a52-6d0c-4f1c-8f53-2d6c9c0a7f13"
[automation.premium]
trigger_code = "0b8f9a52-6d0c-4f1c-8f53-2d6c9c0a7f14"
[automation.country-nl]
trigger_code = "0b8f9a52-6d0c-4f1c-8f53-2d6c9c0a7f15"
[[enrol]]
automation = "customer"
source = "crm"
where.status = "customer"
[[enrol]]
automation = "prospect"
source = "crm"
where.status = "prospect"
where.country = ["NL", "BE"]
[[enrol]]
automation = "ex-customer"
source = "crm"
where.status = "ex-customer"
[[enrol]]
automation = "premium"
source = "crm"
where.status = "customer"
where.plan = "premium"
[[enrol]]
automation = "country-nl"
source = "crm"
where.country = "NL"
"#;

/// Spreads a number over 64 bits (the finisher of SplitMix64), so that the same rows always have the same content.
fn mixed(number: u64) -> u64 {
    let number = number.wrapping_add(0x9E37_79B9_7F4A_7C15);
    let number = (number ^ (number >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    let number = (number ^ (number >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
    number ^ (number >> 31)
}

/// An export; of today's, one contact in a hundred has changed since yesterday's.
fn export(rows: u64, is_today: bool) -> String {
    let mut csv = "id,email,status,country,plan,company,city,last_order\n".to_owned();
    for contact in 0..rows {
        let bits = mixed(contact);
        let bits = match is_today && (bits >> 32).is_multiple_of(100) {
            true => mixed(bits),
            false => bits,
        };
        let status = ["customer", "prospect", "customer", "ex-customer"][bits as usize % 4];
        let country = ["NL", "BE", "DE", "NL"][(bits >> 8) as usize % 4];
        let plan = ["basic", "premium", "free"][(bits >> 16) as usize % 3];
        let (company, city, day) = (contact % 5000, contact % 7, 1 + contact % 28);
        // A text takes whatever is written to it.
        let _ = writeln!(
            csv,
            "crm-{},user{contact}@mail.example,{status},{country},{plan},Company {company} B.V.,City {city},2026-03-{day:02}",
            10_000_000 + contact
        );
    }
    csv
}

fn now() -> Timestamp {
    Timestamp::UNIX_EPOCH + Duration::from_secs(1_800_000_000)
}

fn request() -> LockRequest {
    LockRequest {
        command: "bench".to_owned(),
        timeout: Duration::ZERO,
        config_digest: None,
        git_revision: None,
        expected: Expected::default(),
        purpose: Purpose::Act,
        may_begin: true,
    }
}

/// Makes the export of today and the record of yesterday in a folder.
pub fn prepare(folder: &Path, rows: u64) {
    fs::write(folder.join("rollcall.toml"), CONFIG).unwrap();
    fs::write(folder.join("crm.csv"), export(rows, false)).unwrap();
    let config = load(folder);
    let roster = select(&config);
    let changes = roster.enrolments().map(|enrolment| {
        let automation = &config.automations[enrolment.automation];
        Change {
            key: Key {
                contact: ContactId::new(enrolment.contact).unwrap(),
                automation: automation.name.clone(),
                occurrence: None,
            },
            before: None,
            transition: Move::Adopt,
            trigger_code: automation.trigger_code.clone(),
            fields: None,
        }
    });
    let changes = changes.collect();
    Runtime::new().unwrap().block_on(async {
        let writing = Writing::begin(&Record::of(&config.record.at), request(), |_| ())
            .await
            .unwrap();
        writing.journal().change(changes).await.unwrap();
        writing.end().await.unwrap();
    });
    fs::write(folder.join("crm.csv"), export(rows, true)).unwrap();
}

/// Reads the configuration.
pub fn load(folder: &Path) -> Config {
    config::load(&folder.join("rollcall.toml")).unwrap()
}

/// Parsing: every row of the export.
pub fn parse(config: &Config) -> usize {
    let table = Table::open(&config.sources[0], &Inputs::NONE).unwrap();
    let mut rows = table.rows();
    let mut count = 0;
    while let Some(row) = rows.read() {
        row.unwrap();
        count += 1;
    }
    count
}

/// Selecting: the roster of the export.
pub fn select(config: &Config) -> Roster<'_> {
    roster::build(config, now(), Recorded::Empty("a bench has none")).unwrap()
}

/// Diffing: the roster against the record, which is read from its file.
pub fn diff(runtime: &Runtime, config: &Config, roster: &Roster<'_>) -> Plan {
    let record = Record::of(&config.record.at);
    let snapshot = runtime.block_on(record.snapshot()).unwrap();
    let recorded = snapshot.participations.parts();
    Plan::build(
        config,
        roster,
        recorded,
        &Filter::default(),
        (now(), now()),
        Vec::new(),
        Merged::default(),
    )
    .unwrap()
}

/// Signing: so many calls.
pub fn sign(calls: u64) -> usize {
    let signer = Signer::new("key", &SecretString::from("secret".to_owned()));
    let url = "https://restapi.mailplus.nl/integrationservice-1.1.0/automation/trigger/\
               0b8f9a52-6d0c-4f1c-8f53-2d6c9c0a7f11";
    let url = Url::parse(url).unwrap();
    (0..calls)
        .map(|call| {
            let nonce = format!("{:032x}", mixed(call));
            let header = signer.authorization("POST", &url, 1_800_000_000, &nonce);
            header.len()
        })
        .sum()
}

/// Journaling: the intents of so many triggers and what came of them, into a new record.
pub fn journal(runtime: &Runtime, folder: &Path, calls: u64) {
    let code = TriggerCode::new("0b8f9a52-6d0c-4f1c-8f53-2d6c9c0a7f11").unwrap();
    let key = |call: u64| Key {
        contact: ContactId::new(format!("crm-{}", 10_000_000 + call)).unwrap(),
        automation: AutomationName::new("welcome").unwrap(),
        occurrence: None,
    };
    runtime.block_on(async {
        let path = folder.join("journal.db");
        let writing = Writing::begin(&Record::at(&path), request(), |_| ())
            .await
            .unwrap();
        let journal = writing.journal();
        let intents = (0..calls).map(|call| {
            journal.intend(Intent {
                kind: CallKind::Trigger,
                affected: vec![(key(call), None)],
                all: false,
                trigger_code: code.clone(),
                participation: None,
                fields: None,
                of_suppressed: None,
            })
        });
        let sent = join_all(intents).await;
        let outcomes = sent.into_iter().zip(0..).map(|(id, call)| {
            let settlement = Settlement {
                outcome: CallOutcome::Trigger(TriggerOutcome::Active),
                http_status: Some(200),
                detail: None,
                entries: None,
                ids: vec![ParticipationId::new(format!("{}", 1_000_000 + call)).unwrap()],
            };
            journal.settle(id.unwrap(), settlement).wait()
        });
        for settled in join_all(outcomes).await {
            settled.unwrap();
        }
        drop(journal);
        writing.end().await.unwrap();
        fs::remove_file(path).unwrap();
    });
}
