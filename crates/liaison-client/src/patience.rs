//! How long to pause between tries. Callers that were refused together must not come back together, so chance decides a part of each
//! pause; it is handed in, and a test can play any.

use std::time::Duration;

use ring::rand::{SecureRandom as _, SystemRandom};

/// The first pause, before chance.
const PAUSE_MIN: Duration = Duration::from_millis(100);
/// The longest pause that a caller makes by itself, and the longest that it makes because it was asked to, each before chance.
const PAUSE_MAX: Duration = Duration::from_secs(10);

/// The pauses of one call that is tried again.
#[derive(Debug)]
pub struct Patience {
    next: Duration,
}

impl Default for Patience {
    fn default() -> Self {
        Self { next: PAUSE_MIN }
    }
}

impl Patience {
    /// The pause before the next try. `asked` is what the node asked for: never less than that, up to 10 s, and up to half as much
    /// again. Without it the pauses double from 100 ms to 10 s, of which chance takes up to half away.
    pub fn pause(&mut self, asked: Option<Duration>, chance: u64) -> Duration {
        let own = self.next;
        self.next = (own * 2).min(PAUSE_MAX);
        let least = asked.map_or(own / 2, |asked| asked.min(PAUSE_MAX));
        let range = asked.map_or(own / 2, |_| least / 2);
        least + range.mul_f64(chance as f64 / u64::MAX as f64)
    }
}

/// The system's randomness, for pauses. Where it gives none the pauses are not spread.
pub fn chance() -> impl FnMut() -> u64 {
    let random = SystemRandom::new();
    move || {
        let mut bits = [0; 8];
        random.fill(&mut bits).map_or(0, |()| u64::from_ne_bytes(bits))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const fn ms(millis: u64) -> Duration {
        Duration::from_millis(millis)
    }

    #[test]
    fn a_pause_lies_between_its_bounds_wherever_chance_falls() {
        let seconds = |seconds| Some(Duration::from_secs(seconds));
        for (pauses_before, asked, least, most) in [
            (0, None, ms(50), ms(100)),
            (1, None, ms(100), ms(200)),
            (6, None, ms(3_200), ms(6_400)),
            (7, None, ms(5_000), ms(10_000)),
            (60, None, ms(5_000), ms(10_000)),
            (0, seconds(1), ms(1_000), ms(1_500)),
            (60, seconds(1), ms(1_000), ms(1_500)),
            (0, seconds(3_600), ms(10_000), ms(15_000)),
            (0, seconds(0), ms(0), ms(0)),
        ] {
            for (chance, expected) in [(0, least), (u64::MAX, most), (1 << 63, (least + most) / 2)] {
                let mut patience = Patience::default();
                for _ in 0..pauses_before {
                    patience.pause(None, chance);
                }
                let pause = patience.pause(asked, chance);
                assert!(pause.abs_diff(expected) < ms(1), "{pauses_before} {asked:?} {chance}: {pause:?}");
            }
        }
    }

    #[test]
    fn callers_that_were_refused_together_do_not_come_back_together() {
        let mut chance = chance();
        let pauses: std::collections::BTreeSet<_> =
            (0..100).map(|_| Patience::default().pause(Some(ms(1_000)), chance())).collect();
        assert!(pauses.len() > 90, "{} different pauses of 100", pauses.len());
    }
}
