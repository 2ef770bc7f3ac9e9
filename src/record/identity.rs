//! Which record is it? What is found of a record is held against what is configured, and against what it says of itself.
//!
//! What this cannot see: two machines that work on two copies at the same moment, and a copy within the same file that no
//! run has been at since.

use std::path::{Path, PathBuf};

use jiff::Timestamp;

use super::carry;
use super::error::RecordError;
use super::read::Record;
use super::store::View;
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

/// Tells a file from another one that has its name later, and from a copy.
///
/// By inode and birth time alone: paths and device numbers change at a reboot and in a container. Either is `None` where
/// the system does not know it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) struct FileId {
    pub inode: Option<i64>,
    pub birth: Option<i64>,
}

impl FileId {
    /// Whether it is certainly another file. What is not known of either says nothing.
    fn is_other(self, than: Self) -> bool {
        let differ =
            |one: Option<i64>, other: Option<i64>| one.zip(other).is_some_and(|(a, b)| a != b);
        differ(self.inode, than.inode) || differ(self.birth, than.birth)
    }
}

/// Tells a database from another one, from a copy, and from itself at an earlier time.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct DatabaseId {
    /// The cluster; `None` where the role may not ask.
    pub system: Option<String>,
    /// Which of its histories: another one begins with each restore and each promotion of a replica.
    pub timeline: Option<i64>,
    /// The database of the cluster.
    pub database: i64,
    /// The tables of the record.
    pub tables: String,
}

impl DatabaseId {
    /// How it is certainly another one. What is not known of either says nothing.
    fn other(&self, than: &Self) -> Option<Elsewhere> {
        let system = self.system.as_ref().zip(than.system.as_ref());
        if system.is_some_and(|(is, was)| is != was) {
            return Some(Elsewhere::Server);
        }
        if self.database != than.database {
            return Some(Elsewhere::Database);
        }
        if self.tables != than.tables {
            return Some(Elsewhere::Tables);
        }
        let timeline = self.timeline.zip(than.timeline);
        let timeline = timeline.filter(|(is, was)| is != was);
        timeline.map(|(is, was)| Elsewhere::Timeline { is, was })
    }
}

/// How a record is elsewhere than the last run wrote to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Elsewhere {
    /// In another cluster.
    Server,
    /// In another database.
    Database,
    /// In other tables.
    Tables,
    /// In another history of the same cluster.
    Timeline {
        /// The one that it is on.
        is: i64,
        /// The one that it was on.
        was: i64,
    },
}

impl std::fmt::Display for Elsewhere {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Elsewhere::Server => f.write_str(
                "it is on another server: it was copied there, restored from a backup, or the server was upgraded",
            ),
            Elsewhere::Database => {
                f.write_str("it is in another database of the server: it was copied there, or restored from a dump")
            }
            Elsewhere::Tables => f.write_str("its tables are new ones: it was restored from a dump"),
            Elsewhere::Timeline { is, was } => write!(
                f,
                "the server switched to a replica, which may lack the last commits, or was restored to an earlier time \
                 (timeline {is}, before {was})"
            ),
        }
    }
}

