//! A channel of a card that listens: an ALSA device, opened for capture.
//!
//! In: a name. Out: samples of one channel, and when they were heard. 16 bits or 32: what microphones and line inputs
//! give.

use super::CardError;

/// What a device is asked for; the nearest that it can do is taken.
const RATE_HZ: u32 = 48_000;

#[cfg(target_os = "linux")]
pub(super) use linux::Ear;

#[cfg(target_os = "linux")]
mod linux {
    use std::time::Duration;

    use alsa::pcm::{Access, Format, HwParams, TstampType};
    use alsa::{Direction, PCM, ValueOr};
    use nix::sys::time::TimeSpec;
    use units::{MonoTime, Span};

    use super::{CardError, RATE_HZ};
    use crate::clock::BoxClock;

    /// More than is ever left to be read.
    const IN_STORE_MAX: Span = Span::from_millis(500);

    pub(in crate::sound) struct Ear {
        pcm: PCM,
        name: String,
        rate_hz: u32,
        channels: usize,
        /// Which one is heard, from 0.
        channel: usize,
        is_wide: bool,
        /// Frames read since the beginning.
        read: i64,
    }

    impl Ear {
        /// Opens a device to hear that channel, counted from 0; the last one where it has fewer.
        pub(in crate::sound) fn open(name: &str, channel: u16) -> Result<Self, CardError> {
            let _quiet = alsa::Output::local_error_handler();
            let gone = |error: &alsa::Error| gone(name, error);
            let pcm = PCM::new(name, Direction::Capture, false).map_err(|it| gone(&it))?;
            let agree = || -> alsa::Result<(u32, u32, bool)> {
                let params = HwParams::any(&pcm)?;
                params.set_access(Access::RWInterleaved)?;
                let is_wide = params.test_format(Format::s16()).is_err();
                params.set_format(if is_wide { Format::s32() } else { Format::s16() })?;
                params.set_channels_near(u32::from(channel) + 1)?;
                let rate_hz = params.set_rate_near(RATE_HZ, ValueOr::Nearest)?;
                pcm.hw_params(&params)?;
                let stamps = pcm.sw_params_current()?;
                stamps.set_tstamp_mode(true)?;
                stamps.set_tstamp_type(TstampType::Monotonic)?;
                pcm.sw_params(&stamps)?;
                Ok((rate_hz, params.get_channels()?, is_wide))
            };
            let (rate_hz, channels, is_wide) = agree().map_err(|it| gone(&it))?;
            let channels = channels.max(1) as usize;
            let channel = usize::from(channel).min(channels - 1);
            Ok(Self { pcm, name: name.into(), rate_hz, channels, channel, is_wide, read: 0 })
        }

        /// Frames a second, by its own word.
        pub(in crate::sound) fn rate_hz(&self) -> u32 {
            self.rate_hz
        }

        pub(in crate::sound) fn begin(&mut self) -> Result<(), CardError> {
            self.pcm.prepare().and_then(|()| self.pcm.start()).map_err(|it| gone(&self.name, &it))
        }

        /// So many frames. One that loses some has lost its place.
        pub(in crate::sound) fn read(&mut self, frames: usize) -> Result<Vec<f32>, CardError> {
            let all = match self.is_wide {
                true => {
                    let io = self.pcm.io_i32().map_err(|it| gone(&self.name, &it))?;
                    self.fill(frames, |it| io.readi(it), |it: i32| it as f32 / i32::MAX as f32)
                }
                false => {
                    let io = self.pcm.io_i16().map_err(|it| gone(&self.name, &it))?;
                    self.fill(
                        frames,
                        |it| io.readi(it),
                        |it: i16| f32::from(it) / f32::from(i16::MAX),
                    )
                }
            };
            let all = all.map_err(|it| gone(&self.name, &it))?;
            self.read += frames as i64;
            Ok(all)
        }

        fn fill<S: Copy + Default>(
            &self,
            frames: usize,
            read: impl Fn(&mut [S]) -> alsa::Result<usize>,
            sample: impl Fn(S) -> f32,
        ) -> alsa::Result<Vec<f32>> {
            let mut heard = Vec::with_capacity(frames);
            while heard.len() < frames {
                let wanted = (frames - heard.len()).min(1024);
                let mut block = vec![S::default(); wanted * self.channels];
                let got = read(&mut block)?;
                let ours = block[..got * self.channels].chunks_exact(self.channels);
                heard.extend(ours.map(|frame| sample(frame[self.channel])));
            }
            Ok(heard)
        }

        /// When the next frame to be read was heard, or will be: by the driver's stamp where it has one that can be
        /// (alsa-lib's `null` claims hours of sound in store).
        pub(in crate::sound) fn next_heard(&self, clock: &BoxClock) -> MonoTime {
            let stamp = self.pcm.status().ok().and_then(|status| {
                let at = Duration::from(TimeSpec::from(status.get_htstamp()));
                (!at.is_zero()).then(|| (at, status.get_avail()))
            });
            let (now, rate_hz) = (clock.mono_now(), f64::from(self.rate_hz));
            let heard = stamp.map(|(at, waiting)| {
                let waiting = Span::from_secs_f64(waiting as f64 / rate_hz);
                MonoTime::from_ns(at.as_nanos() as i64) - waiting
            });
            heard.filter(|it| (now - *it).abs() < IN_STORE_MAX).unwrap_or(now)
        }
    }

    fn gone(name: &str, error: &alsa::Error) -> CardError {
        CardError::Gone { card: name.into(), why: error.to_string() }
    }
}

#[cfg(not(target_os = "linux"))]
pub(super) struct Ear;

#[cfg(not(target_os = "linux"))]
impl Ear {
    pub(super) fn open(name: &str, _channel: u16) -> Result<Self, CardError> {
        let why = "inputs are opened by ALSA only".to_owned();
        Err(CardError::Unfit { card: name.into(), asked: "to listen".into(), why })
    }
    pub(super) fn rate_hz(&self) -> u32 {
        RATE_HZ
    }
    pub(super) fn begin(&mut self) -> Result<(), CardError> {
        Ok(())
    }
    pub(super) fn read(&mut self, _frames: usize) -> Result<Vec<f32>, CardError> {
        Ok(Vec::new())
    }
    pub(super) fn next_heard(&self, clock: &crate::clock::BoxClock) -> units::MonoTime {
        clock.mono_now()
    }
}
