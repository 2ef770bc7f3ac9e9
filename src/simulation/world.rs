//! A small world: some contacts, exports and configurations that change, a record in memory, Spotler, and people who run it.

use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::fmt::Write as _;
use std::sync::atomic::{AtomicI64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use tokio::time::{Instant, sleep};

use super::faults::{Life, Weather};
use super::law::{Law, Standing, Standings};
use super::spotler::{Call, Line, Spotler};
use crate::apply::{Event, Part};
use crate::config::{self, Config, Lot};
use crate::engine::{
    ApplyOptions, Applying, Beginning, Clock, Engine, Error, Event as Told, Planned, Uncertain,
};
use crate::id::{AutomationName, ContactId, Occurrence, ParticipationId, TriggerCode};
use crate::participation::{Key, Move};
use crate::plan::{Action, Filter};
use crate::record::{CallId, CallKind, Memory, Purpose, Record};
use crate::spotler::Credentials;

/// One contact in the exports.
#[derive(Debug, Clone, Default)]
struct Row {
    name: u32,
    /// Whether it is to be in each of the automations a, b and c.
    is_in: [bool; 3],
    /// Whether it is to stay in b, where that has a `stay`.
    stays: bool,
    /// Which of its orders are there, of the repeating automation d.
    orders: [bool; 2],
    /// Whether it is not in the export, but on the lists.
    is_gone: bool,
    objects: bool,
    has_no_consent: bool,
}

/// What people change.
#[derive(Debug, Default)]
struct Files {
    rows: BTreeMap<String, Row>,
    /// The ids that are other ones of the same people.
    people: BTreeMap<ContactId, ContactId>,
    /// Those of them that the list of merges has; the others are on record.
    listed: BTreeSet<ContactId>,
    variant: usize,
    rules: Rules,
}

/// So many configurations there are, but for the rules.
const VARIANTS: usize = 96;

/// So many sets of rules there are, but for what changes of them.
const SETS: u32 = 100;

/// Rules that a world has, or has not.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash)]
pub struct Rules {
    /// Runs of a end after [`RUNS_FOR`], and who is still in it then is triggered again after [`AGAIN_AFTER`].
    pub ends: bool,
    /// Who is in b stays by another column than the one by which one comes in.
    pub stays: bool,
    /// Who is in c is not in a.
    pub excludes: bool,
    /// A contact gets [`MOST`] triggers in [`SPAN`].
    pub limits: bool,
    /// Of b: the share of all that may come in, in per cent.
    pub lot: Option<u8>,
    /// d is `kind = "service"`.
    pub service: bool,
    /// Two ids may be one person, by a list.
    pub merges: bool,
    /// c-1 is named as another id of c-0.
    pub is_named: bool,
    /// Who is on a list of objections is suppressed.
    pub objects: Option<Reach>,
    /// Who is not on a list of consents is suppressed.
    pub requires: Option<Reach>,
}

/// Where a list holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Reach {
    Everywhere,
    InC,
    OfMarketing,
}

const HOUR: i64 = 60 * 60;
pub const RUNS_FOR: i64 = 20 * HOUR;
pub const AGAIN_AFTER: i64 = 50 * HOUR;
pub const MOST: usize = 3;
pub const SPAN: i64 = 72 * HOUR;

/// An intent is on record for no longer than this when its call is sent.
pub const A_WHILE: SignedDuration = SignedDuration::from_mins(10);

impl Rules {
    /// One of [`SETS`].
    fn of(set: u32) -> Self {
        let mut random = fastrand::Rng::with_seed(set.into());
        let mut is_there = || random.u32(..3) == 0;
        let [ends, stays, excludes, limits] = [(); 4].map(|()| is_there());
        let [has_lot, service, merges, objects, requires] = [(); 5].map(|()| is_there());
        let mut reach = || {
            use Reach::{Everywhere, InC, OfMarketing};
            [Everywhere, InC, OfMarketing][random.usize(..3)]
        };
        Self {
            ends,
            stays,
            excludes,
            limits,
            lot: has_lot.then_some(60),
            service,
            merges,
            is_named: false,
            objects: objects.then(&mut reach),
            requires: requires.then(&mut reach),
        }
    }
}

impl Reach {
    fn holds(self, automation: &str, rules: Rules) -> bool {
        match self {
            Self::Everywhere => true,
            Self::InC => automation == "c",
            Self::OfMarketing => !(rules.service && automation == "d"),
        }
    }

    fn toml(self) -> &'static str {
        match self {
            Self::Everywhere => "",
            Self::InC => "automation = \"c\"",
            Self::OfMarketing => "kind = \"marketing\"",
        }
    }
}

fn contact(id: &str) -> ContactId {
    ContactId::new(id).unwrap()
}

