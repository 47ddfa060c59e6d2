//! Nights of many kinds on the timing network, and what came of them.
//!
//! In: a kind, seeds, how long. Out: a row: how often the truth lay within the bound, how long until locked, how far off.

use engine::clock::{ClockState, Settings, StampKind};
use units::Span;

use crate::ptp::{Happening, Lane, PtpSpec, PtpWorld, Seen};

/// A kind of night.
#[derive(Debug, Clone, Copy)]
pub struct Kind {
    /// What is special about it.
    pub name: &'static str,
    spec: fn(u128) -> PtpSpec,
}

impl Kind {
    /// One of them.
    pub fn spec(&self, seed: u128) -> PtpSpec {
        (self.spec)(seed)
    }
}

/// All kinds.
///
/// Where both ways are alike, the bound is asked to be true without what asymmetry may hide: else nothing could be
/// wrong with it.
pub const KINDS: &[Kind] = &[
    Kind { name: "hardware stamps", spec: hardware },
    Kind { name: "software stamps", spec: alike },
    Kind { name: "one way 20 us longer", spec: skewed },
    Kind { name: "three busy switches", spec: busy },
    Kind { name: "busy one way only", spec: half_busy },
    Kind { name: "once a second", spec: rare },
    Kind { name: "jammed for a minute", spec: jammed },
    Kind { name: "cable out for a minute", spec: pulled },
    Kind { name: "silence for ten minutes", spec: silent },
    Kind { name: "route changes", spec: rerouted },
    Kind { name: "new master, 0.3 ms off", spec: succeeded },
];

fn alike(seed: u128) -> PtpSpec {
    let settings = Settings { asymmetry: 0.0, ..Settings::default() };
    PtpSpec { settings, ..PtpSpec::drawn(seed) }
}

fn hardware(seed: u128) -> PtpSpec {
    let ways = (Lane::HARDWARE, Lane::HARDWARE);
    PtpSpec { ways, stamps: StampKind::Hardware, ..alike(seed) }
}

fn skewed(seed: u128) -> PtpSpec {
    let ways = (Lane::SOFTWARE.longer(Span::from_micros(20)), Lane::SOFTWARE);
    PtpSpec { ways, ..PtpSpec::drawn(seed) }
}

fn busy(seed: u128) -> PtpSpec {
    PtpSpec { ways: (Lane::BUSY, Lane::BUSY), ..alike(seed) }
}

fn half_busy(seed: u128) -> PtpSpec {
    PtpSpec { ways: (Lane::BUSY, Lane::SOFTWARE), ..PtpSpec::drawn(seed) }
}

fn rare(seed: u128) -> PtpSpec {
    PtpSpec { per_second: 1.0, ..alike(seed) }
}

fn jammed(seed: u128) -> PtpSpec {
    let jam = Lane { wait: Span::from_micros(300), ..Lane::SOFTWARE };
    let story = vec![
        (secs(60), Happening::Ways(Lane::SOFTWARE, jam)),
        (secs(120), Happening::Ways(Lane::SOFTWARE, Lane::SOFTWARE)),
    ];
    PtpSpec { story, ..alike(seed) }
}

fn pulled(seed: u128) -> PtpSpec {
    let story = vec![(secs(60), Happening::CablePulled), (secs(120), Happening::Heard)];
    PtpSpec { story, ..alike(seed) }
}

fn silent(seed: u128) -> PtpSpec {
    let story = vec![(secs(60), Happening::Silence), (secs(660), Happening::Heard)];
    PtpSpec { story, ..alike(seed) }
}

/// A detour that takes longer one way than the other, and back.
fn rerouted(seed: u128) -> PtpSpec {
    let detour = |by| Lane::SOFTWARE.longer(Span::from_micros(by));
    let story = vec![
        (secs(60), Happening::Ways(detour(40), detour(90))),
        (secs(120), Happening::Ways(Lane::SOFTWARE, Lane::SOFTWARE)),
    ];
    PtpSpec { story, ..PtpSpec::drawn(seed) }
}

fn succeeded(seed: u128) -> PtpSpec {
    let story = vec![
        (secs(50), Happening::Show(true)),
        (secs(60), Happening::MasterDies),
        (secs(70), Happening::NewMaster(Span::from_micros(300))),
    ];
    PtpSpec { story, ..PtpSpec::drawn(seed) }
}

fn secs(secs: i64) -> Span {
    Span::from_secs(secs)
}

