//! Stories of one phone in a hall: a stub box at the other end of its socket, everything between them simulated.

mod follow;

use std::collections::BTreeMap;
use std::sync::Arc;

use phone::{Act, Core, Doing, Event, OutputStamp, Role, Start, State, Turn};
use proptest::prelude::*;
use serde_json::{Value, json};
use sim::{FromPhone, PhoneSpec, SimPhone, Wifi};
use units::{MonoTime, ShowTime, Span, TrackId};
use wire::solusync::RefusalCode;

/// Box time when the phone's page opens, UNIX seconds.
const EPOCH: f64 = 1_790_000_000.0;
const TRACK_SECS: f64 = 30.0;

/// A phone, and a box that says what the story wants.
pub struct StubBox {
    pub phone: SimPhone,
    opened: ShowTime,
    now: ShowTime,
    /// How far the box's clock has been moved since the story began, seconds.
    pub box_ahead: f64,
    open: bool,
    said: Vec<Value>,
    messages: u64,
    plays_now: Vec<Value>,
    /// At these doors, by how their origins begin.
    refuses_tokens: Option<&'static str>,
    /// With this code.
    refuses_with: &'static str,
    /// Whatever is said there reaches nobody.
    deaf: Option<&'static str>,
    /// Several boxes, by their origins; a lone one has none.
    boxes: BTreeMap<&'static str, One>,
}

/// What tells one box from the others.
struct One {
    node: String,
    /// What it says of itself in `hello`: `node_type` and `cluster_info`.
    standing: Value,
    /// How far its clock is ahead of the others', seconds.
    ahead: f64,
}

impl StubBox {
    pub fn of(spec: PhoneSpec) -> Self {
        let opened = ShowTime::from_ns(EPOCH as i64 * 1_000_000_000) + engine::clock::TAI_UTC;
        // 4 ms each way and 2 ms of queues: a usual evening.
        let wifi = Wifi { way: Span::from_millis(4), jitter: Span::from_millis(2), ..Wifi::QUIET };
        let spec = PhoneSpec { wifi, tap: None, ..spec };
        let files = Arc::new(BTreeMap::from([("/media/abc".to_owned(), TRACK_SECS)]));
        let phone = SimPhone::new(spec, files, opened);
        let (said, plays_now) = (Vec::new(), Vec::new());
        Self {
            phone,
            opened,
            now: opened,
            box_ahead: 0.0,
            open: false,
            said,
            messages: 0,
            plays_now,
            refuses_tokens: None,
            refuses_with: "unauthorized",
            deaf: None,
            boxes: BTreeMap::new(),
        }
    }

    fn opened(role: Role) -> Self {
        let mut page = Self::of(PhoneSpec { role, ..PhoneSpec::default() });
        page.run(0.1);
        page
    }

    /// A phone that was tapped and has been in step for a while.
    fn in_step() -> Self {
        let mut page = Self::opened(Role::Phone);
        page.tap();
        page.run(12.0);
        assert!(matches!(page.state(), State::InStep { .. }), "{:?}", page.state());
        page
    }

    /// The box's clock, UNIX seconds.
    fn box_now(&self) -> f64 {
        let ahead = self.box_ahead + self.one().map_or(0.0, |one| one.ahead);
        EPOCH + ahead + (self.now - self.opened).secs_f64()
    }

    fn refuses(&self, hello: &Value) -> bool {
        let here = self.refuses_tokens.is_some_and(|it| self.phone.knocked().starts_with(it));
        here && hello.get("auth_token").is_some()
    }

    /// The box that the phone knocked at last; none where there is but one.
    fn one(&self) -> Option<&One> {
        self.boxes.get(self.phone.knocked())
    }

    pub fn run(&mut self, seconds: f64) {
        let until = self.now + Span::from_secs_f64(seconds);
        while self.phone.next() <= until {
            self.now = self.phone.next().max(self.now);
            for word in self.phone.run(self.now) {
                self.hear(word);
            }
        }
        self.now = until;
    }

