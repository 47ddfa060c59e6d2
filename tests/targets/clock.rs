//! The box clock, told a list of things in any order: measurements, masters, peers, shows, time.
//!
//! An octet says what, the octets behind it how much; see [`Desk::step`].

use std::net::{IpAddr, Ipv4Addr};

use engine::clock::{
    ClockState, Deed, Direction, Discipline, LinkDelay, Master, News, OneWay, Overlay,
    PeerExchange, Role, Sample, Settings, StampKind, Story,
};
use units::{MonoTime, Ppm, ShowTime, Span};

use super::Target;
use crate::tape::Tape;

/// The target.
pub const TARGET: Target = Target { name: "clock", folders: &["clock"], run };

/// More only takes longer.
const STEPS_MAX: usize = 600;
/// One look brings an overlay, a question and some stories.
const DEEDS_MAX: usize = 20;
const EPOCH: ShowTime = ShowTime::from_ns(1_795_000_000_000_000_000);
const STAMPS: StampKind = StampKind::Simulated;

fn run(bytes: &[u8]) {
    let (mut tape, mut desk) = (Tape(bytes), Desk::new());
    for _ in 0..STEPS_MAX {
        if desk.step(&mut tape).is_none() {
            break;
        }
    }
    desk.calms_down();
}

/// A box clock on a desk.
struct Desk {
    discipline: Discipline,
    overlay: Overlay,
    now: MonoTime,
    show_runs: bool,
}

impl Desk {
    fn new() -> Self {
        let now = MonoTime::ZERO + Span::from_secs(1_000);
        let overlay = Overlay::new(now, EPOCH, Ppm(0.0));
        let discipline = Discipline::new(now, overlay, Settings::default());
        Self { discipline, overlay, now, show_runs: false }
    }

    /// One thing off the tape.
    fn step(&mut self, tape: &mut Tape) -> Option<()> {
        let at = self.now;
        let true_time = EPOCH + (at - MonoTime::ZERO);
        match tape.octet()? % 20 {
            0x00 => self.wait(Span::from_millis(tape.number::<1>()? as i64)),
            0x01 => self.wait(Span::from_millis(tape.number::<2>()? as i64)),
            // A box that stood still for up to half a year.
            0x02 => self.wait(Span::from_secs(tape.number::<3>()? as i64)),
            0x03 => self.tell(News::Master(Some(master(tape.octet()?)))),
            0x04 => self.tell(News::Master(None)),
            0x05 => self.tell(News::Role(
                [Role::Free, Role::Master, Role::Follower][tape.octet()? as usize % 3],
            )),
            // Near: an exchange, late by some microseconds.
            0x06 => self.exchange(at, true_time, Span::from_micros(tape.number::<1>()? as i64)),
            // Anywhere.
            0x07 => self.half(tape, at, Direction::FromMaster)?,
            0x08 => self.half(tape, at, Direction::ToMaster)?,
            0x09 => {
                let at = MonoTime::from_ns(tape.number::<8>()? as i64);
                self.half(tape, at, Direction::FromMaster)?;
            }
            0x0a => {
                let (master, delay) = (time(tape)?, span(tape)?);
                self.tell(News::Sample(Sample { at, master, delay, stamps: STAMPS }));
            }
            0x0b => {
                let delay = span(tape)?;
                self.tell(News::LinkDelay(LinkDelay { at, delay, stamps: STAMPS }));
            }
            0x0c => self.tell(News::LinkDown),
            0x0d => self.tell(News::ShowRunning(true)),
            0x0e => self.tell(News::ShowRunning(false)),
            0x0f => self.tell(News::StepGranted),
            0x10 => {
                let (name, t2) = (peer(tape.octet()?), true_time + Span::from_ns(1_000));
                let (t1, t4) = (at, at + Span::from_ns(20_000));
                let bound = Some(Span::from_micros(10));
                self.tell(News::Peer(PeerExchange { peer: name, t1, t2, t3: t2, t4, bound }));
            }
            0x11 => {
                let (name, t1) =
                    (peer(tape.octet()?), MonoTime::from_ns(tape.number::<8>()? as i64));
                let (t2, t3, bound) = (time(tape)?, time(tape)?, Some(span(tape)?));
                self.tell(News::Peer(PeerExchange { peer: name, t1, t2, t3, t4: at, bound }));
            }
            0x12 => self.tell(News::PeerSilent(peer(tape.octet()?))),
            // Eight clean exchanges in a second, so that short seeds reach far.
            _ => (0..8).for_each(|_| {
                self.exchange(self.now, EPOCH + (self.now - MonoTime::ZERO), Span::ZERO);
                self.wait(Span::from_millis(125));
            }),
        }
        Some(())
    }

