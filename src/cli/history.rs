//! `rollcall history`: every call ever made.

use std::collections::VecDeque;

use super::args::{Format, HistoryArgs};
use super::next::After;
use super::record::{check_asked, ended_shown};
use super::{CommandError, Common, Exit, Session};
use crate::id::AutomationName;
use crate::record::{Call, RecordError};
use crate::report::{CALL_TITLES, CALLS_YIELD, Columns, call_json, call_row};

pub(super) async fn run(args: &HistoryArgs, common: &Common) -> Result<Exit, CommandError> {
    let session = Session::begin(common)?;
    session.check_shown().await?;
    let engine = &session.engine;
    let is_json = args.format == Format::Json;
    check_asked(&session, &args.automation, &args.contact, is_json).await?;
    let since = args.since.map(|since| since.before(engine.now()));
    let (config, wanted) = (engine.config(), args.automation.as_ref());
    let is_called = |call: &Call, wanted: &AutomationName| {
        let own = || AutomationName::recorded(&call.automation);
        call.automation == wanted.as_str() || own().is_ok_and(|own| config.is_called(&own, wanted))
    };
    let is_wanted = |call: &Result<Call, RecordError>| {
        call.as_ref().is_ok_and(|call| {
            since.is_none_or(|since| since <= call.sent_at)
                && (args.state.as_ref()).is_none_or(|state| call.outcome_word() == state)
                && wanted.is_none_or(|wanted| is_called(call, wanted))
        })
    };
    let calls = engine.record().calls(args.contact.as_ref()).await?;
    let calls = calls.filter(|call| call.is_err() || is_wanted(call));
    let calls: Box<dyn Iterator<Item = Result<Call, RecordError>>> = match args.limit {
        None => Box::new(calls),
        Some(limit) => Box::new(last(calls, limit)?.into_iter().map(Ok)),
    };
    match args.format {
        Format::Text => {
            let mut count = 0_usize;
            session.output.lines(|out| {
                let columns = Columns::new(out, CALL_TITLES);
                let mut columns = columns.within(session.output.width(), CALLS_YIELD);
                for call in calls {
                    columns.row(call_row(&call?))?;
                    count += 1;
                }
                columns.end()
            })?;
            ended_shown(&session, "call", count, false);
            if count > 0 {
                session
                    .output
                    .next(common, After::Shown(args.contact.as_ref(), false));
            }
        }
        Format::Json => {
            let json = calls.map(|call| Ok(serde_json::to_string_pretty(&call_json(&call?))?));
            session.output.json_list("calls", json)?;
        }
    }
    Ok(Exit::Fine)
}

/// The last so many.
fn last(
    calls: impl Iterator<Item = Result<Call, RecordError>>,
    limit: usize,
) -> Result<VecDeque<Call>, RecordError> {
    let mut kept = VecDeque::new();
    for call in calls {
        kept.push_back(call?);
        if kept.len() > limit {
            kept.pop_front();
        }
    }
    Ok(kept)
}
