//! The curve that the box's lead over the page's clock follows, and the way's floor.
//!
//! In: one-way spans of a window. Out: lead, skew, and how sure. Never: which way, what came before the window.
//!
//! Going there shows `lead + floor/2 + wait`, coming back `-lead + floor/2 + wait`. The lead is a line whose slope
//! the crystal bends a little as it warms, and hard when the phone's own regulator steps it; the floor is one
//! number. We take the curve and the floor under which all waits of the window are likeliest.

use std::collections::VecDeque;

use super::excess::{Excess, Pull};

/// One exchange: seconds, and microseconds above the base.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Row {
    pub(super) at: f64,
    pub(super) up: f64,
    pub(super) down: f64,
}

/// How long before the newest exchange the skew may bend, seconds.
const BENDS_AT: [f64; BENDS] = [6.0, 15.0, 30.0, 55.0, 100.0];
const BENDS: usize = 5;
/// Lead, skew, bends, floor.
const SIZE: usize = 3 + BENDS;
const FLOOR: usize = SIZE - 1;
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

type Vector = [f64; SIZE];
type Matrix = [Vector; SIZE];

/// The curve and the floor.
#[derive(Debug, Clone, Copy)]
pub(super) struct Fit {
    /// When `lead` holds, seconds: the newest exchange.
    pub(super) at: f64,
    p: Vector,
    /// How carefully to step.
    caution: f64,
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

/// The two directions' waits and the edges below which rounding does not reach.
pub(super) struct Ways<'a> {
    pub(super) up: &'a mut Excess,
    pub(super) down: &'a mut Excess,
    pub(super) edges: (f64, f64),
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

    /// As long as the shortest round trip can be.
    pub(super) fn highest_floor(&self) -> f64 {
        (self.floor() + 3.0 * self.floor_var.sqrt()).max(0.0)
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
        let (lead, half) = (self.lead(row.at), self.floor() / 2.0);
        (row.up - lead - half + edges.0, row.down + lead - half + edges.1)
    }

    /// Climbs towards the likeliest curve, looking at the rows so many times. A step that does not help is taken
    /// back and tried shorter: where many waits are long and few are short, the top is a narrow ridge.
    pub(super) fn climbed(
        self,
        rows: &VecDeque<Row>,
        ways: &mut Ways<'_>,
        prior: &Prior,
        looks: usize,
    ) -> Self {
        let (mut best, mut caution) = (self.lowered(rows, ways.edges), self.caution);
        let mut view = best.look(rows, ways, prior);
        for _ in 1..looks {
            let Some(next) = best.stepped_by(&view, caution) else { break };
            let seen = next.look(rows, ways, prior);
            if seen.likelihood >= view.likelihood {
                caution = (caution / 3.0).max(0.05);
                (best, view) = (next, seen);
            } else {
                caution = (caution * 6.0).min(1e6);
            }
        }
        best.caution = caution.min(100.0);
        best.likelihood = view.likelihood;
        let span = rows.front().map_or(0.0, |first| best.at - first.at);
        best.with_doubts(&view, (ways.up.gap(), ways.down.gap()), span)
    }

    /// With no floor above what lies on it.
    fn lowered(mut self, rows: &VecDeque<Row>, edges: (f64, f64)) -> Self {
        let lowest = rows.iter().fold((0.0f64, 0.0f64), |low, row| {
            let over = self.over(*row, edges);
            (low.0.min(over.0), low.1.min(over.1))
        });
        self.p[0] += (lowest.0 - lowest.1) / 2.0;
        self.p[FLOOR] += lowest.0 + lowest.1;
        self
    }

    fn look(&self, rows: &VecDeque<Row>, ways: &mut Ways<'_>, prior: &Prior) -> View {
        ways.up.forget_seen();
        ways.down.forget_seen();
        let mut view = View::default();
        self.hear_prior(prior, &mut view);
        let mut segment = Segment::default();
        let mut bends = BENDS;
        for row in rows {
            let x = row.at - self.at;
            while bends > 0 && x >= -BENDS_AT[bends - 1] {
                std::mem::take(&mut segment).add_to(bends, &mut view);
                bends -= 1;
            }
            let (up, down) = self.over(*row, ways.edges);
            segment.hear(x, ways.up.see(up), ways.down.see(down));
        }
        segment.add_to(bends, &mut view);
        view
    }

