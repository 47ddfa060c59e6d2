//! A cue fires: when each of its outputs begins, and the orders they get.

use std::borrow::Cow;

use units::{ShowTime, Span, VoiceId};
use wire::solusync::MediaAction;

use super::agenda::{AUTO_CONTINUE, AUTO_FOLLOW, Event, RunId};
use super::standby::next_place;
use super::{Engine, Firing, Running, Tracking};
use crate::audience::{self, Carry};
use crate::light::{self, GRID, Take};
use crate::order::{Output, What};
use crate::show::{
    Act, ActOn, CaptureCue, Cue, CuePlace, PhoneCue, Sending, Show, Start, Then, tracked,
};
use crate::sound;
use crate::told::{Effect, Said};

/// How much earlier than its need an output gets an order that is known beforehand.
const AHEAD: Span = Span::from_millis(50);
/// What it takes to draw up an attribute of a cue, on a small box. A cue of hundreds of full universes that began at once
/// would be seen to begin in the middle.
const DRAWN_UP: Span = Span::from_ns(400);

impl Engine {
    /// Fires a cue that is to begin at a time, or as soon after as its outputs can.
    pub(super) fn fire(&mut self, now: ShowTime, place: CuePlace, firing: Firing) {
        let show = self.show.clone();
        let Firing { begin, tracking, late, by } = firing;
        let Some(cue) = self.fired(&show, place, tracking) else { return };
        let cue = cue.as_ref();
        self.clear_bench(now);
        self.show_begins();
        self.lists[place.list].last = Some(place.index);
        self.say(Said::Fired { cue: cue.number, name: cue.name.clone(), by: by.to_owned() });

        let since = late.then_some(begin + cue.pre_wait);
        let starts = self.starts(now, cue, begin + cue.pre_wait);
        let begin = starts.iter().map(|(_, at)| *at).min().unwrap_or(begin + cue.pre_wait);
        let besides = self.ends(cue, &starts, begin, since);
        let ends = latest(besides, capture_ends(cue, &starts, since));
        self.lead_timecode(place, cue, begin);
        self.last_run += 1;
        let run = RunId(self.last_run);
        let number = cue.number;
        self.running.push(Running {
            id: run,
            place,
            number,
            begin,
            since,
            ends,
            besides,
            voices: Vec::new(),
            track: None,
            tracking,
        });

        match by.to_owned() {
            by if begin <= now => self.begins(run, by),
            by => self.agenda.add(begin, Event::Begin { run, by }),
        }
        for (output, at) in starts {
            let due = at - self.need(cue, output) - AHEAD;
            self.agenda.add(due.max(now), Event::Order { run, output, begin: at });
        }
        if !cue.acts.is_empty() || !cue.light_acts.is_empty() {
            self.agenda.add(begin.max(now), Event::Act { run });
        }
        if let Some(ends) = ends {
            self.agenda.add(ends, Event::End { run });
        }
        self.line_up_next(now, place, cue, begin, ends);
    }

    /// The first output of a run begins.
    pub(super) fn begins(&mut self, run: RunId, by: String) {
        let cue = self.run(run).and_then(|run| self.show.at(run.place));
        if let Some((cue, name)) = cue.map(|cue| (cue.number, cue.name.clone())) {
            self.say(Said::Began { cue, name, by });
        }
    }

