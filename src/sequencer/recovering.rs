//! A node without a writer: what is stored is not what was signed, or not all of it. It serves what is whole under the last
//! checkpoint that covers it, refuses whatever would need a statement, and signs nothing.

use std::sync::{Arc, RwLock};
use std::time::Duration;

use liaison_protocol::id::Seq;
use liaison_protocol::reason::{Reason, Refusal};
use liaison_protocol::tlog::tree::Tree;
use tokio::sync::mpsc;

use super::inbox::{Chunk, Inbox};
use super::recent::Publisher;
use super::run::Stopped;
use super::startup::{CannotStart, Evidence, Recovered, SharedView, Started, checked, grow};
use super::{Answer, Parts, Published, fold};
use crate::clock::SharedClock;
use crate::counts::Counts;
use crate::state::View;
use crate::store::{Claim, Head, Store, StoredNote};

/// When whoever was refused may ask again: an operator has to act first.
pub(super) const RETRY_AFTER_MS: u32 = 30_000;
/// How often it shows that it is alive, so that nobody restarts it: a restart would not help.
const TURN: Duration = Duration::from_secs(1);
/// Bytes of statements read at a time while the first damaged one is looked for.
const READ_BYTES_MAX: usize = 8 << 20;
/// Of the newest checkpoints, how many are tried: one of them is before the damage, unless that is older.
const NOTES_TRIED: usize = 64;

/// Answers proposals until everyone has gone.
pub(super) struct Recovering {
    inbox: Inbox,
    clock: SharedClock,
    counts: Arc<Counts>,
    /// Nobody else writes meanwhile, either.
    _claim: Box<dyn Claim>,
    _publish: Publisher,
}

/// The refusal of whatever needs a statement.
pub fn refusal() -> Refusal {
    Refusal::new(
        Reason::Recovering,
        "this node's store is not what was signed: it serves what is whole and takes nothing",
    )
    .retry_after_ms(RETRY_AFTER_MS)
}

/// Begins to serve what is whole.
pub(super) async fn start(
    parts: Parts,
    claim: Box<dyn Claim>,
    inbox: Inbox,
    publish: Publisher,
    why: CannotStart,
) -> (Started, SharedView, Recovered) {
    let what = why.to_string();
    tracing::error!(target: "audit", event = "recovering", what);
    let published = published(&parts.evidence()).await.unwrap_or_else(Published::nothing);
    let view =
        if published.size() == 0 { View::default() } else { fold::prefix(&*parts.store, published.next).await };
    let statements = published.next.0;
    let recovered =
        Recovered { statements, folded: view.next().0, new: false, unsigned: 0, recovering: Some(what) };
    parts.counts.recovering.set(true);
    publish.publish(Arc::new(published));
    publish.wake(Seq(statements));
    let recovering =
        Recovering { inbox, clock: parts.clock, counts: parts.counts, _claim: claim, _publish: publish };
    (Started::Recovering(recovering), Arc::new(RwLock::new(view)), recovered)
}

impl Recovering {
    pub(super) async fn run(mut self) -> Stopped {
        self.inbox.gathering.wait_no_more();
        loop {
            let Inbox { urgent, submissions, .. } = &mut self.inbox;
            let turn = self.clock.until(self.clock.monotonic() + TURN);
            let chunk = tokio::select! {
                chunk = urgent.recv() => next(chunk, submissions).await,
                chunk = submissions.recv() => next(chunk, urgent).await,
                () = turn => {
                    self.counts.turned.happened(self.clock.monotonic());
                    continue;
                }
            };
            let Some(chunk) = chunk else { return Stopped::Asked };
            let answers = chunk.proposals.iter().map(|_| Answer::Refused(refusal())).collect();
            // Nobody may be waiting any more.
            let _ = chunk.answer.send(answers);
        }
    }
}

/// Both lanes have the same senders: where one is closed so is the other, but what was taken is still in it.
async fn next(chunk: Option<Chunk>, other: &mut mpsc::Receiver<Chunk>) -> Option<Chunk> {
    match chunk {
        Some(chunk) => Some(chunk),
        None => other.recv().await,
    }
}

/// The largest head with a checkpoint of ours that the stored leaves lead to. None: there is none.
async fn published(evidence: &Evidence<'_>) -> Option<Published> {
    let head = evidence.store.head().await.ok()??;
    let mut notes = notes(evidence.store, head.size()).await;
    if let Some(bad) = first_damaged(evidence.store, &head).await {
        let before = evidence.store.last_note_within(bad.0.saturating_sub(head.base.0)).await.ok().flatten();
        notes.extend(before);
    }
    notes.sort_unstable_by_key(|note| note.size);
    let (mut tree, mut whole) = (Tree::default(), None);
    for note in notes.iter().filter(|note| note.log == head.log) {
        let Ok(signed) = checked(evidence, &note.note) else { continue };
        if grow(evidence.store, &head, &mut tree, signed.size).await.is_err() {
            break;
        }
        if tree.size() == signed.size && tree.root() == signed.root {
            whole = Some((note.note.clone(), tree.clone()));
        }
    }
    let (checkpoint, tree) = whole?;
    let next = Seq(head.base.0 + tree.size());
    Some(Published { checkpoint, base: head.base, next, tree: Arc::new(tree) })
}

/// The newest checkpoints of a log, newest first.
async fn notes(store: &dyn Store, size: u64) -> Vec<StoredNote> {
    let (mut notes, mut within) = (Vec::new(), Some(size));
    while let Some(size) = within.filter(|_| notes.len() < NOTES_TRIED)
        && let Ok(Some(note)) = store.last_note_within(size).await
    {
        within = note.size.checked_sub(1);
        notes.push(note);
    }
    notes
}

/// The first statement that does not open its leaf, or is not there.
async fn first_damaged(store: &dyn Store, head: &Head) -> Option<Seq> {
    let (mut next, mut one_by_one) = (head.base, false);
    while next < head.next {
        let end = if one_by_one { Seq(next.0 + 1) } else { head.next };
        match store.entries(next..end, READ_BYTES_MAX).await {
            Ok(entries) if entries.is_empty() => return Some(next),
            Ok(entries) => next = Seq(next.0 + entries.len() as u64),
            // It is among those that would have fitted.
            Err(_) if !one_by_one => one_by_one = true,
            Err(_) => return Some(next),
        }
    }
    None
}
