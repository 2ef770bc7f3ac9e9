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

/// The same in a table whose page names the zone: `2026-11-23 10:00 (09:00 UTC)`, with the day in UTC where it is another.
pub(super) fn short_moment(at: Timestamp, zone: &TimeZone) -> String {
    let local = at.to_zoned_datetime(zone.clone());
    let utc = at.to_zoned_datetime(TimeZone::UTC);
    let shown = local.strftime("%Y-%m-%d %H:%M");
    match zone.iana_name() {
        None | Some("UTC") => shown.to_string(),
        Some(_) if local.date() == utc.date() => format!("{shown} ({} UTC)", utc.strftime("%H:%M")),
        Some(_) => format!("{shown} ({} UTC)", utc.strftime("%Y-%m-%d %H:%M")),
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
        let table = "2026-11-24 00:30 (2026-11-23 23:30 UTC)";
        assert_eq!(short_moment(at, &zone), table);
        let noon: Timestamp = "2026-11-23T11:00:00Z".parse().unwrap();
        assert_eq!(short_moment(noon, &zone), "2026-11-23 12:00 (11:00 UTC)");
        assert_eq!(short_moment(noon, &TimeZone::UTC), "2026-11-23 11:00");
    }
}
