//! Which phone may have a peer connection (WebRTC), what for, and when it is mended or ended (SX-06).
//!
//! In: who has said `hello` and who has gone, offers, what the transport says of a connection, what comes on its
//! channels; the time. Out: verdicts at once, and [`Act`]s when their time has come. Never here: sockets, ICE, DTLS.
//!
//! A phone has one connection, as long as its `/ws` lives. It offers, the box answers. No candidate of a phone's is
//! used: the phone knows where the box is and knocks there first, and the box answers whoever knocks with the right
//! word. So nothing is asked of mDNS, the box sends nothing to addresses that somebody made up, and a phone behind a
//! NAT or a TURN server is no different from one beside the box.
//!
//! A connection that has fallen silent is offered a restart of ICE now and then, besides what the phone itself tries,
//! and given up after a minute.

mod coming;
mod description;
mod lead;
mod pictures;
mod places;
mod replay;
mod retelling;
mod showing;

use std::collections::{BTreeMap, VecDeque};

use serde::Serialize;
use units::{MonoTime, PhoneId, ShowTime, Span};
use wire::solusync::{self, MediaCodec, Message, Refusal, RefusalCode};

use crate::asker::{self, Asker};
use crate::phones::{Limits, RateWindow};

pub use coming::{Coming, Waiting};
use description::MEDIA_MAX;
pub use description::{DESCRIPTION_MAX, ufrag, without_candidates};
pub use lead::{AirLead, Change, FILM_AHEAD, Made, PACKET, Turn};
pub use pictures::{Backlog, Piece, Reel};
pub use places::{Address, places};
pub use replay::{Replay, Replayed};
pub use retelling::Retelling;
pub use showing::{Moment, Showing};

/// So long may a connection take from the offer to its first packet under DTLS.
const SETUP_MAX: Span = Span::from_secs(30);
/// The phone's own browser needs a moment to notice, and is then the better one to mend it.
const RESTART_AFTER: Span = Span::from_secs(3);
/// From one offer of a restart to the next.
const RESTART_EVERY: Span = Span::from_secs(8);
/// A phone that sleeps longer comes anew.
const LOST_AFTER: Span = Span::from_secs(60);
/// Each offer costs cryptography; a page that tries again and again waits longer.
const OFFERS_MAX: usize = 6;
const OFFERS_WITHIN: Span = Span::from_secs(10);
/// Messages of `media` and `score` in any second, each: a page of a score and what it sets off is a handful, a
/// phone's microphone fifty.
const MESSAGES_PER_SECOND: usize = 200;
/// Beyond so many more in a second it is a flood.
const FLOOD_PER_SECOND: usize = 800;
/// Packets of one phone in any second: its messages and acknowledgements of a page of a score are some hundred. What
/// its machine never sees is sent again, later, as if it had been lost.
const PACKETS_PER_SECOND: usize = 1_000;
/// What one phone's machine may take of the hub's one processor in any whole second. A phone that asks the time and
/// talks takes some thousandths; packets made for it can have a machine look through all that it keeps at every piece.
const TURNS_PER_SECOND: Span = Span::from_millis(250);
/// Octets of the heap that one phone's machine may have taken since it began: one that has filled its buffers both ways
/// with honest messages holds half as much, and one in which messages lie that never become whole grows without them.
const HELD_MAX: i64 = 4 << 20;

/// A wish for live media has a header and a few words; what is longer is none.
const WISH_MAX: usize = 4 << 10;

/// What a data channel is for; its label on the wire.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Channel {
    /// Clock questions; unordered, and never sent again.
    Time,
    /// Live media; in order.
    Media,
    /// Score pages and who turns them; in order.
    Score,
}

impl Channel {
    /// All there are.
    pub const ALL: [Self; 3] = [Self::Time, Self::Media, Self::Score];

    /// Its label.
    pub const fn label(self) -> &'static str {
        match self {
            Self::Time => "time",
            Self::Media => "media",
            Self::Score => "score",
        }
    }
}

/// A channel that a phone opens.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Opening<'a> {
    /// What it is called.
    pub label: &'a str,
    /// Whether messages keep their order.
    pub ordered: bool,
    /// Whether what is lost is sent again until it arrives.
    pub reliable: bool,
}

