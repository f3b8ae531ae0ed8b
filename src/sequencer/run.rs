//! The loop: gather, decide, commit, sign, apply, answer. The order is the promise.

mod away;
mod rebase;
mod room;

use std::sync::{Arc, PoisonError, RwLock};
use std::time::Duration;

use super::anchor::Following;
use super::clocks::Clocks;
use super::edge::{Built, Edge};
use super::inbox::{Chunk, Inbox, flatten};
use super::outside::{FromStore, Known, names};
use super::pace::Pace;
use super::recent::Publisher;
use super::startup::{self, SharedView};
use super::{Answer, Parts, Published, Stated};
use crate::state::{Decision, Detail, Draft, Proposal, Stage, View};
use crate::store::{Batch, CommitError, Head, Known as Given, Name, ReadError, Room, StoredNote, Writer};
use away::{Away, Became};
use liaison_protocol::id::{Hash, Seq};
use liaison_protocol::proto::ExpiredOutcome;
use liaison_protocol::statement::Event;
use liaison_protocol::tlog::checkpoint::Checkpoint;
use liaison_protocol::tlog::entry::{Leaf, Opening};
use liaison_protocol::tlog::tree::Tree;

/// Proposals in one batch: enough to hide a slow disk, few enough that nobody waits long for the last.
const BATCH_MAX: usize = 4_096;
/// Bytes of notices in one batch.
const BATCH_BYTES_MAX: usize = 32 << 20;
/// Idle this long, a signed note is stored in a batch of its own.
const IDLE: Duration = Duration::from_millis(20);

pub(super) use away::Locked;

/// How the sequencer ended.
#[derive(Debug)]
pub enum Stopped {
    /// It was asked to, and everything taken is committed, signed and answered.
    Asked,
    /// Another writer has taken over.
    Fenced,
    /// The disk, the key or the memory cannot be trusted: the process must end.
    Fatal(String),
}

pub(super) struct Run {
    parts: Parts,
    writer: Box<dyn Writer>,
    inbox: Inbox,
    publish: Publisher,
    view: SharedView,
    edge: Edge,
    /// Signed, and not in the store yet: it travels in the next batch.
    note: Option<StoredNote>,
    anchor: Option<Following>,
    clocks: Clocks,
    pace: Pace,
    /// There is no room for notices: submissions are refused, and nothing is tried by itself more than once a second.
    full: bool,
    /// When the writer was last asked for room. None: not since the start.
    asked_for_room: Option<Duration>,
    /// The store cannot be reached. While it is set nothing is committed.
    away: Option<Away>,
    since: Seq,
    /// The first statement after the base, or after the last try to move it.
    rebased: Seq,
}

/// What gather brings.
enum Gathered {
    Work(Vec<Chunk>),
    Idle,
    Closed,
}

impl Run {
    pub(super) fn new(
        parts: Parts,
        writer: Box<dyn Writer>,
        inbox: Inbox,
        publish: Publisher,
        tree: Tree,
        view: View,
    ) -> Self {
        let clocks = Clocks::new(parts.clock.clone());
        let anchor = parts.anchor.whole().cloned().map(Following::of);
        let since = view.next();
        Self {
            parts,
            writer,
            inbox,
            publish,
            view: Arc::new(RwLock::new(view)),
            edge: Edge::of(tree),
            note: None,
            anchor,
            clocks,
            pace: Pace::default(),
            full: false,
            asked_for_room: None,
            away: None,
            since,
            rebased: Seq(0),
        }
    }

    pub(super) fn view(&self) -> SharedView {
        self.view.clone()
    }

    /// After a start: where the base ends that it began with.
    pub(super) fn rebased(&mut self, at: Seq) {
        self.rebased = at;
    }

