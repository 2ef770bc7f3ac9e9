//! Slips that TOML does not take, and what to write instead.

use super::redact::redacted;

/// What to write instead of what stands at a place of a file, where that is seen. A value that is not to be shown is not a
/// part of it.
pub(super) fn advice(text: &str, at: usize) -> Option<String> {
    let at = text.floor_char_boundary(at.min(text.len()));
    let line_start = text[..at].rfind('\n').map_or(0, |end| end + 1);
    let line_end = text[at..].find('\n').map_or(text.len(), |end| at + end);
    let value_start = text[line_start..at]
        .rfind('=')
        .map(|place| line_start + place + 1)?;
    let element = text[value_start..at].rfind(['[', '{', ',']);
    let starts = [
        Some(value_start),
        element.map(|place| value_start + place + 1),
    ];
    let whole = redacted(text);
    starts.into_iter().flatten().find_map(|start| {
        let value = text[start..line_end].trim();
        let is_shown = whole.get(start..line_end) == text.get(start..line_end);
        slip(value, is_shown)
    })
}

fn slip(value: &str, is_shown: bool) -> Option<String> {
    if value.starts_with('"') {
        let help = "in double quotes a backslash begins an escape: write a path in single quotes, as 'C:\\exports\\crm.csv', or \
                    with /";
        return value.contains('\\').then(|| help.to_owned());
    }
    let token = |is_part: fn(char) -> bool| value.split(|c| !is_part(c)).next().unwrap_or_default();
    let number = token(|c| c.is_ascii_digit() || ".,+-_".contains(c));
    let word = token(|c| !c.is_whitespace() && !",]}#\"'".contains(c));
    let shown = |text: &str, example: &str| match is_shown {
        true => text.to_owned(),
        false => example.to_owned(),
    };
    if !number.is_empty() && value[number.len()..].trim_start().starts_with('%') {
        let percentage = shown(number, "15");
        return Some(format!("write a percentage in quotes: \"{percentage}%\""));
    }
    if let Some(days) = days(word) {
        let days = shown(&days, "2026-12-31");
        return Some(format!(
            "write a date as year, month and day, without quotes: {days}"
        ));
    }
    let fraction = number.split_once(',').and_then(|(whole, fraction)| {
        let is_number = |text: &str| !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit());
        let unsigned = whole.strip_prefix(['-', '+']).unwrap_or(whole);
        let is_fraction = is_number(&unsigned.replace('.', "")) && is_number(fraction);
        is_fraction.then(|| format!("{}.{fraction}", whole.replace('.', "")))
    });
    if let Some(fraction) = fraction {
        let fraction = shown(&fraction, "25.50");
        return Some(format!("write a fraction with a point: {fraction}"));
    }
    match word.to_lowercase().as_str() {
        "true" | "yes" | "ja" | "on" => Some("write true, or text in quotes".to_owned()),
        "false" | "no" | "nee" | "off" => Some("write false, or text in quotes".to_owned()),
        "" | "{" | "[" => None,
        _ if word.starts_with(|c: char| c.is_alphanumeric() || "~/.$€".contains(c)) => {
            let word = shown(word, "customer");
            Some(format!("write text in quotes: \"{word}\""))
        }
        _ => None,
    }
}

/// A date of a day, a month and a year as TOML has it; both ways to read it where there are two.
fn days(word: &str) -> Option<String> {
    let parts: Vec<&str> = word.split(['-', '/', '.']).collect();
    let [one, two, year] = parts.as_slice() else {
        return None;
    };
    let number = |text: &str| text.parse::<u8>().ok().filter(|_| text.len() <= 2);
    let (one, two) = (number(one)?, number(two)?);
    if year.len() != 4 || !year.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    let date = |month: u8, day: u8| format!("{year}-{month:02}-{day:02}");
    let is_both = |month: u8, day: u8| (1..=12).contains(&month) && (1..=31).contains(&day);
    match (is_both(two, one), is_both(one, two)) {
        (true, true) if one != two => Some(format!(
            "{} or {}, whichever day it is",
            date(two, one),
            date(one, two)
        )),
        (true, _) => Some(date(two, one)),
        (false, true) => Some(date(one, two)),
        (false, false) => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_slip_is_told_with_what_to_write() {
        for (line, at, says) in [
            ("x = 15%", 4, "write a percentage in quotes: \"15%\""),
            (
                "x = [\"a\", 15 %]",
                10,
                "write a percentage in quotes: \"15%\"",
            ),
            (
                "x = 01-01-2026",
                4,
                "write a date as year, month and day, without quotes: 2026-01-01",
            ),
            (
                "x = 31/12/2026",
                4,
                "write a date as year, month and day, without quotes: 2026-12-31",
            ),
            (
                "x = 12/31/2026",
                4,
                "write a date as year, month and day, without quotes: 2026-12-31",
            ),
            (
                "x = { before = 01-03-2026 }",
                15,
                "write a date as year, month and day, without quotes: 2026-03-01 or 2026-01-03, whichever day it is",
            ),
            ("x = 25,50", 6, "write a fraction with a point: 25.50"),
            (
                "x = { min = 1.250,75 }",
                17,
                "write a fraction with a point: 1250.75",
            ),
            (
                "x = \"C:\\exports\\crm.csv\"",
                8,
                "in double quotes a backslash begins an escape",
            ),
            ("x = True", 4, "write true"),
            ("x = nee", 4, "write false"),
            ("x = 30d", 4, "write text in quotes: \"30d\""),
            (
                "x = customer # all",
                4,
                "write text in quotes: \"customer\"",
            ),
            (
                "[contact.a]\nx = 31-12-1970",
                16,
                "without quotes: 2026-12-31",
            ),
            (
                "[contact.a]\nx = hush",
                16,
                "write text in quotes: \"customer\"",
            ),
        ] {
            // What stands under a name without a meaning is not shown.
            let (line, at) = match line.strip_prefix("x =") {
                Some(rest) => (format!("time ={rest}"), at + 3),
                None => (line.to_owned(), at),
            };
            let advice = advice(&line, at).unwrap_or_default();
            assert!(advice.contains(says), "{line}: {advice}");
        }
        for (line, at) in [
            ("x = \"a", 4),
            ("x = [", 5),
            ("[x", 2),
            ("x", 0),
            ("x = ", 4),
        ] {
            assert_eq!(advice(line, at), None, "{line}");
        }
    }
}
