//! FAULTS 26 to 38: who signed, what was signed, and in which form.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use liaison_client::sign::SignedNotice;
use liaison_protocol::envelope::{ACKNOWLEDGEMENT_TYPE, MANIFEST_TYPE, pre_authentication_encoding, sign};
use liaison_protocol::proto;
use liaison_protocol::signer::{EcdsaP256Signer, Signer};
use prost::Message as _;
use ring::rand::SystemRandom;
use ring::signature::{ECDSA_P256_SHA256_ASN1_SIGNING, EcdsaKeyPair};
use tonic::Code;

use crate::support::*;

fn new_p256() -> EcdsaP256Signer {
    let pkcs8 = EcdsaKeyPair::generate_pkcs8(&ECDSA_P256_SHA256_ASN1_SIGNING, &SystemRandom::new()).unwrap();
    EcdsaP256Signer::from_pkcs8(pkcs8.as_ref()).unwrap()
}

fn p256_line(signer: &EcdsaP256Signer) -> String {
    format!("ecdsa_p256 = \"{}\"", hex(signer.public().as_bytes()))
}

/// The notice with another signature.
fn with_signature(notice: &SignedNotice, signature: impl Into<Bytes>) -> Bytes {
    let mut envelope = opened(notice);
    envelope.signatures[0].sig = signature.into();
    envelope.encode_to_vec().into()
}

#[tokio::test]
async fn fault_26_a_notice_in_the_name_of_another_partner_is_refused() {
    let network = Network::of(&["FR", "KE"]);
    let node = network.start().await;
    let (fr, ke) = (network.partner("FR", &node).await, network.partner("KE", &node).await);
    let mut draft = fr.draft("KE/1", &["FR"]);
    draft.originator = ke.id.clone();
    let notice = fr.sign(draft);
    fr.is_refused(&notice, notice.envelope.clone(), Code::PermissionDenied, "SENDER_MISMATCH").await;
    assert_log_is_sound(&fr).await;
}

#[tokio::test]
async fn fault_27_a_notice_signed_with_the_key_of_another_partner_is_refused() {
    let network = Network::of(&["FR", "KE"]);
    let node = network.start().await;
    let (fr, ke) = (network.partner("FR", &node).await, network.partner("KE", &node).await);
    let notice = fr.draft("FR/1", &["KE"]).sign(&ke.notice_key).unwrap();
    fr.is_refused(&notice, notice.envelope.clone(), Code::Unauthenticated, "BAD_SIGNATURE").await;
    // Neither may KE hand in what FR signed.
    let notice = fr.notice("FR/1", &["KE"]);
    ke.is_refused(&notice, notice.envelope.clone(), Code::Unauthenticated, "BAD_SIGNATURE").await;
    assert_log_is_sound(&fr).await;
}

#[tokio::test]
async fn fault_28_a_signature_that_is_missing_or_has_no_possible_shape_is_told_apart() {
    let network = Network::of(&["FR", "KE"]);
    let node = network.start().await;
    let fr = network.partner("FR", &node).await;
    let notice = fr.notice("FR/1", &["KE"]);
    let whole = opened(&notice).signatures[0].sig.clone();
    let rows: [(Vec<u8>, Code, &str); 3] = [
        (Vec::new(), Code::Unauthenticated, "SIGNATURE_MISSING"),
        (whole[..63].to_vec(), Code::InvalidArgument, "SIGNATURE_SHAPE"),
        ([&whole[..], &[0]].concat(), Code::InvalidArgument, "SIGNATURE_SHAPE"),
    ];
    for (signature, code, reason) in rows {
        fr.is_refused(&notice, with_signature(&notice, signature), code, reason).await;
    }
    assert_log_is_sound(&fr).await;
}

#[tokio::test]
async fn fault_29_no_bit_of_what_was_signed_can_be_changed() {
    let network = Network::of(&["FR", "KE"]);
    let node = network.start().await;
    let fr = network.partner("FR", &node).await;
    let notice = fr.notice("FR/1", &["KE"]);
    let other = fr.notice("FR/2", &["KE"]);
    let whole = opened(&notice);
    let mut changed = Vec::new();
    for place in (0..whole.payload.len()).step_by(7) {
        let mut payload = whole.payload.to_vec();
        payload[place] ^= 1 << (place % 8);
        changed.push(proto::Envelope { payload: payload.into(), ..whole.clone() });
    }
    for place in (0..64).step_by(5) {
        let mut envelope = whole.clone();
        let mut signature = envelope.signatures[0].sig.to_vec();
        signature[place] ^= 1 << (place % 8);
        envelope.signatures[0].sig = signature.into();
        changed.push(envelope);
    }
    changed.push(proto::Envelope { payload: opened(&other).payload, ..whole });
    for envelope in changed {
        fr.is_refused(&notice, envelope.encode_to_vec(), Code::Unauthenticated, "BAD_SIGNATURE").await;
    }
    assert_log_is_sound(&fr).await;
}

