//! What recipients are sent together: bytes made once for all of them, and what each can believe of its own.

use bytes::Bytes;
use liaison_protocol::directory::AuthorityKeys;
use liaison_protocol::envelope::{Envelope, MANIFEST_TYPE};
use liaison_protocol::id::{Origin, PartnerNumber};
use liaison_protocol::receipt::{Consigned, Consignments, NotProven};
use liaison_protocol::signer::Signer as _;
use liaison_protocol::statement::{Event, Statement};
use liaison_protocol::tlog::checkpoint::{Checkpoint, SignedNote, VerifierKey};
use liaison_protocol::tlog::entry::Salt;
use liaison_protocol::tlog::{hash, items, proof};
use liaison_protocol::trust::{Trust, to_text};
use prost::Message as _;

use super::*;
use crate::exchange::Frame;
use crate::world::log_signer;

async fn frame(node: &Node, to: &str) -> Frame {
    let mut collecting = node.exchange.collect(node.caller(to), &[], true).expect("its own mailbox");
    collecting.next().await.expect("reads").expect("something waits")
}

fn written(frame: &Frame) -> Vec<u8> {
    let mut bytes = Vec::new();
    frame.encode_raw(&mut bytes);
    assert_eq!(frame.encoded_len(), bytes.len());
    bytes
}

fn read(frame: &Frame) -> proto::CollectResponse {
    proto::CollectResponse::decode(written(frame).as_slice()).expect("a response")
}

/// Five notices, with words of others between them.
async fn five(node: &Node) {
    for nth in 0..5 {
        let (leaf, id) = node.send(&format!("FR/{nth}"), RespondBy::None).await;
        if nth % 2 == 0 {
            assert_eq!(node.sign("IT", &[(leaf, id, Verdict::Accepted)]).await, [Ok(false)]);
        }
    }
}

#[tokio::test]
async fn a_frame_of_shared_bytes_is_to_the_byte_what_would_be_written_for_its_reader_alone() {
    let node = Node::start().await;
    five(&node).await;
    for to in ["DE", "ES"] {
        let frame = frame(&node, to).await;
        let said = read(&frame);
        assert_eq!(said.encode_to_vec(), written(&frame), "{to}");
        let receipts = said.receipts.expect("receipts");
        assert_eq!((said.deliveries.len(), receipts.receipts.len(), receipts.items.len()), (5, 5, 1));
        for nth in 0..5 {
            let receipt = Receipt::cut(&receipts, nth).expect("a receipt");
            let [proto::ItemProof { item: Some(Item::Recipient(own)), .. }] = receipt.items.as_slice() else {
                panic!("one item: {receipt:?}")
            };
            assert_eq!(own.number, node.number(to), "nobody is shown another's item");
        }
    }
    let heartbeat = Frame::heartbeat(Bytes::from_static(b"token"));
    let said = read(&heartbeat);
    assert_eq!(said.encode_to_vec(), written(&heartbeat));
    assert_eq!((said.deliveries.len(), said.receipts), (0, Some(proto::Receipts::default())));
}

#[tokio::test]
async fn a_frame_of_notices_for_different_sets_shows_its_reader_the_item_of_each() {
    let node = Node::start().await;
    five(&node).await;
    node.submit(node.rig.world.draft("FR", "FR/other", &["DE", "ES"])).await;
    node.send("FR/last", RespondBy::None).await;
    let whole = read(&frame(&node, "DE").await);
    let receipts = whole.receipts.clone().expect("receipts");
    let shared: Vec<_> = receipts.receipts.iter().map(|receipt| receipt.shared_items.clone()).collect();
    assert_eq!((whole.deliveries.len(), receipts.items.len()), (7, 2));
    assert_eq!(shared, [[0], [0], [0], [0], [0], [1], [0]]);
    assert_ne!(receipts.items[0], receipts.items[1]);
    let theirs = read(&frame(&node, "IT").await).receipts.expect("receipts");
    assert_eq!(
        (theirs.receipts.len(), theirs.items.len()),
        (3, 1),
        "of the first set alone, and three are signed for"
    );
    let believer = Believer::of(&node, "DE");
    assert!(believer.agree(&mut believer.together(), &whole, "of two sets"));
}

