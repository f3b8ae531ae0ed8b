//! CPU time of a server's process.

use anyhow::Context as _;

/// Linux counts CPU time for user space in hundredths of a second on every architecture (`USER_HZ`).
const TICK_US: f64 = 10_000.0;

/// Microseconds that all threads of a process have spent so far, in user space and in the kernel: fields 14 and 15 of proc(5)'s `stat`.
pub(crate) fn spent_us(process: u32) -> anyhow::Result<f64> {
    let path = format!("/proc/{process}/stat");
    let stat = std::fs::read_to_string(&path).with_context(|| path.clone())?;
    // The second field is the program's name in brackets, and may hold anything.
    let after_name = stat.rsplit_once(')').map_or("", |(_, rest)| rest);
    let ticks = after_name.split_whitespace().skip(11).take(2).map(str::parse::<u64>);
    let ticks = ticks.sum::<Result<u64, _>>().with_context(|| path)?;
    Ok(ticks as f64 * TICK_US)
}
