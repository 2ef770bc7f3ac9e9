//! A month, drawn from its seed: rules, what the exports hold from day to day, and what becomes of calls.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write;

use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};

use crate::model::{Automation, Key, Lot, Minutes, Offer, World};

pub const CONTACTS: usize = 8;
const ORDERS: usize = 3;
const STATUSES: usize = 4;
pub const HOUR: Minutes = 60;
pub const DAY: Minutes = 24 * HOUR;

/// What Spotler does with the triggers of a contact on a day.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fault {
    /// It fails before it carries them out, and nobody knows.
    Before,
    /// It carries them out, and nobody knows.
    After,
    /// It refuses them by a limit.
    Limit,
    /// It does not know the contact.
    Unknown,
    /// It cannot read them.
    Rejects,
}

/// A block of an automation.
#[derive(Debug)]
struct Block {
    wanted: BTreeSet<usize>,
    /// The statuses by which one stays, where that is said.
    stays: Option<BTreeSet<usize>>,
    has_lot: bool,
}

/// An automation. Its name is its letter, and its code too.
#[derive(Debug)]
struct Slot {
    name: String,
    is_there: bool,
    repeats: bool,
    automation: Automation,
    /// The name of its lot, and which part.
    lot: Option<(usize, usize)>,
    blocks: Vec<Block>,
    /// What `runs_for` is while it is set.
    runs_for: Option<Minutes>,
}

/// A `[[suppress]]` or `[[require]]` with a list.
#[derive(Debug)]
struct List {
    is_required: bool,
    is_there: bool,
    /// Who is on it.
    contacts: BTreeSet<usize>,
    /// The slots in which it holds, where it names some.
    slots: Option<BTreeSet<usize>>,
    /// Whether it holds in service mail alone or in all other mail alone, where it says that.
    of_service: Option<bool>,
}

/// A list with its number, the automations that it names, and those in which it holds.
type Written<'a> = (usize, &'a List, Vec<&'a str>, Option<Vec<&'a str>>);

/// A repository as it is on a day, and the clock.
#[derive(Debug)]
pub struct Scene {
    random: StdRng,
    slots: Vec<Slot>,
    /// Where the parts of each lot end, in per cent.
    cuts: Vec<[u32; 2]>,
    exclusives: Vec<BTreeSet<usize>>,
    has_exclusives: bool,
    per_contact: Option<(usize, Minutes)>,
    /// The slots in a freeze, and its first and last day.
    freeze: (BTreeSet<usize>, Minutes, Minutes),
    has_window: bool,
    /// By contact: status and note.
    people: BTreeMap<usize, (usize, usize)>,
    orders: BTreeMap<(usize, usize), (usize, usize)>,
    suppressed: BTreeSet<usize>,
    lists: Vec<List>,
    /// Each id that is another one's of the same person, and that one, which may be another one's too.
    merged: BTreeMap<String, String>,
    /// Of which of these that is said by name, and not by the list.
    merged_by_name: BTreeSet<String>,
    /// Of which of these the record has it, whatever the repository says.
    settled: BTreeSet<String>,
    /// Of which of these the repository says it no more.
    dropped: BTreeSet<String>,
    /// Whose rows have the id that is kept.
    renamed: BTreeSet<usize>,
    pub now: Minutes,
}

fn statuses(random: &mut StdRng) -> BTreeSet<usize> {
    let wanted = (0..STATUSES).filter(|_| random.random_bool(0.5));
    let mut wanted: BTreeSet<usize> = wanted.collect();
    wanted.insert(random.random_range(0..STATUSES));
    wanted
}

fn toggle<T: Ord>(set: &mut BTreeSet<T>, item: T) {
    if !set.remove(&item) {
        set.insert(item);
    }
}

/// The same; one at least stays in it.
fn change(set: &mut BTreeSet<usize>, item: usize) {
    toggle(set, item);
    if set.is_empty() {
        set.insert(item);
    }
}

