//! What phones were told one evening is told again another, in step (SX-20).

use std::io;
use std::ops::Range;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

use engine::clock::TAI_UTC;
use engine::show::{Finding, MediaInfo, Recorded, Show, Source, load};
use engine::told::{Command, To};
use sim::{Event, Story, Wifi, World, WorldSpec};
use units::{ShowTime, Span, TrackId, WireTime};
use uuid::Uuid;
use wire::capture::talk::{Line, Piece, Talk};
use wire::capture::{Head, Reader, Record, Writer};
use wire::solusync::{Header, MediaAction, MediaCodec, MediaControl, MediaParams, Message, emit};
use wire::stored::Stored;

const EVENING: &str = r##"
[tracks]
track_001 = "audio/piece.wav"
[[list]]
name = "main"
[[list.cue]]
number = 1
phones = { color = "#ff7030", fade = "2s", text = "Good evening", torch = true }
[[list.cue]]
number = 2
phones = { track = "track_001", flash = { count = 2 } }
[[list.cue]]
number = 3
phones = { color = "#000000", fade = "1s", vibrate = "200ms" }
"##;

const AGAIN: &str = r#"
[tracks]
track_001 = "audio/piece.wav"
[[list]]
name = "main"
[[list.cue]]
number = 1
phones = { capture = "captures/evening.dbl" }
"#;

struct Folder {
    show: String,
    capture: Arc<dyn Stored>,
}

impl Source for Folder {
    fn text(&self, _: &str) -> Result<String, String> {
        Ok(self.show.clone())
    }
    fn media(&self, _: &str) -> Result<MediaInfo, String> {
        Ok(MediaInfo {
            sha256: format!("{:064x}", 1),
            bytes: 1_920_044,
            rate_hz: 48_000,
            channels: 2,
            frames: 480_000,
        })
    }
    fn capture(&self, _: &str) -> Result<Arc<dyn Stored>, String> {
        Ok(self.capture.clone())
    }
}

fn found(show: &str, capture: impl Stored + 'static) -> (Option<Show>, Vec<String>) {
    let capture: Arc<dyn Stored> = Arc::new(capture);
    let loaded = load("show.toml", &Folder { show: show.to_owned(), capture });
    (loaded.show, loaded.findings.iter().map(Finding::to_string).collect())
}

/// A hall of four phones, settled.
fn hall(show: &str, capture: Vec<u8>) -> World {
    let (show, findings) = found(show, capture);
    let show = show.unwrap_or_else(|| panic!("{}", findings.join("\n")));
    let mut world = World::new(Arc::new(show), WorldSpec::default()).with_phones(4, Wifi::QUIET);
    world.run(Span::from_secs(15));
    world
}

/// An evening of three cues; gives the capture, when it began, and what phones were told.
fn evening() -> (Vec<u8>, ShowTime, Vec<Said>) {
    let mut world = hall(EVENING, Vec::new());
    world.record_talk();
    let began = world.now();
    for seconds in [3.0, 5.5, 4.0] {
        world.go().expect("a cue stands by");
        world.run(Span::from_secs_f64(seconds));
    }
    let said = said_since(&world, began);
    (world.take_talk(), began, said)
}

/// What all phones were told: since `began`, for when, and the rest.
#[derive(Debug, Clone, PartialEq)]
struct Said {
    at: Span,
    start: Option<Span>,
    what: String,
}

fn said_since(world: &World, began: ShowTime) -> Vec<Said> {
    let said = |story: &Story| {
        let Event::Told(To::All, message) = &story.event else { return None };
        let (start_at, what) = match message.clone() {
            Message::Screen(mut it) => (it.start_at.take(), format!("{it:?}")),
            Message::MediaControl(mut it) => (it.start_at.take(), format!("{it:?}")),
            _ => return None,
        };
        let start = start_at.map(|at| at.to_show(TAI_UTC) - began);
        Some(Said { at: story.at - began, start, what })
    };
    world.story.iter().filter(|story| story.at >= began).filter_map(said).collect()
}

/// Fires the cue that plays it; gives when its talk begins.
fn play(world: &mut World) -> ShowTime {
    world.go().expect("the cue stands by");
    let began = world.story.iter().rev().find_map(|story| match &story.event {
        Event::Ordered(order) => Some(order.at),
        _ => None,
    });
    began.expect("it is ordered")
}

