//! Which pieces of live pictures go to which phone (SX-11).
//!
//! In: pieces as they are made, each once for all phones; what room a phone's connection has. Out: the next piece for it.
//! Never here: what is in a piece.
//!
//! Nothing can be decoded but from a key frame on. So whoever joins gets all since the last one first, and a phone
//! that has lost its place waits for the next. Pieces wait here rather than in the connection, where each takes its own
//! room: here all phones hold the same.

use std::collections::VecDeque;

/// A message with a piece of a picture.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Piece<T> {
    /// What is said.
    pub text: T,
    /// Whether decoding can begin with it: the first piece of a key frame.
    pub is_key: bool,
}

/// All since the last key frame, for who joins.
#[derive(Debug, Clone)]
pub struct Reel<T> {
    pieces: Vec<Piece<T>>,
    octets: usize,
}

/// What waits for one phone.
#[derive(Debug, Clone)]
pub struct Backlog<T> {
    pieces: VecDeque<Piece<T>>,
    octets: usize,
    place: Place,
}

/// Where a phone is in what is on air.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Place {
    /// It has had nothing of it.
    Outside,
    /// It has had all from some key frame on.
    Within,
    /// It missed something.
    Lost,
}

/// What is kept for who joins, and what may wait for one phone: some seconds of a film in full HD. A film whose key
/// frames lie further apart begins with the next one for who joins.
const OCTETS_MAX: usize = 3 << 20;

impl<T: AsRef<[u8]> + Clone> Reel<T> {
    /// The next piece of what is on air.
    pub fn handle(&mut self, piece: &Piece<T>) {
        if piece.is_key {
            self.clear();
        } else if self.pieces.is_empty() {
            return;
        }
        self.octets += piece.text.as_ref().len();
        self.pieces.push(piece.clone());
        if self.octets > OCTETS_MAX {
            self.clear();
        }
    }

    /// It is on air no more.
    pub fn clear(&mut self) {
        self.pieces.clear();
        self.octets = 0;
    }
}

impl<T> Default for Reel<T> {
    fn default() -> Self {
        Self { pieces: Vec::new(), octets: 0 }
    }
}

impl<T> Default for Backlog<T> {
    fn default() -> Self {
        Self { pieces: VecDeque::new(), octets: 0, place: Place::Outside }
    }
}

impl<T: AsRef<[u8]> + Clone> Backlog<T> {
    /// The next piece, which the reel has already; how many are lost by it.
    pub fn handle(&mut self, piece: &Piece<T>, reel: &Reel<T>) -> u64 {
        let waited = self.pieces.len() as u64;
        match self.place {
            Place::Outside if reel.pieces.is_empty() => {
                self.place = Place::Lost;
                return 1;
            }
            Place::Outside => {
                reel.pieces.iter().for_each(|it| self.push(it));
                self.place = Place::Within;
                return 0;
            }
            Place::Lost if !piece.is_key => return 1,
            // A whole stretch from one key frame to the next waits, and will be late: better begin with this one.
            Place::Within if piece.is_key && self.pieces.iter().any(|it| it.is_key) => {
                self.drop_all();
                self.push(piece);
                return waited;
            }
            Place::Lost | Place::Within => {}
        }
        self.place = Place::Within;
        self.push(piece);
        if self.octets <= OCTETS_MAX {
            return 0;
        }
        self.drop_all();
        self.place = Place::Lost;
        waited + 1
    }

    /// The next piece, if a message of its size has room.
    pub fn poll(&mut self, room: usize) -> Option<T> {
        let next = self.pieces.front()?;
        if next.text.as_ref().len() > room {
            return None;
        }
        let next = self.pieces.pop_front()?;
        self.octets -= next.text.as_ref().len();
        Some(next.text)
    }

    /// It is on air no more, or the phone does not take it any more.
    pub fn clear(&mut self) {
        self.drop_all();
        self.place = Place::Outside;
    }

