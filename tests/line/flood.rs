//! Rows 97 to 99 at a whole node: clients with a good certificate that speak HTTP/2 as nobody should, byte by byte.

use std::sync::Arc;
use std::time::Duration;

use liaison::clock::{Clock as _, SystemClock};
use rustls::ClientConfig;
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

use crate::support::*;

/// Row 98: what all of them together may cost.
const MEMORY_KB_MAX: u64 = 20_000;

/// Of the 48 who begin with a handshake, 39 do what the node does not bear; some may still be about it.
const CUT_OFF_MIN: usize = 30;

/// Notices before the floods: as many as the good caller sends while they last.
const WARM: usize = 4_000;

/// Enough of each flood to hurt where nothing stands against it: hundreds of thousands of small frames.
const FLOOD_BYTES: usize = 4 << 20;

/// Written at a time.
const BURST: usize = 200;

const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";

/// RFC 9113, section 6.
const DATA: u8 = 0;
const HEADERS: u8 = 1;
const PRIORITY: u8 = 2;
const RST_STREAM: u8 = 3;
const SETTINGS: u8 = 4;
const PING: u8 = 6;
const GOAWAY: u8 = 7;
const WINDOW_UPDATE: u8 = 8;
const CONTINUATION: u8 = 9;
const END_STREAM: u8 = 1;
const END_HEADERS: u8 = 4;

fn frame(kind: u8, flags: u8, stream: u32, payload: &[u8]) -> Vec<u8> {
    let length = u32::try_from(payload.len()).unwrap().to_be_bytes();
    [&length[1..], &[kind, flags], &stream.to_be_bytes(), payload].concat()
}

/// Headers of a call (RFC 7541): some by their place in the static table, the others in full.
fn call(method: &str) -> Vec<u8> {
    let text = |text: &str| [&[u8::try_from(text.len()).unwrap()], text.as_bytes()].concat();
    [
        vec![0x83, 0x87],
        [vec![0x04], text(method)].concat(),
        [vec![0x01], text("hub-1")].concat(),
        [vec![0x0f, 0x10], text("application/grpc")].concat(),
        [vec![0x00], text("te"), text("trailers")].concat(),
    ]
    .concat()
}

const COLLECT: &str = "/liaison.v1.ExchangeService/Collect";
const SUBMIT_STREAM: &str = "/liaison.v1.ExchangeService/SubmitStream";

/// An empty message, whole.
const EMPTY_MESSAGE: &[u8] = &[0; 5];

/// One way to misbehave: what is sent first, and what then again and again, for the nth time.
struct Abuse {
    name: &'static str,
    first: fn() -> Vec<u8>,
    again: fn(u32) -> Vec<u8>,
    reads: bool,
}

fn settings(id: u16, value: u32) -> Vec<u8> {
    frame(SETTINGS, 0, 0, &[&id.to_be_bytes()[..], &value.to_be_bytes()].concat())
}

fn odd(nth: u32) -> u32 {
    2 * nth + 1
}

