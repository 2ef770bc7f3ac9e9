//! Reading: a consistent snapshot for a plan, and lists for people.

use std::collections::BTreeMap;
use std::iter::Peekable;
use std::path::{Path, PathBuf};
use std::sync::{Arc, mpsc};

use jiff::Timestamp;

use super::call::CallId;
use super::error::{Holder, LockError, RecordError, corrupt};
use super::guarded::{AppliedSource, AppliedWith};
use super::overview::Overview;
use super::participation::{Participation, State};
use super::recovery::{OpenCalls, Overlaid, open_detail};
#[cfg(test)]
use super::store::Memory;
use super::store::{self, Page, Store, View};
use crate::clock::Clock;
use crate::id::{AutomationName, ContactId, ParticipationId, RecordId};
use crate::location::Location;
use crate::threads;

/// `[[moved]]` blocks: from and to.
pub type Moved = Vec<(AutomationName, AutomationName)>;

/// So many pages wait for a plan at the most, while the roster is still being made: some 16 million participations. Where
/// the record had to wait for a roster of millions, one of two processors would be idle first, and the other one later.
const PAGES_AHEAD: usize = 16 << 10;

/// So many contacts are looked up at once.
const ASKED_AT_ONCE: usize = 10_000;

/// So many pages of calls wait to be shown at the most.
const CALLS_AHEAD: usize = 4;

/// The record, to read. A file that does not exist is an empty record and is not made.
#[derive(Debug, Clone)]
pub struct Record {
    pub(super) store: Arc<dyn Store>,
    pub(super) clock: Clock,
}

/// The record as it was at one moment, for a plan.
pub struct Snapshot {
    /// Grows with every change of a participation.
    pub serial: u64,
    /// Whether there is no record at all yet.
    pub is_new: bool,
    /// From when on the guard counts; `None` is from a day before now.
    pub counted_from: Option<Timestamp>,
    /// What each automation was last applied with.
    pub applied: BTreeMap<AutomationName, AppliedWith>,
    /// The `[[moved]]` blocks that were last applied.
    pub moved: Moved,
    /// The ids whose participations are another id's now.
    pub merged: Vec<(ContactId, ContactId)>,
    /// The participations of the contacts that were asked for, sorted by contact.
    pub asked: Vec<Participation>,
    /// All participations, sorted by contact (bytewise).
    pub participations: Participations,
}

impl Snapshot {
    fn of_nothing() -> Self {
        Self {
            serial: 0,
            is_new: true,
            counted_from: None,
            applied: BTreeMap::new(),
            moved: Vec::new(),
            merged: Vec::new(),
            asked: Vec::new(),
            participations: Participations::none(),
        }
    }
}

/// What part of the record is wanted.
#[derive(Debug, Clone, Default)]
pub struct Selection {
    /// Only this contact.
    pub contact: Option<ContactId>,
    /// Only this automation.
    pub automation: Option<AutomationName>,
    /// Only this state.
    pub state: Option<State>,
    /// Only what changed since.
    pub since: Option<Timestamp>,
}

impl Selection {
    fn has(&self, listed: &Listed) -> bool {
        let of = &listed.participation;
        self.since.is_none_or(|since| since <= listed.changed_at)
            && self.state.is_none_or(|state| state == of.state)
            && (self.contact.as_ref()).is_none_or(|contact| *contact == of.key.contact)
            && (self.automation.as_ref()).is_none_or(|name| *name == of.key.automation)
    }
}

/// A participation with all that is on record of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Listed {
    /// As a plan sees it.
    pub participation: Participation,
    /// When its state last changed.
    pub changed_at: Timestamp,
    /// The ids that Spotler gave.
    pub ids: Vec<ParticipationId>,
}

