//! What is written to a capture and read from it, cut anywhere, and lying.

use units::ShowTime;

use super::super::{CaptureError, Head, Reader, Record, Writer};
use super::pace::AT_ONCE_MAX;
use super::pictures::{EARLIER_MAX, PIECE_MAX};
use super::*;
use crate::quality::Quality;
use crate::solusync::{DURATION_MAX, MediaCodec};

fn read_back(bytes: &[u8]) -> Vec<(Span, String)> {
    let mut reader = Reader::new(bytes).expect("a capture");
    let mut all = Vec::new();
    while let Some(record) = reader.next_record().expect("no damage") {
        if let Record::Talk { at, talk } = record {
            all.push((at, format!("{talk:?}")));
        }
    }
    all
}

fn said(at_ms: i64, talk: &Talk) -> (Span, String) {
    (Span::from_millis(at_ms), format!("{talk:?}"))
}

#[test]
fn sx20_a_live_sound_silences_another_and_neither_itself_nor_what_phones_were_told() {
    let sound = |track: &str| Line::Sound { track: TrackId(track.into()), opus: None };
    assert!(sound("tone").silences(&sound("input")));
    assert!(!sound("tone").silences(&sound("tone")));
    assert!(!sound("tone").silences(&Line::Came { phone: 1 }));
    assert!(!Line::Came { phone: 1 }.silences(&sound("tone")));
}

#[test]
fn sx20_what_phones_were_told_and_said_is_read_as_it_was_written() {
    let (one, other) = (Uuid::from_u128(1), Uuid::from_u128(2));
    let text = || "{\"type\":\"screen\"}".to_owned();
    let late = Span::from_micros(-1_250);
    let clock_error = Some(Span::from_micros(400));
    let fare = Fare { clock_error, battery: Some(87), ..Fare::default() };
    let played = |phone, order| Line::Played { phone, order, late, clock_error };
    let lines = [
        (0, Line::Came { phone: 900 }),
        (5, Line::Told { id: one, text: text() }),
        (7, played(900, one)),
        (8, played(900, other)),
        (9, played(901, one)),
        (12, Line::Fares { phone: 901, fare }),
        (20, Line::Went { phone: 900 }),
        (21, Line::Came { phone: 900 }),
    ];
    let head = Head { title: String::new(), began: ShowTime::ZERO, universes: Vec::new() };
    let mut bytes = Vec::new();
    let mut writer = Writer::with_talk(head, &mut bytes);
    for (at, line) in &lines {
        writer.talk(ShowTime::ZERO + Span::from_millis(*at), line, &mut bytes);
    }
    let played = |phone| Talk::Played { phone, order: 0, late, clock_error };
    let expected = [
        said(0, &Talk::Came { phone: 0 }),
        said(5, &Talk::Told { text: &text() }),
        said(7, &played(0)),
        said(9, &Talk::Came { phone: 1 }),
        said(9, &played(1)),
        said(12, &Talk::Fares { phone: 1, fare }),
        said(20, &Talk::Went { phone: 0 }),
        said(21, &Talk::Came { phone: 2 }),
    ];
    assert_eq!(read_back(&bytes), expected, "what was told before it began has no place");
    assert!(bytes.len() < 18 + 8 * 16, "{} octets", bytes.len());
}

fn fares(fare: Fare) -> Line {
    Line::Fares { phone: 7, fare }
}

#[test]
fn sx20_all_that_a_phone_says_of_its_network_is_read_as_it_was_written_in_some_ten_octets_more() {
    let us = |us| Some(Span::from_micros(us));
    let known = Fare { clock_error: us(900), output_error: us(12_000), ..Fare::default() };
    let network =
        Fare { quality: Some(Quality::Critical), round_trip: us(31_250), loss: Some(125), ..known };
    let (tracks_ready, tracks_wanted) = (Some(0), Some(300));
    let all = Fare { battery: Some(100), buffer: us(250_000), tracks_ready, ..network };
    let all = Fare { tracks_wanted, ..all };
    let lines = [Fare::default(), known, network, all].map(|it| (0, fares(it)));
    let bytes = written(&lines);
    let read: Vec<_> = read_back(&bytes).into_iter().skip(1).collect();
    let expected = [Fare::default(), known, network, all];
    assert_eq!(read, expected.map(|fare| said(0, &Talk::Fares { phone: 0, fare })));
    let length = |fare| written(&[(0, fares(fare))]).len() - written(&[]).len();
    assert!(length(all) - length(known) <= 13, "{} and {}", length(all), length(known));
}

