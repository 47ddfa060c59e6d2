//! Universe discovery: every source says every 10 s what it sends (rule S11).
//!
//! In: what is sent, and ticks. Out: pages. Never here: where they go.

use units::{ShowTime, Span, Universe};
use uuid::Uuid;
use wire::sacn::{self, SourceName};

/// E131_UNIVERSE_DISCOVERY_INTERVAL (appendix A).
pub const EVERY: Span = Span::from_secs(10);

/// Tells what we send.
#[derive(Debug, Clone)]
pub struct Discovery {
    pages: Vec<Vec<u8>>,
    next: ShowTime,
}

impl Discovery {
    /// Speaks at its first tick; any order of `universes` will do.
    pub fn new(
        cid: Uuid,
        name: SourceName,
        universes: impl IntoIterator<Item = Universe>,
        now: ShowTime,
    ) -> Self {
        let mut universes: Vec<_> = universes.into_iter().collect();
        universes.sort();
        universes.dedup();
        Self { pages: sacn::discovery(cid, name, &universes), next: now }
    }
    /// The pages to send now; none while it is not time.
    pub fn tick(&mut self, now: ShowTime) -> &[Vec<u8>] {
        if now < self.next {
            return &[];
        }
        // No creeping with the ticks, and no burst after a stall.
        self.next += EVERY;
        if self.next <= now {
            self.next = now + EVERY;
        }
        &self.pages
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn s11_an_hour_has_360_discoveries_each_10_s_after_the_last() {
        let universes = [7, 1, 7].map(|number| Universe::new(number).expect("in range"));
        let mut discovery =
            Discovery::new(Uuid::from_u128(1), SourceName::new("box"), universes, ShowTime::ZERO);
        let ticks = (0..360_000).map(|tick| ShowTime::ZERO + Span::from_millis(tick * 10));
        let spoken: Vec<_> = ticks.filter(|&now| !discovery.tick(now).is_empty()).collect();
        assert_eq!(spoken.len(), 360);
        assert!(spoken.windows(2).all(|pair| pair[1] - pair[0] == EVERY));
        let sacn::Packet::Discovery(page) = sacn::parse(&discovery.pages[0]).expect("ours") else {
            panic!("a discovery packet");
        };
        let listed: Vec<_> = page.universes().map(Universe::number).collect();
        assert_eq!(listed, [1, 7], "sorted, each once");
    }
}
