//! A way out of the process that never holds anybody up: a bounded queue, and a thread that writes. What finds no place, or cannot be
//! written, is counted as lost, and where it matters the loss is said in its own line as soon as writing works again (FAULTS 110).

use std::fs::{File, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::{MetadataExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::Relaxed};
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, TrySendError, sync_channel};
use std::time::Duration;

use crate::config::AuditTo;

/// Lines that wait for a slow sink: a burst of refusals. A line has at most a few kilobytes, so these cost a few megabytes.
pub(super) const LINES_MAX: usize = 1_024;
/// While lines are lost, and nobody says anything, this often it is tried whether writing works again.
const RETRY: Duration = Duration::from_secs(1);
/// A write that has not returned for so long hangs: somebody holds the other end of a pipe and does not read, or a mount is gone.
const WRITE_MAX: Duration = Duration::from_secs(10);

pub(super) fn open(to: &AuditTo) -> io::Result<Box<dyn Write + Send>> {
    Ok(match to {
        AuditTo::Stderr => Box::new(io::stderr()),
        AuditTo::Stdout => Box::new(io::stdout()),
        AuditTo::File(path) => Box::new(Moving { file: append(path)?, path: path.clone() }),
    })
}

fn append(path: &Path) -> io::Result<File> {
    OpenOptions::new().append(true).create(true).mode(0o600).open(path)
}

/// A file that others may move away, as log rotation does.
struct Moving {
    file: File,
    path: PathBuf,
}

impl Write for Moving {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let known = self.file.metadata()?;
        let same = |found: std::fs::Metadata| (found.dev(), found.ino()) == (known.dev(), known.ino());
        if !std::fs::metadata(&self.path).is_ok_and(same) {
            self.file = append(&self.path)?;
        }
        self.file.write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.file.flush()
    }
}

/// What a sink writes beside the lines that it is given: how many were lost, and what is gathered until it is due.
pub(super) trait Gathers: Send {
    /// The line that says how many were lost.
    fn lag(&self, lost: u64) -> Vec<u8>;
    /// Lines that are due, each with the number of events that it is for; `all`: also those that are not due yet.
    fn due(&self, all: bool) -> Vec<(u64, Vec<u8>)>;
    /// In how long more will be due.
    fn next_due(&self) -> Option<Duration>;
    /// Time that never goes back.
    fn monotonic(&self) -> Duration;
}

enum Message {
    Line(Vec<u8>),
    /// Something that is gathered is due.
    Due,
    Flush(SyncSender<()>),
}

/// What both ends know.
#[derive(Default)]
struct Shared {
    lost_ever: AtomicU64,
    lost_unsaid: AtomicU64,
    /// A [`Message::Due`] is in the queue.
    due_is_said: AtomicBool,
    /// When the write under way began, in milliseconds and one; 0: none is.
    writing: AtomicU64,
}

impl Shared {
    fn lose(&self, lines: u64) {
        self.lost_ever.fetch_add(lines, Relaxed);
        self.lost_unsaid.fetch_add(lines, Relaxed);
    }
}

/// The queue's near end.
pub struct Sink {
    lines: SyncSender<Message>,
    shared: Arc<Shared>,
}

impl Sink {
    pub(super) fn start(
        name: &'static str,
        writer: Box<dyn Write + Send>,
        gathers: Option<Box<dyn Gathers>>,
    ) -> io::Result<Self> {
        let (lines, queue) = sync_channel(LINES_MAX);
        let shared = Arc::new(Shared::default());
        let end = End { name, queue, writer, shared: shared.clone(), gathers, torn: false, failing: false };
        std::thread::Builder::new().name(name.into()).spawn(move || end.run())?;
        Ok(Self { lines, shared })
    }

    /// Gives a line, with its newline, to be written. It never waits.
    pub(super) fn push(&self, line: Vec<u8>) {
        if self.lines.try_send(Message::Line(line)).is_err() {
            self.shared.lose(1);
        }
    }

