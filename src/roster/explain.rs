//! Why a contact is or is not in each automation, block by block.

use super::Roster;
use super::verdict::Asked;
use crate::source::{Lines, RowAt, SourceError};

/// What a block says of a contact and one of its automations.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BlockVerdict {
    /// The block, as an index into [`Config::enrols`](crate::config::Config::enrols).
    pub block: usize,
    /// The automation, as an index into [`Config::automations`](crate::config::Config::automations).
    pub automation: usize,
    /// The source's row that it is about; `None` for a declared contact, and where there is no row.
    pub row: Option<RowAt>,
    /// The occurrence that the row gives.
    pub occurrence: Option<String>,
    /// What a query over sources gave in the columns that the block's conditions read, in their order; `None` where a cell is
    /// absent. Empty for other sources, whose rows anybody can look up.
    pub gave: Vec<(String, Option<String>)>,
    /// The columns by which a contact that is in stays, where the block asks more of who comes in and takes it.
    pub stays_by: Option<Vec<String>>,
    /// Why the contact does not come in; empty if it does, unless it is suppressed.
    pub out: Vec<String>,
}

impl Roster<'_> {
    /// What each block says of a contact, in their order: one verdict for each row of the contact, and each of the block's
    /// automations.
    ///
    /// # Errors
    /// If a source cannot be read again.
    pub fn explain(&self, contact: &str) -> Result<Vec<BlockVerdict>, SourceError> {
        let contact = self.people.kept(contact);
        let automations = (0..self.config.automations.len()).collect();
        let mut verdicts = Vec::new();
        let mut lines = Lines::default();
        self.judge(&Asked::from([(contact, automations)]), |verdict| {
            let row = verdict.row;
            verdicts.push(BlockVerdict {
                block: verdict.block.index,
                automation: verdict.target.automation,
                row: row.map(|(table, number, id)| table.at(number, id, &mut lines)),
                occurrence: verdict.occurrence(),
                gave: match verdict.block.enrol.source {
                    Some(source) if self.config.sources[source].is_query() => verdict.gave(),
                    _ => Vec::new(),
                },
                stays_by: verdict.stays_by(),
                out: verdict.reasons(self),
            });
        })?;
        verdicts.sort_by_key(|verdict| verdict.block);
        Ok(verdicts)
    }
}
