//! A phone asks a box over ways that queue, change and lie.

use super::work::WORK;
use super::*;
use crate::chance::Chance;

/// A box that is `ahead` of the phone and drifts by `skew`, at the end of a way with these floors.
struct SimBox {
    ahead: Span,
    skew: Ppm,
    floor_up: f64,
    floor_down: f64,
    queue: f64,
    channel: Channel,
    chance: Chance,
}

impl SimBox {
    fn net(&self, at: f64) -> NetTime {
        NetTime::from_ns((at * self.skew.ratio() * 1e9) as i64) + self.ahead
    }

    fn ask(&mut self, at: f64) -> Exchange {
        let up = self.floor_up + self.wait();
        let down = self.floor_down + self.wait();
        let mono = |x: f64| MonoTime::from_ns((x * 1e9) as i64);
        let (heard, said) = (at + up, at + up + 0.0002);
        Exchange {
            t1: mono(at),
            t2: self.net(heard),
            t3: self.net(said),
            t4: mono(said + down),
            channel: self.channel,
        }
    }

    /// Queues are empty now and then, and long at times.
    fn wait(&mut self) -> f64 {
        let share = self.chance.share();
        -self.queue * (1.0 - share).ln()
    }

    fn error_ms(&self, clock: &Clock, at: f64) -> f64 {
        let now = MonoTime::from_ns((at * 1e9) as i64);
        (clock.reading(now).expect("asked before").net - self.net(at)).millis_f64()
    }
}

fn sim_box(seed: u128) -> SimBox {
    SimBox {
        ahead: Span::from_secs(1_790_000_000),
        skew: Ppm(30.0),
        floor_up: 0.002,
        floor_down: 0.002,
        queue: 0.0,
        channel: Channel::WebSocket,
        chance: Chance::new(seed),
    }
}

fn talk(far: &mut SimBox, clock: &mut Clock, from: f64, count: u32, every: f64) -> f64 {
    for k in 0..count {
        clock.handle(far.ask(from + f64::from(k) * every));
    }
    from + f64::from(count) * every
}

#[test]
fn sx09_rtt_and_offset_are_the_documents_own() {
    let mono = MonoTime::from_ns;
    let exchange = Exchange {
        t1: mono(1_000),
        t2: NetTime::from_ns(11_500),
        t3: NetTime::from_ns(11_700),
        t4: mono(2_000),
        channel: Channel::WebSocket,
    };
    assert_eq!(exchange.rtt(), Span::from_ns(800));
    assert_eq!(exchange.offset(), Span::from_ns(10_100));
}

#[test]
fn a_quiet_network_gives_the_box_time_within_microseconds_and_its_skew() {
    let (mut far, mut clock) = (sim_box(1), Clock::default());
    let at = talk(&mut far, &mut clock, 3.000_123_4, 60, 1.000_01);
    assert!(far.error_ms(&clock, at).abs() < 0.02, "{}", far.error_ms(&clock, at));
    let rate = clock.reading(MonoTime::from_ns(0)).expect("asked").rate;
    assert!((rate.0 - 30.0).abs() < 2.0, "{rate:?}");
}

#[test]
fn one_second_of_burst_does_not_invent_a_skew() {
    let (mut far, mut clock) = (sim_box(2), Clock::default());
    far.queue = 0.003;
    talk(&mut far, &mut clock, 1.0, 10, 0.1);
    let rate = clock.reading(MonoTime::from_ns(0)).expect("asked").rate;
    assert!(clock.is_settled() && rate.0.abs() < 60.0, "{rate:?}");
}

#[test]
fn a_dead_link_leaves_the_clock_running_on_its_skew_and_the_bound_grows() {
    let (mut far, mut clock) = (sim_box(3), Clock::default());
    let at = talk(&mut far, &mut clock, 0.012_34, 60, 1.000_01);
    let bound = |x: f64| clock.reading(MonoTime::from_ns((x * 1e9) as i64)).expect("asked").bound;
    assert!(far.error_ms(&clock, at + 60.0).abs() < 0.3);
    assert!(bound(at + 60.0) > bound(at));
}

#[test]
fn a_slow_first_answer_after_minutes_away_moves_nothing() {
    let (mut far, mut clock) = (sim_box(7), Clock::default());
    let at = talk(&mut far, &mut clock, 0.012_34, 60, 1.000_01) + 180.0;
    far.floor_down += 0.2;
    talk(&mut far, &mut clock, at, 1, 1.0);
    assert!(far.error_ms(&clock, at).abs() < 0.5, "{}", far.error_ms(&clock, at));
    far.floor_down -= 0.2;
    let at = talk(&mut far, &mut clock, at + 1.0, 40, 1.000_01);
    assert!(far.error_ms(&clock, at).abs() < 0.05);
    assert!(clock.rows.len() < 100, "and the old ones go at last");
}

