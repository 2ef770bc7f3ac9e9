//! Which files there are: finding `rollcall.toml`, following its `include`, keeping paths inside the repository.

use std::path::{Component, Path, PathBuf};
use std::sync::Arc;

use super::diagnostic::Diagnostic;
use super::reader::Item;

/// The name of the first file.
pub const FILE_NAME: &str = "rollcall.toml";

/// Why there is no configuration to read.
#[derive(Debug, thiserror::Error)]
pub enum FindError {
    /// The named file or folder is not there.
    #[error("There is no configuration at {}. Nothing was done.", .0.display())]
    Missing(PathBuf),
    /// No folder on the way up has one.
    #[error(
        "There is no {FILE_NAME} in {} or in any folder above it. Name one with --config, or make one with `rollcall \
         init`.",
        .0.display()
    )]
    NoneAbove(PathBuf),
}

/// Finds `rollcall.toml`: the named file or folder, or else the nearest one from `here` upwards.
///
/// # Errors
/// That there is none.
pub fn find(named: Option<&Path>, here: &Path) -> Result<PathBuf, FindError> {
    if let Some(named) = named {
        let path = here.join(named);
        let file = if path.is_dir() {
            path.join(FILE_NAME)
        } else {
            path
        };
        return match file.is_file() {
            true => Ok(file),
            false => Err(FindError::Missing(file)),
        };
    }
    here.ancestors()
        .map(|folder| folder.join(FILE_NAME))
        .find(|file| file.is_file())
        .ok_or_else(|| FindError::NoneAbove(here.to_owned()))
}

/// A path of the configuration, relative to the root. One that is absolute is taken as it is; one that leaves the
/// repository, by `..` or by a link, is a problem.
pub(super) fn within(root: &Path, text: &str, item: &Item<'_>) -> Option<PathBuf> {
    let path = Path::new(text);
    if is_for_a_shell(text, item) || is_several(text, item) {
        return None;
    }
    if path.is_absolute() {
        return Some(path.to_owned());
    }
    if has_way_up(text, item) {
        return None;
    }
    let path = root.join(path);
    if leaves(root, &path) {
        leads_out(text, item);
        return None;
    }
    Some(path)
}

/// Whether a path has in it what a shell would replace, or what double quotes make of a backslash; says so.
fn is_for_a_shell(text: &str, item: &Item<'_>) -> bool {
    let is_home = text == "~" || text.starts_with("~/") || text.starts_with("~\\");
    let (message, help) = if is_home {
        (
            "begins with ~, which only a shell replaces",
            "write the whole path, or one relative to rollcall.toml",
        )
    } else if text.contains("${") || text.contains("$(") || text.starts_with('$') {
        (
            "has a variable in it, which is not replaced here",
            "write the path itself; where it differs from machine to machine, let a link at one path lead to the file",
        )
    } else if text.contains(char::is_control) {
        (
            "holds a control character: in double quotes \\t is a tab and \\n a line end",
            "write it in single quotes, as 'C:\\temp\\new.csv', or with /",
        )
    } else {
        return false;
    };
    item.wrong(format!("{text:?} {message}"), help);
    true
}

