//! Light between cues: fades, sharing by HTP and LTP, pauses, panics, sixteen bits. What a slot shows is what a
//! receiver would get.

use engine::light::{Desk, GRID, MasterId, Playback, Take, render};
use engine::show::{
    Channel, Curve, Fixture, LaneId, LightCue, Merge, Response, Show, Target, Timing, UniverseOut,
};
use proptest::collection::vec;
use proptest::prelude::*;
use units::{Level, ShowTime, Slot, Span, Universe};

/// A dimmer on slot 1, a colour on slot 2, a 16-bit pan on slots 3 and 4 that rests in the middle.
const DIMMER: u32 = 1;
const RED: u32 = 2;
const PAN: u32 = 3;

fn universe() -> Universe {
    Universe::new(1).expect("a universe")
}
fn slot(number: u32) -> Slot {
    Slot::new(number).expect("a slot")
}
fn secs(secs: f64) -> Span {
    Span::from_secs_f64(secs)
}
fn at(time: f64) -> ShowTime {
    ShowTime::ZERO + secs(1_000.0 + time)
}
fn percent(percent: f64) -> Level {
    Level::from_percent(percent).expect("in range")
}

fn channel(attribute: &str, offsets: &[u16], merge: Merge, rest: Level) -> Channel {
    let (attribute, offsets) = (attribute.into(), offsets.to_vec());
    Channel { attribute, offsets, merge, rest, ..Channel::default() }
}

fn small_stage() -> Show {
    let mover = Fixture {
        name: "mover".into(),
        universe: universe(),
        address: slot(1),
        cell_of: None,
        channels: vec![
            channel("dimmer", &[0], Merge::Htp, Level::OUT),
            channel("red", &[1], Merge::Ltp, Level::OUT),
            channel("pan", &[2, 3], Merge::Ltp, percent(50.0)),
        ],
    };
    Show {
        title: "Small stage".into(),
        priority: 100,
        universes: [(universe(), UniverseOut::default())].into(),
        fixtures: vec![mover],
        ..Show::default()
    }
}

/// The lane of the mover whose first slot has that number.
fn lane(number: u32) -> LaneId {
    LaneId { fixture: 0, channel: number - 1 }
}

/// The stage, and the hand that fires cues.
struct Stage {
    playback: Playback,
}

impl Stage {
    fn new() -> Self {
        Self { playback: Playback::new(&small_stage()) }
    }
    fn cue(&mut self, list: usize, time: f64, span: f64, targets: &[(u32, f64)]) -> &mut Self {
        self.curved(list, time, span, Curve::Linear, targets)
    }
    fn curved(
        &mut self,
        list: usize,
        time: f64,
        span: f64,
        curve: Curve,
        targets: &[(u32, f64)],
    ) -> &mut Self {
        let target = |&(number, level): &(u32, f64)| Target {
            lane: lane(number),
            level: percent(level),
            timing: 0,
        };
        let timing = Timing { fade: secs(span), curve, ..Timing::default() };
        let targets = targets.iter().map(target).collect();
        let light = LightCue { targets, timings: vec![timing], ..LightCue::default() };
        self.playback.take(&Take { list, at: at(time), light: &light });
        self
    }
    /// What leaves the box for this instant.
    fn slots(&self, time: f64) -> [u8; Universe::SLOTS] {
        let plan = self.playback.plan(1);
        let mut slots = [0; Universe::SLOTS];
        let drawn = plan.universe(universe()).expect("it is in the show");
        render(drawn, plan.shown(at(time)), &mut slots);
        slots
    }
    fn shows(&self, number: u32, time: f64) -> u8 {
        self.slots(time)[slot(number).index()]
    }
    fn is_moving(&self, time: f64) -> bool {
        let plan = self.playback.plan(1);
        plan.universe(universe()).expect("it is in the show").is_moving(at(time))
    }
}

/// A bar with a dimmer and two cells of one colour without any.
fn bar() -> Show {
    let fixture = |name: &str, first, cell_of, channel| Fixture {
        name: name.into(),
        universe: universe(),
        address: slot(first),
        cell_of,
        channels: vec![channel],
    };
    let red = || channel("red", &[0], Merge::Ltp, percent(100.0));
    let fixtures = vec![
        fixture("bar", 1, None, channel("dimmer", &[0], Merge::Htp, Level::OUT)),
        fixture("bar.1", 2, Some(0), red()),
        fixture("bar.2", 3, Some(0), red()),
    ];
    Show { fixtures, ..small_stage() }
}

