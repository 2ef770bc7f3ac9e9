//! Reading everything: the sources side by side, then all of it put in order.

use std::collections::HashSet;

use jiff::Timestamp;

use super::block::Block;
use super::columns::Columns;
use super::condition::Clock;
use super::dispatch::Dispatch;
use super::doubts::{Watch, old_rows};
use super::entries::{Class, Entries, Entry};
use super::fields::{Fields, For, Templates};
use super::merged::People;
use super::narrow::wanted;
use super::open::{self, Given};
use super::problems::{MOST, more, plain};
use super::reading::Reading;
use super::render::NoFields;
use super::select::{Declared, Selection, Selector};
use super::suppressed::Suppressed;
use super::writing::{Named, nearly_listed, same_but_for_form};
use super::{MoreRows, Roster, merged, reading};
use crate::config::{Config, Diagnostic, Notation, Place, Problems, Source, SourceKind, Value};
use crate::field;
use crate::id::ContactId;
use crate::source::{RecordRow, Recorded, RowId, SourceError, Table};
use crate::threads::side_by_side;

/// Reads every source that a block draws on, and selects.
///
/// Spans like `within = "30d"` and `max_age` count from `now`. Queries that ask the record get what is said of it.
///
/// # Errors
/// Every problem of every source: one that cannot be used, rows that cannot be read, a column that the configuration
/// names and the source does not have, fields that cannot be made or that differ for one enrolment. Then there is no
/// roster: half a roster would stop people.
pub fn build<'c, 'r>(
    config: &'c Config,
    now: Timestamp,
    past: impl Into<Past<'r>>,
) -> Result<Roster<'c>, Problems> {
    read(config, now, past.into(), Reach::Used, None)
}

/// Reads every source that a block draws on, and selects what there is of one contact.
///
/// # Errors
/// As [`build`], but for what conditions, fields and occurrences make of the cells of other contacts. A source that cannot be
/// read as a whole is refused all the same.
pub fn build_for<'c, 'r>(
    config: &'c Config,
    contact: &str,
    now: Timestamp,
    past: impl Into<Past<'r>>,
) -> Result<Roster<'c>, Problems> {
    read(config, now, past.into(), Reach::Used, Some(contact))
}

/// Checks what [`build`] would, and the sources that no block draws on as well.
///
/// # Errors
/// As [`build`].
pub fn check<'c, 'r>(
    config: &'c Config,
    now: Timestamp,
    past: impl Into<Past<'r>>,
) -> Result<Roster<'c>, Problems> {
    read(config, now, past.into(), Reach::All, None)
}

/// Checks the rules without the rows of any source. Columns are checked where a file is there whose header can be read.
///
/// # Errors
/// Every column that is known not to be there, and whatever else [`build`] finds without a row.
pub fn check_rules(config: &Config, now: Timestamp) -> Result<(), Problems> {
    read(
        config,
        now,
        Recorded::Empty("it is not read").into(),
        Reach::Rules,
        None,
    )
    .map(drop)
}

/// What a roster is given of the record.
#[derive(Debug, Clone, Copy)]
pub struct Past<'r> {
    /// As queries over sources ask it.
    pub record: Recorded<'r>,
    /// Ids whose participations are another id's, and that id.
    pub merged: &'r [(ContactId, ContactId)],
}

impl<'r> From<Recorded<'r>> for Past<'r> {
    fn from(record: Recorded<'r>) -> Self {
        Self {
            record,
            merged: &[],
        }
    }
}

/// What is read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Reach {
    /// The sources that a block draws on.
    Used,
    /// All sources, and whatever can hardly be meant is looked for.
    All,
    /// The headers of files, where there are such, and no row.
    Rules,
}

fn is_used(config: &Config, source: usize) -> bool {
    let mut enrols = config.enrols.iter();
    enrols.any(|enrol| enrol.source == Some(source))
        || is_of_merges(config, source)
        || is_list(config, source)
}

fn is_of_merges(config: &Config, source: usize) -> bool {
    let mut listed = config.merges.iter().filter_map(|merged| merged.listed());
    listed.any(|listed| listed.source == source)
}

fn is_list(config: &Config, source: usize) -> bool {
    let mut suppressions = config.suppressions.iter();
    suppressions.any(|suppression| suppression.is_of(source))
}

