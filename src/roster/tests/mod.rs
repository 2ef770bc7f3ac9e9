//! The roster as its users see it.

mod absence;
mod fields;
mod property;
mod refusals;
mod selection;
