//! The server: connections that can be reset, and the routes of the API.

use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use axum::Router;
use axum::body::{Body, Bytes};
use axum::extract::{Extension, OriginalUri, State};
use axum::http::{HeaderMap, Method, Response, StatusCode, header};
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::service::TowerToHyperService;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{Notify, watch};
use tokio::task::JoinHandle;

use super::answer::{self, Answer};
use super::control;
use super::fault::{CallOf, Fault, Rule, Schedule, Wrong};
use super::memory::Memory;
use super::oauth::{self, Nonces, Signed};
use super::world::{Trigger, World};

/// The path below which the real service has its API.
const PREFIX: &str = "/integrationservice-1.1.0";

/// What a sandbox is started with.
#[derive(Debug, Clone)]
pub struct Options {
    /// Where to listen; only on loopback. Port 0 takes a free one.
    pub listen: SocketAddr,
    /// The automations. None means that every code is an active, unlimited one.
    pub triggers: Vec<Trigger>,
    /// The consumer key that is accepted.
    pub key: String,
    /// Its secret.
    pub secret: String,
    /// The file in which it remembers what it carried out; otherwise it forgets when it ends.
    pub memory: Option<PathBuf>,
    /// What goes wrong.
    pub faults: Vec<Rule>,
    /// What decides when it does.
    pub seed: u64,
    /// Contacts that it does not know; it knows all others.
    pub unknown_contacts: Vec<String>,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            listen: SocketAddr::from((Ipv4Addr::LOCALHOST, 0)),
            triggers: Vec::new(),
            key: super::SANDBOX_KEY.to_owned(),
            secret: super::SANDBOX_SECRET.to_owned(),
            memory: None,
            faults: Vec::new(),
            seed: 0,
            unknown_contacts: Vec::new(),
        }
    }
}

/// A sandbox that runs.
pub struct Running {
    address: SocketAddr,
    stop: watch::Sender<bool>,
    task: JoinHandle<()>,
}

impl Running {
    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// The base URL for a client.
    pub fn base_url(&self) -> String {
        format!("http://{}{PREFIX}", self.address)
    }

    /// Ends it.
    pub async fn shutdown(self) {
        let _ = self.stop.send(true);
        let _ = self.task.await;
    }
}

/// What all connections share.
pub(super) struct Shared {
    pub world: Mutex<World>,
    pub schedule: Mutex<Schedule>,
    nonces: Mutex<Nonces>,
    key: String,
    secret: String,
    pub is_revoked: AtomicBool,
    /// Until when the listener is closed.
    pub down_for: Mutex<Option<Duration>>,
    pub down: Notify,
    pub stats: Stats,
}

/// What was counted.
#[derive(Default)]
pub(super) struct Stats {
    pub calls: AtomicU64,
    pub under_way: AtomicU64,
    pub most_under_way: AtomicU64,
    pub faults: AtomicU64,
}

pub(super) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    // Nothing panics while it holds one of these.
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

pub(super) fn now() -> i64 {
    SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .map_or(0, |since| {
            i64::try_from(since.as_secs()).unwrap_or(i64::MAX)
        })
}

/// Starts a sandbox.
///
/// # Errors
/// That it cannot listen there, or that its memory cannot be read.
pub async fn start(options: Options) -> io::Result<Running> {
    if !options.listen.ip().is_loopback() {
        return Err(io::Error::new(
            io::ErrorKind::InvalidInput,
            "the sandbox listens on loopback only",
        ));
    }
    let memory = match &options.memory {
        Some(path) => Memory::open(path)?,
        None => Memory::default(),
    };
    let shared = Arc::new(Shared {
        world: Mutex::new(World::new(
            options.triggers,
            options.unknown_contacts,
            memory,
        )),
        schedule: Mutex::new(Schedule::new(options.seed, options.faults)),
        nonces: Mutex::default(),
        key: options.key,
        secret: options.secret,
        is_revoked: AtomicBool::new(false),
        down_for: Mutex::new(None),
        down: Notify::new(),
        stats: Stats::default(),
    });
    let listener = TcpListener::bind(options.listen).await?;
    let address = listener.local_addr()?;
    let (stop, stopped) = watch::channel(false);
    let task = tokio::spawn(accept(listener, address, shared, stopped));
    Ok(Running {
        address,
        stop,
        task,
    })
}

