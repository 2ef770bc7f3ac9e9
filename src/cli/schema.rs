//! `rollcall schema`: the JSON Schema of the configuration.

use super::output::Output;
use super::{CommandError, Common, Exit};
use crate::config::schema::schema;

pub(super) fn run(common: &Common) -> Result<Exit, CommandError> {
    Output::new(common).result(|out| out.write_all(schema().as_bytes()))?;
    Ok(Exit::Fine)
}
