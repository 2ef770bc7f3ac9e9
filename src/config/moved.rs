//! `[[moved]]`: a new name for an automation, with the same participations.

use std::collections::{HashMap, HashSet};

use super::diagnostic::{Diagnostic, Place};
use super::enrol::Known;
use super::model::Config;
use super::reader::{Item, Table};
use super::suggest::nearest;
use crate::id::AutomationName;

/// `[[moved]]`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Moved {
    /// The name before.
    pub from: AutomationName,
    /// The name now, which is configured.
    pub to: AutomationName,
    /// Where it is written.
    pub place: Place,
}

/// A block, with what else its problems need.
pub(super) struct Block<'a> {
    moved: Moved,
    from: Item<'a>,
    to: Item<'a>,
}

pub(super) fn moved(table: Table<'_>) -> Option<Block<'_>> {
    let place = table.place();
    let name = |key, what| {
        let item = table.require(key, &format!("add {key} = \"…\", {what}"))?;
        let text = item.text("the name of an automation")?;
        match AutomationName::new(text) {
            Ok(name) => Some((name, item)),
            Err(error) => {
                item.wrong(
                    format!("{text:?} is not a name for an automation: {error}"),
                    "write a name such as customer-lifecycle",
                );
                None
            }
        }
    };
    let from = name("from", "the automation's old name");
    let to = name("to", "its new name");
    table.finish();
    let ((from, from_item), (to, to_item)) = (from?, to?);
    Some(Block {
        moved: Moved { from, to, place },
        from: from_item,
        to: to_item,
    })
}

/// Checks all blocks, and follows chains: the `to` of each is a name that is configured.
///
/// A name that others move to may have moved on itself, as in a swap.
pub(super) fn resolve(blocks: Vec<Block<'_>>, known: &Known<'_>) -> Vec<Moved> {
    let configured: HashSet<&AutomationName> = known.automations.iter().map(|a| &a.name).collect();
    let taken_over: HashSet<&AutomationName> = blocks.iter().map(|block| &block.moved.to).collect();
    let mut first: HashMap<&AutomationName, &Moved> = HashMap::new();
    for block in &blocks {
        first.entry(&block.moved.from).or_insert(&block.moved);
    }
    let targets = targets(&first, &configured);
    let mut list: Vec<Moved> = Vec::new();
    for block in &blocks {
        let Moved { from, to, place } = &block.moved;
        if let Some(first) = first.get(from)
            && first.place != *place
        {
            block.from.ctx.sink.push(
                Diagnostic::at(block.from.place(), format!("{from} is moved twice"))
                    .related(first.place.clone(), "first moved here")
                    .help("keep one of the two"),
            );
            continue;
        }
        if from == to {
            block.to.wrong("it moves to itself", "remove the block");
            continue;
        }
        if configured.contains(from) && !taken_over.contains(from) {
            block.from.wrong(
                format!("{from} is still configured, so its participations stay where they are"),
                format!("remove [automation.{from}], or remove this block"),
            );
            continue;
        }
        match targets.get(to) {
            Some(&to) => list.push(Moved {
                from: from.clone(),
                to: to.clone(),
                place: place.clone(),
            }),
            None if known.is_written("automation", to.as_str()) == Some(false) => {
                let is_shown = block.to.ctx.sink.shows_next(&place.file);
                let names = known.names("automation").filter(|_| is_shown);
                let help = match nearest(names, to.as_str()) {
                    Some(near) => format!("did you mean {near:?}?"),
                    None => format!("define it as [automation.{to}], or remove this block"),
                };
                block.to.wrong(
                    format!("there is no automation {:?} to move to", to.as_str()),
                    help,
                );
            }
            None => {}
        }
    }
    list
}

/// Where each name has come to in the end: the first one on its way that is configured.
fn targets<'b>(
    moves: &HashMap<&'b AutomationName, &'b Moved>,
    configured: &HashSet<&'b AutomationName>,
) -> HashMap<&'b AutomationName, &'b AutomationName> {
    let mut before: HashMap<&AutomationName, Vec<&AutomationName>> = HashMap::new();
    for (from, moved) in moves {
        before.entry(&moved.to).or_default().push(from);
    }
    // Back from each name that is configured; names that move in a circle without one are never reached.
    let mut targets: HashMap<_, _> = configured.iter().map(|name| (*name, *name)).collect();
    let mut open: Vec<&AutomationName> = configured.iter().copied().collect();
    while let Some(name) = open.pop() {
        let target = targets[name];
        for from in before.get(name).into_iter().flatten() {
            if !configured.contains(from) {
                targets.insert(from, target);
                open.push(from);
            }
        }
    }
    targets
}