impl Scene {
    pub fn new(seed: u64) -> Self {
        let mut random = StdRng::seed_from_u64(seed);
        let r = &mut random;
        let count = r.random_range(2..=5);
        let slots = ('a'..='e').take(count).map(|letter| Slot::new(letter, r));
        // The configuration has them in an order of its own.
        let mut slots: Vec<Slot> = slots.collect();
        for place in 1..slots.len() {
            slots.swap(place, r.random_range(0..=place));
        }
        let exclusive = |r: &mut StdRng| (0..5).filter(|_| r.random_bool(0.5)).collect();
        let exclusives = (0..r.random_range(0..3)).map(|_| exclusive(r)).collect();
        let cuts = |r: &mut StdRng| [r.random_range(1..50), r.random_range(50..100)];
        let mut scene = Self {
            slots,
            cuts: vec![cuts(r), cuts(r)],
            exclusives,
            has_exclusives: true,
            per_contact: r
                .random_bool(0.4)
                .then(|| (r.random_range(1..3), DAY * r.random_range(1..8))),
            freeze: {
                let from = r.random_range(0..20);
                (exclusive(r), from, from + r.random_range(0..6))
            },
            has_window: r.random_bool(0.3),
            people: BTreeMap::new(),
            orders: BTreeMap::new(),
            suppressed: BTreeSet::new(),
            lists: (0..r.random_range(0..3))
                .map(|_| {
                    let is_required = r.random_bool(0.5);
                    let share = if is_required { 0.8 } else { 0.2 };
                    List {
                        is_required,
                        is_there: true,
                        contacts: (0..CONTACTS).filter(|_| r.random_bool(share)).collect(),
                        slots: r.random_bool(0.5).then(|| exclusive(r)),
                        of_service: r.random_bool(0.4).then(|| r.random_bool(0.3)),
                    }
                })
                .collect(),
            merged: BTreeMap::new(),
            merged_by_name: BTreeSet::new(),
            settled: BTreeSet::new(),
            dropped: BTreeSet::new(),
            renamed: BTreeSet::new(),
            now: 7,
            random,
        };
        for _ in 0..3 {
            scene.exports(0.4);
        }
        scene
    }

    fn chance(&mut self, share: f64) -> bool {
        self.random.random_bool(share)
    }

    fn below(&mut self, end: usize) -> usize {
        self.random.random_range(0..end)
    }

    /// The id that a person keeps, by any of theirs.
    fn kept(&self, id: String) -> String {
        match self.merged.get(&id) {
            Some(to) => self.kept(to.clone()),
            None => id,
        }
    }

    /// The id that a contact keeps.
    fn id(&self, contact: usize) -> String {
        self.kept(format!("c-{contact}"))
    }

    /// The id that a contact has in an export.
    fn id_in_rows(&self, contact: usize) -> String {
        match self.renamed.contains(&contact) {
            true => self.id(contact),
            false => format!("c-{contact}"),
        }
    }

    /// The contacts that are one person with a contact, itself among them.
    fn same(&self, contact: usize) -> impl Iterator<Item = usize> {
        let id = self.id(contact);
        (0..=CONTACTS).filter(move |of| self.id(*of) == id)
    }

    /// A person gets a new id, or turns out to be another one.
    fn merge(&mut self) {
        let (contact, other) = (self.below(CONTACTS), self.below(CONTACTS));
        let from = self.id(contact);
        let to = match self.below(4) {
            0 => format!("m-{contact}"),
            1 => self.id(other),
            _ => format!("c-{other}"),
        };
        if self.kept(to.clone()) == from || self.merged.contains_key(&from) {
            return;
        }
        if self.chance(0.3) {
            self.merged_by_name.insert(from.clone());
        }
        self.merged.insert(from, to);
    }

    /// Notes that the record has the merges of these ids, where they are not kept.
    pub fn settled(&mut self, ids: BTreeSet<String>) {
        let ids = ids.into_iter().filter(|id| self.merged.contains_key(id));
        self.settled.extend(ids);
    }

    /// Whether a contact has an effective row with an id among others: those of an id that is not kept count where there are none of the
    /// one that is.
    fn counts(&self, contact: usize, mut all: impl Iterator<Item = usize>) -> bool {
        let kept = self.id(contact);
        let is_own = |of: usize| self.id_in_rows(of) == kept;
        is_own(contact) || !all.any(|of| self.id(of) == kept && is_own(of))
    }

    /// The note in a row: all rows of one person have the same.
    fn note(&self, contact: usize, order: Option<usize>) -> usize {
        let note = |of: usize| match order {
            None => self.people.get(&of).map(|row| row.1),
            Some(order) => self.orders.get(&(of, order)).map(|row| row.1),
        };
        self.same(contact).find_map(note).unwrap_or(0)
    }

