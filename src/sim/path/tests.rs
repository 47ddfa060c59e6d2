use std::collections::BTreeSet;

use super::*;

const BEGIN: MonoTime = MonoTime::from_ns(1_000_000_000);

fn scenario(name: &str) -> Scenario {
    *Scenario::named(name).expect("a scenario")
}

fn path(scenario: &Scenario, carriage: Carriage, seed: u64) -> Path {
    Path::new(scenario, carriage, seed, BEGIN)
}

/// A packet every 10 ms, by turns up and down: when it set out, which way, and what became of it.
fn talk(path: &mut Path, packets: i64) -> Vec<(MonoTime, Direction, Verdict)> {
    let turns = [Direction::Up, Direction::Down];
    let judged = (0..packets).map(|k| {
        let (now, direction) = (BEGIN + Span::from_millis(10).times(k), turns[k as usize % 2]);
        (now, direction, path.judge(now, direction, 200))
    });
    judged.collect()
}

fn delays(judged: &[(MonoTime, Direction, Verdict)], way: Direction) -> Vec<Span> {
    let arrived = judged.iter().filter_map(|(now, direction, verdict)| match verdict {
        Verdict::Deliver { at, .. } if *direction == way => Some(*at - *now),
        _ => None,
    });
    arrived.collect()
}

fn lost(judged: &[(MonoTime, Direction, Verdict)]) -> usize {
    judged.iter().filter(|(.., verdict)| *verdict == Verdict::Drop).count()
}

#[test]
fn the_same_seed_gives_the_same_verdicts_and_another_seed_others() {
    for scenario in SCENARIOS.iter().filter(|it| it.name != "clear") {
        for carriage in [Carriage::Stream, Carriage::Datagrams] {
            let evening = |seed| talk(&mut path(scenario, carriage, seed), 4_000);
            assert_eq!(evening(7), evening(7), "{}", scenario.name);
            assert_ne!(evening(7), evening(8), "{}", scenario.name);
        }
    }
}

#[test]
fn a_stream_loses_nothing_keeps_its_order_and_is_never_faster_than_its_way() {
    for scenario in &SCENARIOS {
        let judged = talk(&mut path(scenario, Carriage::Stream, 3), 10_000);
        assert_eq!(lost(&judged), 0, "{}", scenario.name);
        for (way, spec) in [(Direction::Up, scenario.up), (Direction::Down, scenario.down)] {
            let delays = delays(&judged, way);
            assert!(delays.iter().all(|delay| *delay >= spec.floor), "{}", scenario.name);
            // Every second packet goes this way, 20 ms after the one before.
            let in_order = |two: &[Span]| two[1] + Span::from_millis(20) >= two[0];
            assert!(delays.windows(2).all(in_order), "{}", scenario.name);
        }
    }
}

#[test]
fn a_lost_piece_of_a_stream_comes_200_ms_late_and_holds_up_what_follows() {
    let mut lossy = scenario("clear");
    lossy.up.losses = Losses::runs(0.05, 1.0);
    let judged = talk(&mut path(&lossy, Carriage::Stream, 5), 10_000);
    let resent = |it: &Verdict| matches!(it, Verdict::Deliver { fate: Fate::Resent, .. });
    let count = judged.iter().filter(|(.., verdict)| resent(verdict)).count();
    assert!((180..320).contains(&count), "{count} of 5,000");
    let late = delays(&judged, Direction::Up).iter().filter(|it| **it > Span::ZERO).count();
    assert!(late > 6 * count, "those behind a lost one wait with it: {late} for {count}");
    let worst = delays(&judged, Direction::Up).into_iter().max().expect("some");
    assert!(worst >= Span::from_millis(600), "one is lost twice: {worst}");
}

#[test]
fn losses_of_datagrams_come_as_often_and_in_such_runs_as_asked() {
    let mut lossy = scenario("clear");
    (lossy.up.losses, lossy.down.losses) = (Losses::runs(0.1, 4.0), Losses::runs(0.0, 1.0));
    let judged = talk(&mut path(&lossy, Carriage::Datagrams, 11), 80_000);
    let ups: Vec<bool> = judged
        .iter()
        .filter(|(_, direction, _)| *direction == Direction::Up)
        .map(|(.., verdict)| *verdict == Verdict::Drop)
        .collect();
    let share = ups.iter().filter(|lost| **lost).count() as f64 / ups.len() as f64;
    let runs = ups.windows(2).filter(|two| two[1] && !two[0]).count();
    let run = ups.iter().filter(|lost| **lost).count() as f64 / runs as f64;
    assert!((0.08..0.12).contains(&share) && (3.5..4.5).contains(&run), "{share} {run}");
    assert_eq!(delays(&judged, Direction::Down).len(), 40_000, "the other way is clear");
}

