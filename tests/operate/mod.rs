//! What an operator sees of a running node, and what nobody must see.

mod audit;
mod bundle;
mod canary;
mod check;
mod locked;
mod log;
mod ops;
mod shell;
mod supervisor;

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

use crate::support::*;

/// Asks the ops port; the status and the body.
async fn ask(node: &Node, path: &str) -> (u16, String) {
    let mut line = TcpStream::connect(&node.ops).await.unwrap();
    let request = format!("GET {path} HTTP/1.1\r\nhost: {}\r\n\r\n", node.ops);
    line.write_all(request.as_bytes()).await.unwrap();
    let mut answer = String::new();
    soon("the answer", line.read_to_string(&mut answer)).await.unwrap();
    let (head, body) = answer.split_once("\r\n\r\n").unwrap();
    (head.split(' ').nth(1).unwrap().parse().unwrap(), body.into())
}

/// A network whose node has an ops port on whatever port is free.
fn watched(partners: &[&str]) -> Network {
    let network = Network::of(partners);
    network.configure_more("\n[ops]\nlisten = \"127.0.0.1:0\"\n");
    network
}
