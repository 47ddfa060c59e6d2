//! What fires cues from outside, and what cues say to the lighting network beside levels.

use std::fmt;

use serde::{Deserialize, Serialize};
use units::{CueNumber, Slot, Universe};
use wire::artnet::Key;

/// What fires a cue from outside.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Trigger {
    /// What happens.
    pub on: TriggerOn,
    /// The cue that it fires.
    pub fires: CueNumber,
}

/// What happens outside.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TriggerOn {
    /// Somebody sends this as ArtTrigger (rule A15).
    Artnet(ArtnetKey),
    /// A slot of an input crosses a level upward.
    Slot(SlotTrigger),
}

/// A slot of an input, and what it crosses.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SlotTrigger {
    /// Index into [`Show::inputs`](super::Show::inputs).
    pub input: usize,
    /// Its slot, as the input counts them.
    pub slot: Slot,
    /// It fires at this level or above.
    pub above: u8,
    /// And again only after it has been below this one.
    pub below: u8,
}

/// A key of ArtTrigger, and which one of its kind.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct ArtnetKey {
    /// What is pressed.
    pub key: Key,
    /// Which one.
    pub sub: u8,
}

impl fmt::Display for ArtnetKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let sub = self.sub;
        match self.key {
            Key::Ascii => write!(f, "ascii {:?}", char::from(sub)),
            Key::Macro => write!(f, "macro {sub}"),
            Key::Soft => write!(f, "soft {sub}"),
            Key::Show => write!(f, "show {sub}"),
            Key::Other(code) => write!(f, "{code} {sub}"),
        }
    }
}

/// What a cue says to the lighting network beside levels.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Sending {
    /// ArtTrigger to everybody (rule A15).
    Artnet(ArtnetKey),
    /// Slots with a start code of their own, to who subscribes to the universe by Art-Net (rule A18).
    StartCode {
        /// Which.
        universe: Universe,
        /// Neither 0 nor 0xcc.
        start_code: u8,
        /// 1 to 512 octets.
        slots: Vec<u8>,
    },
}
