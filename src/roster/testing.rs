//! Configurations and sources for the tests of this module.

use std::collections::BTreeMap;
use std::fs;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use jiff::tz::TimeZone;

use super::{Roster, build, build_for};
use crate::config::{
    Automation, Base, Condition, Config, DeclaredContact, Enrol, Field, FieldTemplate, GuardLimits,
    Kind, Limit, OnChange, OnLeave, ParticipationSetting, Place, Problems, RecordLocation, Source,
    SourceKind, Spotler, StopLimit, Suppression, Test, Value,
};
use crate::digest::Hasher;
use crate::id::{AutomationName, ContactId, TriggerCode};
use crate::location::Location;
use crate::paths::Paths;
use crate::source::Recorded;

/// Nobody asks it.
const NO_RECORD: Recorded<'static> = Recorded::Empty("a test has none");

/// A configuration with the CSV files of its sources in a folder of its own.
pub(super) struct World {
    folder: tempfile::TempDir,
    pub(super) config: Config,
}

impl World {
    /// With automations of these names, which must be in order.
    pub(super) fn new(automations: &[&str]) -> Self {
        let automation = |(line, name): (usize, &&str)| Automation {
            name: AutomationName::new(name).unwrap(),
            trigger_code: TriggerCode::new("0b8f9a52").unwrap(),
            kind: Kind::Marketing,
            participation: ParticipationSetting::Unlimited,
            repeat_by: None,
            on_leave: OnLeave::Stop,
            on_change: OnChange::Ignore,
            cooldown: None,
            runs_for: None,
            again_after: None,
            leave_after: None,
            max_triggers: None,
            max_stops: None,
            max_per_run: None,
            max_per_day: None,
            fields: Vec::new(),
            order: line,
            place: root_place(line + 1),
        };
        assert!(automations.is_sorted());
        Self {
            folder: tempfile::tempdir().unwrap(),
            config: Config {
                file: PathBuf::new(),
                root: PathBuf::new(),
                files: Default::default(),
                warnings: Vec::new(),
                digest: Hasher::new().finish(),
                spotler: Spotler {
                    base: Base::Sandbox,
                    concurrency: 1,
                    rate: 1.0,
                    timeout: Duration::from_secs(1),
                    paths: Paths::default(),
                },
                record: RecordLocation {
                    at: Location::File(PathBuf::new()),
                    schema: String::new(),
                    place: None,
                    id: None,
                },
                guard: GuardLimits {
                    max_triggers: limit(0),
                    max_stops: limit(StopLimit::Count(0)),
                    max_released: limit(0),
                    max_merges: limit(0),
                },
                window: None,
                notify: None,
                per_contact: None,
                zone: TimeZone::UTC,
                automations: automations.iter().enumerate().map(automation).collect(),
                sources: Vec::new(),
                contacts: BTreeMap::new(),
                enrols: Vec::new(),
                suppressions: Vec::new(),
                suppressed: BTreeMap::new(),
                expects: Vec::new(),
                exclusives: Vec::new(),
                freezes: Vec::new(),
                moves: Vec::new(),
                merges: Vec::new(),
            },
        }
    }

    pub(super) fn repeat_by(mut self, automation: usize, column: &str) -> Self {
        self.config.automations[automation].repeat_by = Some(column.to_owned());
        self
    }

    pub(super) fn fields(mut self, automation: usize, fields: Vec<Field>) -> Self {
        self.config.automations[automation].fields = fields;
        self
    }

    /// With a source, whose contact column is `id`.
    pub(super) fn csv(mut self, name: &str, content: &str) -> Self {
        let path = self.folder.path().join(format!("{name}.csv"));
        fs::write(&path, content).unwrap();
        self.config.sources.push(Source {
            name: name.to_owned(),
            kind: SourceKind::Csv {
                path,
                shown: format!("exports/{name}.csv"),
                encoding: None,
                delimiter: None,
                quoting: Default::default(),
            },
            contact: Some("id".to_owned()),
            notation: Default::default(),
            min_rows: None,
            max_age: None,
            max_shrink: None,
            place: root_place(100 + self.config.sources.len()),
        });
        self
    }

    /// Writes over a source's file, in place.
    pub(super) fn write(&self, name: &str, content: &str) {
        fs::write(self.folder.path().join(format!("{name}.csv")), content).unwrap();
    }

    pub(super) fn contact(mut self, id: &str, attributes: &[(&str, Value)]) -> Self {
        let attributes = attributes
            .iter()
            .map(|(name, value)| ((*name).to_owned(), value.clone()));
        let contact = DeclaredContact {
            written: BTreeMap::new(),
            attributes: attributes.collect(),
            place: root_place(200 + self.config.contacts.len()),
        };
        self.config
            .contacts
            .insert(ContactId::new(id).unwrap(), contact);
        self
    }

