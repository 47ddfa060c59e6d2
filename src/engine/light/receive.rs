//! Who else sends on our universes, and what a receiver would make of all of them.
//!
//! In: sACN datagrams with the time and the address they came from. Out: the sources of each universe that count, by
//! name, and the levels that they add up to. Never here: sockets.
//!
//! Documented (rule S15): [`SOURCES_MAX`] sources a universe; one beyond them is passed over until another is lost.
//! Sources of equal priority are merged highest takes precedence. Per-address priority (0xDD) is passed over, and
//! never mistaken for levels (rule S13); synchronization is not held for: a watcher shows what came.

use std::collections::BTreeMap;
use std::net::IpAddr;

use units::{ShowTime, Span, Universe};
use uuid::Uuid;
use wire::sacn::{self, Data, Packet};

/// Sources of a universe that are told apart.
pub const SOURCES_MAX: usize = 8;
/// Silence after which a source is lost (rule S7).
pub const LOSS: Span = Span::from_millis(2500);
/// A packet whose sequence is up to this far behind is an old one; farther, and the source has begun anew (rule S4).
const BEHIND_MAX: i8 = 20;

/// Sources of every universe that we care about.
#[derive(Debug, Clone)]
pub struct Receiver {
    own: Uuid,
    universes: BTreeMap<Universe, BTreeMap<Uuid, Source>>,
}

/// Somebody who sends on a universe.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Source {
    /// Its name, as it gives it.
    pub name: String,
    /// Where it was last heard from.
    pub from: IpAddr,
    /// At which priority.
    pub priority: u8,
    /// When it was last heard.
    pub heard: ShowTime,
    sequence: u8,
    slots: Vec<u8>,
}

impl Receiver {
    /// Listens on `universes`; what `own` sends is passed over.
    pub fn new(own: Uuid, universes: impl IntoIterator<Item = Universe>) -> Self {
        let universes = universes.into_iter().map(|universe| (universe, BTreeMap::new())).collect();
        Self { own, universes }
    }

    /// A datagram came. What is not sACN, or not of our universes, changes nothing.
    pub fn handle(&mut self, now: ShowTime, datagram: &[u8], from: IpAddr) {
        match sacn::parse(datagram) {
            // Preview data never drives live output (rule S9); other start codes are no levels (rule S13).
            Ok(Packet::Data(data)) if data.cid != self.own && !data.options.preview => {
                self.take(now, &data, from);
            }
            _ => {}
        }
    }

    /// The sources of a universe that count now, by priority, highest first.
    pub fn sources(&self, universe: Universe, now: ShowTime) -> Vec<&Source> {
        let all = self.universes.get(&universe).into_iter().flat_map(BTreeMap::values);
        let mut sources: Vec<_> = all.filter(|it| !it.is_lost(now)).collect();
        sources.sort_by_key(|source| std::cmp::Reverse(source.priority));
        sources
    }

    /// What a receiver would put out: the highest priority alone, and among equals the highest level (rule S3). None
    /// while nobody sends levels.
    pub fn levels(&self, universe: Universe, now: ShowTime) -> Option<[u8; Universe::SLOTS]> {
        let mut sources = self.sources(universe, now);
        sources.retain(|source| !source.slots.is_empty());
        let highest = sources.first()?.priority;
        let mut levels = [0; Universe::SLOTS];
        for source in sources.iter().take_while(|source| source.priority == highest) {
            for (level, slot) in levels.iter_mut().zip(&source.slots) {
                *level = (*level).max(*slot);
            }
        }
        Some(levels)
    }

    fn take(&mut self, now: ShowTime, data: &Data, from: IpAddr) {
        let Some(sources) = self.universes.get_mut(&data.universe) else { return };
        sources.retain(|_, source| !source.is_lost(now));
        let known = sources.get(&data.cid);
        if known.is_some_and(|source| is_old(source.sequence, data.sequence)) {
            return;
        }
        if data.options.terminated {
            // Its values count for nothing (rule S8).
            sources.remove(&data.cid);
            return;
        }
        if known.is_none() && sources.len() >= SOURCES_MAX {
            return;
        }
        let source = sources.entry(data.cid).or_insert_with(|| Source::new(from));
        source.name = data.source_name.to_string();
        source.from = from;
        source.priority = data.priority;
        source.heard = now;
        source.sequence = data.sequence;
        if data.start_code == 0 {
            source.slots = data.slots.to_vec();
        }
    }
}

impl Source {
    fn new(from: IpAddr) -> Self {
        let (name, slots) = (String::new(), Vec::new());
        Self { name, from, priority: 0, heard: ShowTime::ZERO, sequence: 0, slots }
    }
    fn is_lost(&self, now: ShowTime) -> bool {
        now - self.heard >= LOSS
    }
}

