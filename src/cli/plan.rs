//! `rollcall plan`: what would change.

use anyhow::Context;

use super::args::{PlanArgs, PlanFormat};
use super::next::After;
use super::{CommandError, Common, Exit, Session, against, discreet};
use crate::config::Diagnostic;
use crate::plan::Filter;
use crate::report::{
    self, Comment, FileKind, SafeText, Shown, UNKNOWN, plan_diff, plan_html, plan_json,
    plan_markdown, plan_sum, plan_summary_json, plan_text,
};

pub(super) async fn run(args: &PlanArgs, common: &Common) -> Result<Exit, CommandError> {
    let exit = plan(args, common).await;
    match args.summary {
        true => exit.map_err(discreet::error),
        false => exit,
    }
}

async fn plan(args: &PlanArgs, common: &Common) -> Result<Exit, CommandError> {
    if let Some(path) = &args.out {
        let failed = || format!("The plan cannot be saved to {}", path.display());
        report::check_writable(path, FileKind::SavedPlan).with_context(failed)?;
    }
    let session = Session::find(common)?;
    let Session { engine, output } = &session;
    let config = engine.config();
    let warn = |list: &[Diagnostic]| match args.summary {
        true => discreet::warnings(*output, list),
        false => output.warnings(list, &config.files),
    };
    warn(&config.warnings);
    let filter: Filter = args.part.clone().into();
    engine.check_names("automation", args.part.automation())?;
    let shown = match (args.summary, args.all) {
        (true, _) => Shown::Summary,
        (_, true) => Shown::All,
        _ => Shown::First,
    };
    if let Some(revision) = &args.against {
        return against::run(args, (engine, *output), (&filter, shown), revision, warn).await;
    }
    let scope = engine.scope(filter.clone(), &args.allow_shrink);
    let planned = engine.plan(scope.for_whole_second()).await?;
    warn(planned.roster.warnings());
    if let Some(path) = &args.out {
        planned.save(path).await?;
    }
    session.warn_first(&planned, false);
    let is_nothing = planned.plan.is_nothing() && planned.plan.unchanged == 0;
    if let Some(contact) = args
        .part
        .contact
        .as_ref()
        .filter(|_| is_nothing && !args.summary)
    {
        let verdicts = planned.roster.explain(contact.as_str())?;
        let listed = engine.participations(contact).await?;
        if !engine.knows(contact, &verdicts, &listed) {
            let contact = SafeText(contact.as_str());
            output.notice(|out| writeln!(out, "{contact}: {}", UNKNOWN));
        }
    }
    let view = planned.view();
    let comment = Comment {
        names_nobody: args.summary,
        before: None,
    };
    match args.format {
        _ if args.diff => output.result(|mut out| plan_diff(&mut out, view, &filter)),
        PlanFormat::Text => output.lines(|mut out| plan_text(&mut out, view, shown)),
        PlanFormat::Json if args.summary => {
            output.document(|mut out| plan_summary_json(&mut out, view))
        }
        PlanFormat::Json => output.document(|mut out| plan_json(&mut out, view)),
        PlanFormat::Markdown => output.result(|mut out| plan_markdown(&mut out, view, comment)),
        PlanFormat::Html => output.result(|mut out| plan_html(&mut out, view, args.summary)),
    }?;
    if args.diff {
        output.notice(|mut out| plan_sum(&mut out, view));
    }
    if let Some(path) = &args.out {
        let path = path.display();
        output.notice(|out| {
            writeln!(
                out,
                "Saved to {path}. `rollcall apply {path}` does exactly this, or nothing if anything has changed."
            )
        });
    }
    let is_pending = !planned.plan.is_empty() || !planned.plan.deferred.is_empty();
    if matches!(args.format, PlanFormat::Text) && args.out.is_none() {
        output.next(common, After::Plan(&planned, &args.part));
    }
    // The process ends with this, which is quicker than taking the roster of a million apart.
    std::mem::forget(planned);
    Ok(match args.detailed_exitcode && is_pending {
        true => Exit::Pending,
        false => Exit::Fine,
    })
}
