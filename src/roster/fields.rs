//! Personalisation fields: templates, compiled once and rendered for each enrolment that has them.
//!
//! A template sees the row's columns, or the declared contact's attributes, as text. The names `contact`, `automation`
//! and, where the automation repeats, `occurrence` stand for the enrolment's own, even where a column is called so.

use std::collections::{BTreeMap, HashMap};
use std::fmt;

use minijinja::syntax::SyntaxConfig;
use minijinja::{AutoEscape, Environment, UndefinedBehavior, Value};

use super::Enrolment;
use super::cell::{Cells, DeclaredCells};
use crate::config::{Config, Diagnostic, Enrol, Field, FieldTemplate, nearest};
use crate::field::{FieldContent, FieldValue};
use crate::id::ContactId;
use crate::source::{SourceError, Table};

/// Why fields cannot be sent. None of these sentences holds a value.
#[derive(Debug, thiserror::Error)]
pub enum FieldError {
    /// The row cannot be read again.
    #[error(transparent)]
    Source(#[from] SourceError),
    /// A field cannot be made of the row.
    #[error("the field `{name}` {why}")]
    Field {
        /// The field.
        name: String,
        /// What is wrong; reads on after its name.
        why: String,
    },
    /// The row gives other fields than the plan was made with.
    #[error("the source has changed since the plan was made; plan again")]
    Changed,
}

/// What a name in a template stands for.
#[derive(Debug, Clone)]
enum Input {
    Contact,
    Automation,
    Occurrence,
    Column(usize),
    Attribute,
}

/// The fields of one automation's enrolments by one block.
#[derive(Debug)]
struct FieldPlan {
    fields: Vec<Field>,
    inputs: Vec<(String, Input)>,
}

/// All fields, by block and automation.
pub(super) struct Plans {
    environment: Environment<'static>,
    plans: HashMap<(usize, usize), FieldPlan>,
}

impl fmt::Debug for Plans {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_map().entries(&self.plans).finish()
    }
}

impl Plans {
    /// Compiles all templates, and checks the names that they use against the sources' columns.
    pub(super) fn new(
        config: &Config,
        tables: &[Option<Table>],
        problems: &mut Vec<Diagnostic>,
    ) -> Self {
        let mut environment = Environment::new();
        environment.set_undefined_behavior(UndefinedBehavior::Strict);
        environment.set_auto_escape_callback(|_| AutoEscape::None);
        // What the column holds is what is sent, a line break at its end included.
        if let Ok(syntax) = SyntaxConfig::builder().keep_trailing_newline(true).build() {
            environment.set_syntax(syntax);
        }
        let mut plans = Self {
            environment,
            plans: HashMap::new(),
        };
        for (block, enrol) in config.enrols.iter().enumerate() {
            for &automation in &enrol.automations {
                let fields = merged(&config.automations[automation].fields, &enrol.fields);
                if fields.is_empty() {
                    continue;
                }
                let table = enrol.source.map(|source| tables[source].as_ref());
                // A source that cannot be opened is a problem already.
                if matches!(table, Some(None)) {
                    continue;
                }
                let inputs = plans.inputs(
                    config,
                    automation,
                    enrol,
                    table.flatten(),
                    &fields,
                    problems,
                );
                plans
                    .plans
                    .insert((block, automation), FieldPlan { fields, inputs });
            }
        }
        plans
    }

    fn inputs(
        &mut self,
        config: &Config,
        automation: usize,
        enrol: &Enrol,
        table: Option<&Table>,
        fields: &[Field],
        problems: &mut Vec<Diagnostic>,
    ) -> Vec<(String, Input)> {
        let repeats = config.automations[automation].repeat_by.is_some();
        let mut inputs: BTreeMap<String, Input> = BTreeMap::new();
        for field in fields {
            let mut names: Vec<String> = Vec::new();
            for text in templates(&field.template) {
                match self.names_in(text) {
                    Ok(found) => names.extend(found),
                    Err(why) => problems.push(Diagnostic::at(
                        field.place.clone(),
                        format!("`{}` is no template: {why}", field.name),
                    )),
                }
            }
            names.sort();
            names.dedup();
            for name in names {
                let input = match (name.as_str(), table) {
                    ("contact", _) => Input::Contact,
                    ("automation", _) => Input::Automation,
                    ("occurrence", _) if repeats => Input::Occurrence,
                    (_, None) => Input::Attribute,
                    (column, Some(table)) => match table.column(column) {
                        Some(column) => Input::Column(column),
                        None => {
                            problems.push(unknown_column(table, enrol, field, column));
                            continue;
                        }
                    },
                };
                inputs.insert(name, input);
            }
        }
        inputs.into_iter().collect()
    }

    /// Compiles a template and says which names it uses.
    fn names_in(&mut self, text: &str) -> Result<Vec<String>, String> {
        let detail =
            |error: minijinja::Error| error.detail().unwrap_or("it cannot be read").to_owned();
        self.environment
            .add_template_owned(text.to_owned(), text.to_owned())
            .map_err(detail)?;
        let template = self.environment.get_template(text).map_err(detail)?;
        let is_global = |name: &String| self.environment.globals().any(|(known, _)| known == name);
        let names = template.undeclared_variables(false).into_iter();
        Ok(names.filter(|name| !is_global(name)).collect())
    }

