//! The thread that turns every phone's machine.

use std::cell::Cell;
use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::os::fd::AsFd;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::mpsc::Receiver;
use std::time::{Duration, Instant};

use bytes::Bytes;
use engine::peers::{self, Act, Address, Channel, How, Link, Opening, Reel, Verdict, Why};
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::eventfd::EventFd;
use nix::time::ClockId;
use str0m::channel::{ChannelData, ChannelId};
use str0m::net::{Protocol, Receive, Transmit};
use str0m::{Event, IceConnectionState, Input, Output};
use units::{Moment, MonoTime, PhoneId, ShowTime, Span};
use wire::solusync::{MediaCodec, Refusal, RefusalCode};
use wire::stun;
use wire::time::Answer;

use super::peer::{Making, Peer};
use super::{Frame, Live, News, ORDERS_MAX, Order, PeerGlance, PeersSetup, Picture, Whom, Words};
use crate::clock;
use crate::datagram::{self, Arrival};
use crate::heap;

/// Packets that are seen to before orders and timers have their turn.
const BATCH: usize = 64;
/// However quiet it is; nothing depends on it.
const SLEEP_MAX: Duration = Duration::from_secs(1);
/// Larger ones are nobody's: DTLS, SRTP and STUN keep below the MTU.
const PACKET_MAX: usize = 2048;
/// Interfaces come and go.
const LOOK_EVERY: Duration = Duration::from_secs(5);
/// A stamp that is older belongs to a clock that was set, or to a machine that stood still.
const STAMP_AGE_MAX: Span = Span::from_millis(250);

pub(super) struct Hub {
    setup: PeersSetup,
    port: u16,
    decisions: peers::Peers,
    decide_at: Option<MonoTime>,
    making: Making,
    /// Boxed, since each turn takes one out.
    peers: BTreeMap<PhoneId, Box<Peer>>,
    homes: BTreeMap<PhoneId, Option<IpAddr>>,
    by_ufrag: HashMap<String, PhoneId>,
    by_source: HashMap<SocketAddr, PhoneId>,
    wakes: BTreeSet<(Instant, PhoneId)>,
    addresses: Option<(Instant, Vec<Address>)>,
    /// Octets of the heap that this thread took for others and handed over.
    handed: Cell<i64>,
    /// Live pictures since their last key frame.
    reel: Reel<Bytes>,
    stopped: bool,
}

/// Since the hub's thread began.
enum Processor {}

/// What one turn of a machine brought.
enum Turn {
    Alive,
    Over(Why),
}

impl Hub {
    pub(super) fn new(setup: PeersSetup) -> io::Result<Self> {
        let making = Making::new().ok_or_else(|| io::Error::other("no certificate for DTLS"))?;
        let port = setup.socket.local_addr()?.port();
        Ok(Self {
            decisions: peers::Peers::new(setup.limits, setup.most),
            setup,
            port,
            decide_at: None,
            making,
            peers: BTreeMap::new(),
            homes: BTreeMap::new(),
            by_ufrag: HashMap::new(),
            by_source: HashMap::new(),
            wakes: BTreeSet::new(),
            addresses: None,
            handed: Cell::new(0),
            reel: Reel::default(),
            stopped: false,
        })
    }

    pub(super) fn run(mut self, orders: &Receiver<Order>, bell: &EventFd) {
        let mut buffer = [0; PACKET_MAX];
        while !self.stopped {
            self.wait(bell);
            for order in orders.try_iter().take(ORDERS_MAX) {
                self.handle_order(order);
            }
            self.handle_packets(&mut buffer);
            self.handle_time();
        }
        self.say_goodbye();
    }

    fn wait(&self, bell: &EventFd) {
        let now = Instant::now();
        let timers = self.wakes.first().map(|(at, _)| at.saturating_duration_since(now));
        let decisions = self.decide_at.map(|at| (at - self.setup.clock.mono_now()).to_std());
        let sleep = [timers, decisions].into_iter().flatten().fold(SLEEP_MAX, Duration::min);
        // Rounded up: a wake too early would only spin.
        let sleep = (sleep + Duration::from_micros(999)).as_millis() as u16;
        let mut fds = [
            PollFd::new(self.setup.socket.as_fd(), PollFlags::POLLIN),
            PollFd::new(bell.as_fd(), PollFlags::POLLIN),
        ];
        // A signal wakes as well as anything.
        let _ = poll(&mut fds, PollTimeout::from(sleep));
        let _ = bell.read();
    }

