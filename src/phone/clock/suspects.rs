//! Exchanges that came too early: a clock was moved, or the way is another.
//!
//! In: exchanges that lie below their floors. Out: a verdict, as soon as there is one. Never: those that do not.
//!
//! No packet beats its way. If one direction came early by as much as the other came late, a clock was moved (the
//! phone slept, the box was replaced); else the way is shorter. One answer may be a mistake, so it takes two or
//! a handful. Only a phone whose clock stood still while it slept shows in one: the box's answer comes back long
//! before it was sent, which no way and no queue can do.

use super::fit::Row;

/// One that came early.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Suspect {
    pub(super) row: Row,
    /// How far above the floors, going and coming back; one at least is far below.
    pub(super) over: (f64, f64),
}

/// How far below its floor an exchange may lie and be of the same way, and of the same clock.
#[derive(Debug, Clone, Copy)]
pub(super) struct Slack {
    pub(super) near: f64,
    pub(super) far: f64,
    /// By how much both directions together may be shorter: a way has no length below nothing.
    pub(super) whole: f64,
}

/// What they prove.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) enum Verdict {
    /// Nothing yet.
    Open,
    /// The box's lead grew by so much.
    Stepped(f64),
    /// The way is another.
    OtherWay,
    /// The floors were wrong.
    Misfit,
}

const FEW: usize = 3;
const ENOUGH: usize = 8;
/// What was early so long ago proves nothing any more, seconds.
const MEMORY_SECS: f64 = 20.0;

/// The last of them.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Suspects {
    kept: [Suspect; ENOUGH],
    count: usize,
    /// A usual one came between: the clock was not moved.
    is_usual_between: bool,
}

impl Suspects {
    pub(super) fn handle_usual(&mut self) {
        self.is_usual_between |= self.count > 0;
    }

    pub(super) fn handle(&mut self, new: Suspect, slack: Slack) -> Verdict {
        self.forget(new.row.at - MEMORY_SECS);
        if self.with(new) < -slack.whole {
            // No way is that short: the clock was moved in between.
            self.count = 0;
        }
        if self.count == 0 {
            self.is_usual_between = false;
        }
        self.kept[self.count] = new;
        self.count += 1;
        let (up, down) = self.lowest();
        let (by, both) = ((up - down) / 2.0, up + down);
        let is_far = by.abs() > slack.far;
        let is_step = both.abs() < slack.near + 0.1 * by.abs() && !self.is_usual_between;
        let slept = new.over.1 < -20.0 * slack.far && new.over.0 > 0.0;
        match self.count {
            1 if slept => Verdict::Stepped((new.over.0 - new.over.1) / 2.0),
            2 if is_far && is_step => Verdict::Stepped(by),
            // Both ways together are shorter, which no moved clock does.
            FEW.. if both < -slack.near => Verdict::OtherWay,
            // One direction early and the other late, and usual ones between: no clock was moved, no way is shorter.
            FEW.. if self.is_usual_between => Verdict::Misfit,
            ENOUGH if is_step => Verdict::Stepped(by),
            ENOUGH => Verdict::OtherWay,
            _ => Verdict::Open,
        }
    }

    /// When the first was early.
    pub(super) fn since(&self) -> f64 {
        self.kept[0].row.at
    }

    pub(super) fn rows(&self) -> impl Iterator<Item = Row> {
        self.kept.into_iter().take(self.count).map(|it| it.row)
    }

    fn lowest(&self) -> (f64, f64) {
        self.kept[..self.count].iter().fold((f64::INFINITY, f64::INFINITY), |low, it| {
            (low.0.min(it.over.0), low.1.min(it.over.1))
        })
    }

    /// How far below both floors together they lie with one more.
    fn with(&self, new: Suspect) -> f64 {
        let (up, down) = self.lowest();
        up.min(new.over.0) + down.min(new.over.1)
    }

    fn forget(&mut self, before: f64) {
        let old = self.kept[..self.count].iter().take_while(|it| it.row.at < before).count();
        self.kept.rotate_left(old);
        self.count -= old;
    }
}
