//! Receives sACN: who sends a universe, which of them count, and what they add up to.
//!
//! In: datagrams with the time and the address they came from, and ticks. Out: the sources of each universe, by name,
//! and the [`Merged`] levels. Never here: sockets.
//!
//! *Sampling*: for 1.5 s after it has begun to listen a universe has no levels, so that its first ones are those of all
//! its sources (rule S14). *Settling*: a lost source counts until it is known of all others whether they are still
//! there, so that several that die together go together, and the least of them never flashes up (rule S14). *Held*:
//! levels that wait for their synchronization (rule S10).
//!
//! Documented (rule S15): [`SOURCES_MAX`] sources a universe; one beyond them is passed over until another is lost.
//! For each slot the highest priority counts, and among equals the highest level. A source that sends per-address
//! priorities has those, 0 being "not mine"; one that does not has the priority of its packets (rule S13).

mod source;

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;

use units::{ShowTime, Span, Universe};
use uuid::Uuid;
use wire::sacn::{self, Data, Packet, Sync};

pub use source::Source;

/// Sources of a universe that are told apart.
pub const SOURCES_MAX: usize = 8;
/// Silence after which a source is lost (rule S7).
pub const LOSS: Span = Span::from_millis(2500);
/// How long a universe is listened to before its sources count, and how long a later one is waited for that may send
/// per-address priorities (rules S13 and S14); ETC's receivers take as long.
pub const SAMPLING: Span = Span::from_millis(1500);
/// Synchronization addresses that are heeded; levels of further ones act when they come.
pub const SYNC_ADDRESSES_MAX: usize = 16;
/// A packet whose sequence is up to this far behind is an old one; farther, and the source has begun anew (rule S4).
const BEHIND_MAX: i8 = 20;

/// What the sources of a universe add up to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Merged {
    /// What each slot shows.
    pub levels: [u8; Universe::SLOTS],
    /// At which priority, 1 to 200; 0: nobody sends this slot.
    pub priorities: [u8; Universe::SLOTS],
}

impl Merged {
    /// Nobody sends anything.
    pub const NOBODY: Self =
        Self { levels: [0; Universe::SLOTS], priorities: [0; Universe::SLOTS] };
}

/// Every universe that we care about.
#[derive(Debug, Clone)]
pub struct Receiver {
    own: Uuid,
    universes: BTreeMap<Universe, Heard>,
    /// Those of them that have sources: of thousands it would take long to look at each.
    busy: BTreeSet<Universe>,
    /// The last sequence of whoever synchronizes an address.
    syncs: BTreeMap<(Uuid, Universe), u8>,
}

/// A universe.
#[derive(Debug, Clone)]
struct Heard {
    sampled: ShowTime,
    sources: BTreeMap<Uuid, Source>,
    counting: usize,
    version: u64,
}

impl Receiver {
    /// Listens on `universes` from `now` on; what `own` sends is passed over.
    pub fn new(own: Uuid, now: ShowTime, universes: impl IntoIterator<Item = Universe>) -> Self {
        let heard = |universe| (universe, Heard::new(now + SAMPLING));
        let universes = universes.into_iter().map(heard).collect();
        Self { own, universes, busy: BTreeSet::new(), syncs: BTreeMap::new() }
    }

    /// A datagram came. What is not sACN, or not of our universes, changes nothing.
    pub fn handle(&mut self, now: ShowTime, datagram: &[u8], from: IpAddr) {
        match sacn::parse(datagram) {
            // Preview data never drives live output (rule S9).
            Ok(Packet::Data(data)) if data.cid != self.own && !data.options.preview => {
                if let Some(heard) = self.universes.get_mut(&data.universe) {
                    heard.take(now, &data, from);
                    self.busy.insert(data.universe);
                }
            }
            Ok(Packet::Sync(sync)) => self.synchronize(now, sync),
            _ => {}
        }
    }

    /// Time has come this far.
    pub fn tick(&mut self, now: ShowTime) {
        let universes = &mut self.universes;
        self.busy.retain(|universe| {
            let Some(heard) = universes.get_mut(universe) else { return false };
            heard.tick(now);
            !heard.sources.is_empty()
        });
    }

    /// The sources of a universe that are there now, by priority, highest first.
    pub fn sources(&self, universe: Universe) -> Vec<&Source> {
        let all = self.universes.get(&universe).into_iter().flat_map(|it| it.sources.values());
        let mut sources: Vec<_> = all.filter(|it| !it.lost).collect();
        sources.sort_by_key(|source| std::cmp::Reverse(source.priority));
        sources
    }

