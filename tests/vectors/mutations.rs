//! Whatever arrives, nothing panics, and not one byte of a receipt can be changed unseen.

use bytes::Bytes;
use liaison_protocol::ack::{ACKNOWLEDGEMENT, Acknowledgement};
use liaison_protocol::directory::{DIRECTORY_HEAD, Directory, RECORD, SignedHead, read_record};
use liaison_protocol::envelope::{ENVELOPE, Envelope, Expect, MANIFEST_TYPE};
use liaison_protocol::keyring::Usage;
use liaison_protocol::manifest::{MANIFEST, Manifest, SignedManifest};
use liaison_protocol::receipt::{self, EVIDENCE, Outcome};
use liaison_protocol::statement::{STATEMENT, Statement};
use liaison_protocol::tlog::checkpoint::{Checkpoint, SignedNote, VerifierKey};
use liaison_protocol::tlog::proof_file::ProofFile;
use liaison_protocol::trust::Trust;
use liaison_protocol::wire;
use proptest::prelude::*;
use prost::Message as _;

use super::cases::receipt::right;
use super::cases::statement::accepted;
use super::cases::trust::witnessed_trust;
use super::cases::world::{self, NOW};

/// Gives bytes to everything that reads bytes from strangers.
fn read_everything(bytes: &[u8]) {
    for shape in [&ENVELOPE, &MANIFEST, &ACKNOWLEDGEMENT, &DIRECTORY_HEAD, &RECORD, &STATEMENT, &EVIDENCE] {
        let _ = wire::check(bytes, shape);
    }
    let bytes = Bytes::copy_from_slice(bytes);
    let keys: Vec<_> = world::keys().iter().map(world::Key::trusted).collect();
    let expect = Expect {
        network: world::network(),
        payload_type: MANIFEST_TYPE,
        usage: Usage::Notice,
        keys: &keys,
        tables: None,
    };
    let _ = Envelope::parse(bytes.clone());
    let _ = SignedManifest::parse(bytes.clone()).and_then(|signed| signed.verify(&expect, NOW));
    let _ = Manifest::parse(bytes.clone());
    let _ = Acknowledgement::parse(bytes.clone());
    let _ = Statement::decode(bytes.clone());
    let _ = read_record(bytes.clone());
    let _ = SignedHead::parse(bytes.clone()).and_then(|head| head.verify(&world::founders(), None));
    let _ = Directory::open(bytes.clone(), &world::founders(), None);
    let _ = receipt::verify(&bytes, None);
    let _ = SignedNote::parse(&bytes).map(|note| Checkpoint::parse(note.text()).is_ok());
    let text = String::from_utf8_lossy(&bytes);
    let _ = ProofFile::parse(&text);
    let _ = text.parse::<Trust>();
    let _ = text.parse::<VerifierKey>();
}

/// One right example of everything.
fn right_messages() -> Vec<Vec<u8>> {
    let plain = world::plain_manifest().encode_to_vec();
    let (file, head) =
        world::sealed(&world::first_head(), &world::salted(&world::records()), &["authority-1", "authority-2"]);
    let [(acceptance, trust), (word, _), (witnessed, _)] = right();
    vec![
        world::signed("arden-notice", MANIFEST_TYPE, &plain),
        plain,
        accepted().encode().to_vec(),
        file.to_vec(),
        head.to_vec(),
        acceptance.into_bytes(),
        word.into_bytes(),
        witnessed.into_bytes(),
        trust.into_bytes(),
        witnessed_trust().into_bytes(),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(256) })]

    #[test]
    fn no_bytes_make_anything_panic(bytes in prop::collection::vec(any::<u8>(), 0..600)) {
        read_everything(&bytes);
    }

    #[test]
    fn no_change_of_something_right_makes_anything_panic(
        which in any::<prop::sample::Index>(),
        changes in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>(), 0_u8..4), 1..6),
    ) {
        let messages = right_messages();
        let mut bytes = messages[which.index(messages.len())].clone();
        for (place, value, how) in changes {
            let place = place.index(bytes.len().max(1));
            match how {
                0 if place < bytes.len() => bytes[place] = value,
                1 => bytes.insert(place, value),
                2 if place < bytes.len() => {
                    bytes.remove(place);
                }
                _ => bytes.truncate(place),
            }
        }
        read_everything(&bytes);
    }

    #[test]
    fn a_changed_manifest_is_never_believed(place in any::<prop::sample::Index>(), value in 1_u8..=255) {
        let plain = world::plain_manifest().encode_to_vec();
        let mut payload = plain.clone();
        let place = place.index(payload.len());
        payload[place] ^= value;
        let signature = world::signature("arden-notice", MANIFEST_TYPE, &plain);
        let envelope = world::envelope(MANIFEST_TYPE, &payload, &[(&signature, "")]);
        let keys: Vec<_> = world::keys().iter().map(world::Key::trusted).collect();
        let expect = Expect { network: world::network(), payload_type: MANIFEST_TYPE, usage: Usage::Notice, keys: &keys, tables: None };
        let verified = SignedManifest::parse(envelope.into()).and_then(|signed| signed.verify(&expect, NOW));
        prop_assert!(verified.is_err());
    }

    #[test]
    fn any_other_value_of_any_byte_of_a_receipt_is_seen(
        which in 0_usize..3,
        place in any::<prop::sample::Index>(),
        value in 1_u8..=255,
    ) {
        let (file, trust) = right()[which].clone();
        let mut changed = file.into_bytes();
        let place = place.index(changed.len());
        changed[place] ^= value;
        must_fail(&changed, &trust.parse().expect("a trust file"), place);
    }
}

fn must_fail(changed: &[u8], trust: &Trust, place: usize) {
    let report = receipt::verify(changed, Some(trust));
    assert_eq!(report.outcome, Outcome::Failed, "byte {place}");
    let last = report.findings.last().expect("a failing step is named");
    assert!(!last.holds && !last.text.is_empty(), "byte {place}");
}

#[test]
fn every_byte_of_every_receipt_counts() {
    for (file, trust) in right() {
        let trust: Trust = trust.parse().expect("a trust file");
        assert_eq!(receipt::verify(file.as_bytes(), Some(&trust)).outcome, Outcome::Verified);
        let mut changed = file.clone().into_bytes();
        for place in 0..changed.len() {
            // Another bit, the other case, and a character of base64's alphabet for another.
            for flip in [0x01, 0x20, 0x06] {
                changed[place] ^= flip;
                must_fail(&changed, &trust, place);
                changed[place] ^= flip;
            }
        }
        for place in 0..file.len() {
            must_fail(&file.as_bytes()[..place], &trust, place);
        }
    }
}
