//! The program itself, called by phones of another kind by the room that `hello` names. Needs loopback.

use std::f64::consts::TAU;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use sim::path::{Carriage, Direction, Scenario};
use tools::caller::Caller;
use tools::proxy::{Proxy, Settings};
use wire::time::{Answer, Question};

use crate::the_box::{PATIENCE, TheBox, noise, path};

const HERE: &str = "127.0.0.1:0";

async fn call(the_box: &TheBox) -> Caller {
    let at: SocketAddr = (Ipv4Addr::LOCALHOST, the_box.place.http).into();
    Caller::call(at, HERE, true).await.expect("the box answers")
}

async fn asks_the_time(caller: &Caller) -> Answer {
    caller.native.say("time", &Question { t1: *b"whatever" }.emit()).await.expect("open");
    Answer::parse(&caller.native.hear("time").await.expect("an answer")).expect("an answer")
}

/// The phone's connection, as `phones` has it, once it is so.
async fn seen(the_box: &TheBox, holds: impl Fn(&Value) -> bool) -> Value {
    let end = Instant::now() + PATIENCE;
    loop {
        let phones = the_box.ask_json(&["phones"]);
        let phone = &phones["phones"][0];
        if holds(phone) {
            return phone.clone();
        }
        assert!(Instant::now() < end, "{phones}");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn sx06_a_phone_connects_by_the_room_that_hello_names_and_the_box_tells_of_it() {
    let the_box = TheBox::start();
    let caller = call(&the_box).await;
    let answer = asks_the_time(&caller).await;
    assert!(answer.t2_ns <= answer.t3_ns);
    let phone = seen(&the_box, |it| it["peer"]["rtt_ms"].is_number()).await;
    let peer = &phone["peer"];
    assert_eq!(phone["clock_channel"], "data_channel");
    assert_eq!(peer["state"], "connected");
    assert_eq!(peer["channels"], json!(["time", "media", "score"]));
    assert_eq!((&peer["loss"], &peer["track"]), (&Value::Null, &json!(true)));
    assert!(peer["bytes_in"].as_u64() > Some(0), "{peer}");
    let rooms = the_box.ask_json(&["rooms"]);
    let room = &rooms["rooms"][0];
    assert_eq!((&room["phone"], &room["peer"]["state"]), (&phone["id"], &json!("connected")));
    let table = String::from_utf8_lossy(&the_box.ask(&["phones"]).stdout).into_owned();
    assert!(table.contains("time media score") && table.contains("connected"), "{table}");
}

#[tokio::test(flavor = "multi_thread")]
async fn sx06_an_ice_restart_by_the_room_keeps_the_phone_s_place_in_the_box() {
    let the_box = TheBox::start();
    let mut caller = call(&the_box).await;
    let before = seen(&the_box, |it| it["peer"]["address"].is_string()).await;
    let offer = caller.native.restart().await.expect("an offer");
    let answer = caller.exchange(&offer).await.expect("an answer");
    caller.native.accept(&answer).await.expect("taken");
    let after = seen(&the_box, |it| it["peer"]["restarts"] == 1).await;
    asks_the_time(&caller).await;
    assert_eq!(after["id"], before["id"]);
    let moved = seen(&the_box, |it| it["peer"]["address"] != before["peer"]["address"]).await;
    assert_eq!(moved["peer"]["state"], "connected");
}

/// What is said on `media` and `score` is counted by channel; nobody here has an answer to it.
#[tokio::test(flavor = "multi_thread")]
async fn sx06_phones_and_rooms_show_what_was_said_on_each_channel() {
    let the_box = TheBox::start();
    let caller = call(&the_box).await;
    asks_the_time(&caller).await;
    caller.native.say("media", &[7; 1_000]).await.expect("open");
    for page in ["one", "two"] {
        caller.native.say("score", page.as_bytes()).await.expect("open");
    }
    let (none, heard) = ((0, 0), |traffic: &Value, way: &str| {
        let number = |what: &str| traffic[format!("{what}_{way}")].as_u64().expect("a number");
        (number("messages"), number("bytes"))
    });
    let is_all = |it: &Value| it["peer"]["traffic"]["score"]["messages_in"] == 2;
    let phone = seen(&the_box, is_all).await;
    let traffic = &phone["peer"]["traffic"];
    assert_eq!(heard(&traffic["time"], "in"), (1, 10));
    assert_eq!(heard(&traffic["time"], "out"), (1, 26));
    assert_eq!(heard(&traffic["media"], "in"), (1, 1_000));
    assert_eq!(heard(&traffic["score"], "in"), (2, 6));
    assert_eq!([&traffic["media"], &traffic["score"]].map(|it| heard(it, "out")), [none; 2]);
    let rooms = the_box.ask_json(&["rooms"]);
    assert_eq!(&rooms["rooms"][0]["peer"]["traffic"], traffic);
    let table = String::from_utf8_lossy(&the_box.ask(&["phones"]).stdout).into_owned();
    assert!(table.contains("2 (0.0 kB)") && table.contains("1 (1.0 kB)"), "{table}");
}

#[tokio::test(flavor = "multi_thread")]
async fn net_phones_says_by_which_interface_alone_phones_are_told_to_come() {
    let ways = async |more: &str| {
        let the_box = TheBox::start_with(more);
        let at: SocketAddr = (Ipv4Addr::LOCALHOST, the_box.place.http).into();
        let mut caller = Caller::arrive(at, HERE, false).await.expect("it may come");
        let offer = caller.native.offer().await.expect("an offer");
        let answer = caller.exchange(&offer).await.expect("an answer");
        hosts(&answer)
    };
    let (all, named) = (ways("").await, ways("[net]\nphones = \"lo\"\n").await);
    assert!(named.contains(&Ipv4Addr::LOCALHOST.into()), "{named:?}");
    assert!(named.iter().all(IpAddr::is_loopback), "{named:?}");
    assert!(named.iter().all(|it| all.contains(it)), "{named:?} of {all:?}");
}

/// The addresses of the box in a description.
fn hosts(description: &str) -> Vec<IpAddr> {
    let candidates = description.lines().filter(|line| line.starts_with("a=candidate:"));
    let host = |line: &str| line.split(' ').nth(4)?.parse().ok();
    candidates.filter_map(host).collect()
}

const CUT: Duration = Duration::from_secs(10);

/// Its sockets and its packets: what goes by them is cut at once, as in a lift.
#[tokio::test(flavor = "multi_thread")]
async fn a_phone_without_any_network_for_ten_seconds_has_its_place_and_all_that_is_on_it_again() {
    let the_box = TheBox::start();
    let sockets = before(the_box.place.http, Carriage::Stream);
    let mut caller = Caller::arrive(sockets.address(), HERE, true).await.expect("it may come");
    let offer = caller.native.offer().await.expect("an offer");
    let answer = caller.exchange(&offer).await.expect("an answer");
    let packets = before(port(&answer), Carriage::Datagrams);
    caller.native.accept(&by(&packets, &answer)).await.expect("taken");
    caller.native.opened().await.expect("three channels");
    asks_the_time(&caller).await;
    let first = seen(&the_box, |it| it["peer"]["state"] == "connected").await;

    let cut_at = tokio::time::Instant::now();
    for way in [Direction::Up, Direction::Down] {
        sockets.cut(way);
        packets.cut(way);
    }
    seen(&the_box, |it| it["peer"]["state"] == "disconnected").await;
    tokio::time::sleep_until(cut_at + CUT).await;
    for way in [Direction::Up, Direction::Down] {
        sockets.heal(way);
        packets.heal(way);
    }

    // Its page looks for another way, and offers it in the room that it has never left.
    let offer = caller.native.restart().await.expect("an offer");
    let answer = caller.exchange(&offer).await.expect("an answer");
    caller.native.accept(&by(&packets, &answer)).await.expect("taken");
    // Sent until it arrives; a question of time before there is a way would be lost.
    caller.native.say("score", b"page").await.expect("open");
    let again = seen(&the_box, |it| it["peer"]["traffic"]["score"]["messages_in"] == 1).await;
    asks_the_time(&caller).await;
    caller.is_told_something().await.expect("the socket of before");
    assert_eq!((&again["id"], &again["peer"]["state"]), (&first["id"], &json!("connected")));
    assert_eq!(again["peer"]["channels"], first["peer"]["channels"]);
    assert_eq!(the_box.knock("POST", "/api/v1/air", r#"{"what":"tone"}"#).0, 200);
    caller.native.sound().await.expect("the track");
}

/// A network before a port of the box that does nothing until it is cut.
fn before(port: u16, carriage: Carriage) -> Proxy {
    let scenario = *Scenario::named("clear").expect("a scenario");
    let (listen, to) = ((Ipv4Addr::LOCALHOST, 0).into(), (Ipv4Addr::LOCALHOST, port).into());
    let settings = Settings { listen, to, carriage, scenario, seed: 1, cuts: Vec::new() };
    Proxy::start(settings).expect("a free port")
}

/// The box's port for peer connections.
fn port(description: &str) -> u16 {
    let mut candidates = description.lines().filter(|line| line.starts_with("a=candidate:"));
    let port = candidates.next().and_then(|line| line.split(' ').nth(5)?.parse().ok());
    port.expect("the box says where it is")
}

/// A description whose only way to the box is that one.
fn by(proxy: &Proxy, description: &str) -> String {
    let (ours, other) = (format!(" 127.0.0.1 {} ", port(description)), proxy.address().port());
    let kept = |line: &&str| !line.starts_with("a=candidate:") || line.contains(&ours);
    let lines = description.split_inclusive('\n').filter(kept).collect::<String>();
    lines.replace(&ours, &format!(" 127.0.0.1 {other} "))
}

#[tokio::test(flavor = "multi_thread")]
async fn ca05_what_is_on_air_is_heard_on_the_track() {
    let the_box = TheBox::start();
    let caller = call(&the_box).await;
    let on_air = the_box.knock("POST", "/api/v1/air", r#"{"what":"no such track"}"#);
    assert_eq!(on_air.0, 409);
    assert_eq!(the_box.knock("POST", "/api/v1/air", r#"{"what":"tone"}"#).0, 200);
    let mut decoder = opus::Decoder::new(48_000, opus::Channels::Stereo).expect("libopus");
    let mut heard: Vec<f64> = Vec::new();
    while heard.len() < 48_000 / 2 {
        let packet = caller.native.sound().await.expect("sound");
        let mut pcm = [0.0_f32; 2 * 960];
        let frames = decoder.decode_float(&packet.payload, &mut pcm, false).expect("Opus");
        heard.extend(pcm[..2 * frames].chunks_exact(2).map(|it| f64::from(it[0])));
    }
    // The codec needs a moment to begin.
    let (share, level) = tone(&heard[9_600..], 997.0);
    assert!(share > 0.95, "{share} of it is the tone");
    assert!((0.2..0.3).contains(&level), "{level}");
    assert_eq!(the_box.knock("POST", "/api/v1/air", "{}").0, 200);
}

/// How much of a sound is one tone, and its amplitude.
fn tone(samples: &[f64], hz: f64) -> (f64, f64) {
    let turn = |n: usize| n as f64 * TAU * hz / 48_000.0;
    let sum = |by: fn(f64) -> f64| -> f64 {
        samples.iter().enumerate().map(|(n, it)| it * by(turn(n))).sum()
    };
    let count = samples.len() as f64;
    let amplitude = 2.0 * sum(f64::sin).hypot(sum(f64::cos)) / count;
    let power: f64 = samples.iter().map(|it| it * it).sum::<f64>() / count;
    (amplitude * amplitude / 2.0 / power, amplitude)
}

#[tokio::test(flavor = "multi_thread")]
async fn an_offer_that_is_none_is_refused_and_harms_nobody() {
    let mut the_box = TheBox::start();
    let other = call(&the_box).await;
    let at: SocketAddr = (Ipv4Addr::LOCALHOST, the_box.place.http).into();
    for seed in 0..20 {
        let mut caller = Caller::arrive(at, HERE, false).await.expect("it may come");
        let whole = caller.native.offer().await.expect("an offer");
        let text: String = noise(seed, 40).iter().map(|it| char::from(it % 94 + 33)).collect();
        let cut = whole.len() * (seed as usize + 1) / 21;
        let offers = [text.clone(), whole[..cut].to_owned(), whole.replacen("a=", &text, 3)];
        for offer in offers {
            caller.throw(&offer).await.expect("the socket stays");
        }
    }
    asks_the_time(&other).await;
    assert!(the_box.is_alive());
}

/// `tools bench peers`, of a size for every day.
#[test]
fn sx06_phones_that_come_and_go_leave_no_descriptor_behind() {
    let program = path();
    let mut bench = std::process::Command::new(program.with_file_name("tools"));
    bench.args(["bench", "peers", "--peers", "5", "--rounds", "3", "--hold", "1", "--json"]);
    let done = bench.arg("--program").arg(&program).output().expect("it is built");
    let said = String::from_utf8_lossy(&done.stderr);
    let report: Value = serde_json::from_slice(&done.stdout).unwrap_or_else(|_| panic!("{said}"));
    let rounds = report["rounds"].as_array().expect("three");
    assert_eq!(rounds.len(), 3);
    // One for the question itself and one on its way out may be open at the moment of looking.
    let open = |round: usize| rounds[round]["descriptors"].as_u64().expect("a number");
    assert!(open(2) <= open(0) + 3, "{report}");
}
