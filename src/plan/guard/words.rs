//! What the guard refuses, in words: the figure, the limit, and what to look at.

use std::fmt;

use super::{Breach, Count, MOST_RENEWED, Whose};
use crate::plan::identity::{Changed, Found, Reapplied, SamePeople};
use crate::text::plural;

impl Whose {
    /// ` in welcome`, ` of all automations together`, or nothing.
    fn of(&self, all: &'static str) -> String {
        match self {
            Whose::Automation(name) => format!(" in {name}"),
            Whose::All => all.to_owned(),
            Whose::Suppressed => " of suppressed contacts".to_owned(),
        }
    }
}

impl Count {
    /// `, with 39 stopped in the last 24 hours`, or nothing.
    fn day(&self, done: &str) -> String {
        let day = match self.day {
            0 => None,
            day => Some(format!("{day} {done} in the last 24 hours")),
        };
        let returning = match self.returning {
            0 => None,
            count => Some(format!("{count} of them who would be triggered again")),
        };
        let with: Vec<String> = day.into_iter().chain(returning).collect();
        match with.is_empty() {
            true => String::new(),
            false => format!(", with {}", with.join(" and ")),
        }
    }
}

impl Breach {
    /// It in words; where it is to name nobody, without the ids that it gives as an example.
    pub fn words(&self, names_nobody: bool) -> String {
        let Breach::Same(what, found) = self else {
            return self.to_string();
        };
        if !names_nobody {
            return self.to_string();
        }
        let contacts = plural(found.count, "contact");
        match what {
            SamePeople::Renamed { .. } => self.to_string(),
            SamePeople::Rewritten { automation } => format!(
                "{contacts} would be triggered again in {automation}, where their ids are written differently"
            ),
            SamePeople::Suppressed => format!(
                "{} would be triggered under an id that is written differently",
                plural(found.count, "suppressed contact")
            ),
            SamePeople::Required => {
                format!(
                    "{contacts} would be stopped, or taken for suppressed, whose ids a required list writes differently"
                )
            }
        }
    }
}

impl fmt::Display for Breach {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        const TOGETHER: &str = " of all automations together";
        const GONE: &str = "stopped, let go or leaving";
        let (setting, place) = match self {
            Breach::Ended(ended) => return ended.fmt(f),
            Breach::Triggers {
                whose,
                count,
                limit,
                place,
            } => {
                let deferred = match count.deferred {
                    0 => String::new(),
                    deferred => format!(" ({deferred} of them deferred)"),
                };
                write!(
                    f,
                    "too many triggers{}: {}{deferred}{}, the limit is {limit}",
                    whose.of(""),
                    count.all,
                    count.day("triggered")
                )?;
                ("max_triggers", place)
            }
            Breach::Stops {
                whose,
                count,
                limit,
                place,
            } => {
                write!(
                    f,
                    "too many stops{}: {}{}, the limit is {limit}",
                    whose.of(""),
                    count.all,
                    count.day(GONE)
                )?;
                ("max_stops", place)
            }
            Breach::Share {
                whose,
                count,
                running,
                limit,
                place,
            } => {
                let share = count.all as f64 * 100.0 / *running as f64;
                write!(
                    f,
                    "too many stops{}: {share:.1}% ({} of {running}{}) is over {limit}%",
                    whose.of(TOGETHER),
                    count.all,
                    count.day(GONE)
                )?;
                ("max_stops", place)
            }
            Breach::EndedGone {
                automation,
                count,
                all,
                limit,
                place,
            } => {
                let share = *count as f64 * 100.0 / *all as f64;
                write!(
                    f,
                    "too many who have ended in {automation} would be taken for gone or suppressed: {share:.1}% ({count} of \
                     {all} who are in it) is over {limit}%; declared again, they would be triggered as anybody new"
                )?;
                ("max_stops", place)
            }
            Breach::Renewed {
                whose,
                count,
                running,
            } => {
                let share = *count as f64 * 100.0 / *running as f64;
                return write!(
                    f,
                    "too many{} would be stopped and triggered again because their fields have changed: {share:.1}% ({count} of \
                     {running}) is over {MOST_RENEWED}%, whatever max_stops is (check whether a template or a column was \
                     changed for everybody)",
                    whose.of(TOGETHER)
                );
            }
            Breach::Released {
                count,
                limit,
                place,
            } => {
                write!(
                    f,
                    "too many people would be triggered whose suppression is gone: {}{}, the limit is {limit}; check whether \
                     a [[suppress]] or a [[require]] is missing, or holds for fewer now",
                    count.all,
                    count.day("triggered")
                )?;
                ("max_released", place)
            }
            Breach::Merges {
                count,
                limit,
                place,
            } => {
                write!(
                    f,
                    "too many merges: what is on record of {} would become another id's for good, the limit is {limit}; \
                     check whether [[merged]] reads the right list",
                    plural(*count, "id")
                )?;
                ("max_merges", place)
            }
            Breach::Same(what, found) => return same(f, what, found),
            Breach::Reapplied(reapplied) => return fmt::Display::fmt(reapplied, f),
            Breach::Reshaped { automation, count } => {
                return write!(
                    f,
                    "the `repeat_by` of {automation} was added or removed: {} who are in it would be triggered again \
                     (if you mean only new ones, leave {automation} as it is and declare another automation with its own \
                     trigger code)",
                    plural(*count, "contact")
                );
            }
        };
        match place {
            Some(place) => write!(f, " ({setting} at {place})"),
            None => write!(f, " ({setting}, the default)"),
        }
    }
}

