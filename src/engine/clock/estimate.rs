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
/// The same crystals after a clock was moved, ns/s, one sigma.
const RATE_DOUBT_MOVED: f64 = 1_000.0;
/// The fastest of fewer is likely to have waited, too.
const FEW: u32 = 4;
/// But so many seconds are enough to wait for more.
const LONG: f64 = 4.0;
/// So many floors of a way seen and its scatter is known well enough to call a packet early or late.
const KNOWN: u32 = 4;
/// Deviations from where a packet is a mishap or news.
const GATE: f64 = 5.0;
/// The same while everything is new: what was taken for the floor may have waited.
const GATE_NEW: f64 = 3.0;
/// So many early packets in a row are no mishap.
const EARLY_MAX: u8 = 3;
/// Where the link's delay is measured apart, nothing but a moved clock is late for so many packets. And for so many
/// the other way is waited for, to tell a shorter way from a moved clock.
const LATE_MAX: u8 = 32;
/// What waits in queues scatters more widely than its mean tells.
const SCATTER_DEVIATION: f64 = 1.4;
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
    /// What crystals' rates do in a second when nobody watches, ns/s.
    alone: f64,
}

/// What is known of one course.
#[derive(Debug, Clone, Copy, Default)]
struct Heard {
    /// Floors seen.
    count: u32,
    last: Option<MonoTime>,
    /// How far the fastest of each second typically lie from the floor, ns.
    scatter: f64,
    /// In a row, and since when.
    early: u8,
    early_since: Option<MonoTime>,
    late: u8,
    /// How late the fastest of the last second was, ns.
    lateness: f64,
    /// The last packets: when, and how late, ns.
    lately: [Option<(MonoTime, f64)>; 2],
    gathered: Option<Gathered>,
}

/// The packets of a second.
#[derive(Debug, Clone, Copy)]
struct Gathered {
    begun: MonoTime,
    count: u32,
    fastest: Low,
}

#[derive(Debug, Clone, Copy)]
struct Low {
    at: MonoTime,
    ns: f64,
    lateness: f64,
}

impl Estimate {
    /// Knows nothing but, at best, how fast the last master's clock ran.
    pub(super) fn new(now: MonoTime, rate: Ppm, alone: Ppm) -> Self {
        let mut p = [[0.0; 3]; 3];
        p[2][2] = RATE_DOUBT * RATE_DOUBT;
        let x = [0.0, 0.0, rate.0 * 1e3];
        let (courses, alone) = ([Heard::default(); 3], alone.0 * 1e3);
        Self { born: now, base: 0, at: now, x, p, courses, late: 0.0, alone }
    }

    /// The same crystals, one of whose clocks was moved.
    pub(super) fn moved(&self, now: MonoTime) -> Self {
        let mut anew = Self::new(now, self.rate(), Ppm(self.alone * 1e-3));
        anew.p[2][2] = self.p[2][2] + RATE_DOUBT_MOVED * RATE_DOUBT_MOVED;
        anew
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
        if self.courses.iter().all(|heard| heard.last.is_none()) {
            (self.base, self.born, self.at) = (ahead, at, at);
        }
        let ahead = (ahead - self.base) as f64;
        let ns = if direction == Direction::FromMaster { -ahead } else { ahead };
        self.take(Course::Way(direction), at, ns, stamps)
    }

    /// The link's delay by itself.
    pub(super) fn link(&mut self, at: MonoTime, delay: Span, stamps: StampKind) -> Taken {
        if self.courses[0].count == 0 {
            return Taken::Well; // there is nothing yet that it could be added to
        }
        self.take(Course::Link, at, delay.ns() as f64, stamps)
    }

    /// Whether there is an estimate at all.
    pub(super) fn is_known(&self) -> bool {
        self.courses[0].count > 0 && (self.courses[1].count > 0 || self.courses[2].count > 0)
    }

    /// When its first packet came; before that, when it began to wait for it.
    pub(super) fn born(&self) -> MonoTime {
        self.born
    }

