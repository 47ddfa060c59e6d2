//! Cues on standby that fire by themselves at a time of day.

use units::ShowTime;

use super::standby::{Standby, next_time_of_day};
use super::{Engine, Firing, Tracking, Why};
use crate::show::CuePlace;

impl Engine {
    /// Cues on standby that fire at a time of day get their alarm.
    pub(super) fn set_alarms(&mut self, now: ShowTime) {
        for list in 0..self.lists.len() {
            let time = self.on_standby(list).and_then(|cue| cue.at);
            self.lists[list].alarm = time.map(|time| next_time_of_day(time, now, self.local_ahead));
        }
    }

    pub(super) fn next_alarm(&self) -> Option<(ShowTime, Why)> {
        let alarm = |list: usize| {
            let cue = self.on_standby(list)?;
            Some((self.lists[list].alarm? - self.head_start(cue), Why::TimeOfDay(cue.number)))
        };
        (0..self.lists.len()).filter_map(alarm).min_by_key(|(at, _)| *at)
    }

    pub(super) fn ring_alarms(&mut self, now: ShowTime) {
        for list in 0..self.lists.len() {
            let Some((alarm, cue)) = self.lists[list].alarm.zip(self.on_standby(list)) else {
                continue;
            };
            if alarm - self.head_start(cue) > now {
                continue;
            }
            let place = CuePlace { list, index: self.lists[list].next };
            let firing = Firing { begin: alarm, tracking: Tracking::Own, late: false, by: "clock" };
            self.fire(now, place, firing);
            self.move_standby(now, list, Standby::behind(&self.show.lists[list], place.index));
        }
    }
}
