//! DSSE envelopes: signed bytes, their type, and one signature. Nothing in an envelope is believed before `verify`.

use bytes::Bytes;
use prost::Message as _;

use crate::id::{Hash, KeyId, Micros, NetworkId};
use crate::keyring::{KeyRefusal, PublicKey, SignatureRefusal, Signed, SignerTables, TrustedKey, Usage};
use crate::limits::{ENVELOPE_BYTES_MAX, PAYLOAD_TYPE_BYTES_MAX, SIGNATURES_MAX};
use crate::proto;
use crate::reason::{Reason, Refusal};
use crate::signer::{SignError, Signer};
use crate::wire::{self, Kind, Shape, many, one};

/// Payload type of a manifest.
pub const MANIFEST_TYPE: &str = "application/vnd.liaison.manifest.v1+protobuf";
/// Payload type of an acknowledgement.
pub const ACKNOWLEDGEMENT_TYPE: &str = "application/vnd.liaison.acknowledgement.v1+protobuf";
/// Payload type of a directory head.
pub const DIRECTORY_HEAD_TYPE: &str = "application/vnd.liaison.directory-head.v1+protobuf";

/// `Envelope.payload`.
const PAYLOAD: u32 = 1;

static SIGNATURE: Shape =
    Shape { name: "Signature", fields: &[one(1, "sig", Kind::Bytes), one(2, "keyid", Kind::Text)] };
/// The shape of an envelope. One with a thousand signatures is refused by its count, before any is looked at.
pub static ENVELOPE: Shape = Shape {
    name: "Envelope",
    fields: &[
        one(PAYLOAD, "payload", Kind::Bytes),
        one(2, "payload_type", Kind::Text),
        many(3, "signatures", Kind::Message(&SIGNATURE), SIGNATURES_MAX),
    ],
};

/// The pre-authentication encoding (DSSE v1.0.2): what is signed, and what names it.
pub fn pre_authentication_encoding(payload_type: &str, payload: &[u8]) -> Vec<u8> {
    let head = encoding_head(payload_type, payload);
    let mut encoding = Vec::with_capacity(head.len() + payload.len());
    encoding.extend_from_slice(head.as_bytes());
    encoding.extend_from_slice(payload);
    encoding
}

/// Everything of the encoding but the payload, which is its end: `DSSEv1`, length and type, length of the payload.
fn encoding_head(payload_type: &str, payload: &[u8]) -> String {
    // Not by `format!`, which takes longer than the hash of a short payload.
    ["DSSEv1 ", &payload_type.len().to_string(), " ", payload_type, " ", &payload.len().to_string(), " "].concat()
}

/// An envelope that has been parsed and is not believed yet.
#[derive(Clone, Debug)]
pub struct Envelope {
    bytes: Bytes,
    payload: Bytes,
    payload_type: String,
    signatures: Vec<proto::Signature>,
}

impl Envelope {
    /// Parses a serialized `Envelope` of at most 68 KiB; what it carries is not looked at.
    pub fn parse(bytes: Bytes) -> Result<Self, Refusal> {
        small_enough(&bytes)?;
        let envelope: proto::Envelope = wire::decode(bytes.clone(), &ENVELOPE).map_err(refused)?;
        if envelope.payload_type.len() > PAYLOAD_TYPE_BYTES_MAX {
            return Err(Refusal::field("Envelope.payload_type", "longer than 128 bytes"));
        }
        Ok(Self {
            bytes,
            payload: envelope.payload,
            payload_type: envelope.payload_type,
            signatures: envelope.signatures,
        })
    }

    /// The envelope, exactly as it came.
    pub fn bytes(&self) -> &Bytes {
        &self.bytes
    }

    /// What it carries; not believed.
    pub fn payload(&self) -> &Bytes {
        &self.payload
    }

    /// The only signature. None or several are refused by their count, before any is verified.
    fn signature(&self) -> Result<&proto::Signature, Refusal> {
        let [signature] = self.signatures.as_slice() else {
            return Err(Refusal::new(
                Reason::SignatureCount,
                format!("Envelope.signatures: {}, expected exactly one", self.signatures.len()),
            ));
        };
        if signature.sig.is_empty() {
            return Err(Refusal::new(Reason::SignatureMissing, "Envelope.signatures.sig is empty"));
        }
        Ok(signature)
    }

    /// SHA-256 of the pre-authentication encoding under a type: what names the payload.
    pub fn digest(&self, payload_type: &str) -> Hash {
        digest(payload_type, &self.payload)
    }

    /// SHA-256 of its one signature, as [`Proven::signature_digest`] has it; whether that verifies is not looked at.
    pub fn signature_digest(&self) -> Result<Hash, Refusal> {
        Ok(Hash::of(&[&self.signature()?.sig]))
    }

