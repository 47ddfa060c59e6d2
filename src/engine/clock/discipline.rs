//! Keeps the overlay on the master's time, and knows how far it may be off.
//!
//! In: [`News`] with the reading at which they came. Out: [`Deed`]s. Never: reading a clock, stepping while a show
//! runs, allocating (but for a glance).
//!
//! [`Estimate`] says what the master reads. Here is decided what follows from it: step, slew, hold, ask. The overlay
//! runs at the master's rate, and a bit faster or slower as long as it is off:
//!
//! ```text
//! rate = master's rate + error / SMOOTH, at most `slew_max` from the master's rate
//! ```
//!
//! The bound is the sum of what is known to be wrong (the error that is being slewed away), what chance may hide
//! ([`SURE`] deviations of the estimate, which grow while nothing is measured) and what asymmetry may hide. It is
//! against the time of the master that is followed; while that one is gone, against what it would read had it gone on.
//!
//! A box that leads is what the others measure themselves by: to them it is not off at all. Of itself it says what it
//! knows: `free` if it never followed anybody, else `holdover` from the master that it took over from.

use std::collections::VecDeque;

use units::{MonoTime, Ppm, ShowTime, Span};

use super::estimate::{Estimate, Taken};
use super::glance::{Agreement, ClockGlance, ClockState};
use super::history::History;
use super::news::{
    Deed, Direction, LinkDelay, Master, News, OneWay, Role, Sample, StampKind, Story, Why,
    identity_text,
};
use super::overlay::Overlay;
use super::peers::{Peers, Yardstick};
use super::settings::Settings;
use super::timescale::Timescale;

/// Steers this often.
const PACE: Span = Span::from_millis(250);
/// An error is gone to a third in so many seconds: slower than the estimate trembles, faster than a crystal wanders.
const SMOOTH: f64 = 2.0;
/// Turns are planned so far ahead, for the new line to be with everybody by then.
const LEAD: Span = Span::from_millis(2);
/// So many deviations are taken for certain.
const SURE: f64 = 4.0;
/// Once locked it stays so up to this many times `locked_within`.
const LOOSE: i64 = 4;
/// While nothing plays, what could not be slewed in so many seconds is stepped.
const SLEW_SECS: f64 = 1.0;
/// The way to the master is asked less often than the other speaks.
const ASK_PATIENCE: i64 = 10;
/// Twice the worst crystal, both ends together: what runs further away is no clock.
const RATE_MAX: Ppm = Ppm(500.0);
/// A hardware clock's stamp, told by the monotonic clock, may seem to be from so far in the future.
const AHEAD_MAX: Span = Span::from_millis(10);
/// More stories than one turn of events has.
const STORIES_MAX: usize = 16;

/// The box clock's mind.
#[derive(Debug, Clone)]
pub struct Discipline {
    settings: Settings,
    overlay: Overlay,
    role: Role,
    master: Option<Master>,
    /// What it counts its time in, as far as it was heard.
    timescale: Option<Timescale>,
    /// Whether that is to be judged by the next packet.
    is_unjudged: bool,
    /// Of the master that is followed, or was last.
    estimate: Option<Estimate>,
    /// Of the one before, until the new one is known.
    kept: Option<Estimate>,
    /// Why `estimate` is being made anew.
    anew: Why,
    link_is_down: bool,
    show_runs: bool,
    /// Whether it ever was locked, so that there is something to hold on to.
    learnt: bool,
    state: ClockState,
    why: Option<Why>,
    since: MonoTime,
    agreement: Agreement,
    step_wanted: Option<Span>,
    peers: Peers,
    stamps: Option<StampKind>,
    interval: Span,
    history: History,
    due: MonoTime,
    overlay_due: bool,
    ask_due: bool,
    stories: VecDeque<Story>,
}

/// What a look at everything says.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Finding {
    /// Nobody to follow, and nothing learnt.
    Free,
    /// No use following.
    Hold(Why),
    /// More than slewing is for.
    Far(Span),
    /// Follow.
    Near(Span),
}

