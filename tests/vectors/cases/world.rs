//! The world of the vectors: a made-up network whose every key and salt comes from a sentence that anyone can hash.

use std::sync::LazyLock;

use bytes::Bytes;
use liaison_protocol::directory::{AuthorityKeys, Directory, NewHead, join, seal};
use liaison_protocol::envelope::{DIRECTORY_HEAD_TYPE, MANIFEST_TYPE, pre_authentication_encoding, sign_by_all};
use liaison_protocol::id::{Hash, HeadVersion, Micros, NetworkId, Origin, PartnerNumber};
use liaison_protocol::keyring::{PublicKey, TrustedKey};
use liaison_protocol::proto;
use liaison_protocol::signer::{Ed25519Signer, Signer};
use liaison_protocol::tlog::entry::Salt;
use prost::Message as _;
use serde::{Deserialize, Serialize};

/// 2026-11-23T12:00:00Z, when everything in the vectors happens.
pub(crate) const NOW: Micros = Micros(1_795_435_200 * Micros::SECOND);
pub(crate) const DAY: i64 = Micros::DAY;
pub(crate) const LOG: &str = "hub-1.example/log";

/// Said in every file of vectors.
pub(crate) const ABOUT: &str = "All names are made up. The seed of the Ed25519 key NAME is SHA-256(\"liaison test seed: NAME\"), \
the salt NAME is SHA-256(\"liaison test salt: NAME\"); the secret number of borelia-notice, the only ECDSA P-256 key, is \
SHA-256(\"liaison test seed: borelia-notice\"). Bytes are hexadecimal in pieces parted by spaces, and xx*n stands for xx n times.";

/// The public key of borelia-notice.
const BORELIA_NOTICE: &str = "04b846b837b102c655d10667e28cfa230aa16a88f7026430843f88063f2346bc5d \
1ee1bd9da8170c04e9aeacae08ea7c8d6b93d253501434cb2c341bcfae5a20b5";

pub(crate) fn signer(name: &str) -> Ed25519Signer {
    Ed25519Signer::from_seed(&Hash::of(&[b"liaison test seed: ", name.as_bytes()]).0)
}

pub(crate) fn salt(name: &str) -> Salt {
    Salt(Hash::of(&[b"liaison test salt: ", name.as_bytes()]).0)
}

pub(crate) fn public(name: &str) -> PublicKey {
    match name {
        "borelia-notice" => PublicKey::parse(&proto::PublicKey {
            algorithm: proto::Algorithm::EcdsaP256Sha256.into(),
            key: unhex(BORELIA_NOTICE).into(),
        })
        .expect("a P-256 key"),
        _ => signer(name).public().clone(),
    }
}

/// Hexadecimal, where a short piece that repeats for 128 bytes or more is written once: `00*65536`.
pub(crate) fn hex(bytes: &[u8]) -> String {
    let plain = |bytes: &[u8]| bytes.iter().map(|b| format!("{b:02x}")).collect::<String>();
    let mut pieces: Vec<String> = Vec::new();
    let (mut from, mut at) = (0, 0);
    while at < bytes.len() {
        let run = (1..=8).find_map(|width| {
            let unit = bytes.get(at..at + width)?;
            let times = bytes[at..].chunks(width).take_while(|c| *c == unit).count();
            (times * width >= 128).then_some((unit, times))
        });
        let Some((unit, times)) = run else {
            at += 1;
            continue;
        };
        if from < at {
            pieces.push(plain(&bytes[from..at]));
        }
        pieces.push(format!("{}*{times}", plain(unit)));
        at += unit.len() * times;
        from = at;
    }
    if from < at {
        pieces.push(plain(&bytes[from..]));
    }
    pieces.join(" ")
}

pub(crate) fn unhex(text: &str) -> Vec<u8> {
    let plain = |text: &str| -> Vec<u8> {
        let digits = text.as_bytes().chunks(2);
        let byte = |pair| u8::from_str_radix(std::str::from_utf8(pair).ok()?, 16).ok();
        digits.map(|pair| byte(pair).expect("hexadecimal")).collect()
    };
    text.split_whitespace()
        .flat_map(|piece| match piece.split_once('*') {
            Some((unit, times)) => plain(unit).repeat(times.parse().expect("a number")),
            None => plain(piece),
        })
        .collect()
}

