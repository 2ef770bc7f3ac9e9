//! The control of a sandbox, below `/_sandbox/`: what tests in any language steer it by. Needs no signature.
//!
//! | request | does |
//! |---|---|
//! | `GET ledger?after=SEQ` | what was carried out: [`LedgerEntry`](super::LedgerEntry), one JSON object a line |
//! | `GET totals` | [`Totals`](super::Totals) |
//! | `GET participations?code=C&contact=C&state=all` | the running ones, or all of them: a JSON array |
//! | `GET stats` | [`Stats`](super::Stats) |
//! | `PUT automations` | `[{"name": "Welcome", "code": "…", "publications": [{"active": true, "setting": "once"}]}]` |
//! | `PUT unknown` | the contacts that are not known: `["crm-1", "test-*"]` |
//! | `PUT faults` | `{"seed": 7, "rules": [{"fault": "reset-after", "probability": 0.05}]}`, played from the start |
//! | `POST credentials` | `{"revoked": true}` or `false` |
//! | `POST advance` | running participations pass all their steps: all, or those of a `{"code": …, "contact": …}` |
//! | `POST down/{ms}` | connections are refused for so many milliseconds |
//! | `POST reset` (or `PUT`) | forgets what happened; faults are played from the start, revoked credentials count again |

use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use axum::body::{Body, Bytes};
use axum::extract::{ConnectInfo, Path, Query, State};
use axum::http::StatusCode;
use axum::http::header::{CONNECTION, CONTENT_TYPE};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post, put};
use axum::{Json, Router};
use futures_util::stream;
use jiff::Timestamp;
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};

use super::answer::Answer;
use super::ledger::{ParticipationView, Standing, Totals};
use super::nonces::Nonces;
use super::options::Trigger;
use super::sabotage::respond;
use super::schedule::{Player, Schedule};
use super::server::Shared;
use super::stats::Stats;
use super::wire::Wire;

/// How many entries are written out at once: others have to wait meanwhile.
const BATCH: usize = 1000;

type App = State<Arc<Shared>>;

/// The routes, without their prefix.
pub(super) fn routes() -> Router<Arc<Shared>> {
    Router::new()
        .route("/ledger", get(ledger))
        .route("/totals", get(totals))
        .route("/participations", get(participations))
        .route("/stats", get(stats))
        .route("/automations", put(automations))
        .route("/unknown", put(unknown))
        .route("/faults", put(faults))
        .route("/credentials", post(credentials))
        .route("/advance", post(advance))
        .route("/down/{ms}", post(down))
        .route("/reset", post(reset).put(reset))
        .fallback(async || Answer::error(404, "RESOURCE_NOT_FOUND", "There is no such control."))
}

impl IntoResponse for Answer {
    fn into_response(self) -> Response {
        respond(self)
    }
}

/// A body as JSON, whatever its `Content-Type` says: these requests are typed by hand.
fn read<T: DeserializeOwned>(body: &[u8]) -> Result<T, Answer> {
    serde_json::from_slice(body).map_err(|error| {
        let message = format!("The body is not valid: {error}. Nothing was changed.");
        Answer::error(400, "INVALID_PARAMS", &message)
    })
}

fn failed(error: std::io::Error) -> Answer {
    let message = format!("The sandbox could not write its memory: {error}.");
    Answer::error(500, "BACKEND_EXCEPTION", &message)
}

/// A body in batches. `next` takes the state of the last one, and gives a batch and its own; an empty one is the end.
fn batches<S: Send + 'static>(first: S, next: impl Fn(S) -> (Vec<u8>, S) + Send + 'static) -> Body {
    Body::from_stream(stream::unfold(first, move |state| {
        let (batch, state) = next(state);
        let item = (!batch.is_empty()).then_some((Ok::<_, Infallible>(batch), state));
        std::future::ready(item)
    }))
}

#[derive(Deserialize)]
struct After {
    #[serde(default)]
    after: u64,
}

async fn ledger(State(shared): App, Query(After { after }): Query<After>) -> Response {
    let body = batches(after, move |mut after| {
        let mut lines = Vec::new();
        for entry in shared.state().world.memory().ledger(after).take(BATCH) {
            after = entry.seq;
            lines.extend(Answer::json(200, &entry).body);
            lines.push(b'\n');
        }
        (lines, after)
    });
    ([(CONTENT_TYPE, "application/x-ndjson")], body).into_response()
}

