//! Runs that need machines of their own: two guests in an emulator, with hardware that this machine does not have.
//!
//! In: a rig (a folder whose `rig.sh` builds, boots and ends two guests, `a` and `b`), the program. Out: what was seen,
//! and whether it is what it should be. Never: part of the tests, for it takes minutes and a rig.

mod clock;
mod guests;

use std::path::PathBuf;
use std::process::ExitCode;

/// What to run.
#[derive(clap::Subcommand)]
pub enum Rig {
    /// PTP between two guests whose interfaces stamp packets by hardware
    Clock(Args),
}

/// Where things are.
#[derive(clap::Args)]
#[command(
    after_help = "Needs root. A rig's interface stamps receipts only with its helper `rxts`, which runs in the guests.\n\nExamples:\n  tools rig clock --rig DIR\n  RIG_DIR=DIR tools rig clock --pairs box-box --program target/debug/downbeat"
)]
pub struct Args {
    /// The folder of `rig.sh`
    #[arg(long, env = "RIG_DIR", value_name = "DIR")]
    rig: PathBuf,
    /// Where the rig builds its guests, and keeps them for the next time
    #[arg(long, env = "RIG", value_name = "DIR")]
    place: PathBuf,
    /// Which program; it has to run in the guests
    #[arg(long, env = "DOWNBEAT", default_value = "target/release/downbeat")]
    program: PathBuf,
    /// Who leads and who follows: `box-box`, `ptp4l-box`, `box-ptp4l`
    #[arg(long, value_delimiter = ',', default_values = clock::PAIRS)]
    pairs: Vec<String>,
    /// How long one may take until it is locked, in an emulator
    #[arg(long, default_value_t = 240, value_name = "S")]
    patience: u64,
}

/// Runs it.
pub fn run(what: &Rig) -> ExitCode {
    let Rig::Clock(args) = what;
    match clock::run(args) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("could not show it: {error}");
            ExitCode::FAILURE
        }
    }
}
