//! The consumer key and secret: where they come from, and that they cannot be shown.

use std::fs::File;
use std::io::Read;
use std::path::{Path, PathBuf};

use secrecy::{ExposeSecret, SecretString};

use crate::digest::{Digest, Hasher};
use crate::text::is_unseen;

/// The environment variable with the consumer key.
pub const KEY: &str = "SPOTLER_CONSUMER_KEY";
/// The environment variable with the consumer secret.
pub const SECRET: &str = "SPOTLER_CONSUMER_SECRET";

/// The longest key or secret that is taken from a file, in bytes.
const LONGEST: usize = 4096;

/// A consumer key and its secret. Neither can be printed.
#[derive(Clone, Debug)]
pub struct Credentials {
    pub(super) key: SecretString,
    pub(super) secret: SecretString,
}

/// Why there are no credentials. None of these sentences holds a value.
#[derive(Debug, thiserror::Error)]
pub enum CredentialsError {
    /// Neither the variable nor its `_FILE` is set.
    #[error(
        "{name} is not set. Set it in the environment, or set {name}_FILE to the path of a file that holds it. Nothing \
         was sent."
    )]
    Missing {
        /// The variable.
        name: &'static str,
    },
    /// Both the variable and its `_FILE` are set.
    #[error("Both {name} and {name}_FILE are set; unset one of them. Nothing was sent.")]
    Both {
        /// The variable.
        name: &'static str,
    },
    /// The file cannot be read.
    #[error("{name}_FILE names {}, which cannot be read: {error}. Nothing was sent.", path.display())]
    Unreadable {
        /// The variable.
        name: &'static str,
        /// The file.
        path: PathBuf,
        /// What the system says.
        error: std::io::Error,
    },
    /// The file holds more than any key or secret: a device, or the wrong file.
    #[error(
        "{name}_FILE names {}, which holds more than the {LONGEST} bytes that a key or secret may have; it was not read \
         further. Check the path. Nothing was sent.",
        path.display()
    )]
    TooLong {
        /// The variable.
        name: &'static str,
        /// The file.
        path: PathBuf,
    },
    /// It is empty, or holds white space or a control character.
    #[error("{from} {what}. It is not shown here. Copy it again from Spotler; nothing was sent.")]
    Malformed {
        /// The variable, or its `_FILE`.
        from: String,
        /// What is wrong with it.
        what: &'static str,
    },
}

impl Credentials {
    /// From texts that are at hand.
    pub fn new(key: impl Into<String>, secret: impl Into<String>) -> Self {
        Self {
            key: SecretString::from(key.into()),
            secret: SecretString::from(secret.into()),
        }
    }

    /// What may be kept of the key. To be keyed with something before it is stored.
    pub fn key_digest(&self) -> Digest {
        Hasher::new().part(self.key.expose_secret()).finish()
    }

    /// From the environment, which is handed in: `SPOTLER_CONSUMER_KEY` and `SPOTLER_CONSUMER_SECRET`, each also as
    /// `…_FILE`.
    ///
    /// # Errors
    /// What is missing or malformed, without its value.
    pub fn from_env(env: impl Fn(&str) -> Option<String>) -> Result<Self, CredentialsError> {
        Ok(Self {
            key: one(&env, KEY)?,
            secret: one(&env, SECRET)?,
        })
    }
}

fn one(
    env: &impl Fn(&str) -> Option<String>,
    name: &'static str,
) -> Result<SecretString, CredentialsError> {
    let file_name = format!("{name}_FILE");
    let (text, from) = match (env(name), env(&file_name)) {
        (Some(_), Some(_)) => return Err(CredentialsError::Both { name }),
        (None, None) => return Err(CredentialsError::Missing { name }),
        (Some(text), None) => (text, name.to_owned()),
        (None, Some(path)) => {
            let path = PathBuf::from(path);
            match read_short(&path) {
                Ok(text) if text.len() > LONGEST => {
                    return Err(CredentialsError::TooLong { name, path });
                }
                // Editors and `echo` end a file with a line break, and some editors begin one with a byte order mark.
                Ok(text) => {
                    let text = text.strip_prefix('\u{feff}').unwrap_or(&text);
                    (text.trim_matches(['\n', '\r']).to_owned(), file_name)
                }
                Err(error) => return Err(CredentialsError::Unreadable { name, path, error }),
            }
        }
    };
    let what = if text.is_empty() {
        "is empty"
    } else if text.chars().any(|c| c.is_whitespace() || c.is_control()) {
        "holds white space or a control character"
    } else if text.chars().any(is_unseen) {
        "holds a character that cannot be seen"
    } else {
        return Ok(SecretString::from(text));
    };
    Err(CredentialsError::Malformed { from, what })
}

/// Reads no more of a file than tells whether it is too long.
fn read_short(path: &Path) -> std::io::Result<String> {
    let mut text = String::new();
    let most = LONGEST as u64 + 1;
    File::open(path)?.take(most).read_to_string(&mut text)?;
    Ok(text)
}

#[cfg(test)]
mod tests {
    use super::*;
    use secrecy::ExposeSecret;

    fn from(pairs: &[(&str, &str)]) -> Result<Credentials, CredentialsError> {
        Credentials::from_env(|name| {
            let pair = pairs.iter().find(|(n, _)| *n == name);
            pair.map(|(_, value)| (*value).to_owned())
        })
    }

    #[test]
    fn both_come_from_the_environment() {
        let credentials = from(&[(KEY, "k"), (SECRET, "s")]).unwrap();
        assert_eq!(credentials.key.expose_secret(), "k");
        assert_eq!(credentials.secret.expose_secret(), "s");
    }

    #[test]
    fn a_file_may_end_with_a_line_break_and_begin_with_a_mark() {
        let file = tempfile::NamedTempFile::new().unwrap();
        for text in [
            "s3cret\r\n",
            "\u{feff}s3cret",
            "\u{feff}s3cret\n\n",
            "\ns3cret",
        ] {
            std::fs::write(file.path(), text).unwrap();
            let path = file.path().to_str().unwrap();
            let credentials = from(&[(KEY, "k"), ("SPOTLER_CONSUMER_SECRET_FILE", path)]).unwrap();
            assert_eq!(credentials.secret.expose_secret(), "s3cret", "{text:?}");
        }
    }

    #[test]
    #[cfg(unix)]
    fn a_file_without_end_is_refused() {
        let error = from(&[(KEY, "k"), ("SPOTLER_CONSUMER_SECRET_FILE", "/dev/zero")]).unwrap_err();
        assert!(matches!(error, CredentialsError::TooLong { .. }), "{error}");
    }

    #[test]
    fn nothing_that_is_wrong_is_shown() {
        for pairs in [
            &[(KEY, "k")][..],
            &[(KEY, "hush hush"), (SECRET, "s")],
            &[(KEY, ""), (SECRET, "s")],
            &[(KEY, "\u{feff}hush"), (SECRET, "s")],
            &[(KEY, "hu\u{200b}sh"), (SECRET, "s")],
            &[(KEY, "hush"), ("SPOTLER_CONSUMER_KEY_FILE", "/x")],
            &[
                (KEY, "k"),
                ("SPOTLER_CONSUMER_SECRET_FILE", "/does/not/exist"),
            ],
        ] {
            let error = from(pairs).unwrap_err().to_string();
            assert!(!error.contains("hush"), "{error}");
            assert!(error.contains("SPOTLER_CONSUMER_"), "{error}");
        }
        let shown = format!("{:?}", Credentials::new("hush", "hush"));
        assert!(!shown.contains("hush"), "{shown}");
    }
}
