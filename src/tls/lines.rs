//! Every connection of a door, from its first packet: how many there may be, and ending those of a peer.

mod load;

use std::collections::{BTreeMap, HashMap};
use std::hash::Hash;
use std::net::{IpAddr, Ipv6Addr, SocketAddr};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use liaison_protocol::id::Hash as Digest;
use liaison_protocol::reason::Refusal;
use rustls::pki_types::CertificateDer;

use load::AllBytes;
pub use load::{CallPlace, Heavy, Held, Load};

use super::line::Ending;
use crate::peer::{Owner, Peer};

/// An idle line costs about 64 KiB, so these cost 256 MiB; each takes one file descriptor.
const CONNECTIONS_MAX: usize = 4096;

/// A bureau behind one address runs a dozen systems with a few connections each.
const CONNECTIONS_PER_ADDRESS_MAX: usize = 64;

/// The same bureau, whatever addresses it comes from.
const CONNECTIONS_PER_OWNER_MAX: usize = 64;

/// Two cores finish some thousand handshakes a second; more than this under way are strangers who are slow on purpose. Larger
/// than one address may hold, so that one address cannot shut the door.
const HANDSHAKES_MAX: usize = 256;

/// The slowest satellite link needs three round trips of two seconds; after this the other end is slow on purpose or gone.
const HANDSHAKE_MAX: Duration = Duration::from_secs(10);

/// Longer than a ping and the wait for its answer together: who is silent for so long has stopped answering, or never
/// began to speak HTTP/2.
const SILENCE_MAX: Duration = Duration::from_secs(60);

/// Calls and streams of one partner at a time, on all its lines: a dozen systems with a few streams and some unary calls each fit
/// several times. Its hundred streams on each of 64 lines would not leave much for others.
const CALLS_PER_OWNER_MAX: usize = 256;

/// Bytes of requests that are not whole yet, and of answers that have not been taken. Four of the largest requests (4 MiB) at a time;
/// further ones wait for their turn. Answers are taken within milliseconds; whoever takes none is refused more.
const BYTES_PER_OWNER_MAX: usize = 16 << 20;

/// The same for all partners together: eight that use all they may leave the machine its memory.
const BYTES_MAX: usize = 128 << 20;

/// The limits of a door.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// Open lines and handshakes together.
    pub connections: usize,
    /// Of these, from one IPv4 address or one IPv6 network of 64 bits, which is what one subscriber gets.
    pub connections_per_address: usize,
    /// Open lines of one partner or node.
    pub connections_per_owner: usize,
    /// Handshakes under way.
    pub handshakes: usize,
    /// From the first packet to the end of TLS, and again to the end of HTTP/2's first bytes.
    pub handshake: Duration,
    /// How long a line may be without a byte from the other end, and a write without room for one.
    pub silence: Duration,
    /// Calls and streams of one partner or node under way.
    pub calls_per_owner: usize,
    /// Bytes held for one partner or node: of unfinished requests and untaken answers.
    pub bytes_per_owner: usize,
    /// The same for all together.
    pub bytes: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            connections: CONNECTIONS_MAX,
            connections_per_address: CONNECTIONS_PER_ADDRESS_MAX,
            connections_per_owner: CONNECTIONS_PER_OWNER_MAX,
            handshakes: HANDSHAKES_MAX,
            handshake: HANDSHAKE_MAX,
            silence: SILENCE_MAX,
            calls_per_owner: CALLS_PER_OWNER_MAX,
            bytes_per_owner: BYTES_PER_OWNER_MAX,
            bytes: BYTES_MAX,
        }
    }
}

/// The connections of a door, shared by whoever may end them.
#[derive(Clone)]
pub struct Lines {
    limits: Limits,
    state: Arc<Mutex<State>>,
}

#[derive(Default)]
struct State {
    last: u64,
    connections: usize,
    by_address: HashMap<IpAddr, usize>,
    by_owner: HashMap<Owner, OfOwner>,
    open: HashMap<u64, Open>,
    bytes: Arc<AllBytes>,
}

struct OfOwner {
    lines: usize,
    load: Arc<Load>,
}

#[derive(Clone)]
struct Open {
    peer: Arc<Peer>,
    chain: Arc<[CertificateDer<'static>]>,
    ending: Ending,
}

/// Which limit a connection ran into.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Full {
    Connections,
    Address,
    Handshakes,
    Owner,
}

impl Full {
    /// One stable word for logs and counters.
    pub(super) fn reason(self) -> &'static str {
        match self {
            Self::Connections => "connections",
            Self::Address => "connections_per_address",
            Self::Handshakes => "handshakes",
            Self::Owner => "connections_per_owner",
        }
    }
}

impl Lines {
    pub(super) fn new(limits: Limits) -> Self {
        Self { limits, state: Arc::default() }
    }

    /// What there may be.
    pub fn limits(&self) -> &Limits {
        &self.limits
    }

    /// Breaks every open line whose peer is meant, at once and without a word; says how many. A handshake under way is judged again
    /// when it ends, so none slips through.
    pub fn end(&self, meant: impl Fn(&Peer) -> bool) -> usize {
        let meant: Vec<_> = self.all_open().into_iter().filter(|line| meant(&line.peer)).collect();
        meant.iter().for_each(|line| line.ending.cut());
        meant.len()
    }

