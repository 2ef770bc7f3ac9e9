//! `rollcall init`: a small configuration repository to start from, or one with what Spotler lists.

pub(super) mod examples;
mod listed;

use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};

use anyhow::{Context, anyhow};

use examples::Example;

use super::args::InitArgs;
use super::output::Output;
use super::{CommandError, Common, Exit, Session};
use crate::config::schema::{SCHEMA_NAME, schema};
use crate::config::{self, FILE_NAME};
use crate::id::RecordId;

/// The files to start from, by their paths in the new repository.
const FILES: [(&str, &str); 4] = [
    (FILE_NAME, include_str!("init/rollcall.toml")),
    (
        "lifecycle/customers.toml",
        include_str!("init/customers.toml"),
    ),
    ("exports/crm.csv", include_str!("init/crm.csv")),
    (GITIGNORE, KEPT_OUT),
];

/// Where the automations go that Spotler lists.
pub(super) const AUTOMATIONS: &str = "automations.toml";

const GITIGNORE: &str = ".gitignore";

/// What must not get into Git: the record with all that is beside it (journal, lock, the sandbox's memory, what `[notify]` said),
/// the exports and the saved plans, which name people, and what runs leave beside `rollcall.toml`.
const KEPT_OUT: &str = "/state/\n/exports/\n*.plan\n.rollcall*\n";

pub(super) async fn run(args: &InitArgs, common: &Common) -> Result<Exit, CommandError> {
    let (dir, there) = (&args.dir, args.dir.join(FILE_NAME));
    if args.from_spotler && there.exists() {
        return beside(&there, args, common).await;
    }
    let id = RecordId::new();
    let pin = format!("\n[record]\nid = \"{id}\"   # with any other record, nothing is applied\n");
    let option = option(dir);
    if let Some(example) = args.example.as_deref().and_then(Example::named) {
        return write_example(example, args, common);
    }
    let (mut files, next) = match args.from_spotler {
        false => {
            let files = FILES.map(|(name, text)| (name, text.to_owned()));
            let next = format!(
                "It runs on the built-in sandbox; no account is needed:\n  rollcall plan{option}\n  rollcall apply{option}"
            );
            (files.to_vec(), next)
        }
        true => {
            let root = listed::root(args.base_url.as_deref());
            let next = format!(
                "Nobody is enrolled yet: add [[enrol]] blocks, then see what they do:\n  rollcall plan{option}"
            );
            (from_spotler(root, common).await?, next)
        }
    };
    files[0].1.push_str(&pin);
    files.push((SCHEMA_NAME, schema()));
    let files = files.into_iter();
    let files = files.map(|(name, text)| (name.to_owned(), text.into_bytes()));
    let written = write(dir, &files.collect::<Vec<_>>())?;
    report_written(common, &written, |out| {
        writeln!(
            out,
            "\nIts record gets the id {id}, so that no other record is mistaken for it.\n{next}"
        )
    })
}

/// A new repository with an example.
fn write_example(
    example: &Example,
    args: &InitArgs,
    common: &Common,
) -> Result<Exit, CommandError> {
    let mut files = example.written();
    let kept_out = example.kept_out(KEPT_OUT);
    files.push((GITIGNORE.to_owned(), kept_out.into_bytes()));
    let written = write(&args.dir, &files)?;
    let option = option(&args.dir);
    report_written(common, &written, |out| {
        writeln!(
            out,
            "\nIt runs on the built-in sandbox; no account is needed. README.md says what to try:\n  rollcall plan{option}\n  \
             rollcall apply{option}"
        )
    })
}

/// A new repository with what Spotler lists.
async fn from_spotler(
    root: String,
    common: &Common,
) -> Result<Vec<(&'static str, String)>, CommandError> {
    // Read before it is written, so that a wrong address is reported like any other mistake in a configuration.
    let trial = tempfile::tempdir().context("A temporary folder cannot be made")?;
    let file = trial.path().join(FILE_NAME);
    fs::write(&file, &root)
        .and_then(|()| fs::write(trial.path().join(AUTOMATIONS), "# None yet.\n"))
        .context("A temporary file cannot be written")?;
    let session = Session::of(&file, common)?;
    let listed = session.engine.listed_automations().await?;
    let (text, _) = listed::blocks(&listed, &[]);
    Ok(vec![
        (FILE_NAME, root),
        (AUTOMATIONS, listed::SCHEMA_LINE.to_owned() + &text),
        (GITIGNORE, KEPT_OUT.to_owned()),
    ])
}

