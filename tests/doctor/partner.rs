//! A partner looks along its line: its own files, the way to its node, and what the node says of it.

use std::io::Write as _;
use std::net::TcpListener;

use liaison_protocol::id::Micros;

use super::place::{Place, Row, public, stopped, strange_authority, strange_key};
use super::pre::callers_certificate;
use crate::support::{Node, now};

const CONTEXT: &str = "partners/FR/context.toml";

pub(super) const ROWS: &[Row] = &[
    Row {
        name: "a context with an unknown key",
        does: |place| place.write(CONTEXT, place.text(CONTEXT) + "surprise = 1\n"),
        amiss: &[("F01", "failed")],
        found: "surprise",
        fix: "context.toml",
        mends: false,
    },
    Row {
        name: "a key that is not there",
        does: |place| std::fs::remove_file(place.path("partners/FR/tls.key")).unwrap(),
        amiss: &[("F02", "failed")],
        found: "key: ",
        fix: "put the file there",
        mends: false,
    },
    Row {
        name: "a signing key that others can read",
        does: |place| place.mode("partners/FR/notice.key", 0o644),
        amiss: &[("F03", "failed")],
        found: "notice_key",
        fix: "chmod 600",
        mends: true,
    },
    Row {
        name: "a context that anybody can change",
        does: |place| place.mode(CONTEXT, 0o666),
        amiss: &[("F04", "failed")],
        found: "context",
        fix: "chmod o-w",
        mends: true,
    },
    Row {
        name: "another partner's key",
        does: |place| place.write("partners/FR/tls.key", place.text("partners/KE/tls.key")),
        amiss: &[("K01", "failed")],
        found: "is not the key of the certificate",
        fix: "liaison certificate partner FR --system ops-1",
        mends: true,
    },
    Row {
        name: "the certificate of another system",
        does: |place| place.change(CONTEXT, "ops-1", "ops-2"),
        amiss: &[("K02", "failed")],
        found: "partner/fr/ops-1",
        fix: "liaison certificate partner FR --system ops-2",
        mends: true,
    },
    Row {
        name: "a certificate that names the partner in a network of another name",
        does: |place| callers_certificate(place, "spiffe://other.example/partner/fr/ops-1", "partners/FR/tls"),
        // The partner cannot know which network is right before the node talks to it.
        amiss: &[("C03", "failed"), ("K03", "failed")],
        found: "alert",
        fix: "show this line to your authority",
        mends: false,
    },
    Row {
        name: "a certificate that ended",
        does: |place| place.partner_certificate(&place.authority(), -100, -3),
        amiss: &[("K04", "failed"), ("C03", "failed")],
        found: "ended 3 h",
        fix: "liaison certificate partner FR",
        mends: true,
    },
    Row {
        name: "a certificate that ends within a week",
        does: |place| place.partner_certificate(&place.authority(), -1, 24 * 5 + 1),
        amiss: &[("K04", "warning")],
        found: "ends in 5 days",
        fix: "liaison certificate partner FR",
        mends: true,
    },
    Row {
        name: "a certificate by an authority that is not pinned",
        does: |place| place.partner_certificate(&strange_authority(), -1, 9_000),
        amiss: &[("C03", "failed")],
        found: "alert",
        fix: "certificate sha256:",
        mends: false,
    },
    Row {
        name: "a partner that is suspended",
        does: |place| place.amend("id = \"FR\"\n", "id = \"FR\"\nstatus = \"suspended\"\n"),
        amiss: &[("C03", "failed")],
        found: "SUSPENDED",
        fix: "show this line to your authority",
        mends: false,
    },
    Row {
        name: "a notice key that is not listed",
        does: |place| place.write("partners/FR/notice.key", strange_key()),
        amiss: &[("K08", "failed")],
        found: "does not list",
        fix: "liaison directory sign",
        mends: false,
    },
    Row {
        name: "a notice key that is denied",
        does: |place| {
            let key = format!("ed25519 = \"{}\"\n", public(place, "partners/FR/notice.key"));
            place.amend(&key, &format!("{key}denied = true\n"));
        },
        amiss: &[("K08", "failed")],
        found: "is denied",
        fix: "a new key",
        mends: false,
    },
    Row {
        name: "a notice key that is listed for acknowledging",
        does: |place| place.write("partners/FR/notice.key", place.text("partners/FR/acknowledgement.key")),
        amiss: &[("K08", "failed")],
        found: "for another use",
        fix: "a key of its own",
        mends: false,
    },
    Row {
        name: "an acknowledgement key that is not listed",
        does: |place| place.write("partners/FR/acknowledgement.key", strange_key()),
        amiss: &[("K09", "failed")],
        found: "does not list",
        fix: "liaison directory sign",
        mends: false,
    },
    Row {
        name: "a trust file that says something else",
        does: |place| place.write("partners/FR/network.trust", "nonsense\n"),
        amiss: &[("D01", "failed")],
        found: "line 1",
        fix: "get the trust file",
        mends: false,
    },
    Row {
        name: "the trust file of another network",
        does: |place| {
            let text = place.text("partners/FR/network.trust");
            let digit = text.find("sha256:").unwrap() + "sha256:".len();
            let other = if &text[digit..=digit] == "0" { "1" } else { "0" };
            place.write("partners/FR/network.trust", format!("{}{other}{}", &text[..digit], &text[digit + 1..]));
        },
        amiss: &[("D02", "failed")],
        found: "a head of another network",
        fix: "tell your authority",
        mends: false,
    },
    Row {
        name: "a directory that is overdue",
        does: |place| place.sign_at(now().plus(-40 * Micros::DAY)),
        amiss: &[("D03", "warning")],
        found: "has been due for 10 days",
        fix: "liaison directory sign",
        mends: false,
    },
    Row {
        name: "a context for somebody who is not listed",
        does: |place| place.change(CONTEXT, "partner = \"FR\"", "partner = \"XX\""),
        amiss: &[("D04", "failed"), ("K02", "failed")],
        found: "partner XX, system ops-1 is not in it",
        fix: "tell your authority",
        mends: false,
    },
    Row {
        name: "no agreement in force any more",
        does: |place| {
            place.change("directory.toml", "from = \"", "from = \"2020-01-01\" # ");
            place.amend("until = \"", "until = \"2021-01-01\" # ");
        },
        amiss: &[("D05", "failed")],
        found: "nobody may send anything",
        fix: "until",
        mends: false,
    },
    Row {
        name: "a trust file that does not name the log",
        does: |place| {
            let text = place.text("partners/FR/network.trust");
            let without: Vec<_> = text.lines().filter(|line| !line.starts_with("log ")).collect();
            place.write("partners/FR/network.trust", without.join("\n") + "\n");
        },
        amiss: &[("D07", "failed")],
        found: "receipts will not verify",
        fix: "echo 'log hub-1.",
        mends: true,
    },
    Row {
        name: "nobody at the address",
        does: |place| place.change(CONTEXT, "127.0.0.1:0", "127.0.0.1:1"),
        amiss: &[("C01", "failed")],
        found: "refused",
        fix: "set `node`",
        mends: false,
    },
    Row {
        name: "somebody at the address who speaks no TLS",
        does: |place| {
            let listener = TcpListener::bind("127.0.0.1:0").unwrap();
            place.change(CONTEXT, "127.0.0.1:0", &listener.local_addr().unwrap().to_string());
            std::thread::spawn(move || {
                for line in listener.incoming().take(1) {
                    let _ = line.and_then(|mut line| line.write_all(b"HTTP/1.1 400 Bad Request\r\n\r\n"));
                }
            });
        },
        amiss: &[("C02", "failed")],
        found: "handshake",
        fix: "the node's own port",
        mends: false,
    },
    Row {
        name: "a node by another authority than the context says",
        does: |place| place.write("partners/FR/authority.pem", strange_authority().certificate_pem()),
        amiss: &[("C05", "failed")],
        found: "did not issue it",
        fix: "send nothing before",
        mends: false,
    },
    Row {
        name: "a node under another name",
        does: |place| place.change(CONTEXT, "server_name = \"hub-1\"", "server_name = \"hub-9\""),
        amiss: &[("C05", "failed")],
        found: "is not for hub-9",
        fix: "server_name",
        mends: false,
    },
    Row {
        name: "another node than is meant",
        does: |place| place.node_certificate("hub-2", &["hub-1", "localhost"], -1, 9_000),
        amiss: &[("C05", "failed")],
        found: "node hub-2 answers, and hub-1 is meant",
        fix: "send nothing before",
        mends: false,
    },
    Row {
        name: "a node that the directory does not list",
        does: |place| {
            place.change(CONTEXT, "node_id = \"hub-1\"\n", "");
            place.node_certificate("hub-2", &["hub-1", "localhost"], -1, 9_000);
        },
        amiss: &[("C05", "failed")],
        found: "node hub-2 is not in the directory",
        fix: "send nothing before",
        mends: false,
    },
    Row {
        name: "another history seen before",
        does: |place| place.write("partners/FR/context.pin", place.signed_checkpoint(3)),
        amiss: &[("L02", "failed")],
        found: "two histories",
        fix: "keep",
        mends: false,
    },
    Row {
        name: "more leaves seen before than there are",
        does: |place| place.write("partners/FR/context.pin", place.signed_checkpoint(1_000)),
        amiss: &[("L02", "failed")],
        found: "it was rolled back",
        fix: "keep",
        mends: false,
    },
    Row {
        name: "a clock before the directory",
        does: |place| place.sign_at(now().plus(2 * Micros::DAY + Micros::HOUR)),
        amiss: &[("T01", "failed")],
        found: "is 2 days before the directory was signed",
        fix: "timedatectl set-ntp true",
        mends: false,
    },
];

