//! Peer connections (WebRTC) of all phones: data channels, and a track of sound, behind one UDP port (SX-06).
//!
//! In: packets, and what the house asks for. Out: packets, and [`News`] of phones. Never: a decision (`engine::peers`
//! has them), a wait for anybody but the socket.
//!
//! str0m has ICE, DTLS, SCTP and SRTP as a machine without a socket, one for each phone; one thread (the *hub*) turns
//! whichever a packet, a timer or an order is for. What is on its way to a phone waits in that phone's machine, which
//! takes so much and no more: a phone that is slow loses messages of its own.
//!
//! The clock is asked on the channel `time`. Its `t2` is the kernel's stamp of the very packet that the question came
//! in: the hub reads one packet at a time and turns one machine with it, so whatever comes out came in that packet.

mod air;
mod hub;
mod peer;
mod tape;

use std::collections::BTreeMap;
use std::io;
use std::net::{IpAddr, SocketAddr, UdpSocket};
use std::sync::mpsc::{SyncSender, sync_channel};
use std::sync::{Arc, LazyLock};
use std::thread::JoinHandle;

use bytes::Bytes;
use engine::peers::{Channel, Link, Piece, Why};
use engine::phones::Limits;
use nix::sys::eventfd::{EfdFlags, EventFd};
use serde::Serialize;
use socket2::{Domain, Protocol, Socket, Type};
use tokio::sync::oneshot;
use units::{PhoneId, Span};
use wire::solusync::{MediaCodec, Refusal};

pub use air::{Air, AirSetup, Feature, Sound, TRACK_HZ};
pub use tape::Tape;

use crate::clock::BoxClock;

/// Orders that may wait for the hub: seconds of live sound. What finds no room is lost, and counted.
const ORDERS_MAX: usize = 1024;

/// What the hub starts from.
pub struct PeersSetup {
    /// From [`bind`].
    pub socket: UdpSocket,
    /// Answers questions of time.
    pub clock: BoxClock,
    /// TAI minus UTC, frozen for the show.
    pub tai_utc: Span,
    /// How much one phone may ask for.
    pub limits: Limits,
    /// Connections at a time.
    pub most: usize,
    /// `[net] phones`.
    pub interface: Option<String>,
    /// `[peers] announce`.
    pub announce: Vec<SocketAddr>,
    /// Hears what the hub has to say. On the hub's thread: it must not wait.
    pub tell: Box<dyn Fn(PhoneId, News) + Send>,
}

/// What the hub has to say of a phone.
#[derive(Debug, Clone, PartialEq)]
pub enum News {
    /// The answer to its offer.
    Answer(String),
    /// The box offers; the phone's [`Order::Answer`] is waited for.
    Offer(String),
    /// Its offer is refused.
    Refused(Refusal),
    /// It is connected, or was and is not.
    Link(Link),
    /// A channel can be spoken on from now on.
    Opened(Channel),
    /// It said something on `media` or `score`.
    Heard {
        /// On which.
        channel: Channel,
        /// Whether it was said as text.
        text: bool,
        /// What.
        bytes: Bytes,
    },
    /// It was told the time.
    Asked(IpAddr),
    /// Its connection has ended.
    Ended(Why),
}

/// What the hub is asked for.
#[derive(Debug)]
enum Order {
    Joined(PhoneId, Option<IpAddr>),
    Left(PhoneId),
    Offer(PhoneId, String),
    Answer(PhoneId, String),
    Say(Whom, Channel, Words),
    Frame(Frame),
    Live(Live),
    Picture(Picture),
    PicturesEnd,
    Glance(oneshot::Sender<Vec<PeerGlance>>),
    Stop,
}

/// Whom something is said to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Whom {
    /// Every phone with that channel.
    All,
    /// This one.
    One(PhoneId),
}

/// What is said on a channel.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Words {
    /// As text.
    Text(Bytes),
    /// As bytes.
    Binary(Bytes),
}

