//! Notices when each voice is first heard, for its receipt.
//!
//! In: every block as it is rendered, and how far the card has got. Out: each voice once, with its first frame.
//! Never: allocation; the tables have a stated maximum.

use units::VoiceId;

use super::plan::Plan;
use super::render::{FrameGrid, Renderer};

/// Voices that are rendered but not yet heard: a buffer's worth, and no cue starts more at once.
const WAITING_MAX: usize = 64;
/// Voices that have been told of. More than ever sound at the same time, so none is told of twice.
const TOLD_MAX: usize = 256;

/// The book of first frames of one card.
#[derive(Debug, Clone)]
pub struct Debuts {
    waiting: Vec<(VoiceId, i64)>,
    told: [Option<VoiceId>; TOLD_MAX],
    next: usize,
}

impl Default for Debuts {
    fn default() -> Self {
        Self { waiting: Vec::with_capacity(WAITING_MAX), told: [None; TOLD_MAX], next: 0 }
    }
}

impl Debuts {
    /// A block has been rendered; its frame 0 is the card's frame `first`.
    pub fn note(&mut self, plan: &Plan, grid: FrameGrid, first: i64, frames: usize) {
        for (voice, frame) in Renderer::sounding(plan, grid, frames) {
            if self.waiting.len() < WAITING_MAX && self.is_new(voice) {
                self.waiting.push((voice, first + frame as i64));
            }
        }
    }

    /// A voice whose first frame is at the output by now, with that frame; ask until there is none.
    pub fn poll(&mut self, heard: i64) -> Option<(VoiceId, i64)> {
        let index = self.waiting.iter().position(|(_, frame)| *frame <= heard)?;
        let debut = self.waiting.remove(index);
        self.told[self.next] = Some(debut.0);
        self.next = (self.next + 1) % TOLD_MAX;
        Some(debut)
    }

    /// What was rendered but not heard never will be: the card lost it. It is noted again when it is rendered again.
    pub fn lose(&mut self) {
        self.waiting.clear();
    }

    fn is_new(&self, voice: VoiceId) -> bool {
        !self.told.contains(&Some(voice)) && self.waiting.iter().all(|(it, _)| *it != voice)
    }
}
