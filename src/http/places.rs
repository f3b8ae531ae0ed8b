//! Places of connections to the ops port: whoever comes gets one, and when there are too many the oldest loses its own.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio_util::sync::{CancellationToken, WaitForCancellationFutureOwned};

#[derive(Clone, Default)]
pub(super) struct Places(Arc<Mutex<State>>);

#[derive(Default)]
struct State {
    last: u64,
    /// By when they came.
    open: BTreeMap<u64, CancellationToken>,
}

/// One of them; given back when dropped.
pub(super) struct Place {
    places: Places,
    number: u64,
    lost: CancellationToken,
}

impl Places {
    /// A place for somebody new, among so many.
    pub(super) fn enter(&self, most: usize) -> Place {
        let mut state = self.state();
        while state.open.len() >= most.max(1) {
            let Some((_, oldest)) = state.open.pop_first() else { break };
            oldest.cancel();
        }
        state.last += 1;
        let (number, lost) = (state.last, CancellationToken::new());
        state.open.insert(number, lost.clone());
        Place { places: self.clone(), number, lost }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Place {
    /// Returns when it has gone to somebody else.
    pub(super) fn lost(&self) -> WaitForCancellationFutureOwned {
        self.lost.clone().cancelled_owned()
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        self.places.state().open.remove(&self.number);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_oldest_gives_way_and_places_come_back() {
        let places = Places::default();
        let [first, second, third] = [(); 3].map(|()| places.enter(3));
        drop(second);
        let _fourth = places.enter(3);
        assert!(!first.lost.is_cancelled(), "there was room");
        let _fifth = places.enter(3);
        assert!(first.lost.is_cancelled() && !third.lost.is_cancelled());
        drop(first);
        assert_eq!(places.state().open.len(), 3);
    }
}
