//! A table, and a verification that does not take R apart, give the library's strict verdict: on Wycheproof's vectors, on every
//! combination of the encodings that strictness is about, and on whatever chance brings.

use curve25519_dalek::constants::{ED25519_BASEPOINT_POINT, EIGHT_TORSION};
use curve25519_dalek::edwards::CompressedEdwardsY;
use curve25519_dalek::{EdwardsPoint, Scalar};
use ed25519_dalek::{Signature, Signer as _, SigningKey, VerifyingKey};
use proptest::prelude::*;
use ring::digest;

use super::strict::{self, Claim};
use super::{PublicKey, Signed, SignerTable, SignerTables};

/// A key as the library reads it, whether or not we would list it, with its table.
struct Judges {
    key: VerifyingKey,
    table: Option<SignerTable>,
}

impl Judges {
    fn of(key: &[u8; 32]) -> Option<Self> {
        let key = VerifyingKey::from_bytes(key).ok()?;
        Some(Self { key, table: SignerTable::over(&key) })
    }

    /// The verdict of all.
    fn verdict(&self, message: &[u8], signature: &[u8; 64]) -> bool {
        let verdict = self.key.verify_strict(message, &Signature::from_bytes(signature)).is_ok();
        let shown = || format!("key {:?}, signature {signature:?}, message {message:?}", self.key.as_bytes());
        match &self.table {
            Some(table) => {
                let alone = Claim::alone(&self.key, Signed { message, signature });
                let accepted_alone = strict::hold(alone.as_slice()) == [true];
                assert_eq!(table.verify(message, signature).is_ok(), verdict, "with a table: {}", shown());
                assert_eq!(accepted_alone, verdict, "without: {}", shown());
            }
            None => assert!(!verdict, "a key of small order: {}", shown()),
        }
        verdict
    }
}

fn challenge(commitment: &[u8; 32], key: &[u8; 32], message: &[u8]) -> Scalar {
    let hash = digest::digest(&digest::SHA512, &[commitment, key, message].concat());
    Scalar::from_bytes_mod_order_wide(hash.as_ref().try_into().expect("64 bytes"))
}

fn joined(commitment: &[u8; 32], response: &[u8; 32]) -> [u8; 64] {
    std::array::from_fn(|nth| if nth < 32 { commitment[nth] } else { response[nth - 32] })
}

/// A number in little-endian bytes, and another added to it; None if that needs more than 256 bits.
fn plus(number: &[u8; 32], other: &[u8; 32]) -> Option<[u8; 32]> {
    let mut carry = 0;
    let sum = std::array::from_fn(|nth| {
        carry += u16::from(number[nth]) + u16::from(other[nth]);
        let byte = carry as u8;
        carry >>= 8;
        byte
    });
    (carry == 0).then_some(sum)
}

/// 2^255 - 19.
fn field_order() -> [u8; 32] {
    let mut order = [0xff; 32];
    (order[0], order[31]) = (0xed, 0x7f);
    order
}

/// The group's order.
fn group_order() -> [u8; 32] {
    plus(&(-Scalar::ONE).to_bytes(), &Scalar::ONE.to_bytes()).expect("below 2^253")
}

/// Every way to write a y: with either sign, below the field's order and, where it fits into 255 bits, above.
fn encodings(y: [u8; 32]) -> Vec<[u8; 32]> {
    let second = plus(&y, &field_order()).filter(|second| second[31] < 0x80);
    let with_signs = |y: [u8; 32]| {
        let mut negative = y;
        negative[31] |= 0x80;
        [y, negative]
    };
    [Some(y), second].into_iter().flatten().flat_map(with_signs).collect()
}

fn y_of(point: EdwardsPoint) -> [u8; 32] {
    let mut y = point.compress().to_bytes();
    y[31] &= 0x7f;
    y
}

