//! Reading everything: the sources side by side, then all of it put in order.

use jiff::Timestamp;

use super::block::Block;
use super::condition::Clock;
use super::dispatch::Dispatch;
use super::entries::{Entries, Entry};
use super::fields::{Fields, For, Templates};
use super::problems::{MOST, more, plain};
use super::render::{NoFields, Renderer};
use super::select::{Declared, Selector};
use super::writing::{Named, same_but_for_form};
use super::{MoreRows, Opened, Roster};
use crate::config::{Config, Diagnostic, Problems};
use crate::field;
use crate::source::{RowId, SourceError, Table};
use crate::threads::side_by_side;

/// Reads every source that a block draws on, and selects.
///
/// Spans like `within = "30d"` and `max_age` count from `now`.
///
/// # Errors
/// Every problem of every source: one that cannot be used, rows that cannot be read, a column that the configuration
/// names and the source does not have, fields that cannot be made or that differ for one enrolment. Then there is no
/// roster: half a roster would stop people.
pub fn build(config: &Config, now: Timestamp) -> Result<Roster<'_>, Problems> {
    read(config, now, false, None)
}

/// Reads every source that a block draws on, and selects what there is of one contact.
///
/// # Errors
/// As [`build`], but for what conditions, fields and occurrences make of the cells of other contacts. A source that cannot be
/// read as a whole is refused all the same.
pub fn build_for<'c>(
    config: &'c Config,
    contact: &str,
    now: Timestamp,
) -> Result<Roster<'c>, Problems> {
    read(config, now, false, Some(contact))
}

/// Checks what [`build`] would, and the sources that no block draws on as well.
///
/// # Errors
/// As [`build`].
pub fn check(config: &Config, now: Timestamp) -> Result<Roster<'_>, Problems> {
    read(config, now, true, None)
}

fn is_used(config: &Config, source: usize) -> bool {
    let mut enrols = config.enrols.iter();
    enrols.any(|enrol| enrol.source == Some(source))
}

fn read<'c>(
    config: &'c Config,
    now: Timestamp,
    all: bool,
    only: Option<&str>,
) -> Result<Roster<'c>, Problems> {
    let mut problems = Vec::new();
    let used = |source| all || is_used(config, source);
    let sources = config.sources.iter().enumerate();
    let tables: Vec<Option<Table>> = sources
        .map(|(index, source)| {
            if !used(index) {
                return None;
            }
            let table = Table::open(source).and_then(|table| {
                table.check_age(now)?;
                Ok(table)
            });
            table
                .map_err(|error| {
                    let at = error.place().unwrap_or(&source.place).clone();
                    let help = error.help().into_owned();
                    problems.push(plain(error.to_string(), Some(at), help));
                })
                .ok()
        })
        .collect();

    let declared = Declared::new(config);
    let mut templates = Templates::new();
    let clock = Clock {
        now,
        zone: &config.zone,
    };
    let mut blocks = Vec::with_capacity(config.enrols.len());
    for (index, enrol) in config.enrols.iter().enumerate() {
        let columns = match enrol.source {
            None => Some(declared.columns.as_slice()),
            Some(source) => tables[source].as_ref().map(Table::columns),
        };
        if let Some(columns) = columns {
            let block = Block::new(
                config,
                index,
                columns,
                &clock,
                &mut templates,
                &mut problems,
            );
            blocks.push(block);
        }
    }

    let named = Named::new(config, all);
    let selector = |source: Option<usize>| Selector {
        config,
        named: &named,
        templates: &templates,
        only,
        blocks: Dispatch::new(
            blocks
                .iter()
                .filter(|block| block.enrol.source == source)
                .collect(),
        ),
    };
    let jobs: Vec<_> = tables
        .iter()
        .enumerate()
        .filter_map(|(source, table)| Some((selector(Some(source)), table.as_ref()?)))
        .collect();
    let selections = side_by_side(&jobs, |(selector, table)| selector.table(table));
    drop(jobs);

    let from_declared = selector(None).declared(&declared);
    let mut entries = Entries::default();
    let mut withheld = Entries::default();
    let mut indices = Vec::with_capacity(selections.len());
    let mut seen = Vec::with_capacity(selections.len());
    for selection in selections.into_iter().chain([from_declared]) {
        problems.extend(selection.report.list);
        let appended = entries.append(selection.entries);
        let appended = appended.and_then(|()| withheld.append(selection.withheld));
        if appended.is_err() {
            problems.push(too_many());
        }
        indices.push(selection.index);
        seen.push(selection.seen);
    }
    let mut indices = indices.into_iter();
    let mut open = |table| {
        let index = indices.next().unwrap_or_default();
        Opened { table, index }
    };
    let tables = tables.into_iter();
    let sources: Vec<Option<Opened>> = tables.map(|table| table.map(&mut open)).collect();
    let unread = |error: &SourceError| plain(error.to_string(), None, error.help().into_owned());
    match same_but_for_form(config, &sources, &seen) {
        Ok(list) => problems.extend(list),
        Err(error) => problems.push(unread(&error)),
    }
    let warnings = named.warnings(&sources, &declared, &seen);
    let warnings = warnings.unwrap_or_else(|error| {
        problems.push(unread(&error));
        Vec::new()
    });
    entries.sort();
    withheld.sort();
    // They have no fields to differ in.
    withheld.settle(0);
    let renderer = Renderer {
        config,
        templates: &templates,
        blocks: &blocks,
        sources: &sources,
        declared: &declared,
    };
    let mut more_rows = MoreRows::default();
    // Where there are problems already, blocks may be missing.
    let mut conflicts = match problems.is_empty() {
        true => gather(&renderer, &mut entries, &mut more_rows, &mut problems),
        false => Vec::new(),
    };
    let (differing, count) = entries.settle(MOST);
    let count = count + conflicts.len();
    conflicts.extend(differing);
    conflicts.truncate(MOST);
    let conflict = |pair: &(Entry, Entry)| conflict(config, &sources, &declared, &entries, pair);
    problems.extend(conflicts.iter().map(conflict));
    problems.extend(more("the enrolments", count - conflicts.len()));
    if !problems.is_empty() {
        return Err(Problems {
            list: problems,
            files: config.files.clone(),
        });
    }

    let mut sizes = vec![0; config.automations.len()];
    for entry in entries.list() {
        sizes[entry.automation as usize] += 1;
    }
    Ok(Roster {
        config,
        templates,
        blocks,
        sources,
        declared,
        entries,
        withheld,
        more_rows,
        sizes,
        warnings,
    })
}