    pub fn tap(&mut self) {
        self.phone.tap(self.now);
    }

    /// Answers as `/ws` does.
    fn hear(&mut self, word: FromPhone) {
        match word {
            FromPhone::Opened => self.open = true,
            FromPhone::Closed => self.open = false,
            FromPhone::Said(_) if self.deaf == Some(self.phone.knocked()) => {}
            FromPhone::Said(text) => self.answer(&text),
        }
    }

    fn answer(&mut self, text: &str) {
        let said: Value = serde_json::from_str(text).expect("the phone speaks JSON");
        assert!(self.open, "nothing comes out of a closed socket: {text}");
        match said["type"].as_str() {
            Some("clock_sync") => self.answer_clock(text),
            Some("hello") if self.refuses(&said) => {
                self.say(json!({"type": "error", "code": self.refuses_with, "message": "no"}));
            }
            Some("hello") => {
                let standing = self.one().map(|one| one.standing.clone());
                self.say(welcome(standing));
                for order in self.plays_now.clone() {
                    self.say(order);
                }
            }
            _ => {}
        }
        self.said.push(said);
    }

    /// `t1` goes back digit for digit.
    fn answer_clock(&mut self, text: &str) {
        let digits = text.split("\"t1\":").nth(1).expect("t1").trim_end_matches('}');
        let (header, t2) = (self.header(), self.box_now());
        let answer = format!(
            r#"{{"type":"clock_sync_response","header":{header},"t1":{digits},"t2":{t2:.6},"t3":{t2:.6}}}"#
        );
        self.phone.tell(self.now, answer.into());
    }

    fn header(&mut self) -> Value {
        self.messages += 1;
        let node = self.one().map_or(uuid(0), |one| one.node.clone());
        json!({"id": uuid(self.messages), "timestamp": self.box_now(), "node_id": node,
            "sequence": self.messages})
    }

    fn say(&mut self, mut message: Value) {
        if message.get("header").is_none() {
            message["header"] = self.header();
        }
        self.phone.tell(self.now, message.to_string().into());
    }

    /// The box orders the track to play `ahead` seconds from now.
    pub fn order_play(&mut self, ahead: f64, params: Value) -> f64 {
        let start = self.box_now() + ahead;
        let order = json!({"type": "media_control", "action": "play", "track_id": "track_001", "start_at": start,
            "params": params});
        self.plays_now = vec![order.clone()];
        self.say(order);
        start
    }

    fn order(&mut self, action: &str, ahead: f64, params: Value) {
        let start = self.box_now() + ahead;
        self.say(json!({"type": "media_control", "action": action, "track_id": "track_001", "start_at": start,
            "params": params}));
    }

    /// Where in the track each sounding source is that is heard now.
    fn heard(&self) -> Vec<f64> {
        self.phone.heard(self.now).into_iter().map(|heard| heard.at_s).collect()
    }

    /// Milliseconds by which the one source that is heard is ahead of the box's time.
    fn error_ms(&self, start: f64) -> f64 {
        let [heard] = self.heard()[..] else {
            panic!("one source should sound: {:?}", self.heard())
        };
        let apart = (heard - (self.box_now() - start)).rem_euclid(TRACK_SECS);
        (if apart > TRACK_SECS / 2.0 { apart - TRACK_SECS } else { apart }) * 1e3
    }

    /// The worst of it over a while.
    pub fn worst_ms(&mut self, start: f64, seconds: f64) -> f64 {
        let mut worst = 0.0_f64;
        for _ in 0..(seconds * 50.0) as u32 {
            self.run(0.02);
            worst = worst.max(self.error_ms(start).abs());
        }
        worst
    }

    /// The socket is killed, and nobody answers a knock.
    fn cut(&mut self) {
        self.phone.hang_up(self.now);
        self.phone.lose_box(self.now);
    }

    fn mend(&mut self) {
        self.phone.find_box(self.now);
    }

