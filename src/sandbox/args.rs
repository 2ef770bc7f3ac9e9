//! The command `rollcall sandbox`.

use std::io::{self, Write};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use clap::Args;

use super::error::SandboxError;
use super::faults::Rule;
use super::options::{Options, SANDBOX_KEY, SANDBOX_SECRET, Trigger};
use super::schedule::Schedule;
use super::server::{Running, start};

const KEY: &str = "SPOTLER_CONSUMER_KEY";
const SECRET: &str = "SPOTLER_CONSUMER_SECRET";

/// The options of `rollcall sandbox`.
#[derive(Debug, Args)]
pub struct SandboxArgs {
    /// Where to listen; on loopback only
    #[arg(long, value_name = "ADDRESS", default_value = "127.0.0.1:8025")]
    pub listen: SocketAddr,
    /// Keep what was carried out in this file [default: forget it at the end]
    #[arg(long, value_name = "FILE")]
    pub memory: Option<PathBuf>,
    /// Simulate the faults in this file (TOML with `seed` and `[[rule]]`, or the same as JSON)
    #[arg(long, value_name = "FILE")]
    pub faults: Option<PathBuf>,
    /// Simulate a fault, such as slow=200, limit=2:5%, unavailable, error-before, error-after, reset-before,
    /// reset-after:1%, cut, html, truncated, wrong-types, unknown-result, number-id, odd-id, enormous, hang-before,
    /// hang-after, revoked@9, echo or refuse=500@9; may be repeated, and adds to the file
    #[arg(long = "fault", value_name = "FAULT[=VALUE][:SHARE][@CALL,…]")]
    pub fault: Vec<Rule>,
    /// The seed that decides when faults happen [default: the file's, or 0]
    #[arg(long, value_name = "NUMBER")]
    pub seed: Option<u64>,
    /// A contact that is not known, or `test-*` for all that begin with it; may be repeated. All others are known
    #[arg(long, value_name = "ID")]
    pub unknown_contact: Vec<String>,
    /// A trigger code whose automation is inactive; may be repeated
    #[arg(long, value_name = "CODE")]
    pub inactive: Vec<String>,
    /// Accept any trigger code, whatever the configuration says
    #[arg(long)]
    pub any_trigger: bool,
}

/// Runs a sandbox until `interrupted` resolves. `triggers` are those of the configuration, if there is one. Where it
/// listens and how to use it goes to standard output, a line each.
///
/// # Errors
/// A [`SandboxError`] that says why it did not start.
pub async fn serve(
    args: &SandboxArgs,
    triggers: Vec<Trigger>,
    interrupted: impl Future<Output = ()>,
) -> Result<(), SandboxError> {
    let own = credentials(|name| std::env::var(name).ok())?;
    let is_own = own.is_some();
    let (key, secret) = own.unwrap_or_else(|| (SANDBOX_KEY.to_owned(), SANDBOX_SECRET.to_owned()));
    let schedule = schedule(args)?;
    let triggers = if args.any_trigger {
        Vec::new()
    } else {
        triggers
    };
    let count = triggers.len();
    let running = start(Options {
        listen: args.listen,
        triggers,
        inactive: args.inactive.clone(),
        unknown_contacts: args.unknown_contact.clone(),
        key,
        secret,
        memory: args.memory.clone(),
        // One that forgets must not give the ids again that it gave before: a record may have them.
        given: u64::try_from(jiff::Timestamp::now().as_millisecond()).unwrap_or(0),
        faults: schedule.rules,
        seed: schedule.seed,
        ..Options::default()
    })
    .await?;
    introduce(&mut io::stdout().lock(), &running, count, is_own).map_err(SandboxError::Output)?;
    interrupted.await;
    running.shutdown().await;
    Ok(())
}

fn introduce(
    out: &mut impl Write,
    running: &Running,
    triggers: usize,
    is_own: bool,
) -> io::Result<()> {
    writeln!(out, "base_url = \"{}\"", running.base_url())?;
    match triggers {
        0 => writeln!(out, "Any trigger code is an active automation.")?,
        1 => writeln!(out, "It knows 1 trigger code, as configured.")?,
        count => writeln!(out, "It knows {count} trigger codes, as configured.")?,
    }
    if is_own {
        writeln!(out, "It takes the credentials that {KEY} names.")?;
    } else {
        writeln!(out, "{KEY}={SANDBOX_KEY} {SECRET}={SANDBOX_SECRET}")?;
    }
    let address = running.address();
    writeln!(out, "What it carried out: http://{address}/_sandbox/ledger")?;
    out.flush()
}

/// The faults of the file, and those of the command line after them.
fn schedule(args: &SandboxArgs) -> Result<Schedule, SandboxError> {
    let mut schedule = match &args.faults {
        Some(path) => read_schedule(path)?,
        None => Schedule::default(),
    };
    schedule.rules.extend(args.fault.iter().cloned());
    schedule.seed = args.seed.unwrap_or(schedule.seed);
    Ok(schedule)
}

fn read_schedule(path: &Path) -> Result<Schedule, SandboxError> {
    let failed = |reason: String| SandboxError::Faults {
        path: path.to_owned(),
        reason,
    };
    let text = std::fs::read_to_string(path).map_err(|error| failed(error.to_string()))?;
    // No TOML document begins with a brace, and no JSON object with anything else.
    if text.trim_start().starts_with('{') {
        serde_json::from_str(&text).map_err(|error| failed(error.to_string()))
    } else {
        toml::from_str(&text).map_err(|error| failed(error.message().to_owned()))
    }
}

