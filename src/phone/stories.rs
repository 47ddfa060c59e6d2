//! Stories of a phone in a hall: a box, a network, a browser with a sound card of its own, all simulated.

use proptest::prelude::*;
use serde_json::{Value, json};
use units::{MonoTime, Span};

use crate::chance::Chance;
use crate::scale::{from_secs, secs};
use crate::{Act, Core, Event, OutputStamp, Role, Start, State, Turn};

/// Box time when the phone's page opens, UNIX seconds.
const EPOCH: f64 = 1_790_000_000.0;
const TRACK_SECS: f64 = 30.0;

/// A page in a browser, seen from outside: seconds are the page's own clock, which is also the truth.
struct SimPage {
    core: Core,
    now: f64,
    wake: f64,
    link: SimLink,
    /// How much faster the sound card runs than the page.
    card_ppm: f64,
    /// The box's clock against the page's, seconds beyond `EPOCH` and parts per million.
    box_ahead: f64,
    box_ppm: f64,
    tapped: bool,
    asleep: bool,
    way: f64,
    /// Words on their way to the phone.
    coming: Vec<(f64, String)>,
    segments: Vec<Segment>,
    said: Vec<Value>,
    rates: Vec<f64>,
    chance: Chance,
    messages: u64,
    plays_now: Vec<Value>,
}

#[derive(PartialEq)]
enum SimLink {
    Closed,
    Open,
    /// No box answers: every knock fails.
    Cut,
}

/// What Web Audio was asked to do with one source.
#[derive(Debug)]
struct Segment {
    id: u32,
    /// From audio second on: offset and rate.
    course: Vec<(f64, f64, f64)>,
    ends: f64,
    rise: f64,
}

impl SimPage {
    fn opened(role: Role) -> Self {
        let start = Start { chance: "c0ffee".into(), unix_ms: (EPOCH + 3.0) * 1e3, role };
        let mut page = Self {
            core: Core::new(mono(5.0), &start),
            now: 5.0,
            wake: 5.0,
            link: SimLink::Closed,
            card_ppm: 80.0,
            box_ahead: 0.0,
            box_ppm: -25.0,
            tapped: false,
            asleep: false,
            way: 0.004,
            coming: Vec::new(),
            segments: Vec::new(),
            said: Vec::new(),
            rates: Vec::new(),
            chance: Chance::new(11),
            messages: 0,
            plays_now: Vec::new(),
        };
        page.tell(Event::Tick);
        page
    }

    /// A phone that was tapped and has been in step for a while.
    fn in_step() -> Self {
        let mut page = Self::opened(Role::Phone);
        page.tell(Event::Tapped);
        page.run(12.0);
        assert!(matches!(page.state(), State::InStep { .. }), "{:?}", page.state());
        page
    }

    fn box_time(&self, at: f64) -> f64 {
        EPOCH + self.box_ahead + at * (1.0 + self.box_ppm * 1e-6)
    }

    /// What the card makes at a page second; it is heard 20 ms later.
    fn made(&self, at: f64) -> f64 {
        (at - 4.0) * (1.0 + self.card_ppm * 1e-6)
    }

    fn run(&mut self, seconds: f64) {
        let until = self.now + seconds;
        loop {
            let next = self.coming.iter().map(|(at, _)| *at).fold(self.wake, f64::min);
            if next > until {
                self.now = until;
                return;
            }
            self.now = next.max(self.now);
            match self.coming.iter().position(|(at, _)| *at <= self.now) {
                Some(k) => {
                    let (_, text) = self.coming.remove(k);
                    self.tell(Event::Heard { text });
                }
                None => {
                    let look = self.look_at_audio();
                    self.tell(look);
                }
            }
        }
    }

    /// A phone that was not tapped has no AudioContext.
    fn look_at_audio(&self) -> Event {
        if !self.tapped {
            return Event::Tick;
        }
        let jitter = (self.chance.clone().share() - 0.5) * 0.001;
        Event::Audio {
            running: !self.asleep,
            audio_s: self.made(self.now),
            latency_s: None,
            output: Some(OutputStamp {
                audio_s: self.made(self.now - 0.02) + jitter,
                page_ms: self.now * 1e3,
            }),
        }
    }

    fn tell(&mut self, event: Event) {
        self.chance.bits();
        self.tapped |= event == Event::Tapped;
        let turn = self.core.handle(mono(self.now), event);
        let Turn { acts, wake_ms, .. } = turn;
        self.wake = wake_ms / 1e3;
        acts.into_iter().for_each(|act| self.perform(act));
    }

