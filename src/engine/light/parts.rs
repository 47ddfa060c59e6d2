//! Light that is sent by several threads, each the universes of some phases of the grid, is one frame all the same.
//!
//! In: what each part sent of a frame. Out: a report of the whole frame, once every part has told of it.
//! Never here: threads.

use std::collections::BTreeMap;

use units::ShowTime;

use crate::order::Evidence;
use crate::told::FrameReport;

/// Half of what a core sends flat out, so that it keeps up when all of them move and something else wants the core.
const UNIVERSES_A_PART: usize = 2000;
/// Frames that wait for a part. A part that lost one to a stall never tells of it; the next frame closes its orders.
const WAITING_MAX: usize = 8;

/// How many threads share so many universes where there are so many cores and phases: one until its core is full.
pub fn how_many(universes: usize, cores: usize, phases: u16) -> usize {
    universes.div_ceil(UNIVERSES_A_PART).clamp(1, cores.clamp(1, phases.into()))
}

/// What a part did with a frame.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Part {
    /// The grid instant.
    pub instant: ShowTime,
    /// The oldest plan that it drew from.
    pub plan: u64,
    /// The newest that it knows of.
    pub newest: u64,
    /// Until when frames of that are told of ([`super::Plan::awaited`]).
    pub awaited: Option<ShowTime>,
    /// When its last packet left and how we know; none if the rules asked for none.
    pub left: Option<(ShowTime, Evidence)>,
}

/// Puts parts together.
#[derive(Debug, Clone)]
pub struct Frames {
    parts: usize,
    /// The plan of which nobody waits to hear any more.
    settled: Option<u64>,
    waiting: BTreeMap<ShowTime, Waiting>,
}

#[derive(Debug, Clone)]
struct Waiting {
    heard: usize,
    plan: u64,
    newest: u64,
    awaited: Option<ShowTime>,
    left: Option<(ShowTime, Evidence)>,
}

impl Frames {
    /// Of so many parts.
    pub fn new(parts: usize) -> Self {
        Self { parts, settled: None, waiting: BTreeMap::new() }
    }

    /// Another part; the frame's report if it was the last one, anything left, and somebody waits to hear of it: whoever
    /// is told of a frame is woken, and nobody needs that 43 times a second.
    pub fn add(&mut self, part: &Part) -> Option<FrameReport> {
        let empty = Waiting { heard: 0, plan: u64::MAX, newest: 0, awaited: None, left: None };
        let frame = self.waiting.entry(part.instant).or_insert(empty);
        frame.heard += 1;
        frame.plan = frame.plan.min(part.plan);
        if part.newest >= frame.newest {
            (frame.newest, frame.awaited) = (part.newest, part.awaited);
        }
        frame.left = later(frame.left, part.left);
        if frame.heard < self.parts {
            self.forget();
            return None;
        }
        let Waiting { plan, newest, awaited, left, .. } = self.waiting.remove(&part.instant)?;
        let (left, evidence) = left?;
        let awaits = self.awaits(part.instant, plan, (newest, awaited));
        awaits.then_some(FrameReport { instant: part.instant, plan, left, evidence })
    }

    /// Whether anybody waits for this frame; the one that brings what was waited for last is the last.
    fn awaits(
        &mut self,
        instant: ShowTime,
        plan: u64,
        (newest, awaited): (u64, Option<ShowTime>),
    ) -> bool {
        let Some(awaited) = awaited else { return true };
        let awaits = self.settled != Some(newest);
        if plan >= newest && instant >= awaited {
            self.settled = Some(newest);
        }
        awaits
    }

    fn forget(&mut self) {
        while self.waiting.len() > WAITING_MAX {
            self.waiting.pop_first();
        }
    }
}

/// The later of two, known no better than the worse known of them.
fn later(
    one: Option<(ShowTime, Evidence)>,
    other: Option<(ShowTime, Evidence)>,
) -> Option<(ShowTime, Evidence)> {
    let (Some(one), Some(other)) = (one, other) else { return one.or(other) };
    let evidence = if one.1 == Evidence::AfterSend { one.1 } else { other.1 };
    Some((one.0.max(other.0), evidence))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn part(instant: i64, plan: u64, left: Option<(i64, Evidence)>) -> Part {
        let at = ShowTime::from_ns;
        let left = left.map(|(left, how)| (at(left), how));
        Part { instant: at(instant), plan, newest: plan, awaited: None, left }
    }

    #[test]
    fn a_frame_is_told_of_when_its_last_part_has_left() {
        let mut frames = Frames::new(2);
        assert_eq!(frames.add(&part(0, 7, Some((30, Evidence::KernelTransmit)))), None);
        let told = frames.add(&part(0, 6, Some((20, Evidence::AfterSend)))).expect("both are in");
        assert_eq!((told.plan, told.left.ns(), told.evidence), (6, 30, Evidence::AfterSend));
    }

    #[test]
    fn a_part_that_sent_nothing_delays_nobody() {
        let mut frames = Frames::new(2);
        assert_eq!(frames.add(&part(0, 7, None)), None);
        assert!(frames.add(&part(0, 7, Some((20, Evidence::AfterSend)))).is_some());
        assert_eq!(frames.add(&part(23, 7, None)), None);
        assert_eq!(frames.add(&part(23, 7, None)), None, "nothing left at all");
    }

    #[test]
    fn a_stalled_part_costs_nothing_but_its_own_frames() {
        let mut frames = Frames::new(2);
        for instant in 0..1000 {
            assert_eq!(frames.add(&part(instant, 7, Some((instant, Evidence::AfterSend)))), None);
        }
        assert!(frames.waiting.len() <= WAITING_MAX);
        assert!(frames.add(&part(999, 7, None)).is_some());
    }

    #[test]
    fn frames_are_told_of_until_what_was_ordered_last_has_left_by_all_parts() {
        let mut frames = Frames::new(2);
        let mut told = |instant, plans: [u64; 2], newest, awaited| {
            let part = |plan| Part {
                newest,
                awaited: Some(ShowTime::from_ns(awaited)),
                ..part(instant, plan, Some((instant, Evidence::AfterSend)))
            };
            assert_eq!(frames.add(&part(plans[0])), None);
            frames.add(&part(plans[1])).is_some()
        };
        assert!(told(0, [1, 1], 1, 46), "it begins later");
        assert!(told(23, [1, 1], 1, 46));
        assert!(told(46, [1, 1], 1, 46), "it has begun");
        assert!(!told(69, [1, 1], 1, 46));
        assert!(told(92, [1, 2], 2, 69), "a part of it was drawn before the order came");
        assert!(told(115, [2, 2], 2, 69));
        assert!(!told(138, [2, 2], 2, 69));
    }

    #[test]
    fn a_second_core_takes_some_when_the_first_is_full() {
        let of = |universes| how_many(universes, 4, 16);
        assert_eq!([0, 1, 2000, 2001, 7000, 60_000].map(of), [1, 1, 1, 2, 4, 4]);
        assert_eq!(how_many(60_000, 1, 16), 1);
    }
}
