//! A timing network in virtual time: a box clock, the master that it follows, and the way between them.
//!
//! In: crystals, ways, what happens when. Out: the box clock beside the truth, four times a second. The box is a real
//! [`Discipline`] that gets what a PTP port would give it. Never: real time.

use engine::clock::{
    ClockState, Deed, Direction, Discipline, Master, News, OneWay, Overlay, PeerExchange, Role,
    Settings, StampKind, Story, TAI_UTC,
};
use phone::Chance;
use std::net::{IpAddr, Ipv4Addr};
use units::{MonoTime, Ppm, ShowTime, Span};

use crate::crystal::{Counter, Crystal};

/// One direction of a way.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Lane {
    /// An undisturbed packet takes this long.
    pub floor: Span,
    /// What every packet waits on top of it, on average.
    pub wait: Span,
    /// The share of packets that meet a long queue, 0 to 1.
    pub jam: f64,
    /// What those wait, on average.
    pub jammed: Span,
}

impl Lane {
    /// A direct cable and the kernel's own stamps, on a machine that has other things to do.
    pub const SOFTWARE: Self = Self {
        floor: Span::from_micros(8),
        wait: Span::from_ns(1_500),
        jam: 0.05,
        jammed: Span::from_micros(60),
    };
    /// A cable and stamps at the wire.
    pub const HARDWARE: Self =
        Self { floor: Span::from_ns(400), wait: Span::from_ns(20), jam: 0.0, jammed: Span::ZERO };
    /// Three switches that other traffic goes through, too.
    pub const BUSY: Self = Self {
        floor: Span::from_micros(60),
        wait: Span::from_micros(15),
        jam: 0.3,
        jammed: Span::from_micros(250),
    };

    /// An undisturbed packet takes so much longer.
    pub fn longer(self, by: Span) -> Self {
        Self { floor: self.floor + by, ..self }
    }

    fn takes(&self, chance: &mut Chance) -> Span {
        let mut waits = |mean: Span| mean.ns() as f64 * -(1.0 - chance.share()).ln();
        let wait = waits(self.wait);
        let jam = waits(self.jammed);
        let is_jammed = chance.share() < self.jam;
        self.floor + Span::from_ns((wait + if is_jammed { jam } else { 0.0 }).round() as i64)
    }
}

/// What happens on the network and the stage.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Happening {
    /// The box's cable is pulled, and the interface says so.
    CablePulled,
    /// Packets get lost and nothing says so.
    Silence,
    /// They come again.
    Heard,
    /// The master goes silent, and PTP has noticed.
    MasterDies,
    /// Another master, whose clock is off by so much against true time, with another crystal.
    NewMaster(Span),
    /// It serves this from now on, and says so.
    MasterServes(Serves),
    /// Somebody sets the master's clock.
    MasterJumps(Span),
    /// A show runs, or does not.
    Show(bool),
    /// The ways become these: from the master, to it.
    Ways(Lane, Lane),
    /// The operator's yes.
    Granted,
    /// Peer number so-and-so is off by so much from the first master from now on.
    PeerOff(u8, Span),
    /// It does not answer any more.
    PeerSilent(u8),
}

/// What a master serves.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Serves {
    /// TAI, and says so.
    Tai,
    /// UTC, and does not say what it is: `ptp4l` with software timestamps.
    Utc,
    /// Time since it was switched on, and does not say what it is.
    Uptime,
}

/// A timing network.
#[derive(Debug, Clone)]
pub struct PtpSpec {
    /// Where chance begins.
    pub seed: u128,
    /// The box's crystal.
    pub own: Crystal,
    /// The master's crystal.
    pub master: Crystal,
    /// From the master, to it.
    pub ways: (Lane, Lane),
    /// How packets are stamped.
    pub stamps: StampKind,
    /// What the master serves, and says of it.
    pub serves: Serves,
    /// Syncs a second, and as many questions.
    pub per_second: f64,
    /// How far the box's clock is off when it is switched on.
    pub off: Span,
    /// Other boxes that are asked once a second.
    pub peers: u8,
    /// What the box takes for granted.
    pub settings: Settings,
    /// What happens after how long, in order.
    pub story: Vec<(Span, Happening)>,
}

impl PtpSpec {
    /// Drawn crystals, a direct cable, software stamps, eight exchanges a second, three seconds off, no show.
    pub fn drawn(seed: u128) -> Self {
        let mut chance = Chance::new(seed);
        Self {
            seed,
            own: Crystal::drawn(&mut chance),
            master: Crystal::drawn(&mut chance),
            ways: (Lane::SOFTWARE, Lane::SOFTWARE),
            stamps: StampKind::Software,
            serves: Serves::Tai,
            per_second: 8.0,
            off: Span::from_secs(3),
            peers: 0,
            settings: Settings::default(),
            story: Vec::new(),
        }
    }
}

/// The box clock beside the truth.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Seen {
    /// Since it was switched on.
    pub after: Span,
    /// Master minus box.
    pub error: Span,
    /// What it says of that.
    pub bound: Option<Span>,
    /// Its state.
    pub state: ClockState,
    /// How much faster than the master's the box clock ran since the last look.
    pub pace: Ppm,
    /// Whether it jumped since the last look because it was set.
    pub stepped: bool,
    /// Whether the master has been this one for so short that nobody can know its time yet.
    pub too_soon: bool,
}

