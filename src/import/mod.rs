//! Lists that others publish, read into contents of notices. Pure: bytes come in, contents and what could not be read go out.
//! Whoever calls opens the file, reads the clock, signs and sends.

mod plan;
mod subject;
pub mod un_list;

pub use plan::{Planned, plan};
pub use subject::{SUBJECT_CHARS_MAX, subject};

/// The media type of a CONTENT part that holds a serialized `Content` (RFC 6838).
pub const CONTENT_MEDIA_TYPE: &str = "application/vnd.liaison.content.v1+protobuf";
