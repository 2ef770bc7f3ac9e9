//! OAuth 1.0a signatures (RFC 5849), one-legged: a consumer key and secret, and no token.
//!
//! Nonce and timestamp are arguments, so that everything here is pure.

use std::borrow::Cow;

use base64::Engine;
use base64::engine::general_purpose::STANDARD as BASE64;
use hmac::{Hmac, KeyInit, Mac};
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, PercentEncode, utf8_percent_encode};
use secrecy::{ExposeSecret, SecretString};
use sha1::Sha1;
use url::Url;

/// What RFC 5849 §3.6 leaves as it is: letters, digits, `-`, `.`, `_` and `~`.
const UNRESERVED: &AsciiSet = &NON_ALPHANUMERIC
    .remove(b'-')
    .remove(b'.')
    .remove(b'_')
    .remove(b'~');

/// Percent-encodes as RFC 5849 §3.6 says.
pub fn encode(text: &str) -> PercentEncode<'_> {
    utf8_percent_encode(text, UNRESERVED)
}

/// Signs requests with one consumer's key and secret.
#[derive(Clone)]
pub struct Signer {
    key: String,
    /// The HMAC with its key already in it.
    hmac: Hmac<Sha1>,
}

impl Signer {
    /// For a consumer without a token. The signing key is the encoded secret and `&` (RFC 5849 §3.4.2).
    pub fn new(key: &str, secret: &SecretString) -> Self {
        Self::with_token_secret(key, secret, "")
    }

    fn with_token_secret(key: &str, secret: &SecretString, token_secret: &str) -> Self {
        let signing_key = format!(
            "{}&{}",
            encode(secret.expose_secret()),
            encode(token_secret)
        );
        let hmac = match Hmac::<Sha1>::new_from_slice(signing_key.as_bytes()) {
            Ok(hmac) => hmac,
            Err(_) => unreachable!("HMAC takes keys of any length (RFC 2104 §3)"),
        };
        Self {
            key: key.to_owned(),
            hmac,
        }
    }

    /// The value of the `Authorization` header for a request without a form-encoded body. `timestamp` is in seconds since
    /// 1970.
    pub fn authorization(&self, method: &str, url: &Url, timestamp: i64, nonce: &str) -> String {
        let timestamp = timestamp.to_string();
        let oauth = [
            ("oauth_consumer_key", self.key.as_str()),
            ("oauth_nonce", nonce),
            ("oauth_signature_method", "HMAC-SHA1"),
            ("oauth_timestamp", &timestamp),
            ("oauth_version", "1.0"),
        ];
        let query: Vec<_> = url.query_pairs().collect();
        let query = query.iter().map(|(name, value)| (&**name, &**value));
        let without_query = url.as_str().split(['?', '#']).next().unwrap_or_default();
        let signature = self.signature(method, without_query, query.chain(oauth));
        let mut header = String::with_capacity(512);
        header.push_str("OAuth ");
        for (name, value) in oauth {
            header.extend([name, "=\""]);
            header.extend(encode(value));
            header.push_str("\", ");
        }
        header.push_str("oauth_signature=\"");
        header.extend(encode(&signature));
        header.push('"');
        header
    }

    /// The signature of a request (RFC 5849 §3.4.2), base64-encoded. The pairs come in any order.
    fn signature<'a>(
        &self,
        method: &str,
        url: &str,
        pairs: impl IntoIterator<Item = (&'a str, &'a str)>,
    ) -> String {
        let signed = self
            .hmac
            .clone()
            .chain_update(base_string(method, url, pairs));
        BASE64.encode(signed.finalize().into_bytes())
    }
}

/// The signature base string (RFC 5849 §3.4.1).
fn base_string<'a>(
    method: &str,
    url: &str,
    pairs: impl IntoIterator<Item = (&'a str, &'a str)>,
) -> String {
    let mut pairs: Vec<(Cow<str>, Cow<str>)> = pairs
        .into_iter()
        .map(|(name, value)| (encode(name).into(), encode(value).into()))
        .collect();
    // Sorted after encoding (§3.4.1.3.2), by name and then by value.
    pairs.sort_unstable();
    let mut base = String::with_capacity(512);
    base.push_str(&method.to_ascii_uppercase());
    base.push('&');
    base.extend(encode(url));
    for (index, (name, value)) in pairs.iter().enumerate() {
        // The parameters are one text, which is encoded once more: `&` becomes %26, and `=` %3D.
        base.push_str(if index == 0 { "&" } else { "%26" });
        base.extend(encode(name));
        base.push_str("%3D");
        base.extend(encode(value));
    }
    base
}

#[cfg(test)]
mod tests {
    use super::*;

    fn signed(
        key: &str,
        secrets: (&str, &str),
        method: &str,
        url: &str,
        list: &[(&str, &str)],
    ) -> String {
        Signer::with_token_secret(key, &secrets.0.into(), secrets.1).signature(
            method,
            url,
            list.iter().copied(),
        )
    }

    #[test]
    fn rfc_5849_section_1_2_temporary_credentials() {
        let list = [
            ("oauth_consumer_key", "dpf43f3p2l4k3l03"),
            ("oauth_signature_method", "HMAC-SHA1"),
            ("oauth_timestamp", "137131200"),
            ("oauth_nonce", "wIjqoS"),
            ("oauth_callback", "http://printer.example.com/ready"),
        ];
        let url = "https://photos.example.net/initiate";
        assert_eq!(
            signed(
                "dpf43f3p2l4k3l03",
                ("kd94hf93k423kf44", ""),
                "POST",
                url,
                &list
            ),
            "74KNZJeDHnMBp0EMJ9ZHt/XKycU="
        );
    }

