//! A plan as Markdown, for a comment in a merge request: the figures first, the rest folded, cut to what a comment holds.
//!
//! Ids and reasons stand in blocks and spans of code alone: there no forge looks for mentions, links or HTML. Nothing that
//! comes from data begins a line, so that none of it can end such a block either.

use std::io::{self, Write};

use super::rows::{PlanView, subject};
use super::style::{SafeText, plural, thousands};
use super::tally::{merged_lines, moved_lines, sentence, tally};
use crate::plan::Plan;

/// The most characters that a comment may have, as the forges count them: in UTF-16.
const MOST: usize = 65_536;

/// The line by which a job finds its comment again.
pub(super) const TITLE: &str = "### Rollcall";

/// The most characters of one line that comes from data.
const LONGEST_LINE: usize = 700;

/// What each part may take at the most; the actions get what is left.
const MOST_OF_GUARD: usize = 6_000;
const MOST_OF_MOVED: usize = 3_000;
const MOST_OF_TABLE: usize = 14_000;
const MOST_OF_HELD: usize = 8_000;
const MOST_OF_OTHERS: usize = 5_000;

/// What of a plan a comment has.
#[derive(Debug, Clone, Copy, Default)]
pub struct Comment<'a> {
    /// Whether it has numbers and names of automations alone.
    pub names_nobody: bool,
    /// What goes before the plan.
    pub before: Option<&'a str>,
}

/// Writes a plan.
///
/// # Errors
/// What the writer says.
pub fn plan_markdown(
    out: &mut impl Write,
    view: PlanView<'_>,
    comment: Comment<'_>,
) -> io::Result<()> {
    let (start, rest) = sentence(view.plan);
    let mut head = format!("{TITLE}\n\n");
    if let Some(before) = comment.before {
        head.push_str(before);
        head.push_str("#### What the next apply would do\n\n");
    }
    head.push_str(&format!("**{start}** {rest}\n\n"));
    if view.makes_all_new() {
        head.push_str("**There is no record yet: everybody who is declared counts as new.** If there was one, restore it before you \
                       apply.\n\n");
    }
    head.push_str(&doubts(view));
    head.push_str(&guard(view, comment.names_nobody));
    head.push_str(&frozen(view));
    head.push_str(&moved(view.plan));
    head.push_str(&merged(view.plan, comment.names_nobody));
    head.push_str(&table(view));
    let tail = format!(
        "Configuration `{}`, record serial {}, made for {}.\n",
        view.config.digest,
        view.record_serial,
        view.now.strftime("%Y-%m-%dT%H:%M:%SZ")
    );
    let details = match comment.names_nobody {
        true => String::new(),
        false => details(view, length(&head) + length(&tail)),
    };
    for part in [&head, &details, &tail] {
        out.write_all(part.as_bytes())?;
    }
    Ok(())
}

/// Everything that a plan does or does not do, folded, where so many characters are taken.
fn details(view: PlanView<'_>, taken: usize) -> String {
    let plan = view.plan;
    let number = |count: usize| thousands(count as u64);
    let held = plan.held.iter().map(|held| {
        let key = &held.key;
        let of = subject(
            key.contact.as_str(),
            key.occurrence.as_ref().map(|o| o.as_str()),
        );
        format!(
            "! {}  {of}  {}  {}",
            held.state, key.automation, held.reason
        )
    });
    let title = format!(
        "{} held; nothing is done about these",
        number(plan.held.len())
    );
    let held = folded(&title, held, plan.held.len(), MOST_OF_HELD);
    let deferred = view.deferred().map(|row| {
        let of = subject(row.contact, row.occurrence);
        format!("~ {of}  {}  {}", row.automation, row.reason)
    });
    let title = format!(
        "{} deferred; a later apply triggers these",
        number(plan.deferred.len())
    );
    let deferred = folded(&title, deferred, plan.deferred.len(), MOST_OF_OTHERS);
    let let_go = plan.let_go.iter().map(|let_go| {
        let key = &let_go.participation.key;
        let of = subject(
            key.contact.as_str(),
            key.occurrence.as_ref().map(|o| o.as_str()),
        );
        format!("- {of}  {}  {}", key.automation, let_go.reason)
    });
    let title = format!(
        "{} let go without a call; they run to their end by themselves",
        number(plan.let_go.len())
    );
    let let_go = folded(&title, let_go, plan.let_go.len(), MOST_OF_OTHERS);
    let others = [&deferred, &held, &let_go]
        .map(length)
        .iter()
        .sum::<usize>();
    let room = MOST.saturating_sub(taken + others);
    let rows = view.rows().map(|row| {
        let sign = match row.action {
            "stop" => '-',
            _ => '+',
        };
        let of = subject(row.contact, row.occurrence);
        let place = match row.declared_at {
            Some(place) => format!("  ({place})"),
            None => String::new(),
        };
        format!(
            "{sign} {:<7}  {of}  {}  {}{place}",
            row.action, row.automation, row.reason
        )
    });
    let title = plural(plan.actions.len() as u64, "action");
    let actions = folded(&title, rows, plan.actions.len(), room);
    [actions, deferred, held, let_go].concat()
}

