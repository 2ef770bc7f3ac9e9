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
}
