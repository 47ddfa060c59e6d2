//! What phones have been told: the tracks that play on them and what their screens show.
//!
//! In: what cues ask of phones. Out: messages for all of them, and for one that joins late the messages that
//! bring it to where the others are. Never: sockets, header times.

use std::collections::BTreeMap;

use units::{Rgb, ShowTime, Span, TrackId, WireTime};
use wire::solusync::{Flash, MediaAction, MediaControl, MediaParams, Message, Screen, whole_ms};

use crate::show::{Loops, PhoneCue, PhoneFlash, PhoneTrack};

/// The whole audience, as one phone.
#[derive(Debug, Clone)]
pub struct Audience {
    tai_utc: Span,
    tracks: BTreeMap<TrackId, Playing>,
    colour: Option<ColourFade>,
    text: Option<String>,
    /// The latest time for which a screen has been ordered.
    ordered: ShowTime,
    paused: Option<ShowTime>,
}

#[derive(Debug, Clone)]
struct Playing {
    at: ShowTime,
    /// Where in the track it was at `at`.
    position: Span,
    until: Option<ShowTime>,
    params: MediaParams,
}

#[derive(Debug, Clone, Copy)]
struct ColourFade {
    from: Rgb,
    to: Rgb,
    at: ShowTime,
    span: Span,
}

/// Screens begin black.
const BLACK: Rgb = Rgb { red: 0, green: 0, blue: 0 };

impl Audience {
    /// Dark and silent.
    pub fn new(tai_utc: Span) -> Self {
        let (tracks, ordered) = (BTreeMap::new(), ShowTime::ZERO);
        Self { tai_utc, tracks, colour: None, text: None, ordered, paused: None }
    }

    /// A track begins everywhere at `at`.
    pub fn play(&mut self, track: &PhoneTrack, length: Span, at: ShowTime) -> Message {
        let playing = Playing {
            at,
            position: Span::ZERO,
            until: ends(track, length, at),
            params: params(track),
        };
        let message = self.message(MediaAction::Play, Some(&track.track), at, playing.params);
        self.tracks.insert(track.track.clone(), playing);
        message
    }

    /// Screens change at `at`; none if the cue says nothing about them.
    pub fn show(&mut self, cue: &PhoneCue, at: ShowTime) -> Option<Message> {
        if cue.colour.is_none() && cue.text.is_none() && cue.flash.is_none() {
            return None;
        }
        let fade =
            cue.colour.map(|(to, span)| ColourFade { from: self.colour_at(at), to, at, span });
        self.colour = fade.or(self.colour);
        self.text = cue.text.clone().or(self.text.take());
        self.ordered = self.ordered.max(at);
        let flash = cue.flash.map(|it| Flash { count: it.count, per_second: it.per_second });
        Some(self.screen(at, fade, cue.text.clone(), flash))
    }

    /// A track ends everywhere, or all of them where none is named.
    pub fn stop(&mut self, track: Option<&TrackId>, at: ShowTime, fade: Span) -> Message {
        self.tracks.retain(|playing, _| track.is_some_and(|track| track != playing));
        let params = MediaParams { fade_out_ms: whole_ms(fade), ..MediaParams::default() };
        self.message(MediaAction::Stop, track, at, params)
    }

    /// Everything goes dark and wordless, and nothing flashes on. A screen that has been ordered for a moment later
    /// would light up again: then it is that moment.
    pub fn black(&mut self, at: ShowTime, span: Span) -> Message {
        let cue = PhoneCue {
            colour: Some((BLACK, span)),
            text: Some(String::new()),
            flash: Some(PhoneFlash { count: 0, per_second: 1.0 }),
            ..PhoneCue::default()
        };
        self.show(&cue, at.max(self.ordered)).expect("the cue has a colour")
    }

    /// Tracks stand still at `at`; colours go on, they are not sound.
    pub fn pause(&mut self, at: ShowTime) -> Message {
        self.paused.get_or_insert(at);
        self.message(MediaAction::Pause, None, at, MediaParams::default())
    }

    /// The pause is over and nothing goes on.
    pub fn unpause(&mut self) {
        self.paused = None;
    }

    /// Tracks go on at `at` from where `pause` had them.
    pub fn resume(&mut self, at: ShowTime) -> Vec<Message> {
        let Some(paused) = self.paused.take() else { return Vec::new() };
        for playing in self.tracks.values_mut() {
            playing.resume(paused, at);
        }
        self.tracks.iter().map(|(track, playing)| self.playing(track, playing)).collect()
    }

    /// What one who joins now has to hear to be where the others are.
    pub fn catch_up(&self, now: ShowTime) -> Vec<Message> {
        let sounding = |playing: &Playing| playing.until.is_none_or(|until| now < until);
        let tracks = self.tracks.iter().filter(|(_, it)| self.paused.is_none() && sounding(it));
        let mut messages: Vec<Message> =
            tracks.map(|(track, it)| self.playing(track, it)).collect();
        if self.colour.is_some() || self.text.is_some() {
            let at = self.colour.map_or(now, |fade| fade.at);
            messages.push(self.screen(at, self.colour, self.text.clone(), None));
        }
        messages
    }

