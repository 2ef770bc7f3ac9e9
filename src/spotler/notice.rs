//! A word to a webhook: it goes the way of every other call.

use std::time::Duration;

use reqwest::header::CONTENT_TYPE;
use serde::Serialize;
use url::Url;

use super::connections::client;
use crate::webhook::Webhook;

/// How long it may take in all: nobody waits for it.
const PATIENCE: Duration = Duration::from_secs(5);

#[derive(Serialize)]
struct Message<'a> {
    text: &'a str,
}

/// Posts a text, once.
///
/// # Errors
/// Why it did not arrive, without the address.
pub async fn post(to: &Webhook, text: &str) -> Result<(), String> {
    let url = Url::parse(to.expose()).map_err(|_| "it is not a URL".to_owned())?;
    let client = client(&url, PATIENCE, 0).map_err(|_| "no HTTP client can be made".to_owned())?;
    let body = serde_json::to_vec(&Message { text }).unwrap_or_default();
    let call = client.post(url).header(CONTENT_TYPE, "application/json");
    let sent = call.body(body).send().await;
    match sent {
        Ok(answer) if answer.status().is_success() => Ok(()),
        Ok(answer) => Err(format!(
            "it answered with HTTP {}",
            answer.status().as_u16()
        )),
        Err(error) if error.is_timeout() => Err(format!(
            "it did not answer within {} seconds",
            PATIENCE.as_secs()
        )),
        Err(error) if error.is_connect() => Err("no connection could be made".to_owned()),
        Err(_) => Err("the connection broke".to_owned()),
    }
}
