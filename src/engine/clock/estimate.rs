//! What the master's clock reads, from the fastest packets of each way.
//!
//! In: packets stamped at both ends. Out: the master's time as a line over the monotonic clock, its rate, how sure
//! both are, and the shortest round trip. Never: the overlay; steering changes nothing here.
//!
//! The naive way takes the mean of there and back, and a burst on one way then pulls the clock by half its length.
//! A packet can be late for many reasons and early for none, so each way has a *floor*, the time of an undisturbed
//! packet, and each way is looked at by itself. With `o` what the master is ahead of us and `d` the delay of an
//! undisturbed packet, a packet from the master seems to take `down = d - o`, one to it `up = d + o`. The two floors and
//! the rate `r` at which they part are the state of a Kalman filter:
//!
//! ```text
//! down' = -r    up' = +r    r' = 0          o = (up - down) / 2    round trip = up + down
//! ```
//!
//! The crystals' noise moves both floors apart at once, so it is correlated in them, and a clean packet of one way
//! also tells of the other: while one way is jammed, the other alone carries the clock. Of each second only the
//! fastest packet of a way is taken in. One that is later than the noise explains counts the less the later it is. One
//! that is *earlier* than the floor proves that the floor lies lower, and if the other way is late by as much, that a
//! clock was moved.
//!
//! What no stamp shows is a difference between the two undisturbed ways. It moves `o` by half of itself, and by half the
//! round trip at most, for then one way takes no time at all.

use units::{MonoTime, Ppm, ShowTime, Span};

use super::news::{Direction, StampKind};

/// The fastest packet of so long stands for all of them.
const SECOND: f64 = 1.0;
/// What two crystals' rates do: 10 ns/s (0.01 ppm) in a second, as a rack does whose fans begin to turn.
const WANDER: f64 = 10.0;
/// Crystals' own noise, ns after a second.
const FLICKER: f64 = 3.0;
/// Undisturbed ways change by so much after a second, ns: queues that are never quite empty.
const CREEP: f64 = 2.0;
/// A crystal before anything is known of it, ns/s, one sigma: 30 ppm.
const RATE_DOUBT: f64 = 30_000.0;
/// A crystal that another master measured before, ns/s, one sigma: the other master had one, too.
const RATE_DOUBT_NEW_MASTER: f64 = 3_000.0;
/// So many packets of a way and its scatter is known well enough to call one early or late.
const KNOWN: u32 = 8;
/// Deviations from where a packet is a mishap or news.
const GATE: f64 = 5.0;
/// So many early packets in a row are no mishap.
const EARLY_MAX: u8 = 3;
/// Where the link's delay is measured apart, nothing but a moved clock is late for so many packets.
const LATE_MAX: u8 = 32;
/// Nobody's clock is further from ours than this many ns; beyond are broken stamps.
const SENSE: f64 = 4e18;

/// What became of a packet.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Taken {
    /// It was taken in, or passed over.
    Well,
    /// It proves that a clock was moved: begin again.
    Moved,
}

/// A way by which something is learnt.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Course {
    /// From the master, to it.
    Way(Direction),
    /// Both at once: the link's delay, measured by itself.
    Link,
}

/// The estimate of one master's clock.
#[derive(Debug, Clone)]
pub(super) struct Estimate {
    born: MonoTime,
    /// Master minus monotonic clock at the first packet; all else is small beside it.
    base: i128,
    /// When the state holds.
    at: MonoTime,
    /// Floor from the master, floor to it (ns), rate (ns/s).
    x: [f64; 3],
    p: [[f64; 3]; 3],
    courses: [Heard; 3],
    /// How late the fastest packets were lately, both ways together, ns.
    late: f64,
}

/// What is known of one course.
#[derive(Debug, Clone, Copy, Default)]
struct Heard {
    count: u32,
    last: Option<MonoTime>,
    /// How far the fastest of each second typically lie from the floor, ns.
    scatter: f64,
    /// In a row.
    early: u8,
    late: u8,
    /// How late the last one was, ns.
    lateness: f64,
    begun: Option<MonoTime>,
    fastest: Option<Low>,
}

#[derive(Debug, Clone, Copy)]
struct Low {
    at: MonoTime,
    ns: f64,
    lateness: f64,
}

