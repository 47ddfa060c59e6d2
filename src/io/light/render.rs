//! The render thread: draws every universe for its instant on the grid, and sends it at that instant.
//!
//! In: plans and subscribers, through rings. Out: packets, and what became of them, through a ring. After its start
//! it neither allocates, locks, logs nor waits for anything but its timer; what it has done with goes back to be
//! dropped elsewhere.
//!
//! *Phase*: a share of the grid; with many universes each leaves in its own, so that they do not leave as one burst.

use std::hint::black_box;
use std::net::UdpSocket;
use std::ops::Range;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, AtomicU8, AtomicU64, Ordering::Relaxed};

use engine::clock::Overlay;
use engine::light::blind::BlindStream;
use engine::light::input::{InputTable, Mixer};
use engine::light::parts::Part;
use engine::light::source::{ArtnetStream, GOODBYES, Motion, SacnStream, SacnSync};
use engine::light::turn::Turn;
use engine::light::{Desk, GRID, Plan, UniversePlan};
use engine::order::Evidence;
use nix::libc;
use nix::sys::time::TimeSpec;
use nix::time::{ClockId, ClockNanosleepFlags, clock_nanosleep};
use rtrb::{Consumer, Producer};
use units::{Moment, ShowTime, Span, Universe};
use wire::artnet;

use super::outbox::{Address, Outbox, Sent, System, Way, system_now};
use super::record::{Taken, Tape};
use crate::clock::BoxClock;

/// Frames are drawn at least so long before they leave: 128 universes full of moving dimmers take 0.9 ms in a
/// development build. Of many phases one is drawn as soon as the one before it has left: the thread sleeps once a phase,
/// and to wake costs as much as to send ten packets.
const HEAD_START: Span = Span::from_ns(GRID.ns() / PHASES as i64);
/// Up to this many universes leave together: about 0.4 ms of packets.
pub(super) const TOGETHER_MAX: usize = 128;
/// From the last levels of a frame to the synchronization packet that makes them visible (rule S10): every receiver has
/// them by then, and of many phases the last ends as the next frame begins.
const SYNC_DELAY: Span = Span::from_ns(GRID.ns() / PHASES as i64);
/// A thread that has no universe wakes once in so many frames, for its plans and its end.
const IDLE_FRAMES: i64 = 8;
/// Phases of the grid beyond that: 1.4 ms each, for 250 universes where there are 4,000.
const PHASES: u16 = 16;
/// Half as many do for so many that none has more than leave together: each phase is a time to wake.
const FEW_PHASES: u16 = PHASES / 2;
/// Universes that are brought near together: enough that waiting for memory is shared, and little enough for the nearest
/// of it.
const FETCHED: usize = 8;
/// Where the thread stands among real-time threads, 1 to 99: above sound's decoding, below the kernel's own at 50.
const RT_PRIORITY: i32 = 45;

/// The thread's name, for `top` and for the test that watches what it allocates.
pub(super) const THREAD: &str = "light";

/// What a frame's listeners are told of by the ring.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Told {
    /// A phase left so long after its instant.
    Late { phase: u16, late: Span, evidence: Evidence },
    /// All phases of this thread left.
    Part(Part),
}

/// What the thread has done with.
#[expect(dead_code, reason = "they are kept only to be dropped by somebody who has time")]
pub(super) enum Old {
    Plan(Arc<Plan>),
    Table(Arc<Table>),
    Tape(Tape),
    Inputs(Arc<InputTable>),
}