/// A call on record.
#[derive(Debug, Clone)]
pub struct Call {
    /// When it was sent.
    pub sent_at: Timestamp,
    /// `trigger` or `stop`.
    pub kind: String,
    /// The automation.
    pub automation: String,
    /// The contact.
    pub contact: String,
    /// The occurrence; `None` where it stops all.
    pub occurrence: Option<String>,
    /// The one participation that it stops, where it is for one.
    pub participation: Option<String>,
    /// What came of it; `None` while it is under way.
    pub outcome: Option<String>,
    /// The HTTP status, if there was an answer.
    pub http_status: Option<i64>,
    /// Why, in the words of the wire.
    pub detail: Option<String>,
    /// What each published automation answered, as a JSON array.
    pub entries: Option<String>,
    /// The command that made it.
    pub command: String,
    /// The digest of the configuration by which it was made.
    pub config_digest: Option<String>,
    /// The Git revision of that configuration.
    pub git_revision: Option<String>,
}

impl Call {
    /// What came of it, in the words of states. While it is under way, nobody knows.
    pub fn outcome_word(&self) -> &str {
        match (&self.outcome, self.kind.as_str()) {
            (Some(outcome), _) => outcome,
            (None, "stop") => State::StopUncertain.as_str(),
            (None, _) => State::Uncertain.as_str(),
        }
    }
}

/// Where a record stands, for a saved plan.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Standing {
    /// What tells this record from all others; `None` where there is none yet.
    pub identity: Option<RecordId>,
    /// Grows with every change of a participation, and with every saved plan that is applied.
    pub serial: u64,
    /// When the plan was applied, if it was.
    pub applied_at: Option<Timestamp>,
}

impl Record {
    /// A record by its file, or by a symbolic link to it. Nothing is opened yet.
    pub fn at(path: &Path) -> Self {
        Self::of(&Location::File(path.to_owned()))
    }

    /// A record by where it lies. Nothing is opened yet.
    pub fn of(location: &Location) -> Self {
        Self {
            store: store::at(location),
            clock: Clock::system(),
        }
    }

    /// A new record that ends with the process. All clones of it are the same record.
    pub fn passing() -> Self {
        Self {
            store: Arc::new(store::Passing::default()),
            clock: Clock::system(),
        }
    }

    /// A record in memory. All clones of it are the same record.
    #[cfg(test)]
    pub(crate) fn in_memory(memory: Memory) -> Self {
        Self {
            store: Arc::new(memory),
            clock: Clock::system(),
        }
    }

    /// The same, by another clock.
    pub fn by(self, clock: Clock) -> Self {
        Self { clock, ..self }
    }

    /// Its place, for messages.
    pub fn path(&self) -> &Path {
        self.store.path()
    }

    /// The record as it is now. It stays so for who reads it, whatever is written meanwhile.
    ///
    /// # Errors
    /// Why it cannot be opened or read.
    pub async fn snapshot(&self) -> Result<Snapshot, RecordError> {
        self.snapshot_with(&[]).await
    }

    /// The same, and at hand what is on record of some contacts.
    ///
    /// # Errors
    /// Why it cannot be opened or read.
    pub async fn snapshot_with(&self, contacts: &[ContactId]) -> Result<Snapshot, RecordError> {
        match self.store.read().await? {
            Some(view) => self.snapshot_of(view, contacts, false).await,
            None => Ok(Snapshot::of_nothing()),
        }
    }

    /// The record as it is now, and every call that was ever made, the oldest first. The participations are
    /// [whole](Participations::listed).
    ///
    /// # Errors
    /// Why it cannot be opened or read.
    pub async fn snapshot_and_calls(
        &self,
        mut each: impl FnMut(Call),
    ) -> Result<Snapshot, RecordError> {
        let Some(mut view) = self.store.read().await? else {
            return Ok(Snapshot::of_nothing());
        };
        let mut behind = CallId(0);
        loop {
            let calls = view.calls(None, behind).await?;
            let Some((last, _)) = calls.last() else {
                break;
            };
            behind = *last;
            calls.into_iter().for_each(|(_, call)| each(call));
        }
        self.snapshot_of(view, &[], true).await
    }