impl Discipline {
    /// Free, with this overlay in force.
    pub fn new(now: MonoTime, overlay: Overlay, settings: Settings) -> Self {
        Self {
            settings,
            overlay,
            role: Role::Free,
            master: None,
            timescale: None,
            is_unjudged: true,
            estimate: None,
            kept: None,
            anew: Why::NotThereYet,
            link_is_down: false,
            show_runs: false,
            learnt: false,
            state: ClockState::Free,
            why: None,
            since: now,
            agreement: Agreement::Unknown,
            step_wanted: None,
            peers: Peers::new(),
            stamps: None,
            interval: Span::ZERO,
            history: History::new(),
            due: now,
            overlay_due: false,
            ask_due: false,
            stories: VecDeque::with_capacity(STORIES_MAX),
        }
    }

    /// This happened. What follows from it, [`Self::poll`] says.
    pub fn handle(&mut self, now: MonoTime, news: News) {
        match news {
            News::Role(role) => self.role = role,
            News::Master(master) => self.follow(now, master),
            News::Sample(sample) => self.sample(now, sample),
            News::OneWay(half) => self.half(now, half),
            News::LinkDelay(link) => self.link(now, link),
            News::Peer(exchange) => return self.peers.heard(&exchange),
            News::PeerSilent(peer) => return self.peers.silent(peer),
            News::LinkDown => self.link_is_down = true,
            News::ShowRunning(runs) => self.show_runs = runs,
            News::StepGranted => return self.granted(now),
        }
        if !self.is_measurement(news) || self.state == ClockState::Acquiring {
            self.due = self.due.min(now);
        }
    }

    /// Have you anything to be done?
    pub fn poll(&mut self, now: MonoTime) -> Option<Deed> {
        if now >= self.due {
            self.due = now + PACE;
            self.decide(now);
        }
        if std::mem::take(&mut self.overlay_due) {
            return Some(Deed::Overlay(self.overlay));
        }
        if let Some(by) = self.step_wanted
            && std::mem::take(&mut self.ask_due)
        {
            return Some(Deed::AskStep { by });
        }
        self.stories.pop_front().map(Deed::Say)
    }

    /// When to poll again even if nothing happens.
    pub fn next_wake(&self, _now: MonoTime) -> MonoTime {
        self.due
    }

    /// The overlay in force.
    pub fn overlay(&self) -> Overlay {
        self.overlay
    }

    /// How far it is to be trusted: its state, and how far it may be off.
    pub fn trust(&self, now: MonoTime) -> (ClockState, Option<Span>) {
        (self.state, self.bound(now))
    }

    /// Whether what a box says of its clock may be believed, and how far it is off at most: what it tells its peers
    /// ([`super::PeerExchange::bound`]). A master is what the others follow, so it is not off at all.
    pub fn vouched(&self, now: MonoTime) -> Option<Span> {
        match self.role {
            Role::Master => Some(Span::ZERO),
            Role::Free | Role::Follower => self.bound(now),
        }
    }

    /// TAI minus UTC, where the master's time was taken for UTC and this made TAI of it. Who leads others on by such a
    /// master gives them TAI, and has to announce that: the master's own announcement says something else.
    pub fn made_tai_by(&self) -> Option<Span> {
        let is_as_it_stands = self.timescale == Some(Timescale::Arbitrary);
        // One that was not heard yet has moved nobody: the box clock is TAI still.
        let master = self.master.filter(|it| !it.ptp_timescale && !is_as_it_stands)?;
        Some(Timescale::UtcAssumed.added(&master, self.settings.tai_utc))
    }

    /// A plain copy.
    pub fn glance(&self, now: MonoTime) -> ClockGlance {
        let known = self.known();
        ClockGlance {
            state: self.state,
            age_s: (now - self.since).secs_f64(),
            error_bound_ns: self.bound(now),
            source: self.source(),
            why: self.why,
            role: self.role,
            master: self.master,
            timescale: self.timescale,
            offset_ns: known.map(|estimate| self.error(estimate, now)),
            path_delay_ns: known.map(|estimate| span(estimate.round_trip_ns() / 2.0)),
            rate_ppm: self.overlay.rate(),
            stamps: self.stamps,
            agreement: self.agreement,
            peers: self.peers.told(&self.yardstick(now), &self.settings),
            step_wanted_ns: self.step_wanted,
            history: self.history.told(now),
        }
    }

