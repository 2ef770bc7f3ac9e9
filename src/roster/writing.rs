//! Ids that are written in two ways: two people to a computer, and most likely one to everybody else.

use std::hash::BuildHasher;

use hashbrown::{DefaultHashBuilder, HashMap, HashSet};
use icu_normalizer::ComposingNormalizerBorrowed;

use super::merged::People;
use super::problems::{MOST, more, plain};
use super::select::Declared;
use super::suppressed::Suppressed;
use crate::config::{Config, Diagnostic, Expectation, Place};
use crate::id::{folded, tail};
use crate::source::{RowBuffer, RowId, SourceError, Table};

/// The contacts that a configuration suppresses or expects something of, by the folded forms of their ids.
#[derive(Debug)]
pub(super) struct Named<'c> {
    forms: HashMap<String, Vec<Name<'c>>>,
    /// How these forms end: most ids end in another way, and need not be folded to see that they are not among them.
    tails: HashSet<[u8; 4]>,
    /// Whether all ids of each source are compared with each other too.
    compares_all: bool,
}

const SUPPRESSED: &str = "suppressed";

#[derive(Debug)]
struct Name<'c> {
    id: &'c str,
    what: &'static str,
    place: &'c Place,
}

/// What was seen of how the ids of one table are written.
#[derive(Debug, Default)]
pub(super) struct Seen {
    hasher: DefaultHashBuilder,
    /// Named ids that it has.
    exact: HashSet<String>,
    /// The first row with another writing of a named id, by its folded form.
    near: HashMap<String, (String, RowId)>,
    /// The first row with an id that is not in the usual normal form, by its usual one.
    apart: HashMap<String, (String, RowId)>,
    /// For the hash of each folded form, that of the first id and its row.
    all: HashMap<u64, (u64, RowId)>,
    /// Rows that have other writings of the same id.
    twins: Vec<(RowId, RowId)>,
    more_twins: usize,
    /// The first two rows of one contact.
    twice: Option<(RowId, RowId)>,
}

impl Seen {
    /// The first two rows of one contact, where all were looked at.
    pub(super) fn twice(&self) -> Option<(RowId, RowId)> {
        self.twice
    }

    /// The first row with an id that is written nearly so, where all were looked at.
    pub(super) fn near(&self, id: &str, table: &Table) -> Option<RowId> {
        let (_, row) = self.all.get(&self.hasher.hash_one(folded(id).as_ref()))?;
        are_twins(table, *row, id).ok()?.then_some(*row)
    }
}

impl<'c> Named<'c> {
    pub(super) fn new(config: &'c Config, compares_all: bool) -> Self {
        let suppressed = suppressed(config).map(|(id, place)| Name {
            id,
            what: SUPPRESSED,
            place,
        });
        let expected = config
            .expects
            .iter()
            .filter_map(|expect| match &expect.what {
                Expectation::Contact { contact, .. } => Some(Name {
                    id: contact.as_str(),
                    what: "expected",
                    place: &expect.place,
                }),
                Expectation::Size { .. } => None,
            });
        let mut forms: HashMap<String, Vec<Name<'c>>> = HashMap::new();
        for name in suppressed.chain(expected) {
            forms
                .entry(folded(name.id).into_owned())
                .or_default()
                .push(name);
        }
        let tails = forms.keys();
        let tails = tails.filter_map(|form| form.as_bytes().last_chunk().copied());
        Self {
            tails: tails.collect(),
            forms,
            compares_all,
        }
    }

    /// Looks at the id of a row.
    pub(super) fn see(&self, contact: &str, row: RowId, table: &Table, seen: &mut Seen) {
        if !contact.is_ascii() {
            let normal = ComposingNormalizerBorrowed::new_nfc();
            if !normal.is_normalized(contact) {
                let usual = normal.normalize(contact).into_owned();
                let first = seen.apart.entry(usual);
                first.or_insert_with(|| (contact.to_owned(), row));
            }
        }
        let may_be_named = match tail(contact) {
            _ if self.forms.is_empty() => false,
            Some(tail) => self.tails.contains(&tail),
            None => true,
        };
        if !may_be_named && !self.compares_all {
            return;
        }
        let form = folded(contact);
        if let Some(names) = self.forms.get(form.as_ref()) {
            match names.iter().any(|name| name.id == contact) {
                true => _ = seen.exact.insert(contact.to_owned()),
                false => {
                    let first = seen.near.entry(form.clone().into_owned());
                    first.or_insert_with(|| (contact.to_owned(), row));
                }
            }
        }
        if self.compares_all {
            let (form, own) = (
                seen.hasher.hash_one(form.as_ref()),
                seen.hasher.hash_one(contact),
            );
            let (first, other) = *seen.all.entry(form).or_insert((own, row));
            if first == own && other != row && seen.twice.is_none() {
                seen.twice = Some((other, row));
            }
            if first != own && are_twins(table, other, contact).unwrap_or(false) {
                match seen.twins.len() < MOST {
                    true => seen.twins.push((other, row)),
                    false => seen.more_twins += 1,
                }
            }
        }
    }

