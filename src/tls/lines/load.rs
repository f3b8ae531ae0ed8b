//! What one partner or node has under way on all its lines: calls, and bytes held for them.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};

use tokio::sync::Notify;
use tokio::sync::futures::OwnedNotified;

/// Bytes held for all peers together.
#[derive(Debug, Default)]
pub(super) struct AllBytes {
    bytes: AtomicUsize,
    freed: Arc<Notify>,
}

/// Which limit stood against it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Heavy {
    /// Calls and streams under way at a time.
    Calls,
    /// Bytes held for this peer.
    Bytes,
    /// Bytes held for all peers together.
    AllBytes,
}

impl Heavy {
    /// One stable word for logs and answers.
    pub fn reason(self) -> &'static str {
        match self {
            Self::Calls => "calls_per_owner",
            Self::Bytes => "bytes_per_owner",
            Self::AllBytes => "bytes",
        }
    }
}

/// Counters shared by all lines of one owner.
#[derive(Debug)]
pub struct Load {
    calls: AtomicUsize,
    bytes: AtomicUsize,
    all_bytes: Arc<AllBytes>,
    calls_max: usize,
    bytes_max: usize,
    all_bytes_max: usize,
}

impl Load {
    pub(super) fn new(limits: &super::Limits, all_bytes: Arc<AllBytes>) -> Self {
        Self {
            calls: AtomicUsize::new(0),
            bytes: AtomicUsize::new(0),
            all_bytes,
            calls_max: limits.calls_per_owner,
            bytes_max: limits.bytes_per_owner,
            all_bytes_max: limits.bytes,
        }
    }

    /// Calls and streams under way.
    pub fn calls(&self) -> usize {
        self.calls.load(Relaxed)
    }

    /// Bytes held.
    pub fn bytes(&self) -> usize {
        self.bytes.load(Relaxed)
    }

    /// A place for a call, given back when dropped.
    pub fn call(self: &Arc<Self>) -> Result<CallPlace, Heavy> {
        if self.calls.fetch_add(1, Relaxed) >= self.calls_max {
            self.calls.fetch_sub(1, Relaxed);
            return Err(Heavy::Calls);
        }
        Ok(CallPlace(self.clone()))
    }

    /// Room for bytes: none yet.
    pub fn hold(self: &Arc<Self>) -> Held {
        Held { load: self.clone(), bytes: 0 }
    }
}

/// One call's place; given back when dropped.
#[derive(Debug)]
pub struct CallPlace(Arc<Load>);

impl Drop for CallPlace {
    fn drop(&mut self) {
        self.0.calls.fetch_sub(1, Relaxed);
    }
}

/// Bytes held for a call; given back when dropped.
#[derive(Debug)]
pub struct Held {
    load: Arc<Load>,
    bytes: usize,
}

impl Held {
    /// Holds so many from now on. Err: as many as before.
    pub fn resize(&mut self, bytes: usize) -> Result<(), Heavy> {
        if let Some(more) = bytes.checked_sub(self.bytes) {
            if self.load.bytes.fetch_add(more, Relaxed) + more > self.load.bytes_max {
                self.load.bytes.fetch_sub(more, Relaxed);
                return Err(Heavy::Bytes);
            }
            let all_bytes = &self.load.all_bytes.bytes;
            if all_bytes.fetch_add(more, Relaxed) + more > self.load.all_bytes_max {
                all_bytes.fetch_sub(more, Relaxed);
                self.load.bytes.fetch_sub(more, Relaxed);
                return Err(Heavy::AllBytes);
            }
        } else {
            let less = self.bytes - bytes;
            self.load.bytes.fetch_sub(less, Relaxed);
            self.load.all_bytes.bytes.fetch_sub(less, Relaxed);
            self.load.all_bytes.freed.notify_waiters();
        }
        self.bytes = bytes;
        Ok(())
    }

    /// Returns when somebody has given bytes back after this was asked.
    pub fn freed(&self) -> OwnedNotified {
        self.load.all_bytes.freed.clone().notified_owned()
    }
}

impl Drop for Held {
    fn drop(&mut self) {
        let _ = self.resize(0);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tls::Limits;

    #[test]
    fn fault_99_what_is_held_for_one_and_for_all_has_its_bound_and_comes_back() {
        let limits = Limits { calls_per_owner: 1, bytes_per_owner: 10, bytes: 15, ..Limits::default() };
        let all = Arc::new(AllBytes::default());
        let (one, other) = (Arc::new(Load::new(&limits, all.clone())), Arc::new(Load::new(&limits, all.clone())));
        let call = one.call().unwrap();
        assert_eq!(one.call().unwrap_err(), Heavy::Calls);
        drop(call);
        one.call().unwrap();

        let (mut first, mut second, mut third) = (one.hold(), one.hold(), other.hold());
        first.resize(10).unwrap();
        assert_eq!(second.resize(1), Err(Heavy::Bytes));
        assert_eq!(third.resize(6), Err(Heavy::AllBytes));
        third.resize(5).unwrap();
        first.resize(4).unwrap();
        second.resize(6).unwrap();
        assert_eq!((one.bytes(), other.bytes()), (10, 5));
        drop((first, second, third));
        assert_eq!((one.bytes(), other.bytes(), all.bytes.load(Relaxed)), (0, 0, 0));
    }
}
