//! A WebSocket, whatever is spoken on it: how it opens, is kept alive, waits for a slow reader, and ends.
//!
//! In: frames, and words that others have left for it. Out: texts that were heard, one at a time. Who cannot keep up
//! or says nothing for half a minute is let go, and nobody else notices.

use std::collections::VecDeque;
use std::future::poll_fn;
use std::io::{self, Read, Write};
use std::mem::{self, MaybeUninit};
use std::sync::{Arc, OnceLock};
use std::task::{Poll, ready};
use std::time::Duration;

use axum::body::Body;
use axum::extract::Request;
use axum::http::{HeaderMap, HeaderValue, Method, StatusCode, header};
use axum::response::{IntoResponse, Response};
use bytes::Bytes;
use tokio::io::ReadBuf;
use tokio::time::{Instant, Interval, MissedTickBehavior, interval_at, sleep_until, timeout};
use tokio_tungstenite::tungstenite::handshake::derive_accept_key;
use tokio_tungstenite::tungstenite::protocol::frame::Frame;
use tokio_tungstenite::tungstenite::protocol::frame::coding::CloseCode;
use tokio_tungstenite::tungstenite::protocol::{
    CloseFrame, Role, WebSocketConfig, WebSocketContext,
};
use tokio_tungstenite::tungstenite::{Error, Message, Utf8Bytes};

use super::door::{Guest, Inside};
use super::outbox::{Inbox, Over, Word, nobody};
use super::stream::{Ears, Stream};

/// No message of any protocol here comes near it; what is longer is nonsense or worse.
pub(super) const MESSAGE_MAX: usize = 64 << 10;

/// What a socket holds of what it has not understood yet, at first; a longer message has it grow.
const PART: usize = 256;

/// Octets that are read at once, into memory that no socket holds while it waits.
const READ: usize = 4096;

/// Somebody heard from within this is not pinged.
const BEAT: Duration = Duration::from_secs(10);

/// Sockets whose beats are due within this are woken for together: alone each costs several times as much.
const TOGETHER: Duration = Duration::from_millis(250);

/// Nobody who answers pings is silent for so long; iOS drops sockets without a word (FACTS).
const DEAD_AFTER: Duration = Duration::from_secs(30);

/// How long a closing socket may take over its goodbye.
pub(super) const GOODBYE: Duration = Duration::from_secs(1);

