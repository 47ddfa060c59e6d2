//! Bloom, line by line: participants take turns to say what stands there, and the rooms keep their bounds.
//!
//! What is understood survives the way there and back. `ROOM`, and the digits `0` to `5` as a whole `to`, stand for
//! what only the rooms know: the room that was made last, and the participants. A line `+2000` lets that many
//! milliseconds go by, `-` has the next participant go and come again.

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;

use engine::rooms::{Hearers, IDLE, Most, Rooms, Session, Standing};
use units::{MonoTime, Span};
use wire::bloom::{Event, ParticipantId, Request, RoomId, parse_event, parse_request};

use super::Target;

/// The target.
pub const TARGET: Target = Target { name: "bloom", folders: &["bloom"], run };

/// More lines only take longer.
const LINES_MAX: usize = 300;

const PEOPLE: usize = 6;

/// Small, so that a few lines meet every bound.
pub const MOST: Most = Most { sockets: 8, rooms: 4, rooms_per_address: 2 };

fn run(bytes: &[u8]) {
    let text = String::from_utf8_lossy(bytes);
    survives_the_way(&text);
    let mut foyer = Foyer::new(PEOPLE);
    for (turn, line) in text.lines().take(LINES_MAX).enumerate() {
        foyer.line(turn % PEOPLE, line);
    }
    foyer.ends();
}

fn survives_the_way(text: &str) {
    for line in text.lines().chain([text]) {
        if let Ok(request) = parse_request(line) {
            assert_eq!(parse_request(&request.emit()).expect("our own words"), request);
            assert!(parse_event(line).is_err(), "nothing is said by both");
        }
        if let Ok(event) = parse_event(line) {
            assert_eq!(parse_event(&event.emit()).expect("our own words"), event);
        }
    }
}

/// Rooms and people with sockets, each of whom believes what is said.
pub struct Foyer {
    most: Most,
    /// The rooms.
    pub rooms: Rooms,
    /// What time it is.
    pub now: MonoTime,
    /// Everybody who has come.
    pub people: Vec<Person>,
    /// The room that was made last.
    pub made: Option<RoomId>,
    chance: u128,
}

/// Somebody at a socket.
pub struct Person {
    /// Who it is.
    pub id: ParticipantId,
    /// Where it comes from.
    pub from: IpAddr,
    session: Session,
    /// Whom it believes to be in its room: the first list after it joined, and from then on `PeerConnected` and
    /// `PeerDisconnected` alone.
    believed: BTreeSet<ParticipantId>,
    awaits_list: bool,
    /// Everything it has heard and nobody asked for yet.
    pub heard: Vec<Event>,
}

impl Foyer {
    /// So many have come, from three addresses by turns.
    pub fn new(people: usize) -> Self {
        Self::with(MOST, people)
    }

    /// With bounds of one's own.
    pub fn with(most: Most, people: usize) -> Self {
        let (rooms, now) = (Rooms::new(most, IDLE), MonoTime::from_ns(1_000_000_000));
        let mut foyer = Self { most, rooms, now, people: Vec::new(), made: None, chance: 0 };
        for nth in 0..people {
            let person = foyer.come(nth);
            foyer.people.push(person);
        }
        foyer
    }

    /// A new socket in the place of the nth.
    fn come(&mut self, nth: usize) -> Person {
        let (id, from) = (ParticipantId::from_chance(self.chance()), address(nth % 3));
        let entered = self.rooms.enter(self.now, id, Some(from), Standing::Full);
        entered.expect("there is a place for all");
        let (session, believed) = (Session::default(), BTreeSet::new());
        Person { id, from, session, believed, awaits_list: false, heard: Vec::new() }
    }

    fn chance(&mut self) -> u128 {
        self.chance += 1;
        self.chance << 96
    }

    fn line(&mut self, who: usize, line: &str) {
        match line.split_at_checked(1) {
            Some(("+", ms)) => {
                self.wait(Span::from_millis(ms.parse().unwrap_or(0).clamp(0, 90_000)))
            }
            Some(("-", _)) => self.go_and_come(who),
            _ => self.say(who, &self.filled_in(line)),
        }
        self.holds();
    }

