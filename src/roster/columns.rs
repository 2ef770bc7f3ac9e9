//! The columns that a block draws on: those of its source, or the attributes of the declared contacts.

use std::cell::Cell;
use std::collections::hash_map::Entry;
use std::collections::{HashMap, HashSet};

use crate::config::nearest;

/// So many unknown names of one source are compared with all that there are. Of far fewer more than a count is shown.
const MOST_ADVICE: usize = 200;

/// The columns of one source, by name.
pub(super) struct Columns<'a> {
    names: &'a [String],
    places: HashMap<&'a str, Result<usize, NotOne>>,
    /// What each is: `a column of source crm`.
    pub(super) origin: String,
    /// Those that are true or false wherever there is a value.
    pub(super) truths: HashSet<&'a str>,
    /// Whether they are known at all.
    is_known: bool,
    advised: Cell<usize>,
}

/// Why a name is not that of one column.
#[derive(Debug, Clone, Copy)]
pub(super) enum NotOne {
    /// No column has it.
    None,
    /// Columns with these numbers have it, from 1.
    Two(usize, usize),
}

impl<'a> Columns<'a> {
    pub(super) fn new(names: &'a [String], origin: String) -> Self {
        let mut places = HashMap::with_capacity(names.len());
        for (place, name) in names.iter().enumerate() {
            match places.entry(name.as_str()) {
                Entry::Vacant(entry) => _ = entry.insert(Ok(place)),
                Entry::Occupied(mut entry) => {
                    if let Ok(first) = *entry.get() {
                        _ = entry.insert(Err(NotOne::Two(first + 1, place + 1)));
                    }
                }
            }
        }
        Self {
            names,
            places,
            origin,
            truths: HashSet::new(),
            is_known: true,
            advised: Cell::new(0),
        }
    }

    /// Those of a source that is not read: every name may be one of theirs.
    pub(super) fn unknown(origin: String) -> Self {
        Self {
            is_known: false,
            ..Self::new(&[], origin)
        }
    }

    /// Whether a column is known to have this name.
    pub(super) fn has(&self, name: &str) -> bool {
        self.places.contains_key(name)
    }

    /// The place of a column.
    pub(super) fn find(&self, name: &str) -> Result<usize, NotOne> {
        match self.is_known {
            true => *self.places.get(name).unwrap_or(&Err(NotOne::None)),
            false => Ok(0),
        }
    }

    /// The name that was most likely meant by one that is not there.
    pub(super) fn nearest(&self, wanted: &str) -> Option<&'a str> {
        let advised = self.advised.replace(self.advised.get() + 1);
        let names = self.names.iter().filter(|_| advised < MOST_ADVICE);
        nearest(names.map(String::as_str), wanted)
    }

    /// What is wrong with a name, to follow it: `is not a column of source crm`.
    pub(super) fn problem(&self, not_one: NotOne) -> String {
        let origin = &self.origin;
        match not_one {
            NotOne::None => format!("is not {origin}"),
            NotOne::Two(first, second) => {
                format!("is {origin} twice, as number {first} and as number {second}")
            }
        }
    }

    /// What to do about a name that is not that of one column.
    pub(super) fn advice(&self, not_one: NotOne, wanted: &str) -> String {
        const MOST: usize = 12;
        if let NotOne::Two(..) = not_one {
            return "give each of the two columns its own name".to_owned();
        }
        match self.nearest(wanted) {
            Some(nearest) => format!("did you mean `{nearest}`?"),
            None if self.names.is_empty() => "declare it in a [contact.*] table".to_owned(),
            None => {
                let more = self.names.len().saturating_sub(MOST);
                let shown = self.names[..self.names.len() - more].join(", ");
                match more {
                    0 => format!("there are {shown}"),
                    _ => format!("there are {shown} and {more} more"),
                }
            }
        }
    }
}