    fn state(&self) -> State {
        self.phone.state(self.now)
    }

    /// How many sources were ever begun.
    fn segments(&self) -> usize {
        self.phone.sounded().len()
    }

    fn said(&self, kind: &str) -> Vec<&Value> {
        self.said.iter().filter(|said| said["type"] == kind).collect()
    }
}

/// The answer to `hello`, with one track; a box is alone where nothing else is said.
fn welcome(standing: Option<Value>) -> Value {
    let alone = || json!({"node_type": "master", "cluster_info": {"master_id": uuid(0), "replica_ids": []}});
    let standing = standing.unwrap_or_else(alone);
    json!({
        "type": "hello", "protocol_version": "0.1.0", "capabilities": ["audio"],
        "node_type": standing["node_type"], "cluster_info": standing["cluster_info"],
        "show": {"title": "Downbeat demo", "tracks": [{
            "track_id": "track_001", "url": "/media/abc", "sha256": "abc", "bytes": 9, "duration": TRACK_SECS,
        }]},
    })
}

fn mono(secs: f64) -> MonoTime {
    MonoTime::from_ns((secs * 1e9).round() as i64)
}

fn uuid(k: u64) -> String {
    format!("00000000-0000-4000-8000-{k:012x}")
}

#[test]
fn sx01_a_track_is_heard_within_half_a_millisecond_of_the_box_and_stays_there() {
    let mut page = StubBox::in_step();
    let start = page.order_play(0.4, json!({"loop_count": 0}));
    page.run(0.5);
    assert!(page.worst_ms(start, 20.0) < 0.5, "{}", page.worst_ms(start, 1.0));
    page.run(600.0);
    assert!(page.worst_ms(start, 20.0) < 0.5);
    assert_eq!(page.segments(), 1, "held by rate alone");
    assert!(page.phone.bend() <= 0.003, "{}", page.phone.bend());
}

#[test]
fn sx10_a_phone_that_learns_better_before_its_track_begins_begins_it_in_its_place() {
    // What comes to it waits 40 ms, as on a page that is only being built, and says half of that of its clock.
    let askew = Wifi { askew: Span::from_millis(40), ..Wifi::QUIET };
    let mut page = StubBox::of(PhoneSpec::default());
    page.phone.roam(askew);
    page.tap();
    page.run(1.2);
    assert!(matches!(page.state(), State::InStep { .. }), "{:?}", page.state());
    let start = page.order_play(1.0, json!({"loop_count": 0}));
    page.run(0.1);
    page.phone.roam(Wifi::QUIET);
    page.run(1.0);
    assert!(page.error_ms(start).abs() < 1.0, "{}", page.error_ms(start));
    assert!(page.phone.bend() < 1e-4, "nothing is left to mend: {}", page.phone.bend());
    assert_eq!(page.segments(), 1, "what was called off was not heard");
}

#[test]
fn sx10_a_socket_killed_mid_track_comes_back_in_place_without_a_jump() {
    let mut page = StubBox::in_step();
    let start = page.order_play(0.4, json!({"loop_count": 0}));
    page.run(5.0);
    page.cut();
    assert!(page.worst_ms(start, 8.0) < 1.0);
    assert!(matches!(page.state(), State::OnOwnClock { .. }));
    page.mend();
    assert!(page.worst_ms(start, 20.0) < 1.0);
    assert!(matches!(page.state(), State::InStep { .. }));
    assert_eq!(page.segments(), 1, "the same source sounds all the while");
}

#[test]
fn a_phone_that_lost_everything_plays_on_by_its_own_clock() {
    let mut page = StubBox::in_step();
    let start = page.order_play(0.4, json!({"loop_count": 0}));
    page.run(40.0);
    page.cut();
    assert!(page.worst_ms(start, 120.0) < 2.0);
}