    /// The hint beside its one signature, which never decides: empty, or a key's identifier.
    pub fn keyid(&self) -> Result<&str, Refusal> {
        Ok(&self.signature()?.keyid)
    }

    /// Believes the payload if one of the keys expected made its one signature. The type, the network and the usage come from
    /// `expect`, never from the envelope; the key id in it never decides.
    pub fn verify(self, expect: &Expect<'_>, now: Micros) -> Result<Proven, Refusal> {
        Self::verify_all(vec![Ok(self)], expect, now).pop().expect("one for one")
    }

    /// Verifies what is expected of the same, each by itself: a chunk in less time than its envelopes alone. What is refused already
    /// stays refused.
    pub fn verify_all(
        envelopes: Vec<Result<Self, Refusal>>,
        expect: &Expect<'_>,
        now: Micros,
    ) -> Vec<Result<Proven, Refusal>> {
        let encoded = |envelope: Result<Self, Refusal>| {
            let envelope = envelope?;
            envelope.signature()?;
            let encoding = pre_authentication_encoding(&envelope.payload_type, &envelope.payload);
            Ok((envelope, encoding))
        };
        let envelopes: Vec<Result<_, Refusal>> = envelopes.into_iter().map(encoded).collect();
        let signed = envelopes.iter().flatten().flat_map(|(envelope, message)| {
            envelope.signatures.first().map(|signature| Signed { message, signature: &signature.sig[..] })
        });
        let mut signers = signers_among(expect, &signed.collect::<Vec<_>>()).into_iter();
        let mut proven = |(envelope, encoding): (Self, Vec<u8>)| {
            let key = signers.next().expect("one for each that is signed")?;
            envelope.proven(&encoding, key, expect, now)
        };
        envelopes.into_iter().map(|envelope| envelope.and_then(&mut proven)).collect()
    }

    /// Everything that is left to judge once it is known who signed.
    fn proven(
        self,
        encoding: &[u8],
        key: &TrustedKey,
        expect: &Expect<'_>,
        now: Micros,
    ) -> Result<Proven, Refusal> {
        if self.payload_type != expect.payload_type {
            return Err(Refusal::new(
                Reason::UnknownPayloadType,
                format!("Envelope.payload_type: expected {}", expect.payload_type),
            ));
        }
        if !begins_with(&self.payload, &expect.network) {
            return Err(Refusal::new(
                Reason::OtherNetwork,
                format!("the payload does not begin with network {}", expect.network),
            )
            .with("network", expect.network));
        }
        key.in_force(now).map_err(|refusal| match refusal {
            KeyRefusal::Denied => Refusal::new(Reason::KeyNotInForce, format!("key {} is denied", key.id)),
            KeyRefusal::NotYet | KeyRefusal::NoLonger => {
                Refusal::new(Reason::KeyNotInForce, format!("key {} is outside its window", key.id))
            }
        })?;
        Ok(Proven {
            digest: Hash::of(&[encoding]),
            signature_digest: self.signature_digest()?,
            keyid: self.signature()?.keyid.clone(),
            signer: key.id,
            payload: self.payload,
            envelope: self.bytes,
        })
    }

    /// The signatures, for a directory head, whose rule is k of n.
    pub(crate) fn signatures(&self) -> &[proto::Signature] {
        &self.signatures
    }

    /// The type it says it has; not believed.
    pub fn payload_type(&self) -> &str {
        &self.payload_type
    }
}

/// SHA-256 of the pre-authentication encoding under a type of what a serialized envelope carries, as [`Envelope::digest`] has it.
pub fn digest_of(envelope: &[u8], payload_type: &str) -> Result<Hash, Refusal> {
    small_enough(envelope)?;
    wire::check(envelope, &ENVELOPE).map_err(refused)?;
    let payload = wire::fields(envelope).find_map(|field| match field {
        Ok((PAYLOAD, value)) => value.bytes().ok(),
        _ => None,
    });
    Ok(digest(payload_type, payload.unwrap_or_default()))
}

fn digest(payload_type: &str, payload: &[u8]) -> Hash {
    Hash::of(&[encoding_head(payload_type, payload).as_bytes(), payload])
}

fn small_enough(envelope: &[u8]) -> Result<(), Refusal> {
    if envelope.len() <= ENVELOPE_BYTES_MAX {
        return Ok(());
    }
    let message = format!("envelope: {} bytes, at most {ENVELOPE_BYTES_MAX}", envelope.len());
    Err(Refusal::new(Reason::TooLarge, message).with("limit_bytes", ENVELOPE_BYTES_MAX))
}

fn refused(malformed: wire::Malformed) -> Refusal {
    let count = malformed.path == ".signatures" && matches!(malformed.problem, wire::Problem::TooMany(_));
    if count { Refusal::new(Reason::SignatureCount, malformed.to_string()) } else { malformed.into() }
}

