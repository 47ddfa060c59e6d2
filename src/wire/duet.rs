//! A box and a phone chirp by turns, and so find out how much later the phone is heard.
//!
//! In: what either microphone recorded. Out: a [`Residual`], or why there is none. Never: a distance told by hand.
//!
//! The naive way puts a microphone beside the loudspeaker and stamps what it hears. It fails on stage: the phone
//! hears the box late by the distance, and nobody knows what a microphone's own way into the machine takes. So both
//! chirp and both listen. Let the phone be late by `r`, and sound take `d` from one to the other. Where the box
//! stands, the phone is heard later than the box by `r + d`; where the phone stands, by `r - d`, for there it is the
//! box that is far away. Half the sum is `r`, half the difference is `d`. Only differences within one recording enter,
//! so no microphone's latency does, and neither does what the clocks say of it: if the phone's clock is wrong it
//! chirps at the wrong time, and `r` has that in it, as the audience would hear it. What remains unseen is the way
//! from each loudspeaker to the microphone beside it, half their difference: 0.15 ms for ten centimetres.
//!
//! The crystal behind a microphone may be a hundred millionths off. Each of the phone's chirps therefore lies in the
//! middle of two of the box's, and is compared with their middle: what grows with time falls out.

use units::{ShowTime, Span};

use crate::chirp::{self, Voice, median};

/// Who chirps when. Each of the phone's turns is in the middle of two of the box's.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Turns<T> {
    /// The box's.
    pub by_box: Vec<T>,
    /// The phone's, one fewer.
    pub by_phone: Vec<T>,
}

/// What a microphone heard.
#[derive(Debug, Clone, PartialEq)]
pub struct Recording {
    /// Frames a second.
    pub rate_hz: u32,
    /// One channel.
    pub samples: Vec<f32>,
}

/// How late the phone is, and how sure that is.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Residual {
    /// Later than the box; negative is earlier.
    pub late: Span,
    /// Its standard deviation, the unseen centimetres included.
    pub sigma: Span,
    /// What sound took from one to the other.
    pub way: Span,
}

/// Why there is no residual, in words for whoever holds the phone.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Unheard {
    /// The box's microphone.
    #[error("the box did not hear this phone: turn it up or go nearer")]
    ByBox,
    /// The phone's.
    #[error("this phone did not hear the box: go nearer, or wait until it is quiet")]
    ByPhone,
    /// They contradict themselves or each other.
    #[error("what was heard does not fit together: try again where it is quiet")]
    Muddled,
}

/// How often a phone chirps.
pub const ROUNDS: usize = 5;
/// From one chirp to the next, whoever's: longer than sound, echoes and a wireless headphone take.
pub const STEP: Span = Span::from_millis(600);
/// A chirp is looked for from so much before its turn ...
const EARLY: Span = Span::from_millis(100);
/// ... until so much after: shorter than two steps, so that no other of the same voice is met.
pub const LATE_MAX: Span = Span::from_millis(700);
/// A recording begins so much before the first turn and ends so much after the last.
pub const MARGIN: (Span, Span) = (Span::from_millis(150), Span::from_millis(850));
/// One's own chirp, and what rings of it.
const RINGS: Span = Span::from_millis(150);
/// Fewer rounds show no scatter.
const ROUNDS_MIN: usize = 3;
/// A round that is further from the middle one met something else.
const APART_MAX_MS: f64 = 1.0;
/// Nobody calibrates from further away (60 m); less than nothing is a centimetre or two.
const WAY_RANGE_MS: std::ops::RangeInclusive<f64> = -1.0..=175.0;
/// Ten centimetres between a loudspeaker and its microphone, known to the half.
const PLACE_SIGMA_MS: f64 = 0.08;

impl Turns<Span> {
    /// By turns, from nothing on.
    pub fn plan() -> Self {
        let turn = |k: usize| STEP.times(k as i64);
        Self {
            by_box: (0..=ROUNDS).map(|k| turn(2 * k)).collect(),
            by_phone: (0..ROUNDS).map(|k| turn(2 * k + 1)).collect(),
        }
    }

    /// The same from a show time on.
    pub fn from(&self, start: ShowTime) -> Turns<ShowTime> {
        let at = |turns: &[Span]| turns.iter().map(|turn| start + *turn).collect();
        Turns { by_box: at(&self.by_box), by_phone: at(&self.by_phone) }
    }
}

