//! A slot of an input that crosses a level fires a cue.
//!
//! In: the levels of an input whenever they are another. Out: true at a crossing. Never here: the cue.
//!
//! *Armed*: it has been seen below; only then can it cross. So neither a fader that stands high when its console comes,
//! nor the loss of one, fires anything, and a fader that trembles at the level fires once.

use units::{ShowTime, Span};

use crate::show::SlotTrigger;

/// Nobody presses the same button again so soon: it is one that bounces.
const BOUNCES: Span = Span::from_millis(200);

/// Watches one slot.
#[derive(Debug, Clone, Default)]
pub struct Watch {
    armed: bool,
    fired: Option<ShowTime>,
}

impl Watch {
    /// The slot's level; none while nobody sends it. True if it has just crossed upward.
    pub fn look(&mut self, trigger: &SlotTrigger, level: Option<u8>, now: ShowTime) -> bool {
        let bouncing = self.fired.is_some_and(|fired| now >= fired && now - fired < BOUNCES);
        match level {
            None => self.armed = false,
            Some(level) if level < trigger.below => self.armed = true,
            Some(level) if level >= trigger.above && self.armed => {
                self.armed = false;
                if !bouncing {
                    self.fired = Some(now);
                    return true;
                }
            }
            Some(_) => {}
        }
        false
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use units::Slot;

    fn fired(levels: &[(i64, Option<u8>)]) -> Vec<i64> {
        let slot = Slot::new(1).expect("a slot");
        let trigger = SlotTrigger { input: 0, slot, above: 128, below: 102 };
        let mut watch = Watch::default();
        let at = |ms| ShowTime::ZERO + Span::from_millis(ms);
        let looks = levels.iter().filter(|(ms, level)| watch.look(&trigger, *level, at(*ms)));
        looks.map(|(ms, _)| *ms).collect()
    }

    #[test]
    fn it_fires_when_the_level_is_crossed_upward_and_again_only_after_it_was_well_below() {
        let levels = [0, 127, 128, 255, 110, 200, 101, 128].map(Some);
        let levels: Vec<_> = (0..).map(|step| step * 1000).zip(levels).collect();
        assert_eq!(fired(&levels), [2000, 7000]);
    }

    #[test]
    fn a_fader_that_stands_high_when_its_console_comes_back_fires_nothing() {
        let levels =
            [(0, None), (1000, Some(255)), (2000, Some(0)), (3000, None), (4000, Some(255))];
        assert_eq!(fired(&levels), [0_i64; 0]);
    }

    #[test]
    fn a_button_that_bounces_fires_once() {
        let levels = [(0, 0), (1, 255), (30, 0), (50, 255), (70, 0), (300, 255)];
        assert_eq!(fired(&levels.map(|(ms, level)| (ms, Some(level)))), [1, 300]);
    }
}
