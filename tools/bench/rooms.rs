//! What a hop through the rooms costs, beside bare channels and beside a flood of rooms (`tools::rooms`).

use std::process::ExitCode;
use std::time::Duration;

use serde::Serialize;
use tokio::runtime;
use tools::rooms::{Figures, Load, through_channels, through_rooms};

/// How to measure.
#[derive(clap::Args)]
#[command(
    after_help = "Examples:\n  tools bench rooms\n  tools bench rooms --rooms 200 --seconds 5 --json"
)]
pub struct Args {
    /// Rooms of eight
    #[arg(long, default_value_t = 1_000)]
    rooms: usize,
    /// Messages a second in each room; a participant may say 20
    #[arg(long, default_value_t = 50.0, value_parser = rate)]
    messages: f64,
    /// How long each part lasts
    #[arg(long, default_value_t = 15)]
    seconds: u64,
    /// One JSON document instead of a table
    #[arg(long)]
    json: bool,
}

fn rate(text: &str) -> Result<f64, String> {
    match text.parse() {
        Ok(rate) if rate > 0.0 && rate <= 150.0 => Ok(rate),
        _ => Err("more than 0, and 150 at most".to_owned()),
    }
}

/// One part of the measurement.
#[derive(Serialize)]
struct Part {
    what: String,
    said: u64,
    lost: u64,
    hop_p50_us: f64,
    hop_p95_us: f64,
    hop_p99_us: f64,
    hop_worst_us: f64,
    processor_us_a_message: f64,
    processors: f64,
    kilobytes_a_participant: f64,
    flood_messages: u64,
}

/// Measures and prints.
pub fn run(args: &Args) -> ExitCode {
    let runtime = runtime::Runtime::new().expect("a machine that builds has threads");
    let lasts = Duration::from_secs(args.seconds);
    let load = Load { rooms: args.rooms, messages_per_second: args.messages, lasts, flooders: 0 };
    let one = Load { rooms: 1, ..load };
    let flooded = Load { flooders: 64, ..load };
    let mut parts = Vec::new();
    let mut note = |what: &str, load: Load, figures: Figures| {
        eprintln!("{what}: measured");
        parts.push(part(what, load, &figures));
    };
    // Allocators do not give back what one part had, so whoever comes later seems to grow less.
    note("the rooms", load, runtime.block_on(through_rooms(load)));
    note("bare channels", load, runtime.block_on(through_channels(load)));
    note("the rooms, beside a flood", flooded, runtime.block_on(through_rooms(flooded)));
    note("one room", one, runtime.block_on(through_rooms(one)));
    note("bare channels, one room", one, runtime.block_on(through_channels(one)));
    if args.json {
        println!("{}", serde_json::to_string_pretty(&parts).expect("numbers and words"));
    } else {
        print(&parts, args);
    }
    ExitCode::SUCCESS
}

fn part(what: &str, load: Load, figures: &Figures) -> Part {
    let us = |share| figures.hop(share).ns() as f64 / 1e3;
    let busy = figures.processor.as_secs_f64();
    Part {
        what: what.to_owned(),
        said: figures.said,
        lost: figures.said - figures.hops.len() as u64,
        hop_p50_us: us(0.5),
        hop_p95_us: us(0.95),
        hop_p99_us: us(0.99),
        hop_worst_us: us(1.0),
        processor_us_a_message: busy * 1e6 / figures.said as f64,
        processors: busy / load.lasts.as_secs_f64(),
        kilobytes_a_participant: figures.grew as f64
            / 1e3
            / (load.rooms * tools::rooms::PEOPLE) as f64,
        flood_messages: figures.flood,
    }
}

fn print(parts: &[Part], args: &Args) {
    println!(
        "{} rooms of eight, {} messages a second in each, {} s a part, load {}",
        args.rooms,
        args.messages,
        args.seconds,
        tools::load()
    );
    println!(
        "{:27}{:>9}{:>6}{:>9}{:>9}{:>9}{:>10}{:>9}{:>7}{:>8}",
        "hop, µs", "said", "lost", "p50", "p95", "p99", "worst", "µs/msg", "cores", "kB each"
    );
    for it in parts {
        println!(
            "{:27}{:>9}{:>6}{:>9.1}{:>9.1}{:>9.1}{:>10.1}{:>9.1}{:>7.2}{:>8.1}",
            it.what,
            it.said,
            it.lost,
            it.hop_p50_us,
            it.hop_p95_us,
            it.hop_p99_us,
            it.hop_worst_us,
            it.processor_us_a_message,
            it.processors,
            it.kilobytes_a_participant
        );
    }
    let flood: u64 = parts.iter().map(|it| it.flood_messages).sum();
    println!(
        "p95 is {:.2} of the bare channels'; the flood said {} a second",
        parts[0].hop_p95_us / parts[1].hop_p95_us,
        flood / args.seconds.max(1)
    );
}
