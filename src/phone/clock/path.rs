//! The way's asymmetry, which no time stamp shows.
//!
//! In: what the stamps say the lead is. Out: what of it we believe. Never: stamps.
//!
//! Stamps give the lead plus half of what one direction is longer than the other. On the first way there is
//! nothing to tell the two apart. When the way changes, the lead that the stamps say jumps, though the clocks did
//! not: we go on from where we were, and let the new way pull only as far as its own asymmetry is likely to be
//! the smaller.

/// Half the difference of the floors against their sum, one sigma.
const ASYMMETRY: f64 = 0.11;

/// What is believed.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Path {
    held: Option<Held>,
    lean: f64,
    lean_var: Option<f64>,
}

/// The lead as it was known when the way changed.
#[derive(Debug, Clone, Copy)]
struct Held {
    at: f64,
    lead: f64,
    var: f64,
}

impl Path {
    /// The way changed; this was believed of the lead just then.
    pub(super) fn changed(&mut self, at: f64, lead: f64, var: f64) {
        self.held = Some(Held { at, lead, var });
    }

    /// The clock was stepped: what was held holds no more, the way leans as before.
    pub(super) fn stepped(&mut self) {
        self.held = None;
    }

    /// A fit of the present way: `lead` says what it gives for a time, `var` how sure it is then.
    pub(super) fn hear(&mut self, floor: f64, begins: f64, lead: impl Fn(f64) -> (f64, f64)) {
        let Some(held) = self.held else { return };
        if begins > held.at + 60.0 {
            return self.held = None;
        }
        let (says, doubt) = lead(held.at);
        let usual = usual_var(floor);
        let off = says - held.lead;
        // A way that leans far beyond the usual is an odd one, and not to be followed.
        let odd = usual.max((usual + off * off) / 2.0);
        let share = held.var / (held.var + odd + doubt);
        self.lean = off * (1.0 - share);
        self.lean_var = Some(held.var * (1.0 - share));
    }

    /// What to take off the lead that the stamps say.
    pub(super) fn lean(&self) -> f64 {
        self.lean
    }

    /// How unsure that is. Never less than on a first way: ways of one phone are askew alike, and not every change
    /// is noticed, so no number of roams averages it away.
    pub(super) fn lean_var(&self, floor: f64) -> f64 {
        self.lean_var.unwrap_or(0.0).max(usual_var(floor))
    }
}

fn usual_var(floor: f64) -> f64 {
    let usual = ASYMMETRY * floor.max(0.0);
    usual * usual + 8.0 * 8.0
}
