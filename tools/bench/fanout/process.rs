//! What a process spends and holds, as the kernel counts it; what cannot be read is NaN or nothing.

use std::fs;

use nix::sys::resource::{Resource, getrlimit, setrlimit};

/// Nanoseconds on a processor, of all its threads.
pub fn spent(pid: u32) -> u64 {
    let tasks = fs::read_dir(format!("/proc/{pid}/task")).into_iter().flatten().flatten();
    let of_thread = |task: fs::DirEntry| -> Option<u64> {
        let text = fs::read_to_string(task.path().join("schedstat")).ok()?;
        text.split(' ').next()?.parse().ok()
    };
    tasks.filter_map(of_thread).sum()
}

/// What it has in memory.
pub fn rss_kib(pid: u32) -> f64 {
    let status = fs::read_to_string(format!("/proc/{pid}/status")).unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
    line.and_then(|it| it.trim().trim_end_matches(" kB").parse().ok()).unwrap_or(f64::NAN)
}

/// the buffers that the kernel holds for all TCP of this machine.
pub fn kernel_kib() -> f64 {
    let text = fs::read_to_string("/proc/net/sockstat").unwrap_or_default();
    let line = text.lines().find_map(|line| line.strip_prefix("TCP:")).unwrap_or_default();
    let mut words = line.split_whitespace().skip_while(|word| *word != "mem");
    let pages: Option<f64> = words.nth(1).and_then(|it| it.parse().ok());
    pages.map_or(f64::NAN, |pages| pages * 4.0)
}

/// As many as this process may have; those it starts have them, too.
pub fn open_files() {
    if let Ok((_, most)) = getrlimit(Resource::RLIMIT_NOFILE) {
        let _ = setrlimit(Resource::RLIMIT_NOFILE, most, most);
    }
}
