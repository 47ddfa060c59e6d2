//! WebTransport `/sync`: phones ask the time in datagrams, which neither queue behind anything nor are sent again, and may say
//! and hear everything else on a stream beside them (`lines`).
//!
//! In: datagrams. Out: the time, as close to the wire as a program gets: `t2` is the kernel's stamp where there is
//! one. `engine::asker` decides what is answered; the engine's queue is never touched.

use std::io;
use std::net::{IpAddr, SocketAddr, UdpSocket};
use std::pin::pin;
use std::sync::atomic::Ordering;
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};
use std::time::Duration;

use axum::http::uri::Authority;
use engine::asker::{Answer, Asker};
use engine::phones::Doorkeeper;
use quinn::crypto::rustls::QuicServerConfig;
use quinn::{EndpointConfig, IdleTimeout, ServerConfig, TokioRuntime, TransportConfig, VarInt};
use tokio::time::timeout;
use tokio_tungstenite::tungstenite::protocol::frame::coding::CloseCode;
use units::{PhoneId, ShowTime, Span};
use wire::time::{self as datagram, Channel};
use wtransport::endpoint::{IncomingSessionFuture, SessionRequest};
use wtransport::{Connection, VarInt as Code};

use super::crowd::{CarrierKind, Ticket};
use super::lines::Lines;
use super::outbox::nobody;
use super::socket::End;
use super::stamped::{Arrivals, StampedSocket};
use super::tls::Certificates;
use super::ws::{self, Carrier};
use super::{House, Peer};

/// A handshake and the request after it take a few round trips; nobody honest needs longer.
const GREETING: Duration = Duration::from_secs(10);

/// Nothing at all came for so long, not even an answer to [`KEEP_ALIVE`]: the phone has gone.
const IDLE_MS: u32 = 30_000;

/// As sockets are pinged. A phone may be asked to ask more seldom than browsers bear a session that is quiet.
const KEEP_ALIVE: Duration = Duration::from_secs(10);

/// However seldom a phone is asked to ask: one that has asked nothing for so long, and has opened no
/// stream, wants nothing here.
const SILENCE_MAX: Duration = Duration::from_secs(180);

/// Handshakes under way from which on a stranger first has to show that its address is its own.
const STRANGERS_MAX: usize = 64;

/// Sessions of all addresses together; each may take some hundred kilobytes. Who finds no room asks on `/ws`.
const SESSIONS_MAX: usize = 4096;

/// A session is its request, HTTP/3's own three streams and the one for messages; nothing else is ever opened.
const STREAMS_MAX: u32 = 8;

/// Bytes that one session may keep waiting, in either direction: datagrams of some thirty, messages of some hundred.
const WAITING_MAX: u32 = 16 << 10;

/// Why a session was closed, for the other side.
const TOO_MUCH: Code = Code::from_u32(1);
const GONE_QUIET: Code = Code::from_u32(2);
const GOODBYE: Code = Code::from_u32(0);

/// The door of UDP.
#[derive(Debug)]
pub(super) struct QuicDoor {
    endpoint: quinn::Endpoint,
    arrivals: Arc<Arrivals>,
}

impl QuicDoor {
    /// Listens on a bound socket. Must be called in a runtime.
    pub(super) fn new(socket: UdpSocket, certificates: &Arc<Certificates>) -> io::Result<Self> {
        let arrivals = Arc::new(Arrivals::default());
        let socket = Arc::new(StampedSocket::new(socket, arrivals.clone())?);
        let (ours, server) = (EndpointConfig::default(), server(certificates)?);
        let runtime = Arc::new(TokioRuntime);
        let endpoint =
            quinn::Endpoint::new_with_abstract_socket(ours, Some(server), socket, runtime)?;
        Ok(Self { endpoint, arrivals })
    }

