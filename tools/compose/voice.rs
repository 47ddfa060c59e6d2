//! The instruments, and the desk they are mixed on. Pitches are MIDI note numbers (A4 = 69), times are seconds.

/// The loudest sample of a finished mix: some room is left for two cues at once.
const PEAK: f64 = 24_000.0;

/// A note: which pitch, from when, for how long, how loud, and where between left (0) and right (1).
#[derive(Clone, Copy)]
pub struct Note {
    /// MIDI note number.
    pub pitch: u32,
    /// Seconds from the beginning of the piece.
    pub at: f64,
    /// Seconds until it has died away.
    pub lasts: f64,
    /// Compared with the other notes; the mix is brought to [`PEAK`] at the end.
    pub loud: f64,
    /// 0 is left, 1 is right.
    pub pan: f64,
}

/// What is heard of a note: `left` to go from 1 (just struck) to 0, and `turns` of its fundamental so far.
pub type Timbre = fn(left: f64, turns: f64) -> f64;

/// A strummed-glass pad: swells and sinks, two partials.
pub fn pad(left: f64, turns: f64) -> f64 {
    let swell = 4.0 * left * (1.0 - left);
    swell * (sine(turns) + 0.35 * sine(2.003 * turns) + 0.12 * sine(3.001 * turns))
}

/// A round bass, with overtones that a phone's speaker can carry.
pub fn bass(left: f64, turns: f64) -> f64 {
    let attack = ramp(1.0 - left, 0.01);
    attack * left * left * (sine(turns) + 0.5 * sine(2.0 * turns) + 0.25 * left * sine(3.0 * turns))
}

/// A bell: overtones that are no multiples, the higher the sooner gone.
pub fn bell(left: f64, turns: f64) -> f64 {
    let slow = left * left * left * left;
    let fast = slow * slow;
    slow * sine(turns) + 0.5 * fast * sine(2.756 * turns) + 0.25 * fast * fast * sine(5.404 * turns)
}

/// A wooden click, loudest at once: the beat that everything else is measured by.
pub fn click(left: f64, turns: f64) -> f64 {
    let decay = left * left * left;
    decay * (cosine(turns) + 0.6 * cosine(1.504 * turns))
}

/// A mix in the making: left and right, frame by frame.
pub struct Mix {
    rate_hz: u32,
    channels: usize,
    frames: Vec<[f64; 2]>,
}

impl Mix {
    /// Silence of that length.
    pub fn new(seconds: u32, channels: usize, rate_hz: u32) -> Self {
        Self { rate_hz, channels, frames: vec![[0.0; 2]; (seconds * rate_hz) as usize] }
    }

    /// Adds a note; what would sound beyond the end is cut.
    pub fn play(&mut self, timbre: Timbre, note: Note) {
        let rate = f64::from(self.rate_hz);
        let first = (note.at * rate).round() as usize;
        let length = (note.lasts * rate).round() as usize;
        let turn = hertz(note.pitch) / rate;
        for (index, frame) in self.frames.iter_mut().skip(first).take(length).enumerate() {
            let left = 1.0 - index as f64 / length as f64;
            let value = note.loud * timbre(left, index as f64 * turn);
            frame[0] += value * (1.0 - note.pan);
            frame[1] += value * note.pan;
        }
    }

    /// Frames a second.
    pub fn rate_hz(&self) -> u32 {
        self.rate_hz
    }

    /// How many channels are written: one takes the sum of both sides.
    pub fn channels(&self) -> usize {
        self.channels
    }

    /// How long it is.
    pub fn seconds(&self) -> usize {
        self.frames.len() / self.rate_hz as usize
    }

    /// Interleaved samples of 16 bits, the loudest at [`PEAK`].
    pub fn samples(&self) -> Vec<i32> {
        let sides = self.frames.iter().flat_map(|&[left, right]| match self.channels {
            1 => vec![left + right],
            _ => vec![left, right],
        });
        let sides: Vec<f64> = sides.collect();
        let loudest = sides.iter().fold(0.0_f64, |peak, side| peak.max(side.abs()));
        sides.iter().map(|side| (side * PEAK / loudest).round() as i32).collect()
    }
}

/// Equal temperament: what each of the twelve steps of an octave multiplies.
const STEPS: [f64; 12] = [
    1.0,
    1.059_463_094_359_295_3,
    1.122_462_048_309_373,
    1.189_207_115_002_721,
    1.259_921_049_894_873_2,
    1.334_839_854_170_034_4,
    std::f64::consts::SQRT_2,
    1.498_307_076_876_681_5,
    1.587_401_051_968_199_4,
    1.681_792_830_507_429,
    1.781_797_436_280_678_5,
    1.887_748_625_363_387,
];

fn hertz(pitch: u32) -> f64 {
    let above_a0 = pitch - 21; // A0, the lowest key of a piano, is 27.5 Hz
    let octaves = f64::from(1_u32 << (above_a0 / 12));
    27.5 * octaves * STEPS[above_a0 as usize % 12]
}

/// From 0 to 1 within the first `part` of a note.
fn ramp(gone: f64, part: f64) -> f64 {
    (gone / part).min(1.0)
}

fn cosine(turns: f64) -> f64 {
    sine(turns + 0.25)
}

/// The sine of so many turns, by its series: exact to 1e-7, and the same on every machine.
fn sine(turns: f64) -> f64 {
    let turn = turns - turns.floor();
    // A quarter turn either side of 0 holds every value; there the series converges in six terms.
    let near = match turn {
        t if t < 0.25 => t,
        t if t < 0.75 => 0.5 - t,
        t => t - 1.0,
    };
    let x = near * std::f64::consts::TAU;
    let xx = x * x;
    let series = 1.0 - xx / 110.0;
    let series = 1.0 - xx / 72.0 * series;
    let series = 1.0 - xx / 42.0 * series;
    let series = 1.0 - xx / 20.0 * series;
    x * (1.0 - xx / 6.0 * series)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_series_is_a_sine() {
        for step in -500..500 {
            let turns = f64::from(step) / 97.0;
            assert!((sine(turns) - (turns * std::f64::consts::TAU).sin()).abs() < 1e-6, "{turns}");
        }
    }

    #[test]
    fn concert_pitch_is_440_hz() {
        assert_eq!(hertz(69), 440.0);
    }
}
