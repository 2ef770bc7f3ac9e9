//! `rollcall resolve`: a person settles uncertain triggers.

use super::args::{ResolveArgs, SettleAs};
use super::notices::count;
use super::signals::Signals;
use super::{CommandError, Common, Exit, Session, under_lock};
use crate::engine::Uncertain;
use crate::participation::Move;
use crate::record::Purpose;
use crate::report::SafeText;

pub(super) async fn run(
    args: &ResolveArgs,
    common: &Common,
    signals: &Signals,
) -> Result<Exit, CommandError> {
    let Session { engine, output } = &Session::begin(common)?;
    let which = Uncertain {
        contacts: args
            .contacts
            .iter()
            .chain(&args.part.contact)
            .cloned()
            .collect(),
        automation: args.part.automation.clone(),
    };
    let shown = engine.uncertain(&which).await?;
    if shown.is_empty() {
        output.result(|out| writeln!(out, "Nothing is uncertain."))?;
        return Ok(Exit::Fine);
    }
    let (word, transition, then) = match args.settle_as {
        SettleAs::Active => ("active", Move::ResolveActive, "Spotler carried it out"),
        SettleAs::NotSent => (
            "not sent",
            Move::ResolveNotSent,
            "the next apply triggers it if it is declared",
        ),
    };
    output.result(|out| {
        for participation in &shown {
            let key = participation.key.to_string();
            writeln!(out, "uncertain -> {word}  {}", SafeText(&key))?;
        }
        let triggers = count(shown.len(), "trigger");
        writeln!(out, "{triggers} to settle as {word}: {then}.")
    })?;
    output.ask("Settle so?", args.yes).await?;
    let writing = engine.write("resolve", args.lock_timeout, Purpose::Act, false);
    let resolve = async |writing: &_| engine.resolve(&which, &shown, transition, writing).await;
    let settled = under_lock(writing.await?, signals, resolve).await?;
    output.result(|out| writeln!(out, "{} settled.", count(settled, "trigger")))?;
    Ok(Exit::Fine)
}