async fn accept(
    listener: TcpListener,
    address: SocketAddr,
    shared: Arc<Shared>,
    mut stopped: watch::Receiver<bool>,
) {
    let router = Router::new()
        .nest("/_sandbox", control::routes())
        .fallback(handle)
        .with_state(shared.clone());
    let mut listener = Some(listener);
    loop {
        let Some(open) = &listener else {
            // Told to be down: connections are refused until the time is over.
            let wait = lock(&shared.down_for).take().unwrap_or_default();
            tokio::time::sleep(wait).await;
            listener = TcpListener::bind(address).await.ok();
            continue;
        };
        tokio::select! {
            accepted = open.accept() => {
                if let Ok((stream, _)) = accepted {
                    tokio::spawn(connection(stream, router.clone(), stopped.clone()));
                }
            }
            () = shared.down.notified() => listener = None,
            _ = stopped.changed() => return,
        }
    }
}

/// How a handler resets its own connection.
#[derive(Clone, Default)]
struct Reset(Arc<Notify>);

async fn connection(stream: TcpStream, router: Router, mut stopped: watch::Receiver<bool>) {
    let _ = stream.set_nodelay(true);
    let reset = Reset::default();
    let socket = socket2::SockRef::from(&stream).try_clone().ok();
    let service = TowerToHyperService::new(router.layer(Extension(reset.clone())));
    let serving = hyper::server::conn::http1::Builder::new()
        .timer(TokioTimer::new())
        .serve_connection(TokioIo::new(stream), service);
    tokio::select! {
        // That a client goes away is its own business.
        _ = serving => {}
        () = reset.0.notified() => {
            // A close without lingering is a reset.
            if let Some(socket) = socket {
                let _ = socket.set_linger(Some(Duration::ZERO));
            }
        }
        _ = stopped.changed() => {}
    }
}

/// Answers one call of the API.
async fn handle(
    State(shared): State<Arc<Shared>>,
    Extension(reset): Extension<Reset>,
    method: Method,
    OriginalUri(uri): OriginalUri,
    headers: HeaderMap,
    body: Bytes,
) -> Response<Body> {
    let stats = &shared.stats;
    let number = stats.calls.fetch_add(1, Ordering::SeqCst) + 1;
    let under_way = stats.under_way.fetch_add(1, Ordering::SeqCst) + 1;
    stats.most_under_way.fetch_max(under_way, Ordering::SeqCst);
    let answer = call(&shared, number, &method, &uri, &headers, &body).await;
    stats.under_way.fetch_sub(1, Ordering::SeqCst);
    match answer {
        Outcome::Answer(answer) => respond(*answer),
        Outcome::Reset => {
            reset.0.notify_one();
            std::future::pending().await
        }
        Outcome::Silence => std::future::pending().await,
    }
}

enum Outcome {
    Answer(Box<Answer>),
    Reset,
    Silence,
}

fn answered(answer: Answer) -> Outcome {
    Outcome::Answer(Box::new(answer))
}

/// What a path asks for.
enum Route<'a> {
    Trigger { code: &'a str },
    Stop { code: &'a str, id: Option<&'a str> },
    List,
    Contact { id: String },
}

impl Route<'_> {
    fn kind(&self) -> &'static str {
        match self {
            Route::Trigger { .. } => "trigger",
            Route::Stop { .. } => "stop",
            Route::List => "list",
            Route::Contact { .. } => "contact",
        }
    }
}

fn route<'a>(method: &Method, path: &'a str) -> Option<Route<'a>> {
    let path = path.strip_prefix(PREFIX).unwrap_or(path);
    let parts: Vec<&str> = path.trim_start_matches('/').split('/').collect();
    match (method, &parts[..]) {
        (&Method::POST, ["automation", "trigger", code]) => Some(Route::Trigger { code }),
        (&Method::POST, ["automation", "stop", code]) => Some(Route::Stop { code, id: None }),
        (&Method::POST, ["automation", "stop", code, id]) => {
            Some(Route::Stop { code, id: Some(id) })
        }
        (&Method::GET, ["automation", "list"]) => Some(Route::List),
        (&Method::GET, ["contact", id]) => Some(Route::Contact {
            id: percent_encoding::percent_decode_str(id)
                .decode_utf8_lossy()
                .into_owned(),
        }),
        _ => None,
    }
}