const ABUSES: &[Abuse] = &[
    Abuse {
        name: "stream flood",
        first: Vec::new,
        again: |nth| frame(HEADERS, END_HEADERS, odd(nth), &call(SUBMIT_STREAM)),
        reads: true,
    },
    Abuse {
        name: "rapid reset",
        first: Vec::new,
        again: |nth| {
            let opened = frame(HEADERS, END_HEADERS, odd(nth), &call(COLLECT));
            [opened, frame(RST_STREAM, 0, odd(nth), &[0, 0, 0, 8])].concat()
        },
        reads: true,
    },
    Abuse {
        name: "reset by us for a window of nothing",
        first: Vec::new,
        again: |nth| {
            let opened = frame(HEADERS, END_HEADERS, odd(nth), &call(COLLECT));
            [opened, frame(WINDOW_UPDATE, 0, odd(nth), &[0; 4])].concat()
        },
        reads: true,
    },
    Abuse {
        name: "reset by us for data after the end",
        first: Vec::new,
        again: |nth| {
            let opened = frame(HEADERS, END_HEADERS | END_STREAM, odd(nth), &call(COLLECT));
            [opened, frame(DATA, 0, odd(nth), EMPTY_MESSAGE)].concat()
        },
        reads: true,
    },
    Abuse {
        name: "continuation",
        first: || frame(HEADERS, 0, 1, &call(COLLECT)),
        again: |_| frame(CONTINUATION, 0, 1, &[]),
        reads: true,
    },
    Abuse {
        name: "large continuation",
        first: || frame(HEADERS, 0, 1, &call(COLLECT)),
        again: |_| frame(CONTINUATION, 0, 1, &[0x00, 0x01, b'x', 0x01, b'y'].repeat(1_000)),
        reads: true,
    },
    Abuse {
        name: "headers that grow when unpacked",
        first: Vec::new,
        again: |nth| {
            // One entry of 4,000 bytes in the table, named ten thousand times.
            let entry = [&[0x40, 1, b'x', 0x7f, 0xa1, 0x1e][..], &[b'y'; 4_000]].concat();
            let block = [call(COLLECT), entry, vec![0xbe; 10_000]].concat();
            frame(HEADERS, END_HEADERS, odd(nth), &block)
        },
        reads: true,
    },
    Abuse {
        name: "empty data",
        first: || frame(HEADERS, END_HEADERS, 1, &call(SUBMIT_STREAM)),
        again: |_| frame(DATA, 0, 1, &[]),
        reads: true,
    },
    Abuse { name: "windows", first: Vec::new, again: |_| frame(WINDOW_UPDATE, 0, 0, &[0, 0, 0, 1]), reads: false },
    Abuse {
        name: "windows of a stream",
        first: || frame(HEADERS, END_HEADERS, 1, &call(COLLECT)),
        again: |_| frame(WINDOW_UPDATE, 0, 1, &[0, 0, 0, 1]),
        reads: false,
    },
    Abuse {
        name: "resets of one stream",
        first: || frame(HEADERS, END_HEADERS, 1, &call(COLLECT)),
        again: |_| frame(RST_STREAM, 0, 1, &[0, 0, 0, 8]),
        reads: true,
    },
    Abuse { name: "unknown frames", first: Vec::new, again: |_| frame(0x2a, 0, 0, b"x"), reads: true },
    Abuse {
        name: "headers of 16 KiB, by one byte each",
        // One entry in the table, by the first call.
        first: || frame(HEADERS, END_HEADERS, 1, &[call(COLLECT), vec![0x40, 1, b'x', 1, b'y']].concat()),
        again: |nth| frame(HEADERS, END_HEADERS, odd(nth + 1), &[call(COLLECT), vec![0xbe; 430]].concat()),
        reads: true,
    },
    Abuse { name: "settings", first: Vec::new, again: |_| settings(3, 100), reads: false },
    Abuse { name: "pings", first: Vec::new, again: |_| frame(PING, 0, 0, &[7; 8]), reads: false },
    Abuse {
        name: "priorities",
        first: Vec::new,
        again: |nth| frame(PRIORITY, 0, odd(nth), &[0, 0, 0, 0, 7]),
        reads: true,
    },
    Abuse {
        name: "no window",
        first: || settings(4, 0),
        again: |nth| match nth {
            0..100 => {
                let opened = frame(HEADERS, END_HEADERS, odd(nth), &call(COLLECT));
                [opened, frame(DATA, END_STREAM, odd(nth), EMPTY_MESSAGE)].concat()
            }
            _ => Vec::new(),
        },
        reads: true,
    },
    Abuse {
        name: "a window of one byte, never read",
        first: || settings(4, 1),
        again: |nth| match nth {
            0..100 => {
                let opened = frame(HEADERS, END_HEADERS, odd(nth), &call(COLLECT));
                [opened, frame(DATA, END_STREAM, odd(nth), EMPTY_MESSAGE)].concat()
            }
            _ => Vec::new(),
        },
        reads: false,
    },
    Abuse { name: "silence", first: Vec::new, again: |_| Vec::new(), reads: true },
];

