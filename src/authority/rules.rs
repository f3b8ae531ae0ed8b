//! What only the authority can hold, because no single head shows it: partner numbers over all versions, and that its own keys have no
//! second role.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use liaison_protocol::directory::{AuthorityKeys, Directory};
use liaison_protocol::id::{Hash, Micros, PartnerId, PartnerNumber};
use liaison_protocol::keyring::PublicKey;
use liaison_protocol::proto::PartnerStatus;
use rustls::pki_types::CertificateDer;

use crate::peer::{self, BadAuthority};

/// How far above the last number given a new one may be: a whole continent may be enrolled at once, in blocks.
const NUMBERS_AHEAD_MAX: u32 = 10_000;

/// A rule that is broken, and by whom.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BrokenRule {
    /// A partner number means one partner for ever, since statements and mailboxes name partners by it; and who left and comes back is
    /// new to those who only know the version before.
    #[error("partner {id}: number {} was given to {holder} before; numbers are given once: write number = {free}", number.0)]
    GivenBefore {
        /// Who has it now.
        id: PartnerId,
        /// The number.
        number: PartnerNumber,
        /// Who had it.
        holder: PartnerId,
        /// One that nobody ever had.
        free: u32,
    },
    /// Numbers are given in order, and what was left out is never given: a slip of the pen could use them all up.
    #[error("partner {id}: number {} is far above the last one given: write number = {free}", number.0)]
    TooFar {
        /// Who has it.
        id: PartnerId,
        /// The number.
        number: PartnerNumber,
        /// The next one.
        free: u32,
    },
    /// And one partner keeps its number.
    #[error("partner {id}: has number {} and keeps it: write number = {}", known.0, known.0)]
    OtherNumber {
        /// The partner.
        id: PartnerId,
        /// Its number.
        known: PartnerNumber,
    },
    /// One key, one role: whoever holds a partner's or node's key must not thereby be part of the authority.
    #[error("authority.keys: key {key} is also {role}; one key has one role: make a new one for it")]
    SecondRole {
        /// The key's first digits.
        key: String,
        /// What else it is.
        role: String,
    },
    /// Whoever is pinned vouches for names on the line, or nobody gets in by it.
    #[error("{owner}: tls_authorities: {authority}: {why}; {next}")]
    Authority {
        /// Who pins it.
        owner: String,
        /// The first digits of the certificate's SHA-256.
        authority: String,
        /// What is wrong with it.
        why: BadAuthority,
        /// What helps.
        next: &'static str,
    },
}

/// Judges a directory that is to follow `history`, oldest first, and to be signed by `authority`.
pub fn check(
    directory: &Directory,
    authority: &AuthorityKeys,
    history: &[Arc<Directory>],
) -> Result<(), BrokenRule> {
    numbers_are_given_once(directory, history)?;
    authority.keys().iter().try_for_each(|key| match second_role(directory, key) {
        Some(role) => Err(BrokenRule::SecondRole { key: super::words::short(key.id().0), role }),
        None => Ok(()),
    })
}

/// Judges every authority that a directory pins, at the moment at which it is signed. Those of a suspended partner may have ended:
/// nobody gets in by them, and the partner keeps its number.
pub fn check_authorities(directory: &Directory, now: Micros) -> Result<(), BrokenRule> {
    let partners = directory.partners().map(|partner| {
        let suspended = partner.status != PartnerStatus::Active;
        (format!("partner {}", partner.id), &partner.tls_authorities, suspended)
    });
    let nodes = directory.nodes().map(|node| (format!("node {}", node.id), &node.tls_authorities, false));
    for (owner, certificates, suspended) in nodes.chain(partners) {
        for der in certificates {
            let judged =
                peer::Authority::read(&CertificateDer::from(&**der)).and_then(|authority| match suspended {
                    true => Ok(()),
                    false => authority.has_not_ended(now),
                });
            let Err(why) = judged else { continue };
            let next = match why {
                BadAuthority::Ended(_) => {
                    "name the file of the authority that follows it, or suspend the partner until there is one"
                }
                _ => "have it issued anew by certs/README.md, or name another authority's file",
            };
            return Err(BrokenRule::Authority {
                owner,
                authority: super::words::short(Hash::of(&[der])),
                why,
                next,
            });
        }
    }
    Ok(())
}

