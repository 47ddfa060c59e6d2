//! Numbers of a record: signed ones, spans in microseconds, and those that may be unknown, as one more than they are.

use units::Span;

pub(super) fn one_more<N: Into<u64>>(value: Option<N>) -> u64 {
    value.map_or(0, |it| it.into() + 1)
}

/// None where it is damaged, or more than `most`; the inner is unknown.
#[expect(clippy::option_option, reason = "damaged and unknown are two things")]
pub(super) fn one_less<N: TryFrom<u64> + PartialOrd>(told: u64, most: N) -> Option<Option<N>> {
    match told.checked_sub(1) {
        None => Some(None),
        Some(it) => N::try_from(it).ok().filter(|it| *it <= most).map(Some),
    }
}

pub(super) fn micros(span: Span) -> i64 {
    span.ns().div_euclid(1_000)
}

pub(super) fn span(micros: i64) -> Option<Span> {
    micros.checked_mul(1_000).map(Span::from_ns)
}

pub(super) fn bound(error: Option<Span>) -> u64 {
    error.map_or(0, |it| micros(it).max(0) as u64 + 1)
}

/// None where it is damaged; the inner is unknown.
#[expect(clippy::option_option, reason = "damaged and unknown are two things")]
pub(super) fn unbound(told: u64) -> Option<Option<Span>> {
    match told.checked_sub(1) {
        None => Some(None),
        Some(it) => span(i64::try_from(it).ok()?).map(Some),
    }
}

pub(super) fn zigzag(value: i64) -> u64 {
    (value << 1 ^ value >> 63) as u64
}

pub(super) fn unzigzag(value: u64) -> i64 {
    (value >> 1) as i64 ^ -((value & 1) as i64)
}
