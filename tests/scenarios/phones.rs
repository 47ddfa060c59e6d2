//! Stories of phones in a hall, each with a Wi-Fi, a crystal and a sound card of its own.

use std::fmt::Write;

use engine::order::{Evidence, Output};
use engine::told::Command;
use phone::{Doing, Role, State};
use sim::acoustics::Room;
use sim::{PhoneSpec, SimPhone, Wifi, World, WorldSpec};
use units::{Ppm, ShowTime, Span};
use wire::solusync::{Calibrated, Estimate, Message};

use crate::stage::{Stage, show};
use crate::tables::compare;

/// A colour and a piece of ten seconds, over and over, as the demo has its own.
const PIECE: &str = r##"
[[list.cue]]
number = 1
phones = { track = "track_001", loop = "forever", color = "#ff7030", fade = "2s", text = "Good evening" }
"##;
/// What the stage's sound files last.
const PIECE_SECS: f64 = 10.0;

/// A hall full of phones whose owners have touched them.
fn hall(phones: usize, wifi: Wifi) -> Stage {
    let spec = WorldSpec::default();
    let world = World::new(show(PIECE), spec).with_phones(phones, wifi);
    let mut stage = Stage { world, start: spec.start };
    stage.run(20.0);
    stage
}

/// A hall in which the piece has begun.
fn playing(phones: usize, wifi: Wifi) -> Stage {
    let mut stage = hall(phones, wifi);
    stage.go().expect("cue 1");
    stage.run(2.0);
    stage
}

/// When the piece was at its beginning, by the box's last order to play it.
fn piece_began(stage: &Stage) -> ShowTime {
    let play = stage.plays().pop().expect("an order to play");
    let at = play.start_at.expect("its time").to_show(engine::clock::TAI_UTC);
    at - Span::from_secs_f64(play.params.position_ms / 1e3)
}

/// Milliseconds by which one phone is ahead of show time; none while it is silent.
fn error_ms(stage: &Stage, place: usize) -> Option<f64> {
    let now = stage.world.now();
    let heard = stage.world.phone(place).heard(now);
    let [heard] = &heard[..] else {
        assert!(heard.is_empty(), "one source at a time: {heard:?}");
        return None;
    };
    let apart = heard.at_s - (now - piece_began(stage)).secs_f64();
    Some((apart - (apart / PIECE_SECS).round() * PIECE_SECS) * 1e3)
}

/// The same of every phone that sounds.
fn errors_ms(stage: &Stage) -> Vec<f64> {
    (0..stage.world.phones()).filter_map(|place| error_ms(stage, place)).collect()
}

/// How many phones sound now.
fn sounding(stage: &Stage) -> usize {
    let now = stage.world.now();
    (0..stage.world.phones())
        .filter(|place| !stage.world.phone(*place).heard(now).is_empty())
        .count()
}

/// The worst of one phone over a while in which it is never silent.
fn worst_ms(stage: &mut Stage, place: usize, seconds: f64) -> f64 {
    let mut worst = 0.0_f64;
    for _ in 0..(seconds * 50.0) as u32 {
        stage.run(0.02);
        worst = worst.max(error_ms(stage, place).expect("it sounds all the while").abs());
    }
    worst
}

/// Milliseconds between phones over a while: what 95 of 100 pairs stay under, and the worst pair.
fn between_phones_ms(stage: &mut Stage, seconds: f64) -> (f64, f64) {
    let mut pairs = Vec::new();
    for _ in 0..(seconds * 2.0) as u32 {
        stage.run(0.5);
        let errors = errors_ms(stage);
        assert_eq!(errors.len(), stage.world.phones(), "everybody sounds");
        for (k, one) in errors.iter().enumerate() {
            pairs.extend(errors[..k].iter().map(|other| (one - other).abs()));
        }
    }
    pairs.sort_by(f64::total_cmp);
    (pairs[pairs.len() * 95 / 100], pairs[pairs.len() - 1])
}

