//! The phone as a whole: events in, acts out, a look at any time.
//!
//! It is told the page's time with every call and never fetches it. Natively in `sim`, as WebAssembly behind
//! `door` in the page.

mod asking;
mod calibrate;

use std::collections::VecDeque;

use units::{MonoTime, Span};
use uuid::Uuid;
use wire::duet::Recording;
use wire::output::{Device, SyncErrors};
use wire::solusync::{
    self, Calibrated, ClockPace, Estimate, Header, Hello, Message, NodeStatus, NodeType,
    PictureCounts, Played, PlayedSource, Refusal, RefusalCode, Standing, Welcome,
};
use wire::time::Channel;

use crate::audio::{AudioClock, Stamp};
use crate::boxes::{Boxes, Course};
use crate::buffer::{Buffer, Quality};
use crate::carrier::Carrier;
use crate::chance::Chance;
use crate::clock::Clock;
use crate::correction::Correction;
use crate::delay::Delay;
use crate::device::device;
use crate::flicker::{Flicker, Lamp};
use crate::link::{Link, Wish};
use crate::live::Live;
use crate::pace::{AskedFor, Pace};
use crate::peer::{self, Peer};
use crate::player::{Now, Player};
use crate::scale::{AudioTime, NetTime, from_secs, net, wire};
use crate::screen::{Report, Screens, ink};
use crate::state::{Doing, State};
use crate::told::{Act, Ear, Event, Look, OutputStamp, Role, Start, Turn};
use crate::voice::Sync;
use crate::ways::{self, Ways};
use calibrate::Calibrator;

/// What a phone decides.
#[derive(Debug, Clone)]
pub struct Core {
    role: Role,
    token: Option<String>,
    chance: Chance,
    node: Uuid,
    sequence: u64,
    /// Network minus page time by the phone's own reckoning, until the box has answered.
    guess: Span,
    link: Link,
    boxes: Boxes,
    carrier: Carrier,
    /// The one that answered last.
    with: Option<Uuid>,
    /// The page has its own files, or was told to fetch them.
    is_stocked: bool,
    ways: Ways,
    peer: Peer,
    pace: Pace,
    /// The way of the last question.
    asked_by: Option<Channel>,
    clock: Clock,
    correction: Correction,
    rtts: VecDeque<Span>,
    audio: AudioClock,
    delay: Delay,
    /// What a calibration has shown that holds now, beyond the table.
    residual: Option<Estimate>,
    calibrator: Calibrator,
    device: Device,
    sound: Sound,
    /// `currentTime` minus page time at the last look.
    made_ahead: Span,
    player: Player,
    live: Live,
    pictures: Option<PictureCounts>,
    /// Whether live pictures are seen.
    sees: bool,
    listens: bool,
    has_sounded: bool,
    screens: Screens,
    flicker: Flicker,
    lamp: Lamp,
    title: String,
    /// Whether a cue lights phones' own lamps.
    lights: bool,
    welcomed: Option<NetTime>,
    refused: Option<RefusalCode>,
    /// A box has taken its token.
    is_invited: bool,
    /// By which box it was not, and why; there it is in the audience.
    uninvited: Option<(Uuid, RefusalCode)>,
    next_status: MonoTime,
    battery: Option<f64>,
    /// How long the box's last word on itself took to come; none since it was told.
    delivery: Option<Span>,
    /// Orders, and when they came.
    seen: VecDeque<(Uuid, MonoTime)>,
    acts: Vec<Act>,
}

/// What the browser lets us do with sound.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Sound {
    Untouched,
    Running,
    Asleep,
}

