//! A card of ALSA, by its name.
//!
//! In: blocks of samples. Out: the same in the card's format, and the driver's stamps.
//! Once it is open it neither allocates nor locks. A card that runs dry is started again at once; one that is gone is
//! reported and left to whoever opened it.

use std::time::Duration;

use alsa::pcm::{Access, Format, HwParams, PCM, State, TstampType};
use alsa::{Direction, ValueOr};
use engine::order::Evidence;
use engine::sound::Stamp;
use nix::errno::Errno;
use nix::sys::time::TimeSpec;
use units::{MonoTime, Span};

use super::card::Want;
use super::output::{CardError, Facts, Fault, Output};
use super::pace::Pace;
use super::sample::SampleFormat;
use crate::clock::BoxClock;

/// A card that asks for nothing for so long is stuck, whatever its driver says.
const STUCK: Span = Span::from_secs(2);

/// What a card is asked for, best first: the first it takes. 32 bits keep everything that rendering gives.
const FORMATS: [(Format, SampleFormat); 5] = [
    (Format::s32(), SampleFormat::S32),
    (Format::float(), SampleFormat::F32),
    (Format::s24(), SampleFormat::S24),
    (Format::S243LE, SampleFormat::S24Packed),
    (Format::s16(), SampleFormat::S16),
];

pub(super) struct AlsaCard {
    pcm: PCM,
    facts: Facts,
    format: SampleFormat,
    /// A block in the card's format.
    bytes: Vec<u8>,
    written: i64,
    clock: BoxClock,
    pace: Pace,
}

impl AlsaCard {
    /// Opens a card. The first [`Self::wait`] starts it, so that nothing runs dry before the thread is ready.
    pub(super) fn open(name: &str, want: &Want, clock: BoxClock) -> Result<Self, CardError> {
        // alsa-lib explains itself on the standard error output; the error that we hand on says enough.
        let _quiet = alsa::Output::local_error_handler();
        let pcm = PCM::new(name, Direction::Playback, false).map_err(|it| opening(name, &it))?;
        let (format, facts) = agree(&pcm, name, want)?;
        time(&pcm, &facts).map_err(|it| unfit(name, "time stamps".into(), &it))?;
        let bytes = vec![0; facts.period * usize::from(facts.channels) * format.bytes()];
        let period = facts.span(facts.period);
        let pace = Pace::new(period, facts.span(facts.buffer), clock.clone());
        Ok(Self { pcm, facts, format, bytes, written: 0, clock, pace })
    }

    /// Starts the card, full of silence.
    fn fill(&mut self) -> alsa::Result<()> {
        self.bytes.fill(0);
        for _ in 0..self.facts.buffer / self.facts.period {
            self.send()?;
        }
        match self.pcm.state() {
            State::Running => Ok(()),
            _ => self.pcm.start(),
        }
    }

    fn send(&mut self) -> alsa::Result<()> {
        let mut rest = &self.bytes[..];
        let frame = usize::from(self.facts.channels) * self.format.bytes();
        while !rest.is_empty() {
            let sent = self.pcm.io_bytes().writei(rest)?;
            rest = &rest[sent * frame..];
            self.written += sent as i64;
        }
        Ok(())
    }

    /// The frame at the output, by the driver's stamp where it has one, else by the clock as it is asked.
    fn stamp(&self) -> Option<Stamp> {
        let status = self.pcm.status().ok()?;
        if status.get_state() != State::Running {
            return None;
        }
        let at = Duration::from(TimeSpec::from(status.get_htstamp()));
        let at = match at.is_zero() {
            true => self.clock.mono_now(),
            false => MonoTime::from_ns(at.as_nanos() as i64),
        };
        Some(Stamp { frame: self.written - status.get_delay(), at })
    }

    /// Brings a card that ran dry back, if it is still there.
    fn fault(&mut self, error: &alsa::Error) -> Fault {
        let dry = matches!(Errno::from_raw(error.errno()), Errno::EPIPE | Errno::ESTRPIPE);
        if dry && self.pcm.prepare().and_then(|()| self.fill()).is_ok() {
            return Fault::Dry;
        }
        Fault::Lost(gone(&self.facts.name, error.to_string()))
    }
}

