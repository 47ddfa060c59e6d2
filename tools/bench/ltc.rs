//! What LTC costs to render as sound, beside libltc and beside filling the samples with silence, and whether it holds at
//! any rate of the card. Needs a C compiler and libltc (`tools/setup --tests`).

use std::hint::black_box;
use std::path::Path;
use std::process::{Command, ExitCode, Stdio};
use std::sync::Arc;

use engine::sound::{FrameGrid, Plan, Renderer};
use engine::timecode::{Course, Line, Ltc};
use nix::sys::resource::{UsageWho, getrusage};
use nix::sys::time::TimeValLike;
use serde::Serialize;
use tools::load;
use units::{FrameRate, Gain, ShowTime, Span};

/// How much to render.
#[derive(clap::Args)]
#[command(after_help = "Examples:\n  tools bench ltc\n  tools bench ltc --minutes 60 --json")]
pub struct Args {
    /// Minutes of sound for each row
    #[arg(long, default_value_t = 10)]
    minutes: u32,
    /// One JSON document instead of words
    #[arg(long)]
    json: bool,
}

#[derive(Serialize)]
struct Report {
    bench: &'static str,
    minutes: u32,
    load: String,
    rows: Vec<Row>,
}

/// A rate of the card.
#[derive(Serialize)]
struct Row {
    rate_hz: u32,
    /// Of a processor for a second of sound, microseconds.
    ours_us: f64,
    /// The same for a block of the samples filled with silence.
    silence_us: f64,
    /// The same for libltc with its writing to nowhere; none where it cannot be built.
    libltc_us: Option<f64>,
    /// Ours over libltc's.
    ratio: Option<f64>,
}

/// Frames of a block of the card.
const BLOCK: usize = 480;
/// 25 frames a second: no numbers are dropped, so both do the same.
const RATE: FrameRate = FrameRate::Fps25;

/// Renders, has libltc encode, and prints.
pub fn run(args: &Args) -> ExitCode {
    let folder = tempfile::tempdir().expect("a folder");
    let peer = folder.path().join("peer");
    let built = build(&peer);
    let row = |rate_hz: u32| {
        let secs = 60.0 * f64::from(args.minutes);
        let ours_us = ours(rate_hz, args.minutes) / secs;
        let libltc_us = built.then(|| libltc(&peer, rate_hz, args.minutes) / secs);
        let silence_us = silence(rate_hz, args.minutes) / secs;
        let ratio = libltc_us.map(|libltc| ours_us / libltc);
        Row { rate_hz, ours_us, silence_us, libltc_us, ratio }
    };
    let rows = [44_100, 48_000, 96_000].map(row).into();
    let report = Report { bench: "ltc", minutes: args.minutes, load: load(), rows };
    match args.json {
        true => println!("{}", serde_json::to_string_pretty(&report).expect("numbers and words")),
        false => report.print(),
    }
    ExitCode::SUCCESS
}

/// Microseconds of a processor.
fn ours(rate_hz: u32, minutes: u32) -> f64 {
    let begin = ShowTime::from_ns(1_790_000_000_000_000_000);
    let line = Line::Runs { at: begin, position: Span::ZERO };
    let course = Course { before: Line::Silent, from: begin, line };
    let timecode = Some(Ltc { course, rate: RATE, channel: 0, gain: Gain(0.5) });
    let (plan, renderer) =
        (Plan { voices: Vec::new(), timecode }, Renderer::new(Arc::new([]), rate_hz, 1));
    let mut out = [0.0; BLOCK];
    let used = used_us(UsageWho::RUSAGE_SELF);
    for block in 0..blocks(rate_hz, minutes) {
        let grid = FrameGrid::exact(begin, rate_hz).skip(block * BLOCK);
        renderer.render(&plan, grid, &mut out);
        black_box(&out);
    }
    used_us(UsageWho::RUSAGE_SELF) - used
}

fn silence(rate_hz: u32, minutes: u32) -> f64 {
    let mut out = [0.0_f32; BLOCK];
    let used = used_us(UsageWho::RUSAGE_SELF);
    for _ in 0..blocks(rate_hz, minutes) {
        black_box(&mut out).fill(0.0);
    }
    used_us(UsageWho::RUSAGE_SELF) - used
}

fn blocks(rate_hz: u32, minutes: u32) -> usize {
    rate_hz as usize * 60 * minutes as usize / BLOCK
}

fn build(peer: &Path) -> bool {
    let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("../tests/real/timecode/peer.c");
    let mut cc = Command::new("cc");
    let built = cc.args(["-O2", "-o"]).arg(peer).arg(source).arg("-lltc").output();
    built.is_ok_and(|it| it.status.success())
}

/// Microseconds of a processor.
fn libltc(peer: &Path, rate_hz: u32, minutes: u32) -> f64 {
    let used = used_us(UsageWho::RUSAGE_CHILDREN);
    let frames = (25 * 60 * minutes).to_string();
    let rate_hz = rate_hz.to_string();
    let words = ["write", &rate_hz, "25", "625", "0", "0", "0", "0", &frames];
    let done = Command::new(peer).args(words).stdout(Stdio::null()).status();
    assert!(done.is_ok_and(|it| it.success()), "libltc writes");
    used_us(UsageWho::RUSAGE_CHILDREN) - used
}

/// Of a processor, so that all three are measured alike and whatever else runs here is in none of them.
fn used_us(who: UsageWho) -> f64 {
    let used = getrusage(who).expect("the kernel counts");
    (used.user_time() + used.system_time()).num_microseconds() as f64
}

impl Report {
    fn print(&self) {
        println!("{} minutes of LTC at 25 frames a second, load {}", self.minutes, self.load);
        println!("{:>8} {:>14} {:>14} {:>14} {:>8}", "rate", "ours", "libltc", "silence", "ratio");
        let known = |it: Option<f64>, unit: &str| {
            it.map_or_else(|| "unknown".to_owned(), |it| format!("{it:.2}{unit}"))
        };
        for it in &self.rows {
            let (ours, silence) =
                (format!("{:.2} us", it.ours_us), format!("{:.2} us", it.silence_us));
            let (libltc, ratio) = (known(it.libltc_us, " us"), known(it.ratio, ""));
            println!("{:>8} {ours:>14} {libltc:>14} {silence:>14} {ratio:>8}", it.rate_hz);
        }
        println!("us of a processor for a second of sound");
    }
}
