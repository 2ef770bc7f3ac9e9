//! Which file a path names: a record that was deleted or replaced is not the one that was opened.

use std::path::Path;

/// Tells a file from another one that has its name later.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct FileId(Option<(u64, u64)>);

impl FileId {
    /// Of the file that has this name now.
    #[cfg(unix)]
    pub(super) fn of(path: &Path) -> Self {
        use std::os::unix::fs::MetadataExt;
        let metadata = std::fs::metadata(path);
        Self(metadata.ok().map(|found| (found.dev(), found.ino())))
    }

    /// Elsewhere an open file keeps its name.
    #[cfg(not(unix))]
    pub(super) fn of(_: &Path) -> Self {
        Self(None)
    }
}
