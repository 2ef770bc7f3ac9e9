//! A server of PostgreSQL for tests: that of `ROLLCALL_TEST_POSTGRES`, or one of this process's own where PostgreSQL is
//! installed, which ends with it.
#![allow(dead_code, reason = "each user needs a part of it")]

use std::fs;
use std::io::Write;
use std::net::TcpListener;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

/// The URL of a server that is there already, with a user who may make databases.
const VARIABLE: &str = "ROLLCALL_TEST_POSTGRES";

/// The superuser's.
pub const PASSWORD: &str = "hush-hush";

/// Who runs the server where root may not.
const NOBODY: u32 = 65534;

/// A server.
pub struct Server {
    url: String,
    own: Option<Own>,
}

/// One that the tests have started.
struct Own {
    folder: tempfile::TempDir,
    bin: PathBuf,
    port: u16,
    /// Ends the server when its input ends, as it does with this process.
    keeper: std::sync::Mutex<Option<Child>>,
    /// The number of the process that ended last.
    last: std::sync::Mutex<String>,
}

impl Server {
    /// The one of this process. Without one, the test says that it is skipped.
    pub fn shared() -> Option<&'static Self> {
        static SHARED: OnceLock<Option<Server>> = OnceLock::new();
        let found = SHARED.get_or_init(|| match std::env::var(VARIABLE) {
            Ok(url) => Some(Self { url, own: None }),
            Err(_) => Self::start(),
        });
        if found.is_none() {
            let said = format!("skipped: there is no PostgreSQL here, and {VARIABLE} is not set\n");
            // Past the test's own capture, so that it is seen.
            let _ = std::io::stderr().lock().write_all(said.as_bytes());
        }
        found.as_ref()
    }

    /// One of the test's own, where PostgreSQL is installed.
    pub fn start() -> Option<Self> {
        let own = Own::new(binaries()?);
        let password = own.folder.path().join("password");
        own.write(&password, PASSWORD);
        let made = own
            .command("initdb")
            .args([
                "--no-sync",
                "--username=postgres",
                "--encoding=UTF8",
                "--locale=C.UTF-8",
            ])
            .args(["--auth=scram-sha-256", "--pwfile"])
            .arg(&password)
            .arg(own.data())
            .output()
            .unwrap();
        assert!(
            made.status.success(),
            "{}",
            String::from_utf8_lossy(&made.stderr)
        );
        Some(own.serve())
    }

    /// A replica of a server of the test's own, which has what was committed by now and nothing that comes later.
    pub fn replica(&self) -> Self {
        let of = self.own.as_ref().unwrap();
        let own = Own::new(of.bin.clone());
        let mut copy = own.command("pg_basebackup");
        copy.args(["-h", "127.0.0.1", "-U", "postgres", "--checkpoint=fast"]);
        copy.args(["-p", &of.port.to_string(), "-D"])
            .arg(own.data());
        let copied = copy.env("PGPASSWORD", PASSWORD).output().unwrap();
        let said = String::from_utf8_lossy(&copied.stderr);
        assert!(copied.status.success(), "{said}");
        own.write(&own.data().join("standby.signal"), "");
        own.serve()
    }

    /// Makes a replica the server.
    pub fn promote(&self) {
        assert_eq!(run(&self.url, "SELECT pg_promote()::text"), ["true"]);
    }

    /// Puts a line before all that say who may come in, and has it read.
    pub fn lets_in(&self, line: &str) {
        let file = self.data().join("pg_hba.conf");
        let rest = fs::read_to_string(&file).unwrap();
        fs::write(&file, format!("{line}\n{rest}")).unwrap();
        self.sql("SELECT pg_reload_conf()");
    }

    /// Lets it prove over TLS who it is.
    pub fn secure(&self, certificate: &str, key: &str) {
        let own = self.own.as_ref().unwrap();
        own.write(&own.data().join("server.crt"), certificate);
        own.write(&own.data().join("server.key"), key);
        self.sql("ALTER SYSTEM SET ssl = on");
        self.sql("SELECT pg_reload_conf()");
    }

    /// The URL of the superuser's database.
    pub fn url(&self) -> &str {
        &self.url
    }

    /// The URL of another database, that may not be there yet.
    pub fn url_of(&self, database: &str) -> String {
        let (server, _) = self.url.rsplit_once('/').unwrap();
        format!("{server}/{database}")
    }

    /// Makes a database. Returns its URL.
    pub fn database(&self) -> String {
        static COUNT: AtomicU32 = AtomicU32::new(0);
        let count = COUNT.fetch_add(1, Ordering::Relaxed);
        let name = format!("rollcall_{}_{count}", std::process::id());
        self.sql(&format!("DROP DATABASE IF EXISTS {name}"));
        self.sql(&format!("CREATE DATABASE {name}"));
        self.url_of(&name)
    }

    /// Runs statements as the superuser.
    pub fn sql(&self, script: &str) {
        run(&self.url, script);
    }

    /// The folder of a server of the test's own.
    pub fn data(&self) -> PathBuf {
        self.own.as_ref().unwrap().data()
    }

    /// The port of a server of the test's own.
    pub fn port(&self) -> u16 {
        self.own.as_ref().unwrap().port
    }

    /// Where its programs are.
    pub fn bin(&self) -> &Path {
        &self.own.as_ref().unwrap().bin
    }

    /// Kills the server of the test's own, as a power cut does, and starts it again.
    pub fn kill(&self) {
        let own = self.own.as_ref().unwrap();
        own.end("KILL");
        own.run();
    }

    /// Ends the server of the test's own.
    pub fn stop(&self) {
        self.own.as_ref().unwrap().end("INT");
    }

    /// Starts it again.
    pub fn go_on(&self) {
        self.own.as_ref().unwrap().run();
    }
}