/// The network, running.
#[derive(Debug, Clone)]
pub struct PtpWorld {
    spec: PtpSpec,
    discipline: Discipline,
    /// What the box publishes.
    overlay: Overlay,
    own: Counter,
    master: Counter,
    /// The master's clock minus its counter.
    master_off: Span,
    ways: (Lane, Lane),
    serves: Serves,
    is_heard: bool,
    is_dead: bool,
    identity: u8,
    chance: Chance,
    now: ShowTime,
    next: ShowTime,
    next_question: ShowTime,
    told: usize,
    peers: Vec<Option<Span>>,
    last: Option<(ShowTime, ShowTime)>,
    master_since: ShowTime,
    stepped: bool,
    stories: Vec<(Span, Story)>,
    asked: Vec<Span>,
    jumped: bool,
}

/// A quarter of a second between two looks.
const LOOK: Span = Span::from_millis(250);
/// A new master needs some packets to be known: four of each way.
const TOO_SOON: Span = Span::from_secs(1);
/// TAI in the year 2026: numbers as long as real ones.
const EPOCH: Span = Span::from_secs(1_795_000_000);

impl PtpWorld {
    /// Switched on.
    pub fn new(spec: PtpSpec) -> Self {
        let mut chance = Chance::new(spec.seed ^ 0x5eed);
        let (own, master) =
            (Counter::new(spec.own, chance.bits()), Counter::new(spec.master, chance.bits()));
        let overlay = Overlay::new(MonoTime::ZERO, ShowTime::ZERO + EPOCH + spec.off, Ppm(0.0));
        let mut world = Self {
            discipline: Discipline::new(MonoTime::ZERO, overlay, spec.settings),
            overlay,
            own,
            master,
            master_off: EPOCH,
            ways: spec.ways,
            serves: spec.serves,
            is_heard: true,
            is_dead: false,
            identity: 1,
            chance,
            now: ShowTime::ZERO,
            next: ShowTime::ZERO,
            next_question: ShowTime::ZERO,
            told: 0,
            peers: vec![Some(Span::ZERO); usize::from(spec.peers)],
            last: None,
            master_since: ShowTime::ZERO,
            stepped: false,
            stories: Vec::new(),
            asked: Vec::new(),
            jumped: false,
            spec,
        };
        world.tell(News::Role(Role::Follower));
        world.announce();
        world
    }

    /// Goes on, and shows the clock beside the truth at every look.
    pub fn run(&mut self, span: Span, mut see: impl FnMut(Seen)) {
        let end = self.now + span;
        while self.now < end {
            let look = self.now + LOOK;
            while self.next < look {
                self.exchange();
            }
            self.come(look);
            self.happen();
            see(self.look());
        }
    }

    /// What the box said, and when.
    pub fn stories(&self) -> &[(Span, Story)] {
        &self.stories
    }

    /// By how much it asked to step, each time.
    pub fn asked(&self) -> &[Span] {
        &self.asked
    }

    /// Whether what the box shows ever jumped but for steps, even for who still had the line before.
    pub fn jumped(&self) -> bool {
        self.jumped
    }

    /// The box clock.
    pub fn discipline(&self) -> &Discipline {
        &self.discipline
    }

    /// The monotonic clock of the box.
    pub fn mono(&mut self) -> MonoTime {
        self.own.mono(self.now)
    }

    /// Time comes to where it is `now`; the box is woken as it asks, and published time never goes back.
    fn come(&mut self, now: ShowTime) {
        if now <= self.now {
            return;
        }
        let (was, comes) = (self.own.mono(self.now), self.own.mono(now));
        while self.discipline.next_wake(was) <= comes {
            let wake = self.discipline.next_wake(was);
            self.poll(wake.max(was));
        }
        self.now = now;
    }

    fn poll(&mut self, mono: MonoTime) {
        let before = self.overlay;
        let mut is_step = false;
        while let Some(deed) = self.discipline.poll(mono) {
            match deed {
                Deed::Overlay(overlay) => self.overlay = overlay,
                Deed::AskStep { by } => self.asked.push(by),
                Deed::Say(story) => {
                    is_step |= matches!(story, Story::Stepped { .. });
                    self.stories.push((self.now - ShowTime::ZERO, story));
                }
            }
        }
        self.stepped |= is_step;
        // Who read the old line a moment ago may read the new one now, or a little later.
        let is_whole = |at| before.show(at) == self.overlay.show(at);
        self.jumped |= !(is_step || is_whole(mono) && is_whole(mono + Span::from_millis(1)));
    }

    fn tell(&mut self, news: News) {
        let mono = self.own.mono(self.now);
        self.discipline.handle(mono, news);
        self.poll(mono);
    }

    fn announce(&mut self) {
        let identity = [self.identity; 8];
        let is_tai = self.serves == Serves::Tai;
        let utc_offset_s = is_tai.then_some(37);
        let master = Master { identity, steps_removed: 1, ptp_timescale: is_tai, utc_offset_s };
        self.tell(News::Master(Some(master)));
    }

