//! When a universe is sent, and with which numbers: one stream a universe and protocol.
//!
//! In: the slots as they are drawn for a frame, and its show time. Out: the datagram, or nothing where the rules say
//! that silence is enough. Nothing here allocates after it is made, so a render thread may own it.
//! Never here: whom it goes to.

use units::{PortAddress, ShowTime, Span, Universe};
use uuid::Uuid;
use wire::{artnet, sacn};

use super::turn::Turn;

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

/// A universe as sACN: its packets, their sequence (rule S4) and their pace (rules S5, S6 and S13).
#[derive(Debug, Clone)]
pub struct SacnStream {
    frame: sacn::DataFrame,
    options: sacn::Options,
    sequence: u8,
    /// Without regard to whose turn it is.
    priority: u8,
    pace: Pace,
    due: bool,
    /// In a place of its own, since few have it.
    priorities: Option<Box<Priorities>>,
}

impl SacnStream {
    /// Has sent nothing yet.
    pub fn new(cid: Uuid, name: sacn::SourceName, priority: u8, universe: Universe) -> Self {
        Self {
            frame: sacn::DataFrame::new(cid, name, priority, universe),
            options: sacn::Options::default(),
            sequence: 0,
            priority,
            pace: Pace::default(),
            due: false,
            priorities: None,
        }
    }
    /// Receivers hold its levels until a [`SacnSync`] of that address, and go on without when none comes any more: a
    /// stage that runs unsynchronized is better than one that stands still (rule S10).
    pub fn synchronized_by(mut self, address: Option<Universe>) -> Self {
        self.frame.set_sync_address(address);
        self.options.force_sync = address.is_some();
        self.frame.set_options(self.options);
        self
    }
    /// Gives each slot a priority of its own, if there are any: `priorities` are those of the slots, 0 where it sends
    /// nothing that counts (rule S13). The packet's priority stays, for receivers that do not know of this.
    pub fn with_priorities(mut self, priorities: Option<&[u8; Universe::SLOTS]>) -> Self {
        self.priorities = priorities.map(|priorities| {
            let mut frame = self.frame.clone();
            // They say who counts, not what is shown, so they wait for nothing.
            frame.set_sync_address(None);
            frame.set_start_code(sacn::ADDRESS_PRIORITIES);
            frame.slots_mut().copy_from_slice(priorities);
            Box::new(Priorities::new(frame))
        });
        self
    }
    /// From the next packet on it is sent as one sends whose turn that is.
    pub fn set_turn(&mut self, turn: Turn) {
        let before = self.frame.priority();
        self.frame.set_priority(turn.priority(self.priority));
        if let Some(priorities) = &mut self.priorities {
            priorities.shift(before, self.frame.priority());
        }
    }
    /// From the next packet on its levels are for visualisers only, or live again (rule S9).
    pub fn set_preview(&mut self, preview: bool) {
        self.options.preview = preview;
        self.frame.set_options(self.options);
        if let Some(priorities) = &mut self.priorities {
            priorities.frame.set_options(self.options);
        }
    }
    /// Takes the frame for `at`; true if [`Self::datagrams`] are to be sent. Ask once a frame of the grid (rule S5).
    pub fn show(&mut self, slots: &[u8; Universe::SLOTS], motion: Motion, at: ShowTime) -> bool {
        let changed = self.frame.slots() != slots;
        if changed {
            self.frame.slots_mut().copy_from_slice(slots);
        }
        self.due = self.pace.due(changed, motion, at);
        if let Some(priorities) = &mut self.priorities
            && priorities.show(self.due, at)
        {
            priorities.frame.set_sequence(self.sequence);
            self.sequence = self.sequence.wrapping_add(1);
        }
        if self.due {
            self.count();
        }
        self.due || self.priorities.iter().any(|it| it.due)
    }
    /// Reads of its packet a little, and so brings it near.
    pub fn touch(&self) -> u64 {
        let slots = self.frame.slots();
        let lines = slots.iter().step_by(64).chain(slots.last());
        lines.fold(0, |sum, octet| sum ^ u64::from(*octet))
    }
    /// Turns the last frame into a goodbye; send it, [`GOODBYES`] times in all (rule S8).
    pub fn say_goodbye(&mut self) {
        self.frame.set_options(sacn::Options { terminated: true, ..self.options });
        self.priorities.iter_mut().for_each(|it| it.due = false);
        self.due = true;
        self.count();
    }
    /// What has said goodbye is there again; it goes on counting.
    pub(super) fn begin_anew(&mut self) {
        self.frame.set_options(self.options);
        self.pace = Pace::default();
    }
    /// What this frame sends: priorities before the levels that they are for.
    pub fn datagrams(&self) -> impl Iterator<Item = &[u8]> {
        let priorities = self.priorities.iter().filter(|it| it.due).map(|it| it.frame.bytes());
        let levels = self.due.then_some(self.frame.bytes());
        priorities.chain(levels).map(|bytes| bytes.as_slice())
    }

