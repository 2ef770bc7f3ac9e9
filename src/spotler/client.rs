//! The client: one signed request, one answer, no repeating, no redirects.

use std::collections::HashMap;
use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, SystemTime};

use jiff::Timestamp;
use reqwest::header::{ACCEPT, AUTHORIZATION, CONTENT_TYPE, HeaderValue, RETRY_AFTER};
use reqwest::{Body, Method, Request, Url, redirect};
use secrecy::ExposeSecret;
use serde::Serialize;

use super::answer::{
    CallError, Head, ListedAutomation, StopAnswer, TriggerAnswer, read_list, read_stop,
    read_trigger,
};
use super::credentials::Credentials;
use super::oauth::{Signer, encode};
use crate::field::{FieldContent, FieldValue};
use crate::id::{ContactId, ParticipationId, TriggerCode};
use crate::paths::Paths;

/// An answer is read up to this many bytes; a longer one cannot be read.
const LONGEST_ANSWER: usize = 1 << 20;

/// The longest time that making a connection may take.
const CONNECT: Duration = Duration::from_secs(10);

/// For how long a connection is kept that nothing goes through. Servers and proxies close idle ones after some seconds
/// or minutes, and a call that meets the closing would be a doubt.
const KEPT_IDLE: Duration = Duration::from_secs(3);

/// What a client is made from.
#[derive(Debug, Clone)]
pub struct Options {
    /// Where Spotler is: `https`, or `http` on loopback.
    pub base_url: String,
    /// Who asks.
    pub credentials: Credentials,
    /// The paths below the base URL.
    pub paths: Paths,
    /// How long one call may take in all.
    pub timeout: Duration,
    /// How many connections are kept open; as many as calls may be under way.
    pub connections: usize,
}

/// Why there is no client.
#[derive(Debug, thiserror::Error)]
pub enum ClientError {
    /// The base URL is not one.
    #[error("The base URL {url} is not a URL: {error}. Nothing was sent.")]
    Malformed {
        /// The URL.
        url: String,
        /// What is wrong with it.
        error: String,
    },
    /// The base URL would send credentials in the clear.
    #[error(
        "The base URL {url} is neither https nor http on loopback, so that credentials would travel in the clear. \
         Nothing was sent."
    )]
    Insecure {
        /// The URL.
        url: String,
    },
    /// The HTTP library says no.
    #[error("The HTTP client cannot be made: {0}. Nothing was sent.")]
    Build(String),
}

/// A client of Spotler's API.
#[derive(Clone)]
pub struct Client {
    http: reqwest::Client,
    base: String,
    paths: Paths,
    signer: Signer,
    /// The requests to each path that many calls go to, without their signature and their body.
    prepared: Arc<Mutex<HashMap<String, Request>>>,
}

impl fmt::Debug for Client {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Client").field("base", &self.base).finish()
    }
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct TriggerBody<'a> {
    external_contact_id: &'a str,
    // The key is inferred from `campaignFields` of the vendor's API description.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    automation_fields: Vec<FieldBody<'a>>,
}

#[derive(Serialize)]
struct FieldBody<'a> {
    name: &'a str,
    #[serde(rename = "type")]
    kind: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    value: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    values: Option<&'a [String]>,
}

/// The body of a trigger.
pub fn trigger_body(contact: &ContactId, fields: &[FieldValue]) -> Vec<u8> {
    let automation_fields = fields
        .iter()
        .map(|field| {
            let (value, values) = match &field.content {
                FieldContent::String(text) | FieldContent::Url(text) => (Some(text.as_str()), None),
                FieldContent::Products(ids) => (None, Some(ids.as_slice())),
            };
            FieldBody {
                name: &field.name,
                kind: field.content.type_name(),
                value,
                values,
            }
        })
        .collect();
    let body = TriggerBody {
        external_contact_id: contact.as_str(),
        automation_fields,
    };
    // Texts and lists of texts always are JSON.
    serde_json::to_vec(&body).unwrap_or_default()
}

