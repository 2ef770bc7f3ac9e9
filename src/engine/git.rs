//! What Git says of the repository that a configuration is in.

use std::ffi::OsStr;
use std::fs::{self, File};
use std::io::{self, Seek, Write};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use tempfile::TempDir;

use crate::text::SafeText;
use crate::threads;

/// Why there are no rules of a revision.
#[derive(Debug, thiserror::Error)]
pub enum GitError {
    /// Git is not there.
    #[error(
        "`git` cannot be started: {0}. Rollcall reads the rules of another revision with it: install Git, or plan without \
         --against."
    )]
    NotStarted(io::Error),
    /// The configuration is in no repository.
    #[error(
        "{} is not in a Git repository, so there are no other rules to compare with.",
        .0.display()
    )]
    NoRepository(PathBuf),
    /// Nothing has that name.
    #[error(
        "There is no revision {} in this Git repository.{}",
        SafeText(.revision),
        is_shallow.then_some(" It is a shallow clone, which lacks older ones: `git fetch --unshallow`, or in CI a checkout with the \
         whole history (fetch-depth: 0).").unwrap_or_default()
    )]
    Unknown {
        /// What was asked for.
        revision: String,
        /// Whether the clone lacks what is older.
        is_shallow: bool,
    },
    /// There was no configuration yet.
    #[error(
        "At {} there is no {}, so there are no rules to compare with.",
        SafeText(.0), .1.display()
    )]
    NoConfiguration(String, PathBuf),
    /// No commit has an export.
    #[error(
        "No commit of {} has changed a file that a source reads. Is the range right (v1..HEAD), and are exports kept in Git?",
        SafeText(.0)
    )]
    NoExports(String),
    /// Git says something else.
    #[error("Git cannot read the repository: {}.", SafeText(.0))]
    Refused(String),
    /// The files of the revision cannot be written down.
    #[error("The rules of the revision cannot be written to a temporary folder: {0}.")]
    Folder(#[from] io::Error),
}

/// What Git needs of the environment: to be found, and to find its own settings. Nothing else is passed on, least of all the
/// credentials.
const FOR_GIT: [&str; 6] = [
    "PATH",
    "HOME",
    "XDG_CONFIG_HOME",
    "USERPROFILE",
    "SystemRoot",
    "LANG",
];

/// Git, in a folder.
pub(super) fn git(folder: &Path) -> Command {
    let value = |name| Some((name, std::env::var_os(name)?));
    let mut command = Command::new("git");
    command
        .env_clear()
        .envs(FOR_GIT.into_iter().filter_map(value))
        // What it says is read, and nothing is to be fetched that a partial clone lacks.
        .env("LC_ALL", "C")
        .env("GIT_NO_LAZY_FETCH", "1")
        .arg("-C")
        .arg(folder)
        .stdin(Stdio::null());
    command
}

/// The Git revision of the configuration, if it is in a repository.
pub(super) async fn git_revision(root: &Path) -> Option<String> {
    // A program is not started to say that there is none.
    root.ancestors()
        .find(|folder| folder.join(".git").exists())?;
    let mut command = git(root);
    command.args(["rev-parse", "HEAD"]).stderr(Stdio::null());
    // Apart, so that a signal is heard where Git hangs.
    let output = threads::apart("git", move || command.output());
    let output = output.await.ok()?.ok()?;
    let text = String::from_utf8(output.stdout).ok()?;
    let revision = text.trim();
    (output.status.success() && revision.len() >= 40).then(|| revision.to_owned())
}

/// The files of a configuration as they were at a revision, in a folder that goes with this.
#[derive(Debug)]
pub(super) struct Checkout {
    /// The revision.
    pub commit: String,
    /// Its file, as it is called in the working tree.
    pub file: PathBuf,
    _folder: TempDir,
}

impl Checkout {
    /// Writes down the configuration whose file this is, as it was at a revision. Nothing is written to the repository, and no
    /// filter of it runs.
    pub fn of(file: &Path, revision: &str) -> Result<Self, GitError> {
        let (Some(root), Some(name)) = (file.parent(), file.file_name()) else {
            return Err(GitError::NoRepository(file.to_owned()));
        };
        let prefix = run(git(root).args(["rev-parse", "--show-prefix"]))?
            .map_err(|said| refused(root, said))?;
        let prefix = text(&prefix);
        let commit = commit(root, revision)?;
        let folder = tempfile::Builder::new().prefix("rollcall-").tempdir()?;
        let tree = format!("{commit}:{}", prefix.trim_end_matches('/'));
        let list = run(git(root).args(["ls-tree", "-r", "-z", "--full-tree", &tree]))?;
        let none = || GitError::NoConfiguration(revision.to_owned(), PathBuf::from(name));
        let list = list.map_err(|_| none())?;
        let entries: Vec<Entry> = list
            .split(|byte| *byte == 0)
            .filter_map(Entry::read)
            .filter(|entry| entry.is_wanted(name))
            .collect();
        write(root, &entries, folder.path())?;
        let file = folder.path().join(name);
        match file.is_file() {
            true => Ok(Self {
                commit,
                file,
                _folder: folder,
            }),
            false => Err(none()),
        }
    }
}

