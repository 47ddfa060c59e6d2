//! When a universe is sent, and with which numbers: one stream a universe and protocol.
//!
//! In: the slots as they are drawn for a frame, and its show time. Out: the datagram, or nothing where the rules say
//! that silence is enough. Nothing here allocates after it is made, so a render thread may own it.
//! Never here: whom it goes to.

use units::{PortAddress, ShowTime, Span, Universe};
use uuid::Uuid;
use wire::{artnet, sacn};

/// Identical frames before silence (rule S6).
const IDENTICAL: u8 = 3;
/// Unchanged universes are repeated after this (rules S6 and A11 say 800 to 1,000 ms): on the grid that is 805 ms.
const KEEP_ALIVE: Span = Span::from_millis(800);
/// Packets that say goodbye (rule S8).
pub const GOODBYES: usize = 3;

/// What a frame does to a universe.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Motion {
    /// It moves, was just ordered to, or has a new listener: send, whether its octets differ or not. So a moving
    /// light has a constant rate, and every order has a packet that carries it.
    Lively,
    /// Nothing is going on; the octets decide.
    Still,
}

/// Sends every change at once, repeats it until three are identical, then every 800 ms.
#[derive(Debug, Clone, Default)]
struct Pace {
    sent: Option<ShowTime>,
    identical: u8,
}

impl Pace {
    /// Whether this frame leaves; the caller then sends it.
    fn due(&mut self, changed: bool, motion: Motion, at: ShowTime) -> bool {
        let due = match self.sent {
            None => true,
            Some(sent) => {
                changed
                    || motion == Motion::Lively
                    || self.identical < IDENTICAL
                    || at - sent >= KEEP_ALIVE
                    // A clock that was set back must not silence a stage.
                    || at < sent
            }
        };
        if due {
            self.identical = if changed { 1 } else { self.identical.saturating_add(1) };
            self.sent = Some(at);
        }
        due
    }
}

/// A universe as sACN: the packet, its sequence (rule S4) and its pace (rules S5 and S6).
#[derive(Debug, Clone)]
pub struct SacnStream {
    frame: sacn::DataFrame,
    sequence: u8,
    pace: Pace,
}

impl SacnStream {
    /// Has sent nothing yet.
    pub fn new(cid: Uuid, name: sacn::SourceName, priority: u8, universe: Universe) -> Self {
        let frame = sacn::DataFrame::new(cid, name, priority, universe);
        Self { frame, sequence: 0, pace: Pace::default() }
    }
    /// Takes the frame for `at`; true if [`Self::bytes`] is to be sent. Ask once a frame of the grid (rule S5).
    pub fn show(&mut self, slots: &[u8; Universe::SLOTS], motion: Motion, at: ShowTime) -> bool {
        let changed = self.frame.slots() != slots;
        if changed {
            self.frame.slots_mut().copy_from_slice(slots);
        }
        let due = self.pace.due(changed, motion, at);
        if due {
            self.count();
        }
        due
    }
    /// Turns the last frame into a goodbye; send it, [`GOODBYES`] times in all (rule S8).
    pub fn say_goodbye(&mut self) {
        self.frame.set_options(sacn::Options { terminated: true, ..sacn::Options::default() });
        self.count();
    }
    /// The datagram.
    pub fn bytes(&self) -> &[u8] {
        self.frame.bytes()
    }

    fn count(&mut self) {
        self.frame.set_sequence(self.sequence);
        self.sequence = self.sequence.wrapping_add(1);
    }
}

/// A universe as Art-Net: the packet, its sequence (rule A10) and its pace (rules A11 and A12).
#[derive(Debug, Clone)]
pub struct ArtnetStream {
    frame: artnet::DmxFrame,
    sequence: u8,
    pace: Pace,
}

