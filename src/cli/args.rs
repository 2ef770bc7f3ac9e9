//! The command line.

use std::path::PathBuf;
use std::time::Duration;

use clap::builder::{PossibleValuesParser, TypedValueParser};
use clap::{Args, Parser, Subcommand, ValueEnum};
use clap_complete::engine::{ArgValueCandidates, ArgValueCompleter};
use jiff::Timestamp;
use jiff::civil::{Date, Time};

use super::complete;
use super::init::examples::EXAMPLE_NAMES;
use crate::id::{AutomationName, ContactId};
use crate::participation::State;
use crate::plan::Filter;
use crate::record::OUTCOMES;
use crate::sandbox::SandboxArgs;

/// Keeps the automations of a Spotler account enrolled exactly as a configuration repository says.
#[derive(Debug, Parser)]
#[command(name = "rollcall", version, propagate_version = true, after_long_help = AFTER)]
#[command(disable_help_flag = true, disable_version_flag = true)]
pub struct Cli {
    /// Options that every command takes.
    #[command(flatten)]
    pub common: Common,
    /// What to do.
    #[command(subcommand)]
    pub command: Command,
}

/// What stands below the help of the whole.
const AFTER: &str = "\
Exit codes: 0 fine; 1 error, nothing done; 2 changes pending (plan --detailed-exitcode); 3 apply ran, and some actions \
failed or are uncertain; 4 apply refused by a guard, nothing done but the stops of suppressed contacts.

Environment: SPOTLER_CONSUMER_KEY and SPOTLER_CONSUMER_SECRET hold the credentials, and each may be given as a file \
(SPOTLER_CONSUMER_KEY_FILE); ROLLCALL_CONFIG is as --config.";

/// Options that every command takes.
#[derive(Debug, Args)]
#[command(next_help_heading = "Common options")]
pub struct Common {
    /// The configuration: rollcall.toml or its folder [default: rollcall.toml here or in a parent]
    #[arg(long, global = true, value_name = "DIR|FILE", env = "ROLLCALL_CONFIG")]
    pub config: Option<PathBuf>,
    /// The time to plan for, as RFC 3339 (2026-11-23T09:00:00Z) or a date [default: now]
    #[arg(long, global = true, value_name = "TIME", value_parser = parse_time)]
    pub now: Option<Timestamp>,
    /// How the log on standard error looks
    #[arg(long, global = true, value_name = "FORMAT", default_value = "text")]
    pub log_format: LogFormat,
    /// Log more: -v what is done, -vv every call
    #[arg(short, long, global = true, action = clap::ArgAction::Count)]
    pub verbose: u8,
    /// Print only errors and the output that you asked for
    #[arg(short, long, global = true, conflicts_with = "verbose")]
    pub quiet: bool,
    /// When to use colours; NO_COLOR is honoured
    #[arg(long, global = true, value_name = "WHEN", default_value = "auto")]
    pub color: Color,
    /// Print help (-h is shorter)
    #[arg(short, long, global = true, action = clap::ArgAction::Help)]
    pub help: Option<bool>,
    /// Print version
    #[arg(short = 'V', long, global = true, action = clap::ArgAction::Version)]
    pub version: Option<bool>,
}

/// How the log looks.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum LogFormat {
    /// For people.
    Text,
    /// One JSON object a line.
    Json,
}

/// When to use colours.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Color {
    /// On a terminal, unless NO_COLOR is set.
    Auto,
    /// Always.
    Always,
    /// Never.
    Never,
}

