//! What the box reads and sets in PTP messages (IEEE 1588-2019) itself; the rest of the protocol is statime's.
//!
//! In: messages as they came, or as statime wrote them. Out: their class; what statime has no way to be told.

use std::ops::Range;

/// The UDP port of messages whose time counts (Annex C.2).
pub const EVENT_PORT: u16 = 319;
/// The UDP port of all others.
pub const GENERAL_PORT: u16 = 320;
/// PTP on Ethernet (Annex E.2).
pub const ETHERTYPE: u16 = 0x88F7;

/// Octets of the common header (13.3) and of Announce (13.5), high byte first.
mod field {
    use super::Range;
    pub const MESSAGE_TYPE: usize = 0; // low half
    pub const FLAGS: usize = 7; // the second octet of flagField
    pub const LOG_INTERVAL: usize = 33;
    pub const HEADER_END: usize = 34;
    pub const UTC_OFFSET: Range<usize> = 44..46;
    pub const STEPS_REMOVED: Range<usize> = 61..63;
    pub const ANNOUNCE_END: usize = 64;
}

/// Table 36: messages below are stamped.
const GENERAL_FROM: u8 = 0x8;
const SYNC: u8 = 0x0;
const FOLLOW_UP: u8 = 0x8;
const ANNOUNCE: u8 = 0xB;
/// Table 37.
const UTC_OFFSET_VALID: u8 = 0x04;
const PTP_TIMESCALE: u8 = 0x08;

/// Whether a message's time counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Class {
    /// It is stamped when it leaves and when it comes.
    Event,
    /// It only tells.
    General,
}

/// A message's class; none where there is no message.
pub fn class(message: &[u8]) -> Option<Class> {
    let kind = message.get(field::MESSAGE_TYPE)? & 0x0F;
    Some(if kind < GENERAL_FROM { Class::Event } else { Class::General })
}

/// How many seconds UTC is behind the time that our Announce messages stand for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct UtcOffset {
    /// Where that time is our own.
    pub own: i16,
    /// Where it is that of a master beyond us, and we made TAI of what that master calls something else; none: what the
    /// master announces stays as it is.
    pub beyond: Option<i16>,
}

/// Our Announce says that our time is TAI, and how many seconds UTC is behind it: statime has no way to be told, and a
/// follower that is not told guesses.
pub fn tell_utc_offset(message: &mut [u8], offset: UtcOffset) {
    let announces = message.first().is_some_and(|kind| kind & 0x0F == ANNOUNCE);
    if !announces || message.len() < field::ANNOUNCE_END {
        return;
    }
    let is_own = message[field::STEPS_REMOVED] == [0, 0];
    let Some(seconds) = (if is_own { Some(offset.own) } else { offset.beyond }) else { return };
    message[field::FLAGS] |= UTC_OFFSET_VALID | PTP_TIMESCALE;
    message[field::UTC_OFFSET].copy_from_slice(&seconds.to_be_bytes());
}

/// Our own intervals, as logarithms of seconds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Intervals {
    /// Of Announce messages.
    pub announce: i8,
    /// Of Sync messages.
    pub sync: i8,
}

/// Says in a message how often its kind comes (13.3.2.14): statime says once a second of all.
pub fn tell_interval(message: &mut [u8], intervals: Intervals) {
    if message.len() < field::HEADER_END {
        return;
    }
    let interval = match message[field::MESSAGE_TYPE] & 0x0F {
        SYNC | FOLLOW_UP => intervals.sync,
        ANNOUNCE => intervals.announce,
        _ => return,
    };
    message[field::LOG_INTERVAL] = interval.cast_unsigned();
}

#[cfg(test)]
mod tests {
    use super::*;

    fn announce(steps_removed: u8) -> [u8; 64] {
        let mut message = [0; 64];
        (message[0], message[62]) = (0x1B, steps_removed);
        message
    }

    #[test]
    fn our_own_announce_tells_the_utc_offset() {
        let mut message = announce(0);
        tell_utc_offset(&mut message, UtcOffset { own: 37, beyond: None });
        assert_eq!((message[7], &message[44..46]), (0x0C, &[0, 37][..]));
    }

    #[test]
    fn a_masters_announce_that_is_passed_on_stays_as_it_is() {
        for mut message in [announce(1).to_vec(), announce(0)[..63].to_vec(), vec![0x1B], vec![]] {
            let before = message.clone();
            tell_utc_offset(&mut message, UtcOffset { own: 37, beyond: None });
            assert_eq!(message, before);
        }
    }

    #[test]
    fn the_announce_of_a_master_that_serves_utc_is_passed_on_as_the_tai_that_we_made_of_it() {
        let mut message = announce(2);
        tell_utc_offset(&mut message, UtcOffset { own: 37, beyond: Some(38) });
        assert_eq!((message[7], &message[44..46], message[62]), (0x0C, &[0, 38][..], 2));
    }

    #[test]
    fn every_message_says_how_often_its_kind_comes() {
        let intervals = Intervals { announce: 1, sync: -3 };
        let told = |kind: u8| {
            let mut message = [kind; 44];
            tell_interval(&mut message, intervals);
            message[33]
        };
        assert_eq!([0x00, 0x18, 0x0B].map(told), [0xFD, 0xFD, 1]);
        assert_eq!(told(0x01), 0x01, "a delay request keeps its own");
    }

    #[test]
    fn syncs_and_delay_requests_are_stamped_and_follow_ups_are_not() {
        assert_eq!([0x00, 0x11, 0x13].map(|kind| class(&[kind])), [Some(Class::Event); 3]);
        assert_eq!([0x08, 0x0B, 0x1A].map(|kind| class(&[kind])), [Some(Class::General); 3]);
        assert_eq!(class(&[]), None);
    }
}
