//! The merge, the guard and the ramps, on a configuration of one file and participations that are given.

use std::convert::Infallible;

use jiff::{Timestamp, ToSpan};

use super::*;
use crate::config;
use crate::roster;
use crate::source::Recorded;

const NOW: &str = "2026-11-23T09:00:00Z";

fn now() -> Timestamp {
    NOW.parse().unwrap()
}

/// A configuration of two automations, with settings of the first one and of the guard.
fn config(guard: &str, welcome: &str, contacts: &[String]) -> Config {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("rollcall.toml");
    let toml = format!(
        "[guard]\n{guard}\n[automation.welcome]\ntrigger_code = \"code-w\"\n{welcome}\n\
         [automation.winback]\ntrigger_code = \"code-b\"\n\
         [[enrol]]\nautomation = \"welcome\"\ncontacts = {contacts:?}\n"
    );
    std::fs::write(&file, toml).unwrap();
    config::load(&file).unwrap()
}

fn people(range: std::ops::Range<usize>) -> Vec<String> {
    range.map(|n| format!("c-{n:02}")).collect()
}

fn recorded(contact: &str, automation: &str, state: State) -> Participation {
    Participation {
        key: Key {
            contact: ContactId::new(contact).unwrap(),
            automation: AutomationName::new(automation).unwrap(),
            occurrence: None,
        },
        state,
        trigger_code: TriggerCode::new(format!("code-{}", &automation[..1])).unwrap(),
        fields: None,
        has_ids: true,
        detail: None,
        triggered_at: Some(now().saturating_sub(48.hours()).unwrap()),
        left_at: None,
        tries: 0,
        gone_at: None,
        released_at: None,
        triggered_as: None,
    }
}

fn active(contacts: &[String]) -> Vec<Participation> {
    let contacts = contacts.iter();
    contacts
        .map(|contact| recorded(contact, "welcome", State::Active))
        .collect()
}

/// The plan, and what the guard says of it.
fn plan(config: &Config, recorded: Vec<Participation>) -> (Plan, Vec<String>) {
    let roster = roster::build(config, now(), Recorded::Rows(&[])).unwrap();
    let since = now().saturating_sub(24.hours()).unwrap();
    let recorded = recorded.into_iter().map(Ok::<_, Infallible>);
    let Ok(plan) = Plan::build(
        config,
        &roster,
        recorded,
        &Filter::default(),
        now(),
        since,
        Vec::new(),
    );
    let guard = Guard::check(&plan, config, &roster, &BTreeMap::new(), &BTreeMap::new());
    let reasons = guard.breaches.iter().map(ToString::to_string);
    let reasons = reasons.collect();
    (plan, reasons)
}

/// The actions in short: `stop c-01`.
fn actions(plan: &Plan, config: &Config) -> Vec<String> {
    let roster = roster::build(config, now(), Recorded::Rows(&[])).unwrap();
    let of = |action: &Action| match action {
        Action::Stop(stop) => format!("stop {}", stop.participation.key.contact),
        Action::Trigger(trigger) => {
            format!("trigger {}", roster.get(trigger.enrolment as usize).contact)
        }
    };
    plan.actions.iter().map(of).collect()
}

#[test]
fn who_is_declared_alone_is_triggered_and_who_is_on_record_alone_is_stopped() {
    let config = config("", "", &people(1..4));
    let on_record = vec![
        recorded("c-00", "welcome", State::Active),
        recorded("c-01", "welcome", State::Active),
        recorded("c-02", "welcome", State::Uncertain),
    ];
    let (plan, refused) = plan(&config, on_record);
    assert_eq!(actions(&plan, &config), ["stop c-00", "trigger c-03"]);
    assert_eq!((plan.triggers(), plan.stops(), plan.unchanged), (1, 1, 1));
    assert_eq!(plan.held[0].state, "uncertain");
    assert_eq!(refused, [""; 0]);
}

#[test]
fn a_stop_of_a_contact_goes_before_its_trigger() {
    let config = config("", "", &people(0..1));
    let (plan, _) = plan(&config, vec![recorded("c-00", "winback", State::Active)]);
    assert_eq!(actions(&plan, &config), ["stop c-00", "trigger c-00"]);
}

