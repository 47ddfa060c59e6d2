//! From the death of the box that drives to the light and the answer of the other one.
//!
//! In: two real boxes on the loopback, a fade of an hour in 16 bits, and a box that is killed at a moment that owes nothing
//! to frames and signs of life. Out: how long its universe is without a frame of whoever drives, by how much the level is
//! off where the other one goes on, and when a phone is greeted by a master again. Never here: a cable, so of the 150 ms
//! of silence nothing is the network's.
//!
//! A trial: wait until the other box knows the show and receivers have forgotten the last death, have a phone come, wait a
//! random while, note the time, kill -9, have the phone go over, look what was on the wire; start the dead box again.

mod eye;
mod phone;

use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::thread;
use std::time::{Duration, Instant};

use engine::cluster::{BEAT, SILENCE};
use serde::Serialize;
use serde_json::Value;
use tempfile::TempDir;
use tokio::runtime;
use tokio::time::timeout;
use tools::running::{BoxError, Place, Running, get, post};

use super::go::{Chance, quantile};
use super::{stolen_ms, tell};
use crate::test::root;
use eye::{ADDRESS, Eye, Frame, now_ns};
use phone::Phone;

/// How to measure.
#[derive(clap::Args)]
#[command(
    after_help = "Examples:\n  tools bench takeover\n  tools bench takeover --trials 100 --json > takeover.json\n\nA trial takes about 4 s, since receivers hold the dead box's priority for 2.5 s; the fade takes an hour."
)]
pub struct Args {
    /// How many deaths, of one box and the other by turns
    #[arg(long, default_value_t = 20, value_parser = clap::value_parser!(u32).range(1..=600))]
    trials: u32,
    /// Where the random moments begin; the same seed waits the same whiles
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// Which program
    #[arg(long, env = "DOWNBEAT", default_value = "target/release/downbeat")]
    program: PathBuf,
    /// One JSON document instead of a table
    #[arg(long)]
    json: bool,
}

/// Measures and prints.
pub fn run(args: &Args) -> ExitCode {
    let runtime = runtime::Builder::new_current_thread().enable_all().build();
    let measured = runtime
        .map_err(BoxError::machine("a runtime"))
        .map_err(TakeoverError::from)
        .and_then(|runtime| runtime.block_on(measure(args)));
    tell("a takeover", measured, args.json, Report::print)
}

