//! Calibrations by ear: who chirps with the box, and when (`wire::duet` says why it works).
//!
//! In: the operator's leave, a phone's wish, what the box's microphone heard. Out: when both chirp, and what the
//! phone is told. Never: a chirp that nobody has allowed, two at a time, or one into a running show.
//!
//! A chirp comes out of the hall's loudspeakers, so no stranger's phone may ask for it: the operator opens the
//! calibration for some minutes (`downbeat calibrate`), and while a cue runs nobody gets in.

use units::{PhoneId, ShowTime, Span, VoiceId, WireTime};
use wire::duet::{MARGIN, ROUNDS, Turns};
use wire::output::{CalibrateHeard, CalibrateRefusal, CalibrateStart};

use crate::show::{Loops, MediaId, MediaInfo, SoundCue};
use crate::sound::Pcm;

/// The bench on which phones are calibrated.
#[derive(Debug, Clone, Default)]
pub struct Bench {
    /// Whether the box can listen.
    has_microphone: bool,
    open_until: Option<ShowTime>,
    /// Who is at it.
    guest: Option<Guest>,
}

#[derive(Debug, Clone)]
struct Guest {
    phone: PhoneId,
    /// Nobody else before.
    until: ShowTime,
    /// The box's chirps.
    voices: Vec<VoiceId>,
}

/// What the box's microphone is to record, and whose chirps are in it.
#[derive(Debug, Clone, PartialEq)]
pub struct Listening {
    /// Who asked.
    pub phone: PhoneId,
    /// From when.
    pub from: ShowTime,
    /// Until when.
    pub until: ShowTime,
    /// Who chirps when.
    pub turns: Turns<ShowTime>,
}

/// Why not, in words for whoever holds the phone.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[expect(missing_docs, reason = "the sentences are the documentation")]
pub enum No {
    #[error("this box has no microphone (`[sound] microphone` in its box file)")]
    NoMicrophone,
    #[error("calibrating is closed; the operator opens it with `downbeat calibrate`")]
    Closed,
    #[error("a cue is running; ask again when it has ended")]
    Busy,
    #[error("another phone is being calibrated; ask again in ten seconds")]
    Taken,
    #[error("the show goes on; ask again when it is quiet")]
    Interrupted,
}

impl No {
    /// For a page that says it in words of its own.
    pub fn code(self) -> CalibrateRefusal {
        match self {
            Self::NoMicrophone => CalibrateRefusal::NoMicrophone,
            Self::Closed => CalibrateRefusal::Closed,
            Self::Busy | Self::Interrupted => CalibrateRefusal::Busy,
            Self::Taken => CalibrateRefusal::Taken,
        }
    }
}

/// The operator's leave holds for so long.
pub const OPEN_FOR: Span = Span::from_secs(600);
/// From the order to the first chirp: the card's and the phone's leads, and a breath.
const AHEAD: Span = Span::from_millis(1_500);
/// Until a microphone's thread has looked at what it recorded.
const LOOK: Span = Span::from_secs(3);
/// Loud enough to be heard over people who talk; a chirp is no alarm.
const VOLUME_DB: f64 = -12.0;

impl Bench {
    /// The box can listen, or cannot any more.
    pub fn set_microphone(&mut self, is_there: bool) {
        self.has_microphone = is_there;
    }

    /// The operator allows it for a while.
    ///
    /// # Errors
    /// [`No::NoMicrophone`].
    pub fn open(&mut self, now: ShowTime) -> Result<(), No> {
        if !self.has_microphone {
            return Err(No::NoMicrophone);
        }
        self.open_until = Some(now + OPEN_FOR);
        Ok(())
    }

    /// A phone asks; gives what is to be recorded.
    ///
    /// # Errors
    /// [`No`].
    pub fn ask(
        &mut self,
        now: ShowTime,
        phone: PhoneId,
        is_running: bool,
    ) -> Result<Listening, No> {
        if !self.has_microphone {
            return Err(No::NoMicrophone);
        }
        if self.open_until.is_none_or(|until| now >= until) {
            return Err(No::Closed);
        }
        if is_running {
            return Err(No::Busy);
        }
        if self.guest.as_ref().is_some_and(|guest| now < guest.until) {
            return Err(No::Taken);
        }
        let listening = Listening::new(phone, now + AHEAD);
        let until = listening.until + LOOK;
        self.guest = Some(Guest { phone, until, voices: Vec::new() });
        Ok(listening)
    }

    /// The box chirps with this voice.
    pub fn chirps(&mut self, voice: VoiceId) {
        self.guest.iter_mut().for_each(|guest| guest.voices.push(voice));
    }