    /// The next day or so.
    pub fn next_day(&mut self) {
        self.now += 10 * (30 + self.below(230)) as Minutes;
        self.exports(0.15);
        if self.chance(0.2) {
            let contact = self.below(CONTACTS);
            toggle(&mut self.suppressed, contact);
        }
        for list in &mut self.lists {
            for _ in 0..self.random.random_range(0..3) {
                toggle(&mut list.contacts, self.random.random_range(0..CONTACTS));
            }
            list.is_there ^= self.random.random_bool(0.03);
        }
        if self.chance(0.2) {
            self.change();
        }
        let contact = self.below(CONTACTS);
        toggle(&mut self.renamed, contact);
        for _ in 0..[0, 0, 0, 0, 0, 0, 1, 2][self.below(8)] {
            self.merge();
        }
        for id in self.settled.clone() {
            if self.chance(0.1) {
                toggle(&mut self.dropped, id);
            }
        }
    }

    fn change(&mut self) {
        let (slot, status, lot) = (
            self.below(self.slots.len()),
            self.below(STATUSES),
            self.below(2),
        );
        let cuts = [1 + self.below(49) as u32, 50 + self.below(50) as u32];
        let kind = self.below(6);
        let slot = &mut self.slots[slot];
        match kind {
            0 => slot.is_there ^= true,
            1 => change(&mut slot.blocks[0].wanted, status),
            2 => self.cuts[lot] = cuts,
            3 => self.has_exclusives ^= true,
            4 => {
                let runs_for = &mut slot.automation.runs_for;
                *runs_for = match runs_for {
                    Some(_) => None,
                    None => slot.runs_for,
                };
            }
            _ => {
                if let Some(stays) = &mut slot.blocks[0].stays {
                    change(stays, status);
                }
            }
        }
    }

    fn exports(&mut self, share: f64) {
        for contact in 0..CONTACTS {
            if self.chance(share) {
                let row = (self.below(STATUSES), self.below(2));
                match self.chance(0.2) {
                    true => _ = self.people.remove(&contact),
                    false => _ = self.people.insert(contact, row),
                }
            }
            if self.chance(share) {
                let order = (contact, self.below(ORDERS));
                let row = (self.below(STATUSES), self.below(2));
                match self.chance(0.3) {
                    true => _ = self.orders.remove(&order),
                    false => _ = self.orders.insert(order, row),
                }
            }
        }
        // A source that runs dry is another story.
        self.people.entry(CONTACTS).or_insert((9, 0));
        self.orders.entry((CONTACTS, 0)).or_insert((9, 0));
    }

    /// What goes wrong today, by contact.
    pub fn faults(&mut self) -> BTreeMap<String, Fault> {
        use Fault::*;
        let count = [0, 0, 1, 1, 2][self.below(5)];
        let faults = (0..count).map(|_| {
            let fault = [Before, After, After, Limit, Unknown, Rejects][self.below(6)];
            let contact = self.below(CONTACTS);
            let id = match self.chance(0.3) {
                true => format!("c-{contact}"),
                false => self.id(contact),
            };
            (id, fault)
        });
        faults.collect()
    }

    /// Whether a person settles the doubts today.
    pub fn resolves(&mut self) -> bool {
        self.chance(0.15)
    }

    fn there(&self) -> impl Iterator<Item = (usize, &Slot)> {
        let slots = self.slots.iter().enumerate();
        slots.filter(|(_, slot)| slot.is_there)
    }

    fn lot(&self, slot: &Slot) -> Option<Lot> {
        let (name, part) = slot.lot?;
        let [first, second] = self.cuts[name];
        let ends = [0, first, second, 100];
        Some((format!("lot-{name}"), ends[part], ends[part + 1]))
    }

    /// The exclusive blocks that can be written.
    fn exclusives(&self) -> Vec<Vec<String>> {
        let of_block = |places: &BTreeSet<usize>| {
            let slots = self.there().filter(|(place, slot)| {
                places.contains(&(place * 7 % 5)) && !slot.automation.is_service
            });
            slots.map(|(_, slot)| slot.name.clone()).collect()
        };
        let blocks = self.exclusives.iter().filter(|_| self.has_exclusives);
        let mut blocks: Vec<Vec<String>> = blocks.map(of_block).collect();
        blocks.retain(|names| names.len() > 1);
        for names in &mut blocks {
            names.reverse();
        }
        blocks
    }

