//! `rollcall plan`: what would change.

use jiff::Timestamp;

use super::args::{PlanArgs, PlanFormat};
use super::output::Output;
use super::prepare::Wanted;
use super::{CommandError, Common, Exit, explain, prepare, saved};
use crate::plan::Filter;
use crate::record::Record;
use crate::report::{plan_diff, plan_html, plan_json, plan_markdown, plan_sum, plan_text};

pub(super) async fn run(args: &PlanArgs, common: &Common) -> Result<Exit, CommandError> {
    let output = Output::new(common);
    if let Some(path) = &args.out {
        saved::check_writable(path)?;
    }
    let config = prepare::config(common, &output)?;
    let filter = Filter {
        automation: args.automation.clone(),
        contact: args.contact.clone(),
    };
    if let Some(name) = &args.automation {
        prepare::check_automation(config, name)?;
    }
    let now = whole_second(prepare::now(common));
    let record = Record::at(&config.record.path);
    let wanted = Wanted {
        filter: filter.clone(),
        now,
        clock: prepare::clock(),
        allow_shrink: &args.allow_shrink,
    };
    let prepared = prepare::roster_and_plan(config, &record, wanted).await?;
    output.warnings(prepared.roster.warnings(), &config.files);
    if let Some(path) = &args.out {
        saved::save(path, &prepared, filter.clone()).await?;
    }
    prepared.tell_first(&output, false);
    if let Some(contact) = &args.contact
        && prepared.plan.is_nothing()
        && prepared.plan.unchanged == 0
    {
        explain::tell_unknown(&prepared, contact, &record, &output).await?;
    }
    let view = prepared.view();
    let shown = match args.format {
        _ if args.diff => output.lines(false, |mut out| plan_diff(&mut out, view, &filter)),
        PlanFormat::Text => output.lines(true, |mut out| plan_text(&mut out, view)),
        PlanFormat::Json => output.document(|mut out| plan_json(&mut out, view)),
        PlanFormat::Markdown => output.result(|mut out| plan_markdown(&mut out, view)),
        PlanFormat::Html => output.result(|mut out| plan_html(&mut out, view)),
    };
    shown?;
    if args.diff {
        output.notice(|mut out| plan_sum(&mut out, view));
    }
    if let Some(path) = &args.out {
        output.notice(|out| {
            let path = path.display();
            writeln!(
                out,
                "Saved to {path}. `rollcall apply {path}` does exactly this, or nothing where anything has changed."
            )
        });
    }
    let is_pending = !prepared.plan.is_empty() || !prepared.plan.deferred.is_empty();
    // The process ends with this, which is quicker than taking the roster of a million apart.
    std::mem::forget(prepared);
    Ok(if args.detailed_exitcode && is_pending {
        Exit::Pending
    } else {
        Exit::Fine
    })
}

/// A plan is made for a whole second, which is what is shown and saved of it: so it can be made again for the same time.
fn whole_second(now: Timestamp) -> Timestamp {
    Timestamp::from_second(now.as_second()).unwrap_or(now)
}