#[test]
fn losses_by_gilbert_and_elliott_are_dense_in_bad_whiles_and_stray_outside() {
    let mut lossy = scenario("clear");
    lossy.up.losses = Losses { share: 0.05, run: 20.0, dense: 0.5, stray: 0.01 };
    let mut path = path(&lossy, Carriage::Datagrams, 5);
    let lost: Vec<bool> =
        (0..400_000).map(|_| path.judge(BEGIN, Direction::Up, 100) == Verdict::Drop).collect();
    let share = |lost: &[bool]| lost.iter().filter(|it| **it).count() as f64 / lost.len() as f64;
    let after_one: Vec<bool> = lost.windows(2).filter(|two| two[0]).map(|two| two[1]).collect();
    assert!((0.045..0.055).contains(&share(&lost)), "{}", share(&lost));
    // In a bad while, in which 0.5 * 0.0816 / 0.05 of the losses are, the next is lost with nearly 0.5.
    let (bad, stays) = (0.04 / 0.49, 0.95);
    let wanted =
        bad * 0.5 / 0.05 * (stays * 0.5 + (1.0 - stays) * 0.01) + (1.0 - bad) * 0.01 / 0.05 * 0.012;
    assert!((share(&after_one) - wanted).abs() < 0.03, "{} for {wanted}", share(&after_one));
}

#[test]
fn where_all_is_to_be_lost_nothing_arrives() {
    for (share, dense) in [(1.0, 1.0), (0.5, 0.5)] {
        let mut lossy = scenario("clear");
        lossy.up.losses = Losses { share, run: 1.0, dense, stray: 0.0 };
        let mut path = path(&lossy, Carriage::Datagrams, 6);
        let lost = (0..2_000).filter(|_| path.judge(BEGIN, Direction::Up, 100) == Verdict::Drop);
        let lost = lost.count() as f64 / 2_000.0;
        assert!((lost - share).abs() < 0.05, "{lost} for {share}");
    }
}

#[test]
fn datagrams_come_twice_as_often_as_asked_and_streams_never() {
    let mut echoing = scenario("clear");
    echoing.up.duplicate = 0.1;
    let doubled = |carriage| {
        let judged = talk(&mut path(&echoing, carriage, 4), 20_000);
        let again = |it: &Verdict| matches!(it, Verdict::Deliver { again: Some(_), .. });
        judged.iter().filter(|(.., verdict)| again(verdict)).count()
    };
    assert!((900..1_100).contains(&doubled(Carriage::Datagrams)));
    assert_eq!(doubled(Carriage::Stream), 0);
}

#[test]
fn a_planned_cut_loses_datagrams_and_makes_a_stream_try_again_when_it_is_over() {
    let ms = |ms| BEGIN + Span::from_millis(ms);
    let cut = |begins, ends| Cut { direction: Direction::Up, begins: ms(begins), ends: ms(ends) };
    let judge = |carriage, at| {
        let cuts = vec![cut(100, 350), cut(650, 900)];
        path(&scenario("clear"), carriage, 1).with_cuts(cuts).judge(ms(at), Direction::Up, 100)
    };
    let plain = |at| Verdict::Deliver { at: ms(at), again: None, fate: Fate::Plain };
    for carriage in [Carriage::Stream, Carriage::Datagrams] {
        assert_eq!(judge(carriage, 99), plain(99), "before it");
        assert_eq!(judge(carriage, 350), plain(350), "after it");
    }
    assert_eq!(judge(Carriage::Datagrams, 100), Verdict::Drop);
    let resent = |at| Verdict::Deliver { at: ms(at), again: None, fate: Fate::Resent };
    assert_eq!(judge(Carriage::Stream, 200), resent(400), "tried after 200 ms");
    assert_eq!(
        judge(Carriage::Stream, 120),
        resent(1_520),
        "after 200, 600 (in the next cut) and 1,400 ms"
    );
}

#[test]
fn only_datagrams_overtake() {
    let mut unruly = scenario("clear");
    unruly.up.reorder = 0.2;
    let order = |carriage| {
        let mut path = path(&unruly, carriage, 4);
        let arrivals = (0..2_000).filter_map(|k| {
            let now = BEGIN + Span::from_micros(100).times(k);
            match path.judge(now, Direction::Up, 100) {
                Verdict::Deliver { at, .. } => Some(at),
                Verdict::Drop => None,
            }
        });
        arrivals.collect::<Vec<_>>()
    };
    assert!(order(Carriage::Stream).is_sorted());
    let datagrams = order(Carriage::Datagrams);
    assert_eq!(datagrams.len(), 2_000);
    let overtaken = datagrams.windows(2).filter(|two| two[1] < two[0]).count();
    assert!((200..450).contains(&overtaken), "{overtaken}");
}

#[test]
fn a_narrow_pipe_lets_through_so_many_bits_a_second_and_datagrams_find_it_full() {
    let mut narrow = scenario("clear");
    narrow.up.rate_bps = Some(80_000);
    // 1,000 bytes take 100 ms and come every 10 ms.
    let mut stream = path(&narrow, Carriage::Stream, 1);
    let mut datagrams = path(&narrow, Carriage::Datagrams, 1);
    let send = |path: &mut Path, k: i64| {
        path.judge(BEGIN + Span::from_millis(10).times(k), Direction::Up, 1_000)
    };
    let last = (0..20).map(|k| send(&mut stream, k)).last();
    let at = BEGIN + Span::from_secs(2);
    assert_eq!(last, Some(Verdict::Deliver { at, again: None, fate: Fate::Plain }));
    let full = (0..100).filter(|k| send(&mut datagrams, *k) == Verdict::Drop).count();
    assert!((80..90).contains(&full), "{full}: ten a second pass, and four wait");
}