fn same(f: &mut fmt::Formatter<'_>, what: &SamePeople, found: &Found) -> fmt::Result {
    let Found { count, was, now } = found;
    let contacts = plural(*count, "contact");
    match what {
        SamePeople::Renamed {
            from,
            to,
            is_configured: false,
        } => write!(
            f,
            "{from} has become {to}, which has its trigger code: {contacts} on record in {from} would be triggered again \
             (if only the name is new, write [[moved]] with from = \"{from}\" and to = \"{to}\", and nobody is)"
        ),
        SamePeople::Renamed { from, to, .. } => write!(
            f,
            "{contacts} on record in {from}, and no longer declared in it, would be triggered again in {to}, which has its \
             trigger code (if only the name is new, write [[moved]] with from = \"{from}\" and to = \"{to}\", remove \
             [automation.{from}], and nobody is; if people should move from one to the other, --allow-large mails them again)"
        ),
        SamePeople::Rewritten { automation } => {
            write!(
                f,
                "{contacts} would be triggered again in {automation}, where their ids are written differently: "
            )?;
            match was == now {
                true => write!(f, "an occurrence of {now} is on record in other letters")?,
                false => write!(f, "{now} is on record as {was}")?,
            }
            write!(
                f,
                " (let the source write them as before; or if Spotler knows them by the new ids, adopt these \
                 with `rollcall adopt --automation {automation}`, which triggers nobody; the next apply then stops the old \
                 ones, and may take --allow-large)"
            )
        }
        SamePeople::Suppressed => write!(
            f,
            "{} would be triggered under an id that is written differently: {now} is suppressed as {was} (write the ids in \
             [[suppress]] as the source does)",
            plural(*count, "suppressed contact")
        ),
        SamePeople::Required => write!(
            f,
            "{contacts} would be stopped, or taken for suppressed, whose ids a required list writes differently: {now} is {was} \
             on it (write the ids in the list of [[require]] as the source does; or if {now} has withdrawn, and {was} is \
             somebody else, suppress {now} by name)"
        ),
    }
}

impl fmt::Display for Reapplied {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            automation,
            changed,
            count,
            gone,
        } = self;
        match changed {
            Changed::Contact {
                source,
                before,
                now,
            } => write!(
                f,
                "{automation} was last applied with `contact = \"{before}\"` in source {source}, and now it is \"{now}\""
            )?,
            Changed::Source { before, now } => write!(
                f,
                "{automation} was last applied with source {before}, and now it has source {now}"
            )?,
            Changed::RepeatBy { before, now } => write!(
                f,
                "{automation} was last applied with `repeat_by = \"{before}\"`, and now it is \"{now}\""
            )?,
        }
        let are = if *gone == 1 { "is" } else { "are" };
        if *count == 0 {
            return write!(
                f,
                ", which has no rows: {gone} on record {are} no longer declared (make the export, or change it back)"
            );
        }
        write!(
            f,
            ": {count} would be triggered as new, while {gone} on record {are} no longer declared (change it back; or if they \
             are the same people, adopt the new ones with `rollcall adopt --automation {automation}`, \
             which triggers nobody; the next apply then stops the old ones, and may take --allow-large)"
        )
    }
}
