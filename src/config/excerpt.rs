//! The lines of a file that a problem shows: safe to print, without secrets, and cut to the width of the terminal.

use std::ops::Range;

use miette::{MietteError, MietteSpanContents, SourceCode, SourceSpan, SpanContents};
use unicode_width::{UnicodeWidthChar, UnicodeWidthStr};

use crate::text::is_unseen;

/// Lines of a file around what is meant, with their true numbers.
#[derive(Debug)]
pub(super) struct Excerpt {
    file: String,
    text: String,
    /// The number of its first line, from 0.
    first_line: usize,
    /// The column of what is meant first, from 0, in bytes of the file's line.
    column: usize,
    /// What is meant, in bytes of the excerpt.
    pub spans: Vec<Range<usize>>,
}

impl Excerpt {
    /// The lines of some spans of a masked text, with one line before and one after, none of them wider than `width`
    /// columns. A line that is cut is cut around the first span.
    ///
    /// `line` is that of the first span, from 1; `room` is how many columns are needed after its middle, for its label.
    pub(super) fn new(
        file: String,
        text: &str,
        line: usize,
        spans: &[Range<usize>],
        width: usize,
        room: usize,
    ) -> Self {
        let start = spans.iter().map(|span| span.start).min().unwrap_or(0);
        let end = spans.iter().map(|span| span.end).max().unwrap_or(start);
        let first = line_start(text, line_start(text, start).saturating_sub(1));
        let last = line_end(text, (line_end(text, end) + 1).min(text.len()));
        let meant = spans.first().cloned().unwrap_or_default();
        let mut excerpt = Self {
            file,
            text: String::new(),
            first_line: line.saturating_sub(1 + text[first..meant.start].matches('\n').count()),
            column: meant.start - line_start(text, meant.start),
            spans: spans.to_vec(),
        };
        let mut at = first;
        for line in text[first..last].split('\n') {
            if at > first {
                excerpt.text.push('\n');
            }
            let is_meant = at <= meant.start && meant.start <= at + line.len();
            let window = match is_meant {
                true => around(line, meant.start - at..meant.end - at, width, room),
                false => from_start(line, width),
            };
            excerpt.push(line, &window, at, spans);
            at += line.len() + 1;
        }
        // An empty line is only shown where it ends.
        if last < text.len() {
            excerpt.text.push('\n');
        }
        excerpt.leave_room(width, room);
        excerpt
    }

    /// Underlines no more of what is meant than leaves room for its label, which begins under the middle.
    fn leave_room(&mut self, width: usize, room: usize) {
        let Some(span) = self.spans.first_mut() else {
            return;
        };
        let before = self.text[line_start(&self.text, span.start)..span.start].width();
        let half = width.saturating_sub(before + room);
        span.end = span.start + fitting(&self.text[span.clone()], 2 * half + 1);
    }

    /// Whether there is room for a line, and for the label of what is meant in it.
    pub(super) fn fits(text: &str, span: &Range<usize>, width: usize, room: usize) -> bool {
        let start = line_start(text, span.start);
        let line = &text[start..line_end(text, span.start)];
        fits(line, &(span.start - start..span.end - start), width, room)
    }

    /// Adds the part of a line that is in the window, and moves the spans that are in this line.
    fn push(&mut self, line: &str, window: &Range<usize>, at: usize, spans: &[Range<usize>]) {
        if window.start > 0 {
            self.text.push('…');
        }
        let shift = self.text.len();
        self.text.push_str(&line[window.clone()]);
        if window.end < line.len() {
            self.text.push('…');
        }
        let moved = |place: usize| {
            let place = (place - at).clamp(window.start, window.end);
            place - window.start + shift
        };
        for (span, old) in self.spans.iter_mut().zip(spans) {
            if at <= old.start && old.start <= at + line.len() {
                *span = moved(old.start)..moved(old.end.min(at + line.len()));
            }
        }
    }
}

