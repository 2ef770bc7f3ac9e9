//! The id of a record.

use std::fmt;
use std::str::FromStr;

use uuid::Uuid;

/// Tells a record from all others: a UUID that is given when the record is made. A copy has the same.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RecordId(Uuid);

impl RecordId {
    /// A new one.
    #[expect(clippy::new_without_default, reason = "two of them are never equal")]
    pub fn new() -> Self {
        Self(Uuid::new_v4())
    }
}

impl FromStr for RecordId {
    type Err = uuid::Error;

    /// With hyphens or without, in capitals or not.
    fn from_str(text: &str) -> Result<Self, uuid::Error> {
        Uuid::parse_str(text).map(Self)
    }
}

impl fmt::Display for RecordId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}
