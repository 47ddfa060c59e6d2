//! Who is in which room, and who hears what: Bloom (BL-01 to BL-07, BL-11).
//!
//! In: what participants say ([`Session`] has let it through), and when. Out: [`Word`]s, each with those who hear it.
//! Never here: sockets, chance of its own, what is in a session description.
//!
//! Whoever joins is told to everybody in the room, itself included: first `PeerConnected`, then the list in the order
//! of joining, so that it learns its own id. Who creates a room learns it from `RoomCreated`.
//!
//! A room that nobody has said, joined or left anything in for a while (a minute) ends. A room that everybody has left
//! is such a one: phones that lost their Wi-Fi together find it again. What that may cost is bounded: an address has so many
//! rooms, and for one more the one of its own that has been empty longest is given up, so that a flood of rooms turns
//! over its own. When the house has all its rooms, the [`Network`] with most empty ones gives one up.
//!
//! What one participant says to another is dropped where that one has no place for it, and who said it is told
//! (BL-05: nothing is queued). Who has no place for a word of the room itself has lost track of it, and leaves.
//!
//! **The box as a participant.** [`Rooms::keep`] makes a room around a participant of the box's own: a phone joins by
//! the id that `/ws` tells it, [`Rooms::handle`] takes what the box says, and words to that participant are handed out
//! like all others. The room has a size of its own, is never idle, and ends when its keeper leaves. `io` puts a
//! channel where other participants have a socket (`io::http::Switchboard::keep`).

mod access;
mod network;
mod rate;
mod session;
mod warnings;

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::net::IpAddr;

use serde::Serialize;
use units::{MonoTime, Span};
use wire::bloom::{ErrorCode, Event, ParticipantId, Request, RoomId};

pub use access::{Standing, Unauthorized, standing};
pub use network::Network;
pub use session::{Refusal, Session};
pub use warnings::Warnings;

use network::Empties;

/// Participants of a room that somebody creates (BL-04).
const CREATED_MOST: usize = 8;

/// So long after the last word a room ends (BL-11), where the box file says nothing else.
pub const IDLE: Span = Span::from_secs(60);

/// What everybody together may cost.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Most {
    /// Participants with a socket; the box's own are as many as `/ws` lets phones in.
    pub sockets: usize,
    /// Rooms that were created.
    pub rooms: usize,
    /// Of those, rooms that sockets of one address have created.
    pub rooms_per_address: usize,
}

impl Most {
    /// An address that may have so many sockets may have as many rooms. All together are more than the connections
    /// that a machine of this size has files for, and a room without anybody takes some hundred octets.
    pub const fn of(sockets_per_address: usize) -> Self {
        Self { sockets: 16_384, rooms: 16_384, rooms_per_address: sockets_per_address }
    }
}

/// Every room and every participant.
#[derive(Debug)]
pub struct Rooms {
    most: Most,
    idle: Span,
    rooms: BTreeMap<RoomId, Room>,
    participants: BTreeMap<ParticipantId, Participant>,
    sockets: usize,
    created: usize,
    created_from: BTreeMap<IpAddr, BTreeSet<RoomId>>,
    empties: Empties,
    /// When to look whether a room is idle: never later than it would be.
    looks: BTreeSet<(MonoTime, RoomId)>,
    words: VecDeque<Word>,
    ended: VecDeque<RoomId>,
}

#[derive(Debug)]
struct Room {
    origin: Origin,
    most: usize,
    /// In the order of joining.
    participants: Vec<ParticipantId>,
    since: MonoTime,
    touched: MonoTime,
    look: MonoTime,
    messages: u64,
}

#[derive(Debug, Clone, Copy)]
enum Origin {
    /// A participant from there created it; none is the control socket.
    Created(Option<IpAddr>),
    /// It lives as long as this one is in it.
    Kept(ParticipantId),
}

#[derive(Debug)]
struct Participant {
    from: Option<IpAddr>,
    standing: Standing,
    has_socket: bool,
    room: Option<RoomId>,
    joined: MonoTime,
    messages: u64,
}

