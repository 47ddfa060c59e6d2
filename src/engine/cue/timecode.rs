//! Cues by timecode: a list that chases fires its cues as their timecodes come, ahead of time as any cue that is known
//! beforehand; a list that leads tells others which timecode it is.
//!
//! *Place*: the cue that would be the last one fired, had the list run from its beginning to where timecode is.

use units::{ShowTime, Span, Timecode};

use super::agenda::Why;
use super::standby::Standby;
use super::{Engine, Firing, Tracking, called};
use crate::glance::LeadGlance;
use crate::show::{Cue, CuePlace, Jump, ListTimecode};
use crate::timecode::{Chase, ChaseGlance, Course, Event, Heard, Line, Ltc, Source};
use crate::told::{Done, Said};

/// Who fired a cue whose timecode came.
const BY: &str = "timecode";

/// A cue that came while three frames were compared has not been missed.
const GRACE: Span = Span::from_millis(500);

/// Sound of a place that is left is to be heard as ending, without a click.
const LEAVE_FADE: Span = Span::from_millis(50);

/// A list that chases.
#[derive(Debug, Clone)]
pub struct Following {
    how: ListTimecode,
    chase: Chase,
    /// What came before has been dealt with.
    from: ShowTime,
    /// Somebody has to say whether it follows a jump.
    asks: bool,
}

impl Following {
    pub fn new(how: ListTimecode, now: ShowTime) -> Self {
        let chase = Chase::new(how.rate, how.freewheel);
        Self { how, chase, from: now, asks: false }
    }

    /// When the source comes to a timecode of the list.
    fn when(&self, timecode: Timecode, now: ShowTime) -> Option<ShowTime> {
        self.chase.when(timecode.position() - self.how.offset, now)
    }

    fn timecode(&self, now: ShowTime) -> Option<Timecode> {
        let position = self.chase.last_position(now)?;
        Some(Timecode::at(self.how.rate, position + self.how.offset))
    }

    fn glance(&self, now: ShowTime) -> ChaseGlance {
        ChaseGlance {
            source: self.how.source,
            state: self.chase.state(),
            trouble: self.chase.trouble(now),
            rate: self.how.rate,
            timecode: self.timecode(now),
            speed: self.chase.speed(),
            age: self.chase.age(now),
            asks: self.asks,
        }
    }
}

impl Engine {
    pub(super) fn hear_timecode(&mut self, now: ShowTime, source: Source, heard: &Heard) {
        for list in 0..self.following.len() {
            let following = self.following[list].as_mut();
            let Some(following) = following.filter(|it| it.how.source == source) else { continue };
            if let Some(event) = following.chase.hear(now, heard) {
                self.timecode_turned(now, list, event);
            }
        }
    }

    /// Lets time pass for every chase, and fires what has come.
    pub(super) fn ring_timecodes(&mut self, now: ShowTime) {
        for list in 0..self.following.len() {
            let event = self.following[list].as_mut().and_then(|it| it.chase.tick(now));
            if let Some(event) = event {
                self.timecode_turned(now, list, event);
            }
            while let Some((at, place)) = self.next_timecode(list, now).filter(|(at, place)| {
                let cue = self.show.at(*place);
                cue.is_some_and(|cue| *at - self.head_start(cue) <= now)
            }) {
                self.agenda.retain(|event| !event.comes_in(list));
                let firing = Firing { begin: at, tracking: Tracking::Own, late: false, by: BY };
                self.fire(now, place, firing);
                self.stand_behind(now, place);
            }
        }
    }

    pub(super) fn next_timecode_wake(&self, now: ShowTime) -> Option<(ShowTime, Why)> {
        let cue = |list| {
            let (at, place) = self.next_timecode(list, now)?;
            let cue = self.show.at(place)?;
            Some((at - self.head_start(cue), Why::Timecode(cue.number)))
        };
        let silent = |list: usize| {
            let at = self.following[list].as_ref()?.chase.next_wake()?;
            Some((at, Why::TimecodeSilent))
        };
        (0..self.following.len())
            .flat_map(|list| cue(list).into_iter().chain(silent(list)))
            .min_by_key(|(at, _)| *at)
    }

