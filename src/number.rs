//! Decimal numbers, exactly: what is written as 0.1 is a tenth, which no binary fraction is.

use std::cmp::Ordering;

/// So many digits of a number count. Of what is longer, it counts whether there is more, so that it compares exactly with what
/// is not.
const MOST: usize = 36;

/// An exact decimal number.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Number {
    /// Without zeros at its end, so that equal numbers have equal parts.
    digits: i128,
    /// The digits are to be multiplied by this power of ten.
    exponent: i32,
}

impl Number {
    /// Reads a sign, digits, a fraction behind a point, and an exponent of ten, such as `-12.50` or `1e3`. `None` where it is
    /// something else, or beyond what a float of 64 bits reaches.
    pub fn parse(text: &str) -> Option<Self> {
        let (text, power) = match text.split_once(['e', 'E']) {
            Some((text, power)) => (text, power.parse().ok()?),
            None => (text, 0_i32),
        };
        let unsigned = text.strip_prefix(['-', '+']).unwrap_or(text);
        let (whole, fraction) = unsigned.split_once('.').unwrap_or((unsigned, "0"));
        let all = || whole.bytes().chain(fraction.bytes());
        if whole.is_empty() || fraction.is_empty() || !all().all(|byte| byte.is_ascii_digit()) {
            return None;
        }
        let Some(first) = all().position(|byte| byte != b'0') else {
            return Some(Self::from(0));
        };
        let behind = all().rev().position(|byte| byte != b'0').unwrap_or(0);
        let last = whole.len() + fraction.len() - behind;
        let taken = last.min(first + MOST);
        let add = |digits: i128, byte: u8| digits * 10 + i128::from(byte - b'0');
        let mut digits = all().take(taken).skip(first).fold(0, add);
        let mut end = taken;
        if taken < last {
            (digits, end) = (digits * 10 + 1, taken + 1);
        }
        let point = i32::try_from(whole.len()).ok()?;
        let exponent = power
            .checked_add(point)?
            .checked_sub(i32::try_from(end).ok()?)?;
        let number = Self {
            digits: if text.starts_with('-') {
                -digits
            } else {
                digits
            },
            exponent,
        };
        // A power that nobody writes need not be looked at closely.
        (exponent.unsigned_abs() < 200 || number.float().is_finite()).then_some(number)
    }

    /// Whether all its digits count.
    pub fn is_exact(&self) -> bool {
        (self.digits.unsigned_abs().checked_ilog10()).is_none_or(|last| (last as usize) < MOST)
    }

    /// The float that is nearest.
    pub fn float(self) -> f64 {
        let text = format!("{}e{}", self.digits, self.exponent);
        text.parse().unwrap_or(f64::INFINITY)
    }

    /// Its digits, with a point before a fraction; `None` where these are very many.
    pub fn digits(self) -> Option<String> {
        let sign = if self.digits < 0 { "-" } else { "" };
        let digits = self.digits.unsigned_abs().to_string();
        if self.exponent.unsigned_abs() > 60 {
            return None;
        }
        let places = self.exponent.unsigned_abs() as usize;
        if self.exponent >= 0 {
            return Some(format!("{sign}{digits}{}", "0".repeat(places)));
        }
        let digits = format!("{digits:0>width$}", width = places + 1);
        let (whole, fraction) = digits.split_at(digits.len() - places);
        Some(format!("{sign}{whole}.{fraction}"))
    }

    /// The same as a whole number of 64 bits, where it is one.
    pub fn integer(self) -> Option<i64> {
        let power = 10_i128.checked_pow(u32::try_from(self.exponent).ok()?)?;
        i64::try_from(self.digits.checked_mul(power)?).ok()
    }

    /// The place of its first digit before the point; none is above it.
    fn top(self) -> i64 {
        let count = self.digits.unsigned_abs().checked_ilog10().unwrap_or(0);
        i64::from(count) + i64::from(self.exponent)
    }
}

