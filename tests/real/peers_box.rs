//! The program itself, called by phones of another kind by the room that `hello` names. Needs loopback.

use std::f64::consts::TAU;
use std::net::{Ipv4Addr, SocketAddr};
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use tools::caller::Caller;
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
