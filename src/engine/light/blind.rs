//! What visualisers see of a cue that somebody looks at blindly (rule S9): a source of its own beside the live one.
//!
//! In: a universe's slots for a frame, or that nobody looks. Out: datagrams with the preview bit; three that say goodbye.
//! Never here: which cue it is, and whom packets go to.
//!
//! *Why a source of its own*: with the live source's id, its goodbye would end the live universe too at receivers that
//! look at that bit first (E1.31 section 6.2.6), and a count of its own would make them drop live packets as old (rule
//! S4). So it has another id, and counts for itself. A node that knows nothing of the preview bit then meets two sources
//! and takes the higher priority: the live one, since this one has 0, the lowest there is (section 6.2.3).

use units::{ShowTime, Universe};
use uuid::Uuid;
use wire::sacn::SourceName;

use super::discover::Discovery;
use super::source::{GOODBYES, Motion, SacnStream};

/// No show sends at so little: its `priority` is 1 at least.
const PRIORITY: u8 = 0;

/// A universe as it is seen blindly, while it is.
#[derive(Debug, Clone)]
pub struct BlindStream {
    stream: SacnStream,
    seen: bool,
    goodbyes: usize,
}

impl BlindStream {
    /// Of the box that has this id and name; silent.
    pub fn new(cid: Uuid, name: &str, universe: Universe) -> Self {
        let mut stream = SacnStream::new(blind_cid(cid), blind_name(name), PRIORITY, universe);
        stream.set_preview(true);
        Self { stream, seen: false, goodbyes: 0 }
    }
    /// Takes the frame for `at`, none if nobody looks; true if [`Self::datagrams`] are to be sent. Ask once a frame of the
    /// grid (rule S5).
    pub fn show(
        &mut self,
        slots: Option<&[u8; Universe::SLOTS]>,
        motion: Motion,
        at: ShowTime,
    ) -> bool {
        let Some(slots) = slots else { return self.end() };
        if !self.seen {
            self.stream.begin_anew();
        }
        (self.seen, self.goodbyes) = (true, GOODBYES);
        self.stream.show(slots, motion, at)
    }
    /// What this frame sends.
    pub fn datagrams(&self) -> impl Iterator<Item = &[u8]> {
        self.stream.datagrams()
    }

    fn end(&mut self) -> bool {
        self.seen = false;
        let Some(left) = self.goodbyes.checked_sub(1) else { return false };
        self.goodbyes = left;
        self.stream.say_goodbye();
        true
    }
}

/// Universe discovery for that source (rule S11): it lists what somebody looks at, and tells nothing while nobody does.
#[derive(Debug, Clone)]
pub struct BlindDiscovery {
    cid: Uuid,
    name: SourceName,
    told: Option<(Vec<Universe>, Discovery)>,
}

impl BlindDiscovery {
    /// Of the box that has this id and name.
    pub fn new(cid: Uuid, name: &str) -> Self {
        Self { cid: blind_cid(cid), name: blind_name(name), told: None }
    }
    /// Those universes are seen blindly from `now` on. When nobody looks any more an empty list is said once.
    pub fn look(&mut self, now: ShowTime, universes: Vec<Universe>) {
        let told = self.told.as_ref().map_or(&[][..], |(told, _)| told);
        if told != universes {
            let list = Discovery::new(self.cid, self.name, universes.iter().copied(), now);
            self.told = Some((universes, list));
        }
    }
    /// The pages to send now.
    pub fn tick(&mut self, now: ShowTime) -> Vec<Vec<u8>> {
        let Some((universes, list)) = &mut self.told else { return Vec::new() };
        let pages = list.tick(now).to_vec();
        if universes.is_empty() && !pages.is_empty() {
            self.told = None;
        }
        pages
    }
}

fn blind_name(name: &str) -> SourceName {
    SourceName::new(&format!("Blind: {name}"))
}

/// The box's own id with its last bit turned: as lasting as that, and nobody else's.
fn blind_cid(cid: Uuid) -> Uuid {
    Uuid::from_u128(cid.as_u128() ^ 1)
}

