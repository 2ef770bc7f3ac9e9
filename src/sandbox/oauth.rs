//! The check of OAuth 1.0a signatures, from RFC 5849, for a consumer without a token.

use std::collections::{BTreeMap, HashSet, VecDeque};

use base64::Engine;
use hmac::{Hmac, KeyInit, Mac};
use sha1::Sha1;

/// How far a timestamp may be from the sandbox's clock, in seconds.
const TOLERANCE: i64 = 300;

/// Why a request is not believed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Unbelieved(pub &'static str);

/// A request's parts that are signed.
pub(super) struct Signed<'a> {
    pub method: &'a str,
    /// `http://host:port/path`, as the client sent it.
    pub url: &'a str,
    pub query: &'a str,
    pub authorization: Option<&'a str>,
}

/// The nonces of the last minutes, so that no request can be played twice.
#[derive(Debug, Default)]
pub(super) struct Nonces {
    seen: HashSet<(i64, String)>,
    order: VecDeque<(i64, String)>,
}

impl Nonces {
    fn take(&mut self, timestamp: i64, nonce: &str, now: i64) -> Result<(), Unbelieved> {
        while let Some(oldest) = self.order.front() {
            if oldest.0 >= now - TOLERANCE {
                break;
            }
            if let Some(oldest) = self.order.pop_front() {
                self.seen.remove(&oldest);
            }
        }
        let pair = (timestamp, nonce.to_owned());
        if !self.seen.insert(pair.clone()) {
            return Err(Unbelieved("the nonce was used before"));
        }
        self.order.push_back(pair);
        Ok(())
    }
}

/// Checks a request.
pub(super) fn check(
    request: &Signed<'_>,
    key: &str,
    secret: &str,
    now: i64,
    nonces: &mut Nonces,
) -> Result<(), Unbelieved> {
    let header = request
        .authorization
        .ok_or(Unbelieved("there is no Authorization header"))?;
    let rest = header
        .strip_prefix("OAuth ")
        .ok_or(Unbelieved("the Authorization is not OAuth"))?;
    let mut given = BTreeMap::new();
    for part in rest.split(',') {
        let (name, value) = part
            .trim()
            .split_once('=')
            .ok_or(Unbelieved("a parameter has no value"))?;
        let value = value
            .strip_prefix('"')
            .and_then(|value| value.strip_suffix('"'))
            .ok_or(Unbelieved("a parameter is not quoted"))?;
        if given.insert(decode(name), decode(value)).is_some() {
            return Err(Unbelieved("a parameter is given twice"));
        }
    }
    let get = |name: &str| given.get(name).map(String::as_str);
    if get("oauth_signature_method") != Some("HMAC-SHA1") {
        return Err(Unbelieved("the signature method is not HMAC-SHA1"));
    }
    if get("oauth_version").is_some_and(|version| version != "1.0") {
        return Err(Unbelieved("the version is not 1.0"));
    }
    if get("oauth_consumer_key") != Some(key) {
        return Err(Unbelieved("the consumer key is not known"));
    }
    let timestamp: i64 = get("oauth_timestamp")
        .and_then(|text| text.parse().ok())
        .ok_or(Unbelieved("there is no timestamp"))?;
    if (timestamp - now).abs() > TOLERANCE {
        return Err(Unbelieved("the timestamp is too far from the clock"));
    }
    let nonce = get("oauth_nonce")
        .filter(|nonce| !nonce.is_empty())
        .ok_or(Unbelieved("there is no nonce"))?
        .to_owned();
    let signature = get("oauth_signature").ok_or(Unbelieved("there is no signature"))?;
    let signature = base64::engine::general_purpose::STANDARD
        .decode(signature)
        .map_err(|_| Unbelieved("the signature is not base64"))?;

    let mut parameters: Vec<(String, String)> = given
        .iter()
        .filter(|(name, _)| *name != "oauth_signature" && *name != "realm")
        .map(|(name, value)| (escape(name), escape(value)))
        .collect();
    for pair in request.query.split('&').filter(|pair| !pair.is_empty()) {
        let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
        let plain = |text: &str| decode(&text.replace('+', " "));
        parameters.push((escape(&plain(name)), escape(&plain(value))));
    }
    parameters.sort();
    let joined: Vec<String> = parameters.iter().map(|(n, v)| format!("{n}={v}")).collect();
    let base = [
        request.method.to_uppercase(),
        escape(request.url),
        escape(&joined.join("&")),
    ]
    .join("&");
    let Ok(mut mac) = Hmac::<Sha1>::new_from_slice(format!("{}&", escape(secret)).as_bytes())
    else {
        return Err(Unbelieved("the secret makes no key"));
    };
    mac.update(base.as_bytes());
    // This compares in constant time.
    mac.verify_slice(&signature)
        .map_err(|_| Unbelieved("the signature is wrong"))?;
    // Last, so that a forged request uses up no nonce.
    nonces.take(timestamp, &nonce, now)
}

