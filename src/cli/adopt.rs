//! `rollcall adopt`: takes enrolments into the record as active without triggering them.

use std::io;

use super::args::AdoptArgs;
use super::notices::count;
use super::signals::Signals;
use super::{CommandError, Common, Exit, Session, under_lock};
use crate::engine::Beginning;
use crate::record::Purpose;
use crate::report::SafeText;

pub(super) async fn run(
    args: &AdoptArgs,
    common: &Common,
    signals: &Signals,
) -> Result<Exit, CommandError> {
    let session = Session::begin(common)?;
    let Session { engine, output } = &session;
    engine.check_names("automation", args.part.automation())?;
    let adoption = engine.adoption(args.part.clone().into()).await?;
    let shown = count(adoption.count(), "enrolment");
    let record = &adoption.planned().record;
    let asked = ("adopt", args.new_record, args.yes);
    let would = format!("It would have adopted {shown}.");
    let beginning = session.check_beginning(record, asked, &would).await?;
    session.warn(record);
    if adoption.count() == 0 {
        engine.check_enrolled(&adoption)?;
        output.result(|out| writeln!(out, "Nothing to adopt: all is on record."))?;
        return Ok(Exit::Fine);
    }
    output.result(|out| {
        for key in adoption.keys() {
            let key = key.map_err(io::Error::other)?;
            writeln!(out, "adopt  {}", SafeText(&key.to_string()))?;
        }
        writeln!(
            out,
            "{shown} to record as active. Nothing is triggered, so nobody gets a mail."
        )
    })?;
    session.ask_first_day(beginning).await?;
    output.ask("Adopt this?", args.yes).await?;
    let may_begin = beginning != Beginning::IsThere;
    let writing = engine.write("adopt", args.lock_timeout, Purpose::Act, may_begin);
    let adopt = async |writing: &_| engine.adopt(&adoption, writing).await;
    let adopted = under_lock(writing.await?, signals, adopt).await?;
    output.result(|out| writeln!(out, "{} adopted.", count(adopted, "enrolment")))?;
    Ok(Exit::Fine)
}
