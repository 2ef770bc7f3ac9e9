//! The rules of the journal, wherever the record lies: each test runs on every store.

use std::time::Duration;

use sqlx::{Connection, SqliteConnection};

use super::participation::{
    Key, Move, Over, SUPPRESSED, State, StopOutcome, SuppressedBy, TriggerOutcome,
};
use super::store::{Disk, Fate, Memory};
use super::*;
use crate::digest::{Digest, Hasher};
use crate::id::{AutomationName, ContactId, Occurrence, ParticipationId, TriggerCode};
#[cfg(unix)]
use crate::location::{Database, Location};

#[cfg(unix)]
#[path = "../../tests/common/postgres.rs"]
mod postgres;

/// A record, and a way to let somebody else take its lock.
struct Place {
    record: Record,
    store: Kept,
}

/// Where it lies.
enum Kept {
    Memory(Memory),
    Folder(#[expect(dead_code, reason = "it goes with the test")] tempfile::TempDir),
    #[cfg(unix)]
    Database(String, String),
}

impl Place {
    fn of(memory: &Memory) -> Self {
        Self {
            record: Record::in_memory(memory.clone()),
            store: Kept::Memory(memory.clone()),
        }
    }

    async fn steal(&self) {
        match &self.store {
            Kept::Memory(memory) => memory.steal(),
            Kept::Folder(_) => {
                let path = self.record.path().display();
                let mut thief = SqliteConnection::connect(&format!("sqlite:{path}"))
                    .await
                    .unwrap();
                let steal = sqlx::query("UPDATE lock SET holder = 'somebody else'");
                assert_eq!(steal.execute(&mut thief).await.unwrap().rows_affected(), 1);
            }
            #[cfg(unix)]
            Kept::Database(url, schema) => {
                let mut thief = sqlx::PgConnection::connect(url).await.unwrap();
                let steal = format!("UPDATE {schema}.lock SET holder = 'somebody else'");
                let steal = sqlx::raw_sql(sqlx::AssertSqlSafe(steal));
                assert_eq!(steal.execute(&mut thief).await.unwrap().rows_affected(), 1);
            }
        }
    }

    /// Ends a run as a kill would: it says nothing, and the next one takes the lock over.
    async fn kill(&self, writing: Writing) {
        self.steal().await;
        let _ = writing.end().await;
        let holder = self.record.holder().await.unwrap().unwrap();
        self.record.unlock(&holder).await.unwrap();
    }

    async fn begin(&self) -> Writing {
        begin(&self.record, request()).await.unwrap()
    }

    /// What is on record, each as a line.
    async fn listed(&self) -> Vec<String> {
        let listed = self.all().await;
        let line = |listed: &Listed| {
            let of = &listed.participation;
            let detail = of.detail.as_ref().map(|detail| format!(" ({detail})"));
            format!("{} {}{}", of.key, of.state, detail.unwrap_or_default())
        };
        listed.iter().map(line).collect()
    }

    async fn all(&self) -> Vec<Listed> {
        self.record.list(Selection::default()).await.unwrap()
    }

    async fn one(&self) -> Listed {
        self.all().await.remove(0)
    }

