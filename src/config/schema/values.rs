//! The values that settings take.
#![expect(dead_code, reason = "only their shape is used, not their content")]

use std::borrow::Cow;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};

/// A text of a pattern.
macro_rules! text {
    ($(#[$doc:meta])* $name:ident, $pattern:literal) => {
        $(#[$doc])*
        #[derive(JsonSchema, PartialEq, Eq, PartialOrd, Ord)]
        #[schemars(inline, extend("pattern" = $pattern))]
        pub(super) struct $name(String);
    };
}

text!(
    /// An id or a name: no white space at its ends, at most 1024 bytes.
    Name,
    r"^\S(.*\S)?$"
);
text!(
    /// The name of a field: no white space.
    FieldName,
    r"^\S+$"
);
text!(
    /// A code as Spotler gives it.
    Code,
    r"^[A-Za-z0-9._-]+$"
);
text!(
    /// A span of time: a number and one of s, m, h, d and w.
    Span,
    r"^[0-9]+(s|m|min|h|d|w)$"
);
text!(
    /// A number of whole days or weeks.
    Days,
    r"^[0-9]+(d|w)$"
);
text!(
    /// A number of triggers in a span of time.
    PerTime,
    r"^\s*0*[1-9][0-9]*\s*/\s*0*[1-9][0-9]*(s|m|min|h|d|w)\s*$"
);
text!(
    /// A number of calls in a second, minute or hour.
    Rate,
    r"^\s*[0-9.]+\s*/\s*(s|sec|second|m|min|minute|h|hour)\s*$"
);
text!(
    /// A percentage from 0 to 100.
    Percent,
    r"^\s*([0-9]{1,2}(\.[0-9]*)?|100(\.0*)?|\.[0-9]+)\s*%$"
);
text!(
    /// Days, hours and a time zone.
    Hours,
    r"[0-9]{2}:[0-9]{2}-[0-9]{2}:[0-9]{2}"
);
text!(
    /// Where Spotler is.
    BaseUrl,
    r"^(sandbox|[Hh][Tt][Tt][Pp][Ss]://.+|[Hh][Tt][Tt][Pp]://(localhost|127\.|\[).*)$"
);
text!(
    /// Where the record is.
    RecordUrl,
    r"^(sqlite:[^?#]+|postgres(ql)?://.+|\$[A-Za-z_][A-Za-z0-9_]*)$"
);
text!(
    /// A URL without a password, or an environment variable that holds one.
    SourceUrl,
    r"^(sqlite:[^?#]+|(postgres(ql)?|mysql|mariadb)://.+|\$[A-Za-z_][A-Za-z0-9_]*)$"
);
text!(
    /// The name of a schema of PostgreSQL.
    SchemaName,
    r"^[a-z_][a-z0-9_]{0,62}$"
);
text!(
    /// A path that names the trigger code.
    CodePath,
    r"\{trigger_code\}"
);
text!(
    /// A path that names the trigger code and a participation.
    ParticipationPath,
    r"\{trigger_code\}.*\{participation\}|\{participation\}.*\{trigger_code\}"
);
text!(
    /// One character that is neither a letter nor a digit.
    Delimiter,
    r#"^[^A-Za-z0-9"\r\n]$"#
);
text!(
    /// A text that is not empty.
    Filled,
    r"[\s\S]"
);
text!(
    /// A date, or a date with a time. Without quotes.
    Date,
    r"^[0-9]{4}-[0-9]{2}-[0-9]{2}"
);

/// A number of things.
#[derive(JsonSchema)]
#[schemars(inline)]
pub(super) struct Count(u64);

/// A number, or a percentage.
#[derive(JsonSchema)]
#[schemars(inline, untagged)]
pub(super) enum CountOrPercent {
    Count(Count),
    Percent(Percent),
}

/// A number, or a date without quotes.
#[derive(JsonSchema)]
#[schemars(inline, untagged)]
pub(super) enum NumberOrDate {
    Number(f64),
    Date(Date),
}

/// One, or an array with at least one.
#[derive(JsonSchema)]
#[schemars(inline, untagged)]
pub(super) enum OneOrMore<T> {
    One(T),
    More(#[schemars(length(min = 1))] Vec<T>),
}

/// One name, or an array with any number of them.
#[derive(JsonSchema)]
#[schemars(inline, untagged)]
pub(super) enum OneOrNone {
    One(Name),
    Any(Vec<Name>),
}

/// Text, a number, a date, or true or false.
pub(super) struct Cell;

impl JsonSchema for Cell {
    fn inline_schema() -> bool {
        true
    }

    fn schema_name() -> Cow<'static, str> {
        "Cell".into()
    }

    // A validator sees a date of TOML as text.
    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({ "type": ["string", "number", "boolean"] })
    }
}
