//! Every connection of a door, from its first packet: how many there may be, and ending those of a peer.

mod load;
mod strangers;

use std::collections::{BTreeMap, HashMap};
use std::future::Future;
use std::hash::Hash;
use std::net::{IpAddr, SocketAddr};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use liaison_protocol::id::Hash as Digest;
use liaison_protocol::reason::Refusal;
use rustls::pki_types::CertificateDer;
use tokio_util::sync::CancellationToken;

use load::AllBytes;
pub use load::{CallPlace, Heavy, Held, Load};
use strangers::{Strangers, block};

use super::line::Ending;
use crate::peer::{Account, Owner, Peer};

/// An idle line costs about 64 KiB, so these cost 256 MiB; each takes one file descriptor.
const CONNECTIONS_MAX: usize = 4096;

/// A bureau behind one address runs a dozen systems with a few connections each.
const CONNECTIONS_PER_ADDRESS_MAX: usize = 64;

/// The same bureau, whatever addresses it comes from.
const CONNECTIONS_PER_OWNER_MAX: usize = 64;

/// What one subscriber of IPv6 gets.
const SUBSCRIBER_BITS: u32 = 64;

/// Two cores finish some thousand handshakes a second; more than this under way are strangers who are slow on purpose. Whoever
/// comes then takes the place of one of them.
const HANDSHAKES_MAX: usize = 256;

/// Clients of TLS speak first, right behind the packet that opens the connection. A machine that opens fifty lines at once is
/// done with that sooner; whoever takes longer is silent.
const SILENT_AFTER: Duration = Duration::from_millis(250);

/// More than these of one site are no clients.
const SILENT_PER_SITE_MAX: usize = 8;

/// A round trip over the slowest satellite link: the first byte comes with or right behind the packet that opens a connection.
const FIRST_BYTE_MAX: Duration = Duration::from_secs(2);

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
    /// Connections that have not proven who they are: silent ones and handshakes under way. One more takes the place of one of them.
    pub handshakes: usize,
    /// Of these, from which nothing has come, of one IPv4 address or one IPv6 network of 48 bits, whatever
    /// `connections_per_address` is.
    pub silent_per_site: usize,
    /// From the first packet to being counted as one of these.
    pub silent_after: Duration,
    /// From the first packet to the first byte.
    pub first_byte: Duration,
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
            silent_per_site: SILENT_PER_SITE_MAX,
            silent_after: SILENT_AFTER,
            first_byte: FIRST_BYTE_MAX,
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
    by_address: HashMap<IpAddr, usize>,
    by_account: HashMap<Account, OfAccount>,
    strangers: Strangers,
    open: HashMap<u64, Open>,
    bytes: Arc<AllBytes>,
}

struct OfAccount {
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
    Silent,
    Handshakes,
    Owner,
}

