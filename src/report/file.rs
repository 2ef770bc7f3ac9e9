//! Files that are written whole or not at all: who reads one meanwhile sees the old one.

use std::fs::{File, Permissions};
use std::io::{self, BufWriter, Write};
use std::path::Path;

/// Who may read a file that is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Readers {
    /// All users of the machine: it names nobody.
    All,
    /// Its owner: it names people.
    Owner,
}

/// Checks that a file can be written: before anything is done, so that its absence is not noticed too late.
///
/// # Errors
/// Why it cannot be.
pub fn check_writable(path: &Path) -> io::Result<()> {
    if path.is_dir() {
        return Err(io::ErrorKind::IsADirectory.into());
    }
    beside(path, Readers::Owner).map(drop)
}

/// Writes a file whole or not at all. It is on the disk when this returns.
///
/// # Errors
/// Why it could not be written; the old one is as it was.
pub fn write_whole(
    path: &Path,
    readers: Readers,
    write: impl FnOnce(&mut dyn Write) -> io::Result<()>,
) -> io::Result<()> {
    let mut file = beside(path, readers)?;
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
fn beside(path: &Path, readers: Readers) -> io::Result<tempfile::NamedTempFile> {
    let mut builder = tempfile::Builder::new();
    builder.prefix(".rollcall-").suffix(".tmp");
    #[cfg(unix)]
    {
        let mode = match readers {
            Readers::All => 0o644,
            Readers::Owner => 0o600,
        };
        let permissions: Permissions = std::os::unix::fs::PermissionsExt::from_mode(mode);
        builder.permissions(permissions);
    }
    builder.tempfile_in(folder(path))
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

    #[test]
    fn a_file_that_could_not_be_written_to_its_end_is_as_it_was() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("plan.json");
        write_whole(&path, Readers::Owner, |out| out.write_all(b"old")).unwrap();
        let cut = write_whole(&path, Readers::Owner, |out| {
            out.write_all(b"ne")?;
            Err(io::ErrorKind::StorageFull.into())
        });
        assert!(cut.is_err());
        assert_eq!(std::fs::read(&path).unwrap(), b"old");
        let left: Vec<_> = std::fs::read_dir(folder.path()).unwrap().collect();
        assert_eq!(left.len(), 1, "nothing stays behind");
    }

    #[cfg(unix)]
    #[test]
    fn what_names_people_is_for_its_owner_alone() {
        use std::os::unix::fs::PermissionsExt;
        let folder = tempfile::tempdir().unwrap();
        for (readers, mode) in [(Readers::Owner, 0o600), (Readers::All, 0o644)] {
            let path = folder.path().join("file");
            write_whole(&path, readers, |out| out.write_all(b"x")).unwrap();
            let found = std::fs::metadata(&path).unwrap().permissions().mode();
            assert_eq!(found & 0o777, mode);
        }
    }
}