    async fn snapshot_of(
        &self,
        mut view: Box<dyn View>,
        contacts: &[ContactId],
        is_whole: bool,
    ) -> Result<Snapshot, RecordError> {
        let serial = view.about().await?.serial;
        let standing = view.standing().await?;
        let mut asked = Vec::new();
        let mut open = open_calls(view.as_mut(), &self.clock).await?;
        for contacts in contacts.chunks(ASKED_AT_ONCE) {
            let page = view.of_contacts(contacts).await?;
            for listed in open.of_contacts(contacts).over(page) {
                asked.push(listed?.participation);
            }
        }
        asked.sort_by(|a, b| a.key.cmp(&b.key));
        Ok(Snapshot {
            asked,
            serial,
            is_new: false,
            counted_from: standing.counted_from,
            applied: standing.with,
            moved: standing.moved,
            merged: standing.merged,
            participations: self.participations(view, is_whole).await?,
        })
    }

    /// Reads all participations on a thread of its own, ahead of who wants them.
    async fn participations(
        &self,
        mut view: Box<dyn View>,
        is_whole: bool,
    ) -> Result<Participations, RecordError> {
        let open = open_calls(view.as_mut(), &self.clock).await?;
        let pages = Ahead::of(self.path(), PAGES_AHEAD, async move || {
            view.next_page(is_whole).await
        });
        Ok(Participations::over(pages.await?, open))
    }

    /// The `[[moved]]` blocks that were last applied.
    ///
    /// # Errors
    /// Why the record cannot be opened or read.
    pub async fn moved(&self) -> Result<Moved, RecordError> {
        self.ask(async |view| Ok(view.standing().await?.moved))
            .await
    }

    /// The ids whose participations are another id's now, and that id.
    ///
    /// # Errors
    /// Why the record cannot be opened or read.
    pub async fn merged(&self) -> Result<Vec<(ContactId, ContactId)>, RecordError> {
        self.ask(async |view| Ok(view.standing().await?.merged))
            .await
    }

    /// Asks something of the record as it is now; what is not there yet has the answer of nothing.
    async fn ask<T: Default>(
        &self,
        question: impl AsyncFnOnce(&mut dyn View) -> Result<T, RecordError>,
    ) -> Result<T, RecordError> {
        match self.store.read().await? {
            Some(mut view) => question(view.as_mut()).await,
            None => Ok(T::default()),
        }
    }

    /// The selected participations as they are now, sorted by contact, automation and occurrence.
    ///
    /// # Errors
    /// Why the record cannot be read.
    pub async fn list(&self, selection: Selection) -> Result<Vec<Listed>, RecordError> {
        self.listing(selection).await?.collect()
    }

    /// The selected participations as they are now, of which there may be millions: one by one, for a thread that may wait.
    ///
    /// # Errors
    /// Why the record cannot be opened.
    pub async fn listing(&self, selection: Selection) -> Result<Listing, RecordError> {
        let rows = match (self.store.read().await?, &selection.contact) {
            (None, _) => Participations::none(),
            (Some(view), None) => self.participations(view, true).await?,
            (Some(mut view), Some(contact)) => {
                let open = open_calls(view.as_mut(), &self.clock).await?;
                let mut pages = Vec::new();
                for id in same_person(view.as_mut(), contact).await? {
                    pages.push(view.of_contacts(&[id]).await?);
                }
                let page: Page = Box::new(pages.into_iter().flatten());
                Participations::over(Ahead::one(page), open)
            }
        };
        // A contact may be on record under another id, too.
        let selection = Selection {
            contact: None,
            ..selection
        };
        Ok(Listing {
            rows: Rows(rows).peekable(),
            selection,
            group: Vec::new().into_iter(),
        })
    }

