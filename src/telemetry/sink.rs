//! A way out of the process that never holds anybody up: a bounded queue, and a thread that writes. What finds no place, or cannot be
//! written, is counted as lost, and where it matters the loss is said in its own line as soon as writing works again (FAULTS 110).

use std::fs::{File, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::{MetadataExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, TrySendError, sync_channel};
use std::time::Duration;

use crate::config::AuditTo;

/// Lines that wait for a slow sink: a burst of refusals. A line has at most a few kilobytes, so these cost a few megabytes.
pub(super) const LINES_MAX: usize = 1_024;
/// While lines are lost, and nobody says anything, this often it is tried whether writing works again.
const RETRY: Duration = Duration::from_secs(1);

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

/// Makes the line that says how many were lost.
pub(super) type Confess = Box<dyn Fn(u64) -> Vec<u8> + Send>;

enum Message {
    Line(Vec<u8>),
    Flush(SyncSender<()>),
}

#[derive(Default)]
struct Lost {
    ever: AtomicU64,
    unsaid: AtomicU64,
}

impl Lost {
    fn one(&self) {
        self.ever.fetch_add(1, Relaxed);
        self.unsaid.fetch_add(1, Relaxed);
    }
}

/// The queue's near end.
pub struct Sink {
    lines: SyncSender<Message>,
    lost: Arc<Lost>,
}

impl Sink {
    pub(super) fn start(
        name: &'static str,
        writer: Box<dyn Write + Send>,
        confess: Option<Confess>,
    ) -> io::Result<Self> {
        let (lines, queue) = sync_channel(LINES_MAX);
        let lost = Arc::new(Lost::default());
        let end = End { name, queue, writer, lost: lost.clone(), confess, torn: false, failing: false };
        std::thread::Builder::new().name(name.into()).spawn(move || end.run())?;
        Ok(Self { lines, lost })
    }

    /// Gives a line, with its newline, to be written. It never waits.
    pub(super) fn push(&self, line: Vec<u8>) {
        if self.lines.try_send(Message::Line(line)).is_err() {
            self.lost.one();
        }
    }

    /// Lines lost since the start.
    pub fn lost(&self) -> u64 {
        self.lost.ever.load(Relaxed)
    }

    /// Whether lines were lost and that has not been said yet.
    pub fn is_losing(&self) -> bool {
        self.lost.unsaid.load(Relaxed) > 0
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
    lost: Arc<Lost>,
    confess: Option<Confess>,
    /// A line was written half: the next one begins on a line of its own.
    torn: bool,
    /// Writing failed last time: that is said once.
    failing: bool,
}

impl End {
    fn run(mut self) {
        loop {
            match self.next() {
                Ok(Message::Line(line)) => match self.write(&line) {
                    Ok(()) => self.confess(),
                    Err(error) => self.failed(&error),
                },
                Ok(Message::Flush(written)) => {
                    self.confess();
                    let _ = self.writer.flush();
                    let _ = written.send(());
                }
                Err(RecvTimeoutError::Timeout) => self.confess(),
                Err(RecvTimeoutError::Disconnected) => return,
            }
        }
    }

    fn next(&self) -> Result<Message, RecvTimeoutError> {
        if self.lost.unsaid.load(Relaxed) > 0 {
            self.queue.recv_timeout(RETRY)
        } else {
            self.queue.recv().map_err(|_| RecvTimeoutError::Disconnected)
        }
    }

    fn write(&mut self, line: &[u8]) -> io::Result<()> {
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

    fn failed(&mut self, error: &io::Error) {
        self.lost.one();
        if !std::mem::replace(&mut self.failing, true) && self.confess.is_some() {
            tracing::error!(%error, "{}: cannot be written; events are counted as lost until it can", self.name);
        }
    }

    /// Says how much was lost, if anything was and if writing works.
    fn confess(&mut self) {
        let count = self.lost.unsaid.load(Relaxed);
        if count == 0 {
            return;
        }
        let said = match &self.confess {
            Some(confess) => {
                let line = confess(count);
                self.write(&line).is_ok()
            }
            None => true,
        };
        if said {
            self.lost.unsaid.fetch_sub(count, Relaxed);
        }
    }
}

/// A queue whose far end nobody empties, for those who test what is given to it.
#[cfg(test)]
pub(super) fn collected(lines: usize) -> (Sink, impl FnMut() -> Option<Vec<u8>>) {
    let (sender, queue) = sync_channel(lines);
    let sink = Sink { lines: sender, lost: Arc::default() };
    let next = move || match queue.try_recv() {
        Ok(Message::Line(line)) => Some(line),
        _ => None,
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

    fn sink(writer: impl Write + Send + 'static) -> Sink {
        let confess: Confess = Box::new(|count| format!("{count} lost\n").into());
        Sink::start("audit", Box::new(writer), Some(confess)).unwrap()
    }

    #[test]
    fn fault_110_a_full_disk_loses_lines_and_the_sink_says_how_many_when_there_is_room_again() {
        let disk = Disk::with_room(10);
        let sink = sink(disk.clone());
        for line in ["first\n", "second\n", "third\n"] {
            sink.push(line.into());
        }
        sink.flush(LONG);
        assert_eq!((disk.text().as_str(), sink.lost(), sink.is_losing()), ("first\nseco", 2, true));
        disk.room(1_000);
        sink.push("fourth\n".into());
        sink.flush(LONG);
        assert_eq!(disk.text(), "first\nseco\nfourth\n2 lost\n", "the torn line is ended, the loss is said once");
        assert_eq!((sink.lost(), sink.is_losing()), (2, false));
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
        assert_eq!((sink.lost(), sink.is_losing()), (3, true), "the queue is full and nobody waited");
        sink.flush(Duration::ZERO);
        drop(release);
        while sink.is_losing() {
            sink.flush(LONG);
        }
        sink.flush(LONG);
        let text = disk.text();
        assert!(text.starts_with("0\n3 lost\n1\n") && text.ends_with(&format!("\n{LINES_MAX}\n")), "{text}");
        assert_eq!(sink.lost(), 3, "no more were lost, and all that found a place were written");
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
