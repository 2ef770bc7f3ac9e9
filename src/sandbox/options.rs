//! What a sandbox is started with: credentials, automations, contacts.

use std::collections::HashSet;
use std::fmt;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::PathBuf;
use std::str::FromStr;
use std::time::Duration;

use secrecy::SecretString;
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::faults::Rule;

/// The consumer key of a sandbox that is not told another one.
pub const SANDBOX_KEY: &str = "sandbox";

/// The consumer secret of a sandbox that is not told another one. It opens nothing else, so it is no secret.
pub const SANDBOX_SECRET: &str = "sandbox";

/// How a sandbox is to be started.
pub struct Options {
    /// Where it listens. It must be an address of the loopback interface; port 0 picks a free one.
    pub listen: SocketAddr,
    /// What can be triggered. Where there is nothing, every code that may stand in a URL starts an automation that is
    /// active and unlimited.
    pub triggers: Vec<Trigger>,
    /// The trigger codes whose automations are inactive, whatever `triggers` says.
    pub inactive: Vec<String>,
    /// The contacts that it does not know; one that ends in `*` stands for all that begin so. All others it knows.
    pub unknown_contacts: Vec<String>,
    /// The consumer key that it accepts.
    pub key: String,
    /// Its secret.
    pub secret: String,
    /// The file that it keeps its memory in; without one, it forgets everything at its end.
    pub memory: Option<PathBuf>,
    /// How many ids it passes over where it remembers nothing: so many may have been given by one whose memory is lost.
    pub given: u64,
    /// What goes wrong.
    pub faults: Vec<Rule>,
    /// What decides when it does.
    pub seed: u64,
    /// How far a request's timestamp may be from the clock.
    pub tolerance: Duration,
}

impl Default for Options {
    /// A sandbox on a free port, with the built-in credentials, that takes every code and forgets everything.
    fn default() -> Self {
        Self {
            listen: SocketAddr::from((Ipv4Addr::LOCALHOST, 0)),
            triggers: Vec::new(),
            inactive: Vec::new(),
            unknown_contacts: Vec::new(),
            key: SANDBOX_KEY.to_owned(),
            secret: SANDBOX_SECRET.to_owned(),
            memory: None,
            given: 0,
            faults: Vec::new(),
            seed: 0,
            tolerance: Duration::from_secs(300),
        }
    }
}

/// A consumer key and its secret.
pub(super) struct Credentials {
    pub key: String,
    pub secret: SecretString,
}

impl Credentials {
    /// Credentials from a key and its secret.
    pub fn new(key: impl Into<String>, secret: impl Into<String>) -> Self {
        Self {
            key: key.into(),
            secret: SecretString::from(secret.into()),
        }
    }
}

/// A trigger code, and the published automations that it starts.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Trigger {
    /// The automation's name in Spotler.
    pub name: String,
    /// The code.
    pub code: String,
    /// What the code starts; one active, unlimited publication where nothing is said.
    #[serde(default = "one_publication")]
    pub publications: Vec<Publication>,
}

impl Trigger {
    /// A trigger code that starts one active publication.
    pub fn new(name: impl Into<String>, code: impl Into<String>, setting: Setting) -> Self {
        Self {
            name: name.into(),
            code: code.into(),
            publications: vec![Publication {
                setting,
                ..Publication::default()
            }],
        }
    }

    /// The `automationId` of the publication at an index.
    pub(super) fn id(&self, index: usize) -> String {
        match self.publications.get(index).and_then(|p| p.id.clone()) {
            Some(id) => id,
            None => {
                let hash = blake3::hash(format!("{}/{index}", self.code).as_bytes());
                let mut bytes = [0; 16];
                bytes.copy_from_slice(&hash.as_bytes()[..16]);
                let id: Uuid = uuid::Builder::from_custom_bytes(bytes).into_uuid();
                id.to_string()
            }
        }
    }
}

fn one_publication() -> Vec<Publication> {
    vec![Publication::default()]
}

