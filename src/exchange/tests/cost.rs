//! What answers cost, counted in reads of the store: nothing can be learnt from it, and nobody can ask for much with little.

use liaison_protocol::id::{Hash, PartnerId, Reference};

use super::*;
use crate::world::Reads;

fn by_reference(text: &str) -> NoticeName {
    let fr: PartnerId = "FR".parse().expect("an identifier");
    NoticeName::Reference(Some(fr), text.parse::<Reference>().expect("a reference"))
}

#[tokio::test]
async fn fault_55_and_109_what_a_stranger_asks_for_costs_the_same_reads_whether_it_is_there_or_not() {
    let node = Node::start().await;
    let (closed, id) = node.send("FR/closed", RespondBy::None).await;
    for by in ["DE", "IT", "ES"] {
        assert_eq!(node.sign(by, &[(closed, id, Verdict::Accepted)]).await, [Ok(false)]);
    }
    let (open, open_id) = node.send("FR/open", RespondBy::None).await;
    let us = node.caller("US");
    // What is asked, whether something is there, and what it costs to answer.
    let mut costs: Vec<(String, Reads)> = Vec::new();
    for name in ["FR/closed", "FR/open", "FR/none", "FR/other", "FR/"] {
        node.reads.take();
        let refused = node.exchange.notice(&us, by_reference(name)).await.unwrap_err();
        assert_eq!(refused.reason, Reason::NotFound);
        costs.push((format!("GetNotice {name}"), node.reads.take()));
        let refused = node.exchange.evidence(&us, by_reference(name), None, 50).await.unwrap_err();
        assert_eq!(refused.message, "no such notice, or it is not yours to see");
        costs.push((format!("ListEvidence {name}"), node.reads.take()));
    }
    let (_, first) = costs[0].clone();
    assert_eq!(first.calls.values().sum::<usize>(), 4, "{first:?}");
    for (what, cost) in &costs {
        assert_eq!(cost.calls, first.calls, "{what}");
    }

    // Of leaves: notices, other statements, and what the log does not have yet.
    let size = node.exchange.published().size();
    let mut costs = Vec::new();
    for leaf in (0..size + 3).chain([u64::MAX]) {
        node.reads.take();
        assert!(node.exchange.notice(&us, NoticeName::Leaf(LeafIndex(leaf))).await.is_err());
        costs.push((leaf, node.reads.take().calls));
    }
    for (leaf, cost) in &costs {
        assert_eq!(*cost, costs[0].1, "leaf {leaf}");
    }

    // And of those who acknowledge what nobody consigned to them.
    let mut costs = Vec::new();
    for (leaf, id) in [
        (closed, id),
        (open, open_id),
        (open, NoticeId(Hash([7; 32]))),
        (LeafIndex(0), id),
        (LeafIndex(size + 1), id),
    ] {
        node.reads.take();
        assert_eq!(node.sign("US", &[(leaf, id, Verdict::Received)]).await, [Err(Reason::NotConsigned)]);
        costs.push((leaf, node.reads.take().calls));
    }
    for (leaf, cost) in &costs {
        assert_eq!(*cost, costs[0].1, "acknowledging {leaf:?}");
    }
}

#[tokio::test]
async fn fault_109_the_same_question_reads_the_same_place_again_and_places_are_spread_over_the_log() {
    let node = Node::start().await;
    let place = |question: &str, end| {
        let elsewhere = &node.exchange.elsewhere;
        elsewhere.place(question.as_bytes(), liaison_protocol::id::Seq(end), || [7; 32]).0
    };
    assert_eq!(place("FR/none", 1_000_000), place("FR/none", 1_000_000));
    let mut tenths: Vec<_> = (0..1_000).map(|nth| place(&format!("FR/{nth}"), 1_000_000) / 100_000).collect();
    tenths.sort_unstable();
    tenths.dedup();
    assert_eq!(tenths, (0..10).collect::<Vec<_>>());
    assert_eq!(place("FR/none", 1), 0);
}