#[test]
fn the_guard_counts_the_plan_and_the_day_before() {
    let settings = "max_triggers = 10";
    let (_, refused) = plan(&config(settings, "", &people(0..10)), Vec::new());
    assert_eq!(refused, [""; 0]);
    let mut earlier = active(&people(0..6));
    for participation in &mut earlier {
        participation.triggered_at = Some(now().saturating_sub(1.hour()).unwrap());
    }
    let (_, refused) = plan(&config(settings, "", &people(0..11)), earlier.clone());
    let [reason] = &refused[..] else {
        panic!("{refused:?}")
    };
    assert!(reason.starts_with("too many triggers"), "{reason}");
    assert!(
        reason.contains("6 triggered in the last 24 hours"),
        "{reason}"
    );
    // A plan that triggers nobody is not refused for what was done before.
    let (_, refused) = plan(&config("max_triggers = 1", "", &people(0..6)), earlier);
    assert_eq!(refused, [""; 0]);
}

#[test]
fn a_share_of_few_means_nothing_and_a_share_of_twenty_does() {
    let all = |count| active(&people(0..count));
    let (_, refused) = plan(&config("", "", &people(0..1)), all(19));
    assert_eq!(refused, [""; 0]);
    let (_, refused) = plan(&config("", "", &people(0..16)), all(20));
    assert_eq!(refused, [""; 0]);
    let (_, refused) = plan(&config("", "", &people(0..15)), all(20));
    let [reason] = &refused[..] else {
        panic!("{refused:?}")
    };
    assert!(reason.contains("25.0% (5 of 20) is over 20%"), "{reason}");
}

#[test]
fn an_automation_with_its_own_limit_is_held_against_that_alone() {
    let own = "max_triggers = 5";
    let (_, refused) = plan(&config("max_triggers = 0", own, &people(0..5)), Vec::new());
    assert_eq!(refused, [""; 0]);
    let (_, refused) = plan(&config("max_triggers = 99", own, &people(0..6)), Vec::new());
    let [reason] = &refused[..] else {
        panic!("{refused:?}")
    };
    assert!(reason.contains("in welcome"), "{reason}");
}

#[test]
fn a_ramp_lets_who_was_never_tried_go_first() {
    let config = config("", "max_per_run = 2", &people(0..4));
    let failed = recorded("c-00", "welcome", State::Failed);
    let (mut plan, _) = plan(&config, vec![failed]);
    let roster = roster::build(&config, now(), Recorded::Rows(&[])).unwrap();
    plan.defer(&config, &roster, &Sent::default(), now());
    assert_eq!(actions(&plan, &config), ["trigger c-01", "trigger c-02"]);
    let deferred: Vec<_> = plan.deferred.iter().map(|of| of.why).collect();
    assert_eq!(deferred, [WhyDeferred::PerRun; 2]);
}

#[test]
fn a_day_that_is_used_up_defers_to_the_next_one() {
    let config = config("", "max_per_day = 3", &people(0..2));
    let (mut plan, _) = plan(&config, Vec::new());
    let roster = roster::build(&config, now(), Recorded::Rows(&[])).unwrap();
    let sent = [(AutomationName::new("welcome").unwrap(), 2)];
    let sent = Sent {
        on_the_day: BTreeMap::from(sent),
        ..Sent::default()
    };
    plan.defer(&config, &roster, &sent, now());
    assert_eq!(actions(&plan, &config), ["trigger c-00"]);
    let [deferred] = &plan.deferred[..] else {
        panic!("{:?}", plan.deferred)
    };
    assert_eq!(deferred.why, WhyDeferred::PerDay { sent: 2 });
    let midnight = "2026-11-24T00:00:00Z".parse().unwrap();
    assert_eq!(deferred.until, Some(midnight));
}

#[test]
fn nothing_is_triggered_while_the_window_is_closed() {
    let mut config = config("", "", &people(0..2));
    let with_window = "[window]\ntriggers = \"Sat 10:00-14:00 UTC\"\n";
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("rollcall.toml");
    std::fs::write(&file, with_window).unwrap();
    config.window = config::load(&file).unwrap().window;
    let gone = recorded("c-09", "welcome", State::Active);
    let (mut plan, _) = plan(&config, vec![gone]);
    let roster = roster::build(&config, now(), Recorded::Rows(&[])).unwrap();
    plan.defer(&config, &roster, &Sent::default(), now());
    assert_eq!(actions(&plan, &config), ["stop c-09"]);
    let opens = "2026-11-28T10:00:00Z".parse().unwrap();
    let all = plan.deferred.iter().map(|of| (of.why, of.until));
    assert_eq!(
        all.collect::<Vec<_>>(),
        [(WhyDeferred::Window, Some(opens)); 2]
    );
}
