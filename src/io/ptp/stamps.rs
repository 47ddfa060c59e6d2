//! Stamps of packets, on the monotonic clock.
//!
//! In: what the kernel or the interface wrote on a packet. Out: the reading of the monotonic clock at that instant.
//! Never: a stamp that may be wrong because a clock stepped: then there is none.
//!
//! The kernel stamps by the system's clock, which others step. It differs from the monotonic clock by a number that
//! changes in steps only, since both are steered alike; so what two readings around a third tell of it (*bracket*) may
//! be intersected with all that was told before, which soon leaves a few nanoseconds, and an empty intersection is a
//! step. An interface stamps by its own clock, which runs as it likes; it is read beside the system's at every stamp.

use std::fs::File;

use engine::clock::StampKind;
use nix::sys::socket::Timestamps;
use nix::sys::time::TimeSpec;
use nix::time::ClockId;
use units::{Moment, MonoTime, Span};

use super::raw::{Between, Method, read_beside};
use crate::clock::read;

/// The system's clock.
pub(super) enum System {}

/// Older stamps are of another packet, or of a clock that stepped.
const OLDEST: Span = Span::from_secs(5);
/// So much a stamp may be ahead of us: two ways of reading one clock do not agree to the nanosecond.
const AHEAD: Span = Span::from_micros(100);

/// The system's clock minus the monotonic one, as far as it is known.
#[derive(Debug, Default)]
pub(super) struct SystemClock {
    known: Option<(i64, i64)>,
}

impl SystemClock {
    /// The monotonic reading at a reading of the system's clock; none where that has just stepped.
    pub fn mono(&mut self, system: Moment<System>) -> Option<MonoTime> {
        let before: MonoTime = read(ClockId::CLOCK_MONOTONIC);
        let between: Moment<System> = read(ClockId::CLOCK_REALTIME);
        let after: MonoTime = read(ClockId::CLOCK_MONOTONIC);
        self.bracket(between.ns() - after.ns(), between.ns() - before.ns()).then_some(())?;
        let (low, high) = self.known?;
        plausible(MonoTime::from_ns(system.ns() - low.midpoint(high)), after)
    }

    /// Whether what is told now agrees with what was known.
    fn bracket(&mut self, low: i64, high: i64) -> bool {
        let (old_low, old_high) = self.known.unwrap_or((low, high));
        let (narrow_low, narrow_high) = (old_low.max(low), old_high.min(high));
        let agrees = narrow_low <= narrow_high;
        self.known = Some(if agrees { (narrow_low, narrow_high) } else { (low, high) });
        agrees
    }
}

fn plausible(stamp: MonoTime, now: MonoTime) -> Option<MonoTime> {
    let age = now - stamp;
    (-AHEAD..=OLDEST).contains(&age).then_some(stamp)
}

/// Whose stamps are taken.
#[derive(Debug)]
pub(super) enum Stamper {
    /// The interface's.
    Hardware(Box<Phc>),
    /// The kernel's.
    Software,
}

impl Stamper {
    pub fn kind(&self) -> StampKind {
        match self {
            Self::Hardware(_) => StampKind::Hardware,
            Self::Software => StampKind::Software,
        }
    }

    /// When a packet left or came.
    pub fn mono(&mut self, stamps: &Timestamps, system: &mut SystemClock) -> Option<MonoTime> {
        match self {
            Self::Software => system.mono(Moment::from_ns(ns(stamps.system)?)),
            Self::Hardware(phc) => phc.mono(ns(stamps.hw_raw)?, system),
        }
    }
}

/// Zero is no stamp.
fn ns(stamp: TimeSpec) -> Option<i64> {
    let ns = stamp.tv_sec().checked_mul(1_000_000_000)?.checked_add(stamp.tv_nsec())?;
    (ns != 0).then_some(ns)
}

/// The clock of a network interface.
#[derive(Debug)]
pub(super) struct Phc {
    file: File,
    method: Method,
    line: Line,
}

impl Phc {
    /// Opens `/dev/ptpN` and finds the best way to read it.
    pub fn open(number: u32) -> std::io::Result<Self> {
        let file = File::open(format!("/dev/ptp{number}"))?;
        let method = best(|method| read_beside(&file, method))?;
        Ok(Self { file, method, line: Line::default() })
    }

    /// How it is read, for the status.
    pub fn method(&self) -> Method {
        self.method
    }

    fn mono(&mut self, stamp: i64, system: &mut SystemClock) -> Option<MonoTime> {
        let Between { before, phc, after } = read_beside(&self.file, self.method).ok()?;
        let mono = system.mono(Moment::from_ns(before.midpoint(after)))?;
        self.line.learn(phc, mono);
        plausible(self.line.mono(stamp)?, mono)
    }
}

/// The best way that a clock answers; what the last one said, where none does.
fn best(read: impl Fn(Method) -> std::io::Result<Between>) -> std::io::Result<Method> {
    let first = read(Method::Precise).map(|_| Method::Precise);
    first
        .or_else(|_| read(Method::Extended).map(|_| Method::Extended))
        .or_else(|_| read(Method::Plain).map(|_| Method::Plain))
}

