//! The effect of a change of rules alone: the same exports under the rules of a Git revision and of the working tree.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::sync::Arc;

use super::git::Checkout;
use super::plan::apart;
use super::{Engine, Error};
use crate::config::{self, Config, Problems};
use crate::plan::Filter;
use crate::roster::{self, Enrolment, Roster, Undeclared};
use crate::source::Recorded;

/// Who comes in and who goes out by a change of rules.
#[derive(Debug)]
pub struct Comparison {
    /// The revision, as it was typed.
    pub against: String,
    /// Its commit.
    pub commit: String,
    /// By contact, those who go out before those who come in, then by automation and occurrence.
    pub changes: Vec<Change>,
    /// The enrolments by the rules of the working tree.
    pub roster: Arc<Roster<'static>>,
}

/// An enrolment that one of the two has.
#[derive(Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Change {
    /// The person.
    pub contact: String,
    /// Whether it comes in by the rules of the working tree; else it goes out.
    pub comes_in: bool,
    /// The automation's name.
    pub automation: String,
    /// The occurrence, if it is of one.
    pub occurrence: Option<String>,
    /// Why.
    pub reason: String,
    /// The block that declares it: of the working tree if it comes in, of the revision if it goes out.
    pub declared_at: String,
}

/// What tells enrolments of one contact apart: the automation's name now, and the occurrence.
type Key<'a> = (&'a str, Option<&'a str>);

impl Engine {
    /// Compares the rosters by the rules of a revision and by those of the working tree, without the record. Who stays in by a
    /// `stay` alone is not among them, since only the record knows who that is.
    ///
    /// # Errors
    /// That there are no such rules, or what is wrong with either of the two.
    pub async fn against(&self, revision: &str, filter: &Filter) -> Result<Comparison, Error> {
        let (file, typed) = (self.config.file.clone(), revision.to_owned());
        let checkout = apart("git", move || Checkout::of(&file, &typed)).await??;
        let roster = Arc::new(self.declared_by(self.config, filter).await?);
        self.check_expected(&roster, Vec::new()).await?;
        let root = Some(self.config.root.as_path());
        let at_revision = |problems| at_revision(problems, revision);
        let config = config::load_for(&checkout.file, root).map_err(at_revision)?;
        // As the other one, it lives as long as the process.
        let config: &'static Config = Box::leak(Box::new(config));
        let old = self.declared_by(config, filter).await;
        let old = old.map_err(|error| match error {
            Error::Problems(problems) => Error::from(at_revision(*problems)),
            other => other,
        })?;
        let (now, filter) = (roster.clone(), filter.clone());
        let new = self.config;
        let compare = move || {
            let old = Side {
                config,
                roster: &old,
            };
            let new = Side {
                config: new,
                roster: &now,
            };
            changes(&old, &new, &filter)
        };
        Ok(Comparison {
            against: revision.to_owned(),
            commit: checkout.commit.clone(),
            changes: apart("comparison", compare).await??,
            roster,
        })
    }

    async fn declared_by(
        &self,
        config: &'static Config,
        filter: &Filter,
    ) -> Result<Roster<'static>, Error> {
        let (now, contact) = (self.now(), filter.contact.clone());
        let record = Recorded::Empty("`plan --against` compares the rules without the record");
        let build = move || match contact {
            Some(contact) => roster::build_for(config, contact.as_str(), now, record),
            None => roster::build(config, now, record),
        };
        Ok(apart("roster", build).await??)
    }
}

/// Problems of the rules of a revision, in files that are called as Git calls them.
pub(super) fn at_revision(problems: Problems, revision: &str) -> Problems {
    let Problems { mut list, files } = problems;
    let named = |file: &str| -> Arc<str> { Arc::from(format!("{revision}:{file}")) };
    for problem in &mut list {
        match &mut problem.at {
            Some(at) => at.file = named(&at.file),
            None => problem.message = format!("by the rules of {revision}: {}", problem.message),
        }
        for (at, _) in &mut problem.related {
            at.file = named(&at.file);
        }
    }
    let files = files.0.iter();
    let files = files.map(|(file, text)| (named(file), text.clone()));
    Problems {
        list,
        files: config::Files(files.collect()),
    }
}

/// A configuration and its enrolments.
struct Side<'a> {
    config: &'a Config,
    roster: &'a Roster<'a>,
}

