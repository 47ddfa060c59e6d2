//! Which audio time is heard at which page time, and how sure is that?
//!
//! In: stamps of the AudioContext, a few a second. Out: audio time against page time as a line, *as heard*:
//! the way from the context to the ear is in it as far as the browser knows it; and what that knowledge is worth.
//! Never: Web Audio itself.
//!
//! `currentTime` moves in blocks and says when a sample is *made*; the output stamp says when one *leaves*.
//! Both jitter by milliseconds, so one pair is worth little and the middle of many is worth a lot.
//!
//! Browsers lie, and each lie sounds like an echo of the phone next to it. Some give stamps of zero before the first
//! sample, stamps that stand still, stamps of a time to come, or stamps that are `currentTime` by another name, which
//! would mean that sound leaves as it is made. Others give two words for one latency that do not agree, and with
//! Bluetooth the figure is large and made up. None of these is believed: a latency is what most of many stamps say,
//! between what no output can do and what no listener would bear, and a doubtful one is used for want of a better but
//! never vouched for.

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
    way: Way,
    /// The middle distance of points from the line, seconds.
    scatter: f64,
    /// The stamp before, by which one that stands still is known.
    last_left: Option<(AudioTime, MonoTime)>,
    last_made: Option<AudioTime>,
    /// What was known before the context slept.
    before: Option<Before>,
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
    /// What the browser told is seldom true: more than 100 ms (usually Bluetooth), or two words that do not agree.
    Doubtful,
}

/// Whose word is taken for the latency, and what it says, seconds.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
enum Way {
    #[default]
    None,
    Stamps(f64, Path),
    Latency(f64, Path),
}

/// What a sleep leaves as it was: a card keeps its crystal, and a browser what it says of the way to the ear.
#[derive(Debug, Clone, Copy)]
struct Before {
    slope: f64,
    way: Way,
}

/// A stamp as far as it says something.
#[derive(Debug, Clone, Copy)]
struct Point {
    x: f64,
    /// `currentTime` minus page, seconds.
    made: f64,
    /// When the output stamp was taken, and audio minus page by it.
    left: Option<(f64, f64)>,
    told: Option<f64>,
}

/// Half a minute at four stamps a second tells 10 ppm through 2 ms of jitter.
const POINTS_MAX: usize = 120;
/// A context needs this many before a track may start by it.
const POINTS_MIN: usize = 6;
/// Of one that has slept more is known: the middle of three is not moved by one that is wrong.
const POINTS_AWAKE: usize = 3;
/// `currentTime` and the stamp stand still for as long: a page that has much to do looks again and sees nothing new.
const APART_SECS: f64 = 0.02;
/// Beyond it a stamp belongs to another life of the context (it slept, or the headphones changed).
const STRAY_SECS: f64 = 0.025;
const STRAYS_MAX: u8 = 3;
/// More is no latency but a broken stamp.
const LATENCY_MAX_SECS: f64 = 1.0;
/// Less is none at all: no output holds under a block of 128 frames.
const LATENCY_MIN_SECS: f64 = 0.001;
/// `currentTime` moves in blocks and a true stamp does not, so they part by more, even where the latency is nothing.
const ECHO_SECS: f64 = 0.000_2;
const LATENCY_DOUBTFUL_SECS: f64 = 0.1;
/// Stamps and `outputLatency` may be a large buffer apart, no more.
const WORDS_APART_SECS: f64 = 0.05;
/// No sound card is further off its frequency.
const SKEW_MAX: f64 = 500e-6;
/// Before this much has been seen, a slope would be drawn from jitter.
const SLOPE_AFTER_SECS: f64 = 5.0;
/// Stamps on Android are off by up to 5 ms that no stamp shows; nobody has measured better of the others.
const REPORTED_SIGMA_SECS: f64 = 0.0025;
/// Neighbours err alike, and the slope errs with them: so many stamps are worth one.
const ALIKE: f64 = 8.0;

impl AudioClock {
    /// Takes a stamp in.
    pub fn handle(&mut self, stamp: &Stamp) {
        if self.points.back().is_some_and(|last| secs(stamp.at) - last.x < APART_SECS) {
            return;
        }
        let stands = self.stands(stamp);
        let point = self.point(stamp);
        if stands {
            return self.handle_standing();
        }
        if self.is_stray(&point) {
            self.strays += 1;
            if self.strays < STRAYS_MAX {
                return;
            }
            self.points.clear();
            (self.line, self.slips) = (None, Slips::default());
        }
        self.strays = 0;
        self.points.push_back(point);
        self.follow_slip(&point);
        if self.points.len() > POINTS_MAX {
            self.points.pop_front();
        }
        self.way = self.way();
        self.line = self.fitted();
        self.scatter = self.scatter();
    }

