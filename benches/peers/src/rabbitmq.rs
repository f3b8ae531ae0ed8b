//! RabbitMQ: one quorum queue of one member, persistent messages, publisher confirms.

use anyhow::bail;
use bytes::Bytes;
use lapin::options::{BasicPublishOptions, ConfirmSelectOptions, QueueDeclareOptions, QueueDeleteOptions};
use lapin::types::{AMQPValue, FieldTable};
use lapin::{BasicProperties, Channel, Confirmation, ConnectionProperties};

use crate::load::{self, Load, Measured, Publisher};

const QUEUE: &str = "peers";
/// AMQP 0-9-1, section "Basic.Properties": kept across a restart of the server.
const PERSISTENT: u8 = 2;

#[derive(Clone)]
struct Connection(Channel);

impl Publisher for Connection {
    async fn publish(&self, payload: Bytes) -> anyhow::Result<()> {
        let properties = BasicProperties::default().with_delivery_mode(PERSISTENT);
        let sent =
            self.0.basic_publish("".into(), QUEUE.into(), BasicPublishOptions::default(), &payload, properties);
        match sent.await?.await? {
            Confirmation::Ack(None) => Ok(()),
            other => bail!("not confirmed: {other:?}"),
        }
    }
}

/// Makes the queue, measures, and removes the queue.
pub(crate) async fn measure(address: &str, connections: usize, load: &Load) -> anyhow::Result<Measured> {
    let (mut lines, mut made) = (Vec::new(), Vec::new());
    for _ in 0..connections {
        let line = lapin::Connection::connect(address, ConnectionProperties::default()).await?;
        let channel = line.create_channel().await?;
        channel.confirm_select(ConfirmSelectOptions::default()).await?;
        lines.push(line);
        made.push(Connection(channel));
    }
    let owner = made[0].0.clone();
    let mut arguments = FieldTable::default();
    arguments.insert("x-queue-type".into(), AMQPValue::LongString("quorum".into()));
    owner.queue_declare(QUEUE.into(), QueueDeclareOptions::durable(), arguments).await?;
    let measured = load::measure(made, load).await;
    owner.queue_delete(QUEUE.into(), QueueDeleteOptions::default()).await?;
    for line in lines {
        line.close(200, "done".into()).await?;
    }
    measured
}