impl<'a> Side<'a> {
    fn change(&self, of: &Enrolment<'_>, name: &str, comes_in: bool, reason: String) -> Change {
        Change {
            contact: of.contact.to_owned(),
            comes_in,
            automation: name.to_owned(),
            occurrence: of.occurrence.map(str::to_owned),
            reason,
            declared_at: self.config.enrols[of.block].place.to_string(),
        }
    }
}

/// The enrolments that one of two rosters has.
fn changes(old: &Side<'_>, new: &Side<'_>, filter: &Filter) -> Result<Vec<Change>, Error> {
    let names: Vec<&str> = new
        .config
        .automations
        .iter()
        .map(|of| of.name.as_str())
        .collect();
    // Who only takes a new name neither goes nor comes.
    let old_names = old.config.automations.iter().map(|of| {
        let moved = || new.config.moved_to(&of.name).map(|name| name.as_str());
        let is_there = names.contains(&of.name.as_str());
        let moved = if is_there { None } else { moved() };
        moved.unwrap_or(of.name.as_str())
    });
    let old_names: Vec<&str> = old_names.collect();
    let is_wanted = |name: &str| {
        filter
            .automation
            .as_ref()
            .is_none_or(|of| of.as_str() == name)
    };
    let mut gone = Vec::new();
    let mut come = Vec::new();
    let mut before = old.roster.enrolments().peekable();
    let mut after = new.roster.enrolments().peekable();
    let mut of_one: BTreeMap<Key<'_>, Enrolment<'_>> = BTreeMap::new();
    loop {
        let next = [before.peek(), after.peek()];
        let Some(contact) = next.into_iter().flatten().map(|of| of.contact).min() else {
            break;
        };
        while let Some(of) = before.next_if(|of| of.contact == contact) {
            of_one.insert((old_names[of.automation], of.occurrence), of);
        }
        while let Some(of) = after.next_if(|of| of.contact == contact) {
            if of_one
                .remove(&(names[of.automation], of.occurrence))
                .is_none()
            {
                come.push(of);
            }
        }
        gone.extend(std::mem::take(&mut of_one).into_values());
    }
    gone.retain(|of| is_wanted(old_names[of.automation]));
    come.retain(|of| is_wanted(names[of.automation]));
    let reasons = why_gone(new, &gone, &old_names)?;
    let gone = gone.iter().zip(reasons);
    let gone = gone.map(|(of, why)| old.change(of, old_names[of.automation], false, why));
    let suppressed: HashSet<(&str, &str)> = (old.roster.withheld())
        .map(|of| (of.contact, old_names[of.automation]))
        .collect();
    let come = come.iter().map(|of| {
        let name = names[of.automation];
        let why = match suppressed.contains(&(of.contact, name)) {
            true => "no longer suppressed",
            false => "new",
        };
        new.change(of, name, true, why.to_owned())
    });
    let mut changes: Vec<Change> = gone.chain(come).collect();
    changes.sort_unstable();
    Ok(changes)
}

/// Why the new rules do not declare what the old ones did.
fn why_gone(
    new: &Side<'_>,
    gone: &[Enrolment<'_>],
    old_names: &[&str],
) -> Result<Vec<String>, Error> {
    let by_name: HashMap<&str, usize> = (new
        .config
        .automations
        .iter()
        .map(|of| of.name.as_str())
        .zip(0..))
    .collect();
    let asked = gone.iter().map(|of| {
        let automation = *by_name
            .get(old_names[of.automation])
            .ok_or_else(|| "the automation is gone from the configuration".to_owned())?;
        match new.roster.displaced_by(of.contact, automation) {
            Some(reason) => Err(reason),
            None => Ok(Undeclared {
                contact: of.contact,
                automation,
                occurrence: of.occurrence,
            }),
        }
    });
    let asked: Vec<Result<Undeclared<'_>, String>> = asked.collect();
    let unknown: Vec<Undeclared<'_>> = asked.iter().flatten().copied().collect();
    let mut found = new.roster.absence(&unknown)?.into_iter();
    let reasons = asked.into_iter().map(|asked| match asked {
        Ok(_) => found.next().unwrap_or_default(),
        Err(known) => known,
    });
    Ok(reasons.collect())
}
