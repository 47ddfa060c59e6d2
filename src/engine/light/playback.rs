//! The engine's side of light: takes come in, plans go out.

use std::sync::Arc;

use units::{Level, ShowTime, Slot, Span, Universe};

use super::plan::{Lane, Move, Plan, UniversePlan};
use crate::show::{Curve, Merge, Show, Target};

/// A cue's claim on slots.
#[derive(Debug, Clone, PartialEq)]
pub struct Take<'a> {
    /// Index of the cue list.
    pub list: usize,
    /// When the fade begins.
    pub at: ShowTime,
    /// How long it takes.
    pub span: Span,
    /// How it moves.
    pub curve: Curve,
    /// Where to.
    pub targets: &'a [Target],
}

/// Everything that light does, now and as far ahead as it has been ordered.
#[derive(Debug, Clone)]
pub struct Playback {
    plan: Plan,
}

impl Playback {
    /// Every fixture at rest.
    pub fn new(show: &Show) -> Self {
        let universes =
            show.universes.keys().map(|&universe| Arc::new(at_rest(show, universe))).collect();
        Self { plan: Plan { serial: 0, frozen: None, universes } }
    }

    /// The plan as it stands, the `serial`th that is handed out; cheap, universes are shared.
    pub fn plan(&self, serial: u64) -> Arc<Plan> {
        Arc::new(Plan { serial, ..self.plan.clone() })
    }

    /// A cue takes its slots. What was ordered for these slots for later begins where the take will have them by then.
    pub fn take(&mut self, take: &Take) {
        for targets in take.targets.chunk_by(|one, next| one.universe == next.universe) {
            let Some(universe) = self.universe_mut(targets[0].universe) else { continue };
            for target in targets {
                if let Some(lane) = universe.lane_mut(target.slot) {
                    lane.take(take, target.level);
                }
            }
        }
    }

    /// Every fade ends where it is; what was ordered for later is forgotten.
    pub fn hold(&mut self, at: ShowTime) {
        self.each_lane(|lane| lane.cut(at, |level| (level, Span::ZERO)));
    }

    /// Every intensity goes out within `span`; the rest stays where it is, so that nothing turns in the dark.
    pub fn black(&mut self, at: ShowTime, span: Span) {
        for universe in &mut self.plan.universes {
            Arc::make_mut(universe).lanes.iter_mut().for_each(|lane| match lane.merge {
                Merge::Htp => lane.go_out(at, span),
                Merge::Ltp => lane.cut(at, |level| (level, Span::ZERO)),
            });
        }
    }

    /// A pause: from `at` on everything stands.
    pub fn freeze(&mut self, at: ShowTime) {
        self.plan.frozen.get_or_insert(at);
    }

    /// The end of a pause: what was moving, or ordered, goes on from where it stood.
    pub fn thaw(&mut self, at: ShowTime) {
        let Some(frozen) = self.plan.frozen.take() else { return };
        self.each_lane(|lane| lane.shift(frozen, at - frozen));
    }

    /// Forgets moves that later ones have replaced.
    pub fn forget(&mut self, now: ShowTime) {
        let now = self.plan.shown(now);
        self.each_lane(|lane| lane.forget(now));
    }

    /// Where a slot's lane stands; none if nothing is patched there.
    pub fn level(&self, universe: Universe, slot: Slot, at: ShowTime) -> Option<Level> {
        let lanes = &self.plan.universe(universe)?.lanes;
        let index = lanes.binary_search_by_key(&slot, |lane| lane.slot).ok()?;
        Some(lanes[index].level(self.plan.shown(at)))
    }

    fn universe_mut(&mut self, universe: Universe) -> Option<&mut UniversePlan> {
        let index = self.plan.universes.binary_search_by_key(&universe, |it| it.universe).ok()?;
        Some(Arc::make_mut(&mut self.plan.universes[index]))
    }

