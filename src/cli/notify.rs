//! `[notify]`: tells people that an apply did not end well, where that is news. Numbers and names of automations, never ids or
//! cells.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use super::metrics::Seen;
use super::output::{Declined, Output};
use super::{CommandError, Common, Exit, Session};
use crate::apply::{End, Outcome, Run};
use crate::config::{self, Notify};
use crate::digest::Hasher;
use crate::engine::{Error, Planned};
use crate::location::Location;
use crate::report::plural;
use crate::spotler;
use crate::text::SafeText;

/// What the file begins with that says what was said last.
const START: &str = "rollcall notified ";

/// So many places of problems are named.
const MOST_PLACES: usize = 5;

/// How an apply ended.
pub(super) struct Ended<'a> {
    pub exit: Exit,
    pub error: Option<&'a CommandError>,
    pub seen: &'a Seen,
    /// Whether calls of an earlier run were found in doubt.
    pub has_recovered: bool,
}

/// Posts how an apply ended, where somebody is to be told and has not been told the same before. Whatever comes of that, it is
/// no failure of the apply.
pub(super) async fn tell(
    session: Option<&Session>,
    common: &Common,
    ended: &Ended<'_>,
    output: &Output,
) {
    let Some((notify, root, record)) = whom(session, common) else {
        return;
    };
    let places = places(&root, &record);
    if ended.exit == Exit::Fine {
        places.iter().for_each(|place| drop(forget(place)));
        return;
    }
    let is_declined = |error: &CommandError| match error {
        CommandError::Other(error) => error.is::<Declined>(),
        CommandError::Problems(_) => false,
    };
    if ended.error.is_some_and(is_declined) {
        return;
    }
    let (text, likeness) = (text(&root, ended), likeness(ended));
    if likeness.is_some() && places.iter().any(|place| said(place) == likeness) {
        return;
    }
    let sent = match &notify.webhook {
        Ok(webhook) => spotler::post(webhook, &text).await,
        Err(why) => Err(why.clone()),
    };
    match sent {
        // Where it can be kept nowhere, the same is said again.
        Ok(()) => drop(
            places
                .iter()
                .any(|place| remember(place, likeness.as_deref())),
        ),
        Err(why) => output.warn(|out| {
            let place = &notify.place;
            writeln!(
                out,
                "warning: Nobody was notified of this ({place}): {why}."
            )
        }),
    }
}

/// Whom to tell, with the folder of the configuration and the record; of a configuration that is not valid too.
fn whom(session: Option<&Session>, common: &Common) -> Option<(Notify, PathBuf, Location)> {
    if let Some(Session { engine, .. }) = session {
        let config = engine.config();
        let notify = config.notify.clone()?;
        return Some((notify, config.root.clone(), config.record.at.clone()));
    }
    let here = std::env::current_dir().ok()?;
    let file = config::find(common.config.as_deref(), &here).ok()?;
    let (notify, record) = config::notify_of(&file)?;
    Some((notify, file.parent()?.to_owned(), record))
}

/// Where what was said last is kept: beside the record, or beside the configuration.
fn places(root: &Path, record: &Location) -> Vec<PathBuf> {
    let beside = match record {
        Location::File(path) => {
            let mut name = path.clone().into_os_string();
            name.push(".notified");
            Some(PathBuf::from(name))
        }
        _ => None,
    };
    let mut places: Vec<PathBuf> = beside.into_iter().collect();
    places.push(root.join(".rollcall.notified"));
    places
}

fn said(place: &Path) -> Option<String> {
    let text = fs::read_to_string(place).ok()?;
    text.strip_prefix(START).map(|rest| rest.trim().to_owned())
}

/// A file that says anything else is somebody else's.
fn is_ours(place: &Path) -> bool {
    !place.exists() || said(place).is_some()
}

fn forget(place: &Path) -> std::io::Result<()> {
    match said(place) {
        Some(_) => fs::remove_file(place),
        None => Ok(()),
    }
}

fn remember(place: &Path, likeness: Option<&str>) -> bool {
    let text = format!("{START}{}\n", likeness.unwrap_or("-"));
    is_ours(place) && fs::write(place, text).is_ok()
}

