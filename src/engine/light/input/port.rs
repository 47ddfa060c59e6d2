//! ArtDmx that comes in on one port address: who sends it, and what they add up to.
//!
//! In: ArtDmx and ArtSync with their time and sender, and how two senders merge. Out: levels. Never here: sockets.
//!
//! Two senders are told apart, by their address; a third is passed over. They merge by the highest level, or slot by
//! slot by the latest change; a sender that is silent for 10 s counts no more (rule A16).

use std::net::Ipv4Addr;

use units::{ShowTime, Span, Universe};
use wire::artnet::Dmx;

use super::settings::SenderMerge;

/// Senders that are told apart (rule A16).
pub const SENDERS_MAX: usize = 2;
/// Silence after which a sender is gone (rule A16); Art-Net allows 4 s between two packets of a still one (rule A11).
pub const SILENT: Span = Span::from_secs(10);
/// Without ArtSync for so long a port shows what comes at once (rule A13).
const SYNC_KEPT: Span = Span::from_secs(4);
/// A packet whose sequence is up to this far behind is an old one; farther, and the sender has begun anew.
const BEHIND_MAX: i8 = 20;

/// A port that Art-Net comes in by.
#[derive(Debug, Clone)]
pub struct Port {
    merge: SenderMerge,
    senders: Vec<Sender>,
    /// The only one that counts, after a merge has been cancelled.
    only: Option<Ipv4Addr>,
    cancelled: bool,
    latest: Option<Ipv4Addr>,
    synchronized: Option<ShowTime>,
    merged: [u8; Universe::SLOTS],
}

/// Who sends.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Sender {
    /// Where it is.
    pub address: Ipv4Addr,
    /// When it was last heard.
    pub heard: ShowTime,
    sequence: u8,
    shown: [u8; Universe::SLOTS],
    held: Option<[u8; Universe::SLOTS]>,
}

impl Port {
    /// Nobody sends.
    pub fn new(merge: SenderMerge) -> Self {
        Self {
            merge,
            senders: Vec::new(),
            only: None,
            cancelled: false,
            latest: None,
            synchronized: None,
            merged: [0; Universe::SLOTS],
        }
    }

    /// ArtDmx of this port came; true if what it shows may be another.
    pub fn handle(&mut self, now: ShowTime, dmx: &Dmx, from: Ipv4Addr) -> bool {
        if std::mem::take(&mut self.cancelled) {
            self.only = Some(from);
            self.senders.retain(|it| it.address == from);
        }
        if self.only.is_some_and(|only| only != from) || !self.accepts(now, dmx, from) {
            return false;
        }
        self.latest = Some(from);
        let held = self.is_synchronized(now);
        let sender =
            self.senders.iter_mut().find(|it| it.address == from).expect("it was accepted");
        let mut slots = [0; Universe::SLOTS];
        slots[..dmx.slots.len()].copy_from_slice(dmx.slots);
        sender.held = Some(slots);
        if held { false } else { self.show(from) }
    }

    /// ArtSync came: what its sender's packets hold is shown. Nobody is synchronized while two are merged, nor by
    /// anybody but who sent the latest ArtDmx (rule A13).
    pub fn synchronize(&mut self, now: ShowTime, from: Ipv4Addr) -> bool {
        if self.senders.len() > 1 || self.latest != Some(from) {
            return false;
        }
        self.synchronized = Some(now);
        self.show(from)
    }

    /// Two senders merge like this from now on.
    pub fn set_merge(&mut self, merge: SenderMerge) {
        self.merge = merge;
    }

    /// Whoever sends next is the only one, until it is silent.
    pub fn cancel_merge(&mut self) {
        self.cancelled = true;
    }

    /// Forgets what its senders have sent, also what waits for ArtSync; who they are it still knows.
    pub fn clear(&mut self) {
        for sender in &mut self.senders {
            (sender.shown, sender.held) = ([0; Universe::SLOTS], None);
        }
        self.merge_anew();
    }

    /// Time has come this far; true if what it shows may be another.
    pub fn tick(&mut self, now: ShowTime) -> bool {
        let before = self.senders.len();
        self.senders.retain(|it| now - it.heard < SILENT);
        let gone = self.senders.len() != before;
        if self.senders.iter().all(|it| Some(it.address) != self.only) && !self.cancelled {
            self.only = None;
        }
        let waiting: Vec<_> =
            self.senders.iter().filter(|it| it.held.is_some()).map(|it| it.address).collect();
        let released = !self.is_synchronized(now) && waiting.into_iter().any(|it| self.show(it));
        if gone {
            self.merge_anew();
        }
        gone | released
    }

    /// What it shows; none while nobody sends.
    pub fn merged(&self) -> Option<&[u8; Universe::SLOTS]> {
        (!self.senders.is_empty()).then_some(&self.merged)
    }