    /// Statement 0 of a node's first log.
    pub(super) async fn open_log(&mut self) -> Result<(), String> {
        let proposal = [Proposal::OpenLog("first log of this node".into())];
        loop {
            let (built, _) = self.decide(&proposal, &Known::new(), false);
            match self.commit(&built.batch).await.map_err(|stopped| format!("{stopped:?}"))? {
                Became::Durable => return self.settle(built).map(drop),
                Became::NoRoom => return Err(CommitError::NoRoom.to_string()),
                Became::Away | Became::Unknown => {
                    self.until_back().await.map_err(|stopped| format!("{stopped:?}"))?
                }
            }
        }
    }

    /// After a start: takes up the stored head, and signs it again. The same head gets the same text, and so the same signature.
    pub(super) async fn resume(&mut self, head: Head) -> Result<(), String> {
        let bundle = startup::partial_bundle(&*self.parts.store, &head).await;
        self.signs_again(head, bundle.map_err(|error| error.to_string())?)
    }

    fn signs_again(&mut self, head: Head, bundle: Vec<Leaf>) -> Result<(), String> {
        (self.edge.log, self.edge.base, self.edge.bundle) = (head.log, head.base, bundle);
        self.sign(head.root)?;
        self.publish.wake(head.next);
        Ok(())
    }

    pub(super) async fn run(mut self) -> Stopped {
        self.ask_for_room_if_due().await;
        loop {
            let gathered = self.gather().await;
            let idle = matches!(gathered, Gathered::Idle);
            let chunks = match gathered {
                Gathered::Work(chunks) => Some(chunks),
                Gathered::Idle => self.note.is_some().then(Vec::new),
                Gathered::Closed => return self.stop().await,
            };
            if let Err(stopped) = self.come_back_if_due().await {
                return stopped;
            }
            if let Some(chunks) = chunks
                && let Err(stopped) = self.batch(chunks).await
            {
                return stopped;
            }
            if let Err(stopped) = self.rebase_if_due(idle).await {
                return stopped;
            }
            self.ask_for_room_if_due().await;
            let monotonic = self.parts.clock.monotonic();
            self.parts.counts.turned.happened(monotonic);
            self.parts.counts.clocks_apart.set(self.clocks.apart());
            if let Some(Err(error)) = self.anchor.as_mut().map(|anchor| anchor.tick(monotonic)) {
                return Stopped::Fatal(format!("the anchor: {error}"));
            }
            let behind = self.anchor.as_ref().is_some_and(Following::is_behind);
            self.parts.counts.store_full.set(self.full || behind);
        }
    }

    /// Whatever waits, or a deadline. While the disk is busy the next batch fills by itself; where the disk is faster than that, and
    /// enough is coming, it fills for a moment.
    async fn gather(&mut self) -> Gathered {
        let company = self.company().await;
        let first = match company {
            true => self.inbox.take(),
            false => None,
        };
        let clock = self.parts.clock.clone();
        let first = match first {
            Some(first) => first,
            None => {
                self.inbox.gathering.wait_no_more();
                let idle = clock.until(clock.monotonic() + self.patience());
                let Inbox { urgent, submissions, .. } = &mut self.inbox;
                // Both lanes have the same senders: where one is closed so is the other, but what was taken is still in it.
                let first = tokio::select! {
                    biased;
                    chunk = urgent.recv() => match chunk {
                        Some(chunk) => Some(chunk),
                        None => submissions.recv().await,
                    },
                    chunk = submissions.recv() => match chunk {
                        Some(chunk) => Some(chunk),
                        None => urgent.recv().await,
                    },
                    () = idle => return Gathered::Idle.or_deadline(self.overdue()),
                };
                match first {
                    Some(first) => first,
                    None => return Gathered::Closed,
                }
            }
        };
        let (mut chunks, mut count, mut bytes) = (vec![first], 0, 0);
        while count < BATCH_MAX && bytes < BATCH_BYTES_MAX {
            let last = chunks.last().expect("there is a first");
            count += last.proposals.len();
            bytes += last.bytes;
            match self.inbox.take() {
                Some(chunk) => chunks.push(chunk),
                None => break,
            }
        }
        self.pace.begins(clock.monotonic(), chunks.iter().map(|chunk| chunk.proposals.len()).sum());
        Gathered::Work(chunks)
    }