    pub(super) fn suppress(mut self, id: &str, reason: Option<&str>) -> Self {
        let suppression = Suppression {
            list: None,
            source: None,
            is_required: false,
            automations: None,
            reason: reason.map(str::to_owned),
            max_released: None,
            identity: 0,
            place: place(30),
        };
        let block = self.config.suppressions.len();
        self.config
            .suppressed
            .insert(ContactId::new(id).unwrap(), vec![block]);
        self.config.suppressions.push(suppression);
        self
    }

    /// With a block on the line 10 times its number, from 10.
    pub(super) fn enrol(mut self, block: Block) -> Self {
        let line = 10 * (self.config.enrols.len() + 1);
        self.config.enrols.push(Enrol {
            place: place(line),
            conditions: block
                .0
                .conditions
                .into_iter()
                .zip(line + 1..)
                .map(|(condition, line)| Condition {
                    place: place(line),
                    ..condition
                })
                .collect(),
            ..block.0
        });
        self
    }

    pub(super) fn build(&self) -> Result<Roster<'_>, Problems> {
        build(&self.config, now(), NO_RECORD)
    }

    pub(super) fn roster(&self) -> Roster<'_> {
        self.build()
            .unwrap_or_else(|problems| panic!("{:#?}", problems.list))
    }

    /// Each enrolment as `contact/automation` or `contact/automation/occurrence`.
    pub(super) fn roster_of(&self, contact: &str) -> Roster<'_> {
        build_for(&self.config, contact, now(), NO_RECORD).unwrap()
    }

    pub(super) fn enrolled(&self) -> Vec<String> {
        enrolled(&self.roster())
    }

    /// Each problem's message.
    pub(super) fn problems(&self) -> Vec<String> {
        let problems = self.build().map(|roster| enrolled(&roster)).unwrap_err();
        problems
            .list
            .into_iter()
            .map(|problem| problem.message)
            .collect()
    }
}

pub(super) fn enrolled(roster: &Roster<'_>) -> Vec<String> {
    let shown = roster.enrolments().map(|enrolment| {
        let automation = &roster.config.automations[enrolment.automation].name;
        match enrolment.occurrence {
            Some(occurrence) => format!("{}/{automation}/{occurrence}", enrolment.contact),
            None => format!("{}/{automation}", enrolment.contact),
        }
    });
    shown.collect()
}

/// A block under construction.
#[derive(Clone)]
pub(super) struct Block(Enrol);

/// A block that enrols in automations, from a source or from the declared contacts.
pub(super) fn block(automations: &[usize], source: Option<usize>) -> Block {
    Block(Enrol {
        automations: automations.to_vec(),
        source,
        contacts: None,
        conditions: Vec::new(),
        stay: None,
        lot: None,
        fields: Vec::new(),
        place: place(0),
    })
}

impl Block {
    pub(super) fn only(mut self, contacts: &[&str]) -> Self {
        let contacts = contacts.iter().map(|id| ContactId::new(id).unwrap());
        self.0.contacts = Some(contacts.collect());
        self
    }

    pub(super) fn fields(mut self, fields: Vec<Field>) -> Self {
        self.0.fields = fields;
        self
    }

    pub(super) fn when(mut self, column: &str, test: Test) -> Self {
        self.0.conditions.push(Condition {
            column: column.to_owned(),
            tests: vec![test],
            place: place(0),
        });
        self
    }

    pub(super) fn is(self, column: &str, texts: &[&str]) -> Self {
        self.when(column, Test::Any(texts.iter().map(|t| text(t)).collect()))
    }
}

pub(super) fn field(name: &str, template: FieldTemplate) -> Field {
    Field {
        name: name.to_owned(),
        template,
        place: root_place(50),
    }
}

pub(super) fn string(name: &str, template: &str) -> Field {
    field(name, FieldTemplate::String(template.to_owned()))
}

pub(super) fn now() -> Timestamp {
    "2026-11-23T09:00:00Z".parse().unwrap()
}

pub(super) fn text(text: &str) -> Value {
    Value::Text(text.to_owned())
}

pub(super) fn date(text: &str) -> Value {
    Value::Date(text.parse().unwrap())
}

pub(super) fn moment(text: &str) -> Value {
    Value::DateTime(text.parse().unwrap())
}

pub(super) fn place(line: usize) -> Place {
    Place {
        file: Arc::from("lifecycle/customers.toml"),
        line,
        span: (0, 0),
    }
}

pub(super) fn root_place(line: usize) -> Place {
    Place {
        file: Arc::from("rollcall.toml"),
        line,
        span: (0, 0),
    }
}

fn limit<T>(value: T) -> Limit<T> {
    Limit { value, place: None }
}
