use proptest::prelude::*;
use wire::solusync::ClusterInfo;

use super::*;

const HOME: &str = "https://downbeat.local:8443/";

fn at(ms: i64) -> MonoTime {
    MonoTime::from_ns(ms * 1_000_000)
}

fn node(number: u8) -> Uuid {
    Uuid::from_u128(number.into())
}

fn told(number: u8) -> BoxAt {
    let url = |scheme: &str| format!("{scheme}://10.0.0.{number}/");
    let (url, secure_url) = (url("http"), Some(url("https")));
    BoxAt { node_id: node(number), name: "box".into(), url, secure_url }
}

/// What a box says that is a replica unless it names itself.
fn standing(of: u8, driver: u8, boxes: Vec<BoxAt>) -> Standing {
    let node_type = if of == driver { NodeType::Master } else { NodeType::Replica };
    let cluster_info = ClusterInfo { master_id: node(driver), replica_ids: Vec::new(), boxes };
    Standing { node_type, cluster_info }
}

struct Phone {
    boxes: Boxes,
    chance: Chance,
}

impl Phone {
    fn at(url: &str) -> Self {
        Self { boxes: Boxes::new(url), chance: Chance::new(1) }
    }

    /// One that box 1 has told of two more.
    fn told() -> Self {
        let mut phone = Self::at(HOME);
        assert_eq!(phone.hear(0, 1, 1), Course::Stay);
        phone
    }

    /// The box with which it is says which one drives, of three.
    fn hear(&mut self, ms: i64, from: u8, driver: u8) -> Course {
        let standing = standing(from, driver, [1, 2, 3].map(told).to_vec());
        self.boxes.handle_standing(at(ms), node(from), standing, &mut self.chance)
    }

    /// Where it knocks next, and whether at once.
    fn close(&mut self, ms: i64) -> (Knock, String) {
        let knock = self.boxes.handle_closed(at(ms));
        (knock, self.boxes.url().to_owned())
    }
}

fn place(number: u8) -> String {
    told(number).secure_url.expect("it has one")
}

#[test]
fn a_phone_knocks_at_its_own_box_first_then_at_each_other_at_once_and_waits_between_rounds() {
    let mut phone = Phone::told();
    for round in 0..3 {
        let short = phone.boxes.opening();
        assert_eq!(phone.close(100), (Knock::Later, HOME.into()));
        assert_eq!(phone.close(200), (Knock::AtOnce, place(2)));
        assert_eq!(phone.close(300), (Knock::AtOnce, place(3)));
        assert_eq!(short, OPENING.times(1 + (round - 1).max(0)), "a round's patience");
    }
}

#[test]
fn a_phone_that_knows_one_box_alone_waits_as_ever() {
    let mut phone = Phone::at("");
    let standing = standing(1, 1, Vec::new());
    phone.boxes.handle_standing(at(0), node(1), standing, &mut phone.chance);
    assert_eq!(phone.close(1), (Knock::Later, String::new()));
    assert_eq!(phone.close(2), (Knock::Later, String::new()));
    assert_eq!(phone.boxes.opening(), OPENING_MAX);
}

#[test]
fn a_page_over_tls_goes_over_tls_alone_and_a_plain_one_plain() {
    let mut phone = Phone::at(HOME);
    let plain = BoxAt { secure_url: None, ..told(2) };
    let other = BoxAt { secure_url: Some("http://10.0.0.3/".into()), ..told(3) };
    let standing = |boxes| standing(1, 1, boxes);
    let both = standing(vec![told(1), plain.clone(), other.clone()]);
    phone.boxes.handle_standing(at(0), node(1), both.clone(), &mut phone.chance);
    assert_eq!(phone.boxes.places.len(), 1, "{:?}", phone.boxes.places);
    let mut phone = Phone::at("http://10.0.0.1/");
    phone.boxes.handle_standing(at(0), node(1), both, &mut phone.chance);
    assert_eq!(phone.close(1), (Knock::Later, "http://10.0.0.1/".into()));
    assert_eq!(phone.close(2), (Knock::AtOnce, plain.url));
    assert_eq!(phone.close(3), (Knock::AtOnce, other.url));
}

#[test]
fn where_the_page_came_from_is_knocked_at_even_if_nobody_names_it_any_more() {
    let mut phone = Phone::told();
    phone.close(1);
    phone.close(2);
    let alone = standing(2, 2, vec![told(2)]);
    phone.boxes.handle_standing(at(3), node(2), alone, &mut phone.chance);
    assert_eq!(phone.close(4), (Knock::Later, place(2)));
    assert_eq!(phone.close(5), (Knock::AtOnce, HOME.into()));
    assert_eq!(phone.close(6), (Knock::Later, place(2)));
}

#[test]
fn a_box_that_has_just_not_opened_is_not_gone_to_because_another_says_so() {
    let mut phone = Phone::told();
    phone.close(0);
    phone.close(100);
    assert_eq!(phone.boxes.url(), place(2));
    assert_eq!(phone.hear(200, 2, 1), Course::Stay);
    assert!(!phone.boxes.is_with_driver());
    let again = phone.boxes.next_wake().expect("it tries again");
    assert!((5_200..=10_200).contains(&(again.ns() / 1_000_000)), "{again:?}");
    assert_eq!(phone.boxes.poll(again, &mut phone.chance), Course::Go);
    assert_eq!(phone.boxes.url(), HOME);
}

proptest! {
    /// Whatever boxes say of each other.
    #[test]
    fn sx03_no_phone_is_sent_to_and_fro(words in prop::collection::vec((1_u8..=3, 1_u8..=3, 0_i64..2_000), 1..200)) {
        let mut phone = Phone::told();
        let (mut now, mut hops) = (0, 0);
        for (from, driver, later) in words {
            now += later;
            if phone.boxes.poll(at(now), &mut phone.chance) == Course::Go {
                hops += 1;
            }
            if phone.hear(now, from, driver) == Course::Go {
                hops += 1;
            }
        }
        // Two on end, and then each time that ten seconds with a driver, or five of waiting, went by.
        prop_assert!(hops <= 4 + 4 * (now / 5_000), "{hops} in {now} ms");
    }

    #[test]
    fn sx03_wherever_it_is_it_knocks_at_a_place_that_it_knows(words in prop::collection::vec((0_u8..5, 1_u8..5, 0_u8..5), 1..100)) {
        let mut phone = Phone::at(HOME);
        for (k, (from, driver, many)) in words.into_iter().enumerate() {
            if from == 0 {
                phone.boxes.handle_closed(at(k as i64));
            } else {
                let standing = standing(from, driver, (1..=many).map(told).collect());
                phone.boxes.handle_standing(at(k as i64), node(from), standing, &mut phone.chance);
            }
            let urls: Vec<&str> = phone.boxes.places.iter().map(|it| it.url.as_str()).collect();
            prop_assert!(urls.contains(&HOME), "{urls:?}");
            prop_assert!(phone.boxes.url().starts_with("https://"));
        }
    }
}
