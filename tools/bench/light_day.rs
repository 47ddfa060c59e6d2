//! A day of light in virtual time, with every kind of cue and every hand that reaches in.

use std::process::ExitCode;
use std::time::Instant;

use serde::Serialize;
use sim::{LightDay, LightReport, STEP_ALLOWED};
use tools::load;
use units::Span;

/// How long a day.
#[derive(clap::Args)]
#[command(
    after_help = "Examples:\n  tools bench light-day\n  tools bench light-day --hours 2 --seed 3 --json\n\nEnds with 1 where a level jumped, or two boxes differed."
)]
pub struct Args {
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
    hours: u32,
    seed: u64,
    took_s: f64,
    load: String,
    step_allowed: u8,
    #[serde(flatten)]
    day: LightReport,
}

/// Lives through it, and prints.
pub fn run(args: &Args) -> ExitCode {
    let begin = Instant::now();
    let mut day = LightDay::begin(args.seed);
    for hour in 1..=args.hours {
        day.run(Span::from_secs(3_600));
        let so_far = day.report();
        eprintln!(
            "  hour {hour} of {}: {} orders, worst step {}",
            args.hours, so_far.orders, so_far.worst_step
        );
    }
    let (hours, seed, day) = (args.hours, args.seed, day.report());
    let took_s = begin.elapsed().as_secs_f64();
    let (load, step_allowed) = (load(), STEP_ALLOWED);
    let report = Report { bench: "light-day", hours, seed, took_s, load, step_allowed, day };
    if args.json {
        println!("{}", serde_json::to_string_pretty(&report).expect("numbers and words"));
    } else {
        report.print();
    }
    let unseen = day.filmed == 0 || day.taped == 0;
    ExitCode::from(u8::from(day.worst_step > STEP_ALLOWED || day.differing > 0 || unseen))
}

impl Report {
    fn print(&self) {
        let LightReport { frames, orders, worst_step, worst_at, differing, moving, .. } = self.day;
        println!(
            "{} h of light, seed {}, in {:.0} s, load {}",
            self.hours, self.seed, self.took_s, self.load
        );
        println!("{frames} frames, {moving} of them moving; {orders} orders by hand");
        println!(
            "worst step of a slot that only fades: {worst_step} of 255 ({} allowed), slot {} after {} ms",
            self.step_allowed, worst_at.0, worst_at.1
        );
        println!(
            "recorded light was seen in {} frames, what timecode brings of it in {}",
            self.day.filmed, self.day.taped
        );
        println!("frames in which a second box drew another octet: {differing}");
    }
}
