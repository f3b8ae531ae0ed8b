//! What the operating system says of this process, from /proc (proc(5)). What cannot be read is left out of a scrape.

/// Clock ticks in which /proc counts processor time: USER_HZ, 100 on every Linux that this runs on.
const TICKS_PER_SECOND: f64 = 100.0;

/// Numbers of one moment.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct ProcessNumbers {
    pub(super) cpu_seconds: Option<f64>,
    pub(super) resident_bytes: Option<u64>,
    pub(super) open_descriptors: Option<u64>,
    pub(super) descriptors_max: Option<u64>,
    pub(super) threads: Option<u64>,
}

impl ProcessNumbers {
    pub(super) fn now() -> Self {
        let read = |file: &str| std::fs::read_to_string(format!("/proc/self/{file}")).unwrap_or_default();
        let (stat, status, limits) = (read("stat"), read("status"), read("limits"));
        Self {
            cpu_seconds: cpu_seconds(&stat),
            resident_bytes: number_after(&status, "VmRSS:").map(|kib| kib << 10),
            open_descriptors: std::fs::read_dir("/proc/self/fd").ok().map(|open| open.count() as u64),
            descriptors_max: number_after(&limits, "Max open files"),
            threads: number_after(&status, "Threads:"),
        }
    }
}

/// Fields 14 and 15, user and system time, counted behind the name in parentheses, which may hold anything.
fn cpu_seconds(stat: &str) -> Option<f64> {
    let fields: Vec<_> = stat.rsplit_once(')')?.1.split_whitespace().collect();
    let ticks = |nth: usize| fields.get(nth - 3)?.parse::<f64>().ok();
    Some((ticks(14)? + ticks(15)?) / TICKS_PER_SECOND)
}

fn number_after(text: &str, label: &str) -> Option<u64> {
    let line = text.lines().find_map(|line| line.strip_prefix(label))?;
    line.split_whitespace().next()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn this_process_has_used_some_of_everything() {
        let now = ProcessNumbers::now();
        assert!(now.resident_bytes.is_some_and(|bytes| bytes > 1 << 20), "{now:?}");
        assert!(now.open_descriptors.zip(now.descriptors_max).is_some_and(|(open, max)| 0 < open && open < max));
        assert!(now.threads.is_some_and(|threads| threads > 0) && now.cpu_seconds.is_some(), "{now:?}");
    }

    #[test]
    fn a_name_with_a_parenthesis_moves_no_field() {
        let stat = "7 (a) b) S 1 7 7 0 -1 4194560 100 0 0 0 250 50 0 0 20 0 4 0 9 1 2 3";
        assert_eq!(cpu_seconds(stat), Some(3.0));
    }
}