    /// Whether enough floors were seen for the rate to be known: some of each way, and as many again of either.
    pub(super) fn is_ripe(&self) -> bool {
        let (from, to) = (self.courses[0].count, self.courses[1].count.max(self.courses[2].count));
        from.min(to) >= KNOWN / 2 && from.saturating_add(to) >= 2 * KNOWN
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

    /// One sigma of the master's time at a reading, ns.
    pub(super) fn doubt_ns(&self, mono: MonoTime) -> f64 {
        let dt = self.gone(mono).max(0.0);
        let p = &self.p;
        let offset = (p[0][0] + p[1][1] - 2.0 * p[0][1]) / 4.0;
        let with_rate = (p[1][2] - p[0][2]) / 2.0;
        let drift = 2.0 * dt * with_rate + dt * dt * p[2][2];
        let noise = FLICKER * FLICKER * dt + self.alone * self.alone * dt.powi(3) / 3.0;
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
        if self.courses[i].count == 0 {
            self.gather(course, Low { at, ns, lateness: ns }, stamps);
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

    /// Keeps the fastest of each second, which is shorter while everything is new.
    fn gather(&mut self, course: Course, low: Low, stamps: StampKind) {
        let i = course.index();
        let second = ((low.at - self.born).secs_f64() / 4.0).min(SECOND);
        let kept = self.courses[i].gathered.filter(|it| it.is_recent(low.at));
        let gathered = kept.map_or_else(|| Gathered::new(low), |it| it.with(low));
        let length = (low.at - gathered.begun).secs_f64();
        let is_full = length >= second && gathered.count >= FEW || length >= LONG;
        self.courses[i].gathered = if is_full { None } else { Some(gathered) };
        if is_full && self.courses[i].count == 0 {
            self.begin(course, &gathered, stamps);
        } else if is_full {
            self.correct(course, &gathered, stamps);
        }
    }

    /// The first floor of a way.
    fn begin(&mut self, course: Course, gathered: &Gathered, stamps: StampKind) {
        let fastest = gathered.fastest;
        self.go_to(fastest.at);
        let i = course.index();
        self.courses[i].scatter = scatter_first(stamps);
        let scatter = scatter_first(stamps) * gathered.fewness();
        self.courses[i].count = 1;
        let by_link = self.courses[2].count > 0;
        match course {
            Course::Link if self.courses[1].count == 0 => {
                self.x[1] = 2.0 * fastest.ns - self.x[0];
                self.p[1] = [-self.p[0][0], 4.0 * scatter * scatter + self.p[0][0], -self.p[0][2]];
                (self.p[0][1], self.p[2][1]) = (self.p[1][0], self.p[1][2]);
            }
            Course::Way(_) if i == 0 || !by_link => {
                // The packet may be older than the state: what went by since then, nobody knows better than the rate.
                let since = -self.row(course, fastest.at)[2];
                self.x[i] = fastest.ns + since * self.x[2];
                let with_rate = self.p[2].map(|it| since * it);
                for other in [1 - i, 2] {
                    (self.p[i][other], self.p[other][i]) = (with_rate[other], with_rate[other]);
                }
                self.p[i][i] = scatter * scatter + since * with_rate[2];
            }
            _ => {}
        }
    }

    /// The filter's step for one packet.
    fn correct(&mut self, course: Course, gathered: &Gathered, stamps: StampKind) {
        let low = gathered.fastest;
        self.go_to(low.at);
        let (i, h) = (course.index(), self.row(course, low.at));
        let lateness = low.ns - dot(h, self.x);
        let ph: [f64; 3] = std::array::from_fn(|row| dot(self.p[row], h));
        let known = dot(h, ph).max(0.0);
        let scatter = self.courses[i].scatter * gathered.fewness() * SCATTER_DEVIATION;
        let excess = (lateness - 2.0 * (known + scatter * scatter).sqrt()).max(0.0);
        let excess = if self.courses[i].count < KNOWN { 0.0 } else { excess };
        let s = known + scatter * scatter + excess * excess;
        self.x = std::array::from_fn(|row| self.x[row] + ph[row] / s * lateness);
        self.p = plus(self.p, ph.map(|row| ph.map(|column| -row * column / s)));
        self.p[0][0] = self.p[0][0].max(0.0);
        self.p[1][1] = self.p[1][1].max(0.0);
        let share = scatter * scatter / (scatter * scatter + known);
        self.learn(i, lateness / gathered.fewness(), share, stamps);
    }

    /// Only that `share` of a surprise tells of the way's scatter which the state's own doubt does not explain.
    fn learn(&mut self, i: usize, lateness: f64, share: f64, stamps: StampKind) {
        let heard = &mut self.courses[i];
        heard.lateness = lateness;
        heard.count = heard.count.saturating_add(1);
        let pace = share * (1.0 / f64::from(heard.count)).max(1.0 / 32.0);
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
        let wander = self.alone * self.alone * gone.powi(3) / 3.0;
        let gate = if self.courses[i].count < KNOWN { GATE_NEW } else { GATE };
        let gate = gate * (dot(h, ph).max(0.0) + scatter * scatter + wander).sqrt();
        let by_link = self.courses[2].count > 0 && i == 0;
        let other = self.courses[1 - i.min(1)];
        let heard = &mut self.courses[i];
        heard.note(at, lateness, gate);
        if heard.early == 0 {
            let is_moved = by_link && heard.late >= LATE_MAX;
            return if is_moved { Suspicion::Moved } else { Suspicion::None };
        }
        if heard.count < KNOWN {
            return Suspicion::Lower;
        }
        if heard.early < EARLY_MAX {
            return Suspicion::Mishap;
        }
        match heard.early_since.and_then(|since| other.late_since(since)) {
            _ if by_link => Suspicion::Moved,
            Some(late) if late > -lateness / 2.0 => Suspicion::Moved,
            None if heard.early < LATE_MAX => Suspicion::Mishap,
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
        let wander = if dt > LONG { self.alone } else { WANDER };
        let phase = FLICKER * FLICKER * dt + wander * wander * dt.powi(3) / 3.0;
        let (both, rate) = (wander * wander * dt * dt / 2.0, wander * wander * dt);
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

impl Heard {
    fn note(&mut self, at: MonoTime, lateness: f64, gate: f64) {
        self.lately = [Some((at, lateness)), self.lately[0]];
        self.late = if lateness > gate { self.late.saturating_add(1) } else { 0 };
        if lateness < -gate {
            self.early = self.early.saturating_add(1);
            self.early_since = self.early_since.or(Some(at));
        } else {
            (self.early, self.early_since) = (0, None);
        }
    }

    /// How late its last packets were at least; none if they left before.
    fn late_since(&self, since: MonoTime) -> Option<f64> {
        let [(last, late), (first, later)] = [self.lately[0]?, self.lately[1]?];
        (first.min(last) >= since).then_some(late.min(later))
    }
}

impl Gathered {
    fn new(low: Low) -> Self {
        Self { begun: low.at, count: 1, fastest: low }
    }
    fn with(self, low: Low) -> Self {
        let fastest = if low.lateness < self.fastest.lateness { low } else { self.fastest };
        Self { count: self.count + 1, fastest, ..self }
    }
    /// How much wider than of many the fastest of so few scatters.
    fn fewness(&self) -> f64 {
        f64::from(FEW) / f64::from(self.count.min(FEW))
    }
    /// After a silence what was gathered before is worth nothing.
    fn is_recent(&self, at: MonoTime) -> bool {
        (0.0..=LONG).contains(&(at - self.begun).secs_f64())
    }
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

#[cfg(test)]
mod tests {
    use super::*;

    const AHEAD: i64 = 1_795_000_000_000_000_000;

    fn mono(millis: i64) -> MonoTime {
        MonoTime::ZERO + Span::from_millis(millis)
    }

    /// A master that gains 20 ppm, at the end of a cable of 500 ns.
    fn master(at: MonoTime) -> ShowTime {
        ShowTime::from_ns(AHEAD + at.ns() + at.ns() / 50_000)
    }

    const WAY: Span = Span::from_ns(500);
    const STAMPS: StampKind = StampKind::Hardware;

    fn new() -> Estimate {
        Estimate::new(MonoTime::ZERO, Ppm(0.0), Ppm(0.03))
    }

    fn sync(estimate: &mut Estimate, at: MonoTime, late: Span, moved: Span) -> Taken {
        let left = master(at - WAY) + moved;
        estimate.packet(Direction::FromMaster, at + late, left, STAMPS)
    }

    fn ask(estimate: &mut Estimate, at: MonoTime, late: Span, moved: Span) -> Taken {
        estimate.packet(Direction::ToMaster, at, master(at + WAY) + late + moved, STAMPS)
    }

    fn error_ns(estimate: &Estimate, at: MonoTime) -> i64 {
        (estimate.master(at) - master(at)).abs().ns()
    }

    #[test]
    fn ca02_clean_packets_of_both_ways_give_time_rate_and_delay() {
        let mut estimate = new();
        for tick in 0..80 {
            sync(&mut estimate, mono(125 * tick), Span::ZERO, Span::ZERO);
            ask(&mut estimate, mono(125 * tick + 60), Span::ZERO, Span::ZERO);
        }
        assert!(error_ns(&estimate, mono(10_000)) < 30);
        assert!((estimate.rate().0 - 20.0).abs() < 0.05, "{:?}", estimate.rate());
        assert!((estimate.round_trip_ns() - 1_000.0).abs() < 50.0);
        assert!(estimate.is_ripe() && estimate.doubt_ns(mono(10_000)) < 100.0);
    }

    /// P2P: the master's messages come one way only, and the link's delay is measured by itself.
    #[test]
    fn ca02_messages_of_one_way_and_the_links_delay_give_the_same() {
        let mut estimate = new();
        for tick in 0..80 {
            sync(&mut estimate, mono(125 * tick), Span::ZERO, Span::ZERO);
            estimate.link(mono(125 * tick + 60), WAY, STAMPS);
        }
        assert!(error_ns(&estimate, mono(10_000)) < 30);
        assert!((estimate.rate().0 - 20.0).abs() < 0.05, "{:?}", estimate.rate());
        assert!((estimate.round_trip_ns() - 1_000.0).abs() < 50.0);
        let jump = Span::from_micros(100);
        let moved = (80..120)
            .any(|tick| sync(&mut estimate, mono(125 * tick), Span::ZERO, -jump) == Taken::Moved);
        assert!(moved, "a master set back is late for ever");
    }

    #[test]
    fn ca02_questions_once_a_second_are_enough_for_syncs_eight_times_a_second() {
        let mut estimate = new();
        for tick in 0..8 * 12 {
            sync(&mut estimate, mono(125 * tick), Span::ZERO, Span::ZERO);
            if tick % 8 == 0 {
                ask(&mut estimate, mono(125 * tick + 60), Span::ZERO, Span::ZERO);
            }
        }
        assert!(estimate.is_ripe() && error_ns(&estimate, mono(12_000)) < 100);
    }

    /// A jam of one way for a minute: the mean of there and back would be off by half of it.
    #[test]
    fn ca02_while_one_way_is_jammed_the_other_carries_the_clock() {
        let mut estimate = new();
        for tick in 0..8 * 100 {
            let jam = if tick > 8 * 40 { Span::from_micros(200) } else { Span::ZERO };
            assert_eq!(sync(&mut estimate, mono(125 * tick), jam, Span::ZERO), Taken::Well);
            ask(&mut estimate, mono(125 * tick + 60), Span::ZERO, Span::ZERO);
        }
        assert!(
            error_ns(&estimate, mono(100_000)) < 1_000,
            "{}",
            error_ns(&estimate, mono(100_000))
        );
    }

    #[test]
    fn ca02_one_stamp_from_nowhere_changes_nothing_and_a_moved_clock_is_known_by_three() {
        let mut estimate = new();
        let day = Span::from_secs(86_400);
        let run = |estimate: &mut Estimate, ticks: std::ops::Range<i64>, moved: Span| {
            ticks.fold(0, |count, tick| {
                let down = sync(estimate, mono(125 * tick), Span::ZERO, moved);
                let up = ask(estimate, mono(125 * tick + 60), Span::ZERO, moved);
                count + i32::from(down == Taken::Moved) + i32::from(up == Taken::Moved)
            })
        };
        assert_eq!(run(&mut estimate, 0..80, Span::ZERO), 0);
        assert_eq!(run(&mut estimate, 80..81, day), 0);
        assert_eq!(run(&mut estimate, 81..160, Span::ZERO), 0);
        assert!(error_ns(&estimate, mono(20_000)) < 30);
        assert!(run(&mut estimate, 160..164, Span::from_micros(50)) > 0);
    }
}
