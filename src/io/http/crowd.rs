//! Everybody on `/ws`: who has a seat, and how a word reaches all of them.
//!
//! A message is written as JSON and framed once, and one thread sends these octets to everybody, a call each: no task
//! wakes for them, and nothing that tasks are busy with stands before them. Who cannot take them has a short queue; one
//! whose queue is full cannot keep up and loses its seat, and nobody else notices.

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::ops::Bound::{self, Excluded, Unbounded};
use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;
use std::{io, thread};

use engine::pace::HousePace;
use engine::phones::{Doorkeeper, Limits, TooMany};
use engine::reception::Reception;
use engine::told::To;
use engine::turned_away::{TurnedAway, TurnedAwayGlance};
use engine::weather::Weather;
use serde::Serialize;
use units::{PhoneId, ShowTime, Span, WireTime};
use uuid::Uuid;
use wire::solusync::{
    self, ClockCorrection, Estimate, Header, Message, NodeStatus, Refusal, RefusalCode, Standing,
};
use wire::time::Channel;
use wire::token::Role;

use super::Peer;
use super::outbox::{Hearer, Inbox, Outbox, Waiting, Word, queue};
use crate::chance;
use crate::clock::BoxClock;

/// The busiest cue is a handful of messages, so this is seconds of not reading.
const WAITING: Waiting = Waiting { words: 64, octets: 4 << 20 };

/// Hearers that are taken from their map before they are told, so that they are still near when they are.
const AT_A_TIME: usize = 16;

/// Everybody on `/ws`.
#[derive(Debug)]
pub struct Crowd {
    hall: Arc<Hall>,
    words: Sender<(To, Uuid, Message)>,
}

/// What the crowd and the thread that speaks to it share.
#[derive(Debug)]
struct Hall {
    node: Uuid,
    standing: Mutex<Standing>,
    clock: BoxClock,
    tai_utc: Span,
    sequence: AtomicU64,
    phones: AtomicU64,
    seats: Mutex<BTreeMap<PhoneId, Seat>>,
    /// Those of them who have said `hello`. Whoever holds the seats may take these, too, never the other way round.
    hearers: Mutex<BTreeMap<PhoneId, Hearer>>,
    door: Mutex<Doorkeeper>,
    turned_away: Mutex<TurnedAway>,
    reception: Mutex<Reception>,
    pace: Mutex<HousePace>,
    attending: AtomicU64,
    counts: Counts,
}

/// What metrics tell.
#[derive(Debug, Default)]
pub(super) struct Counts {
    pub said: AtomicU64,
    pub clock_syncs: AtomicU64,
    /// The same over WebTransport, and how much earlier than the program the kernel had them, in sum.
    pub time_datagrams: AtomicU64,
    pub time_datagrams_lead_ns: AtomicU64,
    pub time_datagrams_unanswered: AtomicU64,
    /// The same on data channels.
    pub time_channels: AtomicU64,
    pub too_slow: AtomicU64,
    pub refused: [AtomicU64; 6],
}

#[derive(Debug)]
struct Seat {
    outbox: Outbox,
    peer: Peer,
    carrier: CarrierKind,
    since: ShowTime,
    greeted: bool,
    role: Role,
    name: Option<Box<str>>,
    heard: Pulse,
    status: Option<(ShowTime, NodeStatus)>,
    /// When it last asked the time, and how.
    asked: Option<(ShowTime, Channel)>,
    /// What it was told last.
    correction: Option<Estimate>,
}

/// A socket's own end of its seat, which [`Crowd::leave`] takes away.
#[derive(Debug)]
pub(super) struct Ticket {
    pub phone: PhoneId,
    pub inbox: Inbox,
    pub heard: Pulse,
}

/// When a socket was heard last; noted with every frame, so nobody waits for the seats.
#[derive(Debug, Clone)]
pub(super) struct Pulse(Arc<AtomicI64>);

impl Pulse {
    fn new(at: ShowTime) -> Self {
        Self(Arc::new(AtomicI64::new(at.ns())))
    }

    pub fn note(&self, at: ShowTime) {
        self.0.store(at.ns(), Ordering::Relaxed);
    }

