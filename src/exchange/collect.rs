//! Collecting: what waits in the caller's own mailbox, urgent first, and then whatever comes. Everything is sent again until it is
//! signed for; nothing here is durable.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use liaison_protocol::reason::{Reason, Refusal};

use super::frame::{Frame, OwnItem};
use super::{Caller, Exchange};
use crate::sequencer::{Published, Reader};
use crate::state::{Cursor, Due};

/// Notices in one frame: at an ordinary size they fill it, and what each frame costs its reader is little for each of them.
const FRAME_NOTICES_MAX: usize = 256;
/// Streams that a frame waits a millisecond for. Every frame costs both ends a write, a wake-up and a signature, so where many collect,
/// what is not urgent waits a moment for company after a frame that was sent just now; after a pause it goes at once. What is urgent
/// and comes in such a moment waits for the rest of it.
const STREAMS_PER_MS: usize = 4;
/// But never longer than this.
const COMPANY_MAX: Duration = Duration::from_millis(50);
/// A stream sends something at least this often. Readers are promised 20 seconds, in which a heartbeat must also be written, travel and
/// be read.
const HEARTBEAT: Duration = Duration::from_secs(15);

/// Streams of one partner: a dozen systems with two each, and some that are gone and not yet missed. Each holds a frame while its
/// reader is slow, and builds it from hundreds of pieces.
const STREAMS_PER_PARTNER_MAX: u32 = 32;
/// Answered with RESOURCE_EXHAUSTED: when one of them may have ended.
const RETRY_AFTER_MS: u32 = 1_000;

/// One mailbox being collected. It holds a cursor and nothing of what waits.
pub struct Collecting {
    exchange: Arc<Exchange>,
    caller: Caller,
    cursor: Cursor,
    reader: Reader,
    own: OwnItem,
    /// When the last frame went, by the monotonic clock. None: it was full, and the next one follows.
    sent: Option<Duration>,
    until_idle: bool,
}

impl Exchange {
    /// Begins to collect the caller's own mailbox; there is no way to name another's.
    pub fn collect(
        self: &Arc<Self>,
        caller: Caller,
        resume_token: &[u8],
        until_idle: bool,
    ) -> Result<Collecting, Refusal> {
        let cursor = if resume_token.is_empty() {
            Cursor::default()
        } else {
            read_token(resume_token).ok_or_else(|| Refusal::field("resume_token", "not one that this node gave"))?
        };
        {
            let mut streams = self.streams();
            let open = streams.entry(caller.partner.number).or_default();
            if *open >= STREAMS_PER_PARTNER_MAX {
                let refusal = Refusal::new(Reason::Busy, "the caller collects on as many streams as it may");
                return Err(refusal.with("limit", "collect_streams_per_partner").retry_after_ms(RETRY_AFTER_MS));
            }
            *open += 1;
        }
        let reader = self.sequencer.recent().reader();
        Ok(Collecting {
            exchange: self.clone(),
            caller,
            cursor,
            reader,
            own: OwnItem::default(),
            sent: None,
            until_idle,
        })
    }
}

impl Collecting {
    /// The next frame. None: nothing waits any more, and that was all that was asked for.
    pub async fn next(&mut self) -> Result<Option<Frame>, Refusal> {
        let clock = self.exchange.clock.clone();
        let heartbeat = clock.monotonic() + HEARTBEAT;
        loop {
            self.still_admitted()?;
            self.reader.saw();
            let published = self.exchange.published();
            let due = self.due(&published);
            if !due.is_empty() {
                if let Some(company) = self.company(&due) {
                    clock.until(company).await;
                    continue;
                }
                match self.frame(&published, due).await? {
                    Some(frame) => return Ok(Some(frame)),
                    None => continue,
                }
            }
            if self.until_idle {
                return Ok(None);
            }
            let mut directory = self.exchange.directories.changed();
            tokio::select! {
                more = self.reader.more() => if !more {
                    return Err(Refusal::new(Reason::ShuttingDown, "the node is stopping").retry_after_ms(1_000));
                },
                _ = directory.changed() => {}
                () = clock.until(heartbeat) => return Ok(Some(Frame::heartbeat(token(self.cursor)))),
            }
        }
    }

