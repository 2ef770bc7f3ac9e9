//! The control of a sandbox, below `/_sandbox/`: what tests in any language steer it by.
//!
//! | request | does |
//! |---|---|
//! | `GET ledger` | every call that was carried out, one JSON object a line |
//! | `GET participations` | the running ones: `[{"contact", "code", "id"}]` |
//! | `GET stats` | counts of calls |
//! | `PUT triggers` | `[{"name", "code", "publications": [{"setting", "active"}]}]` |
//! | `PUT faults` | `{"seed": 0, "rules": [{"fault": "reset-after", "probability": 0.05}]}` |
//! | `PUT unknown` | `["contact", …]` |
//! | `PUT reset` | forgets all participations; the ledger stays |
//! | `POST revoke`, `POST restore` | the credentials |
//! | `POST finish` | every running participation passes all its steps |
//! | `POST down/{ms}` | connections are refused for so long |

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use axum::extract::{Path, State};
use axum::http::StatusCode;
use axum::routing::{get, post, put};
use axum::{Json, Router};
use serde::Deserialize;
use serde_json::{Value, json};

use super::fault::{Rule, Schedule};
use super::server::{Shared, lock, now};
use super::world::Trigger;

type App = State<Arc<Shared>>;

#[derive(Deserialize)]
struct Faults {
    #[serde(default)]
    seed: u64,
    rules: Vec<Rule>,
}

pub(super) fn routes() -> Router<Arc<Shared>> {
    Router::new()
        .route("/ledger", get(ledger))
        .route("/participations", get(participations))
        .route("/stats", get(stats))
        .route("/triggers", put(triggers))
        .route("/faults", put(faults))
        .route("/unknown", put(unknown))
        .route("/reset", put(reset))
        .route("/revoke", post(revoke))
        .route("/restore", post(restore))
        .route("/finish", post(finish))
        .route("/down/{ms}", post(down))
}

fn failed(error: std::io::Error) -> (StatusCode, String) {
    (StatusCode::INTERNAL_SERVER_ERROR, error.to_string())
}

async fn ledger(State(shared): App) -> Result<String, (StatusCode, String)> {
    lock(&shared.world).memory.all().map_err(failed)
}

async fn participations(State(shared): App) -> Json<Value> {
    let running = lock(&shared.world).running();
    let list = running.into_iter();
    Json(
        list.map(|(contact, code, id)| json!({ "contact": contact, "code": code, "id": id }))
            .collect(),
    )
}

async fn stats(State(shared): App) -> Json<Value> {
    let stats = &shared.stats;
    let carried_out = lock(&shared.world).memory.count();
    Json(json!({
        "calls": stats.calls.load(Ordering::SeqCst),
        "most_under_way": stats.most_under_way.load(Ordering::SeqCst),
        "faults": stats.faults.load(Ordering::SeqCst),
        "carried_out": carried_out,
    }))
}

async fn triggers(State(shared): App, Json(list): Json<Vec<Trigger>>) {
    lock(&shared.world).set_triggers(list);
}

async fn faults(State(shared): App, Json(faults): Json<Faults>) {
    *lock(&shared.schedule) = Schedule::new(faults.seed, faults.rules);
}

async fn unknown(State(shared): App, Json(list): Json<Vec<String>>) {
    lock(&shared.world).set_unknown(list);
}

async fn reset(State(shared): App) {
    lock(&shared.world).forget_participations();
}

async fn revoke(State(shared): App) {
    shared.is_revoked.store(true, Ordering::SeqCst);
}

async fn restore(State(shared): App) {
    shared.is_revoked.store(false, Ordering::SeqCst);
}

async fn finish(State(shared): App) -> Result<Json<Value>, (StatusCode, String)> {
    let count = lock(&shared.world).finish_all(now()).map_err(failed)?;
    Ok(Json(json!({ "finished": count })))
}

async fn down(State(shared): App, Path(ms): Path<u64>) {
    *lock(&shared.down_for) = Some(Duration::from_millis(ms));
    shared.down.notify_one();
}
