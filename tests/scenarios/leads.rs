//! Leads by prediction (SX-20): how far ahead phones get their orders, in houses of several kinds.

use sim::{Crowd, PhoneSpec, Wifi, World, WorldSpec};
use units::{CueNumber, Span};

use crate::stage::show;

const CUES: &str = r#"
[[list.cue]]
number = 1
phones = { track = "track_001" }
"#;
/// Cues come this often.
const EVERY: Span = Span::from_secs(7);
const MINUTE: Span = Span::from_secs(60);
/// Until enough has been heard for one in a thousand, and the lead has come to where it stays.
const LEARNING: Span = Span::from_secs(600);

fn ms(ms: i64) -> Span {
    Span::from_millis(ms)
}

fn cue() -> CueNumber {
    "1".parse().expect("a number")
}

fn crowd(seed: u64, ways: impl IntoIterator<Item = Wifi>) -> Crowd {
    Crowd::new(show(CUES), seed, ways)
}

/// The share that came too late in an hour after learning, by the truth.
fn late_in_an_hour(crowd: &mut Crowd) -> f64 {
    crowd.run(LEARNING, cue(), EVERY);
    crowd.take_truth();
    crowd.run(MINUTE.times(60), cue(), EVERY);
    let truth = crowd.take_truth();
    truth.late as f64 / truth.reached as f64
}

#[test]
fn sx20_in_a_good_house_leads_shrink_and_all_but_one_in_a_thousand_are_reached() {
    let mut good = crowd(3, [Wifi::QUIET; 120]);
    assert_eq!(good.lead(), ms(400));
    let late = late_in_an_hour(&mut good);
    println!("good: {} ahead, {:.4} % late", good.lead(), late * 100.0);
    assert!(good.lead() <= ms(150), "{}", good.lead());
    assert!(late < 0.001, "{late}");
}

/// One to seven phones of a kind, three hours each: how far ahead their orders are in the end, and the share of all
/// orders that came too late, from the first one on.
fn a_few(seed: u64, way: impl Fn(usize) -> Wifi) -> (Vec<Span>, f64) {
    let (mut leads, mut late, mut reached) = (Vec::new(), 0, 0);
    for phones in 1..=7 {
        let mut few = crowd(seed + phones as u64, (0..phones).map(&way));
        few.run(MINUTE.times(180), cue(), EVERY);
        let truth = few.take_truth();
        println!(
            "{phones} of a few: {} ahead, {} of {} late",
            few.lead(),
            truth.late,
            truth.reached
        );
        leads.push(few.lead());
        (late, reached) = (late + truth.late, reached + truth.reached);
    }
    (leads, late as f64 / reached as f64)
}

#[test]
fn sx20_a_few_phones_in_a_good_house_come_to_a_short_lead_and_all_but_one_in_a_thousand_are_reached()
 {
    let (leads, late) = a_few(30, |_| Wifi::QUIET);
    assert!(leads[0] < ms(250) && leads[6] <= ms(160), "{leads:?}");
    assert!(late < 0.001, "{late}");
}

#[test]
fn sx20_a_few_phones_in_a_bad_house_are_reached_like_a_crowd() {
    let (leads, late) = a_few(40, |_| Wifi::CROWDED);
    assert!(leads.iter().all(|lead| *lead > ms(250)), "{leads:?}");
    assert!(late < 0.001, "{late}");
    let (leads, late) = a_few(50, |k| if k == 0 { FAR } else { Wifi::QUIET });
    assert!(leads.iter().all(|lead| *lead >= ms(400)), "{leads:?}");
    assert!(late < 0.001, "{late}");
}

#[test]
fn sx20_on_bad_wifi_all_but_one_in_a_thousand_are_reached_and_what_is_late_is_counted() {
    let mut bad = crowd(4, [Wifi::CROWDED; 120]);
    let late = late_in_an_hour(&mut bad);
    println!("bad: {} ahead, {:.4} % late", bad.lead(), late * 100.0);
    assert!(bad.lead() > ms(250), "a word that was lost is 200 ms late: {}", bad.lead());
    assert!(late < 0.001, "{late}");
    let told = bad.told();
    assert!(told.late > 0 && told.late < told.reached / 1_000 * 2, "{told:?}");
}

/// On the edge of the hall, behind two walls.
const FAR: Wifi =
    Wifi { way: Span::from_millis(300), jitter: Span::from_millis(20), ..Wifi::CROWDED };

#[test]
fn sx20_a_slow_few_are_waited_for_as_far_as_all_but_one_in_a_thousand_need() {
    let slow_few = |k: usize| if k.is_multiple_of(40) { FAR } else { Wifi::QUIET };
    let mut few = crowd(5, (0..120).map(slow_few));
    let late = late_in_an_hour(&mut few);
    println!("a slow few: {} ahead, {:.4} % late", few.lead(), late * 100.0);
    assert!(few.lead() > ms(450), "{}", few.lead());
    assert!(late < 0.001, "{late}");
}

#[test]
fn sx20_a_house_that_gets_worse_is_waited_for_within_a_minute_and_one_that_gets_better_slowly() {
    let mut house = crowd(6, [Wifi::QUIET; 120]);
    house.run(LEARNING, cue(), EVERY);
    let before = house.lead();
    (0..120).for_each(|guest| house.roam(guest, FAR));
    house.run(MINUTE, cue(), EVERY);
    let worse = house.lead();
    assert!(worse >= ms(530), "{worse} after a minute");
    (0..120).for_each(|guest| house.roam(guest, Wifi::QUIET));
    house.run(MINUTE, cue(), EVERY);
    assert!(house.lead() >= worse - ms(120), "{} a minute later", house.lead());
    house.run(MINUTE.times(150), cue(), MINUTE);
    assert_eq!(house.lead(), before, "in the end it is as it was");
}

#[test]
fn sx20_pages_tell_how_the_box_s_words_come_and_the_lead_follows() {
    let mut world = World::new(show(CUES), WorldSpec::default());
    for seed in 0..60 {
        world.enter(PhoneSpec { seed, ..PhoneSpec::default() });
    }
    world.run(Span::from_secs(240));
    let status = world.phone_status(7).expect("it has spoken");
    let (took, need) = (status.delivery_ms.expect("told"), status.need_ms.expect("it sounds"));
    assert!((0.5..20.0).contains(&took), "{took}: the way is 1 ms and a little");
    assert!((60.0..150.0).contains(&need), "{need}: the page's own, and its card's");
    world.go().expect("done");
    world.run(Span::from_secs(5));
    let delivery = world.glance().delivery;
    assert!(delivery.lead < ms(400), "{delivery:?}");
    assert_eq!((delivery.account.reached, delivery.account.late), (60, 0), "{delivery:?}");
}
