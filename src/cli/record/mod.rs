//! `rollcall record`: the record, to read, to erase from, to accept and to unlock.

mod accept;
mod forget;
mod list;
mod moving;
mod show;
mod unlock;

pub(super) use accept::accept;
pub(super) use forget::forget;
pub(super) use list::{check_asked, ended_shown, export, list};
pub(super) use moving::moving;
pub(super) use show::show;
pub(super) use unlock::unlock;
