//! Live sound and pictures sealed end to end, from the running box to phones of another kind; and the vectors, which OpenSSL sealed.
//! Needs loopback.

use serde_json::Value;
use tools::caller::Caller;
use tools::listener::Ear;
use units::TrackId;
use wire::sealed::{self, ShowKey};
use wire::solusync::{self, MediaCodec, MediaData, Message, SealTrouble};

use crate::live::{call, recorded, said, tone, with_film};
use crate::the_box::{Place, TheBox, unfinished};
use crate::tokens::token;

const AUDIENCE: &[&str] = &["--role", "audience"];

fn sealed_place() -> Place {
    let place = Place::new();
    let show = std::fs::read_to_string(place.path("show.toml")).expect("it was written");
    let show = show.replacen("[show]", "[show]\nseal = true", 1);
    std::fs::write(place.path("show.toml"), show).expect("written");
    place
}

/// What a phone reads in its token.
fn key_of(token: &str) -> ShowKey {
    wire::token::parse(token).expect("a token").claims.seal.expect("a key")
}

fn now() -> phone::NetTime {
    let unix = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH);
    phone::NetTime::from_ns(unix.expect("after 1970").as_nanos() as i64)
}

fn chunk(text: &str) -> MediaData {
    match solusync::parse(text).expect("a message") {
        (_, Message::MediaData(chunk)) => chunk,
        other => panic!("{other:?}"),
    }
}

/// As the vectors call it.
fn word(why: SealTrouble) -> String {
    serde_json::to_value(why).expect("a word").as_str().expect("a word").to_owned()
}

