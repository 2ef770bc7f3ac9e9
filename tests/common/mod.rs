//! A configuration repository in a temporary folder, runs of the built binary on it, and a sandbox beside it.
#![allow(dead_code, reason = "each test file uses a part of it")]

pub mod broken;
#[cfg(unix)]
pub mod mariadb;
pub mod page;
#[cfg(unix)]
pub mod postgres;
pub mod sql;

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use rollcall::sandbox::{self, Options, Running};
use serde_json::Value;

/// A configuration repository.
pub struct Repo {
    folder: tempfile::TempDir,
    env: Vec<(String, String)>,
    begins_records: bool,
}

/// What a run of the binary left behind.
#[derive(Debug)]
pub struct Done {
    pub code: Option<i32>,
    pub stdout: String,
    pub stderr: String,
}

impl Done {
    /// Asserts the exit code, showing all output where it is another.
    #[track_caller]
    pub fn exits(self, code: i32) -> Self {
        assert_eq!(self.code, Some(code), "\n{}\n{}", self.stdout, self.stderr);
        self
    }

    /// Standard output as JSON.
    #[track_caller]
    pub fn json(&self) -> Value {
        match serde_json::from_str(&self.stdout) {
            Ok(value) => value,
            Err(error) => panic!("{error}\n{}\n{}", self.stdout, self.stderr),
        }
    }

    /// The actions of a plan in short: `stop welcome crm-1`.
    #[track_caller]
    pub fn actions(&self) -> Vec<String> {
        let json = self.json();
        let actions = json["actions"].as_array().unwrap().iter();
        actions
            .map(|action| {
                let text = |key: &str| action[key].as_str().unwrap_or_default();
                let mut line = format!(
                    "{} {} {}",
                    text("action"),
                    text("automation"),
                    text("contact")
                );
                if let Some(occurrence) = action["occurrence"].as_str() {
                    line.push_str(&format!(" / {occurrence}"));
                }
                if let Some(outcome) = action["outcome"].as_str() {
                    line.push_str(&format!(" -> {outcome}"));
                }
                line
            })
            .collect()
    }
}

impl Repo {
    /// An empty one.
    pub fn new() -> Self {
        Self {
            folder: tempfile::tempdir().unwrap(),
            env: Vec::new(),
            begins_records: true,
        }
    }

    /// One with a `rollcall.toml`.
    pub fn with(toml: &str) -> Self {
        let repo = Self::new();
        repo.write("rollcall.toml", toml);
        repo
    }

    pub fn path(&self) -> &Path {
        self.folder.path()
    }

    pub fn file(&self, name: &str) -> PathBuf {
        self.path().join(name)
    }

