//! What a `[[freeze]]` keeps back, and until when.

use jiff::Timestamp;
use jiff::tz::TimeZone;

use crate::config::{Config, Freeze};
use crate::text::SafeText;

/// The state of what is gone and is not stopped or let go in a freeze.
pub const FROZEN: &str = "frozen";

/// A freeze that holds for an automation.
#[derive(Debug, Clone, Copy)]
pub struct Frozen<'a> {
    /// The one that holds longest.
    pub freeze: &'a Freeze,
    /// Its place among [`Config::freezes`].
    pub place: usize,
    /// When the last of those that follow each other without a gap is over; `None` is when they are removed.
    pub until: Option<Timestamp>,
}

impl Config {
    /// The freezes that hold at a time.
    pub fn freezes_at(&self, now: Timestamp) -> impl Iterator<Item = &Freeze> {
        self.freezes
            .iter()
            .filter(move |freeze| freeze.holds_at(now))
    }

    /// By what the triggers of an automation wait, or its stops; `None` is one that is gone from the configuration.
    pub fn frozen(
        &self,
        automation: Option<usize>,
        stops: bool,
        now: Timestamp,
    ) -> Option<Frozen<'_>> {
        let longest = |at: Timestamp| {
            let freezes = self.freezes.iter().enumerate();
            let holding = freezes.filter(|(_, freeze)| {
                freeze.covers(automation) && (freeze.all || !stops) && freeze.holds_at(at)
            });
            holding.max_by_key(|(place, freeze)| {
                let until = freeze.until.unwrap_or(Timestamp::MAX);
                // Of those that end at once, the first counts.
                (freeze.until.is_none(), until, std::cmp::Reverse(*place))
            })
        };
        let (place, freeze) = longest(now)?;
        let mut until = freeze.until;
        while let Some((_, next)) = until.and_then(longest) {
            until = next.until;
        }
        Some(Frozen {
            freeze,
            place,
            until,
        })
    }

    /// When the next freeze of an automation's triggers begins, or of its stops.
    pub fn freezes_from(
        &self,
        automation: Option<usize>,
        stops: bool,
        now: Timestamp,
    ) -> Option<Timestamp> {
        let freezes = self.freezes.iter();
        let covering = freezes.filter(|freeze| freeze.covers(automation) && (freeze.all || !stops));
        let begins = covering.filter_map(|freeze| freeze.from.filter(|from| *from > now));
        begins.min()
    }
}

impl Freeze {
    /// Why something waits: `frozen until Mon 2026-12-28 at 00:00 Europe/Amsterdam: the shop is closed (rollcall.toml:9)`.
    pub fn why(&self, zone: &TimeZone) -> String {
        format!("frozen {}{}", self.lasts(zone), self.because())
    }

    /// The whole of it, for the head of a plan.
    pub fn sentence(&self, config: &Config) -> String {
        let what = match self.all {
            true => "Triggers, stops and leaving",
            false => "Triggers",
        };
        let of = match &self.automations {
            None => "of all automations".to_owned(),
            Some(list) => {
                let names = list.iter().map(|of| config.automations[*of].name.as_str());
                format!("of {}", names.collect::<Vec<_>>().join(", "))
            }
        };
        format!(
            "{what} {of} wait {}{}",
            self.lasts(&config.zone),
            self.because()
        )
    }

    fn lasts(&self, zone: &TimeZone) -> String {
        let Some(until) = self.until else {
            return "until further notice".to_owned();
        };
        let local = until.to_zoned_datetime(zone.clone());
        let form = match local.second() {
            0 => "%a %Y-%m-%d at %H:%M",
            _ => "%a %Y-%m-%d at %H:%M:%S",
        };
        let zone = zone.iana_name().unwrap_or("UTC");
        format!("until {} {zone}", local.strftime(form))
    }

    fn because(&self) -> String {
        let reason = self.reason.as_ref();
        let reason = reason.map_or_else(String::new, |reason| format!(": {}", SafeText(reason)));
        format!("{reason} ({})", self.place)
    }
}
