//! Rollcall as a library: the example program does what it says.

mod common;

#[allow(dead_code)]
#[path = "../examples/embed/main.rs"]
mod example;

use common::Repo;
use common::page::copy;

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
