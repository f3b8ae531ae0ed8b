//! K: the TLS certificate and the keys that sign.

use std::path::Path;

use liaison_protocol::directory::RecordBody;
use liaison_protocol::id::{Hash, Micros, NetworkName, to_hex};
use liaison_protocol::keyring::{PublicKey, TrustedKey, Usage};
use rustls::pki_types::{CertificateDer, ServerName};
use x509_parser::extensions::GeneralName;
use x509_parser::prelude::{FromDer as _, X509Certificate};

use super::super::check::{Check, Code, Fix};
use super::super::facts::files::Certificate;
use super::super::facts::{Fact, and, node, partner};
use super::{ending, folder_of, needs, on, quoted, when};
use crate::peer::{BadPeer, Identities, Identity, Owner, Peer, Pins};

use Code::{D02, D04, K01, K02, K03, K04, K05, K06, K07, K08, K09};

/// A certificate, whose it should be, and what replaces it.
struct Own<'a> {
    certificate: &'a Certificate,
    identity: Identity,
    network: Fact<NetworkName>,
    /// What the directory pins for it.
    identities: Fact<Identities>,
    renew: Fix,
    now: Micros,
}

pub(super) fn node(code: Code, facts: &node::Node, found: &node::Found) -> Check {
    let folder = folder_of(&facts.config);
    let identity = Identity::Node(found.settings.node.clone());
    let listed = super::directory::listed(found);
    match code {
        K06 => return log_key(folder, found),
        K07 => return addresses(found, folder),
        _ => {}
    }
    let own = Own {
        network: and(&found.directory, |directory| Ok(directory.head().name().clone())),
        identities: and(&listed, |node| {
            let directory = found.directory.as_ref().map_err(Clone::clone)?;
            let keys = directory.partners().flat_map(|partner| directory.keys(partner.number));
            Ok(pinned(directory.head().name(), identity.owner(), &node.tls_authorities, &node.tls_keys, keys))
        }),
        certificate: &found.certificate,
        renew: issue(folder, &identity),
        identity,
        now: facts.now,
    };
    judge(code, &own)
}

pub(super) fn partner(code: Code, facts: &partner::Partner, found: &partner::Found) -> Check {
    match code {
        K08 => return signing_key(code, &found.notice_key, Usage::Notice, facts, found),
        K09 => return signing_key(code, &found.acknowledgement_key, Usage::Acknowledgement, facts, found),
        _ => {}
    }
    let listed = super::directory::registered(found);
    let own = Own {
        network: match &found.directory {
            Ok(known) => Ok(known.head().name().clone()),
            // A node that does not let the partner in tells it nothing; the certificate still says which network it is for.
            Err(missing) => network_of(&found.certificate).ok_or_else(|| missing.clone()),
        },
        identities: and(&listed, |partner| {
            let known = found.directory.as_ref().map_err(Clone::clone)?;
            let keys = known.records().iter().filter_map(|record| match record {
                RecordBody::Key(_, key) => Some(key),
                _ => None,
            });
            let owner = found.identity.owner();
            Ok(pinned(known.head().name(), owner, &partner.tls_authorities, &partner.tls_keys, keys))
        }),
        certificate: &found.certificate,
        identity: found.identity.clone(),
        // In the folder that `init` made, a context lies two below the authority.
        renew: issue(found.folder.parent().and_then(Path::parent).unwrap_or(&found.folder), &found.identity),
        now: facts.now,
    };
    judge(code, &own)
}

/// The network that a certificate's one URI names.
fn network_of(certificate: &Certificate) -> Option<NetworkName> {
    let chain = certificate.chain.as_ref().ok()?;
    let (_, leaf) = X509Certificate::from_der(chain.first()?).ok()?;
    let uri = uris(&leaf).into_iter().next()?;
    uri.strip_prefix("spiffe://")?.split('/').next()?.parse().ok()
}

/// What issues a certificate anew, where the authority's key is at hand.
fn issue(folder: &Path, identity: &Identity) -> Fix {
    let at = quoted(folder);
    match identity {
        _ if !folder.join("pki/ca.key").exists() => Fix::Do(format!(
            "have your authority issue a certificate for {identity}, and put it in the old one's place"
        )),
        Identity::Node(node) => Fix::Run(format!("liaison certificate node {node} --folder {at}")),
        Identity::Partner { partner, system } => {
            Fix::Run(format!("liaison certificate partner {partner} --system {system} --folder {at}"))
        }
    }
}

