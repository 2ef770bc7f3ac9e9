//! What can hardly be meant and makes nothing wrong: ids that a program wrote anew, conditions that nothing can match, cells
//! that may mean something else.

use hashbrown::{HashMap, HashSet};

use super::block::Block;
use super::cell::Kind;
use super::guess::stands_for_nothing;
use super::problems::plain;
use super::reading::Reading;
use crate::config::{Condition, Config, Diagnostic, Test, Value};
use crate::source::{Row, RowBuffer, RowId, SourceError, Table};
use crate::text::{plural, quoted};

/// So many are named of what there are more of.
const FEW: usize = 3;

/// What is looked at in the rows of one source.
#[derive(Debug)]
pub(super) struct Watch<'c> {
    /// Whether more is looked at than the ids.
    is_check: bool,
    source: Option<usize>,
    reading: Option<Reading<'c>>,
    /// Contacts that blocks name.
    named: HashSet<&'c str>,
    texts: Vec<Texts<'c>>,
    exists: Vec<(usize, &'c Condition)>,
    numbers: Vec<(usize, &'c Condition)>,
}

/// The texts that conditions compare a column with.
#[derive(Debug)]
struct Texts<'c> {
    column: usize,
    /// Each with its place among them.
    wanted: HashMap<&'c str, usize>,
    /// Without case and white space at their ends.
    folded: HashMap<String, usize>,
    conditions: Vec<&'c Condition>,
}

/// What was seen in the rows of one source.
#[derive(Debug, Default)]
pub(super) struct Noted {
    odd: [Several; KINDS.len()],
    named: HashSet<String>,
    /// By column, and then by text.
    texts: Vec<Vec<Found>>,
    nothing: Vec<Several>,
    fractions: Vec<Fractions>,
    rows: u64,
}

/// How often something was seen, and where first.
#[derive(Debug, Default)]
struct Several {
    count: u64,
    first: Vec<(String, RowId)>,
}

impl Several {
    fn add(&mut self, text: &str, row: RowId) {
        self.count += 1;
        if self.first.len() < FEW {
            self.first.push((text.to_owned(), row));
        }
    }

    /// `1042.0 in row 2, 1043.0 in row 3, …`
    fn list(&self, table: &Table) -> String {
        let first = self.first.iter();
        let mut list: Vec<String> = first
            .map(|(text, row)| format!("{} in {}", quoted(text), table.place(*row)))
            .collect();
        if self.count > FEW as u64 {
            list.push("…".to_owned());
        }
        list.join(", ")
    }
}

#[derive(Debug, Clone, Default)]
enum Found {
    #[default]
    Nowhere,
    Nearly(String, RowId),
    Exactly,
}

#[derive(Debug, Default)]
struct Fractions {
    first: Option<(String, RowId)>,
    has_others: bool,
}

/// What ids look like that a program wrote anew, and what is to be said of them.
const KINDS: [(&str, &str); 5] = [
    (
        "with a fraction of zeros",
        "a program took the ids for numbers: let it write them as text",
    ),
    (
        "written with an exponent",
        "a spreadsheet took the ids for numbers, so that several may have become one: make the export again, with that column as \
         text",
    ),
    (
        "written as a formula",
        "let the export write the id alone, without = and quotes",
    ),
    (
        "that stand for nothing",
        "let the export leave such rows out, or write the id",
    ),
    (
        "that a database client wrote around its rows",
        "let it write the rows alone (psql: --csv; sqlcmd: set nocount on)",
    ),
];

/// Which of the kinds an id is of. Most ids are seen to be of none by a look at their bytes.
fn odd(id: &str) -> Option<usize> {
    let bytes = id.as_bytes();
    let may_be = match bytes.first()? {
        b'0'..=b'9' => bytes.iter().any(|byte| matches!(byte, b'.' | b'+' | b' ')),
        // `null`, `none`, `nan`, `n/a`, `undefined`.
        b'n' | b'N' | b'u' | b'U' => bytes.len() <= 9,
        b'a'..=b'z' | b'A'..=b'Z' => false,
        _ => true,
    };
    if !may_be {
        return None;
    }
    let are_digits = |text: &str| !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit());
    let is_number = |text: &str| match text.split_once(['.', ',']) {
        Some((whole, fraction)) => are_digits(whole) && are_digits(fraction),
        None => are_digits(text),
    };
    if let Some((whole, zeros)) = id.split_once('.')
        && are_digits(whole)
        && !zeros.is_empty()
        && zeros.bytes().all(|byte| byte == b'0')
    {
        return Some(0);
    }
    let exponent = id.split_once(['E', 'e']).and_then(|(number, exponent)| {
        let exponent = exponent.strip_prefix(['+', '-'])?;
        (is_number(number) && are_digits(exponent)).then_some(())
    });
    if exponent.is_some() {
        return Some(1);
    }
    if id.starts_with("=\"") {
        return Some(2);
    }
    let is_error = id.starts_with('#') && (id.ends_with(['!', '?']) || id.ends_with("/A"));
    if is_error || stands_for_nothing(id) {
        return Some(3);
    }
    let is_line = id.len() > 1 && id.bytes().all(|byte| b"-+=| ".contains(&byte));
    let count = id.strip_prefix('(').and_then(|rest| rest.strip_suffix(')'));
    let count = count.and_then(|rest| rest.split_once(' '));
    let is_count = count.is_some_and(|(number, words)| {
        let words = words.to_lowercase();
        are_digits(number) && (words.starts_with("row") || words.starts_with("rij"))
    });
    (is_line || is_count).then_some(4)
}