async fn call(
    shared: &Shared,
    number: u64,
    method: &Method,
    uri: &axum::http::Uri,
    headers: &HeaderMap,
    body: &[u8],
) -> Outcome {
    let Some(route) = route(method, uri.path()) else {
        return answered(Answer::html(404));
    };
    let asked = match route {
        Route::Trigger { .. } | Route::Stop { .. } => Some(answer::read_body(body)),
        Route::List | Route::Contact { .. } => None,
    };
    let contact = match &asked {
        Some(Ok(asked)) => asked.contact.as_str(),
        _ => "",
    };
    let code = match &route {
        Route::Trigger { code } | Route::Stop { code, .. } => code,
        _ => "",
    };
    let Wrong { delay, fault } = lock(&shared.schedule).strike(CallOf {
        kind: route.kind(),
        code,
        contact,
        number,
    });
    if fault.is_some() || !delay.is_zero() {
        shared.stats.faults.fetch_add(1, Ordering::SeqCst);
    }
    if !delay.is_zero() {
        tokio::time::sleep(delay).await;
    }
    if let Err(why) = is_believed(shared, method, uri, headers) {
        return answered(Answer::error(401, "NOT_AUTHORIZED", why));
    }
    match &fault {
        Some(Fault::Limit { retry_after }) => {
            return answered(Answer::limited(429, retry_after.clone()));
        }
        Some(Fault::Unavailable { retry_after }) => {
            return answered(Answer::limited(503, retry_after.clone()));
        }
        Some(Fault::ErrorBefore) => {
            return answered(Answer::error(500, "BACKEND_EXCEPTION", "It failed"));
        }
        Some(Fault::Revoked) => {
            return answered(Answer::error(401, "NOT_AUTHORIZED", "The key is revoked"));
        }
        Some(Fault::ResetBefore) => return Outcome::Reset,
        Some(Fault::HangBefore) => return Outcome::Silence,
        _ => {}
    }
    let asked = match asked {
        Some(Err(answer)) => return Outcome::Answer(answer),
        Some(Ok(asked)) => Some(asked),
        None => None,
    };
    let answer = match carry_out(shared, &route, asked) {
        Ok(answer) => answer,
        Err(error) => {
            return answered(Answer::error(500, "BACKEND_EXCEPTION", &error.to_string()));
        }
    };
    match &fault {
        Some(Fault::ErrorAfter) => answered(Answer::error(500, "BACKEND_EXCEPTION", "It failed")),
        Some(Fault::ResetAfter) => Outcome::Reset,
        Some(Fault::HangAfter) => Outcome::Silence,
        Some(fault) => answered(answer.spoilt(fault)),
        None => answered(answer),
    }
}

fn carry_out(
    shared: &Shared,
    route: &Route<'_>,
    asked: Option<answer::Asked>,
) -> io::Result<Answer> {
    let mut world = lock(&shared.world);
    Ok(match (route, asked) {
        (Route::Trigger { code }, Some(asked)) => {
            answer::of_trigger(&world.trigger(code, &asked.contact, asked.fields, now())?)
        }
        (Route::Stop { code, id }, Some(asked)) => {
            answer::of_stop(&world.stop(code, &asked.contact, *id, now())?)
        }
        (Route::Contact { id }, _) if world.knows(id) => {
            Answer::json(200, &serde_json::json!({ "externalId": id }))
        }
        (Route::Contact { .. }, _) => {
            Answer::error(404, "CONTACT_NOT_FOUND", "There is no such contact")
        }
        _ => answer::of_list(&world.triggers()),
    })
}

fn is_believed(
    shared: &Shared,
    method: &Method,
    uri: &axum::http::Uri,
    headers: &HeaderMap,
) -> Result<(), &'static str> {
    if shared.is_revoked.load(Ordering::SeqCst) {
        return Err("The key is revoked");
    }
    let text = |name| headers.get(name).and_then(|value| value.to_str().ok());
    let host = text(header::HOST).unwrap_or_default();
    let url = format!("http://{host}{}", uri.path());
    let request = Signed {
        method: method.as_str(),
        url: &url,
        query: uri.query().unwrap_or_default(),
        authorization: text(header::AUTHORIZATION),
    };
    let mut nonces = lock(&shared.nonces);
    oauth::check(&request, &shared.key, &shared.secret, now(), &mut nonces).map_err(|why| why.0)
}

fn respond(answer: Answer) -> Response<Body> {
    let status = StatusCode::from_u16(answer.status).unwrap_or(StatusCode::OK);
    let mut builder = Response::builder()
        .status(status)
        .header(header::CONTENT_TYPE, answer.content_type);
    if let Some(wait) = answer.retry_after {
        builder = builder.header(header::RETRY_AFTER, wait);
    }
    let body = if answer.is_cut {
        let length = answer.body.len();
        builder = builder.header(header::CONTENT_LENGTH, length);
        let half = Bytes::from(answer.body).slice(..length / 2);
        Body::from_stream(futures_util::stream::iter([
            Ok(half),
            Err(io::Error::from(io::ErrorKind::ConnectionReset)),
        ]))
    } else {
        Body::from(answer.body)
    };
    // Only a header that is told from outside can be malformed.
    builder.body(body).unwrap_or_default()
}
