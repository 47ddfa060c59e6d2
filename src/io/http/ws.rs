//! `/ws`: SOLUSync-X with one phone.
//!
//! In: frames. Out: answers, and news for the engine. `engine::phones::Visitor` decides what is answered; the
//! time is asked and told right here, as close to the wire as a program gets (DESIGN: clock exchanges are
//! answered at the edge).

use std::sync::Arc;
use std::time::Duration;

use axum::Extension;
use axum::body::Body;
use axum::extract::{Request, State};
use axum::http::uri::Authority;
use axum::http::{HeaderMap, HeaderValue, Method, StatusCode, header};
use axum::response::{IntoResponse, Response};
use engine::phones::{Answer, Visitor, way, welcome};
use engine::told::Input;
use futures_util::{SinkExt, StreamExt};
use hyper::upgrade::Upgraded;
use hyper_util::rt::TokioIo;
use tokio::time::{Instant, MissedTickBehavior, interval, sleep_until, timeout};
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::handshake::derive_accept_key;
use tokio_tungstenite::tungstenite::protocol::frame::coding::CloseCode;
use tokio_tungstenite::tungstenite::protocol::{CloseFrame, Role, WebSocketConfig};
use tokio_tungstenite::tungstenite::{Error, Message as Frame, Utf8Bytes};
use units::{ShowTime, WireTime};
use wire::output::Device;
use wire::solusync::{ClockSyncResponse, Message, Refusal, RefusalCode, WebTransport};
use wire::time::Channel;

use super::crowd::Ticket;
use super::door::Guest;
use super::{House, Peer};
use crate::chance;

/// No message of this protocol comes near it; what is longer is nonsense or worse.
const MESSAGE_MAX: usize = 64 << 10;

/// A `hello` answer that names a thousand tracks fits several times.
const WRITE_MAX: usize = 1 << 20;

/// Somebody heard from within this is not pinged.
const BEAT: Duration = Duration::from_secs(10);

/// Nobody who answers pings is silent for so long; iOS drops sockets without a word (FACTS).
const DEAD_AFTER: Duration = Duration::from_secs(30);

/// A write that takes longer belongs to somebody who has stopped reading.
const WRITE_PATIENCE: Duration = Duration::from_secs(10);

/// How long a closing socket may take over its goodbye.
const GOODBYE: Duration = Duration::from_secs(1);

/// Not read for so long after it asked too often, so that a flood costs the one who sends it.
const HUSH: Duration = Duration::from_millis(2);

type Socket = WebSocketStream<TokioIo<Upgraded>>;

/// `GET /ws`.
pub(super) async fn upgrade(
    State(house): State<Arc<House>>,
    Extension(peer): Extension<Peer>,
    mut request: Request,
) -> Response {
    let Some(accept) = accept_key(request.method(), request.headers()) else {
        return (
            StatusCode::UPGRADE_REQUIRED,
            [(header::UPGRADE, "websocket")],
            "this is a WebSocket\n",
        )
            .into_response();
    };
    let host = host(request.headers());
    let upgrade = hyper::upgrade::on(&mut request);
    let guest = request.extensions_mut().remove::<Option<Arc<Guest>>>();
    tokio::spawn(async move {
        let _place = guest;
        // A client that asks for an upgrade and leaves is nobody's loss.
        if let Ok(upgraded) = upgrade.await {
            let config = WebSocketConfig::default()
                .read_buffer_size(4096)
                .write_buffer_size(0)
                .max_write_buffer_size(WRITE_MAX)
                .max_message_size(Some(MESSAGE_MAX))
                .max_frame_size(Some(MESSAGE_MAX));
            let io = TokioIo::new(upgraded);
            let socket = WebSocketStream::from_raw_socket(io, Role::Server, Some(config)).await;
            receive(house, peer, host, socket).await;
        }
    });
    switching_protocols(&accept)
}

fn switching_protocols(accept: &str) -> Response {
    let mut response = Response::new(Body::empty());
    *response.status_mut() = StatusCode::SWITCHING_PROTOCOLS;
    let headers = response.headers_mut();
    headers.insert(header::CONNECTION, HeaderValue::from_static("Upgrade"));
    headers.insert(header::UPGRADE, HeaderValue::from_static("websocket"));
    let accept = HeaderValue::from_str(accept).expect("base64 is a header value");
    headers.insert(header::SEC_WEBSOCKET_ACCEPT, accept);
    response
}

/// The answer to the client's key; none where this is no WebSocket handshake (RFC 6455, 4.2.1).
fn accept_key(method: &Method, headers: &HeaderMap) -> Option<String> {
    let says = |name, word: &str| {
        let values = headers.get_all(name).into_iter().filter_map(|value| value.to_str().ok());
        values.flat_map(|value| value.split(',')).any(|it| it.trim().eq_ignore_ascii_case(word))
    };
    let asked = method == Method::GET
        && says(header::CONNECTION, "upgrade")
        && says(header::UPGRADE, "websocket")
        && says(header::SEC_WEBSOCKET_VERSION, "13");
    let key = headers.get(header::SEC_WEBSOCKET_KEY)?;
    asked.then(|| derive_accept_key(key.as_bytes()))
}

