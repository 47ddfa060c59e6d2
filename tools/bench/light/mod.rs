//! What light costs and how evenly it leaves: the box beside a bare sending loop, `olad` and QLC+, on the same work.
//!
//! In: two network namespaces with a cable; the sender on one core, whoever drives and listens on the other. Out: a row
//! a peer and number of universes. Everybody moves every slot in every frame. A cable of this kind delivers in the
//! sender's own time, so its cost holds the receiving half, too: the same for all.

mod bare;
pub mod go;
mod listener;
mod packet;
mod peers;

use std::io;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode, Output};
use std::time::Duration;

use serde::Serialize;
use serde::de::DeserializeOwned;
use tempfile::TempDir;

use super::net::{ADDRESSES, ENDS, Net, Process};
use crate::pause;
use bare::Sent;
use listener::Heard;

/// A frame of DMX with 512 slots, on the box's grid.
const FRAME: Duration = Duration::from_millis(23);
/// What the box needs to draw a universe of a cue up.
const DRAWN_UP: Duration = Duration::from_micros(250);
/// Whom the sender has for itself, and who is left for the others.
const CORES: [&str; 2] = ["0", "1"];

/// How to measure.
#[derive(clap::Args)]
#[command(
    after_help = "Needs root, iproute2 and two cores; olad and qlcplus for their rows.\n\nExamples:\n  tools bench light\n  tools bench light --peers loop,downbeat --universes 3000 --cores 0\n  tools bench light --peers loop,downbeat,olad,qlcplus --universes 128,512 --repeat 3",
    args_conflicts_with_subcommands = true
)]
pub struct Args {
    #[command(subcommand)]
    part: Option<Part>,
    /// Which: `flat`, `loop`, `downbeat`, `olad` (up to 512 universes), `qlcplus` (up to 255)
    #[arg(long, value_delimiter = ',', default_values = ["flat", "loop", "downbeat", "olad", "qlcplus"])]
    peers: Vec<String>,
    /// How many universes
    #[arg(long, value_delimiter = ',', default_values = ["128", "512", "1024", "3000"])]
    universes: Vec<u16>,
    /// How long each is measured
    #[arg(long, default_value_t = 4.0, value_name = "S")]
    secs: f64,
    /// How often
    #[arg(long, default_value_t = 1)]
    repeat: u32,
    /// Which cores the sender has
    #[arg(long, default_value = CORES[0])]
    cores: String,
    /// Which program
    #[arg(long, env = "DOWNBEAT", default_value = "target/release/downbeat")]
    program: PathBuf,
    /// One JSON document instead of a table
    #[arg(long)]
    json: bool,
}

/// A part of the bench alone, as it is started in its namespace.
#[derive(clap::Subcommand)]
enum Part {
    /// The bare loop
    Loop(bare::Args),
    /// The listener
    Listen(listener::Args),
    /// What gives olad its levels
    DriveOlad {
        #[arg(long)]
        universes: u16,
        #[arg(long)]
        secs: f64,
    },
}

/// Measures and prints.
pub fn run(args: &Args) -> ExitCode {
    let done = match &args.part {
        Some(Part::Loop(args)) => bare::run(args),
        Some(Part::Listen(args)) => listener::run(args),
        Some(Part::DriveOlad { universes, secs }) => {
            peers::drive_olad(*universes, Duration::from_secs_f64(*secs))
        }
        None => all(args),
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("could not measure light: {error}");
            ExitCode::FAILURE
        }
    }
}

/// What one peer did. What could not be learnt is `null`.
#[derive(Debug, Serialize)]
struct Row {
    peer: String,
    asked: u16,
    run: u32,
    load: f64,
    cpu_us_per_packet: Option<f64>,
    cpu_pct: Option<f64>,
    memory_mib: Option<f64>,
    universes_a_core: Option<f64>,
    /// What a host took of this machine's processors meanwhile: a timer of the machine comes late by as much.
    stolen_ms: Option<f64>,
    heard: Option<Heard>,
}

fn all(args: &Args) -> io::Result<()> {
    pause::hear_signals()?;
    let mut rows = Vec::new();
    for run in 0..args.repeat {
        for peer in &args.peers {
            for &universes in args.universes.iter().filter(|it| able(peer, **it)) {
                let row = measure(args, peer, universes, run)?;
                eprintln!("{}", serde_json::to_string(&row).expect("numbers and words"));
                rows.push(row);
            }
        }
    }
    match args.json {
        true => println!("{}", serde_json::to_string_pretty(&rows).expect("numbers and words")),
        false => print(&rows),
    }
    Ok(())
}

fn able(peer: &str, universes: u16) -> bool {
    let most = match peer {
        "olad" => 512,
        "qlcplus" => 255,
        _ => u16::MAX,
    };
    universes <= most
}