impl Client {
    /// Makes a client; sends nothing.
    ///
    /// # Errors
    /// That the base URL cannot be used, or that the HTTP library refuses.
    pub fn new(options: Options) -> Result<Self, ClientError> {
        let url = Url::parse(&options.base_url).map_err(|error| ClientError::Malformed {
            url: options.base_url.clone(),
            error: error.to_string(),
        })?;
        let is_loopback = match url.host() {
            Some(url::Host::Domain(name)) => name == "localhost",
            Some(url::Host::Ipv4(ip)) => ip.is_loopback(),
            Some(url::Host::Ipv6(ip)) => ip.is_loopback(),
            None => false,
        };
        let is_https = url.scheme() == "https";
        let is_safe = is_https || (url.scheme() == "http" && is_loopback);
        if !is_safe {
            return Err(ClientError::Insecure {
                url: options.base_url,
            });
        }
        let http = build(&options, is_https, is_loopback)
            .map_err(|error| ClientError::Build(error.to_string()))?;
        let credentials = options.credentials;
        Ok(Self {
            http,
            base: url.as_str().trim_end_matches('/').to_owned(),
            paths: options.paths,
            signer: Signer::new(credentials.key.expose_secret(), &credentials.secret),
            prepared: Arc::default(),
        })
    }

    /// Sends one trigger.
    ///
    /// # Errors
    /// Why there is no answer that says what became of it.
    pub async fn trigger(
        &self,
        code: &TriggerCode,
        contact: &ContactId,
        fields: &[FieldValue],
    ) -> Result<TriggerAnswer, CallError> {
        let path = self.paths.trigger.replace("{trigger_code}", code.as_str());
        let request = self.post_as_before(path)?;
        let body = trigger_body(contact, fields);
        let (head, body) = self.call(request, Some(body)).await?;
        read_trigger(&head, &body, SystemTime::now())
    }

    /// Sends one stop: of one participation, or of all of the contact's in the automation.
    ///
    /// # Errors
    /// Why there is no answer that says what became of it.
    pub async fn stop(
        &self,
        code: &TriggerCode,
        contact: &ContactId,
        participation: Option<&ParticipationId>,
    ) -> Result<StopAnswer, CallError> {
        let request = match participation {
            None => {
                let path = self.paths.stop.replace("{trigger_code}", code.as_str());
                self.post_as_before(path)?
            }
            Some(id) => {
                let path = self.paths.stop_one.replace("{trigger_code}", code.as_str());
                let path = path.replace("{participation}", &encode(id.as_str()));
                self.request(Method::POST, &path)?
            }
        };
        let body = trigger_body(contact, &[]);
        let (head, body) = self.call(request, Some(body)).await?;
        read_stop(&head, &body, SystemTime::now())
    }

    /// Lists the automations.
    ///
    /// # Errors
    /// Why there is no list.
    pub async fn automations(&self) -> Result<Vec<ListedAutomation>, CallError> {
        let request = self.request(Method::GET, &self.paths.list)?;
        let (head, body) = self.call(request, None).await?;
        read_list(&head, &body, SystemTime::now())
    }

    /// A request without its signature and its body.
    fn request(&self, method: Method, path: &str) -> Result<Request, CallError> {
        let url = Url::parse(&format!("{}/{path}", self.base))
            .map_err(|_| CallError::NotSent(format!("the path {path} makes no URL")))?;
        let is_post = method == Method::POST;
        let mut request = Request::new(method, url);
        let headers = request.headers_mut();
        headers.insert(ACCEPT, HeaderValue::from_static("application/json"));
        if is_post {
            let json = HeaderValue::from_static("application/json; charset=utf-8");
            headers.insert(CONTENT_TYPE, json);
        }
        Ok(request)
    }

    /// The same for a POST, made once for each path.
    fn post_as_before(&self, path: String) -> Result<Request, CallError> {
        let mut prepared = self.prepared.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(request) = prepared.get(&path).and_then(Request::try_clone) {
            return Ok(request);
        }
        let request = self.request(Method::POST, &path)?;
        if let Some(copy) = request.try_clone() {
            prepared.insert(path, copy);
        }
        Ok(request)
    }