impl Files {
    fn has(&self, bit: usize) -> bool {
        self.variant & (1 << bit) != 0
    }

    fn suppressed(&self) -> &'static [&'static str] {
        match self.has(3) {
            true => &["c-2", "c-3"],
            false => &[],
        }
    }

    /// The id that a person keeps.
    fn kept<'f>(&'f self, id: &'f ContactId) -> &'f ContactId {
        let mut at = id;
        while let Some(to) = self.people.get(at) {
            at = to;
        }
        at
    }

    /// The people, each by the id that is kept, with all their ids: first that one, and then the others.
    fn persons(&self) -> BTreeMap<ContactId, Vec<&str>> {
        let mut persons: BTreeMap<ContactId, Vec<&str>> = BTreeMap::new();
        for id in self.rows.keys() {
            let (id, of) = (id.as_str(), contact(id));
            let kept = self.kept(&of);
            let ids = persons.entry(kept.clone()).or_default();
            match kept.as_str() == id {
                true => ids.insert(0, id),
                false => ids.push(id),
            }
        }
        persons
    }

    /// Says that an id is another one of a person, unless that cannot be.
    fn merge(&mut self, from: &str, to: &str) -> bool {
        let (from, to) = (contact(from), contact(to));
        let may_be = *self.kept(&to) != from && !self.people.contains_key(&from);
        if may_be {
            self.people.insert(from, to);
        }
        may_be
    }

    /// The exports, by name.
    fn exports(&self) -> Vec<(&'static str, String)> {
        let mut csv = "id,name,a,b,c,d,order,stays\n".to_owned();
        // Where an export has none of the ids that people keep, their other ids do not contradict each other.
        for ids in self.persons().values() {
            let there: Vec<&str> = (ids.iter().copied())
                .filter(|id| !self.rows[*id].is_gone)
                .collect();
            let is_kept = there.first() == ids.first();
            let most = if is_kept { there.len() } else { 1 };
            for id in there.into_iter().take(most) {
                let row = &self.rows[id];
                let yes = |is_in: bool| if is_in { "y" } else { "" };
                let [a, b, c] = row.is_in.map(yes);
                let (name, stays) = (row.name, yes(row.stays));
                let _ = writeln!(csv, "{id},Name {name},{a},{b},{c},,,{stays}");
                for order in (0..2).filter(|order| row.orders[*order]) {
                    let _ = writeln!(csv, "{id},Name {name},,,,y,o-{order},");
                }
            }
        }
        let list = |header: &str, line: &dyn Fn(&Row) -> &'static str| {
            let rows = self.rows.iter();
            let rows = rows.map(|(id, row)| format!("{id},{}\n", line(row)));
            format!("{header}\n{}", rows.collect::<String>())
        };
        let mut exports = vec![("crm.csv", csv)];
        if self.rules.merges {
            let pairs = self.listed.iter();
            let pairs = pairs.map(|from| format!("{from},{}\n", self.people[from]));
            let pairs = format!("old,new\n{}", pairs.collect::<String>());
            exports.push(("merges.csv", pairs));
        }
        if self.rules.objects.is_some() {
            let channel = |row: &Row| if row.objects { "email" } else { "phone" };
            exports.push(("objections.csv", list("id,channel", &channel)));
        }
        if self.rules.requires.is_some() {
            let state = |row: &Row| if row.has_no_consent { "asked" } else { "yes" };
            exports.push(("consents.csv", list("id,state", &state)));
        }
        exports
    }

    fn toml(&self) -> String {
        let concurrency = [1, 2, 4][self.variant / 32];
        let rules = self.rules;
        let mut toml = format!(
            "[spotler]\nbase_url = \"https://spotler.example/api\"\nconcurrency = {concurrency}\nrate = \"{}/s\"\n\
             [record]\nid = \"0b6f1c2e-0000-4000-8000-000000000001\"\n\
             [source.crm]\ncsv = \"crm.csv\"\ncontact = \"id\"\n",
            [5, 50, 1000][self.variant / 32]
        );
        let mut line = |text: &str| _ = writeln!(toml, "{text}");
        line("[automation.a]\ntrigger_code = \"code-a\"");
        if self.has(1) {
            line("on_leave = \"keep\"");
        }
        if self.has(2) {
            line("on_change = \"retrigger\"");
        }
        if rules.ends {
            let (runs_for, again_after) = (RUNS_FOR / HOUR, AGAIN_AFTER / HOUR);
            line(&format!(
                "runs_for = \"{runs_for}h\"\nagain_after = \"{again_after}h\""
            ));
        }
        line("fields = { name = \"{{ name }}\" }");
        line("[[enrol]]\nautomation = \"a\"\nsource = \"crm\"\nwhere.a = \"y\"");
        let kind = if rules.service {
            "kind = \"service\""
        } else {
            ""
        };
        let settings = [
            ("b", self.has(0), "participation = \"once-while-running\""),
            ("c", true, "participation = \"once\""),
            ("d", self.has(4), &*format!("repeat_by = \"order\"\n{kind}")),
        ];
        for (name, _, setting) in settings.iter().filter(|(_, is_there, _)| *is_there) {
            line(&format!(
                "[automation.{name}]\ntrigger_code = \"code-{name}\"\n{setting}\n\
                 [[enrol]]\nautomation = \"{name}\"\nsource = \"crm\"\nwhere.{name} = \"y\""
            ));
            if *name == "b" && rules.stays {
                line("stay.stays = \"y\"");
            }
            if let ("b", Some(share)) = (*name, rules.lot) {
                let lot = format!("{{ name = \"test\", from = \"0%\", to = \"{share}%\" }}");
                line(&format!("lot = {lot}"));
            }
        }
        if rules.excludes {
            line("[[exclusive]]\nautomations = [\"c\", \"a\"]");
        }
        if rules.limits {
            let days = SPAN / HOUR / 24;
            line(&format!("[limit]\nper_contact = \"{MOST}/{days}d\""));
        }
        for contact in self.suppressed() {
            line(&format!(
                "[[suppress]]\ncontacts = [{contact:?}]\nreason = \"objected\""
            ));
        }
        if rules.merges {
            line("[source.merges]\ncsv = \"merges.csv\"");
            line("[[merged]]\nsource = \"merges\"\nfrom = \"old\"\nto = \"new\"");
        }
        if rules.is_named {
            line("[[merged]]\nfrom = [\"c-1\"]\nto = \"c-0\"");
        }
        if let Some(reach) = rules.objects {
            line("[source.objections]\ncsv = \"objections.csv\"\ncontact = \"id\"");
            line("[[suppress]]\nsource = \"objections\"\nwhere.channel = \"email\"");
            line(reach.toml());
        }
        if let Some(reach) = rules.requires {
            line("[source.consents]\ncsv = \"consents.csv\"\ncontact = \"id\"");
            line("[[require]]\nsource = \"consents\"\nwhere.state = \"yes\"");
            line(reach.toml());
        }
        toml
    }

    /// Who is declared, or would be if it were in or not suppressed.
    fn standings(&self) -> Standings {
        let mut standings = Standings::new();
        for (person, ids) in self.persons() {
            let Some(row) = ids
                .iter()
                .map(|id| &self.rows[*id])
                .find(|row| !row.is_gone)
            else {
                continue;
            };
            let rules = self.rules;
            let mut rows = ids.iter().map(|id| &self.rows[*id]);
            let objects = rows.clone().any(|row| row.objects);
            let has_no_consent = rows.all(|row| row.has_no_consent);
            let is_named = ids.iter().any(|id| self.suppressed().contains(id));
            let holds = |reach: Option<Reach>, automation: &str| {
                reach.is_some_and(|reach| reach.holds(automation, rules))
            };
            let standing = |automation: &str, comes_in: bool| {
                if is_named || objects && holds(rules.objects, automation) {
                    Standing::Suppressed
                } else if has_no_consent && holds(rules.requires, automation) {
                    Standing::Unlisted
                } else if comes_in {
                    Standing::ComesIn
                } else {
                    Standing::Stays
                }
            };
            let mut declare =
                |automation: &str, occurrence: Option<String>, value: String, comes_in: bool| {
                    let key = Key {
                        contact: person.clone(),
                        automation: AutomationName::new(automation).unwrap(),
                        occurrence: occurrence.map(|of| Occurrence::new(of).unwrap()),
                    };
                    standings.insert(key, (standing(automation, comes_in), value));
                };
            let is_in_c = row.is_in[2] && standing("c", true) == Standing::ComesIn;
            if row.is_in[0] && !(rules.excludes && is_in_c) {
                let name = if self.has(2) {
                    row.name.to_string()
                } else {
                    String::new()
                };
                declare("a", None, name, true);
            }
            let stays = if rules.stays { row.stays } else { row.is_in[1] };
            if stays && self.has(0) {
                let share = (u128::from(Lot::draw("test", person.as_str())) * 100) >> 64;
                let is_drawn = rules.lot.is_none_or(|most| share < u128::from(most));
                declare("b", None, String::new(), row.is_in[1] && is_drawn);
            }
            if row.is_in[2] {
                declare("c", None, String::new(), true);
            }
            for order in (0..2).filter(|order| row.orders[*order] && self.has(4)) {
                declare("d", Some(format!("o-{order}")), String::new(), true);
            }
        }
        standings
    }
}

