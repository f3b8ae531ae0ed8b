//! Text between machines: what mail programs and editors do to a file on its way, and what may not reach a terminal as it is.

pub mod pem;

use std::borrow::Cow;
use std::fmt;

use crate::manifest::forges_lines;

/// Escapes whatever could forge a line or steer a terminal, newlines too, as JSON would: `\u009b`. For a value within a line.
pub fn visible(text: &str) -> Cow<'_, str> {
    escape(text, forges_lines)
}

/// The same for a text of several lines: newlines and tabs stay. JSON stays the same JSON.
pub fn visible_lines(text: &str) -> Cow<'_, str> {
    escape(text, |c| forges_lines(c) && !matches!(c, '\n' | '\t'))
}

fn escape(text: &str, hides: impl Fn(char) -> bool) -> Cow<'_, str> {
    if !text.chars().any(&hides) {
        return Cow::Borrowed(text);
    }
    let mut escaped = String::with_capacity(text.len() + 16);
    for c in text.chars() {
        match c {
            '\n' if hides(c) => escaped += "\\n",
            '\r' if hides(c) => escaped += "\\r",
            '\t' if hides(c) => escaped += "\\t",
            // All of them lie in the Basic Multilingual Plane, so four digits do.
            _ if hides(c) => escaped += &format!("\\u{:04x}", u32::from(c)),
            _ => escaped.push(c),
        }
    }
    Cow::Owned(escaped)
}

/// What a program on the way did to a text file, without meaning harm.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Altered {
    /// Saved as UTF-16, in this order of bytes.
    Utf16 {
        /// Low byte first.
        little_endian: bool,
        /// U+FEFF is the first character.
        marked: bool,
    },
    /// U+FEFF before the text, in UTF-8.
    ByteOrderMark,
    /// CR LF or CR in place of LF.
    LineEnds,
    /// U+00A0 in place of spaces.
    NoBreakSpaces,
}

impl Altered {
    /// Everything that was done to a file, in the order in which it can be undone. Empty: nothing that is known here.
    pub fn all(bytes: &[u8]) -> Vec<Self> {
        let utf16 = Self::utf16(bytes);
        let text: Cow<'_, [u8]> = match utf16 {
            Some(Self::Utf16 { little_endian, .. }) => Cow::Owned(from_utf16(bytes, little_endian).into_bytes()),
            _ => Cow::Borrowed(bytes),
        };
        let mut all: Vec<_> = utf16.into_iter().collect();
        if all.is_empty() && text.starts_with(BYTE_ORDER_MARK) {
            all.push(Self::ByteOrderMark);
        }
        if text.contains(&b'\r') {
            all.push(Self::LineEnds);
        }
        if text.windows(2).any(|pair| pair == NO_BREAK_SPACE) {
            all.push(Self::NoBreakSpaces);
        }
        all
    }

    /// A text that begins in ASCII shows its order of bytes even without a mark.
    fn utf16(bytes: &[u8]) -> Option<Self> {
        let utf16 = |little_endian, marked| Some(Self::Utf16 { little_endian, marked });
        match bytes {
            [0xff, 0xfe, ..] => utf16(true, true),
            [0xfe, 0xff, ..] => utf16(false, true),
            [first, 0, second, 0, ..] if *first != 0 && *second != 0 => utf16(true, false),
            [0, first, 0, second, ..] if *first != 0 && *second != 0 => utf16(false, false),
            _ => None,
        }
    }

    /// A filter that undoes it.
    fn filter(self) -> &'static str {
        match self {
            Self::Utf16 { marked: true, .. } => "iconv -f UTF-16 -t UTF-8",
            Self::Utf16 { little_endian: true, .. } => "iconv -f UTF-16LE -t UTF-8",
            Self::Utf16 { .. } => "iconv -f UTF-16BE -t UTF-8",
            Self::ByteOrderMark => r"sed '1s/^\xEF\xBB\xBF//'",
            Self::LineEnds => r"tr -d '\r'",
            Self::NoBreakSpaces => r"sed 's/\xC2\xA0/ /g'",
        }
    }
}

