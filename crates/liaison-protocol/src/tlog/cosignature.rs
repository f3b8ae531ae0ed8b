//! C2SP tlog-cosignature: a witness saw this checkpoint, consistent with all it saw before, at this time.

use crate::id::Micros;
use crate::tlog::checkpoint::{BadNote, SignedNote, TYPE_COSIGNATURE, VerifierKey};

/// Verifies a witness's cosignature/v1 on a note and says when it was made. The line holds the time, 8 bytes big-endian in
/// seconds, and an Ed25519 signature over `cosignature/v1\ntime <seconds>\n` and the note's text.
pub fn verify(note: &SignedNote, witness: &VerifierKey) -> Result<Micros, BadNote> {
    if witness.signature_type() != TYPE_COSIGNATURE {
        return Err(BadNote::Form("a witness's key has signature type 0x04"));
    }
    let bad = || BadNote::BadSignature(witness.name().into());
    note.by(witness, |line| {
        let (time, signature) = line.split_first_chunk::<8>().ok_or_else(bad)?;
        let seconds = u64::from_be_bytes(*time);
        let message = format!("cosignature/v1\ntime {seconds}\n{}", note.text());
        witness.public().verify(message.as_bytes(), signature).map_err(|_| bad())?;
        let micros = i64::try_from(seconds).ok().and_then(|seconds| seconds.checked_mul(Micros::SECOND));
        micros.map(Micros).ok_or_else(bad)
    })
}