    /// The show goes on: who was at it, and the chirps that are to be silent.
    pub fn clear(&mut self) -> Option<(PhoneId, Vec<VoiceId>)> {
        self.guest.take().map(|guest| (guest.phone, guest.voices))
    }

    /// The box has heard what it could of a phone's chirps: whether that phone still waits for it.
    pub fn finish(&mut self, phone: PhoneId) -> bool {
        self.guest.take_if(|guest| guest.phone == phone).is_some()
    }
}

impl Listening {
    fn new(phone: PhoneId, start: ShowTime) -> Self {
        let turns = Turns::plan().from(start);
        let last = turns.by_box[ROUNDS];
        Self { phone, from: start - MARGIN.0, until: last + MARGIN.1, turns }
    }

    /// What the phone is told.
    pub fn start(&self, tai_utc: Span) -> CalibrateStart {
        let wire =
            |turns: &[ShowTime]| turns.iter().map(|at| WireTime::from_show(*at, tai_utc)).collect();
        CalibrateStart { box_at: wire(&self.turns.by_box), phone_at: wire(&self.turns.by_phone) }
    }

    /// The turns counted from a recording's first sample.
    pub fn turns_since(&self, first: ShowTime) -> Turns<Span> {
        let since = |turns: &[ShowTime]| turns.iter().map(|at| *at - first).collect();
        Turns { by_box: since(&self.turns.by_box), by_phone: since(&self.turns.by_phone) }
    }
}

/// What the box heard, for the phone.
pub fn heard(later: &[Option<Span>]) -> CalibrateHeard {
    CalibrateHeard { later_ms: later.iter().map(|it| it.map(Span::millis_f64)).collect() }
}

/// The box's chirp as a sound file that every card has behind those of the show.
pub fn chirp() -> Pcm {
    Pcm::new(RATE_HZ, vec![wire::chirp::samples(wire::chirp::Voice::Box, RATE_HZ)])
}

const RATE_HZ: u32 = 48_000;

/// How it is sounded: `media` is its place behind the show's files.
pub(crate) fn cue(media: usize) -> (SoundCue, MediaInfo) {
    let cue = SoundCue {
        media: MediaId(media),
        volume: units::Decibels::new(VOLUME_DB).expect("within the range"),
        loops: Loops::Times(1),
        fade_in: Span::ZERO,
        fade_out: Span::ZERO,
        offset: Span::ZERO,
        routes: Vec::new(),
    };
    let frames = chirp().frames() as u64;
    let info = MediaInfo { sha256: String::new(), bytes: 0, rate_hz: RATE_HZ, channels: 1, frames };
    (cue, info)
}

#[cfg(test)]
mod tests {
    use super::*;
    use wire::duet::LATE_MAX;

    fn at(secs: i64) -> ShowTime {
        ShowTime::ZERO + Span::from_secs(secs)
    }

    fn open() -> Bench {
        let mut bench = Bench::default();
        bench.set_microphone(true);
        bench.open(at(0)).expect("there is a microphone");
        bench
    }

    #[test]
    fn nobody_chirps_unless_the_operator_has_allowed_it() {
        let mut bench = Bench::default();
        assert_eq!(bench.open(at(0)), Err(No::NoMicrophone));
        assert_eq!(bench.ask(at(0), PhoneId(1), false), Err(No::NoMicrophone));
        bench.set_microphone(true);
        assert_eq!(bench.ask(at(0), PhoneId(1), false), Err(No::Closed));
        let mut bench = open();
        assert_eq!(bench.ask(at(600), PhoneId(1), false), Err(No::Closed));
        assert!(bench.ask(at(599), PhoneId(1), false).is_ok());
    }

    #[test]
    fn one_at_a_time_and_never_into_a_cue() {
        let mut bench = open();
        assert_eq!(bench.ask(at(1), PhoneId(1), true), Err(No::Busy));
        assert!(bench.ask(at(1), PhoneId(1), false).is_ok());
        assert_eq!(bench.ask(at(2), PhoneId(2), false), Err(No::Taken));
        assert!(!bench.finish(PhoneId(2)) && bench.finish(PhoneId(1)) && !bench.finish(PhoneId(1)));
        assert!(bench.ask(at(3), PhoneId(2), false).is_ok());
        assert!(
            bench.ask(at(20), PhoneId(3), false).is_ok(),
            "one that never came back is forgotten"
        );
    }

    #[test]
    fn the_recording_holds_every_turn_whole() {
        let listening = Listening::new(PhoneId(1), at(10));
        let turns = listening.turns_since(listening.from);
        let length = listening.until - listening.from;
        let all: Vec<Span> = turns.by_box.iter().chain(&turns.by_phone).copied().collect();
        assert!(all.iter().all(|turn| *turn > Span::ZERO && *turn + LATE_MAX < length));
    }
}