/// A folder with exports and configurations.
struct Folder {
    place: tempfile::TempDir,
    /// What each export has.
    exports: HashMap<&'static str, String>,
    /// The configurations, each read once.
    configs: HashMap<(usize, Rules), &'static Config>,
}

thread_local! {
    /// The folder of this thread.
    static FOLDER: RefCell<Option<Folder>> = const { RefCell::new(None) };
}

/// Puts the exports in their place, and gives the configuration.
fn write(files: &Files) -> &'static Config {
    FOLDER.with_borrow_mut(|folder| {
        let folder = folder.get_or_insert_with(|| {
            // Its name is drawn as the waits of a world are.
            let drawn = fastrand::get_seed();
            let memory = std::path::Path::new("/dev/shm");
            let place = match memory.is_dir() {
                true => tempfile::tempdir_in(memory),
                false => tempfile::tempdir(),
            };
            fastrand::seed(drawn);
            Folder {
                place: place.unwrap(),
                exports: HashMap::new(),
                configs: HashMap::new(),
            }
        });
        let place = folder.place.path();
        for (name, text) in files.exports() {
            if folder.exports.get(name) == Some(&text) {
                continue;
            }
            let new = place.join("new");
            std::fs::write(&new, &text).unwrap();
            std::fs::rename(new, place.join(name)).unwrap();
            folder.exports.insert(name, text);
        }
        let which = (files.variant, files.rules);
        let count = folder.configs.len();
        *folder.configs.entry(which).or_insert_with(|| {
            let file = place.join(format!("rollcall-{count}.toml"));
            std::fs::write(&file, files.toml()).unwrap();
            Box::leak(Box::new(config::load(&file).unwrap()))
        })
    })
}

