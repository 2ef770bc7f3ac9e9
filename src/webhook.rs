//! The address of a webhook, which nothing can print.

use secrecy::{ExposeSecret, SecretString};
use url::Url;

use crate::base_url::is_loopback;

/// The address of a webhook: `https`, or `http` on this machine. Whoever has it can post there, so it cannot be shown.
#[derive(Debug, Clone)]
pub struct Webhook(SecretString);

impl Webhook {
    /// Reads an address.
    ///
    /// # Errors
    /// What is wrong with it, without any of it.
    pub fn parse(text: &str) -> Result<Self, &'static str> {
        let url = Url::parse(text.trim()).map_err(|_| "is not a URL")?;
        match url.scheme() {
            "https" => {}
            "http" if is_loopback(&url) => {}
            _ => return Err("is neither https nor http on this machine"),
        }
        Ok(Self(SecretString::from(String::from(url))))
    }

    /// The address, for the one call to it.
    pub fn expose(&self) -> &str {
        self.0.expose_secret()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_is_https_or_on_this_machine_and_nothing_shows_it() {
        let webhook = Webhook::parse("https://hooks.example.org/hush").unwrap();
        assert!(!format!("{webhook:?}").contains("hush"));
        Webhook::parse("http://127.0.0.1:8080/x").unwrap();
        for wrong in ["", "hooks", "http://hooks.example.org/hush", "file:///x"] {
            assert!(Webhook::parse(wrong).is_err(), "{wrong}");
        }
    }
}
