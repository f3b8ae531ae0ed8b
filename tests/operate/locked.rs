//! Another program holds the lock of a real node's store.

use liaison_protocol::proto::Verdict;
use liaison_protocol::reason::Reason;
use rusqlite::Connection;

use super::{ask, watched};
use crate::support::*;

/// An operator's tool in the middle of something.
fn lock(network: &Network) -> Connection {
    let connection = Connection::open(network.path("data/liaison.db")).unwrap();
    connection.execute_batch("BEGIN IMMEDIATE").unwrap();
    connection
}

async fn is_away(fr: &Partner, node: &Node) {
    let notice = fr.notice("FR/away", &["KE"]);
    let refused = soon("the answer", fr.submit(&notice)).await.unwrap_err();
    assert_eq!(refused.reason(), Some(Reason::StoreUnavailable), "{refused:?}");
    assert!(refused.may_pass_later(), "{refused:?}");
    let (status, said) = ask(node, "/readyz").await;
    assert!(status == 503 && said.starts_with("store_away: "), "{status} {said}");
    assert_eq!(ask(node, "/livez").await.0, 200, "a restart would not help");
}

#[tokio::test]
async fn fault_89_a_locked_store_answers_that_it_is_away_and_goes_on_without_a_restart() {
    let network = watched(&["FR", "KE"]);
    let node = network.start().await;
    let fr = network.partner("FR", &node).await;
    let ke = network.partner("KE", &node).await;
    fr.send("FR/1", &["KE"]).await;
    let locked = lock(&network);
    is_away(&fr, &node).await;
    // What is stored is served.
    let delivered = ke.collect().await;
    assert_eq!(delivered.len(), 1);
    drop(locked);
    until("the node to be ready", async || (ask(&node, "/readyz").await.0 == 200).then_some(())).await;
    ke.settle(&ke.verdict(&delivered, Verdict::Accepted)).await;
    fr.send("FR/2", &["KE"]).await;
    assert_log_is_sound(&fr).await;
    // And it stops while the store is away.
    let locked = lock(&network);
    is_away(&fr, &node).await;
    drop((fr, ke));
    assert!(node.stop().await.success());
    drop(locked);
    assert_eq!((network.events("store_away").len(), network.events("store_back").len()), (2, 1));
    let node = network.start().await;
    assert_log_is_sound(&network.partner("FR", &node).await).await;
}

#[tokio::test]
async fn fault_73_and_89_a_start_under_a_lock_waits_and_says_so_and_ends_when_it_is_asked_to() {
    let network = watched(&["FR", "KE"]);
    let node = network.start().await;
    network.partner("FR", &node).await.send("FR/1", &["KE"]).await;
    assert!(node.stop().await.success());

    let locked = lock(&network);
    let released = async {
        network.event_after("store_away", 0).await;
        drop(locked);
    };
    let (node, ()) = tokio::join!(network.start(), released);
    assert_log_is_sound(&network.partner("FR", &node).await).await;
    assert_eq!(network.events("store_back").len(), 1);
    assert!(node.stop().await.success());

    let _locked = lock(&network);
    let waiting = network.start_waiting();
    network.event_after("store_away", 1).await;
    waiting.terminate();
    assert!(waiting.ended().await.success());
}
