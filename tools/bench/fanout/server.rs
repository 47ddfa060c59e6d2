//! Who serves: the box, or one of its peers, on one processor; and how a word reaches everybody through it.

use std::fs::File;
use std::io::{self, Read, Seek};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use nix::sched::{CpuSet, sched_setaffinity};
use nix::unistd::Pid;
use tempfile::TempDir;
use tools::crowd::{Crowd, Dialect, Exchange, Manner, Party, word};
use tools::fleet::FleetError;
use tools::mono_now;
use tools::running::{BoxError, Running};

use crate::test::root;

/// Who.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub enum Peer {
    /// This box
    Downbeat,
    /// This box, over TLS
    DownbeatTls,
    /// One thread, one call a receiver: what nobody can be below
    Floor,
    /// The package `ws` for node
    Ws,
    /// The same, over TLS
    WsTls,
    /// Socket.IO
    SocketIo,
    /// A shared state of soundworks
    Soundworks,
}

#[derive(Debug, thiserror::Error)]
pub enum ServerError {
    #[error(transparent)]
    Box(#[from] BoxError),
    #[error(transparent)]
    Fleet(#[from] FleetError),
    #[error("{what}: {source}")]
    Machine { what: &'static str, source: io::Error },
    #[error("`npm install` in {0} failed; say `--peers floor,downbeat` to go without node")]
    NoPackages(PathBuf),
    #[error("{name} did not listen; it said: {said}")]
    Silent { name: &'static str, said: String },
    #[error("the publisher was not let in, or not told what it needs")]
    NoPublisher,
}

pub fn machine(what: &'static str) -> impl FnOnce(io::Error) -> ServerError {
    move |source| ServerError::Machine { what, source }
}

/// A server that runs.
pub struct Server {
    pub at: SocketAddr,
    pub dialect: Dialect,
    pub secure: bool,
    pub pid: u32,
    octets: usize,
    kind: Kind,
}

enum Kind {
    Box { running: Box<Running>, _show: TempDir },
    Other { child: Child, publisher: Option<(Box<Crowd>, String)> },
}

/// It serves on this processor, and the crowd is on the other.
const SERVERS: usize = 0;
/// A server on node has thousands of files to read first.
const PATIENCE: Duration = Duration::from_secs(60);
/// Whoever speaks comes from an address of its own.
const PUBLISHER: u32 = 60_000;
const LIMITS: &str = "[limits]\nconnections_per_address = 100000\n";

impl Peer {
    pub fn name(self) -> &'static str {
        match self {
            Self::Downbeat => "downbeat",
            Self::DownbeatTls => "downbeat-tls",
            Self::Floor => "floor",
            Self::Ws => "ws",
            Self::WsTls => "ws-tls",
            Self::SocketIo => "socket.io",
            Self::Soundworks => "soundworks",
        }
    }

    /// Neither this box nor a part of this program.
    pub fn is_other(self) -> bool {
        self.script().is_some()
    }

    fn is_secure(self) -> bool {
        matches!(self, Self::DownbeatTls | Self::WsTls)
    }

    fn script(self) -> Option<&'static str> {
        match self {
            Self::Ws | Self::WsTls => Some("ws.mjs"),
            Self::SocketIo => Some("socketio.mjs"),
            Self::Soundworks => Some("soundworks.mjs"),
            Self::Downbeat | Self::DownbeatTls | Self::Floor => None,
        }
    }

    fn dialect(self) -> Dialect {
        let step = |say: &str, hear: &str| Exchange { say: say.into(), hear: hear.into() };
        match self {
            Self::Downbeat | Self::DownbeatTls => Dialect::solusync(),
            Self::Floor | Self::Ws | Self::WsTls => {
                Dialect { path: "/".into(), publish: "%P".into(), ..Dialect::default() }
            }
            Self::SocketIo => Dialect {
                path: "/socket.io/?EIO=4&transport=websocket".into(),
                steps: vec![step("", "0{"), step("40", "40{")],
                answer: Some(("2".into(), "3".into())),
                publish: "42[\"pub\",\"%P\"]".into(),
                ..Dialect::default()
            },
            Self::Soundworks => Dialect {
                path: "/socket?role=player".into(),
                steps: vec![
                    step(
                        r#"["cl:h:req",[{"role":"player","version":"5.5.0","registeredPlugins":[]}]]"#,
                        "cl:h:res",
                    ),
                    step(r#"["b:t",[[["s:a:req",[1,"cue",null,null]]]]]"#, "s:a:res"),
                ],
                answer: Some(("h:ping".into(), "h:pong".into())),
                capture: "s:a:res\",[1,{a},{b},".into(),
                publish: r#"["b:t",[[["s:u:req-{a}-{b}",[%S,{"text":"%P"}]]]]]"#.into(),
            },
        }
    }
}

impl Server {
    /// `words` of so many octets will be said.
    pub async fn start(
        peer: Peer,
        program: &Path,
        words: u32,
        octets: usize,
    ) -> Result<Self, ServerError> {
        let (dialect, secure) = (peer.dialect(), peer.is_secure());
        if let Peer::Downbeat | Peer::DownbeatTls = peer {
            let show = TempDir::new().map_err(machine("a temporary folder"))?;
            std::fs::write(show.path().join("show.toml"), show_of(words, octets))
                .map_err(machine("a show"))?;
            let running = Box::new(Running::start(program, show.path(), LIMITS).await?);
            let at = if secure { running.https() } else { running.http() };
            let pid = running.pid();
            pin(pid, SERVERS);
            let kind = Kind::Box { running, _show: show };
            return Ok(Self { at, dialect, secure, pid, octets, kind });
        }
        let (child, at) = start_other(peer).await?;
        let pid = child.id();
        pin(pid, SERVERS);
        let kind = Kind::Other { child, publisher: None };
        Ok(Self { at, dialect, secure, pid, octets, kind })
    }

    /// Whoever speaks comes in, after the others.
    pub fn open(&mut self) -> Result<(), ServerError> {
        let Kind::Other { publisher, .. } = &mut self.kind else { return Ok(()) };
        let party = Party {
            to: self.at,
            secure: self.secure,
            dialect: self.dialect.clone(),
            count: 1,
            first: PUBLISHER,
            per_second: 1.0,
            manner: Manner::Good,
        };
        let mut crowd = Crowd::new(party).map_err(machine("the publisher"))?;
        crowd.arrive().map_err(machine("the publisher"))?;
        let template = self.dialect.template(crowd.told(0)).ok_or(ServerError::NoPublisher)?;
        *publisher = Some((Box::new(crowd), template));
        Ok(())
    }

    /// Says the next word to all, and gives when it began to.
    pub async fn say(&mut self, number: u32) -> Result<i64, ServerError> {
        let begin = mono_now().ns();
        match &mut self.kind {
            Kind::Box { running, .. } => running.post("go", "{}").await?,
            Kind::Other { publisher, .. } => {
                let (crowd, template) = publisher.as_mut().ok_or(ServerError::NoPublisher)?;
                let text = template.replace("%P", &word(number, self.octets));
                crowd.listen(Duration::ZERO).map_err(machine("the publisher"))?;
                let text = text.replace("%S", &number.to_string());
                crowd.say(0, &text).map_err(machine("the publisher"))?;
            }
        }
        Ok(begin)
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        if let Kind::Other { child, .. } = &mut self.kind {
            let _ = child.kill();
            let _ = child.wait();
        }
    }
}

/// A cue a word.
fn show_of(words: u32, octets: usize) -> String {
    let cue = |number: u32| {
        let text = word(number, octets);
        format!("[[list.cue]]\nnumber = \"{}\"\nphones = {{ text = \"{text}\" }}\n", number + 1)
    };
    let cues: String = (0..words).map(cue).collect();
    format!("[show]\ntitle = \"Fan-out\"\n[[list]]\nname = \"main\"\n{cues}")
}

async fn start_other(peer: Peer) -> Result<(Child, SocketAddr), ServerError> {
    let free = TcpListener::bind(("::", 0))
        .or_else(|_| TcpListener::bind(("0.0.0.0", 0)))
        .and_then(|it| it.local_addr());
    let at = SocketAddr::from(([127, 0, 0, 1], free.map_err(machine("a free port"))?.port()));
    let port = at.port().to_string();
    let mut command = match peer.script() {
        Some(script) => {
            let mut node = Command::new("node");
            let folder = packages()?;
            node.arg(folder.join(script)).arg(&port);
            if peer.is_secure() {
                node.args(certificate(&folder)?);
            }
            node
        }
        None => {
            let mut own = Command::new(std::env::current_exe().map_err(machine("this program"))?);
            own.args(["bench", "fanout", "--serve-floor", &port]);
            own
        }
    };
    let mut said = tempfile::tempfile().map_err(machine("a temporary file"))?;
    let errors = said.try_clone().map_err(machine("a temporary file"))?;
    command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(errors);
    let mut child = command.spawn().map_err(machine("the peer"))?;
    let deadline = Instant::now() + PATIENCE;
    while TcpStream::connect(at).is_err() {
        if Instant::now() > deadline || !matches!(child.try_wait(), Ok(None)) {
            let _ = child.kill();
            let _ = child.wait();
            return Err(ServerError::Silent { name: peer.name(), said: read_all(&mut said) });
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    Ok((child, at))
}

fn read_all(file: &mut File) -> String {
    let mut text = String::new();
    // What cannot be read was not said.
    let _ = file.rewind().and_then(|()| file.read_to_string(&mut text));
    text
}

/// Node's packages, installed once.
fn packages() -> Result<PathBuf, ServerError> {
    const FILES: [(&str, &str); 4] = [
        ("package.json", include_str!("package.json")),
        ("ws.mjs", include_str!("ws.mjs")),
        ("socketio.mjs", include_str!("socketio.mjs")),
        ("soundworks.mjs", include_str!("soundworks.mjs")),
    ];
    let folder = root().join("target/fanout-peers");
    std::fs::create_dir_all(&folder).map_err(machine("a folder for node's packages"))?;
    for (name, text) in FILES {
        std::fs::write(folder.join(name), text).map_err(machine("a server for node"))?;
    }
    if !folder.join("node_modules/ws").is_dir() {
        let mut npm = Command::new("npm");
        npm.args(["install", "--no-audit", "--no-fund", "--ignore-scripts", "--prefix"])
            .arg(&folder);
        let ended = npm.stdout(Stdio::null()).status();
        if !ended.is_ok_and(|it| it.success()) {
            return Err(ServerError::NoPackages(folder));
        }
    }
    Ok(folder)
}

/// A key and a certificate that nobody is asked to believe, on the curve that the box's own are on.
fn certificate(folder: &Path) -> Result<[PathBuf; 2], ServerError> {
    let [key, certificate] = ["key.pem", "certificate.pem"].map(|name| folder.join(name));
    if !certificate.is_file() {
        let mut openssl = Command::new("openssl");
        openssl.args(["req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256"]);
        openssl.args(["-nodes", "-subj", "/CN=fanout", "-days", "3650", "-keyout"]).arg(&key);
        openssl.arg("-out").arg(&certificate).stderr(Stdio::null());
        let made = openssl.status().map_err(machine("openssl"))?;
        if !made.success() {
            let source = io::Error::other("it made no certificate");
            return Err(ServerError::Machine { what: "openssl", source });
        }
    }
    Ok([key, certificate])
}

/// All threads of a process, and those they start, stay on one processor. A machine with one has nothing to pin.
pub fn pin(pid: u32, processor: usize) {
    let mut set = CpuSet::new();
    if set.set(processor).is_err() {
        return;
    }
    let threads = std::fs::read_dir(format!("/proc/{pid}/task")).into_iter().flatten().flatten();
    let ids = threads.filter_map(|it| it.file_name().to_str()?.parse::<i32>().ok());
    for id in ids {
        let _ = sched_setaffinity(Pid::from_raw(id), &set);
    }
}
