//! The box's microphone: records while a phone is calibrated, and finds the chirps in it.
//!
//! In: when to listen, and to whose chirps. Out: where they are ([`Input::ChirpsHeard`]). Between two calibrations the
//! device is closed. Never: a recording that outlives its calibration; a decision about what it means.

use std::sync::mpsc::{self, Receiver, Sender};
use std::thread;

use engine::calibrate::Listening;
use engine::told::Input;
use units::{MonoTime, ShowTime, Span};
use wire::chirp::Voice;
use wire::duet::{self, Recording};

use super::CardError;
use crate::clock::BoxClock;

/// A microphone. Dropping it ends its thread.
pub struct Microphone {
    wishes: Sender<Listening>,
}

/// The device needs so long to open.
const HEAD_START: Span = Span::from_millis(400);
/// What it is asked for; the nearest that it can do is taken.
const RATE_HZ: u32 = 48_000;

impl Microphone {
    /// Opens it once, to know that it is there. `report` takes what is heard.
    ///
    /// # Errors
    /// Where it does not open.
    pub fn start(
        name: &str,
        clock: BoxClock,
        report: Box<dyn FnMut(Input) + Send>,
    ) -> Result<Self, CardError> {
        let name = name.to_owned();
        drop(Ear::open(&name)?);
        let (wishes, asked) = mpsc::channel();
        thread::Builder::new()
            .name("microphone".into())
            .spawn(move || attend(&name, clock, &asked, report))
            .expect("the system gives a thread");
        Ok(Self { wishes })
    }

    /// Records, and reports.
    pub fn listen(&self, listening: Listening) {
        // The thread ends with us, not before.
        let _ = self.wishes.send(listening);
    }
}

fn attend(
    name: &str,
    clock: BoxClock,
    asked: &Receiver<Listening>,
    mut report: Box<dyn FnMut(Input) + Send>,
) {
    while let Ok(listening) = asked.recv() {
        // On the monotonic clock from here on: a box clock that steps meanwhile would have us listen for hours.
        let (from, until) = (clock.mono(listening.from), clock.mono(listening.until));
        thread::sleep((from - HEAD_START - clock.mono_now()).to_std());
        let later = match record(name, &clock, until) {
            Ok((recording, first)) => {
                Ok(duet::later(&recording, &listening.turns_since(first), Voice::Box))
            }
            Err(error) => {
                tracing::warn!("no calibration: {error}");
                Err("the box's microphone does not work; its log says why".to_owned())
            }
        };
        report(Input::ChirpsHeard { phone: listening.phone, later });
    }
}

/// Until `until`; and when its first sample was heard, near enough to know one chirp from the next.
fn record(
    name: &str,
    clock: &BoxClock,
    until: MonoTime,
) -> Result<(Recording, ShowTime), CardError> {
    let mut ear = Ear::open(name)?;
    let first = clock.mono_now();
    ear.begin()?;
    let frames = ((until - first).secs_f64() * f64::from(ear.rate_hz)).max(0.0) as usize;
    let samples = ear.read(frames)?;
    Ok((Recording { rate_hz: ear.rate_hz, samples }, clock.show(first)))
}

#[cfg(target_os = "linux")]
struct Ear {
    pcm: alsa::PCM,
    name: String,
    rate_hz: u32,
    channels: usize,
    is_wide: bool,
}

#[cfg(target_os = "linux")]
impl Ear {
    /// 16 bits or 32, one channel or the first of several: what microphones give.
    fn open(name: &str) -> Result<Self, CardError> {
        use alsa::pcm::{Access, Format, HwParams};
        use alsa::{Direction, PCM, ValueOr};
        let _quiet = alsa::Output::local_error_handler();
        let gone = |error: &alsa::Error| gone(name, error);
        let pcm = PCM::new(name, Direction::Capture, false).map_err(|it| gone(&it))?;
        let agree = || -> alsa::Result<(u32, u32, bool)> {
            let params = HwParams::any(&pcm)?;
            params.set_access(Access::RWInterleaved)?;
            let is_wide = params.test_format(Format::s16()).is_err();
            params.set_format(if is_wide { Format::s32() } else { Format::s16() })?;
            params.set_channels_near(1)?;
            let rate_hz = params.set_rate_near(RATE_HZ, ValueOr::Nearest)?;
            pcm.hw_params(&params)?;
            Ok((rate_hz, params.get_channels()?, is_wide))
        };
        let (rate_hz, channels, is_wide) = agree().map_err(|it| gone(&it))?;
        Ok(Self { pcm, name: name.into(), rate_hz, channels: channels.max(1) as usize, is_wide })
    }

    fn begin(&mut self) -> Result<(), CardError> {
        self.pcm.prepare().and_then(|()| self.pcm.start()).map_err(|it| gone(&self.name, &it))
    }

    /// So many frames of the first channel. One that loses some has lost its place, and with it the calibration.
    fn read(&mut self, frames: usize) -> Result<Vec<f32>, CardError> {
        let all = match self.is_wide {
            true => {
                let io = self.pcm.io_i32().map_err(|it| gone(&self.name, &it))?;
                self.fill(frames, |block| io.readi(block), |it: i32| it as f32 / i32::MAX as f32)
            }
            false => {
                let io = self.pcm.io_i16().map_err(|it| gone(&self.name, &it))?;
                self.fill(
                    frames,
                    |block| io.readi(block),
                    |it: i16| f32::from(it) / f32::from(i16::MAX),
                )
            }
        };
        all.map_err(|it| gone(&self.name, &it))
    }

    fn fill<S: Copy + Default>(
        &self,
        frames: usize,
        read: impl Fn(&mut [S]) -> alsa::Result<usize>,
        sample: impl Fn(S) -> f32,
    ) -> alsa::Result<Vec<f32>> {
        let (mut heard, mut block) = (Vec::new(), vec![S::default(); 1024 * self.channels]);
        while heard.len() < frames {
            let got = read(&mut block)?;
            let first = block[..got * self.channels].iter().step_by(self.channels);
            heard.extend(first.map(|it| sample(*it)));
        }
        heard.truncate(frames);
        Ok(heard)
    }
}

#[cfg(target_os = "linux")]
fn gone(name: &str, error: &alsa::Error) -> CardError {
    CardError::Gone { card: name.into(), why: error.to_string() }
}

#[cfg(not(target_os = "linux"))]
struct Ear {
    rate_hz: u32,
}

#[cfg(not(target_os = "linux"))]
impl Ear {
    fn open(name: &str) -> Result<Self, CardError> {
        let why = "microphones are opened by ALSA only".to_owned();
        let _ = RATE_HZ;
        Err(CardError::Unfit { card: name.into(), asked: "to listen".into(), why })
    }
    fn begin(&mut self) -> Result<(), CardError> {
        Ok(())
    }
    fn read(&mut self, _frames: usize) -> Result<Vec<f32>, CardError> {
        Ok(Vec::new())
    }
}
