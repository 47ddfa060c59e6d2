//! Sound files of every kind, and alsa-lib's own `file` device. Needs: alsa-lib; no card.

use std::path::PathBuf;

use engine::sound::Pcm;
use io::sound::{MediaError, decode, media_info};

fn vector(name: &str) -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("vectors/media").join(name)
}

fn decoded(name: &str) -> Pcm {
    decode(&vector(name)).unwrap_or_else(|error| panic!("{error}"))
}

/// The frame in which a stretch of a channel is loudest.
fn peak(pcm: &Pcm, channel: usize, frames: std::ops::Range<usize>) -> usize {
    let plane = pcm.plane(channel).expect("the channel");
    frames.max_by(|a, b| plane[*a].abs().total_cmp(&plane[*b].abs())).expect("frames")
}

fn rms_difference(one: &Pcm, other: &Pcm, channel: usize) -> f64 {
    let (one, other) = (one.plane(channel).expect("one"), other.plane(channel).expect("other"));
    let square = |(a, b): (&f32, &f32)| f64::from(a - b).powi(2);
    (one.iter().zip(other).map(square).sum::<f64>() / one.len() as f64).sqrt()
}

#[test]
fn a_wav_holds_what_the_formula_says_left_and_right() {
    let pcm = decoded("click.wav");
    assert_eq!((pcm.rate_hz(), pcm.channels(), pcm.frames()), (48_000, 2, 6001));
    let right = |n: usize| 0.25 * (std::f64::consts::TAU * 440.0 * n as f64 / 48_000.0).sin();
    let plane = pcm.plane(1).expect("stereo");
    assert!((0..6001).all(|n| (f64::from(plane[n]) - right(n)).abs() < 1.0 / 32_768.0));
    assert_eq!(peak(&pcm, 0, 0..6001), 3000);
}

#[test]
fn a_float_wav_is_the_same_but_finer() {
    let (float, wav) = (decoded("float.wav"), decoded("click.wav"));
    assert_eq!(float.frames(), 1501);
    let near = |channel| {
        let (a, b) = (float.plane(channel).expect("it"), wav.plane(channel).expect("it"));
        a.iter().zip(b).all(|(a, b)| (a - b).abs() < 1.0 / 32_768.0)
    };
    assert!(near(0) && near(1));
}

#[test]
fn flac_is_the_wav_bit_for_bit() {
    assert_eq!(decoded("click.flac"), decoded("click.wav"));
}

#[test]
fn lossy_files_are_as_long_as_their_original_and_in_its_place() {
    let original = decoded("click.wav");
    for (name, distance) in [("click.mp3", 0.01), ("click.ogg", 0.01), ("click.opus", 0.01)] {
        let pcm = decoded(name);
        assert_eq!((pcm.rate_hz(), pcm.channels(), pcm.frames()), (48_000, 2, 6001), "{name}");
        assert!(peak(&pcm, 0, 0..6001).abs_diff(3000) <= 1, "{name}: {}", peak(&pcm, 0, 0..6001));
        for channel in [0, 1] {
            let difference = rms_difference(&pcm, &original, channel);
            assert!(difference < distance, "{name}, channel {channel}: {difference}");
        }
    }
}

#[test]
fn every_click_of_a_longer_file_is_in_its_place_pages_and_blocks_apart() {
    for (name, rate_hz) in
        [("long.flac", 24_000), ("long.mp3", 24_000), ("long.ogg", 24_000), ("long.opus", 48_000)]
    {
        let pcm = decoded(name);
        let scale = rate_hz as usize / 24_000;
        assert_eq!((pcm.rate_hz(), pcm.channels()), (rate_hz, 1), "{name}");
        assert_eq!(pcm.frames(), 60_000 * scale, "{name}");
        for n in 0..5 {
            let middle = (6_000 + 12_000 * n) * scale;
            let found = peak(&pcm, 0, middle - 3_000..middle + 3_000);
            assert!(found.abs_diff(middle) <= 2, "{name}, click {n}: {found}");
        }
    }
}

#[test]
fn what_is_known_of_a_file_without_hearing_it_is_what_is_heard() {
    for name in ["click.wav", "float.wav", "click.flac", "click.mp3", "click.ogg", "click.opus"]
        .into_iter()
        .chain(["long.flac", "long.mp3", "long.ogg", "long.opus"])
    {
        let (info, pcm) = (media_info(&vector(name)).expect(name), decoded(name));
        let found = (info.rate_hz, usize::from(info.channels), info.frames);
        assert_eq!(found, (pcm.rate_hz(), pcm.channels(), pcm.frames() as u64), "{name}");
        assert_eq!(info.bytes, std::fs::metadata(vector(name)).expect(name).len());
        assert_eq!(info.sha256.len(), 64);
    }
}

#[test]
fn a_hash_is_the_one_that_other_tools_give() {
    let info = media_info(&vector("click.wav")).expect("a file");
    let said = include_str!("../vectors/media/click.wav.sha256");
    assert_eq!(said.split_whitespace().next(), Some(&*info.sha256));
}

#[test]
fn a_file_that_is_cut_off_says_so_and_one_that_is_none_names_itself() {
    let folder = tempfile::tempdir().expect("a folder");
    let cut = folder.path().join("cut.wav");
    let bytes = std::fs::read(vector("click.wav")).expect("a vector");
    std::fs::write(&cut, &bytes[..4_000]).expect("written");
    assert!(
        matches!(decode(&cut), Err(MediaError::Short { said: 6001, .. })),
        "{:?}",
        decode(&cut)
    );
    assert!(matches!(media_info(&cut), Err(MediaError::Short { said: 6001, .. })));
    let text = folder.path().join("notes.txt");
    std::fs::write(&text, "bring gaffer tape\n".repeat(100)).expect("written");
    let said = decode(&text).expect_err("not a sound file").to_string();
    assert!(said.contains("notes.txt"), "{said}");
    let absent = decode(&folder.path().join("absent.wav")).expect_err("not there").to_string();
    assert!(absent.contains("absent.wav"), "{absent}");
}

#[test]
fn hostile_and_broken_files_never_panic() {
    let folder = tempfile::tempdir().expect("a folder");
    let mut seed = 0x9e37_79b9_7f4a_7c15_u64;
    let mut chance = move |below: usize| {
        seed ^= seed << 13;
        seed ^= seed >> 7;
        seed ^= seed << 17;
        (seed >> 33) as usize % below.max(1)
    };
    for name in ["click.wav", "float.wav", "click.flac", "click.mp3", "click.ogg", "click.opus"] {
        let bytes = std::fs::read(vector(name)).expect("a vector");
        let path = folder.path().join(name);
        for round in 0..60 {
            let mut broken = bytes.clone();
            match round % 3 {
                0 => broken.truncate(chance(bytes.len())),
                1 => (0..1 + chance(20))
                    .for_each(|_| broken[chance(bytes.len())] = chance(256) as u8),
                _ => (0..4).for_each(|_| broken[chance(200)] = chance(256) as u8),
            }
            std::fs::write(&path, &broken).expect("written");
            let (pcm, info) = (decode(&path), media_info(&path));
            if let (Ok(pcm), Ok(info)) = (pcm, info) {
                assert!(pcm.channels() == usize::from(info.channels));
            }
        }
    }
}
