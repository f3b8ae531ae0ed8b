//! In which encoding a file is, told by its bytes and not by what it says of itself, so that a refusal can name both.

use std::fmt;

/// Bytes at a file's beginning in which an XML declaration ends. The longest of a published list has 55.
const DECLARATION_BYTES_MAX: usize = 256;

/// What a file's bytes are.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Encoding {
    /// UTF-8, with or without a byte order mark; ASCII is that, too.
    Utf8,
    /// Two bytes for a character.
    Utf16,
    /// Four bytes for a character.
    Utf32,
    /// One byte for a character, as in windows-1252 and ISO 8859: no character beyond ASCII is UTF-8.
    SingleByte(Wrong),
    /// UTF-8 with other bytes in it: damage, or two files in different encodings put together.
    Mixed(Wrong),
}

/// The first byte that is not UTF-8.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Wrong {
    /// Where it stands, from 0.
    pub offset: usize,
    /// The byte.
    pub byte: u8,
}

impl Encoding {
    /// Looks at a whole file.
    pub fn of(bytes: &[u8]) -> Self {
        match bytes {
            [0xff, 0xfe, 0, 0, ..] | [0, 0, 0xfe, 0xff, ..] => return Self::Utf32,
            [0xff, 0xfe, ..] | [0xfe, 0xff, ..] => return Self::Utf16,
            // Without a mark: every text here begins with two ASCII characters.
            [0, 0, 0, 1..=255, ..] | [1..=255, 0, 0, 0, ..] => return Self::Utf32,
            [0, 1..=255, 0, 1..=255, ..] | [1..=255, 0, 1..=255, 0, ..] => return Self::Utf16,
            _ => {}
        }
        let mut chunks = bytes.utf8_chunks();
        let Some(first) = chunks.find(|chunk| !chunk.invalid().is_empty()) else { return Self::Utf8 };
        let offset = first.valid().as_ptr() as usize - bytes.as_ptr() as usize + first.valid().len();
        let wrong = Wrong { offset, byte: first.invalid()[0] };
        let beyond_ascii = bytes.utf8_chunks().any(|chunk| !chunk.valid().is_ascii());
        if beyond_ascii { Self::Mixed(wrong) } else { Self::SingleByte(wrong) }
    }

    /// Whether every byte can be read.
    pub fn is_utf8(self) -> bool {
        self == Self::Utf8
    }
}

impl fmt::Display for Encoding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Utf8 => f.write_str("UTF-8"),
            Self::Utf16 => f.write_str("UTF-16"),
            Self::Utf32 => f.write_str("UTF-32"),
            Self::SingleByte(wrong) => write!(f, "an encoding of single bytes such as windows-1252 ({wrong})"),
            Self::Mixed(wrong) => write!(f, "UTF-8 mixed with bytes of another encoding ({wrong})"),
        }
    }
}

impl fmt::Display for Wrong {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "first 0x{:02X} at byte {}", self.byte, self.offset)
    }
}

/// What an XML file's declaration says, read without knowing the encoding: names of encodings are ASCII in all of them.
pub(super) fn declared(bytes: &[u8]) -> Option<String> {
    let beginning = bytes.iter().take(DECLARATION_BYTES_MAX);
    let ascii: String =
        beginning.filter(|byte| (b' '..0x7f).contains(*byte)).map(|byte| char::from(*byte)).collect();
    let (declaration, _) = ascii.strip_prefix("<?xml")?.split_once("?>")?;
    let (_, value) = declaration.split_once("encoding")?;
    let value = value.trim_start().strip_prefix('=')?.trim_start();
    let quote = value.chars().next().filter(|quote| matches!(quote, '"' | '\''))?;
    value[1..].split_once(quote).map(|(name, _)| name.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn utf16(text: &str, bytes: fn(u16) -> [u8; 2]) -> Vec<u8> {
        text.encode_utf16().flat_map(bytes).collect()
    }

    #[test]
    fn an_encoding_is_told_by_the_bytes_whatever_the_file_says_of_itself() {
        let wrong = |offset, byte| Wrong { offset, byte };
        for (bytes, encoding) in [
            (b"".to_vec(), Encoding::Utf8),
            (b"{".to_vec(), Encoding::Utf8),
            ("\u{feff}<a>\u{e9}</a>".into(), Encoding::Utf8),
            (utf16("\u{feff}<a/>", u16::to_le_bytes), Encoding::Utf16),
            (utf16("\u{feff}<a/>", u16::to_be_bytes), Encoding::Utf16),
            (utf16("<a/>", u16::to_le_bytes), Encoding::Utf16),
            (utf16("{\"", u16::to_be_bytes), Encoding::Utf16),
            (b"\xff\xfe\0\0<\0\0\0".to_vec(), Encoding::Utf32),
            (b"<\0\0\0?\0\0\0".to_vec(), Encoding::Utf32),
            (b"\0\0\0<\0\0\0?".to_vec(), Encoding::Utf32),
            (b"<a>caf\xe9</a>".to_vec(), Encoding::SingleByte(wrong(6, 0xe9))),
            (b"<a>caf\xc3\xa9 \xe9</a>".to_vec(), Encoding::Mixed(wrong(9, 0xe9))),
            (b"\x93quoted\x94".to_vec(), Encoding::SingleByte(wrong(0, 0x93))),
            (b"cut \xe2\x82".to_vec(), Encoding::SingleByte(wrong(4, 0xe2))),
        ] {
            assert_eq!(Encoding::of(&bytes), encoding, "{bytes:x?}");
        }
    }

    #[test]
    fn a_declaration_is_read_in_every_encoding() {
        let declaration = "<?xml version='1.0'  encoding = \"UTF-16\" ?><a/>";
        for bytes in [
            declaration.as_bytes().to_vec(),
            utf16(&format!("\u{feff}{declaration}"), u16::to_le_bytes),
            utf16(declaration, u16::to_be_bytes),
        ] {
            assert_eq!(declared(&bytes).as_deref(), Some("UTF-16"));
        }
        for none in ["", "<a encoding='x'/>", "<?xml version='1.0'?>", "<?xml encoding=UTF-8?>", "<?xml encoding='"]
        {
            assert_eq!(declared(none.as_bytes()), None, "{none}");
        }
    }
}
