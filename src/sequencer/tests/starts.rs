//! Coming back: what is rebuilt equals what was there, and nothing is signed over what is not as it was.

use std::sync::Arc;

use liaison_protocol::id::Seq;
use liaison_protocol::proto::Verdict;
use liaison_protocol::reason::Reason;
use liaison_protocol::signer::Ed25519Signer;
use liaison_protocol::statement::Statement;
use liaison_protocol::tlog::checkpoint::LogKey;
use liaison_protocol::tlog::entry::{Opening, Salt};
use liaison_protocol::tlog::tile::TileId;

use super::{assert_refolds, eventually, with_view};
use crate::anchor::{Anchor, Anchored};
use crate::sequencer::{self, Answer, CannotStart, Running, Stopped};
use crate::state::{Detail, StoredDetail};
use crate::store::faulty::Fault;
use crate::store::{CommitError, Store as _};
use crate::world::{Rig, World, one};

/// A log with some of everything, and nothing of the last commit's note stored.
async fn crashed(rig: &Rig, notices: usize) -> Vec<u8> {
    let running = rig.start().await;
    let mut items = Vec::new();
    for nth in 0..notices {
        let (proposal, id) = rig.world.notice("FR", &format!("FR/{nth}"), &["DE", "IT"]);
        items.push((rig.assert_proven(&one(&running.sequencer, proposal).await.stated()), id, Verdict::Accepted));
    }
    one(&running.sequencer, rig.world.acknowledge("IT", &items[..notices / 2])).await.stated();
    crash(rig, running).await
}

/// The next commit fails for good; gives the newest signed checkpoint.
async fn crash(rig: &Rig, running: Running) -> Vec<u8> {
    let published = running.sequencer.published().borrow().checkpoint.to_vec();
    let fatal = CommitError::Fatal("power is gone".into());
    rig.store.break_commit(rig.store.commits(), Fault::NotPersisted(fatal));
    assert!(matches!(Rig::stop(running).await, Stopped::Fatal(_)));
    published
}

#[tokio::test]
async fn fault_72_after_a_crash_the_same_head_gets_the_same_checkpoint() {
    for notices in [2, 255, 300] {
        let rig = Rig::new(World::small());
        let signed = crashed(&rig, notices).await;
        let running = rig.try_start().await.expect("starts");
        assert_eq!(running.sequencer.published().borrow().checkpoint, signed);
        assert_eq!(running.recovered.unsigned, 1);
        assert_eq!(running.recovered.statements, notices as u64 + 3);
        assert_refolds(&rig, &running).await;
        // And it goes on from there.
        let (proposal, _) = rig.world.notice("FR", "FR/after", &["DE"]);
        rig.assert_proven(&one(&running.sequencer, proposal).await.stated());
        assert_refolds(&rig, &running).await;
    }
}

#[tokio::test]
async fn fault_71_a_crash_before_the_first_commit_leaves_nothing_and_after_it_a_log() {
    for persisted in [false, true] {
        let rig = Rig::new(World::small());
        let fault = if persisted { Fault::PersistedButReportedFailed } else { Fault::NotPersisted };
        rig.store.break_commit(0, fault(CommitError::Fatal("power is gone".into())));
        assert!(matches!(rig.try_start().await, Err(CannotStart::First(_))));
        let running = rig.try_start().await.expect("starts");
        assert_eq!(running.recovered.new, !persisted);
        assert_eq!(running.sequencer.published().borrow().size(), 1);
        assert_refolds(&rig, &running).await;
    }
}

#[tokio::test]
async fn fault_73_a_second_sequencer_on_one_store_does_not_start() {
    let rig = Rig::new(World::small());
    let running = rig.start().await;
    assert!(matches!(rig.try_start().await, Err(CannotStart::Writer(_))));
    Rig::stop(running).await;
    rig.start().await;
}

/// An anchor in a folder, as `liaison init` makes it.
fn anchor_in(folder: &tempfile::TempDir, rig: &Rig) -> Arc<Anchor> {
    Arc::new(Anchor::create(folder.path(), &rig.world.origin, None).expect("makes it"))
}