fn numbers_are_given_once(directory: &Directory, history: &[Arc<Directory>]) -> Result<(), BrokenRule> {
    let Some(before) = history.last() else { return Ok(()) };
    let holders: BTreeMap<_, _> = history
        .iter()
        .flat_map(|earlier| earlier.partners())
        .map(|partner| (partner.number, &partner.id))
        .collect();
    for partner in directory.partners() {
        match before.partner(&partner.id) {
            Some(known) if known.number == partner.number => {}
            Some(known) => {
                return Err(BrokenRule::OtherNumber { id: partner.id.clone(), known: known.number });
            }
            None if partner.number < before.head().next_number() => {
                let holder = holders.get(&partner.number).map_or(&partner.id, |holder| *holder);
                return Err(BrokenRule::GivenBefore {
                    id: partner.id.clone(),
                    number: partner.number,
                    holder: holder.clone(),
                    free: directory.head().next_number().0,
                });
            }
            None if partner.number.0 - before.head().next_number().0 > NUMBERS_AHEAD_MAX => {
                let (id, free) = (partner.id.clone(), before.head().next_number().0);
                return Err(BrokenRule::TooFar { id, number: partner.number, free });
            }
            None => {}
        }
    }
    Ok(())
}

/// What else a key is in a directory, if anything.
fn second_role(directory: &Directory, key: &PublicKey) -> Option<String> {
    for partner in directory.partners() {
        if directory.keys(partner.number).iter().any(|signing| signing.public == *key) {
            return Some(format!("a signing key of partner {}", partner.id));
        }
    }
    for node in directory.nodes() {
        if node.log_key == *key {
            return Some(format!("the log key of node {}", node.id));
        }
    }
    let spki = subject_public_key_info(key)?;
    let pinned = Hash::of(&[&spki]);
    for partner in directory.partners() {
        if is_tls_key(&partner.tls_keys, &partner.tls_authorities, pinned, &spki) {
            return Some(format!("a TLS key of partner {}", partner.id));
        }
    }
    let of_node = directory.nodes().find(|node| is_tls_key(&node.tls_keys, &node.tls_authorities, pinned, &spki));
    of_node.map(|node| format!("a TLS key of node {}", node.id))
}

fn is_tls_key(pins: &[Hash], authorities: &[bytes::Bytes], pinned: Hash, spki: &[u8]) -> bool {
    let pins: BTreeSet<_> = pins.iter().collect();
    let issues = |der: &bytes::Bytes| {
        x509_parser::parse_x509_certificate(der).is_ok_and(|(_, certificate)| certificate.public_key().raw == spki)
    };
    pins.contains(&pinned) || authorities.iter().any(issues)
}

