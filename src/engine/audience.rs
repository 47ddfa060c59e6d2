//! What phones have been told: the tracks that play on them and what their screens show.
//!
//! In: what cues ask of phones. Out: messages for all of them, and for one that joins late the messages that
//! bring it to where the others are. Never: sockets, header times.

use std::collections::BTreeMap;

use units::{Rgb, ShowTime, Span, TrackId, WireTime};
use wire::solusync::{Flash, MediaAction, MediaControl, MediaParams, Message, Screen, whole_ms};

use crate::show::{Loops, PhoneCue, PhoneFlash, PhoneTrack, Told};

/// The whole audience, as one phone.
#[derive(Debug, Clone)]
pub struct Audience {
    tai_utc: Span,
    tracks: BTreeMap<TrackId, Playing>,
    /// What phones were told to let go of, and when.
    unloaded: BTreeMap<TrackId, ShowTime>,
    colour: Option<ColourFade>,
    text: Option<String>,
    torch: Option<bool>,
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
    /// The end that it has been told of, and the fade before it: it plays until then.
    stop: Option<(ShowTime, Span)>,
}

#[derive(Debug, Clone, Copy)]
struct ColourFade {
    from: Rgb,
    to: Rgb,
    at: ShowTime,
    span: Span,
}

/// What becomes of a track in phones' memory.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Carry {
    /// They fetch it, and have it ready.
    Load,
    /// It ends, and they let go of it.
    Unload,
}

/// Screens begin black.
const BLACK: Rgb = Rgb { red: 0, green: 0, blue: 0 };

impl Audience {
    /// Dark and silent.
    pub fn new(tai_utc: Span) -> Self {
        let (tracks, unloaded) = (BTreeMap::new(), BTreeMap::new());
        let (colour, text, torch, ordered) = (None, None, None, ShowTime::ZERO);
        Self { tai_utc, tracks, unloaded, colour, text, torch, ordered, paused: None }
    }

    /// A track begins everywhere at `at`.
    pub fn play(&mut self, track: &PhoneTrack, length: Span, at: ShowTime) -> Message {
        let playing = Playing {
            at,
            position: track.offset,
            until: ends(track, length, at),
            params: params(track),
            stop: None,
        };
        let params = MediaParams { position_ms: track.offset.millis_f64(), ..playing.params };
        let message = self.message(MediaAction::Play, Some(&track.track), at, params);
        self.unloaded.remove(&track.track);
        self.tracks.insert(track.track.clone(), playing);
        message
    }

    /// Screens change at `at`; none if the cue says nothing about them.
    pub fn show(&mut self, cue: &PhoneCue, at: ShowTime) -> Option<Message> {
        let (load, unload) = (Vec::new(), Vec::new());
        if (PhoneCue { track: None, talk: None, load, unload, ..cue.clone() })
            == PhoneCue::default()
        {
            return None;
        }
        let fade =
            cue.colour.map(|(to, span)| ColourFade { from: self.colour_at(at), to, at, span });
        self.colour = fade.or(self.colour);
        self.text = cue.text.clone().or(self.text.take());
        self.torch = cue.torch.or(self.torch);
        self.ordered = self.ordered.max(at);
        Some(Message::Screen(Screen {
            flash: cue.flash.map(|it| Flash { count: it.count, per_second: it.per_second }),
            vibrate_ms: cue.vibrate.map(whole_ms),
            ..self.screen(at, fade, cue.text.clone(), cue.torch)
        }))
    }

    /// What was told another evening is told again, for `at`; `length` is that of the track it speaks of.
    pub fn repeat(&mut self, told: &Told, at: ShowTime, length: Span) -> Message {
        let start_at = Some(WireTime::from_show(at, self.tai_utc));
        match told {
            Told::Media(it) => self.control(MediaControl { start_at, ..it.clone() }, at, length),
            Told::Screen(it) => {
                let from = it.from_color.unwrap_or_else(|| self.colour_at(at));
                let span = Span::from_millis(it.fade_ms.into());
                let fade = it.color.map(|to| ColourFade { from, to, at, span });
                self.colour = fade.or(self.colour);
                self.text = it.text.clone().or(self.text.take());
                self.torch = it.torch.or(self.torch);
                self.ordered = self.ordered.max(at);
                Message::Screen(Screen { start_at, ..it.clone() })
            }
        }
    }

