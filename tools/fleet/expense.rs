//! What the box spends: the processor time of its threads, as the kernel counts it.

use std::fs;
use std::ops::{AddAssign, Sub};
use std::path::{Path, PathBuf};

use serde::Serialize;

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
    /// By the phones' own count.
    pub asked: f64,
    /// Of them, in datagrams.
    pub asked_in_datagrams: f64,
    pub answered: f64,
}

const METRICS: &str = "/metrics";

impl Meter {
    pub(super) fn new(pid: Option<u32>, socket: PathBuf) -> Self {
        Self { pid, socket }
    }

    pub(super) async fn read(&self, [streams, datagrams]: [u64; 2]) -> Result<While, FleetError> {
        let answered = answered(&get(&self.socket, METRICS).await?)
            .ok_or(FleetError::Mute { path: METRICS, missing: "clock_syncs_total" })?;
        Ok(While {
            seconds: mono_now().ns() as f64 / 1e9,
            cpu_ns: self.pid.and_then(cpu_ns),
            asked: (streams + datagrams) as f64,
            asked_in_datagrams: datagrams as f64,
            answered,
        })
    }
}

/// On the socket and in datagrams.
fn answered(metrics: &str) -> Option<f64> {
    let count = |wanted: &str| {
        let lines = metrics.lines().filter(|line| !line.starts_with('#'));
        let mut lines = lines.filter_map(|line| line.rsplit_once(' '));
        let (_, count) = lines.find(|(name, _)| name.ends_with(wanted))?;
        count.parse::<f64>().ok()
    };
    Some(count("_clock_syncs_total")? + count("_time_datagrams_total")?)
}

/// All threads of a process: nanoseconds on a processor (proc(5), `schedstat`, the first number).
pub(super) fn cpu_ns(pid: u32) -> Option<f64> {
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
            asked_in_datagrams: self.asked_in_datagrams - before.asked_in_datagrams,
            answered: self.answered - before.answered,
        }
    }
}

impl AddAssign for While {
    fn add_assign(&mut self, more: Self) {
        self.seconds += more.seconds;
        self.cpu_ns = self.cpu_ns.zip(more.cpu_ns).map(|(one, other)| one + other);
        self.asked += more.asked;
        self.asked_in_datagrams += more.asked_in_datagrams;
        self.answered += more.answered;
    }
}

/// A while of all phones' asking.
#[derive(Debug, Clone, Copy, Serialize)]
pub struct Lap {
    /// Seconds from the last phone's coming to its end.
    pub until_s: f64,
    /// Questions of a phone in a second.
    pub asked_per_s_a_phone: f64,
    /// What the box spends on a phone more than on none, microseconds of a processor a second; null where it is not ours
    /// to look into.
    pub box_us_per_s_a_phone: Option<f64>,
}

/// Lap by lap, from the last phone's coming on.
pub(super) struct Laps {
    begin: While,
    at: Vec<While>,
}

impl Laps {
    pub(super) fn new(begin: While) -> Self {
        Self { begin, at: Vec::new() }
    }

    /// What the meter says at the end of a lap.
    pub(super) fn add(&mut self, now: While) {
        self.at.push(now);
    }

    /// With what the box spends when nobody is there.
    pub(super) fn close(self, idle: While, phones: usize) -> Vec<Lap> {
        let phones = phones as f64;
        let befores = [self.begin].into_iter().chain(self.at.iter().copied());
        let lap = |(now, before): (&While, While)| {
            let it = *now - before;
            let idle_ns = idle.cpu_ns.map(|ns| ns / idle.seconds * it.seconds);
            Lap {
                until_s: now.seconds - self.begin.seconds,
                asked_per_s_a_phone: it.asked / it.seconds / phones,
                box_us_per_s_a_phone: (it.cpu_ns.zip(idle_ns))
                    .map(|(ns, idle)| (ns - idle) / 1e3 / it.seconds / phones),
            }
        };
        self.at.iter().zip(befores).map(lap).collect()
    }
}

/// What a question more costs the box, in nanoseconds of a processor.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct Price {
    /// The likeliest.
    pub ns: f64,
    /// One standard deviation.
    pub sigma_ns: f64,
}

/// Two points always lie on a line, and three nearly.
const TURNS_MIN: usize = 4;

impl Price {
    /// The slope of the line through what the box spent and what it answered, turn by turn; none where nobody could tell
    /// it from nothing.
    pub(super) fn of(turns: &[While]) -> Option<Self> {
        let rate = |it: &While| Some((it.answered / it.seconds, it.cpu_ns? / it.seconds));
        let rates: Vec<(f64, f64)> = turns.iter().map(rate).collect::<Option<_>>()?;
        let count = rates.len() as f64;
        let (sum_x, sum_y) = rates.iter().fold((0.0, 0.0), |sum, it| (sum.0 + it.0, sum.1 + it.1));
        let (mean_x, mean_y) = (sum_x / count, sum_y / count);
        let wide: f64 = rates.iter().map(|(x, _)| (x - mean_x).powi(2)).sum();
        if rates.len() < TURNS_MIN || wide <= 0.0 {
            return None;
        }
        let ns = rates.iter().map(|(x, y)| (x - mean_x) * (y - mean_y)).sum::<f64>() / wide;
        let off = |(x, y): &(f64, f64)| y - mean_y - ns * (x - mean_x);
        let left: f64 = rates.iter().map(|rate| off(rate).powi(2)).sum();
        let sigma_ns = (left / (count - 2.0) / wide).sqrt();
        (sigma_ns < ns).then_some(Self { ns, sigma_ns })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn turns(cpu_ns: impl Fn(f64) -> f64) -> Vec<While> {
        let turn = |nth: u32| {
            let answered = if nth.is_multiple_of(2) { 100.0 } else { 2_100.0 };
            let seconds = 2.0;
            let cpu_ns = Some(cpu_ns(answered) + f64::from(nth / 2) * 1e5);
            While { seconds, cpu_ns, asked: answered, asked_in_datagrams: 0.0, answered }
        };
        (0..6).map(turn).collect()
    }

    #[test]
    fn a_price_is_what_more_answers_cost_beside_all_else_that_the_box_does() {
        let price = Price::of(&turns(|answered| 5e7 + 15_000.0 * answered)).expect("plain to see");
        assert!((price.ns - 15_000.0).abs() < 3.0 * price.sigma_ns, "{price:?}");
        assert!(price.sigma_ns < 100.0, "{price:?}");
    }

    #[test]
    fn what_cannot_be_told_from_nothing_has_no_price() {
        assert_eq!(Price::of(&turns(|_| 5e7)), None);
        assert_eq!(Price::of(&turns(|answered| 5e7 + answered)[..3]), None, "too few");
        assert_eq!(Price::of(&[]), None);
        let mut unknown = turns(|answered| 15_000.0 * answered);
        unknown[0].cpu_ns = None;
        assert_eq!(Price::of(&unknown), None, "not ours to look into");
    }

    #[test]
    fn answers_are_counted_on_the_socket_and_in_datagrams() {
        let metrics = "# TYPE downbeat_clock_syncs_total counter\ndownbeat_clock_syncs_total 40\n\
            downbeat_time_datagrams_total 2\ndownbeat_time_datagrams_unanswered_total 7\n";
        assert_eq!(answered(metrics), Some(42.0));
        assert_eq!(answered("downbeat_clock_syncs_total 40\n"), None);
    }
}