/// (DESIGN: The house.)
const STATUS_EVERY: Span = Span::from_secs(5);
/// Orders sent twice come within seconds of each other.
const SEEN_MAX: usize = 128;
/// The sender's own stamp stands for "now" where it is this near, so that all phones mean the same now.
const NOW_TOLERANCE: Span = Span::from_secs(2);
/// A new context is looked at this often until its clock is known, then four times a second.
const LOOK_EARLY: Span = Span::from_millis(50);
/// One that has slept, whose way to the ear is known, and whose holder waits.
const LOOK_AWAKE: Span = Span::from_millis(25);
/// Even with nothing to do: the state line's bound grows.
const IDLE: Span = Span::from_secs(1);
/// Until the clock's fit goes on, where an exchange left some of it to do.
const CLOCK_SLICE: Span = Span::from_millis(20);

impl Core {
    /// A page that was opened at `now`.
    pub fn new(now: MonoTime, start: &Start) -> Self {
        let seed = u128::from_str_radix(&start.chance, 16).unwrap_or_default();
        let mut chance = Chance::new(seed);
        let device = device(&start.user_agent, &start.hints);
        Self {
            role: start.role,
            token: start.token.clone(),
            node: solusync::uuid_v4(chance.bits()),
            chance,
            sequence: 0,
            guess: Span::from_secs_f64(start.unix_ms / 1e3) - (now - MonoTime::ZERO),
            link: Link::new(now),
            boxes: Boxes::new(&start.url),
            carrier: Carrier::default(),
            with: None,
            is_stocked: false,
            ways: Ways::new(),
            peer: Peer::new(),
            pace: Pace::new(now),
            asked_by: None,
            clock: Clock::default(),
            correction: Correction::of(device.model.clone()),
            rtts: VecDeque::new(),
            audio: AudioClock::default(),
            delay: Delay::kept(&start.kept),
            residual: None,
            calibrator: Calibrator::default(),
            device,
            sound: Sound::Untouched,
            made_ahead: Span::ZERO,
            player: Player::default(),
            live: Live::new(start.codecs.clone()),
            pictures: None,
            sees: false,
            listens: start.listens,
            has_sounded: false,
            screens: Screens::default(),
            flicker: Flicker::default(),
            lamp: Lamp::default(),
            title: String::new(),
            lights: false,
            welcomed: None,
            refused: None,
            is_invited: false,
            uninvited: None,
            next_status: now,
            battery: None,
            delivery: None,
            seen: VecDeque::new(),
            acts: Vec::new(),
        }
    }

    /// Something happened at `now`: what to do, when to call again, what to show.
    pub fn handle(&mut self, now: MonoTime, event: Event) -> Turn {
        self.take_in(now, event);
        self.turn(now)
    }

    /// The microphone recorded this from an audio time on, as [`Act::Listen`] asked.
    pub fn handle_recording(
        &mut self,
        now: MonoTime,
        recording: &Recording,
        from: AudioTime,
    ) -> Turn {
        self.take_recording(now, recording, from);
        self.turn(now)
    }

    fn turn(&mut self, now: MonoTime) -> Turn {
        self.tick(now);
        self.has_sounded |= self.sounds(now);
        self.lamp.turn(now, self.is_lamp_wanted(now));
        let look = self.look(now);
        self.flicker.handle_shown(now, look.color);
        Turn { acts: std::mem::take(&mut self.acts), wake_ms: ms(self.next_wake(now)), look }
    }

    /// What the page shows at `now`.
    pub fn look(&self, now: MonoTime) -> Look {
        let at = self.net(now);
        let (color, is_held) = self.flicker.allowed(now, self.screens.color(at));
        let fare = self.fare(now);
        let next = self.screens.next_change(at).map(|next| now + (next - at));
        // What is held back is asked for again with every frame.
        let is_held = is_held || self.lamp.holds(self.is_lamp_wanted(now));
        let still_until = if is_held { Some(now) } else { next };
        let correction = self.correction.estimate();
        Look {
            color,
            ink: ink(color),
            text: self.screens.text(at).to_owned(),
            title: self.title.clone(),
            torch: self.lamp.is_lit(),
            wants_torch: self.lights,
            unplayable: self.player.unplayable(),
            state: self.tap().unwrap_or(fare),
            fare,
            errors: self.errors(now),
            nudge_ms: self.delay.nudge().millis_f64(),
            ear: self.ear(now),
            duet: self.calibrator.look(),
            correction_ms: correction.map(|it| it.ms),
            correction_sigma_ms: correction.map(|it| it.sigma_ms),
            still_until_ms: still_until.map(ms),
        }
    }

