//! An attribute with everything that has been ordered for it.
//!
//! *Owner*: a cue list, or nobody, who has what all lists have let go of. *Rank*: a list's priority; of those who
//! hold a lane only the highest rank is seen. Among equals intensities show the highest level (HTP), everything else
//! what came last (LTP). A lane never jumps by a change of owner: who takes it begins where the lamp stands.

use std::sync::Arc;

use units::{Level, ShowTime, Span};

use super::fade::{FOREVER, Fade, LONG_AGO, blend};
use super::plan::GRID;
use super::wave;
use crate::show::{Curve, Merge, Timing, Wave};

/// Who has ordered a move.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Owner {
    /// The list's priority; nobody's is below all.
    pub rank: i16,
    /// The index of the list.
    pub list: u16,
}

impl Owner {
    /// Whoever has what no list holds.
    pub const NOBODY: Self = Self { rank: i16::MIN, list: u16::MAX };
}

/// Where a move goes.
#[derive(Debug, Clone, PartialEq)]
pub enum Goal {
    Level(Level),
    /// Up and down with an effect, whose time counts from when the cue began.
    Wave(Arc<Wave>),
    /// Nowhere: the owner lets go.
    Free,
}

/// A fade of one lane.
#[derive(Debug, Clone, PartialEq)]
pub struct Move {
    pub owner: Owner,
    pub fade: Fade,
    pub from: Level,
    pub to: Goal,
    /// When the cue began that ordered it: what that cue still had to come falls away when a later cue of its list
    /// takes the lane.
    pub ordered: ShowTime,
}

impl Move {
    /// At rest, ever since.
    pub fn still(level: Level) -> Self {
        let (owner, fade, to) = (Owner::NOBODY, Fade::cut(LONG_AGO), Goal::Level(level));
        Self { owner, fade, from: level, to, ordered: LONG_AGO }
    }

    pub fn level(&self, at: ShowTime) -> Level {
        blend(self.from, self.goal(at), self.fade.weight(at))
    }

    /// From when on it stands still.
    pub fn stands(&self) -> ShowTime {
        if matches!(self.to, Goal::Wave(_)) { FOREVER } else { self.fade.end() }
    }

    fn goal(&self, at: ShowTime) -> Level {
        match &self.to {
            Goal::Level(to) => *to,
            Goal::Wave(it) => wave::level(it, self.ordered, at),
            Goal::Free => self.from,
        }
    }

    fn is_free(&self) -> bool {
        self.to == Goal::Free
    }
}

/// An attribute with its moves.
#[derive(Debug, Clone, PartialEq)]
pub struct Lane {
    pub merge: Merge,
    pub rest: Level,
    /// By their beginning; of those that begin together the last ordered is the last.
    moves: Vec<Move>,
}

impl Lane {
    pub fn new(merge: Merge, rest: Level) -> Self {
        Self { merge, rest, moves: Vec::new() }
    }

    /// Whether it has never been touched, or all has been forgotten.
    pub fn is_idle(&self) -> bool {
        self.moves.is_empty()
    }

    /// Where it stands.
    pub fn level(&self, at: ShowTime) -> Level {
        shown(&self.seen(at), at).unwrap_or(self.rest)
    }

    /// Whether nothing of it is seen; an effect that is down for a moment comes up again.
    pub fn is_out(&self, at: ShowTime) -> bool {
        if self.only_owner() {
            let waves = |it: &Move| matches!(it.to, Goal::Wave(_));
            let latest = self.latest(at).first();
            return latest
                .map_or(self.rest == Level::OUT, |it| !waves(it) && it.level(at) == Level::OUT);
        }
        let seen = self.seen(at);
        let waves = seen.iter().any(|it| matches!(it.to, Goal::Wave(_)));
        !waves && shown(&seen, at).unwrap_or(self.rest) == Level::OUT
    }

    /// A cue takes it.
    pub fn take(&mut self, owner: Owner, cue_at: ShowTime, timing: &Timing, to: Goal) {
        let at = cue_at + timing.delay;
        let replaced = |it: &Move| {
            it.owner == owner && (it.fade.at == at || it.fade.at > at && it.ordered <= cue_at)
        };
        self.moves.retain(|it| !replaced(it));
        let from = self.begins(owner, at);
        let falls = matches!(to, Goal::Level(to) if to < from);
        let span = timing.fall.filter(|_| falls).unwrap_or(timing.fade);
        let fade = Fade { at, span, curve: timing.curve };
        self.push(Move { owner, fade, from, to, ordered: cue_at });
        self.chain(at);
    }