    fn hear_prior(&self, prior: &Prior, view: &mut View) {
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

    fn stepped_by(mut self, view: &View, caution: f64) -> Option<Self> {
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
    fn with_doubts(mut self, view: &View, gaps: (f64, f64), span: f64) -> Self {
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

/// What all rows say together of a curve.
#[derive(Default)]
struct View {
    likelihood: f64,
    slope: Vector,
    bend: Matrix,
    square: Matrix,
}

impl View {
    /// Curvature, and the squares of the pulls, which are as large at the top and do not vanish off it.
    fn stiff(&self, caution: f64) -> Matrix {
        std::array::from_fn(|j| {
            std::array::from_fn(|k| self.bend[j][k] + caution * self.square[j][k])
        })
    }
}

/// Sums over rows between two bends.
#[derive(Default)]
struct Segment {
    likelihood: f64,
    lead: [f64; 2],
    floor: f64,
    bend: Stiffness,
    square: Stiffness,
}

#[derive(Default)]
struct Stiffness {
    lead: [f64; 3],
    cross: [f64; 2],
    floor: f64,
}

impl Segment {
    fn hear(&mut self, x: f64, up: Pull, down: Pull) {
        let force = up.force - down.force;
        self.likelihood += up.log + down.log;
        self.lead[0] += force;
        self.lead[1] += force * x;
        self.floor += (up.force + down.force) / 2.0;
        self.bend.hear(x, up.stiffness, down.stiffness);
        self.square.hear(x, up.square, down.square);
    }

    /// `bends` of the bends lie between these rows and now.
    fn add_to(&self, bends: usize, view: &mut View) {
        view.likelihood += self.likelihood;
        // Every parameter's lever is `c + d x`.
        let mut lever = [(0.0, 0.0); SIZE];
        lever[0] = (1.0, 0.0);
        lever[1] = (0.0, 1.0);
        for k in 0..bends {
            lever[2 + k] = (BENDS_AT[k], 1.0);
        }
        let lever = &lever[..2 + bends];
        for (j, (c, d)) in lever.iter().enumerate() {
            view.slope[j] += c * self.lead[0] + d * self.lead[1];
        }
        view.slope[FLOOR] += self.floor;
        self.bend.add_to(lever, &mut view.bend);
        self.square.add_to(lever, &mut view.square);
    }
}

impl Stiffness {
    fn hear(&mut self, x: f64, up: f64, down: f64) {
        let both = up + down;
        self.lead[0] += both;
        self.lead[1] += both * x;
        self.lead[2] += both * x * x;
        let cross = (up - down) / 2.0;
        self.cross[0] += cross;
        self.cross[1] += cross * x;
        self.floor += both / 4.0;
    }

    fn add_to(&self, lever: &[(f64, f64)], to: &mut Matrix) {
        for (j, (c, d)) in lever.iter().enumerate() {
            for (k, (e, f)) in lever.iter().enumerate() {
                to[j][k] +=
                    c * e * self.lead[0] + (c * f + d * e) * self.lead[1] + d * f * self.lead[2];
            }
            let cross = c * self.cross[0] + d * self.cross[1];
            to[j][FLOOR] += cross;
            to[FLOOR][j] += cross;
        }
        to[FLOOR][FLOOR] += self.floor;
    }
}

fn cholesky(mut a: Matrix) -> Option<Matrix> {
    for j in 0..SIZE {
        for k in 0..j {
            let lever = a[j][k];
            a[j..].iter_mut().for_each(|row| row[j] -= row[k] * lever);
        }
        let root = a[j][j].sqrt();
        if !(root > 0.0 && root.is_finite()) {
            return None;
        }
        a[j..].iter_mut().for_each(|row| row[j] /= root);
    }
    Some(a)
}

fn solve(root: &Matrix, mut b: Vector) -> Vector {
    for j in 0..SIZE {
        for k in 0..j {
            b[j] -= root[j][k] * b[k];
        }
        b[j] /= root[j][j];
    }
    for j in (0..SIZE).rev() {
        for k in j + 1..SIZE {
            b[j] -= root[k][j] * b[k];
        }
        b[j] /= root[j][j];
    }
    b
}
