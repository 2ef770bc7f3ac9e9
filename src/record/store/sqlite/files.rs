//! The files of a record: which they are, and whether they are still the same.

use std::fs::{self, Metadata};
use std::path::{Path, PathBuf};
use std::time::UNIX_EPOCH;

use crate::record::error::{JournalError, RecordError};
use crate::record::identity::FileId;

/// Which file has this name now. `None` where there is none.
pub(super) fn id(path: &Path) -> Option<FileId> {
    fs::metadata(path).ok().map(|meta| id_of(&meta))
}

/// Which file this is of.
pub(super) fn id_of(meta: &Metadata) -> FileId {
    let birth = meta.created().ok();
    let birth = birth.and_then(|at| at.duration_since(UNIX_EPOCH).ok());
    FileId {
        #[cfg(unix)]
        inode: Some(std::os::unix::fs::MetadataExt::ino(meta).cast_signed()),
        #[cfg(not(unix))]
        inode: None,
        birth: birth.and_then(|since| i64::try_from(since.as_nanos()).ok()),
    }
}

/// How many names a file has.
pub(super) fn names(meta: &Metadata) -> u64 {
    #[cfg(unix)]
    return std::os::unix::fs::MetadataExt::nlink(meta);
    #[cfg(not(unix))]
    return 1;
}

/// Whether others than its owner can read a file.
pub(super) fn is_exposed(meta: &Metadata) -> bool {
    #[cfg(unix)]
    return std::os::unix::fs::MetadataExt::mode(meta) & 0o044 != 0;
    #[cfg(not(unix))]
    return false;
}

/// The path of the file itself, where the last part of a path is a symbolic link: what SQLite and the lock keep beside a
/// record goes by its name, so that it must have one.
pub(super) fn resolved(path: &Path) -> PathBuf {
    /// As many links as Linux follows.
    const LINKS: usize = 40;
    let mut path = path.to_owned();
    for _ in 0..LINKS {
        let Ok(target) = fs::read_link(&path) else {
            break;
        };
        path = path.parent().unwrap_or(Path::new("")).join(target);
    }
    if let Ok(whole) = fs::canonicalize(&path) {
        return whole;
    }
    // A file that is to be made.
    match (path.parent().map(fs::canonicalize), path.file_name()) {
        (Some(Ok(folder)), Some(name)) => folder.join(name),
        _ => path,
    }
}

/// A file beside another one.
pub(super) fn beside(path: &Path, suffix: &str) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(suffix);
    PathBuf::from(name)
}

/// Makes an error of what the system says of a file.
pub(super) fn io(path: &Path) -> impl Fn(std::io::Error) -> RecordError + use<> {
    let path = path.to_owned();
    move |error| RecordError::Io {
        path: path.clone(),
        error,
    }
}

/// The files of a record, which stay what they were when it was opened.
pub(super) struct Files {
    path: PathBuf,
    wal: PathBuf,
    was: (Option<FileId>, Option<FileId>),
    /// The record only grows.
    len: u64,
}

impl Files {
    pub(super) fn of(path: &Path) -> Self {
        let wal = beside(path, "-wal");
        Self {
            was: (id(path), id(&wal)),
            len: std::fs::metadata(path).map_or(0, |meta| meta.len()),
            path: path.to_owned(),
            wal,
        }
    }

    /// Checks that nobody deleted, replaced or cut the record meanwhile.
    pub(super) fn check(&mut self) -> Result<(), JournalError> {
        let gone = || JournalError::RecordLost(self.path.clone());
        let meta = std::fs::metadata(&self.path).map_err(|_| gone())?;
        let now = (Some(id_of(&meta)), id(&self.wal));
        if now != self.was || meta.len() < self.len {
            return Err(gone());
        }
        self.len = meta.len();
        Ok(())
    }
}
