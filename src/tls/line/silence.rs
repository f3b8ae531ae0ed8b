//! How long a line may be without a sign of life from its other end, and how long it has for its last words.

use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use crate::clock::SharedClock;
use crate::tls::Limits;

/// HTTP/2's first bytes (RFC 9113, section 3.4). Until they are here, no ping watches over the connection.
const PREFACE_BYTES: usize = 24;

/// Whoever is shown the door reads why within a few round trips of a satellite link; five seconds after the decision all is over.
const LAST_WORDS_MAX: Duration = Duration::from_secs(3);

/// Watches how long nothing has come. The timer is set anew when it fires, not at every read.
pub(super) struct Silence {
    clock: SharedClock,
    silence: Duration,
    /// Bytes still missing of HTTP/2's first ones; while some are, the deadline stands.
    preface: usize,
    deadline: Duration,
    /// No sign of life moves the deadline any more.
    leaving: bool,
    /// The last write found no room: the next one that does is a sign of life.
    blocked: bool,
    timer: Option<Pin<Box<dyn Future<Output = ()> + Send>>>,
}

impl Silence {
    pub(super) fn new(limits: &Limits, clock: SharedClock) -> Self {
        Self {
            silence: limits.silence,
            preface: PREFACE_BYTES,
            deadline: clock.monotonic() + limits.handshake,
            leaving: false,
            blocked: false,
            timer: None,
            clock,
        }
    }

    /// Bytes have come.
    pub(super) fn heard(&mut self, bytes: usize) {
        self.preface = self.preface.saturating_sub(bytes);
        if bytes > 0 {
            self.alive();
        }
    }

    /// The other end has made room, or has not: who takes nothing is as silent as who sends nothing, and keeps us from reading.
    pub(super) fn wrote(&mut self, found_room: bool) {
        if found_room && self.blocked {
            self.alive();
        }
        self.blocked = !found_room;
    }

    /// A little time for what is still to be said, and no more for anything.
    pub(super) fn leave(&mut self) {
        if !self.leaving {
            self.leaving = true;
            self.deadline = self.deadline.min(self.clock.monotonic() + LAST_WORDS_MAX);
            self.timer = None;
        }
    }

    fn alive(&mut self) {
        if self.preface == 0 && !self.leaving {
            self.deadline = self.clock.monotonic() + self.silence;
        }
    }

    pub(super) fn poll_over(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        loop {
            let (clock, deadline) = (&self.clock, self.deadline);
            let timer = self.timer.get_or_insert_with(|| {
                let clock = clock.clone();
                Box::pin(async move { clock.until(deadline).await })
            });
            ready!(timer.as_mut().poll(cx));
            self.timer = None;
            if self.clock.monotonic() >= self.deadline {
                return Poll::Ready(());
            }
        }
    }
}
