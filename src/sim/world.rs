//! One box, its outputs and the phones in the hall, in virtual time.

use std::net::{IpAddr, Ipv4Addr};
use std::sync::Arc;

use engine::calibrate::Listening;
use engine::glance::Glance;
use engine::light::input::Inputs;
use engine::order::{Evidence, Order, Receipt};
use engine::overheard;
use engine::show::Show;
use engine::sound::Pcm;
use engine::told::{Command, Done, Effect, Input, Refusal, Request, Said, To};
use engine::{Engine, EngineStart, Why};
use units::{CommandId, PhoneId, Ppm, ShowTime, Span, TrackId, Universe};
use uuid::Uuid;
use wire::capture::{self, talk::Line};
use wire::solusync::{Calibrated, Message, NodeStatus};

use crate::acoustics::Room;
use crate::air::{Air, Aired};
use crate::card::{CardSpec, SimCard};
use crate::ear::Ear;
use crate::hall::Hall;
use crate::phone::{PhoneSpec, SimPhone};
use crate::wifi::Wifi;
use crate::{Frame, Rig};

/// What a world begins with.
#[derive(Debug, Clone, Copy)]
pub struct WorldSpec {
    /// Show time at its beginning.
    pub start: ShowTime,
    /// Seeds every chance in it.
    pub seed: u64,
}

impl Default for WorldSpec {
    /// A Saturday evening that no leap second disturbs, on the grid.
    fn default() -> Self {
        Self {
            start: ShowTime::from_ns(1_790_000_000_000_000_000).round_up(engine::light::GRID),
            seed: 7,
        }
    }
}

/// Something that happened in the world.
#[derive(Debug, Clone)]
pub enum Event {
    /// The engine gave an order.
    Ordered(Order),
    /// An order has its receipt.
    Received(Receipt),
    /// A line of the story.
    Said(Said),
    /// Phones were told something.
    Told(To, Message),
    /// From now on this is made for phones to hear live; none is silence.
    Airs(Option<engine::show::Air>),
    /// A packet of another evening's live sound left, to be heard then.
    Aired(TrackId, ShowTime),
    /// A piece of another evening's live pictures did, to be seen then.
    Shown(TrackId, capture::talk::Piece, ShowTime),
}

/// An event with its time.
#[derive(Debug, Clone)]
pub struct Story {
    /// When.
    pub at: ShowTime,
    /// What.
    pub event: Event,
}

#[derive(Debug, Clone, Copy)]
enum Next {
    Wake,
    Phone,
    Frame,
    Ear,
    Air,
}

/// What phones were told and said, as a capture.
#[derive(Debug)]
struct Tape {
    ear: overheard::Ear,
    writer: capture::Writer,
    bytes: Vec<u8>,
}

impl Tape {
    fn begin(title: String, now: ShowTime) -> Self {
        let head = capture::Head { title, began: now, universes: Vec::new() };
        let mut bytes = Vec::new();
        let writer = capture::Writer::with_talk(head, &mut bytes);
        Self { ear: overheard::Ear::new(engine::clock::TAI_UTC), writer, bytes }
    }

    fn keep(&mut self, now: ShowTime, line: impl FnOnce(&mut overheard::Ear) -> Option<Line>) {
        if let Some(line) = line(&mut self.ear) {
            self.writer.talk(now, &line, &mut self.bytes);
        }
    }
}

/// One box, its lamps, its card, its phones.
#[derive(Debug)]
pub struct World {
    engine: Engine,
    now: ShowTime,
    seed: u64,
    rig: Rig,
    inputs: Inputs,
    card: Option<SimCard>,
    hall: Hall,
    ear: Ear,
    air: Air,
    show_runs: bool,
    commands: u64,
    /// The talk with phones, where it is recorded.
    tape: Option<Tape>,
    /// Universes that changed, in order.
    pub frames: Vec<Frame>,
    /// Everything that happened, in order.
    pub story: Vec<Story>,
}