    /// Every call that was made for a contact, or for all, the oldest first: one by one, for a thread that may wait.
    ///
    /// # Errors
    /// Why the record cannot be opened.
    pub async fn calls(&self, contact: Option<&ContactId>) -> Result<History, RecordError> {
        let Some(mut view) = self.store.read().await? else {
            return Ok(History::default());
        };
        let contacts = match contact {
            Some(contact) => Some(same_person(view.as_mut(), contact).await?),
            None => None,
        };
        let clock = self.clock.clone();
        let mut behind = CallId(0);
        let pages = Ahead::of(self.path(), CALLS_AHEAD, async move || {
            let mut calls = view.calls(contacts.as_deref(), behind).await?;
            let Some((last, _)) = calls.last() else {
                return Ok(None);
            };
            behind = *last;
            for (_, call) in &mut calls {
                if call.outcome.is_none() {
                    call.detail = Some(open_detail(view.holder().await?.as_ref(), &clock));
                }
            }
            Ok(Some(calls))
        });
        Ok(History {
            pages: Some(pages.await?),
            page: Vec::new().into_iter(),
        })
    }

    /// All ids that the record has of one person, by any of them; sorted.
    ///
    /// # Errors
    /// Why the record cannot be read.
    pub async fn same_person(&self, contact: &ContactId) -> Result<Vec<ContactId>, RecordError> {
        let mut ids = self
            .ask(async |view| same_person(view, contact).await)
            .await?;
        if ids.is_empty() {
            ids.push(contact.clone());
        }
        Ok(ids)
    }

    /// Whether there is nothing on record yet, or no record at all.
    ///
    /// # Errors
    /// Why the record cannot be read.
    pub async fn is_blank(&self) -> Result<bool, RecordError> {
        let has_any = self.ask(async |view| {
            Ok(view.last_call().await? > CallId(0) || !view.states().await?.is_empty())
        });
        Ok(!has_any.await?)
    }

    /// Whether a call is under way, or was left so by a run that is gone.
    ///
    /// # Errors
    /// Why the record cannot be read.
    pub async fn has_open_calls(&self) -> Result<bool, RecordError> {
        self.ask(async |view| Ok(!view.open_calls().await?.is_empty()))
            .await
    }

    /// Who holds the lock, if anybody.
    ///
    /// # Errors
    /// Why the record cannot be read.
    pub async fn holder(&self) -> Result<Option<Holder>, RecordError> {
        self.ask(async |view| view.holder().await).await
    }

    /// Takes the lock away from a holder that is gone without a trace, or that hangs. From then on that one writes nothing.
    ///
    /// # Errors
    /// That somebody else holds it, or what is wrong with the record.
    pub async fn unlock(&self, holder: &Holder) -> Result<(), LockError> {
        self.store.unlock(holder).await
    }

    /// How many triggers of each automation were sent between two times, and carried out or in doubt.
    ///
    /// # Errors
    /// Why the record cannot be read.
    pub async fn sent(
        &self,
        from: Timestamp,
        to: Timestamp,
    ) -> Result<BTreeMap<AutomationName, u64>, RecordError> {
        self.ask(async |view| view.sent(from, to).await).await
    }

    /// The triggers of some contacts since a time that were carried out or are in doubt: whose, of which automation, and when.
    ///
    /// # Errors
    /// Why the record cannot be read.
    pub async fn triggers(
        &self,
        contacts: &[ContactId],
        since: Timestamp,
    ) -> Result<Vec<(String, AutomationName, Timestamp)>, RecordError> {
        self.ask(async |view| {
            let mut triggers = Vec::new();
            for contacts in contacts.chunks(ASKED_AT_ONCE) {
                triggers.extend(view.triggers(contacts, since).await?);
            }
            Ok(triggers)
        })
        .await
    }

    /// How many participations there are, by automation and state.
    ///
    /// # Errors
    /// Why the record cannot be read.
    pub async fn states(&self) -> Result<BTreeMap<(AutomationName, State), u64>, RecordError> {
        self.ask(async |view| view.states().await).await
    }

