//! Two sets of rules that were tried on the same days, beside each other.

use std::collections::BTreeMap;
use std::io::{self, Write};

use serde::Serialize;

use super::json::Body;
use super::text::table;
use super::{HoldsBack, Trial};
use crate::report::style::{self, SafeText, thousands};

#[derive(Serialize)]
struct AgainstJson<'a> {
    format_version: u32,
    against: &'a str,
    before: Body<'a>,
    after: Body<'a>,
}

/// Writes both as JSON. `against` is the revision of the first.
///
/// # Errors
/// What the writer says.
pub fn trials_json(
    out: &mut impl Write,
    against: &str,
    before: &Trial,
    after: &Trial,
) -> io::Result<()> {
    let document = AgainstJson {
        format_version: 1,
        against,
        before: before.into(),
        after: after.into(),
    };
    serde_json::to_writer_pretty(&mut *out, &document)?;
    writeln!(out)
}

/// Two figures of the same: before and after.
type Pair = [u64; 2];

fn cells(pairs: impl IntoIterator<Item = Pair>) -> impl Iterator<Item = String> {
    let shown = |[before, after]: Pair| match before == after {
        true => thousands(after),
        false => format!("{} → {}", thousands(before), thousands(after)),
    };
    pairs.into_iter().map(shown)
}

/// Writes both as text for people. `against` is the revision of the first.
///
/// # Errors
/// What the writer says.
pub fn trials_text(
    out: &mut impl Write,
    against: &str,
    before: &Trial,
    after: &Trial,
) -> io::Result<()> {
    let (on, off) = (style::STRONG.render(), style::STRONG.render_reset());
    writeln!(out, "{on}{}{off}", after.title())?;
    let against = SafeText(against);
    writeln!(
        out,
        "By the rules of {against} → by those of the working tree. One figure is the same by both.\n"
    )?;
    let sides = [before, after];
    let mut sums: BTreeMap<&str, [Pair; 3]> = BTreeMap::new();
    for (side, trial) in sides.iter().enumerate() {
        for of in &trial.automations {
            let pairs = sums.entry(&of.automation).or_default();
            pairs[0][side] = of.trigger;
            pairs[1][side] = of.stop;
            pairs[2][side] = of.let_go;
        }
    }
    let rows = sums.into_iter().map(|(name, pairs)| {
        let name = SafeText(name).to_string();
        std::iter::once(name).chain(cells(pairs)).collect()
    });
    let header = ["automation", "triggers", "stops", "let go"];
    table(out, &header, rows.collect())?;
    let mut held: BTreeMap<(&str, HoldsBack), [Pair; 2]> = BTreeMap::new();
    for (side, trial) in sides.iter().enumerate() {
        for of in &trial.held_back {
            let pairs = held.entry((&of.automation, of.by)).or_default();
            pairs[0][side] = of.people;
            pairs[1][side] = of.missed;
        }
    }
    if !held.is_empty() {
        writeln!(out, "Held back, for a while or for good:")?;
        let rows = held.into_iter().map(|((name, by), pairs)| {
            let names = [SafeText(name).to_string(), by.as_str().to_owned()];
            names.into_iter().chain(cells(pairs)).collect()
        });
        let header = ["automation", "by", "people", "not done later"];
        table(out, &header, rows.collect())?;
    }
    let most = |trial: &Trial| trial.by_count.keys().next_back().copied().unwrap_or(0);
    let all = sides.map(Trial::all);
    let rows = [
        ("triggers", all.map(|all| all.trigger)),
        ("contacts triggered", sides.map(|of| of.people)),
        ("most triggers for one contact", sides.map(most)),
        ("stops", all.map(|all| all.stop)),
        (
            "refused by the guard",
            sides.map(|of| of.refused.len() as u64),
        ),
        (
            "applies that planned nothing",
            sides.map(|of| of.not_planned.len() as u64),
        ),
    ];
    let rows = rows.map(|(what, pair)| {
        let mut row = vec![what.to_owned()];
        row.extend(cells([pair]));
        row
    });
    table(out, &["", "in all"], rows.into())?;
    writeln!(out, "Nothing was sent, and no record was read or written.")
}
