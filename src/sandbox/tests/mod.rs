//! Tests over loopback: an HTTP client and a signer that know nothing of the server's own code.

mod api;
mod control;
mod faults;
mod persistence;

use std::sync::atomic::{AtomicU64, Ordering};

use base64::Engine;
use hmac::{Hmac, KeyInit, Mac};
use reqwest::{Method, StatusCode};
use serde_json::{Value, json};
use sha1::Sha1;

use super::{Options, Rule, Running, SANDBOX_KEY, SANDBOX_SECRET, Setting, Trigger, start};

const CODE: &str = "0b8f9a52-6d0c-4f1c-8f53-2d6c9c0a7f11";

/// A sandbox, and a client that signs for it.
struct Trial {
    running: Running,
    http: reqwest::Client,
}

/// What came back.
#[derive(Debug, PartialEq)]
struct Got {
    status: u16,
    body: Value,
}

impl Trial {
    async fn start(options: Options) -> Self {
        Self {
            running: start(options).await.unwrap(),
            http: client(),
        }
    }

    async fn with_faults(rules: &[&str]) -> Self {
        Self::start(Options {
            faults: rules.iter().map(|rule| rule.parse().unwrap()).collect(),
            ..Options::default()
        })
        .await
    }

    async fn with_setting(setting: Setting) -> Self {
        Self::start(Options {
            triggers: vec![Trigger::new("Customers", CODE, setting)],
            ..Options::default()
        })
        .await
    }

    fn signed(&self, method: Method, path: &str) -> reqwest::RequestBuilder {
        let url = format!("{}/{path}", self.running.base_url());
        let header = sign(&Signing::of(method.as_str(), &url));
        self.http
            .request(method, url)
            .header("Authorization", header)
    }

    async fn post(&self, path: &str, body: &Value) -> reqwest::Result<Got> {
        got(self.signed(Method::POST, path).json(body).send().await?).await
    }

    async fn try_trigger(&self, contact: &str) -> reqwest::Result<Got> {
        let body = json!({ "externalContactId": contact });
        self.post(&format!("automation/trigger/{CODE}"), &body)
            .await
    }

    async fn trigger(&self, contact: &str) -> Got {
        self.try_trigger(contact).await.unwrap()
    }

    async fn stop(&self, contact: &str) -> Got {
        let body = json!({ "externalContactId": contact });
        let path = format!("automation/stop/{CODE}");
        self.post(&path, &body).await.unwrap()
    }

    async fn stop_one(&self, contact: &str, id: &str) -> Got {
        let body = json!({ "externalContactId": contact });
        let path = format!("automation/stop/{CODE}/{id}");
        self.post(&path, &body).await.unwrap()
    }

    async fn get(&self, path: &str) -> Got {
        got(self.signed(Method::GET, path).send().await.unwrap())
            .await
            .unwrap()
    }

    async fn control(&self, method: Method, path: &str, body: Option<Value>) -> Got {
        let url = format!("http://{}/_sandbox/{path}", self.running.address());
        let mut request = self.http.request(method, url);
        if let Some(body) = body {
            request = request.body(body.to_string());
        }
        got(request.send().await.unwrap()).await.unwrap()
    }

    async fn stats(&self) -> super::Stats {
        let stats = self.control(Method::GET, "stats", None).await;
        serde_json::from_value(stats.body).unwrap()
    }

    fn triggered(&self) -> usize {
        self.running.ledger().len()
    }
}

fn client() -> reqwest::Client {
    reqwest::Client::builder()
        .no_proxy()
        .tls_certs_only([])
        .build()
        .unwrap()
}

async fn got(response: reqwest::Response) -> reqwest::Result<Got> {
    let status = response.status().as_u16();
    let text = response.text().await?;
    Ok(Got {
        status,
        body: serde_json::from_str(&text).unwrap_or(Value::String(text)),
    })
}

/// The id of the only participation that a trigger started.
fn id(got: &Got) -> String {
    assert_eq!(got.status, 200, "{got:?}");
    let list = got.body["publishedAutomationResults"].as_array().unwrap();
    assert_eq!(list.len(), 1);
    list[0]["automationContactId"].as_str().unwrap().to_owned()
}

/// What goes into a signature.
struct Signing {
    method: String,
    url: String,
    key: String,
    secret: String,
    timestamp: i64,
    nonce: String,
}

impl Signing {
    fn of(method: &str, url: &str) -> Self {
        static NONCE: AtomicU64 = AtomicU64::new(0);
        Self {
            method: method.to_owned(),
            url: url.to_owned(),
            key: SANDBOX_KEY.to_owned(),
            secret: SANDBOX_SECRET.to_owned(),
            timestamp: jiff::Timestamp::now().as_second(),
            nonce: NONCE.fetch_add(1, Ordering::Relaxed).to_string(),
        }
    }
}

/// Encodes by hand what the server encodes with a library.
fn encode(text: &str) -> String {
    text.bytes()
        .map(|byte| match byte {
            b'A'..=b'Z' | b'a'..=b'z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b'~' => {
                char::from(byte).to_string()
            }
            _ => format!("%{byte:02X}"),
        })
        .collect()
}

/// An `Authorization` header, for a URL without a query.
fn sign(signing: &Signing) -> String {
    let parameters = format!(
        "oauth_consumer_key={}&oauth_nonce={}&oauth_signature_method=HMAC-SHA1&oauth_timestamp={}&oauth_version=1.0",
        encode(&signing.key),
        encode(&signing.nonce),
        signing.timestamp
    );
    let base = format!(
        "{}&{}&{}",
        signing.method,
        encode(&signing.url),
        encode(&parameters)
    );
    let key = format!("{}&", encode(&signing.secret));
    let mut mac = Hmac::<Sha1>::new_from_slice(key.as_bytes()).unwrap();
    mac.update(base.as_bytes());
    let signature = base64::engine::general_purpose::STANDARD.encode(mac.finalize().into_bytes());
    let quoted: Vec<String> = parameters
        .split('&')
        .map(|pair| pair.replacen('=', "=\"", 1) + "\"")
        .collect();
    format!(
        "OAuth {}, oauth_signature=\"{}\"",
        quoted.join(", "),
        encode(&signature)
    )
}
