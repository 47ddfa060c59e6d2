//! Everybody on `/bloom`: how what one participant says reaches another.
//!
//! `engine::rooms` decides who hears what, and what comes of a word that finds a queue full; here each participant has
//! a queue of its own, and nobody waits for anybody. Half of it is for the words of the room, so that nothing that
//! others say can take their place. A word for many is written as JSON once.
//!
//! **The box as a participant.** [`Switchboard::keep`] makes a room around the box: [`KeptRoom`] is its place in it,
//! with a channel where others have a socket. Its id is told to one phone, which joins by it; dropping the place ends
//! the room.

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::ops::Deref;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, Weak};
use std::time::Duration;

use engine::phones::{Doorkeeper, Limits, Transport};
use engine::rooms::{
    self, Full, Most, Refusal, RoomGlance, Rooms, Session, Standing, Unauthorized, Unheard,
    Warnings, Word,
};
use serde::Serialize;
use tracing::field::{Empty, display};
use units::{MonoTime, Span};
use wire::bloom::{ErrorCode, Event, ParticipantId, Request, RoomId};

use super::mailbox::{Mailbox, Slot, mailbox};
use super::outbox::{Inbox, Outbox, Waiting, Word as Said, queue};
use crate::chance;
use crate::clock::BoxClock;

/// Half of it has place for four of the longest session descriptions and for all that seven others may say in three
/// seconds; the other for some hundred comings and goings.
const WAITING: Waiting = Waiting { words: 1024, octets: 256 << 10 };

/// Events that may wait for the box's own end of a room; half of them are the room's own, as for sockets.
const KEPT_WAITING: usize = 256;

/// How often rooms are looked at for being idle.
const LOOK_EVERY: Duration = Duration::from_secs(1);

/// Everybody on `/bloom`.
pub struct Switchboard {
    clock: BoxClock,
    token: Option<String>,
    door: Mutex<Doorkeeper>,
    state: Mutex<State>,
    attending: AtomicU64,
    counts: Counts,
}

/// What metrics tell.
#[derive(Debug, Default)]
pub(super) struct Counts {
    pub said: AtomicU64,
    pub too_slow: AtomicU64,
    pub dropped: AtomicU64,
    pub refused: [AtomicU64; CODES.len()],
}

struct State {
    rooms: Rooms,
    ears: BTreeMap<ParticipantId, Ear>,
    warnings: Warnings,
}

/// Where a participant hears.
enum Ear {
    Socket(Arc<Outbox>),
    Channel(Slot<Event>),
}

/// What `downbeat rooms` shows.
#[derive(Debug, Clone, Serialize)]
pub struct SwitchboardGlance {
    /// Sockets that are open, in a room or not.
    pub sockets: usize,
    /// Every room.
    pub rooms: Vec<RoomGlance>,
}

impl std::fmt::Debug for Switchboard {
    /// Without the token.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Switchboard").field("counts", &self.counts).finish_non_exhaustive()
    }
}

impl Switchboard {
    /// Nobody yet. Rooms end when they have been `idle` for so long; whoever is to create one shows `token`, where
    /// there is one (BL-12).
    pub fn new(clock: BoxClock, limits: &Limits, idle: Span, token: Option<String>) -> Self {
        let rooms = Rooms::new(Most::of(limits.signalling_per_address), idle);
        Self {
            clock,
            token,
            door: Mutex::new(Doorkeeper::new(limits.signalling_per_address)),
            state: Mutex::new(State {
                rooms,
                ears: BTreeMap::new(),
                warnings: Warnings::default(),
            }),
            attending: AtomicU64::new(0),
            counts: Counts::default(),
        }
    }

    /// What a socket may do that showed this token, or none.
    pub(super) fn standing(
        &self,
        shown: Option<&str>,
        transport: Transport,
    ) -> Result<Standing, Unauthorized> {
        rooms::standing(self.token.as_deref(), shown, transport)
    }

