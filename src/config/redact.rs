//! What declared contacts are like is personal, the URL of a database may hold a password, and the address of a webhook is a
//! secret: where a problem shows lines of a file, all are covered. So is what stands under a name that means nothing, which may
//! be meant for one of these.

use std::ops::Range;

use toml::Spanned;
use toml::de::{DeTable, DeValue};

/// What a file may have at its top.
const TOP: [&str; 19] = [
    "automation",
    "contact",
    "enrol",
    "exclusive",
    "expect",
    "freeze",
    "guard",
    "include",
    "limit",
    "merged",
    "moved",
    "notify",
    "record",
    "require",
    "source",
    "spotler",
    "suppress",
    "time",
    "window",
];

/// What `[spotler]` has, to which keys and secrets do not belong.
const SPOTLER: [&str; 5] = ["base_url", "concurrency", "paths", "rate", "timeout"];

/// The text with the values of all `[contact.*]` tables, and of what has no meaning, covered: as long as before, with the same
/// line breaks.
pub(super) fn redacted(text: &str) -> String {
    let mut bytes = text.as_bytes().to_vec();
    let mut cover = |span: Range<usize>| {
        for byte in bytes.get_mut(span).into_iter().flatten() {
            if *byte != b'\n' {
                *byte = b'*';
            }
        }
    };
    let (tree, errors) = DeTable::parse_recoverable(text);
    for (name, value) in tree.get_ref() {
        match (name.get_ref().as_ref(), value.get_ref()) {
            // The name of an environment variable is no secret.
            ("notify", _) => leaves(value, &mut |span: Range<usize>| {
                let value = text.get(span.clone()).unwrap_or_default();
                if !value.trim_start_matches(['"', '\'']).starts_with('$') {
                    cover(span);
                }
            }),
            ("spotler", DeValue::Table(settings)) => {
                let known = |name: &str| SPOTLER.contains(&name);
                let unknown = settings.iter().filter(|(name, _)| !known(name.get_ref()));
                unknown.for_each(|(_, value)| leaves(value, &mut cover));
            }
            ("contact", _) | ("spotler", DeValue::Array(_)) => leaves(value, &mut cover),
            (name, _) if !TOP.contains(&name) => leaves(value, &mut cover),
            _ => {}
        }
    }
    if !errors.is_empty() {
        lines(text, &mut cover);
    }
    for scheme in ["postgres:", "postgresql:"] {
        for (at, _) in text.match_indices(scheme) {
            let rest = &text[at + scheme.len()..];
            let start = at + text[at..].len() - rest.trim_start_matches('/').len();
            let end = text[at..]
                .find(['\n', '"', '\''])
                .map_or(text.len(), |end| at + end);
            // User and password go before an `@`, or are parameters.
            let is_secret = ["@", "password"]
                .iter()
                .any(|of| text[at..end].contains(of));
            cover(start..if is_secret { end } else { start });
        }
    }
    // Whole values are covered, so that no character is cut.
    String::from_utf8_lossy(&bytes).into_owned()
}

/// Covers every value that is no table.
fn leaves(value: &Spanned<DeValue<'_>>, cover: &mut impl FnMut(Range<usize>)) {
    match value.get_ref() {
        DeValue::Table(table) => table.values().for_each(|value| leaves(value, cover)),
        // A list of tables is shown where its headers are.
        DeValue::Array(list) if list.iter().any(|value| value.get_ref().is_table()) => {
            list.iter().for_each(|value| leaves(value, cover));
        }
        _ => cover(value.span()),
    }
}

/// Covers, in what is not all TOML, everything behind the keys of the lines below the header of a contact, or of what has no
/// meaning.
fn lines(text: &str, cover: &mut impl FnMut(Range<usize>)) {
    let (mut start, mut is_covered) = (0, false);
    for line in text.split_inclusive('\n') {
        let bare = line.trim_start();
        if bare.starts_with('[') {
            let name = bare.trim_start_matches(['[', ' ', '"', '\'']);
            let end = name.find(|c: char| !c.is_alphanumeric() && c != '_' && c != '-');
            let name = &name[..end.unwrap_or(name.len())];
            is_covered = ["contact", "notify"].contains(&name) || !TOP.contains(&name);
        } else if is_covered || is_attribute(bare) {
            let key = line.find('=').map_or(0, |at| at + 1);
            cover(start + key..start + line.len());
        }
        start += line.len();
    }
}