impl Estimate {
    /// Knows nothing but, at best, how fast the last master's clock ran.
    pub(super) fn new(now: MonoTime, rate: Option<Ppm>) -> Self {
        let doubt = if rate.is_some() { RATE_DOUBT_NEW_MASTER } else { RATE_DOUBT };
        let mut p = [[0.0; 3]; 3];
        p[2][2] = doubt * doubt;
        let x = [0.0, 0.0, rate.map_or(0.0, |rate| rate.0 * 1e3)];
        Self { born: now, base: 0, at: now, x, p, courses: [Heard::default(); 3], late: 0.0 }
    }

    /// One packet: our end, and the master's end by the master's clock.
    pub(super) fn packet(
        &mut self,
        direction: Direction,
        at: MonoTime,
        master: ShowTime,
        stamps: StampKind,
    ) -> Taken {
        let ahead = i128::from(master.ns()) - i128::from(at.ns());
        if self.courses.iter().all(|heard| heard.count == 0) {
            (self.base, self.born, self.at) = (ahead, at, at);
        }
        let ahead = (ahead - self.base) as f64;
        let ns = if direction == Direction::FromMaster { -ahead } else { ahead };
        self.take(Course::Way(direction), at, ns, stamps)
    }

    /// The link's delay by itself.
    pub(super) fn link(&mut self, at: MonoTime, delay: Span, stamps: StampKind) -> Taken {
        if self.courses[0].count == 0 {
            return Taken::Well;
        }
        self.take(Course::Link, at, delay.ns() as f64, stamps)
    }

    /// Whether there is an estimate at all.
    pub(super) fn is_known(&self) -> bool {
        self.courses[0].count > 0 && (self.courses[1].count > 0 || self.courses[2].count > 0)
    }

    /// Packets of the way that has fewer.
    pub(super) fn count(&self) -> u32 {
        self.courses[0].count.min(self.courses[1].count.max(self.courses[2].count))
    }

    /// When both ways were last heard of: from the master, and whatever tells of the way to it.
    pub(super) fn heard(&self) -> [Option<MonoTime>; 2] {
        [self.courses[0].last, self.courses[1].last.max(self.courses[2].last)]
    }

    /// The master's time at a reading.
    pub(super) fn master(&self, mono: MonoTime) -> ShowTime {
        let ns = i128::from(mono.ns()) + self.base + self.offset(mono).round() as i128;
        ShowTime::from_ns(ns.clamp(i128::from(i64::MIN), i128::from(i64::MAX)) as i64)
    }

    /// How much faster than the monotonic clock the master's runs.
    pub(super) fn rate(&self) -> Ppm {
        Ppm(self.x[2] * 1e-3)
    }

    /// One sigma of it.
    pub(super) fn rate_doubt(&self) -> Ppm {
        Ppm(self.p[2][2].max(0.0).sqrt() * 1e-3)
    }

    /// One sigma of the master's time at a reading, ns, if crystals wander by `wander` ns/s in a second from now on.
    pub(super) fn doubt_ns(&self, mono: MonoTime, wander: f64) -> f64 {
        let dt = self.gone(mono).max(0.0);
        let p = &self.p;
        let offset = (p[0][0] + p[1][1] - 2.0 * p[0][1]) / 4.0;
        let with_rate = (p[1][2] - p[0][2]) / 2.0;
        let drift = 2.0 * dt * with_rate + dt * dt * p[2][2];
        let noise = FLICKER * FLICKER * dt + wander * wander * dt.powi(3) / 3.0;
        (offset + drift + noise).max(0.0).sqrt()
    }

    /// The shortest round trip, ns; with what the fastest packets of late had to wait.
    pub(super) fn round_trip_ns(&self) -> f64 {
        (self.x[0] + self.x[1]).max(0.0) + self.late
    }

    /// Where the fastest packets of late, and nothing before them, would put the master, ns from the estimate.
    pub(super) fn scatter_ns(&self) -> f64 {
        (self.courses[1].lateness - self.courses[0].lateness) / 2.0
    }

    fn offset(&self, mono: MonoTime) -> f64 {
        (self.x[1] - self.x[0]) / 2.0 + self.x[2] * self.gone(mono)
    }

    fn gone(&self, mono: MonoTime) -> f64 {
        (mono - self.at).secs_f64()
    }

