//! The render thread: draws every universe for its instant on the grid, and sends it at that instant.
//!
//! In: plans and subscribers, through rings. Out: packets, and what became of them, through a ring. After its start
//! it neither allocates, locks, logs nor waits for anything but its timer; what it has done with goes back to be
//! dropped elsewhere.
//!
//! *Phase*: a share of the grid; with many universes each leaves in its own, so that they do not leave as one burst.

use std::net::{SocketAddr, UdpSocket};
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, AtomicU8, AtomicU64, Ordering::Relaxed};

use engine::light::source::{ArtnetStream, GOODBYES, Motion, SacnStream};
use engine::light::{GRID, Plan, render};
use engine::order::Evidence;
use engine::told::FrameReport;
use nix::libc;
use nix::sys::time::TimeSpec;
use nix::time::{ClockId, ClockNanosleepFlags, clock_gettime, clock_nanosleep};
use rtrb::{Consumer, Producer};
use units::{Moment, ShowTime, Span, Universe};
use wire::artnet;

use super::outbox::{Outbox, Sent, System};
use crate::clock::BoxClock;

/// Frames are drawn so long before they leave: 128 universes full of moving dimmers take 0.9 ms in a development
/// build, and it is less than a phase, so that one phase has left before the next is drawn.
const HEAD_START: Span = Span::from_micros(1200);
/// Up to this many universes leave together: about 0.4 ms of packets.
const TOGETHER_MAX: usize = 128;
/// Phases of the grid beyond that: 1.4 ms each, for 250 universes where there are 4,000.
const PHASES: u16 = 16;
/// Where the thread stands among real-time threads, 1 to 99: above sound's decoding, below the kernel's own at 50.
const RT_PRIORITY: i32 = 45;

/// The thread's name, for `top` and for the test that watches what it allocates.
pub(super) const THREAD: &str = "light";

/// What a frame's listeners are told of by the ring.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Told {
    /// A phase left so long after its instant.
    Late { late: Span, evidence: Evidence },
    /// A whole frame left.
    Frame(FrameReport),
}

/// What the thread has done with.
#[expect(dead_code, reason = "they are kept only to be dropped by somebody who has time")]
pub(super) enum Old {
    Plan(Arc<Plan>),
    Table(Arc<Table>),
}

/// Whom Art-Net goes to.
#[derive(Debug, Default)]
pub(super) struct Table {
    /// Who subscribes to which universe, by their order in the show; empty for those that are not Art-Net.
    pub subscribers: Vec<Vec<SocketAddr>>,
    /// Who is told when a frame is whole (rule A13); nobody where the show does not ask for it.
    pub sync: Vec<SocketAddr>,
}

/// How the thread is to end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub(super) enum Leave {
    Not = 0,
    /// Say goodbye on every sACN universe (rule S8).
    Planned = 1,
    /// As a process does that dies.
    Silently = 2,
}

/// What watchers read while the thread runs.
#[derive(Debug)]
pub(super) struct Gauges {
    pub universes: Vec<Gauge>,
    pub failed: AtomicU64,
    pub leave: AtomicU8,
}

/// A universe's.
#[derive(Debug)]
pub(super) struct Gauge {
    pub frames: AtomicU64,
    /// Show time of the last frame, nanoseconds; [`NEVER`] before the first.
    pub last: AtomicI64,
}

pub(super) const NEVER: i64 = i64::MIN;

impl Gauges {
    pub fn new(universes: usize) -> Self {
        let gauge = |_| Gauge { frames: AtomicU64::new(0), last: AtomicI64::new(NEVER) };
        let universes = (0..universes).map(gauge).collect();
        Self { universes, failed: AtomicU64::new(0), leave: AtomicU8::new(Leave::Not as u8) }
    }
    pub fn leave(&self, how: Leave) {
        self.leave.store(how as u8, Relaxed);
    }
    pub fn leaving(&self) -> Leave {
        match self.leave.load(Relaxed) {
            0 => Leave::Not,
            1 => Leave::Planned,
            _ => Leave::Silently,
        }
    }
}

/// A universe on its way out.
pub(super) struct Lit {
    pub universe: Universe,
    pub sacn: Option<(SacnStream, Vec<SocketAddr>)>,
    pub artnet: Option<ArtnetStream>,
    phase: u16,
    /// Send the next frame whatever it holds.
    fresh: bool,
    sacn_due: bool,
    artnet_due: bool,
    slots: [u8; Universe::SLOTS],
}

impl Lit {
    pub fn new(universe: Universe) -> Self {
        Self {
            universe,
            sacn: None,
            artnet: None,
            phase: 0,
            fresh: true,
            sacn_due: false,
            artnet_due: false,
            slots: [0; Universe::SLOTS],
        }
    }

