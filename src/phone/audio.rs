//! Which audio time is heard at which page time?
//!
//! In: stamps of the AudioContext, a few a second. Out: audio time against page time as a line, *as heard*:
//! the way from the context to the ear is in it as far as the browser knows it. Never: Web Audio itself.
//!
//! `currentTime` moves in blocks and says when a sample is *made*; the output stamp says when one *leaves*.
//! Both jitter by milliseconds, so one pair is worth little and the middle of many is worth a lot.

use std::collections::VecDeque;

use units::{MonoTime, Span};

use crate::line::{Line, median, quantile};
use crate::scale::{AudioTime, from_secs, secs};
use crate::slip::{SURE_AFTER, Slips};

/// One look at the AudioContext.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Stamp {
    /// When we looked.
    pub at: MonoTime,
    /// `currentTime` then.
    pub made: AudioTime,
    /// `getOutputTimestamp()`: what left, and when; none where the browser has no such thing.
    pub left: Option<(AudioTime, MonoTime)>,
    /// `outputLatency`; none where the browser does not say.
    pub latency: Option<Span>,
}

/// Audio time against page time.
#[derive(Debug, Clone, Default)]
pub struct AudioClock {
    points: VecDeque<Point>,
    line: Option<Line>,
    path: Path,
    strays: u8,
    slips: Slips,
}

/// What is known about the way from the context to the ear.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Path {
    /// Nothing: sound is late by a latency nobody told.
    #[default]
    Unknown,
    /// The browser told it.
    Told,
    /// The browser told more than 100 ms: usually Bluetooth, and then seldom true.
    Doubtful,
}

#[derive(Debug, Clone, Copy)]
struct Point {
    x: f64,
    /// Audio minus page, seconds.
    ahead: f64,
}

/// Half a minute at four stamps a second tells 10 ppm through 2 ms of jitter.
const POINTS_MAX: usize = 120;
/// A context needs this many before a track may start by it.
const POINTS_MIN: usize = 6;
/// Beyond it a stamp belongs to another life of the context (it slept, or the headphones changed).
const STRAY_SECS: f64 = 0.025;
const STRAYS_MAX: u8 = 3;
/// More is no latency but a broken stamp.
const LATENCY_MAX_SECS: f64 = 1.0;
const LATENCY_DOUBTFUL_SECS: f64 = 0.1;
/// No sound card is further off its frequency.
const SKEW_MAX: f64 = 500e-6;
/// Before this much has been seen, a slope would be drawn from jitter.
const SLOPE_AFTER_SECS: f64 = 5.0;

impl AudioClock {
    /// Takes a stamp in.
    pub fn handle(&mut self, stamp: &Stamp) {
        let (point, path) = heard(stamp);
        if self.is_stray(point) {
            self.strays += 1;
            if self.strays < STRAYS_MAX {
                return;
            }
            self.points.clear();
            (self.line, self.slips) = (None, Slips::default());
        }
        self.strays = 0;
        self.path = path;
        self.points.push_back(point);
        self.follow_slip(point);
        if self.points.len() > POINTS_MAX {
            self.points.pop_front();
        }
        self.line = self.fitted();
    }

    /// Forgets everything: the context sleeps.
    pub fn reset(&mut self) {
        *self = Self::default();
    }

    /// Whether a track may start by it.
    pub fn is_settled(&self) -> bool {
        self.points.len() >= POINTS_MIN
    }

    /// What is known about the way to the ear.
    pub fn path(&self) -> Path {
        self.path
    }

    /// The audio time that is heard at this page time.
    pub fn audio_at(&self, mono: MonoTime) -> Option<AudioTime> {
        let x = secs(mono);
        self.line.map(|line| from_secs(x + line.value(x)))
    }

    /// The page time at which this audio time is heard.
    pub fn mono_at(&self, audio: AudioTime) -> Option<MonoTime> {
        let Line { at, value, slope } = self.line?;
        Some(from_secs((secs(audio) - value + slope * at) / (1.0 + slope)))
    }