    fn perform(&mut self, act: Act) {
        match act {
            Act::Open if self.link == SimLink::Cut => self.tell(Event::Closed),
            Act::Open => {
                self.link = SimLink::Open;
                self.tell(Event::Opened);
            }
            Act::Close => self.link = SimLink::Closed,
            Act::Send { text } => self.hear(&text),
            Act::Fetch { track_id, .. } => {
                self.tell(Event::MediaReady { track_id, duration_s: TRACK_SECS })
            }
            Act::Begin { segment, at_s, offset_s, rate, rise_s, .. } => {
                self.segments.push(Segment {
                    id: segment,
                    course: vec![(at_s, offset_s, rate)],
                    ends: f64::INFINITY,
                    rise: rise_s,
                })
            }
            Act::Rate { segment, at_s, rate } => {
                self.rates.push(rate);
                let piece = self.piece(segment);
                let offset = piece.offset(at_s).expect("it sounds");
                piece.course.push((at_s, offset, rate));
            }
            Act::End { segment, at_s, fall_s } => {
                let made = self.made(self.now);
                self.piece(segment).ends = at_s.max(made) + fall_s;
            }
            Act::Forget { .. } | Act::Gain { .. } => {}
        }
    }

    fn piece(&mut self, id: u32) -> &mut Segment {
        self.segments.iter_mut().find(|piece| piece.id == id).expect("it was begun")
    }

    /// The box hears a word and answers as `/ws` does.
    fn hear(&mut self, text: &str) {
        let said: Value = serde_json::from_str(text).expect("the phone speaks JSON");
        assert!(self.link == SimLink::Open, "nothing is said into a closed socket: {text}");
        match said["type"].as_str() {
            Some("clock_sync") => self.answer(text),
            Some("hello") => {
                self.say(json!({
                    "type": "hello", "protocol_version": "0.1.0", "capabilities": ["audio"], "node_type": "master",
                    "cluster_info": {"master_id": uuid(0), "replica_ids": []},
                    "show": {"title": "Downbeat demo", "tracks": [{
                        "track_id": "track_001", "url": "/media/abc", "sha256": "abc", "bytes": 9,
                        "duration": TRACK_SECS,
                    }]},
                }));
                for order in self.plays_now.clone() {
                    self.say(order);
                }
            }
            _ => {}
        }
        self.said.push(said);
    }

    fn answer(&mut self, text: &str) {
        let (up, down) = (self.delay(), self.delay());
        let digits = text.split("\"t1\":").nth(1).expect("t1").trim_end_matches('}');
        let (t2, t3) = (self.box_time(self.now + up), self.box_time(self.now + up + 0.0001));
        let header = self.header();
        let answer = format!(
            r#"{{"type":"clock_sync_response","header":{header},"t1":{digits},"t2":{t2:.6},"t3":{t3:.6}}}"#
        );
        self.send(up + 0.0001 + down, answer);
    }

    /// A socket keeps its order: nothing overtakes.
    fn send(&mut self, delay: f64, text: String) {
        let last = self.coming.last().map_or(0.0, |(at, _)| *at);
        self.coming.push((last.max(self.now + delay), text));
    }

    fn delay(&mut self) -> f64 {
        self.way - 0.002 * (1.0 - self.chance.share()).ln()
    }

    fn header(&mut self) -> Value {
        self.messages += 1;
        json!({"id": uuid(self.messages), "timestamp": self.box_time(self.now), "node_id": uuid(0),
            "sequence": self.messages})
    }

    fn say(&mut self, mut message: Value) {
        if message.get("header").is_none() {
            message["header"] = self.header();
        }
        let delay = self.delay();
        self.send(delay, message.to_string());
    }

    /// The box orders the track to play `ahead` seconds from now.
    fn order_play(&mut self, ahead: f64, params: Value) -> f64 {
        let start = self.box_time(self.now) + ahead;
        let order = json!({"type": "media_control", "action": "play", "track_id": "track_001", "start_at": start,
            "params": params});
        self.plays_now = vec![order.clone()];
        self.say(order);
        start
    }

    fn order(&mut self, action: &str, ahead: f64, params: Value) {
        let start = self.box_time(self.now) + ahead;
        self.say(json!({"type": "media_control", "action": action, "track_id": "track_001", "start_at": start,
            "params": params}));
    }

    /// Where in the track each sounding source is that is heard now.
    fn heard(&self) -> Vec<f64> {
        let audio = self.made(self.now - 0.02);
        self.segments
            .iter()
            .filter(|piece| audio < piece.ends)
            .filter_map(|piece| piece.offset(audio))
            .collect()
    }

