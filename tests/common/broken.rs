//! Records that no command of Rollcall can make: damaged, foreign, older and newer ones, and ones whose history lies in the
//! past, since a call is dated by the real clock. This is the only place of these tests that writes to a record with SQL.

use std::fs;
use std::path::{Path, PathBuf};

use super::Repo;
use super::sql::Sql;

impl Repo {
    /// The file of the record.
    fn record(&self) -> PathBuf {
        self.file("state/rollcall.db")
    }

    fn change_record(&self, script: &str) {
        Sql::open(&self.record()).run(script);
    }

    /// Makes the record what an older version, of this schema, would have made of it.
    pub fn make_older(&self, schema: usize) {
        let path = self.file("state/rollcall.db");
        let older = self.file("state/older.db");
        let connection = Sql::open(&older);
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("state/migrations");
        let migrations = fs::read_dir(folder).unwrap();
        let mut migrations: Vec<PathBuf> = migrations.map(|of| of.unwrap().path()).collect();
        migrations.sort();
        for migration in &migrations[..schema] {
            let sql = fs::read_to_string(migration).unwrap();
            connection.run(&sql);
        }
        let attach = format!("ATTACH '{}' AS now", path.display());
        connection.run(&attach);
        for table in connection.texts("SELECT name FROM main.sqlite_schema WHERE type = 'table'") {
            let columns = connection.texts(&format!(
                "SELECT name FROM pragma_table_info('{table}', 'main')"
            ));
            let columns = columns.join(", ");
            let copy = format!(
                "DELETE FROM main.{table}; \
                 INSERT INTO main.{table} ({columns}) SELECT {columns} FROM now.{table}"
            );
            connection.run(&copy);
        }
        let rest = format!(
            "CREATE TABLE _sqlx_migrations AS SELECT * FROM now._sqlx_migrations WHERE version <= {schema}; \
             DETACH now; PRAGMA journal_mode = wal"
        );
        connection.run(&rest);
        drop(connection);
        for suffix in ["-wal", "-shm"] {
            let _ = fs::remove_file(self.file(&format!("state/rollcall.db{suffix}")));
        }
        fs::rename(older, path).unwrap();
        // It had nothing to say then.
        self.write("state/rollcall.db.lock", "");
    }

    /// Makes the record one of a version that is not there yet.
    pub fn make_newer(&self) {
        self.change_record(
            "INSERT INTO _sqlx_migrations (version, description, success, checksum, execution_time) \
             VALUES (99, 'of the future', 1, x'00', 0)",
        );
    }

    /// Makes the record one of before the first schema, as far as can be seen: a migration of it fails, and says so.
    pub fn forget_migrations(&self) {
        self.change_record("DELETE FROM _sqlx_migrations");
    }

    /// Puts the file of another program in the place of the record.
    pub fn put_foreign_database(&self) {
        fs::create_dir_all(self.file("state")).unwrap();
        self.change_record("CREATE TABLE theirs (x)");
    }

    /// Leaves what an older version left when it was killed while it made the record: a transaction that is on the disk in
    /// part, and the journal that says how to take it back.
    pub fn leave_half_made_record(&self) {
        self.write("state/.keep", "");
        let making = self.file("state/making.db");
        let connection = Sql::open(&making);
        connection.run(
            "PRAGMA cache_size = 5; CREATE TABLE meta (a, b); DROP TABLE meta; BEGIN; CREATE TABLE meta (a, b); \
             WITH RECURSIVE n (n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM n WHERE n < 3000) \
             INSERT INTO meta SELECT n, hex(randomblob(100)) FROM n",
        );
        fs::copy(&making, self.record()).unwrap();
        let journal = self.file("state/making.db-journal");
        fs::copy(journal, self.file("state/rollcall.db-journal")).unwrap();
    }

    /// Removes marks that an older version did not leave: columns of the record's own row.
    pub fn remove_marks(&self, columns: &[&str]) {
        for column in columns {
            self.change_record(&format!("UPDATE meta SET {column} = NULL"));
        }
    }

    /// Whether the record has the marks of its file, its service and its account.
    pub fn has_marks(&self) -> bool {
        let marks = "SELECT 'yes' FROM meta WHERE file_inode IS NOT NULL AND service IS NOT NULL AND account IS NOT NULL";
        !Sql::open(&self.record()).texts(marks).is_empty()
    }

    /// Notes another service on the record.
    pub fn note_service(&self, host: &str) {
        self.change_record(&format!("UPDATE meta SET service = '{host}'"));
    }

