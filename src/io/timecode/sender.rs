//! Sends timecode: MTC to a MIDI device, ArtTimeCode to the lighting network, each at its instant.

use std::fs::{File, OpenOptions};
use std::io::Write;
use std::net::{SocketAddr, UdpSocket};
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::mpsc::{self, Receiver, RecvTimeoutError};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use engine::timecode::{Course, Tick};
use units::{FrameRate, ShowTime, Span};
use wire::artnet::TimeCode;
use wire::mtc;

use super::midi::open;
use crate::clock::BoxClock;
use crate::sound::ask_for_real_time;

/// Longest sleep: the clock may be slewed meanwhile.
const IDLE: Duration = Duration::from_millis(500);
/// What is later than this is left out rather than sent in a burst.
const TOO_LATE: Span = Span::from_millis(100);

/// Where ArtTimeCode goes (rule A14): to everybody by directed broadcast, or to each who is polled by name.
#[derive(Debug, Clone)]
pub struct ArtnetWay {
    /// Art-Net's own socket: it comes from the port that others answer to.
    pub socket: Arc<UdpSocket>,
    /// To whom.
    pub to: Vec<SocketAddr>,
}

/// What is sent where.
pub struct SenderSetup {
    /// The show's rate.
    pub rate: FrameRate,
    /// A MIDI device.
    pub mtc: Option<PathBuf>,
    /// The lighting network.
    pub artnet: Option<ArtnetWay>,
    /// Show time.
    pub clock: BoxClock,
}

/// Sends as long as it lives.
pub struct Sender {
    courses: Option<mpsc::Sender<Course>>,
    thread: Option<JoinHandle<()>>,
}

impl Sender {
    /// Silent until the first course.
    ///
    /// # Errors
    /// Where the system gives no thread.
    pub fn start(setup: SenderSetup) -> std::io::Result<Self> {
        let (courses, told) = mpsc::channel();
        let thread = thread::Builder::new().name("timecode".into()).spawn(move || {
            ask_for_real_time();
            Desk { setup, device: None, failed: false }.run(&told);
        })?;
        Ok(Self { courses: Some(courses), thread: Some(thread) })
    }

    /// This from now on.
    pub fn play(&self, course: Course) {
        // The thread ends with us, not before.
        let _ = self.courses.iter().try_for_each(|courses| courses.send(course));
    }
}

impl Drop for Sender {
    fn drop(&mut self) {
        drop(self.courses.take());
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

struct Desk {
    setup: SenderSetup,
    device: Option<File>,
    failed: bool,
}

impl Desk {
    fn run(mut self, told: &Receiver<Course>) {
        let mut course = Course::default();
        // What has been sent of each.
        let (mut quarters, mut frames) = (self.setup.clock.now(), self.setup.clock.now());
        loop {
            let now = self.setup.clock.now();
            let rate = self.setup.rate;
            quarters = quarters.max(now - TOO_LATE);
            frames = frames.max(now - TOO_LATE);
            let quarter = course.next_quarter(rate, quarters).filter(|_| self.setup.mtc.is_some());
            let frame = course.next_frame(rate, frames).filter(|_| self.setup.artnet.is_some());
            if let Some((at, tick)) = quarter.filter(|(at, _)| *at <= now) {
                quarters = at;
                self.send(tick);
                continue;
            }
            if let Some((at, tick)) = frame.filter(|(at, _)| *at <= now) {
                frames = at;
                self.send(tick);
                continue;
            }
            let next = quarter.into_iter().chain(frame).map(|(at, _)| at).min();
            match told.recv_timeout(self.wait(next)) {
                Ok(new) => course = new,
                Err(RecvTimeoutError::Timeout) => {}
                Err(RecvTimeoutError::Disconnected) => return,
            }
        }
    }

    fn wait(&self, next: Option<ShowTime>) -> Duration {
        next.map_or(IDLE, |at| self.setup.clock.until(at)).min(IDLE)
    }

    fn send(&mut self, tick: Tick) {
        match tick {
            Tick::Frame(timecode) => {
                let bytes = TimeCode { stream: 0, timecode }.emit();
                if let Some(way) = &self.setup.artnet {
                    // A link that is down is told of by the frames of light.
                    way.to.iter().for_each(|to| drop(way.socket.send_to(&bytes, to)));
                }
            }
            Tick::Quarter(timecode, piece) => self.midi(&mtc::quarter(timecode, piece)),
            Tick::Full(timecode) => self.midi(&mtc::full(timecode)),
        }
    }

    /// A cable that nobody empties loses what does not fit; a device that is gone is opened again.
    fn midi(&mut self, bytes: &[u8]) {
        let Some(path) = &self.setup.mtc else { return };
        if self.device.is_none() {
            self.device = open(path, OpenOptions::new().write(true)).ok();
        }
        let sent = self.device.as_mut().map(|device| device.write_all(bytes));
        let failed = !matches!(sent, Some(Ok(())));
        if failed && !self.failed {
            tracing::warn!("MIDI timecode does not leave by {}", path.display());
        }
        if failed {
            self.device = None;
        }
        self.failed = failed;
    }
}
