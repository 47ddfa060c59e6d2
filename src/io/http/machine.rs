//! How the machine fares, as Linux says it. What cannot be read is unknown, never 0.

use std::fs;

/// Share of the machine's processors in use between two questions.
#[derive(Debug, Default)]
pub(super) struct Meter {
    last: Option<(u64, u64)>,
}

impl Meter {
    /// 0 to 1 since the last question; none at the first one.
    pub fn cpu_usage(&mut self) -> Option<f64> {
        let now = busy_and_total(&fs::read_to_string("/proc/stat").ok()?)?;
        let (busy, total) = self.last.replace(now)?;
        let (more_busy, more_total) = (now.0.checked_sub(busy)?, now.1.checked_sub(total)?);
        (more_total > 0).then(|| more_busy as f64 / more_total as f64)
    }
}

/// The first line of `/proc/stat`, in ticks (proc(5): idle and iowait are the fourth and fifth).
fn busy_and_total(stat: &str) -> Option<(u64, u64)> {
    let numbers = stat.lines().next()?.strip_prefix("cpu ")?;
    let ticks: Vec<u64> = numbers.split_whitespace().map_while(|it| it.parse().ok()).collect();
    let idle = ticks.get(3)? + ticks.get(4)?;
    // Guest time, the ninth and tenth, is counted in user time already.
    let total: u64 = ticks.iter().take(8).sum();
    Some((total.checked_sub(idle)?, total))
}

/// Share of the memory that is not available, 0 to 1.
pub(super) fn memory_usage() -> Option<f64> {
    in_use(&fs::read_to_string("/proc/meminfo").ok()?)
}

fn in_use(meminfo: &str) -> Option<f64> {
    let field = |name: &str| -> Option<f64> {
        let line = meminfo.lines().find_map(|line| line.strip_prefix(name))?;
        line.split_whitespace().next()?.parse().ok()
    };
    let (total, available) = (field("MemTotal:")?, field("MemAvailable:")?);
    (total > 0.0).then(|| 1.0 - available / total)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_share_of_busy_ticks_is_read_from_the_first_line() {
        let stat = "cpu  10 0 5 80 5 0 0 0 0 0\ncpu0 1 2 3 4 5 6 7 8 9 10\n";
        assert_eq!(busy_and_total(stat), Some((15, 100)));
        assert_eq!(busy_and_total("intr 5"), None);
    }

    #[test]
    fn memory_in_use_is_what_is_not_available() {
        let text = "MemTotal:       1000 kB\nMemFree: 1 kB\nMemAvailable:   250 kB\n";
        assert_eq!(in_use(text), Some(0.75));
        assert_eq!(in_use("MemTotal: 1000 kB\n"), None);
    }
}
