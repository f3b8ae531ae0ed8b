//! What the operating system says of the node's process (proc(5)).

use std::time::Duration;

use crate::cli::Failure;

/// Linux counts CPU time for user space in hundredths of a second on every architecture (`USER_HZ`).
const TICK: Duration = Duration::from_millis(10);

/// What a process has used so far.
#[derive(Clone, Copy, Debug)]
pub(in crate::cli::bench) struct Usage {
    /// In hundredths of a second, of all threads that ever were.
    ticks: u32,
    /// In nanoseconds, of the threads that are alive. None where the kernel does not say.
    threads: Option<Duration>,
    /// Handed to the disk, bytes.
    pub(in crate::cli::bench) written: u64,
    /// Memory that is resident, KiB.
    pub(in crate::cli::bench) resident_kib: u64,
    /// The most that ever was, KiB.
    pub(in crate::cli::bench) peak_kib: u64,
}

impl Usage {
    /// Of a process by its number; None: it has ended.
    pub(in crate::cli::bench) fn of(process: Option<u32>) -> Result<Self, Failure> {
        let process = process.ok_or_else(|| Failure::failed("the node has ended"))?;
        let folder = format!("/proc/{process}");
        let file = |name: &str| {
            let path = format!("{folder}/{name}");
            std::fs::read_to_string(&path).map_err(|error| Failure::failed(format!("{path}: {error}")))
        };
        let (stat, status, io) = (file("stat")?, file("status")?, file("io")?);
        let number = |text: &str, label: &str| {
            number_after(text, label).ok_or_else(|| Failure::failed(format!("{folder}: no {label}")))
        };
        Ok(Self {
            ticks: ticks(&stat).ok_or_else(|| Failure::failed(format!("{folder}/stat cannot be read")))?,
            threads: threads(&folder),
            written: number(&io, "write_bytes:")?,
            resident_kib: number(&status, "VmRSS:")?,
            peak_kib: number(&status, "VmHWM:")?,
        })
    }

    /// CPU time since an earlier look, user and kernel. Threads are counted to the nanosecond; where some have ended meanwhile, the
    /// process's own count is the larger one, by more than the two ticks that it may be wrong by.
    pub(in crate::cli::bench) fn cpu_since(&self, earlier: &Self) -> Duration {
        let ticks = TICK * self.ticks.saturating_sub(earlier.ticks);
        match self.threads.zip(earlier.threads).and_then(|(now, then)| now.checked_sub(then)) {
            Some(threads) if threads + 2 * TICK >= ticks => threads,
            _ => ticks,
        }
    }
}

/// Fields 14 and 15 of `stat`. The second field is the program's name in brackets, and may hold anything.
fn ticks(stat: &str) -> Option<u32> {
    let (_, after_name) = stat.rsplit_once(')')?;
    let fields: Vec<_> = after_name.split_whitespace().skip(11).take(2).collect();
    let [user, system] = fields.as_slice() else { return None };
    Some(user.parse::<u32>().ok()? + system.parse::<u32>().ok()?)
}

/// The first field of each thread's `schedstat`: nanoseconds on a core.
fn threads(folder: &str) -> Option<Duration> {
    let mut sum = Duration::ZERO;
    for thread in std::fs::read_dir(format!("{folder}/task")).ok()? {
        // A thread that ends between the two looks has nothing more to say.
        let Ok(text) = std::fs::read_to_string(thread.ok()?.path().join("schedstat")) else { continue };
        sum += Duration::from_nanos(text.split_whitespace().next()?.parse().ok()?);
    }
    (!sum.is_zero()).then_some(sum)
}

fn number_after(text: &str, label: &str) -> Option<u64> {
    let rest = text.lines().find_map(|line| line.strip_prefix(label))?;
    rest.split_whitespace().next()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn this_process_uses_memory_and_its_peak_is_no_less() {
        let usage = Usage::of(Some(std::process::id())).unwrap();
        assert!(usage.resident_kib > 1_024 && usage.peak_kib >= usage.resident_kib, "{usage:?}");
    }

    #[test]
    fn a_process_that_has_ended_is_no_figure() {
        assert!(Usage::of(None).is_err());
    }

    #[test]
    fn a_thread_that_ended_is_not_forgotten_and_a_tick_is_not_believed_over_nanoseconds() {
        let usage = |ticks, threads_ms: Option<u64>| Usage {
            ticks,
            threads: threads_ms.map(Duration::from_millis),
            written: 0,
            resident_kib: 0,
            peak_kib: 0,
        };
        let cases = [
            ("fine", usage(10, Some(101)), 101),
            ("within two ticks", usage(12, Some(101)), 101),
            ("a thread ended", usage(50, Some(101)), 500),
            ("no schedstat", usage(50, None), 500),
        ];
        for (case, now, expected_ms) in cases {
            let then = usage(0, Some(0));
            assert_eq!(now.cpu_since(&then), Duration::from_millis(expected_ms), "{case}");
        }
    }

    #[test]
    fn a_name_with_a_bracket_moves_no_field() {
        assert_eq!(ticks("7 (a) b) S 1 7 7 0 -1 4194560 100 0 0 0 250 50 0 0 20 0 4 0 9 1 2 3"), Some(300));
        assert_eq!(ticks("7 (a"), None);
    }
}
