//! Rollcall keeps the automations of a Spotler account enrolled exactly as a configuration repository says.
//!
//! Data passes the modules in this order: [`config`] reads the TOML files; [`source`] streams the tables of contacts
//! that they name; [`roster`] adds both up to the enrolments that are wanted; [`plan`] compares these with the
//! participations on record; [`apply`] carries the plan out over the wire ([`spotler`]), writing every step to the
//! [`record`] before and after; [`report`] shows it all to people and programs. The [`engine`] has the verbs, as a library
//! without a terminal; [`cli`] is what a person types. [`sandbox`] is a stand-in for Spotler to try all this on.
#![forbid(unsafe_code)]
#![warn(missing_docs)]

pub mod base_url;
pub mod clock;
pub mod digest;
pub mod failpoint;
pub mod field;
pub mod hardening;
pub mod id;
pub mod location;
pub mod number;
pub mod paths;
pub mod patient;
pub mod text;
pub mod threads;
pub mod webhook;

pub mod config;

pub mod source;

pub mod roster;

pub mod plan;

pub mod apply;

pub mod record;
pub use record::participation;

pub mod spotler;

pub mod report;

pub mod engine;

pub mod cli;

pub mod sandbox;

#[cfg(test)]
mod simulation;