    /// Seconds of audio in a second of the page.
    pub fn rate(&self) -> f64 {
        1.0 + self.line.map_or(0.0, |line| line.slope)
    }

    fn is_stray(&self, point: Point) -> bool {
        self.line.is_some_and(|line| point.miss(line).abs() > STRAY_SECS)
    }

    /// Where the sound stood still, what came before it lies beside the line by as much, and its slope is still true.
    fn follow_slip(&mut self, point: Point) {
        let miss = self.line.map(|line| point.miss(line));
        let Some(slip) = miss.and_then(|miss| self.slips.see(miss)) else { return };
        self.points.iter_mut().rev().skip(SURE_AFTER).for_each(|before| before.ahead += slip);
    }

    fn fitted(&self) -> Option<Line> {
        let at = self.points.back()?.x;
        let slope = self.slope();
        let mut level: Vec<f64> =
            self.points.iter().map(|point| point.ahead - slope * (point.x - at)).collect();
        // `currentTime` stands still between blocks: a look is late, never early, so the truth is near the top.
        let share = if self.path == Path::Unknown { 0.9 } else { 0.5 };
        Some(Line { at, value: quantile(&mut level, share)?, slope })
    }

    /// The middle of the slopes between each point and the one half the window later: outliers have no say.
    fn slope(&self) -> f64 {
        let half = self.points.len() / 2;
        let length = self.points.back().map_or(0.0, |last| last.x - self.points[0].x);
        if length < SLOPE_AFTER_SECS {
            return 0.0;
        }
        let pairs = self.points.iter().zip(self.points.iter().skip(half));
        let mut slopes: Vec<f64> = pairs
            .filter(|(early, late)| late.x - early.x > 1.0)
            .map(|(early, late)| (late.ahead - early.ahead) / (late.x - early.x))
            .collect();
        median(&mut slopes).unwrap_or(0.0).clamp(-SKEW_MAX, SKEW_MAX)
    }
}

impl Point {
    fn miss(self, line: Line) -> f64 {
        self.ahead - line.value(self.x)
    }
}

/// The best that a stamp says about what is heard.
fn heard(stamp: &Stamp) -> (Point, Path) {
    let made = Point { x: secs(stamp.at), ahead: secs(stamp.made) - secs(stamp.at) };
    let left =
        stamp.left.map(|(audio, mono)| Point { x: secs(mono), ahead: secs(audio) - secs(mono) });
    let told = stamp.latency.map(Span::secs_f64);
    match (left.filter(|left| is_plausible(made.ahead - left.ahead)), told.filter(|it| *it > 0.0)) {
        (Some(left), _) => (left, told_by(made.ahead - left.ahead)),
        (None, Some(latency)) if is_plausible(latency) => {
            (Point { ahead: made.ahead - latency, ..made }, told_by(latency))
        }
        (None, _) => (made, Path::Unknown),
    }
}

/// A stamp of all zeros is what some browsers give before the first sample.
fn is_plausible(latency_secs: f64) -> bool {
    (-STRAY_SECS..LATENCY_MAX_SECS).contains(&latency_secs)
}

