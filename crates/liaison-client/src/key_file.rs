//! Signing keys in files: Ed25519 in PKCS #8 v1 PEM (RFC 8410 section 7), which every library reads.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use liaison_protocol::signer::Ed25519Signer;

const BEGIN: &str = "-----BEGIN PRIVATE KEY-----";
const END: &str = "-----END PRIVATE KEY-----";
/// DER before the 32 secret bytes: version 0, algorithm 1.3.101.112, an octet string in an octet string.
const PREFIX: [u8; 16] = [0x30, 0x2e, 2, 1, 0, 0x30, 5, 6, 3, 0x2b, 0x65, 0x70, 4, 0x22, 4, 0x20];

/// The text is no Ed25519 key in PKCS #8 v1.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("expected an Ed25519 private key in PKCS #8 PEM")]
pub struct BadKeyFile;

/// Writes a key from its 32 secret bytes.
pub fn to_pem(seed: &[u8; 32]) -> String {
    format!("{BEGIN}\n{}\n{END}\n", STANDARD.encode([PREFIX.as_slice(), seed].concat()))
}

/// Reads the 32 secret bytes.
pub fn seed(pem: &str) -> Result<[u8; 32], BadKeyFile> {
    let body = pem.trim().strip_prefix(BEGIN).and_then(|rest| rest.strip_suffix(END)).ok_or(BadKeyFile)?;
    let body: String = body.split_whitespace().collect();
    let der = STANDARD.decode(body).map_err(|_| BadKeyFile)?;
    der.strip_prefix(&PREFIX).and_then(|seed| seed.try_into().ok()).ok_or(BadKeyFile)
}

/// Reads a key.
pub fn signer(pem: &str) -> Result<Ed25519Signer, BadKeyFile> {
    seed(pem).map(|seed| Ed25519Signer::from_seed(&seed))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_is_written_and_read_back_and_nothing_else_is_a_key() {
        assert_eq!(seed(&to_pem(&[7; 32])), Ok([7; 32]));
        assert_eq!(seed("-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n"), Err(BadKeyFile));
        assert_eq!(seed(""), Err(BadKeyFile));
    }
}