fn micros(said: &[Said]) -> Vec<(i64, Option<i64>, &str)> {
    let micros = |span: Span| span.ns().div_euclid(1_000);
    said.iter().map(|it| (micros(it.at), it.start.map(micros), it.what.as_str())).collect()
}

#[test]
fn sx20_phones_are_told_again_what_they_were_told_as_far_ahead_of_its_time() {
    let (capture, _, said) = evening();
    assert_eq!(said.len(), 4, "a colour, a track, its flashes, the dark: {said:?}");
    let mut world = hall(AGAIN, capture);
    let began = play(&mut world);
    world.run(Span::from_secs(14));
    assert_eq!(micros(&said_since(&world, began)), micros(&said));
    assert!(world.glance().running.is_empty(), "the cue has ended");
}

#[test]
fn sx20_simulated_phones_do_again_what_they_did_and_the_capture_says_what_that_was() {
    let (capture, _, _) = evening();
    let mut reader = Reader::new(&capture[..]).expect("a capture");
    let (mut played, mut phones, mut worst) = (0, 0, Span::ZERO);
    while let Some(record) = reader.next_record().expect("no damage") {
        match record {
            Record::Talk { talk: Talk::Played { late, .. }, .. } => {
                (played, worst) = (played + 1, worst.max(late.abs()));
            }
            Record::Talk { talk: Talk::Came { .. }, .. } => phones += 1,
            _ => {}
        }
    }
    assert_eq!(phones, 4);
    assert_eq!(played, 4 * 4, "each phone said of each order that it was done");
    assert!(worst < Span::from_millis(40), "within a frame or two: {worst}");
    let mut world = hall(AGAIN, capture);
    let began = play(&mut world);
    world.run_until(began + Span::from_millis(4_500));
    let heard = (0..world.phones()).flat_map(|place| world.phone(place).heard(world.now()));
    // Cue 2 came 3 s into the evening, and a track goes out a lead ahead.
    let places: Vec<f64> = heard.map(|it| it.at_s).collect();
    let lead = evening().2[1].start.expect("a time").secs_f64();
    assert_eq!(places.len(), 4, "all sound: {places:?}");
    assert!(
        places.iter().all(|at| (at - (4.5 - lead)).abs() < 0.002),
        "{places:?}, begun at {lead}"
    );
}

#[test]
fn sx20_a_pause_holds_the_talk_and_a_stop_ends_it_with_its_tracks() {
    let (capture, _, said) = evening();
    let mut world = hall(AGAIN, capture);
    let began = play(&mut world);
    world.run_until(began + Span::from_millis(1_500));
    world.command(Command::Pause).expect("it runs");
    world.run(Span::from_secs(2));
    world.command(Command::Resume).expect("it is paused");
    world.run_until(began + Span::from_millis(6_500));
    let later = said_since(&world, began);
    let track = later.iter().rev().find(|it| it.what.contains("Play")).expect("the track came");
    let pause = track.start.expect("a time") - said[1].start.expect("a time");
    assert!(
        (pause - Span::from_secs(2)).abs() < Span::from_millis(30),
        "later by the pause: {pause}"
    );
    world.command(Command::Stop).expect("it runs");
    world.run(Span::from_secs(20));
    let all = said_since(&world, began);
    assert!(all.iter().all(|it| !it.what.contains("vibrate_ms: Some(200)")), "cue 3 never comes");
    assert!(all.last().is_some_and(|it| it.what.contains("Stop")), "{all:?}");
}

#[test]
fn sx20_who_joins_late_is_brought_to_where_the_talk_has_brought_the_others() {
    let (capture, _, _) = evening();
    let mut world = hall(AGAIN, capture);
    let began = play(&mut world);
    world.run_until(began + Span::from_secs(5));
    world.phone_joins(units::PhoneId(900));
    let told = world.story.iter().rev().filter_map(|story| match &story.event {
        Event::Told(To::One(phone), message) if phone.0 == 900 => Some(message),
        _ => None,
    });
    let told: Vec<&Message> = told.collect();
    let plays = told.iter().any(|it| {
        matches!(it, Message::MediaControl(it) if it.track_id == Some(TrackId("track_001".into())))
    });
    let shows = told.iter().any(|it| {
        matches!(it, Message::Screen(it) if it.text.as_deref() == Some("Good evening") && it.torch == Some(true))
    });
    assert!(plays && shows, "{told:?}");
}

