//! Connections that have proven nothing: silent ones, and those whose handshake is not over. They hold their places until somebody
//! else needs one.

use std::collections::{BTreeMap, HashMap};
use std::net::{IpAddr, Ipv6Addr, SocketAddr};

use tokio_util::sync::CancellationToken;

/// A site of IPv6 has 2^80 addresses to hide behind, and gets them as one block of this many bits (RFC 6177).
const SITE_BITS: u32 = 48;

/// One connection that has proven nothing.
pub(super) struct Stranger {
    pub(super) from: SocketAddr,
    site: IpAddr,
    /// Nothing has come from it, for long enough to count.
    silent: bool,
    out: CancellationToken,
}

/// All of them, in the order in which they came.
#[derive(Default)]
pub(super) struct Strangers {
    all: BTreeMap<u64, Stranger>,
    by_site: HashMap<IpAddr, Crowd>,
}

/// Those of one site.
#[derive(Clone, Copy, Default)]
struct Crowd {
    all: usize,
    silent: usize,
}

impl Strangers {
    pub(super) fn len(&self) -> usize {
        self.all.len()
    }

    /// Somebody new. What is returned is cancelled when it has to go.
    pub(super) fn add(&mut self, number: u64, from: SocketAddr) -> CancellationToken {
        let (site, out) = (site(from.ip()), CancellationToken::new());
        self.by_site.entry(site).or_default().all += 1;
        self.all.insert(number, Stranger { from, site, silent: false, out: out.clone() });
        out
    }

    /// Nothing has come from it yet, or now something has.
    pub(super) fn is_silent(&mut self, number: u64, silent: bool) {
        let Some(stranger) = self.all.get_mut(&number).filter(|stranger| stranger.silent != silent) else { return };
        stranger.silent = silent;
        if let Some(crowd) = self.by_site.get_mut(&stranger.site) {
            if silent { crowd.silent += 1 } else { crowd.silent -= 1 }
        }
    }

    /// One of them is gone, or is no stranger any more.
    pub(super) fn remove(&mut self, number: u64) -> Option<Stranger> {
        let stranger = self.all.remove(&number)?;
        if let Some(crowd) = self.by_site.get_mut(&stranger.site) {
            crowd.all -= 1;
            crowd.silent -= usize::from(stranger.silent);
            if crowd.all == 0 {
                self.by_site.remove(&stranger.site);
            }
        }
        Some(stranger)
    }

    /// How many of this address's site are silent.
    pub(super) fn silent_beside(&self, address: IpAddr) -> usize {
        self.by_site.get(&site(address)).map_or(0, |crowd| crowd.silent)
    }

    /// The oldest silent one of this address's site.
    pub(super) fn oldest_silent_beside(&self, address: IpAddr) -> Option<u64> {
        let site = site(address);
        let oldest = self.all.iter().find(|(_, stranger)| stranger.silent && stranger.site == site);
        oldest.map(|(number, _)| *number)
    }

    /// Who gives way among those who are meant: one of the site that has most here, since one caller's own connection must not go
    /// for somebody's two hundred; there the silent before the others, and the oldest of them.
    pub(super) fn first_to_go(&self, meant: impl Fn(&Stranger) -> bool) -> Option<u64> {
        let crowd = |stranger: &Stranger| self.by_site.get(&stranger.site).map_or(0, |crowd| crowd.all);
        let meant = self.all.iter().filter(|(_, stranger)| meant(stranger));
        // The first of equals, which is the oldest.
        let first = meant.min_by_key(|(_, stranger)| (usize::MAX - crowd(stranger), !stranger.silent));
        first.map(|(number, _)| *number)
    }
}

impl Stranger {
    /// Its task ends, and the connection with it.
    pub(super) fn show_out(&self) {
        self.out.cancel();
    }
}

fn site(address: IpAddr) -> IpAddr {
    block(address, SITE_BITS)
}

/// The block of so many bits around an address of IPv6; an address of IPv4 as it is, also where it comes as one of IPv6.
pub(super) fn block(address: IpAddr, bits: u32) -> IpAddr {
    match address.to_canonical() {
        IpAddr::V6(v6) => IpAddr::V6(Ipv6Addr::from_bits(v6.to_bits() >> (128 - bits) << (128 - bits))),
        v4 => v4,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn from(address: &str) -> SocketAddr {
        SocketAddr::new(address.parse().unwrap(), 1)
    }

    #[test]
    fn fault_97_the_most_crowded_site_gives_way_with_its_oldest_silent_connection() {
        let mut strangers = Strangers::default();
        for (number, address, silent) in [
            (1, "192.0.2.1", true),
            (2, "2001:db8:7:1::1", false),
            (3, "2001:db8:7:2::1", true),
            (4, "2001:db8:8::1", true),
            (5, "2001:db8:7:3::1", true),
            (6, "::ffff:192.0.2.1", false),
        ] {
            strangers.add(number, from(address));
            strangers.is_silent(number, true);
            strangers.is_silent(number, silent);
        }
        assert_eq!(strangers.silent_beside("2001:db8:7:ffff::9".parse().unwrap()), 2, "48 bits are one site");
        assert_eq!(strangers.oldest_silent_beside("192.0.2.1".parse().unwrap()), Some(1));
        let mut order = Vec::new();
        while let Some(next) = strangers.first_to_go(|_| true) {
            order.push(next);
            strangers.remove(next).unwrap();
        }
        // The site of three, then the sites of two, and the single ones last: silent before others, old before new.
        assert_eq!(order, [3, 1, 5, 4, 2, 6]);
        assert!(strangers.by_site.is_empty());
    }
}
