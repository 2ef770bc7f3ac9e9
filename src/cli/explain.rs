//! `rollcall explain`: of one contact, for every automation, whether it is in or out and why, and what the record says.

use super::args::{ExplainArgs, Format};
use super::next::After;
use super::{CommandError, Common, Exit, Session};
use crate::report::Explanation;

pub(super) async fn run(args: &ExplainArgs, common: &Common) -> Result<Exit, CommandError> {
    let session = Session::begin(common)?;
    let (engine, contact) = (&session.engine, &args.contact);
    session.check_shown().await?;
    let explained = engine.explain(contact).await?;
    let files = &engine.config().files;
    session.output.warnings(&explained.lost, files);
    let (verdicts, listed) = (&explained.verdicts, &explained.listed);
    let known = explained.is_listed(contact) || engine.knows(contact, verdicts, listed);
    let mut explanation = Explanation::new(contact, explained.view(), verdicts, listed, known);
    if args.fields {
        let shown = explanation.show_fields(explained.view());
        shown.map_err(anyhow::Error::from)?;
    }
    match args.format {
        Format::Json => session.output.json(&explanation),
        Format::Text => session.output.lines(|out| explanation.text(out)),
    }?;
    if args.format == Format::Text {
        session
            .output
            .next(common, After::Explained(contact, &explained));
    }
    Ok(Exit::Fine)
}
