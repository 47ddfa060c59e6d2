//! The box clock through long nights in virtual time: is its bound true, does it ever jump, how far off is it?
//!
//! In: hours and seeds. Out: a table, the same each time. Nothing real is measured, so the machine's load is no matter.

use std::process::ExitCode;

use sim::nights::{HEAD, KINDS, Tally};
use sim::ptp::{Happening, PtpSpec};
use units::Span;

/// How long, and how often.
#[derive(clap::Args)]
#[command(
    after_help = "Examples:\n  tools bench box-clock --hours 24 --seeds 100\n\nA minute after the beginning a show runs, so that nothing may step."
)]
pub struct Args {
    /// Hours of each night with nothing but wandering crystals; the other kinds take minutes
    #[arg(long, default_value_t = 24)]
    hours: i64,
    /// Nights of each kind
    #[arg(long, default_value_t = 20)]
    seeds: u32,
}

/// Other kinds: everything has happened by then.
const NIGHT: Span = Span::from_secs(1_200);

/// Runs the nights; no success if a bound was false, or a clock jumped or stepped while its show ran.
pub fn run(args: &Args) -> ExitCode {
    println!("{HEAD} pace ppm");
    let mut is_good = true;
    for kind in KINDS {
        let tally = Tally::of(kind, u128::from(args.seeds), NIGHT);
        is_good &= show(kind.name, &tally);
    }
    let long = Span::from_secs(args.hours.saturating_mul(3_600));
    let mut tally = Tally::default();
    (0..u128::from(args.seeds)).for_each(|seed| tally.night(evening(seed), long));
    is_good &= show(&format!("{} h of a show", args.hours), &tally);
    is_good &= tally.steps() == args.seeds as usize;
    if is_good { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

/// Set once, before the show; from then on nothing happens but time.
fn evening(seed: u128) -> PtpSpec {
    let story = vec![(Span::from_secs(60), Happening::Show(true))];
    PtpSpec { story, ..PtpSpec::drawn(seed) }
}

fn show(name: &str, tally: &Tally) -> bool {
    println!("{} {:6.2}", tally.row(name), tally.pace_worst());
    tally.covered() >= 0.999 && tally.jumps() == 0 && tally.pace_worst() <= 100.0
}
