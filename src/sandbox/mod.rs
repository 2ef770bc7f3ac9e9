//! The sandbox: a stand-in for Spotler as a server on loopback.
//!
//! It implements the API from its description and shares no code with the client in `spotler`, so that the one can show
//! the other's faults. What it carried out is in its ledger; what it is told to do wrong is in its faults.

mod answer;
mod args;
mod control;
mod fault;
mod memory;
mod oauth;
mod server;
mod world;

pub use args::{SandboxArgs, SandboxError, serve};
pub use fault::{Fault, Rule};
pub use server::{Options, Running, start};
pub use world::{Publication, Setting, Trigger};

/// The consumer key that the built-in sandbox accepts.
pub const SANDBOX_KEY: &str = "sandbox";
/// The consumer secret that the built-in sandbox accepts.
pub const SANDBOX_SECRET: &str = "sandbox";