pub struct World {
    pub memory: Memory,
    pub is_on_server: bool,
    rules: Rules,
    random: Mutex<fastrand::Rng>,
    law: Mutex<Law>,
    spotler: Mutex<Spotler>,
    files: Mutex<Files>,
    weather: Mutex<Weather>,
    lives: Mutex<Vec<Arc<Life>>>,
    trace: Option<Mutex<Vec<String>>>,
    began: Instant,
    /// How far the clocks of the day are off, in seconds.
    off: AtomicI64,
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl World {
    pub fn new(seed: u64, is_traced: bool) -> Arc<Self> {
        let mut random = fastrand::Rng::with_seed(seed);
        let mut draw = |most| random.u32(..most);
        let weather = Weather {
            run: [0, 500, 900][draw(3) as usize],
            call: [0, 100, 500][draw(3) as usize],
            disk: [0, 0, 30][draw(3) as usize],
        };
        let variant = draw(VARIANTS as u32) as usize;
        let rows = (0..3 + draw(10)).map(|n| (format!("c-{n}"), Row::default()));
        let rows = rows.collect();
        let rules = match draw(3) {
            0 => Rules::default(),
            _ => Rules::of(draw(SETS)),
        };
        let files = Files {
            rows,
            variant,
            rules,
            ..Files::default()
        };
        let is_on_server = random.bool();
        Arc::new(Self {
            memory: match is_on_server {
                true => Memory::on_server(),
                false => Memory::default(),
            },
            is_on_server,
            rules,
            random: Mutex::new(random),
            law: Mutex::new(Law::of(rules)),
            spotler: Mutex::new(Spotler::of(rules)),
            files: Mutex::new(files),
            weather: Mutex::new(weather),
            lives: Mutex::default(),
            trace: is_traced.then(Mutex::default),
            began: Instant::now(),
            off: AtomicI64::new(0),
        })
    }

    pub fn random(&self) -> MutexGuard<'_, fastrand::Rng> {
        lock(&self.random)
    }

