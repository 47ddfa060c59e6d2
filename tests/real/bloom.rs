//! `/bloom` as phones meet it: the document's list of tests over sockets, and participants that behave badly.

use std::io::{Read, Write};
use std::net::{Shutdown, TcpStream};
use std::sync::{Arc, Mutex, Once};
use std::time::{Duration, Instant};

use engine::phones::Limits;
use engine::rooms::{IDLE, Standing};
use io::clock::BoxClock;
use io::http::{Place as Seat, Switchboard};
use nix::sys::signal::Signal;
use serde_json::{Value, json};
use tests::seeds::seeds;
use tokio_tungstenite::tungstenite::client::IntoClientRequest;
use tokio_tungstenite::tungstenite::http::HeaderValue;
use tokio_tungstenite::tungstenite::protocol::frame::coding::CloseCode;
use tokio_tungstenite::tungstenite::{Error, HandshakeError, Message, WebSocket, client};
use tools::rooms::{Load, through_channels, through_rooms};
use tracing::field::{Field, Visit};
use tracing::span::{Attributes, Id, Record};
use tracing_subscriber::layer::{Context, Layer, SubscriberExt};
use tracing_subscriber::registry::LookupSpan;
use tracing_subscriber::util::SubscriberInitExt;
use wire::bloom::{ErrorCode, Event, ParticipantId, Request, parse_event};

use crate::proxy::until;
use crate::secure::tls;
use crate::the_box::{PATIENCE, Place, TheBox, body, noise};

/// A participant that says exactly what the test wants.
struct Caller<S = TcpStream> {
    socket: WebSocket<S>,
}

impl Caller {
    fn connect(the_box: &TheBox) -> Self {
        open(the_box.dial(), "/bloom", None).expect("the box opens")
    }

    /// Has created a room, which comes back.
    fn create(the_box: &TheBox) -> (Self, String, String) {
        let mut caller = Self::connect(the_box);
        let (room, id) = caller.make_room();
        (caller, room, id)
    }

    /// Has joined a room; its own id, which is the last of the list.
    fn join(the_box: &TheBox, room: &str) -> (Self, String) {
        let mut caller = Self::connect(the_box);
        let id = caller.join_room(room);
        (caller, id)
    }
}

/// A socket, or the status of the refusal.
fn open<S: Read + Write>(
    stream: S,
    path: &str,
    authorization: Option<&str>,
) -> Result<Caller<S>, u16> {
    let mut request = format!("ws://127.0.0.1{path}").into_client_request().expect("a url");
    if let Some(value) = authorization {
        let value = HeaderValue::from_str(value).expect("a header value");
        request.headers_mut().insert("authorization", value);
    }
    match client(request, stream) {
        Ok((socket, _)) => Ok(Caller { socket }),
        Err(HandshakeError::Failure(Error::Http(response))) => Err(response.status().as_u16()),
        Err(error) => panic!("no handshake: {error}"),
    }
}

impl<S: Read + Write> Caller<S> {
    fn say(&mut self, message: &Value) {
        self.send(&message.to_string());
    }

    fn send(&mut self, text: &str) {
        self.socket.send(Message::text(text)).expect("the box reads");
    }

