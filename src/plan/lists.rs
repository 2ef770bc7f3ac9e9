//! Whom lists suppress: which blocks keep somebody out, and whom a list has in other letters.

use hashbrown::HashMap;

use super::{Action, Plan, WhyStop};
use crate::config::{Config, Suppression};
use crate::id::AutomationName;
use crate::participation::{Move, Over};
use crate::roster::Roster;

/// The blocks that suppress a contact in an automation.
pub(super) fn blocks<'r>(
    contact: &str,
    automation: &AutomationName,
    config: &Config,
    roster: &'r Roster<'_>,
) -> impl Iterator<Item = &'r Suppression> {
    let mut names = config.automations.iter().map(|automation| &automation.name);
    let automation = names.position(|name| name == automation);
    let suppressions = roster.suppressions(contact).into_iter();
    suppressions.flat_map(move |of| of.all(automation))
}

/// Contacts, each with the lists that have it in other letters, and how.
pub(super) type Otherwise<'r> = HashMap<String, Vec<(&'r Suppression, &'r str)>>;

/// How a block has a contact in other letters, if it does.
pub(super) fn in_other_letters<'r>(
    otherwise: &Otherwise<'r>,
    of: &Suppression,
    contact: &str,
) -> Option<&'r str> {
    let mut lists = otherwise.get(contact)?.iter();
    lists
        .find(|(list, _)| list.place == of.place)
        .map(|(_, was)| *was)
}

/// Who is suppressed and on the list of a `[[require]]` in other letters, of those whom the plan stops or takes for suppressed.
pub(super) fn required_otherwise<'r>(
    plan: &Plan,
    config: &Config,
    roster: &'r Roster<'_>,
) -> Otherwise<'r> {
    if config.suppressions.iter().all(|block| !block.is_required) {
        return HashMap::new();
    }
    let contacts = suppressed(plan, config, roster).map(|(contact, _)| contact);
    roster.required_in_other_letters(contacts)
}

/// Whom the plan stops, or takes for suppressed, because of a suppression: contact and automation.
pub(super) fn suppressed<'r>(
    plan: &'r Plan,
    config: &'r Config,
    roster: &'r Roster<'_>,
) -> impl Iterator<Item = (&'r str, &'r AutomationName)> {
    let stops = plan.actions.iter().filter_map(|action| match action {
        Action::Stop(stop) if stop.why == WhyStop::Suppressed => {
            let key = &stop.participation.key;
            Some((key.contact.as_str(), &key.automation))
        }
        _ => None,
    });
    let ends = plan.turns.iter();
    let ends = ends.filter(|turn| matches!(turn.transition, Move::End(Over::Suppressed(_))));
    let ends = ends.map(|turn| {
        let (contact, automation, _) = turn.of(config, roster);
        (contact, automation)
    });
    stops.chain(ends)
}