    /// The context sleeps: what is heard when is known no more.
    pub fn sleep(&mut self) {
        let slept = self.line.map(|line| Before { slope: line.slope, way: self.way });
        let (last_left, last_made) = (self.last_left, self.last_made);
        let before = slept.filter(|_| self.is_settled()).or(self.before);
        *self = Self { before, last_left, last_made, ..Self::default() };
    }

    /// Whether a track may start by it.
    pub fn is_settled(&self) -> bool {
        match self.before {
            Some(_) => self.heard().take(POINTS_AWAKE).count() == POINTS_AWAKE,
            None => self.points.len() >= POINTS_MIN,
        }
    }

    /// Whether it waits for looks after a sleep, of which more is known than of a context that is new.
    pub fn is_waking(&self) -> bool {
        self.before.is_some() && !self.is_settled()
    }

    /// What is known about the way to the ear.
    pub fn path(&self) -> Path {
        match self.way {
            Way::None => Path::Unknown,
            Way::Stamps(_, path) | Way::Latency(_, path) => path,
        }
    }

    /// The latency that is reckoned with.
    pub fn latency(&self) -> Option<Span> {
        match self.way {
            Way::None => None,
            Way::Stamps(latency, _) | Way::Latency(latency, _) => {
                Some(Span::from_secs_f64(latency))
            }
        }
    }

    /// The standard deviation of the line itself, as the scatter of its points shows it.
    pub fn line_sigma(&self) -> Span {
        let worth = (self.points.len() as f64 / ALIKE).max(1.0);
        // The middle distance of a bell curve is two thirds of its standard deviation.
        Span::from_secs_f64(self.scatter / 0.674_5 / worth.sqrt())
    }

    /// How wrong it may be by what the browser says, as a standard deviation; none where nobody can vouch for it.
    pub fn reported_sigma(&self) -> Option<Span> {
        let told = self.path() == Path::Told && self.is_settled();
        let sigma = self.line_sigma().secs_f64().hypot(REPORTED_SIGMA_SECS);
        told.then_some(Span::from_secs_f64(sigma))
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

    fn point(&mut self, stamp: &Stamp) -> Point {
        let (x, made) = (secs(stamp.at), secs(stamp.made) - secs(stamp.at));
        let moved = stamp.left.filter(|left| self.last_left.replace(*left) != Some(*left));
        let left = moved.map(|(audio, mono)| (secs(mono), secs(audio) - secs(mono)));
        let told = stamp.latency.map(Span::secs_f64);
        Point {
            x,
            made,
            left: left.filter(|(at, ahead)| *at < x + STRAY_SECS && is_plausible(made - ahead)),
            told: told.filter(|told| *told >= LATENCY_MIN_SECS && is_plausible(*told)),
        }
    }

    /// Whether nothing was made and nothing has left since the look before.
    fn stands(&mut self, stamp: &Stamp) -> bool {
        let place = |left: Option<(AudioTime, MonoTime)>| left.map(|(audio, _)| audio);
        let has_left = place(stamp.left).is_some() && place(stamp.left) != place(self.last_left);
        self.last_made.replace(stamp.made) == Some(stamp.made) && !has_left
    }

    /// A context says that it runs before its sound does, after a call by up to a second. What was seen meanwhile is of no
    /// clock: sound that began by it would come as much too late.
    fn handle_standing(&mut self) {
        if self.points.len() == 1 {
            self.points.clear();
            (self.line, self.way) = (None, Way::None);
        }
    }

    fn is_stray(&self, point: &Point) -> bool {
        self.miss(point).is_some_and(|miss| miss.abs() > STRAY_SECS)
    }

    /// How far from the line it is, be it by `currentTime` alone.
    fn miss(&self, point: &Point) -> Option<f64> {
        let latency = self.latency().map_or(0.0, Span::secs_f64);
        let (x, ahead) = point.heard(self.way).unwrap_or((point.x, point.made - latency));
        self.line.map(|line| ahead - line.value(x))
    }

    /// Where the sound stood still, what came before it lies beside the line by as much, and its slope is still true.
    /// Looks of one moment err together, and a look without a stamp errs by a block: neither is a witness.
    fn follow_slip(&mut self, point: &Point) {
        let last = self.points.iter().rev().nth(1);
        if last.is_some_and(|last| point.x - last.x < APART_SECS) || point.heard(self.way).is_none()
        {
            return;
        }
        let Some(slip) = self.miss(point).and_then(|miss| self.slips.see(miss)) else { return };
        self.points.iter_mut().rev().skip(SURE_AFTER).for_each(|before| before.slip(slip));
    }

    /// Stamps count where most looks have one and they say more than `currentTime` does; else `outputLatency`.
    fn way(&self) -> Way {
        let most = |values: Vec<f64>| {
            let mut values = (values.len() * 2 >= self.points.len()).then_some(values)?;
            median(&mut values)
        };
        let stamps = || self.points.iter().filter_map(|it| it.left.map(|(_, left)| it.made - left));
        let says_more =
            most(stamps().map(f64::abs).collect()).is_some_and(|apart| apart > ECHO_SECS);
        let told = most(self.points.iter().filter_map(|it| it.told).collect());
        match (most(stamps().collect()).filter(|_| says_more), told, self.before_now()) {
            (Some(stamps), told, _) => Way::Stamps(stamps, judged(stamps, told)),
            (None, _, Some(before @ Way::Stamps(..))) => before,
            (None, Some(told), _) => Way::Latency(told, judged(told, None)),
            (None, None, before) => before.unwrap_or(Way::None),
        }
    }

    /// Whose word was taken before a sleep, until there are looks enough to judge anew.
    fn before_now(&self) -> Option<Way> {
        self.before.filter(|_| self.points.len() < POINTS_MIN).map(|before| before.way)
    }

    fn heard(&self) -> impl Iterator<Item = (f64, f64)> + '_ {
        self.points.iter().filter_map(|point| point.heard(self.way))
    }

