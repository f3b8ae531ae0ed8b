//! Why there is no line, in words: what an alert means, and what is wrong with the certificate that the other end showed.

use std::io;
use std::sync::{Arc, Mutex, PoisonError};

use liaison_protocol::id::Micros;
use liaison_protocol::receipt::Time;
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::{AlertDescription, CertificateError, Error};
use x509_parser::prelude::{FromDer as _, X509Certificate};

use crate::ClientError;

/// Why the last try at a line failed for good. None: it did not, or may pass later.
#[derive(Clone, Debug, Default)]
pub(crate) struct LastFault(Arc<Mutex<Option<Fault>>>);

#[derive(Clone, Debug)]
enum Fault {
    NotLetIn(String),
    NotTheNode(String),
}

impl LastFault {
    /// Remembers how a try went.
    pub(crate) fn note<T>(&self, tried: &io::Result<T>) {
        let inner = tried.as_ref().err().and_then(io::Error::get_ref);
        let fault = inner.and_then(|inner| inner.downcast_ref::<Error>()).and_then(fault);
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = fault;
    }

    /// What a caller is told.
    pub(crate) fn error(&self, node: &str) -> Option<ClientError> {
        let node = node.to_owned();
        self.0.lock().unwrap_or_else(PoisonError::into_inner).clone().map(|fault| match fault {
            Fault::NotLetIn(message) => ClientError::NotLetIn { node, message },
            Fault::NotTheNode(message) => ClientError::NotTheNode { node, message },
        })
    }
}

fn fault(error: &Error) -> Option<Fault> {
    Some(match error {
        Error::AlertReceived(alert) => match of_certificate(*alert) {
            Some(why) => Fault::NotLetIn(format!("{why} (alert {alert:?})")),
            None => Fault::NotTheNode(format!("the other end refused TLS 1.3 with h2 (alert {alert:?})")),
        },
        Error::InvalidCertificate(CertificateError::Other(why)) => Fault::NotTheNode(why.0.to_string()),
        Error::InvalidCertificate(why) => {
            Fault::NotTheNode(format!("the certificate of who answers is not believed: {why:?}"))
        }
        Error::InvalidMessage(_) => Fault::NotTheNode("what answers there does not speak TLS".into()),
        other => Fault::NotTheNode(format!("the other end does not hold to TLS 1.3: {other}")),
    })
}

/// What an alert says about the caller's certificate, if it is about that (RFC 8446, section 6.2).
fn of_certificate(alert: AlertDescription) -> Option<&'static str> {
    Some(match alert {
        AlertDescription::CertificateExpired => "it has expired, or does not hold yet, by the node's clock",
        AlertDescription::CertificateRevoked => "it is revoked",
        AlertDescription::UnknownCA => "the directory pins no authority that issued it",
        AlertDescription::CertificateRequired | AlertDescription::NoCertificate => "none was shown",
        AlertDescription::UnsupportedCertificate => "it is not of a kind that the node takes",
        AlertDescription::AccessDenied => "whom it names is not let in",
        AlertDescription::BadCertificate | AlertDescription::CertificateUnknown => {
            "it does not hold what a partner's certificate must"
        }
        AlertDescription::DecryptError => "its signature is not that of its key",
        _ => return None,
    })
}

/// What is wrong with the certificates that the other end showed. The moments are those of the certificate that does not hold,
/// which need not be the first.
pub(crate) fn of_server(
    error: &Error,
    leaf: &CertificateDer<'_>,
    intermediates: &[CertificateDer<'_>],
    name: &ServerName<'_>,
    now: UnixTime,
) -> Option<String> {
    let Error::InvalidCertificate(why) = error else { return None };
    let chain = || std::iter::once(leaf).chain(intermediates);
    Some(match why {
        CertificateError::Expired
        | CertificateError::ExpiredContext { .. }
        | CertificateError::NotValidYet
        | CertificateError::NotValidYetContext { .. } => {
            let now = i64::try_from(now.as_secs()).unwrap_or(i64::MAX);
            let amiss = chain().enumerate().find_map(|(nth, der)| not_valid(nth, der, now));
            let amiss = amiss.unwrap_or_else(|| "the authority in the authority file does not hold".into());
            format!("{amiss}; this machine's clock says {}", Time(seconds(now)))
        }
        CertificateError::NotValidForName | CertificateError::NotValidForNameContext { .. } => {
            let asked = name.to_str();
            format!("the certificate of who answers is not for {asked}: it is for {}", names(leaf))
        }
        CertificateError::UnknownIssuer => {
            let issuer = chain().last().map(|last| issuer(last)).unwrap_or_default();
            format!("the issuer of the node's certificate is not in the authority file: it was issued by {issuer}")
        }
        CertificateError::BadSignature => {
            "the node's certificate was not signed by the authority in the authority file, but by another of the same name"
                .into()
        }
        CertificateError::Revoked => "the node's certificate is revoked".into(),
        CertificateError::InvalidPurpose | CertificateError::InvalidPurposeContext { .. } => {
            "the certificate of who answers is not for a server".into()
        }
        other => format!("the certificate of who answers is not believed: {other:?}"),
    })
}

fn seconds(seconds: i64) -> Micros {
    Micros(seconds.saturating_mul(Micros::SECOND))
}

fn not_valid(nth: usize, der: &CertificateDer<'_>, now: i64) -> Option<String> {
    let (_, certificate) = X509Certificate::from_der(der).ok()?;
    let validity = certificate.validity();
    let (from, until) = (validity.not_before.timestamp(), validity.not_after.timestamp());
    let whose = match nth {
        0 => "the node's certificate".to_owned(),
        _ => format!("the intermediate certificate {} in the node's chain", certificate.subject()),
    };
    match now {
        now if now < from => Some(format!("{whose} does not hold before {}", Time(seconds(from)))),
        now if now > until => Some(format!("{whose} ended at {}", Time(seconds(until)))),
        _ => None,
    }
}

fn issuer(der: &CertificateDer<'_>) -> String {
    X509Certificate::from_der(der).map(|(_, certificate)| certificate.issuer().to_string()).unwrap_or_default()
}

/// The DNS names and addresses in a certificate.
fn names(der: &CertificateDer<'_>) -> String {
    use x509_parser::extensions::GeneralName;
    let Ok((_, certificate)) = X509Certificate::from_der(der) else { return "nobody".into() };
    let names = certificate.subject_alternative_name().ok().flatten();
    let names = names.map(|names| names.value.general_names.iter()).into_iter().flatten();
    let named: Vec<String> = names
        .filter_map(|name| match name {
            GeneralName::DNSName(name) => Some((*name).to_owned()),
            GeneralName::IPAddress(bytes) => match **bytes {
                [a, b, c, d] => Some(format!("{a}.{b}.{c}.{d}")),
                _ => <[u8; 16]>::try_from(*bytes).ok().map(|six| std::net::Ipv6Addr::from(six).to_string()),
            },
            _ => None,
        })
        .collect();
    if named.is_empty() { "no name".into() } else { named.join(", ") }
}