impl Own {
    fn new(bin: PathBuf) -> Self {
        let folder = tempfile::tempdir().unwrap();
        if is_root() {
            std::os::unix::fs::chown(folder.path(), Some(NOBODY), Some(NOBODY)).unwrap();
        }
        Self {
            folder,
            bin,
            port: free_port(),
            keeper: std::sync::Mutex::new(None),
            last: std::sync::Mutex::default(),
        }
    }

    fn serve(self) -> Server {
        self.run();
        let port = self.port;
        Server {
            url: format!("postgres://postgres:{PASSWORD}@127.0.0.1:{port}/postgres"),
            own: Some(self),
        }
    }

    /// Writes a file that only the server may read.
    fn write(&self, path: &Path, text: &str) {
        use std::os::unix::fs::PermissionsExt;
        fs::write(path, text).unwrap();
        fs::set_permissions(path, fs::Permissions::from_mode(0o600)).unwrap();
        if is_root() {
            std::os::unix::fs::chown(path, Some(NOBODY), Some(NOBODY)).unwrap();
        }
    }

    fn data(&self) -> PathBuf {
        self.folder.path().join("data")
    }

    fn command(&self, program: &str) -> Command {
        let mut command = Command::new(self.bin.join(program));
        command.current_dir(self.folder.path());
        if is_root() {
            command.uid(NOBODY).gid(NOBODY);
        }
        command
    }

    /// Starts the server and waits until it answers.
    fn run(&self) {
        let keeper = r#""$@" & server=$!; read -r _; kill -QUIT $server 2>/dev/null; wait $server"#;
        let log = fs::File::options();
        let log = log
            .clone()
            .create(true)
            .append(true)
            .open(self.folder.path().join("log"));
        let log = log.unwrap();
        let mut command = Command::new("sh");
        command
            .args(["-c", keeper, "sh"])
            .arg(self.bin.join("postgres"));
        command
            .arg("-D")
            .arg(self.data())
            .args(["-p", &self.port.to_string()]);
        for setting in [
            "listen_addresses=127.0.0.1",
            "unix_socket_directories=",
            // A killed process loses nothing by it, and a test of a cut of the power would need another machine.
            "fsync=off",
            "max_connections=300",
            "shared_buffers=64MB",
            "log_checkpoints=off",
        ] {
            command.args(["-c", setting]);
        }
        if is_root() {
            command.uid(NOBODY).gid(NOBODY);
        }
        let child = command
            .current_dir(self.folder.path())
            .stdin(Stdio::piped())
            .stdout(log.try_clone().unwrap())
            .stderr(log)
            .spawn()
            .unwrap();
        *self.keeper.lock().unwrap() = Some(child);
        let until = Instant::now() + Duration::from_secs(20);
        let state = self.data().join("postmaster.pid");
        // One that was killed leaves the file as it was.
        let last = self.last.lock().unwrap().clone();
        let is_ready = || {
            let text = fs::read_to_string(&state).unwrap_or_default();
            text.contains("ready") && text.lines().next() != Some(&last)
        };
        while !is_ready() {
            let log = || fs::read_to_string(self.folder.path().join("log")).unwrap_or_default();
            assert!(
                Instant::now() < until,
                "the server does not start: {}",
                log()
            );
            std::thread::sleep(Duration::from_millis(20));
        }
    }