/// What the directory pins for one owner, as a node would judge it.
pub(super) fn pinned<'a>(
    network: &NetworkName,
    owner: Owner,
    authorities: &[bytes::Bytes],
    keys: &[Hash],
    signing: impl Iterator<Item = &'a TrustedKey>,
) -> Identities {
    let authorities = authorities.iter().map(|der| CertificateDer::from(der.to_vec())).collect();
    let pins = Pins { authorities, keys: keys.to_vec() };
    Identities::new(network.clone(), [(owner, pins)], signing.map(|key| key.public.as_bytes().to_vec()))
}

fn judge(code: Code, own: &Own<'_>) -> Check {
    let renew = || own.renew.clone();
    if code == K01 {
        return on(K01, &own.certificate.fits, renew, |()| {
            Check::ok(
                K01,
                format!("{} has the key of {}", own.certificate.key_file.display(), own.certificate.file.display()),
            )
        });
    }
    let Ok(chain) = &own.certificate.chain else { return needs(code, K01) };
    let Some((_, leaf)) = chain.first().and_then(|leaf| X509Certificate::from_der(leaf).ok()) else {
        return match code {
            K03 => Check::failed(K03, "the certificate cannot be read", renew()),
            _ => needs(code, K03),
        };
    };
    match code {
        K02 => when(K02, &own.network, D02, |network| name(&leaf, network, own)),
        K03 => when(K03, &own.network, D02, |network| profile(chain, network, renew)),
        K04 => validity(K04, &leaf, own.now, renew),
        _ => when(K05, &own.identities, D04, |identities| issuer(chain, &leaf, identities, own)),
    }
}

/// Whom the certificate names, by the one URI in it.
fn name(leaf: &X509Certificate<'_>, network: &NetworkName, own: &Own<'_>) -> Check {
    let expected = own.identity.uri(network);
    let uris = uris(leaf);
    match uris.as_slice() {
        [uri] if *uri == expected => Check::ok(K02, format!("{} ({expected})", own.identity)),
        [] => Check::failed(K02, format!("it names nobody; expected {expected}"), own.renew.clone()),
        found => {
            Check::failed(K02, format!("it names {}; expected {expected}", found.join(", ")), own.renew.clone())
        }
    }
}

fn uris(leaf: &X509Certificate<'_>) -> Vec<String> {
    let names = leaf.subject_alternative_name().ok().flatten();
    let names = names.map(|extension| extension.value.general_names.iter()).into_iter().flatten();
    let uri = |name: &GeneralName<'_>| match name {
        GeneralName::URI(uri) => Some(uri.escape_default().to_string()),
        _ => None,
    };
    names.filter_map(uri).collect()
}

