//! The check of an OAuth 1.0a signature, one-legged, HMAC-SHA1: written from RFC 5849 for a server, so that it shares
//! nothing with the client that it judges.

use std::borrow::Cow;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use hmac::{Hmac, KeyInit, Mac};
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, percent_decode_str, utf8_percent_encode};
use secrecy::ExposeSecret;
use sha1::Sha1;

use super::options::Credentials;

/// The parts of a request that a signature covers, as they came over the wire.
pub(super) struct Signed<'a> {
    /// The method, in capitals.
    pub method: &'a str,
    /// The `Host` header.
    pub host: &'a str,
    /// The path, still encoded.
    pub path: &'a str,
    /// The query, still encoded.
    pub query: Option<&'a str>,
    /// The `Authorization` header.
    pub authorization: &'a str,
}

/// What a valid signature leaves to be checked: that it was not used before.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Ticket {
    /// `oauth_timestamp`: seconds since 1970.
    pub timestamp: i64,
    /// `oauth_nonce`.
    pub nonce: String,
}

/// Why a request is turned away with 401.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(super) enum Refusal {
    #[error("The request has no Authorization header that begins with `OAuth`.")]
    Unsigned,
    #[error(
        "The Authorization header cannot be read: it is not a list of name=\"value\" with percent-encoded values."
    )]
    Unreadable,
    #[error("The OAuth parameter `{0}` is missing.")]
    Missing(&'static str),
    #[error("The OAuth parameter `{0}` is there more than once.")]
    Duplicate(String),
    #[error("The OAuth parameter `{0}` is in the query; it belongs in the Authorization header.")]
    InQuery(String),
    #[error("The query string cannot be read: it is not percent-encoded UTF-8.")]
    Query,
    #[error("The `oauth_version` is `{0}`; only `1.0` is supported.")]
    Version(String),
    #[error("The `oauth_signature_method` is `{0}`; only `HMAC-SHA1` is supported.")]
    Method(String),
    #[error("The `oauth_token` is not known: requests are signed with the consumer key alone.")]
    Token,
    #[error("The consumer key is not known.")]
    UnknownKey,
    #[error("The `oauth_timestamp` is not a positive whole number.")]
    NoTimestamp,
    #[error(
        "The `oauth_timestamp` is {0} s away from the server's clock; at most {1} s are allowed."
    )]
    Stale(u64, u64),
    #[error("The `oauth_nonce` is empty.")]
    EmptyNonce,
    #[error("The `oauth_nonce` was used before with this timestamp.")]
    Replayed,
    #[error("The signature does not match the request.")]
    Signature,
    #[error("The credentials were revoked.")]
    Revoked,
}

impl Refusal {
    /// The `errorType` of the answer.
    pub fn error_type(&self) -> &'static str {
        match self {
            Refusal::Unsigned | Refusal::UnknownKey => "AUTH_NOT_FOUND",
            _ => "NOT_AUTHORIZED",
        }
    }
}

