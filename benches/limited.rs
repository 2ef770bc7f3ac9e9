//! What it costs that some calls are answered by 429, against the time that the configured rate alone imposes.
//!
//! `cargo bench --bench limited` takes a minute and prints ratios.

#[path = "../tests/common/mod.rs"]
mod common;

use common::{Repo, Spotler};
use serde_json::{Value, json};

const CODE: &str = "0b8f9a52-6d0c-4f1c-8f53-2d6c9c0a7f11";

fn main() {
    const ACTIONS: usize = 2_000;
    let ids: String = (0..ACTIONS).map(|n| format!("c-{n:04}\n")).collect();
    let seconds = |limit: Option<Value>| {
        let spotler = Spotler::open();
        let slow = json!({ "fault": "slow", "ms": 50 });
        spotler.fault(Value::from_iter(limit.into_iter().chain([slow])));
        let repo = Repo::with(&format!(
            "[spotler]\nbase_url = {:?}\nrate = \"200/s\"\nconcurrency = 16\n[guard]\nmax_triggers = {ACTIONS}\n\
             [automation.welcome]\ntrigger_code = {CODE:?}\n[source.crm]\ncsv = \"crm.csv\"\ncontact = \"id\"\n\
             [[enrol]]\nautomation = \"welcome\"\nsource = \"crm\"\n",
            spotler.url()
        ));
        repo.write("crm.csv", format!("id\n{ids}"));
        let start = std::time::Instant::now();
        repo.run(&["apply", "--yes", "--quiet"]).exits(0);
        let seconds = start.elapsed().as_secs_f64();
        assert_eq!(spotler.ledger().len(), ACTIONS);
        println!("{} calls in {seconds:.2} s", spotler.calls());
        seconds
    };
    let alone = seconds(None);
    for limit in [
        json!({ "fault": "limit", "probability": 0.05 }),
        json!({ "fault": "limit", "probability": 0.05, "retry_after": "0" }),
    ] {
        let what = limit.to_string();
        println!("{what}: {:.2} x", seconds(Some(limit)) / alone);
    }
}