fn print(rows: &[Row]) {
    println!("a packet is a universe's frame; jitter and distance from the grid in ms\n");
    println!(
        "peer      run  universes  heard     Hz  CPU µs/packet   CPU %  memory MiB  a core's universes  lost  unchanged  jitter p50    p99   p99.9     max  off grid p99.9  stolen ms  load"
    );
    for it in rows {
        let heard = it.heard.as_ref();
        println!(
            "{:<9} {:>3} {:>10} {:>6} {:>6} {:>14} {:>7} {:>11} {:>19} {:>5} {:>10} {:>11} {:>6} {:>7} {:>7} {:>15} {:>10} {:>5.2}",
            it.peer,
            it.run,
            it.asked,
            text(heard.map(|it| it.universes as f64), 0),
            text(heard.map(|it| it.hz), 1),
            text(it.cpu_us_per_packet, 2),
            text(it.cpu_pct, 1),
            text(it.memory_mib, 1),
            text(it.universes_a_core, 0),
            text(heard.map(|it| it.lost as f64), 0),
            text(heard.map(|it| it.unchanged as f64), 0),
            text(heard.map(|it| it.jitter_p50), 3),
            text(heard.map(|it| it.jitter_p99), 3),
            text(heard.map(|it| it.jitter_p999), 3),
            text(heard.map(|it| it.jitter_max), 3),
            text(heard.map(|it| it.off_grid_p999), 3),
            text(it.stolen_ms, 0),
            it.load,
        );
    }
}

fn text(value: Option<f64>, digits: usize) -> String {
    value.map_or("-".to_owned(), |it| format!("{it:.digits$}"))
}

fn measure(args: &Args, peer: &str, universes: u16, run: u32) -> io::Result<Row> {
    let folder = TempDir::new()?;
    let net = Net::new()?;
    let load = super::load();
    let secs = args.secs;
    let row = |it| Row { peer: peer.to_owned(), asked: universes, run, load, ..it };
    if peer == "flat" {
        let sent = bare_loop(args, &net, folder.path(), universes, secs, true)?.end()?;
        return Ok(row(of_loop(&sent, None)));
    }
    if peer == "loop" {
        let sending = bare_loop(args, &net, folder.path(), universes, secs + 3.0, false)?;
        pause::of(Duration::from_secs(1))?;
        let heard = listen(&net, folder.path(), secs)?;
        return Ok(row(of_loop(&sending.end()?, Some(heard))));
    }
    let run_by = (args.program.as_path(), args.cores.as_str());
    let mut sender = Sender::start(run_by, &net, folder.path(), peer, universes)?;
    let driving =
        (peer == "olad").then(|| drive(&net, folder.path(), universes, secs + 3.0)).transpose()?;
    sender.warm_up(universes)?;
    let (before, sent_before) = (sender.process.cpu_s(), net.packets_sent()?);
    let stolen_before = crate::bench::stolen_ms();
    let heard = listen(&net, folder.path(), secs)?;
    let (cpu, packets) = (sender.process.cpu_s() - before, net.packets_sent()? - sent_before);
    let stolen = crate::bench::stolen_ms();
    drop(driving);
    Ok(row(Row {
        cpu_us_per_packet: Some(cpu * 1e6 / packets as f64),
        cpu_pct: Some(cpu / secs * 100.0),
        memory_mib: sender.process.memory_mib(),
        stolen_ms: stolen_before.zip(stolen).map(|(before, now)| now - before),
        heard: Some(heard),
        ..Row::none()
    }))
}

impl Row {
    fn none() -> Self {
        Self {
            peer: String::new(),
            asked: 0,
            run: 0,
            load: f64::NAN,
            cpu_us_per_packet: None,
            cpu_pct: None,
            memory_mib: None,
            universes_a_core: None,
            stolen_ms: None,
            heard: None,
        }
    }
}

fn of_loop(sent: &Sent, heard: Option<Heard>) -> Row {
    Row {
        cpu_us_per_packet: Some(sent.cpu_us_per_packet),
        universes_a_core: Some(sent.universes_a_core),
        heard,
        ..Row::none()
    }
}

/// A part of this bench that runs by itself and prints one JSON document at its end.
struct Running {
    process: Process,
    says: PathBuf,
}

impl Running {
    fn start(net: &Net, at: usize, core: &str, words: &str, says: &Path) -> io::Result<Self> {
        let own = std::env::current_exe()?;
        let own = own.to_string_lossy();
        let mut all = vec!["taskset", "-c", core, &own, "bench", "light"];
        all.extend(words.split(' '));
        Ok(Self { process: net.start(at, &all, says)?, says: says.to_owned() })
    }