    /// Judges every open line again, by its peer and chain. Whoever is refused is told so on every call, and is off the line within
    /// seconds; says how many lines that concerns. Judging may take long: it holds up nobody.
    pub fn rejudge(&self, judge: impl Fn(&Peer, &[CertificateDer<'static>]) -> Result<(), Refusal>) -> usize {
        let mut judged: HashMap<Digest, Option<Refusal>> = HashMap::new();
        let mut parted: BTreeMap<(Owner, &'static str), (usize, usize)> = BTreeMap::new();
        for line in self.all_open() {
            // Systems with many lines show one certificate on all of them.
            let verdict = judged.entry(line.peer.certificate());
            let verdict = verdict.or_insert_with(|| judge(&line.peer, &line.chain).err());
            let Some(why) = verdict else { continue };
            let owner = line.peer.identity().owner();
            // Before the first of them learns of it.
            let calls = self.state().by_owner.get(&owner).map_or(0, |owner| owner.load.calls());
            if line.ending.begin(why.clone()) {
                parted.entry((owner, why.reason.word())).or_insert((0, calls)).0 += 1;
            }
        }
        for ((owner, reason), (lines, calls)) in &parted {
            tracing::warn!(target: "audit", event = "session.revoked", %owner, reason, lines, calls);
        }
        parted.values().map(|(lines, _)| lines).sum()
    }

    fn all_open(&self) -> Vec<Open> {
        self.state().open.values().cloned().collect()
    }

    /// Open lines.
    pub fn open(&self) -> usize {
        self.state().open.len()
    }

    /// Open lines by whose they are.
    pub fn by_owner(&self) -> HashMap<Owner, usize> {
        self.state().by_owner.iter().map(|(owner, of)| (owner.clone(), of.lines)).collect()
    }

    /// Handshakes under way.
    pub fn handshakes(&self) -> usize {
        let state = self.state();
        state.connections - state.open.len()
    }

    /// Counts a new connection in, unless a limit stands against it.
    pub(super) fn enter(&self, from: SocketAddr) -> Result<Slot, Full> {
        let address = subscriber(from.ip());
        let mut state = self.state();
        let limits = &self.limits;
        let here = state.by_address.get(&address).copied().unwrap_or(0);
        if here >= limits.connections_per_address {
            return Err(Full::Address);
        }
        if state.connections >= limits.connections {
            return Err(Full::Connections);
        }
        if state.connections - state.open.len() >= limits.handshakes {
            return Err(Full::Handshakes);
        }
        state.connections += 1;
        state.last += 1;
        *state.by_address.entry(address).or_default() += 1;
        Ok(Slot { lines: self.clone(), number: state.last, address, owner: None })
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// One connection's place among the others; given back when dropped.
pub(super) struct Slot {
    lines: Lines,
    number: u64,
    address: IpAddr,
    owner: Option<Owner>,
}

impl Slot {
    /// The handshake is over: from now on the line can be ended by its peer.
    pub(super) fn open(
        &mut self,
        peer: &Arc<Peer>,
        chain: &[CertificateDer<'static>],
        ending: &Ending,
    ) -> Result<Arc<Load>, Full> {
        let owner = peer.identity().owner();
        let limits = &self.lines.limits;
        let mut state = self.lines.state();
        let bytes = state.bytes.clone();
        let of_owner = state
            .by_owner
            .entry(owner.clone())
            .or_insert_with(|| OfOwner { lines: 0, load: Arc::new(Load::new(limits, bytes)) });
        if of_owner.lines >= limits.connections_per_owner {
            return Err(Full::Owner);
        }
        of_owner.lines += 1;
        let load = of_owner.load.clone();
        let open = Open { peer: peer.clone(), chain: chain.into(), ending: ending.clone() };
        state.open.insert(self.number, open);
        self.owner = Some(owner);
        Ok(load)
    }
}

impl Drop for Slot {
    fn drop(&mut self) {
        let mut state = self.lines.state();
        state.connections -= 1;
        state.open.remove(&self.number);
        less(&mut state.by_address, &self.address);
        let Some(owner) = &self.owner else { return };
        if let Some(of_owner) = state.by_owner.get_mut(owner) {
            of_owner.lines -= 1;
            if of_owner.lines == 0 {
                state.by_owner.remove(owner);
            }
        }
    }
}

fn less<K: Eq + Hash>(counts: &mut HashMap<K, usize>, key: &K) {
    if let Some(count) = counts.get_mut(key) {
        *count -= 1;
        if *count == 0 {
            counts.remove(key);
        }
    }
}

/// One subscriber of IPv6 has 2^64 addresses to hide behind.
fn subscriber(address: IpAddr) -> IpAddr {
    match address.to_canonical() {
        IpAddr::V6(v6) => IpAddr::V6(Ipv6Addr::from_bits(v6.to_bits() >> 64 << 64)),
        v4 => v4,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn limits() -> Limits {
        Limits { connections: 3, connections_per_address: 2, handshakes: 3, ..Limits::default() }
    }

    fn from(address: &str) -> SocketAddr {
        SocketAddr::new(address.parse().unwrap(), 1)
    }

    #[test]
    fn fault_97_one_subscriber_cannot_take_the_places_of_others() {
        let lines = Lines::new(limits());
        let first = lines.enter(from("2001:db8::1")).unwrap_or_else(|_| panic!());
        let _second = lines.enter(from("2001:db8::2"));
        assert_eq!(
            lines.enter(from("2001:db8::3")).err(),
            Some(Full::Address),
            "a network of 64 bits is one subscriber"
        );
        let _third = lines.enter(from("192.0.2.1"));
        assert_eq!(lines.enter(from("192.0.2.2")).err(), Some(Full::Connections));
        drop(first);
        assert_eq!(lines.enter(from("::ffff:192.0.2.2")).err(), None);
    }

    #[test]
    fn fault_97_handshakes_have_a_limit_of_their_own() {
        let lines = Lines::new(Limits { handshakes: 1, ..limits() });
        let _first = lines.enter(from("192.0.2.1"));
        assert_eq!(lines.enter(from("192.0.2.2")).err(), Some(Full::Handshakes));
    }
}
