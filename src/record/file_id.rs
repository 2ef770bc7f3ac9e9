//! Which file a path names: a record that was deleted, replaced or copied is not the one that was opened.

use std::fs::{self, Metadata};
use std::path::{Path, PathBuf};
use std::time::UNIX_EPOCH;

/// Tells a file from another one that has its name later, and from a copy.
///
/// By inode and birth time alone: paths and device numbers change at a reboot and in a container. Either is `None` where
/// the system does not know it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct FileId {
    pub(super) inode: Option<i64>,
    pub(super) birth: Option<i64>,
}

impl FileId {
    /// Of the file that has this name now. `None` where there is none.
    pub(super) fn of(path: &Path) -> Option<Self> {
        fs::metadata(path).ok().map(|meta| Self::from(&meta))
    }

    /// Whether it is certainly another file. What is not known of either says nothing.
    pub(super) fn is_other(self, than: Self) -> bool {
        let differ =
            |one: Option<i64>, other: Option<i64>| one.zip(other).is_some_and(|(a, b)| a != b);
        differ(self.inode, than.inode) || differ(self.birth, than.birth)
    }
}

impl From<&Metadata> for FileId {
    fn from(meta: &Metadata) -> Self {
        let birth = meta.created().ok();
        let birth = birth.and_then(|at| at.duration_since(UNIX_EPOCH).ok());
        Self {
            #[cfg(unix)]
            inode: Some(std::os::unix::fs::MetadataExt::ino(meta).cast_signed()),
            #[cfg(not(unix))]
            inode: None,
            birth: birth.and_then(|since| i64::try_from(since.as_nanos()).ok()),
        }
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_not_known_of_a_file_says_nothing() {
        let id = |inode, birth| FileId { inode, birth };
        let noted = id(Some(7), Some(1));
        assert!(!noted.is_other(noted));
        assert!(!noted.is_other(id(Some(7), None)) && !noted.is_other(FileId::default()));
        assert!(noted.is_other(id(Some(8), None)) && noted.is_other(id(Some(7), Some(2))));
    }
}
