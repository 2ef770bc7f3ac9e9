//! Faults: what the sandbox is told to do wrong.
//!
//! Whether a rule hits a call is a function of the seed, the rule, the call's contact and code, and how often that call
//! was made; so a schedule can be played again, whatever the order in which calls arrive.

use std::collections::HashMap;
use std::time::Duration;

use serde::{Deserialize, Serialize};

/// What goes wrong.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", tag = "fault")]
pub enum Fault {
    /// The answer comes late.
    Slow {
        /// By so many milliseconds.
        ms: u64,
    },
    /// 429, and nothing is carried out.
    Limit {
        /// `Retry-After`: seconds or an HTTP date.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        retry_after: Option<String>,
    },
    /// 503, and nothing is carried out.
    Unavailable {
        /// `Retry-After`: seconds or an HTTP date.
        #[serde(default, skip_serializing_if = "Option::is_none")]
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
    /// Carried out, and the answer breaks off in the middle.
    Cut,
    /// Carried out, and the answer is a page of HTML.
    Html,
    /// Carried out, and the answer is half of its JSON.
    Truncated,
    /// Carried out, and the answer's values have other types.
    WrongTypes,
    /// Carried out, and the answer's `result` is a new word.
    UnknownResult,
    /// Carried out, and the ids are numbers.
    NumberId,
    /// Carried out, and the answer has many megabytes.
    Enormous,
    /// Not carried out, and no answer ever comes.
    HangBefore,
    /// Carried out, and no answer ever comes.
    HangAfter,
    /// 401: the credentials are revoked.
    Revoked,
}

/// When something goes wrong. What is not said matches every call.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Rule {
    /// What.
    #[serde(flatten)]
    pub fault: Fault,
    /// How likely, from 0 to 1.
    #[serde(default = "certain")]
    pub probability: f64,
    /// Only calls of this kind: `trigger`, `stop` or `list`.
    #[serde(default)]
    pub kind: Option<String>,
    /// Only this contact.
    #[serde(default)]
    pub contact: Option<String>,
    /// Only this trigger code.
    #[serde(default)]
    pub code: Option<String>,
    /// Only from this call of all on, from 1.
    #[serde(default)]
    pub from: Option<u64>,
    /// Only up to this call of all.
    #[serde(default)]
    pub to: Option<u64>,
    /// Only so often.
    #[serde(default)]
    pub times: Option<u64>,
}

fn certain() -> f64 {
    1.0
}

impl Rule {
    /// A fault that hits every call.
    pub fn always(fault: Fault) -> Self {
        Self {
            fault,
            probability: 1.0,
            kind: None,
            contact: None,
            code: None,
            from: None,
            to: None,
            times: None,
        }
    }
}

/// A call, as the rules see it.
#[derive(Debug, Clone, Copy)]
pub(super) struct CallOf<'a> {
    pub kind: &'a str,
    pub code: &'a str,
    pub contact: &'a str,
    /// Its number among all calls, from 1.
    pub number: u64,
}

/// What goes wrong with one call.
#[derive(Debug, Default, PartialEq)]
pub(super) struct Wrong {
    pub delay: Duration,
    /// The first fault that hits, besides slowness.
    pub fault: Option<Fault>,
}

/// The rules, and what they need to remember.
#[derive(Debug, Default)]
pub(super) struct Schedule {
    seed: u64,
    rules: Vec<Rule>,
    hits: Vec<u64>,
    attempts: HashMap<u64, u64>,
}

impl Schedule {
    pub(super) fn new(seed: u64, rules: Vec<Rule>) -> Self {
        Self {
            seed,
            hits: vec![0; rules.len()],
            rules,
            attempts: HashMap::new(),
        }
    }

    /// What goes wrong with a call.
    pub(super) fn strike(&mut self, call: CallOf<'_>) -> Wrong {
        let mut wrong = Wrong::default();
        if self.rules.is_empty() {
            return wrong;
        }
        let identity = hash(&[
            call.kind.as_bytes(),
            call.code.as_bytes(),
            call.contact.as_bytes(),
        ]);
        let attempt = self.attempts.entry(identity).or_insert(0);
        *attempt += 1;
        for (index, rule) in self.rules.iter().enumerate() {
            let is_meant = rule.kind.as_deref().is_none_or(|kind| kind == call.kind)
                && rule
                    .contact
                    .as_deref()
                    .is_none_or(|contact| contact == call.contact)
                && rule.code.as_deref().is_none_or(|code| code == call.code)
                && rule.from.is_none_or(|from| call.number >= from)
                && rule.to.is_none_or(|to| call.number <= to)
                && rule.times.is_none_or(|times| self.hits[index] < times);
            if !is_meant {
                continue;
            }
            let chance = hash(&[
                &self.seed.to_le_bytes(),
                &(index as u64).to_le_bytes(),
                &identity.to_le_bytes(),
                &attempt.to_le_bytes(),
            ]);
            // The upper 53 bits make an even number in [0, 1).
            if (chance >> 11) as f64 / (1_u64 << 53) as f64 >= rule.probability {
                continue;
            }
            match &rule.fault {
                Fault::Slow { ms } => wrong.delay += Duration::from_millis(*ms),
                fault if wrong.fault.is_none() => wrong.fault = Some(fault.clone()),
                _ => continue,
            }
            self.hits[index] += 1;
        }
        wrong
    }
}

