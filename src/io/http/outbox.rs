//! What is said to one socket: sent at once by whoever says it, and kept only while the socket is full.
//!
//! A text is framed once for all who hear it ([`Word`]). A socket's task is not woken for a word that the kernel takes; it
//! is for one that it does not take, and sees to it from then on. Words go in the order in which they were said, and
//! nobody waits for anybody: who is behind by too much is told to go.

use std::collections::VecDeque;
use std::io;
use std::ops::Deref;
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use tokio::sync::Notify;
use tokio::time::{Instant, timeout_at};
use tokio_tungstenite::tungstenite::protocol::frame::FrameHeader;
use tokio_tungstenite::tungstenite::protocol::frame::coding::{Data, OpCode};

use super::stream::{AtOnce, Cipher, Mouth};

/// A socket that takes nothing for so long belongs to somebody who has stopped reading.
pub(super) const PATIENCE: Duration = Duration::from_secs(10);

/// The head of a frame without a mask (RFC 6455, 5.2).
const HEAD_MAX: usize = 10;

/// A text, as the octets of a server's frame (RFC 6455, 5.2).
#[derive(Debug, Clone)]
pub(super) struct Word(Bytes);

impl From<String> for Word {
    fn from(text: String) -> Self {
        let header = FrameHeader { opcode: OpCode::Data(Data::Text), ..FrameHeader::default() };
        let mut frame = Vec::with_capacity(HEAD_MAX + text.len());
        header.format(text.len() as u64, &mut frame).expect("a Vec takes everything");
        frame.extend_from_slice(text.as_bytes());
        Self(frame.into())
    }
}

impl Word {
    /// Its octets.
    pub(super) fn frame(self) -> Bytes {
        self.0
    }
}

impl From<&str> for Word {
    fn from(text: &str) -> Self {
        text.to_owned().into()
    }
}

impl Deref for Word {
    type Target = str;
    fn deref(&self) -> &str {
        std::str::from_utf8(&self.0[text_begins(&self.0)..]).expect("it was a String")
    }
}

/// How much may wait for one socket.
#[derive(Debug, Clone, Copy)]
pub(super) struct Waiting {
    pub words: usize,
    pub octets: usize,
}

impl Waiting {
    fn half(self) -> Self {
        Self { words: self.words / 2, octets: self.octets / 2 }
    }
}

/// A queue of words for one socket. Whoever is behind by more cannot keep up.
pub(super) fn queue(most: Waiting) -> (Outbox, Inbox) {
    let (mouth, state, wake) = (OnceLock::new(), Mutex::default(), Notify::new());
    let shared = Arc::new(Shared { most, mouth, state, wake });
    (Outbox(shared.clone()), Inbox(shared))
}

/// The end of a queue in which nobody leaves anything.
pub(super) fn nobody() -> Inbox {
    queue(Waiting { words: 0, octets: 0 }).1
}

/// Where words for a socket are left.
#[derive(Debug)]
pub(super) struct Outbox(Arc<Shared>);

/// The same, for whoever speaks to many: it keeps no socket from its end.
#[derive(Debug, Clone)]
pub(super) struct Hearer(Arc<Shared>);

/// Where a socket finds those that it could not take at once.
#[derive(Debug)]
pub(super) struct Inbox(Arc<Shared>);

/// A word for thousands finds each of these cold, so what it needs stands together, at the head.
#[derive(Debug)]
#[repr(C)]
struct Shared {
    state: Mutex<State>,
    mouth: OnceLock<Mouth>,
    most: Waiting,
    /// For a task that has to see to what waits, or to an end.
    wake: Notify,
}

#[derive(Debug, Default)]
struct State {
    cipher: Cipher,
    /// Frames; of the first, `begun` octets have gone.
    waiting: VecDeque<Bytes>,
    begun: usize,
    octets: usize,
    is_over: Option<Over>,
}

/// Why nothing more will be said.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Over {
    /// It could not keep up.
    Behind,
    /// Nobody is left who could say anything.
    Silent,
}

/// How far the words of a socket have gone.
enum Gone {
    /// All of them.
    All,
    /// Some of them.
    Some,
    /// The socket takes nothing now.
    None,
}

impl Outbox {
    /// Whether the socket keeps up; one that does not is told to go.
    pub(super) fn offer(&self, word: &Word) -> bool {
        self.0.offer(word)
    }

    /// Another that may leave words here, as long as this is there.
    pub(super) fn hearer(&self) -> Hearer {
        Hearer(self.0.clone())
    }

