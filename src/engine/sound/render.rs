//! Draws any stretch of a plan as samples: the one way that cards, simulated or real, make sound.
//!
//! In: a plan, the files, and the show time of each frame of the card. Out: interleaved samples.
//! Never: allocation, locks, waiting; a voice's place is worked out anew from show time for every block, so nothing
//! adds up over an evening and a block may begin anywhere.

use std::ops::Range;
use std::sync::Arc;

use units::{ShowTime, Span, VoiceId};
use wire::ltc::Wave;

use super::kernel::{Kernel, Weights};
use super::pcm::Pcm;
use super::plan::{Plan, Ramp, Voice};
use crate::show::Loops;
use crate::timecode::{Course, Line, Ltc};

/// Closer than this to a sample, the sample itself is played.
///
/// Orders count whole nanoseconds and the servo trembles by as much, so a file on a card of its own rate comes out
/// bit for bit. A drifting card meets the shortcut once in 10,000 frames, which adds less than -110 dB.
const SNAP_NS: f64 = 2.0;

/// Levels of timecode that are drawn at once.
const LEVELS: usize = 256;

/// When each frame of a block is heard: frame `n` at `first + fraction_ns + n * frame_ns`.
///
/// Show time has 61 bits by now, more than an `f64` holds, so whole nanoseconds and the fraction stand apart.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct FrameGrid {
    /// When frame 0 is heard, whole nanoseconds.
    pub first: ShowTime,
    /// What the whole nanoseconds leave out.
    pub fraction_ns: f64,
    /// Nanoseconds of show time from one frame to the next; above 0.
    pub frame_ns: f64,
}

impl FrameGrid {
    /// A card that runs exactly at its rate.
    pub fn exact(first: ShowTime, rate_hz: u32) -> Self {
        Self { first, fraction_ns: 0.0, frame_ns: 1e9 / f64::from(rate_hz.max(1)) }
    }
    /// When a frame is heard, to the nearest nanosecond.
    pub fn at(&self, frame: usize) -> ShowTime {
        self.first + self.beyond(frame as f64)
    }
    /// The grid of the frames from `frame` on.
    pub fn skip(&self, frame: usize) -> Self {
        let gone = self.fraction_ns + frame as f64 * self.frame_ns;
        let whole = gone.floor();
        let first = self.first + Span::from_ns(whole as i64);
        Self { first, fraction_ns: gone - whole, ..*self }
    }
    fn beyond(&self, frame: f64) -> Span {
        Span::from_ns((self.fraction_ns + frame * self.frame_ns).round() as i64)
    }
    /// The first of `frames` frames that is not heard before `at`.
    fn first_from(&self, at: ShowTime, frames: usize) -> usize {
        let ahead_ns = (at - self.first).ns() as f64 - self.fraction_ns - SNAP_NS;
        ((ahead_ns / self.frame_ns).ceil().max(0.0) as usize).min(frames)
    }
}

/// Everything a card thread needs, made before it starts.
#[derive(Debug, Clone)]
pub struct Renderer {
    media: Arc<[Pcm]>,
    kernels: Vec<Arc<Kernel>>,
    channels: usize,
}

impl Renderer {
    /// For a card of `rate_hz` frames a second and that many channels; `media` in the order of [`crate::show::MediaId`].
    pub fn new(media: Arc<[Pcm]>, rate_hz: u32, channels: u16) -> Self {
        let mut made: Vec<(u32, Arc<Kernel>)> = Vec::new();
        let mut kernel = |file_hz: u32| {
            if let Some((_, kernel)) = made.iter().find(|(rate, _)| *rate == file_hz) {
                return kernel.clone();
            }
            made.push((file_hz, Arc::new(Kernel::new(file_hz, rate_hz))));
            made[made.len() - 1].1.clone()
        };
        let kernels = media.iter().map(|pcm| kernel(pcm.rate_hz())).collect();
        Self { media, kernels, channels: usize::from(channels.max(1)) }
    }

