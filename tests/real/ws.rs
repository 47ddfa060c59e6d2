//! `/ws` as phones meet it: SOLUSync-X rows, limits, and phones that behave badly.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::{Duration, Instant, SystemTime};

use nix::sys::signal::Signal;
use serde_json::{Value, json};
use socket2::{Domain, Socket, Type};
use tokio_tungstenite::tungstenite::client::IntoClientRequest;
use tokio_tungstenite::tungstenite::protocol::frame::coding::CloseCode;
use tokio_tungstenite::tungstenite::{Error, Message, WebSocket, client};

use crate::proxy::until;
use crate::the_box::{PATIENCE, TheBox, noise};

/// A phone that says exactly what the test wants.
pub struct Phone<S = TcpStream> {
    socket: WebSocket<S>,
    sequence: u64,
    pub welcome: Value,
}

impl Phone {
    pub fn connect(the_box: &TheBox) -> Self {
        Self::over(the_box.place.http, the_box.dial(), None)
    }

    /// Connected, and greeted.
    pub fn join(the_box: &TheBox) -> Self {
        let mut phone = Self::connect(the_box);
        phone.hello();
        phone
    }
}

impl<S: Read + Write> Phone<S> {
    pub fn over(port: u16, stream: S, origin: Option<&str>) -> Self {
        let url = format!("ws://127.0.0.1:{port}/ws");
        let mut request = url.into_client_request().expect("a url");
        if let Some(origin) = origin {
            request.headers_mut().insert("origin", origin.parse().expect("a header value"));
        }
        let Ok((socket, _)) = client(request, stream) else { panic!("the box does not open") };
        Self { socket, sequence: 0, welcome: Value::Null }
    }

    pub fn hello(&mut self) {
        self.say("hello", &json!({ "protocol_version": "0.1.0", "node_type": "client" }));
        self.welcome = self.hear("hello");
    }

    pub fn say(&mut self, kind: &str, fields: &Value) {
        self.sequence += 1;
        self.send(&message(self.sequence, kind, fields));
    }

    fn send(&mut self, text: &str) {
        self.socket.send(Message::text(text)).expect("the box reads");
    }

    /// The next message; none if the box closes.
    fn next(&mut self) -> Option<Value> {
        let end = Instant::now() + PATIENCE;
        while Instant::now() < end {
            match self.socket.read() {
                Ok(Message::Text(text)) => {
                    return Some(serde_json::from_str(&text).expect("the box speaks JSON"));
                }
                Ok(Message::Close(_)) | Err(Error::ConnectionClosed | Error::AlreadyClosed) => {
                    return None;
                }
                Ok(_) => {}
                Err(error) => panic!("the socket broke: {error}"),
            }
        }
        panic!("the box said nothing");
    }

    /// The next message of that type; others pass by.
    pub fn hear(&mut self, kind: &str) -> Value {
        loop {
            let message = self.next().unwrap_or_else(|| panic!("closed before a {kind} came"));
            if message["type"] == kind {
                return message;
            }
        }
    }

    /// The next message of one of these types.
    pub fn hear_one_of(&mut self, kinds: &[&str]) -> Value {
        loop {
            let message = self.next().expect("the box says something before it closes");
            if kinds.iter().any(|kind| message["type"] == *kind) {
                return message;
            }
        }
    }

    fn hear_refusal(&mut self) -> String {
        self.hear("error")["code"].as_str().expect("a code").to_owned()
    }

    fn ask_time(&mut self, t1: &Value) {
        self.say("clock_sync", &json!({ "t1": t1 }));
    }

    /// Whether the box still answers on this socket.
    pub fn is_served(&mut self) -> bool {
        self.say("clock_sync", &json!({ "t1": 5 }));
        self.hear("clock_sync_response")["t1"] == 5
    }
}