    /// Every owner that has begun moves from where it stands to what `goal` says; later moves are forgotten, earlier
    /// ones are kept, since frames before `at` may still be to come.
    pub fn cut(&mut self, at: ShowTime, goal: impl Fn(Level) -> (Level, Span)) {
        let holding = self.holding(at);
        self.moves.retain(|it| it.fade.at < at);
        for it in holding {
            let from = it.level(at);
            let (to, span) = goal(from);
            let fade = Fade { at, span, curve: Curve::Linear };
            self.push(Move { owner: it.owner, fade, from, to: Goal::Level(to), ordered: at });
        }
    }

    /// As [`Self::cut`], to nothing; one that no cue has touched leaves its rest.
    pub fn go_out(&mut self, at: ShowTime, span: Span) {
        self.cut(at, |_| (Level::OUT, span));
        if self.holding(at).is_empty() && self.rest > Level::OUT {
            let fade = Fade { at, span, curve: Curve::Linear };
            let (owner, from, to) = (Owner::NOBODY, self.rest, Goal::Level(Level::OUT));
            self.push(Move { owner, fade, from, to, ordered: at });
        }
    }

    /// A list lets go. Whoever is beneath takes the lane back within `span`, to where that was going; nobody takes it
    /// to its rest.
    pub fn release(&mut self, owner: Owner, at: ShowTime, span: Span) {
        let level = self.level(at);
        let was_seen = self.seen(at).iter().any(|it| it.owner == owner && it.level(at) == level);
        let held = self.holding(at).iter().any(|it| it.owner == owner);
        self.moves.retain(|it| it.owner != owner || it.fade.at < at);
        if held {
            self.push(Move {
                owner,
                fade: Fade::cut(at),
                from: level,
                to: Goal::Free,
                ordered: at,
            });
        }
        if was_seen {
            self.fall_back(level, Fade { at, span, curve: Curve::Linear });
        }
        self.chain(at);
    }

    /// Those who are seen now begin at `level`, where the lamp stands.
    fn fall_back(&mut self, level: Level, fade: Fade) {
        let heirs = self.seen(fade.at);
        if heirs.is_empty() {
            let (owner, to) = (Owner::NOBODY, Goal::Level(self.rest));
            return self.push(Move { owner, fade, from: level, to, ordered: fade.at });
        }
        // Of several it is the brightest that goes on from there; the rest must only not come up at once.
        let goal = |(_, it): &(usize, &Move)| it.goal(fade.end());
        let brightest = heirs.iter().enumerate().max_by_key(goal).map(|(index, _)| index);
        for (index, heir) in heirs.into_iter().enumerate() {
            let stands = heir.level(fade.at);
            let from = if Some(index) == brightest { level } else { stands.min(level) };
            if from != stands {
                self.push(Move { fade, from, ..heir });
            }
        }
    }

    /// After a pause that began at `frozen`: what had not ended goes on so much later.
    pub fn shift(&mut self, frozen: ShowTime, by: Span) {
        // What has been replaced must not come to stand behind what replaced it.
        self.forget(frozen);
        for it in self.moves.iter_mut().filter(|it| it.stands() > frozen) {
            it.ordered += by;
            if it.fade.end() > frozen {
                it.fade.at += by;
            }
        }
    }

    /// Forgets what no frame from `now` on shows; gives whether there was anything.
    pub fn forget(&mut self, now: ShowTime) -> bool {
        let had = self.moves.len();
        if had < 2 {
            return false;
        }
        let replaced = |index: usize| {
            let it = &self.moves[index];
            let by = |later: &Move| later.owner == it.owner && later.fade.at <= now;
            self.moves[index + 1..].iter().any(by) || it.is_free() && it.fade.at <= now
        };
        let replaced: Vec<bool> = (0..self.moves.len()).map(replaced).collect();
        let mut replaced = replaced.into_iter();
        self.moves.retain(|_| !replaced.next().expect("one for each"));
        self.moves.len() < had
    }