/// Checks everything about a signature but its nonce's freshness, which needs a memory.
///
/// `now` is the server's clock in seconds since 1970, `tolerance` how far the timestamp may be from it, in seconds.
///
/// # Errors
/// The first [`Refusal`] found.
pub(super) fn check(
    request: &Signed<'_>,
    credentials: &Credentials,
    now: i64,
    tolerance: u64,
) -> Result<Ticket, Refusal> {
    let sent = parameters(request.authorization)?;
    let required = |name: &'static str| find(&sent, name).ok_or(Refusal::Missing(name));
    let key = required("oauth_consumer_key")?;
    let method = required("oauth_signature_method")?;
    let signature = required("oauth_signature")?;
    let timestamp = required("oauth_timestamp")?;
    let nonce = required("oauth_nonce")?;
    let version = required("oauth_version")?;

    if version != "1.0" {
        return Err(Refusal::Version(version.to_owned()));
    }
    if method != "HMAC-SHA1" {
        return Err(Refusal::Method(method.to_owned()));
    }
    if find(&sent, "oauth_token").is_some_and(|token| !token.is_empty()) {
        return Err(Refusal::Token);
    }
    if key != credentials.key {
        return Err(Refusal::UnknownKey);
    }
    let timestamp = timestamp
        .parse::<i64>()
        .ok()
        .filter(|t| *t > 0)
        .ok_or(Refusal::NoTimestamp)?;
    let away = timestamp.abs_diff(now);
    if away > tolerance {
        return Err(Refusal::Stale(away, tolerance));
    }
    if nonce.is_empty() {
        return Err(Refusal::EmptyNonce);
    }

    let query = query_parameters(request.query.unwrap_or_default())?;
    if let Some((name, _)) = query.iter().find(|(name, _)| name.starts_with("oauth_")) {
        return Err(Refusal::InQuery(name.clone().into_owned()));
    }
    let covered = sent
        .iter()
        .filter(|(name, _)| !matches!(&**name, "realm" | "oauth_signature"))
        .chain(&query)
        .map(|(name, value)| (&**name, &**value));
    let base = base_string(
        request.method,
        &base_uri(request.host, request.path),
        covered,
    );
    let signature = STANDARD.decode(signature).map_err(|_| Refusal::Signature)?;
    signer(credentials.secret.expose_secret(), "", &base)
        .verify_slice(&signature)
        .map_err(|_| Refusal::Signature)?;
    Ok(Ticket {
        timestamp,
        nonce: nonce.to_owned(),
    })
}

/// A decoded parameter: name and value.
type Parameter<'a> = (Cow<'a, str>, Cow<'a, str>);

fn find<'a>(parameters: &'a [Parameter<'_>], name: &str) -> Option<&'a str> {
    let (_, value) = parameters.iter().find(|(n, _)| n == name)?;
    Some(value)
}

/// The parameters of an `Authorization` header (RFC 5849 §3.5.1), decoded.
fn parameters(header: &str) -> Result<Vec<Parameter<'_>>, Refusal> {
    let (scheme, mut rest) = header.split_once(' ').ok_or(Refusal::Unsigned)?;
    if !scheme.eq_ignore_ascii_case("OAuth") {
        return Err(Refusal::Unsigned);
    }
    let mut found: Vec<Parameter<'_>> = Vec::with_capacity(8);
    loop {
        let (name, after) = rest.split_once("=\"").ok_or(Refusal::Unreadable)?;
        let (value, after) = after.split_once('"').ok_or(Refusal::Unreadable)?;
        let name = decode(name.trim()).ok_or(Refusal::Unreadable)?;
        // The realm is plain text of RFC 2617, everything else is percent-encoded.
        let value = if name == "realm" {
            Cow::Borrowed(value)
        } else {
            decode(value).ok_or(Refusal::Unreadable)?
        };
        if find(&found, &name).is_some() {
            return Err(Refusal::Duplicate(name.into_owned()));
        }
        found.push((name, value));
        let after = after.trim();
        if after.is_empty() {
            return Ok(found);
        }
        rest = after.strip_prefix(',').ok_or(Refusal::Unreadable)?;
    }
}

/// The parameters of a query, decoded as the form that it is (RFC 5849 §3.4.1.3.1).
fn query_parameters(query: &str) -> Result<Vec<Parameter<'_>>, Refusal> {
    let decode_form = |text: &str| {
        percent_decode_str(&text.replace('+', " "))
            .decode_utf8()
            .map(|text| Cow::Owned(text.into_owned()))
            .map_err(|_| Refusal::Query)
    };
    query
        .split('&')
        .filter(|pair| !pair.is_empty())
        .map(|pair| {
            let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
            Ok((decode_form(name)?, decode_form(value)?))
        })
        .collect()
}

