//! One sounding of a track: where in the track it should be, how loud, and how to hold it there.
//!
//! Position is a function of network time, so starting late, looping, seeking and coming back from a dead
//! socket are the same arithmetic. A piece of the track that really sounds is a *segment*; it is steered by
//! rate while it is near, and replaced under a cross-fade when it is far.

use units::{MonoTime, Span, TrackId};
use uuid::Uuid;
use wire::solusync::MediaParams;

use crate::audio::AudioClock;
use crate::clock::Clock;
use crate::scale::{AudioTime, NetTime, secs};
use crate::told::Act;

/// Where in the track we are at a network time.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Timeline {
    /// When it is at `position`.
    pub(crate) start: NetTime,
    /// Along the whole, all loops unrolled.
    pub(crate) position: Span,
    /// Of one pass; more than nothing.
    pub(crate) length: Span,
    /// Passes; none is for ever.
    pub(crate) loops: Option<u32>,
}

impl Timeline {
    /// When the last pass ends.
    pub(crate) fn end(&self) -> Option<NetTime> {
        let loops = self.loops?;
        Some(self.start + self.length.times(loops.into()) - self.position)
    }

    /// Where in one pass it is, seconds.
    pub(crate) fn offset(&self, at: NetTime) -> f64 {
        let whole = self.position + (at - self.start);
        Span::from_ns(whole.ns().rem_euclid(self.length.ns())).secs_f64()
    }

    /// The same sounding as the other, give or take what rate can mend.
    pub(crate) fn agrees(&self, other: &Self) -> bool {
        let apart = (other.start - self.start) - (other.position - self.position);
        self.loops == other.loops && self.length == other.length && apart.abs() <= STEER_MAX
    }
}

/// How loud over time: straight lines through points, flat outside them.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Envelope {
    points: Vec<(NetTime, f64)>,
}

impl Envelope {
    /// As an order asks for it.
    pub(crate) fn new(params: &MediaParams, timeline: &Timeline) -> Self {
        let volume = if params.volume.is_finite() { params.volume.clamp(0.0, 1.0) } else { 1.0 };
        let risen = timeline.start + Span::from_millis(params.fade_in_ms.into());
        let mut points = match params.fade_in_ms {
            0 => vec![(timeline.start, volume)],
            _ => vec![(timeline.start, 0.0), (risen, volume)],
        };
        if let (Some(end), 1..) = (timeline.end(), params.fade_out_ms) {
            let falls = end - Span::from_millis(params.fade_out_ms.into());
            points.extend([(falls.max(risen), volume), (end.max(risen), 0.0)]);
        }
        Self { points }
    }

    /// How loud at a time.
    pub(crate) fn at(&self, at: NetTime) -> f64 {
        let next = self.points.partition_point(|(time, _)| *time <= at);
        match (next.checked_sub(1).and_then(|k| self.points.get(k)), self.points.get(next)) {
            (Some((since, from)), Some((until, to))) => {
                from + (to - from) * (at - *since).secs_f64() / (*until - *since).secs_f64()
            }
            (Some((_, gain)), None) | (None, Some((_, gain))) => *gain,
            (None, None) => 0.0,
        }
    }

    /// Down to nothing over `fade` from a time on.
    pub(crate) fn cut(&mut self, from: NetTime, fade: Span) {
        let gain = self.at(from);
        self.points.retain(|(time, _)| *time < from);
        self.points.extend([(from, gain), (from + fade, 0.0)]);
    }

    /// What is still to come, from a time on, in audio seconds.
    fn ahead(&self, now: AudioTime, sync: &Sync) -> Vec<(f64, f64)> {
        let at = sync.net(now);
        let later = self.points.iter().filter(|(time, _)| *time > at);
        let first = (secs(now), self.at(at));
        std::iter::once(first)
            .chain(later.map(|(time, gain)| (secs(sync.audio(*time)), *gain)))
            .collect()
    }
}

/// The three clocks tied together, for one call.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Sync<'a> {
    clock: &'a Clock,
    audio: &'a AudioClock,
    /// How much later than the audio clock says one hears.
    late: Span,
    /// What is heard now.
    pub(crate) heard: AudioTime,
    /// What is made now: nothing can be scheduled before it.
    pub(crate) made: AudioTime,
}

impl<'a> Sync<'a> {
    /// None until both estimates are fit to start sound by. `made_ahead` is `currentTime` minus page time.
    pub(crate) fn at(
        now: MonoTime,
        clock: &'a Clock,
        audio: &'a AudioClock,
        made_ahead: Span,
        late: Span,
    ) -> Option<Self> {
        let settled = clock.is_settled() && audio.is_settled();
        let heard = audio.audio_at(now - late).filter(|_| settled)?;
        let made = AudioTime::from_ns(now.ns()) + made_ahead;
        Some(Self { clock, audio, late, heard, made })
    }

