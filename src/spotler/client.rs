//! The client: one signed request, one answer, no repeating, no redirects.

use std::fmt;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use futures_util::stream;
use jiff::Timestamp;
use reqwest::header::{
    ACCEPT, AUTHORIZATION, CONTENT_LENGTH, CONTENT_TYPE, HeaderValue, RETRY_AFTER,
};
use reqwest::{Body, Method, Response};
use secrecy::ExposeSecret;
use serde::Serialize;
use url::Url;
use uuid::Uuid;

use super::answer::{CallError, Head, StopAnswer, TriggerAnswer, read_stop, read_trigger};
use super::connections::{Connections, TooLate, innermost};
use super::credentials::Credentials;
use super::list::{ListedAutomation, read_list};
use super::oauth::{Signer, encode};
use crate::base_url::BaseUrl;
use crate::field::{FieldContent, FieldValue};
use crate::id::{ContactId, ParticipationId, TriggerCode};
use crate::paths::Paths;

/// The answer to a trigger or a stop is read up to this many bytes; a longer one cannot be read.
const LONGEST_ANSWER: usize = 1 << 20;

/// The same for the list of automations: enough for a hundred thousand.
const LONGEST_LIST: usize = 64 << 20;

/// What a client is made from.
#[derive(Debug, Clone)]
pub struct Options {
    /// Where Spotler is.
    pub base_url: BaseUrl,
    /// Who asks.
    pub credentials: Credentials,
    /// The paths below the base URL.
    pub paths: Paths,
    /// How long one call may take in all.
    pub timeout: Duration,
    /// How many connections are kept open; as many as calls may be under way.
    pub connections: usize,
}

/// That the HTTP library makes no client, and why.
#[derive(Debug, thiserror::Error)]
#[error("The HTTP client cannot be made: {0}. Nothing was sent.")]
pub struct ClientError(String);

/// Whether a call may be sent now.
type MaySend = Arc<dyn Fn() -> bool + Send + Sync>;

