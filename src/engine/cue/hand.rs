//! What moves a list: a hand, a console, a trigger. They fire a cue, or put one on standby.

use units::{CueNumber, ShowTime};

use super::standby::{Standby, list_named};
use super::{Engine, Firing, Tracking, called};
use crate::show::{Cue, CuePlace, Trigger, TriggerOn};
use crate::told::{Done, Refusal, Said};

impl Engine {
    pub(super) fn go(
        &mut self,
        now: ShowTime,
        list: Option<&str>,
        from: &str,
    ) -> Result<Done, Refusal> {
        let list = self.list(list)?;
        if let Some(done) = self.go_after_jump(now, list) {
            return Ok(done);
        }
        let place = CuePlace { list, index: self.lists[list].next };
        match self.show.at(place) {
            Some(_) => {
                let tracking = Tracking::of(!self.lists[list].is_in_order(&self.show.lists[list]));
                self.fire_now(now, place, tracking, from)
            }
            None => Ok(self.done_standby(list)), // nothing to do is no mistake
        }
    }

    pub(super) fn fire_by_number(
        &mut self,
        now: ShowTime,
        cue: CueNumber,
        from: &str,
    ) -> Result<Done, Refusal> {
        let (place, _) = self.show.cue(cue).ok_or(Refusal::NoSuchCue { cue })?;
        self.fire_now(now, place, Tracking::Own, from)
    }

    /// A console fires a cue by a slot of an input.
    pub(super) fn crossed(&mut self, now: ShowTime, trigger: usize) {
        let show = self.show.clone();
        if let Some(Trigger { on: TriggerOn::Slot(slot), fires }) = show.triggers.get(trigger) {
            let by = format!("input {}", show.inputs[slot.input].name);
            self.pull(now, *fires, &by);
        }
    }

    /// Fires whatever the show has for it; what nobody asked for is no mistake.
    pub(super) fn hear_trigger(&mut self, now: ShowTime, on: TriggerOn, from: &str) {
        let show = self.show.clone();
        for trigger in show.triggers.iter().filter(|it| it.on == on) {
            self.pull(now, trigger.fires, from);
        }
    }

    fn pull(&mut self, now: ShowTime, cue: CueNumber, by: &str) {
        if let Err(refusal) = self.fire_by_number(now, cue, by) {
            self.say(Said::Refused { why: refusal.to_string(), by: by.to_owned() });
        }
    }

    fn fire_now(
        &mut self,
        now: ShowTime,
        place: CuePlace,
        tracking: Tracking,
        from: &str,
    ) -> Result<Done, Refusal> {
        if self.paused.is_some() {
            return Err(Refusal::Paused);
        }
        // A hand that moves on takes the list out of its chain: what was still to come by itself would otherwise
        // cut into the scene that was just asked for.
        self.agenda.retain(|event| !event.comes_in(place.list));
        self.take_up_timecode(now, place.list);
        self.fire(now, place, Firing { begin: now, tracking, late: false, by: from });
        self.move_standby(
            now,
            place.list,
            Standby::behind(&self.show.lists[place.list], place.index),
        );
        let cue = &self.show.lists[place.list].cues[place.index];
        let said = format!("cue {} fired", called(cue));
        Ok(Done { fired: Some(cue.number), ..self.done(place.list, said) })
    }

    pub(super) fn back(&mut self, now: ShowTime, list: Option<&str>) -> Result<Done, Refusal> {
        let list = self.list(list)?;
        self.take_up_timecode(now, list);
        if let Some(before) = self.lists[list].next.checked_sub(1) {
            self.move_standby(now, list, before);
        }
        Ok(self.done_standby(list))
    }

    pub(super) fn put_on_standby(
        &mut self,
        now: ShowTime,
        cue: CueNumber,
    ) -> Result<Done, Refusal> {
        let (place, _) = self.show.cue(cue).ok_or(Refusal::NoSuchCue { cue })?;
        self.take_up_timecode(now, place.list);
        self.move_standby(now, place.list, place.index);
        Ok(self.done_standby(place.list))
    }

    pub(super) fn list(&self, name: Option<&str>) -> Result<usize, Refusal> {
        let no_list = || Refusal::NoSuchList { list: name.unwrap_or("").to_owned() };
        list_named(&self.show, name).ok_or_else(no_list)
    }

    fn done_standby(&self, list: usize) -> Done {
        let said = match self.on_standby(list) {
            Some(cue) => format!("cue {} is on standby", called(cue)),
            None => format!(
                "nothing is on standby: list `{}` is at its end; `goto` a cue",
                self.show.lists[list].name
            ),
        };
        self.done(list, said)
    }

    pub(super) fn done(&self, list: usize, said: String) -> Done {
        Done { said, fired: None, standby: self.on_standby(list).map(|cue| cue.number) }
    }

    pub(super) fn on_standby(&self, list: usize) -> Option<&Cue> {
        self.show.at(CuePlace { list, index: self.lists.get(list)?.next })
    }

    pub(super) fn move_standby(&mut self, now: ShowTime, list: usize, next: usize) {
        self.lists[list].next = next;
        self.set_alarms(now);
        let cue = self.on_standby(list).map(|cue| cue.number);
        self.say(Said::Standby { list: self.show.lists[list].name.clone(), cue });
    }
}