    /// Whether there was a place for what the socket can do without: half of the queue is for what it cannot.
    pub(super) fn offer_spare(&self, word: &Word) -> bool {
        self.0.put(word, self.0.most.half())
    }
}

impl Hearer {
    /// Whether the socket keeps up; one that does not is told to go.
    pub(super) fn offer(&self, word: &Word) -> bool {
        self.0.offer(word)
    }
}

impl Drop for Outbox {
    fn drop(&mut self) {
        self.0.end(Over::Silent);
    }
}

impl Inbox {
    /// From now on words are sent on it, those first that wait.
    pub(super) fn attach(&self, mouth: Mouth, cipher: Cipher) {
        let mut state = self.0.state();
        state.cipher = cipher;
        // A queue has one socket in its life.
        let _ = self.0.mouth.set(mouth);
        drop(state);
        self.0.wake.notify_one();
    }

    /// The next word, for whoever has no socket; none when nobody can leave one any more.
    pub(super) async fn next(&mut self) -> Option<Word> {
        loop {
            {
                let mut state = self.0.state();
                if let Some(frame) = state.take() {
                    return Some(Word(frame));
                }
                if state.is_over == Some(Over::Silent) {
                    return None;
                }
            }
            self.0.wake.notified().await;
        }
    }

    /// Returns when there is something to see to.
    pub(super) async fn wake(&self) {
        self.0.wake.notified().await;
    }

    /// Whether nothing more will be said.
    pub(super) fn is_over(&self) -> Option<Over> {
        self.0.state().is_over
    }

    /// Whether words wait.
    pub(super) fn is_behind(&self) -> bool {
        self.0.state().is_behind()
    }

    /// Says a frame behind whatever waits, without a limit: for a task that waits for its own words by
    /// [`Inbox::drained`].
    pub(super) fn say(&self, frame: Bytes) -> io::Result<()> {
        self.0.send(&mut self.0.state(), &frame)
    }

    /// Waits until everything has gone; whoever takes nothing for too long, or is told to go, does not keep up.
    pub(super) async fn drained(&self) -> io::Result<()> {
        let Some(mouth) = self.0.mouth.get() else { return Ok(()) };
        let mut deadline = Instant::now() + PATIENCE;
        loop {
            let gone = {
                let mut state = self.0.state();
                if state.is_over == Some(Over::Behind) {
                    return Err(io::ErrorKind::TimedOut.into());
                }
                state.flush(mouth)?
            };
            match gone {
                Gone::All => return Ok(()),
                Gone::Some => deadline = Instant::now() + PATIENCE,
                Gone::None => {}
            }
            tokio::select! {
                () = self.0.wake.notified() => {}
                room = timeout_at(deadline, mouth.writable()) => match room {
                    Ok(room) => room?,
                    Err(_) => return Err(io::ErrorKind::TimedOut.into()),
                }
            }
        }
    }

    /// Decrypts what was read.
    pub(super) fn open(&self, octets: &[u8], hear: impl FnMut(&[u8])) -> io::Result<()> {
        let mut state = self.0.state();
        state.cipher.open(octets, hear)?;
        // TLS may have an answer of its own.
        if state.cipher.holds_octets() {
            self.0.wake.notify_one();
        }
        Ok(())
    }
}

impl Shared {
    fn offer(&self, word: &Word) -> bool {
        let taken = self.put(word, self.most);
        if !taken {
            self.end(Over::Behind);
        }
        taken
    }

    fn put(&self, word: &Word, most: Waiting) -> bool {
        let mut state = self.state();
        if state.is_over == Some(Over::Silent) {
            // Whoever speaks to many may come to one that has just left.
            return true;
        }
        let has_place =
            state.waiting.len() < most.words && state.octets + text_length(&word.0) <= most.octets;
        // A socket that broke is its own task's to find.
        has_place && self.send(&mut state, &word.0).map_or(true, |()| true)
    }

    /// What is not taken at once waits.
    fn send(&self, state: &mut State, frame: &Bytes) -> io::Result<()> {
        let was_behind = state.is_behind();
        let gone = match self.mouth.get() {
            Some(mouth) if !was_behind => state.cipher.send(AtOnce(mouth), frame)?,
            _ => 0,
        };
        if gone < frame.len() {
            if state.waiting.is_empty() {
                state.begun = gone;
            }
            state.octets += text_length(frame);
            state.waiting.push_back(frame.clone());
        }
        if !was_behind && state.is_behind() {
            self.wake.notify_one();
        }
        Ok(())
    }

