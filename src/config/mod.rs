//! TOML files → [`Config`]: reading, merging, checking. Knows files, places and advice; nothing of the network or the
//! record.

mod diagnostic;
mod model;

pub use diagnostic::{Diagnostic, Files, Place, Problems};
pub use model::*;
