//! Rules S1 to S8 and S11 on an evening's packets.

use super::evening::{Evening, evening, ms};
use super::rig::*;

fn gaps(times: &[i64]) -> Vec<i64> {
    times.windows(2).map(|pair| pair[1] - pair[0]).collect()
}

fn living(evening: &Evening, universe: u16) -> Vec<Data> {
    evening.universe(universe).into_iter().filter(|data| !data.terminated).collect()
}

#[test]
fn s01_every_packet_names_its_universe_and_nothing_else_is_sent() {
    let universes: std::collections::BTreeSet<_> =
        evening().sacn.iter().filter_map(sacn_data).map(|data| data.universe).collect();
    assert_eq!(universes.into_iter().collect::<Vec<_>>(), [1, 4]);
}

#[test]
fn s01_a_universe_has_all_its_slots_from_the_first_packet_on() {
    let first = &evening().universe(1)[0];
    assert!(first.at < ms(500), "{} ns after the start", first.at);
    assert_eq!(first.values, [0; 513]);
}

#[test]
fn s02_one_box_has_one_id_and_one_name_that_fits() {
    for data in evening().sacn.iter().filter_map(sacn_data) {
        assert_eq!(data.cid, CID);
        // 63 octets, and the 0 that ends them; the name has 64 with its two-octet letter.
        assert!(NAME.starts_with(&data.name) && data.name.len() >= 62, "{:?}", data.name);
    }
}

#[test]
fn s03_it_sends_at_the_priority_it_was_given_without_preview_or_synchronization() {
    for data in evening().sacn.iter().filter_map(sacn_data) {
        assert_eq!((data.priority, data.preview, data.sync_address), (100, false, 0));
    }
}

#[test]
fn s04_each_universe_counts_its_own_packets_from_0_over_255() {
    for universe in [1, 4] {
        let packets = evening().universe(universe);
        assert!(packets.len() > 256, "{} packets are too few to see it", packets.len());
        assert_eq!(packets[0].sequence, 0);
        for pair in packets.windows(2) {
            assert_eq!(pair[1].sequence, pair[0].sequence.wrapping_add(1), "at {} ns", pair[1].at);
        }
    }
}

#[test]
fn s05_no_more_than_44_packets_a_second_and_a_fade_has_every_one_of_the_grid() {
    let times: Vec<_> = living(evening(), 1).iter().map(|data| data.at).collect();
    for (index, start) in times.iter().enumerate() {
        // Over two seconds, since one late packet brings its neighbours nearer.
        let within = times[index..].iter().take_while(|at| *at - start < ms(2000)).count();
        assert!(within <= 88, "{within} packets in the two seconds after {start} ns");
    }
    let fading = times.iter().filter(|at| (ms(2000)..ms(7000)).contains(*at)).count();
    assert!((210..=219).contains(&fading), "{fading} packets in five seconds, 217 are the grid's");
}

#[test]
fn s06_three_identical_packets_then_silence_of_800_to_1000_ms() {
    for universe in [1, 4] {
        let still: Vec<_> =
            living(evening(), universe).into_iter().filter(|it| it.values[1] == 255).collect();
        let times: Vec<_> = still.iter().map(|data| data.at).collect();
        let gaps = gaps(&times);
        let before = gaps.iter().take_while(|gap| **gap < ms(500)).count() + 1;
        assert!((3..=5).contains(&before), "{before} identical packets, then silence");
        let silences = &gaps[before - 1..];
        assert!(silences.len() >= 3, "{silences:?}");
        // The kernel's stamp of an arrival on a busy machine is a few ms late at times.
        assert!(silences.iter().all(|gap| (ms(790)..=ms(1000)).contains(gap)), "{silences:?}");
    }
}

#[test]
fn s06_a_level_that_changes_is_sent_with_its_next_frame() {
    let levels: Vec<_> =
        living(evening(), 1).iter().map(|data| (data.at, data.values[1])).collect();
    let first = levels.iter().find(|(_, level)| *level > 0).expect("it fades").0;
    // One step of this fade takes 30 ms, and the grid 23.
    assert!((ms(980)..ms(1120)).contains(&first), "{first}");
    assert!(levels.windows(2).all(|pair| pair[1].1 >= pair[0].1 && pair[1].1 - pair[0].1 <= 3));
    assert_eq!(levels.last().expect("packets").1, 255);
}

#[test]
fn s07_a_receiver_never_misses_us_for_as_long_as_a_loss_takes() {
    for universe in [1, 4] {
        let times: Vec<_> = living(evening(), universe).iter().map(|data| data.at).collect();
        let longest = gaps(&times).into_iter().max().expect("packets");
        assert!(longest < ms(2500), "{longest}");
        assert!(times.last().expect("packets") - times[0] > ms(11_500));
    }
}

#[test]
fn s08_a_planned_exit_ends_every_universe_with_three_terminated_packets() {
    let stop = evening().when("stop")[0];
    for universe in [1, 4] {
        let packets = evening().universe(universe);
        let terminated: Vec<_> = packets.iter().filter(|data| data.terminated).collect();
        assert_eq!(terminated.len(), 3);
        assert!(terminated.iter().all(|data| data.at > stop - ms(1) && data.values.len() == 513));
        assert!(
            packets[packets.len() - 3..].iter().all(|data| data.terminated),
            "and nothing after"
        );
    }
    assert!(evening().when("stopped")[0] - stop < ms(500));
}

#[test]
fn s11_every_ten_seconds_it_lists_its_universes_sorted() {
    let pages: Vec<_> =
        evening().sacn.iter().filter_map(|it| Some((it.at, sacn_discovery(it)?))).collect();
    assert_eq!(pages.len(), 2);
    assert!(pages.iter().all(|(_, universes)| *universes == [1, 4]));
    let gap = pages[1].0 - pages[0].0;
    assert!((ms(9_900)..=ms(10_200)).contains(&gap), "{gap}");
}

#[test]
fn every_frame_is_reported_with_the_kernels_stamp_of_its_departure() {
    use engine::order::Evidence;
    let evening = evening();
    let stamped =
        evening.reports.iter().filter(|it| it.evidence == Evidence::KernelTransmit).count();
    let frames = living(evening, 1).len();
    assert!(
        evening.reports.len() + 5 >= frames,
        "{} reports of {frames} frames",
        evening.reports.len()
    );
    assert!(stamped * 10 > evening.reports.len() * 9, "{stamped} of {}", evening.reports.len());
    let mut late: Vec<_> =
        evening.reports.iter().map(|it| (it.left - it.instant).millis_f64()).collect();
    late.sort_by(f64::total_cmp);
    let median = late[late.len() / 2];
    println!(
        "frames left {median:.3} ms after their instant (median), {:.3} ms at worst",
        late[late.len() - 1]
    );
    assert!((0.0..5.0).contains(&median), "{median} ms");
    assert!(evening.reports.iter().all(|it| it.instant.ns() % engine::light::GRID.ns() == 0));
}

#[test]
fn a_still_stage_is_silent_but_alive() {
    let still = living(evening(), 1).into_iter().filter(|it| it.at > ms(8_800)).count();
    assert!((4..=5).contains(&still), "{still} packets in 3.8 s");
}