/// Whether a line begins with the attributes of contacts, as in `contact.crm-1.status = …`.
fn is_attribute(line: &str) -> bool {
    let rest = line.strip_prefix("contact");
    rest.or_else(|| line.strip_prefix("notify"))
        .is_some_and(|rest| rest.trim_start().starts_with(['.', '=']))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn attributes_of_contacts_are_covered_however_they_are_written() {
        for text in [
            "[contact.a]\nx = \"hush\"\ny = 'é hush'\n",
            "[contact.\"é\"]\nx = \"\"\"\nhush\nmore = hush\"\"\"\n[guard]\n",
            "[contact]\na.x = \"hush\"\nb = { x = \"hush\", y = [\"hush\"] }\n",
            "contact.a.x = \"hush\"\n",
            "contact = { a = { x = \"hush\" } }\n",
            // Most likely meant for a contact, or for credentials.
            "[contacts.a]\nx = \"hush\"\n",
            "[secrets]\nkey = \"hush\"\n",
            "[spotler]\nrate = \"20/s\"\nkey = \"hush\"\nmore = { x = \"hush\" }\n",
            "pass = \"hush\"\n",
            "[[contacts]]\nx = \"hush\"\n",
            "[[contact]]\nx = \"hush\"\n",
            "[[contact.a]]\nx = \"hush\"\n",
            "[[contact.a.b]]\nx = \"hush\"\ny = [{ z = \"hush\" }, \"hush\"]\n",
            "[[spotler]]\nkey = \"hush\"\n",
            "[[spotler.keys]]\nkey = \"hush\"\n",
            "[[notify]]\nurl = \"hush\"\n",
            // Not TOML.
            "[contacts.a]\nx = \"hush\ny = hush\n",
            "[contact.a]\nx = \"hush\ny = \"hush\"\nhush\n[guard]\n",
            "[contact.a\nx = \"hush\"\n",
            "contact.a.x = hush\n",
        ] {
            let redacted = redacted(text);
            assert!(!redacted.contains("hush"), "{text}{redacted}");
            assert_eq!(redacted.len(), text.len());
            assert_eq!(redacted.lines().count(), text.lines().count());
        }
    }

    #[test]
    fn the_url_of_a_database_is_covered_where_it_may_hold_a_password() {
        for text in [
            "[record]\nurl = \"postgres://me:hush@db.example/x\"\n",
            "[record]\nurl = 'postgresql://db.example/x?password=hush'\n",
            "[record\nurl = postgres://me:hush@db.example/x",
            "[record]\nurl = \"postgres:me:hush@db.example/x\"\n",
        ] {
            let redacted = redacted(text);
            assert!(!redacted.contains("hush"), "{redacted}");
            assert_eq!(redacted.len(), text.len());
        }
        let text = "[record]\nurl = \"postgres://db.example/x\"\n";
        assert_eq!(redacted(text), text);
    }

    #[test]
    fn what_has_a_meaning_is_known() {
        let schema: serde_json::Value =
            serde_json::from_str(&crate::config::schema::schema()).unwrap();
        let names = |at: &str| {
            let properties = schema.pointer(at).and_then(|of| of.as_object()).unwrap();
            properties.keys().map(String::as_str).collect::<Vec<_>>()
        };
        assert_eq!(names("/properties"), TOP);
        assert_eq!(names("/definitions/Spotler/properties"), SPOTLER);
    }

    #[test]
    fn everything_else_is_left_as_it_is() {
        for text in [
            "[contact.a]\n[spotler]\nrate = \"20/s\"\n",
            "[source.crm]\ncontact = \"id\"\n[[enrol]]\ncontacts = [\"a\"]\nwhere.x = \"y\"\n",
            "[spotler\nrate = \"20/s\"\n",
        ] {
            assert_eq!(redacted(text), text);
        }
    }
}