    /// Lets sessions in until it is dropped; then all of them end.
    pub(super) async fn answer(self, house: Arc<House>) {
        let door = Doorkeeper::new(house.limits.connections_per_address);
        let door = Arc::new(Mutex::new(door));
        while let Some(incoming) = self.endpoint.accept().await {
            let unknown = !incoming.remote_address_validated();
            if unknown && self.endpoint.open_connections() > STRANGERS_MAX {
                // Costs no memory here and a round trip there.
                let _ = incoming.retry();
                continue;
            }
            if self.endpoint.open_connections() > SESSIONS_MAX {
                incoming.refuse();
                continue;
            }
            let Some(place) = Place::enter(&door, incoming.remote_address()) else {
                incoming.refuse();
                continue;
            };
            let (house, arrivals) = (house.clone(), self.arrivals.clone());
            tokio::spawn(async move {
                let session = IncomingSessionFuture::with_quic_incoming(incoming);
                let greeted = timeout(GREETING, greet(session)).await;
                if let Ok(Some((session, asked))) = greeted {
                    attend(house, &arrivals, &session, asked).await;
                }
                drop(place);
            });
        }
    }
}

impl Drop for QuicDoor {
    fn drop(&mut self) {
        self.endpoint.close(VarInt::from_u32(0), b"");
    }
}

fn server(certificates: &Arc<Certificates>) -> io::Result<ServerConfig> {
    let tls = certificates.server(wtransport::proto::WEBTRANSPORT_ALPN);
    let crypto = QuicServerConfig::try_from(tls).map_err(io::Error::other)?;
    let mut server = ServerConfig::with_crypto(Arc::new(crypto));
    let mut transport = TransportConfig::default();
    transport
        .max_idle_timeout(Some(IdleTimeout::from(VarInt::from_u32(IDLE_MS))))
        .keep_alive_interval(Some(KEEP_ALIVE))
        .max_concurrent_bidi_streams(STREAMS_MAX.into())
        .max_concurrent_uni_streams(STREAMS_MAX.into())
        .stream_receive_window(WAITING_MAX.into())
        .receive_window(WAITING_MAX.into())
        .send_window(WAITING_MAX.into())
        .datagram_receive_buffer_size(Some(WAITING_MAX as usize))
        .datagram_send_buffer_size(WAITING_MAX as usize)
        .mtu_discovery_config(None);
    server.transport_config(Arc::new(transport));
    Ok(server)
}

/// One of the sessions of an address, as long as it lives.
struct Place {
    door: Arc<Mutex<Doorkeeper>>,
    address: IpAddr,
}

impl Place {
    fn enter(door: &Arc<Mutex<Doorkeeper>>, from: SocketAddr) -> Option<Self> {
        let address = from.ip().to_canonical();
        locked(door).enter(address).ok()?;
        Some(Self { door: door.clone(), address })
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        locked(&self.door).leave(self.address);
    }
}

fn locked(door: &Mutex<Doorkeeper>) -> MutexGuard<'_, Doorkeeper> {
    door.lock().unwrap_or_else(PoisonError::into_inner)
}

/// What a client asked for: `/sync?phone=17` as `hello` told it, or without that; `/time`, by which clients that want no more
/// than the time know it, is the same.
struct Asked {
    path: String,
    /// Which phone it says it is.
    phone: Option<PhoneId>,
    /// The name by which it has found us.
    host: Option<Authority>,
}

/// The session that somebody asks for.
async fn greet(session: IncomingSessionFuture) -> Option<(Connection, Asked)> {
    let request = match session.await {
        Ok(request) => request,
        Err(error) => {
            tracing::debug!(%error, "no session");
            return None;
        }
    };
    let Some(asked) = asked_for(&request) else {
        request.not_found().await;
        return None;
    };
    Some((request.accept().await.ok()?, asked))
}

fn asked_for(request: &SessionRequest) -> Option<Asked> {
    let (path, query) = request.path().split_once('?').unwrap_or((request.path(), ""));
    let phone = query.strip_prefix("phone=").and_then(|id| id.parse().ok()).map(PhoneId);
    let (whole, host) = (request.path().to_owned(), ws::named(request.authority()));
    matches!(path, "/sync" | "/time").then_some(Asked { path: whole, phone, host })
}

