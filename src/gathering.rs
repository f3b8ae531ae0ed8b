//! What those who bring notices and the sequencer know of each other. While the sequencer waits for company, notices are gathered
//! where they came in and are not yet verified, so that what goes into one batch is verified together; and lines that bring many are
//! not even read, because nothing on them would be decided sooner. Shortly before the batch begins the sequencer calls for all of it.

use std::sync::Arc;
use std::sync::atomic::{AtomicU8, AtomicU64, Ordering};

use tokio::sync::Notify;
use tokio::sync::futures::OwnedNotified;

/// Nobody is waited for.
const ALONE: u8 = 0;
/// The next batch waits for company, and will be called for.
const AWAITED: u8 = 1;
/// The same, and lines may rest until the call.
const RESTING: u8 = 2;
/// The call has come, and those that rested are being read for it. They may rest again until the next.
const CALLED: u8 = 3;

/// Held by all of them; only the sequencer changes what it says.
#[derive(Clone, Debug, Default)]
pub struct Gathering(Arc<Shared>);

#[derive(Debug, Default)]
struct Shared {
    state: AtomicU8,
    /// Since the start.
    calls: AtomicU64,
    /// Notices that have come, since the start.
    arrived: AtomicU64,
    called: Arc<Notify>,
}

impl Gathering {
    /// So many notices have come.
    pub fn arrive(&self, notices: usize) {
        self.0.arrived.fetch_add(notices as u64, Ordering::Relaxed);
    }

    /// The next call that comes after this. Asked for before [`Gathering::is_awaited`] and [`Gathering::may_rest`], or a call in between
    /// would be missed.
    pub fn call(&self) -> OwnedNotified {
        self.0.called.clone().notified_owned()
    }

    /// Whether notices are gathered: a call will come for them.
    pub fn is_awaited(&self) -> bool {
        self.state() != ALONE
    }

    /// Whether a call has come just now, and what a line brings that rested goes with it.
    pub fn is_called(&self) -> bool {
        self.state() == CALLED
    }

    /// Whether a line may rest until the next call.
    pub fn may_rest(&self) -> bool {
        matches!(self.state(), RESTING | CALLED)
    }

    /// How many calls there have been.
    pub fn calls(&self) -> u64 {
        self.0.calls.load(Ordering::Relaxed)
    }

    /// The batch after this one waits, and there will be a call before it begins.
    pub(crate) fn wait(&self) {
        self.set(if self.may_rest() { RESTING } else { AWAITED });
    }

    /// What was gathered goes now, with what lines that rested have brought. Until the next call they may rest again, or not.
    pub(crate) fn go(&self, may_rest: bool) {
        self.set(if may_rest { CALLED } else { AWAITED });
        self.call_all();
    }

    /// No call will come any more: whoever gathers for one goes now, and whoever rests is watched.
    pub(crate) fn wait_no_more(&self) {
        if self.0.state.swap(ALONE, Ordering::SeqCst) != ALONE {
            self.call_all();
        }
    }

    /// Notices that have come, since the start.
    pub(crate) fn arrived(&self) -> u64 {
        self.0.arrived.load(Ordering::Relaxed)
    }

    fn state(&self) -> u8 {
        self.0.state.load(Ordering::SeqCst)
    }

    fn set(&self, state: u8) {
        self.0.state.store(state, Ordering::SeqCst);
    }

    fn call_all(&self) {
        self.0.calls.fetch_add(1, Ordering::Relaxed);
        self.0.called.notify_waiters();
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
        gathering.go(false);
        assert!(call.as_mut().now_or_never().is_some());
        assert!(gathering.is_awaited(), "and another call comes");
        let call = gathering.call();
        gathering.wait_no_more();
        assert!(!gathering.is_awaited());
        assert!(call.now_or_never().is_some(), "even one that was never polled");
        let call = gathering.call();
        gathering.wait_no_more();
        assert!(call.now_or_never().is_none(), "nobody is woken for nothing");
        assert_eq!(gathering.calls(), 2);
    }

    #[test]
    fn what_lines_bring_that_rested_until_the_call_goes_with_it() {
        let gathering = Gathering::default();
        let says = |awaited, called, rests| {
            assert_eq!(
                (gathering.is_awaited(), gathering.is_called(), gathering.may_rest()),
                (awaited, called, rests)
            );
        };
        says(false, false, false);
        gathering.wait();
        says(true, false, false);
        gathering.go(true);
        says(true, true, true);
        gathering.wait();
        says(true, false, true);
        gathering.wait();
        says(true, false, true);
        gathering.go(false);
        says(true, false, false);
        gathering.go(true);
        gathering.wait_no_more();
        says(false, false, false);
    }
}
