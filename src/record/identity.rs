//! Which record is it? What is found of a record is held against what is configured, and against what it says of itself.
//!
//! What this cannot see: two machines that work on two copies at the same moment, and a copy within the same file that no
//! run has been at since.

use std::fs;
use std::path::{Path, PathBuf};

use jiff::Timestamp;
use rusqlite::{Connection, params};
use sqlx::SqliteConnection;

use super::error::RecordError;
use super::file_id::{self, FileId};
use super::lock::{self, LockRequest, Purpose};
use super::open::sql;
use super::participation::State;
use super::read::{Record, time};
use super::witness::Witness;
use crate::digest::{Digest, Hasher};
use crate::id::RecordId;

/// What stands in for the service on this machine: a sandbox.
const THIS_MACHINE: &str = "this machine";

/// What a run expects of its record.
#[derive(Debug, Clone, Default)]
pub struct Expected {
    /// The id that the configuration names.
    pub id: Option<RecordId>,
    /// The host of the service; `None` is what stands in for it on this machine.
    pub host: Option<String>,
    /// The digest of the consumer key, where it is known.
    pub key: Option<Digest>,
}

impl Expected {
    pub(super) fn host(&self) -> &str {
        self.host.as_deref().unwrap_or(THIS_MACHINE)
    }

    /// The digest of the consumer key as this record keeps it.
    pub(super) fn account(&self, of: RecordId) -> Option<Digest> {
        let key = self.key?;
        Some(
            Hasher::new()
                .part(of.to_string())
                .part(key.as_bytes())
                .finish(),
        )
    }
}

/// What is found of a record.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Found {
    /// Its id.
    pub id: RecordId,
    /// Its serial.
    pub serial: u64,
    /// When the last run on it began.
    pub last_run: Option<Timestamp>,
    /// How many participations run.
    pub running: u64,
    /// The file that it is in.
    file: FileId,
    /// How many names that file has.
    names: u64,
    /// The file that the last run wrote to.
    noted_file: Option<FileId>,
    /// Where its participations are, if anywhere.
    noted_host: Option<String>,
    /// The account that its participations are in.
    noted_account: Option<Digest>,
    /// What the lock file beside it knows.
    witness: Option<Witness>,
    /// Whether it has its marks: file, service, and account.
    marks: [bool; 3],
}

/// What speaks against a record.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Doubt {
    /// The configuration names another one.
    OtherId {
        /// The one that it names.
        wanted: RecordId,
        /// The one that is there.
        found: RecordId,
    },
    /// Its file has several names.
    Linked {
        /// How many.
        names: u64,
    },
    /// It is in another file than the last run wrote to.
    Copied {
        /// When that run began.
        last_run: Option<Timestamp>,
        /// Its serial.
        serial: u64,
    },
    /// It was further once.
    Old {
        /// When the last run that it knows of began.
        last_run: Option<Timestamp>,
        /// Its serial.
        serial: u64,
        /// The highest serial that was seen here.
        seen: u64,
    },
    /// Another one was here.
    Replaced {
        /// The one that was here.
        was: RecordId,
        /// The one that is here.
        found: RecordId,
    },
    /// Its participations are at another service.
    OtherHost {
        /// Where they are.
        was: String,
        /// Where the configuration's service is.
        host: String,
        /// How many run.
        running: u64,
    },
    /// Its participations are in another account.
    OtherAccount {
        /// How many run.
        running: u64,
    },
}

impl Doubt {
    /// Whether `record accept` settles it.
    pub fn can_be_accepted(&self) -> bool {
        !matches!(self, Doubt::OtherId { .. } | Doubt::Linked { .. })
    }

    /// Whether people may have been triggered that the record does not know of.
    pub fn may_miss_people(&self) -> bool {
        matches!(
            self,
            Doubt::Copied { .. } | Doubt::Old { .. } | Doubt::Replaced { .. }
        )
    }

    /// Whether it would be hidden by a run that writes to the record all the same.
    pub(super) fn is_hidden_by_writing(&self) -> bool {
        matches!(
            self,
            Doubt::Linked { .. } | Doubt::Old { .. } | Doubt::Replaced { .. }
        )
    }
}

/// Since when people are not known of.
struct Since(Option<Timestamp>);

impl std::fmt::Display for Since {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self.0 {
            Some(at) => write!(f, "{}", at.strftime("%Y-%m-%dT%H:%M:%SZ")),
            None => f.write_str("its first run"),
        }
    }
}

