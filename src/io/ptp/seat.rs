//! One PTP port: statime's protocol, seated on an interface that may come and go.
//!
//! In: messages, alarms, the interface's state. Out: messages, and what was measured. Never: steering: the filter that
//! statime wants only hands measurements on.

use std::cell::RefCell;
use std::collections::VecDeque;
use std::io;
use std::os::fd::BorrowedFd;
use std::rc::Rc;

use engine::boxfile::clock::{Clock as Config, Delay, Part};
use engine::clock::{Retry, StampKind, sync_leaves};
use rand::SeedableRng;
use rand::rngs::StdRng;
use statime::config::{AcceptAnyMaster, DelayMechanism, PortConfig, PtpMinorVersion};
use statime::filters::{Filter, FilterEstimate, FilterUpdate};
use statime::port::{
    ForwardedTLV, ForwardedTLVProvider, InBmca, Measurement, PortAction, PortActionIterator,
    Running, TimestampContext,
};
use statime::time::{Duration, Interval, Time};
use statime::{PtpInstance, PtpInstanceState};
use units::{MonoTime, ShowTime, Span};
use wire::ptp::{Class, Intervals, UtcOffset, tell_interval, tell_utc_offset};

use super::line::{Line, Reach, room};
use super::links::Link;
use super::stamps::SystemClock;
use crate::clock::BoxClock;

/// All ports of this box together.
pub(super) type Instance = PtpInstance<Forward, RefCell<PtpInstanceState>>;
type Port<'a, L> = statime::port::Port<
    'a,
    L,
    AcceptAnyMaster,
    StdRng,
    Unsteered,
    Forward,
    RefCell<PtpInstanceState>,
>;

/// Packets whose stamps are waited for; a driver that loses stamps must not fill the memory.
const WAITING_MAX: usize = 16;
/// What masters want passed on, for one Announce.
const TLVS_MAX: usize = 16;
/// Messages that are read at a time: other ports wait no longer than this takes.
const TURN: usize = 32;
/// A master that has not announced itself for so many intervals is gone: the default of every profile that the box file
/// knows.
const RECEIPT_TIMEOUT: u8 = 3;

/// A port with its interface.
pub(super) struct Seat<'a> {
    /// Taken out only while the best master is chosen.
    port: Option<Port<'a, Running>>,
    hands: Hands,
    measured: Rc<RefCell<VecDeque<Measurement>>>,
}

/// What a port acts by.
struct Hands {
    name: String,
    config: Rc<Config>,
    utc_offset: UtcOffset,
    clock: BoxClock,
    line: Option<Line>,
    link: Link,
    /// Why there is no line, or why nothing leaves by it.
    trouble: Option<String>,
    retry: Retry,
    alarms: [Option<MonoTime>; 5],
    /// When a packet last came or went.
    moved: MonoTime,
    waiting: VecDeque<(u32, TimestampContext)>,
    tlvs: VecDeque<ForwardedTLV<'static>>,
}

/// In the order of [`Hands::alarms`].
#[derive(Clone, Copy)]
enum Alarm {
    Announce,
    Sync,
    DelayRequest,
    AnnounceReceipt,
    Filter,
}
const ALARMS: [Alarm; 5] =
    [Alarm::Announce, Alarm::Sync, Alarm::DelayRequest, Alarm::AnnounceReceipt, Alarm::Filter];

/// As the status shows it.
#[derive(Debug, Clone, PartialEq, serde::Serialize)]
pub struct PortGlance {
    /// The interface.
    pub interface: String,
    /// Whether it is there and has a link.
    pub link: bool,
    /// `listening`, `leading`, `following`, `passive`, `faulty`, `down`.
    pub state: &'static str,
    /// `hardware`, `software`; `null` while the port is down.
    pub stamps: Option<StampKind>,
    /// How the interface's clock is read: `precise`, `extended`, `plain`; `null` without hardware timestamps.
    pub cross_timestamp: Option<&'static str>,
    /// Why the port is down, or why the interface does not stamp.
    pub trouble: Option<String>,
}

