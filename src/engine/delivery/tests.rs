use super::*;
use wire::output::{OutputSource, SyncErrors};
use wire::solusync::NodeType;

fn at(ms: i64) -> ShowTime {
    ShowTime::from_ns(1_790_000_000_000_000_000) + Span::from_millis(ms)
}

fn ms(ms: i64) -> Span {
    Span::from_millis(ms)
}

/// A phone whose clock is known within a millisecond.
fn status(delivery_ms: Option<f64>) -> NodeStatus {
    let sync = SyncErrors {
        clock_ms: Some(1.0),
        output_ms: None,
        output_source: OutputSource::Unknown,
        acoustic_ms: None,
        delay_ms: 0.0,
        nudge_ms: 0.0,
    };
    NodeStatus { delivery_ms, sync: Some(sync), ..NodeStatus::of(NodeType::Client) }
}

/// Every phone of a house says the same every five seconds, for so long.
fn house(delivery: &mut Delivery, from_s: i64, secs: i64, phones: u64, took: impl Fn(u64) -> f64) {
    for second in (from_s..from_s + secs).step_by(5) {
        for phone in 0..phones {
            let now = at(second * 1_000 + phone as i64 % 5_000);
            delivery.handle_status(now, PhoneId(phone), &status(Some(took(phone))));
        }
    }
}

fn arrival(order: u128, arrived: ShowTime) -> Arrival {
    let (message, doubt) = (Uuid::from_u128(order), Some(Span::from_micros(500)));
    Arrival { message, arrived: Some(arrived), doubt, source: PlayedSource::Screen }
}

#[test]
fn sx20_what_nobody_has_told_is_unknown_and_the_lead_stays_where_it_begins() {
    let mut delivery = Delivery::new(at(0));
    assert_eq!(delivery.lead(), UNTOLD);
    let silent = status(None);
    let doubtful = NodeStatus { sync: None, ..status(Some(1.0)) };
    for second in 0..600 {
        delivery.handle_status(at(second * 1_000), PhoneId(1), &silent);
        delivery.handle_status(at(second * 1_000), PhoneId(2), &doubtful);
    }
    assert_eq!((delivery.lead(), delivery.glance(None).words), (UNTOLD, 0.0));
    assert_eq!(delivery.phones()[&PhoneId(1)].p99_ms, None);
}

#[test]
fn sx20_a_few_words_never_bring_a_lead_down_and_many_do_slowly() {
    let mut delivery = Delivery::new(at(0));
    house(&mut delivery, 0, 60, 200, |_| 60.0);
    let soon = delivery.lead();
    assert!(soon < UNTOLD && soon > ms(250), "{soon}: it comes down by 2 ms a second");
    house(&mut delivery, 60, 500, 200, |_| 60.0);
    assert_eq!(delivery.lead(), FLOOR);
}

/// Minutes until a few phones, whose words take 40 ms, have brought the lead down to that.
fn minutes_until(lead: Span, phones: u64) -> usize {
    let mut delivery = Delivery::new(at(0));
    let is_higher = |minute: &i64| {
        house(&mut delivery, 60 * minute, 60, phones, |_| 40.0);
        delivery.lead() > lead
    };
    (0..600).take_while(is_higher).count()
}

#[test]
fn sx20_the_fewer_phones_the_longer_until_a_lead_comes_down_and_a_single_one_is_enough() {
    let begins = [1, 2, 4, 7].map(|phones| minutes_until(UNTOLD - ms(1), phones));
    assert_eq!(begins, [37, 16, 8, 4]);
    let is_low = [1, 2, 4, 7].map(|phones| minutes_until(ms(150), phones));
    assert_eq!(is_low, [56, 23, 10, 6], "three times the longest word");
}

#[test]
fn sx20_what_few_phones_said_is_forgotten_overnight() {
    let mut delivery = Delivery::new(at(0));
    house(&mut delivery, 0, 7_200, 3, |_| 20.0);
    assert_eq!(delivery.lead(), FLOOR);
    house(&mut delivery, 86_400, 300, 3, |_| 20.0);
    assert_eq!(delivery.lead(), UNTOLD);
}