const BYTE_ORDER_MARK: &[u8] = b"\xef\xbb\xbf";
const NO_BREAK_SPACE: &[u8] = b"\xc2\xa0";

impl fmt::Display for Altered {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Utf16 { .. } => "the file was saved as UTF-16",
            Self::ByteOrderMark => "a byte order mark was put before the text",
            Self::LineEnds => "line ends were changed (CR LF, as Windows and mail programs write them)",
            Self::NoBreakSpaces => "spaces were changed into no-break spaces (U+00A0)",
        })
    }
}

/// What was done to a file whose bytes count, and the command that undoes it. None: nothing that is known here.
pub fn changed_on_the_way(file: &str, bytes: &[u8]) -> Option<(String, String)> {
    let all = Altered::all(bytes);
    let (first, more) = all.split_first()?;
    let words: Vec<_> = all.iter().map(Altered::to_string).collect();
    let mended = format!("{file}.mended");
    let (from, to) = (quoted(file), quoted(&mended));
    let filters: String = more.iter().map(|altered| format!(" | {}", altered.filter())).collect();
    Some((words.join("; "), format!("{} < {from}{filters} > {to}", first.filter())))
}

/// A file's name as a shell takes it.
fn quoted(file: &str) -> Cow<'_, str> {
    let plain = |c: char| c.is_ascii_alphanumeric() || "/._-".contains(c);
    match !file.is_empty() && file.chars().all(plain) {
        true => Cow::Borrowed(file),
        false => Cow::Owned(format!("'{}'", file.replace('\'', r"'\''"))),
    }
}

fn from_utf16(bytes: &[u8], little_endian: bool) -> String {
    let unit = |pair: &[u8]| match little_endian {
        true => u16::from_le_bytes([pair[0], pair[1]]),
        false => u16::from_be_bytes([pair[0], pair[1]]),
    };
    let units: Vec<_> = bytes.chunks_exact(2).map(unit).collect();
    String::from_utf16_lossy(&units)
}

/// Why bytes are no text.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NotText {
    /// Saved as UTF-16.
    #[error("is saved as UTF-16: save it as UTF-8 (iconv -f UTF-16 -t UTF-8)")]
    Utf16,
    /// Neither UTF-8 nor UTF-16.
    #[error("line {line} is not UTF-8: save the file as UTF-8")]
    NotUtf8 {
        /// From 1.
        line: usize,
    },
}

/// Reads a text that people write, where bytes do not count: a byte order mark before it is left out, and lines may end as Windows
/// ends them. Every reader of such files begins here, so that all take the same ones.
pub fn of_people(bytes: &[u8]) -> Result<String, NotText> {
    if Altered::utf16(bytes).is_some() {
        return Err(NotText::Utf16);
    }
    let bytes = bytes.strip_prefix(BYTE_ORDER_MARK).unwrap_or(bytes);
    let text = std::str::from_utf8(bytes).map_err(|error| {
        let before = &bytes[..error.valid_up_to()];
        NotText::NotUtf8 { line: 1 + before.iter().filter(|byte| **byte == b'\n').count() }
    })?;
    Ok(text.replace("\r\n", "\n").replace('\r', "\n"))
}