/// Starts the node, and tells the contexts that mean it where it is.
async fn started(place: &Place) -> Node {
    let node = Node::start(&place.path("hub.toml")).await;
    for id in ["FR", "KE"] {
        let file = format!("partners/{id}/context.toml");
        place.write(&file, place.text(&file).replace("\"127.0.0.1:0\"", &format!("\"{}\"", node.address)));
    }
    node
}

#[tokio::test(flavor = "multi_thread")]
async fn a_partner_finds_all_well_and_what_waits_for_it_stays_undelivered() {
    let place = Place::copy_of(&stopped().path(""));
    let node = started(&place).await;
    place.partner("FR").is_all_well("FR");
    for _ in 0..2 {
        let report = place.partner("KE");
        report.is_all_well("KE");
        let waits = report.check("M01")["found"].as_str().unwrap().to_string();
        assert!(waits.starts_with("2 notices (0 urgent), for you the longest: "), "{waits}");
    }
    assert!(node.stop().await.success());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_partner_finds_exactly_the_broken_thing() {
    for row in ROWS {
        let place = Place::copy_of(&stopped().path(""));
        (row.does)(&place);
        let node = started(&place).await;
        place.shows(row, |place| place.partner("FR"));
        node.kill().await;
    }
}

#[test]
fn an_unknown_context_is_an_error_and_no_fall_back() {
    let place = Place::copy_of(&stopped().path(""));
    let output = place.run("liaison -c nobody-at-all doctor");
    assert_eq!(output.status.code(), Some(2));
    assert!(String::from_utf8(output.stderr).unwrap().contains("no context nobody-at-all"));
}
