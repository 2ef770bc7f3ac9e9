//! `[[suppress]]` and `[[require]]`: who is in no automation, or not in some, whatever else says so.

use std::fmt;

use super::automation::{choice_of, kinds};
use super::condition::conditions as conditions_of;
use super::diagnostic::Place;
use super::enrol::{Known, automations, contacts};
use super::model::{Condition, Enrol, Kind, Limit};
use super::reader::Table;
use crate::digest::Hasher;
use crate::id::ContactId;
use crate::text::SafeText;

/// A `[[suppress]]` or `[[require]]` block.
#[derive(Debug, Clone)]
pub struct Suppression {
    /// The rows whose contacts are on its list; `None` where it names them.
    pub list: Option<Enrol>,
    /// The name of the source of these.
    pub source: Option<String>,
    /// Whether it keeps out who is not on its list (`[[require]]`), and not who is.
    pub is_required: bool,
    /// Whether it holds in each of [`Config::automations`](super::Config::automations); `None` is in all, those among them
    /// that are gone from the configuration.
    pub automations: Option<Vec<bool>>,
    /// Why.
    pub reason: Option<String>,
    /// How many people whom it suppressed may be triggered, in place of the guard's.
    pub max_released: Option<Limit<u64>>,
    /// What it is known by on record: the same as long as its source, `where`, `kind` and `automation` are.
    pub identity: u64,
    /// Where.
    pub place: Place,
}

impl Suppression {
    /// Whether it holds in an automation of the configuration, or in one that is gone from it (`None`).
    pub fn holds_in(&self, automation: Option<usize>) -> bool {
        match (&self.automations, automation) {
            (None, _) => true,
            (Some(automations), Some(index)) => automations.get(index) == Some(&true),
            (Some(_), None) => false,
        }
    }

    /// Whether its list is of this source.
    pub fn is_of(&self, source: usize) -> bool {
        let list = self.list.as_ref();
        list.is_some_and(|list| list.source == Some(source))
    }

    /// Which kind of block it is, as it is written.
    pub fn word(&self) -> &'static str {
        match self.is_required {
            true => "require",
            false => "suppress",
        }
    }

    /// Why it keeps somebody out, without where it stands; it may have no reason.
    pub fn why(&self) -> Option<String> {
        match (self.is_required, &self.source) {
            (true, Some(source)) => Some(format!("not on the list of `{source}`")),
            (false, Some(source)) => {
                let reason = self.reason.clone();
                Some(reason.unwrap_or_else(|| format!("on the list of `{source}`")))
            }
            (_, None) => self.reason.clone(),
        }
    }
}

impl fmt::Display for Suppression {
    /// Why somebody is in no automation: `suppressed: objected to marketing (lifecycle/customers.toml:30)`, or `not on the
    /// list of `consents` (lifecycle/customers.toml:40)`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let why = self.why();
        let why = why.as_deref().map(SafeText);
        match (self.is_required, why) {
            (true, Some(why)) => write!(f, "{why}")?,
            (false, Some(why)) => write!(f, "suppressed: {why}")?,
            (_, None) => f.write_str("suppressed")?,
        }
        write!(f, " ({})", self.place)
    }
}

/// Reads a `[[suppress]]`, with the contacts that it names.
pub(super) fn suppress(table: Table<'_>, known: &Known<'_>) -> (Vec<ContactId>, Suppression) {
    let named = match table.has("source") {
        true => {
            table.refuse(
                "contacts",
                "this block has both `contacts` and a `source`",
                "make two blocks of it: who is on either list is suppressed",
            );
            None
        }
        false => {
            table.refuse(
                "where",
                "`where` is about the rows of a `source`, and this block has none",
                "add source = \"…\", or remove the `where`",
            );
            table.require("contacts", "add contacts = [\"…\"], or source = \"…\"")
        }
    };
    let contacts = named.map(|item| contacts(&item)).unwrap_or_default();
    let reason = table
        .get("reason")
        .and_then(|item| item.text("a reason in a few words"))
        .map(str::to_owned);
    (contacts, block(table, known, reason, false))
}

/// Reads a `[[require]]`.
pub(super) fn require(table: Table<'_>, known: &Known<'_>) -> Suppression {
    table.require("source", "add source = \"…\"");
    block(table, known, None, true)
}

fn block(
    table: Table<'_>,
    known: &Known<'_>,
    reason: Option<String>,
    is_required: bool,
) -> Suppression {
    let place = table.place();
    let is_listed = is_required || table.has("source");
    let source = is_listed.then(|| table.get("source")).flatten();
    let conditions = is_listed.then(|| table.get("where")).flatten();
    let conditions = conditions.map(|item| conditions_of(&item, known.zone));
    let source = source.and_then(|item| {
        let name = item.text("the name of a source")?;
        Some((known.source(name, &item)?, name.to_owned()))
    });
    let list = source.as_ref().map(|(source, _)| Enrol {
        automations: Vec::new(),
        source: Some(*source),
        contacts: None,
        conditions: conditions.unwrap_or_default(),
        stay: None,
        lot: None,
        fields: Vec::new(),
        place: place.clone(),
    });
    let max_released = table.get("max_released").and_then(|item| {
        Some(Limit {
            value: item.count("a number, such as 10")?,
            place: Some(item.place()),
        })
    });
    let named = table
        .get("automation")
        .map(|item| (automations(&item, known), item));
    let kind = choice_of(&table, "kind", &kinds());
    table.finish();
    let holds = (named.is_some() || kind.is_some()).then(|| {
        let holds = known.automations.iter().enumerate().map(|(index, of)| {
            let named = named.as_ref();
            let is_named = named.is_none_or(|(named, _)| named.contains(&index));
            is_named && kind.is_none_or(|kind| kind == of.kind)
        });
        holds.collect::<Vec<bool>>()
    });
    if let (Some((named, item)), Some(holds)) = (&named, &holds)
        && !named.is_empty()
        && !holds.contains(&true)
    {
        item.wrong(
            "no automation that this block names is of its `kind`, so it holds nowhere",
            "both must hold: name automations of this kind, or remove one of the two settings",
        );
    }
    let mut names: Option<Vec<&str>> = named.map(|(named, _)| {
        let names = named
            .iter()
            .map(|index| known.automations[*index].name.as_str());
        names.collect()
    });
    if let Some(names) = &mut names {
        names.sort_unstable();
    }
    let source = source.map(|(_, name)| name);
    let mut suppression = Suppression {
        list,
        source,
        is_required,
        automations: holds,
        reason,
        max_released,
        identity: 0,
        place,
    };
    suppression.identity = identity(&suppression, names.as_deref(), kind);
    suppression
}

/// Of blocks that name their contacts, the reason tells them apart.
fn identity(of: &Suppression, automations: Option<&[&str]>, kind: Option<Kind>) -> u64 {
    let mut hasher = Hasher::new();
    let mut part = |text: &str| _ = hasher.part(text.as_bytes());
    part(of.word());
    match (&of.source, &of.list) {
        (Some(source), Some(list)) => {
            part(source);
            let test = |of: &Condition| (of.column.clone(), format!("{:?}", of.tests));
            let mut conditions: Vec<_> = list.conditions.iter().map(test).collect();
            conditions.sort_unstable();
            part(&format!("{conditions:?}"));
        }
        _ => part(of.reason.as_deref().unwrap_or_default()),
    }
    part(&format!("{automations:?}{kind:?}"));
    let digest = hasher.finish();
    let bytes = digest.as_bytes().iter().take(8);
    bytes.fold(0, |number, byte| number << 8 | u64::from(*byte))
}
