//! Conditions that a database decides as they are decided here, so that it sends fewer rows. What it sends may be more than
//! what is wanted, and never less: each row is looked at again.

use jiff::ToSpan;
use jiff::civil::Date;

use super::column::{Column, Kind};
use super::mysql;
use crate::number::Number;

/// What a row must be for a block to want it.
#[derive(Debug, Clone, PartialEq)]
pub enum Wanted<'w> {
    /// The cell in a column is one of these.
    Is(usize, Vec<Literal<'w>>),
    /// It is a number or a day between two; one of them may be missing.
    Between(usize, Option<Literal<'w>>, Option<Literal<'w>>),
    /// There is one, or there is none.
    Exists(usize, bool),
}

/// A value.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Literal<'w> {
    /// A text, byte by byte.
    Text(&'w str),
    /// A number.
    Number(Number),
    /// A truth value.
    Boolean(bool),
    /// A calendar day. Times are a matter of zones, so that days beside it are sent too.
    Day(Date),
}

/// Which SQL it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Dialect {
    Postgres,
    MySql,
    Sqlite,
}

/// Days around a day that may be the same day in some zone.
const MARGIN: i32 = 2;

impl Dialect {
    /// The condition on the rows that any of these blocks may want, and on those whose ids need a look; `None` where a block may
    /// want any.
    pub(super) fn condition(
        self,
        columns: &[Column],
        contact: usize,
        blocks: &[Vec<Wanted<'_>>],
    ) -> Option<String> {
        let ids = self.odd_ids(columns.get(contact)?)?;
        let blocks = blocks.iter().map(|block| {
            let parts = block.iter().filter_map(|wanted| self.part(columns, wanted));
            let parts: Vec<String> = parts.collect();
            (!parts.is_empty()).then(|| parts.join(" AND "))
        });
        let mut blocks = blocks.collect::<Option<Vec<String>>>()?;
        blocks.sort_unstable();
        blocks.dedup();
        if blocks.is_empty() {
            return None;
        }
        Some(format!("({}) OR {ids}", blocks.join(") OR (")))
    }

    /// The rows whose ids may be none, or may be another's but for Unicode's normal form: no block needs to want them.
    fn odd_ids(self, column: &Column) -> Option<String> {
        let name = self.name(&column.name);
        let odd = match (self, column.kind) {
            (_, Kind::Integer) => return Some(format!("{name} IS NULL")),
            (Self::Postgres, Kind::Text) => format!("{name} COLLATE \"C\" !~ '^[!-~]+$'"),
            (Self::MySql, Kind::Text) => format!("{name} NOT REGEXP '^[!-~]+$'"),
            (Self::Sqlite, Kind::Each) => format!("{name} = '' OR {name} GLOB '*[^!-~]*'"),
            _ => return None,
        };
        Some(format!("{name} IS NULL OR {odd}"))
    }

    fn part(self, columns: &[Column], wanted: &Wanted<'_>) -> Option<String> {
        let (Wanted::Is(place, _) | Wanted::Between(place, ..) | Wanted::Exists(place, _)) = wanted;
        let column = columns.get(*place)?;
        let name = self.name(&column.name);
        match wanted {
            Wanted::Is(_, values) => {
                let values = values.iter().map(|value| self.literal(column.kind, value));
                let values = values.collect::<Option<Vec<String>>>()?.join(", ");
                let texts = matches!(wanted, Wanted::Is(_, values) if matches!(values[..], [Literal::Text(_), ..]));
                Some(match (self, texts) {
                    // A cell of SQLite has a type of its own, and a text of its own for some of these.
                    (Self::Sqlite, true) => format!(
                        "(typeof({name}) NOT IN ('text', 'integer') OR CAST({name} AS TEXT) IN ({values}))"
                    ),
                    (Self::Sqlite, false) => {
                        format!("(typeof({name}) <> 'integer' OR {name} IN ({values}))")
                    }
                    // Each collation takes a text for the same as itself, and this one no other.
                    (Self::Postgres, true) => format!("{name} COLLATE \"C\" IN ({values})"),
                    // A number that is neither cannot be read.
                    (Self::MySql, false) if column.kind == Kind::Boolean => {
                        format!("({name} IN ({values}) OR {name} NOT IN (0, 1))")
                    }
                    _ => format!("{name} IN ({values})"),
                })
            }
            Wanted::Between(_, least, most) => {
                let bound = |sign: &str, value: Literal<'_>, days: i32| {
                    let (sign, value) = match value {
                        Literal::Day(day) if days > 0 => {
                            ("<", Literal::Day(day.checked_add((days + 1).days()).ok()?))
                        }
                        Literal::Day(day) => {
                            (sign, Literal::Day(day.checked_add(days.days()).ok()?))
                        }
                        other => (sign, other),
                    };
                    Some(format!(
                        "{name} {sign} {}",
                        self.literal(column.kind, &value)?
                    ))
                };
                let bounds = [
                    least.and_then(|least| bound(">=", least, -MARGIN)),
                    most.and_then(|most| bound("<=", most, MARGIN)),
                ];
                let bounds: Vec<String> = bounds.into_iter().flatten().collect();
                let bounds = (!bounds.is_empty()).then(|| bounds.join(" AND "))?;
                // What cannot be read is an error, and no reason to leave the row out.
                let days = matches!(column.kind, Kind::Date | Kind::Local | Kind::Moment);
                Some(match self {
                    Self::Sqlite => format!("(typeof({name}) <> 'integer' OR {bounds})"),
                    Self::Postgres if days => format!(
                        "({bounds} OR {name} NOT BETWEEN DATE '0001-01-01' AND DATE '9999-12-31')"
                    ),
                    Self::MySql if days => format!(
                        "({bounds} OR {name} < DATE '0001-01-01' OR MONTH({name}) = 0 OR DAYOFMONTH({name}) = 0)"
                    ),
                    _ => bounds,
                })
            }
            Wanted::Exists(_, true) => Some(format!("{name} IS NOT NULL")),
            // An empty text is absent, too.
            Wanted::Exists(_, false) => matches!(
                column.kind,
                Kind::Integer
                    | Kind::Decimal
                    | Kind::Boolean
                    | Kind::Date
                    | Kind::Local
                    | Kind::Moment
            )
            .then(|| format!("{name} IS NULL")),
        }
    }