    /// Waits for company where it is worth it, and calls for what was gathered meanwhile. True: it waited.
    async fn company(&mut self) -> bool {
        let clock = self.parts.clock.clone();
        let Some(wait) = self.pace.company(clock.monotonic()) else { return false };
        let gathering = &self.inbox.gathering;
        gathering.wait();
        if !wait.rests {
            clock.until(wait.half).await;
        }
        let (half, early) = (clock.monotonic(), gathering.arrived());
        clock.until(wait.call).await;
        gathering.go(wait.rests);
        clock.until(wait.begin).await;
        // What comes from here on goes with the batch after this one.
        gathering.wait();
        let now = clock.monotonic();
        self.pace.waited(now, wait, now.saturating_sub(half), gathering.arrived() - early);
        true
    }

    /// How long to wait for work: until the note must be stored, or the anchor written, or a deadline passes.
    fn patience(&self) -> Duration {
        let longest = match self.left_alone() {
            Some(pause) => return pause,
            None if self.note.is_some() && !self.full => IDLE,
            None => Duration::from_secs(1),
        };
        let deadline = self.read_view().next_deadline();
        match deadline {
            // A full store is not asked again and again by what nobody waits for.
            Some(at) if !self.full && !self.clocks.apart() => {
                let micros = u64::try_from(at.since(self.clocks.now())).unwrap_or(0);
                longest.min(Duration::from_micros(micros.max(1_000)))
            }
            _ => longest,
        }
    }

    fn overdue(&self) -> bool {
        let now = self.clocks.now();
        !self.clocks.apart() && self.read_view().next_deadline().is_some_and(|at| at <= now)
    }

