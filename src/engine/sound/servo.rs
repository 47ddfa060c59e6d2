//! Tells when each frame of a card is heard, from the card's own time stamps, and keeps show time on it.
//!
//! In: stamps (this frame was at the output when the monotonic clock read that). Out: a [`FrameGrid`] for the next
//! block, how sure it is, and whether the card lost its place. Never: reading a clock.
//!
//! The naive way counts frames from the start; a crystal 100 ppm off is 60 ms late after ten minutes. Following each
//! stamp instead plays the scheduler's jitter as a flutter. Ours: a Kalman filter estimates the line of the stamps
//! (phase and rate), and the grid *slews* onto that line, slower than anyone hears.
//!
//! The estimate is made against the machine's monotonic clock, which nobody steers; only then show time is laid over
//! it. So a box clock that slews onto its master does so in the sound at the same instant, without any lag.

use serde::Serialize;
use units::{MonoTime, Ppm, ShowTime, Span};

use super::render::FrameGrid;

/// How far pitch may be bent to bring sound back to its place: a third of a cent, which nobody hears, mends 0.2 ms
/// a second.
const STEER_LIMIT: Ppm = Ppm(200.0);
/// A displacement is mended at such a pace that it would be gone in a second: slower than the filter's own noise.
const STEER_SPAN_NS: f64 = 1e9;
/// Slewing further than this would take half a minute: a cut under the block's silence is less wrong.
const JUMP: Span = Span::from_millis(5);
/// Twice the worst crystal we have seen in a card (USB, 250 ppm). What is beyond is not paced by a crystal at all.
const CRYSTAL_LIMIT: Ppm = Ppm(500.0);
/// How sure a crystal's rate is after a gap: what made the gap may have bent it.
const CRYSTAL_DOUBT: Ppm = Ppm(5.0);
/// How a crystal's rate wanders: 0.02 ppm in a second, as one does that the stage's lamps warm.
const WANDER_PER_NS: f64 = 0.02e-6 * 0.02e-6 / 1e9;
/// What stamps are taken to be worth before any has been compared: interrupts of a busy desktop kernel.
const JITTER_FIRST_NS: f64 = 100_000.0;
/// No stamp is believed to be better; hardware counts in steps of its bursts.
const JITTER_LEAST_NS: f64 = 1_000.0;
/// A stamp this many deviations away is a mishap, not news.
const OUTLIER: f64 = 6.0;
/// So many mishaps in a row are no mishaps: the card has lost its place.
const OUTLIERS_MAX: u32 = 20;
/// With so many stamps and this deviation sound may begin: below what the ear tells from one place.
const SETTLED: (u32, f64) = (8, 50_000.0);
/// With so many stamps it may begin whatever they are like; waiting would not make them better soon.
const SETTLED_ANYWAY: u32 = 64;

/// A frame was at the output at an instant.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Stamp {
    /// Counted from the card's start, never reset by a gap.
    pub frame: i64,
    /// When.
    pub at: MonoTime,
}

/// How far the servo is to be trusted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum ServoState {
    /// Too few stamps yet; the card plays silence.
    Settling,
    /// Show time is on the card.
    Locked,
    /// The stamps are further from the card's rate than any crystal is: nothing paces it.
    Unpaced,
}

/// What became of a stamp.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Taken {
    /// It agreed.
    Good,
    /// It was far off, or told nothing new; the line goes on without it.
    Ignored,
    /// Too many were far off: the card has lost its place, and the line begins anew here.
    Gap,
}

/// One card's servo.
#[derive(Debug, Clone)]
pub struct Servo {
    nominal_ns: f64,
    /// What is known of the crystal before the first stamp: its rate, and how sure that is.
    crystal: (f64, f64),
    line: Option<Line>,
    /// Variance of stamps, square nanoseconds.
    jitter: f64,
    stamps: u32,
    outliers: u32,
    /// What the next block was promised, and its frame.
    next: Option<(i64, FrameGrid)>,
    /// What is still to be slewed, nanoseconds.
    behind_ns: f64,
}

/// Where and how fast the card is, with the covariance of both (nanoseconds, and nanoseconds a nanosecond).
#[derive(Debug, Clone, Copy)]
struct Line {
    frame: i64,
    at: MonoTime,
    fraction_ns: f64,
    rate: f64,
    p_phase: f64,
    p_cross: f64,
    p_rate: f64,
}

