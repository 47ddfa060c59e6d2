//! Time with its scale: subtracting the machine's monotonic clock from show time does not compile.

use std::cmp::Ordering;
use std::fmt;
use std::hash::{Hash, Hasher};
use std::marker::PhantomData;
use std::ops::{Add, AddAssign, Neg, Sub, SubAssign};

use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// International Atomic Time: it never steps, so the show runs on it.
pub enum Tai {}
/// The machine's monotonic clock: steady since boot, but nobody else's seconds.
pub enum Mono {}

/// Nanoseconds since the zero of scale `S` (for [`Tai`]: 1970-01-01 00:00:00 TAI; for [`Mono`]: boot).
///
/// Signed 64 bits reach 292 years either way; arithmetic saturates there, which no show will see.
pub struct Moment<S> {
    ns: i64,
    scale: PhantomData<S>,
}

/// When something happens in the show.
pub type ShowTime = Moment<Tai>;
/// A reading of the machine's monotonic clock.
pub type MonoTime = Moment<Mono>;

impl<S> Moment<S> {
    /// The zero of the scale.
    pub const ZERO: Self = Self::from_ns(0);

    /// From nanoseconds since the zero of the scale.
    pub const fn from_ns(ns: i64) -> Self {
        Self { ns, scale: PhantomData }
    }

    /// Nanoseconds since the zero of the scale.
    pub const fn ns(self) -> i64 {
        self.ns
    }

    /// The first multiple of `step` that is not before this moment.
    pub const fn round_up(self, step: Span) -> Self {
        let over = self.ns.rem_euclid(step.0);
        if over == 0 { self } else { Self::from_ns(self.ns - over + step.0) }
    }
}

impl<S> Clone for Moment<S> {
    fn clone(&self) -> Self {
        *self
    }
}
impl<S> Copy for Moment<S> {}
impl<S> PartialEq for Moment<S> {
    fn eq(&self, other: &Self) -> bool {
        self.ns == other.ns
    }
}
impl<S> Eq for Moment<S> {}
impl<S> PartialOrd for Moment<S> {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}
impl<S> Ord for Moment<S> {
    fn cmp(&self, other: &Self) -> Ordering {
        self.ns.cmp(&other.ns)
    }
}
impl<S> Hash for Moment<S> {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.ns.hash(state);
    }
}
impl<S> fmt::Debug for Moment<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{:09}", self.ns.div_euclid(1_000_000_000), self.ns.rem_euclid(1_000_000_000))
    }
}
impl<S> Serialize for Moment<S> {
    fn serialize<T: Serializer>(&self, to: T) -> Result<T::Ok, T::Error> {
        to.serialize_i64(self.ns)
    }
}
impl<'de, S> Deserialize<'de> for Moment<S> {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        i64::deserialize(from).map(Self::from_ns)
    }
}

impl<S> Add<Span> for Moment<S> {
    type Output = Self;
    fn add(self, span: Span) -> Self {
        Self::from_ns(self.ns.saturating_add(span.0))
    }
}
impl<S> Sub<Span> for Moment<S> {
    type Output = Self;
    fn sub(self, span: Span) -> Self {
        Self::from_ns(self.ns.saturating_sub(span.0))
    }
}
impl<S> Sub for Moment<S> {
    type Output = Span;
    fn sub(self, earlier: Self) -> Span {
        Span(self.ns.saturating_sub(earlier.ns))
    }
}
impl<S> AddAssign<Span> for Moment<S> {
    fn add_assign(&mut self, span: Span) {
        *self = *self + span;
    }
}

/// A length of time in nanoseconds; negative is earlier. Arithmetic saturates.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Serialize, Deserialize,
)]
#[serde(transparent)]
pub struct Span(i64);

impl Span {
    /// No time at all.
    pub const ZERO: Self = Self(0);

    /// From nanoseconds.
    pub const fn from_ns(ns: i64) -> Self {
        Self(ns)
    }
    /// From microseconds.
    pub const fn from_micros(micros: i64) -> Self {
        Self(micros.saturating_mul(1_000))
    }
    /// From milliseconds.
    pub const fn from_millis(millis: i64) -> Self {
        Self(millis.saturating_mul(1_000_000))
    }
    /// From whole seconds.
    pub const fn from_secs(secs: i64) -> Self {
        Self(secs.saturating_mul(1_000_000_000))
    }
    /// From seconds, to the nearest nanosecond; what is not finite is no time.
    pub fn from_secs_f64(secs: f64) -> Self {
        Self((secs * 1e9).round() as i64)
    }
    /// In nanoseconds.
    pub const fn ns(self) -> i64 {
        self.0
    }
    /// In milliseconds, fraction kept.
    pub fn millis_f64(self) -> f64 {
        self.0 as f64 / 1e6
    }
    /// In seconds, fraction kept.
    pub fn secs_f64(self) -> f64 {
        self.0 as f64 / 1e9
    }
    /// Without its sign.
    pub const fn abs(self) -> Self {
        Self(self.0.saturating_abs())
    }
    /// Repeated `times`.
    pub const fn times(self, times: i64) -> Self {
        Self(self.0.saturating_mul(times))
    }
    /// As the standard library has it; a negative span is no time.
    pub fn to_std(self) -> std::time::Duration {
        std::time::Duration::from_nanos(self.0.max(0) as u64)
    }
}

