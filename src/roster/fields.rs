//! Personalisation fields: templates, compiled once and rendered for each enrolment that has them.
//!
//! A template sees the row's columns, or the declared contact's attributes, as text. The names `contact`, `automation`
//! and, where the automation repeats, `occurrence` stand for the enrolment's own.

use std::collections::{BTreeMap, BTreeSet, HashSet};
use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

use jiff::tz::TimeZone;
use minijinja::syntax::SyntaxConfig;
use minijinja::value::{DynObject, Object, ValueKind};
use minijinja::{AutoEscape, Environment, Error, ErrorKind, State, UndefinedBehavior, Value};

use super::cell::{Cell, Cells, Kind as Read};
use super::columns::{Columns, NotOne};
use super::problems::plain;
use super::reading::Reading;
use super::template::{self, Kind, Known, Name};
use crate::config::{
    Automation, Diagnostic, Enrol, Field, FieldTemplate, Notation, ProductIds, is_blank,
};
use crate::field::{FieldContent, FieldValue, is_other_list, is_web_address};

/// How much work a template may be for one row, in minijinja's steps.
const MOST_WORK: u64 = 50_000;

/// After so many rows for which a field was too much work, no more are tried: each would take as long.
const MOST_TRIES: u32 = 100;

/// Under this name filters find how the source writes its values. No template can name it.
const READING: &str = " reading";

/// What texts say that something is not so, where a template asks whether there is something.
const NOT_SO: [&str; 5] = ["false", "no", "nee", "0", "off"];

/// The templates of all fields. Each is known by its own text.
#[derive(Debug)]
pub(super) struct Templates<'c> {
    environment: Environment<'c>,
}

impl Templates<'_> {
    /// None at all.
    pub(super) fn none() -> Self {
        let environment = Environment::new();
        Self { environment }
    }
}

/// What a column holds is what is sent, a line break at its end included.
fn syntax() -> SyntaxConfig {
    let syntax = SyntaxConfig::builder().keep_trailing_newline(true).build();
    syntax.unwrap_or_default()
}

impl<'c> Templates<'c> {
    pub(super) fn new() -> Self {
        let mut environment = Environment::new();
        // To ask whether there is something is no mistake where there is nothing.
        environment.set_undefined_behavior(UndefinedBehavior::SemiStrict);
        environment.set_auto_escape_callback(|_| AutoEscape::None);
        environment.set_fuel(Some(MOST_WORK));
        environment.set_formatter(|out, state, value| match bool::try_from(value.clone()) {
            // As in TOML.
            Ok(truth) if value.kind() == ValueKind::Bool => Ok(write!(out, "{truth}")?),
            _ if value.kind() == ValueKind::Number && !value.is_integer() => {
                let number = f64::try_from(value.clone())?;
                Ok(write!(out, "{}", in_sure_digits(number))?)
            }
            _ => minijinja::escape_formatter(out, state, value),
        });
        environment.set_syntax(syntax());
        environment.add_filter("default", default);
        environment.add_filter("number", number);
        environment.add_filter("date", date);
        environment.add_filter("format", format_date);
        Self { environment }
    }

    /// Adds a template and says what it uses, or why it is none.
    fn add(&mut self, text: &'c str, known: &dyn Known) -> Result<template::Uses, String> {
        let uses = template::check(text, syntax(), known)?;
        let added = self.environment.add_template(text, text);
        added.map_err(|error| error.detail().unwrap_or("it cannot be read").to_owned())?;
        Ok(uses)
    }

    fn render(&self, text: &str, inputs: &Value) -> Result<String, Error> {
        if !text.contains('{') {
            return Ok(text.to_owned());
        }
        self.environment.get_template(text)?.render(inputs)
    }
}

/// A number without the digits behind the fifteenth, which calculating leaves: 0.1 and 0.2 make 0.3.
fn in_sure_digits(number: f64) -> f64 {
    let sure = format!("{number:.14e}").parse().unwrap_or(number);
    // Nobody writes -0.
    if sure == 0.0 { 0.0 } else { sure }
}

/// How the values of a row are read, for filters.
#[derive(Debug)]
struct ReadAs {
    zone: TimeZone,
    notation: Notation,
    /// Texts of the templates themselves, which are written as in TOML.
    constants: BTreeSet<String>,
}

impl Object for ReadAs {}

