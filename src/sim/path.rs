//! The way of one connection through a bad network: what happens to each packet, and when it arrives.
//!
//! In: when a packet sets out, which way, and how long it is; chance by a seed. Out: a [`Verdict`]. Never: bytes,
//! sockets, clocks. `tools proxy` asks it about real packets; a scenario may ask it in virtual time.
//!
//! *Floor*: no packet of a direction is faster. Half the difference of the two floors is the *asymmetry*, which no
//! time stamp shows. *Gap*: the phone is between two access points, or two satellites, and nothing passes.
//! *Cut*: somebody planned that nothing passes one way, or both, for a while.
//! A *stream* (TCP) loses nothing and keeps its order, so a loss is a late piece with everything behind it late,
//! too; *datagrams* (UDP) get lost, are doubled, and overtake.
//!
//! Chance is drawn apart for each direction, and apart for what befalls packets and for what passes with time: which
//! packets of a direction are lost, doubled or overtaken depends on the seed and on their order, not on when they come
//! or on what goes the other way.

mod cut;
mod lane;
mod scenario;

use phone::Chance;
use units::{Moment, MonoTime, Span};

pub use cut::{Cut, closed_until};
pub use lane::{Bursts, Jitter, LaneSpec, Losses};
pub use scenario::{Doze, Rhythm, Roams, SCENARIOS, Scenario};

use lane::Lane;

/// What carries the packets.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Carriage {
    /// TCP.
    Stream,
    /// UDP.
    Datagrams,
}

/// Which way a packet goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Direction {
    /// From the phone to the box.
    Up,
    /// From the box to the phone.
    Down,
}

/// What becomes of a packet.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    /// It is lost.
    Drop,
    /// It arrives.
    Deliver {
        /// When.
        at: MonoTime,
        /// When it arrives once more; none if it came once, as all do on a stream.
        again: Option<MonoTime>,
        /// What befell it.
        fate: Fate,
    },
}

/// What befell a packet that arrives.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fate {
    /// It waited its turn, like all.
    Plain,
    /// It was lost, and sent again.
    Resent,
    /// Others that set out later come before it.
    Overtaken,
}

/// Linux waits this long before it sends again (RFC 6298 asks for a second; nobody waits that long).
pub(crate) const RESEND_FIRST: Span = Span::from_millis(200);

/// When a packet that should have come at `due`, and could not, is sent for the first time after `now`: each time
/// TCP waits twice as long.
pub fn next_try<S>(due: Moment<S>, now: Moment<S>) -> Moment<S> {
    let (mut at, mut patience) = (due, RESEND_FIRST);
    while at < now {
        at += patience;
        patience = patience.times(2);
    }
    at
}

/// One connection's way, both directions.
#[derive(Debug, Clone)]
pub struct Path {
    scenario: Scenario,
    carriage: Carriage,
    chance: Chance,
    up: Lane,
    down: Lane,
    gap: Option<Gap>,
    nap: Option<Nap>,
    cuts: Vec<Cut>,
}

/// The gap that is next, or now.
#[derive(Debug, Clone, Copy)]
struct Gap {
    begins: MonoTime,
    ends: MonoTime,
}

/// A radio that dozes between two beacons.
#[derive(Debug, Clone, Copy)]
struct Nap {
    /// From one beacon that it wakes for to the next.
    period: Span,
    phase: MonoTime,
    dozes_at: MonoTime,
}

impl Path {
    /// A connection that begins at `now`; the same seed and the same questions give the same verdicts.
    pub fn new(scenario: &Scenario, carriage: Carriage, seed: u64, now: MonoTime) -> Self {
        let mut chance = Chance::new(u128::from(seed) << 64 | 0xa1);
        let up = Lane::new(scenario.up, carriage, &mut chance);
        let down = Lane::new(scenario.down, carriage, &mut chance);
        let gap = scenario.roams.map(|roams| Gap::drawn(&roams, now, &mut chance));
        let nap = scenario.doze.map(|doze| Nap::drawn(&doze, now, &mut chance));
        Self { scenario: *scenario, carriage, chance, up, down, gap, nap, cuts: Vec::new() }
    }

    /// The same way, which is cut as planned.
    pub fn with_cuts(self, cuts: Vec<Cut>) -> Self {
        Self { cuts, ..self }
    }