    fn at(&self) -> ShowTime {
        ShowTime::from_ns(self.0.load(Ordering::Relaxed))
    }
}

/// What carries a phone's messages.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum CarrierKind {
    /// `/ws`.
    WebSocket,
    /// A stream of a WebTransport session.
    Quic,
}

/// A socket, for `phones`.
#[derive(Debug, Clone, Serialize)]
pub struct PhoneGlance {
    /// Counts up over a run of the box.
    pub id: PhoneId,
    /// Where it comes from; none on the control socket.
    pub address: Option<String>,
    /// Seconds since it came.
    pub connected_s: f64,
    /// Whether it has said `hello`.
    pub hello: bool,
    /// What its token made of it; whoever showed none is audience.
    pub role: Role,
    /// Whom its token names; none if it names nobody.
    pub name: Option<Box<str>>,
    /// What it last said of itself; none if it has not.
    pub status: Option<NodeStatus>,
    /// Seconds since anything was heard of it, by any way.
    pub heard_s: f64,
    /// Seconds since it said so.
    pub status_age_s: Option<f64>,
    /// How it last asked the time; none if it has not.
    pub clock_channel: Option<Channel>,
    /// What carries its messages.
    pub carrier: CarrierKind,
    /// Seconds since it asked.
    pub clock_age_s: Option<f64>,
    /// How much sooner it was told to sound; none where there is no ground.
    pub correction_ms: Option<f64>,
    /// One standard deviation of that.
    pub correction_sigma_ms: Option<f64>,
}

impl Crowd {
    /// Nobody yet, and the thread that will speak to them; it ends with the crowd.
    ///
    /// # Errors
    /// Where the system gives no thread.
    pub fn new(node: Uuid, clock: BoxClock, tai_utc: Span, limits: &Limits) -> io::Result<Self> {
        let hall = Arc::new(Hall {
            node,
            standing: Mutex::new(Standing::alone(node)),
            clock,
            tai_utc,
            sequence: AtomicU64::new(0),
            phones: AtomicU64::new(0),
            seats: Mutex::default(),
            hearers: Mutex::default(),
            door: Mutex::new(Doorkeeper::new(limits.connections_per_address)),
            turned_away: Mutex::new(TurnedAway::new(limits.connections_per_address)),
            reception: Mutex::new(Reception::new(limits.connections_per_address)),
            pace: Mutex::new(HousePace::new(limits.clock_syncs_total_per_second)),
            attending: AtomicU64::new(0),
            counts: Counts::default(),
        });
        let (words, spoken) = channel();
        let speaks = hall.clone();
        thread::Builder::new().name("crowd".into()).spawn(move || speaks.speak(&spoken))?;
        Ok(Self { hall, words })
    }

    /// What this box is from now on, and among which; phones that are here are told so, and those who come in `hello`.
    pub fn set_standing(&self, standing: Standing) {
        let before = std::mem::replace(&mut *self.hall.standing(), standing.clone());
        if before != standing {
            self.tell(To::All, chance::uuid(), Message::Standing(standing));
        }
    }

    /// What this box is, and among which.
    pub(super) fn standing(&self) -> Standing {
        self.hall.standing().clone()
    }

    /// Tells phones something, after all that was told before; `id` is the message's own. Never waits.
    pub fn tell(&self, to: To, id: Uuid, message: Message) {
        // A thread that is gone has nobody left to tell.
        let _ = self.words.send((to, id, message));
    }

    /// Phones that have said hello and have every track, by their own last word.
    pub fn ready(&self) -> usize {
        let has_all = |seat: &&Seat| {
            let status = seat.status.as_ref().map(|(_, status)| status);
            let counts = status.and_then(|it| Some((it.tracks_ready?, it.tracks_wanted?)));
            seat.greeted && counts.is_some_and(|(ready, wanted)| ready >= wanted)
        };
        self.hall.seats().values().filter(has_all).count()
    }

