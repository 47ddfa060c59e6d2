//! Where a phone and the box find each other for a peer connection: the room of two that `hello` names.
//!
//! In: what the phone says in that room, and the hub's [`News`] of it. Out: each to the other. Never: a decision, a
//! look into a description.

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use engine::told::To;
use tokio::task::JoinHandle;
use units::PhoneId;
use wire::bloom::{Event, ParticipantId, Request, RoomId};
use wire::solusync::{IceServer, Message, Signaling};

use super::mailbox::{Mailbox, Slot, mailbox};
use super::{Crowd, KeptRoom, Switchboard};
use crate::chance;
use crate::peers::{News, PeerGlance, PeersHandle};

/// The box and the phone.
const TWO: usize = 2;

/// The hub has one answer or offer for a phone at a time.
const NEWS_WAITING: usize = 16;

/// What the hub has to say, on its way to the rooms; made before the hub.
#[derive(Debug)]
pub struct Postbox {
    crowd: Arc<Crowd>,
    rooms: Mutex<BTreeMap<PhoneId, Room>>,
}

#[derive(Debug)]
struct Room {
    id: RoomId,
    news: Slot<News>,
}

/// Peer connections for the phones of this house.
#[derive(Debug)]
pub struct Peering {
    hub: PeersHandle,
    post: Arc<Postbox>,
    board: Arc<Switchboard>,
    ice_servers: Vec<IceServer>,
}

/// A phone's place at the hub, and the room that leads there; given up when this is dropped.
#[derive(Debug)]
pub(super) struct Kept {
    phone: PhoneId,
    handle: PeersHandle,
    post: Arc<Postbox>,
    waits: JoinHandle<()>,
    signaling: Signaling,
}

impl Postbox {
    /// Nobody waits for news yet.
    pub fn new(crowd: Arc<Crowd>) -> Arc<Self> {
        Arc::new(Self { crowd, rooms: Mutex::default() })
    }

    /// Takes news from the hub; never waits for anybody.
    pub fn deliver(&self, phone: PhoneId, news: News) {
        match news {
            News::Asked(_) => self.crowd.note_asked_on_connection(phone),
            News::Refused(refusal) => {
                self.crowd.tell(To::One(phone), chance::uuid(), Message::Error(refusal));
            }
            News::Answer(_) | News::Offer(_) => {
                if let Some(room) = self.rooms().get(&phone) {
                    // A phone whose task does not find the time makes another offer.
                    let _ = room.news.put(news, NEWS_WAITING);
                }
            }
            News::Ended(why) => tracing::info!(%phone, ?why, "peer connection ended"),
            News::Link(link) => tracing::debug!(%phone, ?link, "peer connection"),
            // No message that the box takes is said on `media` or `score` today; what is not known is ignored (SC-03),
            // and the hub has counted it.
            News::Opened(_) | News::Heard { .. } => {}
        }
    }

    fn rooms(&self) -> MutexGuard<'_, BTreeMap<PhoneId, Room>> {
        self.rooms.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Peering {
    /// A hub, and where its news go.
    pub fn new(
        hub: PeersHandle,
        post: Arc<Postbox>,
        board: Arc<Switchboard>,
        ice_servers: Vec<IceServer>,
    ) -> Self {
        Self { hub, post, board, ice_servers }
    }

    /// Every connection, by phone.
    pub(super) async fn glance(&self) -> BTreeMap<PhoneId, PeerGlance> {
        let all = self.hub.glance().await.unwrap_or_default();
        all.into_iter().map(|it| (it.phone, it)).collect()
    }

    /// Which phone a room was made for.
    pub(super) fn phones_by_room(&self) -> BTreeMap<RoomId, PhoneId> {
        self.post.rooms().iter().map(|(&phone, room)| (room.id, phone)).collect()
    }

    /// A place for a phone that has said `hello`. Must be called in a runtime.
    pub(super) fn keep(&self, phone: PhoneId, address: Option<IpAddr>) -> Kept {
        let (handle, room) = (self.hub.clone(), self.board.keep(TWO));
        let signaling = Signaling {
            room_id: room.room_id().0,
            participant_id: room.participant_id().0,
            ice_servers: self.ice_servers.clone(),
        };
        let (news, heard) = mailbox();
        self.post.rooms().insert(phone, Room { id: room.room_id(), news });
        handle.joined(phone, address);
        let waits = tokio::spawn(wait_in(room, heard, phone, handle.clone()));
        Kept { phone, handle, post: self.post.clone(), waits, signaling }
    }
}

impl Kept {
    /// What the phone is told.
    pub(super) fn signaling(&self) -> Signaling {
        self.signaling.clone()
    }
}

impl Drop for Kept {
    fn drop(&mut self) {
        self.waits.abort();
        self.post.rooms().remove(&self.phone);
        self.handle.left(self.phone);
    }
}

/// Sits in the room for the box until the phone's `/ws` ends.
async fn wait_in(mut room: KeptRoom, mut heard: Mailbox<News>, phone: PhoneId, hub: PeersHandle) {
    let mut partner = None;
    loop {
        tokio::select! {
            event = room.next() => match event {
                Some(event) => listen(event, &mut partner, phone, &hub),
                None => return,
            },
            news = heard.next() => match news {
                Some(news) => speak(&room, news, partner),
                None => return,
            },
        }
    }
}

fn listen(event: Event, partner: &mut Option<ParticipantId>, phone: PhoneId, hub: &PeersHandle) {
    match event {
        Event::Offer { from, sdp } => {
            *partner = Some(from);
            hub.offer(phone, sdp);
        }
        Event::Answer { sdp, .. } => hub.answer(phone, sdp),
        Event::PeerConnected { participant_id } => *partner = Some(participant_id),
        // Its candidates are not used; who is in the room is of no account; what was refused came too late.
        _ => {}
    }
}

fn speak(room: &KeptRoom, news: News, partner: Option<ParticipantId>) {
    // A phone that has left `/bloom` joins again when it wants something; one that is not there is not told.
    let Some(to) = partner.map(|it| it.to_string()) else { return };
    match news {
        News::Answer(sdp) => room.say(Request::Answer { to, sdp }),
        News::Offer(sdp) => room.say(Request::Offer { to, sdp }),
        _ => {}
    }
}