impl Servo {
    /// For a card that calls itself `rate_hz`.
    pub fn new(rate_hz: u32) -> Self {
        Self {
            nominal_ns: 1e9 / f64::from(rate_hz.max(1)),
            crystal: (0.0, CRYSTAL_LIMIT.0 * 1e-6),
            line: None,
            jitter: JITTER_FIRST_NS * JITTER_FIRST_NS,
            stamps: 0,
            outliers: 0,
            next: None,
            behind_ns: 0.0,
        }
    }

    /// Takes a stamp.
    pub fn stamp(&mut self, stamp: Stamp) -> Taken {
        let Some(mut line) = self.line else {
            self.line = Some(Line::new(stamp, self.jitter, self.crystal));
            return Taken::Good;
        };
        if stamp.frame <= line.frame {
            return Taken::Ignored;
        }
        line.predict(stamp.frame, self.nominal_ns);
        let off = (stamp.at - line.at).ns() as f64 - line.fraction_ns;
        if off.abs() > OUTLIER * (line.p_phase + self.jitter).sqrt() {
            return self.outlier();
        }
        self.outliers = 0;
        self.stamps = self.stamps.saturating_add(1);
        self.learn_jitter(off * off - line.p_phase);
        line.correct(off, self.jitter);
        self.line = Some(line);
        Taken::Good
    }

    /// The card has lost its place (an xrun, a reopening). Its crystal is still the one we know.
    pub fn lose(&mut self) {
        self.stamps = 0;
        self.outliers = 0;
        self.next = None;
        self.behind_ns = 0.0;
        if let Some(line) = self.line.take() {
            self.crystal = (line.rate, line.p_rate.sqrt().max(CRYSTAL_DOUBT.0 * 1e-6));
        }
    }

    /// The grid of the block that begins at `frame`; none while sound may not begin.
    /// `show` lays show time over the monotonic clock.
    pub fn next(
        &mut self,
        frame: i64,
        frames: usize,
        show: impl Fn(MonoTime) -> ShowTime,
    ) -> Option<FrameGrid> {
        let line = self.line.filter(|_| self.is_settled())?;
        let goal = self.goal(&line, frame, show);
        let grid = match self.next {
            Some((next, grid)) if next == frame => self.steer(grid, goal),
            _ => goal,
        };
        self.next = Some((frame + frames as i64, grid.skip(frames)));
        Some(grid)
    }

    /// When a frame is at the output, as far as it can be told; none before the first stamp.
    pub fn heard(&self, frame: i64) -> Option<MonoTime> {
        let line = self.line?;
        let (at, fraction_ns) = line.at(frame, self.nominal_ns);
        Some(at + Span::from_ns(fraction_ns.round() as i64))
    }

    /// How far it is to be trusted.
    pub fn state(&self) -> ServoState {
        match self.line {
            Some(line) if line.rate.abs() > CRYSTAL_LIMIT.0 * 1e-6 => ServoState::Unpaced,
            Some(_) if self.is_settled() => ServoState::Locked,
            _ => ServoState::Settling,
        }
    }

    /// Where sound is at most from where show time says, with 95 % certainty; none while nobody can tell.
    pub fn error(&self) -> Option<Span> {
        let line = self.line.filter(|_| self.is_settled())?;
        let ns = 2.0 * line.p_phase.sqrt() + self.behind_ns.abs();
        Some(Span::from_ns(ns.ceil() as i64))
    }

    /// How much faster the card runs than the monotonic clock; none while nobody can tell.
    pub fn drift(&self) -> Option<Ppm> {
        let line = self.line.filter(|_| self.is_settled())?;
        Some(Ppm((1.0 / (1.0 + line.rate) - 1.0) * 1e6))
    }

    fn is_settled(&self) -> bool {
        let sure = |line: &Line| line.p_phase.sqrt() < SETTLED.1;
        self.stamps >= SETTLED_ANYWAY
            || self.stamps >= SETTLED.0 && self.line.is_some_and(|line| sure(&line))
    }

    fn outlier(&mut self) -> Taken {
        self.outliers += 1;
        if self.outliers < OUTLIERS_MAX {
            return Taken::Ignored;
        }
        self.lose();
        Taken::Gap
    }

