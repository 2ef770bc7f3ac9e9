//! How problems look.

use std::fmt;
use std::sync::Arc;

use miette::{GraphicalReportHandler, GraphicalTheme, LabeledSpan, NamedSource, SourceCode};

use super::diagnostic::{Diagnostic, Files, Place, Problems};

impl Problems {
    /// All problems as text, each with its place underlined, and their number at the end.
    ///
    /// `width` is in columns of the terminal. Whatever a file holds, the text cannot steer a terminal.
    pub fn render(&self, color: bool, width: usize) -> String {
        let mut out = String::new();
        for diagnostic in &self.list {
            out.push_str(&diagnostic.render(&self.files, color, width));
            out.push('\n');
        }
        let count = self.list.len();
        let s = if count == 1 { "" } else { "s" };
        out.push_str(&format!(
            "{count} problem{s}. Nothing was sent and nothing was written.\n"
        ));
        out
    }
}

impl Diagnostic {
    /// One problem as text, with its place underlined.
    pub fn render(&self, files: &Files, color: bool, width: usize) -> String {
        let theme = if color {
            GraphicalTheme::unicode()
        } else {
            GraphicalTheme::unicode_nocolor()
        };
        let handler = GraphicalReportHandler::new_themed(theme)
            .with_links(false)
            .with_width(width)
            .with_context_lines(1);
        let mut out = String::new();
        match handler.render_report(&mut out, &Shown::new(self, files)) {
            Ok(()) => out,
            Err(fmt::Error) => harmless(&self.message),
        }
    }
}

/// A problem in miette's terms.
#[derive(Debug)]
struct Shown {
    message: String,
    help: Option<String>,
    source: Option<NamedSource<Arc<str>>>,
    labels: Vec<LabeledSpan>,
    /// Of the problem that it belongs to, in another file.
    is_related: bool,
    related: Vec<Shown>,
}

impl Shown {
    fn new(diagnostic: &Diagnostic, files: &Files) -> Self {
        let mut shown = Self {
            message: harmless(&diagnostic.message),
            help: diagnostic.help.as_deref().map(harmless),
            source: None,
            labels: Vec::new(),
            is_related: false,
            related: Vec::new(),
        };
        if let Some(place) = &diagnostic.at {
            shown.point(place, files, diagnostic.label.as_deref(), true);
        }
        for (place, label) in &diagnostic.related {
            let same_file = diagnostic
                .at
                .as_ref()
                .is_some_and(|at| at.file == place.file);
            if same_file {
                shown.point(place, files, Some(label), false);
            } else {
                let mut other = Self {
                    message: harmless(label),
                    help: None,
                    source: None,
                    labels: Vec::new(),
                    is_related: true,
                    related: Vec::new(),
                };
                other.point(place, files, None, true);
                shown.related.push(other);
            }
        }
        shown
    }

    fn point(&mut self, place: &Place, files: &Files, label: Option<&str>, is_primary: bool) {
        let Some(text) = files.0.get(&place.file) else {
            self.message = format!("{} ({place})", self.message);
            return;
        };
        let end = place.span.1.min(text.len());
        let start = place.span.0.min(end);
        // Only the first line of what is meant is underlined: more of it would hide the rest.
        let length = text
            .get(start..end)
            .and_then(|meant| meant.lines().next())
            .map_or(end - start, str::len);
        let label = label.map(harmless);
        self.labels.push(if is_primary {
            LabeledSpan::new_primary_with_span(label, (start, length.max(1)))
        } else {
            LabeledSpan::new_with_span(label, (start, length.max(1)))
        });
        self.source.get_or_insert_with(|| {
            NamedSource::new(harmless(&place.file), Arc::from(same_length(text)))
        });
    }
}

impl fmt::Display for Shown {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

impl std::error::Error for Shown {}

impl miette::Diagnostic for Shown {
    fn help<'a>(&'a self) -> Option<Box<dyn fmt::Display + 'a>> {
        self.help
            .as_ref()
            .map(|help| Box::new(help) as Box<dyn fmt::Display>)
    }

    fn severity(&self) -> Option<miette::Severity> {
        self.is_related.then_some(miette::Severity::Advice)
    }

    fn source_code(&self) -> Option<&dyn SourceCode> {
        self.source.as_ref().map(|source| source as &dyn SourceCode)
    }

    fn labels(&self) -> Option<Box<dyn Iterator<Item = LabeledSpan> + '_>> {
        (!self.labels.is_empty()).then(|| Box::new(self.labels.iter().cloned()) as _)
    }

    fn related<'a>(&'a self) -> Option<Box<dyn Iterator<Item = &'a dyn miette::Diagnostic> + 'a>> {
        (!self.related.is_empty()).then(|| {
            Box::new(
                self.related
                    .iter()
                    .map(|shown| shown as &dyn miette::Diagnostic),
            ) as _
        })
    }
}

fn steers(c: char) -> bool {
    (c.is_control() && c != '\n' && c != '\t')
        || matches!(c, '\u{200e}' | '\u{200f}' | '\u{2028}' | '\u{2029}' | '\u{202a}'..='\u{202e}'
            | '\u{2066}'..='\u{2069}' | '\u{feff}')
}

/// A sentence in which nothing can steer a terminal.
fn harmless(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        if steers(c) {
            out.extend(c.escape_default());
        } else {
            out.push(c);
        }
    }
    out
}

/// A file's text in which nothing can steer a terminal and no URL shows its user and password, with every byte in its
/// place.
fn same_length(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut hidden_until = 0;
    let mut secret_until = 0;
    for (at, c) in text.char_indices() {
        if text[at..].starts_with("://") {
            hidden_until = hidden_until.max(end_of_user(text, at + 3));
        }
        if c == '=' && names_a_secret(&text[..at]) {
            secret_until = at + text[at..].find('\n').unwrap_or(text.len() - at);
        }
        match c {
            _ if (at < hidden_until) && !"/:".contains(c) => {
                out.extend(std::iter::repeat_n('*', c.len_utf8()));
            }
            _ if at < secret_until && !"='\" ".contains(c) => {
                out.extend(std::iter::repeat_n('*', c.len_utf8()));
            }
            '\r' => out.push(' '),
            c if steers(c) => out.extend(std::iter::repeat_n('?', c.len_utf8())),
            c => out.push(c),
        }
    }
    out
}

/// Whether the key at the end of a text is one of a secret, which belongs in the environment and may stand in a file all
/// the same.
fn names_a_secret(before: &str) -> bool {
    let line = before
        .rsplit('\n')
        .next()
        .unwrap_or_default()
        .to_ascii_lowercase();
    ["secret", "password", "consumer_key", "token"]
        .iter()
        .any(|word| line.contains(word))
}

/// Where the user and password of a URL end whose authority begins here; here, where it has none.
fn end_of_user(text: &str, start: usize) -> usize {
    let authority = text[start..]
        .split(|c: char| c.is_whitespace() || "/\"'".contains(c))
        .next()
        .unwrap_or_default();
    start + authority.rfind('@').unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_password_in_a_url_is_hidden_and_every_byte_stays_in_its_place() {
        for (text, shown) in [
            ("a = \"https://me:hush@x/y\"", "a = \"https://**:****@x/y\""),
            ("https://x/y@z", "https://x/y@z"),
            ("https://é@x", "https://**@x"),
            ("a\u{1b}b\r\n", "a?b \n"),
            (
                "consumer_secret = \"hush\"\nb = 1",
                "consumer_secret = \"****\"\nb = 1",
            ),
        ] {
            assert_eq!(same_length(text), shown);
            assert_eq!(same_length(text).len(), text.len());
        }
    }
}
