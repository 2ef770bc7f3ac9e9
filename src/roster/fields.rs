//! Personalisation fields: templates, compiled once and rendered for each enrolment that has them.
//!
//! A template sees the row's columns, or the declared contact's attributes, as text. The names `contact`, `automation`
//! and, where the automation repeats, `occurrence` stand for the enrolment's own, even where a column is called so.

use std::collections::{BTreeMap, HashSet};
use std::fmt;
use std::sync::Arc;

use minijinja::syntax::SyntaxConfig;
use minijinja::value::Object;
use minijinja::{AutoEscape, Environment, ErrorKind, UndefinedBehavior, Value};

use super::cell::Cells;
use super::columns::{Columns, NotOne};
use super::problems::plain;
use crate::config::{Automation, Diagnostic, Enrol, Field, FieldTemplate, ProductIds};
use crate::field::{FieldContent, FieldValue, is_web_address};

/// The templates of all fields. Each is known by its own text.
#[derive(Debug)]
pub(super) struct Templates<'c> {
    environment: Environment<'c>,
}

impl<'c> Templates<'c> {
    pub(super) fn new() -> Self {
        let mut environment = Environment::new();
        environment.set_undefined_behavior(UndefinedBehavior::Strict);
        environment.set_auto_escape_callback(|_| AutoEscape::None);
        // What the column holds is what is sent, a line break at its end included.
        if let Ok(syntax) = SyntaxConfig::builder().keep_trailing_newline(true).build() {
            environment.set_syntax(syntax);
        }
        Self { environment }
    }

    /// Adds a template and says which names it uses, or why it is none.
    fn add(&mut self, text: &'c str) -> Result<Vec<String>, String> {
        let names = self
            .environment
            .add_template(text, text)
            .and_then(|()| self.environment.get_template(text))
            .map(|template| template.undeclared_variables(false));
        let detail =
            |error: minijinja::Error| error.detail().unwrap_or("it cannot be read").to_owned();
        let mut names = names.map_err(detail)?;
        for (global, _) in self.environment.globals() {
            names.remove(global);
        }
        match self.try_out(text, &names) {
            Some(error) => Err(detail(error)),
            None => Ok(names.into_iter().collect()),
        }
    }

    /// Whether a template asks for a filter, a test or a function that there is not, which shows only where it is rendered:
    /// here with nobody's values. Whatever else is wrong then may be right with other values.
    fn try_out(&self, text: &str, names: &HashSet<String>) -> Option<minijinja::Error> {
        let inputs: Value = names.iter().map(|name| (name.as_str(), "1")).collect();
        let template = self.environment.get_template(text).ok()?;
        let error = template.render(inputs).err()?;
        matches!(
            error.kind(),
            ErrorKind::UnknownFilter | ErrorKind::UnknownTest | ErrorKind::UnknownFunction
        )
        .then_some(error)
    }

    fn render(&self, text: &str, inputs: &Value) -> Result<String, ErrorKind> {
        if !text.contains('{') {
            return Ok(text.to_owned());
        }
        // The message of an error may quote a value; its kind does not.
        self.environment
            .get_template(text)
            .and_then(|template| template.render(inputs))
            .map_err(|error| error.kind())
    }
}

/// The fields of an automation's enrolments by one block.
#[derive(Debug)]
pub(super) struct Fields<'c> {
    list: Vec<&'c Field>,
    names: Arc<[(String, Input)]>,
}

/// What a name in a template stands for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Input {
    Contact,
    Automation,
    Occurrence,
    Column(usize),
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

impl<'c> Fields<'c> {
    /// Compiles the fields of an automation, with a block's own over them; `None` where there are none.
    ///
    /// `columns` are those that a template may name.
    pub(super) fn new(
        templates: &mut Templates<'c>,
        automation: &'c Automation,
        enrol: &'c Enrol,
        columns: &Columns<'_>,
        problems: &mut Vec<Diagnostic>,
    ) -> Option<Self> {
        let both = automation.fields.iter().chain(&enrol.fields);
        let merged: BTreeMap<&str, &Field> = both.map(|f| (f.name.as_str(), f)).collect();
        let mut names = BTreeMap::new();
        for field in merged.values() {
            for text in texts(&field.template) {
                let used = templates.add(text).unwrap_or_else(|why| {
                    problems.push(not_a_template(field, &why));
                    Vec::new()
                });
                for name in used {
                    let input = match name.as_str() {
                        "contact" => Some(Input::Contact),
                        "automation" => Some(Input::Automation),
                        "occurrence" => automation.repeat_by.is_some().then_some(Input::Occurrence),
                        _ => match columns.find(&name) {
                            Ok(column) => Some(Input::Column(column)),
                            Err(not_one @ NotOne::Two(..)) => {
                                let message = format!(
                                    "field {} names `{name}`, which {}",
                                    field.name,
                                    columns.problem(not_one)
                                );
                                let advice = columns.advice(not_one, &name);
                                problems.push(plain(message, Some(field.place.clone()), advice));
                                continue;
                            }
                            Err(NotOne::None) => None,
                        },
                    };
                    match input {
                        Some(input) => _ = names.insert(name, input),
                        None => problems.push(unknown_name(field, &name, enrol, columns)),
                    }
                }
            }
        }
        (!merged.is_empty()).then(|| Self {
            list: merged.into_values().collect(),
            names: names.into_iter().collect(),
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
            Input::Column(column) => cells.text(column).map_or(Value::UNDEFINED, Value::from),
        };
        let inputs = Value::from_object(Inputs {
            names: Arc::clone(&self.names),
            values: self.names.iter().map(|(_, input)| value(*input)).collect(),
        });
        let mut fields = Vec::with_capacity(self.list.len());
        for field in &self.list {
            let render = |text: &String| {
                let rendered = templates.render(text, &inputs);
                rendered.map_err(|kind| self.unrendered(kind, cells))
            };
            let content = content(&field.template, render);
            fields.push(FieldValue {
                name: field.name.clone(),
                content: content.map_err(|why| FieldIssue { field, why })?,
            });
        }
        Ok(fields)
    }

    fn unrendered<C: Cells>(&self, kind: ErrorKind, cells: &C) -> String {
        let absent = |(name, input): &(String, Input)| match input {
            Input::Column(column) if cells.text(*column).is_none() => Some(name.clone()),
            _ => None,
        };
        let absent: Vec<String> = self.names.iter().filter_map(absent).collect();
        match kind {
            ErrorKind::UndefinedError if !absent.is_empty() => {
                format!("there is no attribute {}", absent.join(" or "))
            }
            kind => format!("its template failed: {kind}"),
        }
    }
}

/// The templates of a field.
fn texts(template: &FieldTemplate) -> &[String] {
    match template {
        FieldTemplate::String(text) | FieldTemplate::Url(text) => std::slice::from_ref(text),
        FieldTemplate::Products { ids, .. } => match ids {
            ProductIds::List(texts) => texts,
            ProductIds::Split { template, .. } => std::slice::from_ref(template),
        },
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
    match products.iter().any(|id| id.trim().is_empty()) {
        true => Err("one of its product ids is empty".to_owned()),
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
    names: Arc<[(String, Input)]>,
    values: Vec<Value>,
}

impl Object for Inputs {
    fn get_value(self: &Arc<Self>, key: &Value) -> Option<Value> {
        let key = key.as_str()?;
        let place = self.names.iter().position(|(name, _)| name == key)?;
        self.values.get(place).cloned()
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
        for bad in ["", " ", "sku-1,", ",sku-1", "a,,b"] {
            assert!(split(bad).is_err(), "{bad:?}");
        }
    }
}