/// For each of the phone's chirps, how much later than the middle of the box's two it was heard. `turns` are counted
/// from the recording's first sample; `own` is the voice beside this microphone.
///
/// One's own chirp is a thousand times louder than one from across the hall, and would be taken for it: so it is found
/// first, and the other's are looked for in between.
pub fn later(recording: &Recording, turns: &Turns<Span>, own: Voice) -> Vec<Option<Span>> {
    let (ours, others, other) = match own {
        Voice::Box => (&turns.by_box, &turns.by_phone, Voice::Phone),
        Voice::Phone => (&turns.by_phone, &turns.by_box, Voice::Box),
    };
    let near = ours.iter().map(|turn| find(recording, own, *turn - EARLY, *turn + LATE_MAX));
    let near: Vec<Option<Span>> = near.collect();
    let both = ours.iter().zip(&near);
    let lateness = both.filter_map(|(turn, found)| Some(((*found)? - *turn).secs_f64())).collect();
    let Some(late) = median(lateness).map(Span::from_secs_f64) else {
        return vec![None; turns.by_phone.len()];
    };
    let far = others.iter().map(|turn| {
        let turn = *turn + late;
        find(recording, other, turn - STEP + RINGS, turn + STEP)
    });
    let far = far.collect();
    let (by_box, by_phone) = if own == Voice::Box { (near, far) } else { (far, near) };
    compared(&by_box, &by_phone)
}

fn compared(by_box: &[Option<Span>], by_phone: &[Option<Span>]) -> Vec<Option<Span>> {
    let middles = by_box.windows(2).map(|pair| Some(half(pair[0]? + pair[1]?)));
    let later = by_phone.iter().zip(middles).map(|(phone, middle)| Some((*phone)? - middle?));
    later.collect()
}

fn half(span: Span) -> Span {
    Span::from_ns(span.ns() / 2)
}

/// Where a chirp is heard, counted from the recording's first sample.
fn find(recording: &Recording, voice: Voice, from: Span, to: Span) -> Option<Span> {
    let rate = f64::from(recording.rate_hz);
    let frame = |at: Span| ((at.secs_f64() * rate).max(0.0) as usize).min(recording.samples.len());
    let (from, to) = (frame(from), frame(to));
    let heard = recording.samples.get(from..to)?;
    let found = chirp::find(heard, voice, recording.rate_hz).ok()?;
    Some(Span::from_secs_f64((from as f64 + found.at) / rate))
}

/// Whether one microphone alone heard the phone's chirps so often, and so much alike, that it was there and chirped.
pub fn is_heard(later: &[Option<Span>]) -> bool {
    let later: Vec<f64> = later.iter().flatten().map(|it| it.millis_f64()).collect();
    let Some(middle) = median(later.clone()) else { return false };
    later.iter().filter(|it| (**it - middle).abs() <= APART_MAX_MS).count() >= ROUNDS_MIN
}

/// What both heard makes one figure.
///
/// # Errors
/// [`Unheard`], where there is any doubt.
pub fn residual(at_box: &[Option<Span>], at_phone: &[Option<Span>]) -> Result<Residual, Unheard> {
    let count = |heard: &[Option<Span>]| heard.iter().flatten().count();
    if count(at_phone) < ROUNDS_MIN {
        return Err(Unheard::ByPhone);
    }
    if count(at_box) < ROUNDS_MIN {
        return Err(Unheard::ByBox);
    }
    let both = at_box.iter().zip(at_phone);
    let rounds: Vec<(f64, f64)> = both
        .filter_map(|(there, here)| {
            let (there, here) = ((*there)?.millis_f64(), (*here)?.millis_f64());
            Some((f64::midpoint(there, here), (there - here) / 2.0))
        })
        .collect();
    agreed(&rounds).ok_or(Unheard::Muddled)
}

