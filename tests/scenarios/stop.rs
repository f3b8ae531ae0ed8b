//! FAULTS 92: a node that is asked to stop while it works.

use std::collections::HashMap;
use std::sync::{Arc, Mutex};

use liaison_client::sign::SignedNotice;
use liaison_client::{ClientError, Submitted};
use liaison_protocol::reason::Reason;
use tokio::sync::watch;
use tokio::task::JoinSet;

use crate::support::*;

/// Answers after which the node is asked to stop.
const ENOUGH: u64 = 40;

type Answered = Arc<Mutex<HashMap<String, (SignedNotice, Submitted)>>>;

/// Submits until the node does not take any more, and checks that it says to try again.
async fn load(fr: Partner, name: usize, answered: Answered, answers: watch::Sender<u64>) {
    for nth in 0.. {
        let notice = fr.notice(&format!("FR/{name}/{nth}"), &["KE"]);
        match fr.submit(&notice).await {
            Ok(submitted) => {
                answered.lock().unwrap().insert(notice.reference.to_string(), (notice, submitted));
                answers.send_modify(|answers| *answers += 1);
            }
            Err(error) => return assert_told(&error),
        }
    }
}

/// Whoever is stopped learns it from the node, with when to try again.
fn assert_told(error: &ClientError) {
    assert_eq!(error.reason(), Some(Reason::ShuttingDown), "{error:?}");
    assert!(error.may_pass_later(), "{error:?}");
}

/// The same on a stream, with several under way.
async fn load_a_stream(fr: Partner, answered: Answered, answers: watch::Sender<u64>) {
    let mut stream = fr.client.submit_stream().await.unwrap();
    let mut under_way = std::collections::VecDeque::new();
    for nth in 0.. {
        let notice = fr.notice(&format!("FR/stream/{nth}"), &["KE"]);
        if stream.send(&notice).await.is_ok() {
            under_way.push_back(notice);
            if under_way.len() < 16 {
                continue;
            }
        }
        let more = match stream.answers().await {
            Ok(more) => more.expect("the node does not end a stream without a word"),
            Err(error) => return assert_told(&error),
        };
        for answer in more {
            let notice = under_way.pop_front().unwrap();
            match answer {
                Ok(submitted) => {
                    fr.keep_submitted(&notice, &submitted);
                    answered.lock().unwrap().insert(notice.reference.to_string(), (notice, submitted));
                    answers.send_modify(|answers| *answers += 1);
                }
                Err(error) => assert!(error.may_pass_later(), "{error}"),
            }
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn fault_92_a_node_that_is_asked_to_stop_under_load_loses_nothing_and_says_when_to_try_again() {
    let network = Network::of(&["FR", "KE"]);
    let node = network.start().await;
    let answered = Answered::default();
    let answers = watch::Sender::new(0);
    let mut submitting = JoinSet::new();
    for name in 0..3 {
        let fr = network.partner("FR", &node).await;
        submitting.spawn(load(fr, name, answered.clone(), answers.clone()));
    }
    submitting.spawn(load_a_stream(network.partner("FR", &node).await, answered.clone(), answers.clone()));
    // Given somebody who follows a mailbox and would do so for ever,
    let ke = network.partner("KE", &node).await;
    submitting.spawn(async move {
        let mut following = ke.client.collect(bytes::Bytes::new(), false).await.unwrap();
        loop {
            match following.next().await {
                Ok(Some(_)) => {}
                Ok(None) => panic!("the stream ended without a word"),
                Err(error) => return assert_told(&error),
            }
        }
    });

    // and calls of other kinds, one after the other, and a stream on which nothing comes,
    for kind in 0..4 {
        let fr = network.partner("FR", &node).await;
        submitting.spawn(async move {
            loop {
                let answered = match kind {
                    0 => fr.client.mailbox().await.map(drop),
                    1 => fr.client.checkpoint().await.map(drop),
                    2 => fr.client.known_directory(0, &fr.trust).await.map(drop),
                    _ => match fr.client.submit_stream().await {
                        Ok(mut stream) => stream.answers().await.map(|answers| {
                            assert!(answers.is_some(), "the node ended the stream without a word");
                        }),
                        Err(error) => Err(error),
                    },
                };
                if let Err(error) = answered {
                    return assert_told(&error);
                }
            }
        });
    }

    // when the node is asked to stop,
    soon("answers", answers.subscribe().wait_for(|answers| *answers >= ENOUGH)).await.unwrap();
    node.terminate();
    while let Some(ended) = soon("the load to end", submitting.join_next()).await {
        ended.unwrap();
    }

    // then it ends well, and everything it had answered for is there.
    assert_eq!(node.ended().await.code(), Some(0));
    let node = network.start().await;
    let (fr, ke) = (network.partner("FR", &node).await, network.partner("KE", &node).await);
    let delivered: HashMap<_, _> = ke.collect().await.into_iter().map(|notice| (notice.id, notice)).collect();
    let answered = std::mem::take(&mut *answered.lock().unwrap());
    for (notice, submitted) in answered.values() {
        let delivered = &delivered[&notice.id];
        assert_eq!(delivered.envelope, notice.envelope);
        assert_eq!(delivered.leaf(), submitted.receipt.leaf);
    }
    assert_log_is_sound(&fr).await;
}