/// Something to say, and to whom.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Word {
    /// Who hears it.
    pub to: Hearers,
    /// What.
    pub event: Event,
}

/// Who hears a word.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Hearers {
    /// Exactly one.
    One(ParticipantId),
    /// Each of these, the same.
    Each(Vec<ParticipantId>),
}

impl Hearers {
    /// Their ids.
    pub fn ids(&self) -> &[ParticipantId] {
        match self {
            Self::One(id) => std::slice::from_ref(id),
            Self::Each(ids) => ids,
        }
    }
}

/// What comes of a word for which a hearer had no place.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Unheard {
    /// Nothing but that: who said it is told.
    Dropped,
    /// The hearer has left, out of this room if it was in one.
    Left(Option<RoomId>),
}

/// There is no place for one more participant.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Full;

impl Rooms {
    /// No room, nobody there; a room ends when it has been idle for so long.
    pub fn new(most: Most, idle: Span) -> Self {
        Self {
            most,
            idle,
            rooms: BTreeMap::new(),
            participants: BTreeMap::new(),
            sockets: 0,
            created: 0,
            created_from: BTreeMap::new(),
            empties: Empties::default(),
            looks: BTreeSet::new(),
            words: VecDeque::new(),
            ended: VecDeque::new(),
        }
    }

    /// A socket has opened; it is in no room yet.
    ///
    /// # Errors
    /// [`Full`]: it is not let in.
    pub fn enter(
        &mut self,
        now: MonoTime,
        id: ParticipantId,
        from: Option<IpAddr>,
        standing: Standing,
    ) -> Result<(), Full> {
        if self.sockets >= self.most.sockets {
            return Err(Full);
        }
        self.sockets += 1;
        self.put(now, id, Participant::new(now, from, standing, true));
        Ok(())
    }

    /// A room of the box's own for `most` participants, the first of which is the box, by a new id.
    pub fn keep(&mut self, now: MonoTime, room_id: RoomId, keeper: ParticipantId, most: usize) {
        self.put(now, keeper, Participant::new(now, None, Standing::Full, false));
        self.rooms.insert(room_id, Room::new(now, Origin::Kept(keeper), most));
        self.admit(now, room_id, keeper);
    }

    /// A participant has gone for good, with its socket (BL-02).
    pub fn leave(&mut self, now: MonoTime, id: ParticipantId) {
        self.go_out(now, id);
        if let Some(gone) = self.participants.remove(&id) {
            self.sockets -= usize::from(gone.has_socket);
        }
    }

    /// What a participant says; `chance` makes the id of a new room. One that has left says nothing.
    pub fn handle(
        &mut self,
        now: MonoTime,
        from: ParticipantId,
        request: Request,
        chance: impl FnOnce() -> u128,
    ) {
        let Some(participant) = self.participants.get_mut(&from) else { return };
        participant.messages += 1;
        let done = match request {
            Request::CreateRoom {} => self.create(now, from, chance),
            Request::JoinRoom { room_id } => self.join(now, from, &room_id),
            Request::LeaveRoom {} => self.leave_room(now, from),
            Request::Offer { to, sdp } => self.relay(now, from, &to, Event::Offer { from, sdp }),
            Request::Answer { to, sdp } => self.relay(now, from, &to, Event::Answer { from, sdp }),
            Request::IceCandidate { to, candidate } => {
                self.relay(now, from, &to, Event::IceCandidate { from, candidate })
            }
        };
        if let Err(refusal) = done {
            self.words.push_back(Word { to: Hearers::One(from), event: refusal.event() });
        }
    }

    /// Rooms that are idle by now end.
    pub fn handle_time(&mut self, now: MonoTime) {
        while let Some(&(look, room_id)) = self.looks.first()
            && look <= now
        {
            let idle_from = self.rooms[&room_id].touched + self.idle;
            if idle_from <= now {
                self.end(room_id);
            } else {
                self.look_again(room_id, idle_from);
            }
        }
    }

