//! What an exchange costs the phone's clock: natively, and in WebAssembly through the page's own door.
//!
//! In: the newest `core.wasm` that cargo built, node. Out: microseconds an exchange, as they are distributed. Never: a
//! network.
//!
//! The same exchanges are answered several times over, and of each the shortest time counts: the clock does the same
//! each time, so what came on top was other work on the machine. What share of all was above the limit with that
//! other work is told beside it.

use std::fs;
use std::hint::black_box;
use std::process::{Command, ExitCode};
use std::time::Instant;

use phone::clock::{Channel, Clock, Exchange};
use phone::{Chance, NetTime};
use serde::{Deserialize, Serialize};
use units::MonoTime;

use crate::test::root;

/// How to measure.
#[derive(clap::Args)]
#[command(
    after_help = "Examples:\n  tools bench clock-wasm\n  tools bench clock-wasm --json > clock.json\n\n`cargo build -p page` makes the core that is measured; CORE_WASM=FILE names another."
)]
pub struct Args {
    /// One JSON document instead of a table
    #[arg(long)]
    json: bool,
}

#[derive(Serialize, Deserialize)]
struct Cost {
    count: usize,
    mean_us: f64,
    p50_us: f64,
    p99_us: f64,
    p999_us: f64,
    worst_us: f64,
    /// Exchanges above [`LIMIT_US`].
    above: usize,
    /// The share above it, other work on the machine counted in.
    raw_share_above: f64,
}

/// What an exchange may cost.
const LIMIT_US: f64 = 50.0;
const ROUNDS: usize = 5;

/// As the script tells it.
#[derive(Deserialize)]
struct Wasm {
    answer: Cost,
    nothing: Cost,
}

#[derive(Serialize)]
struct Report {
    native: Cost,
    /// An answer through the door, JSON and all.
    wasm_answer: Cost,
    /// A message that means nothing through the same door.
    wasm_nothing: Cost,
    load: String,
}

/// Measures and prints.
pub fn run(args: &Args) -> ExitCode {
    let wasm = match in_wasm() {
        Ok(wasm) => wasm,
        Err(why) => {
            eprintln!("could not measure in WebAssembly: {why}");
            return ExitCode::FAILURE;
        }
    };
    let load = fs::read_to_string("/proc/loadavg").unwrap_or_else(|_| "unknown".into());
    let report = Report {
        native: native(),
        wasm_answer: wasm.answer,
        wasm_nothing: wasm.nothing,
        load: load.trim().into(),
    };
    if args.json {
        println!("{}", serde_json::to_string_pretty(&report).expect("numbers and words"));
    } else {
        print(&report);
    }
    ExitCode::SUCCESS
}

fn print(report: &Report) {
    println!(
        "microseconds an exchange     count   mean    p50    p99  p99.9  worst  above 50  (with noise)"
    );
    for (name, cost) in [
        ("native", &report.native),
        ("WebAssembly, an answer", &report.wasm_answer),
        ("WebAssembly, a word of none", &report.wasm_nothing),
    ] {
        println!(
            "{name:27} {:6} {:6.1} {:6.1} {:6.1} {:6.1} {:6.1} {:9} {:11.2}%",
            cost.count,
            cost.mean_us,
            cost.p50_us,
            cost.p99_us,
            cost.p999_us,
            cost.worst_us,
            cost.above,
            cost.raw_share_above * 100.0
        );
    }
    let own = report.wasm_answer.mean_us - report.wasm_nothing.mean_us;
    println!("the clock's own in WebAssembly: {own:.1} us; load {}", report.load);
}

fn in_wasm() -> Result<Wasm, String> {
    let script = root().join("tools/bench/clock_wasm.js");
    let ran = Command::new("node").arg(&script).output();
    let ran = ran.map_err(|error| format!("could not run node: {error}"))?;
    if !ran.status.success() {
        return Err(String::from_utf8_lossy(&ran.stderr).trim().into());
    }
    serde_json::from_slice(&ran.stdout).map_err(|error| format!("{}: {error}", script.display()))
}

/// A crowd, ten questions a second for five minutes, so that the window is full most of the time.
fn native() -> Cost {
    let rounds: Vec<Vec<f64>> = (0..ROUNDS).map(|_| native_round()).collect();
    let raw_above = rounds.iter().flatten().filter(|us| **us > LIMIT_US).count();
    let count = rounds[0].len();
    let shortest = |k: usize| rounds.iter().map(|spent| spent[k]).fold(f64::INFINITY, f64::min);
    let raw_share_above = raw_above as f64 / (count * ROUNDS) as f64;
    Cost { raw_share_above, ..cost((0..count).map(shortest).collect()) }
}

fn native_round() -> Vec<f64> {
    let mut chance = Chance::new(7);
    let mut clock = Clock::default();
    let spent_us = |k: i32| {
        let exchange = exchange(&mut chance, f64::from(k) * 0.1);
        let from = Instant::now();
        clock.handle(exchange);
        black_box(clock.reading(exchange.t4));
        from.elapsed().as_secs_f64() * 1e6
    };
    (0..3_000).map(spent_us).collect()
}

fn exchange(chance: &mut Chance, at: f64) -> Exchange {
    let mut wait = || {
        let long = if chance.share() < 0.3 { 0.3e-3 } else { 6e-3 };
        1.2e-3 - long * (1.0 - chance.share()).ln()
    };
    let heard = at + wait();
    let back = heard + 3e-5 + wait();
    let mono = |secs: f64| MonoTime::from_ns((secs * 1e4) as i64 * 100_000);
    let net = |secs: f64| NetTime::from_ns((secs * 1e6) as i64 * 1_000 + 1_790_000_000_000_000_000);
    Exchange {
        t1: mono(at),
        t2: net(heard),
        t3: net(heard + 3e-5),
        t4: mono(back),
        channel: Channel::WebSocket,
    }
}

fn cost(mut spent_us: Vec<f64>) -> Cost {
    spent_us.sort_unstable_by(f64::total_cmp);
    let count = spent_us.len();
    let share = |part: f64| spent_us[((count as f64 * part) as usize).min(count - 1)];
    Cost {
        count,
        mean_us: spent_us.iter().sum::<f64>() / count as f64,
        p50_us: share(0.5),
        p99_us: share(0.99),
        p999_us: share(0.999),
        worst_us: spent_us[count - 1],
        above: spent_us.iter().filter(|us| **us > LIMIT_US).count(),
        raw_share_above: 0.0,
    }
}
