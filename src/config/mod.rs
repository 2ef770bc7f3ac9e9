//! TOML files → [`Config`]: reading, merging, checking. Knows files, places and advice; nothing of the network or the
//! record.

mod automation;
mod condition;
mod diagnostic;
mod enrol;
mod excerpt;
mod exclusive;
mod expect;
mod files;
mod freeze;
mod load;
mod location;
mod lot;
mod model;
mod moved;
mod notation;
mod notify;
pub mod query;
mod reader;
mod redact;
mod render;
pub mod schema;
mod settings;
mod slips;
mod source;
mod suggest;
mod suppress;
mod syntax;
mod value;
mod window;

pub use diagnostic::{Diagnostic, Files, Place, Problems};
pub use exclusive::Exclusive;
pub use expect::{Expect, Expectation};
pub use files::{FILE_NAME, FindError, find};
pub use freeze::Freeze;
pub use load::{load, load_for};
pub use lot::{Lot, Part};
pub use model::*;
pub use moved::Moved;
pub use notation::{DateFormat, Decimal, Notation, Written, is_blank};
pub use notify::{Notify, notify_of};
pub use render::rendered;
pub use source::RECORD_TABLE;
pub(crate) use suggest::nearest;
pub use suppress::Suppression;
pub use window::{Hours, Window};