/// Undoes percent-encoding.
fn decode(text: &str) -> String {
    let bytes = text.as_bytes();
    let mut out = Vec::with_capacity(bytes.len());
    let mut at = 0;
    while at < bytes.len() {
        let code = bytes
            .get(at + 1..at + 3)
            .filter(|_| bytes[at] == b'%')
            .and_then(|hex| std::str::from_utf8(hex).ok())
            .and_then(|hex| u8::from_str_radix(hex, 16).ok());
        match code {
            Some(byte) => {
                out.push(byte);
                at += 3;
            }
            None => {
                out.push(bytes[at]);
                at += 1;
            }
        }
    }
    String::from_utf8_lossy(&out).into_owned()
}

/// Percent-encodes all but the unreserved characters (RFC 5849 §3.6).
fn escape(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for byte in text.bytes() {
        if byte.is_ascii_alphanumeric() || b"-._~".contains(&byte) {
            out.push(char::from(byte));
        } else {
            out.push_str(&format!("%{byte:02X}"));
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: i64 = 137_131_200;

    /// RFC 5849 §1.2: the request for temporary credentials.
    fn rfc(signature: &str, nonce: &str, url: &str, now: i64) -> Result<(), Unbelieved> {
        let header = format!(
            "OAuth realm=\"Photos\", oauth_consumer_key=\"dpf43f3p2l4k3l03\", \
             oauth_signature_method=\"HMAC-SHA1\", oauth_timestamp=\"137131200\", oauth_nonce=\"{nonce}\", \
             oauth_callback=\"http%3A%2F%2Fprinter.example.com%2Fready\", oauth_signature=\"{signature}\""
        );
        let request = Signed {
            method: "POST",
            url,
            query: "",
            authorization: Some(&header),
        };
        let mut nonces = Nonces::default();
        check(
            &request,
            "dpf43f3p2l4k3l03",
            "kd94hf93k423kf44",
            now,
            &mut nonces,
        )?;
        // The same request again is a replay.
        assert!(
            check(
                &request,
                "dpf43f3p2l4k3l03",
                "kd94hf93k423kf44",
                now,
                &mut nonces
            )
            .is_err()
        );
        Ok(())
    }

    #[test]
    fn the_rfcs_own_example_is_believed_once() {
        let url = "https://photos.example.net/initiate";
        assert_eq!(
            rfc("74KNZJeDHnMBp0EMJ9ZHt%2FXKycU%3D", "wIjqoS", url, NOW),
            Ok(())
        );
    }

    #[test]
    fn whatever_differs_is_not_believed() {
        let url = "https://photos.example.net/initiate";
        let good = "74KNZJeDHnMBp0EMJ9ZHt%2FXKycU%3D";
        assert!(rfc("84KNZJeDHnMBp0EMJ9ZHt%2FXKycU%3D", "wIjqoS", url, NOW).is_err());
        assert!(rfc(good, "wIjqoT", url, NOW).is_err());
        assert!(rfc(good, "wIjqoS", "https://photos.example.net/other", NOW).is_err());
        assert!(rfc(good, "wIjqoS", url, NOW + 301).is_err());
        assert!(rfc("nonsense", "wIjqoS", url, NOW).is_err());
    }

    #[test]
    fn malformed_headers_are_refused() {
        for header in [
            None,
            Some("Basic x"),
            Some("OAuth "),
            Some("OAuth a"),
            Some("OAuth a=\"1\", a=\"2\""),
        ] {
            let request = Signed {
                method: "GET",
                url: "http://x/",
                query: "",
                authorization: header,
            };
            assert!(check(&request, "k", "s", NOW, &mut Nonces::default()).is_err());
        }
    }

    #[test]
    fn percent_encoding_comes_and_goes() {
        assert_eq!(escape("a b+c/é~"), "a%20b%2Bc%2F%C3%A9~");
        assert_eq!(decode("a%20b%2Bc%2F%C3%A9~%"), "a b+c/é~%");
    }
}