/// The first channels of fixtures to levels, within 2 s.
fn first_channels(levels: &[(u32, f64)]) -> LightCue {
    let target = |&(fixture, level): &(u32, f64)| Target {
        lane: LaneId { fixture, channel: 0 },
        level: percent(level),
        timing: 0,
    };
    LightCue {
        targets: levels.iter().map(target).collect(),
        timings: vec![Timing { fade: secs(2.0), ..Timing::default() }],
        ..LightCue::default()
    }
}

#[test]
fn cells_that_only_their_fixture_dims_are_marked_while_that_is_dark() {
    let mut stage = Stage { playback: Playback::new(&bar()) };
    let first = first_channels(&[(0, 100.0), (1, 20.0)]);
    stage.playback.take(&Take { list: 0, at: at(0.0), light: &first });
    assert_eq!(stage.slots(1.0)[..3], [128, 51, 255], "it comes up in its colour");
    let second = first_channels(&[(2, 0.0)]);
    stage.playback.take(&Take { list: 0, at: at(5.0), light: &second });
    assert_eq!(stage.slots(6.0)[..3], [255, 51, 128], "one that is seen fades");
}

#[test]
fn fixtures_whose_names_look_like_cells_are_no_cells_and_do_not_jump_when_the_other_is_dark() {
    let mut show = bar();
    show.fixtures.iter_mut().for_each(|it| it.cell_of = None);
    let mut stage = Stage { playback: Playback::new(&show) };
    let cue = first_channels(&[(0, 100.0), (1, 20.0)]);
    stage.playback.take(&Take { list: 0, at: at(0.0), light: &cue });
    assert_eq!(stage.slots(1.0)[..3], [128, 153, 255]);
}

#[test]
fn before_any_cue_everything_rests_and_nothing_else_is_touched() {
    let stage = Stage::new();
    let mut slots = [9; Universe::SLOTS];
    let plan = stage.playback.plan(1);
    render(plan.universe(universe()).expect("it is there"), at(0.0), &mut slots);
    assert_eq!(slots[..5], [0, 0, 0x80, 0x00, 9]);
}

#[test]
fn a_fade_begins_where_the_slot_stands_ends_where_it_should_and_never_steps_back() {
    let mut stage = Stage::new();
    stage.cue(0, 0.0, 2.0, &[(DIMMER, 100.0)]);
    assert_eq!(
        [-0.1, 0.0, 1.0, 2.0, 60.0].map(|time| stage.shows(DIMMER, time)),
        [0, 0, 128, 255, 255]
    );
    stage.cue(0, 1.0, 1.0, &[(DIMMER, 0.0)]);
    assert_eq!([0.5, 1.0, 1.5, 2.0].map(|time| stage.shows(DIMMER, time)), [64, 128, 64, 0]);
}

#[test]
fn no_frame_of_a_fade_is_more_than_its_share_away_from_the_last() {
    let mut stage = Stage::new();
    stage.curved(0, 0.0, 2.0, Curve::S, &[(DIMMER, 100.0)]);
    let frames: Vec<_> =
        (0..100).map(|frame| stage.shows(DIMMER, GRID.times(frame).secs_f64())).collect();
    // The S is half as steep again in its middle: 1.5 / 2 s * 23 ms * 255 = 4.4.
    assert!(
        frames.windows(2).all(|pair| (0..=5).contains(&(i16::from(pair[1]) - i16::from(pair[0]))))
    );
    assert_eq!(frames[99], 255);
}

#[test]
fn each_curve_is_where_its_formula_says_at_a_quarter() {
    for (curve, expected) in [
        (Curve::Linear, 0.25),
        (Curve::S, 0.156_25),
        (Curve::Rise, 0.0625),
        (Curve::Fall, 0.4375),
        (Curve::Snap, 1.0),
    ] {
        let mut stage = Stage::new();
        stage.curved(0, 0.0, 4.0, curve, &[(DIMMER, 100.0)]);
        assert_eq!(stage.shows(DIMMER, 1.0), (expected * 255.0_f64).round() as u8, "{curve:?}");
        assert_eq!(stage.shows(DIMMER, 4.0), 255, "{curve:?}");
    }
}