#[test]
fn sx20_a_capture_without_talk_or_of_other_tracks_is_named_by_check() {
    let (capture, _, _) = evening();
    let other = AGAIN.replace("track_001", "track_002");
    let (show, findings) = found(&other, capture.clone());
    assert!(show.is_some() && findings.len() == 1, "{findings:?}");
    assert!(
        findings[0].contains("plays track `track_001`, which is not in [tracks]"),
        "{findings:?}"
    );
    let (show, findings) = found(AGAIN, capture[..30].to_vec());
    assert!(show.is_some_and(|_| findings.iter().any(|it| it.contains("cut off"))), "{findings:?}");
    let mut light = b"DBLC\x01\x00".to_vec();
    light.extend([0; 12]);
    let (show, findings) = found(AGAIN, light);
    assert!(show.is_none() && findings[0].contains("downbeat record --phones"), "{findings:?}");
}

#[test]
fn sx20_what_no_operator_could_have_said_is_refused_in_a_capture_too() {
    let soon = ShowTime::ZERO + Span::from_secs(1);
    let head = Head { title: String::new(), began: ShowTime::ZERO, universes: Vec::new() };
    let told = |position_ms: f64, at: ShowTime| {
        let params = MediaParams { position_ms, ..MediaParams::default() };
        let start_at = Some(WireTime::from_show(at, TAI_UTC));
        let track_id = Some(TrackId("track_001".into()));
        let play = MediaControl { action: MediaAction::Play, track_id, start_at, params };
        let id = Uuid::from_u128(1);
        let header = Header {
            id,
            timestamp: WireTime::from_show(soon, TAI_UTC),
            node_id: Uuid::nil(),
            sequence: 0,
        };
        let text = emit(&header, &Message::MediaControl(play));
        let mut capture = Vec::new();
        let mut writer = Writer::with_talk(head.clone(), &mut capture);
        writer.talk(ShowTime::ZERO, &Line::Told { id, text }, &mut capture);
        found(AGAIN, capture)
    };
    assert!(told(1_000.0, soon).0.is_some(), "{:?}", told(1_000.0, soon).1);
    for (place, at) in [(-1.0, soon), (1e12, soon), (0.0, soon + Span::from_secs(200_000))] {
        let (show, findings) = told(place, at);
        assert!(show.is_none() && findings[0].contains("out of range"), "{findings:?}");
    }
}

const PACKET: Span = Span::from_millis(20);

fn sound(nth: i64) -> Line {
    Line::Sound { track: TrackId("tone".into()), opus: Some(vec![0xfc, nth as u8]) }
}

/// A capture in which a tone was on air in those seconds; it ends at their end.
fn sounding(seconds: Range<i64>) -> Vec<u8> {
    let head = Head { title: String::new(), began: ShowTime::ZERO, universes: Vec::new() };
    let mut capture = Vec::new();
    let mut writer = Writer::with_talk(head, &mut capture);
    let began = ShowTime::ZERO + Span::from_secs(seconds.start);
    for nth in 0..50 * (seconds.end - seconds.start) {
        writer.talk(began + PACKET.times(nth), &sound(nth), &mut capture);
    }
    writer.mark(ShowTime::ZERO + Span::from_secs(seconds.end), &mut capture);
    capture
}

/// When what left is heard, in milliseconds since `began`.
fn aired(world: &World, began: ShowTime) -> Vec<i64> {
    let heard = world.story.iter().filter_map(|story| match &story.event {
        Event::Aired(track, heard) => {
            assert_eq!(track.0, "tone");
            assert!(*heard - story.at >= Span::from_millis(250), "ahead of its time");
            Some((*heard - began).ns() / 1_000_000)
        }
        _ => None,
    });
    heard.collect()
}

fn on_air(world: &World) -> Option<String> {
    world.glance().on_air
}

#[test]
fn sx20_what_was_live_another_evening_is_on_air_again_at_its_times() {
    let mut world = hall(AGAIN, sounding(1..4));
    let began = play(&mut world);
    world.run_until(began + Span::from_millis(3_500));
    assert_eq!(on_air(&world).as_deref(), Some("captures/evening.dbl"));
    world.run(Span::from_secs(2));
    assert_eq!(aired(&world, began), (1_000..4_000).step_by(20).collect::<Vec<_>>());
    assert_eq!(on_air(&world), None, "the cue has ended");
}