    /// The sources as they were when plans made from them were last applied, by name.
    ///
    /// # Errors
    /// Why the record cannot be read.
    pub async fn applied_sources(&self) -> Result<BTreeMap<String, AppliedSource>, RecordError> {
        self.ask(async |view| view.sources().await).await
    }

    /// Where the record stands for the saved plan of this id.
    ///
    /// # Errors
    /// Why the record cannot be read.
    pub async fn standing(&self, plan: &str) -> Result<Standing, RecordError> {
        let standing = self.ask(async |view| {
            let about = view.about().await?;
            Ok(Some(Standing {
                identity: Some(about.id),
                serial: about.serial,
                applied_at: view.applied_at(plan).await?,
            }))
        });
        Ok(standing.await?.unwrap_or(Standing {
            identity: None,
            serial: 0,
            applied_at: None,
        }))
    }

    /// Sums up what is on record from a time on to another one.
    ///
    /// # Errors
    /// Why the record cannot be read.
    pub async fn overview(&self, from: Timestamp, to: Timestamp) -> Result<Overview, RecordError> {
        self.ask(async |view| view.overview(from, to).await).await
    }
}

/// All ids that the record has of one person, by any of them; sorted.
async fn same_person(
    view: &mut dyn View,
    contact: &ContactId,
) -> Result<Vec<ContactId>, RecordError> {
    let merged = view.standing().await?.merged;
    let kept = merged.iter().find(|(from, _)| from == contact);
    let kept = kept.map_or(contact, |(_, to)| to);
    let others = merged.iter().filter(|(_, to)| to == kept);
    let mut ids: Vec<ContactId> = others.map(|(from, _)| from.clone()).collect();
    ids.push(kept.clone());
    ids.sort();
    Ok(ids)
}

pub(super) async fn open_calls(
    view: &mut dyn View,
    clock: &Clock,
) -> Result<OpenCalls, RecordError> {
    let calls = view.open_calls().await?;
    let holder = match calls.is_empty() {
        true => None,
        false => view.holder().await?,
    };
    Ok(OpenCalls::new(calls, holder.as_ref(), clock))
}

/// All participations of a snapshot, for threads that may wait: one by one, or part by part.
pub struct Participations {
    pages: Ahead<Page>,
    /// The page that comes next, where it was looked at, and the contact that it begins with.
    next: Option<(ContactId, Peekable<Page>)>,
    /// The open calls of contacts that come.
    open: OpenCalls,
    /// The part under way, where they are asked for one by one.
    part: Option<Part>,
}

/// The participations of some contacts: all that these have.
pub struct Part {
    path: PathBuf,
    rows: Overlaid<Peekable<Page>>,
    /// The contact that the next part begins with.
    to: Option<ContactId>,
}

impl Participations {
    fn none() -> Self {
        Self::of(Vec::new())
    }

    /// These, which are sorted by contact.
    pub fn of(listed: Vec<Listed>) -> Self {
        let page: Page = Box::new(listed.into_iter().map(Ok));
        Self::over(Ahead::one(page), OpenCalls::default())
    }

    fn over(pages: Ahead<Page>, open: OpenCalls) -> Self {
        Self {
            pages,
            next: None,
            open,
            part: None,
        }
    }

    /// All of them, with all that is on record of them where the snapshot is whole; sorted by contact, automation and
    /// occurrence. For a thread that may wait.
    ///
    /// # Errors
    /// Why they cannot be read.
    pub fn listed(self) -> Result<Vec<Listed>, RecordError> {
        let mut listed = Rows(self).collect::<Result<Vec<_>, _>>()?;
        listed.sort_by(|a, b| a.participation.key.cmp(&b.participation.key));
        Ok(listed)
    }

    /// The parts, which several threads may read, each with the contact that it begins with. Sorted by contact (bytewise).
    pub fn parts(mut self) -> impl Iterator<Item = Result<(ContactId, Part), RecordError>> + Send {
        std::iter::from_fn(move || self.next_part().transpose())
    }

