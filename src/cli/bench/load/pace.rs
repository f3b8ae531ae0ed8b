//! When the next notice is sent: as soon as there is room for it, or at its own moment of a fixed schedule.

use std::os::fd::OwnedFd;
use std::sync::Arc;
use std::time::Duration;

use rustix::time::{
    Itimerspec, TimerfdClockId, TimerfdFlags, TimerfdTimerFlags, Timespec, timerfd_create, timerfd_settime,
};
use tokio::sync::Semaphore;

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

/// Moments, and a permit for each that has come.
struct Schedule {
    moments: Moments,
    come: Arc<Semaphore>,
}

impl Pace {
    /// With moments: at each of them. Without: at once. Nothing is due after `until`.
    pub(super) fn new(clock: Arc<SystemClock>, moments: Option<Moments>, until: Duration) -> std::io::Result<Self> {
        let Some(moments) = moments else { return Ok(Self { clock, until, schedule: None }) };
        let come = Arc::new(Semaphore::new(0));
        let metronome = Metronome {
            timer: timerfd_create(TimerfdClockId::Monotonic, TimerfdFlags::CLOEXEC)?,
            clock: clock.clone(),
            moments,
            until,
        };
        let ring = come.clone();
        // It ends when its moments do, or at the first one after this pace is dropped.
        tokio::task::spawn_blocking(move || metronome.run(&ring));
        Ok(Self { clock, until, schedule: Some(Schedule { moments, come }) })
    }

    /// Waits for the moment of the next notice, the nth, and says which it was: whoever is behind is not waited for, and a late
    /// notice's time still counts from its moment. None: nothing more is sent.
    pub(super) async fn due(&self, nth: usize) -> std::io::Result<Option<Duration>> {
        let Some(Schedule { moments, come }) = &self.schedule else {
            let now = self.clock.monotonic();
            return Ok((now < self.until).then_some(now));
        };
        let due = moments.nth(nth);
        if due >= self.until {
            return Ok(None);
        }
        // Closed: the metronome has stopped.
        come.acquire().await.map_err(std::io::Error::other)?.forget();
        Ok(Some(due))
    }
}

impl Drop for Pace {
    fn drop(&mut self) {
        if let Some(schedule) = &self.schedule {
            schedule.come.close();
        }
    }
}

impl Moments {
    fn nth(&self, nth: usize) -> Duration {
        self.first + self.every * u32::try_from(nth).unwrap_or(u32::MAX)
    }
}

/// The runtime's timer counts whole milliseconds, in which a receipt on a fast disk comes and goes. The kernel's does not, on a thread
/// of its own that does nothing else.
struct Metronome {
    timer: OwnedFd,
    clock: Arc<SystemClock>,
    moments: Moments,
    until: Duration,
}

impl Metronome {
    fn run(&self, come: &Semaphore) {
        let moments = (0..).map(|nth| self.moments.nth(nth)).take_while(|moment| *moment < self.until);
        for moment in moments {
            if come.is_closed() || self.wait(moment).is_err() {
                // Whoever waits for a permit is told that none will come.
                return come.close();
            }
            come.add_permits(1);
        }
    }

    fn wait(&self, moment: Duration) -> std::io::Result<()> {
        let left = moment.saturating_sub(self.clock.monotonic());
        if left.is_zero() {
            return Ok(());
        }
        let it_interval = Timespec { tv_sec: 0, tv_nsec: 0 };
        let it_value = Timespec::try_from(left).map_err(std::io::Error::other)?;
        timerfd_settime(&self.timer, TimerfdTimerFlags::empty(), &Itimerspec { it_interval, it_value })?;
        rustix::io::read(&self.timer, &mut [0; 8])?;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
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
    async fn without_a_schedule_a_notice_is_due_at_once_until_the_time_is_over() {
        let clock = Arc::new(SystemClock::new());
        let now = clock.monotonic();
        let pace = Pace::new(clock.clone(), None, now + Duration::from_secs(3_600)).unwrap();
        assert!(pace.due(1_000_000).await.unwrap().expect("now") >= now);
        assert_eq!(Pace::new(clock, None, now).unwrap().due(0).await.unwrap(), None);
    }
}
