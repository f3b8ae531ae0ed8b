//! What must hold for any bytes whatever, one property for each kind of bytes that come from others. A panic is a finding; a finding
//! becomes a row in a table test of the main build before it is mended.

mod seen;
mod wire;

use std::sync::LazyLock;

use bytes::Bytes;
use liaison_protocol::directory::{self, AuthorityKeys, Directory, NewHead, RECORD, read_record, verify_record};
use liaison_protocol::envelope::{DIRECTORY_HEAD_TYPE, ENVELOPE, Envelope, Expect, MANIFEST_TYPE, sign};
use liaison_protocol::id::{Hash, HeadVersion, Micros, NetworkId, PartnerNumber};
use liaison_protocol::keyring::{PublicKey, SignerTable, TrustedKey, Usage};
use liaison_protocol::manifest::{MANIFEST, Manifest, SignedManifest};
use liaison_protocol::proto;
use liaison_protocol::receipt::{self, EVIDENCE, Outcome};
use liaison_protocol::signer::{Ed25519Signer, Signer as _};
use liaison_protocol::statement::{STATEMENT, Statement};
use liaison_protocol::tlog::checkpoint::{Checkpoint, SignedNote, VerifierKey};
use liaison_protocol::tlog::entry::Salt;
use liaison_protocol::tlog::proof_file::ProofFile;
use liaison_protocol::trust::Trust;

/// Within the windows of the vectors' keys.
const NOW: Micros = Micros(1_795_435_200_000_000);

/// A key that signs nothing but what is made here.
static KEY: LazyLock<Ed25519Signer> = LazyLock::new(|| Ed25519Signer::from_seed(&[0x5e; 32]));

/// A manifest that is read says the same when it is written and read again.
pub fn manifest(data: &[u8]) {
    wire::agrees_with_prost::<proto::Manifest>(data, &MANIFEST);
    if let Ok(read) = Manifest::parse(Bytes::copy_from_slice(data)) {
        let again = Manifest::parse(read.encode()).expect("what we write, we read");
        assert_eq!(again, read);
        let _ = read.in_time(NOW);
    }
}

/// An envelope stays the bytes it was; and nobody else's key ever verifies one.
pub fn envelope(data: &[u8]) {
    wire::agrees_with_prost::<proto::Envelope>(data, &ENVELOPE);
    let bytes = Bytes::copy_from_slice(data);
    let Ok(envelope) = Envelope::parse(bytes.clone()) else { return };
    assert_eq!(*envelope.bytes(), bytes);
    let wire = <proto::Envelope as prost::Message>::decode(bytes.clone()).expect("the strict look is stricter");
    assert_eq!(*envelope.payload(), wire.payload);
    let Ok(signed) = SignedManifest::parse(bytes) else { return };
    let Ok(manifest) = signed.unproven() else { return };
    let expect = Expect {
        network: manifest.network,
        payload_type: MANIFEST_TYPE,
        usage: Usage::Notice,
        keys: &[TrustedKey {
            id: KEY.public().id(),
            partner: PartnerNumber(1),
            usage: Usage::Notice,
            public: KEY.public().clone(),
            not_before: Micros(0),
            not_after: Micros(i64::MAX),
            denied: false,
        }],
        tables: None,
    };
    assert!(signed.verify(&expect, NOW).is_err(), "nobody has this key");
}

/// A statement that is read says the same when it is written and read again, and has one name.
pub fn statement(data: &[u8]) {
    wire::agrees_with_prost::<proto::Statement>(data, &STATEMENT);
    if let Ok(read) = Statement::decode(Bytes::copy_from_slice(data)) {
        let again = Statement::decode(read.encode()).expect("what we write, we read");
        assert_eq!(again, read);
        assert_eq!(again.event_name(), read.event_name());
    }
}

/// A directory record that is read is a message that prost reads too.
pub fn record(data: &[u8]) {
    wire::agrees_with_prost::<proto::Record>(data, &RECORD);
    let _ = read_record(Bytes::copy_from_slice(data));
}

/// Records as a length and bytes, one after the other, sealed and signed: whatever they say, opening them ends well, and every record
/// of what opens proves itself alone.
pub fn directory(data: &[u8]) {
    let records: Vec<_> = records(data).map(|record| (record, Salt(Hash::of(&[b"salt"]).0))).collect();
    let keys = AuthorityKeys::new(1, vec![KEY.public().clone()]).expect("one of one");
    let head = NewHead {
        network: None,
        name: "fuzz.liaison.example".parse().expect("a name"),
        version: HeadVersion(1),
        previous: None,
        issued_at: NOW,
        renew_by: NOW.plus(Micros::DAY),
        authority: keys.clone(),
        next_number: PartnerNumber(u32::MAX),
    };
    let envelope =
        sign(DIRECTORY_HEAD_TYPE, directory::seal(&head, &records), &*KEY).expect("a key in memory signs");
    let Ok(opened) = Directory::open(directory::join(envelope, &records), &keys, None) else { return };
    assert_eq!(opened.len(), records.len());
    for place in 0..opened.len() {
        let proof = opened.prove(place).expect("it is there");
        verify_record(&proof, opened.head()).expect("it proves itself");
    }
    for partner in opened.partners() {
        assert!(opened.node(&partner.home).is_some(), "every home is listed");
        assert_eq!(opened.numbered(partner.number).map(|found| &found.id), Some(&partner.id));
    }
    for agreement in opened.agreements() {
        let parties = agreement.originators.iter().chain(&agreement.recipients);
        assert!(parties.into_iter().all(|id| opened.partner(id).is_some() || opened.group(id).is_some()));
    }
}

