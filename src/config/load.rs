//! Reading a whole configuration: all files, all problems, one result.

use std::collections::{BTreeMap, BTreeSet, HashSet};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::automation::{alike, automation, single_braces, warnings};
use super::diagnostic::{Diagnostic, Files, Place, Problems};
use super::enrol::{Known, attributes, contact, enrol};
use super::exclusive::exclusive;
use super::expect::expect;
use super::files::{FILE_NAME, included, read, shown};
use super::freeze::freeze;
use super::lot::overlaps;
use super::merged::{listing, merged};
use super::model::{Automation, Config, RecordLocation, Source, SourceKind};
use super::moved::{moved, resolve};
use super::notify::Notify;
use super::reader::{Ctx, Item, Sink, Table};
use super::settings::Settings;
use super::source::{check_inputs, source};
use super::suppress::{require, suppress};
use super::syntax::{Parsed, parse};
use crate::digest::Hasher;
use crate::location::Location;

/// Reads and checks `rollcall.toml` and all that it includes. Touches neither the network nor the record, nor a source.
///
/// # Errors
/// Every problem of every file.
pub fn load(file: &Path) -> Result<Config, Problems> {
    load_for(file, None)
}

/// The same of files that stand elsewhere than their sources: relative paths of data lead from `data`.
///
/// # Errors
/// Every problem of every file.
pub fn load_for(file: &Path, data: Option<&Path>) -> Result<Config, Problems> {
    // Links are followed once, so that a path that goes up from here goes up from where the file really is.
    let file = file.canonicalize().map_err(|error| {
        let message = format!("{} cannot be read: {error}", file.display());
        Problems::one(Diagnostic::nowhere(message))
    })?;
    let root = file.parent().unwrap_or(Path::new("/"));
    let sink = Sink::default();
    let name = shown(root, &file);
    let text = read(&file, &name, "restore it").map_err(|problem| Problems::one(*problem))?;
    let first = parse(&name, &text, &sink);
    let before = sink.len();
    let mut others: Vec<(Arc<str>, Arc<str>)> = Vec::new();
    let mut known = HashSet::from([name.clone()]);
    for path in includes(root, &first, &sink) {
        let shown = shown(root, &path);
        if !known.insert(shown.clone()) {
            continue;
        }
        let if_empty = "restore it; if it is no longer wanted, delete it";
        match read(&path, &shown, if_empty) {
            Ok(text) => others.push((shown, text)),
            Err(problem) => sink.push(*problem),
        }
    }
    let all_read = sink.len() == before;
    let others = others.iter().map(|(file, text)| parse(file, text, &sink));
    let parsed = std::iter::once(first).chain(others).collect();
    merge(&file, data.unwrap_or(root), parsed, all_read, &sink)
}

/// The files that the first one includes.
pub(super) fn includes(root: &Path, first: &Parsed<'_>, sink: &Sink) -> Vec<PathBuf> {
    let ctx = Ctx {
        doc: &first.doc,
        sink,
    };
    let table = Table::new(ctx, FILE_NAME, 0..0, first.tree.get_ref());
    // A list without an end would take in all that follows it.
    let Some(item) = table.get("include").filter(|item| first.is_sound(item)) else {
        return Vec::new();
    };
    let mut paths = Vec::new();
    for (pattern, item) in item.texts("an array such as [\"lifecycle/*.toml\"]") {
        paths.extend(included(root, pattern, &item));
    }
    paths
}

