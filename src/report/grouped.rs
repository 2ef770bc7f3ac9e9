//! What a plan does, by automation and kind: the first rows of each, how many more there are, and a reason that many share
//! said once.

use std::collections::{BTreeMap, HashMap};
use std::io::{self, Write};

use anstyle::Style;
use unicode_width::UnicodeWidthStr;

use super::rows::subject;
use super::style::{self, SafeText, pad, thousands};

/// So many rows of each automation and kind are shown.
const FIRST: usize = 20;

/// A reason that more rows of a group have than these is said once, above them.
const FEW: usize = 3;

/// Columns grow no wider than this to keep the lines aligned.
const WIDEST: usize = 40;

/// How much of a plan is shown as text.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Shown {
    /// Numbers and names of automations alone.
    Summary,
    /// The first rows of each automation and kind.
    First,
    /// The same, of a command that has no `--all` itself.
    FirstOfApply,
    /// Every row.
    All,
}

impl Shown {
    fn most(self) -> usize {
        match self {
            Shown::Summary => 0,
            Shown::First | Shown::FirstOfApply => FIRST,
            Shown::All => usize::MAX,
        }
    }

    /// What shows the rows that are not shown.
    fn way_on(self) -> &'static str {
        match self {
            Shown::FirstOfApply => "`rollcall plan --all`",
            _ => "--all",
        }
    }
}

/// How the rows of a kind look.
#[derive(Debug, Clone, Copy)]
pub(super) struct Kind {
    /// What each of its lines begins with.
    pub sign: &'static str,
    /// The word behind it, if there is one.
    pub word: &'static str,
    /// How that looks.
    pub style: Style,
    /// What is said of a number of them: `320 to trigger`.
    pub phrase: &'static str,
}

/// A row of a kind.
pub(super) struct Row<'a> {
    pub kind: Kind,
    pub automation: &'a str,
    pub contact: &'a str,
    pub occurrence: Option<&'a str>,
    pub reason: String,
    pub place: Option<String>,
}

/// Rows of one automation and kind.
struct Group<'a> {
    kind: Kind,
    count: usize,
    /// The rows that are shown, each with the number of its reason.
    shown: Vec<(&'a str, Option<&'a str>, usize)>,
    reasons: Vec<Reason>,
    numbers: HashMap<(String, Option<String>), usize>,
}

/// Why, and for how many.
struct Reason {
    text: String,
    place: Option<String>,
    count: usize,
}

impl<'a> Group<'a> {
    fn new(kind: Kind) -> Self {
        Self {
            kind,
            count: 0,
            shown: Vec::new(),
            reasons: Vec::new(),
            numbers: HashMap::new(),
        }
    }

    fn add(&mut self, row: Row<'a>, most: usize) {
        self.count += 1;
        let key = (row.reason, row.place);
        if let Some(number) = self.numbers.get(&key) {
            self.reasons[*number].count += 1;
            if self.shown.len() < most {
                self.shown.push((row.contact, row.occurrence, *number));
            }
        } else if self.shown.len() < most {
            let number = self.reasons.len();
            self.shown.push((row.contact, row.occurrence, number));
            self.reasons.push(Reason {
                text: key.0.clone(),
                place: key.1.clone(),
                count: 1,
            });
            self.numbers.insert(key, number);
        }
    }

