//! Opening the sources: files one after the other, servers side by side, and queries over others once these are open.

use hashbrown::HashSet;
use jiff::Timestamp;

use super::problems::plain;
use crate::config::{Config, Diagnostic, Source, SourceKind};
use crate::source::{Inputs, Recorded, SourceError, Table};
use crate::threads::side_by_side;

/// What queries over sources are given beside these.
#[derive(Debug)]
pub(super) struct Given<'r> {
    record: Recorded<'r>,
    today: String,
    now: String,
}

impl<'r> Given<'r> {
    pub(super) fn new(config: &Config, now: Timestamp, record: Recorded<'r>) -> Self {
        Self {
            record,
            today: config.zone.to_datetime(now).date().to_string(),
            now: now.strftime("%Y-%m-%dT%H:%M:%SZ").to_string(),
        }
    }

    /// With the tables that are open.
    pub(super) fn with<'i>(&'i self, tables: &'i [(&'i str, &'i Table)]) -> Inputs<'i> {
        Inputs {
            tables,
            record: self.record,
            today: &self.today,
            now: &self.now,
        }
    }

    /// Says of each query that asks the record where that is taken as empty.
    pub(super) fn warnings(&self, config: &Config, tables: &[Option<Table>]) -> Vec<Diagnostic> {
        let Recorded::Empty(why) = self.record else {
            return Vec::new();
        };
        let asking = config
            .sources
            .iter()
            .zip(tables)
            .filter_map(|(source, table)| match &source.kind {
                SourceKind::Query {
                    asks_record: true,
                    place,
                    ..
                } if table.is_some() => Some(plain(
                    format!(
                        "source {} asks the record, which is taken as empty: {why}",
                        source.name
                    ),
                    Some(place.clone()),
                    "what the query gives here is what it gives where nobody was triggered yet"
                        .to_owned(),
                )),
                _ => None,
            });
        asking.collect()
    }
}

/// The tables that are open, with their names.
pub(super) fn opened<'t>(
    config: &'t Config,
    tables: &'t [Option<Table>],
) -> Vec<(&'t str, &'t Table)> {
    let sources = config.sources.iter().zip(tables);
    sources
        .filter_map(|(source, table)| Some((source.name.as_str(), table.as_ref()?)))
        .collect()
}

/// The sources that a query asks, as indices.
fn inputs<'c>(config: &'c Config, source: &'c Source) -> impl Iterator<Item = usize> + 'c {
    let from = match &source.kind {
        SourceKind::Query { from, .. } => from.as_slice(),
        _ => &[],
    };
    let find = |name: &str| {
        config
            .sources
            .binary_search_by(|source| source.name.as_str().cmp(name))
            .ok()
    };
    from.iter().filter_map(move |input| find(&input.name))
}

/// Whether a query asks a source.
pub(super) fn is_input(config: &Config, source: usize) -> bool {
    let mut sources = config.sources.iter();
    sources.any(|other| inputs(config, other).any(|input| input == source))
}

/// The sources that others need, and these themselves.
pub(super) fn with_inputs(config: &Config, mut needed: Vec<bool>) -> Vec<bool> {
    let mut open: Vec<usize> = (0..needed.len()).filter(|index| needed[*index]).collect();
    while let Some(index) = open.pop() {
        for input in inputs(config, &config.sources[index]) {
            if !std::mem::replace(&mut needed[input], true) {
                open.push(input);
            }
        }
    }
    needed
}

/// The names of a source and of the queries that ask it, also by way of others.
pub fn drawing_on<'c>(config: &'c Config, source: &str) -> HashSet<&'c str> {
    let all = config.sources.iter().zip(0..);
    let draws = all.filter(|(_, index)| {
        let mut needed = vec![false; config.sources.len()];
        needed[*index] = true;
        let needed = with_inputs(config, needed).into_iter().zip(&config.sources);
        needed.into_iter().any(|(is, of)| is && of.name == source)
    });
    draws.map(|(of, _)| of.name.as_str()).collect()
}

/// For each source, how many others lie below it: none below a file, and more below a query than below what it asks. The
/// configuration sees to it that there are no circles.
pub(super) fn depths(config: &Config) -> Vec<usize> {
    let mut depths = vec![0; config.sources.len()];
    for _ in 0..config.sources.len() {
        let mut has_changed = false;
        for (index, source) in config.sources.iter().enumerate() {
            let below = inputs(config, source).map(|input| depths[input] + 1).max();
            let depth =
                below.unwrap_or(usize::from(matches!(source.kind, SourceKind::Query { .. })));
            has_changed |= std::mem::replace(&mut depths[index], depth) != depth;
        }
        if !has_changed {
            break;
        }
    }
    depths
}

/// Begins to read those of the sources that are to be read before all others; queries once what they ask can be read. Returns
/// which are begun, and what keeps others from it.
pub(super) fn begin(
    config: &Config,
    first: &[bool],
    depths: &[usize],
    given: &Given<'_>,
    tables: &[Option<Table>],
) -> (Vec<bool>, Option<SourceError>) {
    let mut begun = vec![false; tables.len()];
    let mut order: Vec<usize> = (0..tables.len()).filter(|source| first[*source]).collect();
    order.sort_by_key(|source| depths[*source]);
    let opened = opened(config, tables);
    for source in order {
        let Some(table) = &tables[source] else {
            continue;
        };
        let filled = table.fill(&config.sources[source], &given.with(&opened));
        if let Err(error) = filled.and_then(|()| table.begin()) {
            return (begun, Some(error));
        }
        begun[source] = true;
    }
    (begun, None)
}

/// Opens the sources that are needed. What is wrong with one is given to `problem`; a query is not opened where one that it
/// asks is not.
pub(super) fn open(
    config: &Config,
    needed: &[bool],
    depths: &[usize],
    given: &Given<'_>,
    check: impl Fn(&Table) -> Result<(), SourceError> + Sync,
    mut problem: impl FnMut(&Source, SourceError),
) -> Vec<Option<Table>> {
    let mut tables: Vec<Option<Table>> = config.sources.iter().map(|_| None).collect();
    for depth in 0..=depths.iter().copied().max().unwrap_or(0) {
        let has_inputs =
            |source: &Source| inputs(config, source).all(|input| tables[input].is_some());
        let now: Vec<usize> = (0..config.sources.len())
            .filter(|index| needed[*index] && depths[*index] == depth)
            .filter(|index| has_inputs(&config.sources[*index]))
            .collect();
        let opened = opened(config, &tables);
        let open = |index: &usize| {
            let table = Table::open(&config.sources[*index], &given.with(&opened))?;
            check(&table)?;
            Ok(table)
        };
        let (far, near): (Vec<usize>, Vec<usize>) = now
            .into_iter()
            .partition(|index| config.sources[*index].is_asked());
        let found = side_by_side(&far, open);
        let found: Vec<_> = far.into_iter().zip(found).collect();
        let others: Vec<_> = near
            .into_iter()
            .map(|index| (index, open(&index)))
            .collect();
        let mut all: Vec<(usize, Result<Table, SourceError>)> =
            found.into_iter().chain(others).collect();
        all.sort_by_key(|(index, _)| *index);
        for (index, table) in all {
            match table {
                Ok(table) => tables[index] = Some(table),
                Err(error) => problem(&config.sources[index], error),
            }
        }
    }
    tables
}
