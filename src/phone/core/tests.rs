//! What a phone says of itself, by what is live at it; and what carries what it says.

use super::*;
use crate::state::{Doing, State};
use crate::told::Ear;

fn page(role: Role, listens: bool) -> Core {
    Core::new(MonoTime::ZERO, &Start { role, listens, ..Start::default() })
}

fn at(secs: i64) -> MonoTime {
    MonoTime::ZERO + Span::from_secs(secs)
}

fn pictures(seen: bool) -> Event {
    Event::Pictures { seen, counts: PictureCounts::default() }
}

#[test]
fn sx11_a_live_film_without_sound_plays_as_long_as_it_is_seen() {
    for role in [Role::Phone, Role::Screen] {
        let mut core = page(role, false);
        core.handle(at(1), pictures(false));
        assert_eq!(core.doing(at(1)), Doing::Ready, "it is decoded, and not seen yet");
        core.handle(at(2), pictures(true));
        assert_eq!(core.doing(at(60)), Doing::Playing);
        core.handle(at(60), pictures(false));
        assert_eq!(core.doing(at(60)), Doing::Ready);
    }
}

#[test]
fn sx20_nobody_is_asked_early_or_late_before_anything_has_sounded() {
    for (listens, before) in [(false, Ear::Closed), (true, Ear::Calibrates)] {
        let mut core = page(Role::Phone, listens);
        assert_eq!(core.look(at(1)).ear, before);
        core.handle(at(1), pictures(true));
        assert_eq!(core.look(at(2)).ear, Ear::Closed, "what is only seen makes no sound");
        core.handle(at(2), pictures(false));
        assert_eq!(core.look(at(2)).ear, before);
        core.has_sounded = true;
        assert_eq!(core.handle(at(3), Event::Tick).look.ear, Ear::Nudges, "and so it stays");
    }
}

#[test]
fn nobody_is_offered_a_calibration_by_a_box_that_says_that_it_is_deaf() {
    for (says, offered) in [("false", Ear::Closed), ("true", Ear::Calibrates)] {
        let mut core = page(Role::Phone, true);
        let Event::Heard { text, .. } = welcome() else { panic!("it is heard") };
        let text = text.replace(
            r#""capabilities":[],"#,
            &format!(r#""calibrates":{says},"capabilities":[],"#),
        );
        let look = core.handle(at(1), Event::Heard { text, at_ms: None }).look;
        assert_eq!((look.ear, look.calibrates), (offered, offered == Ear::Calibrates));
    }
}

const SESSION: &str = "https://10.0.0.5:8443/sync?phone=17";

/// The box's answer to `hello`, and what tells of a session.
fn welcome() -> Event {
    let text = format!(
        r#"{{"type":"hello","header":{{"id":"7d9f0f2e-92a3-4c4e-9a57-000000000001","timestamp":1790000000.5,
        "node_id":"7d9f0f2e-92a3-4c4e-9a57-0f5b0c0f5aff","sequence":1}},"protocol_version":"0.1.0","capabilities":[],
        "node_type":"master","cluster_info":{{"master_id":"7d9f0f2e-92a3-4c4e-9a57-0f5b0c0f5aff","replica_ids":[]}},
        "show":{{"title":"","tracks":[]}},"webtransport":{{"url":"{SESSION}","messages":true,"certificate_hashes":[]}}}}"#
    );
    Event::Heard { text, at_ms: None }
}

