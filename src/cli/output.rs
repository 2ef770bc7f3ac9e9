//! Standard output and standard error: results to the one, everything else to the other.

use std::io::{self, BufRead, BufWriter, IsTerminal, Write};

use anstream::{AutoStream, ColorChoice};
use anyhow::anyhow;
use serde::Serialize;

use super::args::{Color, LogFormat};
use super::next::After;
use super::{CommandError, Common};
use crate::config::{self, Diagnostic, Files};
use crate::patient::Patient;
use crate::report::{BrokenLines, SafeText};
use crate::threads;

/// That somebody said no.
#[derive(Debug, thiserror::Error)]
#[error("Not done. Nothing was sent and nothing was written.")]
pub struct Declined;

/// Where a command writes.
#[derive(Clone, Copy)]
pub struct Output {
    color: Color,
    quiet: bool,
    /// Whether standard error is a log of events.
    logs: bool,
}

impl Output {
    /// As the command line says.
    pub fn new(common: &Common) -> Self {
        Self {
            color: common.color,
            quiet: common.quiet,
            logs: common.log_format == LogFormat::Json,
        }
    }

    fn choice(&self, raw: &impl anstream::stream::RawStream) -> ColorChoice {
        match self.color {
            Color::Always => ColorChoice::Always,
            Color::Never => ColorChoice::Never,
            Color::Auto => AutoStream::choice(raw),
        }
    }

    /// Writes a result to standard output. That nobody reads on is no error.
    ///
    /// # Errors
    /// What standard output says.
    pub fn result(
        &self,
        write: impl FnOnce(&mut dyn Write) -> io::Result<()>,
    ) -> Result<(), CommandError> {
        self.written(None, write)
    }

    /// The same, of text for people: on a terminal its lines are broken at words.
    ///
    /// # Errors
    /// What standard output says.
    pub fn lines(
        &self,
        write: impl FnOnce(&mut dyn Write) -> io::Result<()>,
    ) -> Result<(), CommandError> {
        self.written(self.width(), write)
    }

    /// How wide the terminal is that shows the results, where one does.
    pub fn width(&self) -> Option<usize> {
        let width = comfy_table::Table::new().width().map(usize::from);
        width.filter(|_| io::stdout().is_terminal())
    }

    /// Writes a value as JSON to standard output.
    ///
    /// # Errors
    /// What standard output says.
    pub fn json(&self, value: &impl Serialize) -> Result<(), CommandError> {
        self.document(|out| {
            serde_json::to_writer_pretty(&mut *out, value)?;
            writeln!(out)
        })
    }

    /// Writes a JSON document that is one list, of entries that are JSON already: one by one, since there may be millions.
    ///
    /// # Errors
    /// Those of the entries, and what standard output says.
    pub fn json_list(
        &self,
        name: &str,
        mut entries: impl Iterator<Item = io::Result<String>>,
    ) -> Result<(), CommandError> {
        self.json_each(name, |entry| entries.try_for_each(|one| entry(one?)))
    }

    /// The same, where the entries are given to what writes one.
    ///
    /// # Errors
    /// Those of the entries, and what standard output says.
    pub fn json_each(
        &self,
        name: &str,
        entries: impl FnOnce(&mut dyn FnMut(String) -> io::Result<()>) -> io::Result<()>,
    ) -> Result<(), CommandError> {
        self.document(|out| {
            write!(out, "{{\n  \"{name}\": [")?;
            let mut before = "\n    ";
            entries(&mut |entry| {
                // Texts in it hold no line ends of their own: they are escaped.
                write!(out, "{before}{}", entry.replace('\n', "\n    "))?;
                before = ",\n    ";
                Ok(())
            })?;
            let end = if before.starts_with(',') { "\n  " } else { "" };
            writeln!(out, "{end}]\n}}")
        })
    }

