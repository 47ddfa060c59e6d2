//! A WebSocket, whatever is spoken on it: how it opens, is kept alive, waits for a slow reader, and ends.
//!
//! In: frames, and words that others have left for it. Out: texts that were heard, one at a time. Who cannot keep up
//! or says nothing for half a minute is let go, and nobody else notices.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use axum::body::Body;
use axum::extract::Request;
use axum::http::{HeaderMap, HeaderValue, Method, StatusCode, header};
use axum::response::{IntoResponse, Response};
use futures_util::{SinkExt, StreamExt};
use hyper::upgrade::Upgraded;
use hyper_util::rt::TokioIo;
use tokio::sync::{Notify, mpsc};
use tokio::time::{Instant, Interval, MissedTickBehavior, interval, sleep_until, timeout};
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::handshake::derive_accept_key;
use tokio_tungstenite::tungstenite::protocol::frame::coding::CloseCode;
use tokio_tungstenite::tungstenite::protocol::{CloseFrame, Role, WebSocketConfig};
use tokio_tungstenite::tungstenite::{Error, Message as Frame, Utf8Bytes};

use super::door::Guest;

/// No message of any protocol here comes near it; what is longer is nonsense or worse.
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

pub(super) type Socket = WebSocketStream<TokioIo<Upgraded>>;

/// Opens a WebSocket for `attend`; whoever wanted something else is told what this is.
pub(super) fn upgrade<A, F>(mut request: Request, attend: A) -> Response
where
    A: FnOnce(Socket) -> F + Send + 'static,
    F: Future<Output = ()> + Send,
{
    let Some(accept) = accept_key(request.method(), request.headers()) else {
        return (
            StatusCode::UPGRADE_REQUIRED,
            [(header::UPGRADE, "websocket")],
            "this is a WebSocket\n",
        )
            .into_response();
    };
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
            attend(WebSocketStream::from_raw_socket(io, Role::Server, Some(config)).await).await;
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

/// How much may wait for one socket.
#[derive(Debug, Clone, Copy)]
pub(super) struct Waiting {
    pub words: usize,
    pub octets: usize,
}

/// A queue of words for one socket. Whoever is behind by more cannot keep up.
pub(super) fn queue(most: Waiting) -> (Outbox, Inbox) {
    let (words, waiting) = mpsc::channel(most.words);
    let octets = Arc::new(AtomicUsize::new(0));
    let kick = Arc::new(Notify::new());
    let inbox = Inbox { words: waiting, octets: octets.clone(), kick: kick.clone() };
    (Outbox { words, octets, most, kick }, inbox)
}

/// Where words for a socket are left.
#[derive(Debug)]
pub(super) struct Outbox {
    words: mpsc::Sender<Utf8Bytes>,
    octets: Arc<AtomicUsize>,
    most: Waiting,
    kick: Arc<Notify>,
}

impl Outbox {
    /// Whether the socket keeps up; one that does not is told to go.
    pub(super) fn offer(&self, text: Utf8Bytes) -> bool {
        let taken = self.put(text, self.most);
        if !taken {
            self.kick.notify_one();
        }
        taken
    }

    /// Whether there was a place for what the socket can do without: half of the queue is for what it cannot.
    pub(super) fn offer_spare(&self, text: Utf8Bytes) -> bool {
        self.put(text, Waiting { words: self.most.words / 2, octets: self.most.octets / 2 })
    }

    fn put(&self, text: Utf8Bytes, most: Waiting) -> bool {
        let (octets, words) = (text.len(), self.words.max_capacity() - self.words.capacity());
        let reserved = self.octets.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |before| {
            Some(before + octets).filter(|after| *after <= most.octets && words < most.words)
        });
        let taken = reserved.is_ok() && self.words.try_send(text).is_ok();
        if reserved.is_ok() && !taken {
            self.octets.fetch_sub(octets, Ordering::Relaxed);
        }
        taken
    }
}

/// Where a socket finds them.
#[derive(Debug)]
pub(super) struct Inbox {
    words: mpsc::Receiver<Utf8Bytes>,
    octets: Arc<AtomicUsize>,
    kick: Arc<Notify>,
}

impl Inbox {
    /// The next word; none when nobody can leave one any more.
    pub(super) async fn next(&mut self) -> Option<Utf8Bytes> {
        let text = self.words.recv().await?;
        self.octets.fetch_sub(text.len(), Ordering::Relaxed);
        Some(text)
    }
}

/// Why a socket ends.
#[derive(Debug)]
pub(super) enum End {
    /// It broke.
    Gone,
    /// The other side says goodbye.
    Farewell,
    /// It could not keep up, or has been silent for too long.
    Dead,
    /// We close it, with a last word.
    Dismissed(Option<Utf8Bytes>, CloseCode),
}

/// What somebody said.
#[derive(Debug)]
pub(super) enum Heard {
    Text(Utf8Bytes),
    /// None of the protocols here has a use for it.
    Binary,
}

/// One socket while it is open.
pub(super) struct Line {
    socket: Socket,
    inbox: Inbox,
    kick: Arc<Notify>,
    beat: Interval,
    heard: Instant,
    hush: Option<Instant>,
}

impl Line {
    pub(super) fn new(socket: Socket, inbox: Inbox) -> Self {
        let mut beat = interval(BEAT);
        beat.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let kick = inbox.kick.clone();
        Self { socket, inbox, kick, beat, heard: Instant::now(), hush: None }
    }

