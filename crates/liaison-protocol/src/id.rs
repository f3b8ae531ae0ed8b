//! The names of things: hashes, numbers and identifiers that are parsed once and trusted afterwards.

use std::fmt;
use std::str::FromStr;

use crate::sha256;

/// A SHA-256 digest (FIPS 180-4).
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Hash(pub [u8; 32]);

impl Hash {
    /// SHA-256 over the concatenation of `parts`.
    pub fn of(parts: &[&[u8]]) -> Self {
        Self(sha256::of(parts))
    }

    /// Reads exactly 32 bytes.
    pub fn from_slice(bytes: &[u8]) -> Option<Self> {
        bytes.try_into().ok().map(Self)
    }

    /// 64 lower-case hexadecimal digits.
    pub fn to_hex(self) -> String {
        to_hex(&self.0)
    }

    /// Reads 64 lower-case hexadecimal digits.
    pub fn from_hex(text: &str) -> Option<Self> {
        from_hex(text).and_then(|bytes| Self::from_slice(&bytes))
    }

    /// The digest as bytes on the wire: shared from the start, as whatever is serialized is shared for a moment.
    pub fn to_bytes(self) -> bytes::Bytes {
        bytes::Bytes::from_owner(self.0)
    }
}

/// Two lower-case hexadecimal digits a byte.
pub fn to_hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// Reads what [`to_hex`] writes and nothing else: lower case, an even number of digits, no sign.
pub fn from_hex(text: &str) -> Option<Vec<u8>> {
    let digit = |byte: u8| match byte {
        b'0'..=b'9' => Some(byte - b'0'),
        b'a'..=b'f' => Some(byte - b'a' + 10),
        _ => None,
    };
    let (pairs, []) = text.as_bytes().as_chunks::<2>() else {
        return None;
    };
    pairs.iter().map(|[high, low]| Some(digit(*high)? << 4 | digit(*low)?)).collect()
}

impl AsRef<[u8]> for Hash {
    fn as_ref(&self) -> &[u8] {
        &self.0
    }
}

impl fmt::Debug for Hash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.to_hex())
    }
}

/// What a text was expected to be and is not.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{what}: expected {expected}, found {found:?}")]
pub struct BadName {
    /// Which name.
    pub what: &'static str,
    /// Its shape.
    pub expected: &'static str,
    /// The text, cut at 80 characters and escaped when shown.
    pub found: String,
}

