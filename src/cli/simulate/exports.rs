//! Dated exports: which file was the export of which source, from which day on.

use std::collections::BTreeMap;
use std::ops::Range;
use std::path::{Path, PathBuf};

use anyhow::{anyhow, bail};
use jiff::civil::{Date, date};

use crate::config::{self, Config, Source, SourceKind};
use crate::engine::Exports;
use crate::report::SafeText;

/// What may stand between a date and the rest of a name.
const BETWEEN: [char; 4] = ['-', '_', '.', ' '];

/// The exports that patterns name, by source. A pattern may begin with a source and `=`.
///
/// # Errors
/// What is wrong with a pattern, or with the files that it names.
pub(super) fn find(
    config: &Config,
    patterns: &[String],
) -> Result<BTreeMap<String, Exports>, anyhow::Error> {
    let mut all: BTreeMap<String, Exports> = BTreeMap::new();
    for written in patterns {
        let (source, pattern) = named(config, written)?;
        let paths = glob::glob(pattern).map_err(|error| {
            let shown = SafeText(pattern);
            anyhow!("--exports {shown} is no pattern for files: {}", error.msg)
        })?;
        let files: Vec<PathBuf> = paths.flatten().filter(|path| path.is_file()).collect();
        if files.is_empty() {
            let shown = SafeText(pattern);
            bail!(
                "--exports {shown}: there is no such file. Quote the pattern, so that the shell leaves it to rollcall."
            );
        }
        let mut is_any = false;
        for file in &files {
            let shown = file.display().to_string();
            let Some((date, place)) = dated(&shown, fixed(pattern, &shown)) else {
                let shown = SafeText(&shown);
                bail!(
                    "{shown}: there is no date in the part of its path that varies, so that nobody knows of which day it is. Write \
                     it as 2026-01-05 or 20260105, in the name of the file or of its folder."
                );
            };
            let found = source.or_else(|| of(config, &shown, &place));
            let Some(found) = found else { continue };
            is_any = true;
            let exports = all.entry(found.name.clone()).or_default();
            if let Some((_, other)) = exports.insert(date, (file.clone(), shown.clone())) {
                let (shown, other) = (SafeText(&shown), SafeText(&other));
                bail!(
                    "{other} and {shown} are both the export of {} of {date}. Narrow the pattern to one of them.",
                    SafeText(&found.name)
                );
            }
        }
        if !is_any {
            let shown = files[0].display().to_string();
            let names: Vec<String> = (config.sources.iter())
                .filter(|source| !source.is_query())
                .map(|source| SafeText(&source.name).to_string())
                .collect();
            bail!(
                "No source reads a file of that name: {}. Say which source it is ({}), as in --exports {}='{}'.",
                SafeText(&shown),
                names.join(", "),
                names.first().map_or("crm", String::as_str),
                SafeText(pattern)
            );
        }
    }
    Ok(all)
}

/// The source that a pattern is for, where it says so.
fn named<'a>(
    config: &'a Config,
    written: &'a str,
) -> Result<(Option<&'a Source>, &'a str), anyhow::Error> {
    let Some((name, pattern)) = written.split_once('=') else {
        return Ok((None, written));
    };
    let is_name = |c: char| c.is_alphanumeric() || c == '-' || c == '_';
    if !name.chars().all(is_name) {
        return Ok((None, written));
    }
    let mut sources = config.sources.iter();
    match sources.find(|source| source.name == name) {
        Some(source) if source.is_query() => {
            bail!("The source {name} is a query over other sources: give the exports of these.")
        }
        Some(source) => Ok((Some(source), pattern)),
        None => {
            let names = config.sources.iter().map(|source| source.name.as_str());
            let near = config::nearest(names, name);
            let near = near.map_or(String::new(), |near| format!(" Did you mean {near}?"));
            bail!("--exports {name}=…: there is no source {name} in the configuration.{near}")
        }
    }
}

