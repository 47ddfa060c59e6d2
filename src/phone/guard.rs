//! Lets no sealed piece of a live stream in twice (SX-20), nor one that is long over. `sealed.js` does the same in the page,
//! by the same vectors.
//!
//! Sound and pictures are counted apart: whoever joins hears sound as it is made, and gets pictures from the last key frame
//! on, which were counted long before.

use std::collections::VecDeque;

use units::Span;
use wire::sealed::{Sealed, Start};

use crate::scale::{NetTime, net};

/// No buffer is as long; sound that is older was heard, or is a recording of another hour.
const SOUND_AGE_MAX: Span = Span::from_secs(10);
/// Films have a key frame more often. An older picture is seen by nobody: what is late is not.
const PICTURES_AGE_MAX: Span = Span::from_secs(60);
/// Sound and pictures of as many starts of the box as there are within these, generously.
const STREAMS_MAX: usize = 8;

/// What one phone has heard and seen.
#[derive(Debug, Clone, Default)]
pub struct Guard {
    streams: VecDeque<(Stream, u64)>,
}

/// Of which start, and whether it is of pictures.
type Stream = (Start, bool);

impl Guard {
    /// Whether a piece, once it has been opened, is to be heard or seen. Pieces of one kind come in order, though not all of
    /// them.
    pub fn admit(&mut self, now: NetTime, piece: &Sealed<'_>) -> bool {
        let is_picture = piece.codec.has_pictures();
        let age_max = if is_picture { PICTURES_AGE_MAX } else { SOUND_AGE_MAX };
        if now - net(piece.timestamp) > age_max {
            return false;
        }
        let (stream, sequence) = ((piece.start, is_picture), piece.header.sequence);
        match self.streams.iter_mut().find(|(it, _)| *it == stream) {
            Some((_, last)) if sequence <= *last => return false,
            Some((_, last)) => *last = sequence,
            None => self.streams.push_back((stream, sequence)),
        }
        if self.streams.len() > STREAMS_MAX {
            self.streams.pop_front();
        }
        true
    }
}
