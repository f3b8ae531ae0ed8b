//! The operator's own list of those who stay outside: it can only take away. Keys and identities, one a line.

use std::collections::HashSet;

use liaison_protocol::id::{Hash, NetworkName, PartnerId};

use super::{Identity, Owner};

/// Entries of one list; a node with more to deny needs another directory.
const ENTRIES_MAX: usize = 10_000;

/// Keys and identities that are let in nowhere, whatever the directory says.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct DenyList {
    keys: HashSet<Hash>,
    systems: HashSet<Identity>,
    owners: HashSet<Owner>,
}

/// The first line that is not an entry.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("line {line}: {rule}")]
pub struct BadEntry {
    /// Counted from 1.
    pub line: usize,
    /// Which rule it breaks.
    pub rule: &'static str,
}

impl DenyList {
    /// Reads a list. A line holds `sha256:` and the 64 hexadecimal digits over a SubjectPublicKeyInfo, or a SPIFFE id of this
    /// network: a system (`…/partner/fr/ops-1`), a whole partner (`…/partner/fr`) or a node (`…/node/site-1`). What follows `#`
    /// is a comment: who denied it, when and why. One bad line and the whole list is refused: half of it would look like all.
    pub fn parse(text: &str, network: &NetworkName) -> Result<Self, BadEntry> {
        let mut list = Self::default();
        for (nth, line) in text.lines().enumerate() {
            let bad = |rule| BadEntry { line: nth + 1, rule };
            let entry = line.split('#').next().unwrap_or_default().trim();
            if entry.is_empty() {
                continue;
            }
            if nth >= ENTRIES_MAX {
                return Err(bad("more than 10000 lines"));
            }
            if let Some(digits) = entry.strip_prefix("sha256:") {
                let key =
                    Hash::from_hex(digits).ok_or_else(|| bad("expected 64 hexadecimal digits after sha256:"))?;
                list.keys.insert(key);
            } else if let Ok(identity) = Identity::parse(entry, network) {
                match identity {
                    Identity::Partner { .. } => list.systems.insert(identity),
                    Identity::Node(node) => list.owners.insert(Owner::Node(node)),
                };
            } else {
                let partner = whole_partner(entry, network);
                let partner = partner.ok_or_else(|| bad("neither sha256:… nor a SPIFFE id of this network"))?;
                list.owners.insert(Owner::Partner(partner));
            }
        }
        Ok(list)
    }

    /// How many are denied.
    pub fn len(&self) -> usize {
        self.keys.len() + self.systems.len() + self.owners.len()
    }

    /// Whether nobody is.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    pub(super) fn denies(&self, identity: &Identity) -> bool {
        self.systems.contains(identity) || self.owners.contains(&identity.owner())
    }

    pub(super) fn denies_key(&self, key: &Hash) -> bool {
        self.keys.contains(key)
    }
}

fn whole_partner(entry: &str, network: &NetworkName) -> Option<PartnerId> {
    let partner = entry.strip_prefix(&format!("spiffe://{network}/partner/"))?;
    let lower = !partner.bytes().any(|byte| byte.is_ascii_uppercase());
    lower.then(|| partner.to_ascii_uppercase())?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn network() -> NetworkName {
        "demo.liaison.example".parse().unwrap()
    }

    #[test]
    fn a_list_names_keys_systems_partners_and_nodes_with_the_reason_beside_them() {
        let key = Hash::of(&[b"a key"]);
        let text = format!(
            "# denied by this node\n\nsha256:{}   # laptop stolen, 2026-11-25\n\
             spiffe://demo.liaison.example/partner/fr/ops-1\n  spiffe://demo.liaison.example/partner/ke # all of it\n\
             spiffe://demo.liaison.example/node/site-1\n",
            key.to_hex()
        );
        let list = DenyList::parse(&text, &network()).unwrap();
        assert_eq!(list.len(), 4);
        assert!(list.denies_key(&key));
        let identity =
            |path: &str| Identity::parse(&format!("spiffe://demo.liaison.example/{path}"), &network()).unwrap();
        for (path, denied) in [
            ("partner/fr/ops-1", true),
            ("partner/fr/ops-2", false),
            ("partner/ke/ops-1", true),
            ("partner/ke/ops-2", true),
            ("node/site-1", true),
            ("node/site-2", false),
        ] {
            assert_eq!(list.denies(&identity(path)), denied, "{path}");
        }
    }

    #[test]
    fn one_bad_line_refuses_the_whole_list_and_is_named() {
        let good = "spiffe://demo.liaison.example/partner/fr\n";
        for bad in [
            "sha256:12",
            "FR",
            "spiffe://demo.liaison.example/partner/FR",
            "spiffe://other.example/partner/fr",
            "spiffe://demo.liaison.example/partner/fr/",
            "spiffe://demo.liaison.example/group/fr",
            "spiffe://demo.liaison.example/partner/*",
            "\u{feff}spiffe://demo.liaison.example/partner/fr",
        ] {
            let error = DenyList::parse(&format!("{good}{bad}\n{good}"), &network()).unwrap_err();
            assert_eq!(error.line, 2, "{bad}");
        }
    }
}