#[tokio::test]
async fn who_comes_later_goes_on_with_what_others_are_sent_unless_much_more_is_due() {
    let node = Node::start().await;
    five(&node).await;
    let mut first = node.exchange.collect(node.caller("DE"), &[], true).expect("its own mailbox");
    let all = read(&first.next().await.expect("reads").expect("something waits"));
    let after = |passed: usize| -> Vec<u8> {
        let due = node.exchange.view().due(PartnerNumber(node.number("ES")), Default::default(), 9);
        let mut cursor = crate::state::Cursor::default();
        due.iter().take(passed).for_each(|due| cursor.pass(*due));
        cursor.0.iter().flat_map(|place| place.to_be_bytes()).collect()
    };
    let later = async |passed: usize| {
        let mut later = node.exchange.collect(node.caller("ES"), &after(passed), true).expect("its own mailbox");
        read(&later.next().await.expect("reads").expect("something waits"))
    };
    let pool =
        |of: &proto::CollectResponse| of.receipts.clone().map(|receipts| (receipts.checkpoint, receipts.hashes));
    let believer = Believer::of(&node, "ES");
    for passed in 0..5 {
        let rest = later(passed).await;
        assert_eq!(rest.deliveries, all.deliveries[passed..]);
        assert_eq!(pool(&rest), pool(&all), "after {passed}: proven once");
        assert!(believer.agree(&mut believer.together(), &rest, "a part"));
    }
    for nth in 5..7 {
        node.send(&format!("FR/{nth}"), RespondBy::None).await;
    }
    for (passed, notices) in [(2, 3), (3, 2), (4, 3)] {
        let rest = later(passed).await;
        assert_eq!(rest.deliveries.len(), notices, "after {passed}: half of what is due is enough");
        assert_eq!(pool(&rest) == pool(&all), passed < 4);
        assert!(believer.agree(&mut believer.together(), &rest, "a part"));
    }
}

#[tokio::test]
async fn who_collects_meanwhile_is_sent_the_same_bytes_as_who_comes_later() {
    let node = Node::start().await;
    let mut meanwhile = node.exchange.collect(node.caller("DE"), &[], true).expect("its own mailbox");
    five(&node).await;
    let seqs: Vec<_> = node.exchange.view().due(PartnerNumber(node.number("DE")), Default::default(), 9);
    let kept =
        |node: &Node| seqs.iter().filter(|due| node.exchange.sequencer.recent().notice(due.seq).is_some()).count();
    assert_eq!(kept(&node), 5);
    let now = meanwhile.next().await.expect("reads").expect("something waits");
    drop(meanwhile);
    assert_eq!(kept(&node), 0, "nothing is kept for nobody");
    assert_eq!(written(&frame(&node, "DE").await), written(&now), "from the store");
}

#[tokio::test]
async fn an_urgent_notice_larger_than_a_frame_goes_alone_before_an_older_backlog() {
    let node = Node::start().await;
    // Before anybody collects: only the store has them.
    for nth in 0..3 {
        node.send(&format!("FR/{nth}"), RespondBy::None).await;
    }
    let mut collecting = node.exchange.collect(node.caller("DE"), &[], true).expect("its own mailbox");
    let mut urgent = node.rig.world.draft("FR", "FR/urgent", &["DE"]);
    urgent.precedence = proto::Precedence::Flash;
    urgent.parts[0].bytes = vec![7; 600 << 10].into();
    node.submit(urgent).await;
    let mut sizes = Vec::new();
    while let Some(frame) = collecting.next().await.expect("reads") {
        sizes.push(read(&frame).deliveries.len());
    }
    assert_eq!(sizes, [1, 3]);
}

#[tokio::test]
async fn a_stream_that_waits_is_woken_by_a_notice_and_not_by_what_others_say() {
    let node = Node::start().await;
    let (leaf, id) = node.send("FR/1", RespondBy::None).await;
    let mut waiting = node.exchange.collect(node.caller("DE"), &[], false).expect("its own mailbox");
    assert_eq!(read(&waiting.next().await.expect("reads").expect("stays")).deliveries.len(), 1);
    let mut reader = node.exchange.sequencer.recent().reader();
    reader.saw();
    assert_eq!(node.sign("IT", &[(leaf, id, Verdict::Accepted)]).await, [Ok(false)]);
    assert!(reader.more().now_or_never().is_none());
    node.send("FR/2", RespondBy::None).await;
    assert_eq!(reader.more().now_or_never(), Some(true));
    assert_eq!(read(&waiting.next().await.expect("reads").expect("stays")).deliveries.len(), 1);
}