    /// The cue from standby on whose timecode comes next, and when.
    fn next_timecode(&self, list: usize, now: ShowTime) -> Option<(ShowTime, CuePlace)> {
        let following = self.following[list].as_ref().filter(|it| !it.asks)?;
        let cues = self.show.lists[list].cues.iter().enumerate().skip(self.lists[list].next);
        cues.filter_map(|(index, cue)| {
            let at = following.when(cue.timecode?, now).filter(|at| *at >= following.from)?;
            Some((at, CuePlace { list, index }))
        })
        .min_by_key(|(at, _)| *at)
    }

    fn timecode_turned(&mut self, now: ShowTime, list: usize, event: Event) {
        self.say_timecode(now, list, event);
        if event == (Event::Locked { jumped: true }) && self.paused.is_none() {
            self.timecode_jumped(now, list);
        }
    }

    fn timecode_jumped(&mut self, now: ShowTime, list: usize) {
        let place = self.place_by_timecode(list, now);
        let Some(following) = self.following[list].as_mut() else { return };
        match following.how.jump {
            Jump::Follow => self.follow_jump(now, list),
            jump => {
                following.from = now - GRACE;
                let elsewhere = place.is_some_and(|(at, place)| {
                    at < now - GRACE && self.lists[list].last != Some(place.index)
                });
                following.asks = jump == Jump::Ask && elsewhere;
            }
        }
    }

    /// The list stands as if it had run until here: the cue of the place is fired, where it would be by now, and what
    /// comes next stands by. Light fades to it from where it is; sound comes in in its middle.
    fn follow_jump(&mut self, now: ShowTime, list: usize) {
        let place = self.place_by_timecode(list, now);
        self.take_up_timecode(now, list);
        self.agenda.retain(|event| !event.comes_in(list));
        let runs: Vec<_> =
            self.running.iter().filter(|it| it.place.list == list).map(|it| it.id).collect();
        runs.into_iter().for_each(|run| self.stop_run(now, run, LEAVE_FADE));
        match place {
            Some((at, place)) => {
                let firing = Firing { begin: at, tracking: Tracking::All, late: true, by: BY };
                self.fire(now, place, firing);
                self.stand_behind(now, place);
            }
            None => {
                self.take_list_off_air(now, list);
                self.move_standby(now, list, 0);
            }
        }
    }

    /// The last cue whose timecode has come, and when it came. Between the last cue and the first, timecode has run past
    /// the one or comes before the other, whichever is nearer.
    fn place_by_timecode(&self, list: usize, now: ShowTime) -> Option<(ShowTime, CuePlace)> {
        let following = self.following[list].as_ref()?;
        let cues = self.show.lists[list].cues.iter().enumerate();
        let timed = cues.filter_map(|(index, cue)| Some((index, cue.timecode?.position())));
        let timed: Vec<(usize, Span)> = timed.collect();
        let (first, last) = (timed.first()?.1, timed.last()?.1);
        let (chase, offset) = (&following.chase, following.how.offset);
        let now_at = chase.position(now)? + offset;
        let (gone, length) = (chase.further(now_at, first), chase.further(last, first));
        if gone > length && following.how.rate.day() - gone < gone - length {
            return None;
        }
        let come = timed.iter().rev().find(|(_, position)| chase.further(*position, first) <= gone);
        let (index, position) = come?;
        Some((chase.was_at(*position - offset, now)?, CuePlace { list, index: *index }))
    }

    /// Somebody has taken the list in hand: what came before is dealt with, and nothing is asked.
    pub(super) fn take_up_timecode(&mut self, now: ShowTime, list: usize) {
        if let Some(Some(following)) = self.following.get_mut(list) {
            following.asks = false;
            following.from = now;
        }
    }