    fn is_lamp_wanted(&self, now: MonoTime) -> bool {
        self.role == Role::Phone && self.screens.torch(self.net(now))
    }

    /// Network time as this phone has it: the box's where it has answered, else the phone's own guess.
    pub fn net(&self, now: MonoTime) -> NetTime {
        let guess = NetTime::from_ns(now.ns()) + self.guess;
        self.clock.reading(now).map_or(guess, |reading| reading.net)
    }

    /// The clock estimate, for watchers.
    pub fn clock(&self) -> &Clock {
        &self.clock
    }

    fn take_in(&mut self, now: MonoTime, event: Event) {
        // What brings an exchange has done its share for the clock.
        if !matches!(event, Event::Heard { .. } | Event::TimeHeard { .. }) {
            self.clock.handle_pause();
        }
        match event {
            Event::Tick => {}
            Event::Opened => self.opened(now),
            Event::Closed => self.closed(now),
            Event::Heard { text, at_ms } => {
                self.heard(now, at_ms.map_or(now, |it| stamp(it, now)), &text)
            }
            Event::TimeOpened { channel } => self.ways.handle_opened(channel),
            Event::TimeClosed { channel } => self.ways.handle_closed(now, channel),
            Event::TimeHeard { channel, octets, at_ms } => {
                self.heard_time(channel, stamp(at_ms, now), &octets);
            }
            Event::PeerLink { link } => self.peer.handle_link(now, link, &mut self.chance),
            Event::LiveOpened => self.live.handle_opened(),
            Event::LiveClosed => self.live.handle_closed(),
            Event::LiveHeard { text, at_ms } => self.heard_live(now, stamp(at_ms, now), &text),
            Event::LiveUndecodable => self.live.handle_undecodable(),
            Event::LiveRefused { why } => self.live.handle_refused(why),
            Event::Pictures { seen, counts } => {
                (self.sees, self.pictures) = (seen, Some(counts));
            }
            Event::Tapped => self.sound = Sound::Running,
            Event::Woke => self.woke(now),
            Event::MediaFetched { track_id } => self.player.handle_fetched(&track_id),
            Event::MediaReady { track_id, .. } => self.player.handle_ready(&track_id),
            Event::MediaFailed { track_id } => self.player.handle_failed(&track_id, now),
            Event::MediaUndecodable { track_id } => self.player.handle_undecodable(&track_id, now),
            Event::Audio { running: false, .. } => self.audio_sleeps(),
            Event::Audio { running: true, audio_s, latency_s, output } => {
                self.audio_runs(now, audio_s, latency_s, output);
            }
            Event::Painted => self.painted(now),
            Event::Calibrated(known) => self.calibrated(now, known),
            Event::Battery { level } => self.battery = Some(level.clamp(0.0, 1.0)),
            Event::Nudged { ms } => {
                self.delay.set_nudge(ms);
                self.acts.push(Act::Keep { text: self.delay.keep() });
            }
            Event::Calibrate { microphone } => self.ask_calibration(now, microphone),
        }
    }

