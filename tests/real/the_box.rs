//! A running `downbeat` with a small show, on ports and in folders of its own.
//!
//! Needs the built program: `cargo build -p downbeat`, or its path in `DOWNBEAT_BIN`.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream, UdpSocket};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Output, Stdio};
use std::sync::mpsc::{Receiver, RecvTimeoutError, channel};
use std::time::{Duration, Instant};

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use serde_json::Value;
use tempfile::TempDir;

/// Nothing here takes so long on a machine that is alive.
pub const PATIENCE: Duration = Duration::from_secs(20);

/// Two lists; universe 1 goes to an address where nobody else listens.
const SHOW: &str = r##"
[show]
title = "Small"
panic_fade = "0s"
[universes.1]
sacn = { unicast = ["127.0.0.77"] }
[fixtures]
par = { profile = "generic/rgb", universe = 1, address = 1 }
[tracks]
track_001 = "click.wav"
[[list]]
name = "main"
[[list.cue]]
number = "1"
name = "Warm"
light = { levels = { par = { color = "#ff8000" } } }
phones = { color = "#ff8000", fade = "2s", text = "Good evening" }
[[list.cue]]
number = "2"
name = "Song"
phones = { track = "track_001", loop = "forever" }
[[list.cue]]
number = "3"
name = "Blackout"
light = { levels = { par = 0 } }
[[list]]
name = "balcony"
[[list.cue]]
number = "10"
name = "Bell"
light = { levels = { par = 10 } }
"##;

/// The program under test.
pub fn program() -> Command {
    Command::new(path())
}

pub fn path() -> PathBuf {
    if let Some(path) = std::env::var_os("DOWNBEAT_BIN") {
        return path.into();
    }
    // target/debug/deps/real-… stands two folders below target/debug/downbeat.
    let test = std::env::current_exe().expect("a test knows its own path");
    let path = test.ancestors().nth(2).expect("it is in target/…/deps").join("downbeat");
    assert!(path.exists(), "{} is missing: `cargo build -p downbeat` makes it", path.display());
    path
}

/// A show folder and everything else a box needs.
pub struct Place {
    pub folder: TempDir,
    pub http: u16,
    pub https: u16,
    pub osc: u16,
    /// Sound is real, by this configuration of alsa-lib.
    pub alsa: Option<PathBuf>,
    /// What is logged, as `RUST_LOG` has it; warnings where nothing is said.
    pub log: Option<&'static str>,
    /// The machine that the box is on, by the name of its network; none: this one.
    pub netns: Option<String>,
    /// What starts it there, with its words.
    pub by: &'static [&'static str],
}

impl Place {
    pub fn new() -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        // A number may come twice, and one that is free as one kind of port may be the other's; no box file may say one twice.
        let http = free_port();
        let mut free = std::iter::repeat_with(free_port);
        let https = free.find(|it| *it != http).expect("there are others");
        let mut free = std::iter::repeat_with(free_datagram_port);
        let osc = free.find(|it| ![http, https].contains(it)).expect("there are others");
        let place = Self { folder, http, https, osc, alsa: None, log: None, netns: None, by: &[] };
        std::fs::write(place.path("show.toml"), SHOW).expect("written");
        std::fs::write(place.path("click.wav"), click()).expect("written");
        place.write_box("");
        place
    }

    /// The box file, with more in it.
    pub fn write_box(&self, more: &str) {
        let Self { http, https, osc, .. } = self;
        let text = format!(
            "[ports]\nclock = 0\npeers = 0\nhttp = {http}\nhttps = {https}\nosc = {osc}\n{more}"
        );
        std::fs::write(self.path("box.toml"), text).expect("written");
    }

    pub fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    pub fn socket(&self) -> PathBuf {
        self.path("control.sock")
    }

    /// `downbeat …` with this place's box file, state and socket.
    pub fn downbeat(&self, words: &[&str]) -> Command {
        let mut command = program();
        command.args(words).arg("--box").arg(self.path("box.toml"));
        match &self.alsa {
            Some(path) => command.env("ALSA_CONFIG_PATH", path),
            None => command.arg("--simulate"),
        };
        command.arg("--state").arg(self.path("state")).arg("--socket").arg(self.socket());
        if let Some(log) = self.log {
            command.env("RUST_LOG", log);
        }
        command.stdin(Stdio::null());
        command
    }

    pub fn run(self) -> TheBox {
        let mut the_box = self.begin();
        the_box.wait_for_line("control ");
        the_box
    }

    /// A box that has said nothing yet.
    pub fn begin(self) -> TheBox {
        let (child, lines, errors) = self.spawn();
        TheBox { child, place: self, lines, errors }
    }

    fn spawn(&self) -> (Child, Receiver<String>, Receiver<String>) {
        let mut command = self.downbeat(&["run"]);
        command.arg(self.folder.path());
        if let Some(name) = &self.netns {
            command = there(name, self.by, &command);
        }
        command.stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = command.spawn().expect("the program starts");
        let lines = lines_of(child.stdout.take().expect("piped"));
        let errors = lines_of(child.stderr.take().expect("piped"));
        (child, lines, errors)
    }
}

