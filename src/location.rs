//! Where a record or a source lies: in a file, or in a database. This alone decides what may be said of a database.

use std::fmt;
use std::net::IpAddr;
use std::path::{Path, PathBuf};
use std::str::FromStr;

use sqlx::ConnectOptions;
use sqlx::mysql::MySqlConnectOptions;
use sqlx::postgres::PgConnectOptions;
use url::Url;

/// The schema of a record, where the configuration names none.
pub const SCHEMA: &str = "rollcall";

/// What may stand in the URL of a kind of server.
#[derive(Debug, PartialEq, Eq)]
struct Kind {
    /// How its URLs begin; the first is how they are shown.
    schemes: &'static [&'static str],
    /// The parameters that are known here, by the names of its own client.
    parameters: &'static [&'static str],
    /// The parameter that says how the connection is secured, and what it may be.
    mode: (&'static str, &'static [&'static str]),
    /// Those that check who answers.
    verifying: &'static [&'static str],
    /// The parameter with the roots that are trusted.
    roots: &'static str,
}

static POSTGRES: Kind = Kind {
    schemes: &["postgres", "postgresql"],
    parameters: &[
        "application_name",
        "dbname",
        "host",
        "hostaddr",
        "password",
        "port",
        "sslcert",
        "sslkey",
        "sslmode",
        "sslrootcert",
        "user",
    ],
    mode: (
        "sslmode",
        &[
            "disable",
            "allow",
            "prefer",
            "require",
            "verify-ca",
            "verify-full",
        ],
    ),
    verifying: &["verify-ca", "verify-full"],
    roots: "sslrootcert",
};

static MYSQL: Kind = Kind {
    schemes: &["mysql", "mariadb"],
    parameters: &["socket", "ssl-ca", "ssl-cert", "ssl-key", "ssl-mode"],
    mode: (
        "ssl-mode",
        &[
            "disabled",
            "preferred",
            "required",
            "verify_ca",
            "verify_identity",
        ],
    ),
    verifying: &["verify_ca", "verify_identity"],
    roots: "ssl-ca",
};

/// Where a record lies, or the tables of a source.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Location {
    /// A SQLite file.
    File(PathBuf),
    /// A database on a server.
    Database(Database),
    /// What this environment variable says, which is not set.
    Unset(String),
}

impl Location {
    /// The place, for messages: without user and password.
    pub fn shown(&self) -> PathBuf {
        match self {
            Location::File(path) => path.clone(),
            Location::Database(database) => PathBuf::from(database.to_string()),
            Location::Unset(name) => PathBuf::from(format!("${name}")),
        }
    }
}

/// Why what was typed names no place for a record.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum TypedError {
    /// It is nothing of the kind.
    #[error(
        "write sqlite:PATH, a URL that begins with postgres:, or '$NAME' to take it from an environment variable"
    )]
    Other,
    /// A variable is not set.
    #[error("the environment variable {0} is not set")]
    Unset(String),
    /// Others could read it.
    #[error(
        "it holds a password, which others on this machine see in `ps`: put the URL into an environment variable, and name \
         that: '$NAME'"
    )]
    Password,
    /// It is a database, and not right.
    #[error("it {0}")]
    Database(#[from] DatabaseError),
}

impl Location {
    /// Reads what was typed as a place: a URL, or `$NAME`, which is what that environment variable says. Paths are relative to
    /// `root`.
    ///
    /// # Errors
    /// Why it is none.
    pub fn typed(text: &str, schema: &str, root: &Path) -> Result<Self, TypedError> {
        let Some(name) = text.strip_prefix('$') else {
            return match Self::read(text, schema, root)? {
                Location::Database(database) if database.has_password() => {
                    Err(TypedError::Password)
                }
                location => Ok(location),
            };
        };
        let value = std::env::var(name).unwrap_or_default();
        match value.is_empty() {
            true => Err(TypedError::Unset(name.to_owned())),
            false => Self::read(&value, schema, root),
        }
    }

