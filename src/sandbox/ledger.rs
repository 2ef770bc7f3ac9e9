//! The ledger: what was carried out, as it is written to file and read by tests.

use std::collections::BTreeMap;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

/// A call that was carried out: one that changed something.
///
/// A trigger that started nothing and a stop that found nothing to stop are not here. Of personalisation fields it
/// holds the names and types, and one digest of their values.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LedgerEntry {
    /// Its place in the ledger, from 1, without gaps.
    pub seq: u64,
    /// When, to the millisecond.
    pub time: Timestamp,
    /// What.
    pub kind: Deed,
    /// The trigger code.
    pub code: String,
    /// The contact's `externalContactId`.
    pub contact: String,
    /// The participations that it started, stopped or finished.
    pub participations: Vec<Touched>,
    /// The types of the personalisation fields, by name.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub fields: BTreeMap<String, String>,
    /// 32 hexadecimal digits that stand for the fields as they were sent, values and all.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub digest: Option<String>,
}

/// What was carried out.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Deed {
    /// Participations were started.
    Trigger,
    /// Participations were stopped.
    Stop,
    /// A participation passed all its steps. No call does this; the control interface does.
    Finish,
}

/// A participation, as the ledger names it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Touched {
    /// The id that the trigger's answer gave.
    #[serde(rename = "automationContactId")]
    pub id: String,
    /// The published automation that it is a run of.
    #[serde(rename = "automationId")]
    pub automation: String,
}

/// How many there are of everything.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Totals {
    /// Entries in the ledger.
    pub entries: u64,
    /// Triggers that started something.
    pub triggers: u64,
    /// Stops that stopped something.
    pub stops: u64,
    /// Participations that were ever started.
    pub started: u64,
    /// Participations that are running now.
    pub active: u64,
}

/// Where a participation stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Standing {
    /// It runs.
    Active,
    /// It passed all its steps.
    Finished,
    /// It was stopped.
    Stopped,
}

/// A participation and where it stands.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ParticipationView {
    /// The trigger code.
    pub code: String,
    /// The contact's `externalContactId`.
    pub contact: String,
    /// The id that the trigger's answer gave.
    #[serde(rename = "automationContactId")]
    pub id: String,
    /// The published automation that it is a run of.
    #[serde(rename = "automationId")]
    pub automation: String,
    /// Where it stands.
    pub state: Standing,
}
