//! How tasks are started and how they end. The only place that spawns: whoever starts a task here can name it, wait for it
//! and be told of its panic.

use std::collections::BTreeMap;
use std::fmt;
use std::future::Future;
use std::panic::AssertUnwindSafe;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use futures_util::FutureExt as _;
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::clock::SharedClock;

/// Why the process stops. The first reason counts.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Stopped {
    /// Somebody asked: a signal, a command.
    Asked,
    /// A task that everyone depends on panicked. The process ends; what started it starts it again, from the disk.
    Panicked {
        /// The task.
        task: &'static str,
    },
    /// A task that everyone depends on cannot go on.
    Failed {
        /// The task.
        task: &'static str,
        /// What the operator should read.
        why: String,
    },
}

impl fmt::Display for Stopped {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Asked => f.write_str("asked to stop"),
            Self::Panicked { task } => write!(f, "the task {task} panicked"),
            Self::Failed { task, why } => write!(f, "the task {task} cannot go on: {why}"),
        }
    }
}

/// Tasks that did not end within the limit of a drain, by name and number.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("still running: {}", list(.0))]
pub struct Unfinished(pub BTreeMap<&'static str, usize>);

fn list(tasks: &BTreeMap<&'static str, usize>) -> String {
    let each: Vec<String> = tasks.iter().map(|(name, count)| format!("{name} x {count}")).collect();
    each.join(", ")
}

/// One stage of the process: tasks that stop together. All stages share the reason why the process stops; they are drained
/// one after the other, in the reverse of the order in which they were made.
#[derive(Clone)]
pub struct Shutdown {
    why: Arc<watch::Sender<Option<Stopped>>>,
    clock: SharedClock,
    stage: Arc<Stage>,
}

struct Stage {
    stopping: CancellationToken,
    tasks: TaskTracker,
    running: Mutex<BTreeMap<&'static str, usize>>,
}

impl Stage {
    fn new() -> Arc<Self> {
        Arc::new(Self { stopping: CancellationToken::new(), tasks: TaskTracker::new(), running: Mutex::default() })
    }

    fn running(&self) -> std::sync::MutexGuard<'_, BTreeMap<&'static str, usize>> {
        self.running.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Shutdown {
    /// The first stage of a process.
    pub fn new(clock: SharedClock) -> Self {
        Self { why: Arc::new(watch::Sender::new(None)), clock, stage: Stage::new() }
    }

    /// Another stage of the same process.
    pub fn stage(&self) -> Self {
        Self { stage: Stage::new(), ..self.clone() }
    }

    /// Starts a task that everyone depends on: its panic begins the end of the process. A panic half way through shared state
    /// leaves nobody knowing what that state is.
    pub fn spawn(&self, name: &'static str, task: impl Future<Output = ()> + Send + 'static) {
        let shutdown = self.clone();
        self.start(name, task, move || {
            shutdown.begin(Stopped::Panicked { task: name });
        });
    }

    /// Starts a task that serves one caller only: its panic ends that caller's work and nobody else's.
    pub fn spawn_for_caller(&self, name: &'static str, task: impl Future<Output = ()> + Send + 'static) {
        self.start(name, task, || {});
    }

    #[allow(clippy::disallowed_methods, reason = "the one place where tasks are started")]
    fn start(
        &self,
        name: &'static str,
        task: impl Future<Output = ()> + Send + 'static,
        panicked: impl FnOnce() + Send + 'static,
    ) {
        let running = Running::enter(name, &self.stage);
        tokio::spawn(self.stage.tasks.track_future(async move {
            let _running = running;
            // The panic hook has written message and place by now; the message is not repeated, it may quote what it choked on.
            if AssertUnwindSafe(task).catch_unwind().await.is_err() {
                tracing::error!(event = "task.panicked", task = name);
                panicked();
            }
        }));
    }

    /// Begins the end of the process, unless it has begun. Tasks go on until their stage is drained.
    pub fn begin(&self, why: Stopped) {
        self.why.send_if_modified(|reason| {
            let first = reason.is_none();
            reason.get_or_insert(why);
            first
        });
    }

    /// Waits until the end of the process has begun, and says why.
    pub async fn begun(&self) -> Stopped {
        let mut why = self.why.subscribe();
        let reason = why.wait_for(Option::is_some).await.map(|why| why.clone());
        reason.ok().flatten().expect("this handle holds the sender, and waited for a reason")
    }

    /// Returns when this stage is to stop: take nothing new, finish what is begun, return.
    pub async fn stopping(&self) {
        self.stage.stopping.cancelled().await;
    }

    /// Whether this stage is to stop.
    pub fn is_stopping(&self) -> bool {
        self.stage.stopping.is_cancelled()
    }

    /// Stops this stage and waits for its tasks, at most as long as `limit`. Who is still running then is named; ending the
    /// process ends them.
    pub async fn drain(&self, limit: Duration) -> Result<(), Unfinished> {
        self.stage.stopping.cancel();
        self.stage.tasks.close();
        let last = self.clock.monotonic() + limit;
        tokio::select! {
            biased;
            () = self.stage.tasks.wait() => Ok(()),
            () = self.clock.until(last) => Err(Unfinished(self.stage.running().clone())),
        }
    }
}

/// Counts a task by its name for as long as it runs.
struct Running {
    name: &'static str,
    stage: Arc<Stage>,
}

impl Running {
    fn enter(name: &'static str, stage: &Arc<Stage>) -> Self {
        *stage.running().entry(name).or_default() += 1;
        Self { name, stage: stage.clone() }
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        let mut running = self.stage.running();
        if let Some(count) = running.get_mut(self.name) {
            *count -= 1;
            if *count == 0 {
                running.remove(self.name);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock::SystemClock;

    fn shutdown() -> Shutdown {
        Shutdown::new(Arc::new(SystemClock::new()))
    }

    #[tokio::test]
    async fn fault_91_a_panic_in_a_shared_task_stops_the_process() {
        let shutdown = shutdown();
        shutdown.spawn("sequencer", async { panic!("on purpose") });
        let why = Stopped::Panicked { task: "sequencer" };
        assert_eq!(shutdown.begun().await, why);
        shutdown.begin(Stopped::Asked);
        assert_eq!(shutdown.begun().await, why, "the first reason counts");
    }

    #[tokio::test]
    async fn fault_91_a_panic_while_serving_one_caller_stops_nobody_else() {
        let shutdown = shutdown();
        shutdown.spawn_for_caller("handshake", async { panic!("on purpose") });
        assert_eq!(shutdown.drain(Duration::from_secs(10)).await, Ok(()));
        shutdown.begin(Stopped::Asked);
        assert_eq!(shutdown.begun().await, Stopped::Asked);
    }

    #[tokio::test]
    async fn a_drain_waits_for_those_who_stop_and_names_those_who_do_not() {
        let shutdown = shutdown();
        let deaf = shutdown.stage();
        let hears = shutdown.clone();
        shutdown.spawn("hears", async move { hears.stopping().await });
        deaf.spawn("deaf", std::future::pending());
        assert_eq!(shutdown.drain(Duration::from_secs(10)).await, Ok(()));
        assert!(!deaf.is_stopping(), "each stage stops by itself");
        let unfinished = deaf.drain(Duration::ZERO).await.unwrap_err();
        assert_eq!(unfinished.to_string(), "still running: deaf x 1");
    }
}
