//! What Git has of a trial: the rules of another revision, and the exports of the past.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use jiff::Timestamp;
use tempfile::TempDir;

use super::{Exports, Trial, TrialOptions, trial};
use crate::config::{self, Config, SourceKind};
use crate::engine::against::at_revision;
use crate::engine::git::{Checkout, GitError, git, run, text};
use crate::engine::plan::apart;
use crate::engine::{Engine, Error};

impl Engine {
    /// The rules of a revision, with the data of the working tree.
    ///
    /// # Errors
    /// That there are none, or what is wrong with them.
    pub async fn rules_of(&self, revision: &str) -> Result<&'static Config, Error> {
        let (file, typed) = (self.config.file.clone(), revision.to_owned());
        let checkout = apart("git", move || Checkout::of(&file, &typed)).await??;
        let root = Some(self.config.root.as_path());
        let config = config::load_for(&checkout.file, root);
        let config = config.map_err(|problems| at_revision(problems, revision))?;
        // As the other one, it lives as long as the process.
        Ok(Box::leak(Box::new(config)))
    }

    /// Tries the rules of a revision.
    ///
    /// # Errors
    /// Those of [`trial`].
    pub async fn trial_of(
        &self,
        (config, revision): (&'static Config, &str),
        options: &TrialOptions,
    ) -> Result<Trial, Error> {
        let tried = trial(config, options, |_| ()).await;
        tried.map_err(|error| match error {
            Error::Problems(problems) => Error::from(at_revision(*problems, revision)),
            error => error,
        })
    }

    /// The exports that the commits of a range have, by source, each from the day of its commit on. They are written to a folder
    /// that goes with what is returned.
    ///
    /// # Errors
    /// What Git says, or that no commit changed any export.
    pub async fn exports_of(
        &self,
        range: &str,
    ) -> Result<(TempDir, BTreeMap<String, Exports>), Error> {
        let (config, range) = (self.config, range.to_owned());
        Ok(apart("git", move || exports(config, &range)).await??)
    }
}

fn exports(config: &Config, range: &str) -> Result<(TempDir, BTreeMap<String, Exports>), GitError> {
    let folder = tempfile::Builder::new().prefix("rollcall-").tempdir()?;
    let mut all = BTreeMap::new();
    // It would be an option.
    if range.is_empty() || range.starts_with('-') {
        return Err(GitError::NoExports(range.to_owned()));
    }
    for source in &config.sources {
        let SourceKind::Csv { path, shown, .. } = &source.kind else {
            continue;
        };
        let (Some(parent), Some(name)) = (path.parent(), path.file_name()) else {
            continue;
        };
        let log = ["log", "--reverse", "--format=%H %ct", range, "--"];
        let commits = run(git(parent).args(log).arg(name))?.map_err(GitError::Refused)?;
        let mut exports = Exports::new();
        for line in text(&commits).lines() {
            let Some((commit, at)) = line.split_once(' ') else {
                continue;
            };
            let at = at
                .parse()
                .ok()
                .and_then(|at| Timestamp::from_second(at).ok());
            let Some(at) = at else { continue };
            let date = at.to_zoned_datetime(config.zone.clone()).date();
            let mut file = std::ffi::OsString::from(format!("{commit}:./"));
            file.push(name);
            // One that a commit deleted leaves the one before.
            let Ok(content) = run(git(parent).arg("show").arg(file))? else {
                continue;
            };
            let to = folder.path().join(&source.name).join(format!("{date}.csv"));
            fs::create_dir_all(to.parent().unwrap_or(Path::new(".")))?;
            fs::write(&to, content)?;
            let short = commit.get(..12).unwrap_or(commit);
            exports.insert(date, (to, format!("{short}:{shown}")));
        }
        if !exports.is_empty() {
            all.insert(source.name.clone(), exports);
        }
    }
    match all.is_empty() {
        true => Err(GitError::NoExports(range.to_owned())),
        false => Ok((folder, all)),
    }
}
