//! How much waits, and certificates issued anew: what doctor rests on.

use liaison_protocol::proto::{Precedence, Verdict};

use super::place::{LIAISON, Place, stopped};
use crate::support::{Network, assert_log_is_sound, now};

#[tokio::test(flavor = "multi_thread")]
async fn asking_how_much_waits_counts_the_urgent_names_the_oldest_and_delivers_nothing() {
    let network = Network::of(&["FR", "KE"]);
    let node = network.start().await;
    let (fr, ke) = (network.partner("FR", &node).await, network.partner("KE", &node).await);
    let empty = ke.client.mailbox().await.unwrap();
    assert_eq!((empty.waiting, empty.urgent, empty.oldest_at_us), (0, 0, 0));

    let before = now();
    fr.send("FR/2026/000001", &["KE"]).await;
    let between = now();
    let mut urgent = fr.draft("FR/2026/000002", &["KE"]);
    urgent.precedence = Precedence::Flash;
    fr.submit(&fr.sign(urgent)).await.unwrap();

    let full = ke.client.mailbox().await.unwrap();
    assert_eq!((full.waiting, full.urgent), (2, 1));
    assert!(
        (before.0..=between.0).contains(&full.oldest_at_us),
        "the routine one came first, though it is sent last"
    );
    assert!((between.0..=now().0).contains(&full.now_us));
    let own = fr.client.mailbox().await.unwrap();
    assert_eq!(own.waiting, 0, "nobody is told of another's mailbox");

    let collected = ke.collect().await;
    assert_eq!(collected.len(), 2, "asking has delivered nothing");
    ke.settle(&ke.verdict(&collected[1..], Verdict::Accepted)).await;
    let left = ke.client.mailbox().await.unwrap();
    assert_eq!((left.waiting, left.urgent), (1, 1));
    assert!(left.oldest_at_us >= between.0, "the one that has waited longest is gone");
    assert_log_is_sound(&ke).await;
}

#[test]
fn a_certificate_issued_anew_keeps_the_names_of_the_old_one_and_takes_another_key() {
    let place = Place::copy_of(&stopped().path(""));
    let issue = |more: &str| {
        let folder = place.path("").display().to_string();
        let done = place.run(&format!("{LIAISON} certificate node hub-1 --folder '{folder}' {more}"));
        assert!(done.status.success(), "{}", String::from_utf8_lossy(&done.stderr));
        (names(&place), place.text("pki/hub-1.key"))
    };
    let (first, first_key) = issue("--dns hub.example.int --dns 192.0.2.7");
    let (second, second_key) = issue("");
    assert!(first.contains(&"DNSName(hub.example.int)".to_string()), "{first:?}");
    assert!(first.iter().any(|name| name.starts_with("IPAddress(") && name.contains("c0:00:02:07")), "{first:?}");
    assert_eq!(first, second);
    assert_ne!(first_key, second_key);
    place.pre().is_all_well("issued anew");
}

/// The names in the node's certificate, in some order of their own.
fn names(place: &Place) -> Vec<String> {
    let pem = x509_parser::pem::parse_x509_pem(place.text("pki/hub-1.pem").as_bytes()).unwrap().1;
    let leaf = pem.parse_x509().unwrap();
    let names = leaf.subject_alternative_name().unwrap().unwrap();
    let mut names: Vec<_> = names.value.general_names.iter().map(ToString::to_string).collect();
    names.sort_unstable();
    names
}
