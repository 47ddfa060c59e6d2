//! How long before it is heard what is live is made, and when the turn of what was ordered comes (SX-11).
//!
//! In: from sent to heard, what is on air and what is to be, the show's clock. Out: when it begins. Never here: sound, a
//! thread.

use serde::{Deserialize, Serialize};
use units::{ShowTime, Span};

use crate::show::{Air, Show};

/// What every browser expects of Opus (RFC 7874, 4).
pub const PACKET: Span = Span::from_millis(20);
/// From a packet that is whole to one that has left: no phone's network is to pay for it.
const HANDLING: Span = Span::from_millis(10);
/// A film is no microphone: nobody notices that it begins later, and phones on bad networks have a second more.
pub const FILM_AHEAD: Span = Span::from_secs(1);

/// How long before it is heard what goes on air is made.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct AirLead {
    delay: Span,
}

/// What is made live.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Made {
    /// Packets of sound.
    Sound,
    /// Pictures, and the sound that belongs to them.
    Film,
}

impl Made {
    /// What something on air is in a show.
    pub fn of(what: &Air, show: &Show) -> Self {
        let has_pictures = match what {
            Air::Tone | Air::Input => false,
            Air::Track(track) => {
                let media = show.tracks.get(track).map(|media| &show.media[media.0]);
                media.is_some_and(|media| media.info.is_film())
            }
            Air::Capture { cue, .. } => {
                let talk = show.at(*cue).and_then(|cue| cue.phones.as_ref()?.talk.as_ref());
                let air = talk.and_then(|talk| talk.air.as_ref());
                air.is_some_and(|air| air.has_pictures())
            }
        };
        if has_pictures { Self::Film } else { Self::Sound }
    }
}

/// What is on air changes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Change {
    /// What is made until then.
    pub before: Option<Made>,
    /// What is made from then on.
    pub after: Option<Made>,
}

/// When a change has its turn.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Turn {
    /// What is made from then on is heard. Made before, it would be heard too early.
    pub begins: ShowTime,
    /// When whoever makes it has to begin.
    pub at: ShowTime,
}

impl AirLead {
    /// Where what was sent is heard `delay` later, at every phone that keeps up.
    pub fn new(delay: Span) -> Self {
        Self { delay }
    }

    /// From made to heard; of sound, from its first sample on.
    pub fn of(self, made: Made) -> Span {
        match made {
            Made::Sound => PACKET + self.whole(),
            Made::Film => self.whole() + FILM_AHEAD,
        }
    }

    /// From a packet that is whole to its first sample.
    pub fn whole(self) -> Span {
        HANDLING + self.delay
    }
}

impl Change {
    /// When its turn comes, if it is to be heard `at` and everybody knows it `now`: then or as soon after as can be.
    /// Sound begins within a packet, which is begun before.
    pub fn turn(self, now: ShowTime, at: ShowTime, lead: AirLead) -> Turn {
        let made = self.after.or(self.before).unwrap_or(Made::Sound);
        let begins = (at - lead.of(made)).max(now);
        match self.after {
            Some(Made::Sound) => Turn { begins, at: begins - PACKET },
            Some(Made::Film) | None => Turn { begins, at: begins },
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(ms: i64) -> ShowTime {
        ShowTime::from_ns(ms * 1_000_000)
    }

    fn lead() -> AirLead {
        AirLead::new(Span::from_millis(250))
    }

    /// When what is made from `begins` on has its turn, in milliseconds, if it is to be heard at 10 s.
    fn turn(now_ms: i64, before: Option<Made>, after: Option<Made>) -> (i64, i64) {
        let Turn { begins, at } = Change { before, after }.turn(at(now_ms), at(10_000), lead());
        (begins.ns() / 1_000_000, at.ns() / 1_000_000)
    }

    #[test]
    fn sx11_sound_is_made_a_packet_before_it_is_whole_and_a_film_a_second_further_ahead() {
        assert_eq!(lead().whole(), Span::from_millis(260));
        assert_eq!(lead().of(Made::Sound), Span::from_millis(280));
        assert_eq!(lead().of(Made::Film), Span::from_millis(1_260));
    }

    #[test]
    fn sx11_sound_begins_within_a_packet_that_is_begun_before_its_turn_and_a_film_at_it() {
        assert_eq!(turn(0, None, Some(Made::Sound)), (9_720, 9_700));
        assert_eq!(turn(0, Some(Made::Film), Some(Made::Sound)), (9_720, 9_700));
        assert_eq!(turn(0, None, Some(Made::Film)), (8_740, 8_740));
        assert_eq!(turn(0, Some(Made::Sound), Some(Made::Film)), (8_740, 8_740));
    }

    #[test]
    fn sx11_what_ends_ends_as_far_ahead_as_it_was_made() {
        assert_eq!(turn(0, Some(Made::Sound), None), (9_720, 9_720));
        assert_eq!(turn(0, Some(Made::Film), None), (8_740, 8_740));
        assert_eq!(turn(0, None, None), (9_720, 9_720));
    }

    #[test]
    fn sx11_what_is_told_too_late_begins_as_soon_as_can_be_and_never_in_the_past() {
        assert_eq!(turn(9_719, None, Some(Made::Sound)).0, 9_720);
        assert_eq!(turn(9_900, None, Some(Made::Sound)), (9_900, 9_880));
        assert_eq!(turn(9_900, Some(Made::Sound), Some(Made::Film)), (9_900, 9_900));
        assert_eq!(turn(11_000, Some(Made::Film), None), (11_000, 11_000));
    }
}