impl World {
    /// A box that has loaded the show; nothing fired.
    pub fn new(show: Arc<Show>, spec: WorldSpec) -> Self {
        let start =
            EngineStart { now: spec.start, tai_utc: engine::clock::TAI_UTC, chance: spec.seed };
        let mut world = Self {
            engine: Engine::new(show.clone(), start),
            now: spec.start,
            seed: spec.seed,
            rig: Rig::new(&show, spec.start),
            inputs: Inputs::new(&show, Uuid::nil(), [], spec.start),
            card: None,
            hall: Hall::new(show, spec.seed, spec.start),
            ear: Ear::new(spec.seed),
            air: Air::new(),
            show_runs: false,
            commands: 0,
            tape: None,
            frames: Vec::new(),
            story: Vec::new(),
        };
        world.perform();
        world
    }

    /// The box gets a card, and the files it plays, by [`engine::show::MediaId`].
    pub fn with_card(mut self, spec: CardSpec, media: Arc<[Pcm]>) -> Self {
        let card = SimCard::new(spec, media, self.now);
        self.tell(Input::SoundLead(card.lead()));
        self.card = Some(card);
        self
    }

    /// So many phones in the hall, each of its own kind, opened within the same second.
    pub fn with_phones(mut self, count: usize, wifi: Wifi) -> Self {
        for _ in 0..count {
            let seed = self.seed.wrapping_mul(1_000_003).wrapping_add(self.hall.len() as u64);
            self.enter(PhoneSpec::drawn(seed, wifi));
        }
        self
    }

    /// Somebody comes in with a phone; gives its place.
    pub fn enter(&mut self, spec: PhoneSpec) -> usize {
        self.hall.enter(spec, self.now);
        self.hall.len() - 1
    }

    /// How many phones there are.
    pub fn phones(&self) -> usize {
        self.hall.len()
    }

    /// A phone by its place, counted from 0.
    pub fn phone(&self, place: usize) -> &SimPhone {
        self.hall.phone(place)
    }

    /// Does something to a phone, now.
    pub fn touch(&mut self, place: usize, deed: impl FnOnce(&mut SimPhone, ShowTime)) {
        let now = self.now;
        self.hall.touch(place, |phone| deed(phone, now));
    }

    /// The same to every phone: `world.touch_all(SimPhone::lose_box)` pulls the box's cable.
    pub fn touch_all(&mut self, deed: impl Fn(&mut SimPhone, ShowTime)) {
        (0..self.phones()).for_each(|place| self.touch(place, &deed));
    }

    /// How a phone fares, as the box last heard it; none while it has not said.
    pub fn phone_status(&self, place: usize) -> Option<&NodeStatus> {
        self.hall.status(place)
    }

    /// What a phone found in a calibration, as the box has it; none while it has not said.
    pub fn calibrated(&self, place: usize) -> Option<&Calibrated> {
        self.hall.calibrated(place)
    }

    /// The box gets a microphone, beside its loudspeaker, in this room.
    pub fn with_microphone(mut self, room: Room, crystal: Ppm) -> Self {
        self.ear.set(room, crystal);
        self.tell(Input::Microphone { is_there: true });
        self
    }

    /// When phones asked the box the time, all of them.
    pub fn clock_questions(&self) -> &[ShowTime] {
        self.hall.questions()
    }

    /// Whether an order still waits for its receipt, and nothing else is to come.
    pub fn waits_for_receipts(&self) -> bool {
        self.engine.next_wake().is_some_and(|(_, why)| why == Why::ReceiptMissing)
    }

    /// The card, if the box has one.
    pub fn card(&mut self) -> Option<&mut SimCard> {
        self.card.as_mut()
    }

    /// Show time, now.
    pub fn now(&self) -> ShowTime {
        self.now
    }

    /// The engine's own account of itself.
    pub fn glance(&self) -> Glance {
        self.engine.glance(self.now)
    }

