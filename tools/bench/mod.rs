//! Measurements. Each prints what was measured, how often, and how busy the machine was.

use std::process::ExitCode;

use clap::Subcommand;

mod box_clock;
mod go;
mod running;

/// What to measure.
#[derive(Subcommand)]
pub enum Bench {
    /// From GO to the first changed sACN packet
    Go(go::Args),
    /// The box clock through simulated nights
    BoxClock(box_clock::Args),
}

/// Measures it.
pub fn run(which: &Bench) -> ExitCode {
    match which {
        Bench::Go(args) => go::run(args),
        Bench::BoxClock(args) => box_clock::run(args),
    }
}