/// Starts a node that must come up without a writer, and gives what it says.
async fn start_recovering(rig: &Rig) -> (Running, String) {
    let running = rig.try_start().await.expect("comes up");
    let why = running.recovered.recovering.clone().expect("without a writer");
    (running, why)
}

#[tokio::test]
async fn fault_74_a_store_older_than_its_anchor_is_served_and_not_signed_on() {
    let folder = tempfile::tempdir().expect("a folder");
    let mut rig = Rig::new(World::small());
    let anchor = anchor_in(&folder, &rig);
    rig.anchor = Anchored::Here(anchor.clone());
    let running = rig.start().await;
    one(&running.sequencer, rig.world.notice("FR", "FR/1", &["DE"]).0).await.stated();
    Rig::stop(running).await;
    let kept = anchor.content().checkpoint.expect("kept at stop");
    assert_eq!(rig.checkpoint(&kept).size, 3);
    rig.try_start().await.map(Rig::stop).expect("its own store is right").await;

    // An older backup, an empty store, and one with another history.
    let mut older = Rig::new(World::small());
    let running = older.start().await;
    Rig::stop(running).await;
    let mut other = Rig::new(World::small());
    let running = other.start().await;
    for reference in ["FR/2", "FR/3"] {
        one(&running.sequencer, other.world.notice("FR", reference, &["DE"]).0).await.stated();
    }
    Rig::stop(running).await;
    let rows = [
        (&mut older, 2, "holds 2 leaves and a checkpoint over 3 was signed"),
        (&mut Rig::new(World::small()), 0, "holds 0 leaves and a checkpoint over 3 was signed"),
        (&mut other, 4, "at size 3 the root is"),
    ];
    for (rig, size, says) in rows {
        rig.anchor = Anchored::Here(anchor.clone());
        let calls = || rig.calls.lock().expect("no panic").len();
        let before = calls();
        let (running, why) = start_recovering(rig).await;
        assert!(why.contains(says), "{why}");
        assert_eq!(running.sequencer.published().borrow().size(), size);
        let answer = one(&running.sequencer, rig.world.notice("FR", "FR/more", &["DE"]).0).await;
        assert!(matches!(&answer, Answer::Refused(refusal) if refusal.reason == Reason::Recovering), "{answer:?}");
        assert_eq!(calls(), before, "{why}: nothing is signed or written");
        assert!(matches!(Rig::stop(running).await, Stopped::Asked));
    }
}

#[tokio::test]
async fn fault_74_the_anchor_follows_without_any_further_traffic() {
    let folder = tempfile::tempdir().expect("a folder");
    let mut rig = Rig::new(World::small());
    let anchor = anchor_in(&folder, &rig);
    rig.anchor = Anchored::Here(anchor.clone());
    let running = rig.start().await;
    rig.clock.advance(std::time::Duration::from_secs(2));
    for reference in ["FR/1", "FR/2"] {
        one(&running.sequencer, rig.world.notice("FR", reference, &["DE"]).0).await.stated();
    }
    let newest = running.sequencer.published().borrow().checkpoint.clone();
    eventually(&rig, || anchor.content().checkpoint.as_ref() == Some(&newest));
}