/// All encodings of points of small order, and of the other y that have a second encoding: those below 19.
fn odd_encodings() -> Vec<[u8; 32]> {
    let small_order = EIGHT_TORSION.map(y_of);
    let with_second = (0..19).map(|y| std::array::from_fn(|nth| if nth == 0 { y } else { 0 }));
    let mut all: Vec<_> = small_order.into_iter().chain(with_second).flat_map(encodings).collect();
    all.sort_unstable();
    all.dedup();
    all
}

/// A response as it is, above the group's order, and with each of the three bits that a scalar never has.
fn responses(response: &Scalar) -> Vec<[u8; 32]> {
    let bytes = response.to_bytes();
    let mut all = vec![bytes, [0; 32], group_order(), (-Scalar::ONE).to_bytes(), [0xff; 32]];
    all.extend(plus(&bytes, &group_order()));
    all.extend([0x20, 0x40, 0x80].map(|bit| {
        let mut high = bytes;
        high[31] |= bit;
        high
    }));
    all
}

fn secret(word: &[u8]) -> Scalar {
    Scalar::from_bytes_mod_order_wide(digest::digest(&digest::SHA512, word).as_ref().try_into().expect("64 bytes"))
}

#[test]
fn every_vector_of_wycheproof_gets_one_verdict_and_it_is_wycheproofs() {
    let set = wycheproof::eddsa::TestSet::load(wycheproof::eddsa::TestName::Ed25519).expect("the crate carries it");
    let (mut valid, mut invalid) = (0, 0);
    for group in set.test_groups {
        let key: [u8; 32] = group.key.pk.as_ref().try_into().expect("32 bytes");
        let judges = Judges::of(&key).expect("a point");
        let public = PublicKey::ed25519(&key).expect("one we would list");
        let signed: Vec<_> =
            group.tests.iter().map(|test| Signed { message: &test.msg, signature: &test.sig[..] }).collect();
        let tables = SignerTables::default();
        let together: Vec<_> = (0..20).map(|_| tables.verify(&public, &signed)).collect();
        for (nth, test) in group.tests.iter().enumerate() {
            let expected = test.result == wycheproof::TestResult::Valid;
            let found = match test.sig.as_ref().try_into() {
                Ok(signature) => judges.verdict(&test.msg, signature),
                Err(_) => false,
            };
            assert_eq!(found, expected, "{}: {}", test.tc_id, test.comment);
            let library = public.verify(&test.msg, &test.sig);
            assert_eq!(library.is_ok(), expected, "{}: {}", test.tc_id, test.comment);
            assert!(together.iter().all(|verdicts| verdicts[nth] == library), "{}", test.tc_id);
            *if expected { &mut valid } else { &mut invalid } += 1;
        }
    }
    assert!(valid > 50 && invalid > 50, "{valid} valid, {invalid} invalid");
}

#[test]
fn odd_encodings_of_key_and_commitment_get_one_verdict_under_every_response() {
    let odd = odd_encodings();
    assert!(odd.len() > 50, "{}", odd.len());
    let honest = SigningKey::from_bytes(&[7; 32]);
    let honest_key = honest.verifying_key().to_bytes();
    let commitment = (ED25519_BASEPOINT_POINT * secret(b"nonce")).compress().to_bytes();
    let keys: Vec<_> = odd.iter().chain([&honest_key]).filter_map(Judges::of).collect();
    let mut seen = 0;
    for judges in &keys {
        for commitment in odd.iter().chain([&commitment]) {
            for response in responses(&secret(b"response")) {
                // With a key and a commitment of small order and a response of 0 the equation may hold: strictness refuses.
                assert!(!judges.verdict(b"message", &joined(commitment, &response)));
                seen += 1;
            }
        }
    }
    assert!(keys.iter().any(|judges| judges.table.is_none()) && keys.iter().any(|judges| judges.table.is_some()));
    assert!(seen > 10_000, "{seen}");
}