#[test]
fn two_lists_share_a_dimmer_by_the_highest_and_a_colour_by_the_latest() {
    let mut stage = Stage::new();
    stage.cue(0, 0.0, 0.0, &[(DIMMER, 80.0), (RED, 80.0)]);
    stage.cue(1, 1.0, 0.0, &[(DIMMER, 40.0), (RED, 40.0)]);
    assert_eq!((stage.shows(DIMMER, 1.0), stage.shows(RED, 1.0)), (204, 102));
    stage.cue(0, 2.0, 0.0, &[(DIMMER, 0.0)]);
    assert_eq!(stage.shows(DIMMER, 2.0), 102, "the other list still holds it");
    stage.cue(0, 3.0, 2.0, &[(RED, 80.0)]);
    assert_eq!(stage.shows(RED, 4.0), 153, "from where the other list brought it");
}

#[test]
fn a_later_order_stays_when_an_earlier_one_takes_its_slot_and_begins_where_that_brought_it() {
    let mut stage = Stage::new();
    stage.cue(0, 5.0, 2.0, &[(DIMMER, 100.0)]).cue(0, 1.0, 0.0, &[(DIMMER, 20.0)]);
    assert_eq!((stage.shows(DIMMER, 0.9), stage.shows(DIMMER, 4.0)), (0, 51));
    assert_eq!((stage.shows(DIMMER, 6.0), stage.shows(DIMMER, 8.0)), (153, 255));
}

#[test]
fn sixteen_bits_move_between_the_steps_of_eight() {
    let mut stage = Stage::new();
    stage.cue(0, -1.0, 0.0, &[(DIMMER, 100.0)]).cue(0, 0.0, 10.0, &[(PAN, 51.0)]);
    let pan = |time| u16::from_be_bytes([stage.shows(PAN, time), stage.shows(PAN + 1, time)]);
    let frames: Vec<_> = (0..10).map(|step| pan(f64::from(step))).collect();
    assert!(frames.windows(2).all(|pair| (60..=70).contains(&(pair[1] - pair[0]))), "{frames:?}");
    assert_eq!(pan(10.0), percent(51.0).sixteen());
}

#[test]
fn a_pause_stands_still_and_goes_on_where_it_stood() {
    let mut stage = Stage::new();
    stage.cue(0, 0.0, 4.0, &[(DIMMER, 100.0)]);
    stage.playback.freeze(at(1.0));
    assert_eq!([0.5, 1.0, 2.0, 900.0].map(|time| stage.shows(DIMMER, time)), [32, 64, 64, 64]);
    stage.playback.thaw(at(11.0));
    assert_eq!([11.0, 12.0, 14.0].map(|time| stage.shows(DIMMER, time)), [64, 128, 255]);
}

#[test]
fn a_second_pause_while_paused_changes_nothing() {
    let mut stage = Stage::new();
    stage.cue(0, 0.0, 4.0, &[(DIMMER, 100.0)]);
    stage.playback.freeze(at(1.0));
    stage.playback.freeze(at(3.0));
    stage.playback.thaw(at(5.0));
    assert_eq!(stage.shows(DIMMER, 5.0), 64);
}

#[test]
fn an_order_for_later_waits_as_long_as_the_pause_does() {
    let mut stage = Stage::new();
    stage.cue(0, 3.0, 0.0, &[(DIMMER, 100.0)]);
    stage.playback.freeze(at(1.0));
    stage.playback.thaw(at(11.0));
    assert_eq!([12.9, 13.0].map(|time| stage.shows(DIMMER, time)), [0, 255]);
}

#[test]
fn a_fade_that_was_replaced_before_a_long_pause_stays_replaced_after_it() {
    let mut stage = Stage::new();
    stage.cue(0, 0.0, 20.0, &[(DIMMER, 100.0)]).cue(0, 5.0, 1.0, &[(DIMMER, 0.0)]);
    stage.playback.freeze(at(10.0));
    stage.playback.thaw(at(30.0));
    stage.playback.forget(at(31.0));
    assert_eq!([31.0, 35.0, 45.0].map(|time| stage.shows(DIMMER, time)), [0, 0, 0]);
}

#[test]
fn hold_stops_every_fade_where_it_is_and_forgets_what_was_to_come() {
    let mut stage = Stage::new();
    stage.cue(0, 0.0, 4.0, &[(DIMMER, 100.0), (PAN, 100.0)]).cue(0, 9.0, 0.0, &[(DIMMER, 0.0)]);
    stage.playback.hold(at(1.0));
    assert_eq!([1.0, 4.0, 10.0].map(|time| stage.shows(DIMMER, time)), [64, 64, 64]);
    assert_eq!(stage.shows(PAN, 10.0), stage.shows(PAN, 1.0));
}