    /// What a universe adds up to; none while nobody counts.
    pub fn merged(&self, universe: Universe) -> Option<Merged> {
        let heard = self.universes.get(&universe).filter(|heard| heard.counting > 0)?;
        let mut merged = Merged::NOBODY;
        heard.sources.values().filter(|it| it.counts).for_each(|it| it.merge_into(&mut merged));
        Some(merged)
    }

    /// Counts up whenever [`Self::merged`] may be another one.
    pub fn version(&self, universe: Universe) -> u64 {
        self.universes.get(&universe).map_or(0, |heard| heard.version)
    }

    /// The addresses whose synchronization packets have to be heard for these universes.
    pub fn sync_addresses(&self, of: impl IntoIterator<Item = Universe>) -> BTreeSet<Universe> {
        let heard = of.into_iter().filter_map(|universe| self.universes.get(&universe));
        let sources = heard.flat_map(|heard| heard.sources.values());
        sources.filter_map(Source::sync_address).take(SYNC_ADDRESSES_MAX).collect()
    }

    /// What was held for an address becomes visible, whoever says so: one box may synchronize the sources of many.
    fn synchronize(&mut self, now: ShowTime, sync: Sync) {
        let all = || self.universes.values().flat_map(|it| it.sources.values());
        let waiting = |address| all().any(|it| it.sync_address() == Some(address));
        if sync.cid == self.own || !waiting(sync.address) {
            return;
        }
        let named: BTreeSet<_> = all().filter_map(Source::sync_address).collect();
        self.syncs.retain(|(_, address), _| named.contains(address));
        let id = (sync.cid, sync.address);
        match self.syncs.get(&id) {
            Some(&last) if is_old(last, sync.sequence) => return,
            None if self.syncs.len() >= SYNC_ADDRESSES_MAX => return,
            _ => self.syncs.insert(id, sync.sequence),
        };
        for heard in self.universes.values_mut() {
            let waiting = heard.sources.values_mut();
            for source in waiting.filter(|it| it.sync_address() == Some(sync.address)) {
                heard.version += u64::from(source.synchronize(now));
            }
        }
    }
}

impl Heard {
    fn new(sampled: ShowTime) -> Self {
        Self { sampled, sources: BTreeMap::new(), counting: 0, version: 0 }
    }

    fn take(&mut self, now: ShowTime, data: &Data, from: IpAddr) {
        let known = self.sources.get(&data.cid);
        if known.is_some_and(|it| !it.lost && is_old(it.sequence, data.sequence)) {
            return;
        }
        if data.options.terminated {
            // Its values count for nothing (rule S8).
            self.lose(|cid, _| *cid == data.cid);
        } else if known.is_some() || self.sources.len() < SOURCES_MAX {
            let source = self.sources.entry(data.cid).or_insert_with(|| Source::new(data.cid, now));
            self.version += u64::from(source.take(now, data, from));
        }
        self.tick(now);
    }

    fn tick(&mut self, now: ShowTime) {
        self.lose(|_, source| source.is_silent(now));
        let doubtful = self.sources.values().any(|it| !it.lost && it.doubted);
        if !doubtful {
            self.sources.retain(|_, source| !source.lost);
        }
        let sampled = self.sampled;
        for source in self.sources.values_mut() {
            self.version += u64::from(source.forget_priorities(now));
            source.counts |= source.is_ready(now, sampled);
        }
        let counting = self.sources.values().filter(|it| it.counts).count();
        self.version += u64::from(counting != self.counting);
        self.counting = counting;
    }

