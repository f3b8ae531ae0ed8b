//! C2SP signed-note and tlog-checkpoint: a tree head as text, and who signed it.

use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;

use crate::id::{Hash, Origin};
use crate::keyring::{PublicKey, SignatureRefusal, Signed, SignerTables};
use crate::limits::NOTE_BYTES_MAX;
use crate::signer::{SignError, Signer};

/// Signature type of Ed25519 over the note's text (C2SP signed-note).
pub const TYPE_ED25519: u8 = 0x01;
/// Signature type of a witness's timestamped cosignature (C2SP tlog-cosignature).
pub const TYPE_COSIGNATURE: u8 = 0x04;

/// Why a note, a checkpoint or a verifier key cannot be read.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BadNote {
    /// Not the form that C2SP gives it.
    #[error("{0}")]
    Form(&'static str),
    /// No signature by the key expected.
    #[error("no signature by {0}")]
    NotSigned(String),
    /// A signature that names the key and is not its.
    #[error("the signature that names {0} is not its")]
    BadSignature(String),
}

/// A verifier key: `name+hash+base64(type | key)`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct VerifierKey {
    name: String,
    signature_type: u8,
    public: PublicKey,
}

impl VerifierKey {
    /// A log's key, whose name is its origin.
    pub fn of_log(origin: &Origin, public: PublicKey) -> Option<Self> {
        public.as_ed25519()?;
        Some(Self { name: origin.to_string(), signature_type: TYPE_ED25519, public })
    }

    /// Its name.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// What its signatures are.
    pub fn signature_type(&self) -> u8 {
        self.signature_type
    }

    /// The key itself.
    pub fn public(&self) -> &PublicKey {
        &self.public
    }

    /// First four bytes of `SHA-256(name | 0x0A | type | key)`.
    pub fn key_hash(&self) -> [u8; 4] {
        let digest = Hash::of(&[self.name.as_bytes(), b"\n", &[self.signature_type], self.public.as_bytes()]);
        [digest.0[0], digest.0[1], digest.0[2], digest.0[3]]
    }
}

impl fmt::Display for VerifierKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut key = vec![self.signature_type];
        key.extend_from_slice(self.public.as_bytes());
        write!(f, "{}+{:08x}+{}", self.name, u32::from_be_bytes(self.key_hash()), STANDARD.encode(key))
    }
}

impl FromStr for VerifierKey {
    type Err = BadNote;

    fn from_str(text: &str) -> Result<Self, BadNote> {
        let form = BadNote::Form("a verifier key is name+hash+base64, the key Ed25519");
        let mut pieces = text.splitn(3, '+');
        let (Some(name), Some(hash), Some(key)) = (pieces.next(), pieces.next(), pieces.next()) else {
            return Err(form);
        };
        let key = STANDARD.decode(key).map_err(|_| form.clone())?;
        let Some((signature_type @ (&TYPE_ED25519 | &TYPE_COSIGNATURE), bytes)) = key.split_first() else {
            return Err(form);
        };
        let bytes: &[u8; 32] = bytes.try_into().map_err(|_| form.clone())?;
        let public = PublicKey::ed25519(bytes)
            .map_err(|_| BadNote::Form("the verifier key is not a key that is accepted"))?;
        if !is_key_name(name) {
            return Err(form);
        }
        let read = Self { name: name.into(), signature_type: *signature_type, public };
        if format!("{:08x}", u32::from_be_bytes(read.key_hash())) != hash {
            return Err(BadNote::Form("the verifier key's hash is not that of its name and key"));
        }
        Ok(read)
    }
}

fn is_key_name(name: &str) -> bool {
    !name.is_empty() && !name.chars().any(|c| c.is_whitespace() || c == '+' || c.is_control())
}

/// A signed note: text, and signature lines.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SignedNote {
    text: String,
    signatures: Vec<NoteSignature>,
}

