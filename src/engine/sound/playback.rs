//! The engine's side of sound: voices start, change and end; plans go out.

use std::sync::Arc;

use units::{Gain, ShowTime, Span, VoiceId};

use super::plan::{Plan, PlanRoute, Ramp, Voice};
use crate::show::{Loops, MediaInfo, SoundCue};
use crate::timecode::Ltc;

/// Long enough that a cut does not click, short enough that nobody hears it as a fade.
const EDGE: Span = Span::from_millis(10);

/// A voice that is to begin.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Start<'a> {
    /// Its name.
    pub id: VoiceId,
    /// When it begins.
    pub at: ShowTime,
    /// What the cue asks for.
    pub cue: &'a SoundCue,
    /// What is known of the file.
    pub info: &'a MediaInfo,
}

/// Everything that sounds, now and as far ahead as it has been ordered.
#[derive(Debug, Clone, Default)]
pub struct Playback {
    voices: Vec<Voice>,
    frozen: Option<ShowTime>,
    timecode: Option<Ltc>,
}

impl Playback {
    /// Silence.
    pub fn new() -> Self {
        Self::default()
    }

    /// The plan as it stands.
    pub fn plan(&self) -> Arc<Plan> {
        Arc::new(Plan { voices: self.voices.clone(), timecode: self.timecode })
    }

    /// Timecode on the card from the next plan on.
    pub fn set_timecode(&mut self, timecode: Option<Ltc>) {
        self.timecode = timecode;
    }

    /// A voice begins; one that is ordered into a pause waits for its end.
    pub fn start(&mut self, start: &Start) {
        let mut voice = voice(start);
        voice.edges.extend(self.frozen.map(pause_edge));
        self.voices.push(voice);
    }

    /// A voice that should have begun at its `at` comes in at `from`, where it would be by then.
    pub fn start_in_the_middle(&mut self, start: &Start, from: ShowTime) {
        self.start(start);
        if let Some(voice) = self.voices.last_mut().filter(|_| from > start.at) {
            voice.from = from;
            let (at, span) = (from, EDGE);
            voice.edges.push(Ramp { at, span, from: Gain::SILENCE, to: Gain::UNITY });
        }
    }

    /// When a voice ends; none if it is not there, `Some(None)` if it sounds until something ends it.
    pub fn ends(&self, id: VoiceId) -> Option<Option<ShowTime>> {
        self.voices.iter().find(|voice| voice.id == id).map(|voice| voice.until)
    }

    /// A voice's volume moves to `to`.
    pub fn fade(&mut self, id: VoiceId, at: ShowTime, span: Span, to: Gain) {
        if let Some(voice) = self.voice_mut(id) {
            voice.fade(at, span, to);
        }
    }

    /// A voice fades out and ends; a fade shorter than an edge becomes one. In a pause it has ended already.
    pub fn stop(&mut self, id: VoiceId, at: ShowTime, span: Span) {
        let frozen = self.frozen;
        if let Some(voice) = self.voice_mut(id) {
            voice.end(at, span, frozen);
        }
    }

    /// Every voice fades out and ends; what has not begun never will.
    pub fn stop_all(&mut self, at: ShowTime, span: Span) {
        let frozen = self.frozen;
        self.voices.retain(|voice| voice.from < at);
        self.voices.iter_mut().for_each(|voice| voice.end(at, span, frozen));
    }

    /// A pause: every voice keeps its place, and is silent until the thaw.
    pub fn freeze(&mut self, at: ShowTime) {
        if self.frozen.is_some() {
            return;
        }
        self.frozen = Some(at);
        self.voices.iter_mut().for_each(|voice| voice.edges.push(pause_edge(at)));
    }

    /// The end of a pause: every voice goes on where it stood.
    pub fn thaw(&mut self, at: ShowTime) {
        let Some(frozen) = self.frozen.take() else { return };
        // Voices that were stopped during the pause must not come back for the rest of their edge.
        self.voices.retain(|voice| voice.until.is_none_or(|until| until > frozen + EDGE));
        for voice in &mut self.voices {
            voice.thaw(frozen, at);
        }
    }

    /// Forgets voices that have ended.
    pub fn forget(&mut self, now: ShowTime) {
        if self.frozen.is_none() {
            self.voices.retain(|voice| voice.until.is_none_or(|until| now < until));
        }
    }

    fn voice_mut(&mut self, id: VoiceId) -> Option<&mut Voice> {
        self.voices.iter_mut().find(|voice| voice.id == id)
    }
}