    fn end(&self, signal: &str) {
        let pid = fs::read_to_string(self.data().join("postmaster.pid")).unwrap();
        let pid = pid.lines().next().unwrap().to_owned();
        self.last.lock().unwrap().clone_from(&pid);
        let kill = Command::new("kill")
            .args(["-s", signal, &pid])
            .status()
            .unwrap();
        assert!(kill.success());
        if let Some(mut keeper) = self.keeper.lock().unwrap().take() {
            drop(keeper.stdin.take());
            let _ = keeper.wait();
        }
        // Its processes hold the memory and the port that the next one needs until they notice.
        let until = Instant::now() + Duration::from_secs(30);
        while self.has_processes() || TcpListener::bind(("127.0.0.1", self.port)).is_err() {
            assert!(Instant::now() < until, "the server does not end");
            std::thread::sleep(Duration::from_millis(20));
        }
    }

    /// Whether a process of the server is left: each works in the folder of the data.
    fn has_processes(&self) -> bool {
        let Ok(processes) = fs::read_dir("/proc") else {
            return false;
        };
        let data = self.data();
        processes
            .flatten()
            .any(|process| fs::read_link(process.path().join("cwd")).is_ok_and(|cwd| cwd == data))
    }
}

impl Drop for Own {
    fn drop(&mut self) {
        if let Ok(Some(mut keeper)) = self.keeper.lock().map(|mut keeper| keeper.take()) {
            drop(keeper.stdin.take());
            let _ = keeper.wait();
        }
    }
}

/// Runs statements, of which each that returns rows gives their first column.
pub fn run(url: &str, script: &str) -> Vec<String> {
    Session::to(url).run(script)
}

/// A session that stays.
pub struct Session {
    runtime: tokio::runtime::Runtime,
    connection: sqlx::PgConnection,
}

impl Session {
    pub fn to(url: &str) -> Self {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .unwrap();
        let options: sqlx::postgres::PgConnectOptions = url.parse().unwrap();
        // A pool refuses what it does not know.
        let options = options.extra_float_digits(None);
        let connection = runtime.block_on(sqlx::ConnectOptions::connect(&options));
        Self {
            runtime,
            connection: connection.unwrap(),
        }
    }

    /// Runs statements, of which each that returns rows gives their first column.
    pub fn run(&mut self, script: &str) -> Vec<String> {
        let rows = sqlx::raw_sql(sqlx::AssertSqlSafe(script.to_owned()));
        let rows = self.runtime.block_on(rows.fetch_all(&mut self.connection));
        let rows = rows.unwrap_or_else(|error| panic!("{script}: {error}"));
        let text = |row: &sqlx::postgres::PgRow| {
            let value = sqlx::Row::try_get_raw(row, 0).unwrap();
            sqlx::postgres::PgValueRef::as_str(&value)
                .unwrap_or_default()
                .to_owned()
        };
        rows.iter().map(text).collect()
    }
}

/// Ends all sessions of Rollcall in a database, as a server that goes down does. Says how many there were.
pub fn end_sessions(server: &str, database: &str) -> usize {
    let (_, name) = database.rsplit_once('/').unwrap();
    let end = format!(
        "SELECT count(*) FROM (SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = '{name}' \
         AND application_name = 'rollcall') AS ended"
    );
    run(server, &end).remove(0).parse().unwrap()
}

/// Makes tables new ones with the same rows, as those of a dump that is restored in the same database.
pub fn restore_a_dump(url: &str) {
    run(
        url,
        "ALTER TABLE rollcall.run RENAME TO old; CREATE TABLE rollcall.run (LIKE rollcall.old INCLUDING ALL); \
         INSERT INTO rollcall.run OVERRIDING SYSTEM VALUE SELECT * FROM rollcall.old; \
         SELECT setval(pg_get_serial_sequence('rollcall.run', 'id'), 1000); DROP TABLE rollcall.old",
    );
}

