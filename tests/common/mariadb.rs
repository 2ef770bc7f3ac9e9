//! A server of MariaDB for tests: one of this process's own where MariaDB is installed, which ends with it.
#![allow(dead_code, reason = "each user needs a part of it")]

use std::fs;
use std::io::Write;
use std::net::TcpListener;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

/// The URL of a server that is there already, with a user who may make databases.
const VARIABLE: &str = "ROLLCALL_TEST_MYSQL";

/// Of the user that tests connect by.
pub const PASSWORD: &str = "hush-hush";

/// A server.
pub struct Server {
    url: String,
    _own: Option<Own>,
}

/// One that the tests have started. It ends when its keeper's input ends, as it does with this process.
struct Own {
    keeper: Child,
    _folder: tempfile::TempDir,
}

impl Server {
    /// The one of this process. Without one, the test says that it is skipped.
    pub fn shared() -> Option<&'static Self> {
        static SHARED: OnceLock<Option<Server>> = OnceLock::new();
        let found = SHARED.get_or_init(|| match std::env::var(VARIABLE) {
            Ok(url) => Some(Self { url, _own: None }),
            Err(_) => Self::start(),
        });
        if found.is_none() {
            let said = format!("skipped: there is no MariaDB here, and {VARIABLE} is not set\n");
            // Past the test's own capture, so that it is seen.
            let _ = std::io::stderr().lock().write_all(said.as_bytes());
        }
        found.as_ref()
    }

    fn start() -> Option<Self> {
        let install = program("mariadb-install-db")?;
        let server = program("mariadbd")?;
        let folder = tempfile::tempdir().unwrap();
        let data = folder.path().join("data");
        let made = Command::new(install)
            .arg("--no-defaults")
            .arg(format!("--datadir={}", data.display()))
            .args(["--auth-root-authentication-method=normal", "--skip-test-db"])
            .output()
            .unwrap();
        let said = String::from_utf8_lossy(&made.stderr).into_owned();
        assert!(made.status.success(), "{said}");
        let users = folder.path().join("users.sql");
        let user = format!(
            "CREATE USER tester@127.0.0.1 IDENTIFIED BY '{PASSWORD}';\n\
             GRANT ALL ON *.* TO tester@127.0.0.1;\n"
        );
        fs::write(&users, user).unwrap();
        let port = TcpListener::bind("127.0.0.1:0")
            .unwrap()
            .local_addr()
            .unwrap()
            .port();
        let log = fs::File::create(folder.path().join("log")).unwrap();
        let keeper = r#""$@" & server=$!; read -r _; kill -KILL $server 2>/dev/null; wait $server"#;
        let keeper = Command::new("sh")
            .args(["-c", keeper, "sh"])
            .arg(server)
            .arg("--no-defaults")
            .arg(format!("--datadir={}", data.display()))
            .arg(format!(
                "--socket={}",
                folder.path().join("socket").display()
            ))
            .arg(format!("--port={port}"))
            .arg(format!("--init-file={}", users.display()))
            // Files for root alone need nobody else.
            .args([
                "--user=root",
                "--bind-address=127.0.0.1",
                "--skip-name-resolve",
            ])
            .args([
                "--innodb-flush-log-at-trx-commit=0",
                "--innodb-buffer-pool-size=64M",
            ])
            .stdin(Stdio::piped())
            .stdout(log.try_clone().unwrap())
            .stderr(log)
            .spawn()
            .unwrap();
        let url = format!("mysql://tester:{PASSWORD}@127.0.0.1:{port}");
        let until = Instant::now() + Duration::from_secs(60);
        while try_run(&format!("{url}/mysql"), "SELECT 1").is_err() {
            assert!(Instant::now() < until, "the server does not start");
            std::thread::sleep(Duration::from_millis(50));
        }
        Some(Self {
            url,
            _own: Some(Own {
                keeper,
                _folder: folder,
            }),
        })
    }

    /// Makes a database. Returns its URL.
    pub fn database(&self) -> String {
        static COUNT: AtomicU32 = AtomicU32::new(0);
        let count = COUNT.fetch_add(1, Ordering::Relaxed);
        let name = format!("rollcall_{}_{count}", std::process::id());
        run(
            &format!("{}/mysql", self.url),
            &format!(
                "DROP DATABASE IF EXISTS {name}; CREATE DATABASE {name} CHARACTER SET utf8mb4"
            ),
        );
        format!("{}/{name}", self.url)
    }
}

impl Drop for Own {
    fn drop(&mut self) {
        drop(self.keeper.stdin.take());
        let _ = self.keeper.wait();
    }
}

/// Runs statements.
pub fn run(url: &str, script: &str) -> Vec<String> {
    try_run(url, script).unwrap_or_else(|error| panic!("{script}: {error}"))
}

/// Runs statements, of which each that returns rows gives their first column.
fn try_run(url: &str, script: &str) -> Result<Vec<String>, sqlx::Error> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build();
    runtime.unwrap().block_on(async {
        let options: sqlx::mysql::MySqlConnectOptions = url.parse()?;
        let mut connection = sqlx::ConnectOptions::connect(&options).await?;
        let rows = sqlx::raw_sql(sqlx::AssertSqlSafe(script.to_owned()));
        let rows = rows.fetch_all(&mut connection).await?;
        let text = |row: &sqlx::mysql::MySqlRow| sqlx::Row::try_get_unchecked::<String, _>(row, 0);
        rows.iter().map(text).collect()
    })
}

fn program(name: &str) -> Option<PathBuf> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let mut folders: Vec<PathBuf> = std::env::split_paths(&path).collect();
    folders.push(PathBuf::from("/usr/sbin"));
    folders
        .into_iter()
        .map(|folder| folder.join(name))
        .find(|file| file.is_file())
}
