//! Time and chance, handed in: what reads them says so in its signature, and a test can play any time it likes.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime};

use liaison_protocol::id::Micros;
use ring::rand::{SecureRandom as _, SystemRandom};

/// The two clocks of a machine, and waiting on the one that cannot be set.
pub trait Clock: Send + Sync + 'static {
    /// Wall clock, raw: it may jump.
    fn now(&self) -> Micros;
    /// Time since some start; never goes back.
    fn monotonic(&self) -> Duration;
    /// Returns when `monotonic` has reached this.
    fn until(&self, monotonic: Duration) -> Pin<Box<dyn Future<Output = ()> + Send + '_>>;
}

/// A clock that everyone may hold.
pub type SharedClock = Arc<dyn Clock>;

/// The machine's own clocks.
pub struct SystemClock {
    start: Instant,
}

impl SystemClock {
    /// Starts counting now.
    #[allow(clippy::disallowed_methods, reason = "the one place where clocks are read")]
    pub fn new() -> Self {
        Self { start: Instant::now() }
    }
}

impl Default for SystemClock {
    fn default() -> Self {
        Self::new()
    }
}

impl Clock for SystemClock {
    #[allow(clippy::disallowed_methods, reason = "the one place where clocks are read")]
    fn now(&self) -> Micros {
        let since = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
        Micros(i64::try_from(since.as_micros()).unwrap_or(i64::MAX))
    }

    fn monotonic(&self) -> Duration {
        self.start.elapsed()
    }

    #[allow(clippy::disallowed_methods, reason = "the one place that waits")]
    fn until(&self, monotonic: Duration) -> Pin<Box<dyn Future<Output = ()> + Send + '_>> {
        Box::pin(tokio::time::sleep_until((self.start + monotonic).into()))
    }
}

/// Chance, for salts.
pub trait Entropy: Send + 'static {
    /// Fills `bytes` with what nobody can guess.
    fn fill(&mut self, bytes: &mut [u8]);
}

/// The operating system's randomness.
pub struct SystemEntropy(SystemRandom);

impl SystemEntropy {
    /// Opens it.
    pub fn new() -> Self {
        Self(SystemRandom::new())
    }
}

impl Default for SystemEntropy {
    fn default() -> Self {
        Self::new()
    }
}

impl Entropy for SystemEntropy {
    fn fill(&mut self, bytes: &mut [u8]) {
        self.0.fill(bytes).expect("the operating system gives randomness");
    }
}
