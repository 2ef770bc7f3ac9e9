//! What the sandbox remembers: participations and the ledger. It changes by ledger entries alone, so that a ledger that
//! is read again gives the same memory.
//!
//! A test may start a million participations, so everything is kept in flat tables of numbers: some 120 bytes for each.

use std::collections::BTreeMap;

use hashbrown::HashMap;
use jiff::tz::TimeZone;
use jiff::{Timestamp, ToSpan};

use super::ledger::{Deed, LedgerEntry, ParticipationView, Standing, Totals, Touched};
use super::options::Setting;
use super::texts::{Symbol, Texts};

/// The first `automationContactId`. Ids are whole numbers, so that a fault can send one as a JSON number.
const FIRST_ID: u64 = 1_000_001;

/// A ledger entry that does not follow from those before it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the entry does not follow from those before it")]
pub(super) struct Inconsistent;

/// All participations, and the ledger.
#[derive(Default)]
pub(super) struct Memory {
    /// How many ids were given before the first participation: an id is never given twice, as at Spotler.
    given: u64,
    texts: Texts,
    participations: Vec<Participation>,
    /// The newest participation of each trigger code and contact.
    newest: HashMap<(Symbol, Symbol), u32>,
    ledger: Vec<Entry>,
    /// The participations that each entry touched, one entry after the other.
    touched: Vec<u32>,
    totals: Totals,
}

struct Participation {
    started: i64,
    code: Symbol,
    contact: Symbol,
    automation: Symbol,
    /// The one before it of the same code and contact.
    previous: Option<u32>,
    state: Standing,
}

struct Entry {
    time: i64,
    code: Symbol,
    contact: Symbol,
    /// The names and types of the fields, separated by spaces, which neither can hold; and the digest.
    fields: Option<(Symbol, [u8; 16])>,
    /// Where in `touched` its participations end.
    end: usize,
    kind: Deed,
}

impl Memory {
    /// An empty one that gives none of the ids that this one gave.
    pub fn forgotten(&self) -> Self {
        Self {
            given: self.given + self.participations.len() as u64,
            ..Self::default()
        }
    }

    /// The same, or where it is empty one that passes so many ids over.
    pub fn or_after(self, given: u64) -> Self {
        match self.participations.is_empty() {
            true => Self { given, ..self },
            false => self,
        }
    }

    fn id(&self, index: u64) -> u64 {
        FIRST_ID + self.given + index
    }

    /// The place of the participation with an id; `None` where no id looks like this.
    fn index(&self, id: &str) -> Option<u32> {
        let number: u64 = id.parse().ok()?;
        u32::try_from(number.checked_sub(self.id(0))?).ok()
    }

    /// How many there are of everything.
    pub fn totals(&self) -> Totals {
        self.totals
    }

    /// The id of the participation that would be started after `ahead` others.
    pub fn next_id(&self, ahead: usize) -> u64 {
        self.id((self.participations.len() + ahead) as u64)
    }

    /// Whether a publication's limit lets a contact start now.
    pub fn may_start(
        &self,
        setting: Setting,
        automation: &str,
        code: &str,
        contact: &str,
        now: Timestamp,
    ) -> bool {
        let mut earlier = self
            .of(code, contact)
            .filter(|(_, p)| self.texts.get(p.automation) == automation);
        match setting {
            Setting::Unlimited => true,
            Setting::Waiting(months) => {
                earlier.all(|(_, p)| months_after(p.started, months).is_some_and(|end| end <= now))
            }
            Setting::OnceWhileRunning => earlier.all(|(_, p)| p.state != Standing::Active),
            Setting::Once => earlier.next().is_none(),
        }
    }

    /// Whether a contact ever took part through a trigger code.
    pub fn knows(&self, code: &str, contact: &str) -> bool {
        self.of(code, contact).next().is_some()
    }

    /// The running participations of a contact through a trigger code, oldest first.
    pub fn running(&self, code: &str, contact: &str) -> Vec<Touched> {
        let mut running: Vec<Touched> = self
            .of(code, contact)
            .filter(|(_, p)| p.state == Standing::Active)
            .map(|(index, _)| self.touch(index))
            .collect();
        running.reverse();
        running
    }

    /// One participation of a contact through a trigger code, by id.
    pub fn find(&self, code: &str, contact: &str, id: &str) -> Option<(Touched, Standing)> {
        let wanted = self.index(id)?;
        let (index, found) = self.of(code, contact).find(|(index, _)| *index == wanted)?;
        Some((self.touch(index), found.state))
    }

