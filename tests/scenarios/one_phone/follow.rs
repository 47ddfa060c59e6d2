//! Stories of a phone whose box dies: it knows the others, goes to one of them, and plays on meanwhile.

use sim::Dead;

use super::*;

const STAGE: &str = "http://10.0.0.5:8080/";
const BOOTH: &str = "http://10.0.0.6:8080/";
/// Between the boxes of these stories nothing is further than this.
const WITHIN_S: f64 = 3.0;

fn node(url: &str) -> String {
    let number = if url == STAGE { 0x51 } else { 0xb0 };
    uuid(number)
}

/// What a box says of itself where this one drives.
fn standing(of: &str, driver: &str) -> Value {
    let other = if driver == STAGE { BOOTH } else { STAGE };
    let boxes = [driver, other].map(|url| json!({"node_id": node(url), "name": "box", "url": url}));
    json!({
        "node_type": if of == driver { "master" } else { "replica" },
        "cluster_info": {"master_id": node(driver), "replica_ids": [node(other)], "boxes": boxes},
    })
}

impl StubBox {
    /// A phone that came to the stage's box and is in step; the booth's stands by.
    fn between_two() -> Self {
        Self::between_two_with(None)
    }

    /// One that was opened with a token.
    fn between_two_with(token: Option<&'static str>) -> Self {
        let mut page = Self::of(PhoneSpec { url: STAGE, token, ..PhoneSpec::default() });
        page.stand(STAGE);
        page.run(0.1);
        page.tap();
        page.run(12.0);
        assert!(matches!(page.state(), State::InStep { .. }), "{:?}", page.state());
        assert_eq!(page.phone.knocked(), STAGE);
        page
    }

    /// There are two boxes, of which this one drives.
    fn stand(&mut self, driver: &str) {
        for url in [STAGE, BOOTH] {
            let one = One { node: node(url), standing: standing(url, driver), ahead: 0.0 };
            self.boxes.insert(url, one);
        }
    }

    /// From now on this box says that one drives.
    fn name_driver(&mut self, url: &'static str, driver: &str) {
        self.boxes.get_mut(url).expect("a box").standing = standing(url, driver);
    }

    /// The stage's process dies, and the booth takes over.
    fn kill_stage(&mut self) {
        self.phone.set_dead(STAGE, Some(Dead::Process));
        self.phone.dismiss(self.now);
        self.name_driver(BOOTH, BOOTH);
    }

    /// The stage's box has no power any more, and nobody says so.
    fn cut_stage(&mut self) {
        self.phone.set_dead(STAGE, Some(Dead::Machine));
        self.deaf = Some(STAGE);
    }

    /// Seconds until the phone has said hello to this box; it has to be within so many.
    fn seconds_to(&mut self, url: &str, within: f64) -> f64 {
        let (from, hellos) = (self.now, self.said("hello").len());
        let there = |page: &Self| page.phone.knocked() == url && page.said("hello").len() > hellos;
        while !there(self) && (self.now - from).secs_f64() < within {
            self.run(0.02);
        }
        assert!(there(self), "not at {url} within {within} s but {}", self.phone.knocked());
        (self.now - from).secs_f64()
    }
}

#[test]
fn sx03_a_box_dies_mid_track_and_its_phone_is_with_the_other_within_a_second_and_nothing_is_cut() {
    let mut page = StubBox::between_two();
    let start = page.order_play(0.4, json!({"loop_count": 0}));
    page.run(5.0);
    page.kill_stage();
    assert!(page.seconds_to(BOOTH, WITHIN_S) < 1.0);
    assert!(page.worst_ms(start, 30.0) < 1.0);
    assert!(matches!(page.state(), State::InStep { .. }), "{:?}", page.state());
    assert_eq!(page.segments(), 1, "the same source sounds all the while");
    let names: Vec<_> =
        page.said("hello").iter().map(|it| it["header"]["node_id"].clone()).collect();
    assert_eq!(names, vec![names[0].clone(); 2], "it keeps its id");
    page.order("stop", 0.5, json!({}));
    page.run(1.0);
    assert!(page.heard().is_empty(), "the other box's orders are heard");
}