#[tokio::test]
async fn fault_76_nothing_is_signed_over_what_is_not_as_it_was_signed() {
    type Damage = fn(&Rig);
    let rows: &[(&str, Damage)] = &[
        ("a leaf of the edge", |rig| {
            rig.tamper.entries(|entry| entry.leaf.0[9] ^= u8::from(entry.seq == Seq(298)))
        }),
        ("an old leaf", |rig| rig.tamper.entries(|entry| entry.leaf.0[9] ^= u8::from(entry.seq == Seq(7)))),
        ("an old statement with a leaf that fits it", |rig| {
            rig.tamper.entries(|entry| {
                if let Some(opening) = entry.opening.as_mut().filter(|_| entry.seq == Seq(7)) {
                    *opening = Opening { statement: opening.statement.clone(), salt: Salt([9; 32]) };
                    entry.leaf = opening.leaf();
                }
            });
        }),
        ("the verdict in an acknowledgement's detail", |rig| {
            rig.tamper.entries(|entry| {
                let statement = entry.opening.as_ref().map(|opening| opening.statement.clone()).unwrap_or_default();
                let event = Statement::decode(statement).expect("a statement").event;
                if let Ok(StoredDetail::Whole(Detail::Acknowledged(mut items))) =
                    StoredDetail::decode(&entry.detail, &event)
                {
                    items[0].item.verdict = Verdict::Received;
                    entry.detail = Detail::Acknowledged(items).encode();
                }
            });
        }),
    ];
    for (name, damage) in rows {
        let rig = Rig::new(World::small());
        crashed(&rig, 300).await;
        damage(&rig);
        let calls = || rig.calls.lock().expect("no panic").len();
        let before = calls();
        let (running, why) = start_recovering(&rig).await;
        let answer = one(&running.sequencer, rig.world.notice("FR", "FR/more", &["DE"]).0).await;
        assert!(
            matches!(&answer, Answer::Refused(refusal) if refusal.reason == Reason::Recovering),
            "{name}: {answer:?}"
        );
        let published = running.sequencer.published().borrow().clone();
        assert!(
            published.size() == 0 || rig.checkpoint(&published.checkpoint).root == published.tree.root(),
            "{name}"
        );
        assert_eq!(calls(), before, "{name}: {why}: nothing may be signed or written");
    }
}

#[tokio::test]
async fn fault_76_damaged_tiles_are_not_used_where_all_the_leaves_are_whole() {
    type Damage = fn(&Rig);
    let rows: &[(&str, Damage)] = &[
        ("a bit of a full tile", |rig| {
            rig.tamper.tiles(|id, tile| {
                if id == (TileId::Hashes { level: 0, index: 0 }) {
                    tile[77] ^= 1;
                }
            });
        }),
        ("a full tile cut short", |rig| rig.tamper.tiles(|_, tile| tile.truncate(32 * 255))),
        ("a full tile gone", |rig| rig.tamper.tiles(|_, tile| tile.clear())),
    ];
    for (name, damage) in rows {
        let rig = Rig::new(World::small());
        let signed = crashed(&rig, 300).await;
        damage(&rig);
        let running = rig.try_start().await.expect("starts");
        assert_eq!(running.recovered.recovering, None, "{name}");
        assert_eq!(running.sequencer.published().borrow().checkpoint, signed, "{name}");
        let (proposal, _) = rig.world.notice("FR", "FR/after", &["DE"]);
        rig.assert_proven(&one(&running.sequencer, proposal).await.stated());
    }
}

#[tokio::test]
async fn fault_84_one_damaged_record_is_named() {
    let rig = Rig::new(World::small());
    crashed(&rig, 4).await;
    rig.store.damage(Seq(3));
    let (_running, why) = start_recovering(&rig).await;
    assert!(why.contains("statement 3"), "{why}");
}

#[tokio::test]
async fn fault_79_the_log_of_another_key_or_origin_is_not_continued() {
    let rig = Rig::new(World::small());
    let running = rig.start().await;
    Rig::stop(running).await;
    let foreign = rig.parts_signed_by(Ed25519Signer::from_seed(&[9; 32]));
    assert!(matches!(sequencer::start(foreign).await, Err(CannotStart::Foreign(_))));
    let mut other = rig.parts();
    other.origin = "hub-2.example/log".parse().expect("an origin");
    let signer = Arc::new(crate::world::log_signer());
    other.key = LogKey::new(&other.origin, signer).expect("Ed25519");
    assert!(matches!(sequencer::start(other).await, Err(CannotStart::Foreign(_))));
    rig.start().await;
}

#[tokio::test]
async fn a_rebuilt_view_knows_what_waits_and_what_was_sent_before_is_said_to_be_unknown() {
    let rig = Rig::new(World::small());
    crashed(&rig, 6).await;
    let running = rig.start().await;
    let waiting = |id: &str| {
        with_view(&running, |view| view.mailbox(rig.world.partner(id).number).map(|mailbox| mailbox.waiting()))
    };
    assert_eq!((waiting("DE"), waiting("IT"), waiting("ES")), (Some(6), Some(3), None));
    assert!(rig.memory.last_note().await.expect("reads").is_some());
}