/// One signature line.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NoteSignature {
    /// Name of the key.
    pub name: String,
    /// The key's hash.
    pub key_hash: [u8; 4],
    /// The signature.
    pub signature: Vec<u8>,
}

/// Most signature lines read; C2SP asks for at least 16.
const SIGNATURES_MAX: usize = 64;

impl SignedNote {
    /// Reads a note of at most 32 KiB in its one form.
    pub fn parse(bytes: &[u8]) -> Result<Self, BadNote> {
        if bytes.len() > NOTE_BYTES_MAX {
            return Err(BadNote::Form("a note has at most 32 KiB"));
        }
        let note = std::str::from_utf8(bytes).map_err(|_| BadNote::Form("a note is UTF-8"))?;
        if note.chars().any(|c| c < ' ' && c != '\n') {
            return Err(BadNote::Form("a note has no control characters but newlines"));
        }
        let (text, lines) =
            note.rsplit_once("\n\n").ok_or(BadNote::Form("a note has an empty line before its signatures"))?;
        let lines = lines.strip_suffix('\n').ok_or(BadNote::Form("a note ends with a newline"))?;
        let signatures = lines.split('\n').map(NoteSignature::parse).collect::<Result<Vec<_>, _>>()?;
        if signatures.len() > SIGNATURES_MAX {
            return Err(BadNote::Form("a note has at most 64 signatures"));
        }
        Ok(Self { text: format!("{text}\n"), signatures })
    }

    /// The text, with its last newline.
    pub fn text(&self) -> &str {
        &self.text
    }

    /// The signature lines.
    pub fn signatures(&self) -> &[NoteSignature] {
        &self.signatures
    }

    /// Whether a key signed the text. A signature that names the key and is not its spoils the whole note, wherever it stands.
    pub fn verify(&self, key: &VerifierKey) -> Result<(), BadNote> {
        self.verify_with(key, None)
    }

    /// The same, faster for keys that sign often.
    pub fn verify_with(&self, key: &VerifierKey, tables: Option<&SignerTables>) -> Result<(), BadNote> {
        self.by(key, |signature| {
            let signed = Signed { message: self.text.as_bytes(), signature };
            let verdict = match tables {
                Some(tables) => tables.verify(&key.public, &[signed]).pop().unwrap_or(Err(SignatureRefusal::Wrong)),
                None => key.public.verify(signed.message, signed.signature),
            };
            verdict.map_err(|_| BadNote::BadSignature(key.name.clone()))
        })
    }

    /// Checks every signature line that names a key, of which there must be one, and gives what the first of them showed.
    pub(crate) fn by<T>(
        &self,
        key: &VerifierKey,
        check: impl Fn(&[u8]) -> Result<T, BadNote>,
    ) -> Result<T, BadNote> {
        let hash = key.key_hash();
        let shown = self
            .signatures
            .iter()
            .filter(|signature| signature.name == key.name && signature.key_hash == hash)
            .map(|signature| check(&signature.signature))
            .collect::<Result<Vec<_>, _>>()?;
        shown.into_iter().next().ok_or_else(|| BadNote::NotSigned(key.to_string()))
    }
}

impl fmt::Display for SignedNote {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "{}", self.text)?;
        for NoteSignature { name, key_hash, signature } in &self.signatures {
            writeln!(f, "— {name} {}", STANDARD.encode([key_hash.as_slice(), signature].concat()))?;
        }
        Ok(())
    }
}

impl NoteSignature {
    fn parse(line: &str) -> Result<Self, BadNote> {
        let form = BadNote::Form("a signature line is an em dash, a key name and base64");
        let (name, base64) =
            line.strip_prefix("— ").and_then(|rest| rest.split_once(' ')).ok_or_else(|| form.clone())?;
        let bytes = STANDARD.decode(base64).map_err(|_| form.clone())?;
        let Some((key_hash, signature)) = bytes.split_first_chunk::<4>() else {
            return Err(form);
        };
        if !is_key_name(name) || signature.is_empty() {
            return Err(form);
        }
        Ok(Self { name: name.into(), key_hash: *key_hash, signature: signature.to_vec() })
    }
}