#[test]
fn sx20_one_in_a_hundred_that_is_slow_puts_the_lead_up_within_a_minute() {
    let mut delivery = Delivery::new(at(0));
    house(&mut delivery, 0, 900, 100, |_| 60.0);
    assert_eq!(delivery.lead(), FLOOR);
    house(&mut delivery, 900, 60, 100, |phone| if phone == 7 { 700.0 } else { 60.0 });
    assert_eq!(delivery.lead(), ms(760), "the edge above 701 ms, and the margin");
    house(&mut delivery, 960, 240, 100, |_| 60.0);
    assert!(delivery.lead() > ms(500), "what was is not forgotten in four minutes");
}

#[test]
fn sx20_who_cannot_be_reached_within_the_ceiling_holds_nobody_up() {
    let mut delivery = Delivery::new(at(0));
    house(&mut delivery, 0, 900, 100, |phone| if phone < 3 { 4_000.0 } else { 60.0 });
    assert_eq!(delivery.lead(), FLOOR);
    assert_eq!(delivery.phones()[&PhoneId(0)].p50_ms, Some(5_000.0));
    let mut delivery = Delivery::new(at(0));
    house(&mut delivery, 0, 900, 100, |phone| if phone < 3 { 900.0 } else { 60.0 });
    assert_eq!(delivery.lead(), CEILING);
}

#[test]
fn sx20_a_phone_that_shouts_weighs_no_more_than_another() {
    let mut delivery = Delivery::new(at(0));
    for ms in 0..30_000 {
        delivery.handle_status(at(ms), PhoneId(1), &status(Some(900.0)));
    }
    assert_eq!(delivery.glance(None).words, 8.0);
}

#[test]
fn sx20_one_who_leaves_and_comes_again_and_again_is_still_of_the_house() {
    let mut delivery = Delivery::new(at(0));
    house(&mut delivery, 0, 600, 100, |_| 60.0);
    for round in 0..20 {
        let phone = PhoneId(1_000 + round);
        delivery.handle_status(at(600_000 + 1_000 * round as i64), phone, &status(Some(300.0)));
        delivery.handle_left(at(600_500 + 1_000 * round as i64), phone);
    }
    house(&mut delivery, 620, 10, 100, |_| 60.0);
    assert_eq!(delivery.lead(), ms(320));
}

/// Minutes until the lead is what the others need, once some that said for ten minutes that they take 900 ms have gone.
fn minutes_held_up(phones: u64, liars: u64) -> i64 {
    let mut delivery = Delivery::new(at(0));
    house(&mut delivery, 0, 3_600, phones, |_| 60.0);
    house(&mut delivery, 3_600, 600, phones + liars, |it| if it < phones { 60.0 } else { 900.0 });
    assert!(delivery.lead() > ms(900), "while they are here nobody can know better");
    let left = at(4_200_000);
    (phones..phones + liars).for_each(|liar| delivery.handle_left(left, PhoneId(liar)));
    let is_held_up = |minute: &i64| {
        house(&mut delivery, 4_200 + 60 * minute, 60, phones, |_| 60.0);
        delivery.lead() > FLOOR
    };
    (0..600).take_while(is_held_up).count() as i64
}

#[test]
fn sx20_who_held_the_lead_up_and_has_gone_is_forgotten_in_minutes_where_others_stay() {
    let of_one = [100, 50, 12].map(|phones| minutes_held_up(phones, 1));
    assert_eq!(of_one, [15, 18, 23], "seven of them the lead comes down");
    let of_ten = [100, 50, 12].map(|phones| minutes_held_up(phones, 10));
    assert_eq!(of_ten, [23, 26, 30]);
}

#[test]
fn sx20_one_who_comes_for_a_third_of_each_minute_is_waited_for() {
    let mut delivery = Delivery::new(at(0));
    house(&mut delivery, 0, 3_600, 100, |_| 60.0);
    for round in 0..30 {
        let (begin, phone) = (3_600 + 60 * round, PhoneId(1_000 + round as u64));
        for second in (begin..begin + 60).step_by(5) {
            house(&mut delivery, second, 5, 100, |_| 60.0);
            match second - begin {
                10..30 => {
                    let now = at(1_000 * second + 4_999);
                    delivery.handle_status(now, phone, &status(Some(300.0)));
                }
                30 => delivery.handle_left(at(1_000 * second + 4_999), phone),
                _ => {}
            }
        }
        assert!(round < 5 || delivery.lead() >= ms(310), "{} in round {round}", delivery.lead());
    }
}