    pub fn law(&self) -> MutexGuard<'_, Law> {
        lock(&self.law)
    }

    pub fn spotler(&self) -> MutexGuard<'_, Spotler> {
        lock(&self.spotler)
    }

    pub fn weather(&self) -> Weather {
        *lock(&self.weather)
    }

    pub fn version(&self) -> usize {
        self.law().version
    }

    pub fn tell(&self, what: impl FnOnce() -> String) {
        if let Some(trace) = &self.trace {
            let line = format!("{:>9.3} {}", self.began.elapsed().as_secs_f64(), what());
            lock(trace).push(line);
        }
    }

    pub fn trace(&self) -> Vec<String> {
        self.trace
            .as_ref()
            .map(|trace| lock(trace).clone())
            .unwrap_or_default()
    }

    /// Whether no other run is alive.
    pub fn is_alone(&self, name: &str) -> bool {
        lock(&self.lives)
            .iter()
            .all(|of| of.name == name || of.is_over())
    }

    pub fn is_alive(&self, name: &str) -> bool {
        lock(&self.lives)
            .iter()
            .any(|of| of.name == name && !of.is_over())
    }

    /// A run has hold of its world: a world that has hold of its runs would never be given back.
    pub fn forget_runs(&self) {
        lock(&self.lives).clear();
    }

    pub fn run_ended(&self) {
        let mut law = self.law();
        law.each_doubt_is_named(&self.memory);
        law.note_nameless(&self.memory);
    }

    fn chance(&self, parts: u32) -> bool {
        self.random().u32(..100) < parts
    }

    /// A call leaves a run. What it is for, where it may leave.
    pub fn sent(
        &self,
        life: &Life,
        kind: CallKind,
        code: &TriggerCode,
        contact: &ContactId,
        participation: Option<&ParticipationId>,
    ) -> Option<Call> {
        let what = format!(
            "the {} of {contact} at {code} by {}",
            kind.as_str(),
            life.name
        );
        self.tell(|| format!("sent: {what}"));
        let mut law = self.law();
        if !self.memory.is_held_by(&life.name) {
            let holder = self.memory.holder();
            law.broke(format!(
                "{what} was sent, and the lock is held by {holder:?}"
            ));
            return None;
        }
        let announced = |is_of: &dyn Fn(CallId, &ContactId) -> bool| {
            let name = &life.name;
            self.memory
                .announced(name, kind, is_of, code, participation)
        };
        // A stop may go to another id of the person, and several to several ids at once.
        let is_its_own = |id: CallId, of: &ContactId| {
            of == contact && (kind == CallKind::Trigger || !law.is_announced(&life.name, id))
        };
        let is_of_person = |id: CallId, of: &ContactId| {
            let is_new = !law.is_announced(&life.name, id);
            kind == CallKind::Stop && is_new && law.are_one(of, contact)
        };
        let own = announced(&is_its_own);
        let other = announced(&|id, of| {
            own.as_ref().is_none_or(|(own, _)| *own != id) && is_of_person(id, of)
        });
        // Which of two it was is not told; the other one is sent later.
        let exchanged = || announced(&|id, _| law.may_be_other(&life.name, id));
        let is_either = own.is_some() && other.is_some();
        let (found, is_new) = match own.or(other) {
            None => (exchanged(), false),
            found => (found, true),
        };
        let Some((id, key)) = found else {
            law.broke(format!("{what} was sent without a durable intent"));
            return None;
        };
        let call = (life.name.clone(), id);
        if self.memory.is_cut_off(&life.name) {
            law.sent_when_cut_off(&key);
        } else if self.memory.is_doubted() {
            law.broke(format!("{what} was sent by a record that nobody accepted"));
        }
        match is_new {
            true => law.announced(call, is_either, &what),
            false => law.announced_again(&call),
        }
        let (stops_before, triggers_before) = {
            let spotler = self.spotler();
            (spotler.stops.len(), spotler.started.len())
        };
        Some(Call {
            kind,
            code: code.clone(),
            contact: contact.clone(),
            key,
            participation: participation.cloned(),
            versions: (life.version, law.version),
            sent_at: self.now(),
            stops_before,
            triggers_before,
        })
    }

    /// What time of the day it is.
    pub fn now(&self) -> Timestamp {
        let off = self.off.load(Ordering::SeqCst);
        let passed = SignedDuration::try_from(self.began.elapsed()).unwrap();
        Timestamp::from_second(1_800_000_000 + off).unwrap() + passed
    }

    fn clock(self: &Arc<Self>) -> Clock {
        let (day, boot) = (self.clone(), self.clone());
        Clock {
            pinned: None,
            real: Arc::new(move || day.now()),
            uptime: Arc::new(move || Duration::from_secs(1000) + boot.began.elapsed()),
        }
    }

    fn born(self: &Arc<Self>) -> Arc<Life> {
        let number = lock(&self.lives).len();
        let life = Life::new(self, number, self.weather());
        lock(&self.lives).push(life.clone());
        life
    }

    fn engine(self: &Arc<Self>, life: &Arc<Life>) -> Engine {
        let config = write(&lock(&self.files));
        let record = Record::in_memory(self.memory.with(life.clone())).by(self.clock());
        let line = Arc::new(Line {
            life: life.clone(),
            may_send: None,
        });
        let credentials = || Ok(Credentials::new("key", "hush"));
        let world = self.clone();
        let tell = move |event: Told<'_>| {
            if let Told::LeftOpen(calls) = event {
                world.tell(|| format!("left open: {calls:?}"));
                world.law().names(calls);
            }
        };
        Engine::new(config, self.clock(), credentials, tell).with(record, line)
    }

    /// One apply, as the command line makes it.
    async fn apply(self: &Arc<Self>) {
        let timeout = [0, 30, 200, 300][self.random().usize(..4)];
        self.apply_within(timeout).await;
    }

    async fn apply_within(self: &Arc<Self>, timeout: u64) {
        let life = self.born();
        let timeout = Duration::from_secs(timeout);
        let allow_large = timeout.as_secs() > 100 || self.chance(80);
        let options = ApplyOptions {
            may_begin: true,
            allow_large,
            lock_timeout: timeout,
            retry_for: Duration::from_secs(60),
        };
        let engine = self.engine(&life);
        let run = async {
            match self.applied(&engine, &life, options).await {
                Ok(end) => end,
                Err(error @ Error::Problems(_)) => {
                    self.law().broke(error.to_string());
                    error.to_string()
                }
                Err(error) => error.to_string(),
            }
        };
        // On the heap: it is large, and moved about.
        life.clone().live(Box::pin(run)).await;
    }

    async fn applied(
        &self,
        engine: &Engine,
        life: &Life,
        options: ApplyOptions,
    ) -> Result<String, Error> {
        engine.recover(options.lock_timeout).await?;
        let planned = engine.plan(engine.scope(Filter::default(), &[])).await?;
        let beginning = engine.beginning(&planned.record, false, "").await?;
        let Some(part) = part(&planned, beginning, options.allow_large) else {
            return Ok("nothing to do".to_owned());
        };
        let mut applying = engine.begin(planned, None, options.clone()).await?;
        let done = self.locked(&mut applying, part, life, options.allow_large);
        let done = done.await;
        applying.end().await?;
        done
    }

    async fn locked(
        &self,
        applying: &mut Applying<'_>,
        mut part: Part,
        life: &Life,
        allow_large: bool,
    ) -> Result<String, Error> {
        if applying.plan_again().await? {
            let again = self::part(applying.planned(), Beginning::IsThere, allow_large);
            let Some(again) = again else {
                return Ok("nothing to do any more".to_owned());
            };
            part = again;
        }
        applying.start(part).await?;
        let planned = applying.planned();
        let tell = |event: &Event| {
            self.tell(|| format!("{}: {event:?}", life.name));
            if let Event::Settled { action, settled } = event
                && self.memory.holder().as_ref() == Some(&life.name)
                // A replica may lack it.
                && !self.memory.is_doubted()
            {
                let key = key(planned, *action);
                // What is stopped to be triggered again may have been by the time that it is reported.
                let mut behind = action + 1..planned.plan.actions.len();
                if behind.any(|other| self::key(planned, other) == key) {
                    return;
                }
                self.law().told(&key, settled.outcome, &self.memory);
            }
        };
        let run = applying.send(part, life.interrupt.clone(), tell).await?;
        Ok(format!("{:?}", run.end))
    }

    /// A person settles the doubts, mostly by what is so at Spotler.
    async fn resolve(self: &Arc<Self>, errs: bool) {
        let life = self.born();
        let engine = self.engine(&life);
        let run = async {
            match self.resolved(&engine, errs).await {
                Ok(()) => "resolved".to_owned(),
                Err(error) => error.to_string(),
            }
        };
        life.clone().live(Box::pin(run)).await;
    }

    async fn resolved(&self, engine: &Engine, errs: bool) -> Result<(), Error> {
        let which = Uncertain::default();
        let mut shown = engine.uncertain(&which).await?;
        // What may still be carried out is left until it was.
        shown.retain(|of| !self.spotler().late.contains(&self.triggered(&of.key)));
        if shown.is_empty() {
            return Ok(());
        }
        let timeout = Duration::from_secs(300);
        let writing = engine
            .write("resolve", timeout, Purpose::Act, false)
            .await?;
        let mut done = Ok(());
        for of in &shown {
            let is_running = self.spotler().running(&self.triggered(&of.key)) > 0;
            let as_active = is_running ^ (errs && self.chance(20));
            let transition = match as_active {
                true => Move::ResolveActive,
                false => Move::ResolveNotSent,
            };
            self.tell(|| format!("resolved: {} {transition:?}", of.key));
            self.law().resolved(&of.key, as_active, is_running);
            let one = std::slice::from_ref(of);
            done = engine
                .resolve(&which, one, transition, &writing)
                .await
                .map(drop);
            if done.is_err() {
                break;
            }
        }
        writing.end().await?;
        done
    }

    /// What is on record, by the id that was triggered.
    fn triggered(&self, key: &Key) -> Key {
        let standing = self.memory.standing(key);
        Key {
            contact: standing.map_or_else(|| key.contact.clone(), |of| of.triggered_as),
            ..key.clone()
        }
    }

    /// Two ids turn out to be one person's. What is on record of that may be taken out of the list, and what is not stays in it.
    fn merge(&self, files: &mut Files, is_between: bool) {
        let mut random = self.random();
        let count = files.rows.len();
        if random.u32(..3) == 0 {
            let mut id = || format!("c-{}", random.usize(..count));
            let (from, to) = (id(), id());
            if files.merge(&from, &to) {
                files.listed.insert(contact(&from));
            }
        }
        if !is_between {
            return;
        }
        let on_record = self.memory.merged();
        let is_named = random.u32(..6) == 0;
        if is_named && files.rules.is_named && on_record.contains(&contact("c-1")) {
            files.rules.is_named = false;
        } else if is_named && !files.rules.is_named && files.merge("c-1", "c-0") {
            files.rules.is_named = true;
        }
        for from in files.people.keys() {
            let is_elsewhere = files.rules.is_named && from.as_str() == "c-1";
            let may_go = on_record.contains(from) || is_elsewhere;
            if !may_go || random.bool() && files.listed.contains(from) {
                files.listed.insert(from.clone());
            } else {
                files.listed.remove(from);
            }
        }
        drop(random);
        let mut spotler = self.spotler();
        for from in files.people.keys() {
            if self.chance(20) && !spotler.merged.contains(from) {
                spotler.merge(from, files.kept(from));
            }
        }
    }

    /// People change the exports and what Spotler has, and between runs the configuration.
    fn change(&self, is_between: bool) {
        let mut files = lock(&self.files);
        let mut random = self.random();
        let rules = files.rules;
        let lists = [
            rules.merges,
            rules.objects.is_some(),
            rules.requires.is_some(),
        ];
        let of_lists = (0..3).filter(|list| lists[*list]).map(|list| 7 + list);
        let places: Vec<usize> = (0..7).chain(of_lists).collect();
        for row in files.rows.values_mut() {
            if random.u32(..3) == 0 || rules.ends && random.bool() {
                let place = places[random.usize(..places.len())];
                match place {
                    0..3 => row.is_in[place] ^= true,
                    3..5 => row.orders[place - 3] ^= true,
                    5 => row.stays ^= true,
                    6 => row.name += 1,
                    7 => row.is_gone ^= true,
                    8 => row.objects ^= true,
                    _ => row.has_no_consent ^= true,
                }
            }
        }
        if is_between && random.u32(..4) == 0 {
            let bit = random.usize(..5);
            files.variant = (files.variant / 32 * 32) | ((files.variant % 32) ^ (1 << bit));
        }
        if is_between && self.rules.lot.is_some() && random.u32(..4) == 0 {
            files.rules.lot = Some(random.u8(1..5) * 20);
        }
        // What is reckoned in spans of days is reckoned by one clock.
        if random.u32(..4) == 0 && !self.rules.ends && !self.rules.limits {
            let jump = random.i64(-100_000..100_000);
            self.off.fetch_add(jump, Ordering::SeqCst);
        }
        drop(random);
        if self.rules.merges {
            self.merge(&mut files, is_between);
        }
        let (mut spotler, mut random) = (self.spotler(), self.random());
        spotler.unknown.clear();
        spotler.inactive.clear();
        if random.u32(..4) == 0 {
            // Of whom Spotler does not know, nothing runs.
            let contact = format!("c-{}", random.u32(..12));
            let mut started = spotler.started.iter();
            if started.all(|of| of.contact.as_str() != contact) {
                spotler.unknown.insert(contact);
            }
        }
        if random.u32(..8) == 0 {
            spotler.inactive.insert("code-a".to_owned());
        }
        write(&files);
        self.law().declare(files.standings(), &files.people);
        self.tell(|| format!("changed: {files:?}"));
    }

    /// A person accepts a record of a server that went over to a replica.
    async fn accept(self: &Arc<Self>) {
        let life = self.born();
        let engine = self.engine(&life);
        let run = async {
            let checked = match engine.check().await {
                Ok(checked) => checked,
                Err(error) => return error.to_string(),
            };
            let purpose = Purpose::Accept(checked.doubts().to_vec());
            let timeout = Duration::from_secs(300);
            match engine.write("accept", timeout, purpose, false).await {
                Ok(writing) => match writing.end().await {
                    Ok(()) => "accepted".to_owned(),
                    Err(error) => error.to_string(),
                },
                Err(error) => error.to_string(),
            }
        };
        life.clone().live(Box::pin(run)).await;
    }

    /// The server goes over to a replica, now and then one that lacks the last commits.
    async fn go_over(&self, later: Duration) {
        sleep(later).await;
        let lacks = self.random().usize(..4);
        if let Some(keys) = self.memory.fail_over(lacks) {
            self.tell(|| format!("went over to a replica: {keys:?}"));
            self.law().lost(keys);
        }
    }

    /// One turn: something changes, one run or several at once, and a person who looks after the doubts.
    async fn turn(self: &Arc<Self>) {
        self.change(true);
        let copy = self.memory.copy();
        let later = || Duration::from_millis(self.random().u64(..120_000));
        let another = async |later: Duration| {
            sleep(later).await;
            if self.chance(30) {
                self.change(false);
            }
            self.apply().await;
        };
        let goes_over = self.is_on_server && self.chance(25);
        let over = async |later: Duration| {
            if goes_over {
                self.go_over(later).await;
            }
        };
        match self.chance(50) {
            true if self.is_on_server && self.chance(50) => {
                tokio::join!(
                    self.apply(),
                    another(later()),
                    another(later()),
                    over(later())
                );
            }
            true => {
                tokio::join!(self.apply(), another(later()), over(later()));
            }
            false => {
                tokio::join!(self.apply(), over(later()));
            }
        }
        if self.memory.is_doubted() {
            // Whatever runs is refused until then.
            self.apply().await;
            while self.memory.is_doubted() {
                self.accept().await;
            }
        }
        self.spotler().end(self.now() + A_WHILE);
        self.law().nobody_is_lost(&self.spotler(), &self.memory);
        if self.chance(10) {
            self.meet_an_old_record(&copy).await;
        }
        if self.chance(30) {
            self.resolve(true).await;
        }
        // Now and then so long that runs end.
        let is_long = self.rules.ends && self.chance(50);
        let most = if is_long { 72_000 } else { 7200 };
        let pause = self.random().u64(..most);
        sleep(Duration::from_secs(pause)).await;
    }

    /// An older copy is in the place of the record: a run on it does nothing, until the right one is back.
    async fn meet_an_old_record(self: &Arc<Self>, copy: &Memory) {
        let newest = self.memory.copy();
        // One that was killed before it noted how far it was has not sent anything since.
        if copy.serial() >= newest.seen() {
            return;
        }
        self.memory.put_back(copy);
        let sent = self.spotler().started.len();
        // What is late may be carried out meanwhile.
        let is_late = !self.spotler().late.is_empty();
        self.apply().await;
        self.memory.put_back(&newest);
        if self.spotler().started.len() > sent && !is_late {
            self.law()
                .broke("a run went on with an old record".to_owned());
        }
    }

    /// A few turns, and then all is well again.
    pub async fn live(self: &Arc<Self>) -> Option<String> {
        let turns = 2 + self.random().u32(..4);
        for _ in 0..turns {
            self.turn().await;
            if self.law().broken.is_some() {
                return self.law().broken.clone();
            }
        }
        *lock(&self.weather) = Weather {
            run: 0,
            call: 0,
            disk: 0,
        };
        self.spotler().unknown.clear();
        self.spotler().inactive.clear();
        self.off.store(0, Ordering::SeqCst);
        {
            // What a replica does not know of is said once more.
            let (mut files, on_record) = (lock(&self.files), self.memory.merged());
            let all = files.people.keys().cloned();
            let lost: Vec<_> = all.filter(|from| !on_record.contains(from)).collect();
            files.listed.extend(lost);
            write(&files);
        }
        // Longer than any wait, so that whatever is late has come.
        for _ in 0..3 {
            sleep(Duration::from_secs(30 * 60 * 60)).await;
            self.apply_within(200).await;
            self.resolve(false).await;
        }
        let (mut spotler, mut law) = (self.spotler(), self.law());
        spotler.end(self.now() + A_WHILE);
        law.nobody_is_lost(&spotler, &self.memory);
        law.all_is_as_declared(&spotler, &self.memory);
        law.broken.clone()
    }
}

/// What of a plan is applied by somebody who says yes.
fn part(planned: &Planned, beginning: Beginning, allow_large: bool) -> Option<Part> {
    let guard = &planned.guard;
    if guard.refuses() && !allow_large {
        let any = planned.plan.stops_of_suppressed() > 0 && !guard.refuses_stops_of_suppressed();
        return any.then_some(Part::StopsOfSuppressed);
    }
    let is_begun = beginning != Beginning::IsThere;
    (is_begun || !planned.changes_nothing(allow_large)).then_some(Part::Whole)
}

/// What an action of a plan is for.
fn key(planned: &Planned, action: usize) -> Key {
    match &planned.plan.actions[action] {
        Action::Stop(stop) => stop.participation.key.clone(),
        Action::Trigger(trigger) => {
            let of = planned.roster.get(trigger.enrolment as usize);
            let config = planned.view().config;
            Key {
                contact: ContactId::new(of.contact).unwrap(),
                automation: config.automations[of.automation].name.clone(),
                occurrence: of.occurrence.map(|of| Occurrence::new(of).unwrap()),
            }
        }
    }
}
