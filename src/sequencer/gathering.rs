//! Where notices are gathered while the sequencer waits for company: on their streams, not yet verified, so that what goes into one
//! batch is verified together. The sequencer calls for them shortly before the batch begins.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use tokio::sync::Notify;
use tokio::sync::futures::OwnedNotified;

/// What streams and the sequencer know of each other. Both hold it.
#[derive(Clone, Debug, Default)]
pub struct Gathering(Arc<Shared>);

#[derive(Debug, Default)]
struct Shared {
    /// The next batch waits for company, and will be called for.
    awaited: AtomicBool,
    /// Notices that have come, since the start.
    arrived: AtomicU64,
    called: Arc<Notify>,
}

impl Gathering {
    /// So many notices have come.
    pub fn arrive(&self, notices: usize) {
        self.0.arrived.fetch_add(notices as u64, Ordering::Relaxed);
    }

    /// The next call that comes after this; then what was gathered goes. Asked for before [`Gathering::is_awaited`], or a call in
    /// between would be missed.
    pub fn call(&self) -> OwnedNotified {
        self.0.called.clone().notified_owned()
    }

    /// Whether a call will come. Otherwise nothing is gathered for it.
    pub fn is_awaited(&self) -> bool {
        self.0.awaited.load(Ordering::SeqCst)
    }

    /// The batch after this one waits, and there will be a call before it begins.
    pub(crate) fn wait(&self) {
        self.0.awaited.store(true, Ordering::SeqCst);
    }

    /// What was gathered goes now.
    pub(crate) fn go(&self) {
        self.0.called.notify_waiters();
    }

    /// No call will come any more: whoever gathers for one goes now.
    pub(crate) fn wait_no_more(&self) {
        if self.0.awaited.swap(false, Ordering::SeqCst) {
            self.go();
        }
    }

    /// Notices that have come, since the start.
    pub(crate) fn arrived(&self) -> u64 {
        self.0.arrived.load(Ordering::Relaxed)
    }
}

#[cfg(test)]
mod tests {
    use futures_util::FutureExt as _;

    use super::*;

    #[test]
    fn whoever_gathers_for_a_call_hears_it_or_that_none_will_come() {
        let gathering = Gathering::default();
        assert!(!gathering.is_awaited(), "who is alone goes at once");
        gathering.wait();
        let mut call = Box::pin(gathering.call());
        assert!(gathering.is_awaited());
        assert!(call.as_mut().now_or_never().is_none());
        gathering.go();
        assert!(call.as_mut().now_or_never().is_some());
        assert!(gathering.is_awaited(), "and another call comes");
        let call = gathering.call();
        gathering.wait_no_more();
        assert!(!gathering.is_awaited());
        assert!(call.now_or_never().is_some(), "even one that was never polled");
        let call = gathering.call();
        gathering.wait_no_more();
        assert!(call.now_or_never().is_none(), "nobody is woken for nothing");
    }
}
