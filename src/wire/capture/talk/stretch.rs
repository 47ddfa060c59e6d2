//! From when until when something was live.

use units::Span;

use super::{PACKET, Picture, Sound};

/// An evening has some dozen; of a file that claims more the rest is not told.
const STRETCHES_MAX: usize = 1 << 16;
/// What is live and stops for less goes on.
pub const BREAK_MIN: Span = Span::from_secs(1);

/// Sound, or pictures, of one track without a break.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Stretch {
    /// What it is called.
    pub track: String,
    /// Since position 0.
    pub from: Span,
    /// When its last packet or picture is over.
    pub until: Span,
    /// Whether it can be heard or seen again; what was sealed cannot.
    pub is_kept: bool,
}

impl Stretch {
    /// Adds a packet to those before it.
    pub fn add(all: &mut Vec<Self>, at: Span, sound: &Sound) {
        let (track, is_kept) = (sound.track.to_owned(), sound.opus.is_some());
        Self { track, from: at, until: at + PACKET, is_kept }.join(all);
    }

    /// Adds a piece of a picture to those before it.
    pub fn add_picture(all: &mut Vec<Self>, at: Span, it: &Picture) {
        let (track, is_kept) = (it.track.to_owned(), it.data.is_some());
        let from = at - it.piece.earlier;
        Self { track, from, until: from + it.piece.lasts, is_kept }.join(all);
    }

    fn join(self, all: &mut Vec<Self>) {
        let is_full = all.len() == STRETCHES_MAX;
        match all.last_mut() {
            Some(it) if it.goes_on_with(&self) => it.until = it.until.max(self.until),
            _ if is_full => {}
            _ => all.push(self),
        }
    }

    fn goes_on_with(&self, next: &Self) -> bool {
        self.track == next.track
            && self.is_kept == next.is_kept
            && next.from - self.until < BREAK_MIN
    }
}
