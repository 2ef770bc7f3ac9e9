//! Walking a TOML tree so that every problem is found in one reading.
//!
//! A [`Table`] notes which keys were asked for; what is left over when it is finished is unknown.

use std::cell::RefCell;
use std::collections::{BTreeMap, HashMap};
use std::ops::Range;
use std::sync::Arc;

use toml::Spanned;
use toml::de::{DeTable, DeValue};

use super::diagnostic::{Diagnostic, Place, SHOWN_OF_ONE_FILE};
use super::suggest::nearest;

/// One file, parsed.
pub(super) struct Doc {
    /// Its name, relative to the configuration's root.
    pub file: Arc<str>,
    line_starts: Vec<usize>,
}

impl Doc {
    pub(super) fn new(file: Arc<str>, text: &str) -> Self {
        let breaks = text.bytes().enumerate().filter(|(_, b)| *b == b'\n');
        Self {
            file,
            line_starts: std::iter::once(0)
                .chain(breaks.map(|(at, _)| at + 1))
                .collect(),
        }
    }

    /// A span of it as a place.
    pub(super) fn place(&self, span: Range<usize>) -> Place {
        Place {
            file: self.file.clone(),
            line: self
                .line_starts
                .partition_point(|start| *start <= span.start),
            span: (span.start, span.end),
        }
    }
}

/// Where problems go.
#[derive(Default)]
pub(super) struct Sink {
    list: RefCell<Vec<Diagnostic>>,
    /// How many problems each file has.
    counts: RefCell<HashMap<Arc<str>, usize>>,
    /// The parts of each file in which no problem is reported: in their order, none in another.
    passed_over: RefCell<BTreeMap<Arc<str>, Vec<Range<usize>>>>,
}

impl Sink {
    pub(super) fn push(&self, diagnostic: Diagnostic) {
        let is_guess = diagnostic.at.as_ref().is_some_and(|at| {
            let passed_over = self.passed_over.borrow();
            let parts = passed_over.get(&at.file).map_or(&[][..], Vec::as_slice);
            let before = parts.partition_point(|part| part.start <= at.span.0);
            parts[..before]
                .last()
                .is_some_and(|part| part.contains(&at.span.0))
        });
        if is_guess {
            return;
        }
        if let Some(at) = &diagnostic.at {
            *self.counts.borrow_mut().entry(at.file.clone()).or_default() += 1;
        }
        self.list.borrow_mut().push(diagnostic);
    }

    /// Whether the next problem of a file will be shown: where it is only counted, nobody reads costly advice.
    pub(super) fn shows_next(&self, file: &str) -> bool {
        let counts = self.counts.borrow();
        counts
            .get(file)
            .is_none_or(|count| *count < SHOWN_OF_ONE_FILE)
    }

    /// From now on, takes no problem in these parts of a file, in which something is no TOML.
    pub(super) fn pass_over(&self, file: &Arc<str>, parts: Vec<Range<usize>>) {
        self.passed_over.borrow_mut().insert(file.clone(), parts);
    }

    pub(super) fn len(&self) -> usize {
        self.list.borrow().len()
    }

    /// All that came, which is gone from here.
    pub(super) fn take(&self) -> Vec<Diagnostic> {
        self.list.take()
    }
}

/// Where a value stands: its file, and where problems with it go.
#[derive(Clone, Copy)]
pub(super) struct Ctx<'a> {
    pub doc: &'a Doc,
    pub sink: &'a Sink,
}

impl Ctx<'_> {
    pub(super) fn problem(
        &self,
        span: Range<usize>,
        message: impl Into<String>,
        help: impl Into<String>,
    ) {
        self.sink
            .push(Diagnostic::at(self.doc.place(span), message).help(help));
    }
}

/// A table that is being read.
pub(super) struct Table<'a> {
    pub ctx: Ctx<'a>,
    /// How messages name it: `[spotler]`.
    pub name: String,
    /// Its header, or itself where it is inline.
    pub span: Range<usize>,
    entries: &'a DeTable<'a>,
    known: RefCell<Vec<&'static str>>,
    refused: RefCell<Vec<&'static str>>,
}