/// A tree head (C2SP tlog-checkpoint, without extension lines).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Checkpoint {
    /// The log's identity.
    pub origin: Origin,
    /// Number of leaves.
    pub size: u64,
    /// RFC 6962 root.
    pub root: Hash,
}

impl Checkpoint {
    /// The text that is signed.
    pub fn text(&self) -> String {
        format!("{}\n{}\n{}\n", self.origin, self.size, STANDARD.encode(self.root))
    }

    /// Reads the text of a note, in its one form.
    pub fn parse(text: &str) -> Result<Self, BadNote> {
        let form = BadNote::Form("a checkpoint is three lines: origin, size, base64 of a root");
        let lines: Vec<_> = text.split('\n').collect();
        let [origin, size, root, ""] = lines.as_slice() else {
            return Err(form);
        };
        let root = STANDARD.decode(root).ok().and_then(|bytes| Hash::from_slice(&bytes));
        let checkpoint = Self {
            origin: origin.parse().map_err(|_| form.clone())?,
            size: size.parse().map_err(|_| form.clone())?,
            root: root.ok_or_else(|| form.clone())?,
        };
        if checkpoint.text() == text { Ok(checkpoint) } else { Err(form) }
    }

    /// Signs it with the log's key.
    pub fn sign(&self, key: &LogKey) -> Result<Bytes, SignError> {
        let text = self.text();
        let signature = key.signer.sign(text.as_bytes())?;
        let line = NoteSignature { name: key.verifier.name.clone(), key_hash: key.verifier.key_hash(), signature };
        Ok(SignedNote { text, signatures: vec![line] }.to_string().into())
    }
}

/// The key that signs a log's checkpoints, and nothing else.
#[derive(Clone)]
pub struct LogKey {
    signer: Arc<dyn Signer>,
    verifier: VerifierKey,
}

impl LogKey {
    /// Joins a signer and the origin it signs for. None: the key is not Ed25519.
    pub fn new(origin: &Origin, signer: Arc<dyn Signer>) -> Option<Self> {
        let verifier = VerifierKey::of_log(origin, signer.public().clone())?;
        Some(Self { signer, verifier })
    }

    /// What verifies it.
    pub fn verifier(&self) -> &VerifierKey {
        &self.verifier
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::signer::Ed25519Signer;

    fn key() -> LogKey {
        let origin = "hub-1.example/log".parse().expect("an origin");
        LogKey::new(&origin, Arc::new(Ed25519Signer::from_seed(&[7; 32]))).expect("Ed25519")
    }

    fn checkpoint() -> Checkpoint {
        Checkpoint { origin: "hub-1.example/log".parse().expect("an origin"), size: 42, root: Hash::of(&[b"root"]) }
    }

    #[test]
    fn a_signed_checkpoint_is_read_back_and_verifies() {
        let note = checkpoint().sign(&key()).expect("signs");
        let read = SignedNote::parse(&note).expect("a note");
        read.verify(key().verifier()).expect("signed by the log");
        assert_eq!(Checkpoint::parse(read.text()), Ok(checkpoint()));
        assert_eq!(read.to_string().as_bytes(), note);
        let key = key().verifier().to_string();
        assert_eq!(key.parse::<VerifierKey>().map(|key| key.to_string()), Ok(key));
    }

    #[test]
    fn no_byte_of_a_signed_checkpoint_can_be_changed() {
        let note = checkpoint().sign(&key()).expect("signs");
        for place in 0..note.len() {
            let mut changed = note.to_vec();
            changed[place] ^= 1;
            let accepted = SignedNote::parse(&changed).is_ok_and(|note| note.verify(key().verifier()).is_ok());
            assert!(!accepted, "byte {place}");
        }
    }
}