/// A key a·B + T and a commitment r·B + U, T and U of any small order, signed so that the equation holds up to small order: it holds
/// altogether for some messages and not for others. With r = 0 the commitment itself is of small order.
#[test]
fn keys_and_commitments_of_mixed_order_get_one_verdict() {
    let a = secret(b"key");
    let (mut accepted, mut refused, mut small_and_holding) = (0, 0, 0);
    for key_torsion in EIGHT_TORSION {
        let key = ED25519_BASEPOINT_POINT * a + key_torsion;
        let key_bytes = key.compress().to_bytes();
        let judges = Judges::of(&key_bytes).expect("a point");
        assert!(judges.table.is_some() && PublicKey::ed25519(&key_bytes).is_ok(), "keys of mixed order are listed");
        for torsion in EIGHT_TORSION {
            for r in [secret(b"nonce"), Scalar::ZERO] {
                let commitment = ED25519_BASEPOINT_POINT * r + torsion;
                for encoding in encodings(y_of(commitment)) {
                    for nth in 0..24u8 {
                        let k = challenge(&encoding, &key_bytes, &[nth]);
                        let s = r + k * a;
                        let point = ED25519_BASEPOINT_POINT * s - key * k;
                        let holds = CompressedEdwardsY(encoding) == point.compress();
                        let verdict = judges.verdict(&[nth], &joined(&encoding, &s.to_bytes()));
                        assert_eq!(verdict, holds && r != Scalar::ZERO);
                        accepted += u32::from(verdict);
                        refused += u32::from(!verdict);
                        small_and_holding += u32::from(holds && !verdict);
                    }
                }
            }
        }
    }
    assert!(accepted > 100 && refused > 100 && small_and_holding > 100, "{accepted} {refused} {small_and_holding}");
}

#[test]
fn a_right_signature_is_taken_in_one_form_only() {
    let key = SigningKey::from_bytes(&[9; 32]);
    let judges = Judges::of(key.verifying_key().as_bytes()).expect("a point");
    let signature = key.sign(b"message").to_bytes();
    let (commitment, response) = signature.split_first_chunk::<32>().expect("64 bytes");
    let response = Scalar::from_canonical_bytes(response.try_into().expect("32 bytes")).expect("canonical");
    let taken = responses(&response).iter().filter(|s| judges.verdict(b"message", &joined(commitment, s))).count();
    assert_eq!(taken, 1);
    let mut other_sign = *commitment;
    other_sign[31] ^= 0x80;
    assert!(!judges.verdict(b"message", &joined(&other_sign, &response.to_bytes())));
}

proptest! {
    #[test]
    fn any_message_of_any_signer_gets_one_verdict_and_so_does_each_with_a_bit_changed(
        seed: [u8; 32],
        mut message in prop::collection::vec(any::<u8>(), 0..300),
        bit in 0..512usize,
        message_bit: prop::sample::Index,
    ) {
        let key = SigningKey::from_bytes(&seed);
        let judges = Judges::of(key.verifying_key().as_bytes()).expect("a point");
        let signature = key.sign(&message).to_bytes();
        prop_assert!(judges.verdict(&message, &signature));
        let mut changed = signature;
        changed[bit / 8] ^= 1 << (bit % 8);
        prop_assert!(!judges.verdict(&message, &changed));
        if !message.is_empty() {
            let at = message_bit.index(message.len() * 8);
            message[at / 8] ^= 1 << (at % 8);
            prop_assert!(!judges.verdict(&message, &signature));
        }
    }

    #[test]
    fn bytes_that_nobody_signed_get_one_verdict(key: [u8; 32], commitment: [u8; 32], response: [u8; 32], message: [u8; 8]) {
        if let Some(judges) = Judges::of(&key) {
            judges.verdict(&message, &joined(&commitment, &response));
            let response = Scalar::from_bytes_mod_order(response).to_bytes();
            judges.verdict(&message, &joined(&commitment, &response));
        }
    }
}
