//! A memory that outlives its sandbox.

use std::path::Path;

use super::*;

fn remembering(memory: &Path) -> Options {
    Options {
        triggers: vec![Trigger::new("Customers", CODE, Setting::OnceWhileRunning)],
        memory: Some(memory.to_owned()),
        ..Options::default()
    }
}

#[tokio::test]
async fn a_sandbox_goes_on_where_the_last_one_ended() {
    let folder = tempfile::tempdir().unwrap();
    let memory = folder.path().join("sandbox.jsonl");
    let trial = Trial::start(remembering(&memory)).await;
    let first = id(&trial.trigger("crm-1").await);
    trial.trigger("crm-2").await;
    trial.stop("crm-2").await;
    let before = trial.running.ledger();
    trial.running.shutdown().await;

    let trial = Trial::start(remembering(&memory)).await;
    assert_eq!(trial.running.ledger(), before);
    assert_eq!(trial.trigger("crm-1").await.status, 417);
    assert_ne!(id(&trial.trigger("crm-2").await), first);
    assert_eq!(trial.stop_one("crm-1", &first).await.status, 204);
}

#[tokio::test]
async fn what_was_answered_is_on_file_before_the_answer() {
    let folder = tempfile::tempdir().unwrap();
    let memory = folder.path().join("sandbox.jsonl");
    let trial = Trial::start(remembering(&memory)).await;
    for n in 1..=20 {
        let id = id(&trial.trigger(&format!("crm-{n}")).await);
        let written = std::fs::read_to_string(&memory).unwrap();
        assert_eq!(written.lines().count(), n);
        assert!(written.lines().last().unwrap().contains(&id));
    }
}

#[tokio::test]
async fn a_reset_empties_the_file() {
    let folder = tempfile::tempdir().unwrap();
    let memory = folder.path().join("sandbox.jsonl");
    let trial = Trial::start(remembering(&memory)).await;
    trial.trigger("crm-1").await;
    trial.control(Method::POST, "reset", None).await;
    assert_eq!(std::fs::read(&memory).unwrap(), b"");
    trial.trigger("crm-1").await;
    let written = std::fs::read_to_string(&memory).unwrap();
    assert!(written.starts_with("{\"seq\":1,"));
}

#[tokio::test]
async fn a_memory_that_another_has_is_left_alone() {
    let folder = tempfile::tempdir().unwrap();
    let memory = folder.path().join("sandbox.jsonl");
    let _first = Trial::start(remembering(&memory)).await;
    let error = start(remembering(&memory)).await.unwrap_err().to_string();
    assert!(error.contains("in use by another process"), "{error}");
}

#[cfg(target_os = "linux")]
#[tokio::test]
async fn a_call_that_cannot_be_written_down_is_not_carried_out() {
    // A device that is always full.
    let mut world = crate::sandbox::world::World::new(
        Vec::new(),
        Vec::new(),
        Vec::new(),
        crate::sandbox::memory::Memory::default(),
        Some(crate::sandbox::journal::Journal::full()),
    );
    let call = crate::sandbox::call::Call::Trigger {
        code: CODE.to_owned(),
        contact: "crm-1".to_owned(),
        fields: Default::default(),
    };
    let answer = world.perform(
        &call,
        jiff::Timestamp::now(),
        crate::sandbox::world::IdStyle::Plain,
    );
    assert_eq!(answer.status, 500);
    assert_eq!(world.memory().totals(), Default::default());
}
