//! Identifiers. Each is a type of its own, checked once where it enters, so that a contact can never
//! be passed for an automation and nothing inside has to check again.

mod folded;
mod record;

use std::cmp::Ordering;
use std::fmt;
use std::hash::{Hash, Hasher};
use std::sync::Arc;

pub use folded::{folded, tail};
pub use record::RecordId;

use crate::text::{SafeText, is_unseen};

/// Why a text cannot be an identifier.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum IdError {
    /// The text is empty.
    #[error("it is empty")]
    Empty,
    /// The text begins or ends with white space.
    #[error("it has white space at its start or end")]
    Padded,
    /// The text holds a control character.
    #[error("it holds the control character U+{0:04X}")]
    Control(u32),
    /// The text holds a character that cannot be seen for what it is.
    #[error("it holds U+{0:04X}, which cannot be seen")]
    Unseen(u32),
    /// The text is longer than [`MAX_LEN`] bytes.
    #[error("it is {0} bytes long; at most {MAX_LEN} are allowed")]
    TooLong(usize),
    /// A trigger code or participation id holds a character that may not stand in a URL path.
    #[error("it holds `{0}`; letters, digits, `-`, `_` and `.` are allowed")]
    Unsafe(char),
}

/// The longest identifier, in bytes.
pub const MAX_LEN: usize = 1024;

/// Checks the rule for all ids and names of a configuration and its sources: not empty, no white space at the ends, and
/// nothing that [cannot be seen](is_unseen).
pub fn check(text: &str) -> Result<(), IdError> {
    check_recorded(text)?;
    // Nearly every id is plain ASCII.
    match text.is_ascii() {
        true => Ok(()),
        false => text
            .chars()
            .find(|c| is_unseen(*c))
            .map_or(Ok(()), |c| Err(IdError::Unseen(c as u32))),
    }
}

/// Checks an id that is on record. An older Rollcall took some that are refused now; who has one is still to be stopped.
fn check_recorded(text: &str) -> Result<(), IdError> {
    if text.is_empty() {
        return Err(IdError::Empty);
    }
    if text.len() > MAX_LEN {
        return Err(IdError::TooLong(text.len()));
    }
    // This keeps the common case to one pass over its bytes.
    if text.bytes().all(|b| (0x21..0x7f).contains(&b)) {
        return Ok(());
    }
    if let Some(c) = text.chars().find(|c| c.is_control()) {
        return Err(IdError::Control(c as u32));
    }
    if text.starts_with(char::is_whitespace) || text.ends_with(char::is_whitespace) {
        return Err(IdError::Padded);
    }
    Ok(())
}

