//! What the ops port asks of the process around the exchange.

use std::sync::Arc;

use liaison_protocol::id::Micros;

use crate::http;
use crate::tls::{Credentials, Lines};

pub(super) struct Process {
    pub(super) credentials: Arc<Credentials>,
    pub(super) lines: Lines,
}

impl http::Process for Process {
    fn certificate_valid_until(&self) -> Micros {
        self.credentials.valid_until()
    }

    fn certificate_is_over(&self, now: Micros) -> bool {
        self.credentials.ready(now).is_err()
    }

    fn connections(&self) -> usize {
        self.lines.open()
    }
}