    pub fn write(&self, name: &str, text: impl AsRef<[u8]>) {
        let path = self.file(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
    }

    /// The same, without `--new-record` where a first `apply` or `adopt` does not say so itself.
    pub fn without_new_record(mut self) -> Self {
        self.begins_records = false;
        self
    }

    /// Whether a run with these arguments would be the first on a record.
    fn is_first_day(&self, args: &[&str]) -> bool {
        let is_writer = args.iter().any(|arg| ["apply", "adopt"].contains(arg));
        let is_said = args
            .iter()
            .any(|arg| ["--new-record", "--help"].contains(arg));
        let config = args.iter().skip_while(|arg| **arg != "--config").nth(1);
        let config = self.file(config.unwrap_or(&"."));
        let folder = match config.is_dir() {
            true => config.as_path(),
            false => config.parent().unwrap(),
        };
        let text = fs::read_to_string(folder.join("rollcall.toml")).unwrap_or_default();
        #[cfg(unix)]
        if text.contains("\"$ROLLCALL_RECORD_URL\"") {
            let url = self
                .env
                .iter()
                .find(|(name, _)| name == "ROLLCALL_RECORD_URL");
            let is_there = || url.is_none_or(|(_, url)| postgres::has_record(url));
            return is_writer && !is_said && !is_there();
        }
        let url = text.split("\"sqlite:").nth(1);
        let url = url.and_then(|rest| rest.split('"').next());
        let record = folder.join(url.unwrap_or("state/rollcall.db"));
        let is_there = fs::metadata(record).is_ok_and(|meta| meta.len() > 1);
        is_writer && !is_said && !is_there
    }

    /// Sets an environment variable for every run.
    pub fn env(mut self, name: &str, value: &str) -> Self {
        self.env.retain(|(other, _)| other != name);
        self.env.push((name.to_owned(), value.to_owned()));
        self
    }

    /// A run of the binary that is yet to be started.
    pub fn command(&self, args: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_rollcall"));
        let is_first = self.begins_records && self.is_first_day(args);
        command
            .args(args)
            .args(is_first.then_some("--new-record"))
            .current_dir(self.path())
            .stdin(Stdio::null())
            .env_remove("NO_COLOR")
            .env("COLUMNS", "100")
            .env("SPOTLER_CONSUMER_KEY", sandbox::SANDBOX_KEY)
            .env("SPOTLER_CONSUMER_SECRET", sandbox::SANDBOX_SECRET);
        for name in [
            "ROLLCALL_CONFIG",
            "ROLLCALL_FAILPOINT",
            "SPOTLER_CONSUMER_KEY_FILE",
            "SPOTLER_CONSUMER_SECRET_FILE",
        ] {
            command.env_remove(name);
        }
        for (name, value) in &self.env {
            command.env(name, value);
        }
        command
    }

    pub fn run(&self, args: &[&str]) -> Done {
        let output = self.command(args).output().unwrap();
        Done {
            code: output.status.code(),
            stdout: String::from_utf8(output.stdout).unwrap(),
            stderr: String::from_utf8(output.stderr).unwrap(),
        }
    }

    /// A run of the binary in the place of a shell that says something first, such as `umask 077`; yet to be started.
    pub fn command_under(&self, before: &str, args: &[&str]) -> Command {
        let template = self.command(args);
        let mut shell = Command::new("sh");
        shell
            .args(["-c", &format!("{before}\nexec \"$0\" \"$@\"")])
            .arg(template.get_program())
            .args(template.get_args())
            .current_dir(self.path())
            .stdin(Stdio::null());
        for (name, value) in template.get_envs() {
            match value {
                Some(value) => shell.env(name, value),
                None => shell.env_remove(name),
            };
        }
        shell
    }

    /// The same, run.
    pub fn run_under(&self, before: &str, args: &[&str]) -> Done {
        let output = self.command_under(before, args).output().unwrap();
        Done {
            code: output.status.code(),
            stdout: String::from_utf8(output.stdout).unwrap(),
            stderr: String::from_utf8(output.stderr).unwrap(),
        }
    }

    pub fn spawn(&self, args: &[&str]) -> Child {
        let mut command = self.command(args);
        command.stdout(Stdio::piped()).stderr(Stdio::piped());
        command.spawn().unwrap()
    }

    #[track_caller]
    pub fn plan(&self) -> Done {
        self.run(&["plan", "--format", "json"]).exits(0)
    }

    pub fn apply(&self) -> Done {
        self.run(&["apply", "--yes", "--format", "json"])
    }

    /// The participations on record in short: `welcome crm-1 active`.
    #[track_caller]
    pub fn recorded(&self) -> Vec<String> {
        let json = self
            .run(&["record", "list", "--format", "json"])
            .exits(0)
            .json();
        let list = json["participations"].as_array().unwrap().iter();
        list.map(|p| {
            let text = |key: &str| p[key].as_str().unwrap_or_default();
            let occurrence = p["occurrence"]
                .as_str()
                .map_or(String::new(), |o| format!(" / {o}"));
            format!(
                "{} {}{occurrence} {}",
                text("automation"),
                text("contact"),
                text("state")
            )
        })
        .collect()
    }

    /// Everything in the repository that is not configuration: that nothing was written is seen from its absence.
    pub fn has_state(&self) -> bool {
        self.file("state").exists()
    }
}

/// A sandbox in this process, and a runtime to keep it going.
pub struct Spotler {
    runtime: tokio::runtime::Runtime,
    running: Option<Running>,
    http: reqwest::Client,
    base: String,
}

impl Spotler {
    pub fn start(options: Options) -> Self {
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(2)
            .enable_all()
            .build()
            .unwrap();
        let running = runtime.block_on(sandbox::start(options)).unwrap();
        let base = format!("http://{}", running.address());
        let http = reqwest::Client::builder()
            .no_proxy()
            .tls_certs_only([])
            .build()
            .unwrap();
        Self {
            runtime,
            running: Some(running),
            http,
            base,
        }
    }