    /// Something that is gathered is due. One place of the queue at most, whatever callers do; where it is full, its reader looks by
    /// itself.
    pub(super) fn is_due(&self) {
        if !self.shared.due_is_said.swap(true, Relaxed) && self.lines.try_send(Message::Due).is_err() {
            self.shared.due_is_said.store(false, Relaxed);
        }
    }

    /// Lines lost since the start.
    pub fn lost(&self) -> u64 {
        self.shared.lost_ever.load(Relaxed)
    }

    /// Whether lines were lost and that has not been said yet, or a write hangs.
    pub fn is_losing(&self, monotonic: Duration) -> bool {
        let since = self.shared.writing.load(Relaxed).checked_sub(1).map(Duration::from_millis);
        let hangs = since.is_some_and(|since| monotonic.saturating_sub(since) >= WRITE_MAX);
        hangs || self.shared.lost_unsaid.load(Relaxed) > 0
    }

    /// Waits until everything given before is written, at most this long.
    pub(super) fn flush(&self, limit: Duration) {
        let (written, all) = sync_channel(1);
        match self.lines.try_send(Message::Flush(written)) {
            Ok(()) => drop(all.recv_timeout(limit)),
            // Full: whoever wrote nothing for so long is not waited for.
            Err(TrySendError::Full(_) | TrySendError::Disconnected(_)) => {}
        }
    }
}

/// The queue's far end, on its own thread.
struct End {
    name: &'static str,
    queue: Receiver<Message>,
    writer: Box<dyn Write + Send>,
    shared: Arc<Shared>,
    gathers: Option<Box<dyn Gathers>>,
    /// A line was written half: the next one begins on a line of its own.
    torn: bool,
    /// Writing failed last time: that is said once.
    failing: bool,
}

impl End {
    fn run(mut self) {
        loop {
            match self.next() {
                Ok(Message::Line(line)) => self.put(1, &line),
                Ok(Message::Due) => {
                    self.shared.due_is_said.store(false, Relaxed);
                    self.put_due(false);
                }
                Ok(Message::Flush(written)) => {
                    self.put_due(true);
                    self.confess();
                    let _ = self.writer.flush();
                    let _ = written.send(());
                }
                Err(RecvTimeoutError::Timeout) => {
                    self.put_due(false);
                    self.confess();
                }
                Err(RecvTimeoutError::Disconnected) => return,
            }
        }
    }

    fn next(&mut self) -> Result<Message, RecvTimeoutError> {
        let retry = (self.shared.lost_unsaid.load(Relaxed) > 0).then_some(RETRY);
        let due = self.gathers.as_ref().and_then(|gathers| gathers.next_due());
        match retry.into_iter().chain(due).min() {
            // What is due goes first: lines that keep coming must not hold it up.
            Some(Duration::ZERO) => Err(RecvTimeoutError::Timeout),
            Some(wait) => self.queue.recv_timeout(wait),
            None => self.queue.recv().map_err(|_| RecvTimeoutError::Disconnected),
        }
    }

    /// Writes a line that stands for so many events.
    fn put(&mut self, events: u64, line: &[u8]) {
        match self.write(line) {
            Ok(()) => self.confess(),
            Err(error) => self.failed(events, &error),
        }
    }

    fn put_due(&mut self, all: bool) {
        let due = self.gathers.as_ref().map(|gathers| gathers.due(all)).unwrap_or_default();
        due.into_iter().for_each(|(events, line)| self.put(events, &line));
    }

    fn write(&mut self, line: &[u8]) -> io::Result<()> {
        if let Some(gathers) = &self.gathers {
            let now = u64::try_from(gathers.monotonic().as_millis()).unwrap_or(u64::MAX);
            self.shared.writing.store(now.saturating_add(1), Relaxed);
        }
        let wrote = self.write_all(line);
        self.shared.writing.store(0, Relaxed);
        wrote
    }

    fn write_all(&mut self, line: &[u8]) -> io::Result<()> {
        if self.torn {
            self.writer.write_all(b"\n")?;
            self.torn = false;
        }
        let mut left = line;
        while !left.is_empty() {
            match self.writer.write(left) {
                Ok(0) => return Err(io::ErrorKind::WriteZero.into()),
                Ok(written) => left = &left[written..],
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => {
                    self.torn = left.len() < line.len();
                    return Err(error);
                }
            }
        }
        self.failing = false;
        Ok(())
    }