    fn handle_order(&mut self, order: Order) {
        match order {
            Order::Joined(phone, home) => {
                self.homes.insert(phone, home);
                self.decisions.handle_joined(phone);
            }
            Order::Left(phone) => {
                self.homes.remove(&phone);
                if self.decisions.handle_left(phone) {
                    self.end(phone, Why::PhoneLeft);
                }
            }
            Order::Offer(phone, offer) => self.handle_offer(phone, &offer),
            Order::Answer(phone, answer) => self.handle_answer(phone, &answer),
            Order::Say(whom, channel, words) => self.say(whom, channel, &words),
            Order::Frame(frame) => self.play(&frame),
            Order::Live(live) => self.say_live(&live),
            Order::Picture(picture) => self.show(&picture),
            Order::PicturesEnd => self.end_pictures(),
            // Whoever asked may have gone.
            Order::Glance(reply) => drop(reply.send(self.glance())),
            Order::Stop => self.stopped = true,
        }
    }

    fn everyone(&self) -> Vec<PhoneId> {
        self.peers.keys().copied().collect()
    }

    /// Whoever takes live sound on `media` is not to hear it on the track as well.
    fn play(&mut self, frame: &Frame) {
        for phone in self.everyone() {
            if self.decisions.live(phone).is_none() {
                let now = Instant::now();
                self.turn(phone, None, |peer| peer.play(now, frame));
            }
        }
    }

    fn say_live(&mut self, live: &Live) {
        for phone in self.everyone() {
            let chunk = match self.decisions.live(phone) {
                Some(MediaCodec::Opus) => &live.opus,
                Some(MediaCodec::Pcm16) => &live.pcm16,
                _ => continue,
            };
            self.turn(phone, None, |peer| peer.say_live(chunk));
        }
    }

    fn show(&mut self, picture: &Picture) {
        self.reel.handle(&picture.piece);
        let reel = std::mem::take(&mut self.reel);
        for phone in self.everyone() {
            let takes = self.decisions.takes(phone, picture.codec);
            let Some(peer) = self.peers.get(&phone) else { continue };
            if !takes && (peer.knows || !peer.channels.contains_key(&Channel::Media)) {
                continue;
            }
            self.turn(phone, None, |peer| {
                if takes {
                    peer.dropped += peer.backlog.handle(&picture.piece, &reel);
                } else {
                    peer.backlog.clear();
                    let untaken = Bytes::clone(&picture.untaken);
                    peer.knows = peer.say(Channel::Media, &Words::Text(untaken));
                }
            });
        }
        self.reel = reel;
    }

    fn end_pictures(&mut self) {
        self.reel.clear();
        for peer in self.peers.values_mut() {
            peer.backlog.clear();
            peer.knows = false;
        }
    }

    fn say(&mut self, whom: Whom, channel: Channel, words: &Words) {
        let phones = match whom {
            Whom::All => self.everyone(),
            Whom::One(phone) => vec![phone],
        };
        for phone in phones {
            self.turn(phone, None, |peer| {
                peer.say(channel, words);
            });
        }
    }

    // How connections begin.

    fn handle_offer(&mut self, phone: PhoneId, offer: &str) {
        let now = self.setup.clock.mono_now();
        let answer = match self.decisions.handle_offer(now, phone, offer) {
            Ok(offered) => self.answer(phone, &offered),
            Err(refusal) => Err(refusal),
        };
        self.decide_again();
        match answer {
            Ok(answer) => self.tell(phone, || News::Answer(answer)),
            Err(refusal) => self.tell(phone, || News::Refused(refusal)),
        }
    }

