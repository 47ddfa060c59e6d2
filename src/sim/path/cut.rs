//! Whiles in which nothing passes, because somebody planned it so.

use units::MonoTime;

use super::Direction;

/// From when until when one direction is cut.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Cut {
    /// Which.
    pub direction: Direction,
    /// The first moment at which nothing passes.
    pub begins: MonoTime,
    /// The first at which something passes again.
    pub ends: MonoTime,
}

/// When the cut ends that keeps this direction closed at `at`, the last of several; none if it is open.
pub fn closed_until(cuts: &[Cut], direction: Direction, at: MonoTime) -> Option<MonoTime> {
    let holds = |cut: &&Cut| cut.direction == direction && cut.begins <= at && at < cut.ends;
    cuts.iter().filter(holds).map(|cut| cut.ends).max()
}