/// Opens a WebSocket for `attend`; whoever wanted something else is told what this is.
pub(super) fn upgrade<A, F>(mut request: Request, attend: A) -> Response
where
    A: FnOnce(Stream) -> F + Send + 'static,
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
    let Inside(inside) = request.extensions_mut().remove().expect("every route has it");
    tokio::spawn(async move {
        // A client that asks for an upgrade and leaves is nobody's loss.
        if let Some(stream) = upgrade.await.ok().and_then(|it| Stream::of(it, &inside)) {
            inside.spawn(async move {
                let _place = guest;
                attend(stream).await;
            });
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
    Dismissed(Option<Word>, CloseCode),
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
    ears: Ears,
    inbox: Inbox,
    grammar: Grammar,
    heard_at: Instant,
    beat: Interval,
}

impl Line {
    pub(super) fn new(stream: Stream, inbox: Inbox) -> Self {
        let mut beat = interval_at(in_company(Instant::now() + BEAT), BEAT);
        beat.set_missed_tick_behavior(MissedTickBehavior::Skip);
        let Stream { ears, mouth, cipher, early } = stream;
        inbox.attach(mouth, cipher);
        let mut grammar = Grammar::new();
        // Behind it is what TLS has decrypted beyond. A socket that is broken already is found so when it is read.
        let answer = grammar.understand(&early);
        let _ = reply(&inbox, answer).and_then(|()| grammar.take(&inbox, &[]));
        Self { ears, inbox, grammar, heard_at: Instant::now(), beat }
    }

    /// The next text or binary frame. Words that wait for the socket are said before: who does not read them is not
    /// heard, either.
    pub(super) async fn hear(&mut self) -> Result<Heard, End> {
        loop {
            self.catch_up().await?;
            if let Some(heard) = self.grammar.next() {
                return heard;
            }
            self.wait().await?;
        }
    }

    /// Says what waits, if there is still anything to be said here.
    async fn catch_up(&self) -> Result<(), End> {
        self.drain().await?;
        match self.inbox.is_over() {
            None => Ok(()),
            Some(Over::Behind) => Err(End::Dead),
            // The seat is gone: everybody is being sent home, or this one could not keep up.
            Some(Over::Silent) => Err(End::Dismissed(None, CloseCode::Away)),
        }
    }

    /// Does not hear it for so long.
    pub(super) async fn pause(&mut self, span: Duration) -> Result<(), End> {
        if span.is_zero() {
            return Ok(());
        }
        let end = Instant::now() + span;
        loop {
            self.catch_up().await?;
            tokio::select! {
                () = self.inbox.wake() => {}
                () = sleep_until(end) => break,
            }
        }
        // It was we who did not listen.
        self.heard_at = Instant::now();
        Ok(())
    }

    /// Throws away what it says for so long; a goodbye is heard.
    pub(super) async fn ignore(&mut self, span: Duration) -> Result<(), End> {
        let end = Instant::now() + span;
        while Instant::now() < end {
            self.catch_up().await?;
            while let Some(heard) = self.grammar.next() {
                heard?;
            }
            tokio::select! {
                () = sleep_until(end) => {}
                went = self.wait() => went?,
            }
        }
        Ok(())
    }

    /// Until something has come, or is to be done.
    async fn wait(&mut self) -> Result<(), End> {
        let Self { ears, inbox, grammar, heard_at, beat } = self;
        tokio::select! {
            biased;
            () = inbox.wake() => {}
            _ = beat.tick() => return self.beat(),
            read = read(ears, |octets| grammar.take(inbox, octets)) => {
                read?;
                *heard_at = Instant::now();
            }
        }
        Ok(())
    }

    /// Says it at once, or behind whatever waits for a slow reader, for whom it waits.
    pub(super) async fn say(&mut self, word: Word) -> Result<(), End> {
        self.inbox.say(word.frame()).map_err(|_| End::Gone)?;
        self.drain().await
    }

    async fn drain(&self) -> Result<(), End> {
        if !self.inbox.is_behind() {
            return Ok(());
        }
        self.inbox.drained().await.map_err(|error| match error.kind() {
            io::ErrorKind::TimedOut => End::Dead,
            _ => End::Gone,
        })
    }

    fn beat(&self) -> Result<(), End> {
        match self.heard_at.elapsed() {
            silent if silent >= DEAD_AFTER => Err(End::Dead),
            silent if silent >= BEAT => {
                self.inbox.say(framed(Frame::ping(Bytes::new()))).map_err(|_| End::Gone)
            }
            _ => Ok(()),
        }
    }

    /// The goodbye that belongs to this end. Whoever does not say theirs in time is left without.
    pub(super) async fn close(mut self, end: End) {
        let _ = match end {
            End::Dismissed(word, code) => timeout(GOODBYE, self.dismiss(word, code)).await,
            End::Farewell => timeout(GOODBYE, self.answer_goodbye()).await,
            End::Gone | End::Dead => return,
        };
    }

    /// Not before the place is free: who has heard it may come again at once.
    async fn answer_goodbye(&mut self) -> io::Result<()> {
        reply(&self.inbox, mem::take(&mut self.grammar.goodbye))?;
        self.inbox.drained().await
    }

    /// Last words, a close frame, and time to read them: closing at once would reset the connection and take the
    /// words away again.
    async fn dismiss(&mut self, word: Option<Word>, code: CloseCode) -> io::Result<()> {
        if let Some(word) = word {
            self.inbox.say(word.frame())?;
        }
        self.inbox.say(self.grammar.close(code))?;
        self.inbox.drained().await?;
        let Self { ears, inbox, grammar, .. } = self;
        while !grammar.said_goodbye() {
            let more = read(ears, |octets| grammar.take(inbox, octets)).await;
            if more.is_err() {
                break;
            }
        }
        Ok(())
    }
}

/// A moment at which others are due, too: the next multiple of [`TOGETHER`] since the first socket of all.
fn in_company(due: Instant) -> Instant {
    static FIRST: OnceLock<Instant> = OnceLock::new();
    let first = *FIRST.get_or_init(|| due);
    let since = (due - first).as_nanos().next_multiple_of(TOGETHER.as_nanos());
    first + Duration::from_nanos(since as u64)
}

/// For somebody who is only told why not.
pub(super) async fn turn_away(stream: Stream, word: Option<Word>, code: CloseCode) {
    Line::new(stream, nobody()).close(End::Dismissed(word, code)).await;
}

/// Reads once.
async fn read(ears: &mut Ears, mut take: impl FnMut(&[u8]) -> io::Result<()>) -> Result<(), End> {
    poll_fn(|cx| {
        let mut octets = [MaybeUninit::uninit(); READ];
        let mut buffer = ReadBuf::uninit(&mut octets);
        let read = ready!(ears.poll_read(cx, &mut buffer));
        let read = read.is_ok() && !buffer.filled().is_empty();
        let taken = read && take(buffer.filled()).is_ok();
        Poll::Ready(if taken { Ok(()) } else { Err(End::Gone) })
    })
    .await
}

/// What the library knows of WebSockets (RFC 6455), between octets and what they mean.
struct Grammar {
    context: WebSocketContext,
    /// What came in one piece with what was heard last.
    heard: VecDeque<Result<Heard, End>>,
    /// What comes after a goodbye, or after nonsense, means nothing.
    end: Option<Ended>,
    /// The answer to a goodbye, until it is said.
    goodbye: Vec<u8>,
}

#[derive(PartialEq, Eq)]
enum Ended {
    Farewell,
    Nonsense,
}

impl Grammar {
    fn new() -> Self {
        let config = WebSocketConfig::default()
            .read_buffer_size(PART)
            .write_buffer_size(0)
            .max_message_size(Some(MESSAGE_MAX))
            .max_frame_size(Some(MESSAGE_MAX));
        let context = WebSocketContext::new(Role::Server, Some(config));
        Self { context, heard: VecDeque::new(), end: None, goodbye: Vec::new() }
    }

    fn next(&mut self) -> Option<Result<Heard, End>> {
        let next = self.heard.pop_front();
        if self.heard.is_empty() {
            self.heard = VecDeque::new();
        }
        next
    }

    /// What came from the socket; pings are answered.
    fn take(&mut self, inbox: &Inbox, octets: &[u8]) -> io::Result<()> {
        let mut answer = Vec::new();
        inbox.open(octets, |plain| answer.extend(self.understand(plain)))?;
        reply(inbox, answer)
    }

    /// What is to be answered at once.
    fn understand(&mut self, octets: &[u8]) -> Vec<u8> {
        let mut piece = Piece { octets, answer: Vec::new() };
        let mut at_once = None;
        while self.end != Some(Ended::Nonsense) {
            match self.context.read(&mut piece) {
                Ok(Message::Close(_)) => {
                    self.end = Some(Ended::Farewell);
                    self.heard.push_back(Err(End::Farewell));
                    // The library answers it at the next read.
                    at_once = Some(piece.answer.len());
                }
                Ok(message) => self.heard.extend(meant(message).map(Ok)),
                Err(Error::Io(_)) => break,
                Err(_) if self.end.is_some() => break,
                Err(error) => {
                    self.end = Some(Ended::Nonsense);
                    self.heard.push_back(Err(broken(&error)));
                }
            }
        }
        if let Some(at_once) = at_once {
            self.goodbye = piece.answer.split_off(at_once);
        }
        piece.answer
    }

    fn said_goodbye(&self) -> bool {
        self.end == Some(Ended::Farewell)
    }

    /// A goodbye.
    fn close(&mut self, code: CloseCode) -> Bytes {
        let frame = CloseFrame { code, reason: Utf8Bytes::default() };
        let mut piece = Piece { octets: &[], answer: Vec::new() };
        // After nonsense the library may have no words; the goodbye is the same.
        match self.context.close(&mut piece, Some(frame.clone())) {
            Ok(()) if !piece.answer.is_empty() => piece.answer.into(),
            _ => framed(Frame::close(Some(frame))),
        }
    }
}

/// The library's socket: what has come, and what it wants to answer.
struct Piece<'a> {
    octets: &'a [u8],
    answer: Vec<u8>,
}

impl Read for Piece<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        match self.octets.is_empty() {
            true => Err(io::ErrorKind::WouldBlock.into()),
            false => self.octets.read(buffer),
        }
    }
}