/// The same on another machine.
fn there(name: &str, by: &[&str], command: &Command) -> Command {
    let mut it = Command::new("ip");
    it.args(["netns", "exec", name]).args(by).arg(command.get_program()).args(command.get_args());
    it.stdin(Stdio::null());
    it
}

pub fn lines_of(from: impl Read + Send + 'static) -> Receiver<String> {
    let (told, lines) = channel();
    std::thread::spawn(move || {
        for line in BufReader::new(from).lines().map_while(Result::ok) {
            if told.send(line).is_err() {
                return;
            }
        }
    });
    lines
}

/// A running box; killed when the test is over, whatever came of it.
pub struct TheBox {
    pub child: Child,
    pub place: Place,
    lines: Receiver<String>,
    errors: Receiver<String>,
}

impl Drop for TheBox {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl TheBox {
    pub fn start() -> Self {
        Place::new().run()
    }

    pub fn start_with(more: &str) -> Self {
        let place = Place::new();
        place.write_box(more);
        place.run()
    }

    /// Ends as planned, and begins again in the same place.
    pub fn restart(&mut self) {
        self.signal(Signal::SIGTERM);
        self.wait_for_the_end();
        self.begin_again();
    }

    /// After its end, in the same place.
    pub fn begin_again(&mut self) {
        self.begin_again_until("control ");
    }

    /// The same, and the first line of its output that has `part` in it.
    pub fn begin_again_until(&mut self, part: &str) -> String {
        (self.child, self.lines, self.errors) = self.place.spawn();
        self.wait_for_line(part)
    }

    /// The first line of its output that has `part` in it.
    pub fn wait_for_line(&mut self, part: &str) -> String {
        let end = Instant::now() + PATIENCE;
        loop {
            match self.lines.recv_timeout(end.saturating_duration_since(Instant::now())) {
                Ok(line) if line.contains(part) => return line,
                Ok(_) => {}
                Err(RecvTimeoutError::Timeout) => panic!("no line with `{part}` came"),
                Err(RecvTimeoutError::Disconnected) => {
                    let said: Vec<String> = self.errors.iter().collect();
                    panic!("it ended before `{part}` came: {}", said.join("\n"))
                }
            }
        }
    }

    /// What it logged so far, up to the first line that has `part` in it.
    pub fn log_until(&self, part: &str) -> Vec<String> {
        let end = Instant::now() + PATIENCE;
        let mut log = Vec::new();
        while !log.last().is_some_and(|line: &String| line.contains(part)) {
            let left = end.saturating_duration_since(Instant::now());
            let line = self.errors.recv_timeout(left);
            log.push(line.unwrap_or_else(|_| panic!("no `{part}` in the log: {log:#?}")));
        }
        log
    }

    /// What it logged and nobody has read, once it has ended.
    pub fn rest_of_the_log(&self) -> Vec<String> {
        self.errors.iter().collect()
    }

    /// A command line to this box.
    pub fn ask(&self, words: &[&str]) -> Output {
        self.place.downbeat(words).output().expect("the program starts")
    }

    /// `downbeat record FILE …`, once something is written.
    pub fn record(&self, file: &Path, more: &[&str]) -> Recorder {
        let words = ["record", file.to_str().expect("a plain path"), "--json"];
        let mut child = self.place.downbeat(&[&words, more].concat());
        let mut child = child.stdout(Stdio::piped()).spawn().expect("it starts");
        while !exists(&unfinished(file)) {
            assert!(child.try_wait().expect("ours").is_none(), "it records until it is told");
            std::thread::yield_now();
        }
        Recorder(child)
    }

    /// The same as [`Self::ask`], with `--json`, read.
    pub fn ask_json(&self, words: &[&str]) -> Value {
        let output = self.ask(&[words, &["--json"]].concat());
        serde_json::from_slice(&output.stdout)
            .unwrap_or_else(|error| panic!("{words:?} printed no JSON ({error}): {output:?}"))
    }

    /// A request over the control socket: status and body.
    pub fn knock(&self, method: &str, path: &str, body: &str) -> (u16, String) {
        let stream = UnixStream::connect(self.place.socket()).expect("it listens");
        stream.set_read_timeout(Some(PATIENCE)).expect("a timeout");
        exchange(stream, method, path, "", body)
    }

    /// A request over the network: status and whole answer.
    pub fn fetch(&self, path: &str, headers: &str) -> (u16, String) {
        exchange(self.dial(), "GET", path, headers, "")
    }

    pub fn post(&self, path: &str, body: &str) -> (u16, String) {
        exchange(self.dial(), "POST", path, "", body)
    }

