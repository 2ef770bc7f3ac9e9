//! `rollcall automations`: what Spotler lists, next to what is configured.

use std::borrow::Cow;
use std::collections::{BTreeMap, BTreeSet};
use std::io::{self, Write};

use anstyle::Style;
use jiff::Timestamp;
use serde::Serialize;

use super::args::{AutomationsArgs, Format};
use super::init::AUTOMATIONS;
use super::next::After;
use super::{CommandError, Common, Exit, Session};
use crate::config::{Config, nearest};
use crate::id::TriggerCode;
use crate::report::{ADDED, ATTENTION, Cell, Columns, Row, SafeText, Yield};
use crate::spotler::{ListedAutomation, ListedField, ListedTime};

#[derive(Serialize)]
struct Found {
    /// Its name in the configuration.
    configured: Vec<String>,
    /// Its name in Spotler.
    listed: Option<String>,
    trigger: Option<String>,
    trigger_code: String,
    active: Option<bool>,
    /// What wants attention.
    remarks: Vec<Cow<'static, str>>,
}

pub(super) async fn run(args: &AutomationsArgs, common: &Common) -> Result<Exit, CommandError> {
    let Session { engine, output } = &Session::begin(common)?;
    let rows = rows(
        engine.config(),
        &engine.listed_automations().await?,
        engine.now(),
    );
    match args.format {
        Format::Json => output.json(&serde_json::json!({ "automations": rows })),
        Format::Text => output.lines(|out| text(out, &rows, output.width())),
    }?;
    let root = &engine.config().root;
    let is_new = rows.iter().any(|row| row.configured.is_empty());
    if args.format == Format::Text && is_new && !root.join(AUTOMATIONS).exists() {
        let is_here = std::env::current_dir().is_ok_and(|here| here == *root);
        let root = (!is_here).then_some(root.as_path());
        output.next(common, After::NotConfigured(root));
    }
    Ok(Exit::Fine)
}

/// How the columns yield on a narrow terminal. Codes are copied, so they stay whole.
const ORDER: &[Yield] = &[Yield::Below(4), Yield::Below(2), Yield::Below(1)];

fn text(out: &mut dyn Write, rows: &[Found], width: Option<usize>) -> io::Result<()> {
    if rows.is_empty() {
        return writeln!(
            out,
            "Spotler lists no external trigger, and no automation is configured."
        );
    }
    let titles = ["trigger code", "configured as", "in Spotler", "", "remarks"];
    let mut columns = Columns::new(out, titles).within(width, ORDER);
    for row in rows {
        let configured = match row.configured.is_empty() {
            true => "-".to_owned(),
            false => row.configured.join(", "),
        };
        let (state, style) = match row.active {
            Some(true) => ("active", ADDED),
            Some(false) => ("inactive", ATTENTION),
            None => ("-", Style::new()),
        };
        let listed = row.listed.as_deref().unwrap_or("-");
        let cells = [
            SafeText(&row.trigger_code).to_string().into(),
            configured.into(),
            SafeText(listed).to_string().into(),
            Cell(state.to_owned(), style),
            row.remarks.join("; ").into(),
        ];
        let notes = Vec::new();
        columns.row(Row { cells, notes })?;
    }
    columns.end()
}

fn rows(config: &Config, listed: &[ListedAutomation], now: Timestamp) -> Vec<Found> {
    let mut configured: BTreeMap<&TriggerCode, Vec<String>> = BTreeMap::new();
    for automation in &config.automations {
        let names = configured.entry(&automation.trigger_code).or_default();
        names.push(automation.name.to_string());
    }
    let twice = |names: &[String]| (names.len() > 1).then_some("configured more than once");
    let mut missing = configured.clone();
    let mut rows = Vec::new();
    for automation in listed {
        for trigger in &automation.triggers {
            let Some(code) = &trigger.code else { continue };
            // One code may start several publications, and is listed with each.
            let known = TriggerCode::new(code).ok();
            let names = known.and_then(|code| {
                missing.remove(&code);
                configured.get(&code).cloned()
            });
            let names = names.unwrap_or_default();
            let dates = of_dates(config, automation, now).filter(|_| !names.is_empty());
            let unknown = names.is_empty().then_some("not configured");
            let inactive = (!names.is_empty() && automation.active == Some(false))
                .then_some("inactive: its triggers fail");
            rows.push(Found {
                remarks: (unknown.into_iter().chain(twice(&names)).chain(inactive))
                    .map(Cow::from)
                    .chain(of_fields(config, automation, &names))
                    .chain(dates.map(Cow::from))
                    .collect(),
                configured: names,
                listed: automation.name.clone(),
                trigger: trigger.name.clone(),
                trigger_code: code.clone(),
                active: automation.active,
            });
        }
    }
    for (code, names) in missing {
        rows.push(Found {
            remarks: std::iter::once("Spotler does not list this trigger code")
                .chain(twice(&names))
                .map(Cow::from)
                .collect(),
            configured: names,
            listed: None,
            trigger: None,
            trigger_code: code.to_string(),
            active: None,
        });
    }
    rows
}

