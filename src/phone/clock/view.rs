//! What all rows say together of a curve: which way is up, and how steep.
//!
//! In: each exchange's pulls on its floors. Out: slope and curvature in lead, skew, bends and floor. Never: a row.
//!
//! Between two bends every parameter's lever is a line in time, so that a row adds to a dozen sums, not to a matrix.

use super::excess::Pull;
use super::fit::{BENDS_AT, FLOOR, SIZE};

pub(super) type Vector = [f64; SIZE];
pub(super) type Matrix = [Vector; SIZE];

/// What all rows say together of a curve.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct View {
    pub(super) likelihood: f64,
    pub(super) slope: Vector,
    pub(super) bend: Matrix,
    square: Matrix,
}

impl View {
    /// Curvature, and the squares of the pulls, which are as large at the top and do not vanish off it.
    pub(super) fn stiff(&self, caution: f64) -> Matrix {
        std::array::from_fn(|j| {
            std::array::from_fn(|k| self.bend[j][k] + caution * self.square[j][k])
        })
    }
}

/// Sums over rows between two bends.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Segment {
    likelihood: f64,
    lead: [f64; 2],
    floor: f64,
    bend: Stiffness,
    square: Stiffness,
}

#[derive(Debug, Clone, Copy, Default)]
struct Stiffness {
    lead: [f64; 3],
    cross: [f64; 2],
    floor: f64,
}

impl Segment {
    pub(super) fn hear(&mut self, x: f64, up: Pull, down: Pull) {
        let force = up.force - down.force;
        self.likelihood += up.log + down.log;
        self.lead[0] += force;
        self.lead[1] += force * x;
        self.floor += (up.force + down.force) / 2.0;
        self.bend.hear(x, up.stiffness, down.stiffness);
        self.square.hear(x, up.square, down.square);
    }

    /// `bends` of the bends lie between these rows and now.
    pub(super) fn add_to(&self, bends: usize, view: &mut View) {
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

pub(super) fn cholesky(mut a: Matrix) -> Option<Matrix> {
    #[cfg(test)]
    super::work::done::count(super::work::cost::PASS);
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

pub(super) fn solve(root: &Matrix, mut b: Vector) -> Vector {
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