/// The name by which the client has found us, with its port: what leads here for one thing does so for others.
fn host(headers: &HeaderMap) -> Option<Authority> {
    let named: Authority = headers.get(header::HOST)?.to_str().ok()?.parse().ok()?;
    (!named.as_str().contains('@')).then_some(named)
}

async fn receive(house: Arc<House>, peer: Peer, host: Option<Authority>, socket: Socket) {
    match house.crowd.enter(peer, &house.limits) {
        Ok(ticket) => attend(house, peer, host, socket, ticket).await,
        Err(refusal) => {
            let text = house.crowd.refusal(refusal);
            dismiss(socket, Some(text), CloseCode::Again).await;
        }
    }
}

/// Why a socket ends.
#[derive(Debug)]
enum End {
    /// It broke.
    Gone,
    /// The other side says goodbye.
    Farewell,
    /// It could not keep up, or has been silent for too long.
    Dead,
    /// We close it, with a last word.
    Dismissed(Option<Utf8Bytes>, CloseCode),
}

async fn attend(
    house: Arc<House>,
    peer: Peer,
    host: Option<Authority>,
    socket: Socket,
    ticket: Ticket,
) {
    let visitor = Visitor::new(&house.limits, peer.transport());
    let (heard, greeted, hush) = (Instant::now(), false, None);
    let mut seat = Attendance { house, peer, host, socket, ticket, visitor, greeted, heard, hush };
    let end = seat.run().await;
    let Attendance { house, socket, ticket, greeted, .. } = seat;
    let crowd = house.crowd.clone();
    crowd.leave(&ticket);
    if greeted {
        house.engine.tell(Input::PhoneLeft { phone: ticket.phone });
    }
    tracing::debug!(phone = %ticket.phone, ?end, "socket ended");
    match end {
        End::Dismissed(word, code) => dismiss(socket, word, code).await,
        End::Farewell => answer_farewell(socket).await,
        End::Gone | End::Dead => drop(socket),
    }
    crowd.left();
}

/// The library has the answer ready; asking for more sends it.
async fn answer_farewell(mut socket: Socket) {
    let _ =
        timeout(GOODBYE, async { while socket.next().await.is_some_and(|it| it.is_ok()) {} }).await;
}

/// Last words, a close frame, and time to read them: closing at once would reset the connection and take the
/// words away again.
async fn dismiss(mut socket: Socket, word: Option<Utf8Bytes>, code: CloseCode) {
    let goodbye = async {
        if let Some(word) = word {
            socket.feed(Frame::Text(word)).await?;
        }
        let frame = CloseFrame { code, reason: Utf8Bytes::default() };
        socket.send(Frame::Close(Some(frame))).await?;
        while let Some(frame) = socket.next().await {
            frame?;
        }
        Ok::<_, Error>(())
    };
    // Whoever does not say goodbye in time is left without.
    let _ = timeout(GOODBYE, goodbye).await;
}

/// One socket while it is open.
struct Attendance {
    house: Arc<House>,
    peer: Peer,
    host: Option<Authority>,
    socket: Socket,
    ticket: Ticket,
    visitor: Visitor,
    greeted: bool,
    heard: Instant,
    hush: Option<Instant>,
}

impl Attendance {
    async fn run(&mut self) -> End {
        let mut beat = interval(BEAT);
        beat.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let kick = self.ticket.kick.clone();
        loop {
            let next = tokio::select! {
                () = kick.notified() => Next::Kicked,
                _ = beat.tick() => Next::Beat,
                word = self.ticket.queue.recv() => Next::Say(word),
                () = until(self.hush), if self.hush.is_some() => Next::Listen,
                frame = self.socket.next(), if self.hush.is_none() => {
                    // As early as a program can know it: this is t2 of a clock exchange.
                    Next::Heard(self.house.clock.now(), frame)
                }
            };
            if let Err(end) = self.handle(next).await {
                return end;
            }
        }
    }

    async fn handle(&mut self, next: Next) -> Result<(), End> {
        match next {
            Next::Kicked => Err(End::Dead),
            Next::Beat => self.beat().await,
            Next::Say(Some(word)) => self.say(word).await,
            // The seat is gone: everybody is being sent home, or this one could not keep up.
            Next::Say(None) => Err(End::Dismissed(None, CloseCode::Away)),
            Next::Listen => {
                self.hush = None;
                Ok(())
            }
            Next::Heard(_, None) => Err(End::Gone),
            Next::Heard(_, Some(Err(error))) => Err(broken(&error)),
            Next::Heard(now, Some(Ok(frame))) => {
                self.heard = Instant::now();
                self.handle_frame(now, frame).await
            }
        }
    }

    async fn handle_frame(&mut self, now: ShowTime, frame: Frame) -> Result<(), End> {
        match frame {
            Frame::Text(text) => {
                let answer = self.visitor.handle_text(now, &text);
                self.answer(now, answer).await
            }
            Frame::Binary(_) => {
                let answer = self.visitor.handle_binary(now);
                self.answer(now, answer).await
            }
            Frame::Close(_) => Err(End::Farewell),
            // The library has answered the ping; a pong's worth is that it was heard.
            Frame::Ping(_) | Frame::Pong(_) | Frame::Frame(_) => Ok(()),
        }
    }