    /// How many channels a frame has, at least 1.
    pub fn channels(&self) -> usize {
        self.channels
    }

    /// Fills `out`, interleaved, as long as it is. What is too loud for the card is cut at the edge only.
    pub fn render(&self, plan: &Plan, grid: FrameGrid, out: &mut [f32]) {
        out.fill(0.0);
        for voice in &plan.voices {
            self.mix(voice, grid, out);
        }
        if let Some(timecode) = &plan.timecode {
            self.mix_timecode(timecode, grid, out);
        }
        out.iter_mut().for_each(|sample| *sample = sample.clamp(-1.0, 1.0));
    }

    /// Voices that sound in a block, each with the first frame in which they do.
    pub fn sounding(
        plan: &Plan,
        grid: FrameGrid,
        frames: usize,
    ) -> impl Iterator<Item = (VoiceId, usize)> {
        plan.voices.iter().filter_map(move |voice| {
            let sounding = window(voice, grid, frames);
            (!sounding.is_empty()).then_some((voice.id, sounding.start))
        })
    }

    /// Where timecode stands its channel is silent, as a tape's that stands.
    fn mix_timecode(&self, timecode: &Ltc, grid: FrameGrid, out: &mut [f32]) {
        let channel = usize::from(timecode.channel);
        if channel >= self.channels {
            return;
        }
        let mut wave = Wave::new(timecode.rate, 0);
        let frames = out.len() / self.channels;
        let turns = grid.first_from(timecode.course.from, frames);
        let Course { before, line, .. } = timecode.course;
        let mut levels = [0.0; LEVELS];
        for (line, all) in [(before, 0..turns), (line, turns..frames)] {
            let Line::Runs { at, position } = line else { continue };
            for begin in all.clone().step_by(LEVELS) {
                let levels = &mut levels[..LEVELS.min(all.end - begin)];
                let grid = grid.skip(begin);
                wave.draw(position + (grid.first - at), grid.fraction_ns, grid.frame_ns, levels);
                let out = out[begin * self.channels..].chunks_exact_mut(self.channels);
                out.zip(levels).for_each(|(out, level)| out[channel] += *level * timecode.gain.0);
            }
        }
    }

    fn mix(&self, voice: &Voice, grid: FrameGrid, out: &mut [f32]) {
        let (Some(pcm), Some(kernel)) =
            (self.media.get(voice.media.0), self.kernels.get(voice.media.0))
        else {
            return;
        };
        let sounding = window(voice, grid, out.len() / self.channels);
        if sounding.is_empty() || pcm.frames() == 0 {
            return;
        }
        let steady = voice.steady(grid.at(sounding.start), grid.at(sounding.end));
        let walk = Walk::new(voice, pcm, grid);
        let mut weights = Weights::new();
        for frame in sounding {
            let gain = steady.unwrap_or_else(|| voice.gain(grid.at(frame)));
            let out = &mut out[frame * self.channels..][..self.channels];
            if gain > 0.0 {
                mix_frame(voice, &mut walk.reader(frame, kernel, &mut weights), gain, out);
            }
        }
    }
}

/// The frames of a block in which a voice may be heard.
fn window(voice: &Voice, grid: FrameGrid, frames: usize) -> Range<usize> {
    let end = voice.until.map_or(frames, |until| grid.first_from(until, frames));
    grid.first_from(voice.from, frames)..end
}

fn mix_frame(voice: &Voice, reader: &mut Reader, gain: f32, out: &mut [f32]) {
    let mut last: Option<(u16, f32)> = None;
    for route in voice.routes.iter() {
        let Some(out) = out.get_mut(usize::from(route.to)) else { continue };
        let sample = match last {
            Some((from, sample)) if from == route.from => sample,
            _ => reader.read(usize::from(route.from)),
        };
        last = Some((route.from, sample));
        *out += sample * gain * route.gain.0;
    }
}

