//! Lets no sealed piece of live sound in twice (SX-20), nor one that is long over. `sealed.js` does the same in the page,
//! by the same vectors.

use std::collections::VecDeque;

use units::{Span, WireTime};
use wire::sealed::Start;

use crate::scale::{NetTime, net};

/// No buffer is as long; what is older was heard, or is a recording of another hour.
const AGE_MAX: Span = Span::from_secs(10);
/// Starts of the box within [`AGE_MAX`], generously.
const STARTS_MAX: usize = 4;

/// What one phone has heard.
#[derive(Debug, Clone, Default)]
pub struct Guard {
    starts: VecDeque<(Start, u64)>,
}

impl Guard {
    /// Whether a piece, once it has been opened, is to be heard: it is the how-manieth of its start, and heard at
    /// `timestamp`. Pieces come in order, though not all of them.
    pub fn admit(
        &mut self,
        now: NetTime,
        (start, sequence): (Start, u64),
        timestamp: WireTime,
    ) -> bool {
        if now - net(timestamp) > AGE_MAX {
            return false;
        }
        match self.starts.iter_mut().find(|(it, _)| *it == start) {
            Some((_, last)) if sequence <= *last => return false,
            Some((_, last)) => *last = sequence,
            None => self.starts.push_back((start, sequence)),
        }
        if self.starts.len() > STARTS_MAX {
            self.starts.pop_front();
        }
        true
    }
}