    /// A track ends everywhere, or all of them where none is named.
    pub fn stop(&mut self, track: Option<&TrackId>, at: ShowTime, fade: Span) -> Message {
        let meant = |name: &TrackId| track.is_none_or(|track| track == name);
        // What has not begun by then never will.
        self.tracks.retain(|name, playing| !meant(name) || playing.at < at);
        for (_, playing) in self.tracks.iter_mut().filter(|(name, _)| meant(name)) {
            playing.stop(at, fade);
        }
        self.stopping(track, at, fade)
    }

    /// Phones fetch a track and have it ready, or let go of it, whether it plays or not.
    pub fn carry(&mut self, action: Carry, track: &TrackId, at: ShowTime) -> Message {
        let action = match action {
            Carry::Load => MediaAction::Load,
            Carry::Unload => MediaAction::Unload,
        };
        self.note_carried(action, track, at);
        self.message(action, Some(track), at, MediaParams::default())
    }

    fn note_carried(&mut self, action: MediaAction, track: &TrackId, at: ShowTime) {
        match action {
            MediaAction::Unload => {
                self.stop(Some(track), at, Span::ZERO);
                self.unloaded.insert(track.clone(), at);
            }
            _ => drop(self.unloaded.remove(track)),
        }
    }

    /// What an operator asks for by hand, for a track of that length. A pause is remembered as an end: whoever joins
    /// before the track is played on hears nothing of it.
    pub fn control(&mut self, control: MediaControl, at: ShowTime, length: Span) -> Message {
        let track = control.track_id.as_ref();
        match (control.action, track) {
            (MediaAction::Play, Some(track)) => {
                let playing = Playing::by_hand(&control.params, at, length);
                self.unloaded.remove(track);
                self.tracks.insert(track.clone(), playing);
            }
            (MediaAction::Seek, Some(track)) => {
                if let Some(playing) = self.tracks.get_mut(track) {
                    let (position, params) = (control.params.position_ms, playing.params);
                    let params = MediaParams { position_ms: position, fade_in_ms: 0, ..params };
                    *playing =
                        Playing { stop: playing.stop, ..Playing::by_hand(&params, at, length) };
                }
            }
            (MediaAction::Stop | MediaAction::Pause, track) => {
                let fade = Span::from_millis(i64::from(control.params.fade_out_ms));
                let fade = if control.action == MediaAction::Stop { fade } else { Span::ZERO };
                // The memory of it; what is said is what was asked.
                self.stop(track, at, fade);
            }
            (action @ (MediaAction::Load | MediaAction::Unload), Some(track)) => {
                self.note_carried(action, track, at);
            }
            _ => {}
        }
        Message::MediaControl(control)
    }

    /// Everything goes dark and wordless, and nothing flashes or shakes on. A screen that has been ordered for a moment later
    /// would light up again: then it is that moment.
    pub fn black(&mut self, at: ShowTime, span: Span) -> Message {
        let cue = PhoneCue {
            colour: Some((BLACK, span)),
            text: Some(String::new()),
            flash: Some(PhoneFlash { count: 0, per_second: 1.0 }),
            torch: self.torch.map(|_| false),
            vibrate: Some(Span::ZERO),
            ..PhoneCue::default()
        };
        self.show(&cue, at.max(self.ordered)).expect("the cue has a colour")
    }

    /// Tracks stand still at `at`; colours go on, they are not sound.
    pub fn pause(&mut self, at: ShowTime) -> Message {
        self.paused.get_or_insert(at);
        self.message(MediaAction::Pause, None, at, MediaParams::default())
    }

    /// The pause is over and nothing goes on: in a pause phones are silent.
    pub fn unpause(&mut self) {
        if self.paused.take().is_some() {
            self.tracks.clear();
        }
    }

