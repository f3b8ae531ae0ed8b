//! What a node tells whoever started it (sd_notify(3)).

use std::process::Stdio;

use tokio::net::UnixDatagram;
use tokio::process::Command;

use super::watched;
use crate::support::*;

async fn next(socket: &UnixDatagram) -> String {
    let mut bytes = [0; 1_024];
    let length = soon("a message", socket.recv(&mut bytes)).await.unwrap();
    String::from_utf8_lossy(&bytes[..length]).trim().to_owned()
}

#[tokio::test]
async fn a_supervisor_is_told_that_the_node_is_ready_that_it_lives_and_that_it_stops() {
    let network = watched(&["FR"]);
    let path = network.path("notify");
    let socket = UnixDatagram::bind(&path).unwrap();
    let mut node = Command::new(env!("CARGO_BIN_EXE_liaison"))
        .args(["serve", "--config"])
        .arg(network.path("hub.toml"))
        .env("NOTIFY_SOCKET", &path)
        .env("WATCHDOG_USEC", "300000")
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .kill_on_drop(true)
        .spawn()
        .unwrap();
    // It lives while it starts, and is ready once.
    let mut heard = Vec::new();
    while heard.last().is_none_or(|last| last != "READY=1") {
        heard.push(next(&socket).await);
    }
    assert!(heard.iter().all(|message| ["WATCHDOG=1", "READY=1"].contains(&message.as_str())), "{heard:?}");
    for _ in 0..3 {
        assert_eq!(next(&socket).await, "WATCHDOG=1");
    }
    let id = node.id().unwrap().to_string();
    assert!(std::process::Command::new("kill").args(["-TERM", &id]).status().unwrap().success());
    let mut last = next(&socket).await;
    while last == "WATCHDOG=1" {
        last = next(&socket).await;
    }
    assert_eq!(last, "STOPPING=1");
    assert!(soon("the end", node.wait()).await.unwrap().success());
}