    /// Gives all rows an id that only an older version accepted.
    pub fn rename_all_contacts(&self, contact: &str) {
        self.change_record(&format!(
            "UPDATE participation SET contact = '{contact}'; UPDATE call SET contact = '{contact}'"
        ));
    }

    /// Makes one id another one's, as an apply does it.
    pub fn merge(&self, from: &str, to: &str) {
        self.change_record(&format!(
            "UPDATE participation SET contact = '{to}', triggered_as = '{from}' WHERE contact = '{from}'; \
             INSERT INTO merged (contact, becomes) VALUES ('{from}', '{to}')"
        ));
    }

    /// Locks the record for process 7 of `far-away.example`, whose clock is this many seconds behind.
    pub fn lock_elsewhere(&self, seconds_behind: i32) {
        self.change_record(&format!(
            "INSERT OR REPLACE INTO lock (only, holder, host, pid, command, acquired_at, heartbeat_at) VALUES \
             (1, 'x', 'far-away.example', 7, 'apply', 0, (unixepoch() - ({seconds_behind})) * 1000)"
        ));
    }

    /// Gives the lock to somebody else, while its holder works.
    pub fn steal_lock(&self) {
        self.change_record("UPDATE lock SET holder = 'somebody else'");
    }

    /// Removes a lock that was stolen.
    pub fn remove_lock(&self) {
        self.change_record("DELETE FROM lock");
    }

    /// Does something while another program is in the middle of reading the record.
    pub fn while_read<T>(&self, act: impl FnOnce() -> T) -> T {
        let reader = Sql::open(&self.record());
        reader.run("BEGIN; SELECT * FROM participation");
        act()
    }
}

/// The record of a repository, whose history is written by hand: calls at any time. It has one automation.
pub struct History(Sql);

/// Milliseconds of a time.
fn ms(time: &str) -> i64 {
    time.parse::<jiff::Timestamp>().unwrap().as_millisecond()
}

impl History {
    /// Takes everything off a record but one run.
    pub fn empty(repo: &Repo) -> Self {
        let record = Sql::open(&repo.record());
        record.run(
            "DELETE FROM participation; DELETE FROM call; DELETE FROM run; \
             INSERT INTO run (id, command, started_at, ended_at, host, pid, version) \
             VALUES (1, 'apply', 1700000000000, 1700000061000, 'h', 1, '1')",
        );
        Self(record)
    }

    /// A call, and what came of it.
    pub fn called(&self, kind: &str, contact: &str, at: &str, outcome: Option<&str>) {
        let at = ms(at);
        let outcome = outcome.map_or("NULL".to_owned(), |of| format!("'{of}'"));
        self.0.run(&format!(
            "INSERT INTO call (run, kind, contact, automation, occurrence, trigger_code, sent_at, settled_at, outcome) \
             VALUES (1, '{kind}', '{contact}', 1, iif('{kind}' = 'trigger', '', NULL), 1, {at}, {at}, {outcome})"
        ));
    }

    /// The state of a participation.
    pub fn stands(&self, contact: &str, state: &str, triggered: &str, changed: &str) {
        let (triggered, changed) = (ms(triggered), ms(changed));
        self.0.run(&format!(
            "INSERT INTO participation (contact, automation, occurrence, state, trigger_code, triggered_at, changed_at) \
             VALUES ('{contact}', 1, '', '{state}', 1, {triggered}, {changed})"
        ));
    }

    /// 2,000 people, two more each day from this time on; every other one is stopped a hundred days later.
    pub fn three_years(&self, start: &str) {
        let start = ms(start);
        self.0.run(&format!(
            "WITH RECURSIVE n (n) AS (SELECT 0 UNION ALL SELECT n + 1 FROM n WHERE n < 1999) \
             INSERT INTO participation (contact, automation, occurrence, state, trigger_code, triggered_at, changed_at) \
             SELECT printf('person-%05d', n), 1, '', iif(n % 2, 'active', 'stopped'), 1, {start} + n * 43200000, \
               {start} + n * 43200000 + iif(n % 2, 0, 8640000000) FROM n; \
             INSERT INTO call (run, kind, contact, automation, occurrence, trigger_code, sent_at, settled_at, outcome) \
             SELECT 1, 'trigger', contact, automation, occurrence, 1, triggered_at, triggered_at, 'active' \
             FROM participation; \
             INSERT INTO call (run, kind, contact, automation, trigger_code, sent_at, settled_at, outcome) \
             SELECT 1, 'stop', contact, automation, 1, changed_at, changed_at, 'stopped' FROM participation \
             WHERE state = 'stopped'"
        ));
    }
}