/// The commands.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Write a small configuration repository to start from, with the sandbox
    Init(InitArgs),
    /// Check the whole configuration and its sources, without network and record
    Validate(ValidateArgs),
    /// Show what would change
    Plan(PlanArgs),
    /// Trigger what is new and stop what is gone, after showing it and asking
    Apply(ApplyArgs),
    /// Show why a contact is in or out of each automation, and what is on record for it
    Explain(ExplainArgs),
    /// List who is declared, and by which block, without network and record
    Roster(RosterArgs),
    /// Try the rules on the past, or on days to come, without network and record
    Simulate(SimulateArgs),
    /// Record enrolments as active without triggering them
    Adopt(AdoptArgs),
    /// Settle uncertain triggers
    Resolve(ResolveArgs),
    /// Show every call ever made
    History(HistoryArgs),
    /// Show what Spotler lists, next to what is configured
    Automations(AutomationsArgs),
    /// Write a page about the record: active participations, triggers and stops, failures, runs
    Report(ReportArgs),
    /// Read the record of participations
    #[command(subcommand)]
    Record(RecordCommand),
    /// Run the stand-in for Spotler as a server on loopback
    Sandbox(SandboxArgs),
    /// Write the JSON Schema of the configuration, for editors
    ///
    /// `init` writes it beside rollcall.toml; after an update of rollcall: rollcall schema > rollcall.schema.json
    Schema,
    /// Write completions for a shell
    ///
    /// In ~/.bashrc: source <(rollcall completions bash)
    Completions(CompletionsArgs),
    /// Write the manual page, or all of them into a folder
    Man(ManArgs),
}

/// `init`.
#[derive(Debug, Args)]
pub struct InitArgs {
    /// Where to write it; the folder is made if it is missing
    #[arg(value_name = "DIR", default_value = ".")]
    pub dir: PathBuf,
    /// Write this example instead, with its contacts
    #[arg(long, value_name = "NAME", conflicts_with_all = ["from_spotler", "base_url"], value_parser = PossibleValuesParser::new(EXAMPLE_NAMES))]
    pub example: Option<String>,
    /// Write an [automation.*] block for each external trigger that Spotler lists
    #[arg(long)]
    pub from_spotler: bool,
    /// The address of Spotler's API, if it is not the usual one
    #[arg(long, value_name = "URL", requires = "from_spotler")]
    pub base_url: Option<String>,
}

/// `completions`.
#[derive(Debug, Args)]
pub struct CompletionsArgs {
    /// The shell
    #[arg(value_name = "SHELL")]
    pub shell: clap_complete::Shell,
}

/// `man`.
#[derive(Debug, Args)]
pub struct ManArgs {
    /// The folder for a page of each command; it is made if it is missing
    #[arg(value_name = "DIR")]
    pub dir: Option<PathBuf>,
}

/// What part of the whole is meant.
#[derive(Debug, Clone, Args)]
pub struct Part {
    /// Only this automation
    #[arg(long, value_name = "NAME", value_parser = parse_automation, add = ArgValueCandidates::new(complete::automations))]
    pub automation: Option<AutomationName>,
    /// Only this contact
    #[arg(long, value_name = "ID", value_parser = parse_contact, add = ArgValueCompleter::new(complete::contacts))]
    pub contact: Option<ContactId>,
}

impl Part {
    /// The automation's name, if one was typed.
    pub fn automation(&self) -> Option<&str> {
        self.automation.as_ref().map(AutomationName::as_str)
    }
}

impl From<Part> for Filter {
    fn from(part: Part) -> Self {
        Filter {
            automation: part.automation,
            contact: part.contact,
        }
    }
}

/// `plan`.
#[derive(Debug, Args)]
pub struct PlanArgs {
    /// How to show it
    #[arg(long, value_name = "FORMAT", default_value = "text")]
    pub format: PlanFormat,
    /// Show numbers and names of automations alone: no contact and nothing of a row
    #[arg(long)]
    pub summary: bool,
    /// Show every row as text, not only the first twenty of each automation and kind
    #[arg(long, conflicts_with = "summary")]
    pub all: bool,
    /// Compare the rules of this Git revision with those here, on the same exports and without the record: who comes in and who
    /// goes out by the change alone. As markdown also what the next apply would do, where there is a record
    #[arg(long, value_name = "REV", conflicts_with_all = ["diff", "out"])]
    pub against: Option<String>,
    /// Show the rosters before and after as a unified diff instead
    #[arg(long, conflicts_with_all = ["format", "summary", "all"])]
    pub diff: bool,
    /// Save it to this file too, for `rollcall apply FILE`
    #[arg(long, value_name = "FILE")]
    pub out: Option<PathBuf>,
    /// Plan from this source even if it has lost more rows than its max_shrink allows
    #[arg(long, value_name = "SOURCE", add = ArgValueCandidates::new(complete::sources))]
    pub allow_shrink: Vec<String>,
    /// Exit with 2 if changes are pending
    #[arg(long)]
    pub detailed_exitcode: bool,
    /// What part of the whole.
    #[command(flatten)]
    pub part: Part,
}

