//! What of a text from outside may be shown. This alone decides it, for messages, plans and lists, and for ids.

use std::fmt;

use icu_properties::CodePointSetData;
use icu_properties::props::DefaultIgnorableCodePoint;

/// Whether a character cannot be seen for what it is: control characters, what Unicode calls default ignorable (all that turn
/// the direction of text are among these), white space but a plain space, and what looks empty.
pub fn is_unseen(c: char) -> bool {
    if c.is_ascii() {
        return c.is_ascii_control();
    }
    c.is_control()
        || c.is_whitespace()
        || matches!(c, '\u{2800}' | '\u{fff9}'..='\u{fffb}')
        || CodePointSetData::new::<DefaultIgnorableCodePoint>().contains(c)
}

/// Text that may come from anywhere, shown so that it can neither steer a terminal nor look like another: what cannot be
/// seen in it is written as an escape.
pub struct SafeText<'a>(pub &'a str);

impl fmt::Display for SafeText<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut rest = self.0;
        while let Some(at) = rest.find(is_unseen) {
            f.write_str(&rest[..at])?;
            let mut chars = rest[at..].chars();
            if let Some(c) = chars.next() {
                write!(f, "{}", c.escape_default())?;
            }
            rest = chars.as_str();
        }
        f.write_str(rest)
    }
}

/// The same between quotes, and cut where it is long.
pub fn quoted(text: &str) -> String {
    const MOST: usize = 80;
    let (shown, more) = match text.char_indices().nth(MOST) {
        None => (text, ""),
        Some((end, _)) => (&text[..end], "…"),
    };
    let shown = shown.replace('\\', "\\\\").replace('"', "\\\"");
    format!("\"{}\"{more}", SafeText(&shown))
}

/// `1 trigger`, `2 triggers`, `12,345 triggers`.
pub fn plural(count: u64, one: &str) -> String {
    let s = if count == 1 { "" } else { "s" };
    format!("{} {one}{s}", thousands(count))
}

/// A number with its thousands apart.
pub fn thousands(number: u64) -> String {
    let digits = number.to_string();
    let mut out = String::with_capacity(digits.len() + digits.len() / 3);
    for (i, digit) in digits.chars().enumerate() {
        if i > 0 && (digits.len() - i).is_multiple_of(3) {
            out.push(',');
        }
        out.push(digit);
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_cannot_be_seen_is_escaped_wherever_it_stands() {
        for (text, shown) in [
            ("Ólafur 名前 é", "Ólafur 名前 é"),
            ("a\u{1b}[31mb\n", r"a\u{1b}[31mb\n"),
            ("a\u{202e}b", r"a\u{202e}b"),
            ("a\u{200f}\u{61c}b", r"a\u{200f}\u{61c}b"),
            ("a\u{e0041}\u{3164}\u{fe0f}", r"a\u{e0041}\u{3164}\u{fe0f}"),
            ("a\u{a0}\u{2800}\u{ad}b", r"a\u{a0}\u{2800}\u{ad}b"),
        ] {
            assert_eq!(SafeText(text).to_string(), shown);
        }
    }

    #[test]
    fn what_is_quoted_is_cut_where_it_is_long() {
        assert_eq!(quoted("De Vries"), "\"De Vries\"");
        assert_eq!(quoted("\"t \\ \u{1b}"), r#""\"t \\ \u{1b}""#);
        assert_eq!(quoted(&"é".repeat(81)), format!("\"{}\"…", "é".repeat(80)));
    }

    #[test]
    fn large_numbers_can_be_read() {
        assert_eq!(thousands(0), "0");
        assert_eq!(thousands(999), "999");
        assert_eq!(thousands(1_000), "1,000");
        assert_eq!(thousands(1_234_567), "1,234,567");
        assert_eq!(plural(1, "stop"), "1 stop");
        assert_eq!(plural(2, "stop"), "2 stops");
    }
}