    fn tick(&mut self, now: MonoTime) {
        if self.boxes.poll(now, &mut self.chance) == Course::Go {
            self.let_go(now);
        }
        self.change_carrier(now);
        // A close and the next knock are all that can be due at once.
        for _ in 0..2 {
            let Some(wish) = self.link.poll(now, self.boxes.opening()) else { break };
            self.grant(now, wish);
        }
        self.correction.tick(now);
        self.know_calibration(now);
        for _ in 0..2 {
            let Some(wish) = self.ways.poll(now) else { break };
            self.acts.push(act(wish));
        }
        self.ask_if_due(now);
        if self.ways.is_mute(Channel::DataChannel) {
            self.peer.handle_mute(now);
        }
        if !self.holds_peer(now)
            && let Some(wish) = self.peer.poll(now, &mut self.chance)
        {
            self.grant_peer(now, wish);
        }
        self.play(now);
        self.live.tick(now);
        let shake = self.screens.take_shake(self.net(now));
        if let Some(length) = shake.filter(|_| self.role == Role::Phone) {
            self.acts.push(Act::Vibrate { ms: length.millis_f64() });
        }
        if let Some(wanted) = self.live.poll_wish(self.sound == Sound::Running) {
            let text = solusync::emit(&self.header(now), &Message::MediaWanted(wanted));
            self.acts.push(Act::SayLive { text });
        }
        self.watch_calibration(now);
        if self.link.is_open() && self.welcomed.is_some() && now >= self.next_status {
            self.next_status = now + STATUS_EVERY;
            self.tell(now, &Message::NodeStatus(Box::new(self.status(now))));
            self.delivery = None;
            self.stock();
        }
    }

    /// The show's tracks come first.
    fn stock(&mut self) {
        let (ready, wanted) = self.readiness();
        if !self.is_stocked && self.boxes.are_several() && ready >= wanted {
            self.is_stocked = true;
            self.acts.push(Act::Stock);
        }
    }

    fn grant(&mut self, now: MonoTime, wish: Wish) {
        match wish {
            Wish::Open => self.open(now),
            Wish::Close => {
                self.acts.push(Act::Close);
                self.closed(now);
            }
            Wish::Leave => {
                self.acts.push(Act::Close);
                self.leave(now);
            }
            Wish::Probe => self.ask(now, Channel::WebSocket),
        }
    }

    /// From the socket to a stream once datagrams are answered, and back once they are not.
    fn change_carrier(&mut self, now: MonoTime) {
        let by = Channel::WebTransport;
        if self.ways.is_answered(by) && self.carrier.wants_over(now) && self.link.is_open() {
            self.link.handle_let_go(now);
        } else if self.ways.is_mute(by) && self.carrier.is_stream() && self.link.is_open() {
            self.grant(now, Wish::Close);
        }
    }

    fn open(&mut self, now: MonoTime) {
        let url = self.boxes.url();
        let are_answered = self.ways.is_answered(Channel::WebTransport);
        let act = match self.carrier.handle_open(now, url, are_answered) {
            true => Act::OpenStream,
            false => Act::Open { url: url.to_owned() },
        };
        self.acts.push(act);
    }

    fn grant_peer(&mut self, now: MonoTime, wish: peer::Wish) {
        match wish {
            peer::Wish::Open(door) => self.acts.push(Act::OpenPeer { door }),
            peer::Wish::Restart => self.acts.push(Act::RestartPeer),
            peer::Wish::Probe => self.probe_peer(now),
            peer::Wish::Close => self.acts.push(Act::ClosePeer),
        }
    }

    /// An offer belongs to the carrier that it was told on, and that one may be about to change.
    fn holds_peer(&self, now: MonoTime) -> bool {
        let is_undecided = self.ways.is_undecided(now, Channel::WebTransport);
        self.carrier.is_on_its_way() || self.carrier.wants_over(now) && is_undecided
    }

    fn probe_peer(&mut self, now: MonoTime) {
        if self.ways.is_open(Channel::DataChannel) {
            self.ask(now, Channel::DataChannel);
        }
    }

    fn play(&mut self, now: MonoTime) {
        let both = Now { mono: now, net: self.net(now) };
        let late = self.late();
        let sync = Sync::at(now, &self.clock, &self.audio, self.made_ahead, late);
        self.player.tick(both, sync.as_ref());
        let heard = sync.map(|sync| self.player.take_heard(&sync)).unwrap_or_default();
        self.acts.extend(self.player.take_acts());
        for (order, at) in heard {
            let source = match self.role {
                Role::Phone => PlayedSource::AudioClock,
                _ => PlayedSource::Screen,
            };
            self.report(now, order, at, source);
        }
    }

