//! Times on pages: in the zone of the configuration, and in UTC beside it where that is another.

use jiff::Timestamp;
use jiff::tz::TimeZone;

/// A time to the minute: `2026-11-23 10:00 Europe/Amsterdam (2026-11-23 09:00 UTC)`.
pub(super) fn moment(at: Timestamp, zone: &TimeZone) -> String {
    let local = at.to_zoned_datetime(zone.clone());
    let utc = at.strftime("%Y-%m-%d %H:%M UTC").to_string();
    match zone.iana_name() {
        Some(name) if name != "UTC" => {
            format!("{} {name} ({utc})", local.strftime("%Y-%m-%d %H:%M"))
        }
        _ => utc,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_time_is_shown_in_the_zone_and_in_utc_alike() {
        let at: Timestamp = "2026-11-23T23:30:00Z".parse().unwrap();
        let zone = TimeZone::get("Europe/Amsterdam").unwrap();
        let both = "2026-11-24 00:30 Europe/Amsterdam (2026-11-23 23:30 UTC)";
        assert_eq!(moment(at, &zone), both);
        assert_eq!(moment(at, &TimeZone::UTC), "2026-11-23 23:30 UTC");
    }
}
