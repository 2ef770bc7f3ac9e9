//! `[[moved]]`: a new name for an automation, with the same participations.

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
                    format!("{text:?} is no name for an automation: {error}"),
                    "write a name such as customer-lifecycle",
                );
                None
            }
        }
    };
    let from = name("from", "the name that the automation had");
    let to = name("to", "the name that it has now");
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
    let is_configured = |name: &AutomationName| known.automations.iter().any(|a| a.name == *name);
    let mut list: Vec<Moved> = Vec::new();
    for (index, block) in blocks.iter().enumerate() {
        let Moved { from, to, place } = &block.moved;
        let earlier = blocks[..index]
            .iter()
            .find(|other| other.moved.from == *from);
        if let Some(first) = earlier {
            block.from.ctx.sink.push(
                Diagnostic::at(block.from.place(), format!("{from} is moved twice"))
                    .related(first.moved.place.clone(), "first moved here")
                    .help("keep one of the two"),
            );
            continue;
        }
        if from == to {
            block.to.wrong("it moves to itself", "take the block out");
            continue;
        }
        let is_taken_over = blocks.iter().any(|other| other.moved.to == *from);
        if is_configured(from) && !is_taken_over {
            block.from.wrong(
                format!(
                    "{from} is still configured, so that its participations stay where they are"
                ),
                format!("take [automation.{from}] out, or take this block out"),
            );
            continue;
        }
        match target(block, &blocks, is_configured) {
            Some(to) => list.push(Moved {
                from: from.clone(),
                to,
                place: place.clone(),
            }),
            None if known.is_complete => {
                let names = known.automations.iter().map(|a| a.name.as_str());
                let help = match nearest(names, to.as_str()) {
                    Some(near) => format!("did you mean {near:?}?"),
                    None => format!("define it as [automation.{to}], or take this block out"),
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

/// Where a name has come to in the end: the first one on its way that is configured.
fn target(
    block: &Block<'_>,
    blocks: &[Block<'_>],
    is_configured: impl Fn(&AutomationName) -> bool,
) -> Option<AutomationName> {
    let mut to = &block.moved.to;
    // A circle of names that are not configured comes to no end.
    for _ in 0..=blocks.len() {
        if is_configured(to) {
            return Some(to.clone());
        }
        to = &blocks.iter().find(|next| next.moved.from == *to)?.moved.to;
    }
    None
}

impl Config {
    /// The name that an automation's participations go by now, where it has moved.
    pub fn moved_to(&self, name: &AutomationName) -> Option<&AutomationName> {
        let moved = self.moves.iter().find(|moved| moved.from == *name);
        moved.map(|moved| &moved.to)
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
        let is_configured =
            |name: &AutomationName| self.automations.iter().any(|a| a.name == *name);
        let mut blocks = self.moved_blocks();
        blocks.retain(|block| !(done.contains(block) && is_configured(&block.0)));
        steps(blocks)
    }
}

/// The moves as steps, one after the other, each from a name to one that all have left by then. In a circle, one of the
/// names goes by another in between.
fn steps(mut left: Vec<(AutomationName, AutomationName)>) -> Vec<(AutomationName, AutomationName)> {
    let mut steps = Vec::new();
    while !left.is_empty() {
        let is_free =
            |(_, to): &(AutomationName, AutomationName)| left.iter().all(|(from, _)| from != to);
        match left.iter().position(is_free) {
            Some(index) => steps.push(left.remove(index)),
            None => {
                let (from, to) = left.remove(0);
                // Two names of the longest kind make none, and such a circle stays as it is.
                let Ok(between) = AutomationName::new(format!("{from} on its way to {to}")) else {
                    continue;
                };
                steps.push((from, between.clone()));
                left.push((between, to));
            }
        }
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
        assert_eq!(in_steps(&[("a", "c"), ("b", "c")]), ["a > c", "b > c"]);
    }
}
