//! Sending what was signed: on one stream, or each in a call of its own.

use std::time::Duration;

use futures_util::stream::{FuturesUnordered, StreamExt as _};
use liaison_client::sign::SignedNotice;
use liaison_client::{ClientError, Submitted};
use liaison_protocol::proto::SubmitStreamRequest;
use tokio::sync::mpsc;

use super::pace::Pace;
use super::tally::Times;
use super::{Mode, Originator, Plan, Tally};
use crate::cli::{Exit, Failure};
use crate::clock::Clock as _;

impl Originator {
    /// Sends as planned, and comes back with what became of it.
    pub(in crate::cli::bench) async fn send(self, plan: Plan) -> Result<(Self, Tally), Failure> {
        let pace = Pace::new(self.clock.clone(), plan.moments, plan.until).map_err(no_timer)?;
        let tally = match plan.mode {
            Mode::Stream => self.stream(plan, pace).await?,
            Mode::Unary => self.calls(plan, pace).await?,
        };
        Ok((self, tally))
    }

    async fn stream(&self, plan: Plan, pace: Pace) -> Result<Tally, Failure> {
        let mut stream = self.client.submit_stream().await?;
        let sender = stream.sender().expect("the stream was not closed yet");
        stream.close();
        // A place in this queue is a notice under way: as many as may be in flight, answered in order.
        let (under_way, mut sent) = mpsc::channel(plan.in_flight);
        let write = async move {
            for (nth, notice) in self.notices.iter().enumerate() {
                let Ok(place) = under_way.reserve().await else { break };
                let Some(due) = pace.due(nth).await.map_err(no_timer)? else { break };
                place.send((notice, due, self.clock.monotonic()));
                let request =
                    SubmitStreamRequest { envelope: notice.envelope.clone(), parts: notice.parts.clone() };
                if sender.send(request).await.is_err() {
                    break;
                }
            }
            Ok::<_, Failure>(())
        };
        let read = async {
            let (mut tally, every) = (Tally::default(), self.every(plan));
            while let Some(answers) = stream.answers().await? {
                let answered = self.clock.monotonic();
                for answer in answers {
                    let (notice, due, sent) =
                        sent.try_recv().map_err(|_| Failure::failed("the node answered what nobody asked"))?;
                    let keep = keep(&tally, every, plan);
                    tally.take(notice, answer, Times { due, sent, answered }, keep);
                }
            }
            match sent.try_recv() {
                Ok(_) => Err(Failure::new(Exit::Unavailable, "the stream ended before its last answer")),
                Err(_) => Ok(tally),
            }
        };
        let ((), tally) = tokio::try_join!(write, read)?;
        Ok(tally)
    }

    async fn calls(&self, plan: Plan, pace: Pace) -> Result<Tally, Failure> {
        let (mut tally, every) = (Tally::default(), self.every(plan));
        let mut notices = self.notices.iter().enumerate().peekable();
        let mut under_way = FuturesUnordered::new();
        loop {
            let next = notices.peek().copied().filter(|_| under_way.len() < plan.in_flight);
            tokio::select! {
                due = pace.due(next.map_or(0, |(nth, _)| nth)), if next.is_some() => {
                    match next.zip(due.map_err(no_timer)?) {
                        Some(((_, notice), due)) => {
                            notices.next();
                            under_way.push(self.call(notice, due));
                        }
                        None => notices = [].iter().enumerate().peekable(),
                    }
                }
                Some((notice, answer, times)) = under_way.next() => {
                    let keep = keep(&tally, every, plan);
                    tally.take(notice, answer, times, keep);
                }
                else => return Ok(tally),
            }
        }
    }

    async fn call<'a>(
        &'a self,
        notice: &'a SignedNotice,
        due: Duration,
    ) -> (&'a SignedNotice, Result<Submitted, ClientError>, Times) {
        let sent = self.clock.monotonic();
        let answer = self.client.submit(notice).await;
        (notice, answer, Times { due, sent, answered: self.clock.monotonic() })
    }

    /// Receipts are kept this far apart, spread over half of what is signed: the run may end before the rest is sent.
    fn every(&self, plan: Plan) -> u64 {
        (self.notices.len() / 4 / plan.sample).max(1) as u64
    }
}

fn keep(tally: &Tally, every: u64, plan: Plan) -> bool {
    tally.sample.len() < plan.sample && tally.accepted.is_multiple_of(every)
}

fn no_timer(error: std::io::Error) -> Failure {
    Failure::failed(format!("a timer: {error}"))
}
