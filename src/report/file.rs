//! Files that are written whole or not at all: who reads one meanwhile sees the old one.

use std::fs::{File, Permissions};
use std::io::{self, BufWriter, Read, Write};
use std::path::Path;

/// What a file that is written holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FileKind {
    /// A saved plan. It names people, and so it is for its owner alone.
    SavedPlan,
    /// Metrics of a run. They name nobody.
    Metrics,
    /// The record as a page. It names nobody.
    Report,
    /// What an apply did, for the summary of a job. It names nobody.
    AppliedMarkdown,
    /// What an apply did, as a page. It names people.
    AppliedHtml,
    /// What an apply did, for programs. It names people.
    AppliedJson,
}

impl FileKind {
    /// What every file of the kind begins with.
    fn start(self) -> &'static str {
        match self {
            FileKind::SavedPlan => "{ \"format_version\":",
            FileKind::Metrics => "# HELP rollcall_",
            FileKind::Report => "<!DOCTYPE html>\n<!-- Rollcall report -->\n",
            FileKind::AppliedMarkdown => "<!-- Rollcall apply -->\n",
            FileKind::AppliedHtml => "<!DOCTYPE html>\n<!-- Rollcall apply -->\n",
            FileKind::AppliedJson => "{ \"exit_code\":",
        }
    }

    #[cfg(unix)]
    fn mode(self) -> u32 {
        match self {
            FileKind::SavedPlan | FileKind::AppliedHtml | FileKind::AppliedJson => 0o600,
            FileKind::Metrics | FileKind::Report | FileKind::AppliedMarkdown => 0o644,
        }
    }
}

/// Checks that a file can be written: before anything is done, so that it is not noticed too late that it cannot.
///
/// # Errors
/// Why it cannot be, or that there is a file of another kind: a record, an export or a configuration is never overwritten.
pub fn check_writable(path: &Path, kind: FileKind) -> io::Result<()> {
    check_replaceable(path, kind)?;
    beside(path, kind).map(drop)
}

fn check_replaceable(path: &Path, kind: FileKind) -> io::Result<()> {
    let about = match std::fs::symlink_metadata(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        about => about?,
    };
    if about.is_dir() {
        return Err(io::ErrorKind::IsADirectory.into());
    }
    if !about.is_file() {
        return Err(io::Error::other(
            "something that is not a regular file is there",
        ));
    }
    let mut start = Vec::new();
    let wanted = kind.start().as_bytes();
    File::open(path)?
        .take(wanted.len() as u64)
        .read_to_end(&mut start)?;
    // An empty file is what a script makes to have a name.
    if start.is_empty() || start == wanted {
        return Ok(());
    }
    Err(io::Error::other(
        "a file of another kind is there, and was left as it is; name another file, or remove that one",
    ))
}

/// Writes a file whole or not at all. It is on the disk when this returns.
///
/// # Errors
/// Why it could not be written; the old one is as it was.
pub fn write_whole(
    path: &Path,
    kind: FileKind,
    write: impl FnOnce(&mut dyn Write) -> io::Result<()>,
) -> io::Result<()> {
    check_replaceable(path, kind)?;
    let mut file = beside(path, kind)?;
    let mut out = BufWriter::with_capacity(1 << 16, file.as_file_mut());
    write(&mut out)?;
    out.flush()?;
    drop(out);
    file.as_file().sync_all()?;
    file.persist(path).map_err(|error| error.error)?;
    // The name, too, is to be on the disk. Where a folder cannot be opened for that, it will be soon.
    if let Ok(folder) = File::open(folder(path)) {
        let _ = folder.sync_all();
    }
    Ok(())
}

/// A new file in the same folder, of a name that a collector of `*.prom` passes over.
fn beside(path: &Path, kind: FileKind) -> io::Result<tempfile::NamedTempFile> {
    let mut builder = tempfile::Builder::new();
    builder.prefix(".rollcall-").suffix(".tmp");
    #[cfg(unix)]
    {
        let permissions: Permissions = std::os::unix::fs::PermissionsExt::from_mode(kind.mode());
        builder.permissions(permissions);
    }
    #[cfg(not(unix))]
    let _ = kind;
    let file = builder.tempfile_in(folder(path)).map_err(unnamed)?;
    // A collector is another user: it reads them whatever files this one makes otherwise.
    #[cfg(unix)]
    if kind == FileKind::Metrics {
        let permissions = std::os::unix::fs::PermissionsExt::from_mode(kind.mode());
        file.as_file().set_permissions(permissions)?;
    }
    Ok(file)
}

/// Why there is no such file, without its name: nobody knows it, and it is another one every time.
fn unnamed(error: io::Error) -> io::Error {
    let text = error.to_string();
    match text.split_once(" at path ") {
        Some((why, _)) => io::Error::new(error.kind(), why),
        None => error,
    }
}

fn folder(path: &Path) -> &Path {
    match path.parent() {
        Some(folder) if !folder.as_os_str().is_empty() => folder,
        _ => Path::new("."),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const KINDS: [FileKind; 6] = [
        FileKind::SavedPlan,
        FileKind::Metrics,
        FileKind::Report,
        FileKind::AppliedMarkdown,
        FileKind::AppliedHtml,
        FileKind::AppliedJson,
    ];

    #[test]
    fn a_file_that_could_not_be_written_to_its_end_is_as_it_was() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("plan.json");
        let old = FileKind::SavedPlan.start().as_bytes();
        write_whole(&path, FileKind::SavedPlan, |out| out.write_all(old)).unwrap();
        let cut = write_whole(&path, FileKind::SavedPlan, |out| {
            out.write_all(b"ne")?;
            Err(io::ErrorKind::StorageFull.into())
        });
        assert!(cut.is_err());
        assert_eq!(std::fs::read(&path).unwrap(), old);
        let left: Vec<_> = std::fs::read_dir(folder.path()).unwrap().collect();
        assert_eq!(left.len(), 1, "nothing stays behind");
    }

    #[test]
    fn only_an_earlier_file_of_the_same_kind_is_replaced() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("file");
        for there in KINDS {
            std::fs::write(&path, format!("{} and more", there.start())).unwrap();
            for kind in KINDS {
                assert_eq!(check_writable(&path, kind).is_ok(), kind == there);
            }
        }
        for other in ["SQLite format 3\0", "id,status\n", "[spotler]\n", "{"] {
            std::fs::write(&path, other).unwrap();
            for kind in KINDS {
                assert!(check_writable(&path, kind).is_err(), "{other}");
                let written = write_whole(&path, kind, |out| out.write_all(b"new"));
                assert!(written.is_err());
                assert_eq!(std::fs::read(&path).unwrap(), other.as_bytes());
            }
        }
        std::fs::write(&path, "").unwrap();
        assert!(check_writable(&path, FileKind::Report).is_ok());
    }

    #[cfg(unix)]
    #[test]
    fn what_names_people_is_for_its_owner_alone() {
        use std::os::unix::fs::PermissionsExt;
        let folder = tempfile::tempdir().unwrap();
        for (kind, mode) in [(FileKind::SavedPlan, 0o600), (FileKind::Report, 0o644)] {
            let path = folder.path().join(format!("{mode}"));
            write_whole(&path, kind, |out| out.write_all(b"x")).unwrap();
            let found = std::fs::metadata(&path).unwrap().permissions().mode();
            assert_eq!(found & 0o777, mode);
        }
    }
}
