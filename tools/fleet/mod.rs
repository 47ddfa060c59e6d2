//! A crowd of phones at a real box: the page's own core, as many times as asked, each with a socket, a crystal and a
//! rounding of its own, behind the bad network of [`crate::proxy`].
//!
//! In: how many, which network, which way of asking, for how long. Out: a [`Report`] of how far each phone's idea of the box's time was from
//! the truth, what they asked for it, and what that cost the box.
//!
//! *Truth*: box and phones read the same `CLOCK_MONOTONIC`, each through an overlay of its own; the box tells its
//! overlay on the control socket, and a phone's crystal is made here. So the error at an instant is known exactly, and
//! is not what anybody says of himself. It is taken at the phone's exact clock, before the browser's rounding.

pub mod carriers;
mod census;
mod expense;
mod guest;
mod line;
mod network;
mod orders;
mod report;
mod session;
mod truth;

use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use nix::sys::resource::{Resource, getrlimit, setrlimit};
use serde::Serialize;
use sim::path::Scenario;
use tempfile::TempDir;
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep, sleep_until};

use crate::load;
use crate::running::{BoxError, Running, get};
use census::Census;
use expense::{Laps, Meter, While};
use guest::Guest;
use network::Network;
use orders::Tally;
use truth::Truth;

pub use expense::{Lap, Price};
pub use network::Networks;
pub use orders::Sounds;
pub use report::{Cost, Quantiles, Report};

/// What to try.
#[derive(Debug, Clone)]
pub struct Plan {
    /// Phones.
    pub phones: usize,
    /// How they come in, and so how they ask.
    pub way: Way,
    /// Their network.
    pub scenario: Scenario,
    /// Where chance begins: crystals, roundings, the network.
    pub seed: u64,
    /// How long after the last phone came nothing is counted.
    pub warm_up: Duration,
    /// How long errors are taken.
    pub measure: Duration,
    /// How long what a question costs is weighed afterwards: in turns of more questions and of no more.
    pub weigh: Duration,
    /// Which box.
    pub at: Place,
}

/// How phones come in.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Way {
    /// Over plain HTTP: they ask on the socket.
    WebSocket,
    /// Over TLS: they ask in datagrams, and on the socket while those are not answered.
    WebTransport,
    /// The same, and they say and hear everything in that session, at a box that would rather.
    Quic,
}

/// Which box the phones go to.
#[derive(Debug, Clone)]
pub enum Place {
    /// One that this program makes.
    Program(PathBuf),
    /// One that runs on this machine.
    Running {
        /// Its HTTP port.
        http: SocketAddr,
        /// Its HTTPS port; none is fine where nobody goes there.
        https: Option<SocketAddr>,
        /// Its control socket.
        socket: PathBuf,
    },
}

