//! `[window]`: when triggers may be sent.

use jiff::civil::Weekday;
use jiff::tz::TimeZone;

use super::diagnostic::Place;
use super::reader::Item;
use super::suggest::nearest_zone;

const EXAMPLE: &str = "\"Mon-Fri 08:00-18:00 Europe/Amsterdam\"";

const DAYS: [(&str, Weekday); 7] = [
    ("mon", Weekday::Monday),
    ("tue", Weekday::Tuesday),
    ("wed", Weekday::Wednesday),
    ("thu", Weekday::Thursday),
    ("fri", Weekday::Friday),
    ("sat", Weekday::Saturday),
    ("sun", Weekday::Sunday),
];

/// When triggers may be sent: within any of these hours.
#[derive(Debug, Clone, PartialEq)]
pub struct Window {
    /// Never empty.
    pub hours: Vec<Hours>,
    /// Where it is set.
    pub place: Place,
}

/// Hours of some days of the week.
#[derive(Debug, Clone, PartialEq)]
pub struct Hours {
    /// The days on which they begin, from Monday on.
    pub days: [bool; 7],
    /// The minute of the day at which they begin.
    pub from: u16,
    /// The minute of the day at which they end, at most 1440; not after `from` where they end on the next day.
    pub to: u16,
    /// Whose days and clock these are.
    pub zone: TimeZone,
}

/// Hours whose zone may be that of the configuration.
pub(super) struct Unzoned {
    days: [bool; 7],
    from: u16,
    to: u16,
    zone: Option<TimeZone>,
}

impl Unzoned {
    pub(super) fn or_zone(self, zone: &TimeZone) -> Hours {
        Hours {
            days: self.days,
            from: self.from,
            to: self.to,
            zone: self.zone.unwrap_or_else(|| zone.clone()),
        }
    }
}

/// Reads `triggers`: a text or an array of texts.
pub(super) fn hours(item: &Item<'_>) -> Option<Vec<Unzoned>> {
    let mut all = Vec::new();
    let mut is_sound = true;
    let texts = item.texts(EXAMPLE);
    is_sound &= !texts.is_empty();
    for (text, item) in texts {
        match parse(text) {
            Ok(hours) => all.extend(hours),
            Err(problem) => {
                is_sound = false;
                item.wrong(problem, format!("write {EXAMPLE}"));
            }
        }
    }
    is_sound.then_some(all)
}

/// Reads `[DAYS] HOURS [DAYS HOURS …] [ZONE]`, where days and hours may be several, each behind a comma.
fn parse(text: &str) -> Result<Vec<Unzoned>, String> {
    let mut list: Vec<Unzoned> = Vec::new();
    let mut days: Option<[bool; 7]> = None;
    let mut is_after_hours = false;
    let mut words = text
        .split(|c: char| c.is_whitespace() || c == ',')
        .filter(|word| !word.is_empty())
        .peekable();
    let mut zone = None;
    while let Some(word) = words.next() {
        if word.starts_with(|c: char| c.is_ascii_digit()) {
            let (from, to) = span(word)?;
            let days = days.unwrap_or([true; 7]);
            list.push(Unzoned {
                days,
                from,
                to,
                zone: None,
            });
            is_after_hours = true;
        } else if let Some(range) = day_range(word) {
            if is_after_hours {
                days = None;
                is_after_hours = false;
            }
            let days = days.get_or_insert([false; 7]);
            for (day, is_in) in days.iter_mut().zip(range) {
                *day |= is_in;
            }
        } else if words.peek().is_some() {
            return Err(format!(
                "{word:?} is neither a day nor a time, and a time zone must be at the end"
            ));
        } else {
            let named = TimeZone::get(word);
            zone = Some(named.map_err(|_| {
                let near = nearest_zone(word).map(|near| format!("; did you mean {near:?}?"));
                let near = near.unwrap_or_default();
                format!("{word:?} is neither a day, nor a time, nor the name of a time zone{near}")
            })?);
        }
    }
    if list.is_empty() || (days.is_some() && !is_after_hours) {
        return Err(format!("{text:?} has days without hours"));
    }
    for hours in &mut list {
        hours.zone.clone_from(&zone);
    }
    Ok(list)
}