    /// What becomes of a packet of so many bytes that sets out now. Time never goes back from one call to the next.
    pub fn judge(&mut self, now: MonoTime, direction: Direction, bytes: usize) -> Verdict {
        self.roam(now);
        let lot = self.lane(direction).draw(bytes);
        let Some(sets_out) = self.sets_out(now, direction) else { return Verdict::Drop };
        let sets_out = self.awake(sets_out, direction);
        self.lane(direction).judge(now, sets_out, bytes, lot)
    }

    /// A packet that somebody else kept off the way: those behind it fare as if it had been on it.
    pub fn skip(&mut self, direction: Direction, bytes: usize) {
        self.lane(direction).draw(bytes);
    }

    /// When a packet sets out that is ready at `now`; none if the way is closed and nobody sends it again.
    fn sets_out(&self, now: MonoTime, direction: Direction) -> Option<MonoTime> {
        let mut at = now;
        while let Some(opens) = self.closed_until(at, direction) {
            if self.carriage == Carriage::Datagrams {
                return None;
            }
            at = next_try(now, opens);
        }
        Some(at)
    }

    fn closed_until(&self, at: MonoTime, direction: Direction) -> Option<MonoTime> {
        let gap = self.gap.filter(|gap| gap.begins <= at && at < gap.ends).map(|gap| gap.ends);
        gap.max(closed_until(&self.cuts, direction, at))
    }

    fn lane(&mut self, direction: Direction) -> &mut Lane {
        match direction {
            Direction::Up => &mut self.up,
            Direction::Down => &mut self.down,
        }
    }

    /// Half of what the way up is longer than the way down, as it is now.
    pub fn asymmetry(&self) -> Span {
        Span::from_ns((self.up.floor() - self.down.floor()).ns() / 2)
    }

    /// Gaps that have gone by: behind each the phone hangs on another access point.
    fn roam(&mut self, now: MonoTime) {
        let Some(roams) = self.scenario.roams else { return };
        while let Some(gap) = self.gap.filter(|gap| gap.ends <= now) {
            self.up.move_house(&mut self.chance);
            self.down.move_house(&mut self.chance);
            self.gap = Some(Gap::drawn(&roams, gap.ends, &mut self.chance));
        }
    }

    /// When the radio takes the packet: what comes down while it dozes waits for a beacon, what goes up wakes it.
    fn awake(&mut self, at: MonoTime, direction: Direction) -> MonoTime {
        let (Some(doze), Some(nap)) = (self.scenario.doze, &mut self.nap) else { return at };
        let taken = match direction {
            Direction::Down if at >= nap.dozes_at => nap.beacon_after(at),
            _ => at,
        };
        if direction == Direction::Up || taken > at {
            nap.dozes_at = taken + scaled(doze.awake, wait(&mut self.chance));
        }
        taken
    }
}

impl Gap {
    fn drawn(roams: &Roams, from: MonoTime, chance: &mut Chance) -> Self {
        let until = match roams.rhythm {
            Rhythm::Regular => roams.every,
            Rhythm::Random => scaled(roams.every, 0.3 + 0.7 * wait(chance)),
        };
        let begins = from + until;
        let length = scaled(roams.longest - roams.shortest, chance.share());
        Self { begins, ends: begins + roams.shortest + length }
    }
}

impl Nap {
    fn drawn(doze: &Doze, now: MonoTime, chance: &mut Chance) -> Self {
        // Phones skip beacons as they like; each has its own way.
        let beacons = 1 + (chance.share() * f64::from(doze.skips + 1)) as i64;
        let period = doze.beacon.times(beacons);
        Self { period, phase: now + scaled(period, chance.share()), dozes_at: now + doze.awake }
    }

    fn beacon_after(&self, at: MonoTime) -> MonoTime {
        let since = (at - self.phase).ns().rem_euclid(self.period.ns());
        at + (self.period - Span::from_ns(since))
    }
}

/// Exponential with mean 1: mostly short, sometimes long.
pub(crate) fn wait(chance: &mut Chance) -> f64 {
    -(1.0 - chance.share()).ln()
}

pub(crate) fn scaled(span: Span, by: f64) -> Span {
    Span::from_secs_f64(span.secs_f64() * by)
}

#[cfg(test)]
mod properties;
#[cfg(test)]
mod tests;