#[test]
fn sx20_how_phones_fared_is_read_from_older_captures_and_what_newer_ones_add_is_passed_over() {
    let fare = Fare { clock_error: Some(Span::ZERO), battery: Some(1), ..Fare::default() };
    let expected = Some(Talk::Fares { phone: 3, fare });
    assert_eq!(read(kind::FARED, &[3, 1, 0, 2]), expected);
    assert_eq!(read(kind::FARED, &[3, 1, 0, 2, 0]), None);
    assert_eq!(read(kind::FARES, &[3, 1, 0, 2]), expected);
    assert_eq!(read(kind::FARES, &[3, 1, 0, 2, 0, 0, 0, 0, 0, 0, 9, 0xff]), expected);
}

/// A packet of 20 ms: one frame of CELT, or two of SILK of 10 ms.
fn opus(first: u8) -> Vec<u8> {
    [&[first][..], &[7; 239]].concat()
}

fn sound(track: &str, opus: Option<Vec<u8>>) -> Line {
    Line::Sound { track: TrackId(track.into()), opus }
}

fn written(lines: &[(i64, Line)]) -> Vec<u8> {
    let head = Head { title: String::new(), began: ShowTime::ZERO, universes: Vec::new() };
    let mut bytes = Vec::new();
    let mut writer = Writer::with_talk(head, &mut bytes);
    for (at_ms, line) in lines {
        writer.talk(ShowTime::ZERO + Span::from_millis(*at_ms), line, &mut bytes);
    }
    bytes
}

#[test]
fn sx20_live_sound_is_read_as_it_left_and_takes_little_more_than_its_packets() {
    let lines = [
        (300, sound("tone", Some(opus(0xfc)))),
        (320, sound("tone", Some(opus(0x01)))),
        (325, sound("tone", Some(opus(0xfc)))),
        (340, sound("input", None)),
    ];
    let bytes = written(&lines);
    let (one, other) = (opus(0xfc), opus(0x01));
    let packet = |track, opus| Talk::Sound(Sound { track, opus });
    let expected = [
        said(300, &packet("tone", Some(&one))),
        said(320, &packet("tone", Some(&other))),
        said(340, &packet("input", None)),
    ];
    assert_eq!(read_back(&bytes), expected, "what begins within a packet is left out");
    assert!(bytes.len() - 18 <= 2 * (240 + 13) + 14, "{} octets", bytes.len());
}

#[test]
fn sx20_of_sound_cut_anywhere_every_packet_before_the_cut_is_read() {
    let lines: Vec<_> = (0..10).map(|nth| (20 * nth, sound("tone", Some(opus(0xfc))))).collect();
    let bytes = written(&lines);
    let one = (bytes.len() - 18) / 10;
    for cut in 18..bytes.len() {
        let whole = read_back(&bytes[..cut]).len();
        // The first has a shorter time before it.
        let expected = ((cut - 18) / one).min(9);
        assert!(whole.abs_diff(expected) <= 1 && whole < 10, "{whole} of {cut} octets");
    }
}

#[test]
fn sx20_sound_that_lies_of_its_length_or_comes_out_of_order_is_damage() {
    let packet = opus(0xfc);
    let named = |length: u8, rest: &[u8]| [&[length][..], rest].concat();
    let tone = |opus: &[u8]| named(4, &[b"tone", opus].concat());
    assert!(read(kind::SOUND, &tone(&packet)).is_some());
    for (content, why) in [
        (vec![], "no name"),
        (named(9, b"tone"), "a name beyond the end"),
        (named(0x80, b"tone"), "a length without an end"),
        (named(1, &[0xff]), "no UTF-8"),
        (tone(&opus(0x18)), "60 ms"),
        (tone(&opus(0xfd)), "two frames of 20 ms"),
        (tone(&[0xff, 0]), "no frame"),
        (tone(&[0xff, 48]), "48 frames"),
        (tone(&[0xfc; 1_276]), "too large"),
        (named(0xff, &[3; 300]), "a name of more octets than 255"),
    ] {
        assert_eq!(read(kind::SOUND, &content), None, "{why}");
    }
    let mut bytes = written(&[(100, sound("tone", Some(packet)))]);
    let same_again = bytes[18..].to_vec();
    // No time has gone since the one before.
    let content = [&[0, 6][..], &tone(&opus(0xfc))].concat();
    bytes.extend((content.len() as u16).to_le_bytes());
    bytes.extend(content);
    let mut reader = Reader::new(&bytes[..]).expect("a head");
    assert!(reader.next_record().is_ok_and(|it| it.is_some()));
    assert_eq!(reader.next_record(), Err(CaptureError::Damaged(18 + same_again.len() as u64)));
}

/// A piece of a film's pictures of 40 ms.
fn piece(index: u64, parts_left: u32) -> Piece {
    let (codec, lasts, earlier) = (MediaCodec::Vp9, Span::from_millis(40), Span::ZERO);
    Piece { codec, index, parts_left, is_key: index == 0, lasts, earlier }
}

