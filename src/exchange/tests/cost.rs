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