    /// Says to every phone how this box fares (SX-12).
    pub fn tell_status(&self, cpu_usage: Option<f64>, memory_usage: Option<f64>) {
        let status = NodeStatus {
            connected_clients: Some(self.greeted() as u64),
            cpu_usage,
            memory_usage,
            ..NodeStatus::of(self.hall.standing().node_type)
        };
        let status = self.weather().told_in(status);
        self.tell(To::All, chance::uuid(), Message::NodeStatus(Box::new(status)));
        let pace = self.hall.pace().poll(self.hall.clock.now(), self.greeted(), cpu_usage);
        if let Some(pace) = pace {
            self.tell(To::All, chance::uuid(), Message::ClockPace(pace));
        }
    }

    fn weather(&self) -> Weather {
        let seats = self.hall.seats();
        Weather::of(seats.values().filter_map(|seat| Some(&seat.status.as_ref()?.1)))
    }

    /// A message as this box says it to one phone at once.
    pub(super) fn text(&self, message: &Message) -> Word {
        self.hall.text(chance::uuid(), message)
    }

    pub(super) fn refusal(&self, refusal: Refusal) -> Word {
        self.hall.counts.refused[index(refusal.code)].fetch_add(1, Ordering::Relaxed);
        self.text(&Message::Error(refusal))
    }

    /// How often each code was said since the box began.
    pub(super) fn refused(&self) -> BTreeMap<&'static str, u64> {
        let counts = CODES.iter().zip(&self.hall.counts.refused);
        counts.map(|((_, word), count)| (*word, count.load(Ordering::Relaxed))).collect()
    }

    pub(super) fn wire_now(&self) -> WireTime {
        self.hall.wire_now()
    }

    /// A seat for a new socket, or the refusal it is to hear.
    pub(super) fn enter(&self, peer: Peer, carrier: CarrierKind) -> Result<Ticket, Refusal> {
        if let Some(address) = peer.address() {
            let entered = self.hall.door().enter(address);
            entered.map_err(|full| self.hall.turn_away(address, full))?;
        }
        let phone = PhoneId(self.hall.phones.fetch_add(1, Ordering::Relaxed) + 1);
        let (outbox, inbox) = queue(WAITING);
        let since = self.hall.clock.now();
        let heard = Pulse::new(since);
        let seat = Seat {
            outbox,
            peer,
            carrier,
            since,
            heard: heard.clone(),
            greeted: false,
            role: Role::Audience,
            name: None,
            status: None,
            correction: None,
            asked: None,
        };
        self.hall.seats().insert(phone, seat);
        self.hall.attending.fetch_add(1, Ordering::Relaxed);
        Ok(Ticket { phone, inbox, heard })
    }

    /// Who is turned away just now, having too many sockets; none where nobody is.
    pub(super) fn turned_away(&self) -> Option<TurnedAwayGlance> {
        self.hall.turned_away().glance(self.hall.clock.now())
    }

    /// How long an address has to wait until it may queue up for an answer to its `hello`.
    pub(super) fn knock(&self, from: IpAddr) -> Duration {
        let now = self.hall.clock.mono_now();
        (self.hall.reception().handle_knock(now, from) - now).to_std()
    }

    /// How long the queue is.
    pub(super) fn queue_up(&self) -> Duration {
        let now = self.hall.clock.mono_now();
        (self.hall.reception().handle_queued(now) - now).to_std()
    }

    /// From now on it hears what all hear, and first how often it may ask the time.
    pub(super) fn greet(&self, phone: PhoneId, role: Role, name: &str) {
        if let Some(seat) = self.hall.seats().get_mut(&phone) {
            (seat.role, seat.name) = (role, (!name.is_empty()).then(|| name.into()));
            seat.greeted = true;
            self.hall.hearers().insert(phone, seat.outbox.hearer());
        }
        let told = self.hall.pace().handle_joined(self.hall.clock.now(), phone, self.greeted());
        if let Some((to, pace)) = told {
            self.tell(to, chance::uuid(), Message::ClockPace(pace));
        }
    }

    pub(super) fn note_status(&self, phone: PhoneId, status: &NodeStatus) {
        let now = self.hall.clock.now();
        if let Some(seat) = self.hall.seats().get_mut(&phone) {
            seat.status = Some((now, status.clone()));
        }
    }

    /// A phone asked the time. Anybody may call themselves any phone on `/sync`, so only one from the phone's own
    /// address is believed; this is for people to look at.
    pub(super) fn note_asked(&self, phone: PhoneId, channel: Channel, from: Option<IpAddr>) {
        let now = self.hall.clock.now();
        if let Some(seat) =
            self.hall.seats().get_mut(&phone).filter(|seat| seat.peer.address() == from)
        {
            seat.asked = Some((now, channel));
        }
    }

    /// The same on a peer connection, which the phone itself has offered, from whatever address.
    pub(super) fn note_asked_on_connection(&self, phone: PhoneId) {
        self.hall.counts.time_channels.fetch_add(1, Ordering::Relaxed);
        let now = self.hall.clock.now();
        if let Some(seat) = self.hall.seats().get_mut(&phone) {
            seat.asked = Some((now, Channel::DataChannel));
        }
    }

    /// Whether the phone of that seat was welcomed, and that is its address.
    pub(super) fn is_welcome(&self, phone: PhoneId, from: Option<IpAddr>) -> bool {
        let seats = self.hall.seats();
        seats.get(&phone).is_some_and(|seat| seat.greeted && seat.peer.address() == from)
    }

    pub(super) fn leave(&self, phone: PhoneId, peer: Peer) {
        self.hall.take_away(phone);
        if let Some(address) = peer.address() {
            self.hall.door().leave(address);
        }
    }

    /// The socket's task has said goodbye.
    pub(super) fn left(&self) {
        self.hall.attending.fetch_sub(1, Ordering::Relaxed);
    }

    /// Takes every seat away; each socket says goodbye by itself.
    pub(super) fn send_home(&self) {
        let phones: Vec<PhoneId> = self.hall.seats().keys().copied().collect();
        phones.into_iter().for_each(|phone| self.hall.take_away(phone));
    }

    /// Sockets whose tasks have not ended.
    pub(super) fn attending(&self) -> u64 {
        self.hall.attending.load(Ordering::Relaxed)
    }

    pub(super) fn counts(&self) -> &Counts {
        &self.hall.counts
    }

    /// Sockets that are open.
    pub fn sockets(&self) -> usize {
        self.hall.seats().len()
    }

    /// Phones that have said `hello`.
    pub fn greeted(&self) -> usize {
        self.hall.hearers().len()
    }

    /// Every socket, in the order of coming.
    pub fn glance(&self) -> Vec<PhoneGlance> {
        let now = self.hall.clock.now();
        self.hall.seats().iter().map(|(&id, seat)| seat.glance(id, now)).collect()
    }
}

