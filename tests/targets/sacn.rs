//! sACN datagrams, to the parser and to a receiver that hears them all. A new one begins wherever ACN's preamble
//! stands, so that bytes may be a whole recording.

use std::net::{IpAddr, Ipv4Addr};

use engine::light::receive::{LOSS, Merged, Receiver, SOURCES_MAX, SYNC_ADDRESSES_MAX};
use units::{ShowTime, Span, Universe};
use uuid::Uuid;
use wire::sacn::{self, Data, DataFrame, Discovery, Packet, parse};

use super::{Target, pieces};

/// The target.
pub const TARGET: Target = Target { name: "sacn", folders: &["sacn"], run };

const PREAMBLE: &[u8] = b"\0\x10\0\0ASC-E1.17\0\0\0";
const OWN: Uuid = Uuid::nil();
/// What the seeds send, and the ends of the range.
const UNIVERSES: [u32; 4] = [1, 258, 7962, 63_999];
const STEP: Span = Span::from_millis(30);

fn run(bytes: &[u8]) {
    let universes = UNIVERSES.map(|number| Universe::new(number).expect("in range"));
    let mut now = ShowTime::ZERO;
    let mut receiver = Receiver::new(OWN, now, universes);
    for (count, datagram) in pieces(bytes, PREAMBLE).into_iter().enumerate() {
        now += STEP;
        if let Ok(packet) = parse(datagram) {
            comes_back(&packet);
        }
        let from = IpAddr::V4(Ipv4Addr::from_bits(count as u32));
        receiver.handle(now, datagram, from);
        assert!(receiver.sync_addresses(universes).len() <= SYNC_ADDRESSES_MAX);
        for universe in universes {
            assert!(receiver.sources(universe).len() <= SOURCES_MAX);
            let merged = receiver.merged(universe);
            let unsent = |it: &Merged| {
                it.levels
                    .iter()
                    .zip(&it.priorities)
                    .all(|(level, priority)| *priority > 0 || *level == 0)
            };
            assert!(merged.is_none_or(|it| unsent(&it)), "a level that nobody sends");
        }
    }
    // Once for those that are silent, once for those that were in doubt meanwhile.
    (1..=2).for_each(|times| receiver.tick(now + LOSS.times(times)));
    let silent =
        |universe| receiver.sources(universe).is_empty() && receiver.merged(universe).is_none();
    assert!(universes.into_iter().all(silent), "nobody stays who is not heard");
}

fn comes_back(packet: &Packet) {
    match packet {
        Packet::Data(data) => data_comes_back(data),
        Packet::Sync(sync) => assert_eq!(parse(&sacn::sync(*sync)), Ok(Packet::Sync(*sync))),
        Packet::Discovery(page) => discovery_comes_back(page),
    }
}

/// What we can send (levels, all 512 of them) is read as it was meant.
fn data_comes_back(data: &Data) {
    assert!(data.slots.len() <= Universe::SLOTS && data.priority <= sacn::PRIORITY_MAX);
    let mut frame = DataFrame::new(data.cid, data.source_name, data.priority, data.universe);
    frame.set_sequence(data.sequence);
    frame.set_options(data.options);
    frame.slots_mut()[..data.slots.len()].copy_from_slice(data.slots);
    let Ok(Packet::Data(again)) = parse(frame.bytes()) else { panic!("our own words") };
    assert_eq!(again.slots[..data.slots.len()], *data.slots);
    assert_eq!(
        (again.cid, again.source_name, again.priority, again.universe, again.options),
        (data.cid, data.source_name, data.priority, data.universe, data.options)
    );
}

fn discovery_comes_back(page: &Discovery) {
    let listed: Vec<Universe> = page.universes().collect();
    let pages = sacn::discovery(page.cid, page.source_name, &listed);
    let read = pages.iter().flat_map(|bytes| match parse(bytes) {
        Ok(Packet::Discovery(page)) => page.universes().collect::<Vec<_>>(),
        other => panic!("our own words were read as {other:?}"),
    });
    assert_eq!(read.collect::<Vec<_>>(), listed);
}