    /// The next text or binary frame. Words that wait for the socket are said before: who does not read them is not
    /// heard, either.
    pub(super) async fn hear(&mut self) -> Result<Heard, End> {
        loop {
            let next = tokio::select! {
                biased;
                () = self.kick.notified() => Next::Kicked,
                _ = self.beat.tick() => Next::Beat,
                word = self.inbox.next() => Next::Say(word),
                () = until(self.hush), if self.hush.is_some() => Next::Listen,
                frame = self.socket.next(), if self.hush.is_none() => Next::Heard(frame),
            };
            if let Some(heard) = self.handle(next).await? {
                return Ok(heard);
            }
        }
    }

    async fn handle(&mut self, next: Next) -> Result<Option<Heard>, End> {
        match next {
            Next::Kicked => return Err(End::Dead),
            Next::Beat => self.beat().await?,
            Next::Say(Some(word)) => self.say(word).await?,
            // The seat is gone: everybody is being sent home, or this one could not keep up.
            Next::Say(None) => return Err(End::Dismissed(None, CloseCode::Away)),
            Next::Listen => self.hush = None,
            Next::Heard(None) => return Err(End::Gone),
            Next::Heard(Some(Err(error))) => return Err(broken(&error)),
            Next::Heard(Some(Ok(frame))) => {
                self.heard = Instant::now();
                return meant(frame);
            }
        }
        Ok(None)
    }

    /// Says it at once, before whatever waits.
    pub(super) async fn say(&mut self, text: Utf8Bytes) -> Result<(), End> {
        self.send(Frame::Text(text)).await
    }

    /// It asked too often: it is not read for a moment.
    pub(super) fn hush(&mut self) {
        self.hush = Some(Instant::now() + HUSH);
    }

    async fn send(&mut self, frame: Frame) -> Result<(), End> {
        tokio::select! {
            () = self.kick.notified() => Err(End::Dead),
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

    /// The goodbye that belongs to this end.
    pub(super) async fn close(self, end: End) {
        match end {
            End::Dismissed(word, code) => dismiss(self.socket, word, code).await,
            End::Farewell => answer_farewell(self.socket).await,
            End::Gone | End::Dead => drop(self.socket),
        }
    }
}

enum Next {
    Kicked,
    Beat,
    Listen,
    Say(Option<Utf8Bytes>),
    Heard(Option<Result<Frame, Error>>),
}

fn meant(frame: Frame) -> Result<Option<Heard>, End> {
    match frame {
        Frame::Text(text) => Ok(Some(Heard::Text(text))),
        Frame::Binary(_) => Ok(Some(Heard::Binary)),
        Frame::Close(_) => Err(End::Farewell),
        // The library has answered the ping; a pong's worth is that it was heard.
        Frame::Ping(_) | Frame::Pong(_) | Frame::Frame(_) => Ok(None),
    }
}

async fn until(hush: Option<Instant>) {
    if let Some(end) = hush {
        sleep_until(end).await;
    }
}

/// The library has the answer ready; asking for more sends it.
async fn answer_farewell(mut socket: Socket) {
    let _ =
        timeout(GOODBYE, async { while socket.next().await.is_some_and(|it| it.is_ok()) {} }).await;
}

/// Last words, a close frame, and time to read them: closing at once would reset the connection and take the
/// words away again.
pub(super) async fn dismiss(mut socket: Socket, word: Option<Utf8Bytes>, code: CloseCode) {
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

/// What a socket that broke its own protocol is told.
fn broken(error: &Error) -> End {
    match error {
        Error::Capacity(_) => End::Dismissed(None, CloseCode::Size),
        Error::Utf8(_) => End::Dismissed(None, CloseCode::Invalid),
        Error::Protocol(_) | Error::AttackAttempt => End::Dismissed(None, CloseCode::Protocol),
        _ => End::Gone,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_is_behind_by_too_many_words_or_octets_is_told_to_go() {
        let (few, _inbox) = queue(Waiting { words: 2, octets: 100 });
        assert_eq!([0; 3].map(|_| few.offer("a".into())), [true, true, false]);
        let (small, _inbox) = queue(Waiting { words: 9, octets: 100 });
        let text: Utf8Bytes = "a".repeat(60).into();
        assert_eq!([0; 2].map(|_| small.offer(text.clone())), [true, false]);
    }

    #[tokio::test]
    async fn what_can_be_spared_leaves_half_of_the_queue_and_takes_nobody_s_place() {
        let (outbox, mut inbox) = queue(Waiting { words: 8, octets: 100 });
        let text: Utf8Bytes = "a".repeat(30).into();
        assert_eq!([0; 3].map(|_| outbox.offer_spare(text.clone())), [true, false, false]);
        assert_eq!([0; 3].map(|_| outbox.offer_spare("a".into())), [true; 3]);
        assert!(!outbox.offer_spare("a".into()), "half of the words");
        assert!(outbox.offer("a".repeat(60).into()), "what was refused took no place");
        for _ in 0..5 {
            assert!(inbox.next().await.is_some());
        }
        assert!(outbox.offer_spare(text), "there is room again");
    }

    #[tokio::test]
    async fn who_reads_has_room_again() {
        let (outbox, mut inbox) = queue(Waiting { words: 9, octets: 100 });
        for _ in 0..20 {
            assert!(outbox.offer("a".repeat(60).into()));
            assert_eq!(inbox.next().await.map(|it| it.len()), Some(60));
        }
    }
}
