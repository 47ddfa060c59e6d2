//! Keeps the overlay on the master's time.
//!
//! In: [`News`] with the reading at which they came. Out: [`Deed`]s. Never: reading a clock, stepping while a show
//! runs.

use std::collections::VecDeque;

use units::{MonoTime, Ppm, ShowTime, Span};

use super::glance::{Agreement, ClockGlance, ClockState};
use super::news::{Deed, Direction, Master, News, OneWay, Role, Sample, StampKind, Story};
use super::overlay::Overlay;
use super::settings::Settings;

/// Steers this often at most.
const PACE: Span = Span::from_millis(250);

/// The box clock's mind.
#[derive(Debug, Clone)]
pub struct Discipline {
    settings: Settings,
    overlay: Overlay,
    role: Role,
    master: Option<Master>,
    state: ClockState,
    since: MonoTime,
    show_runs: bool,
    halves: [Option<OneWay>; 2],
    last: Option<Sample>,
    deeds: VecDeque<Deed>,
}

impl Discipline {
    /// Free, with this overlay in force.
    pub fn new(now: MonoTime, overlay: Overlay, settings: Settings) -> Self {
        Self {
            settings,
            overlay,
            role: Role::Free,
            master: None,
            state: ClockState::Free,
            since: now,
            show_runs: false,
            halves: [None; 2],
            last: None,
            deeds: VecDeque::with_capacity(16),
        }
    }

    /// This happened.
    pub fn handle(&mut self, now: MonoTime, news: News) {
        match news {
            News::Role(role) => self.role = role,
            News::Master(master) => self.follow(now, master),
            News::Sample(sample) => self.take(now, sample),
            News::OneWay(half) => self.pair(now, half),
            News::ShowRunning(runs) => self.show_runs = runs,
            News::LinkDown => self.turn(now, ClockState::Holdover),
            News::StepGranted => self.step(now),
            News::Peer(_) | News::PeerSilent(_) => {}
        }
    }

    /// Have you anything to be done?
    pub fn poll(&mut self, _now: MonoTime) -> Option<Deed> {
        self.deeds.pop_front()
    }

    /// When to poll again even if nothing happens.
    pub fn next_wake(&self, now: MonoTime) -> MonoTime {
        now + PACE
    }

    /// The overlay in force.
    pub fn overlay(&self) -> Overlay {
        self.overlay
    }

    /// What this box may tell its peers of its error: none at all where it is the master, the bound where it follows.
    pub fn vouched(&self, now: MonoTime) -> Option<Span> {
        match self.role {
            Role::Master => Some(Span::ZERO),
            Role::Free | Role::Follower => self.bound(now),
        }
    }

    /// A plain copy.
    pub fn glance(&self, now: MonoTime) -> ClockGlance {
        ClockGlance {
            state: self.state,
            age_s: (now - self.since).secs_f64(),
            error_bound_ns: self.bound(now),
            source: "system clock at start".into(),
            why: None,
            role: self.role,
            master: self.master,
            offset_ns: self.last.map(|last| self.offset(last)),
            path_delay_ns: self.last.map(|last| last.delay),
            rate_ppm: self.overlay.rate(),
            stamps: self.last.map(|last| last.stamps),
            agreement: Agreement::Unknown,
            peers: Vec::new(),
            step_wanted_ns: None,
            history: Vec::new(),
        }
    }

    fn bound(&self, _now: MonoTime) -> Option<Span> {
        self.last.map(|last| last.delay + self.offset(last).abs())
    }

    fn follow(&mut self, now: MonoTime, master: Option<Master>) {
        self.master = master;
        if let Some(master) = master {
            self.deeds.push_back(Deed::Say(Story::Follows { master }));
            self.turn(now, ClockState::Acquiring);
        } else if self.state != ClockState::Free {
            self.turn(now, ClockState::Holdover);
        }
    }

    fn pair(&mut self, now: MonoTime, half: OneWay) {
        self.halves[half.direction as usize] = Some(half);
        if let [Some(down), Some(up)] = self.halves
            && half.direction == Direction::ToMaster
        {
            let seen = |half: OneWay| half.master - ShowTime::from_ns(half.at.ns());
            let mean = Span::from_ns(seen(down).ns().midpoint(seen(up).ns()));
            let delay = Span::from_ns((seen(up) - seen(down)).ns() / 2);
            let master = ShowTime::from_ns(half.at.ns()) + mean;
            let stamps: StampKind = half.stamps;
            self.take(now, Sample { at: half.at, master, delay, stamps });
        }
    }

    fn take(&mut self, now: MonoTime, sample: Sample) {
        self.last = Some(sample);
        let offset = self.offset(sample);
        if offset.abs() > self.settings.step_over {
            if self.show_runs {
                self.deeds.push_back(Deed::AskStep { by: offset });
                return self.turn(now, ClockState::Holdover);
            }
            return self.step(now);
        }
        let limit = self.settings.slew_max.0;
        let rate = Ppm((offset.ns() as f64 / 1e3).clamp(-limit, limit));
        self.overlay = self.overlay.steered(now, rate);
        self.deeds.push_back(Deed::Overlay(self.overlay));
        self.turn(now, ClockState::Locked);
    }

    fn step(&mut self, now: MonoTime) {
        let Some(last) = self.last else { return };
        let by = self.offset(last);
        self.overlay = self.overlay.stepped(now, by);
        self.deeds.push_back(Deed::Overlay(self.overlay));
        self.deeds.push_back(Deed::Say(Story::Stepped { by }));
        self.turn(now, ClockState::Acquiring);
    }

    fn turn(&mut self, now: MonoTime, state: ClockState) {
        if self.state != state {
            (self.state, self.since) = (state, now);
        }
    }

    fn offset(&self, sample: Sample) -> Span {
        sample.master - self.overlay.show(sample.at)
    }
}
