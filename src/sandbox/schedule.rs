//! A schedule of faults, and where in it the sandbox is.
//!
//! Whether a rule hits a call is a function of the seed, the rule, the call's kind, code and contact, and of how often
//! that same call was made: a schedule can be played again, in whatever order the calls arrive.

use std::time::Duration;

use hashbrown::HashMap;
use serde::Deserialize;

use super::call::Call;
use super::faults::{Fault, Rule};

/// Rules and the seed that decides between the likely and the unlikely: what a file of faults holds.
#[derive(Debug, Clone, Default, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Schedule {
    #[serde(default)]
    pub seed: u64,
    /// In order: of several that hit one call, the first counts, besides slowness and refusal, which add up.
    #[serde(default, alias = "rule")]
    pub rules: Vec<Rule>,
}

/// What goes wrong with one call.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Wrong {
    /// How long the call waits before it is carried out.
    pub delay: Duration,
    /// For how long connections are refused afterwards.
    pub refuse: Duration,
    /// The first fault of another kind.
    pub fault: Option<Fault>,
}

/// A schedule, and how far it was played.
#[derive(Default)]
pub(super) struct Player {
    schedule: Schedule,
    /// How often each rule hit.
    hits: Vec<u64>,
    /// How many calls there were.
    calls: u64,
    /// How often each call was made, by its [`identity`]; only counted where something may go wrong.
    attempts: HashMap<u64, u64>,
}

impl Player {
    /// A schedule at its beginning.
    pub fn new(schedule: Schedule) -> Self {
        Self {
            hits: vec![0; schedule.rules.len()],
            schedule,
            ..Self::default()
        }
    }

    /// Plays the same schedule from its beginning.
    pub fn rewind(&mut self) {
        *self = Self::new(std::mem::take(&mut self.schedule));
    }

    /// What goes wrong with the next call.
    pub fn next(&mut self, call: &Call) -> Wrong {
        self.calls += 1;
        let mut wrong = Wrong::default();
        if self.schedule.rules.is_empty() {
            return wrong;
        }
        let identity = identity(call);
        let attempt = self.attempts.entry(identity).or_default();
        *attempt += 1;
        for (index, rule) in self.schedule.rules.iter().enumerate() {
            let chance = || chance(self.schedule.seed, index as u64, identity, *attempt);
            if !rule.is_meant(call, self.calls)
                || rule.times.is_some_and(|times| self.hits[index] >= times)
                || rule.probability < 1.0 && chance() >= rule.probability
            {
                continue;
            }
            match &rule.fault {
                Fault::Slow { ms } => wrong.delay += Duration::from_millis(*ms),
                Fault::Refuse { ms } => wrong.refuse += Duration::from_millis(*ms),
                fault if wrong.fault.is_none() => wrong.fault = Some(fault.clone()),
                _ => continue,
            }
            self.hits[index] += 1;
        }
        wrong
    }

    /// How often each rule hit, in their order.
    pub fn hits(&self) -> &[u64] {
        &self.hits
    }
}

/// What makes two calls the same call, tried again.
fn identity(call: &Call) -> u64 {
    let mut hasher = blake3::Hasher::new();
    hasher.update(&[call.kind() as u8]);
    for text in [call.code(), call.contact()] {
        hasher.update(&(text.len() as u64).to_le_bytes());
        hasher.update(text.as_bytes());
    }
    first_bytes(&hasher)
}

/// A number in [0, 1) that only looks random.
fn chance(seed: u64, rule: u64, identity: u64, attempt: u64) -> f64 {
    let mut hasher = blake3::Hasher::new();
    for number in [seed, rule, identity, attempt] {
        hasher.update(&number.to_le_bytes());
    }
    // 53 bits are what an f64 holds exactly.
    (first_bytes(&hasher) >> 11) as f64 / (1_u64 << 53) as f64
}

fn first_bytes(hasher: &blake3::Hasher) -> u64 {
    let mut first = [0; 8];
    first.copy_from_slice(&hasher.finalize().as_bytes()[..8]);
    u64::from_le_bytes(first)
}

#[cfg(test)]
mod tests {
    use super::super::call::Kind;
    use super::*;

    fn call(contact: &str) -> Call {
        Call::Stop {
            code: "code".to_owned(),
            contact: contact.to_owned(),
        }
    }

    fn player(seed: u64, rules: Vec<Rule>) -> Player {
        Player::new(Schedule { seed, rules })
    }

    fn sometimes(fault: Fault, probability: f64) -> Rule {
        Rule {
            probability,
            ..Rule::always(fault)
        }
    }

