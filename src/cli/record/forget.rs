//! `rollcall record forget`: erases a person from the record.

use std::time::Duration;

use anyhow::anyhow;

use crate::cli::args::RecordForgetArgs;
use crate::cli::notices::count;
use crate::cli::signals::Signals;
use crate::cli::{CommandError, Common, Exit, Session, under_lock};
use crate::engine;
use crate::participation::Participation;
use crate::record::Purpose;
use crate::report::{SafeText, plural};

pub(crate) async fn forget(
    args: &RecordForgetArgs,
    common: &Common,
    signals: &Signals,
) -> Result<Exit, CommandError> {
    let session = Session::begin(common)?;
    session.check_shown().await?;
    let Session { engine, output } = &session;
    let (contact, shown) = (&args.contact, SafeText(args.contact.as_str()));
    let remembered = match engine.remembered(contact).await {
        Ok(Some(remembered)) => remembered,
        Ok(None) => {
            output.result(|out| writeln!(out, "Nothing is on record for {shown}."))?;
            return Ok(Exit::Fine);
        }
        // It is the sources that say whether the contact is declared.
        Err(error @ (engine::Error::Problems(_) | engine::Error::NoThread(..))) => {
            output.error(&error.into());
            return Err(anyhow!(
                "Rollcall cannot find out whether {shown} is still declared, so nothing was erased: if it is, the next apply \
                 would trigger it as new. Fix the problems above; or add the contact to [[suppress]], and forget it at once."
            )
            .into());
        }
        Err(error) => return Err(error.into()),
    };
    let participations = || remembered.participations.iter().map(|of| &of.participation);
    output.result(|out| {
        writeln!(
            out,
            "To erase for {shown}: {} and {}.",
            count(remembered.participations.len(), "participation"),
            plural(remembered.calls, "call")
        )?;
        let mut running = participations().filter(|of| of.state.may_run_at_spotler()).peekable();
        if running.peek().is_some() {
            match args.stop {
                true => writeln!(out, "These are stopped at Spotler first:")?,
                false => writeln!(
                    out,
                    "These go on at Spotler, and Rollcall can no longer stop them afterwards. With --stop, they are stopped \
                     first:"
                )?,
            }
        }
        for Participation { key, state, .. } in running {
            let occurrence = key.occurrence.as_ref().map(|o| format!(" / {o}"));
            let of = format!("{}{}", key.automation, occurrence.unwrap_or_default());
            writeln!(out, "  {} ({state})", SafeText(&of))?;
        }
        match &remembered.suppressed {
            None => writeln!(out, "If the contact is ever declared again, it is triggered as new."),
            Some(suppression) => writeln!(
                out,
                "The contact is {suppression}. If it is declared too, the next apply records it again, as \
                 withheld."
            ),
        }
    })?;
    let (question, purpose) = match args.stop {
        true => ("Stop and erase this?", Purpose::Act),
        false => ("Erase this?", Purpose::Erase),
    };
    output.ask(question, args.yes).await?;
    let writing = engine.write("record forget", Duration::ZERO, purpose, false);
    let forget = async |writing: &_| {
        if args.stop
            && !(engine
                .stop_all(contact, writing, signals.interrupt())
                .await?)
        {
            return Ok(None);
        }
        engine.forget(contact, writing).await.map(Some)
    };
    match under_lock(writing.await?, signals, forget).await? {
        Some(true) => {
            output.result(|out| writeln!(out, "Erased."))?;
            return Ok(Exit::Fine);
        }
        Some(false) => {}
        None => {
            output.always(|out| {
                writeln!(
                    out,
                    "Not everything is stopped for certain, so nothing was erased: what runs on could no longer be stopped. \
                     `rollcall record show {shown}` shows it. Then try again: rollcall record forget --stop {shown}"
                )
            });
            return Ok(Exit::Incomplete);
        }
    }
    let path = engine.record().path().display();
    output.always(|out| {
        writeln!(
            out,
            "Erased from the record. But another program reads the record, so {path}-wal next to it still holds what was \
             erased. End the other program, and apply: the next command that writes to the record alone removes it."
        )
    });
    Ok(Exit::Incomplete)
}
