//! Live sound to a crowd of real peer connections: how far from one another they hear it, and what that costs the box.
//!
//! In: the real program, and phones of another kind (the crate `webrtc`), each with the page's core and crystals of its
//! own. Out: when each chunk would have sounded at one phone against when at the next, chunks lost and late, the box's
//! processor. Crystals, a page's coarse clock and this machine's own waits are in it, a radio and a loudspeaker are not.

use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use serde::Serialize;
use tokio::sync::mpsc::unbounded_channel;
use tokio::task::JoinSet;
use tools::listener::{Ear, Heard, apart, listen, lost};
use units::Span;

use super::peers::{self, PeersError};
use super::tell;

/// How to measure.
#[derive(clap::Args)]
#[command(
    after_help = "Examples:\n  tools bench live\n  tools bench live --peers 200 --seconds 60\n  tools bench live --sealed\n  tools bench live --peers 20 --seconds 5 --json\n\nThe phones are on this machine and cost it more than the box does: where it is busy, chunks come late."
)]
pub struct Args {
    /// Connections
    #[arg(long, default_value_t = 200)]
    peers: usize,
    /// Seconds that count
    #[arg(long, default_value_t = 30)]
    seconds: u64,
    /// Seconds before, while the phones learn their clocks
    #[arg(long, default_value_t = 15)]
    warm: u64,
    /// Which program
    #[arg(long, env = "DOWNBEAT", default_value = "target/release/downbeat")]
    program: PathBuf,
    /// Seal it end to end, and give every phone the key
    #[arg(long)]
    sealed: bool,
    /// One JSON document instead of a table
    #[arg(long)]
    json: bool,
}

/// What was measured.
#[derive(Debug, Serialize)]
struct Report {
    peers: usize,
    seconds: u64,
    sealed: bool,
    /// Chunks that would have sounded, of all phones.
    chunks: u64,
    /// Between a phone's first and its last: never came, or came when they would have been over.
    lost: u64,
    /// Those, and what came when it should have begun.
    concealed: u64,
    /// One phone to the next, milliseconds; none where no chunk was heard by two.
    apart_ms: Option<Apart>,
    box_percent_of_a_core: f64,
    load: String,
}

#[derive(Debug, Clone, Copy, Serialize)]
struct Apart {
    p50: f64,
    p95: f64,
    most: f64,
}

/// Measures and prints.
pub fn run(args: &Args) -> ExitCode {
    tell("live sound", peers::complete(measure(args)), args.json, print)
}

async fn measure(args: &Args) -> Result<Report, PeersError> {
    let sealed = sealed_show();
    let show = if args.sealed { sealed.path().to_owned() } else { peers::demo() };
    let the_box = peers::a_box(&args.program, &show).await?;
    let key = the_box.seal().await?;
    let callers = peers::come(&the_box, args.peers).await?;
    let (hears, mut heard) = unbounded_channel();
    let mut listening = JoinSet::new();
    for (caller, number) in callers.into_iter().zip(0..) {
        let hears = hears.clone();
        let ear = Ear::new(key.clone());
        listening.spawn(async move { listen(&caller, (number, ear), hears).await });
    }
    the_box.post("air", r#"{"what":"tone"}"#).await?;
    tokio::time::sleep(Duration::from_secs(args.warm)).await;
    let from = tools::mono_now();
    let counts = tokio::time::sleep(Duration::from_secs(args.seconds));
    let spent = peers::spend(the_box.pid(), counts).await?;
    let until = tools::mono_now();
    let mut all = Vec::new();
    while let Ok(it) = heard.try_recv() {
        all.extend((from..until).contains(&it.at).then_some(it));
    }
    drop(heard);
    while let Some(ended) = listening.join_next().await {
        ended.expect("no phone panics")?;
    }
    Ok(report(args, &all, spent))
}

fn report(args: &Args, all: &[Heard], spent: Duration) -> Report {
    let lost = lost(all);
    Report {
        peers: args.peers,
        seconds: args.seconds,
        sealed: args.sealed,
        chunks: all.len() as u64,
        lost,
        concealed: all.iter().filter(|it| it.is_late).count() as u64 + lost,
        apart_ms: spread(&apart(all)),
        box_percent_of_a_core: 100.0 * spent.as_secs_f64() / args.seconds.max(1) as f64,
        load: tools::load(),
    }
}

/// A show of one cue that seals what is live.
fn sealed_show() -> tempfile::TempDir {
    let folder = tempfile::tempdir().expect("a folder for a while");
    let show = "[show]\nseal = true\n[[list]]\nname = \"main\"\n[[list.cue]]\nnumber = 1\nphones = { color = \"#ff9030\" }\n";
    std::fs::write(folder.path().join("show.toml"), show).expect("it can be written");
    folder
}

/// None of none.
fn spread(apart: &[Span]) -> Option<Apart> {
    let last = apart.len().checked_sub(1)?;
    let at = |share: f64| apart[(last as f64 * share) as usize].millis_f64();
    Some(Apart { p50: at(0.5), p95: at(0.95), most: at(1.0) })
}

fn print(report: &Report) {
    let Report { peers, seconds, chunks, lost, concealed, .. } = report;
    let sealed = if report.sealed { ", sealed" } else { "" };
    println!("Opus live to {peers} peer connections for {seconds} s{sealed}, load {}", report.load);
    match report.apart_ms {
        Some(Apart { p50, p95, most }) => {
            println!("apart   p50 {p50:6.3} ms   p95 {p95:6.3} ms   most {most:6.3} ms");
        }
        None => println!("apart   unknown: no two phones heard the same"),
    }
    println!("chunks  {chunks} heard   {lost} lost   {concealed} concealed");
    println!("the box {:.1} % of a core", report.box_percent_of_a_core);
}
