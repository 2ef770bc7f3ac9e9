//! `[contact.*]` and `[[enrol]]`.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};

use jiff::tz::TimeZone;
use toml::de::DeValue;

use super::automation::{fields, unknown};
use super::condition::conditions;
use super::diagnostic::{Diagnostic, Place};
use super::lot::lot;
use super::model::{Automation, Condition, DeclaredContact, Enrol, Source, Test};
use super::reader::{Item, Table};
use super::source::CONTACT;
use super::suggest::nearest;
use super::value::value;
use crate::id::ContactId;

pub(super) fn contact(item: &Item<'_>, zone: &TimeZone) -> Option<(ContactId, DeclaredContact)> {
    let table = item.table(format!("[contact.{}]", item.key))?;
    let id = contact_id(item.key, |message, help| {
        item.ctx.problem(item.key_span.clone(), message, help);
    });
    let (mut attributes, mut written) = (BTreeMap::new(), BTreeMap::new());
    for item in table.items() {
        if let Err(error) = crate::id::check(item.key) {
            item.ctx.problem(
                item.key_span.clone(),
                format!("{:?} is not a name for an attribute: {error}", item.key),
                "write it as the conditions do that read it",
            );
            continue;
        }
        let text = match item.value.get_ref() {
            DeValue::Float(number) => Some(number.as_str().replace('_', "")),
            DeValue::Datetime(datetime) => Some(datetime.to_string()),
            _ => None,
        };
        written.extend(text.map(|text| (item.key.to_owned(), text)));
        attributes.extend(value(&item, zone).map(|value| (item.key.to_owned(), value)));
    }
    let declared = DeclaredContact {
        attributes,
        written,
        place: item.ctx.doc.place(item.key_span.clone()),
    };
    Some((id?, declared))
}

pub(super) fn contact_id(text: &str, problem: impl FnOnce(String, &str)) -> Option<ContactId> {
    match ContactId::new(text) {
        Ok(id) => Some(id),
        Err(error) => {
            problem(
                format!("{text:?} is not a contact's id: {error}"),
                "write the externalContactId by which Spotler knows the contact",
            );
            None
        }
    }
}

/// The contacts that an array names, each once.
pub(super) fn contacts(item: &Item<'_>) -> Vec<ContactId> {
    let mut seen: BTreeMap<ContactId, Place> = BTreeMap::new();
    let mut list = Vec::new();
    for (text, item) in item.texts("an array such as [\"crm-1042\", \"crm-1043\"]") {
        let Some(id) = contact_id(text, |message, help| item.wrong(message, help)) else {
            continue;
        };
        match seen.get(&id) {
            Some(first) => item.ctx.sink.push(
                Diagnostic::at(item.place(), format!("{text:?} is named twice"))
                    .related(first.clone(), "first named here")
                    .help("remove one of the two"),
            ),
            None => {
                seen.insert(id.clone(), item.place());
                list.push(id);
            }
        }
    }
    list
}

/// What blocks may refer to.
pub(super) struct Known<'a> {
    /// Sorted by name.
    pub automations: &'a [Automation],
    /// Sorted by name.
    pub sources: &'a [Source],
    pub contacts: &'a BTreeMap<ContactId, DeclaredContact>,
    /// The attributes of all contacts.
    pub attributes: HashMap<&'a str, Attribute<'a>>,
    pub zone: &'a TimeZone,
    /// The kind and name of each definition that the files hold, with or without a problem of its own; nothing where a
    /// file could not be parsed.
    pub written: Option<BTreeSet<(&'static str, &'a str)>>,
    /// Whether each definition could be read, so that nothing but what is known here exists.
    pub is_complete: bool,
}

/// An attribute that some declared contacts have.
#[derive(Default)]
pub(super) struct Attribute<'a> {
    /// How many have it.
    count: usize,
    /// The types that it has, each with the first contact that has it so.
    types: Vec<(&'static str, &'a Place)>,
}

