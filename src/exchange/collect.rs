//! Collecting: what waits in the caller's own mailbox, urgent first, and then whatever comes. Everything is sent again until it is
//! signed for; nothing here is durable.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use liaison_protocol::proto;
use liaison_protocol::reason::{Reason, Refusal};
use prost::Message as _;
use tokio::sync::watch;

use super::history::{Shown, erased};
use super::{Caller, Exchange, unreadable};
use crate::sequencer::{Published, StoredParts};
use crate::state::{Cursor, Due};

/// Notices in one frame.
const FRAME_NOTICES_MAX: usize = 64;
/// Bytes of notices in one frame, after which no further one is begun: with the largest one it stays below 4 MiB.
const FRAME_BYTES_MAX: usize = 2 << 20;
/// A stream says at least this often that it is alive.
const HEARTBEAT: Duration = Duration::from_secs(20);

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
    published: watch::Receiver<Arc<Published>>,
    until_idle: bool,
}

/// What is sent at once.
#[derive(Debug)]
pub struct Frame {
    /// Where to continue after it.
    pub resume_token: Bytes,
    /// Empty: a heartbeat.
    pub deliveries: Vec<proto::Delivery>,
    /// One receipt for each delivery.
    pub receipts: proto::Receipts,
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
        let published = self.sequencer.published();
        {
            let mut streams = self.streams();
            let open = streams.entry(caller.partner.number).or_default();
            if *open >= STREAMS_PER_PARTNER_MAX {
                let refusal = Refusal::new(Reason::Busy, "the caller collects on as many streams as it may");
                return Err(refusal.with("limit", "collect_streams_per_partner").retry_after_ms(RETRY_AFTER_MS));
            }
            *open += 1;
        }
        Ok(Collecting { exchange: self.clone(), caller, cursor, published, until_idle })
    }
}

impl Collecting {
    /// The next frame. None: nothing waits any more, and that was all that was asked for.
    pub async fn next(&mut self) -> Result<Option<Frame>, Refusal> {
        let clock = self.exchange.clock.clone();
        let heartbeat = clock.monotonic() + HEARTBEAT;
        loop {
            self.still_admitted()?;
            let published = self.published.borrow_and_update().clone();
            let due = self.due(&published);
            if !due.is_empty() {
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
                changed = self.published.changed() => if changed.is_err() {
                    return Err(Refusal::new(Reason::ShuttingDown, "the node is stopping").retry_after_ms(1_000));
                },
                _ = directory.changed() => {}
                () = clock.until(heartbeat) => return Ok(Some(Frame {
                    resume_token: token(self.cursor),
                    deliveries: Vec::new(),
                    receipts: proto::Receipts::default(),
                })),
            }
        }
    }

    /// A partner that the directory no longer lists as active is sent nothing more, on open streams too.
    fn still_admitted(&mut self) -> Result<(), Refusal> {
        self.caller = self.exchange.readmit(&self.caller)?;
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
        let exchange = self.exchange.clone();
        let seqs: Vec<_> = due.iter().map(|due| due.seq).collect();
        let notices = exchange.store.notices(&seqs).await.map_err(unreadable)?;
        let mut openings = exchange.openings(&seqs).await?;
        let (mut deliveries, mut shown, mut bytes, mut sent) = (Vec::new(), Vec::new(), 0, Vec::new());
        for (due, notice) in due.into_iter().zip(notices) {
            if bytes > FRAME_BYTES_MAX {
                break;
            }
            self.cursor.pass(due);
            // Settled meanwhile, by another of the caller's systems or by time.
            let item = exchange.view().open(due.seq).map(|open| open.recipients().clone());
            let Some(item) = item.and_then(|recipients| recipients.item(me)) else { continue };
            let damaged = || Refusal::new(Reason::StoredDamage, "stored bytes cannot be read");
            let notice = notice.ok_or_else(damaged)?;
            bytes += notice.envelope.len() + notice.parts.as_ref().map_or(0, Bytes::len);
            let parts = match notice.parts {
                Some(parts) => StoredParts::decode(parts).map_err(|_| damaged())?.parts,
                None => Vec::new(),
            };
            let opening = openings.remove(&due.seq).ok_or_else(erased)?;
            shown.push(Shown { seq: due.seq, opening, items: vec![item] });
            deliveries.push(proto::Delivery { envelope: notice.envelope, parts });
            sent.push(due.seq);
        }
        if deliveries.is_empty() {
            return Ok(None);
        }
        let receipts = exchange.receipts(published, shown).await?;
        exchange.counts.delivered.add(sent.len() as u64);
        exchange.transmitted.mark(me, sent);
        Ok(Some(Frame { resume_token: token(self.cursor), deliveries, receipts }))
    }
}

impl Drop for Collecting {
    fn drop(&mut self) {
        if let Some(streams) = self.exchange.streams().get_mut(&self.caller.partner.number) {
            *streams -= 1;
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