async fn dial(network: &Network, partner: &str, node: &Node) -> TlsStream<TcpStream> {
    let endpoint = Partner::endpoint(network, partner, node);
    let certificate = |pem: &str| CertificateDer::from_pem_slice(pem.as_bytes()).unwrap();
    let mut roots = rustls::RootCertStore::empty();
    roots.add(certificate(&endpoint.authority_pem)).unwrap();
    let key = PrivateKeyDer::from_pem_slice(endpoint.key_pem.as_bytes()).unwrap();
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let mut config = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_root_certificates(roots)
        .with_client_auth_cert(vec![certificate(&endpoint.certificate_pem)], key)
        .unwrap();
    config.alpn_protocols = vec![b"h2".to_vec()];
    let tcp = TcpStream::connect(&node.address).await.unwrap();
    let connector = TlsConnector::from(Arc::new(config));
    soon("a handshake", connector.connect("hub-1".try_into().unwrap(), tcp)).await.unwrap()
}

/// What became of an abuse.
#[derive(Debug, Default)]
struct Outcome {
    /// Written before the end, or all that was meant to be.
    wrote: usize,
    /// The last GOAWAY's error code (RFC 9113, section 7).
    goaway: Option<u32>,
    /// The node broke the connection.
    ended: bool,
}

/// Misbehaves until the node has enough of it, or everything is written and `done` comes.
async fn misbehave(line: TlsStream<TcpStream>, abuse: &Abuse, mut done: watch::Receiver<bool>) -> Outcome {
    let (mut reader, mut writer) = tokio::io::split(line);
    let reads = abuse.reads;
    let reading = async {
        let mut outcome = Outcome::default();
        if !reads {
            std::future::pending::<()>().await;
        }
        let (mut head, mut body) = ([0; 9], Vec::new());
        while reader.read_exact(&mut head).await.is_ok() {
            body.resize(u32::from_be_bytes([0, head[0], head[1], head[2]]) as usize, 0);
            if reader.read_exact(&mut body).await.is_err() {
                break;
            }
            if head[3] == GOAWAY {
                outcome.goaway = Some(u32::from_be_bytes(body[4..8].try_into().unwrap()));
            }
        }
        outcome.ended = true;
        outcome
    };
    let mut wrote = 0;
    let writing = async {
        let mut nth = 0;
        let begin = [PREFACE.to_vec(), frame(SETTINGS, 0, 0, &[]), (abuse.first)()].concat();
        let mut written = writer.write_all(&begin).await;
        while written.is_ok() && wrote < FLOOD_BYTES {
            let burst: Vec<u8> = (nth..nth + BURST as u32).flat_map(abuse.again).collect();
            if burst.is_empty() {
                break;
            }
            written = writer.write_all(&burst).await;
            (nth, wrote) = (nth + BURST as u32, wrote + burst.len());
        }
        let _ = writer.flush().await;
        if written.is_ok() || reads {
            std::future::pending::<()>().await;
        }
    };
    let outcome = tokio::select! {
        outcome = reading => outcome,
        () = writing => Outcome { ended: true, ..Outcome::default() },
        _ = done.wait_for(|done| *done) => Outcome::default(),
    };
    Outcome { wrote, ..outcome }
}

