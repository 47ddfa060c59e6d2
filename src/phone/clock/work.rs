//! How much is done at one exchange.
//!
//! In: what a step costs. Out: how many steps may be taken now. Never: the steps themselves.
//!
//! A fit of three minutes takes thousands of looks at rows. Done at once, every second, it would hold up the page
//! just when an answer came; so whatever grows with the window is done in slices, one at each exchange.

/// What may still be done at this exchange; one is a look at one row.
#[derive(Debug)]
pub(super) struct Work {
    left: usize,
}

/// A little more than a full window needs at ten exchanges a second for a fit a second.
pub(super) const WORK: usize = 800;

/// What steps cost beside a look at one row, as measured in WebAssembly.
pub(super) mod cost {
    /// Between two passes over the rows: eight equations are solved.
    pub(crate) const PASS: usize = 40;
    /// What one node of a table teaches, or a node's new logarithm.
    pub(crate) const NODE: usize = 3;
    /// A node's densities of all parts.
    pub(crate) const DENSITIES: usize = 50;
}

impl Work {
    /// As much as one exchange may cost.
    pub(super) fn of_one_exchange() -> Self {
        Self { left: WORK }
    }

    /// As much as it takes, where nobody waits.
    pub(super) fn unhurried() -> Self {
        Self { left: usize::MAX }
    }

    /// How many of so many steps may be taken.
    pub(super) fn steps(&mut self, most: usize, cost: usize) -> usize {
        let steps = most.min(self.left / cost);
        self.left -= steps * cost;
        steps
    }

    /// Takes a step that cannot be divided, if there is room for it.
    pub(super) fn step(&mut self, cost: usize) -> bool {
        self.steps(1, cost) == 1
    }
}

/// What was really done, for a test that does not believe the account.
#[cfg(test)]
pub(super) mod done {
    use std::cell::Cell;

    thread_local! {
        static LOOKS: Cell<usize> = const { Cell::new(0) };
    }

    pub(crate) fn count(cost: usize) {
        LOOKS.with(|looks| looks.set(looks.get() + cost));
    }

    /// What was done since this was asked last.
    pub(crate) fn take() -> usize {
        LOOKS.with(|looks| looks.replace(0))
    }
}