    /// Participations by their place in the order in which they were started, from `start` on.
    pub fn participations(&self, start: usize) -> impl Iterator<Item = ParticipationView> + '_ {
        let rest = self.participations.iter().enumerate().skip(start);
        rest.map(|(index, p)| ParticipationView {
            code: self.texts.get(p.code).to_owned(),
            contact: self.texts.get(p.contact).to_owned(),
            id: self.id(index as u64).to_string(),
            automation: self.texts.get(p.automation).to_owned(),
            state: p.state,
        })
    }

    /// The ledger's entries whose numbers are above `after`.
    pub fn ledger(&self, after: u64) -> impl Iterator<Item = LedgerEntry> + '_ {
        let start = usize::try_from(after)
            .unwrap_or(usize::MAX)
            .min(self.ledger.len());
        (start..self.ledger.len()).map(|place| self.entry(place))
    }

    fn entry(&self, place: usize) -> LedgerEntry {
        let entry = &self.ledger[place];
        let start = place
            .checked_sub(1)
            .map_or(0, |before| self.ledger[before].end);
        let mut words = entry
            .fields
            .map_or("", |(shape, _)| self.texts.get(shape))
            .split(' ');
        let fields =
            std::iter::from_fn(|| Some((words.next()?.to_owned(), words.next()?.to_owned())));
        LedgerEntry {
            seq: place as u64 + 1,
            time: Timestamp::from_millisecond(entry.time).unwrap_or_default(),
            kind: entry.kind,
            code: self.texts.get(entry.code).to_owned(),
            contact: self.texts.get(entry.contact).to_owned(),
            participations: self.touched[start..entry.end]
                .iter()
                .map(|&index| self.touch(index))
                .collect(),
            fields: fields.collect(),
            digest: entry
                .fields
                .map(|(_, digest)| format!("{:032x}", u128::from_be_bytes(digest))),
        }
    }

    /// Changes the memory by an entry.
    ///
    /// # Errors
    /// [`Inconsistent`] where the entry does not follow from those before it. Nothing is changed then.
    pub fn enter(&mut self, entry: &LedgerEntry) -> Result<(), Inconsistent> {
        if entry.seq != self.totals.entries + 1 {
            return Err(Inconsistent);
        }
        let fields = self.fields_of(entry)?;
        let indices = match entry.kind {
            Deed::Trigger => self.start(entry)?,
            Deed::Stop => self.end(entry, Standing::Stopped)?,
            Deed::Finish => self.end(entry, Standing::Finished)?,
        };
        self.totals.entries += 1;
        match entry.kind {
            Deed::Trigger => self.totals.triggers += 1,
            Deed::Stop => self.totals.stops += 1,
            Deed::Finish => {}
        }
        self.touched.extend(indices);
        self.ledger.push(Entry {
            time: entry.time.as_millisecond(),
            code: self.texts.add(&entry.code),
            contact: self.texts.add(&entry.contact),
            fields,
            end: self.touched.len(),
            kind: entry.kind,
        });
        Ok(())
    }

    fn fields_of(
        &mut self,
        entry: &LedgerEntry,
    ) -> Result<Option<(Symbol, [u8; 16])>, Inconsistent> {
        let Some(digest) = &entry.digest else {
            return Ok(None);
        };
        let digest = u128::from_str_radix(digest, 16).map_err(|_| Inconsistent)?;
        let words: Vec<&str> = entry
            .fields
            .iter()
            .flat_map(|(name, kind)| [name.as_str(), kind.as_str()])
            .collect();
        Ok(Some((
            self.texts.add(&words.join(" ")),
            digest.to_be_bytes(),
        )))
    }

    fn start(&mut self, entry: &LedgerEntry) -> Result<Vec<u32>, Inconsistent> {
        let first = self.participations.len();
        // A memory that was made to forget goes on with the ids behind those that it gave before.
        if let (0, Some(started)) = (first, entry.participations.first()) {
            let id: u64 = started.id.parse().map_err(|_| Inconsistent)?;
            self.given = id.checked_sub(FIRST_ID).ok_or(Inconsistent)?;
        }
        let mut indices = Vec::with_capacity(entry.participations.len());
        for (ahead, started) in entry.participations.iter().enumerate() {
            let index = self.index(&started.id).ok_or(Inconsistent)?;
            if index as usize != first + ahead {
                return Err(Inconsistent);
            }
            indices.push(index);
        }
        let code = self.texts.add(&entry.code);
        let contact = self.texts.add(&entry.contact);
        for (started, &index) in entry.participations.iter().zip(&indices) {
            let automation = self.texts.add(&started.automation);
            self.participations.push(Participation {
                started: entry.time.as_millisecond(),
                code,
                contact,
                automation,
                previous: self.newest.insert((code, contact), index),
                state: Standing::Active,
            });
        }
        self.totals.started += indices.len() as u64;
        self.totals.active += indices.len() as u64;
        Ok(indices)
    }

    fn end(&mut self, entry: &LedgerEntry, state: Standing) -> Result<Vec<u32>, Inconsistent> {
        let mut indices = Vec::with_capacity(entry.participations.len());
        for ended in &entry.participations {
            let found = self.find(&entry.code, &entry.contact, &ended.id);
            if found.is_none_or(|(_, state)| state != Standing::Active) {
                return Err(Inconsistent);
            }
            indices.extend(self.index(&ended.id));
        }
        for &index in &indices {
            self.participations[index as usize].state = state;
        }
        self.totals.active -= indices.len() as u64;
        Ok(indices)
    }

    /// The participations of a contact through a trigger code, newest first.
    fn of(&self, code: &str, contact: &str) -> impl Iterator<Item = (u32, &Participation)> {
        let newest = || {
            let key = (self.texts.find(code)?, self.texts.find(contact)?);
            self.newest.get(&key).copied()
        };
        let with_index = |index: u32| (index, &self.participations[index as usize]);
        std::iter::successors(newest().map(with_index), move |(_, p)| {
            p.previous.map(with_index)
        })
    }

    fn touch(&self, index: u32) -> Touched {
        let participation = &self.participations[index as usize];
        Touched {
            id: self.id(u64::from(index)).to_string(),
            automation: self.texts.get(participation.automation).to_owned(),
        }
    }
}