    fn count(&mut self) {
        self.frame.set_sequence(self.sequence);
        self.sequence = self.sequence.wrapping_add(1);
    }
}

/// While levels move, one packet of priorities for so many of levels: ETC's sources send one for 20 to 30 (rule S13).
const LEVELS_A_PRIORITY: u8 = 25;
/// Priorities are repeated at least this often: on the grid that is 989 ms (rules S6 and S13).
const PRIORITIES_KEEP_ALIVE: Span = Span::from_millis(970);

/// The priorities of a universe's slots, beside its levels (rule S13).
#[derive(Debug, Clone)]
struct Priorities {
    frame: sacn::DataFrame,
    sent: Option<ShowTime>,
    identical: u8,
    levels_since: u8,
    due: bool,
}

impl Priorities {
    fn new(frame: sacn::DataFrame) -> Self {
        Self { frame, sent: None, identical: 0, levels_since: 0, due: false }
    }
    /// Slots that count for more or less than the rest of the universe still do.
    fn shift(&mut self, from: u8, to: u8) {
        for slot in self.frame.slots_mut().iter_mut().filter(|it| **it > 0) {
            *slot = slot.saturating_add(to).saturating_sub(from).clamp(1, 200);
        }
        self.frame.set_priority(to);
        self.identical = 0;
    }
    fn show(&mut self, levels: bool, at: ShowTime) -> bool {
        self.levels_since += u8::from(levels);
        self.due = self.identical < IDENTICAL
            || self.levels_since >= LEVELS_A_PRIORITY
            || self.sent.is_none_or(|sent| at - sent >= PRIORITIES_KEEP_ALIVE || at < sent);
        if self.due {
            self.sent = Some(at);
            self.identical = self.identical.saturating_add(1);
            self.levels_since = 0;
        }
        self.due
    }
}

/// "Now": what receivers hold for an address becomes visible (rule S10).
#[derive(Debug, Clone)]
pub struct SacnSync {
    packet: sacn::Sync,
    bytes: [u8; sacn::SYNC_LEN],
}

impl SacnSync {
    /// Has sent nothing yet.
    pub fn new(cid: Uuid, address: Universe) -> Self {
        let packet = sacn::Sync { cid, sequence: 0, address };
        Self { packet, bytes: sacn::sync(packet) }
    }
    /// The next packet; its sequence is its own, apart from those of universes (rule S4).
    pub fn datagram(&mut self) -> &[u8] {
        self.bytes = sacn::sync(self.packet);
        self.packet.sequence = self.packet.sequence.wrapping_add(1);
        &self.bytes
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

    /// What the frame sends, as it is read.
    fn read(stream: &SacnStream) -> Vec<sacn::Data<'_>> {
        let read = |bytes| match sacn::parse(bytes).expect("our own packet") {
            sacn::Packet::Data(data) => data,
            other => panic!("a data packet was read as {other:?}"),
        };
        stream.datagrams().map(read).collect()
    }

    /// Start codes of `count` frames, each of its own time.
    fn start_codes(count: i64, motion: Motion) -> Vec<(i64, u8)> {
        let mut stream = stream().with_priorities(Some(&[100; 512]));
        let mut sent = Vec::new();
        for index in 0..count {
            stream.show(&[0; 512], motion, frame(index));
            sent.extend(read(&stream).iter().map(|it| (index, it.start_code)));
        }
        sent
    }

