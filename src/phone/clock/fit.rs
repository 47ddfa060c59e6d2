//! The curve that the box's lead over the page's clock follows, and the way's floor.
//!
//! In: one-way spans of a window. Out: lead, skew, and how sure. Never: which way, what came before the window.
//!
//! Going there shows `lead + floor/2 + wait`, coming back `-lead + floor/2 + wait`. The lead is a line whose slope
//! the crystal bends a little as it warms, and hard when the phone's own regulator steps it; the floor is one
//! number. We take the curve and the floor under which all waits of the window are likeliest.

use super::view::{Vector, View, cholesky, solve};

/// One exchange: seconds, and microseconds above the base.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Row {
    pub(super) at: f64,
    pub(super) up: f64,
    pub(super) down: f64,
}

/// How long before the newest exchange the skew may bend, seconds.
pub(super) const BENDS_AT: [f64; BENDS] = [6.0, 15.0, 30.0, 55.0, 100.0];
pub(super) const BENDS: usize = 5;
/// Lead, skew, bends, floor.
pub(super) const SIZE: usize = 3 + BENDS;
pub(super) const FLOOR: usize = SIZE - 1;
/// Phones' crystals against a box's, ppm: one sigma.
pub(super) const SKEW_USUAL: f64 = 25.0;
/// How a crystal's skew wanders, ppm per square root of a second.
const WANDER: f64 = 0.08;

/// How far the skew usually bends at each: what it wanders from halfway to the bend before to halfway to the next.
const BEND_VARS: [f64; BENDS] = {
    let mut vars = [0.0; BENDS];
    let mut k = 0;
    while k < BENDS {
        let last = if k == 0 { 0.0 } else { BENDS_AT[k - 1] };
        let next = if k + 1 == BENDS { 2.0 * BENDS_AT[k] } else { BENDS_AT[k + 1] };
        vars[k] = WANDER * WANDER * (next - last) / 2.0;
        k += 1;
    }
    vars
};

/// Now and then a regulator steps the skew: Student's tail of so many degrees lets it.
const TAIL: f64 = 2.0;

/// The curve and the floor.
#[derive(Debug, Clone, Copy)]
pub(super) struct Fit {
    /// When `lead` holds, seconds: the newest exchange.
    pub(super) at: f64,
    p: Vector,
    /// How carefully to step.
    pub(super) caution: f64,
    pub(super) likelihood: f64,
    pub(super) lead_var: f64,
    pub(super) skew_var: f64,
    pub(super) lead_skew: f64,
    pub(super) floor_var: f64,
}

/// What is known before the window speaks.
#[derive(Debug, Clone, Copy)]
pub(super) struct Prior {
    pub(super) skew: f64,
    pub(super) skew_var: f64,
    pub(super) floor: Option<(f64, f64)>,
}

impl Fit {
    /// Where to begin: half the difference, half the sum.
    pub(super) fn first(row: Row, edges: (f64, f64), skew: f64) -> Self {
        let (up, down) = (row.up + edges.0, row.down + edges.1);
        let mut p = [0.0; SIZE];
        p[0] = (up - down) / 2.0;
        p[1] = skew;
        p[FLOOR] = up + down;
        Self {
            at: row.at,
            p,
            caution: 1.0,
            likelihood: f64::NEG_INFINITY,
            lead_var: 1e12,
            skew_var: 1e4,
            lead_skew: 0.0,
            floor_var: 1e12,
        }
    }

    pub(super) fn lead(&self, at: f64) -> f64 {
        let x = at - self.at;
        let bends: f64 = (0..BENDS).map(|k| self.p[2 + k] * (x + BENDS_AT[k]).min(0.0)).sum();
        self.p[0] + self.p[1] * x + bends
    }

    pub(super) fn skew(&self) -> f64 {
        self.p[1]
    }

    pub(super) fn floor(&self) -> f64 {
        self.p[FLOOR]
    }

    /// How unsure the lead is at this time.
    pub(super) fn var(&self, at: f64) -> f64 {
        let x = (at - self.at).abs();
        self.lead_var
            + 2.0 * self.lead_skew * x
            + self.skew_var * x * x
            + WANDER * WANDER * x * x * x / 3.0
    }