/// What speaks against the record, not folded.
fn doubts(view: PlanView<'_>) -> String {
    let problems = view.problems;
    let Some(id) = view.record_id.filter(|_| !problems.is_empty()) else {
        return String::new();
    };
    let lines = problems.iter().map(|problem| format!("! {problem}"));
    let block = block("text", lines, problems.len(), MOST_OF_GUARD);
    format!("**The record {id} may not be the right one; an apply would refuse it.**\n\n{block}\n")
}

/// What the guard says, not folded.
fn guard(view: PlanView<'_>, names_nobody: bool) -> String {
    let breaches = &view.guard.breaches;
    if breaches.is_empty() {
        return String::new();
    }
    let lines = breaches.iter();
    let lines = lines.map(|breach| format!("! {}", breach.words(names_nobody)));
    let block = block("text", lines, breaches.len(), MOST_OF_GUARD);
    format!(
        "**The guard refuses to apply this plan.** Check that this is what you want; then {}.\n\n{block}\n",
        view.guard
            .way_on()
            .replace("--allow-large", "`--allow-large`")
    )
}

/// What is frozen, not folded.
fn frozen(view: PlanView<'_>) -> String {
    let lines = view.freezes();
    let count = view.config.freezes_at(view.now).count();
    if count == 0 {
        return String::new();
    }
    let block = block("text", lines, count, MOST_OF_MOVED);
    format!("Frozen:\n\n{block}\n")
}

/// The names that participations take, not folded.
fn moved(plan: &Plan) -> String {
    if plan.moved.is_empty() {
        return String::new();
    }
    let lines = moved_lines(plan).map(|line| format!("> {line}"));
    let block = block("text", lines, plan.moved.len(), MOST_OF_MOVED);
    format!("Moved to a new name, without a call:\n\n{block}\n")
}

/// The ids that are merged, not folded.
fn merged(plan: &Plan, names_nobody: bool) -> String {
    if plan.merged.is_empty() || names_nobody {
        return String::new();
    }
    let lines = merged_lines(plan).map(|line| format!("> {line}"));
    let block = block("text", lines, plan.merged.len(), MOST_OF_MOVED);
    format!("Merged with another id of the same person, without a call:\n\n{block}\n")
}

