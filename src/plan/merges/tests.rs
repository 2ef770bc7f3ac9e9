//! People with runs under two ids: what counts, what is stopped, and what is left alone.

use jiff::{Timestamp, ToSpan};

use super::*;
use crate::config::{self, Config};
use crate::id::{AutomationName, Occurrence, TriggerCode};
use crate::participation::{GONE, Move, Over, SUPPRESSED, State};
use crate::plan::decide::{WhyRenewed, WhyStop};
use crate::plan::{Action, Filter, Plan, Turned, parts};
use crate::roster;
use crate::source::Recorded;

const DAY: i64 = 24;

fn now() -> Timestamp {
    "2026-11-23T09:00:00Z".parse().unwrap()
}

/// A configuration in which old and mid are other ids of new, who is declared.
fn config(settings: &str) -> Config {
    without(&format!(
        "{settings}\n[[enrol]]\nautomation = \"a\"\ncontacts = [\"new\"]\n"
    ))
}

/// The same; new is not declared.
fn without(settings: &str) -> Config {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("rollcall.toml");
    let toml = format!(
        "[[merged]]\nfrom = [\"old\", \"mid\"]\nto = \"new\"\n\
         [automation.a]\ntrigger_code = \"code\"\n{settings}\n"
    );
    std::fs::write(&file, toml).unwrap();
    config::load(&file).unwrap()
}

/// What was triggered for an id so many hours ago.
fn of(contact: &str, state: State, hours: i64) -> Participation {
    Participation {
        key: Key {
            contact: ContactId::new(contact).unwrap(),
            automation: AutomationName::new("a").unwrap(),
            occurrence: None,
        },
        state,
        trigger_code: TriggerCode::new("code").unwrap(),
        fields: None,
        has_ids: state == State::Active,
        detail: None,
        triggered_at: Some(now() - hours.hours()),
        left_at: None,
        tries: 0,
        gone_at: None,
        released_at: None,
        triggered_as: None,
    }
}

fn build(config: &Config, rows: &[Participation]) -> Plan {
    build_moved(config, rows, &[])
}

/// The same, with automations that have another name since.
fn build_moved(config: &Config, rows: &[Participation], moves: &[(&str, &str)]) -> Plan {
    let name = |text: &str| AutomationName::new(text).unwrap();
    let moves = moves.iter().map(|(from, to)| (name(from), name(to)));
    let roster = roster::build(config, now(), Recorded::Rows(&[])).unwrap();
    let ids = roster.people().others();
    let ids: HashMap<_, _> = ids.map(|(id, kept)| (id.clone(), kept.clone())).collect();
    let (on_record, recorded): (Vec<_>, Vec<_>) =
        (rows.iter().cloned()).partition(|of| ids.contains_key(&of.key.contact));
    let merged = Merged {
        done: ids.clone(),
        ids,
        on_record,
    };
    let times = (now(), now() - 24.hours());
    let filter = Filter::default();
    let Ok(plan) = Plan::build(
        config,
        &roster,
        parts(recorded),
        &filter,
        times,
        moves.collect(),
        merged,
    );
    plan
}

/// What a plan does and holds, in short.
fn planned(config: &Config, rows: &[Participation]) -> Vec<String> {
    let plan = build(config, rows);
    let actions = plan.actions.iter().map(|action| match action {
        Action::Stop(stop) => format!("stop {} {:?}", stop.participation.key.contact, stop.scope),
        Action::Trigger(_) => "trigger new".to_owned(),
    });
    let held = plan
        .held
        .iter()
        .map(|held| format!("{} {}", held.key.contact, held.state));
    let let_go = plan.let_go.iter();
    let let_go = let_go.map(|of| format!("let go {}", of.participation.key.contact));
    actions.chain(held).chain(let_go).collect()
}

#[test]
fn nothing_is_stopped_under_the_old_id_as_long_as_nothing_runs_for_certain_under_the_new_one() {
    use State::{Active, Refused, StopUncertain, Uncertain};
    let cases: [(State, State, &[&str]); 7] = [
        (Active, Active, &["stop old One"]),
        (Active, Uncertain, &["new uncertain"]),
        (Active, Refused, &[]),
        (Uncertain, Refused, &["old uncertain"]),
        (Uncertain, Uncertain, &["old uncertain", "new uncertain"]),
        (Refused, Refused, &["old refused"]),
        // Nobody is triggered beside what is active, and what may have been stopped is stopped again.
        (Active, StopUncertain, &["stop new All"]),
    ];
    for (old, new, expected) in cases {
        for settings in ["", "participation = \"once\"", "on_leave = \"keep\""] {
            let rows = [of("new", new, 2), of("old", old, 3)];
            let mut planned = planned(&config(settings), &rows);
            let mut expected = expected.to_vec();
            planned.sort();
            expected.sort();
            assert_eq!(planned, expected, "{old} {new} {settings}");
        }
    }
}