fn read<'c>(
    config: &'c Config,
    now: Timestamp,
    past: Past<'_>,
    reach: Reach,
    only: Option<&str>,
) -> Result<Roster<'c>, Problems> {
    let mut problems = Vec::new();
    let all = reach == Reach::All;
    let needed = config.sources.iter().enumerate();
    let needed = needed.map(|(index, source)| match reach {
        Reach::Used => is_used(config, index),
        Reach::All => true,
        // A header is near, and a server is far.
        Reach::Rules => !source.is_asked(),
    });
    let mut needed: Vec<bool> = needed.collect();
    if reach == Reach::Used {
        needed = open::with_inputs(config, needed);
    }
    let depths = open::depths(config);
    let record: Vec<RecordRow>;
    let mut given = Given::new(config, now, past.record);
    let check = |table: &Table| match reach {
        Reach::Rules => Ok(()),
        _ => table.check_age(now),
    };
    let problem = |source: &Source, error: SourceError| {
        if reach == Reach::Rules && !error.problem.is_of_columns() {
            return;
        }
        let at = error.place().unwrap_or(source.query_place()).clone();
        problems.push(unread_source(&error, Some(at)));
    };
    let mut tables = open::open(config, &needed, &depths, &given, check, problem);

    let clock = Clock {
        now,
        zone: &config.zone,
    };
    let columns = config.sources.iter().zip(&tables).map(|(source, table)| {
        let origin = format!("a column of source {}", source.name);
        match table {
            Some(table) => Some(Columns::new(table.columns(), origin)),
            None => (reach == Reach::Rules).then(|| Columns::unknown(origin)),
        }
    });
    let columns: Vec<_> = columns.collect();
    // Who is who is to be known before any row is read for whom it is of.
    let first = (0..tables.len()).map(|source| is_of_merges(config, source));
    let first = open::with_inputs(config, first.collect());
    let (begun, failed) = match reach {
        Reach::Rules => (vec![false; tables.len()], None),
        _ => open::begin(config, &first, &depths, &given, &tables),
    };
    let lists = merged::Lists {
        config,
        tables: &tables,
        columns: &columns,
        begun: &begun,
    };
    let mut merged = lists.read(past.merged, &clock);
    problems.append(&mut merged.problems);
    let people = merged.people;
    if let (Recorded::Rows(rows), false) = (past.record, people.is_empty()) {
        record = people.record(rows);
        given = Given::new(config, now, Recorded::Rows(&record));
    }
    let unread = failed.or(merged.unread);
    let only = only.map(|only| people.kept(only));

    let declared = Declared::new(config, &people);
    let mut templates = Templates::new();
    let mut attributes = Columns::new(
        &declared.columns,
        "an attribute of any declared contact".to_owned(),
    );
    attributes.truths = truths(config);
    let plain_notation = Notation::default();
    let mut blocks = Vec::with_capacity(config.enrols.len());
    let enrols = config.enrols.iter().map(|enrol| (None, enrol));
    let lists = config.suppressions.iter().enumerate();
    let lists = lists.filter_map(|(index, of)| Some((Some(index), of.list.as_ref()?)));
    for (index, (list, enrol)) in enrols.chain(lists).enumerate() {
        let columns = match enrol.source {
            None => Some(&attributes),
            Some(source) => columns[source].as_ref(),
        };
        if let Some(columns) = columns {
            let block = Block::new(
                config,
                (index, list, enrol),
                columns,
                match enrol.source {
                    Some(source) => reading(config, source),
                    None => Reading {
                        zone: &config.zone,
                        notation: &plain_notation,
                    },
                },
                &clock,
                &mut templates,
                &mut problems,
            );
            blocks.push(block.of(&people));
        }
    }

    drop(columns);
    let mut conditions: Vec<Option<String>> = vec![None; tables.len()];
    match reach {
        Reach::Rules => tables.fill_with(|| None),
        // Whose rows are read depends on who has others.
        Reach::Used if problems.is_empty() && people.is_empty() && config.merges.is_empty() => {
            conditions = left_to_databases(config, now, &blocks, &tables);
        }
        // Whoever checks all looks at all rows.
        _ => {}
    }
    // Whoever asks for one contact wants to know why a row does not match.
    if only.is_none() {
        for (table, condition) in tables.iter_mut().zip(&conditions) {
            if let (Some(table), Some(condition)) = (table, condition) {
                table.narrow(condition.clone());
            }
        }
    }
    let named = Named::new(config, all);
    let mut suppressed = Suppressed::new(config, &people);
    let selector = |source: Option<usize>, is_of_lists: bool| Selector {
        config,
        named: &named,
        suppressed: None,
        people: &people,
        watch: Watch::new(config, source, &blocks, all),
        templates: &templates,
        only,
        blocks: Dispatch::new(
            blocks
                .iter()
                .filter(|block| block.enrol.source == source)
                .filter(|block| block.list.is_some() == is_of_lists)
                .collect(),
            &config.zone,
            source.is_some(),
        ),
    };
    // The lists come first, with what their queries ask: they decide what becomes of the rows of all others. What is read for
    // them is read again where blocks enrol from it.
    let mut found: Vec<Option<Selection>> = tables.iter().map(|_| None).collect();
    let nobody = People::default();
    let lists = (0..tables.len()).map(|source| is_list(config, source));
    let lists = open::with_inputs(config, lists.collect());
    let enrols = |source| config.enrols.iter().any(|of| of.source == Some(source));
    for is_of_lists in [true, false] {
        let is_now = |source: usize| match is_of_lists {
            true => lists[source],
            false => !lists[source] || enrols(source),
        };
        // Queries over sources come behind what they ask, once that is known to be good.
        for depth in 0..=depths.iter().copied().max().unwrap_or(0) {
            let opened = open::opened(config, &tables);
            let inputs = given.with(&opened);
            let has_problems = found.iter().flatten().any(Selection::has_problems);
            let is_good = problems.is_empty() && !has_problems;
            let is_wrong =
                |source: usize| found[source].as_ref().is_some_and(Selection::has_problems);
            let is_due = |source: usize| {
                let is_readable = depth == 0 || is_good;
                is_now(source) && depths[source] == depth && is_readable && !is_wrong(source)
            };
            let jobs: Vec<_> = (tables.iter().enumerate())
                .filter(|(source, _)| is_due(*source))
                .filter_map(|(source, table)| {
                    let reading = reading(config, source);
                    let selector = match is_of_lists {
                        // Each id that is on a list counts, whosever it is.
                        true => Selector {
                            people: &nobody,
                            only: only.filter(|_| people.is_empty()),
                            ..selector(Some(source), true)
                        },
                        false => Selector {
                            suppressed: Some(&suppressed),
                            ..selector(Some(source), false)
                        },
                    };
                    Some((source, selector, table.as_ref()?, reading))
                })
                .collect();
            let is_begun = |source: usize| begun[source] || found[source].is_some();
            let selections = side_by_side(&jobs, |(source, selector, table, reading)| {
                let began = match is_begun(*source) {
                    true => Ok(()),
                    false => {
                        let filled = table.fill(&config.sources[*source], &inputs);
                        filled.and_then(|()| table.begin())
                    }
                };
                match began {
                    Ok(()) => selector.table(table, *reading),
                    Err(error) => {
                        let place = config.sources[*source].query_place();
                        Selection::refused(unread_source(&error, Some(place.clone())))
                    }
                }
            });
            let places: Vec<usize> = jobs.iter().map(|(source, ..)| *source).collect();
            drop(jobs);
            for (place, selection) in places.into_iter().zip(selections) {
                found[place] = Some(selection);
            }
        }
        if is_of_lists {
            for (list, contact) in found.iter().flatten().flat_map(|of| &of.listed) {
                suppressed.add(&people, contact, *list);
            }
        }
    }
    let selections = found.into_iter().zip(&tables);
    let selections = selections.filter(|(_, table)| table.is_some());
    let selections: Vec<Selection> = selections
        .map(|(selection, _)| selection.unwrap_or_default())
        .collect();

    let from_declared = {
        let selector = Selector {
            suppressed: Some(&suppressed),
            ..selector(None, false)
        };
        selector.declared(&declared)
    };
    let mut roster = Roster {
        config,
        templates,
        declared,
        people,
        entries: Entries::default(),
        withheld: Entries::default(),
        suppressed,
        more_rows: MoreRows::default(),
        sizes: vec![0; config.automations.len()],
        needs_record: config.enrols.iter().any(|enrol| enrol.lot.is_some()),
        warnings: Vec::new(),
        blocks,
        sources: Vec::new(),
        conditions,
    };
    let mut seen = Vec::with_capacity(selections.len());
    let mut noted = Vec::with_capacity(selections.len());
    let mut opened = tables.iter_mut().flatten();
    for selection in selections.into_iter().chain([from_declared]) {
        problems.extend(selection.report.list);
        let appended = roster.entries.append(selection.entries);
        let appended = appended.and_then(|()| roster.withheld.append(selection.withheld));
        if appended.is_err() {
            problems.push(too_many());
        }
        if let Some(table) = opened.next() {
            table.set_index(selection.index);
        }
        seen.push(selection.seen);
        noted.push(selection.noted);
    }
    roster.sources = tables;
    if problems.is_empty() {
        problems.extend(unread.map(|error| unread_source(&error, None)));
    }
    let found =
        same_but_for_form(config, &roster.people, &roster.sources, &seen).and_then(|list| {
            problems.extend(list);
            let mut warnings =
                named.warnings(&roster.people, &roster.sources, &roster.declared, &seen)?;
            warnings.append(&mut merged.warnings);
            if all {
                let suppressed = &roster.suppressed;
                warnings.extend(nearly_listed(config, &roster.sources, &seen, suppressed)?);
            }
            let opened = roster.sources.iter().enumerate();
            let opened = opened.filter_map(|(source, table)| Some((source, table.as_ref()?)));
            for ((source, table), (seen, noted)) in opened.zip(seen.iter().zip(&noted)) {
                let watch = Watch::new(config, Some(source), &roster.blocks, all);
                let near = |id: &str| seen.near(id, table);
                warnings.extend(watch.warnings(table, noted, &roster.blocks, near)?);
                warnings.extend(old_rows(
                    config,
                    table,
                    seen.twice(),
                    &roster.blocks,
                    source,
                ));
            }
            Ok(warnings)
        });
    match found {
        Ok(mut warnings) => {
            warnings.extend(given.warnings(config, &roster.sources));
            roster.warnings = warnings;
        }
        Err(error) => problems.push(unread_source(&error, None)),
    }
    roster.entries.sort();
    roster.withheld.sort();
    // They have no fields to differ in.
    roster.withheld.settle(0);
    // Where there are problems already, blocks may be missing.
    let mut conflicts = match problems.is_empty() {
        true => roster.gather(&mut problems),
        false => Vec::new(),
    };
    let (differing, count) = roster.entries.settle(MOST);
    let count = count + conflicts.len();
    conflicts.extend(differing);
    conflicts.truncate(MOST);
    problems.extend(conflicts.iter().map(|pair| roster.conflict(pair)));
    problems.extend(more("the enrolments", count - conflicts.len()));
    if !problems.is_empty() {
        return Err(Problems {
            list: problems,
            files: config.files.clone(),
        });
    }
    roster.displace();
    for entry in roster.entries.list() {
        match entry.class() {
            Class::ComesIn => roster.sizes[entry.automation as usize] += 1,
            Class::Displaced | Class::LeftOut | Class::Stays => roster.needs_record = true,
        }
    }
    Ok(roster)
}