#[tokio::test]
async fn fault_30_the_payload_type_is_signed_with_the_payload_and_so_is_the_border_between_them() {
    let network = Network::of(&["FR", "KE"]);
    let node = network.start().await;
    let fr = network.partner("FR", &node).await;
    let notice = fr.notice("FR/1", &["KE"]);
    let whole = opened(&notice);
    let (shorter, last) = MANIFEST_TYPE.split_at(MANIFEST_TYPE.len() - 1);
    let rows = [
        (ACKNOWLEDGEMENT_TYPE.into(), whole.payload.clone()),
        (MANIFEST_TYPE.to_uppercase(), whole.payload.clone()),
        (String::new(), whole.payload.clone()),
        (shorter.into(), [last.as_bytes(), &whole.payload].concat().into()),
        (format!("{MANIFEST_TYPE}\n"), whole.payload.slice(1..)),
    ];
    for (payload_type, payload) in rows {
        let envelope = proto::Envelope { payload, payload_type, signatures: whole.signatures.clone() };
        fr.is_refused(&notice, envelope.encode_to_vec(), Code::Unauthenticated, "BAD_SIGNATURE").await;
    }
    assert_log_is_sound(&fr).await;
}

#[tokio::test]
async fn fault_31_a_payload_type_that_submit_does_not_take_is_named_as_the_fault() {
    let network = Network::of(&["FR", "KE"]);
    let node = network.start().await;
    let fr = network.partner("FR", &node).await;
    let notice = fr.notice("FR/1", &["KE"]);
    for payload_type in [ACKNOWLEDGEMENT_TYPE, "application/vnd.liaison.manifest.v2+protobuf", "text/plain"] {
        let envelope = sign(payload_type, opened(&notice).payload, &fr.notice_key).unwrap();
        fr.is_refused(&notice, envelope, Code::InvalidArgument, "UNKNOWN_PAYLOAD_TYPE").await;
    }
    assert_log_is_sound(&fr).await;
}

#[tokio::test]
async fn fault_32_a_key_id_decides_nothing() {
    let network = Network::of(&["FR", "KE"]);
    let node = network.start().await;
    let (fr, ke) = (network.partner("FR", &node).await, network.partner("KE", &node).await);

    // Given a notice whose key id names KE's key, or nothing that could be one,
    for (reference, key_id) in [("FR/1", ke.notice_key.public().id().0.to_hex()), ("FR/2", "../../etc".into())] {
        let mut notice = fr.notice(reference, &["KE"]);
        let mut envelope = opened(&notice);
        envelope.signatures[0].keyid = key_id;
        notice.envelope = envelope.encode_to_vec().into();

        // then it is FR's, who signed it.
        fr.submit(&notice).await.unwrap();
        let delivered = ke.collect().await;
        assert_eq!(delivered.last().unwrap().envelope, notice.envelope);
    }

    // Nor does FR's key id make KE's signature FR's.
    let mut envelope = opened(&fr.draft("FR/3", &["KE"]).sign(&ke.notice_key).unwrap());
    envelope.signatures[0].keyid = fr.notice_key.public().id().0.to_hex();
    let notice = fr.notice("FR/3", &["KE"]);
    fr.is_refused(&notice, envelope.encode_to_vec(), Code::Unauthenticated, "BAD_SIGNATURE").await;
    assert_log_is_sound(&fr).await;
}

