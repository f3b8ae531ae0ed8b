//! Who answers at the other end. That an authority knows it by the name that was dialled is not enough: it has to be a node, of the
//! caller's own network, and the one that was meant. Everything else ends before the first byte of a call.

use std::sync::Arc;

use liaison_protocol::id::NodeId;
use rustls::client::WebPkiServerVerifier;
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::client::{ClientConfig, Resumption};
use rustls::crypto::ring::default_provider;
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName, UnixTime};
use rustls::version::TLS13;
use rustls::{CertificateError, DigitallySignedStruct, Error, OtherError, RootCertStore, SignatureScheme};
use x509_parser::extensions::GeneralName;
use x509_parser::prelude::{FromDer as _, X509Certificate};

use crate::fault;
use crate::line::Endpoint;

/// A TLS client that believes only the endpoint's node. Err: what is wrong with the endpoint.
pub(crate) fn tls(endpoint: &Endpoint) -> Result<ClientConfig, String> {
    let certificates = |what: &str, pem: &str| -> Result<Vec<CertificateDer<'static>>, String> {
        let all: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(pem.as_bytes()).collect();
        all.ok().filter(|all| !all.is_empty()).ok_or_else(|| format!("the {what} holds no PEM certificate"))
    };
    let mut roots = RootCertStore::empty();
    for authority in certificates("authority", &endpoint.authority_pem)? {
        roots.add(authority).map_err(|error| format!("the authority cannot be used: {error}"))?;
    }
    let chain = certificates("caller's certificate", &endpoint.certificate_pem)?;
    let key = PrivateKeyDer::from_pem_slice(endpoint.key_pem.as_bytes())
        .map_err(|_| "the caller's key is no PEM private key".to_owned())?;
    let own = only_uri(&chain[0]).ok_or("the caller's certificate carries no identity of a network")?;
    let network = own.strip_prefix("spiffe://").and_then(|rest| rest.split('/').next());
    let network = network.ok_or("the caller's certificate carries no identity of a network")?;
    let provider = Arc::new(default_provider());
    let inner = WebPkiServerVerifier::builder_with_provider(Arc::new(roots), provider.clone())
        .build()
        .map_err(|error| format!("the authority cannot be used: {error}"))?;
    let verifier = NodeVerifier { inner, nodes: format!("spiffe://{network}/node/"), node: endpoint.node.clone() };
    let mut config = ClientConfig::builder_with_provider(provider)
        .with_protocol_versions(&[&TLS13])
        .map_err(|error| error.to_string())?
        .dangerous()
        .with_custom_certificate_verifier(Arc::new(verifier))
        .with_client_auth_cert(chain, key)
        .map_err(|error| format!("the caller's certificate and key: {error}"))?;
    config.alpn_protocols = vec![b"h2".to_vec()];
    config.resumption = Resumption::disabled();
    Ok(config)
}

/// All that webpki asks for, and the identity.
#[derive(Debug)]
struct NodeVerifier {
    inner: Arc<WebPkiServerVerifier>,
    /// What every node's identity begins with.
    nodes: String,
    /// The one that is meant; None: any node that carries the dialled name.
    node: Option<NodeId>,
}

impl ServerCertVerifier for NodeVerifier {
    fn verify_server_cert(
        &self,
        leaf: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        name: &ServerName<'_>,
        ocsp: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        let verified = self.inner.verify_server_cert(leaf, intermediates, name, ocsp, now);
        let verified = verified
            .map_err(|error| fault::of_server(&error, leaf, intermediates, name, now).map_or(error, other))?;
        let uri = only_uri(leaf);
        let node =
            uri.as_deref().and_then(|uri| uri.strip_prefix(&self.nodes)).and_then(|id| id.parse::<NodeId>().ok());
        match (node, &self.node) {
            (Some(node), Some(meant)) if node != *meant => {
                Err(other(format!("{node} answers, and {meant} was meant")))
            }
            (Some(_), _) => Ok(verified),
            (None, _) => Err(other("who answers is no node of the caller's network".into())),
        }
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        leaf: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        self.inner.verify_tls12_signature(message, leaf, signature)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        leaf: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        self.inner.verify_tls13_signature(message, leaf, signature)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.inner.supported_verify_schemes()
    }
}

#[derive(Debug, thiserror::Error)]
#[error("{0}")]
struct OtherNode(String);

fn other(why: String) -> Error {
    CertificateError::Other(OtherError(Arc::new(OtherNode(why)))).into()
}

/// The one URI of a certificate; None where there is none or another.
fn only_uri(certificate: &CertificateDer<'_>) -> Option<String> {
    let (_, parsed) = X509Certificate::from_der(certificate).ok()?;
    let names = parsed.subject_alternative_name().ok()??;
    let mut uris = names.value.general_names.iter().filter_map(|name| match name {
        GeneralName::URI(uri) => Some((*uri).to_owned()),
        _ => None,
    });
    let only = uris.next()?;
    uris.next().is_none().then_some(only)
}
