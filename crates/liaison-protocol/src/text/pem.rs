//! What a file holds where a certificate or a private key in PEM is wanted, with the command that mends it.
//! Readers ask this first: a parser of PEM skips what it does not know, and could take the second certificate for the first.

use super::{changed_on_the_way, quoted};

/// What a reader wants from a PEM file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Wanted {
    /// One certificate or a chain.
    Certificate,
    /// A private key of any kind that TLS takes: PKCS #8, PKCS #1 or SEC 1.
    Key,
    /// A private key in PKCS #8 (RFC 5958) alone.
    Pkcs8,
}

impl Wanted {
    fn name(self) -> &'static str {
        match self {
            Self::Certificate => "certificate",
            Self::Key | Self::Pkcs8 => "private key",
        }
    }

    fn is(self, label: &str) -> bool {
        match self {
            Self::Certificate => label == "CERTIFICATE",
            Self::Key => label == "PRIVATE KEY" || OLDER_KEYS.contains(&label),
            Self::Pkcs8 => label == "PRIVATE KEY",
        }
    }
}

/// PKCS #1 and SEC 1.
const OLDER_KEYS: [&str; 2] = ["RSA PRIVATE KEY", "EC PRIVATE KEY"];
/// The tag of a DER sequence (X.690): how every certificate and key begins that is not in PEM.
const SEQUENCE: u8 = 0x30;

/// Why the file cannot be read as what is wanted, in words. None: it holds what is wanted.
/// Never carries anything of the file but the kind of its first block.
pub fn amiss(file: &str, bytes: &[u8], wanted: Wanted) -> Option<String> {
    let name = wanted.name();
    if bytes.starts_with(super::BYTE_ORDER_MARK) || super::Altered::utf16(bytes).is_some() {
        return changed_on_the_way(file, bytes).map(|(said, undo)| format!("{said}: {undo}"));
    }
    if bytes.first() == Some(&SEQUENCE) {
        let tool = if wanted == Wanted::Certificate { "x509" } else { "pkey" };
        return Some(format!(
            "is a {name} in DER, or no {name}; PEM is wanted: {}",
            openssl(tool, " -inform DER", file)
        ));
    }
    let text = String::from_utf8_lossy(bytes);
    let labels: Vec<&str> = text.lines().filter_map(label).collect();
    let encrypted = labels.contains(&"ENCRYPTED PRIVATE KEY") || text.contains("Proc-Type: 4,ENCRYPTED");
    if encrypted && wanted != Wanted::Certificate {
        return Some(format!(
            "is an encrypted key, and nobody is there to give its password: {}",
            openssl("pkey", "", file)
        ));
    }
    if labels.iter().any(|label| wanted.is(label)) {
        return None;
    }
    Some(match labels.first() {
        None => format!("holds no PEM {name}"),
        Some(&"CERTIFICATE") => format!("holds a certificate where a {name} belongs: name the key's file here"),
        Some(&"TRUSTED CERTIFICATE") if wanted == Wanted::Certificate => {
            format!("is a certificate in OpenSSL's own form: {}", openssl("x509", "", file))
        }
        Some(&"CERTIFICATE REQUEST" | &"NEW CERTIFICATE REQUEST") => {
            format!("holds a request for a certificate where a {name} belongs: name what the authority sent back")
        }
        Some(&"PUBLIC KEY") => format!("holds a public key where a {name} belongs"),
        Some(older) if wanted == Wanted::Pkcs8 && OLDER_KEYS.contains(older) => {
            let form = if older.starts_with("RSA") { "PKCS #1" } else { "SEC 1" };
            format!("is a key in {form}, and PKCS #8 is wanted: {}", openssl("pkcs8", " -topk8 -nocrypt", file))
        }
        Some(key) if key.ends_with("PRIVATE KEY") && wanted == Wanted::Certificate => {
            "holds a private key where a certificate belongs: name the certificate's file here".into()
        }
        Some(_) => format!("holds no PEM {name}, but something else in PEM"),
    })
}

fn label(line: &str) -> Option<&str> {
    line.trim().strip_prefix("-----BEGIN ")?.strip_suffix("-----")
}

/// The new file is closed to others, because it may be a key.
fn openssl(tool: &str, options: &str, file: &str) -> String {
    let mended = format!("{file}.mended");
    format!("umask 077; openssl {tool}{options} -in {} -out {}", quoted(file), quoted(&mended))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_no_such_pem_is_named_with_the_command_that_mends_it() {
        let block = |label: &str| format!("-----BEGIN {label}-----\nAAAA\n-----END {label}-----\n").into_bytes();
        let marked = |bytes: Vec<u8>| [b"\xef\xbb\xbf".as_slice(), &bytes].concat();
        let old = b"-----BEGIN EC PRIVATE KEY-----\nProc-Type: 4,ENCRYPTED\n\nAAAA\n-----END EC PRIVATE KEY-----\n"
            .to_vec();
        use Wanted::{Certificate, Key, Pkcs8};
        let rows: &[(Vec<u8>, Wanted, Option<&str>)] = &[
            (block("CERTIFICATE"), Certificate, None),
            (block("PRIVATE KEY"), Key, None),
            (block("EC PRIVATE KEY"), Key, None),
            (block("PRIVATE KEY"), Pkcs8, None),
            (String::from_utf8(block("PRIVATE KEY")).unwrap().replace('\n', "\r\n").into(), Pkcs8, None),
            ([block("CERTIFICATE"), block("PRIVATE KEY")].concat(), Key, None),
            (block("ENCRYPTED PRIVATE KEY"), Key, Some("openssl pkey -in 'a b.pem' -out 'a b.pem.mended'")),
            (old.clone(), Key, Some("encrypted key")),
            (old, Pkcs8, Some("encrypted key")),
            (vec![0x30, 0x82], Key, Some("openssl pkey -inform DER")),
            (vec![0x30, 0x82], Certificate, Some("openssl x509 -inform DER")),
            (block("EC PRIVATE KEY"), Pkcs8, Some("SEC 1, and PKCS #8 is wanted: umask 077; openssl pkcs8 -topk8")),
            (block("RSA PRIVATE KEY"), Pkcs8, Some("PKCS #1")),
            (block("CERTIFICATE"), Key, Some("holds a certificate where a private key belongs")),
            (block("EC PRIVATE KEY"), Certificate, Some("holds a private key where a certificate belongs")),
            (block("ENCRYPTED PRIVATE KEY"), Certificate, Some("holds a private key where a certificate belongs")),
            (block("CERTIFICATE REQUEST"), Certificate, Some("request")),
            (block("PUBLIC KEY"), Key, Some("public key")),
            (block("X509 CRL"), Key, Some("something else")),
            (marked(block("CERTIFICATE")), Certificate, Some("byte order mark")),
            (b"\xff\xfe-\0-\0".to_vec(), Key, Some("UTF-16")),
            (Vec::new(), Key, Some("holds no PEM private key")),
        ];
        for (bytes, wanted, said) in rows {
            let found = amiss("a b.pem", bytes, *wanted);
            let what = String::from_utf8_lossy(bytes);
            match (said, &found) {
                (None, None) => {}
                (Some(said), Some(found)) => assert!(found.contains(said), "{what}: {found}"),
                _ => panic!("{wanted:?} {what}: {found:?}"),
            }
        }
    }
}
