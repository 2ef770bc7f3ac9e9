//! `rollcall automations`: what Spotler lists, next to what is configured.

use std::collections::BTreeMap;

use anyhow::anyhow;
use serde::Serialize;

use super::args::{AutomationsArgs, Format};
use super::output::Output;
use super::prepare::{self, Line};
use super::{CommandError, Common, Exit};
use crate::config::Config;
use crate::report::SafeText;
use crate::spotler::{CallError, ListedAutomation};

#[derive(Serialize)]
struct Row {
    /// Its name in the configuration.
    configured: Vec<String>,
    /// Its name in Spotler.
    listed: Option<String>,
    trigger: Option<String>,
    trigger_code: String,
    active: Option<bool>,
    remark: Option<&'static str>,
}

pub(super) async fn run(args: &AutomationsArgs, common: &Common) -> Result<Exit, CommandError> {
    let output = Output::new(common);
    let config = prepare::config(common, &output)?;
    let line = Line::open(config, prepare::access(config)?).await?;
    let listed = line.client.automations().await;
    line.close().await;
    let listed = listed.map_err(|error| anyhow!(told(&error)))?;
    let rows = rows(config, &listed);
    output.result(|out| match args.format {
        Format::Json => {
            serde_json::to_writer_pretty(&mut *out, &serde_json::json!({ "automations": rows }))?;
            writeln!(out)
        }
        Format::Text => {
            for row in &rows {
                let configured = match row.configured.is_empty() {
                    true => "-".to_owned(),
                    false => row.configured.join(", "),
                };
                let state = match row.active {
                    Some(true) => "active",
                    Some(false) => "inactive",
                    None => "-",
                };
                write!(
                    out,
                    "{}  {configured}  {state}  {}",
                    SafeText(&row.trigger_code),
                    SafeText(row.listed.as_deref().unwrap_or("-"))
                )?;
                match row.remark {
                    Some(remark) => writeln!(out, "  ! {remark}")?,
                    None => writeln!(out)?,
                }
            }
            Ok(())
        }
    })?;
    Ok(Exit::Fine)
}

fn rows(config: &Config, listed: &[ListedAutomation]) -> Vec<Row> {
    let mut configured: BTreeMap<&str, Vec<String>> = BTreeMap::new();
    for automation in &config.automations {
        let names = configured
            .entry(automation.trigger_code.as_str())
            .or_default();
        names.push(automation.name.to_string());
    }
    let mut rows = Vec::new();
    for automation in listed {
        for trigger in &automation.triggers {
            let Some(code) = &trigger.code else { continue };
            let names = configured.remove(code.as_str()).unwrap_or_default();
            let remark = match (names.len(), automation.active) {
                (0, _) => Some("not configured"),
                (2.., _) => Some("configured more than once"),
                (_, Some(false)) => Some("inactive: its triggers fail"),
                _ => None,
            };
            rows.push(Row {
                configured: names,
                listed: automation.name.clone(),
                trigger: trigger.name.clone(),
                trigger_code: code.clone(),
                active: automation.active,
                remark,
            });
        }
    }
    for (code, names) in configured {
        rows.push(Row {
            configured: names,
            listed: None,
            trigger: None,
            trigger_code: code.to_owned(),
            active: None,
            remark: Some("Spotler lists no such trigger code"),
        });
    }
    rows
}

fn told(error: &CallError) -> String {
    match error {
        CallError::NotSent(why) => format!("Spotler cannot be reached: {why}."),
        CallError::Limited { status, .. } => {
            format!("Spotler limits the calls (HTTP {status}). Try again later.")
        }
        CallError::Unauthorized { status } => format!(
            "Spotler refused the credentials (HTTP {status}). Check SPOTLER_CONSUMER_KEY and SPOTLER_CONSUMER_SECRET."
        ),
        CallError::Doubtful(why) => format!(
            "Spotler gave no list of automations: {why}. The path of this call is inferred; [spotler.paths] list \
             corrects it."
        ),
    }
}