    /// Tells what is seen from `since` on, stretch by stretch: from when until when (the first begins long ago), and
    /// the moves of which the highest is seen; none while it rests.
    pub fn each_stretch(&self, since: ShowTime, mut tell: impl FnMut(ShowTime, ShowTime, &[Move])) {
        let mut begin = LONG_AGO;
        let mut stretch = |lane: &Self, end: ShowTime| {
            match lane.only_owner() {
                // As a rule one list has all of a lane.
                true => tell(begin, end, lane.latest(begin.max(since))),
                false => tell(begin, end, &lane.worth_drawing(begin.max(since))),
            }
            begin = end;
        };
        let mut last = since;
        for it in self.moves.iter().filter(|it| it.fade.at > since) {
            if it.fade.at > last {
                stretch(self, it.fade.at);
                last = it.fade.at;
            }
        }
        stretch(self, FOREVER);
    }

    fn only_owner(&self) -> bool {
        let first = self.moves.first();
        self.moves.iter().all(|it| Some(it.owner) == first.map(|it| it.owner) && !it.is_free())
    }

    /// The latest move that has begun, whosoever.
    fn latest(&self, at: ShowTime) -> &[Move] {
        let begun = self.moves.partition_point(|it| it.fade.at <= at);
        &self.moves[begun.saturating_sub(1)..begun]
    }

    /// What is seen from `at` on, without those who stand still below another who does.
    fn worth_drawing(&self, at: ShowTime) -> Vec<Move> {
        let mut seen = self.seen(at);
        let stands = |it: &Move| it.stands() + GRID <= at;
        let highest = seen.iter().filter(|it| stands(it)).map(|it| it.level(at)).max();
        let mut first = true;
        seen.retain(|it| {
            !stands(it) || Some(it.level(at)) == highest && std::mem::take(&mut first)
        });
        seen
    }

    /// Where a move of that owner would begin.
    fn begins(&self, owner: Owner, at: ShowTime) -> Level {
        if self.only_owner() && self.moves.first().is_none_or(|it| it.owner == owner) {
            return self.latest(at).first().map_or(self.rest, |it| it.level(at));
        }
        let seen = self.seen(at);
        let Some(first) = seen.first() else { return self.rest };
        let own = self.holding(at).into_iter().find(|it| it.owner == owner);
        let own = own.map(|it| it.level(at));
        match self.merge {
            _ if owner.rank > first.owner.rank => shown(&seen, at).unwrap_or(self.rest),
            Merge::Ltp if owner.rank == first.owner.rank => shown(&seen, at).unwrap_or(self.rest),
            Merge::Ltp => own.unwrap_or(self.rest),
            Merge::Htp => own.unwrap_or(Level::OUT),
        }
    }

    /// Every move after `since` begins where those before it have brought the lane.
    fn chain(&mut self, since: ShowTime) {
        if self.moves.last().is_none_or(|it| it.fade.at <= since) {
            return;
        }
        for mut it in std::mem::take(&mut self.moves) {
            if it.fade.at > since && !it.is_free() {
                it.from = self.begins(it.owner, it.fade.at);
            }
            self.moves.push(it);
        }
    }

    fn push(&mut self, it: Move) {
        // A lane has one move as a rule, and a show has more than a million lanes.
        self.moves.reserve_exact(1);
        let place = self.moves.partition_point(|other| other.fade.at <= it.fade.at);
        self.moves.insert(place, it);
    }

    /// The latest move of every owner that has begun and not let go, in the order of their beginnings.
    fn holding(&self, at: ShowTime) -> Vec<Move> {
        let mut holding: Vec<Move> = Vec::new();
        for it in self.moves.iter().take_while(|it| it.fade.at <= at) {
            holding.retain(|other| other.owner != it.owner);
            holding.push(it.clone());
        }
        holding.retain(|it| !it.is_free());
        holding
    }

    /// Those of them that are seen: all of the highest rank by HTP, the last of these by LTP.
    fn seen(&self, at: ShowTime) -> Vec<Move> {
        let mut holding = self.holding(at);
        let rank = holding.iter().map(|it| it.owner.rank).max();
        holding.retain(|it| Some(it.owner.rank) == rank);
        if self.merge == Merge::Ltp {
            holding.drain(..holding.len().saturating_sub(1));
        }
        holding
    }
}

fn shown(seen: &[Move], at: ShowTime) -> Option<Level> {
    seen.iter().map(|it| it.level(at)).max()
}