    /// A hearer had no place for something, which it will never hear.
    pub fn handle_unheard(
        &mut self,
        now: MonoTime,
        hearer: ParticipantId,
        event: &Event,
    ) -> Unheard {
        if let Some(speaker) = event.speaker() {
            let words = "dropped: whom it is for has not read what came before";
            let event = Refusal::new(ErrorCode::Internal, words).event();
            self.words.push_back(Word { to: Hearers::One(speaker), event });
            return Unheard::Dropped;
        }
        let room = self.room_of(hearer);
        self.leave(now, hearer);
        Unheard::Left(room)
    }

    /// What is to be said, in this order.
    pub fn poll(&mut self) -> Option<Word> {
        self.words.pop_front()
    }

    /// Rooms that have ended, for logs.
    pub fn poll_ended(&mut self) -> Option<RoomId> {
        self.ended.pop_front()
    }

    /// Which room a request is about, as far as there is one already.
    pub fn room_meant(&self, from: ParticipantId, request: &Request) -> Option<RoomId> {
        self.room_of(from).or_else(|| match request {
            Request::JoinRoom { room_id } => {
                room_id.parse().ok().filter(|it| self.rooms.contains_key(it))
            }
            _ => None,
        })
    }

    /// How many rooms there are.
    pub fn count(&self) -> usize {
        self.rooms.len()
    }

    /// Which room a participant is in.
    pub fn room_of(&self, id: ParticipantId) -> Option<RoomId> {
        self.participants.get(&id)?.room
    }

    /// Participants, in rooms or not.
    pub fn len(&self) -> usize {
        self.participants.len()
    }

    /// Whether nobody is there.
    pub fn is_empty(&self) -> bool {
        self.participants.is_empty()
    }

    /// Every room, in the order of their ids.
    pub fn glance(&self, now: MonoTime) -> Vec<RoomGlance> {
        self.rooms.iter().map(|(&room_id, room)| self.glance_room(now, room_id, room)).collect()
    }
}

// How rooms fill and empty.
impl Rooms {
    fn put(&mut self, now: MonoTime, id: ParticipantId, participant: Participant) {
        // Ids are chance: that one comes twice is a promise of ours that broke, and costs the first its place.
        self.leave(now, id);
        self.participants.insert(id, participant);
    }

    fn create(
        &mut self,
        now: MonoTime,
        id: ParticipantId,
        chance: impl FnOnce() -> u128,
    ) -> Result<(), Refusal> {
        let participant = self.in_no_room(id)?;
        if participant.standing == Standing::Guest {
            return Err(Refusal::invalid("this box wants a token of whoever creates a room"));
        }
        let from = participant.from;
        self.make_place(from)?;
        let room_id = RoomId::from_chance(chance());
        if self.rooms.contains_key(&room_id) {
            return Err(Refusal::new(ErrorCode::Internal, "try again"));
        }
        self.rooms.insert(room_id, Room::new(now, Origin::Created(from), CREATED_MOST));
        self.created += 1;
        if let Some(address) = from {
            self.created_from.entry(address).or_default().insert(room_id);
        }
        self.look_again(room_id, now + self.idle);
        let event = Event::RoomCreated { room_id, self_id: id };
        self.words.push_back(Word { to: Hearers::One(id), event });
        self.admit(now, room_id, id);
        self.tell_list(room_id);
        Ok(())
    }

    /// An address that has all its rooms gives up the one that has been empty longest, and so does, when the house has
    /// all, whoever has most empty ones.
    fn make_place(&mut self, from: Option<IpAddr>) -> Result<(), Refusal> {
        let theirs = from.and_then(|address| self.created_from.get(&address));
        if let Some(theirs) = theirs.filter(|it| it.len() >= self.most.rooms_per_address) {
            let empty = theirs.iter().filter(|id| self.rooms[id].participants.is_empty());
            let oldest = empty.min_by_key(|id| self.rooms[id].touched).copied();
            let most = self.most.rooms_per_address;
            self.end(oldest.ok_or_else(|| {
                let words = format!("at most {most} rooms of one address");
                Refusal::new(ErrorCode::RateLimited, words)
            })?);
        }
        if self.created >= self.most.rooms {
            self.end(self.empties.spare().ok_or_else(|| {
                Refusal::new(ErrorCode::Internal, "this box has no place for more rooms")
            })?);
        }
        Ok(())
    }