#[test]
fn a_phone_that_joins_in_the_middle_starts_in_the_middle() {
    let mut page = StubBox::opened(Role::Phone);
    page.run(1.0);
    let start = page.order_play(-7.0, json!({"loop_count": 1}));
    page.run(5.0);
    assert!(page.heard().is_empty(), "nothing sounds before a tap");
    assert_eq!(page.state(), State::TapToStart);
    page.tap();
    page.run(1.0);
    assert!(page.worst_ms(start, 5.0) < 1.0);
    page.run(13.0);
    assert!(page.heard().is_empty(), "the track has ended");
}

#[test]
fn sx12_a_track_that_has_come_is_ready_before_anybody_taps_and_the_box_is_told() {
    let mut page = StubBox::opened(Role::Phone);
    page.run(12.0);
    let last =
        |page: &StubBox| page.said("node_status").last().copied().cloned().expect("every 5 s");
    assert_eq!(
        (&last(&page)["tracks_ready"], &last(&page)["tracks_wanted"]),
        (&json!(1), &json!(1))
    );
    let look = page.phone.look(page.now);
    assert_eq!(look.state, State::TapToStart);
    assert!(matches!(look.fare, State::InStep { doing: Doing::Ready, .. }), "{:?}", look.fare);
    page.tap();
    page.run(6.0);
    assert_eq!(last(&page)["tracks_ready"], 1, "decoded");
}

#[test]
fn sx12_sx18_a_track_that_cannot_be_decoded_is_not_ready_nor_waited_for_and_fetched_again() {
    let mut core = Core::new(mono(1.0), &Start::default());
    let mut hear = |at: f64, event: Event| core.handle(mono(at), event);
    let track_id = TrackId("track_001".into());
    let mut welcome = welcome(None);
    welcome["header"] =
        json!({"id": uuid(1), "timestamp": EPOCH, "node_id": uuid(0), "sequence": 1});
    hear(1.1, Event::Opened);
    hear(1.2, Event::Heard { text: welcome.to_string(), at_ms: None });
    hear(1.3, Event::MediaFetched { track_id: track_id.clone() });
    hear(1.4, Event::Tapped);
    let turn = hear(1.5, Event::MediaUndecodable { track_id: track_id.clone() });
    assert_eq!(turn.look.unplayable, 1, "its holder is told");
    let fetches = |turn: &Turn| turn.acts.iter().any(|act| matches!(act, Act::Fetch { .. }));
    assert!(!fetches(&hear(20.0, Event::Tick)), "not at once");
    assert!(fetches(&hear(21.6, Event::Tick)));
    let mut times = 1;
    for second in 22..3_600 {
        if fetches(&hear(f64::from(second), Event::Tick)) {
            times += 1;
            hear(f64::from(second), Event::MediaUndecodable { track_id: track_id.clone() });
        }
    }
    hear(3_600.0, Event::MediaUndecodable { track_id: track_id.clone() });
    assert!(times < 7, "{times} times in an hour: its octets are not to fill the air");
    let turn = hear(3_601.0, Event::MediaReady { track_id, duration_s: 30.0 });
    assert_eq!(turn.look.unplayable, 0, "there was memory for it this time");
}

#[test]
fn sx16_whose_token_does_not_hold_is_told_and_is_in_the_audience_once_it_taps() {
    let token = "no.token.atall";
    let mut page = StubBox::of(PhoneSpec { token: Some(token), ..PhoneSpec::default() });
    page.refuses_tokens = Some("");
    page.run(8.0);
    let hellos: Vec<_> = page.said("hello").iter().map(|it| it.get("auth_token")).collect();
    assert_eq!(hellos, [Some(&json!(token)), None], "and at once without");
    let look = page.phone.look(page.now);
    let refused = State::Refused { code: RefusalCode::Unauthorized };
    assert_eq!((look.state, look.fare), (State::TapToStart, refused));
    assert_eq!(look.title, "Downbeat demo", "it is welcome as audience");
    page.tap();
    page.run(3.0);
    assert!(matches!(page.state(), State::InStep { .. }), "{:?}", page.state());
    let start = page.order_play(0.5, json!({}));
    page.run(2.0);
    assert!(page.worst_ms(start, 3.0) < 1.0);
}

