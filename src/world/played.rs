//! Time and chance that a test plays.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use liaison_protocol::id::{Hash, Micros};
use tokio::sync::watch;

use super::START;
use crate::clock::{Clock, Entropy};

/// Two clocks that stand still until they are told to go on.
pub(crate) struct PlayedClock {
    time: watch::Sender<(Micros, Duration)>,
}

impl PlayedClock {
    pub(crate) fn new() -> Arc<Self> {
        Arc::new(Self { time: watch::Sender::new((START, Duration::ZERO)) })
    }

    /// Both clocks go on.
    pub(crate) fn advance(&self, by: Duration) {
        self.time.send_modify(|(wall, monotonic)| {
            *wall = wall.plus(i64::try_from(by.as_micros()).expect("a short time"));
            *monotonic += by;
        });
    }

    /// Returns when somebody waits for time to go on: whoever does so has done everything that comes before.
    pub(crate) async fn is_awaited(&self) {
        while self.time.receiver_count() == 0 {
            tokio::task::yield_now().await;
        }
    }

    /// Somebody sets the wall clock.
    pub(crate) fn jump(&self, micros: i64) {
        self.time.send_modify(|(wall, _)| *wall = wall.plus(micros));
    }
}

impl Clock for PlayedClock {
    fn now(&self) -> Micros {
        self.time.borrow().0
    }

    fn monotonic(&self) -> Duration {
        self.time.borrow().1
    }

    fn until(&self, monotonic: Duration) -> Pin<Box<dyn Future<Output = ()> + Send + '_>> {
        let mut time = self.time.subscribe();
        Box::pin(async move {
            let _ = time.wait_for(|(_, now)| *now >= monotonic).await;
        })
    }
}

/// Salts that follow from a seed.
pub(crate) struct PlayedEntropy {
    seed: u64,
    drawn: u64,
}

impl PlayedEntropy {
    pub(crate) fn seeded(seed: u64) -> Self {
        Self { seed, drawn: 0 }
    }

    /// A number, for choices.
    pub(crate) fn below(&mut self, bound: usize) -> usize {
        let mut bytes = [0; 8];
        self.fill(&mut bytes);
        usize::try_from(u64::from_be_bytes(bytes) % bound as u64).expect("below a usize")
    }
}

impl Entropy for PlayedEntropy {
    fn fill(&mut self, bytes: &mut [u8]) {
        for chunk in bytes.chunks_mut(32) {
            self.drawn += 1;
            let drawn = Hash::of(&[&self.seed.to_be_bytes(), &self.drawn.to_be_bytes()]);
            chunk.copy_from_slice(&drawn.0[..chunk.len()]);
        }
    }
}
