//! An attribute with everything that has been ordered for it.
//!
//! *Owner*: a cue list, or nobody, who has what all lists have let go of. *Rank*: a list's priority; of those who
//! hold a lane only the highest rank is seen. Among equals intensities show the highest level (HTP), everything else
//! what came last (LTP). A lane never jumps by a change of owner: who takes it begins where the lamp stands.

use units::{Level, ShowTime, Span};

use super::fade::{Fade, blend};
use super::plan::GRID;
use crate::show::{Curve, Merge, Timing};

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

/// A fade of one lane.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Move {
    pub owner: Owner,
    pub fade: Fade,
    pub from: Level,
    /// Where to; none lets the lane go.
    pub to: Option<Level>,
    /// When the cue began that ordered it: what that cue still had to come falls away when a later cue of its list
    /// takes the lane.
    pub ordered: ShowTime,
}

impl Move {
    pub fn level(&self, at: ShowTime) -> Level {
        self.to.map_or(self.from, |to| blend(self.from, to, self.fade.weight(at)))
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

/// What a lane shows from a time on, until the next such time.
#[derive(Debug, Clone, PartialEq)]
pub struct Stretch {
    /// From when on; the first holds before it, too.
    pub from: ShowTime,
    /// What is seen: the highest of these. None: it rests.
    pub seen: Vec<Move>,
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

    /// A cue takes it.
    pub fn take(&mut self, owner: Owner, cue_at: ShowTime, timing: &Timing, to: Level) {
        let fade = Fade { at: cue_at + timing.delay, span: timing.fade, curve: timing.curve };
        let replaced = |it: &Move| {
            it.owner == owner
                && (it.fade.at == fade.at || it.fade.at > fade.at && it.ordered <= cue_at)
        };
        self.moves.retain(|it| !replaced(it));
        let from = self.begins(owner, fade.at);
        self.push(Move { owner, fade, from, to: Some(to), ordered: cue_at });
        self.chain(fade.at);
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
            self.push(Move { owner: it.owner, fade, from, to: Some(to), ordered: at });
        }
    }

    /// As [`Self::cut`], to nothing; one that no cue has touched leaves its rest.
    pub fn go_out(&mut self, at: ShowTime, span: Span) {
        self.cut(at, |_| (Level::OUT, span));
        if self.holding(at).is_empty() && self.rest > Level::OUT {
            let fade = Fade { at, span, curve: Curve::Linear };
            let (owner, from, to) = (Owner::NOBODY, self.rest, Some(Level::OUT));
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
            self.push(Move { owner, fade: Fade::cut(at), from: level, to: None, ordered: at });
        }
        if was_seen {
            self.fall_back(level, Fade { at, span, curve: Curve::Linear });
        }
        self.chain(at);
    }

    /// Those who are seen now begin at `level`, where the lamp stands.
    fn fall_back(&mut self, level: Level, fade: Fade) {
        let mut heirs = self.seen(fade.at);
        // Of several it is the brightest that goes on from there; the rest must only not come up at once.
        let brightest =
            heirs.iter().enumerate().max_by_key(|(_, it)| it.to).map(|(index, _)| index);
        for (index, heir) in heirs.iter_mut().enumerate() {
            let stands = heir.level(fade.at);
            let from = if Some(index) == brightest { level } else { stands.min(level) };
            if from != stands {
                self.push(Move { fade, from, ..*heir });
            }
        }
        if heirs.is_empty() {
            let (owner, to) = (Owner::NOBODY, Some(self.rest));
            self.push(Move { owner, fade, from: level, to, ordered: fade.at });
        }
    }

    /// After a pause that began at `frozen`: what had not ended goes on so much later.
    pub fn shift(&mut self, frozen: ShowTime, by: Span) {
        // What has been replaced must not come to stand behind what replaced it.
        self.forget(frozen);
        for it in self.moves.iter_mut().filter(|it| it.fade.end() > frozen) {
            it.fade.at += by;
            it.ordered += by;
        }
    }

    /// Forgets what no frame from `now` on shows.
    pub fn forget(&mut self, now: ShowTime) {
        let kept = self.moves.clone();
        let replaced = |(index, it): (usize, &Move)| {
            let by = |later: &Move| later.owner == it.owner && later.fade.at <= now;
            kept[index + 1..].iter().any(by) || it.to.is_none() && it.fade.at <= now
        };
        let mut replaced = kept.iter().enumerate().map(replaced);
        self.moves.retain(|_| !replaced.next().expect("one for each"));
    }

    /// What it shows from `since` on, stretch by stretch.
    pub fn stretches(&self, since: ShowTime) -> Vec<Stretch> {
        let mut from: Vec<ShowTime> = self.moves.iter().map(|it| it.fade.at).collect();
        from.retain(|at| *at > since);
        from.insert(0, since);
        from.dedup();
        from.into_iter().map(|from| Stretch { from, seen: self.worth_drawing(from) }).collect()
    }

    /// What is seen from `at` on, without those who stand still below another who does.
    fn worth_drawing(&self, at: ShowTime) -> Vec<Move> {
        let mut seen = self.seen(at);
        let stands = |it: &Move| it.fade.end() + GRID <= at;
        let highest = seen.iter().filter(|it| stands(it)).map(|it| it.level(at)).max();
        let mut first = true;
        seen.retain(|it| {
            !stands(it) || Some(it.level(at)) == highest && std::mem::take(&mut first)
        });
        seen
    }

    /// Where a move of that owner would begin.
    fn begins(&self, owner: Owner, at: ShowTime) -> Level {
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
        let all = std::mem::take(&mut self.moves);
        for mut it in all {
            if it.fade.at > since && it.to.is_some() {
                it.from = self.begins(it.owner, it.fade.at);
            }
            self.moves.push(it);
        }
    }

    fn push(&mut self, it: Move) {
        let place = self.moves.partition_point(|other| other.fade.at <= it.fade.at);
        self.moves.insert(place, it);
    }

    /// The latest move of every owner that has begun and not let go, in the order of their beginnings.
    fn holding(&self, at: ShowTime) -> Vec<Move> {
        let mut holding: Vec<Move> = Vec::new();
        for it in self.moves.iter().take_while(|it| it.fade.at <= at) {
            holding.retain(|other| other.owner != it.owner);
            holding.push(*it);
        }
        holding.retain(|it| it.to.is_some());
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
