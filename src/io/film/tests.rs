//! Films in `tests/vectors/film`, whole and broken; Chromium encoded them (`tests/browser/film.js`).

use super::*;

fn vector(name: &str) -> std::path::PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/vectors/film").join(name)
}

fn units(film: &mut Film) -> Vec<Unit> {
    std::iter::from_fn(|| film.next_unit().expect("a whole film")).collect()
}

#[test]
fn sx11_every_picture_of_a_film_comes_with_its_time_and_those_to_begin_with_are_told() {
    for (name, codec) in [("h264.mp4", MediaCodec::H264), ("vp9.webm", MediaCodec::Vp9)] {
        let mut film = Film::open(&vector(name)).expect(name);
        assert_eq!(film.codec(), codec, "{name}");
        let all = units(&mut film);
        let times: Vec<f64> = all.iter().map(|it| it.at.millis_f64()).collect();
        assert_eq!(times, [0.0, 40.0, 80.0, 120.0, 160.0, 200.0], "{name}");
        assert!(all.iter().all(|it| it.lasts == Span::from_millis(40)), "{name}");
        let keys: Vec<bool> = all.iter().map(|it| it.is_key).collect();
        assert_eq!(keys, [true, false, false, true, false, false], "{name}");
        film.rewind().expect(name);
        assert_eq!(units(&mut film), all, "{name}, once more");
        let length = Film::open(&vector(name)).and_then(Film::survey).expect(name);
        assert_eq!(length, Span::from_millis(240), "{name}");
    }
}

#[test]
fn sx11_key_frames_out_of_an_mp4_file_bring_what_a_decoder_has_to_know() {
    let mut film = Film::open(&vector("h264.mp4")).expect("a film");
    for unit in units(&mut film) {
        assert_eq!(unit.data[..4], [0, 0, 0, 1]);
        let kinds = |kind: u8| {
            unit.data.windows(4).filter(|it| it[..3] == [0, 0, 1] && it[3] & 31 == kind).count()
        };
        assert_eq!([kinds(7) > 0, kinds(8) > 0], [unit.is_key; 2], "{}", unit.at);
    }
}

#[test]
fn sx11_what_cannot_go_out_is_refused_with_what_is_wrong() {
    let why = |name: &str| match Film::open(&vector(name)).and_then(Film::survey) {
        Ok(length) => panic!("{name} is {length} long"),
        Err(why) => why.to_string(),
    };
    assert!(why("vp8.webm").starts_with("its pictures are V_VP8; live pictures are H.264 in MP4"));
    assert!(why("broken-track-without-a-codec.webm").starts_with("its pictures are V_XXX"));
    assert_eq!(
        why("broken-chunk-beyond-the-end.mp4"),
        "damaged: it is cut off: picture 1 is missing"
    );
    assert!(why("broken-cut-off.webm").starts_with("damaged: it is cut off: "));
    for name in ["broken-more-sizes-than-times.mp4", "broken-four-thousand-million-pictures.mp4"] {
        assert!(why(name).starts_with("damaged: the tables of its pictures"), "{name}");
    }
    assert_eq!(why("broken-avcc-of-version-0.mp4"), "damaged: its `avcC` makes no sense");
    assert!(why("broken-no-ticks-in-a-second.mp4").contains("it has no pictures"));
    assert!(why("broken-cut-before-its-tables.mp4").contains("its head is missing"));
    let mut film = Film::open(&vector("broken-length-that-lies.mp4")).expect("its tables are well");
    let lies = film.next_unit().expect_err("it lies").to_string();
    assert_eq!(lies, "damaged: a picture makes no sense 0.00 s into it");
}

#[test]
fn sx11_a_film_that_is_damaged_is_no_track_and_one_that_only_cannot_go_out_is() {
    let info = |name: &str| crate::sound::media_info(&vector(name)).map_err(|it| it.to_string());
    for name in ["h264.mp4", "vp9.webm", "vp8.webm"] {
        assert!(info(name).expect(name).is_film(), "{name}");
    }
    let why = info("broken-cut-off.webm").expect_err("it is cut off");
    assert!(why.contains("broken-cut-off.webm: damaged: it is cut off: "), "{why}");
    assert!(info("broken-chunk-beyond-the-end.mp4").is_err());
}

