//! What carries messages and who is at its other end: opened, lost, let go, changed; and what is said first.
//!
//! In: what the link, the boxes and the carrier decide. Out: acts that open, close, probe and say hello. Never: what the box said.

use units::MonoTime;
use wire::output::Device;
use wire::solusync::{self, Calibrated, Header, Hello, Message, NodeType, Standing};
use wire::time::Channel;

use super::{Core, STATUS_EVERY};
use crate::boxes::Course;
use crate::link::Wish;
use crate::peer;
use crate::scale::wire;
use crate::told::{Act, Role};

impl Core {
    pub(super) fn opened(&mut self, now: MonoTime) {
        self.link.handle_opened(now);
        self.ways.handle_opened(Channel::WebSocket);
        // On a stream it is the same box, and its clock is known.
        if !self.carrier.is_stream() {
            self.pace.handle_opened(now);
        }
        self.next_status = now + STATUS_EVERY;
        self.say_hello(now);
        self.tell_calibrated(now);
    }

    pub(super) fn time_opened(&mut self, channel: Channel) {
        self.ways.handle_opened(channel);
        if channel == Channel::DataChannel {
            self.peer.handle_opened();
        }
    }

    pub(super) fn say_hello(&mut self, now: MonoTime) {
        let capabilities: &[&str] = match self.role {
            Role::Phone => &["audio", "video", "screen", "clock_sync"],
            Role::Screen => &["projector", "video", "screen", "clock_sync"],
            Role::Performer => &["performer", "screen", "clock_sync"],
        };
        let auth_token = self.invitation.show();
        self.tell(
            now,
            &Message::Hello(Hello {
                protocol_version: solusync::PROTOCOL_VERSION.into(),
                capabilities: capabilities.iter().map(|it| (*it).to_owned()).collect(),
                node_type: NodeType::Client,
                auth_token,
                device: Some(self.device.clone()).filter(|it| *it != Device::default()),
            }),
        );
    }

    pub(super) fn calibrated(&mut self, now: MonoTime, known: Calibrated) {
        if self.correction.handle_calibrated(known) && self.link.is_open() {
            self.tell(
                now,
                &Message::Calibrated(self.correction.known().cloned().unwrap_or_default()),
            );
        }
    }

    pub(super) fn tell_calibrated(&mut self, now: MonoTime) {
        if let Some(known) = self.correction.known().cloned() {
            self.tell(now, &Message::Calibrated(known));
        }
    }

    pub(super) fn closed(&mut self, now: MonoTime) {
        if !self.link.is_away() {
            self.carrier.handle_gone(now);
            let knock = self.boxes.handle_closed(now);
            self.link.handle_closed(now, knock, &mut self.chance);
        }
        self.ways.handle_closed(now, Channel::WebSocket);
    }

    pub(super) fn leave(&mut self, now: MonoTime) {
        self.carrier.handle_gone(now);
        let knock = self.boxes.handle_silent();
        self.link.handle_closed(now, knock, &mut self.chance);
        self.ways.handle_closed(now, Channel::WebSocket);
    }

    /// Another box drives.
    pub(super) fn let_go(&mut self, now: MonoTime) {
        self.acts.push(Act::Close);
        self.carrier.handle_let_go();
        self.link.handle_let_go(now);
        self.ways.handle_closed(now, Channel::WebSocket);
    }

    /// The box is this and stands among those; where it sends us on, we go.
    pub(super) fn stand(&mut self, now: MonoTime, header: &Header, standing: Standing) -> Course {
        let from = header.node_id;
        let course = self.boxes.handle_standing(now, from, standing, &mut self.chance);
        self.link.handle_several(self.boxes.are_several());
        if course == Course::Go {
            self.let_go(now);
        }
        course
    }

    /// What a box says of itself while we are with it. One that takes over has to tell what plays.
    pub(super) fn told_standing(&mut self, now: MonoTime, header: &Header, standing: Standing) {
        let drove = self.boxes.is_with_driver();
        self.stand(now, header, standing);
        if self.boxes.is_with_driver() && !drove {
            self.say_hello(now);
        }
    }

    pub(super) fn woke(&mut self, now: MonoTime) {
        self.link.handle_woke(now);
        self.ways.handle_woke(now);
        self.pace.handle_doubt(now);
        if self.peer.handle_woke(now) {
            self.probe_peer(now);
        }
    }

    pub(super) fn tell(&mut self, now: MonoTime, message: &Message) {
        let header = self.header(now);
        self.acts.push(Act::Send { text: solusync::emit(&header, message) });
    }

    pub(super) fn header(&mut self, now: MonoTime) -> Header {
        self.sequence += 1;
        Header {
            id: solusync::uuid_v4(self.chance.bits()),
            timestamp: wire(self.net(now)),
            node_id: self.node,
            sequence: self.sequence,
        }
    }

    pub(super) fn grant(&mut self, now: MonoTime, wish: Wish) {
        match wish {
            Wish::Open if self.carrier.is_stream() => self.acts.push(Act::OpenStream),
            Wish::Open => self.acts.push(Act::Open { url: self.boxes.url().to_owned() }),
            Wish::Close => {
                self.acts.push(Act::Close);
                self.closed(now);
            }
            // A stream that is silent says nothing of its box.
            Wish::Leave if self.carrier.is_stream() => self.grant(now, Wish::Close),
            Wish::Leave => {
                self.acts.push(Act::Close);
                self.leave(now);
            }
            Wish::Probe => self.probe(now),
        }
    }

    /// From the socket to a stream in its first moment, if datagrams are answered; and back once they are not, or it is not welcomed.
    pub(super) fn change_carrier(&mut self, now: MonoTime) {
        let by = Channel::WebTransport;
        let moment = self.carrier.moment(now).filter(|_| self.link.is_open());
        let is_mute = self.carrier.is_stream() && self.ways.is_mute(by) && self.link.is_open();
        if moment.is_some_and(|since| self.ways.answers_since(by, since)) {
            self.carrier.handle_over(now);
            self.link.handle_let_go(now);
            self.ways.handle_closed(now, Channel::WebSocket);
        } else if is_mute || self.carrier.is_late(now) {
            self.grant(now, Wish::Close);
        }
    }

    pub(super) fn probe(&mut self, now: MonoTime) {
        self.ask(now, Channel::WebSocket);
        if self.carrier.is_stream() && self.ways.is_open(Channel::WebTransport) {
            self.ask(now, Channel::WebTransport);
        }
    }

    pub(super) fn grant_peer(&mut self, now: MonoTime, wish: peer::Wish) {
        match wish {
            peer::Wish::Open(door) => self.acts.push(Act::OpenPeer { door }),
            peer::Wish::Restart => self.acts.push(Act::RestartPeer),
            peer::Wish::Probe => self.probe_peer(now),
            peer::Wish::Close => self.acts.push(Act::ClosePeer),
        }
    }

    /// An offer belongs to the carrier that it was told on, and that one may be about to change.
    pub(super) fn holds_peer(&self, now: MonoTime) -> bool {
        let may_go = self.carrier.moment(now).is_some();
        may_go && self.ways.is_undecided(Channel::WebTransport) || self.carrier.is_over()
    }

    pub(super) fn probe_peer(&mut self, now: MonoTime) {
        if self.ways.is_open(Channel::DataChannel) {
            self.ask(now, Channel::DataChannel);
        }
    }
}