impl From<i64> for Number {
    fn from(number: i64) -> Self {
        let (mut digits, mut exponent) = (i128::from(number), 0);
        while digits != 0 && digits % 10 == 0 {
            (digits, exponent) = (digits / 10, exponent + 1);
        }
        Self { digits, exponent }
    }
}

impl Ord for Number {
    fn cmp(&self, other: &Self) -> Ordering {
        let signs = self.digits.signum().cmp(&other.digits.signum());
        if signs.is_ne() || self.digits == 0 {
            return signs;
        }
        let tops = self.top().cmp(&other.top());
        let sizes = tops.then_with(|| {
            // With the same first place, the one with fewer digits is lengthened to the other's.
            let to = self.exponent.min(other.exponent);
            let long = |of: &Self| of.digits.unsigned_abs() * 10_u128.pow(of.exponent.abs_diff(to));
            long(self).cmp(&long(other))
        });
        match self.digits < 0 {
            true => sizes.reverse(),
            false => sizes,
        }
    }
}

impl PartialOrd for Number {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl std::fmt::Display for Number {
    /// As the nearest float is written.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.float().fmt(f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn number(text: &str) -> Number {
        Number::parse(text).unwrap()
    }

    #[test]
    fn numbers_in_order_are_in_order() {
        let zeros = "0".repeat(300);
        let list = [
            "-1e300",
            "-12.5",
            "-12.4999999999999999999999999999999999999999999999",
            "-0.1",
            "0",
            "1e-300",
            "0.1",
            "0.10000000000000000000000000000000001",
            "0.3",
            "0.30000000000000000000000000000000000000000000001",
            "1",
            "9007199254740992",
            "9007199254740993",
            "9223372036854775807",
            "9223372036854775807.5",
            "9223372036854775808",
            "12345678901234567890123456789012345678.9",
            &format!("1{zeros}"),
            &format!("1{zeros}.5"),
        ];
        for (a, left) in list.iter().enumerate() {
            for (b, right) in list.iter().enumerate() {
                assert_eq!(
                    number(left).cmp(&number(right)),
                    a.cmp(&b),
                    "{left} {right}"
                );
            }
        }
    }

    #[test]
    fn a_number_is_the_same_however_it_is_written() {
        for (one, other) in [
            ("12.50", "12.5"),
            ("+0012.5", "12.5"),
            ("-0", "0.00"),
            ("1e3", "1000.0"),
            ("1250e-2", "12.5"),
            ("100", "1E2"),
        ] {
            assert_eq!(number(one), number(other));
        }
        assert_eq!(Number::from(1200), number("1200.0"));
        assert_eq!(number("1200.0").integer(), Some(1200));
        assert_eq!(number("-9223372036854775808.00").integer(), Some(i64::MIN));
        for (text, digits) in [
            ("-12.50", "-12.5"),
            ("0.05", "0.05"),
            ("1e3", "1000"),
            ("0", "0"),
        ] {
            assert_eq!(number(text).digits().as_deref(), Some(digits));
        }
        for text in ["0.5", "9223372036854775808", "1e300"] {
            assert_eq!(number(text).integer(), None, "{text}");
        }
    }

    #[test]
    fn what_has_more_digits_than_count_is_not_exact() {
        let most = "9".repeat(MOST);
        for exact in ["0", "-1e300", &most, &format!("0.{most}")] {
            assert!(number(exact).is_exact(), "{exact}");
        }
        for longer in [format!("{most}1"), format!("-0.{most}5")] {
            assert!(!number(&longer).is_exact(), "{longer}");
        }
    }

    #[test]
    fn what_is_no_number_is_none() {
        for text in [
            "", "-", ".5", "5.", "1.2.3", "1e", "inf", "nan", "1e400", "0x1", "1_0", " 1",
        ] {
            assert_eq!(Number::parse(text), None, "{text}");
        }
    }
}