    fn next_part(&mut self) -> Result<Option<(ContactId, Part)>, RecordError> {
        let page = match self.next.take() {
            Some(page) => Some(page),
            None => self.next_page()?,
        };
        self.next = self.next_page()?;
        let to = self.next.as_ref().map(|(from, _)| from.clone());
        let open = self.open.before(to.as_ref());
        let (first, page) = page.unzip();
        let from = first
            .as_ref()
            .into_iter()
            .chain(open.first())
            .min()
            .cloned();
        let nobody = || (Box::new(std::iter::empty()) as Page).peekable();
        let part = Part {
            path: self.pages.path.clone(),
            rows: open.over(page.unwrap_or_else(nobody)),
            to,
        };
        Ok(from.map(|from| (from, part)))
    }

    /// The next page that is not empty, and the contact that it begins with.
    fn next_page(&mut self) -> Result<Option<(ContactId, Peekable<Page>)>, RecordError> {
        for page in &mut self.pages {
            let mut page = page?.peekable();
            if let Some(error) = page.next_if(Result::is_err) {
                error?;
            }
            if let Some(Ok(first)) = page.peek() {
                return Ok(Some((first.participation.key.contact.clone(), page)));
            }
        }
        Ok(None)
    }

    fn next_listed(&mut self) -> Option<Result<Listed, RecordError>> {
        loop {
            if let Some(listed) = self.part.as_mut().and_then(Part::next_listed) {
                return Some(listed);
            }
            match self.next_part().transpose()? {
                Ok((_, part)) => self.part = Some(part),
                Err(error) => return Some(Err(error)),
            }
        }
    }
}

impl Iterator for Participations {
    type Item = Result<Participation, RecordError>;

    fn next(&mut self) -> Option<Self::Item> {
        let listed = self.next_listed()?;
        Some(listed.map(|listed| listed.participation))
    }
}

impl Part {
    fn next_listed(&mut self) -> Option<Result<Listed, RecordError>> {
        let listed = self.rows.next()?;
        let is_behind = |listed: &Listed| {
            let to = self.to.as_ref();
            to.is_some_and(|to| listed.participation.key.contact >= *to)
        };
        // Whoever plans the next part would not know of it.
        Some(match listed {
            Ok(listed) if is_behind(&listed) => {
                Err(corrupt(&self.path, "contacts out of their order"))
            }
            listed => listed,
        })
    }
}

impl Iterator for Part {
    type Item = Result<Participation, RecordError>;

    fn next(&mut self) -> Option<Self::Item> {
        let listed = self.next_listed()?;
        Some(listed.map(|listed| listed.participation))
    }
}

/// The same, with all that is on record of them.
struct Rows(Participations);

impl Iterator for Rows {
    type Item = Result<Listed, RecordError>;

    fn next(&mut self) -> Option<Self::Item> {
        self.0.next_listed()
    }
}

/// What is read on a thread of its own, ahead of who wants it.
struct Ahead<T> {
    path: PathBuf,
    /// What is still to come, and that there is no more; `None` where that was said.
    parts: Option<mpsc::Receiver<Result<Option<T>, RecordError>>>,
}

