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
use super::ear::Ear;
use crate::clock::BoxClock;

/// A microphone. Dropping it ends its thread.
pub struct Microphone {
    wishes: Sender<Listening>,
}

/// The device needs so long to open.
const HEAD_START: Span = Span::from_millis(400);

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
        drop(Ear::open(&name, 0)?);
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
    let mut ear = Ear::open(name, 0)?;
    let first = clock.mono_now();
    ear.begin()?;
    let frames = ((until - first).secs_f64() * f64::from(ear.rate_hz())).max(0.0) as usize;
    let samples = ear.read(frames)?;
    Ok((Recording { rate_hz: ear.rate_hz(), samples }, clock.show(first)))
}
