//! The map of the house in `docs/design.md` is true, and imports run one way: no module knows one that stands above it.

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

#[test]
fn the_map_shows_each_module_and_no_other() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let page = fs::read_to_string(root.join("docs/design.md")).unwrap();
    let map = page.split("## The house").nth(1).unwrap();
    let lines = map.lines().filter(|line| line.starts_with("src/"));
    let shown: BTreeSet<PathBuf> = lines
        .map(|line| root.join(line.split(' ').next().unwrap()))
        .collect();
    for path in &shown {
        assert!(path.exists(), "{} is on the map alone", path.display());
    }
    for entry in fs::read_dir(root.join("src")).unwrap() {
        let path = entry.unwrap().path();
        // The files of a module like `id` are in a folder beside it.
        let is_shown = shown.contains(&path) || shown.contains(&path.with_extension("rs"));
        assert!(is_shown, "{} is not on the map", path.display());
    }
}
