//! Calibrations, as far as they are a matter of the show: the box's chirps are voices like any other.

use units::{PhoneId, ShowTime, Span, VoiceId};
use wire::output::{CalibrateRefusal, CalibrateRefused};
use wire::solusync::Message;

use super::Engine;
use crate::calibrate::{self, Listening, No};
use crate::sound;
use crate::told::{Done, Effect, Refusal, Said, To};

impl Engine {
    /// Phones may calibrate themselves for a while.
    pub(super) fn open_bench(&mut self, now: ShowTime, from: &str) -> Result<Done, Refusal> {
        self.bench.open(now).map_err(|_| Refusal::NoMicrophone)?;
        let said = "phones may be calibrated for ten minutes: the button is at the page's foot";
        self.say(Said::Did { what: said.to_owned(), by: from.to_owned() });
        Ok(self.done(0, said.to_owned()))
    }

    /// A phone asks to be calibrated.
    pub(super) fn calibrate(&mut self, now: ShowTime, phone: PhoneId) {
        let is_running = !self.running.is_empty() || self.paused.is_some();
        match self.bench.ask(now, phone, is_running) {
            Ok(listening) => self.start_duet(&listening),
            Err(no) => self.refuse_duet(phone, no.to_string(), Some(no.code())),
        }
    }

    fn start_duet(&mut self, listening: &Listening) {
        let (cue, info) = calibrate::cue(self.show.media.len());
        for at in &listening.turns.by_box {
            self.last_voice += 1;
            let id = VoiceId(self.last_voice);
            self.sound.start(&sound::Start { id, at: *at, cue: &cue, info: &info });
            self.bench.chirps(id);
        }
        self.sound_changed = true;
        self.tell_phone(listening.phone, Message::CalibrateStart(listening.start(self.tai_utc)));
        self.effects.push_back(Effect::Listen(listening.clone()));
    }

    /// A cue fires: no chirp into it.
    pub(super) fn clear_bench(&mut self, now: ShowTime) {
        let Some((phone, voices)) = self.bench.clear() else { return };
        let at = now + self.sound_lead;
        voices.iter().for_each(|voice| self.sound.stop(*voice, at, Span::ZERO));
        self.sound_changed = true;
        let no = No::Interrupted;
        self.refuse_duet(phone, no.to_string(), Some(no.code()));
    }

    /// What the box's microphone heard of it.
    pub(super) fn chirps_heard(
        &mut self,
        now: ShowTime,
        phone: PhoneId,
        later: Result<Vec<Option<Span>>, String>,
    ) {
        self.sound.forget(now);
        if !self.bench.finish(phone) {
            return;
        }
        match later {
            Ok(later) => {
                if wire::duet::is_heard(&later) {
                    self.pool.hear(phone);
                }
                self.tell_phone(phone, Message::CalibrateHeard(calibrate::heard(&later)));
            }
            Err(why) => self.refuse_duet(phone, why, None),
        }
    }

    fn refuse_duet(&mut self, phone: PhoneId, message: String, code: Option<CalibrateRefusal>) {
        self.tell_phone(phone, Message::CalibrateRefused(CalibrateRefused { message, code }));
    }

    fn tell_phone(&mut self, phone: PhoneId, message: Message) {
        let id = self.message_id();
        self.effects.push_back(Effect::Tell { to: To::One(phone), id, message });
    }
}
