//! The configuration as the rest of Rollcall sees it: checked, merged, complete.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::Duration;

use super::diagnostic::{Diagnostic, Files, Place};
use super::exclusive::Exclusive;
use super::expect::Expect;
use super::freeze::Freeze;
use super::lot::Lot;
use super::merged::Merged;
use super::moved::Moved;
use super::notation::Notation;
use super::notify::Notify;
use super::suppress::Suppression;
use super::window::Window;
use crate::base_url::BaseUrl;
use crate::digest::Digest;
use crate::id::{AutomationName, ContactId, RecordId, TriggerCode};
use crate::location::Location;
use crate::number::Number;
use crate::paths::Paths;

/// A whole configuration repository, checked and merged.
#[derive(Debug, Clone)]
pub struct Config {
    /// `rollcall.toml` itself.
    pub file: PathBuf,
    /// The folder of `rollcall.toml`: what relative paths are relative to.
    pub root: PathBuf,
    /// The text of every file read, so that later stages can point into it.
    pub files: Files,
    /// What is allowed and likely a slip.
    pub warnings: Vec<Diagnostic>,
    /// The digest of every file read, by name and content.
    pub digest: Digest,
    /// `[spotler]`.
    pub spotler: Spotler,
    /// `[record]`.
    pub record: RecordLocation,
    /// `[guard]`.
    pub guard: GuardLimits,
    /// `[window]`: when triggers may be sent; `None` is always.
    pub window: Option<Window>,
    /// `[notify]`: who is told that an apply did not end well; `None` is nobody.
    pub notify: Option<Notify>,
    /// `[limit] per_contact`; `None` is any number.
    pub per_contact: Option<PerContact>,
    /// `[time] zone`: what calendar days are days of.
    pub zone: jiff::tz::TimeZone,
    /// `[automation.*]`, sorted by name.
    pub automations: Vec<Automation>,
    /// `[source.*]`, sorted by name.
    pub sources: Vec<Source>,
    /// `[contact.*]`, sorted by id.
    pub contacts: BTreeMap<ContactId, DeclaredContact>,
    /// `[[enrol]]`, in the order of the files.
    pub enrols: Vec<Enrol>,
    /// `[[suppress]]` and `[[require]]`, in the order of the files.
    pub suppressions: Vec<Suppression>,
    /// The contacts that blocks suppress by name, each with the blocks that name it, as indices into these.
    pub suppressed: BTreeMap<ContactId, Vec<usize>>,
    /// `[[expect]]`, in the order of the files.
    pub expects: Vec<Expect>,
    /// Automations of which a contact is in one at most.
    pub exclusives: Vec<Exclusive>,
    /// `[[freeze]]`, in the order of the files.
    pub freezes: Vec<Freeze>,
    /// `[[moved]]`, in the order of the files.
    pub moves: Vec<Moved>,
    /// `[[merged]]`, in the order of the files.
    pub merges: Vec<Merged>,
}

/// Where Spotler is, and how hard it may be asked.
#[derive(Debug, Clone)]
pub struct Spotler {
    /// The real service, a server on loopback, or the built-in stand-in.
    pub base: Base,
    /// Calls under way at once; at least 1.
    pub concurrency: usize,
    /// Calls a second at the most; above 0.
    pub rate: f64,
    /// How long one call may take in all. `timeout`, 30 s by default.
    pub timeout: Duration,
    /// `[spotler.paths]`: the paths that are not confirmed, so that they can be corrected without a release.
    pub paths: Paths,
}

/// What `base_url` names.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Base {
    /// `https`, or `http` on loopback.
    Url(BaseUrl),
    /// `"sandbox"`.
    Sandbox,
}

impl Base {
    /// The host that it is at, with its port where that is not the usual one. `None` for what stands in for it on this
    /// machine: the built-in sandbox, or another one.
    pub fn host(&self) -> Option<String> {
        match self {
            Base::Url(url) => url.host(),
            Base::Sandbox => None,
        }
    }
}

/// Where the record is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RecordLocation {
    /// The SQLite file, made absolute with the configuration's root, or the database.
    pub at: Location,
    /// The schema that it has, or would have, in a database.
    pub schema: String,
    /// Where the configuration says so.
    pub place: Option<Place>,
    /// The id of the record that this repository belongs to, if it says so.
    pub id: Option<RecordId>,
}

impl Config {
    /// Whether a query over sources asks the record.
    pub fn asks_record(&self) -> bool {
        let asks = |source: &Source| {
            matches!(
                source.kind,
                SourceKind::Query {
                    asks_record: true,
                    ..
                }
            )
        };
        self.sources.iter().any(asks)
    }

