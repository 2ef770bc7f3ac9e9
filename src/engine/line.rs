//! The way to Spotler, or to a sandbox inside this process.

use std::path::PathBuf;
use std::sync::Arc;

use super::{Engine, Error};
use crate::apply::Caller;
use crate::config::{Base, Config, ParticipationSetting};
use crate::location::Location;
use crate::sandbox::{self, Running, SANDBOX_KEY, SANDBOX_SECRET};
use crate::spotler::{Client, Credentials, ListedAutomation, Options};

/// Spotler, and the sandbox that stands in for it, where it is one.
pub(super) struct Line {
    pub caller: Arc<dyn Caller>,
    sandbox: Option<Running>,
}

impl Engine {
    /// Who asks Spotler.
    pub(super) fn credentials(&self) -> Result<Credentials, Error> {
        match &self.config.spotler.base {
            Base::Sandbox => Ok(Credentials::new(SANDBOX_KEY, SANDBOX_SECRET)),
            Base::Url(url) => match &*self.credentials {
                Ok(credentials) => Ok(credentials.clone()),
                Err(error) if url.host().is_none() => Err(Error::Credentials(format!(
                    "{error} `rollcall sandbox` takes SPOTLER_CONSUMER_KEY={SANDBOX_KEY} \
                     SPOTLER_CONSUMER_SECRET={SANDBOX_SECRET}."
                ))),
                Err(error) => Err(Error::Credentials(error.to_string())),
            },
        }
    }

    /// The way to Spotler, to the sandbox, or to what stands in for both.
    pub(super) async fn line(&self, calls: u64) -> Result<Line, Error> {
        let (caller, sandbox): (Arc<dyn Caller>, _) = match &self.spotler {
            Some(caller) => (caller.clone(), None),
            None => {
                let (client, sandbox) = self.client(calls).await?;
                (Arc::new(client), sandbox)
            }
        };
        Ok(Line { caller, sandbox })
    }

    /// Makes the client, and starts the sandbox where the configuration says so: one whose memory is lost gives no ids that
    /// may be among those of `calls` that were made before.
    async fn client(&self, calls: u64) -> Result<(Client, Option<Running>), Error> {
        let config = self.config;
        let credentials = self.credentials()?;
        let (base_url, sandbox) = match &config.spotler.base {
            Base::Url(url) => (url.clone(), None),
            Base::Sandbox => {
                let options = sandbox::Options {
                    triggers: sandbox_triggers(config),
                    memory: Some(sandbox_memory(config)),
                    given: calls,
                    ..sandbox::Options::default()
                };
                let running = sandbox::start(options).await.map_err(Error::Sandbox)?;
                (running.base_url().parse()?, Some(running))
            }
        };
        let client = Client::new(Options {
            base_url,
            credentials,
            paths: config.spotler.paths.clone(),
            timeout: config.spotler.timeout,
            connections: config.spotler.concurrency,
        })?;
        Ok((client, sandbox))
    }

    /// The automations that Spotler lists.
    ///
    /// # Errors
    /// That it cannot be asked, or what it answers instead.
    pub async fn listed_automations(&self) -> Result<Vec<ListedAutomation>, Error> {
        let (client, sandbox) = self.client(0).await?;
        let listed = client.automations().await;
        let caller = Arc::new(client);
        Line { caller, sandbox }.close().await;
        listed.map_err(Error::NotListed)
    }
}

impl Line {
    /// Ends the sandbox, if there is one.
    pub(super) async fn close(self) {
        drop(self.caller);
        if let Some(sandbox) = self.sandbox {
            sandbox.shutdown().await;
        }
    }
}

/// The built-in sandbox remembers next to the record, so that a second apply finds what the first one did. Where that is in
/// a database, it remembers in the folder where a record would be else.
fn sandbox_memory(config: &Config) -> PathBuf {
    let mut name = match &config.record.at {
        Location::File(path) => path.clone().into_os_string(),
        _ => {
            let folder = config.root.join("state");
            // Where it cannot be made, the sandbox says so.
            let _ = std::fs::create_dir_all(&folder);
            folder.join("rollcall").into_os_string()
        }
    };
    name.push(".sandbox.jsonl");
    PathBuf::from(name)
}

/// The configured automations, as a sandbox knows them.
pub fn sandbox_triggers(config: &Config) -> Vec<sandbox::Trigger> {
    let triggers = config.automations.iter().map(|automation| {
        let setting = match automation.participation {
            ParticipationSetting::Unlimited => sandbox::Setting::Unlimited,
            ParticipationSetting::OnceWhileRunning => sandbox::Setting::OnceWhileRunning,
            ParticipationSetting::Once => sandbox::Setting::Once,
        };
        let code = automation.trigger_code.as_str();
        sandbox::Trigger::new(automation.name.as_str(), code, setting)
    });
    triggers.collect()
}