    /// Whether a track still plays.
    pub fn plays(&self, track: &TrackId) -> bool {
        self.tracks.contains_key(track)
    }

    /// Forgets tracks that have ended.
    pub fn forget(&mut self, now: ShowTime) {
        if self.paused.is_none() {
            self.tracks.retain(|_, playing| playing.until.is_none_or(|until| now < until));
        }
    }

    fn colour_at(&self, at: ShowTime) -> Rgb {
        self.colour.map_or(BLACK, |fade| fade.at(at))
    }

    fn playing(&self, track: &TrackId, playing: &Playing) -> Message {
        let params = MediaParams { position_ms: playing.position.millis_f64(), ..playing.params };
        self.message(MediaAction::Play, Some(track), playing.at, params)
    }

    fn message(
        &self,
        action: MediaAction,
        track: Option<&TrackId>,
        at: ShowTime,
        params: MediaParams,
    ) -> Message {
        let start_at = Some(WireTime::from_show(at, self.tai_utc));
        Message::MediaControl(MediaControl { action, track_id: track.cloned(), start_at, params })
    }

    fn screen(
        &self,
        at: ShowTime,
        fade: Option<ColourFade>,
        text: Option<String>,
        flash: Option<Flash>,
    ) -> Message {
        Message::Screen(Screen {
            start_at: Some(WireTime::from_show(at, self.tai_utc)),
            color: fade.map(|it| it.to),
            from_color: fade.map(|it| it.from),
            fade_ms: fade.map_or(0, |it| whole_ms(it.span)),
            text,
            flash,
        })
    }
}

/// When a track on phones ends; none if something has to end it.
pub fn ends(track: &PhoneTrack, length: Span, at: ShowTime) -> Option<ShowTime> {
    match track.loops {
        Loops::Times(times) => Some(at + length.times(i64::from(times))),
        Loops::Forever => None,
    }
}

fn params(track: &PhoneTrack) -> MediaParams {
    MediaParams {
        // The document's volume ends at 1; what a show file asks beyond that has no place on a phone.
        volume: f64::from(track.volume.gain().0).min(1.0),
        loop_count: match track.loops {
            Loops::Times(times) => times,
            Loops::Forever => 0,
        },
        fade_in_ms: whole_ms(track.fade_in),
        fade_out_ms: whole_ms(track.fade_out),
        position_ms: 0.0,
    }
}

impl Playing {
    fn resume(&mut self, paused: ShowTime, at: ShowTime) {
        let gone = (paused - self.at).max(Span::ZERO);
        self.position += gone;
        self.until = self.until.map(|until| until + (at - paused));
        // A track that had not begun when the pause came begins as much later as the pause was long.
        self.at = at.max(self.at + (at - paused));
        if gone > Span::ZERO {
            self.at = at;
            self.params.fade_in_ms = 0;
        }
    }
}

impl ColourFade {
    fn at(&self, now: ShowTime) -> Rgb {
        let gone = if self.span > Span::ZERO {
            (now - self.at).secs_f64() / self.span.secs_f64()
        } else {
            1.0
        };
        let mix = |from: u8, to: u8| {
            let (from, to) = (f64::from(from), f64::from(to));
            (from + (to - from) * gone.clamp(0.0, 1.0)).round() as u8
        };
        Rgb {
            red: mix(self.from.red, self.to.red),
            green: mix(self.from.green, self.to.green),
            blue: mix(self.from.blue, self.to.blue),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn screen(message: Message) -> Screen {
        let Message::Screen(screen) = message else { panic!("a screen") };
        screen
    }

    #[test]
    fn a_panic_ends_flashes_and_comes_no_earlier_than_what_was_ordered_before_it() {
        let mut audience = Audience::new(Span::ZERO);
        let (lit, panic) = (ShowTime::from_ns(450_000_000), ShowTime::from_ns(400_000_000));
        let cue = PhoneCue {
            colour: Some((Rgb { red: 255, green: 0, blue: 0 }, Span::ZERO)),
            ..PhoneCue::default()
        };
        audience.show(&cue, lit);
        let black = screen(audience.black(panic, Span::ZERO));
        assert_eq!(black.start_at, Some(WireTime::from_show(lit, Span::ZERO)));
        assert_eq!((black.color, black.flash.map(|it| it.count)), (Some(BLACK), Some(0)));
        let later = ShowTime::from_ns(900_000_000);
        let again = screen(audience.black(later, Span::ZERO));
        assert_eq!(again.start_at, Some(WireTime::from_show(later, Span::ZERO)));
    }
}
