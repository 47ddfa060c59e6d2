//! Throws a target's seeds at it, whole and damaged.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::time::{Duration, Instant};

use crate::mutator::Mutator;
use crate::seeds::{Seed, seeds};
use crate::targets::Target;

/// How long to go on.
#[derive(Debug, Clone, Copy)]
pub enum Budget {
    /// So many damaged seeds, the same ones each time.
    Cases(usize),
    /// So long, from where a number begins.
    Time(Duration, u64),
}

impl Budget {
    /// `FUZZ_SECONDS` of it where the environment says so, `FUZZ_SEED` to go another way; else so many cases.
    ///
    /// # Panics
    /// Where one of them is no number.
    pub fn from_env(cases: usize) -> Self {
        let number = |name| std::env::var(name).ok().map(|it| it.parse().expect("a number"));
        let time =
            |seconds| Self::Time(Duration::from_secs(seconds), number("FUZZ_SEED").unwrap_or(0));
        number("FUZZ_SECONDS").map_or(Self::Cases(cases), time)
    }

    fn first(self) -> u64 {
        match self {
            Self::Cases(_) => 0,
            Self::Time(_, seed) => seed << 32,
        }
    }
}

/// Every seed whole, then seeds damaged until the budget is spent.
///
/// # Panics
/// Where the target does: with the seed's name, the number of the damage and the bytes.
pub fn attack(target: &Target, budget: Budget) {
    let seeds = seeds(target.folders);
    assert!(!seeds.is_empty(), "{} has no seeds", target.name);
    for seed in &seeds {
        throw(target, &seed.bytes, || format!("the seed `{}`", seed.name));
    }
    let begun = Instant::now();
    for case in 0.. {
        let is_over = match budget {
            Budget::Cases(cases) => case >= cases,
            Budget::Time(time, _) => begun.elapsed() >= time,
        };
        if is_over {
            return;
        }
        hurt(target, &seeds, case, budget.first() + case as u64);
    }
}

fn hurt(target: &Target, seeds: &[Seed], case: usize, number: u64) {
    let mut mutator = Mutator::new(number.wrapping_mul(0x2545_f491_4f6c_dd1d));
    let seed = &seeds[case % seeds.len()];
    let other = &seeds[mutator.below(seeds.len())];
    let bytes = mutator.damage(&seed.bytes, &other.bytes);
    throw(target, &bytes, || format!("damage {number} to the seed `{}`", seed.name));
}

fn throw(target: &Target, bytes: &[u8], what: impl Fn() -> String) {
    if catch_unwind(AssertUnwindSafe(|| (target.run)(bytes))).is_err() {
        let shown: String = bytes.escape_ascii().to_string().chars().take(8_000).collect();
        panic!("{} did not stand {}:\n{shown}", target.name, what());
    }
}