/// The source whose file, or whose database's export, has this name, but for the date.
fn of<'a>(config: &'a Config, shown: &str, place: &Range<usize>) -> Option<&'a Source> {
    let start = shown.rfind(['/', '\\']).map_or(0, |at| at + 1);
    let name = match place.start >= start {
        true => without(&shown[start..], &(place.start - start..place.end - start)),
        false => shown[start..].to_owned(),
    };
    config.sources.iter().find(|source| match &source.kind {
        SourceKind::Csv { path, .. } => path.file_name() == Path::new(&name).file_name(),
        SourceKind::Database { .. } => name == format!("{}.csv", source.name),
        SourceKind::Query { .. } => false,
    })
}

/// A name without its date: `crm.csv` of `crm-2026-01-05.csv`.
fn without(name: &str, place: &Range<usize>) -> String {
    let (before, after) = (&name[..place.start], &name[place.end..]);
    let start = before.trim_end_matches(BETWEEN);
    let end = after.trim_start_matches(BETWEEN);
    if start.is_empty() || end.is_empty() {
        return format!("{start}{end}");
    }
    let between = match end.contains('.') {
        true => after.chars().next().unwrap_or('-'),
        false => '.',
    };
    format!("{start}{between}{end}")
}

/// How much of a path is the same for all files of a pattern.
fn fixed(pattern: &str, path: &str) -> usize {
    let varies = pattern.find(['*', '?', '[']).unwrap_or(0);
    let start = &pattern[..varies];
    match path.starts_with(start) {
        true => varies,
        false => 0,
    }
}

/// The last date in a text behind a place, and where it stands.
fn dated(text: &str, behind: usize) -> Option<(Date, Range<usize>)> {
    let bytes = text.as_bytes();
    let is_digit = |at: usize| bytes.get(at).is_some_and(u8::is_ascii_digit);
    let number = |from: usize, len: usize| -> Option<i16> {
        let part = text.get(from..from + len)?;
        part.bytes()
            .all(|byte| byte.is_ascii_digit())
            .then(|| part.parse().ok())?
    };
    let whole = |at: usize, gap: usize| {
        let len = 8 + 2 * gap;
        let gaps = [at + 4, at + 6 + gap];
        let is_apart = |at: usize| matches!(bytes.get(at), Some(b'-' | b'_'));
        if gap == 1 && !gaps.iter().all(|at| is_apart(*at)) || is_digit(at + len) {
            return None;
        }
        let (year, month) = (number(at, 4)?, number(at + 4 + gap, 2)?);
        let day = number(at + 6 + 2 * gap, 2)?;
        let date = Date::new(year, i8::try_from(month).ok()?, i8::try_from(day).ok()?).ok()?;
        (date >= self::date(1970, 1, 1)).then_some((date, at..at + len))
    };
    let starts = (behind..text.len()).rev();
    let mut starts = starts.filter(|at| is_digit(*at) && (*at == 0 || !is_digit(at - 1)));
    starts.find_map(|at| whole(at, 1).or_else(|| whole(at, 0)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_date_is_found_wherever_it_stands_and_the_name_is_the_rest() {
        for (path, wanted, name) in [
            ("archive/2026-01-05/crm.csv", "2026-01-05", "crm.csv"),
            ("archive/crm-2026-01-05.csv", "2026-01-05", "crm.csv"),
            ("archive/20260105_crm.csv", "2026-01-05", "crm.csv"),
            ("a/crm.2026_01_05.csv", "2026-01-05", "crm.csv"),
            (
                "2024-01-01/crm-20260105-full.csv",
                "2026-01-05",
                "crm-full.csv",
            ),
        ] {
            let (date, place) = dated(path, 0).unwrap();
            assert_eq!(date.to_string(), wanted);
            let start = path.rfind('/').unwrap() + 1;
            if place.start > start || path.ends_with("_crm.csv") {
                let place = place.start - start..place.end - start;
                assert_eq!(without(&path[start..], &place), name);
            }
        }
        for none in [
            "crm.csv",
            "crm-2026-13-05.csv",
            "order-120260105.csv",
            "1026",
        ] {
            assert_eq!(dated(none, 0), None, "{none}");
        }
    }

    #[test]
    fn what_does_not_vary_holds_no_date() {
        let path = "backup-2026-11-01/x/crm.csv";
        assert_eq!(
            dated(path, fixed("backup-2026-11-01/*/crm.csv", path)),
            None
        );
    }
}