    /// The lists that can be written, with the names of the automations that each names, and of those in which it holds; `None` is
    /// in all, also in those that are gone.
    fn lists(&self) -> Vec<Written<'_>> {
        let lists = self.lists.iter().enumerate().map(|(number, list)| {
            let slots = self.there().filter(|(place, _)| {
                let named = list.slots.as_ref();
                named.is_none_or(|named| named.contains(place))
            });
            let named: Vec<&Slot> = slots.map(|(_, slot)| slot).collect();
            let is_of_kind = |slot: &&&Slot| {
                let of_service = list.of_service;
                of_service.is_none_or(|service| slot.automation.is_service == service)
            };
            let holds: Vec<&str> = (named.iter().filter(is_of_kind))
                .map(|slot| slot.name.as_str())
                .collect();
            let is_limited = list.slots.is_some() || list.of_service.is_some();
            let named: Vec<&str> = named.iter().map(|slot| slot.name.as_str()).collect();
            (number, list, named, is_limited.then_some(holds))
        });
        lists
            .filter(|(_, list, _, holds)| {
                let holds_nowhere = holds.as_ref().is_some_and(Vec::is_empty);
                list.is_there && !(holds_nowhere && list.slots.is_some())
            })
            .collect()
    }

    /// Who is suppressed everywhere, and who in which automation.
    fn suppressed(&self) -> (BTreeSet<String>, BTreeSet<(String, String)>) {
        let all = self.suppressed.iter().map(|contact| self.id(*contact));
        let (mut all, mut some) = (all.collect::<BTreeSet<_>>(), BTreeSet::new());
        for (_, list, _, holds) in self.lists() {
            for number in 0..=CONTACTS {
                // On the list by any id.
                let is_on = self.same(number).any(|of| list.contacts.contains(&of));
                if is_on == list.is_required {
                    continue;
                }
                let contact = self.id(number);
                match &holds {
                    None => _ = all.insert(contact),
                    Some(names) => {
                        let names = names.iter().map(|name| (*name).to_owned());
                        some.extend(names.map(|name| (contact.clone(), name)));
                    }
                }
            }
        }
        (all, some)
    }

    /// The automations that a freeze names.
    fn freezes(&self) -> BTreeSet<String> {
        let slots = self
            .there()
            .filter(|(place, _)| self.freeze.0.contains(place));
        slots.map(|(_, slot)| slot.name.clone()).collect()
    }

    /// All of it, for the model.
    pub fn world(&self, had: &[(String, String, Minutes)]) -> World {
        let mut offers = Vec::new();
        for (_, slot) in self.there() {
            let rows: Vec<(usize, Option<usize>, usize)> = match slot.repeats {
                true => (self.orders.iter())
                    .map(|((contact, order), row)| (*contact, Some(*order), row.0))
                    .filter(|(of, _, _)| self.counts(*of, self.orders.keys().map(|row| row.0)))
                    .collect(),
                false => (self.people.iter())
                    .map(|(contact, row)| (*contact, None, row.0))
                    .filter(|(of, _, _)| self.counts(*of, self.people.keys().copied()))
                    .collect(),
            };
            for (contact, order, status) in rows {
                let note = self.note(contact, order);
                let occurrence = order.map(|order| format!("o-{order}"));
                for block in &slot.blocks {
                    let stays = block.stays.as_ref().unwrap_or(&block.wanted);
                    let stays = stays.contains(&status);
                    offers.push(Offer {
                        key: Key {
                            contact: self.id(contact),
                            automation: slot.name.clone(),
                            occurrence: occurrence.clone(),
                        },
                        fields: format!("{}|{note}", occurrence.as_deref().unwrap_or_default()),
                        comes_in: stays && block.wanted.contains(&status),
                        stays,
                        lot: self.lot(slot).filter(|_| block.has_lot),
                    });
                }
            }
        }
        let lots = self.there().filter_map(|(_, slot)| {
            let has_lot = slot.blocks.iter().any(|block| block.has_lot);
            let lot = self.lot(slot).filter(|_| has_lot)?;
            Some((slot.name.clone(), vec![lot]))
        });
        let mut sent: BTreeMap<String, usize> = BTreeMap::new();
        for (_, automation, at) in had {
            if at / DAY == self.now / DAY {
                *sent.entry(automation.clone()).or_default() += 1;
            }
        }
        let names = || self.there().map(|(_, slot)| slot.name.clone());
        let (suppressed, suppressed_in) = self.suppressed();
        World {
            now: self.now,
            automations: names()
                .zip(self.there().map(|(_, slot)| slot.automation.clone()))
                .collect(),
            order: names().collect(),
            offers,
            lots: lots.collect(),
            exclusives: self.exclusives(),
            per_contact: self.per_contact,
            had: had.to_vec(),
            suppressed,
            suppressed_in,
            frozen: match (self.freeze.1..=self.freeze.2).contains(&(self.now / DAY)) {
                true => self.freezes(),
                false => BTreeSet::new(),
            },
            limit: usize::MAX,
            is_window_open: !self.has_window || (480..1080).contains(&(self.now % DAY)),
            sent,
            ids: (self.merged.keys())
                .map(|id| (id.clone(), self.kept(id.clone())))
                .collect(),
        }
    }

    /// The files of the repository, by name.
    pub fn files(&self) -> Vec<(String, String)> {
        let mut toml = "[spotler]\nbase_url = \"https://spotler.example/api\"\nrate = \"100000/s\"\nconcurrency = 1\n\
             [source.crm]\ncsv = \"crm.csv\"\ncontact = \"id\"\n\
             [source.shop]\ncsv = \"orders.csv\"\ncontact = \"id\"\n"
            .to_owned();
        let mut line = |text: String| _ = writeln!(toml, "{text}");
        if self.has_window {
            line("[window]\ntriggers = \"08:00-18:00\"".to_owned());
        }
        if let Some((most, span)) = self.per_contact {
            line(format!("[limit]\nper_contact = \"{most}/{}d\"", span / DAY));
        }
        if !self.suppressed.is_empty() {
            // Either id will do.
            let suppressed = self.suppressed.iter().map(|contact| format!("c-{contact}"));
            let suppressed = suppressed.collect::<Vec<_>>();
            line(format!("[[suppress]]\ncontacts = {suppressed:?}"));
        }
        let mut merges = "old,new\nc-x,m-x\n".to_owned();
        let said = self.merged.iter();
        for (from, to) in said.filter(|(from, _)| !self.dropped.contains(*from)) {
            match self.merged_by_name.contains(from) {
                true => line(format!("[[merged]]\nfrom = [{from:?}]\nto = {to:?}")),
                false => merges += &format!("{from},{to}\n"),
            }
        }
        line(
            "[source.merges]\ncsv = \"merges.csv\"\n\
             [[merged]]\nsource = \"merges\"\nfrom = \"old\"\nto = \"new\""
                .to_owned(),
        );
        for (number, list, named, _) in self.lists() {
            let word = if list.is_required {
                "require"
            } else {
                "suppress"
            };
            line(format!(
                "[source.list-{number}]\ncsv = \"list-{number}.csv\"\ncontact = \"id\"\n\
                 [[{word}]]\nsource = \"list-{number}\"\nwhere.on = \"yes\""
            ));
            if list.slots.is_some() {
                line(format!("automation = {named:?}"));
            }
            if let Some(of_service) = list.of_service {
                let kind = if of_service { "service" } else { "marketing" };
                line(format!("kind = {kind:?}"));
            }
        }
        let frozen: Vec<String> = self.freezes().into_iter().collect();
        if !frozen.is_empty() {
            let (from, until) = (1 + self.freeze.1, 1 + self.freeze.2);
            line(format!(
                "[[freeze]]\nautomation = {frozen:?}\nfrom = 2027-03-{from:02}\nuntil = 2027-03-{until:02}"
            ));
        }
        for names in self.exclusives() {
            line(format!("[[exclusive]]\nautomations = {names:?}"));
        }
        for (_, slot) in self.there() {
            slot.write(self.lot(slot), &mut line);
        }
        let mut crm = "id,status,note\n".to_owned();
        for (contact, (status, _)) in &self.people {
            let note = self.note(*contact, None);
            crm += &format!("{},s{status},{note}\n", self.id_in_rows(*contact));
        }
        let mut shop = "id,order,status,note\n".to_owned();
        for ((contact, order), (status, _)) in &self.orders {
            let note = self.note(*contact, Some(*order));
            let id = self.id_in_rows(*contact);
            shop += &format!("{id},o-{order},s{status},{note}\n");
        }
        let lists = self.lists.iter().enumerate().map(|(number, list)| {
            // A list that runs dry is another story.
            let mut csv = "id,on\nc-x,yes\n".to_owned();
            for contact in 0..CONTACTS {
                let is_on = if list.contacts.contains(&contact) {
                    "yes"
                } else {
                    "no"
                };
                csv.push_str(&format!("c-{contact},{is_on}\n"));
            }
            (format!("list-{number}.csv"), csv)
        });
        let files = [
            ("rollcall.toml", toml),
            ("crm.csv", crm),
            ("orders.csv", shop),
            ("merges.csv", merges),
        ];
        let files = files
            .into_iter()
            .map(|(name, text)| (name.to_owned(), text));
        files.chain(lists).collect()
    }
}