#[test]
fn sx16_a_token_that_was_not_looked_at_makes_nobody_deaf_and_is_shown_again_after_a_minute() {
    let token = "not.looked.at";
    let mut page = StubBox::of(PhoneSpec { token: Some(token), ..PhoneSpec::default() });
    (page.refuses_tokens, page.refuses_with) = (Some(""), "rate_limited");
    page.run(8.0);
    let refused = State::Refused { code: RefusalCode::RateLimited };
    assert_eq!(page.phone.look(page.now).fare, refused);
    page.tap();
    page.run(3.0);
    let start = page.order_play(0.5, json!({"loop_count": 0}));
    page.run(2.0);
    assert!(page.worst_ms(start, 3.0) < 1.0, "others' wrong tokens leave it in the audience");
    page.refuses_tokens = None;
    page.run(80.0);
    let hellos: Vec<_> = page.said("hello").iter().map(|it| it.get("auth_token")).collect();
    assert_eq!(hellos, [Some(&json!(token)), None, Some(&json!(token))]);
    assert!(page.worst_ms(start, 3.0) < 1.0, "and being let in moves nothing");
}

#[test]
fn sx10_pause_seek_and_stop_act_at_their_time() {
    let mut page = StubBox::in_step();
    let start = page.order_play(0.5, json!({"loop_count": 0}));
    page.run(3.0);
    page.order("seek", 0.5, json!({"position_ms": 20_000.0}));
    let sought = page.box_now() + 0.5 - 20.0;
    assert!(page.worst_ms(start, 0.4) < 1.0);
    page.run(0.2);
    assert!(page.worst_ms(sought, 2.0) < 1.0);
    page.order("pause", 0.2, json!({}));
    page.run(0.18);
    assert_eq!(page.heard().len(), 1);
    page.run(0.1);
    assert!(page.heard().is_empty());
    let start = page.order_play(0.3, json!({"position_ms": 4_000.0})) - 4.0;
    page.run(1.0);
    assert!(page.worst_ms(start, 2.0) < 1.0);
    page.order("stop", 0.5, json!({"fade_out_ms": 1_000}));
    page.run(1.4);
    assert_eq!(page.heard().len(), 1, "it fades");
    page.run(0.2);
    assert!(page.heard().is_empty());
}

#[test]
fn sx10_an_unload_acts_at_its_time_and_a_later_word_takes_it_back() {
    let mut page = StubBox::in_step();
    let of_all = |page: &mut StubBox| {
        page.run(5.1);
        page.said("node_status").last().expect("every five seconds")["tracks_ready"].clone()
    };
    let start = page.order_play(0.5, json!({}));
    page.run(1.0);
    page.order("unload", 1.0, json!({}));
    page.run(0.1);
    assert!(page.worst_ms(start, 0.8) < 1.0, "it is heard until then");
    page.run(0.2);
    assert!(page.heard().is_empty());
    assert_eq!(of_all(&mut page), 0);
    page.order("load", 0.0, json!({}));
    assert_eq!(of_all(&mut page), 1, "it came again");
    page.order("unload", 6.0, json!({}));
    page.run(0.5);
    let start = page.order_play(1.0, json!({"loop_count": 0}));
    assert_eq!(of_all(&mut page), 1);
    page.run(2.0);
    assert!(page.worst_ms(start, 1.0) < 1.0);
}

#[test]
fn a_stop_right_after_go_also_stops_what_has_not_begun() {
    let mut page = StubBox::in_step();
    page.order_play(0.8, json!({}));
    page.run(0.3);
    page.order("stop", 0.1, json!({}));
    page.run(5.0);
    assert!(page.heard().is_empty());
    assert!(page.said("played").iter().all(|played| played["order"] != uuid(1)));
}