    /// A place for a socket, in no room yet.
    ///
    /// # Errors
    /// What it hears before it is closed: its address has all the sockets it may, or the house is full.
    pub fn enter(
        self: &Arc<Self>,
        id: ParticipantId,
        from: Option<IpAddr>,
        standing: Standing,
    ) -> Result<Place, Event> {
        if let Some(address) = from {
            let entered = self.door().enter(address);
            entered.map_err(|full| self.refuse_entry(ErrorCode::RateLimited, full.to_string()))?;
        }
        let (outbox, inbox) = queue(WAITING);
        let mut state = self.state();
        if let Err(Full) = state.rooms.enter(self.clock.mono_now(), id, from, standing) {
            drop(state);
            self.leave_door(from);
            let words = "this box has no place for more participants".to_owned();
            return Err(self.refuse_entry(ErrorCode::Internal, words));
        }
        let outbox = Arc::new(outbox);
        let (replies, inbox) = (Arc::downgrade(&outbox), Some(inbox));
        state.ears.insert(id, Ear::Socket(outbox));
        drop(state);
        let attending = Attending::new(self);
        let (board, session) = (self.clone(), Session::default());
        Ok(Place { board, id, from, inbox, replies, session, attending })
    }

    fn refuse_entry(&self, code: ErrorCode, message: String) -> Event {
        self.count_refused(code);
        Event::Error { code, message }
    }

    /// A new room for `most` participants, the first of which is the box.
    pub fn keep(self: &Arc<Self>, most: usize) -> KeptRoom {
        let room = RoomId::from_chance(chance::bits());
        let id = ParticipantId::from_chance(chance::bits());
        let (channel, events) = mailbox();
        let mut state = self.state();
        state.rooms.keep(self.clock.mono_now(), room, id, most);
        state.ears.insert(id, Ear::Channel(channel));
        drop(state);
        KeptRoom { board: self.clone(), room, id, events }
    }

    /// What a participant says, from now on in the queues of those who hear it.
    fn handle(&self, now: MonoTime, from: ParticipantId, request: Request) {
        let kind = request.kind();
        let span = tracing::info_span!("bloom", participant_id = %from, room_id = Empty, kind);
        let _inside = span.enter();
        self.counts.said.fetch_add(1, Ordering::Relaxed);
        let mut state = self.state();
        let meant = state.rooms.room_meant(from, &request);
        state.rooms.handle(now, from, request, chance::bits);
        let room = meant.or_else(|| state.rooms.room_of(from));
        self.deliver(&mut state, now);
        drop(state);
        if let Some(room) = room {
            span.record("room_id", display(room));
        }
        tracing::debug!("handled");
    }

    /// Rooms that nobody has used for long end.
    fn handle_time(&self) {
        let now = self.clock.mono_now();
        let mut state = self.state();
        state.rooms.handle_time(now);
        self.deliver(&mut state, now);
    }

    fn leave(&self, id: ParticipantId) {
        let now = self.clock.mono_now();
        let mut state = self.state();
        let room = state.rooms.room_of(id);
        let span =
            tracing::info_span!("bloom", participant_id = %id, room_id = Empty, kind = "end");
        if let Some(room) = room {
            span.record("room_id", display(room));
        }
        let _inside = span.enter();
        state.ears.remove(&id);
        state.rooms.leave(now, id);
        self.deliver(&mut state, now);
        drop(state);
        tracing::debug!("left");
    }

    /// Everybody hears in the order in which the rooms decided, so this is done before anybody else may speak.
    fn deliver(&self, state: &mut State, now: MonoTime) {
        while let Some(word) = state.rooms.poll() {
            self.carry(state, now, &word);
        }
        while let Some(room) = state.rooms.poll_ended() {
            let span = tracing::info_span!(parent: None, "bloom", room_id = %room, kind = "ended");
            span.in_scope(|| tracing::debug!("the room has ended"));
        }
    }

