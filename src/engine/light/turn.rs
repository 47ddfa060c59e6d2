//! Whether it is this box's turn to be seen: boxes that stand in for each other send the same light at priorities that tell
//! receivers whom to show (DESIGN: Light; rule S3).
//!
//! In: the show's priority, whom receivers still hear. Out: the priority to send at. Never here: who drives.

use units::{ShowTime, Span};
use uuid::Uuid;

use super::receive::Source;

/// The highest there is (E1.31, section 6.2.3).
const HIGHEST: u8 = 200;
/// A source that has not been heard for so long is lost (E1.31, section 6.7.1).
const LOST: Span = Span::from_millis(2_500);

/// Whose turn it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[repr(u8)]
pub enum Turn {
    /// This box's.
    #[default]
    Drives = 0,
    /// Another one's: what this box sends is there at once when that one dies, and is not seen before. Art-Net knows no
    /// priorities, so none is sent.
    StandsBy = 1,
    /// This box's, and the one before may still be sending.
    TakesOver = 2,
}

impl Turn {
    /// As a number that threads hand to each other.
    pub fn from_number(number: u8) -> Self {
        match number {
            0 => Self::Drives,
            1 => Self::StandsBy,
            _ => Self::TakesOver,
        }
    }

    /// What a universe or a slot of that priority is sent at.
    pub fn priority(self, of_the_show: u8) -> u8 {
        match self {
            Self::Drives => of_the_show,
            Self::StandsBy => of_the_show.saturating_sub(1),
            Self::TakesOver => (of_the_show + 1).min(HIGHEST),
        }
    }
}

/// A box has taken over, from one that may go on sending.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Handover {
    /// When.
    pub at: ShowTime,
    /// The box before, as a source.
    pub from: Uuid,
}

impl Handover {
    /// Whether receivers have lost the box before, or show it no more: its own priority will do from then on. `heard` is
    /// everybody else who sends on the show's universes.
    pub fn is_over<'a>(
        self,
        now: ShowTime,
        of_the_show: u8,
        heard: impl IntoIterator<Item = &'a Source>,
    ) -> bool {
        let is_seen = |it: &Source| it.cid == self.from && it.priority >= of_the_show;
        now - self.at >= LOST && !heard.into_iter().any(is_seen)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn s03_priorities_stay_within_what_there_is() {
        let of = |turn: Turn| [0, 100, 200].map(|it| turn.priority(it));
        assert_eq!(of(Turn::Drives), [0, 100, 200]);
        assert_eq!(of(Turn::StandsBy), [0, 99, 199]);
        assert_eq!(of(Turn::TakesOver), [1, 101, 200]);
        for turn in [Turn::Drives, Turn::StandsBy, Turn::TakesOver] {
            assert_eq!(Turn::from_number(turn as u8), turn);
        }
    }

    #[test]
    fn s03_a_handover_lasts_while_the_box_before_is_seen() {
        let at = ShowTime::from_ns(0);
        let (before, desk) = (Uuid::from_u128(1), Uuid::from_u128(2));
        let handover = Handover { at, from: before };
        let sends = |cid, priority| {
            let mut source = Source::new(cid, at);
            source.priority = priority;
            source
        };
        let is_over =
            |ms, heard: &[Source]| handover.is_over(at + Span::from_millis(ms), 100, heard);
        assert!(!is_over(2_400, &[]), "receivers still hold what it sent last");
        assert!(is_over(2_500, &[]));
        assert!(is_over(2_500, &[sends(desk, 150)]), "a desk is none of it");
        assert!(!is_over(60_000, &[sends(before, 100)]), "it lives, cut off from us alone");
        assert!(is_over(60_000, &[sends(before, 99)]), "it stands by");
    }
}