/// `validate`.
#[derive(Debug, Args)]
pub struct ValidateArgs {
    /// Take warnings for errors
    #[arg(long)]
    pub strict: bool,
    /// Read no source; columns are checked where a file is there
    #[arg(long)]
    pub no_sources: bool,
}

/// `apply`.
#[derive(Debug, Args)]
pub struct ApplyArgs {
    /// A plan that `rollcall plan --out FILE` saved: exactly that is applied, or nothing [default: a new plan]
    #[arg(value_name = "FILE")]
    pub file: Option<PathBuf>,
    /// Do not ask
    #[arg(long, short = 'y')]
    pub yes: bool,
    /// Only this automation
    #[arg(long, value_name = "NAME", value_parser = parse_automation, conflicts_with = "file")]
    pub automation: Option<AutomationName>,
    /// Begin a record if there is none: on the first day, and never in a crontab
    #[arg(long)]
    pub new_record: bool,
    /// Apply even a plan that the guard refuses; its count of a day starts again
    #[arg(long)]
    pub allow_large: bool,
    /// Plan from this source even if it has lost more rows than its max_shrink allows
    #[arg(long, value_name = "SOURCE", add = ArgValueCandidates::new(complete::sources))]
    pub allow_shrink: Vec<String>,
    /// How to show the result; with json, the plan itself goes to standard error
    #[arg(long, value_name = "FORMAT", default_value = "text")]
    pub format: Format,
    /// Write what was done to this file: numbers alone where it ends in .md, everything in .html or .json
    #[arg(long, value_name = "FILE")]
    pub report: Option<PathBuf>,
    /// Write the result to this file, for Prometheus (text format)
    #[arg(long, value_name = "FILE")]
    pub metrics: Option<PathBuf>,
    /// How long to wait for another apply of the same record
    #[arg(long, value_name = "TIME", default_value = "0s", value_parser = parse_duration)]
    pub lock_timeout: Duration,
    /// How long to try calls again that were not carried out
    #[arg(long, value_name = "TIME", default_value = "5m", value_parser = parse_duration)]
    pub retry_for: Duration,
}

/// `explain`.
#[derive(Debug, Args)]
pub struct ExplainArgs {
    /// The contact
    #[arg(value_name = "CONTACT", value_parser = parse_contact, add = ArgValueCompleter::new(complete::contacts))]
    pub contact: ContactId,
    /// Show the values of its fields too: personal data, to standard output alone
    #[arg(long)]
    pub fields: bool,
    /// How to show it
    #[arg(long, value_name = "FORMAT", default_value = "text")]
    pub format: Format,
}

/// `roster`.
#[derive(Debug, Args)]
pub struct RosterArgs {
    /// What part of the whole.
    #[command(flatten)]
    pub part: Part,
    /// List those instead who matched and were left out by this
    #[arg(long, value_name = "WHAT")]
    pub left_out: Option<LeftOut>,
    /// How to show it
    #[arg(long, value_name = "FORMAT", default_value = "text")]
    pub format: RosterFormat,
}

/// What leaves people out.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum LeftOut {
    /// A `lot`: the control group.
    Lot,
    /// A [[suppress]] block.
    Suppress,
    /// A [[require]] block.
    Require,
    /// An [[exclusive]] block.
    Exclusive,
}

/// How a roster is shown.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum RosterFormat {
    /// For people.
    Text,
    /// One line an enrolment, for a spreadsheet.
    Csv,
    /// For programs.
    Json,
}