#[test]
fn a_hold_ordered_ahead_leaves_the_frames_before_it_as_they_were() {
    let mut stage = Stage::new();
    stage.cue(0, 0.0, 4.0, &[(DIMMER, 100.0)]);
    let before = [0.5, 0.9, 1.0].map(|time| stage.shows(DIMMER, time));
    stage.playback.hold(at(1.0));
    assert_eq!([0.5, 0.9, 1.0].map(|time| stage.shows(DIMMER, time)), before);
}

#[test]
fn a_panic_fades_intensities_out_of_every_list_and_turns_nothing_in_the_dark() {
    let mut stage = Stage::new();
    stage.cue(0, 0.0, 0.0, &[(DIMMER, 100.0), (RED, 60.0)]).cue(1, 0.0, 0.0, &[(DIMMER, 50.0)]);
    stage.cue(0, 0.0, 10.0, &[(PAN, 100.0)]);
    stage.playback.black(at(5.0), secs(2.0));
    assert_eq!([5.0, 6.0, 7.0, 20.0].map(|time| stage.shows(DIMMER, time)), [255, 128, 0, 0]);
    assert_eq!([5.0, 20.0].map(|time| stage.shows(RED, time)), [153, 153]);
    assert_eq!(stage.shows(PAN, 20.0), stage.shows(PAN, 5.0));
    stage.cue(0, 30.0, 0.0, &[(DIMMER, 10.0)]);
    assert_eq!(stage.shows(DIMMER, 30.0), 26, "the next cue plays as if nothing had been");
}

#[test]
fn a_panic_puts_out_a_dimmer_that_rests_lit_and_that_no_cue_has_touched() {
    let mut show = small_stage();
    show.fixtures[0].channels[0].rest = percent(80.0);
    let mut stage = Stage { playback: Playback::new(&show) };
    assert_eq!(stage.shows(DIMMER, 0.0), 204);
    stage.playback.black(at(5.0), secs(2.0));
    assert_eq!(stage.shows(DIMMER, 6.0), 102);
    assert_eq!(stage.shows(DIMMER, 7.0), 0);
    assert_eq!(stage.shows(PAN, 7.0), 128, "nothing turns in the dark");
    stage.cue(1, 8.0, 0.0, &[(DIMMER, 50.0)]);
    assert_eq!(stage.shows(DIMMER, 8.0), 128, "a later cue of any list has it back");
}

#[test]
fn forgetting_changes_no_frame_from_then_on() {
    let mut stage = Stage::new();
    for step in 0..50_u32 {
        let time = f64::from(step);
        stage.cue(
            (step % 3) as usize,
            time,
            1.5,
            &[(DIMMER, f64::from(step * 37 % 100)), (RED, f64::from(step))],
        );
    }
    let frames = |stage: &Stage| {
        (2000..2400).map(|frame| stage.slots(GRID.times(frame).secs_f64())).collect::<Vec<_>>()
    };
    let before = frames(&stage);
    stage.playback.forget(at(GRID.times(2000).secs_f64()));
    assert_eq!(frames(&stage), before);
}

#[test]
fn a_universe_moves_from_the_first_frame_of_a_fade_to_the_one_after_its_last() {
    let mut stage = Stage::new();
    stage.cue(0, 1.0, 2.0, &[(DIMMER, 0.0)]).cue(0, 10.0, 0.0, &[(DIMMER, 50.0)]);
    assert_eq!(
        [0.99, 1.0, 2.0, 3.02, 3.03].map(|time| stage.is_moving(time)),
        [false, true, true, true, false]
    );
    assert_eq!(
        [9.99, 10.0, 10.02, 10.03].map(|time| stage.is_moving(time)),
        [false, true, true, false]
    );
}

#[test]
fn two_boxes_with_the_same_takes_send_the_same_octets_at_the_same_instants() {
    let played = || {
        let mut stage = Stage::new();
        stage.cue(0, 0.0, 3.3, &[(DIMMER, 77.7), (PAN, 12.3)]).cue(1, 1.1, 0.7, &[(RED, 33.3)]);
        (0..200).map(move |frame| stage.slots(GRID.times(frame).secs_f64())).collect::<Vec<_>>()
    };
    assert_eq!(played(), played());
}

/// As many pars in each universe as its number says, and beside them a universe of a bare dimmer.
fn crowd() -> Show {
    let par = |number: u32, place: u32| Fixture {
        universe: Universe::new(number).expect("a universe"),
        address: slot(1 + 10 * place),
        ..odd_stage().fixtures[0].clone()
    };
    let pars = (2..=4).flat_map(|number| (0..number).map(move |place| par(number, place)));
    let fixtures: Vec<Fixture> = small_stage().fixtures.into_iter().chain(pars).collect();
    let universes = fixtures.iter().map(|it| (it.universe, UniverseOut::default())).collect();
    Show { fixtures, universes, ..small_stage() }
}

