//! Statements with their values in them. So many of them, with the transaction around them, are one message, and one wait for
//! the server; with values beside them, each costs two.

use std::borrow::Cow;

use super::link::Place;

/// A statement with its values.
pub(super) struct Statement {
    text: String,
    values: Vec<String>,
}

impl Statement {
    /// One in which `~table` is a table, and `$1` the first value.
    pub(super) fn new(at: &Place, text: &str) -> Self {
        Self {
            text: at.sql(text).0,
            values: Vec::new(),
        }
    }

    /// Adds the next value.
    pub(super) fn bind(mut self, value: impl Value) -> Self {
        self.values.push(literal(&value));
        self
    }

    /// As it is sent.
    pub(super) fn sql(&self) -> String {
        let len = self.values.iter().map(String::len).sum::<usize>();
        let mut sql = String::with_capacity(self.text.len() + 2 * len);
        let mut parts = self.text.split('$');
        sql.push_str(parts.next().unwrap_or_default());
        for part in parts {
            let (digits, rest) = part
                .split_at(part.len() - part.trim_start_matches(|c: char| c.is_ascii_digit()).len());
            let value = digits.parse::<usize>().ok();
            let value = value.and_then(|number| self.values.get(number.checked_sub(1)?));
            // One without a value is an error to the server.
            sql.push_str(value.map_or("$0", String::as_str));
            sql.push_str(rest);
        }
        sql
    }
}

/// What can be a value.
pub(super) trait Value {
    /// Its type.
    fn kind() -> Cow<'static, str>;

    /// As PostgreSQL reads it, where there is any.
    fn text(&self) -> Option<Cow<'_, str>>;
}

impl Value for i64 {
    fn kind() -> Cow<'static, str> {
        "bigint".into()
    }

    fn text(&self) -> Option<Cow<'_, str>> {
        Some(self.to_string().into())
    }
}

impl Value for bool {
    fn kind() -> Cow<'static, str> {
        "boolean".into()
    }

    fn text(&self) -> Option<Cow<'_, str>> {
        Some(if *self { "t" } else { "f" }.into())
    }
}

impl Value for str {
    fn kind() -> Cow<'static, str> {
        "text".into()
    }

    fn text(&self) -> Option<Cow<'_, str>> {
        Some(self.into())
    }
}

impl Value for String {
    fn kind() -> Cow<'static, str> {
        str::kind()
    }

    fn text(&self) -> Option<Cow<'_, str>> {
        self.as_str().text()
    }
}

impl Value for [u8] {
    fn kind() -> Cow<'static, str> {
        "bytea".into()
    }

    fn text(&self) -> Option<Cow<'_, str>> {
        use std::fmt::Write as _;
        let mut text = "\\x".to_owned();
        for byte in self {
            let _ = write!(text, "{byte:02x}");
        }
        Some(text.into())
    }
}

impl<T: Value + ?Sized> Value for &T {
    fn kind() -> Cow<'static, str> {
        T::kind()
    }

    fn text(&self) -> Option<Cow<'_, str>> {
        (**self).text()
    }
}

impl<T: Value> Value for Option<T> {
    fn kind() -> Cow<'static, str> {
        T::kind()
    }

    fn text(&self) -> Option<Cow<'_, str>> {
        self.as_ref()?.text()
    }
}

impl<T: Value> Value for Vec<T> {
    fn kind() -> Cow<'static, str> {
        format!("{}[]", T::kind()).into()
    }

    fn text(&self) -> Option<Cow<'_, str>> {
        let mut text = "{".to_owned();
        for (at, value) in self.iter().enumerate() {
            if at > 0 {
                text.push(',');
            }
            match value.text() {
                Some(value) => quote(&mut text, &value, '"'),
                None => text.push_str("NULL"),
            }
        }
        text.push('}');
        Some(text.into())
    }
}

/// A value as it stands in a statement, whatever it holds, as libpq's `PQescapeLiteral` writes it.
fn literal(value: &impl Value) -> String {
    fn kind<V: Value>(_: &V) -> Cow<'static, str> {
        V::kind()
    }
    let mut sql = String::new();
    match value.text() {
        Some(text) => {
            sql.push_str(" E");
            quote(&mut sql, &text, '\'');
        }
        None => sql.push_str("NULL"),
    }
    sql + "::" + &kind(value)
}

/// Puts a text in quotes. A zero, which PostgreSQL keeps in no text and which ends a message, is the sign for what is not one.
fn quote(out: &mut String, text: &str, quote: char) {
    out.push(quote);
    for c in text.chars() {
        match c {
            '\0' => out.push('\u{fffd}'),
            '\\' => out.push_str("\\\\"),
            '\'' if quote == '\'' => out.push_str("''"),
            '"' if quote == '"' => out.push_str("\\\""),
            c => out.push(c),
        }
    }
    out.push(quote);
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sql(text: &str, bind: impl Fn(Statement) -> Statement) -> String {
        let at = Place {
            path: "here".into(),
            schema: "s".to_owned(),
        };
        bind(Statement::new(&at, text)).sql()
    }

    #[test]
    fn a_value_ends_no_text_and_is_no_place_for_another() {
        let hostile = "a' OR \\' $2 ~x \0 \" é";
        assert_eq!(
            sql("SELECT $1, $2, $11 FROM ~t", |of| {
                let of = of.bind(hostile).bind(-5_i64);
                (3..=11).fold(of, |of, _| of.bind(None::<i64>))
            }),
            "SELECT  E'a'' OR \\\\'' $2 ~x \u{fffd} \" é'::text,  E'-5'::bigint, NULL::bigint FROM \"s\".t"
        );
        assert_eq!(
            sql("$1", |of| of.bind(vec![Some("a'\"\\,{}"), None])),
            " E'{\"a''\\\\\"\\\\\\\\,{}\",NULL}'::text[]"
        );
        assert_eq!(
            sql("$1 $2", |of| of
                .bind(Some(&b"\x01\xff"[..]))
                .bind(vec![true, false])),
            " E'\\\\x01ff'::bytea  E'{\"t\",\"f\"}'::boolean[]"
        );
        assert_eq!(sql("$1 $2", |of| of.bind("x")), " E'x'::text $0");
    }
}
