//! Where Spotler is. This alone decides what a base URL may be, for the configuration and for the client.

use std::str::FromStr;

use url::{Host, ParseError, Url};

/// The base URL of the real service, as public clients of the API use it.
pub const SERVICE: &str = "https://restapi.mailplus.nl/integrationservice-1.1.0";

/// A URL that credentials may be sent to: `https`, or `http` on this machine.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BaseUrl(Url);

/// Why a text is no base URL.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum BaseUrlError {
    /// It is no URL at all.
    #[error("is not a URL: {0}")]
    Malformed(#[from] ParseError),
    /// It holds a user or a password.
    #[error("holds a user or password; secrets come from the environment")]
    Secret,
    /// It has something that a path cannot follow.
    #[error("has a query or a fragment")]
    NoBase,
    /// Credentials would travel in the clear.
    #[error(
        "is neither https nor http on this machine, so the credentials would be sent unencrypted"
    )]
    Insecure,
}

impl Default for BaseUrl {
    /// The real service.
    fn default() -> Self {
        SERVICE.parse().expect("it is a constant, and a test")
    }
}

impl FromStr for BaseUrl {
    type Err = BaseUrlError;

    fn from_str(text: &str) -> Result<Self, BaseUrlError> {
        let url = Url::parse(text)?;
        if !url.username().is_empty() || url.password().is_some() {
            return Err(BaseUrlError::Secret);
        }
        if url.query().is_some() || url.fragment().is_some() {
            return Err(BaseUrlError::NoBase);
        }
        match url.scheme() {
            "https" => Ok(Self(url)),
            "http" if is_loopback(&url) => Ok(Self(url)),
            _ => Err(BaseUrlError::Insecure),
        }
    }
}

impl BaseUrl {
    /// The URL.
    pub fn url(&self) -> &Url {
        &self.0
    }

    /// What paths follow: the URL without a slash at the end.
    pub fn as_str(&self) -> &str {
        self.0.as_str().trim_end_matches('/')
    }

    /// The host that it is at, with its port where that is not the usual one; `None` where that is this machine.
    pub fn host(&self) -> Option<String> {
        let host = self.0.host_str().filter(|_| !is_loopback(&self.0))?;
        Some(match self.0.port() {
            Some(port) => format!("{host}:{port}"),
            None => host.to_owned(),
        })
    }
}

/// Whether a URL leads to this machine. What is there is asked without a proxy, and may be asked without TLS.
pub fn is_loopback(url: &Url) -> bool {
    match url.host() {
        Some(Host::Domain(name)) => name == "localhost",
        Some(Host::Ipv4(ip)) => ip.is_loopback(),
        Some(Host::Ipv6(ip)) => ip.is_loopback(),
        None => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_https_or_loopback() {
        for (url, host) in [
            (
                "https://restapi.mailplus.nl/x/",
                Some("restapi.mailplus.nl"),
            ),
            (SERVICE, Some("restapi.mailplus.nl")),
            ("https://example.org:8443", Some("example.org:8443")),
            ("http://127.0.0.1:8025/x", None),
            ("http://localhost:1", None),
            ("http://[::1]:1", None),
        ] {
            let base: BaseUrl = url.parse().unwrap();
            assert_eq!(base.host().as_deref(), host, "{url}");
            assert!(!base.as_str().ends_with('/'));
        }
        for (url, why) in [
            ("http://restapi.mailplus.nl", BaseUrlError::Insecure),
            ("http://localhost.example.org", BaseUrlError::Insecure),
            ("ftp://127.0.0.1/", BaseUrlError::Insecure),
            ("https://me:hush@example.org", BaseUrlError::Secret),
            ("https://example.org/?x", BaseUrlError::NoBase),
        ] {
            assert_eq!(url.parse::<BaseUrl>(), Err(why), "{url}");
        }
    }
}
