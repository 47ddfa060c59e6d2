//! Stories of the box's own sound, in virtual time on a simulated card.

use std::sync::Arc;

use engine::order::Evidence;
use engine::show::{Loops, MediaId, MediaInfo, SoundCue};
use engine::sound::{Pcm, Playback, ServoState, Start};
use engine::told::Input;
use sim::card::{CardSpec, SimCard};
use units::{Decibels, Gain, Ppm, ShowTime, Span, VoiceId};

const RATE: u32 = 48_000;
const BEGIN: ShowTime = ShowTime::from_ns(1_795_000_000_000_000_000);
/// Where in its second the tick of [`ticking`] has its middle.
const TICK: usize = 24_000;

/// A second with one soft tick in it, whose middle can be found to a fraction of a sample.
fn ticking() -> Pcm {
    let tick = |n: usize| (-((n as f64 - TICK as f64) / 6.0).powi(2)).exp() as f32 * 0.5;
    Pcm::new(RATE, vec![(0..RATE as usize).map(tick).collect()])
}

fn info() -> MediaInfo {
    let frames = u64::from(RATE);
    MediaInfo { sha256: String::new(), bytes: 0, rate_hz: RATE, channels: 1, frames }
}

fn ticks(loops: Loops) -> SoundCue {
    SoundCue {
        media: MediaId(0),
        volume: Decibels::UNITY,
        loops,
        fade_in: Span::ZERO,
        fade_out: Span::ZERO,
        offset: Span::ZERO,
        routes: Vec::new(),
    }
}

fn start(playback: &mut Playback, voice: u64, at: ShowTime, cue: &SoundCue) {
    playback.start(&Start { id: VoiceId(voice), at, cue, info: &info() });
}

fn card(spec: CardSpec) -> SimCard {
    SimCard::new(CardSpec { channels: 1, ..spec }, Arc::from([ticking()]), BEGIN)
}

/// How far the middle of each tick is from where show time says, in frames of the file; one value a tick.
fn tick_errors(card: &SimCard, crystal: Ppm, first: ShowTime) -> Vec<f64> {
    let frame_ns = 1e9 / f64::from(RATE) / crystal.ratio();
    let place = |index: f64| (card.began() - first).ns() as f64 + index * frame_ns;
    let second = |index: f64| (place(index) / 1e9).floor() as usize;
    let mut sums: Vec<(f64, f64)> = Vec::new();
    for (index, sample) in card.samples().iter().enumerate().filter(|(_, sample)| **sample > 1e-4) {
        let (index, sample) = (index as f64, f64::from(*sample));
        sums.resize(sums.len().max(second(index) + 1), (0.0, 0.0));
        let (sum, moment) = &mut sums[second(index)];
        (*sum, *moment) = (*sum + sample, *moment + sample * (place(index) / 1e9).fract());
    }
    let middle = |(sum, moment): &(f64, f64)| moment / sum * f64::from(RATE) - TICK as f64;
    sums.iter().map(middle).collect()
}

#[test]
fn ten_minutes_on_a_card_100_ppm_off_end_within_a_sample_of_show_time() {
    let crystal = Ppm(100.0);
    let jitter = Span::from_micros(200);
    let mut card = card(CardSpec { crystal, jitter, ..CardSpec::default() });
    let mut playback = Playback::new();
    start(&mut playback, 1, BEGIN, &ticks(Loops::Forever));
    card.play(playback.plan());
    card.run_until(BEGIN + Span::from_secs(600));
    let errors = tick_errors(&card, crystal, BEGIN);
    assert!(errors.len() >= 600, "{} ticks", errors.len());
    let worst = errors.iter().map(|error| error.abs()).fold(0.0, f64::max);
    assert!(worst < 1.0, "{worst} samples");
}

