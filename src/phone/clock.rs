//! What time is it at the box?
//!
//! In: exchanges of four time stamps (SX-09). Out: [`Reading`]s: network time, how wrong it may be, how fast
//! the box's crystal runs against ours. Never: sockets, the pace of asking.
//!
//! The naive way averages `((t2 - t1) + (t3 - t4)) / 2`. In a full venue it fails, because packets queue: the
//! uplink waits while a thousand phones talk, the average follows the queue, and the phone is heard late.
//! Taking the exchange with the lowest round trip is better, but a burst on the downlink then also throws away
//! an uplink that was clean. So we look at each direction by itself: no packet is faster than its way allows,
//! hence the lowest of many is the way itself. The two floors lie on two lines that tilt by the same skew in
//! opposite directions; the tilt that lifts both floors highest is the true one. Half the difference between
//! the floors is the offset. What remains is half the asymmetry of the way, which no time stamp shows; it is
//! at most half the round trip, and that is the bound we give.

use std::collections::VecDeque;

use units::{MonoTime, Ppm, Span};

use crate::line::{Line, median};
use crate::scale::{NetTime, secs};

/// One question and its answer.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Exchange {
    /// When we asked.
    pub t1: MonoTime,
    /// When the box heard it.
    pub t2: NetTime,
    /// When the box answered.
    pub t3: NetTime,
    /// When we heard it.
    pub t4: MonoTime,
}

impl Exchange {
    /// The time both ways took (SX-09): `(t4 - t1) - (t3 - t2)`.
    pub fn rtt(&self) -> Span {
        (self.t4 - self.t1) - (self.t3 - self.t2)
    }

    /// Box minus phone by this exchange alone (SX-09): `((t2 - t1) + (t3 - t4)) / 2`.
    pub fn offset(&self) -> Span {
        let there = self.t2.ns().saturating_sub(self.t1.ns());
        let back = self.t3.ns().saturating_sub(self.t4.ns());
        Span::from_ns(there.midpoint(back))
    }
}

/// What the estimate says at a moment.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Reading {
    /// Network time.
    pub net: NetTime,
    /// How wrong it may be, either way.
    pub bound: Span,
    /// How much faster the box's crystal runs than ours.
    pub rate: Ppm,
}

/// The estimate.
#[derive(Debug, Clone, Default)]
pub struct Clock {
    /// Box minus phone by the first exchange; all else is small beside it.
    base: Option<Span>,
    seconds: VecDeque<Second>,
    fit: Option<Fit>,
    grain: Grain,
    count: u32,
    suspects: u8,
}

/// The lowest of each direction within about a second. What is above it says nothing more.
#[derive(Debug, Clone, Copy)]
struct Second {
    since: f64,
    up: Low,
    down: Low,
}

/// Whether an exchange looks as if a clock had been moved.
enum Suspicion {
    None,
    Early,
}

/// A lowest one-way time: when, and how much, in seconds. It holds the offset, so only differences mean something.
#[derive(Debug, Clone, Copy)]
struct Low {
    x: f64,
    value: f64,
}

#[derive(Debug, Clone, Copy)]
struct Fit {
    /// Offset above `base` against the phone's seconds.
    offset: Line,
    /// The lowest round trip, seconds.
    floor: f64,
    /// How far a second's lows typically lie above the floors, seconds.
    noise: f64,
    /// From the first to the last exchange that counts, seconds.
    length: f64,
    last: f64,
}

/// A minute: long enough to see a crystal's skew through a crowd, short enough for it to stay one line.
const WINDOW_SECS: f64 = 60.0;
/// After a long silence the old seconds are worth more than one new answer that waited in a queue, so they go only
/// once as many new ones stand in their place.
const SECONDS_MIN: usize = 12;
/// Exchanges until the estimate is fit to start sound by. The opening burst gives them in under a second.
const SETTLED_AFTER: u32 = 5;
/// Phones' crystals against a box's: one sigma. Beyond 500 ppm no crystal is.
const SKEW_USUAL: f64 = 20e-6;
const SKEW_MAX: f64 = 500e-6;