/// A phone's message, as JSON.
pub fn message(sequence: u64, kind: &str, fields: &Value) -> String {
    let mut message = json!({
        "type": kind,
        "header": {
            "id": uuid::Uuid::from_u128(0x4000_8000_0000_0000_0000 + u128::from(sequence)),
            "timestamp": 1.5,
            "node_id": uuid::Uuid::from_u128(7),
            "sequence": sequence,
        },
    });
    let all = message.as_object_mut().expect("an object");
    all.extend(fields.as_object().expect("an object").clone());
    message.to_string()
}

fn unix_now() -> f64 {
    SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).expect("after 1970").as_secs_f64()
}

#[test]
fn sx07_sx08_hello_is_answered_at_once_with_all_that_a_phone_needs() {
    let the_box = TheBox::start();
    let phone = Phone::join(&the_box);
    let welcome = &phone.welcome;
    assert_eq!(welcome["node_type"], "master");
    assert_eq!(welcome["protocol_version"], "0.1.0");
    assert_eq!(welcome["cluster_info"]["master_id"], welcome["header"]["node_id"]);
    assert_eq!(welcome["show"]["title"], "Small");
    assert_eq!(welcome["show"]["tracks"][0]["track_id"], "track_001");
    let header = &welcome["header"];
    let id: uuid::Uuid = header["id"].as_str().and_then(|id| id.parse().ok()).expect("a uuid");
    assert_eq!(id.get_version_num(), 4);
    let told = header["timestamp"].as_f64().expect("seconds");
    assert!((told - unix_now()).abs() < 5.0, "{told}");
    assert!(header["sequence"].as_u64() >= Some(1));
}

#[test]
fn sx08_it_answers_with_and_without_an_origin() {
    let the_box = TheBox::start();
    for origin in [None, Some("http://10.0.0.5:8080"), Some("null")] {
        Phone::over(the_box.place.http, the_box.dial(), origin).hello();
    }
}

/// A phone of a model; how many milliseconds too late it sounds, where it knows.
pub fn calibrated(late_ms: Option<f64>) -> Value {
    let sigma_ms = late_ms.map(|_| 0.03);
    json!({ "model": "Model A", "residual_ms": late_ms, "sigma_ms": sigma_ms })
}

#[test]
fn a_phone_that_sounds_a_minute_late_is_refused_and_stays() {
    let the_box = TheBox::start();
    let mut phone = Phone::join(&the_box);
    phone.say("calibrated", &calibrated(Some(60_000.0)));
    assert_eq!(phone.hear_refusal(), "invalid_payload");
    assert!(phone.is_served());
}