/// Locked for so long, a clock has settled.
const SETTLED: Span = Span::from_secs(10);

/// What came of some nights.
#[derive(Debug, Clone, Default)]
pub struct Tally {
    looks: usize,
    known: usize,
    locked: usize,
    inside: usize,
    errors_ns: Vec<f64>,
    bounds_ns: Vec<f64>,
    acquired_s: Vec<f64>,
    steps: usize,
    pace_worst: f64,
    jumps: usize,
}

impl Tally {
    /// So many nights of a kind, each so long.
    pub fn of(kind: &Kind, seeds: u128, span: Span) -> Self {
        let mut tally = Self::default();
        (0..seeds).for_each(|seed| tally.night(kind.spec(seed), span));
        tally
    }

    /// One night more.
    pub fn night(&mut self, spec: PtpSpec, span: Span) {
        let (mut world, mut acquired, mut unlocked) =
            (PtpWorld::new(spec), f64::INFINITY, Span::ZERO);
        world.run(span, |seen| {
            match seen.state {
                ClockState::Locked => acquired = acquired.min(seen.after.secs_f64()),
                _ => unlocked = seen.after,
            }
            self.see(seen, seen.after - unlocked > SETTLED);
        });
        self.acquired_s.push(acquired);
        self.jumps += usize::from(world.jumped());
    }

    fn see(&mut self, seen: Seen, is_settled: bool) {
        self.looks += 1;
        self.steps += usize::from(seen.stepped);
        if let Some(bound) = seen.bound.filter(|_| !seen.too_soon) {
            self.known += 1;
            self.inside += usize::from(seen.error.abs() <= bound);
        }
        self.locked += usize::from(seen.state == ClockState::Locked);
        if is_settled {
            self.errors_ns.push(seen.error.abs().ns() as f64);
            self.bounds_ns.push(seen.bound.map_or(f64::INFINITY, |it| it.ns() as f64));
        }
        if seen.state != ClockState::Acquiring && !seen.stepped {
            self.pace_worst = self.pace_worst.max(seen.pace.0.abs());
        }
    }

    /// How much of the time in which there was a bound the truth lay within it, 0 to 1.
    pub fn covered(&self) -> f64 {
        self.inside as f64 / self.known as f64
    }

    /// Steps, all nights together.
    pub fn steps(&self) -> usize {
        self.steps
    }

    /// Nights in which the clock jumped without saying so.
    pub fn jumps(&self) -> usize {
        self.jumps
    }

    /// The fastest that it ever ran against the master's pace once it had been locked, ppm.
    pub fn pace_worst(&self) -> f64 {
        self.pace_worst
    }

    /// How much of the time it was locked, 0 to 1.
    pub fn locked(&self) -> f64 {
        self.locked as f64 / self.looks as f64
    }

    /// Seconds until locked: half of the nights, and the slowest.
    pub fn acquired_s(&self) -> (f64, f64) {
        (quantile(&self.acquired_s, 0.5), quantile(&self.acquired_s, 1.0))
    }

    /// The error once locked for ten seconds, us: this share of the time it is smaller.
    pub fn error_us(&self, share: f64) -> f64 {
        quantile(&self.errors_ns, share) / 1e3
    }

    /// The median of the bound then, us.
    pub fn bound_us(&self) -> f64 {
        quantile(&self.bounds_ns, 0.5) / 1e3
    }

    /// One line for a table; [`HEAD`] stands above it.
    pub fn row(&self, name: &str) -> String {
        let (half, slowest) = self.acquired_s();
        format!(
            "{name:24} | {:7.3} {:8.1} | {half:6.2} {slowest:7.2} | {:6.3} {:7.3} {:8.2} {:7.2} | {:4}",
            self.covered() * 100.0,
            self.locked() * 100.0,
            self.error_us(0.5),
            self.error_us(0.99),
            self.error_us(1.0),
            self.bound_us(),
            self.steps,
        )
    }
}

/// Above rows.
pub const HEAD: &str = "\
#                          inside    locked | until locked s | error once settled us    bound us |
# kind of night          |  bound %       % |    p50     max |    p50     p99      max      p50 | steps";

/// The value below which this share of them lies; not a number of nothing.
pub(crate) fn quantile(values: &[f64], share: f64) -> f64 {
    let mut values = values.to_vec();
    values.sort_unstable_by(f64::total_cmp);
    let last = values.len().saturating_sub(1);
    values.get((last as f64 * share).round() as usize).copied().unwrap_or(f64::NAN)
}
