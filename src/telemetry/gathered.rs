//! Events that a caller can cause as often as it likes, gathered by caller and reason: the first is written at once, then one line a
//! second with a count. So what callers do costs the audit a bounded number of lines, and none of it is lost while a sink is slow.

use std::collections::BTreeMap;
use std::net::{IpAddr, SocketAddr};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use serde_json::{Map, Value};

use super::events::Event;

/// A caller's events of one kind and reason become one line in this time.
pub(super) const INTERVAL: Duration = Duration::from_secs(1);
/// Callers with lines of their own, of one event. More than so many in one second are a flood from everywhere, and share a line for
/// each reason: at 32 lines a second of 300 bytes, one event writes less than a gigabyte a day whatever strangers do.
pub(super) const CALLERS_MAX: usize = 32;

/// One line of the audit, before it is text.
pub(super) type Line = Map<String, Value>;

/// What stands in a line beside the fields of the newest event: how many it is for.
pub(super) const COUNT: &str = "count";

/// Whose events are gathered together.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Key {
    event: &'static str,
    /// Which field names the caller: strangers' addresses never take the places of partners.
    named_by: &'static str,
    /// None: callers beyond [`CALLERS_MAX`] together.
    caller: Option<String>,
    /// Place of the reason in the catalogue.
    reason: usize,
}

/// Events of one key that wait for their line.
struct Waiting {
    count: u64,
    due: Duration,
    newest: Line,
}

/// All that wait.
#[derive(Default)]
pub(super) struct Gathered(Mutex<BTreeMap<Key, Waiting>>);

impl Gathered {
    /// Takes `count` events, of which `newest` is the last. True: a line of it is due now.
    pub(super) fn note(
        &self,
        event: &'static Event,
        reason: usize,
        count: u64,
        mut newest: Line,
        now: Duration,
    ) -> bool {
        let named_by = event.by.iter().copied().find(|field| newest.contains_key(*field)).unwrap_or_default();
        let caller = newest.get(named_by).map(caller).unwrap_or_default();
        let mut waiting = self.waiting();
        let mut key = Key { event: event.name, named_by, caller: Some(caller), reason };
        if !waiting.contains_key(&key) {
            let of_callers =
                |known: &&Key| known.event == key.event && known.named_by == named_by && known.caller.is_some();
            if waiting.keys().filter(of_callers).count() >= CALLERS_MAX {
                key.caller = None;
            }
        }
        if key.caller.is_none() {
            // It would name one for what many did.
            newest.remove(named_by);
        }
        match waiting.get_mut(&key) {
            Some(known) => {
                known.count += count;
                known.newest = newest;
                false
            }
            None => {
                waiting.insert(key, Waiting { count, due: now, newest });
                true
            }
        }
    }

    /// Lines that are due at a time, with the number of events each is for; `all`: also those that are not due yet.
    pub(super) fn take(&self, now: Duration, all: bool) -> Vec<(u64, Line)> {
        let mut lines = Vec::new();
        self.waiting().retain(|_, waiting| {
            if waiting.due > now && !(all && waiting.count > 0) {
                return true;
            }
            if waiting.count == 0 {
                return false;
            }
            let count = std::mem::take(&mut waiting.count);
            waiting.due = now + INTERVAL;
            let mut line = waiting.newest.clone();
            line.insert(COUNT.into(), count.into());
            lines.push((count, line));
            true
        });
        lines
    }

    /// When [`Gathered::take`] next has something to do.
    pub(super) fn next(&self) -> Option<Duration> {
        self.waiting().values().map(|waiting| waiting.due).min()
    }