/// What is said of a row for which a template is too much work.
const TOO_MUCH: &str = "its template is too much work";

/// What a filter says of a value, without it.
const NO_NUMBER: &str = "`number` reads a value that is not a number";
const NO_DATE: &str = "`date` reads a value that is not a date";
const NO_FORMAT: &str =
    "`format` asks for what the date does not have, or for nothing that there is";
const NOTHING: &str =
    "`number` or `date` reads a value that is absent: put `| default(\"…\")` before it";
const OWN: [&str; 4] = [NO_NUMBER, NO_DATE, NO_FORMAT, NOTHING];

fn wrong(what: &'static str) -> Error {
    Error::new(ErrorKind::InvalidOperation, what)
}

fn is_absent(value: &Value) -> bool {
    value.is_undefined() || value.as_str().is_some_and(is_blank)
}

fn default(value: Value, other: Value) -> Value {
    match is_absent(&value) {
        true => other,
        false => value,
    }
}

fn read(
    state: &State<'_, '_>,
    value: &Value,
    kind: Read,
) -> Result<(Cell<'static>, TimeZone), Error> {
    let why = if kind == Read::Number {
        NO_NUMBER
    } else {
        NO_DATE
    };
    if is_absent(value) {
        return Err(wrong(NOTHING));
    }
    let reading = state.lookup(READING).ok_or_else(|| wrong(why))?;
    let of: &ReadAs = reading.downcast_object_ref().ok_or_else(|| wrong(why))?;
    let text = value.as_str().ok_or_else(|| wrong(why))?;
    let plain = Notation::default();
    let notation = [&of.notation, &plain];
    let so_many = 1 + usize::from(of.constants.contains(text));
    let mut found = notation.iter().take(so_many).filter_map(|notation| {
        let zone = &of.zone;
        Some(match (Reading { zone, notation }).read(text, kind)? {
            Cell::Integer(number) => Cell::Integer(number),
            Cell::Decimal(number) => Cell::Decimal(number),
            Cell::Date(day) => Cell::Date(day),
            Cell::Moment(at) => Cell::Moment(at),
            Cell::Text(_) | Cell::Boolean(_) => return None,
        })
    });
    let cell = found.next().ok_or_else(|| wrong(why))?;
    Ok((cell, of.zone.clone()))
}

fn number(state: &State<'_, '_>, value: Value) -> Result<Value, Error> {
    match read(state, &value, Read::Number)?.0 {
        Cell::Integer(number) => Ok(Value::from(number)),
        Cell::Decimal(number) => Ok(Value::from(number.float())),
        _ => Err(wrong(NO_NUMBER)),
    }
}

/// A day or a moment, which are compared as conditions compare them.
#[derive(Debug)]
struct When {
    at: Cell<'static>,
    zone: TimeZone,
}

impl Object for When {
    fn custom_cmp(self: &Arc<Self>, other: &DynObject) -> Option<std::cmp::Ordering> {
        self.at.order(other.downcast_ref::<When>()?.at, &self.zone)
    }
}

fn date(state: &State<'_, '_>, value: Value) -> Result<Value, Error> {
    let (at, zone) = read(state, &value, Read::Date)?;
    Ok(Value::from_object(When { at, zone }))
}

fn format_date(value: Value, format: &str) -> Result<String, Error> {
    let when: &When = value.downcast_object_ref().ok_or_else(|| wrong(NO_DATE))?;
    let text = match when.at {
        Cell::Date(day) => jiff::fmt::strtime::format(format, day),
        Cell::Moment(at) => {
            jiff::fmt::strtime::format(format, &at.to_zoned_datetime(when.zone.clone()))
        }
        _ => return Err(wrong(NO_DATE)),
    };
    text.map_err(|_| wrong(NO_FORMAT))
}

/// The fields of an automation's enrolments by one block.
#[derive(Debug)]
pub(super) struct Fields<'c> {
    list: Vec<&'c Field>,
    names: Arc<[(Name, Input)]>,
    /// For each field the columns of which it asks whether there is something.
    asked: Vec<Vec<usize>>,
    reading: Arc<ReadAs>,
    /// For how many rows a field was too much work.
    given_up: AtomicU32,
}

/// What a name in a template stands for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Input {
    Contact,
    Automation,
    Occurrence,
    Column(usize),
    /// An attribute that is true or false wherever it is declared.
    Truth(usize),
}