#[test]
fn the_second_answer_of_a_pair_counts_at_once_though_the_first_was_just_heard() {
    let (mut before_ms, mut after_ms) = (0.0, 0.0);
    for seed in 0..20 {
        let (mut far, mut clock) = (sim_box(seed), Clock::default());
        far.queue = 0.02;
        let at = talk(&mut far, &mut clock, 0.012_34, 41, 3.000_1) - 2.96;
        before_ms += far.error_ms(&clock, at).abs();
        far.queue = 0.0;
        let at = talk(&mut far, &mut clock, at, 1, 0.04);
        after_ms += far.error_ms(&clock, at).abs();
    }
    assert!(after_ms < before_ms / 3.0, "{before_ms} ms, then {after_ms} ms");
}

#[test]
fn a_phone_that_slept_with_its_clock_stopped_knows_the_time_again_after_two_answers() {
    let (mut far, mut clock) = (sim_box(4), Clock::default());
    let at = talk(&mut far, &mut clock, 0.012_34, 30, 1.000_01);
    far.ahead += Span::from_secs(40);
    talk(&mut far, &mut clock, at, 2, 1.0);
    assert!(far.error_ms(&clock, at + 2.0).abs() < 1.0);
    let at = talk(&mut far, &mut clock, at + 2.0, 20, 1.0);
    assert!(far.error_ms(&clock, at).abs() < 0.05);
}

#[test]
fn one_absurd_answer_moves_nothing() {
    let (mut far, mut clock) = (sim_box(5), Clock::default());
    let at = talk(&mut far, &mut clock, 0.012_34, 30, 1.000_01);
    let mut lie = far.ask(at);
    lie.t2 = lie.t2 - Span::from_millis(500);
    lie.t3 = lie.t3 - Span::from_millis(500);
    clock.handle(lie);
    talk(&mut far, &mut clock, at + 1.0, 1, 1.0);
    assert!(far.error_ms(&clock, at + 2.0).abs() < 0.05);
}

#[test]
fn a_page_clock_of_whole_milliseconds_is_told_and_mended() {
    let (mut far, mut clock) = (sim_box(6), Clock::default());
    far.queue = 0.001;
    for k in 0..120 {
        let mut exchange = far.ask(f64::from(k) * 0.498_7);
        for t in [&mut exchange.t1, &mut exchange.t4] {
            *t = MonoTime::from_ns(t.ns().div_euclid(1_000_000) * 1_000_000);
        }
        clock.handle(exchange);
    }
    assert!(far.error_ms(&clock, 60.0).abs() < 0.25, "{}", far.error_ms(&clock, 60.0));
}

#[test]
fn hostile_stamps_never_panic() {
    let mut clock = Clock::default();
    let ends = [i64::MIN, -1, 0, 1, i64::MAX];
    for k in 0..ends.len().pow(4) {
        let end = |place: u32| ends[k / ends.len().pow(place) % ends.len()];
        clock.handle(Exchange {
            t1: MonoTime::from_ns(end(0)),
            t2: NetTime::from_ns(end(1)),
            t3: NetTime::from_ns(end(2)),
            t4: MonoTime::from_ns(end(3)),
            channel: Channel::WebSocket,
        });
        clock.reading(MonoTime::from_ns(end(3)));
        clock.mono_at(NetTime::from_ns(end(2)));
    }
}

#[test]
fn in_a_crowd_the_error_stays_within_the_bound_it_claims() {
    for seed in 0..300 {
        let mut chance = Chance::new(seed);
        let mut between = |low: f64, high: f64| low + (high - low) * chance.share();
        let skew = Ppm(between(-80.0, 80.0));
        let (queue, up, down) = (between(0.0, 0.02), between(0.0005, 0.01), between(0.0005, 0.01));
        let mut far = SimBox { skew, queue, floor_up: up, floor_down: down, ..sim_box(seed) };
        let mut clock = Clock::default();
        let at = talk(&mut far, &mut clock, 0.000_017, 10, 0.125);
        let at = talk(&mut far, &mut clock, at, 45, 1.000_003);
        let bound =
            clock.reading(MonoTime::from_ns((at * 1e9) as i64)).expect("asked").bound.millis_f64();
        let error = far.error_ms(&clock, at).abs();
        assert!(error <= bound, "seed {seed}: error {error} ms, bound {bound} ms");
        // What the queues add to the way's own asymmetry is a fraction of them.
        let asymmetry = (up - down).abs() / 2.0 * 1e3;
        assert!(error <= asymmetry + 0.1 + queue * 1e3 / 4.0, "seed {seed}: error {error} ms");
    }
}

