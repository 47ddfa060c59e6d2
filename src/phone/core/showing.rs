//! What the phone says of itself: to the box, and to whoever holds it.
//!
//! In: nothing but what is known. Out: reports, `node_status`, the state that the page puts into words.

use units::{MonoTime, Span};
use uuid::Uuid;
use wire::output::SyncErrors;
use wire::solusync::{Message, NodeStatus, NodeType, Played, PlayedSource, RefusalCode};

use super::{Core, Sound};
use crate::buffer::{Buffer, Quality};
use crate::scale::{NetTime, wire};
use crate::state::{Doing, State};
use crate::told::{Ear, Role};

impl Core {
    pub(super) fn painted(&mut self, now: MonoTime) {
        let at = self.net(now);
        for order in self.screens.painted(at) {
            self.report(now, order, at, PlayedSource::Screen);
        }
    }

    pub(super) fn report(&mut self, now: MonoTime, order: Uuid, at: NetTime, source: PlayedSource) {
        if !self.link.is_open() {
            return;
        }
        let clock_error_ms = self.clock.reading(now).map(|reading| reading.bound.millis_f64());
        let came = self.seen.iter().find(|(seen, _)| *seen == order).map(|(_, came)| *came);
        let reading =
            came.filter(|_| self.clock.is_settled()).and_then(|it| self.clock.reading(it));
        let arrived = reading.map(|reading| wire(reading.net));
        let played = Played { order, at: wire(at), source, clock_error_ms, arrived };
        self.tell(now, &Message::Played(played));
    }

    pub(super) fn status(&self, now: MonoTime) -> NodeStatus {
        let mut rtts: Vec<Span> = self.rtts.iter().copied().collect();
        rtts.sort_unstable();
        let rtt = rtts.get(rtts.len() / 2).copied();
        let (ready, wanted) = self.readiness();
        let count = |tracks: usize| u32::try_from(tracks).ok().filter(|_| self.is_to_sound());
        let (ready, wanted) = (count(ready), count(wanted));
        let live = self.live.buffer(now);
        // It cannot be seen over a socket.
        let loss = live.and_then(Buffer::loss).or(self.ways.loss());
        let level =
            live.and_then(Buffer::quality).or(rtt.map(|rtt| Quality::of(rtt, loss.unwrap_or(0.0))));
        NodeStatus {
            battery_level: self.battery,
            network_quality: level.map(|it| it.name().to_owned()),
            // A clock of whole milliseconds makes less than nothing of a cable.
            avg_rtt_ms: rtt.map(|it| it.max(Span::ZERO).millis_f64()),
            packet_loss_percent: loss.map(|share| share * 100.0),
            tracks_ready: ready,
            tracks_wanted: wanted,
            buffer_ms: self.live.delay(now).map(Span::millis_f64),
            delivery_ms: self.delivery.map(Span::millis_f64),
            need_ms: self.sync(now).map(|sync| sync.need().millis_f64()),
            live_refused: self.live.refused().map(|(count, _)| count),
            live_refused_why: self.live.refused().map(|(_, why)| why),
            pictures: self.pictures,
            sync: (self.role == Role::Phone).then(|| self.errors(now)),
            ..NodeStatus::of(NodeType::Client)
        }
    }

    /// Tracks that are here, and that should be. What can be done before a tap is done once a track is fetched.
    pub(super) fn readiness(&self) -> (usize, usize) {
        self.player.readiness(self.sound != Sound::Untouched)
    }

    /// A screen is silent, and who was not welcomed knows of none.
    pub(super) fn is_to_sound(&self) -> bool {
        self.role == Role::Phone && self.welcomed.is_some()
    }

    /// The three errors, apart; bounds are two standard deviations.
    pub(super) fn errors(&self, now: MonoTime) -> SyncErrors {
        let clock = self.clock.reading(now).filter(|_| self.clock.is_settled());
        let correction = self.correction.estimate();
        let (output_source, output) = self.delay.output(&self.audio, correction);
        let bound = |sigma: Span| 2.0 * sigma.millis_f64();
        SyncErrors {
            clock_ms: clock.map(|reading| reading.bound.millis_f64()),
            output_ms: output.map(bound),
            output_source,
            acoustic_ms: self.delay.acoustic(&self.audio).map(bound),
            delay_ms: self.late().millis_f64(),
            nudge_ms: self.delay.nudge().millis_f64(),
        }
    }

    /// The tap that it waits for.
    pub(super) fn tap(&self) -> Option<State> {
        match (self.refused, self.role, self.sound) {
            (Some(RefusalCode::VersionMismatch), ..) | (_, Role::Screen | Role::Performer, _) => {
                None
            }
            (_, _, Sound::Untouched) => Some(State::TapToStart),
            (_, _, Sound::Asleep) => Some(State::TapToWake),
            (_, _, Sound::Running) => None,
        }
    }

    pub(super) fn fare(&self, now: MonoTime) -> State {
        let reading = self.clock.reading(now).filter(|_| self.clock.is_settled());
        let bound_ms = reading.map(|reading| reading.bound.millis_f64());
        let (ready, of) = self.readiness();
        let of = if self.role == Role::Phone { of } else { 0 };
        let is_coming = ready + self.player.unplayable() < of;
        let doing = self.doing(now);
        let uninvited = self.invitation.refused().filter(|_| self.tells_refusal());
        let is_there = self.link.is_open() || self.carrier.is_under_way(now);
        match (self.refused.or(uninvited), bound_ms) {
            (Some(RefusalCode::VersionMismatch), _) => State::Outdated,
            (Some(RefusalCode::TooManyConnections), None) => State::Full,
            (Some(code), _) if code != RefusalCode::TooManyConnections => State::Refused { code },
            (_, Some(bound_ms)) if !is_there => State::OnOwnClock { bound_ms, doing },
            (_, None) if !is_there => State::Connecting,
            (_, None) => State::FindingTheBeat,
            _ if is_coming && doing != Doing::Playing => State::Loading { ready, of },
            (_, Some(bound_ms)) => State::InStep { bound_ms, doing },
        }
    }

    /// A tap says that its holder knows, and comes in nevertheless.
    pub(super) fn tells_refusal(&self) -> bool {
        self.role != Role::Phone || self.sound == Sound::Untouched
    }

    /// What is live plays, too, though no order says so: heard, or only seen.
    pub(super) fn doing(&self, now: MonoTime) -> Doing {
        match self.player.doing(self.net(now)) {
            Doing::Ready if self.hears_live(now) || self.sees => Doing::Playing,
            doing => doing,
        }
    }

    pub(super) fn hears_live(&self, now: MonoTime) -> bool {
        self.live.buffer(now).is_some()
    }

    pub(super) fn ear(&self, now: MonoTime) -> Ear {
        match (self.has_sounded, self.doing(now)) {
            (true, _) => Ear::Nudges,
            (false, Doing::Ready) if self.listens && self.calibrates => Ear::Calibrates,
            _ => Ear::Closed,
        }
    }

    /// A screen is silent, whatever it plays.
    pub(super) fn sounds(&self, now: MonoTime) -> bool {
        let plays = self.player.doing(self.net(now)) == Doing::Playing;
        self.role == Role::Phone && (plays || self.hears_live(now))
    }
}