    /// Whether two senders are merged, and by the latest rather than by the highest.
    pub fn merges(&self) -> (bool, SenderMerge) {
        (self.senders.len() > 1, self.merge)
    }

    /// Who sends now.
    pub fn senders(&self) -> &[Sender] {
        &self.senders
    }

    /// Notes who sends; false for a third, and for what comes too late.
    fn accepts(&mut self, now: ShowTime, dmx: &Dmx, from: Ipv4Addr) -> bool {
        if let Some(sender) = self.senders.iter_mut().find(|it| it.address == from) {
            let ahead = dmx.sequence.wrapping_sub(sender.sequence) as i8;
            let counted = dmx.sequence != 0 && sender.sequence != 0;
            if counted && ahead <= 0 && ahead > -BEHIND_MAX {
                return false;
            }
            (sender.heard, sender.sequence) = (now, dmx.sequence);
            return true;
        }
        let room = self.senders.len() < SENDERS_MAX;
        if room {
            let (sequence, shown) = (dmx.sequence, [0; Universe::SLOTS]);
            self.senders.push(Sender { address: from, heard: now, sequence, shown, held: None });
        }
        room
    }

    fn is_synchronized(&self, now: ShowTime) -> bool {
        let synchronized = self.synchronized.is_some_and(|last| now - last < SYNC_KEPT);
        synchronized && self.senders.len() == 1
    }

    /// What a sender's packets hold becomes visible.
    fn show(&mut self, from: Ipv4Addr) -> bool {
        let (alone, latest) = (self.senders.len() == 1, self.merge == SenderMerge::Ltp);
        let Some(sender) = self.senders.iter_mut().find(|it| it.address == from) else {
            return false;
        };
        let Some(held) = sender.held.take() else { return false };
        let shown = std::mem::replace(&mut sender.shown, held);
        if latest && !alone {
            let changed = held.iter().zip(&shown).enumerate().filter(|(_, (new, old))| new != old);
            changed.for_each(|(slot, (new, _))| self.merged[slot] = *new);
        } else {
            self.merge_anew();
        }
        true
    }