    fn take(&mut self, course: Course, at: MonoTime, ns: f64, stamps: StampKind) -> Taken {
        if ns.abs() > SENSE {
            return Taken::Well;
        }
        let i = course.index();
        self.courses[i].last = self.courses[i].last.max(Some(at));
        self.courses[i].count = self.courses[i].count.saturating_add(1);
        if self.courses[i].count == 1 {
            self.begin(course, at, ns, stamps);
            return Taken::Well;
        }
        let lateness = ns - self.expected(course, at);
        match self.suspicion(course, at, lateness) {
            Suspicion::None => {}
            Suspicion::Mishap => return Taken::Well,
            Suspicion::Moved => return Taken::Moved,
            Suspicion::Lower => self.p[i.min(1)][i.min(1)] += lateness * lateness,
        }
        self.gather(course, Low { at, ns, lateness }, stamps);
        Taken::Well
    }

    /// The first packet of a way is its floor, for want of better.
    fn begin(&mut self, course: Course, at: MonoTime, ns: f64, stamps: StampKind) {
        self.go_to(at);
        let scatter = scatter_first(stamps);
        let i = course.index();
        self.courses[i].scatter = scatter;
        self.courses[i].begun = Some(at);
        match course {
            Course::Way(_) if self.courses[2].count == 0 || i == 0 => {
                self.x[i] = ns;
                for other in 0..3 {
                    (self.p[i][other], self.p[other][i]) = (0.0, 0.0);
                }
                self.p[i][i] = scatter * scatter;
            }
            Course::Link if self.courses[1].count == 0 => {
                self.x[1] = 2.0 * ns - self.x[0];
                self.p[1][1] = 4.0 * scatter * scatter + self.p[0][0];
                self.p[1][0] = -self.p[0][0];
                self.p[0][1] = -self.p[0][0];
                self.p[1][2] = -self.p[0][2];
                self.p[2][1] = -self.p[0][2];
            }
            _ => {}
        }
    }

    /// Keeps the fastest of each second, which is shorter while everything is new.
    fn gather(&mut self, course: Course, low: Low, stamps: StampKind) {
        let i = course.index();
        let heard = &mut self.courses[i];
        let second = ((low.at - self.born).secs_f64() / 4.0).min(SECOND);
        let is_over = heard.begun.is_none_or(|begun| {
            let gone = (low.at - begun).secs_f64();
            gone >= second || gone < 0.0
        });
        let fastest = heard.fastest.filter(|it| it.lateness <= low.lateness).unwrap_or(low);
        heard.fastest = if is_over { None } else { Some(fastest) };
        if is_over {
            heard.begun = Some(low.at);
            self.correct(course, fastest, stamps);
        }
    }

    /// The filter's step for one packet.
    fn correct(&mut self, course: Course, low: Low, stamps: StampKind) {
        self.go_to(low.at);
        let (i, h) = (course.index(), self.row(course, low.at));
        let lateness = low.ns - dot(h, self.x);
        let ph: [f64; 3] = std::array::from_fn(|row| dot(self.p[row], h));
        let known = dot(h, ph).max(0.0);
        let scatter = self.courses[i].scatter;
        let excess = (lateness - 2.0 * (known + scatter * scatter).sqrt()).max(0.0);
        let s = known + scatter * scatter + excess * excess;
        self.x = std::array::from_fn(|row| self.x[row] + ph[row] / s * lateness);
        self.p = plus(self.p, ph.map(|row| ph.map(|column| -row * column / s)));
        self.p[0][0] = self.p[0][0].max(0.0);
        self.p[1][1] = self.p[1][1].max(0.0);
        self.learn(i, lateness, stamps);
    }

    fn learn(&mut self, i: usize, lateness: f64, stamps: StampKind) {
        let heard = &mut self.courses[i];
        heard.lateness = lateness;
        let pace = (1.0 / f64::from(heard.count)).max(1.0 / 32.0);
        let seen = lateness.abs().min(4.0 * heard.scatter);
        heard.scatter += (seen - heard.scatter) * pace;
        heard.scatter = heard.scatter.max(scatter_least(stamps));
        let late: f64 = self.courses[..2].iter().map(|it| it.lateness.max(0.0)).sum();
        self.late = late.max(self.late * 0.95);
    }