/// Makes one enrolment of the rows that are to make one together. Returns the pairs of rows that do not go together.
fn gather(
    renderer: &Renderer<'_, '_>,
    entries: &mut Entries,
    more_rows: &mut MoreRows,
    problems: &mut Vec<Diagnostic>,
) -> Vec<(Entry, Entry)> {
    let takes = |automation: usize, block: usize| {
        let fields = renderer.fields_of(block, automation);
        fields.is_some_and(Fields::take_each_row)
    };
    let targets = renderer.blocks.iter().flat_map(|block| &block.targets);
    if !targets
        .filter_map(|target| target.fields.as_ref())
        .any(Fields::take_each_row)
    {
        return Vec::new();
    }
    let mut conflicts = Vec::new();
    let mut gathered = Vec::new();
    for group in entries.groups(|entry| takes(entry.automation as usize, entry.block as usize)) {
        let list = &entries.list()[group.clone()];
        let (first, block, automation) =
            (list[0], list[0].block as usize, list[0].automation as usize);
        let whom = For {
            contact: entries.contact(&first),
            automation: renderer.config.automations[automation].name.as_str(),
            occurrence: entries.occurrence(&first),
        };
        let rows = list.iter().map(|entry| entry.row);
        match renderer.render(block, automation, whom, rows) {
            Ok(fields) => {
                let more = list[1..].iter().map(|entry| entry.row).collect();
                more_rows.insert((first.automation, first.block, first.row), more);
                gathered.push((group, field::digest(&fields)));
            }
            Err(NoFields::Differs(place)) => {
                conflicts.push((first, list[place]));
                gathered.push((group, None));
            }
            Err(NoFields::Unreadable(error)) => {
                let source = renderer.config.enrols[block].source;
                let at = source.map(|source| renderer.config.sources[source].place.clone());
                let help = error.help().into_owned();
                problems.push(plain(error.to_string(), at, help));
                break;
            }
            Err(NoFields::Changed) => {
                problems.push(plain(
                    format!(
                        "a row of contact {} was changed in place while it was read",
                        whom.contact
                    ),
                    Some(renderer.config.enrols[block].place.clone()),
                    "write exports under another name and rename them when they are complete"
                        .to_owned(),
                ));
                break;
            }
        }
    }
    if entries.gather(&gathered).is_err() {
        problems.push(too_many());
    }
    conflicts
}

fn too_many() -> Diagnostic {
    plain(
        "the ids of all enrolments together are longer than 4 GiB".to_owned(),
        None,
        "split the configuration into several, each with a record of its own".to_owned(),
    )
}

/// Two rows or blocks that enrol a contact in one automation, each with other fields.
fn conflict(
    config: &Config,
    sources: &[Option<Opened>],
    declared: &Declared<'_>,
    entries: &Entries,
    (first, other): &(Entry, Entry),
) -> Diagnostic {
    let origin = |entry: &Entry| {
        let enrol = &config.enrols[entry.block as usize];
        let from = match enrol.source.and_then(|source| sources[source].as_ref()) {
            Some(Opened { table, index }) => {
                let row = RowId(entry.row);
                format!("{table}, {}", index.at(table, row))
            }
            None => {
                let place = usize::try_from(entry.row).ok();
                let row = place.and_then(|place| declared.rows.get(place));
                match row.and_then(|(_, contact)| *contact) {
                    Some(contact) => format!("the declared contact ({})", contact.place),
                    None => "the contact's name alone".to_owned(),
                }
            }
        };
        (enrol.place.clone(), from)
    };
    let (place, from) = origin(first);
    let (other_place, other_from) = origin(other);
    let automation = &config.automations[first.automation as usize].name;
    let occurrence = match entries.occurrence(first) {
        Some(occurrence) => format!(", occurrence {occurrence},"),
        None => String::new(),
    };
    Diagnostic {
        message: format!(
            "contact {} is enrolled in {automation}{occurrence} twice, with different fields: from {from} and from {other_from}",
            entries.contact(first)
        ),
        at: Some(place),
        label: Some("enrolled here".to_owned()),
        related: vec![(other_place, "and here, with other fields".to_owned())],
        help: Some(
            "make the fields equal, leave one of the two out with a `where`, or give the automation a `repeat_by`"
                .to_owned(),
        ),
    }
}
