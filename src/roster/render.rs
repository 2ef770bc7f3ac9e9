//! Making the fields of an enrolment from the rows that it came from.

use hashbrown::HashSet;

use super::Roster;
use super::cell::SourceCells;
use super::fields::{Fields, For};
use crate::field::{FieldContent, FieldValue};
use crate::source::{RowBuffer, RowId, SourceError};

/// Why there are no fields.
#[derive(Debug)]
pub(super) enum NoFields {
    /// A row cannot be read again.
    Unreadable(SourceError),
    /// A row does not give what it gave before.
    Changed,
    /// A row, by its place among those asked for, gives another value than the first for a field of which there can be
    /// but one.
    Differs(usize),
}

/// The products of a field.
fn ids_of(field: &FieldValue) -> HashSet<String> {
    match &field.content {
        FieldContent::Products(ids) => ids.iter().cloned().collect(),
        _ => HashSet::new(),
    }
}

impl<'c> Roster<'c> {
    /// The fields of an automation by a block, if they have any.
    pub(super) fn fields_of(&self, block: usize, automation: usize) -> Option<&Fields<'c>> {
        let targets = self.blocks.get(block)?.targets.iter();
        targets
            .filter(|target| target.automation == automation)
            .find_map(|target| target.fields.as_ref())
    }

    /// Makes the fields of an enrolment from all the rows that it came from.
    ///
    /// # Errors
    /// Why they cannot be made, or not as one.
    pub(super) fn render(
        &self,
        block: usize,
        automation: usize,
        whom: For<'_>,
        rows: impl IntoIterator<Item = u64>,
    ) -> Result<Vec<FieldValue>, NoFields> {
        let fields = self.fields_of(block, automation).ok_or(NoFields::Changed)?;
        let mut whole: Option<Vec<FieldValue>> = None;
        // What each field has of several rows, once there is a second one.
        let mut known: Vec<HashSet<String>> = Vec::new();
        for (place, row) in rows.into_iter().enumerate() {
            let values = self
                .one(block, fields, whom, row)?
                .ok_or(NoFields::Changed)?;
            match &mut whole {
                None => whole = Some(values),
                Some(whole) => {
                    if known.is_empty() {
                        known = whole.iter().map(ids_of).collect();
                    }
                    let all = fields.list().zip(whole).zip(&mut known).zip(values);
                    for (((field, whole), known), value) in all {
                        match (&mut whole.content, value.content) {
                            (FieldContent::Products(ids), FieldContent::Products(more))
                                if field.template.takes_each_row() =>
                            {
                                let before = ids.len();
                                ids.extend(more.into_iter().filter(|id| !known.contains(id)));
                                known.extend(ids[before..].iter().cloned());
                            }
                            (one, other) if *one == other => {}
                            _ => return Err(NoFields::Differs(place)),
                        }
                    }
                }
            }
        }
        whole.ok_or(NoFields::Changed)
    }

    /// Makes them from one row; `None` where it does not give them any more.
    fn one(
        &self,
        block: usize,
        fields: &Fields<'c>,
        whom: For<'_>,
        row: u64,
    ) -> Result<Option<Vec<FieldValue>>, NoFields> {
        let source = self.blocks[block].enrol.source;
        match source.and_then(|source| Some((source, self.sources[source].as_ref()?))) {
            Some((source, table)) => {
                let mut buffer = RowBuffer::default();
                let row = table.row(RowId(row), &mut buffer);
                let row = row.map_err(NoFields::Unreadable)?;
                let cells = SourceCells {
                    cells: row.cells,
                    reading: self.reading(source),
                };
                let same = self.people.kept(row.contact) == whom.contact;
                Ok(same
                    .then(|| fields.render(&self.templates, &cells, whom).ok())
                    .flatten())
            }
            None => {
                let row = usize::try_from(row).ok();
                let row = row.and_then(|row| self.declared.rows.get(row));
                Ok(row.and_then(|(_, contact)| {
                    let cells = self.declared.cells(*contact);
                    fields.render(&self.templates, &cells, whom).ok()
                }))
            }
        }
    }
}