/// For each source, the condition on its rows that its database can decide.
fn left_to_databases<'c>(
    config: &'c Config,
    now: Timestamp,
    blocks: &[Block<'c>],
    tables: &[Option<Table>],
) -> Vec<Option<String>> {
    let of = |(source, table): (usize, &Option<Table>)| {
        let table = table.as_ref()?;
        // A query over it wants all rows, and so does a list: who is on none of them is not known otherwise. What a query over
        // sources asks is gone once it was read, so that it cannot be asked for the rows that were left out.
        let is_query = matches!(config.sources[source].kind, SourceKind::Query { .. });
        if is_query || open::is_input(config, source) || is_list(config, source) {
            return None;
        }
        let blocks = blocks.iter();
        let blocks = blocks.filter(|block| block.enrol.source == Some(source));
        table.condition(&wanted(config, now, blocks, table.contact()?))
    };
    tables.iter().enumerate().map(of).collect()
}

fn unread_source(error: &SourceError, at: Option<Place>) -> Diagnostic {
    plain(error.to_string(), at, error.help().into_owned())
}

fn too_many() -> Diagnostic {
    plain(
        "the ids of all enrolments are longer than 4 GiB in total".to_owned(),
        None,
        "split the configuration into several, each with its own record".to_owned(),
    )
}

