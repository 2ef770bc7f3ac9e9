//! The memory's file: the ledger, one JSON object a line, only ever appended to.

use std::fs::{File, OpenOptions, TryLockError};
use std::io::{self, BufRead, BufReader, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};

use super::ledger::LedgerEntry;
use super::memory::Memory;

/// How every line begins.
const LINE: &[u8] = b"{\"seq\":";

/// Why a memory file cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum JournalError {
    /// It could not be opened, made or read.
    #[error(
        "The sandbox's memory {} could not be opened: {cause}. Nothing was written to it.",
        path.display()
    )]
    Open {
        /// The file.
        path: PathBuf,
        /// What the system said.
        cause: io::Error,
    },
    /// Another sandbox has it.
    #[error(
        "The sandbox's memory {} is in use by another process. Wait for that to end, or give another file.",
        path.display()
    )]
    Busy {
        /// The file.
        path: PathBuf,
    },
    /// It holds something else, or was damaged.
    #[error(
        "Line {line} of {} is not an entry of a sandbox's memory: {reason}. Nothing was written to the file. \
         Give another file, or delete this one to begin afresh.",
        path.display()
    )]
    Damaged {
        /// The file.
        path: PathBuf,
        /// The line, from 1.
        line: u64,
        /// What is wrong with it.
        reason: String,
    },
}

/// An open memory file, locked against others.
#[derive(Debug)]
pub(super) struct Journal {
    file: File,
    /// How much of the file is whole lines.
    length: u64,
}

impl Journal {
    /// Opens a file, or makes it with access for its owner only, and reads it into a memory.
    ///
    /// A last line that was only half written belongs to a call that was never answered: it is cut off.
    ///
    /// # Errors
    /// A [`JournalError`] where the file cannot be used.
    pub fn open(path: &Path) -> Result<(Self, Memory), JournalError> {
        let failed = |cause| JournalError::Open {
            path: path.to_owned(),
            cause,
        };
        let file = open_file(path).map_err(failed)?;
        match file.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => {
                return Err(JournalError::Busy {
                    path: path.to_owned(),
                });
            }
            Err(TryLockError::Error(source)) => return Err(failed(source)),
        }
        let mut memory = Memory::default();
        let length = replay(path, &file, &mut memory)?;
        file.set_len(length).map_err(failed)?;
        Ok((Self { file, length }, memory))
    }

    /// Appends an entry with one write call. When this returns, the entry outlives the process.
    ///
    /// # Errors
    /// What the system said; the file is as it was before then.
    pub fn append(&mut self, entry: &LedgerEntry) -> io::Result<()> {
        let mut line = serde_json::to_vec(entry)?;
        line.push(b'\n');
        if let Err(error) = self.file.write_all(&line) {
            self.file.set_len(self.length)?;
            return Err(error);
        }
        self.length += line.len() as u64;
        Ok(())
    }

    /// Empties the file.
    ///
    /// # Errors
    /// What the system said.
    pub fn clear(&mut self) -> io::Result<()> {
        self.file.set_len(0)?;
        self.file.seek(SeekFrom::Start(0))?;
        self.length = 0;
        Ok(())
    }
}

#[cfg(all(test, target_os = "linux"))]
impl Journal {
    /// One on a disk that is always full.
    pub fn full() -> Self {
        let file = OpenOptions::new().append(true).open("/dev/full").unwrap();
        Self { file, length: 0 }
    }
}