impl<'a> Table<'a> {
    pub(super) fn new(
        ctx: Ctx<'a>,
        name: impl Into<String>,
        span: Range<usize>,
        entries: &'a DeTable<'a>,
    ) -> Self {
        Self {
            ctx,
            name: name.into(),
            span,
            entries,
            known: RefCell::default(),
            refused: RefCell::default(),
        }
    }

    pub(super) fn place(&self) -> Place {
        self.ctx.doc.place(self.span.clone())
    }

    /// A key's value, if it is there.
    pub(super) fn get(&self, key: &'static str) -> Option<Item<'a>> {
        let mut known = self.known.borrow_mut();
        if !known.contains(&key) {
            known.push(key);
        }
        self.find(key)
    }

    /// Whether a key is there, whoever asks for it.
    pub(super) fn has(&self, key: &str) -> bool {
        self.find(key).is_some()
    }

    fn find(&self, key: &str) -> Option<Item<'a>> {
        let (key, value) = self.entries.get_key_value(key)?;
        Some(Item {
            ctx: self.ctx,
            key: key.get_ref(),
            key_span: key.span(),
            value,
        })
    }

    /// A key's value; that it is missing is a problem.
    pub(super) fn require(&self, key: &'static str, advice: &str) -> Option<Item<'a>> {
        let item = self.get(key);
        if item.is_none() {
            self.ctx.problem(
                self.span.clone(),
                format!("{} has no `{key}`", self.name),
                advice,
            );
        }
        item
    }

    /// Reports a key that must not be there, if it is.
    pub(super) fn refuse(&self, key: &'static str, message: &str, help: &str) {
        if let Some(item) = self.find(key) {
            self.ctx.problem(item.key_span, message, help);
            self.refused.borrow_mut().push(key);
        }
    }

    /// All keys with their values, in the order of the file.
    pub(super) fn items(&self) -> impl Iterator<Item = Item<'a>> + use<'a> {
        let mut entries: Vec<_> = self.entries.iter().collect();
        entries.sort_by_key(|(key, _)| key.span().start);
        let ctx = self.ctx;
        entries.into_iter().map(move |(key, value)| Item {
            ctx,
            key: key.get_ref(),
            key_span: key.span(),
            value,
        })
    }

    /// Reports every key that was not asked for.
    pub(super) fn finish(self) {
        let known = self.known.take();
        let refused = self.refused.take();
        let is_known = |key: &str| known.contains(&key) || refused.contains(&key);
        for item in self.items().filter(|item| !is_known(item.key)) {
            let help = match nearest(known.iter().copied(), item.key) {
                // The one setting in no table: below a table, it is a part of that.
                _ if item.key == "include" => {
                    "write it above the first table of the file".to_owned()
                }
                Some(near) => format!("did you mean `{near}`?"),
                None => format!("{} takes {}", self.name, list(&known)),
            };
            self.ctx.problem(
                item.key_span,
                format!("{} has no setting `{}`", self.name, item.key),
                help,
            );
        }
    }
}

/// `a`, `b` and `c`.
pub(super) fn list(words: &[&str]) -> String {
    match words {
        [] => "nothing".to_owned(),
        [one] => format!("`{one}`"),
        [rest @ .., last] => {
            let rest: Vec<String> = rest.iter().map(|word| format!("`{word}`")).collect();
            format!("{} and `{last}`", rest.join(", "))
        }
    }
}

/// A value with its key.
#[derive(Clone)]
pub(super) struct Item<'a> {
    pub ctx: Ctx<'a>,
    pub key: &'a str,
    pub key_span: Range<usize>,
    pub value: &'a Spanned<DeValue<'a>>,
}

impl<'a> Item<'a> {
    pub(super) fn span(&self) -> Range<usize> {
        // The span of a table made by dotted keys is empty: its key is what can be shown.
        if self.value.span().is_empty() {
            self.key_span.clone()
        } else {
            self.value.span()
        }
    }

    pub(super) fn place(&self) -> Place {
        self.ctx.doc.place(self.span())
    }

    /// Reports that the value is not of the right type.
    pub(super) fn wrong_type(&self, wanted: &str, example: &str) {
        self.ctx.problem(
            self.span(),
            format!(
                "`{}` must be {wanted}, and is {}",
                self.key,
                type_name(self.value.get_ref())
            ),
            format!("write {example}"),
        );
    }

