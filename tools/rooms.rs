//! How long a word takes from one participant of a room to another, inside the box, and what it costs.
//!
//! In: how many rooms, how many messages. Out: the hops, from the call that says a word until the task of whom it is for
//! has it; processor and memory. Measured alike for the switchboard and for bare channels from task to task, which carry
//! the same words and know nothing of rooms, and beside a flood of participants who create rooms as fast as they may.
//!
//! No socket and no TLS are in this; all tasks, those that say and those that hear, run in this process.

use std::net::{IpAddr, Ipv4Addr};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use engine::phones::Limits;
use engine::rooms::{IDLE, Standing};
use io::clock::BoxClock;
use io::http::{Place, Switchboard};
use nix::sys::resource::{UsageWho, getrusage};
use tokio::sync::mpsc;
use tokio::task::JoinHandle;
use tokio::time::{Instant, sleep, sleep_until};
use units::Span;
use wire::bloom::{Event, ParticipantId, Request, parse_event};

use crate::mono_now;

/// Of a room.
pub const PEOPLE: usize = 8;

/// As many octets as a browser's description of a data channel and a track has; one message of five is one.
const DESCRIPTION: usize = 2_000;
const CANDIDATE: usize = 120;

/// What is asked of the rooms.
#[derive(Debug, Clone, Copy)]
pub struct Load {
    /// Rooms of eight.
    pub rooms: usize,
    /// Of a room, in a second.
    pub messages_per_second: f64,
    /// How long.
    pub lasts: Duration,
    /// Participants who do nothing but create and leave rooms, from one address.
    pub flooders: usize,
}

/// What came of it.
#[derive(Debug, Clone)]
pub struct Figures {
    /// Words that were said.
    pub said: u64,
    /// Hops, sorted.
    pub hops: Vec<Span>,
    /// Of all tasks together, while it lasted.
    pub processor: Duration,
    /// How much the process grew from nobody to everybody in their rooms, in octets.
    pub grew: u64,
    /// Messages of the flood.
    pub flood: u64,
}

impl Figures {
    /// The hop that this share of all does not exceed.
    ///
    /// # Panics
    /// Where nothing was heard.
    pub fn hop(&self, share: f64) -> Span {
        let last = self.hops.len().checked_sub(1).expect("something was heard");
        self.hops[(last as f64 * share).round() as usize]
    }
}

/// Through the rooms of a box.
pub async fn through_rooms(load: Load) -> Figures {
    let limits = Limits { signalling_per_address: 64, ..Limits::default() };
    let board = Arc::new(Switchboard::new(BoxClock::free(), &limits, IDLE, None));
    let before = resident();
    let mut people = Vec::new();
    for _ in 0..load.rooms {
        people.extend(room(&board).await.into_iter().map(Mouth::Rooms));
    }
    let flood = Flood::begin(&board, load.flooders);
    let mut figures = talk(people, load, before).await;
    figures.flood = flood.end().await;
    figures
}

/// From task to task by channels.
pub async fn through_channels(load: Load) -> Figures {
    let before = resident();
    let mut people = Vec::new();
    for _ in 0..load.rooms {
        let ends: Vec<_> = (0..PEOPLE).map(|_| mpsc::channel(256)).collect();
        let mouths: Vec<_> = ends.iter().map(|(mouth, _)| mouth.clone()).collect();
        let person = |ear| Mouth::Channels { others: mouths.clone(), ear };
        people.extend(ends.into_iter().map(|(_, ear)| person(ear)));
    }
    talk(people, load, before).await
}

/// Eight in a room, with nothing left to hear.
async fn room(board: &Arc<Switchboard>) -> Vec<InRoom> {
    let mut places: Vec<(Place, ParticipantId)> = (0..PEOPLE).map(|_| enter(board, None)).collect();
    places[0].0.say(&Request::CreateRoom {}.emit());
    let Event::RoomCreated { room_id, .. } = next(&mut places[0].0).await else {
        panic!("the room was made")
    };
    for (place, _) in &mut places[1..] {
        place.say(&Request::JoinRoom { room_id: room_id.to_string() }.emit());
    }
    let ids: Vec<String> = places.iter().map(|(_, id)| id.to_string()).collect();
    for (place, _) in &mut places {
        // The list in which all are is the last word.
        while !matches!(next(place).await, Event::RoomParticipants { participants, .. } if participants.len() == PEOPLE)
        {
        }
    }
    places.into_iter().map(|(place, _)| InRoom { place, others: ids.clone() }).collect()
}

fn enter(board: &Arc<Switchboard>, from: Option<IpAddr>) -> (Place, ParticipantId) {
    let id = ParticipantId::from_chance(io::chance::bits());
    (board.enter(id, from, Standing::Full).expect("there is a place"), id)
}

async fn next(place: &mut Place) -> Event {
    let text = place.next().await.expect("it keeps up");
    parse_event(&text).expect("the box speaks Bloom")
}

struct InRoom {
    place: Place,
    others: Vec<String>,
}

/// By what way somebody speaks and hears.
enum Mouth {
    Rooms(InRoom),
    Channels { others: Vec<mpsc::Sender<String>>, ear: mpsc::Receiver<String> },
}

impl Mouth {
    fn say(&mut self, to: usize, nth: u64) {
        match self {
            Self::Rooms(it) => {
                let text = message(&it.others[to], nth);
                it.place.say(&text);
            }
            Self::Channels { others, .. } => {
                others[to].try_send(message("", nth)).expect("it keeps up");
            }
        }
    }