    fn next_wake(&self, now: MonoTime) -> MonoTime {
        let stamps = match self.sound {
            Sound::Running if self.audio.is_waking() => Some(now + LOOK_AWAKE),
            Sound::Running if !self.audio.is_settled() => Some(now + LOOK_EARLY),
            _ => None,
        };
        let link = self.link.next_wake();
        let ask = self.ways.best().map(|_| self.pace.next());
        let status = (self.link.is_open() && self.welcomed.is_some()).then_some(self.next_status);
        let ways = self.ways.next_wake();
        let duet = self.calibrator.next_wake();
        let peer = self.peer.next_wake().filter(|_| !self.holds_peer(now));
        let clock = self.clock.is_busy().then_some(now + CLOCK_SLICE);
        let player = self.player.next_wake(now);
        let live = self.live.next_wake(now);
        let boxes = self.boxes.next_wake();
        let rest =
            [live, player, ask, ways, peer, duet, stamps, status, clock, boxes, Some(now + IDLE)];
        rest.into_iter().flatten().fold(link, MonoTime::min).max(now)
    }

    // --- the link

    fn opened(&mut self, now: MonoTime) {
        self.link.handle_opened(now);
        self.ways.handle_opened(Channel::WebSocket);
        self.pace.handle_opened(now);
        self.next_status = now + STATUS_EVERY;
        self.say_hello(now);
        self.tell_calibrated(now);
    }

    fn say_hello(&mut self, now: MonoTime) {
        let screen = match self.role {
            Role::Phone => "audio",
            Role::Screen => "projector",
            Role::Performer => "performer",
        };
        self.tell(
            now,
            &Message::Hello(Hello {
                protocol_version: solusync::PROTOCOL_VERSION.into(),
                capabilities: [screen, "screen", "clock_sync"].map(String::from).into(),
                node_type: NodeType::Client,
                auth_token: self.token.clone().filter(|_| self.shows_token()),
                device: Some(self.device.clone()).filter(|it| *it != Device::default()),
            }),
        );
    }

    fn calibrated(&mut self, now: MonoTime, known: Calibrated) {
        if self.correction.handle_calibrated(known) && self.link.is_open() {
            self.tell(
                now,
                &Message::Calibrated(self.correction.known().cloned().unwrap_or_default()),
            );
        }
    }

    fn tell_calibrated(&mut self, now: MonoTime) {
        if let Some(known) = self.correction.known().cloned() {
            self.tell(now, &Message::Calibrated(known));
        }
    }

    fn closed(&mut self, now: MonoTime) {
        if !self.link.is_away() {
            self.carrier.handle_closed(now);
            let knock = self.boxes.handle_closed(now);
            self.link.handle_closed(now, knock, &mut self.chance);
        }
        self.ways.handle_closed(now, Channel::WebSocket);
    }

    fn leave(&mut self, now: MonoTime) {
        self.carrier.handle_closed(now);
        let knock = self.boxes.handle_silent();
        self.link.handle_closed(now, knock, &mut self.chance);
        self.ways.handle_closed(now, Channel::WebSocket);
    }

    /// Another box drives.
    fn let_go(&mut self, now: MonoTime) {
        self.acts.push(Act::Close);
        self.link.handle_let_go(now);
        self.ways.handle_closed(now, Channel::WebSocket);
    }

    /// The box is this and stands among those; where it sends us on, we go.
    fn stand(&mut self, now: MonoTime, header: &Header, standing: Standing) -> Course {
        let from = header.node_id;
        let course = self.boxes.handle_standing(now, from, standing, &mut self.chance);
        self.link.handle_several(self.boxes.are_several());
        if course == Course::Go {
            self.let_go(now);
        }
        course
    }

