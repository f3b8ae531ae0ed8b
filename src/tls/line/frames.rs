//! Holds each kind of frame to what honest traffic explains. h2 bears most of them without end: they cost work and open no stream, so
//! no limit on streams stops them. Only the nine bytes before each frame are looked at (RFC 9113, section 4.1); what they mean is h2's
//! affair.

use std::time::Duration;

/// HTTP/2's first bytes (RFC 9113, section 3.4), before the first frame of a client.
const PREFACE_BYTES: usize = 24;

/// After it, counting begins anew. What explains a frame may lie in the period before.
const PERIOD: Duration = Duration::from_secs(10);

const HEAD_BYTES: usize = 9;
const DATA: u8 = 0;
const HEADERS: u8 = 1;
const PRIORITY: u8 = 2;
const RST_STREAM: u8 = 3;
const SETTINGS: u8 = 4;
const PUSH_PROMISE: u8 = 5;
const PING: u8 = 6;
const GOAWAY: u8 = 7;
const WINDOW_UPDATE: u8 = 8;
const CONTINUATION: u8 = 9;

/// How many frames of a kind may come in one period.
struct Bound {
    /// Without any reason.
    free: u32,
    /// More for each call that was opened in this period or the one before.
    a_call: u32,
    /// More for each DATA frame that went to the other end then.
    a_data: u32,
}

/// What may come of a kind. Calls, and DATA that holds something, have limits of their own: streams and windows
/// (`src/tls/http2.rs`), h2's budget for small frames, and the guard's calls and bytes.
fn bound(kind: u8, length: usize) -> Option<Bound> {
    let bound = |free, a_call, a_data| Some(Bound { free, a_call, a_data });
    match kind {
        // A call without a message ends with an empty frame.
        DATA if length == 0 => bound(1_000, 1, 0),
        DATA | HEADERS => None,
        // Deprecated; some clients still send one with each call.
        PRIORITY => bound(1_000, 1, 0),
        // A call that is given up.
        RST_STREAM => bound(1_000, 1, 0),
        // One at the beginning; clients that fit their windows to the link change them a few times a second, and answer ours.
        SETTINGS => bound(100, 0, 0),
        // A client that measures the link has one under way, and sends it when something has come.
        PING => bound(1_000, 0, 1),
        // What was taken is given back: at most once for the stream and once for the connection.
        WINDOW_UPDATE => bound(1_000, 0, 2),
        // Headers of ours fit into one frame.
        CONTINUATION => bound(100, 5, 0),
        // A client says that it leaves, and then that it has left.
        GOAWAY => bound(10, 0, 0),
        // Clients push nothing; h2 hangs up on the first.
        PUSH_PROMISE => bound(1, 0, 0),
        // Extensions are ignored (section 5.5): some clients send one or two to see that they are.
        _ => bound(100, 1, 0),
    }
}

/// Kinds that are counted apart; all others are one.
const KINDS: usize = CONTINUATION as usize + 2;

/// What is left of a frame, and the head of the next one.
#[derive(Default)]
struct Heads {
    head: [u8; HEAD_BYTES],
    have: usize,
    skip: usize,
}

impl Heads {
    /// Tells of each frame's kind and length, with as much of its payload as lies in these bytes.
    fn feed<'a>(&mut self, mut bytes: &'a [u8], mut tell: impl FnMut(u8, usize, &'a [u8])) {
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
                tell(self.head[3], self.skip, &bytes[..self.skip.min(bytes.len())]);
            }
        }
    }
}

/// What explains frames.
#[derive(Clone, Copy, Default)]
struct Reasons {
    calls: u32,
    data: u32,
}

/// The frames of one line.
pub(super) struct Frames {
    coming: Heads,
    going: Heads,
    /// Of this period, by kind.
    came: [u32; KINDS],
    now: Reasons,
    before: Reasons,
    period_ends: Duration,
    opened: bool,
}

impl Frames {
    pub(super) fn new(now: Duration) -> Self {
        Self {
            coming: Heads { skip: PREFACE_BYTES, ..Heads::default() },
            going: Heads::default(),
            came: [0; KINDS],
            now: Reasons::default(),
            before: Reasons::default(),
            period_ends: now + PERIOD,
            opened: false,
        }
    }

    /// The kind of which the other end has sent too many, if there is one.
    pub(super) fn came(&mut self, bytes: &[u8], now: Duration) -> Option<u8> {
        if now >= self.period_ends {
            let nothing_since = now >= self.period_ends + PERIOD;
            self.before = if nothing_since { Reasons::default() } else { self.now };
            (self.now, self.came, self.period_ends) = (Reasons::default(), [0; KINDS], now + PERIOD);
        }
        let Self { coming, came, opened, now, before, .. } = self;
        let mut too_many = None;
        coming.feed(bytes, |kind, length, _| {
            if kind == HEADERS {
                *opened = true;
                now.calls += 1;
            }
            let Some(bound) = bound(kind, length) else { return };
            let count = &mut came[usize::from(kind).min(KINDS - 1)];
            *count += 1;
            let explained = |each: u32, now: u32, before: u32| each.saturating_mul(now.saturating_add(before));
            let calls = explained(bound.a_call, now.calls, before.calls);
            let data = explained(bound.a_data, now.data, before.data);
            if *count > bound.free.saturating_add(calls).saturating_add(data) {
                too_many.get_or_insert(kind);
            }
        });
        too_many
    }