#[test]
fn sx01_forty_phones_on_every_wifi_hear_the_piece_together_as_reviewed() {
    let mut table =
        "# Forty phones of every kind, 30 s of a track, 20 s after they came in: milliseconds between two of them.\n\
        # The way is 2 ms, one direction up to 0.5 ms longer: that alone may hide 0.5 ms between two phones. Their\n\
        # clocks step by 0.1 ms or 1 ms, and the stamps of their sound cards tremble by up to 2 ms.\n\
        # jitter_ms loss_% | p95_ms worst_ms\n"
        .to_owned();
    for (jitter_ms, loss) in
        [0, 2, 8, 20].into_iter().flat_map(|ms| [0.0, 0.02, 0.1].map(|loss| (ms, loss)))
    {
        let wifi = Wifi { jitter: Span::from_millis(jitter_ms), loss, ..Wifi::CROWDED };
        let (p95, worst) = between_phones_ms(&mut playing(40, wifi), 30.0);
        writeln!(table, "{jitter_ms:9} {:6} | {p95:6.2} {worst:8.2}", loss * 100.0)
            .expect("a string takes all");
    }
    compare("phone_sync.txt", &table);
}

#[test]
fn sx10_a_socket_killed_mid_track_comes_back_in_place_and_nobody_hears_it() {
    let mut stage = hall(1, Wifi::QUIET);
    let phone = stage.world.enter(PhoneSpec::default());
    stage.run(10.0);
    stage.go().expect("cue 1");
    stage.run(5.0);
    stage.world.touch(phone, SimPhone::hang_up);
    stage.run(0.1);
    assert_eq!(stage.world.glance().phones, 1, "the box sees it go");
    assert!(worst_ms(&mut stage, phone, 10.0) <= 1.0);
    assert_eq!(stage.world.glance().phones, 2, "and come back");
    assert!(worst_ms(&mut stage, phone, 20.0) <= 1.0);
    assert_eq!(stage.world.phone(phone).sounded().len(), 1, "the same source sounds all the while");
}

#[test]
fn a_phone_that_roams_for_three_seconds_keeps_its_socket_and_its_place() {
    let mut stage = hall(0, Wifi::QUIET);
    let phone = stage.world.enter(PhoneSpec::default());
    stage.run(10.0);
    stage.go().expect("cue 1");
    stage.run(2.0);
    stage.world.touch(phone, SimPhone::lose_box);
    assert!(worst_ms(&mut stage, phone, 3.0) <= 1.0);
    stage.world.touch(phone, SimPhone::find_box);
    assert!(worst_ms(&mut stage, phone, 10.0) <= 1.0);
    let sockets = stage.world.phone(phone);
    assert!(matches!(sockets.state(stage.world.now()), State::InStep { .. }));
    assert_eq!(stage.world.glance().phones, 1);
}

#[test]
fn a_phone_that_joins_late_starts_in_the_middle_and_answers_for_no_old_order() {
    let mut stage = playing(3, Wifi::QUIET);
    stage.run(1.0);
    let receipts = stage.receipts().len();
    let late = stage.world.enter(PhoneSpec::default());
    stage.run(2.0);
    assert!(worst_ms(&mut stage, late, 15.0) <= 1.0);
    let look = stage.world.phone(late).look(stage.world.now());
    assert_eq!((look.color.to_string().as_str(), look.text.as_str()), ("#ff7030", "Good evening"));
    assert_eq!(stage.receipts().len(), receipts);
}

#[test]
fn the_box_falls_silent_for_a_minute_and_forty_phones_play_on_by_their_own_clocks() {
    let mut stage = playing(40, Wifi::CROWDED);
    stage.run(30.0);
    stage.world.touch_all(SimPhone::lose_box);
    stage.run(60.0);
    assert_eq!(stage.world.glance().phones, 0, "the box has counted them out");
    let errors = errors_ms(&stage);
    assert_eq!(errors.len(), 40);
    assert!(errors.iter().all(|error| error.abs() < 5.0), "{errors:?}");
    let state = |stage: &Stage, place: usize| stage.world.phone(place).state(stage.world.now());
    assert!((0..40).all(|place| matches!(state(&stage, place), State::OnOwnClock { .. })));
    stage.world.touch_all(SimPhone::find_box);
    stage.run(40.0);
    assert_eq!(stage.world.glance().phones, 40);
    assert!((0..40).all(|place| matches!(state(&stage, place), State::InStep { .. })));
    let (_, worst) = between_phones_ms(&mut stage, 10.0);
    assert!(worst < 4.0, "{worst} ms");
    for place in 0..40 {
        let phone = stage.world.phone(place);
        assert_eq!(phone.sounded().len(), 1, "back by slewing, without a cut");
        assert!(phone.bend() <= 0.003);
    }
}

