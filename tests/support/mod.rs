//! Networks as their people make them: real folders, a real node as a process of its own, partners on real mutual TLS.

mod bytes;
mod network;
mod node;
mod partner;
pub(crate) mod python;
mod raw;
mod sight;

pub(super) use bytes::*;
pub(super) use network::Network;
pub(super) use node::Node;
pub(super) use partner::{Partner, ids, names, request};
pub(super) use raw::{Raw, Refused, refused};
pub(super) use sight::assert_log_is_sound;

use std::future::Future;
use std::time::Duration;

use liaison::clock::{Clock as _, SystemClock};
use liaison_protocol::id::Micros;

/// No step of a test takes this long unless it hangs.
const HANGS: Duration = Duration::from_secs(60);

/// Fails a test that would wait for ever.
pub(super) async fn soon<T>(what: &str, future: impl Future<Output = T>) -> T {
    #[allow(clippy::disallowed_methods, reason = "a test that hangs has to fail at last")]
    match tokio::time::timeout(HANGS, future).await {
        Ok(done) => done,
        Err(_) => panic!("waited in vain for {what}"),
    }
}

/// Asks again and again until there is an answer.
pub(super) async fn until<T, F: Future<Output = Option<T>>>(what: &str, mut ask: impl FnMut() -> F) -> T {
    let asking = async {
        loop {
            if let Some(found) = ask().await {
                return found;
            }
        }
    };
    soon(what, asking).await
}

/// Before the same question is asked again: nothing hangs on how long it is.
pub(super) async fn pause() {
    let clock = SystemClock::new();
    clock.until(Duration::from_millis(20)).await;
}

/// The clock that nodes judge by.
pub(super) fn now() -> Micros {
    SystemClock::new().now()
}
