//! Chores and benchmarks. In: a chore's name. Out: what it made or measured. Never: anything the box needs to run.

use std::process::ExitCode;

use clap::{Parser, Subcommand};

mod bench;
mod child;
mod clock_filter;
mod compose;
#[cfg(feature = "rooms")]
mod echo_cli;
mod fleet_cli;
mod pause;
mod proxy_cli;
mod rig;
mod tally;
mod test;

/// Chores and benchmarks of Downbeat.
#[derive(Parser)]
#[command(
    after_help = "Examples:\n  tools test                     everything that can be tested here\n  tools compose config/demo/audio   the demo's music, byte for byte\n  tools bench go --trials 200    how long a GO takes to reach the light\n  tools fleet --phones 1000 --scenario venue   a thousand phones in a full house, and how well they know the time\n  tools proxy --to 127.0.0.1:8080 --scenario roam   a bad network before a box\n  tools rig clock --rig DIR      hardware timestamps between two emulated machines"
)]
struct Args {
    #[command(subcommand)]
    chore: Chore,
}

#[derive(Subcommand)]
enum Chore {
    /// Run formatting, lints, unit, scenario, page and browser tests, and count them
    Test(test::Args),
    /// Write the demo's music as FLAC files
    Compose(compose::Args),
    /// Stand in front of a server as a bad network
    Proxy(proxy_cli::Args),
    /// Be the box's end of a peer connection, and say back what is heard on it
    #[cfg(feature = "rooms")]
    Echo(echo_cli::Args),
    /// Bring phones to a box, and see how well they know its time
    Fleet(fleet_cli::Args),
    /// Estimate the box's clock from exchanges on standard input
    ClockFilter(clock_filter::Args),
    /// Show what needs an emulated machine's hardware
    #[command(subcommand)]
    Rig(rig::Rig),
    /// Measure
    #[command(subcommand)]
    Bench(bench::Bench),
}

fn main() -> ExitCode {
    match Args::parse().chore {
        Chore::Test(args) => test::run(&args),
        Chore::Compose(args) => compose::run(&args),
        Chore::Fleet(args) => fleet_cli::run(&args),
        #[cfg(feature = "rooms")]
        Chore::Echo(args) => echo_cli::run(&args),
        Chore::Proxy(args) => proxy_cli::run(&args),
        Chore::ClockFilter(args) => clock_filter::run(&args),
        Chore::Rig(what) => rig::run(&what),
        Chore::Bench(which) => bench::run(&which),
    }
}