/// Whom fields are rendered for.
#[derive(Debug, Clone, Copy)]
pub(super) struct For<'a> {
    pub(super) contact: &'a str,
    pub(super) automation: &'a str,
    pub(super) occurrence: Option<&'a str>,
}

/// A field that cannot be made for an enrolment. It does not hold the value.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct FieldIssue<'c> {
    pub(super) field: &'c Field,
    pub(super) why: String,
}

impl Known for Columns<'_> {
    fn kind(&self, name: &Name) -> Kind {
        match self.truths.contains(name.as_str()) {
            true => Kind::Truth,
            false => Kind::Text,
        }
    }

    fn has_column(&self, name: &str) -> bool {
        self.has(name)
    }
}

impl<'c> Fields<'c> {
    /// Compiles the fields of an automation, with a block's own over them; `None` where there are none.
    ///
    /// `columns` are those that a template may name.
    pub(super) fn new(
        templates: &mut Templates<'c>,
        automation: &'c Automation,
        enrol: &'c Enrol,
        columns: &Columns<'_>,
        reading: Reading<'_>,
        problems: &mut Vec<Diagnostic>,
    ) -> Option<Self> {
        let both = automation.fields.iter().chain(&enrol.fields);
        let merged: BTreeMap<&str, &Field> = both.map(|f| (f.name.as_str(), f)).collect();
        if merged.is_empty() {
            return None;
        }
        let mut names = BTreeMap::new();
        let (mut asked, mut constants) = (Vec::new(), BTreeSet::new());
        for field in merged.values() {
            let mut asked_here = Vec::new();
            for text in field.template.texts() {
                let uses = match templates.add(text, columns) {
                    Ok(uses) => uses,
                    Err(why) => {
                        problems.push(not_a_template(field, &why));
                        continue;
                    }
                };
                constants.extend(uses.constants);
                for name in uses.names {
                    let is_asked = uses.asked.contains(&name);
                    match input(&name, field, automation, enrol, columns) {
                        Ok(input) => {
                            if let Input::Column(column) = input
                                && is_asked
                            {
                                asked_here.push(column);
                            }
                            names.insert(name, input);
                        }
                        Err(problem) => problems.push(*problem),
                    }
                }
            }
            asked.push(asked_here);
        }
        Some(Self {
            list: merged.into_values().collect(),
            names: names.into_iter().collect(),
            asked,
            reading: Arc::new(ReadAs {
                zone: reading.zone.clone(),
                notation: reading.notation.clone(),
                constants,
            }),
            given_up: AtomicU32::new(0),
        })
    }