    /// Whether calls have been opened since this was last asked.
    pub(super) fn opened(&mut self) -> bool {
        std::mem::take(&mut self.opened)
    }

    /// The error for which h2 hangs up, if these bytes say so (RFC 9113, section 7).
    pub(super) fn went(&mut self, bytes: &[u8]) -> Option<u32> {
        let (mut error, data) = (None, &mut self.now.data);
        self.going.feed(bytes, |kind, _, payload| {
            *data += u32::from(kind == DATA);
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

    fn begun() -> Frames {
        let mut frames = Frames::new(Duration::ZERO);
        assert_eq!(frames.came(&[0; PREFACE_BYTES], Duration::ZERO), None);
        frames
    }

    #[test]
    fn fault_98_frames_are_counted_by_kind_however_they_are_cut() {
        let some = [vec![0; PREFACE_BYTES], frame(SETTINGS, &[0; 6]), frame(DATA, &[6; 700]), frame(PING, &[0; 8])];
        let some = [some.concat(), frame(99, b"x"), frame(0x10, b"yz"), frame(DATA, b"")].concat();
        for step in 1..some.len() {
            let mut frames = Frames::new(Duration::ZERO);
            assert!(some.chunks(step).all(|piece| frames.came(piece, Duration::ZERO).is_none()));
            assert_eq!(frames.came, [1, 0, 0, 0, 1, 0, 1, 0, 0, 0, 2], "in pieces of {step}");
            assert!(!frames.opened());
            assert_eq!(frames.came(&frame(HEADERS, b"a call"), Duration::ZERO), None);
            assert!(frames.opened() && !frames.opened(), "once");
        }
    }

    #[test]
    fn fault_98_every_kind_has_a_bound_and_what_explains_it_moves_it() {
        for (kind, payload, free, a_call, a_data) in [
            (DATA, &b""[..], 1_000, 1, 0),
            (PRIORITY, b"12345", 1_000, 1, 0),
            (RST_STREAM, b"1234", 1_000, 1, 0),
            (SETTINGS, b"", 100, 0, 0),
            (PUSH_PROMISE, b"", 1, 0, 0),
            (PING, b"12345678", 1_000, 0, 1),
            (GOAWAY, b"12345678", 10, 0, 0),
            (WINDOW_UPDATE, b"1234", 1_000, 0, 2),
            (CONTINUATION, b"", 100, 5, 0),
            (10, b"", 100, 1, 0),
            (0x10, b"u=1", 100, 1, 0),
            (255, b"", 100, 1, 0),
        ] {
            let (one, now) = (frame(kind, payload), Duration::ZERO);
            let mut frames = begun();
            assert_eq!(frames.came(&one.repeat(free), now), None, "{kind}");
            assert_eq!(frames.came(&one, now), Some(kind));
            // Seven calls and seven frames of data in this period, and as many in the one before.
            let mut frames = begun();
            for now in [Duration::ZERO, PERIOD] {
                assert_eq!(frames.came(&frame(HEADERS, b"a call").repeat(7), now), None);
                assert_eq!(frames.went(&frame(DATA, b"an answer").repeat(7)), None);
            }
            assert_eq!(frames.came(&one.repeat(free + 14 * (a_call + a_data)), PERIOD), None, "{kind}");
            assert_eq!(frames.came(&one, PERIOD), Some(kind));
            // A new period.
            assert_eq!(frames.came(&one.repeat(free), 2 * PERIOD), None, "{kind}");
            assert_eq!(frames.came(&one.repeat(free), 4 * PERIOD), None, "{kind}");
            assert_eq!(frames.came(&one, 4 * PERIOD), Some(kind), "what explained it is too long ago");
        }
        let mut frames = begun();
        let calls = [frame(HEADERS, b"a call"), frame(DATA, b"a message")].concat();
        assert_eq!(frames.came(&calls.repeat(100_000), Duration::ZERO), None, "calls are bounded elsewhere");
    }

    #[test]
    fn fault_98_hanging_up_for_an_error_is_seen() {
        let goaway = |code: u8| frame(GOAWAY, &[0, 0, 0, 7, 0, 0, 0, code]);
        let mut frames = begun();
        assert_eq!(frames.went(&[frame(SETTINGS, &[]), goaway(0)].concat()), None);
        assert_eq!(frames.went(&[frame(PING, &[0; 8]), goaway(11)].concat()), Some(11));
    }
}