    fn write(
        &self,
        out: &mut impl Write,
        automation: &str,
        widths: (usize, usize),
        shown: Shown,
    ) -> io::Result<()> {
        let mut by_reason: Vec<Vec<usize>> = vec![Vec::new(); self.reasons.len()];
        for (row, (.., number)) in self.shown.iter().enumerate() {
            by_reason[*number].push(row);
        }
        let safe = SafeText(automation).to_string();
        let (on, off) = (self.kind.style.render(), self.kind.style.render_reset());
        for (reason, rows) in self.reasons.iter().zip(by_reason) {
            let is_shared = reason.count > FEW;
            if is_shared {
                let count = thousands(reason.count as u64);
                write!(out, "{safe}, {count} {}: ", self.kind.phrase)?;
                reason.write(out)?;
                writeln!(out)?;
            }
            for row in rows {
                let (contact, occurrence, _) = self.shown[row];
                let of = pad(&subject(contact, occurrence), widths.0);
                let gap = if self.kind.word.is_empty() { "" } else { "  " };
                write!(
                    out,
                    "{on}{}{}{off}{gap}{of}  ",
                    self.kind.sign, self.kind.word
                )?;
                if is_shared {
                    writeln!(out, "{safe}")?;
                } else {
                    write!(out, "{}  ", pad(&safe, widths.1))?;
                    reason.write(out)?;
                    writeln!(out)?;
                }
            }
        }
        let more = self.count - self.shown.len();
        if more > 0 {
            let (count, way_on) = (thousands(more as u64), shown.way_on());
            writeln!(out, "… and {count} more; {way_on} shows all")?;
        }
        Ok(())
    }
}

impl Reason {
    fn write(&self, out: &mut impl Write) -> io::Result<()> {
        write!(out, "{}", SafeText(&self.text))?;
        if let Some(place) = &self.place {
            let (on, off) = (style::DIMMED.render(), style::DIMMED.render_reset());
            write!(out, "  {on}({place}){off}")?;
        }
        Ok(())
    }
}

/// Writes rows by automation and kind. `is_aligned` makes columns of them.
pub(super) fn groups<'a>(
    out: &mut impl Write,
    rows: impl Iterator<Item = Row<'a>>,
    shown: Shown,
    is_aligned: bool,
) -> io::Result<()> {
    let mut groups: BTreeMap<(&str, &str), Group<'a>> = BTreeMap::new();
    for row in rows {
        let key = (row.automation, row.kind.phrase);
        let group = groups.entry(key).or_insert_with(|| Group::new(row.kind));
        group.add(row, shown.most());
    }
    let (mut contacts, mut automations) = (0, 0);
    for ((automation, _), group) in groups.iter().filter(|_| is_aligned) {
        automations = automations.max(automation.width().min(WIDEST));
        for (contact, occurrence, _) in &group.shown {
            let wide = contact.width() + occurrence.map_or(0, |o| o.width() + 3);
            contacts = contacts.max(wide.min(WIDEST));
        }
    }
    for ((automation, _), group) in &groups {
        group.write(out, automation, (contacts, automations), shown)?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    const NEW: Kind = Kind {
        sign: "+ ",
        word: "",
        style: Style::new(),
        phrase: "to trigger",
    };

    fn written(count: usize, shown: Shown, reason: impl Fn(usize) -> &'static str) -> String {
        let ids: Vec<String> = (0..count).map(|n| format!("c-{n:02}")).collect();
        let rows = ids.iter().enumerate().map(|(n, id)| Row {
            kind: NEW,
            automation: "welcome",
            contact: id,
            occurrence: None,
            reason: reason(n).to_owned(),
            place: None,
        });
        let mut out = Vec::new();
        groups(&mut out, rows, shown, true).unwrap();
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn a_reason_that_many_share_is_said_once() {
        let text = written(30, Shown::First, |n| if n == 1 { "back" } else { "new" });
        assert_eq!(text.matches("new").count(), 1, "{text}");
        assert!(text.starts_with("welcome, 29 to trigger: new\n+ c-00  welcome\n"));
        assert!(text.contains("+ c-01  welcome  back\n"), "{text}");
        assert!(text.ends_with("… and 10 more; --all shows all\n"), "{text}");
        assert_eq!(written(30, Shown::All, |_| "new").lines().count(), 31);
    }

    #[test]
    fn a_reason_of_a_few_stays_on_their_lines() {
        let text = written(2, Shown::First, |_| "new");
        assert_eq!(text, "+ c-00  welcome  new\n+ c-01  welcome  new\n");
    }
}
