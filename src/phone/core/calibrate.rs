//! A calibration by ear, seen from the phone (`wire::duet` says why it works).
//!
//! In: the listener's wish, the box's words, what the microphone recorded. Out: when to chirp and to listen, and how
//! late this phone is. Never: a figure where there is doubt; then a reason.

use units::{MonoTime, Span};
use wire::chirp::Voice;
use wire::duet::{MARGIN, Recording, Residual, Turns, later, residual};
use wire::output::{CalibrateHeard, CalibrateRefusal, CalibrateRefused, CalibrateStart};
use wire::solusync::Message;

use super::Core;
use crate::delay::{Calibration, millis};
use crate::scale::{AudioTime, net, secs};
use crate::told::{Act, Duet, DuetNews, DuetTrouble, Microphone};
use crate::voice::Sync;

/// How it stands.
#[derive(Debug, Clone, Default)]
pub(super) struct Calibrator {
    phase: Phase,
    /// For the person who holds the phone.
    news: DuetNews,
}

#[derive(Debug, Clone, Default)]
enum Phase {
    #[default]
    Rest,
    Asked {
        until: MonoTime,
    },
    Chirping {
        until: MonoTime,
        turns: Turns<AudioTime>,
        /// So much earlier the chirps were sent off; what the box or a hand changes meanwhile is not in them.
        late: Span,
        here: Option<Vec<Option<Span>>>,
        there: Option<Vec<Option<Span>>>,
    },
}

/// The box answers at once or never.
const ANSWER_WITHIN: Span = Span::from_secs(5);
/// From the last chirp until both have looked at what they recorded; a slow phone takes seconds.
const LOOK_WITHIN: Span = Span::from_secs(15);
/// More turns than anybody takes.
const TURNS_MAX: usize = 16;
/// Orders beyond it are for another evening.
const AHEAD_MAX: Span = Span::from_secs(30);

impl Calibrator {
    /// What the page says of it.
    pub(super) fn look(&self) -> Duet {
        Duet { is_on: !matches!(self.phase, Phase::Rest), news: self.news.clone() }
    }

    /// When it gives up.
    pub(super) fn next_wake(&self) -> Option<MonoTime> {
        match self.phase {
            Phase::Rest => None,
            Phase::Asked { until } | Phase::Chirping { until, .. } => Some(until),
        }
    }

    fn end(&mut self, news: DuetNews) {
        *self = Self { phase: Phase::Rest, news };
    }

    /// What both heard, once both have.
    fn outcome(&self) -> Option<(Span, Result<Residual, wire::duet::Unheard>)> {
        match &self.phase {
            Phase::Chirping { late, here: Some(here), there: Some(there), .. } => {
                Some((*late, residual(there, here)))
            }
            _ => None,
        }
    }
}

impl Core {
    /// Somebody wants to know.
    pub(super) fn ask_calibration(&mut self, now: MonoTime, microphone: Microphone) {
        if !matches!(self.calibrator.phase, Phase::Rest) {
            return;
        }
        let is_ready = self.link.is_open() && self.sync(now).is_some();
        match microphone.trouble() {
            Some(why) => self.fail_calibration(why),
            None if !is_ready => self.fail_calibration(DuetTrouble::NotInStep),
            None => {
                self.calibrator = Calibrator {
                    phase: Phase::Asked { until: now + ANSWER_WITHIN },
                    news: DuetNews::Asking,
                };
                self.tell(now, &Message::Calibrate);
            }
        }
    }

    /// The box says when both chirp.
    pub(super) fn start_calibration(&mut self, now: MonoTime, start: &CalibrateStart) {
        if !matches!(self.calibrator.phase, Phase::Asked { .. }) {
            return;
        }
        let Some((turns, until)) = self.sync(now).and_then(|sync| turns(start, now, &sync)) else {
            return self.fail_calibration(DuetTrouble::Misunderstood);
        };
        self.acts.extend(acts(&turns));
        self.calibrator = Calibrator {
            phase: Phase::Chirping { until, turns, late: self.late(), here: None, there: None },
            news: DuetNews::Listening,
        };
    }

