//! A record of which nobody said where it is.

use std::path::{Path, PathBuf};

use async_trait::async_trait;

use super::{Acquired, Store, View};
use crate::record::error::{Holder, LockError, RecordError};
use crate::record::identity::Witness;
use crate::record::writing::LockRequest;

/// A record whose place an environment variable names that is not set.
#[derive(Debug)]
pub(super) struct Nowhere {
    variable: String,
    path: PathBuf,
}

impl Nowhere {
    pub(super) fn new(variable: &str) -> Self {
        Self {
            variable: variable.to_owned(),
            path: PathBuf::from(format!("${variable}")),
        }
    }

    fn error(&self) -> RecordError {
        RecordError::Unset {
            variable: self.variable.clone(),
        }
    }
}

#[async_trait]
impl Store for Nowhere {
    fn path(&self) -> &Path {
        &self.path
    }

    fn witness(&self) -> Option<Witness> {
        None
    }

    async fn read(&self) -> Result<Option<Box<dyn View>>, RecordError> {
        Err(self.error())
    }

    async fn acquire(&self, _: &LockRequest) -> Result<Acquired, LockError> {
        Err(self.error().into())
    }

    async fn unlock(&self, _: &Holder) -> Result<(), LockError> {
        Err(self.error().into())
    }
}