impl Add for Span {
    type Output = Self;
    fn add(self, other: Self) -> Self {
        Self(self.0.saturating_add(other.0))
    }
}
impl Sub for Span {
    type Output = Self;
    fn sub(self, other: Self) -> Self {
        Self(self.0.saturating_sub(other.0))
    }
}
impl Neg for Span {
    type Output = Self;
    fn neg(self) -> Self {
        Self(self.0.saturating_neg())
    }
}
impl AddAssign for Span {
    fn add_assign(&mut self, other: Self) {
        *self = *self + other;
    }
}
impl SubAssign for Span {
    fn sub_assign(&mut self, other: Self) {
        *self = *self - other;
    }
}
impl fmt::Display for Span {
    /// As a person writes it: `350ms`, `2.5s`, `1m 30s`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let ns = self.0.unsigned_abs();
        let sign = if self.0 < 0 { "-" } else { "" };
        let (minutes, rest) = (ns / 60_000_000_000, ns % 60_000_000_000);
        let seconds = rest as f64 / 1e9;
        match (minutes, ns) {
            (0, 0) => write!(f, "0s"),
            (0, ..1_000_000) => write!(f, "{sign}{}us", ns as f64 / 1e3),
            (0, ..1_000_000_000) => write!(f, "{sign}{}ms", ns as f64 / 1e6),
            (0, _) => write!(f, "{sign}{seconds}s"),
            (_, _) if rest == 0 => write!(f, "{sign}{minutes}m"),
            _ => write!(f, "{sign}{minutes}m {seconds}s"),
        }
    }
}

/// Parts per million: how much one clock runs faster than another.
#[derive(Debug, Clone, Copy, PartialEq, PartialOrd, Default, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Ppm(pub f64);

impl Ppm {
    /// What one second becomes: `1 + ppm / 1,000,000`.
    pub fn ratio(self) -> f64 {
        1.0 + self.0 * 1e-6
    }
}

/// UNIX (UTC) microseconds: time as SOLUSync-X writes it, seconds at microsecond precision (SX-07).
///
/// What is read saturates at [`WireTime::LAST`], either way.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct WireTime(i64);

impl WireTime {
    /// 2^32 seconds, in the year 2106: up to there a JSON number of seconds keeps every microsecond.
    pub const LAST: Self = Self(4_294_967_296_000_000);

    /// From microseconds since 1970-01-01 00:00:00 UTC.
    pub const fn from_micros(micros: i64) -> Self {
        Self(micros)
    }
    /// Microseconds since 1970-01-01 00:00:00 UTC.
    pub const fn micros(self) -> i64 {
        self.0
    }
    /// Show time as the wire has it; `tai_utc` is TAI minus UTC, frozen for the length of a show.
    pub const fn from_show(at: ShowTime, tai_utc: Span) -> Self {
        Self((at.ns - tai_utc.0).div_euclid(1_000))
    }
    /// The show time that the wire means.
    pub const fn to_show(self, tai_utc: Span) -> ShowTime {
        Moment::from_ns(self.0.saturating_mul(1_000).saturating_add(tai_utc.0))
    }
}
impl Serialize for WireTime {
    /// A JSON number of seconds; 53 bits hold today's microseconds with room to spare.
    fn serialize<T: Serializer>(&self, to: T) -> Result<T::Ok, T::Error> {
        to.serialize_f64(self.0 as f64 / 1e6)
    }
}
impl<'de> Deserialize<'de> for WireTime {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        let secs = f64::deserialize(from)?;
        let micros = (secs * 1e6).round() as i64;
        Ok(Self(micros.clamp(-Self::LAST.0, Self::LAST.0)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn a_span_reads_as_a_person_writes_it() {
        let shown = |ns| Span::from_ns(ns).to_string();
        assert_eq!(shown(0), "0s");
        assert_eq!(shown(350_000_000), "350ms");
        assert_eq!(shown(2_500_000_000), "2.5s");
        assert_eq!(shown(90_000_000_000), "1m 30s");
        assert_eq!(shown(-20_000), "-20us");
    }

    #[test]
    fn a_moment_rounds_up_to_the_grid_and_stays_on_it() {
        let grid = Span::from_millis(23);
        assert_eq!(ShowTime::from_ns(1).round_up(grid).ns(), 23_000_000);
        assert_eq!(ShowTime::from_ns(46_000_000).round_up(grid).ns(), 46_000_000);
    }

    #[test]
    fn sx07_a_time_beyond_what_the_wire_can_say_is_the_last_one() {
        let read = |text| serde_json::from_str::<WireTime>(text).expect("a number");
        assert_eq!(read("1e300"), WireTime::LAST);
        assert_eq!(read("-9007199254.741"), WireTime(-WireTime::LAST.0));
    }

    proptest! {
        #[test]
        fn sx07_wire_time_keeps_every_microsecond(micros in -WireTime::LAST.0..=WireTime::LAST.0) {
            let text = serde_json::to_string(&WireTime(micros)).expect("a number");
            prop_assert_eq!(serde_json::from_str::<WireTime>(&text).expect("a number"), WireTime(micros));
            let tai_utc = Span::from_secs(37);
            prop_assert_eq!(WireTime::from_show(WireTime(micros).to_show(tai_utc), tai_utc), WireTime(micros));
        }
    }
}
