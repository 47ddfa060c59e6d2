//! A day in a house that never stops, shortened. `tools bench day` runs the whole of it.

use sim::Day;
use units::Span;

#[test]
fn phones_whose_crystals_wander_and_whose_owners_walk_lose_neither_box_nor_place() {
    // Days on which phones once held on to a fit of their first seconds, and one on which a fifth comes late.
    [(4, 2), (4, 7), (4, 22), (5, 2)].into_iter().for_each(lives_through);
}

fn lives_through((phones, seed): (usize, u64)) {
    let mut day = Day::begin(phones, seed);
    day.run(Span::from_secs(2 * 3_600));
    let report = day.end();
    println!("seed {seed}: {report:?}");
    assert!(report.roams >= 20 && report.naps >= 2, "{report:?}");
    assert_eq!((report.lost, report.cuts, report.silent), (0, 0, 0), "{report:?}");
    assert!(report.worst_step_ms <= 3.1, "0.3 % of a second, and what stamps tremble: {report:?}");
    assert!(report.worst_place_ms < 8.0, "{report:?}");
    let fresh = &report.fresh;
    assert_eq!((fresh.woken.count, fresh.joined.count), (report.naps as usize, phones / 5));
    assert!(fresh.woken.worst_s < 1.0 && fresh.joined.worst_s < 5.0, "{report:?}");
    assert!(fresh.astray_s <= fresh.woken.total_s + fresh.joined.total_s, "{report:?}");
    assert!(fresh.cuts == 0 && fresh.worst_place_ms < 20.0, "they bend towards it: {report:?}");
    let (clocks, places) = (report.errors, report.places);
    assert!(
        clocks.all == report.looks && (20_000..=clocks.all).contains(&places.all),
        "{report:?}"
    );
    for sizes in [clocks, places] {
        assert!(sizes.within_half_ms * 100 > sizes.all * 60, "{report:?}");
        assert!(sizes.within_1_ms * 100 > sizes.all * 80, "{report:?}");
        assert!(sizes.within_5_ms * 1_000 > sizes.all * 999, "{report:?}");
    }
    assert!(report.within_bound * 1_000 >= report.looks * 999, "{report:?}");
}