proptest! {
    #[test]
    fn a_desk_that_has_drawn_other_universes_draws_what_a_fresh_one_does(
        acts in vec((0..4_u8, 0..10_u32, 0..6_u32, 0..=100_u32, 0..100_u32), 1..40),
    ) {
        let mut playback = Playback::new(&crowd());
        for (kind, fixture, channel, level, tenths) in acts {
            let (lane, level) = (LaneId { fixture, channel }, percent(f64::from(level)));
            let begins = at(f64::from(tenths) / 10.0);
            match kind {
                0 | 1 => {
                    let timing = Timing { fade: secs(2.0), ..Timing::default() };
                    let targets = vec![Target { lane, level, timing: 0 }];
                    let light = LightCue { targets, timings: vec![timing], ..LightCue::default() };
                    playback.take(&Take { list: kind.into(), at: begins, light: &light });
                }
                2 => playback.set_master(MasterId::GRAND, begins, secs(1.0), level),
                _ => playback.park(lane, (tenths % 2 == 0).then_some(level)),
            }
        }
        let (plan, mut desk) = (playback.plan(1), Desk::default());
        for tenths in 0..120 {
            for universe in &plan.universes {
                let (mut used, mut fresh) = ([0; Universe::SLOTS], [0; Universe::SLOTS]);
                desk.draw(universe, at(f64::from(tenths) / 10.0), &mut used);
                render(universe, at(f64::from(tenths) / 10.0), &mut fresh);
                prop_assert_eq!(used, fresh);
            }
        }
    }
}

/// A par with a virtual dimmer over red and green, a shutter that is inverted, a focus of 24 bits, and a lamp with a
/// response.
fn odd_stage() -> Show {
    let plain =
        |attribute: &str, offsets: &[u16]| channel(attribute, offsets, Merge::Ltp, Level::OUT);
    let dimmed = |attribute, offset| Channel { dimmed_by: Some(0), ..plain(attribute, &[offset]) };
    let half_at_full = Response(vec![Level::OUT, percent(10.0), percent(50.0)]);
    let par = Fixture {
        name: "par".into(),
        universe: universe(),
        address: slot(1),
        cell_of: None,
        channels: vec![
            channel("dimmer", &[], Merge::Htp, Level::OUT),
            dimmed("red", 0),
            dimmed("green", 1),
            Channel { inverted: true, ..plain("shutter", &[2]) },
            plain("focus", &[3, 5, 4]),
            Channel { response: half_at_full, ..channel("lamp", &[6], Merge::Htp, Level::OUT) },
        ],
    };
    let out = UniverseOut::default();
    Show { universes: [(universe(), out)].into(), fixtures: vec![par], ..Show::default() }
}

#[test]
fn a_virtual_dimmer_scales_its_colours_and_what_is_odd_is_drawn_as_its_fixture_wants_it() {
    let mut stage = Stage { playback: Playback::new(&odd_stage()) };
    let first = |stage: &Stage, time| stage.slots(time)[..7].to_vec();
    assert_eq!(first(&stage, 0.0), [0, 0, 255, 0, 0, 0, 0], "an inverted channel is out at 255");
    stage.cue(0, 0.0, 0.0, &[(2, 100.0), (3, 60.0), (4, 25.0), (5, 70.0), (6, 50.0)]);
    assert_eq!(first(&stage, 0.0), [0, 0, 191, 179, 51, 51, 26], "dark until the dimmer is up");
    stage.cue(1, 1.0, 2.0, &[(1, 100.0), (6, 100.0)]);
    assert_eq!(first(&stage, 2.0), [128, 77, 191, 179, 51, 51, 26]);
    assert_eq!(first(&stage, 3.0)[..3], [255, 153, 191]);
    assert_eq!(stage.slots(3.0)[6], 128, "the lamp never gets more than half");
    stage.playback.set_master(MasterId::GRAND, at(4.0), secs(1.0), percent(50.0));
    assert_eq!(first(&stage, 5.0)[..3], [128, 77, 191], "a master scales the dimmer, once");
    stage.playback.black(at(6.0), Span::ZERO);
    assert_eq!(first(&stage, 6.0)[..3], [0, 0, 191]);
}
