//! What phones hear live, by their peer connection: as an operator says, or a cue, whoever speaks last.
//!
//! In a list it tracks like light: it stays on air until a cue takes it off, ends the cue that put it there, or puts
//! something else in its place; and a list that jumps brings what it has on air there.

use units::{CueNumber, ShowTime, Span};

use super::agenda::{Event, RunId};
use crate::Engine;
use crate::order::{Output, What};
use crate::peers::{Change, Coming, Made, Waiting};
use crate::show::{Act, ActOn, Air, AirCue, Cue, CuePlace, aired};
use crate::told::{Done, Effect, Refusal, Said};

/// From the engine's word to the thread that makes the sound, past the one that opens an input or a film.
const HANDED_OVER: Span = Span::from_millis(30);

/// What is on air, as whoever makes it has it, too, and what is ordered to be.
#[derive(Debug, Clone, Default)]
pub(super) struct Airing {
    /// What has had its turn.
    on: Option<OnAir>,
    coming: Coming<Option<OnAir>>,
}

/// Something on air, and the cue that put it there; none if a hand did.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct OnAir {
    pub(super) what: Air,
    /// The run whose capture it is.
    pub(super) run: Option<RunId>,
    pub(super) by: Option<CuePlace>,
}

impl Airing {
    /// What will be on air when all that is ordered has had its turn.
    pub fn latest(&self) -> Option<&OnAir> {
        self.coming.last().map_or(self.on.as_ref(), Option::as_ref)
    }

    /// What has its turn by now is on air.
    pub fn go_on(&mut self, now: ShowTime) {
        if let Some(turn) = self.coming.poll(now) {
            self.on = turn.what;
        }
    }

    /// What goes on as it is when this is put on air.
    fn goes_on(&mut self, with: Option<&OnAir>) -> Option<&mut OnAir> {
        let is_so = |it: &&mut OnAir| {
            matches!(it.what, Air::Tone | Air::Input)
                && with.is_some_and(|with| with.what == it.what)
        };
        let latest = match self.coming.last_mut() {
            Some(latest) => latest.as_mut(),
            None => self.on.as_mut(),
        };
        latest.filter(is_so)
    }

