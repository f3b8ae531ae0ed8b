//! Publishes 1 KiB messages to a queue and waits for the server's confirms, as `liaison bench` submits notices and waits for receipts:
//! four connections, so many messages of each under way, a closed loop. It prints one JSON object.
//!
//!   liaison-peers rabbitmq|nats ADDRESS SECONDS IN_FLIGHT SERVER_PID

mod cpu;
mod load;
mod nats;
mod rabbitmq;

use std::time::Duration;

use anyhow::{Context as _, bail};

use load::{Load, Measured};

/// As many as `liaison bench` uses.
const CONNECTIONS: usize = 4;
/// The content of `liaison bench`'s notices.
const PAYLOAD_BYTES: usize = 1_024;
const USAGE: &str = "usage: liaison-peers rabbitmq|nats ADDRESS SECONDS IN_FLIGHT SERVER_PID";

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    let arguments: Vec<_> = std::env::args().skip(1).collect();
    let [peer, address, seconds, in_flight, server] = arguments.as_slice() else { bail!(USAGE) };
    let load = Load {
        duration: Duration::from_secs(seconds.parse().context(USAGE)?),
        in_flight: in_flight.parse().context(USAGE)?,
        server: server.parse().context(USAGE)?,
        payload: vec![b'x'; PAYLOAD_BYTES].into(),
    };
    let Measured { confirmed, seconds, server_cpu_us, p50_us, p99_us } = match peer.as_str() {
        "rabbitmq" => rabbitmq::measure(address, CONNECTIONS, &load).await?,
        "nats" => nats::measure(address, CONNECTIONS, &load).await?,
        _ => bail!(USAGE),
    };
    println!(
        "{}",
        serde_json::json!({
            "peer": peer,
            "connections": CONNECTIONS,
            "in_flight": load.in_flight,
            "payload_bytes": PAYLOAD_BYTES,
            "seconds": round(seconds),
            "confirmed": confirmed,
            "confirmed_per_s": round(confirmed as f64 / seconds),
            "server_cpu_us_per_message": round(server_cpu_us / confirmed as f64),
            "p50_us": p50_us,
            "p99_us": p99_us,
        })
    );
    Ok(())
}

fn round(number: f64) -> f64 {
    (number * 100.0).round() / 100.0
}
