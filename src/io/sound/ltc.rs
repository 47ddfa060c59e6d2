//! LTC from an input of a card.
//!
//! In: a device's name, and a channel. Out: what is heard, each frame with the show time of its first bit. A device
//! that is unplugged is opened again when it is back. Never: a decision about what it means.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use engine::timecode::Heard;
use units::{MonoTime, Span};
use wire::ltc::Decoder;

use super::CardError;
use super::ear::Ear;
use super::pace::Pace;
use crate::clock::BoxClock;

/// From one look to the next: short beside a frame, so that a cue has its head start.
const BLOCK: Span = Span::from_millis(5);
/// What a device that nothing paces may be ahead.
const SLACK: Span = Span::from_millis(50);
/// After a failed opening.
const RETRY: Duration = Duration::from_millis(500);
/// A stamp counts so much in where the input stands.
const STEER: f64 = 1.0 / 64.0;

/// An input that hears LTC. Dropping it ends its thread.
pub struct LtcInput {
    stop: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

impl LtcInput {
    /// Opens it once, to know that it is there; `channel` counts from 0. `report` takes what is heard.
    ///
    /// # Errors
    /// Where it does not open.
    pub fn start(
        name: &str,
        channel: u16,
        clock: BoxClock,
        report: Box<dyn FnMut(Heard) + Send>,
    ) -> Result<Self, CardError> {
        let (name, stop) = (name.to_owned(), Arc::new(AtomicBool::new(false)));
        let first = Ear::open(&name, channel)?;
        let listening = Listening { name, channel, clock, report, stop: stop.clone() };
        let thread = thread::Builder::new()
            .name("ltc".into())
            .spawn(move || listening.run(first))
            .expect("the system gives a thread");
        Ok(Self { stop, thread: Some(thread) })
    }
}

impl Drop for LtcInput {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
        if let Some(thread) = self.thread.take() {
            thread.thread().unpark();
            let _ = thread.join();
        }
    }
}

struct Listening {
    name: String,
    channel: u16,
    clock: BoxClock,
    report: Box<dyn FnMut(Heard) + Send>,
    stop: Arc<AtomicBool>,
}

impl Listening {
    fn run(mut self, first: Ear) {
        let mut ear = Some(first);
        while !self.stop.load(Ordering::Relaxed) {
            match ear.take().map_or_else(|| Ear::open(&self.name, self.channel), Ok) {
                Ok(ear) => {
                    if let Err(error) = self.hear(ear) {
                        tracing::warn!("no LTC: {error}");
                    }
                }
                Err(_) => thread::park_timeout(RETRY),
            }
        }
    }

    /// Until it is time to stop, or the device is lost.
    fn hear(&mut self, mut ear: Ear) -> Result<(), CardError> {
        ear.begin()?;
        let rate_hz = f64::from(ear.rate_hz());
        let frames = (BLOCK.secs_f64() * rate_hz) as usize;
        let (mut decoder, mut place) = (Decoder::new(ear.rate_hz()), Place::new(rate_hz));
        let mut pace = Pace::new(BLOCK, SLACK, self.clock.clone());
        while !self.stop.load(Ordering::Relaxed) {
            pace.wait();
            let samples = ear.read(frames)?;
            place.steer(samples.len(), ear.next_heard(&self.clock));
            for reading in samples.into_iter().filter_map(|sample| decoder.hear(sample)) {
                let show = |sample| self.clock.show(place.heard(sample));
                (self.report)(Heard::from_ltc(&reading, show));
            }
        }
        Ok(())
    }
}

/// When a sample was heard: stamps tremble, a crystal does not.
struct Place {
    rate_hz: f64,
    frames: f64,
    /// When frame 0 was heard.
    first: Option<MonoTime>,
}

impl Place {
    fn new(rate_hz: f64) -> Self {
        Self { rate_hz, frames: 0.0, first: None }
    }

    /// `next` is when the frame after these is heard.
    fn steer(&mut self, frames: usize, next: MonoTime) {
        self.frames += frames as f64;
        let first = next - Span::from_secs_f64(self.frames / self.rate_hz);
        let off = self.first.map(|known| first - known);
        self.first = Some(match (self.first, off) {
            (Some(known), Some(off)) if off.abs() < SLACK => {
                known + Span::from_secs_f64(off.secs_f64() * STEER)
            }
            _ => first,
        });
    }

    fn heard(&self, sample: f64) -> MonoTime {
        self.first.unwrap_or(MonoTime::ZERO) + Span::from_secs_f64(sample / self.rate_hz)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn stamps_that_tremble_by_a_millisecond_move_a_sample_by_a_tenth_of_it() {
        let mut place = Place::new(48_000.0);
        let mut chance = 1_u64;
        for block in 1..2_000_i64 {
            chance = chance.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
            let late = Span::from_ns((chance >> 33) as i64 % 1_000_000);
            // 50 ppm slow, as crystals are.
            let true_next = MonoTime::from_ns(block * 5_000_250);
            place.steer(240, true_next + late);
            if block > 400 {
                let off = place.heard(240.0 * block as f64) - true_next - Span::from_micros(500);
                assert!(off.abs() < Span::from_micros(130), "{off}");
            }
        }
    }
}