    pub fn draw(&mut self, plan: &Plan, subscribed: bool, at: ShowTime) {
        let shown = plan.shown(at);
        let mut motion = if self.fresh { Motion::Lively } else { Motion::Still };
        if let Some(drawn) = plan.universe(self.universe) {
            render(drawn, shown, &mut self.slots);
            if plan.frozen.is_none() && drawn.is_moving(shown) {
                motion = Motion::Lively;
            }
        }
        self.fresh = false;
        let (slots, at) = (&self.slots, at);
        self.sacn_due = self.sacn.as_mut().is_some_and(|(it, _)| it.show(slots, motion, at));
        // Without a subscriber there is nothing to send, nor to count (rule A8).
        let artnet = self.artnet.as_mut().filter(|_| subscribed);
        self.artnet_due = artnet.is_some_and(|it| it.show(slots, motion, at));
    }
}

/// The sockets that light leaves by.
pub(super) struct Ways {
    pub sacn: Arc<UdpSocket>,
    pub sacn_v6: Option<Arc<UdpSocket>>,
    pub artnet: Option<Arc<UdpSocket>>,
}

/// The thread's own.
pub(super) struct Render {
    pub clock: BoxClock,
    pub lit: Vec<Lit>,
    pub ways: Ways,
    pub plan: Arc<Plan>,
    pub table: Arc<Table>,
    pub ends: RenderEnds,
    pub gauges: Arc<Gauges>,
    /// Whether any ArtDmx has left in this frame.
    pub unsynced: bool,
}

/// Its ends of the rings.
pub(super) struct RenderEnds {
    pub plans: Consumer<Arc<Plan>>,
    pub tables: Consumer<Arc<Table>>,
    pub old: Producer<Old>,
    pub told: Producer<Told>,
}

impl Render {
    /// Runs until it is told to leave.
    pub fn run(mut self) {
        let phases = self.deal_phases();
        let mut instant = (self.clock.now() + HEAD_START).round_up(GRID);
        loop {
            match self.gauges.leaving() {
                Leave::Not => self.frame(instant, phases),
                Leave::Planned => return self.say_goodbye(instant, phases),
                Leave::Silently => return,
            }
            instant = self.after(instant);
        }
    }

    /// All phases of the grid that begins at `instant`.
    fn frame(&mut self, instant: ShowTime, phases: u16) {
        let mut last: Option<(ShowTime, Evidence)> = None;
        let mut plan = u64::MAX; // the oldest that any phase was drawn from
        for phase in 0..phases {
            let due = instant + offset(phase, phases);
            self.sleep_until(due - HEAD_START);
            self.take_orders();
            plan = plan.min(self.plan.serial);
            self.draw(phase, due);
            self.sleep_until(due);
            let last_phase = phase + 1 == phases;
            if let Some((left, evidence)) = self.send(phase, last_phase) {
                let _ = self.ends.told.push(Told::Late { late: left - due, evidence });
                last = Some((left, evidence));
            }
        }
        if let Some((left, evidence)) = last {
            // A full ring means that nobody reads; the next report will find room again.
            let _ = self.ends.told.push(Told::Frame(FrameReport { instant, plan, left, evidence }));
        }
    }

    /// The next instant: the next of the grid, unless that has gone by for half a frame, or the clock has stepped back.
    /// Nothing is made up for by a burst (rules S5 and A12).
    fn after(&self, instant: ShowTime) -> ShowTime {
        let next = instant + GRID;
        let now = self.clock.now();
        let half = Span::from_ns(GRID.ns() / 2);
        let ahead = now + GRID + half < next;
        if now > next + half || ahead { now.round_up(GRID) } else { next }
    }

    /// A phase is a fixed function of the universe's number, so that all boxes emit the same at the same moment.
    fn deal_phases(&mut self) -> u16 {
        let phases = if self.lit.len() > TOGETHER_MAX { PHASES } else { 1 };
        for lit in &mut self.lit {
            lit.phase = lit.universe.number() % phases;
        }
        phases
    }

    fn take_orders(&mut self) {
        while self.ends.old.slots() > 0
            && let Ok(plan) = self.ends.plans.pop()
        {
            self.take_plan(plan);
        }
        while self.ends.old.slots() > 0
            && let Ok(table) = self.ends.tables.pop()
        {
            self.take_table(table);
        }
    }

    fn take_plan(&mut self, plan: Arc<Plan>) {
        let paused_or_resumed = plan.frozen != self.plan.frozen;
        for lit in &mut self.lit {
            let (was, is) = (self.plan.universe(lit.universe), plan.universe(lit.universe));
            let same = was.zip(is).is_some_and(|(was, is)| std::ptr::eq(was, is));
            lit.fresh |= paused_or_resumed || !same;
        }
        let old = std::mem::replace(&mut self.plan, plan);
        // There is room: it was looked for.
        let _ = self.ends.old.push(Old::Plan(old));
    }

    fn take_table(&mut self, table: Arc<Table>) {
        for ((lit, was), is) in
            self.lit.iter_mut().zip(&self.table.subscribers).zip(&table.subscribers)
        {
            // Who has just subscribed sees at once what is shown.
            lit.fresh |= was != is;
        }
        let old = std::mem::replace(&mut self.table, table);
        let _ = self.ends.old.push(Old::Table(old));
    }