    fn name(self, name: &str) -> String {
        match self {
            Self::MySql => mysql::name(name),
            _ => format!("\"{}\"", name.replace('"', "\"\"")),
        }
    }

    /// A value, where the type of a column sees to it that the database compares with it as is done here.
    fn literal(self, kind: Kind, value: &Literal<'_>) -> Option<String> {
        let quoted = |text: &str| format!("'{}'", text.replace('\'', "''"));
        Some(match (value, self, kind) {
            // A server may keep its texts in another encoding, which has no such letter.
            (Literal::Text(text), Self::MySql | Self::Postgres, _) if !text.is_ascii() => {
                return None;
            }
            (Literal::Text(text), Self::MySql, Kind::Text) => {
                let bytes = text.bytes().map(|byte| format!("{byte:02x}"));
                format!("_utf8mb4 X'{}'", bytes.collect::<String>())
            }
            // Whether a backslash means something is a setting; here it does.
            (Literal::Text(text), Self::Postgres, Kind::Text) if text.contains('\\') => {
                format!("E{}", quoted(&text.replace('\\', "\\\\")))
            }
            (Literal::Text(text), Self::Postgres, Kind::Text)
            | (Literal::Text(text), Self::Sqlite, Kind::Each) => quoted(text),
            // A numeric of PostgreSQL may be no number.
            (Literal::Number(number), Self::MySql, Kind::Decimal)
            | (Literal::Number(number), Self::Postgres | Self::MySql, Kind::Integer) => {
                number.digits()?
            }
            (Literal::Number(number), Self::Sqlite, Kind::Each) => number.integer()?.to_string(),
            (Literal::Boolean(truth), Self::Postgres | Self::MySql, Kind::Boolean) => {
                truth.to_string()
            }
            (
                Literal::Day(day),
                Self::Postgres | Self::MySql,
                Kind::Date | Kind::Local | Kind::Moment,
            ) if (1000..=9998).contains(&day.year()) => format!("DATE '{day}'"),
            _ => return None,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn narrowed(dialect: Dialect, kind: Kind, wanted: Wanted<'_>) -> Option<String> {
        let name = "a".to_owned();
        dialect.part(&[Column { name, kind }], &wanted)
    }

    #[test]
    fn only_what_the_type_of_a_column_decides_is_left_to_the_database() {
        use Dialect::{MySql, Postgres, Sqlite};
        let text = || Wanted::Is(0, vec![Literal::Text("o'\\b")]);
        let number = |text| Literal::Number(Number::parse(text).unwrap());
        let numbers = || Wanted::Is(0, vec![number("12.50"), number("3")]);
        let days = || {
            let day = |text: &str| Some(Literal::Day(text.parse().unwrap()));
            Wanted::Between(0, day("2026-03-01"), day("2026-03-31"))
        };
        let range = || Wanted::Between(0, None, Some(number("-1e3")));
        for (dialect, kind, wanted, sql) in [
            (
                Postgres,
                Kind::Text,
                text(),
                "\"a\" COLLATE \"C\" IN (E'o''\\\\b')",
            ),
            (MySql, Kind::Text, text(), "`a` IN (_utf8mb4 X'6f275c62')"),
            (
                Sqlite,
                Kind::Each,
                text(),
                "(typeof(\"a\") NOT IN ('text', 'integer') OR CAST(\"a\" AS TEXT) IN ('o''\\b'))",
            ),
            (Postgres, Kind::Padded, text(), ""),
            (Postgres, Kind::Other, text(), ""),
            (
                MySql,
                Kind::Text,
                Wanted::Is(0, vec![Literal::Text("é")]),
                "",
            ),
            (Postgres, Kind::Decimal, numbers(), ""),
            (Postgres, Kind::Integer, numbers(), "\"a\" IN (12.5, 3)"),
            (MySql, Kind::Decimal, numbers(), "`a` IN (12.5, 3)"),
            (
                MySql,
                Kind::Boolean,
                Wanted::Is(0, vec![Literal::Boolean(true)]),
                "(`a` IN (true) OR `a` NOT IN (0, 1))",
            ),
            (MySql, Kind::Integer, numbers(), "`a` IN (12.5, 3)"),
            (Postgres, Kind::Double, numbers(), ""),
            (Postgres, Kind::Text, numbers(), ""),
            (Sqlite, Kind::Each, numbers(), ""),
            (Postgres, Kind::Integer, range(), "\"a\" <= -1000"),
            (
                Sqlite,
                Kind::Each,
                range(),
                "(typeof(\"a\") <> 'integer' OR \"a\" <= -1000)",
            ),
            (
                MySql,
                Kind::Moment,
                days(),
                "(`a` >= DATE '2026-02-27' AND `a` < DATE '2026-04-03' OR `a` < DATE '0001-01-01' OR MONTH(`a`) = 0 OR DAYOFMONTH(`a`) = 0)",
            ),
            (
                Postgres,
                Kind::Date,
                days(),
                "(\"a\" >= DATE '2026-02-27' AND \"a\" < DATE '2026-04-03' OR \"a\" NOT BETWEEN DATE '0001-01-01' AND DATE '9999-12-31')",
            ),
            (Postgres, Kind::Text, days(), ""),
            (Sqlite, Kind::Each, days(), ""),
            (
                Postgres,
                Kind::Text,
                Wanted::Exists(0, true),
                "\"a\" IS NOT NULL",
            ),
            (Postgres, Kind::Text, Wanted::Exists(0, false), ""),
            (
                Postgres,
                Kind::Date,
                Wanted::Exists(0, false),
                "\"a\" IS NULL",
            ),
        ] {
            let found = narrowed(dialect, kind, wanted.clone());
            assert_eq!(
                found.unwrap_or_default(),
                sql,
                "{dialect:?} {kind:?} {wanted:?}"
            );
        }
    }

    #[test]
    fn rows_are_left_out_only_where_no_block_wants_them() {
        let columns = ["a", "b"].map(|name| Column {
            name: name.to_owned(),
            kind: Kind::Text,
        });
        let is = |place, text| Wanted::Is(place, vec![Literal::Text(text)]);
        let narrowed = |blocks: &[Vec<Wanted<'_>>]| Dialect::MySql.condition(&columns, 1, blocks);
        let one = vec![is(0, "x"), is(1, "y")];
        let [x, y] = ["`a` IN (_utf8mb4 X'78')", "`b` IN (_utf8mb4 X'79')"];
        let ids = "`b` IS NULL OR `b` NOT REGEXP '^[!-~]+$'";
        assert_eq!(
            narrowed(&[one.clone(), one.clone()]),
            Some(format!("({x} AND {y}) OR {ids}"))
        );
        let both = narrowed(&[one, vec![is(1, "y")]]);
        assert_eq!(both, Some(format!("({x} AND {y}) OR ({y}) OR {ids}")));
        assert_eq!(narrowed(&[vec![is(0, "x")], Vec::new()]), None);
        assert_eq!(narrowed(&[]), None);
    }
}