#[test]
fn five_milliseconds_are_slewed_and_fifty_are_jumped_under_a_cross_fade() {
    let mut page = StubBox::in_step();
    let start = page.order_play(0.4, json!({"loop_count": 0}));
    page.run(5.0);
    page.order_play(start + 0.005 - page.box_now(), json!({"loop_count": 0}));
    page.run(6.0);
    assert_eq!(page.segments(), 1);
    assert!(page.worst_ms(start + 0.005, 2.0) < 1.0);
    assert!(page.phone.bend() <= 0.003, "{}", page.phone.bend());
    page.box_ahead += 0.05;
    for _ in 0..6_000 {
        page.run(0.005);
        let loud: f64 = page.phone.heard(page.now).iter().map(|heard| heard.gain).sum();
        assert!((loud - 1.0).abs() < 0.01, "one falls as the other rises: {loud}");
    }
    assert_eq!(page.segments(), 2);
    assert!(page.worst_ms(start + 0.005, 2.0) < 1.0);
}

#[test]
fn a_call_puts_the_sound_to_sleep_and_a_tap_brings_it_back_in_place() {
    let mut page = StubBox::in_step();
    let start = page.order_play(0.4, json!({"loop_count": 0}));
    page.run(5.0);
    page.phone.take_call(page.now);
    page.run(4.0);
    assert_eq!(page.state(), State::TapToWake);
    page.tap();
    page.run(3.0);
    assert!(page.worst_ms(start, 3.0) < 1.0);
}

/// How long nothing is heard after a tap that ends a call, seconds, of a context that stands for a while longer.
fn silence_after_a_call(stall: Span) -> f64 {
    let mut page = StubBox::of(PhoneSpec { stall, ..PhoneSpec::default() });
    page.run(0.1);
    page.tap();
    page.run(12.0);
    let start = page.order_play(0.4, json!({"loop_count": 0}));
    page.run(5.0);
    page.phone.take_call(page.now);
    page.run(20.0);
    page.tap();
    let (mut silence, mut astray) = (0.0, 0.0);
    while page.heard().is_empty() || page.error_ms(start).abs() > 4.0 {
        astray += if page.heard().is_empty() { 0.0 } else { 0.005 };
        page.run(0.005);
        silence += 0.005;
        assert!(silence < 5.0, "it stays away");
    }
    assert!(
        astray < 0.03,
        "what the card still held is heard out of its place, and no more: {astray}"
    );
    assert!(page.worst_ms(start, 0.5) < 4.0, "and at once in its place");
    assert!(page.worst_ms(start, 3.0) < 2.0, "and closer still");
    println!("a context that stands for {stall}: silent for {:.0} ms", silence * 1e3);
    silence
}

#[test]
fn after_a_call_sound_is_back_within_a_fifth_of_a_second_and_in_its_place() {
    assert!(silence_after_a_call(Span::ZERO) < 0.2);
    for stall in [0.1, 0.4, 0.7, 1.5] {
        assert!(silence_after_a_call(Span::from_secs_f64(stall)) < stall + 0.2);
    }
}

#[test]
fn what_the_box_no_longer_plays_ends_after_a_rejoin() {
    let mut page = StubBox::in_step();
    page.order_play(0.4, json!({"loop_count": 0}));
    page.run(5.0);
    page.cut();
    page.plays_now.clear();
    page.run(5.0);
    assert_eq!(page.heard().len(), 1);
    page.mend();
    page.run(20.0);
    assert!(page.heard().is_empty());
}

#[test]
fn an_order_is_reported_once_when_it_was_heard() {
    let mut page = StubBox::in_step();
    let start = page.order_play(0.4, json!({}));
    page.run(2.0);
    let played = page.said("played");
    let [played] = played[..] else { panic!("one report: {played:?}") };
    assert_eq!(played["source"], "audio_clock");
    assert!((played["at"].as_f64().expect("a time") - start).abs() < 0.001);
    assert!(played["clock_error_ms"].as_f64().expect("a bound") > 0.1);
}

