//! Why a sandbox does not start, or does not go on.

use std::io;
use std::net::SocketAddr;
use std::path::PathBuf;

use super::journal::JournalError;

/// Why a sandbox does not start, or does not go on.
#[derive(Debug, thiserror::Error)]
pub enum SandboxError {
    /// The address is not one of the loopback interface.
    #[error(
        "The sandbox was not started on {0}: it listens on the loopback interface only, because everybody who reaches \
         it can control it. Give an address such as 127.0.0.1:8025."
    )]
    NotLoopback(SocketAddr),
    /// The system would not let it listen there.
    #[error(
        "The sandbox could not listen on {address}: {cause}. Give another address, or end the program that listens there."
    )]
    Listen {
        /// Where.
        address: SocketAddr,
        /// What the system said.
        cause: io::Error,
    },
    /// Its memory cannot be used.
    #[error(transparent)]
    Memory(#[from] JournalError),
    /// The file of faults cannot be read.
    #[error("The faults in {} could not be read: {reason}. The sandbox was not started.", path.display())]
    Faults {
        /// The file.
        path: PathBuf,
        /// What is wrong.
        reason: String,
    },
    /// Only one half of the credentials was given.
    #[error(
        "{given} is set and {missing} is not. Set both, or neither for the sandbox's own. The sandbox was not started."
    )]
    HalfCredentials {
        /// The variable that is there.
        given: &'static str,
        /// The variable that is missing.
        missing: &'static str,
    },
    /// A file that a variable names cannot be read.
    #[error("The file {} that {variable} names could not be read: {cause}. The sandbox was not started.", path.display())]
    Secret {
        /// The variable.
        variable: String,
        /// The file.
        path: PathBuf,
        /// What the system said.
        cause: io::Error,
    },
    /// Standard output is gone.
    #[error("The sandbox could not say where it listens, and has ended: {0}.")]
    Output(#[source] io::Error),
}