impl Output for AlsaCard {
    fn facts(&self) -> &Facts {
        &self.facts
    }

    fn wait(&mut self) -> Result<Option<Stamp>, Fault> {
        if self.written == 0 && self.fill().is_err() {
            return Err(Fault::Lost(gone(&self.facts.name, "it does not start".into())));
        }
        self.pace.wait();
        loop {
            match self.pcm.avail_update() {
                Ok(free) if free >= self.facts.period as i64 => return Ok(self.stamp()),
                Ok(_) => {}
                Err(error) => return Err(self.fault(&error)),
            }
            match self.pcm.wait(Some(STUCK.millis_f64() as u32)) {
                Ok(true) => {}
                Ok(false) => return Err(Fault::Lost(gone(&self.facts.name, "it is stuck".into()))),
                Err(error) => return Err(self.fault(&error)),
            }
        }
    }

    fn write(&mut self, block: &[f32]) -> Result<(), Fault> {
        self.format.emit(block, &mut self.bytes);
        self.send().map_err(|error| self.fault(&error))
    }

    fn written(&self) -> i64 {
        self.written
    }

    fn drain(&mut self) {
        // The card is closed next, whatever it answers.
        let _ = self.pcm.drain();
    }
}

/// Agrees on access, format, channels, rate and buffer.
fn agree(pcm: &PCM, name: &str, want: &Want) -> Result<(SampleFormat, Facts), CardError> {
    let any = HwParams::any(pcm).map_err(|it| opening(name, &it))?;
    any.set_access(Access::RWInterleaved)
        .map_err(|it| unfit(name, "interleaved samples".into(), &it))?;
    let (asked, format) = FORMATS
        .into_iter()
        .find(|(format, _)| any.test_format(*format).is_ok())
        .ok_or_else(|| unfit(name, "any format we have".into(), &alsa::Error::unsupported("it")))?;
    any.set_format(asked).map_err(|it| unfit(name, asked.to_string(), &it))?;
    any.set_channels(u32::from(want.channels))
        .map_err(|it| unfit(name, format!("{} channels", want.channels), &it))?;
    let rate_hz = any
        .set_rate_near(want.rate_hz, ValueOr::Nearest)
        .map_err(|it| unfit(name, format!("{} Hz", want.rate_hz), &it))?;
    let frames = |span: Span| (span.secs_f64() * f64::from(rate_hz)).round() as i64;
    let buffers = || format!("{} periods of {}", want.buffer.periods, want.buffer.period);
    let buffered = any
        .set_period_size_near(frames(want.buffer.period), ValueOr::Nearest)
        .and_then(|period| any.set_buffer_size_near(period * i64::from(want.buffer.periods)))
        .and_then(|_| pcm.hw_params(&any))
        .and_then(|()| Ok((any.get_period_size()?, any.get_buffer_size()?)));
    let (period, buffer) = buffered.map_err(|it| unfit(name, buffers(), &it))?;
    let facts = Facts {
        name: name.into(),
        rate_hz,
        channels: want.channels,
        period: period.max(1) as usize,
        buffer: buffer.max(1) as usize,
        evidence: Evidence::Dac,
    };
    Ok((format, facts))
}

/// Stamps by the monotonic clock, a wake-up for every period, a start when the buffer is full.
fn time(pcm: &PCM, facts: &Facts) -> alsa::Result<()> {
    let params = pcm.sw_params_current()?;
    params.set_avail_min(facts.period as i64)?;
    params.set_start_threshold((facts.buffer / facts.period * facts.period) as i64)?;
    params.set_tstamp_mode(true)?;
    params.set_tstamp_type(TstampType::Monotonic)?;
    pcm.sw_params(&params)
}

fn opening(name: &str, error: &alsa::Error) -> CardError {
    match Errno::from_raw(error.errno()) {
        Errno::EBUSY | Errno::EAGAIN => CardError::Busy { card: name.into() },
        _ => gone(name, error.to_string()),
    }
}

fn gone(name: &str, why: String) -> CardError {
    CardError::Gone { card: name.into(), why }
}

fn unfit(name: &str, asked: String, error: &alsa::Error) -> CardError {
    CardError::Unfit { card: name.into(), asked, why: error.to_string() }
}
