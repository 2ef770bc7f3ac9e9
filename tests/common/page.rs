//! A page of the documentation, followed: its commands are run, in order, and what it shows is compared with what is
//! printed.
//!
//! - A block of `sh` is run.
//! - A block of `text` or `json` right after it is all that it prints; a line of `…` stands for any lines.
//! - A block of `toml` or `csv` whose first line is `# path` is written there, without that line. Any other of `toml`
//!   must be right: by itself, or added to the configuration that the page has by then.
//! - A block behind `<!-- not run: why -->` is only counted.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;
use std::process::{Command, Stdio};

use super::Repo;

/// A fenced block.
#[derive(Debug)]
pub struct Block {
    pub language: String,
    /// Its lines, without those of the fences.
    pub text: String,
    /// The line of its opening fence, from 1 on.
    pub line: usize,
    /// Why it is not run, where that is said.
    pub not_run: Option<String>,
}

/// The fenced blocks of a page.
pub fn blocks(page: &str) -> Vec<Block> {
    let mut blocks: Vec<Block> = Vec::new();
    let mut is_open = false;
    let mut before = "";
    for (index, line) in page.lines().enumerate() {
        match line.strip_prefix("```") {
            Some(_) if is_open => is_open = false,
            Some(language) => {
                is_open = true;
                let comment = before.strip_prefix("<!-- not run: ");
                blocks.push(Block {
                    language: language.to_owned(),
                    text: String::new(),
                    line: index + 1,
                    not_run: comment.map(|why| why.trim_end_matches(" -->").to_owned()),
                });
            }
            None if is_open => {
                let text = &mut blocks.last_mut().unwrap().text;
                text.push_str(line);
                text.push('\n');
            }
            None => {}
        }
        before = line;
    }
    assert!(!is_open, "a block is not closed");
    blocks
}

/// What following a page came to.
#[derive(Debug, Default)]
pub struct Followed {
    /// Blocks of commands that were run.
    pub run: usize,
    /// Blocks of text that were compared.
    pub compared: usize,
    /// Blocks of files and of configuration that were written or loaded.
    pub written: usize,
    pub not_run: usize,
    /// The page as it should be, where something else is printed than it shows.
    pub rewritten: Option<String>,
}

/// Begins what a block prints.
const MARK: char = '\u{1e}';

/// Where the pages let a sandbox listen; another port is free for sure.
const ADDRESS: &str = "127.0.0.1:8025";

/// Follows a page in a repository: all its commands in one shell, so that they find what those before them left.
pub fn follow(name: &str, page: &str, repo: &Repo) -> Followed {
    let blocks = blocks(page);
    let copies = tempfile::tempdir().unwrap();
    let script = script(&blocks, copies.path());
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap().to_string();
    drop(listener);
    let printed = shell(name, &script.replace(ADDRESS, &address), repo);
    let printed = printed.replace(&address, ADDRESS);
    let printed: BTreeMap<usize, &str> = printed
        .split(MARK)
        .skip(1)
        .map(|part| part.split_once('\n').unwrap())
        .map(|(line, text)| (line.parse().unwrap(), text))
        .collect();

    let mut done = Followed::default();
    let mut lines: Vec<&str> = page.lines().collect();
    let mut last = None;
    let mut replaced = Vec::new();
    for block in &blocks {
        let at = format!("{name}:{}", block.line);
        let before = last.take();
        match (&block.not_run, block.language.as_str()) {
            (Some(_), _) => done.not_run += 1,
            (None, "sh") => {
                last = Some(printed[&block.line]);
                done.run += 1;
            }
            (None, "text" | "json") => {
                let printed = before.unwrap_or_else(|| panic!("{at}: printed by nothing"));
                if !is_shown(&masked(printed), &masked(&block.text)) {
                    let is_cut = block.text.lines().any(|line| line == "…");
                    assert!(!is_cut, "{at}: not what is printed:\n{printed}");
                    replaced.push((block, printed));
                }
                done.compared += 1;
            }
            (None, "toml" | "csv") => {
                if path(block).is_none() {
                    check(
                        &at,
                        &block.text,
                        &copies.path().join(block.line.to_string()),
                        repo,
                    );
                }
                done.written += 1;
            }
            (None, "help" | "diagram") => {}
            (None, other) => panic!("{at}: nothing checks a block of {other:?}"),
        }
    }
    // From the end, so that the places of earlier blocks stay as they are.
    for (block, text) in replaced.iter().rev() {
        let range = block.line..block.line + block.text.lines().count();
        lines.splice(range, text.trim_end().lines());
    }
    done.rewritten = (!replaced.is_empty()).then(|| lines.join("\n") + "\n");
    done
}

