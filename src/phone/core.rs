//! The phone as a whole: events in, acts out, a look at any time.
//!
//! It is told the page's time with every call and never fetches it. Natively in `sim`, as WebAssembly behind
//! `door` in the page.

mod asking;
mod calibrate;
mod hearing;
mod linking;
mod showing;

use std::collections::VecDeque;

use units::{MonoTime, Span};
use uuid::Uuid;
use wire::duet::Recording;
use wire::output::Device;
use wire::solusync::{
    self, Calibrated, Estimate, Message, PictureCounts, PlayedSource, RefusalCode,
};
use wire::time::Channel;

use crate::audio::{AudioClock, Stamp};
use crate::boxes::{Boxes, Course};
use crate::carrier::Carrier;
use crate::chance::Chance;
use crate::clock::Clock;
use crate::correction::Correction;
use crate::delay::Delay;
use crate::device::device;
use crate::flicker::{Flicker, Lamp};
use crate::invitation::Invitation;
use crate::link::Link;
use crate::live::Live;
use crate::pace::Pace;
use crate::peer::Peer;
use crate::player::{Now, Player};
use crate::scale::{AudioTime, NetTime, from_secs};
use crate::screen::{Screens, ink};
use crate::told::{Act, Event, Look, OutputStamp, Role, Start, Turn};
use crate::voice::Sync;
use crate::ways::{self, Ways};
use calibrate::Calibrator;

/// What a phone decides.
#[derive(Debug, Clone)]
pub struct Core {
    role: Role,
    invitation: Invitation,
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
    /// Whether the box can listen, as far as it has said.
    calibrates: bool,
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
            invitation: Invitation::new(start.token.clone()),
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
            calibrates: true,
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
            calibrates: self.calibrates,
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
            Event::TimeOpened { channel } => self.time_opened(channel),
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
        if self.invitation.poll(now) && self.link.is_open() {
            self.say_hello(now);
        }
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
        let invited = self.invitation.next_wake();
        let rest = [
            live,
            player,
            ask,
            ways,
            peer,
            duet,
            stamps,
            status,
            clock,
            boxes,
            invited,
            Some(now + IDLE),
        ];
        rest.into_iter().flatten().fold(link, MonoTime::min).max(now)
    }

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
}

/// What the page read first of all; it cannot have been later than now.
fn stamp(at_ms: f64, now: MonoTime) -> MonoTime {
    if at_ms.is_finite() { from_secs::<units::Mono>(at_ms / 1e3).min(now) } else { now }
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