fn hash(parts: &[&[u8]]) -> u64 {
    let mut hasher = blake3::Hasher::new();
    for part in parts {
        hasher.update(&(part.len() as u64).to_le_bytes());
        hasher.update(part);
    }
    let mut first = [0; 8];
    first.copy_from_slice(&hasher.finalize().as_bytes()[..8]);
    u64::from_le_bytes(first)
}

/// Reads a rule in short: `limit`, `limit=2`, `reset-after:5%`, `slow=200:50%`.
pub(super) fn from_short(text: &str) -> Option<Rule> {
    let (what, probability) = match text.split_once(':') {
        None => (text, 1.0),
        Some((what, share)) => {
            let percent: f64 = share.strip_suffix('%')?.parse().ok()?;
            (what, percent / 100.0)
        }
    };
    let (name, value) = match what.split_once('=') {
        None => (what, None),
        Some((name, value)) => (name, Some(value)),
    };
    let mut json = serde_json::json!({ "fault": name, "probability": probability });
    match name {
        "slow" => json["ms"] = value?.parse::<u64>().ok()?.into(),
        "limit" | "unavailable" => json["retry_after"] = value.into(),
        _ if value.is_some() => return None,
        _ => {}
    }
    (0.0..=1.0).contains(&probability).then_some(())?;
    serde_json::from_value(json).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn call(contact: &str, number: u64) -> CallOf<'_> {
        CallOf {
            kind: "trigger",
            code: "code",
            contact,
            number,
        }
    }

    fn schedule(seed: u64) -> Vec<bool> {
        let mut rule = Rule::always(Fault::ErrorBefore);
        rule.probability = 0.3;
        let mut schedule = Schedule::new(seed, vec![rule]);
        (0..200)
            .map(|n| schedule.strike(call(&format!("c{n}"), n)).fault.is_some())
            .collect()
    }

    #[test]
    fn a_seed_gives_the_same_schedule_again_and_another_seed_another() {
        assert_eq!(schedule(1), schedule(1));
        assert_ne!(schedule(1), schedule(2));
        let hits = schedule(1).into_iter().filter(|hit| *hit).count();
        assert!((30..90).contains(&hits), "{hits}");
    }

    #[test]
    fn the_order_of_arrival_does_not_count() {
        let mut rule = Rule::always(Fault::ErrorBefore);
        rule.probability = 0.5;
        let mut forth = Schedule::new(7, vec![rule.clone()]);
        let mut back = Schedule::new(7, vec![rule]);
        let a: Vec<_> = (0..50)
            .map(|n| forth.strike(call(&format!("c{n}"), n)))
            .collect();
        let mut b: Vec<_> = (0..50)
            .rev()
            .map(|n| back.strike(call(&format!("c{n}"), n)))
            .collect();
        b.reverse();
        assert_eq!(a, b);
    }

    #[test]
    fn rules_can_be_narrowed() {
        let mut rule = Rule::always(Fault::Html);
        rule.contact = Some("c1".into());
        rule.from = Some(5);
        rule.times = Some(1);
        let mut schedule = Schedule::new(0, vec![rule]);
        assert_eq!(schedule.strike(call("c1", 4)).fault, None);
        assert_eq!(schedule.strike(call("c2", 5)).fault, None);
        assert_eq!(schedule.strike(call("c1", 6)).fault, Some(Fault::Html));
        assert_eq!(schedule.strike(call("c1", 7)).fault, None);
    }

    #[test]
    fn rules_have_a_short_form() {
        let rule = from_short("limit=2:5%").unwrap();
        assert_eq!(
            rule.fault,
            Fault::Limit {
                retry_after: Some("2".into())
            }
        );
        assert!((rule.probability - 0.05).abs() < 1e-9);
        assert_eq!(
            from_short("slow=200").unwrap().fault,
            Fault::Slow { ms: 200 }
        );
        assert_eq!(from_short("hang-after").unwrap().fault, Fault::HangAfter);
        for bad in ["", "nonsense", "slow", "limit:5", "limit:200%", "html=3"] {
            assert!(from_short(bad).is_none(), "{bad}");
        }
    }
}
