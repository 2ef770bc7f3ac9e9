//! Two ids of one person: what `[[merged]]` says today and what the record has of it, put together.

use hashbrown::{HashMap, HashSet};

use super::cell::{Cells, SourceCells};
use super::columns::Columns;
use super::condition::{Clause, Clock};
use super::problems::{MOST, Report, Subject, more, plain};
use super::reading;
use super::select::RowIssue;
use crate::config::{Config, Diagnostic, Listed, Place, WhatMerged};
use crate::id::{ContactId, IdError};
use crate::participation::State;
use crate::source::{Lines, RecordRow, RowId, SourceError, Table};
use crate::text::quoted;

/// Which ids are of one person.
#[derive(Debug, Default)]
pub struct People {
    roles: HashMap<ContactId, Role>,
}

/// What an id is to a person who has several.
#[derive(Debug)]
pub(super) enum Role {
    /// Another one than the person keeps, which is this.
    Other(ContactId),
    /// The one that the person keeps, with the others, sorted.
    Kept(Vec<ContactId>),
}

impl People {
    /// Whether nobody has several ids.
    pub fn is_empty(&self) -> bool {
        self.roles.is_empty()
    }

    /// What an id is, where its person has several.
    pub(super) fn role(&self, id: &str) -> Option<&Role> {
        match self.roles.is_empty() {
            true => None,
            false => self.roles.get(id),
        }
    }

    /// The id that the person keeps.
    pub fn kept<'i>(&'i self, id: &'i str) -> &'i str {
        match self.role(id) {
            Some(Role::Other(kept)) => kept.as_str(),
            _ => id,
        }
    }

    /// All ids of a person, by any of them: the one that is kept comes first.
    pub fn ids<'i>(&'i self, id: &'i str) -> impl Iterator<Item = &'i str> {
        let kept = self.kept(id);
        let others = match self.role(kept) {
            Some(Role::Kept(others)) => others.as_slice(),
            _ => &[],
        };
        std::iter::once(kept).chain(others.iter().map(ContactId::as_str))
    }

    /// Each id that is another one's, with the one that the person keeps.
    pub fn others(&self) -> impl Iterator<Item = (&ContactId, &ContactId)> {
        self.roles.iter().filter_map(|(id, role)| match role {
            Role::Other(kept) => Some((id, kept)),
            Role::Kept(_) => None,
        })
    }

    /// The record with the ids that people keep, as it is once all is merged.
    pub(super) fn record(&self, rows: &[RecordRow]) -> Vec<RecordRow> {
        let mut list: Vec<RecordRow> = Vec::with_capacity(rows.len());
        let mut places: HashMap<(String, String, Option<String>), usize> = HashMap::new();
        for row in rows {
            let mut row = row.clone();
            if self.role(&row.contact).is_none() {
                list.push(row);
                continue;
            }
            row.contact = self.kept(&row.contact).to_owned();
            let key = (
                row.contact.clone(),
                row.automation.clone(),
                row.occurrence.clone(),
            );
            match places.get(&key) {
                None => {
                    places.insert(key, list.len());
                    list.push(row);
                }
                Some(place) => {
                    let known = &mut list[*place];
                    let triggered = known.triggered_at.take().max(row.triggered_at.take());
                    let weight = |word: &str| word.parse().ok().map(State::weight);
                    if weight(row.state) > weight(known.state) {
                        *known = row;
                    }
                    known.triggered_at = triggered;
                }
            }
        }
        list
    }
}

/// Where a pair of ids is written.
#[derive(Debug, Clone, Copy)]
struct Origin {
    /// The block, as an index into [`Config::merges`].
    block: usize,
    /// The row of its source, with its number.
    row: Option<(RowId, u64)>,
}

/// An id, and the one that it is another one of.
struct Pair {
    from: ContactId,
    to: ContactId,
    origin: Origin,
}

/// The id that each one leads to, and where that is written: nowhere if the record has it.
type Steps = HashMap<ContactId, (ContactId, Option<Origin>)>;

/// All that merges are read from.
pub(super) struct Lists<'l, 'c> {
    pub(super) config: &'c Config,
    pub(super) tables: &'l [Option<Table>],
    /// The columns of each source that is read, or of which the header is known.
    pub(super) columns: &'l [Option<Columns<'l>>],
    /// Which sources can be read.
    pub(super) begun: &'l [bool],
}

/// What came of reading the lists.
#[derive(Default)]
pub(super) struct Read {
    pub(super) people: People,
    pub(super) problems: Vec<Diagnostic>,
    pub(super) warnings: Vec<Diagnostic>,
    /// What is wrong with a list itself; whoever reads the whole source reports it.
    pub(super) unread: Option<SourceError>,
}