/// Rounds the page's stamps to whole milliseconds: down, or up and down as a hash of the millisecond says.
fn rounded(mut exchange: Exchange, kind: Kind) -> Exchange {
    for t in [&mut exchange.t1, &mut exchange.t4] {
        let (ms, over) = (t.ns().div_euclid(1_000_000), t.ns().rem_euclid(1_000_000));
        let threshold = Chance::new(ms as u128).share() * 1e6;
        let is_up = kind == Kind::Fuzz && over as f64 > threshold;
        *t = MonoTime::from_ns((ms + i64::from(is_up)) * 1_000_000);
    }
    exchange
}

fn rounded_to(mut exchange: Exchange, ns: i64) -> Exchange {
    for t in [&mut exchange.t1, &mut exchange.t4] {
        *t = MonoTime::from_ns(t.ns().div_euclid(ns) * ns);
    }
    exchange
}

#[test]
fn how_the_pages_clock_rounds_is_found_out_from_the_answers_and_taken_out() {
    for kind in [Kind::Floor, Kind::Fuzz] {
        for seed in 0..6 {
            let (mut far, mut clock) = (sim_box(seed), Clock::default());
            far.queue = 0.000_3;
            for k in 0..1_200 {
                clock.handle(rounded(far.ask(f64::from(k) * 0.101_3), kind));
            }
            assert_eq!(clock.grain(), Grain { step_us: 1_000.0, kind }, "seed {seed}");
            let error = far.error_ms(&clock, 121.6);
            assert!(error.abs() < 0.12, "{kind:?}, seed {seed}: {error} ms");
        }
    }
}

/// On a cable an answer seems to be there in the very millisecond of its question.
#[test]
fn sx09_a_clock_of_whole_milliseconds_settles_on_a_way_that_is_shorter_than_one() {
    for (kind, seed) in
        [Kind::Floor, Kind::Fuzz].into_iter().flat_map(|it| (0..20).map(move |n| (it, n)))
    {
        let (mut far, mut clock) = (sim_box(seed), Clock::default());
        (far.floor_up, far.floor_down, far.queue) = (0.000_03, 0.000_03, 0.000_02);
        let mut at = 0.0;
        for k in 0..30 {
            at = f64::from(k) * 0.125_37;
            clock.handle(rounded(far.ask(at), kind));
            assert!(k < 4 || clock.is_settled(), "{kind:?}, seed {seed}: not after {k}");
        }
        let bound = clock.reading(MonoTime::from_ns((at * 1e9) as i64)).expect("asked").bound;
        let error = far.error_ms(&clock, at).abs();
        assert!(error <= bound.millis_f64(), "{kind:?}, seed {seed}: {error} ms of {bound}");
        assert!(bound < Span::from_millis(3), "{kind:?}, seed {seed}: {bound}");
    }
}

#[test]
fn a_phone_that_was_suspended_knows_the_time_again_at_the_first_answer() {
    let (mut far, mut clock) = (sim_box(8), Clock::default());
    far.queue = 0.001;
    let at = talk(&mut far, &mut clock, 0.012_34, 200, 0.100_3);
    far.ahead += Span::from_secs(8);
    far.queue = 0.0;
    let at = talk(&mut far, &mut clock, at, 1, 0.1);
    assert!(far.error_ms(&clock, at).abs() < 0.5, "{}", far.error_ms(&clock, at));
}

#[test]
fn a_roam_to_a_way_with_another_asymmetry_moves_the_time_little() {
    let (mut far, mut clock) = (sim_box(9), Clock::default());
    far.queue = 0.000_3;
    let at = talk(&mut far, &mut clock, 0.012_34, 600, 0.100_3);
    let (up, down) = (far.floor_up, far.floor_down);
    (far.floor_up, far.floor_down) = (up + 0.000_4, down + 0.003);
    let at = talk(&mut far, &mut clock, at, 600, 0.100_3);
    assert!(far.error_ms(&clock, at).abs() < 0.3, "longer: {}", far.error_ms(&clock, at));
    (far.floor_up, far.floor_down) = (up, down);
    let at = talk(&mut far, &mut clock, at, 600, 0.100_3);
    assert!(far.error_ms(&clock, at).abs() < 0.3, "back: {}", far.error_ms(&clock, at));
}