#[tokio::test]
async fn where_many_collect_a_frame_waits_a_moment_for_company_unless_it_is_urgent() {
    let node = Node::start().await;
    let mut waiting = node.exchange.collect(node.caller("DE"), &[], false).expect("its own mailbox");
    let others: Vec<_> = (0..7).map(|_| node.exchange.sequencer.recent().reader()).collect();
    node.send("FR/1", RespondBy::None).await;
    let first = waiting.next().now_or_never().expect("after a pause it goes at once");
    assert_eq!(read(&first.expect("reads").expect("stays")).deliveries.len(), 1);

    node.send("FR/2", RespondBy::None).await;
    assert!(waiting.next().now_or_never().is_none(), "eight collect: two milliseconds");
    node.send("FR/3", RespondBy::None).await;
    node.rig.clock.advance(Duration::from_millis(2));
    let both = waiting.next().now_or_never().expect("its moment is over");
    assert_eq!(read(&both.expect("reads").expect("stays")).deliveries.len(), 2);

    let mut urgent = node.rig.world.draft("FR", "FR/4", &["DE"]);
    urgent.precedence = proto::Precedence::Flash;
    node.submit(urgent).await;
    let at_once = waiting.next().now_or_never().expect("no waiting");
    assert_eq!(read(&at_once.expect("reads").expect("stays")).deliveries.len(), 1);

    drop(others);
    node.send("FR/5", RespondBy::None).await;
    let alone = waiting.next().now_or_never().expect("nobody else collects");
    assert_eq!(read(&alone.expect("reads").expect("stays")).deliveries.len(), 1);
}

/// Who believes, and by which key.
struct Believer {
    log: Origin,
    key: VerifierKey,
    me: PartnerNumber,
}

impl Believer {
    fn of(node: &Node, id: &str) -> Self {
        let log = node.rig.world.origin.clone();
        let key = VerifierKey::of_log(&log, log_signer().public().clone()).expect("Ed25519");
        Self { log, key, me: PartnerNumber(node.number(id)) }
    }

    fn together(&self) -> Consignments {
        let authority = AuthorityKeys::new(1, vec![log_signer().public().clone()]).expect("one key");
        let network = liaison_protocol::id::NetworkId(liaison_protocol::id::Hash([0; 32]));
        let trust: Trust =
            to_text(network, &authority, std::slice::from_ref(&self.key)).parse().expect("a trust file");
        Consignments::new(trust.policy().clone(), self.log.clone(), self.me, Default::default())
    }

    /// One receipt, step by step and without a memory.
    fn alone(&self, receipts: &proto::Receipts, nth: usize, envelope: &Bytes) -> Option<Consigned> {
        let receipt = Receipt::cut(receipts, nth)?;
        let note = SignedNote::parse(&receipt.checkpoint).ok()?;
        note.verify(&self.key).ok()?;
        let checkpoint = Checkpoint::parse(note.text()).ok().filter(|checkpoint| checkpoint.origin == self.log)?;
        let leaf = hash::leaf(&receipt.opening.leaf().0);
        let root = proof::root_of_inclusion(leaf, receipt.leaf.0, checkpoint.size, &receipt.path);
        let Event::Accepted(accepted) = Statement::decode(receipt.opening.statement.clone()).ok()?.event else {
            return None;
        };
        let notice = NoticeId(Envelope::parse(envelope.clone()).ok()?.digest(MANIFEST_TYPE));
        let [proto::ItemProof { index, path, item: Some(Item::Recipient(item)) }] = receipt.items.as_slice() else {
            return None;
        };
        let data = items::recipient(&Salt::from_slice(&item.salt)?, PartnerNumber(item.number));
        let set = items::root_of(data, *index, accepted.recipient_count.into(), &items::hashes(path)?);
        let holds = root == Some(checkpoint.root)
            && notice == accepted.notice
            && item.number == self.me.0
            && set == Some(accepted.recipients_root);
        holds.then_some(Consigned { leaf: receipt.leaf, notice })
    }

    /// The verdict over all is the first bad one of each alone.
    fn agree(&self, together: &mut Consignments, response: &proto::CollectResponse, what: &str) -> bool {
        let receipts = response.receipts.clone().unwrap_or_default();
        let envelopes = || response.deliveries.iter().map(|delivery| &delivery.envelope);
        let alone: Vec<_> =
            envelopes().enumerate().map(|(nth, envelope)| self.alone(&receipts, nth, envelope)).collect();
        let all: Option<Vec<_>> = alone.iter().copied().collect();
        match together.check(&response.encode_to_vec()) {
            Ok(consigned) => assert_eq!(Some(consigned), all, "{what}"),
            Err(NotProven::Answer(problem)) => panic!("{what}: {problem}"),
            Err(NotProven::Checkpoint(_)) => assert!(alone.iter().all(Option::is_none), "{what}"),
            Err(NotProven::Receipt { nth, .. }) => {
                assert_eq!(alone.iter().position(Option::is_none), Some(nth), "{what}");
            }
        }
        all.is_some()
    }
}

