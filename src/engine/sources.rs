//! What the record keeps of the sources that a run has read.

use std::collections::BTreeMap;

use crate::record::{AppliedSource, SourceNote};
use crate::roster::{Roster, SourceRead};

/// What a run makes of the sources that it has read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Noting {
    /// People were adopted from them: what the record has of them is only added to.
    Adopted,
    /// They were applied.
    Applied,
    /// They were applied, whatever the guard says.
    Allowed,
}

impl Noting {
    pub(super) fn of_apply(allow_large: bool) -> Self {
        match allow_large {
            true => Noting::Allowed,
            false => Noting::Applied,
        }
    }
}

/// What is to be noted of a source. That it ran dry, or lost the line end at its end, is refused until it is allowed: if a run
/// before that noted it, the next one would not see it.
fn note(read: &SourceRead<'_>, before: Option<&AppliedSource>, noting: Noting) -> SourceNote {
    let rows = before.map_or(0, |before| before.rows);
    let ended = before.is_some_and(|before| before.ends_with_line_end == Some(true));
    SourceNote {
        name: read.source.name.clone(),
        rows: match noting {
            Noting::Adopted => read.rows.max(rows),
            Noting::Applied if read.rows == 0 => rows,
            Noting::Applied | Noting::Allowed => read.rows,
        },
        ends_with_line_end: read.ends_with_line_end || (ended && noting != Noting::Allowed),
    }
}

/// What is to be noted of the sources of a roster, given what the record has of them.
pub(super) fn notes(
    roster: &Roster<'_>,
    applied: &BTreeMap<String, AppliedSource>,
    noting: Noting,
) -> Vec<SourceNote> {
    let note = |read: SourceRead<'_>| note(&read, applied.get(&read.source.name), noting);
    roster.sources().map(note).collect()
}

/// Whether a source is so different from what it was at the last apply that this is to be noted, also where nothing is to be
/// done.
pub(super) fn have_news(
    roster: &Roster<'_>,
    applied: &BTreeMap<String, AppliedSource>,
    noting: Noting,
) -> bool {
    roster.sources().any(|read| {
        let before = applied.get(&read.source.name);
        let note = note(&read, before, noting);
        before.is_none_or(|before| {
            let is_counted = read.source.max_shrink.is_some() && before.rows != note.rows;
            is_counted
                || (before.rows == 0) != (note.rows == 0)
                || before.ends_with_line_end != Some(note.ends_with_line_end)
        })
    })
}