/// When a file that begins at `at` has sounded as often as the cue asks; none if something has to end it.
pub fn ends(cue: &SoundCue, info: &MediaInfo, at: ShowTime) -> Option<ShowTime> {
    match cue.loops {
        Loops::Times(times) => Some(at + (all_loops(info, times) - cue.offset)),
        Loops::Forever => None,
    }
}

fn voice(start: &Start) -> Voice {
    let (cue, at, length) = (start.cue, start.at, start.info.length());
    let until = ends(cue, start.info, at);
    let volume = Ramp { at, span: Span::ZERO, from: cue.volume.gain(), to: cue.volume.gain() };
    let mut edges = Vec::new();
    if cue.fade_in > Span::ZERO {
        edges.push(Ramp { at, span: cue.fade_in, from: Gain::SILENCE, to: Gain::UNITY });
    }
    if let (Some(until), true) = (until, cue.fade_out > Span::ZERO) {
        edges.push(Ramp {
            at: until - cue.fade_out,
            span: cue.fade_out,
            from: Gain::UNITY,
            to: Gain::SILENCE,
        });
    }
    Voice {
        id: start.id,
        media: cue.media,
        at,
        offset: cue.offset,
        length,
        loops: cue.loops,
        from: at,
        until,
        volume: vec![volume],
        edges,
        routes: routes(cue, start.info),
    }
}

/// Counted in frames: a length in nanoseconds is cut short, and a thousand loops of it by a thousand times as much.
fn all_loops(info: &MediaInfo, times: u32) -> Span {
    let frames = i128::from(info.frames) * i128::from(times);
    let ns = frames * 1_000_000_000 / i128::from(info.rate_hz.max(1));
    Span::from_ns(i64::try_from(ns).unwrap_or(i64::MAX))
}

/// Silence from the beginning of a pause on.
fn pause_edge(at: ShowTime) -> Ramp {
    Ramp { at, span: EDGE, from: Gain::UNITY, to: Gain::SILENCE }
}

/// Without a matrix: channel to channel, and mono to the first two.
fn routes(cue: &SoundCue, info: &MediaInfo) -> Arc<[PlanRoute]> {
    let straight = |from, to| PlanRoute { from, to, gain: Gain::UNITY };
    match (cue.routes.is_empty(), info.channels) {
        (false, _) => cue
            .routes
            .iter()
            .map(|route| PlanRoute { from: route.from, to: route.to, gain: route.volume.gain() })
            .collect(),
        (true, 1) => [straight(0, 0), straight(0, 1)].into(),
        (true, channels) => (0..channels).map(|channel| straight(channel, channel)).collect(),
    }
}

impl Voice {
    fn fade(&mut self, at: ShowTime, span: Span, to: Gain) {
        let begun = self.volume.iter().rev().find(|ramp| ramp.at <= at);
        let from = begun.or(self.volume.first()).map_or(to, |ramp| Gain(ramp.gain(at)));
        self.volume.retain(|ramp| ramp.at < at);
        self.volume.push(Ramp { at, span, from, to });
    }

    fn end(&mut self, at: ShowTime, span: Span, frozen: Option<ShowTime>) {
        if let Some(frozen) = frozen {
            let silent = frozen + EDGE;
            self.until = Some(self.until.map_or(silent, |until| until.min(silent)));
            return;
        }
        let span = span.max(EDGE);
        if self.until.is_some_and(|until| until <= at + span) {
            return;
        }
        self.edges.push(Ramp { at, span, from: Gain::UNITY, to: Gain::SILENCE });
        self.until = Some(at + span);
    }

    fn thaw(&mut self, frozen: ShowTime, at: ShowTime) {
        let by = at - frozen;
        if let Some(index) = self.edges.iter().rposition(|edge| *edge == pause_edge(frozen)) {
            self.edges.remove(index);
        }
        for ramp in self
            .volume
            .iter_mut()
            .chain(&mut self.edges)
            .filter(|ramp| ramp.at + ramp.span > frozen)
        {
            ramp.at += by;
        }
        self.until = self.until.map(|until| until + by);
        self.at += by;
        if self.from <= frozen {
            self.edges.push(Ramp { at, span: EDGE, from: Gain::SILENCE, to: Gain::UNITY });
            self.from = at;
        } else {
            self.from += by;
        }
    }
}

#[cfg(test)]
mod tests {
    use units::Decibels;