    pub fn dial(&self) -> TcpStream {
        let stream = TcpStream::connect(("127.0.0.1", self.place.http)).expect("it listens");
        stream.set_read_timeout(Some(PATIENCE)).expect("a timeout");
        stream.set_nodelay(true).expect("a socket");
        stream
    }

    pub fn signal(&self, signal: Signal) {
        kill(Pid::from_raw(self.child.id() as i32), signal).expect("it lives");
    }

    /// How it ended, and how long that took.
    pub fn wait_for_the_end(&mut self) -> (ExitStatus, Duration) {
        let begin = Instant::now();
        // Its output ends with it.
        loop {
            let left = PATIENCE.saturating_sub(begin.elapsed());
            match self.lines.recv_timeout(left) {
                Ok(_) => {}
                Err(RecvTimeoutError::Disconnected) => break,
                Err(RecvTimeoutError::Timeout) => panic!("it did not end"),
            }
        }
        let status = self.child.wait().expect("a child of ours");
        (status, begin.elapsed())
    }

    pub fn is_alive(&mut self) -> bool {
        self.child.try_wait().expect("a child of ours").is_none()
    }
}

/// Where a recording of that name is written while it runs.
pub fn unfinished(file: &Path) -> PathBuf {
    let mut beside = file.to_owned().into_os_string();
    beside.push(".part");
    beside.into()
}

/// A recording that runs.
pub struct Recorder(Child);

impl Recorder {
    /// Ctrl-C; what it tells of it.
    pub fn end(self) -> Value {
        let pid = Pid::from_raw(i32::try_from(self.0.id()).expect("a process id"));
        kill(pid, Signal::SIGINT).expect("it is ours");
        let output = self.0.wait_with_output().expect("it ends");
        assert!(output.status.success(), "{output:?}");
        serde_json::from_slice(&output.stdout).expect("one document")
    }
}

/// One HTTP exchange; the answer with its head.
pub fn exchange(
    mut stream: impl Read + Write,
    method: &str,
    path: &str,
    headers: &str,
    body: &str,
) -> (u16, String) {
    let length = body.len();
    let head = format!("{method} {path} HTTP/1.1\r\nhost: x\r\nconnection: close\r\n{headers}");
    let request = format!("{head}content-length: {length}\r\n\r\n{body}");
    stream.write_all(request.as_bytes()).expect("it reads");
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer).expect("it answers and closes");
    let answer = String::from_utf8_lossy(&answer).into_owned();
    let status = answer.split(' ').nth(1).and_then(|code| code.parse().ok());
    (status.unwrap_or_else(|| panic!("no answer to {method} {path}: {answer}")), answer)
}

/// The JSON after the head.
pub fn body(answer: &str) -> Value {
    let (_, body) = answer.split_once("\r\n\r\n").expect("a head");
    serde_json::from_str(body).unwrap_or_else(|error| panic!("no JSON ({error}): {answer}"))
}

/// Free on every address, as a box takes it: clients of earlier boxes may still have it on one of them.
pub fn free_port() -> u16 {
    let listener = TcpListener::bind(("::", 0)).or_else(|_| TcpListener::bind(("0.0.0.0", 0)));
    let listener = listener.expect("a free port");
    listener.local_addr().expect("bound").port()
}

fn free_datagram_port() -> u16 {
    let socket = UdpSocket::bind(("::", 0)).or_else(|_| UdpSocket::bind(("0.0.0.0", 0)));
    let socket = socket.expect("a free port");
    socket.local_addr().expect("bound").port()
}

/// A tenth of a second of silence with one click, 8 kHz, 16 bit.
pub fn click() -> Vec<u8> {
    let mut samples = vec![0_i16; 800];
    samples[400] = i16::MAX;
    let data: Vec<u8> = samples.iter().flat_map(|sample| sample.to_le_bytes()).collect();
    let mut wav = Vec::new();
    wav.extend(b"RIFF");
    wav.extend((36 + data.len() as u32).to_le_bytes());
    wav.extend(b"WAVEfmt ");
    wav.extend(16_u32.to_le_bytes());
    wav.extend(1_u16.to_le_bytes()); // PCM
    wav.extend(1_u16.to_le_bytes()); // one channel
    wav.extend(8_000_u32.to_le_bytes());
    wav.extend(16_000_u32.to_le_bytes());
    wav.extend(2_u16.to_le_bytes());
    wav.extend(16_u16.to_le_bytes());
    wav.extend(b"data");
    wav.extend((data.len() as u32).to_le_bytes());
    wav.extend(data);
    wav
}

/// Bytes that repeat for a seed: noise for sockets.
pub fn noise(seed: u64, length: usize) -> Vec<u8> {
    let mut state = seed.wrapping_mul(2).wrapping_add(1);
    let mut next = || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        (state >> 32) as u8
    };
    (0..length).map(|_| next()).collect()
}

/// Whether a file is there.
pub fn exists(path: &Path) -> bool {
    std::fs::symlink_metadata(path).is_ok()
}
