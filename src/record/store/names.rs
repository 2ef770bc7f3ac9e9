//! Automation names and trigger codes are written once each and pointed to by number.

use std::sync::Arc;

use hashbrown::HashMap;
use hashbrown::hash_map::Entry;

use crate::id::{AutomationName, TriggerCode};
use crate::record::batch::Batch;

/// How many bits a number has at the most.
pub(super) const BITS: u32 = 24;

/// The numbers of all names and codes on record.
#[derive(Debug, Default)]
pub(super) struct Names {
    automations: HashMap<AutomationName, i64>,
    codes: HashMap<TriggerCode, i64>,
    automations_by_number: HashMap<i64, AutomationName>,
    codes_by_number: HashMap<i64, TriggerCode>,
}

/// The names and codes on one page, as copies of its own: several threads read pages.
#[derive(Debug)]
pub(super) struct OwnNames {
    all: Arc<Names>,
    automations: HashMap<i64, AutomationName>,
    codes: HashMap<i64, TriggerCode>,
}

impl OwnNames {
    pub(super) fn new(all: Arc<Names>) -> Self {
        Self {
            all,
            automations: HashMap::new(),
            codes: HashMap::new(),
        }
    }

    /// The name with a number.
    pub(super) fn automation(&mut self, number: i64) -> Result<AutomationName, String> {
        Ok(match self.automations.entry(number) {
            Entry::Occupied(known) => known.get().clone(),
            Entry::Vacant(new) => new.insert(self.all.automation(number)?.own()).clone(),
        })
    }

    /// The code with a number.
    pub(super) fn code(&mut self, number: i64) -> Result<TriggerCode, String> {
        Ok(match self.codes.entry(number) {
            Entry::Occupied(known) => known.get().clone(),
            Entry::Vacant(new) => new.insert(self.all.code(number)?.own()).clone(),
        })
    }
}

impl Names {
    /// Of names and codes as they are on record.
    ///
    /// # Errors
    /// What is none that Rollcall wrote.
    pub(super) fn new(
        automations: Vec<(i64, String)>,
        codes: Vec<(i64, String)>,
    ) -> Result<Self, String> {
        let mut names = Self::default();
        for (number, name) in automations {
            let name = AutomationName::recorded(&name)
                .map_err(|error| format!("an automation's name, {error}"))?;
            names.automations.insert(name.clone(), number);
            names.automations_by_number.insert(number, name);
        }
        for (number, code) in codes {
            let code =
                TriggerCode::new(&code).map_err(|error| format!("a trigger code, {error}"))?;
            names.codes.insert(code.clone(), number);
            names.codes_by_number.insert(number, code);
        }
        let mut numbers = names.automations.values().chain(names.codes.values());
        // They are counted from 1.
        match numbers.find(|number| !(0..1 << BITS).contains(*number)) {
            Some(number) => Err(format!("a name with the number {number}")),
            None => Ok(names),
        }
    }

    /// The name with a number.
    pub(super) fn automation(&self, number: i64) -> Result<AutomationName, String> {
        let name = self.automations_by_number.get(&number).cloned();
        name.ok_or_else(|| format!("an automation with the number {number}"))
    }

    /// The code with a number.
    pub(super) fn code(&self, number: i64) -> Result<TriggerCode, String> {
        let code = self.codes_by_number.get(&number).cloned();
        code.ok_or_else(|| format!("a trigger code with the number {number}"))
    }

    /// The number of a name that was made known.
    pub(super) fn number(&self, name: &AutomationName) -> i64 {
        self.automations.get(name).copied().unwrap_or_default()
    }

    /// The number of a code that was made known.
    pub(super) fn code_number(&self, code: &TriggerCode) -> i64 {
        self.codes.get(code).copied().unwrap_or_default()
    }

    /// The names and codes of a batch that are new.
    pub(super) fn new_in<'b>(&self, batch: &'b Batch) -> (Vec<&'b str>, Vec<&'b str>) {
        let moves = batch.start.moves.iter().flat_map(|(from, to)| [from, to]);
        let sent = batch.sent.iter().flat_map(|(_, intent)| {
            let affected = intent.affected.iter().take(1);
            affected.map(|(key, _)| &key.automation)
        });
        let wholes = batch
            .participations
            .iter()
            .map(|whole| &whole.key.automation);
        let new = moves.chain(sent).chain(wholes);
        let new = new.filter(|name| !self.automations.contains_key(*name));
        let automations = new.map(|name| name.as_str()).collect();
        let sent = batch.sent.iter().map(|(_, intent)| &intent.trigger_code);
        let wholes = batch.participations.iter().map(|whole| &whole.trigger_code);
        let new = sent.chain(wholes);
        let new = new.filter(|code| !self.codes.contains_key(*code));
        (automations, new.map(|code| code.as_str()).collect())
    }
}