#[test]
fn sx16_a_token_that_another_box_does_not_know_is_shown_again_to_the_one_that_does() {
    let token = "of.the.stage";
    let mut page = StubBox::between_two_with(Some(token));
    page.refuses_tokens = Some(BOOTH);
    page.kill_stage();
    page.seconds_to(BOOTH, WITHIN_S);
    page.run(12.0);
    page.phone.set_dead(STAGE, None);
    [STAGE, BOOTH].into_iter().for_each(|url| page.name_driver(url, STAGE));
    let mut said = standing(BOOTH, STAGE);
    said["type"] = json!("standing");
    page.say(said);
    page.seconds_to(STAGE, WITHIN_S);
    page.run(1.0);
    let shown: Vec<_> = page.said("hello").iter().map(|it| it.get("auth_token").cloned()).collect();
    let it = Some(json!(token));
    assert_eq!(shown, [it.clone(), it.clone(), None, None, it], "no box is asked twice");
    assert!(matches!(page.state(), State::InStep { .. }), "{:?}", page.state());
}

#[test]
fn sx03_a_page_that_knows_of_another_box_fetches_its_own_files_before_it_wants_them() {
    let stocks =
        |page: &StubBox| page.phone.acts().iter().filter(|act| **act == Act::Stock).count();
    let mut alone = StubBox::of(PhoneSpec { url: STAGE, ..PhoneSpec::default() });
    alone.phone.keep_acts();
    alone.run(30.0);
    assert_eq!(stocks(&alone), 0);
    let mut page = StubBox::between_two();
    page.phone.keep_acts();
    page.kill_stage();
    page.run(30.0);
    assert_eq!(stocks(&page), 0, "it had done so");
    let mut page =
        StubBox::of(PhoneSpec { url: STAGE, load: Span::from_secs(12), ..PhoneSpec::default() });
    page.phone.keep_acts();
    page.stand(STAGE);
    page.run(11.0);
    assert_eq!(stocks(&page), 0, "tracks come first");
    page.run(20.0);
    assert_eq!(stocks(&page), 1);
}

#[test]
fn sx03_a_machine_that_is_gone_without_a_word_costs_its_phone_two_seconds_once_it_is_missed() {
    let mut page = StubBox::between_two();
    let start = page.order_play(0.4, json!({"loop_count": 0}));
    page.run(5.0);
    page.phone.set_dead(STAGE, Some(Dead::Machine));
    page.name_driver(BOOTH, BOOTH);
    page.phone.hang_up(page.now);
    assert!(page.seconds_to(BOOTH, WITHIN_S) > 2.0, "so long a bad Wi-Fi may take");
    assert!(page.worst_ms(start, 20.0) < 1.0);
    assert_eq!(page.segments(), 1);
}

#[test]
fn sx03_a_machine_without_power_is_missed_within_seven_seconds_and_its_phone_is_with_the_other_at_once()
 {
    let mut page = StubBox::between_two();
    let start = page.order_play(0.4, json!({"loop_count": 0}));
    page.run(5.0);
    page.cut_stage();
    page.name_driver(BOOTH, BOOTH);
    assert!(page.seconds_to(BOOTH, 10.0) < 7.5, "silent for seven seconds");
    assert!(page.worst_ms(start, 20.0) < 1.0);
    assert_eq!(page.segments(), 1);
}

#[test]
fn sx03_a_phone_that_missed_a_box_that_lives_asks_the_other_one_and_is_back_as_soon_as_it_can() {
    let mut page = StubBox::between_two();
    let start = page.order_play(0.4, json!({"loop_count": 0}));
    page.run(5.0);
    // The way to it is bad for a while.
    page.deaf = Some(STAGE);
    while page.said("hello").len() < 2 {
        page.run(0.001);
    }
    page.deaf = None;
    page.run(1.0);
    let asked = page.said("hello").len();
    assert_eq!((asked, page.phone.knocked()), (3, STAGE), "the other one sends it back");
    assert!(page.worst_ms(start, 20.0) < 1.0);
    assert_eq!(page.segments(), 1);
}

#[test]
fn sx03_boxes_whose_clocks_differ_hand_over_a_phone_that_is_back_in_step_within_seconds() {
    for ahead_ms in [0.2, 4.0, -15.0, 70.0, -70.0] {
        let mut page = StubBox::between_two();
        let start = page.order_play(0.4, json!({"loop_count": 0}));
        page.run(5.0);
        page.boxes.get_mut(BOOTH).expect("a box").ahead = ahead_ms / 1e3;
        page.kill_stage();
        page.seconds_to(BOOTH, WITHIN_S);
        page.run(12.0);
        assert!(page.worst_ms(start, 10.0) < 1.0, "{ahead_ms} ms ahead");
        assert!(!page.heard().is_empty());
        assert!(page.phone.bend() < 0.003_001, "{ahead_ms} ms: {}", page.phone.bend());
    }
}