/// Why a text that looks right cannot be read: the first character that an editor or a mail program put where a plain one belongs.
/// Such characters are right within names, so a reader asks only after it has stumbled.
pub fn stray_character(text: &str) -> Option<String> {
    let stray = |c: char| {
        Some(match c {
            '\u{a0}' | '\u{2007}' | '\u{202f}' => "a no-break space where a space belongs",
            '\u{200b}' | '\u{2060}' | '\u{feff}' => "a character without width",
            '\u{201c}' | '\u{201d}' | '\u{2018}' | '\u{2019}' => "a typographic quote where a plain one belongs",
            _ => return None,
        })
    };
    text.lines().enumerate().find_map(|(nth, line)| {
        let (found, what) = line.chars().find_map(|c| Some((c, stray(c)?)))?;
        Some(format!("line {} may hold {what} (U+{:04X})", nth + 1, u32::from(found)))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_steers_a_terminal_is_escaped_and_everything_else_stays() {
        let rows = [
            ("plain é 漢 \u{200d}", "plain é 漢 \u{200d}"),
            ("\u{1b}[2J", "\\u001b[2J"),
            ("\u{9b}31m\u{85}\u{7f}\0", "\\u009b31m\\u0085\\u007f\\u0000"),
            ("\u{2066}\u{202e}\u{2028}\u{61c}", "\\u2066\\u202e\\u2028\\u061c"),
        ];
        for (text, shown) in rows {
            assert_eq!(visible(text), shown);
            assert_eq!(visible_lines(text), shown);
        }
        assert_eq!(visible("a\nb\tc\rd"), "a\\nb\\tc\\rd");
        assert_eq!(visible_lines("a\nb\tc\rd"), "a\nb\tc\\rd");
    }

    #[test]
    fn what_was_done_to_a_file_is_named_and_can_be_undone() {
        let text = "network x\nquorum none\n";
        let utf16 = |little: bool, text: &str| -> Vec<u8> {
            text.encode_utf16()
                .flat_map(|unit| if little { unit.to_le_bytes() } else { unit.to_be_bytes() })
                .collect()
        };
        let rows: [(&str, Vec<u8>, &[&str]); 9] = [
            ("nothing", text.into(), &[]),
            ("BOM", format!("\u{feff}{text}").into(), &["byte order mark"]),
            ("CR LF", text.replace('\n', "\r\n").into(), &["line ends were changed"]),
            ("NBSP", text.replace(' ', "\u{a0}").into(), &["no-break spaces"]),
            (
                "Windows",
                format!("\u{feff}{}", text.replace('\n', "\r\n")).into(),
                &["byte order mark", "line ends"],
            ),
            ("UTF-16, marked", utf16(true, &format!("\u{feff}{text}")), &["UTF-16"]),
            ("UTF-16, the other order", utf16(false, &format!("\u{feff}{text}")), &["UTF-16"]),
            ("UTF-16, not marked", utf16(true, text), &["UTF-16"]),
            ("Notepad", utf16(true, &format!("\u{feff}{}", text.replace('\n', "\r\n"))), &["UTF-16", "line ends"]),
        ];
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("a file's name");
        for (what, bytes, words) in rows {
            let said = changed_on_the_way(file.to_str().unwrap(), &bytes);
            assert_eq!(said.is_none(), words.is_empty(), "{what}");
            let Some((said, undo)) = said else { continue };
            assert!(words.iter().all(|word| said.contains(word)), "{what}: {said}");
            std::fs::write(&file, &bytes).unwrap();
            let done = std::process::Command::new("sh").args(["-c", &undo]).status().unwrap();
            assert!(done.success(), "{what}: {undo}");
            assert_eq!(
                std::fs::read_to_string(format!("{}.mended", file.display())).unwrap(),
                text,
                "{what}: {undo}"
            );
        }
    }

    #[test]
    fn readers_of_text_take_what_editors_write_and_name_what_they_do_not_take() {
        assert_eq!(of_people("\u{feff}a = 1\r\nb = 2\r".as_bytes()).unwrap(), "a = 1\nb = 2\n");
        assert_eq!(of_people(b"\xff\xfea\0=\0"), Err(NotText::Utf16));
        assert_eq!(of_people(b"a = 1\nb = \"\xe9\"\n"), Err(NotText::NotUtf8 { line: 2 }));
        assert_eq!(of_people(b"").unwrap(), "");
        assert!(stray_character("a\nb\u{a0}= 1").unwrap().starts_with("line 2 may hold a no-break space"));
        assert_eq!(stray_character("Bureau «central»"), None);
    }
}