    fn filled_in(&self, line: &str) -> String {
        let made = self.made.map(|it| it.to_string()).unwrap_or_default();
        let line = line.replace("ROOM", &made);
        (0..self.people.len()).fold(line, |line, nth| {
            line.replace(&format!(r#""to":"{nth}""#), &format!(r#""to":"{}""#, self.people[nth].id))
        })
    }

    /// Time goes by.
    pub fn wait(&mut self, span: Span) {
        self.now += span;
        self.rooms.handle_time(self.now);
        self.deliver();
    }

    /// A socket breaks, and its owner comes again as another.
    pub fn go_and_come(&mut self, who: usize) {
        self.rooms.leave(self.now, self.people[who].id);
        self.people[who] = self.come(who);
        self.deliver();
    }

    /// Somebody says something, and everybody hears what comes of it.
    pub fn say(&mut self, who: usize, text: &str) {
        let (now, chance) = (self.now, self.chance());
        let person = &mut self.people[who];
        match person.session.hear(now, text) {
            Ok(request) => self.rooms.handle(now, person.id, request, || chance),
            Err(refusal) => person.heard.push(refusal.event()),
        }
        self.deliver();
    }

    /// The same without a limit or a text.
    pub fn ask(&mut self, who: usize, request: Request) {
        let chance = self.chance();
        self.rooms.handle(self.now, self.people[who].id, request, || chance);
        self.deliver();
    }

    fn deliver(&mut self) {
        while let Some(word) = self.rooms.poll() {
            if let Event::RoomCreated { room_id, .. } = word.event {
                self.made = Some(room_id);
            }
            let is_private = matches!(
                word.event,
                Event::Offer { .. } | Event::Answer { .. } | Event::IceCandidate { .. }
            );
            assert!(!is_private || matches!(word.to, Hearers::One(_)), "for one alone");
            for id in word.to.ids() {
                let hearer = self.people.iter_mut().find(|it| it.id == *id);
                hearer.expect("only who is there is told").hear(&word.event);
            }
        }
        while let Some(ended) = self.rooms.poll_ended() {
            let glance = self.rooms.glance(self.now);
            assert!(glance.iter().all(|it| it.room_id != ended), "it has ended");
        }
        // Who leaves knows it without being told.
        let outside = |it: &&mut Person| self.rooms.room_of(it.id).is_none();
        self.people.iter_mut().filter(outside).for_each(|it| it.believed.clear());
    }

    /// What holds at any time.
    pub fn holds(&self) {
        let glance = self.rooms.glance(self.now);
        let mut places: BTreeMap<ParticipantId, RoomId> = BTreeMap::new();
        for room in &glance {
            assert!(room.participants.len() <= room.participants_max, "{room:?}");
            assert!(room.idle_s < 60.0 && room.idle_s <= room.age_s, "{room:?}");
            for it in &room.participants {
                let twice = places.insert(it.participant_id, room.room_id);
                assert_eq!(twice, None, "nobody is in two rooms");
            }
        }
        assert!(glance.len() <= self.most.rooms);
        for person in &self.people {
            let room = self.rooms.room_of(person.id);
            assert_eq!(room, places.get(&person.id).copied());
            let inside = glance.iter().filter(|it| Some(it.room_id) == room);
            let members = inside.flat_map(|it| it.participants.iter().map(|it| it.participant_id));
            assert_eq!(person.believed, members.collect(), "who listens knows who is there");
        }
    }

    /// When all have gone and time has passed, nothing is left.
    pub fn ends(mut self) {
        for person in &self.people {
            self.rooms.leave(self.now, person.id);
        }
        while self.rooms.poll().is_some() {}
        self.rooms.handle_time(self.now + Span::from_secs(60));
        assert!(self.rooms.is_empty() && self.rooms.glance(self.now).is_empty());
        assert_eq!(self.rooms.poll(), None);
    }
}

impl Person {
    fn hear(&mut self, event: &Event) {
        match event {
            Event::RoomCreated { self_id, .. } => self.believed = [*self_id].into(),
            Event::PeerConnected { participant_id } if *participant_id == self.id => {
                self.awaits_list = true;
            }
            Event::PeerConnected { participant_id } => {
                self.believed.insert(*participant_id);
            }
            Event::PeerDisconnected { participant_id } => {
                self.believed.remove(participant_id);
            }
            Event::RoomParticipants { participants, .. } => {
                if std::mem::take(&mut self.awaits_list) {
                    assert_eq!(participants.last(), Some(&self.id), "who joins learns its own id");
                    self.believed = participants.iter().copied().collect();
                }
                assert_eq!(self.believed, participants.iter().copied().collect());
                assert_eq!(self.believed.len(), participants.len(), "nobody is listed twice");
            }
            _ => {}
        }
        self.heard.push(event.clone());
    }

    /// What it has heard since it was asked last.
    pub fn take(&mut self) -> Vec<Event> {
        std::mem::take(&mut self.heard)
    }
}

/// The nth address.
pub fn address(nth: usize) -> IpAddr {
    IpAddr::from([10, 0, 0, nth as u8 + 1])
}