/// Whom Art-Net goes to.
#[derive(Debug, Default)]
pub(super) struct Table {
    /// Who subscribes to which universe, by their order in the show; empty for those that are not Art-Net.
    pub subscribers: Vec<Vec<Address>>,
    /// Who is told when a frame is whole (rule A13); nobody where the show does not ask for it.
    pub sync: Vec<Address>,
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
    /// Frames that a recording had no room for.
    pub untaped: AtomicU64,
    pub leave: AtomicU8,
    turn: AtomicU8,
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
        let (failed, untaped) = (AtomicU64::new(0), AtomicU64::new(0));
        let leave = AtomicU8::new(Leave::Not as u8);
        Self { universes, failed, untaped, leave, turn: AtomicU8::new(Turn::Drives as u8) }
    }
    pub fn leave(&self, how: Leave) {
        self.leave.store(how as u8, Relaxed);
    }
    pub fn set_turn(&self, turn: Turn) {
        self.turn.store(turn as u8, Relaxed);
    }
    /// Unless another one's turn has come meanwhile.
    pub fn end_takeover(&self) {
        let (from, to) = (Turn::TakesOver as u8, Turn::Drives as u8);
        let _ = self.turn.compare_exchange(from, to, Relaxed, Relaxed);
    }
    pub fn turn(&self) -> Turn {
        Turn::from_number(self.turn.load(Relaxed))
    }
    pub fn leaving(&self) -> Leave {
        match self.leave.load(Relaxed) {
            0 => Leave::Not,
            1 => Leave::Planned,
            _ => Leave::Silently,
        }
    }
}

/// The levels of a universe.
type Slots = [u8; Universe::SLOTS];

/// A universe on its way out.
pub(super) struct Lit {
    pub universe: Universe,
    /// Its place among all universes of the show.
    pub index: usize,
    pub sacn: Option<SacnStream>,
    /// Where that goes, among all addresses of the thread.
    pub to: Range<usize>,
    pub artnet: Option<ArtnetStream>,
    /// What is seen blindly, in a place of its own, since it is seldom looked at.
    pub blind: Option<Box<BlindStream>>,
    /// Every frame is sent (rule S16).
    pub constant: bool,
    /// What comes in.
    pub mixer: Mixer,
    pub phase: u16,
    /// Send the next frame whatever it holds.
    fresh: bool,
    sacn_due: bool,
    artnet_due: bool,
    blind_due: bool,
    /// Whether somebody looks at it blindly, or has, and is still owed goodbyes.
    looked_at: bool,
}

impl Lit {
    pub fn new(universe: Universe, index: usize) -> Self {
        Self {
            universe,
            index,
            sacn: None,
            to: 0..0,
            artnet: None,
            blind: None,
            constant: false,
            mixer: Mixer::default(),
            phase: 0,
            fresh: true,
            sacn_due: false,
            artnet_due: false,
            blind_due: false,
            looked_at: false,
        }
    }

    /// Has what [`Self::draw`] reads brought near, as far as it lies so deep.
    fn fetch(&self, plan: &Plan, depth: usize) {
        let drawn = plan.universe_at(self.index, self.universe).map(|it| it.touch(depth));
        let sent = self.sacn.as_ref().filter(|_| depth == 0).map(SacnStream::touch);
        black_box((drawn, sent));
    }

    /// Draws its frame and says what is in it, with what came in.
    pub fn draw(
        &mut self,
        desk: &mut Desk,
        plan: &Plan,
        came: &Came,
        subscribed: bool,
        at: ShowTime,
    ) -> Slots {
        let shown = plan.shown(at);
        let lively = self.fresh || self.constant;
        let mut motion = if lively { Motion::Lively } else { Motion::Still };
        // A slot that no lane has is dark: again so when a recording, or who parked it, lets it go.
        let mut slots = [0; Universe::SLOTS];
        if let Some(drawn) = plan.universe_at(self.index, self.universe) {
            desk.draw(drawn, shown, &mut slots);
            if plan.frozen.is_none() && drawn.is_moving(shown) {
                motion = Motion::Lively;
            }
        }
        self.fresh = false;
        self.mixer.mix(came.table, came.at, &mut slots);
        self.sacn_due = self.sacn.as_mut().is_some_and(|it| it.show(&slots, motion, at));
        // Without a subscriber there is nothing to send, nor to count (rule A8).
        let artnet = self.artnet.as_mut().filter(|_| subscribed);
        self.artnet_due = artnet.is_some_and(|it| it.show(&slots, motion, at));
        slots
    }

