//! What Spotler lists, as a configuration.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write;

use crate::config::Automation;
use crate::id::TriggerCode;
use crate::report::SafeText;
use crate::spotler::ListedAutomation;

/// Tells editors where the schema is, in a file beside it.
pub(super) const SCHEMA_LINE: &str = "#:schema ./rollcall.schema.json\n";

/// The `rollcall.toml` of a new repository.
pub(super) fn root(base_url: Option<&str>) -> String {
    let mut text = format!(
        "{SCHEMA_LINE}include = [{:?}]\n\n[spotler]\n",
        super::AUTOMATIONS
    );
    text.push_str(
        "# The credentials come from SPOTLER_CONSUMER_KEY and SPOTLER_CONSUMER_SECRET in the environment.\n",
    );
    if let Some(base_url) = base_url {
        let _ = writeln!(text, "base_url = {}", quoted(base_url));
    }
    text.push_str(
        "\n[guard]                     # a plan beyond these is shown, but applied only with --allow-large\n\
         max_triggers = 100\nmax_stops    = \"20%\"\n",
    );
    text
}

/// A block for each external trigger that is not configured yet, and how many there are.
pub(super) fn blocks(listed: &[ListedAutomation], configured: &[Automation]) -> (String, usize) {
    let known: BTreeSet<&TriggerCode> = configured
        .iter()
        .map(|automation| &automation.trigger_code)
        .collect();
    let mut taken: BTreeSet<String> = configured
        .iter()
        .map(|automation| automation.name.to_string())
        .collect();
    let mut by_code: BTreeMap<TriggerCode, Vec<Found<'_>>> = BTreeMap::new();
    let mut order = Vec::new();
    for automation in listed {
        for trigger in &automation.triggers {
            let code = trigger.code.as_deref().map(TriggerCode::new);
            let Some(Ok(code)) = code else { continue };
            if known.contains(&code) {
                continue;
            }
            let found = by_code.entry(code.clone()).or_default();
            if found.is_empty() {
                order.push(code);
            }
            found.push(Found {
                automation: automation
                    .name
                    .as_deref()
                    .unwrap_or("an automation without a name"),
                trigger: trigger.name.as_deref(),
                is_active: automation.active != Some(false),
                has_others: automation.triggers.len() > 1,
            });
        }
    }
    let mut text = "# The automations with an external trigger that Spotler lists.\n\
        # participation is set in Spotler's Publisher, and is not in the list: set it here to the same value,\n\
        # \"unlimited\" (the default), \"once-while-running\" or \"once\".\n"
        .to_owned();
    for code in &order {
        let found = &by_code[code];
        let name = unique(&found[0].slug(), &mut taken);
        text.push('\n');
        for found in found {
            let _ = writeln!(text, "# {}", found.line());
        }
        let _ = writeln!(
            text,
            "[automation.{name}]\ntrigger_code = {}",
            quoted(code.as_str())
        );
    }
    (text, order.len())
}

/// A trigger as it is listed.
struct Found<'a> {
    automation: &'a str,
    trigger: Option<&'a str>,
    is_active: bool,
    /// Whether its automation has other triggers, so that its name alone does not tell them apart.
    has_others: bool,
}

impl Found<'_> {
    fn line(&self) -> String {
        let mut line = SafeText(self.automation).to_string();
        if let Some(trigger) = self.trigger {
            let _ = write!(line, ": {}", SafeText(trigger));
        }
        if !self.is_active {
            line.push_str(" (inactive in Spotler: its triggers fail)");
        }
        line
    }

    /// A name for the configuration: small letters, digits and hyphens.
    fn slug(&self) -> String {
        let trigger = self.trigger.filter(|_| self.has_others).unwrap_or_default();
        let words = format!("{} {trigger}", self.automation).to_lowercase();
        let words: Vec<&str> = words
            .split(|c: char| !c.is_ascii_alphanumeric())
            .filter(|word| !word.is_empty())
            .collect();
        match words.is_empty() {
            true => "automation".to_owned(),
            false => words.join("-").chars().take(64).collect(),
        }
    }
}

fn unique(name: &str, taken: &mut BTreeSet<String>) -> String {
    let numbered = (2..).map(|number| format!("{name}-{number}"));
    let mut names = std::iter::once(name.to_owned()).chain(numbered);
    // There are more numbers than names.
    let free = names.find(|name| !taken.contains(name)).unwrap_or_default();
    taken.insert(free.clone());
    free
}

/// A text as TOML writes it.
fn quoted(text: &str) -> String {
    toml::Value::String(text.to_owned()).to_string()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::spotler::ListedTrigger;

    fn listed(name: &str, active: Option<bool>, triggers: &[(&str, &str)]) -> ListedAutomation {
        ListedAutomation {
            name: Some(name.to_owned()),
            active,
            triggers: triggers
                .iter()
                .map(|(code, name)| ListedTrigger {
                    code: Some((*code).to_owned()),
                    name: Some((*name).to_owned()),
                })
                .collect(),
            ..ListedAutomation::default()
        }
    }

    #[test]
    fn each_trigger_becomes_a_block_of_its_own_name() {
        let list = [
            listed(
                "Klant & Co",
                None,
                &[("c-1", "Werd klant"), ("c-2", "Terug")],
            ),
            listed("Welcome", Some(false), &[("c-3", "Signed up")]),
            listed("Welcome", None, &[("c-4", "Signed up\u{1b}[31m")]),
            listed("Second of one code", None, &[("c-3", "Signed up")]),
            listed("名前", None, &[("c-5", "x")]),
        ];
        let (text, count) = blocks(&list, &[]);
        assert_eq!(count, 5);
        let body = text.split_once("\n\n").unwrap().1;
        assert_eq!(
            body,
            "# Klant & Co: Werd klant\n[automation.klant-co-werd-klant]\ntrigger_code = \"c-1\"\n\n\
             # Klant & Co: Terug\n[automation.klant-co-terug]\ntrigger_code = \"c-2\"\n\n\
             # Welcome: Signed up (inactive in Spotler: its triggers fail)\n\
             # Second of one code: Signed up\n[automation.welcome]\ntrigger_code = \"c-3\"\n\n\
             # Welcome: Signed up\\u{1b}[31m\n[automation.welcome-2]\ntrigger_code = \"c-4\"\n\n\
             # 名前: x\n[automation.automation]\ntrigger_code = \"c-5\"\n"
        );
    }
}
