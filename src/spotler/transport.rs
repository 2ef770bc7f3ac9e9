//! The way that requests travel: connections that are kept, TLS, proxies, time limits. One request, one answer.
//!
//! This is the client that reqwest stands on, without the layers that reqwest puts around it for cookies, redirects and
//! repeating. Rollcall wants none of them, and they cost more for each call than its signature does.

use std::pin::Pin;
use std::sync::{Arc, PoisonError, RwLock};
use std::task::{Context, Poll};
use std::time::Duration;

use futures_util::TryFutureExt;
use hyper::body::Incoming;
use hyper::{Request, Response, Uri};
use hyper_rustls::{HttpsConnector, MaybeHttpsStream};
use hyper_util::client::legacy;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::client::legacy::connect::proxy::Tunnel;
use hyper_util::client::proxy::matcher::Matcher;
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use rustls::crypto::{CryptoProvider, aws_lc_rs};
use rustls::{ClientConfig, RootCertStore};
use rustls_platform_verifier::Verifier;
use tokio::net::TcpStream;
use tower_service::Service;

use super::kept::{Kept, is_left_over};
use super::watched::{Watched, is_too_late};

/// The longest time that making a connection may take.
const CONNECT: Duration = Duration::from_secs(10);

/// For how long a connection is kept that nothing goes through. Servers and proxies close idle ones after some seconds
/// or minutes, and a call that meets the closing would be a doubt.
const KEPT_IDLE: Duration = Duration::from_secs(3);

type BoxError = Box<dyn std::error::Error + Send + Sync>;
type BoxFuture<T> = Pin<Box<dyn Future<Output = Result<T, BoxError>> + Send>>;

/// Where requests go.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Reach {
    /// Over TLS, and never without; otherwise never over TLS, so that a machine without CA certificates does not matter.
    pub(super) is_https: bool,
    /// To this machine: no proxy is asked for what is there.
    pub(super) is_loopback: bool,
}

/// Makes connections, keeps them, and sends requests through them.
#[derive(Clone)]
pub(super) struct Transport {
    connector: Connector,
    connections: usize,
    client: Arc<RwLock<Client>>,
}

type Client = legacy::Client<Connector, Watched>;

/// Why there is no answer.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Failure {
    /// No connection could be made, so that nothing was sent.
    NotSent(String),
    /// It was sent, or may have been.
    Broke(String),
}

impl Transport {
    /// Makes no connection yet. `timeout` is the time that a whole call may take; `connections` are kept open.
    ///
    /// # Errors
    /// That TLS cannot be set up.
    pub(super) fn new(
        reach: Reach,
        timeout: Duration,
        connections: usize,
    ) -> Result<Self, rustls::Error> {
        let tls = Arc::new(tls(reach.is_https)?);
        let limit = CONNECT.min(timeout / 2);
        let mut tcp = HttpConnector::new();
        tcp.enforce_http(false);
        tcp.set_nodelay(true);
        let proxies = match reach.is_loopback {
            true => None,
            false => Some(Arc::new(Proxies {
                named: Matcher::from_env(),
                to_proxy: HttpsConnector::from((tcp.clone(), tls.clone())),
            })),
        };
        let mut https = HttpsConnector::from((Way { tcp, proxies }, tls));
        if reach.is_https {
            https.enforce_https();
        }
        let connector = Connector { https, limit };
        Ok(Self {
            client: Arc::new(RwLock::new(client(&connector, connections))),
            connector,
            connections,
        })
    }

    /// Uses no connection again that was made so far.
    pub(super) fn forget_connections(&self) {
        let fresh = client(&self.connector, self.connections);
        // Nothing panics while it holds the lock.
        *self.client.write().unwrap_or_else(PoisonError::into_inner) = fresh;
    }

    /// Sends one request, once, and waits for the head of its answer.
    ///
    /// The client repeats a request by itself in one case alone: where a kept connection turns out to be closed before
    /// the first byte was written to it. That one was not sent.
    pub(super) async fn send(
        &self,
        request: Request<Watched>,
    ) -> Result<Response<Incoming>, Failure> {
        let sending = {
            let client = self.client.read().unwrap_or_else(PoisonError::into_inner);
            client.request(request)
        };
        sending.await.map_err(|error| {
            if error.is_connect() || is_left_over(&error) || is_too_late(&error) {
                Failure::NotSent(innermost(&error))
            } else {
                Failure::Broke(innermost(&error))
            }
        })
    }
}

fn client(connector: &Connector, connections: usize) -> Client {
    legacy::Client::builder(TokioExecutor::new())
        .pool_timer(TokioTimer::new())
        .pool_idle_timeout(KEPT_IDLE)
        .pool_max_idle_per_host(connections)
        // Head and body leave in one piece: bodies are small.
        .http1_writev(false)
        .build(connector.clone())
}