impl Roster<'_> {
    /// Makes one enrolment of the rows that are to make one together. Returns the pairs of rows that do not go together.
    fn gather(&mut self, problems: &mut Vec<Diagnostic>) -> Vec<(Entry, Entry)> {
        let targets = self.blocks.iter().flat_map(|block| &block.targets);
        let mut fields = targets.filter_map(|target| target.fields.as_ref());
        if !fields.any(Fields::take_each_row) {
            return Vec::new();
        }
        let mut conflicts = Vec::new();
        let mut gathered = Vec::new();
        let takes = |entry: &Entry| {
            let fields = self.fields_of(entry.block(), entry.automation as usize);
            let has_fields =
                entry.class() == Class::ComesIn || self.entries.fields(entry).is_some();
            has_fields && fields.is_some_and(Fields::take_each_row)
        };
        for group in self.entries.groups(takes) {
            let list = &self.entries.list()[group.clone()];
            let (first, of) = (list[0], self.enrolment(&list[0]));
            let enrol = &self.config.enrols[of.block];
            let whom = For {
                contact: of.contact,
                automation: self.config.automations[of.automation].name.as_str(),
                occurrence: of.occurrence,
            };
            let rows = list.iter().map(|entry| entry.row);
            match self.render(of.block, of.automation, whom, rows) {
                Ok(fields) => {
                    let more = list[1..].iter().map(|entry| entry.row).collect();
                    self.more_rows
                        .insert((first.automation, first.block() as u32, first.row), more);
                    gathered.push((group, field::digest(&fields)));
                }
                Err(NoFields::Differs(place)) => {
                    conflicts.push((first, list[place]));
                    gathered.push((group, None));
                }
                Err(NoFields::Unreadable(error)) => {
                    let source = enrol.source.map(|source| &self.config.sources[source]);
                    problems.push(unread_source(
                        &error,
                        source.map(|source| source.place.clone()),
                    ));
                    break;
                }
                Err(NoFields::Changed) => {
                    problems.push(plain(
                        format!(
                            "a row of contact {} was changed in place while it was read",
                            of.contact
                        ),
                        Some(enrol.place.clone()),
                        "write exports under another name and rename them when they are complete"
                            .to_owned(),
                    ));
                    break;
                }
            }
        }
        if self.entries.gather(&gathered).is_err() {
            problems.push(too_many());
        }
        conflicts
    }

    /// Two rows or blocks that enrol a contact in one automation, each with other fields.
    fn conflict(&self, (first, other): &(Entry, Entry)) -> Diagnostic {
        let config = self.config;
        let origin = |entry: &Entry| {
            let enrol = &config.enrols[entry.block()];
            let from = match enrol
                .source
                .and_then(|source| self.sources[source].as_ref())
            {
                Some(table) => format!("{table}, {}", table.place(RowId(entry.row))),
                None => match self.declared.table_of(self.entries.contact(entry)) {
                    Some(contact) => format!("the declared contact ({})", contact.place),
                    None => "the contact's name alone".to_owned(),
                },
            };
            (enrol.place.clone(), from)
        };
        let (place, from) = origin(first);
        let (other_place, other_from) = origin(other);
        let of = self.enrolment(first);
        let (contact, automation) = (of.contact, &config.automations[of.automation].name);
        let occurrence = of
            .occurrence
            .map(|occurrence| format!(", occurrence {occurrence},"));
        let occurrence = occurrence.unwrap_or_default();
        Diagnostic {
            message: format!(
                "contact {contact} is enrolled in {automation}{occurrence} twice, with different fields: from {from} and \
                 from {other_from}"
            ),
            at: Some(place),
            label: Some("enrolled here".to_owned()),
            related: vec![(other_place, "and here, with other fields".to_owned())],
            help: Some(
                "make the fields equal, exclude one of the two with a `where`, or give the automation a `repeat_by`"
                    .to_owned(),
            ),
        }
    }
}

/// The attributes of declared contacts that are true or false wherever they are declared.
fn truths(config: &Config) -> HashSet<&str> {
    let all = || {
        config
            .contacts
            .values()
            .flat_map(|contact| &contact.attributes)
    };
    let is_truth = |value: &Value| matches!(value, Value::Boolean(_));
    let mut truths: HashSet<&str> = all()
        .filter(|(_, value)| is_truth(value))
        .map(|(name, _)| name.as_str())
        .collect();
    for (name, _) in all().filter(|(_, value)| !is_truth(value)) {
        truths.remove(name.as_str());
    }
    truths
}