#[test]
fn sx20_a_pause_holds_what_was_live_and_a_stop_ends_it() {
    let mut world = hall(AGAIN, sounding(1..8));
    let began = play(&mut world);
    world.run_until(began + Span::from_millis(3_005));
    world.command(Command::Pause).expect("it runs");
    world.run(Span::from_secs(4));
    let before = aired(&world, began);
    assert_eq!(before, (1_000..=3_260).step_by(20).collect::<Vec<_>>(), "what had left");
    world.command(Command::Resume).expect("it is paused");
    world.run(Span::from_secs(2));
    let all = aired(&world, began);
    let after = (3_280 + 4_000..).step_by(20).take(all.len() - before.len());
    assert_eq!(all[before.len()..], after.collect::<Vec<_>>(), "the next, later by the pause");
    assert!(all.len() > before.len() + 90);
    world.command(Command::Stop).expect("it runs");
    world.run(Span::from_secs(4));
    assert_eq!((aired(&world, began).len(), on_air(&world)), (all.len(), None));
}

#[test]
fn sx20_what_an_operator_puts_on_air_takes_the_place_of_what_was_live_and_stays() {
    let mut world = hall(AGAIN, sounding(1..8));
    let began = play(&mut world);
    world.run_until(began + Span::from_secs(2));
    let left = aired(&world, began).len();
    assert!(left > 50);
    world.command(Command::Air { what: Some("tone".into()) }).expect("it is always there");
    for command in [Command::Pause, Command::Resume] {
        world.run(Span::from_secs(1));
        world.command(command).expect("it runs");
    }
    world.run(Span::from_secs(10));
    assert!(world.glance().running.is_empty(), "the cue has ended");
    assert_eq!((aired(&world, began).len(), on_air(&world).as_deref()), (left, Some("tone")));
}

/// Counts what is read of it.
struct Counted {
    bytes: Vec<u8>,
    read: Arc<AtomicU64>,
}

impl Stored for Counted {
    fn length(&self) -> io::Result<u64> {
        self.bytes.length()
    }
    fn read_at(&self, at: u64, into: &mut [u8]) -> io::Result<usize> {
        let count = self.bytes.read_at(at, into)?;
        self.read.fetch_add(count as u64, Relaxed);
        Ok(count)
    }
}

#[test]
fn sx20_of_an_hour_of_live_sound_no_more_than_a_few_seconds_are_read_to_play_from_its_end() {
    let read = Arc::new(AtomicU64::new(0));
    let bytes = sounding(0..3_600);
    let whole = bytes.len() as u64;
    let (show, findings) = found(AGAIN, Counted { bytes, read: read.clone() });
    let show = show.unwrap_or_else(|| panic!("{findings:?}"));
    assert!(read.swap(0, Relaxed) <= whole, "looked through once");
    let talk = show.lists[0].cues[0].phones.as_ref().and_then(|it| it.talk.clone());
    let air = talk.and_then(|it| it.air.clone()).expect("a tone");
    let mut reader = air.read_from(Span::from_secs(3_595));
    let mut packets = std::iter::from_fn(|| reader.next().expect("no damage"));
    let first = packets.find(|it| it.at >= Span::from_secs(3_595)).expect("it is there");
    assert_eq!(first.at, Span::from_secs(3_595));
    assert_eq!(first.what, Recorded::Sound(vec![0xfc, (50 * 3_595) as u8]));
    assert!(read.load(Relaxed) <= 1 << 16, "{} octets of {whole}", read.load(Relaxed));
}

#[test]
fn sx20_a_capture_whose_sound_is_damaged_is_named_by_check() {
    let mut capture = sounding(0..1);
    // Two packets at its end, without universes: no time goes between them.
    let packet = [9, 0, 0, 6, 4, b't', b'o', b'n', b'e', 0xfc, 0];
    let whole = capture.len() + packet.len();
    capture.extend([packet, packet].concat());
    let (show, findings) = found(AGAIN, capture);
    let expected = format!("could not read `captures/evening.dbl`: it is damaged at byte {whole}");
    assert!(show.is_none() && findings[0].contains(&expected), "{findings:?}");
}

/// What was live another evening, and a list of its own for what cues put on air.
fn beside(lead: &str) -> String {
    let air = r#"
[[list]]
name = "air"
[[list.cue]]
number = 10
air = "tone"
[[list.cue]]
number = 11
stop = { cue = 1 }
"#;
    format!("{AGAIN}{air}").replacen("[tracks]", &format!("[show]\nlead = {lead:?}\n[tracks]"), 1)
}

