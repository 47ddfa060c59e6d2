//! What the box clock is told, and what it wants done.

use std::fmt;
use std::net::IpAddr;

use serde::Serialize;
use units::{MonoTime, ShowTime, Span};

use super::overlay::Overlay;

/// How a packet's time was taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum StampKind {
    /// By the interface, at the wire.
    Hardware,
    /// By the kernel, on the packet's way to or from the interface: late by what the machine had to do before.
    Software,
    /// By a simulation.
    Simulated,
}

/// A two-way measurement: offset and delay of one and the same exchange. Where the halves are known, tell them instead
/// ([`OneWay`]): the fastest of each direction says more than any mean.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Sample {
    /// The reading that it holds for.
    pub at: MonoTime,
    /// What the master's clock read then, the path's delay taken out. Who has an offset (master minus box) that was
    /// measured against an overlay tells `overlay.show(at) + offset`, with the overlay that stamped.
    pub master: ShowTime,
    /// The mean delay of one way.
    pub delay: Span,
    /// How it was stamped.
    pub stamps: StampKind,
}

/// Which way a packet went.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Direction {
    /// A Sync: `at` is when it came here.
    FromMaster,
    /// A delay request: `at` is when it left here.
    ToMaster,
}

/// One packet, stamped at both ends.
///
/// Both stamps are raw: `at` is the monotonic clock's, whatever the overlay is, so that steering between two packets
/// changes nothing. Who has a span (arrival minus departure) that was measured against an overlay tells
/// `overlay.show(at) - span` from the master and `overlay.show(at) + span` to it, with the overlay that stamped.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct OneWay {
    /// Our end.
    pub at: MonoTime,
    /// Which way it went.
    pub direction: Direction,
    /// The master's end by the master's clock, with what the correction fields say added (from the master) or
    /// taken off (to it): as if the master stood where the corrected part of the path begins.
    pub master: ShowTime,
    /// How our end was stamped.
    pub stamps: StampKind,
}

/// The delay of the link by itself, where it is measured apart from the master's messages (P2P).
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct LinkDelay {
    /// When it was measured.
    pub at: MonoTime,
    /// The mean of both directions. Then [`OneWay::master`] is the master's stamp with the correction field alone.
    pub delay: Span,
    /// How it was stamped.
    pub stamps: StampKind,
}

/// Who is followed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct Master {
    /// The grandmaster's clock identity, said as `00:11:22:ff:fe:33:44:55`.
    #[serde(serialize_with = "identity")]
    pub identity: [u8; 8],
    /// Boundary clocks between it and us, plus one.
    pub steps_removed: u16,
    /// Whether it says that its time is TAI. Where it does not, see [`super::Timescale`].
    pub ptp_timescale: bool,
    /// TAI minus UTC in seconds, where it says that this is valid.
    pub utc_offset_s: Option<i16>,
}

impl Master {
    /// Whether its readings mean what they meant when it announced itself like that.
    pub(super) fn counts_like(&self, before: &Self) -> bool {
        match (self.ptp_timescale, before.ptp_timescale) {
            (true, true) => true,
            (false, false) => self.utc_offset_s == before.utc_offset_s,
            _ => false,
        }
    }
}

/// An identity as people write it.
pub fn identity_text(identity: [u8; 8]) -> String {
    identity.map(|octet| format!("{octet:02x}")).join(":")
}

fn identity<S: serde::Serializer>(identity: &[u8; 8], to: S) -> Result<S::Ok, S::Error> {
    to.serialize_str(&identity_text(*identity))
}

/// What this box is on the timing network.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Role {
    /// Nobody to follow, and nobody is told.
    Free,
    /// The others follow this box.
    Master,
    /// It follows another.
    Follower,
}

/// A plain question of four stamps to another box.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct PeerExchange {
    /// Whom.
    pub peer: IpAddr,
    /// When we asked.
    pub t1: MonoTime,
    /// When the peer heard it, by its box clock.
    pub t2: ShowTime,
    /// When the peer answered, by its box clock.
    pub t3: ShowTime,
    /// When we heard it.
    pub t4: MonoTime,
    /// How far the peer's clock is off at most, as the peer says ([`super::Discipline::vouched`]); none where it does
    /// not know, and then its opinion counts for nothing.
    pub bound: Option<Span>,
}

