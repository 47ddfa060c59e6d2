//! What the box spends: the processor time of its threads, as the kernel counts it.

use std::fs;
use std::ops::{AddAssign, Sub};
use std::path::{Path, PathBuf};

use super::FleetError;
use crate::mono_now;
use crate::running::get;

/// Reads the box's counters.
pub(super) struct Meter {
    pid: Option<u32>,
    socket: PathBuf,
}

/// What came of a while; and, since an unknown beginning, what came of all time.
#[derive(Debug, Clone, Copy)]
pub(super) struct While {
    pub seconds: f64,
    /// None where the box is not ours to look into.
    pub cpu_ns: Option<f64>,
    pub asked: f64,
    pub answered: f64,
}

const METRICS: &str = "/metrics";

impl Meter {
    pub(super) fn new(pid: Option<u32>, socket: PathBuf) -> Self {
        Self { pid, socket }
    }

    pub(super) async fn read(&self, asked: u64) -> Result<While, FleetError> {
        let answered = answered(&get(&self.socket, METRICS).await?)
            .ok_or(FleetError::Mute { path: METRICS, missing: "clock_syncs_total" })?;
        Ok(While {
            seconds: mono_now().ns() as f64 / 1e9,
            cpu_ns: self.pid.and_then(cpu_ns),
            asked: asked as f64,
            answered,
        })
    }
}

fn answered(metrics: &str) -> Option<f64> {
    let line = metrics.lines().find(|line| {
        !line.starts_with('#')
            && line.split([' ', '{']).next().is_some_and(|name| name.ends_with("clock_syncs_total"))
    })?;
    line.rsplit(' ').next()?.parse().ok()
}

/// All threads of a process: nanoseconds on a processor (proc(5), `schedstat`, the first number).
fn cpu_ns(pid: u32) -> Option<f64> {
    let tasks = fs::read_dir(format!("/proc/{pid}/task")).ok()?;
    let of_thread = |path: &Path| -> Option<f64> {
        fs::read_to_string(path.join("schedstat")).ok()?.split(' ').next()?.parse().ok()
    };
    // A thread that ends between two looks takes its time with it; the box's do not.
    Some(tasks.flatten().filter_map(|task| of_thread(&task.path())).sum())
}

impl Sub for While {
    type Output = Self;
    fn sub(self, before: Self) -> Self {
        Self {
            seconds: self.seconds - before.seconds,
            cpu_ns: self.cpu_ns.zip(before.cpu_ns).map(|(now, then)| now - then),
            asked: self.asked - before.asked,
            answered: self.answered - before.answered,
        }
    }
}

impl AddAssign for While {
    fn add_assign(&mut self, more: Self) {
        self.seconds += more.seconds;
        self.cpu_ns = self.cpu_ns.zip(more.cpu_ns).map(|(one, other)| one + other);
        self.asked += more.asked;
        self.answered += more.answered;
    }
}