impl<T: Send + 'static> Ahead<T> {
    /// What is at hand, and no more.
    fn one(part: T) -> Self {
        let (sender, parts) = mpsc::channel();
        // The receiver is there.
        _ = sender.send(Ok(Some(part)));
        _ = sender.send(Ok(None));
        Self {
            path: PathBuf::new(),
            parts: Some(parts),
        }
    }

    /// Reads part after part until there is none; so many wait at the most. A runtime of a single thread reads them first.
    async fn of(
        path: &Path,
        most: usize,
        read: impl AsyncFnMut() -> Result<Option<T>, RecordError> + Send + 'static,
    ) -> Result<Self, RecordError> {
        let io = |error| RecordError::Io {
            path: path.to_owned(),
            error,
        };
        let parts = if threads::is_alone() {
            let (sender, parts) = mpsc::channel();
            read_all(read, |part| sender.send(part).is_ok()).await;
            parts
        } else {
            let (sender, parts) = mpsc::sync_channel(most);
            let runtime = tokio::runtime::Builder::new_current_thread()
                .enable_all()
                .build()
                .map_err(io)?;
            let read = move || runtime.block_on(read_all(read, |part| sender.send(part).is_ok()));
            std::thread::Builder::new()
                .name("record".to_owned())
                .spawn(read)
                .map_err(io)?;
            parts
        };
        Ok(Self {
            path: path.to_owned(),
            parts: Some(parts),
        })
    }
}

/// Passes part after part to `send`, and that there is none any more, until nobody listens.
async fn read_all<T>(
    mut read: impl AsyncFnMut() -> Result<Option<T>, RecordError>,
    send: impl Fn(Result<Option<T>, RecordError>) -> bool,
) {
    loop {
        let part = read().await;
        let is_last = !matches!(part, Ok(Some(_)));
        if !send(part) || is_last {
            break;
        }
    }
}

impl<T> Iterator for Ahead<T> {
    type Item = Result<T, RecordError>;

    fn next(&mut self) -> Option<Self::Item> {
        let ended = match self.parts.as_ref()?.recv() {
            Ok(Ok(Some(part))) => return Some(Ok(part)),
            Ok(Ok(None)) => None,
            Ok(Err(error)) => Some(Err(error)),
            // Whoever reads is gone before it said that this is all: what is missing is not nobody.
            Err(_) => Some(Err(RecordError::Store {
                path: std::mem::take(&mut self.path),
                doing: "read",
                what: "it ended before everything was read".to_owned(),
            })),
        };
        self.parts = None;
        ended
    }
}

/// Calls that are about to be read, one by one.
#[derive(Default)]
pub struct History {
    pages: Option<Ahead<Vec<(CallId, Call)>>>,
    page: std::vec::IntoIter<(CallId, Call)>,
}

impl Iterator for History {
    type Item = Result<Call, RecordError>;

    fn next(&mut self) -> Option<Self::Item> {
        loop {
            if let Some((_, call)) = self.page.next() {
                return Some(Ok(call));
            }
            match self.pages.as_mut()?.next()? {
                Ok(page) => self.page = page.into_iter(),
                Err(error) => return Some(Err(error)),
            }
        }
    }
}

/// Participations that are about to be read, one by one, sorted by contact, automation and occurrence.
pub struct Listing {
    rows: Peekable<Rows>,
    selection: Selection,
    /// Those of one contact.
    group: std::vec::IntoIter<Listed>,
}

impl Iterator for Listing {
    type Item = Result<Listed, RecordError>;

