//! The sandbox: a stand-in for Spotler as a server on loopback.
//!
//! It implements the API from its description and shares no code with the client in `spotler`, so that the one can show
//! the other's faults. A request passes the modules in this order: `wire` is its connection; `oauth` and `nonces` check
//! its signature; `call` reads it; `schedule` says which of the `faults` hits it; `world` carries it out, changing
//! `memory` by an entry of the `ledger` that `journal` writes down first; `answer` says what came of it, and `sabotage`
//! spoils that. `control` is how tests steer it all.

mod answer;
mod args;
mod call;
mod control;
mod error;
mod faults;
mod journal;
mod ledger;
mod memory;
mod nonces;
mod oauth;
mod options;
mod sabotage;
mod schedule;
mod server;
mod shorthand;
mod stats;
mod texts;
mod wire;
mod world;

#[cfg(test)]
mod tests;

pub use args::{SandboxArgs, serve};
pub use call::Kind;
pub use error::SandboxError;
pub use faults::{Fault, Rule};
pub use journal::JournalError;
pub use ledger::{Deed, LedgerEntry, ParticipationView, Standing, Totals, Touched};
pub use options::{
    Options, Publication, SANDBOX_KEY, SANDBOX_SECRET, Setting, Trigger, UnknownSetting,
};
pub use server::{Running, start};
pub use shorthand::UnknownFault;
pub use stats::Stats;