    fn source(&self) -> String {
        match (self.master, self.role) {
            (Some(master), _) => format!("PTP master {}", identity_text(master.identity)),
            (None, _) if self.learnt => "what was learnt from the last PTP master".into(),
            (None, _) => "system clock at start".into(),
        }
    }

    fn is_measurement(&self, news: News) -> bool {
        matches!(news, News::Sample(_) | News::OneWay(_) | News::LinkDelay(_))
    }
}

/// Hearing.
impl Discipline {
    fn follow(&mut self, now: MonoTime, master: Option<Master>) {
        let is_same = |new: &Master| self.master.is_some_and(|it| it.identity == new.identity);
        if let Some(new) = master
            && !is_same(&new)
        {
            self.tell(Story::Follows { master: new });
            self.timescale = None;
            self.measure_anew(now, Why::NewMaster);
        } else if let (Some(old), Some(new)) = (self.master, master)
            && !old.counts_like(&new)
        {
            self.measure_anew(now, Why::MasterMoved);
        }
        self.master = master;
        if master.is_none() && !self.learnt {
            (self.estimate, self.kept) = (None, None);
        }
    }

    /// What is known of the old stays until the new is known.
    fn measure_anew(&mut self, now: MonoTime, why: Why) {
        let old = self.estimate.take();
        self.estimate = Some(match &old {
            Some(old) if why == Why::MasterMoved => old.moved(now),
            _ => Estimate::new(now, self.overlay.rate(), self.settings.wander),
        });
        self.kept = old.filter(Estimate::is_known).or(self.kept.take());
        (self.anew, self.is_unjudged) = (why, true);
        self.step_wanted = None;
    }

    fn sample(&mut self, now: MonoTime, sample: Sample) {
        let Sample { at, master, delay, stamps } = sample;
        let half = |direction, master| OneWay { at, direction, master, stamps };
        self.half(now, half(Direction::FromMaster, master - delay));
        self.half(now, half(Direction::ToMaster, master + delay));
    }

    fn half(&mut self, now: MonoTime, half: OneWay) {
        let OneWay { at, direction, master, stamps } = half;
        let master = master + self.made_tai(master);
        self.heard(now, at, stamps, |it| it.packet(direction, at, master, stamps));
    }

    /// What makes TAI of this master's readings, as judged by the first of them.
    fn made_tai(&mut self, reading: ShowTime) -> Span {
        let Some(master) = self.master else { return Span::ZERO };
        if std::mem::take(&mut self.is_unjudged) {
            let judged = Timescale::of(&master, reading);
            if self.timescale.replace(judged) != Some(judged) {
                self.tell_timescale(judged, judged.added(&master, self.settings.tai_utc));
            }
        }
        self.timescale.map_or(Span::ZERO, |it| it.added(&master, self.settings.tai_utc))
    }

    fn tell_timescale(&mut self, judged: Timescale, added: Span) {
        match judged {
            Timescale::Tai => {}
            Timescale::UtcAssumed => self.tell(Story::TakenForUtc { added }),
            Timescale::Arbitrary => self.tell(Story::TakenAsItStands),
        }
    }

    fn link(&mut self, now: MonoTime, link: LinkDelay) {
        let LinkDelay { at, delay, stamps } = link;
        self.heard(now, at, stamps, |it| it.link(at, delay, stamps));
    }

    /// A measurement, unless it is from nobody or from another time.
    fn heard(
        &mut self,
        now: MonoTime,
        at: MonoTime,
        stamps: StampKind,
        take: impl FnOnce(&mut Estimate) -> Taken,
    ) {
        let is_sane = at - now <= AHEAD_MAX && now - at <= self.settings.patience;
        if self.master.is_none() || !is_sane {
            return;
        }
        let Some(estimate) = &mut self.estimate else { return };
        let before = estimate.heard()[0];
        (self.link_is_down, self.stamps) = (false, Some(stamps));
        if take(estimate) == Taken::Moved {
            return self.measure_anew(now, Why::MasterMoved);
        }
        if let (Some(before), Some(last)) = (before, estimate.heard()[0])
            && last > before
        {
            self.interval = Span::from_ns((self.interval.times(7) + (last - before)).ns() / 8);
        }
    }

    fn granted(&mut self, now: MonoTime) {
        if let Finding::Far(by) = self.look(now) {
            self.step(now, by);
        }
    }
}