    fn read(text: &str, schema: &str, root: &Path) -> Result<Self, TypedError> {
        if is_database(text) {
            let database = Database::parse(text, root)?;
            return Ok(Location::Database(database.in_schema(schema)));
        }
        let path = text
            .strip_prefix("sqlite:")
            .map(|path| path.strip_prefix("//").unwrap_or(path));
        let path = path.filter(|path| !path.is_empty() && !path.contains(['?', '#', '\0']));
        path.map(|path| Location::File(root.join(path)))
            .ok_or(TypedError::Other)
    }
}

/// Whether a text is the URL of a database of PostgreSQL.
pub fn is_database(text: &str) -> bool {
    POSTGRES.is_of(text)
}

/// Whether a text is the URL of a database on any server that sources may lie in.
pub fn is_server(text: &str) -> bool {
    POSTGRES.is_of(text) || MYSQL.is_of(text)
}

impl Kind {
    fn is_of(&self, text: &str) -> bool {
        let mut schemes = self.schemes.iter();
        schemes.any(|scheme| {
            text.strip_prefix(scheme)
                .is_some_and(|rest| rest.starts_with(':'))
        })
    }
}

/// A database on a server, with the schema that a record has there, and the way to it. It shows neither the user nor the
/// password.
#[derive(Clone, PartialEq, Eq)]
pub struct Database {
    kind: &'static Kind,
    url: Url,
    schema: String,
    /// What the paths of certificates are relative to.
    root: PathBuf,
}

