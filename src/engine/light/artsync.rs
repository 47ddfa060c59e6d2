//! ArtSync as a receiver has it (rule A13): a port shows what comes at once until a first ArtSync comes; from then on
//! it holds each frame for the next one, and after four seconds without any it shows at once again.
//!
//! In: frames and ArtSyncs of one port, each with its time and sender. Out: the frame to show, if one is to be shown
//! now. An ArtSync from another sender than the latest frame's, or while frames of several senders are merged, changes
//! nothing. Never here: sockets, what a frame holds.

use std::net::Ipv4Addr;

use units::{ShowTime, Span};

/// So long after the last ArtSync a port shows at once again.
pub const SYNC_LOSS: Span = Span::from_secs(4);

/// One port; a frame is whatever its owner shows.
#[derive(Debug, Clone)]
pub struct SyncedPort<F> {
    latest: Option<Ipv4Addr>,
    synced: Option<ShowTime>,
    held: Option<F>,
}

impl<F> Default for SyncedPort<F> {
    /// Shows at once.
    fn default() -> Self {
        Self { latest: None, synced: None, held: None }
    }
}

impl<F> SyncedPort<F> {
    /// A frame came: it comes back if it is to be shown at once; one that is held takes the place of the one before.
    pub fn handle_frame(&mut self, now: ShowTime, from: Ipv4Addr, frame: F) -> Option<F> {
        self.latest = Some(from);
        if !self.is_synced(now) {
            self.held = None;
            return Some(frame);
        }
        self.held = Some(frame);
        None
    }

    /// An ArtSync came: the frame that it lets out.
    pub fn handle_sync(&mut self, now: ShowTime, from: Ipv4Addr, merging: bool) -> Option<F> {
        if merging || self.latest != Some(from) {
            return None;
        }
        self.synced = Some(now);
        self.held.take()
    }

    /// Time has come this far: the frame that waited for an ArtSync which did not come.
    pub fn tick(&mut self, now: ShowTime) -> Option<F> {
        if self.is_synced(now) { None } else { self.held.take() }
    }

    /// Whether frames are held.
    pub fn is_synced(&self, now: ShowTime) -> bool {
        self.synced.is_some_and(|at| now - at < SYNC_LOSS)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const DESK: Ipv4Addr = Ipv4Addr::new(10, 0, 0, 9);
    const OTHER: Ipv4Addr = Ipv4Addr::new(10, 0, 0, 10);

    fn at(millis: i64) -> ShowTime {
        ShowTime::ZERO + Span::from_millis(millis)
    }

    /// In sync since the beginning.
    fn synced() -> SyncedPort<u8> {
        let mut port = SyncedPort::default();
        assert_eq!(port.handle_frame(at(0), DESK, 1), Some(1), "nobody has synced yet");
        assert_eq!(port.handle_sync(at(0), DESK, false), None, "it has been shown");
        port
    }

    #[test]
    fn a13_from_the_first_sync_on_frames_wait_for_the_next() {
        let mut port = synced();
        assert_eq!(port.handle_frame(at(23), DESK, 2), None);
        assert_eq!(port.handle_frame(at(46), DESK, 3), None);
        assert_eq!(port.handle_sync(at(47), DESK, false), Some(3), "the latest is shown");
        assert_eq!(port.handle_sync(at(48), DESK, false), None, "once");
    }

    #[test]
    fn a13_after_four_seconds_without_a_sync_frames_are_shown_at_once() {
        let mut port = synced();
        assert_eq!(port.handle_frame(at(3000), DESK, 2), None);
        assert_eq!(port.tick(at(3999)), None);
        assert_eq!(port.tick(at(4000)), Some(2), "what waited is not lost");
        assert_eq!(port.handle_frame(at(4001), DESK, 3), Some(3));
        assert_eq!(port.tick(at(9000)), None);
    }

    #[test]
    fn a13_a_stranger_and_a_merge_let_nothing_out() {
        let mut port = synced();
        port.handle_frame(at(23), DESK, 2);
        assert_eq!(port.handle_sync(at(24), OTHER, false), None);
        assert_eq!(port.handle_sync(at(25), DESK, true), None);
        assert_eq!(port.handle_frame(at(26), OTHER, 3), None, "still held");
        assert_eq!(port.handle_sync(at(27), DESK, false), None, "the latest frame is another's");
        assert_eq!(port.handle_sync(at(28), OTHER, false), Some(3));
    }

    #[test]
    fn a13_a_frame_that_was_held_never_comes_after_a_newer_one() {
        let mut port = synced();
        port.handle_frame(at(3999), DESK, 2);
        assert_eq!(port.handle_frame(at(4000), DESK, 3), Some(3));
        assert_eq!(port.tick(at(4001)), None);
    }
}