/// A key as the directory lists it.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Key {
    pub(crate) name: String,
    pub(crate) partner: u32,
    pub(crate) usage: String,
    pub(crate) algorithm: i32,
    pub(crate) key: String,
    pub(crate) id: String,
    pub(crate) not_before_us: i64,
    pub(crate) not_after_us: i64,
    pub(crate) denied: bool,
}

impl Key {
    pub(crate) fn trusted(&self) -> TrustedKey {
        let public =
            PublicKey::parse(&proto::PublicKey { algorithm: self.algorithm, key: unhex(&self.key).into() })
                .expect("a key that may be listed");
        assert_eq!(public.id().to_string(), self.id);
        TrustedKey {
            id: public.id(),
            partner: liaison_protocol::id::PartnerNumber(self.partner),
            usage: match self.usage.as_str() {
                "notice" => liaison_protocol::keyring::Usage::Notice,
                _ => liaison_protocol::keyring::Usage::Acknowledgement,
            },
            public,
            not_before: Micros(self.not_before_us),
            not_after: Micros(self.not_after_us),
            denied: self.denied,
        }
    }
}

/// Name, partner, usage, window in days around now, denied.
const KEYS: &[(&str, &str, proto::KeyUsage, i64, i64, bool)] = &[
    ("arden-notice", "ARDEN", proto::KeyUsage::Notice, -30, 365, false),
    ("borelia-notice", "BORELIA", proto::KeyUsage::Notice, -30, 365, false),
    ("arden-acknowledgement", "ARDEN", proto::KeyUsage::Acknowledgement, -30, 365, false),
    ("borelia-acknowledgement", "BORELIA", proto::KeyUsage::Acknowledgement, -30, 365, false),
    ("caldora-acknowledgement", "CALDORA", proto::KeyUsage::Acknowledgement, -30, 365, false),
    ("arden-denied", "ARDEN", proto::KeyUsage::Notice, -30, 365, true),
    ("arden-old", "ARDEN", proto::KeyUsage::Notice, -400, 0, false),
    ("arden-new", "ARDEN", proto::KeyUsage::Notice, 1, 365, false),
];
const PARTNERS: [&str; 3] = ["ARDEN", "BORELIA", "CALDORA"];

pub(crate) fn keys() -> Vec<Key> {
    KEYS.iter()
        .map(|(name, partner, usage, from, until, denied)| {
            let public = public(name);
            let number = PARTNERS.iter().position(|id| id == partner).expect("a partner");
            Key {
                name: (*name).into(),
                partner: number as u32 + 1,
                usage: match usage {
                    proto::KeyUsage::Notice => "notice".into(),
                    _ => "acknowledgement".into(),
                },
                algorithm: public.to_proto().algorithm,
                key: hex(public.as_bytes()),
                id: public.id().to_string(),
                not_before_us: NOW.0 + from * DAY,
                not_after_us: NOW.0 + until * DAY,
                denied: *denied,
            }
        })
        .collect()
}

pub(crate) fn texts(names: &[&str]) -> Vec<String> {
    names.iter().map(|name| (*name).into()).collect()
}