/// Why there is no figure.
#[derive(Debug, thiserror::Error)]
enum TakeoverError {
    /// A box.
    #[error(transparent)]
    Box(#[from] BoxError),
    /// The show's folder.
    #[error("a show: {0}")]
    Show(#[from] std::io::Error),
    /// A phone and the box that drives.
    #[error("a phone does not come to the box that drives: {0}")]
    Phone(#[from] tokio_tungstenite::tungstenite::Error),
    /// `hello` did not say where.
    #[error("a phone is told of no other box")]
    Alone,
    /// Either would take milliseconds.
    #[error("in vain for {limit} s: {0}", limit = PATIENCE.as_secs())]
    InVain(&'static str),
}

/// What was measured.
#[derive(Serialize)]
struct Report {
    /// `takeover`.
    bench: &'static str,
    trials: usize,
    /// Where the random moments began.
    seed: u64,
    /// Processors here.
    cpus: usize,
    /// Load averages of 1, 5 and 15 minutes before.
    load_before: String,
    /// And afterwards.
    load_after: String,
    /// What a host took of the processors meanwhile; none where that is not told.
    stolen_ms: Option<f64>,
    rows: Vec<Row>,
}

#[derive(Serialize)]
struct Row {
    what: &'static str,
    unit: &'static str,
    p50: f64,
    p95: f64,
    worst: f64,
    /// Silence and a beat, where a time is measured.
    limit: Option<f64>,
}

impl Report {
    fn print(&self) {
        let Self { trials, load_before, load_after, .. } = self;
        println!("{trials} takeovers (load before {load_before}, after {load_after})");
        if let Some(ms) = self.stolen_ms {
            println!("the host took {ms:.0} ms of the processors meanwhile");
        }
        println!("{:<44}{:>8}{:>9}{:>9}{:>9}{:>8}", "", "", "p50", "p95", "worst", "limit");
        for Row { what, unit, p50, p95, worst, limit } in &self.rows {
            let limit = limit.map_or(String::new(), |it| format!("{it:.0}"));
            println!("{what:<44}{unit:>8}{p50:>9.1}{p95:>9.1}{worst:>9.1}{limit:>8}");
        }
    }
}

/// What came of a death. Times in milliseconds, levels in 65,535ths.
#[derive(Debug)]
struct Takeover {
    dark_ms: f64,
    light_ms: f64,
    hello_ms: f64,
    step: f64,
    asked: f64,
}

fn rows(all: &[Takeover]) -> Vec<Row> {
    let limit = (SILENCE + BEAT).millis_f64();
    let time = |what, of: fn(&Takeover) -> f64| Row::of(what, "ms", Some(limit), all, of);
    let level = |what, of: fn(&Takeover) -> f64| Row::of(what, "/65535", None, all, of);
    vec![
        time("last frame of the dead to first of the other", |it| it.dark_ms),
        time("kill to that first frame", |it| it.light_ms),
        time("kill to a hello that a master answers", |it| it.hello_ms),
        level("level step between these frames", |it| it.step),
        level("what the fade asks between them", |it| it.asked),
        level("by how much it is off", |it| (it.step - it.asked).abs()),
    ]
}

impl Row {
    fn of(
        what: &'static str,
        unit: &'static str,
        limit: Option<f64>,
        all: &[Takeover],
        of: fn(&Takeover) -> f64,
    ) -> Self {
        let mut values: Vec<f64> = all.iter().map(of).collect();
        values.sort_by(f64::total_cmp);
        let at = |part| quantile(&values, part);
        Self { what, unit, p50: at(0.5), p95: at(0.95), worst: at(1.0), limit }
    }
}

async fn measure(args: &Args) -> Result<Report, TakeoverError> {
    let (load_before, stolen_before) = (tools::load(), stolen_ms());
    let mut pair = Pair::open(args).await?;
    let mut all = Vec::new();
    for nth in 1..=args.trials {
        let it = pair.trial().await?;
        eprintln!("{nth}: light after {:.0} ms, hello after {:.0} ms", it.light_ms, it.hello_ms);
        all.push(it);
    }
    Ok(Report {
        bench: "takeover",
        trials: all.len(),
        seed: args.seed,
        cpus: thread::available_parallelism().map_or(0, usize::from),
        load_before,
        load_after: tools::load(),
        stolen_ms: stolen_ms().zip(stolen_before).map(|(now, then)| now - then),
        rows: rows(&all),
    })
}

/// Whatever takes longer than this will not come.
const PATIENCE: Duration = Duration::from_secs(20);
/// Between two looks at what takes a second or more.
const LOOK: Duration = Duration::from_millis(5);
const NAMES: [&str; 2] = ["left", "right"];
const KEY: &str = "00112233445566778899aabbccddeeff00112233445566778899aabbccddeeff";
/// The show's own priority.
const PRIORITY: u8 = 100;
/// By so many 65,535ths the light moves in a second.
const PACE: f64 = 65535.0 / 3600.0;

/// Moves often enough that no frame is left out as the same again.
fn show() -> String {
    format!(
        "[show]\ntitle = \"Two boxes\"\npriority = {PRIORITY}\n[universes.1]\nsacn = {{ unicast = [\"{ADDRESS}\"] }}\n\
        [fixtures]\none = {{ profile = \"generic/dimmer-16\", universe = 1, address = 1 }}\n\
        [[list]]\nname = \"main\"\n[[list.cue]]\nnumber = 1\nlight = {{ levels = {{ one = 100 }}, fade = \"3600s\" }}\n"
    )
}

/// Both boxes, the eye on their light, and the chance that picks moments.
struct Pair {
    boxes: [Running; 2],
    /// Which of them drives.
    driver: usize,
    eye: Eye,
    chance: Chance,
    _show: TempDir,
}

impl Pair {
    async fn open(args: &Args) -> Result<Self, TakeoverError> {
        let folder = tempfile::tempdir()?;
        std::fs::write(folder.path().join("show.toml"), show())?;
        let eye = Eye::open()?;
        let program = root().join(&args.program);
        let left = a_box(NAMES[0], &program, folder.path()).await?;
        let right = a_box(NAMES[1], &program, folder.path()).await?;
        let chance = Chance(args.seed);
        let pair = Self { boxes: [left, right], driver: 0, eye, chance, _show: folder };
        pair.wait_until_both_know().await?;
        post(&pair.boxes[0].socket(), "go", "").await?;
        Ok(pair)
    }

    async fn trial(&mut self) -> Result<Takeover, TakeoverError> {
        self.wait_until_both_know().await?;
        self.wait_until_both_shine()?;
        let phone = Phone::join(&self.boxes[self.driver].http().to_string()).await?;
        let other = phone.other().ok_or(TakeoverError::Alone)?;
        self.eye.forget();
        tokio::time::sleep(SETTLED + self.chance.moment()).await;
        let killed = now_ns();
        self.boxes[self.driver].kill()?;
        let greeted = timeout(PATIENCE, Phone::join_master(&other)).await;
        let greeted = greeted.map(|_| now_ns());
        let greeted = greeted.map_err(|_| TakeoverError::InVain("the other box greets"))?;
        let (last, first) = self.on_the_wire()?;
        self.boxes[self.driver].begin_again().await?;
        self.driver = 1 - self.driver;
        Ok(Takeover {
            dark_ms: millis(last.at_ns, first.at_ns),
            light_ms: millis(killed, first.at_ns),
            hello_ms: millis(killed, greeted),
            step: f64::from(first.level) - f64::from(last.level),
            asked: millis(last.at_ns, first.at_ns) / 1e3 * PACE,
        })
    }

    /// The box that stands by would go on with the show.
    async fn wait_until_both_know(&self) -> Result<(), TakeoverError> {
        let end = Instant::now() + PATIENCE;
        let socket = self.boxes[1 - self.driver].socket();
        while Instant::now() < end {
            let text = get(&socket, "/api/v1/status").await?;
            let it = serde_json::from_str::<Value>(&text).unwrap_or_default()["cluster"].take();
            if it["master"] == NAMES[self.driver] && it["knows_the_show"] == true {
                return Ok(());
            }
            tokio::time::sleep(LOOK).await;
        }
        Err(TakeoverError::InVain("the box that stands by knows the show"))
    }

    /// Receivers have forgotten the last death: who drives sends at the show's priority, who stands by at one less.
    fn wait_until_both_shine(&self) -> Result<(), TakeoverError> {
        let end = Instant::now() + PATIENCE;
        let mut newest = [0, 0];
        self.eye.forget();
        while Instant::now() < end {
            let Ok(frame) = self.eye.next(PATIENCE) else { break };
            let which = usize::from(frame.from != NAMES[self.driver]);
            newest[which] = frame.priority;
            if newest == [PRIORITY, PRIORITY - 1] {
                return Ok(());
            }
        }
        Err(TakeoverError::InVain("both boxes send at their priorities"))
    }

    /// The last frame of the box that died, and the first of the other one at a priority above it.
    fn on_the_wire(&self) -> Result<(Frame, Frame), TakeoverError> {
        let end = Instant::now() + PATIENCE;
        let mut last = None;
        while Instant::now() < end {
            let Ok(frame) = self.eye.next(PATIENCE) else { break };
            if frame.from == NAMES[self.driver] {
                last = Some(frame);
            } else if let Some(last) = last.take_if(|_| frame.priority > PRIORITY) {
                return Ok((last, frame));
            }
        }
        Err(TakeoverError::InVain("the other box sends at a higher priority"))
    }
}

/// A few frames of who is to die are seen before.
const SETTLED: Duration = Duration::from_millis(100);

/// Its door is wide open: a phone that asks every few milliseconds would be put off for a second else.
async fn a_box(name: &str, program: &Path, show: &Path) -> Result<Running, BoxError> {
    let more = format!(
        "name = \"{name}\"\n[net]\ncluster = \"lo\"\n[limits]\nconnections_per_address = 100000\n\
        [cluster]\nname = \"bench takeover\"\nvoters = [\"left\", \"right\"]\n"
    );
    let place = Place::new(program, show, &more)?;
    place.keep("cluster.key", KEY)?;
    place.run().await
}

fn millis(from_ns: i64, to_ns: i64) -> f64 {
    (to_ns - from_ns) as f64 / 1e6
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_row_is_of_values_that_were_measured_and_says_how_far_the_level_is_off() {
        let all = (1..=20).map(f64::from).map(|ms| Takeover {
            dark_ms: ms,
            light_ms: 2.0 * ms,
            hello_ms: 3.0 * ms,
            step: 2.0,
            asked: ms / 10.0,
        });
        let rows = rows(&all.collect::<Vec<_>>());
        let spread = |nth: usize| (rows[nth].p50, rows[nth].p95, rows[nth].worst);
        assert_eq!(spread(0), (10.0, 19.0, 20.0));
        assert_eq!(spread(2), (30.0, 57.0, 60.0));
        assert_eq!(spread(5).2, 1.9, "a step that the fade does not ask for is off, up and down");
        assert_eq!(rows[0].limit, Some(200.0));
    }
}