fn fire(world: &mut World, cue: &str) {
    let cue = cue.parse().expect("a number");
    world.command(Command::Fire { cue }).expect("it exists");
}

/// What was made live since `began`, and from when on, in milliseconds.
fn turns(world: &World, began: ShowTime) -> Vec<(Option<String>, i64)> {
    let turns = world.story.iter().filter_map(|story| match &story.event {
        Event::Airs(what) => Some((what.as_ref().map(ToString::to_string), story.at)),
        _ => None,
    });
    turns.map(|(what, at)| (what, (at - began).ns() / 1_000_000)).collect()
}

/// What the story said of it since `began`, by cues.
fn told_of_air(world: &World, began: ShowTime) -> Vec<(Option<String>, i64)> {
    let told = world.story.iter().filter_map(|story| match &story.event {
        Event::Said(engine::told::Said::OnAir { what, .. }) => Some((what.clone(), story.at)),
        _ => None,
    });
    told.map(|(what, at)| (what, (at - began).ns() / 1_000_000)).collect()
}

fn tone() -> Option<String> {
    Some("tone".to_owned())
}

fn evening_on_air() -> Option<String> {
    Some("captures/evening.dbl".to_owned())
}

#[test]
fn sx20_what_was_live_another_evening_is_heard_until_a_cue_s_own_air_begins_and_ends_if_it_is_stopped_before()
 {
    for stops in [false, true] {
        let mut world = hall(&beside("300ms"), sounding(1..8));
        let began = play(&mut world);
        world.run_until(began + Span::from_secs(3));
        fire(&mut world, "10");
        if stops {
            fire(&mut world, "11");
        }
        world.run(Span::from_secs(3));
        // The tone is heard 310 ms after its cue; what is heard before has left 260 ms ahead.
        let last = *aired(&world, began).last().expect("it was on air");
        assert!((3_240..=3_280).contains(&last), "{last}");
        let turns = turns(&world, began);
        assert_eq!(turns.last(), Some(&(tone(), 3_010)), "{turns:?}");
        assert_eq!(turns.contains(&(None, 3_000)), stops, "{turns:?}");
        assert_eq!(told_of_air(&world, began), [(tone(), 3_310)]);
        assert_eq!(on_air(&world), tone());
    }
}

#[test]
fn sx20_a_pause_holds_what_was_live_and_the_cue_s_air_that_waits_to_take_its_place() {
    let mut world = hall(&beside("300ms"), sounding(1..8));
    let began = play(&mut world);
    world.run_until(began + Span::from_secs(3));
    fire(&mut world, "10");
    world.run(Span::from_millis(5));
    world.command(Command::Pause).expect("it runs");
    world.run(Span::from_secs(4));
    assert_eq!(turns(&world, began).last(), Some(&(None, 3_005)), "nothing in the pause");
    assert_eq!(told_of_air(&world, began), []);
    world.command(Command::Resume).expect("it is paused");
    world.run(Span::from_secs(2));
    let turns = turns(&world, began);
    assert_eq!(turns[turns.len() - 2..], [(evening_on_air(), 7_005), (tone(), 7_010)]);
    assert_eq!(told_of_air(&world, began), [(tone(), 7_310)], "later by the pause");
}

#[test]
fn sx20_what_a_cue_has_on_air_already_is_heard_through_a_pause_and_what_it_replaced_stays_off() {
    let mut world = hall(&beside("300ms"), sounding(1..8));
    let began = play(&mut world);
    world.run_until(began + Span::from_secs(3));
    fire(&mut world, "10");
    world.run(Span::from_millis(100));
    world.command(Command::Pause).expect("it runs");
    let heard = aired(&world, began);
    assert_eq!(told_of_air(&world, began), [(tone(), 3_100)], "it has left for the phones");
    world.run(Span::from_secs(4));
    world.command(Command::Resume).expect("it is paused");
    world.run(Span::from_secs(10));
    assert_eq!(turns(&world, began).last(), Some(&(tone(), 3_010)));
    assert_eq!((aired(&world, began), on_air(&world)), (heard, tone()));
    assert_eq!(told_of_air(&world, began).len(), 1);
}