/// The records of the directory, in order: three partners, eight keys, a node, a group, an agreement.
pub(crate) fn records() -> Vec<proto::Record> {
    use proto::record::Body;
    let certificate = || vec![Bytes::from_static(b"the DER of a made-up authority")];
    let partners = PARTNERS.iter().enumerate().map(|(nth, id)| {
        Body::Partner(proto::Partner {
            number: nth as u32 + 1,
            id: (*id).into(),
            name: format!("National Central Bureau {id}"),
            category: proto::PartnerCategory::NationalCentralBureau.into(),
            home: "hub-1".into(),
            status: proto::PartnerStatus::Active.into(),
            tls_authorities: certificate(),
            tls_keys: vec![],
        })
    });
    let keys = KEYS.iter().map(|(name, partner, usage, from, until, denied)| {
        Body::Key(proto::PartnerKey {
            partner: (*partner).into(),
            usage: (*usage).into(),
            public_key: Some(public(name).to_proto()),
            not_before_us: NOW.0 + from * DAY,
            not_after_us: NOW.0 + until * DAY,
            denied: *denied,
        })
    });
    let rest = [
        Body::Node(proto::Node {
            id: "hub-1".into(),
            log_origin: LOG.into(),
            log_key: Some(public("hub-1-log").to_proto()),
            tls_authorities: certificate(),
            tls_keys: vec![Hash::of(&[b"a made-up TLS key"]).to_bytes()],
            addresses: texts(&["hub-1.example:8443"]),
        }),
        Body::Group(proto::Group { id: "NORTH".into(), members: texts(&["BORELIA", "CALDORA"]) }),
        Body::Agreement(proto::Agreement {
            id: "2026/north".into(),
            originators: texts(&["ARDEN", "BORELIA"]),
            recipients: texts(&["NORTH"]),
            kinds: vec![proto::Kind::Red.into(), proto::Kind::Diffusion.into()],
            highest_handling: proto::HandlingCode::H3.into(),
            highest_tlp: proto::Tlp::Red.into(),
            highest_precedence: proto::Precedence::Flash.into(),
            from_us: NOW.0 - 30 * DAY,
            until_us: NOW.0 + 365 * DAY,
            legal_basis: "A made-up treaty, article 1".into(),
        }),
    ];
    partners.chain(keys).chain(rest).map(|body| proto::Record { body: Some(body) }).collect()
}

/// Records with their salts, as they are sealed.
pub(crate) fn salted(records: &[proto::Record]) -> Vec<(Bytes, Salt)> {
    let place = |nth: usize| salt(&format!("record {nth}"));
    records.iter().enumerate().map(|(nth, record)| (record.encode_to_vec().into(), place(nth))).collect()
}

pub(crate) fn authority(threshold: usize, names: &[&str]) -> AuthorityKeys {
    let keys = names.iter().map(|name| public(name)).collect();
    AuthorityKeys::new(threshold, keys).expect("k of n")
}

/// The keys that founded the network: two of three.
pub(crate) fn founders() -> AuthorityKeys {
    authority(2, &["authority-1", "authority-2", "authority-3"])
}

/// Seals and signs a head over records: the file and the head's envelope.
pub(crate) fn sealed(head: &NewHead, records: &[(Bytes, Salt)], signers: &[&str]) -> (Bytes, Bytes) {
    let signers: Vec<_> = signers.iter().map(|name| signer(name)).collect();
    let signers: Vec<&dyn Signer> = signers.iter().map(|signer| signer as &dyn Signer).collect();
    let envelope = sign_by_all(DIRECTORY_HEAD_TYPE, seal(head, records), &signers).expect("signs");
    (join(envelope.clone(), records), envelope)
}

/// The head that founds the network.
pub(crate) fn first_head() -> NewHead {
    NewHead {
        network: None,
        name: "vectors.liaison.example".parse().expect("a name"),
        version: HeadVersion(1),
        previous: None,
        issued_at: NOW.plus(-10 * DAY),
        renew_by: NOW.plus(20 * DAY),
        authority: founders(),
        next_number: PartnerNumber(10),
    }
}

/// The first directory, opened.
pub(crate) fn first() -> &'static Directory {
    static FIRST: LazyLock<Directory> = LazyLock::new(|| {
        let signers = ["authority-1", "authority-3"];
        let (file, _) = sealed(&first_head(), &salted(&records()), &signers);
        Directory::open(file, &founders(), None).expect("the first directory")
    });
    &FIRST
}

/// The second head: one authority key replaced.
pub(crate) fn second_head() -> NewHead {
    NewHead {
        network: Some(network()),
        version: HeadVersion(2),
        previous: Some(first().head().digest()),
        issued_at: NOW.plus(DAY),
        renew_by: NOW.plus(31 * DAY),
        authority: authority(2, &["authority-2", "authority-3", "authority-4"]),
        ..first_head()
    }
}

/// The second directory, in which ARDEN's notice key is denied.
pub(crate) fn second() -> Directory {
    let mut records = records();
    if let Some(proto::record::Body::Key(key)) = &mut records[3].body {
        key.denied = true;
    }
    let signers = ["authority-2", "authority-3"];
    let (file, _) = sealed(&second_head(), &salted(&records), &signers);
    Directory::open(file, &founders(), Some(network())).expect("the second directory")
}