/// A new entry for the ledger, without fields.
pub(super) fn entry(
    memory: &Memory,
    now: Timestamp,
    kind: Deed,
    (code, contact): (&str, &str),
    participations: Vec<Touched>,
) -> LedgerEntry {
    LedgerEntry {
        seq: memory.totals.entries + 1,
        // To the millisecond, as the memory keeps it: what is read back is then what was written.
        time: Timestamp::from_millisecond(now.as_millisecond()).unwrap_or(now),
        kind,
        code: code.to_owned(),
        contact: contact.to_owned(),
        participations,
        fields: BTreeMap::new(),
        digest: None,
    }
}

fn months_after(millisecond: i64, months: u16) -> Option<Timestamp> {
    let start = Timestamp::from_millisecond(millisecond).ok()?;
    let end = start
        .to_zoned_datetime(TimeZone::UTC)
        .checked_add(i64::from(months).months());
    Some(end.ok()?.timestamp())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(text: &str) -> Timestamp {
        text.parse().unwrap()
    }

    const MONDAY: &str = "2026-11-23T09:00:00Z";

    fn start(memory: &mut Memory, code: &str, contact: &str, automations: &[&str]) -> Vec<String> {
        let started: Vec<Touched> = automations
            .iter()
            .enumerate()
            .map(|(ahead, automation)| Touched {
                id: memory.next_id(ahead).to_string(),
                automation: (*automation).to_owned(),
            })
            .collect();
        let ids = started.iter().map(|s| s.id.clone()).collect();
        let new = entry(memory, at(MONDAY), Deed::Trigger, (code, contact), started);
        memory.enter(&new).unwrap();
        ids
    }

    fn end(memory: &mut Memory, kind: Deed, code: &str, contact: &str) {
        let running = memory.running(code, contact);
        let new = entry(memory, at(MONDAY), kind, (code, contact), running);
        memory.enter(&new).unwrap();
    }

    #[test]
    fn each_limit_lets_a_contact_start_when_it_should() {
        let mut memory = Memory::default();
        let may = |memory: &Memory, limit, now: &str| {
            memory.may_start(limit, "welcome", "code", "crm-1", at(now))
        };
        let all = [
            Setting::Unlimited,
            Setting::Waiting(3),
            Setting::OnceWhileRunning,
            Setting::Once,
        ];
        assert!(all.iter().all(|limit| may(&memory, *limit, MONDAY)));

        start(&mut memory, "code", "crm-1", &["welcome"]);
        let now = all.map(|limit| may(&memory, limit, MONDAY));
        assert_eq!(now, [true, false, false, false]);
        let later = all.map(|limit| may(&memory, limit, "2027-02-23T09:00:00Z"));
        assert_eq!(later, [true, true, false, false]);
        assert!(!may(&memory, Setting::Waiting(3), "2027-02-23T08:59:59Z"));

        end(&mut memory, Deed::Finish, "code", "crm-1");
        let finished = all.map(|limit| may(&memory, limit, MONDAY));
        assert_eq!(finished, [true, false, true, false]);
    }

    #[test]
    fn a_limit_is_its_own_publications_alone() {
        let mut memory = Memory::default();
        start(&mut memory, "code", "crm-1", &["welcome"]);
        for (automation, code, contact) in [
            ("other", "code", "crm-1"),
            ("welcome", "other", "crm-1"),
            ("welcome", "code", "crm-2"),
        ] {
            assert!(memory.may_start(Setting::Once, automation, code, contact, at(MONDAY)));
        }
    }

    #[test]
    fn participations_are_stopped_one_or_all() {
        let mut memory = Memory::default();
        let first = start(&mut memory, "code", "crm-1", &["a", "b"]);
        start(&mut memory, "code", "crm-2", &["a"]);
        let second = start(&mut memory, "code", "crm-1", &["a"]);
        assert_eq!(memory.running("code", "crm-1").len(), 3);

        let (one, _) = memory.find("code", "crm-1", &first[1]).unwrap();
        let stop = entry(
            &memory,
            at(MONDAY),
            Deed::Stop,
            ("code", "crm-1"),
            vec![one],
        );
        memory.enter(&stop).unwrap();
        let left: Vec<String> = memory
            .running("code", "crm-1")
            .into_iter()
            .map(|t| t.id)
            .collect();
        assert_eq!(left, [first[0].clone(), second[0].clone()]);
        assert_eq!(memory.find("code", "crm-2", &first[1]), None);
        assert_eq!(memory.find("code", "crm-1", "1"), None);

        end(&mut memory, Deed::Stop, "code", "crm-1");
        assert_eq!(memory.totals().active, 1);
        assert!(memory.knows("code", "crm-1"));
        assert!(!memory.knows("code", "crm-3"));
    }

    #[test]
    fn a_ledger_that_is_read_again_gives_the_same_memory() {
        let mut memory = Memory::default();
        let mut new = entry(
            &memory,
            at("2026-11-23T09:00:00.123456Z"),
            Deed::Trigger,
            ("code", "crm-1"),
            vec![Touched {
                id: memory.next_id(0).to_string(),
                automation: "a".to_owned(),
            }],
        );
        new.fields = BTreeMap::from([("cart".to_owned(), "URL".to_owned())]);
        new.digest = Some("00ff".repeat(8));
        memory.enter(&new).unwrap();
        end(&mut memory, Deed::Stop, "code", "crm-1");
        start(&mut memory, "code", "crm-2", &["a", "b"]);

        let written: Vec<LedgerEntry> = memory.ledger(0).collect();
        assert_eq!(written[0], new);
        let mut again = Memory::default();
        for entry in &written {
            again.enter(entry).unwrap();
        }
        assert_eq!(again.ledger(0).collect::<Vec<_>>(), written);
        assert_eq!(again.totals(), memory.totals());
        assert!(again.participations(0).eq(memory.participations(0)));
        assert_eq!(memory.ledger(2).count(), 1);
        assert_eq!(memory.ledger(99).count(), 0);
    }

    #[test]
    fn an_entry_that_does_not_follow_changes_nothing() {
        let mut memory = Memory::default();
        start(&mut memory, "code", "crm-1", &["a"]);
        let touched = |id: u64| {
            vec![Touched {
                id: id.to_string(),
                automation: "a".to_owned(),
            }]
        };
        for (kind, contact, id, gap) in [
            (Deed::Trigger, "crm-1", FIRST_ID, 0),
            (Deed::Trigger, "crm-1", FIRST_ID + 2, 0),
            (Deed::Stop, "crm-2", FIRST_ID, 0),
            (Deed::Stop, "crm-1", FIRST_ID, 1),
        ] {
            let mut wrong = entry(&memory, at(MONDAY), kind, ("code", contact), touched(id));
            wrong.seq += gap;
            assert_eq!(memory.enter(&wrong), Err(Inconsistent));
        }
        assert_eq!(memory.totals().entries, 1);
        assert_eq!(memory.totals().active, 1);
    }
}
