//! Peer connections (WebRTC) of a crowd: what one costs the box, how long it takes to come, and what is left when it
//! has gone.
//!
//! In: the real program, and phones of another kind (the crate `webrtc`), each with its `/ws`, its place on `/bloom` and
//! one connection of three channels. Out: memory and processor a connection, set-up times, and after each round of
//! opening and closing the box's descriptors and memory.

use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Arc;
use std::time::{Duration, Instant};

use serde::Serialize;
use tokio::runtime;
use tokio::sync::Semaphore;
use tokio::task::JoinSet;
use tokio::time::MissedTickBehavior;
use tools::caller::{CallError, Caller};
use tools::running::{BoxError, Running};
use wire::time::{Answer, Question};

use super::tell;
use crate::test::root;

/// How to measure.
#[derive(clap::Args)]
#[command(
    after_help = "Examples:\n  tools bench peers\n  tools bench peers --peers 1000 --rounds 0 --hold 60\n  tools bench peers --peers 5 --rounds 2 --hold 1 --json\n\nA thousand phones are some 4,000 sockets here, and as many in the box: `ulimit -n 20000`."
)]
pub struct Args {
    /// Connections at a time
    #[arg(long, default_value_t = 500)]
    peers: usize,
    /// Rounds of opening a fifth as many and closing them again
    #[arg(long, default_value_t = 20)]
    rounds: u32,
    /// Seconds to hold them idle, and then asking the time
    #[arg(long, default_value_t = 10)]
    hold: u64,
    /// Questions of each a second
    #[arg(long, default_value_t = 4)]
    asks: u32,
    /// Which program
    #[arg(long, env = "DOWNBEAT", default_value = "target/release/downbeat")]
    program: PathBuf,
    /// One JSON document instead of a table
    #[arg(long)]
    json: bool,
}

/// The last question's own octets.
const LAST: [u8; 8] = *b"the last";
/// So many come at a time: a queue at the door, not a stampede of this machine's own clients.
const AT_A_TIME: usize = 16;

