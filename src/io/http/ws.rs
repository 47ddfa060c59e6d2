//! `/ws`: SOLUSync-X with one phone, on whatever carries its messages.
//!
//! In: texts. Out: answers, and news for the engine. `engine::phones::Visitor` decides what is answered; the
//! time is asked and told right here, as close to the wire as a program gets (DESIGN: clock exchanges are
//! answered at the edge).

use std::sync::Arc;
use std::time::Duration;

use axum::Extension;
use axum::extract::{Request as HttpRequest, State};
use axum::http::uri::Authority;
use axum::http::{HeaderMap, header};
use axum::response::Response;
use engine::hush::{Hush, Patience};
use engine::phones::{Answer, Visitor, way, welcome};
use engine::told::{Command, Input, Request};
use tokio_tungstenite::tungstenite::protocol::frame::coding::CloseCode;
use units::{CommandId, PhoneId, ShowTime, WireTime};
use uuid::Uuid;
use wire::output::Device;
use wire::solusync::{
    ClockSyncResponse, MediaControl, Message, Refusal, RefusalCode, Signaling, WebTransport,
};
use wire::time::Channel;
use wire::token::Role;

use super::crowd::{CarrierKind, Pulse, Ticket};
use super::outbox::Word;
use super::peering::Kept;
use super::socket::{self, End, Heard, Line};
use super::stream::Stream;
use super::tokens::Denied;
use super::{House, Peer};

/// What carries one phone's messages: a WebSocket, or a stream of QUIC.
pub(super) trait Carrier: Send {
    /// The next message. Words that wait are said before.
    fn hear(&mut self) -> impl Future<Output = Result<Heard, End>> + Send;
    /// Does not hear it for so long.
    fn pause(&mut self, span: Duration) -> impl Future<Output = Result<(), End>> + Send;
    /// Throws away what it says for so long.
    fn ignore(&mut self, span: Duration) -> impl Future<Output = Result<(), End>> + Send;
    /// Says it behind whatever waits.
    fn say(&mut self, word: Word) -> impl Future<Output = Result<(), End>> + Send;
    /// The goodbye that belongs to this end.
    fn close(self, end: End) -> impl Future<Output = ()> + Send;
    /// Whether its phone has had its turn just now, on the socket that it comes from; true once.
    fn take_turn(&mut self) -> bool;
    /// Where its phone finds WebTransport, having found the box by that name.
    fn door(&self, phone: PhoneId, host: &Authority) -> String;
}

impl Carrier for Line {
    fn hear(&mut self) -> impl Future<Output = Result<Heard, End>> + Send {
        self.hear()
    }
    fn pause(&mut self, span: Duration) -> impl Future<Output = Result<(), End>> + Send {
        Self::pause(self, span)
    }
    fn ignore(&mut self, span: Duration) -> impl Future<Output = Result<(), End>> + Send {
        Self::ignore(self, span)
    }
    fn say(&mut self, word: Word) -> impl Future<Output = Result<(), End>> + Send {
        self.say(word)
    }
    fn close(self, end: End) -> impl Future<Output = ()> + Send {
        self.close(end)
    }
    fn take_turn(&mut self) -> bool {
        false
    }
    /// It says which phone it is, so that `phones` can tell.
    fn door(&self, phone: PhoneId, host: &Authority) -> String {
        format!("https://{host}/sync?phone={phone}")
    }
}

/// `GET /ws`.
pub(super) async fn upgrade(
    State(house): State<Arc<House>>,
    Extension(peer): Extension<Peer>,
    request: HttpRequest,
) -> Response {
    let host = host(request.headers());
    socket::upgrade(request, move |stream| receive(house, peer, host, stream))
}

/// The name by which the client has found us, with its port: what leads here for one thing does so for others.
fn host(headers: &HeaderMap) -> Option<Authority> {
    named(headers.get(header::HOST)?.to_str().ok()?)
}

/// A name without what browsers would take for a login.
pub(super) fn named(host: &str) -> Option<Authority> {
    host.parse().ok().filter(|named: &Authority| !named.as_str().contains('@'))
}

async fn receive(house: Arc<House>, peer: Peer, host: Option<Authority>, stream: Stream) {
    match house.crowd.enter(peer, CarrierKind::WebSocket) {
        Ok(Ticket { phone, inbox, heard }) => {
            attend(house, peer, host, Line::new(stream, inbox), (phone, heard)).await;
        }
        Err(refusal) => {
            let text = house.crowd.refusal(refusal);
            socket::turn_away(stream, Some(text), CloseCode::Again).await;
        }
    }
}

/// One who has a seat, until the end.
pub(super) async fn attend<L: Carrier>(
    house: Arc<House>,
    peer: Peer,
    host: Option<Authority>,
    line: L,
    (phone, heard): (PhoneId, Pulse),
) {
    let visitor = Visitor::new(&house.limits, peer.transport());
    let (patience, greeted, kept) = (Patience::default(), false, None);
    let mut seat =
        Attendance { house, peer, host, line, phone, visitor, heard, patience, greeted, kept };
    let end = seat.run().await;
    let Attendance { house, line, greeted, kept, .. } = seat;
    drop(kept);
    let crowd = house.crowd.clone();
    crowd.leave(phone, peer);
    if greeted {
        house.engine.tell(Input::PhoneLeft { phone });
    }
    tracing::debug!(%phone, ?end, "socket ended");
    line.close(end).await;
    crowd.left();
}