/// The commit that a revision is.
fn commit(root: &Path, revision: &str) -> Result<String, GitError> {
    let unknown = |is_shallow| GitError::Unknown {
        revision: revision.to_owned(),
        is_shallow,
    };
    // It would be an option.
    if revision.is_empty() || revision.starts_with('-') {
        return Err(unknown(false));
    }
    let name = format!("{revision}^{{commit}}");
    match run(git(root).args(["rev-parse", "--verify", "--quiet", &name]))? {
        Ok(commit) => Ok(text(&commit)),
        Err(_) => {
            let shallow = run(git(root).args(["rev-parse", "--is-shallow-repository"]))?;
            Err(unknown(shallow.is_ok_and(|said| text(&said) == "true")))
        }
    }
}

/// A file of a revision.
struct Entry {
    is_link: bool,
    id: String,
    path: PathBuf,
}

impl Entry {
    /// Reads `100644 blob ID<tab>PATH`; what is no file is passed over.
    fn read(line: &[u8]) -> Option<Self> {
        let tab = line.iter().position(|byte| *byte == b'\t')?;
        let about = str::from_utf8(&line[..tab]).ok()?;
        let mut words = about.split(' ');
        let (mode, kind, id) = (words.next()?, words.next()?, words.next()?);
        (kind == "blob").then(|| Self {
            is_link: mode == "120000",
            id: id.to_owned(),
            path: path(&line[tab + 1..]),
        })
    }

    /// Whether it can be part of a configuration. What else is in a repository may be large.
    fn is_wanted(&self, name: &OsStr) -> bool {
        let is_toml = || {
            self.path
                .extension()
                .is_some_and(|end| end.eq_ignore_ascii_case("toml"))
        };
        self.is_link || is_toml() || self.path.as_os_str() == name
    }
}

/// Writes files of a revision below a folder.
fn write(root: &Path, entries: &[Entry], folder: &Path) -> Result<(), GitError> {
    // A file, for Git answers while it still reads.
    let mut ids: File = tempfile::tempfile()?;
    for entry in entries {
        writeln!(ids, "{}", entry.id)?;
    }
    ids.rewind()?;
    let found = run(git(root).args(["cat-file", "--batch"]).stdin(ids))?;
    let found = found.map_err(|said| refused(root, said))?;
    let mut rest = found.as_slice();
    for entry in entries {
        let content = object(&mut rest).ok_or_else(|| {
            GitError::Refused(format!("it does not have {}", entry.path.display()))
        })?;
        let to = folder.join(&entry.path);
        fs::create_dir_all(to.parent().unwrap_or(folder))?;
        match entry.is_link {
            true => link(&path(content), &to)?,
            false => fs::write(to, content)?,
        }
    }
    Ok(())
}

/// The next of Git's answers: `ID blob SIZE`, a line end, the content, a line end.
fn object<'a>(rest: &mut &'a [u8]) -> Option<&'a [u8]> {
    let end = rest.iter().position(|byte| *byte == b'\n')?;
    let head = str::from_utf8(&rest[..end]).ok()?;
    let size: usize = head.split(' ').nth(2)?.parse().ok()?;
    let content = rest.get(end + 1..end + 1 + size)?;
    *rest = rest.get(end + 2 + size..)?;
    Some(content)
}

/// Runs Git: what it printed, or what it complained of.
pub(super) fn run(command: &mut Command) -> Result<Result<Vec<u8>, String>, GitError> {
    let output = command.output().map_err(GitError::NotStarted)?;
    Ok(match output.status.success() {
        true => Ok(output.stdout),
        false => Err(text(&output.stderr)),
    })
}

fn refused(root: &Path, said: String) -> GitError {
    match said.contains("not a git repository") {
        true => GitError::NoRepository(root.to_owned()),
        false => GitError::Refused(said),
    }
}

/// A line that Git printed.
pub(super) fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).trim_end().to_owned()
}

#[cfg(unix)]
fn path(bytes: &[u8]) -> PathBuf {
    use std::os::unix::ffi::OsStrExt;
    PathBuf::from(OsStr::from_bytes(bytes))
}

#[cfg(not(unix))]
fn path(bytes: &[u8]) -> PathBuf {
    PathBuf::from(String::from_utf8_lossy(bytes).into_owned())
}

#[cfg(unix)]
fn link(to: &Path, at: &Path) -> io::Result<()> {
    std::os::unix::fs::symlink(to, at)
}

/// Git writes the target of a link as a text there too.
#[cfg(not(unix))]
fn link(to: &Path, at: &Path) -> io::Result<()> {
    fs::write(at, to.to_string_lossy().as_bytes())
}