/// A packet of Opus for every phone with a track; its time counts on by its samples.
#[derive(Debug, Clone)]
pub struct Frame {
    /// One packet (RFC 7587).
    pub opus: Arc<[u8]>,
    /// Samples at 48 kHz since the track began.
    pub at: u64,
}

/// A chunk of live sound, as it is said on `media`: made once for all.
#[derive(Debug, Clone)]
pub struct Live {
    /// `media_data` with a packet of Opus.
    pub opus: Bytes,
    /// The same with samples.
    pub pcm16: Bytes,
}

/// A piece of a live picture, as it is said on `media`: made once for all.
#[derive(Debug, Clone)]
pub struct Picture {
    /// How it is coded.
    pub codec: MediaCodec,
    /// `media_data`.
    pub piece: Piece<Bytes>,
    /// For phones that do not take that codec.
    pub untaken: Untaken,
}

/// `media_untaken`, written once, and not before somebody needs it.
pub type Untaken = Arc<LazyLock<Bytes, Box<dyn FnOnce() -> Bytes + Send>>>;

/// A phone's connection, as `downbeat phones` shows it. What is not known is left open, never 0.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct PeerGlance {
    /// Whose.
    #[serde(skip)]
    pub phone: PhoneId,
    /// `connecting`, `connected`, `disconnected`.
    pub state: Link,
    /// Seconds since it is so.
    pub state_s: f64,
    /// Where packets go; none before there is a way.
    pub address: Option<SocketAddr>,
    /// The last round trip of ICE's own questions.
    pub rtt_ms: Option<f64>,
    /// Share of the track's packets that got lost, as the phone last reported; none without a track.
    pub loss: Option<f64>,
    /// Bytes that came in, at the last count.
    pub bytes_in: Option<u64>,
    /// Bytes that went out.
    pub bytes_out: Option<u64>,
    /// Channels that are open.
    pub channels: Vec<Channel>,
    /// Whether it takes a track of sound.
    pub track: bool,
    /// What was heard on each channel that was ever open, and said.
    pub traffic: BTreeMap<Channel, Traffic>,
    /// Octets of the box's memory that its connection has taken since it was made.
    pub held: Option<i64>,
    /// Messages and chunks for it that found no room.
    pub dropped: u64,
    /// Ways it has found since its first.
    pub restarts: u64,
}

/// Messages of one channel, and their bytes.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
pub struct Traffic {
    /// Messages that the phone said, answered or not.
    pub messages_in: u64,
    /// Their bytes.
    pub bytes_in: u64,
    /// Messages that its machine took from the box.
    pub messages_out: u64,
    /// Their bytes.
    pub bytes_out: u64,
}

/// The running hub. Dropping it ends every connection.
#[derive(Debug)]
pub struct Peers {
    thread: Option<JoinHandle<()>>,
    handle: PeersHandle,
}

/// The way to it; cheap to clone. Who joins or leaves waits for a place in the hub's queue, which is empty again within
/// one round of the hub; nothing else here waits.
#[derive(Debug, Clone)]
pub struct PeersHandle {
    queue: SyncSender<Order>,
    bell: Arc<EventFd>,
    port: u16,
}

/// A socket for [`PeersSetup`]: one port, IPv4 and IPv6, of which the kernel tells when and where packets came.
///
/// # Errors
/// The port is taken, or the system has no such socket.
pub fn bind(port: u16) -> io::Result<UdpSocket> {
    let six = SocketAddr::from(([0_u16; 8], port));
    let socket = bind_to(six).or_else(|_| bind_to(SocketAddr::from(([0_u8; 4], port))))?;
    // A thousand phones may speak in the same millisecond.
    let _ = socket.set_recv_buffer_size(4 << 20);
    let _ = socket.set_send_buffer_size(4 << 20);
    let socket = UdpSocket::from(socket);
    crate::datagram::ask_for_stamps(&socket)?;
    crate::datagram::ask_where_to(&socket)?;
    Ok(socket)
}