impl<'c> Lists<'_, 'c> {
    /// Reads all blocks, and follows them together with what is on record, which is there to stay.
    pub(super) fn read(&self, on_record: &[(ContactId, ContactId)], clock: &Clock<'c>) -> Read {
        let mut read = Read::default();
        let mut pairs = Vec::new();
        for (block, merged) in self.config.merges.iter().enumerate() {
            match &merged.what {
                WhatMerged::Named { from, to } => pairs.extend(from.iter().map(|from| Pair {
                    from: from.clone(),
                    to: to.clone(),
                    origin: Origin { block, row: None },
                })),
                WhatMerged::Listed(listed) => {
                    self.list(block, listed, clock, &mut pairs, &mut read);
                }
            }
        }
        self.follow(pairs, on_record, &mut read);
        read
    }

    /// Reads the rows of a block.
    fn list(
        &self,
        block: usize,
        listed: &'c Listed,
        clock: &Clock<'c>,
        pairs: &mut Vec<Pair>,
        read: &mut Read,
    ) {
        let Some(columns) = &self.columns[listed.source] else {
            return;
        };
        let before = read.problems.len();
        let mut find = |name: &str, place: &Place| {
            let found = columns.find(name);
            if let Err(not_one) = found {
                read.problems.push(plain(
                    format!("`{name}` {}", columns.problem(not_one)),
                    Some(place.clone()),
                    columns.advice(not_one, name),
                ));
            }
            found.unwrap_or_default()
        };
        let ends = [&listed.from, &listed.to].map(|(name, place)| (find(name, place), name));
        let conditions = listed.conditions.iter();
        let clauses: Vec<Clause<'c>> = conditions
            .map(|condition| {
                let column = find(&condition.column, &condition.place);
                Clause::new(condition, column, clock)
            })
            .collect();
        let table = self.tables[listed.source].as_ref();
        let is_begun = self.begun[listed.source];
        let (Some(table), true, true) = (table, is_begun, read.problems.len() == before) else {
            return;
        };
        let reading = reading(self.config, listed.source);
        let name = table.to_string();
        let subject = Subject {
            name: &name,
            source: Some((table.name(), reading.notation)),
        };
        let mut report = Report::default();
        let mut rows = table.rows();
        let mut number = 1;
        let mut good = 0;
        while let Some(row) = rows.read() {
            number += 1;
            let row = match row {
                Ok(row) => row,
                Err(error) => {
                    read.unread.get_or_insert(error);
                    continue;
                }
            };
            let cells = SourceCells {
                cells: row.cells,
                reading,
            };
            let at = || table.at(number, row.id, &mut Lines::default()).to_string();
            let issue = clauses.iter().find_map(|clause| clause.issue(&cells));
            if let Some(issue) = issue {
                report.row(&RowIssue::Unreadable(issue), None, subject, at);
                continue;
            }
            if !clauses.iter().all(|clause| clause.holds(&cells)) {
                continue;
            }
            let [from, to] = ends.map(|(column, name)| {
                let text = cells.text(column).unwrap_or_default();
                let why = match ContactId::new(text.as_ref()) {
                    Ok(id) => return Ok(id),
                    Err(IdError::Padded) if text.trim().is_empty() => IdError::Empty,
                    Err(why) => why,
                };
                Err(RowIssue::Merged {
                    column: name,
                    shown: quoted(&text),
                    why,
                })
            });
            match (from, to) {
                (Ok(from), Ok(to)) => {
                    good += 1;
                    pairs.push(Pair {
                        from,
                        to,
                        origin: Origin {
                            block,
                            row: Some((row.id, number)),
                        },
                    });
                }
                (Err(issue), _) | (_, Err(issue)) => report.row(&issue, None, subject, at),
            }
        }
        report.finish(subject, good);
        read.problems.append(&mut report.list);
    }

    /// Where a pair is written: the place of its block, and the row in words.
    fn at(&self, origin: Origin) -> (Place, String) {
        let merged = &self.config.merges[origin.block];
        let place = merged.place.clone();
        let table = merged
            .listed()
            .and_then(|of| self.tables[of.source].as_ref());
        let shown = match (table, origin.row) {
            (Some(table), Some((row, number))) => {
                format!("{table}, {}", table.at(number, row, &mut Lines::default()))
            }
            _ => place.to_string(),
        };
        (place, shown)
    }

    /// Follows pairs to the ids that people keep.
    fn follow(&self, pairs: Vec<Pair>, on_record: &[(ContactId, ContactId)], read: &mut Read) {
        let mut steps = Steps::new();
        let mut count = 0;
        for Pair { from, to, origin } in pairs {
            let known = steps.entry(from.clone());
            let known = known.or_insert_with(|| (to.clone(), Some(origin)));
            if known.0 == to {
                continue;
            }
            count += 1;
            if let (true, Some(first)) = (count <= MOST, known.1) {
                let targets = [(&known.0, first), (&to, origin)];
                read.problems.push(self.two_targets(&from, targets));
            }
        }
        read.problems
            .extend(more("[[merged]]", count - count.min(MOST)));
        // The list's own first: a merge that was made must not hide one.
        self.open_circles(&mut steps, read);
        let mut said: Vec<(ContactId, ContactId)> = Vec::new();
        for (from, to) in on_record {
            let before = steps.insert(from.clone(), (to.clone(), None));
            let other = before.filter(|(before, _)| before != to);
            said.extend(other.map(|(before, _)| (from.clone(), before)));
        }
        self.open_circles(&mut steps, read);
        let mut kept: HashMap<&ContactId, &ContactId> = HashMap::with_capacity(steps.len());
        for from in steps.keys() {
            let mut way = Vec::new();
            let mut at = from;
            while let Some((to, _)) = steps.get(at) {
                if let Some(known) = kept.get(at) {
                    at = known;
                    break;
                }
                way.push(at);
                at = to;
            }
            kept.extend(way.into_iter().map(|id| (id, at)));
        }
        said.sort();
        for (from, other) in said.iter().take(MOST) {
            let end = |id| kept.get(id).copied().unwrap_or(id);
            if end(from) == end(other) {
                continue;
            }
            read.warnings.push(stays(from, end(from), from, other));
        }
        let roles = &mut read.people.roles;
        for (from, to) in kept {
            roles.insert(from.clone(), Role::Other(to.clone()));
            match roles.entry(to.clone()).or_insert(Role::Kept(Vec::new())) {
                Role::Kept(others) => others.push(from.clone()),
                // Nobody keeps an id that is another one's.
                Role::Other(_) => {}
            }
        }
        for role in roles.values_mut() {
            if let Role::Kept(others) = role {
                others.sort();
            }
        }
    }

    /// Opens every circle. One that the list makes alone is a problem; in one with a merge that was made, that one stays, and
    /// the person keeps the id that it led to.
    fn open_circles(&self, steps: &mut Steps, read: &mut Read) {
        let mut starts: Vec<ContactId> = steps.keys().cloned().collect();
        starts.sort();
        let mut done: HashSet<ContactId> = HashSet::new();
        for start in starts {
            let mut way: Vec<ContactId> = Vec::new();
            let mut on_way: HashSet<ContactId> = HashSet::new();
            let mut at = start;
            while !done.contains(&at) && on_way.insert(at.clone()) {
                way.push(at.clone());
                let Some((to, _)) = steps.get(&at) else { break };
                at = to.clone();
            }
            let circle = match done.contains(&at) {
                true => None,
                false => way.iter().position(|id| *id == at),
            };
            // A way that ends does so at an id that leads nowhere.
            if let Some(begin) = circle.filter(|_| steps.contains_key(&at)) {
                let circle = &way[begin..];
                let is_made = |id: &ContactId| steps.get(id).is_some_and(|(_, of)| of.is_none());
                let opened = circle.iter().find(|id| {
                    let leads_to = steps.get(*id).map(|(to, _)| to);
                    !is_made(id) && leads_to.is_some_and(is_made)
                });
                match opened.and_then(|id| Some((id, steps.get(id)?))) {
                    Some((id, (to, _))) => {
                        let made = steps.get(to).map_or(id, |(made, _)| made);
                        read.warnings.push(stays(to, made, id, to));
                    }
                    None => read.problems.push(self.circle(circle, steps)),
                }
                let opened = opened.unwrap_or(&circle[0]).clone();
                steps.remove(&opened);
            }
            done.extend(way);
        }
    }

    fn two_targets(&self, from: &ContactId, targets: [(&ContactId, Origin); 2]) -> Diagnostic {
        let [first, other] = targets.map(|(to, origin)| (to, self.at(origin)));
        let ((to, (place, at)), (other, (other_place, other_at))) = (first, other);
        Diagnostic {
            message: format!(
                "{from} is merged with two ids: with {to} ({at}), and with {other} ({other_at})"
            ),
            at: Some(place),
            label: Some("merged here".to_owned()),
            related: vec![(other_place, "and merged here".to_owned())],
            help: Some("keep the one with the id that the person keeps".to_owned()),
        }
    }

    fn circle(&self, circle: &[ContactId], steps: &Steps) -> Diagnostic {
        let of = |id: &ContactId| steps.get(id).and_then(|(_, origin)| *origin);
        let mut places = circle.iter().filter_map(of).map(|origin| self.at(origin));
        let (first, first_at) = places.next().unzip();
        let (related, others): (Vec<_>, Vec<String>) = places
            .take(MOST)
            .map(|(place, at)| ((place, "and merged here".to_owned()), at))
            .unzip();
        let ids = circle.iter().chain(circle.first());
        let ids: Vec<&str> = ids.take(MOST).map(ContactId::as_str).collect();
        let at: Vec<String> = first_at.into_iter().chain(others).collect();
        Diagnostic {
            message: format!(
                "these ids are merged in a circle: {} ({})",
                ids.join(" \u{2192} "),
                at.join("; ")
            ),
            at: first,
            label: Some("merged here".to_owned()),
            related,
            help: Some("leave out the one whose `from` is the id that the person keeps".to_owned()),
        }
    }
}

/// That a merge which was made stays.
fn stays(from: &ContactId, to: &ContactId, id: &ContactId, other: &ContactId) -> Diagnostic {
    plain(
        format!("{from} was merged with {to}, and [[merged]] says now that {id} is {other}"),
        None,
        "a merge that was made stays; what the list says of this id changes nothing".to_owned(),
    )
}
