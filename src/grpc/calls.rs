//! Calls that each bring one notice. While the sequencer waits for company, those of one partner are gathered until it calls, and are
//! judged together, as notices of a stream are: one inversion, one proposal to queue, one wake. Each is answered by itself.

use std::collections::BTreeMap;
use std::future::Future;
use std::sync::{Arc, Mutex, PoisonError};

use liaison_protocol::id::PartnerNumber;
use tokio::sync::oneshot;

use crate::exchange::{Caller, Exchange, Judged, Submission};
use crate::shutdown::Shutdown;

/// Calls of one partner that wait for the sequencer's. So many go together at once: one more would make them little cheaper, and a
/// core might be idle.
const GATHERED_MAX: usize = 8;

/// A call that waits.
#[derive(Debug)]
struct Call {
    submission: Submission,
    /// Gone if the caller is.
    answer: oneshot::Sender<Judged>,
}

/// Calls that wait, by partner. Each partner has as many under way as its line allows.
#[derive(Clone)]
pub(super) struct Calls {
    exchange: Arc<Exchange>,
    shutdown: Shutdown,
    waiting: Arc<Mutex<BTreeMap<PartnerNumber, Vec<Call>>>>,
}

/// What is to be done after a call was added.
#[derive(Debug)]
enum Added {
    /// Nothing waited: somebody must come for it.
    First,
    /// Somebody comes.
    Joined,
    /// They go now.
    Full(Vec<Call>),
}

impl Calls {
    pub(super) fn new(exchange: Arc<Exchange>, shutdown: Shutdown) -> Self {
        Self { exchange, shutdown, waiting: Arc::default() }
    }

    /// Judges one call's notice. None: whoever judged it with others broke off.
    pub(super) async fn judge(&self, caller: &Caller, submission: Submission) -> Option<Judged> {
        let gathering = self.exchange.gathering();
        gathering.arrive(1);
        let called = gathering.call();
        if gathering.is_awaited() {
            return self.gathered(caller, submission, called).await;
        }
        self.exchange.judge(caller, &[submission]).await.pop()
    }

    async fn gathered(
        &self,
        caller: &Caller,
        submission: Submission,
        called: impl Future<Output = ()> + Send + 'static,
    ) -> Option<Judged> {
        let (answer, answered) = oneshot::channel();
        let (calls, caller) = (self.clone(), caller.clone());
        // On tasks of their own: a caller that goes away takes nobody along.
        match self.add(caller.number(), Call { submission, answer }) {
            Added::First => self.shutdown.spawn_for_caller("calls", async move {
                called.await;
                // Nothing, if so many came that they went before.
                let waited = calls.take(caller.number());
                calls.answer(&caller, waited).await;
            }),
            Added::Full(waited) => {
                self.shutdown.spawn_for_caller("calls", async move { calls.answer(&caller, waited).await });
            }
            Added::Joined => {}
        }
        answered.await.ok()
    }

    fn add(&self, partner: PartnerNumber, call: Call) -> Added {
        let mut all = self.waiting.lock().unwrap_or_else(PoisonError::into_inner);
        let waiting = all.entry(partner).or_default();
        waiting.push(call);
        match waiting.len() {
            1 => Added::First,
            GATHERED_MAX => Added::Full(all.remove(&partner).unwrap_or_default()),
            _ => Added::Joined,
        }
    }

    fn take(&self, partner: PartnerNumber) -> Vec<Call> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner).remove(&partner).unwrap_or_default()
    }

    async fn answer(&self, caller: &Caller, calls: Vec<Call>) {
        let (submissions, answers): (Vec<_>, Vec<_>) =
            calls.into_iter().map(|call| (call.submission, call.answer)).unzip();
        for (answer, judged) in answers.into_iter().zip(self.exchange.judge(caller, &submissions).await) {
            // Whoever is gone asks again, and is shown the receipt that there is.
            let _ = answer.send(judged);
        }
    }
}

#[cfg(test)]
mod tests {
    use futures_util::FutureExt as _;
    use futures_util::future::join_all;
    use liaison_protocol::reason::Reason;
    use liaison_protocol::receipt::Receipt;

    use super::*;
    use crate::exchange::Taken;
    use crate::exchange::tests::Node;

    fn submission(node: &Node, reference: &str) -> Submission {
        let notice = node.rig.world.signed(node.rig.world.draft("FR", reference, &["DE"]));
        Submission { envelope: notice.envelope, parts: notice.parts }
    }

    #[tokio::test]
    async fn calls_are_judged_together_when_they_are_called_for_and_answered_each_by_itself() {
        let node = Node::start().await;
        let (caller, gathering) = (node.caller("FR"), node.exchange.gathering());
        let calls = Calls::new(node.exchange.clone(), Shutdown::new(node.rig.clock.clone()));
        // Not before the sequencer has nothing more to do: it says itself that nobody is waited for.
        node.rig.clock.is_awaited().await;
        gathering.wait();
        let bad = Submission { parts: Vec::new(), ..submission(&node, "FR/bad") };
        let mut gone = Box::pin(calls.judge(&caller, submission(&node, "FR/gone")));
        assert!(gone.as_mut().now_or_never().is_none());
        let mut all = Box::pin(join_all(
            [submission(&node, "FR/1"), bad, submission(&node, "FR/2")].map(|one| calls.judge(&caller, one)),
        ));
        assert!(all.as_mut().now_or_never().is_none(), "they wait for the call");
        // Who came first and waits for all breaks off: that changes nothing for the others.
        drop(gone);
        tokio::task::yield_now().await;
        gathering.go(false);
        let mut leaves = Vec::new();
        for judged in all.await {
            let (taken, receipts) = node.exchange.answer_one(judged.expect("judged")).await;
            match taken {
                Taken::Receipt { nth, duplicate: false } => {
                    assert_eq!((nth, receipts.receipts.len()), (0, 1), "its own receipt and no other's");
                    assert_eq!(receipts.receipts[0].items.len(), 1, "with the item of the one that it names");
                    leaves.push(Receipt::cut(&receipts, nth).expect("a receipt").leaf.0);
                }
                Taken::Refused(refusal) => {
                    assert_eq!(refusal.reason, Reason::PartMismatch);
                    leaves.push(0);
                }
                Taken::Receipt { .. } => panic!("new to the node"),
            }
        }
        assert!(leaves[1] == 0 && leaves[0] > 0 && leaves[2] == leaves[0] + 1, "{leaves:?}");
    }

    #[tokio::test]
    async fn so_many_calls_go_uncalled_and_one_where_nobody_waits_goes_at_once() {
        let node = Node::start().await;
        let caller = node.caller("FR");
        let calls = Calls::new(node.exchange.clone(), Shutdown::new(node.rig.clock.clone()));
        let one = calls.judge(&caller, submission(&node, "FR/alone")).await.expect("judged");
        assert!(matches!(node.exchange.answer_one(one).await, (Taken::Receipt { .. }, _)));
        node.rig.clock.is_awaited().await;
        node.exchange.gathering().wait();
        let many = (0..GATHERED_MAX).map(|nth| calls.judge(&caller, submission(&node, &format!("FR/{nth}"))));
        assert!(join_all(many).await.iter().all(Option::is_some));
    }
}