/// What the transport says of a connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Link {
    /// It has no way yet.
    Connecting,
    /// Packets come and go.
    Connected,
    /// None have come for some time.
    Disconnected,
}

/// What to do with an offer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Offered {
    /// With which connection.
    pub how: How,
    /// The offer as the transport is to read it.
    pub description: String,
}

/// Which connection an offer is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum How {
    /// A new one; one that the phone had is dropped.
    New,
    /// The one there is: another way (ICE restart) or another track.
    Again,
}

/// What to do with a message from a channel.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    /// Say what time it is.
    Clock(wire::time::Question),
    /// Hand it on.
    Take,
    /// Nothing.
    Drop,
    /// End the connection: it floods.
    End,
}

/// What to do of one's own accord.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Act {
    /// Offer the phone an ICE restart.
    Restart,
    /// End the connection.
    End(Why),
}

/// Why a connection ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Why {
    /// The phone's `/ws` has ended.
    PhoneLeft,
    /// The phone closed it.
    Closed,
    /// It came to nothing within [`SETUP_MAX`].
    NeverConnected,
    /// Nothing came any more.
    Lost,
    /// It flooded, or took more of the processor or the memory than one phone may.
    Flooded,
    /// The phone has another.
    Replaced,
    /// It broke its protocols.
    Broken,
}

/// Every phone that may have a connection.
#[derive(Debug)]
pub struct Peers {
    limits: Limits,
    most: usize,
    phones: BTreeMap<PhoneId, Phone>,
    connections: usize,
}

#[derive(Debug, Default)]
struct Phone {
    offers: VecDeque<MonoTime>,
    connection: Option<Connection>,
}

#[derive(Debug)]
struct Connection {
    identity: String,
    link: Link,
    since: MonoTime,
    restart_at: Option<MonoTime>,
    asker: Asker,
    messages: [RateWindow; 2],
    refused: RateWindow,
    packets: RateWindow,
    turns: Turns,
    held: i64,
    /// What live sound it takes on `media`.
    live: Option<MediaCodec>,
    /// Live pictures that it takes.
    pictures: Vec<MediaCodec>,
}

/// What a machine has taken of the processor in the second that is running.
#[derive(Debug, Clone, Copy)]
struct Turns {
    second: MonoTime,
    taken: Span,
}

impl Peers {
    /// Nobody yet; `most` connections at a time.
    pub fn new(limits: Limits, most: usize) -> Self {
        Self { limits, most, phones: BTreeMap::new(), connections: 0 }
    }

    /// A phone has said `hello`.
    pub fn handle_joined(&mut self, phone: PhoneId) {
        self.phones.entry(phone).or_default();
    }

    /// Its `/ws` has ended, and with it the connection; whether it had one.
    pub fn handle_left(&mut self, phone: PhoneId) -> bool {
        let had = self.phones.remove(&phone).is_some_and(|it| it.connection.is_some());
        self.connections -= usize::from(had);
        had
    }

    /// A phone offers.
    ///
    /// # Errors
    /// What the phone is to hear on its `/ws`.
    pub fn handle_offer(
        &mut self,
        now: MonoTime,
        phone: PhoneId,
        offer: &str,
    ) -> Result<Offered, Refusal> {
        let room = self.connections < self.most;
        let limits = self.limits;
        let seat = self.phones.get_mut(&phone).ok_or_else(|| invalid("say hello first"))?;
        if !seat.may_offer(now) {
            let message = format!("at most {OFFERS_MAX} offers in {OFFERS_WITHIN}");
            return Err(Refusal { code: RefusalCode::RateLimited, message });
        }
        if offer.len() > DESCRIPTION_MAX {
            return Err(invalid("an offer has at most 32 KiB"));
        }
        let identity = description::fingerprint(offer)
            .ok_or_else(|| invalid("an offer needs a fingerprint (RFC 8122)"))?;
        if description::media(offer) > MEDIA_MAX {
            return Err(invalid("an offer asks for at most 8 media"));
        }
        let description = without_candidates(offer);
        if seat.connection.as_ref().is_some_and(|it| it.identity == identity) {
            return Ok(Offered { how: How::Again, description });
        }
        if seat.connection.is_none() && !room {
            let message = format!("this box has its {} peer connections", self.most);
            return Err(Refusal { code: RefusalCode::TooManyConnections, message });
        }
        self.connections += usize::from(seat.connection.is_none());
        seat.connection = Some(Connection::new(now, identity.to_owned(), &limits));
        Ok(Offered { how: How::New, description })
    }

