//! Two machines and the cable between them, on this machine: network namespaces and a veth pair.
//!
//! `ptp4l` never steers anything here (`free_running`), and all clocks are read on one machine, so what a clock is
//! really off is seen by reading two of them at one instant, not by what either says of itself.

use std::io::Write;
use std::os::unix::net::UnixStream;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::mpsc::Receiver;
use std::time::{Duration, Instant};

use nix::time::{ClockId, clock_gettime};
use serde_json::Value;
use tempfile::TempDir;

use crate::the_box::{PATIENCE, body, exchange, lines_of, program};

/// TAI minus UTC, in nanoseconds.
const TAI_UTC_NS: i128 = 37_000_000_000;
/// After its first GO it runs, for the second cue is still to come.
const SHOW: &str = "[show]\ntitle = \"Clock\"\n[[list]]\nname = \"main\"\n[[list.cue]]\nnumber = \"1\"\n\
    [[list.cue]]\nnumber = \"2\"\n";

/// Whether this machine can do it; says why not.
pub fn able(test: &str) -> bool {
    let name = name("try");
    let reason = match () {
        () if !nix::unistd::geteuid().is_root() => "network namespaces need root",
        () if !exists("ptp4l") => "ptp4l (linuxptp) is not installed",
        () if !runs(&["ip", "netns", "add", &name]) => "this machine gives no network namespaces",
        () => {
            runs(&["ip", "netns", "del", &name]);
            return true;
        }
    };
    println!("skipped: {test}: {reason}");
    false
}

fn exists(tool: &str) -> bool {
    Command::new(tool).arg("-v").stdout(Stdio::null()).stderr(Stdio::null()).status().is_ok()
}

fn runs(words: &[&str]) -> bool {
    let mut command = Command::new(words[0]);
    command.args(&words[1..]).stdout(Stdio::null()).stderr(Stdio::null());
    command.status().is_ok_and(|status| status.success())
}

/// A chain of machines, each linked to the next: `0` to `1`, `1` to `2`.
pub struct Net {
    names: Vec<String>,
    folder: TempDir,
}

static COUNT: AtomicU32 = AtomicU32::new(0);

/// Nobody else's, on this machine.
fn name(what: &str) -> String {
    format!("db-{what}-{}-{}", std::process::id(), COUNT.fetch_add(1, Ordering::Relaxed))
}

impl Net {
    /// So many machines, linked and up.
    pub fn new(machines: usize) -> Self {
        let net = Self::apart(machines);
        (1..machines).for_each(|to| net.link(to - 1, to));
        net
    }

    /// The machines without cables.
    pub fn apart(machines: usize) -> Self {
        let names: Vec<String> = (0..machines).map(|_| name("net")).collect();
        for name in &names {
            must(&format!("ip netns add {name}"));
            must(&format!("ip -n {name} link set lo up"));
        }
        Self { names, folder: tempfile::tempdir().expect("a folder") }
    }

    /// A cable. Its ends are called `right` (to the next machine) and `left` (to the one before).
    pub fn link(&self, from: usize, to: usize) {
        let (a, b) = (&self.names[from], &self.names[to]);
        must(&format!("ip -n {a} link add right type veth peer name left netns {b}"));
        for (name, end, last) in [(a, "right", 1), (b, "left", 2)] {
            must(&format!("ip -n {name} addr add 10.97.{from}.{last}/24 dev {end}"));
            must(&format!("ip -n {name} addr add fd97:{from}::{last}/64 dev {end} nodad"));
            must(&format!("ip -n {name} link set dev {end} up"));
        }
    }

    /// `ip` on one of the machines.
    pub fn ip(&self, machine: usize, words: &str) {
        must(&format!("ip -n {} {words}", self.names[machine]));
    }

    fn command(&self, machine: usize, program: &str) -> Command {
        let mut command = Command::new("ip");
        command.args(["netns", "exec", &self.names[machine], program]).stdin(Stdio::null());
        command
    }

    /// `ptp4l` on one of the machines; its interfaces and whatever else there is to say.
    pub fn ptp4l(&self, machine: usize, words: &str) -> Ptp4l {
        let count = COUNT.fetch_add(1, Ordering::Relaxed);
        let config = self.folder.path().join(format!("ptp4l-{count}.conf"));
        let socket = self.folder.path().join(format!("ptp4l-{count}.sock"));
        std::fs::write(&config, CONFIG).expect("written");
        let mut command = self.command(machine, "ptp4l");
        command.arg("-f").arg(&config).arg("-m").arg("-S").args(words.split_whitespace());
        command.arg("--uds_address").arg(&socket);
        let mut child = command.stdout(Stdio::piped()).spawn().expect("ptp4l starts");
        let lines = lines_of(child.stdout.take().expect("piped"));
        Ptp4l { child, lines, config, socket }
    }