    /// The fields, in the order of their names.
    pub(super) fn list(&self) -> impl Iterator<Item = &'c Field> {
        self.list.iter().copied()
    }

    /// Whether several rows of the same contact and occurrence make one value together.
    pub(super) fn take_each_row(&self) -> bool {
        self.list
            .iter()
            .any(|field| field.template.takes_each_row())
    }

    /// Renders all of them, in the order of their names.
    pub(super) fn render<C: Cells>(
        &self,
        templates: &Templates<'c>,
        cells: &C,
        whom: For<'_>,
    ) -> Result<Vec<FieldValue>, FieldIssue<'c>> {
        let value = |input: Input| match input {
            Input::Contact => Value::from(whom.contact),
            Input::Automation => Value::from(whom.automation),
            Input::Occurrence => whom.occurrence.map_or(Value::UNDEFINED, Value::from),
            Input::Column(column) => match cells.written(column) {
                Some(text) if is_blank(&text) => Value::from(""),
                text => text.map_or(Value::UNDEFINED, Value::from),
            },
            Input::Truth(column) => cells
                .text(column)
                .map_or(Value::UNDEFINED, |text| Value::from(text == "true")),
        };
        let inputs = Value::from_object(Inputs {
            names: Arc::clone(&self.names),
            values: self.names.iter().map(|(_, input)| value(*input)).collect(),
            reading: Arc::clone(&self.reading),
        });
        let mut fields = Vec::with_capacity(self.list.len());
        for (field, asked) in self.list.iter().zip(&self.asked) {
            let says_no = |column: &&usize| {
                let text = cells.text(**column);
                text.is_some_and(|text| NOT_SO.contains(&text.trim().to_lowercase().as_str()))
                    || cells.cell(**column, Read::Boolean) == Ok(Some(Cell::Boolean(false)))
            };
            if let Some(&column) = asked.iter().find(says_no) {
                let name = self
                    .names
                    .iter()
                    .find(|(_, input)| *input == Input::Column(column));
                let name = name.map_or("a column", |(name, _)| name.as_str());
                return Err(FieldIssue {
                    field,
                    why: format!(
                        "its template asks whether there is a {name}, and the value says no: compare it with the word"
                    ),
                });
            }
            let render = |text: &String| {
                if self.given_up.load(Ordering::Relaxed) >= MOST_TRIES {
                    return Err(TOO_MUCH.to_owned());
                }
                let rendered = templates.render(text, &inputs);
                rendered.map_err(|error| self.unrendered(&error, cells))
            };
            let content = content(&field.template, render);
            fields.push(FieldValue {
                name: field.name.clone(),
                content: content.map_err(|why| FieldIssue { field, why })?,
            });
        }
        Ok(fields)
    }

    /// Why a template gave nothing. The message of an error may quote a value; its kind, and what our own filters say, does
    /// not.
    fn unrendered<C: Cells>(&self, error: &Error, cells: &C) -> String {
        let absent = |(name, input): &(Name, Input)| match input {
            Input::Column(column) | Input::Truth(column) if cells.text(*column).is_none() => {
                Some(name.as_str().to_owned())
            }
            _ => None,
        };
        let absent: Vec<String> = self.names.iter().filter_map(absent).collect();
        let own = OWN.iter().find(|own| error.detail() == Some(own));
        match (error.kind(), own) {
            (ErrorKind::UndefinedError, _) if !absent.is_empty() => {
                format!("there is no attribute {}", absent.join(" or "))
            }
            (ErrorKind::OutOfFuel, _) => {
                self.given_up.fetch_add(1, Ordering::Relaxed);
                TOO_MUCH.to_owned()
            }
            (_, Some(own)) => format!("its template failed: {own}"),
            (kind, None) => format!("its template failed: {kind}"),
        }
    }
}

/// What a name stands for, or what is wrong with it.
fn input(
    name: &Name,
    field: &Field,
    automation: &Automation,
    enrol: &Enrol,
    columns: &Columns<'_>,
) -> Result<Input, Box<Diagnostic>> {
    let own = match name {
        Name::Bare(name) => match name.as_str() {
            "contact" => Some(Input::Contact),
            "automation" => Some(Input::Automation),
            "occurrence" => automation.repeat_by.is_some().then_some(Input::Occurrence),
            _ => None,
        },
        Name::Column(_) => None,
    };
    let text = name.as_str();
    if let (Name::Bare(_), "contact" | "automation" | "occurrence") = (name, text)
        && columns.has(text)
    {
        return Err(Box::new(plain(
            format!(
                "field {} names `{text}`, which is the enrolment's own and {}",
                field.name, columns.origin
            ),
            Some(field.place.clone()),
            format!("write {{{{ row[\"{text}\"] }}}} for the column"),
        )));
    }
    if let Some(own) = own {
        return Ok(own);
    }
    match columns.find(text) {
        Ok(column) if columns.truths.contains(text) => Ok(Input::Truth(column)),
        Ok(column) => Ok(Input::Column(column)),
        Err(not_one @ NotOne::Two(..)) => {
            let problem = columns.problem(not_one);
            let message = format!("field {} names `{text}`, which {problem}", field.name);
            let advice = columns.advice(not_one, text);
            Err(Box::new(plain(message, Some(field.place.clone()), advice)))
        }
        Err(NotOne::None) => Err(Box::new(unknown_name(field, text, enrol, columns))),
    }
}

