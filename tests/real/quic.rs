//! `/sync`: SOLUSync-X by QUIC (SX-20), as a client of WebTransport meets it.

use std::time::Duration;

use futures_util::FutureExt;
use serde_json::{Value, json};
use tokio::time::timeout;
use wtransport::tls::Sha256Digest;
use wtransport::{Connection, RecvStream, SendStream};

use crate::proxy::until;
use crate::secure::{is_served, join, open, runtime, told};
use crate::the_box::{PATIENCE, Place, TheBox, body, noise};
use crate::tokens::token;
use crate::ws::{Phone, message, sockets};

/// A phone that says exactly what the test wants, by QUIC.
struct QuicPhone {
    session: Connection,
    mouth: SendStream,
    ears: RecvStream,
    heard: Vec<u8>,
    sequence: u64,
}

impl QuicPhone {
    async fn connect((url, hashes): &(String, Vec<Sha256Digest>)) -> Self {
        let session = open(url, hashes).await.expect("a session");
        let opening = session.open_bi().await.expect("a stream may be opened");
        let (mouth, ears) = opening.await.expect("a stream");
        Self { session, mouth, ears, heard: Vec::new(), sequence: 0 }
    }

    /// Connected, and greeted.
    async fn join(door: &(String, Vec<Sha256Digest>)) -> (Self, Value) {
        let mut phone = Self::connect(door).await;
        phone.hello(&json!({})).await;
        let welcome = phone.hear("hello").await;
        (phone, welcome)
    }

    async fn hello(&mut self, more: &Value) {
        let mut hello = json!({ "protocol_version": "0.1.0", "node_type": "client" });
        let fields = hello.as_object_mut().expect("an object");
        fields.extend(more.as_object().expect("an object").clone());
        self.say("hello", &hello).await;
    }

    async fn say(&mut self, kind: &str, fields: &Value) {
        self.sequence += 1;
        let line = message(self.sequence, kind, fields) + "\n";
        self.send(line.as_bytes()).await.expect("the box reads");
    }

    async fn send(&mut self, octets: &[u8]) -> Option<()> {
        timeout(PATIENCE, self.mouth.write_all(octets)).await.expect("in time").ok()
    }

    /// The next message; none once the stream has ended.
    async fn next(&mut self) -> Option<Value> {
        loop {
            if let Some(end) = self.heard.iter().position(|octet| *octet == b'\n') {
                let line: Vec<u8> = self.heard.drain(..=end).collect();
                return Some(serde_json::from_slice(&line).expect("the box speaks JSON"));
            }
            let mut octets = [0; 4096];
            let read = timeout(PATIENCE, self.ears.read(&mut octets)).await;
            let length = read.expect("the box says something").ok()??;
            self.heard.extend_from_slice(&octets[..length]);
        }
    }

    /// The next message of that type; others pass by.
    async fn hear(&mut self, kind: &str) -> Value {
        loop {
            let message = self.next().await.unwrap_or_else(|| panic!("ended before a {kind}"));
            if message["type"] == kind {
                return message;
            }
        }
    }

    async fn is_served(&mut self) -> bool {
        self.say("clock_sync", &json!({ "t1": 5 })).await;
        self.hear("clock_sync_response").await["t1"] == 5
    }

    /// Whether the box ends the stream, whatever it says before.
    async fn ends(&mut self) -> bool {
        while self.next().await.is_some() {}
        true
    }
}

/// Where `hello` over TLS says that messages go by QUIC.
fn door(the_box: &TheBox) -> (String, Vec<Sha256Digest>) {
    told(&join(the_box).welcome)
}

fn phones(the_box: &TheBox) -> Value {
    body(&the_box.knock("GET", "/api/v1/phones", "").1)["phones"].clone()
}