/// A digest that names something, written `sha256:` and 64 lower-case hexadecimal digits.
macro_rules! digest_name {
    ($(#[$doc:meta])* $name:ident, $what:literal) => {
        $(#[$doc])*
        #[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub struct $name(pub Hash);

        impl $name {
            /// Reads exactly 32 bytes.
            pub fn from_slice(bytes: &[u8]) -> Option<Self> {
                Hash::from_slice(bytes).map(Self)
            }

            /// The name as bytes on the wire.
            pub fn to_bytes(self) -> bytes::Bytes {
                self.0.to_bytes()
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, "sha256:{}", self.0.to_hex())
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                fmt::Display::fmt(self, f)
            }
        }

        impl FromStr for $name {
            type Err = BadName;

            fn from_str(text: &str) -> Result<Self, BadName> {
                text.strip_prefix("sha256:").and_then(Hash::from_hex).map(Self).ok_or_else(|| {
                    BadName {
                        what: $what,
                        expected: "sha256: and 64 lower-case hexadecimal digits",
                        found: cut(text),
                    }
                })
            }
        }
    };
}

digest_name!(
    /// SHA-256 of the DSSE pre-authentication encoding of a manifest: one name on every route.
    NoticeId,
    "notice id"
);
digest_name!(
    /// SHA-256 of the pre-authentication encoding of a network's first directory head.
    NetworkId,
    "network"
);
digest_name!(
    /// SHA-256 of the pre-authentication encoding of a directory head.
    HeadDigest,
    "directory head digest"
);
digest_name!(
    /// SHA-256("liaison-key-v1" | algorithm, 1 byte | key): a public key's identifier.
    KeyId,
    "key id"
);
digest_name!(
    /// Leaf data of an agreement's directory record.
    AgreementDigest,
    "agreement digest"
);

fn cut(text: &str) -> String {
    text.chars().take(80).collect()
}

/// A short text of a fixed alphabet, checked once.
macro_rules! text_name {
    ($(#[$doc:meta])* $name:ident, $what:literal, $max:expr, $expected:literal, $allowed:expr) => {
        $(#[$doc])*
        #[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub struct $name(Box<str>);

        impl $name {
            /// The text.
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl FromStr for $name {
            type Err = BadName;

            fn from_str(text: &str) -> Result<Self, BadName> {
                let allowed: fn(u8) -> bool = $allowed;
                if (1..=$max).contains(&text.len()) && text.bytes().all(allowed) {
                    Ok(Self(text.into()))
                } else {
                    Err(BadName { what: $what, expected: $expected, found: cut(text) })
                }
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.pad(&self.0)
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }
    };
}

text_name!(
    /// A partner's or group's identifier, e.g. `FR`. Certificates carry it in lower case.
    PartnerId,
    "partner id",
    32,
    "1 to 32 of A-Z 0-9 -",
    |byte| matches!(byte, b'A'..=b'Z' | b'0'..=b'9' | b'-')
);
text_name!(
    /// A node's identifier, e.g. `hub-1`.
    NodeId,
    "node id",
    32,
    "1 to 32 of a-z 0-9 -",
    |byte| matches!(byte, b'a'..=b'z' | b'0'..=b'9' | b'-')
);
text_name!(
    /// A partner's system, e.g. `ops-1`, as in its certificate.
    SystemId,
    "system id",
    32,
    "1 to 32 of a-z 0-9 -",
    |byte| matches!(byte, b'a'..=b'z' | b'0'..=b'9' | b'-')
);
text_name!(
    /// The originator's own name for a notice, e.g. `FR/2026/000812`.
    Reference,
    "reference",
    64,
    "1 to 64 of A-Z a-z 0-9 . _ / -",
    |byte| matches!(byte, b'A'..=b'Z' | b'a'..=b'z' | b'0'..=b'9' | b'.' | b'_' | b'/' | b'-')
);
text_name!(
    /// The network's name in certificates, e.g. `demo.liaison.example`.
    NetworkName,
    "network name",
    64,
    "1 to 64 of a-z 0-9 . -",
    |byte| matches!(byte, b'a'..=b'z' | b'0'..=b'9' | b'.' | b'-')
);
text_name!(
    /// A log's origin (C2SP tlog-checkpoint) and the name of the key that signs it.
    Origin,
    "log origin",
    128,
    "1 to 128 of A-Z a-z 0-9 . _ / : -",
    |byte| matches!(byte, b'A'..=b'Z' | b'a'..=b'z' | b'0'..=b'9' | b'.' | b'_' | b'/' | b':' | b'-')
);

/// A number given once in the directory and never again.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct PartnerNumber(pub u32);

/// Place in one log, from 0.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct LeafIndex(pub u64);

/// Place in one node's history: from 0, by one, for ever, across its logs. `LeafIndex = Seq - base` of the log it lies in.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Seq(pub u64);

/// Version of a directory head, from 1.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct HeadVersion(pub u64);

/// A point in time: microseconds since 1970-01-01T00:00:00Z.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Micros(pub i64);

impl Micros {
    /// One second.
    pub const SECOND: i64 = 1_000_000;
    /// One hour.
    pub const HOUR: i64 = 3_600 * Self::SECOND;
    /// One day of 24 hours.
    pub const DAY: i64 = 24 * Self::HOUR;

    /// Later by `micros`, or the last moment there is.
    pub fn plus(self, micros: i64) -> Self {
        Self(self.0.saturating_add(micros))
    }

    /// Microseconds from `earlier` to `self`.
    pub fn since(self, earlier: Self) -> i64 {
        self.0.saturating_sub(earlier.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_notice_id_is_written_and_read_back() {
        let id = NoticeId(Hash::of(&[b"a notice"]));
        assert_eq!(id.to_string().parse(), Ok(id));
        assert!(id.to_string().to_uppercase().parse::<NoticeId>().is_err());
        assert!("sha256:00".parse::<NoticeId>().is_err());
    }

    #[test]
    fn hexadecimal_digits_have_one_form() {
        assert_eq!(from_hex(&to_hex(&[0, 0x5a, 0xff])), Some(vec![0, 0x5a, 0xff]));
        for bad in ["+f", "0F", "0", "0x", "é", " 1"] {
            assert_eq!(from_hex(bad), None, "{bad:?}");
        }
    }

    #[test]
    fn a_name_outside_its_alphabet_or_bound_is_refused() {
        for bad in ["", "fr", "F R", "F\u{202e}R", "FR\n", &"A".repeat(33)] {
            assert!(bad.parse::<PartnerId>().is_err(), "{bad:?}");
        }
        for good in ["FR", "UN", "INTERPOL-GS", "X1"] {
            assert!(good.parse::<PartnerId>().is_ok(), "{good:?}");
        }
    }
}