    /// Everything that can hardly be meant, without making anything wrong.
    pub(super) fn warnings(
        &self,
        people: &People,
        sources: &[Option<Table>],
        declared: &Declared<'_>,
        seen: &[Seen],
    ) -> Result<Vec<Diagnostic>, SourceError> {
        let mut list = Vec::new();
        let opened = || sources.iter().flatten().zip(seen);
        let is_named = |id: &str, names: &[Name<'_>]| names.iter().any(|name| name.id == id);
        let written: HashMap<String, &str> = declared
            .rows
            .iter()
            .filter(|_| !self.forms.is_empty())
            .filter_map(|(id, _)| {
                let form = folded(id);
                let names = self.forms.get(form.as_ref())?;
                (!is_named(id, names)).then(|| (form.into_owned(), id.as_ref()))
            })
            .collect();
        let mut forms: Vec<_> = self.forms.iter().collect();
        forms.sort_unstable_by_key(|(form, _)| *form);
        for (form, names) in forms {
            for name in names {
                let has = |(_, seen): (&Table, &Seen)| seen.exact.contains(name.id);
                let is_there = opened().any(has) || declared.find(name.id).is_some();
                let is_suppressed = name.what == SUPPRESSED;
                // Who is suppressed is not to be mailed under another writing either, wherever the one of the list is from.
                if is_there && !is_suppressed {
                    continue;
                }
                let in_source = opened().find_map(|(table, seen)| {
                    let (id, row) = seen.near.get(form)?;
                    Some((id.as_str(), format!("{table}, {}", table.place(*row))))
                });
                let in_configuration = || {
                    let id = written.get(form)?;
                    Some((*id, "declared here".to_owned()))
                };
                let Some((id, at)) = in_source.or_else(in_configuration) else {
                    continue;
                };
                if people.kept(id) == people.kept(name.id) {
                    continue;
                }
                let message = match is_there {
                    true => format!(
                        "{id} ({at}) is written almost like the suppressed contact {}",
                        name.id
                    ),
                    false => format!(
                        "no source has the {} contact {}, and {id} is ({at}), which is written almost like it",
                        name.what, name.id
                    ),
                };
                let mut help =
                    "if both are the same person, write the id as the source does".to_owned();
                if is_suppressed {
                    help = format!("{id} is not suppressed, and runs or is triggered; {help}");
                }
                list.push(plain(message, Some(name.place.clone()), help));
            }
        }
        let mut buffer = RowBuffer::default();
        for (table, seen) in opened() {
            for (one, other) in &seen.twins {
                let mut row_at = |row: RowId| -> Result<_, SourceError> {
                    let id = table.row(row, &mut buffer)?.contact.to_owned();
                    let shown = format!("{id} in {}", table.place(row));
                    Ok((shown, (id.to_lowercase(), id)))
                };
                let ((one, a), (other, b)) = (row_at(*one)?, row_at(*other)?);
                if people.kept(&a.1) == people.kept(&b.1) {
                    continue;
                }
                let (a, b) = (a.0, b.0);
                let differ = match a == b {
                    true => "in case alone",
                    false => "only in how they are written",
                };
                list.push(plain(
                    format!("{table} has two ids that differ {differ}: {one}, and {other}"),
                    None,
                    "if both are the same person, let the export always write the id in the same way"
                        .to_owned(),
                ));
            }
            list.extend(more(&table.to_string(), seen.more_twins));
        }
        Ok(list)
    }
}

/// Those on lists of suppressions whose ids a source that enrols writes nearly so, where all ids were looked at.
pub(super) fn nearly_listed(
    config: &Config,
    sources: &[Option<Table>],
    seen: &[Seen],
    suppressed: &Suppressed<'_>,
) -> Result<Vec<Diagnostic>, SourceError> {
    let mut found = Vec::new();
    let opened = sources.iter().enumerate();
    let opened = opened.filter_map(|(source, table)| Some((source, table.as_ref()?)));
    for ((source, table), seen) in opened.zip(seen) {
        if config.enrols.iter().all(|of| of.source != Some(source)) {
            continue;
        }
        for (contact, blocks) in suppressed.contacts() {
            let mut blocks = blocks.iter().map(|block| &config.suppressions[*block]);
            let list = blocks.find(|of| of.list.is_some() && !of.is_of(source));
            if let Some((list, row)) = list.zip(seen.near(contact, table)) {
                found.push((contact, row.0, table, list));
            }
        }
    }
    found.sort_unstable_by_key(|(contact, row, ..)| (*contact, *row));
    let count = found.len();
    found.truncate(MOST);
    let mut buffer = RowBuffer::default();
    let mut list = Vec::with_capacity(found.len());
    for (contact, row, table, of) in found {
        let id = table.row(RowId(row), &mut buffer)?.contact;
        let at = table.place(RowId(row));
        let source = of.source.as_deref().unwrap_or_default();
        let message = format!(
            "{id} ({table}, {at}) is written almost like {contact}, who is on the list of source {source}"
        );
        let what = match of.is_required {
            true => "is not on the list",
            false => "is not suppressed by it",
        };
        let help = format!("{id} {what}; if both are the same person, write the id in one way");
        list.push(plain(message, Some(of.place.clone()), help));
    }
    list.extend(more("the lists", count - list.len()));
    Ok(list)
}

/// Who is suppressed by name, and by which block first.
fn suppressed(config: &Config) -> impl Iterator<Item = (&str, &Place)> {
    config.suppressed.iter().filter_map(|(id, blocks)| {
        let block = config.suppressions.get(*blocks.first()?)?;
        Some((id.as_str(), &block.place))
    })
}

/// Whether a row has another writing of an id. Two forms may have one hash.
fn are_twins(table: &Table, row: RowId, contact: &str) -> Result<bool, SourceError> {
    let mut buffer = RowBuffer::default();
    let other = table.row(row, &mut buffer)?.contact;
    Ok(other != contact && folded(other) == folded(contact))
}

/// Every two ids that only Unicode's normal form tells apart.
pub(super) fn same_but_for_form(
    config: &Config,
    people: &People,
    sources: &[Option<Table>],
    seen: &[Seen],
) -> Result<Vec<Diagnostic>, SourceError> {
    let normal = ComposingNormalizerBorrowed::new_nfc();
    let enrolled = config.enrols.iter().flat_map(|enrol| {
        let contacts = enrol.contacts.iter().flatten();
        contacts.map(|id| (id.as_str(), &enrol.place))
    });
    let declared = config
        .contacts
        .iter()
        .map(|(id, of)| (id.as_str(), &of.place));
    let written = declared.chain(enrolled).chain(suppressed(config));
    let mut written: Vec<_> = written.filter(|(id, _)| !id.is_ascii()).collect();
    written.sort_by_key(|(id, _)| *id);
    written.dedup_by_key(|(id, _)| *id);

    let opened = || sources.iter().flatten().zip(seen);
    let apart = opened().flat_map(|(_, seen)| seen.apart.keys().cloned());
    let odd = written.iter().filter(|(id, _)| !normal.is_normalized(id));
    let forms: HashSet<String> = odd
        .map(|(id, _)| normal.normalize(id).into_owned())
        .chain(apart)
        .collect();
    if forms.is_empty() {
        return Ok(Vec::new());
    }
    // All writings of each form that has an odd one, and where they are.
    let mut found: HashMap<String, Vec<(String, String)>> = HashMap::new();
    let mut add = |form: String, id: String, at: String| {
        let writings = found.entry(form).or_default();
        if writings.iter().all(|(other, _)| *other != id) {
            writings.push((id, at));
        }
    };
    for (id, place) in written {
        let form = normal.normalize(id);
        if forms.contains(form.as_ref()) {
            add(form.into_owned(), id.to_owned(), place.to_string());
        }
    }
    let mut buffer = RowBuffer::default();
    for (table, seen) in opened() {
        let at = |row| format!("{table}, {}", table.place(row));
        for (form, (id, row)) in &seen.apart {
            add(form.clone(), id.clone(), at(*row));
        }
        let mut usual = HashSet::new();
        for (_, row) in table.find(forms.iter().map(String::as_str)) {
            let contact = table.row(row, &mut buffer)?.contact;
            if forms.contains(contact) && usual.insert(contact.to_owned()) {
                add(contact.to_owned(), contact.to_owned(), at(row));
            }
        }
    }
    let mut pairs: Vec<_> = found
        .into_values()
        .filter(|writings| {
            let mut ids = writings.iter().map(|(id, _)| people.kept(id));
            let first = ids.next();
            ids.any(|id| Some(id) != first)
        })
        .collect();
    pairs.sort_unstable();
    let count = pairs.len();
    pairs.truncate(MOST);
    let mut list: Vec<Diagnostic> = pairs
        .into_iter()
        .map(|writings| {
            let writings: Vec<String> = writings
                .iter()
                .map(|(id, at)| format!("{} ({at})", id.escape_default()))
                .collect();
            plain(
                format!(
                    "these ids differ only in Unicode's normal form: {}",
                    writings.join(", ")
                ),
                None,
                "they look the same, but Spotler takes them as different people; write the id in one form everywhere (NFC is usual)"
                    .to_owned(),
            )
        })
        .collect();
    list.extend(more("the ids", count - list.len()));
    Ok(list)
}