impl Clock {
    /// Takes one exchange in. One that contradicts itself (answered before it was asked) is ignored.
    pub fn handle(&mut self, exchange: Exchange) {
        if exchange.t4 < exchange.t1 || exchange.t3 < exchange.t2 || exchange.rtt() < Span::ZERO {
            return;
        }
        self.grain.see(exchange.t1);
        self.grain.see(exchange.t4);
        let base = *self.base.get_or_insert_with(|| exchange.offset());
        let (up, down) = lows(&exchange, base);
        match self.suspicion(up, down) {
            Suspicion::None => self.suspects = 0,
            Suspicion::Early if self.suspects == 0 => return self.suspects = 1,
            Suspicion::Early => return self.begin_again(exchange),
        }
        self.count += 1;
        self.keep(up, down);
        self.fit = self.fitted();
    }

    /// Network time at `now`, from the first exchange on.
    pub fn reading(&self, now: MonoTime) -> Option<Reading> {
        let (base, fit) = (self.base?, self.fit?);
        let x = secs(now);
        let above = fit.offset.value(x) - self.grain.bias_secs();
        Some(Reading {
            net: NetTime::from_ns(now.ns()) + base + Span::from_secs_f64(above),
            bound: Span::from_secs_f64(fit.bound(x) + self.grain.bias_secs()),
            rate: Ppm(fit.offset.slope * 1e6),
        })
    }

    /// The page's time at this network time.
    pub fn mono_at(&self, net: NetTime) -> Option<MonoTime> {
        // The offset moves by parts per million, so a second look is exact to the nanosecond.
        let mut at = MonoTime::from_ns((net - self.base?).ns());
        for _ in 0..2 {
            at = at + (net - self.reading(at)?.net);
        }
        Some(at)
    }

    /// Whether sound may start by it.
    pub fn is_settled(&self) -> bool {
        self.count >= SETTLED_AFTER
    }

    /// No packet beats its way. One that comes far too early in one direction and far too late in the other
    /// says that a clock was moved (a phone slept, a box was replaced); two in a row prove it.
    fn suspicion(&self, up: Low, down: Low) -> Suspicion {
        let Some(fit) = self.fit.filter(|_| self.count >= 3) else { return Suspicion::None };
        let early_up = fit.up(up.x) - up.value;
        let early_down = fit.down(down.x) - down.value;
        let early = early_up.max(early_down);
        let late = -early_up.min(early_down);
        let tolerance =
            0.001 + 0.5 * fit.floor + 6.0 * fit.noise + 100e-6 * (up.x - fit.last).abs();
        if early > tolerance && late > early / 2.0 { Suspicion::Early } else { Suspicion::None }
    }

    fn begin_again(&mut self, exchange: Exchange) {
        let slope = self.fit.map_or(0.0, |fit| fit.offset.slope);
        let base = exchange.offset();
        let (up, down) = lows(&exchange, base);
        *self =
            Self { base: Some(base), grain: self.grain, count: SETTLED_AFTER, ..Self::default() };
        self.keep(up, down);
        self.fit = self.fitted().map(|fit| Fit { offset: Line { slope, ..fit.offset }, ..fit });
    }

    fn keep(&mut self, up: Low, down: Low) {
        match self.seconds.back_mut() {
            Some(second) if (0.0..1.0).contains(&(down.x - second.since)) => {
                second.up = second.up.lower(up);
                second.down = second.down.lower(down);
            }
            _ => self.seconds.push_back(Second { since: down.x, up, down }),
        }
        let is_old = |first: &Second| first.since < down.x - WINDOW_SECS;
        while self.seconds.len() > SECONDS_MIN && self.seconds.front().is_some_and(is_old) {
            self.seconds.pop_front();
        }
    }

    fn fitted(&self) -> Option<Fit> {
        let (first, last) = (self.seconds.front()?, self.seconds.back()?);
        let at = first.since.midpoint(last.since);
        let usual = self.fit.map_or(0.0, |fit| fit.offset.slope);
        let noise = self.fit.map_or(0.0, |fit| fit.noise);
        let slope = self.tilt(at, usual, 30e-6 + noise / 4.0);
        let (up, down) = self.floors(at, slope);
        Some(Fit {
            offset: Line { at, value: (up - down) / 2.0, slope },
            floor: (up + down).max(0.0),
            noise: self.noise(at, slope, up, down),
            length: last.since - first.since,
            last: last.since,
        })
    }

