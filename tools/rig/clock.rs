//! PTP with hardware timestamps over Ethernet, between two guests: boxes and `ptp4l` in all pairings.
//!
//! In: the guests. Out: how each box stamps, how it reads its interface's clock, when it locked, and how far its clock
//! truly is from the other box's where both can be asked at one instant: by the boxes' own question of four stamps,
//! whose error is told beside it. Never: a word on accuracy, for an emulator's interface is no interface.

use std::fs;
use std::io;
use std::time::{Duration, Instant};

use serde_json::Value;

use super::Args;
use super::guests::Guests;
use crate::pause;

/// Who leads, and who follows.
pub const PAIRS: [&str; 3] = ["box-box", "ptp4l-box", "box-ptp4l"];

/// The guest that leads, and the one that follows.
const GUESTS: [&str; 2] = ["a", "b"];
const PARTS: [&str; 2] = ["lead", "follow"];
const SHOW: &str =
    "[show]\ntitle = \"Clock\"\n[[list]]\nname = \"main\"\n[[list.cue]]\nnumber = \"1\"\n";
/// Between two looks at a guest.
const EVERY: Duration = Duration::from_secs(2);
/// Offsets that `ptp4l` has to measure.
const TOLD: usize = 10;

/// Runs all pairs in one pair of guests.
pub fn run(args: &Args) -> io::Result<()> {
    pause::hear_signals()?;
    let program = args.program.canonicalize().map_err(|error| {
        io::Error::other(format!("{}: {error}; build it first", args.program.display()))
    })?;
    let guests = Guests::boot(&args.rig, &args.place)?;
    lay_out(&guests, &program)?;
    let patience = Duration::from_secs(args.patience);
    let mut bad = Vec::new();
    for pair in &args.pairs {
        println!("\n{pair}, hardware timestamps, layer 2; load {}", tools::load());
        if let Err(error) = show(&guests, pair, patience) {
            println!("  NOT AS IT SHOULD BE: {error}");
            bad.push(pair.as_str());
        }
        for guest in GUESTS {
            guests.sh(guest, "systemctl stop 'rig-*' 2>/dev/null; true")?;
        }
    }
    match bad.as_slice() {
        [] => Ok(()),
        bad => Err(io::Error::other(bad.join(", "))),
    }
}

/// The program and its files, and the interfaces up.
fn lay_out(guests: &Guests, program: &std::path::Path) -> io::Result<()> {
    fs::copy(program, guests.share().join("downbeat"))?;
    for (at, guest) in GUESTS.iter().enumerate() {
        let place = guests.share().join(guest);
        fs::create_dir_all(&place)?;
        fs::write(place.join("show.toml"), SHOW)?;
        fs::write(place.join("box.toml"), box_file(at))?;
        let address = address(at);
        guests.sh(
            guest,
            &format!(
                "for i in $(seq 200); do [ -e /sys/class/net/eth0 ] && break; sleep 0.2; done; \
                ip addr replace {address}/24 dev eth0 && ip link set eth0 up && ls /dev/ptp0"
            ),
        )?;
    }
    Ok(())
}

fn address(at: usize) -> String {
    format!("10.99.1.{}", at + 1)
}

fn box_file(at: usize) -> String {
    format!(
        "[ports]\nhttp = 0\nhttps = 0\nosc = 0\n[sound]\ndevice = \"none\"\n[clock]\nptp = \"{}\"\n\
        interfaces = [\"eth0\"]\ntransport = \"layer2\"\ntimestamps = \"hardware\"\n\
        log_announce_interval = -2\nlog_sync_interval = -2\nlog_delay_interval = -2\npeers = [\"{}\"]\n",
        PARTS[at],
        address(1 - at)
    )
}

fn show(guests: &Guests, pair: &str, patience: Duration) -> io::Result<()> {
    let (leads, follows) =
        pair.split_once('-').ok_or_else(|| io::Error::other(format!("no pair {pair}")))?;
    for (at, who) in [leads, follows].into_iter().enumerate() {
        start(guests, at, who)?;
    }
    if leads == "box" {
        let leader = wait(guests, 0, patience, |clock| clock["role"] == "master")?;
        stamps_by_hardware("leader", &leader)?;
    }
    if follows == "ptp4l" {
        return ptp4l_measures(guests, patience);
    }
    let begun = Instant::now();
    let locked = wait(guests, 1, patience, |clock| clock["state"] == "locked")?;
    stamps_by_hardware("follower", &locked)?;
    println!(
        "  follower locked after {:.0} s, within {} ns; path delay {} ns",
        begun.elapsed().as_secs_f64(),
        locked["error_bound_ns"],
        locked["path_delay_ns"]
    );
    if leads != "box" {
        println!("  true offset: unknown, ptp4l's clock is its interface's and answers nobody");
        return Ok(());
    }
    let asked = wait(guests, 1, patience, |clock| clock["peers"][0]["difference_ns"].is_i64())?;
    let peer = &asked["peers"][0];
    println!(
        "  the leader, asked apart from PTP, is {} ns from what the follower takes for its time, give or take {} ns",
        peer["difference_ns"], peer["bound_ns"]
    );
    Ok(())
}

