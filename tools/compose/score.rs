//! What is played. One beat a second, four beats a bar: a downbeat falls on every fourth second of show time
//! after the cue, so anybody with a watch can hear whether a phone is late.

use super::voice::{Mix, Note, bass, bell, click, pad};

/// Seconds, and so beats, of a bar.
pub const BEATS_A_BAR: usize = 4;
/// Bars of the piece.
pub const BARS: usize = HARMONY.len();

/// A bar: the bass, and the four notes above it.
struct Bar {
    root: u32,
    chord: [u32; 4],
}

/// From a minor dawn to a major morning. The seventh bar is the far lightning, the eighth comes home.
const HARMONY: [Bar; 8] = [
    Bar { root: 35, chord: [59, 62, 66, 69] }, // B minor 7
    Bar { root: 31, chord: [59, 62, 66, 67] }, // G major 7
    Bar { root: 38, chord: [57, 62, 64, 66] }, // D with its ninth
    Bar { root: 33, chord: [57, 61, 64, 71] }, // A with its ninth
    Bar { root: 42, chord: [57, 62, 66, 69] }, // D over F sharp
    Bar { root: 31, chord: [59, 62, 66, 71] }, // G major 7
    Bar { root: 40, chord: [59, 62, 64, 67] }, // E minor 7
    Bar { root: 38, chord: [57, 62, 66, 69] }, // D
];

/// In which order the bells walk through a bar's chord, a note each half beat.
const WALK: [usize; 8] = [0, 2, 1, 3, 2, 1, 3, 2];

/// 32 seconds: the pad and the beat at once, bass from the second bar, bells from the third.
pub fn sunrise(channels: usize, rate_hz: u32) -> Mix {
    let mut mix = Mix::new((BARS * BEATS_A_BAR) as u32, channels, rate_hz);
    for (index, bar) in HARMONY.iter().enumerate() {
        let at = (index * BEATS_A_BAR) as f64;
        play_pad(&mut mix, bar, at);
        play_beat(&mut mix, at);
        if index >= 1 {
            play_bass(&mut mix, bar, at);
        }
        if (2..BARS - 1).contains(&index) {
            play_bells(&mut mix, bar, at);
        }
    }
    play_ending(&mut mix);
    mix
}

/// Three falling bells that call the house in: three seconds, one channel.
pub fn chime(rate_hz: u32) -> Mix {
    let mut mix = Mix::new(3, 1, rate_hz);
    for (pitch, at) in [(78, 0.0), (74, 0.5), (69, 1.0)] {
        mix.play(bell, Note { pitch, at, lasts: 3.0 - at, loud: 1.0, pan: 0.5 });
    }
    mix
}

/// Chords grow into one another: each begins a second early and leaves a second late.
fn play_pad(mix: &mut Mix, bar: &Bar, at: f64) {
    let begins = (at - 1.0).max(0.0);
    let ends = (at + 5.0).min((BARS * BEATS_A_BAR) as f64);
    for (voice, pitch) in bar.chord.into_iter().enumerate() {
        let pan = 0.2 + 0.2 * voice as f64;
        mix.play(pad, Note { pitch, at: begins, lasts: ends - begins, loud: 0.20, pan });
    }
}

/// A loud click on the downbeat, soft ones on the other three.
fn play_beat(mix: &mut Mix, at: f64) {
    mix.play(click, Note { pitch: 93, at, lasts: 0.06, loud: 1.1, pan: 0.5 });
    for beat in 1..BEATS_A_BAR {
        let at = at + beat as f64;
        mix.play(click, Note { pitch: 86, at, lasts: 0.03, loud: 0.35, pan: 0.5 });
    }
}

fn play_bass(mix: &mut Mix, bar: &Bar, at: f64) {
    for (beat, loud) in [(0.0, 0.6), (2.0, 0.4)] {
        mix.play(bass, Note { pitch: bar.root, at: at + beat, lasts: 2.0, loud, pan: 0.5 });
    }
}

fn play_bells(mix: &mut Mix, bar: &Bar, at: f64) {
    for (half_beat, voice) in WALK.into_iter().enumerate() {
        let pan = if half_beat % 2 == 0 { 0.3 } else { 0.7 };
        let at = at + half_beat as f64 / 2.0;
        mix.play(bell, Note { pitch: bar.chord[voice] + 12, at, lasts: 2.5, loud: 0.22, pan });
    }
}

/// One last chord of bells, rolled upwards, that rings out with the last bar.
fn play_ending(mix: &mut Mix) {
    let last = ((BARS - 1) * BEATS_A_BAR) as f64;
    for (voice, pitch) in [62, 69, 74, 78, 81].into_iter().enumerate() {
        let at = last + voice as f64 / 8.0;
        let pan = 0.3 + 0.1 * voice as f64;
        mix.play(bell, Note { pitch, at, lasts: last + 4.0 - at, loud: 0.3, pan });
    }
}
