//! Names as they stand in certificates: one party, one spelling (SPIFFE ID, section 2).

use std::fmt;

use liaison_protocol::id::{Hash, NetworkName, NodeId, PartnerId, SystemId};

use super::BadPeer;

/// Whom a certificate names.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Identity {
    /// One system of a partner.
    Partner {
        /// The partner, in upper case as everywhere but in the certificate.
        partner: PartnerId,
        /// Which of its systems.
        system: SystemId,
    },
    /// A node of the network.
    Node(NodeId),
}

/// Who answers for an identity, and whose certificates the directory therefore pins.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Owner {
    /// A partner answers for all its systems.
    Partner(PartnerId),
    /// A node answers for itself.
    Node(NodeId),
}

/// Whose limits a line counts against. An authority can certify any number of names that no directory lists; all of them
/// together are one.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Account {
    /// Somebody whom the directory lists.
    Owner(Owner),
    /// All whom the directory does not list and this authority vouches for: SHA-256 of what its SubjectPublicKeyInfo holds.
    Unregistered(Hash),
}

impl Identity {
    /// Reads `spiffe://<network>/partner/<id>/<system>` or `spiffe://<network>/node/<id>`: lower case, no port, no query, no
    /// escapes, no slash at the end. Whatever is not exactly that names nobody.
    pub fn parse(uri: &str, network: &NetworkName) -> Result<Self, BadPeer> {
        let (host, path) =
            uri.strip_prefix("spiffe://").and_then(|rest| rest.split_once('/')).ok_or(BadPeer::NoIdentity)?;
        let host: NetworkName = host.parse().map_err(|_| BadPeer::NoIdentity)?;
        let identity = Self::from_path(path).ok_or(BadPeer::NoIdentity)?;
        if host == *network { Ok(identity) } else { Err(BadPeer::OtherNetwork) }
    }

    fn from_path(path: &str) -> Option<Self> {
        let words: Vec<&str> = path.splitn(4, '/').collect();
        match words[..] {
            ["partner", partner, system] => {
                // Upper case would give one partner two spellings.
                let lower = !partner.bytes().any(|byte| byte.is_ascii_uppercase());
                Some(Self::Partner {
                    partner: lower.then(|| partner.to_ascii_uppercase())?.parse().ok()?,
                    system: system.parse().ok()?,
                })
            }
            ["node", node] => Some(Self::Node(node.parse().ok()?)),
            _ => None,
        }
    }

    /// The one URI that stands in this identity's certificates.
    pub fn uri(&self, network: &NetworkName) -> String {
        match self {
            Self::Partner { partner, system } => {
                let partner = partner.as_str().to_ascii_lowercase();
                format!("spiffe://{network}/partner/{partner}/{system}")
            }
            Self::Node(node) => format!("spiffe://{network}/node/{node}"),
        }
    }

    /// Whose pins decide.
    pub fn owner(&self) -> Owner {
        match self {
            Self::Partner { partner, .. } => Owner::Partner(partner.clone()),
            Self::Node(node) => Owner::Node(node.clone()),
        }
    }
}

impl fmt::Display for Identity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Partner { partner, system } => write!(f, "partner {partner}, system {system}"),
            Self::Node(node) => write!(f, "node {node}"),
        }
    }
}

impl fmt::Display for Owner {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Partner(partner) => write!(f, "partner {partner}"),
            Self::Node(node) => write!(f, "node {node}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn network() -> NetworkName {
        "demo.liaison.example".parse().unwrap()
    }

    #[test]
    fn an_identity_is_written_and_read_back() {
        let partner =
            Identity::Partner { partner: "INTERPOL-GS".parse().unwrap(), system: "ops-1".parse().unwrap() };
        let node = Identity::Node("hub-1".parse().unwrap());
        let uri = "spiffe://demo.liaison.example/partner/interpol-gs/ops-1";
        assert_eq!(partner.uri(&network()), uri);
        assert_eq!(Identity::parse(uri, &network()), Ok(partner));
        let uri = "spiffe://demo.liaison.example/node/hub-1";
        assert_eq!(node.uri(&network()), uri);
        assert_eq!(Identity::parse(uri, &network()), Ok(node));
    }

    #[test]
    fn an_identity_has_one_spelling() {
        for bad in [
            "",
            "spiffe://",
            "spiffe://demo.liaison.example",
            "spiffe://demo.liaison.example/",
            "spiffe://demo.liaison.example/partner/fr",
            "spiffe://demo.liaison.example/partner/fr/",
            "spiffe://demo.liaison.example/partner//ops-1",
            "spiffe://demo.liaison.example/partner/FR/ops-1",
            "spiffe://demo.liaison.example/partner/fR/ops-1",
            "spiffe://demo.liaison.example/partner/fr/OPS-1",
            "spiffe://demo.liaison.example/partner/fr/ops-1/",
            "spiffe://demo.liaison.example/partner/fr/ops-1/x",
            "spiffe://demo.liaison.example/partner/fr/ops-1?x",
            "spiffe://demo.liaison.example/partner/fr/ops-1#x",
            "spiffe://demo.liaison.example/partner/f%72/ops-1",
            "spiffe://demo.liaison.example/partner/*/ops-1",
            "spiffe://demo.liaison.example/Partner/fr/ops-1",
            "spiffe://demo.liaison.example//partner/fr/ops-1",
            "spiffe://demo.liaison.example:443/partner/fr/ops-1",
            "spiffe://x@demo.liaison.example/partner/fr/ops-1",
            "spiffe://Demo.liaison.example/partner/fr/ops-1",
            "SPIFFE://demo.liaison.example/partner/fr/ops-1",
            "https://demo.liaison.example/partner/fr/ops-1",
            "spiffe://demo.liaison.example/node/",
            "spiffe://demo.liaison.example/node/Hub-1",
            "spiffe://demo.liaison.example/node/hub-1/x",
            "spiffe://demo.liaison.example/group/fr",
        ] {
            assert_eq!(Identity::parse(bad, &network()), Err(BadPeer::NoIdentity), "{bad:?}");
        }
        assert_eq!(
            Identity::parse("spiffe://demo.liaison.example.net/partner/fr/ops-1", &network()),
            Err(BadPeer::OtherNetwork)
        );
    }
}