    /// Milliseconds by which the one source that is heard is ahead of the box's time.
    fn error_ms(&self, start: f64) -> f64 {
        let [heard] = self.heard()[..] else {
            panic!("one source should sound: {:?}", self.heard())
        };
        let truth = (self.box_time(self.now) - start).rem_euclid(TRACK_SECS);
        (heard.rem_euclid(TRACK_SECS) - truth) * 1e3
    }

    /// The worst of it over a while.
    fn worst_ms(&mut self, start: f64, seconds: f64) -> f64 {
        let mut worst = 0.0_f64;
        for _ in 0..(seconds * 50.0) as u32 {
            self.run(0.02);
            worst = worst.max(self.error_ms(start).abs());
        }
        worst
    }

    fn cut(&mut self) {
        self.link = SimLink::Cut;
        self.coming.clear();
        self.tell(Event::Closed);
    }

    fn mend(&mut self) {
        self.link = SimLink::Closed;
    }

    fn state(&self) -> State {
        self.core.look(mono(self.now)).state
    }

    fn said(&self, kind: &str) -> Vec<&Value> {
        self.said.iter().filter(|said| said["type"] == kind).collect()
    }
}

impl Segment {
    fn offset(&self, audio: f64) -> Option<f64> {
        let (since, offset, rate) = self.course.iter().rev().find(|(since, ..)| *since <= audio)?;
        Some(offset + rate * (audio - since))
    }
}

fn mono(at: f64) -> MonoTime {
    from_secs(at)
}

fn uuid(k: u64) -> String {
    format!("00000000-0000-4000-8000-{k:012x}")
}

#[test]
fn sx01_a_track_is_heard_within_half_a_millisecond_of_the_box_and_stays_there() {
    let mut page = SimPage::in_step();
    let start = page.order_play(0.4, json!({"loop_count": 0}));
    page.run(0.5);
    assert!(page.worst_ms(start, 20.0) < 0.5, "{}", page.worst_ms(start, 1.0));
    page.run(600.0);
    assert!(page.worst_ms(start, 20.0) < 0.5);
    assert_eq!(page.segments.len(), 1, "held by rate alone");
    assert!(page.rates.iter().all(|rate| (rate - 1.0).abs() <= 0.003));
}

#[test]
fn sx10_a_socket_killed_mid_track_comes_back_in_place_without_a_jump() {
    let mut page = SimPage::in_step();
    let start = page.order_play(0.4, json!({"loop_count": 0}));
    page.run(5.0);
    page.cut();
    assert!(page.worst_ms(start, 8.0) < 1.0);
    assert!(matches!(page.state(), State::OnOwnClock { .. }));
    page.mend();
    assert!(page.worst_ms(start, 20.0) < 1.0);
    assert!(matches!(page.state(), State::InStep { .. }));
    assert_eq!(page.segments.len(), 1, "the same source sounds all the while");
}

#[test]
fn a_phone_that_lost_everything_plays_on_by_its_own_clock() {
    let mut page = SimPage::in_step();
    let start = page.order_play(0.4, json!({"loop_count": 0}));
    page.run(40.0);
    page.cut();
    assert!(page.worst_ms(start, 120.0) < 2.0);
}

#[test]
fn a_phone_that_joins_in_the_middle_starts_in_the_middle() {
    let mut page = SimPage::opened(Role::Phone);
    page.run(1.0);
    let start = page.order_play(-7.0, json!({"loop_count": 1}));
    page.run(5.0);
    assert!(page.heard().is_empty(), "nothing sounds before a tap");
    assert_eq!(page.state(), State::TapToStart);
    page.tell(Event::Tapped);
    page.run(1.0);
    assert!(page.worst_ms(start, 5.0) < 1.0);
    page.run(13.0);
    assert!(page.heard().is_empty(), "the track has ended");
}