    /// An operator gives a command now.
    ///
    /// # Errors
    /// The engine's refusal.
    pub fn command(&mut self, command: Command) -> Result<Done, Refusal> {
        self.commands += 1;
        let id = CommandId(format!("desk-{}", self.commands));
        self.request(&Request { id, command, from: "desk".to_owned() })
    }

    /// Whether a show runs, by the engine's last word on it.
    pub fn show_runs(&self) -> bool {
        self.show_runs
    }

    /// An operator gives a command with an id of its own.
    ///
    /// # Errors
    /// The engine's refusal.
    pub fn request(&mut self, request: &Request) -> Result<Done, Refusal> {
        let answer = self.engine.command(self.now, request);
        self.perform();
        answer
    }

    /// What phones are told and say is recorded from now on.
    pub fn record_talk(&mut self) {
        self.tape = Some(Tape::begin(self.engine.show().title.clone(), self.now));
    }

    /// What was recorded, as a capture's bytes; empty where nothing was.
    pub fn take_talk(&mut self) -> Vec<u8> {
        let Some(mut tape) = self.tape.take() else { return Vec::new() };
        tape.writer.mark(self.now, &mut tape.bytes);
        tape.bytes
    }

    /// The first list's GO.
    ///
    /// # Errors
    /// The engine's refusal.
    pub fn go(&mut self) -> Result<Done, Refusal> {
        self.command(Command::Go { list: None })
    }

    /// The engine hears something now.
    pub fn tell(&mut self, input: Input) {
        let now = self.now;
        self.tape.iter_mut().for_each(|tape| tape.keep(now, |ear| ear.input(now, &input)));
        self.engine.handle(self.now, input);
        self.perform();
    }

    /// A socket says hello from outside of the hall; what it is told is in the story.
    pub fn phone_joins(&mut self, phone: PhoneId) {
        self.tell(Input::PhoneJoined { phone, way: None });
    }

    /// Time goes on by `span`.
    pub fn run(&mut self, span: Span) {
        self.run_until(self.now + span);
    }

    /// Time goes on until `end`, and everything due up to then happens.
    pub fn run_until(&mut self, end: ShowTime) {
        while let (at, next) = self.next()
            && at <= end
        {
            match next {
                Next::Wake => self.wake(at),
                Next::Phone => self.hear_phone(at),
                Next::Frame => self.frame(at),
                Next::Ear => self.hear_chirps(at),
                Next::Air => self.say_live(at),
            }
        }
        self.now = end;
        self.listen();
    }

    /// What happens next; of several at once the engine's alarm comes first.
    fn next(&self) -> (ShowTime, Next) {
        let wake = self.engine.next_wake().map(|(at, _)| (at.max(self.now), Next::Wake));
        let phone = self.hall.next().map(|at| (at.max(self.now), Next::Phone));
        let ear = self.ear.next().map(|at| (at.max(self.now), Next::Ear));
        let air = self.air.next().map(|at| (at.max(self.now), Next::Air));
        let sooner = |a: (ShowTime, Next), b: (ShowTime, Next)| if b.0 < a.0 { b } else { a };
        let frame = (self.rig.next(), Next::Frame);
        [wake, phone, ear, air, Some(frame)].into_iter().flatten().reduce(sooner).unwrap_or(frame)
    }

    /// A universe as it looks now.
    pub fn universe(&self, number: u32) -> Option<&[u8; Universe::SLOTS]> {
        self.rig.universe(Universe::new(number).ok()?)
    }

    fn wake(&mut self, at: ShowTime) {
        self.now = at;
        self.listen();
        self.tell(Input::Wake);
    }

    fn hear_phone(&mut self, at: ShowTime) {
        self.now = at;
        let news = self.hall.wake(at);
        news.into_iter().for_each(|input| self.tell(input));
    }

    /// A console sends this by sACN; it is shown from the next frame on.
    pub fn hear_sacn(&mut self, datagram: &[u8], from: IpAddr) {
        self.inputs.handle_sacn(self.now, datagram, from);
    }