    /// The skew that lifts the two floors highest, held near the usual one by `doubt` seconds: a window of a
    /// second must not invent a skew. The height is concave in the skew, so thirds find its top.
    fn tilt(&self, at: f64, usual: f64, doubt: f64) -> f64 {
        let height = |slope: f64| {
            let (up, down) = self.floors(at, slope);
            let far = (slope - usual) / SKEW_USUAL;
            up + down - doubt * far * far
        };
        let (mut low, mut high) = (-SKEW_MAX, SKEW_MAX);
        for _ in 0..40 {
            let third = (high - low) / 3.0;
            if height(low + third) < height(high - third) { low += third } else { high -= third }
        }
        low.midpoint(high)
    }

    /// The lowest uplink and downlink once a skew is taken out.
    fn floors(&self, at: f64, slope: f64) -> (f64, f64) {
        self.seconds.iter().fold((f64::INFINITY, f64::INFINITY), |(up, down), second| {
            (
                up.min(second.up.value - slope * (second.up.x - at)),
                down.min(second.down.value + slope * (second.down.x - at)),
            )
        })
    }

    fn noise(&self, at: f64, slope: f64, up: f64, down: f64) -> f64 {
        let over = |second: &Second| {
            let over_up = second.up.value - slope * (second.up.x - at) - up;
            let over_down = second.down.value + slope * (second.down.x - at) - down;
            over_up.midpoint(over_down)
        };
        let mut overs: Vec<f64> = self.seconds.iter().map(over).collect();
        median(&mut overs).unwrap_or(0.0)
    }
}

impl Fit {
    fn up(&self, x: f64) -> f64 {
        self.floor / 2.0 + self.offset.value(x)
    }

    fn down(&self, x: f64) -> f64 {
        self.floor / 2.0 - self.offset.value(x)
    }

    /// Half the round trip is what asymmetry can hide; then it grows by what the skew may be wrong.
    fn bound(&self, x: f64) -> f64 {
        let skew_doubt = SKEW_USUAL * 2.0 / (1.0 + self.length / 5.0);
        self.floor / 2.0 + self.noise / 2.0 + skew_doubt * (x - self.last).abs()
    }
}

impl Low {
    fn lower(self, other: Self) -> Self {
        if other.value < self.value { other } else { self }
    }
}

fn lows(exchange: &Exchange, base: Span) -> (Low, Low) {
    let one_way = |span: i64| Span::from_ns(span).secs_f64();
    let up = exchange.t2.ns().saturating_sub(exchange.t1.ns()).saturating_sub(base.ns());
    let down = exchange.t4.ns().saturating_sub(exchange.t3.ns()).saturating_add(base.ns());
    (
        Low { x: secs(exchange.t1), value: one_way(up) },
        Low { x: secs(exchange.t4), value: one_way(down) },
    )
}

/// How coarse the page's clock is. Browsers round it down to 0.1 ms or 1 ms, so that a page cannot spy; the
/// lowest downlink then seems shorter by up to a whole step, and the offset greater by half of one.
#[derive(Debug, Clone, Copy, Default)]
struct Grain {
    step_us: Option<u16>,
}

impl Grain {
    fn see(&mut self, at: MonoTime) {
        let micros = at.ns().saturating_add(500).div_euclid(1_000);
        let fits = |step: &u16| micros % i64::from(*step) == 0;
        let step = [1000, 100].into_iter().find(fits).unwrap_or(0);
        self.step_us = Some(self.step_us.map_or(step, |known| known.min(step)));
    }

