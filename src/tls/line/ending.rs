//! How a line ends that nobody broke: first everyone on it learns why, then it is cut.

use std::sync::{Arc, OnceLock};

use liaison_protocol::reason::Refusal;
use tokio_util::sync::{CancellationToken, WaitForCancellationFutureOwned};

/// Shared by the list of lines, the line and its calls.
#[derive(Clone, Debug, Default)]
pub(in crate::tls) struct Ending {
    why: Arc<OnceLock<Refusal>>,
    begun: CancellationToken,
    cut: CancellationToken,
}

impl Ending {
    /// Calls end with this, and the line shortly after. False: its end had begun.
    pub(in crate::tls) fn begin(&self, why: Refusal) -> bool {
        let first = self.why.set(why).is_ok();
        self.begun.cancel();
        first
    }

    /// Breaks the line at once.
    pub(in crate::tls) fn cut(&self) {
        self.cut.cancel();
    }

    /// Why, if its end has begun.
    pub(super) fn why(&self) -> Option<&Refusal> {
        self.why.get()
    }

    /// Returns when its end has begun.
    pub(super) fn begun(&self) -> WaitForCancellationFutureOwned {
        self.begun.clone().cancelled_owned()
    }

    /// Returns when it is to break.
    pub(super) fn is_cut(&self) -> WaitForCancellationFutureOwned {
        self.cut.clone().cancelled_owned()
    }
}
