//! When a batch is worth a moment's wait. Every batch costs the same handful of pages, one synchronisation and one signature however
//! little it holds, so where notices come one after another thousands a second, they go together. Whoever is alone never waits, and
//! neither do those who send no more before they are answered.

use std::time::Duration;

/// Batches begin as far apart as so many proposals take to come: what every batch costs is little for each of them.
const WORTH: f64 = 60.0;
/// But no further. Where fewer come than are worth a batch in that time, they have to make do.
const APART_MAX: Duration = Duration::from_millis(4);
/// And no nearer, where anybody waits at all.
const APART_MIN: Duration = Duration::from_millis(2);
/// Where fewer proposals than this come a second, nobody waits for them.
const COMPANY_PER_S_MIN: f64 = 6_000.0;
/// How far back the rate looks.
const MEMORY: Duration = Duration::from_millis(50);
/// What streams have gathered is called for this long before the batch begins: time to verify it.
const CALL: Duration = Duration::from_millis(1);
/// Lines may rest for this long after waits have turned out to be worth it; then all are watched until that is so again.
const REST: Duration = Duration::from_millis(100);
/// Waits are in vain where in their second halves less than this part comes of what has been coming: everyone is there already.
const LATE_MIN: f64 = 0.4;
/// Judged once so much should have come: a single wait is too short.
const EXPECTED_MIN: f64 = 40.0;
/// After waits in vain nobody waits for this long, and for twice as long each time that it is so again.
const VAIN_MIN: Duration = Duration::from_millis(50);
/// At most.
const VAIN_MAX: Duration = Duration::from_secs(2);

/// What has been coming, and when the last batch began; by the monotonic clock.
#[derive(Debug, Default)]
pub(super) struct Pace {
    began: Duration,
    /// Proposals that began since `since`.
    count: usize,
    since: Duration,
    per_s: f64,
    /// What should have come, and what came, in the second halves of the waits that are not judged yet.
    expected: f64,
    late: u64,
    /// Judgements in vain, one after the other.
    vain: u32,
    /// Until then nobody waits.
    vain_until: Duration,
    /// Until then lines may rest.
    rests_until: Duration,
    /// Until the last call some may have.
    rested: bool,
}

/// A batch waits for company.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Wait {
    /// Half of it is over.
    pub(super) half: Duration,
    /// What was gathered is called for.
    pub(super) call: Duration,
    /// The batch begins.
    pub(super) begin: Duration,
    /// Lines may rest from the call to the next: of a wait between two such calls nobody knows what came when.
    pub(super) rests: bool,
}

impl Pace {
    /// How the next batch waits for more. None: it begins as soon as there is anything.
    pub(super) fn company(&self, now: Duration) -> Option<Wait> {
        let comes = self.per_s >= COMPANY_PER_S_MIN;
        let apart = Duration::from_secs_f64(WORTH / self.per_s.max(COMPANY_PER_S_MIN));
        let begin = self.began + apart.clamp(APART_MIN, APART_MAX);
        (begin > now && comes && now >= self.vain_until).then(|| Wait {
            half: now + (begin - now) / 2,
            call: begin.saturating_sub(CALL).max(now),
            begin,
            rests: now < self.rests_until,
        })
    }

    /// This wait is over, in whose second half, which took so long, so many came.
    pub(super) fn waited(&mut self, now: Duration, wait: Wait, second_half: Duration, late: u64) {
        if std::mem::replace(&mut self.rested, wait.rests) || wait.rests {
            // Nobody knows what came when.
            return;
        }
        self.expected += self.per_s * second_half.as_secs_f64();
        self.late += late;
        if self.expected < EXPECTED_MIN {
            return;
        }
        if self.late as f64 >= LATE_MIN * self.expected {
            self.vain = 0;
            self.rests_until = now + REST;
        } else {
            self.vain_until = now + VAIN_MIN.saturating_mul(1 << self.vain.min(10)).min(VAIN_MAX);
            self.vain += 1;
        }
        (self.expected, self.late) = (0.0, 0);
    }

