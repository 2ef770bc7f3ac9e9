//! `[automation.*]` and personalisation fields.

use std::collections::{BTreeMap, HashMap};

use super::diagnostic::Diagnostic;
use super::model::{
    Automation, Enrol, Field, FieldTemplate, Kind, Limit, OnChange, OnLeave, ParticipationSetting,
    ProductIds,
};
use super::reader::{Item, Table};
use super::settings::stop_limit;
use super::value::duration;
use crate::field::{is_other_list, is_web_address};
use crate::id::{AutomationName, TriggerCode};
use crate::text::is_unseen;

pub(super) fn automation(item: &Item<'_>) -> Option<Automation> {
    let table = item.table(format!("[automation.{}]", item.key))?;
    let name = match AutomationName::new(item.key) {
        Ok(name) => Some(name),
        Err(error) => {
            item.ctx.problem(
                item.key_span.clone(),
                format!("{:?} is not a name for an automation: {error}", item.key),
                "write a name such as customer-lifecycle",
            );
            None
        }
    };
    let example = "the code of the external trigger, copied from Spotler";
    let trigger_code = table
        .require("trigger_code", &format!("add {example}"))
        .and_then(|item| {
            let text = item.text(example)?;
            TriggerCode::new(text)
                .map_err(|error| {
                    item.wrong(
                        format!("{text:?} is not a trigger code: {error}"),
                        format!("write {example}"),
                    );
                })
                .ok()
        });
    let kind = choice(&table, "kind", &kinds());
    let participation = choice(
        &table,
        "participation",
        &[
            ("unlimited", ParticipationSetting::Unlimited),
            ("once-while-running", ParticipationSetting::OnceWhileRunning),
            ("once", ParticipationSetting::Once),
        ],
    );
    let on_leave = choice(
        &table,
        "on_leave",
        &[("stop", OnLeave::Stop), ("keep", OnLeave::Keep)],
    );
    let on_change = choice(
        &table,
        "on_change",
        &[
            ("ignore", OnChange::Ignore),
            ("retrigger", OnChange::Retrigger),
        ],
    );
    if on_change == OnChange::Retrigger
        && participation == ParticipationSetting::Once
        && let Some(item) = table.get("on_change")
    {
        item.wrong(
            "`on_change = \"retrigger\"` does not go with `participation = \"once\"`: Spotler would refuse the second \
             trigger, so a contact whose fields change would be stopped for good",
            "write \"ignore\", or set another participation in Spotler's Publisher and here",
        );
    }
    let repeat_by = table
        .get("repeat_by")
        .and_then(|item| item.column("the name of a column, such as \"order_id\""))
        .map(str::to_owned);
    let cooldown = table
        .get("cooldown")
        .and_then(|item| duration(&item, "\"30d\""));
    let leave_after = table
        .get("leave_after")
        .and_then(|item| duration(&item, "\"48h\""));
    let runs_for = table.get("runs_for").and_then(|item| {
        let runs_for = duration(&item, "\"21d\"")?;
        if runs_for.is_zero() {
            item.wrong(
                "`runs_for` is zero, so that every run would be over at once",
                "write how long a run lasts; where runs have no end, leave it out",
            );
        }
        Some(runs_for)
    });
    let again_after = table.get("again_after").and_then(|item| {
        let again_after = duration(&item, "\"90d\"")?;
        match runs_for {
            Some(runs_for) if again_after < runs_for => item.wrong(
                "`again_after` is shorter than `runs_for`: a contact would run twice at once",
                "write a time from the trigger that is at least `runs_for`",
            ),
            _ => {}
        }
        Some(again_after)
    });
    let max_triggers = limit(&table, "max_triggers", |item| {
        item.count("a number, such as 1000")
    });
    let max_stops = limit(&table, "max_stops", stop_limit);
    let max_per_run = limit(&table, "max_per_run", |item| {
        item.count("a number, such as 100")
    });
    let max_per_day = limit(&table, "max_per_day", |item| {
        item.count("a number, such as 500")
    });
    let fields = table
        .get("fields")
        .map(|item| fields(&item))
        .unwrap_or_default();
    let place = item.ctx.doc.place(item.key_span.clone());
    table.finish();
    Some(Automation {
        name: name?,
        trigger_code: trigger_code?,
        kind,
        participation,
        repeat_by,
        on_leave,
        on_change,
        cooldown,
        runs_for,
        again_after,
        leave_after,
        max_triggers,
        max_stops,
        max_per_run,
        max_per_day,
        fields,
        order: 0,
        place,
    })
}