/// Why there is no report.
#[derive(Debug, thiserror::Error)]
pub enum FleetError {
    /// The box, or this machine.
    #[error(transparent)]
    Box(#[from] BoxError),
    /// It does not say what is needed.
    #[error("the box's answer to {path} has no {missing}")]
    Mute {
        /// What was asked.
        path: &'static str,
        /// What was looked for.
        missing: &'static str,
    },
    /// Its HTTPS port is not told.
    #[error("phones that ask by WebTransport need the box's HTTPS port")]
    NoHttps,
    /// Fewer phones, or `ulimit -n`.
    #[error("{wanted} open files are needed for so many phones, and {most} are allowed")]
    TooMany {
        /// So many.
        wanted: u64,
        /// The hard limit.
        most: u64,
    },
}

/// Doors open: so many phones come in a second.
const ARRIVALS_PER_SECOND: f64 = 200.0;
/// How long the box is watched before anybody comes.
const WATCH: Duration = Duration::from_secs(2);
/// How often every phone's error is taken.
const SAMPLE: Duration = Duration::from_millis(500);
/// A phone's socket, the proxy's two; a session's, the proxy's one. The box has its own, in a process of its own.
const FILES_PER_PHONE: u64 = 5;
/// What a question costs is weighed in so many turns: a half with more of them than usual, a half without.
const TURNS: u32 = 6;
/// What phones ask, and what that costs, is told in laps of so many samples.
const LAP_ROUNDS: u32 = 20;
/// A cue for all of them this often, while errors are taken and the box is ours; its time has come before the next.
const CUE_EVERY: u32 = 4;
/// So many more a second of each phone, which is clear of what the box refuses (SX-17) ...
const MORE_OF_EACH: f64 = 5.0;
/// ... and of all together: enough to be seen, and few enough that fleet and network keep up.
const MORE_OF_ALL: f64 = 2_000.0;

/// Little to see on the phones: their clocks are of interest, and when they do what they are told.
const SHOW: &str = r##"
[show]
title = "Fleet"
[[list]]
name = "main"
[[list.cue]]
number = "1"
phones = { color = "#ff8000" }
"##;
/// All come from one address.
fn box_file(way: Way) -> String {
    let by_quic = way == Way::Quic;
    format!("[net]\nphones_by_quic = {by_quic}\n[limits]\nconnections_per_address = 1000000\n")
}

/// Brings the phones to the box and looks on; `say` hears how it goes.
///
/// # Errors
/// There is no box, or no room for so many.
pub async fn run(plan: &Plan, mut say: impl FnMut(String)) -> Result<Report, FleetError> {
    make_room(plan.phones)?;
    let mut stage = Stage::open(plan).await?;
    let load_before = load();
    let idle = stage.watch(WATCH, &mut say, "nobody here yet").await?;
    let mut arrivals = stage.admit(plan, &mut say).await?;
    let mut laps = Laps::new(stage.meter.read(stage.asked()).await?);
    arrivals += stage.watch_in_laps(plan.warm_up, &mut laps, &mut say).await?;
    let (mut census, mut tally) = (Census::default(), Tally::default());
    let (steady, given) =
        stage.count(plan.measure, (&mut census, &mut tally, &mut laps), &mut say).await?;
    let (load_after, networks) = (load(), stage.network.account());
    let in_step = stage.in_step();
    let turns = stage.weigh(plan.weigh, &mut say).await?;
    Ok(Report {
        scenario: plan.scenario.name.to_owned(),
        way: plan.way,
        phones: plan.phones,
        seed: plan.seed,
        measured_s: plan.measure.as_secs_f64(),
        load_before,
        load_after,
        cpus: std::thread::available_parallelism().map_or(0, usize::from),
        in_step,
        errors: census.close(),
        sounds: tally.close(given, plan.phones),
        cost: Cost::of(idle, arrivals, steady, &turns),
        laps: laps.close(idle, plan.phones),
        networks,
    })
}

/// A thousand phones need more descriptors than a shell gives; the box inherits the limit.
fn make_room(phones: usize) -> Result<(), FleetError> {
    let wanted = phones as u64 * FILES_PER_PHONE + 200;
    let limit = |error: nix::Error| BoxError::machine("open files")(error.into());
    let (soft, most) = getrlimit(Resource::RLIMIT_NOFILE).map_err(limit)?;
    if wanted > most {
        return Err(FleetError::TooMany { wanted, most });
    }
    Ok(setrlimit(Resource::RLIMIT_NOFILE, soft.max(wanted), most).map_err(limit)?)
}

/// The box, the network before it, and who is here. What is dropped last is the box.
struct Stage {
    tasks: JoinSet<()>,
    guests: Vec<Arc<Guest>>,
    network: Network,
    truth: Arc<Truth>,
    meter: Meter,
    running: Option<(Running, TempDir)>,
}

/// Where the box is, behind the network.
#[derive(Debug, Clone, Copy)]
struct Addresses {
    http: SocketAddr,
    https: Option<SocketAddr>,
}

impl Stage {
    async fn open(plan: &Plan) -> Result<Self, FleetError> {
        let (to, socket, pid, running) = match &plan.at {
            Place::Running { http, https, socket } => {
                (Addresses { http: *http, https: *https }, socket.clone(), None, None)
            }
            Place::Program(program) => {
                let folder = TempDir::new().map_err(BoxError::machine("a temporary folder"))?;
                std::fs::write(folder.path().join("show.toml"), SHOW)
                    .map_err(BoxError::machine("a show"))?;
                let running = Running::start(program, folder.path(), &box_file(plan.way)).await?;
                let to = Addresses { http: running.http(), https: Some(running.https()) };
                let (socket, pid) = (running.socket(), running.pid());
                (to, socket, Some(pid), Some((running, folder)))
            }
        };
        if plan.way != Way::WebSocket && to.https.is_none() {
            return Err(FleetError::NoHttps);
        }
        let truth = Arc::new(Truth::ask(&socket).await?);
        let network = Network::start(plan.way, to, plan.scenario, plan.seed)
            .map_err(BoxError::machine("a port for the proxy"))?;
        let mut tasks = JoinSet::new();
        let followed = (Arc::clone(&truth), socket.clone());
        tasks.spawn(async move { followed.0.follow(&followed.1).await });
        Ok(Self {
            tasks,
            guests: Vec::new(),
            network,
            truth,
            meter: Meter::new(pid, socket),
            running,
        })
    }

    /// Everybody comes in, one after the other.
    async fn admit(
        &mut self,
        plan: &Plan,
        say: &mut impl FnMut(String),
    ) -> Result<While, FleetError> {
        let before = self.meter.read(self.asked()).await?;
        let begin = Instant::now();
        let door = Arc::new(self.network.door());
        for number in 0..plan.phones {
            sleep_until(begin + Duration::from_secs_f64(number as f64 / ARRIVALS_PER_SECOND)).await;
            let guest = Arc::new(Guest::drawn(plan.seed, number, self.truth.net_now()));
            self.guests.push(Arc::clone(&guest));
            self.tasks.spawn(guest.live(Arc::clone(&door)));
            if number % 200 == 199 {
                say(format!("{} of {} phones have come", number + 1, plan.phones));
            }
        }
        Ok(self.meter.read(self.asked()).await? - before)
    }