    /// Whether a block's enrolments in an automation have fields.
    pub(super) fn has(&self, block: usize, automation: usize) -> bool {
        self.plans.contains_key(&(block, automation))
    }

    /// Renders an enrolment's fields from a row.
    pub(super) fn render(
        &self,
        config: &Config,
        enrolment: &Enrolment<'_>,
        cell: &dyn Fn(usize) -> Option<String>,
    ) -> Result<Vec<FieldValue>, FieldError> {
        self.render_with(config, enrolment, &|input, _| match input {
            Input::Column(column) => cell(*column),
            _ => None,
        })
    }

    /// Renders the fields of an enrolment of a declared contact.
    pub(super) fn render_declared(
        &self,
        config: &Config,
        enrolment: &Enrolment<'_>,
    ) -> Result<Vec<FieldValue>, FieldError> {
        let contact = ContactId::new(enrolment.contact).ok();
        let declared = contact.and_then(|id| config.contacts.get(&id));
        self.render_with(config, enrolment, &|_, name| {
            let columns = [name.to_owned()];
            let cells = DeclaredCells {
                columns: &columns,
                attributes: declared.map(|contact| &contact.attributes),
            };
            cells.text(0).map(|text| text.into_owned())
        })
    }

    fn render_with(
        &self,
        config: &Config,
        enrolment: &Enrolment<'_>,
        lookup: &dyn Fn(&Input, &str) -> Option<String>,
    ) -> Result<Vec<FieldValue>, FieldError> {
        let Some(plan) = self.plans.get(&(enrolment.block, enrolment.automation)) else {
            return Ok(Vec::new());
        };
        let mut values: BTreeMap<&str, String> = BTreeMap::new();
        for (name, input) in &plan.inputs {
            let value = match input {
                Input::Contact => Some(enrolment.contact.to_owned()),
                Input::Automation => {
                    Some(config.automations[enrolment.automation].name.to_string())
                }
                Input::Occurrence => enrolment.occurrence.map(str::to_owned),
                Input::Column(_) | Input::Attribute => lookup(input, name),
            };
            // What is missing stays undefined, and strict rendering says so.
            if let Some(value) = value {
                values.insert(name, value);
            }
        }
        let values = Value::from_pairs(values);
        plan.fields
            .iter()
            .map(|field| self.field(field, &values))
            .collect()
    }

    fn field(&self, field: &Field, values: &Value) -> Result<FieldValue, FieldError> {
        let wrong = |why: &str| FieldError::Field {
            name: field.name.clone(),
            why: why.to_owned(),
        };
        let text = |template: &str| {
            self.environment
                .get_template(template)
                .and_then(|template| template.render(values))
                .map_err(|error| match error.kind() {
                    minijinja::ErrorKind::UndefinedError => {
                        wrong("uses a name that is not defined for this contact")
                    }
                    // The message of an error may quote a value; its kind does not.
                    kind => wrong(&format!("cannot be rendered: {kind}")),
                })
        };
        let content = match &field.template {
            FieldTemplate::String(template) => FieldContent::String(text(template)?),
            FieldTemplate::Url(template) => {
                let url = text(template)?;
                let is_url =
                    url::Url::parse(&url).is_ok_and(|url| matches!(url.scheme(), "http" | "https"));
                if !is_url {
                    return Err(wrong(
                        "is of type url, and what it renders to is no http(s) URL",
                    ));
                }
                FieldContent::Url(url)
            }
            FieldTemplate::Products(templates) => {
                let ids: Vec<String> = templates
                    .iter()
                    .map(|template| text(template))
                    .collect::<Result<_, _>>()?;
                FieldContent::Products(ids)
            }
            FieldTemplate::ProductsSplit(template) => {
                let ids = text(template)?;
                FieldContent::Products(ids.split(',').map(|id| id.trim().to_owned()).collect())
            }
        };
        if let FieldContent::Products(ids) = &content
            && (ids.is_empty() || ids.iter().any(String::is_empty))
        {
            return Err(wrong(
                "is a productlist, and one of its product ids is empty",
            ));
        }
        Ok(FieldValue {
            name: field.name.clone(),
            content,
        })
    }
}

/// The automation's fields, added to and overridden by the block's.
fn merged(automation: &[Field], block: &[Field]) -> Vec<Field> {
    let mut by_name: BTreeMap<&str, &Field> = BTreeMap::new();
    for field in automation.iter().chain(block) {
        by_name.insert(&field.name, field);
    }
    by_name.into_values().cloned().collect()
}

fn templates(template: &FieldTemplate) -> Vec<&str> {
    match template {
        FieldTemplate::String(text)
        | FieldTemplate::Url(text)
        | FieldTemplate::ProductsSplit(text) => {
            vec![text]
        }
        FieldTemplate::Products(texts) => texts.iter().map(String::as_str).collect(),
    }
}

fn unknown_column(table: &Table, enrol: &Enrol, field: &Field, column: &str) -> Diagnostic {
    let reserved = ["contact", "automation"];
    let names = table.columns().iter().map(String::as_str).chain(reserved);
    Diagnostic::at(
        field.place.clone(),
        format!(
            "the field `{}` uses `{column}`, and {table} has no such column",
            field.name
        ),
    )
    .related(enrol.place.clone(), "for the enrolments of this block")
    .help(match nearest(names, column) {
        Some(near) => format!("did you mean `{near}`?"),
        None => format!("the columns are {}", table.columns().join(", ")),
    })
}
