//! Which tracks sound: orders of `media_control` become voices, voices become acts.
//!
//! In: orders, tracks that are here, the tied clocks. Out: acts for Web Audio, reports for the box.
//! One track sounds once at a time: a new `play` of it takes over from the old one when its time comes.

use std::collections::BTreeMap;

use units::{MonoTime, Span, TrackId};
use uuid::Uuid;
use wire::solusync::{MediaAction, MediaControl, MediaParams, TrackInfo};

use crate::scale::{NetTime, net};
use crate::state::Doing;
use crate::told::Act;
use crate::voice::{CROSS_FADE, DE_CLICK, Due, Sync, Timeline, Voice, Wants};

/// The tracks and what they do.
#[derive(Debug, Clone, Default)]
pub(crate) struct Player {
    tracks: BTreeMap<TrackId, Track>,
    voices: Vec<Voice>,
    due: Vec<Due>,
    acts: Vec<Act>,
    voice_ids: u32,
    segment_ids: u32,
    /// Since when all of it stands still, as far as this phone was told.
    paused: Option<NetTime>,
    /// When voices that the box has not named again since the socket opened are let go.
    census: Option<MonoTime>,
}

#[derive(Debug, Clone)]
struct Track {
    url: String,
    length: Span,
    media: Media,
    /// The browser made nothing of it. It may next time: decoding asks for memory.
    is_unplayable: bool,
    /// From then on it is to be here no more.
    unload_at: Option<NetTime>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Media {
    Wanted {
        at: MonoTime,
        failures: u32,
    },
    Coming {
        failures: u32,
    },
    /// Here, and not yet decoded.
    Fetched {
        failures: u32,
    },
    Ready,
    Unloaded,
}

/// When an order came, by both clocks.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Now {
    pub(crate) mono: MonoTime,
    pub(crate) net: NetTime,
}

/// The answer to `hello` and the orders behind it arrive together; this is a slow network's worth of patience.
const CENSUS_AFTER: Span = Span::from_secs(3);
/// What the box no longer plays goes without a shock.
const CENSUS_FADE: Span = Span::from_millis(500);
const RETRY_FIRST: Span = Span::from_secs(1);
const RETRY_DOUBLINGS_MAX: u32 = 5;
/// What half an audience cannot decode is not to come to each of them twice a minute all evening: another time it is memory that
/// was short, or it never will.
const UNDECODED_FIRST: Span = Span::from_secs(20);
const UNDECODED_QUADRUPLINGS_MAX: u32 = 3;
/// More at a time is a mistake of the box, and a phone has little memory.
const VOICES_MAX: usize = 32;
/// While anything sounds or is about to.
const TICK: Span = Span::from_millis(250);

impl Player {
    /// The box said which tracks there are.
    pub(crate) fn handle_welcome(&mut self, tracks: Vec<TrackInfo>, now: MonoTime) {
        let mut known = std::mem::take(&mut self.tracks);
        for info in tracks {
            let length = Span::from_secs_f64(info.duration);
            if !info.duration.is_finite() || length <= Span::ZERO {
                continue;
            }
            let same = known.remove(&info.track_id).filter(|track| track.url == info.url);
            let (url, media) = (info.url, Media::Wanted { at: now, failures: 0 });
            let new = Track { url, length, media, is_unplayable: false, unload_at: None };
            let track = same.map_or(new, |track| Track { length, ..track });
            self.tracks.insert(info.track_id, track);
        }
        self.acts.extend(known.into_keys().map(|track_id| Act::Forget { track_id }));
    }

    /// The phone is with another box: what has not come from the one before is wanted from this one.
    pub(crate) fn handle_other_box(&mut self, now: MonoTime) {
        for track in self.tracks.values_mut() {
            if let Media::Wanted { .. } | Media::Coming { .. } = track.media {
                track.media = Media::Wanted { at: now, failures: 0 };
            }
        }
    }