    pub(super) fn wrong(&self, message: impl Into<String>, help: impl Into<String>) {
        self.ctx.problem(self.span(), message, help);
    }

    pub(super) fn text(&self, example: &str) -> Option<&'a str> {
        let text = self.value.get_ref().as_str();
        if text.is_none() {
            self.wrong_type("text", example);
        }
        text
    }

    /// The name of a column.
    pub(super) fn column(&self, example: &str) -> Option<&'a str> {
        let text = self.text(example)?;
        if let Err(error) = crate::id::check(text) {
            self.wrong(
                format!("`{}` cannot be {text:?}: {error}", self.key),
                format!("write {example}"),
            );
            return None;
        }
        Some(text)
    }

    /// A whole number that is not negative.
    pub(super) fn count(&self, example: &str) -> Option<u64> {
        let number = self.value.get_ref().as_integer().and_then(integer);
        match number.map(u64::try_from) {
            Some(Ok(number)) => Some(number),
            Some(Err(_)) => {
                self.wrong(
                    format!("`{}` must not be negative", self.key),
                    format!("write {example}"),
                );
                None
            }
            None => {
                self.wrong_type("a whole number", example);
                None
            }
        }
    }

    pub(super) fn boolean(&self) -> Option<bool> {
        let value = self.value.get_ref().as_bool();
        if value.is_none() {
            self.wrong_type("a truth value", "true or false");
        }
        value
    }

    pub(super) fn table(&self, name: impl Into<String>) -> Option<Table<'a>> {
        let name = name.into();
        match self.value.get_ref() {
            DeValue::Table(entries) => Some(Table::new(self.ctx, name, self.span(), entries)),
            other => {
                let example = match self.key {
                    "where" => "`where.status = \"customer\"`".to_owned(),
                    "size" => "`size = { min = 10, max = 500 }`".to_owned(),
                    key @ ("enrol" | "suppress" | "require" | "exclusive" | "expect") => {
                        format!("`[[{key}]]`, with two brackets")
                    }
                    _ if other.is_array() && name.starts_with('[') => {
                        format!("`{name}`, with one bracket on each side")
                    }
                    key => match name.trim_start_matches('[').split_once('.') {
                        Some((kind, rest)) if rest.trim_end_matches(']') == key => {
                            format!(
                                "its settings below a header with a name, such as `[{kind}.welcome]`"
                            )
                        }
                        _ => format!("`[{key}]`"),
                    },
                };
                self.wrong_type("a table", &example);
                None
            }
        }
    }

    /// The elements of an array, each as an item under the array's key.
    pub(super) fn array(&self) -> Option<Vec<Item<'a>>> {
        let elements = self.value.get_ref().as_array()?;
        Some(
            elements
                .iter()
                .map(|value| Item {
                    ctx: self.ctx,
                    key: self.key,
                    key_span: value.span(),
                    value,
                })
                .collect(),
        )
    }

    /// Texts, of an array or of one text alone.
    pub(super) fn texts(&self, example: &str) -> Vec<(&'a str, Item<'a>)> {
        let items = self.array().unwrap_or_else(|| vec![self.clone()]);
        if items.is_empty() {
            self.wrong(
                format!("`{}` is empty", self.key),
                format!("write {example}"),
            );
        }
        items
            .into_iter()
            .filter_map(|item| item.text(example).map(|text| (text, item)))
            .collect()
    }
}

/// A TOML integer of any notation, where it fits.
pub(super) fn integer(number: &toml::de::DeInteger<'_>) -> Option<i64> {
    i64::from_str_radix(number.as_str(), number.radix()).ok()
}

fn type_name(value: &DeValue<'_>) -> &'static str {
    match value {
        DeValue::String(_) => "text",
        DeValue::Integer(_) => "a whole number",
        DeValue::Float(_) => "a number with a fraction",
        DeValue::Boolean(_) => "true or false",
        DeValue::Datetime(_) => "a date or time",
        DeValue::Array(_) => "an array",
        DeValue::Table(_) => "a table",
    }
}