impl std::fmt::Display for Doubt {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Doubt::OtherId { wanted, found } => write!(
                f,
                "`[record] id` is {wanted}, and the id of this record is {found}. Either `[record] url` is wrong, or two \
                 repositories share one record."
            ),
            Doubt::Linked { names } => write!(
                f,
                "Its file has {names} names (hard links), and two runs under two names know nothing of each other. Copy it \
                 under a new name, move the copy to its place, and run `rollcall record accept`."
            ),
            Doubt::Copied { last_run, serial } => write!(
                f,
                "It is not in the file that the last run wrote to (serial {serial}, {}): it was copied, moved from another \
                 disk, or restored from a backup or a cache. Whoever was triggered since that time with the original is not \
                 on it, and would be triggered again.",
                Since(*last_run)
            ),
            Doubt::Old {
                last_run,
                serial,
                seen,
            } => write!(
                f,
                "It is older than what was here before: its serial is {serial}, and the lock file beside it has seen {seen}. \
                 A copy was put in its place, or its -wal file is gone. Its last run began at {}; whoever was triggered \
                 since is not on it, and would be triggered again.",
                Since(*last_run)
            ),
            Doubt::Replaced { was, found } => write!(
                f,
                "Another record was here before: {was}; this one is {found}. Whoever was triggered with the other one is not \
                 on it."
            ),
            Doubt::OtherHost { was, host, running } => write!(
                f,
                "It is of what was sent to {was}, and `base_url` is at {host}, where nothing is known of its {running} \
                 running participations: none of them would be triggered there, and their stops would reach nobody. Where \
                 it is another account, give it a record of its own by another `[record] url`."
            ),
            Doubt::OtherAccount { running } => write!(
                f,
                "It is of what was sent with another consumer key. If that is another account, nothing is known there of its \
                 {running} running participations: none of them would be triggered, and their stops would reach nobody. \
                 Give another account a record of its own by another `[record] url`; where only the key is new, accept it."
            ),
        }
    }
}

impl Found {
    /// What speaks against it.
    pub fn doubts(&self, expected: &Expected) -> Vec<Doubt> {
        let mut doubts = Vec::new();
        let (found, serial, last_run) = (self.id, self.serial, self.last_run);
        if let Some(wanted) = expected.id.filter(|id| *id != found) {
            doubts.push(Doubt::OtherId { wanted, found });
        }
        if self.names > 1 {
            doubts.push(Doubt::Linked { names: self.names });
        }
        if self
            .noted_file
            .is_some_and(|noted| self.file.is_other(noted))
        {
            doubts.push(Doubt::Copied { last_run, serial });
        }
        match self.witness {
            Some(witness) if witness.id != found => {
                let was = witness.id;
                doubts.push(Doubt::Replaced { was, found });
            }
            Some(witness) if witness.serial > serial => doubts.push(Doubt::Old {
                last_run,
                serial,
                seen: witness.serial,
            }),
            _ => {}
        }
        let running = self.running;
        match &self.noted_host {
            Some(was) if was != expected.host() => doubts.push(Doubt::OtherHost {
                was: was.clone(),
                host: expected.host().to_owned(),
                running,
            }),
            // A key says nothing at another host.
            Some(_) => {
                let account = self.noted_account.zip(expected.account(found));
                if account.is_some_and(|(was, is)| was != is) {
                    doubts.push(Doubt::OtherAccount { running });
                }
            }
            None => {}
        }
        doubts
    }

    /// Whether what tells a wrong record from it is not all there: a mark of its own, or the witness beside it. The next run
    /// that writes to it puts that right.
    fn lacks_marks(&self, expected: &Expected) -> bool {
        let [file, service, account] = self.marks;
        !file
            || !service
            || (!account && expected.key.is_some())
            || self
                .witness
                .is_none_or(|witness| witness.id == self.id && witness.serial < self.serial)
    }

    /// The serial from which it goes on once it is accepted: higher than all that was ever seen of it here, so that what it
    /// replaces is an old one from then on.
    pub(super) fn accepted_serial(&self) -> u64 {
        let seen = self.witness.map_or(0, |witness| witness.serial);
        self.serial.max(seen).saturating_add(1)
    }
}

/// A record, and what speaks against it.
#[derive(Debug, Clone, Default)]
pub struct Examined {
    /// Where it is, or should be.
    pub path: PathBuf,
    /// What is found of it; `None` where there is none.
    pub found: Option<Found>,
    /// What speaks against it.
    pub doubts: Vec<Doubt>,
    /// Whether others than its owner can read it.
    pub is_exposed: bool,
    /// Whether a mark of it is missing, so that a wrong one could be taken for it.
    pub lacks_marks: bool,
    /// The record that was here, where there is none: its id and its serial.
    pub gone: Option<(RecordId, u64)>,
}

impl Record {
    /// Looks at which record it is. To be called before it is read: what another run writes meanwhile speaks for it.
    ///
    /// # Errors
    /// Why it cannot be read.
    pub async fn examine(&self, expected: &Expected) -> Result<Examined, RecordError> {
        let witness = Witness::of(self.path());
        let path = self.path().to_owned();
        let Some(mut connection) = lock::reader(&path).await? else {
            return Ok(Examined {
                path,
                gone: witness.map(|witness| (witness.id, witness.serial)),
                ..Examined::default()
            });
        };
        let (found, doubts) = examine(&path, &mut connection, witness, expected).await?;
        let meta = fs::metadata(&path).ok();
        // A run that is at work wrote more of the record than the witness knew of when that was read.
        let later = || Found {
            witness: Witness::of(&path),
            ..found.clone()
        };
        Ok(Examined {
            lacks_marks: found.lacks_marks(expected) && later().lacks_marks(expected),
            gone: None,
            path,
            found: Some(found),
            doubts,
            is_exposed: meta.is_some_and(|meta| file_id::is_exposed(&meta)),
        })
    }
}

