//! The box clock as a watcher sees it: `downbeat clock --json`, `clock` in `downbeat status --json`.

use std::net::IpAddr;

use serde::Serialize;
use units::{Ppm, Span};

use super::news::{Master, Role, StampKind, Why};
use super::timescale::Timescale;

/// How far the box clock is to be trusted (DESIGN: Time).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum ClockState {
    /// Runs by itself; nobody disciplines it.
    Free,
    /// Somebody does, but it is not there yet.
    Acquiring,
    /// Follows its master, and no other box contradicts.
    Locked,
    /// Lost its master, or does not trust it, and goes on by what it learnt.
    Holdover,
}

/// Whether other boxes say the same time.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Agreement {
    /// Within what both may be off.
    Agree,
    /// By more than both may be off.
    Disagree,
    /// Nobody was asked, or nobody knows.
    Unknown,
}

/// A plain copy of the box clock's state. `null` in JSON is *unknown*.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct ClockGlance {
    /// `free`, `acquiring`, `locked`, `holdover`.
    pub state: ClockState,
    /// Seconds in this state.
    pub age_s: f64,
    /// How far it may be off from its master's time, in ns; unknown while free and before the first measurements.
    pub error_bound_ns: Option<Span>,
    /// Who it follows, in words.
    pub source: String,
    /// Why it is not locked; none when it is.
    pub why: Option<Why>,
    /// `free`, `master`, `follower`: its part on the timing network.
    pub role: Role,
    /// Who is followed, or was when it was lost.
    pub master: Option<Master>,
    /// `tai`, `utc_assumed` (TAI minus UTC is added to it), `arbitrary` (followed as it stands): what that master
    /// counts its time in; unknown until it is heard.
    pub timescale: Option<Timescale>,
    /// Master minus box, as estimated now, in ns.
    pub offset_ns: Option<Span>,
    /// The mean delay of one way to the master, in ns.
    pub path_delay_ns: Option<Span>,
    /// How much faster than this machine's crystal the box clock runs, steering included.
    pub rate_ppm: Ppm,
    /// `hardware`, `software`, `simulated`: how the last packet was stamped.
    pub stamps: Option<StampKind>,
    /// What the other boxes say, all in all: `agree`, `disagree`, `unknown`.
    pub agreement: Agreement,
    /// The other boxes, each.
    pub peers: Vec<PeerGlance>,
    /// By how much it would step if the operator let it, in ns.
    pub step_wanted_ns: Option<Span>,
    /// Offsets of the last minutes for a plot, oldest first.
    pub history: Vec<Past>,
}

/// Another box's clock beside what the master says, which is this box's clock as long as it is locked; where there is
/// no master, beside this box's clock.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct PeerGlance {
    /// Which box.
    pub peer: IpAddr,
    /// `agree`, `disagree`, `unknown`: the last answer is too old, or the peer does not know its own error.
    pub agreement: Agreement,
    /// Peer minus master, in ns.
    pub difference_ns: Option<Span>,
    /// How far the difference itself may be off, both clocks' bounds included, in ns.
    pub bound_ns: Option<Span>,
    /// Seconds since the last answer.
    pub age_s: Option<f64>,
}

/// An offset that was.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct Past {
    /// Seconds ago.
    pub age_s: f64,
    /// Master minus box by the fastest packets of that second, in ns.
    pub offset_ns: Span,
    /// The bound then, in ns.
    pub error_bound_ns: Option<Span>,
}
