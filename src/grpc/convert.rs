//! Small readings that several services share.

use liaison_protocol::id::{BadName, LeafIndex};
use liaison_protocol::proto;
use liaison_protocol::reason::Refusal;

use crate::exchange::NoticeName;

/// Items of a page when nothing is asked for.
const PAGE_DEFAULT: usize = 50;
/// Items of a page at most.
const PAGE_MAX: usize = 500;

pub(super) fn page_size(asked: i32) -> Result<usize, Refusal> {
    match usize::try_from(asked) {
        Ok(0) => Ok(PAGE_DEFAULT),
        Ok(size) => Ok(size.min(PAGE_MAX)),
        Err(_) => Err(Refusal::field("page_size", "negative")),
    }
}

pub(super) fn page_token(token: &str) -> Result<Option<u64>, Refusal> {
    if token.is_empty() {
        return Ok(None);
    }
    let bad = |_| Refusal::field("page_token", "not one that this node gave");
    token.parse().map(Some).map_err(bad)
}

/// A notice as a request names it.
pub(super) fn notice_name(name: Option<(Option<&proto::NoticeName>, Option<u64>)>) -> Result<NoticeName, Refusal> {
    match name {
        Some((Some(notice), _)) => {
            let field = |path: &'static str| {
                move |bad: BadName| Refusal::field(path, format_args!("expected {}", bad.expected))
            };
            let originator = match notice.originator.as_str() {
                "" => None,
                id => Some(id.parse().map_err(field("notice.originator"))?),
            };
            Ok(NoticeName::Reference(originator, notice.reference.parse().map_err(field("notice.reference"))?))
        }
        Some((None, Some(leaf))) => Ok(NoticeName::Leaf(LeafIndex(leaf))),
        _ => Err(Refusal::field("name", "absent")),
    }
}
