//! How far clocks are apart: boxes and `ptp4l` in all pairings, and `chrony`, one after the other on one machine.
//!
//! In: a leader and a follower in two network namespaces, software timestamps. Out: the spread of the true error, and
//! of what the follower measured. Both namespaces have one machine's clock, so the truth is known: a box's clock is read
//! beside it at one instant; `ptp4l` and `chrony` that follow each steer a clock of their own ([`own`]), which says how
//! far it is from the machine's. The machine's is steered by nobody.

mod own;
mod the_box;

use std::fs;
use std::io;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::{Duration, Instant};

use serde::Serialize;
use tempfile::TempDir;

use crate::bench::net::{ADDRESSES, ENDS, Net, Process};
use the_box::{Clock, Part, command, prepare};

use crate::pause;

/// How to measure.
#[derive(clap::Args)]
#[command(
    after_help = "Needs root, cc, iproute2, linuxptp and chrony.\n\nExamples:\n  tools bench clock\n  tools bench clock --pairs box-box,ptp4l-box --repeat 5\n  clock.py --add downbeat --leader 'tools bench clock lead --interface va' --follower 'tools bench clock follow --interface vb'",
    args_conflicts_with_subcommands = true
)]
pub struct Args {
    #[command(subcommand)]
    alone: Option<Alone>,
    /// Which: `ptp4l-ptp4l`, `chrony-chrony`, `box-box`, `ptp4l-box`, `box-ptp4l`
    #[arg(long, value_delimiter = ',', default_values = PAIRS)]
    pairs: Vec<String>,
    /// How long each is measured
    #[arg(long, default_value_t = 15.0, value_name = "S")]
    secs: f64,
    /// What is left out before
    #[arg(long, default_value_t = 6.0, value_name = "S")]
    skip: f64,
    /// How often
    #[arg(long, default_value_t = 1)]
    repeat: u32,
    /// Which program
    #[arg(long, env = "DOWNBEAT", default_value = "target/release/downbeat", global = true)]
    program: PathBuf,
    /// One JSON document instead of a table
    #[arg(long)]
    json: bool,
}

/// One end alone, for another bench's namespaces. Both are started in the same folder.
#[derive(clap::Subcommand)]
enum Alone {
    /// Run a box that leads
    Lead {
        /// Where
        #[arg(long)]
        interface: String,
    },
    /// Run a box that follows, and print how far it truly is from the one that leads: `offset_ns=…`
    Follow {
        /// Where
        #[arg(long)]
        interface: String,
    },
}

const PAIRS: [&str; 5] = ["ptp4l-ptp4l", "chrony-chrony", "box-box", "ptp4l-box", "box-ptp4l"];
/// Between two readings of a box.
const EVERY: Duration = Duration::from_millis(40);

/// Measures and prints.
pub fn run(args: &Args) -> ExitCode {
    let done = match &args.alone {
        Some(Alone::Lead { interface }) => lead(&args.program, interface),
        Some(Alone::Follow { interface }) => follow(&args.program, interface),
        None => all(args),
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("could not measure clocks: {error}");
            ExitCode::FAILURE
        }
    }
}

fn lead(program: &Path, interface: &str) -> io::Result<()> {
    let words = prepare(Path::new("."), program, Part::Lead, interface)?;
    Err(command(&words).exec())
}

fn follow(program: &Path, interface: &str) -> io::Result<()> {
    pause::hear_signals()?;
    let here = Path::new(".");
    let words = prepare(here, program, Part::Follow, interface)?;
    let mut the_box = Process::start(command(&words).stdout(std::process::Stdio::null()))?;
    let (leader, follower) = (Clock::of(here, Part::Lead), Clock::of(here, Part::Follow));
    follower.wait(|clock| clock["state"] == "locked")?;
    while the_box.runs()? {
        println!("offset_ns={:.0}", off(&leader, &follower)?);
        pause::of(EVERY)?;
    }
    Ok(())
}

fn off(leader: &Clock, follower: &Clock) -> io::Result<f64> {
    let leader = leader.read()?;
    Ok(follower.read()?.off(leader))
}

fn all(args: &Args) -> io::Result<()> {
    pause::hear_signals()?;
    let mut rows = Vec::new();
    for run in 0..args.repeat {
        for pair in &args.pairs {
            let row = measure(args, pair, run)?;
            eprintln!("{}", serde_json::to_string(&row).expect("numbers and words"));
            rows.push(row);
        }
    }
    match args.json {
        true => println!("{}", serde_json::to_string_pretty(&rows).expect("numbers and words")),
        false => print(&rows),
    }
    Ok(())
}

