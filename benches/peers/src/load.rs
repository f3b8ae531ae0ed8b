//! The load: every connection keeps so many messages under way until the time is over, and waits for the confirm of each.

use std::future::Future;
use std::time::{Duration, Instant};

use bytes::Bytes;
use futures_util::stream::{self, StreamExt as _};
use tokio::task::JoinSet;

use crate::cpu;

/// Before anything is counted: connections, caches and files have been used once.
const WARM_UP: Duration = Duration::from_secs(1);

/// What every connection does.
pub(crate) struct Load {
    pub(crate) duration: Duration,
    /// Messages of one connection that wait for their confirms.
    pub(crate) in_flight: usize,
    /// The server's process.
    pub(crate) server: u32,
    pub(crate) payload: Bytes,
}

/// What one run showed.
pub(crate) struct Measured {
    pub(crate) confirmed: u64,
    pub(crate) seconds: f64,
    pub(crate) server_cpu_us: f64,
    /// From publishing to the confirm.
    pub(crate) p50_us: u32,
    pub(crate) p99_us: u32,
}

/// One connection to a server.
pub(crate) trait Publisher: Clone + Send + Sync + 'static {
    /// Publishes one message, and returns once the server has confirmed it. A refusal is an error.
    fn publish(&self, payload: Bytes) -> impl Future<Output = anyhow::Result<()>> + Send;
}

/// Warms up, and measures.
pub(crate) async fn measure<P: Publisher>(connections: Vec<P>, load: &Load) -> anyhow::Result<Measured> {
    all(&connections, load, WARM_UP).await?;
    let (cpu, began) = (cpu::spent_us(load.server)?, Instant::now());
    let mut latencies_us = all(&connections, load, load.duration).await?;
    let (seconds, server_cpu_us) = (began.elapsed().as_secs_f64(), cpu::spent_us(load.server)? - cpu);
    latencies_us.sort_unstable();
    anyhow::ensure!(!latencies_us.is_empty(), "nothing was confirmed");
    let share = |share: f64| latencies_us[(latencies_us.len() as f64 * share) as usize];
    Ok(Measured {
        confirmed: latencies_us.len() as u64,
        seconds,
        server_cpu_us,
        p50_us: share(0.50),
        p99_us: share(0.99),
    })
}

/// All connections at once. Nothing is published after the time, and what was published is waited for.
async fn all<P: Publisher>(connections: &[P], load: &Load, duration: Duration) -> anyhow::Result<Vec<u32>> {
    let until = Instant::now() + duration;
    let mut tasks = JoinSet::new();
    for connection in connections {
        let (connection, payload, in_flight) = (connection.clone(), load.payload.clone(), load.in_flight);
        tasks.spawn(async move {
            let in_time = |_: &()| std::future::ready(Instant::now() < until);
            let publish = |()| async {
                let began = Instant::now();
                connection.publish(payload.clone()).await?;
                anyhow::Ok(u32::try_from(began.elapsed().as_micros()).unwrap_or(u32::MAX))
            };
            let mut confirms = stream::repeat(()).take_while(in_time).map(publish).buffer_unordered(in_flight);
            let mut latencies_us = Vec::new();
            while let Some(latency_us) = confirms.next().await {
                latencies_us.push(latency_us?);
            }
            anyhow::Ok(latencies_us)
        });
    }
    let mut latencies_us = Vec::new();
    while let Some(ended) = tasks.join_next().await {
        latencies_us.append(&mut ended??);
    }
    Ok(latencies_us)
}