#[test]
fn pause_resume_stop_and_panic_reach_every_phone() {
    let mut stage = playing(40, Wifi::CROWDED);
    stage.command(Command::Pause).expect("a pause");
    stage.run(1.0);
    assert_eq!(sounding(&stage), 0, "paused");
    stage.run(3.0);
    stage.command(Command::Resume).expect("and on");
    stage.run(3.0);
    assert!(errors_ms(&stage).iter().all(|error| error.abs() < 4.0), "{:?}", errors_ms(&stage));
    assert_eq!(sounding(&stage), 40, "resumed");
    stage.command(Command::Stop).expect("a stop");
    stage.run(1.0);
    assert_eq!(sounding(&stage), 0, "stopped");
    stage.command(Command::Fire { cue: "1".parse().expect("a cue") }).expect("cue 1");
    stage.run(4.0);
    assert_eq!(sounding(&stage), 40, "again");
    stage.command(Command::Panic).expect("a panic");
    stage.run(2.5);
    assert_eq!(sounding(&stage), 0, "panic");
    for place in 0..40 {
        let look = stage.world.phone(place).look(stage.world.now());
        assert_eq!((look.color.to_string().as_str(), look.text.as_str()), ("#000000", ""));
    }
}

#[test]
fn sx10_a_resume_reaches_phones_and_screens_that_had_nothing_to_play_and_leaves_them_silent() {
    let mut stage = hall(3, Wifi::CROWDED);
    let performer = stage.world.enter(PhoneSpec { role: Role::Performer, ..<_>::default() });
    stage.run(10.0);
    let doing = |stage: &Stage| -> Vec<Doing> {
        let at = stage.world.now();
        let look = |place| stage.world.phone(place).look(at);
        (0..=performer).map(|place| doing(look(place).fare)).collect()
    };
    stage.command(Command::Pause).expect("a pause");
    stage.run(2.0);
    assert_eq!(doing(&stage), [Doing::Paused; 4]);
    stage.command(Command::Resume).expect("and on");
    stage.run(2.0);
    assert_eq!(doing(&stage), [Doing::Ready; 4]);
    assert_eq!(sounding(&stage), 0, "a play of no track plays nothing");
}

fn doing(fare: State) -> Doing {
    let State::InStep { doing, .. } = fare else { panic!("it is in step, and not {fare:?}") };
    doing
}

#[test]
fn forty_phones_answer_for_an_order_with_the_latest_of_their_times() {
    let mut stage = playing(40, Wifi::CROWDED);
    stage.run(2.0);
    let receipts = stage.receipts();
    let [track, screen] = &receipts[..] else { panic!("two orders: {receipts:?}") };
    for receipt in [track, screen] {
        assert_eq!((receipt.output, receipt.evidence), (Output::Phones, Evidence::Phone));
        assert_eq!(receipt.count, 40);
    }
    let late_ms =
        |receipt: &engine::order::Receipt| receipt.late().expect("somebody said").millis_f64();
    assert!(late_ms(track).abs() < 3.0, "{}", late_ms(track));
    assert!((0.0..20.0).contains(&late_ms(screen)), "a frame: {}", late_ms(screen));
}

#[test]
fn what_no_phone_has_said_is_unknown_and_never_nought() {
    let mut stage = hall(0, Wifi::QUIET);
    let phone = stage.world.enter(PhoneSpec::default());
    stage.run(3.0);
    assert_eq!(stage.world.phone_status(phone), None, "it says so every five seconds");
    stage.run(3.0);
    let status = stage.world.phone_status(phone).expect("by now");
    assert!(status.avg_rtt_ms.is_some_and(|rtt| rtt > 2.0), "{status:?}");
    assert_eq!((status.battery_level, status.cpu_usage), (None, None));
    stage.world.touch(phone, SimPhone::lose_box);
    stage.go().expect("cue 1");
    stage.run(3.0);
    let receipts = stage.receipts();
    assert_eq!(receipts.len(), 2);
    for receipt in receipts {
        assert_eq!((receipt.happened, receipt.evidence, receipt.count), (None, Evidence::None, 0));
    }
}

#[test]
fn nobody_hears_a_phone_that_was_not_touched() {
    let mut stage = hall(0, Wifi::QUIET);
    let phone = stage.world.enter(PhoneSpec { tap: None, ..PhoneSpec::default() });
    stage.run(3.0);
    stage.go().expect("cue 1");
    stage.run(4.0);
    assert_eq!(sounding(&stage), 0);
    let shown = stage.world.phone(phone).shown().last().expect("it was painted");
    assert_eq!(shown.color.to_string(), "#ff7030", "but it shows what the others show");
    assert_eq!(stage.world.phone(phone).state(stage.world.now()), State::TapToStart);
}

