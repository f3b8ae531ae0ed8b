//! C2SP tlog-proof: one entry's inclusion in one text file that verifies offline.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use crate::id::Hash;
use crate::tlog::checkpoint::{BadNote, SignedNote};

const FIRST_LINE: &str = "c2sp.org/tlog-proof@v1";

/// A proof file: extra data, index, path and checkpoint. Nothing in it is believed yet.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ProofFile {
    /// The application's own data; empty for none.
    pub extra: Vec<u8>,
    /// The entry's place in the log.
    pub index: u64,
    /// RFC 6962 inclusion path, leaf's sibling first.
    pub path: Vec<Hash>,
    /// The checkpoint.
    pub checkpoint: SignedNote,
}

impl ProofFile {
    /// Reads a proof file in its one form, so that every byte of it counts.
    pub fn parse(text: &str) -> Result<Self, BadNote> {
        let mut lines = text.split_inclusive('\n').map(|line| line.trim_end_matches('\n'));
        if lines.next() != Some(FIRST_LINE) {
            return Err(BadNote::Form("the first line is c2sp.org/tlog-proof@v1"));
        }
        let mut line = lines.next().unwrap_or_default();
        let mut extra = Vec::new();
        if let Some(base64) = line.strip_prefix("extra ") {
            extra = STANDARD.decode(base64).map_err(|_| BadNote::Form("the extra line is base64"))?;
            line = lines.next().unwrap_or_default();
        }
        let index = line
            .strip_prefix("index ")
            .and_then(|index| index.parse().ok())
            .ok_or(BadNote::Form("the index line is a decimal number"))?;
        let path = lines
            .by_ref()
            .take_while(|line| !line.is_empty())
            .map(|line| STANDARD.decode(line).ok().and_then(|bytes| Hash::from_slice(&bytes)))
            .collect::<Option<Vec<_>>>()
            .ok_or(BadNote::Form("a path line is base64 of 32 bytes"))?;
        let (_, checkpoint) =
            text.split_once("\n\n").ok_or(BadNote::Form("an empty line stands before the checkpoint"))?;
        let file = Self { extra, index, path, checkpoint: SignedNote::parse(checkpoint.as_bytes())? };
        if file.to_string() == text { Ok(file) } else { Err(BadNote::Form("the proof is not in its one form")) }
    }
}

impl std::fmt::Display for ProofFile {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        writeln!(f, "{FIRST_LINE}")?;
        if !self.extra.is_empty() {
            writeln!(f, "extra {}", STANDARD.encode(&self.extra))?;
        }
        writeln!(f, "index {}", self.index)?;
        for hash in &self.path {
            writeln!(f, "{}", STANDARD.encode(hash))?;
        }
        write!(f, "\n{}", self.checkpoint)
    }
}