    /// A box on one of the machines, with this `[clock]`.
    pub fn downbeat(&self, machine: usize, clock: &str) -> NetBox {
        self.downbeat_as(machine, clock, &[])
    }

    /// The same, started by some other program.
    pub fn downbeat_as(&self, machine: usize, clock: &str, by: &[&str]) -> NetBox {
        let place =
            self.folder.path().join(format!("box-{}", COUNT.fetch_add(1, Ordering::Relaxed)));
        std::fs::create_dir(&place).expect("a folder");
        let text = format!(
            "[ports]\nhttp = 0\nhttps = 0\nosc = 0\n[sound]\ndevice = \"none\"\n[clock]\n\
            log_announce_interval = -2\nlog_sync_interval = -3\nlog_delay_interval = -3\n{clock}\n"
        );
        std::fs::write(place.join("box.toml"), text).expect("written");
        std::fs::write(place.join("show.toml"), SHOW).expect("written");
        must(&format!("chmod -R a+rwX {} {}", self.folder.path().display(), place.display()));
        let mut command = self.command(machine, by.first().unwrap_or(&""));
        if by.is_empty() {
            command = self.command(machine, &program().get_program().to_string_lossy());
        } else {
            command.args(&by[1..]).arg(program().get_program());
        }
        command.arg("run").arg(&place).arg("--box").arg(place.join("box.toml"));
        command.arg("--state").arg(place.join("state")).arg("--socket").arg(place.join("socket"));
        let mut child =
            command.stdout(Stdio::piped()).stderr(Stdio::null()).spawn().expect("it starts");
        let lines = lines_of(child.stdout.take().expect("piped"));
        let mut the_box = NetBox { child, lines, socket: place.join("socket"), said: Vec::new() };
        the_box.wait_for_line("control ");
        the_box
    }
}

impl Drop for Net {
    fn drop(&mut self) {
        for name in &self.names {
            runs(&["ip", "netns", "del", name]);
        }
    }
}

fn must(words: &str) {
    let words: Vec<&str> = words.split_whitespace().collect();
    let output = Command::new(words[0]).args(&words[1..]).output().expect("it starts");
    assert!(output.status.success(), "{words:?}: {}", String::from_utf8_lossy(&output.stderr));
}

/// Software stamps, nothing steered, a line for every Sync.
const CONFIG: &str = "[global]\nfree_running 1\nlogSyncInterval -3\nlogMinDelayReqInterval -3\nlogMinPdelayReqInterval -3\n\
    logAnnounceInterval -2\nfreq_est_interval 0\nsummary_interval -4\ntx_timestamp_timeout 50\n";

/// A running `ptp4l`.
pub struct Ptp4l {
    child: Child,
    lines: Receiver<String>,
    config: PathBuf,
    socket: PathBuf,
}

impl Ptp4l {
    /// The next so many offsets that it measures from its master, in nanoseconds, once it has settled.
    pub fn offsets(&self, count: usize) -> Vec<i128> {
        let mut seen = Vec::new();
        let end = Instant::now() + PATIENCE;
        while seen.len() < count + SETTLING {
            let left = end.saturating_duration_since(Instant::now());
            let line = self.lines.recv_timeout(left).expect("ptp4l measures its master");
            let offset = line
                .split_once("master offset")
                .and_then(|(_, rest)| rest.split_whitespace().next());
            seen.extend(offset.and_then(|it| it.parse::<i128>().ok()));
        }
        seen.split_off(SETTLING)
    }

    /// What it says of itself: a management question.
    pub fn says(&self, dataset: &str) -> String {
        let here = self.config.with_extension("pmc");
        let mut command = Command::new("pmc");
        command.args(["-u", "-b", "0", "-i"]).arg(here).arg("-s").arg(&self.socket);
        command.arg(format!("GET {dataset}"));
        let output = command.output().expect("pmc comes with ptp4l");
        String::from_utf8_lossy(&output.stdout).into_owned()
    }

    /// Until it says this.
    pub fn wait_for(&self, dataset: &str, part: &str) {
        wait_until(&format!("{dataset} with {part}"), || {
            let said = self.says(dataset);
            let words: Vec<&str> = said.split_whitespace().collect();
            let wanted: Vec<&str> = part.split_whitespace().collect();
            words.windows(wanted.len()).any(|it| it == wanted)
        });
    }
}

/// The first measurements come before its filter of the path delay is full. It tells one a second.
const SETTLING: usize = 3;

impl Drop for Ptp4l {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// A running box.
pub struct NetBox {
    child: Child,
    lines: Receiver<String>,
    socket: PathBuf,
    said: Vec<String>,
}

impl Drop for NetBox {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl NetBox {
    /// `downbeat clock --json`.
    pub fn clock(&self) -> Value {
        self.ask("GET", "/api/v1/clock")
    }