#[test]
fn sx20_a_pause_before_an_evening_is_on_air_leaves_what_a_hand_put_there_until_it_begins() {
    let mut world = hall(&beside("2s"), sounding(0..8));
    world.command(Command::Air { what: tone() }).expect("it is always there");
    let began = play(&mut world);
    world.run(Span::from_secs(1));
    world.command(Command::Pause).expect("it runs");
    world.run(Span::from_secs(4));
    assert_eq!(turns(&world, began).last().map(|it| &it.0), Some(&tone()), "it is live");
    world.command(Command::Resume).expect("it is paused");
    world.run(Span::from_secs(2));
    assert_eq!(turns(&world, began).last(), Some(&(evening_on_air(), 3_700)));
    assert_eq!(aired(&world, began)[..3], [4_000, 4_020, 4_040], "later by the pause");
}

const FRAME: Span = Span::from_millis(40);

/// A capture in which a film was on air from its first second on, with a key frame every 400 ms; it ends with it.
fn showing(seconds: i64) -> Vec<u8> {
    let head = Head { title: String::new(), began: ShowTime::ZERO, universes: Vec::new() };
    let mut capture = Vec::new();
    let mut writer = Writer::with_talk(head, &mut capture);
    let began = ShowTime::ZERO + Span::from_secs(1);
    for nth in 0..25 * seconds {
        let (codec, index) = (MediaCodec::Vp9, nth as u64);
        let is_key = nth % 10 == 0;
        let piece =
            Piece { codec, index, parts_left: 0, is_key, lasts: FRAME, earlier: Span::ZERO };
        let line = Line::Picture { track: TrackId("film".into()), piece, data: Some(vec![7; 99]) };
        writer.talk(began + FRAME.times(nth), &line, &mut capture);
    }
    capture
}

/// When each picture is seen, and leaves, in milliseconds since `began`, and its number; those to begin with apart.
fn shown(world: &World, began: ShowTime) -> Vec<(i64, i64, u64, bool)> {
    let ms = |at: ShowTime| (at - began).ns() / 1_000_000;
    let shown = world.story.iter().filter_map(|story| match &story.event {
        Event::Shown(_, piece, seen) => Some((ms(*seen), ms(story.at), piece.index, piece.is_key)),
        _ => None,
    });
    shown.collect()
}

#[test]
fn sx20_pictures_that_were_live_another_evening_leave_again_in_order_ahead_of_their_times() {
    let mut world = hall(&beside("300ms"), showing(4));
    let began = play(&mut world);
    world.run_until(began + Span::from_secs(6));
    let shown = shown(&world, began);
    let expected = (0..100).map(|nth| (1_000 + 40 * nth, nth as u64, nth % 10 == 0));
    assert_eq!(
        shown.iter().map(|it| (it.0, it.2, it.3)).collect::<Vec<_>>(),
        expected.collect::<Vec<_>>()
    );
    assert!(shown.iter().all(|(seen, left, ..)| (260..=1_260).contains(&(seen - left))));
    assert!(shown[20..].iter().all(|(seen, left, ..)| seen - left == 1_260), "a second ahead");
    assert_eq!(on_air(&world), None, "the cue has ended");
}

#[test]
fn sx20_after_a_pause_recorded_pictures_go_on_in_step_from_a_key_frame_and_a_stop_ends_them() {
    let mut world = hall(&beside("300ms"), showing(9));
    let began = play(&mut world);
    world.run_until(began + Span::from_millis(4_505));
    world.command(Command::Pause).expect("it runs");
    let before = shown(&world, began).len();
    world.run(Span::from_secs(4));
    assert_eq!(shown(&world, began).len(), before, "nothing leaves in the pause");
    world.command(Command::Resume).expect("it is paused");
    world.run(Span::from_secs(1));
    let again = shown(&world, began).split_off(before);
    let (seen, left, index, is_key) = again[0];
    assert!((index, is_key, left) == (0, true, 8_505), "who joins begins with it: {again:?}");
    // What can still be in time is seen from 4.765 s of the evening on; the key frame before is at 4.6 s.
    assert_eq!(seen, 4_600 + 4_000, "later by the pause");
    assert!(again.iter().zip(0..).all(|(it, nth)| it.0 == seen + 40 * nth && it.2 == nth as u64));
    world.command(Command::Stop).expect("it runs");
    let left = shown(&world, began).len();
    world.run(Span::from_secs(4));
    assert_eq!((shown(&world, began).len(), on_air(&world)), (left, None));
}
