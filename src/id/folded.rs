//! The form of an id in which two writings of it are the same.

use std::borrow::Cow;

use icu_normalizer::ComposingNormalizerBorrowed;
use icu_properties::CodePointSetData;
use icu_properties::props::DefaultIgnorableCodePoint;

/// An id as a program may have written it anew: without case, width, normal form, what cannot be seen, leading zeros of
/// its numbers, a `.0` behind, and `="…"`, quotes or an apostrophe around it.
///
/// Two ids with one folded form are not taken for one: they are a reason to warn, and for the guard to refuse.
///
/// Width and normal form are Unicode's NFKC (UAX #15).
pub fn folded(id: &str) -> Cow<'_, str> {
    let is_folded = !id.is_empty()
        && id.bytes().enumerate().all(|(at, byte)| match byte {
            b'a'..=b'z' | b'-' | b'_' | b'/' | b':' => true,
            b'1'..=b'9' => true,
            // A zero leads where no digit is before it.
            b'0' => at > 0 && id.as_bytes()[at - 1].is_ascii_digit(),
            _ => false,
        });
    // Most ids are plain, and there may be millions.
    if is_folded {
        return Cow::Borrowed(id);
    }
    // Of ASCII nothing is invisible or has another form.
    let lower = match id.is_ascii() {
        true => id.to_ascii_lowercase(),
        false => {
            let ignorable = CodePointSetData::new::<DefaultIgnorableCodePoint>();
            let seen: String = id.chars().filter(|&c| !ignorable.contains(c)).collect();
            let normal = ComposingNormalizerBorrowed::new_nfkc().normalize(&seen);
            // By way of capitals, some of which are two letters: ß and SS.
            normal.to_uppercase().to_lowercase()
        }
    };
    let mut bare = lower.trim();
    bare = bare.strip_prefix('=').unwrap_or(bare);
    bare = bare.trim_matches(['"', '\'']).trim();
    // Without its fraction of zeros: 1042.0, 1042.00.
    if let Some((whole, zeros)) = bare.rsplit_once('.')
        && whole.ends_with(|c: char| c.is_ascii_digit())
        && !zeros.is_empty()
        && zeros.bytes().all(|b| b == b'0')
    {
        bare = whole;
    }
    Cow::Owned(without_leading_zeros(bare))
}

/// The last four bytes of the folded form of an id, where they are seen without folding it; `None` for the few ids where
/// they are not. Where they differ, so do the forms.
pub fn tail(id: &str) -> Option<[u8; 4]> {
    let tail: [u8; 4] = *id.as_bytes().last_chunk()?;
    let is_seen = |at: usize| match tail[at] {
        // A zero behind a digit leads nothing, and is no fraction where another digit is before it.
        b'0' => at > 0 && tail[at - 1].is_ascii_digit(),
        byte => byte.is_ascii_alphanumeric(),
    };
    (0..4)
        .all(is_seen)
        .then(|| tail.map(|byte| byte.to_ascii_lowercase()))
}

fn without_leading_zeros(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut chars = text.chars().peekable();
    let mut is_in_number = false;
    while let Some(c) = chars.next() {
        let leads = c == '0' && !is_in_number && chars.peek().is_some_and(char::is_ascii_digit);
        if !leads {
            is_in_number = c.is_ascii_digit();
            out.push(c);
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn what_is_seen_of_a_form_is_its_end(
            id in prop_oneof!["[0-2aB.'\" =\u{301}\u{200b}]{0,9}", ".{0,9}", "[a-z]{3}-[0-9]{1,6}(\\.0{1,3})?"],
        ) {
            if let Some(tail) = tail(&id) {
                prop_assert!(folded(&id).as_bytes().ends_with(&tail), "{id}: {}", folded(&id));
            }
        }
    }

    #[test]
    fn every_writing_of_an_id_has_one_folded_form() {
        for (written, form) in [
            ("crm-1042", "crm-1042"),
            ("CRM-1042", "crm-1042"),
            ("crm-001042", "crm-1042"),
            ("1042.0", "1042"),
            ("1042.00", "1042"),
            ("=\"00302\"", "302"),
            ("'00302", "302"),
            ("\"302\"", "302"),
            ("00302\u{200b}", "302"),
            ("３０２", "302"),
            ("re\u{301}ne", "r\u{e9}ne"),
            ("RÉNE", "réne"),
            ("Straße", "strasse"),
            ("STRASSE", "strasse"),
            ("000", "0"),
            ("0", "0"),
            ("a0b", "a0b"),
            ("a00b", "a0b"),
        ] {
            assert_eq!(folded(written), form, "{written}");
            assert_eq!(folded(form), form, "folding twice changes {form}");
        }
    }

    #[test]
    fn different_ids_stay_different() {
        for (one, other) in [
            ("crm-10", "crm-1"),
            ("1.5", "1"),
            ("100", "1"),
            ("v1.20", "v1.2"),
        ] {
            assert_ne!(folded(one), folded(other));
        }
    }
}
