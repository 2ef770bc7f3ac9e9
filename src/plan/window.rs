//! When the window for triggers is open.

use jiff::Timestamp;
use jiff::civil::Date;

use crate::config::{Hours, Window};

impl Window {
    /// When it closes, where it is open at a time. One that never closes is said to close after a week or so.
    pub fn closes_at(&self, now: Timestamp) -> Option<Timestamp> {
        let spans = self.spans(now);
        let span = spans.iter().find(|(from, to)| *from <= now && now < *to);
        span.map(|(_, to)| *to)
    }

    /// When it is open next: at once where it is open. `None` only at the end of the calendar.
    pub fn opens_at(&self, now: Timestamp) -> Option<Timestamp> {
        let spans = self.spans(now);
        let span = spans.iter().find(|(_, to)| now < *to);
        span.map(|(from, _)| now.max(*from))
    }

    /// When it is open, from the day before on and for a week and a day: in order, and apart from each other.
    fn spans(&self, now: Timestamp) -> Vec<(Timestamp, Timestamp)> {
        let mut all: Vec<(Timestamp, Timestamp)> = Vec::new();
        for hours in &self.hours {
            let mut day = now.to_zoned_datetime(hours.zone.clone()).date();
            day = day.yesterday().unwrap_or(day);
            for _ in 0..10 {
                if hours.begin_on(day.weekday()) {
                    all.extend(span(hours, day));
                }
                let Ok(next) = day.tomorrow() else { break };
                day = next;
            }
        }
        all.sort_unstable();
        let mut apart: Vec<(Timestamp, Timestamp)> = Vec::with_capacity(all.len());
        for (from, to) in all {
            match apart.last_mut() {
                Some((_, last)) if from <= *last => *last = to.max(*last),
                _ => apart.push((from, to)),
            }
        }
        apart
    }
}

