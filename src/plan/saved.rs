//! A plan in a file: what is needed to apply exactly that, or nothing.
//!
//! The file is the document of `plan --format json` with one part more. It holds no field values, only digests. To apply
//! it, the plan is made again for the same moment and must come out the same, to the byte: so what was reviewed is what
//! is done, and nobody can write into the file what the configuration does not say.

use std::fmt;
use std::io::BufRead;
use std::marker::PhantomData;

use jiff::Timestamp;
use serde::Deserialize;
use serde::de::{self, SeqAccess, Visitor};

use super::Filter;
use crate::id::{self, AutomationName, ContactId};

/// The version of the document that is written, and the newest that is read.
pub const FORMAT_VERSION: u32 = 1;

/// The largest file that is read, in bytes: room for some ten million actions.
pub const LARGEST: u64 = 2 << 30;

/// What a saved plan says besides its actions.
#[derive(Debug, Clone)]
pub struct SavedPlan {
    /// Its id: a plan is applied once.
    pub id: String,
    /// The version of Rollcall that saved it.
    pub rollcall: String,
    /// When it was saved.
    pub saved_at: Timestamp,
    /// The time that it was made for.
    pub now: Timestamp,
    /// The digest of the configuration that it was made from.
    pub config_digest: String,
    /// The digest of all enrolments that it was made from.
    pub roster_digest: String,
    /// What tells the record that it was made from; `None` where there was none yet.
    pub record: Option<String>,
    /// The serial number of that record.
    pub record_serial: u64,
    /// What spoke against that record where the plan was made; where it is applied that may be another thing.
    pub problems: Vec<String>,
    /// What part of the whole it is.
    pub filter: Filter,
}

/// Why a file is no saved plan that can be applied.
#[derive(Debug, thiserror::Error)]
pub enum SavedError {
    /// It was written by a newer Rollcall.
    #[error(
        "It was saved by a newer Rollcall (format {found}; this one knows {FORMAT_VERSION}). Upgrade this Rollcall, or plan \
         again with it."
    )]
    Newer {
        /// Its format version.
        found: u64,
    },
    /// It is the output of `plan --format json`.
    #[error(
        "It is the output of a plan, without what an apply needs. Save one with `rollcall plan --out FILE`."
    )]
    OnlyShown,
    /// It is damaged, or something else.
    #[error(
        "It is damaged, or not a saved plan: {what}. Save a new one with `rollcall plan --out FILE`."
    )]
    Damaged {
        /// What is wrong, and where.
        what: String,
    },
    /// It is larger than [`LARGEST`].
    #[error("It is larger than {LARGEST} bytes, which is too large for a saved plan.")]
    TooLarge,
    /// It cannot be read.
    #[error("It cannot be read: {0}. Save one with `rollcall plan --out FILE`.")]
    Io(#[from] std::io::Error),
}

/// Why a saved plan is not applied: things are no longer as they were when it was saved.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Stale {
    /// It was applied.
    #[error(
        "It was applied at {}, and a plan is applied once. Plan again to see what is left to do.",
        at.strftime("%Y-%m-%dT%H:%M:%SZ")
    )]
    Applied {
        /// When.
        at: Timestamp,
    },
    /// The record is another one.
    #[error(
        "It was made from another record than the one that the configuration names. Check `[record] url`, and that this is the \
         machine and the folder of the plan."
    )]
    OtherRecord,
    /// The configuration has changed.
    #[error(
        "The configuration has changed since it was saved (digest {then} then, {now} now). Plan again, and review the new plan."
    )]
    Configuration {
        /// The digest then.
        then: String,
        /// The digest now.
        now: String,
    },
    /// The record has changed.
    #[error(
        "The record has changed since it was saved (serial {then} then, {now} now): something was applied, adopted, resolved \
         or forgotten, or a run that was cut short was found. Plan again, and review the new plan."
    )]
    Record {
        /// The serial then.
        then: u64,
        /// The serial now.
        now: u64,
    },
    /// The roster has changed.
    #[error(
        "The roster has changed since it was saved: a source has other rows now, or they give other fields. Plan again, and \
         review the new plan."
    )]
    Roster,
    /// Time has passed that makes a difference.
    #[error(
        "It was made for {}, and not all of it would be done at this time, {}: somebody is no longer declared by then, is held, \
         or waits for a limit. Plan again, and review the new plan.",
        then.strftime("%Y-%m-%dT%H:%M:%SZ"), now.strftime("%Y-%m-%dT%H:%M:%SZ")
    )]
    Time {
        /// The time that it was made for.
        then: Timestamp,
        /// The time now.
        now: Timestamp,
    },
    /// The plan that is made now is not the one in the file.
    #[error(
        "It is not the plan that this configuration, record and roster give: the file was changed by hand or on its way, or \
         another version of Rollcall saved it ({saved}; this is {this}). Plan again, and review the new plan."
    )]
    Differs {
        /// The version that saved it.
        saved: String,
        /// This version.
        this: &'static str,
    },
}

