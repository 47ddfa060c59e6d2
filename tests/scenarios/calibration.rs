//! Phones and a box that chirp at each other: in air whose distance nobody tells, through browsers that know part of
//! their latency, over sockets.

use engine::told::Command;
use phone::{Chance, DuetNews, DuetTrouble};
use sim::acoustics::Room;
use sim::{Event, PhoneSpec, Wifi, World, WorldSpec};
use units::{Ppm, Span};
use wire::solusync::Message;

use crate::stage::show;

const CUES: &str = "[[list.cue]]\nnumber = 1\nphones = { track = \"track_001\" }\n";

/// A box with a microphone whose operator allows calibrations, and a phone that has been in step for a while.
fn hall(spec: PhoneSpec, room: Room, seed: u64) -> World {
    let world = World::new(show(CUES), WorldSpec { seed, ..WorldSpec::default() });
    let mut world = world.with_microphone(room, Ppm(40.0));
    world.enter(PhoneSpec { room, ..spec });
    world.run(Span::from_secs(20));
    world.command(Command::Calibrate).expect("there is a microphone");
    world
}

/// Somebody presses the button; gives the residual that the box is told, in milliseconds, and its sigma.
fn calibrated(world: &mut World) -> Option<(f64, f64)> {
    world.touch(0, sim::SimPhone::press_calibrate);
    world.run(Span::from_secs(14));
    let found = world.calibrated(0)?.residual?;
    Some((found.ms, found.sigma_ms))
}

/// How late the track is heard, in milliseconds: what one hears against what the show says.
fn heard_late_ms(world: &World, began: units::ShowTime) -> f64 {
    let heard = world.phone(0).heard(world.now());
    let place = heard.first().expect("the track sounds").at_s;
    ((world.now() - began).secs_f64() - place) * 1e3
}

/// How much later than it was told the phone chirped, in milliseconds.
fn sounded_late_ms(world: &World) -> f64 {
    let told = world.story.iter().rev().find_map(|it| match &it.event {
        Event::Told(_, Message::CalibrateStart(start)) => Some(start.phone_at.clone()),
        _ => None,
    });
    let told = told.expect("it was told when");
    let (chirps, _) = world.phone(0).chirps();
    let late = told
        .iter()
        .zip(&chirps[chirps.len() - told.len()..])
        .map(|(told, chirped)| (*chirped - told.to_show(engine::clock::TAI_UTC)).millis_f64());
    late.sum::<f64>() / told.len() as f64
}

fn percentile(mut values: Vec<f64>, share: f64) -> f64 {
    values.sort_unstable_by(f64::total_cmp);
    values[((values.len() - 1) as f64 * share).round() as usize]
}

fn news(world: &World) -> DuetNews {
    world.phone(0).look(world.now()).duet.news
}

fn failed(why: DuetTrouble) -> DuetNews {
    DuetNews::Failed { why }
}

#[test]
fn sx20_chirps_find_how_late_a_phone_is_at_any_distance() {
    let (mut errors, mut sigmas, mut chance) = (Vec::new(), Vec::new(), Chance::new(20));
    for seed in 0..24 {
        let between =
            |low: f64, high: f64, chance: &mut Chance| low + (high - low) * chance.share();
        let hidden_ms = between(-15.0, 60.0, &mut chance);
        let spec = PhoneSpec {
            seed,
            hidden: Span::from_secs_f64(hidden_ms / 1e3),
            metres: between(1.0, 20.0, &mut chance),
            own_metres: between(0.02, 0.15, &mut chance),
            ear: Span::from_secs_f64(between(0.005, 0.12, &mut chance)),
            crystal: Ppm(between(-30.0, 30.0, &mut chance)),
            card: Ppm(between(-80.0, 80.0, &mut chance)),
            wifi: Wifi { jitter: Span::from_millis(2), ..Wifi::QUIET },
            ..PhoneSpec::default()
        };
        let room = if seed % 3 == 0 { Room::OPEN } else { Room::HALL };
        let mut world = hall(spec, room, seed);
        let (found, sigma) =
            calibrated(&mut world).unwrap_or_else(|| panic!("{spec:?}: {:?}", news(&world)));
        let truth = sounded_late_ms(&world);
        assert!(
            (truth - hidden_ms).abs() < 2.0,
            "its clock is a part of how late it sounds: {truth}"
        );
        errors.push((found - truth).abs());
        sigmas.push(sigma);
    }
    let (p50, p95) = (percentile(errors.clone(), 0.5), percentile(errors.clone(), 0.95));
    let worst = percentile(errors.clone(), 1.0);
    println!(
        "calibration error over 1 to 20 m: p50 {p50:.3} ms, p95 {p95:.3} ms, worst {worst:.3} ms"
    );
    println!("claimed sigma: median {:.3} ms", percentile(sigmas.clone(), 0.5));
    assert!(p95 < 0.2, "{errors:?}");
    let outside = errors.iter().zip(&sigmas).filter(|(error, sigma)| **error > 3.0 * **sigma);
    assert!(outside.count() <= 1, "{errors:?} {sigmas:?}");
}