impl Slot {
    fn new(letter: char, r: &mut StdRng) -> Self {
        let maybe = |r: &mut StdRng, share: f64| r.random_bool(share);
        let hours = |r: &mut StdRng, share: f64, most: Minutes| {
            maybe(r, share).then(|| HOUR * r.random_range(1..most))
        };
        let runs_for = hours(r, 0.6, 240);
        let again_after = runs_for.filter(|_| maybe(r, 0.6));
        let again_after = again_after.map(|runs_for| runs_for + HOUR * r.random_range(0..120));
        let block = |r: &mut StdRng| Block {
            wanted: statuses(r),
            stays: maybe(r, 0.5).then(|| statuses(r)),
            has_lot: maybe(r, 0.7),
        };
        let once = maybe(r, 0.1);
        Self {
            name: letter.to_string(),
            is_there: true,
            repeats: maybe(r, 0.3),
            automation: Automation {
                code: format!("code-{letter}"),
                once,
                keeps: maybe(r, 0.35),
                retriggers: !once && maybe(r, 0.2),
                is_service: maybe(r, 0.2),
                cooldown: hours(r, 0.2, 120),
                leave_after: hours(r, 0.25, 72),
                runs_for,
                again_after,
                per_run: maybe(r, 0.15).then(|| r.random_range(0..4)),
                per_day: maybe(r, 0.15).then(|| r.random_range(1..6)),
            },
            lot: maybe(r, 0.5).then(|| (r.random_range(0..2), r.random_range(0..3))),
            blocks: (0..r.random_range(1..=2)).map(|_| block(r)).collect(),
            runs_for,
        }
    }

