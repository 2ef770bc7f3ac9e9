//! Colours and numbers.

use anstyle::{AnsiColor, Style};
use comfy_table::{TableStyle, presets};

pub use crate::text::{SafeText, plural, thousands};

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

/// A text made as wide as asked, in columns of a terminal.
pub fn pad(text: &str, width: usize) -> String {
    let missing = width.saturating_sub(unicode_width::UnicodeWidthStr::width(text));
    format!("{text}{:missing$}", "")
}
