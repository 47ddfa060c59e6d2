//! Sound files of every kind, and alsa-lib's own `file` device. Needs: alsa-lib; no card.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use engine::order::Evidence;
use engine::show::{Loops, MediaId, MediaInfo, SoundCue};
use engine::sound::{FrameGrid, Pcm, Playback, Renderer, Start};
use engine::told::Input;
use io::clock::BoxClock;
use io::disk::ShowFolder;
use io::sound::{Card, CardError, CardSetup, Device, MediaError, decode, media_info};
use units::{Decibels, ShowTime, Span, VoiceId};

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
fn sx19_a_film_says_how_long_it_is_and_only_phones_play_it() {
    for name in ["film.mp4", "film.webm"] {
        let info = media_info(&vector(name)).expect(name);
        assert!(info.is_film(), "{name}");
        assert_eq!(info.length(), Span::from_millis(2_500), "{name}");
    }
    let folder = tempfile::tempdir().expect("a folder");
    std::fs::copy(vector("film.mp4"), folder.path().join("film.mp4")).expect("written");
    let cue = |what| {
        let show = format!(
            "[show]\ntitle = \"x\"\n[tracks]\nfilm = \"film.mp4\"\n[[list]]\nname = \"main\"\n[[list.cue]]\nnumber = 1\n{what}\n"
        );
        std::fs::write(folder.path().join("show.toml"), show).expect("written");
        let folder = ShowFolder::of(folder.path());
        engine::show::load(&folder.root, &folder)
    };
    let on_phones = cue("phones = { track = \"film\" }");
    assert!(on_phones.show.is_some(), "{:?}", on_phones.findings);
    let on_the_box = cue("sound = { track = \"film\" }");
    assert!(on_the_box.show.is_none());
    assert!(on_the_box.findings.iter().any(|it| it.message.contains("phones play it")));
}

