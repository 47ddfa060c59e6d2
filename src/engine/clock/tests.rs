//! The discipline by itself: who leads, who follows, what watchers read.

use units::{MonoTime, Ppm, ShowTime, Span};

use super::*;

const EPOCH: ShowTime = ShowTime::from_ns(1_795_000_000_000_000_000);

fn mono(millis: i64) -> MonoTime {
    MonoTime::ZERO + Span::from_millis(millis)
}

fn new() -> Discipline {
    let overlay = Overlay::new(MonoTime::ZERO, EPOCH + Span::from_secs(7), Ppm(0.0));
    Discipline::new(MonoTime::ZERO, overlay, Settings::default())
}

fn master(octet: u8) -> Option<Master> {
    let identity = [octet; 8];
    Some(Master { identity, steps_removed: 1, ptp_timescale: true, utc_offset_s: Some(37) })
}

fn drain(discipline: &mut Discipline, now: MonoTime) -> Vec<Deed> {
    std::iter::from_fn(|| discipline.poll(now)).collect()
}

/// Ten seconds of a perfect master at the end of 5 us.
fn follow(discipline: &mut Discipline, from: i64) -> i64 {
    discipline.handle(mono(from), News::Role(Role::Follower));
    discipline.handle(mono(from), News::Master(master(1)));
    for millis in (from..from + 10_000).step_by(125) {
        let (at, stamps) = (mono(millis), StampKind::Hardware);
        let (master, delay) = (EPOCH + (at - MonoTime::ZERO), Span::from_micros(5));
        discipline.handle(at, News::Sample(Sample { at, master, delay, stamps }));
        drain(discipline, at);
    }
    from + 10_000
}

#[test]
fn ca02_who_leads_and_never_followed_is_free_and_yet_vouches_for_its_time() {
    let mut discipline = new();
    discipline.handle(mono(0), News::Role(Role::Master));
    drain(&mut discipline, mono(0));
    assert_eq!(discipline.trust(mono(0)), (ClockState::Free, None));
    assert_eq!(discipline.vouched(mono(0)), Some(Span::ZERO));
}

#[test]
fn ca02_who_takes_over_from_its_master_holds_what_it_learnt() {
    let mut discipline = new();
    let end = follow(&mut discipline, 0);
    assert_eq!(discipline.trust(mono(end)).0, ClockState::Locked);
    discipline.handle(mono(end), News::Role(Role::Master));
    discipline.handle(mono(end), News::Master(None));
    drain(&mut discipline, mono(end));
    let (state, bound) = discipline.trust(mono(end + 60_000));
    assert_eq!(state, ClockState::Holdover);
    assert!(bound > discipline.trust(mono(end)).1, "it grows: {bound:?}");
    assert_eq!(discipline.vouched(mono(end + 60_000)), Some(Span::ZERO));
}

#[test]
fn ca02_the_glance_has_the_keys_that_watchers_read() {
    let mut discipline = new();
    let end = follow(&mut discipline, 0);
    let glance = serde_json::to_value(discipline.glance(mono(end))).expect("it has a JSON form");
    assert_eq!((&glance["state"], &glance["role"]), (&"locked".into(), &"follower".into()));
    assert_eq!(glance["master"]["identity"], "01:01:01:01:01:01:01:01");
    assert!(glance["error_bound_ns"].as_i64() >= Some(5_000), "asymmetry may hide that");
    assert_eq!(glance["path_delay_ns"].as_i64().map(|ns| ns / 1_000), Some(5));
    assert_eq!(glance["agreement"], "unknown");
    assert!(glance["history"].as_array().is_some_and(|it| it.len() >= 8));
    let free = serde_json::to_value(new().glance(mono(0))).expect("it has a JSON form");
    let unknown = ["error_bound_ns", "offset_ns", "path_delay_ns", "master", "stamps"];
    assert!(unknown.iter().all(|key| free[key].is_null()), "{free}");
}