    /// The transport says how a connection stands.
    pub fn handle_link(&mut self, now: MonoTime, phone: PhoneId, link: Link) {
        let Some(connection) = self.connection(phone) else { return };
        // A restart looks for a way again; until there is one, a connection is what it was.
        if connection.link == link
            || (link == Link::Connecting && connection.link == Link::Disconnected)
        {
            return;
        }
        (connection.link, connection.since) = (link, now);
        connection.restart_at = (link == Link::Disconnected).then_some(now + RESTART_AFTER);
    }

    /// A connection is no more; its phone may offer another.
    pub fn handle_gone(&mut self, phone: PhoneId) {
        let gone = self.phones.get_mut(&phone).and_then(|it| it.connection.take());
        self.connections -= usize::from(gone.is_some());
    }

    /// A phone opens a channel: what it is for, or none if it is to be closed again.
    pub fn handle_channel(&self, opening: Opening<'_>) -> Option<Channel> {
        let channel = Channel::ALL.into_iter().find(|it| it.label() == opening.label)?;
        let wanted = match channel {
            Channel::Time => !opening.ordered && !opening.reliable,
            Channel::Media | Channel::Score => opening.ordered && opening.reliable,
        };
        wanted.then_some(channel)
    }

    /// A packet of a phone's came at `now`: whether its machine is to see it.
    pub fn handle_packet(&mut self, now: ShowTime, phone: PhoneId) -> bool {
        self.connection(phone).is_some_and(|it| it.packets.admit(now))
    }

    /// Its machine has taken so much of the processor, and `grew` octets of the heap more than it gave back: whether it
    /// may go on, or is to end since the others lack them. One that has ended may.
    pub fn handle_turn(&mut self, now: MonoTime, phone: PhoneId, took: Span, grew: i64) -> bool {
        let Some(connection) = self.connection(phone) else { return true };
        connection.held += grew;
        let turns = &mut connection.turns;
        if now - turns.second >= Span::from_secs(1) {
            *turns = Turns { second: now, taken: Span::ZERO };
        }
        turns.taken += took;
        turns.taken <= TURNS_PER_SECOND && connection.held <= HELD_MAX
    }

    /// Octets that a phone's machine holds, by what its turns took and gave back.
    pub fn held(&self, phone: PhoneId) -> Option<i64> {
        self.phones.get(&phone)?.connection.as_ref().map(|it| it.held)
    }

    /// A message that came on a channel at `now`.
    pub fn handle_message(
        &mut self,
        now: ShowTime,
        phone: PhoneId,
        channel: Channel,
        bytes: &[u8],
    ) -> Verdict {
        let Some(connection) = self.connection(phone) else { return Verdict::Drop };
        let window = match channel {
            Channel::Time => return connection.handle_question(now, bytes),
            Channel::Media => 0,
            Channel::Score => 1,
        };
        match connection.messages[window].admit(now) {
            true if channel == Channel::Media && connection.take_wish(bytes) => Verdict::Drop,
            true => Verdict::Take,
            false if connection.refused.admit(now) => Verdict::Drop,
            false => Verdict::End,
        }
    }

    /// How a phone takes live sound on its channel `media` (SX-11); none if it has not asked for any there.
    pub fn live(&self, phone: PhoneId) -> Option<MediaCodec> {
        self.phones.get(&phone)?.connection.as_ref()?.live
    }

    /// Whether a phone takes live pictures in a codec on its channel `media` (SX-11).
    pub fn takes(&self, phone: PhoneId, codec: MediaCodec) -> bool {
        let connection = self.phones.get(&phone).and_then(|it| it.connection.as_ref());
        connection.is_some_and(|it| it.pictures.contains(&codec))
    }