/// What is on record of the record itself. Host and account bind it only where anything on it may have come of a call or was
/// adopted: what only ever failed was perhaps sent to a host that was mistyped, and holds nobody back from the right one.
const FIND: &str = "\
SELECT identity, serial, file_inode, file_birth, service, account,
  EXISTS (SELECT * FROM participation WHERE state NOT IN ('failed', 'failed-for-good', 'waiting', 'withheld'))
    OR EXISTS (SELECT * FROM call WHERE outcome IS NULL),
  (SELECT started_at FROM run ORDER BY id DESC LIMIT 1)
FROM meta";

type Row = (
    String,
    i64,
    Option<i64>,
    Option<i64>,
    Option<String>,
    Option<Vec<u8>>,
    bool,
    Option<i64>,
);

/// Holds a record that is open against what is expected. People are counted only where that is told.
pub(super) async fn examine(
    path: &Path,
    connection: &mut SqliteConnection,
    witness: Option<Witness>,
    expected: &Expected,
) -> Result<(Found, Vec<Doubt>), RecordError> {
    let mut found = find(path, connection, witness).await?;
    if !found.doubts(expected).is_empty() {
        found.running = running(connection).await.map_err(sql(path, "read"))?;
    }
    let doubts = found.doubts(expected);
    Ok((found, doubts))
}

async fn running(connection: &mut SqliteConnection) -> Result<u64, sqlx::Error> {
    let counts: Vec<(String, i64)> =
        sqlx::query_as("SELECT state, count(*) FROM participation GROUP BY state")
            .fetch_all(connection)
            .await?;
    let running = counts
        .into_iter()
        .filter(|(state, _)| state.parse().is_ok_and(State::is_running));
    Ok(running
        .map(|(_, count)| u64::try_from(count).unwrap_or(0))
        .sum())
}

async fn find(
    path: &Path,
    connection: &mut SqliteConnection,
    witness: Option<Witness>,
) -> Result<Found, RecordError> {
    let read = sql(path, "read");
    let (identity, serial, inode, birth, host, account, is_bound, last_run): Row =
        sqlx::query_as(FIND)
            .fetch_one(&mut *connection)
            .await
            .map_err(&read)?;
    let corrupt = |what: &str| RecordError::Corrupt {
        path: path.to_owned(),
        what: what.to_owned(),
    };
    let meta = fs::metadata(path).map_err(|error| RecordError::Io {
        path: path.to_owned(),
        error,
    })?;
    let account = account.map(|bytes| <[u8; 16]>::try_from(bytes).map(Digest::from_bytes));
    let account = account
        .transpose()
        .map_err(|_| corrupt("the digest of a key"))?;
    let noted_file = FileId { inode, birth };
    Ok(Found {
        id: identity.parse().map_err(|_| corrupt("its id"))?,
        serial: u64::try_from(serial).unwrap_or(0),
        last_run: last_run.map(time),
        running: 0,
        file: FileId::from(&meta),
        names: file_id::names(&meta),
        marks: [
            noted_file != FileId::default() || FileId::from(&meta) == FileId::default(),
            host.is_some(),
            account.is_some(),
        ],
        noted_file: (noted_file != FileId::default()).then_some(noted_file),
        noted_host: host.filter(|_| is_bound),
        noted_account: account.filter(|_| is_bound),
        witness,
    })
}

/// Marks a record as the one that this run writes, and notes its account. Only for the holder of the lock.
pub(super) fn mark(
    path: &Path,
    connection: &Connection,
    request: &LockRequest,
    found: &Found,
) -> rusqlite::Result<()> {
    let file = FileId::of(path).unwrap_or_default();
    let account = request.expected.account(found.id);
    connection.execute(
        // An account without its key stays as it is noted, as long as the host does.
        "UPDATE meta SET file_inode = ?1, file_birth = ?2, service = ?3, \
         account = CASE WHEN ?4 IS NULL AND service IS ?3 THEN account ELSE ?4 END",
        params![
            file.inode,
            file.birth,
            request.expected.host(),
            account.as_ref().map(Digest::as_bytes)
        ],
    )?;
    if matches!(request.purpose, Purpose::Accept(_)) {
        let serial = i64::try_from(found.accepted_serial()).unwrap_or(i64::MAX);
        connection.execute("UPDATE meta SET serial = ?", [serial])?;
    }
    Ok(())
}