fn told_by(latency_secs: f64) -> Path {
    if latency_secs > LATENCY_DOUBTFUL_SECS { Path::Doubtful } else { Path::Told }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::chance::Chance;

    /// A sound card 80 ppm fast that is heard 20 ms after it is made, looked at through jitter.
    fn look(at: f64, chance: &mut Chance, jitter: f64) -> Stamp {
        let made = (at - 1.0) * 1.000_08;
        let shake = (chance.share() - 0.5) * jitter;
        Stamp {
            at: from_secs(at),
            made: from_secs(made),
            left: Some((from_secs(made - 0.02 + shake), from_secs(at))),
            latency: None,
        }
    }

    fn watched(seconds: u32, jitter: f64) -> AudioClock {
        let (mut clock, mut chance) = (AudioClock::default(), Chance::new(9));
        for k in 0..seconds * 4 {
            clock.handle(&look(10.0 + f64::from(k) * 0.25, &mut chance, jitter));
        }
        clock
    }

    fn error_ms(clock: &AudioClock, at: f64) -> f64 {
        let truth = (at - 1.0) * 1.000_08 - 0.02;
        (secs(clock.audio_at(from_secs(at)).expect("watched")) - truth) * 1e3
    }

    #[test]
    fn four_milliseconds_of_jitter_become_a_fifth_of_one() {
        let clock = watched(30, 0.004);
        assert!(error_ms(&clock, 40.0).abs() < 0.8 && clock.is_settled());
        assert_eq!(clock.path(), Path::Told);
    }

    #[test]
    fn there_and_back_is_the_same_moment() {
        let clock = watched(30, 0.002);
        let at = from_secs(37.5);
        let back = clock.mono_at(clock.audio_at(at).expect("watched")).expect("watched");
        assert!((back - at).abs() < Span::from_micros(1));
    }

    #[test]
    fn one_stray_stamp_moves_nothing_and_three_begin_a_new_life() {
        let mut clock = watched(10, 0.0);
        let stray = |at: f64| Stamp {
            at: from_secs(at),
            made: from_secs(at - 7.0),
            left: None,
            latency: Some(Span::from_millis(10)),
        };
        clock.handle(&stray(20.0));
        assert!(error_ms(&clock, 20.0).abs() < 0.01);
        clock.handle(&stray(20.1));
        clock.handle(&stray(20.2));
        assert!((secs(clock.audio_at(from_secs(21.0)).expect("watched")) - 13.99).abs() < 1e-6);
        assert!(!clock.is_settled());
    }

    /// Ten minutes of looks by a card whose sound stands still for `slip` seconds after 45 s.
    fn slipped(slip: f64, jitter: f64, seed: u128) -> impl Iterator<Item = (f64, AudioClock)> {
        let (mut clock, mut chance) = (AudioClock::default(), Chance::new(seed));
        (0..2400).map(move |k| {
            let at = 10.0 + f64::from(k) * 0.25;
            let late = if at > 55.0 { slip } else { 0.0 };
            let Stamp { left, made, .. } = look(at, &mut chance, jitter);
            let late = |audio: AudioTime| from_secs(secs(audio) - late);
            let left = left.map(|(audio, mono)| (late(audio), mono));
            clock.handle(&Stamp { at: from_secs(at), made: late(made), left, latency: None });
            (at, clock.clone())
        })
    }

    #[test]
    fn a_buffer_of_silence_is_followed_within_a_second_and_the_crystal_still_known() {
        for (slip, jitter) in [(0.01, 0.0), (0.01, 0.003), (0.02, 0.004), (0.004, 0.0005)] {
            for (at, clock) in slipped(slip, jitter, 4).filter(|(at, _)| *at > 56.1) {
                let off = error_ms(&clock, at) + slip * 1e3;
                assert!(off.abs() < 0.8, "{slip} s, {at}: {off} ms");
                let ppm = (clock.rate() - 1.0) * 1e6;
                assert!((ppm - 80.0).abs() < 80.0 + jitter * 1e5, "{at}: {ppm} ppm");
            }
        }
    }

    #[test]
    fn a_latency_nobody_tells_is_unknown_and_a_long_one_doubtful() {
        let stamp =
            |latency| Stamp { at: from_secs(9.0), made: from_secs(1.0), left: None, latency };
        assert_eq!(heard(&stamp(None)).1, Path::Unknown);
        assert_eq!(heard(&stamp(Some(Span::ZERO))).1, Path::Unknown);
        assert_eq!(heard(&stamp(Some(Span::from_millis(180)))).1, Path::Doubtful);
    }
}