    /// What a box says of itself while we are with it. One that takes over has to tell what plays.
    fn told_standing(&mut self, now: MonoTime, header: &Header, standing: Standing) {
        let drove = self.boxes.is_with_driver();
        self.stand(now, header, standing);
        if self.boxes.is_with_driver() && !drove {
            self.say_hello(now);
        }
    }

    fn woke(&mut self, now: MonoTime) {
        self.link.handle_woke(now);
        self.ways.handle_woke(now);
        self.pace.handle_doubt(now);
        if self.peer.handle_woke(now) {
            self.probe_peer(now);
        }
    }

    fn tell(&mut self, now: MonoTime, message: &Message) {
        let header = self.header(now);
        self.acts.push(Act::Send { text: solusync::emit(&header, message) });
    }

    fn header(&mut self, now: MonoTime) -> Header {
        self.sequence += 1;
        Header {
            id: solusync::uuid_v4(self.chance.bits()),
            timestamp: wire(self.net(now)),
            node_id: self.node,
            sequence: self.sequence,
        }
    }

    // --- what the box says

    /// Text that is no message is ignored: a box of another day may say what we do not know.
    fn heard(&mut self, now: MonoTime, at: MonoTime, text: &str) {
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
            Message::CalibrateRefused(it) => self.refuse_calibration(&it.message),
            _ => {}
        }
    }

    /// On the channel `media`.
    fn heard_live(&mut self, now: MonoTime, at: MonoTime, text: &str) {
        let Ok((header, Message::MediaData(chunk))) = solusync::parse_from_box(text) else {
            return;
        };
        let late = self.late();
        let sync = Sync::at(now, &self.clock, &self.audio, self.made_ahead, late);
        self.acts.extend(self.live.handle_chunk(at, (&header, chunk), sync.as_ref()));
    }

    fn welcome(&mut self, now: MonoTime, header: &Header, welcome: Welcome) {
        let Welcome { node_type, cluster_info, .. } = welcome;
        if self.stand(now, header, Standing { node_type, cluster_info }) == Course::Go {
            return;
        }
        self.invite_again(now, header.node_id);
        if self.with.replace(header.node_id).is_some_and(|before| before != header.node_id) {
            // What leads to the one before says nothing of this one's clock.
            self.ways.handle_closed(now, Channel::DataChannel);
            self.player.handle_other_box(now);
        }
        self.refused = None;
        self.correction.handle_welcome(now);
        let rather = welcome.webtransport.as_ref().is_some_and(|it| it.messages);
        self.carrier.handle_welcome(self.boxes.url(), rather);
        self.ways.handle_door(now, welcome.webtransport);
        self.peer.handle_door(now, welcome.signaling.map(|it| *it), &mut self.chance);
        self.title = welcome.show.title;
        self.lights = welcome.show.torch && self.role == Role::Phone;
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

    fn refused(&mut self, now: MonoTime, by: Uuid, refusal: &Refusal) {
        match refusal.code {
            RefusalCode::TooManyConnections => {
                self.refused = Some(refusal.code);
                self.link.handle_full();
            }
            RefusalCode::VersionMismatch => {
                self.refused = Some(refusal.code);
                self.link.handle_full();
            }
            RefusalCode::RateLimited => self.pace.handle_rate_limited(now),
            RefusalCode::Unauthorized | RefusalCode::Forbidden => {
                self.turned_away(now, by, refusal.code);
            }
            RefusalCode::InvalidPayload => {}
        }
    }

    /// Who showed a token that does not hold has a place in the audience, with all that belongs to it, before it is asked
    /// whether it wants that. One that no box has ever taken is not shown again.
    fn turned_away(&mut self, now: MonoTime, by: Uuid, code: RefusalCode) {
        if !self.shows_token() {
            self.refused = Some(code);
            return;
        }
        self.uninvited = Some((by, code));
        if !self.is_invited {
            self.token = None;
        }
        self.say_hello(now);
    }

    fn shows_token(&self) -> bool {
        self.token.is_some() && self.uninvited.is_none()
    }

    /// This box may know the token that another one did not.
    fn invite_again(&mut self, now: MonoTime, by: Uuid) {
        if self.shows_token() {
            self.is_invited = true;
        }
        if self.token.is_some() && self.uninvited.is_some_and(|(other, _)| other != by) {
            self.uninvited = None;
            self.say_hello(now);
        }
    }

    /// An order that was sent twice is done once.
    fn is_new(&mut self, id: Uuid, at: MonoTime) -> bool {
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
    fn took(&self, at: MonoTime, header: &Header) -> Option<Span> {
        let came = self.clock.reading(at).filter(|_| self.clock.is_settled())?.net;
        Some((came - net(header.timestamp)).max(Span::ZERO))
    }

    /// What "now" means in an order without a time.
    fn meant(&self, now: MonoTime, header: &Header) -> NetTime {
        let (ours, theirs) = (self.net(now), net(header.timestamp));
        if (ours - theirs).abs() < NOW_TOLERANCE { theirs } else { ours }
    }

    /// What began before we came is state, not an order: there is nothing to report.
    fn report_of(&self, start: NetTime) -> Report {
        match self.welcomed {
            Some(welcomed) if start >= welcomed => Report::Due,
            _ => Report::Done,
        }
    }

    // --- reports

    fn painted(&mut self, now: MonoTime) {
        let at = self.net(now);
        for order in self.screens.painted(at) {
            self.report(now, order, at, PlayedSource::Screen);
        }
    }

    fn report(&mut self, now: MonoTime, order: Uuid, at: NetTime, source: PlayedSource) {
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

    fn status(&self, now: MonoTime) -> NodeStatus {
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
            avg_rtt_ms: rtt.map(Span::millis_f64),
            packet_loss_percent: loss.map(|share| share * 100.0),
            tracks_ready: ready,
            tracks_wanted: wanted,
            buffer_ms: live.map(|it| it.size().millis_f64()),
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
    fn readiness(&self) -> (usize, usize) {
        self.player.readiness(self.sound != Sound::Untouched)
    }

    /// A screen is silent, and who was not welcomed knows of none.
    fn is_to_sound(&self) -> bool {
        self.role == Role::Phone && self.welcomed.is_some()
    }

    /// The three errors, apart; bounds are two standard deviations.
    fn errors(&self, now: MonoTime) -> SyncErrors {
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

    // --- sound

    fn sync(&self, now: MonoTime) -> Option<Sync<'_>> {
        Sync::at(now, &self.clock, &self.audio, self.made_ahead, self.late())
    }

    /// How much later than clock and sound card say one hears.
    fn late(&self) -> Span {
        self.delay.total(self.correction.estimate())
    }

    /// A calibration holds as long as sound goes the way that it went then.
    fn know_calibration(&mut self, now: MonoTime) {
        if !self.audio.is_settled() {
            return;
        }
        let residual = self.delay.residual(&self.audio);
        if residual != self.residual {
            self.residual = residual;
            self.calibrated(now, Calibrated { model: self.device.model.clone(), residual });
        }
    }

    fn audio_runs(
        &mut self,
        now: MonoTime,
        audio_s: f64,
        latency_s: Option<f64>,
        output: Option<OutputStamp>,
    ) {
        let made: AudioTime = from_secs(audio_s);
        self.sound = Sound::Running;
        self.made_ahead = Span::from_ns(made.ns().saturating_sub(now.ns()));
        self.audio.handle(&Stamp {
            at: now,
            made,
            left: output.map(|stamp| (from_secs(stamp.audio_s), from_secs(stamp.page_ms / 1e3))),
            latency: latency_s.map(Span::from_secs_f64),
        });
    }

    fn audio_sleeps(&mut self) {
        if self.sound == Sound::Running {
            self.sound = Sound::Asleep;
            self.audio.sleep();
            self.player.handle_audio_lost();
            self.live.handle_audio_lost();
        }
    }

    // --- for people

    /// The tap that it waits for.
    fn tap(&self) -> Option<State> {
        match (self.refused, self.role, self.sound) {
            (Some(RefusalCode::VersionMismatch), ..) | (_, Role::Screen | Role::Performer, _) => {
                None
            }
            (_, _, Sound::Untouched) => Some(State::TapToStart),
            (_, _, Sound::Asleep) => Some(State::TapToWake),
            (_, _, Sound::Running) => None,
        }
    }

    fn fare(&self, now: MonoTime) -> State {
        let reading = self.clock.reading(now).filter(|_| self.clock.is_settled());
        let bound_ms = reading.map(|reading| reading.bound.millis_f64());
        let (ready, of) = self.readiness();
        let of = if self.role == Role::Phone { of } else { 0 };
        let is_coming = ready + self.player.unplayable() < of;
        let doing = self.doing(now);
        let uninvited = self.uninvited.map(|(_, code)| code);
        let uninvited = uninvited.filter(|_| self.tells_refusal());
        let is_there = self.link.is_open() || self.carrier.is_on_its_way();
        match (self.refused.or(uninvited), bound_ms) {
            (Some(RefusalCode::VersionMismatch), _) => State::Outdated,
            (Some(code @ (RefusalCode::Unauthorized | RefusalCode::Forbidden)), _) => {
                State::Refused { code }
            }
            (Some(_), None) => State::Full,
            (_, Some(bound_ms)) if !is_there => State::OnOwnClock { bound_ms, doing },
            (_, None) if !is_there => State::Connecting,
            (_, None) => State::FindingTheBeat,
            _ if is_coming && doing != Doing::Playing => State::Loading { ready, of },
            (_, Some(bound_ms)) => State::InStep { bound_ms, doing },
        }
    }

    /// A tap says that its holder knows, and comes in nevertheless.
    fn tells_refusal(&self) -> bool {
        self.role != Role::Phone || self.sound == Sound::Untouched
    }

    /// What is live plays, too, though no order says so: heard, or only seen.
    fn doing(&self, now: MonoTime) -> Doing {
        match self.player.doing(self.net(now)) {
            Doing::Ready if self.hears_live(now) || self.sees => Doing::Playing,
            doing => doing,
        }
    }

    fn hears_live(&self, now: MonoTime) -> bool {
        self.live.buffer(now).is_some()
    }

    fn ear(&self, now: MonoTime) -> Ear {
        match (self.has_sounded, self.doing(now)) {
            (true, _) => Ear::Nudges,
            (false, Doing::Ready) if self.listens => Ear::Calibrates,
            _ => Ear::Closed,
        }
    }

    /// A screen is silent, whatever it plays.
    fn sounds(&self, now: MonoTime) -> bool {
        let plays = self.player.doing(self.net(now)) == Doing::Playing;
        self.role == Role::Phone && (plays || self.hears_live(now))
    }
}

/// What the page read first of all; it cannot have been later than now.
fn stamp(at_ms: f64, now: MonoTime) -> MonoTime {
    if at_ms.is_finite() { from_secs::<units::Mono>(at_ms / 1e3).min(now) } else { now }
}

fn asked_for(pace: ClockPace) -> AskedFor {
    let span = |ms: u32| Span::from_millis(i64::from(ms));
    AskedFor { always: span(pace.min_interval_ms), opening: span(pace.opening_interval_ms) }
}

fn act(wish: ways::Wish) -> Act {
    match wish {
        ways::Wish::Open(door) => Act::OpenTime { url: door.url, hashes: door.certificate_hashes },
        ways::Wish::Close => Act::CloseTime,
    }
}

fn ms(at: MonoTime) -> f64 {
    at.ns() as f64 / 1e6
}

#[cfg(test)]
mod tests;