/// A field's content, checked as its type demands.
fn content(
    template: &FieldTemplate,
    render: impl Fn(&String) -> Result<String, String>,
) -> Result<FieldContent, String> {
    let (ids, each_row) = match template {
        FieldTemplate::String(text) => return Ok(FieldContent::String(render(text)?)),
        FieldTemplate::Url(text) => {
            let text = render(text)?;
            return match is_web_address(&text) {
                true => Ok(FieldContent::Url(text)),
                false => Err("its value is not an absolute http or https URL".to_owned()),
            };
        }
        FieldTemplate::Products { ids, each_row } => (ids, *each_row),
    };
    let mut products: Vec<String> = match ids {
        ProductIds::List(texts) => texts.iter().map(render).collect::<Result<_, _>>()?,
        ProductIds::Split {
            template,
            separator,
        } => {
            let text = render(template)?;
            if is_other_list(&text) {
                return Err(format!(
                    "its value is a list in another notation: the ids stand between `{separator}` alone"
                ));
            }
            text.split(separator.as_str())
                .map(|id| id.trim().to_owned())
                .collect()
        }
    };
    if each_row {
        // As between rows, so within one: the same rows in any other grouping give the same list.
        let mut seen = HashSet::new();
        products.retain(|id| seen.insert(id.clone()));
    }
    if products.iter().any(|id| id.trim().is_empty()) {
        return Err("one of its product ids is empty".to_owned());
    }
    match products.iter().any(|id| is_other_list(id)) {
        true => Err("one of its product ids is a list in another notation".to_owned()),
        false => Ok(FieldContent::Products(products)),
    }
}

fn not_a_template(field: &Field, why: &str) -> Diagnostic {
    Diagnostic {
        message: format!("field {} is not a template: {why}", field.name),
        at: Some(field.place.clone()),
        label: None,
        related: Vec::new(),
        help: Some(
            "write a column as {{ company }}, and filters behind it: {{ company | upper }}"
                .to_owned(),
        ),
    }
}

fn unknown_name(field: &Field, name: &str, enrol: &Enrol, columns: &Columns<'_>) -> Diagnostic {
    let help = match columns.nearest(name) {
        _ if name == "occurrence" => {
            "give the automation a `repeat_by`, or leave the occurrence out".to_owned()
        }
        Some(nearest) => format!("did you mean `{nearest}`?"),
        None => "an enrolment's own `contact`, `automation` and `occurrence` may be named too"
            .to_owned(),
    };
    Diagnostic {
        message: match name {
            "occurrence" => format!(
                "field {} names an occurrence, and there is none",
                field.name
            ),
            _ => format!(
                "field {} names `{name}`, which is not {}",
                field.name, columns.origin
            ),
        },
        at: Some(field.place.clone()),
        label: None,
        related: vec![(enrol.place.clone(), "enrolled here".to_owned())],
        help: Some(help),
    }
}

/// What templates see of a row. `Debug` does not show the values.
struct Inputs {
    names: Arc<[(Name, Input)]>,
    values: Vec<Value>,
    reading: Arc<ReadAs>,
}

impl Inputs {
    fn find(&self, is_it: impl Fn(&Name) -> bool) -> Option<Value> {
        let place = self.names.iter().position(|(name, _)| is_it(name))?;
        self.values.get(place).cloned()
    }
}

impl Object for Inputs {
    fn get_value(self: &Arc<Self>, key: &Value) -> Option<Value> {
        match key.as_str()? {
            "row" => Some(Value::from_object(Row(Arc::clone(self)))),
            READING => Some(Value::from_dyn_object(Arc::clone(&self.reading))),
            key => self.find(|name| matches!(name, Name::Bare(name) if name == key)),
        }
    }
}

/// All columns, by their names.
#[derive(Debug)]
struct Row(Arc<Inputs>);

impl Object for Row {
    fn get_value(self: &Arc<Self>, key: &Value) -> Option<Value> {
        let key = key.as_str()?;
        self.0
            .find(|name| matches!(name, Name::Column(name) if name == key))
    }
}

impl fmt::Debug for Inputs {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("(…)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn products_are_split_at_commas_and_trimmed_and_none_is_empty() {
        let split = |text: &str| {
            let ids = ProductIds::Split {
                template: text.to_owned(),
                separator: ",".to_owned(),
            };
            let each_row = false;
            content(&FieldTemplate::Products { ids, each_row }, |text| {
                Ok(text.clone())
            })
        };
        let ids =
            |ids: &[&str]| FieldContent::Products(ids.iter().map(|&id| id.to_owned()).collect());
        assert!(split("sku-1, sku-2") == Ok(ids(&["sku-1", "sku-2"])));
        for bad in [
            "",
            " ",
            "sku-1,",
            ",sku-1",
            "a,,b",
            "{a,b}",
            " [\"a\",\"b\"] ",
        ] {
            assert!(split(bad).is_err(), "{bad:?}");
        }
    }
}