#[test]
fn another_channel_has_floors_of_its_own_and_leaves_the_time_as_it_was() {
    let (mut far, mut clock) = (sim_box(10), Clock::default());
    far.queue = 0.000_3;
    let at = talk(&mut far, &mut clock, 0.012_34, 300, 0.100_3);
    far.channel = Channel::WebTransport;
    far.floor_down += 0.002;
    let worst = (0..100).fold(0.0f64, |worst, k| {
        let at = talk(&mut far, &mut clock, at + f64::from(k) * 0.1, 1, 0.1);
        worst.max(far.error_ms(&clock, at).abs())
    });
    assert!(worst < 0.3, "{worst} ms");
}

#[test]
fn a_skew_that_steps_by_ten_ppm_is_followed_within_a_quarter_of_a_minute() {
    let mut off_ppm: Vec<f64> = (0..9)
        .map(|seed| {
            let (mut far, mut clock) = (sim_box(seed), Clock::default());
            far.queue = 0.000_2;
            let at = talk(&mut far, &mut clock, 0.012_34, 600, 0.100_3);
            let lead = far.net(at);
            far.skew = Ppm(far.skew.0 + 10.0);
            far.ahead += lead - far.net(at);
            let at = talk(&mut far, &mut clock, at, 150, 0.100_3);
            assert!(far.error_ms(&clock, at).abs() < 0.05, "{}", far.error_ms(&clock, at));
            (clock.reading(MonoTime::from_ns((at * 1e9) as i64)).expect("asked").rate.0 - 40.0)
                .abs()
        })
        .collect();
    off_ppm.sort_unstable_by(f64::total_cmp);
    assert!(off_ppm[4] < 2.0 && off_ppm[8] < 7.5, "{off_ppm:?}");
}

#[test]
fn an_exchange_asks_nothing_of_the_heap_whatever_becomes_of_the_way_and_the_clock() {
    let (mut far, mut clock) = (sim_box(12), Clock::default());
    far.queue = 0.002;
    let before = crate::heap::count();
    let at = talk(&mut far, &mut clock, 0.012_34, 2_500, 0.100_3);
    far.floor_down += 0.02;
    let at = talk(&mut far, &mut clock, at, 200, 0.100_3);
    far.floor_down -= 0.02;
    let at = talk(&mut far, &mut clock, at, 200, 0.100_3);
    far.ahead += Span::from_secs(3);
    talk(&mut far, &mut clock, at, 200, 0.100_3);
    assert_eq!(crate::heap::count(), before);
    drop(clock.clone());
    assert!(crate::heap::count() > before, "and the count counts");
}

/// An exchange looks at its own row a few times beside the share of the fit, which one more table for the doubts
/// may exceed.
const LOOKS_MAX: usize = WORK + 100;

#[test]
fn whatever_the_window_holds_an_exchange_costs_no_more_than_its_share() {
    let (mut far, mut clock) = (sim_box(14), Clock::default());
    far.queue = 0.006;
    let mut most = 0;
    let mut at = 0.012_34;
    let mut ask = |far: &mut SimBox, clock: &mut Clock, count: u32, every: f64| {
        let mut whole = 0;
        for _ in 0..count {
            at += every;
            // Whole tenths of a millisecond, so that the way it rounds is in question, too.
            let exchange = rounded_to(far.ask(at), 100_000);
            work::done::take();
            clock.handle(exchange);
            let looks = work::done::take();
            clock.handle_pause();
            (most, whole) = (most.max(looks).max(work::done::take()), whole + looks);
        }
        whole
    };
    let full = ask(&mut far, &mut clock, 2_500, 0.100_3);
    assert!(clock.rows.len() > 1_700, "a full window: {}", clock.rows.len());
    assert!(full > 2_500 * WORK / 3, "and the work is done, not left: {full}");
    // Faster than anybody may ask, a longer way, a shorter one, a clock that stood still, minutes of silence.
    ask(&mut far, &mut clock, 500, 0.01);
    far.floor_down += 0.02;
    ask(&mut far, &mut clock, 300, 0.100_3);
    far.floor_down -= 0.02;
    ask(&mut far, &mut clock, 300, 0.100_3);
    far.ahead += Span::from_secs(3);
    ask(&mut far, &mut clock, 300, 0.100_3);
    ask(&mut far, &mut clock, 10, 200.0);
    ask(&mut far, &mut clock, 100, 3.0);
    assert!(most <= LOOKS_MAX, "{most}");
}