#[test]
fn sx03_a_box_that_stands_by_sends_a_phone_on_to_the_one_that_drives() {
    let mut page = StubBox::between_two();
    let start = page.order_play(0.4, json!({"loop_count": 0}));
    page.run(5.0);
    // It came back, as one that stands by, and says so to those who are there.
    [STAGE, BOOTH].into_iter().for_each(|url| page.name_driver(url, BOOTH));
    let mut said = standing(STAGE, BOOTH);
    said["type"] = json!("standing");
    page.say(said);
    assert!(page.seconds_to(BOOTH, WITHIN_S) < 0.2);
    assert!(page.worst_ms(start, 20.0) < 1.0);
    assert_eq!(page.segments(), 1);
}

#[test]
fn sx03_a_box_that_stands_by_does_not_silence_what_it_does_not_name_and_once_it_drives_it_is_asked()
{
    let mut page = StubBox::between_two();
    let start = page.order_play(0.4, json!({"loop_count": 0}));
    page.run(5.0);
    let plays = std::mem::take(&mut page.plays_now);
    page.kill_stage();
    page.name_driver(BOOTH, STAGE);
    page.seconds_to(BOOTH, WITHIN_S);
    assert!(page.worst_ms(start, 8.0) < 1.0, "it plays on");
    let hellos = page.said("hello").len();
    (page.plays_now, _) = (plays, page.name_driver(BOOTH, BOOTH));
    let mut said = standing(BOOTH, BOOTH);
    said["type"] = json!("standing");
    page.say(said);
    assert!(page.worst_ms(start, 8.0) < 1.0);
    assert_eq!(page.said("hello").len(), hellos + 1, "what plays is told after it");
    assert_eq!(page.segments(), 1);
}

#[test]
fn sx03_two_boxes_that_each_name_the_other_do_not_have_a_phone_run_to_and_fro() {
    let mut page = StubBox::between_two();
    let start = page.order_play(0.4, json!({"loop_count": 0}));
    page.run(15.0);
    page.name_driver(STAGE, BOOTH);
    page.name_driver(BOOTH, STAGE);
    let before = page.said("hello").len();
    page.phone.hang_up(page.now);
    assert!(page.worst_ms(start, 120.0) < 1.0);
    let hellos = page.said("hello").len() - before;
    assert!((2..=12).contains(&hellos), "{hellos} in two minutes");
    page.name_driver(STAGE, STAGE);
    page.run(90.0);
    assert_eq!(page.phone.knocked(), STAGE, "and it goes where it is sent as soon as that holds");
}

#[test]
fn sx03_a_driver_that_cannot_be_reached_has_the_phone_back_where_it_was_sent_from() {
    let mut page = StubBox::between_two();
    let start = page.order_play(0.4, json!({"loop_count": 0}));
    page.run(15.0);
    page.name_driver(STAGE, BOOTH);
    page.phone.set_dead(BOOTH, Some(Dead::Machine));
    let mut said = standing(STAGE, BOOTH);
    said["type"] = json!("standing");
    page.say(said);
    page.run(1.0);
    assert_eq!(page.phone.knocked(), BOOTH);
    assert!(page.seconds_to(STAGE, 6.0) > 2.0);
    assert!(page.worst_ms(start, 3.0) < 1.0);
    page.phone.set_dead(BOOTH, None);
    page.name_driver(BOOTH, BOOTH);
    page.seconds_to(BOOTH, 25.0);
    assert!(page.worst_ms(start, 10.0) < 1.0);
    assert_eq!(page.segments(), 1);
}

#[test]
fn sx03_phones_knock_in_rounds_while_no_box_is_there_and_find_the_first_that_comes_back() {
    let mut page = StubBox::between_two();
    let start = page.order_play(0.4, json!({"loop_count": 0}));
    page.run(5.0);
    page.phone.set_dead(BOOTH, Some(Dead::Machine));
    page.kill_stage();
    assert!(page.worst_ms(start, 60.0) < 2.0);
    assert!(matches!(page.state(), State::OnOwnClock { .. }), "{:?}", page.state());
    page.phone.set_dead(BOOTH, None);
    page.seconds_to(BOOTH, 20.0);
    assert!(page.worst_ms(start, 10.0) < 2.0);
    assert_eq!(page.segments(), 1);
}