fn open_file(path: &Path) -> io::Result<File> {
    if let Some(folder) = path.parent() {
        std::fs::create_dir_all(folder)?;
    }
    let mut options = OpenOptions::new();
    options.read(true).append(true).create(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    options.open(path)
}

/// Reads all whole lines; gives their length in bytes.
fn replay(path: &Path, file: &File, memory: &mut Memory) -> Result<u64, JournalError> {
    let mut reader = BufReader::new(file);
    let mut line = Vec::new();
    let mut length = 0;
    for number in 1.. {
        let damaged = |reason: String| JournalError::Damaged {
            path: path.to_owned(),
            line: number,
            reason,
        };
        line.clear();
        let read = reader
            .read_until(b'\n', &mut line)
            .map_err(|cause| JournalError::Open {
                path: path.to_owned(),
                cause,
            })?;
        if !line.ends_with(b"\n") {
            // Only what looks like the beginning of a line of ours may be cut off: the file may be another one.
            let begun = line.len().min(LINE.len());
            if line[..begun] != LINE[..begun] {
                return Err(damaged("it is something else".to_owned()));
            }
            break;
        }
        let entry: LedgerEntry =
            serde_json::from_slice(&line).map_err(|error| damaged(error.to_string()))?;
        memory
            .enter(&entry)
            .map_err(|error| damaged(error.to_string()))?;
        length += read as u64;
    }
    Ok(length)
}

#[cfg(test)]
mod tests {
    use super::super::ledger::{Deed, Touched};
    use super::super::memory;
    use super::*;

    fn add(journal: &mut Journal, memory: &mut Memory, contact: &str) {
        let started = vec![Touched {
            id: memory.next_id(0).to_string(),
            automation: "a".to_owned(),
        }];
        let now = "2026-11-23T09:00:00Z".parse().unwrap();
        let entry = memory::entry(memory, now, Deed::Trigger, ("code", contact), started);
        journal.append(&entry).unwrap();
        memory.enter(&entry).unwrap();
    }

    fn written(folder: &tempfile::TempDir) -> PathBuf {
        let path = folder.path().join("state/sandbox.jsonl");
        let (mut journal, mut memory) = Journal::open(&path).unwrap();
        add(&mut journal, &mut memory, "crm-1");
        add(&mut journal, &mut memory, "crm-2");
        path
    }

    #[test]
    fn what_was_written_is_there_again() {
        let folder = tempfile::tempdir().unwrap();
        let path = written(&folder);
        let (mut journal, mut memory) = Journal::open(&path).unwrap();
        assert_eq!(memory.totals().entries, 2);
        add(&mut journal, &mut memory, "crm-3");
        drop(journal);
        let (_, again) = Journal::open(&path).unwrap();
        assert!(again.ledger(0).eq(memory.ledger(0)));
    }

    #[cfg(unix)]
    #[test]
    fn only_the_owner_can_read_it() {
        use std::os::unix::fs::PermissionsExt;
        let folder = tempfile::tempdir().unwrap();
        let mode = std::fs::metadata(written(&folder))
            .unwrap()
            .permissions()
            .mode();
        assert_eq!(mode & 0o777, 0o600);
    }

    #[test]
    fn a_half_written_last_line_is_cut_off() {
        let folder = tempfile::tempdir().unwrap();
        let path = written(&folder);
        let whole = std::fs::read(&path).unwrap();
        let first = whole.iter().position(|b| *b == b'\n').unwrap() + 1;
        for length in [first + 1, first + 9, whole.len() - 1] {
            std::fs::write(&path, &whole[..length]).unwrap();
            let (mut journal, mut memory) = Journal::open(&path).unwrap();
            assert_eq!(memory.totals().entries, 1);
            add(&mut journal, &mut memory, "crm-2");
            drop(journal);
            assert_eq!(std::fs::read(&path).unwrap(), whole);
        }
    }

    #[test]
    fn a_foreign_or_damaged_file_is_refused_and_left_alone() {
        let folder = tempfile::tempdir().unwrap();
        let path = written(&folder);
        let whole = std::fs::read_to_string(&path).unwrap();
        let second = whole.lines().nth(1).unwrap();
        for (text, line) in [
            ("dear diary".to_owned(), 1),
            ("dear diary\n".to_owned(), 1),
            (format!("{second}\n"), 1),
            (format!("{whole}{second}\n"), 3),
            (format!("{whole}\u{0}\u{0}"), 3),
        ] {
            std::fs::write(&path, &text).unwrap();
            let error = Journal::open(&path).err().unwrap();
            assert!(
                matches!(error, JournalError::Damaged { line: l, .. } if l == line),
                "{error}"
            );
            assert_eq!(std::fs::read_to_string(&path).unwrap(), text);
        }
    }

    #[test]
    fn a_file_in_use_is_refused() {
        let folder = tempfile::tempdir().unwrap();
        let path = written(&folder);
        let (_journal, _) = Journal::open(&path).unwrap();
        assert!(matches!(
            Journal::open(&path),
            Err(JournalError::Busy { .. })
        ));
    }
}