pub(crate) fn network() -> NetworkId {
    first().head().network()
}

pub(crate) fn log() -> Origin {
    LOG.parse().expect("an origin")
}

/// An envelope from its pieces, right or wrong.
pub(crate) fn envelope(payload_type: &str, payload: &[u8], signatures: &[(&[u8], &str)]) -> Vec<u8> {
    proto::Envelope {
        payload: Bytes::copy_from_slice(payload),
        payload_type: payload_type.into(),
        signatures: signatures
            .iter()
            .map(|(sig, keyid)| proto::Signature { sig: Bytes::copy_from_slice(sig), keyid: (*keyid).into() })
            .collect(),
    }
    .encode_to_vec()
}

/// A key's signature over a payload and its type.
pub(crate) fn signature(key: &str, payload_type: &str, payload: &[u8]) -> Vec<u8> {
    let encoding = pre_authentication_encoding(payload_type, payload);
    signer(key).sign(&encoding).expect("a key in memory signs")
}

/// The key's identifier as it stands in an envelope.
pub(crate) fn key_id(key: &str) -> String {
    public(key).id().0.to_hex()
}

/// Signed and enveloped as it should be.
pub(crate) fn signed(key: &str, payload_type: &str, payload: &[u8]) -> Vec<u8> {
    let signature = signature(key, payload_type, payload);
    envelope(payload_type, payload, &[(&signature, &key_id(key))])
}

/// The manifest from which most vectors differ in one thing.
pub(crate) fn plain_manifest() -> proto::Manifest {
    proto::Manifest {
        network: network().to_bytes(),
        directory_version: 1,
        reference: "AR/2026/000812".into(),
        kind: proto::Kind::Red.into(),
        originator: "ARDEN".into(),
        audience: Some(proto::Audience { partners: texts(&["BORELIA"]), groups: vec![], exempted: vec![] }),
        handling: Some(proto::Handling {
            code: proto::HandlingCode::H1.into(),
            restriction: String::new(),
            source: proto::SourceEvaluation::A.into(),
            information: proto::InformationEvaluation::InformationEvaluation2.into(),
            tlp: proto::Tlp::Amber.into(),
        }),
        precedence: proto::Precedence::Priority.into(),
        issued_at_us: NOW.0 - 60 * Micros::SECOND,
        expires_at_us: NOW.0 + 30 * DAY,
        respond_by: proto::RespondBy::ThreeDays.into(),
        retention: proto::Retention::OneYear.into(),
        relation: None,
        parts: vec![commitment(proto::PartRole::Content, "part 0", b"a made-up notice")],
    }
}

pub(crate) fn commitment(role: proto::PartRole, salt_name: &str, bytes: &[u8]) -> proto::PartCommitment {
    let commitment = liaison_protocol::part::commitment(role, &salt(salt_name), bytes);
    proto::PartCommitment {
        role: role.into(),
        media_type: "text/plain".into(),
        size: bytes.len() as u64,
        commitment: commitment.to_bytes(),
        plaintext_commitment: Bytes::new(),
    }
}

/// SHA-256 of the pre-authentication encoding of a manifest: its NoticeId.
pub(crate) fn notice_id(payload: &[u8]) -> Hash {
    Hash::of(&[&pre_authentication_encoding(MANIFEST_TYPE, payload)])
}

/// A message as protobuf's own JSON, with the protos' field names and the numbers of enumerations.
pub(crate) fn fields(message: &str, bytes: &[u8]) -> serde_json::Value {
    use prost_reflect::{DescriptorPool, DynamicMessage, SerializeOptions};
    let descriptors = include_bytes!("../../../src/grpc/generated/descriptors.bin");
    let pool = DescriptorPool::decode(descriptors.as_ref()).expect("our own descriptors");
    let shape = pool.get_message_by_name(&format!("liaison.v1.{message}")).expect("a message of ours");
    let options =
        SerializeOptions::new().use_proto_field_name(true).use_enum_numbers(true).stringify_64_bit_integers(false);
    DynamicMessage::decode(shape, bytes)
        .expect("decodes")
        .serialize_with_options(serde_json::value::Serializer, &options)
        .expect("is JSON")
}
