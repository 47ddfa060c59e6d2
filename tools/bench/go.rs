//! From GO to light: how long after a command the first changed sACN packet arrives.
//!
//! In: the demo show, run by the real program, and GO at moments that owe nothing to the frame grid. Out: the
//! spread of what a receiver on this machine sees. Universe 1 must come to 127.0.0.1, as the demo's does.
//!
//! With `--universes` in place of the demo: `light::go`.
//!
//! A trial: panic until the universe stands still, `goto 1`, wait a random while, note the time, GO, note the
//! time of the first packet whose slots differ. The time includes the command's way through the socket (or the
//! start of the `downbeat go` process), up to one frame of grid, and the packet's way back.

use std::collections::BTreeSet;
use std::io::ErrorKind;
use std::net::{Ipv4Addr, SocketAddrV4, UdpSocket};
use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::thread;
use std::time::{Duration, Instant};

use sacn::packet::{AcnRootLayerProtocol, E131RootLayerData};
use serde::Serialize;
use socket2::{Domain, Protocol, Socket, Type};
use tokio::runtime;

use super::light::go as light;
use super::tell;
use crate::test::root;
use tools::running::{BoxError, Running};

/// How to measure.
#[derive(clap::Args)]
#[command(
    after_help = "Examples:\n  tools bench go\n  tools bench go --trials 500 --json > go.json\n  tools bench go --universes 3000 --trials 3\n\nPort 5568 of 127.0.0.1 must be free of other sources of universe 1; `unshare --net` gives a quiet place. `--universes` needs root, iproute2 and two cores, and makes a place of its own."
)]
pub struct Args {
    /// How many GOs by each way; 3 of many universes
    #[arg(long)]
    trials: Option<u32>,
    /// Every slot of so many universes instead, over a cable to a listener
    #[arg(long, conflicts_with = "show")]
    universes: Option<u16>,
    /// Which cores the box then has
    #[arg(long, default_value = "0", requires = "universes")]
    cores: String,
    /// Where the random moments begin; the same seed waits the same whiles
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// Which program
    #[arg(long, env = "DOWNBEAT", default_value = "target/release/downbeat")]
    program: PathBuf,
    /// Which show; its first cue must change universe 1 at once
    #[arg(long, default_value = "config/demo")]
    show: PathBuf,
    /// One JSON document instead of a table
    #[arg(long)]
    json: bool,
}

/// Measures by both ways and prints.
pub fn run(args: &Args) -> ExitCode {
    if let Some(universes) = args.universes {
        let (trials, cores) = (args.trials.unwrap_or(3), args.cores.as_str());
        let wanted = light::GoArgs { universes, trials, program: &args.program, cores };
        return tell("GO", light::measure(&wanted), args.json, |rows| light::print(rows));
    }
    let runtime = runtime::Builder::new_current_thread().enable_all().build();
    let measured = runtime
        .map_err(BoxError::machine("a runtime"))
        .map_err(GoError::from)
        .and_then(|runtime| runtime.block_on(measure(args)));
    tell("GO", measured, args.json, Report::print)
}

