//! Values of personalisation fields: personal data, on their way to Spotler and nowhere else.

use std::fmt;

use crate::digest::{Digest, Hasher};

/// A field with its value, ready to be sent.
///
/// It cannot be printed: `Debug` shows the name and type alone.
#[derive(Clone, PartialEq, Eq)]
pub struct FieldValue {
    /// Its name in the message.
    pub name: String,
    /// Its value.
    pub content: FieldContent,
}

/// A field's value, by type.
#[derive(Clone, PartialEq, Eq)]
pub enum FieldContent {
    /// `STRING`.
    String(String),
    /// `URL`.
    Url(String),
    /// `PRODUCTLIST`.
    Products(Vec<String>),
}

impl FieldContent {
    /// The type's name on the wire.
    pub fn type_name(&self) -> &'static str {
        match self {
            FieldContent::String(_) => "STRING",
            FieldContent::Url(_) => "URL",
            FieldContent::Products(_) => "PRODUCTLIST",
        }
    }
}

impl fmt::Debug for FieldValue {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}(…)", self.name, self.content.type_name())
    }
}

/// Whether a text is an absolute `http` or `https` URL. It is sent as it is, so it must be one without the repairs that
/// a browser would make.
pub fn is_web_address(text: &str) -> bool {
    let clean = !text.contains(|c: char| c.is_whitespace() || c.is_control());
    clean
        && url::Url::parse(text)
            .is_ok_and(|url| matches!(url.scheme(), "http" | "https") && url.has_host())
        && text.contains("://")
}

/// Whether a text is a list of product ids in another notation, such as `["a","b"]` of JSON or `{a,b}` of PostgreSQL.
pub fn is_other_list(text: &str) -> bool {
    let text = text.trim();
    let is_within = |open, close| text.starts_with(open) && text.ends_with(close);
    is_within('[', ']') || is_within('{', '}')
}

/// The digest of a set of fields, whatever their order; `None` for no fields.
pub fn digest(fields: &[FieldValue]) -> Option<Digest> {
    if fields.is_empty() {
        return None;
    }
    let mut sorted: Vec<&FieldValue> = fields.iter().collect();
    sorted.sort_by(|a, b| a.name.cmp(&b.name));
    let mut hasher = Hasher::new();
    for field in sorted {
        hasher.part(&field.name).part(field.content.type_name());
        match &field.content {
            FieldContent::String(text) | FieldContent::Url(text) => {
                hasher.part(text);
            }
            FieldContent::Products(ids) => {
                hasher.part((ids.len() as u64).to_le_bytes());
                for id in ids {
                    hasher.part(id);
                }
            }
        }
    }
    Some(hasher.finish())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(name: &str, value: &str) -> FieldValue {
        FieldValue {
            name: name.to_owned(),
            content: FieldContent::String(value.to_owned()),
        }
    }

    #[test]
    fn the_order_of_fields_does_not_count_and_their_values_do() {
        let ab = digest(&[text("a", "1"), text("b", "2")]);
        assert_eq!(ab, digest(&[text("b", "2"), text("a", "1")]));
        assert_ne!(ab, digest(&[text("a", "1"), text("b", "3")]));
        assert_eq!(digest(&[]), None);
    }

    #[test]
    fn a_url_is_absolute_of_the_web_and_needs_no_repair() {
        for good in [
            "https://shop.example/cart/42?a=b#c",
            "http://localhost:8080",
        ] {
            assert!(is_web_address(good), "{good}");
        }
        for bad in [
            "",
            "shop.example",
            "/cart",
            "ftp://shop.example",
            "https:shop.example",
            "https://",
            " https://shop.example",
            "https://shop.example/a b",
            "https://shop.example/\n",
            "javascript:alert(1)",
            "mailto:a@b.example",
        ] {
            assert!(!is_web_address(bad), "{bad:?}");
        }
    }

    #[test]
    fn a_value_cannot_be_printed() {
        assert_eq!(
            format!("{:?}", text("company", "De Vries")),
            "company: STRING(…)"
        );
    }
}
