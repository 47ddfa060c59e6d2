//! Decides whether what is live may stand behind what stood there before.

use units::Span;

use super::{Line, Piece, Talk};
use crate::solusync::PARTS_MAX;

/// From one packet to the next: half of it, since what follows another track may begin a little early.
const APART_MIN: Span = Span::from_millis(10);
/// So many pieces may have one time: those of the sixteen pictures that a decoder may hold back (H.264, A.3.1).
pub(super) const AT_ONCE_MAX: u32 = 16 * PARTS_MAX;

/// Lets one packet of sound begin after the other, and the pieces of a picture follow each other.
#[derive(Debug, Clone, Copy, Default)]
pub(in crate::capture) struct Pace {
    sound: Option<Span>,
    /// The last piece, and its time.
    piece: Option<(Span, Piece)>,
    /// How many pieces have that time.
    at_once: u32,
}

impl Pace {
    /// Whether it may be told `at`.
    pub fn admit(&mut self, at: Span, talk: &Talk) -> bool {
        match talk {
            Talk::Sound(_) => self.admit_sound(at),
            Talk::Picture(it) => self.admit_piece(at, it.piece),
            _ => true,
        }
    }

    /// The same of what is to be written.
    pub fn admit_line(&mut self, at: Span, line: &Line) -> bool {
        match line {
            Line::Sound { .. } => self.admit_sound(at),
            Line::Picture { piece, .. } => self.admit_piece(at, *piece),
            _ => true,
        }
    }

    fn admit_sound(&mut self, at: Span) -> bool {
        let fits = self.sound.is_none_or(|last| at - last >= APART_MIN);
        self.sound = if fits { Some(at) } else { self.sound };
        fits
    }

    pub(super) fn admit_piece(&mut self, at: Span, piece: Piece) -> bool {
        let is_next = |last: &Piece| last.parts_left > 0 && piece.index == last.index + 1;
        let fits = self.piece.as_ref().is_none_or(|(then, last)| {
            let rest = Piece { index: last.index + 1, is_key: false, ..*last };
            !is_next(last)
                || (at == *then && piece == Piece { parts_left: last.parts_left - 1, ..rest })
        });
        let again = self.piece.is_some_and(|(then, _)| then == at);
        let at_once = if again { self.at_once + 1 } else { 1 };
        let fits = fits && at_once <= AT_ONCE_MAX;
        if fits {
            (self.piece, self.at_once) = (Some((at, piece)), at_once);
        }
        fits
    }
}
