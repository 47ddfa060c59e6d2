//! A raw MIDI device, by its path: what ALSA makes of a MIDI port (`/dev/snd/midiC1D0`), or a pseudo-terminal.

use std::fs::{File, OpenOptions};
use std::io::{self, Read};
use std::os::fd::AsFd;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use engine::timecode::Heard;
use nix::libc::{O_NOCTTY, O_NONBLOCK};
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::termios::{SetArg, cfmakeraw, tcgetattr, tcsetattr};
use wire::mtc::Listener;

use crate::clock::BoxClock;

/// How long it listens before it looks whether to stop.
const TURN_MS: u16 = 100;
/// After a device was lost.
const RETRY: Duration = Duration::from_millis(500);

/// Opens a device; bytes go as they are, also where it is a terminal.
pub(super) fn open(path: &Path, options: &mut OpenOptions) -> io::Result<File> {
    let file = options.custom_flags(O_NONBLOCK | O_NOCTTY).open(path)?;
    // A device that is no terminal has no such settings.
    if let Ok(mut settings) = tcgetattr(&file) {
        cfmakeraw(&mut settings);
        tcsetattr(&file, SetArg::TCSANOW, &settings)?;
    }
    Ok(file)
}

/// A device that is listened to. Dropping it ends its thread.
pub struct MidiInput {
    stop: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

impl MidiInput {
    /// Opens it once, to know that it is there. `report` takes what is heard.
    ///
    /// # Errors
    /// Where it does not open.
    pub fn start(
        path: &Path,
        clock: BoxClock,
        report: Box<dyn FnMut(Heard) + Send>,
    ) -> io::Result<Self> {
        let first = open(path, OpenOptions::new().read(true))?;
        let stop = Arc::new(AtomicBool::new(false));
        let listening = Listening { path: path.to_owned(), clock, report, stop: stop.clone() };
        let thread =
            thread::Builder::new().name("midi in".into()).spawn(move || listening.run(first))?;
        Ok(Self { stop, thread: Some(thread) })
    }
}

impl Drop for MidiInput {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
        if let Some(thread) = self.thread.take() {
            thread.thread().unpark();
            let _ = thread.join();
        }
    }
}

struct Listening {
    path: PathBuf,
    clock: BoxClock,
    report: Box<dyn FnMut(Heard) + Send>,
    stop: Arc<AtomicBool>,
}

impl Listening {
    fn run(mut self, first: File) {
        let mut device = Some(first);
        while !self.stop.load(Ordering::Relaxed) {
            let opened =
                device.take().map_or_else(|| open(&self.path, OpenOptions::new().read(true)), Ok);
            match opened {
                Ok(device) => {
                    let lost = self.hear(device);
                    tracing::warn!("no MIDI from {}: {lost:?}", self.path.display());
                    thread::park_timeout(RETRY);
                }
                Err(_) => thread::park_timeout(RETRY),
            }
        }
    }

    /// Until it is time to stop, or the device is lost.
    fn hear(&mut self, mut device: File) -> io::Result<()> {
        let mut listener = Listener::default();
        let mut bytes = [0; 64];
        while !self.stop.load(Ordering::Relaxed) {
            let mut ready = [PollFd::new(device.as_fd(), PollFlags::POLLIN)];
            // An interrupted wait is a short one.
            let _ = poll(&mut ready, PollTimeout::from(TURN_MS));
            let at = self.clock.now();
            match device.read(&mut bytes) {
                Ok(0) => return Ok(()),
                Ok(count) => {
                    let said = bytes[..count].iter().filter_map(|byte| listener.hear(*byte, at));
                    said.for_each(|said| (self.report)(Heard::from_mtc(said)));
                }
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }
}