    fn join(&mut self, now: MonoTime, id: ParticipantId, room: &str) -> Result<(), Refusal> {
        let is_guest = self.in_no_room(id)?.standing == Standing::Guest;
        let named: Option<RoomId> = room.parse().ok();
        let found = named.and_then(|room_id| Some((room_id, self.rooms.get(&room_id)?)));
        // A guest is not told which rooms there are.
        let open = found.filter(|(_, room)| !is_guest || matches!(room.origin, Origin::Kept(_)));
        let (room_id, room) = open.ok_or_else(|| Refusal::invalid("there is no such room"))?;
        if room.participants.len() >= room.most {
            let words = format!("the room has its {} participants", room.most);
            return Err(Refusal::new(ErrorCode::RoomFull, words));
        }
        self.admit(now, room_id, id);
        self.tell(room_id, Event::PeerConnected { participant_id: id });
        self.tell_list(room_id);
        Ok(())
    }

    fn leave_room(&mut self, now: MonoTime, id: ParticipantId) -> Result<(), Refusal> {
        self.go_out(now, id).ok_or_else(|| Refusal::invalid("you are in no room"))
    }

    fn relay(
        &mut self,
        now: MonoTime,
        from: ParticipantId,
        to: &str,
        event: Event,
    ) -> Result<(), Refusal> {
        let absent =
            || Refusal::new(ErrorCode::ParticipantNotFound, "nobody of that id is in your room");
        let named: Option<ParticipantId> = to.parse().ok();
        // Who is in no room has nobody there, either.
        let room = self.room_of(from).and_then(|room_id| self.rooms.get_mut(&room_id));
        let (Some(to), Some(room)) = (named, room) else { return Err(absent()) };
        if !room.participants.contains(&to) {
            return Err(absent());
        }
        (room.touched, room.messages) = (now, room.messages + 1);
        self.words.push_back(Word { to: Hearers::One(to), event });
        Ok(())
    }

    fn in_no_room(&self, id: ParticipantId) -> Result<&Participant, Refusal> {
        let participant = self.participants.get(&id).expect("`handle` has found it");
        match participant.room {
            None => Ok(participant),
            Some(_) => Err(Refusal::invalid("you are in a room: leave it first")),
        }
    }

    fn admit(&mut self, now: MonoTime, room_id: RoomId, id: ParticipantId) {
        let room = self.rooms.get_mut(&room_id).expect("the room is there");
        if let Some(network) = room.network() {
            self.empties.remove(network, room.touched, room_id);
        }
        room.participants.push(id);
        room.touched = now;
        let participant = self.participants.get_mut(&id).expect("the participant is there");
        (participant.room, participant.joined) = (Some(room_id), now);
    }

    /// Out of the room it is in; none if it is in none.
    fn go_out(&mut self, now: MonoTime, id: ParticipantId) -> Option<()> {
        let room_id = self.participants.get_mut(&id)?.room.take()?;
        let room = self.rooms.get_mut(&room_id).expect("who is in a room is in one that is there");
        room.participants.retain(|it| *it != id);
        room.touched = now;
        if let Some(network) = room.network().filter(|_| room.participants.is_empty()) {
            self.empties.insert(network, now, room_id);
        }
        let is_over = matches!(room.origin, Origin::Kept(keeper) if keeper == id);
        self.tell(room_id, Event::PeerDisconnected { participant_id: id });
        if is_over {
            self.end(room_id);
        } else {
            self.tell_list(room_id);
        }
        Some(())
    }

    /// Everybody in it is told that all have left.
    fn end(&mut self, room_id: RoomId) {
        let Some(room) = self.rooms.remove(&room_id) else { return };
        self.ended.push_back(room_id);
        self.looks.remove(&(room.look, room_id));
        if let Origin::Created(from) = room.origin {
            self.created -= 1;
            self.empties.remove(Network::of(from), room.touched, room_id);
            self.forget_created(from, room_id);
        }
        for id in &room.participants {
            self.participants.get_mut(id).expect("it is in the room").room = None;
        }
        let gone = |&participant_id: &ParticipantId| Event::PeerDisconnected { participant_id };
        let mut events: Vec<Event> = room.participants.iter().map(gone).collect();
        events.push(Event::RoomParticipants { room_id, participants: Vec::new() });
        for event in events {
            self.say_each(&room.participants, event);
        }
    }