async fn totals(State(shared): App) -> Json<Totals> {
    Json(shared.state().world.memory().totals())
}

#[derive(Deserialize)]
struct Which {
    code: Option<String>,
    contact: Option<String>,
    #[serde(default)]
    state: WhichState,
}

#[derive(Deserialize, Default, PartialEq)]
#[serde(rename_all = "kebab-case")]
enum WhichState {
    #[default]
    Active,
    All,
}

impl Which {
    fn is_meant(&self, participation: &ParticipationView) -> bool {
        (self.state == WhichState::All || participation.state == Standing::Active)
            && self
                .code
                .as_ref()
                .is_none_or(|code| *code == participation.code)
            && self
                .contact
                .as_ref()
                .is_none_or(|contact| *contact == participation.contact)
    }
}

async fn participations(State(shared): App, Query(which): Query<Which>) -> Response {
    // What was looked at, and the separator before what is found next; no separator after the end of the list.
    let body = batches((0, Some("[")), move |(mut seen, mut before)| {
        let mut list = Vec::new();
        while before.is_some() && list.is_empty() {
            let state = shared.state();
            let mut looked_at = 0;
            for participation in state.world.memory().participations(seen).take(BATCH) {
                looked_at += 1;
                if which.is_meant(&participation) {
                    list.extend(before.unwrap_or_default().bytes());
                    list.extend(Answer::json(200, &participation).body);
                    before = Some(",\n");
                }
            }
            seen += looked_at;
            if looked_at == 0 {
                list.extend(if before == Some("[") { "[]" } else { "]" }.bytes());
                before = None;
            }
        }
        (list, (seen, before))
    });
    ([(CONTENT_TYPE, "application/json")], body).into_response()
}

async fn stats(State(shared): App) -> Json<Stats> {
    let state = shared.state();
    Json(Stats {
        faults: state.player.hits().to_vec(),
        ..state.stats.clone()
    })
}

async fn automations(State(shared): App, body: Bytes) -> Result<StatusCode, Answer> {
    let triggers: Vec<Trigger> = read(&body)?;
    shared.state().world.set_triggers(triggers);
    Ok(StatusCode::NO_CONTENT)
}

async fn unknown(State(shared): App, body: Bytes) -> Result<StatusCode, Answer> {
    let contacts: Vec<String> = read(&body)?;
    shared.state().world.set_unknown(contacts);
    Ok(StatusCode::NO_CONTENT)
}

async fn faults(State(shared): App, body: Bytes) -> Result<StatusCode, Answer> {
    let schedule: Schedule = read(&body)?;
    shared.state().player = Player::new(schedule);
    Ok(StatusCode::NO_CONTENT)
}

async fn credentials(State(shared): App, body: Bytes) -> Result<StatusCode, Answer> {
    #[derive(Deserialize)]
    #[serde(deny_unknown_fields)]
    struct Credentials {
        revoked: bool,
    }
    let Credentials { revoked } = read(&body)?;
    shared.state().is_revoked = revoked;
    Ok(StatusCode::NO_CONTENT)
}

async fn advance(State(shared): App, body: Bytes) -> Result<Json<Value>, Answer> {
    #[derive(Deserialize, Default)]
    #[serde(deny_unknown_fields)]
    struct Whose {
        code: Option<String>,
        contact: Option<String>,
    }
    let whose: Whose = if body.is_empty() {
        Whose::default()
    } else {
        read(&body)?
    };
    let (code, contact) = (whose.code.as_deref(), whose.contact.as_deref());
    let finished = shared.state().world.finish(code, contact, Timestamp::now());
    Ok(Json(json!({ "finished": finished.map_err(failed)? })))
}

async fn down(
    State(shared): App,
    ConnectInfo(wire): ConnectInfo<Wire>,
    Path(ms): Path<u64>,
) -> impl IntoResponse {
    let _busy = wire.busy();
    shared.refuse(Duration::from_millis(ms)).await;
    // This connection has to go as well: a request through it would not be refused.
    (StatusCode::NO_CONTENT, [(CONNECTION, "close")])
}

async fn reset(State(shared): App) -> Result<StatusCode, Answer> {
    let mut state = shared.state();
    state.world.reset().map_err(failed)?;
    state.nonces = Nonces::default();
    state.player.rewind();
    state.stats = Stats::default();
    state.is_revoked = false;
    Ok(StatusCode::NO_CONTENT)
}
