//! `rollcall init`: a small configuration repository to start from.

use std::fs;
use std::io::Write;

use anyhow::{Context, anyhow};

use super::args::InitArgs;
use super::output::Output;
use super::{CommandError, Common, Exit};

/// The files, by their paths in the new repository.
const FILES: [(&str, &str); 4] = [
    ("rollcall.toml", include_str!("init/rollcall.toml")),
    (
        "lifecycle/customers.toml",
        include_str!("init/customers.toml"),
    ),
    ("exports/crm.csv", include_str!("init/crm.csv")),
    (".gitignore", "/state/\n"),
];

pub(super) fn run(args: &InitArgs, common: &Common) -> Result<Exit, CommandError> {
    let dir = &args.dir;
    // All are looked at before the first is written, so that nothing is half done.
    let there: Vec<&str> = FILES
        .iter()
        .map(|(name, _)| *name)
        .filter(|name| *name != ".gitignore" && dir.join(name).exists())
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
    for (name, text) in FILES {
        let path = dir.join(name);
        if path.exists() {
            // Only .gitignore can be there already; the record must not get into Git.
            let there = fs::read_to_string(&path)
                .with_context(|| format!("{} cannot be read.", path.display()))?;
            if !there.lines().any(|line| line.trim() == text.trim()) {
                let gap = if there.is_empty() || there.ends_with('\n') {
                    ""
                } else {
                    "\n"
                };
                fs::write(&path, format!("{there}{gap}{text}"))
                    .with_context(|| format!("{} cannot be written.", path.display()))?;
                written.push(name);
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
            .and_then(|mut file| file.write_all(text.as_bytes()))
            .with_context(|| format!("{} cannot be written.", path.display()))?;
        written.push(name);
    }
    Output::new(common).result(|out| {
        for name in written {
            writeln!(out, "wrote {}", dir.join(name).display())?;
        }
        let option = if dir.as_os_str() == "." {
            String::new()
        } else {
            format!(" --config {}", dir.display())
        };
        writeln!(
            out,
            "\nIt runs on the built-in sandbox; no account is needed:\n  rollcall plan{option}\n  rollcall apply{option}"
        )
    })?;
    Ok(Exit::Fine)
}