/// One phone while it is there.
struct Attendance<L> {
    house: Arc<House>,
    peer: Peer,
    host: Option<Authority>,
    line: L,
    phone: PhoneId,
    visitor: Visitor,
    heard: Pulse,
    patience: Patience,
    greeted: bool,
    /// Where it may offer a peer connection, from its `hello` on.
    kept: Option<Kept>,
}

impl<L: Carrier> Attendance<L> {
    async fn run(&mut self) -> End {
        loop {
            if let Err(end) = self.next().await {
                return end;
            }
        }
    }

    async fn next(&mut self) -> Result<(), End> {
        let heard = self.line.hear().await?;
        // As early as a program can know it: this is t2 of a clock exchange.
        let now = self.house.clock.now();
        self.heard.note(now);
        let answer = match heard {
            Heard::Text(text) => self.visitor.handle_text(now, &text),
            Heard::Binary => self.visitor.handle_binary(now),
        };
        self.answer(now, answer).await
    }

    async fn answer(&mut self, now: ShowTime, answer: Answer) -> Result<(), End> {
        let phone = self.phone;
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
            Answer::Prove { token, device } => {
                let (at, from) = (self.house.clock.mono_now(), self.peer.address());
                let proof = self.house.tokens.judge(at, from, &token).map_err(Denied::refusal);
                let answer = self.visitor.handle_proof(now, device, proof);
                Box::pin(self.answer(now, answer)).await?;
            }
            Answer::Media { id, control, by } => self.control(id, control, by).await?,
            Answer::Played(said) => {
                let input = Input::played(phone, &said, self.house.tai_utc);
                self.house.engine.tell_from_phone(input);
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

    /// What an operator asks is done as if it were asked on the control socket; every phone hears it, this one too.
    async fn control(&mut self, id: Uuid, control: MediaControl, by: String) -> Result<(), End> {
        let (id, command) = (CommandId(id.to_string()), Command::Media { control });
        let from = format!("operator {by} on phone {}", self.phone).replace("  ", " ");
        match self.house.engine.command(Request { id, command, from }).await {
            Ok(Err(refused)) => {
                let message = refused.to_string();
                self.refuse(Refusal { code: RefusalCode::InvalidPayload, message }).await
            }
            // An engine that is gone is everybody's trouble, and said elsewhere.
            Ok(Ok(_)) | Err(_) => Ok(()),
        }
    }

    /// Those who wait are answered one after the other. An operator is one of few, and has work to do.
    async fn wait_for_turn(&mut self) -> Result<(), End> {
        let Some(address) = self.peer.address() else { return Ok(()) };
        if self.visitor.role_shown() == Role::Operator || self.line.take_turn() {
            return Ok(());
        }
        self.line.pause(self.house.crowd.knock(address)).await?;
        self.line.pause(self.house.crowd.queue_up()).await
    }

    /// First who we are, then a place among those who hear everything, then the engine says what plays now.
    async fn welcome(&mut self, device: Option<Device>) -> Result<(), End> {
        self.wait_for_turn().await?;
        let standing = self.house.crowd.standing();
        let mut welcome = welcome(standing, &self.house.show, self.webtransport());
        welcome.signaling = self.signaling().map(Box::new);
        welcome.calibrates = Some(self.house.calibrates);
        welcome.output_delay = device.and_then(|it| self.house.phones.delay_of(&it));
        self.tell(&Message::Welcome(Box::new(welcome))).await?;
        let phone = self.phone;
        self.house.crowd.greet(phone, self.visitor.role_shown(), self.visitor.name());
        self.greeted = true;
        let way = way(&self.house.access_points, self.peer.address());
        self.house.engine.tell(Input::PhoneJoined { phone, way });
        Ok(())
    }

    /// Where this phone may offer a peer connection; the same place whenever it says hello.
    fn signaling(&mut self) -> Option<Signaling> {
        let peering = self.house.peering.as_ref()?;
        let (phone, address) = (self.phone, self.peer.address());
        let kept = self.kept.get_or_insert_with(|| peering.keep(phone, address));
        Some(kept.signaling())
    }

    /// Where this phone may ask the time in datagrams, and say everything else.
    fn webtransport(&self) -> Option<WebTransport> {
        let certificates = self.house.certificates.as_ref();
        let certificates = certificates.filter(|_| matches!(self.peer, Peer::Secure(_)))?;
        Some(WebTransport {
            url: self.line.door(self.phone, self.host.as_ref()?),
            messages: self.house.phones_by_quic,
            certificate_hashes: certificates.hashes(),
        })
    }

    async fn refuse(&mut self, refusal: Refusal) -> Result<(), End> {
        let text = self.house.crowd.refusal(refusal);
        self.line.say(text).await?;
        match self.patience.handle_refused(self.house.clock.now()) {
            Hush::Wait(span) => self.line.pause(span.to_std()).await,
            Hush::Ignore(span) => self.line.ignore(span.to_std()).await,
        }
    }

    async fn tell(&mut self, message: &Message) -> Result<(), End> {
        let text = self.house.crowd.text(message);
        self.line.say(text).await
    }
}