    fn carry(&self, state: &mut State, now: MonoTime, word: &Word) {
        if let Event::Error { code, .. } = word.event {
            self.count_refused(code);
        }
        for late in carry(&state.ears, word) {
            self.unheard(state, now, late, &word.event);
        }
    }

    fn unheard(&self, state: &mut State, now: MonoTime, late: ParticipantId, event: &Event) {
        match state.rooms.handle_unheard(now, late, event) {
            Unheard::Dropped => {
                self.counts.dropped.fetch_add(1, Ordering::Relaxed);
                tracing::debug!(to = %late, "dropped: it has not read what came before");
            }
            Unheard::Left(room) => {
                self.counts.too_slow.fetch_add(1, Ordering::Relaxed);
                state.ears.remove(&late);
                let span = tracing::info_span!(
                    parent: None, "bloom", participant_id = %late, room_id = Empty, kind = "too_slow"
                );
                if let Some(room) = room {
                    span.record("room_id", display(room));
                }
                span.in_scope(|| tracing::debug!("it did not keep up and has lost its place"));
            }
        }
    }

    /// A socket had no place for the answer to its own words.
    fn lose(&self, id: ParticipantId, answer: &Event) {
        let now = self.clock.mono_now();
        let mut state = self.state();
        self.unheard(&mut state, now, id, answer);
        self.deliver(&mut state, now);
    }

    fn warn(&self, now: MonoTime, id: ParticipantId, from: Option<IpAddr>) {
        let is_due = self.state().warnings.is_due(now, from);
        if is_due {
            tracing::warn!(participant_id = %id, "too many messages: dropping them for a second");
        }
    }

    fn leave_door(&self, from: Option<IpAddr>) {
        if let Some(address) = from {
            self.door().leave(address);
        }
    }

    fn count_refused(&self, code: ErrorCode) {
        let place = CODES.iter().position(|(it, _)| *it == code);
        let place = place.expect("every code is in the table");
        self.counts.refused[place].fetch_add(1, Ordering::Relaxed);
    }

    /// Takes every ear away; each socket says goodbye by itself.
    pub(super) fn send_home(&self) {
        self.state().ears.clear();
    }

    /// Sockets whose tasks have not ended.
    pub(super) fn attending(&self) -> u64 {
        self.attending.load(Ordering::Relaxed)
    }

    /// How many rooms there are.
    pub(super) fn rooms(&self) -> usize {
        self.state().rooms.count()
    }

    pub(super) fn counts(&self) -> &Counts {
        &self.counts
    }

    /// Every room and who is in it.
    pub fn glance(&self) -> SwitchboardGlance {
        let (now, sockets) = (self.clock.mono_now(), self.attending() as usize);
        SwitchboardGlance { sockets, rooms: self.state().rooms.glance(now) }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().expect("nobody panics at the switchboard")
    }

    fn door(&self) -> MutexGuard<'_, Doorkeeper> {
        self.door.lock().expect("nobody panics at the door")
    }
}

/// Those who could not take it.
fn carry(ears: &BTreeMap<ParticipantId, Ear>, word: &Word) -> Vec<ParticipantId> {
    let mut written: Option<Said> = None;
    let can_be_spared = word.event.speaker().is_some();
    let mut takes = |ear: &Ear| match ear {
        Ear::Socket(outbox) => {
            let said = written.get_or_insert_with(|| word.event.emit().into());
            if can_be_spared { outbox.offer_spare(said) } else { outbox.offer(said) }
        }
        Ear::Channel(channel) => {
            let most = if can_be_spared { KEPT_WAITING / 2 } else { KEPT_WAITING };
            channel.put(word.event.clone(), most)
        }
    };
    let hearers = word.to.ids().iter();
    hearers.filter(|id| ears.get(id).is_some_and(|ear| !takes(ear))).copied().collect()
}

/// Ends idle rooms, for as long as the box runs.
pub(super) async fn look_after(board: Arc<Switchboard>) {
    let mut tick = tokio::time::interval(LOOK_EVERY);
    loop {
        tick.tick().await;
        board.handle_time();
    }
}

