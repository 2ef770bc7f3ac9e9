//! The ledger: every call that the sandbox carried out, in memory or in a file that outlives the process.

use std::fs::{File, OpenOptions};
use std::io::{self, BufRead, BufReader, Write};
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

/// One call that was carried out.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Deed {
    /// Its number, from 1.
    pub seq: u64,
    /// When, in seconds since 1970.
    pub at: i64,
    /// `trigger`, `stop` or `finish`.
    pub kind: String,
    pub code: String,
    pub contact: String,
    /// The participations that it started, stopped or finished.
    pub ids: Vec<u64>,
    /// Names and types of the fields that came with it; never their values.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub fields: Vec<String>,
}

/// Where deeds are kept.
#[derive(Debug, Default)]
pub(super) struct Memory {
    file: Option<(PathBuf, File)>,
    lines: Vec<String>,
    past: Vec<Deed>,
    count: u64,
}

impl Memory {
    /// Opens a file, and reads what it remembers. A last line that is cut short was never answered, so it is dropped.
    pub(super) fn open(path: &Path) -> io::Result<Self> {
        let mut past = Vec::new();
        let mut good = 0;
        match File::open(path) {
            Ok(file) => {
                let mut reader = BufReader::new(file);
                let mut line = String::new();
                while reader.read_line(&mut line)? > 0 {
                    match serde_json::from_str::<Deed>(&line) {
                        Ok(deed) if line.ends_with('\n') => past.push(deed),
                        _ => break,
                    }
                    good += line.len() as u64;
                    line.clear();
                }
            }
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            Err(error) => return Err(error),
        }
        if let Some(folder) = path.parent() {
            std::fs::create_dir_all(folder)?;
        }
        let mut options = OpenOptions::new();
        options.create(true).append(true);
        #[cfg(unix)]
        std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
        let file = options.open(path)?;
        file.set_len(good)?;
        Ok(Self {
            file: Some((path.to_owned(), file)),
            lines: Vec::new(),
            count: past.len() as u64,
            past,
        })
    }

    /// What was remembered when it was opened; once.
    pub(super) fn take_past(&mut self) -> Vec<Deed> {
        std::mem::take(&mut self.past)
    }

    /// Keeps a deed. It is with the system before this returns, so that it outlives the process.
    pub(super) fn note(&mut self, mut deed: Deed) -> io::Result<()> {
        deed.seq = self.count + 1;
        let mut line = serde_json::to_string(&deed)?;
        line.push('\n');
        match &mut self.file {
            Some((_, file)) => file.write_all(line.as_bytes())?,
            None => self.lines.push(line),
        }
        self.count += 1;
        Ok(())
    }

    /// How many deeds there are.
    pub(super) fn count(&self) -> u64 {
        self.count
    }

    /// All deeds, as lines of JSON.
    pub(super) fn all(&self) -> io::Result<String> {
        match &self.file {
            Some((path, _)) => std::fs::read_to_string(path),
            None => Ok(self.lines.concat()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn deed(contact: &str) -> Deed {
        Deed {
            seq: 0,
            at: 1,
            kind: "trigger".into(),
            code: "code".into(),
            contact: contact.into(),
            ids: vec![1],
            fields: vec![],
        }
    }

    #[test]
    fn what_was_noted_is_remembered_and_half_a_line_is_not() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("deep/memory.jsonl");
        let mut memory = Memory::open(&path).unwrap();
        memory.note(deed("a")).unwrap();
        memory.note(deed("b")).unwrap();
        drop(memory);
        let mut file = OpenOptions::new().append(true).open(&path).unwrap();
        file.write_all(br#"{"seq":3,"at":1,"kind":"tri"#).unwrap();
        drop(file);
        let mut memory = Memory::open(&path).unwrap();
        let past: Vec<String> = memory.take_past().into_iter().map(|d| d.contact).collect();
        assert_eq!(past, ["a", "b"]);
        memory.note(deed("c")).unwrap();
        assert_eq!(memory.count(), 3);
        assert_eq!(Memory::open(&path).unwrap().take_past()[2].seq, 3);
    }
}