    /// GO, where a list waits for somebody to say that it follows a jump.
    pub(super) fn go_after_jump(&mut self, now: ShowTime, list: usize) -> Option<Done> {
        let asks = self.following[list].as_ref().is_some_and(|it| it.asks);
        if !asks || self.paused.is_some() {
            return None;
        }
        self.follow_jump(now, list);
        let cue = self.lists[list].last.and_then(|index| self.show.at(CuePlace { list, index }));
        let said =
            cue.map(|cue| format!("cue {} fired, where timecode has jumped to", called(cue)));
        let fired = cue.map(|cue| cue.number);
        Some(Done { fired, ..self.done(list, said.unwrap_or_default()) })
    }

    /// After a pause: timecode has gone on meanwhile.
    pub(super) fn timecode_after_pause(&mut self, now: ShowTime) {
        for list in 0..self.following.len() {
            let followed = self.following[list].as_ref();
            if followed.is_some_and(|it| it.chase.position(now).is_some()) {
                self.timecode_jumped(now, list);
            }
        }
    }

    fn stand_behind(&mut self, now: ShowTime, place: CuePlace) {
        let next = Standby::behind(&self.show.lists[place.list], place.index);
        self.move_standby(now, place.list, next);
    }

    fn say_timecode(&mut self, now: ShowTime, list: usize, event: Event) {
        let Some(following) = &self.following[list] else { return };
        let at = following.timecode(now).map_or_else(String::new, |it| format!(" at {it}"));
        let list = self.show.lists[list].name.clone();
        let follows = matches!(event, Event::Locked { .. });
        self.say(Said::Timecode { list, follows, at: at.trim().to_owned() });
    }

    pub(super) fn chase_glance(&self, list: usize, now: ShowTime) -> Option<ChaseGlance> {
        self.following.get(list)?.as_ref().map(|it| it.glance(now))
    }

    /// What leads, for watchers.
    pub(super) fn lead_glance(&self, now: ShowTime) -> Option<LeadGlance> {
        let head = self.show.timecode.as_ref()?;
        let out = head.out.as_ref()?;
        let line = self.course.line_at(now);
        Some(LeadGlance {
            list: self.show.lists[out.list].name.clone(),
            rate: head.rate,
            timecode: line.position(now).map(|it| Timecode::at(head.rate, it)),
            runs: matches!(line, Line::Runs { .. }),
        })
    }

    /// A cue of the list that leads begins: timecode runs from there, or from its own timecode if it has one.
    pub(super) fn lead_timecode(&mut self, place: CuePlace, cue: &Cue, begin: ShowTime) {
        let show = self.show.clone();
        let out = show.timecode.as_ref().and_then(|it| it.out.as_ref());
        let Some(out) = out.filter(|out| out.list == place.list) else { return };
        let position = match (cue.timecode, self.course.line_at(begin)) {
            (Some(timecode), _) => timecode.position(),
            (None, Line::Runs { .. }) => return,
            (None, Line::Still { position }) => position,
            (None, Line::Silent) => out.start.position(),
        };
        self.turn_timecode(begin, Line::Runs { at: begin, position });
    }

    /// From then on it stands where it is.
    pub(super) fn still_timecode(&mut self, from: ShowTime) {
        if let Some(position) = self.course.line_at(from).position(from) {
            self.turn_timecode(from, Line::Still { position });
        }
    }

    /// From then on it goes on where it stood.
    pub(super) fn run_timecode(&mut self, from: ShowTime) {
        if let Line::Still { position } = self.course.line {
            self.turn_timecode(from, Line::Runs { at: from, position });
        }
    }

    /// From then on there is none.
    pub(super) fn end_timecode(&mut self, from: ShowTime) {
        if self.course.line != Line::Silent {
            self.turn_timecode(from, Line::Silent);
        }
    }

    fn turn_timecode(&mut self, from: ShowTime, line: Line) {
        self.course = self.course.turned(from, line);
        self.course_changed = true;
        self.sound_changed |= self.ltc().is_some();
    }

    /// LTC for the card.
    pub(super) fn ltc(&self) -> Option<Ltc> {
        let head = self.show.timecode.as_ref()?;
        let out = head.out.as_ref()?.ltc?;
        let (course, gain) = (self.course, out.level.gain());
        let sounds = course != Course::default();
        sounds.then_some(Ltc { course, rate: head.rate, channel: out.channel, gain })
    }
}
