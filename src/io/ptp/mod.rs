//! PTP and the questions of other boxes: where the box clock's time comes from, and to whom it goes.
//!
//! In: packets with their stamps, the machine's interfaces, what the operator grants. Out: an overlay that everybody
//! reads, packets. Never: a decision (`engine::clock::Discipline` has them), a step of the machine's own clock.
//!
//! One thread (*desk*) does it all: it waits for packets, alarms and questions, and none of them takes long. statime has
//! the protocol, a *seat* each of its ports, a *line* the sockets of one interface. What a packet's time was is the
//! kernel's or the interface's word, so it does not matter how late the thread comes to read it.

mod desk;
mod line;
mod links;
mod peers;
mod raw;
mod seat;
mod stamps;

use std::io;
use std::sync::Arc;
use std::sync::mpsc;
use std::thread::JoinHandle;
use std::time::Duration;

use engine::boxfile::clock::Clock as Config;
use engine::clock::{ClockGlance, Story};
use nix::sys::eventfd::{EfdFlags, EventFd};
use serde::Serialize;
use tokio::sync::oneshot;
use units::{MonoTime, ShowTime, Span};

pub use seat::PortGlance;

use crate::clock::{BoxClock, ClockWriter};

/// Until the thread has looked at its interfaces for the first time.
const FIRST_LOOK: Duration = Duration::from_secs(2);

/// What the keeper of the box clock starts from.
pub struct KeeperSetup {
    /// `[clock]`.
    pub config: Config,
    /// Where peers ask; 0 for none.
    pub port: u16,
    /// For an identity where no interface has one.
    pub node: uuid::Uuid,
    /// The clock.
    pub clock: BoxClock,
    /// The hand on it.
    pub writer: ClockWriter,
    /// TAI minus UTC, frozen for the show.
    pub tai_utc: Span,
    /// Gets what an operator would want to have read afterwards.
    pub say: Box<dyn Fn(Saying) + Send>,
}

/// What the keeper has to say.
#[derive(Debug, Clone, PartialEq)]
pub enum Saying {
    /// The clock's own story.
    Story(Story),
    /// It would step by this much, if the operator let it.
    AsksToStep(Span),
    /// A port has trouble, or is well again (none).
    Port(Option<String>),
}

/// The running keeper; dropping it stops the clock's discipline, not the clock.
#[derive(Debug)]
pub struct Keeper {
    thread: Option<JoinHandle<()>>,
    handle: ClockHandle,
    warnings: Vec<String>,
}

/// The way to it; cheap to clone.
#[derive(Debug, Clone)]
pub struct ClockHandle {
    queue: mpsc::Sender<Ask>,
    bell: Arc<EventFd>,
}

enum Ask {
    Glance(oneshot::Sender<Glance>),
    ShowRuns(bool),
    StepGranted,
    Stop,
}

/// The box clock and its ports, as `downbeat clock` shows them.
#[derive(Debug, Clone, Serialize)]
pub struct Glance {
    /// What the discipline knows.
    #[serde(flatten)]
    pub clock: ClockGlance,
    /// Both clocks at one instant.
    pub now: Now,
    /// `off`, `follow`, `lead`, `auto`.
    pub ptp: &'static str,
    /// PTP's domain.
    pub domain: u8,
    /// This box's own clock identity; `null` while PTP is off.
    pub identity: Option<String>,
    /// PTP's ports, one an interface.
    pub ports: Vec<PortGlance>,
}

/// Both clocks at one instant.
#[derive(Debug, Clone, Copy, Serialize)]
pub struct Now {
    /// The machine's monotonic clock.
    #[serde(rename = "mono_ns")]
    pub mono: MonoTime,
    /// The box clock.
    #[serde(rename = "tai_ns")]
    pub tai: ShowTime,
}

impl Keeper {
    /// Starts the thread.
    ///
    /// # Errors
    /// Where the system gives no thread. What is wrong with ports is no error: the clock then runs by itself, and
    /// [`Self::warnings`] says so.
    pub fn start(setup: KeeperSetup) -> io::Result<Self> {
        let bell = EventFd::from_flags(EfdFlags::EFD_NONBLOCK | EfdFlags::EFD_CLOEXEC)?;
        let bell = Arc::new(bell);
        let (queue, asks) = mpsc::channel();
        let (looked, first_look) = mpsc::channel();
        let hears = bell.clone();
        let thread = std::thread::Builder::new()
            .name("clock".into())
            .spawn(move || desk::run(setup, &asks, &hears, &looked))?;
        let warnings = first_look.recv_timeout(FIRST_LOOK).unwrap_or_default();
        Ok(Self { thread: Some(thread), handle: ClockHandle { queue, bell }, warnings })
    }

    /// What did not go as it should at the start, in sentences.
    pub fn warnings(&self) -> &[String] {
        &self.warnings
    }

    /// The way to it.
    pub fn handle(&self) -> ClockHandle {
        self.handle.clone()
    }
}

impl Drop for Keeper {
    fn drop(&mut self) {
        self.handle.ask(Ask::Stop);
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

impl ClockHandle {
    /// The clock as it stands; none where the keeper is gone.
    pub async fn glance(&self) -> Option<Glance> {
        let (reply, answer) = oneshot::channel();
        self.ask(Ask::Glance(reply));
        answer.await.ok()
    }

    /// Whether a show runs: while it does, the clock is not stepped unasked.
    pub fn show_runs(&self, runs: bool) {
        self.ask(Ask::ShowRuns(runs));
    }

    /// The operator lets the clock step.
    pub fn grant_step(&self) {
        self.ask(Ask::StepGranted);
    }

    fn ask(&self, ask: Ask) {
        // A queue without a keeper is a box going down.
        let _ = self.queue.send(ask);
        // A bell that cannot be rung rings already.
        let _ = self.bell.write(1);
    }
}
