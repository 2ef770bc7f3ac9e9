//! Which setting would read the cells of a column that cannot be read: said in an error's help, and never applied.

use std::collections::{BTreeMap, BTreeSet};

use super::cell::Kind;
use super::reading::number;
use crate::config::{DateFormat, Decimal, Notation, Written};
use crate::text::SafeText;

/// So many cells of a column are looked at.
const MOST: usize = 2_000;

/// So many other ways to read a date are named.
const FEW: usize = 2;

/// The cells of a column that cannot be read as a condition wants them.
#[derive(Debug)]
pub(super) struct Guess {
    kind: Kind,
    cells: BTreeSet<String>,
}

impl Guess {
    pub(super) fn new(kind: Kind) -> Self {
        let cells = BTreeSet::new();
        Self { kind, cells }
    }

    pub(super) fn see(&mut self, cell: &str) {
        if self.cells.len() < MOST && !self.cells.contains(cell) {
            self.cells.insert(cell.to_owned());
        }
    }

    /// The settings to write in a source's table, and what else is to be said; `None` where nothing fits all cells.
    pub(super) fn advice(&self, source: &str, notation: &Notation) -> Option<String> {
        let (nothing, cells): (Vec<&str>, Vec<&str>) = {
            let cells = self.cells.iter().map(String::as_str);
            cells.partition(|cell| stands_for_nothing(cell))
        };
        let mut settings = Vec::new();
        let mut more = String::new();
        if !nothing.is_empty() {
            let known = notation.null.iter().map(String::as_str);
            let texts: Vec<&str> = known.chain(nothing).collect();
            settings.push(format!("null = {}", list(&texts)));
        }
        if !cells.is_empty() {
            let (setting, rest) = match self.kind {
                Kind::Date => dates(&cells, &notation.dates)?,
                Kind::Number => numbers(&cells)?,
                Kind::Boolean => (Some(booleans(&cells, notation)?), String::new()),
                Kind::Presence | Kind::Text => return None,
            };
            settings.extend(setting);
            more = rest;
        }
        let said = match settings.is_empty() {
            true => String::new(),
            false => format!("write {} in [source.{source}]", settings.join(" and ")),
        };
        Some(match (said.is_empty(), more.is_empty()) {
            (false, false) => format!("{said}; {more}"),
            _ => said + &more,
        })
    }
}

/// Whether a text is what programs write where there is nothing.
pub(super) fn stands_for_nothing(text: &str) -> bool {
    const KNOWN: [&str; 14] = [
        "null",
        "(null)",
        "<null>",
        "\\n",
        "nil",
        "none",
        "nan",
        "n/a",
        "#n/a",
        "#n/b",
        "undefined",
        "0000-00-00",
        "0000-00-00 00:00:00",
        "?",
    ];
    let is_known = |known: &&str| text.eq_ignore_ascii_case(known);
    is_dashes(text) || KNOWN.iter().any(is_known)
}

/// Whether a text is dashes alone.
pub(super) fn is_dashes(text: &str) -> bool {
    !text.is_empty()
        && text
            .chars()
            .all(|c| "-\u{2010}\u{2011}\u{2013}\u{2014}".contains(c))
}

/// `"a"`, or `["a", "b"]`.
fn list(texts: &[&str]) -> String {
    let texts: Vec<String> = texts
        .iter()
        .map(|text| format!("{:?}", SafeText(text).to_string()))
        .collect();
    match texts.as_slice() {
        [one] => one.clone(),
        _ => format!("[{}]", texts.join(", ")),
    }
}