/// Why a text names no database. It repeats nothing of the text but names.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum DatabaseError {
    /// It cannot be read as a URL.
    #[error("is not a URL: {0}")]
    Malformed(#[from] url::ParseError),
    /// It is of something else.
    #[error("does not begin with {0}://")]
    Scheme(&'static str),
    /// What looks like the name of the database is probably a part of the password.
    #[error(
        "cannot be read as a URL with a user and a password: write `/`, `?`, `#` and `@` in them as %2F, %3F, %23 and %40"
    )]
    Misread,
    /// It does not say which database.
    #[error("names no database")]
    NoDatabase,
    /// A part of it means nothing.
    #[error("has a fragment")]
    Fragment,
    /// A parameter is not known here, so that what it asks for would not be done.
    #[error("has {0}, which is not known here; known are {1}")]
    Unknown(String, String),
    /// A parameter is there twice.
    #[error("has the parameter {0:?} twice")]
    Twice(String),
    /// A parameter cannot be read.
    #[error("has the parameter {0:?}, which is not {1}")]
    Bad(&'static str, String),
    /// Roots that nobody asks.
    #[error("has `{0}`, which is of no use without {1}")]
    Unverified(&'static str, String),
}

impl Database {
    /// Reads the URL of a database, for a record in the usual schema. Paths of certificates in it are relative to `root`.
    ///
    /// # Errors
    /// What is wrong with it.
    pub fn parse(text: &str, root: &Path) -> Result<Self, DatabaseError> {
        Self::of_kind(&POSTGRES, text, root)
    }

    /// Reads the URL of a database on any server that sources may lie in.
    ///
    /// # Errors
    /// What is wrong with it.
    pub fn of_source(text: &str, root: &Path) -> Result<Self, DatabaseError> {
        let kind = match MYSQL.is_of(text) {
            true => &MYSQL,
            false => &POSTGRES,
        };
        Self::of_kind(kind, text, root)
    }

    fn of_kind(kind: &'static Kind, text: &str, root: &Path) -> Result<Self, DatabaseError> {
        if !kind.is_of(text) || !text.contains("://") {
            return Err(DatabaseError::Scheme(kind.schemes[0]));
        }
        let url = Url::parse(text)?;
        let path = url.path().strip_prefix('/').unwrap_or_default();
        if path.contains(['/', '@']) {
            return Err(DatabaseError::Misread);
        }
        if url.fragment().is_some() {
            return Err(DatabaseError::Fragment);
        }
        let mut seen: Vec<String> = Vec::new();
        for (key, value) in url.query_pairs() {
            let Some(&name) = kind.parameters.iter().find(|name| **name == key) else {
                // Behind a `?` in a password, all is a query.
                let is_word = key
                    .chars()
                    .all(|c| c.is_ascii_lowercase() || c == '_' || c == '-')
                    && url.query().is_some_and(|query| !query.contains('@'));
                let shown = match is_word {
                    true => format!("the parameter {key:?}"),
                    false => "a parameter".to_owned(),
                };
                return Err(DatabaseError::Unknown(shown, kind.parameters.join(", ")));
            };
            let wanted = match name {
                _ if name == kind.mode.0 && !kind.mode.1.contains(&&*value.to_lowercase()) => {
                    Some(kind.mode.1.join(", "))
                }
                "port" if value.parse::<u16>().is_err() => Some("a port".to_owned()),
                "hostaddr" if value.parse::<IpAddr>().is_err() => Some("an IP address".to_owned()),
                _ => None,
            };
            if let Some(wanted) = wanted {
                return Err(DatabaseError::Bad(name, wanted));
            }
            if seen.contains(&key.to_string()) {
                return Err(DatabaseError::Twice(key.into_owned()));
            }
            seen.push(key.into_owned());
        }
        let database = Self {
            kind,
            url,
            schema: SCHEMA.to_owned(),
            root: root.to_owned(),
        };
        if database.name().is_empty() {
            return Err(DatabaseError::NoDatabase);
        }
        let verifies = (database.parameter(kind.mode.0))
            .is_some_and(|mode| kind.verifying.contains(&&*mode.to_lowercase()));
        if database.parameter(kind.roots).is_some() && !verifies {
            let best = kind.verifying.last().unwrap_or(&"");
            let wanted = format!("{}={best}", kind.mode.0);
            return Err(DatabaseError::Unverified(kind.roots, wanted));
        }
        Ok(database)
    }

    /// The same database, with another schema.
    pub fn in_schema(self, schema: &str) -> Self {
        Self {
            schema: schema.to_owned(),
            ..self
        }
    }

    /// Whether it is of MySQL or MariaDB, and not of PostgreSQL.
    pub fn is_mysql(&self) -> bool {
        self.kind == &MYSQL
    }

    /// The URL, to connect by. It may hold a password.
    pub fn url(&self) -> &Url {
        &self.url
    }

    /// The schema.
    pub fn schema(&self) -> &str {
        &self.schema
    }

    /// Whether the URL holds a password.
    pub fn has_password(&self) -> bool {
        self.url.password().is_some() || self.parameter("password").is_some()
    }

    /// Whether nobody said how the connection is to be secured, to a server on another machine.
    pub fn is_unsecured(&self) -> bool {
        let host = self.host();
        let is_here = host.is_empty()
            || host.starts_with('/')
            || host == "localhost"
            || host
                .trim_matches(['[', ']'])
                .parse()
                .is_ok_and(|ip: IpAddr| ip.is_loopback());
        !is_here && self.parameter(self.kind.mode.0).is_none()
    }

    /// The parameter with the certificates that are trusted.
    pub fn roots(&self) -> &'static str {
        self.kind.roots
    }

    /// What to add to the URL so that the connection is secured.
    pub fn secured(&self) -> String {
        let best = self.kind.verifying.last().unwrap_or(&"");
        format!("?{}={best}", self.kind.mode.0)
    }

    /// The file of a certificate or a key, which can be read.
    fn readable(&self, parameter: &str) -> Result<Option<PathBuf>, sqlx::Error> {
        let file = self.file(parameter);
        match file.as_ref().map(std::fs::File::open) {
            Some(Err(error)) => Err(sqlx::Error::Configuration(
                format!("the file of `{parameter}` cannot be read ({error})").into(),
            )),
            _ => Ok(file),
        }
    }

    /// The file of a certificate or a key.
    fn file(&self, parameter: &str) -> Option<PathBuf> {
        self.parameter(parameter).map(|path| self.root.join(path))
    }

    /// How to connect to PostgreSQL.
    ///
    /// # Errors
    /// What sqlx does not take of the URL.
    pub fn postgres_options(&self) -> Result<PgConnectOptions, sqlx::Error> {
        let mut options = PgConnectOptions::from_str(self.url.as_str())?
            // A pool between transactions knows no statement by its name.
            .statement_cache_capacity(0)
            // It is of no use here, and a pool refuses what it does not know.
            .extra_float_digits(None)
            // Statements may hold ids; they are nothing for a log.
            .disable_statement_logging();
        if options.get_application_name().is_none() {
            options = options.application_name("rollcall");
        }
        if let Some(file) = self.readable("sslrootcert")? {
            options = options.ssl_root_cert(file);
        }
        if let Some(file) = self.readable("sslcert")? {
            options = options.ssl_client_cert(file);
        }
        if let Some(file) = self.readable("sslkey")? {
            options = options.ssl_client_key(file);
        }
        Ok(options)
    }

    /// How to connect to MySQL or MariaDB.
    ///
    /// # Errors
    /// What sqlx does not take of the URL.
    pub fn mysql_options(&self) -> Result<MySqlConnectOptions, sqlx::Error> {
        let mut options = MySqlConnectOptions::from_str(self.url.as_str())?
            // A query means what it means to every other client of this server.
            .pipes_as_concat(false)
            .no_engine_substitution(false)
            .statement_cache_capacity(0)
            .disable_statement_logging();
        if let Some(file) = self.readable("ssl-ca")? {
            options = options.ssl_ca(file);
        }
        if let Some(file) = self.readable("ssl-cert")? {
            options = options.ssl_client_cert(file);
        }
        if let Some(file) = self.readable("ssl-key")? {
            options = options.ssl_client_key(file);
        }
        Ok(options)
    }

    fn parameter(&self, name: &str) -> Option<String> {
        let mut pairs = self.url.query_pairs();
        let value = pairs.find(|(key, _)| key == name);
        value.map(|(_, value)| value.into_owned())
    }

    fn host(&self) -> String {
        let host = self
            .parameter("host")
            .or_else(|| self.parameter("hostaddr"));
        let host = host.or_else(|| self.url.host_str().map(decoded));
        host.unwrap_or_default()
    }

    fn name(&self) -> String {
        let path = self.url.path().trim_start_matches('/');
        self.parameter("dbname").unwrap_or_else(|| decoded(path))
    }
}