/// Rule S4: the signed difference is at most 0 and more than -20.
fn is_old(last: u8, new: u8) -> bool {
    let ahead = new.wrapping_sub(last) as i8;
    ahead <= 0 && ahead > -BEHIND_MAX
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::net::Ipv4Addr;
    use wire::sacn::{DataFrame, Options, SourceName};

    const OWN: Uuid = Uuid::from_u128(1);
    const ELSE: IpAddr = IpAddr::V4(Ipv4Addr::new(10, 0, 0, 9));

    /// A source that somebody else runs.
    struct StubDesk {
        frame: DataFrame,
    }

    impl StubDesk {
        fn new(id: u128, name: &str, priority: u8) -> Self {
            let name = SourceName::new(name);
            Self { frame: DataFrame::new(Uuid::from_u128(id), name, priority, one()) }
        }
        fn send(&mut self, sequence: u8, level: u8) -> &[u8] {
            self.frame.set_sequence(sequence);
            self.frame.slots_mut().fill(level);
            self.frame.bytes()
        }
    }

    fn one() -> Universe {
        Universe::new(1).expect("a universe")
    }
    fn at(ms: i64) -> ShowTime {
        ShowTime::ZERO + Span::from_millis(ms)
    }
    fn listening() -> Receiver {
        Receiver::new(OWN, [one()])
    }
    fn level(receiver: &Receiver, ms: i64) -> Option<u8> {
        receiver.levels(one(), at(ms)).map(|levels| levels[0])
    }

    #[test]
    fn s03_the_higher_priority_wins_outright_and_equals_merge_by_the_highest_level() {
        let mut receiver = listening();
        let (mut low, mut desk, mut twin) = (
            StubDesk::new(2, "low", 99),
            StubDesk::new(3, "desk", 100),
            StubDesk::new(4, "twin", 100),
        );
        receiver.handle(at(0), low.send(0, 255), ELSE);
        assert_eq!(level(&receiver, 0), Some(255));
        receiver.handle(at(0), desk.send(0, 10), ELSE);
        assert_eq!(level(&receiver, 0), Some(10));
        receiver.handle(at(0), twin.send(0, 20), ELSE);
        assert_eq!(level(&receiver, 0), Some(20));
    }

    #[test]
    fn s04_what_comes_out_of_order_is_dropped_and_a_far_jump_is_a_new_beginning() {
        let mut receiver = listening();
        let mut desk = StubDesk::new(2, "desk", 100);
        receiver.handle(at(0), desk.send(100, 1), ELSE);
        for old in [100, 99, 81] {
            receiver.handle(at(1), desk.send(old, 2), ELSE);
            assert_eq!(level(&receiver, 1), Some(1), "{old}");
        }
        receiver.handle(at(2), desk.send(80, 3), ELSE);
        assert_eq!(level(&receiver, 2), Some(3));
        receiver.handle(at(3), desk.send(255, 4), ELSE);
        receiver.handle(at(4), desk.send(0, 5), ELSE);
        assert_eq!(level(&receiver, 4), Some(5), "over the end");
    }

    #[test]
    fn s07_a_source_is_lost_after_two_and_a_half_seconds_of_silence() {
        let mut receiver = listening();
        receiver.handle(at(0), StubDesk::new(2, "desk", 100).send(0, 9), ELSE);
        assert_eq!(level(&receiver, 2499), Some(9));
        assert_eq!(level(&receiver, 2500), None);
    }

    #[test]
    fn s08_a_source_that_ends_its_stream_counts_no_more_at_once() {
        let mut receiver = listening();
        let mut desk = StubDesk::new(2, "desk", 100);
        receiver.handle(at(0), desk.send(0, 9), ELSE);
        desk.frame.set_options(Options { terminated: true, ..Options::default() });
        receiver.handle(at(1), desk.send(1, 200), ELSE);
        assert_eq!(level(&receiver, 1), None);
    }

    #[test]
    fn s09_preview_is_never_live() {
        let mut receiver = listening();
        let mut desk = StubDesk::new(2, "desk", 100);
        desk.frame.set_options(Options { preview: true, ..Options::default() });
        receiver.handle(at(0), desk.send(0, 9), ELSE);
        assert_eq!(level(&receiver, 0), None);
    }

    #[test]
    fn s15_a_ninth_source_is_passed_over_until_another_is_lost() {
        let mut receiver = listening();
        for id in 0..9 {
            receiver.handle(at(id), StubDesk::new(10 + id as u128, "desk", 100).send(0, 9), ELSE);
        }
        assert_eq!(receiver.sources(one(), at(9)).len(), SOURCES_MAX);
    }

    #[test]
    fn a_foreign_source_is_named_and_our_own_is_not_foreign() {
        let mut receiver = listening();
        receiver.handle(at(0), StubDesk::new(1, "ourselves", 100).send(0, 9), ELSE);
        receiver.handle(at(0), StubDesk::new(2, "Desk left", 120).send(0, 9), ELSE);
        let sources = receiver.sources(one(), at(0));
        assert_eq!(sources.len(), 1);
        assert_eq!((sources[0].name.as_str(), sources[0].priority), ("Desk left", 120));
    }

    proptest! {
        #[test]
        fn hostile_bytes_change_nothing_and_never_panic(
            bytes in proptest::collection::vec(any::<u8>(), 0..700),
            wrong in proptest::collection::vec((0_usize..638, any::<u8>()), 0..8),
        ) {
            let mut receiver = listening();
            receiver.handle(at(0), &bytes, ELSE);
            prop_assert!(receiver.sources(one(), at(0)).is_empty());
            let mut packet = StubDesk::new(2, "desk", 100).send(0, 9).to_vec();
            for (index, value) in wrong {
                packet[index] = value;
            }
            receiver.handle(at(0), &packet, ELSE);
            prop_assert!(receiver.sources(one(), at(0)).len() <= 1);
        }
    }
}