    async fn answer(&mut self, now: ShowTime, answer: Answer) -> Result<(), End> {
        let phone = self.ticket.phone;
        match answer {
            Answer::Nothing => {}
            Answer::Clock(t1) => {
                let counts = self.house.crowd.counts();
                counts.clock_syncs.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
                let t2 = WireTime::from_show(now, self.house.tai_utc);
                let t3 = self.house.crowd.wire_now();
                self.tell(&Message::ClockSyncResponse(ClockSyncResponse { t1, t2, t3 })).await?;
                self.house.crowd.note_asked(phone, Channel::WebSocket, self.peer.address());
            }
            Answer::Welcome { device } => self.welcome(device).await?,
            Answer::Played { message, at } => {
                let at = at.to_show(self.house.tai_utc);
                self.house.engine.tell_from_phone(Input::PhonePlayed { phone, message, at });
            }
            Answer::Calibrated(said) => {
                self.house.engine.tell_from_phone(Input::PhoneCalibrated { phone, said });
            }
            Answer::Status(status) => {
                self.house.crowd.note_status(phone, &status);
                self.house.engine.tell_from_phone(Input::PhoneStatus { phone, status });
            }
            Answer::Calibrate => {
                self.house.engine.tell_from_phone(Input::PhoneAsksCalibration { phone });
            }
            Answer::Refuse(refusal) => self.refuse(refusal).await?,
            Answer::Dismiss(refusal) => {
                let word = self.house.crowd.refusal(refusal);
                return Err(End::Dismissed(Some(word), CloseCode::Policy));
            }
        }
        Ok(())
    }

    /// First who we are, then a place among those who hear everything, then the engine says what plays now.
    async fn welcome(&mut self, device: Option<Device>) -> Result<(), End> {
        let webtransport = self.webtransport();
        let mut welcome = welcome(self.house.facts.node_id, &self.house.show, webtransport);
        welcome.output_delay = device.and_then(|it| self.house.phones.delay_of(&it));
        self.tell(&Message::Welcome(welcome)).await?;
        self.house.crowd.greet(self.ticket.phone);
        self.greeted = true;
        let phone = self.ticket.phone;
        let way = way(&self.house.access_points, self.ticket.address());
        self.house.engine.tell(Input::PhoneJoined { phone, way });
        Ok(())
    }

    /// Where this phone may ask the time in datagrams. It says which phone it is, so that `phones` can tell.
    fn webtransport(&self) -> Option<WebTransport> {
        let certificates = self.house.certificates.as_ref();
        let certificates = certificates.filter(|_| matches!(self.peer, Peer::Secure(_)))?;
        let (host, phone) = (self.host.as_ref()?, self.ticket.phone.0);
        Some(WebTransport {
            url: format!("https://{host}/time?phone={phone}"),
            certificate_hashes: certificates.hashes(),
        })
    }

    async fn refuse(&mut self, refusal: Refusal) -> Result<(), End> {
        if refusal.code == RefusalCode::RateLimited {
            self.hush = Some(Instant::now() + HUSH);
        }
        let text = self.house.crowd.refusal(refusal);
        self.say(text).await
    }

    async fn tell(&mut self, message: &Message) -> Result<(), End> {
        let text = self.house.crowd.text(chance::uuid(), message);
        self.say(text).await
    }

    async fn say(&mut self, text: Utf8Bytes) -> Result<(), End> {
        self.send(Frame::Text(text)).await
    }

    async fn send(&mut self, frame: Frame) -> Result<(), End> {
        let kick = self.ticket.kick.clone();
        tokio::select! {
            () = kick.notified() => Err(End::Dead),
            sent = timeout(WRITE_PATIENCE, self.socket.send(frame)) => match sent {
                Ok(Ok(())) => Ok(()),
                Ok(Err(_)) => Err(End::Gone),
                Err(_) => Err(End::Dead),
            }
        }
    }

    async fn beat(&mut self) -> Result<(), End> {
        match self.heard.elapsed() {
            silent if silent >= DEAD_AFTER => Err(End::Dead),
            silent if silent >= BEAT => self.send(Frame::Ping(bytes::Bytes::new())).await,
            _ => Ok(()),
        }
    }
}

enum Next {
    Kicked,
    Beat,
    Listen,
    Say(Option<Utf8Bytes>),
    Heard(ShowTime, Option<Result<Frame, Error>>),
}

async fn until(hush: Option<Instant>) {
    if let Some(end) = hush {
        sleep_until(end).await;
    }
}

/// What a socket that broke its own protocol is told.
fn broken(error: &Error) -> End {
    match error {
        Error::Capacity(_) => End::Dismissed(None, CloseCode::Size),
        Error::Utf8(_) => End::Dismissed(None, CloseCode::Invalid),
        Error::Protocol(_) | Error::AttackAttempt => End::Dismissed(None, CloseCode::Protocol),
        _ => End::Gone,
    }
}
