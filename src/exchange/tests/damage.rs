//! What lies on disk may have changed since it was accepted: damage costs the notice that it hit and nothing else, and no wrong byte
//! is handed out.

use liaison_protocol::id::{HeadDigest, HeadVersion, Seq};
use liaison_protocol::statement::HeadName;
use liaison_protocol::tlog::{hash, proof};
use prost::Message as _;

use super::*;
use crate::state::Proposal;

async fn collected(node: &Node, by: &str) -> (Vec<proto::Delivery>, Vec<u64>, usize) {
    let mut collecting = node.exchange.collect(node.caller(by), &[], true).expect("its own mailbox");
    let (mut deliveries, mut damaged, mut receipts) = (Vec::new(), Vec::new(), 0);
    while let Some(frame) = collecting.next().await.expect("damage ends no stream") {
        let mut bytes = Vec::new();
        frame.encode_raw(&mut bytes);
        assert_eq!(frame.encoded_len(), bytes.len());
        let answer = proto::CollectResponse::decode(bytes.as_slice()).expect("a response");
        assert_eq!(answer.encode_to_vec(), bytes, "as it would be written from a message");
        receipts += answer.receipts.map_or(0, |receipts| receipts.receipts.len());
        deliveries.extend(answer.deliveries);
        damaged.extend(answer.damaged);
    }
    (deliveries, damaged, receipts)
}

/// So many statements that the edge has forgotten the first.
async fn forgotten(node: &Node) {
    for round in 0..5_u64 {
        let head = |nth: u64| HeadName {
            version: HeadVersion(10 + 1_500 * round + nth),
            digest: HeadDigest(liaison_protocol::id::Hash([7; 32])),
        };
        let proposals = (0..1_500).map(|nth| Proposal::Adopt(head(nth))).collect();
        node.running.sequencer.append(proposals).await.expect("running");
    }
}

#[tokio::test]
async fn fault_68_no_bit_of_a_stored_notice_can_change_and_be_handed_out() {
    let node = Node::start().await;
    let (leaf, _) = node.send("FR/1", RespondBy::None).await;
    let name = || NoticeName::Leaf(leaf);
    let (caller, find) = (node.caller("DE"), |exchange: Arc<Exchange>, caller| async move {
        exchange.notice(&caller, name()).await.map(|(delivery, _)| delivery)
    });
    let sound = find(node.exchange.clone(), caller.clone()).await.expect("nothing is damaged yet");
    let stored = crate::store::Store::notices(&node.rig.store, &[Seq(leaf.0)], usize::MAX).await.expect("read");
    let stored = stored.into_iter().next().flatten().expect("a notice");
    let (envelope, parts) = (stored.envelope.len(), stored.parts.map_or(0, |parts| parts.len()));
    assert!(envelope > 100 && parts > 32);
    for place in 0..envelope + parts {
        node.rig.tamper.notices(move |_, notice| {
            let mut bytes = notice.envelope.to_vec();
            let mut parts = notice.parts.as_ref().expect("not erased").to_vec();
            match bytes.len() {
                before if place < before => bytes[place] ^= 1 << (place % 8),
                before => parts[place - before] ^= 1 << (place % 8),
            }
            (notice.envelope, notice.parts) = (bytes.into(), Some(parts.into()));
        });
        match find(node.exchange.clone(), caller.clone()).await {
            Ok(delivery) => assert_eq!(delivery, sound, "byte {place} is none that is handed out"),
            Err(refusal) => assert_eq!(refusal.reason, Reason::StoredDamage, "byte {place}"),
        }
    }
    assert!(node.exchange.counts.integrity.found() > 1, "and it is reported");
}

#[tokio::test]
async fn fault_84_a_damaged_notice_is_named_and_everything_else_is_delivered() {
    let node = Node::start().await;
    let mut leaves = Vec::new();
    for nth in 0..6 {
        leaves.push(node.send(&format!("FR/{nth}"), RespondBy::None).await.0);
    }
    let [bytes, statement, row] = [leaves[1], leaves[3], leaves[4]];
    node.rig.tamper.notices(move |seq, notice| {
        if seq.0 == bytes.0 {
            let mut changed = notice.envelope.to_vec();
            changed[40] ^= 4;
            notice.envelope = changed.into();
        }
        if seq.0 == row.0 {
            notice.parts = Some(bytes::Bytes::from_static(b"\xff"));
        }
    });
    node.rig.store.damage(Seq(statement.0));
    for _ in 0..2 {
        let (deliveries, damaged, receipts) = collected(&node, "DE").await;
        assert_eq!((deliveries.len(), receipts), (3, 3));
        assert_eq!(damaged, [bytes.0, statement.0, row.0]);
        assert_eq!(node.exchange.counts.integrity.found(), 3, "each damage is audited once");
    }
    let signed = node.sign("IT", &[(leaves[1], node.id(leaves[1]).await, Verdict::Received)]).await;
    assert_eq!(signed, [Ok(false)], "a damaged notice can still be signed for");
    let (_, damaged, _) = collected(&node, "IT").await;
    assert_eq!(damaged, [statement.0, row.0], "what does not wait any more is not named");
}