    /// Writes a document for programs to standard output, as it is: it has no colours to take out. That nobody reads on is
    /// no error.
    ///
    /// # Errors
    /// What standard output says.
    pub fn document(
        &self,
        write: impl FnOnce(&mut dyn Write) -> io::Result<()>,
    ) -> Result<(), CommandError> {
        let mut out = BufWriter::with_capacity(1 << 16, Patient(io::stdout().lock()));
        read_or_not(write(&mut out).and_then(|()| out.flush()))
    }

    fn written(
        &self,
        width: Option<usize>,
        write: impl FnOnce(&mut dyn Write) -> io::Result<()>,
    ) -> Result<(), CommandError> {
        let stdout = io::stdout().lock();
        let choice = self.choice(&stdout);
        // Behind the stream as well, which passes on what it is given in pieces.
        let whole: Box<dyn Write> = Box::new(BufWriter::with_capacity(1 << 16, Patient(stdout)));
        let buffered = BufWriter::with_capacity(1 << 16, AutoStream::new(whole, choice));
        let mut lines = BrokenLines::new(buffered, width);
        read_or_not(write(&mut lines).and_then(|()| lines.flush()))
    }

    /// Writes to standard error, unless it is to be quiet.
    pub fn notice(&self, write: impl FnOnce(&mut dyn Write) -> io::Result<()>) {
        if self.logs {
            tracing::info!(event = "notice", "{}", text(write));
        } else if !self.quiet {
            self.raw(write);
        }
    }

    /// Writes a warning to standard error, quiet or not.
    pub fn warn(&self, write: impl FnOnce(&mut dyn Write) -> io::Result<()>) {
        if self.logs {
            tracing::warn!(event = "warning", "{}", text(write));
        } else {
            self.raw(write);
        }
    }

    /// Writes an error to standard error, quiet or not.
    pub fn always(&self, write: impl FnOnce(&mut dyn Write) -> io::Result<()>) {
        if self.logs {
            tracing::error!(event = "error", "{}", text(write));
        } else {
            self.raw(write);
        }
    }

    /// Writes to standard error, on a terminal with its lines broken at words. Where nobody reads it, there is nothing to be done
    /// about that.
    fn raw(&self, write: impl FnOnce(&mut dyn Write) -> io::Result<()>) {
        let stderr = io::stderr().lock();
        let choice = self.choice(&stderr);
        let width = comfy_table::Table::new().use_stderr().width();
        let width = width.filter(|_| stderr.is_terminal()).map(usize::from);
        let patient: Box<dyn Write> = Box::new(Patient(stderr));
        let mut stream = BrokenLines::new(AutoStream::new(patient, choice), width);
        let _ = write(&mut stream).and_then(|()| stream.flush());
    }

    /// Says what one would type next: to people alone, so that it is in no program's way.
    pub fn next(&self, common: &Common, after: After<'_>) {
        if self.quiet || self.logs || !io::stderr().is_terminal() {
            return;
        }
        let config = common.config.as_ref().map(|of| of.display().to_string());
        if let Some(line) = after.line(config.as_deref()) {
            self.raw(|out| writeln!(out, "{}", SafeText(&line)));
        }
    }

    /// Writes what comes before a question.
    pub fn prompt(&self, write: impl FnOnce(&mut dyn Write) -> io::Result<()>) {
        self.raw(write);
    }

    /// Whether standard error is a log of events.
    pub fn is_log(&self) -> bool {
        self.logs
    }

    /// Whether there is somebody to ask: what is typed and what is shown must both belong to a terminal.
    pub fn can_ask() -> bool {
        io::stdin().is_terminal() && io::stderr().is_terminal()
    }

