//! The view from what is stored: from the newest base and what came after it, or from the first statement on. What is folded must
//! be what was signed; the entries to come are read while those before them are folded.

use std::ops::Range;

use futures_util::stream::{self, StreamExt as _};
use liaison_protocol::id::Seq;
use liaison_protocol::tlog::hash;
use liaison_protocol::tlog::tree::Tree;

use super::startup::{CannotStart, tree_of};
use crate::state::{Base, Diverged, Folding, View};
use crate::store::{self, Head, ReadError, SetId, Store, Stored};

/// Entries asked for together.
const STRIDE: u64 = 2_048;
/// Strides under way: enough that reading never waits for folding.
const AHEAD: usize = 4;
/// Bytes of entries read at a time.
const READ_BYTES_MAX: usize = 2 << 20;

/// A view, and how many statements were folded for it.
#[derive(Debug)]
pub(super) struct Folded {
    pub(super) view: View,
    pub(super) statements: u64,
}

/// From the newest base, or from nothing where there is none. A base that cannot be used costs time, never a start: the history it
/// stands for is all there.
pub(super) async fn newest(store: &dyn Store, head: &Head) -> Result<Folded, CannotStart> {
    match after_base(store, head).await {
        Ok(Some(folded)) => return Ok(folded),
        Ok(None) => {}
        Err(why) => {
            let what = format!("the base is not used, everything is folded instead: {why}");
            tracing::error!(target: "audit", event = "integrity", what);
        }
    }
    Ok(Folded { view: everything(store, head).await?, statements: head.next.0 })
}

/// Folds the whole history. Tiles alone would not show a statement that somebody replaced together with its leaf; all leaves do.
pub(super) async fn everything(store: &dyn Store, head: &Head) -> Result<View, CannotStart> {
    rest(store, head, Folding::default(), Tree::default()).await
}

/// As much as can be folded of what lies before `next`, for a node that only serves what is whole: up to the first statement that
/// is damaged.
pub(super) async fn prefix(store: &dyn Store, next: Seq) -> View {
    let mut folding = Folding::default();
    while folding.next() < next {
        // A damaged statement spoils the stride that it lies in, so strides get smaller towards it.
        let mut width = STRIDE.min(next.0 - folding.next().0);
        let entries = loop {
            match stride(store, folding.next()..Seq(folding.next().0 + width)).await {
                Ok(entries) => break entries,
                Err(_) if width > 1 => width /= 2,
                Err(_) => return folding.so_far(),
            }
        };
        for entry in entries {
            if one(store, &mut folding, &entry).await.is_err() {
                return folding.so_far();
            }
        }
    }
    folding.so_far()
}

async fn one(store: &dyn Store, folding: &mut Folding, entry: &Stored) -> Result<(), CannotStart> {
    let erased = || Diverged { seq: entry.seq, problem: "its opening has been erased".into() };
    let opening = entry.opening.as_ref().ok_or_else(erased)?;
    let (needing, missing) = folding.read(entry.seq, opening, &entry.detail)?;
    if let Some(root) = missing {
        hand_in(store, folding, entry.seq, root).await?;
    }
    Ok(folding.fold(needing)?)
}

/// Begins with the base. The statement after it commits to it, and lies under the checkpoint like all that follow.
async fn after_base(store: &dyn Store, head: &Head) -> Result<Option<Folded>, CannotStart> {
    let Some(store::Base { through, pieces }) = store.base().await?.filter(|base| base.through >= head.base) else {
        return Ok(None);
    };
    let first = Seq(through.0 + 1);
    if first >= head.next {
        return Err(Diverged { seq: first, problem: "the base is of another history".into() }.into());
    }
    let bad = |bad: crate::state::BadBase| Diverged { seq: through, problem: bad.to_string() };
    let joined = pieces.concat();
    drop(pieces);
    let base = Base::read(joined.into()).map_err(bad)?;
    let mut folding = Folding::default();
    for root in base.sets().to_vec() {
        hand_in(store, &mut folding, through, root).await?;
    }
    folding.begin(base).map_err(bad)?;
    if folding.next() != first {
        return Err(Diverged { seq: first, problem: "the base ends elsewhere".into() }.into());
    }
    let tree = tree_of(store, head, first.0 - head.base.0).await?;
    let view = rest(store, head, folding, tree).await?;
    Ok(Some(Folded { view, statements: head.next.0 - first.0 }))
}

/// Folds what is left, and checks that all leaves together are those of the head.
async fn rest(store: &dyn Store, head: &Head, mut folding: Folding, mut tree: Tree) -> Result<View, CannotStart> {
    let firsts = (folding.next().0..head.next.0).step_by(STRIDE as usize);
    let strides = firsts.map(|first| stride(store, Seq(first)..Seq(head.next.0.min(first + STRIDE))));
    let mut strides = stream::iter(strides).buffered(AHEAD);
    while let Some(entries) = strides.next().await {
        for entry in entries? {
            one(store, &mut folding, &entry).await?;
            if entry.seq >= head.base {
                tree.append(hash::leaf(&entry.leaf.0));
            }
        }
        tree.prune(tree.size());
    }
    if tree.root() != head.root {
        let (signed, found) = (head.root.to_hex(), tree.root().to_hex());
        return Err(CannotStart::Evidence(format!("the head says root {signed}, all the leaves have {found}")));
    }
    Ok(folding.finish()?)
}

async fn hand_in(
    store: &dyn Store,
    folding: &mut Folding,
    seq: Seq,
    root: liaison_protocol::id::Hash,
) -> Result<(), CannotStart> {
    let set = store.sets(&[SetId(root)]).await?.pop().unwrap_or_default();
    if folding.hand_in(root, &set) {
        return Ok(());
    }
    Err(Diverged { seq, problem: format!("its recipient set {} is damaged", root.to_hex()) }.into())
}

/// All entries of a range.
async fn stride(store: &dyn Store, range: Range<Seq>) -> Result<Vec<Stored>, CannotStart> {
    let mut entries = store.entries(range.clone(), READ_BYTES_MAX).await?;
    while entries.last().is_none_or(|last| last.seq.0 + 1 < range.end.0) {
        let next = entries.last().map_or(range.start, |last| Seq(last.seq.0 + 1));
        let more = store.entries(next..range.end, READ_BYTES_MAX).await?;
        if more.is_empty() {
            return Err(ReadError::Damaged(format!("statement {} is missing", next.0)).into());
        }
        entries.extend(more);
    }
    Ok(entries)
}