    fn read_view(&self) -> std::sync::RwLockReadGuard<'_, View> {
        self.view.read().unwrap_or_else(PoisonError::into_inner)
    }

    /// One batch: its chunks are answered, or the sequencer stops.
    async fn batch(&mut self, chunks: Vec<Chunk>) -> Result<(), Stopped> {
        let (proposals, routes) = flatten(chunks);
        if self.anchor.as_ref().is_some_and(Following::is_behind) {
            routes.answer(vec![Answer::NoRoom; proposals.len()]);
            return Ok(());
        }
        let answers = self.decided(proposals).await?;
        routes.answer(answers);
        Ok(())
    }

    async fn decided(&mut self, proposals: Vec<Proposal>) -> Result<Vec<Answer>, Stopped> {
        if self.away.is_some() {
            return Ok(vec![Answer::Away; proposals.len()]);
        }
        let Some((known, damaged)) = self.known(names(&proposals)).await? else {
            return Ok(vec![Answer::Away; proposals.len()]);
        };
        if damaged.is_empty() {
            return self.judged(proposals, known).await;
        }
        // A damaged name costs the notices that have it, and nobody else's.
        let of_damaged = |proposal: &Proposal| {
            let names = names(std::slice::from_ref(proposal));
            names.iter().find(|name| damaged.contains(name)).map(|(originator, reference)| {
                let what = format!("the name {reference} of partner {}", originator.0);
                Answer::Refused(self.parts.counts.integrity.damaged(None, &what))
            })
        };
        let refused: Vec<_> = proposals.iter().map(of_damaged).collect();
        let sound = proposals.into_iter().zip(&refused).filter(|(_, refused)| refused.is_none());
        let mut answers = self.judged(sound.map(|(proposal, _)| proposal).collect(), known).await?.into_iter();
        let each = |refused: Option<Answer>| refused.or_else(|| answers.next()).unwrap_or(Answer::Unknown);
        Ok(refused.into_iter().map(each).collect())
    }

    async fn judged(&mut self, proposals: Vec<Proposal>, known: Known) -> Result<Vec<Answer>, Stopped> {
        let all = |answer| Ok(vec![answer; proposals.len()]);
        if !self.full {
            let expire = !self.clocks.alarm_if_apart();
            match self.stated(&proposals, &known, expire).await? {
                Ok(answers) => return Ok(answers),
                Err(Became::NoRoom) => self.found_no_room(),
                Err(became) => return all(became.answer()),
            }
        }
        self.without_submissions(&proposals, &known).await
    }

    /// Decides and commits; what became of a batch that is not durable, of which stage and tree edge are dropped.
    async fn stated(
        &mut self,
        proposals: &[Proposal],
        known: &Known,
        expire: bool,
    ) -> Result<Result<Vec<Answer>, Became>, Stopped> {
        let (built, decisions) = self.decide(proposals, known, expire);
        if built.batch.entries.is_empty() && built.batch.notes.is_empty() {
            return Ok(Ok(self.answers(decisions, &[], None)));
        }
        let began = self.parts.clock.monotonic();
        match self.commit(&built.batch).await? {
            Became::Durable => {}
            // Only a note would have been written, which waits: nothing that anybody proposed depends on it.
            became if built.batch.entries.is_empty() => {
                if became == Became::NoRoom {
                    self.found_no_room();
                }
                return Ok(Ok(self.answers(decisions, &[], None)));
            }
            became => return Ok(Err(became)),
        }
        // Durable from here. A crash now loses no promise: startup recomputes and signs this head.
        self.parts.counts.commit_us.observe_time(self.parts.clock.monotonic().saturating_sub(began));
        self.parts.counts.batch.observe(built.batch.entries.len() as u64);
        let first = built.batch.first;
        let openings = built.openings.clone();
        let published = self.settle(built).map_err(Stopped::Fatal)?;
        Ok(Ok(self.answers(decisions, &openings, Some((first, published)))))
    }

    /// Signs the head, applies what was drafted, and publishes, in this order.
    fn settle(&mut self, built: Built) -> Result<Arc<Published>, String> {
        let Built { batch, tree, bundle, drafts, .. } = built;
        // The root by the second routine first.
        self.edge.advance(&batch, tree, bundle)?;
        self.note = None;
        {
            // Applied before anyone learns an index, so that nobody reads behind it.
            let mut view = self.view.write().unwrap_or_else(PoisonError::into_inner);
            let statements = drafts.iter().map(|draft| (&draft.statement, &draft.detail));
            view.apply_all(batch.first, statements).map_err(|diverged| diverged.to_string())?;
        }
        self.forget_transmitted(&drafts);
        let published = if drafts.is_empty() { self.publish.newest() } else { self.sign(batch.head.root)? };
        self.publish.consign(&batch, &drafts);
        Ok(published)
    }

    /// Never ahead of the disk: only a head whose commit has returned comes here.
    fn sign(&mut self, root: Hash) -> Result<Arc<Published>, String> {
        let checkpoint = Checkpoint { origin: self.parts.origin.clone(), size: self.edge.tree.size(), root };
        let began = self.parts.clock.monotonic();
        let note = checkpoint.sign(&self.parts.key).map_err(|error| error.to_string())?;
        let signed = self.parts.clock.monotonic();
        self.parts.counts.sign_us.observe_time(signed.saturating_sub(began));
        self.parts.counts.signed.happened(signed);
        let published = Arc::new(Published {
            checkpoint: note.clone(),
            base: self.edge.base,
            next: Seq(self.edge.base.0 + self.edge.tree.size()),
            tree: self.edge.tree.clone(),
        });
        self.note = Some(StoredNote { size: self.edge.tree.size(), log: self.edge.log, note: note.clone() });
        if let Some(anchor) = &mut self.anchor {
            anchor.keep(note);
        }
        self.publish.publish(published.clone());
        Ok(published)
    }

    fn forget_transmitted(&self, drafts: &[Draft]) {
        for draft in drafts {
            match (&draft.statement.event, &draft.detail) {
                (Event::Acknowledged(acknowledged), _) => {
                    self.parts.transmitted.forget(acknowledged.recipient, draft.about.iter().copied());
                }
                (_, Detail::Expired(items)) => {
                    for item in items.iter().filter(|item| item.outcome != ExpiredOutcome::Unanswered) {
                        self.parts.transmitted.forget(item.recipient, [Seq(self.edge.base.0 + item.leaf.0)]);
                    }
                }
                _ => {}
            }
        }
    }

    fn answers(
        &self,
        decisions: Vec<Decision>,
        openings: &[Opening],
        stated: Option<(Seq, Arc<Published>)>,
    ) -> Vec<Answer> {
        let answer = |decision| match (decision, &stated) {
            (Decision::State(nth), Some((first, published))) => Answer::Stated(Stated {
                seq: Seq(first.0 + nth as u64),
                opening: openings[nth].clone(),
                published: published.clone(),
            }),
            (Decision::State(_), None) => Answer::Unknown,
            (Decision::Already(seq), _) => Answer::Already(seq),
            (Decision::Refused(refusal), _) => Answer::Refused(refusal),
            (Decision::Stale, _) => Answer::Stale,
        };
        decisions.into_iter().map(answer).collect()
    }

    /// What these names were given to, and those of which that cannot be read because it is damaged. None: the store is away.
    async fn known(&mut self, names: Vec<Name>) -> Result<Option<(Known, Vec<Name>)>, Stopped> {
        let (mut all, mut damaged) = (Known::new(), Vec::new());
        let mut asked = if names.is_empty() { Vec::new() } else { vec![names] };
        while let Some(names) = asked.pop() {
            match self.writer.named(&names).await {
                Ok(found) => {
                    let pairs = names.into_iter().zip(found);
                    all.extend(
                        pairs.filter_map(|(name, known)| known.map(|known| (name, (known.seq, known.notice)))),
                    );
                }
                Err(ReadError::Busy(cause) | ReadError::Unavailable(cause)) => {
                    self.goes_away(&cause);
                    return Ok(None);
                }
                // One of them is damaged: each by itself shows which.
                Err(ReadError::Damaged(_)) if names.len() > 1 => {
                    asked.extend(names.into_iter().map(|name| vec![name]));
                }
                Err(ReadError::Damaged(_)) => damaged.extend(names),
            }
        }
        Ok(Some((all, damaged)))
    }

    /// Decides everything at one moment and builds the batch, changing nothing.
    fn decide(&mut self, proposals: &[Proposal], known: &Known, expire: bool) -> (Built, Vec<Decision>) {
        let [now, other] = self.clocks.times();
        let view = self.view.clone();
        let view = view.read().unwrap_or_else(PoisonError::into_inner);
        let from_store = FromStore { known, parts: &mut self.parts, since: self.since };
        let mut stage = Stage::new(&view, now, other, from_store);
        if expire {
            stage.expire();
        }
        let decisions = proposals.iter().map(|proposal| stage.decide(proposal)).collect();
        let drafts = stage.into_drafts();
        let first = view.next();
        drop(view);
        (self.edge.build(first, drafts, self.note.clone(), &mut *self.parts.entropy), decisions)
    }

    /// Everything taken has been answered; the last note and the anchor go to disk.
    async fn stop(mut self) -> Stopped {
        if self.note.is_some() && self.away.is_none() {
            let (built, _) = self.decide(&[], &Known::new(), false);
            match self.writer.commit(&built.batch).await {
                // Whatever became of the note: the next start signs the same head again.
                Ok(()) | Err(CommitError::NoRoom | CommitError::Unavailable(_) | CommitError::Unknown(_)) => {}
                Err(CommitError::Fenced) => return Stopped::Fenced,
                Err(CommitError::Fatal(cause)) => return Stopped::Fatal(cause),
            }
        }
        match self.anchor.as_mut().map(Following::flush) {
            Some(Err(error)) => Stopped::Fatal(format!("the anchor: {error}")),
            _ => Stopped::Asked,
        }
    }
}