    /// The same curve, told from a later time.
    pub(super) fn moved(mut self, at: f64) -> Self {
        let lead = self.lead(at);
        self.lead_var = self.var(at);
        self.p[0] = lead;
        self.at = at;
        self
    }

    /// A step of the clock: the lead is another, the way the same.
    pub(super) fn stepped(mut self, by: f64) -> Self {
        self.p[0] += by;
        self.p[2..2 + BENDS].fill(0.0);
        self
    }

    /// The same exchanges, read by a clock that rounds otherwise.
    pub(super) fn rounded_otherwise(mut self, was: (f64, f64), is: (f64, f64)) -> Self {
        let (up, down) = (is.0 - was.0, is.1 - was.1);
        self.p[0] += (up - down) / 2.0;
        self.p[FLOOR] += up + down;
        self
    }

    /// As if nothing were known but the usual skew, so high that every exchange will lower it.
    pub(super) fn anew(mut self, skew: f64) -> Self {
        self.p = [0.0; SIZE];
        self.p[1] = skew;
        self.p[FLOOR] = 1e12;
        self.caution = 1.0;
        self
    }

    /// How far an exchange lies above the floors, going and coming back.
    pub(super) fn over(&self, row: Row, edges: (f64, f64)) -> (f64, f64) {
        #[cfg(test)]
        super::work::done::count(1);
        let (lead, half) = (self.lead(row.at), self.floor() / 2.0);
        (row.up - lead - half + edges.0, row.down + lead - half + edges.1)
    }

    /// With no floor above what lies on it: the lowest lie so far below, going and coming back.
    pub(super) fn lowered(mut self, lowest: (f64, f64)) -> Self {
        self.p[0] += (lowest.0 - lowest.1) / 2.0;
        self.p[FLOOR] += lowest.0 + lowest.1;
        self
    }

    pub(super) fn hear_prior(&self, prior: &Prior, view: &mut View) {
        let mut add = |k: usize, off: f64, var: f64| {
            view.slope[k] -= off / var;
            view.bend[k][k] += 1.0 / var;
            view.likelihood -= off * off / var / 2.0;
        };
        add(0, 0.0, 1e12);
        add(1, self.p[1] - prior.skew, prior.skew_var);
        let (floor, var) = prior.floor.unwrap_or((0.0, 1e12));
        add(FLOOR, self.p[FLOOR] - floor, var);
        for (k, usual) in BEND_VARS.iter().enumerate() {
            let off = self.p[2 + k];
            let var = (TAIL * usual + off * off) / (TAIL + 1.0);
            view.slope[2 + k] -= off / var;
            view.bend[2 + k][2 + k] += 1.0 / var;
            view.likelihood -= (TAIL + 1.0) / 2.0 * (1.0 + off * off / (TAIL * usual)).ln();
        }
    }

    /// A step from here, as what was seen pulls.
    pub(super) fn stepped_by(mut self, view: &View, caution: f64) -> Option<Self> {
        let step = solve(&cholesky(view.stiff(caution))?, view.slope);
        if step.iter().any(|step| !step.is_finite()) {
            return None;
        }
        for (p, step) in self.p.iter_mut().zip(step) {
            *p += step;
        }
        Some(self)
    }

    /// A floor is no surer than the gaps between the lowest that lie above it, however sharp the top looks; at the
    /// end of a line the doubt is twice what it is in the middle.
    pub(super) fn with_doubts(mut self, view: &View, gaps: (f64, f64), span: f64) -> Self {
        let Some(root) = cholesky(view.stiff(0.5)) else { return self };
        let unit = |k: usize| std::array::from_fn(|j| if j == k { 1.0 } else { 0.0 });
        let (lead, skew, floor) =
            (solve(&root, unit(0)), solve(&root, unit(1)), solve(&root, unit(FLOOR)));
        // Nor is it less sure than the round trip allows.
        let gap_var = (gaps.0 * gaps.0 + gaps.1 * gaps.1).min(self.floor() * self.floor() / 4.0);
        self.lead_var = lead[0] + gap_var;
        self.skew_var = skew[1] + 3.0 * gap_var / (span * span).max(1.0);
        self.lead_skew = lead[1];
        self.floor_var = floor[FLOOR] + gap_var;
        self
    }
}