/// A limit that is set for one automation, with its place.
fn limit<T>(
    table: &Table<'_>,
    key: &'static str,
    read: impl FnOnce(&Item<'_>) -> Option<T>,
) -> Option<Limit<T>> {
    let item = table.get(key)?;
    Some(Limit {
        value: read(&item)?,
        place: Some(item.place()),
    })
}

/// A setting that is one of some words; the first is the default.
fn choice<T: Copy>(table: &Table<'_>, key: &'static str, words: &[(&str, T)]) -> T {
    choice_of(table, key, words).unwrap_or(words[0].1)
}

/// The kinds of mail, the default first.
pub(super) fn kinds() -> [(&'static str, Kind); 2] {
    [("marketing", Kind::Marketing), ("service", Kind::Service)]
}

/// One of some words, where the key is there.
pub(super) fn choice_of<T: Copy>(
    table: &Table<'_>,
    key: &'static str,
    words: &[(&str, T)],
) -> Option<T> {
    let item = table.get(key)?;
    let names: Vec<&str> = words.iter().map(|(word, _)| *word).collect();
    let quoted: Vec<String> = names.iter().map(|name| format!("{name:?}")).collect();
    let example = quoted.join(" or ");
    let text = item.text(&example)?;
    match words.iter().find(|(word, _)| *word == text) {
        Some((_, value)) => Some(*value),
        None => {
            let help = match super::suggest::nearest(names, text) {
                Some(near) => format!("did you mean {near:?}?"),
                None => format!("write {example}"),
            };
            item.wrong(format!("`{key}` cannot be {text:?}"), help);
            None
        }
    }
}

/// The fields of an automation or a block, sorted by name.
pub(super) fn fields(item: &Item<'_>) -> Vec<Field> {
    let Some(table) = item.table("`fields`") else {
        return Vec::new();
    };
    let mut fields: Vec<Field> = table.items().filter_map(|item| field(&item)).collect();
    fields.sort_by(|a, b| a.name.cmp(&b.name));
    fields
}

fn field(item: &Item<'_>) -> Option<Field> {
    // The rules are those of the vendor's help page: unique, without spaces, case-sensitive.
    if item.key.is_empty()
        || item
            .key
            .contains(|c: char| c.is_whitespace() || is_unseen(c))
    {
        item.ctx.problem(
            item.key_span.clone(),
            format!(
                "{:?} is not a name for a field: it is empty, or holds a space or what cannot be seen",
                item.key
            ),
            "write the name of the placeholder in the message, such as customerCompany",
        );
        return None;
    }
    let template = match item.value.get_ref().as_str() {
        Some(_) => FieldTemplate::String(template(item)?),
        None if item.value.get_ref().is_table() => typed(item)?,
        None => {
            item.wrong_type(
                "text or a table",
                "\"{{ company }}\", or { type = \"url\", value = \"…\" }",
            );
            return None;
        }
    };
    Some(Field {
        name: item.key.to_owned(),
        template,
        place: item.place(),
    })
}

fn typed(item: &Item<'_>) -> Option<FieldTemplate> {
    #[derive(Clone, Copy, PartialEq)]
    enum Kind {
        String,
        Url,
        Products,
    }
    let table = item.table(format!("the field `{}`", item.key))?;
    let kind = choice(
        &table,
        "type",
        &[
            ("string", Kind::String),
            ("url", Kind::Url),
            ("productlist", Kind::Products),
        ],
    );
    let result = if kind == Kind::Products {
        products(&table)
    } else {
        let value = table.require("value", "add value = \"…\"");
        value.and_then(|item| {
            let text = template(&item)?;
            match kind {
                Kind::Url if is_constant(&text) && !is_web_address(&text) => {
                    item.wrong(
                        format!("{text:?} is not an absolute http or https URL"),
                        "write it whole, such as \"https://shop.example/cart/{{ cart_id }}\"",
                    );
                    None
                }
                Kind::Url => Some(FieldTemplate::Url(text)),
                _ => Some(FieldTemplate::String(text)),
            }
        })
    };
    table.finish();
    result
}

fn products(table: &Table<'_>) -> Option<FieldTemplate> {
    let separator = table.get("separator").and_then(|item| {
        let text = item.text("the separator between two ids, such as \";\"")?;
        if text.is_empty() {
            item.wrong("`separator` is empty", "write \",\", \";\" or \"|\"");
        }
        Some((item, text))
    });
    let each_row = match table.get("each_row") {
        Some(item) => item.boolean().unwrap_or_default(),
        None => false,
    };
    let advice = "add values = \"{{ product_ids }}\", or an array of ids";
    let values = table.require("values", advice)?;
    let ids = match values.array() {
        Some(items) => {
            if let Some((item, _)) = separator {
                item.ctx.problem(
                    item.key_span.clone(),
                    "`separator` does not go with an array: it splits one text",
                    "remove it, or write values = \"{{ product_ids }}\"",
                );
            }
            if items.is_empty() {
                values.wrong("`values` is empty, so there are no products", advice);
            }
            let list = items.iter().map(|item| {
                let id = template(item)?;
                is_product(item, &id).then_some(id)
            });
            ProductIds::List(list.collect::<Option<Vec<_>>>()?)
        }
        None => {
            let template = template(&values)?;
            let separator = separator.map_or(",", |(_, text)| text);
            if is_list_elsewhere(&values, &template) {
                return None;
            }
            let ids = || template.split(separator).filter(|_| !separator.is_empty());
            if is_constant(&template) && !ids().all(|id| is_product(&values, id)) {
                return None;
            }
            ProductIds::Split {
                template,
                separator: separator.to_owned(),
            }
        }
    };
    Some(FieldTemplate::Products { ids, each_row })
}

/// Whether a template is the same for everybody, so that what is wrong with it is known without a row.
fn is_constant(text: &str) -> bool {
    !text.contains('{')
}

/// Whether a product id may be one, as far as that is known without a row.
fn is_product(item: &Item<'_>, id: &str) -> bool {
    if id.trim().is_empty() {
        item.wrong("a product id is empty", "write an id, or remove it");
        return false;
    }
    !is_list_elsewhere(item, id)
}

/// Whether a text without a column is a list in another notation, so that products with brackets would be sent.
fn is_list_elsewhere(item: &Item<'_>, text: &str) -> bool {
    let is_list = !text.contains("{{") && !text.contains("{%") && is_other_list(text);
    if is_list {
        item.wrong(
            "the product ids are a list in another notation, with brackets around them",
            "write values = [\"sku-1\", \"sku-2\"], or values = \"sku-1, sku-2\"",
        );
    }
    is_list
}

fn template(item: &Item<'_>) -> Option<String> {
    let text = item.text("a template such as \"{{ company }}\"")?;
    let environment = minijinja::Environment::new();
    match environment.template_from_str(text) {
        Ok(_) => Some(text.to_owned()),
        Err(error) => {
            item.wrong(
                format!(
                    "`{}` is not a template: {}",
                    item.key,
                    error.detail().unwrap_or("it cannot be parsed")
                ),
                &match unnameable(text) {
                    Some(name) => format!("write the column as {{{{ row[\"{name}\"] }}}}"),
                    None => "write columns as {{ column }}".to_owned(),
                },
            );
            None
        }
    }
}

/// The first name in a template that can only be written in quotes.
fn unnameable(text: &str) -> Option<&str> {
    let mut pieces = text.split("{{").skip(1).filter_map(|piece| {
        let name = piece.split_once("}}")?.0.split('|').next()?.trim();
        let is_name = |c: char| c.is_alphanumeric() || " _-.".contains(c);
        let is_word = name.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_');
        (!is_word && name.chars().all(is_name)).then_some(name)
    });
    pieces.next()
}

/// Warns of templates that send a column's name in single braces to everybody.
pub(super) fn single_braces(automations: &[Automation], enrols: &[Enrol]) -> Vec<Diagnostic> {
    let fields = automations.iter().flat_map(|automation| &automation.fields);
    let fields = fields.chain(enrols.iter().flat_map(|enrol| &enrol.fields));
    let warning = |field: &Field| {
        let name = field
            .template
            .texts()
            .iter()
            .find_map(|text| in_single_braces(text))?;
        Some(
            Diagnostic::at(
                field.place.clone(),
                format!(
                    "field {} sends `{{{name}}}` to everybody as it is",
                    field.name
                ),
            )
            .help(format!("write {{{{ {name} }}}} for the column")),
        )
    };
    fields.filter_map(warning).collect()
}

/// The first word of a text that stands in single braces.
fn in_single_braces(text: &str) -> Option<&str> {
    text.match_indices('{').find_map(|(at, _)| {
        let word = text[at + 1..].split_once('}')?.0;
        let (before, behind) = (&text[..at], &text[at + word.len() + 2..]);
        let is_word = |word: &str| {
            !word.is_empty() && word.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_')
        };
        let is_single = !before.ends_with('{') && !behind.starts_with('}');
        (is_single && is_word(word.trim())).then_some(word.trim())
    })
}

/// Warns of trigger codes that several automations share, and of such that are no UUIDs; and where one contact may go through
/// two runs at once.
pub(super) fn warnings(automations: &[Automation]) -> Vec<Diagnostic> {
    let mut warnings = Vec::new();
    let mut by_code: HashMap<&TriggerCode, &Automation> = HashMap::new();
    for automation in automations {
        let code = &automation.trigger_code;
        let first = *by_code.entry(code).or_insert(automation);
        if first.name != automation.name {
            warnings.push(
                Diagnostic::at(
                    automation.place.clone(),
                    format!(
                        "{} and {} have the same trigger code, so a stop of one stops the other too",
                        first.name, automation.name
                    ),
                )
                .related(first.place.clone(), "this is the first of the two")
                .help("give each automation its own external trigger in Spotler"),
            );
        }
        if automation.again_after.is_some() && automation.runs_for.is_none() {
            let what = format!(
                "`again_after` of {} does nothing: without `runs_for`, no run ends",
                automation.name
            );
            warnings.push(
                Diagnostic::at(automation.place.clone(), what)
                    .help("add how long a run lasts at Spotler, such as runs_for = \"21d\""),
            );
        }
        let keeps = automation.on_leave == OnLeave::Keep;
        let is_free = automation.participation == ParticipationSetting::Unlimited;
        let is_bounded = automation.cooldown.is_some() || automation.runs_for.is_some();
        if keeps && is_free && !is_bounded {
            warnings.push(
                Diagnostic::at(
                    automation.place.clone(),
                    format!(
                        "{} lets runs go on (on_leave = \"keep\"), so who leaves and comes back is in two at once",
                        automation.name
                    ),
                )
                .help("write `runs_for` with the time that a run takes, `cooldown`, or participation = \"once-while-running\" if Spotler has it so"),
            );
        }
        if uuid::Uuid::parse_str(code.as_str()).is_err() {
            warnings.push(
                Diagnostic::at(
                    automation.place.clone(),
                    format!(
                        "the trigger code of {} is not a UUID, and Spotler's codes are UUIDs",
                        automation.name
                    ),
                )
                .help("compare it with the code in Spotler"),
            );
        }
    }
    warnings
}

/// Warns of names of fields that differ in case alone: to Spotler these are two, and one of them stays empty.
pub(super) fn alike(automations: &[Automation], enrols: &[Enrol]) -> Vec<Diagnostic> {
    let mut warnings = Vec::new();
    let mut own = Vec::new();
    for automation in automations {
        own.push(by_name(&automation.fields, &mut warnings));
    }
    for enrol in enrols {
        let added = by_name(&enrol.fields, &mut warnings);
        for &index in &enrol.automations {
            let pairs = added
                .iter()
                .filter_map(|(name, field)| Some((own[index].get(name)?, field)));
            let pairs = pairs.filter(|(first, field)| first.name != field.name);
            warnings.extend(pairs.map(|(first, field)| differ_in_case(first, field)));
        }
    }
    warnings
}

/// Fields by their names in lower case, with a warning of each that differs from another in case alone.
fn by_name<'f>(fields: &'f [Field], warnings: &mut Vec<Diagnostic>) -> BTreeMap<String, &'f Field> {
    let mut names = BTreeMap::new();
    for field in fields {
        let first: &Field = names.entry(field.name.to_lowercase()).or_insert(field);
        if first.name != field.name {
            warnings.push(differ_in_case(first, field));
        }
    }
    names
}