    /// Whether an automation on record has this name, or takes it with the next apply, as plans show it already.
    pub fn is_called(&self, recorded: &AutomationName, name: &AutomationName) -> bool {
        let is_configured = || self.automations.iter().any(|of| of.name == *recorded);
        let mut moved = self.moves.iter();
        recorded == name
            || moved.any(|moved| moved.from == *recorded && moved.to == *name) && !is_configured()
    }

    /// Where the record is, as it is shown: a file relative to the configuration where it is below it, and with where it leads
    /// where it is a symbolic link to what is not there.
    pub fn record_shown(&self) -> String {
        let place = self.record.at.shown();
        let shown = place.strip_prefix(&self.root).unwrap_or(&place).display();
        match std::fs::read_link(&place) {
            Ok(target) if !place.exists() => {
                let target = target.display();
                format!("{shown} (a symbolic link to {target}, which is not there)")
            }
            _ => shown.to_string(),
        }
    }
}

/// Beyond these, a plan is shown but not applied. An automation with a limit of its own is held against that alone.
#[derive(Debug, Clone, PartialEq)]
pub struct GuardLimits {
    /// Triggers of all other automations together.
    pub max_triggers: Limit<u64>,
    /// Stops: a number of all other automations together, or a share of the running participations, of each of them and of
    /// all of them together.
    pub max_stops: Limit<StopLimit>,
    /// People whose suppression is gone and who would be triggered.
    pub max_released: Limit<u64>,
    /// Ids whose participations would become those of another id.
    pub max_merges: Limit<u64>,
}

/// A limit and where it is set; `None` is the default.
#[derive(Debug, Clone, PartialEq)]
pub struct Limit<T> {
    /// The limit.
    pub value: T,
    /// Where the configuration sets it.
    pub place: Option<Place>,
}

/// How many stops are too many.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum StopLimit {
    /// A number of stops.
    Count(u64),
    /// A percentage (0 to 100) of the running participations, where there are at least 20 of them.
    Percent(f64),
}

/// `[automation.NAME]`.
#[derive(Debug, Clone)]
pub struct Automation {
    /// Its name here.
    pub name: AutomationName,
    /// Its code there.
    pub trigger_code: TriggerCode,
    /// What kind of mail it sends.
    pub kind: Kind,
    /// The loosest participation setting of its publications.
    pub participation: ParticipationSetting,
    /// The column that tells occurrences apart.
    pub repeat_by: Option<String>,
    /// What becomes of a participation whose enrolment goes.
    pub on_leave: OnLeave,
    /// What becomes of an active participation whose fields change.
    pub on_change: OnChange,
    /// Whoever was triggered is not triggered again so soon.
    pub cooldown: Option<Duration>,
    /// How long a run lasts at Spotler, from its trigger or adoption.
    pub runs_for: Option<Duration>,
    /// How long after a trigger a run that has ended is triggered again.
    pub again_after: Option<Duration>,
    /// An enrolment must be gone for so long before its participation is stopped.
    pub leave_after: Option<Duration>,
    /// How many triggers of it a plan may hold.
    pub max_triggers: Option<Limit<u64>>,
    /// How many stops of it a plan may hold.
    pub max_stops: Option<Limit<StopLimit>>,
    /// How many triggers of it one apply sends; the rest is deferred.
    pub max_per_run: Option<Limit<u64>>,
    /// How many triggers of it are sent on a calendar day of [`Config::zone`]; the rest is deferred.
    pub max_per_day: Option<Limit<u64>>,
    /// The personalisation fields, sorted by name.
    pub fields: Vec<Field>,
    /// Its place in the order of the configuration: of its files, and of their lines.
    pub order: usize,
    /// Where it is defined.
    pub place: Place,
}

impl Automation {
    /// Whether its mail is such that people must get it.
    pub fn is_service(&self) -> bool {
        self.kind == Kind::Service
    }
}

/// `[limit] per_contact`: how many triggers one contact may have in any span of so long, over all automations but those of
/// service mail.
#[derive(Debug, Clone)]
pub struct PerContact {
    /// How many.
    pub count: usize,
    /// In how long, a day being 24 hours.
    pub span: Duration,
    /// As it is written: `2/7d`.
    pub shown: String,
    /// Where it is written.
    pub place: Place,
}

/// `kind`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Kind {
    /// Mail that may wait.
    #[default]
    Marketing,
    /// Mail that people must get: `[window]` does not hold for it, and no `[[exclusive]]` block may name it.
    Service,
}

/// A publication's participation setting, as set in Spotler's Publisher.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum ParticipationSetting {
    /// Each trigger starts another participation.
    #[default]
    Unlimited,
    /// No second one while the first runs.
    OnceWhileRunning,
    /// Never a second one.
    Once,
}