fn span(word: &str) -> Result<(u16, u16), String> {
    let wrong = || format!("{word:?} is not a span of hours");
    let (from, to) = word.split_once('-').ok_or_else(wrong)?;
    let from = minute(from).filter(|from| *from < 1440);
    let (from, to) = from.zip(minute(to)).ok_or_else(wrong)?;
    if from == to {
        return Err(format!(
            "{word:?} begins and ends at the same time; the whole day is 00:00-24:00"
        ));
    }
    Ok((from, to))
}

/// The minute of the day of `08:30`.
fn minute(text: &str) -> Option<u16> {
    let (hour, minute) = text.split_once(':')?;
    let is_number = |text: &str| text.len() == 2 && text.bytes().all(|b| b.is_ascii_digit());
    if !is_number(hour) || !is_number(minute) {
        return None;
    }
    let (hour, minute): (u16, u16) = (hour.parse().ok()?, minute.parse().ok()?);
    let of_day = hour * 60 + minute;
    (minute < 60 && of_day <= 1440).then_some(of_day)
}

/// The days of `Mon` or `Fri-Mon`.
fn day_range(word: &str) -> Option<[bool; 7]> {
    let day = |name: &str| {
        DAYS.iter()
            .position(|(day, _)| name.eq_ignore_ascii_case(day))
    };
    let (first, last) = match word.split_once('-') {
        Some((first, last)) => (day(first)?, day(last)?),
        None => (day(word)?, day(word)?),
    };
    let mut days = [false; 7];
    let mut at = first;
    days[at] = true;
    while at != last {
        at = (at + 1) % 7;
        days[at] = true;
    }
    Some(days)
}

impl Hours {
    /// Whether they begin on a day of the week.
    pub fn begin_on(&self, day: Weekday) -> bool {
        self.days[usize::from(day.to_monday_zero_offset().unsigned_abs())]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// In short: the days as letters, and the minutes.
    fn read(text: &str) -> Vec<String> {
        let days = |days: [bool; 7]| -> String {
            let letters = "MTWTFSS".chars().zip(days);
            letters
                .map(|(c, is_in)| if is_in { c } else { '.' })
                .collect()
        };
        let hours = parse(text).unwrap().into_iter();
        hours
            .map(|h| {
                let zone = h.zone.as_ref().and_then(TimeZone::iana_name).unwrap_or("-");
                format!("{} {}-{} {zone}", days(h.days), h.from, h.to)
            })
            .collect()
    }

    #[test]
    fn days_hours_and_zones_are_read() {
        assert_eq!(
            read("Mon-Fri 08:00-18:00 Europe/Amsterdam"),
            ["MTWTF.. 480-1080 Europe/Amsterdam"]
        );
        assert_eq!(read("09:00-17:30"), ["MTWTFSS 540-1050 -"]);
        assert_eq!(
            read("mon,Wed,fri 08:00-12:00,13:00-17:00, Sat 10:00-12:00 UTC"),
            [
                "M.W.F.. 480-720 UTC",
                "M.W.F.. 780-1020 UTC",
                ".....S. 600-720 UTC"
            ]
        );
        assert_eq!(read("Sat-Mon 22:00-06:00"), ["M....SS 1320-360 -"]);
        assert_eq!(read("Sun 00:00-24:00"), ["......S 0-1440 -"]);
    }

    #[test]
    fn what_is_no_window_is_refused() {
        for bad in [
            "",
            "Mon-Fri",
            "Mon 08:00-18:00 Tue",
            "Mon 8:00-18:00",
            "Mon 08:00",
            "Mon 08:00-24:01",
            "24:00-08:00",
            "08:00-08:00",
            "Mon 08:60-09:00",
            "Mun 08:00-18:00",
            "Europe/Amsterdam 08:00-18:00",
            "08:00-18:00 Europe/Amsterdm",
        ] {
            assert!(parse(bad).is_err(), "{bad}");
        }
    }
}