    /// Draws what is seen blindly at `at`, none if nobody looks; a pause of the show is none of it.
    fn draw_blind(&mut self, desk: &mut Desk, plan: Option<&UniversePlan>, at: ShowTime) {
        if plan.is_none() && !self.looked_at {
            return;
        }
        let Some(blind) = &mut self.blind else { return };
        let lively = plan.is_some_and(|plan| self.constant || plan.is_moving(at));
        let motion = if lively { Motion::Lively } else { Motion::Still };
        let slots = plan.map(|plan| {
            let mut slots = [0; Universe::SLOTS];
            desk.draw(plan, at, &mut slots);
            slots
        });
        self.blind_due = blind.show(slots.as_ref(), motion, at);
        self.looked_at = plan.is_some() || self.blind_due;
    }
}

/// What has come in, and the frame's instant by the clock of those who listen.
pub(super) struct Came<'a> {
    pub table: &'a InputTable,
    pub at: ShowTime,
}

/// The sockets that light leaves by.
pub(super) struct Ways {
    /// sACN's, each once, those that the kernel stamps last.
    pub sacn: Vec<(Way, OwnedFd)>,
    pub artnet: Option<Arc<UdpSocket>>,
}

impl Ways {
    fn sacn(&self) -> impl Iterator<Item = (Way, BorrowedFd<'_>)> {
        self.sacn.iter().map(|(way, socket)| (*way, socket.as_fd()))
    }
}

/// What makes a frame's levels visible, and for whom (rule S10).
pub(super) struct Synchronizer {
    pub stream: SacnSync,
    pub to: Vec<Address>,
    /// Levels have left that wait for it.
    waited_for: bool,
}

impl Synchronizer {
    pub fn new(stream: SacnSync, to: Vec<Address>) -> Self {
        Self { stream, to, waited_for: false }
    }
}

/// A thread's own. Several share a frame when one core is not enough: each has every so-manieth phase.
pub(super) struct Render {
    pub clock: BoxClock,
    /// The clock of those who listen: it does not step with the box's before the show.
    pub steady: Overlay,
    pub phases: Vec<u16>,
    /// Of the grid, whoever has them.
    pub phases_in_all: u16,
    /// By their phases.
    pub lit: Vec<Lit>,
    /// To where sACN goes, in the order in which it leaves: to look for each in a place of its own took longer than to
    /// send it.
    pub to: Vec<Address>,
    pub ways: Ways,
    pub desk: Desk,
    pub synchronizer: Option<Synchronizer>,
    pub plan: Arc<Plan>,
    pub table: Arc<Table>,
    /// While somebody records.
    pub tape: Option<Tape>,
    pub inputs: Arc<InputTable>,
    pub ends: RenderEnds,
    pub gauges: Arc<Gauges>,
    /// Whether any ArtDmx has left in this frame.
    pub unsynced: bool,
    /// As what it sends.
    pub turn: Turn,
}

/// Its ends of the rings.
pub(super) struct RenderEnds {
    pub plans: Consumer<Arc<Plan>>,
    pub tables: Consumer<Arc<Table>>,
    pub tapes: Consumer<Option<Tape>>,
    pub inputs: Consumer<Arc<InputTable>>,
    pub old: Producer<Old>,
    pub told: Producer<Told>,
}

impl Render {
    /// Runs until it is told to leave.
    pub fn run(mut self) {
        let mut instant = (self.clock.now() + head_start(self.phases_in_all)).round_up(GRID);
        loop {
            match self.gauges.leaving() {
                Leave::Not => self.frame(instant),
                Leave::Planned => return self.say_goodbye(instant),
                Leave::Silently => return,
            }
            instant = self.after(instant);
        }
    }

