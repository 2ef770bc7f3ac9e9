//! `apply --report FILE`: what was done, whatever came of it.

use std::ffi::OsStr;
use std::io::Write;
use std::path::Path;

use anyhow::{Context, anyhow};

use super::metrics::Seen;
use super::output::Output;
use super::{CommandError, Exit};
use crate::apply::Run;
use crate::report::{self, Applied, FileKind, applied_html, applied_json, applied_markdown};

/// A report that is to be written.
pub(super) struct Reported<'a> {
    path: &'a Path,
    kind: FileKind,
}

impl<'a> Reported<'a> {
    /// Checks that the file can be written, before anything is done, and removes the one of an earlier run: it would say
    /// that this one succeeded if this one is killed.
    pub fn check(path: &'a Path) -> Result<Self, CommandError> {
        let what = || {
            format!(
                "The report cannot be written to {}. Nothing was sent and nothing was written",
                path.display()
            )
        };
        let ending = path.extension().and_then(OsStr::to_str).unwrap_or_default();
        let kind = match ending.to_ascii_lowercase().as_str() {
            "md" => FileKind::AppliedMarkdown,
            "html" => FileKind::AppliedHtml,
            "json" => FileKind::AppliedJson,
            _ => {
                let ending = anyhow!("name a file that ends in .md, .html or .json");
                return Err(ending.context(what()).into());
            }
        };
        report::check_writable(path, kind).with_context(what)?;
        match std::fs::remove_file(path) {
            Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
                return Err(anyhow::Error::from(error).context(what()).into());
            }
            _ => {}
        }
        Ok(Self { path, kind })
    }

    /// Writes the file. Says how the command ends: where it could not be written, that is not fine.
    pub fn write(&self, exit: Exit, seen: &Seen, output: &Output) -> Exit {
        let none = Run::default();
        let applied = Applied {
            exit_code: exit as u8,
            view: seen.planned.as_ref().map(|planned| planned.view()),
            run: seen.run.as_ref().unwrap_or(&none),
        };
        let write = |mut out: &mut dyn Write| match self.kind {
            FileKind::AppliedHtml => applied_html(&mut out, applied),
            FileKind::AppliedJson => applied_json(&mut out, applied),
            _ => applied_markdown(out, applied),
        };
        let written = report::write_whole(self.path, self.kind, write);
        let written = written.with_context(|| {
            format!(
                "The report could not be written to {}; what was done is on record",
                self.path.display()
            )
        });
        match (written, exit) {
            (Ok(()), exit) => exit,
            (Err(error), exit) => {
                output.error(&error.into());
                if exit == Exit::Fine {
                    Exit::Incomplete
                } else {
                    exit
                }
            }
        }
    }
}
