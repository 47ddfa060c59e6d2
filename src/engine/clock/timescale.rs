//! What a master counts its time in, and what makes TAI of it.
//!
//! In: what the master announces, and what it reads. Out: what is added to its readings. Never: a clock.
//!
//! A PTP master counts TAI, or whatever its owner likes, which is called ARB (IEEE 1588-2019, 7.2.1), and a flag of its
//! announcements says which. What calls itself ARB is mostly UTC: `ptp4l` with software timestamps serves its machine's
//! clock as it stands. Followed as it stands, it puts the box clock 37 s behind, and every cue at a time of day comes
//! late by as much. So an ARB reading that may be UTC is taken for UTC, and that is said. One that cannot be (a clock
//! that began at nought when its machine was switched on) is followed as it stands: boxes are together then, and no
//! time of day is right, which is said as well.

use serde::Serialize;
use units::{ShowTime, Span};

use super::news::Master;

/// What a master counts its time in.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Timescale {
    /// TAI: it says so.
    Tai,
    /// UTC: it does not say what, and reads like it. TAI minus UTC is added.
    UtcAssumed,
    /// Its own: it does not say what, and it cannot be UTC. Nothing is added.
    Arbitrary,
}

/// UTC was no less when this program was written: 2024-01-01.
const UTC_FROM: Span = Span::from_secs(1_704_067_200);
/// Nobody runs a show later than that: 2100-01-01.
const UTC_UNTIL: Span = Span::from_secs(4_102_444_800);

impl Timescale {
    /// Of a master that reads this.
    pub(super) fn of(master: &Master, reading: ShowTime) -> Self {
        let is_utc = (UTC_FROM..UTC_UNTIL).contains(&(reading - ShowTime::ZERO));
        match master.ptp_timescale {
            true => Self::Tai,
            false if is_utc => Self::UtcAssumed,
            false => Self::Arbitrary,
        }
    }

    /// What makes TAI of a master's readings: TAI minus UTC as the master announces it, else `tai_utc`.
    pub(super) fn added(self, master: &Master, tai_utc: Span) -> Span {
        match self {
            Self::Tai | Self::Arbitrary => Span::ZERO,
            Self::UtcAssumed => {
                master.utc_offset_s.map_or(tai_utc, |secs| Span::from_secs(secs.into()))
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ANNOUNCED: Master =
        Master { identity: [7; 8], steps_removed: 1, ptp_timescale: false, utc_offset_s: None };
    const OURS: Span = Span::from_secs(37);

    #[test]
    fn ca02_what_may_be_utc_is_taken_for_it_and_what_began_at_nought_is_not() {
        let of = |secs| Timescale::of(&ANNOUNCED, ShowTime::ZERO + Span::from_secs(secs));
        assert_eq!(of(1_795_000_000), Timescale::UtcAssumed);
        for not_utc in [-1, 0, 86_400 * 365, 1_704_067_199, 4_102_444_800] {
            assert_eq!(of(not_utc), Timescale::Arbitrary, "{not_utc}");
        }
    }

    #[test]
    fn ca02_a_master_that_says_tai_is_believed_whatever_it_reads() {
        let says = Master { ptp_timescale: true, utc_offset_s: Some(37), ..ANNOUNCED };
        for reading in [ShowTime::ZERO, ShowTime::from_ns(1_795_000_000_000_000_000)] {
            assert_eq!(Timescale::of(&says, reading), Timescale::Tai);
        }
        assert_eq!(Timescale::Tai.added(&says, OURS), Span::ZERO);
    }

    #[test]
    fn ca02_the_masters_own_utc_offset_goes_before_ours() {
        let says = Master { utc_offset_s: Some(38), ..ANNOUNCED };
        assert_eq!(Timescale::UtcAssumed.added(&ANNOUNCED, OURS), OURS);
        assert_eq!(Timescale::UtcAssumed.added(&says, OURS), Span::from_secs(38));
        assert_eq!(Timescale::Arbitrary.added(&says, OURS), Span::ZERO);
    }
}
