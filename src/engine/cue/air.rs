//! What phones hear live, by their peer connection: as an operator says, or a cue, whoever speaks last.
//!
//! In a list it tracks like light: it stays on air until a cue takes it off, ends the cue that put it there, or puts
//! something else in its place; and a list that jumps brings what it has on air there.

use units::{ShowTime, Span};

use super::agenda::{Event, RunId};
use crate::Engine;
use crate::order::{Output, What};
use crate::peers::Made;
use crate::show::{Act, ActOn, Air, AirCue, Cue, CuePlace, aired};
use crate::told::{Done, Effect, Refusal, Said};

/// From the engine's word to the thread that makes the sound, past the one that opens an input or a film.
const HANDED_OVER: Span = Span::from_millis(30);

/// What is on air, and the cue that put it there; none if a hand did.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct OnAir {
    pub(super) what: Air,
    /// The run whose capture it is.
    pub(super) run: Option<RunId>,
    pub(super) by: Option<CuePlace>,
}

impl Engine {
    /// Something goes on air, in place of what was.
    pub(super) fn air(
        &mut self,
        now: ShowTime,
        what: Option<&str>,
        from: &str,
    ) -> Result<Done, Refusal> {
        let air = what.map(|what| self.find_air(what)).transpose()?;
        let said = what.map_or("nothing is on air".to_owned(), |what| format!("{what} is on air"));
        self.put_on_air(air.map(|what| OnAir { what, by: None, run: None }), now);
        Ok(self.did(&said, from))
    }

    /// It could not go on air, and nothing sounds. What was asked for since is not meant.
    pub(super) fn not_on_air(&mut self, what: &Air, why: String) {
        if let Some(it) = self.on_air.take_if(|it| it.what == *what) {
            self.retract_air();
            self.say(Said::NotOnAir { what: it.what.to_string(), why });
        }
    }

    /// It is seen, and not heard.
    pub(super) fn without_sound(&mut self, what: &Air, why: String) {
        if self.on_air.as_ref().is_some_and(|it| it.what == *what) {
            self.say(Said::WithoutSound { what: what.to_string(), why });
        }
    }

    fn find_air(&self, what: &str) -> Result<Air, Refusal> {
        let air = Air::named(what);
        match &air {
            Air::Track(track) if !self.show.tracks.contains_key(track) => {
                Err(Refusal::NoSuchTrack { what: what.to_owned() })
            }
            _ => Ok(air),
        }
    }

    /// The cue that put on air what is there.
    pub(super) fn on_air_by(&self) -> Option<(CuePlace, &Cue)> {
        let place = self.on_air.as_ref()?.by?;
        Some((place, self.show.at(place)?))
    }

    /// How far ahead a cue has to say what it puts on air, or takes off it.
    pub(super) fn air_need(&self, cue: &Cue) -> Span {
        let named = cue.air.as_ref().and_then(|air| air.what.as_ref());
        let made = match named.or(self.on_air.as_ref().map(|it| &it.what)) {
            Some(what) if self.is_film(what) => Made::Film,
            _ => Made::Sound,
        };
        self.air_lead.of(made) + HANDED_OVER
    }

    fn is_film(&self, what: &Air) -> bool {
        let Air::Track(track) = what else { return false };
        let media = self.show.tracks.get(track).map(|media| &self.show.media[media.0]);
        media.is_some_and(|media| media.info.is_film())
    }

    /// What a list that jumps to a cue has to change for its air to be as it would be had it come there cue by cue.
    pub(super) fn tracked_air(&self, place: CuePlace) -> Option<AirCue> {
        let what = aired(&self.show.lists[place.list], place.index).cloned();
        let is_so = match (&what, &self.on_air) {
            (Some(what), Some(on_air)) => on_air.what == *what,
            (Some(_), None) => false,
            (None, _) => self.on_air_by().is_none_or(|(by, _)| by.list != place.list),
        };
        (!is_so).then_some(AirCue { what })
    }

    /// A cue puts something on air, or takes it off. What sounds already goes on, but for a track, which begins anew.
    pub(super) fn order_air(&mut self, cue: &Cue, place: CuePlace, at: ShowTime) {
        let Some(AirCue { what }) = cue.air.clone() else { return };
        let air = what.as_ref().map(ToString::to_string);
        self.order(Some(cue.number), Output::Air, What::Air { air }, at);
        let goes_on = matches!(what, Some(Air::Tone | Air::Input))
            && self.on_air.as_ref().map(|it| &it.what) == what.as_ref();
        let on_air = what.map(|what| OnAir { what, by: Some(place), run: None });
        if goes_on {
            self.retract_air();
            self.on_air = on_air;
        } else {
            self.put_on_air(on_air, at);
        }
        self.agenda.add(at, Event::OnAir { cue: cue.number });
    }

    /// What a cue put on air begins to be heard, or ends.
    pub(super) fn is_on_air(&mut self, cue: units::CueNumber) {
        let what = self.on_air.as_ref().map(|it| it.what.to_string());
        self.say(Said::OnAir { what, cue: Some(cue) });
    }

    /// A cue that ends another ends what that put on air, at the end of the fade.
    pub(super) fn stop_air(&mut self, now: ShowTime, cue: units::CueNumber, on: &ActOn) {
        if !self.on_air_by().is_some_and(|(_, by)| on.stops(by.number)) {
            return;
        }
        let (Act::Stop { fade: span } | Act::Fade { span, .. }) = on.act;
        let at = now + span;
        self.order(Some(cue), Output::Air, What::Air { air: None }, at);
        self.put_on_air(None, at);
        self.agenda.add(at, Event::OnAir { cue });
    }

    /// Everything that cues do ends. What a hand put on air stays: whoever speaks to the house goes on speaking.
    pub(super) fn take_cues_off_air(&mut self, now: ShowTime) {
        if self.on_air_by().is_some() {
            self.order(None, Output::Air, What::Air { air: None }, now);
            self.put_on_air(None, now);
            self.say(Said::OnAir { what: None, cue: None });
        }
    }

    /// A list stands before its first cue.
    pub(super) fn take_list_off_air(&mut self, now: ShowTime, list: usize) {
        if self.on_air_by().is_some_and(|(by, _)| by.list == list) {
            self.take_cues_off_air(now);
        }
    }

    pub(super) fn put_on_air(&mut self, on_air: Option<OnAir>, at: ShowTime) {
        self.retract_air();
        let what = on_air.as_ref().map(|it| it.what.clone());
        self.effects.push_back(Effect::Air { what, at });
        self.on_air = on_air;
    }

    /// What was to be heard and is not by now will not be.
    fn retract_air(&mut self) {
        self.agenda.retain(|event| !matches!(event, Event::OnAir { .. }));
    }
}
