//! What one connection may ask of HTTP/2. tonic leaves most of this without a limit, and unsets one that hyper has.

use std::time::Duration;

use tonic::transport::Server;

/// Calls and open streams at a time. Without it one connection takes gigabytes by opening streams; a partner's system needs a
/// dozen, and the rest opens a second connection.
const CONCURRENT_STREAMS_MAX: u32 = 100;

/// Streams that the client reset before they were served (rapid reset, CVE-2023-44487). Cancelling is legitimate, so a few
/// are borne; then GOAWAY. The h2 crate's own number.
const PENDING_ACCEPT_RESETS_MAX: usize = 20;

/// Streams that we had to reset for the client's errors (CVE-2025-8671). hyper's own number, which tonic would unset.
const LOCAL_ERROR_RESETS_MAX: usize = 1024;

/// All headers of a call together, with 32 bytes for each (RFC 9113, section 6.5.2). Ours fit into 2 KiB with room for tracing. In
/// memory they are four times that, and a line can bring a hundred calls at once.
const HEADER_LIST_BYTES_MAX: u32 = 4 << 10;

/// What one stream may send ahead of being read: a chunk (1 MiB), so that an upload does not wait at each.
const STREAM_WINDOW_BYTES: u32 = 1 << 20;

/// What a connection may send ahead of being read: one request of the largest size (4 MiB). It bounds what a peer can make
/// us hold, whatever the number of its streams.
const CONNECTION_WINDOW_BYTES: u32 = 4 << 20;

/// A ping this often finds dead peers and keeps the state of firewalls on the way.
const PING_INTERVAL: Duration = Duration::from_secs(20);

/// Satellite links answer within a few seconds; after this the other end is gone.
const PING_ANSWER_MAX: Duration = Duration::from_secs(20);

/// Sets every limit above. Message sizes are set where services are made, and calls in flight by the services themselves.
pub fn with_limits<L>(server: Server<L>) -> Server<L> {
    server
        .max_concurrent_streams(CONCURRENT_STREAMS_MAX)
        .http2_max_pending_accept_reset_streams(Some(PENDING_ACCEPT_RESETS_MAX))
        .http2_max_local_error_reset_streams(Some(LOCAL_ERROR_RESETS_MAX))
        .http2_max_header_list_size(HEADER_LIST_BYTES_MAX)
        .initial_stream_window_size(STREAM_WINDOW_BYTES)
        .initial_connection_window_size(CONNECTION_WINDOW_BYTES)
        .http2_adaptive_window(Some(false))
        .http2_keepalive_interval(Some(PING_INTERVAL))
        .http2_keepalive_timeout(Some(PING_ANSWER_MAX))
        .accept_http1(false)
}