/// What RFC 5849 §3.6 leaves unencoded.
const ENCODED: &AsciiSet = &NON_ALPHANUMERIC
    .remove(b'-')
    .remove(b'.')
    .remove(b'_')
    .remove(b'~');

fn encode(text: &str) -> Cow<'_, str> {
    utf8_percent_encode(text, ENCODED).into()
}

/// Decodes a text that must be encoded exactly as RFC 5849 §3.6 says; `None` where it is not.
fn decode(text: &str) -> Option<Cow<'_, str>> {
    let decoded = percent_decode_str(text).decode_utf8().ok()?;
    (encode(&decoded) == text).then_some(decoded)
}

/// The base string URI (RFC 5849 §3.4.1.2): the sandbox speaks plain HTTP, whose own port is left out.
fn base_uri(host: &str, path: &str) -> String {
    let host = host.to_ascii_lowercase();
    let host = host.strip_suffix(":80").unwrap_or(&host);
    format!("http://{host}{path}")
}

/// The signature base string (RFC 5849 §3.4.1).
fn base_string<'a>(
    method: &str,
    uri: &str,
    parameters: impl Iterator<Item = (&'a str, &'a str)>,
) -> String {
    let mut pairs: Vec<_> = parameters.map(|(n, v)| (encode(n), encode(v))).collect();
    pairs.sort_unstable();
    let pairs: Vec<String> = pairs.iter().map(|(n, v)| format!("{n}={v}")).collect();
    format!("{method}&{}&{}", encode(uri), encode(&pairs.join("&")))
}

