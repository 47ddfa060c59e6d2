//! The thread that keeps the box clock: waits, and carries between sockets, statime and the discipline.

use std::collections::BTreeMap;
use std::os::fd::{AsFd, BorrowedFd};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::rc::Rc;
use std::sync::mpsc;

use engine::boxfile::clock::{Clock as Config, Part};
use engine::clock::{
    Deed, Direction, Discipline, LinkDelay, Master, News, OneWay, Role, Settings, StampKind, Story,
    identity_text,
};
use nix::poll::{PollFd, PollFlags, ppoll};
use nix::sys::eventfd::EventFd;
use nix::sys::time::TimeSpec;
use statime::config::{
    ClockIdentity, InstanceConfig, LeapIndicator, SdoId, TimePropertiesDS, TimeSource,
};
use statime::port::Measurement;
use statime::time::Time;
use units::{MonoTime, ShowTime, Span};
use uuid::Uuid;

use super::links::links;
use super::peers::Peers;
use super::seat::{Instance, Seat, choose};
use super::stamps::SystemClock;
use super::{Ask, Glance, KeeperSetup, Now, Saying};

/// So often the interfaces are looked at: a cable that was pulled is noticed within it.
const LOOK_EVERY: Span = Span::from_millis(250);
/// After a step, packets that were stamped before it may still be on their way.
const STEP_SETTLES: Span = Span::from_millis(500);
/// A follower must not find itself better than whoever leads, so it is as bad as can be.
const WORST: u8 = 255;

/// Runs until it is told to stop.
pub(super) fn run(
    setup: KeeperSetup,
    asks: &mpsc::Receiver<Ask>,
    bell: &EventFd,
    looked: &mpsc::Sender<Vec<String>>,
) {
    let mut desk = Desk::new(setup);
    // A message that statime cannot stand must not end the show: the port begins anew, the clock goes on meanwhile.
    while catch_unwind(AssertUnwindSafe(|| desk.sit(asks, bell, looked))).is_err() {
        tracing::error!("PTP has stopped by a mistake in the program; it begins anew");
        // One that comes back at once would take a whole core, and fill the log.
        std::thread::sleep(LOOK_EVERY.to_std());
        desk.anew();
    }
}

struct Desk {
    setup: KeeperSetup,
    config: Rc<Config>,
    identity: [u8; 8],
    discipline: Discipline,
    system: SystemClock,
    peers: Option<Peers>,
    /// Why nobody's questions are answered.
    unheard: Option<String>,
    told: (Role, Option<Master>),
    troubles: Vec<Option<String>>,
    believe_from: MonoTime,
}

impl Desk {
    fn new(setup: KeeperSetup) -> Self {
        let now = setup.clock.mono_now();
        let peers = Peers::open(setup.port, &setup.config.peers, now);
        let unheard = peers.as_ref().err().map(|error| {
            format!("no comparing of clocks: could not have UDP port {}: {error}", setup.port)
        });
        let settings = Settings { tai_utc: setup.tai_utc, ..Settings::default() };
        Self {
            config: Rc::new(setup.config.clone()),
            identity: identity(&setup.config, setup.node),
            discipline: Discipline::new(now, setup.clock.overlay(), settings),
            system: SystemClock::default(),
            peers: peers.ok(),
            unheard,
            told: (Role::Free, None),
            troubles: Vec::new(),
            believe_from: now,
            setup,
        }
    }

    fn anew(&mut self) {
        self.tell(News::Master(None));
        self.told = (Role::Free, None);
    }

    fn now(&self) -> MonoTime {
        self.setup.clock.mono_now()
    }

    fn tell(&mut self, news: News) {
        let now = self.now();
        self.discipline.handle(now, news);
    }

    fn sit(
        &mut self,
        asks: &mpsc::Receiver<Ask>,
        bell: &EventFd,
        looked: &mpsc::Sender<Vec<String>>,
    ) {
        let instance = Instance::new(
            instance_config(&self.config, self.identity),
            time_properties(self.setup.tai_utc),
        );
        let mut seats = self.seats(&instance);
        let (mut look_at, mut choose_at) = (self.now(), self.now());
        loop {
            if look_at <= self.now() {
                look_at = self.now() + LOOK_EVERY;
                self.look(&mut seats);
                // Only the first is waited for.
                let _ = looked.send(self.warnings());
            }
            if !seats.is_empty() && choose_at <= self.now() {
                choose(&instance, &mut seats);
                // Before anything is announced of whom it chose.
                self.tell_role(&instance, &mut seats);
                choose_at = self.now() + span(instance.bmca_interval());
            }
            self.hear(&mut seats);
            self.tell_role(&instance, &mut seats);
            self.act();
            if !self.answer(asks, &seats) {
                return;
            }
            let alarms = seats.iter().filter_map(Seat::next_wake);
            let peers = self.peers.as_ref().map(Peers::next_wake);
            let choice = (!seats.is_empty()).then_some(choose_at);
            let own = look_at.min(self.discipline.next_wake(self.now()));
            let until = alarms.chain(peers).chain(choice).fold(own, MonoTime::min);
            let sockets = seats.iter().flat_map(Seat::sockets);
            let sockets = sockets.chain(self.peers.as_ref().map(Peers::socket));
            wait(until - self.now(), sockets.chain([bell.as_fd()]));
            let _ = bell.read();
        }
    }

