//! Two clocks that should agree: while they do not, the node goes on accepting by either, and nothing expires.

use std::time::Duration;

use liaison_protocol::id::Micros;

use crate::clock::SharedClock;

/// Wall clock and monotonic clock may drift apart by this much before nothing expires any more.
const APART_MAX: i64 = 5 * 60 * Micros::SECOND;

/// The wall clock, held against the monotonic one since the start.
pub(super) struct Clocks {
    clock: SharedClock,
    wall: Micros,
    monotonic: Duration,
    alarmed: bool,
}

impl Clocks {
    /// Both as they are now.
    pub(super) fn new(clock: SharedClock) -> Self {
        let (wall, monotonic) = (clock.now(), clock.monotonic());
        Self { clock, wall, monotonic, alarmed: false }
    }

    /// The wall clock, as read.
    pub(super) fn now(&self) -> Micros {
        self.clock.now()
    }

    /// What time it is if nobody has set the wall clock since the start.
    fn expected(&self) -> Micros {
        let passed = self.clock.monotonic().saturating_sub(self.monotonic).as_micros();
        self.wall.plus(i64::try_from(passed).unwrap_or(i64::MAX))
    }

    /// Somebody has set the wall clock: which of the two is right nobody knows.
    pub(super) fn apart(&self) -> bool {
        self.clock.now().since(self.expected()).abs() > APART_MAX
    }

    /// What time it is by each clock that may be right.
    pub(super) fn times(&self) -> [Micros; 2] {
        let now = self.clock.now();
        [now, if self.apart() { self.expected() } else { now }]
    }

    /// True: nothing may expire. Says so once each time it begins.
    pub(super) fn alarm_if_apart(&mut self) -> bool {
        let apart = self.apart();
        if apart && !self.alarmed {
            tracing::error!(
                target: "audit",
                event = "clock.jump",
                "wall clock and monotonic clock differ by more than 5 minutes: nothing expires until the node is restarted"
            );
        }
        self.alarmed = apart;
        apart
    }
}