    async fn serial(&self) -> u64 {
        self.record.snapshot().await.unwrap().serial
    }
}

/// Runs a test on each store.
macro_rules! on_every_store {
    ($($name:ident),* $(,)?) => {
        mod in_memory {
            $(#[tokio::test(flavor = "multi_thread")]
            async fn $name() {
                super::$name(super::Place::of(&super::Memory::default())).await;
            })*
        }
        mod in_sqlite {
            $(#[tokio::test(flavor = "multi_thread")]
            async fn $name() {
                let folder = tempfile::tempdir().unwrap();
                let record = super::Record::at(&folder.path().join("rollcall.db"));
                super::$name(super::Place { record, store: super::Kept::Folder(folder) }).await;
            })*
        }
        #[cfg(unix)]
        mod in_postgres {
            $(#[tokio::test(flavor = "multi_thread")]
            async fn $name() {
                let schema = stringify!($name);
                if let Some(place) = super::in_schema(schema).await {
                    super::$name(place).await;
                }
            })*
        }
    };
}

/// A record in a schema of this name, which is not there yet.
#[cfg(unix)]
async fn in_schema(schema: &str) -> Option<Place> {
    let server = tokio::task::spawn_blocking(postgres::Server::shared)
        .await
        .unwrap()?;
    let schema = schema[..schema.len().min(63)].to_owned();
    let url = server.url().to_owned();
    let mut connection = sqlx::PgConnection::connect(&url).await.unwrap();
    let drop = format!("DROP SCHEMA IF EXISTS {schema} CASCADE");
    let drop = sqlx::raw_sql(sqlx::AssertSqlSafe(drop));
    drop.execute(&mut connection).await.unwrap();
    let database = Database::parse(&url, std::path::Path::new(""))
        .unwrap()
        .in_schema(&schema);
    Some(Place {
        record: Record::of(&Location::Database(database)),
        store: Kept::Database(url, schema),
    })
}

on_every_store!(
    a_call_is_in_doubt_until_its_outcome_is_on_record,
    a_run_that_was_killed_leaves_doubts_which_the_next_one_names,
    outcomes_lead_to_the_states_that_the_machine_says,
    a_stop_of_all_reaches_whatever_is_behind_its_code,
    a_part_of_a_stop_is_a_doubt,
    a_doubt_is_of_the_last_trigger_that_may_have_been_carried_out,
    changes_are_written_all_or_none,
    equal_ids_of_two_contacts_are_a_doubt_of_both,
    a_run_whose_lock_was_taken_writes_nothing_more,
    of_two_runs_that_begin_at_once_one_is_kept_out,
    a_run_that_slept_too_long_sends_only_while_the_lock_is_still_its_own,
    the_serial_grows_with_what_an_old_record_would_not_know,
    a_saved_plan_is_claimed_once,
    what_has_ended_is_kept_as_that,
    what_ended_by_a_clock_that_was_ahead_keeps_what_that_said,
    who_is_released_from_suppression_is_counted_on_that_day,
    by_what_block_somebody_is_suppressed_is_read_back_and_who_got_onto_a_list_is_no_release,
    who_leaves_is_counted_on_the_day_on_which_that_began,
    tries_in_a_row_are_counted,
    a_move_keeps_who_runs,
    what_ended_by_its_own_time_is_merged_as_that_with_a_later_trigger,
    two_ids_of_one_person_are_merged_and_stay_so,
    who_asks_for_many_contacts_sees_the_open_calls_of_these_once,
    nothing_is_left_of_who_is_forgotten,
    what_was_applied_is_read_back,
    a_snapshot_stays_as_it_was,
    a_snapshot_is_of_one_moment_while_another_run_writes,
    there_is_no_record_until_one_may_begin,
    many_participations_are_read_in_their_order,
);

async fn begin(record: &Record, request: LockRequest) -> Result<Writing, LockError> {
    Writing::begin(record, request, |_| ()).await
}

fn request() -> LockRequest {
    LockRequest {
        command: "apply".to_owned(),
        timeout: Duration::ZERO,
        config_digest: Some("digest".to_owned()),
        git_revision: None,
        expected: Expected::default(),
        purpose: Purpose::Act,
        may_begin: true,
    }
}

fn name(text: &str) -> AutomationName {
    AutomationName::new(text).unwrap()
}

fn key(contact: &str, automation: &str) -> Key {
    Key {
        contact: ContactId::new(contact).unwrap(),
        automation: name(automation),
        occurrence: None,
    }
}

fn code(text: &str) -> TriggerCode {
    TriggerCode::new(text).unwrap()
}

fn fields() -> Option<Digest> {
    Some(Hasher::new().part("fields").finish())
}

fn trigger(contact: &str, before: Option<State>) -> Intent {
    Intent {
        kind: CallKind::Trigger,
        affected: vec![(key(contact, "a"), before)],
        all: false,
        trigger_code: code("code"),
        participation: None,
        fields: fields(),
        of_suppressed: None,
    }
}

fn stop(affected: &[(&str, State)], all: bool) -> Intent {
    let affected = affected
        .iter()
        .map(|(automation, before)| (key("c-1", automation), Some(*before)));
    Intent {
        kind: CallKind::Stop,
        affected: affected.collect(),
        all,
        fields: None,
        ..trigger("c-1", None)
    }
}

fn settled(outcome: CallOutcome, ids: &[&str]) -> Settlement {
    Settlement {
        outcome,
        http_status: Some(200),
        detail: None,
        entries: None,
        ids: ids
            .iter()
            .map(|id| ParticipationId::new(id).unwrap())
            .collect(),
    }
}

const ACTIVE: CallOutcome = CallOutcome::Trigger(TriggerOutcome::Active);

/// Sends a call and settles it.
async fn call(
    journal: &Journal,
    intent: Intent,
    outcome: CallOutcome,
    ids: &[&str],
) -> Option<Vec<Key>> {
    let id = journal.intend(intent).await.unwrap();
    journal
        .settle(id, settled(outcome, ids))
        .wait()
        .await
        .unwrap()
}

fn change(contact: &str, automation: &str, before: Option<State>, transition: Move) -> Change {
    Change {
        key: key(contact, automation),
        before,
        transition,
        trigger_code: code("code"),
        fields: None,
    }
}

async fn a_call_is_in_doubt_until_its_outcome_is_on_record(place: Place) {
    let writing = place.begin().await;
    let journal = writing.journal();
    let id = journal.intend(trigger("c-1", None)).await.unwrap();
    let under_way = format!(
        "under way in a run that is at work (process {} on",
        std::process::id()
    );
    let listed = place.listed().await;
    assert!(
        listed[0].starts_with(&format!("c-1 / a uncertain ({under_way}")),
        "{listed:?}"
    );
    assert!(place.record.has_open_calls().await.unwrap());
    journal
        .settle(id, settled(ACTIVE, &["id-1"]))
        .wait()
        .await
        .unwrap();
    assert_eq!(place.listed().await, ["c-1 / a active"]);
    let one = place.one().await;
    assert_eq!((one.ids.len(), one.participation.has_ids), (1, true));
    assert_eq!(one.participation.fields, fields());
    assert_eq!(journal.ids(key("c-1", "a")).await.unwrap(), one.ids);
    assert!(journal.ids(key("c-1", "b")).await.unwrap().is_empty());
    let again = journal.settle(id, settled(ACTIVE, &[])).wait().await;
    assert!(matches!(again, Err(JournalError::Closed)), "{again:?}");
    drop(journal);
    writing.end().await.unwrap();
    let calls: Vec<_> = place.record.calls(None).await.unwrap().collect();
    let calls: Vec<_> = calls.into_iter().map(Result::unwrap).collect();
    assert_eq!(calls.len(), 1);
    assert_eq!(calls[0].outcome.as_deref(), Some("active"));
    assert_eq!(calls[0].config_digest.as_deref(), Some("digest"));
}

async fn a_doubt_is_of_the_last_trigger_that_may_have_been_carried_out(place: Place) {
    let writing = place.begin().await;
    let journal = writing.journal();
    let digest = |text| Some(Hasher::new().part(text).finish());
    let send = async |text, outcome| {
        let before = match place.listed().await.is_empty() {
            true => None,
            false => Some(State::Uncertain),
        };
        let intent = Intent {
            fields: digest(text),
            ..trigger("c-1", before)
        };
        call(&journal, intent, CallOutcome::Trigger(outcome), &[]).await;
        place.one().await.participation.fields
    };
    assert_eq!(send("1", TriggerOutcome::Uncertain).await, digest("1"));
    assert_eq!(send("2", TriggerOutcome::Failed).await, digest("1"));
    assert_eq!(send("3", TriggerOutcome::Uncertain).await, digest("3"));
    // A run that dies leaves the same behind.
    let intent = Intent {
        fields: digest("4"),
        ..trigger("c-1", Some(State::Uncertain))
    };
    journal.intend(intent).await.unwrap();
    drop(journal);
    place.kill(writing).await;
    place.begin().await.end().await.unwrap();
    assert_eq!(place.one().await.participation.fields, digest("4"));
}

async fn a_run_that_was_killed_leaves_doubts_which_the_next_one_names(place: Place) {
    let writing = place.begin().await;
    let journal = writing.journal();
    call(&journal, trigger("c-1", None), ACTIVE, &["id-1"]).await;
    journal.intend(trigger("c-2", None)).await.unwrap();
    journal
        .intend(stop(&[("a", State::Active)], false))
        .await
        .unwrap();
    drop(journal);
    place.kill(writing).await;
    let left = "(the run ended before an answer was recorded)";
    let doubts = [
        format!("c-1 / a stop-uncertain {left}"),
        format!("c-2 / a uncertain {left}"),
    ];
    // A reader takes open calls for what the next run makes of them.
    assert_eq!(place.listed().await, doubts);
    let seen = place.record.snapshot().await.unwrap();
    let seen: Vec<_> = seen.participations.map(Result::unwrap).collect();
    let before = place.serial().await;
    let mut told = Vec::new();
    let tell = |left: &[LeftOpen]| {
        let left = left.iter();
        told.extend(left.map(|of| format!("{} of {}", of.kind, of.contact)));
    };
    let writing = Writing::begin(&place.record, request(), tell).await;
    let writing = writing.unwrap();
    assert_eq!(told, ["trigger of c-2", "stop of c-1"]);
    assert_eq!(writing.calls_before(), 3);
    writing.end().await.unwrap();
    assert_eq!(place.listed().await, doubts);
    let now: Vec<_> = place
        .all()
        .await
        .into_iter()
        .map(|of| of.participation)
        .collect();
    assert_eq!(now, seen);
    assert!(place.serial().await > before);
    assert!(!place.record.has_open_calls().await.unwrap());
}

async fn outcomes_lead_to_the_states_that_the_machine_says(place: Place) {
    use TriggerOutcome as T;
    let writing = place.begin().await;
    let journal = writing.journal();
    let outcomes = [
        (T::Active, "active"),
        (T::Refused, "refused"),
        (T::Failed, "failed"),
        (T::FailedForGood, "failed-for-good"),
        (T::Waiting, "waiting"),
        (T::Uncertain, "uncertain"),
    ];
    for (outcome, _) in outcomes {
        let contact = format!("c-{outcome:?}");
        call(
            &journal,
            trigger(&contact, None),
            CallOutcome::Trigger(outcome),
            &[],
        )
        .await;
    }
    // What was not carried out is as it was before.
    call(
        &journal,
        trigger("c-none", None),
        CallOutcome::Trigger(T::NotCarriedOut),
        &[],
    )
    .await;
    let mut expected: Vec<String> = outcomes
        .iter()
        .map(|(outcome, state)| format!("c-{outcome:?} / a {state}"))
        .collect();
    expected.sort();
    assert_eq!(place.listed().await, expected);
    // That a second trigger failed says nothing of the first.
    let again = trigger("c-Uncertain", Some(State::Uncertain));
    call(&journal, again, CallOutcome::Trigger(T::Failed), &[]).await;
    assert_eq!(place.listed().await, expected);
    // No call is sent from where none may be.
    let illegal = journal
        .intend(trigger("c-Active", Some(State::Active)))
        .await;
    assert!(matches!(illegal, Err(JournalError::Illegal(_))));
    drop(journal);
    writing.end().await.unwrap();
}

async fn a_stop_of_all_reaches_whatever_is_behind_its_code(place: Place) {
    let writing = place.begin().await;
    let journal = writing.journal();
    for automation in ["a", "b", "c"] {
        let mut intent = trigger("c-1", None);
        intent.affected = vec![(key("c-1", automation), None)];
        intent.trigger_code = code(if automation == "c" { "other" } else { "code" });
        call(&journal, intent, ACTIVE, &[]).await;
    }
    let both = stop(&[("a", State::Active), ("b", State::Active)], true);
    let id = journal.intend(both.clone()).await.unwrap();
    let states = |listed: Vec<String>| -> Vec<String> {
        let word = |line: &String| line.split(' ').nth(3).unwrap_or_default().to_owned();
        listed.iter().map(word).collect()
    };
    assert_eq!(
        states(place.listed().await),
        ["stop-uncertain", "stop-uncertain", "active"]
    );
    let failed = settled(CallOutcome::Stop(StopOutcome::Failed), &[]);
    journal.settle(id, failed).wait().await.unwrap();
    assert_eq!(
        states(place.listed().await),
        ["stop-failed", "stop-failed", "active"]
    );
    let mut both = stop(&[("a", State::StopFailed), ("b", State::StopFailed)], true);
    both.of_suppressed = Some(SuppressedBy::default());
    call(&journal, both, CallOutcome::Stop(StopOutcome::Stopped), &[]).await;
    let suppressed = |automation| format!("c-1 / {automation} stopped ({SUPPRESSED})");
    let expected = [
        suppressed("a"),
        suppressed("b"),
        "c-1 / c active".to_owned(),
    ];
    assert_eq!(place.listed().await, expected);
    drop(journal);
    writing.end().await.unwrap();
}

async fn a_part_of_a_stop_is_a_doubt(place: Place) {
    let writing = place.begin().await;
    let journal = writing.journal();
    call(&journal, trigger("c-1", None), ACTIVE, &["id-1", "id-2"]).await;
    let part = |outcome| CallOutcome::PartOfStop(outcome);
    call(
        &journal,
        stop(&[("a", State::Active)], false),
        part(StopOutcome::Failed),
        &[],
    )
    .await;
    assert_eq!(place.listed().await, ["c-1 / a active"]);
    call(
        &journal,
        stop(&[("a", State::Active)], false),
        part(StopOutcome::Stopped),
        &[],
    )
    .await;
    assert_eq!(place.listed().await, ["c-1 / a stop-uncertain"]);
    drop(journal);
    writing.end().await.unwrap();
}

async fn changes_are_written_all_or_none(place: Place) {
    let writing = place.begin().await;
    let journal = writing.journal();
    let illegal = vec![
        change("c-1", "a", None, Move::Adopt),
        change("c-2", "a", None, Move::ResolveActive),
    ];
    assert!(matches!(
        journal.change(illegal).await,
        Err(JournalError::Illegal(_))
    ));
    assert!(place.listed().await.is_empty());
    let legal = vec![
        change("c-1", "a", None, Move::Adopt),
        change("c-2", "a", None, Move::Withhold(SuppressedBy::default())),
    ];
    journal.change(legal).await.unwrap();
    assert_eq!(place.listed().await, ["c-1 / a active", "c-2 / a withheld"]);
    let all = place.all().await;
    // Who is adopted counts as triggered now; who is withheld had no mail.
    assert!(all[0].participation.triggered_at.is_some());
    assert_eq!(all[1].participation.triggered_at, None);
    journal
        .change(vec![change("c-1", "a", Some(State::Active), Move::LetGo)])
        .await
        .unwrap();
    assert_eq!(place.listed().await, ["c-1 / a let-go", "c-2 / a withheld"]);
    drop(journal);
    writing.end().await.unwrap();
}

async fn equal_ids_of_two_contacts_are_a_doubt_of_both(place: Place) {
    let writing = place.begin().await;
    let journal = writing.journal();
    assert_eq!(
        call(&journal, trigger("c-1", None), ACTIVE, &["same"]).await,
        None
    );
    let others = call(&journal, trigger("c-2", None), ACTIVE, &["same"]).await;
    assert_eq!(others, Some(vec![key("c-1", "a")]));
    let doubt = |contact| format!("{contact} / a uncertain ({SAME_IDS})");
    assert_eq!(place.listed().await, [doubt("c-1"), doubt("c-2")]);
    // Whoever gets them once more is in doubt too, also in a later run.
    drop(journal);
    writing.end().await.unwrap();
    let writing = place.begin().await;
    let journal = writing.journal();
    let others = call(&journal, trigger("c-3", None), ACTIVE, &["same"]).await;
    assert_eq!(others, Some(Vec::new()));
    // The same where both answers come at once.
    let four = journal.intend(trigger("c-4", None)).await.unwrap();
    let five = journal.intend(trigger("c-5", None)).await.unwrap();
    let first = journal.settle(four, settled(ACTIVE, &["twice"]));
    let second = journal.settle(five, settled(ACTIVE, &["twice"]));
    let (first, second) = (first.wait().await.unwrap(), second.wait().await.unwrap());
    assert!(first.into_iter().chain(second).flatten().count() >= 1);
    let all = ["c-1", "c-2", "c-3", "c-4", "c-5"].map(doubt);
    assert_eq!(place.listed().await, all);
    assert!(place.all().await.iter().all(|of| of.ids.is_empty()));
    // A contact's own ids are no other's.
    assert_eq!(
        call(&journal, trigger("c-6", None), ACTIVE, &["own"]).await,
        None
    );
    let mut other = trigger("c-6", None);
    other.affected = vec![(key("c-6", "b"), None)];
    assert_eq!(call(&journal, other, ACTIVE, &["own"]).await, None);
    drop(journal);
    writing.end().await.unwrap();
}

async fn a_run_whose_lock_was_taken_writes_nothing_more(place: Place) {
    let writing = place.begin().await;
    let held = begin(&place.record, request()).await.err();
    assert!(matches!(held, Some(LockError::Held(_))), "{held:?}");
    let journal = writing.journal();
    let id = journal.intend(trigger("c-1", None)).await.unwrap();
    place.steal().await;
    let serial = place.serial().await;
    let lost = journal.settle(id, settled(ACTIVE, &[])).wait().await;
    assert!(matches!(lost, Err(JournalError::LockLost)), "{lost:?}");
    let lost = journal
        .change(vec![change("c-2", "a", None, Move::Adopt)])
        .await;
    assert!(matches!(lost, Err(JournalError::LockLost)), "{lost:?}");
    let lost = journal.forget(ContactId::new("c-1").unwrap()).await;
    assert!(matches!(lost, Err(JournalError::LockLost)), "{lost:?}");
    assert_eq!(place.serial().await, serial);
    assert!(place.record.has_open_calls().await.unwrap());
    assert_eq!(place.all().await.len(), 1);
}

async fn a_run_that_slept_too_long_sends_only_while_the_lock_is_still_its_own(place: Place) {
    let writing = place.begin().await;
    let journal = writing.journal();
    let is_fresh = journal.freshness();
    let sleep = || journal.freshness.renew(Duration::ZERO);
    // Where nobody took it meanwhile, it is renewed.
    sleep();
    journal.hold().await.unwrap();
    assert!(is_fresh());
    place.steal().await;
    sleep();
    assert!(matches!(journal.hold().await, Err(JournalError::LockLost)));
    assert!(!is_fresh());
}

async fn the_serial_grows_with_what_an_old_record_would_not_know(place: Place) {
    let writing = place.begin().await;
    let journal = writing.journal();
    let mut last = place.serial().await;
    let id = journal.intend(trigger("c-1", None)).await.unwrap();
    assert!(place.serial().await > std::mem::replace(&mut last, place.serial().await));
    journal
        .settle(id, settled(ACTIVE, &[]))
        .wait()
        .await
        .unwrap();
    assert!(place.serial().await > std::mem::replace(&mut last, place.serial().await));
    let note = SourceNote {
        name: "crm".to_owned(),
        rows: 3,
        ends_with_line_end: true,
    };
    journal.sources(vec![note]).await.unwrap();
    journal.count_anew().await.unwrap();
    journal.hold().await.unwrap();
    assert_eq!(place.serial().await, last);
    journal
        .mark(vec![(
            key("c-1", "a"),
            Some(batch::now(&crate::clock::Clock::system())),
        )])
        .await
        .unwrap();
    assert!(place.serial().await > last);
    drop(journal);
    writing.end().await.unwrap();
    // A run that changes nothing leaves it as it is.
    let last = place.serial().await;
    place.begin().await.end().await.unwrap();
    assert_eq!(place.serial().await, last);
}

async fn a_saved_plan_is_claimed_once(place: Place) {
    let writing = place.begin().await;
    let journal = writing.journal();
    let serial = place.serial().await;
    let plan = || "plan".to_owned();
    assert_eq!(journal.claim(plan(), serial + 1).await.unwrap(), serial);
    assert_eq!(
        place.record.standing("plan").await.unwrap().applied_at,
        None
    );
    assert_eq!(journal.claim(plan(), serial).await.unwrap(), serial);
    let standing = place.record.standing("plan").await.unwrap();
    assert!(standing.applied_at.is_some() && standing.identity.is_some());
    assert_eq!(standing.serial, serial + 1);
    assert_ne!(journal.claim(plan(), serial).await.unwrap(), serial);
    drop(journal);
    writing.end().await.unwrap();
}

/// A disk that does with the next commit what it is asked to.
#[derive(Debug, Default)]
struct Fails(std::sync::Mutex<Option<Disk>>);

impl Fails {
    fn next(&self, disk: Disk) {
        *self.0.lock().unwrap() = Some(disk);
    }
}

impl Fate for Fails {
    fn disk(&self) -> Disk {
        self.0.lock().unwrap().take().unwrap_or(Disk::Keeps)
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn no_two_commits_have_one_serial_though_the_first_was_in_doubt() {
    let memory = Memory::default();
    Place::of(&memory).begin().await.end().await.unwrap();
    let fate = std::sync::Arc::new(Fails::default());
    let place = Place::of(&memory.with(fate.clone()));
    let writing = place.begin().await;
    let journal = writing.journal();
    let adopt = |contact| vec![change(contact, "a", None, Move::Adopt)];
    fate.next(Disk::KeepsAndDenies);
    assert!(journal.change(adopt("c-1")).await.is_err());
    // A plan that is saved here knows the first, and not what comes next.
    let saved_at = place.serial().await;
    assert_eq!(place.all().await.len(), 1);
    journal.change(adopt("c-2")).await.unwrap();
    assert!(place.serial().await > saved_at);
    drop(journal);
    writing.end().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_left_open_is_told_though_it_is_in_doubt_whether_that_is_on_record() {
    let memory = Memory::default();
    let fate = std::sync::Arc::new(Fails::default());
    let place = Place::of(&memory.with(fate.clone()));
    let writing = place.begin().await;
    let journal = writing.journal();
    journal.intend(trigger("c-1", None)).await.unwrap();
    drop(journal);
    place.kill(writing).await;
    fate.next(Disk::KeepsAndDenies);
    let told = async || {
        let mut told = 0;
        let tell = |left: &[LeftOpen]| told += left.len();
        let begun = Writing::begin(&place.record, request(), tell).await;
        (begun.map(drop).is_ok(), told)
    };
    assert_eq!(told().await, (false, 1));
    assert!(place.listed().await[0].starts_with("c-1 / a uncertain"));
    // It was kept, so the next run has nothing to tell.
    assert_eq!(told().await, (true, 0));
}

#[tokio::test(flavor = "multi_thread")]
async fn ids_that_could_not_be_written_are_in_doubt_where_they_come_for_somebody_else() {
    let fate = std::sync::Arc::new(Fails::default());
    let place = Place::of(&Memory::default().with(fate.clone()));
    let writing = place.begin().await;
    let journal = writing.journal();
    let id = journal.intend(trigger("c-1", None)).await.unwrap();
    fate.next(Disk::IsFull);
    let settled = journal.settle(id, settled(ACTIVE, &["p-1"])).wait().await;
    assert!(settled.is_err());
    call(&journal, trigger("c-2", None), ACTIVE, &["p-1"]).await;
    call(&journal, trigger("c-3", None), ACTIVE, &["p-3"]).await;
    let listed = place.listed().await;
    let states = listed.iter().map(|line| line.split(" (").next().unwrap());
    let expected = ["c-1 / a uncertain", "c-2 / a uncertain", "c-3 / a active"];
    assert_eq!(states.collect::<Vec<_>>(), expected);
    drop(journal);
    writing.end().await.unwrap();
}

async fn what_has_ended_is_kept_as_that(place: Place) {
    let writing = place.begin().await;
    let journal = writing.journal();
    let turn = async |transition| {
        let before = Some(place.one().await.participation.state);
        let changes = vec![change("c-1", "a", before, transition)];
        journal.change(changes).await.unwrap();
        place.one().await.participation
    };
    call(&journal, trigger("c-1", None), ACTIVE, &["p-1"]).await;
    let ran = place.one().await.participation;
    let ended = turn(Move::End(Over::Declared)).await;
    assert!(ended.is_in() && ended.has_ended_declared());
    // Its trigger is what `again_after` goes by, and nobody went.
    assert_eq!(
        (ended.triggered_at, ended.gone_at),
        (ran.triggered_at, None)
    );
    let gone = turn(Move::End(Over::Gone)).await;
    assert!(!gone.is_in() && !gone.is_suppressed());
    let suppressed = turn(Move::End(Over::Suppressed(SuppressedBy::default()))).await;
    assert!(!suppressed.is_in() && suppressed.is_suppressed());
    call(
        &journal,
        trigger("c-1", Some(State::Ended)),
        ACTIVE,
        &["p-2"],
    )
    .await;
    let again = place.one().await.participation;
    assert!(again.state == State::Active && again.released_at == again.triggered_at);
    assert!(turn(Move::LetGo).await.ends_by_time());
    assert_eq!(turn(Move::GoOn).await.state, State::Active);
    call(
        &journal,
        stop(&[("a", State::Active)], true),
        CallOutcome::Stop(StopOutcome::Stopped),
        &[],
    )
    .await;
    call(
        &journal,
        trigger("c-1", Some(State::Stopped)),
        CallOutcome::Trigger(TriggerOutcome::Uncertain),
        &[],
    )
    .await;
    assert!(!turn(Move::LetGo).await.ends_by_time());
    assert_eq!(turn(Move::DoubtAgain).await.state, State::Uncertain);
    drop(journal);
    writing.end().await.unwrap();
}

async fn who_is_released_from_suppression_is_counted_on_that_day(place: Place) {
    let writing = place.begin().await;
    let journal = writing.journal();
    let released_at = async || place.one().await.participation.released_at;
    call(&journal, trigger("c-1", None), ACTIVE, &[]).await;
    let suppressed = Intent {
        of_suppressed: Some(SuppressedBy::default()),
        ..stop(&[("a", State::Active)], false)
    };
    let stopped = CallOutcome::Stop(StopOutcome::Stopped);
    call(&journal, suppressed, stopped, &[]).await;
    assert_eq!(released_at().await, None);
    call(&journal, trigger("c-1", Some(State::Stopped)), ACTIVE, &[]).await;
    let released = released_at().await;
    assert_eq!(released, place.one().await.participation.triggered_at);
    // Whatever becomes of it on that day.
    call(&journal, stop(&[("a", State::Active)], false), stopped, &[]).await;
    call(&journal, trigger("c-1", Some(State::Stopped)), ACTIVE, &[]).await;
    assert_eq!(released_at().await, released);
    drop(journal);
    writing.end().await.unwrap();
}

async fn what_ended_by_a_clock_that_was_ahead_keeps_what_that_said(mut place: Place) {
    let ahead = batch::now(&place.record.clock) + Duration::from_secs(86_400);
    place.record.clock.pinned = Some(ahead);
    let writing = place.begin().await;
    let journal = writing.journal();
    let turn = async |before, transition| {
        let changes = vec![change("c-1", "a", Some(before), transition)];
        journal.change(changes).await.unwrap();
        let of = place.one().await.participation;
        (of.state, of.left_at, of.gone_at)
    };
    call(&journal, trigger("c-1", None), ACTIVE, &["p-1"]).await;
    let ended = turn(State::Active, Move::End(Over::Declared)).await;
    assert_eq!(ended, (State::Ended, Some(ahead), None));
    // Taken back, it is as it was.
    let runs = turn(State::Ended, Move::GoOn).await;
    assert_eq!(runs, (State::Active, None, None));
    drop(journal);
    writing.end().await.unwrap();
}

async fn by_what_block_somebody_is_suppressed_is_read_back_and_who_got_onto_a_list_is_no_release(
    place: Place,
) {
    let writing = place.begin().await;
    let journal = writing.journal();
    let suppressed_by = async || place.one().await.participation.suppressed_by();
    let stopped = CallOutcome::Stop(StopOutcome::Stopped);
    // A digest that uses all of its 64 bits, and one that begins with zeros.
    for block in [u64::MAX, 0x1f, 0] {
        for is_required in [false, true] {
            let by = SuppressedBy { is_required, block };
            let before = place.all().await.pop().map(|of| of.participation.state);
            call(&journal, trigger("c-1", before), ACTIVE, &["p-1"]).await;
            let stop = Intent {
                of_suppressed: Some(by),
                ..stop(&[("a", State::Active)], false)
            };
            call(&journal, stop, stopped, &[]).await;
            assert_eq!(suppressed_by().await, Some(by));
            let withhold = change("c-1", "a", Some(State::Stopped), Move::Withhold(by));
            journal.change(vec![withhold]).await.unwrap();
            assert_eq!(suppressed_by().await, Some(by));
            let withheld = Some(State::Withheld);
            call(&journal, trigger("c-1", withheld), ACTIVE, &["p-1"]).await;
            let of = place.one().await.participation;
            assert_eq!(of.released_at == of.triggered_at, !is_required, "{by}");
            for over in [Over::Declared, Over::Suppressed(by)] {
                let ended = change("c-1", "a", Some(of.state), Move::End(over));
                journal.change(vec![ended]).await.unwrap();
            }
            assert_eq!(suppressed_by().await, Some(by));
            call(
                &journal,
                trigger("c-1", Some(State::Ended)),
                ACTIVE,
                &["p-1"],
            )
            .await;
            let again = place.one().await.participation;
            assert_eq!(
                again.released_at == again.triggered_at,
                !is_required,
                "{by}"
            );
            journal.forget(again.key.contact).await.unwrap();
        }
    }
    drop(journal);
    writing.end().await.unwrap();
}

async fn who_leaves_is_counted_on_the_day_on_which_that_began(place: Place) {
    let writing = place.begin().await;
    let journal = writing.journal();
    let of = async || {
        let of = place.one().await.participation;
        (of.left_at, of.gone_at)
    };
    call(&journal, trigger("c-1", None), ACTIVE, &[]).await;
    assert_eq!(of().await, (None, None));
    let left_at = batch::now(&crate::clock::Clock::system());
    let mark = |left_at| journal.mark(vec![(key("c-1", "a"), left_at)]);
    mark(Some(left_at)).await.unwrap();
    let (left, began) = of().await;
    assert_eq!(left, Some(left_at));
    assert!(began.is_some());
    // Who is back was not stopped, and need not be counted.
    mark(None).await.unwrap();
    assert_eq!(of().await, (None, None));
    mark(Some(left_at)).await.unwrap();
    let began = of().await.1;
    // It was counted when it began to leave.
    let stopped = CallOutcome::Stop(StopOutcome::Stopped);
    call(&journal, stop(&[("a", State::Active)], false), stopped, &[]).await;
    assert_eq!(of().await, (None, began));
    // What is triggered anew has still been stopped on this day.
    call(&journal, trigger("c-1", Some(State::Stopped)), ACTIVE, &[]).await;
    assert_eq!(of().await, (None, began));
    drop(journal);
    writing.end().await.unwrap();
}

async fn tries_in_a_row_are_counted(place: Place) {
    let writing = place.begin().await;
    let journal = writing.journal();
    let waiting = CallOutcome::Trigger(TriggerOutcome::Waiting);
    let mut before = None;
    for tries in 1..4 {
        call(&journal, trigger("c-1", before), waiting, &[]).await;
        assert_eq!(place.one().await.participation.tries, tries);
        before = Some(State::Waiting);
    }
    call(&journal, trigger("c-1", before), ACTIVE, &[]).await;
    assert_eq!(place.one().await.participation.tries, 0);
    drop(journal);
    writing.end().await.unwrap();
}

async fn a_move_keeps_who_runs(place: Place) {
    let writing = place.begin().await;
    let journal = writing.journal();
    let adopt = |contact, automation| change(contact, automation, None, Move::Adopt);
    let withhold = |contact, automation| {
        change(
            contact,
            automation,
            None,
            Move::Withhold(SuppressedBy::default()),
        )
    };
    journal
        .change(vec![
            adopt("c-1", "old"),
            adopt("c-2", "old"),
            withhold("c-2", "new"),
            withhold("c-3", "old"),
            adopt("c-3", "new"),
            adopt("c-4", "old"),
            adopt("c-4", "new"),
        ])
        .await
        .unwrap();
    let applied = |automation, column: &str| {
        let sources = [("crm".to_owned(), column.to_owned())];
        let with = AppliedWith {
            sources: sources.into(),
            repeat_by: None,
        };
        (name(automation), with)
    };
    let begin = |applied| ApplyStart {
        applied,
        ..ApplyStart::default()
    };
    journal
        .begin(begin(vec![applied("old", "id"), applied("new", "other")]))
        .await
        .unwrap();
    let moves = vec![(name("old"), name("new"))];
    let start = ApplyStart {
        moves: moves.clone(),
        moved: Some(moves.clone()),
        ..ApplyStart::default()
    };
    journal.begin(start).await.unwrap();
    let expected = [
        "c-1 / new active",
        "c-2 / new active",
        "c-3 / new active",
        "c-3 / old withheld",
        "c-4 / new active",
        "c-4 / old active",
    ];
    assert_eq!(place.listed().await, expected);
    let snapshot = place.record.snapshot().await.unwrap();
    assert_eq!(
        snapshot.applied.into_iter().collect::<Vec<_>>(),
        [applied("new", "id")]
    );
    assert_eq!(snapshot.moved, moves);
    drop(journal);
    writing.end().await.unwrap();
}

async fn who_asks_for_many_contacts_sees_the_open_calls_of_these_once(place: Place) {
    let writing = place.begin().await;
    let journal = writing.journal();
    for contact in ["c-1", "somebody-else"] {
        journal.intend(trigger(contact, None)).await.unwrap();
    }
    let ids = (0..10_001).map(|number| ContactId::new(format!("c-{number}")).unwrap());
    let ids: Vec<ContactId> = ids.collect();
    let asked = place.record.snapshot_with(&ids).await.unwrap().asked;
    let asked: Vec<_> = asked.iter().map(|of| of.key.contact.as_str()).collect();
    assert_eq!(asked, ["c-1"]);
    drop(journal);
    writing.end().await.unwrap();
}

async fn what_ended_by_its_own_time_is_merged_as_that_with_a_later_trigger(mut place: Place) {
    let ahead = batch::now(&place.record.clock) + Duration::from_secs(86_400);
    place.record.clock.pinned = Some(ahead);
    let id = |text: &str| ContactId::new(text).unwrap();
    let writing = place.begin().await;
    let journal = writing.journal();
    for number in 1..=2 {
        let [old, new] = ["old", "new"].map(|of| format!("{of}-{number}"));
        call(&journal, trigger(&old, None), ACTIVE, &[&old]).await;
        call(&journal, trigger(&new, None), ACTIVE, &[&new]).await;
        let stop = Intent {
            affected: vec![(key(&new, "a"), Some(State::Active))],
            ..stop(&[], true)
        };
        let stopped = CallOutcome::Stop(StopOutcome::Stopped);
        call(&journal, stop, stopped, &[]).await;
    }
    let let_go = change("old-2", "a", Some(State::Active), Move::LetGo);
    journal.change(vec![let_go]).await.unwrap();
    let all = place.all().await;
    let of = |contact: &str| {
        let mut all = all.iter().map(|of| &of.participation);
        all.find(|of| of.key.contact == id(contact)).unwrap()
    };
    let rows = (1..=2).map(|number| {
        let [old, new] = ["old", "new"].map(|of| format!("{of}-{number}"));
        let by_now = |of: &crate::participation::Participation| match of.key.contact == id(&old) {
            true => State::Ended,
            false => of.state,
        };
        merge(of(&old), &id(&new), Some(of(&new)), by_now)
            .unwrap()
            .0
    });
    let merges = Merges {
        rows: rows.collect(),
        ids: Vec::new(),
    };
    let later = ["new-1", "new-2"].map(|new| of(new).triggered_at);
    let start = ApplyStart {
        merges,
        ..ApplyStart::default()
    };
    journal.begin(start).await.unwrap();
    let ended = place.all().await;
    let ended = ended.iter().map(|of| &of.participation);
    let ended: Vec<_> = ended
        .map(|of| (of.has_ended_declared(), of.left_at, of.triggered_at))
        .collect();
    let expected = [true, false].into_iter().zip(later);
    let expected = expected.map(|(is_declared, at)| (is_declared, Some(ahead), at));
    assert_eq!(ended, expected.collect::<Vec<_>>());
    drop(journal);
    writing.end().await.unwrap();
}

async fn two_ids_of_one_person_are_merged_and_stay_so(place: Place) {
    let id = |text: &str| ContactId::new(text).unwrap();
    let writing = place.begin().await;
    let journal = writing.journal();
    call(&journal, trigger("old-1", None), ACTIVE, &["id-1"]).await;
    call(&journal, trigger("old-2", None), ACTIVE, &["id-2"]).await;
    let failed = CallOutcome::Trigger(TriggerOutcome::Failed);
    call(&journal, trigger("new-2", None), failed, &[]).await;
    call(&journal, trigger("new-3", None), ACTIVE, &["id-3"]).await;
    let ids = ["old-1", "old-2", "old-3"].map(id).to_vec();
    let asked = place.record.snapshot_with(&ids).await.unwrap().asked;
    assert_eq!(asked.len(), 2);
    let other = place
        .record
        .snapshot_with(&[id("new-2")])
        .await
        .unwrap()
        .asked;
    let rows = asked
        .iter()
        .zip([None, other.first()])
        .map(|(from, other)| {
            let to = from.key.contact.as_str().replace("old", "new");
            merge(from, &id(&to), other, |of| of.state).unwrap().0
        });
    let merges = Merges {
        rows: rows.collect(),
        ids: vec![(id("old-1"), id("new-1")), (id("old-2"), id("new-2"))],
    };
    let begin = |merges| ApplyStart {
        merges,
        ..ApplyStart::default()
    };
    let serial = place.serial().await;
    journal.begin(begin(merges)).await.unwrap();
    assert_eq!(place.serial().await, serial + 1);
    let expected = ["new-1 / a active", "new-2 / a active", "new-3 / a active"];
    assert_eq!(place.listed().await, expected);
    let ids = |listed: &Listed| {
        (
            listed.participation.triggered_as.clone(),
            listed.ids[0].clone(),
        )
    };
    let whole: Vec<_> = place.all().await.iter().map(ids).collect();
    let came = |text| ParticipationId::new(text).unwrap();
    let expected = [
        (Some(id("old-1")), came("id-1")),
        (Some(id("old-2")), came("id-2")),
        (None, came("id-3")),
    ];
    assert_eq!(whole, expected);
    // The person gets one more id; an older one points there, too.
    let again = place
        .record
        .snapshot_with(&[id("new-1")])
        .await
        .unwrap()
        .asked;
    let merges = Merges {
        rows: vec![
            merge(&again[0], &id("newer"), None, |of| of.state)
                .unwrap()
                .0,
        ],
        ids: vec![(id("old-1"), id("newer")), (id("new-1"), id("newer"))],
    };
    journal.begin(begin(merges)).await.unwrap();
    let snapshot = place.record.snapshot().await.unwrap();
    let merged = [("new-1", "newer"), ("old-1", "newer"), ("old-2", "new-2")];
    assert_eq!(snapshot.merged, merged.map(|(from, to)| (id(from), id(to))));
    let all = place.all().await;
    let of = all
        .iter()
        .map(|of| &of.participation)
        .find(|of| of.key.contact == id("newer"));
    assert_eq!(of.unwrap().triggered_as, Some(id("old-1")));
    // A new trigger goes to the id that the person has now.
    let stop = Intent {
        affected: vec![(key("new-2", "a"), Some(State::Active))],
        ..stop(&[], true)
    };
    let stopped = CallOutcome::Stop(StopOutcome::Stopped);
    call(&journal, stop, stopped, &[]).await;
    let again = trigger("new-2", Some(State::Stopped));
    call(&journal, again, ACTIVE, &["id-4"]).await;
    let all = place.all().await;
    let of = all
        .iter()
        .map(|of| &of.participation)
        .find(|of| of.key.contact == id("new-2"));
    assert_eq!(of.unwrap().triggered_as, None);
    for contact in ["newer", "old-1", "new-1"] {
        journal.forget(id(contact)).await.unwrap();
    }
    assert_eq!(place.record.snapshot().await.unwrap().merged.len(), 1);
    drop(journal);
    writing.end().await.unwrap();
}

async fn nothing_is_left_of_who_is_forgotten(place: Place) {
    let writing = place.begin().await;
    let journal = writing.journal();
    call(&journal, trigger("c-1", None), ACTIVE, &["id-1"]).await;
    call(&journal, trigger("c-2", None), ACTIVE, &["id-2"]).await;
    journal
        .forget(ContactId::new("c-1").unwrap())
        .await
        .unwrap();
    assert!(journal.wipe().await.unwrap());
    assert_eq!(place.listed().await, ["c-2 / a active"]);
    let contact = ContactId::new("c-1").unwrap();
    let calls = place.record.calls(Some(&contact)).await.unwrap();
    assert_eq!(calls.count(), 0);
    drop(journal);
    writing.end().await.unwrap();
}

async fn what_was_applied_is_read_back(place: Place) {
    let writing = place.begin().await;
    let journal = writing.journal();
    let note = |rows| SourceNote {
        name: "crm".to_owned(),
        rows,
        ends_with_line_end: false,
    };
    journal.sources(vec![note(3)]).await.unwrap();
    journal.sources(vec![note(4)]).await.unwrap();
    let sources = place.record.applied_sources().await.unwrap();
    assert_eq!((sources.len(), sources["crm"].rows), (1, 4));
    assert_eq!(sources["crm"].ends_with_line_end, Some(false));
    let from = batch::now(&crate::clock::Clock::system());
    journal.count_anew().await.unwrap();
    let counted_from = place.record.snapshot().await.unwrap().counted_from;
    assert!(counted_from.is_some_and(|at| at >= from));
    call(&journal, trigger("c-1", None), ACTIVE, &[]).await;
    let failed = CallOutcome::Trigger(TriggerOutcome::Failed);
    call(&journal, trigger("c-2", None), failed, &[]).await;
    let minute = jiff::SignedDuration::from_mins(1);
    let sent = place
        .record
        .sent(from - minute, from + minute)
        .await
        .unwrap();
    assert_eq!(sent.into_iter().collect::<Vec<_>>(), [(name("a"), 1)]);
    let asked = ["c-1", "c-2", "c-3"].map(|id| ContactId::new(id).unwrap());
    let triggers = |since| place.record.triggers(&asked, since);
    let whose = triggers(from - minute).await.unwrap();
    let whose: Vec<_> = whose
        .iter()
        .map(|(contact, of, _)| (contact.as_str(), of))
        .collect();
    assert_eq!(whose, [("c-1", &name("a"))]);
    assert!(triggers(from + minute).await.unwrap().is_empty());
    let others = place.record.triggers(&asked[1..], from - minute);
    assert!(others.await.unwrap().is_empty());
    let states = place.record.states().await.unwrap();
    assert_eq!(states[&(name("a"), State::Failed)], 1);
    drop(journal);
    writing.end().await.unwrap();
}

async fn a_snapshot_stays_as_it_was(place: Place) {
    let writing = place.begin().await;
    let journal = writing.journal();
    journal
        .change(vec![change("c-1", "a", None, Move::Adopt)])
        .await
        .unwrap();
    let before = place.record.snapshot().await.unwrap();
    journal
        .change(vec![change("c-2", "a", None, Move::Adopt)])
        .await
        .unwrap();
    assert_eq!(before.participations.count(), 1);
    let now = place.record.snapshot().await.unwrap();
    assert_eq!(now.participations.count(), 2);
    assert!(now.serial > before.serial);
    drop(journal);
    writing.end().await.unwrap();
}

async fn a_snapshot_is_of_one_moment_while_another_run_writes(place: Place) {
    const CHANGES: usize = 200;
    let writing = place.begin().await;
    let journal = writing.journal();
    let base = place.serial().await;
    let write = async {
        for number in 0..CHANGES {
            let change = change(&format!("c-{number}"), "a", None, Move::Adopt);
            journal.change(vec![change]).await.unwrap();
        }
    };
    let read = async {
        loop {
            let seen = place.record.snapshot().await.unwrap();
            let (serial, so_many) = (seen.serial - base, seen.participations.count());
            assert_eq!(usize::try_from(serial).unwrap(), so_many);
            if so_many == CHANGES {
                break;
            }
            tokio::task::yield_now().await;
        }
    };
    tokio::join!(write, read);
    let write = async {
        for number in 0..CHANGES {
            call(&journal, trigger(&format!("d-{number}"), None), ACTIVE, &[]).await;
        }
    };
    let read = async {
        loop {
            let mut calls = 0;
            let seen = place.record.snapshot_and_calls(|_| calls += 1).await;
            let listed = seen.unwrap().participations.listed().unwrap();
            assert_eq!(listed.len(), CHANGES + calls);
            if calls == CHANGES {
                break;
            }
            tokio::task::yield_now().await;
        }
    };
    tokio::join!(write, read);
    drop(journal);
    writing.end().await.unwrap();
}

async fn there_is_no_record_until_one_may_begin(place: Place) {
    let nobody = place.record.snapshot().await.unwrap();
    assert!(nobody.is_new && nobody.serial == 0);
    assert_eq!(nobody.participations.count(), 0);
    assert!(place.record.is_blank().await.unwrap());
    let request = LockRequest {
        may_begin: false,
        ..request()
    };
    let missing = begin(&place.record, request.clone()).await.err();
    assert!(matches!(
        missing,
        Some(LockError::Record(RecordError::Missing { .. }))
    ));
    let writing = place.begin().await;
    assert!(writing.begun().is_made);
    writing.end().await.unwrap();
    assert!(place.record.is_blank().await.unwrap());
    let writing = begin(&place.record, request).await.unwrap();
    assert!(!writing.begun().is_made);
    writing.end().await.unwrap();
}

async fn many_participations_are_read_in_their_order(place: Place) {
    let writing = place.begin().await;
    let journal = writing.journal();
    // More than fit on a page or in one statement, and some contacts of several.
    let mut changes: Vec<Change> = (0..9000)
        .map(|number| {
            change(
                &format!("c-{}", number / 3 % 2500),
                &format!("a-{}", number % 3),
                None,
                Move::Adopt,
            )
        })
        .collect();
    let mut occurrence = change("c-9", "a-0", None, Move::Withhold(SuppressedBy::default()));
    occurrence.key.occurrence = Some(Occurrence::new("2026, \"the\" third").unwrap());
    changes.push(occurrence);
    let mut expected: Vec<Key> = changes.iter().map(|change| change.key.clone()).collect();
    expected.sort();
    expected.dedup();
    journal.change(changes).await.unwrap();
    let keys: Vec<Key> = place
        .all()
        .await
        .into_iter()
        .map(|of| of.participation.key)
        .collect();
    assert_eq!(keys, expected);
    let snapshot = place.record.snapshot().await.unwrap();
    let mut keys: Vec<Key> = snapshot.participations.map(|of| of.unwrap().key).collect();
    assert!(keys.is_sorted_by_key(|key| key.contact.clone()));
    keys.sort();
    assert_eq!(keys, expected);
    // Nobody is in two parts: a plan of one would stop whom the other one has.
    let snapshot = place.record.snapshot().await.unwrap();
    let mut last: Option<ContactId> = None;
    let mut count = 0;
    for part in snapshot.participations.parts() {
        let (from, part) = part.unwrap();
        assert!(last.is_none_or(|last| last < from));
        let contacts: Vec<ContactId> = part.map(|of| of.unwrap().key.contact).collect();
        assert_eq!(contacts.first(), Some(&from));
        count += contacts.len();
        last = contacts.last().cloned();
    }
    assert_eq!(count, expected.len());
    drop(journal);
    writing.end().await.unwrap();
}

async fn of_two_runs_that_begin_at_once_one_is_kept_out(place: Place) {
    place.begin().await.end().await.unwrap();
    for _ in 0..20 {
        let begin = || {
            let record = place.record.clone();
            tokio::spawn(async move { begin(&record, request()).await })
        };
        let (one, other) = (begin(), begin());
        for begun in [one.await.unwrap(), other.await.unwrap()] {
            match begun {
                // The other one may have ended, or not have begun, by then.
                Ok(writing) => writing.end().await.unwrap(),
                Err(error) => assert!(matches!(error, LockError::Held(_)), "{error}"),
            }
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_copy_is_not_moved_to_where_nobody_sees_that_it_is_one() {
    let folder = tempfile::tempdir().unwrap();
    let at = |name: &str| folder.path().join(name);
    let record = Record::at(&at("rollcall.db"));
    let writing = begin(&record, request()).await.unwrap();
    call(&writing.journal(), trigger("c-1", None), ACTIVE, &["id-1"]).await;
    writing.end().await.unwrap();
    std::fs::copy(at("rollcall.db"), at("copy.db")).unwrap();
    let (copy, new) = (Record::at(&at("copy.db")), Record::at(&at("new.db")));
    let expected = Expected::default();
    let error = copy.carry(&new, &expected).await.unwrap_err().to_string();
    assert!(error.contains("copy"), "{error}");
    assert!(!at("new.db").exists());
    // The record itself is, and is closed then.
    record.carry(&new, &expected).await.unwrap();
    assert_eq!(new.list(Selection::default()).await.unwrap().len(), 1);
    assert!(begin(&record, request()).await.is_err());
}
