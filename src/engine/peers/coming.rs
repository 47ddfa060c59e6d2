//! What is ordered to go on air and has not had its turn (SX-11).
//!
//! In: what is ordered, when it is to be heard and when it has its turn. Out: what has its turn. Never here: what it is.
//!
//! The last word counts: whatever is ordered takes the place of all that was to be heard from its time on. What is to be
//! heard before stays, unless the later thing, being made further ahead, has its turn first.

use std::collections::VecDeque;

use units::{ShowTime, Span};

use super::Turn;

/// All that is to come, as it is to be heard.
#[derive(Debug, Clone)]
pub struct Coming<T> {
    waiting: VecDeque<Waiting<T>>,
}

/// Something that waits for its turn.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Waiting<T> {
    /// When it is to be heard.
    pub at: ShowTime,
    /// When it has its turn.
    pub turn: Turn,
    /// What.
    pub what: T,
}

/// So much may wait; of more the last counts.
const WAITING_MAX: usize = 64;

impl<T> Coming<T> {
    /// The last word; from when on nothing that was said before holds.
    pub fn handle(&mut self, it: Waiting<T>) -> ShowTime {
        let is_full = self.waiting.len() == WAITING_MAX;
        let stays = |other: &Waiting<T>| other.at < it.at && other.turn.at < it.turn.at && !is_full;
        let stay = self.waiting.iter().take_while(|other| stays(other)).count();
        let from = self.waiting.get(stay).map_or(it.at, |other| other.at.min(it.at));
        self.waiting.truncate(stay);
        self.waiting.push_back(it);
        from
    }

    /// The last that has its turn by now.
    pub fn poll(&mut self, now: ShowTime) -> Option<Waiting<T>> {
        let due = self.waiting.partition_point(|it| it.turn.at <= now);
        self.waiting.drain(..due).last()
    }

    /// When the next has its turn.
    pub fn next_wake(&self) -> Option<ShowTime> {
        self.waiting.front().map(|it| it.turn.at)
    }

    /// What will be on air once all have had their turn; none if nothing is to come.
    pub fn last(&self) -> Option<&T> {
        self.waiting.back().map(|it| &it.what)
    }

    /// The same, to be changed.
    pub fn last_mut(&mut self) -> Option<&mut T> {
        self.waiting.back_mut().map(|it| &mut it.what)
    }

    /// All of it, as it is to be heard.
    pub fn iter(&self) -> impl Iterator<Item = &Waiting<T>> {
        self.waiting.iter()
    }

    /// The things themselves, to be changed.
    pub fn iter_mut(&mut self) -> impl Iterator<Item = &mut T> {
        self.waiting.iter_mut().map(|it| &mut it.what)
    }

    /// Takes back what `keep` does not want; whether there was any.
    pub fn retain(&mut self, keep: impl Fn(&T) -> bool) -> bool {
        let before = self.waiting.len();
        self.waiting.retain(|it| keep(&it.what));
        self.waiting.len() < before
    }

    /// Nothing is to come.
    pub fn clear(&mut self) {
        self.waiting.clear();
    }

    /// After a pause: everything comes later.
    pub fn shift(&mut self, by: Span) {
        for it in &mut self.waiting {
            it.at += by;
            it.turn = Turn { begins: it.turn.begins + by, at: it.turn.at + by };
        }
    }
}

impl<T> Default for Coming<T> {
    fn default() -> Self {
        Self { waiting: VecDeque::new() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(ms: i64) -> ShowTime {
        ShowTime::from_ns(ms * 1_000_000)
    }

    /// So many milliseconds before it is heard it has its turn.
    fn waiting(heard_ms: i64, ahead_ms: i64, what: char) -> Waiting<char> {
        let begins = at(heard_ms - ahead_ms);
        Waiting { at: at(heard_ms), turn: Turn { begins, at: begins }, what }
    }

    fn coming(all: &[(i64, i64, char)]) -> Coming<char> {
        let mut coming = Coming::default();
        for (heard, ahead, what) in all {
            coming.handle(waiting(*heard, *ahead, *what));
        }
        coming
    }

    fn polled(coming: &mut Coming<char>, now_ms: i64) -> Option<char> {
        coming.poll(at(now_ms)).map(|it| it.what)
    }

    #[test]
    fn sx11_the_last_word_counts_from_its_time_on_and_what_is_heard_before_it_stays() {
        let mut all = coming(&[(1_000, 300, 'a'), (5_000, 300, 'b'), (3_000, 300, 'c')]);
        assert_eq!((all.last(), all.next_wake()), (Some(&'c'), Some(at(700))));
        assert_eq!((polled(&mut all, 699), polled(&mut all, 700)), (None, Some('a')));
        assert_eq!((polled(&mut all, 10_000), all.next_wake()), (Some('c'), None));
        all = coming(&[(1_000, 300, 'a'), (1_000, 300, 'b')]);
        assert_eq!((polled(&mut all, 700), polled(&mut all, 9_000)), (Some('b'), None));
    }

    #[test]
    fn sx11_what_has_its_turn_before_what_is_heard_earlier_leaves_that_none() {
        let mut all = coming(&[(500, 400, 'x'), (1_000, 300, 'a')]);
        assert_eq!(all.handle(waiting(1_500, 1_300, 'f')), at(1_000), "none of it from there on");
        assert_eq!(polled(&mut all, 100), Some('x'));
        assert_eq!(all.next_wake(), Some(at(200)));
        assert_eq!((polled(&mut all, 200), polled(&mut all, 9_000)), (Some('f'), None));
    }

    #[test]
    fn sx11_who_was_kept_up_begins_with_the_last_that_had_its_turn_meanwhile() {
        let mut all = coming(&[(1_000, 300, 'a'), (2_000, 300, 'b'), (9_000, 300, 'c')]);
        assert_eq!((polled(&mut all, 5_000), all.last()), (Some('b'), Some(&'c')));
    }

    #[test]
    fn sx11_a_pause_moves_all_and_what_is_taken_back_does_not_come() {
        let mut all = coming(&[(1_000, 300, 'a'), (2_000, 300, 'b')]);
        all.shift(Span::from_secs(4));
        assert_eq!(polled(&mut all, 4_699), None);
        assert!(all.retain(|what| *what != 'a') && !all.retain(|what| *what != 'a'));
        assert_eq!((polled(&mut all, 4_700), polled(&mut all, 5_700)), (None, Some('b')));
    }

    #[test]
    fn sx11_however_much_is_ordered_no_more_waits_than_there_is_room_for() {
        let many = 3 * WAITING_MAX as i64;
        let all: Vec<_> = (0..many).map(|nth| (1_000 + nth, 300, 'a')).collect();
        assert!(coming(&all).iter().count() <= WAITING_MAX);
    }
}
