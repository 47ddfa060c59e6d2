//! Measurements. Each prints what was measured, how often, and how busy the machine was.

use std::process::ExitCode;

use clap::Subcommand;

mod clock_wasm;
mod go;
mod running;

/// What to measure.
#[derive(Subcommand)]
pub enum Bench {
    /// From GO to the first changed sACN packet
    Go(go::Args),
    /// What an exchange costs the phone's clock, natively and in WebAssembly
    ClockWasm(clock_wasm::Args),
}

/// Measures it.
pub fn run(which: &Bench) -> ExitCode {
    match which {
        Bench::Go(args) => go::run(args),
        Bench::ClockWasm(args) => clock_wasm::run(args),
    }
}
