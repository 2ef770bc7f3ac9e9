//! `rollcall report`: the record as a page.

use anyhow::Context;

use super::args::ReportArgs;
use super::{CommandError, Common, Exit, Session};
use crate::report::{self, FileKind, overview_from, overview_html};

pub(super) async fn run(args: &ReportArgs, common: &Common) -> Result<Exit, CommandError> {
    let path = &args.html;
    let failed = || format!("The report cannot be written to {}", path.display());
    report::check_writable(path, FileKind::Report).with_context(failed)?;
    let session = Session::begin(common)?;
    let (engine, zone) = (&session.engine, &session.engine.config().zone);
    let now = engine.now();
    let from = overview_from(now, zone, args.days);
    session
        .check_shown()
        .await
        .context("No report was written")?;
    let overview = engine.record().overview(from, now).await;
    let overview = overview.context("No report was written")?;
    report::write_whole(path, FileKind::Report, |mut out| {
        overview_html(&mut out, &overview, now, zone, args.days)
    })
    .with_context(failed)?;
    let path = path.display();
    session
        .output
        .notice(|out| writeln!(out, "The report is in {path}."));
    Ok(Exit::Fine)
}
