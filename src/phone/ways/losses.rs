//! How many questions of one way went without an answer.
//!
//! In: whether each did. Out: the share of packets that get lost. Never: a way, a time.

/// One of so few says nothing.
const KNOWN: u32 = 20;

/// The last 64 questions, the newest in the lowest bit.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Losses {
    lost: u64,
    seen: u32,
}

impl Losses {
    pub(super) fn see(&mut self, is_lost: bool) {
        self.lost = self.lost << 1 | u64::from(is_lost);
        self.seen = (self.seen + 1).min(u64::BITS);
    }

    /// Of packets, 0 to 1: question and answer are one each, and as likely to get lost.
    pub(super) fn share(&self) -> Option<f64> {
        let lost = f64::from(self.lost.count_ones()) / f64::from(self.seen);
        (self.seen >= KNOWN).then(|| 1.0 - (1.0 - lost).sqrt())
    }
}
