//! What holds for every network that can be asked for, and whenever packets come.

use proptest::collection::vec;
use proptest::option;
use proptest::prelude::*;
use units::{MonoTime, Span};

use super::{
    Bursts, Carriage, Cut, Direction, Fate, Jitter, LaneSpec, Losses, Path, Scenario, Verdict,
};

const BEGIN: MonoTime = MonoTime::from_ns(1_000_000_000);
/// After the packet before it, which way, and how long.
type Packet = (Span, Direction, usize);

fn span(ms_max: i64) -> impl Strategy<Value = Span> {
    (0..=ms_max * 1_000).prop_map(Span::from_micros)
}

fn direction() -> impl Strategy<Value = Direction> {
    prop_oneof![Just(Direction::Up), Just(Direction::Down)]
}

fn packets() -> impl Strategy<Value = Vec<Packet>> {
    vec((span(20), direction(), 1_usize..9_000), 1..200)
}

fn jitter() -> impl Strategy<Value = Jitter> {
    let kinds: [fn(Span) -> Jitter; 3] = [Jitter::Even, Jitter::Queue, Jitter::Crowd];
    (prop::sample::select(kinds.to_vec()), span(50)).prop_map(|(kind, mean)| kind(mean))
}

fn losses() -> impl Strategy<Value = Losses> {
    (0.0..0.3, 0.0..0.5, 0.3..=1.0, 1.0..10.0_f64).prop_map(|(stray, more, dense, run)| Losses {
        share: stray + more * (dense - stray),
        run,
        dense,
        stray,
    })
}

fn lane() -> impl Strategy<Value = LaneSpec> {
    let whiles = (option::of(span(500)), option::of((span(500), span(100))));
    let shares = (0.0..0.3, 0.0..0.3);
    (span(100), span(10), jitter(), whiles, losses(), shares).prop_map(
        |(floor, askew, jitter, (wave, bursts), losses, (reorder, duplicate))| LaneSpec {
            floor,
            askew,
            jitter,
            wave: wave.filter(|it| *it > Span::ZERO),
            bursts: bursts.map(|(every, length)| Bursts { every, length }),
            losses,
            reorder,
            duplicate,
            ..clear().up
        },
    )
}

fn clear() -> Scenario {
    *Scenario::named("clear").expect("a scenario")
}

fn network() -> impl Strategy<Value = Scenario> {
    (lane(), lane()).prop_map(|(up, down)| Scenario { up, down, ..clear() })
}

fn path(scenario: &Scenario, carriage: Carriage, seed: u64) -> Path {
    Path::new(scenario, carriage, seed, BEGIN)
}

/// When each was taken, and what became of it.
fn judged(path: &mut Path, packets: &[Packet]) -> Vec<(MonoTime, Direction, Verdict)> {
    let mut now = BEGIN;
    let each = packets.iter().map(|(after, direction, bytes)| {
        now += *after;
        (now, *direction, path.judge(now, *direction, *bytes))
    });
    each.collect()
}

fn arrival(verdict: Verdict) -> Option<MonoTime> {
    match verdict {
        Verdict::Drop => None,
        Verdict::Deliver { at, .. } => Some(at),
    }
}

