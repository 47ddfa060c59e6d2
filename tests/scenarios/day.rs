//! A day in a house that never stops, shortened. `tools bench day` runs the whole of it.

use sim::Day;
use units::Span;

#[test]
fn phones_whose_crystals_wander_and_whose_owners_walk_lose_neither_box_nor_place() {
    // Days on which phones once held on to a fit of their first seconds.
    [2, 7, 22].into_iter().for_each(lives_through);
}

fn lives_through(seed: u64) {
    let mut day = Day::begin(4, seed);
    day.run(Span::from_secs(2 * 3_600));
    let report = day.end();
    println!("seed {seed}: {report:?}");
    assert!(report.roams >= 20 && report.naps >= 2, "{report:?}");
    assert_eq!((report.lost, report.cuts, report.silent), (0, 0, 0), "{report:?}");
    assert!(report.worst_step_ms <= 3.1, "0.3 % of a second, and what stamps tremble: {report:?}");
    assert!(report.worst_place_ms < 8.0, "{report:?}");
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