    /// By the highest level; of one sender alone that is its own.
    fn merge_anew(&mut self) {
        self.merged = [0; Universe::SLOTS];
        for sender in &self.senders {
            for (merged, level) in self.merged.iter_mut().zip(&sender.shown) {
                *merged = (*merged).max(*level);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use units::PortAddress;

    const LEFT: Ipv4Addr = Ipv4Addr::new(10, 0, 0, 2);
    const RIGHT: Ipv4Addr = Ipv4Addr::new(10, 0, 0, 3);
    const THIRD: Ipv4Addr = Ipv4Addr::new(10, 0, 0, 4);

    fn at(ms: i64) -> ShowTime {
        ShowTime::ZERO + Span::from_millis(ms)
    }
    /// A packet without a sequence, or with one.
    fn send(port: &mut Port, ms: i64, from: Ipv4Addr, sequence: u8, slots: &[u8]) -> bool {
        let port_address = PortAddress::new(1).expect("15 bits");
        port.handle(at(ms), &Dmx { sequence, port_address, slots }, from)
    }
    fn shows(port: &mut Port, ms: i64) -> Option<[u8; 2]> {
        port.tick(at(ms));
        port.merged().map(|slots| [slots[0], slots[1]])
    }

    #[test]
    fn a16_two_senders_merge_by_the_highest_level_and_a_third_is_ignored() {
        let mut port = Port::new(SenderMerge::Htp);
        send(&mut port, 0, LEFT, 0, &[10, 200]);
        send(&mut port, 0, RIGHT, 0, &[20, 100]);
        assert!(!send(&mut port, 0, THIRD, 0, &[255, 255]));
        assert_eq!(shows(&mut port, 0), Some([20, 200]));
    }

    #[test]
    fn a16_by_the_latest_each_slot_is_whose_who_changed_it_last() {
        let mut port = Port::new(SenderMerge::Ltp);
        send(&mut port, 0, LEFT, 0, &[10, 200]);
        send(&mut port, 1, RIGHT, 0, &[20, 0]);
        assert_eq!(shows(&mut port, 1), Some([20, 200]));
        send(&mut port, 2, LEFT, 0, &[10, 150]);
        assert_eq!(shows(&mut port, 2), Some([20, 150]), "what is only repeated takes nothing");
        send(&mut port, 3, LEFT, 0, &[5, 150]);
        assert_eq!(shows(&mut port, 3), Some([5, 150]));
    }

    #[test]
    fn a16_a_sender_that_is_silent_for_ten_seconds_leaves_the_merge_and_makes_room() {
        let mut port = Port::new(SenderMerge::Htp);
        send(&mut port, 0, LEFT, 0, &[200, 0]);
        send(&mut port, 5000, RIGHT, 0, &[20, 0]);
        assert_eq!(shows(&mut port, 9_999), Some([200, 0]));
        assert_eq!(shows(&mut port, 10_000), Some([20, 0]));
        assert!(send(&mut port, 10_001, THIRD, 0, &[30, 0]));
        assert_eq!(shows(&mut port, 20_001), None);
    }

    #[test]
    fn a16_a_cancelled_merge_leaves_the_one_who_sends_next_until_it_is_silent() {
        let mut port = Port::new(SenderMerge::Htp);
        send(&mut port, 0, LEFT, 0, &[200, 0]);
        send(&mut port, 0, RIGHT, 0, &[20, 0]);
        port.cancel_merge();
        assert_eq!(shows(&mut port, 1), Some([200, 0]), "not before the next packet");
        send(&mut port, 2, RIGHT, 0, &[20, 0]);
        assert!(!send(&mut port, 3, LEFT, 0, &[200, 0]));
        assert_eq!(shows(&mut port, 3), Some([20, 0]));
        shows(&mut port, 10_002);
        assert!(send(&mut port, 10_003, LEFT, 0, &[200, 0]));
    }

    #[test]
    fn a17_a_cleared_port_is_dark_until_somebody_sends_again_and_knows_its_senders_still() {
        for merge in [SenderMerge::Htp, SenderMerge::Ltp] {
            let mut port = Port::new(merge);
            send(&mut port, 0, LEFT, 0, &[200, 10]);
            send(&mut port, 0, RIGHT, 0, &[20, 100]);
            port.clear();
            assert_eq!(shows(&mut port, 1), Some([0, 0]), "{merge:?}");
            assert!(!send(&mut port, 2, THIRD, 0, &[9, 9]));
            send(&mut port, 2, RIGHT, 0, &[30, 0]);
            assert_eq!(shows(&mut port, 2), Some([30, 0]), "{merge:?}");
        }
    }

    #[test]
    fn a17_what_waits_for_art_sync_is_cleared_too() {
        let mut port = Port::new(SenderMerge::Htp);
        send(&mut port, 0, LEFT, 0, &[10, 0]);
        port.synchronize(at(1), LEFT);
        send(&mut port, 2, LEFT, 0, &[20, 0]);
        port.clear();
        port.synchronize(at(3), LEFT);
        assert_eq!(shows(&mut port, 3), Some([0, 0]));
    }

    #[test]
    fn a16_art_address_sets_how_two_senders_merge() {
        let mut port = Port::new(SenderMerge::Htp);
        port.set_merge(SenderMerge::Ltp);
        send(&mut port, 0, LEFT, 0, &[200, 0]);
        send(&mut port, 1, RIGHT, 0, &[20, 0]);
        assert_eq!(shows(&mut port, 1), Some([20, 0]));
    }

    #[test]
    fn a10_what_comes_out_of_order_is_dropped_unless_nobody_counts() {
        let mut port = Port::new(SenderMerge::Htp);
        send(&mut port, 0, LEFT, 254, &[1, 0]);
        send(&mut port, 0, LEFT, 255, &[2, 0]);
        send(&mut port, 0, LEFT, 1, &[3, 0]);
        assert_eq!(shows(&mut port, 0), Some([3, 0]), "over the end");
        send(&mut port, 0, LEFT, 255, &[9, 0]);
        assert_eq!(shows(&mut port, 0), Some([3, 0]), "late");
        send(&mut port, 0, LEFT, 0, &[4, 0]);
        assert_eq!(shows(&mut port, 0), Some([4, 0]), "not counted");
    }

    #[test]
    fn a13_what_comes_is_held_for_art_sync_from_the_first_on_and_for_four_seconds_after_the_last() {
        let mut port = Port::new(SenderMerge::Htp);
        send(&mut port, 0, LEFT, 0, &[10, 0]);
        assert!(!port.synchronize(at(1), RIGHT), "of somebody else");
        port.synchronize(at(1), LEFT);
        send(&mut port, 100, LEFT, 0, &[20, 0]);
        assert_eq!(shows(&mut port, 100), Some([10, 0]));
        port.synchronize(at(101), LEFT);
        assert_eq!(shows(&mut port, 101), Some([20, 0]));
        send(&mut port, 200, LEFT, 0, &[30, 0]);
        assert_eq!(shows(&mut port, 4_100), Some([20, 0]));
        assert_eq!(shows(&mut port, 4_101), Some([30, 0]));
    }

    #[test]
    fn a13_nobody_is_synchronized_while_two_are_merged() {
        let mut port = Port::new(SenderMerge::Htp);
        send(&mut port, 0, LEFT, 0, &[10, 0]);
        port.synchronize(at(1), LEFT);
        send(&mut port, 2, RIGHT, 0, &[20, 0]);
        assert_eq!(shows(&mut port, 2), Some([20, 0]));
    }
}
