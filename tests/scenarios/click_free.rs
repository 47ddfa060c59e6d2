//! What comes out of a phone, sample by sample, while crystals drift and clocks are corrected: no click, and in place.
//!
//! A sine is rendered through the acts as Web Audio would: pieces at their rates, cross-fades, gains. A continuous sine
//! of 1 kHz changes by 0.13 at most from one sample to the next and its changes by 0.017: what bends more than twice
//! that has clicked. The reference is the same sine cut and put together 5 ms later without a fade.

use std::f64::consts::TAU;

use phone::Act;
use serde_json::json;
use sim::PhoneSpec;
use units::Ppm;

use crate::one_phone::StubBox;

const RATE_HZ: f64 = 48_000.0;
const TONE_HZ: f64 = 1_000.0;

/// A piece of the track, as Web Audio has it.
struct Piece {
    segment: u32,
    begins: f64,
    rise: f64,
    ends: f64,
    fall: f64,
    /// From an audio second on: where in the track, and how fast.
    course: Vec<(f64, f64, f64)>,
}

impl Piece {
    fn offset(&self, at: f64) -> f64 {
        let (since, offset, rate) =
            self.course.iter().rev().find(|it| it.0 <= at).copied().expect("it has begun");
        offset + rate * (at - since)
    }

    fn sample(&self, at: f64) -> f64 {
        if at < self.begins || at >= self.ends {
            return 0.0;
        }
        let rise = if self.rise > 0.0 { (at - self.begins) / self.rise } else { 1.0 };
        let fall = if self.fall > 0.0 { (self.ends - at) / self.fall } else { 1.0 };
        rise.min(fall).clamp(0.0, 1.0) * (TAU * TONE_HZ * self.offset(at)).sin()
    }
}

/// Everything that was asked of the sound, piece by piece.
fn pieces(acts: &[Act]) -> Vec<Piece> {
    let mut pieces: Vec<Piece> = Vec::new();
    for act in acts {
        match *act {
            Act::Begin { segment, at_s, offset_s, rate, rise_s, .. } => pieces.push(Piece {
                segment,
                begins: at_s,
                rise: rise_s,
                ends: f64::INFINITY,
                fall: 0.0,
                course: vec![(at_s, offset_s, rate)],
            }),
            Act::Rate { segment, at_s, rate } => {
                let piece = pieces.iter_mut().find(|it| it.segment == segment).expect("it sounds");
                let offset = piece.offset(at_s);
                piece.course.push((at_s, offset, rate));
            }
            Act::End { segment, at_s, fall_s } => {
                let piece = pieces.iter_mut().find(|it| it.segment == segment).expect("it sounds");
                (piece.ends, piece.fall) = (at_s + fall_s, fall_s);
            }
            _ => {}
        }
    }
    pieces
}

fn render(pieces: &[Piece], from_s: f64, secs: f64) -> Vec<f64> {
    let at = |k: usize| from_s + k as f64 / RATE_HZ;
    (0..(secs * RATE_HZ) as usize).map(|k| pieces.iter().map(|it| it.sample(at(k))).sum()).collect()
}

/// How much the waveform bends at worst, beside what a continuous sine bends.
fn click(samples: &[f64]) -> f64 {
    let bend = |it: &[f64]| (it[2] - 2.0 * it[1] + it[0]).abs();
    let worst = samples.windows(3).map(bend).fold(0.0, f64::max);
    worst / (TAU * TONE_HZ / RATE_HZ).powi(2)
}

/// What a phone was asked to sound over a minute in which the box's clock may move, from when, and by how many
/// milliseconds it was off at worst at the end.
fn evening(move_s: f64) -> (Vec<Piece>, f64, f64) {
    let spec = PhoneSpec { crystal: Ppm(-40.0), card: Ppm(70.0), ..PhoneSpec::default() };
    let mut page = StubBox::of(spec);
    page.run(0.1);
    page.tap();
    page.run(12.0);
    page.phone.keep_acts();
    let start = page.order_play(0.4, json!({"loop_count": 0}));
    page.run(20.0);
    page.box_ahead += move_s;
    page.run(40.0);
    let off_ms = page.worst_ms(start, 2.0);
    let pieces = pieces(page.phone.acts());
    let from = pieces.first().expect("it sounds").begins + 0.1;
    (pieces, from, off_ms)
}

#[test]
fn the_metric_hears_a_cut_that_is_not_faded() {
    let sine = |at: f64| (TAU * TONE_HZ * at).sin();
    let cut = |k: usize| k as f64 / RATE_HZ + if k < 4_810 { 0.0 } else { 0.0053 };
    let clean: Vec<f64> = (0..9_600).map(|k| sine(k as f64 / RATE_HZ)).collect();
    let clicked: Vec<f64> = (0..9_600).map(|k| sine(cut(k))).collect();
    assert!(click(&clean) < 1.01, "{}", click(&clean));
    assert!(click(&clicked) > 10.0, "{}", click(&clicked));
}

#[test]
fn a_minute_of_drifting_crystals_has_no_click_and_stays_in_place() {
    let (pieces, from, off_ms) = evening(0.0);
    let worst = click(&render(&pieces, from, 55.0));
    println!("drift: bends {worst:.3} of a sine's, {off_ms:.3} ms off, {} pieces", pieces.len());
    assert!(worst < 1.02, "{worst}");
    assert_eq!(pieces.len(), 1, "held by rate alone");
    assert!(off_ms.abs() < 0.5, "{off_ms}");
}

#[test]
fn a_box_clock_that_moves_by_less_than_20_ms_is_followed_by_rate_without_a_click() {
    let (pieces, from, off_ms) = evening(0.015);
    let worst = click(&render(&pieces, from, 55.0));
    println!("15 ms: bends {worst:.3} of a sine's, {off_ms:.3} ms off, {} pieces", pieces.len());
    assert!(worst < 1.02, "{worst}");
    assert_eq!(pieces.len(), 1);
    assert!(off_ms.abs() < 0.5, "{off_ms}");
}

#[test]
fn what_is_further_off_is_put_right_under_a_cross_fade_without_a_click() {
    let (pieces, from, off_ms) = evening(0.0853);
    let worst = click(&render(&pieces, from, 55.0));
    println!("85 ms: bends {worst:.3} of a sine's, {off_ms:.3} ms off, {} pieces", pieces.len());
    assert!(worst < 2.0, "two sines at once bend no more than twice as much: {worst}");
    assert!(pieces.len() >= 2, "it was re-anchored");
    assert!(off_ms.abs() < 0.5, "{off_ms}");
    assert!(pieces.iter().skip(1).all(|piece| (piece.rise - 0.03).abs() < 1e-9));
}