/// The hours that begin on a day. A time that the clock skips is taken as much later; of one that it shows twice, the
/// first counts.
fn span(hours: &Hours, day: Date) -> Option<(Timestamp, Timestamp)> {
    let at = |day: Date, minute: u16| {
        let (hour, minute) = ((minute / 60) as i8, (minute % 60) as i8);
        let local = day.at(hour, minute, 0, 0);
        hours.zone.to_timestamp(local).ok()
    };
    let next = || day.tomorrow().ok();
    let from = at(day, hours.from)?;
    let to = match hours.to {
        1440 => at(next()?, 0),
        to if to <= hours.from => at(next()?, to),
        to => at(day, to),
    };
    let to = to?;
    if from < to {
        return Some((from, to));
    }
    // The hours lie in what the clock skips, and end where they begin: they are all as much later.
    let minutes = hours.to.checked_sub(hours.from)?;
    let later = jiff::SignedDuration::from_mins(i64::from(minutes));
    Some((from, from.checked_add(later).ok()?))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Place;
    use jiff::tz::TimeZone;

    fn window(days: &str, from: u16, to: u16, zone: &str) -> Window {
        let days: Vec<bool> = days.chars().map(|c| c != '.').collect();
        Window {
            hours: vec![Hours {
                days: days.try_into().unwrap(),
                from: from * 60,
                to: to * 60,
                zone: TimeZone::get(zone).unwrap(),
            }],
            place: Place {
                file: "rollcall.toml".into(),
                line: 1,
                span: (0, 1),
            },
        }
    }

    fn at(text: &str) -> Timestamp {
        text.parse().unwrap()
    }

    #[track_caller]
    fn closes(window: &Window, now: &str, expected: &str) {
        let expected = (!expected.is_empty()).then(|| at(expected));
        assert_eq!(window.closes_at(at(now)), expected, "at {now}");
    }

    #[track_caller]
    fn opens(window: &Window, now: &str, expected: &str) {
        assert_eq!(window.opens_at(at(now)), Some(at(expected)), "at {now}");
    }

    #[test]
    fn it_opens_and_closes_to_the_second_in_its_own_zone() {
        let office = window("MTWTF..", 8, 18, "Europe/Amsterdam");
        // Monday, in winter.
        closes(&office, "2026-11-23T06:59:59Z", "");
        closes(&office, "2026-11-23T07:00:00Z", "2026-11-23T17:00:00Z");
        closes(&office, "2026-11-23T16:59:59Z", "2026-11-23T17:00:00Z");
        closes(&office, "2026-11-23T17:00:00Z", "");
        opens(&office, "2026-11-23T06:59:59Z", "2026-11-23T07:00:00Z");
        opens(&office, "2026-11-23T12:00:00Z", "2026-11-23T12:00:00Z");
        opens(&office, "2026-11-23T17:00:00Z", "2026-11-24T07:00:00Z");
        // From Friday evening over the weekend, and once with summer time in between.
        opens(&office, "2026-11-27T17:00:00Z", "2026-11-30T07:00:00Z");
        opens(&office, "2026-03-27T17:00:00Z", "2026-03-30T06:00:00Z");
    }

    #[test]
    fn a_day_a_week_opens_again_a_week_later() {
        let monday = window("M......", 8, 18, "UTC");
        opens(&monday, "2026-11-23T18:00:00Z", "2026-11-30T08:00:00Z");
        let sunday_night = window("......S", 22, 6, "UTC");
        opens(
            &sunday_night,
            "2026-11-23T06:00:00Z",
            "2026-11-29T22:00:00Z",
        );
    }

    #[test]
    fn hours_past_midnight_belong_to_the_day_on_which_they_begin() {
        let friday_night = window("....F..", 22, 6, "UTC");
        closes(
            &friday_night,
            "2026-11-27T22:00:00Z",
            "2026-11-28T06:00:00Z",
        );
        closes(
            &friday_night,
            "2026-11-28T05:59:59Z",
            "2026-11-28T06:00:00Z",
        );
        closes(&friday_night, "2026-11-27T05:00:00Z", "");
        closes(&friday_night, "2026-11-28T22:00:00Z", "");
    }

    #[test]
    fn hours_that_touch_are_one() {
        let mut two = window("MTWTFSS", 8, 12, "UTC");
        two.hours.extend(window("MTWTFSS", 12, 18, "UTC").hours);
        closes(&two, "2026-11-23T09:00:00Z", "2026-11-23T18:00:00Z");
        let always = window("MTWTFSS", 0, 24, "UTC");
        assert!(always.closes_at(at("2026-11-23T09:00:00Z")).unwrap() > at("2026-11-30T00:00:00Z"));
    }

    #[test]
    fn a_change_of_the_clock_neither_loses_nor_repeats_hours() {
        // On the night of 29 March 2026 the clock goes from 02:00 to 03:00; on 25 October from 03:00 to 02:00.
        let skipped = window("MTWTFSS", 2, 3, "Europe/Amsterdam");
        opens(&skipped, "2026-03-28T12:00:00Z", "2026-03-29T01:00:00Z");
        closes(&skipped, "2026-03-29T01:00:00Z", "2026-03-29T02:00:00Z");
        closes(&skipped, "2026-03-29T02:00:00Z", "");
        opens(&skipped, "2026-03-29T02:00:00Z", "2026-03-30T00:00:00Z");
        let mut half = skipped.clone();
        (half.hours[0].from, half.hours[0].to) = (150, 180);
        closes(&half, "2026-03-29T01:29:59Z", "");
        closes(&half, "2026-03-29T01:30:00Z", "2026-03-29T02:00:00Z");
        let night = window("MTWTFSS", 2, 4, "Europe/Amsterdam");
        closes(&night, "2026-03-29T01:00:00Z", "2026-03-29T02:00:00Z");
        closes(&night, "2026-03-29T00:59:59Z", "");
        closes(&night, "2026-10-25T00:00:00Z", "2026-10-25T03:00:00Z");
        closes(&night, "2026-10-25T02:59:59Z", "2026-10-25T03:00:00Z");
        closes(&night, "2026-10-25T03:00:00Z", "");
    }

    #[test]
    fn nothing_breaks_at_the_ends_of_the_calendar() {
        let office = window("MTWTF..", 8, 18, "Asia/Tokyo");
        assert_eq!(office.closes_at(Timestamp::MAX), None);
        assert!(office.closes_at(Timestamp::MIN).is_none());
    }
}
