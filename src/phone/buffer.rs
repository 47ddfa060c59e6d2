//! How long live sound waits at a phone so that it does not tear (SX-14, SX-15).
//!
//! In: round trips, how long each chunk was on its way, chunks that never came or were not there when they were due, and
//! the time. Out: a [`Quality`] and a size: how long after it was sent a chunk is to be heard at the earliest. Never here:
//! a chunk, a clock.
//!
//! Every 200 ms what came in since is a *measure*; round trip and loss are smoothed, and the level that they mean has a
//! size in the document. That table alone tears: a network of 30 ms that loses a packet makes everything behind it wait
//! for 200. So the size is never less than what the slowest chunk of the last five minutes would have needed, and a phone
//! that knows nothing yet begins with the largest. Between measures the size moves by no more than 10 % in a second, down
//! a tenth as fast and only while all is well; a tear adds a fifth at once.

use std::collections::VecDeque;

use units::{MonoTime, Span};

pub use wire::quality::Quality;

/// (SX-15.)
const MEASURE_EVERY: Span = Span::from_millis(200);
/// (SX-15: 10 %/s; so much in each measure, the fifth root of 1.1.)
const CLIMB: f64 = 1.019_244_876_491_456;
/// A tenth of that: whoever comes down as fast as he went up meets the next gap unprepared.
const SINK: f64 = 0.998_1;
/// (SX-15.)
const JUMP: f64 = 1.2;
/// So long all must have been well.
const STABLE_AFTER: Span = Span::from_secs(5);
/// What a network did once it does again: packets that are sent anew, phones that roam.
const REMEMBERED: usize = 1_500;
/// The slowest so far is not the slowest to come.
const MARGIN: f64 = 1.2;
/// From the page's own thread to the sound thread.
const HANDLING_MS: f64 = 10.0;
/// After a longer sleep nothing is made up for.
const SLEEP_MAX: Span = Span::from_secs(2);

/// The adaptive buffer.
#[derive(Debug, Clone)]
pub struct Buffer {
    size_ms: f64,
    next: MonoTime,
    /// Since when all is well.
    well_since: MonoTime,
    jumped: Option<MonoTime>,
    rtt_ms: Smooth,
    loss: Smooth,
    measure: Measure,
    /// The slowest chunk of each measure, milliseconds, oldest first; 0 where none came.
    slowest_ms: VecDeque<f32>,
}

/// What came in since the last one.
#[derive(Debug, Clone, Copy, Default)]
struct Measure {
    rtt_ms: f64,
    rtts: u32,
    delay_ms: f64,
    slowest_ms: f64,
    chunks: u32,
    missing: u32,
}

/// A value that wanders, seen through noise (Kalman, one state).
#[derive(Debug, Clone, Copy)]
struct Smooth {
    value: Option<f64>,
    variance: f64,
    /// How far it wanders from one measure to the next, squared.
    wander: f64,
    /// How far off a measure is, squared.
    noise: f64,
}

impl Buffer {
    /// Nothing is known yet at `now`.
    pub fn new(now: MonoTime) -> Self {
        Self {
            size_ms: Quality::Critical.buffer().millis_f64(),
            next: now + MEASURE_EVERY,
            well_since: now,
            jumped: None,
            rtt_ms: Smooth::new(2.0, 10.0),
            loss: Smooth::new(0.005, 0.05),
            measure: Measure::default(),
            slowest_ms: VecDeque::new(),
        }
    }

    /// A question came back after so long.
    pub fn handle_rtt(&mut self, rtt: Span) {
        self.measure.rtt_ms += rtt.millis_f64();
        self.measure.rtts += 1;
    }

    /// A chunk came, so long after it was sent.
    pub fn handle_chunk(&mut self, delay: Span) {
        let delay_ms = delay.millis_f64().max(0.0);
        self.measure.chunks += 1;
        self.measure.delay_ms += delay_ms;
        self.measure.slowest_ms = self.measure.slowest_ms.max(delay_ms);
    }

