//! What is measured: the traffic of `liaison bench` as it is by default. Four originators send notices of 1 KiB to a group of four.

use bytes::Bytes;
use liaison_client::sign::{Draft, DraftPart, SignedNotice};
use liaison_protocol::proto;
use prost::Message as _;

use crate::world::{Plan, World, agreement, audience};

pub(crate) const ORIGINATORS: [&str; 4] = ["O-0", "O-1", "O-2", "O-3"];
const RECIPIENTS: [&str; 4] = ["R-0", "R-1", "R-2", "R-3"];
const GROUP: &str = "RECIPIENTS";
const CONTENT: &[u8] = &[b'x'; 1_024];

/// The network.
pub(crate) fn world() -> World {
    Plan::of(&[ORIGINATORS, RECIPIENTS].concat())
        .group(GROUP, &RECIPIENTS)
        .agreement(agreement("A-1", &ORIGINATORS, &RECIPIENTS))
        .open()
}

/// The nth notice of an originator.
pub(crate) fn draft(world: &World, originator: &str, nth: usize) -> Draft {
    let content = DraftPart {
        role: proto::PartRole::Content,
        media_type: "application/octet-stream".into(),
        bytes: Bytes::from_static(CONTENT),
    };
    let plain = world.draft(originator, &format!("{originator}/{nth:08}"), &[]);
    Draft { audience: audience(&[], &[GROUP], &[]), parts: vec![content], ..plain }
}

/// As it travels on a stream.
pub(crate) fn request(notice: SignedNotice) -> Bytes {
    proto::SubmitStreamRequest { envelope: notice.envelope, parts: notice.parts }.encode_to_vec().into()
}