#[test]
fn absurd_stamps_of_the_box_do_not_spoil_the_clock_for_ever() {
    let (mut far, mut clock) = (sim_box(13), Clock::default());
    let at = talk(&mut far, &mut clock, 0.012_34, 30, 0.1);
    for ns in [i64::MAX, 0, i64::MAX / 3] {
        let lie = Exchange { t2: NetTime::from_ns(ns), t3: NetTime::from_ns(ns), ..far.ask(at) };
        clock.handle(lie);
    }
    let at = talk(&mut far, &mut clock, at + 1.0, 100, 0.1);
    assert!(far.error_ms(&clock, at).abs() < 0.1, "{}", far.error_ms(&clock, at));
}

#[test]
fn a_phone_that_leaves_a_way_at_once_does_not_go_on_by_what_little_it_knew_there() {
    let error = |seed: u128| {
        let (mut far, mut clock) = (sim_box(seed), Clock::default());
        far.queue = 0.008;
        let at = talk(&mut far, &mut clock, 0.012_34, 3, 0.125);
        (far.channel, far.queue) = (Channel::WebTransport, 0.001);
        let at = talk(&mut far, &mut clock, at, 10, 0.125);
        let at = talk(&mut far, &mut clock, at, 10, 2.5);
        let reading = clock.reading(MonoTime::from_ns((at * 1e9) as i64)).expect("asked");
        (far.error_ms(&clock, at).abs(), reading.sigma.millis_f64())
    };
    let mut all: Vec<(f64, f64)> = (0..60).map(error).collect();
    all.sort_unstable_by(|one, other| one.0.total_cmp(&other.0));
    println!("p50 {:?}, p95 {:?}, worst {:?}", all[30], all[57], all[59]);
    assert!(all[57].0 < 0.5, "{all:?}");
}

#[test]
fn a_phone_that_slept_right_after_a_strange_answer_finds_back_at_once() {
    let (mut far, mut clock) = (sim_box(21), Clock::default());
    far.queue = 0.001;
    let at = talk(&mut far, &mut clock, 0.012_34, 100, 0.100_3);
    far.floor_up -= 0.001_5;
    far.queue = 0.0;
    let at = talk(&mut far, &mut clock, at, 1, 0.1);
    assert_eq!(clock.suspects.rows().count(), 1, "a shorter way, or a mistake");
    // The phone's clock stood still for minutes.
    far.ahead += Span::from_secs(298);
    for k in 0..5 {
        let at = talk(&mut far, &mut clock, at + f64::from(k) * 0.5, 1, 0.1);
        assert!(far.error_ms(&clock, at).abs() < 3.0, "{k}: {}", far.error_ms(&clock, at));
    }
}

#[test]
fn sx09_a_phone_that_wakes_into_a_queue_knows_the_time_at_the_first_answer_that_did_not_wait() {
    for seed in 0..20 {
        let (mut far, mut clock) = (sim_box(seed), Clock::default());
        far.queue = 0.001;
        let at = talk(&mut far, &mut clock, 0.012_34, 200, 0.100_3);
        // It slept for minutes, its clock stood still, and the first answers come all at once.
        far.ahead += Span::from_secs(465);
        for (k, late) in [0.076, 0.056, 0.029, 0.238, 0.127].into_iter().enumerate() {
            far.floor_down = 0.002 + late;
            talk(&mut far, &mut clock, at + 0.1 * k as f64, 1, 0.1);
            assert_within(&far, &clock, at + 0.1 * k as f64 + 0.3, seed);
        }
        (far.floor_down, far.queue) = (0.002, 0.000_2);
        let at = talk(&mut far, &mut clock, at + 1.0, 1, 0.05);
        let error = far.error_ms(&clock, at).abs();
        assert!(error < 3.0, "seed {seed}: {error} ms");
        for k in 0..50 {
            let at = talk(&mut far, &mut clock, at + f64::from(k), 1, 0.05);
            assert_within(&far, &clock, at, seed);
        }
    }
}

fn assert_within(far: &SimBox, clock: &Clock, at: f64, seed: u128) {
    let now = MonoTime::from_ns((at * 1e9) as i64);
    let bound = clock.reading(now).expect("asked").bound.millis_f64();
    let error = far.error_ms(clock, at).abs();
    assert!(error <= bound, "seed {seed} at {at} s: error {error} ms, bound {bound} ms");
}