/// `simulate`.
#[derive(Debug, Args)]
pub struct SimulateArgs {
    /// Dated exports in place of those of today: a pattern whose varying part holds the date, such as
    /// 'archive/*/crm.csv' or crm='archive/crm-*.csv'; may be given several times
    #[arg(long, value_name = "[SOURCE=]PATTERN")]
    pub exports: Vec<String>,
    /// The exports that the commits of this range have, each from the day of its commit on, such as v1..HEAD
    #[arg(long, value_name = "RANGE", conflicts_with = "exports")]
    pub rev: Option<String>,
    /// Try the rules of this Git revision too, on the same days and exports, and show both beside each other
    #[arg(long, value_name = "REV")]
    pub against: Option<String>,
    /// The first day [default: that of the first export, or today]
    #[arg(long, value_name = "DATE", value_parser = parse_date)]
    pub from: Option<Date>,
    /// The last day [default: that of the last export, or 30 days later]
    #[arg(long, value_name = "DATE", value_parser = parse_date)]
    pub to: Option<Date>,
    /// When there is an apply on each day, in the zone of the configuration; may be given several times
    #[arg(long, value_name = "TIME", default_value = "09:00", value_parser = parse_time_of_day)]
    pub at: Vec<Time>,
    /// What is done with those who are declared on the first day
    #[arg(long, value_name = "WHAT", default_value = "adopt")]
    pub first_day: FirstDayArg,
    /// Leave undone what the guard refuses, as cron does [default: carry it out, as by somebody who allows it]
    #[arg(long)]
    pub unattended: bool,
    /// Name no contact
    #[arg(long)]
    pub summary: bool,
    /// How to show it
    #[arg(long, value_name = "FORMAT", default_value = "text")]
    pub format: TrialFormat,
}

/// What is done with those who are declared on the first day, of whom no record says anything.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum FirstDayArg {
    /// They count as active, without a trigger.
    Adopt,
    /// They are triggered.
    Trigger,
}

/// How rules that were tried are shown.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum TrialFormat {
    /// For people.
    Text,
    /// For programs.
    Json,
    /// For a browser, one file.
    Html,
}

/// `automations`.
#[derive(Debug, Args)]
pub struct AutomationsArgs {
    /// How to show them
    #[arg(long, value_name = "FORMAT", default_value = "text")]
    pub format: Format,
}

/// `report`.
#[derive(Debug, Args)]
pub struct ReportArgs {
    /// Write it to this file, for a browser
    #[arg(long, value_name = "FILE")]
    pub html: PathBuf,

    /// How many days to look back, today among them
    #[arg(long, value_name = "DAYS", default_value_t = 90, value_parser = clap::value_parser!(u16).range(2..=3660))]
    pub days: u16,
}

/// `record`.
#[derive(Debug, Subcommand)]
pub enum RecordCommand {
    /// List participations
    List(RecordListArgs),
    /// Show which record this is, or everything on record for one contact
    Show(RecordShowArgs),
    /// Write all participations as CSV or JSON
    Export(RecordExportArgs),
    /// Erase a person from the record
    Forget(RecordForgetArgs),
    /// Confirm that this is the right record: a copy, an older one, or one of another account
    Accept(RecordAcceptArgs),
    /// Move the record to another place, and close the old one for good
    Move(RecordMoveArgs),
    /// Remove the lock of a run that is gone without a trace
    Unlock(RecordUnlockArgs),
}

/// `record accept`.
#[derive(Debug, Args)]
pub struct RecordAcceptArgs {
    /// Do not ask
    #[arg(long, short = 'y')]
    pub yes: bool,
}

/// `record export`.
#[derive(Debug, Args)]
pub struct RecordExportArgs {
    /// Which participations.
    #[command(flatten)]
    pub which: Which,
    /// How to write them
    #[arg(long, value_name = "FORMAT", default_value = "csv")]
    pub format: ExportFormat,
}

/// How an export is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum ExportFormat {
    /// One line a participation, for a spreadsheet.
    Csv,
    /// One document.
    Json,
}

/// `record forget`.
#[derive(Debug, Args)]
pub struct RecordForgetArgs {
    /// The contact
    #[arg(value_name = "CONTACT", value_parser = parse_contact, add = ArgValueCompleter::new(complete::contacts))]
    pub contact: ContactId,
    /// First stop what runs on at Spotler; if a stop is not certain, nothing is erased
    #[arg(long)]
    pub stop: bool,
    /// Do not ask
    #[arg(long, short = 'y')]
    pub yes: bool,
}

/// `record move`.
#[derive(Debug, Args)]
pub struct RecordMoveArgs {
    /// Where to: sqlite:PATH, postgres://HOST/DATABASE, or '$NAME' to take the URL from that environment variable
    #[arg(value_name = "URL")]
    pub url: String,
    /// Do not ask
    #[arg(long, short = 'y')]
    pub yes: bool,
}