impl Node {
    /// The name of the notice that a leaf accepted.
    async fn id(&self, leaf: LeafIndex) -> NoticeId {
        let found = self.exchange.found(Seq(leaf.0)).await.expect("read").expect("accepted");
        found.accepted.notice
    }
}

#[tokio::test]
async fn fault_76_every_proof_that_is_given_out_holds_whatever_a_tile_says() {
    let node = Node::start().await;
    let (leaf, _) = node.send("FR/1", RespondBy::None).await;
    forgotten(&node).await;
    let published = node.exchange.published();
    let (size, root) = (published.size(), published.tree.root());
    for place in [0_usize, 31, 32 * 2, 32 * 3 + 7, 32 * 255] {
        for (level, index) in [(0_u8, 0_u64), (0, 1), (0, 9)] {
            node.rig.tamper.tiles(move |id, tile| {
                if id == (TileId::Hashes { level, index }) && !tile.is_empty() {
                    tile[place] ^= 16;
                }
            });
            let proven = node.exchange.inclusion(leaf.0, 0).await.expect("made anew");
            let data = hash::leaf(&proven.leaf);
            assert_eq!(proof::root_of_inclusion(data, leaf.0, size, &proven.path), Some(root));
            for [old, new] in [[3, 0], [256, 5_000], [300, 0], [1, 256], [size, 0]] {
                let proven = node.exchange.consistency(old, new).await.expect("made anew");
                let sizes = (proof::consistency(old, proven.size).len(), proven.path.len());
                assert_eq!(sizes.0, sizes.1, "from {old} to {new}");
            }
            let old = node.exchange.inclusion(leaf.0, 300).await.expect("made anew");
            assert_eq!(old.path.len(), proof::inclusion(leaf.0, 300).len());
        }
    }
}

#[tokio::test]
async fn fault_84_one_damaged_statement_costs_no_other_of_its_chunk_its_receipt() {
    let node = Node::start().await;
    let signed = |nth: u32| node.rig.world.signed(node.rig.world.draft("FR", &format!("FR/{nth}"), &["DE"]));
    let submission =
        |notice: liaison_client::sign::SignedNotice| Submission { envelope: notice.envelope, parts: notice.parts };
    let chunk: Vec<_> = (0..3).map(signed).map(submission).collect();
    let (taken, receipts) = node.exchange.submit(&node.caller("FR"), chunk.clone()).await;
    let [.., Taken::Receipt { nth, .. }] = taken[..] else { panic!("{taken:?}") };
    let second = receipts.receipts[nth].leaf_index - 1;
    node.rig.store.damage(Seq(second));
    let (taken, receipts) = node.exchange.submit(&node.caller("FR"), chunk).await;
    let reasons: Vec<_> = taken
        .iter()
        .map(|taken| match taken {
            Taken::Receipt { nth, duplicate } => Ok((receipts.receipts[*nth].leaf_index, *duplicate)),
            Taken::Refused(refusal) => Err(refusal.reason),
        })
        .collect();
    assert_eq!(reasons, [Ok((second - 1, true)), Err(Reason::StoredDamage), Ok((second + 1, true))]);
}

#[tokio::test]
async fn fault_84_a_damaged_name_is_reported_to_who_has_it_and_ends_no_node() {
    let node = Node::start().await;
    let chunk: Vec<_> = (0..3)
        .map(|nth| node.rig.world.signed(node.rig.world.draft("FR", &format!("FR/{nth}"), &["DE"])))
        .map(|notice| Submission { envelope: notice.envelope, parts: notice.parts })
        .collect();
    node.exchange.submit(&node.caller("FR"), chunk[..2].to_vec()).await;
    node.rig.tamper.damage_name("FR/1");
    for _ in 0..3 {
        let (taken, _) = node.exchange.submit(&node.caller("FR"), chunk.clone()).await;
        let [Taken::Receipt { .. }, Taken::Refused(refusal), Taken::Receipt { .. }] = &taken[..] else {
            panic!("{taken:?}")
        };
        assert_eq!(refusal.reason, Reason::StoredDamage);
    }
}