    fn write(&self, lot: Option<Lot>, line: &mut impl FnMut(String)) {
        let Self {
            name, automation, ..
        } = self;
        line(format!(
            "[automation.{name}]\ntrigger_code = {:?}",
            automation.code
        ));
        let occurrence = match self.repeats {
            true => "{{ occurrence }}",
            false => "",
        };
        line(format!("fields.story = \"{occurrence}|{{{{ note }}}}\""));
        let flags = [
            (self.repeats, "repeat_by = \"order\""),
            (automation.once, "participation = \"once\""),
            (automation.keeps, "on_leave = \"keep\""),
            (automation.retriggers, "on_change = \"retrigger\""),
            (automation.is_service, "kind = \"service\""),
        ];
        for (_, setting) in flags.into_iter().filter(|(is_set, _)| *is_set) {
            line(setting.to_owned());
        }
        let spans = [
            ("cooldown", automation.cooldown),
            ("leave_after", automation.leave_after),
            ("runs_for", automation.runs_for),
            ("again_after", automation.again_after),
        ];
        for (setting, span) in spans {
            if let Some(span) = span {
                line(format!("{setting} = \"{}h\"", span / HOUR));
            }
        }
        let ramps = [
            ("max_per_run", automation.per_run),
            ("max_per_day", automation.per_day),
        ];
        for (setting, most) in ramps {
            if let Some(most) = most {
                line(format!("{setting} = {most}"));
            }
        }
        let source = if self.repeats { "shop" } else { "crm" };
        let words = |statuses: &BTreeSet<usize>| -> Vec<String> {
            statuses.iter().map(|n| format!("s{n}")).collect()
        };
        for block in &self.blocks {
            line(format!(
                "[[enrol]]\nautomation = {name:?}\nsource = \"{source}\"\nwhere.status = {:?}",
                words(&block.wanted)
            ));
            if let Some(stays) = &block.stays {
                line(format!("stay.status = {:?}", words(stays)));
            }
            if let Some((name, from, to)) = lot.as_ref().filter(|_| block.has_lot) {
                line(format!(
                    "lot = {{ name = {name:?}, from = \"{from}%\", to = \"{to}%\" }}"
                ));
            }
        }
    }
}