impl<'a> Seat<'a> {
    pub fn new(
        instance: &'a Instance,
        config: &Rc<Config>,
        name: &str,
        clock: &BoxClock,
        utc_offset_s: i16,
    ) -> Self {
        let measured = Rc::default();
        let chance = StdRng::from_entropy();
        let port = instance.add_port(
            port_config(config),
            Rc::clone(&measured),
            Unsteered(clock.clone()),
            chance,
        );
        let mut hands = Hands {
            name: name.to_owned(),
            config: config.clone(),
            utc_offset: UtcOffset { own: utc_offset_s, beyond: None },
            clock: clock.clone(),
            line: None,
            link: Link::default(),
            trouble: None,
            retry: Retry::default(),
            alarms: [None; 5],
            moved: clock.mono_now(),
            waiting: VecDeque::new(),
            tlvs: VecDeque::new(),
        };
        let (port, actions) = port.end_bmca();
        hands.perform(actions);
        if config.delay == Delay::PeerToPeer {
            // Links are measured whatever the port is; statime begins by itself only where it follows.
            hands.set(Alarm::DelayRequest, core::time::Duration::ZERO);
        }
        Self { port: Some(port), hands, measured }
    }

    /// The interface is like this now. True where its line was lost.
    pub fn look(&mut self, link: Link) -> bool {
        let had = self.hands.line.is_some();
        if link != self.hands.link {
            self.hands.close();
            self.hands.link = link;
            self.hands.retry.is_well();
        }
        if self.hands.line.is_none() && self.hands.retry.may(self.hands.clock.mono_now()) {
            self.hands.open();
        }
        had && self.hands.line.is_none()
    }