fn check_path_safe(text: &str) -> Result<(), IdError> {
    check(text)?;
    match text
        .chars()
        .find(|c| !(c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.')))
    {
        Some(c) => Err(IdError::Unsafe(c)),
        // Two dots would climb in the URL path.
        None if text == "." || text == ".." => Err(IdError::Unsafe('.')),
        None => Ok(()),
    }
}

/// What is percent-encoded where it stands in a URL path, and even so must not climb in it: a server may decode it first.
fn check_no_climb(text: &str) -> Result<(), IdError> {
    check(text)?;
    match text
        .split(['/', '\\'])
        .any(|part| matches!(part, "." | ".."))
    {
        true => Err(IdError::Unsafe('.')),
        false => Ok(()),
    }
}

/// An identifier whose writings are compared byte by byte.
macro_rules! id {
    ($(#[$doc:meta])* $name:ident, $check:path) => {
        text!(
            $(#[$doc])*
            #[derive(PartialEq, Eq, PartialOrd, Ord, Hash)]
            $name,
            $check
        );

        impl std::borrow::Borrow<str> for $name {
            fn borrow(&self) -> &str {
                &self.0
            }
        }
    };
}

/// A checked text. How two of them are compared is for its user to say.
macro_rules! text {
    ($(#[$attribute:meta])* $name:ident, $check:path) => {
        $(#[$attribute])*
        #[derive(Clone)]
        pub struct $name(Arc<str>);

        impl $name {
            /// Checks a text and takes it as an identifier.
            ///
            /// # Errors
            /// An [`IdError`] that says what is wrong with the text.
            pub fn new(text: impl AsRef<str>) -> Result<Self, IdError> {
                let text = text.as_ref();
                $check(text)?;
                Ok(Self(Arc::from(text)))
            }

            /// A copy with a text of its own. Threads that share one wait for each other wherever they count who holds it.
            pub fn own(&self) -> Self {
                Self(Arc::from(self.as_str()))
            }

            /// The identifier as text.
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                match self.0.is_ascii() {
                    true => f.pad(&self.0),
                    false => f.pad(&SafeText(&self.0).to_string()),
                }
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, "{:?}", &*self.0)
            }
        }

        impl AsRef<str> for $name {
            fn as_ref(&self) -> &str {
                &self.0
            }
        }

        impl serde::Serialize for $name {
            fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                serializer.serialize_str(&self.0)
            }
        }
    };
}

id!(
    /// A person, by the `externalContactId` that Spotler knows them by.
    ContactId,
    check
);
id!(
    /// An automation's name in the configuration.
    AutomationName,
    check
);
id!(
    /// What tells several participations of one contact in one repeating automation apart, such as an order number.
    Occurrence,
    check
);
text!(
    /// The code of an automation's external trigger; a UUID according to the vendor's API description, which is not
    /// relied upon. It stands in a URL path.
    ///
    /// Two codes that differ in case alone are one: a stop by the one reaches what was triggered by the other. It is
    /// shown and sent as it was written.
    TriggerCode,
    check_path_safe
);

impl TriggerCode {
    fn lower(&self) -> impl Iterator<Item = u8> {
        self.0.bytes().map(|byte| byte.to_ascii_lowercase())
    }
}

impl PartialEq for TriggerCode {
    fn eq(&self, other: &Self) -> bool {
        self.0.eq_ignore_ascii_case(&other.0)
    }
}

impl Eq for TriggerCode {}

impl Ord for TriggerCode {
    fn cmp(&self, other: &Self) -> Ordering {
        self.lower().cmp(other.lower())
    }
}

impl PartialOrd for TriggerCode {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl Hash for TriggerCode {
    fn hash<H: Hasher>(&self, state: &mut H) {
        // In pieces: byte by byte would cost many times as much.
        for piece in self.0.as_bytes().chunks(64) {
            let mut lower = [0; 64];
            let lower = &mut lower[..piece.len()];
            lower.copy_from_slice(piece);
            lower.make_ascii_lowercase();
            state.write(lower);
        }
        // Ends the text, as that of `str` does.
        state.write_u8(0xff);
    }
}
id!(
    /// The `automationContactId` that Spotler gave to one participation, of whatever letters; it is percent-encoded where
    /// it stands in a URL path.
    ParticipationId,
    check_no_climb
);

macro_rules! recorded {
    ($($name:ident),+) => {$(
        impl $name {
            /// Takes an identifier as a record has it, which may be of an older Rollcall.
            ///
            /// # Errors
            /// An [`IdError`] that says what is wrong with the text.
            pub fn recorded(text: impl AsRef<str>) -> Result<Self, IdError> {
                let text = text.as_ref();
                check_recorded(text)?;
                Ok(Self(Arc::from(text)))
            }
        }
    )+};
}

recorded!(ContactId, AutomationName, Occurrence);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_of_any_language_are_taken() {
        for id in ["crm-1", "klant 12", "Ólafur/ß", "名前", "a\u{301}", "👩"] {
            assert!(ContactId::new(id).is_ok(), "{id}");
        }
    }

    #[test]
    fn padded_empty_and_control_ids_are_refused() {
        assert_eq!(ContactId::new(""), Err(IdError::Empty));
        assert_eq!(ContactId::new(" a"), Err(IdError::Padded));
        assert_eq!(ContactId::new("a\u{a0}"), Err(IdError::Padded));
        assert_eq!(ContactId::new("a\tb"), Err(IdError::Control(9)));
        assert_eq!(ContactId::new("a\u{1b}[31m"), Err(IdError::Control(0x1b)));
        for (id, unseen) in [
            ("a\u{202e}b", 0x202e),
            ("00302\u{200b}", 0x200b),
            ("a\u{a0}b", 0xa0),
            ("👩\u{200d}👩", 0x200d),
            ("a\u{e0041}", 0xe0041),
            ("a\u{2800}", 0x2800),
            ("a\u{3164}", 0x3164),
        ] {
            assert_eq!(ContactId::new(id), Err(IdError::Unseen(unseen)), "{id:?}");
            assert!(ContactId::recorded(id).is_ok(), "{id:?}");
        }
        assert_eq!(
            ContactId::new("a".repeat(1025)),
            Err(IdError::TooLong(1025))
        );
    }

    #[test]
    fn trigger_codes_that_differ_in_case_alone_are_one() {
        let [upper, lower, other] =
            ["0B8F-c", "0b8f-C", "0b8f-d"].map(|c| TriggerCode::new(c).unwrap());
        assert_eq!(upper, lower);
        assert_eq!(upper.cmp(&lower), Ordering::Equal);
        assert!(upper < other && upper != other);
        let codes = std::collections::HashSet::from([upper]);
        assert!(codes.contains(&lower) && !codes.contains(&other));
        assert_eq!(lower.to_string(), "0b8f-C", "it is shown as it was written");
    }

    #[test]
    fn what_stands_in_a_url_path_cannot_leave_it() {
        assert!(TriggerCode::new("0b8f9a52-6d0c-4f1c-8f53-2d6c9c0a7f11").is_ok());
        assert_eq!(TriggerCode::new("../x"), Err(IdError::Unsafe('/')));
        assert_eq!(TriggerCode::new(".."), Err(IdError::Unsafe('.')));
        assert!(ParticipationId::new("+Zm9v/YmFy==").is_ok());
        for climbs in ["..", "a/../b", ".\\b"] {
            assert_eq!(ParticipationId::new(climbs), Err(IdError::Unsafe('.')));
        }
    }
}
