//! What became of a commit, and a store that cannot be reached: what was proposed is answered at once, the store is asked again with
//! growing pauses, and work goes on where it was as soon as it is there. Nothing but the store's own word ends the process.

use std::sync::PoisonError;
use std::time::Duration;

use liaison_protocol::id::Seq;

use super::super::{Answer, CannotStart, Parts, fold, startup};
use super::{Edge, NoWriter, Run, Stopped};
use crate::store::{Batch, CommitError, Head, ReadError};

/// The pause before a store that is away is asked again: short at first, because most locks are held for moments.
const PAUSE_MIN: Duration = Duration::from_millis(100);
/// A store that has come back is used again after this long at most.
const PAUSE_MAX: Duration = Duration::from_secs(1);

/// When a store that is away is asked again.
#[derive(Clone, Copy, Debug)]
pub(super) struct Away {
    ask_at: Duration,
    pause: Duration,
}

/// What became of a batch.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Became {
    /// It is on disk.
    Durable,
    /// Nothing of it is there: there was no room.
    NoRoom,
    /// Nothing of it is there: the store is away.
    Away,
    /// It may be there. What is there has been taken up, or will be before anything else is committed.
    Unknown,
}

impl Became {
    /// What whoever proposed it is told. Durable is answered with what was stated.
    pub(super) fn answer(self) -> Answer {
        match self {
            Self::NoRoom => Answer::NoRoom,
            Self::Away => Answer::Away,
            Self::Unknown | Self::Durable => Answer::Unknown,
        }
    }
}

/// Another program's lock on the store, met by a start: it is waited for, and said once. Everything else refuses the start, another
/// node's lock before all.
pub(in super::super) struct Locked<'a> {
    parts: &'a Parts,
    waited: bool,
}

impl<'a> Locked<'a> {
    pub(in super::super) fn of(parts: &'a Parts) -> Self {
        Self { parts, waited: false }
    }

    /// Waits before the store is asked again.
    pub(in super::super) async fn wait(&mut self, why: &str) {
        if !std::mem::replace(&mut self.waited, true) {
            self.parts.counts.store_away.set(true);
            tracing::warn!(target: "audit", event = "store_away", why);
        }
        self.parts.clock.until(self.parts.clock.monotonic() + PAUSE_MAX).await;
    }

    /// The lock was given back.
    pub(in super::super) fn given_back(self) {
        if self.waited {
            self.parts.counts.store_away.set(false);
            tracing::warn!(target: "audit", event = "store_back");
        }
    }
}

impl Run {
    /// Commits, and finds out what became of it.
    pub(super) async fn commit(&mut self, batch: &Batch) -> Result<Became, Stopped> {
        match self.writer.commit(batch).await {
            Ok(()) => Ok(Became::Durable),
            Err(CommitError::NoRoom) => Ok(Became::NoRoom),
            Err(CommitError::Unavailable(cause)) => {
                self.goes_away(&cause);
                Ok(Became::Away)
            }
            Err(CommitError::Unknown(cause)) => {
                tracing::error!(cause, "commit unknown: reading back what is there");
                self.find_out(batch).await
            }
            Err(CommitError::Fenced) => Err(Stopped::Fenced),
            Err(CommitError::Fatal(cause)) => Err(Stopped::Fatal(cause)),
        }
    }

    /// A new writer says what is there. The batch's own head proves the batch, and whoever waits gets receipts; anything else is
    /// rebuilt from, and the callers find out by sending the same again. Nothing is committed a second time.
    async fn find_out(&mut self, batch: &Batch) -> Result<Became, Stopped> {
        if !self.take_writer().await? {
            return Ok(Became::Unknown);
        }
        // A batch of notes alone leaves the head as it was, whether it is there or not.
        if !batch.entries.is_empty() && self.writer.head() == Some(&batch.head) {
            return Ok(Became::Durable);
        }
        self.take_up().await?;
        Ok(Became::Unknown)
    }

    /// Asks a store that is away, if it is time.
    pub(super) async fn come_back_if_due(&mut self) -> Result<(), Stopped> {
        let Some(Away { ask_at, .. }) = self.away else { return Ok(()) };
        if self.parts.clock.monotonic() < ask_at || !self.take_writer().await? {
            return Ok(());
        }
        self.take_up().await
    }

    /// Waits for a store that is away.
    pub(super) async fn until_back(&mut self) -> Result<(), Stopped> {
        while let Some(Away { ask_at, .. }) = self.away {
            self.parts.clock.until(ask_at).await;
            self.come_back_if_due().await?;
        }
        Ok(())
    }

    /// How long a store that is away is left alone; None: it is there.
    pub(super) fn left_alone(&self) -> Option<Duration> {
        Some(self.away?.ask_at.saturating_sub(self.parts.clock.monotonic()))
    }

    /// Says so once, and when it is asked again.
    pub(super) fn goes_away(&mut self, cause: &str) {
        let pause = self.away.map_or(PAUSE_MIN, |away| PAUSE_MAX.min(away.pause * 2));
        if self.away.is_none() {
            tracing::error!(target: "audit", event = "store_away", why = cause);
        }
        self.away = Some(Away { ask_at: self.parts.clock.monotonic() + pause, pause });
        self.parts.counts.store_away.set(true);
    }

    fn is_back(&mut self) {
        if self.away.take().is_some() {
            tracing::warn!(target: "audit", event = "store_back");
        }
        self.parts.counts.store_away.set(false);
    }

    /// Gives the writer up and takes a new one. False: there is none now.
    async fn take_writer(&mut self) -> Result<bool, Stopped> {
        self.writer = Box::new(NoWriter);
        match self.parts.store.writer().await {
            Ok(writer) => {
                self.writer = writer;
                Ok(true)
            }
            Err(error) if error.passes() => {
                self.goes_away(&error.to_string());
                Ok(false)
            }
            Err(error) => Err(Stopped::Fatal(format!("the store gives no writer any more: {error}"))),
        }
    }

    /// Goes on from the writer's head: where that has moved, everything is rebuilt from what is stored.
    async fn take_up(&mut self) -> Result<(), Stopped> {
        let built_on = self.edge.head();
        let rebuilt = match self.writer.head().copied() {
            Some(head) if head == built_on => Ok(()),
            Some(head) => self.rebuild(head).await,
            // The log is being opened.
            None if built_on.size() == 0 => Ok(()),
            None => Err(CannotStart::Evidence("the head is gone".into())),
        };
        match rebuilt {
            Ok(()) => self.is_back(),
            Err(CannotStart::Read(ReadError::Busy(cause) | ReadError::Unavailable(cause))) => {
                self.goes_away(&cause)
            }
            Err(error) => return Err(Stopped::Fatal(format!("after an unknown commit: {error}"))),
        }
        Ok(())
    }

    async fn rebuild(&mut self, head: Head) -> Result<(), CannotStart> {
        let (tree, _) = startup::edge(&self.parts.evidence(), &head).await?;
        // What came back may be older than what was signed, and its note with it: signing on would fork the log.
        let signed = self.publish.newest().checkpoint.clone();
        startup::against(&self.parts.evidence(), &head, &signed).await?;
        let folded = fold::newest(&*self.parts.store, &head).await?;
        let bundle = startup::partial_bundle(&*self.parts.store, &head).await?;
        // Everything has been read: from here on nothing waits, so that nothing is left half rebuilt.
        self.rebased = Seq(head.next.0 - folded.statements);
        self.edge = Edge::of(tree);
        *self.view.write().unwrap_or_else(PoisonError::into_inner) = folded.view;
        self.signs_again(head, bundle).map_err(CannotStart::First)
    }
}
