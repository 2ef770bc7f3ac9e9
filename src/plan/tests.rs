//! The merge, the guard and the ramps, on a configuration of one file and participations that are given.

use std::collections::HashMap;
use std::convert::Infallible;

use jiff::{Timestamp, ToSpan};

use super::*;
use crate::config;
use crate::id::Occurrence;
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
    let Ok(plan) = Plan::build(
        config,
        &roster,
        parts(recorded),
        &Filter::default(),
        (now(), since),
        Vec::new(),
        Merged::default(),
    );
    let guard = Guard::check(&plan, config, &roster, &BTreeMap::new(), &BTreeMap::new());
    let reasons = guard.breaches.iter().map(ToString::to_string);
    let reasons = reasons.collect();
    (plan, reasons)
}

/// The ids that a stop tries after the one that was triggered.
fn instead(stop: &Stop) -> String {
    let ids = stop.instead().map(ContactId::to_string);
    ids.collect::<Vec<_>>().join(", ")
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

/// A configuration in which the rules meet.
fn rules() -> Config {
    let mut toml = r#"
[automation.welcome]
trigger_code = "code-w"
runs_for = "21d"
again_after = "90d"
cooldown = "3d"
max_per_run = 5
[automation.winback]
trigger_code = "code-b"
leave_after = "48h"
[automation.orders]
trigger_code = "code-o"
repeat_by = "order"
on_leave = "keep"
[[moved]]
from = "hello"
to = "welcome"
[[enrol]]
automation = "welcome"
where.status = "new"
stay.status = ["new", "old"]
lot = { name = "half", from = "0%", to = "50%" }
[[enrol]]
automation = "winback"
where.status = "old"
lot = { name = "most", from = "20%", to = "100%" }
[[enrol]]
automation = "orders"
where.order = { exists = true }
[[exclusive]]
automations = ["winback", "welcome"]
[[suppress]]
contacts = ["c-07", "c-16", "c-25", "c-34", "c-43", "c-52", "c-61"]
"#
    .to_owned();
    for (place, contact) in people(0..60).into_iter().enumerate() {
        let status = ["new", "old", "lost"][place % 3];
        toml += &format!("[contact.{contact}]\nstatus = \"{status}\"\n");
        if place % 4 == 0 {
            toml += &format!("order = \"o-{place}\"\n");
        }
    }
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("rollcall.toml");
    std::fs::write(&file, toml).unwrap();
    config::load(&file).unwrap()
}

/// Of those who are in and of those who are gone, what each may be in; of some nothing is on record.
fn lives() -> Vec<Participation> {
    let states = [
        State::Active,
        State::Uncertain,
        State::Stopped,
        State::Ended,
        State::Failed,
        State::LetGo,
        State::StopUncertain,
        State::Failed,
    ];
    let on_record = people(20..90).into_iter().enumerate();
    let on_record = on_record.filter(|(place, _)| place % 7 != 3);
    let lives = on_record.flat_map(|(place, contact)| {
        let names = [
            ["orders", "welcome"],
            ["welcome", "winback"],
            ["hello", "winback"],
        ];
        names[place % 3].map(|name| {
            let mut of = recorded(&contact, name, states[place % states.len()]);
            let days = 24 * (place as i64 % 30);
            of.triggered_at = Some(now() - days.hours());
            of.gone_at = (place % 5 == 0).then(|| now() - 1.hours());
            if name == "orders" {
                of.key.occurrence = Some(Occurrence::new(format!("o-{}", place + 20)).unwrap());
            }
            of
        })
    });
    lives.collect()
}

#[test]
fn a_plan_is_the_same_in_parts_of_any_size() {
    let config = rules();
    let roster = roster::build(&config, now(), Recorded::Rows(&[])).unwrap();
    let on_record = lives();
    let id = |text: &str| ContactId::new(text).unwrap();
    let merged = || {
        // They are kept before and behind the others, and among them.
        let ids = [
            ("c-22", "c-59"),
            ("c-80", "c-01"),
            ("c-70", "c-71"),
            ("x", "c-30"),
        ];
        let ids = ids.map(|(from, to)| (id(from), id(to)));
        let mut on_record = on_record.clone();
        on_record.retain(|of| ids.iter().any(|(from, _)| *from == of.key.contact));
        Merged {
            ids: ids.into_iter().collect(),
            done: HashMap::from([(id("x"), id("c-31"))]),
            on_record,
        }
    };
    let planned = |size: usize| {
        let contacts = on_record.chunk_by(|a, b| a.key.contact == b.key.contact);
        let contacts: Vec<_> = contacts.collect();
        let parts = contacts.chunks(size).map(|part| {
            let rows: Vec<_> = part.concat();
            Ok::<_, Infallible>((rows[0].key.contact.clone(), rows.into_iter().map(Ok)))
        });
        let Ok(plan) = Plan::build(
            &config,
            &roster,
            parts,
            &Filter::default(),
            (now(), now() - 24.hours()),
            config.steps_of_moves(&[]),
            merged(),
        );
        plan
    };
    let whole = planned(usize::MAX);
    // There is something of each kind to put together.
    let counts = [
        ("triggers", whole.triggers() as usize),
        ("stops", whole.stops() as usize),
        ("unchanged", whole.unchanged as usize),
        ("held", whole.held.len()),
        ("withheld", whole.withheld.len()),
        ("let go", whole.let_go.len()),
        ("turns", whole.turns.len()),
        ("marks", whole.marks.len()),
        ("by record", whole.by_record.len()),
        ("displaced", whole.displaced.len()),
        ("moved", whole.moved.len()),
        ("merged", whole.merged.len()),
        ("ids", whole.merges.ids.len()),
        ("rows", whole.merges.rows.len()),
        ("tried", whole.tried.len()),
    ];
    assert_eq!(
        counts.iter().find(|(_, count)| *count == 0),
        None,
        "{counts:?}"
    );
    let whole = format!("{whole:#?}");
    for size in [1, 2, 3, 17, 40] {
        assert_eq!(format!("{:#?}", planned(size)), whole, "{size}");
    }
}

#[test]
fn an_error_in_a_part_is_one_of_the_plan() {
    // Some are withheld.
    let config = rules();
    let roster = roster::build(&config, now(), Recorded::Rows(&[])).unwrap();
    let part = |contact: &str, is_good: bool| {
        let rows = vec![match is_good {
            true => Ok(recorded(contact, "welcome", State::Active)),
            false => Err("a row that is cut short"),
        }];
        Ok((ContactId::new(contact).unwrap(), rows.into_iter()))
    };
    let unread = || Err("a page that is cut short");
    for (parts, error) in [
        (vec![unread()], "a page that is cut short"),
        (
            vec![part("c-00", true), unread()],
            "a page that is cut short",
        ),
        (
            vec![part("c-00", true), part("c-01", false), part("c-02", true)],
            "a row that is cut short",
        ),
        (
            // Out of their order, as their rows say.
            vec![part("c-00", true), part("c-50", false), part("c-10", true)],
            "a row that is cut short",
        ),
    ] {
        let planned = Plan::build(
            &config,
            &roster,
            parts.into_iter(),
            &Filter::default(),
            (now(), now()),
            Vec::new(),
            Merged::default(),
        );
        assert_eq!(planned.err(), Some(error));
    }
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
fn of_all_who_are_in_few_who_have_ended_may_go_at_once() {
    let refused = |running: usize, ended: usize, settings: &str| {
        let config = config(settings, "", &people(0..running));
        let mut on_record = active(&people(0..running));
        let gone = people(running..running + ended);
        on_record.extend(gone.iter().map(|of| recorded(of, "welcome", State::Ended)));
        plan(&config, on_record).1.len()
    };
    // Of a week, one day's people have ended, and leave.
    assert_eq!(refused(60, 10, ""), 0);
    // A number is of stops, and nothing is stopped.
    assert_eq!(refused(60, 10, "max_stops = 3"), 0);
    for settings in ["", "max_stops = 3"] {
        assert_eq!(refused(20, 10, settings), 1, "{settings}");
        assert_eq!(refused(1, 30, settings), 1, "{settings}");
    }
    assert_eq!(refused(20, 10, "max_stops = \"50%\""), 0);
    assert_eq!(refused(1, 18, ""), 0);
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

/// The same of people who have two ids: each, and the one that is kept. Some of these the record has already.
fn plan_merged(
    config: &Config,
    recorded: &[Participation],
    ids: &[(&str, &str)],
    done: &[(&str, &str)],
) -> (Plan, Vec<String>) {
    let id = |text: &str| ContactId::new(text).unwrap();
    let pairs = |list: &[(&str, &str)]| {
        let pairs = list.iter().map(|(from, to)| (id(from), id(to)));
        pairs.collect::<HashMap<_, _>>()
    };
    let mut merged = Merged {
        ids: pairs(ids),
        done: pairs(done),
        on_record: recorded.to_vec(),
    };
    let ids = &merged.ids;
    merged
        .on_record
        .retain(|of| ids.contains_key(&of.key.contact));
    let roster = roster::build(config, now(), Recorded::Rows(&[])).unwrap();
    let since = now().saturating_sub(24.hours()).unwrap();
    let mut recorded = recorded.to_vec();
    recorded.sort_by(|a, b| a.key.cmp(&b.key));
    let Ok(plan) = Plan::build(
        config,
        &roster,
        parts(recorded),
        &Filter::default(),
        (now(), since),
        Vec::new(),
        merged,
    );
    let guard = Guard::check(&plan, config, &roster, &BTreeMap::new(), &BTreeMap::new());
    let reasons = guard.breaches.iter().map(ToString::to_string);
    let reasons = reasons.collect();
    (plan, reasons)
}

/// What the record is to write, in short: `c-09 > c-05`.
fn merges(plan: &Plan) -> Vec<String> {
    let rows = plan.merges.rows.iter();
    rows.map(|of| format!("{} > {}", of.of.contact, of.to))
        .collect()
}

#[test]
fn active_under_either_id_is_active() {
    let config = config("", "", &people(5..6));
    for old in ["c-00", "c-09"] {
        let on_record = [recorded(old, "welcome", State::Active)];
        let (plan, refused) = plan_merged(&config, &on_record, &[(old, "c-05")], &[]);
        assert_eq!(actions(&plan, &config), [""; 0], "{old}");
        assert_eq!(merges(&plan), [format!("{old} > c-05")]);
        assert_eq!((plan.unchanged, plan.is_empty()), (1, false));
        assert_eq!(refused, [""; 0]);
        // Once that is on record, there is nothing to do, and what comes of the old id is none.
        let mut whole = recorded("c-05", "welcome", State::Active);
        whole.triggered_as = Some(ContactId::new(old).unwrap());
        let merged = [(old, "c-05")];
        let (plan, _) = plan_merged(&config, &[whole], &merged, &merged);
        assert!(plan.is_nothing());
    }
}

#[test]
fn active_under_both_ids_is_stopped_under_the_one_that_is_not_kept() {
    let config = config(
        "",
        "on_leave = \"keep\"\nleave_after = \"48h\"",
        &people(5..7),
    );
    let on_record = [
        recorded("c-05", "welcome", State::Active),
        recorded("c-06", "welcome", State::Active),
        recorded("c-09", "welcome", State::Active),
    ];
    let merged = [("c-09", "c-05")];
    let (plan, _) = plan_merged(&config, &on_record, &merged, &[]);
    assert_eq!(actions(&plan, &config), ["stop c-09"]);
    let Action::Stop(stop) = &plan.actions[0] else {
        panic!("{plan:?}")
    };
    assert_eq!((stop.why, stop.scope), (WhyStop::Merged, StopScope::One));
    assert_eq!(&*stop.reason, "merged with c-05, who is in it too");
    assert_eq!(instead(stop), "c-05");
    // Where no id is on record, the call that stops all goes to the old one alone.
    let mut no_ids = on_record.clone();
    no_ids[2].has_ids = false;
    let (plan, _) = plan_merged(&config, &no_ids, &merged, &[]);
    let Action::Stop(stop) = &plan.actions[0] else {
        panic!("{plan:?}")
    };
    assert_eq!((stop.scope, &*instead(stop)), (StopScope::All, ""));
    let mut stopped = on_record.clone();
    stopped[2].state = State::Stopped;
    let (plan, _) = plan_merged(&config, &stopped, &merged, &merged);
    assert!(plan.is_nothing());
}

#[test]
fn a_stop_under_the_old_id_reaches_nothing_that_stays_though_its_contact_is_suppressed() {
    let more = "[[suppress]]\ncontacts = [\"c-05\"]\nautomation = \"welcome\"\n\
                [[enrol]]\nautomation = \"winback\"\ncontacts = [\"c-05\"]\n";
    let config = config("", more, &people(5..6));
    let mut on_record = [
        recorded("c-05", "welcome", State::Active),
        recorded("c-05", "winback", State::Active),
        recorded("c-09", "welcome", State::Active),
    ];
    // It went out under the old id and by the same code.
    on_record[1].triggered_as = Some(ContactId::new("c-09").unwrap());
    on_record[1].trigger_code = on_record[0].trigger_code.clone();
    on_record[2].has_ids = false;
    let merged = [("c-09", "c-05")];
    let (plan, _) = plan_merged(&config, &on_record, &merged, &merged);
    assert_eq!(actions(&plan, &config), ["stop c-05"]);
    let [held] = &plan.held[..] else {
        panic!("{plan:?}")
    };
    assert_eq!(held.key.contact.as_str(), "c-09");
    assert!(held.reason.contains("suppressed in those too"));
}

#[test]
fn a_stop_goes_to_the_id_that_was_triggered_and_then_to_the_one_that_is_kept() {
    let config = config("", "", &people(1..2));
    let on_record = [recorded("c-00", "winback", State::Active)];
    let (plan, _) = plan_merged(&config, &on_record, &[("c-00", "c-01")], &[]);
    assert_eq!(actions(&plan, &config), ["stop c-01", "trigger c-01"]);
    let Action::Stop(stop) = &plan.actions[0] else {
        panic!("{plan:?}")
    };
    assert_eq!(stop.sent_to().as_str(), "c-00");
    assert_eq!(instead(stop), "c-01");
}

#[test]
fn a_stop_tries_each_id_of_the_person_and_none_under_which_something_else_may_run() {
    let config = config("", "", &people(5..6));
    let mut old = recorded("c-00", "winback", State::Active);
    old.trigger_code = TriggerCode::new("code-b").unwrap();
    let merged = [("c-00", "c-05"), ("c-01", "c-05")];
    let tried = |on_record: &[Participation]| {
        let (plan, _) = plan_merged(&config, on_record, &merged, &[]);
        let stops = plan.actions.iter().filter_map(|action| match action {
            Action::Stop(stop) => Some(stop),
            Action::Trigger(_) => None,
        });
        let [stop] = &stops.collect::<Vec<_>>()[..] else {
            panic!("{plan:?}")
        };
        instead(stop)
    };
    // Spotler may have made one contact of c-00 and c-01, and not of these and c-05.
    assert_eq!(tried(std::slice::from_ref(&old)), "c-01, c-05");
    // What was let go under c-01 runs out beside it.
    let kept = recorded("c-05", "welcome", State::Active);
    let mut other = recorded("c-01", "welcome", State::LetGo);
    other.trigger_code = old.trigger_code.clone();
    let on_record = [old, kept, other];
    assert_eq!(tried(&on_record), "c-01, c-05");
    // By its id, it alone is stopped; the call that stops all would reach the other one.
    let mut nameless = on_record;
    nameless[0].has_ids = false;
    assert_eq!(tried(&nameless), "c-05");
}

#[test]
fn cooldown_and_doubt_carry_over() {
    let settings = "cooldown = \"30d\"\nparticipation = \"once\"";
    let config = config("", settings, &people(5..6));
    let merged = [("c-00", "c-05")];
    let of = |old, new| {
        let on_record = [
            recorded("c-00", "welcome", old),
            recorded("c-05", "welcome", new),
        ];
        let (plan, _) = plan_merged(&config, &on_record, &merged, &[]);
        assert!(plan.actions.is_empty());
        let states = plan.held.iter().map(|held| held.state);
        states.collect::<Vec<_>>()
    };
    assert_eq!(of(State::Stopped, State::Failed), ["cooling"]);
    // Spotler refuses a second trigger of one contact, and this is another one to it.
    assert_eq!(of(State::Uncertain, State::Withheld), ["uncertain"]);
}

#[test]
fn of_three_ids_each_row_is_written_once() {
    let config = config("", "", &people(5..6));
    let rows = |states: [State; 3]| {
        let ids = ["c-00", "c-01", "c-05"];
        let on_record = [0, 1, 2].map(|at| recorded(ids[at], "welcome", states[at]));
        let merged = [("c-00", "c-05"), ("c-01", "c-05")];
        let (plan, _) = plan_merged(&config, &on_record, &merged, &[]);
        let [row] = &plan.merges.rows[..] else {
            panic!("{:?}", plan.merges)
        };
        let mut over: Vec<_> = row.over.iter().map(|of| of.contact.to_string()).collect();
        over.sort();
        format!("{} over {}", row.of.contact, over.join(" and "))
    };
    use State::{Active, Failed, Stopped};
    let first = rows([Active, Stopped, Failed]);
    assert_eq!(first, "c-00 over c-01 and c-05");
    let second = rows([Stopped, Active, Failed]);
    assert_eq!(second, "c-01 over c-00 and c-05");
    let kept = rows([Stopped, Failed, Active]);
    assert_eq!(kept, "c-05 over c-00 and c-01");
}

#[test]
fn the_guard_knows_who_is_merged_and_refuses_who_only_looks_alike() {
    let config = config("", "", &people(5..6));
    let on_record = [recorded("C-05", "welcome", State::Active)];
    let (_, refused) = plan_merged(&config, &on_record, &[], &[]);
    assert_eq!(refused.len(), 1);
    let (plan, refused) = plan_merged(&config, &on_record, &[("C-05", "c-05")], &[]);
    assert_eq!(refused, [""; 0]);
    assert!(plan.actions.is_empty());
}