fn decoded(text: &str) -> String {
    percent_encoding::percent_decode_str(text)
        .decode_utf8_lossy()
        .into_owned()
}

impl Database {
    /// The server and the database, without the schema: `postgres://db.example/shop`.
    pub fn server(&self) -> String {
        let port =
            (self.parameter("port")).or_else(|| self.url.port().map(|port| port.to_string()));
        let port = port.map_or(String::new(), |port| format!(":{port}"));
        let (host, name) = (self.host(), self.name());
        format!("{}://{host}{port}/{name}", self.kind.schemes[0])
    }
}

impl fmt::Display for Database {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} (schema {})", self.server(), self.schema)
    }
}

impl fmt::Debug for Database {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// Whether a text may be the name of a schema: lower case, so that it is the same with and without quotes.
pub fn is_schema(text: &str) -> bool {
    let is_first = |c: char| c.is_ascii_lowercase() || c == '_';
    text.starts_with(is_first)
        && text.len() < 64
        && text.chars().all(|c| is_first(c) || c.is_ascii_digit())
        && !text.starts_with("pg_")
        && text != "information_schema"
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(text: &str) -> Result<Database, DatabaseError> {
        Database::parse(text, Path::new("/repo"))
    }

    #[test]
    fn a_database_shows_neither_user_nor_password() {
        for url in [
            "postgres://me:hush@db.example/shop",
            "postgresql://me@db.example/shop?password=hush",
            "postgres://db.example/?dbname=shop&user=me&password=hush",
        ] {
            let database = parse(url).unwrap();
            let shown = "postgres://db.example/shop (schema rollcall)";
            assert_eq!(database.to_string(), shown);
            assert_eq!(format!("{database:?}"), shown);
            assert!(database.has_password());
        }
        let socket = parse("postgres://%2Frun%2Fpostgresql:5433/shop").unwrap();
        assert_eq!(
            socket.to_string(),
            "postgres:///run/postgresql:5433/shop (schema rollcall)"
        );
        assert!(!socket.has_password() && !socket.is_unsecured());
    }

    #[test]
    fn a_password_that_was_not_written_as_a_url_wants_it_is_not_shown() {
        for (url, error) in [
            ("postgres:me:hush@db.example/x", "does not begin with"),
            ("postgres://me:12/hush@db.example/x", "cannot be read"),
            ("postgres://me:12/hush/34@db.example/x", "cannot be read"),
            (
                "postgres://me:12?hush@db.example/x",
                "has a parameter, which",
            ),
            (
                "postgres://me:12?hush=3@db.example/x",
                "has a parameter, which",
            ),
            ("postgres://me:12#hush@db.example/x", "has a fragment"),
            ("postgres://me:hush/3@db.example/x", "is not a URL"),
        ] {
            let told = parse(url).unwrap_err().to_string();
            assert!(told.starts_with(error), "{url}: {told}");
            assert!(!told.contains("hush"), "{told}");
        }
    }

    #[test]
    fn what_is_not_known_is_refused() {
        for (url, error) in [
            (
                "postgres://db.example/x?channel_binding=require",
                "has the parameter \"channel_binding\", which is not known",
            ),
            (
                "postgres://db.example/x?options=-c%20fsync%3Doff",
                "has the parameter \"options\", which is not known",
            ),
            (
                "postgres://db.example/x?sslmode=hush",
                "has the parameter \"sslmode\", which is not disable, allow",
            ),
            (
                "postgres://db.example/x?port=hush",
                "has the parameter \"port\", which is not a port",
            ),
            (
                "postgres://db.example/x?hostaddr=hush",
                "has the parameter \"hostaddr\", which is not an IP address",
            ),
            (
                "postgres://db.example/x?user=a&user=b",
                "has the parameter \"user\" twice",
            ),
            (
                "postgres://db.example/x?sslrootcert=ca.pem",
                "has `sslrootcert`, which is of no use",
            ),
            (
                "postgres://db.example/x?sslrootcert=ca.pem&sslmode=require",
                "has `sslrootcert`, which is of no use",
            ),
            ("postgres://db.example", "names no database"),
            (
                "postgres://me:hush@db.example:x/y",
                "is not a URL: invalid port number",
            ),
            ("postgres://db.example/x#y", "has a fragment"),
            ("mysql://db.example/x", "does not begin with postgres:"),
        ] {
            let told = parse(url).unwrap_err().to_string();
            assert!(told.starts_with(error), "{url}: {told}");
            assert!(!told.contains("hush"), "{told}");
        }
    }

    #[test]
    fn a_remote_server_is_to_be_checked() {
        for (url, is_unsecured) in [
            ("postgres://db.example/x", true),
            ("postgres://db.example/x?sslmode=prefer", false),
            ("postgres://localhost/x", false),
            ("postgres://[::1]/x", false),
            ("postgres:///x?host=/run", false),
            ("postgres:///x?host=db.example", true),
        ] {
            assert_eq!(parse(url).unwrap().is_unsecured(), is_unsecured, "{url}");
        }
        let own = parse("postgres://db.example/x?sslmode=verify-full&sslrootcert=ca.pem").unwrap();
        assert_eq!(own.file("sslrootcert"), Some(PathBuf::from("/repo/ca.pem")));
    }

    #[test]
    fn schemas_need_no_quotes() {
        for schema in ["rollcall", "_x9", "public"] {
            assert!(is_schema(schema), "{schema}");
        }
        for schema in [
            "",
            "9x",
            "Rollcall",
            "a-b",
            "a\"b",
            "pg_x",
            "information_schema",
            &"x".repeat(64),
        ] {
            assert!(!is_schema(schema), "{schema}");
        }
    }
}