#[test]
fn sx02_a_thousand_phones_through_a_minute() {
    let clock = std::time::Instant::now();
    let mut stage = playing(1_000, Wifi::CROWDED);
    stage.run(38.0);
    let gone = stage.world.now() - stage.start;
    println!("1,000 phones through {gone} of show in {:.1} s", clock.elapsed().as_secs_f64());
    assert_eq!((sounding(&stage), stage.world.glance().phones), (1_000, 1_000));
    let track = stage.receipts().into_iter().next().expect("an order's receipt");
    assert_eq!(track.count, 1_000);
}

#[test]
fn a_thousand_phones_ask_the_time_less_than_the_house_allows_and_ever_less() {
    let mut stage = hall(0, Wifi::CROWDED);
    // A hundred open their pages in each of ten seconds.
    for k in 0..1_000 {
        let opens = Span::from_millis(10 * k);
        stage.world.enter(PhoneSpec { opens, ..PhoneSpec::drawn(k as u64, Wifi::CROWDED) });
    }
    stage.run(180.0);
    let asked = stage.world.clock_questions();
    let busiest = asked.iter().enumerate().map(|(first, from)| {
        asked[first..].iter().take_while(|at| **at - *from < Span::from_secs(1)).count()
    });
    let busiest = busiest.max().expect("they asked");
    let late = stage.world.now() - Span::from_secs(30);
    let calm = asked.iter().filter(|at| **at >= late).count() as f64 / 30.0;
    println!(
        "1,000 phones: {busiest} questions in the busiest second, {calm:.0} a second after three minutes"
    );
    let limit = engine::phones::Limits::default().clock_syncs_total_per_second;
    assert!(busiest <= limit, "{busiest}");
    assert!(calm < 150.0, "{calm}");
    let now = stage.world.now();
    let in_step =
        |place: &usize| matches!(stage.world.phone(*place).state(now), State::InStep { .. });
    assert_eq!((0..1_000).filter(in_step).count(), 1_000);
}

#[test]
fn the_same_evening_twice_is_the_same_evening() {
    let evening = || {
        let mut stage = playing(10, Wifi::CROWDED);
        stage.world.touch(3, SimPhone::hang_up);
        stage.run(10.0);
        let told: Vec<String> = stage.world.story.iter().map(|it| format!("{it:?}")).collect();
        (told, errors_ms(&stage))
    };
    assert_eq!(evening(), evening());
}

/// What any phone may say of itself.
fn claim(late_ms: Option<f64>) -> Calibrated {
    let residual = late_ms.map(|ms| Estimate { ms, sigma_ms: 0.03 });
    Calibrated { model: None, residual }
}

/// A hall whose box has a microphone and so many phones, each three milliseconds later than its browser says, the first
/// three of which have chirped with the box.
fn calibrated(phones: usize) -> Stage {
    let spec = WorldSpec::default();
    let mut world = World::new(show(PIECE), spec).with_microphone(Room::HALL, Ppm(40.0));
    for seed in 0..phones as u64 {
        let drawn = PhoneSpec::drawn(seed, Wifi::QUIET);
        let hidden = Span::from_micros(3_000 + 100 * seed as i64 % 500);
        world.enter(PhoneSpec { hidden, room: Room::HALL, ..drawn });
    }
    let mut stage = Stage { world, start: spec.start };
    stage.run(20.0);
    stage.world.command(Command::Calibrate).expect("there is a microphone");
    for place in 0..3 {
        stage.world.touch(place, SimPhone::press_calibrate);
        stage.run(14.0);
        assert!(figure(&stage, place).residual.is_some(), "{place} was heard");
    }
    stage
}

/// What came of a phone's chirps.
fn figure(stage: &Stage, place: usize) -> Calibrated {
    stage.world.calibrated(place).cloned().expect("it has said so")
}

/// The same with five phones, while the piece plays; the first of them has just said again what came of its chirps, and
/// so made the ground on which all are corrected.
fn pooled() -> Stage {
    let mut stage = calibrated(5);
    let found = figure(&stage, 0);
    stage.world.touch(0, |phone, now| phone.calibrate(now, claim(None)));
    stage.run(10.0);
    stage.go().expect("cue 1");
    stage.run(20.0);
    assert_eq!(correction_ms(&stage, 4), None);
    stage.world.touch(0, |phone, now| phone.calibrate(now, found));
    stage
}

