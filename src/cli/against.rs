//! `rollcall plan --against REV`: the effect of a change of rules alone.

use super::args::{PlanArgs, PlanFormat};
use super::output::Output;
use super::{CommandError, Exit};
use crate::config::Diagnostic;
use crate::engine::{self, Comparison, Engine, Planned};
use crate::location::Location;
use crate::plan::Filter;
use crate::report::{
    AgainstRow, AgainstView, Comment, Shown, against_comment, against_html, against_json,
    against_markdown, against_text, plan_markdown,
};

/// Compares the rules of a revision with those of the working tree, and shows what differs.
pub(super) async fn run(
    args: &PlanArgs,
    (engine, output): (&Engine, Output),
    (filter, shown): (&Filter, Shown),
    revision: &str,
    warn: impl Fn(&[Diagnostic]),
) -> Result<Exit, CommandError> {
    let comparison = engine.against(revision, filter).await?;
    warn(comparison.roster.warnings());
    let rows = rows(&comparison);
    let view = AgainstView {
        against: &comparison.against,
        commit: &comparison.commit,
        rows: &rows,
    };
    match args.format {
        PlanFormat::Text => output.lines(|mut out| against_text(&mut out, view, shown)),
        PlanFormat::Json => output.document(|mut out| against_json(&mut out, view, args.summary)),
        PlanFormat::Html => output.result(|mut out| against_html(&mut out, view, args.summary)),
        PlanFormat::Markdown => {
            let effect = against_markdown(view, args.summary);
            match planned(args, engine, filter).await? {
                Ok(planned) => output.result(|mut out| {
                    let comment = Comment {
                        names_nobody: args.summary,
                        before: Some(&effect),
                    };
                    plan_markdown(&mut out, planned.view(), comment)
                }),
                Err(why) => output.result(|out| against_comment(out, &effect, why)),
            }
        }
    }?;
    let is_pending = args.detailed_exitcode && !rows.is_empty();
    Ok(if is_pending {
        Exit::Pending
    } else {
        Exit::Fine
    })
}

fn rows(comparison: &Comparison) -> Vec<AgainstRow<'_>> {
    let rows = comparison.changes.iter().map(|of| AgainstRow {
        comes_in: of.comes_in,
        automation: &of.automation,
        contact: &of.contact,
        occurrence: of.occurrence.as_deref(),
        reason: &of.reason,
        declared_at: &of.declared_at,
    });
    rows.collect()
}

/// What the next apply would do, where there is a record to tell; else why nothing is said of it.
async fn planned(
    args: &PlanArgs,
    engine: &Engine,
    filter: &Filter,
) -> Result<Result<Planned, &'static str>, CommandError> {
    const NONE: &str =
        "There is no record here, so this does not say what the next apply would do.";
    const UNREAD: &str =
        "The record cannot be read here, so this does not say what the next apply would do.";
    if matches!(engine.config().record.at, Location::Unset(_)) {
        return Ok(Err(NONE));
    }
    match engine.check().await {
        Ok(checked) if checked.is_missing() => return Ok(Err(NONE)),
        Ok(_) => {}
        Err(_) => return Ok(Err(UNREAD)),
    }
    let scope = engine.scope(filter.clone(), &args.allow_shrink);
    match engine.plan(scope.for_whole_second()).await {
        Ok(planned) => Ok(Ok(planned)),
        Err(engine::Error::NotPlanned(_) | engine::Error::Record(_)) => Ok(Err(UNREAD)),
        Err(error) => Err(error.into()),
    }
}