#[test]
fn a_card_with_a_perfect_crystal_plays_the_file_bit_for_bit() {
    let mut card = card(CardSpec::default());
    let mut playback = Playback::new();
    start(&mut playback, 1, BEGIN + Span::from_millis(250), &ticks(Loops::Times(1)));
    card.play(playback.plan());
    card.run_until(BEGIN + Span::from_secs(2));
    let file = ticking();
    let file = file.plane(0).expect("mono");
    let (silence, rest) = card.samples().split_at(12_000);
    assert_eq!((card.began(), silence.iter().all(|it| *it == 0.0)), (BEGIN, true));
    assert_eq!(&rest[..48_000], file);
    assert!(rest[48_000..].iter().all(|it| *it == 0.0));
}

#[test]
fn each_voice_tells_once_when_it_was_first_heard() {
    let mut card = card(CardSpec { crystal: Ppm(-80.0), ..CardSpec::default() });
    let mut playback = Playback::new();
    let at = BEGIN + Span::from_millis(123);
    start(&mut playback, 7, at, &ticks(Loops::Times(2)));
    card.play(playback.plan());
    assert_eq!(card.run_until(at - Span::from_millis(1)), []);
    let told = card.run_until(BEGIN + Span::from_secs(4));
    let [Input::SoundBegan { voice: VoiceId(7), at: heard, evidence: Evidence::Simulated }] =
        told[..]
    else {
        panic!("{told:?}");
    };
    let late = heard - at;
    assert!(late >= Span::from_ns(-50) && late < Span::from_micros(22), "{late}");
}

#[test]
fn a_plan_that_comes_late_joins_in_the_middle_and_says_how_late() {
    let mut card = card(CardSpec::default());
    card.run_until(BEGIN + Span::from_secs(1));
    let mut playback = Playback::new();
    start(&mut playback, 1, BEGIN, &ticks(Loops::Forever));
    card.play(playback.plan());
    let told = card.run_until(BEGIN + Span::from_secs(3));
    let [Input::SoundBegan { at, .. }] = told[..] else { panic!("{told:?}") };
    assert!(at > BEGIN + Span::from_secs(1) && at <= BEGIN + Span::from_secs(1) + card.lead());
    let second = &card.samples()[RATE as usize..2 * RATE as usize];
    assert_eq!(&second[12_000..], &ticking().plane(0).expect("mono")[12_000..]);
}

#[test]
fn a_pause_in_the_middle_moves_every_later_tick_by_its_length_and_no_more() {
    let crystal = Ppm(60.0);
    let mut card = card(CardSpec { crystal, ..CardSpec::default() });
    let mut playback = Playback::new();
    start(&mut playback, 1, BEGIN, &ticks(Loops::Forever));
    card.play(playback.plan());
    card.run_until(BEGIN + Span::from_millis(3_000));
    playback.freeze(BEGIN + Span::from_millis(3_200));
    card.play(playback.plan());
    card.run_until(BEGIN + Span::from_millis(5_000));
    let (thaw, by) = (BEGIN + Span::from_millis(5_533), Span::from_millis(2_333));
    playback.thaw(thaw);
    card.play(playback.plan());
    card.run_until(BEGIN + Span::from_secs(10));
    let before = tick_errors(&card, crystal, BEGIN);
    let after = tick_errors(&card, crystal, BEGIN + by);
    assert!(before[..3].iter().all(|error| error.abs() < 1.0), "{before:?}");
    assert!(after[4..7].iter().all(|error| error.abs() < 1.0), "{after:?}");
}

#[test]
fn the_same_night_twice_gives_the_same_samples() {
    let night = || {
        let spec =
            CardSpec { crystal: Ppm(33.0), jitter: Span::from_micros(150), ..CardSpec::default() };
        let (mut card, mut playback) = (card(spec), Playback::new());
        start(&mut playback, 1, BEGIN, &ticks(Loops::Times(4)));
        playback.fade(VoiceId(1), BEGIN + Span::from_secs(1), Span::from_secs(1), Gain(0.2));
        card.play(playback.plan());
        card.run_until(BEGIN + Span::from_secs(5));
        assert_eq!(card.state(), ServoState::Locked);
        card.take_samples()
    };
    assert_eq!(night(), night());
}