#[test]
fn sx09_t1_comes_back_digit_for_digit_between_t2_and_t3() {
    let the_box = TheBox::start();
    let mut phone = Phone::connect(&the_box);
    let head = r#""header":{"id":"7d9f0f2e-92a3-4c4e-9a57-0f5b0c0f5a11","timestamp":1.5,"node_id":"7d9f0f2e-92a3-4c4e-9a57-0f5b0c0f5a12","sequence":7}"#;
    let before = unix_now();
    for t1 in ["123456.7890", "1e3", "0.10000000000000000001", "-5"] {
        phone.send(&format!(r#"{{"type":"clock_sync",{head},"t1":{t1}}}"#));
        let Ok(Message::Text(text)) = phone.socket.read() else { panic!("no answer") };
        assert!(text.contains(&format!(r#""t1":{t1},"#)), "{text}");
        let answer: Value = serde_json::from_str(&text).expect("JSON");
        let (t2, t3) = (answer["t2"].as_f64(), answer["t3"].as_f64());
        assert!(t2 <= t3 && t2 >= Some(before - 0.1) && t3 <= Some(unix_now() + 0.1), "{text}");
    }
}

#[test]
fn sx17_the_eleventh_clock_sync_of_a_second_is_refused() {
    let the_box = TheBox::start();
    let mut phone = Phone::connect(&the_box);
    for t1 in 0..11 {
        phone.ask_time(&json!(t1));
    }
    let answers: Vec<Value> = (0..11).filter_map(|_| phone.next()).collect();
    let answered = answers.iter().filter(|it| it["type"] == "clock_sync_response").count();
    assert_eq!((answered, &answers[10]["code"]), (10, &json!("rate_limited")));
}

#[test]
fn sx17_limits_are_what_the_box_file_says() {
    let the_box = TheBox::start_with(
        "[limits]\nclock_syncs_per_second = 2\nmedia_controls_per_second = 3\nmessages_per_second = 4\n\
         connections_per_address = 1\n",
    );
    let mut phone = Phone::connect(&the_box);
    (0..3).for_each(|t1| phone.ask_time(&json!(t1)));
    assert_eq!(phone.hear_refusal(), "rate_limited");
    (0..3).for_each(|_| phone.say("media_control", &json!({ "action": "stop" })));
    (0..3).for_each(|_| assert_eq!(phone.hear_refusal(), "forbidden"));
    phone.say("media_control", &json!({ "action": "stop" }));
    assert_eq!(phone.hear_refusal(), "rate_limited");
    (0..5).for_each(|_| phone.send("nonsense"));
    (0..4).for_each(|_| assert_eq!(phone.hear_refusal(), "invalid_payload"));
    assert_eq!(phone.hear_refusal(), "rate_limited");
    assert_eq!(Phone::connect(&the_box).hear_refusal(), "too_many_connections");
}

#[test]
fn sx17_the_eleventh_socket_of_an_address_is_told_why_and_closed() {
    let the_box = TheBox::start();
    let mut phones: Vec<Phone> = (0..10).map(|_| Phone::join(&the_box)).collect();
    let mut eleventh = Phone::connect(&the_box);
    assert_eq!(eleventh.hear_refusal(), "too_many_connections");
    assert_eq!(eleventh.next(), None);
    assert!(phones.iter_mut().all(Phone::is_served), "the ten are not touched");
    // One leaves, and is heard to: the next may come.
    let mut first = phones.remove(0);
    first.socket.close(None).expect("open");
    assert_eq!(first.next(), None, "its goodbye is answered");
    Phone::join(&the_box);
}

#[test]
fn sx17_an_address_that_says_hello_again_and_again_waits_longer_and_no_other_does() {
    let the_box = TheBox::start_with("[limits]\nconnections_per_address = 1\n");
    let mut again = Phone::connect(&the_box);
    (0..4).for_each(|_| again.hello());
    again.say("hello", &json!({ "protocol_version": "0.1.0", "node_type": "client" }));
    Phone::over(the_box.place.http, dial_from(&the_box, [127, 0, 0, 2]), None).hello();
    assert!(!again.has_welcome(), "it has not had its turn");
}

impl Phone {
    /// Whether another answer to its hello has come by now.
    pub fn has_welcome(&mut self) -> bool {
        self.socket.get_mut().set_nonblocking(true).expect("a socket");
        let words = std::iter::from_fn(|| self.socket.read().ok());
        words.into_iter().any(|word| word.to_text().is_ok_and(|text| text.contains("\"hello\"")))
    }
}

fn dial_from(the_box: &TheBox, address: [u8; 4]) -> TcpStream {
    let socket = Socket::new(Domain::IPV4, Type::STREAM, None).expect("a socket");
    socket.bind(&SocketAddr::from((address, 0)).into()).expect("loopback is all of 127.0.0.0/8");
    let to = SocketAddr::from(([127, 0, 0, 1], the_box.place.http));
    socket.connect(&to.into()).expect("it listens");
    let stream: TcpStream = socket.into();
    stream.set_read_timeout(Some(PATIENCE)).expect("a timeout");
    stream
}

#[test]
fn sx17_media_controls_of_the_audience_are_forbidden_and_counted() {
    let the_box = TheBox::start();
    let mut phone = Phone::join(&the_box);
    let play = json!({ "action": "play", "track_id": "track_001" });
    (0..101).for_each(|_| phone.say("media_control", &play));
    for _ in 0..100 {
        assert_eq!(phone.hear_refusal(), "forbidden");
    }
    assert_eq!(phone.hear_refusal(), "rate_limited");
    assert_eq!(the_box.ask_json(&["status"])["show"]["running"], json!([]));
}

#[test]
fn who_joins_a_house_that_is_short_of_air_is_told_how_often_to_ask() {
    let the_box = TheBox::start_with("[limits]\nclock_syncs_total_per_second = 1\n");
    let pace = Phone::join(&the_box).hear("clock_pace");
    assert!(pace["min_interval_ms"].as_u64() >= Some(2_500), "{pace}");
}

#[test]
fn sx08_another_major_version_is_told_so_and_closed() {
    let the_box = TheBox::start();
    let mut phone = Phone::connect(&the_box);
    phone.say("hello", &json!({ "protocol_version": "1.0.0", "node_type": "client" }));
    assert_eq!(phone.hear_refusal(), "version_mismatch");
    assert_eq!(phone.next(), None);
}

#[test]
fn note1_nonsense_is_refused_and_the_socket_stays() {
    let the_box = TheBox::start();
    let mut phone = Phone::connect(&the_box);
    for nonsense in ["", "{", "[]", r#"{"type":"hello"}"#, "\u{1F3BA}"] {
        phone.send(nonsense);
        assert_eq!(phone.hear_refusal(), "invalid_payload", "{nonsense}");
    }
    phone.socket.send(Message::binary(noise(1, 100))).expect("open");
    assert_eq!(phone.hear_refusal(), "invalid_payload");
    phone.say("waltz", &json!({}));
    assert!(phone.is_served(), "an unknown type is passed over in silence");
}

#[test]
fn note7_a_token_over_plain_http_is_refused() {
    let the_box = TheBox::start();
    let mut phone = Phone::connect(&the_box);
    let token =
        json!({ "protocol_version": "0.1.0", "node_type": "client", "auth_token": "a.b.c" });
    phone.say("hello", &token);
    assert_eq!(phone.hear_refusal(), "unauthorized");
    phone.hello();
}

#[test]
fn a_message_longer_than_any_of_the_protocol_ends_only_its_own_socket() {
    let the_box = TheBox::start();
    let mut other = Phone::join(&the_box);
    let mut phone = Phone::connect(&the_box);
    phone.send(&" ".repeat(65 << 10));
    let closed = loop {
        match phone.socket.read() {
            Ok(Message::Close(frame)) => break frame.map(|frame| frame.code),
            Ok(_) => {}
            Err(_) => break None,
        }
    };
    assert_eq!(closed, Some(CloseCode::Size));
    assert!(other.is_served());
}

#[test]
fn sx12_node_status_comes_every_five_seconds() {
    let the_box = TheBox::start();
    let mut phone = Phone::join(&the_box);
    let first = phone.hear("node_status");
    assert_eq!(first.get("battery_level"), None, "what is not known is left out");
    let second = phone.hear("node_status");
    // The first may have been drawn up as the phone came in.
    assert_eq!((&second["node_type"], &second["connected_clients"]), (&json!("master"), &json!(1)));
    let at = |message: &Value| message["header"]["timestamp"].as_f64().expect("seconds");
    let gap = at(&second) - at(&first);
    assert!((4.5..6.0).contains(&gap), "{gap}");
}

#[test]
fn sx10_a_go_reaches_every_phone_as_one_message() {
    let the_box = TheBox::start();
    let mut phones: Vec<Phone> = (0..3).map(|_| Phone::join(&the_box)).collect();
    // A welcome comes before its phone is among those who hear all.
    assert!(phones.iter_mut().all(Phone::is_served));
    assert_eq!(the_box.knock("POST", "/api/v1/go", "").0, 200);
    let screens: Vec<Value> = phones.iter_mut().map(|phone| phone.hear("screen")).collect();
    assert_eq!(screens[0]["color"], "#ff8000");
    assert_eq!(screens[0]["text"], "Good evening");
    assert!(screens.iter().all(|screen| screen == &screens[0]));
    let order = &screens[0]["header"]["id"];
    phones[0].say("played", &json!({ "order": order, "at": unix_now(), "source": "screen" }));
    assert!(phones[0].is_served());
}

#[test]
fn sx10_who_joins_late_or_again_is_told_what_plays_since_when() {
    let the_box = TheBox::start();
    let mut early = Phone::join(&the_box);
    assert_eq!(the_box.knock("POST", "/api/v1/go", "").0, 200);
    assert_eq!(the_box.knock("POST", "/api/v1/go", "").0, 200);
    let play = early.hear("media_control");
    drop(early);
    let mut late = Phone::join(&the_box);
    let (again, screen) = match late.next().expect("the state follows the welcome") {
        first if first["type"] == "screen" => (late.hear("media_control"), first),
        first => (first, late.hear("screen")),
    };
    assert_eq!((&again["action"], &again["track_id"]), (&json!("play"), &json!("track_001")));
    assert_eq!(again["start_at"], play["start_at"], "the same place in the track");
    assert_eq!(screen["color"], "#ff8000");
}

#[test]
fn a_phone_that_stops_reading_costs_only_itself() {
    let text = "la ".repeat(10_000);
    let place = crate::the_box::Place::new();
    let show = std::fs::read_to_string(place.path("show.toml")).expect("ours");
    std::fs::write(place.path("show.toml"), show.replace("Good evening", &text)).expect("ours");
    let the_box = place.run();
    let mut reader = Phone::join(&the_box);
    let stuck = Phone::join(&the_box);
    let mut rounds = 0;
    let mut slowest = Duration::ZERO;
    // Each round is 30 kB for the stuck one: the kernel takes some megabytes, then its queue fills.
    while sockets(&the_box) == 2 {
        let begin = Instant::now();
        assert_eq!(the_box.knock("POST", "/api/v1/fire", r#"{"cue":"1"}"#).0, 200);
        reader.hear("screen");
        slowest = slowest.max(begin.elapsed());
        rounds += 1;
        assert!(rounds < 3000, "it was never let go");
    }
    assert!(reader.is_served());
    assert!(slowest < Duration::from_secs(2), "{slowest:?}");
    drop(stuck);
}

pub fn sockets(the_box: &TheBox) -> u64 {
    let (_, answer) = the_box.knock("GET", "/api/v1/phones", "");
    crate::the_box::body(&answer)["sockets"].as_u64().expect("a number")
}

#[test]
fn noise_after_the_handshake_ends_only_its_own_socket() {
    let mut the_box = TheBox::start();
    let mut other = Phone::join(&the_box);
    for seed in 0..40 {
        let mut phone = Phone::connect(&the_box);
        let stream = phone.socket.get_mut();
        // It may hang up in the middle, which is its right.
        let _ = stream.write_all(&noise(seed, 1 + (seed as usize * 131) % 4000));
        let _ = stream.shutdown(std::net::Shutdown::Write);
        let _ = stream.read_to_end(&mut Vec::new());
    }
    assert!(the_box.is_alive());
    assert!(other.is_served());
}

#[test]
fn a_request_that_is_no_handshake_is_told_what_this_is() {
    let the_box = TheBox::start();
    assert_eq!(the_box.fetch("/ws", "").0, 426);
    assert_eq!(the_box.fetch("/ws", "upgrade: websocket\r\nsec-websocket-version: 13\r\n").0, 426);
}

#[test]
fn a_planned_exit_says_goodbye_to_every_phone() {
    let mut the_box = TheBox::start();
    let mut phone = Phone::join(&the_box);
    the_box.signal(Signal::SIGTERM);
    let code = loop {
        match phone.socket.read() {
            Ok(Message::Close(frame)) => break frame.map(|frame| frame.code),
            Ok(_) => {}
            Err(_) => break None,
        }
    };
    assert_eq!(code, Some(CloseCode::Away));
    assert_eq!(the_box.wait_for_the_end().0.code(), Some(0));
}

#[test]
fn sx20_orders_that_came_too_late_are_counted_and_shown_everywhere() {
    let the_box = TheBox::start();
    let [mut punctual, mut slow, mut screen] = [(); 3].map(|()| Phone::join(&the_box));
    let sync = json!({ "clock_ms": 1.0, "output_ms": null, "output_source": "unknown", "acoustic_ms": null,
        "delay_ms": 0.0, "nudge_ms": 0.0 });
    let status = |need_ms: f64| json!({ "node_type": "client", "delivery_ms": 12.5, "need_ms": need_ms, "sync": sync });
    punctual.say("node_status", &status(80.0));
    // What it needs is longer than anybody waits for it.
    slow.say("node_status", &status(500.0));
    assert_eq!(the_box.knock("POST", "/api/v1/go", "").0, 200);
    let heard =
        [(&mut punctual, "audio_clock"), (&mut slow, "audio_clock"), (&mut screen, "screen")];
    for (phone, source) in heard {
        let order = phone.hear("screen");
        let (id, came) = (&order["header"]["id"], &order["header"]["timestamp"]);
        let played = json!({ "order": id, "at": order["start_at"], "source": source, "arrived": came,
            "clock_error_ms": 1.0 });
        phone.say("played", &played);
        assert!(phone.is_served(), "it was heard");
    }
    // A socket is answered before the engine has been told what came by it.
    let mut document = Value::Null;
    until("all three are known to be reached", || {
        document = the_box.ask_json(&["phones"]);
        document["delivery"]["reached"] == 3
    });
    assert_eq!(document["delivery"]["late"], 1);
    let of = |k: usize| document["phones"][k]["delivery"].clone();
    assert_eq!((&of(0)["late"], &of(1)["late"]), (&json!(0), &json!(1)));
    assert_eq!(of(0)["p99_ms"], 110.0, "12.5 and 1 and 80 ms, up to the edge above");
    assert!(document["phones"][0]["heard_s"].as_f64().is_some_and(|it| it < 60.0), "{document}");
    for word in ["phones", "status"] {
        let said = String::from_utf8_lossy(&the_box.ask(&[word]).stdout).into_owned();
        assert!(said.contains("1 of 3 too late (33.33 %)"), "{word}: {said}");
    }
    let metrics = the_box.fetch("/metrics", "").1;
    assert!(metrics.contains("\ndownbeat_orders_late_total 1\n"), "{metrics}");
}

#[test]
fn sx10_the_box_counts_the_phones_that_have_every_track() {
    let the_box = TheBox::start();
    let says = |ready: u32, wanted: u32| json!({ "node_type": "client", "tracks_ready": ready, "tracks_wanted": wanted });
    let [mut one, mut two] = [(); 2].map(|()| Phone::join(&the_box));
    let ready = || the_box.ask_json(&["status"])["phones"]["ready"].clone();
    assert_eq!(ready(), 0, "nobody has said so");
    one.say("node_status", &says(3, 3));
    two.say("node_status", &says(2, 3));
    assert!(one.is_served() && two.is_served(), "they were heard");
    assert_eq!(ready(), 1);
    let table = String::from_utf8_lossy(&the_box.ask(&["phones"]).stdout).into_owned();
    assert!(table.contains("3 of 3") && table.contains("2 of 3"), "{table}");
    two.say("node_status", &says(3, 3));
    assert!(two.is_served());
    assert_eq!(ready(), 2);
}
