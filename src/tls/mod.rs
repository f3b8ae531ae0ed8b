//! The line: TCP, TLS 1.3 with certificates on both ends, and what may be inside before gRPC begins.
//! A `Door` listens and gives `Line`s; a `Line` is an authenticated connection that can be ended from outside.

mod acceptor;
mod credentials;
mod door;
mod http2;
mod line;
mod lines;
mod verifier;

pub use acceptor::Acceptor;
pub use credentials::{BadCredentials, Credentials};
pub use door::{Door, Incoming};
pub use http2::with_limits;
pub use line::{Caller, Line};
pub use lines::{CallPlace, Heavy, Held, Limits, Lines, Load};
