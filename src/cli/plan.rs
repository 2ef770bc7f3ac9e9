//! `rollcall plan`: what would change.

use super::args::{Format, PlanArgs};
use super::output::Output;
use super::{CommandError, Common, Exit, prepare};
use crate::plan::Filter;
use crate::record::Record;
use crate::report::{plan_json, plan_text};

pub(super) async fn run(args: &PlanArgs, common: &Common) -> Result<Exit, CommandError> {
    let output = Output::new(common);
    let config = prepare::config(common, &output)?;
    let filter = Filter {
        automation: args.automation.clone(),
        contact: args.contact.clone(),
    };
    if let Some(name) = &args.automation {
        prepare::check_automation(config, name)?;
    }
    let now = prepare::now(common);
    let record = Record::at(&config.record.path);
    let prepared =
        prepare::roster_and_plan(config, &record, filter, now, &args.allow_shrink).await?;
    let view = prepared.view();
    output.result(|mut out| match args.format {
        Format::Text => plan_text(&mut out, view),
        Format::Json => plan_json(&mut out, view),
    })?;
    let is_pending = !prepared.plan.is_empty() || !prepared.plan.deferred.is_empty();
    Ok(if args.detailed_exitcode && is_pending {
        Exit::Pending
    } else {
        Exit::Fine
    })
}