    fn next(&mut self) -> Option<Self::Item> {
        loop {
            if let Some(listed) = self.group.next() {
                return Some(Ok(listed));
            }
            let first = match self.rows.next()? {
                Ok(listed) => listed,
                Err(error) => return Some(Err(error)),
            };
            let contact = first.participation.key.contact.clone();
            let is_its = |row: &Result<Listed, RecordError>| matches!(row, Ok(of) if of.participation.key.contact == contact);
            let mut group = vec![first];
            while let Some(Ok(listed)) = self.rows.next_if(is_its) {
                group.push(listed);
            }
            group.retain(|listed| self.selection.has(listed));
            // The record sorts automations by the order in which it came to know them.
            group.sort_by(|a, b| a.participation.key.cmp(&b.participation.key));
            self.group = group.into_iter();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::id::TriggerCode;
    use crate::record::call::CallKind;
    use crate::record::participation::Key;
    use crate::record::recovery::OpenCall;

    fn id(text: &str) -> ContactId {
        ContactId::new(text).unwrap()
    }

    fn key(contact: &str) -> Key {
        Key {
            contact: id(contact),
            automation: AutomationName::new("welcome").unwrap(),
            occurrence: None,
        }
    }

    fn listed(contact: &str) -> Result<Listed, RecordError> {
        Ok(Listed {
            participation: Participation {
                key: key(contact),
                state: State::Active,
                trigger_code: TriggerCode::new("code").unwrap(),
                fields: None,
                has_ids: false,
                detail: None,
                triggered_at: None,
                left_at: None,
                tries: 0,
                gone_at: None,
                released_at: None,
                triggered_as: None,
            },
            changed_at: Timestamp::UNIX_EPOCH,
            ids: Vec::new(),
        })
    }

    /// The parts of pages and of triggers that are open, in short: `a: a b`.
    fn parts(pages: &[&[&str]], open: &[&str]) -> Result<Vec<String>, RecordError> {
        let (sender, parts) = mpsc::channel();
        for page in pages {
            let page: Vec<_> = page.iter().map(|contact| listed(contact)).collect();
            let page: Page = Box::new(page.into_iter());
            sender.send(Ok(Some(page))).unwrap();
        }
        sender.send(Ok(None)).unwrap();
        let pages = Ahead {
            path: PathBuf::from("rollcall.db"),
            parts: Some(parts),
        };
        let open = open.iter().zip(0..).map(|(contact, number)| OpenCall {
            id: CallId(number),
            kind: CallKind::Trigger,
            key: key(contact),
            all: false,
            trigger_code: TriggerCode::new("code").unwrap(),
            fields: None,
            sent_at: Timestamp::UNIX_EPOCH,
        });
        let open = OpenCalls::new(open.collect(), None, &Clock::system());
        let parts = Participations::over(pages, open).parts().map(|part| {
            let (from, part) = part?;
            let contacts = part.map(|of| Ok(of?.key.contact.to_string()));
            let contacts = contacts.collect::<Result<Vec<_>, RecordError>>()?;
            Ok(format!("{from}: {}", contacts.join(" ")))
        });
        parts.collect()
    }

    #[test]
    fn a_part_has_all_that_its_contacts_have() {
        type Case<'c> = (&'c [&'c [&'c str]], &'c [&'c str], &'c [&'c str]);
        let cases: [Case<'_>; 5] = [
            (&[], &[], &[]),
            (&[&[]], &[], &[]),
            (&[], &["b", "a"], &["a: a b"]),
            (&[&["b", "b", "d"], &[], &["f"]], &[], &["b: b b d", "f: f"]),
            (
                &[&["b", "d"], &["f", "h"]],
                &["a", "c", "e", "f", "g", "i"],
                &["a: a b c d e", "f: f g h i"],
            ),
        ];
        for (pages, open, wanted) in cases {
            assert_eq!(parts(pages, open).unwrap(), wanted, "{pages:?} {open:?}");
        }
        // As it would be if a store put somebody on two pages.
        for pages in [&[&["b", "d"][..], &["d", "f"]], &[&["b", "f"], &["d"]]] {
            assert!(parts(pages, &[]).is_err(), "{pages:?}");
        }
    }

    #[test]
    fn what_is_cut_short_is_never_taken_for_the_whole() {
        let page = || -> Page { Box::new(std::iter::empty()) };
        for (said, is_whole) in [
            (vec![], false),
            (vec![Some(page())], false),
            (vec![Some(page()), None], true),
        ] {
            let (sender, pages) = mpsc::sync_channel(3);
            for page in said {
                sender.send(Ok(page)).unwrap();
            }
            // As when the thread that reads is gone.
            drop(sender);
            let pages = Ahead {
                path: PathBuf::from("rollcall.db"),
                parts: Some(pages),
            };
            let mut rows = Participations::over(pages, OpenCalls::default());
            match rows.next() {
                None => assert!(is_whole),
                Some(read) => assert!(!is_whole && read.is_err()),
            }
            assert!(rows.next().is_none());
        }
    }
}
