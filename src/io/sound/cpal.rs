//! A card of a system other than Linux, through cpal.
//!
//! There the system calls for samples on a thread of its own; a queue lies between. Its stamps are the system's
//! forecast of when a callback's samples are heard.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;

use cpal::traits::{DeviceTrait, HostTrait, StreamTrait};
use cpal::{OutputCallbackInfo, Stream, StreamConfig};
use engine::order::Evidence;
use engine::sound::Stamp;
use rtrb::{Consumer, Producer, RingBuffer};
use units::Span;

use super::card::Want;
use super::output::{CardError, Facts, Fault, Output};
use crate::clock::BoxClock;

/// Stamps on their way; the card thread takes them with every block, and only the newest counts.
const STAMPS_MAX: usize = 64;
/// A system that calls for nothing for so many blocks has lost its card.
const STUCK_BLOCKS: u32 = 400;

pub(super) struct CpalCard {
    facts: Facts,
    samples: Producer<f32>,
    stamps: Consumer<Stamp>,
    failed: Arc<AtomicBool>,
    dry: Arc<AtomicBool>,
    written: i64,
    /// Dropping it closes the card.
    _stream: Stream,
}

impl CpalCard {
    /// Opens a card by the name that cpal has for it, `default` for the system's own choice.
    pub(super) fn open(name: &str, want: &Want, clock: BoxClock) -> Result<Self, CardError> {
        let gone = |why: String| CardError::Gone { card: name.into(), why };
        let host = cpal::default_host();
        let device = match name {
            "default" => host.default_output_device(),
            name => name.parse().ok().and_then(|id| host.device_by_id(&id)),
        };
        let device = device.ok_or_else(|| gone("no such device".into()))?;
        let facts = facts(name, want);
        let room = facts.buffer * usize::from(facts.channels);
        let (samples, to_play) = RingBuffer::new(room);
        let (stamped, stamps) = RingBuffer::new(STAMPS_MAX);
        let (failed, dry) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicBool::new(false)));
        let channels = usize::from(facts.channels);
        let mut callback =
            Callback { to_play, stamped, channels, played: 0, clock, dry: dry.clone() };
        let fails = failed.clone();
        let config = StreamConfig {
            channels: facts.channels,
            sample_rate: facts.rate_hz,
            buffer_size: cpal::BufferSize::Default,
        };
        let stream = device.build_output_stream(
            config,
            move |out: &mut [f32], info: &OutputCallbackInfo| callback.fill(out, info),
            move |error| match error.kind() {
                // It goes on after these.
                cpal::ErrorKind::Xrun | cpal::ErrorKind::RealtimeDenied => {}
                _ => fails.store(true, Ordering::Relaxed),
            },
            None,
        );
        let unfit = |error: cpal::Error| CardError::Unfit {
            card: name.into(),
            asked: format!("{} channels at {} Hz", want.channels, want.rate_hz),
            why: error.to_string(),
        };
        let stream = stream.map_err(unfit)?;
        stream.play().map_err(|error| gone(error.to_string()))?;
        Ok(Self { facts, samples, stamps, failed, dry, written: 0, _stream: stream })
    }
}

fn facts(name: &str, want: &Want) -> Facts {
    let period = (want.buffer.period.secs_f64() * f64::from(want.rate_hz)).round() as usize;
    let period = period.max(1);
    Facts {
        name: name.into(),
        rate_hz: want.rate_hz,
        channels: want.channels,
        period,
        buffer: period * want.buffer.periods.max(1) as usize,
        evidence: Evidence::Dac,
    }
}

impl Output for CpalCard {
    fn facts(&self) -> &Facts {
        &self.facts
    }

    fn wait(&mut self) -> Result<Option<Stamp>, Fault> {
        let block = self.facts.period * usize::from(self.facts.channels);
        let nap = self.facts.span(self.facts.period / 2).max(Span::from_millis(1));
        for _ in 0..STUCK_BLOCKS {
            if self.failed.load(Ordering::Relaxed) {
                break;
            }
            if self.dry.swap(false, Ordering::Relaxed) {
                return Err(Fault::Dry);
            }
            if self.samples.slots() >= block {
                return Ok(std::iter::from_fn(|| self.stamps.pop().ok()).last());
            }
            thread::sleep(nap.to_std());
        }
        let (card, why) = (self.facts.name.clone(), "it plays no more".into());
        Err(Fault::Lost(CardError::Gone { card, why }))
    }

    fn write(&mut self, block: &[f32]) -> Result<(), Fault> {
        for sample in block {
            // There is room: `wait` has seen it, and only this thread takes it.
            let _ = self.samples.push(*sample);
        }
        self.written += self.facts.period as i64;
        Ok(())
    }

    fn written(&self) -> i64 {
        self.written
    }

    fn drain(&mut self) {
        thread::sleep(self.facts.span(self.facts.buffer).to_std());
    }
}

/// What the system's thread has.
struct Callback {
    to_play: Consumer<f32>,
    stamped: Producer<Stamp>,
    channels: usize,
    /// Frames taken from the queue.
    played: i64,
    clock: BoxClock,
    dry: Arc<AtomicBool>,
}

impl Callback {
    fn fill(&mut self, out: &mut [f32], info: &OutputCallbackInfo) {
        let times = info.timestamp();
        let ahead = times.playback.duration_since(times.callback);
        let at = self.clock.mono_now() + Span::from_secs_f64(ahead.as_secs_f64());
        let whole = self.to_play.slots() / self.channels * self.channels;
        let (sound, silence) = out.split_at_mut(whole.min(out.len()));
        sound.iter_mut().for_each(|sample| *sample = self.to_play.pop().unwrap_or(0.0));
        if !sound.is_empty() {
            // A full queue means that nobody reads; the next stamp is as good.
            let _ = self.stamped.push(Stamp { frame: self.played, at });
        }
        self.played += (sound.len() / self.channels) as i64;
        if !silence.is_empty() {
            silence.fill(0.0);
            self.dry.store(self.played > 0, Ordering::Relaxed);
        }
    }
}
