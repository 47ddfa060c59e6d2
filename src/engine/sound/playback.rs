//! The engine's side of sound: voices start, change and end; plans go out.

use std::sync::Arc;

use units::{Gain, ShowTime, Span, VoiceId};

use super::plan::{Plan, PlanRoute, Ramp, Voice};
use crate::show::{Loops, MediaInfo, SoundCue};

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
}

impl Playback {
    /// Silence.
    pub fn new() -> Self {
        Self::default()
    }

    /// The plan as it stands.
    pub fn plan(&self) -> Arc<Plan> {
        Arc::new(Plan { voices: self.voices.clone() })
    }

    /// A voice begins.
    pub fn start(&mut self, start: &Start) {
        self.voices.push(voice(start));
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

    /// A voice fades out and ends; a fade shorter than an edge becomes one.
    pub fn stop(&mut self, id: VoiceId, at: ShowTime, span: Span) {
        if let Some(voice) = self.voice_mut(id) {
            voice.end(at, span.max(EDGE));
        }
    }

    /// Every voice fades out and ends.
    pub fn stop_all(&mut self, at: ShowTime, span: Span) {
        self.voices.retain(|voice| voice.from < at);
        self.voices.iter_mut().for_each(|voice| voice.end(at, span.max(EDGE)));
    }

    /// A pause: every voice keeps its place, and is silent until the thaw.
    pub fn freeze(&mut self, at: ShowTime) {
        if self.frozen.is_some() {
            return;
        }
        self.frozen = Some(at);
        for voice in &mut self.voices {
            voice.edges.push(Ramp { at, span: EDGE, from: Gain::UNITY, to: Gain::SILENCE });
        }
    }

    /// The end of a pause: every voice goes on where it stood.
    pub fn thaw(&mut self, at: ShowTime) {
        let Some(frozen) = self.frozen.take() else { return };
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
pub fn ends(cue: &SoundCue, length: Span, at: ShowTime) -> Option<ShowTime> {
    match cue.loops {
        Loops::Times(times) => Some(at + (length.times(i64::from(times)) - cue.offset)),
        Loops::Forever => None,
    }
}

fn voice(start: &Start) -> Voice {
    let (cue, at, length) = (start.cue, start.at, start.info.length());
    let until = ends(cue, length, at);
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
        let from = self
            .volume
            .iter()
            .rev()
            .find(|ramp| ramp.at <= at)
            .map_or(to, |ramp| Gain(ramp.gain(at)));
        self.volume.retain(|ramp| ramp.at < at);
        self.volume.push(Ramp { at, span, from, to });
    }

    fn end(&mut self, at: ShowTime, span: Span) {
        if self.until.is_some_and(|until| until <= at + span) {
            return;
        }
        self.edges.push(Ramp { at, span, from: Gain::UNITY, to: Gain::SILENCE });
        self.until = Some(at + span);
    }

    fn thaw(&mut self, frozen: ShowTime, at: ShowTime) {
        let by = at - frozen;
        self.edges
            .retain(|edge| edge.at != frozen || edge.to != Gain::SILENCE || edge.span != EDGE);
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