    /// This thread's phases of the grid that begins at `instant`.
    fn frame(&mut self, instant: ShowTime) {
        let mut last: Option<(ShowTime, Evidence)> = None;
        let mut plan = u64::MAX; // the oldest that any phase was drawn from
        for index in 0..self.phases.len() {
            let phase = self.phases[index];
            let due = instant + offset(phase, self.phases_in_all);
            if !self.lit.is_empty() {
                self.sleep_until(due - head_start(self.phases_in_all));
            }
            self.take_orders();
            self.take_turn();
            plan = plan.min(self.plan.serial);
            self.draw(phase, due);
            self.sleep_until(due);
            // Of many phases the last one's delay ends just here.
            self.synchronize();
            let last_phase = phase + 1 == self.phases_in_all;
            if let Some((left, evidence)) = self.send(phase, last_phase) {
                let _ = self.ends.told.push(Told::Late { phase, late: left - due, evidence });
                last = Some((left, evidence));
            }
            if self.phases_in_all > 1 {
                self.preview(phase, due);
            }
        }
        if let Some(it) = &mut self.synchronizer {
            let is_seen = self.turn != Turn::StandsBy;
            it.waited_for = is_seen && self.lit.iter().any(|lit| lit.sacn_due);
        }
        if self.phases_in_all == 1 && self.is_waited_for() {
            self.sleep_until(instant + SYNC_DELAY);
            self.synchronize();
        }
        // A full ring means that nobody reads; the next report will find room again.
        let (newest, awaited) = (self.plan.serial, self.plan.awaited);
        let part = Part { instant, plan, newest, awaited, left: last };
        let _ = self.ends.told.push(Told::Part(part));
        if self.phases_in_all == 1 {
            self.preview(0, instant);
        }
    }

    /// What is seen blindly is drawn and sent when the phase's live levels, and what makes them visible, have left:
    /// visualisers can wait, a stage cannot.
    fn preview(&mut self, phase: u16, at: ShowTime) {
        let span = self.span(phase);
        for lit in &mut self.lit[span] {
            lit.draw_blind(&mut self.desk, self.plan.seen_blindly(lit.universe), at);
        }
        self.post_blind(phase);
    }

    /// The next instant: the next of the grid, unless that has gone by for half a frame, or the clock has stepped back.
    /// Nothing is made up for by a burst (rules S5 and A12).
    fn after(&self, instant: ShowTime) -> ShowTime {
        let step = if self.lit.is_empty() { GRID.times(IDLE_FRAMES) } else { GRID };
        let next = instant + step;
        let now = self.clock.now();
        let half = Span::from_ns(GRID.ns() / 2);
        let ahead = now + step + half < next;
        if now > next + half || ahead { now.round_up(GRID) } else { next }
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
        while self.ends.old.slots() > 0
            && let Ok(inputs) = self.ends.inputs.pop()
        {
            let old = std::mem::replace(&mut self.inputs, inputs);
            let _ = self.ends.old.push(Old::Inputs(old));
        }
        while self.ends.old.slots() > 0
            && let Ok(tape) = self.ends.tapes.pop()
        {
            self.take_tape(tape);
        }
    }

    /// Whoever takes over is seen in the very next frame, whatever it holds.
    fn take_turn(&mut self) {
        let turn = self.gauges.turn();
        if turn == self.turn {
            return;
        }
        self.turn = turn;
        for lit in &mut self.lit {
            lit.fresh = true;
            lit.sacn.iter_mut().for_each(|it| it.set_turn(turn));
        }
    }

    fn take_tape(&mut self, tape: Option<Tape>) {
        // Whoever records sees at once what is shown.
        self.lit.iter_mut().for_each(|lit| lit.fresh |= tape.is_some());
        if let Some(old) = std::mem::replace(&mut self.tape, tape) {
            let _ = self.ends.old.push(Old::Tape(old));
        }
    }

    fn take_plan(&mut self, plan: Arc<Plan>) {
        let paused_or_resumed = plan.frozen != self.plan.frozen;
        for lit in &mut self.lit {
            let of =
                |plan: &Plan| plan.universe_at(lit.index, lit.universe).map(std::ptr::from_ref);
            let (was, is) = (of(&self.plan), of(&plan));
            lit.fresh |= paused_or_resumed || was != is;
        }
        let old = std::mem::replace(&mut self.plan, plan);
        // There is room: it was looked for.
        let _ = self.ends.old.push(Old::Plan(old));
    }

