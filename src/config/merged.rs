//! `[[merged]]`: ids that are other ids of the same people.

use std::collections::HashSet;

use super::condition::conditions;
use super::diagnostic::Place;
use super::enrol::{Known, contact_id, contacts, source};
use super::model::Condition;
use super::reader::{Item, Table};
use crate::id::ContactId;

/// `[[merged]]`.
#[derive(Debug, Clone)]
pub struct Merged {
    /// Which ids.
    pub what: WhatMerged,
    /// Where it is written.
    pub place: Place,
}

/// Which ids a block merges.
#[derive(Debug, Clone)]
pub enum WhatMerged {
    /// These into another one.
    Named {
        /// The ids that are not kept.
        from: Vec<ContactId>,
        /// The id that the person keeps.
        to: ContactId,
    },
    /// Those of a list.
    Listed(Listed),
}

/// A list of pairs.
#[derive(Debug, Clone)]
pub struct Listed {
    /// The source, as an index into [`Config::sources`](super::Config::sources).
    pub source: usize,
    /// The column of the ids that are not kept.
    pub from: (String, Place),
    /// The column of the ids that people keep.
    pub to: (String, Place),
    /// Which rows count; all must hold.
    pub conditions: Vec<Condition>,
}

impl Merged {
    /// The list that it reads, if any.
    pub fn listed(&self) -> Option<&Listed> {
        match &self.what {
            WhatMerged::Listed(listed) => Some(listed),
            WhatMerged::Named { .. } => None,
        }
    }
}

/// The names of the sources that blocks read, before these are checked.
pub(super) fn listing<'a>(blocks: &[(&str, Item<'a>)]) -> HashSet<&'a str> {
    let merged = blocks.iter().filter(|(key, _)| *key == "merged");
    let tables = merged.filter_map(|(_, item)| item.value.get_ref().as_table());
    let sources = tables.filter_map(|table| table.get("source")?.get_ref().as_str());
    sources.collect()
}

pub(super) fn merged(table: Table<'_>, known: &Known<'_>) -> Option<Merged> {
    let place = table.place();
    let (item, source) = source(&table, known);
    let what = match item {
        Some(_) => listed(&table, source, known).map(WhatMerged::Listed),
        None => named(&table),
    };
    table.finish();
    Some(Merged { what: what?, place })
}

const BY_NAME: &str = "from = [\"crm-17\"] and to = \"crm-9001\"";

/// Ids by name.
fn named(table: &Table<'_>) -> Option<WhatMerged> {
    if let Some(item) = table.get("where") {
        item.wrong(
            "`where` is for a `source`, and this block has none",
            "add a `source`, or take it out",
        );
    }
    let from = table.require(
        "from",
        "add from = [\"crm-17\"], the ids that are not kept, or a `source` that lists them",
    );
    let from = from.map(|item| {
        if item.array().is_none() && item.value.get_ref().is_str() {
            item.wrong(
                "`from` is one text, which names a column, and this block has no `source`",
                format!("write {BY_NAME}, or add a `source`"),
            );
            return Vec::new();
        }
        let list = contacts(&item);
        if item.array().is_some_and(|items| items.is_empty()) {
            item.wrong("`from` names nobody", format!("write {BY_NAME}"));
        }
        list
    });
    let to = table.require("to", "add to = \"crm-9001\", the id that the person keeps");
    let to = to.and_then(|item| {
        let text = item.text("the id that the person keeps, such as \"crm-9001\"")?;
        contact_id(text, |message, help| item.wrong(message, help))
    });
    let (from, to) = (from?, to?);
    (!from.is_empty()).then_some(WhatMerged::Named { from, to })
}

/// Pairs in the rows of a source.
fn listed(table: &Table<'_>, source: Option<usize>, known: &Known<'_>) -> Option<Listed> {
    let column = |key, advice| {
        let item = table.require(key, advice)?;
        if item.array().is_some() {
            item.wrong(
                format!("`{key}` names ids, and this block has a `source`"),
                format!("write the name of a column; or take `source` out, and write {BY_NAME}"),
            );
            return None;
        }
        let name = item.column("the name of a column, such as \"old_no\"")?;
        Some((name.to_owned(), item.place()))
    };
    let from = column(
        "from",
        "add from = \"…\", the column of the ids that are not kept",
    );
    let to = column(
        "to",
        "add to = \"…\", the column of the ids that people keep",
    );
    let conditions = table
        .get("where")
        .map(|item| conditions(&item, known.zone))
        .unwrap_or_default();
    Some(Listed {
        source: source?,
        from: from?,
        to: to?,
        conditions,
    })
}
