//! Imports run one way: no module knows one that stands above it.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

/// What each module may import besides those that stand below all: `id`, `digest`, `text` and the like, and
/// `participation`.
const HOUSE: [(&str, &str); 12] = [
    // Built for tests alone.
    (
        "simulation",
        "engine report apply plan roster source config record spotler",
    ),
    (
        "cli",
        "engine report apply plan roster source config record spotler sandbox",
    ),
    (
        "engine",
        "report apply plan roster source config record spotler sandbox",
    ),
    ("report", "apply plan roster config record"),
    ("apply", "plan roster config record spotler"),
    ("plan", "roster config record"),
    ("roster", "source config"),
    ("source", "config"),
    ("config", ""),
    ("record", ""),
    ("spotler", ""),
    ("sandbox", ""),
];

fn files(folder: &Path, found: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        match path.is_dir() {
            true => files(&path, found),
            false => found.push(path),
        }
    }
}

#[test]
fn imports_run_one_way() {
    let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let mut all = Vec::new();
    files(&source, &mut all);
    let mut wrong = BTreeSet::new();
    for file in all {
        let of = file.strip_prefix(&source).unwrap().to_str().unwrap();
        let module = of.split(['/', '.']).next().unwrap();
        if matches!(module, "main" | "lib") || of.contains("test") {
            continue;
        }
        let text = fs::read_to_string(&file).unwrap();
        // Unit tests, at the end of a file, may use what they like.
        let text = text.split("#[cfg(test)]\nmod tests").next().unwrap();
        let may = HOUSE.iter().find(|(name, _)| *name == module);
        let may = may.map_or("", |(_, may)| may);
        for part in text.split("crate::").skip(1) {
            let other = part.split(|c: char| !c.is_alphanumeric() && c != '_');
            let other = other.clone().next().unwrap_or_default();
            let is_above = HOUSE.iter().any(|(name, _)| *name == other);
            if is_above && other != module && !may.split(' ').any(|may| may == other) {
                wrong.insert(format!("{of} imports {other}"));
            }
        }
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
}