    fn answer(&mut self, phone: PhoneId, offered: &peers::Offered) -> Result<String, Refusal> {
        if offered.how == How::New {
            if self.peers.contains_key(&phone) {
                self.end(phone, Why::Replaced);
            }
            let peer = self.make(phone);
            self.wakes.insert((peer.wake, phone));
            self.peers.insert(phone, peer);
        }
        let mut answered = Err(String::new());
        self.turn(phone, None, |peer| {
            answered = peer.accept_offer(&offered.description).map_err(|error| error.to_string());
        });
        if answered.is_err() && offered.how == How::New {
            self.decisions.handle_gone(phone);
            self.forget(phone);
        }
        answered.map_err(|why| {
            let message = format!("could not take the offer: {why:.200}");
            Refusal { code: RefusalCode::InvalidPayload, message }
        })
    }

    fn make(&mut self, phone: PhoneId) -> Box<Peer> {
        let mut peer = Box::new(Peer::new(Instant::now(), &self.making));
        let home = self.homes.get(&phone).copied().flatten();
        let interface = self.setup.interface.clone();
        for ip in peers::places(self.addresses(), interface.as_deref(), home) {
            peer.add_place(SocketAddr::new(ip, self.port));
        }
        for &announced in &self.setup.announce {
            peer.add_announced(announced, self.port);
        }
        peer
    }

    fn addresses(&mut self) -> &[Address] {
        let fresh = self.addresses.as_ref().is_some_and(|(at, _)| at.elapsed() < LOOK_EVERY);
        if !fresh {
            // A machine that does not tell its addresses is found by those it is knocked at.
            let found = if_addrs::get_if_addrs().unwrap_or_default();
            let found = found.into_iter().map(|it| Address { ip: it.ip(), interface: it.name });
            self.addresses = Some((Instant::now(), found.collect()));
        }
        self.addresses.as_ref().map_or(&[], |(_, found)| found)
    }

    fn handle_answer(&mut self, phone: PhoneId, answer: &str) {
        let answer = peers::without_candidates(answer);
        self.turn(phone, None, |peer| {
            if let Err(error) = peer.accept_answer(&answer) {
                tracing::debug!(%phone, %error, "an answer was none");
            }
        });
    }

    // What comes in.

    fn handle_packets(&mut self, buffer: &mut [u8]) {
        for _ in 0..BATCH {
            match datagram::receive(self.setup.socket.as_fd(), buffer) {
                Ok(arrival) => self.handle_packet(arrival, &buffer[..arrival.len]),
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return,
                // An ICMP message about a packet of ours; ICE notices by itself who has gone.
                Err(_) => {}
            }
        }
    }

    fn handle_packet(&mut self, arrival: Arrival, bytes: &[u8]) {
        // No track is heard from phones; str0m would remember every stream that one claims to send.
        if is_track(bytes) {
            return;
        }
        let source = canonical(arrival.from);
        let called = stun::called(bytes);
        let phone = match called {
            Some(ufrag) => self.by_ufrag.get(ufrag),
            None => self.by_source.get(&source),
        };
        let (Some(&phone), Some(to)) = (phone, arrival.to) else { return };
        let Ok(contents) = bytes.try_into() else { return };
        let destination = SocketAddr::new(to.to_canonical(), self.port);
        let packet = Receive { proto: Protocol::Udp, source, destination, contents };
        let packet = Input::Receive(Instant::now(), packet);
        let peer = self.peers.get_mut(&phone);
        let is_let_in = peer.is_some_and(|peer| peer.lets_in(source, destination, &packet));
        if !is_let_in {
            return;
        }
        if called.is_some() {
            self.by_source.insert(source, phone);
        }
        let read = self.setup.clock.mono_now();
        let fresh = |stamp: &MonoTime| *stamp <= read && read - *stamp <= STAMP_AGE_MAX;
        let came = arrival.stamp.filter(fresh).unwrap_or(read);
        if !self.decisions.handle_packet(self.setup.clock.show(came), phone) {
            return;
        }
        self.turn(phone, Some(came), |peer| {
            // A packet that breaks the rules is dropped; one that breaks the connection ends it when it is polled.
            if let Err(error) = peer.rtc.handle_input(packet) {
                tracing::debug!(%phone, %error, "a packet was not taken");
            }
        });
    }