/// What a saved plan is held against.
#[derive(Debug, Clone)]
pub struct Basis<'a> {
    /// The digest of the configuration.
    pub config_digest: String,
    /// What tells the record; `None` where there is none yet.
    pub record: Option<&'a str>,
    /// The record's serial.
    pub record_serial: u64,
    /// When the record says that this plan was applied.
    pub applied_at: Option<Timestamp>,
}

impl SavedPlan {
    /// Whether things are as they were when it was saved, as far as that is known before the sources are read.
    ///
    /// # Errors
    /// What has changed.
    pub fn check(&self, basis: &Basis<'_>) -> Result<(), Stale> {
        if let Some(at) = basis.applied_at {
            return Err(Stale::Applied { at });
        }
        // Where there was no record, one that holds nothing is what the lock has made since.
        let is_new = self.record.is_none() && basis.record_serial == 0;
        if self.record.as_deref() != basis.record && !is_new {
            return Err(match (&self.record, basis.record) {
                (None, Some(_)) => Stale::Record {
                    then: self.record_serial,
                    now: basis.record_serial,
                },
                _ => Stale::OtherRecord,
            });
        }
        if self.config_digest != basis.config_digest {
            return Err(Stale::Configuration {
                then: self.config_digest.clone(),
                now: basis.config_digest.clone(),
            });
        }
        if self.record_serial != basis.record_serial {
            return Err(Stale::Record {
                then: self.record_serial,
                now: basis.record_serial,
            });
        }
        Ok(())
    }
}

/// Reads a saved plan: the whole document, strictly, and keeps what [`SavedPlan`] holds.
///
/// # Errors
/// What is wrong with it, and where.
pub fn parse(mut from: impl BufRead) -> Result<SavedPlan, SavedError> {
    // A newer document may have keys that are not known here, so its version is looked at first: it stands at the start.
    let start = from.fill_buf().map_err(SavedError::Io)?;
    if let Some(found) = version(start).filter(|found| *found > u64::from(FORMAT_VERSION)) {
        return Err(SavedError::Newer { found });
    }
    let mut reader = serde_json::Deserializer::from_reader(from);
    let document = Document::deserialize(&mut reader).and_then(|document| {
        reader.end()?;
        Ok(document)
    });
    let document = document.map_err(|error| match error.is_io() {
        true => SavedError::Io(error.into()),
        false => SavedError::Damaged {
            what: fault(&error),
        },
    })?;
    let saved = document.saved.ok_or(SavedError::OnlyShown)?;
    if document.format_version != FORMAT_VERSION {
        return Err(SavedError::Damaged {
            what: format!("there is no format {}", document.format_version),
        });
    }
    let counted = document.summary.trigger.checked_add(document.summary.stop);
    if counted != Some(document.actions.count) {
        return Err(SavedError::Damaged {
            what: format!(
                "it holds {} actions, and its summary has another number",
                document.actions.count
            ),
        });
    }
    Ok(SavedPlan {
        id: saved.plan.0,
        rollcall: saved.rollcall.0,
        saved_at: saved.saved_at,
        now: document.now,
        config_digest: document.config_digest.0,
        roster_digest: saved.roster_digest.0,
        record: saved.record.map(|record| record.0),
        record_serial: document.record_serial,
        problems: document.record.problems,
        filter: Filter {
            automation: saved.automation.map(|name| name.0),
            contact: saved.contact.map(|contact| contact.0),
        },
    })
}

/// What is wrong with a document. What it holds instead is not repeated: it may be a file of people by mistake.
fn fault(error: &serde_json::Error) -> String {
    match error.is_data() {
        false => error.to_string(),
        true => format!(
            "line {} column {} has something that does not belong in a saved plan",
            error.line(),
            error.column()
        ),
    }
}