/// Rounds of `(late, way)` in milliseconds that mean the same.
fn agreed(rounds: &[(f64, f64)]) -> Option<Residual> {
    let middle = median(rounds.iter().map(|it| it.0).collect())?;
    let agree = |it: &&(f64, f64)| (it.0 - middle).abs() <= APART_MAX_MS;
    let kept: Vec<&(f64, f64)> = rounds.iter().filter(agree).collect();
    let count = kept.len() as f64;
    if kept.len() < ROUNDS_MIN {
        return None;
    }
    let late = kept.iter().map(|it| it.0).sum::<f64>() / count;
    let square = kept.iter().map(|it| (it.0 - late).powi(2)).sum::<f64>() / (count - 1.0);
    let way = median(kept.iter().map(|it| it.1).collect())?;
    let millis = |ms: f64| Span::from_secs_f64(ms / 1e3);
    WAY_RANGE_MS.contains(&way).then(|| Residual {
        late: millis(late),
        sigma: millis((square / count).sqrt().hypot(PLACE_SIGMA_MS)),
        way: millis(way),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ms(ms: f64) -> Option<Span> {
        Some(Span::from_secs_f64(ms / 1e3))
    }

    #[test]
    fn distance_cancels() {
        for way in [0.0, 3.0, 58.0] {
            let (there, here) = ([ms(12.5 + way); 5], [ms(12.5 - way); 5]);
            let found = residual(&there, &here).expect("all rounds agree");
            assert_eq!((Some(found.late), Some(found.way)), (ms(12.5), ms(way)));
            assert!(found.sigma >= Span::from_micros(80), "centimetres are never known");
        }
    }

    #[test]
    fn doubt_gives_no_figure() {
        let (good, none) = ([ms(5.0); 5], [None; 5]);
        assert_eq!(residual(&none, &good), Err(Unheard::ByBox));
        assert_eq!(residual(&good, &none), Err(Unheard::ByPhone));
        assert_eq!(residual(&[], &[]), Err(Unheard::ByPhone));
        let scattered = [ms(5.0), ms(9.0), ms(30.0), ms(-50.0), ms(100.0)];
        assert_eq!(residual(&scattered, &good), Err(Unheard::Muddled));
        let behind = [ms(-40.0); 5];
        assert_eq!(residual(&behind, &good), Err(Unheard::Muddled), "sound is not that fast");
        let one_stray = [ms(5.0), ms(5.0), ms(60.0), ms(5.0), ms(5.0)];
        assert_eq!(residual(&one_stray, &good).map(|it| it.late), Ok(Span::from_millis(5)));
    }

    #[test]
    fn a_phone_is_heard_when_three_rounds_agree() {
        assert!(is_heard(&[ms(5.0), None, ms(5.5), ms(90.0), ms(5.2)]));
        assert!(!is_heard(&[ms(5.0), ms(9.0), ms(30.0), ms(-50.0), ms(100.0)]), "noises");
        assert!(!is_heard(&[ms(5.0), ms(5.0), None]) && !is_heard(&[]));
    }

    #[test]
    fn each_turn_of_the_phone_is_in_the_middle_of_two_of_the_box() {
        let Turns { by_box, by_phone } = Turns::plan();
        for (k, turn) in by_phone.iter().enumerate() {
            assert_eq!(turn.times(2), by_box[k] + by_box[k + 1]);
        }
        assert_eq!((by_box.len(), by_phone.len()), (ROUNDS + 1, ROUNDS));
    }

    #[test]
    fn a_crystal_that_is_off_falls_out() {
        let rate_hz = 48_000;
        let mut samples = vec![0.0; 48_000 * 9];
        let turns = Turns::plan();
        let start = Span::from_millis(200);
        // 100 ppm fast: every place is later by as much.
        let mut chirp = |at: Span, voice| {
            let place = (at.secs_f64() * 1.000_1 * f64::from(rate_hz)).round() as usize;
            for (there, sample) in samples[place..].iter_mut().zip(chirp::samples(voice, rate_hz)) {
                *there += sample / 2.0;
            }
        };
        turns.by_box.iter().for_each(|turn| chirp(start + *turn, Voice::Box));
        let late = Span::from_millis(7);
        turns.by_phone.iter().for_each(|turn| chirp(start + *turn + late, Voice::Phone));
        let at = |turns: &[Span]| turns.iter().map(|turn| start + *turn).collect();
        let turns = Turns { by_box: at(&turns.by_box), by_phone: at(&turns.by_phone) };
        for found in later(&Recording { rate_hz, samples }, &turns, Voice::Box) {
            assert!(
                (found.expect("loud enough") - late).abs() < Span::from_micros(15),
                "{found:?}"
            );
        }
    }
}