/// Formats that read all cells together, beside those that are there; or what the cells are instead.
fn dates(cells: &[&str], there: &[DateFormat]) -> Option<(Option<String>, String)> {
    if let Some(days) = cells
        .iter()
        .map(|cell| serial(cell))
        .collect::<Option<Vec<_>>>()
    {
        let (cell, day) = (cells[0], days[0]);
        let says = format!(
            "{cell} is most likely a spreadsheet's own number for {day}: give that column the format yyyy-mm-dd there, and \
             export it again"
        );
        return Some((None, says));
    }
    let candidates: Vec<DateFormat> = candidates()
        .filter_map(|text| DateFormat::new(&text).ok())
        .collect();
    let mut left: Vec<&str> = cells.to_vec();
    let mut formats: Vec<&str> = there.iter().map(DateFormat::as_str).collect();
    let mut others: Vec<String> = Vec::new();
    while !left.is_empty() {
        let read = |format: &DateFormat| -> Vec<Option<Written>> {
            left.iter().map(|cell| format.read(cell)).collect()
        };
        let found = candidates.iter().map(|format| (format, read(format)));
        let found: Vec<_> = found.collect();
        let count = |read: &[Option<Written>]| read.iter().flatten().count();
        let most = found.iter().map(|(_, read)| count(read)).max().unwrap_or(0);
        let mut best = found
            .iter()
            .filter(|(_, read)| most > 0 && count(read) == most);
        let (format, days) = best.next()?;
        let reads_the_same = |read: &[Option<Written>]| {
            let mut both = days.iter().zip(read);
            both.all(|(day, other)| day.is_some() == other.is_some())
        };
        let otherwise = best.filter(|(_, read)| read != days && reads_the_same(read));
        others.extend(
            otherwise
                .take(FEW)
                .map(|(other, _)| format!("{:?}", other.as_str())),
        );
        formats.push(format.as_str());
        let unread = left.iter().zip(days).filter(|(_, day)| day.is_none());
        left = unread.map(|(cell, _)| *cell).collect();
    }
    let more = match others.is_empty() {
        true => String::new(),
        false => format!(
            "{} would read these cells as other days: look which is right",
            others.join(" or ")
        ),
    };
    Some((Some(format!("dates = {}", list(&formats))), more))
}

/// How people and programs write dates.
fn candidates() -> impl Iterator<Item = String> {
    const TIMES: [&str; 6] = [
        "",
        " %H:%M",
        " %H:%M:%S",
        "T%H:%M:%S",
        " %I:%M %p",
        " %I:%M:%S %p",
    ];
    const ORDERS: [[&str; 3]; 6] = [
        ["%d", "%m", "%Y"],
        ["%m", "%d", "%Y"],
        ["%Y", "%m", "%d"],
        ["%d", "%m", "%y"],
        ["%m", "%d", "%y"],
        ["%y", "%m", "%d"],
    ];
    const OTHERS: [&str; 11] = [
        "%Y%m%d",
        "%Y%m%d%H%M%S",
        "%d %b %Y",
        "%d %B %Y",
        "%d-%b-%Y",
        "%b %d, %Y",
        "%B %d, %Y",
        "%Y-%m-%dT%H:%M:%S%z",
        "%Y-%m-%d %H:%M:%S %z",
        "%a, %d %b %Y %H:%M:%S %z",
        "%s",
    ];
    let numbers = ORDERS.into_iter().flat_map(|order| {
        let days = ["-", "/", "."].map(|separator| order.join(separator));
        days.into_iter()
            .flat_map(|day| TIMES.map(|time| format!("{day}{time}")))
    });
    numbers.chain(OTHERS.map(str::to_owned))
}

/// The day that a spreadsheet counts so, from 1954 to 2119.
fn serial(cell: &str) -> Option<jiff::civil::Date> {
    let days = cell.split_once('.').map_or(cell, |(days, _)| days);
    let days: i32 = days
        .parse()
        .ok()
        .filter(|days| (20_000..80_000).contains(days))?;
    cell.parse::<f64>().ok()?;
    let first = jiff::civil::date(1899, 12, 30);
    first.checked_add(jiff::Span::new().days(days)).ok()
}

fn numbers(cells: &[&str]) -> Option<(Option<String>, String)> {
    let reads = |decimal| {
        cells
            .iter()
            .all(|cell| number(cell, Some(decimal)).is_some())
    };
    let first = cells[0];
    Some(match (reads(Decimal::Comma), reads(Decimal::Point)) {
        (true, false) => (Some("decimal = \",\"".to_owned()), String::new()),
        (true, true) => {
            let says = format!(
                "write decimal = \",\" if {first} has a fraction, or decimal = \".\" if its thousands are apart"
            );
            (None, says)
        }
        (false, true) => (Some("decimal = \".\"".to_owned()), String::new()),
        (false, false) => return None,
    })
}