    /// What goes wrong with the second attempt of each of 500 calls.
    fn played(seed: u64, backwards: bool) -> Vec<Wrong> {
        let rules = vec![
            sometimes(Fault::ErrorBefore, 0.3),
            sometimes(Fault::Slow { ms: 5 }, 0.5),
        ];
        let mut player = player(seed, rules);
        let mut order: Vec<usize> = (0..500).collect();
        if backwards {
            order.reverse();
        }
        for n in &order {
            player.next(&call(&n.to_string()));
        }
        let mut wrong: Vec<_> = order
            .iter()
            .map(|n| (n, player.next(&call(&n.to_string()))))
            .collect();
        wrong.sort_by_key(|(n, _)| **n);
        wrong.into_iter().map(|(_, wrong)| wrong).collect()
    }

    #[test]
    fn a_seed_gives_the_same_faults_in_any_order_of_arrival() {
        assert_eq!(played(1, false), played(1, true));
        assert_ne!(played(1, false), played(2, false));
    }

    #[test]
    fn a_probability_is_one_for_each_rule_by_itself() {
        let wrong = played(7, false);
        let count = |is: fn(&Wrong) -> bool| wrong.iter().filter(|w| is(w)).count();
        assert!((110..190).contains(&count(|w| w.fault.is_some())));
        assert!((200..300).contains(&count(|w| !w.delay.is_zero())));
        assert!((45..105).contains(&count(|w| w.fault.is_some() && !w.delay.is_zero())));
    }

    #[test]
    fn a_rule_can_be_narrowed_to_calls() {
        let html = || Rule::always(Fault::Html);
        let contact = |text: &str| Some(text.to_owned());
        for (rule, hit) in [
            (html(), [true, true, true, true]),
            (
                Rule {
                    contact: contact("b"),
                    ..html()
                },
                [false, true, false, false],
            ),
            (
                Rule {
                    contact: contact("b*"),
                    ..html()
                },
                [false, true, true, false],
            ),
            (
                Rule {
                    calls: vec![1, 4],
                    ..html()
                },
                [true, false, false, true],
            ),
            (
                Rule {
                    from: Some(2),
                    to: Some(3),
                    ..html()
                },
                [false, true, true, false],
            ),
            (
                Rule {
                    times: Some(2),
                    ..html()
                },
                [true, true, false, false],
            ),
            (
                Rule {
                    kind: Some(Kind::Trigger),
                    ..html()
                },
                [false; 4],
            ),
            (
                Rule {
                    code: contact("other"),
                    ..html()
                },
                [false; 4],
            ),
        ] {
            let mut player = player(0, vec![rule.clone()]);
            let hits = ["a", "b", "bc", "a"].map(|c| player.next(&call(c)).fault.is_some());
            assert_eq!(hits, hit, "{rule:?}");
        }
    }

    #[test]
    fn of_several_faults_the_first_counts_and_delays_add_up() {
        let mut player = player(
            0,
            vec![
                Rule::always(Fault::Slow { ms: 5 }),
                Rule::always(Fault::Cut),
                Rule::always(Fault::Html),
                Rule::always(Fault::Refuse { ms: 9 }),
                Rule::always(Fault::Slow { ms: 6 }),
            ],
        );
        let wrong = Wrong {
            delay: Duration::from_millis(11),
            refuse: Duration::from_millis(9),
            fault: Some(Fault::Cut),
        };
        assert_eq!(player.next(&call("a")), wrong);
        assert_eq!(player.hits(), [1, 1, 0, 1, 1]);
    }

    #[test]
    fn a_schedule_is_read_from_toml_and_from_json() {
        let toml =
            "seed = 7\n[[rule]]\nfault = \"limit\"\nretry_after = \"date:2\"\nprobability = 0.05\n";
        let json =
            r#"{"seed":7,"rules":[{"fault":"limit","retry_after":"date:2","probability":0.05}]}"#;
        let read: Schedule = toml::from_str(toml).unwrap();
        assert_eq!(read, serde_json::from_str(json).unwrap());
        for wrong in [
            r#"{"rules":[{"fault":"flood"}]}"#,
            r#"{"rules":[{"fault":"cut","probability":1.5}]}"#,
            r#"{"rules":[{"fault":"cut","kind":"letter"}]}"#,
            r#"{"rules":[{"fault":"cut","probabilty":0.5}]}"#,
            r#"{"rules":[{"fault":"cut","ms":5}]}"#,
            r#"{"rules":[{"fault":"cut","retry_after":"5"}]}"#,
            r#"{"rules":[{"fault":"slow"}]}"#,
            r#"{"rules":[{}]}"#,
            r#"{"role":[]}"#,
        ] {
            assert!(serde_json::from_str::<Schedule>(wrong).is_err(), "{wrong}");
        }
    }
}
