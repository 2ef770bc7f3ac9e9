//! `rollcall report`: the record as a page.

use anyhow::Context;

use super::args::ReportArgs;
use super::output::Output;
use super::{CommandError, Common, Exit, prepare, which};
use crate::record::Record;
use crate::report::{self, FileKind, overview_from, overview_html};

pub(super) async fn run(args: &ReportArgs, common: &Common) -> Result<Exit, CommandError> {
    let output = Output::new(common);
    let path = &args.html;
    let failed = || format!("The report cannot be written to {}", path.display());
    report::check_writable(path, FileKind::Report).with_context(failed)?;
    let config = prepare::config(common, &output)?;
    let now = prepare::now(common);
    let from = overview_from(now, &config.zone, args.days);
    let record = Record::at(&config.record.path);
    let warned = which::warn(config, &record, &output).await;
    warned.context("No report was written")?;
    let overview = record.overview(from, now).await;
    let overview = overview.context("No report was written")?;
    report::write_whole(path, FileKind::Report, |mut out| {
        overview_html(&mut out, &overview, now, &config.zone, args.days)
    })
    .with_context(failed)?;
    output.notice(|out| writeln!(out, "The report is in {}.", path.display()));
    Ok(Exit::Fine)
}
