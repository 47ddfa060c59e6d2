//! Air: chirps on their way from loudspeakers to microphones, with echoes and other people.
//!
//! In: when chirps leave, and how far it is. Out: what a microphone records. Never: a place that falls on a sample by
//! itself.

use phone::Chance;
use units::Span;
use wire::chirp::{self, Voice};
use wire::duet::Recording;

/// A hall, as a microphone hears it.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Room {
    /// What walls leave of the first echoes, as a factor; more than 1 where a vault gathers them.
    pub echoes: f64,
    /// How long they ring: down to a third in it.
    pub ring: Span,
    /// People and machines: the root of their mean square, full scale being 1.
    pub noise: f64,
}

impl Room {
    /// Outdoors at night.
    pub const OPEN: Self = Self { echoes: 0.0, ring: Span::ZERO, noise: 0.0005 };
    /// A hall before doors.
    pub const HALL: Self = Self { echoes: 0.8, ring: Span::from_millis(120), noise: 0.003 };
    /// A stone church with a party in it.
    pub const CHURCH: Self = Self { echoes: 1.6, ring: Span::from_millis(400), noise: 0.01 };
}

/// A chirp where it is heard.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Arrival {
    /// Seconds from the recording's first sample.
    pub at_s: f64,
    /// Whose.
    pub voice: Voice,
    /// How loud it comes straight.
    pub loud: f64,
}

/// At 20 degrees.
const METRES_A_SECOND: f64 = 343.0;
const LOUD_AT_A_METRE: f64 = 0.3;

/// What sound takes over so many metres.
pub fn way(metres: f64) -> Span {
    Span::from_secs_f64(metres / METRES_A_SECOND)
}

/// How loud something is at a distance, as a factor; nearer than ten centimetres is inside of the phone.
pub fn loud(metres: f64) -> f64 {
    LOUD_AT_A_METRE / metres.max(0.1)
}

/// Echoes of one chirp that are told apart.
const ECHOES: usize = 60;
/// A microphone's full scale.
const CLIP: f32 = 1.0;

/// What a microphone records, as long as it is asked to.
pub fn record(
    room: &Room,
    arrivals: &[Arrival],
    length: Span,
    rate_hz: u32,
    chance: &mut Chance,
) -> Recording {
    let frames = (length.secs_f64() * f64::from(rate_hz)) as usize;
    let mut samples: Vec<f32> = (0..frames).map(|_| (room.noise * bell(chance)) as f32).collect();
    let (by_box, by_phone) = (echoes(room, chance), echoes(room, chance));
    for arrival in arrivals {
        let echoes = if arrival.voice == Voice::Box { &by_box } else { &by_phone };
        sound(arrival, echoes, &mut samples, rate_hz);
    }
    samples.iter_mut().for_each(|it| *it = it.clamp(-CLIP, CLIP));
    Recording { rate_hz, samples }
}

fn sound(arrival: &Arrival, echoes: &[Echo], samples: &mut [f32], rate_hz: u32) {
    let place = arrival.at_s * f64::from(rate_hz);
    let wave = wave(arrival.voice, place.rem_euclid(1.0), rate_hz);
    add(samples, place.floor() as i64, &wave, arrival.loud);
    let metres = LOUD_AT_A_METRE / arrival.loud;
    for echo in echoes {
        let detour = loud(metres + echo.late_s * METRES_A_SECOND);
        add(samples, (place + echo.late_s * f64::from(rate_hz)) as i64, &wave, detour * echo.share);
    }
}

/// A detour by way of a wall.
#[derive(Debug, Clone, Copy)]
struct Echo {
    late_s: f64,
    /// What the walls leave of it.
    share: f64,
}

/// A hall stands still: the same echoes for every chirp on one way.
fn echoes(room: &Room, chance: &mut Chance) -> Vec<Echo> {
    let ring = room.ring.secs_f64();
    let echo = |_| {
        let late_s = 0.001 - ring * (1.0 - chance.share()).ln();
        let side = if chance.share() < 0.5 { -1.0 } else { 1.0 };
        let fallen = (-late_s / ring.max(1e-9)).exp();
        Echo { late_s, share: side * room.echoes * fallen * (0.3 + 0.7 * chance.share()) }
    };
    (0..ECHOES).map(echo).collect()
}

/// A chirp that begins between two samples.
fn wave(voice: Voice, fraction: f64, rate_hz: u32) -> Vec<f32> {
    let count = chirp::LENGTH.secs_f64() * f64::from(rate_hz);
    let sample = |k: usize| chirp::at(voice, (k as f64 - fraction) / f64::from(rate_hz)) as f32;
    (0..count.ceil() as usize + 1).map(sample).collect()
}

fn add(samples: &mut [f32], place: i64, wave: &[f32], loud: f64) {
    for (k, sample) in wave.iter().enumerate() {
        let there = usize::try_from(place + k as i64).ok().and_then(|at| samples.get_mut(at));
        there.into_iter().for_each(|it| *it += sample * loud as f32);
    }
}

/// A bell curve of deviation 1: twelve dice.
pub(crate) fn bell(chance: &mut Chance) -> f64 {
    (0..12).map(|_| chance.share()).sum::<f64>() - 6.0
}
