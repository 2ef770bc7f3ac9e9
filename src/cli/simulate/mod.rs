//! `rollcall simulate`: the rules tried on the past, or on days to come, before they meet people.

mod exports;

use std::collections::BTreeMap;

use anyhow::anyhow;
use jiff::ToSpan;
use jiff::civil::Date;

use super::args::{FirstDayArg, SimulateArgs, TrialFormat};
use super::output::Output;
use super::{CommandError, Common, Exit, Session};
use crate::config::{Config, SourceKind};
use crate::engine::{Exports, TrialOptions, trial};
use crate::report::{
    FirstDay, SafeText, Trial, trial_html, trial_json, trial_text, trials_json, trials_text,
};

/// More days than ten years are a slip of the pen.
const MOST_DAYS: i32 = 3660;

/// How many days to come are tried, where nothing else is said.
const DAYS: i64 = 30;

pub(super) async fn run(args: &SimulateArgs, common: &Common) -> Result<Exit, CommandError> {
    let session = Session::begin(common)?;
    let (output, config) = (session.output, session.engine.config());
    let today = session
        .engine
        .now()
        .to_zoned_datetime(config.zone.clone())
        .date();
    // The folder of the exports goes with this command.
    let (_folder, exports) = match &args.rev {
        Some(range) => {
            let (folder, exports) = session.engine.exports_of(range).await?;
            (Some(folder), exports)
        }
        None => (None, exports::find(config, &args.exports)?),
    };
    let options = options(args, config, exports, today)?;
    let Some(revision) = &args.against else {
        let tried = trial(config, &options, |_| ()).await?;
        return shown(args.format, output, &tried);
    };
    let old = session.engine.rules_of(revision).await?;
    refuse_databases(old, &options.exports)?;
    let after = trial(config, &options, |_| ()).await?;
    let before = session.engine.trial_of((old, revision), &options).await?;
    let label = format!("By the rules of {}", SafeText(revision));
    match args.format {
        TrialFormat::Text => {
            output.lines(|mut out| trials_text(&mut out, revision, &before, &after))
        }
        TrialFormat::Json => {
            output.document(|mut out| trials_json(&mut out, revision, &before, &after))
        }
        TrialFormat::Html => {
            let sides = [
                (label.as_str(), &before),
                ("By those of the working tree", &after),
            ];
            output.result(|mut out| trial_html(&mut out, &sides))
        }
    }?;
    Ok(Exit::Fine)
}

fn shown(format: TrialFormat, output: Output, tried: &Trial) -> Result<Exit, CommandError> {
    match format {
        TrialFormat::Text => output.lines(|mut out| trial_text(&mut out, tried)),
        TrialFormat::Html => output.result(|mut out| trial_html(&mut out, &[("", tried)])),
        TrialFormat::Json => output.document(|mut out| trial_json(&mut out, tried)),
    }?;
    Ok(Exit::Fine)
}

fn options(
    args: &SimulateArgs,
    config: &Config,
    exports: BTreeMap<String, Exports>,
    today: Date,
) -> Result<TrialOptions, CommandError> {
    // From the day on which there is an export of each, to that of the last.
    let firsts = exports
        .iter()
        .filter_map(|(name, of)| Some((*of.keys().next()?, name)));
    let first = firsts.max();
    let last = exports
        .values()
        .filter_map(|of| of.keys().next_back())
        .max();
    let from = args.from.or(first.map(|(date, _)| date)).unwrap_or(today);
    if let Some((date, name)) = first.filter(|(date, _)| *date > from) {
        return Err(anyhow!(
            "The first export of {} is of {date}, and nobody knows what it was on {from}. Begin there: --from {date}",
            SafeText(name)
        )
        .into());
    }
    let to = args.to.or(last.copied());
    let to = to.unwrap_or_else(|| from.checked_add(DAYS.days()).unwrap_or(from));
    if to < from {
        return Err(
            anyhow!("--to {to} is before --from {from}: write the first day first.").into(),
        );
    }
    let days = (to - from).get_days();
    if days > MOST_DAYS {
        return Err(anyhow!(
            "From {from} to {to} are {days} days, which is more than ten years: is one of them mistyped?"
        )
        .into());
    }
    refuse_databases(config, &exports)?;
    Ok(TrialOptions {
        from,
        to,
        at: args.at.clone(),
        exports,
        first_day: match args.first_day {
            FirstDayArg::Adopt => FirstDay::Adopt,
            FirstDayArg::Trigger => FirstDay::Trigger,
        },
        is_unattended: args.unattended,
        has_names: !args.summary,
    })
}

/// A trial needs no network and no password, so that it asks no database.
fn refuse_databases<T>(config: &Config, exports: &BTreeMap<String, T>) -> Result<(), CommandError> {
    let mut asked = config.sources.iter().filter(|source| {
        matches!(source.kind, SourceKind::Database { .. }) && !exports.contains_key(&source.name)
    });
    asked.next().map_or(Ok(()), |source| {
        let name = SafeText(&source.name);
        Err(anyhow!(
            "The source {name} is a query of a database, which `simulate` does not ask. Give it rows that were exported from \
             it: --exports {name}='archive/*/{name}.csv'"
        )
        .into())
    })
}
