//! Lists that others publish, read into contents of notices, and what has changed in them since it was sent. Pure: bytes come in;
//! contents, notices to send and what could not be read go out. Whoever calls opens files, reads the clock, signs and sends.

mod edition;
pub mod encoding;
mod facts;
mod guard;
pub mod interpol;
pub(crate) mod json;
pub mod ledger;
mod plan;
mod step;
mod subject;
pub mod un_list;

pub use edition::{Absence, Edition, Source, Subject};
pub use facts::{Digests, Facts, Threshold};
pub use plan::{Planned, assumed, plan};
pub use step::{Action, Item, Rules, Step, StepRefused, step};
pub use subject::{SUBJECT_CHARS_MAX, subject};

/// Whether the path of an unknown field ends in a field that its source's reader knows: then it is the value that is unknown.
fn knows(path: &str) -> bool {
    un_list::knows(path) || interpol::knows(path)
}

/// The media type of a CONTENT part that holds a serialized `Content` (RFC 6838).
pub const CONTENT_MEDIA_TYPE: &str = "application/vnd.liaison.content.v1+protobuf";