#[test]
fn sx20_a_calibrated_phone_sends_its_sound_off_early_enough() {
    let spec = PhoneSpec { hidden: Span::from_millis(35), metres: 9.0, ..PhoneSpec::default() };
    let mut world = hall(spec, Room::HALL, 3);
    let (found, _) = calibrated(&mut world).expect("a figure");
    assert!((found - 35.0).abs() < 0.4, "{found}");
    world.go().expect("the show goes on");
    let began = world.now() + Span::from_millis(400);
    world.run(Span::from_secs(6));
    let late = heard_late_ms(&world, began);
    assert!(late.abs() < 1.0, "heard {late} ms late");
    let sync = world.phone_status(0).and_then(|it| it.sync.clone()).expect("it says so");
    assert!(sync.acoustic_ms.is_some_and(|it| it < 1.0) && (sync.delay_ms - found).abs() < 1e-6);
    // A second calibration finds it where it should be, and says the same of it.
    world.command(Command::Stop).expect("it stops");
    world.run(Span::from_secs(2));
    let (again, _) = calibrated(&mut world).expect("a figure");
    assert!((again - found).abs() < 0.4, "{again} after {found}");
}

#[test]
fn sx20_what_is_changed_while_both_chirp_is_not_taken_for_lateness() {
    let spec = PhoneSpec { hidden: Span::from_millis(20), ..PhoneSpec::default() };
    let mut world = hall(spec, Room::HALL, 6);
    world.touch(0, sim::SimPhone::press_calibrate);
    world.run(Span::from_secs(4));
    assert_eq!(news(&world), DuetNews::Listening);
    world.touch(0, |phone, now| phone.tell_page(now, phone::Event::Nudged { ms: 30.0 }));
    world.run(Span::from_secs(10));
    let found = world.calibrated(0).and_then(|it| it.residual).expect("a figure").ms;
    assert!((found - 20.0).abs() < 0.4, "{found}");
}

#[test]
fn what_cannot_be_heard_is_refused_in_words_and_changes_nothing() {
    let far = PhoneSpec { metres: 400.0, ..PhoneSpec::default() };
    let mut world = hall(far, Room::HALL, 1);
    assert_eq!(calibrated(&mut world), None);
    assert!(matches!(news(&world), DuetNews::Failed { .. }), "{:?}", news(&world));
    let deaf = Room { noise: 0.9, ..Room::HALL };
    let mut world = hall(PhoneSpec::default(), deaf, 2);
    assert_eq!(calibrated(&mut world), None);
    assert!(matches!(news(&world), DuetNews::Failed { .. }), "{:?}", news(&world));
    let sync = world.phone_status(0).and_then(|it| it.sync.clone()).expect("it reports");
    assert_eq!((sync.acoustic_ms, sync.delay_ms), (None, 0.0));
}

#[test]
fn in_a_church_it_is_right_or_refused_and_never_wrong() {
    let (mut right, mut refused) = (0, 0);
    for seed in 0..12 {
        let metres = 2.0 + 1.5 * seed as f64;
        let spec =
            PhoneSpec { seed, metres, hidden: Span::from_millis(12), ..PhoneSpec::default() };
        let mut world = hall(spec, Room::CHURCH, seed);
        match calibrated(&mut world) {
            Some((found, sigma)) => {
                assert!((found - 12.0).abs() < 1.5, "{metres} m: {found} ± {sigma}");
                right += 1;
            }
            None => refused += 1,
        }
    }
    println!("in a church: {right} right, {refused} refused, none wrong");
    assert!(right > 0);
}

#[test]
fn a_cue_ends_a_calibration_and_no_chirp_sounds_into_it() {
    let mut world = hall(PhoneSpec::default(), Room::HALL, 4);
    world.touch(0, sim::SimPhone::press_calibrate);
    world.run(Span::from_secs(4));
    assert_eq!(news(&world), DuetNews::Listening);
    world.go().expect("the show goes on");
    world.run(Span::from_secs(1));
    assert_eq!(news(&world), failed(DuetTrouble::Busy));
    assert_eq!(calibrated(&mut world), None);
    assert_eq!(news(&world), failed(DuetTrouble::Busy));
}

#[test]
fn nobody_in_the_audience_makes_the_hall_chirp() {
    let world = World::new(show(CUES), WorldSpec::default());
    let mut world = world.with_microphone(Room::HALL, Ppm(0.0));
    world.enter(PhoneSpec::default());
    world.run(Span::from_secs(10));
    assert_eq!(calibrated(&mut world), None);
    assert_eq!(news(&world), failed(DuetTrouble::Closed));
    assert!(world.phone(0).look(world.now()).calibrates, "it may be opened yet");
}

#[test]
fn who_was_told_that_the_box_is_deaf_is_not_offered_it_again() {
    let mut world = World::new(show(CUES), WorldSpec::default());
    world.enter(PhoneSpec::default());
    world.run(Span::from_secs(10));
    assert_eq!(calibrated(&mut world), None);
    assert_eq!(news(&world), failed(DuetTrouble::BoxIsDeaf));
    assert!(!world.phone(0).look(world.now()).calibrates);
}

#[test]
fn a_nudge_moves_what_sounds_without_a_jump() {
    let world = World::new(show(CUES), WorldSpec::default());
    let mut world = world;
    world.enter(PhoneSpec::default());
    world.run(Span::from_secs(10));
    world.go().expect("it begins");
    let began = world.now() + Span::from_millis(400);
    world.run(Span::from_secs(2));
    let before = heard_late_ms(&world, began);
    world.touch(0, |phone, now| phone.tell_page(now, phone::Event::Nudged { ms: 15.0 }));
    world.run(Span::from_millis(1));
    assert!((heard_late_ms(&world, began) - before).abs() < 1.0, "not at once");
    world.run(Span::from_secs(7));
    let moved = before - heard_late_ms(&world, began);
    assert!((moved - 15.0).abs() < 1.5, "{moved} ms earlier");
    assert!(world.phone(0).bend() <= 0.003 + 1e-9, "{}", world.phone(0).bend());
}