/// What makes two ends alike: what they say, but for how large their numbers are exactly. `None` is like no other: who is in doubt
/// now was not before.
fn likeness(ended: &Ended<'_>) -> Option<String> {
    let counts = ended.seen.run.as_ref().map(counts).unwrap_or_default();
    let in_doubt = [Outcome::Uncertain, Outcome::StopUncertain];
    let has_doubts = in_doubt.iter().any(|of| counts.contains_key(of));
    if ended.has_recovered || has_doubts {
        return None;
    }
    let mut hasher = Hasher::new();
    hasher.part(rounded(&text(Path::new(""), ended)).as_bytes());
    if let Some(error) = ended.error {
        let text = match error {
            CommandError::Problems(problems) => problems.render(false, 100),
            CommandError::Other(error) => format!("{error:#}"),
        };
        hasher.part(rounded(&text).as_bytes());
    }
    Some(hasher.finish().to_string())
}

/// A text with each number by its length in bits alone, so that a count that grows a little says nothing new.
fn rounded(text: &str) -> String {
    let mut out = String::new();
    let mut number: Option<u64> = None;
    for c in text.chars().chain(['\n']) {
        match (c.to_digit(10), number) {
            (Some(digit), before) => {
                let before = before.unwrap_or(0);
                number = Some(before.saturating_mul(10).saturating_add(digit.into()));
            }
            // Thousands are apart.
            (None, Some(_)) if c == ',' => {}
            (None, before) => {
                if let Some(number) = before {
                    out.push_str(&format!("#{}", u64::BITS - number.leading_zeros()));
                }
                number = None;
                out.push(c);
            }
        }
    }
    out
}

fn counts(run: &Run) -> BTreeMap<Outcome, u64> {
    let mut counts = BTreeMap::new();
    for place in 0..run.settled.len() {
        *counts.entry(run.outcome(place)).or_insert(0) += 1;
    }
    counts
}

fn words(counts: &BTreeMap<Outcome, u64>) -> String {
    let words = counts
        .iter()
        .map(|(outcome, count)| format!("{count} {outcome}"));
    words.collect::<Vec<_>>().join(", ")
}

/// What is said.
fn text(root: &Path, ended: &Ended<'_>) -> String {
    let name = root.file_name().map(|name| name.to_string_lossy());
    let name = name.map_or_else(String::new, |name| format!(" ({})", SafeText(&name)));
    let mut text = match (ended.exit, &ended.seen.planned) {
        (Exit::Refused, Some(planned)) => refused(planned, ended.seen.run.as_ref()),
        (Exit::Incomplete, planned) => incomplete(planned.as_ref(), ended.seen.run.as_ref()),
        _ => match ended.error {
            Some(error) => format!("nothing was done. {}", failure(error)),
            None => "nothing was done.".to_owned(),
        },
    };
    if ended.has_recovered {
        text.push_str(
            "\nAn earlier run ended while calls were under way, and nobody knows whether Spotler carried them out. Look at \
             them with `rollcall record list --state uncertain`, and settle them with `rollcall resolve`.",
        );
    }
    format!("Rollcall{name}: {text}")
}

fn refused(planned: &Planned, run: Option<&Run>) -> String {
    let (plan, guard) = (&planned.plan, &planned.guard);
    let mut text = format!(
        "the guard refused an apply of {} and {}.",
        plural(plan.triggers(), "trigger"),
        plural(plan.stops(), "stop")
    );
    let stopped = run.map(|run| {
        let places = plan.actions.iter().enumerate();
        let mut counts = BTreeMap::new();
        for (place, _) in places.filter(|(_, action)| action.is_of_suppressed()) {
            *counts.entry(run.outcome(place)).or_insert(0) += 1;
        }
        counts
    });
    match stopped.filter(|counts: &BTreeMap<Outcome, u64>| !counts.is_empty()) {
        None => text.push_str(" Nothing was sent."),
        Some(counts) => text.push_str(&format!(
            " Nothing was sent but the stops of suppressed contacts: {}.",
            words(&counts)
        )),
    }
    for breach in &guard.breaches {
        text.push_str(&format!("\n- {}", SafeText(&breach.words(true))));
    }
    text.push_str("\nLook at it with `rollcall plan`; if this is what you want, `rollcall apply --allow-large`.");
    text
}