#[tokio::test]
async fn fault_33_a_signature_has_one_valid_form_and_weak_keys_cannot_be_listed() {
    let network = Network::of(&["FR", "KE"]);
    let node = network.start().await;
    let fr = network.partner("FR", &node).await;
    let notice = fr.notice("FR/1", &["KE"]);

    // S + L satisfies the equation, and is not the S that was made.
    let mut signature = opened(&notice).signatures[0].sig.to_vec();
    add(&mut signature[32..], &L);
    fr.is_refused(&notice, with_signature(&notice, signature), Code::Unauthenticated, "BAD_SIGNATURE").await;

    // Anyone can sign for a key of small order: R and the key both the neutral element, S zero.
    let neutral: Vec<u8> = [&[1_u8][..], &[0; 31]].concat();
    let forged = [&neutral[..], &[0; 32]].concat();
    fr.is_refused(&notice, with_signature(&notice, forged), Code::Unauthenticated, "BAD_SIGNATURE").await;
    let said = network.amend_notice_key("FR", &format!("ed25519 = \"{}\"", hex(&neutral))).unwrap_err();
    assert!(said.contains("small order"), "{said}");
    assert_log_is_sound(&fr).await;
}

/// The order of Ed25519's group, little-endian.
const L: [u8; 32] = [
    0xed, 0xd3, 0xf5, 0x5c, 0x1a, 0x63, 0x12, 0x58, 0xd6, 0x9c, 0xf7, 0xa2, 0xde, 0xf9, 0xde, 0x14, 0, 0, 0, 0, 0,
    0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0x10,
];

/// Little-endian, without the last carry.
fn add(number: &mut [u8], other: &[u8]) {
    let mut carry = 0;
    for (digit, other) in number.iter_mut().zip(other) {
        let sum = u16::from(*digit) + u16::from(*other) + carry;
        (*digit, carry) = (sum as u8, sum >> 8);
    }
}

#[tokio::test]
async fn fault_34_ecdsa_is_taken_in_strict_der_with_either_s_and_makes_one_leaf() {
    let network = Network::of(&["FR", "KE"]);
    let p256 = new_p256();
    network.amend_notice_key("FR", &p256_line(&p256)).unwrap();
    let node = network.start().await;
    let fr = network.partner("FR", &node).await;
    let notice = fr.draft("FR/1", &["KE"]).sign(&p256).unwrap();
    let strict = opened(&notice).signatures[0].sig.to_vec();
    let (r, s) = integers(&strict);

    // Anything but strict DER is refused,
    let rows = [
        [&[0x30, 0x81], &strict[1..]].concat(),
        [&strict[..], &[0]].concat(),
        [fixed(&r), fixed(&s)].concat(),
        der(&[&[0], &r[..]].concat(), &s),
    ];
    for signature in rows {
        fr.is_refused(&notice, with_signature(&notice, signature), Code::InvalidArgument, "SIGNATURE_SHAPE").await;
    }

    // and either S is taken, as the same notice.
    let first = fr.submit(&notice).await.unwrap();
    let size = fr.log_size().await;
    let mut mirrored = notice.clone();
    mirrored.envelope = with_signature(&notice, der(&r, &minus(&N, &s)));
    let again = fr.client.submit(&mirrored).await.unwrap();
    assert!(!first.duplicate && again.duplicate);
    assert_eq!((first.receipt.leaf, &first.receipt.opening), (again.receipt.leaf, &again.receipt.opening));
    assert_eq!(fr.log_size().await, size);
    assert_log_is_sound(&fr).await;
}

/// The order of P-256's group, big-endian.
const N: [u8; 32] = [
    0xff, 0xff, 0xff, 0xff, 0, 0, 0, 0, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xbc, 0xe6, 0xfa, 0xad,
    0xa7, 0x17, 0x9e, 0x84, 0xf3, 0xb9, 0xca, 0xc2, 0xfc, 0x63, 0x25, 0x51,
];

/// The two numbers of a strict DER signature.
fn integers(der: &[u8]) -> (Vec<u8>, Vec<u8>) {
    let first = usize::from(der[3]);
    (der[4..4 + first].to_vec(), der[6 + first..].to_vec())
}

/// Two numbers as they are, in DER.
fn der(r: &[u8], s: &[u8]) -> Vec<u8> {
    let integer = |bytes: &[u8]| [&[2, bytes.len() as u8], bytes].concat();
    let both = [integer(r), integer(s)].concat();
    [&[0x30, both.len() as u8], &both[..]].concat()
}

/// A number in 32 bytes.
fn fixed(number: &[u8]) -> Vec<u8> {
    let digits: Vec<_> = number.iter().copied().skip_while(|digit| *digit == 0).collect();
    [vec![0; 32 - digits.len()], digits].concat()
}

