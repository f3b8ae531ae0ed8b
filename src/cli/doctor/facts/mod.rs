//! What is known before anything is judged. Each fact is had by itself: one that fails does not keep the others from being had.

pub(super) mod files;
pub(super) mod node;
pub(super) mod partner;
pub(super) mod wire;

use std::future::Future;
use std::time::Duration;

use crate::clock::SharedClock;

use super::check::Code;

/// No look takes longer; a satellite link answers several times in it.
const LOOK_MAX: Duration = Duration::from_secs(10);

/// Something that was looked for.
pub(super) type Fact<T> = Result<T, Missing>;

/// Why a fact is not there.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Missing {
    /// It was looked for, and this came instead.
    Failed(String),
    /// It cannot be looked for before that check passes.
    After(Code),
    /// There is none here, and that is in order.
    NotHere(&'static str),
}

/// Waits for a look, and not for ever.
pub(super) async fn bounded<T>(clock: &SharedClock, look: impl Future<Output = Fact<T>>) -> Fact<T> {
    let last = clock.monotonic() + LOOK_MAX;
    tokio::select! {
        found = look => found,
        () = clock.until(last) => Err(Missing::Failed(format!("no answer within {} s", LOOK_MAX.as_secs()))),
    }
}

/// A fact that follows from another, where that is there.
pub(super) fn and<T, U>(fact: &Fact<T>, next: impl FnOnce(&T) -> Fact<U>) -> Fact<U> {
    fact.as_ref().map_err(Clone::clone).and_then(next)
}