#[test]
fn a_phone_whose_date_is_wrong_answers_for_the_first_order_and_for_none_from_before() {
    for secs in [-3, 3] {
        let unix_off = Span::from_secs(secs);
        let mut page =
            StubBox::of(PhoneSpec { role: Role::Screen, unix_off, ..PhoneSpec::default() });
        let screen =
            |start: f64, color| json!({"type": "screen", "start_at": start, "color": color});
        page.plays_now = vec![screen(page.box_now() - 1.0, "#102030")];
        page.run(0.1);
        assert!(page.said("played").is_empty());
        page.say(screen(page.box_now() + 0.2, "#ff9030"));
        page.run(2.0);
        assert_eq!(page.said("played").len(), 1, "{secs} s off");
    }
}

#[test]
fn an_order_sent_twice_is_done_once() {
    let mut page = StubBox::in_step();
    let header = page.header();
    let start = page.box_now() + 0.3;
    let order = json!({"type": "media_control", "header": header, "action": "play", "track_id": "track_001",
        "start_at": start});
    page.say(order.clone());
    page.run(0.5);
    page.order("stop", 0.0, json!({}));
    page.run(0.5);
    page.say(order);
    page.run(2.0);
    assert!(page.heard().is_empty());
}

#[test]
fn sx12_a_phone_says_every_five_seconds_how_it_fares_and_nothing_it_does_not_know() {
    let mut page = StubBox::opened(Role::Phone);
    page.run(31.0);
    let said = page.said("node_status");
    assert_eq!(said.len(), 6);
    let status = said[5].as_object().expect("an object");
    assert!(status.contains_key("avg_rtt_ms") && !status.contains_key("battery_level"));
    assert!(!status.contains_key("packet_loss_percent") && !status.contains_key("cpu_usage"));
}

#[test]
fn sx12_sx20_a_phone_understands_how_the_box_fares_and_says_once_how_long_that_took() {
    let mut page = StubBox::in_step();
    let mut header = page.header();
    header["timestamp"] = json!(page.box_now() - 0.25);
    page.say(json!({"type": "node_status", "header": header, "node_type": "master", "connected_clients": 3}));
    page.run(10.5);
    let said = page.said("node_status");
    let took: Vec<f64> = said.iter().filter_map(|it| it["delivery_ms"].as_f64()).collect();
    let [took] = took[..] else { panic!("once: {took:?}") };
    assert!((250.0..300.0).contains(&took), "{took}: 250 ms before it left, and the way");
    let need = said.last().and_then(|it| it["need_ms"].as_f64()).expect("it could sound");
    assert!((70.0..150.0).contains(&need), "{need}: the shell's 60 ms, and the card's 20");
}

#[test]
fn sx20_a_phone_says_when_an_order_came_and_whoever_knows_no_time_does_not() {
    let mut page = StubBox::in_step();
    let ordered = page.box_now();
    page.order_play(0.5, json!({}));
    page.run(2.0);
    let played = page.said("played");
    let arrived = played[0]["arrived"].as_f64().expect("its clock is known") - ordered;
    assert!((0.003..0.05).contains(&arrived), "{arrived} s after it left");
    let mut page = StubBox::opened(Role::Screen);
    page.box_ahead = 500.0;
    page.say(json!({"type": "screen", "color": "#ff0000"}));
    page.run(0.05);
    let early = page.said("played");
    assert!(early.iter().all(|it| it.get("arrived").is_none()), "{early:?}");
}

#[test]
fn sx12_a_phone_tells_how_full_its_battery_is_now_and_not_how_it_was() {
    let mut page = StubBox::opened(Role::Phone);
    for level in [0.8, 0.6] {
        let now = page.now;
        page.phone.tell_page(now, Event::Battery { level });
        page.run(5.5);
    }
    let said = page.said("node_status");
    let levels: Vec<f64> = said.iter().filter_map(|it| it["battery_level"].as_f64()).collect();
    assert_eq!(levels, [0.8, 0.6]);
}

