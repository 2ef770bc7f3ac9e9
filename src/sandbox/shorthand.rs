//! A rule in short, for the command line: `limit:5%`, `slow=200`, `limit=date:2:5%`, `reset-after@3,9`.

use std::str::FromStr;

use super::faults::{Rule, WrittenRule};

/// A text that is no rule in short.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "`{text}` is not a fault: {reason}. Write for instance `html`, `slow=200` (milliseconds), `limit=2:5%` \
     (Retry-After, share of the calls) or `reset-after@3,9` (the third and ninth call)."
)]
pub struct UnknownFault {
    text: String,
    reason: String,
}

impl FromStr for Rule {
    type Err = UnknownFault;

    /// Reads `FAULT[=VALUE][:SHARE%][@CALL,CALL…]`. The value is milliseconds for `slow` and `refuse`, and the
    /// `Retry-After` for `limit` and `unavailable`.
    fn from_str(text: &str) -> Result<Self, UnknownFault> {
        rule(text).map_err(|reason| UnknownFault {
            text: text.to_owned(),
            reason,
        })
    }
}

fn rule(text: &str) -> Result<Rule, String> {
    let mut rule = WrittenRule::default();
    let (rest, calls) = split(text, '@');
    for call in calls.iter().flat_map(|calls| calls.split(',')) {
        let number = call.trim().parse();
        rule.calls
            .push(number.map_err(|_| format!("`{call}` is not the number of a call"))?);
    }
    // A share is told from a value that holds a colon by its percent sign.
    let (rest, share) = match rest.rsplit_once(':') {
        Some((rest, share)) if share.ends_with('%') => (rest, Some(share)),
        _ => (rest, None),
    };
    if let Some(share) = share {
        let percent = share.trim_end_matches('%').parse::<f64>();
        let percent = percent.map_err(|_| format!("`{share}` is not a percentage"))?;
        rule.probability = Some(percent / 100.0);
    }
    let (name, value) = split(rest, '=');
    name.clone_into(&mut rule.fault);
    match value.map(str::parse) {
        Some(Ok(ms)) if matches!(name, "slow" | "refuse") => rule.ms = Some(ms),
        _ => rule.retry_after = value.map(str::to_owned),
    }
    Rule::try_from(rule)
}

fn split(text: &str, at: char) -> (&str, Option<&str>) {
    match text.split_once(at) {
        Some((before, after)) => (before, Some(after)),
        None => (text, None),
    }
}

#[cfg(test)]
mod tests {
    use super::super::faults::Fault;
    use super::*;

    #[test]
    fn every_part_is_read() {
        let limit = |text: &str| Fault::Limit {
            retry_after: Some(text.to_owned()),
        };
        for (text, fault, probability, calls) in [
            ("html", Fault::Html, 1.0, vec![]),
            ("slow=200", Fault::Slow { ms: 200 }, 1.0, vec![]),
            ("limit:5%", Fault::Limit { retry_after: None }, 0.05, vec![]),
            ("limit=2:5%", limit("2"), 0.05, vec![]),
            ("limit=date:2", limit("date:2"), 1.0, vec![]),
            ("limit=date:2:2.5%", limit("date:2"), 0.025, vec![]),
            ("reset-after@3,9", Fault::ResetAfter, 1.0, vec![3, 9]),
            ("refuse=50:1%@7", Fault::Refuse { ms: 50 }, 0.01, vec![7]),
        ] {
            let rule: Rule = text.parse().unwrap();
            assert_eq!(rule.fault, fault, "{text}");
            assert!((rule.probability - probability).abs() < 1e-9, "{text}");
            assert_eq!(rule.calls, calls, "{text}");
        }
    }

    #[test]
    fn what_is_no_rule_is_refused_with_the_reason() {
        for text in [
            "",
            "flood",
            "html=3",
            "slow",
            "slow=soon",
            "limit:150%",
            "limit:x%",
            "cut@first",
            "cut:5",
        ] {
            let error = text.parse::<Rule>().unwrap_err().to_string();
            assert!(
                error.starts_with(&format!("`{text}` is not a fault: ")),
                "{error}"
            );
        }
    }
}