    fn forget_created(&mut self, from: Option<IpAddr>, room_id: RoomId) {
        let Some(address) = from else { return };
        let Some(theirs) = self.created_from.get_mut(&address) else { return };
        theirs.remove(&room_id);
        if theirs.is_empty() {
            self.created_from.remove(&address);
        }
    }

    fn look_again(&mut self, room_id: RoomId, at: MonoTime) {
        let room = self.rooms.get_mut(&room_id).expect("the room is there");
        self.looks.remove(&(room.look, room_id));
        room.look = at;
        self.looks.insert((at, room_id));
    }

    fn tell_list(&mut self, room_id: RoomId) {
        let participants = self.rooms[&room_id].participants.clone();
        self.tell(room_id, Event::RoomParticipants { room_id, participants });
    }

    fn tell(&mut self, room_id: RoomId, event: Event) {
        let hearers = self.rooms[&room_id].participants.clone();
        self.say_each(&hearers, event);
    }

    fn say_each(&mut self, hearers: &[ParticipantId], event: Event) {
        if !hearers.is_empty() {
            self.words.push_back(Word { to: Hearers::Each(hearers.to_vec()), event });
        }
    }
}

impl Room {
    fn new(now: MonoTime, origin: Origin, most: usize) -> Self {
        let participants = Vec::new();
        Self { origin, most, participants, since: now, touched: now, look: now, messages: 0 }
    }

    /// Whose it is, if somebody created it.
    fn network(&self) -> Option<Network> {
        match self.origin {
            Origin::Created(from) => Some(Network::of(from)),
            Origin::Kept(_) => None,
        }
    }
}

impl Participant {
    fn new(now: MonoTime, from: Option<IpAddr>, standing: Standing, has_socket: bool) -> Self {
        Self { from, standing, has_socket, room: None, joined: now, messages: 0 }
    }
}

/// A room, for watchers.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct RoomGlance {
    /// Its id, which lets anybody in.
    pub room_id: RoomId,
    /// Whether the box made it and is in it; such a room is never idle.
    pub kept: bool,
    /// How many it may have.
    pub participants_max: usize,
    /// In the order of joining.
    pub participants: Vec<ParticipantGlance>,
    /// Offers, answers and candidates that were passed on.
    pub messages: u64,
    /// Seconds since it was made.
    pub age_s: f64,
    /// Seconds since anybody said, joined or left anything.
    pub idle_s: f64,
}

/// A participant of a room, for watchers.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct ParticipantGlance {
    /// Its id.
    pub participant_id: ParticipantId,
    /// Where it comes from; none is the box, or its control socket.
    pub address: Option<IpAddr>,
    /// Whether it is the box itself.
    pub is_box: bool,
    /// Seconds since it joined.
    pub joined_s: f64,
    /// What it has said since it came, refused or not.
    pub messages: u64,
}

impl Rooms {
    fn glance_room(&self, now: MonoTime, room_id: RoomId, room: &Room) -> RoomGlance {
        let participants = room.participants.iter().map(|&id| self.glance_participant(now, id));
        RoomGlance {
            room_id,
            kept: matches!(room.origin, Origin::Kept(_)),
            participants_max: room.most,
            participants: participants.collect(),
            messages: room.messages,
            age_s: (now - room.since).secs_f64(),
            idle_s: (now - room.touched).secs_f64(),
        }
    }

    fn glance_participant(&self, now: MonoTime, id: ParticipantId) -> ParticipantGlance {
        let it = &self.participants[&id];
        ParticipantGlance {
            participant_id: id,
            address: it.from,
            is_box: !it.has_socket,
            joined_s: (now - it.joined).secs_f64(),
            messages: it.messages,
        }
    }
}