    fn handle_time(&mut self) {
        let now = Instant::now();
        while let Some(&(_, phone)) = self.wakes.first().filter(|(at, _)| *at <= now) {
            self.turn(phone, None, |peer| {
                if let Err(error) = peer.rtc.handle_input(Input::Timeout(now)) {
                    tracing::debug!(%phone, %error, "a timer went wrong");
                }
            });
        }
        let mono = self.setup.clock.mono_now();
        if self.decide_at.is_some_and(|at| at <= mono) {
            while let Some((phone, act)) = self.decisions.poll(mono) {
                self.act(phone, act);
            }
            self.decide_again();
        }
    }

    fn act(&mut self, phone: PhoneId, act: Act) {
        match act {
            Act::End(why) => self.end(phone, why),
            Act::Restart => {
                let mut offer = None;
                self.turn(phone, None, |peer| offer = peer.restart());
                if let Some(offer) = offer {
                    self.tell(phone, || News::Offer(offer));
                }
            }
        }
    }

    // One phone's turn.

    /// Does one thing to a phone's machine and everything that follows from it. `came` is when the packet came that
    /// it is about.
    fn turn(&mut self, phone: PhoneId, came: Option<MonoTime>, act: impl FnOnce(&mut Peer)) {
        let Some(mut peer) = self.peers.remove(&phone) else { return };
        self.wakes.remove(&(peer.wake, phone));
        let ways: Vec<SocketAddr> = peer.sources().collect();
        let ufrag = peer.ufrag.clone();
        let (began, before) = (processor_time(), heap::held() - self.handed.get());
        // A machine that panics over what a phone sent is lost with that phone; nobody else is to notice.
        let turned = catch_unwind(AssertUnwindSafe(|| {
            act(&mut peer);
            loop {
                let turn = self.settle(phone, &mut peer, came);
                // What was acknowledged makes room for what waits.
                if !matches!(turn, Turn::Alive) || !peer.say_pictures() {
                    return turn;
                }
            }
        }));
        let (now, took) = (self.setup.clock.mono_now(), processor_time() - began);
        let grew = heap::held() - self.handed.get() - before;
        let over = match turned {
            Ok(Turn::Alive) if self.decisions.handle_turn(now, phone, took, grew) => None,
            Ok(Turn::Alive) => Some(Why::Flooded),
            Ok(Turn::Over(why)) => Some(why),
            Err(_) => Some(Why::Broken),
        };
        self.name(phone, &peer, &ufrag, &ways);
        self.wakes.insert((peer.wake, phone));
        self.peers.insert(phone, peer);
        if let Some(why) = over {
            self.decisions.handle_gone(phone);
            self.end(phone, why);
        }
    }

    /// After a restart a phone knocks by another name. Until it has found a way, packets go on coming by the last ones.
    fn name(&mut self, phone: PhoneId, peer: &Peer, old: &str, ways: &[SocketAddr]) {
        if peer.ufrag != old {
            self.by_ufrag.remove(old);
            self.by_ufrag.insert(peer.ufrag.clone(), phone);
            self.by_source.retain(|way, it| *it != phone || ways.contains(way));
        }
    }

    /// Everything that a machine has to say; each thing that is done about it makes it speak again.
    fn settle(&mut self, phone: PhoneId, peer: &mut Peer, came: Option<MonoTime>) -> Turn {
        let mut events = std::collections::VecDeque::new();
        loop {
            loop {
                match peer.rtc.poll_output() {
                    Ok(Output::Timeout(at)) => {
                        peer.wake = at;
                        break;
                    }
                    Ok(Output::Transmit(packet)) => self.send(&packet),
                    Ok(Output::Event(event)) => events.push_back(event),
                    Err(error) => {
                        tracing::debug!(%phone, %error, "a connection broke");
                        return Turn::Over(Why::Broken);
                    }
                }
            }
            if !peer.rtc.is_alive() {
                return Turn::Over(Why::Closed);
            }
            let Some(event) = events.pop_front() else { return Turn::Alive };
            if let Turn::Over(why) = self.handle_event(phone, peer, event, came) {
                return Turn::Over(why);
            }
        }
    }