/// All of it up to so many frames, in packets of 20 ms.
fn heard(sound: &mut Soundtrack, frames: usize) -> Vec<[f32; 2]> {
    let mut all = vec![[0.0; 2]; frames];
    for (packet, from) in all.chunks_mut(960).zip((0..).step_by(960)) {
        sound.read(from, packet).expect("whole sound");
    }
    all
}

fn sound_of(name: &str) -> Soundtrack {
    Soundtrack::open(&vector(name)).expect(name).expect("it has sound")
}

/// Films with sound: when the burst in it is louder than 0.4, and how loud it gets.
fn bursts() -> Vec<(String, f64, f32)> {
    let table = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/tables/film_sound.txt");
    let table = std::fs::read_to_string(table).expect("a table");
    let rows = table.lines().filter(|line| !line.starts_with('#')).skip(1);
    let row = |line: &str| {
        let [name, at_ms, peak, _] = line.split_whitespace().collect::<Vec<_>>()[..] else {
            panic!("four columns: {line}")
        };
        (name.to_owned(), at_ms.parse().expect("milliseconds"), peak.parse().expect("a level"))
    };
    rows.map(row).collect()
}

#[test]
fn sx11_the_sound_of_a_film_is_heard_when_its_pictures_are_seen_and_once_more_from_the_beginning() {
    // What Chromium decodes is held against the same table (`tests/browser/pictures.test.js`).
    let bursts = bursts();
    assert_eq!(bursts.len(), 5);
    for (name, at_ms, peak) in &bursts {
        let mut sound = sound_of(name);
        let all = heard(&mut sound, 11_520);
        assert!(all.iter().all(|[left, right]| left == right), "{name}");
        let first = all.iter().position(|it| it[0].abs() > 0.4).expect("a burst");
        let off_ms = first as f64 / 48.0 - at_ms;
        assert!(off_ms.abs() < 0.6, "{name}: {off_ms} ms off");
        let most = all.iter().fold(0.0_f32, |most, it| most.max(it[0].abs()));
        assert!((most - peak).abs() < 0.01, "{name}: {most}");
        assert_eq!(heard(&mut sound, 96_000)[11_520 + 1_024..], [[0.0; 2]; 83_456], "it is over");
        sound.rewind().expect(name);
        assert_eq!(heard(&mut sound, 11_520), all, "{name}, once more");
    }
}

#[test]
fn sx11_sound_that_is_read_from_its_middle_is_what_it_is_from_the_beginning() {
    let all = heard(&mut sound_of("opus.webm"), 11_520);
    let mut late = [[0.0; 2]; 960];
    sound_of("opus.webm").read(5_800, &mut late).expect("whole sound");
    assert_eq!(late[..], all[5_800..6_760]);
}

#[test]
fn sx11_a_film_without_sound_or_with_sound_that_nobody_can_decode_says_which() {
    for name in ["h264.mp4", "vp9.webm"] {
        assert!(Soundtrack::open(&vector(name)).expect(name).is_none(), "{name}");
    }
    let why = |name: &str| match Soundtrack::open(&vector(name)) {
        Ok(_) => panic!("{name} is heard"),
        Err(why) => why.to_string(),
    };
    let he_aac = why("broken-sound-he-aac.mp4");
    assert!(he_aac.starts_with("its sound cannot be decoded ("), "{he_aac}");
    assert_eq!(
        why("broken-sound-beyond-the-end.mp4"),
        "damaged: it is cut off: packet 1 is missing"
    );
    let head = why("broken-sound-of-no-channels.webm");
    assert!(head.contains("its Opus header is not one"), "{head}");
    let headers = why("broken-sound-with-one-header.webm");
    assert_eq!(headers, "damaged: the headers of its sound make no sense");
    for name in ["broken-sound-he-aac.mp4", "broken-sound-of-no-channels.webm"] {
        Film::open(&vector(name)).and_then(Film::survey).expect("its pictures are well");
    }
}