    /// The box names what plays right after this. One that only stands by names nothing.
    pub(crate) fn handle_roll_call(&mut self, now: MonoTime) {
        self.voices.iter_mut().for_each(|voice| voice.is_confirmed = false);
        self.paused = None;
        self.census = (!self.voices.is_empty()).then_some(now + CENSUS_AFTER);
    }

    pub(crate) fn handle_ready(&mut self, id: &TrackId) {
        self.set_media(id, Media::Ready);
        self.mark_unplayable(id, false);
    }

    pub(crate) fn handle_fetched(&mut self, id: &TrackId) {
        if let Some(media) = self.media(id)
            && let Media::Coming { failures } = *media
        {
            *media = Media::Fetched { failures };
        }
    }

    pub(crate) fn handle_failed(&mut self, id: &TrackId, now: MonoTime) {
        self.want_again(id, now, |failures| {
            RETRY_FIRST.times(1 << failures.min(RETRY_DOUBLINGS_MAX))
        });
    }

    pub(crate) fn handle_undecodable(&mut self, id: &TrackId, now: MonoTime) {
        self.want_again(id, now, |failures| {
            UNDECODED_FIRST.times(1 << (2 * failures.min(UNDECODED_QUADRUPLINGS_MAX)))
        });
        self.mark_unplayable(id, true);
    }

    fn want_again(&mut self, id: &TrackId, now: MonoTime, wait: impl Fn(u32) -> Span) {
        if let Some(media) = self.media(id)
            && let Media::Coming { failures } | Media::Fetched { failures } = *media
        {
            *media = Media::Wanted { at: now + wait(failures), failures: failures + 1 };
        }
    }

    /// `media_control`.
    pub(crate) fn handle_order(
        &mut self,
        order: Uuid,
        said: &MediaControl,
        now: Now,
        sync: Option<&Sync>,
    ) {
        let at = said.start_at.map_or(now.net, net);
        match (said.action, &said.track_id) {
            (MediaAction::Pause, None) => self.paused = Some(at),
            (MediaAction::Play, _) | (MediaAction::Stop, None) => self.paused = None,
            _ => {}
        }
        match (said.action, &said.track_id) {
            (MediaAction::Play, Some(track)) => self.play(order, track, said, at, now, sync),
            (MediaAction::Seek, Some(track)) => self.seek(order, track, said, at, sync),
            (MediaAction::Pause, track) => self.finish(order, track.as_ref(), at, DE_CLICK, sync),
            (MediaAction::Stop, track) => {
                let fade = Span::from_millis(said.params.fade_out_ms.into()).max(DE_CLICK);
                self.finish(order, track.as_ref(), at, fade, sync);
            }
            (MediaAction::Load, Some(track)) => self.load(track, now.mono),
            (MediaAction::Unload, Some(track)) => {
                self.finish(order, Some(track), at, DE_CLICK, sync);
                if let Some(track) = self.tracks.get_mut(track) {
                    track.unload_at = Some(at);
                }
                self.unload_due(now.net);
            }
            (_, None) => {}
        }
    }

    /// Everything that is due.
    pub(crate) fn tick(&mut self, now: Now, sync: Option<&Sync>) {
        self.fetch_wanted(now.mono);
        // A phone that nobody tapped must not keep what passed unheard.
        self.voices.retain(|voice| voice.is_sounding() || !voice.has_passed(now.net));
        self.unload_due(now.net);
        let Some(sync) = sync else { return };
        if self.census.is_some_and(|census| census <= now.mono) {
            self.take_census(sync);
        }
        for k in 0..self.voices.len() {
            let voice = &mut self.voices[k];
            let is_ready =
                self.tracks.get(&voice.track).is_some_and(|track| track.media == Media::Ready);
            if is_ready && voice.is_misplaced(sync) {
                self.due.retain(|due| due.order != voice.order);
                self.acts.extend(voice.silence().acts);
            }
            let wants = voice.tick(sync, is_ready, &mut self.segment_ids);
            self.take(wants);
        }
        self.voices.retain(|voice| !voice.is_over());
    }