    fn end(&self, over: Over) {
        self.state().is_over.get_or_insert(over);
        self.wake.notify_one();
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    fn is_behind(&self) -> bool {
        !self.waiting.is_empty() || self.cipher.holds_octets()
    }

    fn take(&mut self) -> Option<Bytes> {
        let frame = self.waiting.pop_front()?;
        self.octets -= text_length(&frame);
        self.begun = 0;
        if self.waiting.is_empty() {
            // A crowd that was behind once does not hold its queues for ever.
            self.waiting = VecDeque::new();
        }
        Some(frame)
    }

    fn flush(&mut self, mouth: &Mouth) -> io::Result<Gone> {
        let mut some = false;
        while self.cipher.flush(mouth)? {
            let Some(frame) = self.waiting.front().cloned() else { return Ok(Gone::All) };
            let gone = self.cipher.send(mouth, &frame[self.begun..])?;
            if gone == 0 {
                break;
            }
            some = true;
            self.begun += gone;
            if self.begun == frame.len() {
                self.take();
            }
        }
        Ok(if some { Gone::Some } else { Gone::None })
    }
}

/// Where the text of a server's frame begins.
fn text_begins(frame: &[u8]) -> usize {
    match frame[1] {
        126 => 4,
        127 => 10,
        _ => 2,
    }
}

fn text_length(frame: &[u8]) -> usize {
    frame.len() - text_begins(frame)
}

#[cfg(test)]
mod tests {
    use super::super::stream::Half;
    use super::*;

    fn word(length: usize) -> Word {
        "a".repeat(length).into()
    }

    #[test]
    fn who_is_behind_by_too_many_words_or_octets_is_told_to_go() {
        let (few, inbox) = queue(Waiting { words: 2, octets: 100 });
        assert_eq!([0; 3].map(|_| few.offer(&word(1))), [true, true, false]);
        assert_eq!(inbox.is_over(), Some(Over::Behind));
        let (small, _inbox) = queue(Waiting { words: 9, octets: 100 });
        assert_eq!([0; 2].map(|_| small.offer(&word(60))), [true, false]);
    }

    #[tokio::test]
    async fn what_can_be_spared_leaves_half_of_the_queue_and_takes_nobody_s_place() {
        let (outbox, mut inbox) = queue(Waiting { words: 8, octets: 100 });
        assert_eq!([0; 3].map(|_| outbox.offer_spare(&word(30))), [true, false, false]);
        assert_eq!([0; 3].map(|_| outbox.offer_spare(&word(1))), [true; 3]);
        assert!(!outbox.offer_spare(&word(1)), "half of the words");
        assert!(outbox.offer(&word(60)), "what was refused took no place");
        for _ in 0..5 {
            assert!(inbox.next().await.is_some());
        }
        assert!(outbox.offer_spare(&word(30)), "there is room again");
    }

    #[tokio::test]
    async fn who_reads_has_room_again_and_what_was_said_last_is_heard_after_the_end() {
        let (outbox, mut inbox) = queue(Waiting { words: 9, octets: 100 });
        for _ in 0..20 {
            assert!(outbox.offer(&word(60)));
            assert_eq!(inbox.next().await.map(|it| it.len()), Some(60));
        }
        assert!(outbox.offer(&word(1)));
        drop(outbox);
        assert_eq!(inbox.next().await.as_deref(), Some("a"));
        assert!(inbox.next().await.is_none());
    }

    /// Says words to a socket until it is full and some wait; gives how many.
    fn fill(outbox: &Outbox, inbox: &Inbox) -> usize {
        let mut said = 0;
        while !inbox.is_behind() || said % 7 != 0 {
            assert!(outbox.offer(&word(10_000 + said)), "{said}");
            said += 1;
        }
        said
    }

    #[tokio::test]
    async fn who_reads_late_hears_every_word_whole_and_in_its_order() {
        let (ours, mut theirs) = tokio::net::UnixStream::pair().expect("a pair");
        let (outbox, inbox) = queue(Waiting { words: 64, octets: 4 << 20 });
        let (_ears, mouth) = ours.into_split();
        inbox.attach(Mouth::new(Half::Unix(mouth)), Cipher::default());
        let said = fill(&outbox, &inbox);
        let expected: Vec<u8> = (0..said).flat_map(|nth| word(10_000 + nth).frame()).collect();
        let mut heard = vec![0; expected.len()];
        let (drained, read) = tokio::join!(
            inbox.drained(),
            tokio::io::AsyncReadExt::read_exact(&mut theirs, &mut heard)
        );
        drained.and(read).expect("both ends are there");
        assert!(heard == expected, "after {said} words");
        assert!(!inbox.is_behind());
    }
}