#[cfg(test)]
mod tests {
    use wire::sacn;

    use units::Span;

    use super::*;
    use crate::light::GRID;

    const LIT: [u8; Universe::SLOTS] = [255; Universe::SLOTS];

    /// What so many frames send, by their index; `looks` says in which somebody looks.
    fn sent(frames: i64, looks: impl Fn(i64) -> bool) -> Vec<(i64, sacn::Options, u8)> {
        let universe = Universe::new(1).expect("a universe");
        let mut stream = BlindStream::new(Uuid::from_u128(6), "box", universe);
        let mut sent = Vec::new();
        for index in 0..frames {
            let at = ShowTime::ZERO + GRID.times(index);
            if stream.show(looks(index).then_some(&LIT), Motion::Still, at) {
                sent.extend(stream.datagrams().map(|bytes| match sacn::parse(bytes) {
                    Ok(sacn::Packet::Data(data)) => {
                        assert_eq!((data.cid, data.priority), (Uuid::from_u128(7), 0));
                        (index, data.options, data.sequence)
                    }
                    other => panic!("our own packet was read as {other:?}"),
                }));
            }
        }
        sent
    }

    #[test]
    fn s11_what_is_seen_blindly_is_listed_while_it_is_and_an_empty_list_ends_it() {
        let mut discovery = BlindDiscovery::new(Uuid::from_u128(2), "box");
        let listed = |discovery: &mut BlindDiscovery, secs| {
            let pages = discovery.tick(ShowTime::ZERO + Span::from_secs(secs));
            let list = |page: &Vec<u8>| match sacn::parse(page) {
                Ok(sacn::Packet::Discovery(page)) => {
                    assert_eq!(page.cid, Uuid::from_u128(3));
                    page.universes().map(Universe::number).collect::<Vec<_>>()
                }
                other => panic!("{other:?}"),
            };
            pages.iter().map(list).collect::<Vec<_>>()
        };
        let at = |secs| ShowTime::ZERO + Span::from_secs(secs);
        let universe = |number| Universe::new(number).expect("a universe");
        assert!(listed(&mut discovery, 0).is_empty());
        discovery.look(at(1), vec![universe(1), universe(4)]);
        assert_eq!(listed(&mut discovery, 1), [[1, 4]]);
        discovery.look(at(5), vec![universe(1), universe(4)]);
        assert!(listed(&mut discovery, 5).is_empty(), "another cue of the same universes");
        assert_eq!(listed(&mut discovery, 11), [[1, 4]]);
        discovery.look(at(12), vec![]);
        assert_eq!(listed(&mut discovery, 12), [[0_u16; 0]]);
        assert!(listed(&mut discovery, 60).is_empty());
    }

    #[test]
    fn s09_s08_blind_ends_with_three_goodbyes_and_may_begin_anew() {
        let sent = sent(60, |index| (10..20).contains(&index) || index >= 40);
        let frames: Vec<_> = sent.iter().map(|(index, ..)| *index).collect();
        assert_eq!(frames, [10, 11, 12, 20, 21, 22, 40, 41, 42]);
        for (count, (index, options, sequence)) in sent.iter().enumerate() {
            assert!(options.preview, "frame {index}");
            assert_eq!(options.terminated, (20..23).contains(index), "frame {index}");
            assert_eq!(usize::from(*sequence), count, "one count, over all that was looked at");
        }
    }

    #[test]
    fn s09_who_looks_again_during_the_goodbyes_is_shown_at_once() {
        let sent = sent(30, |index| index != 5);
        let goodbyes: Vec<_> = sent.iter().filter(|it| it.1.terminated).map(|it| it.0).collect();
        assert_eq!(goodbyes, [5]);
        assert!(sent.iter().any(|it| it.0 == 6 && !it.1.terminated));
    }

    #[test]
    fn s09_where_nobody_looks_nothing_is_sent() {
        assert!(sent(100, |_| false).is_empty());
    }
}