#[test]
fn a_film_that_cannot_be_played_in_step_says_what_helps() {
    let said = |name| media_info(&vector(name)).expect_err(name).to_string();
    for name in ["broken-film-without-a-length.mp4", "broken-film-still-recording.webm"] {
        assert!(said(name).contains("remux"), "{}", said(name));
    }
    assert!(said("broken-film-longer-than-a-day.webm").contains("longer than a day"));
    assert!(!said("broken-film-box-shorter-than-its-head.mp4").is_empty());
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

/// A card for a second and a half of a slope on the left and a sine on the right, and what it tells.
struct Evening {
    card: Card,
    reports: std::sync::mpsc::Receiver<Input>,
    clock: BoxClock,
    media: Arc<[Pcm]>,
    lead: Span,
}

const RATE: u32 = 48_000;
const LENGTH: u32 = RATE * 3 / 2;

impl Evening {
    fn new(device: Device) -> Self {
        let slope = (0..LENGTH).map(|n| (n + 1) as f32 / (2 * LENGTH) as f32).collect();
        let step = std::f64::consts::TAU * 440.0 / f64::from(RATE);
        let sine = (0..LENGTH).map(|n| (0.5 * (step * f64::from(n)).sin()) as f32).collect();
        let media: Arc<[Pcm]> = [Pcm::new(RATE, vec![slope, sine])].into();
        let (clock, (report, reports)) = (BoxClock::free(), std::sync::mpsc::channel());
        let report = Box::new(move |input| {
            // After the test has ended nobody listens.
            let _ = report.send(input);
        });
        let setup = CardSetup {
            device,
            channels: 2,
            rate_hz: RATE,
            media: media.clone(),
            clock: clock.clone(),
            report,
        };
        let card = Card::start(setup).expect("it opens");
        let mut evening = Self { card, reports, clock, media, lead: Span::ZERO };
        let Input::SoundLead(lead) = evening.report() else { panic!("the lead comes first") };
        evening.lead = lead;
        evening
    }

    fn report(&self) -> Input {
        self.reports.recv_timeout(Duration::from_secs(30)).expect("a report comes")
    }

    /// The file from half a second from now on, and once more when it has ended; gives when it was to begin.
    fn play(&mut self) -> ShowTime {
        let at = self.clock.now() + self.lead + Span::from_millis(500);
        let mut playback = first_voice(at);
        let later = at + info().length() + Span::from_millis(200);
        playback.start(&Start { id: VoiceId(2), at: later, cue: &cue(), info: &info() });
        self.card.play(playback.plan());
        at
    }

    /// When a voice was first heard, and how that is known.
    fn began(&self, voice: u64) -> (ShowTime, Evidence) {
        match self.report() {
            Input::SoundBegan { voice: it, at, evidence } if it == VoiceId(voice) => (at, evidence),
            other => panic!("voice {voice} begins next, not {other:?}"),
        }
    }
}

#[test]
fn a_box_without_a_card_reports_as_if_it_had_one() {
    let mut evening = Evening::new(Device::Simulated);
    let at = evening.play();
    let (began, evidence) = evening.began(1);
    assert_eq!(evidence, Evidence::Simulated);
    assert!((began - at).abs() < Span::from_millis(1), "{}", began - at);
    let glance = evening.card.glance();
    assert!(glance.open && glance.name == "simulated" && glance.rate_hz == RATE, "{glance:?}");
}

#[test]
fn a_card_that_is_not_there_is_named() {
    let (clock, report) = (BoxClock::free(), Box::new(|_| {}));
    let device = Device::Named("hw:CARD=Nowhere".into());
    let setup = CardSetup { device, channels: 2, rate_hz: RATE, media: [].into(), clock, report };
    let refused = Card::start(setup).err().expect("no such card");
    assert!(
        matches!(&refused, CardError::Gone { card, .. } if card == "hw:CARD=Nowhere"),
        "{refused}"
    );
}

/// alsa-lib writes what it is given into a file. Nothing paces its `null` device but our own thread, by its clock.
#[test]
fn what_reaches_alsas_file_device_is_what_was_rendered() {
    let folder = tempfile::tempdir().expect("a folder");
    let file = folder.path().join("heard.raw");
    let device = Device::Named(format!("tee:SLAVE=null,FILE='{}',FORMAT=raw", file.display()));
    let mut evening = Evening::new(device);
    let at = evening.play();
    let (began, evidence) = evening.began(1);
    assert_eq!(evidence, Evidence::Dac);
    assert!((began - at).abs() < Span::from_millis(50), "{}", began - at);
    evening.began(2);
    let (media, plan) = (evening.media.clone(), first_voice(at).plan());
    evening.card.stop();
    let heard = first_sound(&read(&file));
    // From the slope on the left, where each stretch stood; it slews a little from one to the next.
    for stretch in heard.chunks_exact(960).skip(1) {
        let grid = grid(stretch, at);
        let mut rendered = vec![0.0; stretch.len() * 2];
        Renderer::new(media.clone(), RATE, 2).render(&plan, grid, &mut rendered);
        let off = stretch.iter().flatten().zip(&rendered).map(|(a, b)| (a - b).abs());
        let worst = off.fold(0.0, f32::max);
        assert!(worst < 0.003, "{worst}");
    }
    let frames = heard.len();
    assert!(frames.abs_diff(LENGTH as usize) < LENGTH as usize / 200, "{frames} frames");
}

fn first_voice(at: ShowTime) -> Playback {
    let mut playback = Playback::new();
    playback.start(&Start { id: VoiceId(1), at, cue: &cue(), info: &info() });
    playback
}

fn info() -> MediaInfo {
    let frames = u64::from(LENGTH);
    MediaInfo { sha256: String::new(), bytes: 0, rate_hz: RATE, channels: 2, frames }
}

fn cue() -> SoundCue {
    SoundCue {
        media: MediaId(0),
        volume: Decibels::UNITY,
        loops: Loops::Times(1),
        fade_in: Span::ZERO,
        fade_out: Span::ZERO,
        offset: Span::ZERO,
        routes: Vec::new(),
    }
}

/// Stereo frames of 32-bit samples.
fn read(file: &std::path::Path) -> Vec<[f32; 2]> {
    let bytes = std::fs::read(file).expect("alsa-lib wrote it");
    let sample = |at: &[u8]| {
        let step = i32::from_ne_bytes(at.try_into().expect("four bytes"));
        (f64::from(step) / 2_147_483_648.0) as f32
    };
    bytes.chunks_exact(8).map(|frame| [sample(&frame[..4]), sample(&frame[4..])]).collect()
}

/// From the first frame that is not silent to the next that is.
fn first_sound(heard: &[[f32; 2]]) -> Vec<[f32; 2]> {
    let silent = |frame: &&[f32; 2]| **frame == [0.0, 0.0];
    heard.iter().skip_while(silent).take_while(|frame| !silent(frame)).copied().collect()
}

/// When each frame of a stretch was meant to be heard, by its slope.
fn grid(stretch: &[[f32; 2]], at: ShowTime) -> FrameGrid {
    let place = |frame: &[f32; 2]| f64::from(frame[0]) * f64::from(2 * LENGTH) - 1.0;
    let (first, last) = (place(&stretch[0]), place(&stretch[stretch.len() - 1]));
    let frame_ns = 1e9 / f64::from(RATE);
    FrameGrid {
        first: at + Span::from_ns((first * frame_ns).round() as i64),
        fraction_ns: 0.0,
        frame_ns: frame_ns * (last - first) / (stretch.len() - 1) as f64,
    }
}