    /// Makes one request, once.
    ///
    /// The HTTP library repeats a request by itself in one case alone: where a kept connection turns out to be closed
    /// before the first byte was written to it. That one was not sent.
    async fn call(
        &self,
        mut request: Request,
        body: Option<Vec<u8>>,
    ) -> Result<(Head, Vec<u8>), CallError> {
        let authorization = self.authorization(request.method(), request.url())?;
        request.headers_mut().insert(AUTHORIZATION, authorization);
        *request.body_mut() = body.map(Body::from);
        let mut response = self.http.execute(request).await.map_err(from_reqwest)?;
        let head = Head {
            status: response.status().as_u16(),
            retry_after: response
                .headers()
                .get(RETRY_AFTER)
                .and_then(|value| value.to_str().ok())
                .map(str::to_owned),
        };
        let mut bytes = Vec::new();
        loop {
            match response.chunk().await {
                Ok(Some(chunk)) if bytes.len() + chunk.len() > LONGEST_ANSWER => {
                    return if is_told_by_head(&head) {
                        Ok((head, Vec::new()))
                    } else {
                        Err(CallError::Doubtful(format!(
                            "HTTP {} with an answer of over {LONGEST_ANSWER} bytes",
                            head.status
                        )))
                    };
                }
                Ok(Some(chunk)) => bytes.extend_from_slice(&chunk),
                Ok(None) => return Ok((head, bytes)),
                Err(_) if is_told_by_head(&head) => return Ok((head, Vec::new())),
                Err(error) => return Err(from_reqwest(error)),
            }
        }
    }

    fn authorization(&self, method: &Method, url: &Url) -> Result<HeaderValue, CallError> {
        let pairs: Vec<(String, String)> = url.query_pairs().into_owned().collect();
        let query: Vec<(&str, &str)> = pairs
            .iter()
            .map(|(name, value)| (name.as_str(), value.as_str()))
            .collect();
        let without_query = url.as_str().split(['?', '#']).next().unwrap_or_default();
        let nonce = uuid::Uuid::new_v4().simple().to_string();
        let timestamp = Timestamp::now().as_second();
        let header =
            self.signer
                .authorization(method.as_str(), without_query, &query, timestamp, &nonce);
        let mut header = HeaderValue::from_str(&header)
            .map_err(|_| CallError::NotSent("the signature makes no header".to_owned()))?;
        header.set_sensitive(true);
        Ok(header)
    }
}

/// Whether status and headers alone say that a call was turned away, so that its body does not matter.
fn is_told_by_head(head: &Head) -> bool {
    matches!(head.status, 401 | 403 | 429) || (head.status == 503 && head.retry_after.is_some())
}

fn build(options: &Options, is_https: bool, is_loopback: bool) -> reqwest::Result<reqwest::Client> {
    let builder = || {
        let builder = reqwest::Client::builder()
            .user_agent(concat!("rollcall/", env!("CARGO_PKG_VERSION")))
            .redirect(redirect::Policy::none())
            .retry(reqwest::retry::never())
            .timeout(options.timeout)
            .connect_timeout(CONNECT.min(options.timeout / 2))
            .tcp_nodelay(true)
            .pool_max_idle_per_host(options.connections)
            .pool_idle_timeout(KEPT_IDLE)
            .https_only(is_https);
        // What is on this machine is not asked of another.
        if is_loopback {
            builder.no_proxy()
        } else {
            builder
        }
    };
    let shipped = || {
        webpki_root_certs::TLS_SERVER_ROOT_CERTS
            .iter()
            .filter_map(|der| reqwest::Certificate::from_der(der).ok())
    };
    if !is_https {
        // No TLS is made, and a machine without CA certificates must not matter.
        return builder().tls_certs_only([]).build();
    }
    // The system's own certificates count too, for those who add theirs; a container may have none.
    builder()
        .tls_certs_merge(shipped())
        .build()
        .or_else(|_| builder().tls_certs_only(shipped()).build())
}

