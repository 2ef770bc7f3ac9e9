//! All rows of a record, as values that mean the same in every store: what `record move` carries.

use serde_json::Value;

/// What a column holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::record) enum Kind {
    Number,
    Text,
    /// Bytes; carried in hex.
    Bytes,
    /// Yes or no; carried as 1 or 0.
    Flag,
}

/// A table that is carried.
#[derive(Debug)]
pub(in crate::record) struct Table {
    pub name: &'static str,
    /// How many of the columns, from the first on, are its key.
    pub keys: usize,
    pub columns: &'static [(&'static str, Kind)],
}

/// The values of one row, in the order of the columns.
pub(in crate::record) type Row = Vec<Value>;

/// So many rows are carried at once.
pub(in crate::record) const ROWS: usize = 5000;

use Kind::{Bytes, Flag, Number, Text};

/// All tables, each after those that it points to. What a store knows of itself and who has the lock is not carried; the
/// record's id is the same from the beginning.
pub(in crate::record) const TABLES: [Table; 9] = [
    Table {
        name: "automation",
        keys: 1,
        columns: &[("id", Number), ("name", Text)],
    },
    Table {
        name: "trigger_code",
        keys: 1,
        columns: &[("id", Number), ("code", Text)],
    },
    Table {
        name: "run",
        keys: 1,
        columns: &[
            ("id", Number),
            ("command", Text),
            ("started_at", Number),
            ("ended_at", Number),
            ("host", Text),
            ("pid", Number),
            ("version", Text),
            ("config_digest", Text),
            ("git_revision", Text),
            ("plan", Text),
        ],
    },
    Table {
        name: "call",
        keys: 1,
        columns: &[
            ("id", Number),
            ("run", Number),
            ("kind", Text),
            ("contact", Text),
            ("automation", Number),
            ("occurrence", Text),
            ("trigger_code", Number),
            ("participation_id", Text),
            ("fields", Bytes),
            ("sent_at", Number),
            ("settled_at", Number),
            ("outcome", Text),
            ("http_status", Number),
            ("detail", Text),
            ("entries", Text),
        ],
    },
    Table {
        name: "participation",
        keys: 3,
        columns: &[
            ("contact", Text),
            ("automation", Number),
            ("occurrence", Text),
            ("state", Text),
            ("trigger_code", Number),
            ("ids", Text),
            ("fields", Bytes),
            ("detail", Text),
            ("triggered_at", Number),
            ("changed_at", Number),
            ("left_at", Number),
            ("gone_at", Number),
            ("released_at", Number),
            ("tries", Number),
            ("triggered_as", Text),
        ],
    },
    Table {
        name: "merged",
        keys: 1,
        columns: &[("contact", Text), ("becomes", Text)],
    },
    Table {
        name: "doubted_ids",
        keys: 1,
        columns: &[("ids", Text)],
    },
    Table {
        name: "source",
        keys: 1,
        columns: &[
            ("name", Text),
            ("rows", Number),
            ("applied_at", Number),
            ("ends_with_line_end", Flag),
        ],
    },
    Table {
        name: "applied",
        keys: 1,
        columns: &[("automation", Text), ("sources", Text), ("repeat_by", Text)],
    },
];

/// What the record says of itself and is carried.
pub(in crate::record) const META: Table = Table {
    name: "meta",
    keys: 0,
    columns: &[
        ("serial", Number),
        ("service", Text),
        ("account", Bytes),
        ("counted_from", Number),
        ("moved", Text),
    ],
};

impl Table {
    /// A list of something made of each column and its number, with commas.
    pub(super) fn list(&self, of: impl Fn(usize, &str, Kind) -> String) -> String {
        let columns = self.columns.iter().enumerate();
        let list: Vec<String> = columns
            .map(|(at, (name, kind))| of(at, name, *kind))
            .collect();
        list.join(", ")
    }

    /// The names of its columns.
    pub(super) fn names(&self) -> String {
        self.list(|_, name, _| name.to_owned())
    }

    /// The same list of its key alone.
    pub(super) fn key(&self, of: impl Fn(usize, &str, Kind) -> String) -> String {
        let key = Table {
            columns: &self.columns[..self.keys],
            ..*self
        };
        key.list(of)
    }
}

/// Reads a row that a store made as a JSON array.
pub(super) fn read(json: &str) -> Result<Row, serde_json::Error> {
    let mut row: Row = serde_json::from_str(json)?;
    for value in &mut row {
        // A text that not every store can keep.
        if let Value::String(text) = value
            && text.contains('\0')
        {
            *text = text.replace('\0', "\u{fffd}");
        }
    }
    Ok(row)
}