impl Full {
    /// One stable word for logs and counters.
    pub(super) fn reason(self) -> &'static str {
        match self {
            Self::Connections => "connections",
            Self::Address => "connections_per_address",
            Self::Silent => "silent_per_address",
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

    /// Begins the end of every open line: each call on it is told why.
    pub fn part(&self, why: &Refusal) {
        for line in self.all_open() {
            line.ending.begin(why.clone());
        }
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
            let calls = self.state().by_account.get(&line.peer.account()).map_or(0, |account| account.load.calls());
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

    /// Open lines of whom the directory lists.
    pub fn by_owner(&self) -> HashMap<Owner, usize> {
        let state = self.state();
        let lines = state.by_account.iter().filter_map(|(account, of)| match account {
            Account::Owner(owner) => Some((owner.clone(), of.lines)),
            Account::Unregistered(_) => None,
        });
        lines.collect()
    }

    /// Connections that have not proven who they are.
    pub fn handshakes(&self) -> usize {
        self.state().strangers.len()
    }

    /// Counts a new connection in. Where a limit stands against it, whoever has proven nothing gives way; only among those who
    /// have, nobody does.
    pub(super) fn enter(&self, from: SocketAddr) -> Result<Entered, Full> {
        let address = subscriber(from.ip());
        let (mut state, limits) = (self.state(), &self.limits);
        let mut shown_out = None;
        if state.by_address.get(&address).copied().unwrap_or(0) >= limits.connections_per_address {
            let first = state.strangers.first_to_go(|stranger| subscriber(stranger.from.ip()) == address);
            shown_out = Some(first.and_then(|first| state.show_out(first, Full::Address)).ok_or(Full::Address)?);
        }
        let full = match () {
            () if state.connections() >= limits.connections => Some(Full::Connections),
            () if state.strangers.len() >= limits.handshakes => Some(Full::Handshakes),
            () => None,
        };
        if let Some(full) = full {
            let first = state.strangers.first_to_go(|_| true);
            shown_out = Some(first.and_then(|first| state.show_out(first, full)).ok_or(full)?);
        }
        state.last += 1;
        let number = state.last;
        *state.by_address.entry(address).or_default() += 1;
        let out = state.strangers.add(number, from);
        let slot = Slot { lines: self.clone(), number, address, account: None, out };
        Ok(Entered { slot, shown_out })
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    fn connections(&self) -> usize {
        self.strangers.len() + self.open.len()
    }

    /// Its place is free from here on, whenever its task learns of it.
    fn show_out(&mut self, number: u64, why: Full) -> Option<(Full, SocketAddr)> {
        let stranger = self.strangers.remove(number)?;
        stranger.show_out();
        less(&mut self.by_address, &subscriber(stranger.from.ip()));
        Some((why, stranger.from))
    }
}

/// A connection that was counted in, and who had to go for it.
pub(super) struct Entered {
    pub(super) slot: Slot,
    pub(super) shown_out: Option<(Full, SocketAddr)>,
}

/// One connection's place among the others; given back when dropped.
pub(super) struct Slot {
    lines: Lines,
    number: u64,
    address: IpAddr,
    account: Option<Account>,
    out: CancellationToken,
}

impl Slot {
    /// Nothing has come for a while. Where too many are so, the oldest of them has to go: this may be another one.
    pub(super) fn fell_silent(&self) -> Option<(Full, SocketAddr)> {
        let mut state = self.lines.state();
        state.strangers.is_silent(self.number, true);
        if state.strangers.silent_beside(self.address) <= self.lines.limits.silent_per_site {
            return None;
        }
        let oldest = state.strangers.oldest_silent_beside(self.address)?;
        state.show_out(oldest, Full::Silent)
    }

    /// Something has come from the other end.
    pub(super) fn spoke(&self) {
        self.lines.state().strangers.is_silent(self.number, false);
    }

    /// Returns when the place has gone to somebody else.
    pub(super) fn shown_out(&self) -> impl Future<Output = ()> + Send + use<> {
        self.out.clone().cancelled_owned()
    }

    /// The handshake is over: from now on nobody else gets the place, and the line can be ended by its peer.
    pub(super) fn open(
        &mut self,
        peer: &Arc<Peer>,
        chain: &[CertificateDer<'static>],
        ending: &Ending,
    ) -> Result<Arc<Load>, Full> {
        let account = peer.account();
        let limits = &self.lines.limits;
        let mut state = self.lines.state();
        let bytes = state.bytes.clone();
        let of_account = state
            .by_account
            .entry(account.clone())
            .or_insert_with(|| OfAccount { lines: 0, load: Arc::new(Load::new(limits, bytes)) });
        if of_account.lines >= limits.connections_per_owner {
            return Err(Full::Owner);
        }
        of_account.lines += 1;
        let load = of_account.load.clone();
        self.account = Some(account);
        // In the moment in which its handshake ended, its place may have gone.
        state.strangers.remove(self.number).ok_or(Full::Handshakes)?;
        let (peer, chain, ending) = (peer.clone(), chain.into(), ending.clone());
        state.open.insert(self.number, Open { peer, chain, ending });
        Ok(load)
    }
}

impl Drop for Slot {
    fn drop(&mut self) {
        let mut state = self.lines.state();
        let stranger = state.strangers.remove(self.number).is_some();
        let open = state.open.remove(&self.number).is_some();
        // Whoever was shown out has been counted out.
        if stranger || open {
            less(&mut state.by_address, &self.address);
        }
        let Some(account) = &self.account else { return };
        if let Some(of_account) = state.by_account.get_mut(account) {
            of_account.lines -= 1;
            if of_account.lines == 0 {
                state.by_account.remove(account);
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

fn subscriber(address: IpAddr) -> IpAddr {
    block(address, SUBSCRIBER_BITS)
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

    /// Who came, and whom they cost their place.
    fn enter(lines: &Lines, address: &str) -> (Slot, Option<(Full, SocketAddr)>) {
        let Entered { slot, shown_out } = lines.enter(from(address)).unwrap_or_else(|full| panic!("{full:?}"));
        (slot, shown_out)
    }

    fn is_out(slot: &Slot) -> bool {
        slot.out.is_cancelled()
    }

    #[test]
    fn fault_97_one_subscriber_cannot_take_the_places_of_others() {
        let lines = Lines::new(limits());
        let (first, _) = enter(&lines, "2001:db8::1");
        let (second, _) = enter(&lines, "2001:db8::2");
        let (third, out) = enter(&lines, "2001:db8::3");
        assert_eq!(out, Some((Full::Address, from("2001:db8::1"))), "a network of 64 bits is one subscriber");
        assert!(is_out(&first) && !is_out(&second) && !is_out(&third));
        let (other, out) = enter(&lines, "192.0.2.1");
        assert_eq!(out, None, "the place of whoever was shown out is free before its task has ended");
        let (_new, out) = enter(&lines, "::ffff:192.0.2.2");
        assert_eq!(out, Some((Full::Connections, from("2001:db8::2"))), "the one with most places gives one up");
        assert!(!is_out(&other));
        assert_eq!(lines.handshakes(), 3);
        drop(first);
        assert_eq!(lines.handshakes(), 3, "and is counted out once");
    }

    #[test]
    fn fault_97_of_one_site_eight_are_silent_and_the_oldest_gives_way() {
        let lines = Lines::new(Limits { connections_per_address: 4096, ..Limits::default() });
        // A site of IPv6, from one subscriber after the other.
        let all: Vec<_> = (0..20).map(|nth| enter(&lines, &format!("2001:db8:7:{nth:x}::1")).0).collect();
        assert_eq!(lines.handshakes(), 20, "who opens many at once is not silent yet");
        for (nth, slot) in all.iter().enumerate() {
            let gone = nth.checked_sub(SILENT_PER_SITE_MAX).map(|first| from(&format!("2001:db8:7:{first:x}::1")));
            assert_eq!(slot.fell_silent(), gone.map(|gone| (Full::Silent, gone)), "{nth}");
        }
        assert_eq!(lines.handshakes(), SILENT_PER_SITE_MAX);
        all[19].spoke();
        assert_eq!(lines.state().strangers.silent_beside(all[19].address), SILENT_PER_SITE_MAX - 1);
    }

    #[test]
    fn fault_97_no_number_of_sites_and_no_kind_of_silence_takes_all_places() {
        let lines = Lines::new(Limits { connections_per_address: 4096, ..Limits::default() });
        let mut hostile = Vec::new();
        // Some say nothing, some one byte and no more.
        for nth in 0..1024 {
            let (slot, _) = enter(&lines, &format!("198.51.100.{}", nth % 4));
            if nth % 3 == 0 {
                slot.spoke();
            } else {
                slot.fell_silent();
            }
            hostile.push(slot);
        }
        assert!(lines.handshakes() <= HANDSHAKES_MAX);
        for site in 0..4 {
            let silent = lines.state().strangers.silent_beside(from(&format!("198.51.100.{site}")).ip());
            assert!(silent <= SILENT_PER_SITE_MAX, "{silent}, whatever an address may have of others");
        }
        let (good, _) = enter(&lines, "192.0.2.1");
        good.spoke();
        for nth in 0..1024 {
            let (slot, _) = enter(&lines, &format!("198.51.100.{}", nth % 4));
            slot.spoke();
            hostile.push(slot);
        }
        assert!(!is_out(&good), "2,048 connections of others do not cost it its place");
        drop(hostile);
        assert_eq!(lines.handshakes(), 1);
        drop(good);
        assert!(lines.state().by_address.is_empty());
    }
}