/// The key and secret of the environment, each by itself or in a file that `…_FILE` names.
fn credentials(
    env: impl Fn(&str) -> Option<String>,
) -> Result<Option<(String, String)>, SandboxError> {
    let read = |name: &str| match env(name).filter(|value| !value.is_empty()) {
        Some(value) => Ok(Some(value)),
        None => secret_file(&format!("{name}_FILE"), &env),
    };
    match (read(KEY)?, read(SECRET)?) {
        (Some(key), Some(secret)) => Ok(Some((key, secret))),
        (None, None) => Ok(None),
        (Some(_), None) => Err(SandboxError::HalfCredentials {
            given: KEY,
            missing: SECRET,
        }),
        (None, Some(_)) => Err(SandboxError::HalfCredentials {
            given: SECRET,
            missing: KEY,
        }),
    }
}

fn secret_file(
    variable: &str,
    env: &impl Fn(&str) -> Option<String>,
) -> Result<Option<String>, SandboxError> {
    let Some(path) = env(variable)
        .filter(|path| !path.is_empty())
        .map(PathBuf::from)
    else {
        return Ok(None);
    };
    match std::fs::read_to_string(&path) {
        Ok(text) => Ok(Some(text.trim_end_matches(['\r', '\n']).to_owned())),
        Err(cause) => Err(SandboxError::Secret {
            variable: variable.to_owned(),
            path,
            cause,
        }),
    }
}

#[cfg(test)]
mod tests {
    use super::super::faults::Fault;
    use super::*;
    use clap::Parser;

    #[derive(Parser)]
    struct Command {
        #[command(flatten)]
        args: SandboxArgs,
    }

    fn parse(args: &[&str]) -> Result<SandboxArgs, clap::Error> {
        Command::try_parse_from([&["sandbox"], args].concat()).map(|command| command.args)
    }

    #[test]
    fn faults_come_from_a_file_and_the_command_line() {
        let file = tempfile::NamedTempFile::new().unwrap();
        let path = file.path().to_str().unwrap();
        let fault = |args: &[&str]| {
            let all = [&["--faults", path, "--fault", "slow=20:50%"], args].concat();
            schedule(&parse(&all).unwrap())
        };
        std::fs::write(path, "seed = 5\n[[rule]]\nfault = \"cut\"\n").unwrap();
        let read = fault(&[]).unwrap();
        assert_eq!(read.seed, 5);
        assert_eq!(read.rules[0], Rule::always(Fault::Cut));
        assert_eq!(read.rules[1].fault, Fault::Slow { ms: 20 });
        assert_eq!(fault(&["--seed", "6"]).unwrap().seed, 6);

        std::fs::write(path, r#" {"seed": 8, "rules": []}"#).unwrap();
        assert_eq!(fault(&[]).unwrap().seed, 8);
        std::fs::write(path, "rule = 5").unwrap();
        assert!(matches!(fault(&[]), Err(SandboxError::Faults { .. })));
    }

    #[test]
    fn a_fault_that_does_not_exist_is_refused_with_examples() {
        let error = parse(&["--fault", "flood:5%"]).unwrap_err().to_string();
        assert!(error.contains("Write for instance"), "{error}");
    }

    #[test]
    fn credentials_come_whole_or_not_at_all() {
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(file.path(), "s3cret\n").unwrap();
        let path = file.path().to_str().unwrap();
        let read = |pairs: &[(&str, &str)]| {
            credentials(|name| {
                let found = pairs.iter().find(|(n, _)| *n == name);
                found.map(|(_, value)| (*value).to_owned())
            })
        };
        assert_eq!(read(&[]).unwrap(), None);
        let whole = Some(("key".to_owned(), "s3cret".to_owned()));
        assert_eq!(read(&[(KEY, "key"), (SECRET, "s3cret")]).unwrap(), whole);
        assert_eq!(
            read(&[(KEY, "key"), ("SPOTLER_CONSUMER_SECRET_FILE", path)]).unwrap(),
            whole
        );
        assert!(matches!(
            read(&[(KEY, "key")]),
            Err(SandboxError::HalfCredentials {
                missing: SECRET,
                ..
            })
        ));
        assert!(matches!(
            read(&[(KEY, "key"), ("SPOTLER_CONSUMER_SECRET_FILE", "/nowhere")]),
            Err(SandboxError::Secret { .. })
        ));
    }

    #[tokio::test]
    async fn it_says_where_it_is_and_how_to_use_it() {
        let running = start(Options::default()).await.unwrap();
        let address = running.address();
        let mut said = Vec::new();
        introduce(&mut said, &running, 0, false).unwrap();
        assert_eq!(
            String::from_utf8(said).unwrap(),
            format!(
                "base_url = \"http://{address}/integrationservice-1.1.0\"\n\
                 Any trigger code is an active automation.\n\
                 SPOTLER_CONSUMER_KEY=sandbox SPOTLER_CONSUMER_SECRET=sandbox\n\
                 What it carried out: http://{address}/_sandbox/ledger\n"
            )
        );
    }
}
