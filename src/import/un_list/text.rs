//! Texts as they are kept: white space tidied, dates read beside the words that gave them, keys without their blemishes.

use std::borrow::Cow;

use liaison_protocol::proto::Date;

/// `YYYY-MM-DD`.
pub(super) const DAY_CHARS: usize = 10;

/// Characters of the file that a message repeats.
const QUOTE_CHARS: usize = 60;

/// What stands for a byte that is not UTF-8. XML forbids it, so the record around it is reported and no other.
const DAMAGED: char = '\u{1a}';

/// The bytes as text of the same length, so that offsets into it are offsets into the file.
pub(super) fn decode(bytes: &[u8]) -> Cow<'_, str> {
    if let Ok(text) = str::from_utf8(bytes) {
        return Cow::Borrowed(text);
    }
    let mut text = String::with_capacity(bytes.len());
    for chunk in bytes.utf8_chunks() {
        text.push_str(chunk.valid());
        text.extend(chunk.invalid().iter().map(|_| DAMAGED));
    }
    Cow::Owned(text)
}

/// Whether XML 1.0 allows this character (section 2.2).
pub(super) fn allowed(character: char) -> bool {
    match character {
        '\t' | '\n' | '\r' => true,
        '\u{fffe}' | '\u{ffff}' => false,
        other => other >= ' ',
    }
}

/// One line: every run of white space, no-break spaces included, becomes one blank.
pub(in crate::import) fn line(text: &str) -> String {
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}

/// Lines, each tidied, with no more than one empty line between others and none around them.
pub(in crate::import) fn lines(text: &str) -> String {
    let mut kept: Vec<String> = Vec::new();
    for next in text.lines().map(line) {
        if !next.is_empty() || kept.last().is_some_and(|last| !last.is_empty()) {
            kept.push(next);
        }
    }
    if kept.last().is_some_and(String::is_empty) {
        kept.pop();
    }
    kept.join("\n")
}

/// A date beside its text; `None` for no text. A zone is noise: the day is the one that is written.
pub(super) fn date(text: String) -> Option<Date> {
    if text.is_empty() {
        return None;
    }
    let (year, month, day) = day_of(&text).or_else(|| year_of(&text)).unwrap_or_default();
    Some(Date { text, year, month, day })
}

fn day_of(text: &str) -> Option<(u32, u32, u32)> {
    let (day, zone) = text.split_at_checked(DAY_CHARS)?;
    let date: jiff::civil::Date = day.parse().ok()?;
    let number = |part: i8| u32::try_from(part).ok();
    let year = u32::try_from(date.year()).ok().filter(|year| *year > 0)?;
    is_zone(zone).then_some(())?;
    Some((year, number(date.month())?, number(date.day())?))
}

fn year_of(text: &str) -> Option<(u32, u32, u32)> {
    let plain = text.len() == 4 && text.bytes().all(|byte| byte.is_ascii_digit());
    let year = plain.then(|| text.parse().ok()).flatten()?;
    Some((year, 0, 0))
}

/// Nothing, `Z`, or hours and minutes from UTC, as after an `xs:date`.
fn is_zone(text: &str) -> bool {
    match text.as_bytes() {
        [] | [b'Z'] => true,
        [b'+' | b'-', h1, h2, b':', m1, m2] => [h1, h2, m1, m2].iter().all(|b| b.is_ascii_digit()),
        _ => false,
    }
}

/// Whether the text begins with a day, as an `xs:dateTime` does.
pub(super) fn begins_with_day(text: &str) -> bool {
    text.get(..DAY_CHARS).is_some_and(|day| day_of(day).is_some())
}

/// A key as the list means it: no blanks, no full stop at its end, and the letter for individual or entity small, as in
/// `QDi.001`. What has another shape only loses its blanks.
pub(in crate::import) fn reference(published: &str) -> String {
    let bare = published.trim();
    let bare = bare.strip_suffix('.').unwrap_or(bare);
    match bare.as_bytes() {
        [a, b, kind @ (b'i' | b'e' | b'I' | b'E'), b'.', number @ ..]
            if a.is_ascii_uppercase()
                && b.is_ascii_uppercase()
                && !number.is_empty()
                && number.iter().all(u8::is_ascii_digit) =>
        {
            let kind = char::from(kind.to_ascii_lowercase());
            format!("{}{kind}{}", &bare[..2], &bare[3..])
        }
        _ => line(bare),
    }
}

/// A few words of the file for a message.
pub(in crate::import) fn quote(text: &str) -> String {
    line(text).chars().filter(|character| !character.is_control()).take(QUOTE_CHARS).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_loses_its_blemishes_and_nothing_else() {
        for (published, meant) in [
            ("QDi.001", "QDi.001"),
            ("QDi.001 \n", "QDi.001"),
            ("QDi.001\u{a0}", "QDi.001"),
            ("QDi.343.", "QDi.343"),
            ("TAI.171", "TAi.171"),
            ("QDE.1234", "QDe.1234"),
            ("qdi.001", "qdi.001"),
            ("XX9 7", "XX9 7"),
            ("", ""),
        ] {
            assert_eq!(reference(published), meant, "{published:?}");
        }
    }

    #[test]
    fn a_date_is_the_day_that_is_written_and_keeps_its_words() {
        for (text, parts) in [
            ("1960-01-01", (1960, 1, 1)),
            ("2015-07-01-04:00", (2015, 7, 1)),
            ("2015-07-01Z", (2015, 7, 1)),
            ("1954", (1954, 0, 0)),
            ("1955-1956", (0, 0, 0)),
            ("2015-02-30", (0, 0, 0)),
            ("2015-07-01, perhaps", (0, 0, 0)),
            ("0000", (0, 0, 0)),
            ("Nov. 1973", (0, 0, 0)),
            ("éééééé", (0, 0, 0)),
        ] {
            let date = date(text.to_owned()).expect("there is text");
            assert_eq!((date.year, date.month, date.day), parts, "{text}");
            assert_eq!(date.text, text);
        }
        assert_eq!(date(String::new()), None);
    }

    #[test]
    fn comments_keep_their_lines_and_other_texts_become_one() {
        let published = "\n  First\u{202f}line \t here\r\n\r\n \n\n   second.  \n\n";
        assert_eq!(lines(published), "First line here\n\nsecond.");
        assert_eq!(line(published), "First line here second.");
        assert_eq!(lines(" \n \n"), "");
    }

    #[test]
    fn bytes_that_are_not_utf_8_keep_their_places() {
        let bytes = b"ab\xff\xfec\xe2\x82d";
        let text = decode(bytes);
        assert_eq!(text, "ab\u{1a}\u{1a}c\u{1a}\u{1a}d");
        assert_eq!(text.len(), bytes.len());
        assert!(text.contains(|character| !allowed(character)));
    }
}