    /// Over some hundred stamps; sooner at first, but so that a few lucky stamps do not shut out honest ones.
    fn learn_jitter(&mut self, seen: f64) {
        let share = (1.0 / (f64::from(self.stamps) + 16.0)).max(1.0 / 256.0);
        let learnt = self.jitter + share * (seen - self.jitter);
        self.jitter = learnt.clamp(JITTER_LEAST_NS * JITTER_LEAST_NS, 1e14);
    }

    /// Where the block ought to be.
    fn goal(&self, line: &Line, frame: i64, show: impl Fn(MonoTime) -> ShowTime) -> FrameGrid {
        // A second ahead, so that the overlay's whole nanoseconds do not round the rate.
        let second = (1e9 / self.nominal_ns).round() as i64;
        let (head, head_ns) = line.at(frame, self.nominal_ns);
        let (tail, tail_ns) = line.at(frame + second, self.nominal_ns);
        let (first, last) = (show(head), show(tail));
        let span_ns = (last - first).ns() as f64 + tail_ns - head_ns;
        FrameGrid { first, fraction_ns: head_ns, frame_ns: span_ns / second as f64 }
    }

    /// From where the block would be towards where it ought to be.
    fn steer(&mut self, grid: FrameGrid, goal: FrameGrid) -> FrameGrid {
        let off = goal.first - grid.first;
        self.behind_ns = off.ns() as f64 + goal.fraction_ns - grid.fraction_ns;
        if off.abs() > JUMP {
            self.behind_ns = 0.0;
            return goal;
        }
        let limit = STEER_LIMIT.0 * 1e-6;
        let bend = (self.behind_ns / STEER_SPAN_NS).clamp(-limit, limit);
        FrameGrid { frame_ns: goal.frame_ns * (1.0 + bend), ..grid }
    }
}

impl Line {
    fn new(stamp: Stamp, jitter: f64, (rate, doubt): (f64, f64)) -> Self {
        Self {
            frame: stamp.frame,
            at: stamp.at,
            fraction_ns: 0.0,
            rate,
            p_phase: jitter,
            p_cross: 0.0,
            p_rate: doubt * doubt,
        }
    }

    /// When a frame is at the output: whole nanoseconds and the rest.
    fn at(&self, frame: i64, nominal_ns: f64) -> (MonoTime, f64) {
        let gone = (frame - self.frame) as f64 * nominal_ns * (1.0 + self.rate) + self.fraction_ns;
        let whole = gone.floor();
        (self.at + Span::from_ns(whole as i64), gone - whole)
    }

    /// On to a later frame; the longer, the less sure.
    fn predict(&mut self, frame: i64, nominal_ns: f64) {
        let dt = (frame - self.frame) as f64 * nominal_ns;
        (self.at, self.fraction_ns) = self.at(frame, nominal_ns);
        self.frame = frame;
        self.p_phase += dt * (2.0 * self.p_cross + dt * (self.p_rate + dt * WANDER_PER_NS / 3.0));
        self.p_cross += dt * (self.p_rate + dt * WANDER_PER_NS / 2.0);
        self.p_rate += dt * WANDER_PER_NS;
    }

