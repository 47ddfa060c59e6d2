//! The way to the likeliest curve, a slice at a time.
//!
//! In: a curve to begin with, rows, as much work as is left. Out: the likeliest curve near it. Never: which rows.
//!
//! First no floor may lie above what lies on it; then we look at all rows under the curve, step where they pull, and
//! look again. A step that does not help is taken back and tried shorter: where many waits are long and few are
//! short, the top is a narrow ridge.

use std::collections::VecDeque;

use super::excess::Excess;
use super::fit::{BENDS, BENDS_AT, Fit, Prior, Row};
use super::view::{Segment, View};
use super::work::{Work, cost};

/// A climb under way. Until it ends the rows before `end` stay where they are, and so do the ways' tables.
#[derive(Debug, Clone, Copy)]
pub(super) struct Climb {
    best: Fit,
    /// What was seen from there.
    view: Option<View>,
    caution: f64,
    prior: Prior,
    /// The pass over the rows that is under way.
    pass: Pass,
    next: usize,
    end: usize,
    looks: usize,
}

#[derive(Debug, Clone, Copy)]
#[expect(clippy::large_enum_variant, reason = "there is one, and a box would ask the heap")]
enum Pass {
    /// How far below the floors the lowest lie, going and coming back.
    Lowest(f64, f64),
    Look(Look),
}

/// A curve, and what has been seen of it.
#[derive(Debug, Clone, Copy)]
struct Look {
    fit: Fit,
    view: View,
    segment: Segment,
    bends: usize,
}

/// The two directions' waits and the edges below which rounding does not reach.
pub(super) struct Ways<'a> {
    pub(super) up: &'a mut Excess,
    pub(super) down: &'a mut Excess,
    pub(super) edges: (f64, f64),
}

impl Climb {
    /// From `fit`, looking at the first `end` rows so many times.
    pub(super) fn new(fit: Fit, prior: Prior, end: usize, looks: usize) -> Self {
        let (view, caution, pass) = (None, fit.caution, Pass::Lowest(0.0, 0.0));
        Self { best: fit, view, caution, prior, pass, next: 0, end, looks }
    }

    /// Climbs on; gives the curve once it is found.
    pub(super) fn work(
        &mut self,
        rows: &VecDeque<Row>,
        ways: &mut Ways<'_>,
        work: &mut Work,
    ) -> Option<Fit> {
        loop {
            let steps = work.steps(self.end - self.next, 1);
            self.pass(rows.range(self.next..self.next + steps), ways);
            self.next += steps;
            if self.next < self.end || !work.step(cost::PASS) {
                return None;
            }
            match self.next_look() {
                Some(fit) => self.begin(fit, ways),
                None => return self.found(rows, ways),
            }
        }
    }

    fn pass<'r>(&mut self, rows: impl Iterator<Item = &'r Row>, ways: &mut Ways<'_>) {
        match &mut self.pass {
            Pass::Lowest(up, down) => rows.for_each(|row| {
                let over = self.best.over(*row, ways.edges);
                (*up, *down) = (up.min(over.0), down.min(over.1));
            }),
            Pass::Look(look) => rows.for_each(|row| look.hear(*row, ways)),
        }
    }

    /// All rows were heard: what to look at next.
    fn next_look(&mut self) -> Option<Fit> {
        match self.pass {
            Pass::Lowest(up, down) => self.best = self.best.lowered((up, down)),
            Pass::Look(mut look) => self.compare(look.fit, look.over()),
        }
        let Some(view) = &self.view else { return Some(self.best) };
        self.looks = self.looks.checked_sub(1).filter(|looks| *looks > 0)?;
        self.best.stepped_by(view, self.caution)
    }

    fn begin(&mut self, fit: Fit, ways: &mut Ways<'_>) {
        ways.up.forget_seen();
        ways.down.forget_seen();
        self.pass = Pass::Look(Look::new(fit, &self.prior));
        self.next = 0;
    }

    fn compare(&mut self, fit: Fit, seen: View) {
        match &self.view {
            Some(view) if seen.likelihood >= view.likelihood => {
                self.caution = (self.caution / 3.0).max(0.05);
            }
            Some(_) => return self.caution = (self.caution * 6.0).min(1e6),
            None => {}
        }
        (self.best, self.view) = (fit, Some(seen));
    }

    fn found(&self, rows: &VecDeque<Row>, ways: &Ways<'_>) -> Option<Fit> {
        let (mut best, view) = (self.best, self.view.as_ref()?);
        best.caution = self.caution.min(100.0);
        best.likelihood = view.likelihood;
        let span = rows.front().map_or(0.0, |first| best.at - first.at);
        Some(best.with_doubts(view, (ways.up.gap(), ways.down.gap()), span))
    }
}

impl Look {
    fn new(fit: Fit, prior: &Prior) -> Self {
        let mut view = View::default();
        fit.hear_prior(prior, &mut view);
        Self { fit, view, segment: Segment::default(), bends: BENDS }
    }

    fn hear(&mut self, row: Row, ways: &mut Ways<'_>) {
        let x = row.at - self.fit.at;
        while self.bends > 0 && x >= -BENDS_AT[self.bends - 1] {
            self.close();
            self.bends -= 1;
        }
        let (up, down) = self.fit.over(row, ways.edges);
        self.segment.hear(x, ways.up.see(up), ways.down.see(down));
    }

    fn over(&mut self) -> View {
        self.close();
        self.view
    }

    fn close(&mut self) {
        std::mem::take(&mut self.segment).add_to(self.bends, &mut self.view);
    }
}