/// Everything that a node asks of a leaf beside its name and its issuer.
fn profile(chain: &[CertificateDer<'_>], network: &NetworkName, renew: impl Fn() -> Fix) -> Check {
    match Peer::from_verified_chain(chain, network) {
        Ok(peer) => {
            let usage = if peer.partner().is_some() { "clientAuth" } else { "clientAuth and serverAuth" };
            Check::ok(K03, format!("P-256, {usage}, one identity"))
        }
        Err(BadPeer::NoIdentity | BadPeer::OtherNetwork) => needs(K03, K02),
        Err(bad) => Check::failed(K03, bad.to_string(), renew()),
    }
}

/// From when to when a certificate holds.
pub(super) fn validity(code: Code, leaf: &X509Certificate<'_>, now: Micros, renew: impl FnOnce() -> Fix) -> Check {
    let (from, until) = window(leaf);
    if now < from {
        let found = format!("it holds from {} on, which is in {}", super::day(from), super::span(from.since(now)));
        return Check::failed(code, found, renew());
    }
    ending(code, "it", until, now, renew)
}

fn window(leaf: &X509Certificate<'_>) -> (Micros, Micros) {
    let micros = |at: x509_parser::time::ASN1Time| Micros(at.timestamp().saturating_mul(Micros::SECOND));
    (micros(leaf.validity().not_before), micros(leaf.validity().not_after))
}

/// Whether the directory believes it, judged at a moment when it holds: that it ended is K04's finding.
fn issuer(
    chain: &[CertificateDer<'_>],
    leaf: &X509Certificate<'_>,
    identities: &Identities,
    own: &Own<'_>,
) -> Check {
    let (from, until) = window(leaf);
    match identities.admit(chain, own.now.max(from).min(until)) {
        Ok(_) => Check::ok(K05, format!("{}, which the directory pins", leaf.issuer())),
        // Its own time is K04's affair; then nobody knows at which moment to look at those above it.
        Err(BadPeer::Expired { .. } | BadPeer::NotYetValid { .. }) if !(from..=until).contains(&own.now) => {
            Check::ok(K05, format!("{}, which the directory pins", leaf.issuer()))
        }
        Err(BadPeer::NoIdentity | BadPeer::OtherNetwork) => needs(K05, K02),
        Err(
            BadPeer::AmbiguousIdentity
            | BadPeer::WrongUsage
            | BadPeer::WrongKeyUsage
            | BadPeer::WeakKey
            | BadPeer::Malformed,
        ) => needs(K05, K03),
        Err(bad) => Check::failed(K05, format!("{bad} (issued by {})", leaf.issuer()), own.renew.clone()),
    }
}

fn log_key(folder: &Path, found: &node::Found) -> Check {
    let look = || {
        Fix::Do(format!(
            "put back {} as it was when the directory listed its key; a new one needs a new log",
            quoted(&found.settings.log_key)
        ))
    };
    on(K06, &found.log_key, look, |key| {
        when(K06, &super::directory::listed(found), D04, |node| {
            if node.log_key == *key {
                return Check::ok(K06, format!("it signs for {}, as listed", node.log_origin));
            }
            let found = format!(
                "{} has the public key {}, the directory lists {} for {}",
                found.settings.log_key.display(),
                short(key),
                short(&node.log_key),
                node.log_origin
            );
            Check::failed(K06, found, Fix::Look(format!("liaison directory show --folder {}", quoted(folder))))
        })
    })
}

fn short(key: &PublicKey) -> String {
    format!("{}…", &to_hex(key.as_bytes())[..16])
}

/// Whether whoever calls a listed address can match it with the certificate.
fn addresses(found: &node::Found, folder: &Path) -> Check {
    let Ok(chain) = &found.certificate.chain else { return needs(K07, K01) };
    when(K07, &super::directory::listed(found), D04, |node| {
        let uncovered: Vec<_> =
            node.addresses.iter().filter(|address| !covers(chain, host(address))).cloned().collect();
        if uncovered.is_empty() {
            return Check::ok(K07, format!("it covers {}", node.addresses.join(", ")));
        }
        let dns: Vec<_> = uncovered.iter().map(|address| format!(" --dns {}", host(address))).collect();
        let again = format!("liaison certificate node {} --folder {}{}", node.id, quoted(folder), dns.concat());
        let found = format!("it does not cover {}, where the directory says this node is", uncovered.join(", "));
        Check::warning(K07, found, Fix::Run(again))
    })
}

fn host(address: &str) -> &str {
    address.rsplit_once(':').map_or(address, |(host, _)| host).trim_matches(['[', ']'])
}

/// Whether a certificate is for a host, as TLS clients judge it (RFC 9525).
pub(super) fn covers(chain: &[CertificateDer<'_>], host: &str) -> bool {
    let Some(leaf) = chain.first() else { return false };
    let name = ServerName::try_from(host);
    let leaf = webpki::EndEntityCert::try_from(leaf);
    matches!((leaf, name), (Ok(leaf), Ok(name)) if leaf.verify_is_valid_for_subject_name(&name).is_ok())
}

/// Whether the directory lists a key for what it is used for, and for how long.
fn signing_key(
    code: Code,
    key: &Fact<PublicKey>,
    usage: Usage,
    facts: &partner::Partner,
    found: &partner::Found,
) -> Check {
    let Identity::Partner { partner, .. } = &found.identity else { return needs(code, Code::F01) };
    let ask = |what: &str| {
        Fix::Do(format!(
            "have your authority list {what} for {partner} in directory.toml, then sign it: liaison directory sign"
        ))
    };
    on(
        code,
        key,
        || Fix::Do("put the key file back, or have a new key listed".into()),
        |key| {
            if let Err(missing) = super::directory::registered(found) {
                return super::without(code, &missing);
            }
            when(code, &found.directory, D02, |known| {
                let mine = known.records().iter().find_map(|record| match record {
                    RecordBody::Key(of, listed) if of == partner && listed.public == *key => Some(listed),
                    _ => None,
                });
                match mine {
                    None => Check::failed(
                        code,
                        format!("the directory does not list {} for {partner}", short(key)),
                        ask(&to_hex(key.as_bytes())),
                    ),
                    Some(listed) if listed.usage != usage => Check::failed(
                        code,
                        format!("{} is listed for another use", short(key)),
                        ask("a key of its own"),
                    ),
                    Some(listed) if listed.denied => {
                        Check::failed(code, format!("{} is denied", short(key)), ask("a new key"))
                    }
                    Some(listed) if facts.now < listed.not_before => Check::failed(
                        code,
                        format!("{} is listed from {} on", short(key), super::day(listed.not_before)),
                        ask("an earlier date"),
                    ),
                    Some(listed) => {
                        ending(code, "it is listed and", listed.not_after, facts.now, || ask("a new key"))
                    }
                }
            })
        },
    )
}