    fn bias_secs(self) -> f64 {
        f64::from(self.step_us.unwrap_or(0)) / 2e6
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::chance::Chance;

    /// A box that is `ahead` of the phone and drifts by `skew`, at the end of a way with these floors.
    struct SimBox {
        ahead: Span,
        skew: Ppm,
        floor_up: f64,
        floor_down: f64,
        queue: f64,
        chance: Chance,
    }

    impl SimBox {
        fn net(&self, at: f64) -> NetTime {
            NetTime::from_ns((at * self.skew.ratio() * 1e9) as i64) + self.ahead
        }

        fn ask(&mut self, at: f64) -> Exchange {
            let up = self.floor_up + self.wait();
            let down = self.floor_down + self.wait();
            let mono = |x: f64| MonoTime::from_ns((x * 1e9) as i64);
            let (heard, said) = (at + up, at + up + 0.0002);
            Exchange {
                t1: mono(at),
                t2: self.net(heard),
                t3: self.net(said),
                t4: mono(said + down),
            }
        }

        /// Queues are empty now and then, and long at times.
        fn wait(&mut self) -> f64 {
            let share = self.chance.share();
            -self.queue * (1.0 - share).ln()
        }

        fn error_ms(&self, clock: &Clock, at: f64) -> f64 {
            let now = MonoTime::from_ns((at * 1e9) as i64);
            (clock.reading(now).expect("asked before").net - self.net(at)).millis_f64()
        }
    }

    fn sim_box(seed: u128) -> SimBox {
        SimBox {
            ahead: Span::from_secs(1_790_000_000),
            skew: Ppm(30.0),
            floor_up: 0.002,
            floor_down: 0.002,
            queue: 0.0,
            chance: Chance::new(seed),
        }
    }

    fn talk(far: &mut SimBox, clock: &mut Clock, from: f64, count: u32, every: f64) -> f64 {
        for k in 0..count {
            clock.handle(far.ask(from + f64::from(k) * every));
        }
        from + f64::from(count) * every
    }

    #[test]
    fn sx09_rtt_and_offset_are_the_documents_own() {
        let mono = MonoTime::from_ns;
        let exchange = Exchange {
            t1: mono(1_000),
            t2: NetTime::from_ns(11_500),
            t3: NetTime::from_ns(11_700),
            t4: mono(2_000),
        };
        assert_eq!(exchange.rtt(), Span::from_ns(800));
        assert_eq!(exchange.offset(), Span::from_ns(10_100));
    }

    #[test]
    fn a_quiet_network_gives_the_box_time_within_microseconds_and_its_skew() {
        let (mut far, mut clock) = (sim_box(1), Clock::default());
        let at = talk(&mut far, &mut clock, 3.000_123_4, 60, 1.000_01);
        assert!(far.error_ms(&clock, at).abs() < 0.02, "{}", far.error_ms(&clock, at));
        let rate = clock.reading(MonoTime::from_ns(0)).expect("asked").rate;
        assert!((rate.0 - 30.0).abs() < 2.0, "{rate:?}");
    }

    #[test]
    fn one_second_of_burst_does_not_invent_a_skew() {
        let (mut far, mut clock) = (sim_box(2), Clock::default());
        far.queue = 0.003;
        talk(&mut far, &mut clock, 1.0, 10, 0.1);
        let rate = clock.reading(MonoTime::from_ns(0)).expect("asked").rate;
        assert!(clock.is_settled() && rate.0.abs() < 60.0, "{rate:?}");
    }

    #[test]
    fn a_dead_link_leaves_the_clock_running_on_its_skew_and_the_bound_grows() {
        let (mut far, mut clock) = (sim_box(3), Clock::default());
        let at = talk(&mut far, &mut clock, 0.012_34, 60, 1.000_01);
        let bound =
            |x: f64| clock.reading(MonoTime::from_ns((x * 1e9) as i64)).expect("asked").bound;
        assert!(far.error_ms(&clock, at + 60.0).abs() < 0.3);
        assert!(bound(at + 60.0) > bound(at));
    }

    #[test]
    fn a_slow_first_answer_after_minutes_away_moves_nothing() {
        let (mut far, mut clock) = (sim_box(7), Clock::default());
        let at = talk(&mut far, &mut clock, 0.012_34, 60, 1.000_01) + 180.0;
        far.floor_down += 0.2;
        talk(&mut far, &mut clock, at, 1, 1.0);
        assert!(far.error_ms(&clock, at).abs() < 0.5, "{}", far.error_ms(&clock, at));
        far.floor_down -= 0.2;
        let at = talk(&mut far, &mut clock, at + 1.0, 40, 1.000_01);
        assert!(far.error_ms(&clock, at).abs() < 0.05);
        assert!(clock.seconds.len() < 60, "and the old ones go at last");
    }

    #[test]
    fn a_phone_that_slept_with_its_clock_stopped_knows_the_time_again_after_two_answers() {
        let (mut far, mut clock) = (sim_box(4), Clock::default());
        let at = talk(&mut far, &mut clock, 0.012_34, 30, 1.000_01);
        far.ahead += Span::from_secs(40);
        talk(&mut far, &mut clock, at, 2, 1.0);
        assert!(far.error_ms(&clock, at + 2.0).abs() < 1.0);
        let at = talk(&mut far, &mut clock, at + 2.0, 20, 1.0);
        assert!(far.error_ms(&clock, at).abs() < 0.05);
    }

    #[test]
    fn one_absurd_answer_moves_nothing() {
        let (mut far, mut clock) = (sim_box(5), Clock::default());
        let at = talk(&mut far, &mut clock, 0.012_34, 30, 1.000_01);
        let mut lie = far.ask(at);
        lie.t2 = lie.t2 - Span::from_millis(500);
        lie.t3 = lie.t3 - Span::from_millis(500);
        clock.handle(lie);
        talk(&mut far, &mut clock, at + 1.0, 1, 1.0);
        assert!(far.error_ms(&clock, at + 2.0).abs() < 0.05);
    }

    #[test]
    fn a_page_clock_of_whole_milliseconds_is_told_and_mended() {
        let (mut far, mut clock) = (sim_box(6), Clock::default());
        far.queue = 0.001;
        for k in 0..120 {
            let mut exchange = far.ask(f64::from(k) * 0.498_7);
            for t in [&mut exchange.t1, &mut exchange.t4] {
                *t = MonoTime::from_ns(t.ns().div_euclid(1_000_000) * 1_000_000);
            }
            clock.handle(exchange);
        }
        assert!(far.error_ms(&clock, 60.0).abs() < 0.25, "{}", far.error_ms(&clock, 60.0));
    }

    #[test]
    fn hostile_stamps_never_panic() {
        let mut clock = Clock::default();
        let ends = [i64::MIN, -1, 0, 1, i64::MAX];
        for k in 0..ends.len().pow(4) {
            let end = |place: u32| ends[k / ends.len().pow(place) % ends.len()];
            clock.handle(Exchange {
                t1: MonoTime::from_ns(end(0)),
                t2: NetTime::from_ns(end(1)),
                t3: NetTime::from_ns(end(2)),
                t4: MonoTime::from_ns(end(3)),
            });
            clock.reading(MonoTime::from_ns(end(3)));
            clock.mono_at(NetTime::from_ns(end(2)));
        }
    }

    #[test]
    fn in_a_crowd_the_error_stays_within_the_bound_it_claims() {
        for seed in 0..300 {
            let mut chance = Chance::new(seed);
            let mut between = |low: f64, high: f64| low + (high - low) * chance.share();
            let skew = Ppm(between(-80.0, 80.0));
            let (queue, up, down) =
                (between(0.0, 0.02), between(0.0005, 0.01), between(0.0005, 0.01));
            let mut far = SimBox { skew, queue, floor_up: up, floor_down: down, ..sim_box(seed) };
            let mut clock = Clock::default();
            let at = talk(&mut far, &mut clock, 0.000_017, 10, 0.125);
            let at = talk(&mut far, &mut clock, at, 45, 1.000_003);
            let bound = clock
                .reading(MonoTime::from_ns((at * 1e9) as i64))
                .expect("asked")
                .bound
                .millis_f64();
            let error = far.error_ms(&clock, at).abs();
            assert!(error <= bound, "seed {seed}: error {error} ms, bound {bound} ms");
            // What the queues add to the way's own asymmetry is a fraction of them.
            let asymmetry = (up - down).abs() / 2.0 * 1e3;
            assert!(error <= asymmetry + 0.1 + queue * 1e3 / 4.0, "seed {seed}: error {error} ms");
        }
    }
}