fn incomplete(planned: Option<&Planned>, run: Option<&Run>) -> String {
    let (Some(planned), Some(run)) = (planned, run) else {
        return "an apply ended early. What it did may not all be on record; its log says why."
            .to_owned();
    };
    let counts = counts(run);
    let went = match counts.keys().all(|outcome| outcome.is_good()) {
        true => "an apply ended",
        false => "an apply did not all go well",
    };
    let mut text = match counts.is_empty() {
        true => format!("{went}, with nothing to do."),
        false => format!("{went}: {}.", words(&counts)),
    };
    let mut by_automation: BTreeMap<&str, BTreeMap<Outcome, u64>> = BTreeMap::new();
    let view = planned.view();
    for (place, action) in planned.plan.actions.iter().enumerate() {
        let outcome = run.outcome(place);
        if !outcome.is_good() {
            let counts = by_automation.entry(view.automation(action)).or_default();
            *counts.entry(outcome).or_insert(0) += 1;
        }
    }
    for (automation, counts) in &by_automation {
        text.push_str(&format!("\n- {}: {}", SafeText(automation), words(counts)));
    }
    if let Some(end) = &run.end {
        text.push_str(match end {
            End::Interrupted => "\nIt was interrupted by a signal.",
            End::Unauthorized { .. } => "\nSpotler refused the credentials.",
            End::Unavailable { .. } => "\nSpotler could not be reached for too long.",
            End::Doubts { .. } => "\nIt ended early: calls were left without a readable answer.",
            End::Mixups { .. } => "\nIt ended early: answers were not for their calls.",
            End::Record { .. } => "\nIt ended early: the record could not be written.",
        });
    }
    if let Some(warning) = run.warning() {
        text.push_str(&format!("\nAnother account? {warning}."));
    }
    if counts.contains_key(&Outcome::Uncertain) {
        text.push_str("\nUncertain triggers are not sent again by themselves: look at them in Spotler, then `rollcall resolve`.");
    }
    text
}

/// Why nothing was done, without what a message may hold of a row.
fn failure(error: &CommandError) -> String {
    let error = match error {
        CommandError::Problems(problems) => {
            let count = plural(problems.list.len() as u64, "problem");
            let mut places: Vec<String> = problems
                .list
                .iter()
                .filter_map(|problem| Some(problem.at.as_ref()?.to_string()))
                .collect();
            places.dedup();
            let more = places.len().saturating_sub(MOST_PLACES);
            places.truncate(MOST_PLACES);
            let mut at = match places.is_empty() {
                true => String::new(),
                false => format!(": {}", SafeText(&places.join(", "))),
            };
            if more > 0 {
                at.push_str(&format!(" and {more} more"));
            }
            return format!(
                "The configuration or its sources have {count}{at}. `rollcall validate` shows what to write."
            );
        }
        CommandError::Other(error) => error,
    };
    let why = match error.downcast_ref::<Error>() {
        Some(Error::Record(_) | Error::NotPlanned(_) | Error::Journal(_)) => {
            "The record cannot be used, or may not be the right one: `rollcall record show`."
        }
        Some(Error::Lost(..) | Error::NoRecord(..)) => {
            "There is no record where there was one. Put it back, or correct `[record] url`."
        }
        Some(Error::Lock(_)) => "Another run holds the record.",
        Some(Error::Credentials(_)) => "There are no credentials in its environment.",
        Some(Error::NotApplied(..)) => "The saved plan is no longer what would be done.",
        Some(Error::OtherConfiguration | Error::OtherPlan) => "Things changed while it ran.",
        Some(Error::Source(_)) => "A source cannot be read.",
        _ => "Its log says why.",
    };
    why.to_owned()
}

#[cfg(test)]
mod tests {
    use super::rounded;

    #[test]
    fn a_number_that_grows_a_little_says_nothing_new() {
        assert_eq!(
            rounded("1,500 of 2 (a.toml:3)"),
            rounded("1,700 of 2 (a.toml:3)")
        );
        assert_ne!(rounded("1 failed"), rounded("200 failed"));
        assert_ne!(rounded("a failed"), rounded("b failed"));
    }
}
