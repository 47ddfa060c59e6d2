//! Live sound that the program sends on the channel `media` (SX-11), heard by phones of another kind. Needs loopback;
//! for the input alsa-lib, and no card.

use std::f64::consts::TAU;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::Path;

use engine::clock::TAI_UTC;
use tokio::sync::mpsc::unbounded_channel;
use tools::caller::Caller;
use tools::listener::{Ear, Heard, apart, listen, lost};
use units::{ShowTime, Span};
use uuid::Uuid;
use wire::capture::talk::{Piece, Talk};
use wire::capture::{Reader, Record};
use wire::solusync::{self, Header, MediaCodec, MediaData, MediaWanted, Message};

use crate::the_box::{Place, TheBox, unfinished};

const CHUNK: Span = Span::from_millis(20);
/// `[peers] live_delay_ms`, and what the box itself needs.
const LEAD: std::ops::Range<i64> = 200..330;

/// A phone that has asked for live sound, dearest codec first.
pub async fn call(the_box: &TheBox, codecs: &[MediaCodec]) -> Caller {
    let at: SocketAddr = (Ipv4Addr::LOCALHOST, the_box.place.http).into();
    let caller = Caller::call(at, "127.0.0.1:0", true).await.expect("the box answers");
    want(&caller, codecs).await;
    caller
}

async fn want(caller: &Caller, codecs: &[MediaCodec]) {
    let (id, node_id) = (Uuid::nil(), Uuid::nil());
    let timestamp = units::WireTime::from_micros(0);
    let wanted = Message::MediaWanted(MediaWanted { codecs: codecs.into() });
    let header = Header { id, timestamp, node_id, sequence: 1 };
    caller.native.say("media", solusync::emit(&header, &wanted).as_bytes()).await.expect("open");
}

/// What was said next on `media`.
pub async fn said(caller: &Caller) -> String {
    let bytes = caller.native.hear("media").await.expect("a chunk");
    String::from_utf8(bytes.to_vec()).expect("text")
}

async fn chunk(caller: &Caller) -> (Header, MediaData) {
    match solusync::parse(&said(caller).await).expect("a message") {
        (header, Message::MediaData(chunk)) => (header, chunk),
        other => panic!("{other:?}"),
    }
}

/// So many in a row, each 20 ms after the one before, all of them ahead of their time.
async fn chunks(caller: &Caller, count: usize) -> Vec<MediaData> {
    let mut heard: Vec<MediaData> = Vec::new();
    while heard.len() < count {
        let (header, chunk) = chunk(caller).await;
        let lead_ms = (chunk.timestamp.micros() - header.timestamp.micros()) / 1_000;
        assert!(lead_ms < LEAD.end, "{lead_ms}");
        if let Some(last) = heard.last() {
            assert_eq!(chunk.chunk_index, last.chunk_index + 1, "none is missing");
            let apart = chunk.timestamp.micros() - last.timestamp.micros();
            assert!((apart - 20_000).abs() < 2_000, "{apart} µs");
        }
        assert_eq!((chunk.duration, chunk.is_keyframe), (CHUNK, false));
        heard.push(chunk);
    }
    heard
}

fn samples(chunk: &MediaData) -> Vec<f64> {
    assert_eq!(chunk.pcm_channels(), Some(2));
    let left = chunk.data.chunks_exact(4).map(|it| i16::from_le_bytes([it[0], it[1]]));
    left.map(|it| f64::from(it) / 32_767.0).collect()
}

/// The amplitude of a tone in it, and its phase at the first sample, in turns.
pub fn tone(samples: &[f64], hz: f64) -> (f64, f64) {
    let turn = |n: usize| n as f64 * TAU * hz / 48_000.0;
    let sum = |by: fn(f64) -> f64| -> f64 {
        samples.iter().enumerate().map(|(n, it)| it * by(turn(n))).sum()
    };
    let (sin, cos) = (sum(f64::sin), sum(f64::cos));
    (2.0 * sin.hypot(cos) / samples.len() as f64, cos.atan2(sin) / TAU)
}