    /// The network time at which this is heard.
    pub(crate) fn net(&self, audio: AudioTime) -> NetTime {
        let mono = self.audio.mono_at(audio).expect("settled when it was made") + self.late;
        self.clock.reading(mono).expect("settled when it was made").net
    }

    /// The network time at this time of the page's.
    pub(crate) fn net_at(&self, mono: MonoTime) -> NetTime {
        self.clock.reading(mono).expect("settled when it was made").net
    }

    /// What is heard at this network time.
    pub(crate) fn audio(&self, net: NetTime) -> AudioTime {
        let mono = self.clock.mono_at(net).expect("settled when it was made") - self.late;
        self.audio.audio_at(mono).expect("settled when it was made")
    }

    /// The audio time that is `ahead` of what can be scheduled at the earliest.
    pub(crate) fn soon(&self, ahead: Span) -> AudioTime {
        self.made.max(self.heard) + ahead
    }

    /// How much earlier than it is heard an order has to be here.
    pub(crate) fn need(&self) -> Span {
        self.soon(SOON) - self.heard
    }

    /// Network seconds in a second of audio: the rate at which a track keeps its place.
    pub(crate) fn rate(&self) -> f64 {
        let second = Span::from_secs(1);
        (self.net(self.heard + second) - self.net(self.heard)).secs_f64()
    }
}

/// One sounding of a track.
#[derive(Debug, Clone)]
pub(crate) struct Voice {
    pub(crate) id: u32,
    pub(crate) track: TrackId,
    pub(crate) order: Uuid,
    pub(crate) timeline: Timeline,
    /// Whether the box said it since the socket opened last.
    pub(crate) is_confirmed: bool,
    params: MediaParams,
    envelope: Envelope,
    finish: Option<Finish>,
    phase: Phase,
}

#[derive(Debug, Clone, Copy)]
struct Finish {
    end: NetTime,
    order: Option<Uuid>,
}

#[derive(Debug, Clone, Copy)]
enum Phase {
    Waiting,
    Sounding(Segment),
    Over,
}

/// A piece of a track that sounds: at `since` it is at `offset` and goes on at `rate`.
#[derive(Debug, Clone, Copy)]
struct Segment {
    id: u32,
    since: AudioTime,
    offset: f64,
    rate: f64,
    steered: AudioTime,
    /// When the voice was first heard.
    began: AudioTime,
    /// When it was told to end.
    ends: Option<AudioTime>,
}

impl Segment {
    fn offset(&self, at: AudioTime) -> f64 {
        self.offset + self.rate * (at - self.since).secs_f64()
    }
}

/// A report that is due once this audio time has been heard.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Due {
    pub(crate) order: Uuid,
    pub(crate) at: AudioTime,
}

/// What a voice wants done.
#[derive(Debug, Default)]
pub(crate) struct Wants {
    pub(crate) acts: Vec<Act>,
    pub(crate) due: Vec<Due>,
}

/// A page in the background is woken once a second; what begins or ends sooner is told by then.
const AHEAD: Span = Span::from_millis(1_500);
/// What the shell needs to get from our word to the sound thread.
const SOON: Span = Span::from_millis(60);
const STEER_EVERY: Span = Span::from_millis(250);
/// Beyond it a phone re-anchors (DESIGN: Time).
pub(crate) const STEER_MAX: Span = Span::from_millis(20);
/// Nobody hears a pitch change of 0.3 % (DESIGN: Time).
pub(crate) const STEER_RATE_MAX: f64 = 0.003;
/// An error is worked off over this long.
pub(crate) const STEER_OVER_SECS: f64 = 2.0;
/// A start that is off by less is not worth another; rate mends it.
const MISPLACED_MIN: Span = Span::from_millis(1);
/// Smaller changes of rate are not worth a word.
const STEER_STEP: f64 = 5e-6;
/// (DESIGN: Time.)
pub(crate) const CROSS_FADE: Span = Span::from_millis(30);
/// A start or an end in the middle of a wave clicks without it.
pub(crate) const DE_CLICK: Span = Span::from_millis(10);

impl Voice {
    pub(crate) fn new(
        id: u32,
        track: TrackId,
        order: Uuid,
        timeline: Timeline,
        params: MediaParams,
    ) -> Self {
        Self {
            id,
            track,
            order,
            timeline,
            is_confirmed: true,
            params,
            envelope: Envelope::new(&params, &timeline),
            finish: None,
            phase: Phase::Waiting,
        }
    }