/// Deciding.
impl Discipline {
    fn decide(&mut self, now: MonoTime) {
        self.agreement = self.ask_peers(now);
        let finding = self.look(now);
        match finding {
            Finding::Far(by) => self.far(now, by),
            _ => self.step_wanted = None,
        }
        match finding {
            Finding::Free => self.turn(now, ClockState::Free, None),
            Finding::Hold(why) => self.hold(now, why),
            Finding::Far(_) => {}
            Finding::Near(error) => self.near(now, error),
        }
        self.remember(now);
    }

    fn look(&self, now: MonoTime) -> Finding {
        let followed = self.estimate.as_ref().filter(|_| self.master.is_some());
        let Some(estimate) = followed else {
            return if self.learnt { Finding::Hold(Why::NoMaster) } else { Finding::Free };
        };
        if self.link_is_down {
            return Finding::Hold(Why::LinkDown);
        }
        if !estimate.is_known() {
            let lasts =
                now - estimate.born() > self.settings.patience && !self.is_fresh(estimate, now);
            return Finding::Hold(if lasts { Why::NoMeasurements } else { self.anew });
        }
        if !self.is_fresh(estimate, now) {
            return Finding::Hold(Why::NoMeasurements);
        }
        if self.agreement == Agreement::Disagree {
            return Finding::Hold(Why::PeersDisagree);
        }
        let error = self.error(estimate, now);
        if error.abs() > self.step_limit() { Finding::Far(error) } else { Finding::Near(error) }
    }

    /// While nothing plays and nothing is locked yet, nobody minds a step.
    fn step_limit(&self) -> Span {
        if self.show_runs || self.state == ClockState::Locked {
            return self.settings.step_over;
        }
        span(self.settings.slew_max.0 * 1e3 * SLEW_SECS).min(self.settings.step_over)
    }

    fn far(&mut self, now: MonoTime, by: Span) {
        if !self.show_runs {
            return self.step(now, by);
        }
        self.ask_due |= self.step_wanted.is_none();
        self.step_wanted = Some(by);
        self.coast(now);
        self.turn(now, ClockState::Holdover, Some(Why::StepWanted));
    }

    fn step(&mut self, now: MonoTime, by: Span) {
        let rate = self.estimate.as_ref().map_or(self.overlay.rate(), Estimate::rate);
        self.overlay = self.overlay.stepped(now, by);
        self.steer(now, rate);
        self.overlay_due = true;
        self.step_wanted = None;
        self.tell(Story::Stepped { by });
        self.turn(now, ClockState::Acquiring, Some(Why::NotThereYet));
        self.due = now + PACE;
    }

    fn hold(&mut self, now: MonoTime, why: Why) {
        let state = if self.learnt { ClockState::Holdover } else { ClockState::Acquiring };
        self.coast(now);
        self.turn(now, state, Some(why));
    }

    /// Goes on at the rate that was learnt; what was being slewed away stays.
    fn coast(&mut self, now: MonoTime) {
        if let Some(rate) = self.known().map(Estimate::rate).filter(|_| self.learnt) {
            self.steer(now, rate);
        }
    }

    fn near(&mut self, now: MonoTime, error: Span) {
        self.kept = None;
        let Some(estimate) = &self.estimate else { return };
        let (rate, doubt) = (estimate.rate(), estimate.rate_doubt());
        let limit =
            (self.settings.slew_max.0 - SURE * doubt.0).max(self.settings.slew_max.0 / 10.0);
        let pull = (error.ns() as f64 / 1e3 / SMOOTH).clamp(-limit, limit);
        let pull = if self.peers.is_contradicted() { 0.0 } else { pull };
        let is_ripe = estimate.is_ripe();
        let off = error.abs() + span(SURE * estimate.doubt_ns(now));
        self.steer(now, Ppm(rate.0 + pull));
        let is_locked = self.state == ClockState::Locked;
        let within = self.settings.locked_within;
        let within = if is_locked { within.times(LOOSE) } else { within };
        if off <= within && (is_ripe || is_locked) {
            self.learnt = true;
            self.turn(now, ClockState::Locked, None);
        } else {
            self.turn(now, ClockState::Acquiring, Some(Why::NotThereYet));
        }
    }

