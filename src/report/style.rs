//! Colours and numbers.

use anstyle::{AnsiColor, Style};
use comfy_table::{TableStyle, presets};

pub use crate::text::SafeText;

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
    fn large_numbers_can_be_read() {
        assert_eq!(thousands(0), "0");
        assert_eq!(thousands(999), "999");
        assert_eq!(thousands(1_000), "1,000");
        assert_eq!(thousands(1_234_567), "1,234,567");
        assert_eq!(plural(1, "stop"), "1 stop");
        assert_eq!(plural(2, "stop"), "2 stops");
    }
}
