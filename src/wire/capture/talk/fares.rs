//! How a phone fares, as numbers of a record.

use units::Span;

use super::numbers::{bound, one_less, one_more, unbound};
use crate::quality::Quality;

const PERCENT_MAX: u8 = 100;
/// All of them.
const LOSS_MAX: u16 = 10_000;

/// How a phone fares, as far as it knows.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Fare {
    /// Bound of its clock's error.
    pub clock_error: Option<Span>,
    /// Bound of its output's error.
    pub output_error: Option<Span>,
    /// Percent.
    pub battery: Option<u8>,
    /// What its network is.
    pub quality: Option<Quality>,
    /// To the box and back.
    pub round_trip: Option<Span>,
    /// Packets lost of ten thousand.
    pub loss: Option<u16>,
    /// How long after it was sent live sound is heard.
    pub buffer: Option<Span>,
    /// Tracks that are there.
    pub tracks_ready: Option<u32>,
    /// Tracks that are to be.
    pub tracks_wanted: Option<u32>,
}

/// What of it is known, in the order of a record's numbers; what is unknown at the end is left out.
pub(super) fn told(fare: &Fare) -> impl Iterator<Item = u64> {
    let all = [
        bound(fare.clock_error),
        bound(fare.output_error),
        one_more(fare.battery.map(|it| it.min(PERCENT_MAX))),
        one_more(fare.quality.map(|it| it as u8)),
        bound(fare.round_trip),
        one_more(fare.loss.map(|it| it.min(LOSS_MAX))),
        bound(fare.buffer),
        one_more(fare.tracks_ready),
        one_more(fare.tracks_wanted),
    ];
    let known = all.iter().rposition(|it| *it > 0).map_or(0, |last| last + 1);
    all.into_iter().take(known)
}

/// The same from a record's numbers; none where it is damaged.
pub(super) fn fare(mut told: impl FnMut() -> Option<u64>) -> Option<Fare> {
    Some(Fare {
        clock_error: unbound(told()?)?,
        output_error: unbound(told()?)?,
        battery: one_less(told()?, PERCENT_MAX)?,
        quality: level(told()?)?,
        round_trip: unbound(told()?)?,
        loss: one_less(told()?, LOSS_MAX)?,
        buffer: unbound(told()?)?,
        tracks_ready: one_less(told()?, u32::MAX)?,
        tracks_wanted: one_less(told()?, u32::MAX)?,
    })
}

/// None where it is damaged; the inner is unknown.
#[expect(clippy::option_option, reason = "damaged and unknown are two things")]
fn level(told: u64) -> Option<Option<Quality>> {
    let place = one_less(told, Quality::ALL.len() as u8 - 1)?;
    Some(place.map(|it| Quality::ALL[usize::from(it)]))
}