fn flip(bytes: &mut Bytes, place: usize) {
    let mut changed = bytes.to_vec();
    let place = place % changed.len();
    changed[place] ^= 1;
    *bytes = changed.into();
}

#[tokio::test]
async fn receipts_checked_together_get_the_verdict_that_each_would_get_alone_whatever_is_changed() {
    let node = Node::start().await;
    five(&node).await;
    let whole = read(&frame(&node, "ES").await);
    let believer = Believer::of(&node, "ES");
    // One for all: what it remembers of one answer must not speak for another.
    let mut together = believer.together();
    assert!(believer.agree(&mut together, &whole, "unchanged"));
    let other = Believer::of(&node, "DE");
    assert!(!other.agree(&mut other.together(), &whole, "another's"));

    type Change = (&'static str, fn(&mut proto::Receipts, &mut Vec<proto::Delivery>, usize, usize));
    let changes: [Change; 22] = [
        ("checkpoint", |receipts, _, _, at| flip(&mut receipts.checkpoint, at)),
        ("pool", |receipts, _, nth, at| flip(&mut receipts.hashes, 97 * nth + at)),
        ("pool cut", |receipts, _, nth, _| drop(receipts.hashes.split_off(receipts.hashes.len() - 7 * nth - 1))),
        ("leaf index", |receipts, _, nth, at| receipts.receipts[nth].leaf_index ^= 1 << (at % 5)),
        ("statement", |receipts, _, nth, at| flip(&mut receipts.receipts[nth].statement, at)),
        ("salt", |receipts, _, nth, at| flip(&mut receipts.receipts[nth].salt, at)),
        ("path shorter", |receipts, _, nth, _| {
            receipts.receipts[nth].path.pop();
        }),
        ("path longer", |receipts, _, nth, at| receipts.receipts[nth].path.push(at as u32 % 5)),
        ("path elsewhere", |receipts, _, nth, at| {
            let path = &mut receipts.receipts[nth].path;
            let place = at % path.len();
            path[place] = (path[place] + 1) % 7;
        }),
        ("path turned", |receipts, _, nth, _| receipts.receipts[nth].path.reverse()),
        ("no item", |receipts, _, nth, _| receipts.receipts[nth].shared_items.clear()),
        ("item twice", |receipts, _, nth, _| receipts.receipts[nth].shared_items.push(0)),
        ("item elsewhere", |receipts, _, nth, at| receipts.receipts[nth].shared_items[0] += 1 + at as u32),
        ("item its own", |receipts, _, nth, at| {
            let receipt = &mut receipts.receipts[nth];
            receipt.shared_items.clear();
            receipt.items = receipts.items.clone();
            receipt.items[0].index ^= u64::from(at % 2 == 0);
        }),
        ("item index", |receipts, _, _, at| receipts.items[0].index ^= 1 << (at % 4)),
        ("item path", |receipts, _, _, at| {
            let path = &mut receipts.items[0].path;
            let place = at % path.len();
            flip(&mut path[place], at);
        }),
        ("item salt", |receipts, _, _, at| match &mut receipts.items[0].item {
            Some(Item::Recipient(item)) => flip(&mut item.salt, at),
            _ => unreachable!("a recipient's"),
        }),
        ("item number", |receipts, _, _, at| match &mut receipts.items[0].item {
            Some(Item::Recipient(item)) => item.number ^= 1 << (at % 3),
            _ => unreachable!("a recipient's"),
        }),
        ("envelope", |_, deliveries, nth, at| flip(&mut deliveries[nth].envelope, at)),
        ("envelopes changed about", |_, deliveries, nth, _| deliveries.swap(nth, (nth + 1) % 5)),
        ("receipts changed about", |receipts, _, nth, _| receipts.receipts.swap(nth, (nth + 1) % 5)),
        ("both changed about", |receipts, deliveries, nth, _| {
            receipts.receipts.swap(nth, (nth + 2) % 5);
            deliveries.swap(nth, (nth + 2) % 5);
        }),
    ];
    let mut refused = 0;
    for (what, change) in changes {
        for (nth, at) in (0..5).flat_map(|nth| (0..40).map(move |at| (nth, 13 * at + nth))) {
            let mut changed = whole.clone();
            let receipts = changed.receipts.as_mut().expect("receipts");
            change(receipts, &mut changed.deliveries, nth, at);
            refused +=
                usize::from(!believer.agree(&mut together, &changed, &format!("{what}, receipt {nth}, at {at}")));
        }
    }
    // An unsigned key id in an envelope, say, may be another; and what was changed about together still fits.
    assert!(refused > 19 * 5 * 40 * 9 / 10, "{refused}");
}