/// The way of a voice through its file, a block long.
struct Walk<'a> {
    pcm: &'a Pcm,
    /// Where frame 0 stands: whole frames of the file, all loops laid end to end, and what is left.
    whole: i64,
    part: f64,
    /// Frames of the file for each frame of the card.
    step: f64,
    /// Frames of all loops together.
    total: i64,
    snap: f64,
}

impl<'a> Walk<'a> {
    fn new(voice: &Voice, pcm: &'a Pcm, grid: FrameGrid) -> Self {
        let rate = i128::from(pcm.rate_hz());
        let per_ns = f64::from(pcm.rate_hz()) / 1e9;
        let gone = i128::from((grid.first - voice.at + voice.offset).ns()) * rate;
        let total = match voice.loops {
            Loops::Times(times) => pcm.frames() as i64 * i64::from(times),
            Loops::Forever => i64::MAX,
        };
        Self {
            pcm,
            whole: gone.div_euclid(1_000_000_000) as i64,
            part: gone.rem_euclid(1_000_000_000) as f64 / 1e9 + grid.fraction_ns * per_ns,
            step: grid.frame_ns * per_ns,
            total,
            snap: SNAP_NS * per_ns,
        }
    }

    fn reader<'b>(&self, frame: usize, kernel: &Kernel, weights: &'b mut Weights) -> Reader<'b>
    where
        'a: 'b,
    {
        let (whole, part) = self.place(frame);
        let exact = kernel.is_exact(part);
        if !exact {
            kernel.weigh(part, weights);
        }
        Reader { pcm: self.pcm, total: self.total, whole, weights: (!exact).then_some(weights) }
    }

    fn place(&self, frame: usize) -> (i64, f64) {
        let gone = self.part + frame as f64 * self.step;
        let nearest = gone.round();
        if (gone - nearest).abs() <= self.snap {
            return (self.whole.saturating_add(nearest as i64), 0.0);
        }
        let below = gone.floor();
        (self.whole.saturating_add(below as i64), gone - below)
    }
}

/// Reads every channel at one place.
struct Reader<'a> {
    pcm: &'a Pcm,
    total: i64,
    whole: i64,
    weights: Option<&'a mut Weights>,
}

impl Reader<'_> {
    fn read(&self, channel: usize) -> f32 {
        let Some(plane) = self.pcm.plane(channel) else { return 0.0 };
        let Some(weights) = &self.weights else { return self.sample(plane, self.whole) };
        let (begin, taps) = (self.whole - weights.half() as i64 + 1, weights.taps());
        match self.straight(plane, begin, taps.len()) {
            Some(samples) => weights.dot(samples),
            None => {
                (begin..).zip(taps).map(|(index, weight)| self.sample(plane, index) * weight).sum()
            }
        }
    }

    /// The samples from `begin` on, where no end of the file and no seam of a loop comes between.
    fn straight<'b>(&self, plane: &'b [f32], begin: i64, len: usize) -> Option<&'b [f32]> {
        if begin < 0 || begin.checked_add(len as i64)? > self.total {
            return None;
        }
        let begin = (begin % plane.len() as i64) as usize;
        plane.get(begin..begin + len)
    }

    /// Before the first loop and after the last there is silence; in between the end meets the beginning.
    fn sample(&self, plane: &[f32], index: i64) -> f32 {
        if (0..self.total).contains(&index) {
            plane[(index % plane.len() as i64) as usize]
        } else {
            0.0
        }
    }
}

impl Voice {
    /// The gain, where none of its ramps moves between two instants.
    fn steady(&self, begin: ShowTime, end: ShowTime) -> Option<f32> {
        let stands = |ramp: &Ramp| ramp.at + ramp.span <= begin || ramp.at >= end;
        self.volume.iter().chain(&self.edges).all(stands).then(|| self.gain(begin))
    }
}

#[cfg(test)]
mod tests {
    use units::Gain;

    use super::*;
    use crate::show::MediaId;
    use crate::sound::PlanRoute;