    /// A cue as it is fired: with what tracks into it, if its list has jumped to it or it asserts.
    fn fired<'s>(
        &self,
        show: &'s Show,
        place: CuePlace,
        tracking: Tracking,
    ) -> Option<Cow<'s, Cue>> {
        let cue = show.at(place)?;
        let asserts = cue.light.as_ref().is_some_and(|light| light.asserts);
        if tracking == Tracking::Own && !asserts {
            return Some(Cow::Borrowed(cue));
        }
        let light = tracked(&show.lists[place.list], place.index);
        let air = match tracking {
            Tracking::Own => cue.air.clone(),
            Tracking::All => cue.air.clone().or_else(|| self.tracked_air(place)),
        };
        Some(Cow::Owned(Cue { light, air, ..cue.clone() }))
    }

    /// When each output that the cue uses begins.
    fn starts(&self, now: ShowTime, cue: &Cue, begin: ShowTime) -> Vec<(Output, ShowTime)> {
        let used = outputs(cue);
        let earliest = |output: &Output| now + self.need(cue, *output);
        let longest = used.iter().map(earliest).max().unwrap_or(now);
        let at = |output: &Output| match cue.start {
            Start::Now => begin.max(earliest(output)),
            Start::Together => begin.max(longest),
        };
        used.iter().map(|output| (*output, at(output))).collect()
    }

    /// How much time an output needs between its order and its deed.
    fn need(&self, cue: &Cue, output: Output) -> Span {
        match output {
            Output::Light => light_need(cue),
            Output::Network => Span::ZERO,
            Output::Sound => self.sound_lead,
            Output::Phones => self.phone_lead(),
            Output::Air => self.air_need(cue),
        }
    }

    /// How much earlier than its beginning a cue has to be fired to begin on time.
    pub(super) fn head_start(&self, cue: &Cue) -> Span {
        // What is needed may have grown by then.
        let need = |output| match output {
            Output::Phones => self.longest_phone_lead(),
            output => self.need(cue, output),
        };
        let longest = outputs(cue).into_iter().map(need).max();
        (longest.unwrap_or(Span::ZERO) + AHEAD - cue.pre_wait).max(Span::ZERO)
    }

    /// When the last of its outputs is through, recorded light apart; none if something has to end it.
    fn ends(
        &self,
        cue: &Cue,
        starts: &[(Output, ShowTime)],
        begin: ShowTime,
        since: Option<ShowTime>,
    ) -> Option<ShowTime> {
        let ends = starts.iter().map(|(output, at)| {
            let since = since.map_or(*at, |since| since.min(*at));
            self.output_ends(cue, *output, *at, since)
        });
        ends.chain([Some(begin)]).try_fold(begin, |latest, ends| ends.map(|ends| latest.max(ends)))
    }

    /// Of an output that begins at `at` and, if that is late, would have begun at `since`.
    fn output_ends(
        &self,
        cue: &Cue,
        output: Output,
        at: ShowTime,
        since: ShowTime,
    ) -> Option<ShowTime> {
        match output {
            Output::Light => cue.light.as_ref().map(|light| at + light.length()),
            Output::Sound => cue.sound.iter().try_fold(since, |latest, sounding| {
                let info = &self.show.media[sounding.media.0].info;
                sound::ends(sounding, info, since).map(|ends| latest.max(ends))
            }),
            Output::Phones => self.phones_end(cue.phones.as_ref()?, since),
            Output::Network | Output::Air => Some(at),
        }
    }

    fn phones_end(&self, cue: &PhoneCue, at: ShowTime) -> Option<ShowTime> {
        let screen = at + cue.screen_length();
        match &cue.track {
            Some(track) => audience::ends(track, self.track_length(&track.track), at)
                .map(|ends| ends.max(screen)),
            None => Some(screen),
        }
    }

    pub(super) fn track_length(&self, track: &units::TrackId) -> Span {
        let media = self.show.tracks.get(track).map(|media| &self.show.media[media.0]);
        media.map_or(Span::ZERO, |media| media.info.length())
    }

    fn line_up_next(
        &mut self,
        now: ShowTime,
        place: CuePlace,
        cue: &Cue,
        begin: ShowTime,
        ends: Option<ShowTime>,
    ) {
        let show = self.show.clone();
        let Some((next, next_cue)) =
            next_place(&show, place).and_then(|next| Some((next, show.at(next)?)))
        else {
            return;
        };
        let (begin, by) = match (cue.then, ends) {
            (Then::Continue(wait), _) => (begin + wait, AUTO_CONTINUE),
            (Then::Follow(wait), Some(ends)) => (ends + wait, AUTO_FOLLOW),
            (Then::Follow(_), None) | (Then::Wait, _) => return,
        };
        let after = RunId(self.last_run);
        let due = (begin - self.head_start(next_cue)).max(now);
        self.agenda.add(due, Event::Next { after, place: next, begin, by });
    }

    /// One output of a run gets its orders.
    pub(super) fn order_output(
        &mut self,
        now: ShowTime,
        run: RunId,
        output: Output,
        begin: ShowTime,
    ) {
        let show = self.show.clone();
        let Some((place, tracking)) = self.run(run).map(|run| (run.place, run.tracking)) else {
            return;
        };
        let Some(cue) = self.fired(&show, place, tracking) else { return };
        match output {
            Output::Light => self.order_light(&cue, run, place, begin),
            Output::Sound => self.order_sound(&cue, run, begin),
            Output::Phones => self.order_phones(now, &cue, run, begin),
            Output::Network => self.order_sends(&cue, begin),
            Output::Air => self.order_air(now, &cue, place, begin),
        }
    }

    fn order_light(&mut self, cue: &Cue, run: RunId, place: CuePlace, at: ShowTime) {
        let Some(light) = &cue.light else { return };
        let since = self.since(run, at);
        let is_over =
            |it: &CaptureCue| light::ends(it, since).is_some_and(|ends| since < at && ends <= at);
        if let Some(capture) = light.capture.as_ref().filter(|it| !is_over(it)) {
            let what = What::Capture { file: capture.file.clone() };
            self.order(Some(cue.number), Output::Light, what, at);
            self.light.roll(run.0, place.list, since, capture);
            self.settle_captures();
        }
        let slots = light.targets.len() + light.waves.len();
        if light.capture.is_none() || slots > 0 {
            let what = What::Fade { slots, span: light.length() };
            self.order(Some(cue.number), Output::Light, what, at);
        }
        self.light.take(&Take { list: place.list, at, light });
        self.light_changed = true;
    }

    fn order_sound(&mut self, cue: &Cue, run: RunId, at: ShowTime) {
        let show = self.show.clone();
        let since = self.since(run, at);
        for sounding in &cue.sound {
            let media = &show.media[sounding.media.0];
            if sound::ends(sounding, &media.info, since).is_some_and(|ends| ends <= at) {
                continue;
            }
            let order = self.order(
                Some(cue.number),
                Output::Sound,
                What::Play { file: media.file.clone() },
                at,
            );
            self.last_voice += 1;
            let id = VoiceId(self.last_voice);
            self.ledger.expect_voice(&order, id);
            let start = sound::Start { id, at: since, cue: sounding, info: &media.info };
            self.sound.start_in_the_middle(&start, at);
            self.running.iter_mut().filter(|it| it.id == run).for_each(|it| it.voices.push(id));
        }
        self.sound_changed = true;
    }

    fn order_phones(&mut self, now: ShowTime, cue: &Cue, run: RunId, at: ShowTime) {
        let Some(phones) = &cue.phones else { return };
        self.order_carried(cue, phones, at);
        if let Some(track) = &phones.track {
            let order = self.order(
                Some(cue.number),
                Output::Phones,
                What::Track { track: track.track.clone() },
                at,
            );
            let (length, since) = (self.track_length(&track.track), self.since(run, at));
            let message = self.audience.play(track, length, since);
            self.tell_all(&order, message);
            self.running
                .iter_mut()
                .filter(|it| it.id == run)
                .for_each(|it| it.track = Some(track.track.clone()));
        }
        if let Some(talk) = &phones.talk {
            let since = self.since(run, at);
            self.begin_repeat(now, (cue, run), talk, since);
        }
        if let Some(message) = self.audience.show(phones, at) {
            let order = self.order(Some(cue.number), Output::Phones, What::Screen, at);
            self.tell_all(&order, message);
        }
    }

    fn order_carried(&mut self, cue: &Cue, phones: &PhoneCue, at: ShowTime) {
        let loads = phones.load.iter().map(|it| (Carry::Load, MediaAction::Load, it));
        let unloads = phones.unload.iter().map(|it| (Carry::Unload, MediaAction::Unload, it));
        for (carry, action, track) in unloads.chain(loads) {
            let what = What::Media { action, track: Some(track.clone()) };
            let order = self.order(Some(cue.number), Output::Phones, what, at);
            let message = self.audience.carry(carry, track, at);
            self.tell_all(&order, message);
        }
    }

    fn order_sends(&mut self, cue: &Cue, at: ShowTime) {
        for sending in &cue.sends {
            let what = match sending {
                Sending::Artnet(key) => What::Trigger { key: key.to_string() },
                Sending::StartCode { universe, start_code, .. } => {
                    What::StartCode { universe: *universe, start_code: *start_code }
                }
            };
            let order = self.order(Some(cue.number), Output::Network, what, at);
            self.ledger.expect(&order);
            let (order, what) = (order.id, sending.clone());
            self.effects.push_back(Effect::Send { order, at, what });
        }
    }

    /// When a run that begins at `at` would have begun.
    fn since(&self, run: RunId, at: ShowTime) -> ShowTime {
        self.run(run).and_then(|run| run.since).map_or(at, |since| since.min(at))
    }

    /// What a cue does to others.
    pub(super) fn act(&mut self, now: ShowTime, run: RunId) {
        let show = self.show.clone();
        let Some(begin) = self.run(run).map(|run| run.begin) else { return };
        let Some(cue) = self.run(run).and_then(|run| show.at(run.place)) else { return };
        // As if the alarm had been heard on time, so that no box draws otherwise for having been late.
        self.act_on_light(begin, cue.number, &cue.light_acts);
        for on @ ActOn { cue: number, act } in &cue.acts {
            self.stop_air(now, cue.number, on);
            let targets = self.running.iter().filter(|it| it.number == *number && it.id != run);
            let targets: Vec<RunId> = targets.map(|it| it.id).collect();
            for target in targets {
                match *act {
                    Act::Stop { fade } => self.stop_run(now, target, fade),
                    Act::Fade { volume, span, stop: true } => {
                        self.fade_run(now, target, volume, span);
                        self.end_run(now, target, span, Span::ZERO);
                    }
                    Act::Fade { volume, span, stop: false } => {
                        self.fade_run(now, target, volume, span)
                    }
                }
            }
        }
    }

    /// Ends a run, its sound and its recorded light after a fade; the rest of its light stays.
    pub(super) fn stop_run(&mut self, now: ShowTime, target: RunId, fade: Span) {
        self.end_run(now, target, Span::ZERO, fade);
    }

    /// Ends a run's sound with a fade that begins after `wait`; phones, whose volume cannot be moved, fade all the time.
    fn end_run(&mut self, now: ShowTime, target: RunId, wait: Span, fade: Span) {
        let Some(run) = self.run(target).cloned() else { return };
        let at = now + self.sound_lead + wait;
        if !run.voices.is_empty() {
            self.order(Some(run.number), Output::Sound, What::Stop { span: fade }, at);
            run.voices.iter().for_each(|voice| self.sound.stop(*voice, at, fade));
            self.sound_changed = true;
        }
        let tracks = run.track.into_iter().chain(self.repeated_tracks(run.place));
        for track in tracks.filter(|track| self.audience.plays(track)).collect::<Vec<_>>() {
            let (at, span) = (now + self.phone_lead(), wait + fade);
            let order = self.order(Some(run.number), Output::Phones, What::StopTracks { span }, at);
            let message = self.audience.stop(Some(&track), at, span);
            self.tell_all(&order, message);
        }
        if self
            .show
            .at(run.place)
            .is_some_and(|cue| cue.light.as_ref().is_some_and(|it| it.capture.is_some()))
        {
            self.order(Some(run.number), Output::Light, What::Stop { span: fade }, now + wait);
            self.light.stop_roll(target.0, now + wait, fade);
            self.settle_captures();
            self.light_changed = true;
        }
        self.take_run_off_air(now, target);
        self.agenda.retain(|event| !event.belongs_to(target));
        let ends = at + fade;
        self.agenda.add(ends, Event::End { run: target });
        let ended = self.running.iter_mut().filter(|it| it.id == target);
        ended.for_each(|it| (it.ends, it.besides) = (Some(ends), Some(ends)));
    }

    /// Runs whose recorded light has been let go, or taken over by another of its list, end with what is left of them.
    pub(super) fn settle_captures(&mut self) {
        for (run, ends) in self.light.rolls_end() {
            self.capture_ends(RunId(run), ends);
        }
    }

    /// A run's recorded light is over then; none if something has to end it.
    pub(super) fn capture_ends(&mut self, id: RunId, ends: Option<ShowTime>) {
        let Some(run) = self.running.iter_mut().find(|it| it.id == id) else { return };
        let ends = latest(run.besides, ends);
        if ends == run.ends {
            return;
        }
        run.ends = ends;
        let end = Event::End { run: id };
        self.agenda.retain(|event| *event != end);
        ends.into_iter().for_each(|ends| self.agenda.add(ends, end.clone()));
    }

    fn fade_run(&mut self, now: ShowTime, target: RunId, volume: units::Decibels, span: Span) {
        let Some(run) = self.run(target).filter(|run| !run.voices.is_empty()) else { return };
        let (number, voices, at) = (run.number, run.voices.clone(), now + self.sound_lead);
        self.order(Some(number), Output::Sound, What::Volume { span }, at);
        voices.iter().for_each(|voice| self.sound.fade(*voice, at, span, volume.gain()));
        self.sound_changed = true;
    }

    /// A run is over.
    pub(super) fn end(&mut self, now: ShowTime, run: RunId) {
        let Some(index) = self.running.iter().position(|it| it.id == run) else { return };
        let ended = self.running.remove(index);
        self.take_run_off_air(now, run);
        self.say(Said::Ended { cue: ended.number });
        self.light.forget(now);
        self.sound.forget(now);
        self.audience.forget(now);
    }
}