#[test]
fn a_projector_needs_no_tap_and_fetches_no_music() {
    let mut page = StubBox::opened(Role::Screen);
    page.run(3.0);
    page.order_play(0.1, json!({}));
    let start = page.box_now() + 0.2;
    page.say(json!({"type": "screen", "start_at": start, "color": "#ff9030", "fade_ms": 0, "text": "Good evening"}));
    page.run(1.0);
    let look = page.phone.look(page.now);
    assert_eq!((look.color.to_string().as_str(), look.text.as_str()), ("#ff9030", "Good evening"));
    assert!(matches!(look.state, State::InStep { .. }) && page.segments() == 0);
    assert_eq!(page.said("played").len(), 1);
}

#[test]
fn a_full_house_and_another_version_are_said_in_words() {
    let mut page = StubBox::opened(Role::Screen);
    page.say(json!({"type": "error", "code": "too_many_connections", "message": "x"}));
    page.run(0.1);
    assert_eq!(page.state(), State::Full);
    page.say(json!({"type": "error", "code": "version_mismatch", "message": "x"}));
    page.run(0.1);
    assert_eq!(page.state(), State::Outdated);
}

#[test]
fn sx09_t1_is_the_phones_own_clock_in_seconds() {
    let page = StubBox::opened(Role::Screen);
    let first = page.said("clock_sync")[0]["t1"].as_f64().expect("a number");
    assert!((5.0..5.1).contains(&first), "{first}: the page had been open for five seconds");
}

fn any_number() -> impl Strategy<Value = f64> {
    prop_oneof![
        Just(f64::NAN),
        Just(f64::INFINITY),
        Just(-1e300),
        Just(0.0),
        -1e12..1e12_f64,
        0.0..100.0_f64
    ]
}

fn any_word() -> impl Strategy<Value = Value> {
    let kinds = prop_oneof![
        Just("hello"),
        Just("media_control"),
        Just("screen"),
        Just("clock_sync_response"),
        Just("error"),
        Just("x")
    ];
    let actions = prop_oneof![
        Just("play"),
        Just("stop"),
        Just("seek"),
        Just("unload"),
        Just("load"),
        Just("pause")
    ];
    (kinds, actions, any_number(), any_number(), any::<u32>(), any::<u32>()).prop_map(|(kind, action, a, b, c, d)| {
        json!({
            "type": kind, "action": action, "track_id": "track_001", "start_at": EPOCH + a,
            "header": {"id": uuid(u64::from(c)), "timestamp": a, "node_id": uuid(1), "sequence": c},
            "params": {"volume": b, "loop_count": c % 3, "fade_in_ms": d, "fade_out_ms": c, "position_ms": b},
            "t1": a, "t2": b, "t3": a, "code": "rate_limited", "message": "", "fade_ms": d, "color": "#123456",
            "flash": {"count": c, "per_second": b}, "protocol_version": "9", "capabilities": [],
            "node_type": "master", "cluster_info": {"master_id": uuid(1), "replica_ids": []},
            "show": {"title": "", "tracks": [{"track_id": "track_001", "url": "u", "sha256": "", "bytes": 0,
                "duration": b}]},
        })
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn hostile_words_and_absurd_times_never_panic(
        words in prop::collection::vec((any_word(), any_number(), any_number()), 1..40), text in ".{0,60}",
    ) {
        let mut page = StubBox::in_step();
        page.phone.tell(page.now, text.into());
        page.run(0.1);
        let mut core = page.phone.core().clone();
        for (word, now, audio) in words {
            core.handle(mono(now), Event::Heard { text: word.to_string(), at_ms: Some(now) });
            core.handle(mono(now), Event::Audio {
                running: true, audio_s: audio, latency_s: Some(now),
                output: Some(OutputStamp { audio_s: now, page_ms: audio }),
            });
            core.handle(mono(audio), Event::Tick);
            core.look(mono(now));
        }
    }
}