    /// What the microphone recorded from an audio time on.
    pub(super) fn take_recording(&mut self, now: MonoTime, recording: &Recording, from: AudioTime) {
        let Phase::Chirping { turns, here, .. } = &mut self.calibrator.phase else { return };
        let since = |at: &Vec<AudioTime>| at.iter().map(|at| *at - from).collect();
        let turns = Turns { by_box: since(&turns.by_box), by_phone: since(&turns.by_phone) };
        *here = Some(later(recording, &turns, Voice::Phone));
        self.conclude_calibration(now);
    }

    /// What the box heard.
    pub(super) fn hear_calibration(&mut self, now: MonoTime, heard: &CalibrateHeard) {
        let Phase::Chirping { there, .. } = &mut self.calibrator.phase else { return };
        let span = |ms: &f64| (ms.is_finite() && ms.abs() < 1e4).then(|| millis(*ms));
        *there = Some(heard.later_ms.iter().map(|ms| ms.as_ref().and_then(span)).collect());
        self.conclude_calibration(now);
    }

    /// The box will not, and says why. One that cannot listen is not asked again.
    pub(super) fn refuse_calibration(&mut self, refused: CalibrateRefused) {
        self.calibrates &= refused.code != Some(CalibrateRefusal::NoMicrophone);
        let trouble = refused.code.and_then(DuetTrouble::of_box);
        if !matches!(self.calibrator.phase, Phase::Rest) {
            self.end_calibration(match trouble {
                Some(why) => DuetNews::Failed { why },
                None => DuetNews::Refused { message: refused.message },
            });
        }
    }

    fn fail_calibration(&mut self, why: DuetTrouble) {
        self.end_calibration(DuetNews::Failed { why });
    }

    fn end_calibration(&mut self, news: DuetNews) {
        self.acts.push(Act::Deafen);
        self.calibrator.end(news);
    }

    /// What is over is given up.
    pub(super) fn watch_calibration(&mut self, now: MonoTime) {
        let is_over = self.calibrator.next_wake().is_some_and(|until| until <= now);
        if is_over || (self.calibrator.next_wake().is_some() && !self.link.is_open()) {
            self.fail_calibration(DuetTrouble::NoAnswer);
        }
    }

    fn conclude_calibration(&mut self, now: MonoTime) {
        let (earlier, found) = match self.calibrator.outcome() {
            None => return,
            Some((_, Err(why))) => return self.fail_calibration(why.into()),
            Some((earlier, Ok(found))) => (earlier, found),
        };
        let (late_ms, sigma_ms) = (found.late.millis_f64(), found.sigma.millis_f64());
        // It was late by so much although it was sent off so much earlier already.
        let delay_ms = earlier.millis_f64() + late_ms;
        let latency_ms = self.audio.latency().map(Span::millis_f64);
        if !self.delay.set_calibrated(Calibration { delay_ms, sigma_ms, latency_ms }) {
            return self.fail_calibration(DuetTrouble::TooLate);
        }
        self.acts.push(Act::Keep { text: self.delay.keep() });
        self.know_calibration(now);
        self.calibrator.end(DuetNews::Found { late_ms, sigma_ms });
    }
}

fn turns(
    start: &CalibrateStart,
    now: MonoTime,
    sync: &Sync,
) -> Option<(Turns<AudioTime>, MonoTime)> {
    let count = start.phone_at.len();
    let (first, last) = (net(*start.box_at.first()?), net(*start.box_at.last()?));
    let ahead = first - sync.net(sync.heard);
    let makes_sense = (1..=TURNS_MAX).contains(&count)
        && start.box_at.len() == count + 1
        && ahead > Span::ZERO
        && last > first
        && ahead + (last - first) < AHEAD_MAX;
    let until = now + ahead + (last - first) + LOOK_WITHIN;
    let audio = |at: &Vec<units::WireTime>| at.iter().map(|at| sync.audio(net(*at))).collect();
    let turns = || Turns { by_box: audio(&start.box_at), by_phone: audio(&start.phone_at) };
    makes_sense.then(|| (turns(), until))
}

fn acts(turns: &Turns<AudioTime>) -> Vec<Act> {
    let ends = turns.by_box.iter().min().zip(turns.by_box.iter().max());
    let listen = ends.map(|(first, last)| Act::Listen {
        from_s: secs(*first - MARGIN.0),
        to_s: secs(*last + MARGIN.1),
    });
    let chirps = turns.by_phone.iter().map(|at| Act::Chirp { at_s: secs(*at) });
    listen.into_iter().chain(chirps).collect()
}
