//! How problems look.

use std::collections::BTreeMap;
use std::fmt;
use std::ops::Range;
use std::sync::Arc;

use miette::{GraphicalReportHandler, GraphicalTheme, LabeledSpan, SourceCode};
use unicode_width::UnicodeWidthStr;

use super::diagnostic::{Diagnostic, Files, Place, Problems, SHOWN_OF_ONE_FILE};
use super::excerpt::{Excerpt, masked};
use super::redact::redacted;
use crate::text::SafeText;

/// The narrowest that a problem is laid out for, in columns.
const NARROWEST: usize = 40;

/// How many lines apart two places of one file may be to be shown in one piece.
const NEAR: usize = 4;

impl Problems {
    /// All problems as text, each with its place underlined, and their number at the end.
    ///
    /// `width` is in columns of the terminal. Whatever a file holds, the text cannot steer a terminal.
    pub fn render(&self, color: bool, width: usize) -> String {
        let mut out = String::new();
        for text in rendered(&self.list, &self.files, color, width) {
            out.push_str(&text);
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

/// Diagnostics as texts, each with its place underlined: of each file the first few, and then how many more it has.
pub fn rendered(list: &[Diagnostic], files: &Files, color: bool, width: usize) -> Vec<String> {
    let mut texts = Texts::new(files);
    let mut counts: BTreeMap<Option<&Arc<str>>, usize> = BTreeMap::new();
    let mut out = Vec::new();
    for diagnostic in list {
        let count = counts
            .entry(diagnostic.at.as_ref().map(|place| &place.file))
            .or_default();
        *count += 1;
        // What is in no file has been counted where it was found.
        if diagnostic.at.is_none() || *count <= SHOWN_OF_ONE_FILE {
            out.push(render(diagnostic, &mut texts, color, width));
        }
    }
    let more = counts
        .into_iter()
        .filter_map(|(file, count)| Some((file?, count)))
        .filter(|(_, count)| *count > SHOWN_OF_ONE_FILE);
    out.extend(more.map(|(file, count)| {
        let more = count - SHOWN_OF_ONE_FILE;
        format!("{}: and {more} more like these\n", harmless(file))
    }));
    out
}

fn render(diagnostic: &Diagnostic, texts: &mut Texts<'_>, color: bool, width: usize) -> String {
    let width = width.max(NARROWEST);
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
    match handler.render_report(&mut out, &Shown::new(diagnostic, texts, width)) {
        Ok(()) => out,
        Err(fmt::Error) => harmless(&diagnostic.message),
    }
}

/// The texts of the files, each masked when it is first shown.
struct Texts<'a> {
    files: &'a Files,
    masked: BTreeMap<Arc<str>, String>,
}

impl<'a> Texts<'a> {
    fn new(files: &'a Files) -> Self {
        Self {
            files,
            masked: BTreeMap::new(),
        }
    }

    fn get(&mut self, file: &Arc<str>) -> Option<&str> {
        let text = self.files.0.get(file)?;
        Some(
            self.masked
                .entry(file.clone())
                .or_insert_with(|| masked(&redacted(text))),
        )
    }
}

/// A problem in miette's terms.
#[derive(Debug)]
struct Shown {
    message: String,
    help: Option<String>,
    source: Option<Excerpt>,
    labels: Vec<LabeledSpan>,
    /// Of the problem that it belongs to, in another place.
    is_related: bool,
    related: Vec<Shown>,
}

impl Shown {
    fn new(diagnostic: &Diagnostic, texts: &mut Texts<'_>, width: usize) -> Self {
        let mut shown = Self::saying(&diagnostic.message);
        shown.help = diagnostic.help.as_deref().map(harmless);
        let Some(at) = &diagnostic.at else {
            return shown;
        };
        let mut spots = vec![(at, diagnostic.label.as_deref())];
        for (place, label) in &diagnostic.related {
            if is_beside(at, place, label, texts, width) {
                spots.push((place, Some(label)));
            } else {
                let mut other = Self::saying(label);
                other.is_related = true;
                other.point(&[(place, None)], texts, width);
                shown.related.push(other);
            }
        }
        shown.point(&spots, texts, width);
        shown
    }

    fn saying(message: &str) -> Self {
        Self {
            message: harmless(message),
            help: None,
            source: None,
            labels: Vec::new(),
            is_related: false,
            related: Vec::new(),
        }
    }

    /// Shows places of one file, the main one first, each with a word or two.
    fn point(&mut self, spots: &[(&Place, Option<&str>)], texts: &mut Texts<'_>, width: usize) {
        let [(main, label), ..] = spots else { return };
        let Some(text) = texts.get(&main.file) else {
            self.message = format!("{} ({})", self.message, harmless(&main.to_string()));
            return;
        };
        let spans: Vec<Range<usize>> = spots.iter().map(|(place, _)| meant(place, text)).collect();
        let source = Excerpt::new(
            harmless(&main.file),
            text,
            main.line,
            &spans,
            room(main, width),
            label_room(*label),
        );
        for (number, (span, (_, label))) in source.spans.iter().zip(spots).enumerate() {
            let place = (span.start, span.len().max(1));
            let label = label.map(harmless);
            self.labels.push(match number {
                0 => LabeledSpan::new_primary_with_span(label, place),
                _ => LabeledSpan::new_with_span(label, place),
            });
        }
        self.source = Some(source);
    }
}

/// What is underlined: only the first line of what is meant, as more of it would hide the rest.
fn meant(place: &Place, text: &str) -> Range<usize> {
    let end = text.floor_char_boundary(place.span.1.min(text.len()));
    let start = text.floor_char_boundary(place.span.0.min(end));
    let length = text[start..end].find('\n').unwrap_or(end - start);
    start..start + length
}

/// The columns that are left for a file's line, beside its number.
fn room(place: &Place, width: usize) -> usize {
    let digits = (place.line + NEAR).to_string().len();
    width - digits - 5
}

/// The columns that a label takes, from the middle of what it is about.
fn label_room(label: Option<&str>) -> usize {
    label.map_or(1, |label| 4 + harmless(label).width())
}

/// Whether another place can be shown in one piece with the main one: near, and with room for both lines.
fn is_beside(at: &Place, other: &Place, label: &str, texts: &mut Texts<'_>, width: usize) -> bool {
    if at.file != other.file || at.line.abs_diff(other.line) > NEAR {
        return false;
    }
    let Some(text) = texts.get(&at.file) else {
        return false;
    };
    let width = room(at, width);
    let fits = |place, label| Excerpt::fits(text, &meant(place, text), width, label_room(label));
    fits(at, None) && fits(other, Some(label))
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

/// A sentence on one line in which nothing can steer a terminal.
fn harmless(text: &str) -> String {
    SafeText(text).to_string()
}
