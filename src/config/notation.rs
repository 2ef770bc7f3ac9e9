//! How a source writes its values: `decimal`, `dates`, `booleans` and `null`.

use jiff::civil::{Date, DateTime};
use jiff::fmt::strtime;
use jiff::tz::{Offset, TimeZone};

use super::reader::{Item, Table};

/// Whether a text is empty, or of white space alone. Asked of each cell: nearly all begin with what can be seen.
#[inline(always)]
pub fn is_blank(text: &str) -> bool {
    match text.as_bytes().first() {
        Some(b'!'..=b'~') => false,
        _ => text.chars().all(char::is_whitespace),
    }
}

/// How a source writes its values. It decides how conditions read a cell; templates get the cell's own text.
#[derive(Debug, Clone, Default)]
pub struct Notation {
    /// What stands before the fraction of a number, where that is said. Where it is not, it is a point.
    pub decimal: Option<Decimal>,
    /// How dates are written: in one of these ways. Where none is given, by ISO 8601.
    pub dates: Vec<DateFormat>,
    /// Texts for "true" beside `true` itself, in lower case.
    pub true_texts: Vec<String>,
    /// Texts for "false" beside `false` itself, in lower case.
    pub false_texts: Vec<String>,
    /// Texts that stand for an absent value.
    pub null: Vec<String>,
}

impl Notation {
    /// Whether a text stands for nothing.
    #[inline(always)]
    pub fn is_absent(&self, text: &str) -> bool {
        is_blank(text) || !self.null.is_empty() && self.is_null(text)
    }

    /// Whether it is one of the texts that the source writes where there is nothing.
    pub fn is_null(&self, text: &str) -> bool {
        self.null.iter().any(|null| null == text)
    }
}

/// What stands before the fraction of a number.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Decimal {
    /// `1250.75`
    Point,
    /// `1250,75`
    Comma,
}

impl Decimal {
    /// The mark itself.
    pub fn mark(self) -> char {
        match self {
            Decimal::Point => '.',
            Decimal::Comma => ',',
        }
    }
}

/// How a date is written, as `strftime` has it: `%d-%m-%Y`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DateFormat {
    text: String,
    has_time: bool,
    has_offset: bool,
}

/// What a text of a [`DateFormat`] says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Written {
    /// A calendar day.
    Day(Date),
    /// A day and a time, of whichever zone the reader takes.
    Local(DateTime),
    /// A day and a time, with how far its zone is from UTC.
    Offset(DateTime, Offset),
}

impl DateFormat {
    /// Takes a format that gives at least a day.
    ///
    /// # Errors
    /// What is wrong with it, to follow its name: `gives no day`.
    pub fn new(text: &str) -> Result<Self, String> {
        let letters = directives(text);
        let has = |of: &str| letters.iter().any(|letter| of.contains(*letter));
        let format = Self {
            has_time: has("HkIlMSpPTRrcXfNs"),
            has_offset: has("zs"),
            text: text.to_owned(),
        };
        if letters.is_empty() {
            return Err("has none of %Y, %m and %d in it".to_owned());
        }
        // What it makes of a moment it must read as the same day.
        let sample = jiff::civil::date(2034, 11, 23).at(17, 48, 56, 0);
        let zoned = sample.to_zoned_datetime(TimeZone::UTC);
        let zoned = zoned.map_err(|error| error.to_string())?;
        let shown = strtime::format(text, &zoned).map_err(|error| format!("cannot be: {error}"))?;
        match format.read(&shown) {
            Some(Written::Day(day)) if day == sample.date() => Ok(format),
            Some(Written::Local(at) | Written::Offset(at, _)) if at.date() == sample.date() => {
                Ok(format)
            }
            _ => Err("gives no day: it needs a year, a month and a day of the month".to_owned()),
        }
    }

    /// The format as it is written.
    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// Reads a text that is written so. A year has four digits, or by `%y` two.
    pub fn read(&self, text: &str) -> Option<Written> {
        let parsed = strtime::parse(&self.text, text).ok()?;
        if self.has_offset
            && let Ok(at) = parsed.to_timestamp()
        {
            let offset = parsed.offset().unwrap_or(Offset::UTC);
            return Some(Written::Offset(offset.to_datetime(at), offset));
        }
        let day = parsed.to_date().ok().filter(|day| day.year() >= 1000)?;
        match self.has_time {
            false => Some(Written::Day(day)),
            true => Some(Written::Local(day.to_datetime(parsed.to_time().ok()?))),
        }
    }
}

/// The letters that follow a `%`.
fn directives(text: &str) -> Vec<char> {
    let mut letters = Vec::new();
    let mut chars = text.chars();
    while let Some(c) = chars.next() {
        if c == '%' {
            let is_flag = |c: &char| "-_0^#:.".contains(*c) || c.is_ascii_digit();
            letters.extend(chars.by_ref().find(|c| !is_flag(c)));
        }
    }
    letters.retain(|letter| *letter != '%');
    letters
}