    fn take_table(&mut self, table: Arc<Table>) {
        for lit in &mut self.lit {
            // Who has just subscribed sees at once what is shown.
            lit.fresh |= self.table.subscribers[lit.index] != table.subscribers[lit.index];
        }
        let old = std::mem::replace(&mut self.table, table);
        let _ = self.ends.old.push(Old::Table(old));
    }

    /// The universes of a phase.
    fn span(&self, phase: u16) -> Range<usize> {
        let begin = self.lit.partition_point(|lit| lit.phase < phase);
        begin..self.lit.partition_point(|lit| lit.phase <= phase)
    }

    fn draw(&mut self, phase: u16, at: ShowTime) {
        let heard = self.steady.show(self.clock.mono(at));
        let came = Came { table: &self.inputs, at: heard };
        let span = self.span(phase);
        for index in span.clone() {
            // A few ahead at a time, so that the processor waits for all of them at once.
            if (index - span.start).is_multiple_of(FETCHED) {
                let near = &self.lit[index..span.end.min(index + FETCHED)];
                for depth in 0..UniversePlan::DEPTHS {
                    near.iter().for_each(|lit| lit.fetch(&self.plan, depth));
                }
            }
            let lit = &mut self.lit[index];
            let sends_artnet = self.turn != Turn::StandsBy;
            let subscribed = sends_artnet && !self.table.subscribers[lit.index].is_empty();
            let slots = lit.draw(&mut self.desk, &self.plan, &came, subscribed, at);
            if let Some(tape) = self.tape.as_mut().filter(|_| lit.sacn_due || lit.artnet_due) {
                let taken = Taken { at, universe: lit.universe, slots };
                let is_lost = u64::from(tape.push(taken).is_err());
                self.gauges.untaped.fetch_add(is_lost, Relaxed);
            }
        }
    }

    /// When the last packet of the phase left, and how we know; none if the rules ask for none.
    fn send(&mut self, phase: u16, last_phase: bool) -> Option<(ShowTime, Evidence)> {
        self.unsynced |= self.lit[self.span(phase)].iter().any(|lit| lit.artnet_due);
        let (sent, stamp) = self.post(phase, last_phase && self.unsynced);
        self.unsynced &= !last_phase;
        let now = self.clock.now();
        let told = stamp.map_or((now, Evidence::AfterSend), |stamp| {
            (self.show(stamp), Evidence::KernelTransmit)
        });
        self.gauges.failed.fetch_add(sent.failed, Relaxed);
        for lit in &self.lit[self.span(phase)] {
            if lit.sacn_due || lit.artnet_due {
                let gauge = &self.gauges.universes[lit.index];
                gauge.frames.fetch_add(1, Relaxed);
                gauge.last.store(told.0.ns(), Relaxed);
            }
        }
        (sent.left > 0).then_some(told)
    }

    fn is_waited_for(&self) -> bool {
        self.synchronizer.as_ref().is_some_and(|it| it.waited_for)
    }

    /// Sends the synchronization packet for what has left, if anything has.
    fn synchronize(&mut self) {
        let Some(it) = self.synchronizer.as_mut().filter(|it| it.waited_for) else { return };
        it.waited_for = false;
        let bytes = it.stream.datagram();
        let mut outbox = Outbox::new();
        for (way, socket) in self.ways.sacn() {
            let to = it.to.iter().filter(|to| to.way() == way);
            to.for_each(|to| outbox.push(socket, bytes, to));
        }
        let (sent, _) = outbox.finish(false);
        self.gauges.failed.fetch_add(sent.failed, Relaxed);
    }