impl ParticipationSetting {
    /// Whether Spotler itself refuses a second trigger after one that may have been carried out, so that sending one does
    /// no harm. With [`Self::OnceWhileRunning`] it does where the first run has ended meanwhile.
    pub fn makes_second_trigger_harmless(self) -> bool {
        self == Self::Once
    }
}

/// `on_leave`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum OnLeave {
    /// It is stopped.
    #[default]
    Stop,
    /// It runs out by itself.
    Keep,
}

/// `on_change`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum OnChange {
    /// It goes on with the fields that it was triggered with.
    #[default]
    Ignore,
    /// It is stopped, and triggered again with the new ones.
    Retrigger,
}

/// A personalisation field.
#[derive(Debug, Clone, PartialEq)]
pub struct Field {
    /// Its name in the message; no spaces, case-sensitive.
    pub name: String,
    /// Its type and template.
    pub template: FieldTemplate,
    /// Where it is defined.
    pub place: Place,
}

impl FieldTemplate {
    /// The type's name on the wire.
    pub fn type_name(&self) -> &'static str {
        match self {
            FieldTemplate::String(_) => "STRING",
            FieldTemplate::Url(_) => "URL",
            FieldTemplate::Products { .. } => "PRODUCTLIST",
        }
    }
}

/// A field's type, with the template or templates of its value.
#[derive(Debug, Clone, PartialEq)]
pub enum FieldTemplate {
    /// `STRING`.
    String(String),
    /// `URL`.
    Url(String),
    /// `PRODUCTLIST`.
    Products {
        /// Where the ids come from.
        ids: ProductIds,
        /// Whether each row of the same contact and occurrence adds its own. An id that is there already is not added
        /// again.
        each_row: bool,
    },
}

impl FieldTemplate {
    /// The templates of the field.
    pub fn texts(&self) -> &[String] {
        match self {
            Self::String(text) | Self::Url(text) => std::slice::from_ref(text),
            Self::Products { ids, .. } => match ids {
                ProductIds::List(texts) => texts,
                ProductIds::Split { template, .. } => std::slice::from_ref(template),
            },
        }
    }
}

/// Where the ids of a productlist come from.
#[derive(Debug, Clone, PartialEq)]
pub enum ProductIds {
    /// A template for each id.
    List(Vec<String>),
    /// One template, split after rendering.
    Split {
        /// The template.
        template: String,
        /// What stands between two ids; never empty.
        separator: String,
    },
}

impl FieldTemplate {
    /// Whether several rows of the same contact and occurrence make one value together.
    pub fn takes_each_row(&self) -> bool {
        matches!(self, FieldTemplate::Products { each_row: true, .. })
    }
}

/// `[source.NAME]`.
#[derive(Debug, Clone)]
pub struct Source {
    /// Its name.
    pub name: String,
    /// Where its rows are.
    pub kind: SourceKind,
    /// The column with the contact's id; `None` where only `[[merged]]` reads it.
    pub contact: Option<String>,
    /// How its values are written.
    pub notation: Notation,
    /// Fewer rows than this are refused.
    pub min_rows: Option<Limit<u64>>,
    /// An older file than this is refused.
    pub max_age: Option<Limit<Duration>>,
    /// One that has lost more of its rows since the last apply, in per cent, is refused.
    pub max_shrink: Option<Limit<f64>>,
    /// Where it is defined.
    pub place: Place,
}

impl Source {
    /// Where its query is written, or else where it is defined.
    pub fn query_place(&self) -> &Place {
        match &self.kind {
            SourceKind::Query { place, .. } => place,
            _ => &self.place,
        }
    }

    /// Whether it is a query over other sources.
    pub fn is_query(&self) -> bool {
        matches!(self.kind, SourceKind::Query { .. })
    }

    /// Whether it is asked over a connection, which takes a while.
    pub fn is_asked(&self) -> bool {
        matches!(self.kind, SourceKind::Database { .. })
    }
}

/// Where a source's rows are.
#[derive(Debug, Clone)]
pub enum SourceKind {
    /// A CSV file.
    Csv {
        /// The file, made absolute with the configuration's root.
        path: PathBuf,
        /// The path as it is written.
        shown: String,
        /// What it is written in; where that is not said, UTF-8, or what its byte order mark says.
        encoding: Option<&'static encoding_rs::Encoding>,
        /// The separator; guessed from the header where not given.
        delimiter: Option<u8>,
        /// How it is quoted.
        quoting: Quoting,
    },
    /// A query of a database.
    Database {
        /// The database.
        at: Location,
        /// How messages call it: the environment variable, or the URL without user and password.
        shown: String,
        /// Where it is named.
        place: Place,
        /// The query.
        query: String,
        /// How long it may take in all.
        timeout: Duration,
    },
    /// A query over other sources, and over the record.
    Query {
        /// The sources that it may ask.
        from: Vec<Input>,
        /// One `select` of SQLite.
        query: String,
        /// Whether it asks the record too.
        asks_record: bool,
        /// How long it may take, once what it asks is there.
        timeout: Duration,
        /// Where it is written.
        place: Place,
    },
}