    fn suspicion(&mut self, course: Course, at: MonoTime, lateness: f64) -> Suspicion {
        let i = course.index();
        let h = self.row(course, at);
        let ph: [f64; 3] = std::array::from_fn(|row| dot(self.p[row], h));
        let scatter = self.courses[i].scatter;
        let gone = self.gone(at).max(0.0);
        let wander = WANDER * WANDER * gone.powi(3) / 3.0;
        let gate = GATE * (dot(h, ph).max(0.0) + scatter * scatter + wander).sqrt();
        let by_link = self.courses[2].count > 0;
        let other = self.courses[1 - i.min(1)].lateness;
        let heard = &mut self.courses[i];
        heard.late = if lateness > gate { heard.late.saturating_add(1) } else { 0 };
        heard.early = if lateness < -gate { heard.early.saturating_add(1) } else { 0 };
        match heard {
            Heard { early: 0, late, .. } if by_link && i == 0 && *late >= LATE_MAX => {
                Suspicion::Moved
            }
            Heard { early: 0, .. } => Suspicion::None,
            Heard { count, .. } if *count < KNOWN => Suspicion::Lower,
            Heard { early, .. } if *early < EARLY_MAX => Suspicion::Mishap,
            _ if (by_link && i == 0) || other > -lateness / 2.0 => Suspicion::Moved,
            _ => Suspicion::Lower,
        }
    }

    fn expected(&self, course: Course, at: MonoTime) -> f64 {
        dot(self.row(course, at), self.x)
    }

    /// How a course's time at a reading comes from the state.
    fn row(&self, course: Course, at: MonoTime) -> [f64; 3] {
        let dt = self.gone(at);
        match course {
            Course::Way(Direction::FromMaster) => [1.0, 0.0, -dt],
            Course::Way(Direction::ToMaster) => [0.0, 1.0, dt],
            Course::Link => [0.5, 0.5, 0.0],
        }
    }

    /// Lets time go by; a packet from before is looked at from here.
    fn go_to(&mut self, at: MonoTime) {
        let dt = self.gone(at);
        if dt <= 0.0 {
            return;
        }
        self.at = at;
        let rate = self.x[2];
        self.x[0] -= rate * dt;
        self.x[1] += rate * dt;
        let f = [[1.0, 0.0, -dt], [0.0, 1.0, dt], [0.0, 0.0, 1.0]];
        self.p = moved(f, self.p);
        let phase = FLICKER * FLICKER * dt + WANDER * WANDER * dt.powi(3) / 3.0;
        let (both, rate) = (WANDER * WANDER * dt * dt / 2.0, WANDER * WANDER * dt);
        let alone = CREEP * CREEP * dt;
        let noise =
            [[phase + alone, -phase, -both], [-phase, phase + alone, both], [-both, both, rate]];
        self.p = plus(self.p, noise);
    }
}

enum Suspicion {
    None,
    /// One alone says nothing.
    Mishap,
    /// The floor lies lower than was thought.
    Lower,
    Moved,
}

impl Course {
    fn index(self) -> usize {
        match self {
            Self::Way(Direction::FromMaster) => 0,
            Self::Way(Direction::ToMaster) => 1,
            Self::Link => 2,
        }
    }
}

/// What stamps are taken to be worth before any has been compared, ns.
fn scatter_first(stamps: StampKind) -> f64 {
    match stamps {
        StampKind::Hardware => 500.0,
        StampKind::Software | StampKind::Simulated => 5_000.0,
    }
}

/// No stamp is believed to be better, ns: a PHC counts in steps of 8 ns; a kernel's way to the stamp is never the same.
fn scatter_least(stamps: StampKind) -> f64 {
    match stamps {
        StampKind::Hardware => 10.0,
        StampKind::Software | StampKind::Simulated => 30.0,
    }
}

fn dot(a: [f64; 3], b: [f64; 3]) -> f64 {
    a[0] * b[0] + a[1] * b[1] + a[2] * b[2]
}

fn plus(a: [[f64; 3]; 3], b: [[f64; 3]; 3]) -> [[f64; 3]; 3] {
    std::array::from_fn(|row| std::array::from_fn(|column| a[row][column] + b[row][column]))
}

/// `f p fᵀ`.
fn moved(f: [[f64; 3]; 3], p: [[f64; 3]; 3]) -> [[f64; 3]; 3] {
    let half = f.map(|row| -> [f64; 3] {
        std::array::from_fn(|column| dot(row, [p[0][column], p[1][column], p[2][column]]))
    });
    half.map(|row| f.map(|other| dot(row, other)))
}