/// Bytes and reads that it costs to acknowledge again `count` notices that were settled by statements which each name all of them.
async fn of_duplicates(count: u64) -> (Reads, usize) {
    let node = Node::start().await;
    let mut items = Vec::new();
    for nth in 0..count {
        items.push(node.send(&format!("FR/{nth}"), RespondBy::None).await);
    }
    // Each statement moves one of them, and names the others beside it.
    for nth in 0..items.len() {
        let said: Vec<_> = items[..=nth].iter().map(|(leaf, id)| (*leaf, *id, Verdict::Received)).collect();
        node.sign("DE", &said).await;
    }
    let all: Vec<_> = items.iter().map(|(leaf, id)| (*leaf, *id, Verdict::Received)).collect();
    node.reads.take();
    assert_eq!(node.sign("DE", &all).await, vec![Ok(true); items.len()]);
    let reads = node.reads.take();
    let bytes =
        node.exchange.store.entries(liaison_protocol::id::Seq(0)..liaison_protocol::id::Seq(u64::MAX), usize::MAX);
    let bytes = bytes.await.expect("reads").iter().map(crate::store::Stored::bytes).sum();
    (reads, bytes)
}

#[tokio::test]
async fn fault_104_acknowledging_again_reads_each_statement_twice_at_most_whatever_it_names() {
    for count in [8, 16, 32] {
        let (reads, stored) = of_duplicates(count).await;
        // A notice and its recipients for each item; each of as many statements to be judged, and to be shown.
        assert_eq!(reads.calls["entries"], 3 * count as usize, "{reads:?}");
        assert!(reads.entry_bytes <= 2 * stored, "{count}: {} bytes of {stored}", reads.entry_bytes);
        for method in ["about", "sets", "notice_near"] {
            assert_eq!(reads.calls[method], count as usize, "{method}: {reads:?}");
        }
    }
}

#[tokio::test]
async fn fault_104_a_page_of_evidence_reads_what_it_shows_and_what_follows_is_not_read_again_for_each_page() {
    let node = Node::start().await;
    let (leaf, id) = node.send("FR/1", RespondBy::None).await;
    for (by, verdict) in [
        ("DE", Verdict::Received),
        ("IT", Verdict::Received),
        ("ES", Verdict::Received),
        ("DE", Verdict::Accepted),
        ("IT", Verdict::Accepted),
        ("ES", Verdict::Refused),
    ] {
        assert_eq!(node.sign(by, &[(leaf, id, verdict)]).await, [Ok(false)]);
    }
    let (mut after, mut entries) = (None, Vec::new());
    loop {
        node.reads.take();
        let name = NoticeName::Leaf(leaf);
        let evidence = node.exchange.evidence(&node.caller("FR"), name, after, 1).await.expect("its own");
        entries.push(node.reads.take().calls["entries"]);
        assert_eq!(evidence.outcomes.is_empty(), after.is_some(), "said once");
        after = evidence.next;
        if after.is_none() {
            break;
        }
    }
    // The notice and six statements with the first page; then the notice, the page and one that says whether there is another.
    assert_eq!(entries, [1 + 6 + 1, 3, 3, 3, 3, 3, 2]);
}

/// Room of which so many bytes are left.
struct Left(usize);

impl super::super::Room for Left {
    fn resize(&mut self, bytes: usize) -> Result<(), &'static str> {
        if bytes > self.0 { Err("bytes_per_owner") } else { Ok(()) }
    }
}

#[tokio::test]
async fn fault_104_what_an_answer_takes_is_counted_and_beyond_the_bound_the_caller_is_told_when_to_retry() {
    let node = Node::start().await;
    let (leaf, id) = node.send("FR/1", RespondBy::None).await;
    assert_eq!(node.sign("DE", &[(leaf, id, Verdict::Received)]).await, [Ok(false)]);
    let (envelope, items) = node.rig.world.signed_items("DE", &[(leaf, id, Verdict::Received)]);
    for (left, taken) in [(64, false), (1 << 20, true)] {
        let caller = |who: &str| node.caller(who).in_rooms(Rooms::new(move || Box::new(Left(left))));
        let again = node.exchange.acknowledge(&caller("DE"), envelope.clone(), &items).await.map(drop);
        let evidence = node.exchange.evidence(&caller("FR"), NoticeName::Leaf(leaf), None, 50).await.map(drop);
        for answer in [again, evidence] {
            let refused = answer.map_err(|refusal| (refusal.reason, refusal.retry_after_ms.is_some()));
            assert_eq!(refused, if taken { Ok(()) } else { Err((Reason::Busy, true)) }, "{left}");
        }
    }
}