    pub(crate) fn is_over(&self) -> bool {
        matches!(self.phase, Phase::Over)
    }

    pub(crate) fn is_sounding(&self) -> bool {
        matches!(self.phase, Phase::Sounding(_))
    }

    pub(crate) fn is_ordered_to_end(&self) -> bool {
        self.finish.is_some()
    }

    /// Whether any of it has been heard.
    pub(crate) fn has_begun(&self, sync: Option<&Sync>) -> bool {
        match (self.phase, sync) {
            (Phase::Sounding(segment), Some(sync)) => segment.began <= sync.heard,
            _ => false,
        }
    }

    /// It has not begun and never will.
    pub(crate) fn call_off(&mut self) -> Wants {
        let wants = self.silence();
        self.phase = Phase::Over;
        wants
    }

    /// The same from another place in the track, at the volume it has.
    pub(crate) fn params_moved(&self) -> MediaParams {
        MediaParams { fade_in_ms: 0, ..self.params }
    }

    /// The box says again what plays: keep sounding, take its numbers.
    pub(crate) fn confirm(
        &mut self,
        timeline: Timeline,
        params: MediaParams,
        sync: Option<&Sync>,
    ) -> Wants {
        let before = std::mem::replace(&mut self.envelope, Envelope::new(&params, &timeline));
        (self.timeline, self.params, self.is_confirmed) = (timeline, params, true);
        match sync {
            Some(sync) if self.is_sounding() && before != self.envelope => {
                self.blend(&before, sync)
            }
            _ => Wants::default(),
        }
    }

    /// From the volume it had to the one it should have.
    fn blend(&self, before: &Envelope, sync: &Sync) -> Wants {
        let now = sync.soon(Span::ZERO);
        let mut points = self.envelope.ahead(now + CROSS_FADE, sync);
        points.insert(0, (secs(now), before.at(sync.net(now))));
        Wants { acts: vec![Act::Gain { voice: self.id, points }], due: Vec::new() }
    }

    /// Fade from a time on, then be over. `order` is told when it is done.
    pub(crate) fn finish(
        &mut self,
        from: NetTime,
        fade: Span,
        order: Option<Uuid>,
        sync: Option<&Sync>,
    ) -> Wants {
        let end = from + fade;
        if self.finish.is_some_and(|finish| finish.end <= end) {
            return Wants::default();
        }
        self.envelope.cut(from, fade);
        self.finish = Some(Finish { end, order });
        if let Phase::Sounding(segment) = &mut self.phase {
            segment.ends = None;
        }
        match sync {
            Some(sync) if self.is_sounding() => self.gain(sync),
            _ => Wants::default(),
        }
    }

    fn gain(&self, sync: &Sync) -> Wants {
        let points = self.envelope.ahead(sync.soon(Span::ZERO), sync);
        Wants { acts: vec![Act::Gain { voice: self.id, points }], due: Vec::new() }
    }

    /// What is due now. `ids` numbers segments.
    pub(crate) fn tick(&mut self, sync: &Sync, is_ready: bool, ids: &mut u32) -> Wants {
        match self.phase {
            Phase::Waiting if self.has_passed(sync.net(sync.heard)) => {
                self.phase = Phase::Over;
                Wants::default()
            }
            Phase::Waiting if is_ready => self.begin(sync, ids),
            Phase::Sounding(segment) if segment.ends.is_some_and(|ends| ends <= sync.heard) => {
                self.phase = Phase::Over;
                Wants::default()
            }
            Phase::Sounding(segment) => self.hold(segment, sync, ids),
            _ => Wants::default(),
        }
    }

    /// Whether it is to begin where the clock has since learnt that it should not: that costs nothing until it is heard.
    pub(crate) fn is_misplaced(&self, sync: &Sync) -> bool {
        let Phase::Sounding(segment) = self.phase else { return false };
        let (planned, soon) = (sync.audio(self.timeline.start), sync.soon(SOON));
        // The end that was ordered is reported by itself.
        let is_whole =
            segment.since == segment.began && (segment.ends.is_none() || self.finish.is_none());
        is_whole
            && segment.since.min(planned) > soon
            && (planned - segment.since).abs() > MISPLACED_MIN
    }

    /// What sounds or is about to is called off, and begins anew: at once, or once a context that lost its time is known again.
    pub(crate) fn silence(&mut self) -> Wants {
        let Phase::Sounding(segment) = self.phase else { return Wants::default() };
        self.phase = Phase::Waiting;
        Wants {
            acts: vec![Act::End { segment: segment.id, at_s: 0.0, fall_s: 0.0 }],
            due: Vec::new(),
        }
    }

