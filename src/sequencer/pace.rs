//! When a batch is worth a moment's wait. Every batch costs the same handful of pages, one synchronisation and one signature however
//! little it holds, so where notices come one after another thousands a second, they go together. Whoever is alone never waits.

use std::time::Duration;

/// Batches begin this far apart where enough comes in between.
const PACE: Duration = Duration::from_millis(2);
/// Fewer proposals than this in that time are not waited for.
const COMPANY_MIN: f64 = 12.0;
/// How far back the rate looks.
const MEMORY: Duration = Duration::from_millis(50);

/// What has been coming, and when the last batch began; by the monotonic clock.
#[derive(Debug, Default)]
pub(super) struct Pace {
    began: Duration,
    /// Proposals that began since `since`.
    count: usize,
    since: Duration,
    per_s: f64,
}

impl Pace {
    /// Until when a batch waits for more. None: it begins now.
    pub(super) fn company(&self, now: Duration) -> Option<Duration> {
        let at = self.began + PACE;
        (at > now && self.per_s * PACE.as_secs_f64() >= COMPANY_MIN).then_some(at)
    }

    /// A batch of so many begins.
    pub(super) fn begins(&mut self, now: Duration, count: usize) {
        (self.began, self.count) = (now, self.count + count);
        let elapsed = now.saturating_sub(self.since);
        if elapsed < PACE {
            return;
        }
        let weight = elapsed.as_secs_f64() / (elapsed + MEMORY).as_secs_f64();
        self.per_s += weight * (self.count as f64 / elapsed.as_secs_f64() - self.per_s);
        (self.since, self.count) = (now, 0);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// How many batches there were in the second second, and how many of them waited, when so many proposals come evenly in one.
    fn waited(per_s: u32) -> (usize, usize) {
        let (mut pace, mut batches, mut waited) = (Pace::default(), 0, 0);
        let mut now = Duration::from_secs(5);
        let (counted, end) = (now + Duration::from_secs(1), now + Duration::from_secs(2));
        let gap = Duration::from_secs(1) / per_s;
        while now < end {
            // One has come, and those that come until the batch begins.
            let begins = pace.company(now).unwrap_or(now);
            if now >= counted {
                batches += 1;
                waited += usize::from(begins > now);
            }
            let more = (begins - now).as_nanos() / gap.as_nanos();
            pace.begins(begins, 1 + more as usize);
            now += gap * (more as u32 + 1);
        }
        (batches, waited)
    }

    #[test]
    fn batches_wait_for_company_only_where_it_comes() {
        for (per_s, few) in [(1, true), (500, true), (3_000, true), (10_000, false), (100_000, false)] {
            let (batches, waited) = waited(per_s);
            assert!(batches > 0);
            assert_eq!(waited, if few { 0 } else { batches }, "{per_s} a second: of {batches} batches");
        }
    }

    #[test]
    fn who_is_alone_after_a_rush_waits_no_longer_than_the_rush_is_remembered() {
        let mut pace = Pace::default();
        for ms in 1..=200 {
            pace.begins(Duration::from_millis(ms), 30);
        }
        assert!(pace.company(Duration::from_millis(200)).is_some());
        let later = Duration::from_millis(1_000);
        assert_eq!(pace.company(later), None, "nothing has begun lately");
        pace.begins(later, 1);
        assert_eq!(pace.company(later + Duration::from_micros(300)), None);
    }
}