    #[test]
    fn rfc_5849_section_1_2_photos_resource() {
        let list = [
            ("oauth_consumer_key", "dpf43f3p2l4k3l03"),
            ("oauth_token", "nnch734d00sl2jdk"),
            ("oauth_signature_method", "HMAC-SHA1"),
            ("oauth_timestamp", "137131202"),
            ("oauth_nonce", "chapoH"),
            ("file", "vacation.jpg"),
            ("size", "original"),
        ];
        let secrets = ("kd94hf93k423kf44", "pfkkdhi9sl3r4s00");
        assert_eq!(
            signed(
                "",
                secrets,
                "GET",
                "http://photos.example.net/photos",
                &list
            ),
            "MdpQcU8iPSUjWoN/UDMsK2sui9I="
        );
    }

    #[test]
    fn rfc_5849_section_3_4_1_base_string() {
        let list = [
            ("b5", "=%3D"),
            ("a3", "a"),
            ("c@", ""),
            ("a2", "r b"),
            ("oauth_consumer_key", "9djdj82h48djs9d2"),
            ("oauth_token", "kkk9d7dh3k39sjv7"),
            ("oauth_signature_method", "HMAC-SHA1"),
            ("oauth_timestamp", "137131201"),
            ("oauth_nonce", "7d8f3e4a"),
            ("c2", ""),
            ("a3", "2 q"),
        ];
        assert_eq!(
            base_string("post", "http://example.com/request", list),
            "POST&http%3A%2F%2Fexample.com%2Frequest&a2%3Dr%2520b%26a3%3D2%2520q%26a3%3Da%26b5%3D%253D%25253D\
             %26c%2540%3D%26c2%3D%26oauth_consumer_key%3D9djdj82h48djs9d2%26oauth_nonce%3D7d8f3e4a\
             %26oauth_signature_method%3DHMAC-SHA1%26oauth_timestamp%3D137131201%26oauth_token%3Dkkk9d7dh3k39sjv7"
        );
    }

    #[test]
    fn oauth_core_1_0_appendix_a_5() {
        let list = [
            ("oauth_consumer_key", "dpf43f3p2l4k3l03"),
            ("oauth_token", "nnch734d00sl2jdk"),
            ("oauth_signature_method", "HMAC-SHA1"),
            ("oauth_timestamp", "1191242096"),
            ("oauth_nonce", "kllo9940pd9333jh"),
            ("oauth_version", "1.0"),
            ("file", "vacation.jpg"),
            ("size", "original"),
        ];
        let secrets = ("kd94hf93k423kf44", "pfkkdhi9sl3r4s00");
        assert_eq!(
            signed(
                "",
                secrets,
                "GET",
                "http://photos.example.net/photos",
                &list
            ),
            "tR3+Ty81lMeYAr/Fid0kMTYa/WM="
        );
    }

    #[test]
    fn twitters_documentation_of_creating_a_signature() {
        let list = [
            (
                "status",
                "Hello Ladies + Gentlemen, a signed OAuth request!",
            ),
            ("include_entities", "true"),
            ("oauth_consumer_key", "xvz1evFS4wEEPTGEFPHBog"),
            ("oauth_nonce", "kYjzVBB8Y0ZFabxSWbWovY3uYSQ2pTgmZeNu2VS4cg"),
            ("oauth_signature_method", "HMAC-SHA1"),
            ("oauth_timestamp", "1318622958"),
            (
                "oauth_token",
                "370773112-GmHxMAgYyLbNEtIKZeRNFsMKPR9EyMZeS9weJAEb",
            ),
            ("oauth_version", "1.0"),
        ];
        let secrets = (
            "kAcSOqF21Fu85e7zjz7ZN2U4ZRhfV3WpwPAoE3Z7kBw",
            "LswwdoUaIvS8ltyTt5jkRh4J50vUPVVHtR2YPi5kE",
        );
        let url = "https://api.twitter.com/1.1/statuses/update.json";
        assert_eq!(
            signed("", secrets, "POST", url, &list),
            "hCtSmYh+iHYCEqBWrE7C7hYmtUk="
        );
    }

    #[test]
    fn the_query_is_signed_and_not_the_fragment() {
        let url = Url::parse("https://example.net/a?z=%C3%BC+%26&a=#end").unwrap();
        let list = [
            ("z", "ü &"),
            ("a", ""),
            ("oauth_consumer_key", "key one"),
            ("oauth_nonce", "n +%"),
            ("oauth_signature_method", "HMAC-SHA1"),
            ("oauth_timestamp", "1791242096"),
            ("oauth_version", "1.0"),
        ];
        let expected = signed("", ("s3cret", ""), "POST", "https://example.net/a", &list);
        let header = Signer::new("key one", &"s3cret".into()).authorization(
            "POST",
            &url,
            1_791_242_096,
            "n +%",
        );
        let end = format!("oauth_signature=\"{}\"", encode(&expected));
        assert!(header.ends_with(&end), "{header}");
    }

    #[test]
    fn the_header_holds_what_was_signed_and_nothing_secret() {
        let url = Url::parse("http://127.0.0.1:1/a").unwrap();
        let header =
            Signer::new("key one", &"s3cret".into()).authorization("POST", &url, 1, "n +%");
        assert_eq!(
            header.split_once("oauth_signature=").unwrap().0,
            "OAuth oauth_consumer_key=\"key%20one\", oauth_nonce=\"n%20%2B%25\", \
             oauth_signature_method=\"HMAC-SHA1\", oauth_timestamp=\"1\", oauth_version=\"1.0\", "
        );
        assert!(!header.contains("s3cret"));
    }
}
