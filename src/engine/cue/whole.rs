//! What is done to the whole show at once: stop, pause, resume, panic.

use units::{ShowTime, Span};

use super::Engine;
use super::agenda::Event;
use crate::order::{Output, What};
use crate::show::PanicLight;
use crate::sound;
use crate::told::{Done, Said};

/// A stop is to be heard as a stop, without a click.
const STOP_FADE: Span = Span::from_millis(50);

impl Engine {
    /// Every running cue ends: sound briefly fades, light stays as it is.
    pub(super) fn stop(&mut self, now: ShowTime, from: &str) -> Done {
        self.unfreeze(now);
        self.light.hold(now);
        self.order(None, Output::Light, What::Hold, now);
        self.end_everything(now, STOP_FADE);
        self.did("everything stopped", from)
    }

    /// Everything fades out.
    pub(super) fn panic(&mut self, now: ShowTime, from: &str) -> Done {
        let span = self.show.panic_fade;
        self.unfreeze(now);
        match self.show.panic_light {
            PanicLight::Black => {
                self.light.black(now, span);
                self.order(None, Output::Light, What::Black { span }, now);
            }
            PanicLight::Hold => {
                self.light.hold(now);
                self.order(None, Output::Light, What::Hold, now);
            }
        }
        self.end_everything(now, span);
        let at = now + self.phone_lead();
        let order = self.order(None, Output::Phones, What::Screen, at);
        let message = self.audience.black(at, span);
        self.tell_all(&order, message);
        self.did("panic: everything fades out", from)
    }

    /// Everything that moves stands still.
    pub(super) fn pause(&mut self, now: ShowTime, from: &str) -> Done {
        if self.paused.is_some() {
            return self.done(0, "the show is paused already".to_owned());
        }
        self.paused = Some(now);
        self.light.freeze(now);
        self.order(None, Output::Light, What::Pause, now);
        let at = now + self.sound_lead;
        self.sound.freeze(at);
        self.still_timecode(at);
        self.still_air(now);
        self.order(None, Output::Sound, What::Pause, at);
        let at = now + self.phone_lead();
        let order = self.order(None, Output::Phones, What::Pause, at);
        let message = self.audience.pause(at);
        self.tell_all(&order, message);
        self.changed();
        self.did("the show is paused", from)
    }

    /// Everything goes on where it stood.
    pub(super) fn resume(&mut self, now: ShowTime, from: &str) -> Done {
        let Some(paused) = self.paused.take() else {
            return self.done(0, "the show is not paused".to_owned());
        };
        let by = now - paused;
        self.agenda.shift(by);
        self.ledger.shift(paused, by);
        for run in &mut self.running {
            run.begin = if run.begin > paused { run.begin + by } else { run.begin };
            run.ends = run.ends.map(|ends| ends + by);
            run.besides = run.besides.map(|ends| ends + by);
        }
        self.set_alarms(now);
        self.light.thaw(now);
        self.order(None, Output::Light, What::Resume, now);
        let at = now + self.sound_lead;
        self.sound.thaw(at);
        self.run_timecode(at);
        self.order(None, Output::Sound, What::Resume, at);
        let at = now + self.phone_lead();
        let order = self.order(None, Output::Phones, What::Resume, at);
        for message in self.audience.resume(at) {
            self.tell_all(&order, message);
        }
        self.changed();
        self.run_air(now, by);
        self.timecode_after_pause(now);
        self.did("the show goes on", from)
    }

    /// A show that stands goes on for a moment, so that it can end: light from where it stood, sound silent already.
    fn unfreeze(&mut self, now: ShowTime) {
        if self.paused.take().is_some() {
            self.light.thaw(now);
            self.sound = sound::Playback::new();
            self.audience.unpause();
            self.set_alarms(now);
        }
    }

    fn end_everything(&mut self, now: ShowTime, fade: Span) {
        self.agenda.retain(|_| false);
        self.ledger.forget(|order| order.at > now);
        let at = now + self.sound_lead;
        self.order(None, Output::Sound, What::Stop { span: fade }, at);
        self.sound.stop_all(at, fade);
        self.take_cues_off_air(now);
        self.end_timecode(at);
        let at = now + self.phone_lead();
        let order = self.order(None, Output::Phones, What::StopTracks { span: fade }, at);
        let message = self.audience.stop(None, at, fade);
        self.tell_all(&order, message);
        for run in std::mem::take(&mut self.running) {
            self.take_run_off_air(now, run.id);
            self.say(Said::Ended { cue: run.number });
        }
        self.agenda.add(at + fade, Event::FadedOut);
        self.changed();
    }

    fn changed(&mut self) {
        self.light_changed = true;
        self.sound_changed = true;
    }

    pub(super) fn did(&mut self, what: &str, from: &str) -> Done {
        self.say(Said::Did { what: what.to_owned(), by: from.to_owned() });
        self.done(0, what.to_owned())
    }
}