    const T0: ShowTime = ShowTime::from_ns(1_795_000_000_123_456_789);

    fn sine(rate_hz: u32, hz: f64, frames: usize) -> Pcm {
        let step = std::f64::consts::TAU * hz / f64::from(rate_hz);
        Pcm::new(
            rate_hz,
            vec![(0..frames).map(|n| (0.5 * (step * n as f64).sin()) as f32).collect()],
        )
    }

    fn route(from: u16, to: u16, gain: f32) -> PlanRoute {
        PlanRoute { from, to, gain: Gain(gain) }
    }

    fn plan(pcm: &Pcm, routes: &[PlanRoute]) -> Plan {
        let length = Span::from_secs_f64(pcm.frames() as f64 / f64::from(pcm.rate_hz()));
        let volume = Ramp { at: T0, span: Span::ZERO, from: Gain::UNITY, to: Gain::UNITY };
        let voice = Voice {
            id: VoiceId(1),
            media: MediaId(0),
            at: T0,
            offset: Span::ZERO,
            length,
            loops: Loops::Times(1),
            from: T0,
            until: Some(T0 + length),
            volume: vec![volume],
            edges: Vec::new(),
            routes: routes.into(),
        };
        Plan { voices: vec![voice], timecode: None }
    }

    fn render(pcm: &Pcm, plan: &Plan, grid: FrameGrid, card_hz: u32, frames: usize) -> Vec<f32> {
        let mut out = vec![0.0; frames];
        Renderer::new([pcm.clone()].into(), card_hz, 1).render(plan, grid, &mut out);
        out
    }

    /// The worst difference to the sine itself, away from the file's ends where the kernel meets silence.
    fn worst(out: &[f32], grid: FrameGrid, hz: f64) -> f64 {
        let ideal = |n: usize| {
            let secs = ((grid.first - T0).ns() as f64 + n as f64 * grid.frame_ns) / 1e9;
            0.5 * (std::f64::consts::TAU * hz * secs).sin()
        };
        let inner = out.iter().enumerate().skip(100).take(out.len().saturating_sub(200));
        inner.map(|(n, sample)| (f64::from(*sample) - ideal(n)).abs()).fold(0.0, f64::max)
    }

    #[test]
    fn between_samples_a_sine_stays_a_sine() {
        let pcm = sine(48_000, 9_973.0, 48_000);
        let (plan, drifting) = (plan(&pcm, &[route(0, 0, 1.0)]), 1e9 / 48_000.0 * 1.000_1);
        let grid = FrameGrid { first: T0, fraction_ns: 0.0, frame_ns: drifting };
        let out = render(&pcm, &plan, grid, 48_000, 47_000);
        assert!(worst(&out, grid, 9_973.0) < 1e-4, "{}", worst(&out, grid, 9_973.0));
    }

    #[test]
    fn other_rates_are_resampled_and_what_the_card_cannot_hold_is_gone() {
        for (file_hz, card_hz) in
            [(44_100, 48_000), (48_000, 44_100), (96_000, 48_000), (8_000, 48_000)]
        {
            let pcm = sine(file_hz, 997.0, file_hz as usize);
            let grid = FrameGrid::exact(T0, card_hz);
            let out = render(
                &pcm,
                &plan(&pcm, &[route(0, 0, 1.0)]),
                grid,
                card_hz,
                card_hz as usize - 500,
            );
            let worst = worst(&out[500..], grid.skip(500), 997.0);
            assert!(worst < 2e-4, "{file_hz} on {card_hz}: {worst}");
        }
        let pcm = sine(96_000, 40_000.0, 96_000);
        let grid = FrameGrid::exact(T0, 48_000);
        let out = render(&pcm, &plan(&pcm, &[route(0, 0, 1.0)]), grid, 48_000, 47_000);
        assert!(out[500..].iter().all(|sample| sample.abs() < 1e-4));
    }

