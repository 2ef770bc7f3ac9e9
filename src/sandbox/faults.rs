//! Faults: what the sandbox is told to do wrong, and to which calls.

use serde::Deserialize;

use super::call::{Call, Kind};

/// What goes wrong.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Fault {
    /// The call is carried out late, even where its client has gone away by then.
    Slow {
        /// By so many milliseconds.
        ms: u64,
    },
    /// 429, and nothing is carried out.
    Limit {
        /// `Retry-After`: seconds, `date:` and seconds for an HTTP date so far ahead, or any text as it is.
        retry_after: Option<String>,
    },
    /// 503, and nothing is carried out.
    Unavailable {
        /// `Retry-After`, as for [`Fault::Limit`].
        retry_after: Option<String>,
    },
    /// 503 after the call was carried out, as a proxy says it that did not get the answer.
    UnavailableAfter {
        /// `Retry-After`, as for [`Fault::Limit`].
        retry_after: Option<String>,
    },
    /// 500 before the call is carried out.
    ErrorBefore,
    /// 500 after the call was carried out.
    ErrorAfter,
    /// The connection is reset before the call is carried out.
    ResetBefore,
    /// The connection is reset after the call was carried out.
    ResetAfter,
    /// Carried out, and the connection ends in the middle of the answer.
    Cut,
    /// Carried out, and the answer is a page of HTML.
    Html,
    /// Carried out, and the answer is half of its JSON.
    Truncated,
    /// Carried out, and the answer's values have other types.
    WrongTypes,
    /// Carried out, and the answer's `result` is a new word.
    UnknownResult,
    /// Carried out, and the answer's ids are JSON numbers. Nothing is wrong with that.
    NumberId,
    /// Carried out, and the answer's ids hold characters that mean something in a URL. Nothing is wrong with that.
    OddId,
    /// Carried out, and the answer is followed by 64 MiB of spaces.
    Enormous,
    /// Not carried out, and no answer ever comes.
    HangBefore,
    /// Carried out, and no answer ever comes.
    HangAfter,
    /// 401: the credentials are revoked. From a call on, with [`Rule::from`].
    Revoked,
    /// 400, and the answer repeats the personalisation fields wherever it has a text. Not carried out.
    Echo,
    /// Carried out and answered; then connections are refused for a while.
    Refuse {
        /// For so many milliseconds.
        ms: u64,
    },
}

impl Fault {
    /// A fault by its name in lower case and hyphens.
    fn named(name: &str, ms: Option<u64>, retry_after: Option<String>) -> Result<Self, String> {
        let fault = match (name, ms) {
            ("slow", Some(ms)) => Fault::Slow { ms },
            ("refuse", Some(ms)) => Fault::Refuse { ms },
            ("slow" | "refuse", None) => {
                return Err(format!(
                    "`{name}` needs a whole number of milliseconds, `ms`"
                ));
            }
            (_, Some(_)) => return Err(format!("`{name}` takes no `ms`")),
            ("limit", None) => return Ok(Fault::Limit { retry_after }),
            ("unavailable", None) => return Ok(Fault::Unavailable { retry_after }),
            ("unavailable-after", None) => return Ok(Fault::UnavailableAfter { retry_after }),
            ("error-before", None) => Fault::ErrorBefore,
            ("error-after", None) => Fault::ErrorAfter,
            ("reset-before", None) => Fault::ResetBefore,
            ("reset-after", None) => Fault::ResetAfter,
            ("cut", None) => Fault::Cut,
            ("html", None) => Fault::Html,
            ("truncated", None) => Fault::Truncated,
            ("wrong-types", None) => Fault::WrongTypes,
            ("unknown-result", None) => Fault::UnknownResult,
            ("number-id", None) => Fault::NumberId,
            ("odd-id", None) => Fault::OddId,
            ("enormous", None) => Fault::Enormous,
            ("hang-before", None) => Fault::HangBefore,
            ("hang-after", None) => Fault::HangAfter,
            ("revoked", None) => Fault::Revoked,
            ("echo", None) => Fault::Echo,
            _ => return Err(format!("there is no fault named `{name}`")),
        };
        match retry_after {
            Some(_) => Err(format!("`{name}` takes no `retry_after`")),
            None => Ok(fault),
        }
    }

    /// Whether the call is carried out all the same.
    pub(super) fn carries_out(&self) -> bool {
        !matches!(
            self,
            Fault::Limit { .. }
                | Fault::Unavailable { .. }
                | Fault::ErrorBefore
                | Fault::ResetBefore
                | Fault::HangBefore
                | Fault::Revoked
                | Fault::Echo
        )
    }
}

/// When something goes wrong. What is not said matches every call.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(try_from = "WrittenRule")]
pub struct Rule {
    /// What.
    pub fault: Fault,
    /// How likely, from 0 to 1.
    pub probability: f64,
    /// Only calls of this kind.
    pub kind: Option<Kind>,
    /// Only this trigger code.
    pub code: Option<String>,
    /// Only this contact, or with a `*` at its end all that begin so.
    pub contact: Option<String>,
    /// Only these calls, by their numbers among all calls that were signed and written properly, from 1.
    pub calls: Vec<u64>,
    /// Only from this call on.
    pub from: Option<u64>,
    /// Only up to this call.
    pub to: Option<u64>,
    /// Only so often in all.
    pub times: Option<u64>,
}

/// A [`Rule`] as it is written in TOML or JSON: flat, and without any key that is not known.
#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(super) struct WrittenRule {
    pub fault: String,
    pub ms: Option<u64>,
    pub retry_after: Option<String>,
    pub probability: Option<f64>,
    pub kind: Option<Kind>,
    pub code: Option<String>,
    pub contact: Option<String>,
    pub calls: Vec<u64>,
    pub from: Option<u64>,
    pub to: Option<u64>,
    pub times: Option<u64>,
}

impl TryFrom<WrittenRule> for Rule {
    type Error = String;

    fn try_from(written: WrittenRule) -> Result<Self, String> {
        let probability = written.probability.unwrap_or(1.0);
        if !(0.0..=1.0).contains(&probability) {
            return Err(format!(
                "the probability {probability} is not between 0 and 1"
            ));
        }
        Ok(Self {
            fault: Fault::named(&written.fault, written.ms, written.retry_after)?,
            probability,
            kind: written.kind,
            code: written.code,
            contact: written.contact,
            calls: written.calls,
            from: written.from,
            to: written.to,
            times: written.times,
        })
    }
}

impl Rule {
    /// A fault that hits every call.
    pub fn always(fault: Fault) -> Self {
        Self {
            fault,
            probability: 1.0,
            kind: None,
            code: None,
            contact: None,
            calls: Vec::new(),
            from: None,
            to: None,
            times: None,
        }
    }

    /// Whether it is about a call, which is the `number`th.
    pub(super) fn is_meant(&self, call: &Call, number: u64) -> bool {
        self.kind.is_none_or(|kind| kind == call.kind())
            && self.code.as_deref().is_none_or(|code| code == call.code())
            && self.contact.as_deref().is_none_or(|pattern| {
                let contact = call.contact();
                match pattern.strip_suffix('*') {
                    Some(prefix) => contact.starts_with(prefix),
                    None => contact == pattern,
                }
            })
            && (self.calls.is_empty() || self.calls.contains(&number))
            && self.from.is_none_or(|from| number >= from)
            && self.to.is_none_or(|to| number <= to)
    }
}
