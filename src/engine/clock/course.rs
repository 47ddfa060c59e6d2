//! What is heard by one course: the way from the master, the way to it, or the link by itself.
//!
//! In: packets and how late each is against its floor. Out: the fastest of each second, and whether packets look as if
//! something had moved.

use units::MonoTime;

use super::news::{Direction, StampKind};

/// The fastest of fewer is likely to have waited, too.
pub(super) const FEW: u32 = 4;
/// But so many seconds are enough to wait for more.
pub(super) const LONG: f64 = 4.0;
/// So many floors of a way seen and its scatter is known well enough to call a packet early or late.
pub(super) const KNOWN: u32 = 4;
/// So many early packets in a row are no mishap.
const EARLY_MAX: u8 = 3;
/// Where the link's delay is measured apart, nothing but a moved clock is late for so many packets. And for so many
/// the other way is waited for, to tell a shorter way from a moved clock.
const LATE_MAX: u8 = 32;

/// A way by which something is learnt.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Course {
    /// From the master, to it.
    Way(Direction),
    /// Both at once: the link's delay, measured by itself.
    Link,
}

/// What is known of one course.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Heard {
    /// Floors seen.
    pub(super) count: u32,
    pub(super) last: Option<MonoTime>,
    /// How far the fastest of each second typically lie from the floor, ns.
    pub(super) scatter: f64,
    /// In a row, and since when.
    early: u8,
    early_since: Option<MonoTime>,
    late: u8,
    /// How late the fastest of the last second was, ns.
    pub(super) lateness: f64,
    /// The last packets: when, and how late, ns.
    lately: [Option<(MonoTime, f64)>; 2],
    pub(super) gathered: Option<Gathered>,
}

/// The packets of a second.
#[derive(Debug, Clone, Copy)]
pub(super) struct Gathered {
    pub(super) begun: MonoTime,
    pub(super) count: u32,
    pub(super) fastest: Low,
}

/// A packet: our end, what it took, and how much longer that is than its floor, ns.
#[derive(Debug, Clone, Copy)]
pub(super) struct Low {
    pub(super) at: MonoTime,
    pub(super) ns: f64,
    pub(super) lateness: f64,
}

/// What a packet looks like.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Suspicion {
    None,
    /// One alone says nothing.
    Mishap,
    /// The floor lies lower than was thought.
    Lower,
    Moved,
}

impl Course {
    pub(super) fn index(self) -> usize {
        match self {
            Self::Way(Direction::FromMaster) => 0,
            Self::Way(Direction::ToMaster) => 1,
            Self::Link => 2,
        }
    }
}

impl Heard {
    /// Whether a packet, so late, looks as if something had moved: the way, or one of the clocks. `other` is the other
    /// way; none where the link's delay is measured apart.
    pub(super) fn suspect(
        &mut self,
        at: MonoTime,
        lateness: f64,
        gate: f64,
        other: Option<&Self>,
    ) -> Suspicion {
        self.note(at, lateness, gate);
        if self.early == 0 {
            let is_moved = other.is_none() && self.late >= LATE_MAX;
            return if is_moved { Suspicion::Moved } else { Suspicion::None };
        }
        if self.count < KNOWN {
            return Suspicion::Lower;
        }
        if self.early < EARLY_MAX {
            return Suspicion::Mishap;
        }
        let Some(other) = other else { return Suspicion::Moved };
        match self.early_since.and_then(|since| other.late_since(since)) {
            Some(late) if late > -lateness / 2.0 => Suspicion::Moved,
            None if self.early < LATE_MAX => Suspicion::Mishap,
            _ => Suspicion::Lower,
        }
    }

    fn note(&mut self, at: MonoTime, lateness: f64, gate: f64) {
        self.lately = [Some((at, lateness)), self.lately[0]];
        self.late = if lateness > gate { self.late.saturating_add(1) } else { 0 };
        if lateness < -gate {
            self.early = self.early.saturating_add(1);
            self.early_since = self.early_since.or(Some(at));
        } else {
            (self.early, self.early_since) = (0, None);
        }
    }

    /// How late its last packets were at least; none if they left before.
    fn late_since(&self, since: MonoTime) -> Option<f64> {
        let [(last, late), (first, later)] = [self.lately[0]?, self.lately[1]?];
        (first.min(last) >= since).then_some(late.min(later))
    }
}

impl Gathered {
    pub(super) fn new(low: Low) -> Self {
        Self { begun: low.at, count: 1, fastest: low }
    }
    pub(super) fn with(self, low: Low) -> Self {
        let fastest = if low.lateness < self.fastest.lateness { low } else { self.fastest };
        Self { count: self.count.saturating_add(1), fastest, ..self }
    }
    /// How much wider than of many the fastest of so few scatters.
    pub(super) fn fewness(&self) -> f64 {
        f64::from(FEW) / f64::from(self.count.min(FEW))
    }
    /// After a silence what was gathered before is worth nothing.
    pub(super) fn is_recent(&self, at: MonoTime) -> bool {
        (0.0..=LONG).contains(&(at - self.begun).secs_f64())
    }
}

/// What stamps are taken to be worth before any has been compared, ns.
pub(super) fn scatter_first(stamps: StampKind) -> f64 {
    match stamps {
        StampKind::Hardware => 500.0,
        StampKind::Software | StampKind::Simulated => 5_000.0,
    }
}

/// No stamp is believed to be better, ns: a PHC counts in steps of 8 ns; a kernel's way to the stamp is never the same.
pub(super) fn scatter_least(stamps: StampKind) -> f64 {
    match stamps {
        StampKind::Hardware => 10.0,
        StampKind::Software | StampKind::Simulated => 30.0,
    }
}
