//! Connections to Spotler: how reqwest makes and keeps them, and what its errors mean.
//!
//! HTTP/1.1 tells only by the order of the answers which call an answer is for. So a connection that has bytes left over
//! is not used again: hyper, below reqwest, closes a kept connection as soon as anything comes through it that no request
//! asked for. A request that waited for such a connection goes through another one, as not a byte of it was written; in no
//! other case is a request repeated here.
//!
//! Bytes that come only once the next request is on its way cannot be told from its answer. Where that gives two contacts
//! the same ids, the record finds it, and [`Connections::forget`] ends the use of all connections.

use std::error::Error;
use std::sync::{Arc, PoisonError, RwLock};
use std::time::Duration;

use hyper_util::client::proxy::matcher::Matcher;
use reqwest::{Certificate, Client, redirect, retry};
use url::Url;
use webpki_root_certs::TLS_SERVER_ROOT_CERTS;

use super::answer::CallError;
use crate::base_url::is_loopback;

/// How Rollcall names itself to the service.
const AGENT: &str = concat!("rollcall/", env!("CARGO_PKG_VERSION"));

/// The longest time that making a connection may take.
const CONNECT: Duration = Duration::from_secs(10);

/// How long an idle connection is kept. Servers and proxies close idle ones after some seconds or minutes, and a call that
/// meets the closing would be a doubt.
const KEPT_IDLE: Duration = Duration::from_secs(3);

/// Right before the first byte of a call, whether it may be sent was asked, and the answer was no.
#[derive(Debug, thiserror::Error)]
#[error("it was too late to send it")]
pub(super) struct TooLate;

/// Connections to one host.
#[derive(Clone)]
pub(super) struct Connections {
    to: Url,
    timeout: Duration,
    kept: usize,
    /// The host of the proxy on the way, where the environment names one.
    proxy: Option<String>,
    client: Arc<RwLock<Result<Client, CallError>>>,
}

impl Connections {
    /// Makes none yet. A call may take `timeout` in all; at most `kept` idle connections are kept.
    ///
    /// # Errors
    /// That TLS cannot be set up.
    pub(super) fn new(to: Url, timeout: Duration, kept: usize) -> reqwest::Result<Self> {
        let client = client(&to, timeout, kept)?;
        Ok(Self {
            proxy: proxy(&to),
            to,
            timeout,
            kept,
            client: Arc::new(RwLock::new(Ok(client))),
        })
    }

    /// The client that makes and keeps the connections.
    ///
    /// # Errors
    /// That there is none since [`forget`](Self::forget) failed.
    pub(super) async fn client(&self) -> Result<Client, CallError> {
        // The runtime looks at all sockets before a task that yielded goes on. So hyper knows of what came through its idle
        // connections until now, and uses none of them that was closed or has bytes left over.
        tokio::task::yield_now().await;
        // Nothing panics while it holds the lock.
        let client = self.client.read().unwrap_or_else(PoisonError::into_inner);
        client.clone()
    }

    /// Uses no connection again that was made so far.
    pub(super) fn forget(&self) {
        let client =
            client(&self.to, self.timeout, self.kept).map_err(|error| self.call_error(&error));
        *self.client.write().unwrap_or_else(PoisonError::into_inner) = client;
    }

    /// What an error says of the call: only what certainly never left is not sent, everything else is a doubt.
    pub(super) fn call_error(&self, error: &reqwest::Error) -> CallError {
        if let Some(too_late) = find::<TooLate>(error) {
            return CallError::NotSent(too_late.to_string());
        }
        let reason = match error.is_timeout() {
            true => "timed out".to_owned(),
            false => innermost(error),
        };
        if error.is_builder() {
            CallError::NotSent(format!("no request: {reason}"))
        } else if error.is_connect() {
            let by = self.proxy.iter().map(|host| format!("proxy {host}: "));
            CallError::NotSent(format!("no connection: {}{reason}", by.collect::<String>()))
        } else if error.is_timeout() {
            CallError::Doubtful(reason)
        } else {
            CallError::Doubtful(format!("the connection broke: {reason}"))
        }
    }
}

pub(super) fn client(to: &Url, timeout: Duration, kept: usize) -> reqwest::Result<Client> {
    let is_https = to.scheme() == "https";
    let mut builder = Client::builder()
        .user_agent(AGENT)
        .http1_only()
        .https_only(is_https)
        .redirect(redirect::Policy::none())
        .retry(retry::never())
        .timeout(timeout)
        .connect_timeout(CONNECT.min(timeout / 2))
        .pool_idle_timeout(KEPT_IDLE)
        .pool_max_idle_per_host(kept);
    if is_loopback(to) {
        builder = builder.no_proxy();
    }
    let shipped = TLS_SERVER_ROOT_CERTS
        .iter()
        .map(|der| Certificate::from_der(der));
    match is_https {
        // The certificates of the system count beside those that are shipped, for those who add theirs.
        true => builder.tls_certs_merge(shipped.collect::<Result<Vec<_>, _>>()?),
        // Without TLS it does not matter that a machine has no certificates.
        false => builder.tls_certs_only([]),
    }
    .build()
}

/// The host of the proxy that reqwest goes through, by the same rules: without the user and the password.
fn proxy(to: &Url) -> Option<String> {
    if is_loopback(to) {
        return None;
    }
    let proxy = Matcher::from_env().intercept(&to.as_str().parse().ok()?)?;
    Some(proxy.uri().host()?.to_owned())
}

/// The error of one type among the causes of another.
fn find<'a, E: Error + 'static>(error: &'a (dyn Error + 'static)) -> Option<&'a E> {
    error
        .downcast_ref()
        .or_else(|| error.source().and_then(find))
}

/// What an error comes down to.
pub(super) fn innermost(error: &dyn Error) -> String {
    match error.source() {
        Some(source) => innermost(source),
        None => error.to_string(),
    }
}
