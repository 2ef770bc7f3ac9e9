//! Where the record and the sources lie: a file, a database, or what an environment variable says.

use std::path::Path;

use super::files::within;
use super::reader::Item;
use crate::location::{Database, Location, is_database, is_server};

/// What may be said of a place.
pub(super) struct Wanted {
    /// An example of the setting, in words.
    example: &'static str,
    /// An environment variable that may name it.
    variable: &'static str,
    /// What it may begin with, in words.
    begins: &'static str,
    /// What that is about.
    about: &'static str,
    /// An example of a database on a server.
    server: &'static str,
    is_server: fn(&str) -> bool,
}

/// The record.
pub(super) const RECORD: Wanted = Wanted {
    example: "\"sqlite:state/rollcall.db\", or \"$ROLLCALL_RECORD_URL\" to take the URL from that environment variable",
    variable: "$ROLLCALL_RECORD_URL",
    begins: "neither `sqlite:` nor `postgres:`",
    about: "the record is a SQLite file or in PostgreSQL",
    server: "postgres://db.example/shop?sslmode=verify-full",
    is_server: is_database,
};

/// A source.
pub(super) const SOURCE: Wanted = Wanted {
    example: "\"$SHOP_DATABASE_URL\" to take the URL from that environment variable",
    variable: "$SHOP_DATABASE_URL",
    begins: "none of `postgres:`, `mysql:` and `sqlite:`",
    about: "a source is a table in PostgreSQL, MySQL, MariaDB or a SQLite file",
    server: "postgres://reader:…@db.example/shop?sslmode=verify-full or mysql://reader:…@db.example/shop?ssl-mode=verify_identity",
    is_server,
};

/// Reads where something lies: a URL, or `$NAME`, which is what that environment variable says.
pub(super) fn location(item: &Item<'_>, wanted: &Wanted, root: &Path) -> Option<Location> {
    let Wanted {
        example, variable, ..
    } = wanted;
    let text = item.text(example)?;
    let key = item.key;
    let Some(name) = text.strip_prefix('$') else {
        let location = read(item, &format!("`{key}`"), text, wanted, root)?;
        if let Location::Database(database) = &location
            && database.has_password()
        {
            item.wrong(
                format!("`{key}` holds a password, which does not belong in a file"),
                format!(
                    "write \"{variable}\", and set that environment variable; if others have the file, change the password"
                ),
            );
            return None;
        }
        return Some(location);
    };
    let is_part = |c: char| c.is_ascii_alphanumeric() || c == '_';
    if name.is_empty()
        || name.starts_with(|c: char| c.is_ascii_digit())
        || !name.chars().all(is_part)
    {
        item.wrong(
            format!("`{key}` does not name an environment variable"),
            format!("write \"{variable}\", or the URL itself"),
        );
        return None;
    }
    let what = format!("the value of ${name}");
    match std::env::var(name) {
        // Who only checks the configuration need not know where it is.
        Ok(value) if value.is_empty() => Some(Location::Unset(name.to_owned())),
        Err(std::env::VarError::NotPresent) => Some(Location::Unset(name.to_owned())),
        Ok(value) => read(item, &what, &value, wanted, root),
        Err(_) => {
            item.wrong(format!("{what} is not text"), "set it to a URL");
            None
        }
    }
}

/// Reads a URL. What comes from the environment may hold a password, so nothing of it is shown.
fn read(item: &Item<'_>, what: &str, text: &str, wanted: &Wanted, root: &Path) -> Option<Location> {
    if (wanted.is_server)(text) {
        return match Database::of_source(text, root) {
            Ok(database) => Some(Location::Database(database)),
            Err(error) => {
                item.wrong(
                    format!("{what} {error}"),
                    format!("write it as {}", wanted.server),
                );
                None
            }
        };
    }
    let Some(path) = text.strip_prefix("sqlite:") else {
        item.wrong(
            format!("{what} begins with {}", wanted.begins),
            format!("{}; write {}", wanted.about, wanted.example),
        );
        return None;
    };
    // `sqlite:///absolute` is how other tools write an absolute path.
    let path = path.strip_prefix("//").unwrap_or(path);
    let odd = path.is_empty() || path.contains(['?', '#', '\0']) || path.starts_with(":memory:");
    if odd {
        item.wrong(
            format!("{what} does not name a file"),
            format!("write {}", wanted.example),
        );
        return None;
    }
    within(root, path, item).map(Location::File)
}
