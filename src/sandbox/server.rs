//! The server: from a request to an answer, with a signature checked, a fault chosen and a call carried out between.

use std::net::SocketAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use axum::Router;
use axum::body::{Bytes, to_bytes};
use axum::extract::{ConnectInfo, Request, State};
use axum::http::header::{ACCEPT, AUTHORIZATION, CONNECTION, CONTENT_TYPE, HOST};
use axum::http::request::Parts;
use axum::http::{HeaderName, HeaderValue};
use axum::response::Response;
use jiff::Timestamp;
use tokio::sync::{mpsc, oneshot, watch};
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use super::answer::Answer;
use super::call::{self, Asked, BASE_PATH, Call};
use super::control;
use super::error::SandboxError;
use super::faults::Fault;
use super::journal::Journal;
use super::ledger::LedgerEntry;
use super::memory::Memory;
use super::nonces::Nonces;
use super::oauth::{self, Refusal, Signed};
use super::options::{Credentials, Options};
use super::sabotage::{respond, spoil};
use super::schedule::{Player, Schedule, Wrong};
use super::stats::Stats;
use super::wire::{self, Busy, Door, Wire};
use super::world::{IdStyle, World};

/// The largest body that is read.
const LARGEST_BODY: usize = 1 << 20;

/// How long connections may take to end.
const GRACE: Duration = Duration::from_secs(2);

/// A sandbox that runs. It ends when this is dropped.
#[derive(Debug)]
pub struct Running {
    address: SocketAddr,
    shared: Arc<Shared>,
    server: JoinHandle<()>,
}

impl Running {
    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// The base URL for a client.
    pub fn base_url(&self) -> String {
        format!("http://{}{BASE_PATH}", self.address)
    }

    /// Every call that was carried out, in order.
    pub fn ledger(&self) -> Vec<LedgerEntry> {
        self.shared.state().world.memory().ledger(0).collect()
    }

    /// How many calls have come in since the start, for those who wait for some of them. It also wakes them when a call is
    /// carried out or over.
    pub fn calls(&self) -> watch::Receiver<u64> {
        self.shared.calls.subscribe()
    }

    /// Ends it: what is under way is answered, except what hangs. A call that was to be carried out late is not.
    pub async fn shutdown(mut self) {
        self.shared.end.cancel();
        // A client that does not let go is left behind.
        let _ = tokio::time::timeout(GRACE, &mut self.server).await;
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        self.shared.end.cancel();
    }
}

/// Starts a sandbox on the current runtime.
///
/// # Errors
/// [`SandboxError`] where it may not or cannot listen there, or cannot use its memory.
pub async fn start(options: Options) -> Result<Running, SandboxError> {
    if !options.listen.ip().is_loopback() {
        return Err(SandboxError::NotLoopback(options.listen));
    }
    let (journal, memory) = match &options.memory {
        Some(path) => {
            let (journal, memory) = Journal::open(path)?;
            (Some(journal), memory)
        }
        None => (None, Memory::default()),
    };
    let memory = memory.or_after(options.given);
    let (shut, orders) = mpsc::unbounded_channel();
    let door = Door::open(options.listen, orders).map_err(|cause| SandboxError::Listen {
        address: options.listen,
        cause,
    })?;
    let address = door.address();
    let shared = Arc::new(Shared {
        credentials: Credentials::new(options.key, options.secret),
        tolerance: options.tolerance.as_secs(),
        state: Mutex::new(Inner {
            world: World::new(
                options.triggers,
                options.inactive,
                options.unknown_contacts,
                memory,
                journal,
            ),
            nonces: Nonces::default(),
            player: Player::new(Schedule {
                seed: options.seed,
                rules: options.faults,
            }),
            stats: Stats::default(),
            is_revoked: false,
        }),
        calls: watch::Sender::new(0),
        shut,
        end: CancellationToken::new(),
    });
    let router = Router::new()
        .nest("/_sandbox", control::routes())
        .fallback(handle)
        .with_state(shared.clone());
    let end = shared.end.clone();
    let server = tokio::spawn(async move {
        let service = router.into_make_service_with_connect_info::<Wire>();
        // It ends when it is told to, and has no other way.
        let _ = axum::serve(door, service)
            .with_graceful_shutdown(end.cancelled_owned())
            .await;
    });
    Ok(Running {
        address,
        shared,
        server,
    })
}

/// What all requests share.
pub(super) struct Shared {
    credentials: Credentials,
    /// In seconds.
    tolerance: u64,
    state: Mutex<Inner>,
    /// How many calls have come in since the start.
    calls: watch::Sender<u64>,
    shut: mpsc::UnboundedSender<wire::Refusal>,
    /// Cancelled at the end.
    end: CancellationToken,
}

impl std::fmt::Debug for Shared {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Shared").finish_non_exhaustive()
    }
}

/// What changes.
pub(super) struct Inner {
    pub world: World,
    pub nonces: Nonces,
    pub player: Player,
    pub stats: Stats,
    pub is_revoked: bool,
}

impl Shared {
    /// What changes, for as long as it takes to look or change.
    pub fn state(&self) -> MutexGuard<'_, Inner> {
        // Nothing is left half-done by a panic: a change is one entry, and the entry is made last.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Refuses connections for some time, from before this returns on.
    pub async fn refuse(&self, time: Duration) {
        let (done, is_done) = oneshot::channel();
        if self.shut.send((time, done)).is_ok() {
            // It goes unanswered at the sandbox's end alone.
            let _ = is_done.await;
        }
    }