/// `record unlock`.
#[derive(Debug, Args)]
pub struct RecordUnlockArgs {
    /// Do not ask
    #[arg(long, short = 'y')]
    pub yes: bool,
}

/// `adopt`.
#[derive(Debug, Args)]
pub struct AdoptArgs {
    /// What part of the whole.
    #[command(flatten)]
    pub part: Part,
    /// Begin a record if there is none: on the first day, and never in a crontab
    #[arg(long)]
    pub new_record: bool,
    /// Do not ask
    #[arg(long, short = 'y')]
    pub yes: bool,
    /// How long to wait for another run on the same record
    #[arg(long, value_name = "TIME", default_value = "0s", value_parser = parse_duration)]
    pub lock_timeout: Duration,
}

/// `resolve`.
#[derive(Debug, Args)]
pub struct ResolveArgs {
    /// Only these contacts [default: all that are uncertain]
    #[arg(value_name = "CONTACT", value_parser = parse_contact, add = ArgValueCompleter::new(complete::contacts_in_doubt))]
    pub contacts: Vec<ContactId>,
    /// How to settle them
    #[arg(long = "as", value_name = "STATE")]
    pub settle_as: SettleAs,
    /// What part of the whole.
    #[command(flatten)]
    pub part: Part,
    /// Do not ask
    #[arg(long, short = 'y')]
    pub yes: bool,
    /// How long to wait for another run on the same record
    #[arg(long, value_name = "TIME", default_value = "0s", value_parser = parse_duration)]
    pub lock_timeout: Duration,
}

/// As what an uncertain trigger is settled.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum SettleAs {
    /// It was carried out: the participation is active.
    Active,
    /// It was not carried out: the next apply triggers it.
    NotSent,
}

/// `history`.
#[derive(Debug, Args)]
pub struct HistoryArgs {
    /// Only this contact
    #[arg(value_name = "CONTACT", value_parser = parse_contact, add = ArgValueCompleter::new(complete::contacts))]
    pub contact: Option<ContactId>,
    /// Only this automation
    #[arg(long, value_name = "NAME", value_parser = parse_automation, add = ArgValueCandidates::new(complete::automations))]
    pub automation: Option<AutomationName>,
    /// Only calls that ended like this; without an outcome, a call is uncertain or stop-uncertain
    #[arg(long, visible_alias = "outcome", value_name = "STATE", value_parser = OUTCOMES, hide_possible_values = true)]
    pub state: Option<String>,
    /// Only calls since this time: a date, a time (UTC), or how long ago (24h, 7d)
    #[arg(long, value_name = "TIME", value_parser = parse_since)]
    pub since: Option<Since>,
    /// Only the last so many calls
    #[arg(long, value_name = "NUMBER")]
    pub limit: Option<usize>,
    /// How to show it
    #[arg(long, value_name = "FORMAT", default_value = "text")]
    pub format: Format,
}

/// Which participations on record.
#[derive(Debug, Clone, Args)]
pub struct Which {
    /// What part of the whole.
    #[command(flatten)]
    pub part: Part,
    /// Only those in this state (active, uncertain, stopped, …)
    #[arg(long, value_name = "STATE", value_parser = states(), hide_possible_values = true)]
    pub state: Option<State>,
    /// Only those whose state changed since this time: a date, a time (UTC), or how long ago (24h, 7d)
    #[arg(long, value_name = "TIME", value_parser = parse_since)]
    pub since: Option<Since>,
    /// Only the first so many, by contact
    #[arg(long, value_name = "NUMBER")]
    pub limit: Option<usize>,
}

/// `record list`.
#[derive(Debug, Args)]
pub struct RecordListArgs {
    /// Which participations.
    #[command(flatten)]
    pub which: Which,
    /// How to show them
    #[arg(long, value_name = "FORMAT", default_value = "text")]
    pub format: Format,
}

/// `record show`.
#[derive(Debug, Args)]
pub struct RecordShowArgs {
    /// The contact [default: the record itself]
    #[arg(value_name = "CONTACT", value_parser = parse_contact, add = ArgValueCompleter::new(complete::contacts))]
    pub contact: Option<ContactId>,
    /// How to show it
    #[arg(long, value_name = "FORMAT", default_value = "text")]
    pub format: Format,
}