/// A difference, as an integer of DER.
fn minus(from: &[u8; 32], number: &[u8]) -> Vec<u8> {
    let (mut digits, mut borrow) = (vec![0; 32], 0);
    for (place, other) in fixed(number).into_iter().enumerate().rev() {
        let difference = i16::from(from[place]) - i16::from(other) - borrow;
        (digits[place], borrow) = (difference.rem_euclid(256) as u8, i16::from(difference < 0));
    }
    let digits: Vec<_> = digits.into_iter().skip_while(|digit| *digit == 0).collect();
    if digits[0] & 0x80 == 0 { digits } else { [vec![0], digits].concat() }
}

#[tokio::test]
async fn fault_36_a_key_signs_only_what_it_is_listed_for() {
    let network = Network::of(&["FR", "KE"]);
    // Given that FR's notice key is of the same kind as the key of its certificate,
    network.amend_notice_key("FR", &p256_line(&new_p256())).unwrap();
    let node = network.start().await;
    let (fr, ke) = (network.partner("FR", &node).await, network.partner("KE", &node).await);
    let body: String = fr.tls_key_pem.lines().filter(|line| !line.starts_with('-')).collect();
    let tls = EcdsaP256Signer::from_pkcs8(&STANDARD.decode(body).unwrap()).unwrap();
    // then neither its certificate's key nor anyone's key for acknowledgements signs a notice.
    let notice = fr.draft("FR/1", &["KE"]).sign(&tls).unwrap();
    fr.is_refused(&notice, notice.envelope.clone(), Code::Unauthenticated, "BAD_SIGNATURE").await;
    let notice = ke.draft("KE/1", &["FR"]).sign(&ke.acknowledgement_key).unwrap();
    ke.is_refused(&notice, notice.envelope.clone(), Code::Unauthenticated, "BAD_SIGNATURE").await;
    assert_log_is_sound(&fr).await;
}

#[tokio::test]
async fn fault_37_an_envelope_carries_exactly_one_signature() {
    let network = Network::of(&["FR", "KE"]);
    let node = network.start().await;
    let fr = network.partner("FR", &node).await;
    let notice = fr.notice("FR/1", &["KE"]);
    let whole = opened(&notice);
    for count in [0, 2, 16, 17, 1_000] {
        // A thousand signatures fit into an envelope only when they are short.
        let one = if count == 1_000 { proto::Signature::default() } else { whole.signatures[0].clone() };
        let envelope = proto::Envelope { signatures: vec![one; count], ..whole.clone() };
        fr.is_refused(&notice, envelope.encode_to_vec(), Code::InvalidArgument, "SIGNATURE_COUNT").await;
    }
    assert_log_is_sound(&fr).await;
}

#[tokio::test]
async fn fault_38_signed_bytes_arrive_as_they_were_signed_however_they_were_encoded() {
    let network = Network::of(&["FR", "KE"]);
    let node = network.start().await;
    let (fr, ke) = (network.partner("FR", &node).await, network.partner("KE", &node).await);
    let notice = fr.notice("FR/1", &["KE"]);
    let manifest = manifest(&notice);

    // Given a manifest that begins with its network and then goes backwards, with long numbers and fields that nobody knows,
    let mut kind = varint(4 << 3, 3);
    kind.extend(varint(manifest.kind as u64, 10));
    let rest = proto::Manifest { network: Bytes::new(), kind: 0, ..manifest.clone() }.encode_to_vec();
    let payload = [field(1, &manifest.network), field(9_999, b"from a later proto"), kind, rest].concat();
    let payload_type = MANIFEST_TYPE.to_string();
    let signature = fr.notice_key.sign(&pre_authentication_encoding(&payload_type, &payload)).unwrap();
    // in an envelope that is written just as freely,
    let envelope: Bytes = [
        field(3, &field(1, &signature)),
        field(77, b"unknown"),
        field(2, payload_type.as_bytes()),
        field(1, &payload),
    ]
    .concat()
    .into();
    let notice = SignedNotice { envelope: envelope.clone(), ..notice };
    let id = liaison_protocol::envelope::Envelope::parse(envelope.clone()).unwrap().digest(MANIFEST_TYPE);
    let notice = SignedNotice { id: liaison_protocol::id::NoticeId(id), ..notice };

    // then every byte of both reaches the recipient, and whoever reads the notice back.
    fr.submit(&notice).await.unwrap();
    assert_eq!(ke.collect().await[0].envelope, envelope);
    let name = liaison_client::by_reference(None, &notice.reference);
    let read = fr.client.notice(proto::get_notice_request::Name::Notice(name)).await.unwrap();
    assert_eq!((read.envelope, read.id), (envelope, notice.id));
    assert_log_is_sound(&fr).await;
}