/// Why there is no figure.
#[derive(Debug, thiserror::Error)]
enum GoError {
    /// The box.
    #[error(transparent)]
    Box(#[from] BoxError),
    /// The show does not do what the measurement needs.
    #[error("universe 1 did not {0} within {limit} s", limit = PATIENCE.as_secs())]
    NoLight(&'static str),
    /// Their packets would be taken for ours.
    #[error("{0} sources send universe 1 to this machine; stop the others")]
    Crowded(usize),
    /// `downbeat go` said no.
    #[error("`downbeat go` ended with {0}")]
    CommandFailed(std::process::ExitStatus),
}

/// What was measured, in milliseconds.
#[derive(Serialize)]
struct Report {
    /// `go`.
    bench: &'static str,
    /// Load averages of 1, 5 and 15 minutes before.
    load_before: String,
    /// Processors here.
    cpus: usize,
    /// Where the random moments began.
    seed: u64,
    /// A row for each way a GO was given.
    rows: Vec<Row>,
}

#[derive(Serialize)]
struct Row {
    /// `socket`: a request on the control socket. `command`: a `downbeat go` process.
    by: &'static str,
    trials: usize,
    p50_ms: f64,
    p99_ms: f64,
    max_ms: f64,
}

impl Report {
    fn print(&self) {
        println!("GO to the first changed sACN packet (load before {})", self.load_before);
        println!("{:<10}{:>8}{:>10}{:>10}{:>10}", "by", "trials", "p50 ms", "p99 ms", "max ms");
        for Row { by, trials, p50_ms, p99_ms, max_ms } in &self.rows {
            println!("{by:<10}{trials:>8}{p50_ms:>10.2}{p99_ms:>10.2}{max_ms:>10.2}");
        }
    }
}

impl Row {
    fn of(by: &'static str, mut times: Vec<Duration>) -> Self {
        times.sort();
        let at = |part: f64| quantile(&times, part).as_secs_f64() * 1e3;
        Self { by, trials: times.len(), p50_ms: at(0.5), p99_ms: at(0.99), max_ms: at(1.0) }
    }
}

/// The smallest that so much of them do not exceed.
pub(super) fn quantile<T: Copy + Default>(sorted: &[T], part: f64) -> T {
    let rank = (part * sorted.len() as f64).ceil() as usize;
    sorted.get(rank.saturating_sub(1)).copied().unwrap_or_default()
}

/// How a GO is given.
#[derive(Clone, Copy)]
enum Way {
    Socket,
    Command,
}

async fn measure(args: &Args) -> Result<Report, GoError> {
    let load_before = std::fs::read_to_string("/proc/loadavg").unwrap_or_default();
    let mut desk = Desk::open(args).await?;
    let mut rows = Vec::new();
    for (way, by) in [(Way::Socket, "socket"), (Way::Command, "command")] {
        let mut times = Vec::new();
        for _ in 0..args.trials.unwrap_or(100) {
            times.push(desk.trial(way).await?);
        }
        rows.push(Row::of(by, times));
    }
    Ok(Report {
        bench: "go",
        load_before: load_before.split(' ').take(3).collect::<Vec<_>>().join(" "),
        cpus: thread::available_parallelism().map_or(0, usize::from),
        seed: args.seed,
        rows,
    })
}

/// The box, the eye on its light, and the chance that picks moments.
struct Desk {
    running: Running,
    eye: Eye,
    chance: Chance,
}

/// Light that has stood still this long has ended its fade: one keep-alive (800 to 1000 ms, rule S6) lies in it.
const STILL: Duration = Duration::from_millis(1100);
/// Whatever takes longer than this will not come.
const PATIENCE: Duration = Duration::from_secs(15);

impl Desk {
    async fn open(args: &Args) -> Result<Self, GoError> {
        let eye = Eye::open()?;
        let program = root().join(&args.program);
        let running = Running::start(&program, &root().join(&args.show), "").await?;
        Ok(Self { running, eye, chance: Chance(args.seed) })
    }

    async fn trial(&mut self, way: Way) -> Result<Duration, GoError> {
        self.running.post("panic", "").await?;
        let before = self.eye.wait_until_still()?;
        self.running.post("goto", r#"{"cue":"1"}"#).await?;
        tokio::time::sleep(self.chance.moment()).await;
        self.eye.forget();
        let pressed = Instant::now();
        match way {
            Way::Socket => self.running.post("go", "").await?,
            Way::Command => self.press_by_command().await?,
        }
        Ok(self.eye.wait_for_change(&before)? - pressed)
    }

    async fn press_by_command(&self) -> Result<(), GoError> {
        let status = self.running.command("go").status().await;
        let status = status.map_err(BoxError::machine("downbeat go"))?;
        if status.success() { Ok(()) } else { Err(GoError::CommandFailed(status)) }
    }
}

/// Moments within ten frames, by a generator of the splitmix family: any seed will do, zero too.
pub(super) struct Chance(pub(super) u64);

impl Chance {
    pub(super) fn moment(&mut self) -> Duration {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        Duration::from_micros((mixed ^ (mixed >> 31)) % 230_000)
    }
}

/// A packet of universe 1.
struct Seen {
    at: Instant,
    source: [u8; 16],
    slots: Vec<u8>,
}

/// Sees universe 1 arrive; a thread of its own stamps each packet as it comes.
struct Eye {
    seen: Receiver<Seen>,
    sources: BTreeSet<[u8; 16]>,
}

impl Eye {
    fn open() -> Result<Self, GoError> {
        let socket = listen().map_err(BoxError::machine("UDP port 5568 of 127.0.0.1"))?;
        let (tell, seen) = channel();
        thread::spawn(move || watch(&socket, &tell));
        Ok(Self { seen, sources: BTreeSet::new() })
    }

    /// The slots, once they have not changed for [`STILL`].
    fn wait_until_still(&mut self) -> Result<Vec<u8>, GoError> {
        let deadline = Instant::now() + PATIENCE;
        let (mut slots, mut since) = (None, Instant::now());
        while since.elapsed() < STILL || slots.is_none() {
            if Instant::now() > deadline {
                return Err(GoError::NoLight("come to rest"));
            }
            let Some(seen) = self.next(Duration::from_millis(50))? else { continue };
            if slots.as_ref() != Some(&seen.slots) {
                (slots, since) = (Some(seen.slots), seen.at);
            }
        }
        Ok(slots.unwrap_or_default())
    }

    /// When the first packet arrived that differs.
    fn wait_for_change(&mut self, before: &[u8]) -> Result<Instant, GoError> {
        let deadline = Instant::now() + PATIENCE;
        while let Some(left) = deadline.checked_duration_since(Instant::now()) {
            match self.next(left)? {
                Some(seen) if seen.slots != before => return Ok(seen.at),
                _ => {}
            }
        }
        Err(GoError::NoLight("change"))
    }

    /// Drops what has arrived so far.
    fn forget(&mut self) {
        while self.seen.try_recv().is_ok() {}
    }

    fn next(&mut self, wait: Duration) -> Result<Option<Seen>, GoError> {
        match self.seen.recv_timeout(wait) {
            Ok(seen) => {
                self.sources.insert(seen.source);
                match self.sources.len() {
                    1 => Ok(Some(seen)),
                    several => Err(GoError::Crowded(several)),
                }
            }
            Err(RecvTimeoutError::Timeout) => Ok(None),
            Err(RecvTimeoutError::Disconnected) => Err(GoError::NoLight("stay receivable")),
        }
    }
}

/// The port is shared: the box listens there, too. The more exact address gets the packets.
fn listen() -> std::io::Result<UdpSocket> {
    let socket = Socket::new(Domain::IPV4, Type::DGRAM, Some(Protocol::UDP))?;
    socket.set_reuse_address(true)?;
    socket.bind(&SocketAddrV4::new(Ipv4Addr::LOCALHOST, 5568).into())?;
    Ok(socket.into())
}

fn watch(socket: &UdpSocket, tell: &Sender<Seen>) {
    let mut buffer = [0_u8; 1500];
    loop {
        match socket.recv(&mut buffer) {
            Ok(length) => {
                let at = Instant::now();
                let seen = universe_1(&buffer[..length], at);
                if seen.is_some_and(|seen| tell.send(seen).is_err()) {
                    return;
                }
            }
            Err(error) if error.kind() == ErrorKind::Interrupted => {}
            Err(_) => return,
        }
    }
}

/// Levels of universe 1, if that is what the packet holds.
fn universe_1(packet: &[u8], at: Instant) -> Option<Seen> {
    let root = AcnRootLayerProtocol::parse(packet).ok()?.pdu;
    let E131RootLayerData::DataPacket(frame) = root.data else { return None };
    let levels = frame.data.property_values;
    let is_levels = levels.first() == Some(&0);
    (frame.universe == 1 && is_levels && !frame.stream_terminated).then(|| Seen {
        at,
        source: *root.cid.as_bytes(),
        slots: levels.to_vec(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quantiles_are_times_that_were_measured() {
        let times: Vec<_> = (1..=200).map(Duration::from_millis).collect();
        assert_eq!(quantile(&times, 0.5), Duration::from_millis(100));
        assert_eq!(quantile(&times, 0.99), Duration::from_millis(198));
        assert_eq!(quantile(&times, 1.0), Duration::from_millis(200));
        assert_eq!(quantile::<Duration>(&[], 0.5), Duration::ZERO);
    }

    #[test]
    fn the_same_seed_presses_at_the_same_moments_all_over_the_grid() {
        let moments = |seed| {
            let mut chance = Chance(seed);
            (0..1000).map(|_| chance.moment()).collect::<Vec<_>>()
        };
        assert_eq!(moments(7), moments(7));
        assert_ne!(moments(7), moments(8));
        let phases: BTreeSet<_> =
            moments(0).iter().map(|at| at.as_micros() % 23_000 / 1000).collect();
        assert_eq!(phases.len(), 23, "every millisecond of a frame is tried");
    }
}