    /// Lets time go by, and gives what the box did meanwhile.
    async fn watch(
        &mut self,
        length: Duration,
        say: &mut impl FnMut(String),
        what: &str,
    ) -> Result<While, FleetError> {
        let before = self.meter.read(self.asked()).await?;
        say(format!("{what}: {:.0} s", length.as_secs_f64()));
        sleep(length).await;
        Ok(self.meter.read(self.asked()).await? - before)
    }

    /// The same, lap by lap.
    async fn watch_in_laps(
        &mut self,
        length: Duration,
        laps: &mut Laps,
        say: &mut impl FnMut(String),
    ) -> Result<While, FleetError> {
        let lap = SAMPLE * LAP_ROUNDS;
        let before = self.meter.read(self.asked()).await?;
        let end = Instant::now() + length;
        for _ in 0..length.as_millis() / lap.as_millis() {
            self.watch(lap, say, "finding the time").await?;
            laps.add(self.meter.read(self.asked()).await?);
        }
        sleep_until(end).await;
        Ok(self.meter.read(self.asked()).await? - before)
    }

    /// Time goes by as in [`Stage::watch`], and everybody's error is taken; beside it gives how many cues were fired.
    async fn count(
        &mut self,
        length: Duration,
        (census, tally, laps): (&mut Census, &mut Tally, &mut Laps),
        say: &mut impl FnMut(String),
    ) -> Result<(While, usize), FleetError> {
        self.take_sounded(&mut Tally::default());
        let mut given = 0;
        let before = self.meter.read(self.asked()).await?;
        let begin = Instant::now();
        let rounds = (length.as_secs_f64() / SAMPLE.as_secs_f64()).ceil().max(1.0) as u32;
        for round in 0..rounds {
            sleep_until(begin + SAMPLE * (round + 1)).await;
            census.take(&self.guests, &self.truth, &self.network);
            self.take_sounded(tally);
            if (round + 1) % LAP_ROUNDS == 0 {
                laps.add(self.meter.read(self.asked()).await?);
            }
            // The last one's time comes before the end.
            if round % CUE_EVERY == 0 && round + CUE_EVERY <= rounds {
                given += self.fire().await?;
            }
            if round % 10 == 9 {
                say(format!(
                    "{} of {} in step; {}",
                    self.in_step(),
                    self.guests.len(),
                    census.glance()
                ));
            }
        }
        Ok((self.meter.read(self.asked()).await? - before, given))
    }

    /// Everybody gets an order, where the box is ours; in a show of somebody else's those that come count.
    async fn fire(&self) -> Result<usize, FleetError> {
        let Some((running, _)) = &self.running else { return Ok(0) };
        running.post("fire", r#"{"cue":"1"}"#).await?;
        Ok(1)
    }

    fn take_sounded(&self, tally: &mut Tally) {
        for sounded in self.guests.iter().flat_map(|guest| guest.take_sounded()) {
            tally.add(sounded, self.truth.net(sounded.at));
        }
    }

    /// Turns of `length` together, every other one with more questions than the phones would ask.
    async fn weigh(
        &mut self,
        length: Duration,
        say: &mut impl FnMut(String),
    ) -> Result<Vec<While>, FleetError> {
        say(format!("weighing a question: {:.0} s", length.as_secs_f64()));
        let mut turns = Vec::new();
        for turn in 0..TURNS {
            let before = self.meter.read(self.asked()).await?;
            let end = Instant::now() + length / TURNS;
            if turn % 2 == 1 {
                self.ask_more(length / TURNS).await;
            }
            sleep_until(end).await;
            turns.push(self.meter.read(self.asked()).await? - before);
        }
        Ok(turns)
    }

    /// Everybody asks more, in turn.
    async fn ask_more(&self, length: Duration) {
        let count = self.guests.len() as f64;
        let more = (MORE_OF_EACH * count).min(MORE_OF_ALL) * length.as_secs_f64();
        let begin = Instant::now();
        for (nth, guest) in self.guests.iter().cycle().take(more as usize).enumerate() {
            sleep_until(begin + length.mul_f64(nth as f64 / more)).await;
            guest.ask_more();
        }
    }

    /// Of all phones: on the socket, and in datagrams.
    fn asked(&self) -> [u64; 2] {
        let each = self.guests.iter().map(|guest| guest.asked());
        each.fold([0, 0], |sum, it| [sum[0] + it[0], sum[1] + it[1]])
    }

    /// Phones that say so themselves.
    fn in_step(&self) -> usize {
        self.guests.iter().filter(|guest| guest.is_in_step()).count()
    }
}

/// What a box says, read.
async fn document(
    socket: &std::path::Path,
    path: &'static str,
) -> Result<serde_json::Value, FleetError> {
    let text = get(socket, path).await?;
    serde_json::from_str(&text).map_err(|_| FleetError::Mute { path, missing: "JSON" })
}