    /// Art-Net first and what the kernel stamps last. ArtSync stands behind the last ArtDmx of a frame (rule A13).
    fn post(&self, phase: u16, sync: bool) -> (Sent, Option<Moment<System>>) {
        let mut outbox = Outbox::new();
        let due = || self.lit[self.span(phase)].iter();
        if let Some(socket) = self.ways.artnet.as_ref().map(|it| it.as_fd()) {
            for lit in due().filter(|lit| lit.artnet_due) {
                let to = &self.table.subscribers[lit.index];
                let stream = lit.artnet.iter().map(ArtnetStream::bytes);
                stream.for_each(|bytes| to.iter().for_each(|to| outbox.push(socket, bytes, to)));
            }
            let told = self.table.sync.iter().filter(|_| sync);
            told.for_each(|to| outbox.push(socket, &artnet::SYNC, to));
        }
        let mut stamped = false;
        for (way, socket) in self.ways.sacn() {
            for lit in due().filter(|lit| lit.sacn_due) {
                let to = &self.to[lit.to.clone()];
                for bytes in lit.sacn.iter().flat_map(SacnStream::datagrams) {
                    for to in to.iter().filter(|to| to.way() == way) {
                        outbox.push(socket, bytes, to);
                        stamped = way != Way::V6;
                    }
                }
            }
        }
        outbox.finish(stamped)
    }

    fn post_blind(&self, phase: u16) {
        if !self.lit[self.span(phase)].iter().any(|lit| lit.blind_due) {
            return;
        }
        let mut outbox = Outbox::new();
        for (way, socket) in self.ways.sacn() {
            for lit in self.lit[self.span(phase)].iter().filter(|lit| lit.blind_due) {
                for to in self.to[lit.to.clone()].iter().filter(|to| to.way() == way) {
                    let datagrams = lit.blind.iter().flat_map(|it| it.datagrams());
                    datagrams.for_each(|bytes| outbox.push(socket, bytes, to));
                }
            }
        }
        let (sent, _) = outbox.finish(false);
        self.gauges.failed.fetch_add(sent.failed, Relaxed);
    }

    /// Three packets with Stream_Terminated for every universe, a frame apart (rule S8).
    fn say_goodbye(&mut self, mut instant: ShowTime) {
        for _ in 0..GOODBYES {
            for lit in &mut self.lit {
                lit.artnet_due = false;
                lit.sacn_due = lit.sacn.is_some();
                lit.sacn.iter_mut().for_each(SacnStream::say_goodbye);
                lit.draw_blind(&mut self.desk, None, instant);
            }
            for index in 0..self.phases.len() {
                let phase = self.phases[index];
                self.sleep_until(instant + offset(phase, self.phases_in_all));
                self.send(phase, false);
                self.post_blind(phase);
            }
            instant = self.after(instant);
        }
    }

    /// The kernel stamps by the system's clock; how long ago that was is the same by ours.
    fn show(&self, stamp: Moment<System>) -> ShowTime {
        self.clock.now() - (system_now() - stamp)
    }

    fn sleep_until(&self, at: ShowTime) {
        if self.clock.now() >= at {
            return;
        }
        let ns = self.clock.mono(at).ns().max(0);
        let at = TimeSpec::new(ns / 1_000_000_000, ns % 1_000_000_000);
        let flags = ClockNanosleepFlags::TIMER_ABSTIME;
        // A signal wakes early; an absolute time is asked for again.
        while clock_nanosleep(ClockId::CLOCK_MONOTONIC, flags, &at) == Err(nix::Error::EINTR) {}
    }
}

/// How many phases the grid has for so many universes.
pub(super) fn phases(universes: usize) -> u16 {
    match universes {
        0..=TOGETHER_MAX => 1,
        _ if universes <= TOGETHER_MAX * FEW_PHASES as usize => FEW_PHASES,
        _ => PHASES,
    }
}

fn head_start(phases: u16) -> Span {
    if phases > 1 { offset(1, phases) } else { HEAD_START }
}

/// Which of them is a universe's: a fixed function of its number, so that all boxes emit the same at the same moment.
pub(super) fn phase_of(universe: Universe, phases: u16) -> u16 {
    universe.number() % phases
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
