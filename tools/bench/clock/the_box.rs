//! A box for a measurement of clocks: an empty show, PTP on one interface, and both of its clocks read at one instant.

use std::fs;
use std::io::{self, Read, Write};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

use nix::time::{ClockId, clock_gettime};
use serde_json::Value;

const SHOW: &str =
    "[show]\ntitle = \"Clock\"\n[[list]]\nname = \"main\"\n[[list.cue]]\nnumber = \"1\"\n";
const PATIENCE: Duration = Duration::from_secs(20);
const TAI_UTC_NS: i64 = 37_000_000_000;

/// What a box does on the timing network.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Part {
    Lead,
    Follow,
}

impl Part {
    fn word(self) -> &'static str {
        match self {
            Self::Lead => "lead",
            Self::Follow => "follow",
        }
    }
}

/// Writes its files into `folder` and gives the command that runs it. Intervals are those of its peers in the same run.
pub fn prepare(
    folder: &Path,
    program: &Path,
    part: Part,
    interface: &str,
) -> io::Result<Vec<String>> {
    let place = folder.join(part.word());
    fs::create_dir_all(&place)?;
    fs::write(place.join("show.toml"), SHOW)?;
    let text = format!(
        "[ports]\nhttp = 0\nhttps = 0\nosc = 0\nclock = 0\npeers = 0\n[sound]\ndevice = \"none\"\n[clock]\nptp = \"{}\"\n\
        interfaces = [\"{interface}\"]\ntimestamps = \"software\"\nlog_announce_interval = -2\n\
        log_sync_interval = -4\nlog_delay_interval = -4\n",
        part.word()
    );
    fs::write(place.join("box.toml"), text)?;
    let program = fs::canonicalize(program).map_err(|error| {
        io::Error::other(format!(
            "{}: {error}; `cargo build --release --locked` makes it",
            program.display()
        ))
    })?;
    let words = [
        program.as_path(),
        Path::new("run"),
        &place,
        Path::new("--box"),
        &place.join("box.toml"),
        Path::new("--state"),
        &place.join("state"),
        Path::new("--socket"),
        &socket(folder, part),
    ]
    .map(|it| it.to_string_lossy().into_owned());
    Ok(words.into())
}

fn socket(folder: &Path, part: Part) -> PathBuf {
    folder.join(format!("{}.sock", part.word()))
}

/// The command that [`prepare`] gives, as a child.
pub fn command(words: &[String]) -> Command {
    let mut command = Command::new(&words[0]);
    command.args(&words[1..]);
    command
}

/// A box that runs, asked through its control socket.
pub struct Clock {
    socket: PathBuf,
}

/// Both clocks of a box at one instant, and how fast the box clock runs.
#[derive(Debug, Clone, Copy)]
pub struct Reading {
    mono_ns: i64,
    tai_ns: i64,
    rate_ppm: f64,
}

impl Clock {
    pub fn of(folder: &Path, part: Part) -> Self {
        Self { socket: socket(folder, part) }
    }

    /// Reads it, once it answers.
    pub fn read(&self) -> io::Result<Reading> {
        let clock = self.ask()?;
        let number =
            |value: &Value| value.as_i64().ok_or_else(|| io::Error::other("it tells no time"));
        Ok(Reading {
            mono_ns: number(&clock["now"]["mono_ns"])?,
            tai_ns: number(&clock["now"]["tai_ns"])?,
            rate_ppm: clock["rate_ppm"].as_f64().unwrap_or(0.0),
        })
    }

    /// Until it is like that.
    pub fn wait(&self, like: impl Fn(&Value) -> bool) -> io::Result<()> {
        let end = Instant::now() + PATIENCE;
        loop {
            match self.ask() {
                Ok(clock) if like(&clock) => return Ok(()),
                _ if Instant::now() < end => crate::pause::of(Duration::from_millis(50))?,
                Ok(clock) => {
                    return Err(io::Error::other(format!("its clock stays {}", clock["state"])));
                }
                Err(error) => return Err(error),
            }
        }
    }

    fn ask(&self) -> io::Result<Value> {
        let mut stream = UnixStream::connect(&self.socket)?;
        stream.set_read_timeout(Some(PATIENCE))?;
        stream
            .write_all(b"GET /api/v1/clock HTTP/1.1\r\nhost: box\r\nconnection: close\r\n\r\n")?;
        let mut answer = String::new();
        stream.read_to_string(&mut answer)?;
        let (_, body) =
            answer.split_once("\r\n\r\n").ok_or_else(|| io::Error::other("no answer"))?;
        serde_json::from_str(body).map_err(io::Error::other)
    }
}

impl Reading {
    /// How far this clock is from another, which was read shortly before or after.
    pub fn off(self, leader: Self) -> f64 {
        let ran = (self.mono_ns - leader.mono_ns) as f64 * leader.rate_ppm * 1e-6;
        ((self.tai_ns - self.mono_ns) - (leader.tai_ns - leader.mono_ns)) as f64 - ran
    }

    /// How far it is from TAI by this machine's own clock, which is UTC.
    pub fn off_tai(self) -> f64 {
        (self.tai_ns - self.mono_ns - system_minus_mono() - TAI_UTC_NS) as f64
    }
}

/// The machine's clock minus its monotonic one: the middle of the narrowest of many readings.
fn system_minus_mono() -> i64 {
    let reading = |_| {
        let (before, system, after) = (
            ns(ClockId::CLOCK_MONOTONIC),
            ns(ClockId::CLOCK_REALTIME),
            ns(ClockId::CLOCK_MONOTONIC),
        );
        (after - before, system - before.midpoint(after))
    };
    (0..100).map(reading).min_by_key(|(width, _)| *width).map_or(0, |(_, middle)| middle)
}

fn ns(clock: ClockId) -> i64 {
    let at = clock_gettime(clock).expect("Linux has this clock");
    at.tv_sec() * 1_000_000_000 + at.tv_nsec()
}