    /// A batch of so many begins.
    pub(super) fn begins(&mut self, now: Duration, count: usize) {
        (self.began, self.count) = (now, self.count + count);
        let elapsed = now.saturating_sub(self.since);
        if elapsed < APART_MAX {
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

    const COMMIT: Duration = Duration::from_micros(900);
    const START: Duration = Duration::from_secs(5);

    /// Batches of a second.
    #[derive(Debug, Default)]
    struct Second {
        batches: usize,
        /// Those that waited.
        waited: usize,
        /// Those that waited while lines rested.
        rested: usize,
    }

    /// The second second of a load that says how many have come by a moment, told when the last batch was answered and how many were.
    fn second(mut arrived: impl FnMut(Duration, Option<(Duration, u64)>) -> u64) -> Second {
        let (mut pace, mut second) = (Pace::default(), Second::default());
        let step = Duration::from_micros(10);
        let (mut now, mut taken, mut answered) = (START, 0, None);
        while now < START + Duration::from_secs(2) {
            let waits = pace.company(now);
            let begins = match waits {
                Some(wait) => {
                    let half = arrived(wait.half, answered.take());
                    let late = arrived(wait.begin, None) - half;
                    pace.waited(wait.begin, wait, wait.begin - wait.half, late);
                    wait.begin
                }
                None => now,
            };
            let count = arrived(begins, answered.take()) - taken;
            if count == 0 {
                now = begins + step;
                continue;
            }
            if now >= START + Duration::from_secs(1) {
                second.batches += 1;
                second.waited += usize::from(waits.is_some());
                second.rested += usize::from(waits.is_some_and(|wait| wait.rests));
            }
            pace.begins(begins, count as usize);
            taken += count;
            now = begins + COMMIT;
            answered = Some((now, count));
        }
        second
    }

    #[test]
    fn batches_wait_for_company_only_where_it_comes() {
        for (per_s, few) in [(1, true), (500, true), (3_000, true), (10_000, false), (100_000, false)] {
            let gap = Duration::from_secs(1) / per_s;
            let Second { batches, waited, rested } = second(|at, _| (at.as_nanos() / gap.as_nanos()) as u64);
            assert!(batches > 0);
            assert_eq!(waited, if few { 0 } else { batches }, "{per_s} a second: of {batches} batches");
            // The others are watched, so that it shows when waits are in vain.
            let most = if few { 0..1 } else { batches * 3 / 4..batches };
            assert!(most.contains(&rested), "{per_s} a second: lines rest during {rested} of {batches}");
        }
    }

    /// So many in flight, and each sent again a moment after it was answered.
    fn closed_loop(in_flight: u64) -> impl FnMut(Duration, Option<(Duration, u64)>) -> u64 {
        let again = Duration::from_micros(150);
        let (mut come, mut coming) = (in_flight, Vec::new());
        move |at, answered| {
            coming.extend(answered.map(|(when, count)| (when + again, count)));
            coming.retain(|(when, count)| {
                let here = *when <= at;
                come += if here { *count } else { 0 };
                !here
            });
            come
        }
    }

    #[test]
    fn those_who_send_no_more_before_they_are_answered_are_not_kept_waiting() {
        for in_flight in [4, 16, 64] {
            let Second { batches, waited, rested } = second(closed_loop(in_flight));
            assert!(batches > 800, "{in_flight} in flight: {batches} batches");
            assert!(waited * 100 <= batches, "{in_flight} in flight: {waited} of {batches} batches waited");
            assert_eq!(rested, 0, "{in_flight} in flight");
        }
    }

    #[test]
    fn those_for_whom_it_was_worth_waiting_and_is_no_more_are_not_kept_waiting_for_long() {
        for in_flight in [16, 64] {
            let (mut before, mut after) = (0, closed_loop(in_flight));
            let turn = START + Duration::from_secs(1);
            let Second { batches, waited, rested } = second(|at, answered| {
                if at < turn {
                    before = (at - START).as_micros() as u64 / 100;
                    return before;
                }
                before + after(at, answered)
            });
            assert!(
                batches > 700 && rested * 20 < batches && waited * 5 < batches,
                "{in_flight}: {waited} of {batches} batches waited, and during {rested} lines rested"
            );
        }
    }

    #[test]
    fn who_is_alone_after_a_rush_waits_no_longer_than_the_rush_is_remembered() {
        let mut pace = Pace::default();
        for ms in 1..=400 {
            pace.begins(Duration::from_millis(ms), 30);
        }
        assert!(pace.company(Duration::from_millis(400)).is_some());
        let later = Duration::from_millis(1_200);
        assert_eq!(pace.company(later), None, "nothing has begun lately");
        pace.begins(later, 1);
        assert_eq!(pace.company(later + Duration::from_micros(300)), None);
    }

    #[test]
    fn what_was_gathered_is_called_for_before_the_batch_begins() {
        let mut pace = Pace::default();
        (1..=100).for_each(|ms| pace.begins(Duration::from_millis(4 * ms), 60));
        let at = |us: u64| Duration::from_millis(400) + Duration::from_micros(us);
        let wait =
            |half, call, begin| Some(Wait { half: at(half), call: at(call), begin: at(begin), rests: false });
        assert_eq!(pace.company(at(1_000)), wait(2_500, 3_000, 4_000));
        assert_eq!(pace.company(at(3_600)), wait(3_800, 3_600, 4_000), "at once, where little is left");
        assert_eq!(pace.company(at(4_000)), None, "the batch before it took so long");
    }
}
