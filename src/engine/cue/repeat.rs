//! Tells phones again what they were told another evening (SX-20): each word as far ahead of its time as it was
//! then. What they heard live is on air meanwhile, unless something else has been put there since.

use units::{ShowTime, TrackId};

use super::Engine;
use super::agenda::{Event, RunId};
use super::air::OnAir;
use crate::order::{Output, What};
use crate::show::{Air, Cue, CuePlace, PhoneTalk, Told};

impl Engine {
    /// What here would have begun at `since`.
    pub(super) fn begin_repeat(
        &mut self,
        now: ShowTime,
        (cue, run): (&Cue, RunId),
        talk: &PhoneTalk,
        since: ShowTime,
    ) {
        let what = What::Capture { file: talk.file.clone() };
        self.order(Some(cue.number), Output::Phones, what, since);
        self.plan_repeat(talk, run, 0, since);
        let place = self.run(run).map(|run| run.place);
        if let Some(cue) = place.filter(|_| talk.air.is_some()) {
            let what = Air::Capture { file: talk.file.clone(), cue, since };
            self.put_on_air(now, Some(OnAir { what, run: Some(run), by: None }), since);
        }
    }

    pub(super) fn repeat(&mut self, now: ShowTime, run: RunId, line: usize, since: ShowTime) {
        let show = self.show.clone();
        let Some(place) = self.run(run).map(|run| run.place) else { return };
        let Some(cue) = show.at(place) else { return };
        let Some(talk) = cue.phones.as_ref().and_then(|it| it.talk.as_ref()) else { return };
        let Some(said) = talk.lines.get(line) else { return };
        let at = said.told.start_at();
        let at = at.map_or(now, |at| since + (at.to_show(self.tai_utc) - talk.began));
        let length = said.told.track().map(|track| self.track_length(track)).unwrap_or_default();
        let what = match &said.told {
            Told::Screen(_) => What::Screen,
            Told::Media(it) => What::Media { action: it.action, track: it.track_id.clone() },
        };
        let order = self.order(Some(cue.number), Output::Phones, what, at);
        let message = self.audience.repeat(&said.told, at, length);
        self.tell_all(&order, message);
        self.plan_repeat(talk, run, line + 1, since);
    }

    /// Tracks that a cue's talk may have begun.
    pub(super) fn repeated_tracks(&self, place: CuePlace) -> Vec<TrackId> {
        let talk = self.show.at(place).and_then(|cue| cue.phones.as_ref()?.talk.as_ref());
        talk.map(|talk| talk.tracks().into_iter().cloned().collect()).unwrap_or_default()
    }

    fn plan_repeat(&mut self, talk: &PhoneTalk, run: RunId, line: usize, since: ShowTime) {
        if let Some(next) = talk.lines.get(line) {
            self.agenda.add(since + next.at, Event::Repeat { run, line, since });
        }
    }
}