    fn waiting(&self) -> MutexGuard<'_, BTreeMap<Key, Waiting>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Who a value names: an address without its port, of IPv6 the /48 that one site has.
fn caller(value: &Value) -> String {
    let Some(text) = value.as_str() else { return value.to_string() };
    match text.parse::<SocketAddr>().map(|address| address.ip().to_canonical()) {
        Ok(IpAddr::V4(address)) => address.to_string(),
        Ok(IpAddr::V6(address)) => format!("{:?}", &address.segments()[..3]),
        Err(_) => text.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::telemetry::events::find;

    const SECOND: Duration = Duration::from_secs(1);

    struct Flood(Gathered);

    impl Flood {
        fn note(&self, event: &str, reason: &str, field: &str, caller: &str, now: Duration) -> bool {
            let (_, event) = find(event).unwrap();
            let mut line = Line::new();
            line.insert("reason".into(), reason.into());
            line.insert(field.into(), caller.into());
            self.0.note(event, event.reasons.place(Some(reason)), 1, line, now)
        }

        fn take(&self, now: Duration) -> Vec<(u64, String)> {
            let lines = self.0.take(now, false).into_iter();
            lines
                .map(|(count, line)| {
                    assert_eq!(line[COUNT], count);
                    let word = |field: &str| line.get(field).and_then(Value::as_str).unwrap_or("all").to_owned();
                    let caller = ["partner", "identity", "peer_address"].map(word);
                    let caller = caller.iter().find(|word| *word != "all").cloned().unwrap_or("all".into());
                    (count, format!("{} {caller}", word("reason")))
                })
                .collect()
        }
    }

    #[test]
    fn fault_104_a_callers_refusals_are_one_line_at_once_and_then_one_a_second() {
        let flood = Flood(Gathered::default());
        assert!(flood.note("refused", "MALFORMED", "partner", "FR", SECOND), "the first is due at once");
        assert_eq!(flood.take(SECOND), [(1, "MALFORMED FR".into())]);
        for _ in 0..100_000 {
            assert!(!flood.note("refused", "MALFORMED", "partner", "FR", SECOND));
        }
        flood.note("refused", "BUSY", "partner", "FR", SECOND);
        flood.note("refused", "MALFORMED", "partner", "KE", SECOND);
        let others = [(1, "BUSY FR".into()), (1, "MALFORMED KE".into())];
        let mut taken = flood.take(SECOND);
        taken.sort();
        assert_eq!(taken, others, "another reason and another caller wait for nobody");
        assert_eq!(flood.take(2 * SECOND - Duration::from_millis(1)), []);
        assert_eq!(flood.0.next(), Some(2 * SECOND));
        assert_eq!(flood.take(2 * SECOND), [(100_000, "MALFORMED FR".into())]);
        assert_eq!(flood.take(3 * SECOND), [], "quiet again");
        assert_eq!(flood.0.next(), None, "and forgotten");
    }

    #[test]
    fn fault_97_strangers_from_everywhere_cost_a_bounded_number_of_lines_and_hide_no_partner() {
        let flood = Flood(Gathered::default());
        for nth in 0..10_000_u32 {
            let address = format!("[2001:db8:{nth:x}::1]:{}", 1024 + nth);
            flood.note("conn.limited", "handshakes", "peer_address", &address, SECOND);
            flood.note("tls.reject", "no_certificate", "peer_address", &address, SECOND);
        }
        flood.note("conn.limited", "slow_reader", "identity", "partner FR, system ops-1", SECOND);
        let lines = flood.take(SECOND);
        assert_eq!(lines.len(), 2 * (CALLERS_MAX + 1) + 1);
        assert!(lines.contains(&(1, "slow_reader partner FR, system ops-1".into())), "{lines:?}");
        let together = 10_000 - CALLERS_MAX as u64;
        assert!(lines.contains(&(together, "handshakes all".into())), "{lines:?}");
        assert_eq!(lines.iter().map(|(count, _)| count).sum::<u64>(), 20_001, "every one is counted");
    }

    #[test]
    fn ports_and_hosts_of_one_site_are_one_caller() {
        let flood = Flood(Gathered::default());
        let addresses = [
            ("192.0.2.1:1", "192.0.2.1:2"),
            ("[2001:db8:7::1]:1", "[2001:db8:7:ffff::2]:9"),
            ("[::ffff:192.0.2.9]:1", "192.0.2.9:2"),
        ];
        for (one, other) in addresses {
            assert!(flood.note("tls.reject", "protocol", "peer_address", one, SECOND));
            assert!(!flood.note("tls.reject", "protocol", "peer_address", other, SECOND), "{one} and {other}");
        }
        assert!(flood.note("tls.reject", "protocol", "peer_address", "192.0.2.2:1", SECOND));
        assert!(flood.note("tls.reject", "protocol", "peer_address", "[2001:db8:8::1]:1", SECOND));
    }
}
