//! The record as a table, for queries over sources.

/// The columns of the table `record`.
pub(super) const COLUMNS: [&str; 7] = [
    "contact",
    "automation",
    "occurrence",
    "state",
    "triggered_at",
    "stopped_at",
    "ended_at",
];

/// A participation, as a query sees it. Times are texts such as `2026-11-23T09:00:00Z`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RecordRow {
    /// The contact.
    pub contact: String,
    /// The automation, by the name that it has now.
    pub automation: String,
    /// The occurrence, if it has one.
    pub occurrence: Option<String>,
    /// Where it stands.
    pub state: &'static str,
    /// When it was last triggered, of what was carried out or is in doubt.
    pub triggered_at: Option<String>,
    /// When it was stopped.
    pub stopped_at: Option<String>,
    /// When it ended by itself.
    pub ended_at: Option<String>,
}

impl RecordRow {
    pub(super) fn cells(&self) -> [Option<String>; COLUMNS.len()] {
        [
            Some(self.contact.clone()),
            Some(self.automation.clone()),
            self.occurrence.clone(),
            Some(self.state.to_owned()),
            self.triggered_at.clone(),
            self.stopped_at.clone(),
            self.ended_at.clone(),
        ]
    }
}

/// What is known of the record where queries may ask it.
#[derive(Debug, Clone, Copy)]
pub enum Recorded<'r> {
    /// All that is on it.
    Rows(&'r [RecordRow]),
    /// It is taken as empty, and this says why: `there is none yet`.
    Empty(&'r str),
}

impl<'r> Recorded<'r> {
    pub(super) fn rows(self) -> &'r [RecordRow] {
        match self {
            Self::Rows(rows) => rows,
            Self::Empty(_) => &[],
        }
    }
}