/// Whether a path is a pattern of several files; says so.
fn is_several(text: &str, item: &Item<'_>) -> bool {
    // Windows begins its longest paths so.
    let is_several = text.trim_start_matches(r"\\?\").contains(['*', '?']);
    if is_several {
        item.wrong(
            format!("{text:?} is a pattern, and one file is wanted"),
            "name one file; let the export write to the same name each time",
        );
    }
    is_several
}

/// Whether a relative path leads out of the root by `..`; says so.
fn has_way_up(text: &str, item: &Item<'_>) -> bool {
    let mut depth = 0_i32;
    let path = Path::new(text);
    for part in path.components().filter(|_| path.is_relative()) {
        depth += match part {
            Component::ParentDir => -1,
            Component::Normal(_) => 1,
            _ => 0,
        };
        if depth < 0 {
            item.wrong(
                format!("{text:?} leads outside the configuration's folder"),
                "move the file inside, or write its absolute path",
            );
            return true;
        }
    }
    false
}

fn leads_out(text: &str, item: &Item<'_>) {
    item.wrong(
        format!("{text:?} leads outside the configuration's folder by a link"),
        "move the target of the link inside, or write its absolute path",
    );
}

/// Whether a path leads out of the root, which has no links in it, as far as the path is there. A link that leads nowhere
/// may lead anywhere.
fn leaves(root: &Path, path: &Path) -> bool {
    let mut there = path.ancestors().filter(|p| p.symlink_metadata().is_ok());
    let real = there.next().map(Path::canonicalize);
    real.is_some_and(|real| !real.is_ok_and(|real| real.starts_with(root)))
}

/// The files that one `include` pattern names, sorted.
pub(super) fn included(root: &Path, pattern: &str, item: &Item<'_>) -> Vec<PathBuf> {
    if is_for_a_shell(pattern, item) || has_way_up(pattern, item) {
        return Vec::new();
    }
    let is_relative = !Path::new(pattern).is_absolute();
    let whole = match is_relative {
        true => format!(
            "{}/{pattern}",
            glob::Pattern::escape(&root.to_string_lossy())
        ),
        false => pattern.to_owned(),
    };
    let paths = match glob::glob(&whole) {
        Ok(paths) => paths,
        Err(error) => {
            item.wrong(
                format!("{pattern:?} is not a pattern: {}", error.msg),
                "write a path such as \"lifecycle/customers.toml\", or a pattern such as \"lifecycle/*.toml\"",
            );
            return Vec::new();
        }
    };
    let before = item.ctx.sink.len();
    let mut files: Vec<PathBuf> = Vec::new();
    for path in paths {
        // What a pattern meets and cannot read may hold enrolments: to pass over it would be to stop people.
        match path {
            Err(error) => item.wrong(
                format!("{pattern:?} matches {:?}, which cannot be read: {}", error.path(), error.error()),
                "check the permissions of the folder",
            ),
            Ok(path) if is_relative && leaves(root, &path) && path.exists() => leads_out(pattern, item),
            Ok(path) if path.is_dir() => {}
            Ok(path) if !is_toml(&path) => item.wrong(
                format!("{pattern:?} matches {path:?}, which is not called *.toml"),
                "call files of the configuration *.toml, and write the pattern so that it matches no others",
            ),
            Ok(path) if path.is_file() => files.push(path),
            Ok(path) => item.wrong(
                format!("{pattern:?} matches {path:?}, which is not a file: it is a link that leads nowhere, or a device"),
                "fix the link or remove it",
            ),
        }
    }
    files.sort();
    if files.is_empty() && item.ctx.sink.len() == before {
        // Enrolments that silently are not there any more would be stops.
        item.wrong(
            format!("{pattern:?} matches no file"),
            "check the path, which is relative to rollcall.toml, or remove it from `include`",
        );
    }
    files
}

/// Whether a file, and what it may be a link to, is called as a configuration is: others are neither read nor shown.
fn is_toml(path: &Path) -> bool {
    let is_called = |path: &Path| {
        path.extension()
            .is_some_and(|end| end.eq_ignore_ascii_case("toml"))
    };
    let real = path.canonicalize();
    is_called(path) && real.is_ok_and(|real| is_called(&real))
}

/// A file's name as it is shown: relative to the root, with `/`.
pub(super) fn shown(root: &Path, file: &Path) -> Arc<str> {
    let relative = file.strip_prefix(root).unwrap_or(file);
    let parts: Vec<_> = relative
        .components()
        .map(|part| part.as_os_str().to_string_lossy())
        .collect();
    Arc::from(parts.join("/").replace("//", "/"))
}

/// Reads a file's text. `if_empty` is what to do where it has none.
pub(super) fn read(path: &Path, shown: &str, if_empty: &str) -> Result<Arc<str>, Box<Diagnostic>> {
    let bytes = std::fs::read(path).map_err(|error| {
        let message = format!("{shown} cannot be read: {error}");
        Box::new(Diagnostic::nowhere(message).help("check its permissions"))
    })?;
    let wrong = |what: &str, help: &str| {
        Box::new(Diagnostic::nowhere(format!("{shown} {what}")).help(help))
    };
    // What the file declared before would be taken back. Comments alone are meant, as where Spotler lists no automation.
    let text = bytes.strip_prefix(b"\xef\xbb\xbf").unwrap_or(&bytes);
    if text.trim_ascii().is_empty() {
        return Err(wrong("is empty", if_empty));
    }
    if bytes.contains(&0) {
        return Err(wrong(
            "holds a NUL byte, so it is not a configuration",
            "name a TOML file",
        ));
    }
    String::from_utf8(bytes).map(Arc::from).map_err(|error| {
        let good = error.utf8_error().valid_up_to();
        let line = 1 + error.as_bytes()[..good]
            .iter()
            .filter(|b| **b == b'\n')
            .count();
        let message = format!("{shown}:{line} is not UTF-8");
        Box::new(Diagnostic::nowhere(message).help("save the file as UTF-8"))
    })
}