#[tokio::test(flavor = "multi_thread")]
async fn sx11_what_is_on_air_goes_out_as_opus_and_as_samples_that_mean_the_same_time() {
    let the_box = TheBox::start();
    let opus = call(&the_box, &[MediaCodec::Opus, MediaCodec::Pcm16]).await;
    let pcm = call(&the_box, &[MediaCodec::Pcm16]).await;
    assert_eq!(the_box.knock("POST", "/api/v1/air", r#"{"what":"tone"}"#).0, 200);
    let (coded, plain) = tokio::join!(chunks(&opus, 60), chunks(&pcm, 60));
    assert!(coded.iter().all(|it| it.codec == MediaCodec::Opus && it.track_id.0 == "tone"));
    let mut decoder = opus::Decoder::new(48_000, opus::Channels::Stereo).expect("libopus");
    let decoded = coded.iter().map(|chunk| {
        let mut pcm = [0.0_f32; 2 * 960];
        let frames = decoder.decode_float(&chunk.data, &mut pcm, false).expect("Opus");
        assert_eq!(frames, 960);
        pcm.chunks_exact(2).map(|it| f64::from(it[0])).collect::<Vec<f64>>()
    });
    let decoded: Vec<Vec<f64>> = decoded.collect();
    // The same tone at its own phase, each by its own time: what the codec delays stands in its time.
    let late = |chunk: &MediaData, samples: &[f64], with: &MediaData, and: &[f64]| {
        let (level, phase) = tone(samples, 997.0);
        assert!((0.23..0.27).contains(&level), "{level}");
        let apart = (chunk.timestamp.micros() - with.timestamp.micros()) as f64 / 1e6;
        let turns = phase - tone(and, 997.0).1 - apart * 997.0;
        (turns - turns.round()) / 997.0
    };
    let off = late(&coded[50], &decoded[50], &plain[50], &samples(&plain[50]));
    assert!(off.abs() < 60e-6, "{off} s apart");
}

#[tokio::test(flavor = "multi_thread")]
async fn sx11_who_takes_it_on_media_hears_nothing_on_the_track_until_it_lets_go() {
    let the_box = TheBox::start();
    let live = call(&the_box, &[MediaCodec::Opus]).await;
    let other = call(&the_box, &[]).await;
    assert_eq!(the_box.knock("POST", "/api/v1/air", r#"{"what":"tone"}"#).0, 200);
    chunks(&live, 20).await;
    other.native.sound().await.expect("the track");
    want(&live, &[]).await;
    live.native.sound().await.expect("the track, which it has let go of `media` for");
    let phones = the_box.ask_json(&["phones"]);
    let said = |k: usize| phones["phones"][k]["peer"]["traffic"]["media"]["messages_out"].as_u64();
    let mut counts = [said(0), said(1)];
    counts.sort_unstable();
    assert_eq!(counts[0], Some(0), "{phones}");
    assert!(counts[1] >= Some(20), "{phones}");
}

#[tokio::test(flavor = "multi_thread")]
async fn sx11_a_small_crowd_on_peer_connections_would_hear_each_chunk_together() {
    const CROWD: u64 = 8;
    const CHUNKS: usize = 400;
    let the_box = TheBox::start();
    let at: SocketAddr = (Ipv4Addr::LOCALHOST, the_box.place.http).into();
    let (hears, mut heard) = unbounded_channel();
    for number in 0..CROWD {
        let caller = Caller::call(at, "127.0.0.1:0", false).await.expect("the box answers");
        let hears = hears.clone();
        tokio::spawn(async move { listen(&caller, (number, Ear::default()), hears).await });
    }
    assert_eq!(the_box.knock("POST", "/api/v1/air", r#"{"what":"tone"}"#).0, 200);
    let mut all: Vec<Heard> = Vec::new();
    let slowest = |all: &[Heard]| {
        (0..CROWD).map(|k| all.iter().filter(|it| it.phone == k).count()).min().unwrap_or(0)
    };
    while slowest(&all) < CHUNKS {
        all.push(heard.recv().await.expect("they listen"));
    }
    // By then they know the time.
    let begins = all.iter().map(|it| it.index).max().expect("heard") - CHUNKS as u64 / 2;
    all.retain(|it| it.index >= begins);
    let (apart, late) = (apart(&all), all.iter().filter(|it| it.is_late).count());
    let p95 = apart[apart.len() * 95 / 100];
    println!("p95 {p95} apart in {} pairs; {} lost, {late} late", apart.len(), lost(&all));
    // Each is late by what this machine makes it wait; who is not in step is off by more than a chunk.
    assert!(p95 < CHUNK, "{p95} apart");
}

/// When it is heard, and its octets; none where it was sealed.
type Packet = (Span, Option<Vec<u8>>);

/// Live sound in a capture, which may still be written, and when that began.
pub fn recorded(file: &Path) -> (ShowTime, Vec<Packet>) {
    let bytes = std::fs::read(file).expect("it is there");
    let mut reader = Reader::new(&bytes[..]).expect("a capture");
    let mut packets = Vec::new();
    while let Some(record) = reader.next_record().expect("no damage") {
        if let Record::Talk { at, talk: Talk::Sound(it) } = record {
            packets.push((at, it.opus.map(<[u8]>::to_vec)));
        }
    }
    (reader.head().began, packets)
}

/// How far a chunk's time is from that of a packet.
fn off(chunk: &MediaData, packet: ShowTime) -> Span {
    (chunk.timestamp.to_show(TAI_UTC) - packet).abs()
}

#[tokio::test(flavor = "multi_thread")]
async fn sx20_live_sound_is_recorded_as_it_leaves_and_heard_again_at_its_times() {
    let mut the_box = TheBox::start();
    let file = the_box.place.path("evening.dbl");
    let recorder = the_box.record(&file, &["--phones"]);
    let phone = call(&the_box, &[MediaCodec::Opus]).await;
    assert!(the_box.ask(&["air", "tone"]).status.success());
    let heard = chunks(&phone, 60).await;
    // As long again, and nobody is to hear the end of it.
    while recorded(&unfinished(&file)).1.len() < 250 {
        std::thread::yield_now();
    }
    let told = recorder.end();
    let (began, packets) = recorded(&file);
    for ((at, opus), chunk) in packets.iter().zip(&heard) {
        assert_eq!(opus.as_ref(), Some(&chunk.data));
        assert!(off(chunk, began + *at) < Span::from_micros(2), "it is when it is heard");
    }
    let sound = &told["phones"]["sound"];
    assert_eq!((sound.as_array().map(Vec::len), &sound[0]["track"]), (Some(1), &"tone".into()));
    let until_ns = (packets[packets.len() - 1].0 + CHUNK).ns();
    assert_eq!(
        (&sound[0]["from_ns"], &sound[0]["until_ns"], &sound[0]["kept"]),
        (&packets[0].0.ns().into(), &until_ns.into(), &true.into())
    );
    play_again(&mut the_box, &packets).await;
}

/// In a second run a cue plays what was recorded.
async fn play_again(the_box: &mut TheBox, packets: &[Packet]) {
    run_with_what_was_recorded(the_box);
    let phone = call(the_box, &[MediaCodec::Opus]).await;
    assert!(the_box.ask(&["fire", "77"]).status.success());
    let heard = chunks(&phone, 60).await;
    let began = began_again(the_box);
    for ((at, opus), chunk) in packets.iter().zip(&heard) {
        assert_eq!((&chunk.track_id.0[..], Some(&chunk.data)), ("tone", opus.as_ref()));
        assert!(off(chunk, began + *at) < Span::from_micros(2), "at its time");
    }
    assert!(the_box.ask(&["stop"]).status.success());
    assert_eq!(the_box.ask_json(&["status"])["show"]["on_air"], serde_json::Value::Null);
    assert!(the_box.ask(&["air", "tone"]).status.success());
    // The channel keeps its order: whatever had left comes before the tone.
    let mut left = heard.len();
    while chunk(&phone).await.1.chunk_index != 0 {
        left += 1;
    }
    assert!(left < packets.len(), "{left} of {} had left when it stopped", packets.len());
}

/// Starts it again with a cue 77 that plays what was recorded.
fn run_with_what_was_recorded(the_box: &mut TheBox) {
    let show = the_box.place.path("show.toml");
    let text = std::fs::read_to_string(&show).expect("ours");
    let again = "\n[[list.cue]]\nnumber = 77\nphones = { capture = \"evening.dbl\" }\n";
    std::fs::write(&show, text + again).expect("ours");
    the_box.restart();
}

/// When what was recorded begins there.
fn began_again(the_box: &TheBox) -> ShowTime {
    let orders = the_box.ask_json(&["receipts"]);
    let orders = orders["orders"].as_array().expect("a list");
    let order =
        orders.iter().find(|it| it["order"]["what"]["do"] == "capture").expect("it is ordered");
    ShowTime::from_ns(order["order"]["at_tai_ns"].as_i64().expect("a time"))
}

/// When it is seen, which piece it is, and its octets.
type Shot = (Span, Piece, Vec<u8>);

/// Live pictures in a capture, which may still be written, and when that began.
fn recorded_pictures(file: &Path) -> (ShowTime, Vec<Shot>) {
    let bytes = std::fs::read(file).unwrap_or_default();
    let Ok(mut reader) = Reader::new(&bytes[..]) else { return (ShowTime::ZERO, Vec::new()) };
    let mut shots = Vec::new();
    while let Some(record) = reader.next_record().expect("no damage") {
        if let Record::Talk { at, talk: Talk::Picture(it) } = record {
            let data = it.data.expect("nothing is sealed").to_vec();
            shots.push((at - it.piece.earlier, it.piece, data));
        }
    }
    (reader.head().began, shots)
}

/// So many pieces of pictures; what is heard meanwhile is passed over.
async fn pieces(caller: &Caller, count: usize) -> Vec<MediaData> {
    let mut seen = Vec::new();
    while seen.len() < count {
        let (_, chunk) = chunk(caller).await;
        seen.extend(Some(chunk).filter(|it| it.codec.has_pictures()));
    }
    seen
}

/// Whether each is what was recorded under its number, octet for octet and at its time.
fn are_as_recorded(seen: &[MediaData], (began, shots): (ShowTime, &[Shot])) {
    for chunk in seen {
        let (at, piece, data) = &shots[chunk.chunk_index as usize];
        assert_eq!((&chunk.track_id.0[..], &chunk.data), ("film", data));
        let how = (chunk.codec, chunk.is_keyframe, chunk.parts_left);
        assert_eq!(how, (piece.codec, piece.is_key, piece.parts_left));
        assert!((chunk.duration - piece.lasts).abs() < Span::from_micros(2));
        assert!(off(chunk, began + *at) < Span::from_micros(2), "it is when it is seen");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn sx20_a_film_that_was_live_is_recorded_as_it_left_and_seen_again_octet_for_octet_at_its_times()
 {
    const TAKEN: [MediaCodec; 2] = [MediaCodec::Opus, MediaCodec::Vp9];
    let mut the_box = with_film(Place::new(), "opus.webm").run();
    let file = the_box.place.path("evening.dbl");
    let recorder = the_box.record(&file, &["--phones"]);
    let phone = call(&the_box, &TAKEN).await;
    assert!(the_box.ask(&["air", "film"]).status.success());
    let seen = pieces(&phone, 60).await;
    while recorded_pictures(&unfinished(&file)).1.len() < 250 {
        std::thread::yield_now();
    }
    let told = recorder.end();
    let (began, shots) = recorded_pictures(&file);
    are_as_recorded(&seen, (began, &shots));
    let pictures = &told["phones"]["pictures"];
    assert_eq!((&pictures[0]["track"], &pictures[0]["kept"]), (&"film".into(), &true.into()));
    assert_eq!(pictures[0]["from_ns"], shots[0].0.ns());
    let listed = the_box.ask(&["record", "--list", file.to_str().expect("ours")]);
    let listed = String::from_utf8_lossy(&listed.stdout).into_owned();
    assert!(listed.contains("film seen live") && listed.contains("film heard live"), "{listed}");

    run_with_what_was_recorded(&mut the_box);
    let phone = call(&the_box, &TAKEN).await;
    assert!(the_box.ask(&["fire", "77"]).status.success());
    let again = pieces(&phone, 60).await;
    let began = began_again(&the_box);
    assert!(again[0].is_keyframe && again[0].chunk_index == 0);
    are_as_recorded(&again, (began, &shots));
    let late = call(&the_box, &TAKEN).await;
    let joined = pieces(&late, 12).await;
    assert!(joined[0].is_keyframe, "all from the last key frame on");
    are_as_recorded(&joined, (began, &shots));
    assert!(joined.windows(2).all(|two| two[1].chunk_index == two[0].chunk_index + 1));
}

/// A box whose input is alsa-lib's `file` device: a tone, for ever as far as the test goes.
fn listening() -> Place {
    let mut place = Place::new();
    let (raw, conf) = (place.path("stage.raw"), place.path("asound.conf"));
    let wave = |n: usize| (0.5 * (n as f64 * TAU * 440.0 / 48_000.0).sin() * 32_767.0) as i16;
    let bytes: Vec<u8> = (0..60 * 48_000).flat_map(|n| wave(n).to_ne_bytes()).collect();
    std::fs::write(&raw, bytes).expect("written");
    let stage = format!(
        "</usr/share/alsa/alsa.conf>\npcm.stage {{ type file slave.pcm \"null\" file \"/dev/null\" infile \"{}\" format \"raw\" }}\n",
        raw.display()
    );
    std::fs::write(&conf, stage).expect("written");
    place.write_box("[sound]\ndevice = \"simulated\"\ninput = \"stage\"\n");
    place.alsa = Some(conf);
    place
}

#[tokio::test(flavor = "multi_thread")]
async fn sx11_what_an_alsa_input_hears_goes_on_air() {
    let the_box = listening().run();
    let phone = call(&the_box, &[MediaCodec::Pcm16]).await;
    assert!(the_box.ask(&["air", "input"]).status.success());
    let heard = chunks(&phone, 30).await;
    let all: Vec<f64> = heard[10..].iter().flat_map(samples).collect();
    let (level, _) = tone(&all, 440.0);
    assert!((0.49..0.51).contains(&level), "{level}");
    assert_eq!(the_box.ask_json(&["status"])["show"]["on_air"], "input");
}

/// A box whose show has a film of `tests/vectors/film` as its track `film`.
pub fn with_film(place: Place, name: &str) -> Place {
    let vector = concat!(env!("CARGO_MANIFEST_DIR"), "/vectors/film");
    std::fs::copy(Path::new(vector).join(name), place.path(name)).expect("copied");
    let show = std::fs::read_to_string(place.path("show.toml")).expect("it was written");
    let show = show.replacen("[tracks]", &format!("[tracks]\nfilm = \"{name}\""), 1);
    std::fs::write(place.path("show.toml"), show).expect("written");
    place
}

/// When the fourth picture of each pass is seen, and when each burst begins to be heard; microseconds.
async fn seen_and_heard(phone: &Caller, passes: usize) -> [Vec<i64>; 2] {
    let (mut seen, mut heard): (Vec<i64>, Vec<i64>) = (Vec::new(), Vec::new());
    while heard.len() < passes {
        let (_, chunk) = chunk(phone).await;
        let at = chunk.timestamp.micros();
        if chunk.codec.has_pictures() {
            seen.extend((chunk.chunk_index % 6 == 3).then_some(at));
            continue;
        }
        let loud = samples(&chunk).iter().position(|it| it.abs() > 0.4);
        let begins = loud.map(|frame| at + frame as i64 * 1_000 / 48);
        heard.extend(begins.filter(|at| heard.last().is_none_or(|last| at - last > 100_000)));
    }
    [seen, heard]
}

#[tokio::test(flavor = "multi_thread")]
async fn sx11_a_live_film_is_heard_with_its_pictures_pass_after_pass() {
    const PASSES: usize = 25;
    // AAC's burst does not begin with the picture, but is as loud as that 14.9 ms later.
    let films = [
        ("opus.webm", MediaCodec::Vp9, 0),
        ("opus.mp4", MediaCodec::H264, 0),
        ("vorbis.webm", MediaCodec::Vp9, 0),
        ("aac.mp4", MediaCodec::H264, 14_900),
    ];
    for (name, codec, later) in films {
        let the_box = with_film(Place::new(), name).run();
        let phone = call(&the_box, &[MediaCodec::Pcm16, codec]).await;
        assert!(the_box.ask(&["air", "film"]).status.success());
        let [seen, heard] = seen_and_heard(&phone, PASSES).await;
        // Before the first picture that came, nobody is to say whose burst it is.
        let heard = heard.iter().filter(|at| **at > seen[0] - 20_000);
        let off: Vec<i64> = heard.zip(&seen).map(|(heard, seen)| heard - seen - later).collect();
        println!("{name}: {off:?} µs after their pictures");
        assert!(off.len() >= PASSES - 2, "{name}: {}", off.len());
        assert!(off.iter().all(|off| off.abs() < 500), "{name}: {off:?} µs");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn sx11_a_film_whose_sound_nobody_can_decode_is_shown_and_says_so() {
    let mut the_box = with_film(Place::new(), "broken-sound-he-aac.mp4").run();
    let phone = call(&the_box, &[MediaCodec::Opus, MediaCodec::H264]).await;
    assert!(the_box.ask(&["air", "film"]).status.success());
    let line =
        the_box.wait_for_line("film is shown without its sound: its sound cannot be decoded");
    assert!(line.contains("AAC-LC"), "{line}");
    for _ in 0..20 {
        assert_eq!(chunk(&phone).await.1.codec, MediaCodec::H264);
    }
}

#[test]
fn an_input_that_the_box_file_does_not_name_is_refused() {
    let the_box = TheBox::start();
    let refused = the_box.ask(&["air", "input"]);
    let said = String::from_utf8_lossy(&refused.stderr);
    assert!(refused.status.code() == Some(1) && said.contains("under [sound]"), "{said}");
}

/// A list of its own for what goes on air: a piece that clicks every tenth of a second, 50 ms after its beginning.
const AIRED: &str = r#"
[[list]]
name = "air"
[[list.cue]]
number = 20
light = { levels = { par = 10 } }
continue = "auto-continue"
post_wait = "1500ms"
[[list.cue]]
number = 21
air = "track_001"
[[list.cue]]
number = 22
air = false
"#;

/// When a piece that clicks was first to be heard, network time in microseconds.
async fn first_click(caller: &Caller) -> i64 {
    loop {
        let (_, chunk) = chunk(caller).await;
        let pcm = samples(&chunk);
        let loudest = (0..pcm.len()).max_by(|a, b| pcm[*a].abs().total_cmp(&pcm[*b].abs()));
        if let Some(place) = loudest.filter(|it| pcm[*it].abs() > 0.5) {
            return chunk.timestamp.micros() + place as i64 * 1_000_000 / 48_000;
        }
    }
}

/// When the order of a cue for the air is to be heard, network time in microseconds.
fn ordered(the_box: &TheBox, cue: &str) -> i64 {
    let orders = the_box.ask_json(&["receipts"])["orders"].clone();
    let mut orders = orders.as_array().expect("orders").iter().map(|it| &it["order"]);
    let order =
        orders.find(|it| it["output"] == "air" && it["cue"] == cue).expect("it was ordered");
    let at = ShowTime::from_ns(order["at_tai_ns"].as_i64().expect("a time"));
    units::WireTime::from_show(at, TAI_UTC).micros()
}

#[tokio::test(flavor = "multi_thread")]
async fn sx11_what_a_cue_puts_on_air_is_heard_at_its_time_from_its_beginning_until_a_cue_ends_it() {
    let place = Place::new();
    let show = std::fs::read_to_string(place.path("show.toml")).expect("there");
    std::fs::write(place.path("show.toml"), show + AIRED).expect("written");
    let mut the_box = place.run();
    let phone = call(&the_box, &[MediaCodec::Pcm16]).await;
    assert_eq!(the_box.knock("POST", "/api/v1/go", r#"{"list":"air"}"#).0, 200);
    let clicked = first_click(&phone).await;
    let late = clicked - ordered(&the_box, "21") - 50_000;
    assert!((-100..50_000).contains(&late), "{late} µs late: a machine that stands still may be");
    assert!(the_box.wait_for_line("track_001 is on air").contains("(cue 21)"));
    let show = the_box.ask_json(&["status"])["show"].clone();
    assert_eq!((&show["on_air"], &show["on_air_cue"]), (&"track_001".into(), &"21".into()));
    assert!(the_box.ask(&["fire", "22"]).status.success());
    the_box.wait_for_line("nothing is on air (cue 22)");
    assert_eq!(the_box.ask_json(&["status"])["show"]["on_air"], serde_json::Value::Null);
}
