//! What a card thread asks of whatever takes its samples.

use engine::order::Evidence;
use engine::sound::Stamp;
use units::Span;

/// Something that takes blocks of samples and says when they are heard.
pub(super) trait Output {
    /// What was agreed when it was opened.
    fn facts(&self) -> &Facts;
    /// Waits until it takes another block; says which frame is at the output, where it can tell.
    fn wait(&mut self) -> Result<Option<Stamp>, Fault>;
    /// Gives it a block of [`Facts::period`] frames, interleaved. Neither allocates nor waits after [`Self::wait`].
    fn write(&mut self, block: &[f32]) -> Result<(), Fault>;
    /// The frame that the next block begins with, counted from the opening.
    fn written(&self) -> i64;
    /// Plays what it still has, and ends.
    fn drain(&mut self);
}

/// What was agreed with a device.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Facts {
    /// Its name, as `box.toml` has it.
    pub(super) name: String,
    /// Frames a second, by its own word.
    pub(super) rate_hz: u32,
    /// Channels.
    pub(super) channels: u16,
    /// Frames of a block.
    pub(super) period: usize,
    /// Frames it holds ready.
    pub(super) buffer: usize,
    /// What its stamps are worth.
    pub(super) evidence: Evidence,
}

impl Facts {
    /// How far ahead it must know what it plays: all it holds ready, the block that is being rendered, and a margin
    /// for the plan's way to the thread.
    pub(super) fn lead(&self) -> Span {
        let frames = (self.buffer + self.period) as f64;
        Span::from_secs_f64(frames / f64::from(self.rate_hz)) + Span::from_millis(5)
    }
    /// The length of so many frames.
    pub(super) fn span(&self, frames: usize) -> Span {
        Span::from_secs_f64(frames as f64 / f64::from(self.rate_hz))
    }
}

/// What goes wrong while it plays.
#[derive(Debug)]
pub(super) enum Fault {
    /// It ran dry and has been started again: frames are lost, and with them its place in time.
    Dry,
    /// It plays no more.
    Lost(CardError),
}

/// Why a card cannot be played on.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum CardError {
    /// Not there, or unplugged. It is opened again when it is back.
    #[error("sound card `{card}` is not there ({why})")]
    Gone {
        /// Its name.
        card: String,
        /// What the system says.
        why: String,
    },
    /// Another program holds it. It is tried again; say so on the panel.
    #[error("sound card `{card}` is held by another program")]
    Busy {
        /// Its name.
        card: String,
    },
    /// It cannot do what it is asked for. Change `box.toml`.
    #[error("sound card `{card}` cannot do {asked} ({why})")]
    Unfit {
        /// Its name.
        card: String,
        /// What it was asked for.
        asked: String,
        /// What the system says.
        why: String,
    },
}