impl Gathered {
    /// A deadline that has passed is work, though nobody asked.
    fn or_deadline(self, overdue: bool) -> Self {
        if overdue { Self::Work(Vec::new()) } else { self }
    }
}

/// Between two writers there is none.
struct NoWriter;

#[async_trait::async_trait]
impl Writer for NoWriter {
    fn head(&self) -> Option<&Head> {
        None
    }
    async fn named(&mut self, _: &[Name]) -> Result<Vec<Option<Given>>, ReadError> {
        Err(ReadError::Unavailable("no writer".into()))
    }
    async fn commit(&mut self, _: &Batch) -> Result<(), CommitError> {
        Err(CommitError::Unavailable("no writer".into()))
    }
    async fn room(&mut self) -> Room {
        Room::NoReserve
    }
    async fn free_reserve(&mut self) -> bool {
        false
    }
}

#[cfg(test)]
mod tests {
    use liaison_protocol::tlog::entry::Leaf;
    use liaison_protocol::tlog::hash;

    use super::super::inbox;
    use super::*;
    use crate::world::{Rig, World};

    async fn run_on(rig: &Rig, notices: u32) -> Run {
        let (_, inbox, publish) = inbox::channel();
        let parts = rig.parts();
        let writer = parts.store.writer().await.expect("free");
        let mut run = Run::new(parts, writer, inbox, publish, Tree::default(), View::default());
        run.open_log().await.expect("opens");
        run.decided(vec![Proposal::Adopt(rig.world.head())]).await.expect("adopts");
        for nth in 0..notices {
            let (proposal, _) = rig.world.notice("FR", &format!("FR/{nth}"), &["DE"]);
            run.decided(vec![proposal]).await.expect("takes");
        }
        run
    }

