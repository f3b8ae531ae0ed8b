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

/// Half of a ClientHello, of which the rest never comes.
async fn half(house: &House) -> TcpStream {
    let mut half = TcpStream::connect(house.address).await.unwrap();
    half.write_all(&[22, 3, 1, 2, 0, 1]).await.unwrap();
    half
}

#[tokio::test]
async fn fault_97_a_handshake_that_does_not_end_is_ended() {
    let mut house = House::open().await;
    let mut half = half(&house).await;
    house.lines_are(|lines| lines.handshakes() == 1).await;
    // From its first byte on, only the end of the handshake is waited for.
    house.clock.awaited_by(1).await;
    house.clock.pass(Limits::default().handshake);
    assert!(is_over(&mut half).await);
    assert_eq!(house.audit.next("conn.limited").await["reason"], "slow_handshake");
}

#[tokio::test]
async fn fault_97_who_says_nothing_has_two_seconds_and_who_says_one_byte_no_more_than_a_handshake() {
    let mut house = House::open().await;
    let mut silent = TcpStream::connect(house.address).await.unwrap();
    house.clock.awaited_by(2).await;
    let mut slow = TcpStream::connect(house.address).await.unwrap();
    slow.write_all(&[22]).await.unwrap();
    house.clock.awaited_by(3).await;
    house.clock.pass(Duration::from_secs(2));
    assert!(is_over(&mut silent).await);
    assert_eq!(house.audit.next("conn.limited").await["reason"], "silent");
    assert_eq!(house.lines.handshakes(), 1);
    house.clock.pass(Limits::default().handshake - Duration::from_secs(2));
    assert!(is_over(&mut slow).await);
    assert_eq!(house.audit.next("conn.limited").await["reason"], "slow_handshake");
    assert_eq!(house.lines.handshakes(), 0);
}

#[tokio::test]
async fn fault_97_of_one_address_eight_are_silent_and_the_oldest_gives_way() {
    let limits = Limits::default();
    let mut house = House::open_with(Limits { connections_per_address: 4096, ..limits }).await;
    let (many, most) = (3 * limits.silent_per_site, limits.silent_per_site);
    let mut silent = Vec::new();
    for nth in 1..=many {
        silent.push(TcpStream::connect(house.address).await.unwrap());
        house.lines_are(|lines| lines.handshakes() == nth).await;
    }
    // Who opens many at once is no stranger for that; who then says nothing is.
    house.clock.awaited_by(2 * many).await;
    house.clock.pass(limits.silent_after);
    house.lines_are(|lines| lines.handshakes() == most).await;
    for gone in &mut silent[..many - most] {
        assert!(is_over(gone).await);
    }
    assert_eq!(house.audit.next("conn.limited").await["reason"], "silent_per_address");
    // From the same address a good caller gets in.
    let leaf = house.authority.leaf(&of_partner("FR"));
    house.lets_in(&leaf).await;
}

#[tokio::test]
async fn fault_97_a_door_full_of_half_handshakes_lets_a_good_caller_in_at_once() {
    let mut house = House::open_with(Limits { handshakes: 20, ..Limits::default() }).await;
    let mut halves = Vec::new();
    for nth in 1..=60 {
        halves.push(half(&house).await);
        house.lines_are(|lines| lines.handshakes() == nth.min(20)).await;
    }
    let leaf = house.authority.leaf(&of_partner("FR"));
    let (mut line, _) = house.lets_in(&leaf).await;
    // Nor does what comes after it cost a line its place that has been opened.
    for _ in 0..60 {
        halves.push(half(&house).await);
    }
    say(&mut line).await.unwrap();
    assert!(is_over(&mut halves[0]).await);
    assert!(house.lines.handshakes() <= 20);
    assert_eq!(house.audit.next("conn.limited").await["reason"], "handshakes");
}

#[tokio::test]
async fn fault_97_slow_handshakes_keep_nobody_waiting() {
    let mut house = House::open().await;
    let _slow = half(&house).await;
    house.clock.awaited_by(1).await;
    let leaf = house.authority.leaf(&of_partner("FR"));
    house.lets_in(&leaf).await;
}

#[tokio::test]
async fn fault_97_names_that_no_directory_lists_are_one_caller_and_stay_for_their_answer_only() {
    let lines = 3;
    let mut house = House::open_with(Limits { connections_per_owner: lines, ..Limits::default() }).await;
    let mut open = Vec::new();
    for nth in 0..lines {
        let leaf = house.authority.leaf(&of_partner(&format!("Z{nth}")));
        open.push(house.lets_in(&leaf).await.0);
    }
    let one_more = house.authority.leaf(&of_node("site-99"));
    assert!(matches!(house.attempt(house.client(&one_more)).await, Attempt::Closed));
    assert_eq!(house.audit.next("conn.limited").await["reason"], "connections_per_owner");
    // Whoever is registered is not concerned, though the same authority vouches for it.
    let leaf = house.authority.leaf(&of_partner("FR"));
    let (mut registered, _) = house.lets_in(&leaf).await;
    assert_eq!(house.lines.by_owner().len(), 1);
    // Speaking buys no time.
    house.clock.pass(Duration::from_secs(2));
    say(&mut open[0]).await.unwrap();
    house.clock.pass(Duration::from_secs(1));
    for line in &mut open {
        assert!(is_over(line).await);
    }
    say(&mut registered).await.unwrap();
    house.lines_are(|lines| lines.open() == 1).await;
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
    house.lines_are(|lines| lines.open() == 1).await;
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
    // A client whose first words arrive, and whose next ones wait.
    let (near, mut far) = tokio::io::duplex(64 << 10);
    let client = connect(near, house.client(&leaf));
    let revoked = async {
        let mut tcp = TcpStream::connect(house.address).await.unwrap();
        let mut hello = vec![0; 16 << 10];
        let length = far.read(&mut hello).await.unwrap();
        tcp.write_all(&hello[..length]).await.unwrap();
        // The door has answered: it has taken its look at who is registered, and waits for the client.
        soon("the door's answer", tcp.peek(&mut [0])).await.unwrap();
        let other = house.authority.leaf(&of_partner("FR")).key_hash();
        let identities = registered(&house.authority, &[other], &[]);
        house.identities.store(Arc::new(identities));
        assert_eq!(house.lines.end(|_| true), 0);
        let _ = soon("the end", tokio::io::copy_bidirectional(&mut far, &mut tcp)).await;
        drop(far);
    };
    let (client, ()) = tokio::join!(client, revoked);
    assert!(client.is_err());
    let event = house.audit.next("tls.reject").await;
    assert_eq!(event["reason"], "key_not_pinned");
}

#[tokio::test]
async fn a_door_that_is_told_to_stop_takes_nobody_and_waits_for_no_handshake() {
    let house = House::open().await;
    let _half = half(&house).await;
    house.clock.awaited_by(1).await;
    let drained = soon("the door", house.shutdown.drain(Duration::from_secs(1))).await;
    assert_eq!(drained, Ok(()));
    assert!(TcpStream::connect(house.address).await.is_err());
}