    /// A command or a question.
    pub fn ask(&self, method: &str, path: &str) -> Value {
        let stream = UnixStream::connect(&self.socket).expect("it listens");
        stream.set_read_timeout(Some(PATIENCE)).expect("a timeout");
        body(&exchange(stream, method, path, "", "").1)
    }

    /// Until its clock is like this.
    pub fn wait(&self, what: &str, like: impl Fn(&Value) -> bool) -> Value {
        let mut clock = self.clock();
        let end = Instant::now() + PATIENCE;
        while !like(&clock) {
            assert!(Instant::now() < end, "never {what}: {clock:#}");
            std::thread::park_timeout(Duration::from_millis(40));
            clock = self.clock();
        }
        clock
    }

    pub fn wait_for_state(&self, state: &str) -> Value {
        self.wait(state, |clock| clock["state"] == state)
    }

    /// A line of its story.
    pub fn wait_for_line(&mut self, part: &str) -> String {
        let end = Instant::now() + PATIENCE;
        loop {
            let left = end.saturating_duration_since(Instant::now());
            let line = self.lines.recv_timeout(left);
            let line = line.unwrap_or_else(|_| panic!("no line with `{part}` in {:#?}", self.said));
            self.said.push(line.clone());
            if line.contains(part) {
                return line;
            }
        }
    }

    /// What it has said so far.
    pub fn said(&self) -> &[String] {
        &self.said
    }
}

fn wait_until(what: &str, mut done: impl FnMut() -> bool) {
    let end = Instant::now() + PATIENCE;
    while !done() {
        assert!(Instant::now() < end, "never {what}");
        std::thread::park_timeout(Duration::from_millis(40));
    }
}

/// How far a box clock is from TAI by this machine's own clock, in nanoseconds.
pub fn off_the_machine(clock: &Value) -> i128 {
    let (mono, tai) = both(clock);
    tai - (mono + system_minus_mono() + TAI_UTC_NS)
}

/// The same, after a `ptp4l` that serves UTC with software stamps and does not say so: the box is told nothing else, and
/// its TAI is right all the same.
pub fn off_ptp4l(clock: &Value) -> i128 {
    assert_eq!(clock["master"]["ptp_timescale"], false, "{clock:#}");
    assert_eq!(clock["timescale"], "utc_assumed", "{clock:#}");
    off_the_machine(clock)
}

/// How far one box clock is from another, in nanoseconds.
pub fn apart(leader: &Value, follower: &Value) -> i128 {
    let ((mono_l, tai_l), (mono_f, tai_f)) = (both(leader), both(follower));
    // They were not asked at the same moment: the leader's clock meanwhile ran on at its own rate.
    let rate = leader["rate_ppm"].as_f64().expect("a rate");
    let ran = (mono_f - mono_l) as f64 * rate * 1e-6;
    (tai_f - mono_f) - (tai_l - mono_l) - ran.round() as i128
}

fn both(clock: &Value) -> (i128, i128) {
    let read = |key: &str| i128::from(clock["now"][key].as_i64().expect("a reading"));
    (read("mono_ns"), read("tai_ns"))
}

/// The machine's clock minus its monotonic one: the middle of the narrowest of many readings.
fn system_minus_mono() -> i128 {
    let reading = |_| {
        let (before, system, after) = (
            now(ClockId::CLOCK_MONOTONIC),
            now(ClockId::CLOCK_REALTIME),
            now(ClockId::CLOCK_MONOTONIC),
        );
        (after - before, system - (before + after) / 2)
    };
    (0..200).map(reading).min_by_key(|(width, _)| *width).expect("two hundred").1
}

fn now(clock: ClockId) -> i128 {
    let at = clock_gettime(clock).expect("Linux has this clock");
    i128::from(at.tv_sec()) * 1_000_000_000 + i128::from(at.tv_nsec())
}

/// The true error of so many readings: the 99th percentile, after it is printed.
pub fn worst_of(what: &str, mut errors: Vec<i128>) -> i128 {
    let mean = errors.iter().sum::<i128>() / errors.len() as i128;
    errors.iter_mut().for_each(|it| *it = it.abs());
    errors.sort_unstable();
    let at = |part: usize| errors[(errors.len() * part / 100).min(errors.len() - 1)];
    let line = format!(
        "true error, {what}: {} readings, mean {mean} ns, p50 {} ns, p99 {} ns, most {} ns",
        errors.len(),
        at(50),
        at(99),
        errors[errors.len() - 1]
    );
    let _ = writeln!(std::io::stdout(), "{line}");
    at(99)
}