fn start(guests: &Guests, at: usize, who: &str) -> io::Result<()> {
    // The interface stamps one type of message only: questions where it leads, Syncs where it follows.
    let kind = if at == 0 { 1 } else { 0 };
    let helper = format!("rxts /sys/class/net/eth0/device/resource0 {kind} 10");
    let words = match (who, at) {
        ("box", _) => {
            let (share, guest) = ("/mnt/share", GUESTS[at]);
            format!(
                "{share}/downbeat run {share}/{guest} --box {share}/{guest}/box.toml \
                --state /run/rig-state --socket /run/rig.sock"
            )
        }
        ("ptp4l", 0) => format!("ptp4l {PTP4L} --serverOnly 1"),
        ("ptp4l", _) => format!("ptp4l {PTP4L} -s --summary_interval -2 --freq_est_interval 0"),
        _ => return Err(io::Error::other(format!("nobody is called {who}"))),
    };
    let unit = format!("systemd-run -q --collect --unit=rig-{who} {words}");
    let helper = format!("systemd-run -q --collect --unit=rig-rxts {helper}");
    guests.sh(GUESTS[at], &format!("phc_ctl eth0 freq 0 >/dev/null; {helper} && {unit}")).map(drop)
}

/// Over Ethernet, by hardware, nothing steered: the emulated interface's clock jumps when its rate is set.
const PTP4L: &str = "-i eth0 -H -2 -m -l 6 --free_running 1 --tx_timestamp_timeout 500 \
    --logAnnounceInterval -2 --logSyncInterval -2 --logMinDelayReqInterval -2";

/// A box's clock, once it is like that.
fn wait(
    guests: &Guests,
    at: usize,
    patience: Duration,
    like: impl Fn(&Value) -> bool,
) -> io::Result<Value> {
    let end = Instant::now() + patience;
    loop {
        let ask = "/mnt/share/downbeat --socket /run/rig.sock clock --json";
        let said = guests.sh(GUESTS[at], ask);
        let clock = said.and_then(|it| serde_json::from_str::<Value>(&it).map_err(Into::into));
        match clock {
            Ok(clock) if like(&clock) => return Ok(clock),
            _ if Instant::now() < end => pause::of(EVERY)?,
            Ok(mut clock) => {
                clock["history"].take();
                return Err(io::Error::other(format!("its clock stays {clock:#}")));
            }
            Err(error) => {
                let log = guests.sh(GUESTS[at], "journalctl -n 20 --no-pager -u rig-box");
                return Err(io::Error::other(format!("{error}\n{}", log.unwrap_or_default())));
            }
        }
    }
}

/// The interface's clock was found, it stamps, and it is read between two readings of the system's.
fn stamps_by_hardware(who: &str, clock: &Value) -> io::Result<()> {
    let port = &clock["ports"][0];
    println!(
        "  {who}: {} stamps, its clock read {}",
        port["stamps"].as_str().unwrap_or("no"),
        port["cross_timestamp"].as_str().unwrap_or("by nobody")
    );
    let is_so = port["stamps"] == "hardware" && port["cross_timestamp"] == "extended";
    let is_measured = clock["role"] == "master" || clock["stamps"] == "hardware";
    match is_so && is_measured {
        true => Ok(()),
        false => Err(io::Error::other(format!(
            "hardware stamps and PTP_SYS_OFFSET_EXTENDED were expected, not {port:#}"
        ))),
    }
}

fn ptp4l_measures(guests: &Guests, patience: Duration) -> io::Result<()> {
    let end = Instant::now() + patience;
    loop {
        let said = guests.sh(GUESTS[1], "journalctl -o cat --no-pager -u rig-ptp4l")?;
        let offsets: Vec<f64> =
            said.lines().filter_map(crate::bench::clock::ptp4l_offset).collect();
        if offsets.len() >= TOLD {
            // Two interfaces' clocks that began at different times: the offset is what it is, its spread is not.
            let (first, last) = (offsets[offsets.len() - TOLD], offsets[offsets.len() - 1]);
            println!(
                "  ptp4l measures the box by hardware stamps; {TOLD} measurements drift {:.0} ns",
                last - first
            );
            return Ok(());
        }
        if Instant::now() > end {
            return Err(io::Error::other(format!("ptp4l measures nothing:\n{said}")));
        }
        pause::of(EVERY)?;
    }
}