    #[test]
    fn blocks_of_any_size_join_into_the_same_sound() {
        let pcm = sine(44_100, 440.0, 44_100);
        let mut plan = plan(&pcm, &[route(0, 0, 0.7)]);
        let fade =
            Ramp { at: T0, span: Span::from_millis(300), from: Gain::SILENCE, to: Gain::UNITY };
        plan.voices[0].edges.push(fade);
        let grid =
            FrameGrid { first: T0 - Span::from_millis(7), fraction_ns: 0.3, frame_ns: 20_834.7 };
        let renderer = Renderer::new([pcm].into(), 48_000, 1);
        let block = |grid, frames| {
            let mut out = vec![0.0; frames];
            renderer.render(&plan, grid, &mut out);
            out
        };
        let whole = block(grid, 20_000);
        for size in [1, 37, 240, 1024] {
            let parts =
                (0..20_000_usize.div_ceil(size)).flat_map(|n| block(grid.skip(n * size), size));
            let worst = whole.iter().zip(parts).map(|(a, b)| (a - b).abs()).fold(0.0, f32::max);
            assert!(worst < 1e-5, "blocks of {size}: {worst}");
        }
    }

    #[test]
    fn the_matrix_routes_sums_and_leaves_out_what_is_not_there() {
        let pcm = Pcm::new(48_000, vec![vec![0.25; 480], vec![0.5; 480]]);
        let routes = [
            route(0, 2, 1.0),
            route(1, 2, 0.5),
            route(1, 0, 1.0),
            route(0, 9, 1.0),
            route(7, 1, 1.0),
        ];
        let mut out = vec![0.0; 3 * 100];
        let renderer = Renderer::new([pcm.clone()].into(), 48_000, 3);
        renderer.render(&plan(&pcm, &routes), FrameGrid::exact(T0, 48_000), &mut out);
        assert!(out.chunks(3).all(|frame| frame == [0.5, 0.0, 0.5]));
    }

    #[test]
    fn too_loud_is_cut_at_the_edge_only() {
        let pcm = Pcm::new(48_000, vec![vec![0.75, -0.75, 0.4]]);
        let plan = plan(&pcm, &[route(0, 0, 2.0)]);
        let out = render(&pcm, &plan, FrameGrid::exact(T0, 48_000), 48_000, 3);
        assert_eq!(out, [1.0, -1.0, 0.8]);
    }

    #[test]
    fn an_empty_file_an_unknown_one_and_a_voice_from_long_ago_are_silence() {
        let (empty, grid) = (Pcm::new(48_000, vec![Vec::new()]), FrameGrid::exact(T0, 48_000));
        let mut plan = plan(&sine(48_000, 440.0, 100), &[route(0, 0, 1.0)]);
        plan.voices[0].until = None;
        assert_eq!(render(&empty, &plan, grid, 48_000, 10), [0.0; 10]);
        plan.voices[0].media = MediaId(5);
        assert_eq!(render(&empty, &plan, grid, 48_000, 10), [0.0; 10]);
        plan.voices[0] =
            Voice { media: MediaId(0), at: ShowTime::from_ns(i64::MIN), ..plan.voices[0].clone() };
        assert_eq!(render(&sine(48_000, 440.0, 100), &plan, grid, 48_000, 10), [0.0; 10]);
    }

    #[test]
    fn a_voice_is_said_to_sound_from_its_first_frame_in_the_block() {
        let pcm = sine(48_000, 440.0, 480);
        let plan = plan(&pcm, &[route(0, 0, 1.0)]);
        let first = |first: Span| {
            Renderer::sounding(&plan, FrameGrid::exact(T0 + first, 48_000), 240).next()
        };
        assert_eq!(first(Span::from_millis(-2)), Some((VoiceId(1), 96)));
        assert_eq!(first(Span::from_millis(3)), Some((VoiceId(1), 0)));
        assert_eq!(first(Span::from_millis(-5)), None);
        assert_eq!(first(Span::from_millis(10)), None);
    }
}