pub(super) fn notation(table: &Table<'_>) -> Notation {
    let decimal = table.get("decimal").and_then(|item| {
        let example = "\",\" or \".\", the separator before the fraction of a number";
        match item.text(example)? {
            "," => Some(Decimal::Comma),
            "." => Some(Decimal::Point),
            other => {
                item.wrong(
                    format!("`decimal` cannot be {other:?}"),
                    format!("write {example}"),
                );
                None
            }
        }
    });
    let dates = table.get("dates").map_or(Vec::new(), |item| {
        let texts = item.texts("how dates are written, such as \"%d-%m-%Y\"").into_iter();
        let format = |(text, item): (&str, Item<'_>)| {
            let format = DateFormat::new(text);
            let wrong = |why| {
                item.wrong(
                    format!("`dates` cannot be {text:?}: it {why}"),
                    "write %d for the day, %m for the month, %Y for the year, and %H:%M:%S for a time: \"%d-%m-%Y\" reads \
                     31-12-2026",
                );
            };
            format.map_err(wrong).ok()
        };
        texts.filter_map(format).collect()
    });
    let (true_texts, false_texts) = table
        .get("booleans")
        .map_or_else(Default::default, booleans);
    let null = table.get("null").map_or(Vec::new(), |item| {
        let texts = item.texts("the texts that stand for nothing, such as [\"NULL\", \"-\"]");
        texts.into_iter().map(|(text, _)| text.to_owned()).collect()
    });
    Notation {
        decimal,
        dates,
        true_texts,
        false_texts,
        null,
    }
}

fn booleans(item: Item<'_>) -> (Vec<String>, Vec<String>) {
    let example = "`booleans = { true = [\"ja\"], false = [\"nee\"] }`";
    if !item.value.get_ref().is_table() {
        item.wrong_type("a table", example);
        return Default::default();
    }
    let Some(table) = item.table("`booleans`") else {
        return Default::default();
    };
    let texts = |key: &'static str, other: &str| -> Vec<String> {
        let Some(item) = table.get(key) else {
            return Vec::new();
        };
        let texts = item.texts("an array such as [\"ja\"]").into_iter();
        let text = |(text, item): (&str, Item<'_>)| {
            let lower = text.to_lowercase();
            if lower.trim().is_empty() || lower == other {
                item.wrong(
                    format!("{text:?} cannot stand for {key}"),
                    "write texts that the file has there, such as \"ja\"",
                );
            }
            lower
        };
        texts.map(text).collect()
    };
    let (yes, no) = (texts("true", "false"), texts("false", "true"));
    if let Some(both) = yes.iter().find(|text| no.contains(text)) {
        item.wrong(
            format!("{both:?} stands for true and for false"),
            "remove it from one of the two",
        );
    }
    let is_empty = table.items().next().is_none();
    table.finish();
    if is_empty {
        item.wrong("`booleans` is empty", format!("write {example}"));
    }
    (yes, no)
}

#[cfg(test)]
mod tests {
    use jiff::civil::{date, datetime};

    use super::*;

    #[test]
    fn a_date_is_read_as_its_format_has_it() {
        for (format, text, written) in [
            (
                "%d-%m-%Y",
                "31-12-2025",
                Some(Written::Day(date(2025, 12, 31))),
            ),
            ("%d-%m-%Y", "1-3-2025", Some(Written::Day(date(2025, 3, 1)))),
            ("%d-%m-%Y", "31-12-25", None),
            ("%d-%m-%Y", "31-12-025", None),
            ("%d-%m-%Y", "12-31-2025", None),
            ("%d-%m-%Y", "31-12-2025 10:00", None),
            ("%d-%m-%Y", "2025-12-31", None),
            (
                "%d-%m-%y",
                "31-12-25",
                Some(Written::Day(date(2025, 12, 31))),
            ),
            ("%d-%m-%y", "31-12-2025", None),
            ("%Y%m%d", "20251231", Some(Written::Day(date(2025, 12, 31)))),
            (
                "%d-%m-%Y %H:%M",
                "31-12-2025 9:05",
                Some(Written::Local(datetime(2025, 12, 31, 9, 5, 0, 0))),
            ),
            (
                "%m/%d/%Y %I:%M %p",
                "12/31/2025 9:05 PM",
                Some(Written::Local(datetime(2025, 12, 31, 21, 5, 0, 0))),
            ),
            (
                "%Y-%m-%dT%H:%M:%S%z",
                "2025-12-31T09:05:00+0100",
                Some(Written::Offset(
                    datetime(2025, 12, 31, 9, 5, 0, 0),
                    jiff::tz::offset(1),
                )),
            ),
            (
                "%s",
                "0",
                Some(Written::Offset(
                    datetime(1970, 1, 1, 0, 0, 0, 0),
                    Offset::UTC,
                )),
            ),
        ] {
            assert_eq!(
                DateFormat::new(format).unwrap().read(text),
                written,
                "{format} {text}"
            );
        }
        for format in ["", "dd-mm-jjjj", "%m-%Y", "%H:%M", "%", "%d-%m-%Q"] {
            assert!(DateFormat::new(format).is_err(), "{format}");
        }
    }
}
