//! Rows 20 and 97: how long and how many, and ending lines from inside.

use std::sync::Arc;
use std::time::Duration;

use liaison::tls::Limits;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

use super::certificate::*;
use super::support::*;

/// What the other end of a connection that is over reads: no more bytes, by an end or by a break.
async fn is_over(line: &mut (impl tokio::io::AsyncRead + Unpin)) -> bool {
    let read = soon("the end of a line", line.read(&mut [0])).await;
    matches!(read, Ok(0) | Err(_))
}

#[tokio::test]
async fn fault_97_a_handshake_that_does_not_end_is_ended() {
    let mut house = House::open().await;
    let mut silent = TcpStream::connect(house.address).await.unwrap();
    let mut half = TcpStream::connect(house.address).await.unwrap();
    // The head of a ClientHello that never comes.
    half.write_all(&[22, 3, 1, 2, 0, 1]).await.unwrap();
    house.clock.awaited_by(2).await;
    assert_eq!(house.lines.handshakes(), 2);
    house.clock.pass(Limits::default().handshake);
    assert!(is_over(&mut silent).await);
    assert!(is_over(&mut half).await);
    let event = house.audit.next("conn.limited").await;
    assert_eq!(event["reason"], "slow_handshake");
}

#[tokio::test]
async fn fault_97_slow_handshakes_keep_nobody_waiting() {
    let mut house = House::open().await;
    let _slow = TcpStream::connect(house.address).await.unwrap();
    house.clock.awaited_by(1).await;
    let leaf = house.authority.leaf(&of_partner("FR"));
    house.lets_in(&leaf).await;
}

#[tokio::test]
async fn fault_97_a_line_on_which_http_2_never_begins_is_ended() {
    let house = House::open().await;
    let leaf = house.authority.leaf(&of_partner("FR"));
    let tcp = TcpStream::connect(house.address).await.unwrap();
    let name = "hub-1.example.int".try_into().unwrap();
    let connector = tokio_rustls::TlsConnector::from(Arc::new(house.client(&leaf)));
    let mut line = connector.connect(name, tcp).await.unwrap();
    // One byte is not the beginning of HTTP/2: it buys no time.
    line.write_all(&[7]).await.unwrap();
    let mut heard = [0];
    soon("its echo", line.read_exact(&mut heard)).await.unwrap();
    house.clock.awaited_by(1).await;
    house.clock.pass(Limits::default().handshake);
    assert!(is_over(&mut line).await);
}

#[tokio::test]
async fn fault_97_a_line_from_which_nothing_comes_is_ended() {
    let mut house = House::open().await;
    let leaf = house.authority.leaf(&of_partner("FR"));
    let (mut line, _) = house.lets_in(&leaf).await;
    let limits = Limits::default();
    house.clock.awaited_by(1).await;
    house.clock.pass(limits.silence - Duration::from_secs(1));
    say(&mut line).await.unwrap();
    house.clock.pass(limits.silence - Duration::from_secs(1));
    say(&mut line).await.unwrap();
    house.clock.awaited_by(1).await;
    house.clock.pass(limits.silence);
    assert!(is_over(&mut line).await);
}

#[tokio::test]
async fn fault_97_one_address_has_so_many_connections_and_no_more() {
    let mut house = House::open_with(Limits { connections_per_address: 2, ..Limits::default() }).await;
    let leaf = house.authority.leaf(&of_partner("FR"));
    let (first, _) = house.lets_in(&leaf).await;
    let (mut second, _) = house.lets_in(&leaf).await;
    let third = house.attempt(house.client(&leaf)).await;
    assert!(matches!(third, Attempt::Closed));
    let event = house.audit.next("conn.limited").await;
    assert_eq!(event["reason"], "connections_per_address");
    say(&mut second).await.unwrap();
    drop(first);
    soon("a place", async {
        while house.lines.open() > 1 {
            tokio::task::yield_now().await;
        }
    })
    .await;
    house.lets_in(&leaf).await;
}

#[tokio::test]
async fn fault_97_one_partner_has_so_many_lines_and_others_have_theirs() {
    let mut house = House::open_with(Limits { connections_per_owner: 1, ..Limits::default() }).await;
    let fr = house.authority.leaf(&of_partner("FR"));
    let ke = house.authority.leaf(&of_partner("KE"));
    let (_first, _) = house.lets_in(&fr).await;
    let second = house.attempt(house.client(&fr)).await;
    assert!(matches!(second, Attempt::Closed));
    let event = house.audit.next("conn.limited").await;
    assert_eq!(event["reason"], "connections_per_owner");
    house.lets_in(&ke).await;
}

#[tokio::test]
async fn fault_20_ending_the_lines_of_one_partner_ends_no_other() {
    let mut house = House::open().await;
    let (mut fr, caller) = {
        let leaf = house.authority.leaf(&of_partner("FR"));
        house.lets_in(&leaf).await
    };
    let leaf = house.authority.leaf(&of_partner("KE"));
    let (mut ke, _) = house.lets_in(&leaf).await;
    let revoked = caller.peer.certificate();
    assert_eq!(house.lines.end(|peer| peer.certificate() == revoked), 1);
    assert!(is_over(&mut fr).await);
    say(&mut ke).await.unwrap();
}

#[tokio::test]
async fn fault_20_a_handshake_begun_before_a_revocation_does_not_slip_through() {
    let mut house = House::open().await;
    let leaf = house.authority.leaf(&of_partner("FR"));
    let tcp = TcpStream::connect(house.address).await.unwrap();
    // The door has taken its look at who is registered, and waits for the client.
    house.clock.awaited_by(1).await;
    let other = house.authority.leaf(&of_partner("FR")).key_hash();
    let identities = registered(&house.authority, &[other], &[]);
    house.identities.store(Arc::new(identities));
    assert_eq!(house.lines.end(|_| true), 0);
    let attempt = house.attempt_over(tcp, house.client(&leaf)).await;
    assert!(matches!(attempt, Attempt::Closed));
    let event = house.audit.next("tls.reject").await;
    assert_eq!(event["reason"], "key_not_pinned");
}

#[tokio::test]
async fn a_door_that_is_told_to_stop_takes_nobody_and_waits_for_no_handshake() {
    let house = House::open().await;
    let _half = TcpStream::connect(house.address).await.unwrap();
    house.clock.awaited_by(1).await;
    let drained = soon("the door", house.shutdown.drain(Duration::from_secs(1))).await;
    assert_eq!(drained, Ok(()));
    assert!(TcpStream::connect(house.address).await.is_err());
}
