//! A sound input that goes on air: blocks of a card's first channel, each with the time at which it began.
//!
//! In: an ALSA name. Out: samples at 48 kHz by the card's own crystal, and when they were heard. The card's stamps
//! tremble and its crystal is off, so a block begins where the one before ended, drawn slowly to what the stamps say.
//!
//! It listens from the first block that is asked for. A machine that stood still has let the card's store run over: what is
//! lost is lost, and the card begins anew.

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

/// The input.
pub struct LiveInput(Reader<Ear>);

struct Reader<E> {
    ear: E,
    /// When the next block begins; none where the card is to begin first.
    next: Option<MonoTime>,
}

/// What is asked of a card that listens.
trait Listens {
    /// Listens from now on, whatever was before.
    fn begin(&mut self) -> Result<(), CardError>;
    /// Waits for so many frames; fails where some were lost.
    fn read(&mut self, frames: usize) -> Result<Vec<f32>, CardError>;
    /// When the next frame to be read was heard, or will be.
    fn next_heard(&self, clock: &BoxClock) -> MonoTime;
}

impl Listens for Ear {
    fn begin(&mut self) -> Result<(), CardError> {
        Ear::begin(self)
    }

    fn read(&mut self, frames: usize) -> Result<Vec<f32>, CardError> {
        Ear::read(self, frames)
    }

    fn next_heard(&self, clock: &BoxClock) -> MonoTime {
        Ear::next_heard(self, clock)
    }
}

impl std::fmt::Debug for LiveInput {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("LiveInput").field("next", &self.0.next).finish_non_exhaustive()
    }
}

impl LiveInput {
    /// Opens it.
    ///
    /// # Errors
    /// It is not there, is held by another, or does not run at 48 kHz.
    pub fn open(name: &str) -> Result<Self, CardError> {
        let ear = Ear::open(name, 0)?;
        if ear.rate_hz() != RATE_HZ {
            let why = format!("it gives {} Hz", ear.rate_hz());
            let asked = format!("to listen at {RATE_HZ} Hz");
            return Err(CardError::Unfit { card: name.into(), asked, why });
        }
        Ok(Self(Reader { ear, next: None }))
    }

    /// Waits for so many frames, and says when the first was heard.
    ///
    /// # Errors
    /// The card has gone.
    pub fn read(
        &mut self,
        frames: usize,
        clock: &BoxClock,
    ) -> Result<(Vec<f32>, MonoTime), CardError> {
        self.0.read(frames, clock)
    }
}

impl<E: Listens> Reader<E> {
    fn read(&mut self, frames: usize, clock: &BoxClock) -> Result<(Vec<f32>, MonoTime), CardError> {
        let is_fresh = self.next.is_none();
        if is_fresh {
            self.ear.begin()?;
        }
        let made = begins(self.next, self.ear.next_heard(clock));
        let samples = match self.ear.read(frames) {
            Ok(samples) => samples,
            Err(error) if is_fresh => return Err(error),
            Err(_) => {
                self.next = None;
                return self.read(frames, clock);
            }
        };
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

    /// Its store runs over at the blocks that it is told; gone after so many beginnings.
    struct Worn {
        read: usize,
        runs_over_at: Vec<usize>,
        beginnings: usize,
        beginnings_max: usize,
    }

    impl Listens for Worn {
        fn begin(&mut self) -> Result<(), CardError> {
            self.beginnings += 1;
            if self.beginnings > self.beginnings_max { Err(gone()) } else { Ok(()) }
        }

        fn read(&mut self, frames: usize) -> Result<Vec<f32>, CardError> {
            self.read += 1;
            if self.runs_over_at.contains(&self.read) { Err(gone()) } else { Ok(vec![0.5; frames]) }
        }

        fn next_heard(&self, clock: &BoxClock) -> MonoTime {
            clock.mono_now()
        }
    }

    fn gone() -> CardError {
        CardError::Gone { card: "worn".into(), why: "Broken pipe".into() }
    }

    fn worn(runs_over_at: &[usize], beginnings_max: usize) -> Reader<Worn> {
        let runs_over_at = runs_over_at.to_vec();
        let ear = Worn { read: 0, runs_over_at, beginnings: 0, beginnings_max };
        Reader { ear, next: None }
    }

    #[test]
    fn a_store_that_ran_over_costs_what_was_in_it_and_the_card_goes_on() {
        let clock = BoxClock::free();
        let mut input = worn(&[3, 6], 9);
        assert_eq!(input.ear.beginnings, 0, "it listens once it is asked");
        for _ in 0..6 {
            assert_eq!(input.read(960, &clock).expect("it goes on").0.len(), 960);
        }
        assert_eq!(input.ear.beginnings, 3);
    }

    #[test]
    fn a_card_that_does_not_begin_anew_or_gives_nothing_then_has_gone() {
        let clock = BoxClock::free();
        for (at, beginnings) in [(&[2][..], 1), (&[2, 3], 9), (&[1], 9)] {
            let mut input = worn(at, beginnings);
            let blocks = (0..4).take_while(|_| input.read(960, &clock).is_ok()).count();
            assert_eq!(blocks, at[0] - 1, "{at:?}");
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