    fn exchange(&mut self, at: MonoTime, true_time: ShowTime, late: Span) {
        let way = Span::from_micros(5) + late;
        let one_way = |direction, master| OneWay { at, direction, master, stamps: STAMPS };
        self.tell(News::OneWay(one_way(Direction::FromMaster, true_time - way)));
        self.tell(News::OneWay(one_way(Direction::ToMaster, true_time + way)));
    }

    fn half(&mut self, tape: &mut Tape, at: MonoTime, direction: Direction) -> Option<()> {
        let half = OneWay { at, direction, master: time(tape)?, stamps: STAMPS };
        self.tell(News::OneWay(half));
        Some(())
    }

    fn tell(&mut self, news: News) {
        if let News::ShowRunning(runs) = news {
            self.show_runs = runs;
        }
        self.discipline.handle(self.now, news);
        self.watch(news == News::StepGranted);
    }

    fn wait(&mut self, span: Span) {
        let end = self.now + span;
        for _ in 0..8 {
            let wake = self.discipline.next_wake(self.now);
            if wake > end {
                break;
            }
            self.now = self.now.max(wake);
            self.watch(false);
        }
        self.now = end;
        self.watch(false);
    }

    /// Nothing jumps while a show runs, whoever says what, unless the operator lets it.
    fn watch(&mut self, is_granted: bool) {
        let (before, mut is_told) = (self.overlay, false);
        let mut deeds = 0;
        while let Some(deed) = self.discipline.poll(self.now) {
            deeds += 1;
            assert!(deeds <= DEEDS_MAX, "deeds without end");
            match deed {
                Deed::Overlay(overlay) => self.overlay = overlay,
                Deed::AskStep { by } => assert!(self.show_runs && by != Span::ZERO),
                Deed::Say(story) => {
                    is_told |= matches!(story, Story::Stepped { .. });
                    assert!(!story.to_string().is_empty());
                }
            }
        }
        let jumps = before.show(self.now) != self.overlay.show(self.now);
        assert!(!jumps || is_told, "it jumps without a word");
        assert!(!(is_told && self.show_runs) || is_granted, "it steps while a show runs");
        assert!(self.overlay.rate().0.abs() <= 500.1, "{:?}", self.overlay.rate());
        assert!(self.discipline.next_wake(self.now) > self.now);
        self.look();
    }

    /// What it says of itself makes sense.
    fn look(&self) {
        let glance = self.discipline.glance(self.now);
        assert!(glance.error_bound_ns.is_none_or(|bound| bound >= Span::ZERO));
        assert!(glance.peers.len() <= 16 && glance.history.len() <= 300);
        let is_bound = glance.error_bound_ns.is_some();
        assert!(glance.state != ClockState::Locked || (is_bound && glance.why.is_none()));
        assert!(glance.state != ClockState::Free || !is_bound);
        let text = serde_json::to_string(&glance).expect("it has a JSON form");
        assert!(!text.contains("NaN"));
    }

    /// Whatever was said: with an honest master and no show, it is locked within the minute, and right.
    fn calms_down(&mut self) {
        self.tell(News::ShowRunning(false));
        for index in 0..=u8::MAX {
            self.tell(News::PeerSilent(peer(index)));
        }
        self.tell(News::Role(Role::Follower));
        self.tell(News::Master(None));
        self.tell(News::Master(Some(master(127))));
        for _ in 0..60 * 8 {
            self.exchange(self.now, EPOCH + (self.now - MonoTime::ZERO), Span::ZERO);
            self.wait(Span::from_millis(125));
        }
        let glance = self.discipline.glance(self.now);
        assert_eq!(glance.state, ClockState::Locked, "{glance:?}");
        let error = EPOCH + (self.now - MonoTime::ZERO) - self.overlay.show(self.now);
        assert!(error.abs() <= Span::from_micros(20), "{error}");
    }
}

fn master(octet: u8) -> Master {
    let identity = [octet; 8];
    Master { identity, steps_removed: 1, ptp_timescale: octet < 128, utc_offset_s: None }
}

fn peer(octet: u8) -> IpAddr {
    IpAddr::V4(Ipv4Addr::new(10, 0, 0, octet))
}

fn time(tape: &mut Tape) -> Option<ShowTime> {
    tape.number::<8>().map(|ns| ShowTime::from_ns(ns as i64))
}

fn span(tape: &mut Tape) -> Option<Span> {
    tape.number::<8>().map(|ns| Span::from_ns(ns as i64))
}