    /// Asks a question that only `yes` answers, unless it is answered already.
    ///
    /// # Errors
    /// That the answer is another, or that there is no terminal to ask on. Nothing must be done then.
    pub async fn ask(&self, question: &str, is_answered: bool) -> Result<(), CommandError> {
        if is_answered {
            return Ok(());
        }
        if !Self::can_ask() {
            return Err(anyhow!(
                "There is no terminal to ask on. Nothing was sent and nothing was written. With --yes, it goes on \
                 without asking."
            )
            .into());
        }
        self.raw(|out| write!(out, "{question} Type \"yes\" to go on: "));
        // Apart, so that a signal is heard meanwhile.
        let answer = threads::apart("question", || {
            let mut answer = String::new();
            io::stdin().lock().read_line(&mut answer).map(|_| answer)
        });
        let answer = answer.await.and_then(|answer| answer);
        let answer = answer.map_err(anyhow::Error::from)?;
        if answer.trim() == "yes" {
            return Ok(());
        }
        Err(anyhow::Error::new(Declined).into())
    }

    /// Tells what is allowed in a configuration and likely a slip.
    pub fn warnings(&self, list: &[Diagnostic], files: &Files) {
        if self.logs {
            for warning in list {
                let Told { file, line, help } = Told::of(warning);
                tracing::warn!(event = "problem", file, line, help, "{}", warning.message);
            }
            return;
        }
        let is_coloured = !matches!(self.choice(&io::stderr()), ColorChoice::Never);
        for text in config::rendered(list, files, is_coloured, terminal_width()) {
            self.notice(|out| writeln!(out, "warning: {}", text.trim_start()));
        }
    }

    /// Tells an error.
    pub fn error(&self, error: &CommandError) {
        match error {
            CommandError::Problems(problems) if self.logs => {
                for problem in &problems.list {
                    let Told { file, line, help } = Told::of(problem);
                    tracing::error!(event = "problem", file, line, help, "{}", problem.message);
                }
            }
            CommandError::Problems(problems) => {
                let is_coloured = !matches!(self.choice(&io::stderr()), ColorChoice::Never);
                let text = problems.render(is_coloured, terminal_width());
                self.raw(|out| write!(out, "{text}"));
            }
            CommandError::Other(error) if self.logs => {
                tracing::error!(event = "error", "{error:#}");
            }
            CommandError::Other(error) => {
                let style = anstyle::AnsiColor::Red.on_default().bold();
                let text = format!("{error:#}");
                self.raw(|out| writeln!(out, "{style}error:{style:#} {}", Lines(&text)));
            }
        }
    }
}

/// That nobody reads on is no error.
fn read_or_not(written: io::Result<()>) -> Result<(), CommandError> {
    match written {
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => Ok(()),
        result => Ok(result.map_err(anyhow::Error::from)?),
    }
}

/// What is written, without colours and the last line's end.
fn text(write: impl FnOnce(&mut dyn Write) -> io::Result<()>) -> String {
    let mut bytes = Vec::new();
    // Writing to memory does not fail.
    let _ = write(&mut bytes);
    let text = String::from_utf8_lossy(&bytes);
    anstream::adapter::strip_str(text.trim_end()).to_string()
}

/// Where a problem is and what to do about it; empty where that is not known.
struct Told<'a> {
    file: &'a str,
    line: u64,
    help: &'a str,
}

impl<'a> Told<'a> {
    fn of(problem: &'a Diagnostic) -> Self {
        let at = problem.at.as_ref();
        Self {
            file: at.map_or("", |at| &at.file),
            line: at.map_or(0, |at| at.line as u64),
            help: problem.help.as_deref().unwrap_or_default(),
        }
    }
}

/// Text of several lines, each shown safely.
struct Lines<'a>(&'a str);

impl std::fmt::Display for Lines<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        for (i, line) in self.0.lines().enumerate() {
            if i > 0 {
                f.write_str("\n  ")?;
            }
            write!(f, "{}", SafeText(line))?;
        }
        Ok(())
    }
}

fn terminal_width() -> usize {
    std::env::var("COLUMNS")
        .ok()
        .and_then(|columns| columns.parse().ok())
        .or_else(|| comfy_table::Table::new().width().map(usize::from))
        .unwrap_or(100)
        .clamp(40, 160)
}