/// The number behind `{ "format_version":` at the start of a document.
fn version(start: &[u8]) -> Option<u64> {
    let trim = |text: &[u8]| text.trim_ascii_start().to_vec();
    let rest = trim(start.get(..64.min(start.len()))?);
    let rest = trim(rest.strip_prefix(b"{")?);
    let rest = trim(rest.strip_prefix(b"\"format_version\"")?);
    let rest = trim(rest.strip_prefix(b":")?);
    let digits = rest.iter().take_while(|byte| byte.is_ascii_digit()).count();
    std::str::from_utf8(&rest[..digits]).ok()?.parse().ok()
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Document {
    format_version: u32,
    config_digest: Hex,
    record_serial: u64,
    now: Timestamp,
    saved: Option<Saved>,
    #[serde(default)]
    record: Record,
    actions: Rows<Action>,
    #[serde(default, rename = "deferred")]
    _deferred: Rows<Deferred>,
    #[serde(rename = "held")]
    _held: Rows<Held>,
    #[serde(default, rename = "let_go")]
    _let_go: Rows<Held>,
    #[serde(default, rename = "moved")]
    _moved: Rows<Moved>,
    #[serde(default, rename = "merged")]
    _merged: Rows<Merged>,
    summary: Summary,
    #[serde(rename = "guard")]
    _guard: Guard,
}

#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields)]
struct Record {
    #[serde(rename = "id")]
    _id: Option<Hex>,
    problems: Vec<String>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Saved {
    plan: Hex,
    rollcall: Text,
    saved_at: Timestamp,
    record: Option<Hex>,
    roster_digest: Hex,
    automation: Option<Automation>,
    contact: Option<Contact>,
}

#[derive(Deserialize)]
#[serde(rename_all = "lowercase")]
enum Kind {
    Stop,
    Trigger,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Action {
    #[serde(rename = "action")]
    _action: Kind,
    #[serde(rename = "automation")]
    _automation: Text,
    #[serde(rename = "contact")]
    _contact: Text,
    #[serde(rename = "occurrence")]
    _occurrence: Option<Text>,
    #[serde(rename = "reason")]
    _reason: String,
    #[serde(rename = "declared_at")]
    _declared_at: Option<String>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Deferred {
    #[serde(rename = "automation")]
    _automation: Text,
    #[serde(rename = "contact")]
    _contact: Text,
    #[serde(rename = "occurrence")]
    _occurrence: Option<Text>,
    #[serde(rename = "reason")]
    _reason: String,
    #[serde(rename = "until")]
    _until: Option<Timestamp>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Held {
    #[serde(rename = "automation")]
    _automation: Text,
    #[serde(rename = "contact")]
    _contact: Text,
    #[serde(rename = "occurrence")]
    _occurrence: Option<Text>,
    #[serde(rename = "state")]
    _state: Text,
    #[serde(rename = "reason")]
    _reason: String,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Moved {
    #[serde(rename = "from")]
    _from: Text,
    #[serde(rename = "to")]
    _to: Text,
    #[serde(rename = "participations")]
    _participations: u64,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Merged {
    #[serde(rename = "from")]
    _from: Contact,
    #[serde(rename = "to")]
    _to: Contact,
    #[serde(rename = "participations")]
    _participations: u64,
}

#[derive(Deserialize)]
struct Summary {
    trigger: u64,
    stop: u64,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Guard {
    #[serde(rename = "refused")]
    _refused: bool,
    #[serde(rename = "reasons")]
    _reasons: Vec<String>,
}

/// A text that follows the rule for ids and names.
struct Text(String);

/// A digest or an id: hexadecimal digits and dashes.
struct Hex(String);

struct Automation(AutomationName);

struct Contact(ContactId);

macro_rules! checked {
    ($name:ident, |$text:ident| $check:expr) => {
        impl<'de> Deserialize<'de> for $name {
            fn deserialize<D: de::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                let $text = String::deserialize(deserializer)?;
                $check.map($name).map_err(de::Error::custom)
            }
        }
    };
}

checked!(Text, |text| id::check(&text).map(|()| text));
checked!(Automation, |text| AutomationName::recorded(text));
checked!(Contact, |text| ContactId::recorded(text));
checked!(Hex, |text| {
    let is_hex = |b: u8| b.is_ascii_hexdigit() || b == b'-';
    match (1..=64).contains(&text.len()) && text.bytes().all(is_hex) {
        true => Ok(text),
        false => Err("a digest or an id is not valid"),
    }
});

/// A list of which nothing is kept but how long it is.
struct Rows<T> {
    count: u64,
    of: PhantomData<T>,
}

impl<T> Default for Rows<T> {
    fn default() -> Self {
        Self {
            count: 0,
            of: PhantomData,
        }
    }
}

impl<'de, T: Deserialize<'de>> Deserialize<'de> for Rows<T> {
    fn deserialize<D: de::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_seq(Self::default())
    }
}

impl<'de, T: Deserialize<'de>> Visitor<'de> for Rows<T> {
    type Value = Self;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a list")
    }

    fn visit_seq<A: SeqAccess<'de>>(mut self, mut list: A) -> Result<Self, A::Error> {
        while list.next_element::<T>()?.is_some() {
            self.count += 1;
        }
        Ok(self)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const WHOLE: &str = r#"{ "format_version": 1,
  "config_digest": "0a", "record_serial": 17, "now": "2026-11-23T09:00:00Z",
  "saved": { "plan": "0b", "rollcall": "0.1.0", "saved_at": "2026-11-23T09:00:01Z", "record": "0c", "roster_digest": "0d", "automation": null, "contact": "crm-1" },
  "actions": [
    {"action":"stop","automation":"a","contact":"crm-1","occurrence":null,"reason":"gone","declared_at":null} ],
  "held": [],
  "summary": {"trigger":0,"stop":1,"held":0,"unchanged":3},
  "guard": {"refused":false,"reasons":[]} }
"#;

    fn failure(text: &str) -> String {
        parse(text.as_bytes()).unwrap_err().to_string()
    }

    #[test]
    fn a_whole_one_is_read() {
        let saved = parse(WHOLE.as_bytes()).unwrap();
        assert_eq!((saved.id.as_str(), saved.record_serial), ("0b", 17));
        assert_eq!(saved.filter.contact, ContactId::new("crm-1").ok());
        assert_eq!(saved.filter.automation, None);
    }

    #[test]
    fn one_that_was_cut_short_or_changed_anywhere_is_refused() {
        for end in 0..WHOLE.trim_end().len() {
            assert!(parse(&WHOLE.as_bytes()[..end]).is_err(), "cut at {end}");
        }
        for (from, to) in [
            ("\"held\": []", "\"held\": [], \"held\": []"),
            ("\"held\": [],", ""),
            ("\"stop\",", "\"erase\","),
            ("\"contact\":\"crm-1\"", "\"contact\":\"crm-1 \""),
            ("\"stop\":1", "\"stop\":2"),
            (
                "\"reason\":\"gone\"",
                "\"reason\":\"gone\",\"outcome\":\"active\"",
            ),
            ("\"0d\"", "\"0d<script>\""),
            ("\"record_serial\": 17", "\"record_serial\": -1"),
            (" }\n", " } {}\n"),
        ] {
            let text = WHOLE.replacen(from, to, 1);
            assert_ne!(text, WHOLE, "{from}");
            assert!(failure(&text).starts_with("It is damaged"), "{text}");
        }
    }

    #[test]
    fn what_stands_in_a_file_of_people_is_not_shown() {
        for text in [
            r#"{"format_version": "Jan Jansen"}"#,
            r#"{"Jan Jansen": 1}"#,
            r#"["Jan Jansen"]"#,
            "Jan Jansen",
        ] {
            assert!(!failure(text).contains("Jan"), "{}", failure(text));
        }
    }

    #[test]
    fn one_of_a_newer_format_says_so_whatever_else_it_holds() {
        let newer = WHOLE.replace(
            "\"format_version\": 1",
            "\"format_version\": 2, \"new\": {}",
        );
        assert!(failure(&newer).contains("newer Rollcall (format 2;"));
    }

    #[test]
    fn what_plan_shows_cannot_be_applied() {
        let line = WHOLE.lines().nth(2).unwrap();
        let shown = WHOLE.replace(line, "");
        assert!(failure(&shown).contains("plan --out FILE"));
        assert!(matches!(
            parse(shown.as_bytes()),
            Err(SavedError::OnlyShown)
        ));
    }

    fn basis(saved: &SavedPlan) -> Basis<'_> {
        Basis {
            config_digest: saved.config_digest.clone(),
            record: saved.record.as_deref(),
            record_serial: saved.record_serial,
            applied_at: None,
        }
    }

    #[test]
    fn everything_that_it_rests_on_is_compared() {
        let saved = parse(WHOLE.as_bytes()).unwrap();
        assert_eq!(saved.check(&basis(&saved)), Ok(()));
        let changed = |change: fn(&mut Basis<'_>)| {
            let mut basis = basis(&saved);
            change(&mut basis);
            saved.check(&basis).unwrap_err()
        };
        assert!(matches!(
            changed(|basis| basis.applied_at = Some(Timestamp::UNIX_EPOCH)),
            Stale::Applied { .. }
        ));
        assert_eq!(
            changed(|basis| basis.record = Some("0e")),
            Stale::OtherRecord
        );
        assert_eq!(changed(|basis| basis.record = None), Stale::OtherRecord);
        assert!(matches!(
            changed(|basis| basis.config_digest.push('0')),
            Stale::Configuration { .. }
        ));
        assert_eq!(
            changed(|basis| basis.record_serial += 1),
            Stale::Record { then: 17, now: 18 }
        );
    }

    #[test]
    fn one_that_was_made_without_a_record_is_applied_to_an_empty_one_only() {
        let mut saved = parse(WHOLE.as_bytes()).unwrap();
        saved.record = None;
        saved.record_serial = 0;
        let at = |record, record_serial| Basis {
            record,
            record_serial,
            ..basis(&saved)
        };
        assert_eq!(saved.check(&at(None, 0)), Ok(()));
        assert_eq!(saved.check(&at(Some("0f"), 0)), Ok(()));
        assert_eq!(
            saved.check(&at(Some("0f"), 1)),
            Err(Stale::Record { then: 0, now: 1 })
        );
    }
}
