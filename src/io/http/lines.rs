//! A stream of QUIC that carries what `/ws` carries (SX-20): a message a line, each JSON text before its `\n`.
//!
//! In: octets, and words that others have left for it. Out: texts that were heard, one at a time. Whether its phone lives is
//! QUIC's to know; who cannot keep up is let go, as on a socket.

use std::future::ready;
use std::mem;
use std::time::Duration;

use axum::http::uri::Authority;
use tokio::time::{Instant, sleep_until, timeout};
use tokio_tungstenite::tungstenite::protocol::frame::coding::CloseCode;
use units::PhoneId;
use wtransport::{RecvStream, SendStream};

use super::outbox::{Inbox, Over, PATIENCE, Word};
use super::socket::{End, GOODBYE, Heard, MESSAGE_MAX};
use super::ws::Carrier;

/// Octets that are read at once.
const READ: usize = 1024;

/// One stream while it is open.
pub(super) struct Lines {
    ears: RecvStream,
    mouth: SendStream,
    inbox: Inbox,
    heard: Heap,
    /// What the client asked its session for.
    path: String,
    /// Its phone comes from a socket on which it was welcomed.
    had_turn: bool,
}

impl Lines {
    pub(super) fn new(
        (mouth, ears): (SendStream, RecvStream),
        inbox: Inbox,
        (path, had_turn): (String, bool),
    ) -> Self {
        Self { ears, mouth, inbox, heard: Heap::default(), path, had_turn }
    }

    /// Says what waits.
    async fn catch_up(&mut self) -> Result<(), End> {
        loop {
            if self.inbox.is_over() == Some(Over::Behind) {
                return Err(End::Dead);
            }
            let word = tokio::select! {
                biased;
                word = self.inbox.next() => word,
                () = ready(()) => return Ok(()),
            };
            self.write(&word.ok_or(End::Dismissed(None, CloseCode::Away))?).await?;
        }
    }

    async fn write(&mut self, text: &str) -> Result<(), End> {
        let line = [text.as_bytes(), b"\n"].concat();
        match timeout(PATIENCE, self.mouth.write_all(&line)).await {
            Ok(written) => written.map_err(|_| End::Gone),
            Err(_) => Err(End::Dead),
        }
    }

    /// Until something has come, or is to be done.
    async fn wait(&mut self) -> Result<(), End> {
        let Self { ears, inbox, heard, .. } = self;
        let mut octets = [0; READ];
        tokio::select! {
            biased;
            () = inbox.wake() => {}
            read = ears.read(&mut octets) => {
                let length = read.map_err(|_| End::Gone)?.ok_or(End::Farewell)?;
                heard.octets.extend_from_slice(&octets[..length]);
            }
        }
        Ok(())
    }
}

impl Carrier for Lines {
    async fn hear(&mut self) -> Result<Heard, End> {
        loop {
            self.catch_up().await?;
            if let Some(text) = self.heard.next_line()? {
                return Ok(Heard::Text(text.into()));
            }
            self.wait().await?;
        }
    }

    async fn pause(&mut self, span: Duration) -> Result<(), End> {
        let end = Instant::now() + span;
        while Instant::now() < end {
            self.catch_up().await?;
            tokio::select! {
                () = self.inbox.wake() => {}
                () = sleep_until(end) => {}
            }
        }
        Ok(())
    }

    async fn ignore(&mut self, span: Duration) -> Result<(), End> {
        let end = Instant::now() + span;
        while Instant::now() < end {
            self.catch_up().await?;
            while self.heard.next_line()?.is_some() {}
            tokio::select! {
                () = sleep_until(end) => {}
                went = self.wait() => went?,
            }
        }
        Ok(())
    }

    async fn say(&mut self, word: Word) -> Result<(), End> {
        self.catch_up().await?;
        self.write(&word).await
    }

    /// A last word, and time to have it: closing at once would take it away again.
    async fn close(mut self, end: End) {
        let goodbye = async {
            if let End::Dismissed(Some(word), _) = end {
                let _ = self.write(&word).await;
            }
            let _ = self.mouth.finish().await;
        };
        let _ = timeout(GOODBYE, goodbye).await;
    }

    fn take_turn(&mut self) -> bool {
        mem::take(&mut self.had_turn)
    }

    /// The one it came by.
    fn door(&self, _: PhoneId, host: &Authority) -> String {
        format!("https://{host}{}", self.path)
    }
}

/// What was heard and is not yet a line.
#[derive(Debug, Default)]
struct Heap {
    octets: Vec<u8>,
    /// So many of them are known to end none.
    searched: usize,
}

impl Heap {
    /// The next whole line, without its end. Nothing is held for what has been said.
    fn next_line(&mut self) -> Result<Option<String>, End> {
        let new = &self.octets[self.searched..];
        let Some(end) = new.iter().position(|octet| *octet == b'\n') else {
            self.searched = self.octets.len();
            let is_too_long = self.searched > MESSAGE_MAX;
            return if is_too_long { Err(End::Dismissed(None, CloseCode::Size)) } else { Ok(None) };
        };
        let rest = self.octets.split_off(self.searched + end + 1);
        let mut line = mem::replace(&mut self.octets, rest);
        self.searched = 0;
        line.pop();
        String::from_utf8(line).map(Some).map_err(|_| End::Dismissed(None, CloseCode::Invalid))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_come_whole_and_one_at_a_time_however_they_were_cut() {
        let octets = b"{\"a\":1}\n\n{\"b\"".to_vec();
        let mut heard = Heap { octets, searched: 0 };
        let mut next = |more: &[u8]| {
            heard.octets.extend_from_slice(more);
            heard.next_line().expect("nothing is wrong with it")
        };
        assert_eq!(next(b"").as_deref(), Some("{\"a\":1}"));
        assert_eq!(next(b"").as_deref(), Some(""));
        assert_eq!(next(b""), None);
        assert_eq!(next(b":2}\n").as_deref(), Some("{\"b\":2}"));
        assert_eq!(next(b""), None);
        assert_eq!(heard.octets.capacity(), 0);
    }

    #[test]
    fn a_line_that_never_ends_and_one_that_is_no_text_end_the_stream() {
        let heard = |octets: &[u8]| Heap { octets: octets.to_vec(), searched: 0 }.next_line();
        let end = |octets: &[u8]| match heard(octets) {
            Err(End::Dismissed(None, code)) => Some(code),
            _ => None,
        };
        assert_eq!(end(&[b'x'; MESSAGE_MAX]), None);
        assert_eq!(end(&[b'x'; MESSAGE_MAX + 1]), Some(CloseCode::Size));
        assert_eq!(end(b"\xff\n"), Some(CloseCode::Invalid));
    }
}