    /// Checks a request's signature, and that it is a new one.
    fn authorize(&self, parts: &Parts) -> Result<(), Refusal> {
        let mut headers = parts.headers.get_all(AUTHORIZATION).iter();
        let authorization = headers.next().ok_or(Refusal::Unsigned)?;
        if headers.next().is_some() {
            return Err(Refusal::Duplicate("Authorization".to_owned()));
        }
        let host = text(parts, HOST).or_else(|| parts.uri.authority().map(|a| a.as_str()));
        let request = Signed {
            method: parts.method.as_str(),
            host: host.unwrap_or_default(),
            path: parts.uri.path(),
            query: parts.uri.query(),
            authorization: authorization.to_str().map_err(|_| Refusal::Unreadable)?,
        };
        let now = Timestamp::now().as_second();
        let ticket = oauth::check(&request, &self.credentials, now, self.tolerance)?;
        let mut state = self.state();
        if state.is_revoked {
            return Err(Refusal::Revoked);
        }
        state.nonces.take(&ticket, now, self.tolerance)
    }

    /// Carries a call out after a delay.
    async fn perform(self: Arc<Self>, call: Call, wrong: &Wrong) -> Answer {
        let ids = match wrong.fault {
            Some(Fault::NumberId) => IdStyle::Number,
            Some(Fault::OddId) => IdStyle::Odd,
            _ => IdStyle::Plain,
        };
        if wrong.delay.is_zero() {
            return self.perform_now(&call, ids);
        }
        // The real service does not ask whether its client is still there when it gets round to a call. So this goes
        // on even where the connection, and the handler with it, is gone.
        let delay = wrong.delay;
        let late = tokio::spawn(async move {
            tokio::select! {
                () = tokio::time::sleep(delay) => self.perform_now(&call, ids),
                () = self.end.cancelled() => unavailable(),
            }
        });
        late.await.unwrap_or_else(|_| unavailable())
    }

    fn perform_now(&self, call: &Call, ids: IdStyle) -> Answer {
        let answer = self.state().world.perform(call, Timestamp::now(), ids);
        self.calls.send_modify(|_| {});
        answer
    }
}

fn unavailable() -> Answer {
    Answer::error(503, "BACKEND_EXCEPTION", "The sandbox is ending.")
}

fn text(parts: &Parts, name: HeaderName) -> Option<&str> {
    parts.headers.get(name)?.to_str().ok()
}

/// A request under way, for as long as its handler lives: a handler ends early where the client goes away.
struct UnderWay {
    shared: Arc<Shared>,
    _busy: Busy,
}

impl Drop for UnderWay {
    fn drop(&mut self) {
        self.shared.state().stats.leave();
        self.shared.calls.send_modify(|_| {});
    }
}

/// Answers a request to the API.
async fn handle(
    State(shared): State<Arc<Shared>>,
    ConnectInfo(wire): ConnectInfo<Wire>,
    request: Request,
) -> Response {
    shared.state().stats.enter();
    shared.calls.send_modify(|calls| *calls += 1);
    let _under_way = UnderWay {
        shared: shared.clone(),
        _busy: wire.busy(),
    };
    let mut response = match read(&shared, request).await {
        Ok((call, sent)) => carry_out(&shared, call, &sent).await,
        Err(answer) => Some(respond(answer)),
    };
    match &mut response {
        Some(response) => {
            let status = response.status().as_u16();
            *shared.state().stats.statuses.entry(status).or_default() += 1;
            if wire.is_closing() {
                let close = HeaderValue::from_static("close");
                response.headers_mut().insert(CONNECTION, close);
            }
        }
        None => wire.reset(),
    }
    response.unwrap_or_default()
}

/// Takes a request in: its signature first, then what it asks for. The body comes along for [`Fault::Echo`] alone.
async fn read(shared: &Shared, request: Request) -> Result<(Call, Bytes), Answer> {
    let (parts, body) = request.into_parts();
    let body = to_bytes(body, LARGEST_BODY).await.map_err(|_| {
        let message = "The body is larger than 1 MiB, or incomplete.";
        Answer::error(413, "INVALID_PARAMS", message)
    })?;
    shared.authorize(&parts).map_err(|refusal| {
        tracing::debug!(event = "sandbox-refused", %refusal, "call refused");
        Answer::error(401, refusal.error_type(), &refusal.to_string())
    })?;
    let call = call::read(&Asked {
        method: parts.method.as_str(),
        path: parts.uri.path(),
        content_type: text(&parts, CONTENT_TYPE),
        accept: text(&parts, ACCEPT),
        body: &body,
    })?;
    Ok((call, body))
}

/// Does what a call asks for, or what a fault makes of it. `None` is a reset.
async fn carry_out(shared: &Arc<Shared>, call: Call, sent: &[u8]) -> Option<Response> {
    let wrong = {
        let mut state = shared.state();
        *state.stats.kinds.entry(call.kind()).or_default() += 1;
        state.player.next(&call)
    };
    tracing::debug!(
        event = "sandbox-call", kind = ?call.kind(), code = call.code(), contact = call.contact(), ?wrong, "call"
    );
    let fault = wrong.fault.as_ref();
    let answer = if fault.is_none_or(Fault::carries_out) {
        shared.clone().perform(call, &wrong).await
    } else {
        tokio::time::sleep(wrong.delay).await;
        Answer::empty(204)
    };
    if !wrong.refuse.is_zero() {
        shared.refuse(wrong.refuse).await;
    }
    match fault {
        None => Some(respond(answer)),
        Some(Fault::ResetBefore | Fault::ResetAfter) => None,
        Some(Fault::HangBefore | Fault::HangAfter) => {
            shared.end.cancelled().await;
            None
        }
        Some(fault) => Some(spoil(fault, answer, sent)),
    }
}