#[test]
fn of_several_old_ids_the_one_that_runs_for_certain_goes_on() {
    let rows = [
        of("new", State::LetGo, 2),
        of("mid", State::Uncertain, 3),
        of("old", State::Active, 3),
    ];
    let settings = config("on_leave = \"keep\"");
    assert_eq!(planned(&settings, &rows), ["stop mid All"]);
}

#[test]
fn what_is_let_go_and_goes_on_is_active_so_that_the_old_one_is_stopped() {
    let rows = [of("new", State::LetGo, 2), of("old", State::Active, 3)];
    for leaves in ["on_leave = \"keep\"", "leave_after = \"48h\""] {
        let settings = config(&format!("runs_for = \"2d\"\n{leaves}"));
        assert_eq!(planned(&settings, &rows), ["stop old One"], "{leaves}");
    }
}

#[test]
fn a_run_that_has_ended_by_now_is_no_second_one() {
    let settings = |more: &str| config(&format!("runs_for = \"2d\"\nagain_after = \"3d\"\n{more}"));
    for (old, new) in [(1, 9), (9, 1)] {
        let rows = [
            of("new", State::Active, new * DAY),
            of("old", State::Active, old * DAY),
        ];
        assert_eq!(planned(&settings(""), &rows), [""; 0], "{old} {new}");
    }
    // What was stopped under the other id since does not make it longer.
    let rows = [
        of("new", State::Active, 9 * DAY),
        of("old", State::Stopped, DAY),
    ];
    assert_eq!(planned(&without("runs_for = \"2d\""), &rows), [""; 0]);
    // Who has ended under one id and was there all along is in, whatever was let go under the other one.
    let mut gone = of("old", State::Ended, 4 * DAY);
    gone.detail = Some(GONE.to_owned());
    let rows = [of("new", State::Ended, 5 * DAY), gone];
    let never = config("runs_for = \"2d\"");
    assert_eq!(planned(&never, &rows), [""; 0]);
}

#[test]
fn a_stop_under_the_new_id_goes_by_its_own_id_where_the_old_one_goes_on() {
    let mut kept = of("new", State::StopUncertain, 2);
    kept.has_ids = true;
    let rows = [kept, of("old", State::Active, 3)];
    // Spotler may have made one contact of the two, whose runs one call would stop.
    assert_eq!(planned(&config(""), &rows), ["stop new One"]);
}

#[test]
fn fields_that_change_wait_until_it_is_stopped_under_the_other_id() {
    let settings = config("on_change = \"retrigger\"");
    let mut kept = of("new", State::Active, 2);
    kept.fields = Some(crate::digest::Digest::from_bytes([1; 16]));
    let old = of("old", State::Active, 3);
    assert_eq!(planned(&settings, &[kept.clone(), old]), ["stop old One"]);
    assert_eq!(planned(&settings, &[kept]), ["stop new All", "trigger new"]);
}

#[test]
fn who_was_in_until_it_ended_is_no_new_enrolment_whatever_comes_of_a_stop_under_another_id() {
    use State::{Active, Ended, StopUncertain};
    let declared = config("runs_for = \"2d\"\nagain_after = \"9d\"");
    let due = config("runs_for = \"2d\"\nagain_after = \"3d\"");
    let gone = without("runs_for = \"2d\"\nagain_after = \"3d\"");
    for (old, new, stop, ended) in [
        (StopUncertain, Ended, "stop old All", "new"),
        (StopUncertain, Active, "stop old All", "new"),
        (Ended, StopUncertain, "stop new All", "old"),
        (Active, StopUncertain, "stop new All", "old"),
    ] {
        let rows = [of("new", new, 4 * DAY), of("old", old, 5 * DAY)];
        // Nobody is triggered beside a stop in doubt, also once it is time.
        for settings in [&declared, &due] {
            assert_eq!(planned(settings, &rows), [stop], "{old} {new}");
        }
        // Who is gone meanwhile is a new enrolment when declared again.
        let plan = build(&gone, &rows);
        let over = plan.turns.iter().map(|turn| match &turn.of {
            Turned::Other(of) => (of.0.contact.as_str(), turn.transition),
            Turned::Enrolment(_) => panic!("nobody is declared"),
        });
        let over: Vec<_> = over.collect();
        assert_eq!(over, [(ended, Move::End(Over::Gone))], "{old} {new}");
        assert_eq!(planned(&gone, &rows), [stop], "{old} {new}");
        // Spotler may know the one by the id of the other, and nothing goes on there.
        let stops = [&declared, &gone].map(|settings| match &build(settings, &rows).actions[0] {
            Action::Stop(stop) => (stop.why, stop.instead().count()),
            Action::Trigger(_) => panic!("nobody is triggered"),
        });
        let renewed = WhyStop::Renewed(WhyRenewed::Returned);
        // A call under new goes to no other id: it was sent there first.
        let others = if new == StopUncertain { 0 } else { 2 };
        assert_eq!(stops, [(renewed, others), (WhyStop::Again, others)]);
    }
}