/// The signature in the making (RFC 5849 §3.4.2).
fn signer(secret: &str, token_secret: &str, base: &str) -> Hmac<Sha1> {
    let key = format!("{}&{}", encode(secret), encode(token_secret));
    let mut mac =
        Hmac::<Sha1>::new_from_slice(key.as_bytes()).expect("HMAC takes a key of any length");
    mac.update(base.as_bytes());
    mac
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn signature(secret: &str, token_secret: &str, base: &str) -> String {
        STANDARD.encode(signer(secret, token_secret, base).finalize().into_bytes())
    }

    #[test]
    fn the_base_string_of_the_rfc_comes_out() {
        // RFC 5849 §3.4.1: query, header and form body together.
        let base = base_string(
            "POST",
            &base_uri("EXAMPLE.COM:80", "/request"),
            [
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
            ]
            .into_iter(),
        );
        assert_eq!(
            base,
            "POST&http%3A%2F%2Fexample.com%2Frequest&a2%3Dr%2520b%26a3%3D2%2520q\
             %26a3%3Da%26b5%3D%253D%25253D%26c%2540%3D%26c2%3D%26oauth_consumer_\
             key%3D9djdj82h48djs9d2%26oauth_nonce%3D7d8f3e4a%26oauth_signature_m\
             ethod%3DHMAC-SHA1%26oauth_timestamp%3D137131201%26oauth_token%3Dkkk\
             9d7dh3k39sjv7"
        );
    }

    #[test]
    fn a_query_is_read_as_the_rfc_reads_it() {
        let read = query_parameters("b5=%3D%253D&a3=a&c%40=&a2=r%20b&c2&a3=2+q").unwrap();
        let read: Vec<(&str, &str)> = read.iter().map(|(n, v)| (&**n, &**v)).collect();
        assert_eq!(
            read,
            [
                ("b5", "=%3D"),
                ("a3", "a"),
                ("c@", ""),
                ("a2", "r b"),
                ("c2", ""),
                ("a3", "2 q")
            ]
        );
    }

    #[test]
    fn the_signature_of_the_rfc_comes_out() {
        // RFC 5849 §1.2, the temporary credentials.
        let base = base_string(
            "POST",
            "https://photos.example.net/initiate",
            [
                ("oauth_consumer_key", "dpf43f3p2l4k3l03"),
                ("oauth_signature_method", "HMAC-SHA1"),
                ("oauth_timestamp", "137131200"),
                ("oauth_nonce", "wIjqoS"),
                ("oauth_callback", "http://printer.example.com/ready"),
            ]
            .into_iter(),
        );
        assert_eq!(
            signature("kd94hf93k423kf44", "", &base),
            "74KNZJeDHnMBp0EMJ9ZHt/XKycU="
        );
    }

    #[test]
    fn the_signature_of_the_oauth_core_specification_comes_out() {
        // OAuth Core 1.0, appendix A.5.
        let base = base_string(
            "GET",
            "http://photos.example.net/photos",
            [
                ("file", "vacation.jpg"),
                ("size", "original"),
                ("oauth_consumer_key", "dpf43f3p2l4k3l03"),
                ("oauth_token", "nnch734d00sl2jdk"),
                ("oauth_signature_method", "HMAC-SHA1"),
                ("oauth_timestamp", "1191242096"),
                ("oauth_nonce", "kllo9940pd9333jh"),
                ("oauth_version", "1.0"),
            ]
            .into_iter(),
        );
        assert_eq!(
            signature("kd94hf93k423kf44", "pfkkdhi9sl3r4s00", &base),
            "tR3+Ty81lMeYAr/Fid0kMTYa/WM="
        );
    }

    #[test]
    fn the_signature_of_twitters_documentation_comes_out() {
        // "Creating a signature", the revision for API version 1.
        let base = base_string(
            "POST",
            "https://api.twitter.com/1/statuses/update.json",
            [
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
            ]
            .into_iter(),
        );
        assert_eq!(
            signature(
                "kAcSOqF21Fu85e7zjz7ZN2U4ZRhfV3WpwPAoE3Z7kBw",
                "LswwdoUaIvS8ltyTt5jkRh4J50vUPVVHtR2YPi5kE",
                &base
            ),
            "tnnArxj06cWHq44gCs1OSKk/jLY="
        );
    }

    const NOW: i64 = 1_700_000_000;

    /// A header whose signature is right for `POST http://127.0.0.1:8025/x?b=2`, with parameters replaced or removed
    /// before (`signed`) the signature was made.
    fn header(change: &[(&str, Option<&str>)]) -> String {
        let mut parameters = vec![
            ("oauth_consumer_key", "key".to_owned()),
            ("oauth_nonce", "n 1".to_owned()),
            ("oauth_signature_method", "HMAC-SHA1".to_owned()),
            ("oauth_timestamp", NOW.to_string()),
            ("oauth_version", "1.0".to_owned()),
        ];
        for (name, value) in change {
            parameters.retain(|(n, _)| n != name);
            if let Some(value) = value {
                parameters.push((name, (*value).to_owned()));
            }
        }
        let pairs = parameters.iter().map(|(n, v)| (*n, v.as_str()));
        let base = base_string("POST", "http://127.0.0.1:8025/x", pairs.chain([("b", "2")]));
        parameters.push(("oauth_signature", signature("s/ecret", "", &base)));
        let listed: Vec<String> = parameters
            .iter()
            .map(|(n, v)| format!("{n}=\"{}\"", encode(v)))
            .collect();
        format!("OAuth realm=\"a, b\", {}", listed.join(", "))
    }

    fn judge(authorization: &str) -> Result<Ticket, Refusal> {
        judge_query(authorization, "b=2")
    }

    fn judge_query(authorization: &str, query: &str) -> Result<Ticket, Refusal> {
        let request = Signed {
            method: "POST",
            host: "127.0.0.1:8025",
            path: "/x",
            query: Some(query),
            authorization,
        };
        check(&request, &Credentials::new("key", "s/ecret"), NOW, 300)
    }

    #[test]
    fn a_good_signature_gives_its_ticket() {
        let ticket = Ticket {
            timestamp: NOW,
            nonce: "n 1".to_owned(),
        };
        assert_eq!(judge(&header(&[])), Ok(ticket));
        assert!(judge(&header(&[("oauth_token", Some(""))])).is_ok());
        assert!(judge(&header(&[("oauth_timestamp", Some("1699999700"))])).is_ok());
    }

    #[test]
    fn whatever_is_wrong_is_named() {
        for name in [
            "oauth_consumer_key",
            "oauth_nonce",
            "oauth_signature_method",
            "oauth_timestamp",
            "oauth_version",
        ] {
            assert_eq!(judge(&header(&[(name, None)])), Err(Refusal::Missing(name)));
        }
        for (name, value, refusal) in [
            ("oauth_version", "1.1", Refusal::Version("1.1".to_owned())),
            (
                "oauth_signature_method",
                "PLAINTEXT",
                Refusal::Method("PLAINTEXT".to_owned()),
            ),
            ("oauth_consumer_key", "kez", Refusal::UnknownKey),
            ("oauth_token", "t", Refusal::Token),
            ("oauth_nonce", "", Refusal::EmptyNonce),
            ("oauth_timestamp", "soon", Refusal::NoTimestamp),
            ("oauth_timestamp", "-5", Refusal::NoTimestamp),
            ("oauth_timestamp", "1699999699", Refusal::Stale(301, 300)),
            ("oauth_timestamp", "1700000301", Refusal::Stale(301, 300)),
        ] {
            assert_eq!(judge(&header(&[(name, Some(value))])), Err(refusal));
        }
    }

    #[test]
    fn a_signature_covers_query_and_parameters() {
        let good = header(&[]);
        assert_eq!(judge_query(&good, "b=3"), Err(Refusal::Signature));
        assert_eq!(judge_query(&good, ""), Err(Refusal::Signature));
        assert_eq!(
            judge(&good.replace("n%201", "n%202")),
            Err(Refusal::Signature)
        );
        assert_eq!(
            judge(&good.replace("oauth_signature=\"", "oauth_signature=\"A")),
            Err(Refusal::Signature)
        );
    }

    #[test]
    fn parameters_twice_or_in_the_wrong_place_are_refused() {
        let good = header(&[]);
        assert_eq!(
            judge(&format!("{good}, oauth_version=\"1.0\"")),
            Err(Refusal::Duplicate("oauth_version".to_owned()))
        );
        assert_eq!(
            judge_query(&good, "b=2&oauth_nonce=x"),
            Err(Refusal::InQuery("oauth_nonce".to_owned()))
        );
    }

    #[test]
    fn a_header_that_is_no_oauth_header_is_refused() {
        for header in ["", "Basic YTpi", "Bearer x"] {
            assert_eq!(judge(header), Err(Refusal::Unsigned));
        }
        for header in [
            "OAuth x",
            "OAuth oauth_nonce=1",
            "OAuth oauth_nonce=\"1",
            "OAuth a=\"1\" b=\"2\"",
            "OAuth a=\"b+c\"",
            "OAuth a=\"%zz\"",
            "OAuth a=\"%ff\"",
        ] {
            assert_eq!(judge(header), Err(Refusal::Unreadable), "{header}");
        }
    }

    proptest! {
        #[test]
        fn no_header_is_taken_that_was_not_signed(
            header in "(OAuth )?([a-z_=\",% 0-9]|oauth_nonce=\"|oauth_signature=\"|%[0-9A-F]{2}|\\PC){0,30}",
            path in "\\PC{0,12}",
            query in "\\PC{0,12}",
        ) {
            let request = Signed {
                method: "POST",
                host: "localhost",
                path: &path,
                query: Some(&query),
                authorization: &header,
            };
            let credentials = Credentials {
                key: "key".to_owned(),
                secret: "secret".to_owned().into(),
            };
            prop_assert!(check(&request, &credentials, 0, u64::MAX).is_err());
        }
    }
}
