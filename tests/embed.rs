//! Rollcall as a library: the example program does what it says.

mod common;

#[allow(dead_code)]
#[path = "../examples/embed/main.rs"]
mod example;

use common::Repo;
use common::page::copy;

#[test]
fn a_program_is_refused_what_the_guard_refuses() {
    let repo = Repo::new();
    repo.write(
        "rollcall.toml",
        "[spotler]\nbase_url = \"sandbox\"\n[guard]\nmax_triggers = 0\n[automation.welcome]\ntrigger_code = \"w\"\n\
         [[enrol]]\nautomation = \"welcome\"\ncontacts = [\"crm-1\"]\n",
    );
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let refused = runtime.block_on(example::plan_and_apply(&repo.file("rollcall.toml")));
    let why = refused.unwrap_err().to_string();
    assert!(why.starts_with("The guard refuses the plan"), "{why}");
    // Nothing is on record of anybody.
    let list = repo.run(&["record", "list"]);
    assert_eq!(list.exits(0).stdout, "");
}

#[test]
fn a_program_plans_and_applies() {
    let repo = Repo::new();
    let examples = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("examples");
    copy(&examples.join("newsletter-welcome"), &repo.file(""));
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let apply = || runtime.block_on(example::plan_and_apply(&repo.file("rollcall.toml")));
    let run = apply().unwrap();
    assert!(run.is_good() && !run.settled.is_empty());
    // What was declared once is triggered once.
    assert!(apply().unwrap().settled.is_empty());
}