impl Write for Piece<'_> {
    fn write(&mut self, octets: &[u8]) -> io::Result<usize> {
        self.answer.write(octets)
    }
    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

fn reply(inbox: &Inbox, answer: Vec<u8>) -> io::Result<()> {
    match answer.is_empty() {
        true => Ok(()),
        false => inbox.say(answer.into()),
    }
}

fn framed(frame: Frame) -> Bytes {
    let mut octets = Vec::new();
    frame.format(&mut octets).expect("a Vec takes everything");
    octets.into()
}

fn meant(message: Message) -> Option<Heard> {
    match message {
        Message::Text(text) => Some(Heard::Text(text)),
        Message::Binary(_) => Some(Heard::Binary),
        // The library has answered the ping; a pong's worth is that it was heard.
        Message::Ping(_) | Message::Pong(_) | Message::Close(_) | Message::Frame(_) => None,
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_ping_is_answered_at_once_and_a_goodbye_when_its_place_is_free() {
        let [ping, goodbye] = [0x89, 0x88].map(|opcode| [opcode, 0x80, 0, 0, 0, 0]);
        let mut grammar = Grammar::new();
        assert_eq!(grammar.understand(&[ping, goodbye].concat()), [0x8a, 0]);
        assert_eq!(grammar.understand(&ping), [0_u8; 0]);
        assert!(matches!(grammar.next(), Some(Err(End::Farewell))));
        assert_eq!(grammar.goodbye, [0x88, 0]);
    }

    #[tokio::test]
    async fn beats_come_in_company_never_early_and_never_late_by_more() {
        let now = Instant::now();
        let dues = || (0..1000).map(|ms| now + Duration::from_millis(ms));
        let mut beats: Vec<_> = dues().map(in_company).collect();
        assert!(dues().zip(&beats).all(|(due, beat)| (due..due + TOGETHER).contains(beat)));
        beats.dedup();
        assert!(beats.len() <= 5, "{} wakes a second", beats.len());
    }
}