/// One pair.
#[derive(Debug, Serialize)]
struct Row {
    pair: String,
    run: u32,
    true_error: Spread,
    /// What the follower said that it measured; none of a box, which is asked for the truth only.
    measured: Option<Spread>,
    leader_cpu_pct: f64,
    follower_cpu_pct: f64,
    load: f64,
}

fn print(rows: &[Row]) {
    println!("µs, absolute but for the mean; software timestamps\n");
    println!(
        "               run  true: readings    mean     p50     p99     max  measured: p50     p99  leader CPU %  follower CPU %  load"
    );
    for it in rows {
        let Spread { readings, mean_us, p50_us, p99_us, max_us } = it.true_error;
        let measured = it.measured.as_ref().map_or(format!("{:>13} {:>7}", "-", "-"), |it| {
            format!("{:>13.3} {:>7.3}", it.p50_us, it.p99_us)
        });
        println!(
            "{:<13} {:>4} {readings:>15} {mean_us:>7.3} {p50_us:>7.3} {p99_us:>7.3} {max_us:>7.3} {measured} {:>13.2} {:>15.2} {:>5.2}",
            it.pair, it.run, it.leader_cpu_pct, it.follower_cpu_pct, it.load
        );
    }
}

fn measure(args: &Args, pair: &str, run: u32) -> io::Result<Row> {
    let (leads, follows) =
        pair.split_once('-').ok_or_else(|| io::Error::other(format!("no pair {pair}")))?;
    let folder = TempDir::new()?;
    own::make(folder.path())?;
    let net = Net::new()?;
    let start = |at: usize, who: &str| {
        let words = words(folder.path(), &args.program, who, at)?;
        let words: Vec<&str> = words.iter().map(String::as_str).collect();
        net.start(at, &words, &folder.path().join(SAYS[at]))
    };
    let load = super::load();
    let leader = start(0, leads)?;
    pause::of(Duration::from_millis(500))?;
    let follower = start(1, follows)?;
    if follows == "box" {
        Clock::of(folder.path(), Part::Follow).wait(|clock| clock["state"] == "locked")?;
    }
    pause::of(Duration::from_secs_f64(args.skip))?;
    let (begin, before) = (Instant::now(), [leader.cpu_s(), follower.cpu_s()]);
    let (truth, measured) =
        errors(folder.path(), leads, follows, Duration::from_secs_f64(args.secs))?;
    let gone = begin.elapsed().as_secs_f64();
    let cpu = |at: usize, now: f64| (now - before[at]) / gone * 100.0;
    Ok(Row {
        pair: pair.to_owned(),
        run,
        true_error: spread(&truth)?,
        measured: measured.as_deref().map(spread).transpose()?,
        leader_cpu_pct: cpu(0, leader.cpu_s()),
        follower_cpu_pct: cpu(1, follower.cpu_s()),
        load,
    })
}

const SAYS: [&str; 2] = ["leader.out", "follower.out"];

/// The true errors of so long, and what the follower measured, in nanoseconds.
fn errors(
    folder: &Path,
    leads: &str,
    follows: &str,
    long: Duration,
) -> io::Result<(Vec<f64>, Option<Vec<f64>>)> {
    let (leader, follower) = (Clock::of(folder, Part::Lead), Clock::of(folder, Part::Follow));
    if follows == "box" {
        // With software timestamps `ptp4l` gives UTC, of which the box makes TAI.
        let error = || match leads {
            "box" => off(&leader, &follower),
            _ => follower.read().map(|it| it.off_tai()),
        };
        return Ok((each(long, error)?, None));
    }
    let files = [own::says(folder), folder.join(says(follows))];
    let before = files.each_ref().map(|it| fs::read_to_string(it).unwrap_or_default().len());
    pause::of(long)?;
    let line = if follows == "chrony" { chrony_offset } else { ptp4l_offset };
    let since = |at: usize| -> io::Result<String> {
        Ok(fs::read_to_string(&files[at])?.split_off(before[at]))
    };
    // Only a box is off the machine's clock itself.
    let of_leader = if leads == "box" { leader.read()?.off_tai() } else { 0.0 };
    let (own, said) = (since(0)?, since(1)?);
    let own = own.lines().filter_map(|it| it.parse::<f64>().ok());
    Ok((own.map(|it| it - of_leader).collect(), Some(said.lines().filter_map(line).collect())))
}

fn each(long: Duration, error: impl Fn() -> io::Result<f64>) -> io::Result<Vec<f64>> {
    let end = Instant::now() + long;
    let mut errors = Vec::new();
    while Instant::now() < end {
        errors.push(error()?);
        pause::of(EVERY)?;
    }
    Ok(errors)
}

