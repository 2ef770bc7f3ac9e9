//! Problems with a configuration, told by file, line, underlined source and advice.

use std::collections::BTreeMap;
use std::fmt;
use std::ops::Range;
use std::sync::Arc;

/// A place in a configuration file.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Place {
    /// The file, relative to the configuration's root, with `/`.
    pub file: Arc<str>,
    /// The line, from 1.
    pub line: usize,
    /// What is meant, in bytes of the file.
    pub span: (usize, usize),
}

impl Place {
    /// The span as a range.
    pub fn range(&self) -> Range<usize> {
        self.span.0..self.span.1
    }
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.file, self.line)
    }
}

impl fmt::Debug for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// The text of every configuration file that was read.
#[derive(Debug, Clone, Default)]
pub struct Files(pub BTreeMap<Arc<str>, Arc<str>>);

/// So many problems of one file are shown; a count tells of the others.
pub(super) const SHOWN_OF_ONE_FILE: usize = 20;

/// One problem, ready to be shown.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Diagnostic {
    /// What is wrong, as a sentence without a full stop.
    pub message: String,
    /// Where; `None` where it is not in a file's text (a missing file, a source's row).
    pub at: Option<Place>,
    /// A word or two at the underlined place.
    pub label: Option<String>,
    /// Other places that have to do with it, each with a word or two ("first defined here").
    pub related: Vec<(Place, String)>,
    /// What to write instead, or to do next.
    pub help: Option<String>,
}

impl Diagnostic {
    /// A problem at a place.
    pub fn at(place: Place, message: impl Into<String>) -> Self {
        Self {
            at: Some(place),
            ..Self::nowhere(message)
        }
    }

    /// A problem that is in no file's text.
    pub fn nowhere(message: impl Into<String>) -> Self {
        Self {
            message: message.into(),
            at: None,
            label: None,
            related: Vec::new(),
            help: None,
        }
    }

    /// Adds what to write instead, or to do next.
    pub fn help(mut self, help: impl Into<String>) -> Self {
        self.help = Some(help.into());
        self
    }

    /// Adds a word or two at the underlined place.
    pub fn label(mut self, label: impl Into<String>) -> Self {
        self.label = Some(label.into());
        self
    }

    /// Adds another place that has to do with it.
    pub fn related(mut self, place: Place, label: impl Into<String>) -> Self {
        self.related.push((place, label.into()));
        self
    }
}

/// All problems that were found in one reading.
#[derive(Debug, Clone, Default)]
pub struct Problems {
    /// Each of them.
    pub list: Vec<Diagnostic>,
    /// What they point into.
    pub files: Files,
}

impl Problems {
    /// One problem alone.
    pub fn one(diagnostic: Diagnostic) -> Self {
        Self {
            list: vec![diagnostic],
            files: Files::default(),
        }
    }
}
