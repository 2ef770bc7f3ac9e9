//! What an answer means: pure functions from status, headers and body.
//!
//! Read leniently: unknown keys and values are kept or passed over, never an error. Where an answer to a trigger cannot
//! be understood, that is a doubt; it is never guessed that a call was or was not carried out.

use std::time::{Duration, SystemTime};

use serde::{Deserialize, Deserializer, Serialize};
use serde_json::Value;

use crate::id::{ParticipationId, TriggerCode};

/// What one published automation answered to a trigger. One trigger code can start several. Kept in the words of the wire.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Entry {
    /// The participation, where one started.
    #[serde(
        default,
        rename = "automationContactId",
        deserialize_with = "participation"
    )]
    pub participation: Option<ParticipationId>,
    /// The published automation, where it is named.
    #[serde(default, deserialize_with = "plain_id")]
    pub automation_id: Option<String>,
    /// `OK`, `AUTOMATION_INACTIVE`, `PARTICIPATION_LIMIT_REACHED`, or a word that is not documented.
    #[serde(default = "unknown", deserialize_with = "code_or_unknown")]
    pub result: String,
}

impl Entry {
    /// Whether a participation started.
    pub fn is_ok(&self) -> bool {
        self.result == "OK"
    }
}

/// Why a call was rejected. The message that came with it is left out: it may repeat what was sent.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Complaint {
    /// The HTTP status.
    pub status: u16,
    /// The `errorType` or `result`, where one can be read.
    pub error_type: Option<String>,
}

impl std::fmt::Display for Complaint {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match &self.error_type {
            Some(word) => write!(f, "{word}, HTTP {}", self.status),
            None => write!(f, "HTTP {}", self.status),
        }
    }
}

/// What Spotler answered to a trigger.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum TriggerAnswer {
    /// At least one participation started. The entries may be none, where Spotler said only `OK`.
    Started(Vec<Entry>),
    /// Nothing started: a participation limit was reached, and nothing is inactive.
    LimitReached(Vec<Entry>),
    /// Nothing started: a published automation is inactive.
    Inactive(Vec<Entry>),
    /// Nothing started, for a reason that is not documented.
    NotTriggered(Complaint),
    /// There is no such trigger code, or nothing at this address.
    UnknownTrigger(Complaint),
    /// The contact is not (yet) known to Spotler.
    UnknownContact(Complaint),
    /// The call is not right, and will not be when it is sent again.
    Rejected(Complaint),
}

/// What Spotler answered to a stop.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum StopAnswer {
    /// It is stopped; or it was finished, not triggered or not found, which is the same end.
    Stopped {
        /// The `errorType`, where it was not running.
        already: Option<String>,
    },
    /// There is no such trigger code: the code is wrong, or the account.
    UnknownTrigger(Complaint),
    /// The contact is not known to Spotler: nothing runs for it, or it is another account that was asked.
    UnknownContact(Complaint),
    /// The call is not right.
    Rejected(Complaint),
}

/// Why a call has no answer that says what became of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum CallError {
    /// Nothing was sent: no connection, no name, no TLS.
    NotSent(String),
    /// Turned away unread: 429.
    Limited {
        /// The HTTP status.
        status: u16,
        /// How long to wait, where that was said.
        retry_after: Option<Duration>,
    },
    /// Spotler refused the credentials: 401, 403, or an answer that says so in words.
    Unauthorized(Complaint),
    /// Sent, and nobody knows what became of it.
    Doubtful(String),
    /// The same, and all calls are to wait: 503, or another 5xx with `Retry-After`.
    Unavailable {
        /// The HTTP status.
        status: u16,
        /// How long to wait, where that was said.
        retry_after: Option<Duration>,
    },
}

