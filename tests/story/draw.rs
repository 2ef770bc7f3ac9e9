//! What happens in a story, drawn from its seed: a configuration, what the exports hold from day to day, and what goes wrong.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write;

use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};
use rollcall::sandbox::{Publication, Setting, Trigger};
use serde_json::{Value, json};

use crate::model::{Automation, Key, Minutes, Offer, World};

pub const CONTACTS: usize = 8;
const ORDERS: usize = 3;

/// So much that no story comes near it.
const NO_LIMIT: usize = 1_000_000;

/// A repository as it is on a day, and the clock.
pub struct Scene {
    random: StdRng,
    pub slots: Vec<Slot>,
    /// What is behind each code, in lower case.
    published: BTreeMap<String, Vec<Publication>>,
    concurrency: usize,
    has_window: bool,
    /// `max_triggers` and `max_stops`.
    pub limit: usize,
    /// By contact: status and note.
    people: BTreeMap<usize, (usize, usize)>,
    /// By contact and order.
    orders: BTreeMap<(usize, usize), (usize, usize)>,
    /// The slots that took another name, with the name before and after.
    moved: Vec<(char, String, String)>,
    pub suppressed: BTreeSet<String>,
    /// Whom Spotler does not know.
    pub unknown: BTreeSet<String>,
    pub now: Minutes,
    /// The local minute of the day at which the story began, and the zone in which it is that.
    noon: Minutes,
    zone: String,
}

/// An automation. Its letter stays, whatever its name and code become.
pub struct Slot {
    pub letter: char,
    pub name: String,
    is_there: bool,
    repeats: bool,
    pub automation: Automation,
    wanted: BTreeSet<usize>,
    /// Contacts that are declared by name.
    named: BTreeSet<usize>,
}

/// What goes wrong on a day.
#[derive(Debug, Default)]
pub struct Trouble {
    /// The fault of every trigger of a contact.
    pub triggers: BTreeMap<String, &'static str>,
    /// The fault of stops of a contact.
    pub stops: BTreeMap<String, &'static str>,
    /// Codes, in lower case, behind which nothing is active.
    pub inactive: BTreeSet<String>,
    /// Codes that Spotler does not know.
    pub missing: BTreeSet<String>,
}

/// Faults of triggers that leave it open whether they were carried out.
pub const DOUBTS: [&str; 9] = [
    "error-before",
    "error-after",
    "reset-before",
    "reset-after",
    "cut",
    "html",
    "truncated",
    "unknown-result",
    "unavailable",
];

impl Trouble {
    /// Whether an action may be left out because of another one.
    pub fn is_far_reaching(&self) -> bool {
        let harmless = ["limit", "number-id", "odd-id", "slow"];
        let mut faults = self.triggers.values().chain(self.stops.values());
        faults.any(|fault| !harmless.contains(fault))
            || !self.inactive.is_empty()
            || !self.missing.is_empty()
    }

    /// The rules for the sandbox.
    pub fn rules(&self) -> Value {
        let rule = |kind: &str, contact: &str, fault: &str| {
            let mut rule = json!({ "kind": kind, "contact": contact, "fault": fault });
            match fault {
                "limit" => {
                    rule["times"] = 1.into();
                    rule["retry_after"] = "0".into();
                }
                "slow" => rule["ms"] = 3.into(),
                // A stop is sent again until it is certain, each time after a wait.
                _ if kind != "trigger" && DOUBTS.contains(&fault) => rule["times"] = 1.into(),
                _ => {}
            }
            rule
        };
        let triggers = self.triggers.iter().map(|(c, f)| rule("trigger", c, f));
        let stops = self.stops.iter().flat_map(|(contact, fault)| {
            ["stop", "stop-one"].map(|kind| rule(kind, contact, fault))
        });
        triggers.chain(stops).collect()
    }
}

