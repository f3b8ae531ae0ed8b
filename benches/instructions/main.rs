//! The accept path on one thread, to be counted: `benches/instructions/run.sh` runs it under callgrind twice, with few notices and with
//! many, and takes the difference. Everything is the node's own, from the gRPC messages of a stream to the answers with their receipts;
//! what is left out is the line (TLS, HTTP/2) and the disk (the store is memory). Clock and salts are played.
//!
//!   instructions [--prepare NOTICES --accept NOTICES]

mod node;

#[path = "../traffic/mod.rs"]
mod traffic;
#[allow(dead_code, unused_imports, reason = "the tests' world, of which benches need a part")]
#[path = "../../src/world/mod.rs"]
mod world;

// The rooms under the names by which the world's files call them.
use liaison::{anchor, clock, counts, policy, sequencer, state, store};

use crate::node::Node;
use crate::traffic::ORIGINATORS;

/// Enough to go the whole way once; what `cargo test` runs.
const FEW: usize = 64;

fn main() {
    let arguments: Vec<_> = std::env::args().collect();
    let number = |name: &str| {
        let place = arguments.iter().position(|argument| argument == name)?;
        Some(arguments.get(place + 1)?.parse::<usize>().expect("a number of notices"))
    };
    let prepared = number("--prepare").unwrap_or(FEW);
    let accepted = number("--accept").unwrap_or(FEW);
    assert!(accepted <= prepared, "only what was prepared can be accepted");

    // Prepared alike in every run, so that it goes out of the difference.
    let world = traffic::world();
    let share = |count: usize| count / ORIGINATORS.len();
    let requests = ORIGINATORS.map(|originator| {
        let request = |nth| traffic::request(world.signed(traffic::draft(&world, originator, nth)));
        (0..share(prepared)).map(request).collect::<Vec<_>>()
    });
    let runtime = tokio::runtime::Builder::new_current_thread().build().expect("a runtime");
    runtime.block_on(async {
        let (node, run) = Node::start(world).await;
        let accept = async {
            node.adopt().await;
            let before = node.size();
            let streams = requests.iter().zip(ORIGINATORS);
            let streams = streams.map(|(requests, from)| node.submit(from, &requests[..share(accepted)]));
            let answered: usize = futures_util::future::join_all(streams).await.into_iter().sum();
            assert_eq!(node.size() - before, (share(accepted) * ORIGINATORS.len()) as u64, "each has its leaf");
            println!("{} notices accepted, {answered} bytes of answers", node.size() - before);
            // Taking down what was accepted is no part of accepting it.
            std::process::exit(0);
        };
        tokio::select! {
            () = accept => {}
            () = run => panic!("the sequencer stopped"),
        }
    });
}