impl Hall {
    /// For as long as there is a crowd.
    fn speak(&self, words: &Receiver<(To, Uuid, Message)>) {
        for (to, id, message) in words {
            let word = self.text(id, &message);
            match to {
                To::All => self.tell_greeted(&word),
                To::One(phone) => self.tell_one(phone, &word),
            }
            if let (To::One(phone), Message::ClockCorrection(ClockCorrection(it))) = (to, message) {
                self.note_correction(phone, it);
            }
        }
    }

    /// Nobody is kept from coming or going meanwhile, for long.
    fn tell_greeted(&self, word: &Word) {
        let mut few = Vec::with_capacity(AT_A_TIME);
        let mut after = Unbounded;
        loop {
            self.next_hearers(after, &mut few);
            let Some((last, _)) = few.last() else { return };
            after = Excluded(*last);
            for (phone, hearer) in few.drain(..) {
                self.offer(phone, &hearer, word);
            }
        }
    }

    fn next_hearers(&self, after: Bound<PhoneId>, few: &mut Vec<(PhoneId, Hearer)>) {
        let hearers = self.hearers();
        let next = hearers.range((after, Unbounded)).take(AT_A_TIME);
        few.extend(next.map(|(&phone, hearer)| (phone, hearer.clone())));
    }

    fn tell_one(&self, phone: PhoneId, word: &Word) {
        let hearer = self.seats().get(&phone).map(|seat| seat.outbox.hearer());
        if let Some(hearer) = hearer {
            self.offer(phone, &hearer, word);
        }
    }

    fn offer(&self, phone: PhoneId, hearer: &Hearer, word: &Word) {
        if !hearer.offer(word) {
            self.counts.too_slow.fetch_add(1, Ordering::Relaxed);
            self.take_away(phone);
        }
    }

