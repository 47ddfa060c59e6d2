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
