//! The wire: signature, messages, client. The only place that knows HTTP.
//!
//! Each call is one attempt. Repeating is for the caller to decide, as each attempt must be on record before it is made.

mod answer;
mod client;
mod connections;
mod credentials;
mod list;
mod notice;
mod oauth;

pub use answer::{
    CallError, Complaint, Entry, Head, StopAnswer, TriggerAnswer, read_stop, read_trigger,
};
pub use client::{Client, ClientError, Options};
pub use credentials::{Credentials, CredentialsError};
pub use list::{ListedAutomation, ListedDates, ListedField, ListedTime, ListedTrigger, read_list};
pub use notice::post;
pub use oauth::Signer;