/// The same, where there is another box.
fn welcome_of_two() -> Event {
    let two = r#""replica_ids":["7d9f0f2e-92a3-4c4e-9a57-0f5b0c0f5abb"],"boxes":[
        {"node_id":"7d9f0f2e-92a3-4c4e-9a57-0f5b0c0f5aff","name":"a","url":"http://10.0.0.5:8080/"},
        {"node_id":"7d9f0f2e-92a3-4c4e-9a57-0f5b0c0f5abb","name":"b","url":"http://10.0.0.6:8080/"}]"#;
    let Event::Heard { text, .. } = welcome() else { panic!("it is heard") };
    Event::Heard { text: text.replace(r#""replica_ids":[]"#, two), at_ms: None }
}

/// A page over TLS, and what it was told to do since it was looked at last.
struct Page {
    core: Core,
    now: MonoTime,
    acts: Vec<Act>,
}

impl Page {
    /// One that was welcomed on its socket, and whose session is open.
    fn with_session() -> Self {
        let mut page = Self { core: page(Role::Phone, false), now: at(1), acts: Vec::new() };
        [Event::Tick, Event::Opened, welcome()].into_iter().for_each(|event| page.hear(event));
        page.hear(Event::TimeOpened { channel: Channel::WebTransport });
        assert_eq!(page.carriers(), [Act::Open { url: String::new() }]);
        page
    }

    fn hear(&mut self, event: Event) {
        let mut turn = self.core.handle(self.now, event);
        self.acts.append(&mut turn.acts);
    }

    /// The next question in a datagram is asked, and answered.
    fn answer(&mut self) {
        let mut asked = false;
        while !asked {
            asked = self.acts.iter().any(|act| matches!(act, Act::AskTime { .. }));
            self.pass(Span::from_millis(50));
        }
        let (t1, t2) = (
            ms(self.now),
            wire::time::Answer { t1: ms(self.now).to_be_bytes(), t2_ns: 5, t3_ns: 5 },
        );
        let octets = t2.emit().iter().map(|octet| format!("{octet:02x}")).collect();
        self.hear(Event::TimeHeard { channel: Channel::WebTransport, octets, at_ms: t1 });
    }

    fn pass(&mut self, span: Span) {
        let until = self.now + span;
        while self.now < until {
            self.now += Span::from_millis(10);
            self.hear(Event::Tick);
        }
    }

    /// What was opened and closed to speak by.
    fn carriers(&mut self) -> Vec<Act> {
        let is_one = |act: &Act| matches!(act, Act::Open { .. } | Act::OpenStream | Act::Close);
        std::mem::take(&mut self.acts).into_iter().filter(is_one).collect()
    }

    fn says_hello(&self) -> bool {
        self.acts.iter().any(|act| matches!(act, Act::Send { text } if text.contains("\"hello\"")))
    }
}

impl Page {
    /// One that went over.
    fn on_stream() -> Self {
        let mut page = Self::with_session();
        page.answer();
        assert_eq!(page.carriers(), [Act::OpenStream]);
        page.hear(Event::Opened);
        page
    }

    fn is_in_step(&self) -> bool {
        matches!(self.core.fare(self.now), State::InStep { .. } | State::FindingTheBeat)
    }
}

fn socket() -> Act {
    Act::Open { url: String::new() }
}

#[test]
fn sx20_a_page_goes_over_to_a_stream_once_a_datagram_is_answered() {
    let mut page = Page::with_session();
    page.answer();
    assert_eq!(page.carriers(), [Act::OpenStream]);
    assert!(page.is_in_step(), "nobody need notice");
    page.hear(Event::Opened);
    page.hear(Event::Tick);
    page.hear(welcome());
    page.pass(Span::from_secs(1));
    assert_eq!(page.carriers(), [], "and stays there");
}

#[test]
fn sx20_a_page_whose_datagrams_are_answered_late_stays_where_its_peer_connection_is() {
    let mut page = Page::with_session();
    page.pass(Span::from_secs(2));
    page.answer();
    assert_eq!(page.carriers(), []);
}

#[test]
fn sx20_a_page_whose_hello_on_a_stream_is_not_answered_knocks_on_the_socket() {
    let mut page = Page::on_stream();
    assert!(page.says_hello());
    // Its session lives.
    for _ in 0..28 {
        page.pass(Span::from_millis(100));
        assert_eq!(page.carriers(), []);
        page.core.ways.handle_asked(page.now, Channel::WebTransport);
        page.core.ways.handle_answered(Channel::WebTransport, page.now, Span::ZERO);
    }
    page.pass(Span::from_millis(700));
    assert_eq!(page.carriers(), [Act::Close, socket()]);
}

#[test]
fn sx20_a_stream_of_a_box_that_tells_of_another_session_is_not_taken_away() {
    let mut page = Page::on_stream();
    page.hear(welcome());
    let Event::Heard { text, at_ms } = welcome() else { panic!("it is heard") };
    let text = text.replace("phone=17", "phone=18");
    page.hear(Event::Heard { text, at_ms });
    page.pass(Span::from_millis(100));
    assert!(!page.acts.iter().any(|act| matches!(act, Act::OpenTime { .. } | Act::CloseTime)));
}

#[test]
fn sx20_a_stream_that_finds_no_room_says_nothing_of_the_house() {
    let mut page = Page::on_stream();
    let Event::Heard { text, .. } = welcome() else { panic!("it is heard") };
    let head = text.find("\"protocol_version\"").expect("behind the header");
    let text =
        text[..head].replace("hello", "error") + r#""code":"too_many_connections","message":"no"}"#;
    page.hear(Event::Heard { text, at_ms: None });
    page.hear(Event::Closed);
    page.pass(Span::from_millis(400));
    assert_eq!(page.carriers(), [socket()]);
    assert_ne!(page.core.fare(page.now), State::Full);
}

#[test]
fn sx20_a_silent_stream_is_left_for_the_socket_of_the_same_box_though_there_is_another() {
    let mut page = Page::on_stream();
    page.hear(welcome_of_two());
    page.carriers();
    page.pass(Span::from_secs(8));
    let next: Vec<Act> = page.carriers().into_iter().take(2).collect();
    assert_eq!(next, [Act::Close, socket()]);
}

#[test]
fn sx20_a_page_whose_box_falls_silent_goes_over_at_the_next_one() {
    let mut page = Page::with_session();
    page.hear(welcome_of_two());
    page.pass(Span::from_secs(12));
    assert!(page.carriers().contains(&Act::Open { url: "http://10.0.0.6:8080/".into() }));
    page.hear(Event::Opened);
    page.hear(welcome_of_two());
    page.hear(Event::TimeOpened { channel: Channel::WebTransport });
    page.answer();
    assert_eq!(page.carriers(), [Act::OpenStream]);
}

#[test]
fn sx20_a_page_whose_stream_ends_is_on_the_socket_again_and_stays_there() {
    let mut page = Page::on_stream();
    page.hear(welcome());
    page.carriers();
    page.hear(Event::Closed);
    page.pass(Span::from_millis(400));
    assert_eq!(page.carriers(), [socket()]);
    page.hear(Event::Opened);
    page.hear(welcome());
    page.answer();
    assert_eq!(page.carriers(), []);
}

#[test]
fn sx20_a_page_whose_datagrams_are_no_longer_answered_leaves_its_stream() {
    let mut page = Page::on_stream();
    page.hear(welcome());
    page.carriers();
    // The box is heard; its session is not.
    for _ in 0..40 {
        page.pass(Span::from_millis(250));
        page.hear(welcome());
    }
    let first: Vec<Act> = page.carriers().into_iter().take(2).collect();
    assert_eq!(first, [Act::Close, socket()]);
}