impl Scene {
    pub fn new(seed: u64, began: jiff::Timestamp) -> Self {
        let mut random = StdRng::seed_from_u64(seed);
        let r = &mut random;
        let codes: Vec<String> = (0..r.random_range(1..=4))
            .map(|n| format!("{n}0b8f9a5-6d0c-4f1c-8f53-2d6c9c0a7f11"))
            .collect();
        let publication = |setting, active| Publication {
            id: None,
            active,
            setting,
        };
        let published = codes.iter().map(|code| {
            let publications = match r.random_range(0..10) {
                0 | 1 => vec![publication(Setting::Once, true)],
                2 | 3 => vec![publication(Setting::OnceWhileRunning, true)],
                // The first trigger of a contact starts two of these, the others one.
                4 => vec![
                    publication(Setting::Unlimited, true),
                    publication(Setting::Unlimited, false),
                    publication(Setting::OnceWhileRunning, true),
                ],
                _ => vec![publication(Setting::Unlimited, true)],
            };
            (code.clone(), publications)
        });
        let published: BTreeMap<_, _> = published.collect();
        let mut slots = Vec::new();
        for letter in ('a'..='e').take(r.random_range(2..=5)) {
            let code = codes[r.random_range(0..codes.len())].clone();
            let code = cased(r, &code);
            let maybe = |r: &mut StdRng, share: f64| r.random_bool(share);
            let repeats = maybe(r, 0.5);
            let minutes = |r: &mut StdRng, share: f64, days: &[Minutes]| {
                maybe(r, share).then(|| days[r.random_range(0..days.len())])
            };
            let once = published[&code.to_lowercase()][0].setting == Setting::Once && maybe(r, 0.7);
            slots.push(Slot {
                letter,
                name: format!("auto-{letter}"),
                is_there: true,
                repeats,
                automation: Automation {
                    once,
                    code,
                    keeps: maybe(r, 0.25),
                    retriggers: !once && maybe(r, 0.3),
                    is_service: false,
                    runs_for: None,
                    again_after: None,
                    cooldown: minutes(r, 0.2, &[1440, 4320]),
                    leave_after: minutes(r, 0.25, &[300, 2160, 2880]),
                    per_run: maybe(r, 0.15).then(|| r.random_range(0..4)),
                    per_day: maybe(r, 0.15).then(|| r.random_range(1..6)),
                },
                wanted: (0..4).filter(|_| r.random_bool(0.5)).collect(),
                named: BTreeSet::new(),
            });
        }
        // The story begins at noon of some zone, so that no day ends while it is reported.
        let utc = began.to_zoned_datetime(jiff::tz::TimeZone::UTC);
        let ahead = 12 - i64::from(utc.hour());
        let mut scene = Self {
            slots,
            published,
            concurrency: if r.random_bool(0.5) { 1 } else { 4 },
            has_window: r.random_bool(0.15),
            limit: match r.random_bool(0.15) {
                true => r.random_range(2..CONTACTS),
                false => NO_LIMIT,
            },
            people: BTreeMap::new(),
            orders: BTreeMap::new(),
            moved: Vec::new(),
            suppressed: BTreeSet::new(),
            unknown: BTreeSet::new(),
            now: 7,
            noon: 12 * 60 + i64::from(utc.minute()),
            // The sign is the other way round in these names.
            zone: format!("Etc/GMT{:+}", -ahead),
            random,
        };
        for _ in 0..3 {
            scene.exports(0.5);
        }
        scene
    }

    pub fn chance(&mut self, share: f64) -> bool {
        self.random.random_bool(share)
    }

    pub fn below(&mut self, end: usize) -> usize {
        self.random.random_range(0..end)
    }

    pub fn pick<T: Clone>(&mut self, from: &[T]) -> T {
        from[self.below(from.len())].clone()
    }

    /// Any of the contacts that there are.
    pub fn somebody(&mut self) -> String {
        format!("c-{}", self.below(CONTACTS))
    }

    /// The next day, or another hour of the same one.
    pub fn next_day(&mut self) {
        self.pass_time();
        self.exports(0.2);
        if self.chance(0.2) {
            let contact = self.somebody();
            toggle(&mut self.suppressed, contact);
        }
        if self.chance(0.1) {
            let contact = self.somebody();
            toggle(&mut self.unknown, contact);
        }
        if self.chance(0.15) {
            let slot = self.below(self.slots.len());
            self.change(slot);
        }
    }

    fn change(&mut self, slot: usize) {
        let kind = self.below(7);
        let is_moved = self.chance(0.8);
        let status = self.below(4);
        let named = self.below(3);
        let code = self.slots[slot].automation.code.to_lowercase();
        let code = cased(&mut self.random, &code);
        let slot = &mut self.slots[slot];
        match kind {
            0 => slot.is_there ^= true,
            1 => toggle(&mut slot.wanted, status),
            2 if !slot.repeats => toggle(&mut slot.named, named),
            3 | 4 if slot.is_there => {
                let (old, new) = (slot.name.clone(), format!("{}x", slot.name));
                slot.name = new.clone();
                match is_moved {
                    true => self.moved.push((slot.letter, old, new)),
                    // Where the last name comes from nowhere, an earlier one leads nowhere.
                    false => self.moved.retain(|(letter, ..)| *letter != slot.letter),
                }
            }
            _ => slot.automation.code = code,
        }
    }

    /// Steps so that no wait ends close to a plan.
    fn pass_time(&mut self) {
        let step = match self.below(10) {
            0..3 => 0,
            3..6 => 1 + self.below(8),
            6..9 => 10 + self.below(20),
            _ => 29 + self.below(60),
        };
        self.now += 50 * step as i64;
        let ends = (0..7).map(|n| 15 << n).chain((1..60).map(|day| 1440 * day));
        let is_close = |now: Minutes| {
            ends.clone()
                .any(|end: Minutes| (end - 3..end + 15).contains(&now))
        };
        while is_close(self.now) {
            self.now += 50;
        }
    }