fn differ_in_case(first: &Field, field: &Field) -> Diagnostic {
    let message = format!(
        "the fields {} and {} differ in upper and lower case alone, and Spotler takes them as two fields",
        first.name, field.name
    );
    Diagnostic::at(field.place.clone(), message)
        .related(first.place.clone(), "the other one")
        .help("write the name as the placeholder in the message has it")
}

/// Reads the name of an automation where one is referred to.
pub(super) fn unknown<'n>(
    item: &Item<'_>,
    kind: &str,
    text: &str,
    names: impl Iterator<Item = &'n str>,
) {
    const MOST: usize = 12;
    let is_shown = item.ctx.sink.shows_next(&item.ctx.doc.file);
    let names: Vec<&str> = names.filter(|_| is_shown).collect();
    let help = match super::suggest::nearest(names.iter().copied(), text) {
        Some(near) => format!("did you mean {near:?}?"),
        None if names.is_empty() => format!("define it as [{kind}.{text}]"),
        None if names.len() > MOST => format!(
            "define it as [{kind}.{text}], or use one of these {}: {} …",
            names.len(),
            names[..MOST].join(", ")
        ),
        None => format!(
            "define it as [{kind}.{text}], or use {}",
            super::reader::list(&names)
        ),
    };
    item.wrong(format!("there is no {kind} {text:?}"), help);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_column_in_single_braces_is_seen() {
        for (text, name) in [
            ("Dear {name}", Some("name")),
            ("{ name }!", Some("name")),
            ("{{ name }}", None),
            ("{% if name %}x{% endif %}", None),
            ("{\"a\": 1}", None),
            ("{} {", None),
            ("{{ a }} {b}", Some("b")),
        ] {
            assert_eq!(in_single_braces(text), name, "{text}");
        }
    }
}