/// An interface's clock as a line over the monotonic one.
///
/// A stamp is read a millisecond after it was made, in which clocks that run 100 ppm apart differ by 100 ns: so the
/// line has a slope, from a reading that is a second old at least.
#[derive(Debug, Default)]
struct Line {
    last: Option<(i64, MonoTime)>,
    base: Option<(i64, MonoTime)>,
    /// How much faster the monotonic clock runs.
    gain: f64,
}

/// From so far apart the slope is taken: two readings are a tenth of a microsecond off, so it is good to 0.1 ppm.
const BASELINE: Span = Span::from_secs(1);
/// No crystal is so bad: somebody has set that clock.
const GAIN_MAX: f64 = 1e-3;

impl Line {
    fn learn(&mut self, phc: i64, mono: MonoTime) {
        self.last = Some((phc, mono));
        let (base_phc, base_mono) = *self.base.get_or_insert((phc, mono));
        let gone = (mono - base_mono).ns();
        if gone < BASELINE.ns() {
            return;
        }
        let gain = gone as f64 / phc.saturating_sub(base_phc) as f64 - 1.0;
        self.gain = if gain.abs() < GAIN_MAX { gain } else { 0.0 };
        self.base = self.last;
    }

    fn mono(&self, stamp: i64) -> Option<MonoTime> {
        let (phc, mono) = self.last?;
        let back = phc.checked_sub(stamp)?;
        Some(mono - Span::from_ns(back) - Span::from_ns((back as f64 * self.gain).round() as i64))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_systems_clock_is_known_better_with_every_reading_until_it_steps() {
        let mut clock = SystemClock::default();
        assert!(clock.bracket(90, 130) && clock.bracket(100, 150));
        assert_eq!(clock.known, Some((100, 130)));
        assert!(!clock.bracket(1_000_090, 1_000_130), "a step is noticed");
        assert!(clock.bracket(1_000_100, 1_000_120), "and then it is known again");
    }

    #[test]
    fn a_stamp_by_the_systems_clock_is_a_moment_ago() {
        let mut clock = SystemClock::default();
        let (before, stamp): (MonoTime, _) =
            (read(ClockId::CLOCK_MONOTONIC), read(ClockId::CLOCK_REALTIME));
        let seen = clock.mono(stamp).expect("nobody steps it meanwhile");
        assert!((seen - before).abs() < Span::from_secs(1));
        assert_eq!(clock.mono(stamp - Span::from_secs(60)), None, "too old to be true");
        assert_eq!(clock.mono(stamp + Span::from_secs(60)), None, "not made yet");
    }

    #[test]
    fn an_interfaces_clock_is_read_in_the_best_way_that_its_driver_answers() {
        use nix::errno::Errno::{EBUSY, ENOTTY, EOPNOTSUPP};
        let answers = |given: [Option<nix::errno::Errno>; 3]| {
            best(|method| {
                let place = [Method::Precise, Method::Extended, Method::Plain];
                let place = place.iter().position(|it| *it == method).expect("one of three");
                let read = Between { before: 1, phc: 2, after: 3 };
                given[place].map_or(Ok(read), |error| Err(error.into()))
            })
            .map_err(|error| error.raw_os_error())
        };
        // e1000e on a machine with ART, igb, a driver of a kernel before 5.0, a file that is none.
        assert_eq!(answers([None, None, None]), Ok(Method::Precise));
        assert_eq!(answers([Some(EOPNOTSUPP), None, None]), Ok(Method::Extended));
        assert_eq!(answers([Some(ENOTTY), Some(ENOTTY), None]), Ok(Method::Plain));
        let none = answers([Some(ENOTTY), Some(ENOTTY), Some(EBUSY)]);
        assert_eq!(none, Err(Some(EBUSY as i32)));
    }

    #[test]
    fn an_interfaces_clock_that_runs_50_ppm_fast_is_followed_to_the_nanosecond() {
        let mono = |ns: i64| MonoTime::from_ns(ns);
        let phc = |ns: i64| 7_000_000_000 + ns + ns / 20_000;
        let mut line = Line::default();
        for second in 0..3 {
            line.learn(phc(second * 1_100_000_000), mono(second * 1_100_000_000));
        }
        let stamped = 2_200_000_000 - 10_000_000;
        let seen = line.mono(phc(stamped)).expect("learnt");
        assert!((seen - mono(stamped)).abs() <= Span::from_ns(1), "{seen:?}");
    }

    #[test]
    fn an_interfaces_clock_that_is_set_is_known_again_at_the_next_reading() {
        let mut line = Line::default();
        line.learn(0, MonoTime::from_ns(0));
        line.learn(1_790_000_000_000_000_000, MonoTime::from_ns(2_000_000_000));
        let seen = line.mono(1_790_000_000_000_000_000 - 1_000).expect("learnt");
        assert_eq!(seen, MonoTime::from_ns(2_000_000_000 - 1_000));
    }
}