impl<'c> Watch<'c> {
    /// Looks at what the blocks that draw on a source make of it. `is_check` is whether all is looked at, and not the ids
    /// alone.
    pub(super) fn new(
        config: &'c Config,
        source: Option<usize>,
        blocks: &[Block<'c>],
        is_check: bool,
    ) -> Self {
        let mut watch = Self {
            is_check,
            source,
            reading: source.map(|source| super::reading(config, source)),
            named: HashSet::new(),
            texts: Vec::new(),
            exists: Vec::new(),
            numbers: Vec::new(),
        };
        if !is_check {
            return watch;
        }
        for block in blocks.iter().filter(|block| block.enrol.source == source) {
            let names = block.enrol.contacts.iter().flatten();
            watch.named.extend(names.map(|name| name.as_str()));
            for clause in block.all_clauses() {
                watch.condition(clause.column(), clause.kind(), clause.condition);
            }
        }
        watch
    }

    fn condition(&mut self, column: usize, kind: Kind, condition: &'c Condition) {
        let is_new = |list: &[(usize, &Condition)]| list.iter().all(|(known, _)| *known != column);
        let is_exists = |test: &Test| matches!(test, Test::Exists(_));
        if condition.tests.iter().any(is_exists) && is_new(&self.exists) {
            self.exists.push((column, condition));
        }
        if kind == Kind::Number && is_new(&self.numbers) {
            self.numbers.push((column, condition));
        }
        for test in &condition.tests {
            let (Test::Any(values) | Test::Not(values)) = test else {
                continue;
            };
            for value in values {
                let Value::Text(text) = value else { continue };
                let place = self.texts.iter().position(|texts| texts.column == column);
                let place = place.unwrap_or_else(|| {
                    self.texts.push(Texts {
                        column,
                        wanted: HashMap::new(),
                        folded: HashMap::new(),
                        conditions: Vec::new(),
                    });
                    self.texts.len() - 1
                });
                let texts = &mut self.texts[place];
                let next = texts.conditions.len();
                if *texts.wanted.entry(text).or_insert(next) == next {
                    texts.conditions.push(condition);
                    texts.folded.entry(fold(text)).or_insert(next);
                }
            }
        }
    }

    /// Looks at a row.
    pub(super) fn see(&self, row: &Row<'_>, noted: &mut Noted) {
        if let Some(kind) = odd(row.contact) {
            noted.odd[kind].add(row.contact, row.id);
        }
        if !self.is_check {
            return;
        }
        self.check(row, noted);
    }

    fn check(&self, row: &Row<'_>, noted: &mut Noted) {
        noted.rows += 1;
        if self.named.contains(row.contact) && !noted.named.contains(row.contact) {
            noted.named.insert(row.contact.to_owned());
        }
        let Some(reading) = self.reading else { return };
        let cell = |column: usize| {
            let text = row.cells.get(column)?;
            (!reading.is_absent(text)).then_some(text)
        };
        noted.texts.resize_with(self.texts.len(), Vec::new);
        for (texts, found) in self.texts.iter().zip(&mut noted.texts) {
            found.resize(texts.conditions.len(), Found::Nowhere);
            let Some(text) = cell(texts.column) else {
                continue;
            };
            if let Some(place) = texts.wanted.get(text) {
                found[*place] = Found::Exactly;
            } else if found.iter().any(|found| matches!(found, Found::Nowhere))
                && let Some(place) = texts.folded.get(&fold(text))
                && matches!(found[*place], Found::Nowhere)
            {
                found[*place] = Found::Nearly(text.to_owned(), row.id);
            }
        }
        noted
            .nothing
            .resize_with(self.exists.len(), Several::default);
        for ((column, _), nothing) in self.exists.iter().zip(&mut noted.nothing) {
            if let Some(text) = cell(*column).filter(|text| stands_for_nothing(text)) {
                nothing.add(text, row.id);
            }
        }
        if reading.notation.decimal.is_some() {
            return;
        }
        noted
            .fractions
            .resize_with(self.numbers.len(), Fractions::default);
        for ((column, _), fractions) in self.numbers.iter().zip(&mut noted.fractions) {
            let Some(text) = cell(*column).filter(|_| !fractions.has_others) else {
                continue;
            };
            match text.split_once('.') {
                Some((_, fraction)) if fraction.len() != 3 => fractions.has_others = true,
                Some(_) if fractions.first.is_none() => {
                    fractions.first = Some((text.to_owned(), row.id));
                }
                _ => {}
            }
        }
    }

    /// What is to be said of a source.
    ///
    /// # Errors
    /// If it cannot be read again.
    pub(super) fn warnings(
        &self,
        table: &Table,
        noted: &Noted,
        blocks: &[Block<'c>],
        near: impl Fn(&str) -> Option<RowId>,
    ) -> Result<Vec<Diagnostic>, SourceError> {
        let mut list = Vec::new();
        if !self.is_check {
            let count = noted.odd.iter().map(|odd| odd.count).sum();
            if count > 0 {
                let ids = plural(count, "id");
                list.push(plain(
                    format!("{table} has {ids} that a program seems to have written anew"),
                    None,
                    "`rollcall validate` shows which".to_owned(),
                ));
            }
            return Ok(list);
        }
        for ((kind, help), odd) in KINDS.iter().zip(&noted.odd) {
            if odd.count > 0 {
                let ids = plural(odd.count, "id");
                let message = format!("{table} has {ids} {kind}: {}", odd.list(table));
                let help = format!("a program seems to have written them anew: {help}");
                list.push(plain(message, None, help));
            }
        }
        let is_of_it = |block: &&Block<'_>| block.enrol.source == self.source;
        for block in blocks.iter().filter(is_of_it) {
            list.extend(self.unknown(table, noted, block, &near)?);
        }
        // In a table without rows there is nothing that a condition could match.
        if noted.rows > 0 {
            for (texts, found) in self.texts.iter().zip(&noted.texts) {
                list.extend(texts.unmatched(table, found));
            }
        }
        for ((_, condition), nothing) in self.exists.iter().zip(&noted.nothing) {
            if let Some((text, _)) = nothing.first.first() {
                let message = format!(
                    "`exists` reads column {}, and there {} stand for nothing: {}",
                    condition.column,
                    plural(nothing.count, "cell"),
                    nothing.list(table)
                );
                let help = format!(
                    "they count as values; write null = {text:?} in [source.{}], so that they are absent",
                    table.name()
                );
                list.push(plain(message, Some(condition.place.clone()), help));
            }
        }
        for ((_, condition), fractions) in self.numbers.iter().zip(&noted.fractions) {
            let Some((text, row)) = fractions.first.as_ref().filter(|_| !fractions.has_others)
            else {
                continue;
            };
            let message = format!(
                "every fraction in column {} has three digits, as {text} in {table}, {}",
                condition.column,
                table.place(*row)
            );
            let help = format!(
                "where {text} is {}, write decimal = \",\" in [source.{}], and where it is a fraction, decimal = \".\"",
                text.replace('.', ""),
                table.name()
            );
            list.push(plain(message, Some(condition.place.clone()), help));
        }
        Ok(list)
    }

    /// The contacts that a block names and the source does not have.
    fn unknown(
        &self,
        table: &Table,
        noted: &Noted,
        block: &Block<'c>,
        near: impl Fn(&str) -> Option<RowId>,
    ) -> Result<Option<Diagnostic>, SourceError> {
        let names = block.enrol.contacts.iter().flatten();
        let names = names.map(|name| name.as_str());
        let missing: Vec<&str> = names.filter(|name| !noted.named.contains(*name)).collect();
        let mut buffer = RowBuffer::default();
        let mut shown = Vec::new();
        let mut is_near = false;
        for name in missing.iter().take(FEW) {
            shown.push(match near(name) {
                Some(row) => {
                    is_near = true;
                    let id = table.row(row, &mut buffer)?.contact.to_owned();
                    format!("{name} ({} has {id})", table.place(row))
                }
                None => (*name).to_owned(),
            });
        }
        if missing.len() > FEW {
            shown.push("…".to_owned());
        }
        let message = match missing.len() {
            0 => return Ok(None),
            1 => format!("{table} has no contact {}", shown.join("")),
            count => format!("{table} has none of {count} contacts: {}", shown.join(", ")),
        };
        let help = match is_near {
            true => "if both are the same person, write the id as the source does",
            false => {
                "whom the block names it enrols only from a row; correct the ids, or take them out"
            }
        };
        Ok(Some(plain(
            message,
            Some(block.enrol.place.clone()),
            help.to_owned(),
        )))
    }
}

/// Warns of conditions that an old row meets whatever a newer one of the same contact says.
pub(super) fn old_rows(
    config: &Config,
    table: &Table,
    twice: Option<(RowId, RowId)>,
    blocks: &[Block<'_>],
    source: usize,
) -> Vec<Diagnostic> {
    let Some((first, second)) = twice else {
        return Vec::new();
    };
    let of_it = blocks.iter().filter(|block| {
        let mut automations = block.enrol.automations.iter();
        block.enrol.source == Some(source)
            && automations.any(|of| config.automations[*of].repeat_by.is_none())
    });
    let conditions = of_it.flat_map(|block| block.enrol.all_conditions());
    let meets_old = |condition: &&Condition| {
        let mut tests = condition.tests.iter();
        tests.any(|test| matches!(test, Test::OlderThan(_) | Test::Not(_)))
    };
    let warning = |condition: &Condition| {
        let message = format!(
            "{table} has several rows of one contact ({} and {}), and this matches an old one of somebody who has a newer",
            table.place(first),
            table.place(second)
        );
        let help = "give each contact one row: in the export, or by a source with `from` and a query with max(…)";
        plain(message, Some(condition.place.clone()), help.to_owned())
    };
    conditions.filter(meets_old).map(warning).collect()
}

impl Texts<'_> {
    /// What is to be said of the texts that no row has.
    fn unmatched(&self, table: &Table, found: &[Found]) -> Vec<Diagnostic> {
        let mut texts: Vec<(usize, &str)> =
            self.wanted.iter().map(|(text, at)| (*at, *text)).collect();
        texts.sort_unstable();
        let mut list = Vec::new();
        let mut nowhere: Vec<(&Condition, Vec<&str>)> = Vec::new();
        for (at, text) in texts {
            let condition = self.conditions[at];
            match &found[at] {
                Found::Exactly => {}
                Found::Nearly(cell, row) => list.push(plain(
                    format!(
                        "no row of {table} has {} in column {}, and {} has {}",
                        quoted(text),
                        condition.column,
                        table.place(*row),
                        quoted(cell)
                    ),
                    Some(condition.place.clone()),
                    "text is compared exactly, case and white space too: write it as the source does".to_owned(),
                )),
                Found::Nowhere => match nowhere.last_mut() {
                    Some((last, texts)) if last.place == condition.place => texts.push(text),
                    _ => nowhere.push((condition, vec![text])),
                },
            }
        }
        for (condition, texts) in nowhere {
            let shown: Vec<String> = texts.iter().take(FEW).map(|text| quoted(text)).collect();
            let more = if texts.len() > FEW { ", …" } else { "" };
            let leaves_out = |test: &Test| matches!(test, Test::Not(_));
            let so_far = match condition.tests.iter().any(leaves_out) {
                true => "it leaves nobody out today",
                false => "nothing matches it today",
            };
            list.push(plain(
                format!(
                    "no row of {table} has {}{more} in column {}",
                    shown.join(" or "),
                    condition.column
                ),
                Some(condition.place.clone()),
                format!("{so_far}; correct it, or remove it where it is no longer written so"),
            ));
        }
        list
    }
}

fn fold(text: &str) -> String {
    text.trim().to_lowercase()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_id_that_a_program_wrote_anew_is_known_by_its_form() {
        for (kind, ids) in [
            (Some(0), &["1042.0", "7.00"][..]),
            (Some(1), &["1.0E+05", "1,05E+12", "4e+7"]),
            (Some(2), &["=\"00123\""]),
            (
                Some(3),
                &[
                    "#N/A", "#REF!", "#NAME?", "NULL", "null", "\\N", "-", "---", "\u{2014}",
                    "None",
                ],
            ),
            (
                Some(4),
                &["-----+----", "(2 rows affected)", "(1 row)", "(12 rijen)"],
            ),
            (
                None,
                &[
                    "crm-1042",
                    "1042",
                    "1042.5",
                    "12E5",
                    "a.0",
                    "c-1",
                    "-1",
                    "#12",
                    "null-1",
                    "2 rows",
                    "d\u{e9}",
                    "+31612345678",
                ],
            ),
        ] {
            for id in ids {
                assert_eq!(odd(id), kind, "{id}");
            }
        }
    }
}
