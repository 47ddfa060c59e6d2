//! What the box says, and what becomes of it.
//!
//! In: texts, and when they came. Out: news for whoever decides: the player, the screens, the ways, the boxes.

use units::{MonoTime, Span};
use uuid::Uuid;
use wire::solusync::{self, ClockPace, Header, Message, Refusal, RefusalCode, Standing, Welcome};
use wire::time::Channel;

use super::Core;
use crate::boxes::Course;
use crate::pace::AskedFor;
use crate::player::Now;
use crate::scale::{NetTime, net};
use crate::screen::Report;
use crate::told::Role;
use crate::voice::Sync;

/// Orders sent twice come within seconds of each other.
const SEEN_MAX: usize = 128;
/// The sender's own stamp stands for "now" where it is this near, so that all phones mean the same now.
const NOW_TOLERANCE: Span = Span::from_secs(2);

impl Core {
    /// Text that is no message is ignored: a box of another day may say what we do not know.
    pub(super) fn heard(&mut self, now: MonoTime, at: MonoTime, text: &str) {
        self.link.handle_heard(now);
        let Ok((header, message)) = solusync::parse_from_box(text) else { return };
        match message {
            Message::ClockSyncResponse(answer) => self.answered(at, &answer),
            Message::Standing(it) => self.told_standing(now, &header, it),
            Message::ClockPace(pace) => self.pace.handle_asked_for(asked_for(pace)),
            Message::Welcome(welcome) => self.welcome(now, &header, *welcome),
            Message::NodeStatus(_) => self.delivery = self.took(at, &header),
            Message::MediaControl(said) if self.is_new(header.id, at) => {
                let at = Now { mono: now, net: self.meant(now, &header) };
                let late = self.late();
                let sync = Sync::at(now, &self.clock, &self.audio, self.made_ahead, late);
                self.player.handle_order(header.id, &said, at, sync.as_ref());
            }
            Message::Screen(screen) if self.is_new(header.id, at) => {
                let at = self.meant(now, &header);
                let start = screen.start_at.map_or(at, net);
                self.screens.handle(header.id, screen, at, self.report_of(start));
            }
            Message::ClockCorrection(told) => self.correction.handle_told(told),
            Message::Error(refusal) => self.refused(now, header.node_id, &refusal),
            Message::CalibrateStart(start) => self.start_calibration(now, &start),
            Message::CalibrateHeard(heard) => self.hear_calibration(now, &heard),
            Message::CalibrateRefused(it) => self.refuse_calibration(it),
            _ => {}
        }
    }

    /// On the channel `media`.
    pub(super) fn heard_live(&mut self, now: MonoTime, at: MonoTime, text: &str) {
        let Ok((header, Message::MediaData(chunk))) = solusync::parse_from_box(text) else {
            return;
        };
        let late = self.late();
        let sync = Sync::at(now, &self.clock, &self.audio, self.made_ahead, late);
        self.acts.extend(self.live.handle_chunk(at, (&header, chunk), sync.as_ref()));
    }

    pub(super) fn welcome(&mut self, now: MonoTime, header: &Header, welcome: Welcome) {
        let Welcome { node_type, cluster_info, .. } = welcome;
        if self.stand(now, header, Standing { node_type, cluster_info }) == Course::Go {
            return;
        }
        if self.invitation.handle_welcome(header.node_id) {
            self.say_hello(now);
        }
        if self.with.replace(header.node_id).is_some_and(|before| before != header.node_id) {
            // What leads to the one before says nothing of this one's clock.
            self.ways.handle_closed(now, Channel::DataChannel);
            self.player.handle_other_box(now);
        }
        self.refused = None;
        self.correction.handle_welcome(now);
        // A stream stands in the session that there is.
        if !self.carrier.is_stream() {
            self.ways.handle_door(now, welcome.webtransport.clone());
        }
        let rather = welcome.webtransport.is_some_and(|it| it.messages);
        self.carrier.handle_welcome(now, rather);
        self.peer.handle_door(now, welcome.signaling.map(|it| *it), &mut self.chance);
        self.title = welcome.show.title;
        self.lights = welcome.show.torch && self.role == Role::Phone;
        self.calibrates = welcome.calibrates.unwrap_or(true);
        self.delay.set_table(welcome.output_delay);
        // By the box's own stamp: the clock is seldom known yet, and a phone's date may be seconds off.
        self.welcomed = Some(net(header.timestamp));
        let mut tracks = welcome.show.tracks;
        tracks.retain(|it| self.role == Role::Phone || (self.role == Role::Screen && it.pictures));
        self.player.handle_welcome(tracks, now);
        if self.boxes.is_with_driver() {
            self.player.handle_roll_call(now);
        }
    }

    pub(super) fn refused(&mut self, now: MonoTime, by: Uuid, refusal: &Refusal) {
        match refusal.code {
            // The socket that it came from is going: it knocks there again.
            RefusalCode::TooManyConnections if self.carrier.is_stream() => {}
            RefusalCode::TooManyConnections => {
                self.refused = Some(refusal.code);
                self.link.handle_full();
            }
            RefusalCode::VersionMismatch => {
                self.refused = Some(refusal.code);
                self.link.handle_full();
            }
            RefusalCode::RateLimited => {
                if self.invitation.handle_rate_limited(now, by, &mut self.chance) {
                    self.say_hello(now);
                } else {
                    self.pace.handle_rate_limited(now);
                }
            }
            RefusalCode::Unauthorized | RefusalCode::Forbidden => {
                if self.invitation.handle_refused(by, refusal.code) {
                    self.say_hello(now);
                } else {
                    self.refused = Some(refusal.code);
                }
            }
            RefusalCode::InvalidPayload => {}
        }
    }

    /// An order that was sent twice is done once.
    pub(super) fn is_new(&mut self, id: Uuid, at: MonoTime) -> bool {
        if self.seen.iter().any(|(seen, _)| *seen == id) {
            return false;
        }
        self.seen.push_back((id, at));
        if self.seen.len() > SEEN_MAX {
            self.seen.pop_front();
        }
        true
    }

    /// How long a word was on its way that came at a time; none while the clock is not known.
    pub(super) fn took(&self, at: MonoTime, header: &Header) -> Option<Span> {
        let came = self.clock.reading(at).filter(|_| self.clock.is_settled())?.net;
        Some((came - net(header.timestamp)).max(Span::ZERO))
    }

    /// What "now" means in an order without a time.
    pub(super) fn meant(&self, now: MonoTime, header: &Header) -> NetTime {
        let (ours, theirs) = (self.net(now), net(header.timestamp));
        if (ours - theirs).abs() < NOW_TOLERANCE { theirs } else { ours }
    }

    /// What began before we came is state, not an order: there is nothing to report.
    pub(super) fn report_of(&self, start: NetTime) -> Report {
        match self.welcomed {
            Some(welcomed) if start >= welcomed => Report::Due,
            _ => Report::Done,
        }
    }
}

fn asked_for(pace: ClockPace) -> AskedFor {
    let span = |ms: u32| Span::from_millis(i64::from(ms));
    AskedFor { always: span(pace.min_interval_ms), opening: span(pace.opening_interval_ms) }
}