impl Known<'_> {
    /// The source that is meant, as an index. That there is none is a problem.
    pub(super) fn source(&self, name: &str, item: &Item<'_>) -> Option<usize> {
        let index = self
            .sources
            .binary_search_by(|source| source.name.as_str().cmp(name));
        self.report_unwritten("source", name, item);
        index.ok()
    }

    /// The automation that is meant, as an index. That there is none is a problem.
    pub(super) fn automation(&self, name: &str, item: &Item<'_>) -> Option<usize> {
        let index = self
            .automations
            .binary_search_by(|automation| automation.name.as_str().cmp(name));
        self.report_unwritten("automation", name, item);
        index.ok()
    }

    /// What is written and has a problem of its own is known to be no second problem where it is named.
    fn report_unwritten(&self, kind: &'static str, name: &str, item: &Item<'_>) {
        if self.is_written(kind, name) == Some(false) {
            unknown(item, kind, name, self.names(kind));
        }
    }

    /// Whether a definition is written, if that is known.
    pub(super) fn is_written(&self, kind: &'static str, name: &str) -> Option<bool> {
        let written = self.written.as_ref()?;
        Some(written.contains(&(kind, name)))
    }

    /// The names of this kind that are written.
    pub(super) fn names(&self, kind: &'static str) -> impl Iterator<Item = &str> {
        let written = self.written.iter().flatten();
        let of_kind = written.filter(move |(of, _)| *of == kind);
        of_kind.map(|(_, name)| *name)
    }
}

/// The attributes of all contacts, by their names.
pub(super) fn attributes(
    contacts: &BTreeMap<ContactId, DeclaredContact>,
) -> HashMap<&str, Attribute<'_>> {
    let mut attributes: HashMap<&str, Attribute<'_>> = HashMap::new();
    for contact in contacts.values() {
        for (name, value) in &contact.attributes {
            let attribute = attributes.entry(name).or_default();
            attribute.count += 1;
            let name = value.type_name();
            if attribute.types.iter().all(|(known, _)| *known != name) {
                attribute.types.push((name, &contact.place));
            }
        }
    }
    attributes
}

pub(super) fn enrol(table: Table<'_>, known: &Known<'_>) -> Option<Enrol> {
    let place = table.place();
    let automations = table
        .require("automation", "add automation = \"…\", or an array of names")
        .map(|item| automations(&item, known))
        .unwrap_or_default();
    let (is_sourced, source) = source_of_contacts(&table, known);
    let contacts = table.get("contacts").map(|item| contacts(&item));
    let stay = table.get("stay").map(|item| conditions(&item, known.zone));
    let lot = table.get("lot").and_then(|item| lot(&item));
    let conditions = table
        .get("where")
        .map(|item| conditions(&item, known.zone))
        .unwrap_or_default();
    let fields = table
        .get("fields")
        .map(|item| fields(&item))
        .unwrap_or_default();
    let span = table.span.clone();
    let ctx = table.ctx;
    table.finish();
    let enrol = Enrol {
        automations,
        source,
        contacts,
        conditions,
        stay,
        lot,
        fields,
        place,
    };
    if !is_sourced && enrol.contacts.is_none() && known.contacts.is_empty() && known.is_complete {
        ctx.problem(
            span,
            "this block enrols nobody: it has no `source` and no `contacts`, and no contact is declared",
            "add source = \"…\" or contacts = [\"…\"], or declare contacts as [contact.ID]",
        );
    } else if !is_sourced && known.is_complete {
        for condition in enrol.all_conditions() {
            check_attribute(ctx.sink, condition, known);
        }
        check_repeats(&ctx, span, &enrol, known);
    }
    (!is_sourced || source.is_some()).then_some(enrol)
}

/// The source that a block names, if any, and which it is, as an index.
pub(super) fn source<'a>(
    table: &Table<'a>,
    known: &Known<'_>,
) -> (Option<Item<'a>>, Option<usize>) {
    let Some(item) = table.get("source") else {
        return (None, None);
    };
    let text = item.text("the name of a source");
    let index = text.and_then(|name| known.source(name, &item));
    (Some(item), index)
}