/// Writes what Spotler lists beside a configuration that is there already.
async fn beside(there: &Path, args: &InitArgs, common: &Common) -> Result<Exit, CommandError> {
    let dir = &args.dir;
    if args.base_url.is_some() {
        return Err(anyhow!(
            "{} is there already and has the address of Spotler's API; run it without --base-url. Nothing was written.",
            there.display()
        )
        .into());
    }
    let Session { engine, output } = &Session::of(there, common)?;
    let configured = &engine.config().automations;
    let listed = engine.listed_automations().await?;
    let (mut text, count) = listed::blocks(&listed, configured);
    if count == 0 {
        output.result(|out| {
            writeln!(
                out,
                "Every external trigger that Spotler lists is configured already."
            )
        })?;
        return Ok(Exit::Fine);
    }
    if dir.join(SCHEMA_NAME).exists() {
        text.insert_str(0, listed::SCHEMA_LINE);
    }
    let written = write(dir, &[(AUTOMATIONS.to_owned(), text.into_bytes())])?;
    let is_included =
        config::load(there).is_ok_and(|now| now.automations.len() == configured.len() + count);
    report_written(common, &written, |out| match is_included {
        true => Ok(()),
        false => writeln!(
            out,
            "\nAdd it to the `include` of {}: include = [{AUTOMATIONS:?}]",
            there.display()
        ),
    })
}

/// Writes files, or none where one of them is there already. Returns those that were written.
fn write(dir: &Path, files: &[(String, Vec<u8>)]) -> Result<Vec<PathBuf>, CommandError> {
    // All are looked at before the first is written, so that nothing is half done.
    let there: Vec<&str> = files
        .iter()
        .map(|(name, _)| name.as_str())
        .filter(|name| *name != GITIGNORE && dir.join(name).exists())
        .collect();
    if !there.is_empty() {
        return Err(anyhow!(
            "{} already holds {}; nothing was written. Choose another folder.",
            dir.display(),
            there.join(", ")
        )
        .into());
    }
    let mut written = Vec::new();
    for (name, text) in files {
        let path = dir.join(name);
        if path.exists() {
            // Only .gitignore can be there already.
            let there = fs::read_to_string(&path)
                .with_context(|| format!("{} cannot be read.", path.display()))?;
            let missing = lacking(&there, &String::from_utf8_lossy(text));
            if !missing.is_empty() {
                let gap = if there.is_empty() || there.ends_with('\n') {
                    ""
                } else {
                    "\n"
                };
                fs::write(&path, format!("{there}{gap}{missing}"))
                    .with_context(|| format!("{} cannot be written.", path.display()))?;
                written.push(path);
            }
            continue;
        }
        if let Some(parent) = path.parent() {
            fs::create_dir_all(parent)
                .with_context(|| format!("The folder {} cannot be made.", parent.display()))?;
        }
        fs::OpenOptions::new()
            .write(true)
            .create_new(true)
            .open(&path)
            .and_then(|mut file| file.write_all(text))
            .with_context(|| format!("{} cannot be written.", path.display()))?;
        written.push(path);
    }
    Ok(written)
}

/// The lines that a text lacks.
fn lacking(there: &str, wanted: &str) -> String {
    let has = |line: &str| there.lines().any(|of| of.trim() == line);
    let missing = wanted.lines().filter(|line| !has(line));
    missing.map(|line| format!("{line}\n")).collect()
}

fn report_written(
    common: &Common,
    written: &[PathBuf],
    rest: impl FnOnce(&mut dyn Write) -> std::io::Result<()>,
) -> Result<Exit, CommandError> {
    Output::new(common).result(|out| {
        for path in written {
            writeln!(out, "wrote {}", path.display())?;
        }
        rest(out)
    })?;
    Ok(Exit::Fine)
}

/// How the new repository is named to the other commands.
fn option(dir: &Path) -> String {
    match dir.as_os_str() == "." {
        true => String::new(),
        false => format!(" --config {}", dir.display()),
    }
}