#[test]
fn what_has_ended_and_is_over_outlives_a_doubt_under_another_id() {
    use State::{Ended, StopUncertain, Uncertain};
    for doubt in [StopUncertain, Uncertain] {
        for detail in [None, Some(GONE), Some(SUPPRESSED)] {
            let mut ended = of("old", Ended, 4 * DAY);
            ended.detail = detail.map(str::to_owned);
            let other = of("new", doubt, 5 * DAY);
            for swapped in [false, true] {
                let (mut ended, mut other) = (ended.clone(), other.clone());
                if swapped {
                    std::mem::swap(&mut ended.key, &mut other.key);
                }
                let rows = match swapped {
                    true => [ended, other],
                    false => [other, ended],
                };
                // Whether it is time yet, or is not.
                for days in [3, 9] {
                    let settings = config(&format!(
                        "runs_for = \"2d\"\nagain_after = \"{days}d\"\nparticipation = \"once\""
                    ));
                    let planned = planned(&settings, &rows);
                    let triggers = planned.iter().any(|of| of.starts_with("trigger"));
                    assert!(!triggers, "{doubt} {detail:?} {swapped} {days}");
                }
            }
        }
    }
}

#[test]
fn stops_under_an_old_id_are_in_the_order_of_the_names_that_automations_have_now() {
    let config = without("");
    let in_it = |contact: &str, automation: &str| {
        let mut of = of(contact, State::Active, 3);
        of.key.automation = AutomationName::new(automation).unwrap();
        of
    };
    let rows = ["new", "old"].map(|of| ["b", "c"].map(|name| in_it(of, name)));
    let plan = build_moved(&config, rows.as_flattened(), &[("b", "d")]);
    let stops = plan.actions.iter().map(|action| match action {
        Action::Stop(stop) => stop.participation.key.to_string(),
        Action::Trigger(_) => panic!("nobody is declared"),
    });
    let stops: Vec<_> = stops.collect();
    assert_eq!(stops, ["new / c", "new / d", "old / c", "old / d"]);
}

#[test]
fn who_is_declared_again_leaves_under_no_id() {
    let mut old = of("old", State::Active, 3);
    old.left_at = Some(now() - 1.hour());
    let rows = [of("new", State::LetGo, 2), old];
    let plan = build(&config("leave_after = \"48h\""), &rows);
    let marks = plan.marks.iter();
    let marks: Vec<_> = marks
        .map(|mark| (mark.key.contact.as_str(), mark.left_at))
        .collect();
    assert_eq!(marks, [("old", None)]);
}

#[test]
fn what_was_stopped_under_the_old_id_counts_for_the_cooldown() {
    let rows = [
        of("new", State::Stopped, 9 * DAY),
        of("old", State::Stopped, DAY),
    ];
    let cooling = config("cooldown = \"3d\"");
    assert_eq!(planned(&cooling, &rows), ["new cooling"]);
}

#[test]
fn a_call_that_stops_all_reaches_nothing_that_goes_on_under_the_same_id() {
    let order = |order: &str, of: Participation| {
        let mut of = of;
        of.key.occurrence = Some(Occurrence::new(order).unwrap());
        of
    };
    // The second order is declared, and runs under the old id.
    let config = without(
        "repeat_by = \"order\"\non_leave = \"stop\"\n[contact.new]\norder = \"2\"\n\
         [[enrol]]\nautomation = \"a\"\ncontacts = [\"new\"]",
    );
    let second = [
        order("2", of("new", State::LetGo, 2)),
        order("2", of("old", State::Active, 3)),
    ];
    let planned = |first: &[Participation]| {
        let rows: Vec<_> = first.iter().chain(&second).cloned().collect();
        planned(&config, &rows)
    };
    let mut first = order("1", of("new", State::Active, 3));
    first.triggered_as = Some(ContactId::new("old").unwrap());
    assert_eq!(planned(&[first.clone()]), ["stop new One"]);
    (first.state, first.has_ids) = (State::Uncertain, false);
    assert_eq!(planned(&[first]), ["new uncertain"]);
    let doubtful = order("1", of("old", State::Uncertain, 3));
    let first = [order("1", of("new", State::LetGo, 2)), doubtful];
    assert_eq!(planned(&first), ["old uncertain"]);
}