    /// What is to be done by now, one at a time. An end is told of once: the connection is forgotten.
    pub fn poll(&mut self, now: MonoTime) -> Option<(PhoneId, Act)> {
        let due = |(&phone, it): (&PhoneId, &mut Phone)| {
            Some((phone, it.connection.as_mut()?.poll(now)?))
        };
        let (phone, act) = self.phones.iter_mut().find_map(due)?;
        if matches!(act, Act::End(_)) {
            self.handle_gone(phone);
        }
        Some((phone, act))
    }

    /// When to call [`Peers::poll`] again; never while nothing is under way.
    pub fn next_wake(&self) -> Option<MonoTime> {
        self.phones.values().filter_map(|it| it.connection.as_ref()?.next_wake()).min()
    }

    /// How a connection stands, and since when; none if there is none.
    pub fn link(&self, phone: PhoneId) -> Option<(Link, MonoTime)> {
        let connection = self.phones.get(&phone)?.connection.as_ref()?;
        Some((connection.link, connection.since))
    }

    fn connection(&mut self, phone: PhoneId) -> Option<&mut Connection> {
        self.phones.get_mut(&phone)?.connection.as_mut()
    }
}

impl Phone {
    fn may_offer(&mut self, now: MonoTime) -> bool {
        while self.offers.front().is_some_and(|&first| now - first >= OFFERS_WITHIN) {
            self.offers.pop_front();
        }
        let may = self.offers.len() < OFFERS_MAX;
        if may {
            self.offers.push_back(now);
        }
        may
    }
}

impl Connection {
    fn new(now: MonoTime, identity: String, limits: &Limits) -> Self {
        Self {
            identity,
            link: Link::Connecting,
            since: now,
            restart_at: None,
            asker: Asker::new(limits),
            messages: [(); 2].map(|()| RateWindow::new(MESSAGES_PER_SECOND)),
            refused: RateWindow::new(FLOOD_PER_SECOND),
            packets: RateWindow::new(PACKETS_PER_SECOND),
            turns: Turns { second: now, taken: Span::ZERO },
            held: 0,
            live: None,
            pictures: Vec::new(),
        }
    }

    /// Whether a message said what live media it wants; of sound that it can decode, what it likes best counts.
    fn take_wish(&mut self, bytes: &[u8]) -> bool {
        let text = std::str::from_utf8(bytes).ok().filter(|it| it.len() <= WISH_MAX);
        let Some(Ok((_, Message::MediaWanted(wanted)))) = text.map(solusync::parse) else {
            return false;
        };
        let (pictures, sound): (Vec<_>, Vec<_>) =
            wanted.codecs.into_iter().partition(|it| it.has_pictures());
        (self.live, self.pictures) = (sound.first().copied(), pictures);
        true
    }

    fn handle_question(&mut self, now: ShowTime, bytes: &[u8]) -> Verdict {
        match self.asker.handle(now, bytes) {
            asker::Answer::Clock(question) => Verdict::Clock(question),
            asker::Answer::Nothing => Verdict::Drop,
            asker::Answer::Dismiss => Verdict::End,
        }
    }

    fn poll(&mut self, now: MonoTime) -> Option<Act> {
        if self.ends_at().is_some_and(|at| at <= now) {
            return Some(Act::End(match self.link {
                Link::Disconnected => Why::Lost,
                Link::Connecting | Link::Connected => Why::NeverConnected,
            }));
        }
        let due = self.restart_at.is_some_and(|at| at <= now);
        due.then(|| {
            self.restart_at = Some(now + RESTART_EVERY);
            Act::Restart
        })
    }

    fn ends_at(&self) -> Option<MonoTime> {
        match self.link {
            Link::Connecting => Some(self.since + SETUP_MAX),
            Link::Connected => None,
            Link::Disconnected => Some(self.since + LOST_AFTER),
        }
    }

    fn next_wake(&self) -> Option<MonoTime> {
        [self.ends_at(), self.restart_at].into_iter().flatten().min()
    }
}

fn invalid(message: &str) -> Refusal {
    Refusal { code: RefusalCode::InvalidPayload, message: message.to_owned() }
}

#[cfg(test)]
mod tests;
