//! Answers gone wrong: a fault and what would have been answered → what is sent.

use std::convert::Infallible;
use std::io;
use std::time::{Duration, SystemTime};

use axum::body::{Body, Bytes};
use axum::http::{StatusCode, header};
use axum::response::Response;
use futures_util::{StreamExt, stream};
use serde_json::{Value, json};

use super::answer::Answer;
use super::faults::Fault;

const JSON: &str = "application/json";
const HTML: &str = "text/html; charset=utf-8";

const PAGE: &str = "<!DOCTYPE html>\n<html><head><title>Service Temporarily Unavailable</title></head>\n\
                    <body><h1>Service Temporarily Unavailable</h1><p>The proxy could not handle the request.</p></body>\
                    </html>\n";

/// How much follows an enormous answer: 64 MiB, in pieces of 64 KiB.
const PIECES: usize = 1024;
static PIECE: [u8; 64 * 1024] = [b' '; 64 * 1024];

/// An answer as it should be.
pub(super) fn respond(answer: Answer) -> Response {
    let is_empty = answer.body.is_empty();
    let mut response = Response::new(Body::from(answer.body));
    *response.status_mut() = StatusCode::from_u16(answer.status).unwrap_or_default();
    if !is_empty {
        set_type(&mut response, JSON);
    }
    response
}

/// What is sent in place of an answer to a request whose body was `sent`. Of the faults that answer nothing, and of those that leave the answer as it is,
/// it is not the place: they give the answer.
pub(super) fn spoil(fault: &Fault, answer: Answer, sent: &[u8]) -> Response {
    match fault {
        Fault::Limit { retry_after } => wait(429, retry_after.as_deref()),
        Fault::Unavailable { retry_after } | Fault::UnavailableAfter { retry_after } => {
            wait(503, retry_after.as_deref())
        }
        Fault::ErrorBefore | Fault::ErrorAfter => respond(Answer::error(
            500,
            "BACKEND_EXCEPTION",
            "An internal error occurred.",
        )),
        Fault::Revoked => respond(Answer::error(
            401,
            "NOT_AUTHORIZED",
            "The credentials were revoked.",
        )),
        Fault::Echo => echo(sent),
        Fault::Html => page(with_body(answer).status),
        Fault::WrongTypes => replace(
            answer,
            r#"{"result":17,"publishedAutomationResults":{"automationContactId":["x"]}}"#,
        ),
        Fault::UnknownResult => replace(
            answer,
            r#"{"result":"QUEUED","publishedAutomationResults":[{"automationId":"1","result":"QUEUED"}]}"#,
        ),
        Fault::Truncated => {
            let mut answer = with_body(answer);
            answer.body.truncate(answer.body.len() / 2);
            respond(answer)
        }
        Fault::Cut => cut(with_body(answer)),
        Fault::Enormous => enormous(with_body(answer)),
        Fault::Slow { .. }
        | Fault::ResetBefore
        | Fault::ResetAfter
        | Fault::NumberId
        | Fault::OddId
        | Fault::HangBefore
        | Fault::HangAfter
        | Fault::Refuse { .. } => respond(answer),
    }
}

/// A rejection that gives away what it rejects.
fn echo(sent: &[u8]) -> Response {
    let sent: Value = serde_json::from_slice(sent).unwrap_or_default();
    let sent = sent["automationFields"].to_string();
    let body = json!({
        "errorType": sent,
        "message": sent,
        "result": sent,
        "publishedAutomationResults": [{ "automationId": sent, "automationContactId": sent, "result": sent }],
    });
    respond(Answer::json(400, &body))
}

fn set_type(response: &mut Response, content_type: &'static str) {
    let value = header::HeaderValue::from_static(content_type);
    response.headers_mut().insert(header::CONTENT_TYPE, value);
}

/// An answer that has a body to be spoilt: a stop answers without one.
fn with_body(answer: Answer) -> Answer {
    if answer.body.is_empty() {
        Answer::result(200, "OK")
    } else {
        answer
    }
}

fn replace(answer: Answer, body: &str) -> Response {
    let status = with_body(answer).status;
    respond(Answer {
        status,
        body: body.into(),
    })
}

fn page(status: u16) -> Response {
    let mut response = respond(Answer {
        status,
        body: PAGE.into(),
    });
    set_type(&mut response, HTML);
    response
}

/// A proxy's page that says to come back later, and when.
fn wait(status: u16, retry_after: Option<&str>) -> Response {
    let mut response = page(status);
    let text = retry_after.map(|text| match text.strip_prefix("date:").map(str::parse) {
        // A date has no fractions of a second: it is rounded up, or else the wait would be too short.
        Some(Ok(seconds)) => {
            let ahead = Duration::from_secs(seconds).min(A_CENTURY) + ALMOST_ONE;
            httpdate::fmt_http_date(SystemTime::now() + ahead)
        }
        _ => text.to_owned(),
    });
    if let Some(value) = text.and_then(|text| header::HeaderValue::from_str(&text).ok()) {
        response.headers_mut().insert(header::RETRY_AFTER, value);
    }
    response
}

/// A date further ahead may be beyond the year 9999, which the format cannot write.
const A_CENTURY: Duration = Duration::from_secs(100 * 366 * 24 * 3600);

const ALMOST_ONE: Duration = Duration::from_nanos(999_999_999);

/// Half of the answer under the length of the whole, and then the end of the connection.
fn cut(answer: Answer) -> Response {
    let whole = answer.body.len();
    let half = Bytes::from(answer.body).slice(..whole / 2);
    let end = async {
        // What was written is sent only when nothing more is at hand.
        tokio::task::yield_now().await;
        Err(io::Error::from(io::ErrorKind::ConnectionAborted))
    };
    let body = stream::iter([Ok(half)]).chain(stream::once(end));
    long(answer.status, whole, Body::from_stream(body))
}

fn enormous(answer: Answer) -> Response {
    let length = answer.body.len() + PIECES * PIECE.len();
    let padding = stream::repeat(Bytes::from_static(&PIECE)).take(PIECES);
    let body = stream::iter([Bytes::from(answer.body)]).chain(padding);
    let body = body.map(Ok::<_, Infallible>);
    long(answer.status, length, Body::from_stream(body))
}

fn long(status: u16, length: usize, body: Body) -> Response {
    let mut response = respond(Answer::empty(status));
    *response.body_mut() = body;
    set_type(&mut response, JSON);
    response
        .headers_mut()
        .insert(header::CONTENT_LENGTH, length.into());
    response
}