fn merge(
    file: &Path,
    root: &Path,
    parsed: Vec<Parsed<'_>>,
    all_read: bool,
    sink: &Sink,
) -> Result<Config, Problems> {
    let is_complete = all_read && parsed.iter().all(Parsed::is_whole);
    let table = |parsed: &'_ Parsed<'_>| parsed.doc.file.to_string();

    // The time zone decides how the other values are read, so it comes first.
    let mut settings = Settings::default();
    let mut named = Named::default();
    let mut blocks = Vec::new();
    let mut record_places = Vec::new();
    for (number, parsed) in parsed.iter().enumerate() {
        let ctx = Ctx {
            doc: &parsed.doc,
            sink,
        };
        let top = Table::new(ctx, table(parsed), 0..0, parsed.tree.get_ref());
        if let Some(item) = top.get("include")
            && number > 0
        {
            item.ctx.problem(
                item.key_span.clone(),
                "only rollcall.toml may include other files",
                "move this to rollcall.toml",
            );
        }
        for (key, read) in [
            ("spotler", Settings::spotler as fn(&mut Settings, Table<'_>)),
            ("guard", Settings::guard),
            ("window", Settings::window),
            ("limit", Settings::limit),
            ("notify", Settings::notify),
            ("time", Settings::time),
        ] {
            if let Some(item) = top.get(key)
                && let Some(table) = item.table(format!("[{key}]"))
            {
                read(&mut settings, table);
            }
        }
        if let Some(item) = top.get("record")
            && let Some(table) = item.table("[record]")
        {
            let places = settings.record(table, root);
            record_places.extend(places.into_iter().map(|span| (number, span)));
        }
        for key in ["automation", "source", "contact"] {
            if let Some(item) = top.get(key)
                && let Some(table) = item.table(format!("[{key}]"))
            {
                named.add(key, table);
            }
        }
        for key in [
            "enrol",
            "suppress",
            "require",
            "merged",
            "exclusive",
            "freeze",
            "expect",
            "moved",
        ] {
            if let Some(item) = top.get(key) {
                match item.array() {
                    Some(items) => blocks.extend(items.into_iter().map(|item| (key, item))),
                    None => item.wrong_type(
                        "a list of tables",
                        &format!("`[[{key}]]`, with two brackets"),
                    ),
                }
            }
        }
        top.finish();
    }

    let zone = settings.zone();
    let before_names = sink.len();
    let mut automations: Vec<Automation> = named.of("automation", sink, automation);
    let place = |of: &Place| parsed.iter().position(|file| file.doc.file == of.file);
    automations.sort_by_key(|of| (place(&of.place), of.place.line));
    for (order, automation) in automations.iter_mut().enumerate() {
        automation.order = order;
    }
    automations.sort_by(|a, b| a.name.cmp(&b.name));
    let of_merges = listing(&blocks);
    let mut sources: Vec<Source> = named.of("source", sink, |item| {
        source(item, root, of_merges.contains(item.key))
    });
    sources.sort_by(|a, b| a.name.cmp(&b.name));
    // One with a problem of its own is not among them.
    if is_complete && sink.len() == before_names {
        check_inputs(&sources, sink);
    }
    let contacts = named.of("contact", sink, |item| contact(item, &zone));
    let contacts: BTreeMap<_, _> = contacts.into_iter().collect();
    let known = Known {
        automations: &automations,
        sources: &sources,
        contacts: &contacts,
        attributes: attributes(&contacts),
        zone: &zone,
        written: is_complete.then(|| named.written()),
        is_complete: is_complete && sink.len() == before_names,
    };
    let mut enrols = Vec::new();
    let mut suppressions = Vec::new();
    let mut suppressed: BTreeMap<_, Vec<usize>> = BTreeMap::new();
    let mut expects = Vec::new();
    let mut exclusives = Vec::new();
    let mut freezes = Vec::new();
    let mut moves = Vec::new();
    let mut merges = Vec::new();
    for (key, item) in blocks {
        let Some(table) = item.table(format!("[[{key}]]")) else {
            continue;
        };
        match key {
            "enrol" => enrols.extend(enrol(table, &known)),
            "expect" => expects.extend(expect(table, &known)),
            "exclusive" => exclusives.extend(exclusive(table, &known)),
            "freeze" => freezes.extend(freeze(table, &known)),
            "moved" => moves.extend(moved(table)),
            "require" => suppressions.push(require(table, &known)),
            "merged" => merges.extend(merged(table, &known)),
            _ => {
                let (contacts, suppression) = suppress(table, &known);
                for id in contacts {
                    suppressed.entry(id).or_default().push(suppressions.len());
                }
                suppressions.push(suppression);
            }
        }
    }

    let moves = resolve(moves, &known);
    for overlap in overlaps(&enrols) {
        sink.push(overlap);
    }

    let mut hasher = Hasher::new();
    let texts = parsed
        .iter()
        .map(|parsed| (parsed.doc.file.clone(), parsed.text.clone()));
    let files = Files(texts.collect());
    // A record that is moved makes no other configuration.
    let mut hashed: BTreeMap<&str, String> = BTreeMap::new();
    for (number, parsed) in parsed.iter().enumerate() {
        let mut text = parsed.text.to_string();
        let mut places: Vec<_> = record_places
            .iter()
            .filter(|(of, _)| *of == number)
            .collect();
        places.sort_by_key(|(_, span)| std::cmp::Reverse(span.start));
        for (_, span) in places {
            text.replace_range(span.clone(), "");
        }
        hashed.insert(&parsed.doc.file, text);
    }
    for (file, text) in hashed {
        hasher.part(file.as_bytes()).part(text.as_bytes());
    }
    let list = sink.take();
    if !list.is_empty() {
        return Err(Problems { list, files });
    }
    let window = settings.take_window();
    let per_contact = settings.take_limit();
    let notify = settings.take_notify();
    let (spotler, record, guard, zone) = settings.complete(root);
    Ok(Config {
        file: file.to_owned(),
        root: root.to_owned(),
        warnings: [
            unsecured(&record),
            Vec::from_iter(notify.as_ref().and_then(Notify::warning)),
            unsecured_sources(&sources),
            warnings(&automations),
            alike(&automations, &enrols),
            single_braces(&automations, &enrols),
        ]
        .concat(),
        digest: hasher.finish(),
        files,
        spotler,
        record,
        guard,
        window,
        notify,
        per_contact,
        zone,
        automations,
        sources,
        contacts,
        enrols,
        suppressions,
        suppressed,
        expects,
        exclusives,
        freezes,
        moves,
        merges,
    })
}

/// Warns of a way to the record on which anybody may listen, and may answer.
fn unsecured(record: &RecordLocation) -> Vec<Diagnostic> {
    let place = record.place.as_ref();
    let warning = place.and_then(|place| insecure(&record.at, "the record", place));
    warning.into_iter().collect()
}

/// Warns of such ways to sources.
fn unsecured_sources(sources: &[Source]) -> Vec<Diagnostic> {
    let warning = |source: &Source| match &source.kind {
        SourceKind::Database { at, place, .. } => {
            insecure(at, &format!("source {}", source.name), place)
        }
        _ => None,
    };
    sources.iter().filter_map(warning).collect()
}

fn insecure(at: &Location, what: &str, place: &Place) -> Option<Diagnostic> {
    let Location::Database(database) = at else {
        return None;
    };
    let message = format!(
        "the connection to {what} may be unencrypted, and nobody checks which server answers"
    );
    let help = format!(
        "add {}, and {}=FILE if an authority of your own signed the server's certificate",
        database.secured(),
        database.roots()
    );
    (database.is_unsecured()).then(|| Diagnostic::at(place.clone(), message).help(help))
}

/// What is defined by name, over all files: a name that is defined twice is a problem.
#[derive(Default)]
struct Named<'a> {
    items: Vec<(&'static str, Item<'a>)>,
}

impl<'a> Named<'a> {
    fn add(&mut self, kind: &'static str, table: Table<'a>) {
        self.items.extend(table.items().map(|item| (kind, item)));
    }

    /// The kind and name of each, whatever its problems.
    fn written(&self) -> BTreeSet<(&'static str, &'a str)> {
        self.items
            .iter()
            .map(|(kind, item)| (*kind, item.key))
            .collect()
    }

    fn of<T>(&self, kind: &str, sink: &Sink, read: impl Fn(&Item<'a>) -> Option<T>) -> Vec<T> {
        let mut seen: BTreeMap<&str, Place> = BTreeMap::new();
        let mut list = Vec::new();
        for (_, item) in self.items.iter().filter(|(of, _)| *of == kind) {
            let place = item.ctx.doc.place(item.key_span.clone());
            if let Some(first) = seen.get(item.key) {
                sink.push(
                    Diagnostic::at(place, format!("[{kind}.{}] is defined twice", item.key))
                        .label("defined again here")
                        .related(first.clone(), "first defined here")
                        .help("keep one of the two, or give one another name"),
                );
                continue;
            }
            seen.insert(item.key, place);
            list.extend(read(item));
        }
        list
    }
}