/// A published automation.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Publication {
    /// Its `automationId`; made from the trigger code where not given.
    pub id: Option<String>,
    /// Whether it takes participants.
    pub active: bool,
    /// How often a contact may take part.
    pub setting: Setting,
}

impl Default for Publication {
    fn default() -> Self {
        Self {
            id: None,
            active: true,
            setting: Setting::Unlimited,
        }
    }
}

/// How often a contact may take part in a publication, as set in Spotler's Publisher.
///
/// As text: `unlimited`, `waiting:3` (months), `once-while-running`, `once`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub enum Setting {
    /// Always again.
    #[default]
    Unlimited,
    /// Again when so many months have passed since the last start.
    Waiting(u16),
    /// Again when all steps were passed, or the last participation was stopped.
    OnceWhileRunning,
    /// Never again.
    Once,
}

impl fmt::Display for Setting {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Setting::Unlimited => f.write_str("unlimited"),
            Setting::Waiting(months) => write!(f, "waiting:{months}"),
            Setting::OnceWhileRunning => f.write_str("once-while-running"),
            Setting::Once => f.write_str("once"),
        }
    }
}

/// A text that names no [`Setting`].
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "`{0}` is not a participation setting. Write `unlimited`, `waiting:3` (months), `once-while-running` or `once`."
)]
pub struct UnknownSetting(String);

impl FromStr for Setting {
    type Err = UnknownSetting;

    fn from_str(text: &str) -> Result<Self, UnknownSetting> {
        match text {
            "unlimited" => Ok(Setting::Unlimited),
            "once-while-running" => Ok(Setting::OnceWhileRunning),
            "once" => Ok(Setting::Once),
            _ => text
                .strip_prefix("waiting:")
                .and_then(|months| months.parse().ok())
                .map(Setting::Waiting)
                .ok_or_else(|| UnknownSetting(text.to_owned())),
        }
    }
}

impl TryFrom<String> for Setting {
    type Error = UnknownSetting;

    fn try_from(text: String) -> Result<Self, UnknownSetting> {
        text.parse()
    }
}

impl From<Setting> for String {
    fn from(setting: Setting) -> Self {
        setting.to_string()
    }
}

/// Contacts by id, or by how their ids begin.
#[derive(Debug, Default)]
pub(super) struct Contacts {
    exact: HashSet<String>,
    prefixes: Vec<String>,
}

impl Contacts {
    /// Reads each pattern: an id, or the beginning of ids followed by `*`.
    pub fn new(patterns: Vec<String>) -> Self {
        let mut contacts = Self::default();
        for mut pattern in patterns {
            if pattern.ends_with('*') {
                pattern.pop();
                contacts.prefixes.push(pattern);
            } else {
                contacts.exact.insert(pattern);
            }
        }
        contacts
    }

    /// Whether a contact is one of them.
    pub fn contains(&self, contact: &str) -> bool {
        self.exact.contains(contact) || self.prefixes.iter().any(|p| contact.starts_with(p))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_participation_setting_reads_back() {
        for setting in [
            Setting::Unlimited,
            Setting::Waiting(3),
            Setting::OnceWhileRunning,
            Setting::Once,
        ] {
            assert_eq!(setting.to_string().parse(), Ok(setting));
        }
        assert!("twice".parse::<Setting>().is_err());
        assert!("waiting:soon".parse::<Setting>().is_err());
    }

    #[test]
    fn contacts_go_by_id_or_by_beginning() {
        let contacts = Contacts::new(vec!["crm-1".to_owned(), "test-*".to_owned()]);
        assert!(contacts.contains("crm-1"));
        assert!(contacts.contains("test-77"));
        assert!(!contacts.contains("crm-10"));
    }

    #[test]
    fn an_automation_without_ids_always_gets_the_same_ones() {
        let trigger = Trigger::new("Customers", "abc", Setting::Once);
        assert_eq!(trigger.id(0), trigger.id(0));
        assert_ne!(trigger.id(0), trigger.id(1));
        assert!(Uuid::parse_str(&trigger.id(0)).is_ok());
    }
}