/// How far the search for a signer has come.
#[derive(Clone, Copy, Default)]
struct Search<'k> {
    found: Option<&'k TrustedKey>,
    wrong: bool,
    misshapen: Option<&'static str>,
}

/// Tries the keys of the usage expected. A signature that fits none of their algorithms' shapes is malformed, whatever the state.
fn signers_among<'k>(expect: &Expect<'k>, signed: &[Signed<'_>]) -> Vec<Result<&'k TrustedKey, Refusal>> {
    let mut searches = vec![Search::default(); signed.len()];
    for key in expect.keys.iter().filter(|key| key.usage == expect.usage) {
        let open: Vec<_> = (0..signed.len()).filter(|nth| searches[*nth].found.is_none()).collect();
        if open.is_empty() {
            break;
        }
        let tried: Vec<_> = open.iter().map(|nth| signed[*nth]).collect();
        for (nth, verdict) in open.into_iter().zip(expect.judge(&key.public, &tried)) {
            let search = &mut searches[nth];
            match verdict {
                Ok(()) => search.found = Some(key),
                Err(SignatureRefusal::Shape(problem)) => search.misshapen = Some(problem),
                Err(SignatureRefusal::Wrong) => search.wrong = true,
            }
        }
    }
    let ended = |search: Search<'k>| match search {
        Search { found: Some(key), .. } => Ok(key),
        Search { misshapen: Some(problem), wrong: false, .. } => Err(Refusal::new(Reason::SignatureShape, problem)),
        _ => {
            Err(Refusal::new(Reason::BadSignature, "no key listed for the caller and this use made this signature"))
        }
    };
    searches.into_iter().map(ended).collect()
}

/// Every signed payload begins with field 1, the network: tag 0x0a, length 32.
pub(crate) fn begins_with(payload: &[u8], network: &NetworkId) -> bool {
    payload.get(..2) == Some(&[0x0a, 32]) && payload.get(2..34) == Some(network.0.as_ref())
}

/// What the reader expects of an envelope.
#[derive(Clone, Copy, Debug)]
pub struct Expect<'k> {
    /// The network that signed payloads must begin with.
    pub network: NetworkId,
    /// The only payload type taken.
    pub payload_type: &'static str,
    /// What the key must be for.
    pub usage: Usage,
    /// The keys of whoever must have signed.
    pub keys: &'k [TrustedKey],
    /// For whoever verifies many signatures of the same keys; None: each is verified by itself.
    pub tables: Option<&'k SignerTables>,
}

impl Expect<'_> {
    fn judge(&self, key: &PublicKey, signed: &[Signed<'_>]) -> Vec<Result<(), SignatureRefusal>> {
        match self.tables {
            Some(tables) => tables.verify(key, signed),
            None => signed.iter().map(|one| key.verify(one.message, one.signature)).collect(),
        }
    }
}

/// A payload whose signature, type, network and key have been checked. Only [`Envelope::verify`] makes one.
#[derive(Clone, Debug)]
pub struct Proven {
    envelope: Bytes,
    payload: Bytes,
    digest: Hash,
    signature_digest: Hash,
    keyid: String,
    signer: KeyId,
}

impl Proven {
    /// The envelope, exactly as it came.
    pub fn envelope(&self) -> &Bytes {
        &self.envelope
    }

    /// The signed bytes.
    pub fn payload(&self) -> &Bytes {
        &self.payload
    }

    /// SHA-256 of the pre-authentication encoding.
    pub fn digest(&self) -> Hash {
        self.digest
    }

    /// SHA-256 of the signature seen.
    pub fn signature_digest(&self) -> Hash {
        self.signature_digest
    }

    /// The hint beside the signature, as it came.
    pub fn keyid(&self) -> &str {
        &self.keyid
    }

    /// Which key signed.
    pub fn signer(&self) -> KeyId {
        self.signer
    }
}

/// Signs a payload once and gives the serialized envelope.
pub fn sign(payload_type: &str, payload: Bytes, signer: &dyn Signer) -> Result<Bytes, SignError> {
    sign_by_all(payload_type, payload, &[signer])
}

/// Signs a payload by several, as a directory head needs it.
pub fn sign_by_all(payload_type: &str, payload: Bytes, signers: &[&dyn Signer]) -> Result<Bytes, SignError> {
    let encoding = pre_authentication_encoding(payload_type, &payload);
    let signatures = signers
        .iter()
        .map(|signer| {
            Ok(proto::Signature { sig: signer.sign(&encoding)?.into(), keyid: signer.public().id().0.to_hex() })
        })
        .collect::<Result<_, SignError>>()?;
    let envelope = proto::Envelope { payload, payload_type: payload_type.into(), signatures };
    Ok(envelope.encode_to_vec().into())
}