/// Where a follower says what it measured.
fn says(who: &str) -> &'static str {
    if who == "chrony" { "measurements.log" } else { SAYS[1] }
}

/// What `ptp4l` says in a line that it measured, in nanoseconds.
pub(crate) fn ptp4l_offset(line: &str) -> Option<f64> {
    line.split_once("master offset")?.1.split_whitespace().next()?.parse().ok()
}

/// The twelfth column of its log of raw measurements, in seconds.
fn chrony_offset(line: &str) -> Option<f64> {
    let words: Vec<&str> = line.split_whitespace().collect();
    let is_one = words.len() > 12 && line.starts_with("20");
    words.get(11).filter(|_| is_one)?.parse::<f64>().ok().map(|s| s * 1e9)
}

fn words(folder: &Path, program: &Path, who: &str, at: usize) -> io::Result<Vec<String>> {
    let leads = at == 0;
    if who == "box" {
        let part = if leads { Part::Lead } else { Part::Follow };
        return prepare(folder, program, part, ENDS[at]);
    }
    let (place, config) = (folder.display(), folder.join(format!("{who}-{at}.conf")));
    let words = match who {
        "ptp4l" => {
            let more = if leads { "priority1 10" } else { "slaveOnly 1\nclock_servo linreg" };
            fs::write(&config, format!("{PTP4L}uds_address {place}/{at}.uds\n{more}\n"))?;
            format!("ptp4l -i {} -f {}", ENDS[at], config.display())
        }
        "chrony" => {
            let more = if leads {
                "local stratum 5\nallow 10.98.0.0/24".to_owned()
            } else {
                format!("server {} minpoll -4 maxpoll -4 xleave\nlog rawmeasurements", ADDRESSES[0])
            };
            let own = format!(
                "bindcmdaddress {place}/{at}.sock\npidfile {place}/{at}.pid\ndriftfile {place}/{at}.drift"
            );
            fs::write(&config, format!("{more}\ncmdport 0\n{own}\nlogdir {place}\n"))?;
            format!("chronyd{} -d -u root -f {}", if leads { " -x" } else { "" }, config.display())
        }
        _ => return Err(io::Error::other(format!("nobody is called {who}"))),
    };
    let words = words.split(' ').map(str::to_owned);
    Ok(if leads { words.collect() } else { own::preloaded(folder).chain(words).collect() })
}

const PTP4L: &str = "[global]\ntime_stamping software\nnetwork_transport UDPv4\nlogSyncInterval -4\n\
    logMinDelayReqInterval -4\nlogAnnounceInterval -2\nsummary_interval -4\ntx_timestamp_timeout 50\n\
    verbose 1\nuse_syslog 0\nlogging_level 6\n";

/// Of errors: the mean, and of their sizes the median, the 99th percentile and the largest.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
struct Spread {
    readings: usize,
    mean_us: f64,
    p50_us: f64,
    p99_us: f64,
    max_us: f64,
}

fn spread(errors_ns: &[f64]) -> io::Result<Spread> {
    let readings = errors_ns.len();
    let last = readings.checked_sub(1).ok_or_else(|| io::Error::other("nothing was measured"))?;
    let mut sizes: Vec<f64> = errors_ns.iter().map(|it| it.abs() / 1e3).collect();
    sizes.sort_by(f64::total_cmp);
    let at = |part: f64| sizes[((readings as f64 * part) as usize).min(last)];
    Ok(Spread {
        readings,
        mean_us: errors_ns.iter().sum::<f64>() / readings as f64 / 1e3,
        p50_us: at(0.5),
        p99_us: at(0.99),
        max_us: sizes[last],
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn peers_offsets_are_read_from_what_they_say() {
        let line = "ptp4l[12.5]: master offset       -123 s0 freq      +0 path delay      2500";
        assert_eq!(ptp4l_offset(line), Some(-123.0));
        assert_eq!(ptp4l_offset("ptp4l[12.5]: port 1: MASTER"), None);
        let line = "2026-11-25 13:00:00 10.98.0.1 N 5 111 111 1111 0 0 0.00 1.5e-06 2.0e-05 1e-6 0 0 7F7F0101 4B K K";
        assert_eq!(chrony_offset(line), Some(1500.0));
    }

    #[test]
    fn the_spread_is_of_absolute_values_but_for_the_mean() {
        let three = spread(&[-1000.0, 1000.0, 3000.0]).expect("three");
        let expected = Spread { readings: 3, mean_us: 1.0, p50_us: 1.0, p99_us: 3.0, max_us: 3.0 };
        assert_eq!(three, expected);
        assert!(spread(&[]).is_err());
    }
}