fn booleans(cells: &[&str], notation: &Notation) -> Option<String> {
    const PAIRS: [(&str, &str); 12] = [
        ("ja", "nee"),
        ("j", "n"),
        ("yes", "no"),
        ("y", "n"),
        ("1", "0"),
        ("waar", "onwaar"),
        ("t", "f"),
        ("on", "off"),
        ("aan", "uit"),
        ("oui", "non"),
        ("wahr", "falsch"),
        ("x", "-"),
    ];
    let mut found: BTreeMap<bool, Vec<&str>> = BTreeMap::new();
    found.insert(
        true,
        notation.true_texts.iter().map(String::as_str).collect(),
    );
    found.insert(
        false,
        notation.false_texts.iter().map(String::as_str).collect(),
    );
    let lower: BTreeSet<String> = cells.iter().map(|cell| cell.to_lowercase()).collect();
    let has = |text: &str| lower.contains(text);
    let mut known = 0;
    // What is said for "no" goes with what is there for "yes": `n` with `y`, or with `j`.
    let by_yes = PAIRS.into_iter().filter(|(yes, _)| has(yes));
    let by_no = PAIRS.into_iter().filter(|(yes, no)| !has(yes) && has(no));
    for ((yes, no), is_by_yes) in by_yes
        .map(|pair| (pair, true))
        .chain(by_no.map(|pair| (pair, false)))
    {
        if is_by_yes || !found[&false].contains(&no) {
            for (truth, text) in [(true, yes), (false, no)] {
                let texts = found.entry(truth).or_default();
                if !texts.contains(&text) {
                    texts.push(text);
                    known += usize::from(has(text));
                }
            }
        }
    }
    (known == lower.len()).then(|| {
        let texts = |truth| {
            let texts: Vec<String> = found[&truth]
                .iter()
                .map(|text| format!("{text:?}"))
                .collect();
            texts.join(", ")
        };
        format!(
            "booleans = {{ true = [{}], false = [{}] }}",
            texts(true),
            texts(false)
        )
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_setting_that_reads_all_cells_is_named() {
        for (kind, cells, says) in [
            (
                Kind::Date,
                &["31-12-2025", "01-03-2025"][..],
                "write dates = \"%d-%m-%Y\" in [source.crm]",
            ),
            (
                Kind::Date,
                &["01-03-2025", "02-03-2025"],
                "write dates = \"%d-%m-%Y\" in [source.crm]; \"%m-%d-%Y\" would read these cells as other days: look which is right",
            ),
            (
                Kind::Date,
                &["12/31/2025", "0000-00-00"],
                "write null = \"0000-00-00\" and dates = \"%m/%d/%Y\" in [source.crm]",
            ),
            (
                Kind::Date,
                &["31-12-2025", "31-12-2025 10:00"],
                "write dates = [\"%d-%m-%Y\", \"%d-%m-%Y %H:%M\"] in [source.crm]",
            ),
            (
                Kind::Date,
                &["31.12.25"],
                "write dates = \"%d.%m.%y\" in [source.crm]; \"%y.%m.%d\" would read these cells as other days: look which is right",
            ),
            (
                Kind::Date,
                &["NULL", "\\N"],
                "write null = [\"NULL\", \"\\\\N\"] in [source.crm]",
            ),
            (
                Kind::Date,
                &["45717", "46000.5"],
                "45717 is most likely a spreadsheet's own number for 2025-03-01: give that column the format yyyy-mm-dd there, \
                 and export it again",
            ),
            (
                Kind::Number,
                &["1250,75", "1.250,75"],
                "write decimal = \",\" in [source.crm]",
            ),
            (
                Kind::Number,
                &["1,250"],
                "write decimal = \",\" if 1,250 has a fraction, or decimal = \".\" if its thousands are apart",
            ),
            (
                Kind::Boolean,
                &["Ja", "nee"],
                "write booleans = { true = [\"ja\"], false = [\"nee\"] } in [source.crm]",
            ),
            (
                Kind::Boolean,
                &["n"],
                "write booleans = { true = [\"j\"], false = [\"n\"] } in [source.crm]",
            ),
        ] {
            let mut guess = Guess::new(kind);
            cells.iter().for_each(|cell| guess.see(cell));
            let advice = guess.advice("crm", &Notation::default());
            assert_eq!(advice.as_deref(), Some(says), "{cells:?}");
        }
        for (kind, cells) in [
            (Kind::Date, &["soon"][..]),
            (Kind::Date, &["31-12-2025", "soon"]),
            (Kind::Number, &["€ 12"]),
            (Kind::Boolean, &["ja", "wellicht"]),
        ] {
            let mut guess = Guess::new(kind);
            cells.iter().for_each(|cell| guess.see(cell));
            assert_eq!(guess.advice("crm", &Notation::default()), None, "{cells:?}");
        }
    }
}