    fn exports(&mut self, share: f64) {
        for contact in 0..CONTACTS {
            if self.chance(share) {
                let is_gone = self.chance(0.2);
                let row = (self.below(4), self.below(2));
                match is_gone {
                    true => _ = self.people.remove(&contact),
                    false => _ = self.people.insert(contact, row),
                }
            }
            if self.chance(share) {
                let order = (contact, self.below(ORDERS));
                let row = (self.below(4), self.below(2));
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

    /// What goes wrong today.
    pub fn trouble(&mut self) -> Trouble {
        let mut trouble = Trouble::default();
        if self.chance(0.5) {
            return trouble;
        }
        for _ in 0..1 + self.below(2) {
            let contact = self.somebody();
            match self.below(12) {
                0..5 => {
                    let fault = self.pick(&DOUBTS);
                    trouble.triggers.insert(contact, fault);
                }
                5..8 => {
                    let fault = self.pick(&["limit", "number-id", "odd-id", "slow", "echo"]);
                    trouble.triggers.insert(contact, fault);
                }
                8 => {
                    let fault = self.pick(&["error-before", "reset-after", "echo", "limit"]);
                    trouble.stops.insert(contact, fault);
                }
                9 => _ = trouble.triggers.insert(contact, "revoked"),
                10 => _ = trouble.inactive.insert(self.code()),
                _ => _ = trouble.missing.insert(self.code()),
            }
        }
        trouble
    }

    fn code(&mut self) -> String {
        let codes: Vec<String> = self.published.keys().cloned().collect();
        self.pick(&codes)
    }

    /// What can be triggered at Spotler today.
    pub fn listed(&self, trouble: &Trouble) -> Vec<Trigger> {
        // With none at all it would take any.
        let other = ("other".to_owned(), Vec::new());
        let known = self.published.iter().chain([(&other.0, &other.1)]);
        let known = known.filter(|(code, _)| !trouble.missing.contains(*code));
        let trigger = |(code, publications): (&String, &Vec<Publication>)| {
            let mut publications = publications.clone();
            for publication in &mut publications {
                publication.active &= !trouble.inactive.contains(code);
            }
            let (name, code) = (code.clone(), code.clone());
            Trigger {
                name,
                code,
                publications,
            }
        };
        known.map(trigger).collect()
    }

    /// Whether Spotler may refuse a second participation behind a code.
    pub fn is_limited(&self, code: &str) -> bool {
        self.published[&code.to_lowercase()][0].setting != Setting::Unlimited
    }

    fn minute_of_day(&self) -> Minutes {
        (self.noon + self.now) % 1440
    }

    /// Whether it is still the day on which all was sent.
    pub fn is_first_day(&self) -> bool {
        self.noon + self.now < 1440
    }

    /// The new names of what is on record under an old one, in order.
    pub fn moves(&self) -> impl Iterator<Item = (&str, &str)> {
        let is_there = |letter| {
            self.slots
                .iter()
                .any(|slot| slot.letter == letter && slot.is_there)
        };
        let moved = self
            .moved
            .iter()
            .filter(move |(letter, ..)| is_there(*letter));
        moved.map(|(_, from, to)| (from.as_str(), to.as_str()))
    }

    /// What is declared, for the model.
    pub fn world(&self, sent: &BTreeMap<String, usize>) -> World {
        let there = || self.slots.iter().filter(|slot| slot.is_there);
        let mut offers = Vec::new();
        for slot in there() {
            let mut declare = |contact: String, occurrence: Option<String>, note: usize| {
                let fields = slot.fields(occurrence.as_deref(), note);
                let automation = slot.name.clone();
                let key = Key {
                    contact,
                    automation,
                    occurrence,
                };
                offers.push(Offer {
                    key,
                    fields,
                    comes_in: true,
                    stays: true,
                    lot: None,
                });
            };
            if slot.repeats {
                for ((contact, order), (status, note)) in &self.orders {
                    if slot.wanted.contains(status) {
                        declare(format!("c-{contact}"), Some(format!("o-{order}")), *note);
                    }
                }
            } else {
                for (contact, (status, note)) in &self.people {
                    if slot.wanted.contains(status) {
                        declare(format!("c-{contact}"), None, *note);
                    }
                }
                for contact in &slot.named {
                    declare(format!("n-{contact}"), None, 0);
                }
            }
        }
        World {
            now: self.now,
            automations: there()
                .map(|slot| (slot.name.clone(), slot.automation.clone()))
                .collect(),
            offers,
            suppressed: self.suppressed.clone(),
            suppressed_in: BTreeSet::new(),
            limit: self.limit,
            is_window_open: !self.has_window || (480..1080).contains(&self.minute_of_day()),
            sent: match self.is_first_day() {
                true => sent.clone(),
                false => BTreeMap::new(),
            },
            ..World::default()
        }
    }

    /// The files of the repository, by name.
    pub fn files(&self, url: &str) -> Vec<(&'static str, String)> {
        let mut toml = format!(
            "[spotler]\nbase_url = {url:?}\nrate = \"100000/s\"\nconcurrency = {1}\n\
             [guard]\nmax_triggers = {0}\nmax_stops = {0}\nmax_released = {NO_LIMIT}\n[time]\nzone = {2:?}\n\
             [source.crm]\ncsv = \"crm.csv\"\ncontact = \"id\"\n\
             [source.shop]\ncsv = \"orders.csv\"\ncontact = \"id\"\n",
            self.limit, self.concurrency, self.zone
        );
        let mut line = |text: String| _ = writeln!(toml, "{text}");
        if self.has_window {
            line("[window]\ntriggers = \"08:00-18:00\"".to_owned());
        }
        for contact in 0..3 {
            line(format!("[contact.n-{contact}]\nnote = \"0\""));
        }
        if !self.suppressed.is_empty() {
            let suppressed = self.suppressed.iter().collect::<Vec<_>>();
            line(format!("[[suppress]]\ncontacts = {suppressed:?}"));
        }
        for (from, to) in self.moves() {
            line(format!("[[moved]]\nfrom = {from:?}\nto = {to:?}"));
        }
        for slot in self.slots.iter().filter(|slot| slot.is_there) {
            slot.write(&mut line);
        }
        let mut crm = "id,status,note\n".to_owned();
        for (contact, (status, note)) in &self.people {
            crm.push_str(&format!("c-{contact},s{status},{note}\n"));
        }
        let mut shop = "id,order,status,note\n".to_owned();
        for ((contact, order), (status, note)) in &self.orders {
            shop.push_str(&format!("c-{contact},o-{order},s{status},{note}\n"));
        }
        vec![
            ("rollcall.toml", toml),
            ("crm.csv", crm),
            ("orders.csv", shop),
        ]
    }
}

impl Slot {
    /// The one field that is sent along: what tells participations apart in the sandbox's ledger.
    fn fields(&self, occurrence: Option<&str>, note: usize) -> String {
        format!("{}|{}|{note}", self.letter, occurrence.unwrap_or_default())
    }

    fn write(&self, line: &mut impl FnMut(String)) {
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
        line(format!(
            "fields.story = \"{}|{occurrence}|{{{{ note }}}}\"",
            self.letter
        ));
        let mut set = |is_set: bool, text: &str| {
            if is_set {
                line(text.to_owned());
            }
        };
        set(self.repeats, "repeat_by = \"order\"");
        set(automation.once, "participation = \"once\"");
        set(automation.keeps, "on_leave = \"keep\"");
        set(automation.retriggers, "on_change = \"retrigger\"");
        let minutes = |minutes: Option<Minutes>| minutes.unwrap_or(0) / 60;
        let spans = [
            ("cooldown", automation.cooldown),
            ("leave_after", automation.leave_after),
        ];
        for (setting, span) in spans {
            set(
                span.is_some(),
                &format!("{setting} = \"{}h\"", minutes(span)),
            );
        }
        let ramps = [
            ("max_per_run", automation.per_run),
            ("max_per_day", automation.per_day),
        ];
        for (setting, most) in ramps {
            set(
                most.is_some(),
                &format!("{setting} = {}", most.unwrap_or(0)),
            );
        }
        let source = if self.repeats { "shop" } else { "crm" };
        let statuses: Vec<String> = self.wanted.iter().map(|n| format!("s{n}")).collect();
        set(
            !statuses.is_empty(),
            &format!(
                "[[enrol]]\nautomation = {name:?}\nsource = \"{source}\"\nwhere.status = {statuses:?}"
            ),
        );
        let named: Vec<String> = self.named.iter().map(|n| format!("n-{n}")).collect();
        set(
            !named.is_empty(),
            &format!("[[enrol]]\nautomation = {name:?}\ncontacts = {named:?}"),
        );
    }
}

/// A code, maybe in capitals: nobody tells these apart.
fn cased(random: &mut StdRng, code: &str) -> String {
    match random.random_bool(0.3) {
        true => code.to_uppercase(),
        false => code.to_owned(),
    }
}

fn toggle<T: Ord>(set: &mut BTreeSet<T>, item: T) {
    if !set.remove(&item) {
        set.insert(item);
    }
}