    /// Halfway to what a stamp says, by how sure each of the two is.
    fn correct(&mut self, off_ns: f64, jitter: f64) {
        let sum = self.p_phase + jitter;
        let (phase, rate) = (self.p_phase / sum, self.p_cross / sum);
        let moved = self.fraction_ns + phase * off_ns;
        let whole = moved.floor();
        self.at += Span::from_ns(whole as i64);
        self.fraction_ns = moved - whole;
        self.rate += rate * off_ns;
        self.p_rate -= rate * self.p_cross;
        self.p_cross *= 1.0 - phase;
        self.p_phase *= 1.0 - phase;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock::Overlay;

    const RATE: u32 = 48_000;
    const PERIOD: i64 = 240;
    const FRAME_NS: f64 = 1e9 / RATE as f64;

    /// A card with a crystal, whose stamps tremble.
    struct SimCrystal {
        ppm: f64,
        jitter_ns: f64,
        seed: u64,
        /// What an xrun has added.
        shift_ns: f64,
    }

    impl SimCrystal {
        fn new(ppm: f64, jitter_ns: f64, seed: u64) -> Self {
            Self { ppm, jitter_ns, seed: seed * 2 + 1, shift_ns: 0.0 }
        }
        /// When a frame is truly at the output.
        fn truth(&self, frame: i64) -> MonoTime {
            let ns = frame as f64 * FRAME_NS / Ppm(self.ppm).ratio() + self.shift_ns;
            MonoTime::from_ns(7_000_000_000 + ns.round() as i64)
        }
        /// Evenly from one side of the jitter to the other.
        fn chance(&mut self) -> f64 {
            self.seed ^= self.seed << 13;
            self.seed ^= self.seed >> 7;
            self.seed ^= self.seed << 17;
            (self.seed >> 11) as f64 / (1_u64 << 52) as f64 - 1.0
        }
        fn stamp(&mut self, frame: i64) -> Stamp {
            let off = Span::from_ns((self.chance() * self.jitter_ns).round() as i64);
            Stamp { frame, at: self.truth(frame) + off }
        }
    }

    fn overlay() -> Overlay {
        Overlay::new(MonoTime::ZERO, ShowTime::from_ns(1_795_000_000_000_000_000), Ppm(0.0))
    }

    /// Runs periods of a card and gives the worst distance of a block from the truth after `settle`, in frames.
    fn run(
        servo: &mut Servo,
        card: &mut SimCrystal,
        periods: std::ops::Range<i64>,
        settle: i64,
        overlay: impl Fn(i64) -> Overlay,
    ) -> f64 {
        let mut worst = 0.0_f64;
        for period in periods.clone() {
            let (frame, overlay) = (period * PERIOD, overlay(period));
            servo.stamp(card.stamp(frame - 3 * PERIOD));
            let Some(grid) = servo.next(frame, PERIOD as usize, |mono| overlay.show(mono)) else {
                continue;
            };
            if period - periods.start >= settle {
                let off =
                    (grid.first - overlay.show(card.truth(frame))).ns() as f64 + grid.fraction_ns;
                worst = worst.max(off.abs() / FRAME_NS);
            }
        }
        worst
    }

    const SECOND: i64 = RATE as i64 / PERIOD;

    #[test]
    fn a_card_100_ppm_off_with_trembling_stamps_stays_within_a_sample_for_ten_minutes() {
        for (seed, ppm) in [(1, 100.0), (2, -100.0), (3, 0.0), (4, 250.0)] {
            let (mut servo, mut card) = (Servo::new(RATE), SimCrystal::new(ppm, 200_000.0, seed));
            let worst = run(&mut servo, &mut card, 0..600 * SECOND, 10 * SECOND, |_| overlay());
            assert!(worst < 1.0, "{ppm} ppm: {worst} frames");
            let drift = servo.drift().expect("locked");
            assert!((drift.0 - ppm).abs() < 1.0, "{ppm} ppm: {drift:?}");
            assert_eq!(servo.state(), ServoState::Locked);
        }
    }

    #[test]
    fn sound_may_begin_within_a_fifth_of_a_second_and_a_twelfth_of_a_millisecond() {
        let (mut servo, mut card) = (Servo::new(RATE), SimCrystal::new(100.0, 200_000.0, 5));
        assert_eq!(servo.state(), ServoState::Settling);
        assert!(servo.error().is_none() && servo.heard(0).is_none());
        let worst = run(&mut servo, &mut card, 0..SECOND, 0, |_| overlay());
        assert!(worst < 4.0, "{worst} frames");
        let mut again = Servo::new(RATE);
        run(&mut again, &mut card, 0..SECOND / 5, 0, |_| overlay());
        assert_eq!(again.state(), ServoState::Locked);
    }

    #[test]
    fn a_perfect_card_is_left_alone_to_the_nanosecond() {
        let (mut servo, mut card) = (Servo::new(RATE), SimCrystal::new(0.0, 0.0, 6));
        let worst = run(&mut servo, &mut card, 0..60 * SECOND, 0, |_| overlay());
        assert!(worst * FRAME_NS < 1.5, "{} ns", worst * FRAME_NS);
    }

    #[test]
    fn the_box_clock_slews_onto_its_master_and_the_sound_goes_with_it() {
        let (mut servo, mut card) = (Servo::new(RATE), SimCrystal::new(40.0, 100_000.0, 7));
        let (start, slewing) =
            (overlay(), Overlay::new(MonoTime::ZERO, overlay().show(MonoTime::ZERO), Ppm(0.0)));
        let turn = card.truth(30 * SECOND * PERIOD);
        let slewed = Overlay::new(turn, slewing.show(turn), Ppm(100.0));
        let clock = |period| if period < 30 * SECOND { start } else { slewed };
        let worst = run(&mut servo, &mut card, 0..60 * SECOND, 10 * SECOND, clock);
        assert!(worst < 1.0, "{worst} frames");
    }

    #[test]
    fn pitch_is_never_bent_by_more_than_a_third_of_a_cent() {
        let (mut servo, mut card) = (Servo::new(RATE), SimCrystal::new(0.0, 0.0, 8));
        run(&mut servo, &mut card, 0..SECOND, 0, |_| overlay());
        let shifted = Overlay::new(
            MonoTime::ZERO,
            overlay().show(MonoTime::ZERO) + Span::from_millis(4),
            Ppm(0.0),
        );
        for period in SECOND..30 * SECOND {
            servo.stamp(card.stamp((period - 3) * PERIOD));
            let grid = servo
                .next(period * PERIOD, PERIOD as usize, |mono| shifted.show(mono))
                .expect("settled");
            assert!((grid.frame_ns / FRAME_NS - 1.0).abs() < 201e-6);
        }
        assert!(servo.error().expect("settled") < Span::from_micros(10));
    }

    #[test]
    fn after_an_xrun_it_is_back_on_show_time_within_a_sample_and_keeps_what_it_learnt() {
        let (mut servo, mut card) = (Servo::new(RATE), SimCrystal::new(100.0, 200_000.0, 9));
        run(&mut servo, &mut card, 0..30 * SECOND, 0, |_| overlay());
        servo.lose();
        assert_eq!(servo.state(), ServoState::Settling);
        card.shift_ns = 37_123_456.0;
        let worst =
            run(&mut servo, &mut card, 30 * SECOND..90 * SECOND, 10 * SECOND, |_| overlay());
        assert!(worst < 1.0, "{worst} frames");
    }

    #[test]
    fn a_gap_that_nobody_reports_is_noticed_by_its_stamps() {
        let (mut servo, mut card) = (Servo::new(RATE), SimCrystal::new(10.0, 50_000.0, 10));
        run(&mut servo, &mut card, 0..10 * SECOND, 0, |_| overlay());
        card.shift_ns = 20_000_000.0;
        let taken: Vec<Taken> = (10 * SECOND..10 * SECOND + 20)
            .map(|period| servo.stamp(card.stamp(period * PERIOD)))
            .collect();
        assert_eq!(taken.iter().filter(|it| **it == Taken::Gap).count(), 1);
        assert_eq!(servo.state(), ServoState::Settling);
        let worst =
            run(&mut servo, &mut card, 11 * SECOND..31 * SECOND, 10 * SECOND, |_| overlay());
        assert!(worst < 1.0, "{worst} frames");
    }

    #[test]
    fn a_single_late_stamp_moves_nothing() {
        let (mut servo, mut card) = (Servo::new(RATE), SimCrystal::new(10.0, 20_000.0, 11));
        run(&mut servo, &mut card, 0..10 * SECOND, 0, |_| overlay());
        let late = card.stamp(10 * SECOND * PERIOD);
        let before = servo.heard(late.frame);
        assert_eq!(
            servo.stamp(Stamp { at: late.at + Span::from_millis(30), ..late }),
            Taken::Ignored
        );
        assert_eq!(servo.heard(late.frame), before);
    }

    #[test]
    fn a_device_that_nothing_paces_is_never_called_locked() {
        let mut servo = Servo::new(RATE);
        for n in 0..200 {
            servo.stamp(Stamp { frame: n * PERIOD, at: MonoTime::from_ns(n * 3_000_000) });
        }
        assert_ne!(servo.state(), ServoState::Locked);
    }

    proptest::proptest! {
        #[test]
        fn whatever_stamps_say_the_grid_goes_forwards(
            stamps in proptest::collection::vec((proptest::prelude::any::<i64>(), proptest::prelude::any::<i64>()), 1..200),
        ) {
            let mut servo = Servo::new(RATE);
            for (n, (frame, at)) in stamps.into_iter().enumerate() {
                servo.stamp(Stamp { frame: frame >> 20, at: MonoTime::from_ns(at >> 8) });
                if let Some(grid) = servo.next(n as i64 * 240, 240, |mono| overlay().show(mono)) {
                    proptest::prop_assert!(grid.frame_ns > 0.0 && grid.frame_ns.is_finite());
                }
            }
        }
    }
}