impl Config {
    /// The name that an automation's participations go by now, where it has moved.
    pub fn moved_to(&self, name: &AutomationName) -> Option<&AutomationName> {
        let moved = self.moves.iter().find(|moved| moved.from == *name);
        moved.map(|moved| &moved.to)
    }

    /// How long a run lasts at Spotler, of an automation by its name on record.
    pub fn runs_for(&self, name: &AutomationName) -> Option<std::time::Duration> {
        let of = |name: &AutomationName| self.automations.iter().find(|of| of.name == *name);
        let automation = of(name).or_else(|| of(self.moved_to(name)?));
        automation.and_then(|automation| automation.runs_for)
    }

    /// The names of the blocks, from and to, in their order.
    pub fn moved_blocks(&self) -> Vec<(AutomationName, AutomationName)> {
        let blocks = self.moves.iter();
        blocks
            .map(|moved| (moved.from.clone(), moved.to.clone()))
            .collect()
    }

    /// The moves as steps that are to be made one after the other. `done` are the blocks that were last applied: where the
    /// old name is one that is configured, as in a swap, those who have it now are others, and stay.
    pub fn steps_of_moves(
        &self,
        done: &[(AutomationName, AutomationName)],
    ) -> Vec<(AutomationName, AutomationName)> {
        let configured: HashSet<&AutomationName> =
            self.automations.iter().map(|a| &a.name).collect();
        let done: HashSet<_> = done.iter().collect();
        let mut blocks = self.moved_blocks();
        blocks.retain(|block| !(done.contains(block) && configured.contains(&block.0)));
        steps(blocks)
    }
}

/// The moves as steps, one after the other, each from a name to one that all have left by then. In a circle, one of the
/// names goes by another in between.
fn steps(blocks: Vec<(AutomationName, AutomationName)>) -> Vec<(AutomationName, AutomationName)> {
    let mut left: HashMap<_, _> = blocks.iter().cloned().collect();
    let mut steps = Vec::new();
    for (from, _) in blocks {
        let mut path = Vec::new();
        let mut at = from;
        while let Some(to) = left.remove(&at) {
            path.push((at, to.clone()));
            at = to;
        }
        let Some(start) = path.iter().position(|(from, _)| *from == at) else {
            steps.extend(path.into_iter().rev());
            continue;
        };
        // The end of the path leads back to its middle, and everybody there waits for the other.
        let (from, to) = path[start].clone();
        // Two names of the longest kind make none, and such a circle stays as it is.
        let Ok(between) = AutomationName::new(format!("{from} on its way to {to}")) else {
            continue;
        };
        steps.push((from, between.clone()));
        steps.extend(path.drain(start + 1..).rev());
        steps.push((between, to));
        steps.extend(path.drain(..start).rev());
    }
    steps
}

#[cfg(test)]
mod tests {
    use super::*;

    fn name(text: &str) -> AutomationName {
        AutomationName::new(text).unwrap()
    }

    fn in_steps(moves: &[(&str, &str)]) -> Vec<String> {
        let moves = moves.iter().map(|(from, to)| (name(from), name(to)));
        let steps = steps(moves.collect()).into_iter();
        steps.map(|(from, to)| format!("{from} > {to}")).collect()
    }

    #[test]
    fn a_name_is_free_before_others_move_to_it() {
        assert_eq!(in_steps(&[("a", "b"), ("b", "c")]), ["b > c", "a > b"]);
        assert_eq!(
            in_steps(&[("a", "b"), ("b", "a")]),
            ["a > a on its way to b", "b > a", "a on its way to b > b"]
        );
        assert_eq!(
            in_steps(&[("a", "c"), ("c", "b"), ("b", "c")]),
            [
                "c > c on its way to b",
                "b > c",
                "c on its way to b > b",
                "a > c"
            ]
        );
        assert_eq!(in_steps(&[("a", "c"), ("b", "c")]), ["a > c", "b > c"]);
    }
}
