//! Judges the certificate of one handshake, for rustls, and keeps the verdict so that it can be logged with the address.

use std::sync::{Arc, Mutex, PoisonError};

use liaison_protocol::id::{Hash, Micros};
use rustls::client::danger::HandshakeSignatureValid;
use rustls::crypto::{WebPkiSupportedAlgorithms, verify_tls13_signature};
use rustls::pki_types::{CertificateDer, UnixTime};
use rustls::server::danger::{ClientCertVerified, ClientCertVerifier};
use rustls::{
    CertificateError, DigitallySignedStruct, DistinguishedName, Error, PeerIncompatible, SignatureScheme,
};
use x509_parser::prelude::{FromDer as _, X509Certificate};

use crate::peer::{BadPeer, CERTIFICATE_BYTES_MAX, Identities, Peer};

/// Longest text from a certificate in a log line.
const LOGGED_BYTES_MAX: usize = 256;

/// The verifier of one handshake: one snapshot of identities from its first byte to its last.
#[derive(Debug)]
pub(super) struct Verifier {
    identities: Arc<Identities>,
    algorithms: WebPkiSupportedAlgorithms,
    verdict: Mutex<Option<Result<Peer, Rejected>>>,
}

impl Verifier {
    pub(super) fn new(identities: Arc<Identities>, algorithms: WebPkiSupportedAlgorithms) -> Arc<Self> {
        Arc::new(Self { identities, algorithms, verdict: Mutex::new(None) })
    }

    /// What was judged by.
    pub(super) fn identities(&self) -> &Arc<Identities> {
        &self.identities
    }

    /// What was found, once; none where no certificate was shown.
    pub(super) fn verdict(&self) -> Option<Result<Peer, Rejected>> {
        self.verdict.lock().unwrap_or_else(PoisonError::into_inner).take()
    }
}

impl ClientCertVerifier for Verifier {
    /// Names nobody: a list of the authorities would tell every stranger who takes part.
    fn root_hint_subjects(&self) -> &[DistinguishedName] {
        &[]
    }

    fn verify_client_cert(
        &self,
        leaf: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        now: UnixTime,
    ) -> Result<ClientCertVerified, Error> {
        let mut chain = Vec::with_capacity(1 + intermediates.len());
        chain.push(leaf.clone());
        chain.extend_from_slice(intermediates);
        let seconds = i64::try_from(now.as_secs()).unwrap_or(i64::MAX);
        let now = Micros(seconds.saturating_mul(Micros::SECOND));
        let judged = self.identities.admit(&chain, now);
        let answer = match &judged {
            Ok(_) => Ok(ClientCertVerified::assertion()),
            Err(bad) => Err(Error::InvalidCertificate(alert(bad))),
        };
        let verdict = judged.map_err(|bad| Rejected::new(bad, leaf));
        *self.verdict.lock().unwrap_or_else(PoisonError::into_inner) = Some(verdict);
        answer
    }

    fn verify_tls12_signature(
        &self,
        _: &[u8],
        _: &CertificateDer<'_>,
        _: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        Err(PeerIncompatible::Tls12NotOfferedOrEnabled.into())
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        leaf: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        verify_tls13_signature(message, leaf, signature, &self.algorithms)
    }

    /// Wider than the leaves we accept: many clients hold their whole chain against this list before they show any of it.
    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.algorithms.supported_schemes()
    }
}

/// What the client's own log will say, by way of the TLS alert.
fn alert(bad: &BadPeer) -> CertificateError {
    match bad {
        BadPeer::Expired { .. } => CertificateError::Expired,
        BadPeer::NotYetValid { .. } => CertificateError::NotValidYet,
        BadPeer::UnknownIssuer => CertificateError::UnknownIssuer,
        BadPeer::WrongUsage | BadPeer::WrongKeyUsage => CertificateError::InvalidPurpose,
        BadPeer::SigningKey | BadPeer::KeyNotPinned | BadPeer::Denied => {
            CertificateError::ApplicationVerificationFailure
        }
        BadPeer::Revoked { .. } | BadPeer::RevokedAuthority { .. } => CertificateError::Revoked,
        BadPeer::ListStale | BadPeer::ListMissing => CertificateError::UnknownRevocationStatus,
        BadPeer::NoIdentity | BadPeer::AmbiguousIdentity | BadPeer::OtherNetwork | BadPeer::NameConstraint => {
            CertificateError::NotValidForName
        }
        BadPeer::NoCertificate
        | BadPeer::Malformed
        | BadPeer::WeakKey
        | BadPeer::ChainTooComplex
        | BadPeer::BadChain(_) => CertificateError::BadEncoding,
    }
}

/// A certificate that was refused, as far as a log may tell of it: never its body.
#[derive(Debug)]
pub(super) struct Rejected {
    pub(super) why: BadPeer,
    pub(super) certificate: Hash,
    pub(super) serial: String,
    pub(super) issuer: String,
}

impl Rejected {
    pub(super) fn new(why: BadPeer, leaf: &CertificateDer<'_>) -> Self {
        let (mut serial, mut issuer) = (String::new(), String::new());
        if leaf.len() <= CERTIFICATE_BYTES_MAX
            && let Ok((_, parsed)) = X509Certificate::from_der(leaf)
        {
            serial = loggable(&parsed.raw_serial_as_string());
            // Whoever signs himself is named by nobody, and who he says he is stays out.
            issuer = match parsed.issuer() == parsed.subject() {
                true => "self-signed".into(),
                false => loggable(&parsed.issuer().to_string()),
            };
        }
        Self { why, certificate: Hash::of(&[leaf]), serial, issuer }
    }
}

/// On one line and bounded, whatever the other end wrote into it.
pub(super) fn loggable(text: &str) -> String {
    let escaped = text.chars().take(LOGGED_BYTES_MAX).flat_map(char::escape_default);
    // `escape_default` leaves ASCII only, so characters are bytes.
    escaped.take(LOGGED_BYTES_MAX).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fault_108_what_a_certificate_says_stays_on_one_short_line() {
        assert_eq!(loggable("CN=x\nevent=\u{202e}\0"), "CN=x\\nevent=\\u{202e}\\u{0}");
        assert_eq!(loggable(&"\u{e9}".repeat(9_000)).len(), LOGGED_BYTES_MAX);
    }
}
