//! `[notify]`: who is told that an apply did not end well.

use std::path::Path;
use std::sync::Arc;

use super::diagnostic::{Diagnostic, Place};
use super::files::{FILE_NAME, read, shown};
use super::load::includes;
use super::reader::{Ctx, Item, Sink, Table};
use super::settings::Settings;
use super::syntax::{Parsed, parse};
use crate::location::Location;
use crate::webhook::Webhook;

const EXAMPLE: &str = "\"$ROLLCALL_WEBHOOK\" to take the address from that environment variable";

/// How the reason ends where the variable is not set.
const UNSET: &str = " is not set";

/// `[notify]`.
#[derive(Debug, Clone)]
pub struct Notify {
    /// Where to post; or why that is not known, in words without the address.
    pub webhook: Result<Webhook, String>,
    /// Where it is set.
    pub place: Place,
}

impl Notify {
    /// Warns of an address that nothing can be posted to.
    pub(super) fn warning(&self) -> Option<Diagnostic> {
        // Who only plans need not have it.
        let why = self
            .webhook
            .as_ref()
            .err()
            .filter(|why| !why.ends_with(UNSET))?;
        let message = format!("{why}, so nobody is notified");
        let help = "set it to the address that Slack, Mattermost or Teams gave you";
        Some(Diagnostic::at(self.place.clone(), message).help(help))
    }
}

/// Reads `url`: `$NAME`, which is what that environment variable says, or an address on this machine.
pub(super) fn url(item: &Item<'_>) -> Option<Result<Webhook, String>> {
    let text = item.text(EXAMPLE)?;
    let Some(name) = text.strip_prefix('$') else {
        if let Ok(webhook) = Webhook::parse(text)
            && text.starts_with("http://")
        {
            return Some(Ok(webhook));
        }
        item.wrong(
            "`url` is an address in the file, and whoever reads it can post there",
            "write \"$ROLLCALL_WEBHOOK\", and set that environment variable; if others have the file, make a new webhook",
        );
        return None;
    };
    let is_part = |c: char| c.is_ascii_alphanumeric() || c == '_';
    if name.is_empty() || !name.chars().all(is_part) {
        item.wrong(
            "`url` does not name an environment variable",
            format!("write {EXAMPLE}"),
        );
        return None;
    }
    Some(match std::env::var(name) {
        Ok(value) if !value.is_empty() => {
            Webhook::parse(&value).map_err(|why| format!("the value of ${name} {why}"))
        }
        _ => Err(format!("${name}{UNSET}")),
    })
}

/// What can be told from a configuration that is not valid: whom to notify of that, and where its record is.
pub fn notify_of(file: &Path) -> Option<(Notify, Location)> {
    let file = file.canonicalize().ok()?;
    let root = file.parent()?;
    let sink = Sink::default();
    let name = shown(root, &file);
    let text = read(&file, &name, "").ok()?;
    let first = parse(&name, &text, &sink);
    let others: Vec<(Arc<str>, Arc<str>)> = includes(root, &first, &sink)
        .into_iter()
        .filter(|path| !path.ends_with(FILE_NAME))
        .filter_map(|path| {
            let name = shown(root, &path);
            let text = read(&path, &name, "").ok()?;
            Some((name, text))
        })
        .collect();
    let others = others.iter().map(|(file, text)| parse(file, text, &sink));
    let mut settings = Settings::default();
    let parsed: Vec<Parsed<'_>> = std::iter::once(first).chain(others).collect();
    for parsed in &parsed {
        let ctx = Ctx {
            doc: &parsed.doc,
            sink: &sink,
        };
        let top = Table::new(ctx, FILE_NAME, 0..0, parsed.tree.get_ref());
        let table = |key| top.get(key).and_then(|item| item.table(key));
        if let Some(table) = table("notify") {
            settings.notify(table);
        }
        if let Some(table) = table("record") {
            settings.record(table, root);
        }
    }
    let notify = settings.take_notify()?;
    let (_, record, ..) = settings.complete(root);
    Some((notify, record.at))
}