    fn take_away(&self, phone: PhoneId) {
        let mut seats = self.seats();
        self.hearers().remove(&phone);
        let seat = seats.remove(&phone);
        drop(seats);
        drop(seat);
    }

    /// Said in the log when it begins, not for each.
    fn turn_away(&self, address: IpAddr, full: TooMany) -> Refusal {
        if self.turned_away().handle_turned_away(self.clock.now(), address) {
            tracing::warn!(
                %address,
                "phones are turned away, {full}: raise `connections_per_address` under [limits] of box.toml"
            );
        }
        Refusal { code: RefusalCode::TooManyConnections, message: full.to_string() }
    }

    fn note_correction(&self, phone: PhoneId, correction: Option<Estimate>) {
        if let Some(seat) = self.seats().get_mut(&phone) {
            seat.correction = correction;
        }
    }

    /// A message as this box says it: the header is made here, at the edge.
    fn text(&self, id: Uuid, message: &Message) -> Word {
        let header = Header {
            id,
            timestamp: self.wire_now(),
            node_id: self.node,
            sequence: self.sequence.fetch_add(1, Ordering::Relaxed) + 1,
        };
        self.counts.said.fetch_add(1, Ordering::Relaxed);
        solusync::emit(&header, message).into()
    }

    fn wire_now(&self) -> WireTime {
        WireTime::from_show(self.clock.now(), self.tai_utc)
    }

    fn standing(&self) -> MutexGuard<'_, Standing> {
        self.standing.lock().expect("nobody panics over what the box is")
    }

    fn seats(&self) -> MutexGuard<'_, BTreeMap<PhoneId, Seat>> {
        self.seats.lock().expect("nobody panics while holding the seats")
    }

    fn hearers(&self) -> MutexGuard<'_, BTreeMap<PhoneId, Hearer>> {
        self.hearers.lock().expect("nobody panics while holding the hearers")
    }

    fn reception(&self) -> MutexGuard<'_, Reception> {
        self.reception.lock().expect("nobody panics at the reception")
    }

    fn pace(&self) -> MutexGuard<'_, HousePace> {
        self.pace.lock().expect("nobody panics over the pace")
    }

    fn turned_away(&self) -> MutexGuard<'_, TurnedAway> {
        self.turned_away.lock().expect("nobody panics over who is turned away")
    }

    fn door(&self) -> MutexGuard<'_, Doorkeeper> {
        self.door.lock().expect("nobody panics at the door")
    }
}

impl Seat {
    fn glance(&self, id: PhoneId, now: ShowTime) -> PhoneGlance {
        // The time is asked by other ways, too.
        let heard = self.asked.map_or(self.heard.at(), |(asked, _)| self.heard.at().max(asked));
        PhoneGlance {
            id,
            address: self.peer.address().map(|address| address.to_string()),
            connected_s: (now - self.since).secs_f64(),
            hello: self.greeted,
            role: self.role,
            name: self.name.clone(),
            status: self.status.as_ref().map(|(_, status)| status.clone()),
            correction_ms: self.correction.map(|it| it.ms),
            correction_sigma_ms: self.correction.map(|it| it.sigma_ms),
            heard_s: (now - heard).secs_f64().max(0.0),
            status_age_s: self.status.as_ref().map(|(said, _)| (now - *said).secs_f64()),
            clock_channel: self.asked.map(|(_, channel)| channel),
            carrier: self.carrier,
            clock_age_s: self.asked.map(|(asked, _)| (now - asked).secs_f64()),
        }
    }
}

/// Every code, in the order in which they are counted.
pub(super) const CODES: [(RefusalCode, &str); 6] = [
    (RefusalCode::Unauthorized, "unauthorized"),
    (RefusalCode::Forbidden, "forbidden"),
    (RefusalCode::RateLimited, "rate_limited"),
    (RefusalCode::InvalidPayload, "invalid_payload"),
    (RefusalCode::VersionMismatch, "version_mismatch"),
    (RefusalCode::TooManyConnections, "too_many_connections"),
];

fn index(code: RefusalCode) -> usize {
    CODES.iter().position(|(it, _)| *it == code).expect("every code is in the table")
}