/// Resident memory now, and at its highest, in kB.
fn memory_kb(node: &Node) -> (u64, u64) {
    let status = std::fs::read_to_string(format!("/proc/{}/status", node.id())).unwrap();
    let field = |name: &str| {
        let line = status.lines().find_map(|line| line.strip_prefix(name)).unwrap();
        line.trim().trim_end_matches(" kB").parse().unwrap()
    };
    (field("VmRSS:"), field("VmHWM:"))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn fault_98_fifty_hostile_connections_cost_the_node_20_mb_and_a_good_caller_nothing() {
    let network = Network::of(&["FR", "KE"]);
    let node = network.start().await;
    let (fr, ke) = (network.partner("FR", &node).await, network.partner("KE", &node).await);
    // Warm: the good caller's work costs what it costs, caches and all.
    for nth in 0..WARM {
        fr.send(&format!("FR/warm/{nth}"), &["KE"]).await;
    }
    assert_eq!(ke.collect().await.len(), WARM);
    let (before, _) = memory_kb(&node);
    // The high-water mark begins anew.
    std::fs::write(format!("/proc/{}/clear_refs", node.id()), "5").unwrap();

    let done = watch::Sender::new(false);
    let mut hostile = JoinSet::new();
    let mut half = Vec::new();
    for nth in 0..48 {
        let line = dial(&network, "KE", &node).await;
        let done = done.subscribe();
        hostile.spawn(async move { misbehave(line, &ABUSES[nth % ABUSES.len()], done).await });
    }
    for _ in 0..2 {
        let mut tcp = TcpStream::connect(&node.address).await.unwrap();
        tcp.write_all(&[22, 3, 1, 2, 0, 1]).await.unwrap();
        half.push(tcp);
    }

    // While they do, the good caller sees no error and never waits long.
    let clock = SystemClock::new();
    let mut slowest = Duration::ZERO;
    let mut nth = 0;
    while clock.monotonic() < Duration::from_secs(8) {
        let begun = clock.monotonic();
        fr.send(&format!("FR/good/{nth}"), &["KE"]).await;
        slowest = slowest.max(clock.monotonic() - begun);
        nth += 1;
    }
    let (_, highest) = memory_kb(&node);
    done.send_replace(true);
    let mut outcomes = Vec::new();
    while let Some(outcome) = soon("the hostile to end", hostile.join_next()).await {
        outcomes.push(outcome.unwrap());
    }
    let ended = outcomes.iter().filter(|outcome| outcome.ended).count();
    let wrote: usize = outcomes.iter().map(|outcome| outcome.wrote).sum();
    let grown = highest.saturating_sub(before);
    println!("{nth} good calls, the slowest {slowest:?}; {ended} of 48 cut off; {wrote} bytes; {grown} kB");
    assert!(nth > 20, "{nth} good calls");
    assert!(wrote > FLOOD_BYTES, "{wrote} bytes of floods are no flood");
    assert!(ended >= CUT_OFF_MIN, "{ended} cut off");
    assert!(grown <= MEMORY_KB_MAX, "memory has grown by {grown} kB");
    assert_log_is_sound(&fr).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn fault_98_each_abuse_is_cut_off_or_costs_nothing() {
    const PROTOCOL_ERROR: u32 = 1;
    const ENHANCE_YOUR_CALM: u32 = 11;
    let network = Network::of(&["FR", "KE"]);
    let node = network.start().await;
    let fr = network.partner("FR", &node).await;
    for nth in 0..20 {
        fr.send(&format!("FR/warm/{nth}"), &["KE"]).await;
    }
    let mut highest_before = memory_kb(&node).0;
    let mut abuses = 0;
    for (nth, abuse) in ABUSES.iter().enumerate() {
        let done = watch::Sender::new(false);
        let line = dial(&network, "KE", &node).await;
        let receiver = done.subscribe();
        // Those who are not cut off are looked at while they are still there.
        let bears = ["no window", "a window of one byte, never read", "silence"].contains(&abuse.name);
        let stopping = async {
            let clock = SystemClock::new();
            clock.until(Duration::from_secs(if bears { 1 } else { 20 })).await;
            done.send_replace(true);
            std::future::pending::<()>().await;
        };
        let outcome = tokio::select! {
            outcome = misbehave(line, abuse, receiver) => outcome,
            () = stopping => continue,
        };
        fr.send(&format!("FR/after/{nth}"), &["KE"]).await;
        let (now, _) = memory_kb(&node);
        println!("{}: {outcome:?}, {} kB", abuse.name, now.saturating_sub(highest_before));
        match abuse.name {
            // The node has enough of it, says so, and hangs up,
            "empty data"
            | "settings"
            | "pings"
            | "priorities"
            | "windows"
            | "windows of a stream"
            | "resets of one stream"
            | "unknown frames"
            | "continuation"
            | "large continuation" => {
                assert!(outcome.ended && outcome.wrote < FLOOD_BYTES, "{}: {outcome:?}", abuse.name);
            }
            "stream flood"
            | "rapid reset"
            | "reset by us for a window of nothing"
            | "reset by us for data after the end"
            | "headers that grow when unpacked"
            | "headers of 16 KiB, by one byte each" => {
                assert!(outcome.ended, "{}: {outcome:?}", abuse.name);
                assert!(
                    matches!(outcome.goaway, Some(PROTOCOL_ERROR | ENHANCE_YOUR_CALM)),
                    "{}: {outcome:?}",
                    abuse.name
                );
            }
            // or bears it: then it costs next to nothing.
            _ => {
                highest_before = highest_before.max(now);
                continue;
            }
        }
        // And who it was stands in the audit.
        let event = network.event_after("h2.abuse", abuses).await;
        assert_eq!(event["identity"], "partner KE, system ops-1", "{}", abuse.name);
        abuses = network.events("h2.abuse").len();
        assert!(now.saturating_sub(highest_before) <= MEMORY_KB_MAX, "{}", abuse.name);
        highest_before = highest_before.max(now);
    }
}

#[tokio::test]
async fn fault_92_who_never_hangs_up_does_not_keep_a_node_from_stopping() {
    const STOPS_MAX: Duration = Duration::from_secs(30);
    let network = Network::of(&["FR", "KE"]);
    let node = network.start().await;
    network.partner("FR", &node).await.send("FR/1", &["KE"]).await;
    let no_window = ABUSES.iter().find(|abuse| abuse.name == "no window").unwrap();
    let line = dial(&network, "KE", &node).await;
    let done = watch::Sender::new(false);
    let receiver = done.subscribe();
    let mut hostile = JoinSet::new();
    hostile.spawn(async move { misbehave(line, no_window, receiver).await });
    let clock = SystemClock::new();
    assert_eq!(node.stop().await.code(), Some(0));
    assert!(clock.monotonic() < STOPS_MAX, "{:?}", clock.monotonic());
    let outcome = hostile.join_next().await.unwrap().unwrap();
    assert!(outcome.ended, "{outcome:?}");
}

#[tokio::test]
async fn fault_98_a_partner_with_too_much_under_way_is_told_when_to_try_again_and_others_go_on() {
    const CALLS_MAX: usize = 256;
    let network = Network::of(&["FR", "KE"]);
    let node = network.start().await;
    let fr = network.partner("FR", &node).await;
    let (mut lines, mut streams, mut refused) = (Vec::new(), Vec::new(), Vec::new());
    for _ in 0..3 {
        let ke = network.partner("KE", &node).await;
        for _ in 0..95 {
            match soon("a stream", ke.client.submit_stream()).await {
                Ok(stream) => streams.push(stream),
                Err(error) => refused.push(error),
            }
        }
        lines.push(ke);
    }
    assert_eq!((streams.len(), refused.len()), (CALLS_MAX, 3 * 95 - CALLS_MAX));
    for error in &refused {
        assert_eq!(error.reason().unwrap().word(), "BUSY", "{error}");
        assert!(error.may_pass_later(), "{error}");
    }
    fr.send("FR/1", &["KE"]).await;
    // Of streams that collect there may be fewer.
    let (mut collecting, too_many) = (Vec::new(), 33);
    for nth in 0..too_many {
        match soon("a stream", fr.client.collect(bytes::Bytes::new(), false)).await {
            Ok(stream) => collecting.push(stream),
            Err(error) => {
                assert_eq!((nth, error.reason().unwrap().word()), (too_many - 1, "BUSY"), "{error}");
            }
        }
    }
    assert_eq!(collecting.len(), too_many - 1);
    assert_eq!(network.event_after("call.limited", 0).await["reason"], "calls_per_owner");
    // And when there is less, there is room.
    streams.pop();
    until("room", || async {
        pause().await;
        lines[0].client.checkpoint().await.ok()
    })
    .await;
}