    fn all_mut(&mut self) -> impl Iterator<Item = &mut Option<OnAir>> {
        [&mut self.on].into_iter().chain(self.coming.iter_mut())
    }
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
        self.put_on_air(now, air.map(|what| OnAir { what, by: None, run: None }), now);
        Ok(self.did(&said, from))
    }

    /// It could not go on air, and nothing sounds. What was asked for since is not meant.
    pub(super) fn not_on_air(&mut self, what: &Air, why: String) {
        let is_it = |it: &mut OnAir| it.what == *what;
        let gone = self.airing.all_mut().filter_map(|it| it.take_if(is_it)).count();
        if gone > 0 {
            let what = what.to_string();
            self.agenda.retain(
                |event| !matches!(event, Event::OnAir { what: it, .. } if it.as_ref() == Some(&what)),
            );
            self.say(Said::NotOnAir { what, why });
        }
    }

    /// It is seen, and not heard.
    pub(super) fn without_sound(&mut self, what: &Air, why: String) {
        if self.airing.all_mut().flatten().any(|it| it.what == *what) {
            self.say(Said::WithoutSound { what: what.to_string(), why });
        }
    }

    fn find_air(&self, what: &str) -> Result<Air, Refusal> {
        let air = Air::named(what);
        match &air {
            Air::Track(track) if !self.show.tracks.contains_key(track) => {
                Err(Refusal::NoSuchTrack { what: what.to_owned() })
            }
            Air::Input if !self.has_sound_input => Err(Refusal::NoSoundInput),
            _ => Ok(air),
        }
    }

    /// The cue that put on air what is there.
    pub(super) fn on_air_by(&self) -> Option<(CuePlace, &Cue)> {
        let place = self.airing.latest()?.by?;
        Some((place, self.show.at(place)?))
    }

    /// How far ahead a cue has to say what it puts on air, or takes off it.
    pub(super) fn air_need(&self, cue: &Cue) -> Span {
        let named = cue.air.as_ref().and_then(|air| air.what.as_ref());
        let made = named.or(self.airing.latest().map(|it| &it.what)).map(|it| self.made(it));
        self.air_lead.of(made.unwrap_or(Made::Sound)) + HANDED_OVER
    }

    fn made(&self, what: &Air) -> Made {
        Made::of(what, &self.show)
    }

    /// What a list that jumps to a cue has to change for its air to be as it would be had it come there cue by cue.
    pub(super) fn tracked_air(&self, place: CuePlace) -> Option<AirCue> {
        let what = aired(&self.show.lists[place.list], place.index).cloned();
        let is_so = match (&what, self.airing.latest()) {
            (Some(what), Some(on_air)) => on_air.what == *what,
            (Some(_), None) => false,
            (None, _) => self.on_air_by().is_none_or(|(by, _)| by.list != place.list),
        };
        (!is_so).then_some(AirCue { what })
    }

    /// A cue puts something on air, or takes it off. What sounds already goes on, but for a track, which begins anew.
    pub(super) fn order_air(&mut self, now: ShowTime, cue: &Cue, place: CuePlace, at: ShowTime) {
        let Some(AirCue { what }) = cue.air.clone() else { return };
        let air = what.as_ref().map(ToString::to_string);
        self.order(Some(cue.number), Output::Air, What::Air { air: air.clone() }, at);
        let on_air = what.map(|what| OnAir { what, by: Some(place), run: None });
        match self.airing.goes_on(on_air.as_ref()) {
            Some(goes_on) => {
                goes_on.by = Some(place);
                self.agenda.forget(at, is_on_air);
            }
            None => self.put_on_air(now, on_air, at),
        }
        self.agenda.add(at, Event::OnAir { cue: cue.number, what: air });
    }

    /// What a cue put on air begins to be heard, or ends.
    pub(super) fn is_on_air(&mut self, cue: CueNumber, what: Option<String>) {
        self.say(Said::OnAir { what, cue: Some(cue) });
    }

    /// A cue that ends another ends what that put on air, at the end of the fade.
    pub(super) fn stop_air(&mut self, now: ShowTime, cue: CueNumber, on: &ActOn) {
        if !self.on_air_by().is_some_and(|(_, by)| on.stops(by.number)) {
            return;
        }
        let (Act::Stop { fade: span } | Act::Fade { span, .. }) = on.act;
        let at = now + span;
        self.order(Some(cue), Output::Air, What::Air { air: None }, at);
        self.put_on_air(now, None, at);
        self.agenda.add(at, Event::OnAir { cue, what: None });
    }

    /// Everything that cues do ends. What a hand put on air stays: whoever speaks to the house goes on speaking.
    pub(super) fn take_cues_off_air(&mut self, now: ShowTime) {
        self.take_off_air(now, |_| true);
    }

    /// A list stands before its first cue.
    pub(super) fn take_list_off_air(&mut self, now: ShowTime, list: usize) {
        self.take_off_air(now, |by| by.list == list);
    }

    /// What such cues put on air ends, and what they ordered does not come.
    fn take_off_air(&mut self, now: ShowTime, such: impl Fn(CuePlace) -> bool) {
        let is_theirs = |it: &OnAir| it.by.is_some_and(&such);
        let was_on = self.airing.on.as_ref().is_some_and(is_theirs);
        let was_coming =
            self.airing.coming.retain(|it| it.as_ref().is_some_and(|it| !is_theirs(it)));
        if was_on || was_coming {
            self.agenda.retain(|event| !is_on_air(event));
            self.order(None, Output::Air, What::Air { air: None }, now);
            self.keep_on_air(now, !was_on);
        }
        if was_on {
            self.say(Said::OnAir { what: None, cue: None });
        }
    }

    /// What a run has on air ends, and what it ordered does not come.
    pub(super) fn take_run_off_air(&mut self, now: ShowTime, run: RunId) {
        let is_its = |it: &OnAir| it.run == Some(run);
        let was_on = self.airing.on.as_ref().is_some_and(is_its);
        if self.airing.coming.retain(|it| !it.as_ref().is_some_and(is_its)) || was_on {
            self.keep_on_air(now, !was_on);
        }
    }

    /// Says anew what is still to come, behind what is on air or behind silence.
    fn keep_on_air(&mut self, now: ShowTime, stays: bool) {
        self.effects.push_back(if stays {
            Effect::AirStays
        } else {
            Effect::Air { what: None, at: now }
        });
        self.airing.on.take_if(|_| !stays);
        self.order_coming();
    }

    fn order_coming(&mut self) {
        if self.paused.is_none() {
            let coming = self.airing.coming.iter();
            let orders = coming.map(|it| Effect::Air { what: named(it.what.as_ref()), at: it.at });
            self.effects.extend(orders);
        }
    }

    pub(super) fn put_on_air(&mut self, now: ShowTime, on_air: Option<OnAir>, at: ShowTime) {
        if self.paused.is_some() {
            // The last word counts, and what a pause holds was said before.
            self.airing.coming.clear();
        }
        self.effects.push_back(Effect::Air { what: named(on_air.as_ref()), at });
        let made = |it: Option<&OnAir>| it.map(|it| self.made(&it.what));
        let change = Change { before: made(self.airing.latest()), after: made(on_air.as_ref()) };
        let turn = change.turn(now, at, self.air_lead);
        let from = self.airing.coming.handle(Waiting { at, turn, what: on_air });
        self.agenda.forget(from, is_on_air);
        self.airing.go_on(now);
    }

    /// Recorded sound stands still, and what has not had its turn waits. What is live goes on.
    pub(super) fn still_air(&mut self, now: ShowTime) {
        // Of what has left for phones it is said now, since they will hear it.
        let until = self.airing.coming.iter().next().map(|it| it.at);
        for event in self.agenda.take(until, is_on_air) {
            self.happen(now, event);
        }
        let stands = self.airing.on.as_ref().is_some_and(|it| it.run.is_some());
        if stands || self.airing.coming.last().is_some() {
            let still = if stands { Effect::Air { what: None, at: now } } else { Effect::AirStays };
            self.effects.push_back(still);
        }
    }

    /// Recorded sound goes on, and everything comes so much later.
    pub(super) fn run_air(&mut self, now: ShowTime, by: Span) {
        self.airing.coming.shift(by);
        for it in self.airing.all_mut().flatten() {
            if let Air::Capture { since, .. } = &mut it.what {
                *since += by;
            }
        }
        if let Some(OnAir { what, run: Some(_), .. }) = &self.airing.on {
            self.effects.push_back(Effect::Air { what: Some(what.clone()), at: now });
        }
        self.order_coming();
    }
}

fn named(on_air: Option<&OnAir>) -> Option<Air> {
    on_air.map(|it| it.what.clone())
}

fn is_on_air(event: &Event) -> bool {
    matches!(event, Event::OnAir { .. })
}