    fn fitted(&self) -> Option<Line> {
        let (at, slope) = (self.points.back()?.x, self.slope());
        let mut level: Vec<f64> = self.heard().map(|(x, ahead)| ahead - slope * (x - at)).collect();
        // `currentTime` stands still between blocks: a look is late, never early, so the truth is near the top.
        let share = if self.way == Way::None { 0.9 } else { 0.5 };
        Some(Line { at, value: quantile(&mut level, share)?, slope })
    }

    /// The middle of the slopes between each point and the one half the window later: outliers have no say.
    fn slope(&self) -> f64 {
        let points: Vec<(f64, f64)> = self.heard().collect();
        let length = points.last().map_or(0.0, |last| last.0 - points[0].0);
        if length < SLOPE_AFTER_SECS {
            return self.before.map_or(0.0, |before| before.slope);
        }
        let pairs = points.iter().zip(&points[points.len() / 2..]);
        let mut slopes: Vec<f64> = pairs
            .filter(|(early, late)| late.0 - early.0 > 1.0)
            .map(|(early, late)| (late.1 - early.1) / (late.0 - early.0))
            .collect();
        median(&mut slopes).unwrap_or(0.0).clamp(-SKEW_MAX, SKEW_MAX)
    }

    fn scatter(&self) -> f64 {
        let Some(line) = self.line else { return 0.0 };
        let mut off: Vec<f64> =
            self.heard().map(|(x, ahead)| (ahead - line.value(x)).abs()).collect();
        median(&mut off).unwrap_or(0.0)
    }
}

impl Point {
    fn slip(&mut self, by: f64) {
        self.made += by;
        self.left.iter_mut().for_each(|(_, ahead)| *ahead += by);
    }

    /// When, and audio minus page of what is heard then.
    fn heard(&self, way: Way) -> Option<(f64, f64)> {
        match way {
            Way::None => Some((self.x, self.made)),
            Way::Stamps(..) => self.left,
            Way::Latency(latency, _) => Some((self.x, self.made - self.told.unwrap_or(latency))),
        }
    }
}

/// A stamp of all zeros is what some browsers give before the first sample.
fn is_plausible(latency_secs: f64) -> bool {
    (-STRAY_SECS..LATENCY_MAX_SECS).contains(&latency_secs)
}

