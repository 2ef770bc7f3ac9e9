//! Two machines and one record: each run has a network, processes and a host name of its own.
//!
//! A short run is part of the tests. The long one freezes every third run beyond its lease:
//! `ROLLCALL_ROUNDS=12 cargo test --test machines -- --nocapture`
#![cfg(target_os = "linux")]

mod common;

use std::process::{Child, Command, Stdio};

use common::postgres::Server;
use common::{Repo, Spotler};

/// Ports of this machine, which others reach through files.
struct Ways {
    folder: tempfile::TempDir,
    ports: Vec<u16>,
    listeners: Vec<Child>,
}

impl Ways {
    fn to(ports: &[u16]) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let listen = |port: &u16| {
            let file = folder.path().join(port.to_string());
            let listen = format!("UNIX-LISTEN:{},fork", file.display());
            let mut way = Command::new("socat");
            let way = way.args([listen, format!("TCP:127.0.0.1:{port}")]);
            let way = way.stderr(Stdio::null()).spawn().unwrap();
            while !file.exists() {
                std::thread::yield_now();
            }
            way
        };
        let listeners = ports.iter().map(listen).collect();
        Self {
            folder,
            ports: ports.to_vec(),
            listeners,
        }
    }

    /// The same run on another machine.
    fn on(&self, machine: &str, command: &Command) -> Command {
        const PREPARE: &str = r#"hostname "$1" && ip link set lo up || exit 99
folder=$2 ports=$3; shift 3
for port in $ports; do
    socat "TCP-LISTEN:$port,bind=127.0.0.1,fork" "UNIX-CONNECT:$folder/$port" 2>/dev/null &
    until grep -qi ":$(printf %04x "$port") " /proc/net/tcp; do :; done
done
exec "$@""#;
        let ports: Vec<String> = self.ports.iter().map(u16::to_string).collect();
        let mut apart = Command::new("unshare");
        apart.args(["--net", "--uts", "--pid", "--fork", "--mount-proc"]);
        apart.args(["--kill-child", "sh", "-c", PREPARE, "sh", machine]);
        apart.arg(self.folder.path()).arg(ports.join(" "));
        apart.arg(command.get_program()).args(command.get_args());
        apart.current_dir(command.get_current_dir().unwrap());
        for (name, value) in command.get_envs() {
            match value {
                Some(value) => apart.env(name, value),
                None => apart.env_remove(name),
            };
        }
        apart.stdout(Stdio::null()).stderr(Stdio::null());
        apart
    }
}

impl Drop for Ways {
    fn drop(&mut self) {
        for listener in &mut self.listeners {
            let _ = listener.kill();
            let _ = listener.wait();
        }
    }
}

fn are_there(programs: &[&[&str]]) -> bool {
    programs.iter().all(|program| {
        let mut command = Command::new(program[0]);
        command.args(&program[1..]).stdout(Stdio::null());
        let status = command.stderr(Stdio::null()).status();
        status.is_ok_and(|status| status.success())
    })
}

/// Sends a signal to the run that has this argument, and not to what prepares it.
fn signal(signal: &str, argument: &str) {
    let of = format!("pkill -{signal} -x -f '[^ ]*rollcall .*{argument}.*'");
    let sent = Command::new("sh").args(["-c", &of]).status().unwrap();
    assert!(sent.success());
}

fn port_of(url: &str) -> u16 {
    let (_, rest) = url.rsplit_once(':').unwrap();
    let digits: String = rest.chars().take_while(char::is_ascii_digit).collect();
    digits.parse().unwrap()
}

#[test]
fn runs_on_two_machines_work_one_at_a_time_and_trigger_nobody_twice() {
    const EACH: usize = 25;
    let apart: &[&str] = &["unshare", "--net", "--uts", "--pid", "--fork", "true"];
    if !are_there(&[apart, &["socat", "-V"], &["ip", "-V"], &["pkill", "-V"]]) {
        eprintln!("skipped: this machine cannot play two");
        return;
    }
    let Some(server) = Server::start() else {
        eprintln!("skipped: there is no PostgreSQL here");
        return;
    };
    let rounds = std::env::var("ROLLCALL_ROUNDS").map_or(2, |rounds| rounds.parse().unwrap());
    let spotler = Spotler::open();
    spotler.fault(serde_json::json!([{ "fault": "slow", "ms": 40 }]));
    let ways = Ways::to(&[server.port(), port_of(&spotler.url())]);
    let repo = Repo::new().env("ROLLCALL_RECORD_URL", &server.database());
    let is_long = rounds > 2;
    let mut frozen = 0;
    for round in 0..rounds {
        let contacts: Vec<String> = (0..EACH * (round + 1))
            .map(|of| format!("c-{of}"))
            .collect();
        let toml = format!(
            "[spotler]\nbase_url = {:?}\nconcurrency = 2\n[record]\nurl = \"$ROLLCALL_RECORD_URL\"\n\
             [automation.welcome]\ntrigger_code = \"w\"\n[[enrol]]\nautomation = \"welcome\"\ncontacts = {contacts:?}\n",
            spotler.url()
        );
        repo.write("rollcall.toml", toml);
        let run = |machine: &str, patience: &str| {
            let command = repo.command(&["apply", "--yes", "--lock-timeout", patience]);
            spotler.start_run(ways.on(machine, &command))
        };
        let before = spotler.ledger().len();
        let freezes = is_long && round % 3 == 2;
        // The number tells this run from the other.
        let mut first = run("machine-a", "301s");
        if freezes || round % 3 == 1 {
            spotler.wait_for_calls(u64::try_from(before).unwrap() + 5);
        }
        if freezes {
            signal("STOP", "301s");
        }
        let mut second = run("machine-b", "302s");
        let second = spotler.end_of(&mut second).code();
        if freezes {
            frozen += 1;
            signal("CONT", "301s");
        }
        let first = spotler.end_of(&mut first).code();
        let expected = match freezes {
            // It wakes up without its lease, and what it had under way is a doubt that the other one reports.
            true => (Some(3), Some(3)),
            false => (Some(0), Some(0)),
        };
        assert_eq!((first, second), expected, "round {round}");
        let resolve = ["resolve", "--as", "active", "--yes"];
        if freezes {
            repo.run(&resolve).exits(0);
        }
        let mut ledger = spotler.ledger();
        let calls = ledger.len();
        ledger.sort();
        ledger.dedup();
        assert_eq!(ledger.len(), calls, "nobody twice");
        assert_eq!(repo.recorded().len(), contacts.len(), "nobody lost");
        assert!(repo.plan().actions().is_empty());
    }
    println!(
        "{rounds} rounds, {} runs on two machines, {frozen} frozen beyond the lease, {} calls carried out: 0 twice, 0 lost",
        2 * rounds,
        spotler.ledger().len()
    );
}