    fn failed(&mut self, events: u64, error: &io::Error) {
        self.shared.lose(events);
        if !std::mem::replace(&mut self.failing, true) && self.gathers.is_some() {
            tracing::error!(%error, "{}: cannot be written; events are counted as lost until it can", self.name);
        }
    }

    /// Says how much was lost, if anything was and if writing works.
    fn confess(&mut self) {
        let count = self.shared.lost_unsaid.load(Relaxed);
        if count == 0 {
            return;
        }
        let said = match &self.gathers {
            Some(gathers) => {
                let line = gathers.lag(count);
                self.write(&line).is_ok()
            }
            None => true,
        };
        if said {
            self.shared.lost_unsaid.fetch_sub(count, Relaxed);
        }
    }
}

/// A queue whose far end nobody empties, for those who test what is given to it.
#[cfg(test)]
pub(super) fn collected(lines: usize) -> (Sink, impl FnMut() -> Option<Vec<u8>>) {
    let (sender, queue) = sync_channel(lines);
    let sink = Sink { lines: sender, shared: Arc::default() };
    let next = move || {
        loop {
            match queue.try_recv().ok()? {
                Message::Line(line) => return Some(line),
                _ => continue,
            }
        }
    };
    (sink, next)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::Mutex;
    use std::sync::mpsc::channel;

    /// A disk whose room somebody else decides on, and a record of what lies on it.
    #[derive(Clone, Default)]
    struct Disk(Arc<Mutex<(usize, Vec<u8>)>>);

    impl Disk {
        fn with_room(room: usize) -> Self {
            let disk = Self::default();
            disk.room(room);
            disk
        }

        fn room(&self, room: usize) {
            self.0.lock().unwrap().0 = room;
        }

        fn text(&self) -> String {
            String::from_utf8(self.0.lock().unwrap().1.clone()).unwrap()
        }
    }

    impl Write for Disk {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            let mut disk = self.0.lock().unwrap();
            let fits = bytes.len().min(disk.0);
            if fits == 0 {
                return Err(io::ErrorKind::StorageFull.into());
            }
            disk.0 -= fits;
            disk.1.extend_from_slice(&bytes[..fits]);
            Ok(fits)
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    const LONG: Duration = Duration::from_secs(30);

    /// Lines with how many events each stands for.
    type Lines = Vec<(u64, Vec<u8>)>;

    /// Gathers lines until a test says that they are due.
    #[derive(Clone, Default)]
    struct Gatherer(Arc<Mutex<Lines>>);

    impl Gathers for Gatherer {
        fn lag(&self, lost: u64) -> Vec<u8> {
            format!("{lost} lost\n").into()
        }

        fn due(&self, _: bool) -> Vec<(u64, Vec<u8>)> {
            std::mem::take(&mut self.0.lock().unwrap())
        }

        fn next_due(&self) -> Option<Duration> {
            None
        }

        fn monotonic(&self) -> Duration {
            Duration::ZERO
        }
    }

    fn sink(writer: impl Write + Send + 'static) -> Sink {
        Sink::start("audit", Box::new(writer), Some(Box::new(Gatherer::default()))).unwrap()
    }

    #[test]
    fn fault_110_a_full_disk_loses_lines_and_the_sink_says_how_many_when_there_is_room_again() {
        let disk = Disk::with_room(10);
        let sink = sink(disk.clone());
        for line in ["first\n", "second\n", "third\n"] {
            sink.push(line.into());
        }
        sink.flush(LONG);
        assert_eq!((disk.text().as_str(), sink.lost(), sink.is_losing(Duration::ZERO)), ("first\nseco", 2, true));
        disk.room(1_000);
        sink.push("fourth\n".into());
        sink.flush(LONG);
        assert_eq!(disk.text(), "first\nseco\nfourth\n2 lost\n", "the torn line is ended, the loss is said once");
        assert_eq!((sink.lost(), sink.is_losing(Duration::ZERO)), (2, false));
    }

    /// Blocks in its first write until it is let go.
    struct Blocked(Receiver<()>, Disk, SyncSender<()>);

    impl Write for Blocked {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            let _ = self.2.try_send(());
            let _ = self.0.recv();
            self.1.write(bytes)
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    #[test]
    fn fault_110_a_blocked_sink_holds_nobody_up() {
        let (release, gate) = channel();
        let (writing, blocked) = sync_channel(1);
        let disk = Disk::with_room(usize::MAX);
        let sink = sink(Blocked(gate, disk.clone(), writing));
        sink.push("0\n".into());
        blocked.recv().unwrap();
        for nth in 1..=LINES_MAX + 3 {
            sink.push(format!("{nth}\n").into());
        }
        assert_eq!((sink.lost(), sink.is_losing(Duration::ZERO)), (3, true), "the queue is full and nobody waited");
        sink.flush(Duration::ZERO);
        drop(release);
        while sink.is_losing(Duration::ZERO) {
            sink.flush(LONG);
        }
        sink.flush(LONG);
        let text = disk.text();
        assert!(text.starts_with("0\n3 lost\n1\n") && text.ends_with(&format!("\n{LINES_MAX}\n")), "{text}");
        assert_eq!(sink.lost(), 3, "no more were lost, and all that found a place were written");
    }

    #[test]
    fn fault_110_what_callers_cause_takes_no_place_of_rare_events_and_a_write_that_hangs_is_seen() {
        let (release, gate) = channel();
        let (writing, blocked) = sync_channel(1);
        let (disk, gatherer) = (Disk::with_room(usize::MAX), Gatherer::default());
        let writer = Blocked(gate, disk.clone(), writing);
        let sink = Sink::start("audit", Box::new(writer), Some(Box::new(gatherer.clone()))).unwrap();
        sink.push("0\n".into());
        blocked.recv().unwrap();
        let almost = WRITE_MAX - Duration::from_millis(1);
        assert!(
            !sink.is_losing(almost) && sink.is_losing(WRITE_MAX),
            "nothing is lost yet, but nothing is written"
        );
        // A flood: all of it waits in the gatherer, and says so with one message.
        for nth in 1..=1_000_000_u64 {
            *gatherer.0.lock().unwrap() = vec![(nth, format!("{nth} refused\n").into())];
            sink.is_due();
        }
        for nth in 1..LINES_MAX {
            sink.push(format!("rare {nth}\n").into());
        }
        assert_eq!(sink.lost(), 0, "there was a place for each rare event");
        drop(release);
        // Until the queue has room for it.
        while disk.text().lines().count() < LINES_MAX + 1 {
            sink.flush(LONG);
        }
        let text = disk.text();
        assert!(text.starts_with("0\n1000000 refused\nrare 1\nrare 2\n"), "{text}");
        assert!(!sink.is_losing(WRITE_MAX), "it writes again");
    }

    #[test]
    fn a_gathered_line_that_cannot_be_written_is_as_many_events_lost() {
        let (disk, gatherer) = (Disk::default(), Gatherer::default());
        let sink = Sink::start("audit", Box::new(disk.clone()), Some(Box::new(gatherer.clone()))).unwrap();
        gatherer.0.lock().unwrap().push((41, b"41 refused\n".to_vec()));
        sink.is_due();
        sink.flush(LONG);
        assert_eq!((sink.lost(), sink.is_losing(Duration::ZERO)), (41, true));
    }

    #[test]
    fn a_file_that_was_moved_away_is_made_anew() {
        let folder = tempfile::tempdir().unwrap();
        let (path, moved) = (folder.path().join("audit"), folder.path().join("audit.1"));
        let sink = sink(open(&AuditTo::File(path.clone())).unwrap());
        sink.push("one\n".into());
        sink.flush(LONG);
        std::fs::rename(&path, &moved).unwrap();
        sink.push("two\n".into());
        sink.flush(LONG);
        let read = |path: &Path| std::fs::read_to_string(path).unwrap();
        assert_eq!((read(&moved), read(&path)), ("one\n".into(), "two\n".into()));
        assert_eq!(std::fs::metadata(&path).unwrap().mode() & 0o777, 0o600);
    }
}
