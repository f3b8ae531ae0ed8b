//! Every bound that both ends must know, with its reason.

use crate::id::Micros;

/// A manifest names parts and holds none, so even a thousand parts fit.
pub const MANIFEST_BYTES_MAX: usize = 64 << 10;
/// An envelope is a payload, its type and a signature.
pub const ENVELOPE_BYTES_MAX: usize = MANIFEST_BYTES_MAX + 4096;
/// A payload type is a media type.
pub const PAYLOAD_TYPE_BYTES_MAX: usize = 128;
/// Authority keys of one directory head.
pub const AUTHORITY_KEYS_MAX: usize = 16;
/// Signatures of one envelope: a head that changes all keys is signed by enough of the old and enough of the new.
pub const SIGNATURES_MAX: usize = 2 * AUTHORITY_KEYS_MAX;
/// Longest signature: ECDSA P-256 in DER.
pub const SIGNATURE_BYTES_MAX: usize = 72;
/// Parts of one notice.
pub const PARTS_MAX: usize = 1_000;
/// Content that travels in one request, all parts together.
pub const CONTENT_BYTES_MAX: usize = 1 << 20;
/// Partners named one by one, or exempted, in one audience.
pub const AUDIENCE_PARTNERS_MAX: usize = 1_024;
/// Groups named in one audience.
pub const AUDIENCE_GROUPS_MAX: usize = 32;
/// Items of one acknowledgement, and of one pass of the clock.
pub const ITEMS_MAX: usize = 4_096;
/// A reason in words.
pub const REASON_BYTES_MAX: usize = 256;
/// A restriction in words, or a legal basis.
pub const WORDS_BYTES_MAX: usize = 1_024;
/// A media type (RFC 6838 section 4.2).
pub const MEDIA_TYPE_BYTES_MAX: usize = 127;
/// How far ahead of the node an originator's clock may be.
pub const AHEAD_MAX_US: i64 = 5 * 60 * Micros::SECOND;
/// How old a notice may be when its home first sees it.
pub const AGE_MAX_US: i64 = 72 * Micros::HOUR;
/// How long a notice may wait: five years.
pub const LIFETIME_MAX_US: i64 = 5 * 366 * Micros::DAY;
/// Records of one directory.
pub const RECORDS_MAX: usize = 100_000;
/// A record: an agreement between a thousand partners fits.
pub const RECORD_BYTES_MAX: usize = 128 << 10;
/// A signed note with sixteen signatures fits many times.
pub const NOTE_BYTES_MAX: usize = 32 << 10;
/// Agreements named by one acceptance: one for each recipient at most.
pub const AGREEMENTS_MAX: usize = 4_096;
/// Items that one receipt shows: all of one acknowledgement.
pub const RECEIPT_ITEMS_MAX: usize = ITEMS_MAX;
/// Records that one receipt carries: partners, keys, the node, agreements and groups that it shows.
pub const RECEIPT_RECORDS_MAX: usize = 256;
/// A receipt file: a notice, its directory records and their paths, in base64.
pub const RECEIPT_BYTES_MAX: usize = 4 << 20;
/// Logs, witnesses and groups of one trust file (C2SP tlog-policy asks for at least 32).
pub const POLICY_LINES_MAX: usize = 256;