    /// What a packet says: its time as it serves it.
    fn served(&mut self, truth: ShowTime) -> ShowTime {
        let behind = match self.serves {
            Serves::Tai => Span::ZERO,
            Serves::Utc => TAI_UTC,
            Serves::Uptime => EPOCH,
        };
        self.master_time(truth) - behind
    }

    fn master_time(&mut self, truth: ShowTime) -> ShowTime {
        ShowTime::from_ns(self.master.mono(truth).ns()) + self.master_off
    }

    /// A Sync, and half an interval later a question.
    fn exchange(&mut self) {
        let every = Span::from_secs_f64(1.0 / self.spec.per_second);
        let left = self.next;
        self.next += every;
        let (down, up) = (self.ways.0.takes(&mut self.chance), self.ways.1.takes(&mut self.chance));
        if !self.is_heard || self.is_dead {
            return;
        }
        let stamps = self.spec.stamps;
        let master = self.served(left);
        self.come(left + down);
        let at = self.own.mono(left + down);
        self.tell(News::OneWay(OneWay { at, direction: Direction::FromMaster, master, stamps }));
        let asked = left + down.max(Span::from_ns(every.ns() / 2));
        self.come(asked);
        let at = self.own.mono(asked);
        let master = self.served(asked + up);
        self.come(asked + up);
        self.tell(News::OneWay(OneWay { at, direction: Direction::ToMaster, master, stamps }));
        self.ask_peers();
    }

    fn ask_peers(&mut self) {
        if self.now < self.next_question {
            return;
        }
        self.next_question = self.now + Span::from_secs(1);
        for index in 0..self.peers.len() {
            let Some(off) = self.peers[index] else { continue };
            let (there, back) =
                (Lane::SOFTWARE.takes(&mut self.chance), Lane::SOFTWARE.takes(&mut self.chance));
            let asked = self.now;
            let t1 = self.own.mono(asked);
            let t2 = self.master_time(asked + there) + off;
            self.come(asked + there + back);
            let t4 = self.own.mono(asked + there + back);
            let bound = Some(Span::from_micros(15));
            let peer = peer(index as u8);
            self.tell(News::Peer(PeerExchange { peer, t1, t2, t3: t2, t4, bound }));
        }
    }

    fn happen(&mut self) {
        while let Some((at, happening)) = self.spec.story.get(self.told).copied() {
            if at > self.now - ShowTime::ZERO {
                return;
            }
            self.told += 1;
            self.let_happen(happening);
        }
    }

    fn let_happen(&mut self, happening: Happening) {
        match happening {
            Happening::CablePulled => {
                self.is_heard = false;
                self.tell(News::LinkDown);
            }
            Happening::Silence => self.is_heard = false,
            Happening::Heard => {
                self.is_heard = true;
                self.next = self.next.max(self.now);
            }
            Happening::MasterDies => {
                self.is_dead = true;
                self.tell(News::Master(None));
            }
            Happening::NewMaster(off) => {
                self.replace_master(off);
                self.announce();
            }
            Happening::MasterServes(serves) => {
                self.serves = serves;
                self.announce();
            }
            Happening::MasterJumps(by) => {
                self.master_off += by;
                (self.last, self.master_since) = (None, self.now);
            }
            Happening::Show(runs) => self.tell(News::ShowRunning(runs)),
            Happening::Ways(from, to) => self.ways = (from, to),
            Happening::Granted => self.tell(News::StepGranted),
            Happening::PeerOff(index, off) => self.peers[usize::from(index)] = Some(off),
            Happening::PeerSilent(index) => {
                self.peers[usize::from(index)] = None;
                self.tell(News::PeerSilent(peer(index)));
            }
        }
    }

    /// Its counter begins anew, where the old one's clock stood.
    fn replace_master(&mut self, off: Span) {
        let stood = self.master_time(self.now);
        let crystal = Crystal::drawn(&mut self.chance);
        self.master = Counter::new(crystal, self.chance.bits());
        self.master_off = Span::ZERO;
        self.master_off = stood + off - self.master_time(self.now);
        self.identity += 1;
        self.is_dead = false;
        (self.last, self.master_since) = (None, self.now);
        self.next = self.next.max(self.now);
    }

    fn look(&mut self) -> Seen {
        let mono = self.own.mono(self.now);
        let (master, show) = (self.master_time(self.now), self.overlay.show(mono));
        let (state, bound) = self.discipline.trust(mono);
        let pace = self.last.replace((master, show)).map_or(Ppm(0.0), |(was, shown)| {
            Ppm(((show - shown).ns() as f64 / (master - was).ns() as f64 - 1.0) * 1e6)
        });
        Seen {
            after: self.now - ShowTime::ZERO,
            error: master - show,
            bound,
            state,
            pace,
            stepped: std::mem::take(&mut self.stepped),
            too_soon: self.now - self.master_since < TOO_SOON,
        }
    }
}

fn peer(index: u8) -> IpAddr {
    IpAddr::V4(Ipv4Addr::new(10, 0, 0, index))
}
