//! Starting from a base: it stands for what came before it, is never believed unless the log commits to it, and is never needed.

use liaison_protocol::id::Seq;
use liaison_protocol::proto::Verdict;
use liaison_protocol::statement::{Event, Statement};

use super::assert_refolds;
use crate::sequencer::Stopped;
use crate::store::faulty::Fault;
use crate::store::{CommitError, Store as _};
use crate::world::{Rig, World, one};

/// A node that moves its base every 20 statements, and has moved it twice.
async fn stated(rig: &mut Rig) {
    rig.rebase_after = 20;
    let running = rig.start().await;
    for nth in 0..64 {
        let (proposal, id) = rig.world.notice("FR", &format!("FR/{nth}"), &["DE", "IT"]);
        let leaf = rig.assert_proven(&one(&running.sequencer, proposal).await.stated());
        if nth % 20 == 7 {
            one(&running.sequencer, rig.world.acknowledge("DE", &[(leaf, id, Verdict::Accepted)])).await.stated();
        }
    }
    assert!(matches!(Rig::stop(running).await, Stopped::Asked));
}

/// Where the log says that the base was moved.
async fn moved(rig: &Rig) -> Vec<Seq> {
    let entries = rig.all().await;
    let rebased = entries.iter().filter(|entry| {
        let opening = entry.opening.as_ref().expect("nothing is erased");
        let statement = Statement::decode(opening.statement.clone()).expect("a statement");
        matches!(statement.event, Event::Rebased(_))
    });
    rebased.map(|entry| entry.seq).collect()
}

#[tokio::test]
async fn a_start_folds_what_came_after_the_base_and_comes_to_the_same_view() {
    let mut rig = Rig::new(World::small());
    stated(&mut rig).await;
    let moved = moved(&rig).await;
    assert_eq!(moved.len(), 2, "{moved:?}");
    let through = rig.memory.base().await.expect("reads").expect("moved").through;
    assert_eq!(Some(through.0 + 1), moved.last().map(|seq| seq.0), "the newest stands");
    let running = rig.try_start().await.expect("starts");
    let head = running.sequencer.published().borrow().next;
    assert_eq!(running.recovered.statements, head.0);
    assert_eq!(running.recovered.folded, head.0 - through.0 - 1);
    assert_refolds(&rig, &running).await;
    let (proposal, _) = rig.world.notice("FR", "FR/after", &["DE"]);
    rig.assert_proven(&one(&running.sequencer, proposal).await.stated());
    assert_refolds(&rig, &running).await;
}

#[tokio::test]
async fn a_base_that_somebody_changed_costs_a_full_fold_and_no_start() {
    type Change = fn(&mut Vec<u8>);
    let rows: &[(&str, Change)] = &[
        ("a bit at its end", |base| *base.last_mut().expect("not empty") ^= 1),
        ("a bit of a number in its middle", |base| {
            let middle = base.len() / 2;
            base[middle] ^= 4;
        }),
        ("cut short", |base| base.truncate(base.len() - 1)),
        ("of a format of tomorrow", |base| base[14] = b'2'),
        ("nothing", |base| base.clear()),
    ];
    for (name, change) in rows {
        let mut rig = Rig::new(World::small());
        stated(&mut rig).await;
        rig.tamper.base(*change);
        let running = rig.try_start().await.expect(name);
        assert_eq!(running.recovered.folded, running.recovered.statements, "{name}");
        assert_refolds(&rig, &running).await;
    }
}

#[tokio::test]
async fn a_crash_while_the_base_moves_leaves_it_and_its_statement_or_neither() {
    for persisted in [false, true] {
        let mut rig = Rig::new(World::small());
        rig.rebase_after = 8;
        let running = rig.start().await;
        let fault = if persisted { Fault::PersistedButReportedFailed } else { Fault::NotPersisted };
        // Two statements opened the log; the tenth is followed by the base.
        rig.store.break_commit(10, fault(CommitError::Fatal("power is gone".into())));
        for nth in 0..8 {
            one(&running.sequencer, rig.world.notice("FR", &format!("FR/{nth}"), &["DE"]).0).await.stated();
        }
        assert!(matches!(running.stopped.await, Ok(Stopped::Fatal(_))));
        let base = rig.memory.base().await.expect("reads").map(|base| base.through);
        assert_eq!(base, persisted.then_some(Seq(9)));
        assert_eq!(moved(&rig).await, if persisted { vec![Seq(10)] } else { Vec::new() });
        let running = rig.try_start().await.expect("starts");
        assert_eq!(running.recovered.folded, if persisted { 1 } else { 10 });
        assert_refolds(&rig, &running).await;
    }
}