fn correction_ms(stage: &Stage, place: usize) -> Option<f64> {
    stage.world.phone(place).look(stage.world.now()).correction_ms
}

#[test]
fn sx01_a_phone_sounds_sooner_by_what_its_calibrated_fellows_are_late_and_nobody_hears_it_move() {
    let mut stage = pooled();
    let before = error_ms(&stage, 4).expect("it sounds");
    assert_eq!(correction_ms(&stage, 4), None, "the box gathers first");
    stage.run(20.0);
    let correction = correction_ms(&stage, 4).expect("three are ground enough");
    assert!((2.5..3.7).contains(&correction), "{correction} ms");
    let moved = error_ms(&stage, 4).expect("it sounds") - before;
    assert!((moved - correction).abs() < 1.0, "moved by {moved} ms, told {correction} ms");
    let phone = stage.world.phone(4);
    assert_eq!(phone.sounded().len(), 1, "the same source sounds all the while");
    assert!(phone.bend() <= 0.003, "{}", phone.bend());
    let raw = phone.core().net(phone.page(stage.world.now()));
    let now = stage.world.now() - engine::clock::TAI_UTC;
    let off_ms = (raw.ns() - now.ns()) as f64 / 1e6;
    assert!(off_ms.abs() < 1.0, "its own reckoning stays what it is: {off_ms} ms");
}

#[test]
fn a_correction_survives_a_new_socket_and_is_taken_back_when_its_ground_is_gone() {
    let mut stage = pooled();
    stage.run(10.0);
    let before = correction_ms(&stage, 4).expect("ground");
    stage.world.touch(4, SimPhone::hang_up);
    for _ in 0..30 {
        stage.run(1.0);
        let now = correction_ms(&stage, 4).expect("it keeps what it was told");
        assert!((now - before).abs() < 0.1, "{now} ms");
    }
    let found = figure(&stage, 1).residual.expect("it was heard");
    stage.world.touch(0, |phone, now| phone.calibrate(now, claim(None)));
    stage.run(10.0);
    assert_eq!(correction_ms(&stage, 4), None);
    let own = correction_ms(&stage, 1).expect("what it has measured itself is still so");
    assert!((own - found.ms).abs() < 1e-9, "{own} ms");
}

#[test]
fn sx01_liars_whom_no_microphone_heard_move_nobody() {
    let mut stage = calibrated(10);
    stage.run(10.0);
    let told = |stage: &Stage| (0..5).map(|place| correction_ms(stage, place)).collect::<Vec<_>>();
    let before = told(&stage);
    assert!(before.iter().all(Option::is_some), "{before:?}");
    for place in 5..10 {
        stage.world.touch(place, |phone, now| phone.calibrate(now, claim(Some(40.0))));
    }
    stage.run(20.0);
    assert_eq!(told(&stage), before);
    let liar = correction_ms(&stage, 7).expect("it has what it asked for");
    assert!((liar - 40.0).abs() < 0.1, "{liar} ms");
    // Nor does one that was heard once and says something else from then on.
    stage.world.touch(0, |phone, now| phone.calibrate(now, claim(Some(40.0))));
    stage.run(20.0);
    assert_eq!(told(&stage)[3..], [None, None], "two are no ground");
}

#[test]
fn sx01_an_audience_of_liars_without_any_calibration_gets_nobody_corrected() {
    let mut stage = hall(8, Wifi::QUIET);
    for place in 0..6 {
        stage.world.touch(place, |phone, now| phone.calibrate(now, claim(Some(40.0))));
    }
    stage.run(20.0);
    let told = |story: &sim::Story| {
        matches!(&story.event, sim::Event::Told(_, Message::ClockCorrection(_)))
    };
    assert!(!stage.world.story.iter().any(told));
    assert_eq!((correction_ms(&stage, 6), correction_ms(&stage, 7)), (None, None));
}

#[test]
fn a_hundred_phones_are_each_told_once_when_the_third_was_calibrated() {
    let mut stage = calibrated(100);
    stage.run(10.0);
    let told = |story: &&sim::Story| {
        matches!(&story.event, sim::Event::Told(_, Message::ClockCorrection(_)))
    };
    assert_eq!(stage.world.story.iter().filter(told).count(), 100);
    assert!((0..100).all(|place| correction_ms(&stage, place).is_some()));
}