#[test]
fn sx20_what_openssl_sealed_is_heard_and_what_was_changed_moved_or_said_before_is_not() {
    let vectors = include_str!("../vectors/sealed/sealed.json");
    let vectors: Vec<Value> = serde_json::from_str(vectors).expect("vectors");
    let octets: [u8; 32] = std::array::from_fn(|k| k as u8);
    let mut ear = Ear::new(Some(ShowKey(octets)));
    let now = phone::NetTime::from_ns(1_790_000_000_600_000_000);
    let mut met = std::collections::BTreeSet::new();
    for vector in &vectors {
        let heard = ear.open(now, vector["text"].as_str().expect("a text"));
        let is = heard.as_ref().map_or_else(|why| word(*why), |_| "opened".to_owned());
        assert_eq!(vector["is"], is.as_str(), "{}", vector["name"]);
        if let Ok(text) = heard {
            let said: Value = serde_json::from_str(&text).expect("JSON");
            assert_eq!((&said["type"], &said["data"]), (&"media_data".into(), &vector["data"]));
            let _ = chunk(&text);
        }
        met.insert(is);
    }
    assert_eq!(met.len(), 5, "{met:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn sx20_a_sealed_show_is_heard_with_its_token_and_neither_without_nor_on_the_track() {
    const CHUNKS: usize = 40;
    let the_box = sealed_place().run();
    let key = key_of(&token(&the_box, AUDIENCE));
    let phone = call(&the_box, &[MediaCodec::Opus]).await;
    let on_the_track = call(&the_box, &[]).await;
    assert!(the_box.ask(&["air", "tone"]).status.success());
    let (mut invited, mut stranger) = (Ear::new(Some(key)), Ear::new(None));
    let mut other = Ear::new(Some(ShowKey([1; 32])));
    let mut decoder = opus::Decoder::new(48_000, opus::Channels::Stereo).expect("libopus");
    let listens = async {
        let mut level = 0.0;
        for _ in 0..CHUNKS {
            let text = said(&phone).await;
            assert_eq!(stranger.open(now(), &text), Err(SealTrouble::NoToken));
            assert_eq!(other.open(now(), &text), Err(SealTrouble::OtherKey));
            let chunk = chunk(&invited.open(now(), &text).expect("the key of its token"));
            assert_eq!(chunk.track_id, TrackId("tone".into()));
            let mut pcm = [0.0_f32; 2 * 960];
            decoder.decode_float(&chunk.data, &mut pcm, false).expect("Opus");
            let left: Vec<f64> = pcm.chunks_exact(2).map(|it| f64::from(it[0])).collect();
            level = tone(&left, 997.0).0;
            assert_eq!(invited.open(now(), &text), Err(SealTrouble::Replayed));
        }
        level
    };
    let level = tokio::select! {
        level = listens => level,
        heard = on_the_track.native.sound() => panic!("the track has it in clear: {heard:?}"),
    };
    assert!((0.23..0.27).contains(&level), "{level}");
    assert_eq!(the_box.ask_json(&["status"])["show"]["sealed"], true);
    let status = the_box.ask(&["status"]).stdout;
    assert!(String::from_utf8_lossy(&status).contains("ON AIR   tone, for phones with a token"));
}

/// What a phone with the key makes of so many pieces of each kind; others can do nothing with any of them.
async fn open_film(phone: &Caller, key: &ShowKey, count: usize) -> [Vec<MediaData>; 2] {
    let (mut invited, mut stranger) = (Ear::new(Some(key.clone())), Ear::new(None));
    let mut other = Ear::new(Some(ShowKey([1; 32])));
    let (mut pictures, mut sound) = (Vec::new(), Vec::new());
    while pictures.len() < count || sound.len() < count {
        let text = said(phone).await;
        assert_eq!(stranger.open(now(), &text), Err(SealTrouble::NoToken));
        assert_eq!(other.open(now(), &text), Err(SealTrouble::OtherKey));
        let moved = text.replacen("\"chunk_index\":", "\"chunk_index\":1", 1);
        assert_eq!(invited.open(now(), &moved), Err(SealTrouble::Changed));
        let chunk = chunk(&invited.open(now(), &text).expect("the key of its token"));
        assert_eq!(invited.open(now(), &text), Err(SealTrouble::Replayed));
        if chunk.codec.has_pictures() { &mut pictures } else { &mut sound }.push(chunk);
    }
    [pictures, sound]
}

#[tokio::test(flavor = "multi_thread")]
async fn sx20_a_sealed_film_is_seen_and_heard_with_its_token_alone_also_by_who_joins_between_key_frames()
 {
    let the_box = with_film(sealed_place(), "opus.webm").run();
    let key = key_of(&token(&the_box, AUDIENCE));
    let phone = call(&the_box, &[MediaCodec::Opus, MediaCodec::Vp9]).await;
    assert!(the_box.ask(&["air", "film"]).status.success());
    let [pictures, sound] = open_film(&phone, &key, 40).await;
    assert!(sound.iter().all(|it| it.codec == MediaCodec::Opus && it.track_id.0 == "film"));
    let mut film = io::film::Film::open(the_box.place.path("opus.webm").as_path()).expect("a film");
    let units: Vec<_> = std::iter::from_fn(|| film.next_unit().expect("whole")).collect();
    for picture in pictures {
        let unit = &units[picture.chunk_index as usize % units.len()];
        assert_eq!((&picture.data, picture.is_keyframe), (&unit.data, unit.is_key));
    }
    // Its first pictures were counted before the sound that it hears first.
    for _ in 0..3 {
        let late = call(&the_box, &[MediaCodec::Opus, MediaCodec::Vp9]).await;
        let [pictures, _] = open_film(&late, &key, 12).await;
        assert!(pictures[0].is_keyframe);
        let follow = pictures.windows(2).all(|it| it[1].chunk_index == it[0].chunk_index + 1);
        assert!(follow, "none is left out");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn sx20_of_sealed_sound_a_recording_keeps_only_when_it_was() {
    let the_box = sealed_place().run();
    let file = the_box.place.path("evening.dbl");
    let recorder = the_box.record(&file, &["--phones"]);
    assert!(the_box.ask(&["air", "tone"]).status.success());
    while recorded(&unfinished(&file)).1.len() < 20 {
        std::thread::yield_now();
    }
    let told = recorder.end();
    assert!(recorded(&file).1.iter().all(|(_, opus)| opus.is_none()));
    let sound = &told["phones"]["sound"][0];
    assert_eq!((&sound["track"], &sound["kept"]), (&"tone".into(), &false.into()), "{told}");
}

#[tokio::test(flavor = "multi_thread")]
async fn sx20_a_token_lasts_over_a_restart_and_until_the_key_is_replaced() {
    let mut the_box = sealed_place().run();
    let old = key_of(&token(&the_box, AUDIENCE));
    let mut starts = Vec::new();
    for _ in 0..2 {
        let phone = call(&the_box, &[MediaCodec::Pcm16]).await;
        assert!(the_box.ask(&["air", "tone"]).status.success());
        let text = said(&phone).await;
        assert!(Ear::new(Some(old.clone())).open(now(), &text).is_ok());
        starts.push(sealed::parse(&text).expect("sealed").start);
        the_box.restart();
    }
    assert_ne!(starts[0], starts[1], "each start counts under a key of its own");
    let phone = call(&the_box, &[MediaCodec::Pcm16]).await;
    assert!(the_box.ask(&["air", "tone"]).status.success());
    said(&phone).await;
    let resealed = the_box.ask(&["token", "--reseal"]);
    assert!(resealed.status.success(), "{resealed:?}");
    let new = key_of(&token(&the_box, AUDIENCE));
    let (mut with_old, mut with_new) = (Ear::new(Some(old)), Ear::new(Some(new)));
    // What was on its way is still the old one's.
    let text = loop {
        let text = said(&phone).await;
        match with_old.open(now(), &text) {
            Ok(_) => {}
            Err(why) => break (assert_eq!(why, SealTrouble::OtherKey), text).1,
        }
    };
    assert!(with_new.open(now(), &text).is_ok());
}

#[test]
fn sx20_a_show_that_seals_nothing_gives_no_keys_and_replaces_none() {
    let the_box = TheBox::start();
    let token = token(&the_box, AUDIENCE);
    assert_eq!(wire::token::parse(&token).expect("a token").claims.seal, None);
    let refused = the_box.ask(&["token", "--reseal"]);
    assert_eq!(refused.status.code(), Some(1));
    assert!(String::from_utf8_lossy(&refused.stderr).contains("seal = true"), "{refused:?}");
}