    fn seats<'a>(&self, instance: &'a Instance) -> Vec<Seat<'a>> {
        if self.config.ptp == Part::Off {
            return Vec::new();
        }
        let utc_offset_s = whole_secs(self.setup.tai_utc);
        let seat = |name: &String| {
            Seat::new(instance, &self.config, name, &self.setup.clock, utc_offset_s)
        };
        self.config.interfaces.iter().map(seat).collect()
    }

    /// What came, what is due, what was measured.
    fn hear(&mut self, seats: &mut [Seat<'_>]) {
        for heard in 0..seats.len() {
            for tlv in seats[heard].hear(&mut self.system).unwrap_or_default() {
                let others = seats.iter_mut().enumerate().filter(|(index, _)| *index != heard);
                others.for_each(|(_, seat)| seat.pass_on(tlv.clone()));
            }
            seats[heard].wake(self.setup.clock.mono_now());
            let stamps = seats[heard].stamps().unwrap_or(StampKind::Software);
            while let Some(measured) = seats[heard].measured() {
                self.measure(&measured, stamps);
            }
        }
        self.compare();
    }

    /// Questions and answers of other boxes.
    fn compare(&mut self) {
        let Some(peers) = &mut self.peers else { return };
        let (clock, discipline) = (&self.setup.clock, &mut self.discipline);
        let vouched = discipline.vouched(clock.mono_now());
        let mut tell = |news| discipline.handle(clock.mono_now(), news);
        peers.hear(clock, vouched, &mut self.system, &mut tell);
        peers.wake(clock, tell);
    }

    /// statime measures against the overlay; the discipline wants both ends as they were read.
    fn measure(&mut self, measured: &Measurement, stamps: StampKind) {
        let event = ShowTime::from_ns(ns(measured.event_time));
        let at = self.setup.clock.overlay().mono(event);
        if at < self.believe_from {
            return;
        }
        let half = |direction, raw| {
            News::OneWay(OneWay { at, direction, master: event - rounded(raw), stamps })
        };
        let news = match *measured {
            Measurement { raw_sync_offset: Some(raw), .. } => half(Direction::FromMaster, raw),
            Measurement { raw_delay_offset: Some(raw), .. } => half(Direction::ToMaster, raw),
            Measurement { peer_delay: Some(delay), .. } => {
                News::LinkDelay(LinkDelay { at, delay: rounded(delay), stamps })
            }
            _ => return,
        };
        self.tell(news);
    }

    fn look(&mut self, seats: &mut [Seat<'_>]) {
        // To ask the kernel for all of them is dear, and without a seat nobody wants to know.
        let links = if seats.is_empty() { BTreeMap::new() } else { links() };
        for (name, seat) in self.setup.config.interfaces.iter().zip(seats.iter_mut()) {
            let followed = seat.follows();
            if seat.look(links.get(name).cloned().unwrap_or_default()) && followed {
                let now = self.setup.clock.mono_now();
                self.discipline.handle(now, News::LinkDown);
            }
        }
        let troubles: Vec<Option<String>> = seats.iter().map(Seat::trouble).collect();
        for (index, trouble) in troubles.iter().enumerate() {
            if self.troubles.get(index).unwrap_or(&None) != trouble {
                (self.setup.say)(Saying::Port(trouble.clone()));
            }
        }
        self.troubles = troubles;
    }

    fn warnings(&self) -> Vec<String> {
        self.troubles.iter().flatten().chain(&self.unheard).cloned().collect()
    }

    /// To the discipline; and to the seats, what follows from it for their announcements.
    fn tell_role(&mut self, instance: &Instance, seats: &mut [Seat<'_>]) {
        let follows = seats.iter().any(|seat| seat.follows() && seat.is_up());
        let leads = seats.iter().any(Seat::leads);
        let role = match (follows, leads) {
            (true, _) => Role::Follower,
            (false, true) => Role::Master,
            (false, false) => Role::Free,
        };
        let master = follows.then(|| master(instance));
        if self.told.0 != role {
            self.tell(News::Role(role));
        }
        if self.told.1 != master {
            self.tell(News::Master(master));
        }
        self.told = (role, master);
        let made_tai_by = self.discipline.made_tai_by().map(whole_secs);
        seats.iter_mut().for_each(|seat| seat.announce_beyond(made_tai_by));
    }

    /// What the discipline wants done.
    fn act(&mut self) {
        let now = self.now();
        while let Some(deed) = self.discipline.poll(now) {
            match deed {
                Deed::Overlay(overlay) => self.setup.writer.publish(overlay),
                Deed::AskStep { by } => (self.setup.say)(Saying::AsksToStep(by)),
                Deed::Say(story) => {
                    if let Story::Stepped { .. } = story {
                        self.believe_from = now + STEP_SETTLES;
                    }
                    (self.setup.say)(Saying::Story(story));
                }
            }
        }
    }

    /// False where it is to stop.
    fn answer(&mut self, asks: &mpsc::Receiver<Ask>, seats: &[Seat<'_>]) -> bool {
        loop {
            match asks.try_recv() {
                // Who asked may have gone meanwhile.
                Ok(Ask::Glance(reply)) => drop(reply.send(self.glance(seats))),
                Ok(Ask::ShowRuns(runs)) => self.tell(News::ShowRunning(runs)),
                Ok(Ask::StepGranted) => self.tell(News::StepGranted),
                Ok(Ask::Stop) | Err(mpsc::TryRecvError::Disconnected) => return false,
                Err(mpsc::TryRecvError::Empty) => {
                    self.act();
                    return true;
                }
            }
        }
    }

    fn glance(&self, seats: &[Seat<'_>]) -> Glance {
        let (mono, tai) = self.setup.clock.both();
        Glance {
            clock: self.discipline.glance(mono),
            now: Now { mono, tai },
            ptp: match self.config.ptp {
                Part::Off => "off",
                Part::Follow => "follow",
                Part::Lead => "lead",
                Part::Auto => "auto",
            },
            domain: self.config.domain,
            identity: (self.config.ptp != Part::Off).then(|| identity_text(self.identity)),
            ports: seats.iter().map(Seat::glance).collect(),
        }
    }
}

/// Until something happens, or that long.
fn wait<'a>(most: Span, sockets: impl Iterator<Item = BorrowedFd<'a>>) {
    let mut sockets: Vec<PollFd<'_>> =
        sockets.map(|socket| PollFd::new(socket, PollFlags::POLLIN)).collect();
    let most = most.max(Span::ZERO).ns();
    let most = TimeSpec::new(most / 1_000_000_000, most % 1_000_000_000);
    // An error is a signal, or a socket that is found broken when it is read.
    let _ = ppoll(&mut sockets, Some(most), None);
}

fn instance_config(config: &Config, identity: [u8; 8]) -> InstanceConfig {
    let follows = config.ptp == Part::Follow;
    InstanceConfig {
        clock_identity: ClockIdentity(identity),
        priority_1: if follows { WORST } else { config.priority1 },
        priority_2: if follows { WORST } else { config.priority2 },
        domain_number: config.domain,
        slave_only: follows,
        sdo_id: SdoId::default(),
        path_trace: false,
    }
}

fn time_properties(tai_utc: Span) -> TimePropertiesDS {
    let seconds = whole_secs(tai_utc);
    let source = TimeSource::InternalOscillator;
    TimePropertiesDS::new_ptp_time(Some(seconds), LeapIndicator::NoLeap, false, false, source)
}

/// TAI minus UTC as PTP tells it.
fn whole_secs(tai_utc: Span) -> i16 {
    (tai_utc.ns() / 1_000_000_000) as i16
}

/// From the first interface's hardware address (IEEE 1588-2019, 7.5.2.2.2), or from the box's own id.
fn identity(config: &Config, node: Uuid) -> [u8; 8] {
    let links = links();
    let mac = config.interfaces.iter().find_map(|name| links.get(name)?.mac);
    match mac {
        Some([a, b, c, d, e, f]) => [a, b, c, 0xFF, 0xFE, d, e, f],
        None => {
            let [a, b, c, d, e, f, ..] = *node.as_bytes();
            // Locally administered, and nobody's multicast.
            [(a | 2) & !1, b, c, 0xFF, 0xFE, d, e, f]
        }
    }
}

fn master(instance: &Instance) -> Master {
    let time = instance.time_properties_ds();
    Master {
        identity: instance.parent_ds().grandmaster_identity.0,
        steps_removed: instance.current_ds(None).steps_removed,
        ptp_timescale: time.is_ptp(),
        utc_offset_s: time.utc_offset(),
    }
}

fn ns(time: Time) -> i64 {
    let whole = i64::try_from(time.secs()).unwrap_or(i64::MAX).saturating_mul(1_000_000_000);
    whole.saturating_add(i64::from(time.subsec_nanos()))
}

fn rounded(duration: statime::time::Duration) -> Span {
    let ns = duration.nanos_rounded();
    Span::from_ns(ns.clamp(i64::MIN.into(), i64::MAX.into()) as i64)
}

fn span(duration: std::time::Duration) -> Span {
    Span::from_ns(i64::try_from(duration.as_nanos()).unwrap_or(i64::MAX))
}