#[test]
fn sx10_pause_seek_and_stop_act_at_their_time() {
    let mut page = SimPage::in_step();
    let start = page.order_play(0.5, json!({"loop_count": 0}));
    page.run(3.0);
    page.order("seek", 0.5, json!({"position_ms": 20_000.0}));
    let sought = page.box_time(page.now) + 0.5 - 20.0;
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
fn a_stop_right_after_go_also_stops_what_has_not_begun() {
    let mut page = SimPage::in_step();
    page.order_play(0.8, json!({}));
    page.run(0.3);
    page.order("stop", 0.1, json!({}));
    page.run(5.0);
    assert!(page.heard().is_empty());
    assert!(page.said("played").iter().all(|played| played["order"] != uuid(1)));
}

#[test]
fn five_milliseconds_are_slewed_and_fifty_are_jumped_under_a_cross_fade() {
    let mut page = SimPage::in_step();
    let start = page.order_play(0.4, json!({"loop_count": 0}));
    page.run(5.0);
    page.order_play(start + 0.005 - page.box_time(page.now), json!({"loop_count": 0}));
    page.run(6.0);
    assert_eq!(page.segments.len(), 1);
    assert!(page.worst_ms(start + 0.005, 2.0) < 1.0);
    assert!(page.rates.iter().all(|rate| (rate - 1.0).abs() <= 0.003));
    page.box_ahead += 0.05;
    page.run(30.0);
    assert_eq!(page.segments.len(), 2);
    assert!((page.segments[1].rise - 0.03).abs() < 1e-9);
    assert!(page.worst_ms(start + 0.005, 2.0) < 1.0);
}

#[test]
fn a_call_puts_the_sound_to_sleep_and_a_tap_brings_it_back_in_place() {
    let mut page = SimPage::in_step();
    let start = page.order_play(0.4, json!({"loop_count": 0}));
    page.run(5.0);
    page.asleep = true;
    page.run(4.0);
    assert_eq!(page.state(), State::TapToWake);
    page.asleep = false;
    page.tell(Event::Tapped);
    page.run(3.0);
    assert!(page.worst_ms(start, 3.0) < 1.0);
}

#[test]
fn what_the_box_no_longer_plays_ends_after_a_rejoin() {
    let mut page = SimPage::in_step();
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
    let mut page = SimPage::in_step();
    let start = page.order_play(0.4, json!({}));
    page.run(2.0);
    let played = page.said("played");
    let [played] = played[..] else { panic!("one report: {played:?}") };
    assert_eq!(played["source"], "audio_clock");
    assert!((played["at"].as_f64().expect("a time") - start).abs() < 0.001);
    assert!(played["clock_error_ms"].as_f64().expect("a bound") > 0.1);
}

#[test]
fn an_order_sent_twice_is_done_once() {
    let mut page = SimPage::in_step();
    let header = page.header();
    let start = page.box_time(page.now) + 0.3;
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
    let mut page = SimPage::opened(Role::Phone);
    page.run(31.0);
    let said = page.said("node_status");
    assert_eq!(said.len(), 6);
    let status = said[5].as_object().expect("an object");
    assert!(status.contains_key("avg_rtt_ms") && !status.contains_key("battery_level"));
    assert!(!status.contains_key("packet_loss_percent") && !status.contains_key("cpu_usage"));
}

#[test]
fn a_projector_needs_no_tap_and_fetches_no_music() {
    let mut page = SimPage::opened(Role::Screen);
    page.run(3.0);
    page.order_play(0.1, json!({}));
    let start = page.box_time(page.now) + 0.2;
    page.say(json!({"type": "screen", "start_at": start, "color": "#ff9030", "fade_ms": 0, "text": "Good evening"}));
    page.run(1.0);
    page.tell(Event::Painted);
    let look = page.core.look(mono(page.now));
    assert_eq!((look.color.to_string().as_str(), look.text.as_str()), ("#ff9030", "Good evening"));
    assert!(matches!(look.state, State::InStep { .. }) && page.segments.is_empty());
    assert_eq!(page.said("played").len(), 1);
}

#[test]
fn a_full_house_and_another_version_are_said_in_words() {
    let mut page = SimPage::opened(Role::Screen);
    page.say(json!({"type": "error", "code": "too_many_connections", "message": "x"}));
    page.run(0.1);
    assert_eq!(page.state(), State::Full);
    page.say(json!({"type": "error", "code": "version_mismatch", "message": "x"}));
    page.run(0.1);
    assert_eq!(page.state(), State::Outdated);
}

#[test]
fn sx09_t1_is_the_phones_own_clock_in_seconds() {
    let page = SimPage::opened(Role::Screen);
    let first = page.said("clock_sync")[0]["t1"].as_f64();
    assert_eq!(first, Some(5.0));
    assert_eq!(secs(mono(5.0)), 5.0);
    assert_eq!(Span::from_secs_f64(5.0), Span::from_secs(5));
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
        let mut page = SimPage::in_step();
        page.tell(Event::Heard { text });
        for (word, now, audio) in words {
            page.core.handle(mono(now), Event::Heard { text: word.to_string() });
            page.core.handle(mono(now), Event::Audio {
                running: true, audio_s: audio, latency_s: Some(now),
                output: Some(OutputStamp { audio_s: now, page_ms: audio }),
            });
            page.core.handle(mono(audio), Event::Tick);
            page.core.look(mono(now));
        }
    }
}