fn judged(latency_secs: f64, other: Option<f64>) -> Path {
    let disagree = other.is_some_and(|other| (other - latency_secs).abs() > WORDS_APART_SECS);
    match latency_secs {
        ..LATENCY_MIN_SECS => Path::Unknown,
        ..=LATENCY_DOUBTFUL_SECS if !disagree => Path::Told,
        _ => Path::Doubtful,
    }
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

    /// Looks every 25 ms from a time on at a context that slept until then and stands for a while longer.
    fn woken(mut clock: AudioClock, slept: f64, stands: f64, looks: i32) -> (AudioClock, f64) {
        let mut chance = Chance::new(11);
        let (asleep, mut at) = (40.0, 40.0 + slept);
        clock.handle(&look(asleep, &mut chance, 0.002));
        clock.sleep();
        for _ in 0..looks {
            at += 0.025;
            let gone = (at - (asleep + slept + stands)).max(0.0);
            let seen = look(asleep + gone, &mut chance, if gone > 0.0 { 0.000_4 } else { 0.0 });
            let left = seen.left.map(|(audio, _)| (audio, from_secs(at)));
            clock.handle(&Stamp { at: from_secs(at), left, ..seen });
        }
        (clock, at - (slept + stands))
    }

    #[test]
    fn after_a_sleep_three_looks_are_enough_and_the_crystal_is_still_known() {
        let (slept, looks) = (5.0, 4);
        let (clock, _) = woken(watched(30, 0.000_4), slept, 0.0, looks);
        assert!(clock.is_settled() && (clock.rate() - 1.000_08).abs() < 10e-6, "{}", clock.rate());
        // Ten seconds on nothing but what was known: a crystal unknown would be 0.8 ms off.
        let at = 50.0 + slept;
        let truth = (at - slept - 1.0) * 1.000_08 - 0.02;
        let off = secs(clock.audio_at(from_secs(at)).expect("settled")) - truth;
        assert!(off.abs() < 0.000_5, "{off}");
    }

    #[test]
    fn a_context_that_stands_though_it_says_it_runs_settles_nothing() {
        let stands = 0.6;
        let (clock, _) = woken(watched(30, 0.002), 5.0, stands, 23);
        assert!(!clock.is_settled() && clock.is_waking(), "it stands still");
        let (clock, place) = woken(watched(30, 0.002), 5.0, stands, 30);
        assert!(clock.is_settled() && !clock.is_waking());
        let at = place + 5.0 + stands;
        let off = secs(clock.audio_at(from_secs(at)).expect("settled"));
        assert!((off - ((place - 1.0) * 1.000_08 - 0.02)).abs() < 0.002, "{off}");
        let mut fresh = AudioClock::default();
        let still = |k: i32| Stamp {
            at: from_secs(1.0 + f64::from(k) * 0.05),
            made: from_secs(0.012),
            left: None,
            latency: Some(Span::from_millis(30)),
        };
        (0..20).for_each(|k| fresh.handle(&still(k)));
        assert!(!fresh.is_settled(), "and so with one that is new");
    }

    #[test]
    fn there_and_back_is_the_same_moment() {
        let clock = watched(30, 0.002);
        let at = from_secs(37.5);
        let back = clock.mono_at(clock.audio_at(at).expect("watched")).expect("watched");
        assert!((back - at).abs() < Span::from_micros(1));
    }

    #[test]
    fn a_page_that_looks_six_times_in_one_moment_sees_no_slip() {
        let (mut clock, mut chance) = (AudioClock::default(), Chance::new(4));
        for k in 0..80 {
            let at = 10.0 + f64::from(k) * 0.25;
            let first = look(at, &mut chance, 0.000_1);
            clock.handle(&first);
            // The stamp has not moved; `currentTime` is at another place in its block.
            let again = |j: i32| Stamp {
                at: from_secs(at + f64::from(j) * 0.000_2),
                made: first.made - Span::from_micros(2_800),
                ..first
            };
            (0..5).for_each(|j| clock.handle(&again(j)));
            assert!(error_ms(&clock, at).abs() < 0.2, "{k}: {}", error_ms(&clock, at));
        }
    }

    #[test]
    fn a_true_stamp_counts_even_where_the_latency_is_nothing() {
        let (mut clock, mut chance) = (AudioClock::default(), Chance::new(5));
        for k in 0..40 {
            let at = 10.0 + f64::from(k) * 0.253_1;
            let first = look(at, &mut chance, 0.0);
            // `currentTime` is made in blocks of 10 ms, the stamp is not.
            let block = from_secs((secs(first.made) * 100.0).floor() / 100.0 - 0.016);
            clock.handle(&Stamp { made: block, ..first });
        }
        assert!(error_ms(&clock, 20.0).abs() < 0.01, "{}", error_ms(&clock, 20.0));
        assert_eq!(clock.path(), Path::Unknown, "but it says nothing of the way to the ear");
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

    /// A card with 20 ms of latency in a browser that says of it what it likes.
    fn told(says: impl Fn(f64) -> Stamp) -> AudioClock {
        let mut clock = AudioClock::default();
        (0..40).for_each(|k| clock.handle(&says(10.0 + f64::from(k) * 0.25)));
        clock
    }

    fn bare(at: f64) -> Stamp {
        Stamp { at: from_secs(at), made: from_secs(at - 1.0), left: None, latency: None }
    }

    fn left(at: f64, latency: f64) -> Option<(AudioTime, MonoTime)> {
        Some((from_secs(at - 1.0 - latency), from_secs(at)))
    }

    fn ms(ms: f64) -> Option<Span> {
        Some(Span::from_secs_f64(ms / 1e3))
    }

    #[test]
    fn lies_are_flagged_and_not_believed() {
        type Says = fn(f64) -> Stamp;
        let cases: [(&str, Says, Path, Option<Span>); 9] = [
            ("nothing", bare, Path::Unknown, None),
            ("no latency", |at| Stamp { latency: ms(0.0), ..bare(at) }, Path::Unknown, None),
            ("a latency", |at| Stamp { latency: ms(20.0), ..bare(at) }, Path::Told, ms(20.0)),
            ("Bluetooth", |at| Stamp { latency: ms(180.0), ..bare(at) }, Path::Doubtful, ms(180.0)),
            (
                "stamps of zero",
                |at| Stamp { left: Some((from_secs(0.0), from_secs(0.0))), ..bare(at) },
                Path::Unknown,
                None,
            ),
            (
                "current time again",
                |at| Stamp { left: left(at, 0.0), ..bare(at) },
                Path::Unknown,
                None,
            ),
            (
                "current time again beside a latency",
                |at| Stamp { left: left(at, 0.0), latency: ms(20.0), ..bare(at) },
                Path::Told,
                ms(20.0),
            ),
            (
                "stamps that stand still beside a latency",
                |at| Stamp { left: left(10.0, 0.02), latency: ms(30.0), ..bare(at) },
                Path::Told,
                ms(30.0),
            ),
            (
                "two words",
                |at| Stamp { left: left(at, 0.02), latency: ms(90.0), ..bare(at) },
                Path::Doubtful,
                ms(20.0),
            ),
        ];
        for (name, says, path, latency) in cases {
            let clock = told(says);
            assert_eq!((clock.path(), clock.latency()), (path, latency), "{name}");
            assert_eq!(clock.reported_sigma().is_some(), path == Path::Told, "{name}");
        }
    }

    /// WebKitGTK adds what was played to the time (its 2.38 and 2.50 do): for a second that looks like a latency that grows.
    #[test]
    fn sx18_a_stamp_of_a_time_to_come_says_nothing() {
        let mut clock = AudioClock::default();
        for played in (1..10).map(|k| f64::from(k) * 0.1) {
            let (at, left) = (10.0 + played, played - 0.003);
            clock.handle(&Stamp {
                at: from_secs(at),
                made: from_secs(played),
                left: Some((from_secs(left), from_secs(at + left))),
                latency: ms(0.0),
            });
            assert_eq!((clock.path(), clock.latency()), (Path::Unknown, None), "{played}");
            let heard = secs(clock.audio_at(from_secs(at)).expect("watched"));
            assert!((heard - played).abs() < 1e-6, "{heard} at {played}");
        }
    }

    #[test]
    fn stamps_that_jump_now_and_then_move_nothing() {
        let clock = told(|at| {
            let jump = if (at * 4.0) as i64 % 7 == 0 { 0.4 } else { 0.0 };
            Stamp { left: left(at, 0.02 + jump), ..bare(at) }
        });
        assert_eq!((clock.path(), clock.latency()), (Path::Told, ms(20.0)));
        let off = secs(clock.audio_at(from_secs(20.0)).expect("watched")) - 18.98;
        assert!(off.abs() < 1e-6, "{off}");
    }

    #[test]
    fn the_lines_own_error_covers_the_truth_nearly_always() {
        let (mut outside, trials) = (0, 200);
        for seed in 0..trials {
            let (mut clock, mut chance) = (AudioClock::default(), Chance::new(seed));
            (0..120).for_each(|k| {
                clock.handle(&look(10.0 + f64::from(k) * 0.25, &mut chance, 0.010));
            });
            let two_sigma = clock.line_sigma().millis_f64() * 2.0;
            outside += u32::from(error_ms(&clock, 40.0).abs() > two_sigma);
        }
        assert!(outside <= 15, "{outside} of {trials} outside of two sigma");
    }
}