fn records(mut data: &[u8]) -> impl Iterator<Item = Bytes> {
    std::iter::from_fn(move || {
        let (length, rest) = data.split_first_chunk::<2>()?;
        let length = usize::from(u16::from_be_bytes(*length)).min(rest.len());
        let (record, rest) = rest.split_at(length);
        data = rest;
        Some(Bytes::copy_from_slice(record))
    })
}

/// Notes, checkpoints, keys and proof files have one form: whatever is read is written as it was.
pub fn note(data: &[u8]) {
    if let Ok(note) = SignedNote::parse(data) {
        assert_eq!(note.to_string().as_bytes(), data);
        if let Ok(checkpoint) = Checkpoint::parse(note.text()) {
            assert_eq!(checkpoint.text(), note.text());
        }
    }
    let Ok(text) = std::str::from_utf8(data) else { return };
    if let Ok(key) = text.parse::<VerifierKey>() {
        assert_eq!(key.to_string(), text);
    }
    if let Ok(file) = ProofFile::parse(text) {
        assert_eq!(file.to_string(), text);
    }
}

/// Under the vectors' trust file no bytes prove a sentence that the vectors do not prove; under none, nothing is proven at all.
pub fn receipt(data: &[u8]) {
    let report = receipt::verify(data, Some(&seen::VECTORS.trust));
    if report.outcome == Outcome::Verified {
        for sentence in &report.proven {
            assert!(seen::VECTORS.proven.contains(sentence), "proves something new: {sentence}");
        }
    }
    assert_ne!(receipt::verify(data, None).outcome, Outcome::Verified);
    if let Ok(file) = std::str::from_utf8(data).map_err(drop).and_then(|text| ProofFile::parse(text).map_err(drop))
    {
        wire::agrees_with_prost::<proto::Evidence>(&file.extra, &EVIDENCE);
    }
}

/// Under the vectors' trust file no answer to who collects consigns a notice that the vectors do not consign to that recipient; and where
/// prost reads it, it has as many notices and receipts as are believed.
pub fn answer(data: &[u8]) {
    for recipient in seen::VECTORS.recipients() {
        let Ok(consigned) = seen::believes(&seen::VECTORS.trust, recipient).check(data) else { continue };
        for found in &consigned {
            assert!(seen::VECTORS.consigned.contains(&(recipient, *found)), "consigns something new: {found:?}");
        }
        // Fields that a recipient does not look at may be what prost refuses.
        let Ok(read) = <proto::CollectResponse as prost::Message>::decode(data) else { continue };
        let receipts = read.receipts.map_or(0, |receipts| receipts.receipts.len());
        assert_eq!([read.deliveries.len(), receipts], [consigned.len(); 2]);
    }
}

/// A trust file that is read names a sound authority, and its policy can be asked.
pub fn trust(data: &[u8]) {
    let Ok(text) = std::str::from_utf8(data) else { return };
    let Ok(trust) = text.parse::<Trust>() else { return };
    let authority = trust.authority();
    assert!((1..=authority.keys().len()).contains(&authority.threshold()));
    let again = liaison_protocol::trust::to_text(trust.network(), authority, trust.policy().logs());
    let again: Trust = again.parse().expect("what we write, we read");
    assert_eq!((again.network(), again.authority()), (trust.network(), authority));
    assert_eq!(again.policy().logs(), trust.policy().logs());
    let _ = trust.policy().witnessed(&seen::VECTORS.note);
    let _: NetworkId = trust.network();
}

/// A key, a signature and a message: a table of the key gives the library's strict verdict. The same bytes once more as a secret key
/// that signs the message, and as a change to its signature: unchanged it is right, and changed it is wrong.
pub fn signature(data: &[u8]) {
    let Some((key, rest)) = data.split_first_chunk::<32>() else { return };
    let Some((signature, message)) = rest.split_first_chunk::<64>() else { return };
    if let Ok(key) = PublicKey::ed25519(key) {
        let table = SignerTable::of(&key).expect("an Ed25519 key");
        assert_eq!(table.verify(message, signature), key.verify(message, signature));
    }
    let signer = Ed25519Signer::from_seed(key);
    let table = SignerTable::of(signer.public()).expect("an Ed25519 key");
    let mut signed = signer.sign(message).expect("a key in memory signs");
    assert_eq!(table.verify(message, &signed), Ok(()));
    signed.iter_mut().zip(signature).for_each(|(byte, change)| *byte ^= change);
    let verdict = table.verify(message, &signed);
    assert_eq!(verdict, signer.public().verify(message, &signed));
    assert_eq!(verdict.is_ok(), *signature == [0; 64]);
}
