//! The line: real handshakes over loopback TCP against a real door, with certificates made on the fly and a played clock.
//! Names carry the row of the catalogue of threats and faults that they hold.

mod admission;
mod certificate;
mod chains;
mod credentials;
mod dial;
mod flood;
mod grpc;
mod limits;
mod protocol;
mod resumption;
mod revocation;
mod support;
mod whole_node;
