//! Decides what one session on `/sync` is answered: the same ten questions a second as on `/ws`.
//!
//! In: datagrams and the show time at which they came. Out: an [`Answer`]. Never here: sockets, clocks.

use units::ShowTime;
use wire::time::Question;

use crate::phones::{Limits, RateWindow};

/// What the session is to do with a datagram.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Answer {
    /// Say what time it is.
    Clock(Question),
    /// Nothing. There is no word for a refusal: datagrams get lost anyhow, and the asker has other ways.
    Nothing,
    /// Close the session: it floods.
    Dismiss,
}

/// One session, from its opening to its end.
#[derive(Debug)]
pub struct Asker {
    clock_syncs: RateWindow,
    refused: RateWindow,
}

impl Asker {
    /// A session that has asked nothing yet.
    pub fn new(limits: &Limits) -> Self {
        Self {
            clock_syncs: RateWindow::new(limits.clock_syncs_per_second),
            refused: RateWindow::new(limits.messages_per_second),
        }
    }

    /// A datagram that came at `now`.
    pub fn handle(&mut self, now: ShowTime, bytes: &[u8]) -> Answer {
        match Question::parse(bytes) {
            Ok(question) if self.clock_syncs.admit(now) => Answer::Clock(question),
            _ if self.refused.admit(now) => Answer::Nothing,
            _ => Answer::Dismiss,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ms(ms: i64) -> ShowTime {
        ShowTime::from_ns(ms * 1_000_000)
    }

    #[test]
    fn sx17_the_eleventh_question_of_a_second_is_not_answered_and_the_next_second_is_open_again() {
        let mut session = Asker::new(&Limits::default());
        let ask = Question { t1: [9; 8] }.emit();
        for nth in 0..10 {
            let answer = session.handle(ms(nth * 10), &ask);
            assert_eq!(answer, Answer::Clock(Question { t1: [9; 8] }));
        }
        assert_eq!(session.handle(ms(999), &ask), Answer::Nothing);
        assert!(matches!(session.handle(ms(1000), &ask), Answer::Clock(_)));
    }

    #[test]
    fn a_flood_of_nonsense_ends_its_session() {
        let mut session = Asker::new(&Limits::default());
        for _ in 0..100 {
            assert_eq!(session.handle(ms(0), b"noise"), Answer::Nothing);
        }
        assert_eq!(session.handle(ms(1), b"noise"), Answer::Dismiss);
    }
}