/// Only what certainly never left is not sent; everything else is a doubt.
fn from_reqwest(error: reqwest::Error) -> CallError {
    let error = error.without_url();
    if error.is_connect() {
        CallError::NotSent(format!("no connection: {}", innermost(&error)))
    } else if error.is_builder() {
        CallError::NotSent("the request could not be made".to_owned())
    } else if error.is_timeout() {
        CallError::Doubtful("timed out".to_owned())
    } else {
        CallError::Doubtful(format!("the connection broke: {}", innermost(&error)))
    }
}

fn innermost(error: &dyn std::error::Error) -> String {
    let mut error = error;
    while let Some(source) = error.source() {
        error = source;
    }
    error.to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn options(base_url: &str) -> Options {
        Options {
            base_url: base_url.to_owned(),
            credentials: Credentials::new("key", "hush"),
            paths: Paths::default(),
            timeout: Duration::from_secs(5),
            connections: 2,
        }
    }

    #[test]
    fn only_https_or_loopback() {
        for url in [
            "https://restapi.mailplus.nl/integrationservice-1.1.0",
            "http://127.0.0.1:8025/x",
            "http://localhost:1",
            "http://[::1]:1",
        ] {
            assert!(Client::new(options(url)).is_ok(), "{url}");
        }
        for url in [
            "http://restapi.mailplus.nl",
            "ftp://127.0.0.1",
            "nonsense",
            "http://localhost.example",
        ] {
            assert!(Client::new(options(url)).is_err(), "{url}");
        }
    }

    #[test]
    fn the_body_is_as_documented() {
        let contact = ContactId::new("crm-1001").unwrap();
        assert_eq!(
            trigger_body(&contact, &[]),
            br#"{"externalContactId":"crm-1001"}"#
        );
        let fields = [
            FieldValue {
                name: "customerCompany".into(),
                content: FieldContent::String("Jansen B.V.".into()),
            },
            FieldValue {
                name: "productlist".into(),
                content: FieldContent::Products(vec!["sku-1".into(), "sku-2".into()]),
            },
        ];
        assert_eq!(
            String::from_utf8(trigger_body(&contact, &fields)).unwrap(),
            r#"{"externalContactId":"crm-1001","automationFields":[{"name":"customerCompany","type":"STRING","value":"Jansen B.V."},{"name":"productlist","type":"PRODUCTLIST","values":["sku-1","sku-2"]}]}"#
        );
    }

    #[test]
    fn a_client_shows_no_secret() {
        let client = Client::new(options("http://localhost:1")).unwrap();
        assert!(!format!("{client:?}").contains("hush"));
    }

    /// A server that gives each of these answers to one connection, one after the other, and counts requests.
    async fn server(
        answers: Vec<&'static str>,
    ) -> (String, std::sync::Arc<std::sync::atomic::AtomicUsize>) {
        use tokio::io::{AsyncReadExt, AsyncWriteExt};
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let requests = std::sync::Arc::new(std::sync::atomic::AtomicUsize::new(0));
        let counter = requests.clone();
        tokio::spawn(async move {
            for answer in answers {
                let (mut stream, _) = listener.accept().await.unwrap();
                let mut request = Vec::new();
                let mut buffer = [0; 4096];
                // The body of these requests ends with the only closing brace.
                while !request.ends_with(b"}") {
                    match stream.read(&mut buffer).await.unwrap() {
                        0 => break,
                        count => request.extend_from_slice(&buffer[..count]),
                    }
                }
                if request.starts_with(b"POST ") {
                    counter.fetch_add(1, std::sync::atomic::Ordering::SeqCst);
                }
                stream.write_all(answer.as_bytes()).await.unwrap();
                // Dropped: a connection that the client may have kept is closed.
            }
        });
        (url, requests)
    }

    async fn trigger(client: &Client) -> Result<TriggerAnswer, CallError> {
        let (code, contact) = (TriggerCode::new("c").unwrap(), ContactId::new("x").unwrap());
        client.trigger(&code, &contact, &[]).await
    }

    #[tokio::test]
    async fn an_id_of_any_letters_stays_one_segment_of_the_path_and_the_signature_covers_it_so() {
        let sandbox = crate::sandbox::start(crate::sandbox::Options::default())
            .await
            .unwrap();
        let credentials =
            Credentials::new(crate::sandbox::SANDBOX_KEY, crate::sandbox::SANDBOX_SECRET);
        let client = Client::new(Options {
            credentials,
            ..options(&sandbox.base_url())
        })
        .unwrap();
        let (code, contact) = (TriggerCode::new("c").unwrap(), ContactId::new("x").unwrap());
        client.trigger(&code, &contact, &[]).await.unwrap();
        for id in ["+a/b==", "a b", "a?b#c", "ß%2F"] {
            let id = ParticipationId::new(id).unwrap();
            let answer = client.stop(&code, &contact, Some(&id)).await;
            let already = Some("CAMPAIGN_NOTFOUND".to_owned());
            assert_eq!(answer, Ok(StopAnswer::Stopped { already }), "{id}");
        }
        sandbox.shutdown().await;
    }

    #[tokio::test]
    async fn a_redirect_is_not_followed() {
        let (other, followed) = server(vec![""]).await;
        let redirect = format!(
            "HTTP/1.1 307 Temporary Redirect\r\nLocation: {other}/\r\nContent-Length: 0\r\n\r\n"
        );
        let (url, requests) = server(vec![Box::leak(redirect.into_boxed_str())]).await;
        let client = Client::new(options(&url)).unwrap();
        assert_eq!(
            trigger(&client).await,
            Err(CallError::Doubtful("HTTP 307".into()))
        );
        assert_eq!(requests.load(std::sync::atomic::Ordering::SeqCst), 1);
        assert_eq!(followed.load(std::sync::atomic::Ordering::SeqCst), 0);
    }

    #[tokio::test]
    async fn a_kept_connection_that_was_closed_meanwhile_costs_no_second_call() {
        let ok = "HTTP/1.1 200 OK\r\nContent-Length: 15\r\n\r\n{\"result\":\"OK\"}";
        let (url, requests) = server(vec![ok, ok, ok]).await;
        let client = Client::new(options(&url)).unwrap();
        for call in 1..=3 {
            // Each is answered, or in doubt; whichever it is, it was made once.
            let _ = trigger(&client).await;
            assert_eq!(requests.load(std::sync::atomic::Ordering::SeqCst), call);
        }
    }

    #[tokio::test]
    async fn nothing_is_sent_where_nobody_listens() {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        drop(listener);
        let client = Client::new(options(&url)).unwrap();
        assert!(matches!(trigger(&client).await, Err(CallError::NotSent(_))));
    }

    #[tokio::test]
    async fn a_call_that_was_turned_away_is_no_doubt_though_its_answer_breaks_off() {
        let answer =
            "HTTP/1.1 503 Busy\r\nRetry-After: 1\r\nContent-Length: 100\r\n\r\n{\"errorType\"";
        let (url, _) = server(vec![answer]).await;
        let client = Client::new(options(&url)).unwrap();
        let expected = CallError::Limited {
            status: 503,
            retry_after: Some(Duration::from_secs(1)),
        };
        assert_eq!(trigger(&client).await, Err(expected));
    }

    #[tokio::test]
    async fn an_answer_that_breaks_off_is_a_doubt() {
        for answer in [
            "",
            "HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n{\"result\"",
            "nonsense\r\n\r\n",
        ] {
            let (url, _) = server(vec![answer]).await;
            let client = Client::new(options(&url)).unwrap();
            let answer = trigger(&client).await;
            assert!(matches!(answer, Err(CallError::Doubtful(_))), "{answer:?}");
        }
    }
}