    /// The same tree with one bit of one node gone wrong: of a leaf, or of a peak.
    fn flipped(leaves: &[Leaf], place: usize) -> Tree {
        let mut tree = Tree::default();
        for (nth, leaf) in leaves.iter().enumerate() {
            let mut hash = hash::leaf(&leaf.0);
            hash.0[3] ^= u8::from(nth == place) << 5;
            tree.append(hash);
        }
        tree
    }

    #[tokio::test]
    async fn fault_77_one_bit_gone_wrong_in_memory_is_seen_before_anything_is_signed() {
        for place in [6, 0, 3] {
            let rig = Rig::new(World::small());
            let mut run = run_on(&rig, 4).await;
            let signed = run.publish.newest().checkpoint.clone();
            let leaves: Vec<_> = rig.all().await.iter().map(|entry| entry.leaf).collect();
            if place < leaves.len() {
                // In the edge, between two batches: both routines would build on it.
                run.edge.tree = Arc::new(flipped(&leaves, place));
            }
            let (proposal, _) = rig.world.notice("FR", "FR/last", &["DE"]);
            let (mut built, _) = run.decide(&[proposal], &Known::new(), true);
            if place == leaves.len() {
                // In the new leaf's hash, while the batch was built.
                let leaves: Vec<_> =
                    leaves.iter().copied().chain(built.batch.entries.iter().map(|e| e.leaf)).collect();
                built.tree = Arc::new(flipped(&leaves, place));
                built.batch.head.root = built.tree.root();
            }
            let refused = run.settle(built).expect_err("seen");
            assert!(refused.contains("two computations of one root differ"), "{refused}");
            assert_eq!(run.publish.newest().checkpoint, signed, "bit in leaf {place}: nothing was signed");
        }
    }
}
