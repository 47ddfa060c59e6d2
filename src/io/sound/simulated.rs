//! No card: the machine's clock is the crystal, and what is played is heard by nobody. Reports go on as with a card,
//! so a box without one runs the whole show.

use std::thread;

use engine::order::Evidence;
use engine::sound::Stamp;
use units::{MonoTime, Span};

use super::card::{Buffer, Want};
use super::output::{Facts, Fault, Output};
use crate::clock::BoxClock;

/// Blocks in its buffer, whatever a card would be given: each is a time to wake, and nobody hears what comes late.
const BLOCKS: usize = 2;

pub(super) struct Simulated {
    facts: Facts,
    clock: BoxClock,
    start: MonoTime,
    written: i64,
}

impl Simulated {
    pub(super) fn open(want: &Want, clock: BoxClock) -> Self {
        let Buffer { period, periods } = want.buffer;
        let buffer = period.times(i64::from(periods)).secs_f64() * f64::from(want.rate_hz);
        let period = (buffer.round() as usize / BLOCKS).max(1);
        let facts = Facts {
            name: "simulated".into(),
            rate_hz: want.rate_hz,
            channels: want.channels,
            period,
            buffer: period * BLOCKS,
            evidence: Evidence::Simulated,
        };
        let start = clock.mono_now();
        Self { facts, clock, start, written: 0 }
    }

    /// When a frame is at the output that does not exist.
    fn at(&self, frame: i64) -> MonoTime {
        let ns = i128::from(frame) * 1_000_000_000 / i128::from(self.facts.rate_hz);
        self.start + Span::from_ns(ns as i64)
    }
}

impl Output for Simulated {
    fn facts(&self) -> &Facts {
        &self.facts
    }
    fn wait(&mut self) -> Result<Option<Stamp>, Fault> {
        let heard = self.written - self.facts.buffer as i64;
        // Like a card, it begins to play when it holds all it can.
        if heard < 0 {
            return Ok(None);
        }
        if heard == 0 {
            self.start = self.clock.mono_now();
        }
        let due = self.at(heard);
        let left = due - self.clock.mono_now();
        if left < -self.facts.span(self.facts.buffer) {
            // The machine slept. A card would have run dry; so does this one.
            let lost = (-left).secs_f64() * f64::from(self.facts.rate_hz);
            self.written += lost as i64;
            return Err(Fault::Dry);
        }
        thread::sleep(left.to_std());
        Ok(Some(Stamp { frame: heard, at: due }))
    }
    fn write(&mut self, _block: &[f32]) -> Result<(), Fault> {
        self.written += self.facts.period as i64;
        Ok(())
    }
    fn written(&self) -> i64 {
        self.written
    }
    fn drain(&mut self) {}
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sound::card::Device;

    #[test]
    fn a_card_that_has_only_been_opened_has_not_run_dry() {
        let buffer = Buffer { period: Span::from_millis(5), periods: 5 };
        let want = Want { device: Device::Simulated, channels: 2, rate_hz: 48_000, buffer };
        let mut card = Simulated::open(&want, BoxClock::free());
        for _ in 0..BLOCKS {
            assert!(matches!(card.wait(), Ok(None)), "it is being filled");
            card.write(&[]).expect("it takes everything");
        }
        let first = card.wait().expect("it has just begun").expect("it plays now");
        assert_eq!(first.frame, 0);
    }
}