/// Whether a block names a source whose rows are contacts, and which.
pub(super) fn source_of_contacts(table: &Table<'_>, known: &Known<'_>) -> (bool, Option<usize>) {
    let (item, index) = source(table, known);
    let source = index.map(|index| &known.sources[index]);
    if let (Some(source), Some(item)) = (source, &item)
        && source.contact.is_none()
    {
        item.ctx.sink.push(
            Diagnostic::at(
                source.place.clone(),
                format!("[source.{}] has no `contact`", source.name),
            )
            .related(item.place(), "its rows are contacts here")
            .help(CONTACT),
        );
    }
    (item.is_some(), index)
}

pub(super) fn automations(item: &Item<'_>, known: &Known<'_>) -> Vec<usize> {
    let mut seen = HashSet::new();
    let mut list = Vec::new();
    for (text, item) in item.texts("the name of an automation, or an array of names") {
        let Some(index) = known.automation(text, &item) else {
            continue;
        };
        match seen.insert(index) {
            true => list.push(index),
            false => item.wrong(format!("{text:?} is named twice"), "remove one of the two"),
        }
    }
    list
}

/// A block without a source draws on the declared contacts: some of them must have the attribute, and of a type that
/// can be compared.
fn check_attribute(sink: &super::reader::Sink, condition: &Condition, known: &Known<'_>) {
    let column = condition.column.as_str();
    if let Some(attribute) = known.attributes.get(column) {
        let wanted = condition.tests.iter().find_map(Test::type_name);
        let other = |(name, _): &&(&str, _)| wanted.is_some_and(|wanted| wanted != *name);
        if let (Some(wanted), Some((found, place))) = (wanted, attribute.types.iter().find(other)) {
            let message = format!(
                "`{column}` is compared with {wanted}, and a declared contact has {found} there"
            );
            let help =
                "write both with the same type: text has quotes, dates and numbers have none";
            sink.push(
                Diagnostic::at(condition.place.clone(), message)
                    .related((*place).clone(), "this contact")
                    .help(help),
            );
        }
    } else {
        let is_shown = sink.shows_next(&condition.place.file);
        let names = known.attributes.keys().filter(|_| is_shown);
        let help = match nearest(names.copied(), column) {
            Some(near) => format!("did you mean `{near}`?"),
            None => "a block without a `source` draws on the contacts in [contact.*] tables; add the attribute there, \
                     or add a `source`"
                .to_owned(),
        };
        sink.push(
            Diagnostic::at(
                condition.place.clone(),
                format!("no declared contact has `{column}`"),
            )
            .help(help),
        );
    }
}

fn check_repeats(
    ctx: &super::reader::Ctx<'_>,
    span: std::ops::Range<usize>,
    enrol: &Enrol,
    known: &Known<'_>,
) {
    let all_have = |column: &str| {
        let attribute = known.attributes.get(column);
        attribute.is_some_and(|attribute| attribute.count == known.contacts.len())
    };
    for &index in &enrol.automations {
        let automation = &known.automations[index];
        let Some(column) = &automation.repeat_by else {
            continue;
        };
        let lacks = |id: &ContactId| {
            let contact = known.contacts.get(id);
            contact.is_none_or(|contact| !contact.attributes.contains_key(column))
        };
        let missing = match &enrol.contacts {
            Some(contacts) => contacts.iter().find(|id| lacks(id)).map(ContactId::as_str),
            None if enrol.conditions.is_empty() && enrol.stay.is_none() && !all_have(column) => {
                known
                    .contacts
                    .keys()
                    .find(|id| lacks(id))
                    .map(ContactId::as_str)
            }
            None => None,
        };
        if let Some(contact) = missing {
            ctx.problem(
                span.clone(),
                format!(
                    "{} repeats by `{column}`, which contact {contact} does not have",
                    automation.name
                ),
                format!("add {column} = \"…\" to [contact.{contact}], or name a `source`"),
            );
        }
    }
}