/// How a plan is shown.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum PlanFormat {
    /// For people.
    Text,
    /// For programs.
    Json,
    /// For a comment in a merge request, at most 65,536 characters.
    Markdown,
    /// For a browser, one file.
    Html,
}

/// How a result is shown.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Format {
    /// For people.
    Text,
    /// For programs.
    Json,
}

fn parse_contact(text: &str) -> Result<ContactId, crate::id::IdError> {
    ContactId::recorded(text)
}

fn parse_automation(text: &str) -> Result<AutomationName, crate::id::IdError> {
    AutomationName::recorded(text)
}

/// The states, as words to choose from.
fn states() -> impl TypedValueParser<Value = State> {
    PossibleValuesParser::new(State::ALL.map(State::as_str)).try_map(|word| word.parse::<State>())
}

/// From when on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Since {
    /// A moment.
    At(Timestamp),
    /// So long ago.
    Ago(Duration),
}

impl Since {
    /// The moment, where it is now.
    pub fn before(self, now: Timestamp) -> Timestamp {
        match self {
            Since::At(at) => at,
            Since::Ago(span) => now.checked_sub(span).unwrap_or(Timestamp::MIN),
        }
    }
}

fn parse_since(text: &str) -> Result<Since, String> {
    let at = parse_time(text).map(Since::At);
    at.or_else(|_| parse_duration(text).map(Since::Ago))
        .map_err(|_| "write it as 2026-11-23, 2026-11-23T09:00:00Z, 24h or 7d".to_owned())
}

fn parse_time(text: &str) -> Result<Timestamp, String> {
    if let Ok(at) = text.parse::<Timestamp>() {
        return Ok(at);
    }
    text.parse::<jiff::civil::Date>()
        .and_then(|date| {
            let midnight = date.to_datetime(jiff::civil::Time::midnight());
            jiff::tz::TimeZone::UTC.to_timestamp(midnight)
        })
        .map_err(|_| "write it as 2026-11-23T09:00:00Z or 2026-11-23".to_owned())
}

fn parse_date(text: &str) -> Result<Date, String> {
    let advice = |_| "write it as 2026-11-23".to_owned();
    text.parse().map_err(advice)
}

fn parse_time_of_day(text: &str) -> Result<Time, String> {
    let advice = |_| "write it as 09:00".to_owned();
    text.parse().map_err(advice)
}

fn parse_duration(text: &str) -> Result<Duration, String> {
    let advice = || "write it as 30s, 5m or 1h".to_owned();
    let digits = text.trim_end_matches(|c: char| c.is_ascii_alphabetic());
    let number: u64 = digits.parse().map_err(|_| advice())?;
    let seconds = match &text[digits.len()..] {
        "s" => 1,
        "m" | "min" => 60,
        "h" => 3600,
        "d" => 86400,
        _ => return Err(advice()),
    };
    let seconds = number.checked_mul(seconds).ok_or_else(advice)?;
    // Times are added to those of clocks, which have an end.
    Ok(Duration::from_secs(seconds.min(FOR_EVER)))
}

/// A hundred years, in seconds: no run waits for longer.
const FOR_EVER: u64 = 100 * 365 * 24 * 60 * 60;

#[cfg(test)]
mod tests {
    use super::*;
    use clap::CommandFactory;

    #[test]
    fn the_command_line_is_sound() {
        Cli::command().debug_assert();
    }

    #[test]
    fn durations_are_read() {
        assert_eq!(parse_duration("5m"), Ok(Duration::from_secs(300)));
        let for_ever = Ok(Duration::from_secs(FOR_EVER));
        assert_eq!(parse_duration("18446744073709551615s"), for_ever);
        for bad in [
            "5",
            "m",
            "",
            "5 m",
            "99999999999999999999s",
            "9999999999999999999h",
        ] {
            assert!(parse_duration(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn a_date_is_its_midnight() {
        assert_eq!(
            parse_time("2026-11-23").unwrap(),
            parse_time("2026-11-23T00:00:00Z").unwrap()
        );
        assert!(parse_time("yesterday").is_err());
    }
}
