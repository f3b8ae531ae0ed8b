//! Who reads: a few threads with a read-only connection each, fed from one bounded queue. They end with the store.

use std::io;
use std::sync::{Arc, Mutex};
use std::thread::{self, JoinHandle};

use rusqlite::Connection;
use tokio::sync::{mpsc, oneshot};

use super::ReadError;

/// One read may wait for the disk while three others answer from memory.
pub(super) const READERS: usize = 4;
/// Asked and not begun. Whoever comes later waits in `read`, which is as good a place.
const QUEUE: usize = 64;

type Job = Box<dyn FnOnce(&Connection) + Send>;

/// The threads and the way to them.
pub(super) struct Readers {
    /// None only while it is dropped.
    queue: Option<mpsc::Sender<Job>>,
    threads: Vec<JoinHandle<()>>,
}

impl Readers {
    /// One thread for each connection.
    pub(super) fn start(connections: Vec<Connection>) -> io::Result<Self> {
        let (queue, jobs) = mpsc::channel::<Job>(QUEUE);
        let jobs = Arc::new(Mutex::new(jobs));
        let start = |(nth, connection): (usize, Connection)| {
            let jobs = Arc::clone(&jobs);
            let name = format!("store-reader-{nth}");
            let run = move || while take(&jobs).map(|job| job(&connection)).is_some() {};
            thread::Builder::new().name(name).spawn(run)
        };
        let threads = connections.into_iter().enumerate().map(start);
        Ok(Self { threads: threads.collect::<io::Result<_>>()?, queue: Some(queue) })
    }

    /// Answers from one snapshot: all of `read` sees the same commits.
    pub(super) async fn read<T: Send + 'static>(
        &self,
        read: impl FnOnce(&Connection) -> Result<T, ReadError> + Send + 'static,
    ) -> Result<T, ReadError> {
        let ended = || ReadError::Unavailable("the reading threads have ended".into());
        let (answer, answered) = oneshot::channel();
        let job: Job = Box::new(move |connection| {
            if !answer.is_closed() {
                // Nobody waits for it any more: the caller is gone.
                let _ = answer.send(in_snapshot(connection, read));
            }
        });
        let queue = self.queue.as_ref().ok_or_else(ended)?;
        queue.send(job).await.map_err(|_| ended())?;
        answered.await.map_err(|_| ended())?
    }
}

impl Drop for Readers {
    /// Returns when the last thread has closed its connection; each is at most one read away from that.
    fn drop(&mut self) {
        self.queue = None;
        for thread in self.threads.drain(..) {
            let _ = thread.join();
        }
    }
}

fn take(jobs: &Mutex<mpsc::Receiver<Job>>) -> Option<Job> {
    let mut jobs = jobs.lock().expect("waiting for a job does not panic");
    jobs.blocking_recv()
}

fn in_snapshot<T>(
    connection: &Connection,
    read: impl FnOnce(&Connection) -> Result<T, ReadError>,
) -> Result<T, ReadError> {
    let snapshot = connection.unchecked_transaction()?;
    let found = read(&snapshot)?;
    snapshot.finish()?;
    Ok(found)
}