    /// Until when a frame of what is due waits for more. None: it goes now.
    fn company(&self, due: &[Due]) -> Option<Duration> {
        if self.until_idle || due.len() == FRAME_NOTICES_MAX || due.first().is_some_and(|first| first.urgent()) {
            return None;
        }
        let wait = Duration::from_millis((self.reader.count() / STREAMS_PER_MS) as u64).min(COMPANY_MAX);
        self.sent.map(|sent| sent + wait).filter(|until| *until > self.exchange.clock.monotonic())
    }

    /// A partner that the directory no longer lists as active is sent nothing more, on open streams too.
    fn still_admitted(&mut self) -> Result<(), Refusal> {
        if self.exchange.directories.in_force().version() != self.caller.directory.version() {
            self.caller = self.exchange.readmit(&self.caller)?;
        }
        Ok(())
    }

    /// What waits and is published: nobody is shown what no checkpoint covers yet.
    fn due(&self, published: &Published) -> Vec<Due> {
        let mut due = self.exchange.view().due(self.caller.partner.number, self.cursor, FRAME_NOTICES_MAX);
        due.retain(|due| due.seq < published.next);
        due
    }

    async fn frame(&mut self, published: &Published, due: Vec<Due>) -> Result<Option<Frame>, Refusal> {
        let me = self.caller.partner.number;
        let (edition, from, at_once) = match self.exchange.editions.serving(&due) {
            Some((edition, from)) => (edition, from, true),
            None => (self.exchange.printed(published, &due).await?, 0, false),
        };
        due.iter().take(edition.covers(from).len()).for_each(|due| self.cursor.pass(*due));
        self.sent = (!edition.full).then(|| self.exchange.clock.monotonic());
        let (waiting, damaged): (Vec<_>, Vec<_>) = if at_once {
            (edition.notices(from).collect(), edition.damaged(from).collect())
        } else {
            // Settled while it was printed, by another of the caller's systems or by time.
            let view = self.exchange.view();
            let waiting = edition.notices(from).filter(|(_, notice)| view.waits(notice.seq, me)).collect();
            (waiting, edition.damaged(from).filter(|seq| view.waits(*seq, me)).collect())
        };
        if waiting.is_empty() && damaged.is_empty() {
            return Ok(None);
        }
        let notices = waiting.iter().map(|(nth, _)| *nth);
        let damaged = damaged.into_iter().map(|seq| published.leaf(seq));
        let frame = Frame::of(token(self.cursor), edition.clone(), notices, damaged, me, &mut self.own);
        self.exchange.counts.delivered.add(waiting.len() as u64);
        self.exchange.transmitted.mark(me, waiting.iter().map(|(_, notice)| notice.seq));
        Ok(Some(frame))
    }
}

impl Drop for Collecting {
    fn drop(&mut self) {
        let mut streams = self.exchange.streams();
        if let Some(streams) = streams.get_mut(&self.caller.partner.number) {
            *streams -= 1;
        }
        if streams.values().all(|open| *open == 0) {
            self.exchange.editions.clear();
        }
    }
}

fn token(cursor: Cursor) -> Bytes {
    cursor.0.iter().flat_map(|place| place.to_be_bytes()).collect()
}

fn read_token(token: &[u8]) -> Option<Cursor> {
    let mut cursor = Cursor::default();
    if token.len() != cursor.0.len() * 8 {
        return None;
    }
    for (place, bytes) in cursor.0.iter_mut().zip(token.chunks_exact(8)) {
        *place = u64::from_be_bytes(bytes.try_into().ok()?);
    }
    Some(cursor)
}