/// Makes the record that of a server on another timeline, or of another server: a replica would need a second one here.
pub fn note_other_server(url: &str, timelines: i32, system: Option<&str>) {
    let system = system.map_or("system".to_owned(), |system| format!("'{system}'"));
    run(
        url,
        &format!("UPDATE rollcall.meta SET timeline = timeline + {timelines}, system = {system}"),
    );
}

/// Locks the record for process 4711 of `runner-7`, whose last sign of life was so long ago.
pub fn lock_elsewhere(url: &str, ago: &str) {
    run(
        url,
        &format!(
            "INSERT INTO rollcall.lock (one, holder, host, pid, process, command, acquired_at, heartbeat_at) \
             VALUES (1, 'x', 'runner-7', 4711, 'another boot 1', 'apply', now(), now() - interval '{ago}') \
             ON CONFLICT (one) DO UPDATE SET holder = 'x', heartbeat_at = excluded.heartbeat_at"
        ),
    );
}

/// Lets the last sign of life of the record's holder be a minute older.
pub fn let_a_minute_pass(url: &str) {
    run(
        url,
        "UPDATE rollcall.lock SET heartbeat_at = heartbeat_at - interval '61 seconds'",
    );
}

/// Whether there is a record in the usual schema of a database.
pub fn has_record(url: &str) -> bool {
    run(url, "SELECT to_regclass('rollcall.meta') IS NOT NULL") == ["t"]
}

/// Where the programs of PostgreSQL are: the newest ones.
fn binaries() -> Option<PathBuf> {
    let has_it =
        |folder: &PathBuf| folder.join("initdb").is_file() && folder.join("postgres").is_file();
    let path = std::env::var_os("PATH").unwrap_or_default();
    let mut folders: Vec<PathBuf> = std::env::split_paths(&path).collect();
    let versions = fs::read_dir("/usr/lib/postgresql")
        .into_iter()
        .flatten()
        .flatten();
    let mut versions: Vec<PathBuf> = versions.map(|entry| entry.path().join("bin")).collect();
    versions.sort();
    folders.extend(versions.into_iter().rev());
    let found = folders.into_iter().find(has_it)?;
    // Where it is a link, the others are beside what it leads to.
    let program = fs::canonicalize(found.join("initdb")).ok()?;
    Some(program.parent()?.to_owned())
}

/// Stands between a run and the server, looks at what passes, and cuts the connection at one commit.
pub struct Cutter {
    port: u16,
    state: std::sync::Arc<std::sync::Mutex<Cut>>,
}

#[derive(Clone, Copy)]
struct Cut {
    /// So many commits pass before; `None` where all pass.
    after: Option<usize>,
    /// Whether the commit that is cut off reaches the server.
    reaches: bool,
    has_cut: bool,
    /// Whether a statement was prepared outside of a transaction.
    is_loose: bool,
}

impl Cutter {
    /// One before the server of a URL.
    pub fn before(url: &str) -> Self {
        let (_, rest) = url.split_once('@').unwrap();
        let (server, _) = rest.split_once('/').unwrap();
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        let cut = Cut {
            after: None,
            reaches: false,
            has_cut: false,
            is_loose: false,
        };
        let state = std::sync::Arc::new(std::sync::Mutex::new(cut));
        let (of, server) = (state.clone(), server.to_owned());
        std::thread::spawn(move || {
            for client in listener.incoming() {
                let (of, server) = (of.clone(), server.clone());
                std::thread::spawn(move || pass(&client.unwrap(), &server, &of));
            }
        });
        Self { port, state }
    }

    /// The URL by which it is reached.
    pub fn url(&self, url: &str) -> String {
        let (user, rest) = url.split_once('@').unwrap();
        let (_, database) = rest.split_once('/').unwrap();
        format!("{user}@127.0.0.1:{}/{database}", self.port)
    }

    /// Lets so many commits pass, and cuts off the next one.
    pub fn cut(&self, after: usize, reaches: bool) {
        let mut state = self.state.lock().unwrap();
        (state.after, state.reaches, state.has_cut) = (Some(after), reaches, false);
    }

    /// Whether a statement was prepared outside of a transaction. A pool may give its two halves to two sessions.
    pub fn is_loose(&self) -> bool {
        self.state.lock().unwrap().is_loose
    }