    /// How long the next word was on its way.
    async fn hop(&mut self) -> Span {
        loop {
            let text: Box<dyn std::ops::Deref<Target = str> + Send> = match self {
                Self::Rooms(it) => Box::new(it.place.next().await.expect("it keeps up")),
                Self::Channels { ear, .. } => Box::new(ear.recv().await.expect("somebody speaks")),
            };
            // Who comes and goes says nothing of when.
            if let Some(said) = text.split('#').nth(1) {
                let said = said.parse().expect("when it was said");
                return mono_now() - units::MonoTime::from_ns(said);
            }
        }
    }
}

/// With the time in it.
fn message(to: &str, nth: u64) -> String {
    let (to, now) = (to.to_owned(), mono_now().ns());
    let filled = |length| format!("#{now}#{}", "x".repeat(length));
    if nth.is_multiple_of(5) {
        return Request::Offer { to, sdp: filled(DESCRIPTION) }.emit();
    }
    Request::IceCandidate { to, candidate: filled(CANDIDATE) }.emit()
}

/// Everybody in a task of their own, each speaking to the others by turns.
async fn talk(people: Vec<Mouth>, load: Load, before: u64) -> Figures {
    let grew = resident().saturating_sub(before);
    let talk = Arc::new(Talk {
        begin: Instant::now() + Duration::from_millis(200),
        every: Duration::from_secs_f64(PEOPLE as f64 / load.messages_per_second),
        lasts: load.lasts,
        people: people.len(),
        said: AtomicU64::new(0),
        hops: Mutex::default(),
    });
    let spent = processor();
    let tasks: Vec<JoinHandle<()>> = people
        .into_iter()
        .enumerate()
        .map(|(nth, mouth)| tokio::spawn(talk.clone().take_part(nth, mouth)))
        .collect();
    sleep_until(talk.begin + load.lasts + talk.every).await;
    talk.all_heard().await;
    let processor = processor() - spent;
    for task in tasks {
        task.abort();
    }
    let said = talk.said.load(Ordering::Relaxed);
    let mut hops = std::mem::take(&mut *talk.hops.lock().expect("nobody panics"));
    hops.sort_unstable();
    Figures { said, hops, processor, grew, flood: 0 }
}

struct Talk {
    begin: Instant,
    every: Duration,
    lasts: Duration,
    people: usize,
    said: AtomicU64,
    hops: Mutex<Vec<Span>>,
}

impl Talk {
    async fn take_part(self: Arc<Self>, nth: usize, mut mouth: Mouth) {
        // Spread evenly, so that what is measured is no burst of our own.
        let mut when = self.begin + self.every.mul_f64(nth as f64 / self.people as f64);
        let (mut turn, mut hops) = (0, Vec::new());
        loop {
            let speaks = when < self.begin + self.lasts;
            // Before it waits, or the last ones would wait with it.
            if !speaks || hops.len() >= 16 {
                self.hops.lock().expect("nobody panics").append(&mut hops);
            }
            tokio::select! {
                hop = mouth.hop() => hops.push(hop),
                () = sleep_until(when), if speaks => {
                    mouth.say((nth + 1 + turn % (PEOPLE - 1)) % PEOPLE, turn as u64 + nth as u64);
                    self.said.fetch_add(1, Ordering::Relaxed);
                    (turn, when) = (turn + 1, when + self.every);
                }
            }
        }
    }

    /// Until nothing comes any more.
    async fn all_heard(&self) {
        let mut before = usize::MAX;
        loop {
            let heard = self.hops.lock().expect("nobody panics").len();
            if heard as u64 >= self.said.load(Ordering::Relaxed) || heard == before {
                return;
            }
            before = heard;
            sleep(Duration::from_secs(1)).await;
        }
    }
}

/// Who creates rooms as fast as the box reads.
struct Flood {
    over: Arc<AtomicBool>,
    tasks: Vec<JoinHandle<u64>>,
}

impl Flood {
    fn begin(board: &Arc<Switchboard>, flooders: usize) -> Self {
        let over = Arc::new(AtomicBool::new(false));
        let from = Some(IpAddr::V4(Ipv4Addr::new(192, 0, 2, 66)));
        let places = (0..flooders).map(|_| enter(board, from).0);
        let tasks = places.map(|place| tokio::spawn(flood(place, over.clone()))).collect();
        Self { over, tasks }
    }

    async fn end(self) -> u64 {
        self.over.store(true, Ordering::Relaxed);
        let mut said = 0;
        for task in self.tasks {
            said += task.await.expect("it ends when it is told to");
        }
        said
    }
}

async fn flood(mut place: Place, over: Arc<AtomicBool>) -> u64 {
    let (create, leave) = (Request::CreateRoom {}.emit(), Request::LeaveRoom {}.emit());
    let mut said = 0;
    while !over.load(Ordering::Relaxed) {
        place.say(&create);
        place.say(&leave);
        said += 2;
        // It reads what it is told, or it would lose its place.
        while let Ok(Some(_)) = tokio::time::timeout(Duration::ZERO, place.next()).await {}
        tokio::task::yield_now().await;
    }
    said
}

/// User and system time of this process.
fn processor() -> Duration {
    let usage = getrusage(UsageWho::RUSAGE_SELF).expect("a process may ask about itself");
    let span = |it: nix::sys::time::TimeVal| {
        Duration::from_micros((it.tv_sec() * 1_000_000 + it.tv_usec()).unsigned_abs())
    };
    span(usage.user_time()) + span(usage.system_time())
}

/// Octets of memory that this process has, as the kernel counts pages.
fn resident() -> u64 {
    let text = std::fs::read_to_string("/proc/self/statm").unwrap_or_default();
    let pages: u64 = text.split(' ').nth(1).and_then(|it| it.parse().ok()).unwrap_or(0);
    pages * 4096
}