    /// The context lost its time (it slept, or a call came in).
    pub(crate) fn handle_audio_lost(&mut self) {
        let wants: Vec<Wants> = self.voices.iter_mut().map(Voice::silence).collect();
        wants.into_iter().for_each(|wants| self.take(wants));
        self.due.clear();
    }

    pub(crate) fn take_acts(&mut self) -> Vec<Act> {
        std::mem::take(&mut self.acts)
    }

    /// Orders that have been heard by now: which, and at which network time.
    pub(crate) fn take_heard(&mut self, sync: &Sync) -> Vec<(Uuid, NetTime)> {
        let (heard, due) = self.due.iter().partition::<Vec<Due>, _>(|due| due.at <= sync.heard);
        self.due = due;
        heard.into_iter().map(|due| (due.order, sync.net(due.at))).collect()
    }

    /// When `tick` has something next.
    pub(crate) fn next_wake(&self, now: MonoTime) -> Option<MonoTime> {
        let fetch = self.tracks.values().filter_map(|track| match track.media {
            Media::Wanted { at, .. } => Some(at),
            _ => None,
        });
        let mut leaving = self.tracks.values().filter(|track| track.unload_at.is_some());
        let is_busy = !(self.voices.is_empty() && self.due.is_empty()) || leaving.next().is_some();
        fetch.chain(is_busy.then_some(now + TICK)).min()
    }

    /// Tracks that are here, decoded or as far as that is possible, and tracks that should be.
    pub(crate) fn readiness(&self, can_decode: bool) -> (usize, usize) {
        let is_ready = |media: Media| match media {
            Media::Fetched { .. } => !can_decode,
            media => media == Media::Ready,
        };
        let wanted = self.tracks.values().filter(|track| track.media != Media::Unloaded);
        let ready = self.tracks.values().filter(|track| is_ready(track.media));
        (ready.count(), wanted.count())
    }

    /// Tracks that nobody need wait for.
    pub(crate) fn unplayable(&self) -> usize {
        let is_wanted = |track: &&Track| track.is_unplayable && track.media != Media::Unloaded;
        self.tracks.values().filter(is_wanted).count()
    }

    pub(crate) fn doing(&self, now: NetTime) -> Doing {
        if self.paused.is_some_and(|at| at <= now) {
            Doing::Paused
        } else if self.voices.iter().any(Voice::is_sounding) {
            Doing::Playing
        } else {
            Doing::Ready
        }
    }

    fn play(
        &mut self,
        order: Uuid,
        track: &TrackId,
        said: &MediaControl,
        at: NetTime,
        now: Now,
        sync: Option<&Sync>,
    ) {
        let Some(length) = self.tracks.get(track).map(|track| track.length) else { return };
        let position = Span::from_secs_f64(said.params.position_ms / 1e3).max(Span::ZERO);
        let loops = (said.params.loop_count > 0).then_some(said.params.loop_count);
        let timeline = Timeline { start: at, position, length, loops };
        self.load(track, now.mono);
        if let Some(voice) = self.running(track).filter(|voice| voice.timeline.agrees(&timeline)) {
            let wants = voice.confirm(timeline, said.params, sync);
            return self.take(wants);
        }
        self.replace(track, at, sync);
        self.add(order, track, timeline, said.params);
    }

    fn seek(
        &mut self,
        order: Uuid,
        track: &TrackId,
        said: &MediaControl,
        at: NetTime,
        sync: Option<&Sync>,
    ) {
        let Some(voice) = self.running(track) else { return };
        let position = Span::from_secs_f64(said.params.position_ms / 1e3).max(Span::ZERO);
        let timeline = Timeline { start: at, position, ..voice.timeline };
        let params = voice.params_moved();
        self.replace(track, at, sync);
        self.add(order, track, timeline, params);
    }