    fn steer(&mut self, now: MonoTime, rate: Ppm) {
        let rate = Ppm(rate.0.clamp(-RATE_MAX.0, RATE_MAX.0));
        if rate != self.overlay.rate() {
            // A turn that has not come yet is the one that is steered.
            let turn = if self.overlay.turn() > now { now } else { now + LEAD };
            self.overlay = self.overlay.steered(turn, rate);
            self.overlay_due = true;
        }
    }

    fn turn(&mut self, now: MonoTime, state: ClockState, why: Option<Why>) {
        if (self.state, self.why) == (state, why) {
            return;
        }
        if self.state != state {
            self.since = now;
        }
        (self.state, self.why) = (state, why);
        let story = match (state, why) {
            (ClockState::Free, _) => Story::Free,
            (ClockState::Locked, _) => Story::Locked { bound: self.bound(now).unwrap_or_default() },
            (ClockState::Acquiring, why) => {
                Story::Acquiring { why: why.unwrap_or(Why::NotThereYet) }
            }
            (ClockState::Holdover, why) => Story::Holdover { why: why.unwrap_or(Why::NoMaster) },
        };
        self.tell(story);
    }

    fn ask_peers(&mut self, now: MonoTime) -> Agreement {
        let with = self.yardstick(now);
        let (agreement, by) = self.peers.judge(&with, &self.settings);
        match (self.agreement, agreement) {
            (Agreement::Disagree, Agreement::Agree) => self.tell(Story::PeersAgree),
            (Agreement::Agree | Agreement::Unknown, Agreement::Disagree) => {
                self.tell(Story::PeersDisagree { by });
            }
            _ => {}
        }
        agreement
    }

    /// Peers are held against the master's time, which is to be trusted or not; where there is none, against ours.
    fn yardstick(&self, now: MonoTime) -> Yardstick {
        let estimate = self.estimate.as_ref().filter(|it| it.is_known() && self.master.is_some());
        match estimate {
            Some(estimate) => Yardstick {
                now,
                show: estimate.master(now),
                pace: estimate.rate().ratio(),
                bound: Some(self.hidden(estimate, now)),
            },
            None => Yardstick {
                now,
                show: self.overlay.show(now),
                pace: self.overlay.rate().ratio(),
                bound: self.vouched(now),
            },
        }
    }

    fn tell(&mut self, story: Story) {
        if self.stories.len() == STORIES_MAX {
            self.stories.pop_front();
        }
        self.stories.push_back(story);
    }

    fn remember(&mut self, now: MonoTime) {
        let Some(estimate) = self.estimate.as_ref().filter(|it| self.is_fresh(it, now)) else {
            return;
        };
        let offset = self.error(estimate, now) + span(estimate.scatter_ns());
        let bound = self.bound(now);
        self.history.note(now, offset, bound);
    }
}

/// Knowing.
impl Discipline {
    /// How far the overlay may be off; none while nothing is known.
    fn bound(&self, now: MonoTime) -> Option<Span> {
        let estimate = self.known()?;
        Some(self.error(estimate, now).abs() + self.hidden(estimate, now))
    }

    /// How far the estimate itself may be off.
    fn hidden(&self, estimate: &Estimate, now: MonoTime) -> Span {
        let chance = SURE * estimate.doubt_ns(now);
        span(chance + self.settings.asymmetry * estimate.round_trip_ns())
    }

    /// The best there is: of the master that is followed, else of the last one.
    fn known(&self) -> Option<&Estimate> {
        let set = self.estimate.as_ref().filter(|it| it.is_known());
        set.or(self.kept.as_ref())
    }

    fn is_fresh(&self, estimate: &Estimate, now: MonoTime) -> bool {
        let patience = self.settings.patience.max(self.interval.times(4));
        let [from, to] = estimate.heard();
        let within = |at: Option<MonoTime>, span| at.is_some_and(|at| now - at <= span);
        within(from, patience) && within(to, patience.times(ASK_PATIENCE))
    }

    /// Master minus box.
    fn error(&self, estimate: &Estimate, now: MonoTime) -> Span {
        estimate.master(now) - self.overlay.show(now)
    }
}

fn span(ns: f64) -> Span {
    Span::from_ns(ns.round() as i64)
}