/// A session, until it or what is said in it ends.
async fn attend(house: Arc<House>, arrivals: &Arrivals, session: &Connection, asked: Asked) {
    let from = Some(session.remote_address().ip().to_canonical());
    let had_turn = asked.phone.is_some_and(|phone| house.crowd.is_welcome(phone, from));
    let sitter = Sitter { seated: OnceLock::new(), said: asked.phone, had_turn };
    let mut talk = pin!(talk(&house, session, asked, &sitter));
    tokio::select! {
        () = &mut talk => session.close(GOODBYE, b""),
        // What has ended the session ends the talk.
        () = answer(&house, arrivals, session, &sitter) => talk.await,
    }
}

/// Who is in a session.
struct Sitter {
    /// The phone that says everything here, once it does.
    seated: OnceLock<PhoneId>,
    /// The one that its client says it is.
    said: Option<PhoneId>,
    /// That one was welcomed on its socket: a house that comes at once need not queue up twice.
    had_turn: bool,
}

/// What is said on the first stream that the client opens, if it opens one.
async fn talk(house: &Arc<House>, session: &Connection, asked: Asked, sitter: &Sitter) {
    let Ok(stream) = session.accept_bi().await else { return };
    let (peer, Asked { path, host, .. }) = (Peer::Secure(session.remote_address()), asked);
    match house.crowd.enter(peer, CarrierKind::Quic) {
        Ok(Ticket { phone, inbox, heard }) => {
            sitter.seated.get_or_init(|| phone);
            let lines = Lines::new(stream, inbox, (path, sitter.had_turn));
            ws::attend(house.clone(), peer, host, lines, (phone, heard)).await;
        }
        Err(refusal) => {
            let word = house.crowd.refusal(refusal);
            let lines = Lines::new(stream, nobody(), (path, false));
            lines.close(End::Dismissed(Some(word), CloseCode::Again)).await;
        }
    }
}

/// Answers datagrams until the session ends.
async fn answer(house: &House, arrivals: &Arrivals, session: &Connection, sitter: &Sitter) {
    let mut asker = Asker::new(&house.limits);
    let counts = house.crowd.counts();
    loop {
        let Ok(heard) = timeout(SILENCE_MAX, session.receive_datagram()).await else {
            if sitter.seated.get().is_some() {
                continue;
            }
            return session.close(GONE_QUIET, b"nothing asked");
        };
        let Ok(bytes) = heard else { return };
        let read = house.clock.mono_now();
        let came = arrivals.of(session.remote_address(), read);
        let now = house.clock.show(came);
        match asker.handle(now, &bytes) {
            Answer::Clock(question) => {
                let t2_ns = unix_ns(now, house.tai_utc);
                let t3_ns = unix_ns(house.clock.now(), house.tai_utc);
                let answer = datagram::Answer { t1: question.t1, t2_ns, t3_ns };
                // A session that is just ending says so at the next reading.
                let _ = session.send_datagram(answer.emit());
                // What is only for watchers comes after the answer.
                let lead_ns = (read - came).ns().unsigned_abs();
                counts.time_datagrams_lead_ns.fetch_add(lead_ns, Ordering::Relaxed);
                counts.time_datagrams.fetch_add(1, Ordering::Relaxed);
                let from = Some(session.remote_address().ip().to_canonical());
                if let Some(phone) = sitter.seated.get().copied().or(sitter.said) {
                    house.crowd.note_asked(phone, Channel::WebTransport, from);
                }
            }
            Answer::Nothing => {
                counts.time_datagrams_unanswered.fetch_add(1, Ordering::Relaxed);
            }
            Answer::Dismiss => return session.close(TOO_MUCH, b"too much"),
        }
    }
}

fn unix_ns(at: ShowTime, tai_utc: Span) -> i64 {
    (at - tai_utc).ns()
}