impl ArtnetStream {
    /// Has sent nothing yet.
    pub fn new(port_address: PortAddress) -> Self {
        Self { frame: artnet::DmxFrame::new(port_address), sequence: 0, pace: Pace::default() }
    }
    /// Takes the frame for `at`; true if [`Self::bytes`] is to be sent. Ask once a frame of the grid (rule A12), and
    /// only while somebody subscribes (rule A8).
    pub fn show(&mut self, slots: &[u8; Universe::SLOTS], motion: Motion, at: ShowTime) -> bool {
        let changed = self.frame.slots() != slots;
        if changed {
            self.frame.slots_mut().copy_from_slice(slots);
        }
        let due = self.pace.due(changed, motion, at);
        if due {
            // 0 would say that nobody counts, so 255 is followed by 1.
            self.sequence = self.sequence % u8::MAX + 1;
            self.frame.set_sequence(self.sequence);
        }
        due
    }
    /// The datagram.
    pub fn bytes(&self) -> &[u8] {
        self.frame.bytes()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::light::GRID;

    fn stream() -> SacnStream {
        let universe = Universe::new(1).expect("a universe");
        SacnStream::new(Uuid::from_u128(7), sacn::SourceName::new("box"), 100, universe)
    }

    fn frame(index: i64) -> ShowTime {
        ShowTime::ZERO + GRID.times(index)
    }

    fn sequence(stream: &SacnStream) -> u8 {
        match sacn::parse(stream.bytes()).expect("our own packet") {
            sacn::Packet::Data(data) => data.sequence,
            other => panic!("a data packet was read as {other:?}"),
        }
    }

    /// The frames of `count` that leave, when slot 1 is what `value` says.
    fn sent(count: i64, motion: Motion, value: impl Fn(i64) -> u8) -> Vec<i64> {
        let mut stream = stream();
        let mut slots = [0; 512];
        (0..count)
            .filter(|&index| {
                slots[0] = value(index);
                stream.show(&slots, motion, frame(index))
            })
            .collect()
    }

    #[test]
    fn s06_after_three_identical_packets_a_still_universe_is_repeated_every_805_ms() {
        let sent = sent(110, Motion::Still, |_| 0);
        assert_eq!(sent, [0, 1, 2, 37, 72, 107]);
        assert_eq!(GRID.times(35), Span::from_millis(805));
    }

    #[test]
    fn s06_a_change_leaves_at_once_and_is_repeated_twice() {
        let sent = sent(60, Motion::Still, |index| if index < 50 { 0 } else { 9 });
        assert_eq!(sent, [0, 1, 2, 37, 50, 51, 52]);
    }

    #[test]
    fn s05_a_moving_universe_is_sent_once_a_frame_and_never_more() {
        assert_eq!(sent(200, Motion::Lively, |_| 0).len(), 200);
    }

    #[test]
    fn s04_the_sequence_counts_packets_not_frames_and_goes_from_255_to_0() {
        let mut stream = stream();
        let mut seen = Vec::new();
        for index in 0..10_000 {
            if stream.show(&[0; 512], Motion::Still, frame(index)) {
                seen.push(sequence(&stream));
            }
        }
        assert!(seen.len() > 256);
        assert_eq!(seen[0], 0);
        assert!(seen.windows(2).all(|pair| pair[1] == pair[0].wrapping_add(1)));
    }

    #[test]
    fn s08_goodbyes_go_on_counting_and_carry_the_bit() {
        let mut stream = stream();
        stream.show(&[7; 512], Motion::Still, frame(0));
        stream.say_goodbye();
        let sacn::Packet::Data(data) = sacn::parse(stream.bytes()).expect("our own packet") else {
            panic!("a data packet");
        };
        assert!(data.options.terminated);
        assert_eq!(data.sequence, 1);
    }

    #[test]
    fn a10_the_sequence_goes_from_255_to_1() {
        let mut stream = ArtnetStream::new(PortAddress::new(1).expect("15 bits"));
        let mut seen = Vec::new();
        for index in 0..600 {
            assert!(stream.show(&[0; 512], Motion::Lively, frame(index)));
            let artnet::Packet::Dmx(dmx) = artnet::parse(stream.bytes()).expect("ours") else {
                panic!("an ArtDmx");
            };
            seen.push(dmx.sequence);
        }
        assert_eq!(seen[..2], [1, 2]);
        assert_eq!(seen[253..257], [254, 255, 1, 2]);
    }

    #[test]
    fn a_clock_set_back_does_not_silence_a_stage() {
        let mut stream = stream();
        for index in 100..103 {
            stream.show(&[0; 512], Motion::Still, frame(index));
        }
        assert!(stream.show(&[0; 512], Motion::Still, frame(1)));
    }
}
