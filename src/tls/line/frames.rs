//! Counts what HTTP/2 itself bears without end: PING, SETTINGS, PRIORITY and unknown frames cost work and open no stream, so no
//! limit on streams stops them. Only the nine bytes before each frame are looked at (RFC 9113, section 4.1); what they mean is h2's affair.

use std::time::Duration;

/// HTTP/2's first bytes (RFC 9113, section 3.4), before the first frame of a client.
const PREFACE_BYTES: usize = 24;

/// Frames of these kinds within one period. A client that measures the link with pings sends a few hundred a second at most.
const CONTROL_FRAMES_MAX: u32 = 10_000;

/// After it, counting begins anew.
const PERIOD: Duration = Duration::from_secs(10);

const HEAD_BYTES: usize = 9;
const HEADERS: u8 = 1;
const PRIORITY: u8 = 2;
const SETTINGS: u8 = 4;
const PING: u8 = 6;
const GOAWAY: u8 = 7;
const LAST_KNOWN: u8 = 9;

/// What is left of a frame, and the head of the next one.
#[derive(Default)]
struct Heads {
    head: [u8; HEAD_BYTES],
    have: usize,
    skip: usize,
}

impl Heads {
    /// Tells of each frame's kind, with as much of its payload as lies in these bytes.
    fn feed<'a>(&mut self, mut bytes: &'a [u8], mut tell: impl FnMut(u8, &'a [u8])) {
        loop {
            let skipped = self.skip.min(bytes.len());
            self.skip -= skipped;
            bytes = &bytes[skipped..];
            let taken = bytes.len().min(HEAD_BYTES - self.have);
            if taken == 0 {
                return;
            }
            self.head[self.have..self.have + taken].copy_from_slice(&bytes[..taken]);
            self.have += taken;
            bytes = &bytes[taken..];
            if self.have == HEAD_BYTES {
                self.skip = u32::from_be_bytes([0, self.head[0], self.head[1], self.head[2]]) as usize;
                self.have = 0;
                tell(self.head[3], &bytes[..self.skip.min(bytes.len())]);
            }
        }
    }
}

/// The frames of one line.
pub(super) struct Frames {
    coming: Heads,
    going: Heads,
    control: u32,
    period_ends: Duration,
    opened: bool,
}

impl Frames {
    pub(super) fn new(now: Duration) -> Self {
        let coming = Heads { skip: PREFACE_BYTES, ..Heads::default() };
        Self { coming, going: Heads::default(), control: 0, period_ends: now + PERIOD, opened: false }
    }

    /// Whether the other end has sent too many.
    pub(super) fn came(&mut self, bytes: &[u8], now: Duration) -> bool {
        if now >= self.period_ends {
            (self.control, self.period_ends) = (0, now + PERIOD);
        }
        let Self { control, opened, .. } = self;
        self.coming.feed(bytes, |kind, _| {
            *opened |= kind == HEADERS;
            *control += u32::from(matches!(kind, PRIORITY | SETTINGS | PING) || kind > LAST_KNOWN);
        });
        self.control > CONTROL_FRAMES_MAX
    }

    /// Whether calls have been opened since this was last asked.
    pub(super) fn opened(&mut self) -> bool {
        std::mem::take(&mut self.opened)
    }

    /// The error for which h2 hangs up, if these bytes say so (RFC 9113, section 7).
    pub(super) fn went(&mut self, bytes: &[u8]) -> Option<u32> {
        let mut error = None;
        self.going.feed(bytes, |kind, payload| {
            if kind == GOAWAY
                && let Some(code) = payload.get(4..8).and_then(|code| code.try_into().ok())
            {
                error = Some(u32::from_be_bytes(code)).filter(|code| *code != 0);
            }
        });
        error
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn frame(kind: u8, payload: &[u8]) -> Vec<u8> {
        let length = u32::try_from(payload.len()).unwrap().to_be_bytes();
        [&length[1..], &[kind, 0, 0, 0, 0, 1], payload].concat()
    }

    #[test]
    fn fault_98_control_frames_are_counted_however_they_are_cut_and_others_are_not() {
        const DATA: u8 = 0;
        let some = [vec![0; PREFACE_BYTES], frame(SETTINGS, &[0; 6]), frame(DATA, &[6; 700]), frame(PING, &[0; 8])];
        let some = [some.concat(), frame(99, b"x"), frame(DATA, b"")].concat();
        for step in 1..some.len() {
            let mut frames = Frames::new(Duration::ZERO);
            assert!(some.chunks(step).all(|piece| !frames.came(piece, Duration::ZERO)));
            assert_eq!(frames.control, 3, "in pieces of {step}");
            assert!(!frames.opened());
            assert!(!frames.came(&frame(HEADERS, b"a call"), Duration::ZERO));
            assert!(frames.opened() && !frames.opened(), "once");
        }
        let mut frames = Frames::new(Duration::ZERO);
        assert!(!frames.came(&[0; PREFACE_BYTES], Duration::ZERO));
        let pings = frame(PING, &[0; 8]).repeat(CONTROL_FRAMES_MAX as usize);
        assert!(!frames.came(&pings, Duration::ZERO));
        assert!(!frames.came(&pings, PERIOD), "a new period");
        assert!(frames.came(&frame(PRIORITY, &[0; 5]), PERIOD));
    }

    #[test]
    fn fault_98_hanging_up_for_an_error_is_seen() {
        let goaway = |code: u8| frame(GOAWAY, &[0, 0, 0, 7, 0, 0, 0, code]);
        let mut frames = Frames::new(Duration::ZERO);
        assert_eq!(frames.went(&[frame(SETTINGS, &[]), goaway(0)].concat()), None);
        assert_eq!(frames.went(&[frame(PING, &[0; 8]), goaway(11)].concat()), Some(11));
    }
}