/// A source that a query asks.
#[derive(Debug, Clone)]
pub struct Input {
    /// Its name.
    pub name: String,
    /// Where it is named.
    pub place: Place,
}

/// How a file writes separators and line ends that are part of a cell.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Quoting {
    /// Whether a cell that begins with a quote is a quoted one.
    pub quotes: bool,
    /// Whether a backslash gives what is behind it another meaning.
    pub escapes: bool,
}

impl Default for Quoting {
    /// As RFC 4180 has it.
    fn default() -> Self {
        Self {
            quotes: true,
            escapes: false,
        }
    }
}

/// `[contact.ID]`: a contact that is declared in TOML.
#[derive(Debug, Clone)]
pub struct DeclaredContact {
    /// Its attributes, sorted by name.
    pub attributes: BTreeMap<String, Value>,
    /// How those are written that are written otherwise than their values are: `12.50`.
    pub written: BTreeMap<String, String>,
    /// Where it is defined.
    pub place: Place,
}

/// `[[enrol]]`.
#[derive(Debug, Clone)]
pub struct Enrol {
    /// The automations, as indices into [`Config::automations`], without duplicates.
    pub automations: Vec<usize>,
    /// The source, as an index into [`Config::sources`]; `None` draws on the declared contacts.
    pub source: Option<usize>,
    /// Only these contacts; `None` is all of them.
    pub contacts: Option<Vec<ContactId>>,
    /// All must hold. In the order of the file.
    pub conditions: Vec<Condition>,
    /// By which those who are in stay. `None` is by the conditions; where it is there, others come in by both.
    pub stay: Option<Vec<Condition>>,
    /// The part of all contacts that may come in; `None` is all of them.
    pub lot: Option<Lot>,
    /// What it adds to and overrides in the automations' fields, sorted by name.
    pub fields: Vec<Field>,
    /// Where it is defined (the line of its `[[enrol]]`).
    pub place: Place,
}

impl Enrol {
    /// The conditions of its `where` and of its `stay`.
    pub fn all_conditions(&self) -> impl Iterator<Item = &Condition> {
        self.conditions.iter().chain(self.stay.iter().flatten())
    }
}

/// One key of a `where`, or of a `stay`.
#[derive(Debug, Clone, PartialEq)]
pub struct Condition {
    /// The column or attribute.
    pub column: String,
    /// What must hold of it. All must.
    pub tests: Vec<Test>,
    /// Where it is written.
    pub place: Place,
}

/// What must hold of a cell.
#[derive(Debug, Clone, PartialEq)]
pub enum Test {
    /// It is any of these. All are of one type; never empty.
    Any(Vec<Value>),
    /// It is none of these, or absent. All are of one type; never empty.
    Not(Vec<Value>),
    /// It is there (`true`) or absent (`false`).
    Exists(bool),
    /// At least this (a number, date or date-time).
    Min(Value),
    /// At most this (a number, date or date-time).
    Max(Value),
    /// Earlier than this (a date or date-time).
    Before(Value),
    /// Later than this (a date or date-time).
    After(Value),
    /// From now minus this up to now; of days, from that day up to today.
    Within(Span),
    /// From now up to now plus this; of days, from today up to that day.
    WithinNext(Span),
    /// A day up to today, whose day and month come up from today up to so many days later. 29 February comes up on the 28th of
    /// years that have none.
    AnniversaryWithinNext(u32),
    /// Before now minus this.
    OlderThan(Span),
}

/// A span of time as it is written in the configuration.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Span {
    /// Calendar days, of the configuration's zone (`d` and `w`).
    Days(u32),
    /// Elapsed time (`s`, `m` and `h`).
    Elapsed(Duration),
}

impl Span {
    /// No time at all, of the same kind.
    pub fn none(self) -> Self {
        match self {
            Self::Days(_) => Self::Days(0),
            Self::Elapsed(_) => Self::Elapsed(Duration::ZERO),
        }
    }
}

/// A typed value, from TOML.
#[derive(Debug, Clone, PartialEq)]
pub enum Value {
    /// Text.
    Text(String),
    /// A whole number.
    Integer(i64),
    /// A number with a fraction.
    Decimal(Number),
    /// A truth value.
    Boolean(bool),
    /// A calendar day.
    Date(jiff::civil::Date),
    /// A moment. A TOML date-time without an offset is one of the configuration's zone.
    DateTime(jiff::Timestamp),
}
