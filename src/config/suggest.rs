//! "Did you mean …?"

/// The name that was most likely meant by one that is not there.
pub(crate) fn nearest<'a>(
    names: impl IntoIterator<Item = &'a str>,
    wanted: &str,
) -> Option<&'a str> {
    let most = (wanted.chars().count() / 3).max(1);
    let wanted = wanted.to_lowercase();
    names
        .into_iter()
        .map(|name| {
            let far = strsim::damerau_levenshtein(&name.to_lowercase(), &wanted);
            (far, name)
        })
        .filter(|(far, _)| *far <= most)
        .min()
        .map(|(_, name)| name)
}

/// The time zone that was most likely meant: one of that city, or one that is written nearly so.
pub(super) fn nearest_zone(wanted: &str) -> Option<String> {
    let names: Vec<String> = jiff::tz::db()
        .available()
        .map(|name| name.to_string())
        .collect();
    let city = wanted.trim().replace(' ', "_");
    let is_city = |name: &&String| {
        let own = name.rsplit('/').next().unwrap_or_default();
        own.eq_ignore_ascii_case(&city)
    };
    let known = names.iter().find(is_city).map(String::as_str);
    let near = || nearest(names.iter().map(String::as_str), &city);
    known.or_else(near).map(str::to_owned)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_slip_of_the_finger_is_understood() {
        let names = ["trigger_code", "participation", "fields"];
        assert_eq!(nearest(names, "triger_code"), Some("trigger_code"));
        assert_eq!(nearest(names, "Fields"), Some("fields"));
        assert_eq!(nearest(names, "colour"), None);
    }

    #[test]
    fn a_time_zone_is_known_by_its_city_too() {
        for (wanted, zone) in [
            ("Amsterdam", Some("Europe/Amsterdam")),
            ("Europe/Amsterdm", Some("Europe/Amsterdam")),
            ("new york", Some("America/New_York")),
            ("the moon", None),
        ] {
            assert_eq!(nearest_zone(wanted).as_deref(), zone, "{wanted}");
        }
    }
}
