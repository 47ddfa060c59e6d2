//! A sound input that goes on air: blocks of a card's first channel, each with the time at which it began.
//!
//! In: an ALSA name. Out: samples at 48 kHz by the card's own crystal, and when they were heard. The card's stamps
//! tremble and its crystal is off, so a block begins where the one before ended, drawn slowly to what the stamps say.

use units::{MonoTime, Span};

use super::CardError;
use super::ear::Ear;
use crate::clock::BoxClock;

/// What live sound is at (`wire::solusync::media_data`).
const RATE_HZ: u32 = 48_000;
/// Further off, the card lost sound or stood still.
const LOST: Span = Span::from_millis(20);
/// A trembling stamp moves a block by so much less.
const DRAWN: i64 = 64;

/// The input, running.
pub struct LiveInput {
    ear: Ear,
    next: Option<MonoTime>,
}

impl std::fmt::Debug for LiveInput {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("LiveInput").field("next", &self.next).finish_non_exhaustive()
    }
}

impl LiveInput {
    /// Opens and starts it.
    ///
    /// # Errors
    /// It is not there, is held by another, or does not run at 48 kHz.
    pub fn open(name: &str) -> Result<Self, CardError> {
        let mut ear = Ear::open(name, 0)?;
        if ear.rate_hz() != RATE_HZ {
            let why = format!("it gives {} Hz", ear.rate_hz());
            let asked = format!("to listen at {RATE_HZ} Hz");
            return Err(CardError::Unfit { card: name.into(), asked, why });
        }
        ear.begin()?;
        Ok(Self { ear, next: None })
    }

    /// Waits for so many frames, and says when the first was heard.
    ///
    /// # Errors
    /// The card has gone, or lost frames.
    pub fn read(
        &mut self,
        frames: usize,
        clock: &BoxClock,
    ) -> Result<(Vec<f32>, MonoTime), CardError> {
        let made = begins(self.next, self.ear.next_heard(clock));
        let samples = self.ear.read(frames)?;
        let length = frames as i64 * 1_000_000_000 / i64::from(RATE_HZ);
        self.next = Some(made + Span::from_ns(length));
        Ok((samples, made))
    }
}

/// When a block begins of which the one before says one thing and the stamp another.
fn begins(next: Option<MonoTime>, stamp: MonoTime) -> MonoTime {
    match next.map(|next| (next, stamp - next)) {
        Some((next, off)) if off.abs() <= LOST => next + Span::from_ns(off.ns() / DRAWN),
        _ => stamp,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn trembling_stamps_of_a_crystal_that_is_off_make_even_blocks() {
        let block = |k: i64| Span::from_micros(20_002).times(k);
        let tremble = |k: i64| Span::from_micros([300, -300, 900, -900][k as usize % 4]);
        let mut next = None;
        let mut before: Option<MonoTime> = None;
        for k in 0..1_000 {
            let truth = MonoTime::ZERO + block(k);
            let made = begins(next, truth + tremble(k));
            if k > 500 {
                assert!((made - truth).abs() < Span::from_micros(200), "{k}: {}", made - truth);
                let length = made - before.expect("not the first");
                assert!((length - block(1)).abs() < Span::from_micros(30), "{k}: {length}");
            }
            before = Some(made);
            next = Some(made + Span::from_millis(20));
        }
    }

    #[test]
    fn a_card_that_stood_still_is_believed_at_once() {
        let next = MonoTime::ZERO + Span::from_secs(1);
        let stamp = next + Span::from_millis(150);
        assert_eq!(begins(Some(next), stamp), stamp);
        assert_eq!(begins(None, stamp), stamp);
    }
}
