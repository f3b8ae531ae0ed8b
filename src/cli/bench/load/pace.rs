//! When the next notice is sent: as soon as there is room for it, or at its own moment of a fixed schedule.

use std::os::fd::OwnedFd;
use std::sync::Arc;
use std::time::Duration;

use rustix::time::{
    Itimerspec, TimerfdClockId, TimerfdFlags, TimerfdTimerFlags, Timespec, timerfd_create, timerfd_settime,
};
use tokio::io::Interest;
use tokio::io::unix::AsyncFd;

use crate::clock::{Clock as _, SystemClock};

/// The pace of one connection.
pub(super) struct Pace {
    clock: Arc<SystemClock>,
    until: Duration,
    schedule: Option<Schedule>,
}

/// Moments of one connection's notices.
#[derive(Clone, Copy)]
pub(in crate::cli::bench) struct Moments {
    /// Its first notice.
    pub(in crate::cli::bench) first: Duration,
    /// From one to the next.
    pub(in crate::cli::bench) every: Duration,
}

/// Moments, and what rings at each. The runtime's timer counts whole milliseconds, in which a receipt on a fast disk comes and goes; the
/// kernel's does not, and wakes the runtime as a line would.
struct Schedule {
    moments: Moments,
    timer: AsyncFd<OwnedFd>,
}

impl Pace {
    /// With moments: at each of them. Without: at once. Nothing is due after `until`.
    pub(super) fn new(clock: Arc<SystemClock>, moments: Option<Moments>, until: Duration) -> std::io::Result<Self> {
        let schedule = moments.map(Schedule::new).transpose()?;
        Ok(Self { clock, until, schedule })
    }

    /// Waits for the moment of the next notice, the nth, and says which it was: whoever is behind is not waited for, and a late
    /// notice's time still counts from its moment. None: nothing more is sent.
    pub(super) async fn due(&self, nth: usize) -> std::io::Result<Option<Duration>> {
        let Some(schedule) = &self.schedule else {
            let now = self.clock.monotonic();
            return Ok((now < self.until).then_some(now));
        };
        let due = schedule.moments.nth(nth);
        if due >= self.until {
            return Ok(None);
        }
        let left = due.saturating_sub(self.clock.monotonic());
        if !left.is_zero() {
            schedule.ring_in(left).await?;
        }
        Ok(Some(due))
    }
}

impl Moments {
    fn nth(&self, nth: usize) -> Duration {
        self.first + self.every * u32::try_from(nth).unwrap_or(u32::MAX)
    }
}

impl Schedule {
    #[expect(
        deprecated,
        reason = "what takes its place is unsafe, for descriptors that another may close; nobody else has this one"
    )]
    fn new(moments: Moments) -> std::io::Result<Self> {
        let timer = timerfd_create(TimerfdClockId::Monotonic, TimerfdFlags::CLOEXEC | TimerfdFlags::NONBLOCK)?;
        Ok(Self { moments, timer: AsyncFd::with_interest(timer, Interest::READABLE)? })
    }

    /// Returns after this time. Whoever gives up waiting may wait anew: setting a timer takes back what it rang before.
    async fn ring_in(&self, left: Duration) -> std::io::Result<()> {
        let it_interval = Timespec { tv_sec: 0, tv_nsec: 0 };
        let it_value = Timespec::try_from(left).map_err(std::io::Error::other)?;
        timerfd_settime(&self.timer, TimerfdTimerFlags::empty(), &Itimerspec { it_interval, it_value })?;
        self.timer.async_io(Interest::READABLE, |timer| Ok(rustix::io::read(timer, &mut [0; 8])?)).await?;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use futures_util::FutureExt as _;

    use super::*;

    #[tokio::test]
    async fn a_scheduled_notice_is_never_early_and_counts_from_its_own_moment() {
        let clock = Arc::new(SystemClock::new());
        let first = clock.monotonic() + Duration::from_millis(3);
        let every = Duration::from_micros(700);
        let pace = Pace::new(clock.clone(), Some(Moments { first, every }), first + every * 10).unwrap();
        for nth in 0..10 {
            let due = pace.due(nth).await.unwrap().expect("before the end");
            assert_eq!(due, first + every * u32::try_from(nth).unwrap());
            assert!(clock.monotonic() >= due);
        }
        assert_eq!(pace.due(10).await.unwrap(), None, "at the end nothing is due");
    }

    #[tokio::test]
    async fn what_rang_for_somebody_who_gave_up_waiting_rings_for_nobody_else() {
        let clock = Arc::new(SystemClock::new());
        let first = clock.monotonic() + Duration::from_millis(2);
        let moments = Moments { first, every: Duration::from_millis(4) };
        let [pace, other] = [(); 2].map(|()| Pace::new(clock.clone(), Some(moments), first * 1_000).unwrap());
        assert!(pace.due(0).now_or_never().is_none(), "given up");
        other.due(0).await.unwrap().expect("before the end");
        assert!(pace.due(1).await.unwrap().expect("before the end") <= clock.monotonic());
    }

    #[tokio::test]
    async fn without_a_schedule_a_notice_is_due_at_once_until_the_time_is_over() {
        let clock = Arc::new(SystemClock::new());
        let now = clock.monotonic();
        let pace = Pace::new(clock.clone(), None, now + Duration::from_secs(3_600)).unwrap();
        assert!(pace.due(1_000_000).await.unwrap().expect("now") >= now);
        assert_eq!(Pace::new(clock, None, now).unwrap().due(0).await.unwrap(), None);
    }
}