    fn drop_all(&mut self) {
        self.pieces.clear();
        self.octets = 0;
    }

    fn push(&mut self, piece: &Piece<T>) {
        self.octets += piece.text.as_ref().len();
        self.pieces.push_back(piece.clone());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    type Words = &'static [u8];

    fn piece(text: &'static str) -> Piece<Words> {
        Piece { text: text.as_bytes(), is_key: text.starts_with('K') }
    }

    /// Goes out to a phone that takes nothing; how many pieces it has lost.
    fn say(reel: &mut Reel<Words>, backlog: &mut Backlog<Words>, words: &[&'static str]) -> u64 {
        let mut lost = 0;
        for word in words {
            reel.handle(&piece(word));
            lost += backlog.handle(&piece(word), reel);
        }
        lost
    }

    fn taken(backlog: &mut Backlog<Words>) -> Vec<&'static str> {
        let polled = std::iter::from_fn(|| backlog.poll(usize::MAX));
        polled.map(|it| std::str::from_utf8(it).expect("ours")).collect()
    }

    #[test]
    fn sx11_who_joins_in_the_middle_gets_all_since_the_last_key_frame() {
        let (mut reel, mut early, mut late) =
            (Reel::default(), Backlog::default(), Backlog::default());
        assert_eq!(
            say(&mut reel, &mut early, &["K1", "a", "b", "K2", "c"]),
            3,
            "a stretch that waited"
        );
        assert_eq!(say(&mut reel, &mut late, &["d", "e"]), 0);
        assert_eq!(taken(&mut late), ["K2", "c", "d", "e"]);
        assert_eq!(say(&mut reel, &mut late, &["f"]), 0);
        assert_eq!(taken(&mut late), ["f"]);
        late.clear();
        reel.clear();
        assert_eq!(say(&mut reel, &mut late, &["g", "h"]), 2, "nothing to begin with");
        assert_eq!(say(&mut reel, &mut late, &["K3", "i"]), 0);
        assert_eq!(taken(&mut late), ["K3", "i"]);
    }

    #[test]
    fn sx11_a_phone_that_is_too_slow_begins_with_the_newest_key_frame() {
        let (mut reel, mut slow) = (Reel::default(), Backlog::default());
        say(&mut reel, &mut slow, &["K1", "a"]);
        assert_eq!(slow.poll(usize::MAX), Some(&b"K1"[..]));
        assert_eq!(say(&mut reel, &mut slow, &["b", "K2", "c"]), 0, "it is only behind");
        assert_eq!(say(&mut reel, &mut slow, &["K3", "d"]), 4, "a, b, K2 and c");
        assert_eq!(taken(&mut slow), ["K3", "d"]);
    }

    #[test]
    fn sx11_what_waits_for_a_phone_is_bounded_and_it_comes_back_with_a_key_frame() {
        let big: Words = vec![b'x'; OCTETS_MAX / 2].leak();
        let big = Piece { text: big, is_key: false };
        let (mut reel, mut stuck) = (Reel::default(), Backlog::default());
        say(&mut reel, &mut stuck, &["K1"]);
        let lost: u64 = (0..5).map(|_| stuck.handle(&big, &reel)).sum();
        assert_eq!((lost, taken(&mut stuck)), (6, vec![]), "all of it, and what came after");
        assert_eq!(say(&mut reel, &mut stuck, &["a", "K2", "b"]), 1);
        assert_eq!(taken(&mut stuck), ["K2", "b"]);
    }

    #[test]
    fn sx11_a_piece_waits_until_there_is_room_for_all_of_it() {
        let (mut reel, mut backlog) = (Reel::default(), Backlog::default());
        say(&mut reel, &mut backlog, &["K123", "a"]);
        assert_eq!(backlog.poll(3), None);
        assert_eq!(backlog.poll(4), Some(&b"K123"[..]));
        assert_eq!(backlog.poll(4), Some(&b"a"[..]));
    }
}