/// What befell the packets of one direction, without the times.
fn fates(judged: &[(MonoTime, Direction, Verdict)], way: Direction) -> Vec<Option<(bool, Fate)>> {
    let of_way = judged.iter().filter(|(_, direction, _)| *direction == way);
    let fate = |(_, _, verdict): &(_, _, Verdict)| match verdict {
        Verdict::Drop => None,
        Verdict::Deliver { again, fate, .. } => Some((again.is_some(), *fate)),
    };
    of_way.map(fate).collect()
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn the_same_packets_at_the_same_times_fare_the_same(
        scenario in network(), packets in packets(), seed: u64, is_stream: bool,
    ) {
        let carriage = if is_stream { Carriage::Stream } else { Carriage::Datagrams };
        let evening = || judged(&mut path(&scenario, carriage, seed), &packets);
        prop_assert_eq!(evening(), evening());
    }

    #[test]
    fn what_befalls_a_datagram_depends_on_its_place_alone(
        scenario in network(), packets in packets(), pauses in vec(span(300), 200), seed: u64,
    ) {
        let alone = packets.iter().filter(|(_, direction, _)| *direction == Direction::Up);
        let slower: Vec<Packet> =
            alone.zip(pauses).map(|((_, way, bytes), pause)| (pause, *way, *bytes)).collect();
        let [together, alone] = [&packets, &slower]
            .map(|packets| judged(&mut path(&scenario, Carriage::Datagrams, seed), packets));
        prop_assert_eq!(fates(&together, Direction::Up), fates(&alone, Direction::Up));
    }

    #[test]
    fn nothing_is_faster_than_its_way_and_no_copy_comes_before_its_packet(
        scenario in network(), packets in packets(), seed: u64,
    ) {
        for (taken, direction, verdict) in judged(&mut path(&scenario, Carriage::Datagrams, seed), &packets) {
            let Verdict::Deliver { at, again, .. } = verdict else { continue };
            let spec = if direction == Direction::Up { scenario.up } else { scenario.down };
            prop_assert!(at >= taken + spec.floor);
            prop_assert!(again.is_none_or(|again| again > at));
        }
    }

    #[test]
    fn a_stream_loses_doubles_and_disorders_nothing(
        scenario in network(), packets in packets(), seed: u64,
    ) {
        let judged = judged(&mut path(&scenario, Carriage::Stream, seed), &packets);
        for way in [Direction::Up, Direction::Down] {
            prop_assert!(fates(&judged, way).iter().all(|fate| fate.is_some_and(|(again, _)| !again)));
            let of_way = judged.iter().filter(|(_, direction, _)| *direction == way);
            let arrivals: Vec<_> = of_way.map(|(.., verdict)| arrival(*verdict)).collect();
            prop_assert!(arrivals.is_sorted());
        }
    }

    #[test]
    fn nothing_sets_out_on_a_way_that_is_cut_and_the_other_way_feels_nothing(
        scenario in network(),
        packets in packets(),
        plan in vec((span(1_000), span(500)), 1..4),
        cut in direction(),
        seed: u64,
        is_stream: bool,
    ) {
        let carriage = if is_stream { Carriage::Stream } else { Carriage::Datagrams };
        let cuts: Vec<Cut> = plan
            .iter()
            .map(|(from, length)| Cut { direction: cut, begins: BEGIN + *from, ends: BEGIN + *from + *length })
            .collect();
        let whole = judged(&mut path(&scenario, carriage, seed), &packets);
        let torn = judged(&mut path(&scenario, carriage, seed).with_cuts(cuts.clone()), &packets);
        for ((taken, way, verdict), (_, _, without)) in torn.iter().zip(&whole) {
            let closed = super::closed_until(&cuts, *way, *taken);
            match (closed, carriage) {
                _ if *way != cut => prop_assert_eq!(verdict, without),
                (Some(_), Carriage::Datagrams) => prop_assert_eq!(*verdict, Verdict::Drop),
                (Some(opens), Carriage::Stream) => prop_assert!(arrival(*verdict) >= Some(opens)),
                (None, Carriage::Datagrams) => prop_assert_eq!(*verdict == Verdict::Drop, *without == Verdict::Drop),
                (None, Carriage::Stream) => prop_assert!(arrival(*verdict).is_some()),
            }
        }
    }

    #[test]
    fn a_narrow_place_lets_so_much_through_and_keeps_none_waiting_longer_than_its_queue(
        packets in packets(), rate in 8_000_u64..10_000_000, queue in span(500), seed: u64,
    ) {
        let mut scenario = clear();
        scenario.up = LaneSpec { rate_bps: Some(rate), queue_max: queue, ..scenario.up };
        scenario.down = scenario.up;
        let takes = |bytes: usize| Span::from_secs_f64(bytes as f64 * 8.0 / rate as f64);
        let judged = judged(&mut path(&scenario, Carriage::Datagrams, seed), &packets);
        for way in [Direction::Up, Direction::Down] {
            let mut before = BEGIN;
            let of_way = judged.iter().zip(&packets).filter(|((_, direction, _), _)| *direction == way);
            for ((taken, _, verdict), (.., bytes)) in of_way {
                let Some(at) = arrival(*verdict) else {
                    prop_assert!(before > *taken + queue, "only a full queue loses");
                    continue;
                };
                prop_assert_eq!(at, before.max(*taken) + takes(*bytes));
                prop_assert!(at - *taken <= queue + takes(*bytes));
                before = at;
            }
        }
    }
}