    /// Marks those as lost; the others are now in doubt until they are heard.
    fn lose(&mut self, which: impl Fn(&Uuid, &Source) -> bool) {
        let mut any = false;
        for (_, source) in self.sources.iter_mut().filter(|(cid, it)| !it.lost && which(cid, it)) {
            source.lost = true;
            any = true;
        }
        self.sources.values_mut().for_each(|it| it.doubted |= any);
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
            self.frame.set_start_code(sacn::LEVELS);
            self.frame.set_sequence(sequence);
            self.frame.slots_mut().fill(level);
            self.frame.bytes()
        }
        /// Per-address priorities; slots beyond those given have none.
        fn priorities(&mut self, sequence: u8, given: &[u8]) -> &[u8] {
            self.frame.set_start_code(sacn::ADDRESS_PRIORITIES);
            self.frame.set_sequence(sequence);
            self.frame.slots_mut().fill(0);
            self.frame.slots_mut()[..given.len()].copy_from_slice(given);
            self.frame.bytes()
        }
        fn end(&mut self, sequence: u8) -> &[u8] {
            self.frame.set_sequence(sequence);
            self.frame.set_options(Options { terminated: true, ..Options::default() });
            self.frame.bytes()
        }
    }

    fn one() -> Universe {
        Universe::new(1).expect("a universe")
    }
    fn at(ms: i64) -> ShowTime {
        ShowTime::ZERO + Span::from_millis(ms)
    }
    /// Has listened long enough to have sampled.
    fn listening() -> Receiver {
        Receiver::new(OWN, at(-1500), [one()])
    }
    /// What the first slot shows; sources that came after the sampling have been waited for.
    fn level(receiver: &mut Receiver, ms: i64) -> Option<u8> {
        receiver.tick(at(ms));
        receiver.merged(one()).map(|merged| merged.levels[0])
    }
    fn sources(receiver: &mut Receiver, ms: i64) -> usize {
        receiver.tick(at(ms));
        receiver.sources(one()).len()
    }
    /// A desk that sends priorities counts at once.
    fn known(receiver: &mut Receiver, id: u128, priority: u8) -> StubDesk {
        let mut desk = StubDesk::new(id, "desk", priority);
        receiver.handle(at(0), desk.priorities(0, &[priority; 512]), ELSE);
        desk
    }
    fn sync(receiver: &mut Receiver, ms: i64, sequence: u8) {
        let address = Universe::new(7962).expect("a universe");
        let packet = Sync { cid: Uuid::from_u128(2), sequence, address };
        receiver.handle(at(ms), &sacn::sync(packet), ELSE);
    }
    fn synchronized(receiver: &mut Receiver, force_sync: bool) -> StubDesk {
        let mut desk = known(receiver, 2, 100);
        desk.frame.set_sync_address(Universe::new(7962).ok());
        desk.frame.set_options(Options { force_sync, ..Options::default() });
        desk
    }

    #[test]
    fn s03_the_higher_priority_wins_outright_and_equals_merge_by_the_highest_level() {
        let mut receiver = listening();
        let mut low = known(&mut receiver, 2, 99);
        let mut desk = known(&mut receiver, 3, 100);
        let mut twin = known(&mut receiver, 4, 100);
        receiver.handle(at(0), low.send(1, 255), ELSE);
        assert_eq!(level(&mut receiver, 0), Some(255));
        receiver.handle(at(0), desk.send(1, 10), ELSE);
        assert_eq!(level(&mut receiver, 0), Some(10));
        receiver.handle(at(0), twin.send(1, 20), ELSE);
        assert_eq!(level(&mut receiver, 0), Some(20));
    }

    #[test]
    fn s04_what_comes_out_of_order_is_dropped_and_a_far_jump_is_a_new_beginning() {
        let mut receiver = listening();
        let mut desk = known(&mut receiver, 2, 100);
        receiver.handle(at(0), desk.send(100, 1), ELSE);
        for old in [100, 99, 81] {
            receiver.handle(at(1), desk.send(old, 2), ELSE);
            assert_eq!(level(&mut receiver, 1), Some(1), "{old}");
        }
        receiver.handle(at(2), desk.send(80, 3), ELSE);
        assert_eq!(level(&mut receiver, 2), Some(3));
        receiver.handle(at(3), desk.send(255, 4), ELSE);
        receiver.handle(at(4), desk.send(0, 5), ELSE);
        assert_eq!(level(&mut receiver, 4), Some(5), "over the end");
    }

    #[test]
    fn s07_a_source_is_lost_after_two_and_a_half_seconds_of_silence() {
        let mut receiver = listening();
        let mut desk = known(&mut receiver, 2, 100);
        receiver.handle(at(0), desk.send(1, 9), ELSE);
        assert_eq!((level(&mut receiver, 2499), sources(&mut receiver, 2499)), (Some(9), 1));
        assert_eq!((level(&mut receiver, 2500), sources(&mut receiver, 2500)), (None, 0));
    }

    #[test]
    fn s08_a_source_that_ends_its_stream_counts_no_more_at_once() {
        let mut receiver = listening();
        let mut desk = known(&mut receiver, 2, 100);
        receiver.handle(at(0), desk.send(1, 9), ELSE);
        desk.send(0, 200);
        receiver.handle(at(1), desk.end(2), ELSE);
        assert_eq!(level(&mut receiver, 1), None);
    }

    #[test]
    fn s09_preview_is_never_live() {
        let mut receiver = listening();
        let mut desk = known(&mut receiver, 2, 100);
        desk.frame.set_options(Options { preview: true, ..Options::default() });
        receiver.handle(at(0), desk.send(1, 9), ELSE);
        assert_eq!(level(&mut receiver, 2000), None);
    }

    #[test]
    fn s10_levels_act_at_once_until_the_first_sync_and_are_held_for_each_one_from_then_on() {
        let mut receiver = listening();
        let mut desk = synchronized(&mut receiver, false);
        receiver.handle(at(0), desk.send(1, 10), ELSE);
        assert_eq!(level(&mut receiver, 0), Some(10), "nobody has synchronized yet");
        let heeded = receiver.sync_addresses([one()]);
        assert_eq!(heeded.into_iter().map(Universe::number).collect::<Vec<_>>(), [7962]);
        sync(&mut receiver, 1, 0);
        receiver.handle(at(23), desk.send(2, 20), ELSE);
        assert_eq!(level(&mut receiver, 23), Some(10));
        sync(&mut receiver, 24, 1);
        assert_eq!(level(&mut receiver, 24), Some(20));
        receiver.handle(at(46), desk.send(3, 30), ELSE);
        sync(&mut receiver, 47, 1);
        assert_eq!(level(&mut receiver, 47), Some(20), "an old sync releases nothing");
    }

    #[test]
    fn s10_without_sync_for_two_and_a_half_seconds_it_stands_still_or_runs_on_as_the_source_asked()
    {
        for (force_sync, expected) in [(false, Some(10)), (true, Some(30))] {
            let mut receiver = listening();
            let mut desk = synchronized(&mut receiver, force_sync);
            receiver.handle(at(0), desk.send(1, 10), ELSE);
            sync(&mut receiver, 0, 0);
            receiver.handle(at(1000), desk.send(2, 20), ELSE);
            receiver.handle(at(2499), desk.send(3, 25), ELSE);
            assert_eq!(level(&mut receiver, 2499), Some(10));
            receiver.handle(at(2500), desk.send(4, 30), ELSE);
            assert_eq!(level(&mut receiver, 2500), expected, "force: {force_sync}");
            sync(&mut receiver, 2600, 1);
            assert_eq!(level(&mut receiver, 2600), Some(30), "and goes on with the next sync");
        }
    }

    #[test]
    fn s10_a_source_that_asks_for_no_sync_any_more_acts_at_once() {
        let mut receiver = listening();
        let mut desk = synchronized(&mut receiver, false);
        receiver.handle(at(0), desk.send(1, 10), ELSE);
        sync(&mut receiver, 1, 0);
        desk.frame.set_sync_address(None);
        receiver.handle(at(2), desk.send(2, 20), ELSE);
        assert_eq!(level(&mut receiver, 2), Some(20));
    }

    #[test]
    fn s13_for_each_slot_the_source_with_its_highest_priority_counts_and_one_at_0_not_at_all() {
        let mut receiver = listening();
        let (mut left, mut right) = (StubDesk::new(2, "left", 100), StubDesk::new(3, "right", 100));
        receiver.handle(at(0), left.priorities(0, &[150, 100, 0, 0]), ELSE);
        receiver.handle(at(0), right.priorities(0, &[100, 150, 50]), ELSE);
        receiver.handle(at(0), left.send(1, 10), ELSE);
        receiver.handle(at(0), right.send(1, 200), ELSE);
        receiver.tick(at(0));
        let merged = receiver.merged(one()).expect("both are there");
        assert_eq!(merged.levels[..4], [10, 200, 200, 0]);
        assert_eq!(merged.priorities[..4], [150, 150, 50, 0], "nobody sends the fourth");
    }

    #[test]
    fn s13_without_priorities_of_its_slots_a_source_has_that_of_its_packets() {
        let mut receiver = listening();
        let (mut plain, mut fine) = (StubDesk::new(2, "plain", 120), known(&mut receiver, 3, 100));
        receiver.handle(at(0), plain.send(0, 9), ELSE);
        receiver.handle(at(0), fine.send(1, 70), ELSE);
        assert_eq!(level(&mut receiver, 1499), Some(70), "it is waited for what it may say yet");
        assert_eq!(level(&mut receiver, 1500), Some(9));
    }

    #[test]
    fn s13_priorities_that_are_sent_no_more_are_forgotten_after_two_and_a_half_seconds() {
        let mut receiver = listening();
        let mut desk = StubDesk::new(2, "desk", 100);
        receiver.handle(at(0), desk.priorities(0, &[]), ELSE);
        receiver.handle(at(0), desk.send(1, 9), ELSE);
        receiver.handle(at(2000), desk.send(2, 9), ELSE);
        receiver.tick(at(2499));
        assert_eq!(receiver.merged(one()).expect("it counts").priorities[0], 0);
        receiver.tick(at(2500));
        assert_eq!(receiver.merged(one()).expect("it counts").priorities[0], 100);
    }

    #[test]
    fn s14_nothing_is_shown_before_all_who_send_have_been_heard() {
        let mut receiver = Receiver::new(OWN, at(0), [one()]);
        let (mut low, mut desk) = (StubDesk::new(2, "low", 90), StubDesk::new(3, "desk", 100));
        receiver.handle(at(10), low.send(0, 255), ELSE);
        receiver.handle(at(900), desk.send(0, 7), ELSE);
        assert_eq!(level(&mut receiver, 1499), None);
        assert_eq!(level(&mut receiver, 1500), Some(7));
    }

    #[test]
    fn s14_sources_that_die_together_go_together_and_the_least_of_them_never_flashes() {
        let mut receiver = listening();
        let (mut low, mut desk) = (known(&mut receiver, 2, 90), known(&mut receiver, 3, 100));
        // The better one's last packet is the older one, so it is lost first.
        receiver.handle(at(0), desk.send(1, 0), ELSE);
        receiver.handle(at(900), low.send(1, 255), ELSE);
        let seen: Vec<_> = (0..4000).step_by(20).map(|ms| level(&mut receiver, ms)).collect();
        assert!(!seen.contains(&Some(255)));
        assert_eq!((level(&mut receiver.clone(), 3400), seen.last()), (None, Some(&None)));
    }

    #[test]
    fn s14_when_one_of_two_dies_the_other_takes_over_as_soon_as_it_is_heard_again() {
        let mut receiver = listening();
        let (mut low, mut desk) = (known(&mut receiver, 2, 90), known(&mut receiver, 3, 100));
        receiver.handle(at(0), desk.send(1, 7), ELSE);
        for (ms, sequence) in [(0, 1), (800, 2), (1600, 3), (2400, 4)] {
            receiver.handle(at(ms), low.send(sequence, 255), ELSE);
        }
        assert_eq!(level(&mut receiver, 2600), Some(7), "lost, but the other is in doubt");
        receiver.handle(at(3200), low.send(5, 255), ELSE);
        assert_eq!(level(&mut receiver, 3200), Some(255));
    }

    #[test]
    fn s14_a_source_that_is_back_before_the_others_are_known_was_never_gone() {
        let mut receiver = listening();
        let (mut low, mut desk) = (known(&mut receiver, 2, 90), known(&mut receiver, 3, 100));
        receiver.handle(at(0), desk.send(1, 7), ELSE);
        receiver.handle(at(2000), low.send(1, 255), ELSE);
        assert_eq!(level(&mut receiver, 2600), Some(7));
        receiver.handle(at(2700), desk.send(40, 8), ELSE);
        receiver.handle(at(2800), low.send(2, 255), ELSE);
        assert_eq!(level(&mut receiver, 2800), Some(8));
    }

    #[test]
    fn s15_a_ninth_source_is_passed_over_until_another_is_lost() {
        let mut receiver = listening();
        for id in 0..9 {
            receiver.handle(at(id), StubDesk::new(10 + id as u128, "desk", 100).send(0, 9), ELSE);
        }
        assert_eq!(sources(&mut receiver, 9), SOURCES_MAX);
        receiver.handle(at(10), StubDesk::new(10, "desk", 100).end(1), ELSE);
        // The others are heard again, so the first is gone for good and its place is free.
        for id in 1..8 {
            receiver.handle(at(11), StubDesk::new(10 + id as u128, "desk", 100).send(1, 9), ELSE);
        }
        receiver.handle(at(12), StubDesk::new(18, "ninth", 100).send(1, 9), ELSE);
        assert_eq!(sources(&mut receiver, 12), SOURCES_MAX);
        assert!(receiver.sources(one()).iter().any(|source| source.name == "ninth"));
    }

    #[test]
    fn a_foreign_source_is_named_and_our_own_is_not_foreign() {
        let mut receiver = listening();
        receiver.handle(at(0), StubDesk::new(1, "ourselves", 100).send(0, 9), ELSE);
        receiver.handle(at(0), StubDesk::new(2, "Desk left", 120).send(0, 9), ELSE);
        let sources = receiver.sources(one());
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
            prop_assert!(receiver.sources(one()).is_empty());
            let mut packet = StubDesk::new(2, "desk", 100).send(0, 9).to_vec();
            for (index, value) in wrong {
                packet[index] = value;
            }
            receiver.handle(at(0), &packet, ELSE);
            prop_assert!(receiver.sources(one()).len() <= 1);
        }
    }
}