/// What is known beside a record of how far it was. It is noted after a commit and before anybody learns of the commit.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Witness {
    /// The record's id.
    pub id: RecordId,
    /// The highest serial that was seen of it.
    pub serial: u64,
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
    /// How many participations run. They are counted where something speaks against the record.
    pub running: u64,
    /// The file that it is in.
    pub(super) file: FileId,
    /// How many names that file has.
    pub(super) names: u64,
    /// Whether others than its owner can read it.
    pub(super) is_exposed: bool,
    /// The file that the last run wrote to.
    pub(super) noted_file: Option<FileId>,
    /// Where it was carried to: it is closed then.
    pub(super) moved_to: Option<String>,
    /// Where in a database it is, and where the last run wrote to.
    pub(super) database: Option<DatabaseId>,
    pub(super) noted_database: Option<DatabaseId>,
    /// The host of the service that the last run wrote for, and the digest of the consumer key.
    pub(super) noted_host: Option<String>,
    pub(super) noted_account: Option<Digest>,
    /// Whether anything on it may have come of a call or was adopted. What only ever failed was perhaps sent to a host that
    /// was mistyped, and holds nobody back from the right one.
    pub(super) is_bound: bool,
    /// What is known beside it.
    pub(super) witness: Option<Witness>,
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
    /// It is elsewhere in PostgreSQL than the last run wrote to.
    Elsewhere {
        /// How.
        how: Elsewhere,
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
            Doubt::Copied { .. }
                | Doubt::Elsewhere { .. }
                | Doubt::Old { .. }
                | Doubt::Replaced { .. }
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
                "Its file has {names} names (hard links), and two runs under two names do not know of each other. Copy it \
                 under a new name, move the copy to its place, and run `rollcall record accept`."
            ),
            Doubt::Copied { last_run, serial } => write!(
                f,
                "It is not in the file that the last run wrote to (serial {serial}, {}): it was copied, moved from another \
                 disk, or restored from a backup or a cache. Everybody who was triggered since then with the original is not \
                 on it, and would be triggered again.",
                Since(*last_run)
            ),
            Doubt::Elsewhere {
                how,
                last_run,
                serial,
            } => write!(
                f,
                "It is not where the last run wrote to (serial {serial}, {}): {how}. Everybody who was triggered since then with \
                 the original is not on it, and would be triggered again.",
                Since(*last_run)
            ),
            Doubt::Old {
                last_run,
                serial,
                seen,
            } => write!(
                f,
                "It is older than what was here before: its serial is {serial}, and the lock file next to it has seen {seen}. \
                 A copy was put in its place, or its -wal file is gone. Its last run began at {}; everybody who was \
                 triggered since is not on it, and would be triggered again.",
                Since(*last_run)
            ),
            Doubt::Replaced { was, found } => write!(
                f,
                "Another record was here before: {was}; this one is {found}. Everybody who was triggered with the other one \
                 is not on it."
            ),
            Doubt::OtherHost { was, host, running } => write!(
                f,
                "It belongs to {was}, but `base_url` is at {host}, which does not know its {running} running participations: \
                 none of them would be triggered there, and their stops would reach nobody. If it is another account, give it its own record with another `[record] url`."
            ),
            Doubt::OtherAccount { running } => write!(
                f,
                "It was used with another consumer key. If that is another account, this account does not know its {running} \
                 running participations: none of them would be triggered, and their stops would reach nobody. Give another account its own record with another `[record] url`; if only the key is new, accept it."
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
        let databases = self.database.as_ref().zip(self.noted_database.as_ref());
        if let Some(how) = databases.and_then(|(is, was)| is.other(was)) {
            doubts.push(Doubt::Elsewhere {
                how,
                last_run,
                serial,
            });
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
        match self.noted_host.as_ref().filter(|_| self.is_bound) {
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
        let is_behind = |of: Witness| of.id == self.id && of.serial < self.serial;
        // Beside a database there is no witness.
        let lacks_witness = self.database.is_none() && self.witness.is_none_or(is_behind);
        (self.noted_file.is_none() && self.file != FileId::default())
            || (self.noted_database.is_none() && self.database.is_some())
            || self.noted_host.is_none()
            || (self.noted_account.is_none() && expected.key.is_some())
            || lacks_witness
    }

    /// The serial from which it goes on once it is accepted: higher than all that was ever seen of it here, so that what it
    /// replaces is an old one from then on.
    pub(super) fn accepted_serial(&self) -> u64 {
        let seen = self.witness.map_or(0, |witness| witness.serial);
        self.serial.max(seen).saturating_add(1)
    }
}

/// Holds a record against what is expected, and says what speaks against it.
///
/// # Errors
/// Why it cannot be read.
pub(super) async fn examine(
    path: &Path,
    view: &mut dyn View,
    witness: Option<Witness>,
    expected: &Expected,
) -> Result<(Found, Vec<Doubt>), RecordError> {
    let mut found = view.about().await?;
    carry::refuse(path, found.moved_to.as_deref())?;
    found.witness = witness;
    if !found.doubts(expected).is_empty() {
        let states = view.states().await?;
        let running = states.iter().filter(|((_, state), _)| state.is_running());
        found.running = running.map(|(_, count)| count).sum();
    }
    let doubts = found.doubts(expected);
    Ok((found, doubts))
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
        let path = self.path().to_owned();
        let witness = self.store.witness();
        let Some(mut view) = self.store.read().await? else {
            return Ok(Examined {
                path,
                gone: witness.map(|witness| (witness.id, witness.serial)),
                ..Examined::default()
            });
        };
        let (found, doubts) = examine(self.path(), view.as_mut(), witness, expected).await?;
        // A run that is at work wrote more of the record than the witness knew of when that was read.
        let later = || Found {
            witness: self.store.witness(),
            ..found.clone()
        };
        Ok(Examined {
            lacks_marks: found.lacks_marks(expected) && later().lacks_marks(expected),
            gone: None,
            path,
            is_exposed: found.is_exposed,
            found: Some(found),
            doubts,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_database_is_told_from_others_by_what_is_known_of_both() {
        let noted = DatabaseId {
            system: Some("7".to_owned()),
            timeline: Some(1),
            database: 5,
            tables: "1 2 3".to_owned(),
        };
        let with = |change: fn(&mut DatabaseId)| {
            let mut other = noted.clone();
            change(&mut other);
            other.other(&noted)
        };
        assert_eq!(with(|_| {}), None);
        assert_eq!(with(|of| of.system = None), None);
        assert_eq!(with(|of| of.timeline = None), None);
        assert_eq!(
            with(|of| of.system = Some("8".to_owned())),
            Some(Elsewhere::Server)
        );
        assert_eq!(with(|of| of.database = 6), Some(Elsewhere::Database));
        assert_eq!(
            with(|of| of.tables = "4 5 6".to_owned()),
            Some(Elsewhere::Tables)
        );
        let promoted = Some(Elsewhere::Timeline { is: 2, was: 1 });
        assert_eq!(with(|of| of.timeline = Some(2)), promoted);
    }

    #[test]
    fn what_is_not_known_of_a_file_says_nothing() {
        let id = |inode, birth| FileId { inode, birth };
        let noted = id(Some(7), Some(1));
        assert!(!noted.is_other(noted));
        assert!(!noted.is_other(id(Some(7), None)) && !noted.is_other(FileId::default()));
        assert!(noted.is_other(id(Some(8), None)) && noted.is_other(id(Some(7), Some(2))));
    }
}