/// A participant with a queue; it leaves when this is dropped (BL-02).
#[derive(Debug)]
pub struct Place {
    board: Arc<Switchboard>,
    id: ParticipantId,
    from: Option<IpAddr>,
    inbox: Option<Inbox>,
    /// Where refusals are left, behind what it was told before and without a look at the rooms: a flood of nonsense
    /// makes nobody wait. Gone when it has lost its place.
    replies: Weak<Outbox>,
    session: Session,
    attending: Arc<Attending>,
}

/// Counts a socket until its task has ended.
#[derive(Debug)]
pub(super) struct Attending(Arc<Switchboard>);

impl Attending {
    fn new(board: &Arc<Switchboard>) -> Arc<Self> {
        board.attending.fetch_add(1, Ordering::Relaxed);
        Arc::new(Self(board.clone()))
    }
}

impl Drop for Attending {
    fn drop(&mut self) {
        self.0.attending.fetch_sub(1, Ordering::Relaxed);
    }
}

impl Place {
    /// Where its words come; taken once.
    pub(super) fn take_inbox(&mut self) -> Inbox {
        self.inbox.take().expect("taken once")
    }

    /// The next word for it, as JSON; none when it has lost its place. For whoever has no socket to say it on.
    pub async fn next(&mut self) -> Option<impl Deref<Target = str> + use<>> {
        self.inbox.as_mut()?.next().await
    }

    /// It leaves; held until its socket has said goodbye.
    pub(super) fn stand_up(self) -> Arc<Attending> {
        self.attending.clone()
    }

    /// A text that it says.
    pub fn say(&mut self, text: &str) {
        let now = self.board.clock.mono_now();
        match self.session.hear(now, text) {
            Ok(request) => self.board.handle(now, self.id, request),
            Err(refusal) => self.refuse(now, refusal),
        }
    }

    /// A binary frame that it sends.
    pub(super) fn say_binary(&mut self) {
        let now = self.board.clock.mono_now();
        let refusal = self.session.hear_binary(now);
        self.refuse(now, refusal);
    }

    fn refuse(&mut self, now: MonoTime, refusal: Refusal) {
        if self.session.take_shut() {
            self.board.warn(now, self.id, self.from);
        }
        self.board.count_refused(refusal.code);
        let event = refusal.event();
        let replies = self.replies.upgrade();
        if replies.is_some_and(|it| !it.offer(&event.emit().into())) {
            self.board.lose(self.id, &event);
        }
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        self.board.leave(self.id);
        self.board.leave_door(self.from);
    }
}

/// The box's own place in a room that it keeps; the room ends when this is dropped.
#[derive(Debug)]
pub struct KeptRoom {
    board: Arc<Switchboard>,
    room: RoomId,
    id: ParticipantId,
    events: Mailbox<Event>,
}

impl KeptRoom {
    /// What the phone joins.
    pub fn room_id(&self) -> RoomId {
        self.room
    }
    /// Whom the phone sends its offer to.
    pub fn participant_id(&self) -> ParticipantId {
        self.id
    }
    /// The next event; none once the box has not listened for so long that it lost its place.
    pub async fn next(&mut self) -> Option<Event> {
        self.events.next().await
    }
    /// What the box says; a refusal comes as an event.
    pub fn say(&self, request: Request) {
        self.board.handle(self.board.clock.mono_now(), self.id, request);
    }
}

impl Drop for KeptRoom {
    fn drop(&mut self) {
        self.board.leave(self.id);
    }
}

/// Every code, in the order in which they are counted.
pub(super) const CODES: [(ErrorCode, &str); 5] = [
    (ErrorCode::RoomFull, "room_full"),
    (ErrorCode::InvalidPayload, "invalid_payload"),
    (ErrorCode::ParticipantNotFound, "participant_not_found"),
    (ErrorCode::RateLimited, "rate_limited"),
    (ErrorCode::Internal, "internal"),
];