    use super::*;
    use crate::show::MediaId;
    use crate::sound::{FrameGrid, Pcm, Renderer};

    const RATE: u32 = 48_000;
    /// Any evening.
    const T0: ShowTime = ShowTime::from_ns(1_795_000_000_000_000_000);

    fn ms(ms: i64) -> Span {
        Span::from_millis(ms)
    }

    /// A second whose samples say where in the file they stand: 0 at its beginning, 1 at its end.
    fn slope() -> Pcm {
        Pcm::new(RATE, vec![(0..RATE).map(|n| n as f32 / RATE as f32).collect()])
    }

    fn info(channels: u16) -> MediaInfo {
        MediaInfo {
            sha256: String::new(),
            bytes: 0,
            rate_hz: RATE,
            channels,
            frames: u64::from(RATE),
        }
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

    fn playing(cue: &SoundCue) -> Playback {
        let mut playback = Playback::new();
        playback.start(&Start { id: VoiceId(1), at: T0, cue, info: &info(1) });
        playback
    }

    /// What an exact card plays on its first two channels from an instant on.
    fn heard(playback: &Playback, from: Span, frames: usize) -> Vec<f32> {
        let mut out = vec![0.0; frames * 2];
        let grid = FrameGrid::exact(T0 + from, RATE);
        Renderer::new([slope()].into(), RATE, 2).render(&playback.plan(), grid, &mut out);
        out
    }

    fn left(playback: &Playback, from: Span) -> f32 {
        heard(playback, from, 1)[0]
    }

    #[test]
    fn a_file_at_the_cards_rate_comes_out_bit_for_bit_and_mono_on_both_sides() {
        let out = heard(&playing(&cue()), Span::ZERO, RATE as usize);
        let file = slope();
        let file = file.plane(0).expect("mono");
        assert!(out.chunks(2).zip(file).all(|(out, file)| out == [*file, *file]));
    }

    #[test]
    fn before_its_beginning_and_after_its_end_a_voice_is_silent() {
        let playback = playing(&cue());
        assert_eq!(left(&playback, ms(-1)), 0.0);
        assert_eq!(heard(&playback, ms(1000), 480), vec![0.0; 960]);
        assert!(left(&playback, ms(999)) > 0.99);
    }

    #[test]
    fn a_loop_meets_its_own_beginning_without_a_gap() {
        let looped = SoundCue { loops: Loops::Times(3), ..cue() };
        let out = heard(&playing(&looped), ms(990), 960);
        let expected = (0..960).map(|n| ((47_520 + n) % 48_000) as f32 / RATE as f32);
        assert!(out.chunks(2).zip(expected).all(|(out, expected)| out[0] == expected));
        assert_eq!(left(&playing(&looped), ms(3000)), 0.0);
    }

    #[test]
    fn a_loop_without_an_end_still_stands_right_after_a_night() {
        let looped = SoundCue { loops: Loops::Forever, ..cue() };
        assert_eq!(left(&playing(&looped), Span::from_secs(12 * 3600) + ms(250)), 0.25);
    }

    #[test]
    fn a_thousand_loops_of_an_odd_length_end_where_the_last_frame_ends() {
        let odd = MediaInfo { rate_hz: 44_100, frames: 44_101, ..info(1) };
        let mut playback = Playback::new();
        let cue = SoundCue { loops: Loops::Times(1000), ..cue() };
        playback.start(&Start { id: VoiceId(1), at: T0, cue: &cue, info: &odd });
        let exact = Span::from_ns((44_101_000_i64 * 1_000_000_000) / 44_100);
        assert_eq!(playback.ends(VoiceId(1)), Some(Some(T0 + exact)));
    }

    #[test]
    fn a_start_offset_begins_in_the_middle_and_ends_earlier() {
        let playback = playing(&SoundCue { offset: ms(400), ..cue() });
        assert_eq!(left(&playback, Span::ZERO), 0.4);
        assert_eq!(left(&playback, ms(100)), 0.5);
        assert_eq!(playback.ends(VoiceId(1)), Some(Some(T0 + ms(600))));
    }

    #[test]
    fn fades_in_and_out_are_straight_and_meet_silence() {
        let playback = playing(&SoundCue { fade_in: ms(200), fade_out: ms(200), ..cue() });
        assert_eq!(left(&playback, Span::ZERO), 0.0);
        assert!((left(&playback, ms(100)) - 0.1 * 0.5).abs() < 1e-6);
        assert!((left(&playback, ms(500)) - 0.5).abs() < 1e-6);
        assert!((left(&playback, ms(900)) - 0.9 * 0.5).abs() < 1e-6);
        assert!(left(&playback, ms(999)) < 0.006);
    }

    #[test]
    fn a_volume_fade_goes_from_where_it_stands_and_a_second_one_takes_over() {
        let mut playback = playing(&cue());
        playback.fade(VoiceId(1), T0 + ms(100), ms(400), Gain::SILENCE);
        assert!((left(&playback, ms(300)) - 0.3 * 0.5).abs() < 1e-6);
        playback.fade(VoiceId(1), T0 + ms(300), ms(100), Gain::UNITY);
        assert!((left(&playback, ms(300)) - 0.3 * 0.5).abs() < 1e-6);
        assert!((left(&playback, ms(350)) - 0.35 * 0.75).abs() < 1e-6);
        assert!((left(&playback, ms(500)) - 0.5).abs() < 1e-6);
    }

    #[test]
    fn a_fade_that_begins_before_its_voice_does_not_jump_to_its_end() {
        let mut playback = Playback::new();
        let start = Start { id: VoiceId(1), at: T0 + ms(100), cue: &cue(), info: &info(1) };
        playback.start(&start);
        playback.fade(VoiceId(1), T0, ms(200), Gain::SILENCE);
        assert!((left(&playback, ms(150)) - 0.05 * 0.25).abs() < 1e-6);
    }

    #[test]
    fn a_stop_without_a_fade_has_an_edge_and_then_silence() {
        let mut playback = playing(&cue());
        playback.stop(VoiceId(1), T0 + ms(500), Span::ZERO);
        assert!((left(&playback, ms(505)) - 0.505 * 0.5).abs() < 1e-4);
        assert_eq!(heard(&playback, ms(510), 4800), vec![0.0; 9600]);
        playback.forget(T0 + ms(510));
        assert_eq!(playback.ends(VoiceId(1)), None);
    }

    #[test]
    fn a_pause_of_any_length_changes_nothing_but_when() {
        let mut playback = playing(&SoundCue { fade_out: ms(200), ..cue() });
        playback.fade(VoiceId(1), T0 + ms(200), ms(400), Gain(0.5));
        let straight = playback.clone();
        playback.freeze(T0 + ms(400));
        assert_eq!(heard(&playback, ms(410), 480), vec![0.0; 960]);
        playback.forget(T0 + ms(5_000));
        playback.thaw(T0 + ms(7_777));
        let by = ms(7_377);
        // The edge that lets it in again is 10 ms; from there on the two are one.
        let after = heard(&playback, by + ms(410), 28_800);
        assert_eq!(after, heard(&straight, ms(410), 28_800));
        assert!(left(&playback, ms(7_777)).abs() < 1e-6);
        assert_eq!(playback.ends(VoiceId(1)), Some(Some(T0 + ms(1000) + by)));
    }

    #[test]
    fn what_was_stopped_during_a_pause_does_not_come_back() {
        let mut playback = playing(&cue());
        playback.freeze(T0 + ms(400));
        playback.stop(VoiceId(1), T0 + ms(600), ms(2_000));
        playback.thaw(T0 + ms(800));
        assert_eq!(heard(&playback, ms(800), 48_000), vec![0.0; 96_000]);
        assert_eq!(playback.ends(VoiceId(1)), None);
    }

    #[test]
    fn a_voice_ordered_into_a_pause_waits_for_its_end() {
        let mut playback = Playback::new();
        playback.freeze(T0 - ms(100));
        playback.start(&Start { id: VoiceId(1), at: T0, cue: &cue(), info: &info(1) });
        assert_eq!(heard(&playback, ms(100), 480), vec![0.0; 960]);
        playback.thaw(T0 + ms(400));
        assert_eq!(left(&playback, ms(500) + ms(100)), 0.1);
    }

    #[test]
    fn stop_all_ends_what_sounds_and_forgets_what_has_not_begun() {
        let mut playback = playing(&cue());
        let later = Start { id: VoiceId(2), at: T0 + ms(600), cue: &cue(), info: &info(1) };
        playback.start(&later);
        playback.stop_all(T0 + ms(300), ms(100));
        assert_eq!(playback.ends(VoiceId(1)), Some(Some(T0 + ms(400))));
        assert_eq!(playback.ends(VoiceId(2)), None);
    }
}
