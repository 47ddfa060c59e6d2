//! A day of virtual time: crystals wander, people walk, phones are put away, the box falls silent.

use std::process::ExitCode;
use std::time::Instant;

use serde::Serialize;
use sim::{Day, DayReport};
use tools::load;
use units::Span;

/// How long a day.
#[derive(clap::Args)]
#[command(
    after_help = "Examples:\n  tools bench day\n  tools bench day --phones 1000 --hours 1   an hour of a full house\n  tools bench day --phones 100 --hours 4 --seed 3 --json\n\nEnds with 1 where a phone is lost, or a glitch was to be heard."
)]
pub struct Args {
    /// How many phones
    #[arg(long, default_value_t = 20)]
    phones: usize,
    /// How many hours of virtual time
    #[arg(long, default_value_t = 24)]
    hours: u32,
    /// Where chance begins; the same seed is the same day
    #[arg(long, default_value_t = 7)]
    seed: u64,
    /// One JSON document instead of words
    #[arg(long)]
    json: bool,
}

#[derive(Serialize)]
struct Report {
    bench: &'static str,
    seed: u64,
    took_s: f64,
    load: String,
    #[serde(flatten)]
    day: DayReport,
}

/// Lives through it, and prints.
pub fn run(args: &Args) -> ExitCode {
    let begin = Instant::now();
    let mut day = Day::begin(args.phones, args.seed);
    for hour in 1..=args.hours {
        day.run(Span::from_secs(3_600));
        let so_far = day.report();
        eprintln!(
            "  hour {hour} of {}: {} walks, {} naps, {} silences, {} cuts",
            args.hours, so_far.roams, so_far.naps, so_far.silences, so_far.cuts
        );
    }
    let day = day.end();
    let is_well = day.lost == 0 && day.cuts == 0 && day.silent == 0;
    let took_s = begin.elapsed().as_secs_f64();
    let report = Report { bench: "day", seed: args.seed, took_s, load: load(), day };
    if args.json {
        println!("{}", serde_json::to_string_pretty(&report).expect("numbers and words"));
    } else {
        report.print();
    }
    if is_well { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

impl Report {
    /// Of those who were just taken out, or just came.
    fn print_fresh(&self) {
        let fresh = &self.day.fresh;
        for (what, it) in [("silent after waking", fresh.woken), ("after joining", fresh.joined)] {
            println!(
                "  {what}: {} phones, p50 {:.2} s, p95 {:.2} s, worst {:.2} s, {:.0} s in all",
                it.count, it.p50_s, it.p95_s, it.worst_s, it.total_s
            );
        }
        println!("  of that {:.1} s with sound that was not in its place", fresh.astray_s);
        println!(
            "  their first 20 s: cuts {}, place {:.2} ms off at worst and {:.2} ms more or less within a second, clocks {:.2} ms; at {} looks no time known yet",
            fresh.cuts,
            fresh.worst_place_ms,
            fresh.worst_step_ms,
            fresh.worst_error_ms,
            fresh.timeless
        );
    }

    fn print(&self) {
        let day = &self.day;
        println!(
            "{:.0} h with {} phones, seed {}, in {:.0} s (load {})",
            day.hours, day.phones, self.seed, self.took_s, self.load
        );
        println!(
            "  {} walks to another access point, {} phones put away and taken out, {} silences of the box",
            day.roams, day.naps, day.silences
        );
        println!("  lost {}, cuts {}, silent looks {}", day.lost, day.cuts, day.silent);
        println!(
            "  place in the piece: {:.2} ms off at worst, and {:.2} ms more or less within a second",
            day.worst_place_ms, day.worst_step_ms
        );
        println!(
            "  clocks: {:.2} ms off at worst; within their bound {} of {} times",
            day.worst_error_ms, day.within_bound, day.looks
        );
        self.print_fresh();
        println!("  a look a second          within 0.5 ms   within 1 ms   within 5 ms");
        let sizes = [
            ("clocks", day.errors),
            ("sound, in its place", day.places),
            ("clocks, first 20 s", day.fresh.errors),
            ("sound, first 20 s", day.fresh.places),
        ];
        for (what, sizes) in sizes {
            let share = |some: u64| some as f64 / sizes.all as f64 * 100.0;
            println!(
                "  {what:<22} {:>13.2} % {:>11.2} % {:>11.2} %",
                share(sizes.within_half_ms),
                share(sizes.within_1_ms),
                share(sizes.within_5_ms)
            );
        }
    }
}