/// What an error comes down to.
pub(super) fn innermost(error: &(dyn std::error::Error + 'static)) -> String {
    let mut error = error;
    while let Some(source) = error.source() {
        error = source;
    }
    error.to_string()
}

fn tls(is_used: bool) -> Result<ClientConfig, rustls::Error> {
    let provider = Arc::new(aws_lc_rs::default_provider());
    let builder = || {
        ClientConfig::builder_with_provider(provider.clone()).with_safe_default_protocol_versions()
    };
    if !is_used {
        let none = RootCertStore::empty();
        return Ok(builder()?
            .with_root_certificates(none)
            .with_no_client_auth());
    }
    let mut tls = match verifier(provider.clone()) {
        Ok(verifier) => builder()?
            .dangerous()
            .with_custom_certificate_verifier(Arc::new(verifier))
            .with_no_client_auth(),
        // The system's own certificates cannot be read; a container may have none.
        Err(_) => {
            let mut shipped = RootCertStore::empty();
            shipped.add_parsable_certificates(shipped_roots());
            builder()?
                .with_root_certificates(shipped)
                .with_no_client_auth()
        }
    };
    tls.alpn_protocols = vec![b"http/1.1".to_vec()];
    Ok(tls)
}

/// The system's own certificates count beside those that are shipped, for those who add theirs.
fn verifier(provider: Arc<CryptoProvider>) -> Result<Verifier, rustls::Error> {
    Verifier::new_with_extra_roots(shipped_roots(), provider)
}

fn shipped_roots() -> impl Iterator<Item = rustls::pki_types::CertificateDer<'static>> {
    webpki_root_certs::TLS_SERVER_ROOT_CERTS.iter().cloned()
}

/// A connection to Spotler itself, or to a proxy on the way to it.
pub(super) type Stream = MaybeHttpsStream<TokioIo<TcpStream>>;

/// Makes connections, each within a time limit.
#[derive(Clone)]
struct Connector {
    https: HttpsConnector<Way>,
    limit: Duration,
}

impl Service<Uri> for Connector {
    type Response = Kept<MaybeHttpsStream<Stream>>;
    type Error = BoxError;
    type Future = BoxFuture<Self::Response>;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), BoxError>> {
        self.https.poll_ready(context)
    }

    fn call(&mut self, to: Uri) -> Self::Future {
        let connecting = tokio::time::timeout(self.limit, self.https.call(to));
        Box::pin(async move {
            let timed_out = |_| BoxError::from("it took too long to make one");
            Ok(Kept::new(connecting.await.map_err(timed_out)??))
        })
    }
}

/// Makes connections without the TLS to Spotler: straight to it, or through a proxy.
#[derive(Clone)]
struct Way {
    tcp: HttpConnector,
    proxies: Option<Arc<Proxies>>,
}

/// The proxies that the environment names: `HTTPS_PROXY`, `ALL_PROXY` and `NO_PROXY`, as curl reads them.
struct Proxies {
    named: Matcher,
    /// A proxy may itself be spoken to over TLS.
    to_proxy: HttpsConnector<HttpConnector>,
}

impl Proxies {
    /// A connection to Spotler through the proxy that is named for it, if one is.
    fn tunnel(&self, to: &Uri) -> Option<BoxFuture<Stream>> {
        let proxy = self.named.intercept(to)?;
        let mut tunnel = Tunnel::new(proxy.uri().clone(), self.to_proxy.clone());
        if let Some(authorization) = proxy.basic_auth() {
            tunnel = tunnel.with_auth(authorization.clone());
        }
        // Without the user and the password that may stand before it.
        let host = proxy.uri().host().unwrap_or_default().to_owned();
        let failed = move |error| BoxError::from(format!("proxy {host}: {}", innermost(&error)));
        Some(Box::pin(tunnel.call(to.clone()).map_err(failed)))
    }
}

impl Service<Uri> for Way {
    type Response = Stream;
    type Error = BoxError;
    type Future = BoxFuture<Stream>;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), BoxError>> {
        self.tcp.poll_ready(context).map_err(BoxError::from)
    }

    fn call(&mut self, to: Uri) -> Self::Future {
        if let Some(tunnel) = self
            .proxies
            .as_ref()
            .and_then(|proxies| proxies.tunnel(&to))
        {
            return tunnel;
        }
        let connecting = self.tcp.call(to);
        Box::pin(connecting.map_ok(Stream::Http).map_err(BoxError::from))
    }
}
