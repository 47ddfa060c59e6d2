//! How often one socket may say something (BL-08).
//!
//! Not the window of `/ws`, which lets its share through however much is asked: here one too many closes the ear for a
//! whole second, and then all is forgotten.

use std::collections::VecDeque;

use units::{MonoTime, Span};

/// In any rolling second.
pub(super) const MESSAGES_MAX: usize = 20;

const SECOND: Span = Span::from_secs(1);

/// Of one socket, over its life.
#[derive(Debug, Default)]
pub(super) struct Rate {
    past: VecDeque<MonoTime>,
    shut_until: Option<MonoTime>,
}

/// What becomes of a message.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Verdict {
    /// It counts.
    Pass,
    /// It is the one too many: dropped, as is whatever comes within a second.
    Shut,
    /// It came within that second.
    Drop,
}

impl Rate {
    pub(super) fn judge(&mut self, now: MonoTime) -> Verdict {
        if self.shut_until.is_some_and(|until| now < until) {
            return Verdict::Drop;
        }
        self.shut_until = None;
        while self.past.front().is_some_and(|&first| now - first >= SECOND) {
            self.past.pop_front();
        }
        if self.past.len() < MESSAGES_MAX {
            self.past.push_back(now);
            return Verdict::Pass;
        }
        self.past.clear();
        self.shut_until = Some(now + SECOND);
        Verdict::Shut
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn ms(ms: i64) -> MonoTime {
        MonoTime::from_ns(ms * 1_000_000)
    }

    fn judged(rate: &mut Rate, times: impl IntoIterator<Item = i64>) -> Vec<Verdict> {
        times.into_iter().map(|at| rate.judge(ms(at))).collect()
    }

    #[test]
    fn bl08_twenty_pass_the_next_shuts_and_a_second_later_twenty_pass_again() {
        let mut rate = Rate::default();
        assert_eq!(judged(&mut rate, 0..20), [Verdict::Pass; 20]);
        assert_eq!(judged(&mut rate, [20]), [Verdict::Shut]);
        assert_eq!(judged(&mut rate, [21, 500, 1019]), [Verdict::Drop; 3]);
        assert_eq!(judged(&mut rate, 1020..1040), [Verdict::Pass; 20]);
        assert_eq!(judged(&mut rate, [1041]), [Verdict::Shut]);
    }

    #[test]
    fn bl08_what_is_said_while_the_ear_is_shut_does_not_keep_it_shut() {
        let mut rate = Rate::default();
        judged(&mut rate, 0..21);
        assert_eq!(judged(&mut rate, 21..1020), [Verdict::Drop; 999]);
        assert_eq!(judged(&mut rate, [1020]), [Verdict::Pass]);
    }

    #[test]
    fn bl08_the_second_rolls() {
        let mut rate = Rate::default();
        assert_eq!(judged(&mut rate, 0..10), [Verdict::Pass; 10]);
        assert_eq!(judged(&mut rate, 600..610), [Verdict::Pass; 10]);
        assert_eq!(judged(&mut rate, 1000..1010), [Verdict::Pass; 10], "the first ten are past");
        assert_eq!(judged(&mut rate, [1011]), [Verdict::Shut], "the second ten are not");
    }

    proptest! {
        #[test]
        fn bl08_no_second_holds_more_than_twenty_and_nobody_is_shut_out_without_cause(
            gaps in prop::collection::vec(0_i64..120, 1..400)
        ) {
            let (mut rate, mut now, mut passed) = (Rate::default(), 0, Vec::new());
            for gap in gaps {
                now += gap;
                match rate.judge(ms(now)) {
                    Verdict::Pass => passed.push(now),
                    Verdict::Shut => {
                        let near = passed.iter().rev().take_while(|&&at| now - at < 1000).count();
                        prop_assert_eq!(near, MESSAGES_MAX);
                    }
                    Verdict::Drop => {}
                }
            }
            for many in passed.windows(MESSAGES_MAX + 1) {
                prop_assert!(many[MESSAGES_MAX] - many[0] >= 1000);
            }
        }
    }
}