    fn each_lane(&mut self, mut change: impl FnMut(&mut Lane)) {
        for universe in &mut self.plan.universes {
            if universe.lanes.iter().any(|lane| !lane.moves.is_empty()) {
                Arc::make_mut(universe).lanes.iter_mut().for_each(&mut change);
            }
        }
    }
}

fn at_rest(show: &Show, universe: Universe) -> UniversePlan {
    let mut lanes: Vec<Lane> = Vec::new();
    for fixture in show.fixtures.iter().filter(|fixture| fixture.universe == universe) {
        for channel in &fixture.channels {
            let slot = Slot::new(u32::from(fixture.address.number() + channel.offset))
                .expect("check refuses a fixture that reaches beyond its universe");
            let (width, merge, rest) = (channel.width, channel.merge, channel.rest);
            lanes.push(Lane { slot, width, merge, rest, moves: Vec::new() });
        }
    }
    lanes.sort_by_key(|lane| lane.slot);
    UniversePlan { universe, lanes }
}

impl UniversePlan {
    fn lane_mut(&mut self, slot: Slot) -> Option<&mut Lane> {
        let index = self.lanes.binary_search_by_key(&slot, |lane| lane.slot).ok()?;
        Some(&mut self.lanes[index])
    }
}

impl Lane {
    fn take(&mut self, take: &Take, to: Level) {
        let layer = match self.merge {
            Merge::Htp => take.list,
            Merge::Ltp => 0,
        };
        let from = self.layer_level(layer, take.at).unwrap_or(self.rest);
        let taken = Move { layer, at: take.at, span: take.span, curve: take.curve, from, to };
        self.moves.retain(|it| it.layer != layer || it.at != take.at);
        self.moves.push(taken);
        self.moves.sort_by_key(|it| (it.layer, it.at));
        self.chain(layer, take.at);
    }

    /// Every move of a layer after `since` begins where the one before it has brought the lane.
    fn chain(&mut self, layer: usize, since: ShowTime) {
        let later = |it: &Move| it.layer == layer && it.at > since;
        for index in 1..self.moves.len() {
            let (before, it) = (self.moves[index - 1], self.moves[index]);
            if later(&it) {
                self.moves[index].from = before.level(it.at);
            }
        }
    }

    /// Every layer that has begun moves from where it stands at `at` to what `goal` says; later moves are forgotten,
    /// earlier ones are kept, since frames before `at` may still be to come.
    fn cut(&mut self, at: ShowTime, goal: impl Fn(Level) -> (Level, Span)) {
        let stands: Vec<(usize, Level)> = self
            .layers()
            .filter_map(|moves| {
                self.layer_level(moves[0].layer, at).map(|level| (moves[0].layer, level))
            })
            .collect();
        self.moves.retain(|it| it.at < at);
        for (layer, from) in stands {
            let (to, span) = goal(from);
            self.moves.push(Move { layer, at, span, curve: Curve::Linear, from, to });
        }
        self.moves.sort_by_key(|it| (it.layer, it.at));
    }

    /// As [`Self::cut`], to nothing; one that no cue has touched leaves its rest.
    fn go_out(&mut self, at: ShowTime, span: Span) {
        self.cut(at, |_| (Level::OUT, span));
        if self.moves.is_empty() && self.rest > Level::OUT {
            let (layer, curve, from, to) = (0, Curve::Linear, self.rest, Level::OUT);
            self.moves.push(Move { layer, at, span, curve, from, to });
        }
    }

    fn shift(&mut self, frozen: ShowTime, by: Span) {
        // What has been replaced must not come to stand behind what replaced it.
        self.forget(frozen);
        for it in self.moves.iter_mut().filter(|it| it.end() > frozen) {
            it.at += by;
        }
    }

    fn forget(&mut self, now: ShowTime) {
        let kept = self.moves.clone();
        let replaced = |it: &Move| {
            kept.iter().any(|later| later.layer == it.layer && later.at > it.at && later.at <= now)
        };
        self.moves.retain(|it| !replaced(it));
    }
}