    fn end(&self) -> Option<NetTime> {
        let ordered = self.finish.map(|finish| finish.end);
        self.timeline.end().into_iter().chain(ordered).min()
    }

    pub(crate) fn has_passed(&self, now: NetTime) -> bool {
        self.end().is_some_and(|end| end <= now)
    }

    fn begin(&mut self, sync: &Sync, ids: &mut u32) -> Wants {
        let (planned, soonest) = (sync.audio(self.timeline.start), sync.soon(SOON));
        if planned > soonest + AHEAD {
            return Wants::default();
        }
        let at = planned.max(soonest);
        let rise = if planned >= soonest { self.click_free() } else { CROSS_FADE };
        let (segment, act) = self.segment(at, rise, sync, ids);
        self.phase = Phase::Sounding(segment);
        let points = self.envelope.ahead(at, sync);
        let acts = vec![Act::Gain { voice: self.id, points }, act];
        Wants { acts, due: vec![Due { order: self.order, at }] }
    }

    /// A track from its very beginning needs no help against clicks, and a click track would lose its first one.
    fn click_free(&self) -> Span {
        if self.timeline.position == Span::ZERO { Span::ZERO } else { DE_CLICK }
    }

    fn segment(&self, at: AudioTime, rise: Span, sync: &Sync, ids: &mut u32) -> (Segment, Act) {
        *ids += 1;
        let (rate, offset) = (sync.rate(), self.timeline.offset(sync.net(at)));
        let act = Act::Begin {
            segment: *ids,
            voice: self.id,
            track_id: self.track.clone(),
            at_s: secs(at),
            offset_s: offset,
            rate,
            looped: self.timeline.loops != Some(1),
            rise_s: rise.secs_f64(),
        };
        (Segment { id: *ids, since: at, offset, rate, steered: at, began: at, ends: None }, act)
    }

    fn hold(&mut self, segment: Segment, sync: &Sync, ids: &mut u32) -> Wants {
        let soon = sync.soon(SOON);
        match self.end().map(|end| sync.audio(end)) {
            Some(end) if segment.ends.is_none() && end <= soon + AHEAD => {
                self.end_segment(segment, end.max(soon))
            }
            _ if segment.since >= soon || segment.ends.is_some() => Wants::default(),
            _ if soon - segment.steered < STEER_EVERY => Wants::default(),
            _ => self.steer(segment, soon, sync, ids),
        }
    }

    fn end_segment(&mut self, segment: Segment, at: AudioTime) -> Wants {
        self.phase = Phase::Sounding(Segment { ends: Some(at), ..segment });
        let due = self.finish.and_then(|finish| finish.order).map(|order| Due { order, at });
        let act = Act::End { segment: segment.id, at_s: secs(at), fall_s: 0.0 };
        Wants { acts: vec![act], due: due.into_iter().collect() }
    }

    fn steer(&mut self, segment: Segment, at: AudioTime, sync: &Sync, ids: &mut u32) -> Wants {
        let behind = self.behind(&segment, at, sync);
        if behind.abs() > STEER_MAX.secs_f64() {
            return self.re_anchor(segment, at, sync, ids);
        }
        let wish = sync.rate() + behind / STEER_OVER_SECS;
        let rate = wish.clamp(1.0 - STEER_RATE_MAX, 1.0 + STEER_RATE_MAX);
        if (rate - segment.rate).abs() < STEER_STEP {
            self.phase = Phase::Sounding(Segment { steered: at, ..segment });
            return Wants::default();
        }
        let offset = segment.offset(at);
        self.phase = Phase::Sounding(Segment { since: at, offset, rate, steered: at, ..segment });
        let act = Act::Rate { segment: segment.id, at_s: secs(at), rate };
        Wants { acts: vec![act], due: Vec::new() }
    }

    /// Seconds by which the segment is behind where it should be, the short way round the loop.
    fn behind(&self, segment: &Segment, at: AudioTime, sync: &Sync) -> f64 {
        let length = self.timeline.length.secs_f64();
        let apart = (self.timeline.offset(sync.net(at)) - segment.offset(at)).rem_euclid(length);
        if apart > length / 2.0 { apart - length } else { apart }
    }

    fn re_anchor(&mut self, old: Segment, at: AudioTime, sync: &Sync, ids: &mut u32) -> Wants {
        let (segment, act) = self.segment(at, CROSS_FADE, sync, ids);
        self.phase = Phase::Sounding(Segment { began: old.began, ..segment });
        let end = Act::End { segment: old.id, at_s: secs(at), fall_s: CROSS_FADE.secs_f64() };
        Wants { acts: vec![end, act], due: Vec::new() }
    }
}
