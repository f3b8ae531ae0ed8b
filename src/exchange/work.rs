//! Bytes that a call holds while it works: counted among those of its partner, whose bound stands at the line.

use std::fmt;
use std::sync::Arc;

use liaison_protocol::reason::{Reason, Refusal};

use super::RETRY_AFTER_MS;

/// Bytes held for a partner; given back when dropped.
pub trait Room: Send {
    /// Holds so many from now on. Err: the limit's name, and as many as before.
    fn resize(&mut self, bytes: usize) -> Result<(), &'static str>;
}

/// Where a caller's calls get their room. The default counts nothing, for those who are on no line.
#[derive(Clone, Default)]
pub struct Rooms(Option<Arc<dyn Fn() -> Box<dyn Room> + Send + Sync>>);

impl Rooms {
    /// Each call of `room` makes one that holds nothing yet.
    pub fn new(room: impl Fn() -> Box<dyn Room> + Send + Sync + 'static) -> Self {
        Self(Some(Arc::new(room)))
    }

    pub(super) fn work(&self) -> Work {
        Work { room: self.0.as_ref().map(|room| room()), bytes: 0 }
    }
}

impl fmt::Debug for Rooms {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Rooms").field(&self.0.is_some()).finish()
    }
}

/// What one call holds.
pub(super) struct Work {
    room: Option<Box<dyn Room>>,
    bytes: usize,
}

impl Work {
    /// Holds more. Err: the caller has more under way than it may, and may try again.
    pub(super) fn hold(&mut self, more: usize) -> Result<(), Refusal> {
        self.resize(self.bytes + more)
    }

    /// Needs some of it no more.
    pub(super) fn give_back(&mut self, less: usize) -> Result<(), Refusal> {
        self.resize(self.bytes.saturating_sub(less))
    }

    fn resize(&mut self, bytes: usize) -> Result<(), Refusal> {
        if let Some(room) = &mut self.room {
            room.resize(bytes).map_err(|limit| {
                let text = "what is asked for takes more room than the caller has left";
                Refusal::new(Reason::Busy, text).with("limit", limit).retry_after_ms(4 * RETRY_AFTER_MS)
            })?;
        }
        self.bytes = bytes;
        Ok(())
    }
}