#[test]
fn a_walk_between_access_points_leaves_gaps_and_ways_of_other_lengths() {
    let roam = scenario("roam");
    let mut by_air = path(&roam, Carriage::Datagrams, 9);
    let mut asymmetries = BTreeSet::new();
    let (mut gaps, mut was_lost) = (0, 0);
    for (_, _, verdict) in talk(&mut by_air, 20_000) {
        was_lost = if verdict == Verdict::Drop { was_lost + 1 } else { 0 };
        gaps += usize::from(was_lost == 12);
    }
    let mut walking = path(&roam, Carriage::Stream, 9);
    for k in 0..20_000 {
        walking.judge(BEGIN + Span::from_millis(10).times(k), Direction::Up, 100);
        asymmetries.insert(walking.asymmetry());
    }
    assert!((4..20).contains(&gaps), "{gaps} gaps in 200 s");
    assert!(asymmetries.len() >= 4 && asymmetries.iter().all(|it| it.abs() < Span::from_millis(1)));
}

#[test]
fn satellites_change_by_the_clock() {
    let mut leo = path(&scenario("leo"), Carriage::Stream, 2);
    let mut changes = Vec::new();
    let mut before = leo.asymmetry();
    for k in 0..10_000 {
        leo.judge(BEGIN + Span::from_millis(10).times(k), Direction::Down, 100);
        if leo.asymmetry() != before {
            (before, _) = (leo.asymmetry(), changes.push(k as f64 / 100.0));
        }
    }
    assert_eq!(changes.len(), 6, "{changes:?}");
    assert!(changes.windows(2).all(|two| (15.0..15.2).contains(&(two[1] - two[0]))), "{changes:?}");
}

#[test]
fn what_comes_down_to_a_sleeping_radio_waits_for_a_beacon_and_arrives_in_one_burst() {
    let saving = scenario("power-save");
    let mut path = path(&saving, Carriage::Stream, 6);
    let mut arrivals = BTreeSet::new();
    for k in 0..300 {
        let now = BEGIN + Span::from_secs(1) + Span::from_millis(1).times(k);
        if let Verdict::Deliver { at, .. } = path.judge(now, Direction::Down, 100) {
            arrivals.insert(at.ns() / 1_000_000);
        }
    }
    assert!(arrivals.len() < 60, "300 packets in 300 ms come in bursts: {}", arrivals.len());
    let judged = talk(&mut path, 10_000);
    let up = delays(&judged, Direction::Up).into_iter().filter(|it| *it < Span::from_millis(20));
    assert!(up.count() > 4_800, "what goes up wakes it");
}

#[test]
fn a_burst_holds_everything_and_lets_it_go_at_once() {
    let mut stuttering = scenario("clear");
    let often = Bursts { every: Span::from_millis(200), length: Span::from_millis(100) };
    stuttering.down.bursts = Some(often);
    let delays =
        delays(&talk(&mut path(&stuttering, Carriage::Datagrams, 8), 20_000), Direction::Down);
    let held = delays.iter().filter(|delay| **delay > Span::ZERO).count() as f64;
    let share = held / delays.len() as f64;
    assert!((0.25..0.42).contains(&share), "a third of the time: {share}");
}

#[test]
fn a_full_house_is_worse_than_a_calm_one_and_the_way_down_is_the_worse() {
    let median = |name, way| {
        let mut delays =
            delays(&talk(&mut path(&scenario(name), Carriage::Datagrams, 1), 20_000), way);
        delays.sort_unstable();
        delays[delays.len() / 2]
    };
    assert!(median("venue", Direction::Up) > median("wifi", Direction::Up));
    assert!(median("venue", Direction::Down) > median("venue", Direction::Up));
    assert!(median("wifi", Direction::Up) > median("lan", Direction::Up));
}

#[test]
fn scenarios_are_found_by_the_beginning_of_their_names() {
    assert_eq!(scenario("venue").name, "venue-crowded");
    assert_eq!(Scenario::named("l"), None, "lan, or leo?");
    assert_eq!(Scenario::named(""), None);
    assert_eq!(Scenario::named("mars"), None);
}

#[test]
fn what_could_not_be_sent_is_tried_again_after_waits_that_double() {
    let due = MonoTime::from_ns(0);
    let ms = |ms: i64| MonoTime::from_ns(ms * 1_000_000);
    assert_eq!(next_try(due, ms(0)), ms(0));
    assert_eq!(next_try(due, ms(1)), ms(200));
    assert_eq!(next_try(due, ms(201)), ms(600));
    assert_eq!(next_try(due, ms(601)), ms(1_400));
}