/// A client of Spotler's API.
#[derive(Clone)]
pub struct Client {
    connections: Connections,
    base: String,
    paths: Paths,
    signer: Signer,
    may_send: MaySend,
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
fn trigger_body(contact: &ContactId, fields: &[FieldValue]) -> Vec<u8> {
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
    /// That the HTTP library refuses.
    pub fn new(options: Options) -> Result<Self, ClientError> {
        let (url, timeout) = (options.base_url.url().clone(), options.timeout);
        let connections = Connections::new(url, timeout, options.connections)
            .map_err(|error| ClientError(innermost(&error)))?;
        let credentials = options.credentials;
        Ok(Self {
            connections,
            base: options.base_url.as_str().to_owned(),
            paths: options.paths,
            signer: Signer::new(credentials.key.expose_secret(), &credentials.secret),
            may_send: Arc::new(|| true),
        })
    }

    /// The same client, which begins a call only while it may: that is asked right before the first byte, after all waits.
    pub fn only_while(&self, may_send: impl Fn() -> bool + Send + Sync + 'static) -> Self {
        Self {
            may_send: Arc::new(may_send),
            ..self.clone()
        }
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
        let body = trigger_body(contact, fields);
        let (head, body) = self.call(Method::POST, &path, body, LONGEST_ANSWER).await?;
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
        let path = match participation {
            None => self.paths.stop.replace("{trigger_code}", code.as_str()),
            Some(id) => {
                let path = self.paths.stop_one.replace("{trigger_code}", code.as_str());
                path.replace("{participation}", &encode(id.as_str()).to_string())
            }
        };
        let body = trigger_body(contact, &[]);
        let (head, body) = self.call(Method::POST, &path, body, LONGEST_ANSWER).await?;
        read_stop(&head, &body, SystemTime::now())
    }

    /// Lists the automations.
    ///
    /// # Errors
    /// Why there is no list.
    pub async fn automations(&self) -> Result<Vec<ListedAutomation>, CallError> {
        let (path, no_body) = (&self.paths.list, Vec::new());
        let (head, body) = self.call(Method::GET, path, no_body, LONGEST_LIST).await?;
        read_list(&head, &body, SystemTime::now())
    }

    /// Makes new connections from now on: an answer that was not for its call may have left another one behind.
    pub fn forget_connections(&self) {
        self.connections.forget();
    }

    /// Makes one request, once. Its answer may have so many bytes at the most.
    async fn call(
        &self,
        method: Method,
        path: &str,
        body: Vec<u8>,
        most: usize,
    ) -> Result<(Head, Vec<u8>), CallError> {
        let url = Url::parse(&format!("{}/{path}", self.base))
            .map_err(|_| CallError::NotSent(format!("the path {path} does not make a URL")))?;
        let nonce = Uuid::new_v4().simple().to_string();
        let now = Timestamp::now().as_second();
        let authorization = self
            .signer
            .authorization(method.as_str(), &url, now, &nonce);
        let mut authorization = HeaderValue::try_from(authorization)
            .map_err(|_| CallError::NotSent("the signature makes no header".to_owned()))?;
        authorization.set_sensitive(true);
        let client = self.connections.client().await?;
        let mut request = client
            .request(method, url)
            .header(ACCEPT, "application/json")
            .header(AUTHORIZATION, authorization);
        if !body.is_empty() {
            request = request
                .header(CONTENT_TYPE, "application/json; charset=utf-8")
                .header(CONTENT_LENGTH, body.len())
                .body(self.watched(body));
        }
        let failed = |error| self.connections.call_error(&error);
        let response = request.send().await.map_err(failed)?;
        let head = Head {
            status: response.status().as_u16(),
            retry_after: response
                .headers()
                .get_all(RETRY_AFTER)
                .iter()
                .filter_map(|value| value.to_str().ok())
                .map(str::to_owned)
                .reduce(|all, next| all + ", " + &next),
        };
        match read_body(response, most).await {
            Ok(Some(body)) => Ok((head, body)),
            // What it says does not matter then, nor that it does not come.
            _ if is_known_by_head(head.status) => Ok((head, Vec::new())),
            Ok(None) => Err(CallError::Doubtful(format!(
                "HTTP {} with an answer of over {most} bytes",
                head.status
            ))),
            Err(error) => Err(failed(error)),
        }
    }

    /// A body that asks right before the first byte of the request leaves whether it may.
    ///
    /// Head and body leave in one piece: nothing is written before the body is asked for, and that is after a connection
    /// was waited for and made.
    fn watched(&self, body: Vec<u8>) -> Body {
        let may_send = self.may_send.clone();
        let body = stream::once(async move { may_send().then_some(body).ok_or(TooLate) });
        Body::wrap_stream(body)
    }
}

/// The body of an answer; `None` where it has more than `most` bytes.
async fn read_body(mut response: Response, most: usize) -> reqwest::Result<Option<Vec<u8>>> {
    let mut body = Vec::new();
    while let Some(chunk) = response.chunk().await? {
        body.extend_from_slice(&chunk);
        if body.len() > most {
            return Ok(None);
        }
    }
    Ok(Some(body))
}

/// Whether status and headers alone say what an answer means, so that its body does not matter.
fn is_known_by_head(status: u16) -> bool {
    matches!(status, 401 | 403 | 429 | 500..)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn options(base_url: &str) -> Options {
        Options {
            base_url: base_url.parse().unwrap(),
            credentials: Credentials::new("key", "hush"),
            paths: Paths::default(),
            timeout: Duration::from_secs(5),
            connections: 2,
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

    /// Reads a request, which ends so.
    fn read_request(stream: &mut std::net::TcpStream, end: &[u8]) {
        use std::io::Read;
        let mut request = Vec::new();
        while !request.ends_with(end) {
            let mut byte = [0];
            stream.read_exact(&mut byte).unwrap();
            request.extend(byte);
        }
    }

    /// Waits for a connection, and answers one request on it with a participation of this id.
    fn answer_one(listener: &std::net::TcpListener, id: &str) -> std::net::TcpStream {
        use std::io::Write;
        let (mut stream, _) = listener.accept().unwrap();
        read_request(&mut stream, b"}");
        stream.write_all(started(id).as_bytes()).unwrap();
        stream
    }

    fn started(id: &str) -> String {
        let body =
            format!(r#"{{"automationResults":[{{"automationContactId":"{id}","result":"OK"}}]}}"#);
        format!(
            "HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n{body}",
            body.len()
        )
    }

    /// What happens to a connection while it is idle, and while the runtime looks at no socket.
    #[tokio::test]
    async fn a_kept_connection_that_was_closed_or_has_bytes_left_over_is_not_used_again() {
        use std::io::Write;
        type Meanwhile = fn(std::net::TcpStream) -> Option<std::net::TcpStream>;
        let left_over: Meanwhile = |mut stream| {
            stream.write_all(started("stray").as_bytes()).unwrap();
            Some(stream)
        };
        let half: Meanwhile = |mut stream| {
            stream.write_all(b"H").unwrap();
            Some(stream)
        };
        let closed: Meanwhile = |_| None;
        for meanwhile in [left_over, half, closed] {
            let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
            let url = format!("http://{}", listener.local_addr().unwrap());
            let client = Client::new(options(&url)).unwrap();
            let (go_on, go) = std::sync::mpsc::channel();
            let (done, is_done) = std::sync::mpsc::channel();
            let server = std::thread::spawn(move || {
                let first = answer_one(&listener, "first");
                go.recv().unwrap();
                let _kept = meanwhile(first);
                done.send(()).unwrap();
                answer_one(&listener, "second");
            });
            for id in ["first", "second"] {
                let Ok(TriggerAnswer::Started(entries)) = trigger(&client).await else {
                    panic!("{id}");
                };
                let participation = entries[0].participation.as_ref().unwrap();
                assert_eq!(participation.as_str(), id);
                if id == "first" {
                    go_on.send(()).unwrap();
                    // Nothing else runs meanwhile: this runtime has this thread alone.
                    is_done.recv().unwrap();
                }
            }
            server.join().unwrap();
        }
    }

    #[tokio::test]
    async fn what_may_not_be_sent_any_more_is_not_begun() {
        use std::io::Read;
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let client = Client::new(options(&url)).unwrap().only_while(|| false);
        let answer = trigger(&client).await;
        let too_late = "it was too late to send it".to_owned();
        assert_eq!(answer, Err(CallError::NotSent(too_late)));
        // A connection was made before that was asked, and not a byte went through it.
        let (mut stream, _) = listener.accept().unwrap();
        assert_eq!(stream.read_to_end(&mut Vec::new()).unwrap(), 0);
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
    async fn a_list_of_many_automations_is_read_and_an_answer_without_end_is_not() {
        use std::io::Write;
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let server = tokio::task::spawn_blocking(move || {
            let item = format!("{{\"name\":\"{}\"}},", "n".repeat(190));
            let list = format!("[{}{{}}]", item.repeat(9_999));
            let (mut stream, _) = listener.accept().unwrap();
            read_request(&mut stream, b"\r\n\r\n");
            let head = format!("HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n", list.len());
            stream.write_all((head + &list).as_bytes()).unwrap();
            read_request(&mut stream, b"}");
            stream.write_all(b"HTTP/1.1 200 OK\r\n\r\n").unwrap();
            // Until the client goes away.
            while stream.write_all(&[b' '; 4096]).is_ok() {}
        });
        let client = Client::new(options(&url)).unwrap();
        assert_eq!(client.automations().await.unwrap().len(), 10_000);
        let too_long = "HTTP 200 with an answer of over 1048576 bytes".to_owned();
        assert_eq!(trigger(&client).await, Err(CallError::Doubtful(too_long)));
        server.await.unwrap();
    }

    #[tokio::test]
    async fn when_to_come_back_is_known_though_the_answer_breaks_off() {
        let retry_after = Some(Duration::from_secs(3));
        for (status, expected) in [
            (
                429,
                CallError::Limited {
                    status: 429,
                    retry_after,
                },
            ),
            (
                503,
                CallError::Unavailable {
                    status: 503,
                    retry_after,
                },
            ),
        ] {
            let answer = format!(
                "HTTP/1.1 {status} Busy\r\nRetry-After: 1\r\nRetry-After: 3\r\nContent-Length: 100\r\n\r\n{{\"error"
            );
            let (url, _) = server(vec![Box::leak(answer.into_boxed_str())]).await;
            let client = Client::new(options(&url)).unwrap();
            assert_eq!(trigger(&client).await, Err(expected));
        }
    }

    #[tokio::test]
    async fn a_call_that_was_turned_away_is_no_doubt_though_its_answer_never_ends() {
        use tokio::io::{AsyncReadExt, AsyncWriteExt};
        let limited = CallError::Limited {
            status: 429,
            retry_after: None,
        };
        let doubtful = CallError::Doubtful("timed out".to_owned());
        for (status, expected) in [("429 Wait", limited), ("200 OK", doubtful)] {
            let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
            let url = format!("http://{}", listener.local_addr().unwrap());
            let server = tokio::spawn(async move {
                let (mut stream, _) = listener.accept().await.unwrap();
                let mut request = [0; 4096];
                let _ = stream.read(&mut request).await.unwrap();
                let head = format!("HTTP/1.1 {status}\r\nContent-Length: 100\r\n\r\n{{\"");
                stream.write_all(head.as_bytes()).await.unwrap();
                // Until the client goes away.
                let _ = stream.read(&mut request).await;
            });
            let timeout = Duration::from_secs(1);
            let client = Client::new(Options {
                timeout,
                ..options(&url)
            });
            assert_eq!(trigger(&client.unwrap()).await, Err(expected));
            server.await.unwrap();
        }
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