fn picture_line(piece: Piece, data: Option<&[u8]>) -> Line {
    Line::Picture { track: TrackId("film".into()), piece, data: data.map(<[u8]>::to_vec) }
}

fn picture_said(at_ms: i64, piece: Piece, data: Option<&[u8]>) -> (Span, String) {
    said(at_ms, &Talk::Picture(Picture { track: "film", piece, data }))
}

#[test]
fn sx20_live_pictures_are_read_piece_by_piece_as_they_left_each_with_when_it_is_seen() {
    let h264 = Piece { codec: MediaCodec::H264, ..piece(3, 0) };
    let before = Piece { earlier: Span::from_millis(40), ..piece(4, 0) };
    let all = [
        (1_260, piece(0, 1), Some(&b"key"[..])),
        (1_260, piece(1, 0), Some(b"frame")),
        (1_300, piece(2, 0), Some(b"x")),
        (1_380, h264, Some(b"later")),
        (1_380, before, Some(b"sooner")),
        (1_420, piece(5, 0), None),
    ];
    let lines: Vec<_> =
        all.iter().map(|(at, piece, data)| (*at, picture_line(*piece, *data))).collect();
    let bytes = written(&lines);
    let expected: Vec<_> =
        all.iter().map(|(at, piece, data)| picture_said(*at, *piece, *data)).collect();
    assert_eq!(read_back(&bytes), expected);
    let big = vec![7; 30 << 10];
    let one = written(&[(0, picture_line(piece(0, 0), Some(&big)))]).len() - big.len() - 18;
    assert!(one < 24, "{one} octets beside the picture's own");
}

#[test]
fn sx20_of_pictures_cut_anywhere_every_piece_before_the_cut_is_read() {
    let lines: Vec<_> = (0..8)
        .map(|nth| (40 * nth, picture_line(piece(nth as u64, 0), Some(&[nth as u8; 90]))))
        .collect();
    let ends: Vec<usize> = (0..=8).map(|some| written(&lines[..some]).len()).collect();
    let bytes = written(&lines);
    for cut in ends[0]..=bytes.len() {
        let whole = ends[1..].iter().filter(|end| **end <= cut).count();
        assert_eq!(read_back(&bytes[..cut]).len(), whole, "{cut}");
    }
}

#[test]
fn sx20_pictures_that_lie_are_damage() {
    let whole = |piece: Piece, data: &[u8]| {
        let mut out = Vec::new();
        write_picture("film", &piece, Some(data), &mut out).map(|()| out)
    };
    let good = whole(piece(0, 0), b"x").expect("in range");
    assert!(read(kind::PICTURE, &good).is_some());
    for (content, why) in [
        (vec![], "no name"),
        (vec![9, b'f'], "a name beyond the end"),
        (good[..5].to_vec(), "no codec"),
        ([&good[..5], &[4][..], &good[6..]].concat(), "a codec that is none"),
        (good[..8].to_vec(), "nothing of how long it lasts"),
        ([&good[..7], &[64][..], &good[8..]].concat(), "65 parts"),
        ([&good[..8], &[0, 0, 1][..]].concat(), "lasts no time"),
        ([good, vec![0; PIECE_MAX]].concat(), "too large"),
    ] {
        assert_eq!(read(kind::PICTURE, &content), None, "{why}");
    }
    let long = |span| Piece { lasts: span, ..piece(0, 0) };
    let early = Piece { earlier: EARLIER_MAX + Span::from_ns(1), ..piece(0, 0) };
    for wrong in [long(Span::ZERO), long(DURATION_MAX + Span::from_ns(1)), piece(0, 64), early] {
        assert_eq!(whole(wrong, b"x"), None, "{wrong:?}");
    }
    assert_eq!(whole(Piece { codec: MediaCodec::Opus, ..piece(0, 0) }, b"x"), None);
    assert_eq!(whole(piece(0, 0), &[]), None);
}