    fn priorities(sent: &[(i64, u8)]) -> Vec<i64> {
        sent.iter().filter(|(_, code)| *code == 0xdd).map(|(index, _)| *index).collect()
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
    fn s03_a_stream_is_sent_beneath_another_box_and_above_it_while_it_takes_over() {
        let mut slots = [100; 512];
        (slots[0], slots[1]) = (0, 120);
        let mut stream = stream().with_priorities(Some(&slots));
        for (index, turn, of) in
            [(0, Turn::StandsBy, 99), (1, Turn::TakesOver, 101), (2, Turn::Drives, 100)]
        {
            stream.set_turn(turn);
            stream.show(&[0; 512], Motion::Lively, frame(index));
            for data in read(&stream) {
                assert_eq!(data.priority, of);
                if data.start_code == sacn::ADDRESS_PRIORITIES {
                    assert_eq!(
                        data.slots[..3],
                        [0, of + 20, of],
                        "who sends nothing still does not"
                    );
                }
            }
        }
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
                seen.push(read(&stream)[0].sequence);
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
        let data = read(&stream)[0];
        assert!(data.options.terminated);
        assert_eq!(data.sequence, 1);
    }

    #[test]
    fn s09_blind_bears_the_preview_bit_until_it_is_live_again() {
        let mut stream = stream().with_priorities(Some(&[100; 512]));
        for (index, preview) in [false, true, false].into_iter().enumerate() {
            stream.set_preview(preview);
            stream.show(&[0; 512], Motion::Lively, frame(index as i64));
            let sent = read(&stream);
            assert_eq!(sent.len(), 2, "levels and priorities");
            assert!(sent.iter().all(|it| it.options.preview == preview), "frame {index}");
        }
    }

    #[test]
    fn s10_levels_name_their_synchronization_and_sync_packets_count_for_themselves() {
        let universe = Universe::new(7962).expect("a universe");
        let mut stream =
            stream().synchronized_by(Some(universe)).with_priorities(Some(&[100; 512]));
        stream.show(&[0; 512], Motion::Still, frame(0));
        let sent = read(&stream);
        assert_eq!((sent[0].start_code, sent[0].sync_address), (0xdd, 0));
        assert_eq!((sent[1].sync_address, sent[1].options.force_sync), (7962, true));
        let mut sync = SacnSync::new(Uuid::from_u128(7), universe);
        let sequences: Vec<u8> = (0..300)
            .map(|_| match sacn::parse(sync.datagram()).expect("our own packet") {
                sacn::Packet::Sync(sync) => sync.sequence,
                other => panic!("a sync packet was read as {other:?}"),
            })
            .collect();
        assert_eq!((sequences[0], sequences[255], sequences[256]), (0, 255, 0));
    }

    #[test]
    fn s13_priorities_lead_their_levels_and_are_sent_thrice_then_every_989_ms_while_still() {
        let sent = start_codes(130, Motion::Still);
        assert_eq!(sent[..2], [(0, 0xdd), (0, 0)]);
        assert_eq!(priorities(&sent), [0, 1, 2, 45, 88]);
        assert_eq!(GRID.times(43), Span::from_millis(989));
    }

    #[test]
    fn s13_while_light_moves_one_packet_in_twenty_five_is_of_priorities() {
        let sent = priorities(&start_codes(100, Motion::Lively));
        assert_eq!(sent, [0, 1, 2, 27, 52, 77]);
    }

    #[test]
    fn s13_s04_levels_and_priorities_count_together() {
        let mut stream = stream().with_priorities(Some(&[100; 512]));
        let mut seen = Vec::new();
        for index in 0..100 {
            stream.show(&[0; 512], Motion::Lively, frame(index));
            seen.extend(read(&stream).iter().map(|it| it.sequence));
        }
        assert!(seen.iter().enumerate().all(|(index, sequence)| index as u8 == *sequence));
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
