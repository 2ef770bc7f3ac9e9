//! The text of a query, as far as it must be understood here: that it is one `select`, and which words it uses.

use std::fmt;
use std::ops::Range;

/// Why a text is not one query.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum QueryError {
    /// There is nothing in it.
    Empty,
    /// It begins with another word.
    NotSelect(String),
    /// There is something behind its end.
    Several,
    /// A quote, a comment or a parenthesis does not end, or ends what did not begin.
    Unbalanced,
    /// It wants a value that nobody gives.
    Parameter(String),
}

impl fmt::Display for QueryError {
    /// Reads on after what it is about: `has several statements`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Empty => f.write_str("is empty"),
            Self::NotSelect(word) => write!(f, "begins with {word:?}, and is not a `select`"),
            Self::Several => f.write_str("has several statements"),
            Self::Unbalanced => {
                f.write_str("has a quote, a comment or a parenthesis that does not end")
            }
            Self::Parameter(name) => write!(f, "wants a value for {name}, which it does not get"),
        }
    }
}

/// A piece of a query of SQLite that means something.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Token<'q> {
    /// A word without quotes.
    Word(&'q str),
    /// A name in quotes, without these.
    Name(&'q str),
    /// `?`, `:today`, `@x` or `$x`.
    Parameter(&'q str),
    Open,
    Close,
    End,
    /// A text in quotes, a number, an operator.
    Other,
    /// It does not end.
    Unended,
}

/// The pieces of a query by the rules of SQLite, and where each stands.
fn tokens(query: &str) -> impl Iterator<Item = (Range<usize>, Token<'_>)> {
    let mut at = 0;
    std::iter::from_fn(move || {
        loop {
            let rest = &query[at..];
            let first = rest.chars().next()?;
            let is_part = |c: char| c.is_alphanumeric() || c == '_' || c == '$';
            let word = |text: &str| text.find(|c| !is_part(c)).unwrap_or(text.len());
            let until = |end: &str, from: usize| {
                let found = rest.get(from..)?.find(end)?;
                Some(from + found + end.len())
            };
            let (len, token) = match first {
                _ if first.is_whitespace() => {
                    at += first.len_utf8();
                    continue;
                }
                '-' if rest.starts_with("--") => {
                    at += until("\n", 0).unwrap_or(rest.len());
                    continue;
                }
                '/' if rest.starts_with("/*") => match until("*/", 2) {
                    Some(len) => {
                        at += len;
                        continue;
                    }
                    None => (rest.len(), Token::Unended),
                },
                '\'' | '"' | '`' | '[' => {
                    let close = if first == '[' { "]" } else { &rest[..1] };
                    let mut end = until(close, 1);
                    while let Some(len) = end
                        && first != '['
                        && rest[len..].starts_with(close)
                    {
                        end = until(close, len + 1);
                    }
                    match end {
                        None => (rest.len(), Token::Unended),
                        Some(len) if first == '\'' => (len, Token::Other),
                        Some(len) => (len, Token::Name(&rest[1..len - 1])),
                    }
                }
                '(' => (1, Token::Open),
                ')' => (1, Token::Close),
                ';' => (1, Token::End),
                '?' | ':' | '@' | '$' | '#' => {
                    let len = 1 + word(&rest[1..]);
                    (len, Token::Parameter(&rest[..len]))
                }
                _ if first.is_ascii_digit() => (word(rest), Token::Other),
                _ if is_part(first) => {
                    let len = word(rest);
                    (len, Token::Word(&rest[..len]))
                }
                _ => (first.len_utf8(), Token::Other),
            };
            let range = at..at + len;
            at += len;
            return Some((range, token));
        }
    })
}

/// The one `select` that a query of SQLite is, without a semicolon at its end, and with these values in the place of the
/// parameters of these names. It can stand in parentheses.
///
/// # Errors
/// Why it is none.
pub fn select(query: &str, values: &[(&str, &str)]) -> Result<String, QueryError> {
    let mut select = String::with_capacity(query.len());
    let (mut depth, mut has_ended, mut done) = (0_usize, false, 0);
    let mut is_first = true;
    for (range, token) in tokens(query) {
        if has_ended && token != Token::End {
            return Err(QueryError::Several);
        }
        if is_first {
            match token {
                Token::Word(word)
                    if ["select", "with", "values"]
                        .iter()
                        .any(|known| known.eq_ignore_ascii_case(word)) => {}
                Token::Word(word) => return Err(QueryError::NotSelect(word.to_owned())),
                Token::End => continue,
                _ => return Err(QueryError::NotSelect(query[range].to_owned())),
            }
            is_first = false;
        }
        match token {
            Token::Open => depth += 1,
            Token::Close => depth = depth.checked_sub(1).ok_or(QueryError::Unbalanced)?,
            Token::Unended => return Err(QueryError::Unbalanced),
            Token::End if depth > 0 => return Err(QueryError::Unbalanced),
            Token::End => {
                if !has_ended {
                    select.push_str(&query[done..range.start]);
                    done = query.len();
                }
                has_ended = true;
            }
            Token::Parameter(name) => {
                let value = values.iter().find(|(known, _)| *known == name);
                let (_, value) = value.ok_or_else(|| QueryError::Parameter(name.to_owned()))?;
                select.push_str(&query[done..range.start]);
                select.push_str(&text(value));
                done = range.end;
            }
            Token::Word(_) | Token::Name(_) | Token::Other => {}
        }
    }
    match (is_first, depth) {
        (true, _) => Err(QueryError::Empty),
        (_, 0) => {
            select.push_str(&query[done..]);
            Ok(select)
        }
        _ => Err(QueryError::Unbalanced),
    }
}

/// Whether a query of SQLite uses a name anywhere.
pub fn uses(query: &str, name: &str) -> bool {
    tokens(query).any(|(_, token)| match token {
        Token::Word(word) | Token::Name(word) => word.eq_ignore_ascii_case(name),
        _ => false,
    })
}

/// Every name that a query of SQLite may mean a column by; `None` where it may read columns that it does not name: by `*`, by
/// `natural`, or by `in` before a table. SQLite takes a name in single quotes too, where no text can stand.
pub fn names(query: &str) -> Option<Vec<String>> {
    let mut names = Vec::new();
    let mut before = None;
    for (range, token) in tokens(query) {
        let piece = &query[range];
        let is_text = token == Token::Other && piece.starts_with('\'');
        let follows = |words: &[&str]| matches!(before, Some((Token::Word(word), _)) if words.iter().any(|one| one.eq_ignore_ascii_case(word)));
        let is_named = matches!(token, Token::Word(_) | Token::Name(_)) || is_text;
        let behind_list = matches!(before, Some((_, "," | ".")));
        if is_named && follows(&["in"])
            || piece == "*" && (behind_list || follows(&["select", "distinct", "all"]))
            || piece.eq_ignore_ascii_case("natural")
        {
            return None;
        }
        match token {
            Token::Word(name) => names.push(name.to_owned()),
            Token::Name(name) => names.push(name.replace("\"\"", "\"").replace("``", "`")),
            _ if is_text => names.push(piece[1..piece.len() - 1].replace("''", "'")),
            _ => {}
        }
        before = Some((token, piece));
    }
    Some(names)
}

/// The names in double quotes that are not given in the query itself, by `as` or as the name of a part.
pub fn quoted_names(query: &str) -> Vec<String> {
    let found: Vec<_> = tokens(query).collect();
    let is_quoted = |range: &Range<usize>| query[range.clone()].starts_with('"');
    let mut names = Vec::new();
    let mut given = Vec::new();
    for (place, (range, token)) in found.iter().enumerate() {
        let Token::Name(name) = token else { continue };
        let name = name.replace("\"\"", "\"");
        let before = place.checked_sub(1).map(|before| found[before].1);
        let behind = found.get(place + 1).map(|(_, token)| *token);
        let is_word = |token: Option<Token<'_>>, word: &str| matches!(token, Some(Token::Word(one)) if one.eq_ignore_ascii_case(word));
        // `x as "name"`, `"name" as (`, and `from x "name"`, which no operator precedes.
        let follows = matches!(before, Some(Token::Name(_) | Token::Close))
            || matches!(before, Some(Token::Word(word)) if !is_reserved(word));
        if is_word(before, "as") || follows || is_word(behind, "as") && is_word(before, "with") {
            given.push(name);
        } else if is_quoted(range) {
            names.push(name);
        }
    }
    names.retain(|name| !given.iter().any(|given| given.eq_ignore_ascii_case(name)));
    names
}

/// Words behind which a value or a table may stand, so that a name behind them gives no other name to what is before.
fn is_reserved(word: &str) -> bool {
    const WORDS: [&str; 33] = [
        "select",
        "from",
        "join",
        "on",
        "where",
        "and",
        "or",
        "not",
        "by",
        "having",
        "in",
        "is",
        "like",
        "glob",
        "between",
        "then",
        "else",
        "when",
        "case",
        "distinct",
        "all",
        "using",
        "with",
        "recursive",
        "limit",
        "offset",
        "exists",
        "over",
        "partition",
        "union",
        "except",
        "intersect",
        "as",
    ];
    WORDS.iter().any(|known| known.eq_ignore_ascii_case(word))
}

/// A text as SQL writes it.
pub fn text(value: &str) -> String {
    format!("'{}'", value.replace('\'', "''"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(query: &str) -> Result<String, String> {
        let values = [(":today", "2026-11-23"), (":now", "it's late")];
        select(query, &values).map_err(|error| error.to_string())
    }

    #[test]
    fn a_query_is_one_select() {
        for (query, wanted) in [
            ("select 1", "select 1"),
            (" SELECT 1 ; -- done;\n ;", " SELECT 1 "),
            (
                "with a as (select ';)' x) select * from a -- ;",
                "with a as (select ';)' x) select * from a -- ;",
            ),
            (
                "select \"a;\"\"(\", `b(`, [c(] from t",
                "select \"a;\"\"(\", `b(`, [c(] from t",
            ),
            ("select 1 /* ; ( */", "select 1 /* ; ( */"),
            (
                "select * from t where d < :today or d = ':today' or e = :now",
                "select * from t where d < '2026-11-23' or d = ':today' or e = 'it''s late'",
            ),
        ] {
            assert_eq!(read(query).as_deref(), Ok(wanted));
        }
    }

    #[test]
    fn what_is_not_one_select_is_refused() {
        for (query, says) in [
            ("", "is empty"),
            (" ; -- nothing", "is empty"),
            (
                "delete from t",
                "begins with \"delete\", and is not a `select`",
            ),
            ("(select 1)", "begins with \"(\", and is not a `select`"),
            ("select 1; select 2", "has several statements"),
            (
                "select 1) union (select 2",
                "has a quote, a comment or a parenthesis that does not end",
            ),
            (
                "select (1",
                "has a quote, a comment or a parenthesis that does not end",
            ),
            (
                "select (1;)",
                "has a quote, a comment or a parenthesis that does not end",
            ),
            (
                "select 'x''",
                "has a quote, a comment or a parenthesis that does not end",
            ),
            (
                "select 1 /* x",
                "has a quote, a comment or a parenthesis that does not end",
            ),
            ("select ?", "wants a value for ?, which it does not get"),
            (
                "select :tomorrow",
                "wants a value for :tomorrow, which it does not get",
            ),
        ] {
            assert_eq!(read(query), Err(says.to_owned()), "{query}");
        }
    }

    #[test]
    fn names_in_double_quotes_are_told_from_those_that_the_query_gives() {
        for (query, names) in [
            (
                "select \"a b\", 'x' from t where \"c\" = 1",
                &["a b", "c"][..],
            ),
            ("select a as \"b\" from t order by \"b\"", &[]),
            ("with \"w\" as (select 1) select * from \"w\"", &[]),
            ("select \"t\".\"a\" from t \"t\"", &["a"]),
            ("select count(*) \"n\" from t having \"n\" > 1", &[]),
        ] {
            assert_eq!(quoted_names(query), names, "{query}");
        }
    }

    #[test]
    fn the_columns_that_a_query_may_read_are_named_in_it() {
        for (query, wanted) in [
            (
                "select id, t.'a''b', \"c\"\"d\" from t",
                Some("select id t a'b c\"d from t"),
            ),
            (
                "select count(*), 2 * a from t -- b",
                Some("select count a from t"),
            ),
            (
                "select x from t where x in (select y from u)",
                Some("select x from t where x in select y from u"),
            ),
            ("select * from t", None),
            ("select distinct * from t", None),
            ("select a, * from t", None),
            ("select t . * from t", None),
            ("select a from t natural join u", None),
            ("select a from t where a not in u", None),
            ("select a from t where a in 'u'", None),
        ] {
            let names = names(query).map(|names| names.join(" "));
            assert_eq!(names.as_deref(), wanted, "{query}");
        }
    }

    #[test]
    fn the_names_of_a_query_are_known() {
        let query = "select 'orders' from \"crm\" join RECORD r -- items";
        assert!(uses(query, "crm") && uses(query, "record"));
        assert!(!uses(query, "orders") && !uses(query, "items"));
    }
}
