//! NATS JetStream: one stream in files with one replica. When it synchronises is the server's configuration.

use async_nats::jetstream::stream::{Config, StorageType};
use async_nats::jetstream::{self, Context};
use bytes::Bytes;

use crate::load::{self, Load, Measured, Publisher};

const STREAM: &str = "peers";

#[derive(Clone)]
struct Connection(Context);

impl Publisher for Connection {
    async fn publish(&self, payload: Bytes) -> anyhow::Result<()> {
        self.0.publish(STREAM, payload).await?.await?;
        Ok(())
    }
}

/// Makes the stream, measures, and removes the stream.
pub(crate) async fn measure(address: &str, connections: usize, load: &Load) -> anyhow::Result<Measured> {
    let mut made = Vec::new();
    for _ in 0..connections {
        made.push(Connection(jetstream::new(async_nats::connect(address).await?)));
    }
    let owner = made[0].0.clone();
    let stream = Config {
        name: STREAM.into(),
        subjects: vec![STREAM.into()],
        storage: StorageType::File,
        num_replicas: 1,
        ..Config::default()
    };
    owner.create_stream(stream).await?;
    let measured = load::measure(made, load).await;
    owner.delete_stream(STREAM).await?;
    measured
}