    fn handle_event(
        &mut self,
        phone: PhoneId,
        peer: &mut Peer,
        event: Event,
        came: Option<MonoTime>,
    ) -> Turn {
        match event {
            Event::IceConnectionStateChange(state) => self.handle_ice(phone, peer, state),
            Event::Connected => self.link(phone, Link::Connected),
            Event::MediaAdded(it) => peer.note_track(it.mid, it.direction),
            Event::MediaChanged(it) => peer.note_track(it.mid, it.direction),
            Event::ChannelOpen(id, label) => self.handle_opened(phone, peer, id, &label),
            Event::ChannelClose(id) => peer.channels.retain(|_, it| *it != id),
            Event::ChannelData(data) => return self.handle_data(phone, peer, data, came),
            Event::PeerStats(stats) => peer.stats = Some(stats),
            Event::MediaEgressStats(stats) => peer.loss = stats.loss.map(f64::from).or(peer.loss),
            Event::Closed => return Turn::Over(Why::Closed),
            _ => {}
        }
        Turn::Alive
    }

    fn handle_ice(&mut self, phone: PhoneId, peer: &mut Peer, state: IceConnectionState) {
        peer.note_way(matches!(
            state,
            IceConnectionState::Connected | IceConnectionState::Completed
        ));
        match state {
            IceConnectionState::Connected | IceConnectionState::Completed => {
                // Before DTLS has met, a way is not a connection.
                if peer.rtc.is_connected() {
                    self.link(phone, Link::Connected);
                }
            }
            IceConnectionState::Disconnected => self.link(phone, Link::Disconnected),
            IceConnectionState::New | IceConnectionState::Checking => {}
        }
    }

    fn link(&mut self, phone: PhoneId, link: Link) {
        let now = self.setup.clock.mono_now();
        let before = self.decisions.link(phone).map(|it| it.0);
        self.decisions.handle_link(now, phone, link);
        self.decide_again();
        if before != Some(link) {
            self.tell(phone, || News::Link(link));
        }
    }

    fn handle_opened(&mut self, phone: PhoneId, peer: &mut Peer, id: ChannelId, label: &str) {
        let Some(opened) = peer.opened(id) else { return };
        let opening = Opening { label, ordered: opened.ordered, reliable: opened.reliable };
        match self.decisions.handle_channel(opening) {
            Some(channel) if !peer.channels.contains_key(&channel) => {
                peer.channels.insert(channel, id);
                peer.traffic.entry(channel).or_default();
                self.tell(phone, || News::Opened(channel));
            }
            _ => peer.close_channel(id),
        }
    }

    fn handle_data(
        &mut self,
        phone: PhoneId,
        peer: &mut Peer,
        data: ChannelData,
        came: Option<MonoTime>,
    ) -> Turn {
        let Some(channel) = peer.channel_of(data.id) else { return Turn::Alive };
        peer.note_heard(channel, &data.data);
        let clock = &self.setup.clock;
        let now = came.map_or_else(|| clock.now(), |came| clock.show(came));
        match self.decisions.handle_message(now, phone, channel, &data.data) {
            Verdict::Clock(question) => {
                let t2_ns = self.unix_ns(now);
                let t3_ns = self.unix_ns(self.setup.clock.now());
                let answer = Answer { t1: question.t1, t2_ns, t3_ns }.emit();
                peer.say(channel, &Words::Binary(Bytes::copy_from_slice(&answer)));
                if let Some(from) = peer.sources().last() {
                    self.tell(phone, || News::Asked(from.ip()));
                }
            }
            Verdict::Take => {
                self.tell(phone, || News::Heard {
                    channel,
                    text: !data.binary,
                    bytes: Bytes::copy_from_slice(&data.data),
                });
            }
            Verdict::Drop => {}
            Verdict::End => return Turn::Over(Why::Flooded),
        }
        Turn::Alive
    }

    fn unix_ns(&self, at: ShowTime) -> i64 {
        (at - self.setup.tai_utc).ns()
    }

    fn send(&self, packet: &Transmit) {
        let socket = self.setup.socket.as_fd();
        let sent = datagram::send(
            socket,
            &packet.contents,
            packet.source.ip(),
            as_socket_takes(&self.setup.socket, packet.destination),
        );
        // A full queue or an interface that went: what matters is sent again by SCTP or asked for by ICE.
        if let Err(error) = sent {
            tracing::trace!(%error, to = %packet.destination, "a packet did not leave");
        }
    }

    // How connections end.

