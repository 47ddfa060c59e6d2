//! Whether a show runs. While it does, the box clock is not stepped unasked ([`crate::clock::News::ShowRunning`]).
//!
//! It runs from the first cue that is fired, whoever fires it and however it came to be fired (a hand, a clock, orders
//! that are told again to a box that takes over), through every silence between two cues. It is over when nothing is
//! left to wait for: nothing runs or comes by itself, and every list stands at its beginning or its end. `stop` and
//! `panic` end it as well, as soon as what they fade has faded; the next cue begins it anew.

use super::Engine;
use super::agenda::Event;
use crate::told::Effect;

impl Engine {
    /// A cue was fired.
    pub(super) fn show_begins(&mut self) {
        self.tell_show(true);
    }

    /// What a stop or a panic fades out is through. A cue that was fired meanwhile is a show of its own.
    pub(super) fn faded_out(&mut self) {
        if self.is_silent() {
            self.tell_show(false);
        }
    }

    /// Asked after all that happens.
    pub(super) fn look_for_the_end(&mut self) {
        let is_at_rest = |(list, standby): (usize, &super::Standby)| {
            standby.next == 0 || standby.next >= self.show.lists[list].cues.len()
        };
        if self.is_silent() && self.lists.iter().enumerate().all(is_at_rest) {
            self.tell_show(false);
        }
    }

    fn is_silent(&self) -> bool {
        let comes = |event: &Event| matches!(event, Event::Next { .. } | Event::FadedOut);
        self.running.is_empty() && !self.agenda.holds(comes)
    }

    fn tell_show(&mut self, runs: bool) {
        if std::mem::replace(&mut self.show_runs, runs) != runs {
            self.effects.push_back(Effect::ShowRuns(runs));
        }
    }
}