/// The automations of which the plan says anything, those with the most actions first where not all of them fit.
fn table(view: PlanView<'_>) -> String {
    let mut rows: Vec<_> = tally(view)
        .into_iter()
        .filter(|(_, counts)| counts.is_reported())
        .collect();
    if rows.is_empty() {
        return String::new();
    }
    let mut text = String::from(
        "| automation | trigger | stop | deferred | let go | held | running now |\n|:--|--:|--:|--:|--:|--:|--:|\n",
    );
    let row = |name: &str, counts: &super::tally::Counts| {
        let numbers = [
            counts.trigger,
            counts.stop,
            counts.deferred,
            counts.let_go,
            counts.held,
            counts.running,
        ];
        let numbers = numbers.map(thousands).join(" | ");
        format!("| {} | {numbers} |\n", code(name))
    };
    let whole: usize = rows
        .iter()
        .map(|(name, counts)| length(row(name, counts)))
        .sum();
    if whole > MOST_OF_TABLE {
        rows.sort_by_key(|(_, counts)| std::cmp::Reverse(counts.trigger + counts.stop));
    }
    let mut left = MOST_OF_TABLE;
    let mut shown = 0;
    for (name, counts) in &rows {
        let row = row(name, counts);
        match left.checked_sub(length(&row)) {
            Some(rest) => left = rest,
            None => break,
        }
        text.push_str(&row);
        shown += 1;
    }
    text.push('\n');
    match (rows.len() - shown) as u64 {
        0 => {}
        more => text.push_str(&format!("… and {}.\n\n", plural(more, "more automation"))),
    }
    text
}

/// A name as a span of code that can stand in a table.
pub(super) fn code(name: &str) -> String {
    let safe = SafeText(name).to_string();
    let safe = safe.replace('`', "\\u{60}").replace('|', "\\u{7c}");
    format!("`{}`", cut(&safe, LONGEST_LINE))
}

/// Lines that are shown when they are asked for; nothing where there are none.
pub(super) fn folded(
    title: &str,
    lines: impl Iterator<Item = String>,
    count: usize,
    room: usize,
) -> String {
    if count == 0 {
        return String::new();
    }
    let start = format!("<details>\n<summary>{title}</summary>\n\n");
    let end = "\n</details>\n\n";
    let room = room.saturating_sub(length(&start) + length(end));
    format!("{start}{}{end}", block("diff", lines, count, room))
}

/// A block of code with as many of the lines as there is room for, and how many there are more.
fn block(language: &str, lines: impl Iterator<Item = String>, count: usize, room: usize) -> String {
    let mut text = format!("```{language}\n");
    let end = "```\n";
    let more = |left: usize| {
        format!(
            "… and {} more; `rollcall plan --all` shows all.\n",
            thousands(left as u64)
        )
    };
    let mut left = room.saturating_sub(length(&text) + length(end) + length(more(count)));
    let mut shown = 0;
    for line in lines {
        let mut line = cut(&SafeText(&line).to_string(), LONGEST_LINE);
        line.push('\n');
        match left.checked_sub(length(&line)) {
            Some(rest) => left = rest,
            None => break,
        }
        text.push_str(&line);
        shown += 1;
    }
    text.push_str(end);
    if shown < count {
        text.push_str(&more(count - shown));
    }
    text
}

/// How many characters a forge counts.
pub(super) fn length(text: impl AsRef<str>) -> usize {
    text.as_ref().encode_utf16().count()
}

/// A text, and no more of it than so many characters.
fn cut(text: &str, most: usize) -> String {
    match text.char_indices().nth(most) {
        Some((end, _)) => format!("{}…", &text[..end]),
        None => text.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_stays_in_its_cell() {
        assert_eq!(code("welcome"), "`welcome`");
        assert_eq!(code("a|b`c\u{202e}"), "`a\\u{7c}b\\u{60}c\\u{202e}`");
    }

    #[test]
    fn a_block_holds_what_there_is_room_for_and_counts_the_rest() {
        let lines = || (0..1000).map(|n| format!("+ {n}\n```"));
        for room in [100, 500, 5_000, 50_000] {
            let text = block("diff", lines(), 1000, room);
            assert!(length(&text) <= room, "{room}");
            let shown = text.lines().filter(|line| line.starts_with('+')).count();
            let fences = text.lines().filter(|line| line.starts_with("```")).count();
            assert_eq!(fences, 2);
            match 1000 - shown {
                0 => assert!(!text.contains("more")),
                more => assert!(text.ends_with(&format!(
                    "… and {} more; `rollcall plan --all` shows all.\n",
                    thousands(more as u64)
                ))),
            }
        }
    }

    #[test]
    fn what_counts_twice_for_a_forge_counts_twice() {
        assert_eq!(length("a😀"), 3);
        assert_eq!(cut("a😀b", 2), "a😀…");
    }
}
