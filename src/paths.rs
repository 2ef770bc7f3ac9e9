//! The paths of Spotler's calls: the one place where what is inferred of the API stands.

/// The paths of the calls, below the base URL. `{trigger_code}` and `{participation}` stand for the ids.
///
/// `trigger` is in the vendor's API description; the others are inferred from the rest of the same API and not
/// confirmed, so the configuration can override all of them (`[spotler.paths]`).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Paths {
    /// Starts a participation.
    pub trigger: String,
    /// Stops all participations of a contact (inferred).
    pub stop: String,
    /// Stops one participation (inferred).
    pub stop_one: String,
    /// Lists the automations (inferred).
    pub list: String,
}

impl Default for Paths {
    fn default() -> Self {
        Self {
            trigger: "automation/trigger/{trigger_code}".to_owned(),
            stop: "automation/stop/{trigger_code}".to_owned(),
            stop_one: "automation/stop/{trigger_code}/{participation}".to_owned(),
            list: "automation/list".to_owned(),
        }
    }
}