    fn end(&mut self, phone: PhoneId, why: Why) {
        if let Some(peer) = self.peers.get_mut(&phone) {
            // The phone's browser knows at once then, not after half a minute.
            let goodbye = catch_unwind(AssertUnwindSafe(|| peer.goodbye()));
            goodbye.unwrap_or_default().iter().for_each(|packet| self.send(packet));
            self.tell(phone, || News::Ended(why));
        }
        self.forget(phone);
        self.decide_again();
    }

    fn forget(&mut self, phone: PhoneId) {
        if let Some(peer) = self.peers.remove(&phone) {
            self.wakes.remove(&(peer.wake, phone));
            self.by_ufrag.remove(&peer.ufrag);
            self.by_source.retain(|_, it| *it != phone);
        }
    }

    fn say_goodbye(&mut self) {
        for phone in self.everyone() {
            self.end(phone, Why::Closed);
        }
    }

    fn decide_again(&mut self) {
        self.decide_at = self.decisions.next_wake();
    }

    /// What is made for it and goes on is no machine's.
    fn tell(&self, phone: PhoneId, news: impl FnOnce() -> News) {
        let before = heap::held();
        (self.setup.tell)(phone, news());
        self.handed.set(self.handed.get() + heap::held() - before);
    }

    fn glance(&self) -> Vec<PeerGlance> {
        let now = self.setup.clock.mono_now();
        self.peers.iter().filter_map(|(&phone, peer)| self.glance_one(now, phone, peer)).collect()
    }

    fn glance_one(&self, now: MonoTime, phone: PhoneId, peer: &Peer) -> Option<PeerGlance> {
        let (state, since) = self.decisions.link(phone)?;
        let stats = peer.stats.as_ref();
        let way = stats.and_then(|it| it.selected_candidate_pair.as_ref());
        let rtt = way.and_then(|it| it.current_round_trip_time);
        Some(PeerGlance {
            phone,
            state,
            state_s: (now - since).secs_f64(),
            address: way.map(|it| it.remote.addr),
            rtt_ms: rtt.map(|it| it.as_secs_f64() * 1e3),
            loss: peer.loss,
            bytes_in: stats.map(|it| it.peer_bytes_rx),
            bytes_out: stats.map(|it| it.peer_bytes_tx),
            channels: peer.channels.keys().copied().collect(),
            traffic: peer.traffic.clone(),
            track: peer.track.is_some(),
            held: self.decisions.held(phone),
            dropped: peer.dropped,
            restarts: peer.ways.saturating_sub(1),
        })
    }
}

/// A packet of sound or pictures (RFC 7983, 7), not what is reported of one (RFC 5761, 4).
fn is_track(packet: &[u8]) -> bool {
    matches!(packet, [128..=191, kind, ..] if !(192..=223).contains(kind))
}

/// What this thread has had of the processor: a hub that had to wait for it is no phone's fault.
fn processor_time() -> Moment<Processor> {
    clock::read(ClockId::CLOCK_THREAD_CPUTIME_ID)
}

fn canonical(address: SocketAddr) -> SocketAddr {
    SocketAddr::new(address.ip().to_canonical(), address.port())
}

/// A socket of IPv6 takes addresses of IPv4 in IPv6's clothes only.
fn as_socket_takes(socket: &std::net::UdpSocket, to: SocketAddr) -> SocketAddr {
    let is_six = socket.local_addr().is_ok_and(|it| it.is_ipv6());
    match to {
        SocketAddr::V4(it) if is_six => SocketAddr::new(it.ip().to_ipv6_mapped().into(), it.port()),
        _ => to,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_track_is_told_from_what_is_said_of_one_and_from_everything_else() {
        let track = [[0x80, 111, 0, 1], [0x90, 0x80 | 111, 0, 1], [0xbf, 0, 0, 0]];
        assert!(track.iter().all(|it| is_track(it)));
        let reports = [[0x80, 200, 0, 6], [0x81, 201, 0, 7], [0x8f, 205, 0, 3]];
        let others = [[0, 1, 0, 8], [22, 254, 253, 0], [0xc0, 111, 0, 1]];
        assert!(reports.iter().chain(&others).all(|it| !is_track(it)));
        assert!(!is_track(&[]) && !is_track(&[0x80]));
    }
}