/// What happened.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum News {
    /// This box's part on the timing network.
    Role(Role),
    /// Who is followed from now on; none: nobody any more.
    Master(Option<Master>),
    /// Measured, both ways.
    Sample(Sample),
    /// Measured, one way.
    OneWay(OneWay),
    /// Measured, the link alone (P2P).
    LinkDelay(LinkDelay),
    /// A peer answered.
    Peer(PeerExchange),
    /// A peer does not answer any more.
    PeerSilent(IpAddr),
    /// The interface has no link.
    LinkDown,
    /// Whether a show runs ([`crate::told::Effect::ShowRuns`]). While it does, nothing steps.
    ShowRunning(bool),
    /// The operator lets it step.
    StepGranted,
}

/// What is to be done.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Deed {
    /// This is show time from now on. It agrees with the one before at the reading where it was made, unless a
    /// [`Story::Stepped`] comes with it.
    Overlay(Overlay),
    /// Ask the operator whether the clock may step by this much; [`News::StepGranted`] is the yes.
    AskStep {
        /// Master minus box.
        by: Span,
    },
    /// Tell it to who reads along.
    Say(Story),
}

/// What an operator would want to have read afterwards; [`fmt::Display`] says it in a sentence.
#[derive(Debug, Clone, Copy, PartialEq)]
#[expect(missing_docs, reason = "each sentence below says it")]
pub enum Story {
    Follows { master: Master },
    TakenForUtc { added: Span },
    TakenAsItStands,
    Locked { bound: Span },
    Free,
    Holdover { why: Why },
    Acquiring { why: Why },
    Stepped { by: Span },
    PeersDisagree { by: Span },
    PeersAgree,
}

/// Why a clock is not locked.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Why {
    /// Nobody is there to follow.
    NoMaster,
    /// A new master; it has to be measured first.
    NewMaster,
    /// The master's own clock was moved; it has to be measured anew.
    MasterMoved,
    /// The master is announced, but measures nothing any more.
    NoMeasurements,
    /// The interface has no link.
    LinkDown,
    /// More than a millisecond off while a show runs: the operator decides.
    StepWanted,
    /// Master and other boxes say different times.
    PeersDisagree,
    /// Not near enough yet.
    NotThereYet,
}

impl fmt::Display for Why {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::NoMaster => "there is no master to follow",
            Self::NewMaster => "the master is new",
            Self::MasterMoved => "the master's clock was moved",
            Self::NoMeasurements => "nothing is heard from the master any more",
            Self::LinkDown => "the interface has no link",
            Self::StepWanted => "it is more than a millisecond off, and a show runs",
            Self::PeersDisagree => "the other boxes say another time than the master",
            Self::NotThereYet => "it is not near enough yet",
        })
    }
}

impl fmt::Display for Story {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Follows { master } => {
                write!(f, "the clock follows {}", identity_text(master.identity))
            }
            Self::TakenForUtc { added } => write!(
                f,
                "the master does not say what its time is; it reads like UTC, so {added} are added to make it TAI"
            ),
            Self::TakenAsItStands => write!(
                f,
                "the master does not say what its time is, and it is not UTC: cues at a time of day will be wrong"
            ),
            Self::Locked { bound } => write!(f, "the clock is locked, at most {bound} off"),
            Self::Free => write!(f, "the clock runs free"),
            Self::Holdover { why } => write!(f, "the clock goes on by itself: {why}"),
            Self::Acquiring { why } => write!(f, "the clock is not locked: {why}"),
            Self::Stepped { by } => write!(f, "the clock stepped by {by}"),
            Self::PeersDisagree { by } => {
                write!(f, "the other boxes' clocks are {by} off this one; it is not trusted")
            }
            Self::PeersAgree => write!(f, "the other boxes' clocks agree with this one again"),
        }
    }
}
