//! Why there is no line, as every command says it: the cause in words, who can mend it by the exit code, and where to look further.

use std::net::TcpListener;
use std::process::Command;

use super::place::{Place, stopped, strange_authority};
use super::pre::{revokes, under_an_ended_intermediate};
use crate::support::Node;

const CONTEXT: &str = "partners/FR/context.toml";

/// The other end, and what the partner's files say of it.
struct Row {
    name: &'static str,
    does: fn(&Place),
    exit: i32,
    said: &'static [&'static str],
}

/// The node refused this certificate.
const NOT_LET_IN: i32 = 4;
/// The same call may pass later.
const LATER: i32 = 6;
/// Who answers is not who is meant.
const NOT_PROVEN: i32 = 7;

const ROWS: &[Row] = &[
    Row {
        name: "a certificate that ended",
        does: |place| place.partner_certificate(&place.authority(), -100, -3),
        exit: NOT_LET_IN,
        said: &["the node refused this certificate: it has expired"],
    },
    Row {
        name: "a certificate that does not hold yet",
        does: |place| place.partner_certificate(&place.authority(), 3, 100),
        exit: NOT_LET_IN,
        said: &["the node refused this certificate"],
    },
    Row {
        name: "a certificate by an authority that is not pinned",
        does: |place| place.partner_certificate(&strange_authority(), -1, 9_000),
        exit: NOT_LET_IN,
        said: &["the node refused this certificate", "authority"],
    },
    Row {
        name: "a certificate that is revoked",
        does: |place| revokes(place, -1, 48, &["partners/FR/tls.pem"]),
        exit: NOT_LET_IN,
        said: &["the node refused this certificate: it is revoked"],
    },
    Row {
        name: "a partner that is suspended",
        does: |place| place.amend("id = \"FR\"\n", "id = \"FR\"\nstatus = \"suspended\"\n"),
        exit: NOT_LET_IN,
        said: &["SUSPENDED"],
    },
    Row {
        name: "a wrong name for the server",
        does: |place| place.change(CONTEXT, "server_name = \"hub-1\"", "server_name = \"hub-2\""),
        exit: NOT_PROVEN,
        said: &["is not for hub-2: it is for", "hub-1"],
    },
    Row {
        name: "another node that is meant",
        does: |place| place.change(CONTEXT, "node_id = \"hub-1\"", "node_id = \"hub-2\""),
        exit: NOT_PROVEN,
        said: &["hub-1 answers, and hub-2 was meant"],
    },
    Row {
        name: "an authority that did not issue the node's certificate",
        does: |place| place.write("partners/FR/authority.pem", strange_authority().certificate_pem()),
        exit: NOT_PROVEN,
        said: &["is not in the authority file"],
    },
    Row {
        name: "a node's certificate that ended",
        does: |place| place.node_certificate("hub-1", &["hub-1"], -100, -3),
        exit: NOT_PROVEN,
        said: &["the node's certificate ended at 20", "this machine's clock says 20"],
    },
    Row {
        name: "a node's certificate that does not hold yet",
        does: |place| place.node_certificate("hub-1", &["hub-1"], 3, 100),
        exit: NOT_PROVEN,
        said: &["the node's certificate does not hold before 20"],
    },
    Row {
        name: "an authority between that ended",
        does: under_an_ended_intermediate,
        exit: NOT_PROVEN,
        said: &["the intermediate certificate", "Between", "ended at 20", "this machine's clock says 20"],
    },
];

fn inbox(place: &Place, address: &str) -> (i32, String) {
    let text = place.text(CONTEXT);
    let here = |line: &str| match line.starts_with("node = ") {
        true => format!("node = \"{address}\"\n"),
        false => format!("{line}\n"),
    };
    place.write(CONTEXT, text.lines().map(here).collect::<String>());
    let folder = place.path("partners/FR");
    let output = Command::new(env!("CARGO_BIN_EXE_liaison")).arg("-c").arg(folder).arg("inbox").output().unwrap();
    (output.status.code().unwrap(), String::from_utf8(output.stderr).unwrap())
}

/// What no person should have to read.
fn assert_in_words(name: &str, said: &str) {
    for raw in
        ["BadSignature", "InvalidContentType", "transport error", "Unknown:", "verification time", "UnknownIssuer"]
    {
        assert!(!said.contains(raw), "{name}: {said}");
    }
    assert!(said.contains("next: "), "{name}: {said}");
}

#[tokio::test]
async fn every_reason_why_there_is_no_line_is_told_in_words_with_its_own_exit_code() {
    let network = stopped();
    for row in ROWS {
        let place = Place::copy_of(&network.path(""));
        (row.does)(&place);
        let node = Node::start(&place.path("hub.toml")).await;
        let (exit, said) = inbox(&place, &node.address);
        assert_eq!(exit, row.exit, "{}: {said}", row.name);
        row.said.iter().for_each(|word| assert!(said.contains(word), "{}: {said}", row.name));
        assert_in_words(row.name, &said);
        assert!(
            row.exit == NOT_LET_IN && said.contains("SUSPENDED") || said.contains("doctor"),
            "{}: {said}",
            row.name
        );
        node.kill().await;
    }
}

#[tokio::test]
async fn who_is_not_there_may_be_there_later_and_who_speaks_no_tls_will_not() {
    let place = Place::copy_of(&stopped().path(""));
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap().to_string();
    let speaks = std::thread::spawn(move || {
        use std::io::{Read as _, Write as _};
        let (mut line, _) = listener.accept().unwrap();
        let _ = line.read(&mut [0; 64]);
        let _ = line.write_all(b"HTTP/1.1 400 Bad Request\r\n\r\n");
        let _ = line.read_to_end(&mut Vec::new());
    });
    let (exit, said) = inbox(&place, &address);
    assert!(exit == NOT_PROVEN && said.contains("does not speak TLS"), "{exit} {said}");
    speaks.join().unwrap();
    // The listener is gone by now.
    let (exit, said) = inbox(&place, &address);
    assert!(exit == LATER && said.contains("refused"), "{exit} {said}");
    assert_in_words("nobody listens", &said);
}
