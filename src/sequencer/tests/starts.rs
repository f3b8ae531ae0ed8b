//! Coming back: what is rebuilt equals what was there, and nothing is signed over what is not as it was.

use std::sync::Arc;

use liaison_protocol::id::Seq;
use liaison_protocol::proto::Verdict;
use liaison_protocol::signer::Ed25519Signer;
use liaison_protocol::statement::Statement;
use liaison_protocol::tlog::checkpoint::LogKey;
use liaison_protocol::tlog::entry::{Opening, Salt};
use liaison_protocol::tlog::tile::TileId;

use super::{assert_refolds, eventually, with_view};
use crate::sequencer::{self, CannotStart, Running, Stopped};
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

#[tokio::test]
async fn fault_74_a_store_older_than_the_checkpoint_kept_apart_is_not_signed_on() {
    let folder = tempfile::tempdir().expect("a folder");
    let anchor = folder.path().join("checkpoint");
    let mut rig = Rig::new(World::small());
    rig.anchor = Some(anchor.clone());
    let running = rig.start().await;
    let (proposal, _) = rig.world.notice("FR", "FR/1", &["DE"]);
    one(&running.sequencer, proposal).await.stated();
    Rig::stop(running).await;
    let kept = std::fs::read(&anchor).expect("kept at stop");
    assert_eq!(rig.checkpoint(&kept).size, 3);
    rig.try_start().await.map(Rig::stop).expect("its own store is right").await;

    // An older backup, an empty store, and one with another history.
    let mut older = Rig::new(World::small());
    older.anchor = rig.anchor.clone();
    std::fs::remove_file(&anchor).expect("there");
    Rig::stop(older.start().await).await;
    std::fs::write(&anchor, &kept).expect("written");
    assert!(matches!(older.try_start().await, Err(CannotStart::RolledBack { found: 2, signed: 3 })));
    let mut empty = Rig::new(World::small());
    empty.anchor = rig.anchor.clone();
    assert!(matches!(empty.try_start().await, Err(CannotStart::RolledBack { found: 0, signed: 3 })));
    assert_eq!(empty.all().await.len(), 0, "nothing was written");
    let mut other = Rig::new(World::small());
    let running = other.start().await;
    for reference in ["FR/2", "FR/3"] {
        one(&running.sequencer, other.world.notice("FR", reference, &["DE"]).0).await.stated();
    }
    Rig::stop(running).await;
    other.anchor = rig.anchor.clone();
    assert!(matches!(other.try_start().await, Err(CannotStart::Evidence(_))));
}

#[tokio::test]
async fn fault_74_the_checkpoint_kept_apart_follows_without_any_further_traffic() {
    let folder = tempfile::tempdir().expect("a folder");
    let mut rig = Rig::new(World::small());
    rig.anchor = Some(folder.path().join("checkpoint"));
    let running = rig.start().await;
    rig.clock.advance(std::time::Duration::from_secs(2));
    for reference in ["FR/1", "FR/2"] {
        one(&running.sequencer, rig.world.notice("FR", reference, &["DE"]).0).await.stated();
    }
    let newest = running.sequencer.published().borrow().checkpoint.to_vec();
    let kept = folder.path().join("checkpoint");
    eventually(&rig, || std::fs::read(&kept).is_ok_and(|note| note == newest));
}

#[tokio::test]
async fn fault_76_nothing_is_signed_over_what_is_not_as_it_was_signed() {
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
        let signed = rig.calls.lock().expect("no panic").iter().filter(|call| call.starts_with("sign")).count();
        let started = rig.try_start().await.map(|running| running.recovered);
        assert!(
            matches!(started, Err(CannotStart::Evidence(_) | CannotStart::Diverged(_) | CannotStart::Read(_))),
            "{name}: {started:?}"
        );
        let after = rig.calls.lock().expect("no panic").iter().filter(|call| call.starts_with("sign")).count();
        assert_eq!(after, signed, "{name}: nothing may be signed");
    }
}

#[tokio::test]
async fn fault_84_one_damaged_record_is_named() {
    let rig = Rig::new(World::small());
    crashed(&rig, 4).await;
    rig.store.damage(Seq(3));
    match rig.try_start().await.map(|running| running.recovered) {
        Err(CannotStart::Read(error)) => assert!(error.to_string().contains("statement 3"), "{error}"),
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn fault_79_the_log_of_another_key_or_origin_is_not_continued() {
    let rig = Rig::new(World::small());
    let running = rig.start().await;
    Rig::stop(running).await;
    let foreign = rig.parts_signed_by(Ed25519Signer::from_seed(&[9; 32]));
    assert!(matches!(sequencer::start(foreign).await, Err(CannotStart::Evidence(_))));
    let mut other = rig.parts();
    other.origin = "hub-2.example/log".parse().expect("an origin");
    let signer = Arc::new(crate::world::log_signer());
    other.key = LogKey::new(&other.origin, signer).expect("Ed25519");
    assert!(matches!(sequencer::start(other).await, Err(CannotStart::Evidence(_))));
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
