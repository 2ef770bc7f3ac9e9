//! Reading a whole configuration: all files, all problems, one result.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;

use toml::Spanned;
use toml::de::DeTable;

use super::automation::{automation, warnings};
use super::diagnostic::{Diagnostic, Files, Place, Problems};
use super::enrol::{Known, contact, enrol, suppress};
use super::files::{included, read, shown};
use super::model::{Automation, Config, Source};
use super::reader::{Ctx, Doc, Item, Sink, Table};
use super::settings::Settings;
use super::source::source;
use crate::digest::Hasher;

/// Reads and checks `rollcall.toml` and all that it includes. Touches neither the network nor the record, nor a source.
///
/// # Errors
/// Every problem of every file.
pub fn load(file: &Path) -> Result<Config, Problems> {
    // Links are followed once, so that a path that goes up from here goes up from where the file really is.
    let file = file.canonicalize().map_err(|error| {
        let message = format!("{} cannot be read: {error}", file.display());
        Problems::one(Diagnostic::nowhere(message))
    })?;
    let root = file.parent().unwrap_or(Path::new("/"));
    let sink = Sink::default();
    let mut texts: Vec<(Arc<str>, Arc<str>)> = Vec::new();
    let first = shown(root, &file);
    match read(&file, &first) {
        Ok(text) => texts.push((first, Arc::from(text))),
        Err(problem) => return Err(Problems::one(*problem)),
    }
    for path in includes(root, &texts[0], &sink) {
        let name = shown(root, &path);
        if texts.iter().any(|(other, _)| *other == name) {
            continue;
        }
        match read(&path, &name) {
            Ok(text) => texts.push((name, Arc::from(text))),
            Err(problem) => sink.push(*problem),
        }
    }
    merge(root, texts, sink)
}

/// The files that the first one includes.
fn includes(
    root: &Path,
    (file, text): &(Arc<str>, Arc<str>),
    sink: &Sink,
) -> Vec<std::path::PathBuf> {
    let (tree, errors) = DeTable::parse_recoverable(text);
    if !errors.is_empty() {
        // These are reported when the file is read as a whole.
        return Vec::new();
    }
    let doc = Doc::new(file.clone(), text);
    let table = Table::new(
        Ctx { doc: &doc, sink },
        "rollcall.toml",
        0..0,
        tree.get_ref(),
    );
    let Some(item) = table.get("include") else {
        return Vec::new();
    };
    let mut paths = Vec::new();
    for (pattern, item) in item.texts("an array such as [\"lifecycle/*.toml\"]") {
        paths.extend(included(root, pattern, &item));
    }
    paths
}

/// One file, parsed.
struct Parsed<'a> {
    doc: Doc,
    tree: Spanned<DeTable<'a>>,
    is_sound: bool,
}

fn merge(root: &Path, texts: Vec<(Arc<str>, Arc<str>)>, sink: Sink) -> Result<Config, Problems> {
    let parsed: Vec<Parsed<'_>> = texts
        .iter()
        .map(|(file, text)| parse(file, text, &sink))
        .collect();
    let sound = || parsed.iter().filter(|parsed| parsed.is_sound);
    let is_complete = parsed.iter().all(|parsed| parsed.is_sound) && sink.len() == 0;
    let table = |parsed: &'_ Parsed<'_>| parsed.doc.file.to_string();

    // The time zone decides how the other values are read, so it comes first.
    let mut settings = Settings::default();
    let mut named = Named::default();
    let mut blocks = Vec::new();
    for parsed in sound() {
        let ctx = Ctx {
            doc: &parsed.doc,
            sink: &sink,
        };
        let top = Table::new(ctx, table(parsed), 0..0, parsed.tree.get_ref());
        let is_first = parsed.doc.file == texts[0].0;
        if let Some(item) = top.get("include")
            && !is_first
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
            settings.record(table, root);
        }
        for key in ["automation", "source", "contact"] {
            if let Some(item) = top.get(key)
                && let Some(table) = item.table(format!("[{key}]"))
            {
                named.add(key, table);
            }
        }
        for key in ["enrol", "suppress"] {
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
    let mut automations: Vec<Automation> = named.of("automation", &sink, automation);
    automations.sort_by(|a, b| a.name.cmp(&b.name));
    let mut sources: Vec<Source> = named.of("source", &sink, |item| source(item, root));
    sources.sort_by(|a, b| a.name.cmp(&b.name));
    let contacts = named.of("contact", &sink, |item| contact(item, &zone));
    let contacts: BTreeMap<_, _> = contacts.into_iter().collect();
    let known = Known {
        automations: &automations,
        sources: &sources,
        contacts: &contacts,
        zone: &zone,
        // Where a definition has a problem of its own, that it is not known is no second one.
        is_complete: is_complete && sink.len() == before_names,
    };
    let mut enrols = Vec::new();
    let mut suppressed = BTreeMap::new();
    for (key, item) in blocks {
        let Some(table) = item.table(format!("[[{key}]]")) else {
            continue;
        };
        if key == "enrol" {
            enrols.extend(enrol(table, &known));
        } else {
            for (id, suppression) in suppress(table) {
                suppressed.entry(id).or_insert(suppression);
            }
        }
    }
    drop(named);

    let mut hasher = Hasher::new();
    let mut sorted: Vec<_> = texts.iter().collect();
    sorted.sort();
    for (file, text) in sorted {
        hasher.part(file.as_bytes()).part(text.as_bytes());
    }
    let files = Files(texts.iter().cloned().collect());
    drop(parsed);
    let list = sink.into_inner();
    if !list.is_empty() {
        return Err(Problems { list, files });
    }
    let (spotler, record, guard, zone) = settings.complete(root);
    Ok(Config {
        root: root.to_owned(),
        warnings: warnings(&automations),
        digest: hasher.finish(),
        files,
        spotler,
        record,
        guard,
        zone,
        automations,
        sources,
        contacts,
        enrols,
        suppressed,
    })
}

fn parse<'a>(file: &Arc<str>, text: &'a str, sink: &Sink) -> Parsed<'a> {
    let doc = Doc::new(file.clone(), text);
    let (tree, errors) = DeTable::parse_recoverable(text);
    for error in &errors {
        let span = error.span().unwrap_or(0..0);
        // The parser puts advice on lines of its own.
        let mut lines = error.message().lines();
        let message = lines.next().unwrap_or("this is not TOML").to_owned();
        let help: Vec<&str> = lines
            .map(str::trim)
            .filter(|line| !line.is_empty())
            .collect();
        let diagnostic = Diagnostic::at(doc.place(span), message);
        sink.push(match help.is_empty() {
            true => diagnostic.help("see https://toml.io for how TOML is written"),
            false => diagnostic.help(help.join("; ")),
        });
    }
    Parsed {
        is_sound: errors.is_empty(),
        doc,
        tree,
    }
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