    fn end<T: DeserializeOwned>(mut self) -> io::Result<T> {
        while self.process.runs()? {
            pause::of(Duration::from_millis(20))?;
        }
        let text = std::fs::read_to_string(&self.says)?;
        serde_json::from_str(&text).map_err(|_| io::Error::other(text))
    }
}

fn bare_loop(
    args: &Args,
    net: &Net,
    folder: &Path,
    universes: u16,
    secs: f64,
    flat: bool,
) -> io::Result<Running> {
    let flat = if flat { " --flat" } else { "" };
    let words = format!("loop --universes {universes} --secs {secs} --from {}{flat}", ADDRESSES[0]);
    Running::start(net, 0, &args.cores, &words, &folder.join("loop.out"))
}

fn drive(net: &Net, folder: &Path, universes: u16, secs: f64) -> io::Result<Running> {
    let words = format!("drive-olad --universes {universes} --secs {secs}");
    Running::start(net, 0, CORES[1], &words, &folder.join("drive.out"))
}

fn listen(net: &Net, folder: &Path, secs: f64) -> io::Result<Heard> {
    let words = format!("listen --interface {} --secs {secs}", ENDS[1]);
    Running::start(net, 1, CORES[1], &words, &folder.join("listen.out"))?.end()
}

/// A peer that runs until it is dropped.
struct Sender {
    process: Process,
    peer: String,
    folder: PathBuf,
    program: PathBuf,
}

impl Sender {
    fn start(
        (program, cores): (&Path, &str),
        net: &Net,
        folder: &Path,
        peer: &str,
        universes: u16,
    ) -> io::Result<Self> {
        let place = folder.display();
        let command = match peer {
            "downbeat" => {
                peers::show(folder, universes)?;
                peers::boxfile(folder, ENDS[0])?;
                let files =
                    format!("--box {place}/box.toml --state {place}/state --socket {place}/socket");
                format!("{} run {place} {files}", program.display())
            }
            "olad" => {
                peers::olad(folder, universes, ADDRESSES[0])?;
                run_here("chown", &["-R", "nobody", &place.to_string()])?;
                format!(
                    "setpriv --reuid nobody --regid nogroup --clear-groups olad -c {place} -l 1 --no-http --no-register-with-dns-sd -r 9010"
                )
            }
            "qlcplus" => {
                peers::qlcplus(folder, universes, ADDRESSES[0])?;
                format!(
                    "env HOME={place} XDG_RUNTIME_DIR={place} QT_QPA_PLATFORM=offscreen LC_ALL=C.UTF-8 qlcplus --operate --nowm --open {place}/bench.qxw"
                )
            }
            _ => return Err(io::Error::other(format!("nobody is called {peer}"))),
        };
        let command = format!("taskset -c {cores} {command}");
        let words: Vec<&str> = command.split(' ').collect();
        let process = net.start(0, &words, &folder.join("sender.out"))?;
        let (peer, folder, program) = (peer.to_owned(), folder.to_owned(), program.to_owned());
        let mut sender = Self { process, peer, folder, program };
        sender.wait_until_ready(universes)?;
        Ok(sender)
    }

    /// Others than the box do not say when they are; they need longer with more universes.
    fn wait_until_ready(&mut self, universes: u16) -> io::Result<()> {
        let patience = match self.peer.as_str() {
            "downbeat" => {
                while !self.fire("status")?.status.success() {
                    if !self.process.runs()? {
                        let text = std::fs::read_to_string(self.folder.join("sender.out"))?;
                        return Err(io::Error::other(text));
                    }
                    pause::of(Duration::from_millis(100))?;
                }
                return Ok(());
            }
            "olad" => 2.5 + f64::from(universes) / 200.0,
            _ => 6.0 + f64::from(universes) / 25.0,
        };
        pause::of(Duration::from_secs_f64(patience))
    }

    /// The box begins the fade that is measured, when it has drawn it up; the others move all the time.
    fn warm_up(&mut self, universes: u16) -> io::Result<()> {
        if self.peer == "downbeat" {
            let answer = self.fire("fire 1")?;
            if !answer.status.success() {
                return Err(io::Error::other(String::from_utf8_lossy(&answer.stderr).into_owned()));
            }
        }
        pause::of(Duration::from_millis(500) + DRAWN_UP * u32::from(universes))
    }

    fn fire(&self, order: &str) -> io::Result<Output> {
        let socket = self.folder.join("socket");
        Command::new(&self.program).args(order.split(' ')).arg("--socket").arg(socket).output()
    }
}

fn run_here(program: &str, words: &[&str]) -> io::Result<()> {
    let done = Command::new(program).args(words).output()?;
    match done.status.success() {
        true => Ok(()),
        false => Err(io::Error::other(String::from_utf8_lossy(&done.stderr).into_owned())),
    }
}
