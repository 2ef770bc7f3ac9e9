//! Which rows the blocks that draw on a source want, as far as a database may decide that.

use jiff::civil::Date;
use jiff::{SignedDuration, Timestamp};

use super::block::Block;
use super::condition::Clause;
use crate::config::{Config, Span, Test, Value, is_blank};
use crate::number::Number;
use crate::source::{Literal, Wanted};

/// More contacts that a block names are looked up here.
const MOST: usize = 1000;

/// What each of these blocks wants of a row. Less than it wants may be said, and never more.
pub(super) fn wanted<'w>(
    config: &Config,
    now: Timestamp,
    blocks: impl Iterator<Item = &'w Block<'w>>,
    contact: usize,
) -> Vec<Vec<Wanted<'w>>> {
    let days = Days { config, now };
    let of = |block: &'w Block<'w>| {
        let names = block.enrol.contacts.as_ref();
        let names = names.filter(|names| names.len() <= MOST).map(|names| {
            let names = names.iter().map(|name| Literal::Text(name.as_str()));
            Wanted::Is(contact, names.collect())
        });
        let clauses = block.clauses().iter();
        let tests = clauses.flat_map(|clause| days.tests(clause));
        names.into_iter().chain(tests).collect()
    };
    blocks.map(of).collect()
}

/// The calendar in which days are days.
struct Days<'c> {
    config: &'c Config,
    now: Timestamp,
}

impl Days<'_> {
    fn tests<'w>(&self, clause: &'w Clause<'w>) -> impl Iterator<Item = Wanted<'w>> {
        let tests = clause.condition.tests.iter();
        tests.filter_map(|test| self.test(clause.column, test))
    }

    fn test<'w>(&self, column: usize, test: &'w Test) -> Option<Wanted<'w>> {
        Some(match test {
            Test::Any(values) => {
                let list = values.iter().map(|value| self.literal(value));
                let list = list.collect::<Option<Vec<_>>>()?;
                let days = list.iter().map(|value| match value {
                    Literal::Day(day) => Some(*day),
                    _ => None,
                });
                match days.collect::<Option<Vec<Date>>>() {
                    // A day has many moments.
                    Some(days) => {
                        let [first, last] = [days.iter().min(), days.iter().max()];
                        let day = |day: Option<&Date>| day.map(|day| Literal::Day(*day));
                        Wanted::Between(column, day(first), day(last))
                    }
                    None => Wanted::Is(column, list),
                }
            }
            Test::Exists(is_there) => Wanted::Exists(column, *is_there),
            Test::Min(value) | Test::After(value) => {
                Wanted::Between(column, Some(self.literal(value)?), None)
            }
            Test::Max(value) | Test::Before(value) => {
                Wanted::Between(column, None, Some(self.literal(value)?))
            }
            Test::Within(span) => {
                Wanted::Between(column, Some(self.away(*span, -1)?), Some(self.today()))
            }
            Test::WithinNext(span) => {
                Wanted::Between(column, Some(self.today()), Some(self.away(*span, 1)?))
            }
            Test::OlderThan(span) => Wanted::Between(column, None, Some(self.away(*span, -1)?)),
            Test::Not(_) | Test::AnniversaryWithinNext(_) => return None,
        })
    }

    fn literal<'w>(&self, value: &'w Value) -> Option<Literal<'w>> {
        Some(match value {
            // What is blank is absent here, and not there.
            Value::Text(text) if is_blank(text) => return None,
            Value::Text(text) => Literal::Text(text),
            Value::Integer(number) => Literal::Number(Number::from(*number)),
            Value::Decimal(number) => Literal::Number(*number),
            Value::Boolean(truth) => Literal::Boolean(*truth),
            Value::Date(day) => Literal::Day(*day),
            Value::DateTime(at) => Literal::Day(self.day(*at)),
        })
    }

    fn day(&self, at: Timestamp) -> Date {
        self.config.zone.to_datetime(at).date()
    }

    fn today(&self) -> Literal<'static> {
        Literal::Day(self.day(self.now))
    }

    /// The day so long behind or before now.
    fn away(&self, span: Span, sign: i64) -> Option<Literal<'static>> {
        let seconds = match span {
            Span::Days(days) => i64::from(days).checked_mul(86_400)?,
            Span::Elapsed(span) => i64::try_from(span.as_secs()).ok()?,
        };
        let at = self
            .now
            .checked_add(SignedDuration::from_secs(sign * seconds));
        Some(Literal::Day(self.day(at.ok()?)))
    }
}