/// An Ed25519 key as certificates carry it (RFC 8410, section 4). Authority keys in directory.toml are Ed25519.
fn subject_public_key_info(key: &PublicKey) -> Option<Vec<u8>> {
    const ED25519_PREFIX: [u8; 12] = [0x30, 0x2a, 0x30, 0x05, 0x06, 0x03, 0x2b, 0x65, 0x70, 0x03, 0x21, 0x00];
    Some([&ED25519_PREFIX[..], key.as_ed25519()?].concat())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::authority::directory_file::DirectoryFile;
    use crate::authority::pki::Authority;
    use crate::authority::sign::{CannotSign, Sealed, sign};
    use crate::world::{Plan, PlayedEntropy, START};
    use bytes::Bytes;
    use liaison_protocol::proto::{self, record::Body};
    use liaison_protocol::signer::{Ed25519Signer, Signer};
    use rustls::pki_types::pem::PemObject as _;

    fn signer(seed: u8) -> Ed25519Signer {
        Ed25519Signer::from_seed(&[seed; 32])
    }

    fn file(plan: &Plan, authority: &[&Ed25519Signer]) -> DirectoryFile {
        DirectoryFile {
            network: "test.liaison.example".parse().unwrap(),
            renew_after_days: 30,
            threshold: authority.len(),
            authority: authority.iter().map(|signer| *signer.public().as_ed25519().unwrap()).collect(),
            records: plan.records(),
        }
    }

    /// Signs one after the other; gives all versions, or why the last one was refused.
    fn versions(plans: &[Plan]) -> Result<Vec<Arc<Directory>>, CannotSign> {
        let authority = signer(1);
        let mut history = Vec::new();
        for plan in plans {
            let signers: [&dyn Signer; 1] = [&authority];
            let Sealed { directory, .. } =
                sign(&file(plan, &[&authority]), &history, &signers, START, &mut PlayedEntropy::seeded(7))?;
            history.push(Arc::new(directory));
        }
        Ok(history)
    }

    /// An authority's certificate (DER), good until then.
    fn authority_until(until: Micros) -> Bytes {
        let authority = Authority::create("Test", START.plus(-Micros::DAY), until).unwrap();
        Bytes::copy_from_slice(&CertificateDer::from_pem_slice(authority.certificate_pem().as_bytes()).unwrap())
    }

    /// Everybody's authorities are real ones.
    fn certified(plan: Plan) -> Plan {
        let certificate = authority_until(START.plus(365 * Micros::DAY));
        plan.changed(move |body| match body {
            Body::Partner(partner) => partner.tls_authorities = vec![certificate.clone()],
            Body::Node(node) => node.tls_authorities = vec![certificate.clone()],
            _ => {}
        })
    }

    #[test]
    fn fault_10_what_cannot_vouch_for_anybody_is_not_pinned() {
        let pinned = |of: &'static str, certificate: Bytes| {
            versions(&[certified(Plan::of(&["FR", "KE"])).changed(move |body| match body {
                Body::Partner(partner) if partner.id == of => partner.tls_authorities.push(certificate.clone()),
                Body::Node(node) if node.id == of => node.tls_authorities.push(certificate.clone()),
                _ => {}
            })])
        };
        let (ended, junk) = (authority_until(START.plus(-Micros::SECOND)), Bytes::from_static(b"no certificate"));
        let leaf: Bytes = certificate_of(&[9; 32]).into();
        for (of, certificate, word) in [
            ("FR", &ended, "partner FR: tls_authorities: "),
            ("FR", &ended, "ended at "),
            ("hub-1", &ended, "node hub-1: tls_authorities: "),
            ("KE", &leaf, "CA:TRUE"),
            ("KE", &junk, "cannot be read"),
        ] {
            let refused = broken(pinned(of, certificate.clone())).to_string();
            assert!(refused.contains(word), "{refused}");
        }
        assert!(pinned("FR", authority_until(START)).is_ok(), "it is good to the end of its last second");
        // A partner whose authority has ended can be kept, suspended, with its number.
        let suspended = certified(Plan::of(&["FR", "KE"])).changed(move |body| match body {
            Body::Partner(partner) if partner.id == "FR" => {
                partner.tls_authorities = vec![ended.clone()];
                partner.set_status(proto::PartnerStatus::Suspended);
            }
            _ => {}
        });
        assert!(versions(&[suspended]).is_ok());
    }

    fn numbered(rows: &[(&'static str, u32)]) -> Plan {
        let ids: Vec<_> = rows.iter().map(|(id, _)| *id).collect();
        let numbers: BTreeMap<_, _> = rows.iter().copied().collect();
        certified(Plan::of(&ids)).changed(move |body| {
            if let Body::Partner(partner) = body {
                partner.number = numbers[partner.id.as_str()];
            }
        })
    }

    fn broken(refused: Result<Vec<Arc<Directory>>, CannotSign>) -> BrokenRule {
        match refused.err() {
            Some(CannotSign::Rule(broken)) => broken,
            other => panic!("expected a broken rule, found {other:?}"),
        }
    }

    #[test]
    fn a_number_is_given_once_in_all_versions() {
        let (fr, ke) = (("FR", 1), ("KE", 2));
        let grown =
            versions(&[numbered(&[fr, ke]), numbered(&[fr]), numbered(&[fr, ("KE", 3), ("BR", 4)])]).unwrap();
        assert_eq!(grown.len(), 3);
        let returned = broken(versions(&[numbered(&[fr, ke]), numbered(&[fr]), numbered(&[fr, ke])]));
        let id: PartnerId = "KE".parse().unwrap();
        let number = PartnerNumber(2);
        assert_eq!(returned, BrokenRule::GivenBefore { holder: id.clone(), id, number, free: 3 });
        let reused = broken(versions(&[numbered(&[fr, ke]), numbered(&[fr]), numbered(&[fr, ("BR", 2)])]));
        let (id, holder) = ("BR".parse().unwrap(), "KE".parse().unwrap());
        assert_eq!(reused, BrokenRule::GivenBefore { id, number: PartnerNumber(2), holder, free: 3 });
        let swapped = broken(versions(&[numbered(&[fr, ke]), numbered(&[("FR", 2), ("KE", 1)])]));
        assert_eq!(swapped, BrokenRule::OtherNumber { id: "FR".parse().unwrap(), known: PartnerNumber(1) });
        let renumbered = broken(versions(&[numbered(&[fr, ke]), numbered(&[ke, ("FR", 7)])]));
        assert_eq!(renumbered, BrokenRule::OtherNumber { id: "FR".parse().unwrap(), known: PartnerNumber(1) });
        assert!(renumbered.to_string().contains("write number = 1"), "{renumbered}");
        let slipped = broken(versions(&[numbered(&[fr]), numbered(&[fr, ("KE", 50_000)])]));
        assert!(slipped.to_string().contains("write number = 2"), "{slipped}");
    }

    #[test]
    fn an_authority_key_has_no_second_role() {
        let authority = signer(1);
        let public = authority.public().to_proto();
        let spki = subject_public_key_info(authority.public()).unwrap();
        let pinned = Hash::of(&[&spki]).to_bytes();
        let of_authority: Bytes = certificate_of(&[1; 32]).into();
        type Alter = Box<dyn Fn(&mut Body)>;
        let rows: Vec<(&str, Alter)> = vec![
            (
                "a signing key of partner FR",
                Box::new({
                    let public = public.clone();
                    move |body| match body {
                        Body::Key(key) if key.partner == "FR" && key.usage() == proto::KeyUsage::Notice => {
                            key.public_key = Some(public.clone());
                        }
                        _ => {}
                    }
                }),
            ),
            (
                "the log key of node site-1",
                Box::new(move |body| match body {
                    Body::Node(node) if node.id == "site-1" => node.log_key = Some(public.clone()),
                    _ => {}
                }),
            ),
            (
                "a TLS key of partner FR",
                Box::new({
                    let pinned = pinned.clone();
                    move |body| match body {
                        Body::Partner(partner) if partner.id == "FR" => partner.tls_keys.push(pinned.clone()),
                        _ => {}
                    }
                }),
            ),
            (
                "a TLS key of node hub-1",
                Box::new(move |body| match body {
                    Body::Node(node) if node.id == "hub-1" => node.tls_authorities = vec![of_authority.clone()],
                    _ => {}
                }),
            ),
        ];
        assert!(versions(&[certified(Plan::of(&["FR"]))]).is_ok());
        for (role, alter) in rows {
            match broken(versions(&[certified(Plan::of(&["FR"])).changed(alter)])) {
                BrokenRule::SecondRole { role: found, .. } => assert_eq!(found, role),
                other => panic!("{role}: {other}"),
            }
        }
    }

    /// A self-signed certificate of an Ed25519 key.
    fn certificate_of(seed: &[u8; 32]) -> Vec<u8> {
        // RFC 8410, section 7: version 1 of PKCS #8.
        let mut pkcs8 =
            vec![0x30, 0x2e, 0x02, 0x01, 0x00, 0x30, 0x05, 0x06, 0x03, 0x2b, 0x65, 0x70, 0x04, 0x22, 0x04, 0x20];
        pkcs8.extend(seed);
        let key = rcgen::KeyPair::try_from(pkcs8.as_slice()).unwrap();
        rcgen::CertificateParams::default().self_signed(&key).unwrap().der().to_vec()
    }
}