/// In which fields the automations of these names differ from what Spotler lists, where it lists any.
fn of_fields(
    config: &Config,
    listed: &ListedAutomation,
    names: &[String],
) -> Vec<Cow<'static, str>> {
    let Some(listed) = &listed.fields else {
        return Vec::new();
    };
    let mut remarks = Vec::new();
    let automations = config.automations.iter().enumerate();
    for (place, automation) in automations.filter(|(_, of)| names.contains(&of.name.to_string())) {
        let blocks = config.enrols.iter();
        let blocks = blocks.filter(|block| block.automations.contains(&place));
        let fields = blocks.flat_map(|block| &block.fields);
        let fields = automation.fields.iter().chain(fields);
        let sent: BTreeSet<(&str, &str)> = fields
            .map(|field| (field.name.as_str(), field.template.type_name()))
            .collect();
        let mut unlisted = None;
        for &(name, kind) in &sent {
            match listed.iter().find(|of| of.name == name) {
                Some(ListedField {
                    kind: Some(wanted), ..
                }) if wanted != kind => remarks.push(
                    format!(
                        "its field {name} is {} at Spotler, and sent as {kind}",
                        SafeText(wanted)
                    )
                    .into(),
                ),
                Some(_) => {}
                None if unlisted.replace(name) == Some(name) => {}
                None => {
                    let near = nearest(listed.iter().map(|of| of.name.as_str()), name);
                    let near = near.map_or_else(String::new, |near| {
                        format!(" (did you mean {}?)", SafeText(near))
                    });
                    remarks.push(format!("Spotler lists no field {name}{near}").into());
                }
            }
        }
        let is_sent = |of: &&ListedField| sent.iter().any(|(name, _)| *name == of.name);
        for field in listed.iter().filter(|of| !is_sent(of)) {
            remarks.push(format!("its field {} is not sent", SafeText(&field.name)).into());
        }
    }
    remarks
}

/// What the dates of its publications mean, where Spotler lists them and none of them runs without an end.
fn of_dates(config: &Config, listed: &ListedAutomation, now: Timestamp) -> Option<String> {
    let at = |time: Option<ListedTime>| time.map(|time| time.at(&config.zone));
    let dates = listed
        .publications
        .iter()
        .map(|of| (at(of.start), at(of.end)));
    let dates: Vec<_> = dates.collect();
    let day = |at: Timestamp| at.to_zoned_datetime(config.zone.clone()).date();
    let has_ended = |end: Option<Timestamp>| end.is_some_and(|end| end < now);
    let open = || dates.iter().filter(|(_, end)| !has_ended(*end));
    let running = || open().filter(|(start, _)| start.is_none_or(|start| start <= now));
    let last = |ends: &mut dyn Iterator<Item = Option<Timestamp>>| {
        ends.collect::<Option<Vec<_>>>()?.into_iter().max()
    };
    if let Some(end) = last(&mut running().map(|(_, end)| *end)) {
        return Some(format!("its publication ends on {}", day(end)));
    }
    if running().next().is_some() {
        return None;
    }
    match open().filter_map(|(start, _)| *start).min() {
        Some(start) => Some(format!(
            "its publication starts on {}: until then its triggers fail",
            day(start)
        )),
        None => last(&mut dates.iter().map(|(_, end)| *end))
            .map(|end| format!("its publication ended on {}: its triggers fail", day(end))),
    }
}