impl SourceCode for Excerpt {
    fn read_span<'a>(
        &'a self,
        span: &SourceSpan,
        before: usize,
        after: usize,
    ) -> Result<Box<dyn SpanContents<'a> + 'a>, MietteError> {
        let inner = self.text.read_span(span, before, after)?;
        // Without lines around it, it is only asked where what is meant begins.
        let column = match (before, after) {
            (0, 0) => self.column,
            _ => inner.column(),
        };
        Ok(Box::new(MietteSpanContents::new_named(
            self.file.clone(),
            inner.data(),
            *inner.span(),
            self.first_line + inner.line(),
            column,
            inner.line_count(),
        )))
    }
}

fn line_start(text: &str, at: usize) -> usize {
    text[..at].rfind('\n').map_or(0, |end| end + 1)
}

fn line_end(text: &str, at: usize) -> usize {
    text[at..].find('\n').map_or(text.len(), |end| at + end)
}

/// As much of a line's beginning as there is room for.
fn from_start(line: &str, width: usize) -> Range<usize> {
    match fitting(line, width) == line.len() {
        true => 0..line.len(),
        false => 0..fitting(line, width.saturating_sub(1)),
    }
}

/// The part of a line to show, so that what is meant begins in it, and its label has room. It takes no longer for a
/// longer line.
fn around(line: &str, meant: Range<usize>, width: usize, room: usize) -> Range<usize> {
    if fits(line, &meant, width, room) {
        return 0..line.len();
    }
    // A third of the room for what comes before.
    let mut used = 0;
    let mut before = line[..meant.start].char_indices().rev();
    let skipped = before.find(|(_, c)| {
        used += columns(*c);
        used > width / 3
    });
    let start = skipped.map_or(0, |(at, c)| at + c.len_utf8());
    let mark = usize::from(start > 0);
    let rest = &line[start..];
    let end = match fitting(rest, width.saturating_sub(mark)) {
        end if end == rest.len() => line.len(),
        _ => start + fitting(rest, width.saturating_sub(mark + 1)),
    };
    start..end
}

/// Whether there is room for a line, and for so many columns after the middle of what is meant in it.
fn fits(line: &str, meant: &Range<usize>, width: usize, room: usize) -> bool {
    fitting(line, width) == line.len()
        && line[..meant.start].width() + line[meant.clone()].width() / 2 + room <= width
}

fn columns(c: char) -> usize {
    c.width().unwrap_or(0)
}

/// How many bytes of a text fit into so many columns.
fn fitting(text: &str, most: usize) -> usize {
    let mut used = 0;
    let mut chars = text.char_indices();
    let over = chars.find(|(_, c)| {
        used += columns(*c);
        used > most
    });
    over.map_or(text.len(), |(at, _)| at)
}

/// A file's text in which nothing can steer a terminal and neither a setting of a secret nor a URL's user, password or parameters
/// are shown, with every byte and every end of a line in its place.
pub(super) fn masked(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    // The quotes that end a secret of several lines.
    let mut until: Option<&str> = None;
    for line in text.split_inclusive('\n') {
        let mut secret = 0..0;
        if let Some(quotes) = until {
            let end = line.find(quotes);
            secret = 0..end.unwrap_or(line.len());
            until = end.is_none().then_some(quotes);
        } else if let Some(start) = secret_value(line) {
            secret = start..line.len();
            until = ["\"\"\"", "'''"].into_iter().find(|quotes| {
                line[start..].trim_start().starts_with(quotes)
                    && line[start..].matches(quotes).count() == 1
            });
        }
        mask_line(line, &secret, &mut out);
    }
    out
}

fn mask_line(line: &str, secret: &Range<usize>, out: &mut String) {
    let mut user_until = 0;
    // What ends the URL that goes on here.
    let mut ends: Option<char> = None;
    let mut quote = None;
    let mut is_behind = false;
    for (at, c) in line.char_indices() {
        if line[at..].starts_with("://") {
            user_until = user_until.max(end_of_user(line, at + 3));
            // One with a template is a link, and what is wrong with it is to be seen.
            let is_link = line[at..].contains('{');
            ends = (!is_link).then(|| quote.unwrap_or(' '));
        }
        if ends == Some(c) || c == '\n' {
            (ends, is_behind) = (None, false);
        }
        if ends.is_none() && "\"'".contains(c) {
            quote = Some(c);
        }
        let filler = match c {
            '\n' => None,
            _ if at < user_until && !"/:".contains(c) => Some('*'),
            _ if is_behind => Some('*'),
            _ if secret.contains(&at) && !"='\" \r".contains(c) => Some('*'),
            '\r' | '\t' => Some(' '),
            c if is_unseen(c) => Some('?'),
            _ => None,
        };
        match filler {
            Some(filler) => out.extend(std::iter::repeat_n(filler, c.len_utf8())),
            None => out.push(c),
        }
        is_behind |= ends.is_some() && "?#".contains(c);
    }
}