#[test]
fn sx20_a_house_that_has_gone_out_for_a_while_is_known_when_it_comes_back() {
    let mut delivery = Delivery::new(at(0));
    let took = |it: u64| if it == 7 { 300.0 } else { 60.0 };
    house(&mut delivery, 0, 3_600, 100, took);
    assert_eq!(delivery.lead(), ms(320));
    (0..100).for_each(|it| delivery.handle_left(at(3_600_000), PhoneId(it)));
    house(&mut delivery, 4_800, 60, 3, |_| 60.0);
    assert_eq!(delivery.lead(), ms(320), "of those who came back first none is slow");
    house(&mut delivery, 4_860, 600, 100, took);
    assert_eq!(delivery.lead(), ms(320));
}

#[test]
fn sx20_an_order_that_came_too_late_is_counted_once_by_what_its_sound_needs() {
    let mut delivery = Delivery::new(at(0));
    delivery.handle_told(Uuid::from_u128(1), at(0), at(100));
    let needs = NodeStatus { need_ms: Some(80.0), ..status(None) };
    delivery.handle_status(at(0), PhoneId(1), &needs);
    let sound = Arrival { source: PlayedSource::AudioClock, ..arrival(1, at(30)) };
    assert_eq!(delivery.handle_arrival(at(110), PhoneId(1), &sound), Some(true));
    assert_eq!(delivery.handle_arrival(at(110), PhoneId(2), &arrival(1, at(30))), Some(false));
    assert_eq!(delivery.handle_arrival(at(210), PhoneId(3), &arrival(1, at(101))), Some(true));
    assert_eq!(delivery.glance(None).account, Account { reached: 3, late: 2 });
    assert_eq!(delivery.phones()[&PhoneId(2)].account, Account { reached: 1, late: 0 });
}

#[test]
fn sx20_times_that_cannot_be_say_nothing() {
    let mut delivery = Delivery::new(at(0));
    delivery.handle_told(Uuid::from_u128(1), at(1_000), at(1_400));
    let impossible = [at(900), at(2_100), ShowTime::from_ns(i64::MAX), ShowTime::from_ns(i64::MIN)];
    for arrived in impossible {
        assert_eq!(delivery.handle_arrival(at(2_000), PhoneId(1), &arrival(1, arrived)), None);
    }
    let stranger = arrival(2, at(1_100));
    assert_eq!(delivery.handle_arrival(at(2_000), PhoneId(1), &stranger), None);
    let unsure = Arrival { doubt: Some(ms(101)), ..arrival(1, at(1_100)) };
    assert_eq!(delivery.handle_arrival(at(2_000), PhoneId(1), &unsure), None);
    let mute = Arrival { arrived: None, ..arrival(1, at(1_100)) };
    assert_eq!(delivery.handle_arrival(at(2_000), PhoneId(1), &mute), None);
    for wild in [f64::NAN, f64::INFINITY, -1.0, 1e300] {
        delivery.handle_status(
            at(2_000),
            PhoneId(1),
            &NodeStatus { need_ms: Some(wild), ..status(Some(wild)) },
        );
    }
    assert_eq!(delivery.glance(None).words, 0.0);
    assert_eq!(delivery.glance(None).account, Account::default());
}

#[test]
fn sx20_orders_that_nobody_reports_any_more_are_forgotten() {
    let mut delivery = Delivery::new(at(0));
    for order in 0..100_000_u128 {
        delivery.handle_told(Uuid::from_u128(order), at(order as i64), at(order as i64 + 400));
    }
    assert_eq!(delivery.told.len(), REMEMBERED_MAX);
    delivery.handle_told(Uuid::from_u128(7), at(200_000), at(200_400));
    assert_eq!(delivery.told.len(), 1);
}