#[test]
fn sx20_pieces_of_a_picture_follow_each_other_at_one_time_or_it_is_damage_and_some_may_be_lost() {
    let admitted = |all: &[(i64, Piece)]| {
        let mut pace = Pace::default();
        let fits = all.iter().map(|(at, it)| pace.admit_piece(Span::from_millis(*at), *it));
        fits.collect::<Vec<_>>()
    };
    assert_eq!(admitted(&[(0, piece(0, 2)), (0, piece(1, 1)), (0, piece(2, 0))]), [true; 3]);
    assert_eq!(admitted(&[(0, piece(0, 2)), (0, piece(1, 0))]), [true, false]);
    assert_eq!(admitted(&[(0, piece(0, 1)), (1, piece(1, 0))]), [true, false], "another time");
    let key = Piece { is_key: true, ..piece(1, 0) };
    assert_eq!(admitted(&[(0, piece(0, 1)), (0, key)]), [true, false], "a key frame within");
    assert_eq!(admitted(&[(0, piece(0, 2)), (40, piece(3, 0))]), [true, true], "some are lost");
    assert_eq!(admitted(&[(0, piece(7, 3)), (40, piece(0, 0))]), [true, true], "another film");
    let many: Vec<_> = (0..=u64::from(AT_ONCE_MAX)).map(|nth| (0, piece(nth, 0))).collect();
    assert_eq!(admitted(&many).iter().filter(|it| !**it).count(), 1, "no more at one time");
}

#[test]
fn sx20_older_captures_are_read_and_what_newer_ones_say_besides_is_passed_over() {
    let mut bytes = written(&[(5, Line::Came { phone: 1 })]);
    assert_eq!(bytes[4], 4);
    for version in [2, 3] {
        bytes[4] = version;
        assert_eq!(read_back(&bytes).len(), 1);
    }
    bytes.extend([3, 0, 0, 9, 9]);
    let mut reader = Reader::new(&bytes[..]).expect("a capture");
    let records = || reader.next_record().expect("no damage").map(|it| it.is_mark());
    assert_eq!(std::iter::from_fn(records).collect::<Vec<_>>(), [false, true]);
}

#[test]
fn stretches_of_sound_end_where_it_pauses_or_becomes_another() {
    let mut all = Vec::new();
    let kept = |track| Sound { track, opus: Some(&[0xfc]) };
    for (at_ms, sound) in [
        (0, kept("tone")),
        (40, kept("tone")),
        (60, kept("input")),
        (2_000, kept("input")),
        (2_020, Sound { track: "input", opus: None }),
    ] {
        Stretch::add(&mut all, Span::from_millis(at_ms), &sound);
    }
    let told = all.iter().map(|it| (it.track.as_str(), it.from.ns(), it.until.ns()));
    let told: Vec<_> =
        told.map(|(it, from, until)| (it, from / 1_000_000, until / 1_000_000)).collect();
    let expected =
        [("tone", 0, 60), ("input", 60, 80), ("input", 2_000, 2_020), ("input", 2_020, 2_040)];
    assert_eq!(told, expected);
    assert!(all[2].is_kept && !all[3].is_kept);
    let mut seen = Vec::new();
    for (at_ms, earlier_ms) in [(0, 0), (80, 0), (80, 40), (2_000, 0)] {
        let piece = Piece { earlier: Span::from_millis(earlier_ms), ..piece(0, 0) };
        let it = Picture { track: "film", piece, data: Some(b"x") };
        Stretch::add_picture(&mut seen, Span::from_millis(at_ms), &it);
    }
    let told: Vec<_> = seen.iter().map(|it| (it.from.ns(), it.until.ns())).collect();
    assert_eq!(told, [(0, 120_000_000), (2_000_000_000, 2_040_000_000)]);
}

#[test]
fn a_capture_of_light_alone_is_as_it_was_and_has_no_room_for_talk() {
    let head = Head { title: String::new(), began: ShowTime::ZERO, universes: Vec::new() };
    let mut bytes = Vec::new();
    let mut writer = Writer::new(head, &mut bytes);
    writer.talk(ShowTime::ZERO, &Line::Came { phone: 1 }, &mut bytes);
    assert_eq!((bytes.len(), bytes[4]), (18, 1));
    bytes.extend([3, 0, 0, 2, 0]);
    assert!(Reader::new(&bytes[..]).expect("a head").next_record().is_err());
}

#[test]
fn numbers_that_no_phone_has_are_damage() {
    let mut huge = Vec::new();
    put(PHONES_MAX, &mut huge);
    assert_eq!(read(kind::CAME, &huge), None);
    for of in [kind::FARED, kind::FARES] {
        assert_eq!(read(of, &[0, 0, 0, 102]), None, "101 percent");
    }
    assert_eq!(read(kind::FARED, &[0, 0, 0]), None);
    assert_eq!(read(kind::FARES, &[0, 0, 0, 0, 6]), None, "a sixth level");
    assert_eq!(read(kind::FARES, &[0, 0, 0, 0, 0, 0, 0x92, 0x4e]), None, "10,001 of 10,000");
    assert_eq!(read(kind::FARES, &[0, 0x80]), None, "a number without an end");
    assert_eq!(read(kind::PLAYED, &[0, 0, 0]), None);
    assert!(!is_known(8));
    assert_eq!(read(kind::TOLD, &[0xff]), None);
}