/// What goes before a page's commands. A sandbox in the background ends with them. Where SQLite's own command is missing, a
/// copy does as well: nothing writes meanwhile.
const BEFORE: &str = r#"
exec 2>&1
trap '[ -z "$!" ] || kill $! 2>/dev/null || :' EXIT
cargo() { shift 2; rollcall "$@"; }
command -v sqlite3 >/dev/null || sqlite3() { cp "$1" "$(echo "$2" | cut -d "'" -f 2)"; }
"#;

/// What a page's blocks do, as one script.
fn script(blocks: &[Block], copies: &Path) -> String {
    let mut script = BEFORE.to_owned();
    for block in blocks.iter().filter(|block| block.not_run.is_none()) {
        match (block.language.as_str(), path(block)) {
            ("sh", _) => {
                let (line, text) = (block.line, &block.text);
                script.push_str(&format!("printf '{MARK}{line}\\n'\n{text}"));
            }
            ("toml" | "csv", Some(path)) => {
                // The line with the name is for the reader; a CSV file cannot hold it.
                let text = block.text.split_once('\n').unwrap().1;
                script.push_str(&format!(
                    "mkdir -p \"$(dirname {path})\"\ncat >{path} <<'ROLLCALL_END'\n{text}ROLLCALL_END\n"
                ));
            }
            ("toml", None) => {
                let copy = copies.join(block.line.to_string());
                script.push_str(&format!("cp -r . {}\n", copy.display()));
            }
            _ => {}
        }
    }
    script
}

/// The path in the first line of a block, where it has one.
fn path(block: &Block) -> Option<&str> {
    let path = block.text.lines().next()?.strip_prefix("# ")?;
    let is_path = !path.contains(' ') && (path.ends_with(".toml") || path.ends_with(".csv"));
    is_path.then_some(path)
}

/// Runs a script, each command of which must succeed, and returns all that it prints.
fn shell(name: &str, script: &str, repo: &Repo) -> String {
    let binary = Path::new(env!("CARGO_BIN_EXE_rollcall"));
    let mut path = vec![binary.parent().unwrap().to_owned()];
    path.extend(std::env::split_paths(&std::env::var_os("PATH").unwrap()));
    let output = Command::new("sh")
        .args(["-e", "-c", script])
        .current_dir(repo.path())
        .stdin(Stdio::null())
        .env_clear()
        .env("PATH", std::env::join_paths(path).unwrap())
        .env("COLUMNS", "100")
        .env("GIT_CEILING_DIRECTORIES", repo.path().parent().unwrap())
        .output()
        .unwrap();
    let printed = String::from_utf8(output.stdout).unwrap();
    let last = printed.rsplit(MARK).next().unwrap_or_default();
    assert!(
        output.status.success(),
        "{name}: {}, in the block of line {last}",
        output.status
    );
    printed
}

/// Loads a piece of configuration: by itself, or added to what a copy of the page's folder has.
fn check(at: &str, piece: &str, copy: &Path, repo: &Repo) {
    let file = copy.join("rollcall.toml");
    let there = fs::read_to_string(&file).unwrap_or_default();
    let mut said = String::new();
    for text in [piece.to_owned(), format!("{there}\n{piece}")] {
        fs::write(&file, text).unwrap();
        let output = repo
            .command(&["validate"])
            .current_dir(copy)
            .output()
            .unwrap();
        if output.status.success() {
            return;
        }
        said.push_str(&String::from_utf8_lossy(&output.stderr));
    }
    panic!("{at}: neither by itself nor with what is there\n{said}");
}

/// Copies a folder, without records.
pub fn copy(from: &Path, to: &Path) {
    fs::create_dir_all(to).unwrap();
    for entry in fs::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        let (from, to) = (entry.path(), to.join(entry.file_name()));
        if entry.file_type().unwrap().is_file() {
            fs::copy(from, to).unwrap();
        } else if entry.file_name() != "state" && !to.starts_with(&from) {
            copy(&from, &to);
        }
    }
}

/// A text with all that differs from run to run covered: times, digests, ids.
fn masked(text: &str) -> String {
    let is_part = |c: char| c.is_ascii_alphanumeric() || "-:.".contains(c);
    let mut masked = String::new();
    let mut rest = text;
    while !rest.is_empty() {
        let end = rest.find(|c| !is_part(c)).unwrap_or(rest.len());
        let (word, after) = rest.split_at(end);
        let is_hex = word.len() >= 7 && word.chars().all(|c| c.is_ascii_hexdigit() || c == '-');
        let is_id = is_hex && word.contains(|c: char| c.is_ascii_digit());
        // A date that is no time is part of what is reported.
        let is_time = word.parse::<jiff::Timestamp>().is_ok();
        masked.push_str(match () {
            () if is_time => "TIME",
            () if is_id && word.parse::<jiff::civil::Date>().is_err() => "ID",
            () => word,
        });
        let next = after.find(is_part).unwrap_or(after.len());
        masked.push_str(&after[..next]);
        rest = &after[next..];
    }
    masked
}

/// Whether a page shows what was printed.
fn is_shown(printed: &str, shown: &str) -> bool {
    let shown: Vec<&str> = shown.lines().map(str::trim_end).collect();
    let printed: Vec<&str> = printed.lines().map(str::trim_end).collect();
    matches(&printed, &shown)
}

fn matches(printed: &[&str], shown: &[&str]) -> bool {
    match shown.split_first() {
        None => printed.is_empty(),
        Some((&"…", rest)) => (0..=printed.len()).any(|skip| matches(&printed[skip..], rest)),
        Some((line, rest)) => printed.first() == Some(line) && matches(&printed[1..], rest),
    }
}