fn bind_to(address: SocketAddr) -> io::Result<Socket> {
    let socket = Socket::new(Domain::for_address(address), Type::DGRAM, Some(Protocol::UDP))?;
    if address.is_ipv6() {
        socket.set_only_v6(false)?;
    }
    socket.set_nonblocking(true)?;
    socket.bind(&address.into())?;
    Ok(socket)
}

impl Peers {
    /// Starts the hub.
    ///
    /// # Errors
    /// Where the system gives no thread or no event.
    pub fn start(setup: PeersSetup) -> io::Result<Self> {
        let bell = EventFd::from_flags(EfdFlags::EFD_NONBLOCK | EfdFlags::EFD_CLOEXEC)?;
        let bell = Arc::new(bell);
        let port = setup.socket.local_addr()?.port();
        let (queue, orders) = sync_channel(ORDERS_MAX);
        let hears = bell.clone();
        let hub = hub::Hub::new(setup)?;
        let thread = std::thread::Builder::new()
            .name("peers".into())
            .spawn(move || hub.run(&orders, &hears))?;
        Ok(Self { thread: Some(thread), handle: PeersHandle { queue, bell, port } })
    }

    /// The way to it.
    pub fn handle(&self) -> PeersHandle {
        self.handle.clone()
    }
}

impl Drop for Peers {
    fn drop(&mut self) {
        self.handle.order(Order::Stop);
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

impl PeersHandle {
    /// The UDP port that phones come to.
    pub fn port(&self) -> u16 {
        self.port
    }

    /// A phone has said `hello`; it may offer.
    pub fn joined(&self, phone: PhoneId, address: Option<IpAddr>) {
        self.order(Order::Joined(phone, address));
    }

    /// Its `/ws` has ended.
    pub fn left(&self, phone: PhoneId) {
        self.order(Order::Left(phone));
    }

    /// It offers; [`News::Answer`] or [`News::Refused`] follows.
    pub fn offer(&self, phone: PhoneId, description: String) {
        self.order(Order::Offer(phone, description));
    }

    /// It answers [`News::Offer`].
    pub fn answer(&self, phone: PhoneId, description: String) {
        self.order(Order::Answer(phone, description));
    }

    /// Says something on a channel. Phones that cannot take it now do not hear it; false if nobody does, since the
    /// hub has no room.
    pub fn say(&self, whom: Whom, channel: Channel, words: Words) -> bool {
        self.order(Order::Say(whom, channel, words))
    }

    /// Sends sound on every track whose phone does not take it on `media`; false if the hub has no room.
    pub fn frame(&self, frame: Frame) -> bool {
        self.order(Order::Frame(frame))
    }

    /// Says live sound to every phone that takes it on `media`; false if the hub has no room.
    pub fn live(&self, live: Live) -> bool {
        self.order(Order::Live(live))
    }

    /// Says a piece of a live picture to every phone that takes its codec on `media`; false if the hub has no room.
    pub fn picture(&self, picture: Picture) -> bool {
        self.order(Order::Picture(picture))
    }

    /// These pictures are on air no more; others may follow.
    pub fn pictures_end(&self) -> bool {
        self.order(Order::PicturesEnd)
    }

    /// Every connection; none where the hub is gone.
    pub async fn glance(&self) -> Option<Vec<PeerGlance>> {
        let (reply, answer) = oneshot::channel();
        self.order(Order::Glance(reply)).then_some(())?;
        answer.await.ok()
    }

    fn order(&self, order: Order) -> bool {
        let taken = match order {
            // These must not be lost, and are few.
            Order::Joined(..) | Order::Left(_) | Order::Stop => self.queue.send(order).is_ok(),
            order => self.queue.try_send(order).is_ok(),
        };
        // A bell that cannot be rung rings already.
        let _ = self.bell.write(1);
        taken
    }
}
