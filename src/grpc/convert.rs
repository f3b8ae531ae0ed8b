//! Small readings that several services share.

use liaison_protocol::id::{BadName, LeafIndex};
use liaison_protocol::proto;
use liaison_protocol::reason::Refusal;

use super::PAGE_BYTES_MAX;
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

/// The first of what is listed: at most so many, and no more once they have [`PAGE_BYTES_MAX`].
pub(super) fn page<T: prost::Message>(mut listed: impl Iterator<Item = T>, most: usize) -> Vec<T> {
    let (mut page, mut bytes) = (Vec::new(), 0);
    while page.len() < most && bytes < PAGE_BYTES_MAX {
        let Some(next) = listed.next() else { break };
        bytes += next.encoded_len();
        page.push(next);
    }
    page
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

#[cfg(test)]
mod tests {
    use liaison_protocol::proto::RecordProof;
    use prost::Message as _;

    use super::*;

    /// What a client takes in one message where nothing else was said to it.
    const CLIENT_TAKES: usize = 4 << 20;

    #[test]
    fn a_page_of_the_largest_records_is_taken_by_a_client_that_nobody_has_configured() {
        let record = |bytes: usize| RecordProof { record: vec![7; bytes].into(), ..Default::default() };
        for (bytes, most, expected) in [(100, 50, 50), (100, 500, 500), (128 << 10, 500, 24), (128 << 10, 3, 3)] {
            let mut all = (0..1_000).map(|_| record(bytes));
            let first = page(all.by_ref(), most);
            assert_eq!(first.len(), expected, "{bytes} bytes, {most} a page");
            assert_eq!(all.len(), 1_000 - expected, "the next page begins behind it");
            let answer = liaison_protocol::proto::ListRecordsResponse { records: first, ..Default::default() };
            assert!(answer.encoded_len() < CLIENT_TAKES);
        }
    }
}