/// Where the value begins on a line whose key is one of a secret, which belongs in the environment and may stand in a
/// file all the same.
fn secret_value(line: &str) -> Option<usize> {
    let line = line.to_ascii_lowercase();
    let named = ["secret", "password", "consumer_key", "token"]
        .iter()
        .filter_map(|word| line.find(word))
        .min()?;
    line[named..].find('=').map(|equals| named + equals + 1)
}

/// Where the user and password of a URL end whose authority begins here; here, where it has none.
fn end_of_user(text: &str, start: usize) -> usize {
    let authority = text[start..]
        .split(|c: char| c.is_whitespace() || "/\"'".contains(c))
        .next()
        .unwrap_or_default();
    start + authority.rfind('@').unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_secret_is_hidden_and_every_byte_stays_in_its_place() {
        for (text, shown) in [
            ("a = \"https://me:hush@x/y\"", "a = \"https://**:****@x/y\""),
            ("https://x/y@z", "https://x/y@z"),
            (
                "\"https://x/y?a=b'hush\" ? d",
                "\"https://x/y?********\" ? d",
            ),
            ("https://x/y?a=hush z", "https://x/y?****** z"),
            ("\"https://x/y?id={{ a }}\"", "\"https://x/y?id={{ a }}\""),
            (
                "\"https://x/y?sig=hush&b=c\" ? d",
                "\"https://x/y?************\" ? d",
            ),
            ("https://é@x", "https://**@x"),
            ("a\u{1b}b\r\n", "a?b \n"),
            (
                "consumer_secret = \"hush\"\nb = 1",
                "consumer_secret = \"****\"\nb = 1",
            ),
            (
                "x.token = '''\nhush\nhush'''\nb = 1",
                "x.token = '''\n****\n****'''\nb = 1",
            ),
        ] {
            assert_eq!(masked(text), shown);
            assert_eq!(masked(text).len(), text.len());
        }
    }

    fn excerpt(text: &str, span: Range<usize>, width: usize, room: usize) -> (String, String) {
        let excerpt = Excerpt::new("f".to_owned(), text, 9, &[span], width, room);
        let meant = excerpt.text[excerpt.spans[0].clone()].to_owned();
        (excerpt.text, meant)
    }

    #[test]
    fn a_long_line_is_cut_around_what_is_meant() {
        let text = "first\nsecond\n0123456789abcdefghij\nfourth and longer\nfifth";
        let (shown, meant) = excerpt(text, 21..23, 12, 1);
        assert_eq!(shown, "second\n…456789abcd…\nfourth and …\n");
        assert_eq!(meant, "89");
        let (shown, meant) = excerpt(text, 13..33, 12, 1);
        assert_eq!(shown, "second\n0123456789a…\nfourth and …\n");
        assert_eq!(meant, "0123456789a");
        let underlined = |room| excerpt(text, 13..33, 30, room).1;
        assert_eq!(underlined(20), "0123456789abcdefghij");
        assert_eq!(underlined(24), "0123456789abc", "a label needs the room");
        let (shown, meant) = excerpt(text, 57..57, 12, 1);
        assert_eq!(shown, "fourth and …\nfifth");
        assert_eq!(meant, "");
    }

    proptest! {
        #[test]
        fn no_line_is_wider_than_the_terminal(text in ".{0,9}\n?.{0,40}\n?.{0,40}", at in 0usize..90, width in 4usize..50) {
            let text = masked(&text);
            let at = text.floor_char_boundary(at);
            let end = text.floor_char_boundary(at + 7).min(line_end(&text, at));
            let (shown, meant) = excerpt(&text, at..end, width, 1);
            for line in shown.lines() {
                prop_assert!(line.width() <= width, "{line:?}");
            }
            prop_assert_eq!(&meant, &text[at..at + meant.len()]);
        }
    }
}