#[derive(Debug, thiserror::Error)]
pub(super) enum PeersError {
    #[error(transparent)]
    Box(#[from] BoxError),
    #[error(transparent)]
    Call(#[from] CallError),
    #[error("could not read {0}: the box is gone, or this is not Linux")]
    Proc(String),
    #[error("{lost} of {all} connections were lost while nobody touched them")]
    Lost { lost: usize, all: usize },
}

/// What was measured.
#[derive(Debug, Serialize)]
struct Report {
    peers: usize,
    kib_a_peer: f64,
    set_up_ms: Spread,
    answered_ms: Spread,
    idle_us_a_second_a_peer: f64,
    us_a_question: f64,
    rounds: Vec<Round>,
    load: String,
}

/// Of many, in order.
#[derive(Debug, Serialize)]
struct Spread {
    p50: f64,
    p99: f64,
    max: f64,
}

/// The box after a round.
#[derive(Debug, Clone, Copy, Serialize)]
struct Round {
    descriptors: usize,
    kib: f64,
}

/// Measures and prints.
pub fn run(args: &Args) -> ExitCode {
    tell("peers", complete(measure(args)), args.json, print)
}

/// Carries a measurement out, on as many threads as there are processors.
pub(super) fn complete<T>(
    measure: impl Future<Output = Result<T, PeersError>>,
) -> Result<T, PeersError> {
    let runtime = runtime::Builder::new_multi_thread().enable_all().build();
    runtime.map_err(BoxError::machine("a runtime"))?.block_on(measure)
}

/// The show of the demo.
pub(super) fn demo() -> PathBuf {
    root().join("config/demo")
}

/// A box that lets everybody in.
pub(super) async fn a_box(program: &Path, show: &Path) -> Result<Running, BoxError> {
    let limits = "[limits]\nconnections_per_address = 100000\nsignalling_per_address = 100000\npeers = 100000\n";
    Running::start(&root().join(program), show, limits).await
}

async fn measure(args: &Args) -> Result<Report, PeersError> {
    let the_box = a_box(&args.program, &demo()).await?;
    let pid = the_box.pid();
    // What the first one costs is not what one costs.
    drop(come(&the_box, 1).await?);

    let guests = arrive(&the_box, args.peers).await?;
    let before = look(pid)?;
    let hold = Duration::from_secs(args.hold);
    // The box has its lamps and sockets to look after as well.
    let without = spend(pid, tokio::time::sleep(hold)).await?;
    eprintln!("{} phones have said hello; now they connect", args.peers);
    let (guests, set_up, answered) = connect(guests).await?;
    tokio::time::sleep(Duration::from_secs(1)).await;
    let after = look(pid)?;

    let idle = spend(pid, tokio::time::sleep(hold)).await?;
    let guests = Arc::new(guests);
    let mut asked = 0;
    let asking = spend(pid, async { asked = ask(&guests, hold, args.asks).await }).await?;
    let alive = alive(&guests).await;
    if alive < guests.len() {
        return Err(PeersError::Lost { lost: guests.len() - alive, all: guests.len() });
    }
    let a_peer = args.peers as f64;
    let idle_a_peer =
        (idle.as_secs_f64() - without.as_secs_f64()) * 1e6 / args.hold.max(1) as f64 / a_peer;
    drop(guests);
    let mut rounds = Vec::new();
    for nth in 0..args.rounds {
        let guests = come(&the_box, (args.peers / 5).max(1)).await?;
        drop(guests);
        settled(&the_box).await?;
        rounds.push(look(pid)?);
        eprintln!("round {} of {}: {:?}", nth + 1, args.rounds, rounds.last());
    }
    Ok(Report {
        peers: args.peers,
        kib_a_peer: (after.kib - before.kib) / a_peer,
        set_up_ms: spread(set_up),
        answered_ms: spread(answered),
        idle_us_a_second_a_peer: idle_a_peer,
        us_a_question: (asking.as_secs_f64() - idle.as_secs_f64()).max(0.0) * 1e6
            / asked.max(1) as f64,
        rounds,
        load: tools::load(),
    })
}

pub(super) async fn come(the_box: &Running, count: usize) -> Result<Vec<Caller>, PeersError> {
    Ok(connect(arrive(the_box, count).await?).await?.0)
}

async fn arrive(the_box: &Running, count: usize) -> Result<Vec<Caller>, PeersError> {
    let at = the_box.http();
    let mut coming = JoinSet::new();
    let doors = Arc::new(Semaphore::new(AT_A_TIME));
    for _ in 0..count {
        let doors = doors.clone();
        coming.spawn(async move {
            let _place = doors.acquire_owned().await;
            Caller::arrive(at, "127.0.0.1:0", false).await
        });
    }
    let mut here = Vec::new();
    while let Some(come) = coming.join_next().await {
        here.push(come.expect("no guest panics")?);
    }
    Ok(here)
}

/// With how long each took until all its channels were open, and until it had its answer, in milliseconds.
async fn connect(guests: Vec<Caller>) -> Result<(Vec<Caller>, Vec<f64>, Vec<f64>), PeersError> {
    let doors = Arc::new(Semaphore::new(AT_A_TIME));
    let mut coming = JoinSet::new();
    for mut guest in guests {
        let doors = doors.clone();
        coming.spawn(async move {
            let _place = doors.acquire_owned().await;
            let offer = guest.native.offer().await?;
            let begin = Instant::now();
            let answer = guest.exchange(&offer).await?;
            let answered = begin.elapsed();
            guest.native.accept(&answer).await?;
            guest.native.opened().await?;
            Ok::<_, CallError>((guest, begin.elapsed(), answered))
        });
    }
    let (mut here, mut open, mut answered) = (Vec::new(), Vec::new(), Vec::new());
    while let Some(come) = coming.join_next().await {
        let (guest, opened_in, answered_in) = come.expect("no guest panics")?;
        here.push(guest);
        open.push(opened_in.as_secs_f64() * 1e3);
        answered.push(answered_in.as_secs_f64() * 1e3);
    }
    Ok((here, open, answered))
}

/// Everybody asks the time so often for so long; gives how many questions there were, which are fewer on a busy machine.
async fn ask(guests: &[Caller], hold: Duration, a_second: u32) -> u64 {
    let mut asked = 0;
    let gap = Duration::from_secs(1) / a_second.max(1);
    let end = Instant::now() + hold;
    let mut tick = tokio::time::interval(gap);
    // A machine that stood still must not ask for all that time at once: the box would take it for a flood.
    tick.set_missed_tick_behavior(MissedTickBehavior::Delay);
    while Instant::now() < end {
        tick.tick().await;
        for guest in guests {
            // One that is lost is counted at the end.
            let said = guest.native.say("time", &Question { t1: [7; 8] }.emit()).await;
            asked += u64::from(said.is_ok());
        }
    }
    asked
}

/// How many still have an answer.
async fn alive(guests: &[Caller]) -> usize {
    let mut alive = 0;
    for guest in guests {
        alive += usize::from(answers(guest).await.is_ok());
    }
    alive
}

/// Whether a question is answered; answers to earlier ones pass by.
async fn answers(guest: &Caller) -> Result<(), CallError> {
    guest.native.say("time", &Question { t1: LAST }.emit()).await?;
    while Answer::parse(&guest.native.hear("time").await?).is_ok_and(|it| it.t1 != LAST) {}
    Ok(())
}

/// Until the box has noticed that everybody has gone.
async fn settled(the_box: &Running) -> Result<(), PeersError> {
    let end = Instant::now() + Duration::from_secs(20);
    let mut waiting = vec!["/api/v1/phones", "/api/v1/rooms"];
    while let Some(path) = waiting.last() {
        if tools::running::get(&the_box.socket(), path).await?.contains("\"sockets\":0") {
            waiting.pop();
        } else if Instant::now() > end {
            // What is left shows in the round's figures.
            break;
        } else {
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    }
    Ok(())
}

/// What the box's threads spend meanwhile.
pub(super) async fn spend(
    pid: u32,
    meanwhile: impl Future<Output = ()>,
) -> Result<Duration, PeersError> {
    let before = spent(pid)?;
    meanwhile.await;
    Ok(spent(pid)? - before)
}

fn spent(pid: u32) -> Result<Duration, PeersError> {
    let path = format!("/proc/{pid}/task");
    let tasks = std::fs::read_dir(&path).map_err(|_| PeersError::Proc(path))?;
    let of_thread = |task: std::fs::DirEntry| -> Option<u64> {
        let text = std::fs::read_to_string(task.path().join("schedstat")).ok()?;
        text.split(' ').next()?.parse().ok()
    };
    Ok(Duration::from_nanos(tasks.flatten().filter_map(of_thread).sum()))
}

fn look(pid: u32) -> Result<Round, PeersError> {
    let path = format!("/proc/{pid}/status");
    let status = std::fs::read_to_string(&path).map_err(|_| PeersError::Proc(path.clone()))?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
    let kib = line.and_then(|it| it.trim().trim_end_matches(" kB").parse().ok());
    let descriptors = std::fs::read_dir(format!("/proc/{pid}/fd")).map(Iterator::count);
    match (kib, descriptors) {
        (Some(kib), Ok(descriptors)) => Ok(Round { descriptors, kib }),
        _ => Err(PeersError::Proc(path)),
    }
}

fn spread(mut all: Vec<f64>) -> Spread {
    all.sort_by(f64::total_cmp);
    let at = |share: f64| all.get(((all.len() - 1) as f64 * share) as usize).copied();
    let at = |share| at(share).unwrap_or(f64::NAN);
    Spread { p50: at(0.5), p99: at(0.99), max: at(1.0) }
}

fn print(report: &Report) {
    let Report { peers, kib_a_peer, set_up_ms, answered_ms, .. } = report;
    println!("{peers} peer connections, load {}", report.load);
    println!("memory a connection        {kib_a_peer:8.1} KiB");
    println!(
        "idle, a connection         {:8.1} us of a processor a second",
        report.idle_us_a_second_a_peer
    );
    println!("a question of time         {:8.1} us of a processor", report.us_a_question);
    let row = |what: &str, it: &Spread| {
        println!("{what}  p50 {:8.1} ms   p99 {:8.1} ms   max {:8.1} ms", it.p50, it.p99, it.max);
    };
    row("offer to answer     ", answered_ms);
    row("offer to channels   ", set_up_ms);
    for (nth, round) in report.rounds.iter().enumerate() {
        println!(
            "after round {:2}: {:4} descriptors, {:8.0} KiB",
            nth + 1,
            round.descriptors,
            round.kib
        );
    }
}