    /// Whatever came and whatever left since.
    pub fn hear(&mut self, system: &mut SystemClock) -> Option<Vec<ForwardedTLV<'static>>> {
        self.hands.line.as_ref()?;
        let mut tlvs = Vec::new();
        for _ in 0..TURN {
            match self.hear_one(system, &mut tlvs) {
                Ok(true) => {}
                Ok(false) => break,
                Err(error) => {
                    self.hands.fail(&error);
                    break;
                }
            }
        }
        Some(tlvs)
    }

    fn hear_one(
        &mut self,
        system: &mut SystemClock,
        tlvs: &mut Vec<ForwardedTLV<'static>>,
    ) -> io::Result<bool> {
        let (Some(port), Some(line)) = (self.port.as_mut(), self.hands.line.as_mut()) else {
            return Ok(false);
        };
        // What left comes first: an answer may be here already, and it needs to know when the question left.
        if let Some((number, at)) = line.left(system)? {
            if let (Some(context), Some(at)) = (self.hands.waited_for(number), at) {
                let at = self.hands.time(at);
                tlvs.extend(self.hands.perform(port.handle_send_timestamp(context, at)));
            }
            return Ok(true);
        }
        let mut room = room();
        let Some(heard) = line.hear(system, &mut room)? else { return Ok(false) };
        self.hands.moved = self.hands.clock.mono_now();
        let actions = match (heard.class, heard.at) {
            (Class::General, _) => port.handle_general_receive(heard.message),
            (Class::Event, Some(at)) => {
                let at = self.hands.time(at);
                port.handle_event_receive(heard.message, at)
            }
            // Without its time it tells nothing.
            (Class::Event, None) => PortActionIterator::empty(),
        };
        tlvs.extend(self.hands.perform(actions));
        Ok(true)
    }

    /// Does what is due.
    pub fn wake(&mut self, now: MonoTime) {
        while let (Some(alarm), Some(port)) = (self.hands.due(now), self.port.as_mut()) {
            let mut tlvs = Tlvs(std::mem::take(&mut self.hands.tlvs));
            let actions = match alarm {
                Alarm::Announce => port.handle_announce_timer(&mut tlvs),
                Alarm::Sync => port.handle_sync_timer(),
                Alarm::DelayRequest => port.handle_delay_request_timer(),
                Alarm::AnnounceReceipt => port.handle_announce_receipt_timer(),
                Alarm::Filter => port.handle_filter_update_timer(),
            };
            self.hands.perform(actions);
            self.hands.tlvs = tlvs.0;
        }
    }

    /// When something is due next.
    pub fn next_wake(&self) -> Option<MonoTime> {
        ALARMS.into_iter().filter_map(|alarm| self.hands.rings(alarm)).min()
    }

    /// Passed on with the next Announce.
    pub fn pass_on(&mut self, tlv: ForwardedTLV<'static>) {
        if self.hands.tlvs.len() < TLVS_MAX {
            self.hands.tlvs.push_back(tlv);
        }
    }

    /// What is announced of a master beyond us ([`UtcOffset::beyond`]).
    pub fn announce_beyond(&mut self, utc_offset_s: Option<i16>) {
        self.hands.utc_offset.beyond = utc_offset_s;
    }

    /// What was measured since.
    pub fn measured(&mut self) -> Option<Measurement> {
        self.measured.borrow_mut().pop_front()
    }

    pub fn sockets(&self) -> impl Iterator<Item = BorrowedFd<'_>> {
        self.hands.line.iter().flat_map(Line::sockets)
    }

    pub fn follows(&self) -> bool {
        self.port.as_ref().is_some_and(Port::is_steering)
    }

    pub fn leads(&self) -> bool {
        self.port.as_ref().is_some_and(Port::is_master)
    }

    pub fn is_up(&self) -> bool {
        self.hands.line.is_some()
    }

    pub fn stamps(&self) -> Option<StampKind> {
        self.hands.line.as_ref().map(Line::stamps)
    }

    /// In a sentence, where there is trouble.
    pub fn trouble(&self) -> Option<String> {
        self.hands.trouble.as_ref().map(|why| format!("no PTP on {}: {why}", self.hands.name))
    }

    pub fn glance(&self) -> PortGlance {
        use statime::observability::port::PortState;
        let line = self.hands.line.as_ref();
        let state = self.port.as_ref().filter(|_| line.is_some()).map(|it| it.port_ds().port_state);
        PortGlance {
            interface: self.hands.name.clone(),
            link: self.hands.link.up,
            state: match state {
                None | Some(PortState::Disabled | PortState::Initializing) => "down",
                Some(PortState::Master | PortState::PreMaster) => "leading",
                Some(PortState::Slave | PortState::Uncalibrated) => "following",
                Some(PortState::Passive) => "passive",
                Some(PortState::Faulty) => "faulty",
                Some(PortState::Listening) => "listening",
            },
            stamps: self.stamps(),
            cross_timestamp: line.and_then(Line::method).map(|method| method.word()),
            trouble: self
                .hands
                .trouble
                .clone()
                .or_else(|| line.and_then(|line| line.remark.clone())),
        }
    }
}

