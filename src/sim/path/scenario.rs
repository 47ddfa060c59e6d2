//! Networks by name: what a phone meets in a rehearsal room, in a full house, on its way between access points.
//!
//! Floors, waits and losses were set beside delay traces of such places; they are of their kind, not of one venue.

use units::Span;

use super::lane::{Bursts, Jitter, LaneSpec, Losses};

/// A network that connections go through.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Scenario {
    /// How it is called.
    pub name: &'static str,
    /// What it is, for people.
    pub what: &'static str,
    /// From the phone to the box.
    pub up: LaneSpec,
    /// From the box to the phone.
    pub down: LaneSpec,
    /// A radio that sleeps to save its battery.
    pub doze: Option<Doze>,
    /// Gaps, behind which the way has another length.
    pub roams: Option<Roams>,
}

/// A radio that sleeps: what comes down waits for a beacon.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Doze {
    /// From one beacon of the access point to the next.
    pub beacon: Span,
    /// A phone sleeps through up to so many of them.
    pub skips: u32,
    /// How long it stays awake after it said something, on average.
    pub awake: Span,
}

/// Gaps between two access points, or two satellites.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Roams {
    /// From one to the next, on average.
    pub every: Span,
    /// Whether they keep to that.
    pub rhythm: Rhythm,
    /// The shortest gap.
    pub shortest: Span,
    /// The longest gap.
    pub longest: Span,
}

/// When the next gap comes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Rhythm {
    /// By the clock.
    Regular,
    /// When somebody walks.
    Random,
}

/// A way without length, on which nothing happens.
const STILL: LaneSpec = LaneSpec {
    floor: Span::ZERO,
    askew: Span::ZERO,
    jitter: Jitter::Queue(Span::ZERO),
    wave: None,
    bursts: None,
    losses: Losses::NONE,
    reorder: 0.0,
    duplicate: 0.0,
    rate_bps: None,
    queue_max: Span::from_millis(300),
};

const LAN: LaneSpec = LaneSpec {
    floor: Span::from_micros(120),
    askew: Span::from_micros(60),
    jitter: Jitter::Queue(Span::from_micros(60)),
    ..STILL
};

const CALM: LaneSpec = LaneSpec {
    floor: Span::from_micros(800),
    askew: Span::from_micros(400),
    jitter: Jitter::Crowd(Span::from_micros(350)),
    wave: Some(Span::from_millis(700)),
    losses: Losses::runs(0.001, 1.0),
    reorder: 0.001,
    ..STILL
};

const CROWDED_UP: LaneSpec = LaneSpec {
    floor: Span::from_micros(1_100),
    askew: Span::from_micros(600),
    jitter: Jitter::Crowd(Span::from_millis(3)),
    wave: Some(Span::from_millis(700)),
    bursts: Some(Bursts { every: Span::from_secs(2), length: Span::from_millis(25) }),
    losses: Losses::runs(0.01, 1.5),
    reorder: 0.01,
    ..STILL
};

/// What goes down queues in the access point behind what a thousand others are sent.
const CROWDED_DOWN: LaneSpec = LaneSpec {
    jitter: Jitter::Crowd(Span::from_millis(11)),
    bursts: Some(Bursts { every: Span::from_millis(800), length: Span::from_millis(40) }),
    ..CROWDED_UP
};

const SAVING: LaneSpec =
    LaneSpec { floor: Span::from_micros(900), jitter: Jitter::Crowd(Span::from_millis(1)), ..CALM };

const ROAMING: LaneSpec =
    LaneSpec { askew: Span::from_millis(1), jitter: Jitter::Crowd(Span::from_micros(800)), ..CALM };

const ORBIT: LaneSpec = LaneSpec {
    floor: Span::from_millis(8),
    askew: Span::from_millis(7),
    jitter: Jitter::Even(Span::from_millis(6)),
    losses: Losses::runs(0.004, 2.0),
    reorder: 0.002,
    ..STILL
};

/// All of them, from the easiest to the hardest.
pub static SCENARIOS: [Scenario; 7] = [
    both("clear", "nothing happens to a packet", STILL, STILL),
    both("lan", "a wired network", LAN, LAN),
    both("wifi-calm", "a phone near its access point", CALM, CALM),
    both("venue-crowded", "a full house on one Wi-Fi", CROWDED_UP, CROWDED_DOWN),
    Scenario {
        doze: Some(Doze {
            beacon: Span::from_micros(102_400),
            skips: 2,
            awake: Span::from_millis(5),
        }),
        ..both("power-save", "a radio that sleeps between beacons", SAVING, SAVING)
    },
    Scenario {
        roams: Some(Roams {
            every: Span::from_secs(20),
            rhythm: Rhythm::Random,
            shortest: Span::from_millis(150),
            longest: Span::from_millis(1_500),
        }),
        ..both("roam", "somebody walks from one access point to the next", ROAMING, ROAMING)
    },
    Scenario {
        roams: Some(Roams {
            every: Span::from_secs(15),
            rhythm: Rhythm::Regular,
            shortest: Span::from_millis(20),
            longest: Span::from_millis(120),
        }),
        ..both("leo", "satellites, another one every 15 s", ORBIT, ORBIT)
    },
];

const fn both(name: &'static str, what: &'static str, up: LaneSpec, down: LaneSpec) -> Scenario {
    Scenario { name, what, up, down, doze: None, roams: None }
}

impl Scenario {
    /// The scenario of that name, or the one whose name begins so: `venue` is `venue-crowded`.
    pub fn named(name: &str) -> Option<&'static Self> {
        let mut found = SCENARIOS.iter().filter(|it| !name.is_empty() && it.name.starts_with(name));
        found.next().filter(|_| found.next().is_none())
    }
}
