//! Colours, and what keeps a terminal from obeying the data that it shows.

use std::fmt;

use anstyle::{AnsiColor, Style};
use comfy_table::{TableStyle, presets};

/// A table without lines.
pub const PLAIN_TABLE: TableStyle = presets::NOTHING;

/// What is added.
pub const ADDED: Style = AnsiColor::Green.on_default();
/// What is taken away.
pub const REMOVED: Style = AnsiColor::Red.on_default();
/// What wants attention.
pub const ATTENTION: Style = AnsiColor::Yellow.on_default();
/// What matters less.
pub const DIMMED: Style = Style::new().dimmed();
/// What matters more.
pub const STRONG: Style = Style::new().bold();

/// Text that may come from anywhere, shown so that it cannot steer a terminal: control characters, those that
/// reorder text and those that take no room are written as escapes.
pub struct SafeText<'a>(pub &'a str);

impl fmt::Display for SafeText<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let is_odd = |c: char| {
            c.is_control()
                || matches!(c, '\u{ad}' | '\u{61c}' | '\u{180e}' | '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}'
                    | '\u{2060}'..='\u{206f}' | '\u{feff}' | '\u{fff9}'..='\u{fffb}' | '\u{e0000}'..='\u{e007f}')
        };
        let mut rest = self.0;
        while let Some(at) = rest.find(is_odd) {
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

/// A text made as wide as asked, in columns of a terminal.
pub fn pad(text: &str, width: usize) -> String {
    let missing = width.saturating_sub(unicode_width::UnicodeWidthStr::width(text));
    format!("{text}{:missing$}", "")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_terminal_escape_is_shown_and_not_obeyed() {
        assert_eq!(SafeText("a\u{1b}[31mb").to_string(), r"a\u{1b}[31mb");
        assert_eq!(SafeText("a\u{202e}b\n").to_string(), r"a\u{202e}b\n");
        assert_eq!(SafeText("Ólafur 名前").to_string(), "Ólafur 名前");
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