    fn draw(&mut self, phase: u16, at: ShowTime) {
        for (lit, subscribers) in self.lit.iter_mut().zip(&self.table.subscribers) {
            if lit.phase == phase {
                lit.draw(&self.plan, !subscribers.is_empty(), at);
            }
        }
    }

    /// When the last packet of the phase left, and how we know; none if the rules ask for none.
    fn send(&mut self, phase: u16, last_phase: bool) -> Option<(ShowTime, Evidence)> {
        let artnet = |lit: &Lit| lit.phase == phase && lit.artnet_due;
        self.unsynced |= self.lit.iter().any(artnet);
        let (sent, stamp) = self.post(phase, last_phase && self.unsynced);
        self.unsynced &= !last_phase;
        let now = self.clock.now();
        let told = stamp.map_or((now, Evidence::AfterSend), |stamp| {
            (self.show(stamp), Evidence::KernelTransmit)
        });
        self.gauges.failed.fetch_add(sent.failed, Relaxed);
        for (lit, gauge) in self.lit.iter().zip(&self.gauges.universes) {
            if lit.phase == phase && (lit.sacn_due || lit.artnet_due) {
                gauge.frames.fetch_add(1, Relaxed);
                gauge.last.store(told.0.ns(), Relaxed);
            }
        }
        (sent.left > 0).then_some(told)
    }

    /// Art-Net first and sACN over IPv4 last: its socket bears the kernel's stamps. ArtSync stands behind the last ArtDmx
    /// of a frame (rule A13).
    fn post(&self, phase: u16, sync: bool) -> (Sent, Option<Moment<System>>) {
        let mut outbox = Outbox::new(&self.ways.sacn);
        let due =
            || self.lit.iter().zip(&self.table.subscribers).filter(|(lit, _)| lit.phase == phase);
        if let Some(socket) = &self.ways.artnet {
            outbox.by(socket);
            for (lit, subscribers) in due().filter(|(lit, _)| lit.artnet_due) {
                let stream = lit.artnet.iter().map(ArtnetStream::bytes);
                stream.for_each(|bytes| subscribers.iter().for_each(|to| outbox.push(bytes, *to)));
            }
            let told = self.table.sync.iter().filter(|_| sync);
            told.for_each(|to| outbox.push(&artnet::SYNC, *to));
        }
        let ways = [(self.ways.sacn_v6.as_ref(), true), (Some(&self.ways.sacn), false)];
        let mut stamped = false;
        for (socket, v6) in ways.into_iter().filter_map(|(socket, v6)| Some((socket?, v6))) {
            outbox.by(socket);
            for (stream, to) in
                due().filter(|(lit, _)| lit.sacn_due).filter_map(|(lit, _)| lit.sacn.as_ref())
            {
                for to in to.iter().filter(|to| to.is_ipv6() == v6) {
                    outbox.push(stream.bytes(), *to);
                    stamped = !v6;
                }
            }
        }
        outbox.finish(stamped)
    }

    /// Three packets with Stream_Terminated for every universe, a frame apart (rule S8).
    fn say_goodbye(&mut self, mut instant: ShowTime, phases: u16) {
        for _ in 0..GOODBYES {
            for lit in &mut self.lit {
                lit.artnet_due = false;
                lit.sacn_due = lit.sacn.is_some();
                lit.sacn.iter_mut().for_each(|(stream, _)| stream.say_goodbye());
            }
            for phase in 0..phases {
                self.sleep_until(instant + offset(phase, phases));
                self.send(phase, false);
            }
            instant = self.after(instant);
        }
    }

    /// The kernel stamps by the system's clock; how long ago that was is the same by ours.
    fn show(&self, stamp: Moment<System>) -> ShowTime {
        let read = clock_gettime(ClockId::CLOCK_REALTIME).expect("Linux has this clock");
        let now: Moment<System> = Moment::from_ns(read.tv_sec() * 1_000_000_000 + read.tv_nsec());
        self.clock.now() - (now - stamp)
    }

    fn sleep_until(&self, at: ShowTime) {
        let ns = self.clock.mono(at).ns().max(0);
        let at = TimeSpec::new(ns / 1_000_000_000, ns % 1_000_000_000);
        let flags = ClockNanosleepFlags::TIMER_ABSTIME;
        // A signal wakes early; an absolute time is asked for again.
        while clock_nanosleep(ClockId::CLOCK_MONOTONIC, flags, &at) == Err(nix::Error::EINTR) {}
    }
}

fn offset(phase: u16, phases: u16) -> Span {
    Span::from_ns(GRID.ns() / i64::from(phases) * i64::from(phase))
}

/// Asks for real-time scheduling for the calling thread; the error says why not.
#[expect(unsafe_code, reason = "nix has no call for the scheduler's policy")]
pub(super) fn become_real_time() -> Result<(), nix::Error> {
    let how = libc::sched_param { sched_priority: RT_PRIORITY };
    // SAFETY: 0 is the calling thread, and the parameter lives until the call is over.
    let done = unsafe { libc::sched_setscheduler(0, libc::SCHED_FIFO, &how) };
    nix::errno::Errno::result(done).map(|_| ())
}