/// Lets all ports choose the best master together.
pub(super) fn choose(instance: &Instance, seats: &mut [Seat<'_>]) {
    let mut ports: Vec<Port<'_, InBmca>> =
        seats.iter_mut().filter_map(|seat| seat.port.take()).map(Port::start_bmca).collect();
    instance.bmca(&mut ports.iter_mut().collect::<Vec<_>>());
    for (seat, port) in seats.iter_mut().zip(ports) {
        let (port, actions) = port.end_bmca();
        seat.hands.perform(actions);
        seat.port = Some(port);
    }
}

fn port_config(config: &Config) -> PortConfig<AcceptAnyMaster> {
    let interval = Interval::from_log_2(config.log_delay_interval);
    PortConfig {
        acceptable_master_list: AcceptAnyMaster,
        delay_mechanism: match config.delay {
            Delay::EndToEnd => DelayMechanism::E2E { interval },
            Delay::PeerToPeer => DelayMechanism::P2P { interval },
        },
        announce_interval: Interval::from_log_2(config.log_announce_interval),
        announce_receipt_timeout: RECEIPT_TIMEOUT,
        sync_interval: Interval::from_log_2(config.log_sync_interval),
        master_only: config.ptp == Part::Lead,
        delay_asymmetry: Duration::ZERO,
        minor_ptp_version: PtpMinorVersion::One,
    }
}

impl Hands {
    /// Does what statime wants done; hands back what the other ports are to pass on.
    fn perform(&mut self, actions: PortActionIterator<'_>) -> Vec<ForwardedTLV<'static>> {
        let mut tlvs = Vec::new();
        for action in actions {
            match action {
                PortAction::SendEvent { context, data, link_local } => {
                    self.send_event(context, data, reach(link_local));
                }
                PortAction::SendGeneral { data, link_local } => {
                    self.send_general(data, reach(link_local));
                }
                PortAction::ResetAnnounceTimer { duration } => self.set(Alarm::Announce, duration),
                PortAction::ResetSyncTimer { duration } => self.set(Alarm::Sync, duration),
                PortAction::ResetDelayRequestTimer { duration } => {
                    self.set(Alarm::DelayRequest, duration);
                }
                PortAction::ResetAnnounceReceiptTimer { duration } => {
                    self.set(Alarm::AnnounceReceipt, duration);
                }
                PortAction::ResetFilterUpdateTimer { duration } => {
                    self.set(Alarm::Filter, duration)
                }
                PortAction::ForwardTLV { tlv } => tlvs.push(tlv.into_owned()),
            }
        }
        tlvs
    }

    fn send_event(&mut self, context: TimestampContext, message: &[u8], reach: Reach) {
        let message = self.finished(message);
        let Some(line) = &mut self.line else { return };
        match line.send_event(&message, reach) {
            Ok(number) => {
                self.it_left();
                if self.waiting.len() == WAITING_MAX {
                    self.waiting.pop_front();
                }
                self.waiting.push_back((number, context));
            }
            Err(error) => self.fail(&error),
        }
    }

    fn send_general(&mut self, message: &[u8], reach: Reach) {
        let message = self.finished(message);
        let Some(line) = &mut self.line else { return };
        match line.send_general(&message, reach) {
            Ok(()) => self.it_left(),
            Err(error) => self.fail(&error),
        }
    }

    /// With what statime has no way to be told.
    fn finished(&self, message: &[u8]) -> Vec<u8> {
        let mut message = message.to_vec();
        tell_utc_offset(&mut message, self.utc_offset);
        let (announce, sync) = (self.config.log_announce_interval, self.config.log_sync_interval);
        tell_interval(&mut message, Intervals { announce, sync });
        message
    }

    fn waited_for(&mut self, number: u32) -> Option<TimestampContext> {
        let place = self.waiting.iter().position(|(it, _)| *it == number)?;
        self.waiting.remove(place).map(|(_, context)| context)
    }

    fn set(&mut self, alarm: Alarm, after: core::time::Duration) {
        let after = Span::from_ns(i64::try_from(after.as_nanos()).unwrap_or(i64::MAX));
        self.alarms[alarm as usize] = Some(self.clock.mono_now() + after);
    }

    fn rings(&self, alarm: Alarm) -> Option<MonoTime> {
        let at = self.alarms[alarm as usize]?;
        let by_kernel = self.line.as_ref().is_some_and(|it| it.stamps() == StampKind::Software);
        Some(match alarm {
            Alarm::Sync if by_kernel => sync_leaves(at, self.moved, self.sync_interval()),
            _ => at,
        })
    }

    fn sync_interval(&self) -> Span {
        Span::from_secs_f64(f64::from(self.config.log_sync_interval).exp2())
    }

    fn due(&mut self, now: MonoTime) -> Option<Alarm> {
        let due = |alarm: &Alarm| self.rings(*alarm).is_some_and(|at| at <= now);
        let alarm = ALARMS.into_iter().find(due)?;
        self.alarms[alarm as usize] = None;
        Some(alarm)
    }

    fn time(&self, at: MonoTime) -> Time {
        time(self.clock.show(at))
    }

    fn open(&mut self) {
        let Some(index) = self.link.usable(self.config.transport) else {
            self.trouble = Some(self.link.lack(self.config.transport).to_owned());
            return;
        };
        match Line::open(&self.name, index, self.config.transport, self.config.timestamps) {
            Ok(line) => {
                self.line = Some(line);
                if !self.retry.is_in_trouble() {
                    self.trouble = None;
                }
            }
            Err(error) => self.trouble = Some(sentence(&error)),
        }
    }

    fn it_left(&mut self) {
        self.retry.is_well();
        self.trouble = None;
        self.moved = self.clock.mono_now();
    }

    fn close(&mut self) {
        self.line = None;
        self.waiting.clear();
    }

    fn fail(&mut self, error: &io::Error) {
        self.close();
        self.retry.failed(self.clock.mono_now());
        self.trouble = Some(sentence(error));
    }
}

/// What the operator can do about it.
fn sentence(error: &io::Error) -> String {
    match error.kind() {
        io::ErrorKind::PermissionDenied => {
            "this process may not: ports 319 and 320 need CAP_NET_BIND_SERVICE, \
            layer 2 and one interface of several CAP_NET_RAW, hardware timestamps CAP_NET_ADMIN"
                .to_owned()
        }
        io::ErrorKind::AddrInUse => "another program has ports 319 and 320".to_owned(),
        _ => error.to_string(),
    }
}

fn reach(link_local: bool) -> Reach {
    if link_local { Reach::NextPort } else { Reach::Everybody }
}

/// PTP's times begin in 1970 and go forward; the box clock's before that are none that it gives anybody.
fn time(at: ShowTime) -> Time {
    Time::from_nanos(at.ns().max(0).cast_unsigned())
}

/// What waits to be passed on.
struct Tlvs(VecDeque<ForwardedTLV<'static>>);

impl ForwardedTLVProvider for Tlvs {
    fn next_if_smaller(&mut self, max_size: usize) -> Option<ForwardedTLV<'_>> {
        if self.0.front()?.size() < max_size { self.0.pop_front() } else { None }
    }
}

/// Hands measurements on.
#[derive(Debug)]
pub(super) struct Forward {
    to: Rc<RefCell<VecDeque<Measurement>>>,
    delay: Duration,
    offset: Duration,
}

/// More has nobody asked for for a long time.
const MEASURED_MAX: usize = 256;

impl Filter for Forward {
    type Config = Rc<RefCell<VecDeque<Measurement>>>;

    fn new(to: Self::Config) -> Self {
        Self { to, delay: Duration::ZERO, offset: Duration::ZERO }
    }

    fn measurement<C: statime::Clock>(&mut self, it: Measurement, _: &mut C) -> FilterUpdate {
        let mut to = self.to.borrow_mut();
        if to.len() < MEASURED_MAX {
            to.push_back(it);
        }
        self.offset = it.offset.unwrap_or(self.offset);
        let mean_delay = it.peer_delay.or(it.delay);
        self.delay = mean_delay.unwrap_or(self.delay);
        FilterUpdate { next_update: None, mean_delay }
    }

    fn update<C: statime::Clock>(&mut self, _: &mut C) -> FilterUpdate {
        FilterUpdate::default()
    }

    fn demobilize<C: statime::Clock>(self, _: &mut C) {}

    fn current_estimates(&self) -> FilterEstimate {
        FilterEstimate { offset_from_master: self.offset, mean_delay: self.delay }
    }
}

/// The box clock, which statime may read.
#[derive(Debug)]
pub(super) struct Unsteered(BoxClock);

/// The discipline steers, nobody else.
#[derive(Debug)]
pub(super) struct NotYours;

impl statime::Clock for Unsteered {
    type Error = NotYours;

    fn now(&self) -> Time {
        time(self.0.now())
    }
    fn step_clock(&mut self, _: Duration) -> Result<Time, NotYours> {
        Err(NotYours)
    }
    fn set_frequency(&mut self, _: f64) -> Result<Time, NotYours> {
        Err(NotYours)
    }
    fn set_properties(&mut self, _: &statime::config::TimePropertiesDS) -> Result<(), NotYours> {
        Ok(())
    }
}