    /// The next message; none if the box closes.
    fn next(&mut self) -> Option<Event> {
        let end = Instant::now() + PATIENCE;
        while Instant::now() < end {
            match self.socket.read() {
                Ok(Message::Text(text)) => {
                    return Some(parse_event(&text).expect("the box speaks Bloom"));
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

    fn hear(&mut self) -> Value {
        let event = self.next().expect("the socket is open");
        serde_json::to_value(event).expect("it has a JSON form")
    }

    /// The next messages, in this order.
    fn hears(&mut self, wanted: &[Value]) {
        let heard: Vec<Value> = wanted.iter().map(|_| self.hear()).collect();
        assert_eq!(heard, wanted);
    }

    fn hear_refusal(&mut self) -> String {
        let heard = self.hear();
        assert_eq!(heard["type"], "Error", "{heard}");
        heard["code"].as_str().expect("a code").to_owned()
    }

    /// Says what stands there, and how it is refused.
    fn refused(&mut self, text: &str) -> String {
        self.send(text);
        self.hear_refusal()
    }

    fn make_room(&mut self) -> (String, String) {
        self.say(&json!({ "type": "CreateRoom" }));
        let created = self.hear();
        assert_eq!(created["type"], "RoomCreated", "{created}");
        let text = |key: &str| created[key].as_str().expect("a text").to_owned();
        let (room, id) = (text("room_id"), text("self_id"));
        self.hears(&[list(&room, &[&id])]);
        (room, id)
    }

    fn join_room(&mut self, room: &str) -> String {
        self.say(&json!({ "type": "JoinRoom", "room_id": room }));
        let joined = self.hear();
        let id = joined["participant_id"].as_str().expect("PeerConnected").to_owned();
        let listed = self.hear();
        assert_eq!(listed["participants"].as_array().and_then(|it| it.last()), Some(&json!(id)));
        id
    }

    /// Whether the box still answers on this socket.
    fn is_served(&mut self) -> bool {
        self.refused(r#"{"type":"Waltz"}"#) == "InvalidPayload"
    }
}

fn list(room: &str, participants: &[&str]) -> Value {
    json!({ "type": "RoomParticipants", "room_id": room, "participants": participants })
}

fn came(id: &str) -> Value {
    json!({ "type": "PeerConnected", "participant_id": id })
}

fn left(id: &str) -> Value {
    json!({ "type": "PeerDisconnected", "participant_id": id })
}

fn offer(to: &str, sdp: &str) -> Value {
    json!({ "type": "Offer", "to": to, "sdp": sdp })
}

fn offered(from: &str, sdp: &str) -> Value {
    json!({ "type": "Offer", "from": from, "sdp": sdp })
}

#[test]
fn bl01_bl02_bl03_bl07_a_room_is_made_joined_and_left_and_a_dropped_socket_is_a_leave() {
    let the_box = TheBox::start();
    let (mut first, room, a) = Caller::create(&the_box);
    let (mut second, b) = Caller::join(&the_box, &room);
    first.hears(&[came(&b), list(&room, &[&a, &b])]);
    let (third, c) = Caller::join(&the_box, &room);
    first.hears(&[came(&c), list(&room, &[&a, &b, &c])]);
    second.hears(&[came(&c), list(&room, &[&a, &b, &c])]);
    drop(third);
    first.hears(&[left(&c), list(&room, &[&a, &b])]);
    second.hears(&[left(&c), list(&room, &[&a, &b])]);
    second.say(&json!({ "type": "LeaveRoom" }));
    first.hears(&[left(&b), list(&room, &[&a])]);
    assert_eq!(second.join_room(&room), b, "a participant is a socket");
    for id in [&room, &a, &b] {
        let id: uuid::Uuid = id.parse().expect("BL-11: a uuid");
        assert_eq!(id.get_version_num(), 4);
    }
}

#[test]
fn bl04_the_ninth_of_a_room_is_told_that_it_is_full() {
    let the_box = TheBox::start();
    let (_first, room, _) = Caller::create(&the_box);
    let _others: Vec<_> = (0..7).map(|_| Caller::join(&the_box, &room)).collect();
    let mut ninth = Caller::connect(&the_box);
    let join = json!({ "type": "JoinRoom", "room_id": room });
    assert_eq!(ninth.refused(&join.to_string()), "RoomFull");
    assert!(ninth.is_served());
}

#[test]
fn bl05_what_is_for_one_reaches_that_one_alone_as_it_was_on_either_port() {
    let the_box = TheBox::start();
    let (mut first, room, a) = Caller::create(&the_box);
    let mut second = open(tls(&the_box, None), "/bloom", None).expect("the box opens");
    let b = second.join_room(&room);
    let (mut third, c) = Caller::join(&the_box, &room);
    first.hears(&[came(&b), list(&room, &[&a, &b]), came(&c), list(&room, &[&a, &b, &c])]);
    second.hears(&[came(&c), list(&room, &[&a, &b, &c])]);
    let sdp = format!(
        "v=0\r\ns=\u{1F3BA}\r\n{}",
        "a=candidate:1 1 udp 1 ::1 9 typ relay\r\n".repeat(800)
    );
    first.say(&offer(&b, &sdp));
    first.say(&json!({ "type": "IceCandidate", "to": b, "candidate": "" }));
    first.say(&offer(&c, "for the third"));
    second
        .hears(&[offered(&a, &sdp), json!({ "type": "IceCandidate", "from": a, "candidate": "" })]);
    second.say(&json!({ "type": "Answer", "to": a, "sdp": sdp }));
    first.hears(&[json!({ "type": "Answer", "from": b, "sdp": sdp })]);
    third.hears(&[offered(&a, "for the third")]);
    drop(third);
    first.hears(&[left(&c), list(&room, &[&a, &b])]);
    assert_eq!(first.refused(&offer(&c, "too late").to_string()), "ParticipantNotFound");
    second.hears(&[left(&c), list(&room, &[&a, &b])]);
    let (mut back, d) = Caller::join(&the_box, &room);
    first.hears(&[came(&d), list(&room, &[&a, &b, &d])]);
    first.say(&offer(&d, "for whoever is there"));
    back.hears(&[offered(&a, "for whoever is there")]);
}

#[test]
fn bl06_nonsense_is_refused_changes_nothing_and_leaves_the_socket_open() {
    let the_box = TheBox::start();
    let (mut first, room, a) = Caller::create(&the_box);
    let (mut second, b) = Caller::join(&the_box, &room);
    first.hears(&[came(&b), list(&room, &[&a, &b])]);
    let unknown = json!({ "type": "JoinRoom", "room_id": uuid::Uuid::from_u128(7) }).to_string();
    for text in ["", "{", "[]", r#"{"type":"LeaveRoom","why":1}"#, r#"{"type":"Offer"}"#, &unknown]
    {
        assert_eq!(second.refused(text), "InvalidPayload", "{text}");
    }
    second.socket.send(Message::binary(noise(1, 100))).expect("open");
    assert_eq!(second.hear_refusal(), "InvalidPayload");
    first.say(&offer(&b, "still here"));
    second.hears(&[offered(&a, "still here")]);
}

#[test]
fn bl06_what_the_vectors_refuse_the_box_refuses() {
    let the_box = TheBox::start();
    let refused: Vec<Value> =
        serde_json::from_str(include_str!("../vectors/bloom/refused.json")).expect("vectors");
    // Twenty a second of one socket.
    for some in refused.chunks(19) {
        let mut caller = Caller::connect(&the_box);
        for vector in some {
            let text = vector["text"].as_str().expect("a text");
            assert_eq!(caller.refused(text), "InvalidPayload", "{}", vector["name"]);
        }
    }
}

#[test]
fn bl08_the_twenty_first_of_a_second_is_refused_and_after_a_second_it_is_open_again() {
    let the_box = TheBox::start();
    let (mut first, room, a) = Caller::create(&the_box);
    let (mut second, b) = Caller::join(&the_box, &room);
    first.hears(&[came(&b), list(&room, &[&a, &b])]);
    let begin = Instant::now();
    // It has joined, too, in the same second.
    (0..20).for_each(|nth| second.say(&offer(&a, &nth.to_string())));
    assert_eq!(second.hear_refusal(), "RateLimited");
    (0..19).for_each(|nth| first.hears(&[offered(&b, &nth.to_string())]));
    let mut dropped = 0;
    while second.refused("{") == "RateLimited" {
        dropped += 1;
        assert!(begin.elapsed() < PATIENCE);
    }
    assert!(dropped > 0 && begin.elapsed() >= Duration::from_secs(1), "{dropped}");
    second.say(&offer(&a, "open"));
    first.hears(&[offered(&b, "open")]);
}

#[test]
fn bl08_of_fifteen_hundred_at_once_all_but_the_first_are_dropped_in_that_second_and_none_is_kept() {
    let the_box = TheBox::start();
    let (mut first, room, a) = Caller::create(&the_box);
    let (mut second, b) = Caller::join(&the_box, &room);
    first.hears(&[came(&b), list(&room, &[&a, &b])]);
    for nth in 0..1500 {
        let message = Message::text(offer(&a, &nth.to_string()).to_string());
        second.socket.write(message).expect("the box reads");
    }
    second.socket.flush().expect("the box reads");
    // It has joined, too, in the same second.
    (0..19).for_each(|nth| first.hears(&[offered(&b, &nth.to_string())]));
    (19..1500).for_each(|_| assert_eq!(second.hear_refusal(), "RateLimited"));
    let begin = Instant::now();
    while second.refused("{") == "RateLimited" {
        assert!(begin.elapsed() < PATIENCE);
    }
    second.say(&offer(&a, "open"));
    first.hears(&[offered(&b, "open")]);
}

#[test]
fn bl09_eight_who_say_fifty_messages_in_a_second_lose_none() {
    let the_box = TheBox::start();
    let (first, room, a) = Caller::create(&the_box);
    let mut people = vec![(first, a)];
    for nth in 1..8 {
        people.push(Caller::join(&the_box, &room));
        let (new, listed) = (people[nth].1.clone(), ids(&people));
        let listed: Vec<&str> = listed.iter().map(String::as_str).collect();
        people[..nth].iter_mut().for_each(|(it, _)| it.hears(&[came(&new), list(&room, &listed)]));
    }
    let ids = ids(&people);
    let sdp = "a=candidate:1 1 udp 1 192.0.2.3 54400 typ host\r\n".repeat(60);
    for nth in 0..50 {
        people[nth % 8].0.say(&offer(&ids[hearer(nth)], &sdp));
    }
    for nth in 0..50 {
        let heard = people[hearer(nth)].0.hear();
        assert_eq!((&heard["type"], &heard["sdp"]), (&json!("Offer"), &json!(sdp)));
    }
}

/// Of the nth message: everybody speaks to each of the others by turns.
fn hearer(nth: usize) -> usize {
    (nth + 1 + nth / 8) % 8
}

fn ids(people: &[(Caller, String)]) -> Vec<String> {
    people.iter().map(|(_, id)| id.clone()).collect()
}

#[test]
fn bl09_fifty_rooms_of_eight_lose_no_word_beside_a_flood_of_rooms_either() {
    let lasts = Duration::from_secs(2);
    let load = Load { rooms: 50, messages_per_second: 50.0, lasts, flooders: 0 };
    let runtime = tokio::runtime::Runtime::new().expect("a runtime");
    let bare = runtime.block_on(through_channels(load));
    for flooders in [0, 32] {
        let figures = runtime.block_on(through_rooms(Load { flooders, ..load }));
        assert!(figures.said > 4_000, "{}", figures.said);
        assert_eq!(figures.hops.len() as u64, figures.said);
        let (p95, ratio) =
            (figures.hop(0.95), figures.hop(0.95).secs_f64() / bare.hop(0.95).secs_f64());
        println!("{flooders} flooders: p95 {p95}, {ratio:.1} of bare channels");
    }
}

const TOKEN: &str = "correct-horse.battery_staple~7";

fn guarded_place() -> Place {
    let place = Place::new();
    let path = place.path("bloom.token");
    std::fs::write(&path, format!("{TOKEN}\n")).expect("written");
    place.write_box(&format!("[bloom]\ntoken_file = {:?}\n", path.to_str().expect("UTF-8")));
    place
}

#[test]
fn bl12_with_a_token_in_the_box_file_who_shows_it_over_tls_creates_rooms_and_the_messages_are_the_same()
 {
    let the_box = guarded_place().run();
    let (bearer, asked) = (format!("Bearer {TOKEN}"), format!("/bloom?token={TOKEN}"));
    let mut first = open(tls(&the_box, None), "/bloom", Some(&bearer)).expect("the token holds");
    let (room, _) = first.make_room();
    let mut second = open(tls(&the_box, None), &asked, None).expect("the token holds");
    second.join_room(&room);
    for wrong in ["Bearer no", "Basic abc", "Bearer correct-horse.battery_staple~8"] {
        let answer = open(tls(&the_box, None), "/bloom", Some(wrong)).map(|_| ());
        let is_bearer = wrong.starts_with("Bearer");
        assert_eq!(answer, if is_bearer { Err(401) } else { Ok(()) }, "{wrong}");
    }
    let readable = open(the_box.dial(), "/bloom", Some(&bearer)).map(|_| ());
    assert_eq!(readable, Err(401), "row note 7");
    let mut guest = Caller::connect(&the_box);
    assert_eq!(guest.refused(r#"{"type":"CreateRoom"}"#), "InvalidPayload");
    let join = json!({ "type": "JoinRoom", "room_id": room }).to_string();
    assert_eq!(guest.refused(&join), "InvalidPayload");
}

#[test]
fn bl12_without_one_nobody_looks_at_tokens() {
    let the_box = TheBox::start();
    let mut caller = open(the_box.dial(), "/bloom", Some("Bearer a.b.c")).expect("the box opens");
    caller.make_room();
}

#[test]
fn a_token_file_that_is_not_there_or_holds_none_is_named_and_never_quoted() {
    let place = Place::new();
    let path = place.path("bloom.token");
    place.write_box(&format!("[bloom]\ntoken_file = {:?}\n", path.to_str().expect("UTF-8")));
    for content in [None, Some("too short"), Some("with blanks in the middle of it")] {
        content.iter().for_each(|it| std::fs::write(&path, it).expect("written"));
        let folder = place.folder.path().to_str().expect("UTF-8").to_owned();
        for words in [["check", &folder], ["run", &folder]] {
            let output = place.downbeat(&words).output().expect("the program starts");
            let said = String::from_utf8_lossy(&output.stderr).into_owned();
            assert_eq!(output.status.code(), Some(1), "{said}");
            assert!(said.contains("bloom.token"), "{said}");
            assert!(content.is_none_or(|it| !said.contains(it)), "{said}");
        }
    }
}

#[test]
fn an_address_has_its_sockets_and_one_more_is_told_so() {
    let the_box = TheBox::start_with("[limits]\nsignalling_per_address = 2\n");
    let mut two = [Caller::connect(&the_box), Caller::connect(&the_box)];
    // An open socket has its place a moment later; before that, the third might take it.
    assert!(two.iter_mut().all(Caller::is_served));
    let mut third = Caller::connect(&the_box);
    assert_eq!(third.hear_refusal(), "RateLimited");
    assert_eq!(third.next(), None);
    assert!(two.iter_mut().all(Caller::is_served));
    crate::ws::Phone::join(&the_box);
    let [first, _] = &mut two;
    first.socket.close(None).expect("open");
    assert_eq!(first.next(), None, "its goodbye is answered");
    assert!(Caller::connect(&the_box).is_served());
}

#[test]
fn a_participant_that_stops_reading_costs_only_itself() {
    let the_box = TheBox::start_with("[limits]\nsignalling_per_address = 1000\n");
    let (mut first, room, a) = Caller::create(&the_box);
    let (stuck, s) = Caller::join(&the_box, &room);
    first.hears(&[came(&s), list(&room, &[&a, &s])]);
    let sdp = "x".repeat(30_000);
    // A speaker has twenty messages, so speakers come and go; each sees that the box still serves. A queue that is full
    // for a moment is not yet a socket that is stuck: of the last speaker nothing finds a place.
    let mut speaker = loop {
        let (mut speaker, b) = Caller::join(&the_box, &room);
        let mut refused = 0;
        for _ in 0..9 {
            speaker.say(&offer(&s, &sdp));
            speaker.say(&offer(&b, "are you there?"));
            let mut heard = speaker.hear();
            while heard != offered(&b, "are you there?") {
                if heard["type"] == "Error" {
                    assert_eq!(heard["code"], "Internal", "BL-05: not queued, and it knows");
                    refused += 1;
                }
                heard = speaker.hear();
            }
        }
        if refused == 9 {
            break speaker;
        }
    };
    assert!(metric(&the_box, "bloom_dropped_total") >= 9.0);
    while speaker.hear() != left(&s) {}
    drop(stuck);
}

#[test]
fn one_who_reads_cannot_be_thrown_out_by_what_others_say_within_their_rate() {
    let the_box = TheBox::start();
    let (mut reader, room, r) = Caller::create(&the_box);
    let mut others: Vec<_> = (0..7).map(|_| Caller::join(&the_box, &room)).collect();
    let sdp = "x".repeat(30_000);
    for (speaker, _) in &mut others {
        (0..18).for_each(|_| speaker.say(&offer(&r, &sdp)));
        speaker.say(&json!({ "type": "LeaveRoom" }));
    }
    let (mut heard, mut gone) = (0, 0);
    while gone < 7 {
        match reader.hear()["type"].as_str() {
            Some("Offer") => heard += 1,
            Some("PeerDisconnected") => gone += 1,
            _ => {}
        }
    }
    reader.hears(&[list(&room, &[&r])]);
    let dropped = metric(&the_box, "bloom_dropped_total");
    assert_eq!(f64::from(heard) + dropped, 7.0 * 18.0, "each was heard or its speaker was told");
    assert_eq!(metric(&the_box, "bloom_too_slow_total"), 0.0);
    assert!(reader.is_served());
}

#[tokio::test]
async fn what_finds_no_place_is_dropped_its_speaker_is_told_and_the_room_s_own_words_have_theirs() {
    let board = board();
    let (mut reader, r) = seat(&board);
    let (mut speaker, s) = seat(&board);
    reader.say(r#"{"type":"CreateRoom"}"#);
    let room_id = board.glance().rooms[0].room_id;
    speaker.say(&Request::JoinRoom { room_id: room_id.to_string() }.emit());
    let sdp = "x".repeat(30_000);
    for _ in 0..18 {
        speaker.say(&Request::Offer { to: r.to_string(), sdp: sdp.clone() }.emit());
    }
    speaker.say(r#"{"type":"LeaveRoom"}"#);
    let told = heard(&mut speaker, 2 + 14).await;
    let is_told = |it: &Event| matches!(it, Event::Error { code: ErrorCode::Internal, .. });
    assert!(told[2..].iter().all(is_told), "{told:?}");
    let told = heard(&mut reader, 4 + 4 + 2).await;
    assert!(told[4..8].iter().all(|it| matches!(it, Event::Offer { .. })), "{told:?}");
    assert_eq!(told[8], Event::PeerDisconnected { participant_id: s });
    assert_eq!(told[9], Event::RoomParticipants { room_id, participants: vec![r] });
}

fn metric(the_box: &TheBox, name: &str) -> f64 {
    let (_, page) = the_box.knock("GET", "/metrics", "");
    let line = page.lines().find_map(|it| it.strip_prefix(&format!("downbeat_{name} ")));
    line.and_then(|it| it.parse().ok()).unwrap_or_else(|| panic!("no {name}: {page}"))
}

#[test]
fn a_flood_of_rooms_and_of_nonsense_leaves_an_honest_room_as_it_was() {
    let mut the_box = TheBox::start();
    let (mut first, room, a) = Caller::create(&the_box);
    let (mut second, b) = Caller::join(&the_box, &room);
    first.hears(&[came(&b), list(&room, &[&a, &b])]);
    let mut flood: Vec<Caller> = (0..60).map(|_| Caller::connect(&the_box)).collect();
    for round in 0..10 {
        for caller in &mut flood {
            for text in [r#"{"type":"CreateRoom"}"#, "{", r#"{"type":"LeaveRoom"}"#] {
                caller.send(text);
            }
        }
        let word = round.to_string();
        first.say(&offer(&b, &word));
        second.hears(&[offered(&a, &word)]);
    }
    // Of each at least a dozen messages are taken before it is one too many.
    until("the flood was heard", || metric(&the_box, "bloom_messages_total") >= 500.0);
    let rooms = metric(&the_box, "rooms");
    assert!(rooms <= 64.0, "an address has its rooms: {rooms}");
    assert!(the_box.is_alive());
    drop(flood);
    let (_third, c) = Caller::join(&the_box, &room);
    first.hears(&[came(&c), list(&room, &[&a, &b, &c])]);
}

#[test]
fn the_seeds_and_noise_on_a_socket_end_at_most_that_socket() {
    let mut the_box = TheBox::start();
    let (mut first, room, a) = Caller::create(&the_box);
    for seed in seeds(&["bloom"]) {
        let mut caller = Caller::connect(&the_box);
        let text = String::from_utf8_lossy(&seed.bytes).into_owned();
        let sent = text.lines().try_for_each(|line| caller.socket.send(Message::text(line)));
        // Whatever came of it, the box is still there.
        drop((sent, caller));
    }
    for seed in 0..40 {
        let mut caller = Caller::connect(&the_box);
        let stream = caller.socket.get_mut();
        // It may hang up in the middle, which is its right.
        let _ = stream.write_all(&noise(seed, 1 + (seed as usize * 131) % 4000));
        let _ = stream.shutdown(Shutdown::Write);
        let _ = stream.read_to_end(&mut Vec::new());
    }
    assert!(the_box.is_alive());
    until("all are gone", || metric(&the_box, "bloom_sockets") == 1.0);
    let (_second, b) = Caller::join(&the_box, &room);
    first.hears(&[came(&b), list(&room, &[&a, &b])]);
}

#[test]
fn rooms_shows_who_is_where_since_when_and_how_much_was_said() {
    let the_box = TheBox::start();
    assert_eq!(the_box.ask_json(&["rooms"]), json!({ "sockets": 0, "rooms": [] }));
    let (mut first, room, a) = Caller::create(&the_box);
    let (mut second, b) = Caller::join(&the_box, &room);
    first.say(&offer(&b, "v=0"));
    while second.hear() != offered(&a, "v=0") {}
    let shown = the_box.ask_json(&["rooms"]);
    assert_eq!((&shown["sockets"], &shown["rooms"][0]["room_id"]), (&json!(2), &json!(room)));
    let it = &shown["rooms"][0];
    assert_eq!(it["messages"], 1);
    assert_eq!((&it["participants_max"], &it["kept"]), (&json!(8), &json!(false)));
    assert!(it["age_s"].as_f64() >= it["idle_s"].as_f64() && it["idle_s"].as_f64() >= Some(0.0));
    let people = it["participants"].as_array().expect("a list");
    let named: Vec<&str> = people.iter().filter_map(|it| it["participant_id"].as_str()).collect();
    assert_eq!(named, [a.as_str(), b.as_str()]);
    assert_eq!(people[0]["address"], "127.0.0.1");
    let table = String::from_utf8(the_box.ask(&["rooms"]).stdout).expect("UTF-8");
    for part in [&room, &a, &b, "2 of 8", "127.0.0.1", "idle"] {
        assert!(table.contains(part), "{part}: {table}");
    }
    let (status, answer) = the_box.fetch("/api/v1/rooms", "");
    assert_eq!(status, 401, "a room's id lets anybody in: {answer}");
    let (_, answer) = the_box.knock("GET", "/api/v1/rooms", "");
    assert_eq!(body(&answer)["sockets"], 2);
}

#[test]
fn bl11_an_idle_room_of_a_running_box_ends_all_in_it_are_told_and_their_sockets_stay() {
    let the_box = TheBox::start_with("[bloom]\nidle_s = 1\n");
    let (mut first, room, a) = Caller::create(&the_box);
    let (mut second, b) = Caller::join(&the_box, &room);
    first.hears(&[came(&b), list(&room, &[&a, &b])]);
    for each in [&mut first, &mut second] {
        each.hears(&[left(&a), left(&b), list(&room, &[])]);
    }
    assert_eq!(the_box.ask_json(&["rooms"]), json!({ "sockets": 2, "rooms": [] }));
    let again = json!({ "type": "JoinRoom", "room_id": room }).to_string();
    assert_eq!(second.refused(&again), "InvalidPayload", "it is there no more");
    assert_ne!(first.make_room().0, room);
}

#[test]
fn a_planned_exit_says_goodbye_on_bloom_too() {
    let mut the_box = TheBox::start();
    let (mut first, _, _) = Caller::create(&the_box);
    the_box.signal(Signal::SIGTERM);
    let code = loop {
        match first.socket.read() {
            Ok(Message::Close(frame)) => break frame.map(|frame| frame.code),
            Ok(_) => {}
            Err(_) => break None,
        }
    };
    assert_eq!(code, Some(CloseCode::Away));
    assert_eq!(the_box.wait_for_the_end().0.code(), Some(0));
}

/// A recorder for this thread. Somebody listens for good besides: the last to stop listening makes every place that speaks
/// deaf for a moment, in all threads.
fn recorded<T>(say: impl FnOnce() -> T) -> (T, Vec<String>) {
    static FOR_GOOD: Once = Once::new();
    FOR_GOOD.call_once(|| drop(tracing_subscriber::registry().try_init()));
    let recorder = Recorder::default();
    let subscriber = tracing_subscriber::registry().with(recorder.clone());
    let said = tracing::subscriber::with_default(subscriber, say);
    let lines = recorder.0.lock().expect("nobody panics").clone();
    (said, lines)
}

/// What a subscriber was told of: a line for each span when it ends, and one for each event.
#[derive(Clone, Default)]
struct Recorder(Arc<Mutex<Vec<String>>>);

#[derive(Default)]
struct Fields(String);

impl Visit for Fields {
    fn record_debug(&mut self, field: &Field, value: &dyn std::fmt::Debug) {
        self.0 += &format!(" {}={value:?}", field.name());
    }
}

impl<S: tracing::Subscriber + for<'a> LookupSpan<'a>> Layer<S> for Recorder {
    fn on_new_span(&self, attributes: &Attributes<'_>, id: &Id, context: Context<'_, S>) {
        let mut fields = Fields(attributes.metadata().name().to_owned());
        attributes.record(&mut fields);
        context.span(id).expect("it is new").extensions_mut().insert(fields);
    }
    fn on_record(&self, id: &Id, values: &Record<'_>, context: Context<'_, S>) {
        let span = context.span(id).expect("it lives");
        values.record(span.extensions_mut().get_mut::<Fields>().expect("put there"));
    }
    fn on_event(&self, event: &tracing::Event<'_>, _: Context<'_, S>) {
        let mut fields = Fields(event.metadata().level().to_string());
        event.record(&mut fields);
        self.0.lock().expect("nobody panics").push(fields.0);
    }
    fn on_close(&self, id: Id, context: Context<'_, S>) {
        let span = context.span(&id).expect("it is ending");
        let fields = span.extensions_mut().remove::<Fields>().expect("put there");
        self.0.lock().expect("nobody panics").push(fields.0);
    }
}

#[test]
fn bl10_spans_carry_participant_and_room_the_warning_its_participant_and_no_line_a_secret() {
    let ((room, a, b), lines) = recorded(|| {
        let board = board();
        let (mut first, a) = seat(&board);
        let (_second, b) = seat(&board);
        first.say(r#"{"type":"CreateRoom"}"#);
        let room = board.glance().rooms[0].room_id;
        let sdp = "a=ice-pwd:secret of a description".to_owned();
        first.say(&Request::Offer { to: b.to_string(), sdp: sdp.clone() }.emit());
        first.say(&Request::Answer { to: a.to_string(), sdp: sdp.clone() }.emit());
        first.say(&Request::IceCandidate { to: a.to_string(), candidate: sdp }.emit());
        first.say(r#"{"type":"Offer","secret of a field":1}"#);
        first.say(r#"{"type":"LeaveRoom"}"#);
        let (mut third, _) = seat(&board);
        for _ in 0..40 {
            first.say("secret of nonsense");
            third.say("secret of nonsense of the same machine");
        }
        (room, a, b)
    });
    let (who, place) = (format!("participant_id={a}"), format!("room_id={room}"));
    for kind in ["CreateRoom", "Offer", "Answer", "IceCandidate", "LeaveRoom"] {
        let span = lines.iter().find(|it| it.contains(&format!("kind=\"{kind}\"")));
        let span = span.unwrap_or_else(|| panic!("no span for {kind}: {lines:#?}"));
        assert!(span.contains(&who) && span.contains(&place), "{span}");
    }
    let outside = lines.iter().find(|it| it.contains(&format!("participant_id={b}")));
    assert!(outside.is_some_and(|it| !it.contains("room_id=")), "{lines:#?}");
    let warnings: Vec<&String> = lines.iter().filter(|it| it.starts_with("WARN")).collect();
    assert!(matches!(warnings[..], [it] if it.contains(&who)), "once: {warnings:?}");
    assert!(!lines.iter().any(|it| it.contains("secret")), "{lines:#?}");
}

#[test]
fn bl10_who_drops_out_is_thrown_out_or_finds_a_room_full_is_logged_with_the_room_and_so_is_its_end()
{
    let ((room, kept, [stuck, ninth, dropped]), lines) = recorded(|| {
        let board = board();
        let (mut first, stuck) = seat(&board);
        first.say(r#"{"type":"CreateRoom"}"#);
        let room = board.glance().rooms[0].room_id;
        let join = Request::JoinRoom { room_id: room.to_string() }.emit();
        let mut others: Vec<_> = (0..7).map(|_| seat(&board)).collect();
        others.iter_mut().for_each(|(it, _)| it.say(&join));
        let (mut late, ninth) = seat(&board);
        late.say(&join);
        let (_, dropped) = others.pop().expect("seven");
        // The first never reads, and others come and go until it has lost its place.
        while board.glance().rooms[0].participants.iter().any(|it| it.participant_id == stuck) {
            let (mut one, _) = seat(&board);
            for _ in 0..9 {
                one.say(&join);
                one.say(r#"{"type":"LeaveRoom"}"#);
            }
        }
        let kept = board.keep(2).room_id();
        (room, kept, [stuck, ninth, dropped])
    });
    let has = |parts: &[String]| lines.iter().any(|it| parts.iter().all(|part| it.contains(part)));
    let who = |id: ParticipantId| format!("participant_id={id}");
    let (place, kind) = (format!("room_id={room}"), |it: &str| format!("kind=\"{it}\""));
    assert!(has(&[kind("end"), who(dropped), place.clone()]), "a dropped socket");
    assert!(has(&[kind("too_slow"), who(stuck), place.clone()]), "one who does not read");
    assert!(has(&[kind("JoinRoom"), who(ninth), place]), "the room was full");
    assert!(has(&[kind("ended"), format!("room_id={kept}")]), "a room that ended");
}

fn board() -> Arc<Switchboard> {
    Arc::new(Switchboard::new(BoxClock::free(), &Limits::default(), IDLE, None))
}

fn seat(board: &Arc<Switchboard>) -> (Seat, ParticipantId) {
    let id = ParticipantId::from_chance(io::chance::bits());
    (board.enter(id, None, Standing::Full).expect("a place"), id)
}

#[test]
fn bl10_the_log_of_the_program_says_who_from_the_handshake_on_and_no_secret() {
    let mut place = guarded_place();
    place.log = Some("debug");
    let the_box = place.run();
    let asked = format!("/bloom?token={TOKEN}");
    let mut first = open(tls(&the_box, None), &asked, None).expect("the token holds");
    let (room, a) = first.make_room();
    first.say(&offer(&a, "a=ice-pwd:secret of a description"));
    first.hears(&[offered(&a, "a=ice-pwd:secret of a description")]);
    let wrong = "Bearer secret-secret-secret-secret";
    assert_eq!(open(tls(&the_box, None), "/bloom", Some(wrong)).map(|_| ()), Err(401));
    drop(first);
    let log = the_box.log_until(": left");
    let handled = log.iter().find(|it| it.contains("kind=\"Offer\"") && it.contains("handled"));
    let handled = handled.unwrap_or_else(|| panic!("no such line: {log:#?}"));
    assert!(handled.contains(&format!("bloom_socket{{participant_id={a}}}")), "{handled}");
    assert!(handled.contains(&format!("room_id={room}")), "{handled}");
    let refused = log.iter().find(|it| it.contains("not let in"));
    assert!(refused.is_some_and(|it| it.contains("participant_id=")), "{log:#?}");
    assert!(!log.iter().any(|it| it.contains("secret") || it.contains(TOKEN)), "{log:#?}");
}

#[tokio::test]
async fn sx06_the_box_keeps_a_room_for_a_phone_and_speaks_in_it_by_a_channel() {
    let board = board();
    let mut kept = board.keep(2);
    let (mut phone, id) = seat(&board);
    phone.say(&Request::JoinRoom { room_id: kept.room_id().to_string() }.emit());
    assert_eq!(kept.next().await, Some(Event::PeerConnected { participant_id: id }));
    let participants = vec![kept.participant_id(), id];
    let room_id = kept.room_id();
    assert_eq!(kept.next().await, Some(Event::RoomParticipants { room_id, participants }));
    let to = kept.participant_id().to_string();
    phone.say(&Request::Offer { to, sdp: "v=0".to_owned() }.emit());
    assert_eq!(kept.next().await, Some(Event::Offer { from: id, sdp: "v=0".to_owned() }));
    kept.say(Request::Answer { to: id.to_string(), sdp: "v=1".to_owned() });
    let answer = Event::Answer { from: kept.participant_id(), sdp: "v=1".to_owned() };
    assert_eq!(heard(&mut phone, 3).await[2], answer);
    drop(kept);
    let over = Event::RoomParticipants { room_id, participants: Vec::new() };
    assert_eq!(heard(&mut phone, 3).await[2], over);
    assert!(board.glance().rooms.is_empty());
}

async fn heard(seat: &mut Seat, many: usize) -> Vec<Event> {
    let mut heard = Vec::new();
    while heard.len() < many {
        let text = seat.next().await.expect("it has its place");
        heard.push(parse_event(&text).expect("the box speaks Bloom"));
    }
    heard
}

#[tokio::test]
async fn sx06_what_phones_say_beyond_what_the_box_can_hear_is_dropped_and_the_room_stays() {
    let board = board();
    let mut kept = board.keep(300);
    let mut phones: Vec<(Seat, ParticipantId)> = (0..20).map(|_| seat(&board)).collect();
    let (room, to) = (kept.room_id().to_string(), kept.participant_id().to_string());
    for (phone, _) in &mut phones {
        phone.say(&Request::JoinRoom { room_id: room.clone() }.emit());
        let ask = Request::Offer { to: to.clone(), sdp: "v=0".to_owned() }.emit();
        for _ in 0..19 {
            phone.say(&ask);
        }
    }
    assert_eq!(board.glance().rooms[0].participants.len(), 21, "all are there");
    let last = &mut phones[19].0;
    let refused = heard(last, 2 + 19).await;
    assert!(
        refused[2..].iter().all(|it| matches!(it, Event::Error { code: ErrorCode::Internal, .. }))
    );
    let mut offers = 0;
    // Nobody has left, so what the box hears last is the list with the last of them.
    let all = |it: &Event| matches!(it, Event::RoomParticipants { participants, .. } if participants.len() == 21);
    while let Some(event) = kept.next().await.filter(|it| !all(it)) {
        offers += usize::from(matches!(event, Event::Offer { .. }));
    }
    assert!((100..20 * 19).contains(&offers), "{offers}");
}