    /// One that takes every trigger code.
    pub fn open() -> Self {
        Self::start(Options::default())
    }

    /// For `base_url`.
    pub fn url(&self) -> String {
        format!("{}/integrationservice-1.1.0", self.base)
    }

    pub fn get(&self, path: &str) -> String {
        let url = format!("{}/_sandbox/{path}", self.base);
        self.runtime.block_on(async {
            let answer = self.http.get(url).send().await.unwrap();
            answer.error_for_status().unwrap().text().await.unwrap()
        })
    }

    pub fn put(&self, path: &str, body: &Value) {
        let url = format!("{}/_sandbox/{path}", self.base);
        self.runtime.block_on(async {
            let answer = self.http.put(url).json(body).send().await.unwrap();
            answer.error_for_status().unwrap();
        });
    }

    pub fn post(&self, path: &str) {
        let url = format!("{}/_sandbox/{path}", self.base);
        self.runtime.block_on(async {
            let answer = self.http.post(url).send().await.unwrap();
            answer.error_for_status().unwrap();
        });
    }

    /// Makes something go wrong.
    pub fn fault(&self, rules: Value) {
        self.put("faults", &serde_json::json!({ "seed": 1, "rules": rules }));
    }

    /// What was carried out, in short and in order: `trigger CODE CONTACT`.
    pub fn ledger(&self) -> Vec<String> {
        self.get("ledger")
            .lines()
            .map(|line| {
                let deed: Value = serde_json::from_str(line).unwrap();
                let text = |key: &str| deed[key].as_str().unwrap().to_owned();
                format!("{} {} {}", text("kind"), text("code"), text("contact"))
            })
            .collect()
    }

    /// How many calls came in, carried out or not.
    pub fn calls(&self) -> u64 {
        let stats: Value = serde_json::from_str(&self.get("stats")).unwrap();
        stats["calls"].as_u64().unwrap()
    }

    /// How many calls ever came in, whatever was reset.
    pub fn calls_ever(&self) -> u64 {
        *self.running.as_ref().unwrap().calls().borrow()
    }

    /// Waits until so many calls have come in, of all that ever did.
    #[track_caller]
    pub fn wait_for_calls(&self, count: u64) {
        let came = self.calls_or(count, std::future::pending::<()>());
        assert!(came, "{count} calls did not come in");
    }

    /// Waits until so many calls have come in, of all that ever did, or something else has happened. Says whether the
    /// calls did.
    pub fn calls_or<T>(&self, count: u64, other: impl Future<Output = T>) -> bool {
        let mut calls = self.running.as_ref().unwrap().calls();
        self.runtime.block_on(async {
            tokio::select! {
                reached = calls.wait_for(|calls| *calls >= count) => reached.is_ok(),
                _ = other => false,
                // Only a run that hangs takes so long.
                () = tokio::time::sleep(std::time::Duration::from_secs(120)) => false,
            }
        })
    }

    /// Starts a run whose end can be waited for beside something else.
    pub fn start_run(&self, command: Command) -> tokio::process::Child {
        let _runtime = self.runtime.enter();
        tokio::process::Command::from(command).spawn().unwrap()
    }

    /// Waits for the end of such a run.
    pub fn end_of(&self, child: &mut tokio::process::Child) -> std::process::ExitStatus {
        self.runtime.block_on(child.wait()).unwrap()
    }

    /// The running participations, as (contact, code).
    pub fn running(&self) -> Vec<(String, String)> {
        let list: Vec<Value> = serde_json::from_str(&self.get("participations")).unwrap();
        list.iter()
            .map(|p| {
                let text = |key: &str| p[key].as_str().unwrap().to_owned();
                (text("contact"), text("code"))
            })
            .collect()
    }
}

impl Drop for Spotler {
    fn drop(&mut self) {
        if let Some(running) = self.running.take() {
            self.runtime.block_on(running.shutdown());
        }
    }
}