/// The part of an answer's headers that counts.
#[derive(Debug, Clone, Default)]
pub struct Head {
    /// The HTTP status.
    pub status: u16,
    /// `Retry-After`, as it came.
    pub retry_after: Option<String>,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct TriggerBody {
    #[serde(deserialize_with = "code")]
    result: Option<String>,
    #[serde(rename = "errorType", deserialize_with = "code")]
    error_type: Option<String>,
    // The help page's name for the list, and the older description's; an answer may have both.
    #[serde(rename = "publishedAutomationResults")]
    published: Option<Value>,
    #[serde(rename = "automationResults")]
    older: Option<Value>,
}

impl TriggerBody {
    /// Reads an object: what is not one, or has a key twice, says nothing.
    fn read(body: &[u8]) -> Option<Self> {
        let is_object = body.trim_ascii_start().starts_with(b"{");
        serde_json::from_slice(body).ok().filter(|_| is_object)
    }

    fn lists(&self) -> impl Iterator<Item = &Value> {
        [&self.published, &self.older].into_iter().flatten()
    }

    /// The entries of both lists that can be read.
    fn entries(&self) -> Vec<Entry> {
        let mut entries = Vec::new();
        for item in self.lists().filter_map(Value::as_array).flatten() {
            if let Ok(entry) = Entry::deserialize(item)
                && !entries.contains(&entry)
            {
                entries.push(entry);
            }
        }
        entries
    }
}

/// The longest word of the wire that is kept, in characters.
pub(super) const LONGEST_WORD: usize = 100;

/// Stands for a word that is not there, or is none.
const UNKNOWN: &str = "UNKNOWN";

/// A JSON string or number as text, unchanged: an id that is cut or cleaned is the id of something else. Anything else
/// is absent.
fn text<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<String>, D::Error> {
    Ok(match Value::deserialize(deserializer)? {
        Value::String(text) => Some(text),
        Value::Number(number) => Some(number.to_string()),
        _ => None,
    })
}

/// The same, as one of the wire's words: capitals, digits and underscores. Anything else is `UNKNOWN`, as it may repeat
/// what was sent.
fn code<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<String>, D::Error> {
    let is_word = |text: &str| {
        text.len() <= LONGEST_WORD
            && text.starts_with(|c: char| c.is_ascii_uppercase())
            && text
                .chars()
                .all(|c| c.is_ascii_uppercase() || c.is_ascii_digit() || c == '_')
    };
    let code = |text: String| match is_word(&text) {
        true => text,
        false => UNKNOWN.to_owned(),
    };
    Ok(text(deserializer)?.map(code))
}

fn unknown() -> String {
    UNKNOWN.to_owned()
}

fn code_or_unknown<'de, D: Deserializer<'de>>(deserializer: D) -> Result<String, D::Error> {
    Ok(code(deserializer)?.unwrap_or_else(unknown))
}

fn participation<'de, D: Deserializer<'de>>(
    deserializer: D,
) -> Result<Option<ParticipationId>, D::Error> {
    Ok(text(deserializer)?.and_then(|id| ParticipationId::new(id).ok()))
}

/// An id of the plain form that trigger codes have; anything else may repeat what was sent.
fn plain_id<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<String>, D::Error> {
    let is_plain = |id: &String| id.len() <= LONGEST_WORD && TriggerCode::new(id).is_ok();
    Ok(text(deserializer)?.filter(is_plain))
}

/// What is common to all answers: statuses that say something whatever the call and the body.
pub(super) fn common(head: &Head, now: SystemTime) -> Result<(), CallError> {
    let status = head.status;
    let retry_after = head
        .retry_after
        .as_deref()
        .and_then(|text| read_retry_after(text, now));
    match status {
        401 | 403 => Err(CallError::Unauthorized(Complaint {
            status,
            error_type: None,
        })),
        429 => Err(CallError::Limited {
            status,
            retry_after,
        }),
        // A proxy says so, too, after it passed the call on.
        503 => Err(CallError::Unavailable {
            status,
            retry_after,
        }),
        500.. if head.retry_after.is_some() => Err(CallError::Unavailable {
            status,
            retry_after,
        }),
        // 408 is a server, or a proxy before it, that gave up waiting; nobody says for what.
        408 | 500.. | 0..=199 | 300..=399 => Err(CallError::Doubtful(format!("HTTP {status}"))),
        _ => Ok(()),
    }
}

/// The longest wait that is taken from an answer. A longer one is no use to a run, and the sum of it and the time of
/// day must not overflow.
const LONGEST_WAIT: Duration = Duration::from_secs(24 * 60 * 60);

/// `Retry-After`: seconds or an HTTP date (RFC 9110 §10.2.3), at most [`LONGEST_WAIT`]. Where a proxy adds its own seconds
/// to those of the server (`120, 120`), the longest wait counts.
fn read_retry_after(text: &str, now: SystemTime) -> Option<Duration> {
    let seconds = |part: &str| {
        let part = part.trim();
        let is_number = !part.is_empty() && part.bytes().all(|byte| byte.is_ascii_digit());
        // Digits beyond what a number holds are a long wait all the same.
        is_number.then(|| Duration::from_secs(part.parse().unwrap_or(u64::MAX)))
    };
    let longest = text
        .split(',')
        .map(seconds)
        .try_fold(None, |longest, wait| Some(longest.max(Some(wait?))));
    let wait = match longest.flatten() {
        Some(wait) => wait,
        None => {
            let at = httpdate::parse_http_date(text.trim()).ok()?;
            at.duration_since(now).unwrap_or(Duration::ZERO)
        }
    };
    Some(wait.min(LONGEST_WAIT))
}

/// Reads the answer to a trigger.
///
/// # Errors
/// Why it says nothing of what became of the call.
pub fn read_trigger(head: &Head, body: &[u8], now: SystemTime) -> Result<TriggerAnswer, CallError> {
    common(head, now)?;
    let status = head.status;
    let parsed = TriggerBody::read(body);
    let is_readable = parsed
        .as_ref()
        .is_some_and(|body| body.lists().all(Value::is_array));
    let body = parsed.unwrap_or_default();
    let entries = body.entries();
    let TriggerBody {
        result, error_type, ..
    } = body;
    let said = result.clone().or(error_type);
    let complaint = Complaint {
        status,
        error_type: said.clone(),
    };
    match status {
        200..=299 if entries.iter().any(Entry::is_ok) => Ok(TriggerAnswer::Started(entries)),
        200..=299 if result.as_deref() == Some("OK") && entries.is_empty() && is_readable => {
            Ok(TriggerAnswer::Started(entries))
        }
        200..=299 => match said.as_deref() {
            Some("NOT_TRIGGERED") => Ok(not_started(entries, complaint)),
            Some("TRIGGER_NOTFOUND") => Ok(TriggerAnswer::UnknownTrigger(complaint)),
            Some("CONTACT_NOTFOUND") => Ok(TriggerAnswer::UnknownContact(complaint)),
            // It says that something started and that nothing did, or something that is not documented.
            _ => Err(CallError::Doubtful(format!(
                "HTTP {status} with an answer that cannot be {}",
                if is_readable { "understood" } else { "read" }
            ))),
        },
        // The status says that nothing started and the body that something did: trying again could start it twice.
        _ if result.as_deref() == Some("OK") || entries.iter().any(Entry::is_ok) => Err(
            CallError::Doubtful(format!("HTTP {status} with an answer that says OK")),
        ),
        _ if let Some(error) = fault_of_all(&complaint) => Err(error),
        417 => Ok(not_started(entries, complaint)),
        404 => Ok(match said.as_deref() {
            Some("CONTACT_NOTFOUND" | "CONTACT_NOT_FOUND") => {
                TriggerAnswer::UnknownContact(complaint)
            }
            _ => TriggerAnswer::UnknownTrigger(complaint),
        }),
        _ => Ok(match said.as_deref() {
            Some("CONTACT_NOTFOUND" | "CONTACT_NOT_FOUND") => {
                TriggerAnswer::UnknownContact(complaint)
            }
            Some("TRIGGER_NOTFOUND") => TriggerAnswer::UnknownTrigger(complaint),
            // Not a word of Spotler's: a proxy between, which may think better of it.
            None if status != 400 => TriggerAnswer::NotTriggered(complaint),
            _ => TriggerAnswer::Rejected(complaint),
        }),
    }
}

/// What an answer says whatever its status, where it says nothing of the call itself: that the credentials are refused, or
/// that something broke on Spotler's side, and then nobody knows how far it came.
fn fault_of_all(complaint: &Complaint) -> Option<CallError> {
    match complaint.error_type.as_deref()? {
        "NOT_AUTHORIZED" | "AUTH_NOT_FOUND" => Some(CallError::Unauthorized(complaint.clone())),
        "BACKEND_EXCEPTION" => Some(CallError::Doubtful(complaint.to_string())),
        _ => None,
    }
}

fn not_started(entries: Vec<Entry>, complaint: Complaint) -> TriggerAnswer {
    if entries.iter().any(|e| e.result == "AUTOMATION_INACTIVE") {
        TriggerAnswer::Inactive(entries)
    } else if entries
        .iter()
        .any(|e| e.result == "PARTICIPATION_LIMIT_REACHED")
    {
        TriggerAnswer::LimitReached(entries)
    } else {
        TriggerAnswer::NotTriggered(complaint)
    }
}

/// Reads the answer to a stop.
///
/// # Errors
/// Why it says nothing of what became of the call.
pub fn read_stop(head: &Head, body: &[u8], now: SystemTime) -> Result<StopAnswer, CallError> {
    common(head, now)?;
    let parsed = TriggerBody::read(body);
    // Empty, or any JSON: the answer to a stop is not documented, and `true` is one that this API gives elsewhere.
    let is_plain = body.trim_ascii().is_empty() || serde_json::from_slice::<Value>(body).is_ok();
    let said = parsed.and_then(|body| body.error_type.or(body.result));
    let complaint = Complaint {
        status: head.status,
        error_type: said.clone(),
    };
    if let Some(error) = fault_of_all(&complaint) {
        return Err(error);
    }
    Ok(match (head.status, said.as_deref()) {
        (200..=299, None | Some("OK" | "STOPPED")) if is_plain => {
            StopAnswer::Stopped { already: None }
        }
        (
            200..=299 | 400 | 404 | 409 | 410 | 417,
            Some("TRIGGER_NOTFOUND" | "TRIGGER_NOT_FOUND"),
        ) => StopAnswer::UnknownTrigger(complaint),
        (
            200..=299 | 400 | 404 | 409 | 410 | 417,
            Some("CONTACT_NOTFOUND" | "CONTACT_NOT_FOUND"),
        ) => StopAnswer::UnknownContact(complaint),
        // By analogy with `POST /campaign/{id}/stop`: finished, not triggered, or not known.
        (200..=299 | 400 | 404 | 409 | 410 | 417, Some(word)) if is_over(word) => {
            StopAnswer::Stopped { already: said }
        }
        (200..=299, _) => {
            return Err(CallError::Doubtful(format!(
                "HTTP {} with an answer that cannot be read",
                head.status
            )));
        }
        // A 404 of other words (a path that is not there, a proxy's page) says nothing of the participation.
        _ => StopAnswer::Rejected(complaint),
    })
}

/// Whether a word of the wire says that there is nothing (any more) to stop.
fn is_over(word: &str) -> bool {
    matches!(
        word,
        "INVALID_STATE" | "NOT_TRIGGERED" | "CAMPAIGN_NOTFOUND"
    ) || ((word.contains("PARTICIPATION") || word.contains("AUTOMATION"))
        && (word.contains("NOTFOUND") || word.contains("NOT_FOUND")))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn trigger(status: u16, body: &str) -> String {
        let head = Head {
            status,
            retry_after: None,
        };
        match read_trigger(&head, body.as_bytes(), SystemTime::UNIX_EPOCH) {
            Ok(TriggerAnswer::Started(entries)) => {
                let ids: Vec<_> = entries
                    .iter()
                    .filter(|e| e.is_ok())
                    .map(|e| e.participation.as_ref().map_or("-", |id| id.as_str()))
                    .collect();
                format!("started {}", ids.join(" "))
            }
            Ok(TriggerAnswer::LimitReached(_)) => "limit".into(),
            Ok(TriggerAnswer::Inactive(_)) => "inactive".into(),
            Ok(TriggerAnswer::NotTriggered(_)) => "not triggered".into(),
            Ok(TriggerAnswer::UnknownTrigger(_)) => "unknown trigger".into(),
            Ok(TriggerAnswer::UnknownContact(_)) => "unknown contact".into(),
            Ok(TriggerAnswer::Rejected(complaint)) => format!("rejected {complaint}"),
            Err(CallError::Doubtful(_)) => "doubt".into(),
            Err(CallError::Unavailable { .. }) => "unavailable".into(),
            Err(CallError::Limited { .. }) => "limited".into(),
            Err(CallError::Unauthorized(_)) => "unauthorized".into(),
            Err(CallError::NotSent(_)) => "not sent".into(),
        }
    }

    #[test]
    fn every_documented_and_many_an_undocumented_answer_to_a_trigger() {
        let ok = r#"{"result":"OK","publishedAutomationResults":[{"automationContactId":"a1","automationId":"9","result":"OK"}]}"#;
        let both = r#"{"result":"OK","publishedAutomationResults":[{"automationContactId":"a1","result":"OK"},{"automationContactId":"a2","result":"OK"}]}"#;
        let mixed = r#"{"result":"OK","publishedAutomationResults":[{"result":"AUTOMATION_INACTIVE"},{"automationContactId":77,"result":"OK"}]}"#;
        let old = r#"{"result":"OK","automationResults":[{"automationContactId":12345678901234567890,"result":"OK"}]}"#;
        let limit = r#"{"result":"NOT_TRIGGERED","publishedAutomationResults":[{"result":"PARTICIPATION_LIMIT_REACHED"}]}"#;
        let inactive = r#"{"result":"NOT_TRIGGERED","publishedAutomationResults":[{"result":"PARTICIPATION_LIMIT_REACHED"},{"result":"AUTOMATION_INACTIVE"}]}"#;
        let html = "<html><body>Bad gateway</body></html>";
        let error = |word: &str| format!(r#"{{"errorType":"{word}","message":"hush"}}"#);
        for (status, body, expected) in [
            (200, ok, "started a1"),
            (201, ok, "started a1"),
            (200, both, "started a1 a2"),
            (200, mixed, "started 77"),
            (200, old, "started 12345678901234567890"),
            (200, r#"{"result":"OK"}"#, "started "),
            // A key that is there twice, and half a letter.
            (
                200,
                r#"{"result":"OK","automationResults":[{"automationContactId":"a1","result":"X","result":"OK"}]}"#,
                "started a1",
            ),
            (
                417,
                r#"{"automationResults":[{"automationContactId":"a1","result":"OK","result":"OK"}]}"#,
                "doubt",
            ),
            (
                200,
                r#"{"result":"OK","automationResults":[{"automationContactId":"\ud800","result":"OK"}]}"#,
                "doubt",
            ),
            (
                200,
                r#"{"result":"OK","publishedAutomationResults":[]}"#,
                "started ",
            ),
            (
                200,
                r#"{"publishedAutomationResults":[{"automationContactId":"x","result":"OK"}]}"#,
                "started x",
            ),
            (
                200,
                r#"{"result":"OK","extra":{"a":1},"publishedAutomationResults":[{"automationContactId":"x","result":"OK","b":[]}]}"#,
                "started x",
            ),
            (
                200,
                r#"{"result":"OK","publishedAutomationResults":[{"automationContactId":"a/../b","result":"OK"}]}"#,
                "started -",
            ),
            (
                200,
                r#"{"result":"OK","publishedAutomationResults":[{"automationContactId":{},"result":"OK"}]}"#,
                "started -",
            ),
            (200, limit, "limit"),
            (200, inactive, "inactive"),
            (
                200,
                r#"{"result":"OK","publishedAutomationResults":[{"result":"NEW_WORD"}]}"#,
                "doubt",
            ),
            (
                200,
                r#"{"result":"OK","publishedAutomationResults":"x"}"#,
                "doubt",
            ),
            (200, r#"{"result":"UNKNOWN"}"#, "doubt"),
            (200, r#"{"result":"NEW_WORD"}"#, "doubt"),
            (200, r#"{"result":7}"#, "doubt"),
            (200, r#"{"result":"TRIGGER_NOTFOUND"}"#, "unknown trigger"),
            (200, r#"{"result":"CONTACT_NOTFOUND"}"#, "unknown contact"),
            (200, "{}", "doubt"),
            (200, "[]", "doubt"),
            (200, r#"["OK"]"#, "doubt"),
            (200, r#"{"result":"NOT_TRIGGERED","result":"OK"}"#, "doubt"),
            (200, "null", "doubt"),
            (200, "", "doubt"),
            (200, html, "doubt"),
            (200, &ok[..40], "doubt"),
            (204, "", "doubt"),
            (202, "", "doubt"),
            (404, r#"{"result":"TRIGGER_NOTFOUND"}"#, "unknown trigger"),
            (404, r#"{"result":"CONTACT_NOTFOUND"}"#, "unknown contact"),
            (404, &error("CONTACT_NOT_FOUND"), "unknown contact"),
            (404, &error("TRIGGER_NOTFOUND"), "unknown trigger"),
            (404, &error("RESOURCE_NOT_FOUND"), "unknown trigger"),
            (404, html, "unknown trigger"),
            (404, "", "unknown trigger"),
            (417, limit, "limit"),
            (417, inactive, "inactive"),
            (417, r#"{"result":"NOT_TRIGGERED"}"#, "not triggered"),
            (
                417,
                r#"{"result":"NOT_TRIGGERED","publishedAutomationResults":[{"result":"NEW_WORD"}]}"#,
                "not triggered",
            ),
            (417, html, "not triggered"),
            (417, ok, "doubt"),
            (417, mixed, "doubt"),
            (404, ok, "doubt"),
            (400, r#"{"result":"OK"}"#, "doubt"),
            (
                400,
                &error("INVALID_PARAMS"),
                "rejected INVALID_PARAMS, HTTP 400",
            ),
            (400, &error("NEW_WORD"), "rejected NEW_WORD, HTTP 400"),
            (400, &error("CONTACT_NOT_FOUND"), "unknown contact"),
            (400, &error("TRIGGER_NOTFOUND"), "unknown trigger"),
            (400, html, "rejected HTTP 400"),
            (400, &error("NOT_AUTHORIZED"), "unauthorized"),
            (400, &error("AUTH_NOT_FOUND"), "unauthorized"),
            (404, &error("NOT_AUTHORIZED"), "unauthorized"),
            (417, &error("NOT_AUTHORIZED"), "unauthorized"),
            (400, &error("BACKEND_EXCEPTION"), "doubt"),
            (404, &error("BACKEND_EXCEPTION"), "doubt"),
            (200, &error("NOT_AUTHORIZED"), "doubt"),
            (405, "", "not triggered"),
            (413, html, "not triggered"),
            (451, html, "not triggered"),
            (
                422,
                &error("INVALID_PARAMS"),
                "rejected INVALID_PARAMS, HTTP 422",
            ),
            (401, html, "unauthorized"),
            (403, &error("NOT_AUTHORIZED"), "unauthorized"),
            (429, "", "limited"),
            (429, ok, "limited"),
            (408, "", "doubt"),
            (301, "", "doubt"),
            (302, ok, "doubt"),
            (307, "", "doubt"),
            (100, "", "doubt"),
            (500, &error("BACKEND_EXCEPTION"), "doubt"),
            (500, ok, "doubt"),
            (600, "", "doubt"),
            (999, "", "doubt"),
            (502, html, "doubt"),
            (503, "", "unavailable"),
            (504, html, "doubt"),
            (599, "", "doubt"),
        ] {
            assert_eq!(trigger(status, body), expected, "{status} {body}");
        }
    }

    #[test]
    fn when_to_come_back_is_read_whatever_it_is_written_as() {
        for (text, expected) in [
            ("7", Some(Duration::from_secs(7))),
            (" 0 ", Some(Duration::ZERO)),
            (
                "Thu, 01 Jan 1970 00:01:00 GMT",
                Some(Duration::from_secs(60)),
            ),
            ("Wed, 31 Dec 1969 00:00:00 GMT", None),
            ("18446744073709551615", Some(LONGEST_WAIT)),
            ("Fri, 31 Dec 9999 23:59:59 GMT", Some(LONGEST_WAIT)),
            ("99999999999999999999999999", Some(LONGEST_WAIT)),
            ("120, 120", Some(Duration::from_secs(120))),
            ("2,120", Some(Duration::from_secs(120))),
            ("soon", None),
            ("-3", None),
            ("3,", None),
            ("", None),
        ] {
            for status in [429, 500, 503] {
                let head = Head {
                    status,
                    retry_after: Some(text.to_owned()),
                };
                let retry_after = match read_trigger(&head, b"", SystemTime::UNIX_EPOCH) {
                    Err(CallError::Limited { retry_after, .. }) if status == 429 => retry_after,
                    // It may have been carried out.
                    Err(CallError::Unavailable { retry_after, .. }) if status > 429 => retry_after,
                    answer => panic!("{status} {text}: {answer:?}"),
                };
                assert_eq!(retry_after, expected, "{text}");
            }
        }
    }

    #[test]
    fn every_way_of_not_running_any_more_is_stopped() {
        let stop = |status, body: &str| {
            let head = Head {
                status,
                retry_after: None,
            };
            match read_stop(&head, body.as_bytes(), SystemTime::UNIX_EPOCH) {
                Ok(StopAnswer::Stopped { .. }) => "stopped",
                Ok(StopAnswer::UnknownTrigger(_)) => "unknown trigger",
                Ok(StopAnswer::UnknownContact(_)) => "unknown contact",
                Ok(StopAnswer::Rejected(_)) => "rejected",
                Err(CallError::Doubtful(_) | CallError::Unavailable { .. }) => "doubt",
                Err(_) => "other",
            }
        };
        let error = |word: &str| format!(r#"{{"errorType":"{word}","message":"hush"}}"#);
        for (status, body, expected) in [
            (200, "", "stopped"),
            (200, "true", "stopped"),
            (204, "", "stopped"),
            (202, "<html>", "doubt"),
            (200, r#"{"result":"UNKNOWN"}"#, "doubt"),
            (200, r#"{"result":"OK"}"#, "stopped"),
            (404, &error("TRIGGER_NOTFOUND"), "unknown trigger"),
            (404, r#"{"result":"TRIGGER_NOTFOUND"}"#, "unknown trigger"),
            (404, &error("PARTICIPATION_NOT_FOUND"), "stopped"),
            (404, &error("RESOURCE_NOT_FOUND"), "rejected"),
            (404, &error("NEW_WORD"), "rejected"),
            (404, "<html>", "rejected"),
            (404, "", "rejected"),
            (400, &error("INVALID_STATE"), "stopped"),
            (400, &error("CAMPAIGN_NOTFOUND"), "stopped"),
            (400, &error("CONTACT_NOT_FOUND"), "unknown contact"),
            (404, r#"{"result":"CONTACT_NOTFOUND"}"#, "unknown contact"),
            (400, &error("INVALID_PARAMS"), "rejected"),
            (400, "<html>", "rejected"),
            (400, &error("NOT_AUTHORIZED"), "other"),
            (400, &error("BACKEND_EXCEPTION"), "doubt"),
            (405, "", "rejected"),
            (500, "", "doubt"),
            (503, "", "doubt"),
            (302, "", "doubt"),
            (401, "", "other"),
            (429, "", "other"),
        ] {
            assert_eq!(stop(status, body), expected, "{status} {body}");
        }
    }

    #[test]
    fn an_id_is_kept_whole_or_not_at_all() {
        let long = "a".repeat(150);
        let started = |id: &str| {
            trigger(
                200,
                &format!(
                    r#"{{"publishedAutomationResults":[{{"automationContactId":"{id}","result":"OK"}}]}}"#
                ),
            )
        };
        assert_eq!(started(&long), format!("started {long}"));
        assert_eq!(started(r"a\u00011"), "started -");
    }

    #[test]
    fn an_answer_that_repeats_what_was_sent_is_not_repeated() {
        let echo = |what: &str| {
            format!(
                r#"{{"errorType":"{what}","result":"{what}","message":"{what}","publishedAutomationResults":[{{"automationId":"{what} of it","result":"{what}"}},{{"automationContactId":"a1","automationId":"7","result":"OK"}}]}}"#
            )
        };
        for what in [
            "Voorbeeld BV",
            "hush",
            "BACK-5",
            "06 12",
            "0612345678",
            "{HUSH}",
        ] {
            let body = echo(what);
            for status in [200, 400, 417, 422] {
                let head = Head {
                    status,
                    retry_after: None,
                };
                let answer = read_trigger(&head, body.as_bytes(), SystemTime::UNIX_EPOCH);
                assert!(!format!("{answer:?}").contains(what), "{answer:?}");
                let rejected = format!(r#"{{"errorType":"{what}"}}"#);
                let answer = read_trigger(&head, rejected.as_bytes(), SystemTime::UNIX_EPOCH);
                assert!(!format!("{answer:?}").contains(what), "{answer:?}");
                let answer = read_stop(&head, rejected.as_bytes(), SystemTime::UNIX_EPOCH);
                assert!(!format!("{answer:?}").contains(what), "{answer:?}");
            }
        }
        let body = r#"{"errorType":"Not a good value"}"#;
        assert_eq!(trigger(422, body), "rejected UNKNOWN, HTTP 422");
    }

    #[test]
    fn what_the_wire_says_is_kept_short_and_harmless() {
        let body = format!(r#"{{"errorType":"\u001b[31m{}"}}"#, "x".repeat(1000));
        let shown = trigger(400, &body);
        assert!(shown.len() < 150 && !shown.contains('\u{1b}'), "{shown}");
    }

    proptest! {
        #[test]
        fn nothing_starts_unless_an_ok_says_so(status in 0u16..700, body in any::<Vec<u8>>(), retry in proptest::option::of(".*")) {
            let head = Head { status, retry_after: retry };
            let now = SystemTime::UNIX_EPOCH;
            if let Ok(TriggerAnswer::Started(_)) = read_trigger(&head, &body, now) {
                prop_assert!(body.windows(2).any(|pair| pair == b"OK"));
            }
            let _ = read_stop(&head, &body, now);
            let _ = crate::spotler::read_list(&head, &body, now);
        }
    }
}