    /// Tracks go on at `at` from where `pause` had them. Where there are none, phones still say that the show is paused:
    /// a `play` of no track in particular is the other half of such a `pause`.
    pub fn resume(&mut self, at: ShowTime) -> Vec<Message> {
        let Some(paused) = self.paused.take() else { return Vec::new() };
        self.tracks.retain(|_, playing| playing.until.is_none_or(|until| paused < until));
        if self.tracks.is_empty() {
            return vec![self.message(MediaAction::Play, None, at, MediaParams::default())];
        }
        for playing in self.tracks.values_mut() {
            playing.resume(paused, at);
        }
        self.tracks.iter().flat_map(|(track, playing)| self.playing(track, playing)).collect()
    }

    /// What one who joins now has to hear to be where the others are.
    pub fn catch_up(&self, now: ShowTime) -> Vec<Message> {
        let sounding = |playing: &Playing| playing.until.is_none_or(|until| now < until);
        let tracks = self.tracks.iter().filter(|(_, it)| self.paused.is_none() && sounding(it));
        let gone = self.unloaded.iter().map(|(track, at)| {
            self.message(MediaAction::Unload, Some(track), now.max(*at), MediaParams::default())
        });
        let plays = tracks.flat_map(|(track, it)| self.playing(track, it));
        let mut messages: Vec<Message> = plays.chain(gone).collect();
        if self.colour.is_some() || self.text.is_some() || self.torch.is_some() {
            let at = self.colour.map_or(now, |fade| fade.at);
            let screen = self.screen(at, self.colour, self.text.clone(), self.torch);
            messages.push(Message::Screen(screen));
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

    /// That it plays, and if so that it will end.
    fn playing(&self, track: &TrackId, playing: &Playing) -> impl Iterator<Item = Message> {
        let params = MediaParams { position_ms: playing.position.millis_f64(), ..playing.params };
        let plays = self.message(MediaAction::Play, Some(track), playing.at, params);
        let stops = playing.stop.map(|(at, fade)| self.stopping(Some(track), at, fade));
        [plays].into_iter().chain(stops)
    }

    fn stopping(&self, track: Option<&TrackId>, at: ShowTime, fade: Span) -> Message {
        let params = MediaParams { fade_out_ms: whole_ms(fade), ..MediaParams::default() };
        self.message(MediaAction::Stop, track, at, params)
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
        torch: Option<bool>,
    ) -> Screen {
        Screen {
            start_at: Some(WireTime::from_show(at, self.tai_utc)),
            color: fade.map(|it| it.to),
            from_color: fade.map(|it| it.from),
            fade_ms: fade.map_or(0, |it| whole_ms(it.span)),
            text,
            torch,
            ..Screen::default()
        }
    }
}

/// When a track on phones ends; none if something has to end it.
pub fn ends(track: &PhoneTrack, length: Span, at: ShowTime) -> Option<ShowTime> {
    match track.loops {
        Loops::Times(times) => Some(at + length.times(i64::from(times)) - track.offset),
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
    /// As an operator has it begin.
    fn by_hand(params: &MediaParams, at: ShowTime, length: Span) -> Self {
        let position = Span::from_secs_f64(params.position_ms / 1e3);
        let loops = (params.loop_count > 0).then_some(i64::from(params.loop_count));
        let until = loops.map(|loops| at + (length.times(loops) - position).max(Span::ZERO));
        let params = MediaParams { position_ms: 0.0, ..*params };
        Self { at, position, until, params, stop: None }
    }

    /// An end that is to come sooner than the one it has.
    fn stop(&mut self, at: ShowTime, fade: Span) {
        let ends = at + fade;
        if self.until.is_none_or(|until| ends < until) {
            (self.until, self.stop) = (Some(ends), Some((at, fade)));
        }
    }

    fn resume(&mut self, paused: ShowTime, at: ShowTime) {
        let gone = (paused - self.at).max(Span::ZERO);
        self.position += gone;
        self.until = self.until.map(|until| until + (at - paused));
        self.stop = self.stop.map(|(stop, fade)| (stop + (at - paused), fade));
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

    fn at(ms: i64) -> ShowTime {
        ShowTime::ZERO + Span::from_millis(ms)
    }

    /// What is said, to which time, in whole milliseconds.
    fn controls(messages: &[Message]) -> Vec<(MediaAction, i64)> {
        let control = |message: &Message| match message {
            Message::MediaControl(it) => Some((it.action, it.start_at?.micros() / 1_000)),
            _ => None,
        };
        messages.iter().filter_map(control).collect()
    }

    fn track_cue(track: &TrackId, offset: Span) -> PhoneTrack {
        PhoneTrack {
            track: track.clone(),
            volume: units::Decibels::UNITY,
            loops: Loops::Times(1),
            fade_in: Span::ZERO,
            fade_out: Span::ZERO,
            offset,
        }
    }

    /// A minute's track that plays from 1 s on and is to end at 9 s, under a fade of 2 s.
    fn ending() -> (Audience, TrackId) {
        let track: TrackId = serde_json::from_str("\"track_001\"").expect("a name");
        let cue = track_cue(&track, Span::ZERO);
        let mut audience = Audience::new(Span::ZERO);
        audience.play(&cue, Span::from_secs(60), at(1_000));
        audience.stop(Some(&track), at(9_000), Span::from_secs(2));
        (audience, track)
    }

    #[test]
    fn sx10_what_a_cue_unloaded_is_no_burden_to_one_who_joins_until_it_is_wanted_again() {
        let (mut audience, track) = ending();
        audience.carry(Carry::Unload, &track, at(2_000));
        assert_eq!(controls(&audience.catch_up(at(5_000))), [(MediaAction::Unload, 5_000)]);
        audience.carry(Carry::Load, &track, at(6_000));
        assert_eq!(controls(&audience.catch_up(at(7_000))), []);
        audience.carry(Carry::Unload, &track, at(8_000));
        let cue = track_cue(&track, Span::from_secs(40));
        let Message::MediaControl(plays) = audience.play(&cue, Span::from_secs(60), at(9_000))
        else {
            panic!("a control")
        };
        assert_eq!(plays.params.position_ms, 40_000.0);
        assert_eq!(controls(&audience.catch_up(at(10_000))), [(MediaAction::Play, 9_000)]);
        assert_eq!(controls(&audience.catch_up(at(29_001))), [], "20 s were left of it");
    }

    #[test]
    fn sx10_one_who_joins_before_a_track_is_unloaded_hears_it_until_then_and_in_a_pause_not_at_all()
    {
        let (mut audience, track) = ending();
        audience.carry(Carry::Unload, &track, at(6_000));
        let all =
            [(MediaAction::Play, 1_000), (MediaAction::Stop, 6_000), (MediaAction::Unload, 6_000)];
        assert_eq!(controls(&audience.catch_up(at(5_000))), all);
        assert_eq!(controls(&audience.catch_up(at(7_000))), [(MediaAction::Unload, 7_000)]);
        audience.pause(at(5_000));
        assert_eq!(controls(&audience.catch_up(at(5_500))), [(MediaAction::Unload, 6_000)]);
    }

    #[test]
    fn one_who_joins_before_a_track_ends_hears_it_and_its_end() {
        let (audience, _) = ending();
        let both = [(MediaAction::Play, 1_000), (MediaAction::Stop, 9_000)];
        assert_eq!(controls(&audience.catch_up(at(5_000))), both);
        assert_eq!(controls(&audience.catch_up(at(11_000))), []);
    }

    #[test]
    fn a_track_that_is_to_end_can_be_ended_sooner_and_not_later() {
        let (mut audience, track) = ending();
        assert!(audience.plays(&track));
        audience.stop(Some(&track), at(20_000), Span::ZERO);
        assert_eq!(controls(&audience.catch_up(at(5_000)))[1], (MediaAction::Stop, 9_000));
        audience.stop(Some(&track), at(6_000), Span::ZERO);
        assert_eq!(controls(&audience.catch_up(at(5_000)))[1], (MediaAction::Stop, 6_000));
        audience.stop(None, at(500), Span::ZERO);
        assert_eq!(controls(&audience.catch_up(at(100))), [], "it never begins");
    }

    #[test]
    fn a_pause_before_the_end_of_a_track_moves_it() {
        let (mut audience, _) = ending();
        audience.pause(at(4_000));
        let resumed = controls(&audience.resume(at(104_000)));
        assert_eq!(resumed, [(MediaAction::Play, 104_000), (MediaAction::Stop, 109_000)]);
        audience.pause(at(105_000));
        audience.unpause();
        assert_eq!(controls(&audience.catch_up(at(105_001))), [], "a stop in a pause ends all");
    }

    #[test]
    fn sx10_a_resume_of_nothing_that_plays_is_told_as_a_play_of_no_track_and_only_once() {
        let (mut audience, track) = ending();
        audience.pause(at(20_000));
        let told = audience.resume(at(30_000));
        let [Message::MediaControl(told)] = &told[..] else { panic!("one word") };
        assert_eq!((told.action, &told.track_id), (MediaAction::Play, &None));
        assert_eq!(told.start_at, Some(WireTime::from_show(at(30_000), Span::ZERO)));
        assert!(!audience.plays(&track), "what had ended stays so");
        assert_eq!(controls(&audience.resume(at(31_000))), []);
    }

    fn by_hand(action: MediaAction, params: MediaParams) -> MediaControl {
        let track_id = Some(TrackId("track_001".into()));
        MediaControl { action, track_id, start_at: None, params }
    }

    #[test]
    fn sx10_one_who_joins_after_an_operator_played_and_moved_a_track_is_where_the_others_are() {
        let minute = Span::from_secs(60);
        let mut audience = Audience::new(Span::ZERO);
        let play = MediaParams { loop_count: 2, fade_in_ms: 500, ..MediaParams::default() };
        audience.control(by_hand(MediaAction::Play, play), at(1_000), minute);
        assert_eq!(controls(&audience.catch_up(at(5_000))), [(MediaAction::Play, 1_000)]);
        let seek = MediaParams { position_ms: 50_000.0, ..MediaParams::default() };
        audience.control(by_hand(MediaAction::Seek, seek), at(6_000), minute);
        let told = audience.catch_up(at(7_000));
        assert_eq!(controls(&told), [(MediaAction::Play, 6_000)]);
        let Message::MediaControl(it) = &told[0] else { panic!("a track") };
        let params = MediaParams { position_ms: 50_000.0, fade_in_ms: 0, ..play };
        assert_eq!(it.params, params, "where it was moved to, and as it was played");
        assert_eq!(controls(&audience.catch_up(at(6_000 + 70_000))), [], "two rounds, less 50 s");
        audience.control(by_hand(MediaAction::Pause, MediaParams::default()), at(8_000), minute);
        assert_eq!(controls(&audience.catch_up(at(9_000))), [], "it stands still");
    }

    #[test]
    fn lamps_stay_lit_for_who_joins_late_until_a_panic_and_nobody_is_shaken_late() {
        let mut audience = Audience::new(Span::ZERO);
        let cue =
            PhoneCue { torch: Some(true), vibrate: Some(Span::from_millis(400)), ..<_>::default() };
        let said = screen(audience.show(&cue, at(1_000)).expect("it says something"));
        assert_eq!((said.torch, said.vibrate_ms), (Some(true), Some(400)));
        let late = screen(audience.catch_up(at(1_200)).remove(0));
        assert_eq!((late.torch, late.vibrate_ms), (Some(true), None));
        assert_eq!(screen(audience.black(at(2_000), Span::ZERO)).torch, Some(false));
        assert_eq!(screen(audience.catch_up(at(2_100)).remove(0)).torch, Some(false));
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
        assert_eq!((black.vibrate_ms, black.torch), (Some(0), None), "no lamp was ever lit");
        let later = ShowTime::from_ns(900_000_000);
        let again = screen(audience.black(later, Span::ZERO));
        assert_eq!(again.start_at, Some(WireTime::from_show(later, Span::ZERO)));
    }
}