    /// The same by Art-Net.
    pub fn hear_artnet(&mut self, datagram: &[u8], from: Ipv4Addr) {
        self.inputs.handle_artnet(self.now, datagram, from);
    }

    /// What has come from consoles until now.
    fn bring_in(&mut self) {
        self.inputs.tick(self.now);
        while let Some(trigger) = self.inputs.take_crossed() {
            self.tell(Input::Crossed { trigger });
        }
        self.inputs.take_table().into_iter().for_each(|table| self.rig.bring_in(table));
    }

    fn frame(&mut self, at: ShowTime) {
        self.now = at;
        self.bring_in();
        let (changed, report) = self.rig.frame();
        self.frames.extend(changed);
        self.tell(Input::LightFrame(report));
        self.listen();
    }

    /// The card plays up to now and says what began.
    fn listen(&mut self) {
        let began = self.card.as_mut().map_or_else(Vec::new, |card| card.run_until(self.now));
        began.into_iter().for_each(|input| self.tell(input));
    }

    fn perform(&mut self) {
        let now = self.now;
        while let Some(effect) = self.engine.poll() {
            self.tape.iter_mut().for_each(|tape| tape.keep(now, |ear| ear.effect(now, &effect)));
            match effect {
                Effect::Light(plan) => self.rig.play(plan),
                Effect::Sound(plan) => self.hand_to_card(plan),
                Effect::Ordered(order) => self.keep(Event::Ordered(order)),
                Effect::Received(receipt) => self.keep(Event::Received(receipt)),
                Effect::Said(said) => self.keep(Event::Said(said)),
                Effect::ShowRuns(runs) => self.show_runs = runs,
                Effect::Send { order, at, .. } => {
                    self.tell(Input::Sent { order, at, evidence: Evidence::Simulated });
                }
                // Nobody in this world has a MIDI cable; LTC is in the sound.
                Effect::Timecode(_) => {}
                Effect::Air { what, at } => {
                    let show = self.engine.show();
                    self.air.handle(show, now, what, at);
                }
                Effect::AirStays => self.air.stay(),
                Effect::Listen(listening) => self.listen_for_chirps(listening),
                Effect::Tell { to, id, message } => self.tell_phones(to, id, message),
            }
        }
    }

    /// Peer connections are not simulated: what would leave by them is in the story.
    fn say_live(&mut self, at: ShowTime) {
        self.now = at;
        let show = self.engine.show().clone();
        while let Some(aired) = self.air.poll(&show, at) {
            self.keep(match aired {
                Aired::Turn(what) => Event::Airs(what),
                Aired::Packet(track, heard) => Event::Aired(track, heard),
                Aired::Piece(track, piece, seen) => Event::Shown(track, piece, seen),
            });
        }
    }

    /// The guest hears the box's chirps; what the box hears of the guest's is known when all are over.
    fn listen_for_chirps(&mut self, listening: Listening) {
        if let Some(index) = self.hall.index_of(listening.phone) {
            let air = listening.turns.by_box.clone();
            self.hall.touch(index, |phone| phone.hear_box(air));
        }
        self.ear.listen(listening);
    }

    fn hear_chirps(&mut self, at: ShowTime) {
        self.now = at;
        let Some(listening) = self.ear.take() else { return };
        let phone = listening.phone;
        let guest = self.hall.index_of(phone).map(|index| self.hall.phone(index).chirps());
        let later = self.ear.later(&listening, guest);
        self.tell(Input::ChirpsHeard { phone, later: Ok(later) });
    }

    fn tell_phones(&mut self, to: To, id: Uuid, message: Message) {
        self.hall.tell(self.now, to, id, &message);
        self.keep(Event::Told(to, message));
    }

    /// What the card has been given up to now is past changing; from there on it plays the new plan.
    fn hand_to_card(&mut self, plan: Arc<engine::sound::Plan>) {
        if let Some(card) = &mut self.card {
            card.play(plan);
        }
    }

    fn keep(&mut self, event: Event) {
        self.story.push(Story { at: self.now, event });
    }
}