    /// So many chunks never came.
    pub fn handle_missing(&mut self, now: MonoTime, chunks: u32) {
        self.measure.missing = self.measure.missing.saturating_add(chunks);
        self.well_since = now;
    }

    /// A chunk was not there when it was due: a fifth more at once, though not for each chunk behind the same gap.
    pub fn handle_underrun(&mut self, now: MonoTime) {
        self.well_since = now;
        if self.jumped.is_none_or(|last| now - last >= MEASURE_EVERY) {
            self.jumped = Some(now);
            self.set(self.size_ms * JUMP);
        }
    }

    /// Measures, if it is time.
    pub fn tick(&mut self, now: MonoTime) {
        if now - self.next > SLEEP_MAX {
            (self.next, self.well_since) = (now, now);
        }
        while self.next <= now {
            let measure = std::mem::take(&mut self.measure);
            self.take(&measure);
            self.adapt();
            self.next += MEASURE_EVERY;
        }
    }

    /// When to call [`Buffer::tick`] again.
    pub fn next_wake(&self) -> MonoTime {
        self.next
    }

    /// How long after it was sent a chunk is heard at the earliest.
    pub fn size(&self) -> Span {
        Span::from_secs_f64(self.size_ms / 1e3)
    }

    /// The level as smoothed; none while no round trip is known, which is not the worst of levels.
    pub fn quality(&self) -> Option<Quality> {
        let loss = self.loss.value.unwrap_or(0.0);
        let rtt = self.rtt_ms.value.map(|ms| Span::from_secs_f64(ms / 1e3));
        rtt.map(|rtt| Quality::of(rtt, loss))
    }

    /// Share of chunks that never came, smoothed; none while nothing is known.
    pub fn loss(&self) -> Option<f64> {
        self.loss.value
    }

    /// Whether it wants to be larger than it may be yet.
    pub fn is_climbing(&self) -> bool {
        self.wanted_ms() > self.size_ms
    }

    fn take(&mut self, measure: &Measure) {
        let due = measure.chunks + measure.missing;
        if due > 0 {
            self.loss.see(f64::from(measure.missing) / f64::from(due));
        }
        // A round trip that nobody asked for is twice the way down.
        if measure.rtts > 0 {
            self.rtt_ms.see(measure.rtt_ms / f64::from(measure.rtts));
        } else if measure.chunks > 0 {
            self.rtt_ms.see(2.0 * measure.delay_ms / f64::from(measure.chunks));
        }
        self.slowest_ms.push_back(measure.slowest_ms as f32);
        if self.slowest_ms.len() > REMEMBERED {
            self.slowest_ms.pop_front();
        }
    }

    fn adapt(&mut self) {
        let wanted = self.wanted_ms();
        if wanted > self.size_ms {
            self.set((self.size_ms * CLIMB).min(wanted));
        } else if self.next - self.well_since >= STABLE_AFTER {
            self.set((self.size_ms * SINK).max(wanted));
        }
    }

    fn wanted_ms(&self) -> f64 {
        let slowest =
            self.slowest_ms.iter().copied().fold(self.measure.slowest_ms as f32, f32::max);
        let level = self.quality().unwrap_or(Quality::Critical).buffer().millis_f64();
        bounded(level.max(f64::from(slowest) * MARGIN + HANDLING_MS))
    }

    fn set(&mut self, size_ms: f64) {
        self.size_ms = bounded(size_ms);
    }
}

fn bounded(size_ms: f64) -> f64 {
    let [least, most] = [Quality::Excellent, Quality::Critical].map(|it| it.buffer().millis_f64());
    size_ms.clamp(least, most)
}

impl Smooth {
    fn new(wander: f64, noise: f64) -> Self {
        Self { value: None, variance: noise * noise, wander: wander * wander, noise: noise * noise }
    }

    fn see(&mut self, measured: f64) {
        self.variance += self.wander;
        let gain = self.variance / (self.variance + self.noise);
        self.variance *= 1.0 - gain;
        self.value = Some(self.value.map_or(measured, |value| value + gain * (measured - value)));
    }
}

#[cfg(test)]
mod tests;