#[test]
fn sx20_a_phone_says_and_hears_by_quic_all_that_it_would_on_a_socket() {
    let the_box = TheBox::start();
    let door = door(&the_box);
    until("who asked has gone", || sockets(&the_box) == 0);
    let mut other = Phone::join(&the_box);
    runtime().block_on(async {
        let (mut phone, welcome) = QuicPhone::join(&door).await;
        assert_eq!(welcome["show"], other.welcome["show"]);
        assert_eq!(welcome["webtransport"]["url"], json!(door.0), "it has its own datagrams");
        assert!(phone.is_served().await);
        assert_eq!(the_box.knock("POST", "/api/v1/fire", r#"{"cue":"1"}"#).0, 200);
        let (screen, theirs) = (phone.hear("screen").await, other.hear("screen"));
        assert_eq!((&screen["text"], &screen["start_at"]), (&theirs["text"], &theirs["start_at"]));
        phone.hear("node_status").await;
        phone.say("node_status", &json!({ "node_type": "client", "tracks_ready": 1 })).await;
        assert!(phone.is_served().await, "it was heard");
        assert!(is_served(&phone.session).await, "the time, in the same session");
        until("the box knows how it fares", || {
            let said = |it: &Value| it["status"]["tracks_ready"] == 1;
            phones(&the_box).as_array().is_some_and(|all| all.iter().any(said))
        });
        let asked = |it: &Value| it["clock_channel"] == "web_transport";
        until("it is known by which way it asked", || {
            phones(&the_box).as_array().is_some_and(|all| all.iter().any(asked))
        });
        phone.mouth.finish().await.expect("it is open");
        assert!(phone.ends().await, "its goodbye is answered");
    });
    until("one is left", || sockets(&the_box) == 1);
    assert!(other.is_served());
}

#[test]
fn sx20_who_goes_over_from_a_socket_that_was_welcomed_does_not_queue_up_again() {
    let the_box = TheBox::start_with("[limits]\nconnections_per_address = 4\n");
    let socket = join(&the_box);
    let mut again = Phone::connect(&the_box);
    (0..16).for_each(|_| again.hello());
    again.say("hello", &json!({ "protocol_version": "0.1.0", "node_type": "client" }));
    let (door, mut stranger) = (told(&socket.welcome), told(&socket.welcome));
    stranger.0.truncate(stranger.0.find('?').expect("it says which phone it is"));
    runtime().block_on(async {
        let mut queued = QuicPhone::connect(&stranger).await;
        queued.hello(&json!({})).await;
        let (_over, welcome) = QuicPhone::join(&door).await;
        assert_eq!(welcome["show"], socket.welcome["show"]);
        let hello = queued.hear("hello");
        assert!(
            hello.now_or_never().is_none(),
            "one that the box does not know has its turn later"
        );
    });
    assert!(!again.has_welcome(), "it has not had its turn");
}

#[test]
fn sx20_a_token_makes_an_operator_by_quic_and_without_one_media_control_is_forbidden() {
    let the_box = TheBox::start();
    let door = door(&the_box);
    let token = token(&the_box, &["--role", "operator"]);
    let stop = json!({ "action": "stop" });
    let mut other = Phone::join(&the_box);
    runtime().block_on(async {
        let (mut nobody, _) = QuicPhone::join(&door).await;
        nobody.say("media_control", &stop).await;
        assert_eq!(nobody.hear("error").await["code"], "forbidden");
        let mut operator = QuicPhone::connect(&door).await;
        operator.hello(&json!({ "auth_token": token })).await;
        operator.hear("hello").await;
        operator.say("media_control", &stop).await;
        assert_eq!(operator.hear("media_control").await["action"], "stop");
    });
    assert_eq!(other.hear("media_control")["action"], "stop");
}

#[test]
fn sx17_by_quic_one_too_many_is_told_why_and_a_question_too_many_is_refused() {
    let the_box = TheBox::start_with("[limits]\nconnections_per_address = 2\n");
    let door = door(&the_box);
    until("who asked has gone", || sockets(&the_box) == 0);
    runtime().block_on(async {
        let (mut phone, _) = QuicPhone::join(&door).await;
        let socket = Phone::join(&the_box);
        let mut third = QuicPhone::connect(&door).await;
        third.hello(&json!({})).await;
        assert_eq!(third.hear("error").await["code"], "too_many_connections");
        assert!(third.ends().await);
        drop(socket);
        for t1 in 0..11 {
            phone.say("clock_sync", &json!({ "t1": t1 })).await;
        }
        assert_eq!(phone.hear("error").await["code"], "rate_limited");
        assert_eq!(the_box.knock("POST", "/api/v1/fire", r#"{"cue":"1"}"#).0, 200);
        phone.hear("screen").await;
    });
}

#[test]
fn nonsense_by_quic_ends_its_own_stream_and_no_other() {
    let the_box = TheBox::start();
    let door = door(&the_box);
    runtime().block_on(async {
        let (mut other, _) = QuicPhone::join(&door).await;
        let endless = vec![b'x'; (64 << 10) + 2];
        for nonsense in [&b"\xff\xfe\n"[..], &endless] {
            let (mut phone, _) = QuicPhone::join(&door).await;
            // It may be gone before all of it was sent.
            phone.send(nonsense).await;
            assert!(phone.ends().await);
        }
        for seed in 0..20 {
            let mut phone = QuicPhone::connect(&door).await;
            phone.send(&noise(seed, 1 + seed as usize * 97)).await;
            phone.send(b"\n").await;
        }
        let mut silly = QuicPhone::connect(&door).await;
        silly.send(b"{}\n").await;
        assert_eq!(silly.hear("error").await["code"], "invalid_payload");
        assert!(silly.is_served().await, "it may try again");
        assert!(other.is_served().await);
    });
}

#[test]
fn a_phone_that_stops_reading_by_quic_costs_only_itself() {
    let place = Place::new();
    let show = std::fs::read_to_string(place.path("show.toml")).expect("ours");
    let text = "la ".repeat(10_000);
    std::fs::write(place.path("show.toml"), show.replace("Good evening", &text)).expect("ours");
    let the_box = place.run();
    let door = door(&the_box);
    until("who asked has gone", || sockets(&the_box) == 0);
    runtime().block_on(async {
        let (mut reader, _) = QuicPhone::join(&door).await;
        let (stuck, _) = QuicPhone::join(&door).await;
        let mut rounds = 0;
        while sockets(&the_box) == 2 {
            assert_eq!(the_box.knock("POST", "/api/v1/fire", r#"{"cue":"1"}"#).0, 200);
            reader.hear("screen").await;
            rounds += 1;
            assert!(rounds < 3_000, "it was never let go");
        }
        assert!(reader.is_served().await);
        drop(stuck);
    });
}

#[test]
fn a_box_that_stops_says_goodbye_by_quic() {
    let mut the_box = TheBox::start();
    let door = door(&the_box);
    runtime().block_on(async {
        let (mut phone, _) = QuicPhone::join(&door).await;
        the_box.signal(nix::sys::signal::Signal::SIGTERM);
        let began = std::time::Instant::now();
        assert!(phone.ends().await);
        // A session that dies without a word is missed after many seconds.
        assert!(began.elapsed() < Duration::from_secs(5), "{:?}", began.elapsed());
    });
    the_box.wait_for_the_end();
}