/// None for all but huge cues: what is drawn up within a frame is in the next one.
fn light_need(cue: &Cue) -> Span {
    let attributes = cue.light.as_ref().map_or(0, |it| it.targets.len() + it.waves.len());
    let need = DRAWN_UP.times(attributes as i64);
    if need < GRID { Span::ZERO } else { need }
}

/// The later of two ends; none if something has to end one of them.
fn latest(one: Option<ShowTime>, other: Option<ShowTime>) -> Option<ShowTime> {
    one.zip(other).map(|(one, other)| one.max(other))
}

/// When a cue's recorded light is over, if it has any; none if something has to end it.
fn capture_ends(
    cue: &Cue,
    starts: &[(Output, ShowTime)],
    since: Option<ShowTime>,
) -> Option<ShowTime> {
    let begin = starts.iter().find(|(output, _)| *output == Output::Light).map(|(_, at)| *at);
    let capture = cue.light.as_ref().and_then(|light| light.capture.as_ref());
    let Some((begin, capture)) = begin.zip(capture) else { return Some(ShowTime::ZERO) };
    light::ends(capture, since.map_or(begin, |since| since.min(begin)))
}

/// The outputs that a cue uses.
fn outputs(cue: &Cue) -> Vec<Output> {
    let used = [
        (Output::Light, cue.light.is_some()),
        (Output::Sound, !cue.sound.is_empty()),
        (Output::Phones, cue.phones.is_some()),
        (Output::Air, cue.air.is_some()),
        (Output::Network, !cue.sends.is_empty()),
    ];
    used.into_iter().filter_map(|(output, used)| used.then_some(output)).collect()
}