    /// The voice of a track that nobody has ordered to end.
    fn running(&mut self, track: &TrackId) -> Option<&mut Voice> {
        self.voices
            .iter_mut()
            .rev()
            .find(|voice| voice.track == *track && !voice.is_ordered_to_end())
    }

    /// The track's voices end when the new one begins; those that would begin after it never do.
    fn replace(&mut self, track: &TrackId, at: NetTime, sync: Option<&Sync>) {
        self.end_voices(Some(track), at, CROSS_FADE, None, sync);
    }

    fn add(&mut self, order: Uuid, track: &TrackId, timeline: Timeline, params: MediaParams) {
        if self.voices.len() >= VOICES_MAX {
            return;
        }
        self.voice_ids += 1;
        self.voices.push(Voice::new(self.voice_ids, track.clone(), order, timeline, params));
    }

    fn finish(
        &mut self,
        order: Uuid,
        track: Option<&TrackId>,
        at: NetTime,
        fade: Span,
        sync: Option<&Sync>,
    ) {
        self.end_voices(track, at, fade, Some(order), sync);
    }

    /// Whoever orders an end means everything that was ordered before, also what has not begun yet.
    fn end_voices(
        &mut self,
        track: Option<&TrackId>,
        at: NetTime,
        fade: Span,
        order: Option<Uuid>,
        sync: Option<&Sync>,
    ) {
        for k in 0..self.voices.len() {
            let voice = &mut self.voices[k];
            if track.is_some_and(|track| voice.track != *track) {
                continue;
            }
            let wants = if voice.timeline.start >= at && !voice.has_begun(sync) {
                self.due.retain(|due| due.order != voice.order);
                voice.call_off()
            } else {
                voice.finish(at, fade, order, sync)
            };
            self.take(wants);
        }
        self.voices.retain(|voice| !voice.is_over());
    }

    fn load(&mut self, track: &TrackId, now: MonoTime) {
        let Some(track) = self.tracks.get_mut(track) else { return };
        track.unload_at = None;
        if track.media == Media::Unloaded {
            track.media = Media::Wanted { at: now, failures: 0 };
        }
    }

    /// What is still heard stays until it has ended.
    fn unload_due(&mut self, now: NetTime) {
        for (id, track) in &mut self.tracks {
            let is_heard = || self.voices.iter().any(|voice| voice.track == *id);
            if track.unload_at.is_some_and(|at| at <= now) && !is_heard() {
                (track.unload_at, track.media) = (None, Media::Unloaded);
                self.acts.push(Act::Forget { track_id: id.clone() });
            }
        }
    }

    fn set_media(&mut self, id: &TrackId, media: Media) {
        if let Some(it) = self.media(id) {
            *it = media;
        }
    }

    fn mark_unplayable(&mut self, id: &TrackId, is_unplayable: bool) {
        if let Some(track) = self.tracks.get_mut(id) {
            track.is_unplayable = is_unplayable;
        }
    }

    fn media(&mut self, id: &TrackId) -> Option<&mut Media> {
        self.tracks.get_mut(id).map(|track| &mut track.media)
    }

    fn fetch_wanted(&mut self, now: MonoTime) {
        for (id, track) in &mut self.tracks {
            if let Media::Wanted { at, failures } = track.media
                && at <= now
            {
                track.media = Media::Coming { failures };
                self.acts.push(Act::Fetch { track_id: id.clone(), url: track.url.clone() });
            }
        }
    }

    fn take_census(&mut self, sync: &Sync) {
        self.census = None;
        let now = sync.net(sync.heard);
        for k in 0..self.voices.len() {
            if !self.voices[k].is_confirmed {
                let wants = self.voices[k].finish(now, CENSUS_FADE, None, Some(sync));
                self.take(wants);
            }
        }
    }

    fn take(&mut self, wants: Wants) {
        self.acts.extend(wants.acts);
        self.due.extend(wants.due);
    }
}