    /// Whether one was cut off since.
    pub fn has_cut(&self) -> bool {
        self.state.lock().unwrap().has_cut
    }
}

/// Messages of the protocol, as they pass in pieces: <https://www.postgresql.org/docs/current/protocol-message-formats.html>.
#[derive(Default)]
struct Messages(Vec<u8>);

impl Messages {
    /// The type and the first byte of each message that is whole now. The first ones of a client have no type.
    fn add(&mut self, bytes: &[u8], mut has_type: impl FnMut(&[u8]) -> bool) -> Vec<(u8, u8)> {
        self.0.extend_from_slice(bytes);
        let mut found = Vec::new();
        loop {
            let start = usize::from(has_type(&self.0));
            let Some(len) = self.0.get(start..start + 4) else {
                return found;
            };
            let len = u32::from_be_bytes(len.try_into().unwrap()) as usize;
            if self.0.len() < start + len {
                return found;
            }
            let kind = if start == 1 { self.0[0] } else { 0 };
            found.push((kind, self.0.get(start + 4).copied().unwrap_or(0)));
            self.0.drain(..start + len);
        }
    }
}

fn pass(client: &std::net::TcpStream, server: &str, cut: &std::sync::Mutex<Cut>) {
    use std::io::Read;
    use std::net::{Shutdown, TcpStream};
    const COMMIT: &[u8] = b"COMMIT\0";
    const ASKS_FOR_TLS: &[u8] = &[0, 0, 0, 8, 4, 210, 22, 47];
    // What the server said last of transactions: `I` is outside of one.
    let status = std::sync::atomic::AtomicU8::new(0);
    let Ok(server) = TcpStream::connect(server) else {
        return;
    };
    let end = || {
        let _ = client.shutdown(Shutdown::Both);
        let _ = server.shutdown(Shutdown::Both);
    };
    // Whether answers pass.
    let open = std::sync::atomic::AtomicBool::new(true);
    std::thread::scope(|scope| {
        scope.spawn(|| {
            let mut bytes = [0; 65536];
            let (mut messages, mut has_begun) = (Messages::default(), false);
            while let Ok(len @ 1..) = (&server).read(&mut bytes) {
                // The answer to the question for TLS is one byte.
                if has_begun || len > 1 {
                    has_begun = true;
                    let said = messages.add(&bytes[..len], |_| true);
                    let said = said.iter().rfind(|(kind, _)| *kind == b'Z');
                    if let Some((_, now)) = said {
                        status.store(*now, Ordering::SeqCst);
                    }
                }
                if !open.load(Ordering::SeqCst) || (&*client).write_all(&bytes[..len]).is_err() {
                    break;
                }
            }
            end();
        });
        let mut bytes = [0; 65536];
        let (mut messages, mut has_begun) = (Messages::default(), false);
        while let Ok(len @ 1..) = (&*client).read(&mut bytes) {
            let asked = messages.add(&bytes[..len], |rest| {
                let is_first = !has_begun && rest.first() == Some(&0);
                has_begun |= is_first && !rest.starts_with(ASKS_FOR_TLS) && rest.len() >= 8;
                !is_first
            });
            let is_loose = status.load(Ordering::SeqCst) == b'I'
                && asked.iter().any(|(kind, _)| *kind == b'P');
            let is_commit = bytes[..len]
                .windows(COMMIT.len())
                .any(|part| part == COMMIT);
            let mut cut = cut.lock().unwrap();
            cut.is_loose |= is_loose;
            let is_cut = is_commit && cut.after == Some(0);
            if is_commit {
                cut.after = cut.after.and_then(|after| after.checked_sub(1));
            }
            if is_cut {
                cut.has_cut = true;
                open.store(false, Ordering::SeqCst);
                if !cut.reaches {
                    end();
                    break;
                }
            }
            drop(cut);
            if (&server).write_all(&bytes[..len]).is_err() {
                break;
            }
        }
        end();
    });
}

fn is_root() -> bool {
    let id = Command::new("id").arg("-u").output().unwrap();
    id.stdout == b"0\n"
}

fn free_port() -> u16 {
    TcpListener::bind("127.0.0.1:0")
        .unwrap()
        .local_addr()
        .unwrap()
        .port()
}
